/* SPDX-License-Identifier: Apache-2.0 */
/* test_audit.c - what would be: told once for each new session, beside what is; never decided by. */
#include <arpa/inet.h>
#include <bpf/bpf.h>

#include "datapath.h"

#define DB   "10.0.0.3"
#define DB6  "fd00::3"
#define WEB  1001
#define BAT  1002
#define RULE 2001
#define CAND 2002

struct scene {
	struct datapath *dp;
	uint32_t db;
};

static struct scene scene(void)
{
	struct scene s = { .dp = datapath_load(NULL) };

	s.db = datapath_pod(s.dp, &(struct pod){ .ifindex = 1, .addr = { DB, DB6 } });
	s.dp->maps.node->flags &= ~BERM_NODE_EVENTS_ALLOW; /* only denials, and what would be */
	datapath_peer(s.dp, "10.0.0.2", WEB);
	datapath_peer(s.dp, "fd00::2", WEB);
	datapath_peer(s.dp, "10.0.0.9", BAT);
	datapath_peer(s.dp, "fd00::9", BAT);
	return s;
}

/* What would be of packets of this direction. */
static void would(struct scene *s, enum berm_dir dir, const struct rule *rule, uint32_t count)
{
	s->dp->maps.endpoints[s->db].would[dir] = datapath_matrix(s->dp, 0, rule, count);
}

static struct packet syn(const char *src, uint16_t sport, uint16_t dport)
{
	bool v6 = strchr(src, ':');

	return (struct packet){
		.src = src, .dst = v6 ? DB6 : DB, .sport = sport, .dport = dport, .flags = TCP_SYN
	};
}

static uint64_t hits(struct datapath *dp, uint32_t rule_id)
{
	struct berm_rule rule;
	uint64_t count = 0, one = 0;

	for (uint32_t i = 1; i < dp->next_rule; i++) {
		if (bpf_map_lookup_elem(datapath_map(dp, "berm_rules"), &i, &rule) || rule.id != rule_id)
			continue;
		EXPECT_EQ(bpf_map_lookup_elem(datapath_map(dp, "berm_hits"), &i, &one), 0);
		count += one;
	}
	return count;
}

static void pass_and_would_not(const char *web, const char *batch)
{
	struct scene s = scene();
	struct datapath *dp = s.dp;
	const struct berm_event *e = &dp->event;
	struct packet ok = syn(web, 4000, 5432), cut = syn(batch, 4000, 5432),
		      next = syn(batch, 4000, 5432);

	would(&s, BERM_INGRESS, (struct rule[]){ { WEB, TCP_PORT(5432), CAND, BERM_ACTION_ALLOW } },
	      1);
	SEND(dp, BERM_INGRESS, &ok, ALLOWED, NOT_ISOLATED, 0); /* the same: nothing is told */
	EXPECT_EQ(dp->events, 0);
	EXPECT_EQ(datapath_stat(dp, BERM_STAT_AUDIT_DENIED), 0);
	SEND(dp, BERM_INGRESS, &cut, ALLOWED, NOT_ISOLATED, BERM_REASON_NOT_ISOLATED);
	EXPECT_EQ(dp->events, 1);
	EXPECT_EQ(e->action, BERM_ACTION_ALLOW);
	EXPECT_EQ(e->would_action, BERM_ACTION_DENY);
	EXPECT_EQ(e->would_reason, BERM_REASON_DEFAULT_DENY);
	EXPECT_EQ(e->would_rule, BERM_REASON_DEFAULT_DENY);
	EXPECT_EQ(datapath_stat(dp, BERM_STAT_AUDIT_DENIED), 1);
	next.flags = TCP_ACK; /* rides on the session: nobody is asked */
	for (int i = 0; i < 10; i++)
		SEND(dp, BERM_INGRESS, &next, ALLOWED, SESSION, 0);
	EXPECT_EQ(dp->events, 1);
	EXPECT_EQ(datapath_stat(dp, BERM_STAT_AUDIT_DENIED), 1);
	EXPECT_EQ(datapath_stat(dp, BERM_STAT_SESSION_NEW), 2);
}

TEST(would_deny, "a session that would be denied passes and is told of once, IPv4 [audit.would]")
{
	pass_and_would_not("10.0.0.2", "10.0.0.9");
}

TEST(would_deny_v6, "the same of IPv6 [audit.would]")
{
	pass_and_would_not("fd00::2", "fd00::9");
}

static void drop_and_would_pass(const char *web, const char *batch)
{
	struct scene s = scene();
	struct datapath *dp = s.dp;
	const struct berm_event *e = &dp->event;
	struct packet ok = syn(web, 4000, 5432), cut = syn(batch, 4000, 5432);
	struct rule rules[] = { { WEB, TCP_PORT(5432), RULE, BERM_ACTION_ALLOW },
				{ BAT, TCP_PORT(5432), CAND, BERM_ACTION_ALLOW } };

	datapath_policy(dp, s.db, BERM_INGRESS, rules, 1);
	would(&s, BERM_INGRESS, rules, 2);
	SEND(dp, BERM_INGRESS, &ok, ALLOWED, POLICY_ALLOW, 0);
	SEND(dp, BERM_INGRESS, &cut, DROPPED, DEFAULT_DENY, BERM_REASON_DEFAULT_DENY);
	EXPECT_EQ(e->action, BERM_ACTION_DENY);
	EXPECT_EQ(e->would_action, BERM_ACTION_ALLOW);
	EXPECT_EQ(e->would_reason, BERM_REASON_POLICY_ALLOW);
	EXPECT_EQ(e->would_rule, CAND);
	EXPECT_EQ(datapath_stat(dp, BERM_STAT_AUDIT_ALLOWED), 1);
	EXPECT_EQ(datapath_stat(dp, BERM_STAT_SESSION_NEW), 1);
	EXPECT_EQ(hits(dp, RULE), 1);
	EXPECT_EQ(hits(dp, CAND), 1);
	dp->maps.endpoints[s.db].would[BERM_INGRESS] = 0; /* the audit ends: a denial as ever */
	SEND(dp, BERM_INGRESS, &cut, DROPPED, DEFAULT_DENY, BERM_REASON_DEFAULT_DENY);
	EXPECT_EQ(e->would_action, 0);
	EXPECT_EQ(e->would_rule, 0);
}

TEST(would_allow, "what is denied and would be allowed is denied, and told with both, IPv4 [audit.would]")
{
	drop_and_would_pass("10.0.0.2", "10.0.0.9");
}

TEST(would_allow_v6, "the same of IPv6 [audit.would]")
{
	drop_and_would_pass("fd00::2", "fd00::9");
}

TEST(directions, "each direction has its own; what the pod opens is asked about as egress")
{
	struct scene s = scene();
	struct packet out = { .src = DB, .dst = "10.0.0.9", .sport = 4000, .dport = 80,
			      .flags = TCP_SYN },
		      in = syn("10.0.0.9", 4000, 80);

	would(&s, BERM_EGRESS, (struct rule[]){ { BAT, TCP_PORT(80), CAND, BERM_ACTION_DENY } }, 1);
	SEND(s.dp, BERM_INGRESS, &in, ALLOWED, NOT_ISOLATED, 0);
	SEND(s.dp, BERM_EGRESS, &out, ALLOWED, NOT_ISOLATED, BERM_REASON_NOT_ISOLATED);
	EXPECT_EQ(s.dp->event.would_rule, CAND);
	EXPECT_EQ(s.dp->event.would_reason, BERM_REASON_POLICY_DENY);
}

TEST(broken, "a set that is not there, or has holes, is no verdict: nothing is told, traffic passes")
{
	struct scene s = scene();
	struct packet in = syn("10.0.0.9", 4000, 80);

	for (uint32_t set = 1; set < 40000; set += 997) {
		s.dp->maps.endpoints[s.db].would[BERM_INGRESS] = set;
		in.sport++;
		SEND(s.dp, BERM_INGRESS, &in, ALLOWED, NOT_ISOLATED, 0);
	}
	EXPECT_EQ(s.dp->events, 0);
}

TEST(node, "the node's own traffic is nobody's business: no candidate is asked")
{
	struct scene s = scene();
	struct packet in = syn("10.0.0.9", 4000, 80), other = syn("10.0.0.2", 4000, 80);

	datapath_local(s.dp, "10.0.0.9");
	would(&s, BERM_INGRESS, NULL, 0);
	s.dp->ingress_ifindex = 0;
	SEND(s.dp, BERM_INGRESS, &in, ALLOWED, HOST, 0);
	s.dp->ingress_ifindex = 2;
	SEND(s.dp, BERM_INGRESS, &other, ALLOWED, NOT_ISOLATED, BERM_REASON_NOT_ISOLATED);
	EXPECT_EQ(s.dp->event.would_action, BERM_ACTION_DENY);
}

TEST(throttled, "audit events are held back and counted like denials, and apart from them")
{
	struct datapath *dp = datapath_load(&(struct datapath_opts){ .event_ms = 60000 });
	struct scene s = { .dp = dp };

	s.db = datapath_pod(dp, &(struct pod){ .ifindex = 1, .addr = { DB } });
	would(&s, BERM_INGRESS, NULL, 0);
	for (uint16_t i = 1; i <= 100; i++) {
		struct packet in = syn("10.0.0.9", i, 80);

		(void)datapath_send(dp, BERM_INGRESS, 0, &in);
	}
	EXPECT_EQ(datapath_stat(dp, BERM_STAT_AUDIT_DENIED), 100);
	EXPECT_EQ(datapath_stat(dp, BERM_STAT_EVENT_SENT), 1);
	EXPECT_EQ(datapath_stat(dp, BERM_STAT_EVENT_SUPPRESSED), 99);
	EXPECT_EQ(datapath_stat(dp, BERM_STAT_SESSION_NEW), 100);
}
