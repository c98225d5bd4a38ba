/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_rule.c - rules: equal content, same index; and the names that people know them by. A rule in the
 * kernel is never changed: what differs gets another index. Knows no matrix.
 */
#include "applied.h"

static struct berm_rule rule_of(const struct berm_rule_name *name)
{
	return (struct berm_rule){
		.id = name->id,
		.precedence = name->precedence,
		.action = name->action,
		.reason = name->reason,
	};
}

static int index_rules(const struct berm_apply *a, struct berm_intern *index, struct berm_numbers *at)
{
	uint32_t number;
	int rc = 0;

	for (uint32_t i = 1; rc >= 0 && i < a->rule.count; i++) {
		if (!berm_ids_taken(&a->rule_ids, i))
			continue;
		rc = berm_intern(index, &a->rule.item[i], sizeof(a->rule.item[i]), &number);
		if (rc == 1)
			rc = array_push(at, i);
	}
	return rc < 0 ? rc : 0;
}

static int add_new(struct generation *g, const struct berm_rule *rule, uint32_t *ret)
{
	struct berm_apply *a = g->a;
	uint32_t index = berm_ids_take(&a->rule_ids, 1);
	uint64_t none = 0;
	int rc = 0;

	if (index == NONE)
		return berm_refuse(g->err, -ENOSPC, "%zu rules do not fit into berm_rules (room for %d)",
				   g->plan->rule_count, BERM_MAX_RULES);
	while (!rc && a->rule.count <= index)
		rc = array_push(&a->rule, (struct berm_rule){ 0 });
	if (!rc)
		rc = berm_batch_add(&g->put[BERM_MAP_hits], BERM_MAP_hits, &index, &none);
	if (!rc)
		rc = berm_batch_add(&g->put[BERM_MAP_rules], BERM_MAP_rules, &index, rule);
	if (rc)
		return rc;
	a->rule.item[index] = *rule;
	*ret = index;
	return 0;
}

/* Two plan rules of equal content share an index. */
static int assign(struct generation *g, struct berm_intern *index, struct berm_numbers *at)
{
	struct berm_rule rule;
	uint32_t number;
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < g->plan->rule_count; i++) {
		if (!g->rule_wanted[i])
			continue;
		rule = rule_of(&g->plan->rule[i].name);
		rc = berm_intern(index, &rule, sizeof(rule), &number);
		if (rc == 1) {
			rc = add_new(g, &rule, &g->rule[i]);
			if (!rc)
				rc = array_push(at, g->rule[i]);
		} else if (!rc) {
			g->rule[i] = at->item[number];
		}
	}
	return rc < 0 ? rc : 0;
}

int berm_gen_rules(struct generation *g)
{
	struct berm_intern index = { 0 };
	struct berm_numbers at = { 0 };
	int rc;

	g->rule = calloc(g->plan->rule_count + 1, sizeof(*g->rule));
	rc = g->rule ? index_rules(g->a, &index, &at) : -ENOMEM;
	if (!rc)
		rc = assign(g, &index, &at);
	berm_intern_free(&index);
	array_free(&at);
	return rc;
}

/* ---- names ----------------------------------------------------------------------------------------------- */

static int by_id(const void *x, const void *y)
{
	const struct berm_rule_name *a = x, *b = y;

	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

/* The plan's names with the indices that their rules have, one per id. */
static int plan_names(struct generation *g)
{
	const struct berm_plan *plan = g->plan;
	struct berm_names *n = &g->names;
	size_t out = 0;

	n->item = calloc(plan->rule_count + 1, sizeof(*n->item));
	if (!n->item)
		return -ENOMEM;
	for (size_t i = 0; i < plan->rule_count; i++) {
		n->item[i] = plan->rule[i].name;
		n->item[i].index = g->rule[i];
	}
	qsort(n->item, plan->rule_count, sizeof(*n->item), by_id);
	for (size_t i = 0; i < plan->rule_count; i++)
		if (!out || n->item[out - 1].id != n->item[i].id)
			n->item[out++] = n->item[i];
	n->count = out;
	return 0;
}

static bool is_same(const struct berm_names *a, const struct berm_names *b)
{
	return a->count == b->count && !memcmp(a->item, b->item, a->count * sizeof(*a->item));
}

/* New names, and those of old rules that have another id: sessions and events still carry them. */
static int merge_names(const struct berm_names *new, const struct berm_names *old, struct berm_names *ret)
{
	size_t i = 0, j = 0;

	ret->count = 0;
	ret->item = calloc(new->count + old->count + 1, sizeof(*ret->item));
	if (!ret->item)
		return -ENOMEM;
	while (i < new->count || j < old->count) {
		if (j == old->count || (i < new->count && new->item[i].id <= old->item[j].id)) {
			j += j < old->count && new->item[i].id == old->item[j].id;
			ret->item[ret->count++] = new->item[i++];
		} else {
			ret->item[ret->count++] = old->item[j++];
		}
	}
	return 0;
}

/* g->names: what the file must hold from before the switch on; a->next_names: from step 1 on. */
int berm_gen_names(struct generation *g)
{
	struct berm_apply *a = g->a;
	struct berm_names all = { 0 };
	int rc = plan_names(g);

	if (rc)
		return rc;
	rc = merge_names(&g->names, &a->names, &all);
	if (rc)
		return rc;
	berm_names_clear(&a->next_names);
	a->next_names = g->names;
	g->names = all;
	if (is_same(&all, &a->names) && !a->names_stale)
		berm_names_clear(&g->names); /* nothing to write */
	return 0;
}
