/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply.h - bring a plan into the kernel as one make-before-break generation (design/datapath.md,
 * "Updates"). Owns the kernel ids of classes, port classes, sets, blocks, rules and tables.
 */
#ifndef BERM_APPLY_H
#define BERM_APPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "maps.h"
#include "plan.h"

struct berm_apply; /* what the kernel holds, as we know it */

struct berm_apply_result {
	uint64_t generation;
	size_t writes;	  /* map updates and deletes; 0: the plan was in force already */
	size_t switched;  /* endpoints whose sets changed */
	size_t rejudged;  /* endpoints whose epoch was bumped */
	uint64_t took_ns;
};

/* Reads back what the pinned maps hold, so that a restarted agent continues where the last one stopped:
 * the first apply of the same plan writes nothing and bumps no epoch. */
int berm_apply_open(struct berm_maps *maps, struct berm_apply **ret, struct berm_err *err) must_check;
void berm_apply_close(struct berm_apply *apply);

/* All or nothing as seen by packets: on failure (-E2BIG, -ENOSPC, -ENOMEM) the old generation stays in
 * force, what was written is taken back, and the error names the map and its size. */
int berm_apply(struct berm_apply *apply, const struct berm_plan *plan, struct berm_apply_result *out,
	       struct berm_err *err) must_check;

/* For status: entries in use / room, by map. */
struct berm_apply_usage {
	size_t classes, port_classes, sets, cells, rows, peers, cidrs, rules;
};
void berm_apply_usage(const struct berm_apply *apply, struct berm_apply_usage *out);

/* How long the last generations took is kept by the caller. names: what the rule-name file must hold. */
const struct berm_names *berm_apply_names(const struct berm_apply *apply);

#endif /* BERM_APPLY_H */
