/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worlds.h - random clusters and random packets in them, small enough that everything collides: few labels,
 * few addresses, nested CIDRs, few ports. The same seed gives the same world.
 */
#ifndef BERM_TEST_WORLDS_H
#define BERM_TEST_WORLDS_H

#include "evaluate.h"
#include "model.h"

#define WORLD_SOURCES 2 /* ports that flows come from: 20000 and on */

struct world {
	uint64_t random;
	struct berm_model model;
};

/* From BERM_SEED, else fresh; prints it. */
uint64_t world_seed(void);
void world_make(struct world *w, uint64_t seed);
void world_change(struct world *w);	/* one object more, fewer or different */
void world_change_any(struct world *w); /* that, or an endpoint, an IPSet, the time, or only one rule */
void world_change_pod(struct world *w); /* its labels or ports, most of the time */
void world_question(struct world *w, struct question *out);
uint32_t world_below(struct world *w, uint32_t limit);
void world_clear(struct world *w);

/* "slot 3 ingress from 10.0.0.7 tcp/80" */
void world_describe(const struct question *q, char *out, size_t size);

#endif /* BERM_TEST_WORLDS_H */
