/* SPDX-License-Identifier: Apache-2.0 */
/* policyset.c - collects, sorts, digests. */
#include "policyset.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "digest.h"

struct reading {
	struct berm_policyset_item *item;
	size_t count, room;
	bool no_memory;
};

static void add(const struct berm_intake_policy *id, void *ctx)
{
	struct reading *r = ctx;

	if (r->count == r->room && berm_array_grow(&r->item, &r->room, sizeof(*r->item))) {
		r->no_memory = true;
		return;
	}
	r->item[r->count++] = (struct berm_policyset_item){
		.kind = id->kind,
		.ns = id->ns,
		.name = id->name,
		.source = id->source,
		.standing = id->standing,
	};
}

static int compare_policy(const struct berm_policyset_item *x, const struct berm_policy *y)
{
	int rc = (int)x->kind - (int)y->kind;

	if (!rc)
		rc = strcmp(x->ns, y->ns ? y->ns : "");
	return rc ? rc : strcmp(x->name, y->name);
}

static int compare(const void *a, const void *b)
{
	const struct berm_policyset_item *x = a, *y = b;
	int rc = (int)x->kind - (int)y->kind;

	if (!rc)
		rc = strcmp(x->ns, y->ns);
	return rc ? rc : strcmp(x->name, y->name);
}

/* What the model has of them: it is in the same order, but for companions, which are few. */
static void find_versions(struct berm_policyset *set, const struct berm_model *model)
{
	const struct berm_policy *policy;
	size_t at = 0;

	for (size_t i = 0; i < set->count; i++) {
		struct berm_policyset_item *item = &set->item[i];

		while (at < model->policy_count && compare_policy(item, model->policies[at]) > 0)
			at++;
		policy = at < model->policy_count && !compare_policy(item, model->policies[at])
				 ? model->policies[at]
				 : NULL;
		if (berm_policy_is_companion(item->kind))
			policy = berm_model_policy(model, item->kind, item->ns, item->name);
		item->digest = policy ? policy->digest : 0;
		item->is_disabled = policy && policy->disabled;
	}
}

/* Without the broken ones: which version of them a node has depends on when it came. */
static void digest(struct berm_policyset *set)
{
	struct berm_digester digester;
	struct berm_digest sum;

	berm_digest_start(&digester);
	for (size_t i = 0; i < set->count; i++) {
		if (set->item[i].standing != BERM_STANDING_ENFORCED)
			continue;
		berm_digest_u64(&digester, set->item[i].kind);
		berm_digest_text(&digester, set->item[i].ns);
		berm_digest_text(&digester, set->item[i].name);
		berm_digest_u64(&digester, set->item[i].digest);
	}
	sum = berm_digest_end(&digester);
	snprintf(set->digest, sizeof(set->digest), "%016llx%016llx", (unsigned long long)sum.w[0],
		 (unsigned long long)sum.w[1]);
}

int berm_policyset_read(const struct berm_intake *intake, const struct berm_model *model,
			struct berm_policyset *ret)
{
	struct reading r = { 0 };

	berm_intake_each_policy(intake, add, &r);
	if (r.no_memory) {
		free(r.item);
		return -ENOMEM;
	}
	if (r.count)
		qsort(r.item, r.count, sizeof(*r.item), compare);
	*ret = (struct berm_policyset){ .item = r.item, .count = r.count };
	find_versions(ret, model);
	digest(ret);
	return 0;
}

void berm_policyset_clear(struct berm_policyset *set)
{
	free(set->item);
	*set = (struct berm_policyset){ 0 };
}
