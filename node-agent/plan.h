/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h - what the compiler wants the kernel to hold: a complete, self-contained picture. No kernel ids:
 * indices are into the plan's own arrays. apply.c finds kernel ids, reuses what is there and writes the
 * difference. The same documents always give the same plan, byte for byte.
 */
#ifndef BERM_PLAN_H
#define BERM_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "abi.h"
#include "names.h"
#include "policy.h"

/* 128-bit content digests: identity of classes and sets across generations. */
struct berm_digest {
	uint64_t w[2];
};

/* Index = plan class. 0 and 1 are always WORLD4 and WORLD6. */
struct berm_plan_class {
	struct berm_digest id; /* of what rules can see of it: groups, named ports, marks */
};

struct berm_plan_peer { /* sorted by addr, unique */
	struct berm_addr addr;
	uint32_t cls;
	uint32_t flags; /* BERM_PEER_FRONTENDS, BERM_PEER_NODE_FRONTENDS */
};

struct berm_plan_frontend { /* as in struct berm_frontend_key; sorted by addr, at; unique */
	struct berm_addr addr;
	uint32_t at;
	uint32_t cls;
};

struct berm_plan_table { /* CIDR table: equal ones are one */
	struct berm_digest id;
	struct berm_plan_prefix {
		struct berm_addr addr;
		uint8_t bits; /* of 128 */
		uint32_t cls; /* UINT32_MAX in a table of allowed source addresses */
	} * prefix;	      /* sorted by bits descending, addr */
	size_t prefix_count;
};

struct berm_plan_interval { /* a port class: index in the array = plan port class */
	uint8_t plane;
	uint16_t first,
		last; /* inclusive; together the intervals cover every plane without gap or overlap */
};

struct berm_plan_rule {		    /* index = plan rule */
	struct berm_rule_name name; /* name.index is filled in by apply */
};

struct berm_plan_set {
	/* Of rules, peers, matrix, table, and columns by port number. Two sets with one id judge every
	 * class and port that both know alike, cell by cell; only classes and port classes that are new
	 * need their row or column. */
	struct berm_digest id;
	struct berm_digest
		judgement; /* of the rules alone: where it is the same, no document has changed */
	uint8_t dir;
	uint32_t table; /* plan table, UINT32_MAX = none */
	uint16_t nrows, ncols;
	uint16_t default_row;
	uint8_t *col;	/* [interval_count] */
	uint32_t *cell; /* [nrows * ncols]: plan rule */
	uint16_t *row;	/* [class_count]: row of each class */
};

struct berm_plan_endpoint { /* sorted by slot */
	uint32_t slot;
	uint32_t ifindex; /* whose slot it was for the compiler: if it has changed hands, apply leaves it alone */
	uint32_t set[BERM_DIR_COUNT]; /* plan set, UINT32_MAX = BERM_SET_OPEN */
	uint32_t would[BERM_DIR_COUNT]; /* with the audit members; UINT32_MAX = there are none */
	uint32_t flags;		      /* BERM_EP_* without FALLBACK */
	uint32_t allowed_table;	      /* plan table of extra source addresses, UINT32_MAX = none */
	uint8_t judged; /* its pod is known: clear BERM_EP_FALLBACK; else leave sets alone */
};

struct berm_plan_ns {
	char name[64];
	uint32_t dirs; /* 1 << enum berm_dir */
};

struct berm_plan {
	struct berm_plan_class *cls;
	size_t class_count;
	struct berm_plan_peer *peer;
	size_t peer_count;
	struct berm_plan_frontend *frontend;
	size_t frontend_count;
	struct berm_plan_table *table;
	size_t table_count;
	struct berm_plan_interval *interval;
	size_t interval_count;
	struct berm_plan_rule *rule;
	size_t rule_count;
	struct berm_plan_set *set;
	size_t set_count;
	uint32_t essentials; /* plan set for BERM_SET_ESSENTIALS (egress), UINT32_MAX = none: deny */
	struct berm_plan_endpoint *endpoint;
	size_t endpoint_count;
	struct berm_plan_ns *ns;
	size_t ns_count;
};

void berm_plan_free(struct berm_plan *plan); /* accepts NULL; frees the struct too */

#endif /* BERM_PLAN_H */
