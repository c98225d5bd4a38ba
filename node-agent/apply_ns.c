/* SPDX-License-Identifier: Apache-2.0 */
/* apply_ns.c - which namespaces' new pods start isolated. Read by the plugin, not by packets. */
#include "applied.h"

static struct berm_ns key_of(const struct berm_plan_ns *ns)
{
	struct berm_ns key = { .name = "" };

	memcpy(key.name, ns->name, strnlen(ns->name, sizeof(key.name) - 1));
	return key;
}

static int put(struct batch *b, const struct berm_plan_ns *ns)
{
	struct berm_ns key = key_of(ns);

	return berm_batch_add(b, BERM_MAP_ns_isolation, &key, &ns->dirs);
}

static int del(struct batch *b, const struct berm_plan_ns *ns)
{
	struct berm_ns key = key_of(ns);

	return berm_batch_add(b, BERM_MAP_ns_isolation, &key, NULL);
}

static int order(const struct berm_plan_ns *a, size_t a_left, const struct berm_plan_ns *b,
		 size_t b_left)
{
	if (!a_left || !b_left)
		return a_left ? -1 : 1;
	return strcmp(a->name, b->name);
}

/* What leads from one sorted list to the other. */
static int diff(const struct berm_plan_ns *from, size_t from_count, const struct berm_plan_ns *to,
		size_t to_count, struct batch *puts, struct batch *dels)
{
	size_t i = 0, j = 0;
	int rc = 0, cmp;

	while (!rc && (i < from_count || j < to_count)) {
		cmp = order(from + i, from_count - i, to + j, to_count - j);
		if (cmp < 0)
			rc = del(dels, &from[i]);
		else if (cmp > 0 || from[i].dirs != to[j].dirs)
			rc = put(puts, &to[j]);
		i += cmp <= 0;
		j += cmp >= 0;
	}
	return rc;
}

int berm_gen_namespaces(struct generation *g)
{
	const struct berm_apply *a = g->a;

	return diff(a->ns.item, a->ns.count, g->plan->ns, g->plan->ns_count,
		    &g->put[BERM_MAP_ns_isolation], &g->ns_del);
}

int berm_gen_namespaces_undo(struct generation *g, struct berm_err *err)
{
	struct berm_apply *a = g->a;
	struct batch puts = { 0 }, dels = { 0 };
	int rc = diff(g->plan->ns, g->plan->ns_count, a->ns.item, a->ns.count, &puts, &dels);

	if (!rc)
		rc = a->store->ops->del(a->store, BERM_MAP_ns_isolation, dels.key, dels.count, err);
	if (!rc)
		rc = a->store->ops->put(a->store, BERM_MAP_ns_isolation, puts.key, puts.value,
					puts.count, err);
	berm_batch_clear(&puts);
	berm_batch_clear(&dels);
	return rc;
}
