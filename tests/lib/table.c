/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - the session table as user space reads it, and whether its books are right. Changes nothing
 * except through the maintenance program. Declared in datapath.h. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>

#include "cleanup.h"
#include "datapath.h"

#include "berm.skel.h" /* wants abi.h before it */

#define BATCH 4096

struct table table_read(struct datapath *dp)
{
	struct table t = { .buckets = dp->maps.buckets };
	auto_free __u32 *keys = calloc(BATCH, sizeof(*keys));
	__u32 done = 0, position, count;
	int rc = 0;

	t.bucket = calloc(t.buckets, sizeof(*t.bucket));
	ASSERT_TRUE(t.bucket && keys);
	while (done < t.buckets && !rc) {
		count = t.buckets - done < BATCH ? t.buckets - done : BATCH;
		rc = bpf_map_lookup_batch(dp->maps.fd[BERM_MAP_sessions], done ? &position : NULL,
					  &position, keys, t.bucket + done, &count, NULL);
		if (rc && rc != -ENOENT)
			test_failed(__FILE__, __LINE__, "read the session table: %s",
				    strerror(-rc));
		done += count;
	}
	EXPECT_EQ(done, t.buckets);
	return t;
}

void table_free(struct table *t)
{
	free(t->bucket);
	t->bucket = NULL;
}

/* These tell entries apart; the epoch does not. */
struct identity {
	__u64 peer;
	__u64 ports;
	__u64 signature;
};

static int compare_identities(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct identity));
}

static int64_t count_duplicates(const struct table *t, size_t entries)
{
	struct identity *key = calloc(entries + 1, sizeof(*key));
	size_t n = 0;
	int64_t same = 0;

	ASSERT_TRUE(key);
	for (uint32_t i = 0; i < t->buckets; i++) {
		for (int w = 0; w < BERM_WAYS; w++) {
			const struct berm_session *s = &t->bucket[i].way[w];

			if (!t->bucket[i].tag[w])
				continue;
			memcpy(&key[n].peer, &s->peer.w[2], sizeof(key[n].peer));
			memcpy(&key[n].ports, &s->local_port, sizeof(key[n].ports));
			key[n++].signature = (__u32)s->word;
		}
	}
	qsort(key, n, sizeof(*key), compare_identities);
	for (size_t i = 1; i < n; i++)
		same += !memcmp(&key[i], &key[i - 1], sizeof(*key));
	free(key);
	return same;
}

/* As bpf/bucket.h has it: where the other bucket of an entry is. */
static uint32_t other_bucket(const struct table *t, uint32_t index, uint16_t tag)
{
	uint32_t step = (uint32_t)((uint64_t)(tag * 0x9e3779b1u) * t->buckets >> 32);

	return step >= index ? step - index : step + t->buckets - index;
}

/* Every home must know of every entry of its own that stands elsewhere, not only their sum. */
static int64_t count_wrong_homes(const struct table *t)
{
	uint32_t *away = calloc(t->buckets, sizeof(*away));
	int64_t wrong = 0;

	ASSERT_TRUE(away);
	for (uint32_t i = 0; i < t->buckets; i++)
		for (int w = 0; w < BERM_WAYS; w++)
			if (t->bucket[i].tag[w] && t->bucket[i].way[w].slot & BERM_SESSION_SPILLED)
				away[other_bucket(t, i, t->bucket[i].tag[w])]++;
	for (uint32_t i = 0; i < t->buckets; i++)
		wrong += away[i] != t->bucket[i].spill;
	free(away);
	return wrong;
}

static int64_t count_wrong_owners(const struct datapath *dp, const struct table *t)
{
	int32_t ways[2][256] = { 0 };
	int64_t wrong = 0;

	for (uint32_t i = 0; i < t->buckets; i++)
		for (int w = 0; w < BERM_WAYS; w++)
			if (t->bucket[i].tag[w])
				ways[t->bucket[i].state[w] >> 7][t->bucket[i].owner[w]]++;
	for (int i = 0; i < 2 * 256; i++)
		wrong += ways[i / 256][i % 256] != dp->maps.node->held[i / 256][i % 256];
	return wrong;
}

struct table_sum table_sum(struct datapath *dp, const struct table *t)
{
	struct table_sum sum = { .wrong_homes = count_wrong_homes(t),
				 .wrong_owners = count_wrong_owners(dp, t) };

	for (uint32_t i = 0; i < t->buckets; i++) {
		const struct berm_bucket *b = &t->bucket[i];

		sum.spill += (int32_t)b->spill;
		for (int w = 0; w < BERM_WAYS; w++) {
			if (!b->tag[w])
				continue;
			if (b->state[w] & BERM_SESSION_ESTABLISHED)
				sum.established++;
			else
				sum.half_open++;
			sum.spilled += !!(b->way[w].slot & BERM_SESSION_SPILLED);
			sum.copies_differ += b->state[w] != b->way[w].state;
		}
	}
	sum.duplicates = count_duplicates(t, (size_t)(sum.half_open + sum.established));
	for (int i = 0; i < 256; i++) {
		sum.held[0] += dp->maps.node->held[0][i];
		sum.held[1] += dp->maps.node->held[1][i];
	}
	return sum;
}

void table_expect_books(const char *where, int line, struct datapath *dp)
{
	struct table t = table_read(dp);
	struct table_sum s = table_sum(dp, &t);

	table_free(&t);
	if (s.held[0] == s.half_open && s.held[1] == s.established && s.spill == s.spilled &&
	    !s.copies_differ && !s.wrong_homes && !s.wrong_owners)
		return;
	test_failed(where, line,
		    "the table has %lld half-open, %lld established, %lld spilled entries; the books say %lld, "
		    "%lld, %lld; %lld states differ, %lld homes, %lld owners",
		    (long long)s.half_open, (long long)s.established, (long long)s.spilled,
		    (long long)s.held[0], (long long)s.held[1], (long long)s.spill,
		    (long long)s.copies_differ, (long long)s.wrong_homes,
		    (long long)s.wrong_owners);
}

bool session_find(struct datapath *dp, uint32_t ifindex, const char *peer, uint16_t local_port,
		  uint16_t peer_port, struct berm_session *out)
{
	struct table t = table_read(dp);
	struct berm_addr addr = { 0 };
	bool found = false;

	ASSERT_EQ(berm_addr_parse(peer, &addr), 0);
	for (uint32_t i = 0; i < t.buckets * BERM_WAYS && !found; i++) {
		const struct berm_bucket *b = &t.bucket[i / BERM_WAYS];
		const struct berm_session *s = &b->way[i % BERM_WAYS];

		found = b->tag[i % BERM_WAYS] && !memcmp(&s->peer, &addr, sizeof(addr)) &&
			s->iface >> 8 == ifindex && s->local_port == htons(local_port) &&
			s->peer_port == htons(peer_port);
		if (found && out)
			*out = *s;
	}
	table_free(&t);
	return found;
}

uint32_t datapath_sweep(struct datapath *dp, uint32_t ifindex)
{
	struct {
		char ethernet[14];
		struct berm_sweep_args args;
		char rest[64];
	} __attribute__((packed)) in = { .args = { .count = 256, .ifindex = ifindex } }, out;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = &in, .data_size_in = sizeof(in),
		    .data_out = &out, .data_size_out = sizeof(out),
		    .repeat = (int)(dp->maps.buckets / 256 + 1));

	ASSERT_EQ(bpf_prog_test_run_opts(bpf_program__fd(dp->skel->progs.berm_sweep), &opts), 0);
	return out.args.freed;
}
