/* SPDX-License-Identifier: Apache-2.0 */
/* test_verdict.c - endpoint, class, matrix, node: who may talk to whom, and which rule says so. */
#include <bpf/bpf.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>

#include "datapath.h"

#define WEB  "10.0.0.2"
#define DB   "10.0.0.3"
#define SPY  "10.0.0.4"
#define NODE "10.0.0.1"

#define NO_EVENT 0
#define DENIED	 BERM_REASON_DEFAULT_DENY

enum { CLASS_WEB = BERM_CLASS_FIRST, CLASS_SPY, CLASS_WIDE, CLASS_NARROW };

static const struct rule web_to_db = { CLASS_WEB, TCP_PORT(5432), 2001, BERM_ACTION_ALLOW };

static struct datapath *db_node(uint32_t *slot)
{
	struct datapath *dp = datapath_load(NULL);

	*slot = datapath_pod(dp, &(struct pod){ .ifindex = 1, .addr = { DB, "fd00::3" } });
	datapath_peer(dp, WEB, CLASS_WEB);
	datapath_peer(dp, "fd00::2", CLASS_WEB);
	datapath_peer(dp, SPY, CLASS_SPY);
	return dp;
}

static struct packet to_db(const char *src, uint16_t sport, uint16_t dport)
{
	return (struct packet){ .src = src, .dst = DB, .sport = sport, .dport = dport };
}

TEST(replies_ride_the_session)
{
	struct packet ask = to_db(WEB, 40000, 5432), spy = to_db(SPY, 40000, 5432);
	struct packet answer = {
		.src = DB, .dst = WEB, .sport = 5432, .dport = 40000, .flags = TCP_SYN | TCP_ACK
	};
	uint32_t db;
	struct datapath *dp = db_node(&db);

	datapath_policy(dp, db, BERM_INGRESS, &web_to_db, 1);
	datapath_policy(dp, db, BERM_EGRESS, NULL, 0);
	SEND(dp, BERM_EGRESS, &answer, DROPPED, DEFAULT_DENY, DENIED);
	SEND(dp, BERM_INGRESS, &ask, ALLOWED, POLICY_ALLOW, 2001);
	SEND(dp, BERM_INGRESS, &ask, ALLOWED, SESSION, NO_EVENT);
	SEND(dp, BERM_EGRESS, &answer, ALLOWED, SESSION, NO_EVENT);
	SEND(dp, BERM_INGRESS, &spy, DROPPED, DEFAULT_DENY, DENIED);
	EXPECT_BOOKS(dp);
}

TEST(matrix, "class and port find their cell, the first match decides")
{
	static const struct rule rules[] = {
		{ CLASS_SPY, TCP_PORT(22), 2003, BERM_ACTION_DENY },
		{ CLASS_WEB, TCP_PORT(5432), 2001, BERM_ACTION_ALLOW },
		{ 0, TCP_PORT(22), 2002, BERM_ACTION_ALLOW },
		{ CLASS_WEB, UDP_PORT(5432), 2004, BERM_ACTION_ALLOW },
	};
	static const struct {
		const char *name, *src;
		uint8_t proto;
		uint16_t port;
		int retval;
		uint32_t reason, rule;
	} cases[] = {
		{ "web, its port", WEB, 0, 5432, ALLOWED, BERM_REASON_POLICY_ALLOW, 2001 },
		{ "web, its UDP port", WEB, IPPROTO_UDP, 5432, ALLOWED, BERM_REASON_POLICY_ALLOW, 2004 },
		{ "web, everybody's port", WEB, 0, 22, ALLOWED, BERM_REASON_POLICY_ALLOW, 2002 },
		{ "web, no one's port", WEB, 0, 80, DROPPED, BERM_REASON_DEFAULT_DENY, DENIED },
		{ "web, UDP of everybody's port", WEB, IPPROTO_UDP, 22, DROPPED, BERM_REASON_DEFAULT_DENY, DENIED },
		{ "spy, denied port", SPY, 0, 22, DROPPED, BERM_REASON_POLICY_DENY, 2003 },
		{ "spy, web's port", SPY, 0, 5432, DROPPED, BERM_REASON_DEFAULT_DENY, DENIED },
		{ "world, everybody's port", "192.0.2.9", 0, 22, ALLOWED, BERM_REASON_POLICY_ALLOW, 2002 },
		{ "world, web's port", "192.0.2.9", 0, 5432, DROPPED, BERM_REASON_DEFAULT_DENY, DENIED },
	}, *c;
	uint32_t db;
	struct datapath *dp = db_node(&db);

	datapath_policy(dp, db, BERM_INGRESS, rules, ARRAY_SIZE(rules));
	for_each_case(c, cases) {
		struct packet p = to_db(c->src, 1, c->port);

		p.proto = c->proto;
		datapath_expect(__FILE__, __LINE__, datapath_send(dp, BERM_INGRESS, 0, &p),
				c->retval, c->reason, c->rule);
	}
}

TEST(classes, "exact address, then longest prefix of the set's own table, then world")
{
	static const struct rule rules[] = {
		{ CLASS_WEB, TCP_PORT(80), 2001, BERM_ACTION_ALLOW },
		{ CLASS_WIDE, TCP_PORT(80), 2002, BERM_ACTION_ALLOW },
		{ CLASS_NARROW, TCP_PORT(80), 2003, BERM_ACTION_DENY },
		{ BERM_CLASS_WORLD6, TCP_PORT(80), 2006, BERM_ACTION_ALLOW },
	};
	struct packet exact = to_db(WEB, 1, 80), wide = to_db("10.20.1.1", 1, 80),
		      narrow = to_db("10.20.9.1", 1, 80);
	struct packet world = to_db("192.0.2.1", 1, 80), pod_in_cidr = to_db("10.20.9.9", 1, 80);
	struct packet world6 = { .src = "2001:db8::1", .dst = "fd00::3", .sport = 1, .dport = 80 };
	uint32_t db;
	struct datapath *dp = db_node(&db);

	datapath_cidr(dp, 5, "10.20.0.0/16", CLASS_WIDE);
	datapath_cidr(dp, 5, "10.20.9.0/24", CLASS_NARROW);
	datapath_cidr(dp, 6, "0.0.0.0/0", CLASS_WIDE); /* another table */
	datapath_peer(dp, "10.20.9.9", CLASS_WEB);
	datapath_set(dp, db, BERM_INGRESS, datapath_matrix(dp, 5, rules, ARRAY_SIZE(rules)));
	SEND(dp, BERM_INGRESS, &exact, ALLOWED, POLICY_ALLOW, 2001);
	SEND(dp, BERM_INGRESS, &wide, ALLOWED, POLICY_ALLOW, 2002);
	SEND(dp, BERM_INGRESS, &narrow, DROPPED, POLICY_DENY, 2003);
	SEND(dp, BERM_INGRESS, &pod_in_cidr, ALLOWED, POLICY_ALLOW, 2001);
	SEND(dp, BERM_INGRESS, &world, DROPPED, DEFAULT_DENY, DENIED);
	SEND(dp, BERM_INGRESS, &world6, ALLOWED, POLICY_ALLOW, 2006);
	/* The event names the class. */
	EXPECT_EQ(dp->event.cls, BERM_CLASS_WORLD6);
}

/* Another source port each time: no session shall answer. */
static struct verdict from_cidr(struct datapath *dp, uint16_t port)
{
	struct packet p = to_db("10.20.9.1", port, 80);

	return datapath_send(dp, BERM_INGRESS, 0, &p);
}

TEST(remembered, "what is remembered of a CIDR look-up is forgotten with any change of the tables")
{
	static const struct rule rules[] = {
		{ CLASS_WIDE, TCP_PORT(80), 2002, BERM_ACTION_ALLOW },
		{ CLASS_NARROW, TCP_PORT(80), 2003, BERM_ACTION_DENY },
	};
	struct berm_cidr_key key = { .prefixlen = 32 + 120, .table = htonl(5) };
	struct berm_addr addr;
	struct berm_err err = { 0 };
	uint32_t db;
	struct datapath *dp = db_node(&db);

	datapath_cidr(dp, 5, "10.20.0.0/16", CLASS_WIDE);
	datapath_cidr(dp, 6, "10.20.0.0/16", CLASS_NARROW);
	datapath_set(dp, db, BERM_INGRESS, datapath_matrix(dp, 5, rules, ARRAY_SIZE(rules)));
	EXPECT_EQ(from_cidr(dp, 1).retval, ALLOWED);
	EXPECT_EQ(from_cidr(dp, 2).rule, 2002u); /* remembered */
	datapath_set(dp, db, BERM_INGRESS, datapath_matrix(dp, 6, rules, ARRAY_SIZE(rules)));
	EXPECT_EQ(from_cidr(dp, 3).rule, 2003u); /* of another table */
	datapath_set(dp, db, BERM_INGRESS, datapath_matrix(dp, 5, rules, ARRAY_SIZE(rules)));
	EXPECT_EQ(from_cidr(dp, 4).rule, 2002u);
	datapath_cidr(dp, 5, "10.20.9.0/24", CLASS_NARROW);
	EXPECT_EQ(from_cidr(dp, 5).rule, 2003u);
	ASSERT_EQ(berm_addr_parse("10.20.9.0", &addr), 0);
	memcpy(key.addr, &addr, sizeof(key.addr));
	ASSERT_OK(berm_cidr_delete(&dp->maps, &key, &err), &err);
	EXPECT_EQ(from_cidr(dp, 6).rule, 2002u);
	EXPECT_EQ(from_cidr(dp, 7).rule, 2002u);
}

TEST(damaged_memory, "what is remembered and does not fit together is not believed")
{
	static const struct rule rules[] = {
		{ CLASS_WIDE, TCP_PORT(80), 2002, BERM_ACTION_ALLOW },
		{ CLASS_NARROW, TCP_PORT(80), 2003, BERM_ACTION_DENY },
	};
	int cpus = libbpf_num_possible_cpus(), fd;
	struct berm_cidr_hot *hot;
	uint32_t db;
	struct datapath *dp = db_node(&db);

	ASSERT_TRUE(cpus > 0);
	hot = calloc((size_t)cpus, sizeof(*hot));
	ASSERT_TRUE(hot);
	datapath_cidr(dp, 5, "10.20.0.0/16", CLASS_NARROW);
	datapath_set(dp, db, BERM_INGRESS, datapath_matrix(dp, 5, rules, ARRAY_SIZE(rules)));
	EXPECT_EQ(from_cidr(dp, 1).rule, 2003u);
	fd = dp->maps.fd[BERM_MAP_cidr_hot];
	for (uint32_t i = 0; i < BERM_CIDR_HOT; i++) {
		ASSERT_EQ(bpf_map_lookup_elem(fd, &i, hot), 0);
		for (int cpu = 0; cpu < cpus; cpu++)
			if (hot[cpu].of)
				hot[cpu].cls = CLASS_WIDE; /* as if overwritten half */
		ASSERT_EQ(bpf_map_update_elem(fd, &i, hot, BPF_ANY), 0);
	}
	EXPECT_EQ(from_cidr(dp, 2).rule, 2003u);
	free(hot);
}

TEST(holes_deny, "what nobody wrote denies: a set, a cell, a rule, a column beyond the matrix")
{
	struct packet p = to_db(WEB, 1, 80);
	struct berm_set wrong = { .base = 500000, .cols = 0, .ncols = 2 };
	struct berm_err err = { 0 };
	uint32_t db, zero = 0;
	struct datapath *dp = db_node(&db);
	uint32_t set = datapath_matrix(dp, 0, &web_to_db, 1);

	p.dport = 5432;
	datapath_set(dp, db, BERM_INGRESS, 4000); /* empty */
	SEND(dp, BERM_INGRESS, &p, DROPPED, NO_RULE, BERM_REASON_NO_RULE);
	datapath_set(dp, db, BERM_INGRESS, BERM_MAX_SETS + 7); /* beyond the map */
	SEND(dp, BERM_INGRESS, &p, DROPPED, NO_RULE, BERM_REASON_NO_RULE);
	ASSERT_OK(berm_set_write(&dp->maps, 4000, &wrong, &err), &err);
	datapath_set(dp, db, BERM_INGRESS, 4000); /* empty cells */
	SEND(dp, BERM_INGRESS, &p, DROPPED, NO_RULE, BERM_REASON_NO_RULE);
	wrong = (struct berm_set){ .base = 0, .cols = 0, .ncols = 1 }; /* port 5432 has column 1 */
	ASSERT_OK(berm_set_write(&dp->maps, 4000, &wrong, &err), &err);
	datapath_set(dp, db, BERM_INGRESS, 4000);
	SEND(dp, BERM_INGRESS, &p, DROPPED, NO_RULE, BERM_REASON_NO_RULE);
	datapath_set(dp, db, BERM_INGRESS, set);
	SEND(dp, BERM_INGRESS, &p, ALLOWED, POLICY_ALLOW, 2001);
	p.sport = 2;
	ASSERT_OK(berm_cells_write(&dp->maps, 3, &zero, 1, &err),
		  &err); /* the cell of web and 5432 */
	SEND(dp, BERM_INGRESS, &p, DROPPED, NO_RULE, BERM_REASON_NO_RULE);
}

TEST(missing_state,
     "an interface without endpoint follows the node's default, counted [start.missing_state]")
{
	struct packet p = to_db(WEB, 1, 80);
	uint32_t db;
	struct datapath *dp = db_node(&db);

	SEND_TO(dp, BERM_INGRESS, 1, &p, ALLOWED, NOT_ISOLATED, BERM_REASON_NOT_ISOLATED);
	SEND_TO(dp, BERM_INGRESS, 2, &p, DROPPED, MISSING_STATE, BERM_REASON_MISSING_STATE);
	EXPECT_EQ(dp->event.ifindex, 2);
	dp->maps.node->flags &= ~BERM_NODE_MISSING_DENY;
	SEND_TO(dp, BERM_INGRESS, 2, &p, ALLOWED, MISSING_STATE, NO_EVENT);
	SEND_TO(dp, BERM_INGRESS, 2, &p, ALLOWED, MISSING_STATE,
		NO_EVENT); /* no session came of it */
	dp->maps.node->flags |= BERM_NODE_MISSING_DENY;
	SEND_TO(dp, BERM_INGRESS, 2, &p, DROPPED, MISSING_STATE, BERM_REASON_MISSING_STATE);
}

TEST(fallback, "until the agent has judged a pod, its verdicts say so")
{
	static const struct rule dns = { CLASS_WEB, UDP_PORT(53), 2001, BERM_ACTION_ALLOW };
	struct packet p = to_db(WEB, 1, 80), q = to_db(WEB, 1, 53);
	struct berm_set none = { 0 };
	struct berm_err err = { 0 };
	uint32_t db;
	struct datapath *dp = db_node(&db);
	struct berm_endpoint *ep = &dp->maps.endpoints[db];

	q.proto = IPPROTO_UDP;
	ep->flags |= BERM_EP_FALLBACK;
	SEND(dp, BERM_INGRESS, &p, ALLOWED, FALLBACK, BERM_REASON_FALLBACK);
	datapath_set(dp, db, BERM_INGRESS, BERM_SET_DENY);
	SEND(dp, BERM_INGRESS, &p, DROPPED, FALLBACK, BERM_REASON_FALLBACK);
	datapath_set(dp, db, BERM_INGRESS, BERM_SET_ESSENTIALS);
	SEND(dp, BERM_INGRESS, &q, DROPPED, FALLBACK, BERM_REASON_FALLBACK); /* no matrix yet */
	dp->next_set = BERM_SET_ESSENTIALS;
	(void)datapath_matrix(dp, 0, &dns, 1);
	SEND(dp, BERM_INGRESS, &q, ALLOWED, FALLBACK, 2001);
	SEND(dp, BERM_INGRESS, &p, DROPPED, FALLBACK, BERM_REASON_FALLBACK);
	ASSERT_OK(berm_set_write(&dp->maps, BERM_SET_ESSENTIALS, &none, &err), &err);
	ep->flags &= ~BERM_EP_FALLBACK;
	datapath_set(dp, db, BERM_INGRESS, BERM_SET_OPEN);
	SEND(dp, BERM_INGRESS, &p, ALLOWED, NOT_ISOLATED,
	     NO_EVENT); /* the first packet's session, judged again */
}

TEST(host,
     "the node's own traffic passes; a node's address alone does not [semantics.masquerade_not_host]")
{
	struct packet from_node = to_db(NODE, 1, 80), from_web = to_db(WEB, 1, 80),
		      later = to_db(NODE, 2, 80);
	struct packet answer = {
		.src = DB, .dst = NODE, .sport = 80, .dport = 1, .flags = TCP_SYN | TCP_ACK
	};
	struct packet stray = {
		.src = DB, .dst = NODE, .sport = 80, .dport = 2, .flags = TCP_SYN | TCP_ACK
	};
	uint32_t db;
	struct datapath *dp = db_node(&db);

	datapath_local(dp, NODE);
	datapath_policy(dp, db, BERM_INGRESS, NULL, 0);
	datapath_policy(dp, db, BERM_EGRESS, NULL, 0);
	/* Came in by a device: masqueraded, whatever its source address says. */
	SEND(dp, BERM_INGRESS, &from_node, DROPPED, DEFAULT_DENY, DENIED);
	/* Made here, but not from an address of the node. */
	dp->ingress_ifindex = 0;
	SEND(dp, BERM_INGRESS, &from_web, DROPPED, DEFAULT_DENY, DENIED);
	SEND(dp, BERM_INGRESS, &from_node, ALLOWED, HOST, BERM_REASON_HOST);
	SEND(dp, BERM_EGRESS, &answer, ALLOWED, SESSION, NO_EVENT);
	SEND(dp, BERM_EGRESS, &stray, DROPPED, DEFAULT_DENY, DENIED);
	/* No policy can end it. */
	berm_epoch_bump(&dp->maps, db);
	SEND(dp, BERM_EGRESS, &answer, ALLOWED, HOST, NO_EVENT);
	SEND(dp, BERM_EGRESS, &answer, ALLOWED, SESSION, NO_EVENT);
	SEND(dp, BERM_INGRESS, &later, ALLOWED, HOST, BERM_REASON_HOST);
}

TEST(hairpin,
     "what has left this very pod comes back to it from the node's address, and nobody else's")
{
	struct packet back = to_db(NODE, 1, 80), later = to_db(NODE, 2, 80),
		      strange = to_db(WEB, 1, 80);
	struct packet answer = {
		.src = DB, .dst = NODE, .sport = 80, .dport = 1, .flags = TCP_SYN | TCP_ACK
	};
	uint32_t db;
	struct datapath *dp = db_node(&db);

	datapath_local(dp, NODE);
	datapath_policy(dp, db, BERM_INGRESS, NULL, 0);
	datapath_policy(dp, db, BERM_EGRESS, NULL, 0);
	SEND(dp, BERM_INGRESS, &back, DROPPED, DEFAULT_DENY,
	     DENIED); /* came in by another device */
	dp->ingress_ifindex = 1;
	SEND(dp, BERM_INGRESS, &strange, DROPPED, DEFAULT_DENY, DENIED);
	SEND(dp, BERM_INGRESS, &back, ALLOWED, HAIRPIN, BERM_REASON_HAIRPIN);
	SEND(dp, BERM_EGRESS, &answer, ALLOWED, SESSION, NO_EVENT);
	SEND(dp, BERM_INGRESS, &later, ALLOWED, HAIRPIN, BERM_REASON_HAIRPIN);
}

TEST(own_address, "a pod may talk to itself, both ways, and that opens nothing")
{
	struct packet self = { .src = DB, .dst = DB, .sport = 1, .dport = 80 };
	struct packet other = { .src = DB, .dst = WEB, .sport = 1, .dport = 80 };
	uint32_t db;
	struct datapath *dp = db_node(&db);

	datapath_policy(dp, db, BERM_INGRESS, NULL, 0);
	datapath_policy(dp, db, BERM_EGRESS, NULL, 0);
	SEND(dp, BERM_EGRESS, &self, ALLOWED, OWN_ADDRESS, NO_EVENT);
	SEND(dp, BERM_INGRESS, &self, ALLOWED, OWN_ADDRESS, NO_EVENT);
	SEND(dp, BERM_EGRESS, &other, DROPPED, DEFAULT_DENY, DENIED);
	EXPECT_EQ(datapath_stat(dp, BERM_STAT_SESSION_NEW), 0);
}

TEST(hits, "a rule counts the packets it has judged, a session those that ride on it")
{
	struct packet p = to_db(WEB, 1, 5432), q = to_db(WEB, 1, 22);
	struct berm_session s = { 0 };
	uint64_t allowed = 0, denied = 0;
	uint32_t db;
	struct datapath *dp = db_node(&db);

	datapath_policy(dp, db, BERM_INGRESS, &web_to_db, 1); /* rules 1 and, for the rest, 2 */
	for (int i = 0; i < 3; i++) {
		(void)datapath_send(dp, BERM_INGRESS, 0, &p);
		(void)datapath_send(dp, BERM_INGRESS, 0, &q);
	}
	EXPECT_EQ(berm_hits_read(&dp->maps, 1, &allowed), 0);
	EXPECT_EQ(berm_hits_read(&dp->maps, 2, &denied), 0);
	EXPECT_EQ(allowed, 1);
	EXPECT_EQ(denied, 3);
	ASSERT_TRUE(session_find(dp, 1, WEB, 5432, 1, &s));
	EXPECT_EQ(s.packets[BERM_INGRESS], 3);
	EXPECT_EQ(s.packets[BERM_EGRESS], 0);
	EXPECT_EQ(s.bytes[BERM_INGRESS], 3 * 54);
	EXPECT_EQ(s.rule, 2001);
	EXPECT_EQ(s.slot, db);
	EXPECT_EQ(datapath_packets(dp, BERM_INGRESS, BERM_REASON_DEFAULT_DENY), 3);
}

TEST(slot_remembered, "an interface is judged by the slot it has, not by the one that it had")
{
	struct packet p = to_db(WEB, 1, 22),
		      q = { .src = WEB, .dst = SPY, .sport = 1, .dport = 22 };
	struct berm_err err = { 0 };
	uint32_t old, new, other;
	struct datapath *dp = db_node(&old);

	datapath_policy(dp, old, BERM_INGRESS, &web_to_db, 1);
	SEND(dp, BERM_INGRESS, &p, DROPPED, DEFAULT_DENY, DENIED);
	ASSERT_OK(berm_slot_free(&dp->maps, old, 1, &err), &err);
	SEND(dp, BERM_INGRESS, &p, DROPPED, MISSING_STATE, BERM_REASON_MISSING_STATE);

	other = datapath_pod(dp, &(struct pod){ .ifindex = 2, .addr = { SPY } });
	EXPECT_EQ(other, old);
	datapath_policy(dp, other, BERM_INGRESS, &web_to_db, 1);
	SEND_TO(dp, BERM_INGRESS, 2, &q, DROPPED, DEFAULT_DENY, DENIED);
	SEND(dp, BERM_INGRESS, &p, DROPPED, MISSING_STATE, BERM_REASON_MISSING_STATE);

	new = datapath_pod(dp, &(struct pod){ .ifindex = 1, .addr = { DB } });
	EXPECT_NE(new, old);
	SEND(dp, BERM_INGRESS, &p, ALLOWED, NOT_ISOLATED, BERM_REASON_NOT_ISOLATED);
	SEND_TO(dp, BERM_INGRESS, 2, &q, DROPPED, DEFAULT_DENY, DENIED);
}
