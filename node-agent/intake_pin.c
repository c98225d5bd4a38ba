// SPDX-License-Identifier: Apache-2.0
/* intake_pin.c - between what sources say and the model: what has been rolled back. */
#include "intake_pin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "log.h"
#include "undo.h"

static void tell(const struct berm_pin *pin, const char *event)
{
	char title[400];

	berm_policy_title(pin->is.kind, pin->is.ns, pin->is.name, title, sizeof(title));
	berm_log(BERM_LOG_INFO, event, "policy=\"%s\"", title);
}

/* In the model is what is pinned. -EINVAL (a version of Berm that took it wrote it): what the source says is. */
static int put_pinned(struct berm_intake *intake, const struct berm_pin *pin)
{
	struct berm_policy *policy = NULL;
	struct berm_err err = { 0 };
	int rc = berm_pin_make(pin, &policy, &err);

	if (rc == -EINVAL)
		berm_log(BERM_LOG_ERROR, "rollback-not-taken", "error=\"%s\"", err.msg);
	if (rc)
		return rc;
	if (policy)
		return berm_model_put_policy(intake->model, policy);
	rc = berm_model_remove_policy(intake->model, pin->is.kind, pin->is.ns, pin->is.name);
	return rc == -ENOENT ? 0 : rc;
}

int berm_intake_put(struct berm_intake *intake, struct berm_policy *policy)
{
	struct berm_pin *pin = berm_pins_find(intake->pins, policy->kind, policy->ns, policy->name);
	int rc;

	if (pin && pin->said == policy->digest) {
		rc = put_pinned(intake, pin);
		if (rc != -EINVAL) {
			berm_policy_free(policy);
			return rc;
		}
	}
	if (pin) {
		tell(pin, "rollback-over");
		berm_pins_drop(intake->pins, pin);
	}
	return berm_model_put_policy(intake->model, policy);
}

void berm_intake_released(struct berm_intake *intake, enum berm_policy_kind kind, const char *ns,
			  const char *name)
{
	struct berm_pin *pin = berm_pins_find(intake->pins, kind, ns, name);

	if (!pin)
		return;
	tell(pin, "rollback-over");
	berm_pins_drop(intake->pins, pin);
}

static bool is_claimed(const struct berm_intake *intake, const struct berm_pin *pin)
{
	struct berm_object_id id = { .kind = BERM_OBJ_POLICY,
				     .policy_kind = pin->is.kind,
				     .ns = pin->is.ns,
				     .name = pin->is.name };
	const struct berm_claimed *object = berm_claims_find(&intake->claims, &id);

	return object && object->count;
}

void berm_intake_restore(struct berm_intake *intake)
{
	for (size_t i = intake->pins ? intake->pins->count : 0; i > 0; i--) {
		struct berm_pin *pin = &intake->pins->item[i - 1];

		if (is_claimed(intake, pin))
			continue;
		if (pin->said || put_pinned(intake, pin)) {
			tell(pin, "rollback-over");
			berm_pins_drop(intake->pins, pin);
		}
	}
}

/* What is in force now is what the next rollback goes back to. */
static void note_now(struct berm_intake *intake, const struct berm_kept *was)
{
	const struct berm_pin *pin = berm_pins_find(intake->pins, was->kind, was->ns, was->name);
	const struct berm_kept_source *said;
	const struct berm_kept *now = pin ? &pin->is : NULL;
	struct berm_object_id id = {
		.kind = BERM_OBJ_POLICY, .policy_kind = was->kind, .ns = was->ns, .name = was->name
	};
	const struct berm_claimed *object = berm_claims_find(&intake->claims, &id);
	const struct berm_claim *owner = object ? berm_claims_owner(object) : NULL;

	if (!intake->replaced)
		return;
	said = !now && owner ? berm_lastgood_of(intake->store, owner->file) : NULL;
	if (said)
		now = berm_kept_source_find(said, was->kind, was->ns, was->name);
	if (now)
		berm_replaced_note(intake->replaced, now);
}

static int copy(const struct berm_kept *was, struct berm_kept *out)
{
	struct berm_kept named = *was;
	int rc;

	if (!named.key)
		named.key = (char *)"rollback";
	rc = berm_kept_copy(&named, out);
	return rc;
}

int berm_intake_pin(struct berm_intake *intake, const struct berm_kept *was,
		    struct berm_policy *policy)
{
	const struct berm_policy *now =
		berm_model_policy(intake->model, was->kind, was->ns, was->name);
	struct berm_pin pin = { .said = now ? now->digest : 0 }, *old;
	int rc;

	intake->taken++;
	note_now(intake, was);
	old = berm_pins_find(intake->pins, was->kind, was->ns, was->name);
	if (old && old->said == (policy ? policy->digest : 0)) { /* as the source says */
		tell(old, "rollback-over");
		berm_pins_drop(intake->pins, old);
	} else {
		rc = copy(was, &pin.is);
		rc = rc ? rc : berm_pins_put(intake->pins, &pin);
		if (rc) {
			berm_pin_clear(&pin);
			berm_policy_free(policy);
			return rc;
		}
		tell(&pin, "rolled-back");
	}
	if (policy)
		return berm_model_put_policy(intake->model, policy);
	rc = berm_model_remove_policy(intake->model, was->kind, was->ns, was->name);
	return rc == -ENOENT ? 0 : rc;
}

void berm_intake_unpin(struct berm_intake *intake)
{
	struct berm_pins *pins = intake->pins;

	intake->taken++;
	while (pins->count) {
		struct berm_pin *pin = &pins->item[pins->count - 1];
		struct berm_object_id id = { .kind = BERM_OBJ_POLICY,
					     .policy_kind = pin->is.kind,
					     .ns = pin->is.ns,
					     .name = pin->is.name };
		const struct berm_claimed *object = berm_claims_find(&intake->claims, &id);
		const struct berm_claim *owner = object ? berm_claims_owner(object) : NULL;

		note_now(intake, &pin->is);
		if (owner)
			intake->reload(owner->file, intake->ctx);
		else
			(void)berm_model_remove_policy(intake->model, pin->is.kind, pin->is.ns,
						       pin->is.name); /* absent is what we want */
		tell(pin, "rollback-over");
		berm_pins_drop(pins, pin);
	}
}

int berm_intake_pin_problem(const struct berm_intake *intake, struct berm_problems *out)
{
	char message[200];

	if (!intake->pins || !intake->pins->count)
		return 0;
	snprintf(message, sizeof(message),
		 "rolled back on this node: %zu policies are not as their documents say",
		 intake->pins->count);
	return berm_problems_add(
		out,
		&(struct berm_problem){
			.severity = BERM_WARNING,
			.code = BERM_CODE_ROLLED_BACK,
			.source = (char *)"rollback",
			.message = message,
			.hint = (char *)"each until its document changes; 'bermctl rollback --cancel' ends it for all",
		});
}
