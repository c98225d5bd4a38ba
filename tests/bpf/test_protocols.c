/* SPDX-License-Identifier: Apache-2.0 */
/* test_protocols.c - what SCTP chunks, UDP datagrams and extension headers mean to sessions, both families. */
#include <string.h>

#include <arpa/inet.h>

#include "datapath.h"
#include "jiffies.h"

#define POD  "10.0.0.3"
#define WEB  "10.0.0.2"
#define POD6 "fd00::3"
#define WEB6 "fd00::2"

#define NO_EVENT 0
#define DENIED	 BERM_REASON_DEFAULT_DENY

enum { CLASS_WEB = BERM_CLASS_FIRST };
enum { RULE_SCTP = 2001, RULE_UDP, RULE_TCP };

enum {
	DATA = PACKET_CHUNK_DATA,
	INIT = 1,
	INIT_ACK = 2,
	SACK = 3,
	HEARTBEAT = 4,
	HEARTBEAT_ACK = 5,
	ABORT = 6,
	SHUTDOWN = 7,
	SHUTDOWN_ACK = 8,
	ERROR = 9,
	COOKIE_ECHO = 10,
	COOKIE_ACK = 11,
	SHUTDOWN_COMPLETE = 14,
	AUTH = 15
};

/* What web may ask the pod; the pod may ask nobody. */
static const struct rule web_rules[] = {
	{ CLASS_WEB, SCTP_PORT(9000), RULE_SCTP, BERM_ACTION_ALLOW },
	{ CLASS_WEB, UDP_PORT(53), RULE_UDP, BERM_ACTION_ALLOW },
	{ CLASS_WEB, TCP_PORT(80), RULE_TCP, BERM_ACTION_ALLOW },
};

static struct datapath *isolated(void)
{
	struct datapath *dp = datapath_load(NULL);
	uint32_t pod = datapath_pod(dp, &(struct pod){ .ifindex = 1, .addr = { POD, POD6 } });

	datapath_peer(dp, WEB, CLASS_WEB);
	datapath_peer(dp, WEB6, CLASS_WEB);
	datapath_policy(dp, pod, BERM_INGRESS, web_rules, ARRAY_SIZE(web_rules));
	datapath_policy(dp, pod, BERM_EGRESS, NULL, 0);
	return dp;
}

static struct packet sctp(bool v6, bool in, uint16_t port, uint8_t chunk)
{
	const char *pod = v6 ? POD6 : POD, *web = v6 ? WEB6 : WEB;

	return (struct packet){ .src = in ? web : pod,
				.dst = in ? pod : web,
				.proto = IPPROTO_SCTP,
				.sport = in ? port : 9000,
				.dport = in ? 9000 : port,
				.chunk = chunk };
}

#define IN(port, chunk, ...)                                                                       \
	do {                                                                                       \
		struct packet p_ = sctp(v6, true, port, chunk);                                    \
		SEND(dp, BERM_INGRESS, &p_, __VA_ARGS__);                                          \
	} while (0)
#define OUT(port, chunk, ...)                                                                      \
	do {                                                                                       \
		struct packet p_ = sctp(v6, false, port, chunk);                                   \
		SEND(dp, BERM_EGRESS, &p_, __VA_ARGS__);                                           \
	} while (0)
#define RIDES	     ALLOWED, SESSION, NO_EVENT
#define NEW	     ALLOWED, POLICY_ALLOW, RULE_SCTP
#define PASSES_ALONE ALLOWED, POLICY_ALLOW, NO_EVENT
#define REFUSED	     DROPPED, DEFAULT_DENY, DENIED

static void association(bool v6)
{
	struct datapath *dp = isolated();
	struct berm_session s = { 0 };

	OUT(1, INIT_ACK, REFUSED);
	IN(1, INIT, NEW);
	OUT(1, INIT_ACK, RIDES);
	IN(1, COOKIE_ECHO, RIDES);
	OUT(1, COOKIE_ACK, RIDES);
	IN(1, DATA, RIDES);
	OUT(1, SACK, RIDES);
	ASSERT_TRUE(session_find(dp, 1, v6 ? WEB6 : WEB, 9000, 1, &s));
	EXPECT_TRUE(s.state & BERM_SESSION_ESTABLISHED);
	/* An INIT of the pod is a question of its own, and it may ask nobody. */
	OUT(1, INIT, REFUSED);
	OUT(1, SHUTDOWN, RIDES);
	IN(1, SHUTDOWN_ACK, RIDES);
	OUT(1, SHUTDOWN_COMPLETE, RIDES);
	IN(1, INIT, NEW); /* the same ports again */
	IN(2, INIT, NEW);
	OUT(2, ABORT, RIDES);
	OUT(3, ABORT, REFUSED);
	OUT(3, SHUTDOWN, REFUSED);
	EXPECT_BOOKS(dp);
}

TEST(association4, "an SCTP association from INIT to SHUTDOWN, and one that is aborted [pkt.sctp]")
{
	association(false);
}

TEST(association6, "an SCTP association over IPv6 [pkt.sctp]")
{
	association(true);
}

/* Progress of the session at port, and how many seconds it has left without a packet. */
static uint8_t progress(struct datapath *dp, bool v6, uint16_t port, double *ret_s)
{
	struct berm_session s = { 0 };
	struct table t = table_read(dp);
	uint32_t now, hz;
	struct berm_err err = { 0 };

	ASSERT_TRUE(session_find(dp, 1, v6 ? WEB6 : WEB, 9000, port, &s));
	ASSERT_OK(berm_jiffies_read(&now, &hz, &err), &err);
	*ret_s = -1;
	for (uint32_t b = 0; b < t.buckets; b++)
		for (int w = 0; w < BERM_WAYS; w++)
			if (t.bucket[b].tag[w] && t.bucket[b].way[w].peer_port == htons(port))
				*ret_s = (int32_t)(t.bucket[b].deadline[w] - now) / (double)hz;
	table_free(&t);
	return s.state;
}

#define FINS (BERM_SESSION_OPENER_FIN | BERM_SESSION_ANSWERER_FIN)

/* Expects these bits of FINS, RESET and ESTABLISHED, and at most `most` seconds. */
#define EXPECT_SCTP(port, bits, most)                                                              \
	do {                                                                                       \
		double left_;                                                                      \
		uint8_t state_ = progress(dp, v6, port, &left_);                                   \
		EXPECT_EQ(state_ &(FINS | BERM_SESSION_RESET | BERM_SESSION_ESTABLISHED), bits);   \
		EXPECT_TRUE(left_ <= (most) + 0.5 && left_ > (most)-8);                            \
	} while (0)

#define LIVE	   BERM_SESSION_ESTABLISHED
#define OTHER_S	   180
#define CLOSING_S  120
#define RESET_S	   10
#define HALFOPEN_S 30

static void establish(struct datapath *dp, bool v6, uint16_t port)
{
	IN(port, INIT, NEW);
	OUT(port, INIT_ACK, RIDES);
	IN(port, COOKIE_ECHO, RIDES);
	OUT(port, COOKIE_ACK, RIDES);
	EXPECT_SCTP(port, LIVE, OTHER_S);
}

static void closing(bool v6)
{
	struct datapath *dp = isolated();

	establish(dp, v6, 1);
	OUT(1, SHUTDOWN, RIDES);
	EXPECT_SCTP(1, LIVE | BERM_SESSION_ANSWERER_FIN, CLOSING_S);
	IN(1, DATA, RIDES); /* what is under way still comes */
	EXPECT_SCTP(1, LIVE | BERM_SESSION_ANSWERER_FIN, CLOSING_S);
	IN(1, SHUTDOWN_ACK, RIDES);
	EXPECT_SCTP(1, LIVE | FINS, CLOSING_S);
	OUT(1, SHUTDOWN_COMPLETE, RIDES);
	EXPECT_SCTP(1, LIVE | FINS | BERM_SESSION_RESET, RESET_S);
	IN(1, SHUTDOWN_ACK, RIDES); /* COMPLETE was lost */
	EXPECT_SCTP(1, LIVE | FINS, CLOSING_S);
	IN(1, INIT, NEW); /* the same ports again: another association, judged by itself */
	EXPECT_SCTP(1, 0, HALFOPEN_S);

	establish(dp, v6, 2);
	IN(2, ABORT, RIDES);
	EXPECT_SCTP(2, LIVE | BERM_SESSION_RESET, RESET_S);
	IN(2, ABORT, RIDES); /* prolongs nothing */
	EXPECT_SCTP(2, LIVE | BERM_SESSION_RESET, RESET_S);
	OUT(2, DATA, RIDES); /* it was forged: whoever speaks on has not been aborted */
	EXPECT_SCTP(2, LIVE, OTHER_S);
	OUT(2, ABORT, RIDES);
	EXPECT_SCTP(2, LIVE | BERM_SESSION_RESET, RESET_S);
	IN(2, INIT, NEW);
	EXPECT_SCTP(2, 0, HALFOPEN_S);

	IN(3, INIT, NEW);
	OUT(3, ABORT, RIDES); /* refused */
	EXPECT_SCTP(3, BERM_SESSION_RESET, RESET_S);
	IN(4, INIT, NEW);
	OUT(4, SHUTDOWN, RIDES); /* what has not begun does not end */
	EXPECT_SCTP(4, 0, HALFOPEN_S);
	EXPECT_BOOKS(dp);
}

TEST(closing4,
     "SHUTDOWN and ABORT shorten an association as FIN and RST do a connection [pkt.sctp]")
{
	closing(false);
}

TEST(closing6, "the same over IPv6 [pkt.sctp]")
{
	closing(true);
}

static void init_again(bool v6)
{
	struct datapath *dp = isolated();

	IN(1, INIT, NEW);
	OUT(1, INIT_ACK, RIDES);
	for (int i = 0; i < 40; i++)
		IN(1, INIT, RIDES); /* forged, or the answer was lost */
	EXPECT_SCTP(1, 0, HALFOPEN_S);
	IN(1, COOKIE_ECHO, RIDES);
	EXPECT_SCTP(1, LIVE, OTHER_S);
	IN(1, INIT, RIDES); /* on a living association: RFC 9260, 5.2 */
	EXPECT_SCTP(1, LIVE, OTHER_S);
	OUT(1, INIT, REFUSED);
	EXPECT_SCTP(1, LIVE, OTHER_S);
	OUT(1, DATA, RIDES);
	IN(1, DATA, RIDES);
	EXPECT_BOOKS(dp);
}

TEST(init_again4, "a repeated INIT neither establishes an association nor ends one [pkt.sctp]")
{
	init_again(false);
}

TEST(init_again6, "the same over IPv6 [pkt.sctp]")
{
	init_again(true);
}

static void chunks(bool v6)
{
	static const uint8_t nothing[] = { INIT_ACK,   HEARTBEAT_ACK,	 ABORT,
					   SHUTDOWN,   SHUTDOWN_ACK,	 ERROR,
					   COOKIE_ACK, SHUTDOWN_COMPLETE };
	static const uint8_t opens[] = { INIT, DATA, SACK, HEARTBEAT, COOKIE_ECHO,
					 AUTH, 0x40, 0xc0, 0xc2 };
	struct datapath *dp = isolated();
	uint16_t port = 100;

	for (size_t i = 0; i < ARRAY_SIZE(nothing); i++, port++) {
		IN(port, nothing[i], PASSES_ALONE);
		OUT(port, DATA, REFUSED); /* so it has opened nothing */
	}
	for (size_t i = 0; i < ARRAY_SIZE(opens); i++, port++) {
		IN(port, opens[i], NEW);
		OUT(port, DATA, RIDES);
	}
	EXPECT_BOOKS(dp);
}

TEST(chunks4, "what answers or ends an unknown association opens none [pkt.sctp]")
{
	chunks(false);
}

TEST(chunks6, "what answers or ends an unknown association over IPv6 opens none [pkt.sctp]")
{
	chunks(true);
}

TEST(sctp_truncated, "SCTP without a whole chunk header is malformed [pkt.sctp] [pkt.truncated]")
{
	struct datapath *dp = isolated();
	_Alignas(8) char frame[PACKET_MAX];

	for (int v6 = 0; v6 < 2; v6++) {
		struct packet p = sctp(v6, true, 1, INIT);
		size_t len = packet_build(&p, frame), at = v6 ? 14 + 5 : 14 + 3;

		frame[at] = (char)(frame[at] - 1);
		datapath_expect(__FILE__, __LINE__,
				datapath_send_frame(dp, BERM_INGRESS, 0, frame, len - 1), DROPPED,
				BERM_REASON_MALFORMED, BERM_REASON_MALFORMED);
		IN(1, INIT, NEW);
	}
}

/* ---- extension headers --------------------------------------------------------------------------------- */

#define EXT	 (14 + 40) /* where the first one begins */
#define TCP_RULE ALLOWED, BERM_REASON_POLICY_ALLOW, RULE_TCP
#define REFUSED_ DROPPED, BERM_REASON_DEFAULT_DENY, DENIED
#define BROKEN	 DROPPED, BERM_REASON_MALFORMED, BERM_REASON_MALFORMED

/* A TCP packet to the pod behind two headers of 8 bytes, of which the first says that it has `len` units. */
static struct verdict send_ext(struct datapath *dp, uint8_t kind, uint8_t len, uint16_t dport)
{
	static uint16_t sport = 1000;
	struct packet p = { .src = WEB6, .dst = POD6, .sport = sport++, .dport = dport };
	_Alignas(8) char frame[PACKET_MAX];
	size_t size;

	p.ext[0] = kind;
	p.ext[1] = IPPROTO_DSTOPTS;
	p.ext[2] = IPPROTO_DSTOPTS;
	p.ext_count = 3;
	size = packet_build(&p, frame);
	frame[EXT] = IPPROTO_TCP; /* what follows the first one; the others are its data */
	frame[EXT + 1] = (char)len;
	return datapath_send_frame(dp, BERM_INGRESS, 0, frame, size);
}

#define EXPECT_EXT(kind, len, dport, ...)                                                          \
	datapath_expect(__FILE__, __LINE__, send_ext(dp, kind, len, dport), __VA_ARGS__)

TEST(ext_length,
     "the length of an extension header is believed, in its own units, to the end of the packet [pkt.v6_hopopts] [pkt.v6_dstopts] [pkt.v6_routing]")
{
	static const uint8_t in_eights[] = { IPPROTO_HOPOPTS, IPPROTO_DSTOPTS, IPPROTO_ROUTING };
	struct datapath *dp = isolated();

	for (size_t i = 0; i < ARRAY_SIZE(in_eights); i++) {
		EXPECT_EXT(in_eights[i], 2, 80, TCP_RULE); /* 24 bytes */
		EXPECT_EXT(in_eights[i], 2, 22, REFUSED_);
		EXPECT_EXT(in_eights[i], 3, 80, BROKEN); /* 32: into the TCP header */
		EXPECT_EXT(in_eights[i], 255, 80, BROKEN);
	}
	EXPECT_EXT(IPPROTO_AH, 4, 80, TCP_RULE); /* in 4 bytes, without the first 8 */
	EXPECT_EXT(IPPROTO_AH, 4, 22, REFUSED_);
	EXPECT_EXT(IPPROTO_AH, 6, 80, BROKEN);
	EXPECT_EXT(IPPROTO_AH, 255, 80, BROKEN);
}

TEST(ext_out,
     "extension headers of what leaves a pod are walked too [pkt.v6_hopopts] [pkt.v6_dstopts] [pkt.v6_routing]")
{
	static const uint8_t kinds[] = { IPPROTO_HOPOPTS, IPPROTO_DSTOPTS, IPPROTO_ROUTING,
					 IPPROTO_AH, IPPROTO_FRAGMENT };
	struct datapath *dp = isolated();
	struct packet in = { .src = WEB6, .dst = POD6, .sport = 7, .dport = 80 };
	struct packet out = {
		.src = POD6, .dst = WEB6, .sport = 80, .dport = 7, .flags = TCP_SYN | TCP_ACK
	};

	SEND(dp, BERM_INGRESS, &in, ALLOWED, POLICY_ALLOW, RULE_TCP);
	out.ext_count = 1;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		out.ext[0] = kinds[i];
		out.dport = 7;
		SEND(dp, BERM_EGRESS, &out, ALLOWED, SESSION, NO_EVENT);
		out.dport = 8;
		SEND(dp, BERM_EGRESS, &out, DROPPED, DEFAULT_DENY, DENIED);
	}
}

TEST(ah4,
     "AH in IPv4 is a protocol by its number, and hides no port from the policy [pkt.unknown_l4]")
{
	struct datapath *dp = isolated();
	struct packet p = { .src = WEB, .dst = POD, .proto = IPPROTO_AH, .payload_len = 44 };
	struct packet tcp = { .src = WEB, .dst = POD, .sport = 1, .dport = 80 };

	SEND(dp, BERM_INGRESS, &p, DROPPED, DEFAULT_DENY, DENIED);
	SEND(dp, BERM_INGRESS, &tcp, ALLOWED, POLICY_ALLOW, RULE_TCP);
}

static void qinq(bool v6)
{
	struct datapath *dp = isolated();
	struct packet in = { .src = v6 ? WEB6 : WEB,
			     .dst = v6 ? POD6 : POD,
			     .sport = 7,
			     .dport = 80,
			     .vlan = 5,
			     .vlan_inner = 6 };
	struct packet out = { .src = in.dst,
			      .dst = in.src,
			      .sport = 80,
			      .dport = 7,
			      .flags = TCP_SYN | TCP_ACK,
			      .vlan = 5,
			      .vlan_inner = 6 };

	SEND(dp, BERM_INGRESS, &in, ALLOWED, POLICY_ALLOW, RULE_TCP);
	SEND(dp, BERM_EGRESS, &out, ALLOWED, SESSION, NO_EVENT);
	in.vlan_inner = 0;
	SEND(dp, BERM_INGRESS, &in, ALLOWED, SESSION, NO_EVENT); /* tags do not make another flow */
	in.dport = 22;
	in.vlan_inner = 6;
	SEND(dp, BERM_INGRESS, &in, DROPPED, DEFAULT_DENY, DENIED);
	out.dport = 8;
	SEND(dp, BERM_EGRESS, &out, DROPPED, DEFAULT_DENY, DENIED);
	out.src = v6 ? WEB6 : WEB;
	SEND(dp, BERM_EGRESS, &out, DROPPED, SPOOFED_SOURCE, BERM_REASON_SPOOFED_SOURCE);
}

TEST(qinq4, "what stands behind two tags is judged, both ways [pkt.vlan]")
{
	qinq(false);
}

TEST(qinq6, "IPv6 behind two tags too [pkt.vlan]")
{
	qinq(true);
}

/* ---- IGMP ------------------------------------------------------------------------------------------------ */

#define GROUP	  "224.0.0.251"
#define ALL_HOSTS "224.0.0.1"

enum {
	IGMP_QUERY = 0x11,
	IGMP_REPORT1 = 0x12,
	IGMP_DVMRP = 0x13,
	IGMP_REPORT2 = 0x16,
	IGMP_LEAVE = 0x17,
	IGMP_REPORT3 = 0x22
};

#define IGMP_LINK   ALLOWED, BERM_REASON_LINK_LOCAL, NO_EVENT
#define IGMP_BROKEN DROPPED, BERM_REASON_MALFORMED, BERM_REASON_MALFORMED

struct igmp_case {
	const char *name;
	const char *src, *dst;
	uint8_t type;
	uint8_t ttl;   /* 0 = 1 */
	uint16_t size; /* 0 = 8 */
	uint16_t frag_off;
	uint8_t more;
	int retval;
	uint32_t reason, rule;
};

static void send_igmp(struct datapath *dp, enum berm_dir dir, const struct igmp_case *c)
{
	uint8_t body[16] = { c->type };
	struct packet p = { .src = c->src,
			    .dst = c->dst,
			    .proto = IPPROTO_IGMP,
			    .ttl = c->ttl ? c->ttl : 1,
			    .ip_options = 4,
			    .frag_off = c->frag_off,
			    .more_frags = c->more,
			    .payload = body,
			    .payload_len = c->size ? c->size : 8 };

	test_case_name = c->name;
	datapath_expect(__FILE__, __LINE__, datapath_send(dp, dir, 0, &p), c->retval, c->reason,
			c->rule);
	test_case_name = NULL;
}

TEST(igmp_in, "who asks for the members of a group may ask an isolated pod [pkt.igmp]")
{
	static const struct igmp_case cases[] = {
		{ "of a bridge without address", "0.0.0.0", ALL_HOSTS, IGMP_QUERY, 0, 0, 0, 0, IGMP_LINK },
		{ "of a router", WEB, ALL_HOSTS, IGMP_QUERY, 0, 0, 0, 0, IGMP_LINK },
		{ "for one group", WEB, GROUP, IGMP_QUERY, 0, 0, 0, 0, IGMP_LINK },
		{ "version 3", WEB, ALL_HOSTS, IGMP_QUERY, 0, 12, 0, 0, IGMP_LINK },
		{ "last address of all", WEB, "239.255.255.255", IGMP_QUERY, 0, 0, 0, 0, IGMP_LINK },
		{ "from afar", WEB, ALL_HOSTS, IGMP_QUERY, 64, 0, 0, 0, REFUSED_ },
		{ "to the pod itself", WEB, POD, IGMP_QUERY, 0, 0, 0, 0, REFUSED_ },
		{ "by broadcast", WEB, "255.255.255.255", IGMP_QUERY, 0, 0, 0, 0, REFUSED_ },
		{ "to what is no group any more", WEB, "240.0.0.1", IGMP_QUERY, 0, 0, 0, 0, REFUSED_ },
		{ "another's report", WEB, GROUP, IGMP_REPORT2, 0, 0, 0, 0, IGMP_LINK },
		{ "a report for the pod alone", WEB, POD, IGMP_REPORT2, 0, 0, 0, 0, REFUSED_ },
		{ "of another kind", WEB, ALL_HOSTS, IGMP_DVMRP, 0, 0, 0, 0, REFUSED_ },
		{ "from a loopback address", "127.0.0.1", ALL_HOSTS, IGMP_QUERY, 0, 0, 0, 0, DROPPED,
		  BERM_REASON_LOOPBACK_SOURCE, BERM_REASON_LOOPBACK_SOURCE },
		{ "too short", WEB, ALL_HOSTS, IGMP_QUERY, 0, 7, 0, 0, IGMP_BROKEN },
		{ "nothing but a type", WEB, ALL_HOSTS, IGMP_QUERY, 0, 1, 0, 0, IGMP_BROKEN },
		{ "the first of several pieces", WEB, ALL_HOSTS, IGMP_QUERY, 0, 0, 0, 1, REFUSED_ },
		{ "the second of them", WEB, ALL_HOSTS, IGMP_QUERY, 0, 0, 8, 0, DROPPED,
		  BERM_REASON_FRAGMENT, BERM_REASON_FRAGMENT },
	}, *c;
	struct datapath *dp = isolated();
	struct table t;

	for_each_case(c, cases)
		send_igmp(dp, BERM_INGRESS, c);
	t = table_read(dp);
	EXPECT_EQ(table_sum(dp, &t).half_open, 0); /* it leaves no session */
	table_free(&t);
}

TEST(igmp_out, "an isolated pod says which groups it is in, as itself or nobody [pkt.igmp]")
{
	static const struct igmp_case cases[] = {
		{ "report, version 1", POD, GROUP, IGMP_REPORT1, 0, 0, 0, 0, IGMP_LINK },
		{ "version 2", POD, GROUP, IGMP_REPORT2, 0, 0, 0, 0, IGMP_LINK },
		{ "version 3", POD, "224.0.0.22", IGMP_REPORT3, 0, 16, 0, 0, IGMP_LINK },
		{ "before it has an address", "0.0.0.0", "224.0.0.22", IGMP_REPORT3, 0, 16, 0, 0, IGMP_LINK },
		{ "leave", POD, "224.0.0.2", IGMP_LEAVE, 0, 0, 0, 0, IGMP_LINK },
		{ "in another's name", WEB, GROUP, IGMP_REPORT2, 0, 0, 0, 0, DROPPED,
		  BERM_REASON_SPOOFED_SOURCE, BERM_REASON_SPOOFED_SOURCE },
		{ "to one host", POD, WEB, IGMP_REPORT2, 0, 0, 0, 0, REFUSED_ },
		{ "further than the link", POD, GROUP, IGMP_REPORT2, 2, 0, 0, 0, REFUSED_ },
		{ "a question", POD, ALL_HOSTS, IGMP_QUERY, 0, 0, 0, 0, REFUSED_ },
		{ "a question of nobody", "0.0.0.0", ALL_HOSTS, IGMP_QUERY, 0, 0, 0, 0, DROPPED,
		  BERM_REASON_SPOOFED_SOURCE, BERM_REASON_SPOOFED_SOURCE },
		{ "too short", POD, GROUP, IGMP_REPORT2, 0, 4, 0, 0, IGMP_BROKEN },
		{ "a datagram to the group", POD, GROUP, 0, 0, 0, 0, 0, REFUSED_ },
	}, *c;
	struct datapath *dp = isolated();

	for_each_case(c, cases)
		send_igmp(dp, BERM_EGRESS, c);
}

TEST(igmp6, "protocol 2 in IPv6 is a protocol like any other [pkt.igmp]")
{
	uint8_t body[8] = { IGMP_QUERY };
	struct packet p = { .src = WEB6,
			    .dst = "ff02::1",
			    .proto = IPPROTO_IGMP,
			    .ttl = 1,
			    .payload = body,
			    .payload_len = 8 };
	struct datapath *dp = isolated();

	SEND(dp, BERM_INGRESS, &p, DROPPED, DEFAULT_DENY, DENIED);
}

/* ---- UDP --------------------------------------------------------------------------------------------------- */

static void datagrams(bool v6)
{
	struct datapath *dp = isolated();
	struct packet ask = { .src = v6 ? WEB6 : WEB,
			      .dst = v6 ? POD6 : POD,
			      .proto = IPPROTO_UDP,
			      .sport = 7,
			      .dport = 53 };
	struct packet answer = {
		.src = ask.dst, .dst = ask.src, .proto = IPPROTO_UDP, .sport = 53, .dport = 7
	};
	struct berm_session s = { 0 };

	SEND(dp, BERM_EGRESS, &answer, DROPPED, DEFAULT_DENY, DENIED); /* nobody has asked */
	SEND(dp, BERM_INGRESS, &ask, ALLOWED, POLICY_ALLOW, RULE_UDP);
	SEND(dp, BERM_INGRESS, &ask, ALLOWED, SESSION, NO_EVENT);
	ASSERT_TRUE(session_find(dp, 1, ask.src, 53, 7, &s));
	EXPECT_FALSE(s.state & (BERM_SESSION_ESTABLISHED | BERM_SESSION_ANSWERED));
	SEND(dp, BERM_EGRESS, &answer, ALLOWED, SESSION, NO_EVENT);
	SEND(dp, BERM_EGRESS, &answer, ALLOWED, SESSION, NO_EVENT);
	ASSERT_TRUE(session_find(dp, 1, ask.src, 53, 7, &s));
	EXPECT_TRUE(s.state & BERM_SESSION_ANSWERED);
	EXPECT_FALSE(s.state & BERM_SESSION_ESTABLISHED); /* or a forged query would do */
	SEND(dp, BERM_INGRESS, &ask, ALLOWED, SESSION, NO_EVENT);
	ASSERT_TRUE(session_find(dp, 1, ask.src, 53, 7, &s));
	EXPECT_TRUE(s.state & BERM_SESSION_ESTABLISHED);
	EXPECT_BOOKS(dp);
}

TEST(datagrams4,
     "UDP is half-open until its opener speaks after an answer [session.udp_spoof_flood]")
{
	datagrams(false);
}

TEST(datagrams6, "UDP over IPv6 too [session.udp_spoof_flood]")
{
	datagrams(true);
}
