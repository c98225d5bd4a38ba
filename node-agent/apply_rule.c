/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_rule.c - rules: equal content, same index; and the names that people know them by. A rule in the
 * kernel is never changed: what differs gets another index. Knows no matrix.
 */
#include "applied.h"

#include "cleanup.h"

static struct berm_rule rule_of(const struct berm_plan_rule *rule)
{
	const struct berm_rule_name *name = &rule->name;

	return (struct berm_rule){
		.id = name->id,
		.precedence = name->precedence,
		.action = name->action,
		.reason = name->reason,
		.app = name->app,
		.flags = name->flags,
		.sample = rule->sample,
		.log = rule->log,
		.burst = rule->burst,
		.interval_ns = rule->interval_ns,
	};
}

static int index_rules(const struct berm_apply *a, struct berm_intern *index,
		       struct berm_numbers *at)
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
		return berm_refuse(g->err, -ENOSPC,
				   "%zu rules do not fit into berm_rules (room for %d)",
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
		rule = rule_of(&g->plan->rule[i]);
		rc = berm_intern(index, &rule, sizeof(rule), &number);
		if (rc == 1) {
			rc = add_new(g, &rule, &g->rule[i]);
			if (!rc)
				rc = array_push(at, g->rule[i]);
		} else if (!rc && number < at->count) {
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

/* The plan's rules, by id and then index: few move from one plan to the next, and names are long. */
struct named {
	uint32_t id, index, at; /* at: in plan->rule */
};

static int by_id(const void *x, const void *y)
{
	const struct named *a = x, *b = y;

	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

static size_t sort_names(const struct generation *g, struct named *named)
{
	const struct berm_plan *plan = g->plan;
	size_t count = 0;

	for (size_t i = 0; i < plan->rule_count; i++)
		named[i] = (struct named){ plan->rule[i].name.id, g->rule[i], (uint32_t)i };
	qsort(named, plan->rule_count, sizeof(*named), by_id);
	for (size_t i = 0; i < plan->rule_count; i++)
		if (count && named[count - 1].id == named[i].id && !named[count - 1].index)
			named[count - 1] = named[i]; /* the same, where somebody meets it */
		else if (!count || named[count - 1].id != named[i].id ||
			 named[count - 1].index != named[i].index)
			named[count++] = named[i];
	return count;
}

static struct berm_rule_name name_of(const struct generation *g, const struct named *named)
{
	struct berm_rule_name name = g->plan->rule[named->at].name;

	name.index = named->index;
	return name;
}

static bool is_same_name(const struct berm_rule_name *a, const struct berm_rule_name *b)
{
	return a->id == b->id && a->index == b->index && a->precedence == b->precedence &&
	       a->dir == b->dir && a->action == b->action && a->reason == b->reason &&
	       a->app == b->app && a->flags == b->flags && !strcmp(a->tier, b->tier) &&
	       !strcmp(a->kind, b->kind) && !strcmp(a->ns, b->ns) &&
	       !strcmp(a->policy, b->policy) && !strcmp(a->rule, b->rule);
}

static bool is_same(const struct generation *g, const struct named *named, size_t count)
{
	const struct berm_names *old = &g->a->names;
	struct berm_rule_name name;

	for (size_t i = 0; i < count && count == old->count; i++) {
		name = name_of(g, &named[i]);
		if (!is_same_name(&name, &old->item[i]))
			return false;
	}
	return count == old->count;
}

static int plan_names(const struct generation *g, const struct named *named, size_t count,
		      struct berm_names *ret)
{
	ret->item = calloc(count + 1, sizeof(*ret->item));
	if (!ret->item)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		ret->item[i] = name_of(g, &named[i]);
	ret->count = count;
	return 0;
}

/* New names, and those of old rules that have another id: sessions and events still carry them. */
static int merge_names(const struct berm_names *new, const struct berm_names *old,
		       struct berm_names *ret)
{
	size_t i = 0, j = 0;

	ret->count = 0;
	ret->item = calloc(new->count + old->count + 1, sizeof(*ret->item));
	if (!ret->item)
		return -ENOMEM;
	while (i < new->count || j < old->count) {
		if (j == old->count || (i < new->count &&new->item[i].id <= old->item[j].id)) {
			j += j < old->count && new->item[i].id == old->item[j].id;
			ret->item[ret->count++] = new->item[i++];
		} else {
			ret->item[ret->count++] = old->item[j++];
		}
	}
	return 0;
}

/* g->names: what the file must hold from before the switch on; a->next_names: from step 1 on. Both are
 * empty if nothing changes. */
int berm_gen_names(struct generation *g)
{
	struct berm_apply *a = g->a;
	auto_free struct named *named = calloc(g->plan->rule_count + 1, sizeof(*named));
	size_t count;
	int rc;

	if (!named)
		return -ENOMEM;
	berm_names_clear(&a->next_names);
	count = sort_names(g, named);
	if (!a->names_stale && is_same(g, named, count))
		return 0;
	rc = plan_names(g, named, count, &a->next_names);
	return rc ? rc : merge_names(&a->next_names, &a->names, &g->names);
}
