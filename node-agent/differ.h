/* SPDX-License-Identifier: Apache-2.0 */
/*
 * differ.h - what the files diff_*.c share: two plans in which every pod is an endpoint, and groups of pods that both plans treat
 * alike. For them alone.
 */
#ifndef BERM_DIFFER_H
#define BERM_DIFFER_H

#include <cjson/cJSON.h>

#include "array.h"
#include "cidr.h"
#include "diff_edge.h"
#include "maps.h"
#include "trial.h"

#define DIFF_NONE	UINT32_MAX
#define DIFF_NAMED_PODS 3
#define DIFF_PAIRS	20000000 /* of what changes with whom it may concern: -E2BIG beyond */

enum diff_side { DIFF_BEFORE, DIFF_AFTER, DIFF_SIDES };
enum diff_family { DIFF_V4, DIFF_V6, DIFF_FAMILIES };
/* What is in force, and what would be if all that is in mode audit were. */
enum diff_word { DIFF_REAL, DIFF_WOULD, DIFF_WORDS };

struct diff_treatment {
	uint32_t set[DIFF_SIDES][DIFF_WORDS][BERM_DIR_COUNT];
	uint32_t cls[DIFF_SIDES][DIFF_FAMILIES];    /* NONE: as the blocks say */
	uint64_t blocks[DIFF_SIDES][DIFF_FAMILIES]; /* then what all tables say of the address */
	uint64_t families;			    /* 1 << enum diff_family */
};

struct diff_group {
	struct diff_treatment as;
	struct berm_addr addr[DIFF_FAMILIES]; /* of its first pod */
	size_t pod[DIFF_NAMED_PODS];	      /* endpoints */
	size_t count;
	bool is_changed; /* as an end of its own, or as somebody's peer */
	bool is_judged_anew[BERM_DIR_COUNT];
};

struct diff_found { /* the verdict of a connection on one side */
	bool is_allowed;
	uint8_t dir;
	const struct berm_rule_name *rule;
};

struct diff_change { /* of ports of one plane, for one reason */
	struct diff_found f[DIFF_SIDES];
	uint32_t first, last; /* plane << 16 | port */
	uint32_t families;
	bool is_would;
};

struct diff_changes { /* of one pair */
	BERM_ARRAY(struct diff_change) list;
	uint32_t families; /* that both ends have */
};

struct diff_front { /* a place that leads elsewhere, of either side; its class NONE: an address like others there */
	struct berm_addr addr;
	uint32_t at;
	uint32_t cls[DIFF_SIDES];
	char name[400]; /* "shop/db", of a Service or a pod */
	bool is_pod;
};

struct berm_differ {
	struct berm_trial trial[DIFF_SIDES];
	struct berm_local_endpoint *endpoint; /* every pod with an address */
	size_t endpoint_count;
	BERM_ARRAY(struct diff_group) group;
	BERM_ARRAY(struct diff_front) front; /* by address and port */
	struct berm_addr node[DIFF_FAMILIES];
	struct berm_numbers start; /* boundaries of both plans' port classes */
	bool has_would;
	bool is_cut;
	size_t edges;
	cJSON *out; /* edges */
};

/* ---- diff_group.c ---------------------------------------------------------------------------------------------- */

int diff_groups_make(struct berm_differ *d) must_check;
bool diff_is_same_class(const struct berm_differ *d, const uint32_t cls[DIFF_SIDES]);
static inline enum diff_family diff_family_of(const struct berm_addr *addr)
{
	return berm_addr_is_v4(addr) ? DIFF_V4 : DIFF_V6;
}

/* ---- diff_tell.c: edges as JSON ---------------------------------------------------------------------------------- */

/* Both sides differ in what they say of these ports. */
int diff_changes_add(struct diff_changes *changes, const struct diff_change *change) must_check;
/* All JSON is taken; flow may be NULL. */
void diff_tell(struct berm_differ *d, const struct diff_changes *changes, cJSON *from, cJSON *to,
	       cJSON *flow);
cJSON *diff_pods_json(const struct berm_differ *d, const struct diff_group *group);
cJSON *diff_block_json(const struct berm_addr *addr, unsigned int bits);

/* ---- diff_judge.c ---------------------------------------------------------------------------------------------------- */

/* Sets and classes of a connection's two ends: [0] egress of its source, [1] ingress of its destination. */
struct diff_ends {
	uint32_t set[DIFF_SIDES][DIFF_WORDS][BERM_DIR_COUNT];
	uint32_t cls[DIFF_SIDES][DIFF_WORDS][BERM_DIR_COUNT];
};

struct diff_found diff_judge(const struct berm_differ *d, const struct diff_ends *ends,
			     enum diff_side side, enum diff_word word, uint32_t at);
/* Ports from first to last (plane << 16 | port): what differs is added, as of this family. */
int diff_ports(const struct berm_differ *d, const struct diff_ends *ends, const uint32_t span[2],
	       struct diff_changes *changes, enum diff_family family) must_check;

/* ---- diff_front.c, diff_flow.c ------------------------------------------------------------------------------------ */

int diff_fronts_take(struct berm_differ *d, const struct berm_model *model,
		     enum diff_side side) must_check;
int diff_fronts_compare(struct berm_differ *d) must_check;
int diff_flows_compare(struct berm_differ *d) must_check;

#endif /* BERM_DIFFER_H */
