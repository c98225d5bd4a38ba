/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_flow.c - tables of exact flows: like a CIDR table, one is written once, complete, under an id of its own, and never
 * changed; the set that names it goes with it. Knows no document.
 */
#include "applied.h"

struct applied_flows *berm_flow_table_find(const struct berm_apply *a, uint32_t id)
{
	for (size_t i = 0; i < a->flows.count; i++)
		if (a->flows.item[i]->id == id)
			return a->flows.item[i];
	return NULL;
}

void berm_flow_table_free(struct applied_flows *f)
{
	if (!f)
		return;
	free(f->key);
	free(f->rule);
	free(f);
}

struct applied_flows *berm_flow_table_new(size_t count)
{
	struct applied_flows *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->key = calloc(count + 1, sizeof(*f->key));
	f->rule = calloc(count + 1, sizeof(*f->rule));
	f->count = count;
	if (f->key && f->rule)
		return f;
	berm_flow_table_free(f);
	return NULL;
}

static bool is_same(const struct generation *g, const struct applied_flows *f,
		    const struct berm_plan_flows *p)
{
	struct berm_flow_key key;

	if (f->count != p->count)
		return false;
	for (size_t i = 0; i < f->count; i++) {
		key = p->item[i].key;
		key.table = f->id;
		if (f->rule[i] != g->rule[p->item[i].rule] ||
		    memcmp(&f->key[i], &key, sizeof(key)) != 0)
			return false;
	}
	return true;
}

static int add_new(struct generation *g, size_t number)
{
	const struct berm_plan_flows *p = &g->plan->flows[number];
	struct applied_flows *f = berm_flow_table_new(p->count);
	int rc;

	if (!f)
		return -ENOMEM;
	f->id = berm_ids_take(&g->a->flow_ids, 1);
	rc = array_push(&g->a->flows, f);
	if (rc) {
		berm_flow_table_free(f);
		return rc;
	}
	if (f->id == NONE)
		return berm_refuse(g->err, -ENOSPC, "%zu tables of flows do not fit (room for %u)",
				   g->plan->flows_count, FLOWS_LIMIT);
	g->flows[number] = f->id;
	for (size_t i = 0; !rc && i < p->count; i++) {
		f->key[i] = p->item[i].key;
		f->key[i].table = f->id;
		f->rule[i] = g->rule[p->item[i].rule];
		rc = berm_batch_add(&g->put[BERM_MAP_flows], BERM_MAP_flows, &f->key[i],
				    &f->rule[i]);
	}
	return rc;
}

int berm_gen_flows(struct generation *g)
{
	struct berm_apply *a = g->a;
	size_t j;
	int rc = 0;

	g->flows = calloc(g->plan->flows_count + 1, sizeof(*g->flows));
	if (!g->flows)
		return -ENOMEM;
	for (size_t i = 0; !rc && i < g->plan->flows_count; i++) {
		if (!g->flows_wanted[i])
			continue;
		for (j = 0;
		     j < a->flows.count && !is_same(g, a->flows.item[j], &g->plan->flows[i]);)
			j++;
		if (j < a->flows.count)
			g->flows[i] = a->flows.item[j]->id;
		else
			rc = add_new(g, i);
	}
	return rc;
}

uint32_t berm_gen_flows_of(const struct generation *g, const struct berm_plan_set *p)
{
	return p->flows == NONE ? 0 : g->flows[p->flows];
}

/* ---- what nobody points to any more -------------------------------------------------------------------------- */

int berm_gen_leave_flows(struct generation *g, struct garbage *gb)
{
	struct berm_apply *a = g->a;
	struct applied_set *s;
	size_t kept = 0;
	int rc = 0;

	for (size_t i = 0; i < a->flows.count; i++)
		a->flows.item[i]->keep = false;
	for_each_set(a, s)
	{
		struct applied_flows *f = berm_flow_table_find(a, s->value.flows);

		if (f)
			f->keep = true;
	}
	for (size_t i = 0; i < a->flows.count; i++) {
		if (!a->flows.item[i]->keep && !rc)
			rc = array_push(&gb->flows, a->flows.item[i]);
		if (a->flows.item[i]->keep || rc)
			a->flows.item[kept++] = a->flows.item[i];
	}
	a->flows.count = kept;
	return rc;
}

int berm_garbage_flows(struct berm_apply *a, struct garbage *gb, struct berm_err *err)
{
	struct applied_flows *f;
	int rc;

	while (gb->flows.count) {
		f = gb->flows.item[gb->flows.count - 1];
		rc = a->store->ops->del(a->store, BERM_MAP_flows, f->key, f->count, err);
		if (rc)
			return rc;
		gb->flows.count--;
		a->flow_count -= f->count;
		berm_ids_give(&a->flow_ids, f->id, 1);
		berm_flow_table_free(f);
	}
	return 0;
}

/* ---- read back --------------------------------------------------------------------------------------------------- */

struct element {
	struct berm_flow_key key;
	uint32_t rule;
};

static int by_place(const void *x, const void *y)
{
	const struct element *a = x, *b = y;

	if (a->key.table != b->key.table)
		return a->key.table < b->key.table ? -1 : 1;
	return memcmp(&a->key, &b->key, sizeof(a->key));
}

static bool is_used(const struct berm_apply *a, uint32_t id)
{
	struct applied_set *s;

	for_each_set(a, s) if (s->value.flows == id) return true;
	return false;
}

static int read_table(struct berm_apply *a, const struct element *e, size_t count,
		      struct batch *stray)
{
	uint32_t id = e->key.table;
	struct applied_flows *f;
	int rc = 0;

	if (!id || id >= FLOWS_LIMIT || !is_used(a, id)) {
		for (size_t i = 0; !rc && i < count; i++)
			rc = berm_batch_add(stray, BERM_MAP_flows, &e[i].key, NULL);
		return rc;
	}
	f = berm_flow_table_new(count);
	if (!f || array_push(&a->flows, f)) {
		berm_flow_table_free(f);
		return -ENOMEM;
	}
	f->id = id;
	berm_ids_mark(&a->flow_ids, id, 1);
	a->flow_count += count;
	for (size_t i = 0; i < count; i++) {
		f->key[i] = e[i].key;
		f->rule[i] = e[i].rule;
	}
	return 0;
}

static int read_elements(struct berm_apply *a, struct element *e, size_t count, struct batch *stray)
{
	size_t end;
	int rc = 0;

	qsort(e, count, sizeof(*e), by_place);
	for (size_t at = 0; !rc && at < count; at = end) {
		for (end = at + 1; end < count && e[end].key.table == e[at].key.table;)
			end++;
		rc = read_table(a, e + at, end - at, stray);
	}
	return rc;
}

int berm_applied_read_flows(struct berm_apply *a, struct batch *stray, struct berm_err *err)
{
	struct berm_flow_key *key = NULL;
	uint32_t *rule = NULL;
	struct element *e = NULL;
	size_t count = 0;
	int rc = a->store->ops->list(a->store, BERM_MAP_flows, (void **)&key, (void **)&rule,
				     &count, err);

	if (!rc) {
		e = calloc(count + 1, sizeof(*e));
		rc = e ? 0 : -ENOMEM;
	}
	for (size_t i = 0; !rc && i < count; i++)
		e[i] = (struct element){ key[i], rule[i] };
	if (!rc)
		rc = read_elements(a, e, count, stray);
	free(key);
	free(rule);
	free(e);
	return rc;
}
