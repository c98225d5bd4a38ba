/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_move.c - sessions move to a table of another size while both tables' programs see packets: none is lost, doubled or
 * changed, and what they have carried adds up. What the pods notice of it is in tests/netns/test_pressure.sh.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_ether.h>

#include "datapath.h"
#include "generator.h"

#include "berm.skel.h" /* wants abi.h before it */

#define POD   "10.0.0.4"
#define POD6  "fd00::4"
#define PEER6 "fd00::99"
#define FLOWS 3000

#define NO_EVENT 0

static const struct packet pattern = { .src = POD, .dst = "10.96.0.0", .sport = 1024, .dport = 80 };

struct tables {
	struct datapath *old, new; /* they share all maps but the sessions */
};

static struct tables two_tables(uint32_t from, uint32_t to)
{
	struct tables t = { .old = datapath_load(&(struct datapath_opts){ .buckets = from }) };
	struct berm_bpf *skel = berm_bpf__open();
	struct bpf_map *map;

	ASSERT_TRUE(skel);
	ASSERT_EQ(bpf_map__set_max_entries(skel->maps.berm_sessions, to), 0);
	skel->rodata->cfg_buckets = to;
	skel->rodata->cfg_hz = t.old->hz;
	bpf_object__for_each_map(map, skel->obj) {
		int fd = map == skel->maps.berm_sessions_old
				 ? t.old->maps.fd[BERM_MAP_sessions]
				 : datapath_map(t.old, bpf_map__name(map));

		if (fd >= 0 && map != skel->maps.berm_sessions)
			ASSERT_EQ(bpf_map__reuse_fd(map, fd), 0);
	}
	ASSERT_EQ(berm_bpf__load(skel), 0);
	t.new = *t.old;
	t.new.skel = skel;
	t.new.maps.buckets = to;
	t.new.maps.fd[BERM_MAP_sessions] = bpf_map__fd(skel->maps.berm_sessions);
	t.old->maps.node->flags = BERM_NODE_MISSING_DENY;
	(void)datapath_pod(t.old, &(struct pod){ .ifindex = 1, .addr = { POD6, POD } });
	return t;
}

static struct berm_move_args move(struct tables *t, uint32_t ifindex, bool take)
{
	struct {
		struct ethhdr eth;
		struct berm_move_args args;
	} __attribute__((packed))
	in = { .args = { .count = 256, .ifindex = ifindex, .take = take } },
	out;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = &in, .data_size_in = sizeof(in),
		    .data_out = &out, .data_size_out = sizeof(out),
		    .repeat = (int)(t->old->maps.buckets / 256 + 1));

	ASSERT_EQ(bpf_prog_test_run_opts(bpf_program__fd(t->new.skel->progs.berm_move), &opts), 0);
	return out.args;
}

struct sum {
	uint64_t sessions, established, packets, bytes;
};

static struct sum sum_of(struct datapath *dp)
{
	struct table table = table_read(dp);
	struct sum sum = { 0 };

	for (uint32_t i = 0; i < table.buckets * BERM_WAYS; i++) {
		const struct berm_bucket *b = &table.bucket[i / BERM_WAYS];
		const struct berm_session *s = &b->way[i % BERM_WAYS];

		if (!b->tag[i % BERM_WAYS])
			continue;
		sum.sessions++;
		sum.established += !!(b->state[i % BERM_WAYS] & BERM_SESSION_ESTABLISHED);
		sum.packets += s->packets[0] + s->packets[1];
		sum.bytes += s->bytes[0] + s->bytes[1];
	}
	table_free(&table);
	return sum;
}

/* An answer to a flow of ours: it rides, or it is nobody's. */
static struct packet answer(uint32_t flow)
{
	static char from[16];

	snprintf(from, sizeof(from), "10.96.0.%u", flow / 16384);
	return (struct packet){ .src = from,
				.dst = POD,
				.sport = 80,
				.dport = (uint16_t)(1024 + flow % 16384),
				.flags = TCP_ACK };
}

static void moves(uint32_t from, uint32_t to)
{
	struct tables t = two_tables(from, to);
	struct generator *g = generator_load(t.old, 0);
	struct packet syn6 = {
		.src = POD6, .dst = PEER6, .sport = 7, .dport = 80, .flags = TCP_SYN
	};
	struct packet answer6 = {
		.src = PEER6, .dst = POD6, .sport = 80, .dport = 7, .flags = TCP_SYN | TCP_ACK
	};
	struct packet back;
	struct sum before, after;
	struct berm_move_args moved;
	uint64_t packets = 0;

	generator_establish(g, (struct flood){
				       .packet = &pattern, .net = "10.96.0.0", .flows = FLOWS });
	SEND(t.old, BERM_EGRESS, &syn6, ALLOWED, NOT_ISOLATED, NO_EVENT);
	before = sum_of(t.old);
	EXPECT_EQ(before.sessions, FLOWS + 1);
	EXPECT_EQ(before.established, FLOWS);

	moved = move(&t, 1, false);
	EXPECT_EQ(moved.moved, FLOWS + 1);
	EXPECT_EQ(moved.lost, 0);
	EXPECT_EQ(sum_of(&t.new).packets, 0); /* a copy begins to count anew */
	(void)move(&t, 0, false);	      /* once more changes nothing */
	for (uint32_t flow = 0; flow < FLOWS; flow += 10) {
		back = answer(flow);
		SEND(t.old, BERM_INGRESS, &back, ALLOWED, SESSION, NO_EVENT);
		SEND(&t.new, BERM_INGRESS, &back, ALLOWED, SESSION, NO_EVENT);
		packets += 2;
	}
	/* One gets further in the old table, one begins there, after the copy. */
	SEND(t.old, BERM_INGRESS, &answer6, ALLOWED, SESSION, NO_EVENT);
	syn6.flags = TCP_ACK;
	SEND(t.old, BERM_EGRESS, &syn6, ALLOWED, SESSION, NO_EVENT);
	syn6 = (struct packet){
		.src = POD6, .dst = PEER6, .sport = 8, .dport = 80, .flags = TCP_SYN
	};
	SEND(t.old, BERM_EGRESS, &syn6, ALLOWED, NOT_ISOLATED, NO_EVENT);

	moved = move(&t, 1, true);
	EXPECT_EQ(moved.moved, FLOWS + 2);
	EXPECT_EQ(moved.lost, 0);
	EXPECT_EQ(sum_of(t.old).sessions, 0);
	after = sum_of(&t.new);
	EXPECT_EQ(after.sessions, FLOWS + 2);
	EXPECT_EQ(after.established, FLOWS + 1);
	EXPECT_EQ(after.packets, before.packets + packets + 3);
	EXPECT_GT(after.bytes, before.bytes);
	EXPECT_BOOKS(&t.new);
	for (uint32_t flow = 0; flow < FLOWS; flow += 100) {
		back = answer(flow);
		SEND(&t.new, BERM_INGRESS, &back, ALLOWED, SESSION, NO_EVENT);
	}
	generator_free(g);
}

TEST(move_larger,
     "every session stands in a larger table with what it has carried in both [session.resize]")
{
	moves(1024, 5000);
}

TEST(move_smaller, "and in a smaller one that has room for them")
{
	moves(1024, 701);
}

TEST(move_full,
     "what a table that is too small has no way for is lost and counted, and the books are right")
{
	struct tables t = two_tables(1024, 100);
	struct generator *g = generator_load(t.old, 0);
	struct berm_move_args moved;
	struct sum after;

	generator_establish(g, (struct flood){
				       .packet = &pattern, .net = "10.96.0.0", .flows = FLOWS });
	(void)move(&t, 0, false);
	moved = move(&t, 0, true);
	after = sum_of(&t.new);
	EXPECT_EQ(moved.moved + moved.lost, FLOWS);
	EXPECT_EQ(moved.moved, after.sessions);
	EXPECT_GT(after.sessions, 600);
	EXPECT_EQ(sum_of(t.old).sessions, 0);
	EXPECT_BOOKS(&t.new);
	generator_free(g);
}

TEST(move_strangers,
     "sessions of a pod that is gone, or of one interface only, are not taken along")
{
	struct tables t = two_tables(256, 300);
	struct packet syn = {
		.src = POD, .dst = "10.96.0.1", .sport = 7, .dport = 80, .flags = TCP_SYN
	};
	struct packet other = { .src = "10.0.0.5", .dst = "10.96.0.1", .sport = 7, .dport = 80 };
	struct berm_move_args moved;

	(void)datapath_pod(t.old, &(struct pod){ .ifindex = 2,
						 .addr = { "10.0.0.5" },
						 .mac = "02:00:00:00:00:05" });
	other.flags = TCP_SYN;
	SEND(t.old, BERM_EGRESS, &syn, ALLOWED, NOT_ISOLATED, NO_EVENT);
	SEND_TO(t.old, BERM_EGRESS, 2, &other, ALLOWED, NOT_ISOLATED, NO_EVENT);
	moved = move(&t, 1, true);
	EXPECT_EQ(moved.moved, 1);
	EXPECT_EQ(sum_of(t.old).sessions, 1);
	EXPECT_EQ(berm_slot_free(&t.old->maps, 2, 2, NULL), 0);
	moved = move(&t, 0, true);
	EXPECT_EQ(moved.moved, 0);
	EXPECT_EQ(moved.lost, 1);
	EXPECT_EQ(sum_of(&t.new).sessions, 1);
	EXPECT_BOOKS(&t.new);
}
