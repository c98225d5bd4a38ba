/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reconcile.h - keeps what is attached equal to what should be: adopts pods that run without us, repairs hooks that
 * somebody has taken away, collects endpoints whose device is gone, follows the node's own addresses. Driven by
 * rtnetlink and a clock. The plugin is the fast path; this is the one that always works. Judges nothing.
 */
#ifndef BERM_RECONCILE_H
#define BERM_RECONCILE_H

#include <stdint.h>

#include "err.h"
#include "link.h"

struct berm_agent;
struct berm_reconcile;

/* How long an adopted pod's running TCP connections may be taken over (design/datapath.md). */
#define BERM_ADOPT_S 120

/* Looks at the node's addresses at once, at everything else when the loop runs. */
int berm_reconcile_start(struct berm_agent *agent, struct berm_reconcile **ret,
			 struct berm_err *err) must_check;
/* Closes its handles; the caller runs the loop until they are closed, then frees. */
void berm_reconcile_stop(struct berm_reconcile *rec);
void berm_reconcile_free(struct berm_reconcile *rec); /* accepts NULL */

#endif /* BERM_RECONCILE_H */
