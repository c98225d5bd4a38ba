/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodestatus.h - what one node says of itself in the ConfigMap berm-status-<node>: text only, nobody is asked.
 */
#ifndef BERM_NODESTATUS_H
#define BERM_NODESTATUS_H

#include <stdint.h>

#define BERM_STATUS_LABEL "berm.dev/status"	/* node, rollup */
#define BERM_STATUS_SET	  "berm.dev/policy-set" /* annotation */
#define BERM_STATUS_REFUSED                                                                        \
	"berm.dev/refused" /* annotation, of documents that this node cannot take */
#define BERM_STATUS_MAX_BYTES	 8192
#define BERM_STATUS_MAX_PROBLEMS 20
#define BERM_STATUS_MAX_REFUSED	 4

struct berm_agent;

struct berm_nodestatus {
	char *content; /* without what changes all the time */
	char *refused; /* JSON array of problems that other nodes need not have; "[]": none */
	char set[33];
	uint64_t generation;
};

/* -ENOMEM. */
int berm_nodestatus_read(const struct berm_agent *agent, struct berm_nodestatus *ret);
/* The whole ConfigMap, malloc'ed; NULL: no memory. */
char *berm_nodestatus_configmap(const struct berm_agent *agent,
				const struct berm_nodestatus *status);
void berm_nodestatus_clear(struct berm_nodestatus *status);

#endif /* BERM_NODESTATUS_H */
