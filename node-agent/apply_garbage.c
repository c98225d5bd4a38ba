/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_garbage.c - what a generation leaves behind, and how it goes: moved addresses come to rest, merged
 * ports are written, elements deleted, ids given back. Every step is preceded by a grace period, which the
 * caller has let pass; no step changes what any packet is told.
 */
#include "applied.h"

#include "cleanup.h"

/* ---- what is left behind ------------------------------------------------------------------------------------ */

static int leave_peers(struct generation *g, struct garbage *gb)
{
	const struct change *c;
	const struct move *m;
	int rc = 0;

	for (size_t i = 0; !rc && i < g->change.count; i++) {
		c = &g->change.item[i];
		if (c->move == NONE)
			continue;
		m = &g->move.item[c->move];
		if (c->at != NONE && m->via != m->rest)
			rc = array_push(&gb->front,
					(struct applied_front){ c->addr, c->at, m->rest });
		else if (c->at == NONE &&
			 (m->via != m->rest || (c->to != NONE && c->flags_from & ~c->flags_to)))
			rc = array_push(&gb->peer,
					(struct applied_peer){ c->addr, m->rest, c->flags_to });
	}
	gb->in_flight = g->peer_del.count > 0 || g->front_del.count > 0 || g->switched;
	return rc;
}

/* Sets that nobody points to any more. */
static int leave_sets(struct generation *g, struct garbage *gb)
{
	struct applied_set *s;
	int rc = 0;

	for_each_set(g->a, s)
	{
		if (rc || !berm_set_is_foreign(s) || s->used)
			continue;
		rc = array_push(&gb->set, s);
		if (!rc)
			g->a->set[s->id] = NULL;
	}
	return rc;
}

static void keep_table(struct berm_apply *a, uint32_t id)
{
	struct applied_table *t = berm_table_find(a, id);

	if (t)
		t->keep = true;
}

static int leave_tables(struct generation *g, struct garbage *gb)
{
	struct berm_apply *a = g->a;
	struct applied_set *s;
	size_t kept = 0;
	int rc = 0;

	for (size_t i = 0; i < a->table.count; i++)
		a->table.item[i]->keep = false;
	for (size_t i = 0; i < g->plan->table_count; i++)
		keep_table(a, g->table[i]); /* 0 is none */
	for_each_set(a, s) keep_table(a, s->value.table);
	for (uint32_t slot = 1; slot < BERM_MAX_ENDPOINTS; slot++)
		if (a->store->endpoints[slot].ifindex)
			keep_table(a, a->store->endpoints[slot].allowed_table);
	for (size_t i = 0; i < a->table.count; i++) {
		if (!a->table.item[i]->keep && !rc)
			rc = array_push(&gb->table, a->table.item[i]);
		if (a->table.item[i]->keep || rc)
			a->table.item[kept++] = a->table.item[i];
	}
	a->table.count = kept;
	return rc;
}

/* Rows of a class in the sets that remain. */
static int leave_rows(const struct berm_apply *a, uint32_t cls, row_keys_t *keys)
{
	struct applied_set *s;
	int rc = 0;

	for_each_set(a, s) if (!rc && berm_set_row(s, cls) != s->value.default_row)
		rc = array_push(keys, (struct berm_row_key){ s->id, cls });
	return rc;
}

static void keep_classes(const struct generation *g, bool *keep)
{
	const struct berm_apply *a = g->a;

	for (size_t i = 0; i < g->plan->class_count; i++)
		keep[g->cls[i]] = true;
	for (size_t i = 0; i < a->table.count; i++)
		for (size_t j = 0; j < a->table.item[i]->count; j++)
			keep[a->table.item[i]->prefix[j].cls] = true;
	for (size_t i = 0; i < g->passing.count; i++)
		keep[g->passing.item[i]] = true;
}

static int leave_classes(struct generation *g, struct garbage *gb)
{
	struct berm_apply *a = g->a;
	auto_free bool *keep = calloc(a->cls_room, sizeof(*keep));
	int rc = keep ? 0 : -ENOMEM;

	if (keep)
		keep_classes(g, keep);
	for (uint32_t cls = BERM_CLASS_FIRST; !rc && cls < a->cls_room; cls++) {
		if (keep[cls] || a->cls[cls].state == CLASS_FREE)
			continue;
		a->cls[cls].state = CLASS_NAMELESS;
		rc = array_push(&gb->cls, cls);
		if (!rc)
			rc = leave_rows(a, cls, &gb->row);
	}
	for (size_t i = 0; !rc && i < g->passing.count; i++) {
		rc = array_push(&gb->late_cls, g->passing.item[i]);
		if (!rc)
			rc = leave_rows(a, g->passing.item[i], &gb->late_row);
	}
	return rc;
}

static void keep_flow_rules(const struct berm_apply *a, uint32_t flows, bool *keep)
{
	const struct applied_flows *f = berm_flow_table_find(a, flows);

	for (size_t i = 0; f && i < f->count; i++)
		if (f->rule[i] < a->rule.count)
			keep[f->rule[i]] = true;
}

/* A set that the plan does not know may stay because of an endpoint that the plan does not know. */
static int leave_rules(struct generation *g, struct garbage *gb)
{
	struct berm_apply *a = g->a;
	auto_free bool *keep = calloc(a->rule.count + 1, sizeof(*keep));
	struct applied_set *s;
	int rc = keep ? 0 : -ENOMEM;

	for (size_t i = 0; !rc && i < g->plan->rule_count; i++)
		keep[g->rule[i]] = true;
	for_each_set(a, s) for (uint32_t i = 0;
				!rc && berm_set_is_foreign(s) && i < s->nrows * s->value.ncols; i++)
		keep[s->cell[i]] = true;
	for_each_set(a, s) if (!rc && berm_set_is_foreign(s))
		keep_flow_rules(a, s->value.flows, keep);
	for (uint32_t i = 1; !rc && i < a->rule.count; i++)
		if (!keep[i] && berm_ids_taken(&a->rule_ids, i))
			rc = array_push(&gb->rule, i);
	return rc;
}

static bool has_work(const struct garbage *gb)
{
	return gb->peer.count || gb->front.count || gb->in_flight || gb->merges || gb->row.count ||
	       gb->set.count || gb->table.count || gb->flows.count || gb->cls.count ||
	       gb->rule.count || gb->names || gb->late_cls.count;
}

int berm_gen_leave(struct generation *g)
{
	struct garbage *gb = &g->a->garbage;
	int rc = leave_peers(g, gb);

	if (!rc)
		rc = leave_sets(g, gb);
	if (!rc)
		rc = leave_tables(g, gb);
	if (!rc)
		rc = berm_gen_leave_flows(g, gb);
	if (!rc)
		rc = leave_classes(g, gb);
	if (!rc)
		rc = leave_rules(g, gb);
	if (!rc)
		rc = berm_gen_port_merges(g);
	gb->names = g->a->next_names.item && g->a->next_names.count != g->a->names.count;
	gb->stage = has_work(gb) ? 1 : 0;
	gb->ticket++;
	if (!gb->stage)
		berm_garbage_free(gb);
	return rc;
}

/* ---- how it goes ----------------------------------------------------------------------------------------------- */

static int rest_fronts(struct berm_apply *a, const struct garbage *gb, struct berm_err *err)
{
	struct berm_peer value = { .cls = 0 };
	struct batch put = { 0 }, del = { 0 };
	int rc = 0;

	for (size_t i = 0; !rc && i < gb->front.count; i++) {
		const struct applied_front *f = &gb->front.item[i];
		const struct berm_frontend_key key = { .addr = f->addr, .at = f->at };

		value.cls = f->cls;
		rc = f->cls == NONE ? berm_batch_add(&del, BERM_MAP_frontends, &key, NULL)
				    : berm_batch_add(&put, BERM_MAP_frontends, &key, &value);
	}
	if (!rc)
		rc = a->store->ops->put(a->store, BERM_MAP_frontends, put.key, put.value, put.count,
					err);
	if (!rc)
		rc = a->store->ops->del(a->store, BERM_MAP_frontends, del.key, del.count, err);
	berm_batch_clear(&put);
	berm_batch_clear(&del);
	return rc;
}

static int rest_batches(const struct garbage *gb, struct batch *put, struct batch *del)
{
	struct berm_peer value = { .cls = 0 };
	const struct applied_peer *p;
	int rc = 0;

	for (size_t i = 0; !rc && i < gb->peer.count; i++) {
		p = &gb->peer.item[i];
		value.cls = p->cls | p->flags;
		rc = p->cls == NONE ? berm_batch_add(del, BERM_MAP_peers, &p->addr, NULL)
				    : berm_batch_add(put, BERM_MAP_peers, &p->addr, &value);
	}
	return rc;
}

static bool has_foreign_sets(const struct berm_apply *a)
{
	const struct applied_set *s;

	for_each_set(a, s) if (berm_set_is_foreign(s)) return true;
	return false;
}

/* The plan's sets see no difference. In others the addresses may come to another row: then who has them is
 * judged again, also if we do not get that far. */
static int rest_peers(struct berm_apply *a, const struct garbage *gb, struct berm_err *err)
{
	bool foreign = (gb->peer.count || gb->front.count) && has_foreign_sets(a);
	struct batch put = { 0 }, del = { 0 };
	int rc = rest_batches(gb, &put, &del);

	if (foreign)
		berm_set_applying(a, true);
	if (!rc)
		rc = rest_fronts(a, gb, err);
	if (!rc)
		rc = a->store->ops->put(a->store, BERM_MAP_peers, put.key, put.value, put.count,
					err);
	if (!rc)
		rc = a->store->ops->del(a->store, BERM_MAP_peers, del.key, del.count, err);
	berm_batch_clear(&put);
	berm_batch_clear(&del);
	if (foreign) {
		berm_bump_foreign(a);
		berm_set_applying(a, false);
	}
	return rc;
}

static int merge_ports(struct berm_apply *a, struct garbage *gb, struct berm_err *err)
{
	struct batch put = { 0 };
	int rc;

	if (!gb->merges)
		return 0;
	rc = berm_port_units(&a->span, &gb->span, &put);
	if (!rc)
		rc = a->store->ops->put(a->store, BERM_MAP_ports, put.key, put.value, put.count,
					err);
	berm_batch_clear(&put);
	if (rc)
		return rc;
	array_free(&a->span);
	memcpy(&a->span, &gb->span, sizeof(a->span));
	memset(&gb->span, 0, sizeof(gb->span));
	gb->merges = false;
	return 0;
}

static int delete_rows(struct berm_apply *a, const row_keys_t *keys, struct berm_err *err)
{
	int rc = a->store->ops->del(a->store, BERM_MAP_rows, keys->item, keys->count, err);

	for (size_t i = 0; !rc && i < keys->count; i++)
		if (a->set[keys->item[i].set])
			(void)berm_set_row_put(a->set[keys->item[i].set], keys->item[i].cls,
					       a->set[keys->item[i].set]
						       ->value.default_row); /* only shrinks */
	if (!rc)
		a->row_count -= keys->count;
	return rc;
}

static int delete_set(struct berm_apply *a, const struct applied_set *s, struct berm_err *err)
{
	row_keys_t keys = { 0 };
	int rc = 0;

	for (uint32_t cls = 0; !rc && cls < s->row_count; cls++)
		if (s->row[cls] != s->value.default_row)
			rc = array_push(&keys, (struct berm_row_key){ s->id, cls });
	if (!rc)
		rc = delete_rows(a, &keys, err);
	array_free(&keys);
	return rc;
}

static int delete_sets(struct berm_apply *a, struct garbage *gb, struct berm_err *err)
{
	struct applied_set *s;
	int rc;

	while (gb->set.count) {
		s = gb->set.item[gb->set.count - 1];
		rc = delete_set(a, s, err);
		if (rc)
			return rc;
		gb->set.count--;
		berm_set_give_ids(a, s);
		berm_set_free(s);
	}
	return 0;
}

/* Shortest prefix first. */
static int delete_table(struct berm_apply *a, const struct applied_table *t, struct berm_err *err)
{
	const size_t size = sizeof(struct berm_cidr_key);
	struct batch keys = { 0 };
	int rc = berm_table_batch(t, &keys);

	for (size_t i = keys.count; !rc && i > 0; i--)
		rc = a->store->ops->del(a->store, BERM_MAP_cidrs, keys.key + (i - 1) * size, 1,
					err);
	berm_batch_clear(&keys);
	return rc;
}

static int delete_tables(struct berm_apply *a, struct garbage *gb, struct berm_err *err)
{
	struct applied_table *t;
	int rc;

	while (gb->table.count) {
		t = gb->table.item[gb->table.count - 1];
		rc = delete_table(a, t, err);
		if (rc)
			return rc;
		gb->table.count--;
		a->cidr_count -= t->count;
		berm_ids_give(&a->table_ids, t->id, 1);
		berm_table_free(t);
	}
	return 0;
}

static void give_classes(struct berm_apply *a, const struct berm_numbers *cls)
{
	for (size_t i = 0; i < cls->count; i++) {
		a->cls[cls->item[i]] = (struct applied_class){ .state = CLASS_FREE };
		berm_ids_give(&a->cls_ids, cls->item[i], 1);
	}
}

static void give_ids(struct id_pool *pool, const struct berm_numbers *ids)
{
	for (size_t i = 0; i < ids->count; i++)
		berm_ids_give(pool, ids->item[i], 1);
}

/* Names of rules that are gone are a convenience: if they cannot be dropped now, then another time. */
static void drop_names(struct berm_apply *a)
{
	if (a->store->ops->write_names(a->store, &a->next_names, NULL))
		return;
	berm_names_clear(&a->names);
	a->names = a->next_names;
	a->next_names = (struct berm_names){ 0 };
}

static int step_1(struct berm_apply *a, struct berm_err *err)
{
	struct garbage *gb = &a->garbage;
	int rc = rest_peers(a, gb, err);

	if (!rc)
		rc = merge_ports(a, gb, err);
	if (!rc)
		rc = delete_rows(a, &gb->row, err);
	if (!rc)
		rc = delete_sets(a, gb, err);
	if (!rc)
		rc = delete_tables(a, gb, err);
	if (!rc)
		rc = berm_garbage_flows(a, gb, err);
	if (rc)
		return rc;
	if (gb->names)
		drop_names(a);
	give_classes(a, &gb->cls);
	give_ids(&a->rule_ids, &gb->rule);
	gb->stage = gb->peer.count || gb->front.count || gb->late_cls.count || gb->late_pc.count
			    ? 2
			    : 0;
	return 0;
}

static int step_2(struct berm_apply *a, struct berm_err *err)
{
	struct garbage *gb = &a->garbage;
	int rc = delete_rows(a, &gb->late_row, err);

	if (rc)
		return rc;
	give_classes(a, &gb->late_cls);
	give_ids(&a->pc_ids, &gb->late_pc);
	gb->stage = 0;
	return 0;
}

void berm_garbage_free(struct garbage *gb)
{
	uint64_t ticket = gb->ticket;

	for (size_t i = 0; i < gb->set.count; i++)
		berm_set_free(gb->set.item[i]);
	for (size_t i = 0; i < gb->table.count; i++)
		berm_table_free(gb->table.item[i]);
	for (size_t i = 0; i < gb->flows.count; i++)
		berm_flow_table_free(gb->flows.item[i]);
	array_free(&gb->peer);
	array_free(&gb->front);
	array_free(&gb->span);
	array_free(&gb->row);
	array_free(&gb->set);
	array_free(&gb->table);
	array_free(&gb->flows);
	array_free(&gb->cls);
	array_free(&gb->rule);
	array_free(&gb->late_row);
	array_free(&gb->late_cls);
	array_free(&gb->late_pc);
	*gb = (struct garbage){ .ticket = ticket };
}

int berm_garbage_step(struct berm_apply *a, struct berm_err *err)
{
	int rc = 0;

	if (a->garbage.stage == 1)
		rc = step_1(a, err);
	else if (a->garbage.stage == 2)
		rc = step_2(a, err);
	if (rc)
		return berm_wrap(err, rc, "clean up after a generation");
	a->garbage.ticket++;
	if (!a->garbage.stage)
		berm_garbage_free(&a->garbage);
	return 0;
}
