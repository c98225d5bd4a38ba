/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_policy.c - policies in the model, and what they depend on: their companions and the time. A policy is made anew (effective.h)
 * when something changes that it depends on, and only then. Knows no clock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "effective.h"
#include "model_shelf.h"

/* ---- companions ---------------------------------------------------------------------------------------------------- */

static struct berm_shelf companions_of(struct berm_model *m)
{
	return (struct berm_shelf){ (any_array *)&m->companions, &m->companion_count,
				    berm_model_cmp_policy, berm_model_destroy_policy };
}

static struct berm_shelf shelf_of(struct berm_model *m, enum berm_policy_kind kind)
{
	return berm_policy_is_companion(kind) ? companions_of(m) : berm_model_policies(m);
}

const struct berm_policy *berm_model_policy(const struct berm_model *model,
					    enum berm_policy_kind kind, const char *ns,
					    const char *name)
{
	const struct berm_policy key = { .kind = kind, .ns = (char *)ns, .name = (char *)name };

	return berm_shelf_get(shelf_of((struct berm_model *)model, kind),
			      &key); /* only looked at */
}

/* ---- making policies anew ------------------------------------------------------------------------------------------ */

/* Takes the effective policy. */
static int put_effective(struct berm_model *model, struct berm_policy *policy)
{
	policy->since = model->version + 1;
	return berm_model_rest_changed(model, berm_shelf_put(berm_model_policies(model), policy));
}

/* In its place in the array: the identity stays, so does the order. */
static int remake(struct berm_model *model, size_t at, bool is_over)
{
	struct berm_policy *old = model->policies[at], *made;

	if (berm_effective_make(model, old->written, is_over, &made))
		return -ENOMEM;
	old->written = NULL;
	berm_policy_free_effective(old);
	made->since = model->version + 1;
	model->policies[at] = made;
	return berm_model_rest_changed(model, 0);
}

/* ---- how much a namespace may have ----------------------------------------------------------------------------------- */

static bool is_of(const struct berm_policy *policy, const char *ns)
{
	return policy->written && (!ns || (policy->ns && !strcmp(policy->ns, ns)));
}

static int cmp_expanded(const void *a, const void *b, void *ctx)
{
	const struct berm_model *model = ctx;
	size_t i = *(const size_t *)a, k = *(const size_t *)b;
	size_t x = model->policies[i]->expanded, y = model->policies[k]->expanded;

	if (x != y)
		return x < y ? -1 : 1;
	return (i > k) - (i < k);
}

/* The lightest policies first: a huge one never pushes out its neighbours. */
static int admit(struct berm_model *model, const size_t *at, size_t count)
{
	size_t total = 0;
	int rc = 0;

	for (size_t i = 0; !rc && i < count; i++) {
		const struct berm_policy *policy = model->policies[at[i]];
		bool is_over;

		total += policy->expanded;
		is_over = policy->expanded && total > BERM_MAX_EXPANDED;
		if (is_over != policy->is_over)
			rc = remake(model, at[i], is_over);
	}
	return rc;
}

static int settle(struct berm_model *model, const char *ns)
{
	auto_free size_t *at = NULL;
	size_t count = 0, total = 0;
	bool is_any_over = false;

	for (size_t i = 0; i < model->policy_count; i++) {
		if (!is_of(model->policies[i], ns))
			continue;
		count++;
		total += model->policies[i]->expanded;
		is_any_over |= model->policies[i]->is_over;
	}
	if (total <= BERM_MAX_EXPANDED && !is_any_over)
		return 0;
	at = calloc(count, sizeof(*at));
	if (!at)
		return -ENOMEM;
	count = 0;
	for (size_t i = 0; i < model->policy_count; i++)
		if (is_of(model->policies[i], ns))
			at[count++] = i;
	qsort_r(at, count, sizeof(*at), cmp_expanded, model);
	return admit(model, at, count);
}

/* Every namespace once: conditional policies are SegmentationPolicies, and stand by namespace. */
static int settle_all(struct berm_model *model)
{
	const char *last = NULL;
	int rc = 0;

	for (size_t i = 0; !rc && i < model->policy_count; i++) {
		const struct berm_policy *policy = model->policies[i];

		if (!policy->written || (last && !strcmp(last, policy->ns)))
			continue;
		rc = settle(model, policy->ns);
		last = model->policies[i]->ns;
	}
	return rc;
}

/* ---- putting and removing ------------------------------------------------------------------------------------------ */

/* A companion has come, changed or gone. */
static int companion_changed(struct berm_model *model, enum berm_policy_kind kind, const char *ns,
			     const char *name)
{
	int rc = 0;

	if (kind == BERM_KIND_MAPPING)
		return berm_model_changed(model, berm_model_label_pods(model, NULL));
	for (size_t i = 0; !rc && i < model->policy_count; i++) {
		const struct berm_policy *policy = model->policies[i];

		if (policy->written && berm_effective_names(policy->written, ns, name))
			rc = remake(model, i, policy->is_over);
	}
	return rc ? rc : settle_all(model);
}

static int put_companion(struct berm_model *model, struct berm_policy *companion)
{
	const struct berm_policy *before =
		berm_model_policy(model, companion->kind, companion->ns, companion->name);
	bool is_same = before && before->digest == companion->digest;
	uint64_t version = model->version;
	int rc = berm_shelf_put(companions_of(model), companion);

	if (!rc && !is_same)
		rc = companion_changed(model, companion->kind, companion->ns, companion->name);
	if (!rc) /* nobody waits for one that nobody names */
		companion->since = model->version > version ? model->version : 0;
	return rc;
}

int berm_model_put_policy(struct berm_model *model, struct berm_policy *policy)
{
	struct berm_policy *made;
	int rc;

	if (berm_policy_is_companion(policy->kind))
		return put_companion(model, policy);
	if (!berm_policy_is_conditional(policy))
		return put_effective(model, policy);
	if (berm_effective_make(model, policy, false, &made)) {
		berm_policy_free(policy);
		return -ENOMEM;
	}
	rc = put_effective(model, made);
	return rc ? rc : settle(model, policy->ns);
}

int berm_model_remove_policy(struct berm_model *model, enum berm_policy_kind kind, const char *ns,
			     const char *name)
{
	struct berm_policy key = { .kind = kind, .ns = (char *)ns, .name = (char *)name };
	struct berm_policy *policy = berm_shelf_take(shelf_of(model, kind), &key);
	int rc = 0;

	if (!policy)
		return -ENOENT;
	if (berm_policy_is_companion(kind))
		rc = companion_changed(model, kind, policy->ns, policy->name);
	else
		rc = berm_model_rest_changed(model, 0);
	if (!rc && policy->expanded)
		rc = settle(model, policy->ns);
	berm_policy_free(policy);
	return rc;
}

/* ---- time ---------------------------------------------------------------------------------------------------------- */

int berm_model_set_time(struct berm_model *model, int64_t now_s)
{
	bool is_any = false;
	int rc = 0;

	model->now_s = now_s;
	for (size_t i = 0; !rc && i < model->policy_count; i++) {
		const struct berm_policy *policy = model->policies[i];

		if (!policy->written || (policy->since_s <= now_s && now_s < policy->until_s))
			continue;
		is_any = true;
		rc = remake(model, i, policy->is_over);
	}
	return rc || !is_any ? rc : settle_all(model);
}

int64_t berm_model_next_time(const struct berm_model *model)
{
	int64_t next = INT64_MAX;

	for (size_t i = 0; i < model->policy_count; i++)
		if (model->policies[i]->written && model->policies[i]->until_s < next)
			next = model->policies[i]->until_s;
	return next;
}

void berm_model_clear_companions(struct berm_model *model)
{
	berm_shelf_clear(companions_of(model));
}
