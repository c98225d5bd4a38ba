/* SPDX-License-Identifier: Apache-2.0 */
/* fakestore.c - maps in memory, and packets that read them in slow motion. */
#include "fakestore.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

static struct fake_store *fake(struct berm_store *s)
{
	return (struct fake_store *)s;
}

static bool is_list(enum berm_map_id map)
{
	return map == BERM_MAP_peers || map == BERM_MAP_cidrs || map == BERM_MAP_rows ||
	       map == BERM_MAP_ns_isolation || map == BERM_MAP_frontends;
}

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

static size_t find(const struct fake_store *f, enum berm_map_id map, const void *key)
{
	const struct fake_map *m = &f->map[map];
	size_t size = berm_store_key_size(map), i;

	for (i = 0; i < m->count && memcmp(m->key + i * size, key, size) != 0; i++)
		;
	return i;
}

static int put_one(struct fake_store *f, enum berm_map_id map, const void *key, const void *value)
{
	struct fake_map *m = &f->map[map];
	size_t ks = berm_store_key_size(map), vs = berm_store_value_size(map), i;
	uint32_t index;

	if (!is_list(map)) {
		memcpy(&index, key, sizeof(index));
		if (index >= berm_store_room(map))
			return -E2BIG;
		memcpy(m->value + index * vs, value, vs);
		return 0;
	}
	i = find(f, map, key);
	if (i == m->count && m->count == m->room) {
		m->room = m->room ? m->room * 2 : 64;
		m->key = must(reallocarray(m->key, m->room, ks));
		m->value = must(reallocarray(m->value, m->room, vs));
	}
	m->count += i == m->count;
	memcpy(m->key + i * ks, key, ks);
	memcpy(m->value + i * vs, value, vs);
	return 0;
}

static void del_one(struct fake_store *f, enum berm_map_id map, const void *key)
{
	struct fake_map *m = &f->map[map];
	size_t ks = berm_store_key_size(map), vs = berm_store_value_size(map),
	       i = find(f, map, key);

	if (i == m->count)
		return;
	m->count--;
	memmove(m->key + i * ks, m->key + m->count * ks, ks);
	memmove(m->value + i * vs, m->value + m->count * vs, vs);
}

/* Every write passes here. */
static int tick(struct fake_store *f, enum berm_map_id map, struct berm_err *err)
{
	if (f->before)
		f->before(f);
	if (++f->writes == f->fail_at)
		return berm_fail(err, f->fail_with, "write to %s", berm_map_name(map));
	return 0;
}

static int fake_put(struct berm_store *s, enum berm_map_id map, const void *keys,
		    const void *values, size_t count, struct berm_err *err)
{
	const char *key = keys, *value = values;
	int rc = 0;

	for (size_t i = 0; !rc && i < count; i++) {
		rc = tick(fake(s), map, err);
		if (!rc)
			rc = put_one(fake(s), map, key + i * berm_store_key_size(map),
				     value + i * berm_store_value_size(map));
	}
	return rc;
}

static int fake_del(struct berm_store *s, enum berm_map_id map, const void *keys, size_t count,
		    struct berm_err *err)
{
	const char *key = keys;
	int rc = 0;

	for (size_t i = 0; !rc && i < count; i++) {
		rc = tick(fake(s), map, err);
		if (!rc)
			del_one(fake(s), map, key + i * berm_store_key_size(map));
	}
	return rc;
}

static int fake_get(struct berm_store *s, enum berm_map_id map, const void *key, void *value,
		    struct berm_err *err)
{
	size_t vs = berm_store_value_size(map);
	uint32_t index;

	memcpy(&index, key, sizeof(index));
	if (is_list(map) || index >= berm_store_room(map))
		return berm_fail(err, -ENOENT, "read %s", berm_map_name(map));
	memcpy(value, fake(s)->map[map].value + index * vs, vs);
	return 0;
}

static int fake_list(struct berm_store *s, enum berm_map_id map, void **ret_keys, void **ret_values,
		     size_t *ret_count, struct berm_err *err)
{
	const struct fake_map *m = &fake(s)->map[map];

	(void)err;
	*ret_keys = must(malloc(m->count * berm_store_key_size(map) + 1));
	*ret_values = must(malloc(m->count * berm_store_value_size(map) + 1));
	if (m->count) {
		memcpy(*ret_keys, m->key, m->count * berm_store_key_size(map));
		memcpy(*ret_values, m->value, m->count * berm_store_value_size(map));
	}
	*ret_count = m->count;
	return 0;
}

static int fake_lock(struct berm_store *s, int *ret_fd, struct berm_err *err)
{
	(void)err;
	*ret_fd = -1;
	if (fake(s)->before)
		fake(s)->before(fake(s));
	return 0;
}

static void fake_switch(struct berm_store *s, uint32_t slot, const uint32_t set[BERM_DIR_COUNT])
{
	(void)tick(fake(s), BERM_MAP_endpoints, NULL);
	memcpy(fake(s)->endpoint[slot].set, set, sizeof(fake(s)->endpoint[slot].set));
}

static void fake_audit(struct berm_store *s, uint32_t slot, const uint32_t would[BERM_DIR_COUNT])
{
	(void)tick(fake(s), BERM_MAP_endpoints, NULL);
	memcpy(fake(s)->endpoint[slot].would, would, sizeof(fake(s)->endpoint[slot].would));
}

static void fake_flags(struct berm_store *s, uint32_t slot, uint32_t flags, uint32_t allowed_table)
{
	(void)tick(fake(s), BERM_MAP_endpoints, NULL);
	fake(s)->endpoint[slot].flags = flags;
	fake(s)->endpoint[slot].allowed_table = allowed_table;
}

static void fake_bump(struct berm_store *s, uint32_t slot)
{
	(void)tick(fake(s), BERM_MAP_node, NULL);
	fake(s)->node.epoch[slot]++;
}

static void fake_grace(struct berm_store *s)
{
	fake(s)->graces++;
	fake_readers_finish(fake(s));
}

static int fake_write_names(struct berm_store *s, const struct berm_names *names,
			    struct berm_err *err)
{
	(void)names;
	if (fake(s)->full_disk)
		return berm_fail(err, -ENOSPC, "write the rule names");
	fake(s)->names_written++;
	return 0;
}

static int fake_read_names(struct berm_store *s, struct berm_names *ret, struct berm_err *err)
{
	(void)s, (void)ret;
	return berm_fail(err, -ENOENT, "read the rule names");
}

static int fake_write_memo(struct berm_store *s, const void *data, size_t size,
			   struct berm_err *err)
{
	struct fake_store *f = fake(s);

	if (f->before)
		f->before(f);
	if (f->full_disk)
		return berm_fail(err, -ENOSPC, "write the memo");
	free(f->memo);
	f->memo = must(malloc(size));
	memcpy(f->memo, data, size);
	f->memo_size = size;
	return 0;
}

static int fake_read_memo(struct berm_store *s, void **ret, size_t *ret_size, struct berm_err *err)
{
	struct fake_store *f = fake(s);

	if (!f->memo)
		return berm_fail(err, -ENOENT, "read the memo");
	*ret = must(malloc(f->memo_size));
	memcpy(*ret, f->memo, f->memo_size);
	*ret_size = f->memo_size;
	return 0;
}

static void fake_close(struct berm_store *s)
{
	(void)s; /* lives on, as pinned maps do */
}

static const struct berm_store_ops fake_ops = {
	.put = fake_put,
	.del = fake_del,
	.get = fake_get,
	.list = fake_list,
	.lock = fake_lock,
	.switch_sets = fake_switch,
	.switch_audit = fake_audit,
	.set_flags = fake_flags,
	.bump = fake_bump,
	.grace = fake_grace,
	.write_names = fake_write_names,
	.read_names = fake_read_names,
	.write_memo = fake_write_memo,
	.read_memo = fake_read_memo,
	.close = fake_close,
};

struct fake_store *fake_new(void)
{
	struct fake_store *f = must(calloc(1, sizeof(*f)));

	f->s = (struct berm_store){ &fake_ops, &f->node, f->endpoint };
	for (int map = 0; map < BERM_MAP_COUNT; map++)
		if (berm_store_room((enum berm_map_id)map) && !is_list((enum berm_map_id)map))
			f->map[map].value =
				must(calloc(berm_store_room((enum berm_map_id)map),
					    berm_store_value_size((enum berm_map_id)map)));
	return f;
}

void fake_free(struct fake_store *f)
{
	for (int map = 0; map < BERM_MAP_COUNT; map++) {
		free(f->map[map].key);
		free(f->map[map].value);
	}
	free(f->memo);
	free(f);
}

size_t fake_count(const struct fake_store *f, enum berm_map_id map)
{
	return f->map[map].count;
}

void fake_slot_take(struct fake_store *f, uint32_t slot, uint32_t ifindex, uint32_t set)
{
	struct berm_endpoint *ep = &f->endpoint[slot];

	if (set == BERM_SET_ESSENTIALS && f->node.essentials)
		set = f->node.essentials;
	f->node.epoch[slot]++;
	*ep = (struct berm_endpoint){ .set = { set, set },
				      .ifindex = ifindex,
				      .flags = BERM_EP_FALLBACK,
				      .born = f->node.epoch[slot] };
}

/* ---- packets ---------------------------------------------------------------------------------------------------- */

static uint32_t longest_match(const struct fake_store *f, uint32_t table,
			      const struct berm_addr *addr)
{
	const struct berm_cidr_key *key = (const struct berm_cidr_key *)f->map[BERM_MAP_cidrs].key;
	const uint32_t *value = (const uint32_t *)f->map[BERM_MAP_cidrs].value;
	const uint8_t *a = (const uint8_t *)addr;
	uint32_t best = 0, cls = BERM_CLASS_NONE, bits, i;

	for (size_t n = 0; n < f->map[BERM_MAP_cidrs].count; n++) {
		bits = key[n].prefixlen - 32;
		if (ntohl(key[n].table) != table || key[n].prefixlen < best)
			continue;
		for (i = 0; i < bits && (a[i / 8] >> (7 - i % 8) & 1) ==
						(key[n].addr[i / 8] >> (7 - i % 8) & 1);
		     i++)
			;
		if (i < bits)
			continue;
		best = key[n].prefixlen;
		cls = value[n];
	}
	return cls;
}

static uint32_t class_of(const struct fake_store *f, uint32_t table, const struct berm_addr *addr)
{
	size_t i = find(f, BERM_MAP_peers, addr);
	uint32_t cls = BERM_CLASS_NONE;

	if (i < f->map[BERM_MAP_peers].count)
		return ((const struct berm_peer *)f->map[BERM_MAP_peers].value)[i].cls;
	if (table)
		cls = longest_match(f, table, addr);
	if (cls != BERM_CLASS_NONE)
		return cls;
	return berm_addr_is_v4(addr) ? BERM_CLASS_WORLD4 : BERM_CLASS_WORLD6;
}

static uint32_t frontend_of(const struct fake_store *f, const struct berm_addr *addr, uint32_t at)
{
	const struct berm_frontend_key key = { .addr = *addr, .at = at };
	size_t i = find(f, BERM_MAP_frontends, &key);

	if (i == f->map[BERM_MAP_frontends].count)
		return BERM_CLASS_NONE;
	return ((const struct berm_peer *)f->map[BERM_MAP_frontends].value)[i].cls;
}

/* The class so far, with flags, becomes the frontend's if one is asked for and there. */
static void read_frontend(const struct fake_store *f, struct fake_reader *r, uint32_t flag,
			  const struct berm_addr *addr)
{
	uint32_t cls = BERM_CLASS_NONE;

	if (r->dir == BERM_EGRESS && r->cls & flag)
		cls = frontend_of(f, addr, r->port);
	if (cls != BERM_CLASS_NONE)
		r->cls = cls;
}

static struct berm_addr node_place(const struct berm_addr *addr)
{
	return (struct berm_addr){ { 0, 0, berm_addr_is_v4(addr) ? htonl(0xffff) : 0, 0 } };
}

static uint32_t row_of(const struct fake_store *f, const struct fake_reader *r)
{
	struct berm_row_key key = { .set = r->set, .cls = r->cls };
	size_t i = find(f, BERM_MAP_rows, &key);

	return i < f->map[BERM_MAP_rows].count ? ((const uint32_t *)f->map[BERM_MAP_rows].value)[i]
					       : r->value.default_row;
}

static void arrive(struct fake_store *f, struct fake_reader *r, uint32_t rule)
{
	r->step = 0;
	r->rule = rule;
	if (f->arrived)
		f->arrived(f, r);
}

static void read_set(struct fake_store *f, struct fake_reader *r)
{
	r->set = f->endpoint[r->slot].set[r->dir];
	if (r->set == BERM_SET_OPEN)
		arrive(f, r, BERM_REASON_NOT_ISOLATED);
	else if (r->set == BERM_SET_DENY)
		arrive(f, r, BERM_REASON_FALLBACK);
}

static void read_matrix(struct fake_store *f, struct fake_reader *r)
{
	r->value = ((const struct berm_set *)f->map[BERM_MAP_sets].value)[r->set];
	if (!r->value.ncols)
		arrive(f, r, BERM_REASON_NO_RULE);
}

static void read_cell(struct fake_store *f, struct fake_reader *r)
{
	uint32_t at = r->value.base + r->row * r->value.ncols + r->col;
	uint32_t index = ((const uint32_t *)f->map[BERM_MAP_cells].value)[at];

	arrive(f, r,
	       index ? ((const struct berm_rule *)f->map[BERM_MAP_rules].value)[index].id
		     : BERM_REASON_NO_RULE);
}

void fake_reader_step(struct fake_store *f, struct fake_reader *r)
{
	const struct berm_addr node = node_place(&r->addr);

	switch (r->step++) {
	case 1:
		r->epoch = f->node.epoch[r->slot];
		break;
	case 2:
		read_set(f, r);
		break;
	case 3:
		read_matrix(f, r);
		break;
	case 4:
		r->cls = class_of(f, r->value.table, &r->addr);
		break;
	case 5:
		read_frontend(f, r, BERM_PEER_FRONTENDS, &r->addr);
		break;
	case 6:
		read_frontend(f, r, BERM_PEER_NODE_FRONTENDS, &node);
		r->cls &= BERM_PEER_CLASS;
		break;
	case 7:
		r->row = row_of(f, r);
		break;
	case 8:
		r->pc = ((const uint16_t *)f->map[BERM_MAP_ports].value)[r->port];
		break;
	case 9:
		r->col = ((const uint8_t *)f->map[BERM_MAP_cols].value)[r->value.cols + r->pc];
		break;
	default:
		read_cell(f, r);
	}
}

void fake_readers_finish(struct fake_store *f)
{
	for (int i = 0; i < FAKE_READERS; i++)
		while (f->reader[i].step)
			fake_reader_step(f, &f->reader[i]);
}

uint32_t fake_judge(struct fake_store *f, uint32_t slot, uint32_t dir, const struct berm_addr *addr,
		    uint32_t port)
{
	struct fake_reader r = { .step = 1, .slot = slot, .dir = dir, .port = port, .addr = *addr };
	void (*arrived)(struct fake_store *, const struct fake_reader *) = f->arrived;

	f->arrived = NULL;
	while (r.step)
		fake_reader_step(f, &r);
	f->arrived = arrived;
	return r.rule;
}
