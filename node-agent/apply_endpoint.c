/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_endpoint.c - which sets an endpoint gets, and the switch itself. Knows nothing of what sets say.
 *
 * A slot may change hands at any time outside the lock: then the plan's endpoint is not the slot's, and
 * the slot keeps the fallback that its new owner was given.
 */
#include "applied.h"

#include "cleanup.h"

/* What a slot shall have. */
struct target {
	uint32_t set[BERM_DIR_COUNT], would[BERM_DIR_COUNT];
	uint32_t flags, allowed_table;
};

static const struct berm_plan_endpoint *plan_endpoint(const struct generation *g, uint32_t slot)
{
	const struct berm_plan_endpoint *ep;

	if (g->endpoint[slot] == NONE)
		return NULL;
	ep = &g->plan->endpoint[g->endpoint[slot]];
	return ep->ifindex == g->a->store->endpoints[slot].ifindex && ep->judged ? ep : NULL;
}

/* A set that is yet to be made has no id. */
static uint32_t plan_set_id(const struct generation *g, uint32_t plan_set, uint32_t otherwise)
{
	if (plan_set == NONE)
		return otherwise;
	return g->set[plan_set] ? g->set[plan_set]->id : NONE;
}

static struct target target_of(const struct generation *g, uint32_t slot)
{
	const struct berm_plan_endpoint *ep = plan_endpoint(g, slot);
	const struct berm_endpoint *now = &g->a->store->endpoints[slot];
	struct target t = { { now->set[0], now->set[1] },
			    { now->would[0], now->would[1] },
			    now->flags,
			    now->allowed_table };

	for (int dir = 0; dir < BERM_DIR_COUNT; dir++) {
		if (ep) {
			t.set[dir] = plan_set_id(g, ep->set[dir], BERM_SET_OPEN);
			t.would[dir] = plan_set_id(g, ep->would[dir], 0);
		}
		if (!ep && now->flags & BERM_EP_FALLBACK && now->set[dir] >= BERM_SET_ESSENTIALS)
			t.set[dir] = plan_set_id(g, g->plan->essentials, BERM_SET_ESSENTIALS);
	}
	if (ep) {
		t.flags = ep->flags;
		t.allowed_table = ep->allowed_table == NONE ? 0 : g->table[ep->allowed_table];
	}
	return t;
}

/* Plan endpoints by slot, as far as the slot is still theirs. */
void berm_gen_endpoints(struct generation *g)
{
	uint32_t slot;

	for (slot = 0; slot < BERM_MAX_ENDPOINTS; slot++)
		g->endpoint[slot] = NONE;
	for (size_t i = 0; i < g->plan->endpoint_count; i++) {
		slot = g->plan->endpoint[i].slot;
		g->endpoint[slot] = (uint32_t)i;
		if (!plan_endpoint(g, slot))
			g->endpoint[slot] = NONE;
	}
}

static struct applied_set *applied_set(const struct generation *g, uint32_t id)
{
	return id < BERM_MAX_SETS ? g->a->set[id] : NULL;
}

static void leave(const struct generation *g, uint32_t from, uint32_t to)
{
	struct applied_set *s = applied_set(g, from);

	if (s && from != to)
		s->left = true;
}

/* Which sets will some endpoint leave? A slot may be taken with the old essentials until the switch. */
void berm_gen_left(struct generation *g)
{
	const struct berm_apply *a = g->a;
	const struct berm_endpoint *now;
	struct applied_set *essentials = NULL;
	struct target t;

	if (a->store->node->essentials < BERM_MAX_SETS)
		essentials = a->set[a->store->node->essentials];
	if (essentials && plan_set_id(g, g->plan->essentials, 0) != essentials->id)
		essentials->left = true;
	for (uint32_t slot = 1; slot < BERM_MAX_ENDPOINTS; slot++) {
		now = &a->store->endpoints[slot];
		if (!now->ifindex)
			continue;
		t = target_of(g, slot);
		for (int dir = 0; dir < BERM_DIR_COUNT; dir++) {
			leave(g, now->set[dir], t.set[dir]);
			leave(g, now->would[dir], t.would[dir]);
		}
	}
}

static bool is_rejudged(const struct generation *g, const struct target *t)
{
	const struct applied_set *s;

	for (int dir = 0; dir < BERM_DIR_COUNT; dir++) {
		s = t->set[dir] < BERM_MAX_SETS ? g->a->set[t->set[dir]] : NULL;
		if (s && s->differs)
			return true;
	}
	return g->a->recover;
}

/* The same rules, and no address has moved: only frontends lead elsewhere, or to nobody. Those who are
 * connected stay connected to whom they were led to. */
static bool is_alike(const struct generation *g, uint32_t from, uint32_t to)
{
	static const struct berm_digest unknown;
	const struct applied_set *s = from < BERM_MAX_SETS ? g->a->set[from] : NULL;
	const struct applied_set *t = to < BERM_MAX_SETS ? g->a->set[to] : NULL;

	if (from == to)
		return true;
	return s && t && memcmp(&s->judgement, &unknown, sizeof(unknown)) &&
	       !memcmp(&s->judgement, &t->judgement, sizeof(s->judgement)) &&
	       s->value.table == t->value.table && !t->moves && !t->differs;
}

static void use(const struct generation *g, uint32_t id)
{
	struct applied_set *s = applied_set(g, id);

	if (s)
		s->used = true;
}

/* Sets first: while FALLBACK stands, verdicts say that the pod waits to be judged. */
static void switch_slot(struct generation *g, uint32_t slot)
{
	const struct berm_store_ops *ops = g->a->store->ops;
	const struct berm_endpoint *now = &g->a->store->endpoints[slot];
	struct target t = target_of(g, slot);
	bool sets = memcmp(t.set, now->set, sizeof(t.set)) != 0;
	bool alike = is_alike(g, now->set[0], t.set[0]) && is_alike(g, now->set[1], t.set[1]);
	bool audits = memcmp(t.would, now->would, sizeof(t.would)) != 0;
	bool flags = t.flags != now->flags || t.allowed_table != now->allowed_table;

	if (sets)
		ops->switch_sets(g->a->store, slot, t.set);
	if (audits) /* nobody is judged again for it */
		ops->switch_audit(g->a->store, slot, t.would);
	if (flags)
		ops->set_flags(g->a->store, slot, t.flags, t.allowed_table);
	if (!alike || flags || is_rejudged(g, &t)) {
		ops->bump(g->a->store, slot);
		g->rejudged++;
	}
	g->switched += sets;
	g->writes += sets + audits + flags;
	for (int dir = 0; dir < BERM_DIR_COUNT; dir++) {
		use(g, t.set[dir]);
		use(g, t.would[dir]);
	}
}

int berm_gen_switch(struct generation *g)
{
	struct berm_store *store = g->a->store;
	auto_close int lock = -1;
	uint32_t essentials = plan_set_id(g, g->plan->essentials, 0);
	int rc = store->ops->lock(store, &lock, g->err);

	if (rc)
		return rc;
	if (store->node->essentials != essentials) {
		__atomic_store_n(&store->node->essentials, essentials, __ATOMIC_RELEASE);
		g->writes++;
	}
	for (uint32_t slot = 1; slot < BERM_MAX_ENDPOINTS; slot++)
		if (store->endpoints[slot].ifindex)
			switch_slot(g, slot);
	return 0;
}

/* Undone half-way: whoever was judged meanwhile is judged again. */
void berm_gen_bump(struct generation *g)
{
	struct berm_store *store = g->a->store;

	for (uint32_t slot = 1; slot < BERM_MAX_ENDPOINTS; slot++)
		if (store->endpoints[slot].ifindex)
			store->ops->bump(store, slot);
}

/* Endpoints that the plan leaves alone, after addresses have come to rest: nobody has seen to it that their
 * rows are the same. */
void berm_bump_foreign(struct berm_apply *a)
{
	const struct berm_endpoint *ep;
	const struct applied_set *in, *out;

	for (uint32_t slot = 1; slot < BERM_MAX_ENDPOINTS; slot++) {
		ep = &a->store->endpoints[slot];
		in = ep->set[0] < BERM_MAX_SETS ? a->set[ep->set[0]] : NULL;
		out = ep->set[1] < BERM_MAX_SETS ? a->set[ep->set[1]] : NULL;
		if (ep->ifindex &&
		    ((in && berm_set_is_foreign(in)) || (out && berm_set_is_foreign(out))))
			a->store->ops->bump(a->store, slot);
	}
}
