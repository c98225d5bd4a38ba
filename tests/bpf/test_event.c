/* SPDX-License-Identifier: Apache-2.0 */
/* test_event.c - what user space is told of: exact counts of what was sent, lost and suppressed. */
#include <arpa/inet.h>
#include <bpf/bpf.h>

#include "datapath.h"
#include "generator.h"

#define WEB "10.0.0.2"
#define DB  "10.0.0.3"

#define NO_EVENT 0
#define DENIED	 BERM_REASON_DEFAULT_DENY

static struct datapath *closed_db(uint32_t event_ms)
{
	struct datapath *dp = datapath_load(&(struct datapath_opts){ .event_ms = event_ms });
	uint32_t db = datapath_pod(dp, &(struct pod){ .ifindex = 1, .addr = { DB } });

	datapath_policy(dp, db, BERM_INGRESS, NULL, 0);
	return dp;
}

static uint64_t wanted(struct datapath *dp)
{
	return datapath_stat(dp, BERM_STAT_EVENT_SENT) + datapath_stat(dp, BERM_STAT_EVENT_LOST) +
	       datapath_stat(dp, BERM_STAT_EVENT_SUPPRESSED);
}

TEST(event_tells_all)
{
	struct packet p = { .src = WEB, .dst = DB, .sport = 4000, .dport = 5432, .flags = TCP_SYN };
	struct berm_addr web, db;
	struct datapath *dp = closed_db(0);
	struct berm_event *e = &dp->event;

	ASSERT_EQ(berm_addr_parse(WEB, &web), 0);
	ASSERT_EQ(berm_addr_parse(DB, &db), 0);
	SEND(dp, BERM_INGRESS, &p, DROPPED, DEFAULT_DENY, DENIED);
	EXPECT_MEM_EQ(&e->local, &db, sizeof(db));
	EXPECT_MEM_EQ(&e->peer, &web, sizeof(web));
	EXPECT_EQ(ntohs(e->local_port), 5432);
	EXPECT_EQ(ntohs(e->peer_port), 4000);
	EXPECT_EQ(e->ifindex, 1);
	EXPECT_EQ(e->cls, BERM_CLASS_WORLD4);
	EXPECT_EQ(e->epoch, dp->maps.node->epoch[e->slot]);
	EXPECT_EQ(e->len, 54);
	EXPECT_EQ(e->proto, IPPROTO_TCP);
	EXPECT_EQ(e->dir, BERM_INGRESS);
	EXPECT_EQ(e->action, BERM_ACTION_DENY);
	EXPECT_EQ(e->tcp_flags, TCP_SYN);
	EXPECT_EQ(e->is_reply, 0);
	EXPECT_GT(e->time_ns, 0);
}

TEST(suppressed,
     "at most one event a key and interval, and the next one says how many were kept back")
{
	struct packet p = { .src = WEB, .dst = DB, .dport = 5432 },
		      other = { .src = WEB, .dst = DB, .dport = 22 };
	struct datapath *dp = closed_db(200);

	for (uint16_t port = 1; port <= 100; port++) {
		p.sport = port;
		(void)datapath_send(dp, BERM_INGRESS, 0, &p);
	}
	EXPECT_EQ(wanted(dp), 100);
	EXPECT_EQ(datapath_stat(dp, BERM_STAT_EVENT_SENT), dp->events);
	EXPECT_LT(dp->events, 50);
	(void)datapath_send(dp, BERM_INGRESS, 0, &other); /* another key has its own turn */
	EXPECT_EQ(ntohs(dp->event.local_port), 22);
	EXPECT_EQ(dp->event.suppressed, 0);
}

struct retry {
	struct datapath *dp;
	struct packet packet;
	uint32_t sent, told;
};

static bool has_event(void *ctx)
{
	struct retry *r = ctx;
	uint32_t events = r->dp->events;

	(void)datapath_send(r->dp, BERM_INGRESS, 0, &r->packet);
	r->sent++;
	if (r->dp->events == events)
		return false;
	r->told = r->dp->event.suppressed;
	return true;
}

TEST(suppressed_told, "the counts of kept back events add up over intervals")
{
	struct retry r = { .dp = closed_db(50),
			   .packet = { .src = WEB, .dst = DB, .dport = 5432 } };
	uint32_t told = 0;

	EXPECT_TRUE(has_event(&r));
	for (int i = 0; i < 3; i++) {
		EXPECT_TRUE(test_wait_until(has_event, &r, 2000));
		told += r.told;
	}
	EXPECT_EQ(told + 4, r.sent); /* the last packet of each interval made an event itself */
	EXPECT_EQ(wanted(r.dp), r.sent);
}

TEST(lost, "events that find no room are counted, exactly [events.exact_loss]")
{
	struct packet p = { .src = "10.64.0.0", .dst = DB, .dport = 5432 };
	struct flood f = { .packet = &p, .net = "10.64.0.0", .flows = 200000, .by_peer = true };
	struct datapath *dp = closed_db(0);
	struct generator *g;

	g = generator_load(dp, 0);
	(void)generator_run(g, BERM_INGRESS, &f, NULL);
	EXPECT_EQ(datapath_packets(dp, BERM_INGRESS, BERM_REASON_DEFAULT_DENY), 200000);
	EXPECT_EQ(wanted(dp), 200000);
	EXPECT_GT(datapath_stat(dp, BERM_STAT_EVENT_LOST), 0);
	(void)datapath_send(dp, BERM_INGRESS, 0,
			    &p); /* reads the ring; what it holds is what was sent */
	EXPECT_EQ(dp->events, datapath_stat(dp, BERM_STAT_EVENT_SENT));
	generator_free(g);
}

TEST(nobody_reads, "without a reader there is no event and nothing to count")
{
	struct packet p = { .src = WEB, .dst = DB, .sport = 1, .dport = 5432 };
	struct datapath *dp = closed_db(0);

	dp->maps.node->flags &= ~BERM_NODE_EVENTS;
	SEND(dp, BERM_INGRESS, &p, DROPPED, DEFAULT_DENY, NO_EVENT);
	EXPECT_EQ(wanted(dp), 0);
	dp->maps.node->flags |= BERM_NODE_EVENTS;
	SEND(dp, BERM_INGRESS, &p, DROPPED, DEFAULT_DENY, DENIED);
	EXPECT_EQ(wanted(dp), 1);
}

TEST(allowed_on_demand, "new sessions make events only if asked for")
{
	struct packet p = { .src = DB, .dst = WEB, .sport = 1, .dport = 80 };
	struct datapath *dp = closed_db(0);

	SEND(dp, BERM_EGRESS, &p, ALLOWED, NOT_ISOLATED, BERM_REASON_NOT_ISOLATED);
	p.sport = 2;
	dp->maps.node->flags &= ~BERM_NODE_EVENTS_ALLOW;
	SEND(dp, BERM_EGRESS, &p, ALLOWED, NOT_ISOLATED, NO_EVENT);
}

/* Connections to 5432 from these two are denied by exact flows, by one rule. */
static void flows_deny(struct datapath *dp, uint32_t slot, const char *const peer[2])
{
	uint32_t set = dp->maps.endpoints[slot].set[BERM_INGRESS], index = dp->next_rule++;
	struct berm_rule rule = { .id = 2001,
				  .action = BERM_ACTION_DENY,
				  .reason = BERM_REASON_POLICY_DENY };
	struct berm_flow_key key = { .table = 3, .proto = IPPROTO_TCP };
	struct berm_set m;

	key.local_port = htons(5432);
	key.peer_port = htons(4000);
	ASSERT_EQ(bpf_map_update_elem(datapath_map(dp, "berm_rules"), &index, &rule, 0), 0);
	ASSERT_EQ(berm_addr_parse(DB, &key.local), 0);
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(berm_addr_parse(peer[i], &key.peer), 0);
		ASSERT_EQ(bpf_map_update_elem(datapath_map(dp, "berm_flows"), &key, &index, 0), 0);
	}
	ASSERT_EQ(bpf_map_lookup_elem(datapath_map(dp, "berm_sets"), &set, &m), 0);
	m.flows = key.table;
	ASSERT_EQ(bpf_map_update_elem(datapath_map(dp, "berm_sets"), &set, &m, 0), 0);
}

TEST(flow_peers,
     "who is denied by an exact flow has no class: each peer has its own turn all the same")
{
	static const char *const peer[2] = { WEB, "10.0.0.9" };
	struct packet p = { .dst = DB, .sport = 4000, .dport = 5432 };
	struct datapath *dp = closed_db(1000);

	flows_deny(dp, 1, peer);
	for (int i = 0; i < 6; i++) {
		p.src = peer[i % 2];
		SEND(dp, BERM_INGRESS, &p, DROPPED, POLICY_DENY, i < 2 ? 2001 : NO_EVENT);
	}
	EXPECT_EQ(dp->events, 2);
	EXPECT_EQ(datapath_stat(dp, BERM_STAT_EVENT_SUPPRESSED), 4);
}
