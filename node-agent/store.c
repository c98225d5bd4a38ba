/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.c - the verbs of store.h on the pinned maps. Batches where the kernel has them (5.6 for hash and
 * array maps, later for tries), else one system call an element.
 */
#include "store.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "fsutil.h"
#include "paths.h"

#define LOCK_MS	       5000
#define MEMO_MAX_BYTES (16u << 20)
#define BATCH                                                                                      \
	4096 /* elements in one system call: the kernel copies keys and values in user space's time */

struct kernel_store {
	struct berm_store s;
	struct berm_maps *maps;
	bool single[BERM_MAP_COUNT]; /* this map takes no batches */
};

static const struct {
	size_t key, value, room;
} layout[BERM_MAP_COUNT] = {
	[BERM_MAP_peers] = { sizeof(struct berm_addr), sizeof(struct berm_peer), BERM_MAX_PEERS },
	[BERM_MAP_frontends] = { sizeof(struct berm_frontend_key), sizeof(struct berm_peer),
				 BERM_MAX_FRONTENDS },
	[BERM_MAP_cidrs] = { sizeof(struct berm_cidr_key), sizeof(uint32_t), BERM_MAX_CIDRS },
	[BERM_MAP_rows] = { sizeof(struct berm_row_key), sizeof(uint32_t), BERM_MAX_ROWS },
	[BERM_MAP_sets] = { sizeof(uint32_t), sizeof(struct berm_set), BERM_MAX_SETS },
	[BERM_MAP_ports] = { sizeof(uint32_t), sizeof(struct berm_port_block), BERM_PORT_ENTRIES },
	[BERM_MAP_cols] = { sizeof(uint32_t), sizeof(struct berm_col_block),
			    BERM_MAX_COLS / BERM_COLS_PER_BLOCK },
	[BERM_MAP_cells] = { sizeof(uint32_t), sizeof(struct berm_cell_block),
			     BERM_MAX_CELLS / BERM_CELLS_PER_BLOCK },
	[BERM_MAP_rules] = { sizeof(uint32_t), sizeof(struct berm_rule), BERM_MAX_RULES },
	[BERM_MAP_hits] = { sizeof(uint32_t), sizeof(uint64_t), BERM_MAX_RULES },
	[BERM_MAP_ns_isolation] = { sizeof(struct berm_ns), sizeof(uint32_t), BERM_MAX_NAMESPACES },
};

size_t berm_store_key_size(enum berm_map_id map)
{
	return layout[map].key;
}

size_t berm_store_value_size(enum berm_map_id map)
{
	return layout[map].value;
}

size_t berm_store_room(enum berm_map_id map)
{
	return layout[map].room;
}

static struct kernel_store *kernel(struct berm_store *s)
{
	return (struct kernel_store *)s; /* its first member */
}

/* ---- maps ---------------------------------------------------------------------------------------------- */

/* A peer or frontend is changed where it stands, under its lock: see struct berm_peer. */
static uint64_t put_flags(enum berm_map_id map)
{
	return map == BERM_MAP_peers || map == BERM_MAP_frontends ? BPF_F_LOCK : BPF_ANY;
}

/* How many of count went in; what is left, and the reason if it is a real one, is for single puts to find. */
static size_t put_batches(struct kernel_store *k, enum berm_map_id map, const char *keys,
			  const char *values, size_t count)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts, .elem_flags = put_flags(map));
	size_t done = 0;
	__u32 n;

	while (count - done > 1 && !k->single[map]) {
		n = count - done < BATCH ? (__u32)(count - done) : BATCH;
		if (bpf_map_update_batch(k->maps->fd[map], keys + done * layout[map].key,
					 values + done * layout[map].value, &n, &opts))
			k->single[map] = true;
		else
			done += n;
	}
	return done;
}

static int put_all(struct berm_store *s, enum berm_map_id map, const void *keys, const void *values,
		   size_t count, struct berm_err *err)
{
	struct kernel_store *k = kernel(s);
	const char *key = keys, *value = values;
	int rc;

	for (size_t i = put_batches(k, map, keys, values, count); i < count; i++) {
		rc = bpf_map_update_elem(k->maps->fd[map], key + i * layout[map].key,
					 value + i * layout[map].value, put_flags(map));
		if (rc)
			return berm_fail(err, rc, "write to %s (room for %zu)", berm_map_name(map),
					 layout[map].room);
	}
	return 0;
}

static int kernel_put(struct berm_store *s, enum berm_map_id map, const void *keys,
		      const void *values, size_t count, struct berm_err *err)
{
	int rc = put_all(s, map, keys, values, count, err);

	if (map == BERM_MAP_cidrs)
		berm_cidrs_changed(kernel(s)->maps); /* some may be in though one failed */
	return rc;
}

static int del_all(struct berm_store *s, enum berm_map_id map, const void *keys, size_t count,
		   struct berm_err *err)
{
	const char *key = keys;
	int rc;

	for (size_t i = 0; i < count; i++) {
		rc = bpf_map_delete_elem(kernel(s)->maps->fd[map], key + i * layout[map].key);
		if (rc && rc != -ENOENT)
			return berm_fail(err, rc, "delete from %s", berm_map_name(map));
	}
	return 0;
}

static int kernel_del(struct berm_store *s, enum berm_map_id map, const void *keys, size_t count,
		      struct berm_err *err)
{
	int rc = del_all(s, map, keys, count, err);

	if (map == BERM_MAP_cidrs)
		berm_cidrs_changed(kernel(s)->maps);
	return rc;
}

static int kernel_get(struct berm_store *s, enum berm_map_id map, const void *key, void *value,
		      struct berm_err *err)
{
	int rc = bpf_map_lookup_elem(kernel(s)->maps->fd[map], key, value);

	return rc ? berm_fail(err, rc, "read %s", berm_map_name(map)) : 0;
}

struct listing {
	char *keys, *values;
	size_t count, room;
};

static int listing_grow(struct listing *l, enum berm_map_id map)
{
	size_t room = l->room ? l->room * 2 : 1024;
	void *p = reallocarray(l->keys, room, layout[map].key);

	if (!p)
		return -ENOMEM;
	l->keys = p;
	p = reallocarray(l->values, room, layout[map].value);
	if (!p)
		return -ENOMEM;
	l->values = p;
	l->room = room;
	return 0;
}

/* We are the only writer, so nothing moves while we walk. */
static int listing_fill(struct listing *l, int fd, enum berm_map_id map)
{
	const void *last = NULL;
	char *key;
	int rc;

	for (;;) {
		rc = l->count == l->room ? listing_grow(l, map) : 0;
		if (rc)
			return rc;
		if (l->count)
			last = l->keys + (l->count - 1) * layout[map].key;
		key = l->keys + l->count * layout[map].key;
		rc = bpf_map_get_next_key(fd, last, key);
		if (!rc)
			rc = bpf_map_lookup_elem(fd, key, l->values + l->count * layout[map].value);
		if (rc)
			return rc == -ENOENT ? 0 : rc;
		l->count++;
	}
}

static int kernel_list(struct berm_store *s, enum berm_map_id map, void **ret_keys,
		       void **ret_values, size_t *ret_count, struct berm_err *err)
{
	struct listing l = { 0 };
	int rc = listing_fill(&l, kernel(s)->maps->fd[map], map);

	if (rc) {
		free(l.keys);
		free(l.values);
		return berm_fail(err, rc, "read %s", berm_map_name(map));
	}
	*ret_keys = l.keys;
	*ret_values = l.values;
	*ret_count = l.count;
	return 0;
}

/* ---- endpoints ------------------------------------------------------------------------------------------ */

static int kernel_lock(struct berm_store *s, int *ret_fd, struct berm_err *err)
{
	(void)s;
	return berm_lock_take(LOCK_MS, ret_fd, err);
}

static void kernel_switch(struct berm_store *s, uint32_t slot, const uint32_t set[BERM_DIR_COUNT])
{
	berm_endpoint_switch(kernel(s)->maps, slot, set[BERM_INGRESS], set[BERM_EGRESS]);
}

static void kernel_audit(struct berm_store *s, uint32_t slot, const uint32_t would[BERM_DIR_COUNT])
{
	berm_endpoint_audit(kernel(s)->maps, slot, would[BERM_INGRESS], would[BERM_EGRESS]);
}

static void kernel_flags(struct berm_store *s, uint32_t slot, uint32_t flags,
			 uint32_t allowed_table)
{
	__atomic_store_n(&s->endpoints[slot].allowed_table, allowed_table, __ATOMIC_RELEASE);
	__atomic_store_n(&s->endpoints[slot].flags, flags, __ATOMIC_RELEASE);
}

static void kernel_bump(struct berm_store *s, uint32_t slot)
{
	berm_epoch_bump(kernel(s)->maps, slot);
}

static void kernel_grace(struct berm_store *s)
{
	(void)s;
	berm_grace_period();
}

/* ---- files ---------------------------------------------------------------------------------------------- */

static int kernel_write_names(struct berm_store *s, const struct berm_names *names,
			      struct berm_err *err)
{
	(void)s;
	return berm_names_write(BERM_NAMES, names, err);
}

static int kernel_read_names(struct berm_store *s, struct berm_names *ret, struct berm_err *err)
{
	(void)s;
	return berm_names_read(BERM_NAMES, ret, err);
}

static int kernel_write_memo(struct berm_store *s, const void *data, size_t size,
			     struct berm_err *err)
{
	(void)s;
	return berm_file_write(BERM_APPLIED, data, size, 0600, err);
}

static int kernel_read_memo(struct berm_store *s, void **ret, size_t *ret_size,
			    struct berm_err *err)
{
	char *text = NULL;
	int rc = berm_file_read(BERM_APPLIED, MEMO_MAX_BYTES, &text, ret_size, err);

	(void)s;
	if (!rc)
		*ret = text;
	return rc;
}

static void kernel_close(struct berm_store *s)
{
	free(kernel(s));
}

static const struct berm_store_ops kernel_ops = {
	.put = kernel_put,
	.del = kernel_del,
	.get = kernel_get,
	.list = kernel_list,
	.lock = kernel_lock,
	.switch_sets = kernel_switch,
	.switch_audit = kernel_audit,
	.set_flags = kernel_flags,
	.bump = kernel_bump,
	.grace = kernel_grace,
	.write_names = kernel_write_names,
	.read_names = kernel_read_names,
	.write_memo = kernel_write_memo,
	.read_memo = kernel_read_memo,
	.close = kernel_close,
};

int berm_store_open(struct berm_maps *maps, struct berm_store **ret, struct berm_err *err)
{
	struct kernel_store *k = calloc(1, sizeof(*k));

	if (!k)
		return berm_fail(err, -ENOMEM, "open the policy maps");
	k->maps = maps;
	k->s = (struct berm_store){ &kernel_ops, maps->node, maps->endpoints };
	*ret = &k->s;
	return 0;
}
