// SPDX-License-Identifier: Apache-2.0
/*
 * diff_edge.c - two plans with every pod as an endpoint, side by side: everybody with everybody, and with the blocks that policies
 * name. Groups of which neither sets nor classes have changed are not compared.
 */
#include "diff_edge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "differ.h"

struct peer { /* one end: a group, or a block */
	const struct diff_group *group;
	struct berm_addr addr;
	unsigned int bits;
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

static void add_pod(struct berm_differ *d, const struct berm_model *m, const struct berm_pod *pod)
{
	const struct berm_local_endpoint *local = local_of(m, pod);
	struct berm_local_endpoint *ep = &d->endpoint[d->endpoint_count];
	const struct berm_addr *addr = local ? local->addr : pod->addr;
	size_t count = local ? local->addr_count : pod->addr_count;

	if (pod->host_network || pod->finished || !count)
		return;
	ep->slot = ep->ifindex = (uint32_t)d->endpoint_count + 1;
	memccpy(ep->ns, pod->ns, '\0', sizeof(ep->ns) - 1);
	memccpy(ep->pod, pod->name, '\0', sizeof(ep->pod) - 1);
	memcpy(ep->addr, addr, count * sizeof(*addr));
	ep->addr_count = count;
	d->endpoint_count++;
}

static int compile(struct berm_differ *d, const struct berm_model *model, enum diff_side side,
		   struct berm_err *err)
{
	struct berm_model all = *model;
	int rc;

	all.endpoints = d->endpoint;
	all.endpoint_count = d->endpoint_count;
	rc = berm_trial_run(&d->trial[side], &all, err);
	if (!rc && !d->trial[side].plan)
		rc = berm_fail(err, -ENOMEM, "compare");
	if (!rc && d->trial[side].problems.count)
		rc = berm_refuse(err, -E2BIG,
				 "with every pod of the cluster looked at, a document is over a limit of the compiler: %s",
				 d->trial[side].problems.item[0].message);
	if (!rc && diff_fronts_take(d, model, side))
		rc = berm_fail(err, -ENOMEM, "compare");
	return rc;
}

int berm_differ_open(const struct berm_model *model, struct berm_differ **ret, struct berm_err *err)
{
	struct berm_differ *d = calloc(1, sizeof(*d));
	int rc;

	if (d)
		d->endpoint = calloc(model->pod_count + 1, sizeof(*d->endpoint));
	if (!d || !d->endpoint) {
		free(d);
		return berm_fail(err, -ENOMEM, "compare");
	}
	for (size_t i = 0; i < model->pod_count; i++)
		add_pod(d, model, model->pods[i]);
	for (size_t i = 0; i < model->node_addr_count; i++)
		d->node[diff_family_of(&model->node_addrs[i])] = model->node_addrs[i];
	rc = compile(d, model, DIFF_BEFORE, err);
	if (rc)
		berm_differ_close(d);
	else
		*ret = d;
	return rc;
}

void berm_differ_close(struct berm_differ *d)
{
	if (!d)
		return;
	berm_trial_clear(&d->trial[DIFF_BEFORE]);
	berm_trial_clear(&d->trial[DIFF_AFTER]);
	array_free(&d->group);
	array_free(&d->front);
	array_free(&d->start);
	free(d->endpoint);
	free(d);
}

/* ---- what both sides know ----------------------------------------------------------------------------------- */

static int make_boundaries(struct berm_differ *d)
{
	for (int side = 0; side < DIFF_SIDES; side++) {
		const struct berm_plan *plan = d->trial[side].plan;

		for (size_t i = 0; i < plan->interval_count; i++)
			if (array_push(&d->start, (uint32_t)plan->interval[i].plane << 16 |
							  plan->interval[i].first))
				return -ENOMEM;
	}
	berm_numbers_unique(&d->start);
	return 0;
}

static bool has_would(const struct berm_plan *plan)
{
	for (size_t i = 0; i < plan->endpoint_count; i++)
		for (int dir = 0; dir < BERM_DIR_COUNT; dir++)
			if (plan->endpoint[i].would[dir] != DIFF_NONE)
				return true;
	return false;
}

/* ---- a pair --------------------------------------------------------------------------------------------------- */

static bool holds(const struct berm_plan_prefix *p, const struct peer *peer)
{
	return p->bits <= peer->bits && berm_addr_same_prefix(&p->addr, &peer->addr, p->bits);
}

/* As a peer of this set. A block is what the longest prefix that holds all of it says: shorter parts of it are blocks of
 * their own. */
static uint32_t class_for(const struct berm_plan *plan, uint32_t set, const struct peer *peer,
			  enum diff_family family)
{
	const struct berm_plan_table *table;

	if (peer->group)
		return berm_trial_class(plan, set, &peer->group->addr[family]);
	if (set != DIFF_NONE && plan->set[set].table != DIFF_NONE) {
		table = &plan->table[plan->set[set].table];
		for (size_t i = 0; i < table->prefix_count; i++)
			if (holds(&table->prefix[i], peer))
				return table->prefix[i].cls;
	}
	return family == DIFF_V4 ? 0 : 1;
}

static struct diff_ends ends_of(const struct berm_differ *d, const struct peer *from,
				const struct peer *to, enum diff_family family)
{
	const struct peer *own[] = { from, to }, *other[] = { to, from };
	static const int dir[] = { BERM_EGRESS, BERM_INGRESS };
	struct diff_ends ends;

	for (int side = 0; side < DIFF_SIDES; side++)
		for (int word = 0; word < DIFF_WORDS; word++)
			for (int i = 0; i < 2; i++) {
				uint32_t set = own[i]->group
						       ? own[i]->group->as.set[side][word][dir[i]]
						       : DIFF_NONE;

				ends.set[side][word][i] = set;
				ends.cls[side][word][i] =
					class_for(d->trial[side].plan, set, other[i], family);
			}
	return ends;
}

static uint64_t families_of(const struct peer *peer)
{
	return peer->group ? peer->group->as.families : 1u << diff_family_of(&peer->addr);
}

static cJSON *peer_json(const struct berm_differ *d, const struct peer *peer)
{
	return peer->group ? diff_pods_json(d, peer->group)
			   : diff_block_json(&peer->addr, peer->bits);
}

static int compare_pair(struct berm_differ *d, const struct peer *from, const struct peer *to)
{
	static const uint32_t everything[] = { 0, ((uint32_t)BERM_PLANE_COUNT << 16) - 1 };
	uint64_t families = families_of(from) & families_of(to);
	struct diff_changes changes = { .families = 0 };
	int rc = 0;

	for (int family = 0; !rc && family < DIFF_FAMILIES; family++) {
		struct diff_ends ends;

		if (!(families & 1u << family))
			continue;
		ends = ends_of(d, from, to, family);
		rc = diff_ports(d, &ends, everything, &changes, family);
	}
	if (!rc && changes.list.count)
		diff_tell(d, &changes, peer_json(d, from), peer_json(d, to), NULL);
	array_free(&changes.list);
	return rc;
}

/* ---- everybody with everybody ------------------------------------------------------------------------------------- */

static int compare_groups(struct berm_differ *d, struct berm_err *err)
{
	size_t n = d->group.count, changed = 0;
	int rc = 0;

	for (size_t i = 0; i < n; i++)
		changed += d->group.item[i].is_changed;
	if (changed * n > DIFF_PAIRS)
		return berm_refuse(
			err, -E2BIG,
			"%zu of %zu groups of pods would be treated otherwise: too many to compare",
			changed, n);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; !rc && k < n; k++) {
			const struct diff_group *a = &d->group.item[i], *b = &d->group.item[k];

			if (!a->is_changed && !b->is_changed)
				continue;
			if (i != k || a->count > 1) /* a pod reaches itself whatever they say */
				rc = compare_pair(d, &(struct peer){ .group = a },
						  &(struct peer){ .group = b });
		}
	return rc ? berm_fail(err, rc, "compare") : 0;
}

struct blocks {
	BERM_ARRAY(struct peer) list;
};

static int by_block(const void *a, const void *b)
{
	const struct peer *x = a, *y = b;
	int rc = memcmp(&x->addr, &y->addr, sizeof(x->addr));

	return rc ? rc : (x->bits > y->bits) - (x->bits < y->bits);
}

static int add_block(struct blocks *b, struct berm_addr addr, unsigned int bits)
{
	return array_push(&b->list, (struct peer){ .addr = addr, .bits = bits });
}

static int add_table(struct blocks *b, const struct berm_plan *plan, uint32_t set)
{
	uint32_t table = set == DIFF_NONE ? DIFF_NONE : plan->set[set].table;

	for (size_t i = 0; table != DIFF_NONE && i < plan->table[table].prefix_count; i++)
		if (add_block(b, plan->table[table].prefix[i].addr,
			      plan->table[table].prefix[i].bits))
			return -ENOMEM;
	return 0;
}

/* The blocks that either side's sets know, and what is left of both families. */
static int list_blocks(const struct berm_differ *d, const struct diff_group *g, int dir,
		       struct blocks *b)
{
	static const uint8_t v4[16] = { [10] = 0xff, [11] = 0xff };
	struct berm_addr any4, any6 = { { 0 } };
	size_t kept = 0;

	memcpy(&any4, v4, sizeof(any4));
	if (add_block(b, any4, 96) || add_block(b, any6, 0))
		return -ENOMEM;
	for (int side = 0; side < DIFF_SIDES; side++)
		for (int word = 0; word < DIFF_WORDS; word++)
			if (add_table(b, d->trial[side].plan, g->as.set[side][word][dir]))
				return -ENOMEM;
	qsort(b->list.item, b->list.count, sizeof(*b->list.item), by_block);
	for (size_t i = 0; i < b->list.count; i++)
		if (!kept || by_block(&b->list.item[kept - 1], &b->list.item[i]) != 0)
			b->list.item[kept++] = b->list.item[i];
	b->list.count = kept;
	return 0;
}

static int compare_with_blocks(struct berm_differ *d, const struct diff_group *g, int dir)
{
	struct blocks b = { .list = { 0 } };
	struct peer own = { .group = g };
	int rc = list_blocks(d, g, dir, &b);

	d->is_cut |= b.list.count > BERM_DIFF_BLOCKS;
	for (size_t i = 0; !rc && i < b.list.count && i < BERM_DIFF_BLOCKS; i++) {
		if (dir == BERM_INGRESS)
			rc = compare_pair(d, &b.list.item[i], &own);
		else
			rc = compare_pair(d, &own, &b.list.item[i]);
	}
	array_free(&b.list);
	return rc;
}

static int compare_all(struct berm_differ *d, struct berm_err *err)
{
	int rc = compare_groups(d, err);

	if (rc)
		return rc;
	for (size_t i = 0; !rc && i < d->group.count; i++)
		for (int dir = 0; !rc && dir < BERM_DIR_COUNT; dir++)
			if (d->group.item[i].is_judged_anew[dir])
				rc = compare_with_blocks(d, &d->group.item[i], dir);
	if (!rc)
		rc = diff_fronts_compare(d);
	if (!rc)
		rc = diff_flows_compare(d);
	return rc ? berm_fail(err, rc, "compare") : 0;
}

int berm_differ_compare(struct berm_differ *d, const struct berm_model *model, cJSON *out,
			struct berm_err *err)
{
	int rc;

	d->out = cJSON_AddArrayToObject(out, "edges");
	if (!d->out)
		return berm_fail(err, -ENOMEM, "compare");
	rc = compile(d, model, DIFF_AFTER, err);
	if (!rc && (diff_groups_make(d) || make_boundaries(d)))
		rc = berm_fail(err, -ENOMEM, "compare");
	if (rc)
		return rc;
	d->has_would = has_would(d->trial[DIFF_BEFORE].plan) ||
		       has_would(d->trial[DIFF_AFTER].plan);
	rc = compare_all(d, err);
	if (rc)
		return rc;
	cJSON_AddBoolToObject(out, "changed", d->edges > 0);
	cJSON_AddNumberToObject(out, "edge_count", (double)d->edges);
	cJSON_AddBoolToObject(out, "truncated", d->is_cut || d->edges > BERM_DIFF_EDGES);
	cJSON_AddNumberToObject(out, "pods", (double)d->endpoint_count);
	cJSON_AddNumberToObject(out, "groups", (double)d->group.count);
	return 0;
}
