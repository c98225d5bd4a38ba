/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_flood.c - millions of flows against a table of the default size: who is established stays, and who
 * is small is not pushed out by who is big. The flows come from a generator in front of the real handle().
 */
#include "datapath.h"
#include "generator.h"

#define QUIET 1 /* interface of a pod with some sessions */
#define NOISY 2 /* of one that makes too many, or is flooded */

#define QUIET_ADDR "10.0.0.3"
#define NOISY_ADDR "10.0.0.4"

#define NO_EVENT 0

static const struct packet quiet_out = {
	.src = QUIET_ADDR, .dst = "10.64.0.0", .sport = 1024, .dport = 80
};
static const struct packet noisy_out = {
	.src = NOISY_ADDR, .dst = "10.96.0.0", .sport = 1024, .dport = 80
};
static const struct packet noisy_in = {
	.src = "10.128.0.0", .dst = NOISY_ADDR, .sport = 1024, .dport = 80
};

static struct datapath *two_pods(struct generator **ret_g)
{
	struct datapath *dp =
		datapath_load(&(struct datapath_opts){ .buckets = BERM_BUCKETS_DEFAULT });

	dp->maps.node->flags = BERM_NODE_MISSING_DENY;
	datapath_pod(dp, &(struct pod){ .ifindex = QUIET, .addr = { QUIET_ADDR } });
	datapath_pod(dp, &(struct pod){ .ifindex = NOISY,
					.addr = { NOISY_ADDR },
					.mac = "02:00:00:00:00:04" });
	*ret_g = generator_load(dp, 0);
	return dp;
}

static uint32_t established_of(struct datapath *dp, uint32_t ifindex)
{
	struct table t = table_read(dp);
	uint32_t n = 0;

	for (uint32_t i = 0; i < t.buckets * BERM_WAYS; i++) {
		const struct berm_bucket *b = &t.bucket[i / BERM_WAYS];

		n += b->tag[i % BERM_WAYS] && b->state[i % BERM_WAYS] & BERM_SESSION_ESTABLISHED &&
		     b->way[i % BERM_WAYS].iface >> 8 == ifindex;
	}
	table_free(&t);
	return n;
}

static int64_t entries(struct datapath *dp)
{
	struct table t = table_read(dp);
	struct table_sum s = table_sum(dp, &t);

	table_free(&t);
	return s.established + s.half_open;
}

static struct flood flows(const struct packet *pattern, uint32_t ifindex, uint32_t count)
{
	return (struct flood){ .packet = pattern,
			       .net = ifindex == QUIET ? "10.64.0.0" : "10.96.0.0",
			       .ifindex = ifindex,
			       .flows = count };
}

/* 3,000,000 flows from as many addresses at the noisy pod: nobody's sessions suffer, and others can open new ones. */
static void flood_eats_itself(const struct packet *pattern)
{
	struct generator *g;
	struct datapath *dp = two_pods(&g);
	struct flood flood = { .packet = pattern,
			       .net = "10.128.0.0",
			       .ifindex = NOISY,
			       .flows = 3000000,
			       .by_peer = true };
	struct packet syn = { .src = "10.1.1.1", .dst = QUIET_ADDR, .sport = 1, .dport = 80 };
	struct packet syn_ack = { .src = QUIET_ADDR,
				  .dst = "10.1.1.1",
				  .sport = 80,
				  .dport = 1,
				  .flags = TCP_SYN | TCP_ACK };
	uint32_t quiet, noisy;

	generator_establish(g, flows(&quiet_out, QUIET, 80000));
	generator_establish(g, flows(&noisy_out, NOISY, 20000));
	quiet = established_of(dp, QUIET);
	noisy = established_of(dp, NOISY);
	EXPECT_GE(quiet, 79900);
	EXPECT_GE(noisy, 19900);
	(void)generator_run(g, BERM_INGRESS, &flood, NULL);
	printf("# %llu half-open replaced, %llu established, %llu found no way\n",
	       (unsigned long long)datapath_stat(dp, BERM_STAT_REPLACED_HALF_OPEN),
	       (unsigned long long)datapath_stat(dp, BERM_STAT_REPLACED_ESTABLISHED),
	       (unsigned long long)datapath_stat(dp, BERM_STAT_SESSION_FULL));
	EXPECT_EQ(established_of(dp, QUIET), quiet);
	EXPECT_EQ(established_of(dp, NOISY), noisy); /* the flooded pod's own neither */
	EXPECT_LE(entries(dp), (int64_t)BERM_BUCKETS_DEFAULT * BERM_WAYS);
	EXPECT_GT(datapath_stat(dp, BERM_STAT_REPLACED_HALF_OPEN),
		  2000000); /* the flood ate itself */
	EXPECT_BOOKS(dp);
	SEND_TO(dp, BERM_INGRESS, QUIET, &syn, ALLOWED, NOT_ISOLATED, NO_EVENT);
	SEND_TO(dp, BERM_EGRESS, QUIET, &syn_ack, ALLOWED, SESSION, NO_EVENT);
}

TEST(syn_flood,
     "3,000,000 unanswered SYNs cost no established session, and no memory [session.syn_flood]")
{
	flood_eats_itself(&noisy_in);
}

TEST(udp_spoof_flood,
     "3,000,000 unanswered datagrams cost no established session, and no memory [session.udp_spoof_flood]")
{
	struct packet datagram = noisy_in;

	datagram.proto = IPPROTO_UDP;
	datagram.dport = 53;
	datagram.payload_len = 32; /* the generator wants room for a TCP header */
	flood_eats_itself(&datagram);
}

TEST(noisy_neighbour,
     "600,000 answered flows of one pod evict none of another's [session.noisy_neighbour]")
{
	struct generator *g;
	struct datapath *dp = two_pods(&g);
	struct packet syn = { .src = QUIET_ADDR, .dst = "10.1.1.1", .dport = 80 };
	uint32_t quiet, unrecorded = 0;

	generator_establish(g, flows(&quiet_out, QUIET, 3000));
	quiet = established_of(dp, QUIET);
	EXPECT_GE(quiet, 2990);
	generator_establish(g, flows(&noisy_out, NOISY, 600000));
	EXPECT_GT(established_of(dp, NOISY), 250000); /* it took what was there */
	EXPECT_EQ(established_of(dp, QUIET), quiet);
	/* And the quiet one goes on opening. */
	for (uint16_t port = 1; port <= 500; port++) {
		syn.sport = port;
		unrecorded += datapath_send(dp, BERM_EGRESS, QUIET, &syn).reason !=
			      BERM_REASON_NOT_ISOLATED;
	}
	EXPECT_EQ(unrecorded, 0);
	EXPECT_BOOKS(dp);
}

TEST(noisy_halfopen,
     "one pod's unanswered flows leave others' new connections alone [session.noisy_halfopen]")
{
	struct generator *g;
	struct datapath *dp = two_pods(&g);
	struct flood flood = flows(&noisy_out, NOISY, 1500000);
	struct packet ask = {
		.src = QUIET_ADDR, .dst = "10.1.1.1", .proto = IPPROTO_UDP, .dport = 53
	};
	struct packet answer = {
		.src = "10.1.1.1", .dst = QUIET_ADDR, .proto = IPPROTO_UDP, .sport = 53
	};

	datapath_policy(dp, 1, BERM_INGRESS, NULL, 0); /* so that answers need their session */
	generator_establish(g, flows(&quiet_out, QUIET, 100000));
	for (flood.first = 300000; flood.first < 1400000; flood.first += flood.packets) {
		ask.sport = answer.dport = (uint16_t)(flood.first / 25000);
		SEND_TO(dp, BERM_EGRESS, QUIET, &ask, ALLOWED, NOT_ISOLATED, NO_EVENT);
		flood.packets = 25000; /* 50 ms of it, at 500,000 a second */
		(void)generator_run(g, BERM_EGRESS, &flood, NULL);
		SEND_TO(dp, BERM_INGRESS, QUIET, &answer, ALLOWED, SESSION, NO_EVENT);
	}
	EXPECT_BOOKS(dp);
}
