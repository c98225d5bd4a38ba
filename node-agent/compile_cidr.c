// SPDX-License-Identifier: Apache-2.0
/*
 * compile_cidr.c - which CIDR groups contain an address, by one walk over all prefixes in order. Makes the
 * CIDR tables too. Knows no pods.
 *
 * Sorted by address, then length, a prefix comes right before everything inside it, so a stack holds what
 * encloses the current one. A term is in force while its block is on the stack and none of its excepts is.
 * Where ClusterIPs come from, no block counts on the way out: those addresses are not where packets go.
 * The families are kept apart: ::/0 encloses no IPv4 address, although those are stored v4-mapped.
 */
#include "compiler.h"

enum point_kind { POINT_ROOT4, POINT_SERVICE, POINT_BLOCK, POINT_EXCEPT, POINT_ADDRESS };

struct point {
	struct berm_addr addr;
	uint8_t bits;
	bool v4;
	uint8_t kind;
	uint32_t ref; /* term, or index of the address */
};

struct level {
	const struct point *point;
	uint32_t cls; /* of addresses right inside it (tables) */
};

struct walk {
	struct compiler *c;
	const bool *wanted; /* by group; NULL: all */
	BERM_ARRAY(struct point) point;
	BERM_ARRAY(struct level) stack;
	uint32_t *blocks, *excepts; /* on the stack, by term */
	uint32_t *terms;	    /* in force, by group */
	uint32_t services;	    /* ServiceCIDRs on the stack */
	uint64_t *active;	    /* bit map of groups with a term in force */
	bool is_dirty;
	uint32_t set; /* what active says, unless dirty */
};

static const struct berm_addr mapped_prefix = { { 0, 0, 0, 0 } };

bool berm_compile_is_v4(const struct berm_addr *addr)
{
	const uint8_t *byte = (const uint8_t *)addr;

	return !memcmp(byte, &mapped_prefix, 10) && byte[10] == 0xff && byte[11] == 0xff;
}

static bool has_prefix(const struct berm_addr *addr, const struct point *p)
{
	const uint8_t *a = (const uint8_t *)addr, *b = (const uint8_t *)&p->addr;
	unsigned int bytes = p->bits / 8, rest = p->bits % 8;

	if (memcmp(a, b, bytes))
		return false;
	return !rest || !((a[bytes] ^ b[bytes]) >> (8 - rest));
}

static bool encloses(const struct point *outer, const struct point *inner)
{
	return outer->v4 == inner->v4 && outer->bits <= inner->bits &&
	       has_prefix(&inner->addr, outer);
}

static int cmp_point(const void *a, const void *b)
{
	const struct point *x = a, *y = b;
	int rc;

	if (x->v4 != y->v4)
		return x->v4 ? -1 : 1;
	rc = memcmp(&x->addr, &y->addr, sizeof(x->addr));
	if (!rc)
		rc = x->bits - y->bits;
	return rc ? rc : x->kind - y->kind;
}

static bool is_same_prefix(const struct point *a, const struct point *b)
{
	return a->v4 == b->v4 && a->bits == b->bits && !memcmp(&a->addr, &b->addr, sizeof(a->addr));
}

/* ---- what is in force ------------------------------------------------------------------------------------ */

static bool is_in_force(const struct walk *w, uint32_t term)
{
	return w->blocks[term] && !w->excepts[term];
}

static void count_groups(struct walk *w, uint32_t term, bool now)
{
	const struct berm_numbers *groups = &w->c->term.item[term].group;

	for (size_t i = 0; i < groups->count; i++) {
		uint32_t g = groups->item[i];
		uint64_t bit = 1ull << g % 64;

		w->terms[g] += now ? 1 : -1u;
		if (w->wanted && !w->wanted[g])
			continue;
		if (w->terms[g])
			w->active[g / 64] |= bit;
		else
			w->active[g / 64] &= ~bit;
		w->is_dirty = true;
	}
}

static void apply_point(struct walk *w, const struct point *p, uint32_t by)
{
	bool before, after;

	if (p->kind == POINT_SERVICE)
		w->services += by;
	if (p->kind != POINT_BLOCK && p->kind != POINT_EXCEPT)
		return;
	before = is_in_force(w, p->ref);
	if (p->kind == POINT_BLOCK)
		w->blocks[p->ref] += by;
	else
		w->excepts[p->ref] += by;
	after = is_in_force(w, p->ref);
	if (before != after)
		count_groups(w, p->ref, after);
}

static int current_set(struct walk *w)
{
	size_t words = w->c->group.count / 64 + 1;
	struct berm_numbers groups = { 0 };
	int rc = 0;

	if (!w->is_dirty)
		return 0;
	for (size_t i = 0; !rc && i < words; i++)
		for (uint64_t bits = w->active[i]; !rc && bits; bits &= bits - 1)
			rc = array_push(&groups,
					(uint32_t)(i * 64 + (size_t)__builtin_ctzll(bits)));
	if (!rc)
		rc = berm_compile_set(w->c, &groups, &w->set);
	w->is_dirty = rc != 0;
	array_free(&groups);
	return rc;
}

static int enter(struct walk *w, const struct point *p)
{
	struct level level = { p, NONE };

	while (w->stack.count && !encloses(w->stack.item[w->stack.count - 1].point, p))
		apply_point(w, w->stack.item[--w->stack.count].point, -1u);
	apply_point(w, p, 1);
	return array_push(&w->stack, level);
}

/* ---- set-up ------------------------------------------------------------------------------------------------ */

static int add_cidr(struct walk *w, const struct berm_cidr *cidr, uint8_t kind, uint32_t term)
{
	struct point p = {
		.addr = cidr->addr, .bits = cidr->bits, .v4 = cidr->v4, .kind = kind, .ref = term
	};

	return array_push(&w->point, p);
}

static int add_term(struct walk *w, uint32_t term)
{
	const struct berm_peer_term *peer = w->c->term.item[term].peer;
	int rc;

	if (!peer->is_block)
		return 0;
	rc = add_cidr(w, &peer->block, POINT_BLOCK, term);
	for (size_t i = 0; !rc && i < peer->except_count; i++)
		rc = add_cidr(w, &peer->except[i], POINT_EXCEPT, term);
	return rc;
}

static int add_service_cidrs(struct walk *w)
{
	const struct berm_model *m = w->c->model;

	for (size_t i = 0; i < m->service_cidr_count; i++)
		for (size_t k = 0; k < m->service_cidrs[i]->cidr_count; k++)
			if (add_cidr(w, &m->service_cidrs[i]->cidr[k], POINT_SERVICE, NONE))
				return -ENOMEM;
	return 0;
}

static int walk_begin(struct walk *w)
{
	size_t terms = w->c->term.count + 1, groups = w->c->group.count + 1;

	w->blocks = calloc(terms, sizeof(*w->blocks));
	w->excepts = calloc(terms, sizeof(*w->excepts));
	w->terms = calloc(groups, sizeof(*w->terms));
	w->active = calloc(groups / 64 + 1, sizeof(*w->active));
	w->is_dirty = true;
	if (!w->blocks || !w->excepts || !w->terms || !w->active)
		return -ENOMEM;
	if (w->point.count)
		qsort(w->point.item, w->point.count, sizeof(*w->point.item), cmp_point);
	return 0;
}

static void walk_end(struct walk *w)
{
	free(w->blocks);
	free(w->excepts);
	free(w->terms);
	free(w->active);
	array_free(&w->point);
	array_free(&w->stack);
}

/* ---- addresses ------------------------------------------------------------------------------------------------ */

static int find_blocks(struct walk *w, struct compile_hit *hit)
{
	for (size_t i = 0; i < w->point.count; i++) {
		const struct point *p = &w->point.item[i];

		if (enter(w, p))
			return -ENOMEM;
		if (p->kind != POINT_ADDRESS)
			continue;
		if (current_set(w))
			return -ENOMEM;
		hit[p->ref].set = w->set;
		hit[p->ref].in_service_cidr = w->services;
	}
	return 0;
}

int berm_compile_blocks(struct compiler *c, struct compile_hit *hit, size_t count)
{
	struct walk w = { .c = c };
	int rc = 0;

	for (size_t i = 0; !rc && i < count; i++) {
		struct point p = { .addr = hit[i].addr,
				   .bits = 128,
				   .v4 = berm_compile_is_v4(&hit[i].addr),
				   .kind = POINT_ADDRESS,
				   .ref = (uint32_t)i };

		rc = array_push(&w.point, p);
	}
	for (size_t i = 0; !rc && i < c->term.count; i++)
		rc = add_term(&w, (uint32_t)i);
	if (!rc)
		rc = add_service_cidrs(&w);
	if (!rc)
		rc = walk_begin(&w);
	if (!rc)
		rc = find_blocks(&w, hit);
	walk_end(&w);
	return rc;
}

/* ---- tables ---------------------------------------------------------------------------------------------------- */

typedef BERM_ARRAY(struct compile_prefix) prefix_array;

/* What an address has that lies in everything on the stack but this prefix itself. */
static uint32_t class_around(const struct walk *w, const struct point *p)
{
	for (size_t i = w->stack.count; i-- > 0;)
		if (!is_same_prefix(w->stack.item[i].point, p))
			return w->stack.item[i].cls;
	return p->v4 ? CLASS_WORLD4 : CLASS_WORLD6;
}

static int emit(struct walk *w, const struct point *p, prefix_array *out)
{
	struct compile_class cls = { 0 };
	struct compile_prefix prefix = { .addr = p->addr, .bits = p->bits };
	size_t size;

	if (current_set(w))
		return -ENOMEM;
	cls.group = berm_intern_key(&w->c->sets, w->set, &size);
	cls.group_count = size / sizeof(*cls.group);
	if (w->services)
		cls = (struct compile_class){ .mark = MARK_VIP };
	if (berm_compile_class(w->c, &cls, p->v4, &prefix.cls))
		return -ENOMEM;
	w->stack.item[w->stack.count - 1].cls = prefix.cls;
	if (prefix.cls == class_around(w, p) && !(p->v4 && p->bits == 96))
		return 0; /* says what the prefix around it says */
	return array_push(out, prefix);
}

static int find_prefixes(struct walk *w, prefix_array *out)
{
	for (size_t i = 0; i < w->point.count; i++) {
		const struct point *p = &w->point.item[i];

		if (enter(w, p))
			return -ENOMEM;
		if (i + 1 < w->point.count && is_same_prefix(p, p + 1))
			continue;
		if (emit(w, p, out))
			return -ENOMEM;
	}
	return 0;
}

static int cmp_prefix(const void *a, const void *b)
{
	const struct compile_prefix *x = a, *y = b;

	if (x->bits != y->bits)
		return x->bits > y->bits ? -1 : 1;
	return memcmp(&x->addr, &y->addr, sizeof(x->addr));
}

static int describe_table(struct compiler *c, uint32_t number)
{
	struct compile_table t = { 0 };
	struct berm_digester d;
	size_t size;
	int rc = 0;

	t.prefix = berm_intern_key(&c->table_key, number, &size);
	t.prefix_count = size / sizeof(*t.prefix);
	berm_digest_start(&d);
	for (size_t i = 0; !rc && i < t.prefix_count; i++) {
		berm_digest_bytes(&d, &t.prefix[i].addr, sizeof(t.prefix[i].addr));
		berm_digest_u64(&d, t.prefix[i].bits);
		if (t.prefix[i].cls == NONE)
			continue; /* a source that is allowed */
		berm_digest_add(&d, &c->cls.item[t.prefix[i].cls].id);
		rc = array_push(&t.cls, t.prefix[i].cls);
	}
	t.id = berm_digest_end(&d);
	berm_numbers_unique(&t.cls);
	if (!rc)
		rc = array_push(&c->table, t);
	if (rc)
		array_free(&t.cls);
	return rc;
}

static int keep_table(struct compiler *c, prefix_array *prefixes, uint32_t *ret)
{
	int rc;

	*ret = NONE;
	if (prefixes->count == 1 && prefixes->item[0].cls == CLASS_WORLD4)
		return 0; /* only the IPv4 root, and that says what a miss says */
	qsort(prefixes->item, prefixes->count, sizeof(*prefixes->item), cmp_prefix);
	rc = berm_intern(&c->table_key, prefixes->item, prefixes->count * sizeof(*prefixes->item),
			 ret);
	return rc > 0 ? describe_table(c, *ret) : rc;
}

/* The blocks of the wanted groups, and always an entry for IPv4, or a miss there would find ::/0. */
static int make_table(struct walk *w, uint32_t *ret)
{
	struct point root = { .bits = 96, .v4 = true, .kind = POINT_ROOT4 };
	prefix_array prefixes = { 0 };
	int rc;

	memset((uint8_t *)&root.addr + 10, 0xff, 2);
	rc = array_push(&w->point, root);
	if (!rc)
		rc = walk_begin(w);
	if (!rc)
		rc = find_prefixes(w, &prefixes);
	if (!rc)
		rc = keep_table(w->c, &prefixes, ret);
	array_free(&prefixes);
	return rc;
}

static bool is_alike(const struct compile_subject *a, const struct compile_subject *b)
{
	return a->ns == b->ns && a->dir == b->dir && a->would == b->would &&
	       a->is_essentials == b->is_essentials;
}

/* Does the first one's table say where ClusterIPs come from? Whoever has blocks or denies wants to know. */
static bool wants_services(const struct compiler *c, size_t first,
			   const struct berm_numbers *groups)
{
	const struct compile_subject *s = &c->subject.item[first];

	if (!c->model->service_cidr_count || s->dir != BERM_EGRESS || s->is_essentials)
		return false;
	for (size_t i = first; i < c->subject.count; i++)
		if (is_alike(s, &c->subject.item[i]) &&
		    (c->subject.item[i].isolated || c->subject.item[i].default_deny))
			return true;
	return groups->count > 0;
}

/* The groups with blocks that all subjects of the first one's namespace and direction use. */
static int wanted_groups(const struct compiler *c, size_t first, struct berm_numbers *out)
{
	const struct compile_subject *s = &c->subject.item[first];

	for (size_t i = first; i < c->subject.count; i++) {
		const struct compile_subject *other = &c->subject.item[i];

		for (size_t r = 0; is_alike(s, other) && r < other->rule.count; r++) {
			uint32_t group = c->rule.item[other->rule.item[r]].group;

			if (group != GROUP_ANY && c->group.item[group].has_blocks &&
			    array_push(out, group))
				return -ENOMEM;
		}
	}
	berm_numbers_unique(out);
	return 0;
}

/* Of the key: with ServiceCIDRs or not, then the groups. */
static int table_of_key(struct compiler *c, const struct berm_numbers *key, uint32_t *ret)
{
	bool *wanted = calloc(c->group.count + 1, sizeof(*wanted));
	struct walk w = { .c = c, .wanted = wanted };
	int rc = wanted ? 0 : -ENOMEM;

	if (!rc && key->item[0])
		rc = add_service_cidrs(&w);
	for (size_t i = 1; !rc && i < key->count; i++) {
		const struct compile_group *g = &c->group.item[key->item[i]];

		wanted[key->item[i]] = true;
		for (size_t t = 0; !rc && t < g->term_count; t++)
			rc = add_term(&w, g->term[t]);
	}
	if (!rc)
		rc = make_table(&w, ret);
	walk_end(&w);
	free(wanted);
	return rc;
}

/* Many namespaces want the same: only the first of them has the work. */
static int table_for(struct compiler *c, const struct berm_numbers *key, uint32_t *ret)
{
	uint32_t number;
	int rc;

	*ret = NONE;
	if (key->count == 1 && !key->item[0])
		return 0;
	rc = berm_intern(&c->table_groups, key->item, key->count * sizeof(*key->item), &number);
	if (!rc)
		*ret = c->table_of_groups.item[number];
	if (rc > 0)
		rc = table_of_key(c, key, ret) ? -ENOMEM : array_push(&c->table_of_groups, *ret);
	return rc;
}

static int table_key(const struct compiler *c, size_t first, struct berm_numbers *key)
{
	struct berm_numbers groups = { 0 };
	int rc = wanted_groups(c, first, &groups);

	if (!rc)
		rc = array_push(key, wants_services(c, first, &groups));
	for (size_t i = 0; !rc && i < groups.count; i++)
		rc = array_push(key, groups.item[i]);
	array_free(&groups);
	return rc;
}

/* One table for all subjects of a namespace and direction, the first of which is given. */
static int table_of(struct compiler *c, size_t first)
{
	struct berm_numbers key = { 0 };
	uint32_t table = NONE;
	int rc = table_key(c, first, &key);

	if (!rc)
		rc = table_for(c, &key, &table);
	for (size_t i = first; i < c->subject.count; i++)
		if (is_alike(&c->subject.item[first], &c->subject.item[i]))
			c->subject.item[i].table = table;
	array_free(&key);
	return rc;
}

static bool is_first(const struct compiler *c, size_t subject)
{
	for (size_t i = 0; i < subject; i++)
		if (is_alike(&c->subject.item[i], &c->subject.item[subject]))
			return false;
	return true;
}

int berm_compile_tables(struct compiler *c)
{
	for (size_t i = 0; i < c->subject.count; i++)
		if (is_first(c, i) && table_of(c, i))
			return -ENOMEM;
	return 0;
}

/* ---- tables of allowed source addresses ------------------------------------------------------------------------ */

static int push_allowed(prefix_array *out, const struct berm_addr *addr, uint32_t bits)
{
	struct compile_prefix p = { .addr = *addr, .bits = bits, .cls = NONE };

	return array_push(out, p);
}

/* An IPv6 block that reaches around ::ffff:0:0/96 would allow every IPv4 address: its pieces beside that
 * are taken instead, one for each bit that the block leaves open. */
static int push_around_v4(prefix_array *out, uint32_t bits)
{
	for (uint32_t bit = bits; bit < 96; bit++) {
		struct berm_addr addr = { { 0 } };
		uint8_t *byte = (uint8_t *)&addr;

		for (uint32_t b = 80; b < bit; b++)
			byte[b / 8] |= (uint8_t)(0x80 >> b % 8);
		if (bit < 80)
			byte[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
		if (push_allowed(out, &addr, bit + 1))
			return -ENOMEM;
	}
	return 0;
}

static int push_source(prefix_array *out, const struct berm_cidr *cidr)
{
	struct point block = { .addr = cidr->addr, .bits = cidr->bits };
	struct berm_addr v4 = { { 0 } };

	memset((uint8_t *)&v4 + 10, 0xff, 2);
	if (!cidr->v4 && cidr->bits < 96 && has_prefix(&v4, &block))
		return push_around_v4(out, cidr->bits);
	return push_allowed(out, &cidr->addr, cidr->bits);
}

int berm_compile_allowed(struct compiler *c, const struct berm_cidr *cidr, size_t count,
			 uint32_t *ret)
{
	prefix_array prefixes = { 0 };
	size_t kept = 0;
	int rc = 0;

	for (size_t i = 0; !rc && i < count; i++)
		rc = push_source(&prefixes, &cidr[i]);
	if (!rc && prefixes.count) {
		qsort(prefixes.item, prefixes.count, sizeof(*prefixes.item), cmp_prefix);
		for (size_t i = 0; i < prefixes.count; i++)
			if (!kept || cmp_prefix(&prefixes.item[kept - 1], &prefixes.item[i]))
				prefixes.item[kept++] = prefixes.item[i];
		rc = berm_intern(&c->table_key, prefixes.item, kept * sizeof(*prefixes.item), ret);
	}
	if (rc > 0)
		rc = describe_table(c, *ret);
	array_free(&prefixes);
	return rc;
}
