// SPDX-License-Identifier: Apache-2.0
/* rollback.c - from steps that are to be undone to pins. Judges nothing. */
#include "rollback.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "log.h"
#include "pins.h"

struct going { /* back */
	const struct berm_rollback *rollback;
	struct berm_undo_steps steps;
	struct berm_policy **made; /* [steps.count], NULL: it goes, or stays as it is */
	bool *is_change;
};

static const struct berm_policy *in_force(const struct berm_intake *intake,
					  const struct berm_kept *kept)
{
	return berm_model_policy(intake->model, kept->kind, kept->ns, kept->name);
}

/* Everything is made before anything changes. */
static int make_one(struct going *going, size_t i, struct berm_err *err)
{
	const struct berm_undo_step *step = &going->steps.item[i];
	const struct berm_policy *now = in_force(going->rollback->intake, &step->was);
	struct berm_pin pin = { .is = step->was };
	int rc;

	if (step->is_unknown)
		return 0;
	rc = berm_pin_make(&pin, &going->made[i], err);
	if (rc)
		return rc;
	going->is_change[i] = going->made[i] ? !now || now->digest != going->made[i]->digest
					     : now != NULL;
	return 0;
}

static int make_all(struct going *going, struct berm_err *err)
{
	int rc = 0;

	going->made = calloc(going->steps.count + 1, sizeof(struct berm_policy *));
	going->is_change = calloc(going->steps.count + 1, sizeof(bool));
	if (!going->made || !going->is_change)
		return berm_fail(err, -ENOMEM, "roll back");
	for (size_t i = 0; !rc && i < going->steps.count; i++)
		rc = make_one(going, i, err);
	return rc;
}

static void going_clear(struct going *going)
{
	for (size_t i = 0; going->made && i < going->steps.count; i++)
		berm_policy_free(going->made[i]);
	free(going->made);
	free(going->is_change);
	berm_undo_steps_clear(&going->steps);
}

/* ---- telling ------------------------------------------------------------------------------------------------------- */

static void add_change(cJSON *list, const struct berm_kept *kept, const char *action)
{
	cJSON *item = cJSON_CreateObject();
	char title[400];

	berm_policy_title(kept->kind, kept->ns, kept->name, title, sizeof(title));
	cJSON_AddStringToObject(item, "policy", title);
	cJSON_AddStringToObject(item, "action", action);
	cJSON_AddItemToArray(list, item);
}

static cJSON *answer(const struct going *going, double generation, bool is_dry)
{
	cJSON *root = cJSON_CreateObject();
	cJSON *changes = cJSON_AddArrayToObject(root, "changes");
	cJSON *unknown = cJSON_AddArrayToObject(root, "unknown");

	cJSON_AddNumberToObject(root, "generation", generation);
	cJSON_AddBoolToObject(root, "dry_run", is_dry);
	for (size_t i = 0; i < going->steps.count; i++) {
		const struct berm_undo_step *step = &going->steps.item[i];

		if (step->is_unknown)
			add_change(unknown, &step->was, "none");
		else if (going->is_change[i])
			add_change(changes, &step->was,
				   !going->made[i]				   ? "remove"
				   : in_force(going->rollback->intake, &step->was) ? "change"
										   : "restore");
	}
	return root;
}

/* ---- doing --------------------------------------------------------------------------------------------------------- */

int berm_rollback_run(const struct berm_rollback *rollback, const struct berm_undo_wish *wish,
		      bool is_dry, cJSON **ret, struct berm_err *err)
{
	struct going going = { .rollback = rollback };
	double generation = 0;
	int rc = berm_undo_find(rollback->undo, rollback->history, wish, &going.steps, &generation,
				err);

	if (!rc)
		rc = make_all(&going, err);
	if (!rc)
		*ret = answer(&going, wish->policy ? 0 : generation, is_dry);
	for (size_t i = 0; !rc && !is_dry && i < going.steps.count; i++) {
		if (!going.is_change[i])
			continue;
		rc = berm_intake_pin(rollback->intake, &going.steps.item[i].was,
				     TAKE_PTR(going.made[i]));
		if (rc) { /* some are: what is in force is told by status, and it can be asked again */
			cJSON_Delete(TAKE_PTR(*ret));
			berm_fail(err, rc, "roll back");
		}
	}
	if (!rc && !is_dry)
		rollback->intake->pins->generation = wish->policy ? 0 : generation;
	going_clear(&going);
	return rc;
}

int berm_rollback_cancel(const struct berm_rollback *rollback, cJSON **ret, struct berm_err *err)
{
	const struct berm_pins *pins = rollback->intake->pins;
	cJSON *root = cJSON_CreateObject();
	cJSON *changes = cJSON_AddArrayToObject(root, "changes");

	(void)err;
	for (size_t i = 0; i < pins->count; i++)
		add_change(changes, &pins->item[i].is, "as the document says");
	*ret = root;
	berm_intake_unpin(rollback->intake);
	return 0;
}

static bool read_question(const cJSON *root, struct berm_undo_wish *wish, bool *is_dry,
			  bool *is_cancel)
{
	const cJSON *generation = cJSON_GetObjectItemCaseSensitive(root, "generation");
	const cJSON *policy = cJSON_GetObjectItemCaseSensitive(root, "policy");

	*wish = (struct berm_undo_wish){ .generation = -1 };
	*is_dry = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(root, "dry_run"));
	*is_cancel = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(root, "cancel"));
	if (cJSON_IsNumber(generation))
		wish->generation = generation->valuedouble;
	wish->policy = cJSON_GetStringValue(policy);
	return cJSON_IsObject(root) && (!generation || cJSON_IsNumber(generation)) &&
	       (!policy || wish->policy) && !(generation && policy) &&
	       !(*is_cancel && (*is_dry || generation || policy));
}

int berm_rollback_ask(const struct berm_rollback *rollback, const char *text, size_t size,
		      bool *ret_is_cancel, cJSON **ret, struct berm_err *err)
{
	cJSON *root = cJSON_ParseWithLength(text ? text : "", size);
	struct berm_undo_wish wish;
	bool is_dry;
	int rc;

	if (!read_question(root, &wish, &is_dry, ret_is_cancel))
		rc = berm_refuse(err, -EBADMSG, "the body is no question about a rollback");
	else if (*ret_is_cancel)
		rc = berm_rollback_cancel(rollback, ret, err);
	else
		rc = berm_rollback_run(rollback, &wish, is_dry, ret, err);
	cJSON_Delete(root);
	return rc;
}
