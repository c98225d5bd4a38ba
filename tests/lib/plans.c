/* SPDX-License-Identifier: Apache-2.0 */
/* plans.c - random plans, and what they say. */
#include "plans.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "maps.h"

#define NONE UINT32_MAX

/* Segments of the ports, in the order of the planes. */
static const struct {
	uint32_t first, last;
} segment[PLANS_SEGMENTS] = {
	{ 0, 79 },
	{ 80, 80 },
	{ 81, 442 },
	{ 443, 443 },
	{ 444, 8079 },
	{ 8080, 0xffff },
	{ 0x10000, 0x1ffff },
	{ 0x20000, 0x2ffff },
	{ 0x30000, 0x3ffff },
	{ 0x40000, 0x4ffff },
	{ 0x50000, 0x5ffff },
};

static const struct {
	const char *addr;
	uint8_t bits;
} prefixes[PLANS_PREFIXES] = {
	/* longest first, then by address, as a table has them */
	{ "10.0.0.3", 128 }, { "10.0.0.0", 124 }, { "10.0.0.0", 120 }, { "10.1.0.0", 112 },
	{ "10.0.0.0", 104 }, { "0.0.0.0", 96 },	  { "fd00::", 64 },    { "::", 0 },
};

static const uint32_t front_at[PLANS_FRONTS] = { 80, 443, 0x1003f };

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

uint32_t plans_below(struct plan_world *w, uint32_t limit)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (uint32_t)(w->random >> 11) % limit;
}

static struct berm_addr addr_of(const char *text)
{
	struct berm_addr addr = { { 0 } };

	if (berm_addr_parse(text, &addr))
		abort();
	return addr;
}

static int by_addr(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct berm_addr));
}

static uint32_t random_class(struct plan_world *w)
{
	return 2 + plans_below(w, PLANS_CLASSES);
}

static uint32_t random_set(struct plan_world *w)
{
	return plans_below(w, 4) ? plans_below(w, PLANS_SETS - 1) : NONE;
}

static void random_row(struct plan_world *w, uint8_t row[PLANS_SEGMENTS])
{
	uint8_t rule = (uint8_t)plans_below(w, PLANS_RULES);

	for (int i = 0; i < PLANS_SEGMENTS; i++)
		row[i] = plans_below(w, 3) ? rule : (uint8_t)plans_below(w, PLANS_RULES);
}

static void change_address(struct plan_world *w)
{
	w->cls[plans_below(w, PLANS_ADDRS)] = plans_below(w, 4) ? random_class(w) : NONE;
}

/* All of a class become another one: a label change that concerns many. */
static void change_class(struct plan_world *w)
{
	uint32_t from = random_class(w), to = random_class(w);

	for (int i = 0; i < PLANS_ADDRS; i++)
		if (w->cls[i] == from)
			w->cls[i] = to;
}

static void change_prefix(struct plan_world *w)
{
	w->prefix[plans_below(w, PLANS_TABLES)][plans_below(w, PLANS_PREFIXES)] =
		plans_below(w, 3) ? random_class(w) : NONE;
}

static void change_row(struct plan_world *w)
{
	uint32_t set = plans_below(w, PLANS_SETS), cls = plans_below(w, PLANS_CLASSES + 2);

	if (plans_below(w, 3))
		memcpy(w->said[set][cls], w->said[set][plans_below(w, PLANS_CLASSES + 2)],
		       PLANS_SEGMENTS);
	else
		random_row(w, w->said[set][cls]);
}

static void change_cell(struct plan_world *w)
{
	w->said[plans_below(w, PLANS_SETS)][plans_below(w, PLANS_CLASSES + 2)]
	       [plans_below(w, PLANS_SEGMENTS)] = (uint8_t)plans_below(w, PLANS_RULES);
}

/* A port becomes like its neighbour for everybody: the cut between them can go. */
static void change_column(struct plan_world *w)
{
	uint32_t i = 1 + plans_below(w, 5), from = plans_below(w, 2) ? i - 1 : i,
		 to = from == i ? i - 1 : i;

	for (int s = 0; s < PLANS_SETS; s++)
		for (int c = 0; c < PLANS_CLASSES + 2; c++)
			w->said[s][c][to] = w->said[s][c][from];
	w->merge = true;
}

static void change_endpoint(struct plan_world *w)
{
	struct plan_slot *slot = &w->slot[plans_below(w, PLANS_SLOTS)];

	if (!slot->ifindex || !slot->known)
		return;
	slot->alone = slot->judged && !plans_below(w, 4);
	slot->judged = slot->judged || plans_below(w, 2);
	slot->set[plans_below(w, 2)] = random_set(w);
}

static void change_other(struct plan_world *w)
{
	uint32_t set = plans_below(w, PLANS_SETS);

	w->dirs[plans_below(w, PLANS_NAMESPACES)] = plans_below(w, 4);
	w->merge = plans_below(w, 4);
	w->no_essentials = !plans_below(w, 5);
	w->table[set] = plans_below(w, 3) ? plans_below(w, PLANS_TABLES) : NONE;
}

static void change_front(struct plan_world *w)
{
	w->front[plans_below(w, PLANS_FRONTED + 1)][plans_below(w, PLANS_FRONTS)] =
		plans_below(w, 3) ? random_class(w) : NONE;
}

/* Nobody makes policies of egress any more: all Services go at once. */
static void change_fronts(struct plan_world *w)
{
	for (int i = 0; i <= PLANS_FRONTED; i++)
		for (int k = 0; k < PLANS_FRONTS; k++)
			w->front[i][k] = NONE;
}

/* What a compiler grants: who has frontends is in the map of peers, and the node's addresses are alike. And what
 * an update does not promise (docs/updates.md): the same port at one address of the node and at all of them. */
static void keep_sound(struct plan_world *w)
{
	w->front[0][2] = w->front[PLANS_FRONTED][0] = w->front[PLANS_FRONTED][1] = NONE;
	for (int i = 0; i < PLANS_NODE; i++) {
		if (w->cls[i] == NONE)
			w->cls[i] = 2;
		if (i >= PLANS_FRONTED)
			w->cls[i] = w->cls[PLANS_FRONTED - 1];
	}
}

void plans_change(struct plan_world *w)
{
	static void (*const change[])(struct plan_world *) = {
		change_address, change_address, change_address,	 change_class,	change_prefix,
		change_row,	change_cell,	change_endpoint, change_other,	change_column,
		change_front,	change_front,	change_front,	 change_fronts,
	};

	for (uint32_t n = 1 + plans_below(w, 4); n; n--)
		change[plans_below(w, sizeof(change) / sizeof(change[0]))](w);
	keep_sound(w);
}

void plans_make(struct plan_world *w, uint64_t seed)
{
	char text[BERM_ADDR_STRLEN];

	memset(w, 0, sizeof(*w));
	w->random = seed | 1;
	for (uint32_t i = 0; i < PLANS_ADDRS; i++) {
		snprintf(text, sizeof(text),
			 i < 8	  ? "10.0.0.%u"
			 : i < 11 ? "10.1.0.%u"
				  : "fd00::%u",
			 i);
		w->addr[i] = addr_of(i == 15 ? "2001:db8::1" : i == 14 ? "192.0.2.1" : text);
		w->cls[i] = plans_below(w, 3) ? random_class(w) : NONE;
	}
	qsort(w->addr, PLANS_ADDRS, sizeof(w->addr[0]), by_addr);
	for (int i = 0; i <= PLANS_FRONTED; i++)
		for (int k = 0; k < PLANS_FRONTS; k++)
			w->front[i][k] = plans_below(w, 2) ? random_class(w) : NONE;
	keep_sound(w);
	for (int t = 0; t < PLANS_TABLES; t++)
		for (int p = 0; p < PLANS_PREFIXES; p++)
			w->prefix[t][p] = plans_below(w, 2) ? random_class(w) : NONE;
	for (int s = 0; s < PLANS_SETS; s++) {
		w->table[s] = plans_below(w, 2) ? plans_below(w, PLANS_TABLES) : NONE;
		for (int c = 0; c < PLANS_CLASSES + 2; c++)
			random_row(w, w->said[s][c]);
	}
	for (int i = 0; i < PLANS_SLOTS - 1; i++)
		w->slot[i] = (struct plan_slot){ .ifindex = 10u + (uint32_t)i,
						 .judged = i > 1,
						 .known = true,
						 .set = { random_set(w), random_set(w) },
						 .fallback = (uint32_t)i % 3 };
}

uint32_t plans_port(struct plan_world *w)
{
	uint32_t i = plans_below(w, PLANS_SEGMENTS);

	return segment[i].first + plans_below(w, segment[i].last - segment[i].first + 1);
}

/* ---- from the world to a plan ------------------------------------------------------------------------------------ */

struct making {
	struct plan_world *w;
	struct berm_plan *plan;
	uint32_t cls[PLANS_CLASSES + 2];      /* index in said[] -> plan class, NONE */
	uint32_t world_of[PLANS_CLASSES + 2]; /* back */
	uint32_t segment_of[PLANS_SEGMENTS];  /* plan interval -> a segment of it */
};

static void add_class(struct making *m, uint32_t cls)
{
	struct berm_plan *plan = m->plan;

	if (cls == NONE || m->cls[cls] != NONE)
		return;
	m->cls[cls] = (uint32_t)plan->class_count;
	m->world_of[plan->class_count] = cls;
	plan->cls[plan->class_count++].id = (struct berm_digest){ { 0x1000 + cls, 77 } };
}

static void make_classes(struct making *m)
{
	memset(m->cls, 0xff, sizeof(m->cls));
	m->plan->cls = must(calloc(PLANS_CLASSES + 2, sizeof(*m->plan->cls)));
	add_class(m, 0);
	add_class(m, 1);
	for (int i = 0; i < PLANS_ADDRS; i++)
		add_class(m, m->w->cls[i]);
	for (int i = 0; i <= PLANS_FRONTED; i++)
		for (int k = 0; k < PLANS_FRONTS; k++)
			add_class(m, m->w->front[i][k]);
	for (int t = 0; t < PLANS_TABLES; t++)
		for (int p = 0; p < PLANS_PREFIXES; p++)
			add_class(m, m->w->prefix[t][p]);
}

static bool has_front(const struct plan_world *w, int place)
{
	for (int k = 0; k < PLANS_FRONTS; k++)
		if (w->front[place][k] != NONE)
			return true;
	return false;
}

static uint32_t flags_of(const struct plan_world *w, int addr)
{
	uint32_t flags = 0;

	if (addr < PLANS_FRONTED && has_front(w, 1 + addr))
		flags |= BERM_PEER_FRONTENDS;
	if (addr >= PLANS_FRONTED - 1 && addr < PLANS_NODE && has_front(w, 0))
		flags |= BERM_PEER_NODE_FRONTENDS;
	return flags;
}

static void make_frontends(struct making *m)
{
	struct berm_plan *plan = m->plan;
	const struct berm_addr node = addr_of("0.0.0.0");

	plan->frontend =
		must(calloc((size_t)(PLANS_FRONTED + 1) * PLANS_FRONTS, sizeof(*plan->frontend)));
	for (int i = 0; i <= PLANS_FRONTED; i++)
		for (int k = 0; k < PLANS_FRONTS; k++)
			if (m->w->front[i][k] != NONE)
				plan->frontend[plan->frontend_count++] =
					(struct berm_plan_frontend){ i ? m->w->addr[i - 1] : node,
								     front_at[k],
								     m->cls[m->w->front[i][k]] };
}

static void make_peers(struct making *m)
{
	struct berm_plan *plan = m->plan;

	plan->peer = must(calloc(PLANS_ADDRS, sizeof(*plan->peer)));
	for (int i = 0; i < PLANS_ADDRS; i++)
		if (m->w->cls[i] != NONE)
			plan->peer[plan->peer_count++] =
				(struct berm_plan_peer){ m->w->addr[i], m->cls[m->w->cls[i]],
							 flags_of(m->w, i) };
}

static void make_tables(struct making *m)
{
	struct berm_plan *plan = m->plan;
	struct berm_plan_table *t;

	plan->table = must(calloc(PLANS_TABLES, sizeof(*plan->table)));
	plan->table_count = PLANS_TABLES;
	for (uint32_t i = 0; i < PLANS_TABLES; i++) {
		t = &plan->table[i];
		t->prefix = must(calloc(PLANS_PREFIXES, sizeof(*t->prefix)));
		for (int p = 0; p < PLANS_PREFIXES; p++)
			if (m->w->prefix[i][p] != NONE)
				t->prefix[t->prefix_count++] =
					(struct berm_plan_prefix){ addr_of(prefixes[p].addr),
								   prefixes[p].bits,
								   m->cls[m->w->prefix[i][p]] };
	}
}

static bool same_segment(const struct plan_world *w, int a, int b)
{
	for (int s = 0; s < PLANS_SETS; s++)
		for (int c = 0; c < PLANS_CLASSES + 2; c++)
			if (w->said[s][c][a] != w->said[s][c][b])
				return false;
	return segment[a].first >> 16 == segment[b].first >> 16;
}

static void make_intervals(struct making *m)
{
	struct berm_plan *plan = m->plan;

	plan->interval = must(calloc(PLANS_SEGMENTS, sizeof(*plan->interval)));
	for (int i = 0; i < PLANS_SEGMENTS; i++) {
		if (i && m->w->merge && same_segment(m->w, i - 1, i)) {
			plan->interval[plan->interval_count - 1].last = (uint16_t)segment[i].last;
			continue;
		}
		m->segment_of[plan->interval_count] = (uint32_t)i;
		plan->interval[plan->interval_count++] =
			(struct berm_plan_interval){ (uint8_t)(segment[i].first >> 16),
						     (uint16_t)segment[i].first,
						     (uint16_t)segment[i].last };
	}
}

static void make_rules(struct making *m)
{
	struct berm_plan *plan = m->plan;

	plan->rule = must(calloc(PLANS_RULES, sizeof(*plan->rule)));
	plan->rule_count = PLANS_RULES;
	for (uint32_t i = 0; i < PLANS_RULES; i++) {
		plan->rule[i].name = (struct berm_rule_name){ .id = 2000 + i, .precedence = i };
		plan->rule[i].name.action = i % 2 ? BERM_ACTION_ALLOW : BERM_ACTION_DENY;
		plan->rule[i].name.reason = i % 2 ? BERM_REASON_POLICY_ALLOW
						  : BERM_REASON_POLICY_DENY;
		snprintf(plan->rule[i].name.rule, sizeof(plan->rule[i].name.rule), "rule-%u", i);
	}
}

/* Rows and columns that say the same are one. */
static void make_matrix(struct making *m, uint32_t set, struct berm_plan_set *s)
{
	const struct berm_plan *plan = m->plan;
	uint32_t of_row[PLANS_CLASSES + 2], of_col[PLANS_SEGMENTS];

#define SAID(c, i) m->w->said[set][m->world_of[c]][m->segment_of[i]]
	for (uint32_t i = 0, k, c; i < plan->interval_count; i++) {
		for (k = 0; k < s->ncols; k++) {
			for (c = 0; c < plan->class_count && SAID(c, i) == SAID(c, of_col[k]); c++)
				;
			if (c == plan->class_count)
				break;
		}
		if (k == s->ncols)
			of_col[s->ncols++] = i;
		s->col[i] = (uint8_t)k;
	}
	for (uint32_t c = 0, k, i; c < plan->class_count; c++) {
		for (k = 0; k < s->nrows; k++) {
			for (i = 0; i < plan->interval_count && SAID(c, i) == SAID(of_row[k], i);
			     i++)
				;
			if (i == plan->interval_count)
				break;
		}
		if (k == s->nrows)
			of_row[s->nrows++] = c;
		s->row[c] = (uint16_t)k;
	}
	s->cell = must(calloc((size_t)s->nrows * s->ncols, sizeof(*s->cell)));
	for (uint32_t r = 0; r < s->nrows; r++)
		for (uint32_t k = 0; k < s->ncols; k++)
			s->cell[r * s->ncols + k] = SAID(of_row[r], of_col[k]);
	s->default_row = (uint16_t)plans_below(m->w, s->nrows);
#undef SAID
}

static void make_sets(struct making *m)
{
	struct berm_plan *plan = m->plan;
	struct berm_plan_set *s;

	plan->set = must(calloc(PLANS_SETS, sizeof(*plan->set)));
	plan->set_count = PLANS_SETS;
	for (uint32_t i = 0; i < PLANS_SETS; i++) {
		s = &plan->set[i];
		s->table = m->w->table[i];
		s->col = must(calloc(plan->interval_count, 1));
		s->row = must(calloc(plan->class_count, sizeof(*s->row)));
		make_matrix(m, i, s);
	}
	plan->essentials = m->w->no_essentials ? NONE : PLANS_SETS - 1;
}

static void make_endpoints(struct making *m)
{
	struct berm_plan *plan = m->plan;
	const struct plan_slot *slot;

	plan->endpoint = must(calloc(PLANS_SLOTS, sizeof(*plan->endpoint)));
	for (uint32_t i = 0; i < PLANS_SLOTS; i++) {
		slot = &m->w->slot[i];
		if (slot->ifindex && slot->known)
			plan->endpoint[plan->endpoint_count++] =
				(struct berm_plan_endpoint){ .slot = i + 1,
							     .ifindex = slot->ifindex,
							     .set = { slot->set[0], slot->set[1] },
							     .would = { m->w->slot[(i + 1) % PLANS_SLOTS]
										.set[0],
									NONE },
							     .allowed_table = i % 3 ? NONE : 0,
							     .judged = slot->judged &&
								       !slot->alone };
	}
	plan->ns = must(calloc(PLANS_NAMESPACES, sizeof(*plan->ns)));
	for (int i = 0; i < PLANS_NAMESPACES; i++)
		if (m->w->dirs[i]) {
			snprintf(plan->ns[plan->ns_count].name, sizeof(plan->ns->name), "ns-%d", i);
			plan->ns[plan->ns_count++].dirs = m->w->dirs[i];
		}
}

struct berm_plan *plans_plan(struct plan_world *w)
{
	struct making m = { .w = w, .plan = must(calloc(1, sizeof(struct berm_plan))) };

	make_classes(&m);
	make_peers(&m);
	make_frontends(&m);
	make_tables(&m);
	make_intervals(&m);
	make_rules(&m);
	make_sets(&m);
	make_endpoints(&m);
	return m.plan;
}

/* ---- what a plan says ------------------------------------------------------------------------------------------------ */

static bool holds(const struct berm_plan_prefix *p, const struct berm_addr *addr)
{
	const uint8_t *a = (const uint8_t *)&p->addr, *b = (const uint8_t *)addr;

	for (int i = 0; i < p->bits; i++)
		if ((a[i / 8] ^ b[i / 8]) >> (7 - i % 8) & 1)
			return false;
	return true;
}

static uint32_t class_of(const struct berm_plan *plan, uint32_t table, const struct berm_addr *addr)
{
	for (size_t i = 0; i < plan->peer_count; i++)
		if (!memcmp(&plan->peer[i].addr, addr, sizeof(*addr)))
			return plan->peer[i].cls;
	for (size_t i = 0; table != NONE && i < plan->table[table].prefix_count; i++)
		if (holds(&plan->table[table].prefix[i], addr))
			return plan->table[table].prefix[i].cls;
	return berm_addr_is_v4(addr) ? 0 : 1;
}

bool plans_may_be_front(uint32_t dir, uint32_t addr, uint32_t port)
{
	for (int k = 0; dir == BERM_EGRESS && addr < PLANS_NODE && k < PLANS_FRONTS; k++)
		if (port == front_at[k])
			return true;
	return false;
}

static uint32_t front_class(const struct berm_plan *plan, const struct berm_addr *addr, uint32_t at)
{
	for (size_t i = 0; i < plan->frontend_count; i++)
		if (plan->frontend[i].at == at && !by_addr(&plan->frontend[i].addr, addr))
			return plan->frontend[i].cls;
	return NONE;
}

struct packet_to {
	const struct berm_addr *addr;
	uint32_t dir, port;
};

static uint32_t class_met(const struct berm_plan *plan, uint32_t table, const struct packet_to *p)
{
	const struct berm_addr node = addr_of(berm_addr_is_v4(p->addr) ? "0.0.0.0" : "::");
	uint32_t cls = NONE, flags = 0;

	for (size_t i = 0; p->dir == BERM_EGRESS && i < plan->peer_count; i++)
		if (!by_addr(&plan->peer[i].addr, p->addr))
			flags = plan->peer[i].flags;
	if (flags & BERM_PEER_FRONTENDS)
		cls = front_class(plan, p->addr, p->port);
	if (cls == NONE && flags & BERM_PEER_NODE_FRONTENDS)
		cls = front_class(plan, &node, p->port);
	return cls == NONE ? class_of(plan, table, p->addr) : cls;
}

static uint32_t set_says(const struct berm_plan *plan, uint32_t set, const struct packet_to *p)
{
	const struct berm_plan_set *s = &plan->set[set];
	uint32_t row = s->row[class_met(plan, s->table, p)], i = 0;

	while (((uint32_t)plan->interval[i].plane << 16 | plan->interval[i].last) < p->port)
		i++;
	return plan->rule[s->cell[row * s->ncols + s->col[i]]].name.id;
}

uint32_t plans_judge(const struct berm_plan *plan, const struct plan_slot *slot, uint32_t dir,
		     const struct berm_addr *addr, uint32_t port)
{
	const struct packet_to p = { addr, dir, port };

	if (slot->alone)
		return PLANS_ANY;
	if (slot->known && slot->judged)
		return slot->set[dir] == NONE ? BERM_REASON_NOT_ISOLATED
					      : set_says(plan, slot->set[dir], &p);
	if (slot->fallback == BERM_SET_OPEN)
		return BERM_REASON_NOT_ISOLATED;
	if (slot->fallback == BERM_SET_DENY)
		return BERM_REASON_FALLBACK;
	return plan->essentials == NONE ? BERM_REASON_NO_RULE
					: set_says(plan, plan->essentials, &p);
}
