/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rollup.h - what the elected agent makes of all nodes' statuses: for each policy its phase and how many nodes enforce this very
 * version, in the ConfigMaps berm-rollup-N; and Events on the objects that policies come from.
 *
 * A node says only a digest of all its policies. The elected agent remembers the digests that it had itself, in order: a node
 * whose digest is one of them has everything that was there at that time.
 */
#ifndef BERM_ROLLUP_H
#define BERM_ROLLUP_H

#include "apievents.h"
#include "apihttp.h"

struct berm_agent;
struct berm_rollup;

int berm_rollup_new(const struct berm_agent *agent, struct berm_apievents *events,
		    struct berm_rollup **ret, struct berm_err *err) must_check;
void berm_rollup_stop(struct berm_rollup *rollup);
void berm_rollup_free(struct berm_rollup *rollup); /* accepts NULL */

/* One round, while we are elected: reads the statuses, tells, writes what has changed. Returns at once. */
void berm_rollup_step(struct berm_rollup *rollup);
/* We are not (any more): the next round begins with what the last one of us has written. */
void berm_rollup_reset(struct berm_rollup *rollup);
/* Nodes with a status; 0: not known. */
unsigned int berm_rollup_nodes(const struct berm_rollup *rollup);

#endif /* BERM_ROLLUP_H */
