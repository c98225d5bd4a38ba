/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_table.c - CIDR tables. A table is written once, complete, under an id of its own, and never
 * changed: so an address cannot meet half of an update, and the order among prefixes is only a courtesy.
 * Knows nothing of sets.
 */
#include "applied.h"

#include <arpa/inet.h>

struct applied_table *berm_table_find(const struct berm_apply *a, uint32_t id)
{
	for (size_t i = 0; i < a->table.count; i++)
		if (a->table.item[i]->id == id)
			return a->table.item[i];
	return NULL;
}

void berm_table_free(struct applied_table *t)
{
	if (t)
		free(t->prefix);
	free(t);
}

/* Index of the first prefix that is not before (bits, addr) in the order of the table. */
static size_t lower_bound(const struct applied_table *t, uint32_t bits,
			  const struct berm_addr *addr)
{
	size_t low = 0, high = t->count, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (t->prefix[mid].bits > bits ||
		    (t->prefix[mid].bits == bits &&
		     memcmp(&t->prefix[mid].addr, addr, sizeof(*addr)) < 0))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Longest match, as the kernel's trie finds it: one search per length that occurs. */
uint32_t berm_table_class(const struct applied_table *t, const struct berm_addr *addr)
{
	struct berm_addr first;
	uint32_t bits;
	size_t at = 0;

	while (t && at < t->count) {
		bits = t->prefix[at].bits;
		first = berm_addr_network(addr, bits);
		at = lower_bound(t, bits, &first);
		if (at < t->count && t->prefix[at].bits == bits &&
		    berm_addr_same_prefix(&t->prefix[at].addr, addr, t->prefix[at].bits))
			return t->prefix[at].cls;
		if (!bits)
			break;
		memset(&first, 0, sizeof(first));
		at = lower_bound(t, bits - 1, &first);
	}
	return NONE;
}

/* Adds the table to a batch, longest prefix first. */
int berm_table_batch(const struct applied_table *t, struct batch *b)
{
	struct berm_cidr_key key = { .table = htonl(t->id) };
	int rc = 0;

	for (size_t i = 0; !rc && i < t->count; i++) {
		key.prefixlen = 32 + t->prefix[i].bits;
		memcpy(key.addr, &t->prefix[i].addr, sizeof(key.addr));
		rc = berm_batch_add(b, BERM_MAP_cidrs, &key, &t->prefix[i].cls);
	}
	return rc;
}

/* In a table of allowed source addresses being there is all that counts. */
static uint32_t prefix_class(const struct generation *g, uint32_t plan_cls)
{
	return plan_cls == NONE ? BERM_CLASS_WORLD4 : g->cls[plan_cls];
}

static bool is_same(const struct generation *g, const struct applied_table *t,
		    const struct berm_plan_table *p)
{
	if (t->count != p->prefix_count)
		return false;
	for (size_t i = 0; i < t->count; i++)
		if (t->prefix[i].bits != p->prefix[i].bits ||
		    t->prefix[i].cls != prefix_class(g, p->prefix[i].cls) ||
		    memcmp(&t->prefix[i].addr, &p->prefix[i].addr, sizeof(struct berm_addr)) != 0)
			return false;
	return true;
}

static struct applied_table *table_new(const struct generation *g, const struct berm_plan_table *p)
{
	struct applied_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->prefix = calloc(p->prefix_count + 1, sizeof(*t->prefix));
	if (!t->prefix) {
		free(t);
		return NULL;
	}
	t->count = p->prefix_count;
	for (size_t i = 0; i < t->count; i++)
		t->prefix[i] = (struct applied_prefix){ p->prefix[i].addr, p->prefix[i].bits,
							prefix_class(g, p->prefix[i].cls) };
	return t;
}

static int add_new(struct generation *g, size_t i)
{
	struct applied_table *t = table_new(g, &g->plan->table[i]);
	int rc;

	if (!t)
		return -ENOMEM;
	t->id = berm_ids_take(&g->a->table_ids, 1);
	rc = array_push(&g->a->table, t);
	if (rc) {
		berm_table_free(t);
		return rc;
	}
	if (t->id == NONE)
		return berm_refuse(g->err, -ENOSPC, "%zu CIDR tables do not fit (room for %u)",
				   g->plan->table_count, TABLE_LIMIT);
	g->table[i] = t->id;
	return berm_table_batch(t, &g->put[BERM_MAP_cidrs]);
}

int berm_gen_tables(struct generation *g)
{
	struct berm_apply *a = g->a;
	size_t j;
	int rc = 0;

	g->table = calloc(g->plan->table_count + 1, sizeof(*g->table));
	if (!g->table)
		return -ENOMEM;
	for (size_t i = 0; !rc && i < g->plan->table_count; i++) {
		if (!g->table_wanted[i] || !g->plan->table[i].prefix_count)
			continue; /* an empty table is none: the maps could not tell that it exists */
		for (j = 0; j < a->table.count && !is_same(g, a->table.item[j], &g->plan->table[i]);
		     j++)
			;
		if (j < a->table.count)
			g->table[i] = a->table.item[j]->id;
		else
			rc = add_new(g, i);
	}
	return rc;
}
