/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_port.c - port classes. Before the switch the ports are cut wherever the old or the new plan cuts
 * them: what splits takes over its old column in all sets, so nothing changes for them. What belongs
 * together again is merged after the switch, when no set tells it apart any more.
 */
#include "applied.h"

#include "cleanup.h"

_Static_assert(BERM_MAX_PORT_CLASSES / BERM_COLS_PER_BLOCK <= 64,
	       "applied_set.dirty_cols has a bit for each");

struct piece {
	uint32_t first, last;
	uint32_t old_pc, interval, pc;
};

typedef BERM_ARRAY(struct piece) pieces_t;

static uint32_t interval_last(const struct berm_plan_interval *i)
{
	return (uint32_t)i->plane << 16 | i->last;
}

/* Both lists are sorted and without gap: walk them side by side. */
static int cut(const struct generation *g, pieces_t *pieces)
{
	const struct berm_apply *a = g->a;
	uint32_t at = 0, last;
	size_t i = 0, j = 0;
	int rc = 0;

	while (!rc && i < a->span.count && j < g->plan->interval_count) {
		last = interval_last(&g->plan->interval[j]);
		if (a->span.item[i].last < last)
			last = a->span.item[i].last;
		rc = array_push(pieces,
				(struct piece){ at, last, a->span.item[i].pc, (uint32_t)j, NONE });
		i += a->span.item[i].last == last;
		j += interval_last(&g->plan->interval[j]) == last;
		at = last + 1;
	}
	return rc;
}

static uint32_t piece_size(const struct piece *p)
{
	return p->last - p->first + 1;
}

static int by_class(const void *x, const void *y)
{
	const struct piece *a = x, *b = y;

	if (a->old_pc != b->old_pc)
		return a->old_pc < b->old_pc ? -1 : 1;
	if (a->interval != b->interval)
		return a->interval < b->interval ? -1 : 1;
	return a->first < b->first ? -1 : a->first > b->first;
}

static int by_first(const void *x, const void *y)
{
	const struct piece *a = x, *b = y;

	return a->first < b->first ? -1 : a->first > b->first;
}

/* Pieces [at, end) are of one old class; of its parts, one per interval, which has most ports? */
static uint32_t biggest_part(const struct piece *p, size_t at, size_t end)
{
	uint32_t best = p[at].interval, best_size = 0, size = 0;

	for (size_t i = at; i < end; i++) {
		size = i > at && p[i].interval == p[i - 1].interval ? size : 0;
		size += piece_size(&p[i]);
		if (size > best_size) {
			best_size = size;
			best = p[i].interval;
		}
	}
	return best;
}

static bool same_part(const struct piece *a, const struct piece *b)
{
	return a->old_pc == b->old_pc && a->interval == b->interval;
}

/* The new class takes the column of what it was split from, in all sets. */
static int inherit(struct generation *g, uint32_t pc, uint32_t from)
{
	struct applied_set *s;

	for_each_set(g->a, s)
	{
		if (pc >= s->col_units * BERM_COLS_PER_BLOCK) {
			if (s->value.ncols && g->need_cols <= pc)
				g->need_cols = pc + 1;
			continue;
		}
		if (s->col[pc] == s->col[from])
			continue; /* most sets do not tell such ports apart */
		s->col[pc] = s->col[from];
		s->dirty_cols |= 1ull << pc / BERM_COLS_PER_BLOCK;
	}
	return 0;
}

/* The biggest part of an old class keeps its id, so that few ports are written. */
static int assign(struct generation *g, struct piece *p, size_t at, size_t end)
{
	uint32_t keeper = biggest_part(p, at, end);

	for (size_t i = at; i < end; i++) {
		if (i > at && same_part(&p[i], &p[i - 1])) {
			p[i].pc = p[i - 1].pc;
			continue;
		}
		p[i].pc = p[i].interval == keeper ? p[i].old_pc : berm_ids_take(&g->a->pc_ids, 1);
		if (p[i].pc == NONE)
			return berm_refuse(g->err, -ENOSPC,
					   "%zu ranges of ports do not fit (room for %d)",
					   g->plan->interval_count, BERM_MAX_PORT_CLASSES);
		if (p[i].interval != keeper)
			inherit(g, p[i].pc, p[i].old_pc);
	}
	return 0;
}

static int assign_all(struct generation *g, pieces_t *pieces)
{
	size_t end;
	int rc = 0;

	if (!pieces->count)
		return 0;
	qsort(pieces->item, pieces->count, sizeof(*pieces->item), by_class);
	for (size_t at = 0; !rc && at < pieces->count; at = end) {
		for (end = at + 1;
		     end < pieces->count && pieces->item[end].old_pc == pieces->item[at].old_pc;)
			end++;
		rc = assign(g, pieces->item, at, end);
	}
	qsort(pieces->item, pieces->count, sizeof(*pieces->item), by_first);
	return rc;
}

static int index_classes(struct generation *g, const pieces_t *pieces)
{
	g->pc_count = 0;
	for (size_t i = 0; i < pieces->count; i++)
		if (pieces->item[i].pc >= g->pc_count)
			g->pc_count = pieces->item[i].pc + 1;
	g->pc_plan = malloc((g->pc_count + 1) * sizeof(*g->pc_plan));
	if (!g->pc_plan)
		return -ENOMEM;
	memset(g->pc_plan, 0xff, (g->pc_count + 1) * sizeof(*g->pc_plan));
	for (size_t i = 0; i < pieces->count; i++)
		g->pc_plan[pieces->item[i].pc] = pieces->item[i].interval;
	return 0;
}

static int add_span(spans_t *spans, uint32_t first, uint32_t last, uint32_t pc)
{
	if (spans->count && spans->item[spans->count - 1].pc == pc) {
		spans->item[spans->count - 1].last = last;
		return 0;
	}
	return array_push(spans, (struct applied_span){ first, last, pc });
}

/* Live sets get the elements that hold columns of new classes, where those are not there by chance. */
static int column_units(struct generation *g)
{
	struct applied_set *s;
	uint32_t unit;
	int rc = 0;

	for_each_set(g->a, s) for (uint64_t dirty = s->dirty_cols; !rc && dirty; dirty &= dirty - 1)
	{
		uint32_t i = (uint32_t)__builtin_ctzll(dirty);

		unit = s->value.cols / BERM_COLS_PER_BLOCK + i;
		rc = berm_batch_add(&g->put[BERM_MAP_cols], BERM_MAP_cols, &unit,
				    s->col + i * BERM_COLS_PER_BLOCK);
	}
	return rc;
}

static void forget_dirty(const struct generation *g)
{
	struct applied_set *s;

	for_each_set(g->a, s) s->dirty_cols = 0;
}

int berm_gen_ports(struct generation *g)
{
	pieces_t pieces = { 0 };
	int rc = cut(g, &pieces);

	forget_dirty(g);
	if (!rc)
		rc = assign_all(g, &pieces);
	for (size_t i = 0; !rc && i < pieces.count; i++)
		rc = add_span(&g->span, pieces.item[i].first, pieces.item[i].last,
			      pieces.item[i].pc);
	if (!rc)
		rc = index_classes(g, &pieces);
	if (!rc && !g->need_cols)
		rc = column_units(g);
	if (!rc)
		rc = berm_port_units(&g->a->span, &g->span, &g->put[BERM_MAP_ports]);
	array_free(&pieces);
	return rc;
}

/* ---- elements of the port table ---------------------------------------------------------------------------- */

static size_t span_at(const spans_t *spans, uint32_t port)
{
	size_t low = 0, high = spans->count - 1, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (spans->item[mid].last < port)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void fill_unit(const spans_t *spans, uint32_t unit, struct berm_port_block *out)
{
	uint32_t port = unit * BERM_PORTS_PER_BLOCK;
	size_t i = span_at(spans, port);

	for (uint32_t at = 0; at < BERM_PORTS_PER_BLOCK; at++, port++) {
		while (spans->item[i].last < port)
			i++;
		out->port_class[at] = (uint16_t)spans->item[i].pc;
	}
}

/* Adds the elements in which the two cuts differ, with what `to` says. */
int berm_port_units(const spans_t *from, const spans_t *to, struct batch *b)
{
	struct berm_port_block block;
	uint32_t at = 0, last, unit, next = 0;
	size_t i = 0, j = 0;
	int rc = 0;

	while (at < PORT_SPACE) {
		last = from->item[i].last < to->item[j].last ? from->item[i].last
							     : to->item[j].last;
		unit = at / BERM_PORTS_PER_BLOCK;
		if (unit < next)
			unit = next;
		for (; from->item[i].pc != to->item[j].pc && unit <= last / BERM_PORTS_PER_BLOCK;
		     unit++) {
			fill_unit(to, unit, &block);
			rc = berm_batch_add(b, BERM_MAP_ports, &unit, &block);
			if (rc)
				return rc;
			next = unit + 1;
		}
		i += from->item[i].last == last;
		j += to->item[j].last == last;
		at = last + 1;
	}
	return 0;
}

/* ---- merging --------------------------------------------------------------------------------------------------- */

/* Port class that has most ports of an interval, whose spans are [at, end). */
static uint32_t keeper_of(const struct generation *g, size_t at, size_t end)
{
	const struct applied_span *best = &g->span.item[at], *s;

	for (; at < end; at++) {
		s = &g->span.item[at];
		if (s->last - s->first > best->last - best->first)
			best = s;
	}
	return best->pc;
}

/* The plan's sets cannot tell the classes of one interval apart. Others, which endpoints keep that the plan
 * does not judge, perhaps can. */
static bool may_merge(const struct generation *g, uint32_t pc, uint32_t keeper)
{
	const struct applied_set *s;

	for_each_set(g->a, s) if (berm_set_is_foreign(s) && s->value.ncols &&
				  s->col[pc] != s->col[keeper]) return false;
	return true;
}

static int merge(const struct generation *g, size_t at, size_t end, bool *kept)
{
	uint32_t keeper = keeper_of(g, at, end), pc;
	const struct applied_span *s;
	int rc = 0;

	for (; !rc && at < end; at++) {
		s = &g->span.item[at];
		pc = may_merge(g, s->pc, keeper) ? keeper : s->pc;
		kept[pc] = true;
		rc = add_span(&g->a->garbage.span, s->first, s->last, pc);
	}
	return rc;
}

/* How the ports are cut when the plan is all there is; what is merged away goes late. */
int berm_gen_port_merges(struct generation *g)
{
	struct garbage *gb = &g->a->garbage;
	auto_free bool *kept = calloc(g->pc_count + 1, sizeof(*kept));
	size_t at = 0, end = 0;
	int rc = kept ? 0 : -ENOMEM;

	for (size_t i = 0; !rc && i < g->plan->interval_count; i++, at = end) {
		while (end < g->span.count &&
		       g->span.item[end].first <= interval_last(&g->plan->interval[i]))
			end++;
		rc = merge(g, at, end, kept);
	}
	for (uint32_t pc = 0; !rc && pc < g->pc_count; pc++)
		if (g->pc_plan[pc] != NONE && !kept[pc]) {
			gb->merges = true;
			rc = array_push(&gb->late_pc, pc);
		}
	return rc;
}
