// SPDX-License-Identifier: Apache-2.0
/* diff_group.c - pods that both plans treat alike, with all their addresses, are one. Compares nobody with anybody. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "differ.h"
#include "digest.h"

/* Of an address without an entry each table has its own opinion. */
static uint64_t opinions(const struct berm_plan *plan, const struct berm_addr *addr)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < plan->set_count; i++)
		if (plan->set[i].table != DIFF_NONE)
			sum = (sum ^ berm_trial_class(plan, i, addr)) * 0x100000001b3u;
	return sum;
}

static void treat_addr(const struct berm_plan *plan, const struct berm_addr *addr,
		       struct diff_treatment *as, enum diff_side side)
{
	enum diff_family family = diff_family_of(addr);

	if (berm_trial_peer(plan, addr))
		as->cls[side][family] = berm_trial_class(plan, DIFF_NONE, addr);
	else
		as->blocks[side][family] = opinions(plan, addr);
}

/* Of each family the first address counts. */
static const struct berm_addr *addr_of(const struct berm_local_endpoint *ep,
				       enum diff_family family)
{
	for (size_t i = 0; i < ep->addr_count; i++)
		if (diff_family_of(&ep->addr[i]) == family)
			return &ep->addr[i];
	return NULL;
}

static struct diff_treatment treatment_of(const struct berm_differ *d, size_t i)
{
	struct diff_treatment as = { .families = 0 };

	memset(as.cls, 0xff, sizeof(as.cls));
	for (int side = 0; side < DIFF_SIDES; side++) {
		const struct berm_plan *plan = d->trial[side].plan;
		const struct berm_plan_endpoint *ep = &plan->endpoint[i];

		for (int dir = 0; dir < BERM_DIR_COUNT; dir++) {
			as.set[side][DIFF_REAL][dir] = ep->set[dir];
			as.set[side][DIFF_WOULD][dir] =
				ep->would[dir] == DIFF_NONE ? ep->set[dir] : ep->would[dir];
		}
		for (int family = 0; family < DIFF_FAMILIES; family++) {
			const struct berm_addr *addr = addr_of(&d->endpoint[i], family);

			if (!addr)
				continue;
			as.families |= 1u << family;
			treat_addr(plan, addr, &as, side);
		}
	}
	return as;
}

static bool is_same_set(const struct berm_differ *d, uint32_t before, uint32_t after)
{
	if (before == DIFF_NONE || after == DIFF_NONE)
		return before == after;
	return !berm_digest_cmp(&d->trial[DIFF_BEFORE].plan->set[before].id,
				&d->trial[DIFF_AFTER].plan->set[after].id);
}

bool diff_is_same_class(const struct berm_differ *d, const uint32_t cls[DIFF_SIDES])
{
	if (cls[DIFF_BEFORE] == DIFF_NONE || cls[DIFF_AFTER] == DIFF_NONE)
		return cls[DIFF_BEFORE] == cls[DIFF_AFTER];
	return !berm_digest_cmp(&d->trial[DIFF_BEFORE].plan->cls[cls[DIFF_BEFORE]].id,
				&d->trial[DIFF_AFTER].plan->cls[cls[DIFF_AFTER]].id);
}

/* Who has no entry is what the tables of others say: those are their sets' business. */
static void mark_changed(const struct berm_differ *d, struct diff_group *g)
{
	const struct diff_treatment *as = &g->as;

	for (int dir = 0; dir < BERM_DIR_COUNT; dir++)
		for (int word = 0; word < DIFF_WORDS; word++)
			if (!is_same_set(d, as->set[DIFF_BEFORE][word][dir],
					 as->set[DIFF_AFTER][word][dir]))
				g->is_changed = g->is_judged_anew[dir] = true;
	for (int family = 0; family < DIFF_FAMILIES; family++)
		if (!diff_is_same_class(d, (uint32_t[]){ as->cls[DIFF_BEFORE][family],
							 as->cls[DIFF_AFTER][family] }))
			g->is_changed = true;
}

struct member {
	struct diff_treatment as;
	size_t endpoint;
};

static int by_treatment(const void *a, const void *b)
{
	const struct member *x = a, *y = b;
	int rc = memcmp(&x->as, &y->as, sizeof(x->as));

	return rc ? rc : (x->endpoint > y->endpoint) - (x->endpoint < y->endpoint);
}

static int start_group(struct berm_differ *d, const struct member *first)
{
	struct diff_group g = { .as = first->as };

	for (int family = 0; family < DIFF_FAMILIES; family++) {
		const struct berm_addr *addr = addr_of(&d->endpoint[first->endpoint], family);

		if (addr)
			g.addr[family] = *addr;
	}
	mark_changed(d, &g);
	return array_push(&d->group, g);
}

int diff_groups_make(struct berm_differ *d)
{
	size_t count = d->endpoint_count;
	auto_free struct member *m = calloc(count + 1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		m[i] = (struct member){ treatment_of(d, i), i };
	if (count)
		qsort(m, count, sizeof(*m), by_treatment);
	for (size_t i = 0; i < count; i++) {
		struct diff_group *g;

		if ((!i || memcmp(&m[i - 1].as, &m[i].as, sizeof(m[i].as)) != 0) &&
		    start_group(d, &m[i]))
			return -ENOMEM;
		g = &d->group.item[d->group.count - 1];
		if (g->count < DIFF_NAMED_PODS)
			g->pod[g->count] = m[i].endpoint;
		g->count++;
	}
	return 0;
}
