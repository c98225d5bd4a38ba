/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plans.h - random plans that have much in common with the one before, so that applying them meets every
 * kind of difference; and what a plan says, asked without any map. Knows no compiler.
 */
#ifndef BERM_TEST_PLANS_H
#define BERM_TEST_PLANS_H

#include <stdbool.h>
#include <stdint.h>

#include "plan.h"

#define PLANS_ADDRS	 16
#define PLANS_CLASSES	 8 /* that have a digest, besides the worlds */
#define PLANS_PREFIXES	 8
#define PLANS_TABLES	 3
#define PLANS_SEGMENTS	 11
#define PLANS_SETS	 6 /* the last one is the essentials */
#define PLANS_RULES	 12
#define PLANS_SLOTS	 7
#define PLANS_NAMESPACES 4
#define PLANS_FRONTED	 4 /* addresses that may have frontends; the last is the node's too */
#define PLANS_NODE	 6 /* up to here, from the last of those on, they are the node's */
#define PLANS_FRONTS	 3 /* ports that may be one */

/* What plans are made of. */
struct plan_world {
	uint64_t random;
	struct berm_addr addr[PLANS_ADDRS];
	uint32_t cls[PLANS_ADDRS]; /* index in said[], or UINT32_MAX: absent */
	uint32_t front[PLANS_FRONTED + 1]
		      [PLANS_FRONTS]; /* the same; [0]: every address of the node */
	uint32_t prefix[PLANS_TABLES][PLANS_PREFIXES];		     /* the same */
	uint8_t said[PLANS_SETS][PLANS_CLASSES + 2][PLANS_SEGMENTS]; /* rule */
	uint32_t table[PLANS_SETS];				     /* or UINT32_MAX */
	/* Rules of exact flows, or UINT8_MAX. Their keys are the peers alone: for fakestore's packets, and no others. */
	bool flows;
	uint8_t exact[PLANS_SETS][PLANS_ADDRS];
	struct plan_slot {
		uint32_t ifindex;
		bool judged, known; /* known: the plan has it */
		bool alone; /* was judged, but nobody knows its pod any more: nothing is promised */
		uint32_t set[BERM_DIR_COUNT]; /* or UINT32_MAX */
		uint32_t fallback;	      /* BERM_SET_OPEN, DENY or ESSENTIALS */
	} slot[PLANS_SLOTS];		      /* slot number is index + 1 */
	uint32_t dirs[PLANS_NAMESPACES];
	bool merge; /* leave out cuts between ports that need none */
	bool no_essentials;
};

uint32_t plans_below(struct plan_world *w, uint32_t limit);
void plans_make(struct plan_world *w, uint64_t seed);
void plans_change(struct plan_world *w); /* a few things; no slot changes hands */
struct berm_plan *plans_plan(struct plan_world *w);
uint32_t plans_port(struct plan_world *w); /* a random one: plane << 16 | index */

/* May a frontend be asked for what goes there? Sessions outlive a frontend's change. */
bool plans_may_be_front(uint32_t dir, uint32_t addr, uint32_t port);

#define PLANS_ANY UINT32_MAX
/* Rule id of a packet, or BERM_REASON_*; of an unjudged endpoint what its fallback says; PLANS_ANY of one
 * that is left alone. */
uint32_t plans_judge(const struct berm_plan *plan, const struct plan_slot *slot, uint32_t dir,
		     const struct berm_addr *addr, uint32_t port);

#endif /* BERM_TEST_PLANS_H */
