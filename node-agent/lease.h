/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease.h - one of all agents is the elected one: it holds the Lease berm-leader in berm-system. Knows nothing of what the
 * elected one does.
 *
 * Clocks of nodes are never compared: a Lease is free when this agent has seen it unchanged for as long as it lasts.
 */
#ifndef BERM_LEASE_H
#define BERM_LEASE_H

#include "apihttp.h"

struct berm_lease;

struct berm_lease_opts {
	uv_loop_t *loop;
	struct berm_apihttp *http;
	const char *node;      /* who we are; borrowed */
	unsigned int renew_ms; /* it lasts three times as long */
};

int berm_lease_new(const struct berm_lease_opts *opts, struct berm_lease **ret,
		   struct berm_err *err) must_check;
void berm_lease_start(struct berm_lease *lease);
void berm_lease_stop(struct berm_lease *lease); /* free after the loop has run once more */
void berm_lease_free(struct berm_lease *lease); /* accepts NULL */

bool berm_lease_is_ours(const struct berm_lease *lease);
/* The holder writes into it how many nodes there are, so that all know how rarely they must write. 0: not known. */
void berm_lease_set_nodes(struct berm_lease *lease, unsigned int count);
unsigned int berm_lease_nodes(const struct berm_lease *lease);

#endif /* BERM_LEASE_H */
