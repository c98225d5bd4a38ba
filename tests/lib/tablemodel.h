/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tablemodel.h - the session table as docs/session-table.md describes it, in plain C: one CPU, no lock, no
 * line of bpf/bucket.h. What is asked of it is who goes for whom; tests/bpf/test_table.c asks the real programs
 * the same. Rules that were not taken can be asked too.
 */
#ifndef BERM_TEST_TABLEMODEL_H
#define BERM_TEST_TABLEMODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "abi.h"

struct tm_key { /* from the pod's point of view, as it is hashed */
	struct berm_addr peer, local;
	__be16 local_port, peer_port;
	__u32 iface; /* ifindex << 8 | protocol */
};

/* May a newcomer, half-open, take an established way of another owner that holds at least 1/64 of the table? */
enum tm_rule {
	TM_FOUR_TIMES,	      /* if that one holds four times the newcomer's established ways */
	TM_FOUR_TIMES_OF_ALL, /* ...four times all ways of the newcomer, half-open ones too */
	TM_CEILING, /* as the first, but not while the newcomer's owner has 1/64 of the table half-open */
};

enum tm_class { TM_ESTABLISHED, TM_HALF_OPEN, TM_DEAD }; /* who goes first has the higher number */

struct tm_table {
	uint32_t buckets;
	uint32_t seed[10];
	uint32_t half_open_ticks, established_ticks;
	enum tm_rule rule;
	struct tm_bucket *bucket;
	int32_t held[2][256]; /* [is established][owner] */

	uint64_t opened, full;	  /* newcomers: recorded, found no way */
	uint64_t replaced[3];	  /* by enum tm_class; free ways not counted */
	uint64_t lost[2][256];	  /* living ways taken, by [is established][owner] */
	uint64_t lost_to_self[2]; /* of these: taken by their own owner */
};

struct tm_place {
	uint32_t bucket, way; /* way BERM_WAYS: none */
};

void tm_start(struct tm_table *t, uint32_t buckets, const uint32_t seed[10], enum tm_rule rule);
void tm_end(struct tm_table *t);

/* The flow's first packet at time `now` (jiffies). Where it stands from now on. */
struct tm_place tm_open(struct tm_table *t, const struct tm_key *key, uint8_t owner, uint32_t now);
/* The flow is established, if it is still known. */
bool tm_promote(struct tm_table *t, const struct tm_key *key, uint32_t now);
struct tm_place tm_find(const struct tm_table *t, const struct tm_key *key);
/* Both places that a flow may stand in: its home first. */
void tm_homes(const struct tm_table *t, const struct tm_key *key, uint32_t ret[2]);

#endif /* BERM_TEST_TABLEMODEL_H */
