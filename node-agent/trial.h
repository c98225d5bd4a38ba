/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trial.h - what policies would say between given pods, without any kernel: the compiler makes its plan of a model that
 * somebody has put together for the purpose, and the plan is asked. Services' frontends are not looked at: who asks, asks
 * about a backend.
 */
#ifndef BERM_TRIAL_H
#define BERM_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "document.h"
#include "err.h"
#include "model.h"
#include "plan.h"

struct berm_trial {
	struct berm_plan *plan;
	struct berm_problems problems; /* documents over a limit: they are left out of the plan */
};

struct berm_trial_verdict {
	bool is_allowed;
	const struct berm_rule_name *rule; /* NULL: no policy says anything in this direction */
};

/* The arrays of the model are the caller's, sorted as model.h has them; every endpoint's slot is its index plus one. */
int berm_trial_run(struct berm_trial *trial, const struct berm_model *model,
		   struct berm_err *err) must_check;
void berm_trial_clear(struct berm_trial *trial);

/* What the plan says of this very address, NULL: nothing, it is one of some block or of nobody. */
const struct berm_plan_peer *berm_trial_peer(const struct berm_plan *plan,
					     const struct berm_addr *addr);
/* The plan's class of an address for this set (UINT32_MAX: of a pod without one). */
uint32_t berm_trial_class(const struct berm_plan *plan, uint32_t set, const struct berm_addr *addr);
/* at: plane << 16 | port, as in enum berm_plane; set UINT32_MAX: open. */
struct berm_trial_verdict berm_trial_cell(const struct berm_plan *plan, uint32_t set, uint32_t cls,
					  uint32_t at);
/* What endpoint number `end` says of a packet from (ingress) or to (egress) peer. */
struct berm_trial_verdict berm_trial_ask(const struct berm_trial *trial, size_t end, uint8_t dir,
					 const struct berm_addr *peer, uint32_t at);

/* "rule shop/db:web", "default deny by shop/db", "nobody isolates it": for people. Returns out. */
const char *berm_trial_rule(const struct berm_rule_name *rule, char *out, size_t size);

#endif /* BERM_TRIAL_H */
