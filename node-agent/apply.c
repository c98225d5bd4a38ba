/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply.c - the order of a generation (docs/updates.md): prepare, write, switch; undo if it cannot be
 * written. Knows when, not what: that is in the other apply_*.c files.
 */
#include "applied.h"

#include <time.h>

#include "cleanup.h"

/* ---- is it a plan ---------------------------------------------------------------------------------------------- */

static bool intervals_are_whole(const struct berm_plan *plan)
{
	uint32_t next = 0;
	const struct berm_plan_interval *i;

	for (size_t n = 0; n < plan->interval_count; n++) {
		i = &plan->interval[n];
		if (((uint32_t)i->plane << 16 | i->first) != next || i->last < i->first)
			return false;
		next = ((uint32_t)i->plane << 16 | i->last) + 1;
	}
	return next == PORT_SPACE;
}

static bool peers_are_sound(const struct berm_plan *plan)
{
	for (size_t i = 0; i < plan->peer_count; i++)
		if (plan->peer[i].cls >= plan->class_count ||
		    (i && memcmp(&plan->peer[i - 1].addr, &plan->peer[i].addr,
				 sizeof(struct berm_addr)) >= 0))
			return false;
	return true;
}

static bool frontends_are_sound(const struct berm_plan *plan)
{
	const struct berm_plan_frontend *f = plan->frontend;
	int rc;

	for (size_t i = 0; i < plan->frontend_count; i++) {
		rc = i ? memcmp(&f[i - 1].addr, &f[i].addr, sizeof(f->addr)) : -1;
		if (f[i].cls >= plan->class_count || rc > 0 || (!rc && f[i - 1].at >= f[i].at))
			return false;
	}
	return true;
}

static bool table_is_sound(const struct berm_plan *plan, const struct berm_plan_table *t)
{
	const struct berm_plan_prefix *p = t->prefix;

	for (size_t i = 0; i < t->prefix_count; i++)
		if ((p[i].cls != NONE && p[i].cls >= plan->class_count) || p[i].bits > 128 ||
		    (i && p[i].bits > p[i - 1].bits) ||
		    (i && p[i].bits == p[i - 1].bits &&
		     memcmp(&p[i - 1].addr, &p[i].addr, sizeof(struct berm_addr)) >= 0))
			return false;
	return true;
}

static bool set_is_sound(const struct berm_plan *plan, const struct berm_plan_set *s)
{
	if (!s->nrows || !s->ncols || s->ncols > 256 || s->default_row >= s->nrows ||
	    (s->table != NONE && s->table >= plan->table_count))
		return false;
	for (size_t i = 0; i < plan->interval_count; i++)
		if (s->col[i] >= s->ncols)
			return false;
	for (size_t i = 0; i < plan->class_count; i++)
		if (s->row[i] >= s->nrows)
			return false;
	for (size_t i = 0; i < (size_t)s->nrows * s->ncols; i++)
		if (s->cell[i] >= plan->rule_count)
			return false;
	return true;
}

static bool endpoint_is_sound(const struct berm_plan *plan, const struct berm_plan_endpoint *ep)
{
	for (int dir = 0; dir < BERM_DIR_COUNT; dir++)
		if ((ep->set[dir] != NONE && ep->set[dir] >= plan->set_count) ||
		    (ep->would[dir] != NONE && ep->would[dir] >= plan->set_count))
			return false;
	return ep->slot && ep->slot < BERM_MAX_ENDPOINTS && ep->ifindex &&
	       (ep->allowed_table == NONE || ep->allowed_table < plan->table_count);
}

/* A plan that is wrong must not reach the kernel, whatever went wrong before. */
static const char *plan_flaw(const struct berm_plan *plan)
{
	if (plan->class_count < 2)
		return "it lacks the classes of unnamed addresses";
	if (!intervals_are_whole(plan))
		return "its port intervals do not cover all ports once";
	if (!peers_are_sound(plan))
		return "its peers are not sorted or have no class";
	if (!frontends_are_sound(plan))
		return "its frontends are not sorted or have no class";
	for (size_t i = 0; i < plan->table_count; i++)
		if (!table_is_sound(plan, &plan->table[i]))
			return "a CIDR table is not sorted or has a prefix without class";
	for (size_t i = 0; i < plan->set_count; i++)
		if (!set_is_sound(plan, &plan->set[i]))
			return "a matrix points beyond its rows, columns or rules";
	for (size_t i = 0; i < plan->endpoint_count; i++)
		if (!endpoint_is_sound(plan, &plan->endpoint[i]))
			return "an endpoint has no slot, no interface or no such set";
	for (size_t i = 1; i < plan->ns_count; i++)
		if (strcmp(plan->ns[i - 1].name, plan->ns[i].name) >= 0)
			return "its namespaces are not sorted";
	if (plan->essentials != NONE && plan->essentials >= plan->set_count)
		return "the set of essentials does not exist";
	return NULL;
}

/* ---- prepare: nothing is written, all that can be refused is refused ---------------------------------------------- */

static int gen_open(struct generation *g)
{
	const struct berm_plan *plan = g->plan;
	const char *flaw = plan_flaw(plan);

	if (flaw)
		return berm_refuse(g->err, -EINVAL,
				   "the compiled plan is broken, please report: %s", flaw);
	g->set = calloc(plan->set_count + 1, sizeof(struct applied_set *));
	g->wanted = calloc(plan->set_count + 1, sizeof(*g->wanted));
	g->is_made = calloc(plan->set_count + 1, sizeof(*g->is_made));
	g->table_wanted = calloc(plan->table_count + 1, sizeof(*g->table_wanted));
	g->rule_wanted = calloc(plan->rule_count + 1, sizeof(*g->rule_wanted));
	g->tried = calloc(plan->set_count + 1, sizeof(*g->tried));
	g->endpoint = calloc(BERM_MAX_ENDPOINTS, sizeof(*g->endpoint));
	g->peer = calloc(plan->peer_count + 1, sizeof(*g->peer));
	g->front = calloc(plan->frontend_count + 1, sizeof(*g->front));
	return g->front && g->set && g->wanted && g->table_wanted && g->rule_wanted && g->is_made &&
			       g->tried && g->endpoint && g->peer
		       ? 0
		       : -ENOMEM;
}

static void want_endpoint(struct generation *g, const struct berm_plan_endpoint *ep)
{
	for (int dir = 0; dir < BERM_DIR_COUNT; dir++) {
		if (ep->set[dir] != NONE)
			g->wanted[ep->set[dir]] = true;
		if (ep->would[dir] != NONE)
			g->wanted[ep->would[dir]] = true;
	}
	if (ep->allowed_table != NONE)
		g->table_wanted[ep->allowed_table] = true;
}

/* What some endpoint of this node needs; the rest of a plan stays out of the kernel. */
static void gen_wanted(struct generation *g)
{
	const struct berm_plan *plan = g->plan;
	const struct berm_plan_set *s;

	for (uint32_t slot = 0; slot < BERM_MAX_ENDPOINTS; slot++)
		if (g->endpoint[slot] != NONE)
			want_endpoint(g, &plan->endpoint[g->endpoint[slot]]);
	if (plan->essentials != NONE)
		g->wanted[plan->essentials] = true;
	for (size_t i = 0; i < plan->set_count; i++) {
		s = &plan->set[i];
		if (g->wanted[i] && s->table != NONE)
			g->table_wanted[s->table] = true;
		for (size_t n = 0; g->wanted[i] && n < (size_t)s->nrows * s->ncols; n++)
			g->rule_wanted[s->cell[n]] = true;
	}
}

static void gen_close(struct generation *g)
{
	free(g->cls);
	free(g->is_new_cls);
	free(g->plan_cls);
	free(g->table);
	free(g->rule);
	free(g->set);
	free(g->wanted);
	free(g->table_wanted);
	free(g->rule_wanted);
	free(g->is_made);
	free(g->tried);
	free(g->endpoint);
	free(g->pc_plan);
	free(g->view_table);
	free(g->peer);
	free(g->front);
	array_free(&g->new_cls);
	array_free(&g->span);
	array_free(&g->change);
	array_free(&g->move);
	array_free(&g->view);
	array_free(&g->passing);
	berm_intern_free(&g->move_key);
	berm_names_clear(&g->names);
	for (int map = 0; map < BERM_MAP_COUNT; map++)
		berm_batch_clear(&g->put[map]);
	berm_batch_clear(&g->late_set);
	berm_batch_clear(&g->peer_del);
	berm_batch_clear(&g->front_del);
	berm_batch_clear(&g->ns_del);
}

/* Old and new elements stand side by side until the old ones go. */
static int room_for(const struct generation *g, enum berm_map_id map, size_t there, size_t more)
{
	if (there + more <= berm_store_room(map))
		return 0;
	return berm_refuse(g->err, -E2BIG,
			   "%s has room for %zu elements, old and new together would be %zu",
			   berm_map_name(map), berm_store_room(map), there + more);
}

static int gen_room(const struct generation *g)
{
	const struct berm_apply *a = g->a;
	int rc = room_for(g, BERM_MAP_peers, a->peer_count, g->arriving);

	if (!rc)
		rc = room_for(g, BERM_MAP_frontends, a->front_count, g->arriving_fronts);
	if (!rc)
		rc = room_for(g, BERM_MAP_rows, a->row_count, g->put[BERM_MAP_rows].count);
	if (!rc)
		rc = room_for(g, BERM_MAP_cidrs, a->cidr_count, g->put[BERM_MAP_cidrs].count);
	return rc;
}

static int prepare_sets(struct generation *g)
{
	int rc = berm_gen_match(g);

	if (!rc)
		berm_gen_left(g);
	if (!rc)
		rc = berm_gen_changes(g);
	if (!rc)
		berm_gen_conflicts(g);
	if (!rc)
		rc = berm_gen_rows(g);
	if (!rc)
		rc = berm_gen_build(g);
	if (!rc)
		rc = berm_gen_moves(g);
	if (!rc)
		berm_gen_moved(g);
	for (size_t i = 0; !rc && i < g->plan->set_count; i++)
		if (g->is_made[i])
			rc = berm_set_batch(g, g->set[i]);
	return rc;
}

static int prepare(struct generation *g)
{
	int rc = gen_open(g);

	if (rc)
		return rc;
	berm_gen_endpoints(g);
	gen_wanted(g);
	rc = berm_gen_classes(g);
	for (size_t i = 0; !rc && i < g->plan->frontend_count; i++)
		g->front[i] = (struct applied_front){ g->plan->frontend[i].addr,
						      g->plan->frontend[i].at,
						      g->cls[g->plan->frontend[i].cls] };
	if (!rc)
		rc = berm_gen_tables(g);
	if (!rc)
		rc = berm_gen_rules(g);
	if (!rc)
		rc = berm_gen_ports(g);
	if (rc || g->need_cols)
		return rc;
	rc = prepare_sets(g);
	if (!rc)
		rc = berm_gen_peers(g);
	if (!rc)
		rc = berm_gen_names(g);
	if (!rc)
		rc = berm_gen_namespaces(g);
	for (size_t i = 0; !rc && i < g->plan->peer_count; i++)
		g->peer[i] = (struct applied_peer){ g->plan->peer[i].addr,
						    g->cls[g->plan->peer[i].cls],
						    g->plan->peer[i].flags };
	return rc ? rc : gen_room(g);
}

/* ---- write: beside what is in force --------------------------------------------------------------------------------- */

static int put(struct generation *g, enum berm_map_id map, const struct batch *b)
{
	struct berm_store *store = g->a->store;

	g->writes += b->count;
	return b->count ? store->ops->put(store, map, b->key, b->value, b->count, g->err) : 0;
}

static int del(struct generation *g, enum berm_map_id map, const struct batch *b)
{
	struct berm_store *store = g->a->store;

	g->writes += b->count;
	return b->count ? store->ops->del(store, map, b->key, b->count, g->err) : 0;
}

/* What no packet can meet yet. Peers and ports come after. */
int berm_gen_write_unseen(struct generation *g)
{
	static const enum berm_map_id order[] = {
		BERM_MAP_hits, BERM_MAP_rules, BERM_MAP_cidrs,
		BERM_MAP_cols, BERM_MAP_cells, BERM_MAP_rows,
	};
	int rc = 0;

	for (size_t i = 0; !rc && i < ARRAY_SIZE(order); i++)
		rc = put(g, order[i], &g->put[order[i]]);
	return rc ? rc : put(g, BERM_MAP_sets, &g->late_set);
}

static void warn(struct generation *g, const struct berm_err *err)
{
	snprintf(g->warning, sizeof(g->warning), "%.*s", (int)sizeof(g->warning) - 1, err->msg);
}

/* Rule names are for people: a full disk must not hold up a policy, but somebody has to know. */
static void write_names(struct generation *g)
{
	struct berm_store *store = g->a->store;
	struct berm_err err = { 0 };

	if (!g->names.item)
		return;
	g->a->names_stale = store->ops->write_names(store, &g->names, &err) != 0;
	if (g->a->names_stale)
		warn(g, &err);
	berm_names_clear(&g->a->names);
	g->a->names = g->names;
	g->names = (struct berm_names){ 0 };
}

/* Packets meet these at once; all they can find is there. */
static int write_seen(struct generation *g)
{
	int rc = put(g, BERM_MAP_ports, &g->put[BERM_MAP_ports]);

	if (!rc)
		rc = put(g, BERM_MAP_frontends, &g->put[BERM_MAP_frontends]);
	if (!rc)
		rc = put(g, BERM_MAP_peers, &g->put[BERM_MAP_peers]);
	if (!rc)
		rc = put(g, BERM_MAP_ns_isolation, &g->put[BERM_MAP_ns_isolation]);
	if (!rc)
		rc = del(g, BERM_MAP_ns_isolation, &g->ns_del);
	if (!rc)
		rc = del(g, BERM_MAP_peers, &g->peer_del);
	if (!rc)
		rc = del(g, BERM_MAP_frontends, &g->front_del);
	return rc;
}

/* A program reads set, then class. Where loads may overtake each other, it must not find the new set and
 * a class from before. */
static void order_loads(const struct generation *g)
{
#if !defined(__x86_64__) && !defined(__s390x__)
	if (g->put[BERM_MAP_peers].count || g->put[BERM_MAP_frontends].count ||
	    g->put[BERM_MAP_ports].count)
		g->a->store->ops->grace(g->a->store);
#else
	(void)g;
#endif
}

/* Whoever finds this set after a crash judges every session again. */
void berm_set_applying(struct berm_apply *a, bool on)
{
	__atomic_store_n(&a->store->node->applying, on, __ATOMIC_SEQ_CST);
}

/* Nothing of the new generation is in force: put back what packets could meet, and judge again who has
 * met it. The rest is found and deleted when the maps are read back. */
static void undo(struct generation *g)
{
	struct berm_store *store = g->a->store;
	struct batch ports = { 0 };
	struct berm_err err = { 0 };
	int rc = berm_gen_peers_undo(g, &err);

	if (!rc)
		rc = berm_port_units(&g->span, &g->a->span, &ports);
	if (!rc)
		rc = store->ops->put(store, BERM_MAP_ports, ports.key, ports.value, ports.count,
				     &err);
	if (!rc)
		rc = berm_gen_namespaces_undo(g, &err);
	berm_batch_clear(&ports);
	if (rc)
		return; /* the next generation judges everybody again, as after a crash */
	berm_gen_bump(g);
	berm_set_applying(g->a, false);
}

static int write_all(struct generation *g)
{
	int rc = berm_gen_write_unseen(g);

	if (rc)
		return rc;
	write_names(g);
	berm_set_applying(g->a, true);
	rc = write_seen(g);
	order_loads(g);
	if (!rc)
		rc = berm_gen_switch(g);
	if (rc)
		undo(g);
	return rc;
}

/* ---- afterwards -------------------------------------------------------------------------------------------------------- */

static int remember(struct generation *g)
{
	struct berm_apply *a = g->a;

	a->row_count += g->put[BERM_MAP_rows].count;
	a->cidr_count += g->put[BERM_MAP_cidrs].count;
	free(a->peer);
	a->peer = TAKE_PTR(g->peer);
	a->peer_count = g->plan->peer_count;
	free(a->front);
	a->front = TAKE_PTR(g->front);
	a->front_count = g->plan->frontend_count;
	array_free(&a->ns);
	for (size_t i = 0; i < g->plan->ns_count; i++)
		if (array_push(&a->ns, g->plan->ns[i]))
			return -ENOMEM;
	return berm_gen_leave(g);
}

/* Not the same again. */
static bool is_news(const struct generation *g)
{
	return g->writes || g->new_cls.count || g->a->garbage.cls.count || g->a->recover ||
	       !g->a->store->node->generation;
}

/* The generation is in force; all that can still fail is our memory of it, and that can be read back. */
static void commit(struct generation *g)
{
	struct berm_apply *a = g->a;
	struct berm_node *node = a->store->node;
	struct berm_err err = { 0 };

	a->lost = remember(g) != 0;
	array_free(&a->span);
	memcpy(&a->span, &g->span, sizeof(a->span));
	memset(&g->span, 0, sizeof(g->span));
	if (!a->lost && (is_news(g) || a->memo_stale)) {
		a->memo_stale = berm_applied_memo_write(a, &err) != 0;
		if (a->memo_stale)
			warn(g, &err);
	}
	if (is_news(g))
		__atomic_store_n(&node->generation, node->generation + 1, __ATOMIC_SEQ_CST);
	a->recover = false;
	berm_set_applying(g->a, false);
}

static int drain(struct berm_apply *a, struct berm_err *err)
{
	int rc;

	if (a->lost && a->garbage.stage) /* forgotten, but packets may still hold it */
		a->store->ops->grace(a->store);
	rc = a->lost ? berm_applied_read(a, err) : 0;
	while (!rc && a->garbage.stage) {
		a->store->ops->grace(a->store);
		rc = berm_garbage_step(a, err);
	}
	return rc;
}

static int apply_once(struct generation *g)
{
	int rc = drain(g->a, g->err);

	if (!rc)
		rc = prepare(g);
	if (!rc && g->need_cols)
		return -EAGAIN;
	if (!rc)
		rc = write_all(g);
	if (!rc)
		commit(g);
	return rc;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void report(const struct generation *g, uint64_t start, struct berm_apply_result *out)
{
	*out = (struct berm_apply_result){
		.generation = g->a->store->node->generation,
		.writes = g->writes,
		.switched = g->switched,
		.rejudged = g->rejudged,
		.took_ns = now_ns() - start,
	};
	snprintf(out->warning, sizeof(out->warning), "%s", g->warning);
}

static int failed(struct generation *g, int rc)
{
	struct berm_err ignored = { 0 };

	g->a->lost = true;
	(void)berm_applied_read(g->a, &ignored); /* else the next apply begins with it */
	if (g->err && !g->err->code)
		berm_fail(g->err, rc, "out of memory");
	return berm_wrap(g->err, rc, "the policy stays as it was");
}

/* Preparing has taken ids already; the maps know better. */
static int make_wider(struct berm_apply *a, uint32_t need, struct berm_err *err)
{
	int rc;

	a->lost = true;
	rc = drain(a, err);
	return rc ? rc : berm_apply_widen(a, need, err);
}

int berm_apply(struct berm_apply *a, const struct berm_plan *plan, struct berm_apply_result *out,
	       struct berm_err *err)
{
	uint64_t start = now_ns();
	uint32_t wider = 0;
	int rc;

	do {
		struct generation g = { .a = a, .plan = plan, .err = err };

		rc = wider ? make_wider(a, wider, err) : 0;
		if (!rc)
			rc = apply_once(&g);
		wider = g.need_cols;
		if (!rc)
			report(&g, start, out);
		else if (rc != -EAGAIN)
			rc = failed(&g, rc);
		gen_close(&g);
	} while (rc == -EAGAIN);
	return rc;
}

/* ---- for callers ------------------------------------------------------------------------------------------------------ */

uint64_t berm_apply_garbage(const struct berm_apply *a)
{
	/* lost: the next berm_apply finds in the maps what there is to do */
	return a->garbage.stage && !a->lost ? a->garbage.ticket : 0;
}

int berm_apply_collect(struct berm_apply *a, uint64_t ticket, struct berm_err *err)
{
	if (ticket != berm_apply_garbage(a) || !ticket)
		return 0;
	return berm_garbage_step(a, err);
}

uint32_t berm_apply_extent(const struct berm_apply *a, enum berm_map_id map)
{
	switch (map) {
	case BERM_MAP_sets:
		return berm_ids_end(&a->set_ids);
	case BERM_MAP_cols:
		return berm_ids_end(&a->col_units);
	case BERM_MAP_cells:
		return berm_ids_end(&a->cell_units);
	case BERM_MAP_rules:
		return berm_ids_end(&a->rule_ids);
	default:
		return UINT32_MAX;
	}
}

void berm_apply_distrust(struct berm_apply *a)
{
	a->lost = true;
}

int berm_apply_open_store(struct berm_store *store, struct berm_apply **ret, struct berm_err *err)
{
	struct berm_apply *a = calloc(1, sizeof(*a));
	int rc;

	if (!a) {
		store->ops->close(store);
		return berm_fail(err, -ENOMEM, "open the policy maps");
	}
	a->store = store;
	rc = berm_applied_read(a, err);
	if (rc)
		berm_apply_close(a);
	else
		*ret = a;
	return rc;
}

int berm_apply_open(struct berm_maps *maps, struct berm_apply **ret, struct berm_err *err)
{
	struct berm_store *store = NULL;
	int rc = berm_store_open(maps, &store, err);

	return rc ? rc : berm_apply_open_store(store, ret, err);
}

void berm_apply_close(struct berm_apply *a)
{
	if (!a)
		return;
	berm_applied_forget(a);
	a->store->ops->close(a->store);
	free(a);
}

void berm_apply_usage(const struct berm_apply *a, struct berm_apply_usage *out)
{
	*out = (struct berm_apply_usage){
		.classes = a->cls_ids.used,
		.port_classes = a->pc_ids.used,
		.sets = a->set_ids.used,
		.cells = (size_t)a->cell_units.used * BERM_CELLS_PER_BLOCK,
		.rows = a->row_count,
		.peers = a->peer_count,
		.cidrs = a->cidr_count,
		.frontends = a->front_count,
		.rules = a->rule_ids.used,
	};
}

const struct berm_names *berm_apply_names(const struct berm_apply *a)
{
	return &a->names;
}
