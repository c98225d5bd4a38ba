/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cell.h - where in a policy set's decision matrix a flow is decided: the way of bpf/policy.h, walked from user
 * space over the live maps. For people who want to see it; nothing is decided here.
 */
#ifndef BERM_CELL_H
#define BERM_CELL_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "maps.h"

struct berm_cell {
	uint32_t set;
	uint32_t row, col;
	bool is_default_row; /* no row of the set is the class's own */
	uint16_t port_class;
	uint32_t index;	     /* into berm_cells */
	uint32_t rule_index; /* into berm_rules; 0 is a hole */
	uint32_t rule;	     /* its id */
};

/* Is that a reason (enum berm_reason) that cells give? */
bool berm_cell_decides(uint8_t reason);

/*
 * The cell of a peer class (enum of abi.h, BERM_CLASS_*) and of what is asked for (plane << 16 | index, as in
 * berm_ports). -ENOENT: the set has no matrix, or no such column: every packet is denied.
 */
int berm_cell_find(const struct berm_maps *maps, uint32_t set, uint32_t cls, uint32_t at,
		   struct berm_cell *ret, struct berm_err *err) must_check;

#endif /* BERM_CELL_H */
