/* SPDX-License-Identifier: Apache-2.0 */
/* test_limit.c - limits on new sessions, and events for some of them: exact on one CPU. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "datapath.h"
#include "generator.h"

#define DB	  "10.0.0.3"
#define DB6	  "fd00::3"
#define WEB	  1001
#define RULE	  2001
#define FREE	  2002
#define MINUTE_NS (60 * 1000000000ull)

struct scene {
	struct datapath *dp;
	uint32_t db;
};

/* Port 80 by RULE, which has these wishes; port 81 by a rule without any. */
static struct scene scene(const struct berm_rule *wishes)
{
	static const struct rule rules[] = { { 0, TCP_PORT(80), RULE, BERM_ACTION_ALLOW },
					     { 0, TCP_PORT(81), FREE, BERM_ACTION_ALLOW } };
	struct scene s = { .dp = datapath_load(NULL) };
	struct berm_rule rule;
	int fd = datapath_map(s.dp, "berm_rules");

	s.db = datapath_pod(s.dp, &(struct pod){ .ifindex = 1, .addr = { DB, DB6 } });
	s.dp->maps.node->flags &= ~BERM_NODE_EVENTS_ALLOW;
	datapath_policy(s.dp, s.db, BERM_INGRESS, rules, 2);
	for (uint32_t i = 1; i < s.dp->next_rule; i++) {
		if (bpf_map_lookup_elem(fd, &i, &rule) || rule.id != RULE)
			continue;
		rule.sample = wishes->sample;
		rule.log = wishes->log;
		rule.interval_ns = wishes->interval_ns;
		rule.burst = wishes->burst;
		ASSERT_EQ(bpf_map_update_elem(fd, &i, &rule, 0), 0);
	}
	return s;
}

static struct packet syn(bool v6, uint16_t sport, uint16_t dport)
{
	return (struct packet){ .src = v6 ? "fd00::2" : "10.0.0.2",
				.dst = v6 ? DB6 : DB,
				.sport = sport,
				.dport = dport,
				.flags = TCP_SYN };
}

static void burst(bool v6)
{
	struct scene s = scene(&(struct berm_rule){ .interval_ns = MINUTE_NS, .burst = 5 });
	struct packet p, other;

	/* the same in audit: what the limit stops is not compared with it */
	s.dp->maps.endpoints[s.db].would[BERM_INGRESS] =
		s.dp->maps.endpoints[s.db].set[BERM_INGRESS];
	for (uint16_t i = 1; i <= 20; i++) {
		p = syn(v6, i, 80);
		if (i <= 5)
			SEND(s.dp, BERM_INGRESS, &p, ALLOWED, POLICY_ALLOW, 0);
		else
			SEND(s.dp, BERM_INGRESS, &p, DROPPED, RATE_LIMITED, RULE);
		other = syn(v6, i, 81);
		SEND(s.dp, BERM_INGRESS, &other, ALLOWED, POLICY_ALLOW, 0);
	}
	for (uint16_t i = 1; i <= 5; i++) { /* those that exist go on */
		p = syn(v6, i, 80);
		p.flags = TCP_ACK;
		SEND(s.dp, BERM_INGRESS, &p, ALLOWED, SESSION, 0);
	}
	EXPECT_EQ(datapath_packets(s.dp, BERM_INGRESS, BERM_REASON_RATE_LIMITED), 15);
	EXPECT_EQ(datapath_stat(s.dp, BERM_STAT_LIMITED_NEW), 5);
	EXPECT_EQ(datapath_stat(s.dp, BERM_STAT_AUDIT_ALLOWED), 0);
	EXPECT_EQ(datapath_stat(s.dp, BERM_STAT_SESSION_NEW), 25);
	EXPECT_EQ(s.dp->events, 15);
}

TEST(limit_burst,
     "so many new sessions pass as the burst has, and no other rule's are fewer, IPv4 [limit.new]")
{
	burst(false);
}

TEST(limit_burst_v6, "the same of IPv6 [limit.new]")
{
	burst(true);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

struct again {
	struct scene *s;
	uint16_t sport;
};

static bool passes_again(void *ctx)
{
	struct again *a = ctx;
	struct packet p = syn(false, a->sport++, 80);

	return datapath_send(a->s->dp, BERM_INGRESS, 0, &p).retval == ALLOWED;
}

TEST(limit_refill, "tokens come back with time, no more than the time gives [limit.new]")
{
	struct scene s = scene(&(struct berm_rule){ .interval_ns = 100000000, .burst = 2 });
	struct again a = { &s, 1 };
	uint64_t begun = now_ns(), passed;

	for (int i = 0; i < 20; i++)
		(void)passes_again(&a);
	for (int i = 0; i < 3; i++)
		EXPECT_TRUE(test_wait_until(passes_again, &a, 20000));
	passed = datapath_stat(s.dp, BERM_STAT_LIMITED_NEW);
	EXPECT_GE(passed, 5);
	EXPECT_LE(passed, 2 + (now_ns() - begun) / 100000000 + 1);
}

TEST(limit_pods, "each pod has a bucket of its own, and the next one in its slot a full one")
{
	struct scene s = scene(&(struct berm_rule){ .interval_ns = MINUTE_NS, .burst = 1 });
	uint32_t set = s.dp->maps.endpoints[s.db].set[BERM_INGRESS], second;
	struct packet a = syn(false, 1, 80), b = syn(false, 2, 80), c = b;

	second = datapath_pod(s.dp, &(struct pod){ .ifindex = 2, .addr = { "10.0.0.4" } });
	datapath_set(s.dp, second, BERM_INGRESS, set);
	c.dst = "10.0.0.4";
	SEND(s.dp, BERM_INGRESS, &a, ALLOWED, POLICY_ALLOW, 0);
	SEND(s.dp, BERM_INGRESS, &b, DROPPED, RATE_LIMITED, RULE);
	SEND_TO(s.dp, BERM_INGRESS, 2, &c, ALLOWED, POLICY_ALLOW, 0);
	s.dp->maps.endpoints[s.db].born++;
	SEND(s.dp, BERM_INGRESS, &b, ALLOWED, POLICY_ALLOW, 0);
}

TEST(limit_rejudged,
     "a session that is judged again takes no token, whatever is left [limit.established]")
{
	struct scene s = scene(&(struct berm_rule){ .interval_ns = MINUTE_NS, .burst = 1 });
	struct packet a = syn(false, 1, 80), b = syn(false, 2, 80);

	SEND(s.dp, BERM_INGRESS, &a, ALLOWED, POLICY_ALLOW, 0);
	SEND(s.dp, BERM_INGRESS, &b, DROPPED, RATE_LIMITED, RULE);
	datapath_set(s.dp, s.db, BERM_INGRESS, s.dp->maps.endpoints[s.db].set[BERM_INGRESS]);
	a.flags = TCP_ACK;
	SEND(s.dp, BERM_INGRESS, &a, ALLOWED, POLICY_ALLOW, 0);
	EXPECT_EQ(datapath_stat(s.dp, BERM_STAT_SESSION_REJUDGED), 1);
	EXPECT_EQ(datapath_stat(s.dp, BERM_STAT_LIMITED_NEW), 1);
	SEND(s.dp, BERM_INGRESS, &b, DROPPED, RATE_LIMITED, RULE); /* the control */
}

static void sampled(bool v6)
{
	struct scene s = scene(&(struct berm_rule){ .sample = 10, .log = 3001 });
	struct packet p, other;

	for (uint16_t i = 1; i <= 95; i++) {
		p = syn(v6, i, 80);
		SEND(s.dp, BERM_INGRESS, &p, ALLOWED, POLICY_ALLOW, i % 10 == 1 ? RULE : 0);
		p.flags = TCP_ACK;
		SEND(s.dp, BERM_INGRESS, &p, ALLOWED, SESSION, 0);
		other = syn(v6, i, 81);
		SEND(s.dp, BERM_INGRESS, &other, ALLOWED, POLICY_ALLOW, 0);
	}
	EXPECT_EQ(s.dp->events, 10);
	EXPECT_EQ(s.dp->event.would_rule, 3001);
	EXPECT_EQ(s.dp->event.would_action, 0);
	EXPECT_EQ(datapath_stat(s.dp, BERM_STAT_LOG_TAKEN), 10);
	EXPECT_EQ(datapath_stat(s.dp, BERM_STAT_LOG_PASSED), 85);
}

TEST(log_sample, "one new session in N makes an event that names who wants it, IPv4 [log.sample]")
{
	sampled(false);
}

TEST(log_sample_v6, "the same of IPv6 [log.sample]")
{
	sampled(true);
}

/* ---- two CPUs at one bucket ---------------------------------------------------------------------------------- */

#define CPUS	    2
#define CPU_FLOWS   400000
#define PER_S	    100000
#define INTERVAL_NS (1000000000ull / PER_S)
#define BURST	    2000

struct worker {
	struct generator *g;
	struct flood flood;
	int cpu;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(w->cpu, &set);
	(void)sched_setaffinity(0, sizeof(set),
				&set); /* then it stays where it is: no race, and less to see */
	(void)generator_run(w->g, BERM_INGRESS, &w->flood, NULL);
	return NULL;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

TEST(limit_two_cpus,
     "two CPUs that take from one bucket at the same time: what passes is at most 2 % more than it may")
{
	static const char *const net[CPUS] = { "10.64.0.0", "10.96.0.0" };
	struct scene s = scene(&(struct berm_rule){ .interval_ns = INTERVAL_NS, .burst = BURST });
	struct packet p = syn(false, 1, 80);
	struct worker w[CPUS];
	pthread_t thread[CPUS];
	double took, may, did;

	if (sysconf(_SC_NPROCESSORS_ONLN) < CPUS)
		test_skip("hardware: a race needs two CPUs");
	for (int i = 0; i < CPUS; i++)
		w[i] = (struct worker){ .g = generator_load(s.dp, 0),
					.cpu = i,
					.flood = { .packet = &p,
						   .net = net[i],
						   .flows = UINT32_MAX,
						   .packets = CPU_FLOWS,
						   .by_peer = true } };
	took = now_s();
	for (int i = 0; i < CPUS; i++)
		ASSERT_EQ(pthread_create(&thread[i], NULL, work, &w[i]), 0);
	for (int i = 0; i < CPUS; i++)
		pthread_join(thread[i], NULL);
	took = now_s() - took;
	may = BURST + took * PER_S;
	did = (double)datapath_stat(s.dp, BERM_STAT_LIMITED_NEW);
	printf("# %d flows in %.3f s: %.0f may pass, %.0f did (%.2f %%), %llu were refused\n",
	       CPUS * CPU_FLOWS, took, may, did, 100 * did / may,
	       (unsigned long long)datapath_packets(s.dp, BERM_INGRESS, BERM_REASON_RATE_LIMITED));
	EXPECT_LE(did, 1.02 * may);
	EXPECT_GT(did, 0);
}
