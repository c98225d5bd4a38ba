/* SPDX-License-Identifier: Apache-2.0 */
/* intake_tell.c - what there is to tell of the sources and their objects. Changes nothing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "intake_pin.h"

static int twice_problem(const struct berm_claimed *object, struct berm_problems *out)
{
	const struct berm_claim *owner = berm_claims_owner(object), *other = NULL;
	char document[600], message[900];
	size_t i;

	for (i = 0; owner && i < object->count && !other; i++)
		if (&object->claim[i] != owner)
			other = &object->claim[i];
	if (!other)
		return 0;
	snprintf(document, sizeof(document), "%s %s%s%s", berm_object_kind_name(&object->id),
		 object->id.ns, *object->id.ns ? "/" : "", object->id.name);
	snprintf(message, sizeof(message), "is in %s and in %s: the one in %s counts", owner->file,
		 other->file, owner->file);
	return berm_problems_add(out,
				 &(struct berm_problem){
					 .severity = BERM_ERROR,
					 .source = (char *)other->file,
					 .line = other->line,
					 .message = message,
					 .hint = (char *)"remove one of them, or give it another name",
					 .document = document,
				 });
}

int berm_intake_problems(const struct berm_intake *intake, struct berm_problems *out)
{
	struct berm_claimed *object, *next;
	const struct berm_source *source;
	size_t i;

	for (source = intake->noted; source; source = source->noted_next)
		for (i = 0; i < source->problems.count; i++)
			if (berm_problems_add(out, &source->problems.item[i]))
				return -ENOMEM;
	if (berm_holds_problems(&intake->holds, out) || berm_intake_pin_problem(intake, out))
		return -ENOMEM;
	HASH_ITER(hh, intake->claims.all, object, next)
		if (object->count > 1 && twice_problem(object, out))
			return -ENOMEM;
	return 0;
}

static bool is_pinned(const struct berm_intake *intake, const struct berm_object_id *id)
{
	return berm_pins_find(intake->pins, id->policy_kind, id->ns, id->name) != NULL;
}

/* Policies that no source has any more. */
static void each_restored(const struct berm_intake *intake,
			  void (*fn)(const struct berm_intake_policy *policy, void *ctx), void *ctx)
{
	for (size_t i = 0; intake->pins && i < intake->pins->count; i++) {
		const struct berm_pin *pin = &intake->pins->item[i];

		if (!pin->said)
			fn(&(struct berm_intake_policy){ pin->is.kind, BERM_STANDING_ROLLED_BACK,
							 pin->is.ns, pin->is.name, "rollback",
							 pin->is.line },
			   ctx);
	}
}

void berm_intake_each_policy(const struct berm_intake *intake,
			     void (*fn)(const struct berm_intake_policy *policy, void *ctx),
			     void *ctx)
{
	const struct berm_claimed *object = intake->claims.all;
	const struct berm_claim *claim;

	for (; object; object = object->hh.next) {
		claim = berm_claims_owner(object);
		if (!claim && object->count)
			claim = &object->claim[0];
		if (object->id.kind != BERM_OBJ_POLICY || !claim)
			continue;
		fn(&(struct berm_intake_policy){ object->id.policy_kind,
						 is_pinned(intake, &object->id)
							 ? BERM_STANDING_ROLLED_BACK
							 : claim->standing,
						 object->id.ns, object->id.name, claim->file,
						 claim->line },
		   ctx);
	}
	each_restored(intake, fn, ctx);
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t unique(const char **list, size_t count)
{
	size_t i, kept = 0;

	qsort(list, count, sizeof(*list), compare_text);
	for (i = 0; i < count; i++)
		if (!kept || strcmp(list[kept - 1], list[i]) != 0)
			list[kept++] = list[i];
	return kept;
}

int berm_intake_isolated(const struct berm_intake *intake, const char ***ret, size_t *ret_count)
{
	const struct berm_source *source;
	const char **list;
	size_t i, count = 0;

	for (source = intake->noted; source; source = source->noted_next)
		count += source->isolated_count;
	list = calloc(count + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	count = 0;
	for (source = intake->noted; source; source = source->noted_next)
		for (i = 0; i < source->isolated_count; i++)
			list[count++] = source->isolated_ns[i];
	*ret_count = unique(list, count);
	*ret = list;
	return 0;
}
