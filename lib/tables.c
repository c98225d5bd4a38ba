/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables.c - the policy tables: peers, CIDRs, rows, sets, rules and the packed ones. Declared in maps.h.
 * Writes one entry where it is told; which entries, and in which order, is the agent's business.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "maps.h"

static int update(const struct berm_maps *maps, enum berm_map_id id, const void *key,
		  const void *value, struct berm_err *err)
{
	int rc = bpf_map_update_elem(maps->fd[id], key, value, BPF_ANY);

	return rc ? berm_fail(err, rc, "write to %s", berm_map_name(id)) : 0;
}

static int delete (const struct berm_maps *maps, enum berm_map_id id, const void *key,
		   struct berm_err *err)
{
	int rc = bpf_map_delete_elem(maps->fd[id], key);

	return rc && rc != -ENOENT ? berm_fail(err, rc, "delete from %s", berm_map_name(id)) : 0;
}

int berm_peer_set(const struct berm_maps *maps, const struct berm_addr *addr, uint32_t cls,
		  struct berm_err *err)
{
	struct berm_peer value = { .cls = cls };
	char text[BERM_ADDR_STRLEN];
	/* BPF_F_LOCK writes an existing element in place (kernel/bpf/hashtab.c, htab_map_update_elem). */
	int rc = bpf_map_update_elem(maps->fd[BERM_MAP_peers], addr, &value, BPF_ANY | BPF_F_LOCK);

	if (!rc)
		return 0;
	berm_addr_format(addr, text);
	return berm_fail(err, rc, "write peer %s to berm_peers (room for %d)", text,
			 BERM_MAX_PEERS);
}

int berm_peer_delete(const struct berm_maps *maps, const struct berm_addr *addr,
		     struct berm_err *err)
{
	return delete (maps, BERM_MAP_peers, addr, err);
}

int berm_cidr_set(const struct berm_maps *maps, const struct berm_cidr_key *key, uint32_t cls,
		  struct berm_err *err)
{
	int rc = update(maps, BERM_MAP_cidrs, key, &cls, err);

	berm_cidrs_changed(maps);
	return rc;
}

void berm_cidrs_changed(const struct berm_maps *maps)
{
	__atomic_fetch_add(&maps->node->cidr_version, 1, __ATOMIC_SEQ_CST);
}

int berm_cidr_delete(const struct berm_maps *maps, const struct berm_cidr_key *key,
		     struct berm_err *err)
{
	int rc = delete (maps, BERM_MAP_cidrs, key, err);

	berm_cidrs_changed(maps);
	return rc;
}

int berm_row_set(const struct berm_maps *maps, uint32_t set, uint32_t cls, uint32_t row,
		 struct berm_err *err)
{
	struct berm_row_key key = { .set = set, .cls = cls };

	return update(maps, BERM_MAP_rows, &key, &row, err);
}

int berm_row_delete(const struct berm_maps *maps, uint32_t set, uint32_t cls, struct berm_err *err)
{
	struct berm_row_key key = { .set = set, .cls = cls };

	return delete (maps, BERM_MAP_rows, &key, err);
}

int berm_set_write(const struct berm_maps *maps, uint32_t set, const struct berm_set *value,
		   struct berm_err *err)
{
	return update(maps, BERM_MAP_sets, &set, value, err);
}

int berm_rule_write(const struct berm_maps *maps, uint32_t index, const struct berm_rule *rule,
		    struct berm_err *err)
{
	return update(maps, BERM_MAP_rules, &index, rule, err);
}

/* ---- packed tables: 64 bytes to an element ------------------------------------------------------- */

#define BLOCK_BYTES 64

struct packed {
	enum berm_map_id id;
	uint32_t entry_bytes;
	uint32_t entries;
};

static const struct packed ports = { BERM_MAP_ports, sizeof(uint16_t), BERM_PLANE_COUNT * 65536 };
static const struct packed cols = { BERM_MAP_cols, sizeof(uint8_t), BERM_MAX_COLS };
static const struct packed cells = { BERM_MAP_cells, sizeof(uint32_t), BERM_MAX_CELLS };

/* One element; bytes [at, at + len) of it change. */
static int block_patch(int fd, uint32_t block, uint32_t at, const void *data, uint32_t len)
{
	char value[BLOCK_BYTES] __attribute__((aligned(8)));
	int rc;

	if (len < BLOCK_BYTES) {
		rc = bpf_map_lookup_elem(fd, &block, value);
		if (rc)
			return rc;
		if (!memcmp(value + at, data, len))
			return 0;
	}
	memcpy(value + at, data, len);
	return bpf_map_update_elem(fd, &block, value, BPF_ANY);
}

/* data holds count entries; with fill, data is one block that repeats. */
static int packed_write(const struct berm_maps *maps, const struct packed *t, uint32_t first,
			uint32_t count, const char *data, bool fill, struct berm_err *err)
{
	uint32_t at = first * t->entry_bytes, left = count * t->entry_bytes, len;
	int rc;

	if (first > t->entries || count > t->entries - first)
		return berm_refuse(err, -E2BIG, "%s: entries %u to %u are beyond its %u",
				   berm_map_name(t->id), first, first + count, t->entries);
	while (left) {
		len = BLOCK_BYTES - at % BLOCK_BYTES;
		if (len > left)
			len = left;
		rc = block_patch(maps->fd[t->id], at / BLOCK_BYTES, at % BLOCK_BYTES, data, len);
		if (rc)
			return berm_fail(err, rc, "write entry %u of %s", at / t->entry_bytes,
					 berm_map_name(t->id));
		if (!fill)
			data += len;
		at += len;
		left -= len;
	}
	return 0;
}

int berm_ports_write(const struct berm_maps *maps, uint32_t first, uint32_t count,
		     uint16_t port_class, struct berm_err *err)
{
	uint16_t same[BLOCK_BYTES / sizeof(uint16_t)];

	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		same[i] = port_class;
	return packed_write(maps, &ports, first, count, (const char *)same, true, err);
}

int berm_cols_write(const struct berm_maps *maps, uint32_t first, const uint8_t *col,
		    uint32_t count, struct berm_err *err)
{
	return packed_write(maps, &cols, first, count, (const char *)col, false, err);
}

int berm_cells_write(const struct berm_maps *maps, uint32_t first, const uint32_t *rule,
		     uint32_t count, struct berm_err *err)
{
	return packed_write(maps, &cells, first, count, (const char *)rule, false, err);
}
