// SPDX-License-Identifier: Apache-2.0
/*
 * test_ended.c - what sessions have carried is told when they leave, of each one once: by whatever way they leave, what
 * was told and what is still in the table add up to what went through.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>

#include "datapath.h"
#include "generator.h"
#include "jiffies.h"

#define POD  "10.0.0.4"
#define PEER "10.1.1.1"

#define NO_EVENT 0

static const struct packet pattern = { .src = POD, .dst = "10.96.0.0", .sport = 1024, .dport = 80 };

struct told {
	struct datapath *dp;
	struct ring_buffer *ring;
	struct berm_ended last;
	uint64_t count, lost, by_cause[BERM_ENDED_CAUSE_COUNT];
	uint64_t packets[BERM_DIR_COUNT], bytes[BERM_DIR_COUNT];
};

static int on_ended(void *ctx, void *data, size_t size)
{
	struct told *t = ctx;

	EXPECT_EQ(size, sizeof(t->last));
	memcpy(&t->last, data, sizeof(t->last));
	t->count++;
	t->lost += t->last.lost;
	t->by_cause[t->last.cause % BERM_ENDED_CAUSE_COUNT]++;
	for (int dir = 0; dir < BERM_DIR_COUNT; dir++) {
		t->packets[dir] += t->last.packets[dir];
		t->bytes[dir] += t->last.bytes[dir];
	}
	return 0;
}

static struct told *one_pod(uint32_t buckets, bool ended)
{
	struct told *t = calloc(1, sizeof(*t));

	ASSERT_TRUE(t);
	t->dp = datapath_load(&(struct datapath_opts){ .buckets = buckets, .ended = ended });
	t->dp->maps.node->flags &= ~BERM_NODE_EVENTS_ALLOW;
	t->ring = ring_buffer__new(t->dp->maps.fd[BERM_MAP_ended], on_ended, t, NULL);
	ASSERT_TRUE(t->ring);
	(void)datapath_pod(t->dp, &(struct pod){ .ifindex = 1, .addr = { POD } });
	return t;
}

static void listen_to(struct told *t)
{
	ASSERT_TRUE(ring_buffer__consume(t->ring) >= 0);
}

/* What is still in the table counts as if it had left now. */
static uint64_t add_table(struct told *t)
{
	struct table table = table_read(t->dp);
	uint64_t count = 0;

	for (uint32_t i = 0; i < table.buckets * BERM_WAYS; i++) {
		const struct berm_bucket *b = &table.bucket[i / BERM_WAYS];
		const struct berm_session *s = &b->way[i % BERM_WAYS];

		if (!b->tag[i % BERM_WAYS])
			continue;
		count++;
		for (int dir = 0; dir < BERM_DIR_COUNT; dir++) {
			t->packets[dir] += s->packets[dir];
			t->bytes[dir] += s->bytes[dir];
		}
	}
	table_free(&table);
	return count;
}

/* Every session lives no longer, as if time had gone by. */
static void age(struct told *t)
{
	struct table table = table_read(t->dp);
	uint32_t now, hz;
	struct berm_err err = { 0 };

	ASSERT_OK(berm_jiffies_read(&now, &hz, &err), &err);
	for (uint32_t i = 0; i < table.buckets; i++) {
		for (int way = 0; way < BERM_WAYS; way++) {
			table.bucket[i].deadline[way] = now - 1;
			table.bucket[i].way[way].seen = (uint8_t)((now >> 6) - 2);
		}
		ASSERT_EQ(bpf_map_update_elem(t->dp->maps.fd[BERM_MAP_sessions], &i,
					      &table.bucket[i], BPF_ANY),
			  0);
	}
	table_free(&table);
}

/* A connection of `packets` packets of each side beyond its SYN and SYN-ACK. */
static void talk(struct told *t, uint16_t port, uint32_t packets)
{
	struct packet out = { .src = POD, .dst = PEER, .sport = port, .dport = 80 };
	struct packet in = { .src = PEER, .dst = POD, .sport = 80, .dport = port };

	out.flags = TCP_SYN;
	in.flags = TCP_SYN | TCP_ACK;
	SEND(t->dp, BERM_EGRESS, &out, ALLOWED, NOT_ISOLATED, NO_EVENT);
	SEND(t->dp, BERM_INGRESS, &in, ALLOWED, SESSION, NO_EVENT);
	out.flags = in.flags = TCP_ACK;
	in.payload_len = 100;
	for (uint32_t i = 0; i < packets; i++) {
		SEND(t->dp, BERM_EGRESS, &out, ALLOWED, SESSION, NO_EVENT);
		SEND(t->dp, BERM_INGRESS, &in, ALLOWED, SESSION, NO_EVENT);
	}
}

TEST(ended_tells_all,
     "a session that leaves says whose it was, what it has carried and why it went [session.final_counts]")
{
	struct told *t = one_pod(64, true);
	struct berm_ended *e = &t->last;
	struct berm_addr peer;

	ASSERT_EQ(berm_addr_parse(PEER, &peer), 0);
	talk(t, 4000, 5);
	listen_to(t);
	EXPECT_EQ(t->count, 0);
	EXPECT_EQ(datapath_sweep(t->dp, 1), 1);
	listen_to(t);
	EXPECT_EQ(t->count, 1);
	EXPECT_MEM_EQ(&e->peer, &peer, sizeof(peer));
	EXPECT_EQ(ntohs(e->local_port), 4000);
	EXPECT_EQ(ntohs(e->peer_port), 80);
	EXPECT_EQ(e->iface, 1 << 8 | IPPROTO_TCP);
	EXPECT_EQ(e->packets[BERM_EGRESS], 6);
	EXPECT_EQ(e->packets[BERM_INGRESS], 6);
	EXPECT_EQ(e->bytes[BERM_EGRESS], 6 * 54);
	EXPECT_EQ(e->bytes[BERM_INGRESS], 54 + 5 * 154);
	EXPECT_EQ(e->cause, BERM_ENDED_DELETED);
	EXPECT_EQ(e->slot, 1 | BERM_SESSION_FROM_POD);
	EXPECT_TRUE(e->state & BERM_SESSION_ESTABLISHED);
	EXPECT_EQ(e->is_stale, 0);
	EXPECT_GT(e->time_ns, 0);
}

TEST(ended_expired,
     "what is over is told of when it is swept, or when its ports are used again; and whether it was still allowed")
{
	struct told *t = one_pod(64, true);

	talk(t, 4000, 1);
	age(t);
	talk(t, 4000, 2);
	listen_to(t);
	EXPECT_EQ(t->by_cause[BERM_ENDED_EXPIRED], 1);
	EXPECT_EQ(t->last.packets[BERM_EGRESS], 2);
	EXPECT_EQ(datapath_sweep(t->dp, 0), 0); /* the new one lives */
	age(t);
	berm_epoch_bump(&t->dp->maps, 1);
	EXPECT_EQ(datapath_sweep(t->dp, 0), 1);
	listen_to(t);
	EXPECT_EQ(t->by_cause[BERM_ENDED_EXPIRED], 2);
	EXPECT_EQ(t->last.packets[BERM_EGRESS], 3);
	EXPECT_EQ(t->last.is_stale, 1);
	EXPECT_EQ(t->count, 2);
}

static uint64_t passed(struct datapath *dp, enum berm_dir dir)
{
	return datapath_packets(dp, dir, BERM_REASON_SESSION) +
	       datapath_packets(dp, dir, BERM_REASON_NOT_ISOLATED);
}

TEST(ended_adds_up,
     "30,000 flows in a table of 900: what was told and what is left are all packets and all sessions [session.final_counts]")
{
	struct told *t = one_pod(128, true);
	struct flood f = { .packet = &pattern, .net = "10.96.0.0", .flows = 30000, .packets = 1000 };
	struct generator *g = generator_load(t->dp, 0);
	uint64_t left;

	for (f.first = 0; f.first < f.flows; f.first += f.packets) {
		generator_establish(g, f);
		if (f.first % 7000 == 0)
			age(t);
		if (f.first % 5000 == 0)
			(void)datapath_sweep(t->dp, 0);
		listen_to(t);
	}
	left = add_table(t);
	EXPECT_GT(left, 500);
	EXPECT_GT(t->by_cause[BERM_ENDED_EXPIRED], 100);
	EXPECT_GT(t->by_cause[BERM_ENDED_REPLACED], 10000);
	EXPECT_EQ(datapath_stat(t->dp, BERM_STAT_ENDED_LOST), 0);
	EXPECT_EQ(datapath_stat(t->dp, BERM_STAT_ENDED_SENT), t->count);
	EXPECT_EQ(datapath_stat(t->dp, BERM_STAT_SESSION_NEW), t->count + left);
	EXPECT_EQ(t->packets[BERM_EGRESS], passed(t->dp, BERM_EGRESS));
	EXPECT_EQ(t->packets[BERM_INGRESS],
		  datapath_packets(t->dp, BERM_INGRESS, BERM_REASON_SESSION) +
			  datapath_packets(t->dp, BERM_INGRESS, BERM_REASON_NOT_ISOLATED));
	EXPECT_EQ(t->bytes[BERM_EGRESS], 54 * t->packets[BERM_EGRESS]);
	EXPECT_BOOKS(t->dp);
	generator_free(g);
}

TEST(ended_lost, "what finds no room in the ring is counted, exactly, and told of by the next one")
{
	struct told *t = one_pod(128, true);
	struct flood f = { .packet = &pattern, .net = "10.96.0.0", .flows = 100000 };
	struct generator *g = generator_load(t->dp, 0);
	uint64_t lost;

	(void)generator_run(g, BERM_EGRESS, &f, NULL);
	lost = datapath_stat(t->dp, BERM_STAT_ENDED_LOST);
	EXPECT_GT(lost, 50000);
	EXPECT_EQ(datapath_stat(t->dp, BERM_STAT_EVENT_LOST), 0); /* a ring of its own */
	listen_to(t);
	EXPECT_EQ(datapath_stat(t->dp, BERM_STAT_ENDED_SENT), t->count);
	EXPECT_EQ(datapath_stat(t->dp, BERM_STAT_SESSION_NEW), t->count + lost + add_table(t));
	(void)datapath_sweep(t->dp, 1);
	listen_to(t);
	EXPECT_EQ(t->lost, lost);
	generator_free(g);
}

TEST(ended_nobody_reads,
     "without a reader, and without being asked for, nothing is told or counted")
{
	struct told *off = one_pod(64, false), *deaf = one_pod(64, true);

	deaf->dp->maps.node->flags &= ~BERM_NODE_EVENTS;
	talk(off, 4000, 1);
	talk(deaf, 4000, 1);
	EXPECT_EQ(datapath_sweep(off->dp, 1), 1);
	EXPECT_EQ(datapath_sweep(deaf->dp, 1), 1);
	listen_to(off);
	listen_to(deaf);
	EXPECT_EQ(off->count + deaf->count, 0);
	EXPECT_EQ(datapath_stat(off->dp, BERM_STAT_ENDED_SENT) +
			  datapath_stat(deaf->dp, BERM_STAT_ENDED_SENT),
		  0);
	deaf->dp->maps.node->flags |= BERM_NODE_EVENTS;
	talk(deaf, 4001, 1);
	EXPECT_EQ(datapath_sweep(deaf->dp, 1), 1);
	listen_to(deaf);
	EXPECT_EQ(deaf->count, 1);
}
