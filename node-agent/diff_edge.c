/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diff_edge.c - two plans with every pod as an endpoint, side by side. Pods that both plans treat alike are one group; groups of
 * which neither sets nor class have changed are not compared. Knows no document.
 */
#include "diff_edge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "cidr.h"
#include "cleanup.h"
#include "digest.h"
#include "maps.h"
#include "trial.h"

#define NONE	    UINT32_MAX
#define NAMED_PODS  3
#define BEFORE	    0
#define AFTER	    1
#define PAIRS_LIMIT 20000000 /* of groups with changes: -E2BIG */

struct treatment {
	uint32_t set[2][BERM_DIR_COUNT];
	uint32_t cls[2];    /* NONE: as the blocks say */
	uint64_t blocks[2]; /* then what all tables say of the address */
	uint32_t family;    /* of the address that is looked at */
	uint32_t families;  /* of all addresses: 1 IPv4, 2 IPv6 */
};

struct group {
	struct treatment as;
	struct berm_addr addr; /* of its first pod */
	const struct berm_pod *pod[NAMED_PODS];
	size_t count;
	bool is_changed; /* as an end of its own, or as somebody's peer */
};

struct side {			   /* of an edge */
	const struct group *group; /* NULL: a block */
	struct berm_addr addr;
	unsigned int bits;
	bool is_block;
};

struct found { /* the verdict of a connection in one plan */
	bool is_allowed;
	uint8_t dir;
	const struct berm_rule_name *rule;
};

struct comparing {
	struct berm_trial trial[2];
	struct berm_model model[2];  /* borrowed but for endpoints */
	const struct berm_pod **pod; /* of each endpoint */
	size_t pod_count;
	struct berm_local_endpoint *endpoint;
	BERM_ARRAY(struct group) group;
	struct berm_numbers start; /* boundaries of both plans */
	size_t edges;
	cJSON *out;
};

/* ---- everybody is an endpoint ----------------------------------------------------------------------------- */

static const struct berm_local_endpoint *local_of(const struct berm_model *m,
						  const struct berm_pod *pod)
{
	for (size_t i = 0; i < m->endpoint_count; i++)
		if (!strcmp(m->endpoints[i].pod, pod->name) && !strcmp(m->endpoints[i].ns, pod->ns))
			return &m->endpoints[i];
	return NULL;
}

static void add_pod(struct comparing *c, const struct berm_model *m, const struct berm_pod *pod)
{
	const struct berm_local_endpoint *local = local_of(m, pod);
	struct berm_local_endpoint *ep = &c->endpoint[c->pod_count];
	const struct berm_addr *addr = local ? local->addr : pod->addr;
	size_t count = local ? local->addr_count : pod->addr_count;

	if (pod->host_network || pod->finished || !count)
		return;
	ep->slot = ep->ifindex = (uint32_t)c->pod_count + 1;
	memccpy(ep->ns, pod->ns, '\0', sizeof(ep->ns) - 1);
	memccpy(ep->pod, pod->name, '\0', sizeof(ep->pod) - 1);
	memcpy(ep->addr, addr, count * sizeof(*addr));
	ep->addr_count = count;
	c->pod[c->pod_count++] = pod;
}

static int gather(struct comparing *c, const struct berm_model *m)
{
	c->endpoint = calloc(m->pod_count + 1, sizeof(*c->endpoint));
	c->pod = calloc(m->pod_count + 1, sizeof(const struct berm_pod *));
	if (!c->endpoint || !c->pod)
		return -ENOMEM;
	for (size_t i = 0; i < m->pod_count; i++)
		add_pod(c, m, m->pods[i]);
	return 0;
}

static int compile(struct comparing *c, const struct berm_diff_lists *lists, struct berm_err *err)
{
	const struct berm_overlay *policies[2] = { lists->before, lists->after };

	for (int i = BEFORE; i <= AFTER; i++) {
		int rc;

		c->model[i] = *lists->model;
		c->model[i].policies = policies[i]->item;
		c->model[i].policy_count = policies[i]->count;
		c->model[i].endpoints = c->endpoint;
		c->model[i].endpoint_count = c->pod_count;
		rc = berm_trial_run(&c->trial[i], &c->model[i], err);
		if (!rc && !c->trial[i].plan)
			rc = berm_fail(err, -ENOMEM, "compare");
		if (!rc && c->trial[i].problems.count)
			rc = berm_refuse(err, -E2BIG,
					 "with every pod of the cluster looked at, a document is over a limit of the compiler: %s",
					 c->trial[i].problems.item[0].message);
		if (rc)
			return rc;
	}
	return 0;
}

/* ---- groups --------------------------------------------------------------------------------------------------- */

/* Of an address without an entry each table has its own opinion. */
static uint64_t opinions(const struct berm_plan *plan, const struct berm_addr *addr)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < plan->set_count; i++)
		if (plan->set[i].table != NONE)
			sum = (sum ^ berm_trial_class(plan, i, addr)) * 0x100000001b3u;
	return sum;
}

static uint32_t family_of(const struct berm_addr *addr)
{
	return berm_addr_is_v4(addr) ? 1 : 2;
}

static struct treatment treatment_of(const struct comparing *c, size_t i)
{
	const struct berm_addr *addr = &c->endpoint[i].addr[0];
	struct treatment as = { .family = family_of(addr) };

	for (size_t k = 0; k < c->endpoint[i].addr_count; k++)
		as.families |= family_of(&addr[k]);
	for (int t = BEFORE; t <= AFTER; t++) {
		const struct berm_plan *plan = c->trial[t].plan;

		as.set[t][0] = plan->endpoint[i].set[0];
		as.set[t][1] = plan->endpoint[i].set[1];
		as.cls[t] = berm_trial_peer(plan, addr) ? berm_trial_class(plan, NONE, addr) : NONE;
		as.blocks[t] = as.cls[t] == NONE ? opinions(plan, addr) : 0;
	}
	return as;
}

static bool is_same_set(const struct comparing *c, const uint32_t set[2])
{
	if (set[BEFORE] == NONE || set[AFTER] == NONE)
		return set[BEFORE] == set[AFTER];
	return !berm_digest_cmp(&c->trial[BEFORE].plan->set[set[BEFORE]].id,
				&c->trial[AFTER].plan->set[set[AFTER]].id);
}

static bool is_same_class(const struct comparing *c, const struct treatment *as)
{
	if (as->cls[BEFORE] == NONE || as->cls[AFTER] == NONE)
		return as->cls[BEFORE] == as->cls[AFTER];
	return !berm_digest_cmp(&c->trial[BEFORE].plan->cls[as->cls[BEFORE]].id,
				&c->trial[AFTER].plan->cls[as->cls[AFTER]].id);
}

/* Who has no entry is what the tables of others say: those are their sets' business. */
static bool is_changed(const struct comparing *c, const struct treatment *as)
{
	for (int dir = 0; dir < BERM_DIR_COUNT; dir++)
		if (!is_same_set(c, (uint32_t[]){ as->set[BEFORE][dir], as->set[AFTER][dir] }))
			return true;
	return !is_same_class(c, as);
}

struct member {
	struct treatment as;
	size_t pod;
};

static int by_treatment(const void *a, const void *b)
{
	const struct member *x = a, *y = b;
	int rc = memcmp(&x->as, &y->as, sizeof(x->as));

	return rc ? rc : (x->pod > y->pod) - (x->pod < y->pod);
}

static int make_groups(struct comparing *c)
{
	auto_free struct member *m = calloc(c->pod_count + 1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	for (size_t i = 0; i < c->pod_count; i++)
		m[i] = (struct member){ treatment_of(c, i), i };
	if (c->pod_count)
		qsort(m, c->pod_count, sizeof(*m), by_treatment);
	for (size_t i = 0; i < c->pod_count; i++) {
		struct group *g;

		if (!i || memcmp(&m[i - 1].as, &m[i].as, sizeof(m[i].as)) != 0) {
			struct group fresh = { .as = m[i].as,
					       .addr = c->endpoint[m[i].pod].addr[0],
					       .is_changed = is_changed(c, &m[i].as) };

			if (array_push(&c->group, fresh))
				return -ENOMEM;
		}
		g = &c->group.item[c->group.count - 1];
		if (g->count < NAMED_PODS)
			g->pod[g->count] = c->pod[m[i].pod];
		g->count++;
	}
	return 0;
}

static int make_boundaries(struct comparing *c)
{
	for (int t = BEFORE; t <= AFTER; t++) {
		const struct berm_plan *plan = c->trial[t].plan;

		for (size_t i = 0; i < plan->interval_count; i++)
			if (array_push(&c->start, (uint32_t)plan->interval[i].plane << 16 |
							  plan->interval[i].first))
				return -ENOMEM;
	}
	berm_numbers_unique(&c->start);
	return 0;
}

/* ---- a connection ------------------------------------------------------------------------------------------------ */

static bool holds(const struct berm_plan_prefix *p, const struct side *side)
{
	return p->bits <= side->bits && berm_addr_same_prefix(&p->addr, &side->addr, p->bits);
}

/* As a peer of this set. A block is what the longest prefix that holds all of it says: shorter parts of it are blocks of
 * their own. */
static uint32_t class_for(const struct berm_plan *plan, uint32_t set, const struct side *peer)
{
	const struct berm_plan_table *table;

	if (!peer->is_block)
		return berm_trial_class(plan, set, &peer->addr);
	if (set != NONE && plan->set[set].table != NONE) {
		table = &plan->table[plan->set[set].table];
		for (size_t i = 0; i < table->prefix_count; i++)
			if (holds(&table->prefix[i], peer))
				return table->prefix[i].cls;
	}
	return berm_addr_is_v4(&peer->addr) ? 0 : 1;
}

/* What is the same for all ports of a pair. */
struct pair {
	const struct side *from, *to;
	uint32_t set[2][2], cls[2][2]; /* [plan][0 egress of from, 1 ingress of to] */
};

static void make_pair(const struct comparing *c, const struct side *from, const struct side *to,
		      struct pair *p)
{
	p->from = from;
	p->to = to;
	for (int t = BEFORE; t <= AFTER; t++) {
		const struct berm_plan *plan = c->trial[t].plan;

		p->set[t][0] = from->is_block ? NONE : from->group->as.set[t][BERM_EGRESS];
		p->set[t][1] = to->is_block ? NONE : to->group->as.set[t][BERM_INGRESS];
		p->cls[t][0] = class_for(plan, p->set[t][0], to);
		p->cls[t][1] = class_for(plan, p->set[t][1], from);
	}
}

/* The first end that denies decides; where all allow, that of the destination has more to say. */
static struct found judge(const struct comparing *c, const struct pair *p, int t, uint32_t at)
{
	const struct berm_plan *plan = c->trial[t].plan;
	struct berm_trial_verdict out = berm_trial_cell(plan, p->set[t][0], p->cls[t][0], at), in;

	if (!out.is_allowed)
		return (struct found){ false, BERM_EGRESS, out.rule };
	in = berm_trial_cell(plan, p->set[t][1], p->cls[t][1], at);
	if (in.is_allowed && !in.rule && out.rule)
		return (struct found){ true, BERM_EGRESS, out.rule };
	return (struct found){ in.is_allowed, BERM_INGRESS, in.rule };
}

/* ---- telling --------------------------------------------------------------------------------------------------------- */

static cJSON *side_json(const struct side *side)
{
	cJSON *object = cJSON_CreateObject(), *pods;
	char text[BERM_CIDR_STRLEN];

	if (side->is_block) {
		struct berm_cidr cidr = { .addr = side->addr, .v4 = berm_addr_is_v4(&side->addr) };

		cidr.bits = (uint8_t)side->bits;
		berm_cidr_format(&cidr, text);
		cJSON_AddStringToObject(object, "cidr", text);
		return object;
	}
	pods = cJSON_AddArrayToObject(object, "pods");
	for (size_t i = 0; i < side->group->count && i < NAMED_PODS; i++) {
		char name[330];

		snprintf(name, sizeof(name), "%s/%s", side->group->pod[i]->ns,
			 side->group->pod[i]->name);
		cJSON_AddItemToArray(pods, cJSON_CreateString(name));
	}
	cJSON_AddNumberToObject(object, "count", (double)side->group->count);
	return object;
}

static cJSON *found_json(const struct found *f)
{
	cJSON *object = cJSON_CreateObject();
	char text[600];

	cJSON_AddStringToObject(object, "verdict", f->is_allowed ? "Allow" : "Deny");
	cJSON_AddStringToObject(object, "direction", f->dir == BERM_INGRESS ? "ingress" : "egress");
	cJSON_AddStringToObject(object, "by", berm_trial_rule(f->rule, text, sizeof(text)));
	return object;
}

static void add_ports(cJSON *array, uint32_t first, uint32_t last)
{
	static const char *const plane[BERM_PLANE_COUNT] = { "TCP",  "UDP",    "SCTP",
							     "ICMP", "ICMPv6", "other" };
	uint32_t p = first >> 16, low = first & 0xffff, high = last & 0xffff;
	bool has_ports = p <= BERM_PLANE_SCTP;
	char text[40];

	if (low <= 1 && high == 0xffff)
		snprintf(text, sizeof(text), "%s", plane[p]);
	else if (!has_ports)
		snprintf(text, sizeof(text), "%s %u-%u", plane[p], low >> 8, high >> 8);
	else if (low == high)
		snprintf(text, sizeof(text), "%s %u", plane[p], low);
	else
		snprintf(text, sizeof(text), "%s %u-%u", plane[p], low ? low : 1,
			 high); /* nobody listens on port 0 */
	cJSON_AddItemToArray(array, cJSON_CreateString(text));
}

static bool is_same_found(const struct found *a, const struct found *b)
{
	return a->is_allowed == b->is_allowed && a->dir == b->dir && a->rule == b->rule;
}

static cJSON *new_edge(struct comparing *c, const struct pair *p, const struct found f[2])
{
	cJSON *edge;

	c->edges++;
	if (c->edges > BERM_DIFF_EDGES)
		return NULL;
	edge = cJSON_CreateObject();
	cJSON_AddStringToObject(edge, "change", f[AFTER].is_allowed ? "opened" : "closed");
	cJSON_AddItemToObject(edge, "from", side_json(p->from));
	cJSON_AddItemToObject(edge, "to", side_json(p->to));
	cJSON_AddArrayToObject(edge, "ports");
	cJSON_AddItemToObject(edge, "before", found_json(&f[BEFORE]));
	cJSON_AddItemToObject(edge, "after", found_json(&f[AFTER]));
	cJSON_AddItemToArray(c->out, edge);
	return edge;
}

/* Edges of one pair: ports that change for the same reason are one. */
#define PAIR_EDGES 16
struct pair_edges {
	struct found f[PAIR_EDGES][2];
	cJSON *json[PAIR_EDGES];
	size_t count;
};

static cJSON *edge_for(struct comparing *c, const struct pair *p, struct pair_edges *e,
		       const struct found f[2])
{
	size_t i = 0;

	while (i < e->count && !(is_same_found(&e->f[i][BEFORE], &f[BEFORE]) &&
				 is_same_found(&e->f[i][AFTER], &f[AFTER])))
		i++;
	if (i < e->count)
		return e->json[i];
	if (i == PAIR_EDGES)
		return new_edge(c, p, f);
	e->f[i][BEFORE] = f[BEFORE];
	e->f[i][AFTER] = f[AFTER];
	e->json[i] = new_edge(c, p, f);
	e->count++;
	return e->json[i];
}

static void compare_pair(struct comparing *c, const struct side *from, const struct side *to)
{
	struct pair_edges edges = { .count = 0 };
	struct found run[2] = { { 0 } };
	uint32_t first = 0;
	bool has_run = false;
	struct pair p;

	make_pair(c, from, to, &p);
	for (size_t i = 0; i <= c->start.count; i++) {
		bool is_end = i == c->start.count;
		uint32_t at = is_end ? (uint32_t)BERM_PLANE_COUNT << 16 : c->start.item[i];
		struct found f[2] = { { 0 } };
		bool differs;

		for (int t = BEFORE; !is_end && t <= AFTER; t++)
			f[t] = judge(c, &p, t, at);
		differs = !is_end && f[BEFORE].is_allowed != f[AFTER].is_allowed;
		if (has_run && (!differs || at >> 16 != first >> 16 ||
				!is_same_found(&run[BEFORE], &f[BEFORE]) ||
				!is_same_found(&run[AFTER], &f[AFTER]))) {
			cJSON *edge = edge_for(c, &p, &edges, run);

			if (edge)
				add_ports(cJSON_GetObjectItemCaseSensitive(edge, "ports"), first,
					  at - 1);
			has_run = false;
		}
		if (differs && !has_run) {
			run[BEFORE] = f[BEFORE];
			run[AFTER] = f[AFTER];
			first = at;
			has_run = true;
		}
	}
}

/* ---- everybody with everybody ------------------------------------------------------------------------------------- */

static struct side side_of(const struct group *g)
{
	return (struct side){ .group = g, .addr = g->addr, .bits = 128 };
}

static int compare_groups(struct comparing *c, struct berm_err *err)
{
	size_t n = c->group.count, changed = 0;

	for (size_t i = 0; i < n; i++)
		changed += c->group.item[i].is_changed;
	if (changed * n > PAIRS_LIMIT)
		return berm_refuse(
			err, -E2BIG,
			"%zu of %zu groups of pods would be treated otherwise: too many to compare",
			changed, n);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n; k++) {
			const struct group *a = &c->group.item[i], *b = &c->group.item[k];
			struct side from = side_of(a), to = side_of(b);

			if ((!a->is_changed && !b->is_changed) || a->as.family != b->as.family)
				continue;
			if (i != k || a->count > 1) /* a pod reaches itself whatever they say */
				compare_pair(c, &from, &to);
		}
	return 0;
}

struct blocks {
	BERM_ARRAY(struct side) list;
};

static int by_block(const void *a, const void *b)
{
	const struct side *x = a, *y = b;
	int rc = memcmp(&x->addr, &y->addr, sizeof(x->addr));

	return rc ? rc : (x->bits > y->bits) - (x->bits < y->bits);
}

static int add_block(struct blocks *b, struct berm_addr addr, unsigned int bits)
{
	return array_push(&b->list, (struct side){ .addr = addr, .bits = bits, .is_block = true });
}

static int add_table(struct blocks *b, const struct berm_plan *plan, uint32_t set)
{
	uint32_t table = set == NONE ? NONE : plan->set[set].table;

	for (size_t i = 0; table != NONE && i < plan->table[table].prefix_count; i++)
		if (add_block(b, plan->table[table].prefix[i].addr,
			      plan->table[table].prefix[i].bits))
			return -ENOMEM;
	return 0;
}

/* The blocks that either plan's set knows, and what is left of both families. */
static int list_blocks(const struct comparing *c, const struct group *g, int dir, struct blocks *b)
{
	static const uint8_t v4[16] = { [10] = 0xff, [11] = 0xff };
	struct berm_addr any4, any6 = { { 0 } };
	size_t kept = 0;

	memcpy(&any4, v4, sizeof(any4));
	if (add_block(b, any4, 96) || add_block(b, any6, 0) ||
	    add_table(b, c->trial[BEFORE].plan, g->as.set[BEFORE][dir]) ||
	    add_table(b, c->trial[AFTER].plan, g->as.set[AFTER][dir]))
		return -ENOMEM;
	qsort(b->list.item, b->list.count, sizeof(*b->list.item), by_block);
	for (size_t i = 0; i < b->list.count; i++)
		if (!kept || by_block(&b->list.item[kept - 1], &b->list.item[i]) != 0)
			b->list.item[kept++] = b->list.item[i];
	b->list.count = kept;
	return 0;
}

static int compare_with_blocks(struct comparing *c, const struct group *g, int dir, bool *ret_cut)
{
	struct blocks b = { .list = { 0 } };
	struct side own = side_of(g);
	int rc = list_blocks(c, g, dir, &b);

	*ret_cut |= b.list.count > BERM_DIFF_BLOCKS;
	for (size_t i = 0; !rc && i < b.list.count && i < BERM_DIFF_BLOCKS; i++) {
		if (!(family_of(&b.list.item[i].addr) & g->as.families))
			continue;
		if (dir == BERM_INGRESS)
			compare_pair(c, &b.list.item[i], &own);
		else
			compare_pair(c, &own, &b.list.item[i]);
	}
	array_free(&b.list);
	return rc;
}

static int compare_all(struct comparing *c, bool *ret_cut, struct berm_err *err)
{
	int rc = compare_groups(c, err);

	for (size_t i = 0; !rc && i < c->group.count; i++)
		for (int dir = 0; !rc && dir < BERM_DIR_COUNT; dir++) {
			const struct group *g = &c->group.item[i];
			const uint32_t set[2] = { g->as.set[BEFORE][dir], g->as.set[AFTER][dir] };

			if (!is_same_set(c, set))
				rc = compare_with_blocks(c, g, dir, ret_cut);
		}
	return rc;
}

static void comparing_end(struct comparing *c)
{
	berm_trial_clear(&c->trial[BEFORE]);
	berm_trial_clear(&c->trial[AFTER]);
	array_free(&c->group);
	array_free(&c->start);
	free(c->endpoint);
	free(c->pod);
}

int berm_diff_edges(const struct berm_diff_lists *lists, cJSON *out, struct berm_err *err)
{
	struct comparing c = { .out = cJSON_AddArrayToObject(out, "edges") };
	bool is_cut = false;
	int rc = c.out ? gather(&c, lists->model) : -ENOMEM;

	if (rc)
		berm_fail(err, rc, "compare");
	else
		rc = compile(&c, lists, err);
	if (!rc && (make_groups(&c) || make_boundaries(&c)))
		rc = berm_fail(err, -ENOMEM, "compare");
	if (!rc)
		rc = compare_all(&c, &is_cut, err);
	if (!rc) {
		cJSON_AddBoolToObject(out, "changed", c.edges > 0);
		cJSON_AddNumberToObject(out, "edge_count", (double)c.edges);
		cJSON_AddBoolToObject(out, "truncated", is_cut || c.edges > BERM_DIFF_EDGES);
		cJSON_AddNumberToObject(out, "pods", (double)c.pod_count);
		cJSON_AddNumberToObject(out, "groups", (double)c.group.count);
	}
	comparing_end(&c);
	return rc;
}
