/* SPDX-License-Identifier: Apache-2.0 */
/* lint_world.c - objects of several files put together as the agent would: what there is in a model, policies once each. */
#include "lint_world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "advice.h"
#include "cleanup.h"

static void sheet_free(struct ctl_lint_sheet *sheet)
{
	if (!sheet)
		return;
	berm_objects_clear(&sheet->objects);
	free(sheet->name);
	free(sheet->text);
	free(sheet);
}

struct ctl_lint_sheet *ctl_lint_add(struct ctl_lint_world *world, const char *name,
				    const struct ctl_lint_sheet *sheet)
{
	struct ctl_lint_sheet *copy = malloc(sizeof(*copy));
	struct ctl_lint_sheet **all =
		reallocarray(world->sheet, world->count + 1, sizeof(struct ctl_lint_sheet *));

	if (all)
		world->sheet = all;
	if (!copy) {
		free(sheet->text);
		return NULL;
	}
	*copy = *sheet;
	copy->name = strdup(name);
	if (!all || !copy->name) {
		sheet_free(copy);
		return NULL;
	}
	world->sheet[world->count++] = copy;
	return copy;
}

const struct ctl_lint_sheet *ctl_lint_sheet(const struct ctl_lint_world *world, const char *name)
{
	for (size_t i = world->count; i-- > 0;)
		if (name && !strcmp(world->sheet[i]->name, name))
			return world->sheet[i];
	return NULL;
}

void ctl_lint_clear(struct ctl_lint_world *world)
{
	for (size_t i = 0; i < world->count; i++)
		sheet_free(world->sheet[i]);
	free(world->sheet);
	*world = (struct ctl_lint_world){ 0 };
}

/* ---- together ------------------------------------------------------------------------------------------- */

static int move_objects(struct ctl_lint_sheet *sheet, struct berm_model *model)
{
	int rc = 0;

	for (size_t i = 0; i < sheet->objects.count && !rc; i++) {
		struct berm_object *object = &sheet->objects.item[i];

		if (object->pod)
			rc = berm_model_put_pod(model, TAKE_PTR(object->pod));
		else if (object->namespace)
			rc = berm_model_put_namespace(model, TAKE_PTR(object->namespace));
		else if (object->service)
			rc = berm_model_put_service(model, TAKE_PTR(object->service));
		else if (object->slice)
			rc = berm_model_put_slice(model, TAKE_PTR(object->slice));
	}
	return rc;
}

static bool is_same(const struct berm_policy *x, const struct berm_policy *y)
{
	return x->kind == y->kind && !strcmp(x->ns, y->ns) && !strcmp(x->name, y->name);
}

static int compare_names(const void *left, const void *right)
{
	const struct berm_advice_document *x = left, *y = right;
	int rc = (int)x->policy->kind - (int)y->policy->kind;

	rc = rc ? rc : strcmp(x->policy->ns, y->policy->ns);
	rc = rc ? rc : strcmp(x->policy->name, y->policy->name);
	return rc ? rc
		  : y->is_judged - x->is_judged; /* judged ones stand for their older versions */
}

static size_t drop_older(struct berm_advice_document *document, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (!kept || document[i].is_judged ||
		    !is_same(document[kept - 1].policy, document[i].policy))
			document[kept++] = document[i];
	return kept;
}

static int collect(const struct ctl_lint_world *world, struct berm_advice_document **ret,
		   size_t *ret_count)
{
	struct berm_advice_document *all;
	size_t most = 1, count = 0;

	for (size_t i = 0; i < world->count; i++)
		most += world->sheet[i]->objects.count;
	all = calloc(most, sizeof(*all));
	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < world->count; i++) {
		const struct ctl_lint_sheet *sheet = world->sheet[i];

		for (size_t k = 0; k < sheet->objects.count; k++)
			if (sheet->objects.item[k].policy)
				all[count++] = (struct berm_advice_document){
					sheet->objects.item[k].policy, &sheet->objects.item[k],
					sheet->is_judged
				};
	}
	if (count > 1)
		qsort(all, count, sizeof(*all), compare_names);
	*ret = all;
	*ret_count = drop_older(all, count);
	return 0;
}

/* The model owns them from now on; of two that are judged and have one name the first counts. */
static int move_companions(const struct berm_advice_document *document, size_t count,
			   struct berm_model *model)
{
	int rc = 0;

	for (size_t i = 0; i < count && !rc; i++) {
		struct berm_object *object = (struct berm_object *)document[i].object;
		const struct berm_policy *policy = document[i].policy;

		if (berm_policy_is_companion(policy->kind) &&
		    !berm_model_policy(model, policy->kind, policy->ns, policy->name))
			rc = berm_model_put_policy(model, TAKE_PTR(object->policy));
	}
	return rc;
}

static int compare_places(const void *left, const void *right)
{
	const struct berm_problem *x = left, *y = right;
	int rc = strcmp(x->source ? x->source : "", y->source ? y->source : "");

	rc = rc ? rc : x->line - y->line;
	rc = rc ? rc : x->column - y->column;
	return rc ? rc : (int)x->code - (int)y->code;
}

int ctl_lint_advise(struct ctl_lint_world *world, struct berm_problems *problems)
{
	auto_free struct berm_advice_document *document = NULL;
	struct berm_model model = { .now_s = time(NULL) };
	struct berm_advice advice = { .model = &model };
	int rc = 0;

	for (size_t i = 0; i < world->count && !rc; i++)
		rc = move_objects(world->sheet[i], &model);
	rc = rc ? rc : collect(world, &document, &advice.count);
	rc = rc ? rc : move_companions(document, advice.count, &model);
	advice.document = document;
	rc = rc ? rc : berm_advise(&advice, problems);
	if (problems->count > 1)
		qsort(problems->item, problems->count, sizeof(*problems->item), compare_places);
	berm_model_clear(&model);
	return rc;
}
