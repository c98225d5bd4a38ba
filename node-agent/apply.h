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
	size_t writes;	 /* map updates and deletes; 0: the plan was in force already */
	size_t switched; /* endpoints whose sets changed */
	size_t rejudged; /* endpoints whose epoch was bumped */
	uint64_t took_ns;
	char warning[256]; /* "", or what did not go well though the plan is in force: a file not written */
};

/* Reads back what the pinned maps hold, so that a restarted agent continues where the last one stopped:
 * the first apply of the same plan writes nothing and bumps no epoch. */
int berm_apply_open(struct berm_maps *maps, struct berm_apply **ret,
		    struct berm_err *err) must_check;
struct berm_store;
/* The same on another store (tests); the store is closed with apply, also on failure. */
int berm_apply_open_store(struct berm_store *store, struct berm_apply **ret,
			  struct berm_err *err) must_check;
void berm_apply_close(struct berm_apply *apply);

/* All or nothing as seen by packets: on failure (-E2BIG, -ENOSPC, -ENOMEM) the old generation stays in
 * force, what was written is taken back, and the error names the map and its size. */
int berm_apply(struct berm_apply *apply, const struct berm_plan *plan,
	       struct berm_apply_result *out, struct berm_err *err) must_check;

/*
 * A generation leaves things behind that packets may still hold: they go in at most two steps, each after
 * a grace period. Whoever does nothing about it waits for them in the next berm_apply. To have it done in
 * between: while berm_apply_garbage() is not 0, remember its answer (the ticket), let a
 * berm_grace_period() pass, in another thread if you like, and call berm_apply_collect() with the ticket.
 * A ticket from before the last berm_apply is worth nothing, and collects nothing.
 */
uint64_t berm_apply_garbage(const struct berm_apply *apply);
int berm_apply_collect(struct berm_apply *apply, uint64_t ticket, struct berm_err *err) must_check;

/* Somebody else has written to the maps: the next berm_apply reads them anew and mends what differs. */
void berm_apply_distrust(struct berm_apply *apply);

/* How many elements of a map's beginning may mean something; UINT32_MAX: all that there are. */
uint32_t berm_apply_extent(const struct berm_apply *apply, enum berm_map_id map);

/* For status: entries in use / room, by map. */
struct berm_apply_usage {
	size_t classes, port_classes, sets, cells, rows, peers, cidrs, rules, frontends, flows;
};
void berm_apply_usage(const struct berm_apply *apply, struct berm_apply_usage *out);

/* Rules by id, those that are going included: what the rule-name file holds. Valid until the next call
 * of berm_apply or berm_apply_collect. */
const struct berm_names *berm_apply_names(const struct berm_apply *apply);

#endif /* BERM_APPLY_H */
