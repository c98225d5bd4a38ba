/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_set.c - sets: which of the plan's are in the kernel already, and how the others are built. A set
 * is there already if it says the same for every class and port that both know, and has a row for every
 * class that is new. Ids of digests are not asked: what decides is what the cells say.
 */
#include "applied.h"

#include "cleanup.h"

#define NO_ROW UINT16_MAX

uint32_t berm_set_row(const struct applied_set *s, uint32_t cls)
{
	return cls < s->row_count ? s->row[cls] : s->value.default_row;
}

bool berm_set_is_foreign(const struct applied_set *s)
{
	return s->owner == NONE;
}

/* In memory only. */
int berm_set_row_put(struct applied_set *s, uint32_t cls, uint32_t row)
{
	uint32_t count = s->row_count ? s->row_count : 64;
	uint16_t *grown;

	if (cls >= s->row_count && row != s->value.default_row) {
		while (count <= cls)
			count *= 2;
		grown = reallocarray(s->row, count, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		s->row = grown;
		for (uint32_t i = s->row_count; i < count; i++)
			s->row[i] = s->value.default_row;
		s->row_count = count;
	}
	if (cls < s->row_count)
		s->row[cls] = (uint16_t)row;
	return 0;
}

/* A row of a class that no packet knows yet; the kernel need not be told of the default row. */
int berm_gen_row(struct generation *g, struct applied_set *s, uint32_t cls, uint32_t row)
{
	struct berm_row_key key = { .set = s->id, .cls = cls };
	int rc = berm_set_row_put(s, cls, row);

	if (rc || row == s->value.default_row)
		return rc;
	return berm_batch_add(&g->put[BERM_MAP_rows], BERM_MAP_rows, &key, &row);
}

void berm_set_free(struct applied_set *s)
{
	if (!s)
		return;
	free(s->cell);
	free(s->col);
	free(s->row);
	free(s->rowmap);
	free(s);
}

void berm_set_give_ids(struct berm_apply *a, const struct applied_set *s)
{
	berm_ids_give(&a->set_ids, s->id, 1);
	berm_ids_give(&a->cell_units, s->value.base / BERM_CELLS_PER_BLOCK, s->cell_units);
	berm_ids_give(&a->col_units, s->value.cols / BERM_COLS_PER_BLOCK, s->col_units);
}

/* ---- is it there already ------------------------------------------------------------------------------------ */

/* A plan set p beside a set s: which rows and columns of the one stand for which of the other. */
struct match {
	const struct generation *g;
	const struct berm_plan_set *p;
	const struct applied_set *s;
	BERM_ARRAY(struct pair) col;
	uint16_t *rowmap; /* [p->nrows] row of s, NO_ROW */
};

struct pair {
	uint16_t p, s;
};

static int match_columns(struct match *m)
{
	uint8_t seen[256 * 256 / 8] = { 0 };
	struct pair pair;
	uint32_t bit;
	int rc = 0;

	for (uint32_t pc = 0; !rc && pc < m->g->pc_count; pc++) {
		if (m->g->pc_plan[pc] == NONE)
			continue;
		pair = (struct pair){ m->p->col[m->g->pc_plan[pc]], m->s->col[pc] };
		bit = pair.p * 256u + pair.s;
		if (pair.s >= m->s->value.ncols)
			return -ENOENT;
		if (!(seen[bit / 8] >> bit % 8 & 1))
			rc = array_push(&m->col, pair);
		seen[bit / 8] |= (uint8_t)(1 << bit % 8);
	}
	return rc;
}

static bool same_rows(const struct match *m, uint32_t p_row, uint32_t s_row)
{
	const uint32_t *p = m->p->cell + p_row * m->p->ncols;
	const uint32_t *s = m->s->cell + s_row * m->s->value.ncols;

	if (s_row >= m->s->nrows)
		return false;
	for (size_t i = 0; i < m->col.count; i++)
		if (m->g->rule[p[m->col.item[i].p]] != s[m->col.item[i].s])
			return false;
	return true;
}

/* Classes that are not new must be in rows that say the same. */
static int match_classes(struct match *m)
{
	uint16_t p_row;
	uint32_t cls, s_row;

	for (size_t i = 0; i < m->g->plan->class_count; i++) {
		cls = m->g->cls[i];
		p_row = m->p->row[i];
		if (m->g->is_new_cls[i])
			continue;
		s_row = berm_set_row(m->s, cls);
		if (m->rowmap[p_row] == s_row)
			continue;
		if (!same_rows(m, p_row, s_row))
			return -ENOENT;
		m->rowmap[p_row] = (uint16_t)s_row;
	}
	return 0;
}

/* Rows for the classes that are new. */
static int match_new_classes(struct match *m)
{
	uint16_t *row;
	uint32_t s_row;

	for (size_t i = 0; i < m->g->plan->class_count; i++) {
		row = &m->rowmap[m->p->row[i]];
		if (!m->g->is_new_cls[i] || *row != NO_ROW)
			continue;
		for (s_row = 0; s_row < m->s->nrows && !same_rows(m, m->p->row[i], s_row); s_row++)
			;
		if (s_row == m->s->nrows)
			return -ENOENT;
		*row = (uint16_t)s_row;
	}
	return 0;
}

static int match_steps(struct match *m)
{
	int rc = match_columns(m);

	m->rowmap = rc ? NULL : malloc((m->p->nrows + 1u) * sizeof(*m->rowmap));
	if (!m->rowmap)
		return rc ? rc : -ENOMEM;
	memset(m->rowmap, 0xff, m->p->nrows * sizeof(*m->rowmap));
	rc = match_classes(m);
	return rc ? rc : match_new_classes(m);
}

/* The set stays for the plan set; or 0 and nothing has happened; or -ENOMEM. */
static int try_match(struct generation *g, uint32_t plan_set, struct applied_set *s)
{
	const struct berm_plan_set *p = &g->plan->set[plan_set];
	struct match m = { g, p, s, { 0 }, NULL };
	uint32_t table = p->table == NONE ? 0 : g->table[p->table];
	int rc;

	if (g->set[plan_set] || s->owner != NONE || !s->value.ncols || s->value.table != table ||
	    g->tried[plan_set] == s->id)
		return 0;
	g->tried[plan_set] = s->id;
	rc = match_steps(&m);
	if (!rc) {
		free(s->rowmap);
		s->rowmap = TAKE_PTR(m.rowmap);
		s->owner = plan_set;
		s->plan_id = p->id;
		s->judgement = p->judgement;
		g->set[plan_set] = s;
	}
	free(m.rowmap);
	array_free(&m.col);
	return rc == -ENOENT ? 0 : rc;
}

static int match_now(struct generation *g, uint32_t plan_set, uint32_t now)
{
	if (plan_set == NONE || now >= BERM_MAX_SETS || !g->a->set[now])
		return 0;
	return try_match(g, plan_set, g->a->set[now]);
}

/* Sets are looked for where the endpoints have them now. */
static int match_endpoint(struct generation *g, uint32_t slot)
{
	const struct berm_plan_endpoint *ep = &g->plan->endpoint[g->endpoint[slot]];
	const struct berm_endpoint *now = &g->a->store->endpoints[slot];
	int rc = 0;

	for (int dir = 0; !rc && dir < BERM_DIR_COUNT; dir++) {
		rc = match_now(g, ep->set[dir], now->set[dir]);
		if (!rc)
			rc = match_now(g, ep->would[dir], now->would[dir]);
	}
	return rc;
}

static int match_essentials(struct generation *g)
{
	uint32_t plan_set = g->plan->essentials, now = g->a->store->node->essentials;

	return match_now(g, plan_set, now);
}

/* All of its endpoints may be new: then the plan's own name for it helps. */
static int match_by_name(struct generation *g, uint32_t plan_set)
{
	const struct berm_digest *id = &g->plan->set[plan_set].id;
	struct applied_set *s;
	int rc = 0;

	if (!g->wanted[plan_set] || g->set[plan_set])
		return 0;
	for_each_set(g->a, s) if (!rc && !memcmp(&s->plan_id, id, sizeof(*id)))
		rc = try_match(g, plan_set, s);
	return rc;
}

int berm_gen_match(struct generation *g)
{
	struct applied_set *s;
	int rc;

	for_each_set(g->a, s)
	{
		s->owner = NONE;
		s->left = s->differs = s->used = false;
	}
	rc = match_essentials(g);
	for (uint32_t slot = 1; !rc && slot < BERM_MAX_ENDPOINTS; slot++)
		if (g->endpoint[slot] != NONE)
			rc = match_endpoint(g, slot);
	for (uint32_t i = 0; !rc && i < g->plan->set_count; i++)
		rc = match_by_name(g, i);
	return rc;
}

/* ---- rows of new classes in sets that stay ------------------------------------------------------------------- */

uint32_t berm_gen_set_row(const struct generation *g, const struct applied_set *s, uint32_t cls)
{
	uint32_t i = cls < g->plan_cls_count ? g->plan_cls[cls] : NONE;

	if (i == NONE || !g->is_new_cls[i] || s->owner == NONE || !s->rowmap)
		return berm_set_row(s, cls);
	return s->rowmap[g->plan->set[s->owner].row[i]];
}

int berm_gen_rows(struct generation *g)
{
	struct applied_set *s;
	int rc = 0;

	for_each_set(g->a, s)
	{
		if (s->owner == NONE || g->is_made[s->owner])
			continue;
		for (size_t i = 0; !rc && i < g->new_cls.count; i++)
			rc = berm_gen_row(g, s, g->new_cls.item[i],
					  berm_gen_set_row(g, s, g->new_cls.item[i]));
	}
	return rc;
}

/* ---- building ------------------------------------------------------------------------------------------------- */

static uint32_t round_up(uint32_t n, uint32_t unit)
{
	return (n + unit - 1) / unit;
}

/* Room for as many port classes again, so that sets seldom have to move for a new one. */
static uint32_t column_units(const struct generation *g)
{
	uint32_t units = round_up(g->pc_count * 2, BERM_COLS_PER_BLOCK);
	uint32_t most = BERM_MAX_PORT_CLASSES / BERM_COLS_PER_BLOCK;

	return units < most ? units : most;
}

static int take_ids(struct generation *g, struct applied_set *s)
{
	struct berm_apply *a = g->a;
	uint32_t base, cols;

	s->id = berm_ids_take(&a->set_ids, 1);
	if (s->id == NONE)
		return berm_refuse(g->err, -ENOSPC,
				   "%zu policy sets do not fit into berm_sets (room for %d, old "
				   "and new together)",
				   g->plan->set_count, BERM_MAX_SETS);
	base = berm_ids_take(&a->cell_units, s->cell_units);
	if (base == NONE)
		return berm_refuse(g->err, -ENOSPC,
				   "the decision matrices do not fit into berm_cells (room for %d, "
				   "old and new together)",
				   BERM_MAX_CELLS);
	s->value.base = base * BERM_CELLS_PER_BLOCK;
	cols = berm_ids_take(&a->col_units, s->col_units);
	if (cols == NONE) { /* then without spare room */
		s->col_units = round_up(g->pc_count, BERM_COLS_PER_BLOCK);
		cols = berm_ids_take(&a->col_units, s->col_units);
	}
	if (cols == NONE)
		return berm_refuse(g->err, -ENOSPC,
				   "the columns of the policy sets do not fit into berm_cols (room "
				   "for %d, old and new together)",
				   BERM_MAX_COLS);
	s->value.cols = cols * BERM_COLS_PER_BLOCK;
	return 0;
}

static int fill(struct generation *g, struct applied_set *s, const struct berm_plan_set *p)
{
	int rc = 0;

	for (uint32_t i = 0; i < s->nrows * s->value.ncols; i++)
		s->cell[i] = g->rule[p->cell[i]];
	for (uint32_t pc = 0; pc < g->pc_count; pc++)
		if (g->pc_plan[pc] != NONE)
			s->col[pc] = p->col[g->pc_plan[pc]];
	for (size_t i = 0; !rc && i < g->plan->class_count; i++)
		rc = berm_set_row_put(s, g->cls[i], p->row[i]);
	return rc;
}

static int build(struct generation *g, uint32_t plan_set)
{
	const struct berm_plan_set *p = &g->plan->set[plan_set];
	struct applied_set *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	s->value = (struct berm_set){ .ncols = p->ncols,
				      .default_row = p->default_row,
				      .table = p->table == NONE ? 0 : g->table[p->table] };
	s->nrows = p->nrows;
	s->cell_units = round_up((uint32_t)p->nrows * p->ncols, BERM_CELLS_PER_BLOCK);
	s->col_units = column_units(g);
	s->owner = plan_set;
	s->plan_id = p->id;
	s->judgement = p->judgement;
	rc = berm_gen_view(g, s->value.table, &s->view);
	if (!rc)
		rc = take_ids(g, s);
	if (rc) {
		free(s); /* its ids are found again when the maps are read back */
		return rc;
	}
	g->a->set[s->id] = g->set[plan_set] = s;
	g->is_made[plan_set] = true;
	s->cell = calloc(s->cell_units * BERM_CELLS_PER_BLOCK, sizeof(*s->cell));
	s->col = calloc(s->col_units, BERM_COLS_PER_BLOCK);
	return s->cell && s->col ? fill(g, s, p) : -ENOMEM;
}

int berm_gen_build(struct generation *g)
{
	int rc = 0;

	for (uint32_t i = 0; !rc && i < g->plan->set_count; i++)
		if (g->wanted[i] && !g->set[i])
			rc = build(g, i);
	return rc;
}

/* All of a set that is being made; its berm_sets element is written after the rest. */
int berm_set_batch(struct generation *g, const struct applied_set *s)
{
	struct berm_row_key key = { .set = s->id };
	uint32_t unit, row;
	int rc = 0;

	for (uint32_t i = 0; !rc && i < s->cell_units; i++) {
		unit = s->value.base / BERM_CELLS_PER_BLOCK + i;
		rc = berm_batch_add(&g->put[BERM_MAP_cells], BERM_MAP_cells, &unit,
				    s->cell + i * BERM_CELLS_PER_BLOCK);
	}
	for (uint32_t i = 0; !rc && i < s->col_units; i++) {
		unit = s->value.cols / BERM_COLS_PER_BLOCK + i;
		rc = berm_batch_add(&g->put[BERM_MAP_cols], BERM_MAP_cols, &unit,
				    s->col + i * BERM_COLS_PER_BLOCK);
	}
	for (key.cls = 0; !rc && key.cls < s->row_count; key.cls++) {
		row = s->row[key.cls];
		if (row != s->value.default_row)
			rc = berm_batch_add(&g->put[BERM_MAP_rows], BERM_MAP_rows, &key, &row);
	}
	return rc ? rc : berm_batch_add(&g->late_set, BERM_MAP_sets, &s->id, &s->value);
}
