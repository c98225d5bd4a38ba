/* SPDX-License-Identifier: Apache-2.0 */
/* test_session.c - what a session is: who opens it, who may ride on it, what a new policy does to it. */
#include "datapath.h"
#include "jiffies.h"

#define WEB "10.0.0.2"
#define DB  "10.0.0.3"
#define SPY "10.0.0.4"

#define NO_EVENT 0
#define DENIED	 BERM_REASON_DEFAULT_DENY

enum { CLASS_WEB = BERM_CLASS_FIRST, CLASS_SPY };

static const struct rule web_to_db = { CLASS_WEB, TCP_PORT(5432), 2001, BERM_ACTION_ALLOW };

static const struct packet syn = { .src = WEB, .dst = DB, .sport = 40000, .dport = 5432 };
static const struct packet syn_ack = {
	.src = DB, .dst = WEB, .sport = 5432, .dport = 40000, .flags = TCP_SYN | TCP_ACK
};
static const struct packet ack = {
	.src = WEB, .dst = DB, .sport = 40000, .dport = 5432, .flags = TCP_ACK
};
static const struct packet data = {
	.src = DB, .dst = WEB, .sport = 5432, .dport = 40000, .flags = TCP_ACK, .payload_len = 100
};

static struct packet flagged(struct packet p, uint8_t flags)
{
	p.flags = flags;
	return p;
}

/* A database that only web may ask, and that may ask nobody. */
static struct datapath *closed_db(uint32_t *slot)
{
	struct datapath *dp = datapath_load(NULL);

	*slot = datapath_pod(dp, &(struct pod){ .ifindex = 1, .addr = { DB } });
	datapath_peer(dp, WEB, CLASS_WEB);
	datapath_peer(dp, SPY, CLASS_SPY);
	datapath_policy(dp, *slot, BERM_INGRESS, &web_to_db, 1);
	datapath_policy(dp, *slot, BERM_EGRESS, NULL, 0);
	return dp;
}

static void establish(struct datapath *dp)
{
	SEND(dp, BERM_INGRESS, &syn, ALLOWED, POLICY_ALLOW, 2001);
	SEND(dp, BERM_EGRESS, &syn_ack, ALLOWED, SESSION, NO_EVENT);
	SEND(dp, BERM_INGRESS, &ack, ALLOWED, SESSION, NO_EVENT);
}

static uint32_t state_of(struct datapath *dp, uint16_t local_port, uint16_t peer_port)
{
	struct berm_session s = { 0 };

	EXPECT_TRUE(session_find(dp, 1, WEB, local_port, peer_port, &s));
	return s.state | (s.slot & BERM_SESSION_ORIGIN);
}

TEST(established_rule, "a flow is established when its opener speaks again after an answer")
{
	struct packet rst = flagged(syn_ack, TCP_RST | TCP_ACK);
	uint32_t db;
	struct datapath *dp = closed_db(&db);

	SEND(dp, BERM_INGRESS, &syn, ALLOWED, POLICY_ALLOW, 2001);
	EXPECT_EQ(state_of(dp, 5432, 40000), BERM_SESSION_OPEN);
	SEND(dp, BERM_INGRESS, &ack, ALLOWED, SESSION, NO_EVENT); /* nobody has answered */
	EXPECT_EQ(state_of(dp, 5432, 40000), BERM_SESSION_OPEN);
	EXPECT_EQ(datapath_stat(dp, BERM_STAT_TCP_ILLEGAL), 1);
	SEND(dp, BERM_EGRESS, &rst, ALLOWED, SESSION, NO_EVENT); /* no answer either */
	EXPECT_EQ(state_of(dp, 5432, 40000), BERM_SESSION_OPEN | BERM_SESSION_RESET);
	SEND(dp, BERM_EGRESS, &syn_ack, ALLOWED, SESSION, NO_EVENT);
	EXPECT_EQ(state_of(dp, 5432, 40000), BERM_SESSION_OPEN | BERM_SESSION_ANSWERED);
	SEND(dp, BERM_INGRESS, &syn, ALLOWED, SESSION,
	     NO_EVENT); /* may be spoofed like the first */
	EXPECT_EQ(state_of(dp, 5432, 40000), BERM_SESSION_OPEN | BERM_SESSION_ANSWERED);
	SEND(dp, BERM_INGRESS, &ack, ALLOWED, SESSION, NO_EVENT);
	EXPECT_EQ(state_of(dp, 5432, 40000),
		  BERM_SESSION_OPEN | BERM_SESSION_ANSWERED | BERM_SESSION_ESTABLISHED);
	EXPECT_EQ(datapath_stat(dp, BERM_STAT_SESSION_PROMOTED), 1);
	EXPECT_BOOKS(dp);
}

struct clock_target {
	uint32_t deadline;
};

static bool is_reached(void *ctx)
{
	const struct clock_target *t = ctx;
	struct berm_err err = { 0 };
	uint32_t now, hz;

	ASSERT_OK(berm_jiffies_read(&now, &hz, &err), &err);
	return (int32_t)(now - t->deadline) >= 0;
}

static void wait_seconds(struct datapath *dp, uint32_t s)
{
	struct clock_target t = { 0 };
	struct berm_err err = { 0 };
	uint32_t hz;

	ASSERT_OK(berm_jiffies_read(&t.deadline, &hz, &err), &err);
	t.deadline += s * dp->hz + 2;
	EXPECT_TRUE(test_wait_until(is_reached, &t, (int)s * 1000 + 1000));
}

TEST(one_way_udp, "a flow nobody answers is established by 16 packets over a second")
{
	struct packet p = {
		.src = DB, .dst = WEB, .proto = IPPROTO_UDP, .sport = 514, .dport = 514
	};
	uint32_t db;
	struct datapath *dp = closed_db(&db);

	datapath_set(dp, db, BERM_EGRESS, BERM_SET_OPEN);
	for (int i = 0; i < 40; i++)
		(void)datapath_send(dp, BERM_EGRESS, 0, &p);
	EXPECT_EQ(state_of(dp, 514, 514),
		  BERM_SESSION_OPEN | BERM_SESSION_FROM_POD); /* enough packets, too fast */
	wait_seconds(dp, 1);
	SEND(dp, BERM_EGRESS, &p, ALLOWED, SESSION, NO_EVENT);
	EXPECT_EQ(state_of(dp, 514, 514),
		  BERM_SESSION_OPEN | BERM_SESSION_FROM_POD | BERM_SESSION_ESTABLISHED);
	EXPECT_BOOKS(dp);
}

TEST(revoke_existing,
     "a rule that goes ends what it allowed, both ways, and gives it back [revoke.existing]")
{
	uint32_t db, open;
	struct datapath *dp = closed_db(&db);
	struct berm_session s = { 0 };
	static const struct rule renamed = { CLASS_WEB, TCP_PORT(5432), 2009, BERM_ACTION_ALLOW };

	establish(dp);
	open = dp->maps.endpoints[db].set[BERM_INGRESS];
	datapath_policy(dp, db, BERM_INGRESS, NULL, 0);
	SEND(dp, BERM_INGRESS, &ack, DROPPED, DEFAULT_DENY, DENIED);
	SEND(dp, BERM_EGRESS, &data, DROPPED, DEFAULT_DENY, DENIED); /* judged as what it answers */
	EXPECT_EQ(dp->event.is_reply, 1);
	SEND(dp, BERM_INGRESS, &syn, DROPPED, DEFAULT_DENY, DENIED);
	EXPECT_EQ(datapath_stat(dp, BERM_STAT_SESSION_REVOKED), 3);
	/* The rule comes back: the session has survived, as established as before. */
	datapath_set(dp, db, BERM_INGRESS, open);
	SEND(dp, BERM_EGRESS, &data, ALLOWED, POLICY_ALLOW, NO_EVENT);
	SEND(dp, BERM_INGRESS, &ack, ALLOWED, SESSION, NO_EVENT);
	/* The same verdict by another rule: the session says so. */
	datapath_policy(dp, db, BERM_INGRESS, &renamed, 1);
	SEND(dp, BERM_INGRESS, &ack, ALLOWED, POLICY_ALLOW, NO_EVENT);
	ASSERT_TRUE(session_find(dp, 1, WEB, 5432, 40000, &s));
	EXPECT_EQ(s.rule, 2009);
	EXPECT_EQ(s.state & BERM_SESSION_ESTABLISHED, BERM_SESSION_ESTABLISHED);
	EXPECT_EQ(datapath_stat(dp, BERM_STAT_SESSION_NEW), 1);
	EXPECT_EQ(datapath_stat(dp, BERM_STAT_SESSION_REJUDGED), 2);
	EXPECT_BOOKS(dp);
}

TEST(revoke_spares_others,
     "a policy change judges again only the endpoint it concerns [revoke.existing]")
{
	struct packet other = { .src = WEB, .dst = SPY, .sport = 7, .dport = 80 };
	uint32_t db;
	struct datapath *dp = closed_db(&db);

	datapath_pod(dp,
		     &(struct pod){ .ifindex = 2, .addr = { SPY }, .mac = "02:00:00:00:00:04" });
	SEND_TO(dp, BERM_INGRESS, 2, &other, ALLOWED, NOT_ISOLATED, BERM_REASON_NOT_ISOLATED);
	establish(dp);
	datapath_policy(dp, db, BERM_INGRESS, NULL, 0);
	SEND_TO(dp, BERM_INGRESS, 2, &other, ALLOWED, SESSION, NO_EVENT);
	SEND(dp, BERM_INGRESS, &ack, DROPPED, DEFAULT_DENY, DENIED);
}

TEST(icmp_recheck, "an echo is judged again as the request that opened it [revoke.existing]")
{
	static const struct rule ping = { CLASS_WEB, ICMP_TYPE(8), 2002, BERM_ACTION_ALLOW };
	struct packet ask = {
		.src = WEB, .dst = DB, .proto = IPPROTO_ICMP, .icmp_type = 8, .icmp_id = 3
	};
	struct packet answer = {
		.src = DB, .dst = WEB, .proto = IPPROTO_ICMP, .icmp_type = 0, .icmp_id = 3
	};
	uint32_t db;
	struct datapath *dp = closed_db(&db);

	datapath_policy(dp, db, BERM_INGRESS, &ping, 1);
	SEND(dp, BERM_INGRESS, &ask, ALLOWED, POLICY_ALLOW, 2002);
	berm_epoch_bump(&dp->maps, db);
	SEND(dp, BERM_EGRESS, &answer, ALLOWED, POLICY_ALLOW, NO_EVENT);
	datapath_policy(dp, db, BERM_INGRESS, NULL, 0);
	SEND(dp, BERM_EGRESS, &answer, DROPPED, DEFAULT_DENY, DENIED);
}

TEST(interface_reused,
     "a new pod on an old interface index inherits no session [ident.ifindex_reuse]")
{
	uint32_t db, again;
	struct datapath *dp = closed_db(&db);
	struct berm_err err = { 0 };

	establish(dp);
	EXPECT_OK(berm_slot_free(&dp->maps, db, 1, &err), &err);
	SEND(dp, BERM_INGRESS, &ack, DROPPED, MISSING_STATE, BERM_REASON_MISSING_STATE);
	again = datapath_pod(dp, &(struct pod){ .ifindex = 1, .addr = { DB } });
	EXPECT_EQ(again, db); /* the same slot, to make it hard */
	datapath_policy(dp, again, BERM_EGRESS, NULL, 0);
	SEND(dp, BERM_EGRESS, &data, DROPPED, DEFAULT_DENY, DENIED);
	datapath_policy(dp, again, BERM_INGRESS, &web_to_db, 1);
	SEND(dp, BERM_EGRESS, &data, DROPPED, DEFAULT_DENY, DENIED);
	SEND(dp, BERM_INGRESS, &ack, ALLOWED, POLICY_ALLOW, 2001); /* allowed now, and new */
	EXPECT_EQ(state_of(dp, 5432, 40000), BERM_SESSION_OPEN | BERM_SESSION_ADOPTED);
	EXPECT_BOOKS(dp);
}

TEST(forged, "a sibling with raw sockets neither opens nor ends another's session [session.forged]")
{
	struct packet as_web = ack, as_db = data, rst = flagged(data, TCP_RST),
		      fin = flagged(ack, TCP_FIN | TCP_ACK);
	struct packet own = {
		.src = SPY, .dst = WEB, .sport = 5432, .dport = 40000, .flags = TCP_ACK
	};
	uint32_t db;
	struct datapath *dp = closed_db(&db);
	uint32_t before;

	datapath_pod(dp,
		     &(struct pod){ .ifindex = 2, .addr = { SPY }, .mac = "02:00:00:00:00:04" });
	SEND_TO(dp, BERM_EGRESS, 2, &as_web, DROPPED, SPOOFED_SOURCE, BERM_REASON_SPOOFED_SOURCE);
	establish(dp);
	before = state_of(dp, 5432, 40000);
	SEND_TO(dp, BERM_EGRESS, 2, &as_web, DROPPED, SPOOFED_SOURCE, BERM_REASON_SPOOFED_SOURCE);
	SEND_TO(dp, BERM_EGRESS, 2, &as_db, DROPPED, SPOOFED_SOURCE, BERM_REASON_SPOOFED_SOURCE);
	SEND_TO(dp, BERM_EGRESS, 2, &rst, DROPPED, SPOOFED_SOURCE, BERM_REASON_SPOOFED_SOURCE);
	SEND_TO(dp, BERM_EGRESS, 2, &fin, DROPPED, SPOOFED_SOURCE, BERM_REASON_SPOOFED_SOURCE);
	/* From its own address it may talk, on a session of its own. */
	SEND_TO(dp, BERM_EGRESS, 2, &own, ALLOWED, NOT_ISOLATED, BERM_REASON_NOT_ISOLATED);
	EXPECT_EQ(state_of(dp, 5432, 40000), before);
	SEND(dp, BERM_INGRESS, &ack, ALLOWED, SESSION, NO_EVENT);
}

TEST(ack_tunnel,
     "a pod isolated one way does not talk through segments without SYN [session.ack_tunnel]")
{
	struct packet out = flagged(data, TCP_ACK), push = flagged(data, TCP_ACK | TCP_PSH);
	struct packet rst = flagged(data, TCP_RST), fin = flagged(data, TCP_FIN | TCP_ACK);
	struct packet none = flagged(data, PACKET_NO_FLAGS);
	uint32_t db;
	struct datapath *dp = closed_db(&db);

	/* Web may ask it, so these look like answers; nobody has asked. */
	SEND(dp, BERM_EGRESS, &out, DROPPED, DEFAULT_DENY, DENIED);
	SEND(dp, BERM_EGRESS, &push, DROPPED, DEFAULT_DENY, DENIED);
	SEND(dp, BERM_EGRESS, &syn_ack, DROPPED, DEFAULT_DENY, DENIED);
	SEND(dp, BERM_EGRESS, &rst, DROPPED, DEFAULT_DENY, DENIED);
	SEND(dp, BERM_EGRESS, &fin, DROPPED, DEFAULT_DENY, DENIED);
	SEND(dp, BERM_EGRESS, &none, DROPPED, DEFAULT_DENY, DENIED);
	EXPECT_EQ(datapath_stat(dp, BERM_STAT_SESSION_NEW), 0);
	/* The control: asked, it answers. */
	SEND(dp, BERM_INGRESS, &syn, ALLOWED, POLICY_ALLOW, 2001);
	SEND(dp, BERM_EGRESS, &out, ALLOWED, SESSION, NO_EVENT);
}

TEST(adopted, "for a while after attaching, answers in flows that others opened are adopted")
{
	struct packet other = {
		.src = DB, .dst = SPY, .sport = 5432, .dport = 40000, .flags = TCP_ACK
	};
	struct packet rst = flagged(data, TCP_RST);
	uint32_t db, now, hz;
	struct datapath *dp = closed_db(&db);
	struct berm_err err = { 0 };

	ASSERT_OK(berm_jiffies_read(&now, &hz, &err), &err);
	dp->maps.endpoints[db].adopt_until = now + 120 * hz;
	SEND(dp, BERM_EGRESS, &other, DROPPED, DEFAULT_DENY,
	     DENIED); /* the spy could not have asked */
	SEND(dp, BERM_EGRESS, &rst, ALLOWED, POLICY_ALLOW, NO_EVENT); /* adopts nothing */
	EXPECT_EQ(datapath_stat(dp, BERM_STAT_SESSION_ADOPTED), 0);
	SEND(dp, BERM_EGRESS, &data, ALLOWED, POLICY_ALLOW, 2001);
	EXPECT_EQ(state_of(dp, 5432, 40000),
		  BERM_SESSION_OPEN | BERM_SESSION_ANSWERED | BERM_SESSION_ADOPTED);
	SEND(dp, BERM_INGRESS, &ack, ALLOWED, SESSION, NO_EVENT);
	EXPECT_EQ(state_of(dp, 5432, 40000), BERM_SESSION_OPEN | BERM_SESSION_ANSWERED |
						     BERM_SESSION_ADOPTED |
						     BERM_SESSION_ESTABLISHED);
	dp->maps.endpoints[db].adopt_until = now - 1;
	struct packet later = data;

	later.dport = 40001;
	SEND(dp, BERM_EGRESS, &later, DROPPED, DEFAULT_DENY, DENIED);
	EXPECT_EQ(datapath_stat(dp, BERM_STAT_SESSION_ADOPTED), 1);
	EXPECT_BOOKS(dp);
}

TEST(own_direction, "a segment from the middle of a flow that its own direction allows goes on")
{
	struct packet rst = flagged(ack, TCP_RST);
	uint32_t db;
	struct datapath *dp = closed_db(&db);

	SEND(dp, BERM_INGRESS, &rst, ALLOWED, POLICY_ALLOW, NO_EVENT);
	EXPECT_EQ(datapath_stat(dp, BERM_STAT_SESSION_NEW), 0);
	SEND(dp, BERM_INGRESS, &ack, ALLOWED, POLICY_ALLOW, 2001);
	SEND(dp, BERM_EGRESS, &data, ALLOWED, SESSION, NO_EVENT);
}

TEST(syn_is_no_answer, "the side that was asked cannot open by the same ports")
{
	struct packet back = { .src = DB, .dst = WEB, .sport = 5432, .dport = 40000 };
	uint32_t db;
	struct datapath *dp = closed_db(&db);

	establish(dp);
	SEND(dp, BERM_EGRESS, &back, DROPPED, DEFAULT_DENY, DENIED);
	SEND(dp, BERM_EGRESS, &data, ALLOWED, SESSION, NO_EVENT);
	datapath_set(dp, db, BERM_EGRESS, BERM_SET_OPEN);
	SEND(dp, BERM_EGRESS, &back, ALLOWED, NOT_ISOLATED,
	     NO_EVENT); /* allowed by itself, changes nothing */
	EXPECT_EQ(state_of(dp, 5432, 40000),
		  BERM_SESSION_OPEN | BERM_SESSION_ANSWERED | BERM_SESSION_ESTABLISHED);
}

TEST(ports_reused, "a SYN on a session that is closing opens a new one, judged anew")
{
	struct packet fin = flagged(ack, TCP_FIN | TCP_ACK),
		      fin_back = flagged(data, TCP_FIN | TCP_ACK);
	uint32_t db;
	struct datapath *dp = closed_db(&db);

	establish(dp);
	SEND(dp, BERM_INGRESS, &fin, ALLOWED, SESSION, NO_EVENT);
	SEND(dp, BERM_EGRESS, &fin_back, ALLOWED, SESSION, NO_EVENT);
	SEND(dp, BERM_INGRESS, &ack, ALLOWED, SESSION, NO_EVENT);
	EXPECT_EQ(state_of(dp, 5432, 40000),
		  (BERM_SESSION_PROGRESS & ~BERM_SESSION_RESET)); /* TIME-WAIT */
	SEND(dp, BERM_INGRESS, &syn, ALLOWED, POLICY_ALLOW, 2001);
	EXPECT_EQ(state_of(dp, 5432, 40000), BERM_SESSION_OPEN);
	EXPECT_BOOKS(dp);
}

TEST(nothing_stored_for_denied, "a denied flow leaves nothing in the table")
{
	struct packet p = { .src = SPY, .dst = DB, .dport = 5432 };
	uint32_t db;
	struct datapath *dp = closed_db(&db);

	for (uint16_t port = 1; port < 200; port++) {
		p.sport = port;
		SEND(dp, BERM_INGRESS, &p, DROPPED, DEFAULT_DENY, DENIED);
	}
	EXPECT_EQ(datapath_stat(dp, BERM_STAT_SESSION_NEW), 0);
	EXPECT_BOOKS(dp);
}

TEST(sweep, "maintenance frees one interface's sessions and keeps the books")
{
	struct packet p = { .src = WEB, .dst = DB, .dport = 5432 },
		      q = { .src = WEB, .dst = SPY, .sport = 1, .dport = 80 };
	uint32_t db;
	struct datapath *dp = closed_db(&db);

	datapath_pod(dp,
		     &(struct pod){ .ifindex = 2, .addr = { SPY }, .mac = "02:00:00:00:00:04" });
	for (uint16_t port = 1; port <= 500; port++) {
		p.sport = port;
		SEND(dp, BERM_INGRESS, &p, ALLOWED, POLICY_ALLOW, 2001);
	}
	SEND_TO(dp, BERM_INGRESS, 2, &q, ALLOWED, NOT_ISOLATED, BERM_REASON_NOT_ISOLATED);
	EXPECT_EQ(datapath_sweep(dp, 0), 0); /* nothing is over yet */
	EXPECT_EQ(datapath_sweep(dp, 1), 500);
	EXPECT_EQ(datapath_sweep(dp, 1), 0);
	EXPECT_BOOKS(dp);
	SEND_TO(dp, BERM_INGRESS, 2, &q, ALLOWED, SESSION, NO_EVENT);
	SEND(dp, BERM_INGRESS, &p, ALLOWED, POLICY_ALLOW, 2001);
}
