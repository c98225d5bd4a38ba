/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rolled.h - what the files rollup*.c share: the policies, the nodes and what is under way. For them alone.
 */
#ifndef BERM_ROLLED_H
#define BERM_ROLLED_H

#include <stdbool.h>
#include <stdint.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "agent.h"
#include "apicall.h"
#include "apievents.h"
#include "digest.h"
#include "document.h"
#include "patience.h"
#include "policyset.h"
#include "rollup.h"
#include "stream.h"

#define BERM_ROLLUP_MAX_PARTS 64
#define BERM_ROLLUP_HISTORY   256

struct tracked { /* a policy */
	UT_hash_handle hh;
	const char *source; /* borrowed from the set, while a round ends; else NULL */
	uint64_t digest;
	uint64_t since; /* number of the first set that had this version */
	uint64_t told;	/* digest of the version that was told to be enforced; 0: none */
	uint32_t round;
	enum berm_standing standing;
	bool is_disabled, is_enforced;
	unsigned int realised, refused; /* nodes */
	char key[];			/* "NetworkPolicy shop/wall" */
};

struct told { /* a problem */
	UT_hash_handle hh;
	struct berm_digest sum;
	uint32_t round;
};

struct rolled_node {
	UT_hash_handle hh;
	char set[33]; /* what it says */
	uint64_t has; /* number of the newest set that it has; 0: none that we know */
	struct berm_problems refused;
	uint32_t round;
	char name[];
};

struct rolled_part {
	struct berm_digest written;
	bool is_there;
};

struct berm_rollup {
	const struct berm_agent *agent;
	struct berm_apievents *events;
	struct berm_apiget *list;
	struct berm_apicall *call;
	struct berm_items items;
	struct berm_patience reading, writing;
	struct tracked *policies;
	struct told *problems;
	struct rolled_node *nodes;
	struct rolled_part part[BERM_ROLLUP_MAX_PARTS];
	unsigned int part_count, next_part;
	char history[BERM_ROLLUP_HISTORY][33]; /* set n is in n % BERM_ROLLUP_HISTORY */
	uint64_t newest;		       /* 0: none yet */
	uint32_t round;
	struct berm_digest seen; /* of all that the last round was made of */
	bool has_read_old, is_reading_old;
	bool has_pending; /* of the last round: an Event or a part */
};

/* ---- rollup_policy.c: policies and nodes --------------------------------------------------------------------------- */

/* "NetworkPolicy shop/wall"; NULL: no memory. */
struct tracked *berm_rollup_track(struct berm_rollup *rollup, const char *key);
/* What one node says: its digest, and documents that it refuses (cJSON array, NULL: none). */
void berm_rollup_take_node(struct berm_rollup *rollup, const char *name, const char *set,
			   const cJSON *refused);
/* The nodes of this round and the policies that we have ourselves. */
void berm_rollup_take_set(struct berm_rollup *rollup, const struct berm_policyset *set);
/* How many nodes have each of them. -ENOMEM. */
int berm_rollup_count(struct berm_rollup *rollup) must_check;
/* Is anything other than in the last round? */
bool berm_rollup_has_news(struct berm_rollup *rollup);
void berm_rollup_forget(struct berm_rollup *rollup);

/* ---- rollup_event.c ------------------------------------------------------------------------------------------------- */

void berm_rollup_tell_enforced(struct berm_rollup *rollup);
void berm_rollup_tell_problems(struct berm_rollup *rollup);
void berm_rollup_forget_told(struct berm_rollup *rollup);

/* ---- rollup_part.c: the ConfigMaps berm-rollup-N ------------------------------------------------------------------- */

/* What an earlier leader wrote. */
void berm_rollup_take_part(struct berm_rollup *rollup, const cJSON *configmap);
/* Those that are not as they should be, one after the other. */
void berm_rollup_write(struct berm_rollup *rollup);

#endif /* BERM_ROLLED_H */
