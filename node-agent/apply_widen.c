/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_widen.c - sets have room for so many port classes; when more come, every set that is too narrow is
 * copied into a wider one and its endpoints are switched to the copy. No verdict changes, so no epoch does.
 */
#include "applied.h"

#include "cleanup.h"

struct widening {
	struct generation g; /* to gather and write the copies */
	uint32_t units;
	uint32_t copy[BERM_MAX_SETS]; /* [set id] -> id of its copy, 0 = stays */
};

static int copy_arrays(const struct applied_set *s, struct applied_set *c)
{
	c->cell = calloc((size_t)c->cell_units * BERM_CELLS_PER_BLOCK, sizeof(*c->cell));
	c->col = calloc(c->col_units, BERM_COLS_PER_BLOCK);
	c->row = calloc(s->row_count + 1, sizeof(*c->row));
	if (!c->cell || !c->col || !c->row)
		return -ENOMEM;
	memcpy(c->cell, s->cell, s->nrows * s->value.ncols * sizeof(*c->cell));
	memcpy(c->col, s->col, s->col_units * BERM_COLS_PER_BLOCK);
	if (s->row_count)
		memcpy(c->row, s->row, s->row_count * sizeof(*c->row));
	return 0;
}

static int copy_ids(struct widening *w, struct applied_set *c)
{
	struct berm_apply *a = w->g.a;
	uint32_t base = berm_ids_take(&a->cell_units, c->cell_units);
	uint32_t cols = berm_ids_take(&a->col_units, c->col_units);

	c->id = berm_ids_take(&a->set_ids, 1);
	if (c->id == NONE || base == NONE || cols == NONE)
		return berm_refuse(w->g.err, -ENOSPC,
				   "no room in berm_sets (%d), berm_cells (%d) or berm_cols (%d) "
				   "to give the policy sets columns for more ports",
				   BERM_MAX_SETS, BERM_MAX_CELLS, BERM_MAX_COLS);
	c->value.base = base * BERM_CELLS_PER_BLOCK;
	c->value.cols = cols * BERM_COLS_PER_BLOCK;
	return 0;
}

static int copy_set(struct widening *w, const struct applied_set *s)
{
	struct applied_set *c = malloc(sizeof(*c));
	int rc;

	if (!c)
		return -ENOMEM;
	*c = *s;
	c->cell = NULL;
	c->col = NULL;
	c->row = c->rowmap = NULL;
	c->col_units = w->units;
	rc = copy_arrays(s, c);
	if (!rc)
		rc = copy_ids(w, c);
	if (rc) {
		berm_set_free(c);
		return rc;
	}
	w->g.a->set[c->id] = c;
	w->copy[s->id] = c->id;
	return berm_set_batch(&w->g, c);
}

static uint32_t copy_of(const struct widening *w, uint32_t set)
{
	return set < BERM_MAX_SETS && w->copy[set] ? w->copy[set] : set;
}

/* Are they others than now? */
static bool copies_of(const struct widening *w, const uint32_t now[BERM_DIR_COUNT],
		      uint32_t ret[BERM_DIR_COUNT])
{
	for (int dir = 0; dir < BERM_DIR_COUNT; dir++)
		ret[dir] = copy_of(w, now[dir]);
	return memcmp(ret, now, BERM_DIR_COUNT * sizeof(*ret)) != 0;
}

static void switch_slot(const struct widening *w, uint32_t slot)
{
	struct berm_store *store = w->g.a->store;
	const struct berm_endpoint *now = &store->endpoints[slot];
	uint32_t set[BERM_DIR_COUNT];

	if (copies_of(w, now->set, set))
		store->ops->switch_sets(store, slot, set);
	if (copies_of(w, now->would, set))
		store->ops->switch_audit(store, slot, set);
}

static int switch_all(struct widening *w)
{
	struct berm_store *store = w->g.a->store;
	auto_close int lock = -1;
	int rc = store->ops->lock(store, &lock, w->g.err);

	if (rc)
		return rc;
	__atomic_store_n(&store->node->essentials, copy_of(w, store->node->essentials),
			 __ATOMIC_RELEASE);
	for (uint32_t slot = 1; slot < BERM_MAX_ENDPOINTS; slot++)
		if (store->endpoints[slot].ifindex)
			switch_slot(w, slot);
	return 0;
}

static int leave_old(struct widening *w)
{
	struct berm_apply *a = w->g.a;
	int rc = 0;

	for (uint32_t id = 0; !rc && id < BERM_MAX_SETS; id++) {
		if (!w->copy[id])
			continue;
		rc = array_push(&a->garbage.set, a->set[id]);
		if (!rc)
			a->set[id] = NULL;
	}
	a->garbage.stage = 1;
	a->garbage.ticket++;
	a->row_count += w->g.put[BERM_MAP_rows].count;
	return rc;
}

static int widen(struct widening *w)
{
	struct applied_set *s;
	int rc = 0;

	for_each_set(w->g.a, s) if (!rc && s->value.ncols && s->col_units < w->units)
		rc = copy_set(w, s);
	if (!rc)
		rc = berm_gen_write_unseen(&w->g);
	if (!rc)
		rc = switch_all(w);
	return rc ? rc : leave_old(w);
}

int berm_apply_widen(struct berm_apply *a, uint32_t need, struct berm_err *err)
{
	auto_free struct widening *w = calloc(1, sizeof(*w));
	int rc;

	if (!w)
		return -ENOMEM;
	w->g.a = a;
	w->g.err = err;
	w->units = need * 2 / BERM_COLS_PER_BLOCK + 1;
	if (w->units > BERM_MAX_PORT_CLASSES / BERM_COLS_PER_BLOCK)
		w->units = BERM_MAX_PORT_CLASSES / BERM_COLS_PER_BLOCK;
	rc = widen(w);
	for (int map = 0; map < BERM_MAP_COUNT; map++)
		berm_batch_clear(&w->g.put[map]);
	berm_batch_clear(&w->g.late_set);
	return rc;
}
