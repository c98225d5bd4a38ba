/* SPDX-License-Identifier: Apache-2.0 */
/* test_related.c - ICMP errors, both families: they pass with a living session that they quote, else by policy. */
#include <linux/if_ether.h>
#include <string.h>

#include "datapath.h"

#define POD	"10.0.0.3"
#define WEB	"10.0.0.2"
#define SPY	"10.0.0.4"
#define ROUTER	"192.0.2.1"
#define POD6	"fd00::3"
#define WEB6	"fd00::2"
#define SPY6	"fd00::4"
#define ROUTER6 "2001:db8::1"

#define NO_EVENT 0
#define DENIED	 BERM_REASON_DEFAULT_DENY

enum { CLASS_WEB = BERM_CLASS_FIRST, CLASS_SPY };
enum { RULE_TCP = 2001, RULE_UDP, RULE_ECHO, RULE_ECHO6, RULE_SCTP, RULE_GRE };

static const struct rule web_rules[] = {
	{ CLASS_WEB, TCP_PORT(80), RULE_TCP, BERM_ACTION_ALLOW },
	{ CLASS_WEB, UDP_PORT(53), RULE_UDP, BERM_ACTION_ALLOW },
	{ CLASS_WEB, ICMP_TYPE(8), RULE_ECHO, BERM_ACTION_ALLOW },
	{ CLASS_WEB, ICMPV6_TYPE(128), RULE_ECHO6, BERM_ACTION_ALLOW },
	{ CLASS_WEB, SCTP_PORT(9000), RULE_SCTP, BERM_ACTION_ALLOW },
	{ CLASS_WEB, OTHER_PROTO(IPPROTO_GRE), RULE_GRE, BERM_ACTION_ALLOW },
};

struct scene {
	struct datapath *dp;
	uint32_t pod;
	bool v6;
	const char *me, *web, *spy, *router;
};

static struct scene isolated(bool v6)
{
	struct scene s = { .dp = datapath_load(NULL), .v6 = v6 };

	s.me = v6 ? POD6 : POD;
	s.web = v6 ? WEB6 : WEB;
	s.spy = v6 ? SPY6 : SPY;
	s.router = v6 ? ROUTER6 : ROUTER;
	s.pod = datapath_pod(s.dp, &(struct pod){ .ifindex = 1, .addr = { POD, POD6 } });
	datapath_peer(s.dp, s.web, CLASS_WEB);
	datapath_peer(s.dp, s.spy, CLASS_SPY);
	datapath_policy(s.dp, s.pod, BERM_INGRESS, web_rules, ARRAY_SIZE(web_rules));
	datapath_policy(s.dp, s.pod, BERM_EGRESS, web_rules, ARRAY_SIZE(web_rules));
	return s;
}

/* An error about a packet: who sends it to whom, what it is, how much it quotes. */
struct error {
	const char *src, *dst;
	uint8_t type, code;
	struct packet about;
	uint16_t quote; /* bytes of the quoted packet's layer 4; 0 = 8 */
};

static struct verdict send_error(const struct scene *s, enum berm_dir dir, const struct error *e)
{
	char inner[PACKET_MAX];
	size_t len = packet_build(&e->about, inner) - ETH_HLEN, most;
	struct packet p = {
		.src = e->src,
		.dst = e->dst,
		.proto = s->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
		.icmp_type = e->type,
		.icmp_code = e->code,
		.icmp_seq = 1300,
		.payload = inner + ETH_HLEN,
	};

	most = (s->v6 ? 40 + 8u * e->about.ext_count : 20u + e->about.ip_options) +
	       (e->quote ? e->quote : 8);
	p.payload_len = (uint16_t)(len < most ? len : most);
	return datapath_send(s->dp, dir, 0, &p);
}

#define ERROR(s, dir, error, retval, reason, rule)                                                 \
	datapath_expect(__FILE__, __LINE__, send_error(&(s), BERM_##dir, &(error)), retval,        \
			BERM_REASON_##reason, rule)
#define PASSES(s, dir, error)  ERROR(s, dir, error, ALLOWED, RELATED, NO_EVENT)
#define REFUSED(s, dir, error) ERROR(s, dir, error, DROPPED, DEFAULT_DENY, DENIED)

static uint8_t too_big(const struct scene *s)
{
	return s->v6 ? 2 : 3;
}

static struct packet turned(struct packet p)
{
	const char *src = p.src;
	uint16_t sport = p.sport;

	p.src = p.dst;
	p.dst = src;
	p.sport = p.dport;
	p.dport = sport;
	return p;
}

/* A router's error about a packet that the pod has sent. */
static struct error about(const struct scene *s, struct packet p)
{
	return (struct error){ .src = s->router,
			       .dst = s->me,
			       .type = too_big(s),
			       .code = s->v6 ? 0 : 4,
			       .about = p };
}

/* The pod's error about a packet that it got: port unreachable. */
static struct error from_pod(const struct scene *s, struct packet p)
{
	return (struct error){
		.src = s->me, .dst = p.src, .type = s->v6 ? 1 : 3, .code = s->v6 ? 4 : 3, .about = p
	};
}

static struct packet syn_out(const struct scene *s)
{
	return (struct packet){ .src = s->me, .dst = s->web, .sport = 4000, .dport = 80 };
}

static struct packet open_out(const struct scene *s)
{
	struct packet p = syn_out(s);

	SEND(s->dp, BERM_EGRESS, &p, ALLOWED, POLICY_ALLOW, RULE_TCP);
	return p;
}

static void entering(bool v6)
{
	struct scene s = isolated(v6);
	struct packet out = syn_out(&s), data = out, in, query;
	struct berm_session before, after;
	struct error e = about(&s, out);

	REFUSED(s, INGRESS, e); /* no session yet */
	(void)open_out(&s);
	ASSERT_TRUE(session_find(s.dp, 1, s.web, 4000, 80, &before));
	PASSES(s, INGRESS, e);
	data.flags = TCP_ACK;
	data.payload_len = 1200;
	e = about(&s, data);
	PASSES(s, INGRESS, e);
	e.quote = 500;
	PASSES(s, INGRESS, e);
	ASSERT_TRUE(session_find(s.dp, 1, s.web, 4000, 80, &after));
	EXPECT_MEM_EQ(&after, &before, sizeof(before)); /* only looked at */
	e.src = s.web;					/* the peer itself */
	PASSES(s, INGRESS, e);
	/* What the pod had answered in a flow that was opened to it. */
	in = (struct packet){ .src = s.web, .dst = s.me, .sport = 5000, .dport = 80 };
	SEND(s.dp, BERM_INGRESS, &in, ALLOWED, POLICY_ALLOW, RULE_TCP);
	e = about(&s, turned(in));
	PASSES(s, INGRESS, e);
	query = out;
	query.proto = IPPROTO_UDP;
	query.dport = 53;
	e = about(&s, query);
	REFUSED(s, INGRESS, e);
	SEND(s.dp, BERM_EGRESS, &query, ALLOWED, POLICY_ALLOW, RULE_UDP);
	PASSES(s, INGRESS, e);
}

TEST(entering4,
     "an error enters with the session of the packet it quotes, and leaves it as it is [pkt.icmp_related] [pkt.pmtud_v4]")
{
	entering(false);
}

TEST(entering6, "an ICMPv6 error too [pkt.icmp_related] [pkt.pmtud_v6]")
{
	entering(true);
}

static void leaving(bool v6)
{
	struct scene s = isolated(v6);
	struct packet in = {
		.src = s.web, .dst = s.me, .proto = IPPROTO_UDP, .sport = 5000, .dport = 53
	};
	struct packet spy = in;
	struct error e = from_pod(&s, in);

	REFUSED(s, EGRESS, e);
	SEND(s.dp, BERM_INGRESS, &in, ALLOWED, POLICY_ALLOW, RULE_UDP);
	PASSES(s, EGRESS, e);
	e.src = s.spy;
	ERROR(s, EGRESS, e, DROPPED, SPOOFED_SOURCE, BERM_REASON_SPOOFED_SOURCE);
	e = from_pod(&s, in);
	e.dst = s.spy; /* not to whoever has sent what it quotes */
	REFUSED(s, EGRESS, e);
	spy.src = s.spy;
	e = from_pod(&s, spy);
	REFUSED(s, EGRESS, e);
	e = from_pod(&s, turned(in)); /* of the pod's own packet it has nothing to say to others */
	e.dst = s.web;
	REFUSED(s, EGRESS, e);
}

TEST(leaving4, "a pod's error leaves about what it was sent, to whoever sent it [pkt.icmp_related]")
{
	leaving(false);
}

TEST(leaving6, "a pod's ICMPv6 error too [pkt.icmp_related]")
{
	leaving(true);
}

static void garbage(bool v6)
{
	struct scene s = isolated(v6);
	struct packet out = open_out(&s), bad;
	struct error e = about(&s, out);

	PASSES(s, INGRESS, e);
#define WITH(field, value)                                                                         \
	do {                                                                                       \
		bad = out;                                                                         \
		bad.field = value;                                                                 \
		e = about(&s, bad);                                                                \
		REFUSED(s, INGRESS, e);                                                            \
	} while (0)
	WITH(sport, 4001);
	WITH(dport, 81);
	WITH(proto, IPPROTO_UDP);
	WITH(proto, IPPROTO_ESP);
	WITH(dst, s.spy);
	WITH(src, s.spy);
	WITH(src, s.web);
	bad = turned(out); /* sent to the pod, not by it */
	e = about(&s, bad);
	REFUSED(s, INGRESS, e);
	e = about(&s, out);
	e.quote = 7; /* not even the eight bytes that must be quoted */
	REFUSED(s, INGRESS, e);
	if (!v6) {
		WITH(ihl, 4);
		WITH(ihl, 15);
		bad = out; /* a later fragment, with data that look like the ports */
		bad.frag_off = 64;
		bad.payload = "\x0f\xa0\0\x50"
			      "data";
		bad.payload_len = 8;
		e = about(&s, bad);
		REFUSED(s, INGRESS, e);
		bad = out;
		bad.ip_options = 8;
		e = about(&s, bad);
		PASSES(s, INGRESS, e);
	}
	e = about(&s, out);
	for (int type = 0; type < 256; type++) {
		bool is_error = v6 ? type >= 1 && type <= 4 : type == 3 || type == 11 || type == 12;
		bool is_other = v6 && ((type >= 128 && type <= 137) || type == 143);

		e.type = (uint8_t)type;
		if (is_error)
			PASSES(s, INGRESS, e);
		else if (!is_other && !(type == 0 || type == 8))
			REFUSED(s, INGRESS, e);
	}
}
#undef WITH

TEST(garbage4,
     "an error that quotes anything but a living session's packet is judged by policy [pkt.icmp_garbage_inner]")
{
	garbage(false);
}

TEST(garbage6, "an ICMPv6 error that quotes garbage too [pkt.icmp_garbage_inner]")
{
	garbage(true);
}

TEST(garbage_headers,
     "IPv6 headers in what is quoted are walked, within bounds [pkt.icmp_garbage_inner] [pkt.pmtud_v6]")
{
	struct scene s = isolated(true);
	struct packet out = open_out(&s);
	struct error e;

	out.ext[0] = IPPROTO_HOPOPTS;
	out.ext[1] = IPPROTO_FRAGMENT;
	out.ext[2] = IPPROTO_DSTOPTS;
	out.ext_count = 3;
	out.more_frags = 1;
	e = about(&s, out);
	PASSES(s, INGRESS, e);
	out.frag_off = 64;
	out.payload = "\x0f\xa0\0\x50"
		      "data";
	out.payload_len = 8;
	out.ext_count = 2;
	e = about(&s, out); /* ports of nobody */
	REFUSED(s, INGRESS, e);
	out = syn_out(&s);
	memset(out.ext, IPPROTO_DSTOPTS, 7);
	out.ext_count = 7;
	e = about(&s, out);
	REFUSED(s, INGRESS, e);
}

static void families(void)
{
	struct scene s = isolated(true), four = isolated(false);
	struct packet out = open_out(&four), mapped = {
		.src = POD6, .dst = "::ffff:10.0.0.2", .sport = 4000, .dport = 80
	};
	struct error e = about(&four, out);

	PASSES(four, INGRESS, e);
	e.src = ROUTER6;
	e.dst = POD6;
	e.type = 2;
	e.code = 0;
	four.v6 = true;
	REFUSED(four, INGRESS, e); /* ICMPv6 about an IPv4 packet */
	(void)open_out(&s);
	e = about(&s, mapped);
	REFUSED(s, INGRESS, e);
}

TEST(families, "no family quotes the other [pkt.icmp_garbage_inner]")
{
	families();
}

static void echo(bool v6)
{
	struct scene s = isolated(v6);
	uint8_t proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, ask = v6 ? 128 : 8,
		answer = v6 ? 129 : 0;
	uint32_t rule = v6 ? RULE_ECHO6 : RULE_ECHO;
	struct packet out = {
		.src = s.me, .dst = s.web, .proto = proto, .icmp_type = ask, .icmp_id = 7
	};
	struct packet in = {
		.src = s.web, .dst = s.me, .proto = proto, .icmp_type = ask, .icmp_id = 9
	};
	struct packet other = out, reply = turned(in);
	struct error e;

	SEND(s.dp, BERM_EGRESS, &out, ALLOWED, POLICY_ALLOW, rule);
	e = about(&s, out);
	e.type = v6 ? 3 : 11; /* time exceeded: traceroute */
	PASSES(s, INGRESS, e);
	other.icmp_id = 8;
	e = about(&s, other);
	REFUSED(s, INGRESS, e);
	other = out;
	other.icmp_type = answer; /* nobody has asked */
	e = about(&s, other);
	REFUSED(s, INGRESS, e);
	other.icmp_type = v6 ? 1 : 3; /* an error about an error */
	e = about(&s, other);
	REFUSED(s, INGRESS, e);
	/* The pod's answers to who pings it. */
	SEND(s.dp, BERM_INGRESS, &in, ALLOWED, POLICY_ALLOW, rule);
	reply.icmp_type = answer;
	e = about(&s, reply);
	PASSES(s, INGRESS, e);
}

TEST(echo4,
     "errors about pings pass with their session, by identifier and direction [pkt.icmp_related]")
{
	echo(false);
}

TEST(echo6, "errors about ICMPv6 pings too [pkt.icmp_related]")
{
	echo(true);
}

static void other_protocols(bool v6)
{
	struct scene s = isolated(v6);
	struct packet sctp = {
		.src = s.me, .dst = s.web, .proto = IPPROTO_SCTP, .sport = 1, .dport = 9000
	};
	struct packet gre = { .src = s.me, .dst = s.web, .proto = IPPROTO_GRE, .payload_len = 20 };
	struct error e = about(&s, sctp);

	REFUSED(s, INGRESS, e);
	SEND(s.dp, BERM_EGRESS, &sctp, ALLOWED, POLICY_ALLOW, RULE_SCTP);
	PASSES(s, INGRESS, e);
	e = about(&s, gre);
	REFUSED(s, INGRESS, e);
	SEND(s.dp, BERM_EGRESS, &gre, ALLOWED, POLICY_ALLOW, RULE_GRE);
	PASSES(s, INGRESS, e);
}

TEST(protocols4, "errors about SCTP and GRE [pkt.icmp_related]")
{
	other_protocols(false);
}

TEST(protocols6, "errors about SCTP and GRE in IPv6 [pkt.icmp_related]")
{
	other_protocols(true);
}

static void living(bool v6)
{
	static const struct rule none = { 0, TCP_PORT(1), 2100, BERM_ACTION_DENY };
	struct scene s = isolated(v6);
	struct packet out = open_out(&s), next = out;
	struct error e = about(&s, out);

	PASSES(s, INGRESS, e);
	/* Policy has changed: nothing is said for the session before its flow has been judged again... */
	datapath_policy(s.dp, s.pod, BERM_EGRESS, web_rules, ARRAY_SIZE(web_rules));
	REFUSED(s, INGRESS, e);
	next.flags = TCP_ACK;
	SEND(s.dp, BERM_EGRESS, &next, ALLOWED, POLICY_ALLOW, NO_EVENT);
	PASSES(s, INGRESS, e);
	/* ...and denied. */
	datapath_policy(s.dp, s.pod, BERM_EGRESS, &none, 1);
	SEND(s.dp, BERM_EGRESS, &next, DROPPED, DEFAULT_DENY, DENIED);
	REFUSED(s, INGRESS, e);
	/* Another pod's interface. */
	datapath_policy(s.dp, s.pod, BERM_EGRESS, web_rules, ARRAY_SIZE(web_rules));
	SEND(s.dp, BERM_EGRESS, &next, ALLOWED, POLICY_ALLOW, NO_EVENT);
	PASSES(s, INGRESS, e);
	(void)datapath_sweep(s.dp, 1); /* gone */
	REFUSED(s, INGRESS, e);
}

TEST(living4, "only a living session of the policy in force speaks for an error [pkt.icmp_related]")
{
	living(false);
}

TEST(living6, "only a living session speaks for an ICMPv6 error [pkt.icmp_related]")
{
	living(true);
}

TEST(by_policy, "an error without a session is an ICMP message like others [pkt.icmp_related]")
{
	static const struct rule errors[] = { { 0, ICMP_TYPE(3) | 4, 2200, BERM_ACTION_ALLOW } };
	struct scene s = isolated(false);
	struct error e = about(&s, syn_out(&s));

	datapath_policy(s.dp, s.pod, BERM_INGRESS, errors, 1);
	ERROR(s, INGRESS, e, ALLOWED, POLICY_ALLOW, NO_EVENT);
	e.code = 3;
	REFUSED(s, INGRESS, e);
}
