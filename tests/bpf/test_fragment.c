/* SPDX-License-Identifier: Apache-2.0 */
/* test_fragment.c - datagrams in pieces, both families: later fragments have the verdict of their first one. */
#include <bpf/bpf.h>

#include "datapath.h"

#define POD  "10.0.0.3"
#define WEB  "10.0.0.2"
#define SPY  "10.0.0.4"
#define POD6 "fd00::3"
#define WEB6 "fd00::2"
#define SPY6 "fd00::4"

#define NO_EVENT 0
#define PIECE	 64 /* bytes in each fragment; the first has the header of layer 4 among them */

enum { CLASS_WEB = BERM_CLASS_FIRST, CLASS_SPY };
enum { RULE_UDP = 2001, RULE_TCP, RULE_ECHO, RULE_ECHO6, RULE_SCTP, RULE_DENY, RULE_REST };

static const struct rule web_rules[] = {
	{ CLASS_WEB, UDP_PORT(53), RULE_UDP, BERM_ACTION_ALLOW },
	{ CLASS_WEB, TCP_PORT(80), RULE_TCP, BERM_ACTION_ALLOW },
	{ CLASS_WEB, ICMP_TYPE(8), RULE_ECHO, BERM_ACTION_ALLOW },
	{ CLASS_WEB, ICMPV6_TYPE(128), RULE_ECHO6, BERM_ACTION_ALLOW },
	{ CLASS_WEB, SCTP_PORT(9000), RULE_SCTP, BERM_ACTION_ALLOW },
};

/* An administrator's rule; the pod is isolated by nobody. */
static const struct rule no_spies[] = {
	{ CLASS_SPY, UDP_PORT(53), RULE_DENY, BERM_ACTION_DENY },
	{ 0, ANY_PORT, RULE_REST, BERM_ACTION_ALLOW },
};

struct scene {
	struct datapath *dp;
	uint32_t pod;
	bool v6;
};

static struct scene scene(bool v6)
{
	struct scene s = { .dp = datapath_load(NULL), .v6 = v6 };

	s.pod = datapath_pod(s.dp, &(struct pod){ .ifindex = 1, .addr = { POD, POD6 } });
	datapath_peer(s.dp, WEB, CLASS_WEB);
	datapath_peer(s.dp, WEB6, CLASS_WEB);
	datapath_peer(s.dp, SPY, CLASS_SPY);
	datapath_peer(s.dp, SPY6, CLASS_SPY);
	return s;
}

static struct scene isolated(bool v6)
{
	struct scene s = scene(v6);

	datapath_policy(s.dp, s.pod, BERM_INGRESS, web_rules, ARRAY_SIZE(web_rules));
	datapath_policy(s.dp, s.pod, BERM_EGRESS, web_rules, ARRAY_SIZE(web_rules));
	return s;
}

/* A datagram from web to the pod's port 53, as a first fragment; change it before sending. */
static struct packet first(const struct scene *s, uint16_t id)
{
	struct packet p = { .src = s->v6 ? WEB6 : WEB,
			    .dst = s->v6 ? POD6 : POD,
			    .proto = IPPROTO_UDP,
			    .sport = 4000,
			    .dport = 53,
			    .frag_id = id,
			    .more_frags = 1,
			    .payload_len = PIECE - 8 };

	if (s->v6) {
		p.ext[0] = IPPROTO_FRAGMENT;
		p.ext_count = 1;
	}
	return p;
}

static struct packet later(struct packet p, uint16_t off)
{
	p.frag_off = off;
	p.payload_len = PIECE;
	return p;
}

static struct packet at_port(struct packet p, uint16_t dport)
{
	p.dport = dport;
	return p;
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

#define FRAG(s, dir, piece, ...)                                                                   \
	do {                                                                                       \
		struct packet piece_ = piece;                                                      \
		SEND((s).dp, BERM_##dir, &piece_, __VA_ARGS__);                                    \
	} while (0)
#define LOST(s, dir, piece) FRAG(s, dir, piece, DROPPED, FRAGMENT, BERM_REASON_FRAGMENT)

static void follow(bool v6)
{
	struct scene s = isolated(v6);
	struct packet a = first(&s, 7), b = first(&s, 8), back = turned(a);

	LOST(s, INGRESS, later(a, PIECE));
	FRAG(s, INGRESS, a, ALLOWED, POLICY_ALLOW, RULE_UDP);
	FRAG(s, INGRESS, later(a, PIECE), ALLOWED, POLICY_ALLOW, NO_EVENT);
	FRAG(s, INGRESS, later(a, 2 * PIECE), ALLOWED, POLICY_ALLOW, NO_EVENT);
	/* The next one rides on the session. */
	LOST(s, INGRESS, later(b, PIECE));
	FRAG(s, INGRESS, b, ALLOWED, SESSION, NO_EVENT);
	FRAG(s, INGRESS, later(b, PIECE), ALLOWED, SESSION, NO_EVENT);
	/* And the answers, which have identifiers of their own. */
	LOST(s, EGRESS, later(back, PIECE));
	FRAG(s, EGRESS, back, ALLOWED, SESSION, NO_EVENT);
	FRAG(s, EGRESS, later(back, PIECE), ALLOWED, SESSION, NO_EVENT);
	EXPECT_BOOKS(s.dp);
}

TEST(follow4, "later fragments follow their first one, both ways [pkt.later_fragment]")
{
	follow(false);
}

TEST(follow6,
     "later IPv6 fragments follow their first one, both ways [pkt.later_fragment] [pkt.v6_fragment]")
{
	follow(true);
}

static void strangers(bool v6)
{
	struct scene s = isolated(v6);
	struct packet good = first(&s, 7), bad = at_port(first(&s, 9), 22), spy = good,
		      other = good;

	spy.src = v6 ? SPY6 : SPY;
	other.proto = IPPROTO_TCP;
	FRAG(s, INGRESS, good, ALLOWED, POLICY_ALLOW, RULE_UDP);
	FRAG(s, INGRESS, bad, DROPPED, DEFAULT_DENY, BERM_REASON_DEFAULT_DENY);
	LOST(s, INGRESS, later(bad, PIECE));
	LOST(s, INGRESS, later(spy, PIECE));	     /* another sender's 7 */
	LOST(s, EGRESS, later(turned(good), PIECE)); /* 7 the other way round */
	if (v6) /* the header of a later fragment need not name the protocol truly (RFC 8200, 4.5) */
		FRAG(s, INGRESS, later(other, PIECE), ALLOWED, POLICY_ALLOW, NO_EVENT);
	else
		LOST(s, INGRESS, later(other, PIECE));
	FRAG(s, INGRESS, later(good, PIECE), ALLOWED, POLICY_ALLOW, NO_EVENT);
}

TEST(strangers4,
     "a fragment follows no other sender, identifier, protocol or direction [pkt.later_fragment]")
{
	strangers(false);
}

TEST(strangers6,
     "an IPv6 fragment follows no other sender, identifier or direction [pkt.v6_fragment]")
{
	strangers(true);
}

static void all_protocols(bool v6)
{
	struct scene s = isolated(v6);
	struct packet echo = first(&s, 1), tcp = first(&s, 2), sctp = first(&s, 3);
	uint32_t rule = v6 ? RULE_ECHO6 : RULE_ECHO;

	echo.proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	echo.icmp_type = v6 ? 128 : 8;
	tcp.proto = IPPROTO_TCP;
	tcp.dport = 80;
	sctp.proto = IPPROTO_SCTP;
	sctp.dport = 9000;
	FRAG(s, INGRESS, echo, ALLOWED, POLICY_ALLOW, rule);
	FRAG(s, INGRESS, later(echo, PIECE), ALLOWED, POLICY_ALLOW, NO_EVENT);
	FRAG(s, INGRESS, tcp, ALLOWED, POLICY_ALLOW, RULE_TCP);
	FRAG(s, INGRESS, later(tcp, PIECE), ALLOWED, POLICY_ALLOW, NO_EVENT);
	FRAG(s, INGRESS, sctp, ALLOWED, POLICY_ALLOW, RULE_SCTP);
	FRAG(s, INGRESS, later(sctp, PIECE), ALLOWED, POLICY_ALLOW, NO_EVENT);
}

TEST(protocols4, "fragments of echo, TCP and SCTP too [pkt.later_fragment]")
{
	all_protocols(false);
}

TEST(protocols6, "IPv6 fragments of echo, TCP and SCTP too [pkt.v6_fragment]")
{
	all_protocols(true);
}

#define MALFORMED_PACKET DROPPED, MALFORMED, BERM_REASON_MALFORMED

static void tiny(bool v6)
{
	struct scene s = isolated(v6);
	struct packet udp = first(&s, 1), tcp = first(&s, 2), whole = first(&s, 3);

	udp.payload_len = 0;
	FRAG(s, INGRESS, udp, ALLOWED, POLICY_ALLOW, RULE_UDP);
	whole.proto = tcp.proto = IPPROTO_TCP;
	whole.dport = tcp.dport = 80;
	whole.payload_len = tcp.payload_len = 0;
	FRAG(s, INGRESS, whole, ALLOWED, POLICY_ALLOW, RULE_TCP);
	/* 16 bytes of TCP: the ports, but not the flags. Cut out of the packet, with lengths that agree. */
	tcp.proto = PACKET_PROTO_ZERO;
	tcp.payload_len = 16;
	for (int i = 0; i < 4; i++) {
		static const uint8_t proto[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP,
						 IPPROTO_SCTP };
		static const uint8_t size[] = { 16, 7, 7, 15 };
		_Alignas(8) char frame[PACKET_MAX];
		size_t len;

		tcp.payload_len = size[i];
		len = packet_build(&tcp, frame);
		/* the protocol, where the headers say it: IPv4's, or the fragment header's next */
		frame[v6 ? 14 + 40 : 14 + 9] =
			(char)(v6 && proto[i] == IPPROTO_ICMP ? IPPROTO_ICMPV6 : proto[i]);
		datapath_expect(__FILE__, __LINE__,
				datapath_send_frame(s.dp, BERM_INGRESS, 0, frame, len), DROPPED,
				BERM_REASON_MALFORMED, BERM_REASON_MALFORMED);
	}
	tcp.proto = IPPROTO_TCP;
	LOST(s, INGRESS, later(tcp, 24));
}

TEST(tiny4,
     "a first fragment too short for its header is refused, and so is what follows [pkt.tiny_fragment]")
{
	tiny(false);
}

TEST(tiny6,
     "an IPv6 first fragment too short for its header is refused [pkt.tiny_fragment] [pkt.v6_fragment]")
{
	tiny(true);
}

static void overlap(bool v6)
{
	struct scene s = isolated(v6), open = { 0 };
	struct packet tcp = first(&s, 1), sctp = first(&s, 2), udp = first(&s, 3);

	tcp.proto = IPPROTO_TCP;
	tcp.dport = 80;
	sctp.proto = IPPROTO_SCTP;
	sctp.dport = 9000;
	FRAG(s, INGRESS, tcp, ALLOWED, POLICY_ALLOW, RULE_TCP);
	FRAG(s, INGRESS, sctp, ALLOWED, POLICY_ALLOW, RULE_SCTP);
	FRAG(s, INGRESS, udp, ALLOWED, POLICY_ALLOW, RULE_UDP);
	FRAG(s, INGRESS, later(tcp, 8), MALFORMED_PACKET);
	FRAG(s, INGRESS, later(tcp, 16), MALFORMED_PACKET);
	FRAG(s, INGRESS, later(tcp, 24), ALLOWED, POLICY_ALLOW, NO_EVENT);
	FRAG(s, INGRESS, later(sctp, 8), MALFORMED_PACKET);
	FRAG(s, INGRESS, later(sctp, 16), ALLOWED, POLICY_ALLOW, NO_EVENT);
	FRAG(s, INGRESS, later(udp, 8), ALLOWED, POLICY_ALLOW, NO_EVENT);
	/* Nobody sends such things: pods that are not isolated do not get them either. */
	open = scene(v6);
	FRAG(open, INGRESS, later(tcp, 8), MALFORMED_PACKET);
	FRAG(open, INGRESS, later(tcp, 16), MALFORMED_PACKET);
	FRAG(open, INGRESS, later(tcp, 24), ALLOWED, NOT_ISOLATED, NO_EVENT);
}

TEST(overlap4, "no later fragment overwrites the header that was judged [pkt.fragment_overlap]")
{
	overlap(false);
}

TEST(overlap6,
     "no later IPv6 fragment overwrites the header that was judged [pkt.fragment_overlap] [pkt.v6_fragment]")
{
	overlap(true);
}

TEST(overlap_behind_options,
     "headers between the fragment header and the port move what must not be overwritten [pkt.fragment_overlap] [pkt.v6_dstopts]")
{
	struct scene s = isolated(true);
	struct packet p = first(&s, 1), next = p;

	p.ext[1] = IPPROTO_DSTOPTS;
	p.ext[2] = IPPROTO_DSTOPTS;
	p.ext_count = 3;
	next.ext_count = 1;
	next.proto = IPPROTO_DSTOPTS; /* what its fragment header says */
	FRAG(s, INGRESS, p, ALLOWED, POLICY_ALLOW, RULE_UDP);
	FRAG(s, INGRESS, later(next, 8), MALFORMED_PACKET);
	FRAG(s, INGRESS, later(next, 16), MALFORMED_PACKET); /* the ports stand here */
	FRAG(s, INGRESS, later(next, 24), ALLOWED, POLICY_ALLOW, NO_EVENT);
}

TEST(fragment_headers, "one fragment header, wherever it stands; two are refused [pkt.v6_fragment]")
{
	struct scene s = isolated(true);
	struct packet behind = first(&s, 1), twice = first(&s, 2), atomic = first(&s, 3);

	behind.ext[0] = IPPROTO_HOPOPTS;
	behind.ext[1] = IPPROTO_FRAGMENT;
	behind.ext_count = 2;
	FRAG(s, INGRESS, behind, ALLOWED, POLICY_ALLOW, RULE_UDP);
	FRAG(s, INGRESS, later(behind, PIECE), ALLOWED, POLICY_ALLOW, NO_EVENT);
	twice.ext[1] = IPPROTO_FRAGMENT;
	twice.ext_count = 2;
	FRAG(s, INGRESS, twice, MALFORMED_PACKET);
	/* All in one piece (RFC 6946): nothing may follow it. */
	atomic.more_frags = 0;
	FRAG(s, INGRESS, atomic, ALLOWED, SESSION, NO_EVENT);
	LOST(s, INGRESS, later(atomic, PIECE));
}

static void admin(bool v6)
{
	struct scene s = scene(v6);
	struct packet good = first(&s, 1), spy = first(&s, 2);
	uint32_t set = datapath_matrix(s.dp, 0, no_spies, ARRAY_SIZE(no_spies));

	spy.src = v6 ? SPY6 : SPY;
	/* Nothing denied: no first one is asked for. */
	FRAG(s, INGRESS, later(spy, PIECE), ALLOWED, NOT_ISOLATED, NO_EVENT);
	datapath_set(s.dp, s.pod, BERM_INGRESS, set);
	s.dp->maps.endpoints[s.pod].flags &= ~(uint32_t)BERM_EP_ISOLATED_IN;
	FRAG(s, INGRESS, good, ALLOWED, POLICY_ALLOW, RULE_REST);
	FRAG(s, INGRESS, later(good, PIECE), ALLOWED, POLICY_ALLOW, NO_EVENT);
	FRAG(s, INGRESS, spy, DROPPED, POLICY_DENY, RULE_DENY);
	LOST(s, INGRESS, later(spy, PIECE));
	/* The other direction stays open. */
	FRAG(s, EGRESS, later(turned(good), PIECE), ALLOWED, NOT_ISOLATED, NO_EVENT);
}

TEST(admin4, "a pod that is not isolated, but to which something is denied [pkt.later_fragment]")
{
	admin(false);
}

TEST(admin6, "the same with IPv6 [pkt.v6_fragment]")
{
	admin(true);
}

/* Changes the only entry of berm_fragments. */
static void tamper(struct scene *s, void (*change)(struct berm_fragment *, uint32_t), uint32_t by)
{
	int fd = datapath_map(s->dp, "berm_fragments");
	struct berm_fragment value = { 0 };
	uint32_t i = 0;

	ASSERT_TRUE(fd >= 0);
	while (i < BERM_MAX_FRAGMENTS && !value.rule)
		ASSERT_EQ(bpf_map_lookup_elem(fd, &(uint32_t){ i++ }, &value), 0);
	ASSERT_TRUE(value.rule);
	change(&value, by);
	i--;
	ASSERT_EQ(bpf_map_update_elem(fd, &i, &value, BPF_EXIST), 0);
}

static void earlier(struct berm_fragment *f, uint32_t jiffies)
{
	f->deadline -= jiffies;
}

static void expire(bool v6)
{
	struct scene s = isolated(v6);
	struct packet p = first(&s, 1);

	FRAG(s, INGRESS, p, ALLOWED, POLICY_ALLOW, RULE_UDP);
	tamper(&s, earlier, 28 * s.dp->hz);
	FRAG(s, INGRESS, later(p, PIECE), ALLOWED, POLICY_ALLOW, NO_EVENT);
	tamper(&s, earlier, 2 * s.dp->hz);
	LOST(s, INGRESS, later(p, PIECE));
	tamper(&s, earlier,
	       0x80000000u); /* after half a turn of the clock a deadline looks like one to come */
	LOST(s, INGRESS, later(p, PIECE));
	/* Policy changes: what was allowed before counts no more... */
	FRAG(s, INGRESS, p, ALLOWED, SESSION, NO_EVENT);
	FRAG(s, INGRESS, later(p, PIECE), ALLOWED, SESSION, NO_EVENT);
	datapath_policy(s.dp, s.pod, BERM_INGRESS, web_rules, ARRAY_SIZE(web_rules));
	LOST(s, INGRESS, later(p, PIECE));
	/* ...until it is allowed again. */
	FRAG(s, INGRESS, p, ALLOWED, POLICY_ALLOW, NO_EVENT);
	FRAG(s, INGRESS, later(p, PIECE), ALLOWED, POLICY_ALLOW, NO_EVENT);
	datapath_policy(s.dp, s.pod, BERM_INGRESS, NULL, 0);
	FRAG(s, INGRESS, p, DROPPED, DEFAULT_DENY, BERM_REASON_DEFAULT_DENY);
	LOST(s, INGRESS, later(p, PIECE));
}

TEST(expire4,
     "a first fragment is good for 30 s and for the policy that allowed it [pkt.later_fragment]")
{
	expire(false);
}

TEST(expire6, "an IPv6 one too [pkt.v6_fragment]")
{
	expire(true);
}

static void made_again(bool v6)
{
	struct scene s = isolated(v6);
	const char *node = v6 ? "fd00::1" : "10.0.0.1";
	struct packet p = first(&s, 1), spy = at_port(first(&s, 2), 22);

	/* Put together and fragmented again by the node: no ingress device, and (by TEST_RUN) a socket. */
	s.dp->ingress_ifindex = 0;
	datapath_local(s.dp, node);
	FRAG(s, INGRESS, p, ALLOWED, POLICY_ALLOW, RULE_UDP);
	FRAG(s, INGRESS, later(p, PIECE), ALLOWED, POLICY_ALLOW, NO_EVENT);
	FRAG(s, INGRESS, spy, DROPPED, DEFAULT_DENY, BERM_REASON_DEFAULT_DENY);
	LOST(s, INGRESS, later(spy, PIECE));
	/* The node's own. */
	spy.src = node;
	FRAG(s, INGRESS, spy, ALLOWED, HOST, BERM_REASON_HOST);
	FRAG(s, INGRESS, later(spy, PIECE), ALLOWED, HOST, NO_EVENT);
}

TEST(made_again4,
     "what was fragmented again on the node is not the node's own [pkt.later_fragment]")
{
	made_again(false);
}

TEST(made_again6,
     "IPv6 that was fragmented again on the node is not the node's own [pkt.v6_refragmented]")
{
	made_again(true);
}

TEST(no_discovery_in_pieces, "neighbour discovery comes in one piece (RFC 6980) [pkt.v6_fragment]")
{
	struct scene s = scene(true);
	struct packet ns = first(&s, 1);

	ns.proto = IPPROTO_ICMPV6;
	ns.icmp_type = 135;
	ns.nd_target = POD6;
	ns.ttl = 255;
	FRAG(s, INGRESS, ns, MALFORMED_PACKET);
	ns.ext_count = 0;
	FRAG(s, INGRESS, ns, ALLOWED, LINK_LOCAL, NO_EVENT);
}

/* ---- many at once ------------------------------------------------------------------------------------------- */

#define FLOOD_POD  "10.0.0.9"
#define FLOOD_POD6 "fd00::9"
#define FLOOD	   20000

/* First fragments that another pod may send, each of another datagram. */
static void flood(struct scene *s, uint32_t count)
{
	struct verdict v = { 0 };

	for (uint32_t i = 0; i < count; i++) {
		struct packet p = first(s, (uint16_t)i);

		p.src = s->v6 ? FLOOD_POD6 : FLOOD_POD;
		p.dst = s->v6 ? WEB6 : WEB;
		p.sport = (uint16_t)(i >> 8);
		v = datapath_send(s->dp, BERM_EGRESS, 2, &p);
		EXPECT_EQ(v.retval, ALLOWED);
	}
}

static void fair(bool v6)
{
	struct scene s = isolated(v6);
	uint32_t other = datapath_pod(s.dp, &(struct pod){ .ifindex = 2,
							   .addr = { FLOOD_POD, FLOOD_POD6 } });
	struct packet p = first(&s, 7), piece;

	datapath_policy(s.dp, other, BERM_EGRESS, web_rules, ARRAY_SIZE(web_rules));
	FRAG(s, INGRESS, p, ALLOWED, POLICY_ALLOW, RULE_UDP);
	flood(&s, FLOOD);
	FRAG(s, INGRESS, later(p, PIECE), ALLOWED, POLICY_ALLOW, NO_EVENT);
	EXPECT_GT(datapath_stat(s.dp, BERM_STAT_FRAGMENT_LOST),
		  FLOOD / 2);	      /* all of them its own */
	piece = first(&s, FLOOD - 1); /* the control: its own last one goes on too */
	piece.src = v6 ? FLOOD_POD6 : FLOOD_POD;
	piece.dst = v6 ? WEB6 : WEB;
	piece = later(piece, PIECE);
	SEND_TO(s.dp, BERM_EGRESS, 2, &piece, ALLOWED, SESSION, NO_EVENT);
	piece = first(&s, FLOOD - 1 - BERM_FRAGMENTS_EACH);
	piece.src = v6 ? FLOOD_POD6 : FLOOD_POD;
	piece.dst = v6 ? WEB6 : WEB;
	piece = later(piece, PIECE);
	SEND_TO(s.dp, BERM_EGRESS, 2, &piece, DROPPED, FRAGMENT, BERM_REASON_FRAGMENT);
}

TEST(fair4, "a pod that begins many datagrams pushes out none of another's [frag.fairness]")
{
	fair(false);
}

TEST(fair6, "nor with IPv6 [frag.fairness]")
{
	fair(true);
}

static void passes(const struct scene *s, struct packet p)
{
	EXPECT_EQ(datapath_send(s->dp, BERM_INGRESS, 0, &p).retval, ALLOWED);
}

static void in_a_row(bool v6)
{
	struct scene s = isolated(v6);

	for (uint16_t id = 0; id < BERM_FRAGMENTS_EACH; id++)
		passes(&s, first(&s, id));
	for (uint16_t id = 0; id < BERM_FRAGMENTS_EACH; id++)
		passes(&s, later(first(&s, id), PIECE));
	EXPECT_EQ(datapath_stat(s.dp, BERM_STAT_FRAGMENT_LOST), 0);
}

TEST(in_a_row,
     "datagrams that are counted up do not push each other out, as many as there are places")
{
	in_a_row(false);
	in_a_row(true);
}
