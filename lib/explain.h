/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain.h - ask the enforcing bytecode what it would do: the same object once more over the live maps, loaded with
 * cfg_explain = 1 and run by BPF_PROG_TEST_RUN. It leaves no trace: no session, no counter, no event.
 */
#ifndef BERM_EXPLAIN_H
#define BERM_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "maps.h"
#include "timeouts.h"

struct berm_explain;

struct berm_explain_question {
	int dir;	  /* enum berm_dir: which of the pod's two programs */
	uint32_t ifindex; /* of the pod's host veth; it must exist in our network namespace */
	uint32_t in_ifindex; /* a packet into the pod has come in by this device; 0: made on this node */
	bool from_node;	     /* and has a socket here */
	bool as_new;	     /* as if no session knew it */
	const void *frame; /* with its Ethernet header */
	size_t size;	   /* bytes; at least 34 of IPv4, 54 of IPv6 (the kernel's own limit) */
};

struct berm_explain_verdict {
	bool is_allowed;
	uint8_t action; /* enum berm_action */
	uint8_t reason; /* enum berm_reason */
	uint32_t rule;	/* id */
	uint32_t cls;	/* of the peer; 0: nobody asked who it is */
	/* What it would be if the audit policies were enforced, if that is something else; action 0: it is not. */
	uint8_t would_action, would_reason;
	uint32_t would_rule;
};

/* Loads the programs: some 100 ms of the verifier's time. sessions: as the
 * enforcing programs were loaded. Borrows the maps' descriptors during the call. */
int berm_explain_open(const struct berm_maps *maps, const struct berm_session_opts *sessions,
		      struct berm_explain **ret, struct berm_err *err) must_check;
void berm_explain_close(struct berm_explain *explain); /* accepts NULL */

/* Some microseconds. */
int berm_explain_ask(const struct berm_explain *explain, const struct berm_explain_question *q,
		     struct berm_explain_verdict *ret, struct berm_err *err) must_check;

#endif /* BERM_EXPLAIN_H */
