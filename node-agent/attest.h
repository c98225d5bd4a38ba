/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest.h - do the maps, the endpoints and the pins still hold what the agent put there? What somebody else has
 * written or removed is mended and counted. Judges nothing itself: it has the engine read back and apply once more.
 */
#ifndef BERM_ATTEST_H
#define BERM_ATTEST_H

#include "err.h"

struct berm_agent;
struct berm_attest;

int berm_attest_new(struct berm_agent *agent, struct berm_attest **ret,
		    struct berm_err *err) must_check;
void berm_attest_free(struct berm_attest *attest);

/* Before a generation, which would mend in silence what others have done to endpoints. */
void berm_attest_endpoints(struct berm_attest *attest);
/* A generation is in force: this is what the endpoints should have. */
void berm_attest_judged(struct berm_attest *attest);
/* The agent itself has written to the maps (a generation, or what it left behind). */
void berm_attest_wrote(struct berm_attest *attest);

/* With each tick: endpoints and pins at once, the maps in a thread every few seconds. -ESTALE: somebody has
 * pinned another data path in the place of ours; only a new start can take that over. */
int berm_attest_tick(struct berm_attest *attest) must_check;

#endif /* BERM_ATTEST_H */
