/* SPDX-License-Identifier: Apache-2.0 */
/* test_packets.c - headers of all kinds: what is judged, what is refused. Policies are as small as can be. */
#include <linux/if_ether.h>

#include "datapath.h"

#define POD  "10.0.0.3"
#define WEB  "10.0.0.2"
#define SPY  "10.0.0.4"
#define POD6 "fd00::3"
#define WEB6 "fd00::2"
#define SPY6 "fd00::4"

#define NO_EVENT 0
#define DENIED	 BERM_REASON_DEFAULT_DENY

enum { CLASS_WEB = BERM_CLASS_FIRST, CLASS_SPY };
enum { RULE_TCP = 2001, RULE_UDP, RULE_ECHO, RULE_ECHO6, RULE_GRE, RULE_SCTP };

/* What a peer of class web may do, in either direction. */
static const struct rule web_rules[] = {
	{ CLASS_WEB, TCP_PORT(5432), RULE_TCP, BERM_ACTION_ALLOW },
	{ CLASS_WEB, UDP_PORT(53), RULE_UDP, BERM_ACTION_ALLOW },
	{ CLASS_WEB, ICMP_TYPE(8), RULE_ECHO, BERM_ACTION_ALLOW },
	{ CLASS_WEB, ICMPV6_TYPE(128), RULE_ECHO6, BERM_ACTION_ALLOW },
	{ CLASS_WEB, OTHER_PROTO(IPPROTO_GRE), RULE_GRE, BERM_ACTION_ALLOW },
	{ CLASS_WEB, SCTP_PORT(9000), RULE_SCTP, BERM_ACTION_ALLOW },
};

/* A pod that is isolated in the given directions and lets web do the above in them. */
static struct datapath *isolated(bool in, bool out)
{
	struct datapath *dp = datapath_load(NULL);
	uint32_t pod = datapath_pod(dp, &(struct pod){ .ifindex = 1, .addr = { POD, POD6 } });

	datapath_peer(dp, WEB, CLASS_WEB);
	datapath_peer(dp, WEB6, CLASS_WEB);
	datapath_peer(dp, SPY, CLASS_SPY);
	datapath_peer(dp, SPY6, CLASS_SPY);
	if (in)
		datapath_policy(dp, pod, BERM_INGRESS, web_rules, ARRAY_SIZE(web_rules));
	if (out)
		datapath_policy(dp, pod, BERM_EGRESS, web_rules, ARRAY_SIZE(web_rules));
	return dp;
}

struct step {
	const char *name;
	struct packet packet;
	int retval;
	uint32_t reason;
	uint32_t rule;
};

static void send_steps(struct datapath *dp, enum berm_dir dir, const struct step *step,
		       size_t count)
{
	for (size_t i = 0; i < count; i++) {
		test_case_name = step[i].name;
		datapath_expect(__FILE__, __LINE__, datapath_send(dp, dir, 0, &step[i].packet),
				step[i].retval, step[i].reason, step[i].rule);
	}
	test_case_name = NULL;
}

#define STEPS(dp, dir, steps) send_steps(dp, dir, steps, ARRAY_SIZE(steps))
#define ALLOW_NEW(rule)	      ALLOWED, BERM_REASON_POLICY_ALLOW, rule
#define OPEN		      ALLOWED, BERM_REASON_NOT_ISOLATED, BERM_REASON_NOT_ISOLATED
#define DEFAULT_DENY	      DROPPED, BERM_REASON_DEFAULT_DENY, BERM_REASON_DEFAULT_DENY
#define REFUSED(reason)	      DROPPED, BERM_REASON_##reason, BERM_REASON_##reason
#define LINK		      ALLOWED, BERM_REASON_LINK_LOCAL, NO_EVENT
#define RIDES		      ALLOWED, BERM_REASON_SESSION, NO_EVENT

TEST(spoofed_source, "a pod sends from its own addresses only [pkt.spoofed_source]")
{
	static const struct step steps[] = {
		{ "own IPv4", { .src = POD, .dst = WEB, .sport = 1, .dport = 80 }, OPEN },
		{ "own IPv6", { .src = POD6, .dst = WEB6, .sport = 1, .dport = 80 }, OPEN },
		{ "another pod's",
		  { .src = WEB, .dst = SPY, .sport = 1, .dport = 80 },
		  REFUSED(SPOOFED_SOURCE) },
		{ "another pod's IPv6",
		  { .src = WEB6, .dst = SPY6, .dport = 80 },
		  REFUSED(SPOOFED_SOURCE) },
		{ "another's UDP",
		  { .src = WEB, .dst = SPY, .proto = IPPROTO_UDP },
		  REFUSED(SPOOFED_SOURCE) },
		{ "another's echo",
		  { .src = WEB, .dst = SPY, .proto = IPPROTO_ICMP, .icmp_type = 8 },
		  REFUSED(SPOOFED_SOURCE) },
		{ "another's later fragment",
		  { .src = WEB, .dst = SPY, .frag_off = 64, .payload_len = 40 },
		  REFUSED(SPOOFED_SOURCE) },
		{ "no address",
		  { .src = "0.0.0.0", .dst = WEB, .dport = 80 },
		  REFUSED(SPOOFED_SOURCE) },
		{ "no IPv6 address",
		  { .src = "::", .dst = WEB6, .dport = 80 },
		  REFUSED(SPOOFED_SOURCE) },
		{ "link-local for TCP",
		  { .src = "fe80::1", .dst = WEB6, .dport = 80 },
		  REFUSED(SPOOFED_SOURCE) },
		{ "loopback",
		  { .src = "127.0.0.1", .dst = WEB, .dport = 80 },
		  REFUSED(LOOPBACK_SOURCE) },
		{ "IPv6 loopback",
		  { .src = "::1", .dst = WEB6, .dport = 80 },
		  REFUSED(LOOPBACK_SOURCE) },
	};

	STEPS(isolated(false, false), BERM_EGRESS, steps);
}

TEST(spoofed_source_allowed,
     "addresses that an annotation grants are no spoofing [pkt.spoofed_source]")
{
	struct datapath *dp = datapath_load(NULL);
	static const struct step some[] = {
		{ "in the CIDR", { .src = "10.7.1.1", .dst = WEB, .dport = 80 }, OPEN },
		{ "beside it",
		  { .src = "10.8.1.1", .dst = WEB, .dport = 80 },
		  REFUSED(SPOOFED_SOURCE) },
	};
	static const struct step any[] = {
		{ "anything", { .src = "10.8.1.1", .dst = WEB, .dport = 80 }, OPEN },
		{ "but loopback",
		  { .src = "127.1.1.1", .dst = WEB, .dport = 80 },
		  REFUSED(LOOPBACK_SOURCE) },
	};
	uint32_t pod;

	datapath_cidr(dp, 77, "10.7.0.0/16", BERM_CLASS_FIRST);
	datapath_cidr(dp, 78, "10.8.0.0/16", BERM_CLASS_FIRST);
	pod = datapath_pod(dp, &(struct pod){ .ifindex = 1, .addr = { POD }, .allowed_table = 77 });
	STEPS(dp, BERM_EGRESS, some);
	dp->maps.endpoints[pod].flags |= BERM_EP_ALLOW_SPOOF;
	STEPS(dp, BERM_EGRESS, any);
}

TEST(dual_stack, "both families are judged alike and apart [pkt.dual_stack]")
{
	struct datapath *dp = isolated(true, true);
	static const struct step in[] = {
		{ "IPv4",
		  { .src = WEB, .dst = POD, .sport = 4000, .dport = 5432 },
		  ALLOW_NEW(RULE_TCP) },
		{ "IPv6",
		  { .src = WEB6, .dst = POD6, .sport = 4000, .dport = 5432 },
		  ALLOW_NEW(RULE_TCP) },
		{ "IPv4 spy",
		  { .src = SPY, .dst = POD, .sport = 4000, .dport = 5432 },
		  DEFAULT_DENY },
		{ "IPv6 spy",
		  { .src = SPY6, .dst = POD6, .sport = 4000, .dport = 5432 },
		  DEFAULT_DENY },
		{ "nobody's IPv4", { .src = "192.0.2.1", .dst = POD, .dport = 5432 }, DEFAULT_DENY },
		{ "nobody's IPv6",
		  { .src = "2001:db8::1", .dst = POD6, .dport = 5432 },
		  DEFAULT_DENY },
		{ "IPv4 dressed as IPv6",
		  { .src = "::ffff:10.0.0.2", .dst = POD6, .dport = 5432 },
		  REFUSED(MALFORMED) },
		{ "to IPv4 dressed as IPv6",
		  { .src = WEB6, .dst = "::ffff:10.0.0.3", .dport = 5432 },
		  REFUSED(MALFORMED) },
	};
	static const struct step out[] = {
		{ "IPv4 answer",
		  { .src = POD,
		    .dst = WEB,
		    .sport = 5432,
		    .dport = 4000,
		    .flags = TCP_SYN | TCP_ACK },
		  RIDES },
		{ "IPv6 answer",
		  { .src = POD6,
		    .dst = WEB6,
		    .sport = 5432,
		    .dport = 4000,
		    .flags = TCP_SYN | TCP_ACK },
		  RIDES },
		{ "no answer to the spy",
		  { .src = POD6,
		    .dst = SPY6,
		    .sport = 5432,
		    .dport = 4000,
		    .flags = TCP_SYN | TCP_ACK },
		  DEFAULT_DENY },
	};

	STEPS(dp, BERM_INGRESS, in);
	STEPS(dp, BERM_EGRESS, out);
	EXPECT_BOOKS(dp);
}

TEST(ip_options, "IPv4 options do not move the ports [pkt.ip_options]")
{
	static const struct step steps[] = {
		{ "no option",
		  { .src = WEB, .dst = POD, .sport = 1, .dport = 5432 },
		  ALLOW_NEW(RULE_TCP) },
		{ "4 bytes",
		  { .src = WEB, .dst = POD, .ip_options = 4, .sport = 2, .dport = 5432 },
		  ALLOW_NEW(RULE_TCP) },
		{ "40 bytes",
		  { .src = WEB, .dst = POD, .ip_options = 40, .sport = 3, .dport = 5432 },
		  ALLOW_NEW(RULE_TCP) },
		{ "40 bytes, other port",
		  { .src = WEB, .dst = POD, .ip_options = 40, .sport = 4, .dport = 22 },
		  DEFAULT_DENY },
		{ "same flow without options",
		  { .src = WEB, .dst = POD, .sport = 3, .dport = 5432 },
		  RIDES },
		{ "header shorter than IPv4",
		  { .src = WEB, .dst = POD, .ihl = 4, .dport = 5432 },
		  REFUSED(MALFORMED) },
		{ "header longer than the packet",
		  { .src = WEB, .dst = POD, .ihl = 15, .dport = 5432 },
		  REFUSED(MALFORMED) },
	};

	STEPS(isolated(true, false), BERM_INGRESS, steps);
}

TEST(truncated, "what ends too early is refused, isolated or not [pkt.truncated]")
{
	static const struct step steps[] = {
		{ "whole",
		  { .src = WEB, .dst = POD, .sport = 9, .dport = 80, .payload_len = 10 },
		  OPEN },
		{ "payload cut",
		  { .src = WEB, .dst = POD, .dport = 80, .payload_len = 10, .cut = 4 },
		  REFUSED(MALFORMED) },
		{ "TCP cut", { .src = WEB, .dst = POD, .dport = 80, .cut = 8 }, REFUSED(MALFORMED) },
		{ "IPv6 TCP cut",
		  { .src = WEB6, .dst = POD6, .dport = 80, .cut = 8 },
		  REFUSED(MALFORMED) },
		{ "UDP cut",
		  { .src = WEB, .dst = POD, .proto = IPPROTO_UDP, .cut = 4 },
		  REFUSED(MALFORMED) },
		{ "UDP whole", { .src = WEB, .dst = POD, .proto = IPPROTO_UDP }, OPEN },
		{ "first fragment too short for its TCP header",
		  { .src = WEB, .dst = POD, .more_frags = 1, .dport = 80, .cut = 12 },
		  REFUSED(MALFORMED) },
		{ "first fragment with its TCP header",
		  { .src = WEB, .dst = POD, .more_frags = 1, .sport = 7, .dport = 80 },
		  OPEN },
		{ "fragment over the TCP flags",
		  { .src = WEB, .dst = POD, .frag_off = 8, .payload_len = 40 },
		  REFUSED(MALFORMED) },
		{ "SYN with FIN",
		  { .src = WEB, .dst = POD, .flags = TCP_SYN | TCP_FIN },
		  REFUSED(MALFORMED) },
		{ "SYN with RST",
		  { .src = WEB, .dst = POD, .flags = TCP_SYN | TCP_RST },
		  REFUSED(MALFORMED) },
	};

	STEPS(isolated(false, false), BERM_INGRESS, steps);
}

TEST(not_linear,
     "headers beyond the linear part are read all the same [pkt.v6_hopopts] [pkt.v6_dstopts]")
{
	static const struct step steps[] = {
		{ "hop-by-hop",
		  { .src = WEB6,
		    .dst = POD6,
		    .ext = { IPPROTO_HOPOPTS },
		    .ext_count = 1,
		    .sport = 1,
		    .dport = 5432 },
		  ALLOW_NEW(RULE_TCP) },
		{ "hop-by-hop, other port",
		  { .src = WEB6,
		    .dst = POD6,
		    .ext = { IPPROTO_HOPOPTS },
		    .ext_count = 1,
		    .sport = 1,
		    .dport = 22 },
		  DEFAULT_DENY },
		{ "six of them",
		  { .src = WEB6,
		    .dst = POD6,
		    .ext = { IPPROTO_HOPOPTS, IPPROTO_DSTOPTS, IPPROTO_ROUTING, IPPROTO_AH,
			     IPPROTO_DSTOPTS, IPPROTO_DSTOPTS },
		    .ext_count = 6,
		    .sport = 2,
		    .dport = 5432 },
		  ALLOW_NEW(RULE_TCP) },
		{ "seven are too many",
		  { .src = WEB6,
		    .dst = POD6,
		    .ext = { IPPROTO_HOPOPTS, IPPROTO_DSTOPTS, IPPROTO_DSTOPTS, IPPROTO_DSTOPTS,
			     IPPROTO_DSTOPTS, IPPROTO_DSTOPTS, IPPROTO_DSTOPTS },
		    .ext_count = 7,
		    .dport = 5432 },
		  REFUSED(MALFORMED) },
		{ "cut in an extension header",
		  { .src = WEB6,
		    .dst = POD6,
		    .ext = { IPPROTO_HOPOPTS },
		    .ext_count = 1,
		    .dport = 5432,
		    .cut = 24 },
		  REFUSED(MALFORMED) },
		{ "atomic fragment",
		  { .src = WEB6,
		    .dst = POD6,
		    .ext = { IPPROTO_FRAGMENT },
		    .ext_count = 1,
		    .sport = 3,
		    .dport = 5432 },
		  ALLOW_NEW(RULE_TCP) },
	};

	STEPS(isolated(true, false), BERM_INGRESS, steps);
}

static const struct packet echo = {
	.src = WEB, .dst = POD, .proto = IPPROTO_ICMP, .icmp_type = 8, .icmp_id = 77
};
static const struct packet echo_back = {
	.src = POD, .dst = WEB, .proto = IPPROTO_ICMP, .icmp_type = 0, .icmp_id = 77
};
static const struct packet echo6 = {
	.src = WEB6, .dst = POD6, .proto = IPPROTO_ICMPV6, .icmp_type = 128, .icmp_id = 77
};
static const struct packet echo6_back = {
	.src = POD6, .dst = WEB6, .proto = IPPROTO_ICMPV6, .icmp_type = 129, .icmp_id = 77
};

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

static struct packet with_id(struct packet p, uint16_t id)
{
	p.icmp_id = id;
	return p;
}

TEST(echo_both_ways, "pinging and being pinged are two things [pkt.echo_both_ways]")
{
	struct datapath *dp = isolated(true, true);
	struct packet ask_out = turned(echo), ask_out6 = turned(echo6),
		      stray = with_id(echo_back, 78);
	struct packet answer_in = turned(echo_back), answer_in6 = turned(echo6_back);
	struct packet spy = {
		.src = SPY, .dst = POD, .proto = IPPROTO_ICMP, .icmp_type = 8, .icmp_id = 77
	};

	SEND(dp, BERM_INGRESS, &echo, ALLOWED, POLICY_ALLOW, RULE_ECHO);
	SEND(dp, BERM_EGRESS, &echo_back, ALLOWED, SESSION, NO_EVENT);
	SEND(dp, BERM_EGRESS, &stray, DROPPED, DEFAULT_DENY, DENIED);
	SEND(dp, BERM_INGRESS, &spy, DROPPED, DEFAULT_DENY, DENIED);
	/* The same id the other way round is another flow. */
	SEND(dp, BERM_INGRESS, &answer_in, DROPPED, DEFAULT_DENY, DENIED);
	SEND(dp, BERM_EGRESS, &ask_out, ALLOWED, POLICY_ALLOW, RULE_ECHO);
	SEND(dp, BERM_INGRESS, &answer_in, ALLOWED, SESSION, NO_EVENT);
	/* And IPv6. */
	SEND(dp, BERM_INGRESS, &answer_in6, DROPPED, DEFAULT_DENY, DENIED);
	SEND(dp, BERM_EGRESS, &ask_out6, ALLOWED, POLICY_ALLOW, RULE_ECHO6);
	SEND(dp, BERM_INGRESS, &answer_in6, ALLOWED, SESSION, NO_EVENT);
	SEND(dp, BERM_EGRESS, &echo6_back, DROPPED, DEFAULT_DENY, DENIED);
	SEND(dp, BERM_INGRESS, &echo6, ALLOWED, POLICY_ALLOW, RULE_ECHO6);
	SEND(dp, BERM_EGRESS, &echo6_back, ALLOWED, SESSION, NO_EVENT);
	EXPECT_BOOKS(dp);
}

TEST(echo_answer_opens_nothing,
     "an unasked echo reply that a policy lets in gives no way out [pkt.echo_both_ways]")
{
	static const struct rule replies[] = { { 0, ICMP_TYPE(0), 2100, BERM_ACTION_ALLOW } };
	struct datapath *dp = datapath_load(NULL);
	uint32_t pod = datapath_pod(dp, &(struct pod){ .ifindex = 1, .addr = { POD } });
	struct packet answer_in = turned(echo_back), ask_out = turned(echo);

	datapath_policy(dp, pod, BERM_INGRESS, replies, 1);
	datapath_policy(dp, pod, BERM_EGRESS, NULL, 0);
	SEND(dp, BERM_INGRESS, &answer_in, ALLOWED, POLICY_ALLOW, NO_EVENT);
	SEND(dp, BERM_EGRESS, &ask_out, DROPPED, DEFAULT_DENY, DENIED);
}

TEST(icmp_types, "ICMP other than echo is judged message by message")
{
	static const struct rule rules[] = {
		{ 0, ICMP_TYPE(3) | 4, 2200, BERM_ACTION_ALLOW }, /* fragmentation needed */
	};
	struct datapath *dp = datapath_load(NULL);
	uint32_t pod = datapath_pod(dp, &(struct pod){ .ifindex = 1, .addr = { POD } });
	struct packet too_big = {
		.src = WEB, .dst = POD, .proto = IPPROTO_ICMP, .icmp_type = 3, .icmp_code = 4
	};
	struct packet no_port = {
		.src = WEB, .dst = POD, .proto = IPPROTO_ICMP, .icmp_type = 3, .icmp_code = 3
	};
	struct packet back = turned(too_big);

	datapath_policy(dp, pod, BERM_INGRESS, rules, 1);
	datapath_policy(dp, pod, BERM_EGRESS, NULL, 0);
	SEND(dp, BERM_INGRESS, &too_big, ALLOWED, POLICY_ALLOW, NO_EVENT);
	SEND(dp, BERM_INGRESS, &too_big, ALLOWED, POLICY_ALLOW, NO_EVENT);
	SEND(dp, BERM_INGRESS, &no_port, DROPPED, DEFAULT_DENY, DENIED);
	SEND(dp, BERM_EGRESS, &back, DROPPED, DEFAULT_DENY, DENIED);
}

TEST(unknown_l4,
     "protocols without ports are judged by number [pkt.unknown_l4] [pkt.proto0] [pkt.sctp]")
{
	static const struct step in[] = {
		{ "GRE",
		  { .src = WEB, .dst = POD, .proto = IPPROTO_GRE, .payload_len = 20 },
		  ALLOW_NEW(RULE_GRE) },
		{ "GRE of the spy",
		  { .src = SPY, .dst = POD, .proto = IPPROTO_GRE, .payload_len = 20 },
		  DEFAULT_DENY },
		{ "ESP",
		  { .src = WEB, .dst = POD, .proto = IPPROTO_ESP, .payload_len = 20 },
		  DEFAULT_DENY },
		{ "protocol 0",
		  { .src = WEB, .dst = POD, .proto = PACKET_PROTO_ZERO, .payload_len = 20 },
		  DEFAULT_DENY },
		{ "ICMP number in IPv6",
		  { .src = WEB6, .dst = POD6, .proto = IPPROTO_ICMP, .icmp_type = 8 },
		  DEFAULT_DENY },
		{ "ICMPv6 number in IPv4",
		  { .src = WEB, .dst = POD, .proto = IPPROTO_ICMPV6, .icmp_type = 135, .ttl = 255 },
		  DEFAULT_DENY },
		{ "SCTP",
		  { .src = WEB, .dst = POD, .proto = IPPROTO_SCTP, .sport = 5, .dport = 9000 },
		  ALLOW_NEW(RULE_SCTP) },
		{ "SCTP, other port",
		  { .src = WEB, .dst = POD, .proto = IPPROTO_SCTP, .dport = 9001 },
		  DEFAULT_DENY },
	};
	static const struct step out[] = {
		{ "GRE back",
		  { .src = POD, .dst = WEB, .proto = IPPROTO_GRE, .payload_len = 20 },
		  RIDES },
		{ "SCTP back",
		  { .src = POD,
		    .dst = WEB,
		    .proto = IPPROTO_SCTP,
		    .sport = 9000,
		    .dport = 5,
		    .chunk = 2 },
		  RIDES },
		{ "GRE to the spy",
		  { .src = POD, .dst = SPY, .proto = IPPROTO_GRE, .payload_len = 20 },
		  DEFAULT_DENY },
	};
	struct datapath *dp = isolated(true, true);

	STEPS(dp, BERM_INGRESS, in);
	STEPS(dp, BERM_EGRESS, out);
}

TEST(vlan, "a VLAN tag hides nothing from the policy, three are foreign [pkt.vlan]")
{
	static const struct step steps[] = {
		{ "one tag, allowed",
		  { .src = WEB, .dst = POD, .vlan = 5, .sport = 1, .dport = 5432 },
		  ALLOW_NEW(RULE_TCP) },
		{ "one tag, denied",
		  { .src = WEB, .dst = POD, .vlan = 5, .sport = 1, .dport = 22 },
		  DEFAULT_DENY },
		{ "two tags, allowed",
		  { .src = WEB6, .dst = POD6, .vlan = 5, .vlan_inner = 6, .sport = 1, .dport = 5432 },
		  ALLOW_NEW(RULE_TCP) },
		{ "two tags, denied",
		  { .src = WEB6, .dst = POD6, .vlan = 5, .vlan_inner = 6, .sport = 1, .dport = 22 },
		  DEFAULT_DENY },
		{ "a tag before nothing we know",
		  { .src = WEB,
		    .dst = POD,
		    .vlan = 5,
		    .vlan_inner = 6,
		    .ethertype = 0x8100,
		    .payload_len = 60 },
		  REFUSED(FOREIGN_ETHERTYPE) },
	};

	STEPS(isolated(true, false), BERM_INGRESS, steps);
}

TEST(foreign_ethertype,
     "neither IP nor ARP: only for pods that are not isolated [pkt.foreign_ethertype]")
{
	static const struct packet mpls = {
		.src = WEB, .dst = POD, .ethertype = 0x8847, .payload_len = 60
	};
	static const struct packet llc = {
		.src = WEB, .dst = POD, .ethertype = 60, .payload_len = 60
	};
	struct datapath *dp = isolated(true, false);

	SEND(dp, BERM_INGRESS, &mpls, DROPPED, FOREIGN_ETHERTYPE, BERM_REASON_FOREIGN_ETHERTYPE);
	SEND(dp, BERM_INGRESS, &llc, DROPPED, FOREIGN_ETHERTYPE, BERM_REASON_FOREIGN_ETHERTYPE);
	SEND(dp, BERM_EGRESS, &mpls, ALLOWED, NOT_ISOLATED, NO_EVENT);
	dp->maps.endpoints[1].flags |= BERM_EP_ANY_ETHERTYPE;
	SEND(dp, BERM_INGRESS, &mpls, ALLOWED, LINK_LOCAL, NO_EVENT);
}

TEST(not_for_pod, "flooded unicast for another is dropped without a word [pkt.not_for_pod]")
{
	static const struct step steps[] = {
		{ "for the pod", { .src = WEB, .dst = POD, .sport = 1, .dport = 80 }, OPEN },
		{ "for another",
		  { .src = WEB, .dst = SPY, .dport = 80 },
		  DROPPED,
		  BERM_REASON_NOT_FOR_POD,
		  NO_EVENT },
		{ "for another, IPv6",
		  { .src = WEB6, .dst = SPY6, .dport = 80 },
		  DROPPED,
		  BERM_REASON_NOT_FOR_POD,
		  NO_EVENT },
		{ "multicast",
		  { .src = WEB, .dst = "224.0.0.251", .proto = IPPROTO_UDP, .dport = 5353 },
		  OPEN },
		{ "broadcast",
		  { .src = WEB, .dst = "255.255.255.255", .proto = IPPROTO_UDP, .dport = 99 },
		  OPEN },
		{ "subnet broadcast",
		  { .src = WEB,
		    .dst = "10.0.0.255",
		    .dmac = "ff:ff:ff:ff:ff:ff",
		    .proto = IPPROTO_UDP,
		    .dport = 99 },
		  OPEN },
		{ "loopback from the wire",
		  { .src = "127.0.0.1", .dst = POD, .dport = 80 },
		  REFUSED(LOOPBACK_SOURCE) },
	};
	struct datapath *dp = isolated(false, false);

	STEPS(dp, BERM_INGRESS, steps);
	EXPECT_FALSE(session_find(dp, 1, SPY, 80, 0, NULL));
}

static struct verdict send_arp(struct datapath *dp, enum berm_dir dir, const struct packet_arp *arp)
{
	_Alignas(8) char frame[PACKET_MAX] = { 0 };

	(void)packet_arp_build(arp, frame);
	return datapath_send_frame(dp, dir, 0, frame, ETH_ZLEN);
}

TEST(arp_spoof, "ARP speaks for the pod itself only [pkt.arp_spoof]")
{
	static const struct {
		const char *name;
		struct packet_arp arp;
		int retval;
		uint32_t reason;
		uint32_t rule;
	} cases[] = {
		{ "request", { .op = 1, .spa = POD, .tpa = WEB }, LINK },
		{ "answer", { .op = 2, .spa = POD, .tpa = WEB }, LINK },
		{ "probe", { .op = 1, .spa = "0.0.0.0", .tpa = POD }, LINK },
		{ "gratuitous", { .op = 1, .spa = POD, .tpa = POD }, LINK },
		{ "another's address", { .op = 2, .spa = WEB, .tpa = SPY }, REFUSED(ARP_SPOOF) },
		{ "another's MAC", { .op = 2, .spa = POD, .sha = "02:00:00:00:00:77", .tpa = SPY }, REFUSED(ARP_SPOOF) },
		{ "another's frame",
		  { .op = 2, .spa = POD, .smac = "02:00:00:00:00:77", .sha = "02:00:00:00:00:01", .tpa = SPY },
		  REFUSED(ARP_SPOOF) },
	}, *c;
	struct packet_arp in = { .op = 2, .spa = WEB, .smac = "02:00:00:00:00:02", .tpa = POD };
	struct datapath *dp = isolated(true, true);

	for_each_case(c, cases)
		datapath_expect(__FILE__, __LINE__, send_arp(dp, BERM_EGRESS, &c->arp), c->retval,
				c->reason, c->rule);
	datapath_expect(__FILE__, __LINE__, send_arp(dp, BERM_INGRESS, &in), LINK);
}

#define POD_LL "fe80::ff:fe00:1" /* of 02:00:00:00:00:01 */
#define ND(src_, dst_, type)                                                                       \
	.src = (src_), .dst = (dst_), .proto = IPPROTO_ICMPV6, .icmp_type = (type), .ttl = 255

TEST(rogue_ra,
     "a pod advertises no router, redirects nobody, answers for itself only [pkt.rogue_ra]")
{
	static const struct step out[] = {
		{ "router solicitation", { ND("fe80::1", "ff02::2", 133) }, LINK },
		{ "router advertisement", { ND("fe80::1", "ff02::1", 134) }, REFUSED(ROGUE_RA) },
		{ "router advertisement behind an extension header",
		  { ND("fe80::1", "ff02::1", 134), .ext = { IPPROTO_HOPOPTS }, .ext_count = 1 },
		  REFUSED(ROGUE_RA) },
		{ "redirect", { ND(POD6, WEB6, 137) }, REFUSED(ROGUE_RA) },
		{ "advertises itself", { ND(POD6, WEB6, 136), .nd_target = POD6 }, LINK },
		{ "advertises its link-local",
		  { ND(POD_LL, WEB6, 136), .nd_target = POD_LL },
		  LINK },
		{ "advertises another",
		  { ND(POD6, SPY6, 136), .nd_target = WEB6 },
		  REFUSED(ND_SPOOF) },
		{ "advertises another's link-local",
		  { ND(POD6, SPY6, 136), .nd_target = "fe80::1" },
		  REFUSED(ND_SPOOF) },
		{ "advertises nothing", { ND(POD6, SPY6, 136) }, REFUSED(ND_SPOOF) },
		{ "solicits from another's address",
		  { ND(WEB6, SPY6, 135), .nd_target = SPY6 },
		  REFUSED(SPOOFED_SOURCE) },
	};
	static const struct step in[] = {
		{ "the router's advertisement reaches it", { ND("fe80::1", "ff02::1", 134) }, LINK },
		{ "from afar it does not",
		  { .src = "fe80::1",
		    .dst = "ff02::1",
		    .proto = IPPROTO_ICMPV6,
		    .icmp_type = 134,
		    .ttl = 64 },
		  REFUSED(MALFORMED) },
	};
	struct datapath *dp = isolated(true, true);

	STEPS(dp, BERM_EGRESS, out);
	STEPS(dp, BERM_INGRESS, in);
}

TEST(nd_vs_echo, "isolation spares neighbour discovery and MLD, not ping [pkt.nd_vs_echo]")
{
	static const struct step out[] = {
		{ "solicitation", { ND(POD6, "ff02::1:ff00:2", 135), .nd_target = WEB6 }, LINK },
		{ "duplicate address detection",
		  { ND("::", "ff02::1:ff00:3", 135), .nd_target = POD6 },
		  LINK },
		{ "solicitation by a router",
		  { .src = POD6,
		    .dst = WEB6,
		    .proto = IPPROTO_ICMPV6,
		    .icmp_type = 135,
		    .nd_target = WEB6,
		    .ttl = 254 },
		  REFUSED(MALFORMED) },
		{ "MLDv2 report",
		  { .src = "fe80::1",
		    .dst = "ff02::16",
		    .proto = IPPROTO_ICMPV6,
		    .icmp_type = 143,
		    .ttl = 1,
		    .ext = { IPPROTO_HOPOPTS },
		    .ext_count = 1 },
		  LINK },
		{ "MLDv2 report with another's address",
		  { .src = WEB6,
		    .dst = "ff02::16",
		    .proto = IPPROTO_ICMPV6,
		    .icmp_type = 143,
		    .ttl = 1 },
		  REFUSED(SPOOFED_SOURCE) },
		{ "ping",
		  { .src = POD6, .dst = SPY6, .proto = IPPROTO_ICMPV6, .icmp_type = 128, .ttl = 255 },
		  DEFAULT_DENY },
		{ "ping that a rule allows",
		  { .src = POD6,
		    .dst = WEB6,
		    .proto = IPPROTO_ICMPV6,
		    .icmp_type = 128,
		    .icmp_id = 9 },
		  ALLOW_NEW(RULE_ECHO6) },
		{ "ping from the link-local address",
		  { .src = POD_LL,
		    .dst = WEB6,
		    .proto = IPPROTO_ICMPV6,
		    .icmp_type = 128,
		    .ttl = 255 },
		  REFUSED(SPOOFED_SOURCE) },
	};
	static const struct step in[] = {
		{ "solicitation", { ND(SPY6, "ff02::1:ff00:3", 135), .nd_target = POD6 }, LINK },
		{ "ping",
		  { .src = SPY6, .dst = POD6, .proto = IPPROTO_ICMPV6, .icmp_type = 128 },
		  DEFAULT_DENY },
	};
	struct datapath *dp = isolated(true, true);

	STEPS(dp, BERM_EGRESS, out);
	STEPS(dp, BERM_INGRESS, in);
}

TEST(dhcp_is_a_setting)
{
	struct packet discover = { .src = "0.0.0.0",
				   .dst = "255.255.255.255",
				   .proto = IPPROTO_UDP,
				   .sport = 68,
				   .dport = 67 };
	struct packet offer = {
		.src = WEB, .dst = "10.0.0.99", .proto = IPPROTO_UDP, .sport = 67, .dport = 68
	};
	struct packet solicit = {
		.src = POD_LL, .dst = "ff02::1:2", .proto = IPPROTO_UDP, .sport = 546, .dport = 547
	};
	struct packet tunnel = {
		.src = "0.0.0.0", .dst = SPY, .proto = IPPROTO_UDP, .sport = 68, .dport = 67
	};
	struct datapath *dp = isolated(true, true);

	SEND(dp, BERM_EGRESS, &discover, DROPPED, SPOOFED_SOURCE, BERM_REASON_SPOOFED_SOURCE);
	SEND(dp, BERM_EGRESS, &solicit, DROPPED, SPOOFED_SOURCE, BERM_REASON_SPOOFED_SOURCE);
	SEND(dp, BERM_INGRESS, &offer, DROPPED, NOT_FOR_POD, NO_EVENT);
	dp->maps.endpoints[1].flags |= BERM_EP_DHCP;
	SEND(dp, BERM_EGRESS, &discover, ALLOWED, LINK_LOCAL, NO_EVENT);
	SEND(dp, BERM_EGRESS, &solicit, ALLOWED, LINK_LOCAL, NO_EVENT);
	SEND(dp, BERM_INGRESS, &offer, ALLOWED, LINK_LOCAL, NO_EVENT);
	SEND(dp, BERM_EGRESS, &tunnel, DROPPED, SPOOFED_SOURCE, BERM_REASON_SPOOFED_SOURCE);
}

TEST(routing_header,
     "a packet that has a way to go is not judged by its next stop [pkt.v6_routing]")
{
	struct packet p = { .src = WEB6,
			    .dst = POD6,
			    .ext = { IPPROTO_ROUTING },
			    .ext_count = 1,
			    .sport = 1,
			    .dport = 5432 };
	_Alignas(8) char frame[PACKET_MAX];
	struct datapath *dp = isolated(true, false);
	size_t len = packet_build(&p, frame);

	datapath_expect(__FILE__, __LINE__, datapath_send_frame(dp, BERM_INGRESS, 0, frame, len),
			ALLOW_NEW(RULE_TCP));
	frame[14 + 40 + 3] = 1; /* segments left */
	datapath_expect(__FILE__, __LINE__, datapath_send_frame(dp, BERM_INGRESS, 0, frame, len),
			REFUSED(MALFORMED));
}
