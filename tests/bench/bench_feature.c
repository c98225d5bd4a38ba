/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_feature.c - what each optional part of the data path costs a packet: the same packets with it and without, in
 * turn, in one process; minima. "value" is with, "baseline" without. The table of docs/datapath.md is made of this.
 * An argument picks the features whose name it is in.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <stdlib.h>

#include "datapath.h"
#include "generator.h"

#define POD    "10.0.0.3"
#define NET    "10.64.0.0"
#define RULE   2001
#define LOG    2009
#define ROUNDS 9
#define HOT    200000
#define NEW    12000 /* flows of a round: nine fill the default table to 41 % */
#define FLOOD  300000

/* One of two data paths that differ in one thing. */
struct side {
	struct datapath *dp;
	struct generator *g;
	uint32_t slot;
};

enum what { HIT, DENIED, NEW_FLOW, FLOODED };

struct feature {
	const char *name;
	enum what what;
	struct datapath_opts on; /* of the side that has it */
	uint8_t fragment;	 /* its packets are first fragments */
	uint8_t events;		 /* somebody reads, on both sides */
	void (*turn_on)(struct side *side);
	const char *note;
};

/* ---- what is turned on ------------------------------------------------------------------------------------- */

static void rules_change(struct side *s, void (*change)(struct berm_rule *rule))
{
	int fd = s->dp->maps.fd[BERM_MAP_rules];
	struct berm_rule rule;

	for (uint32_t i = 1; i < s->dp->next_rule; i++) {
		if (bpf_map_lookup_elem(fd, &i, &rule) || rule.id != RULE)
			continue;
		change(&rule);
		ASSERT_EQ(bpf_map_update_elem(fd, &i, &rule, BPF_ANY), 0);
	}
}

static void limited(struct berm_rule *rule)
{
	rule->interval_ns = 1;
	rule->burst = 1000000;
}

static void logged(struct berm_rule *rule)
{
	rule->log = LOG;
	rule->sample = 1000000;
}

static void limits(struct side *s)
{
	rules_change(s, limited);
}

static void logs(struct side *s)
{
	rules_change(s, logged);
}

static void events(struct side *s)
{
	s->dp->maps.node->flags |= BERM_NODE_EVENTS;
}

static void audits(struct side *s)
{
	const struct rule all = { 0, ANY_PORT, RULE, BERM_ACTION_ALLOW, 0, 0 };

	s->dp->maps.endpoints[s->slot].would[BERM_EGRESS] = datapath_matrix(s->dp, 0, &all, 1);
}

/* A table of exact flows, 100,000 of others' in it. */
static void flows(struct side *s)
{
	uint32_t set = s->dp->maps.endpoints[s->slot].set[BERM_EGRESS], index = 1;
	struct berm_flow_key key = { .table = 7, .proto = IPPROTO_TCP };
	int sets = s->dp->maps.fd[BERM_MAP_sets];
	struct berm_set m;

	for (uint32_t i = 0; i < 100000; i++) {
		key.local_port = (__be16)i;
		key.peer.w[3] = i;
		ASSERT_EQ(bpf_map_update_elem(s->dp->maps.fd[BERM_MAP_flows], &key, &index, 0), 0);
	}
	ASSERT_EQ(bpf_map_lookup_elem(sets, &set, &m), 0);
	m.flows = key.table;
	ASSERT_EQ(bpf_map_update_elem(sets, &set, &m, BPF_ANY), 0);
}

/* ---- measuring ---------------------------------------------------------------------------------------------- */

static struct side side_open(const struct feature *f, bool on)
{
	static const struct rule allow = { 0, ANY_PORT, RULE, BERM_ACTION_ALLOW, 0, 0 },
				 deny = { 0, ANY_PORT, RULE, BERM_ACTION_DENY, 0, 0 };
	struct datapath_opts opts = on ? f->on : (struct datapath_opts){ 0 };
	struct side s;

	opts.buckets = BERM_BUCKETS_DEFAULT;
	opts.event_ms = 1000;
	s.dp = datapath_load(&opts);
	s.slot = datapath_pod(s.dp, &(struct pod){ .ifindex = 1, .addr = { POD } });
	s.dp->maps.node->flags = BERM_NODE_MISSING_DENY | (f->events ? BERM_NODE_EVENTS : 0);
	(void)datapath_policy(s.dp, s.slot, BERM_EGRESS, f->what == DENIED ? &deny : &allow, 1);
	if (on && f->turn_on)
		f->turn_on(&s);
	s.g = generator_load(s.dp, 0);
	return s;
}

static void side_close(struct side *s)
{
	generator_free(s->g);
	datapath_free(s->dp);
}

/* One round: nanoseconds a packet. */
static uint32_t measure(const struct feature *f, bool on, struct side *s, uint32_t round)
{
	struct packet p = { .src = POD, .dst = NET, .sport = 1024, .dport = 80 };
	struct flood flood = { .packet = &p, .net = NET, .flows = 1, .packets = HOT };
	int retval = 0;
	uint32_t ns;

	if (f->what == HIT)
		p.flags = TCP_ACK;
	if (f->what == NEW_FLOW || f->what == FLOODED) {
		flood.packets = f->what == NEW_FLOW ? NEW : FLOOD;
		flood.first = round * flood.packets;
		flood.flows = UINT32_MAX;
	}
	if (on && f->fragment) {
		p.more_frags = 1;
		p.frag_id = 7;
	}
	ns = generator_run(s->g, BERM_EGRESS, &flood, &retval);
	EXPECT_EQ(retval, f->what == DENIED ? DROPPED : ALLOWED);
	return ns;
}

static void compare(const struct feature *f)
{
	static const struct packet syn = { .src = POD, .dst = NET, .sport = 1024, .dport = 80 };
	uint32_t best[2] = { UINT32_MAX, UINT32_MAX }, ns;
	struct side side[2];

	for (int on = 0; on < 2; on++) {
		side[on] = side_open(f, on);
		if (f->what == HIT)
			generator_establish(side[on].g, (struct flood){ .packet = &syn,
									.net = NET,
									.flows = 1 });
	}
	for (uint32_t round = 0; round < ROUNDS; round++)
		for (int on = 0; on < 2; on++) {
			ns = measure(f, on, &side[on], round);
			best[on] = ns < best[on] ? ns : best[on];
		}
	printf("{\"bench\":\"feature_%s\",\"value\":%u,\"unit\":\"ns\",\"baseline\":%u,\"ratio\":%.2f,\"note\":\"%s\"}\n",
	       f->name, best[1], best[0], (double)best[1] / best[0], f->note);
	fflush(stdout);
	side_close(&side[0]);
	side_close(&side[1]);
}

static const struct feature features[] = {
	{ .name = "nothing",
	  .what = DENIED,
	  .note = "denied, the same twice: what the machine's noise is" },
	{ .name = "events_denied",
	  .what = DENIED,
	  .turn_on = events,
	  .note = "denied, throttled: one event a second" },
	{ .name = "events_new",
	  .what = NEW_FLOW,
	  .turn_on = events,
	  .note = "new flow; events of denials are on" },
	{ .name = "audit_new",
	  .what = NEW_FLOW,
	  .turn_on = audits,
	  .note = "new flow; the audit set says the same" },
	{ .name = "audit_denied",
	  .what = DENIED,
	  .turn_on = audits,
	  .note = "denied; the audit set would allow" },
	{ .name = "limits_new",
	  .what = NEW_FLOW,
	  .turn_on = limits,
	  .note = "new flow of a rule with limits" },
	{ .name = "log_new",
	  .what = NEW_FLOW,
	  .turn_on = logs,
	  .events = 1,
	  .note = "new flow of a rule with log, one event in 1,000,000" },
	{ .name = "flows_denied",
	  .what = DENIED,
	  .turn_on = flows,
	  .note = "denied; the set has 100,000 exact flows of others" },
	{ .name = "flows_new", .what = NEW_FLOW, .turn_on = flows, .note = "new flow; likewise" },
	{ .name = "apps_hit",
	  .what = HIT,
	  .on = { .apps = true },
	  .note = "session hit, --apps, before any payload" },
	{ .name = "apps_denied", .what = DENIED, .on = { .apps = true }, .note = "denied, --apps" },
	{ .name = "apps_new", .what = NEW_FLOW, .on = { .apps = true }, .note = "new flow, --apps" },
	{ .name = "strict_hit",
	  .what = HIT,
	  .on = { .strict_tcp = true },
	  .note = "session hit, strictTCP" },
	{ .name = "strict_new",
	  .what = NEW_FLOW,
	  .on = { .strict_tcp = true },
	  .note = "new flow, strictTCP" },
	{ .name = "fragment_hit",
	  .what = HIT,
	  .fragment = 1,
	  .note = "session hit by first fragments; baseline: whole packets" },
	{ .name = "ended_new",
	  .what = NEW_FLOW,
	  .on = { .ended = true },
	  .events = 1,
	  .note = "final counts on, new flow, nothing has to leave: must be within 3 %" },
	{ .name = "ended_flood",
	  .what = FLOODED,
	  .on = { .ended = true },
	  .events = 1,
	  .note = "final counts on, each new flow displaces one that is told of or counted as lost" },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		if (argc < 2 || strstr(features[i].name, argv[1]))
			compare(&features[i]);
	return 0;
}
