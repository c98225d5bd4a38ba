/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_read.c - learn from the maps what they hold: after a start, and after an update that failed. What
 * an endpoint can meet is taken as it is, whoever wrote it and however far he came; what nothing can meet
 * is deleted. Knows no plan.
 */
#include "applied.h"

#include "cleanup.h"

#include <arpa/inet.h>

struct reading {
	struct berm_apply *a;
	struct berm_err *err;
	struct berm_row_key *row_key;
	uint32_t *row;
	size_t row_count;
	struct batch stray_rows, stray_cidrs;
};

static int list(const struct reading *r, enum berm_map_id map, void **keys, void **values,
		size_t *count)
{
	return r->a->store->ops->list(r->a->store, map, keys, values, count, r->err);
}

/* ---- ports ----------------------------------------------------------------------------------------------------- */

static int add_port(struct berm_apply *a, uint32_t port, uint32_t pc)
{
	struct applied_span *last = a->span.count ? &a->span.item[a->span.count - 1] : NULL;

	if (pc >= BERM_MAX_PORT_CLASSES)
		pc = 0; /* nobody wrote that: whatever it is, it is written anew */
	if (last && last->pc == pc) {
		last->last = port;
		return 0;
	}
	berm_ids_mark(&a->pc_ids, pc, 1);
	return array_push(&a->span, (struct applied_span){ port, port, pc });
}

static int read_ports(struct reading *r)
{
	struct berm_port_block block;
	int rc = 0;

	for (uint32_t unit = 0; !rc && unit < BERM_PORT_ENTRIES; unit++) {
		rc = r->a->store->ops->get(r->a->store, BERM_MAP_ports, &unit, &block, r->err);
		for (uint32_t i = 0; !rc && i < BERM_PORTS_PER_BLOCK; i++)
			rc = add_port(r->a, unit * BERM_PORTS_PER_BLOCK + i, block.port_class[i]);
	}
	return rc;
}

/* ---- sets ------------------------------------------------------------------------------------------------------ */

static bool fits(const struct applied_set *s)
{
	return s->value.base % BERM_CELLS_PER_BLOCK == 0 &&
	       s->value.cols % BERM_COLS_PER_BLOCK == 0 && s->value.base < BERM_MAX_CELLS &&
	       s->value.cols < BERM_MAX_COLS &&
	       (uint64_t)s->nrows * s->value.ncols <= BERM_MAX_CELLS - s->value.base &&
	       s->col_units <= COL_UNITS - s->value.cols / BERM_COLS_PER_BLOCK;
}

static int read_rows(const struct reading *r, struct applied_set *s)
{
	int rc = 0;

	s->nrows = s->value.default_row + 1u;
	for (size_t i = 0; !rc && i < r->row_count; i++) {
		if (r->row_key[i].set != s->id || r->row_key[i].cls >= CLASS_LIMIT)
			continue;
		rc = berm_set_row_put(s, r->row_key[i].cls, r->row[i]);
		if (r->row[i] >= s->nrows)
			s->nrows = r->row[i] + 1;
	}
	return rc;
}

static int read_units(const struct reading *r, enum berm_map_id map, uint32_t first, uint32_t count,
		      void *to)
{
	int rc = 0;

	for (uint32_t i = 0, unit = first; !rc && i < count; i++, unit++)
		rc = r->a->store->ops->get(r->a->store, map, &unit, (char *)to + i * 64, r->err);
	return rc;
}

static uint32_t highest_port_class(const struct berm_apply *a)
{
	uint32_t pc = 0;

	for (size_t i = 0; i < a->span.count; i++)
		if (a->span.item[i].pc > pc)
			pc = a->span.item[i].pc;
	return pc;
}

static int read_matrix(const struct reading *r, struct applied_set *s)
{
	struct berm_apply *a = r->a;
	uint32_t base = s->value.base / BERM_CELLS_PER_BLOCK,
		 cols = s->value.cols / BERM_COLS_PER_BLOCK;
	int rc;

	s->cell = calloc(s->cell_units, 64);
	s->col = calloc(s->col_units, 64);
	if (!s->cell || !s->col)
		return -ENOMEM;
	berm_ids_mark(&a->cell_units, base, s->cell_units);
	berm_ids_mark(&a->col_units, cols, s->col_units);
	rc = read_units(r, BERM_MAP_cells, base, s->cell_units, s->cell);
	return rc ? rc : read_units(r, BERM_MAP_cols, cols, s->col_units, s->col);
}

/* A set whose numbers cannot be right: it denies, and matches nothing, so it is soon replaced. */
static void make_dumb(struct applied_set *s)
{
	s->value = (struct berm_set){ .ncols = 0 };
	s->nrows = s->cell_units = s->col_units = 0;
	free(s->row);
	s->row = NULL;
	s->row_count = 0;
}

static int read_set(const struct reading *r, uint32_t id)
{
	struct berm_apply *a = r->a;
	struct applied_set *s;
	int rc;

	if (id < BERM_SET_FIRST || id >= BERM_MAX_SETS || a->set[id])
		return 0;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	a->set[id] = s;
	s->id = id;
	s->owner = NONE;
	berm_ids_mark(&a->set_ids, id, 1);
	rc = a->store->ops->get(a->store, BERM_MAP_sets, &id, &s->value, r->err);
	if (!rc)
		rc = read_rows(r, s);
	if (rc)
		return rc;
	s->cell_units =
		(s->nrows * s->value.ncols + BERM_CELLS_PER_BLOCK - 1) / BERM_CELLS_PER_BLOCK;
	s->col_units = highest_port_class(a) / BERM_COLS_PER_BLOCK + 1;
	if (!s->value.ncols || !fits(s)) {
		make_dumb(s);
		return 0;
	}
	return read_matrix(r, s);
}

static int read_sets(struct reading *r)
{
	const struct berm_store *store = r->a->store;
	const struct berm_endpoint *ep;
	int rc = read_set(r, store->node->essentials);

	for (uint32_t slot = 1; !rc && slot < BERM_MAX_ENDPOINTS; slot++) {
		ep = &store->endpoints[slot];
		for (int dir = 0; !rc && ep->ifindex && dir < BERM_DIR_COUNT; dir++) {
			rc = read_set(r, ep->set[dir]);
			if (!rc)
				rc = read_set(r, ep->would[dir]);
		}
	}
	return rc;
}

static int read_rules(struct reading *r)
{
	struct berm_apply *a = r->a;
	struct applied_set *s;
	uint32_t index;
	int rc = 0;

	for_each_set(a, s) for (uint32_t i = 0; !rc && i < s->nrows * s->value.ncols; i++)
	{
		index = s->cell[i];
		if (!index || index >= BERM_MAX_RULES || berm_ids_taken(&a->rule_ids, index))
			continue;
		while (!rc && a->rule.count <= index)
			rc = array_push(&a->rule, (struct berm_rule){ 0 });
		if (!rc)
			rc = a->store->ops->get(a->store, BERM_MAP_rules, &index,
						&a->rule.item[index], r->err);
		berm_ids_mark(&a->rule_ids, index, 1);
	}
	return rc;
}

/* ---- who --------------------------------------------------------------------------------------------------------- */

static int by_addr(const void *x, const void *y)
{
	return memcmp(x, y, sizeof(struct berm_addr)); /* the first member */
}

/* A number that nobody wrote: it has the default row everywhere, like none at all. */
static uint32_t known_class(uint32_t cls)
{
	cls &= BERM_PEER_CLASS;
	return cls < CLASS_LIMIT ? cls : BERM_CLASS_NONE;
}

static int read_peers(struct reading *r)
{
	struct berm_apply *a = r->a;
	auto_free struct berm_addr *key = NULL;
	auto_free struct berm_peer *value = NULL;
	int rc = list(r, BERM_MAP_peers, (void **)&key, (void **)&value, &a->peer_count);

	if (rc)
		return rc;
	a->peer = calloc(a->peer_count + 1, sizeof(*a->peer));
	if (!a->peer)
		return -ENOMEM;
	for (size_t i = 0; !rc && i < a->peer_count; i++) {
		a->peer[i] = (struct applied_peer){ key[i], known_class(value[i].cls),
						    value[i].cls & ~BERM_PEER_CLASS };
		rc = berm_applied_class_mark(a, a->peer[i].cls);
	}
	qsort(a->peer, a->peer_count, sizeof(*a->peer), by_addr);
	return rc;
}

static int by_front(const void *x, const void *y)
{
	const struct applied_front *a = x, *b = y;
	int rc = by_addr(a, b);

	return rc ? rc : (a->at > b->at) - (a->at < b->at);
}

static int read_fronts(struct reading *r)
{
	struct berm_apply *a = r->a;
	auto_free struct berm_frontend_key *key = NULL;
	auto_free struct berm_peer *value = NULL;
	int rc = list(r, BERM_MAP_frontends, (void **)&key, (void **)&value, &a->front_count);

	if (rc)
		return rc;
	a->front = calloc(a->front_count + 1, sizeof(*a->front));
	if (!a->front)
		return -ENOMEM;
	for (size_t i = 0; !rc && i < a->front_count; i++) {
		a->front[i] =
			(struct applied_front){ key[i].addr, key[i].at, known_class(value[i].cls) };
		rc = berm_applied_class_mark(a, a->front[i].cls);
	}
	qsort(a->front, a->front_count, sizeof(*a->front), by_front);
	return rc;
}

/* In the order of a table; tables one after the other. */
static int by_place(const void *x, const void *y)
{
	const struct berm_cidr_key *a = x, *b = y;

	if (a->table != b->table)
		return ntohl(a->table) < ntohl(b->table) ? -1 : 1;
	if (a->prefixlen != b->prefixlen)
		return a->prefixlen > b->prefixlen ? -1 : 1;
	return memcmp(a->addr, b->addr, sizeof(a->addr));
}

struct cidr {
	struct berm_cidr_key key;
	uint32_t cls;
};

static bool is_table_used(const struct berm_apply *a, uint32_t id)
{
	struct applied_set *s;

	for_each_set(a, s) if (s->value.table == id) return true;
	for (uint32_t slot = 1; slot < BERM_MAX_ENDPOINTS; slot++)
		if (a->store->endpoints[slot].ifindex &&
		    a->store->endpoints[slot].allowed_table == id)
			return true;
	return false;
}

static int add_prefixes(struct berm_apply *a, struct applied_table *t, const struct cidr *c,
			size_t count)
{
	int rc = 0;

	t->prefix = calloc(count + 1, sizeof(*t->prefix));
	if (!t->prefix)
		return -ENOMEM;
	t->count = count;
	for (size_t i = 0; !rc && i < count; i++) {
		memcpy(&t->prefix[i].addr, c[i].key.addr, sizeof(t->prefix[i].addr));
		t->prefix[i].bits = c[i].key.prefixlen - 32;
		t->prefix[i].cls = known_class(c[i].cls);
		rc = berm_applied_class_mark(a, t->prefix[i].cls);
	}
	return rc;
}

static int read_table(struct reading *r, const struct cidr *c, size_t count)
{
	struct berm_apply *a = r->a;
	uint32_t id = ntohl(c->key.table);
	struct applied_table *t;
	int rc = 0;

	if (id >= TABLE_LIMIT || !is_table_used(a, id)) {
		for (size_t i = 0; !rc && i < count; i++)
			rc = berm_batch_add(&r->stray_cidrs, BERM_MAP_cidrs, &c[i].key, NULL);
		return rc;
	}
	t = calloc(1, sizeof(*t));
	if (!t || array_push(&a->table, t)) {
		free(t);
		return -ENOMEM;
	}
	t->id = id;
	berm_ids_mark(&a->table_ids, id, 1);
	a->cidr_count += count;
	return add_prefixes(a, t, c, count);
}

static int read_tables(struct reading *r)
{
	auto_free struct berm_cidr_key *key = NULL;
	auto_free uint32_t *value = NULL;
	auto_free struct cidr *c = NULL;
	size_t count = 0, end;
	int rc = list(r, BERM_MAP_cidrs, (void **)&key, (void **)&value, &count);

	if (rc)
		return rc;
	c = calloc(count + 1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		c[i] = (struct cidr){ key[i], value[i] };
	qsort(c, count, sizeof(*c), by_place);
	for (size_t at = 0; !rc && at < count; at = end) {
		for (end = at + 1; end < count && c[end].key.table == c[at].key.table;)
			end++;
		rc = read_table(r, c + at, end - at);
	}
	return rc;
}

/* ---- namespaces, names --------------------------------------------------------------------------------------------- */

static int by_name(const void *x, const void *y)
{
	return strcmp(((const struct berm_plan_ns *)x)->name,
		      ((const struct berm_plan_ns *)y)->name);
}

static int read_namespaces(struct reading *r)
{
	struct berm_apply *a = r->a;
	auto_free struct berm_ns *key = NULL;
	auto_free uint32_t *value = NULL;
	struct berm_plan_ns ns;
	size_t count = 0;
	int rc = list(r, BERM_MAP_ns_isolation, (void **)&key, (void **)&value, &count);

	for (size_t i = 0; !rc && i < count; i++) {
		ns = (struct berm_plan_ns){ .dirs = value[i] };
		memcpy(ns.name, key[i].name, sizeof(ns.name) - 1);
		rc = array_push(&a->ns, ns);
	}
	if (a->ns.count)
		qsort(a->ns.item, a->ns.count, sizeof(*a->ns.item), by_name);
	return rc;
}

/* ---- what nothing can meet -------------------------------------------------------------------------------------------- */

static int sift_rows(struct reading *r)
{
	struct berm_apply *a = r->a;
	const struct berm_row_key *key;
	int rc = 0;

	for (size_t i = 0; !rc && i < r->row_count; i++) {
		key = &r->row_key[i];
		if (key->set < BERM_MAX_SETS && a->set[key->set] && key->cls < a->cls_room &&
		    (a->cls[key->cls].state != CLASS_FREE || key->cls < BERM_CLASS_FIRST)) {
			a->row_count++;
			continue;
		}
		rc = berm_batch_add(&r->stray_rows, BERM_MAP_rows, key, NULL);
		if (key->set < BERM_MAX_SETS && a->set[key->set])
			(void)berm_set_row_put(a->set[key->set], key->cls,
					       a->set[key->set]
						       ->value.default_row); /* only shrinks */
	}
	return rc;
}

static int delete_strays(struct reading *r)
{
	struct berm_store *store = r->a->store;
	int rc = store->ops->del(store, BERM_MAP_rows, r->stray_rows.key, r->stray_rows.count,
				 r->err);

	if (rc)
		return rc;
	return store->ops->del(store, BERM_MAP_cidrs, r->stray_cidrs.key, r->stray_cidrs.count,
			       r->err);
}

static int read_all(struct reading *r)
{
	struct berm_apply *a = r->a;
	int rc = list(r, BERM_MAP_rows, (void **)&r->row_key, (void **)&r->row, &r->row_count);

	if (!rc)
		rc = read_ports(r);
	if (!rc)
		rc = read_sets(r);
	if (!rc)
		rc = read_rules(r);
	if (!rc)
		rc = berm_applied_memo_read(a);
	if (!rc)
		rc = read_peers(r);
	if (!rc)
		rc = read_fronts(r);
	if (!rc)
		rc = read_tables(r);
	if (!rc)
		rc = read_namespaces(r);
	if (!rc)
		rc = sift_rows(r);
	if (rc)
		return rc;
	if (a->store->ops->read_names(a->store, &a->names, NULL))
		a->names = (struct berm_names){ 0 }; /* written anew with the next generation */
	a->store->ops->grace(
		a->store); /* packets that met what the last agent did in its last moment */
	return delete_strays(r);
}

static int open_ids(struct berm_apply *a)
{
	const struct {
		struct id_pool *pool;
		uint32_t first, limit;
	} pools[] = {
		{ &a->cls_ids, BERM_CLASS_FIRST, CLASS_LIMIT },
		{ &a->table_ids, 1, TABLE_LIMIT },
		{ &a->set_ids, BERM_SET_FIRST, BERM_MAX_SETS },
		{ &a->pc_ids, 0, BERM_MAX_PORT_CLASSES },
		{ &a->rule_ids, 1, BERM_MAX_RULES },
		{ &a->cell_units, 0, CELL_UNITS },
		{ &a->col_units, 0, COL_UNITS },
	};
	int rc = 0;

	for (size_t i = 0; !rc && i < ARRAY_SIZE(pools); i++)
		rc = berm_ids_open(pools[i].pool, pools[i].first, pools[i].limit);
	return rc ? rc : berm_applied_class_mark(a, BERM_CLASS_WORLD6);
}

void berm_applied_forget(struct berm_apply *a)
{
	struct applied_set *s;

	for_each_set(a, s)
	{
		berm_set_free(s);
		a->set[id_] = NULL;
	}
	for (size_t i = 0; i < a->table.count; i++)
		berm_table_free(a->table.item[i]);
	array_free(&a->table);
	array_free(&a->span);
	array_free(&a->rule);
	array_free(&a->ns);
	free(a->cls);
	free(a->peer);
	free(a->front);
	a->cls = NULL;
	a->peer = NULL;
	a->front = NULL;
	a->cls_room = 0;
	a->front_count = a->peer_count = a->row_count = a->cidr_count = 0;
	berm_names_clear(&a->names);
	berm_names_clear(&a->next_names);
	berm_ids_close(&a->cls_ids);
	berm_ids_close(&a->table_ids);
	berm_ids_close(&a->set_ids);
	berm_ids_close(&a->pc_ids);
	berm_ids_close(&a->rule_ids);
	berm_ids_close(&a->cell_units);
	berm_ids_close(&a->col_units);
	berm_garbage_free(&a->garbage);
}

int berm_applied_read(struct berm_apply *a, struct berm_err *err)
{
	struct reading r = { .a = a, .err = err };
	int rc;

	berm_applied_forget(a);
	a->recover = a->recover || __atomic_load_n(&a->store->node->applying, __ATOMIC_ACQUIRE);
	rc = open_ids(a);
	if (!rc)
		rc = read_all(&r);
	free(r.row_key);
	free(r.row);
	berm_batch_clear(&r.stray_rows);
	berm_batch_clear(&r.stray_cidrs);
	a->lost = rc != 0;
	return rc ? berm_wrap(err, rc, "read back what the maps hold") : 0;
}
