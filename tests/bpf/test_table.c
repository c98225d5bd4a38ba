/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_table.c - do the programs displace whom docs/session-table.md says? The same flows go through them and
 * through tests/lib/tablemodel.c, which shares no code with them: one by one, way by way; and by the million, in
 * counts.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>

#include "datapath.h"
#include "generator.h"
#include "jiffies.h"
#include "tablemodel.h"

#include "berm.skel.h" /* wants abi.h before it */

#define BIG    1 /* pods, slots and devices */
#define SMALL  2
#define MIDDLE 3

#define HALF_OPEN_S 30
#define TCP_S	    10800

struct duel {
	struct datapath *dp;
	struct generator *g;
	struct tm_table model;
	uint32_t now; /* jiffies of the last packet that was written down */
	uint32_t flows, random;
	uint64_t agreed, full, established;
};

static void duel_start(struct duel *d, uint32_t buckets)
{
	*d = (struct duel){ .dp = datapath_load(&(struct datapath_opts){ .buckets = buckets }),
			    .random = 2463534242u };
	d->dp->maps.node->flags = BERM_NODE_MISSING_DENY;
	for (uint32_t pod = BIG; pod <= MIDDLE; pod++) {
		char addr[32];

		snprintf(addr, sizeof(addr), "10.9.0.%u", pod);
		ASSERT_EQ(datapath_pod(d->dp, &(struct pod){ .ifindex = pod, .addr = { addr } }),
			  pod);
	}
	tm_start(&d->model, buckets, d->dp->maps.node->hash_seed, TM_CEILING);
	d->model.half_open_ticks = HALF_OPEN_S * d->dp->hz;
	d->model.established_ticks = TCP_S * d->dp->hz;
}

static void duel_end(struct duel *d)
{
	tm_end(&d->model);
	datapath_free(d->dp);
}

/* ---- one by one ------------------------------------------------------------------------------------------------ */

static struct tm_key key_of(uint32_t pod, uint32_t peer, uint16_t local_port, uint16_t peer_port)
{
	return (struct tm_key){ .peer = { { 0, 0, htonl(0xffff), htonl(peer) } },
				.local = { { 0, 0, htonl(0xffff), htonl(0x0a090000 + pod) } },
				.local_port = htons(local_port),
				.peer_port = htons(peer_port),
				.iface = pod << 8 | IPPROTO_TCP };
}

static void send_one(struct duel *d, uint32_t pod, uint32_t peer, uint16_t sport, uint8_t flags)
{
	bool is_answer = flags == (TCP_SYN | TCP_ACK);
	const struct bpf_program *prog = is_answer ? d->dp->skel->progs.berm_from_pod
						   : d->dp->skel->progs.berm_to_pod;
	struct in_addr addr = { htonl(peer) };
	char own[32], other[INET_ADDRSTRLEN], frame[PACKET_MAX];
	struct packet p = { .src = is_answer ? own : other,
			    .dst = is_answer ? other : own,
			    .sport = is_answer ? 443 : sport,
			    .dport = is_answer ? sport : 443,
			    .flags = flags };
	struct __sk_buff ctx = { .ifindex = pod, .ingress_ifindex = is_answer ? pod : 4 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx));

	snprintf(own, sizeof(own), "10.9.0.%u", pod);
	inet_ntop(AF_INET, &addr, other, sizeof(other));
	opts.data_size_in = (__u32)packet_build(&p, frame);
	ASSERT_EQ(datapath_run(d->dp, prog, &opts), 0);
	ASSERT_EQ((int)opts.retval, ALLOWED);
}

/* Where the programs have it, and until when. */
static struct tm_place place_of(struct duel *d, const struct tm_key *key, uint32_t *ret_deadline)
{
	struct berm_bucket b;
	uint32_t at[2];

	tm_homes(&d->model, key, at);
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(bpf_map_lookup_elem(d->dp->maps.fd[BERM_MAP_sessions], &at[i], &b), 0);
		for (uint32_t way = 0; way < BERM_WAYS; way++) {
			if (!b.tag[way] ||
			    memcmp(&b.way[way].peer, &key->peer, sizeof(key->peer)) ||
			    memcmp(&b.way[way].local_port, &key->local_port, 8))
				continue;
			*ret_deadline = b.deadline[way];
			return (struct tm_place){ at[i], way };
		}
	}
	return (struct tm_place){ at[0], BERM_WAYS };
}

/* A new flow through both; the model is told the time that the programs wrote down. */
static void open_both(struct duel *d, uint32_t pod, bool answered)
{
	uint32_t peer = 0x0a400000 + d->flows / 60000, deadline = 0;
	uint16_t sport = (uint16_t)(1024 + d->flows++ % 60000);
	struct tm_key key = key_of(pod, peer, 443, sport);
	struct tm_place real, model;

	send_one(d, pod, peer, sport, TCP_SYN);
	real = place_of(d, &key, &deadline);
	if (real.way < BERM_WAYS)
		d->now = deadline - d->model.half_open_ticks;
	model = tm_open(&d->model, &key, (uint8_t)pod, d->now);
	if (real.way != model.way || (real.way < BERM_WAYS && real.bucket != model.bucket)) {
		test_failed(__FILE__, __LINE__,
			    "flow %u of pod %u: the programs took way %u of bucket %u, the model %u of %u",
			    d->flows, pod, real.way, real.bucket, model.way, model.bucket);
		test_stop();
	}
	d->agreed++;
	d->full += real.way == BERM_WAYS;
	if (!answered || real.way == BERM_WAYS)
		return;
	send_one(d, pod, peer, sport, TCP_SYN | TCP_ACK);
	send_one(d, pod, peer, sport, TCP_ACK);
	(void)place_of(d, &key, &deadline);
	d->now = deadline - d->model.established_ticks;
	EXPECT_TRUE(tm_promote(&d->model, &key, d->now));
	d->established++;
}

static uint32_t below(struct duel *d, uint32_t limit)
{
	d->random ^= d->random << 13;
	d->random ^= d->random >> 17;
	d->random ^= d->random << 5;
	return (uint32_t)((uint64_t)d->random * limit >> 32);
}

static void expect_same_counts(struct duel *d)
{
	EXPECT_EQ(datapath_stat(d->dp, BERM_STAT_SESSION_NEW), d->model.opened);
	EXPECT_EQ(datapath_stat(d->dp, BERM_STAT_SESSION_FULL), d->model.full);
	EXPECT_EQ(datapath_stat(d->dp, BERM_STAT_REPLACED_HALF_OPEN),
		  d->model.replaced[TM_HALF_OPEN]);
	EXPECT_EQ(datapath_stat(d->dp, BERM_STAT_REPLACED_ESTABLISHED),
		  d->model.replaced[TM_ESTABLISHED]);
	for (int i = 0; i < 2 * 256; i++)
		EXPECT_EQ(d->dp->maps.node->held[i / 256][i % 256],
			  d->model.held[i / 256][i % 256]);
	EXPECT_BOOKS(d->dp);
}

TEST(way_by_way,
     "the programs displace whom the model displaces, flow by flow [session.noisy_neighbour]")
{
	struct duel d;

	duel_start(&d, 512);
	for (int i = 0; i < 2500; i++)
		open_both(&d, BIG, i % 16); /* 70 % of the table */
	for (int i = 0; i < 8000; i++)
		open_both(&d, SMALL, !(i % 100)); /* a flood, charged to a small one */
	for (int i = 0; i < 4000; i++)
		open_both(&d, BIG, i % 2); /* now it is full */
	for (int i = 0; i < 30000; i++)
		open_both(&d, 1 + below(&d, 3), !below(&d, 1 + below(&d, 60)));
	printf("# %llu flows agree: %llu established, %llu found no way; %llu took a half-open way, %llu an established one\n",
	       (unsigned long long)d.agreed, (unsigned long long)d.established,
	       (unsigned long long)d.full, (unsigned long long)d.model.replaced[TM_HALF_OPEN],
	       (unsigned long long)d.model.replaced[TM_ESTABLISHED]);
	EXPECT_GT(d.full, 100);
	EXPECT_GT(d.model.replaced[TM_HALF_OPEN], 10000);
	EXPECT_GT(d.model.replaced[TM_ESTABLISHED], 100);
	expect_same_counts(&d);
	duel_end(&d);
}

/* ---- by the million ---------------------------------------------------------------------------------------------- */

#define STEP 4096 /* generator_establish() takes so many at a time */

static uint32_t jiffies(void)
{
	struct berm_err err = { 0 };
	uint32_t now, hz;

	ASSERT_OK(berm_jiffies_read(&now, &hz, &err), &err);
	return now;
}

/* Flow n of tests/bpf/generator.bpf.c. */
static struct tm_key generated(uint32_t pod, uint32_t n)
{
	return key_of(pod, 0x0a400000 + (pod << 16) + n / 16384, (uint16_t)(1024 + n % 16384), 80);
}

struct crowd {
	const struct packet *packet;
	uint32_t pod, first, flows;
	bool answered;
};

/* The model again does what took from `begin` to `end`. */
static void crowd_in_model(struct duel *d, const struct crowd *c, uint32_t begin, uint32_t end)
{
	for (uint32_t at = 0; at < c->flows; at += STEP) {
		uint32_t n = c->flows - at < STEP ? c->flows - at : STEP;
		uint32_t now = begin + (uint32_t)((uint64_t)(end - begin) * at / c->flows);

		for (uint32_t i = 0; i < n; i++) {
			struct tm_key key = generated(c->pod, c->first + at + i);

			(void)tm_open(&d->model, &key, (uint8_t)c->pod, now);
		}
		for (uint32_t i = 0; i < n && c->answered; i++) {
			struct tm_key key = generated(c->pod, c->first + at + i);

			(void)tm_promote(&d->model, &key, now);
		}
	}
}

static void crowd(struct duel *d, struct crowd c)
{
	char net[32];
	struct flood f = { .packet = c.packet,
			   .net = net,
			   .ifindex = c.pod,
			   .first = c.first,
			   .flows = c.first + c.flows,
			   .packets = c.flows };
	uint32_t begin = jiffies();

	snprintf(net, sizeof(net), "10.%u.0.0", 64 + c.pod);
	if (c.answered)
		generator_establish(d->g, f);
	else
		(void)generator_run(d->g, BERM_EGRESS, &f, NULL);
	crowd_in_model(d, &c, begin, jiffies());
}

static void expect_near(const char *what, uint64_t real, uint64_t model, uint64_t slack)
{
	printf("# %-22s %8llu in the programs, %8llu in the model\n", what,
	       (unsigned long long)real, (unsigned long long)model);
	if (real > model + slack || model > real + slack)
		test_failed(__FILE__, __LINE__, "%s: %llu and %llu are more than %llu apart", what,
			    (unsigned long long)real, (unsigned long long)model,
			    (unsigned long long)slack);
}

/* What counts have grown by while the flood went on; before it, an answer to a flow that found no way tries again. */
struct counts {
	uint64_t full, half_open, established, big;
};

static struct counts real_counts(struct duel *d)
{
	return (struct counts){ datapath_stat(d->dp, BERM_STAT_SESSION_FULL),
				datapath_stat(d->dp, BERM_STAT_REPLACED_HALF_OPEN),
				datapath_stat(d->dp, BERM_STAT_REPLACED_ESTABLISHED),
				(uint64_t)d->dp->maps.node->held[1][BIG] };
}

static struct counts model_counts(const struct duel *d)
{
	return (struct counts){ d->model.full, d->model.replaced[TM_HALF_OPEN],
				d->model.replaced[TM_ESTABLISHED],
				(uint64_t)d->model.held[1][BIG] };
}

static void siege(uint32_t percent)
{
	static const struct packet big = {
		.src = "10.9.0.1", .dst = "10.65.0.0", .sport = 1024, .dport = 80
	};
	static const struct packet small = {
		.src = "10.9.0.2", .dst = "10.66.0.0", .sport = 1024, .dport = 80
	};
	uint32_t slots = BERM_BUCKETS_DEFAULT * BERM_WAYS;
	struct counts real[2], model[2];
	struct duel d;

	duel_start(&d, BERM_BUCKETS_DEFAULT);
	d.g = generator_load(d.dp, 0);
	crowd(&d, (struct crowd){ &small, SMALL, 0, 500, true });
	crowd(&d, (struct crowd){ &big, BIG, 0, percent == 100 ? 600000 : slots / 100 * percent,
				  true });
	real[0] = real_counts(&d);
	model[0] = model_counts(&d);
	crowd(&d, (struct crowd){ &small, SMALL, 1000, 700000, false });
	real[1] = real_counts(&d);
	model[1] = model_counts(&d);
	printf("# %u %% full: the big one has lost %.2f %% of the table\n", percent,
	       100.0 * (double)(real[0].big - real[1].big) / slots);
	expect_near("lost by the big one", real[0].big - real[1].big, model[0].big - model[1].big,
		    200);
	expect_near("established replaced", real[1].established - real[0].established,
		    model[1].established - model[0].established, 200);
	expect_near("half-open replaced", real[1].half_open - real[0].half_open,
		    model[1].half_open - model[0].half_open, 20000);
	expect_near("found no way", real[1].full - real[0].full, model[1].full - model[0].full,
		    20000);
	EXPECT_LE(real[0].big - real[1].big, slots / 50);
	EXPECT_BOOKS(d.dp);
	generator_free(d.g);
	duel_end(&d);
}

TEST(siege_90, "a flood charged to a small pod against a big one, 90 % full: as the model has it")
{
	siege(90);
}

TEST(siege_100, "the same with a full table")
{
	siege(100);
}
