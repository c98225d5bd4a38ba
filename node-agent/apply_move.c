/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_move.c - addresses that change their class, and the classes they pass through.
 *
 * While sets are replaced, an address must be in its old row in every set that goes and in its new row in
 * every set that comes or stays. If no class is like that, a transition class is made for all addresses
 * that go the same way; they come to rest after the switch. Frontends move like addresses:
 * one that is not there is what its address is.
 */
#include "applied.h"

#include <asm/byteorder.h>

#include "cleanup.h"

/* ---- who moves where ------------------------------------------------------------------------------------------ */

/* The number of a table among those in play. */
int berm_gen_view(struct generation *g, uint32_t table, uint32_t *ret)
{
	for (*ret = 0; *ret < g->view.count; (*ret)++)
		if (g->view.item[*ret] == table)
			return 0;
	return array_push(&g->view, table);
}

/* The tables that sets use now or will use. */
static int views(struct generation *g)
{
	struct applied_set *s;
	uint32_t view;
	int rc = berm_gen_view(g, 0, &view);

	for_each_set(g->a, s) if (!rc) rc = berm_gen_view(g, s->value.table, &s->view);
	for (size_t i = 0; !rc && i < g->plan->set_count; i++)
		if (g->wanted[i] && !g->set[i] && g->plan->set[i].table != NONE)
			rc = berm_gen_view(g, g->table[g->plan->set[i].table], &view);
	return rc;
}

/* What sets see of an address that is not in berm_peers: view[], or one class for all, which is returned. */
static uint32_t absent_view(const struct generation *g, const struct berm_addr *addr,
			    uint32_t *view)
{
	uint32_t world = berm_addr_is_v4(addr) ? BERM_CLASS_WORLD4 : BERM_CLASS_WORLD6;
	bool same = true;

	view[0] = world;
	for (size_t i = 1; i < g->view.count; i++) {
		view[i] = berm_table_class(g->view_table[i], addr);
		if (view[i] == NONE)
			view[i] = world;
		same = same && view[i] == view[0];
	}
	return same ? world : NONE;
}

static int by_addr(const void *x, const void *y)
{
	return memcmp(x, y, sizeof(struct berm_addr)); /* the first member */
}

static const struct berm_addr node_places[] = {
	{ { 0, 0, 0, 0 } }, /* BERM_PEER_NODE_FRONTENDS: of IPv6, then of IPv4 */
	{ { 0, 0, __constant_htonl(0xffff), 0 } },
};

static bool is_node_place(const struct berm_addr *addr)
{
	return !by_addr(addr, &node_places[0]) || !by_addr(addr, &node_places[1]);
}

static int cmp_front(const void *x, const void *y)
{
	const struct applied_front *a = x, *b = y;
	int rc = by_addr(&a->addr, &b->addr);

	return rc ? rc : (a->at > b->at) - (a->at < b->at);
}

/* What a packet to this address and port finds where no frontend stands at the address itself: one that stands
 * at every address of the node, else the address. NONE: the address is not there. */
static uint32_t class_before(const struct generation *g, const struct berm_addr *addr, uint32_t at)
{
	const struct berm_apply *a = g->a;
	const struct applied_front key = { node_places[berm_addr_is_v4(addr)], at, 0 },
				   *front = NULL;
	const struct applied_peer *peer = NULL;

	if (a->peer_count)
		peer = bsearch(addr, a->peer, a->peer_count, sizeof(*peer), by_addr);
	if (peer && peer->flags & BERM_PEER_NODE_FRONTENDS && a->front_count)
		front = bsearch(&key, a->front, a->front_count, sizeof(*front), cmp_front);
	return front ? front->cls : peer ? peer->cls : NONE;
}

static uint32_t plan_class(const struct generation *g, const struct berm_addr *addr, uint32_t at)
{
	const struct berm_plan *plan = g->plan;
	const struct applied_front key = { node_places[berm_addr_is_v4(addr)], at, 0 },
				   *front = NULL;
	const struct berm_plan_peer *peer = NULL;

	if (plan->peer_count)
		peer = bsearch(addr, plan->peer, plan->peer_count, sizeof(*peer), by_addr);
	if (peer && peer->flags & BERM_PEER_NODE_FRONTENDS && plan->frontend_count)
		front = bsearch(&key, g->front, plan->frontend_count, sizeof(*front), cmp_front);
	return front ? front->cls : peer ? g->cls[peer->cls] : NONE;
}

/* The same of every address of the node that had such a frontend; NONE: they are several things. */
static uint32_t node_class(const struct generation *g, const struct berm_addr *place)
{
	const struct berm_apply *a = g->a;
	uint32_t cls = NONE, next;

	for (size_t i = 0; i < a->peer_count; i++) {
		if (!(a->peer[i].flags & BERM_PEER_NODE_FRONTENDS) ||
		    berm_addr_is_v4(&a->peer[i].addr) != berm_addr_is_v4(place))
			continue;
		next = plan_class(g, &a->peer[i].addr, NONE);
		if (next == NONE || (cls != NONE && next != cls))
			return NONE;
		cls = next;
	}
	return cls;
}

/* Of a frontend that is there. After a crash its address may not say yet that there is one. */
static uint32_t front_before(const struct generation *g, const struct change *c,
			     const struct berm_addr *addr)
{
	const struct berm_apply *a = g->a;
	uint32_t flag = is_node_place(&c->addr) ? BERM_PEER_NODE_FRONTENDS : BERM_PEER_FRONTENDS;
	const struct applied_peer *peer = NULL;

	if (a->peer_count)
		peer = bsearch(addr, a->peer, a->peer_count, sizeof(*peer), by_addr);
	if (c->from != NONE && (!peer || peer->flags & flag))
		return c->from;
	return class_before(g, addr, c->at);
}

/* What it becomes where a frontend goes. */
static uint32_t class_after(const struct generation *g, const struct change *c)
{
	return is_node_place(&c->addr) ? node_class(g, &c->addr) : plan_class(g, &c->addr, c->at);
}

/* An address that the frontend stands at; of those that are every address of the node, one. */
static struct berm_addr front_addr(const struct generation *g, const struct berm_addr *addr)
{
	const struct berm_plan *plan = g->plan;

	for (size_t i = 0; is_node_place(addr) && i < plan->peer_count; i++)
		if (plan->peer[i].flags & BERM_PEER_NODE_FRONTENDS &&
		    berm_addr_is_v4(&plan->peer[i].addr) == berm_addr_is_v4(addr))
			return plan->peer[i].addr;
	return *addr;
}

/* is_shaken: of a frontend that goes while what is below it changes too. A packet may have read the old one of
 * the address already: it must still find the frontend, until all such packets have gone.
 *
 * Key of the way an address goes: where to rest, what it was seen as and will be; then the view. */
struct way {
	uint32_t rest, from, to, is_shaken;
	uint32_t view[];
};

static void way_of(const struct generation *g, const struct change *c, struct way *way)
{
	struct berm_addr addr = c->addr;

	*way = (struct way){ c->to, c->from, c->to, false };
	if (c->at != NONE) {
		addr = front_addr(g, &c->addr);
		way->from = front_before(g, c, &addr);
		way->to = c->to == NONE ? class_after(g, c) : c->to;
		way->is_shaken = c->to == NONE &&
				 (is_node_place(&c->addr) ||
				  class_before(g, &addr, c->at) != class_after(g, c));
	}
	if (way->from == NONE)
		way->from = absent_view(g, &addr, way->view);
	if (way->to == NONE)
		way->to = absent_view(g, &addr, way->view);
}

static int change_add(struct generation *g, const struct change *c, struct way *way)
{
	size_t size = sizeof(*way);
	const struct way *key;
	uint32_t number;
	int rc;

	way_of(g, c, way);
	if (way->from == NONE || way->to == NONE)
		size += g->view.count * sizeof(*way->view);
	rc = berm_intern(&g->move_key, way, size, &number);
	if (rc < 0)
		return rc;
	key = berm_intern_key(&g->move_key, number, &size);
	rc = rc ? array_push(&g->move, (struct move){ key->from, key->to, key->rest, key->view,
						      NONE, 0, false, key->is_shaken })
		: 0;
	if (rc)
		return rc;
	g->move.item[number].count++;
	g->move.item[number].has_peers |= c->at == NONE;
	if (array_push(&g->change, *c))
		return -ENOMEM;
	g->change.item[g->change.count - 1].move = number;
	return 0;
}

/* Both lists are sorted by address. */
static int diff(struct generation *g, struct way *way)
{
	const struct berm_apply *a = g->a;
	const struct berm_plan *plan = g->plan;
	size_t i = 0, j = 0;
	struct change c;
	int rc = 0, order;

	while (!rc && (i < a->peer_count || j < plan->peer_count)) {
		order = i == a->peer_count	? 1
			: j == plan->peer_count ? -1
						: memcmp(&a->peer[i].addr, &plan->peer[j].addr,
							 sizeof(struct berm_addr));
		c = (struct change){ .at = NONE,
				     .from = order <= 0 ? a->peer[i].cls : NONE,
				     .to = order >= 0 ? g->cls[plan->peer[j].cls] : NONE,
				     .flags_from = order <= 0 ? a->peer[i].flags : 0,
				     .flags_to = order >= 0 ? plan->peer[j].flags : 0 };
		c.addr = order <= 0 ? a->peer[i].addr : plan->peer[j].addr;
		i += order <= 0;
		j += order >= 0;
		g->arriving += c.from == NONE;
		if (c.from != c.to || c.flags_from != c.flags_to)
			rc = change_add(g, &c, way);
	}
	return rc;
}

/* It stands for many addresses that become several things: there is no one way for it. */
static bool goes_at_once(const struct generation *g, const struct change *c)
{
	return c->to == NONE && is_node_place(&c->addr) && class_after(g, c) == NONE;
}

/* Both are sorted by address and port; g->front is the plan's with kernel classes. */
static int diff_fronts(struct generation *g, struct way *way)
{
	const struct berm_apply *a = g->a;
	const struct applied_front *old = a->front, *new = g->front;
	size_t i = 0, j = 0, count = g->plan->frontend_count;
	struct change c;
	int rc = 0, order;

	while (!rc && (i < a->front_count || j < count)) {
		order = i == a->front_count ? 1 : j == count ? -1 : cmp_front(&old[i], &new[j]);
		c = (struct change){ .from = order <= 0 ? old[i].cls : NONE,
				     .to = order >= 0 ? new[j].cls : NONE,
				     .move = NONE };
		c.addr = order <= 0 ? old[i].addr : new[j].addr;
		c.at = order <= 0 ? old[i].at : new[j].at;
		i += order <= 0;
		j += order >= 0;
		g->arriving_fronts += c.from == NONE;
		if (goes_at_once(g, &c))
			rc = array_push(&g->change, c);
		else if (c.from != c.to)
			rc = change_add(g, &c, way);
	}
	return rc;
}

int berm_gen_changes(struct generation *g)
{
	auto_free struct way *way = NULL;
	int rc = views(g);

	if (rc)
		return rc;
	way = malloc(sizeof(*way) + g->view.count * sizeof(*way->view));
	g->view_table = calloc(g->view.count, sizeof(struct applied_table *));
	if (!way || !g->view_table)
		return -ENOMEM;
	for (size_t i = 0; i < g->view.count; i++)
		g->view_table[i] = berm_table_find(g->a, g->view.item[i]);
	rc = diff(g, way);
	return rc ? rc : diff_fronts(g, way);
}

/* ---- rows along the way ---------------------------------------------------------------------------------------- */

static uint32_t seen_from(const struct move *m, const struct applied_set *s)
{
	return m->from == NONE ? m->view[s->view] : m->from;
}

static uint32_t seen_to(const struct move *m, const struct applied_set *s)
{
	return m->to == NONE ? m->view[s->view] : m->to;
}

static bool moves_row(const struct generation *g, const struct applied_set *s, const struct move *m)
{
	return berm_set_row(s, seen_from(m, s)) != berm_gen_set_row(g, s, seen_to(m, s));
}

/* *differs: for an address; the answer: for an address or a frontend. */
static bool moves_any_row(const struct generation *g, const struct applied_set *s, bool *differs)
{
	bool any = false;

	*differs = false;
	for (size_t i = 0; !*differs && i < g->move.count; i++) {
		const struct move *m = &g->move.item[i];

		if ((any && !m->has_peers) || !moves_row(g, s, m))
			continue;
		any = true;
		*differs = m->has_peers;
	}
	return any;
}

/* A set that one endpoint leaves and another keeps or enters would need both rows of an address that
 * changes its row: then it is replaced for all of them. */
void berm_gen_conflicts(struct generation *g)
{
	struct applied_set *s;

	for_each_set(g->a, s)
	{
		if (s->owner == NONE)
			continue;
		if (!moves_any_row(g, s, &s->differs) || !s->left)
			continue;
		g->set[s->owner] = NULL;
		s->owner = NONE;
		s->differs = false;
	}
}

/* May the addresses go straight to where they rest? */
static bool is_direct(const struct generation *g, const struct move *m)
{
	struct applied_set *s;

	for_each_set(g->a, s) if (berm_set_is_foreign(s) &&
				  berm_set_row(s, seen_from(m, s)) !=
					  berm_set_row(s, seen_to(m, s))) return false;
	return true;
}

/* In sets that go, cls is in the row that m comes from; in the others where it goes, unless rest knows. */
static int rows_of(struct generation *g, const struct move *m, uint32_t cls)
{
	struct applied_set *s;
	int rc = 0;

	for_each_set(g->a, s)
	{
		if (rc)
			break;
		if (berm_set_is_foreign(s))
			rc = berm_gen_row(g, s, cls, berm_set_row(s, seen_from(m, s)));
		else if (cls != m->rest && g->is_made[s->owner])
			rc = berm_set_row_put(s, cls, berm_set_row(s, seen_to(m, s)));
		else if (cls != m->rest)
			rc = berm_gen_row(g, s, cls, berm_set_row(s, seen_to(m, s)));
	}
	return rc;
}

static int transition(struct generation *g, struct move *m)
{
	m->via = berm_gen_class_new(g);
	if (m->via == NONE)
		return berm_refuse(g->err, -ENOSPC,
				   "old and new classes of addresses do not fit side by side "
				   "(room for %u)",
				   CLASS_LIMIT);
	return array_push(&g->passing, m->via) ? -ENOMEM : rows_of(g, m, m->via);
}

/* A class that is new has no row in sets that go: the first move into it may say which. */
static int decide(struct generation *g, struct move *m, bool *claimed)
{
	uint32_t i = m->rest < g->plan_cls_count ? g->plan_cls[m->rest] : NONE;
	bool unclaimed = i != NONE && g->is_new_cls[i] && !claimed[i];

	if (m->is_shaken || (!unclaimed && !is_direct(g, m)))
		return transition(g, m);
	m->via = m->rest;
	if (!unclaimed)
		return 0;
	claimed[i] = true;
	return rows_of(g, m, m->rest);
}

/* A class that is new to a set of which the plan knows nothing is what no rule of it names. */
static int rows_of_strangers(struct generation *g, const bool *claimed)
{
	struct applied_set *s;
	uint32_t cls;
	int rc = 0;

	for_each_set(g->a, s) for (size_t i = 0;
				   !rc && berm_set_is_foreign(s) && i < g->new_cls.count; i++)
	{
		cls = g->new_cls.item[i];
		if (!claimed[g->plan_cls[cls]])
			rc = berm_gen_row(g, s, cls, berm_set_row(s, BERM_CLASS_WORLD4));
	}
	return rc;
}

/* The broadest way first: it is the one that should go straight. */
int berm_gen_moves(struct generation *g)
{
	auto_free bool *claimed = calloc(g->plan->class_count + 1, sizeof(*claimed));
	uint32_t most = 1, next;
	int rc = claimed ? 0 : -ENOMEM;

	for (uint32_t size = UINT32_MAX; !rc && most; size = most) {
		most = 0;
		for (size_t i = 0; !rc && i < g->move.count; i++) {
			next = g->move.item[i].count;
			if (next == size)
				rc = decide(g, &g->move.item[i], claimed);
			else if (next < size && next > most)
				most = next;
		}
	}
	return rc ? rc : rows_of_strangers(g, claimed);
}

/* Addresses and frontends to write, and those to delete. */
struct seen {
	struct batch *peer_put, *peer_del, *front_put, *front_del;
};

static int seen_add(const struct seen *out, const struct change *c, uint32_t cls, uint32_t flags)
{
	const struct berm_frontend_key key = { .addr = c->addr, .at = c->at };
	const struct berm_peer value = { .cls = cls | flags };

	if (c->at == NONE && cls == NONE)
		return berm_batch_add(out->peer_del, BERM_MAP_peers, &c->addr, NULL);
	if (c->at == NONE)
		return berm_batch_add(out->peer_put, BERM_MAP_peers, &c->addr, &value);
	if (cls == NONE)
		return berm_batch_add(out->front_del, BERM_MAP_frontends, &key, NULL);
	return berm_batch_add(out->front_put, BERM_MAP_frontends, &key, &value);
}

/* What is written before the switch. Whoever has frontends before or after is asked for them meanwhile. */
int berm_gen_peers(struct generation *g)
{
	const struct seen out = { &g->put[BERM_MAP_peers], &g->peer_del,
				  &g->put[BERM_MAP_frontends], &g->front_del };
	const struct change *c;
	int rc = 0;

	for (size_t i = 0; !rc && i < g->change.count; i++) {
		c = &g->change.item[i];
		rc = seen_add(&out, c, c->move == NONE ? NONE : g->move.item[c->move].via,
			      c->flags_from | c->flags_to);
	}
	return rc;
}

/* Back to the classes that they had. */
int berm_gen_peers_undo(struct generation *g, struct berm_err *err)
{
	struct berm_store *store = g->a->store;
	struct batch put = { 0 }, del = { 0 }, front_put = { 0 }, front_del = { 0 };
	const struct seen back = { &put, &del, &front_put, &front_del };
	const struct change *c;
	int rc = 0;

	for (size_t i = 0; !rc && i < g->change.count; i++) {
		c = &g->change.item[i];
		rc = seen_add(&back, c, c->from, c->flags_from);
	}
	if (!rc)
		rc = store->ops->put(store, BERM_MAP_frontends, front_put.key, front_put.value,
				     front_put.count, err);
	if (!rc)
		rc = store->ops->del(store, BERM_MAP_peers, del.key, del.count, err);
	if (!rc)
		rc = store->ops->put(store, BERM_MAP_peers, put.key, put.value, put.count, err);
	if (!rc)
		rc = store->ops->del(store, BERM_MAP_frontends, front_del.key, front_del.count,
				     err);
	berm_batch_clear(&put);
	berm_batch_clear(&del);
	berm_batch_clear(&front_put);
	berm_batch_clear(&front_del);
	return rc;
}

/* Of a set that is being made: does an address go to another row than its rules give the old class? */
static bool moves_here(const struct generation *g, const struct applied_set *s,
		       const struct move *m)
{
	uint32_t from = seen_from(m, s);

	if (!m->has_peers)
		return false;
	if (from >= BERM_CLASS_FIRST && (from >= g->plan_cls_count || g->plan_cls[from] == NONE))
		return true; /* it never knew that class */
	return berm_set_row(s, from) != berm_set_row(s, seen_to(m, s));
}

void berm_gen_moved(struct generation *g)
{
	struct applied_set *s;

	for_each_set(g->a, s)
	{
		s->moves = false;
		if (s->owner == NONE || !g->is_made[s->owner])
			continue;
		for (size_t i = 0; !s->moves && i < g->move.count; i++)
			s->moves = moves_here(g, s, &g->move.item[i]);
	}
}
