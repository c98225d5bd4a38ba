// SPDX-License-Identifier: Apache-2.0
/*
 * compile_plan.c - from the compiler's numbers to the plan's: everything in an order that depends on
 * content alone. Decides nothing.
 */
#include "compiler.h"

#include <arpa/inet.h>

struct numbering { /* of this compilation -> of the plan */
	uint32_t *cls, *table, *rule, *set, *flows;
};

static int cmp_digest(const void *a, const void *b)
{
	return berm_digest_cmp(a, b);
}

static int cmp_addr(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct berm_addr));
}

/* ---- classes and addresses ------------------------------------------------------------------------------------ */

struct ordered { /* a digest and whose it is */
	struct berm_digest id;
	uint32_t number;
};

static int plan_classes(const struct compiler *c, struct berm_plan *plan, uint32_t *to)
{
	size_t count = c->cls.count;
	struct ordered *order = calloc(count, sizeof(*order));

	plan->cls = calloc(count, sizeof(*plan->cls));
	if (!order || !plan->cls) {
		free(order);
		return -ENOMEM;
	}
	for (size_t i = 0; i < count; i++)
		order[i] = (struct ordered){ c->cls.item[i].id, (uint32_t)i };
	qsort(order + 2, count - 2, sizeof(*order), cmp_digest); /* the worlds stay in front */
	for (size_t i = 0; i < count; i++) {
		to[order[i].number] = (uint32_t)i;
		plan->cls[i].id = order[i].id;
	}
	plan->class_count = count;
	free(order);
	return 0;
}

static int plan_peers(const struct compiler *c, struct berm_plan *plan, const uint32_t *cls)
{
	plan->peer = calloc(c->peer.count + 1, sizeof(*plan->peer));
	if (!plan->peer)
		return -ENOMEM;
	for (size_t i = 0; i < c->peer.count; i++) {
		plan->peer[i].addr = c->peer.item[i].addr;
		plan->peer[i].cls = cls[c->peer.item[i].cls];
		plan->peer[i].flags = c->peer.item[i].flags;
	}
	plan->peer_count = c->peer.count;
	return 0;
}

static bool is_vip(const struct compiler *c, const struct berm_addr *addr)
{
	const struct compile_peer *peer = NULL;

	if (c->peer.count)
		peer = bsearch(addr, c->peer.item, c->peer.count, sizeof(*c->peer.item), cmp_addr);
	return peer && c->cls.item[peer->cls].mark & MARK_VIP;
}

/* One without backends is what its address is anyway. */
static int plan_frontends(const struct compiler *c, struct berm_plan *plan, const uint32_t *cls)
{
	plan->frontend = calloc(c->front_cls.count + 1, sizeof(*plan->frontend));
	if (!plan->frontend)
		return -ENOMEM;
	for (size_t i = 0; i < c->front_cls.count; i++) {
		const struct berm_frontend *f = &c->front.item.item[i];

		if (!f->backend_count && is_vip(c, &f->addr))
			continue;
		plan->frontend[plan->frontend_count++] =
			(struct berm_plan_frontend){ f->addr, f->at, cls[c->front_cls.item[i]] };
	}
	return 0;
}

/* ---- tables ------------------------------------------------------------------------------------------------------- */

static int fill_table(struct berm_plan_table *out, const struct compile_table *t,
		      const uint32_t *cls)
{
	out->id = t->id;
	out->prefix = calloc(t->prefix_count, sizeof(*out->prefix));
	if (!out->prefix)
		return -ENOMEM;
	out->prefix_count = t->prefix_count;
	for (size_t i = 0; i < t->prefix_count; i++) {
		uint32_t class = t->prefix[i].cls;

		out->prefix[i].addr = t->prefix[i].addr;
		out->prefix[i].bits = (uint8_t)t->prefix[i].bits;
		out->prefix[i].cls = class == NONE ? NONE : cls[class];
	}
	return 0;
}

static int plan_tables(const struct compiler *c, struct berm_plan *plan, const uint32_t *cls,
		       uint32_t *to)
{
	struct ordered *order = calloc(c->table.count + 1, sizeof(*order));
	int rc = 0;

	plan->table = calloc(c->table.count + 1, sizeof(*plan->table));
	if (!order || !plan->table) {
		free(order);
		return -ENOMEM;
	}
	for (size_t i = 0; i < c->table.count; i++)
		order[i] = (struct ordered){ c->table.item[i].id, (uint32_t)i };
	qsort(order, c->table.count, sizeof(*order), cmp_digest);
	for (size_t i = 0; !rc && i < c->table.count; i++) {
		to[order[i].number] = (uint32_t)i;
		rc = fill_table(&plan->table[plan->table_count++], &c->table.item[order[i].number],
				cls);
	}
	free(order);
	return rc;
}

/* ---- ports ---------------------------------------------------------------------------------------------------------- */

static int plan_intervals(const struct compiler *c, struct berm_plan *plan)
{
	struct berm_numbers starts = { 0 };
	int rc = 0;

	for (size_t i = 0; !rc && i < c->subject.count; i++)
		for (size_t k = 0; !rc && k < c->subject.item[i].start.count; k++)
			rc = array_push(&starts, c->subject.item[i].start.item[k]);
	berm_numbers_unique(&starts);
	plan->interval = calloc(starts.count + 1, sizeof(*plan->interval));
	if (rc || !plan->interval) {
		array_free(&starts);
		return -ENOMEM;
	}
	for (size_t i = 0; i < starts.count; i++) {
		uint32_t next = i + 1 < starts.count ? starts.item[i + 1] : SPAN_END;

		plan->interval[i].plane = (uint8_t)(starts.item[i] >> 16);
		plan->interval[i].first = (uint16_t)starts.item[i];
		plan->interval[i].last = (uint16_t)(next - 1);
	}
	plan->interval_count = starts.count;
	array_free(&starts);
	return 0;
}

/* ---- sets ------------------------------------------------------------------------------------------------------------ */

static void digest_rule(const struct compiler *c, struct berm_digester *d,
			const struct compile_rule *r)
{
	static const struct berm_digest everyone = { { 0, 0 } };

	berm_digest_u64(d, (uint64_t)r->precedence << 32 | (uint64_t)r->stage << 16 |
				   r->action << 8 | r->all_ports | (uint64_t)r->rule->app << 20 |
				   (uint64_t)r->rule->rejects_others << 24);
	berm_digest_add(d, r->group == GROUP_ANY ? &everyone : &c->group.item[r->group].id);
	berm_digest_u64(d, r->span_count);
	berm_digest_bytes(d, c->span.item + r->span, r->span_count * sizeof(*c->span.item));
	berm_digest_u64(d, r->name_count);
	for (uint32_t i = 0; i < r->name_count; i++) {
		size_t size;
		const void *key =
			berm_intern_key(&c->port_name, c->rule_name.item[r->name + i], &size);

		berm_digest_bytes(d, key, size);
	}
}

/* How it judges any class, also one that does not exist yet: two sets with one id differ in no row of a
 * class that both know. */
static void digest_judgement(const struct compiler *c, struct berm_digester *d,
			     const struct compile_subject *s)
{
	berm_digest_u64(d, s->dir | s->isolated << 8 | s->default_deny << 9 | s->grants_dns << 10 |
				   s->is_essentials << 11 | s->grants_apiserver << 12 |
				   s->rejects << 13 | s->would << 14);
	berm_digest_u64(d, s->rule.count);
	for (size_t i = 0; i < s->rule.count; i++)
		digest_rule(c, d, &c->rule.item[s->rule.item[i]]);
	berm_digest_u64(d, s->port_count);
	for (size_t i = 0; i < s->port_count; i++) {
		berm_digest_text(d, (const char *)berm_intern_key(&c->port_name, s->port[i].name,
								  NULL) +
					    1);
		berm_digest_u64(d, s->port[i].at);
	}
}

static void digest_extras(struct berm_digester *d, const struct berm_plan_rule *rule)
{
	if (!rule->log && !rule->interval_ns)
		return;
	berm_digest_u64(d, (uint64_t)rule->log << 32 | rule->sample);
	berm_digest_u64(d, rule->interval_ns);
	berm_digest_u64(d, rule->burst);
}

/* ---- flows ----------------------------------------------------------------------------------------------------- */

static void digest_rule_name(struct berm_digester *d, const struct berm_rule_name *n)
{
	berm_digest_u64(d, (uint64_t)n->precedence << 32 | n->id);
	berm_digest_u64(d, (uint64_t)n->flags << 24 | (uint64_t)n->app << 16 |
				   (uint64_t)n->action << 8 | n->reason);
}

static int cmp_flow(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct berm_flow_key)); /* the first member */
}

static struct berm_flow_key flow_key(const struct compile_flow *f)
{
	static const uint32_t proto[] = {
		[BERM_PLANE_TCP] = IPPROTO_TCP,
		[BERM_PLANE_UDP] = IPPROTO_UDP,
		[BERM_PLANE_SCTP] = IPPROTO_SCTP,
	};

	return (struct berm_flow_key){
		.peer = f->peer,
		.local = f->local,
		.local_port = htons(f->local_port),
		.peer_port = htons(f->peer_port),
		.proto = proto[f->plane],
	};
}

static int fill_flows(const struct compiler *c, const struct berm_plan *plan,
		      const struct compile_subject *s, const uint32_t *rule,
		      struct berm_plan_flows *out)
{
	struct berm_digester d;

	out->item = calloc(s->decided.count, sizeof(*out->item));
	if (!out->item)
		return -ENOMEM;
	out->count = s->decided.count;
	for (size_t i = 0; i < out->count; i++) {
		out->item[i].key = flow_key(&c->flow.item[s->decided.item[i].flow]);
		out->item[i].rule = rule[s->decided.item[i].verdict];
	}
	qsort(out->item, out->count, sizeof(*out->item), cmp_flow);
	berm_digest_start(&d);
	for (size_t i = 0; i < out->count; i++) {
		berm_digest_bytes(&d, &out->item[i].key, sizeof(out->item[i].key));
		digest_rule_name(&d, &plan->rule[out->item[i].rule].name);
		digest_extras(&d, &plan->rule[out->item[i].rule]);
	}
	out->id = berm_digest_end(&d);
	return 0;
}

static int cmp_flows(const void *a, const void *b)
{
	return berm_digest_cmp(&((const struct berm_plan_flows *)a)->id,
			       &((const struct berm_plan_flows *)b)->id);
}

static int fill_all_flows(struct compiler *c, struct berm_plan *plan, const uint32_t *rule)
{
	for (size_t i = 0; i < c->subject.count; i++) {
		struct berm_plan_flows *out = &plan->flows[plan->flows_count];

		if (!c->subject.item[i].decided.count)
			continue;
		plan->flows_count++;
		if (fill_flows(c, plan, &c->subject.item[i], rule, out))
			return -ENOMEM;
		c->subject.item[i].id = out->id; /* until it has its own */
	}
	return 0;
}

/* Every subject with flows has its own: no two have an address in common. */
static int plan_flows(struct compiler *c, struct berm_plan *plan, const uint32_t *rule,
		      uint32_t *to)
{
	plan->flows = calloc(c->subject.count + 1, sizeof(*plan->flows));
	if (!plan->flows || fill_all_flows(c, plan, rule))
		return -ENOMEM;
	qsort(plan->flows, plan->flows_count, sizeof(*plan->flows), cmp_flows);
	for (size_t i = 0; i < c->subject.count; i++) {
		const struct berm_plan_flows want = { .id = c->subject.item[i].id }, *found;

		to[i] = NONE;
		if (!c->subject.item[i].decided.count)
			continue;
		found = bsearch(&want, plan->flows, plan->flows_count, sizeof(*plan->flows),
				cmp_flows);
		to[i] = (uint32_t)(found - plan->flows);
	}
	return 0;
}

static void digest_matrix(struct berm_digester *d, const struct compile_subject *s,
			  const struct berm_plan *plan, const struct berm_plan_set *set)
{
	berm_digest_u64(d,
			(uint64_t)set->nrows << 32 | (uint64_t)set->ncols << 16 | set->default_row);
	for (size_t i = 0; i < (size_t)set->nrows * set->ncols; i++) {
		digest_rule_name(d, &plan->rule[set->cell[i]].name);
		digest_extras(d, &plan->rule[set->cell[i]]);
	}
	for (size_t i = 0; i < s->start.count; i++) /* by port number: others' cuts do not matter */
		if (!i || s->col[i] != s->col[i - 1])
			berm_digest_u64(d, (uint64_t)s->start.item[i] << 8 | s->col[i]);
	if (set->table != NONE)
		berm_digest_add(d, &plan->table[set->table].id);
	if (set->flows != NONE)
		berm_digest_add(d, &plan->flows[set->flows].id);
}

struct row_order {
	const uint32_t *cell; /* plan rules */
	size_t ncols;
};

static int cmp_row(const void *a, const void *b, void *order)
{
	const struct row_order *o = order;
	const uint32_t *x = o->cell + *(const uint32_t *)a * o->ncols,
		       *y = o->cell + *(const uint32_t *)b * o->ncols;

	for (size_t i = 0; i < o->ncols; i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return 0;
}

/* Rows by their cells, whoever was met first. Rules are in order of their ids by now. */
static int sort_rows(const struct compile_subject *s, const uint32_t *rule,
		     struct berm_plan_set *out, uint32_t *to)
{
	size_t cells = (size_t)s->nrows * s->ncols;
	uint32_t *cell = calloc(cells + 1, sizeof(*cell)), *from = calloc(s->nrows, sizeof(*from));
	struct row_order order = { cell, s->ncols };

	if (!cell || !from) {
		free(cell);
		free(from);
		return -ENOMEM;
	}
	for (size_t i = 0; i < cells; i++)
		cell[i] = rule[s->cell.item[i]];
	for (uint32_t i = 0; i < s->nrows; i++)
		from[i] = i;
	qsort_r(from, s->nrows, sizeof(*from), cmp_row, &order);
	for (uint32_t i = 0; i < s->nrows; i++) {
		to[from[i]] = i;
		memcpy(out->cell + i * s->ncols, cell + from[i] * s->ncols,
		       s->ncols * sizeof(*cell));
	}
	free(cell);
	free(from);
	return 0;
}

static void spread_columns(const struct compile_subject *s, const struct berm_plan *plan,
			   uint8_t *col)
{
	size_t at = 0;

	for (size_t i = 0; i < plan->interval_count; i++) {
		uint32_t first = (uint32_t)plan->interval[i].plane << 16 | plan->interval[i].first;

		while (at + 1 < s->start.count && s->start.item[at + 1] <= first)
			at++;
		col[i] = s->col[at];
	}
}

static int fill_set(const struct compiler *c, const struct berm_plan *plan,
		    const struct compile_subject *s, const struct numbering *to,
		    struct berm_plan_set *out)
{
	uint32_t *row = calloc(s->nrows + 1, sizeof(*row));

	out->dir = s->dir;
	out->table = s->table == NONE ? NONE : to->table[s->table];
	out->nrows = (uint16_t)s->nrows;
	out->ncols = (uint16_t)s->ncols;
	out->col = calloc(plan->interval_count, sizeof(*out->col));
	out->cell = calloc((size_t)s->nrows * s->ncols, sizeof(*out->cell));
	out->row = calloc(plan->class_count, sizeof(*out->row));
	if (!row || !out->col || !out->cell || !out->row || sort_rows(s, to->rule, out, row)) {
		free(row);
		return -ENOMEM;
	}
	spread_columns(s, plan, out->col);
	out->default_row = (uint16_t)row[s->default_row];
	for (size_t i = 0; i < c->cls.count; i++)
		out->row[to->cls[i]] = (uint16_t)row[s->row[i]];
	free(row);
	return 0;
}

static void free_set(struct berm_plan_set *set)
{
	free(set->col);
	free(set->cell);
	free(set->row);
}

static int cmp_set(const void *a, const void *b)
{
	const struct berm_plan_set *x = a, *y = b;

	return berm_digest_cmp(&x->id, &y->id);
}

static uint32_t set_with(const struct berm_plan *plan, const struct berm_digest *id)
{
	struct berm_plan_set key = { .id = *id }, *found;

	found = bsearch(&key, plan->set, plan->set_count, sizeof(*plan->set), cmp_set);
	return (uint32_t)(found - plan->set);
}

static void drop_equal_sets(struct berm_plan *plan)
{
	size_t kept = 0;

	qsort(plan->set, plan->set_count, sizeof(*plan->set), cmp_set);
	for (size_t i = 0; i < plan->set_count; i++) {
		if (kept && !cmp_set(&plan->set[kept - 1], &plan->set[i]))
			free_set(&plan->set[i]);
		else
			plan->set[kept++] = plan->set[i];
	}
	plan->set_count = kept;
}

static int plan_sets(struct compiler *c, struct berm_plan *plan, const struct numbering *to)
{
	plan->set = calloc(c->subject.count, sizeof(*plan->set));
	if (!plan->set)
		return -ENOMEM;
	for (size_t i = 0; i < c->subject.count; i++) {
		struct compile_subject *s = &c->subject.item[i];
		struct berm_plan_set *set = &plan->set[plan->set_count++];
		struct berm_digester d;

		if (fill_set(c, plan, s, to, set))
			return -ENOMEM;
		set->flows = to->flows[i];
		berm_digest_start(&d);
		digest_judgement(c, &d, s);
		set->judgement = berm_digest_end(&d);
		berm_digest_start(&d);
		berm_digest_add(&d, &set->judgement);
		digest_matrix(&d, s, plan, set);
		set->id = s->id = berm_digest_end(&d);
	}
	drop_equal_sets(plan);
	for (size_t i = 0; i < c->subject.count; i++)
		to->set[i] = set_with(plan, &c->subject.item[i].id);
	plan->essentials = to->set[0];
	return 0;
}

/* ---- endpoints ---------------------------------------------------------------------------------------------------------- */

static void fill_endpoint(const struct compiler *c, size_t i, const uint32_t *set,
			  struct berm_plan_endpoint *out)
{
	static const uint32_t isolated[] = { BERM_EP_ISOLATED_IN, BERM_EP_ISOLATED_OUT };
	static const uint32_t change[][BERM_DIR_COUNT] = {
		[BERM_CHANGE_RECHECK] = { 0, 0 },
		[BERM_CHANGE_KEEP] = { BERM_EP_KEEP_IN, BERM_EP_KEEP_OUT },
		[BERM_CHANGE_RESET] = { BERM_EP_RESET_IN, BERM_EP_RESET_OUT },
	};
	const struct compile_endpoint *ep = &c->endpoint[i];

	out->slot = c->model->endpoints[i].slot;
	out->ifindex = c->model->endpoints[i].ifindex;
	out->judged = ep->pod != NULL;
	out->allowed_table = NONE;
	for (int dir = 0; dir < BERM_DIR_COUNT; dir++) {
		const struct compile_subject *s;

		out->set[dir] = NONE;
		out->would[dir] = ep->would[dir] == NONE ? NONE : set[ep->would[dir]];
		if (ep->subject[dir] == NONE)
			continue;
		s = &c->subject.item[ep->subject[dir]];
		out->set[dir] = set[ep->subject[dir]];
		if (s->isolated || s->default_deny)
			out->flags |= isolated[dir];
		out->flags |= change[s->on_change][dir];
	}
}

static int plan_endpoints(const struct compiler *c, struct berm_plan *plan,
			  const struct numbering *to)
{
	size_t count = c->model->endpoint_count;

	plan->endpoint = calloc(count + 1, sizeof(*plan->endpoint));
	if (!plan->endpoint)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		fill_endpoint(c, i, to->set, &plan->endpoint[i]);
		if (c->endpoint[i].allowed != NONE)
			plan->endpoint[i].allowed_table = to->table[c->endpoint[i].allowed];
	}
	plan->endpoint_count = count;
	return 0;
}

/* ---- the whole ----------------------------------------------------------------------------------------------------------- */

static int plan_all(struct compiler *c, struct berm_plan *plan, const struct numbering *to)
{
	if (!to->cls || !to->table || !to->rule || !to->set || !to->flows)
		return -ENOMEM;
	if (plan_classes(c, plan, to->cls) || plan_peers(c, plan, to->cls) ||
	    plan_frontends(c, plan, to->cls) || plan_tables(c, plan, to->cls, to->table) ||
	    plan_intervals(c, plan) || berm_compile_names(c, plan, to->rule) ||
	    plan_flows(c, plan, to->rule, to->flows) || plan_sets(c, plan, to) ||
	    plan_endpoints(c, plan, to) || berm_compile_isolation(c, plan))
		return -ENOMEM;
	return 0;
}

int berm_compile_plan(struct compiler *c, struct berm_plan *plan)
{
	struct numbering to = {
		.cls = calloc(c->cls.count + 1, sizeof(*to.cls)),
		.table = calloc(c->table.count + 1, sizeof(*to.table)),
		.rule = calloc(c->verdict.count + 1, sizeof(*to.rule)),
		.set = calloc(c->subject.count + 1, sizeof(*to.set)),
		.flows = calloc(c->subject.count + 1, sizeof(*to.flows)),
	};
	int rc = plan_all(c, plan, &to);

	c->plan_class = to.cls; /* for who follows */
	free(to.table);
	free(to.rule);
	free(to.set);
	free(to.flows);
	return rc;
}

void berm_plan_free(struct berm_plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->table_count; i++)
		free(plan->table[i].prefix);
	for (size_t i = 0; i < plan->set_count; i++)
		free_set(&plan->set[i]);
	for (size_t i = 0; i < plan->flows_count; i++)
		free(plan->flows[i].item);
	free(plan->flows);
	free(plan->cls);
	free(plan->peer);
	free(plan->frontend);
	free(plan->table);
	free(plan->interval);
	free(plan->rule);
	free(plan->set);
	free(plan->endpoint);
	free(plan->ns);
	free(plan);
}
