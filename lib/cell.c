// SPDX-License-Identifier: Apache-2.0
/* cell.c - set, row, port class, column, cell, rule: six look-ups. Knows no packet and no endpoint. */
#include "cell.h"

#include <bpf/bpf.h>
#include <errno.h>

bool berm_cell_decides(uint8_t reason)
{
	switch (reason) {
	case BERM_REASON_POLICY_ALLOW:
	case BERM_REASON_POLICY_DENY:
	case BERM_REASON_DEFAULT_DENY:
	case BERM_REASON_NOT_ISOLATED:
	case BERM_REASON_ESSENTIAL:
	case BERM_REASON_SERVICE_MIXED:
	case BERM_REASON_SERVICE_UNKNOWN:
	case BERM_REASON_APP_MISMATCH:
		return true;
	default:
		return false;
	}
}

static int look_up(const struct berm_maps *maps, enum berm_map_id id, const void *key, void *value,
		   struct berm_err *err)
{
	int rc = bpf_map_lookup_elem(maps->fd[id], key, value);

	return rc ? berm_fail(err, rc, "read %s", berm_map_name(id)) : 0;
}

static int find_row(const struct berm_maps *maps, const struct berm_set *set, uint32_t cls,
		    struct berm_cell *cell, struct berm_err *err)
{
	struct berm_row_key key = { .set = cell->set, .cls = cls };
	int rc = bpf_map_lookup_elem(maps->fd[BERM_MAP_rows], &key, &cell->row);

	cell->is_default_row = rc == -ENOENT;
	if (!cell->is_default_row)
		return rc ? berm_fail(err, rc, "read %s", berm_map_name(BERM_MAP_rows)) : 0;
	cell->row = set->default_row;
	return 0;
}

static int find_col(const struct berm_maps *maps, const struct berm_set *set, uint32_t at,
		    struct berm_cell *cell, struct berm_err *err)
{
	uint32_t block = at / BERM_PORTS_PER_BLOCK, entry;
	struct berm_port_block ports;
	struct berm_col_block cols;
	int rc = look_up(maps, BERM_MAP_ports, &block, &ports, err);

	if (rc)
		return rc;
	cell->port_class = ports.port_class[at % BERM_PORTS_PER_BLOCK];
	entry = set->cols + cell->port_class;
	block = entry / BERM_COLS_PER_BLOCK;
	rc = look_up(maps, BERM_MAP_cols, &block, &cols, err);
	cell->col = rc ? 0 : cols.col[entry % BERM_COLS_PER_BLOCK];
	return rc;
}

static int find_rule(const struct berm_maps *maps, struct berm_cell *cell, struct berm_err *err)
{
	uint32_t block = cell->index / BERM_CELLS_PER_BLOCK;
	struct berm_cell_block cells;
	struct berm_rule rule;
	int rc = look_up(maps, BERM_MAP_cells, &block, &cells, err);

	if (rc)
		return rc;
	cell->rule_index = cells.rule[cell->index % BERM_CELLS_PER_BLOCK];
	rc = look_up(maps, BERM_MAP_rules, &cell->rule_index, &rule, err);
	cell->rule = rc ? 0 : rule.id;
	return rc;
}

int berm_cell_find(const struct berm_maps *maps, uint32_t id, uint32_t cls, uint32_t at,
		   struct berm_cell *ret, struct berm_err *err)
{
	struct berm_set set;
	int rc = look_up(maps, BERM_MAP_sets, &id, &set, err);

	if (rc)
		return rc;
	*ret = (struct berm_cell){ .set = id };
	rc = find_row(maps, &set, cls, ret, err);
	if (!rc)
		rc = find_col(maps, &set, at, ret, err);
	if (rc)
		return rc;
	if (ret->col >= set.ncols)
		return berm_refuse(err, -ENOENT, "set %u has no column for port class %u", id,
				   ret->port_class);
	ret->index = set.base + ret->row * set.ncols + ret->col;
	return find_rule(maps, ret, err);
}
