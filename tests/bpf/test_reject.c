/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_reject.c - what the sender of a rejected packet gets, byte by byte, from both hooks and in both families;
 * who gets nothing; and what becomes of sessions that are denied, by the wish of their policies. Checksums are
 * computed here once more.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>

#include "datapath.h"

#include "berm.skel.h" /* wants abi.h before it */

#define POD	"10.0.0.3"
#define WEB	"10.0.0.2"
#define POD6	"fd00::3"
#define WEB6	"fd00::2"
#define POD_MAC "02:00:00:00:00:01"
#define OUT_MAC "02:00:00:00:00:02"

#define OPEN	    80
#define SHUT	    81 /* rejected */
#define SILENT	    82 /* denied */
#define RULE_OPEN   2001
#define RULE_SHUT   2002
#define RULE_SILENT 2003

struct scene {
	struct datapath *dp;
	uint32_t pod;
};

static const struct rule rules[] = {
	{ 0, TCP_PORT(OPEN), RULE_OPEN, BERM_ACTION_ALLOW },
	{ 0, TCP_PORT(SILENT), RULE_SILENT, BERM_ACTION_DENY },
	{ 0, ANY_PORT, RULE_SHUT, BERM_ACTION_REJECT },
};

static struct scene rejecting(uint32_t flags)
{
	struct scene s = { .dp = datapath_load(NULL) };

	s.pod = datapath_pod(s.dp, &(struct pod){ .ifindex = 1,
						  .addr = { POD, POD6 },
						  .mac = POD_MAC,
						  .flags = flags });
	datapath_policy(s.dp, s.pod, BERM_INGRESS, rules, ARRAY_SIZE(rules));
	datapath_policy(s.dp, s.pod, BERM_EGRESS, rules, ARRAY_SIZE(rules));
	return s;
}

/* ---- one packet, with what it has become ----------------------------------------------------------------- */

struct outcome {
	int retval;
	uint32_t mark;
	size_t len;
	uint8_t frame[PACKET_MAX];
};

static void run(const struct scene *s, enum berm_dir dir, const void *frame, size_t len,
		uint32_t mark, struct outcome *out)
{
	struct bpf_program *prog = dir == BERM_EGRESS ? s->dp->skel->progs.berm_from_pod
						      : s->dp->skel->progs.berm_to_pod;
	struct __sk_buff in = { .ifindex = 1, .mark = mark }, after = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (__u32)len,
		    .data_out = out->frame, .data_size_out = sizeof(out->frame), .ctx_in = &in,
		    .ctx_size_in = sizeof(in), .ctx_out = &after, .ctx_size_out = sizeof(after));

	in.ingress_ifindex = dir == BERM_EGRESS ? 1 : s->dp->ingress_ifindex;
	ASSERT_EQ(datapath_run(s->dp, prog, &opts), 0);
	out->retval = (int)opts.retval;
	out->mark = after.mark;
	out->len = opts.data_size_out;
}

/* src and dst as the pod's peer, or the pod itself, would have them. */
static void send_packet(const struct scene *s, enum berm_dir dir, struct packet p,
			struct outcome *out)
{
	uint8_t frame[PACKET_MAX];

	p.smac = dir == BERM_EGRESS ? POD_MAC : OUT_MAC;
	if (!p.dmac)
		p.dmac = dir == BERM_EGRESS ? OUT_MAC : POD_MAC;
	run(s, dir, frame, packet_build(&p, frame), 0, out);
}

static struct packet between(enum berm_dir dir, bool v6)
{
	bool out = dir == BERM_EGRESS;

	return (struct packet){ .src = v6 ? (out ? POD6 : WEB6) : (out ? POD : WEB),
				.dst = v6 ? (out ? WEB6 : POD6) : (out ? WEB : POD),
				.sport = 40000,
				.dport = SHUT };
}

/* ---- what is in it ------------------------------------------------------------------------------------------ */

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* RFC 1071, byte by byte; 0xffff where the checksum is right. */
static uint32_t sum_of(const uint8_t *p, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Of layer 4, with the pseudo header that the family wants. */
static uint32_t l4_sum(const uint8_t *ip, bool v6, uint8_t proto, const uint8_t *l4, size_t len)
{
	uint32_t sum = proto == IPPROTO_ICMP ? 0 : (uint32_t)len + proto;

	if (proto != IPPROTO_ICMP)
		sum = sum_of(ip + (v6 ? 8 : 12), v6 ? 32 : 8, sum);
	return sum_of(l4, len, sum);
}

/* The answer's frame: back to where `sent` came from, the right length, right checksums. Returns layer 4. */
static const uint8_t *expect_back(const struct outcome *o, const uint8_t *sent, bool v6,
				  uint8_t proto)
{
	const uint8_t *ip = o->frame + ETH_HLEN, *was = sent + ETH_HLEN;
	size_t ip_len = v6 ? 40 : 20, addr = v6 ? 16 : 4, at = v6 ? 8 : 12;
	size_t len = o->len - ETH_HLEN - ip_len;

	EXPECT_EQ(memcmp(o->frame, sent + 6, 6), 0);
	EXPECT_EQ(memcmp(o->frame + 6, sent, 6), 0);
	EXPECT_EQ(memcmp(o->frame + 12, sent + 12, 2), 0);
	EXPECT_EQ(memcmp(ip + at, was + at + addr, addr), 0);
	EXPECT_EQ(memcmp(ip + at + addr, was + at, addr), 0);
	if (v6) {
		EXPECT_EQ(be32(ip), 0x60000000);
		EXPECT_EQ(be16(ip + 4), len);
		EXPECT_EQ(ip[6], proto);
	} else {
		EXPECT_EQ(ip[0], 0x45);
		EXPECT_EQ(be16(ip + 2), len + 20);
		EXPECT_EQ(ip[9], proto);
		EXPECT_EQ(sum_of(ip, 20, 0), 0xffff);
	}
	EXPECT_EQ(l4_sum(ip, v6, proto, ip + ip_len, len), 0xffff);
	return ip + ip_len;
}

/* ---- TCP ------------------------------------------------------------------------------------------------------- */

static const struct segment {
	const char *name;
	uint8_t flags;
	uint16_t payload;
	uint32_t seq, ack; /* of the answer */
	uint8_t answer;
} segments[] = {
	{ "SYN", TCP_SYN, 0, 0, 1001, TCP_RST | TCP_ACK },
	{ "SYN with data", TCP_SYN, 7, 0, 1008, TCP_RST | TCP_ACK },
	{ "SYN+ACK", TCP_SYN | TCP_ACK, 0, 2000, 0, TCP_RST },
	{ "ACK", TCP_ACK, 0, 2000, 0, TCP_RST },
	{ "data", TCP_ACK | TCP_PSH, 1400, 2000, 0, TCP_RST },
	{ "FIN+ACK", TCP_FIN | TCP_ACK, 0, 2000, 0, TCP_RST },
	{ "FIN alone", TCP_FIN, 3, 0, 1004, TCP_RST | TCP_ACK },
};

static void one_segment(const struct scene *s, enum berm_dir dir, bool v6,
			const struct segment *seg)
{
	struct packet p = between(dir, v6);
	uint8_t sent[PACKET_MAX];
	struct outcome o;
	const uint8_t *tcp;

	p.flags = seg->flags;
	p.payload_len = seg->payload;
	p.seq = 1000;
	p.ack = 2000;
	send_packet(s, dir, p, &o);
	p.smac = dir == BERM_EGRESS ? POD_MAC : OUT_MAC;
	p.dmac = dir == BERM_EGRESS ? OUT_MAC : POD_MAC;
	(void)packet_build(&p, sent);
	EXPECT_EQ(o.retval, REJECTED);
	EXPECT_EQ(o.mark, s->dp->maps.node->mark);
	EXPECT_EQ(o.len, ETH_HLEN + (v6 ? 60u : 40u));
	tcp = expect_back(&o, sent, v6, IPPROTO_TCP);
	EXPECT_EQ(be16(tcp), SHUT);
	EXPECT_EQ(be16(tcp + 2), 40000);
	EXPECT_EQ(be32(tcp + 4), seg->seq);
	EXPECT_EQ(be32(tcp + 8), seg->ack);
	EXPECT_EQ(tcp[12], 5 << 4);
	if (tcp[13] != seg->answer)
		test_failed(__FILE__, __LINE__, "%s, IPv%d: flags %#x", seg->name, v6 ? 6 : 4,
			    tcp[13]);
}

TEST(tcp,
     "a rejected segment becomes the RST that a closed port answers it with, from both hooks [reject.tcp]")
{
	struct scene s = rejecting(0);
	struct packet p;
	struct outcome o;

	for (int dir = 0; dir < BERM_DIR_COUNT; dir++)
		for (int v6 = 0; v6 < 2; v6++) {
			for (size_t i = 0; i < ARRAY_SIZE(segments); i++)
				one_segment(&s, (enum berm_dir)dir, v6, &segments[i]);
			p = between((enum berm_dir)dir, v6);
			p.dport = OPEN;
			send_packet(&s, (enum berm_dir)dir, p, &o);
			EXPECT_EQ(o.retval, ALLOWED);
			p.dport = SILENT;
			send_packet(&s, (enum berm_dir)dir, p, &o);
			EXPECT_EQ(o.retval, DROPPED);
		}
	EXPECT_EQ(datapath_stat(s.dp, BERM_STAT_REJECT_SENT), 4 * ARRAY_SIZE(segments));
}

/* ---- everything else ---------------------------------------------------------------------------------------------- */

static void one_datagram(const struct scene *s, enum berm_dir dir, bool v6, uint8_t proto)
{
	struct packet p = between(dir, v6);
	uint8_t sent[PACKET_MAX];
	struct outcome o;
	const uint8_t *icmp;
	size_t quoted = (v6 ? 40 : 20) + 8;

	p.proto = proto;
	p.icmp_type = v6 ? 128 : 8;
	p.payload_len = 100;
	send_packet(s, dir, p, &o);
	p.smac = dir == BERM_EGRESS ? POD_MAC : OUT_MAC;
	p.dmac = dir == BERM_EGRESS ? OUT_MAC : POD_MAC;
	(void)packet_build(&p, sent);
	EXPECT_EQ(o.retval, REJECTED);
	EXPECT_EQ(o.mark, s->dp->maps.node->mark);
	icmp = expect_back(&o, sent, v6, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	EXPECT_EQ(icmp[0], v6 ? 1 : 3); /* unreachable: administratively prohibited */
	EXPECT_EQ(icmp[1], v6 ? 1 : 13);
	EXPECT_EQ(be32(icmp + 4), 0);
	EXPECT_EQ(o.len, (size_t)(icmp - o.frame) + 8 + quoted);
	EXPECT_EQ(memcmp(icmp + 8, sent + ETH_HLEN, quoted), 0);
}

TEST(icmp, "what is not TCP becomes an ICMP error that quotes it, from both hooks [reject.icmp]")
{
	struct scene s = rejecting(0);

	for (int dir = 0; dir < BERM_DIR_COUNT; dir++)
		for (int v6 = 0; v6 < 2; v6++) {
			one_datagram(&s, (enum berm_dir)dir, v6, IPPROTO_UDP);
			one_datagram(&s, (enum berm_dir)dir, v6, IPPROTO_SCTP);
			one_datagram(&s, (enum berm_dir)dir, v6, IPPROTO_GRE);
			one_datagram(&s, (enum berm_dir)dir, v6,
				     v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
		}
}

TEST(verdict, "a rejection is counted and told as one, by the reason and rule that denies")
{
	struct scene s = rejecting(0);
	struct packet p = between(BERM_INGRESS, false);
	struct verdict v = datapath_send(s.dp, BERM_INGRESS, 0, &p);

	EXPECT_EQ(v.retval, REJECTED);
	EXPECT_EQ(v.reason, BERM_REASON_POLICY_DENY);
	EXPECT_EQ(v.rule, RULE_SHUT);
	EXPECT_EQ(v.action, BERM_ACTION_REJECT);
	p.dport = SILENT;
	v = datapath_send(s.dp, BERM_INGRESS, 0, &p);
	EXPECT_EQ(v.retval, DROPPED);
	EXPECT_EQ(v.action, BERM_ACTION_DENY);
}

/* ---- who gets nothing ---------------------------------------------------------------------------------------------- */

static const struct unanswered {
	const char *name;
	struct packet p;
} unanswered[] = {
	{ "RST", { .src = WEB, .dst = POD, .dport = SHUT, .flags = TCP_RST } },
	{ "RST, IPv6", { .src = WEB6, .dst = POD6, .dport = SHUT, .flags = TCP_RST | TCP_ACK } },
	{ "unreachable",
	  { .src = WEB, .dst = POD, .proto = IPPROTO_ICMP, .icmp_type = 3, .payload_len = 28 } },
	{ "redirect",
	  { .src = WEB, .dst = POD, .proto = IPPROTO_ICMP, .icmp_type = 5, .payload_len = 28 } },
	{ "source quench",
	  { .src = WEB, .dst = POD, .proto = IPPROTO_ICMP, .icmp_type = 4, .payload_len = 28 } },
	{ "time exceeded",
	  { .src = WEB, .dst = POD, .proto = IPPROTO_ICMP, .icmp_type = 11, .payload_len = 28 } },
	{ "parameter problem",
	  { .src = WEB, .dst = POD, .proto = IPPROTO_ICMP, .icmp_type = 12, .payload_len = 28 } },
	{ "too big, IPv6",
	  { .src = WEB6, .dst = POD6, .proto = IPPROTO_ICMPV6, .icmp_type = 2, .payload_len = 48 } },
	{ "an unknown error, IPv6",
	  { .src = WEB6,
	    .dst = POD6,
	    .proto = IPPROTO_ICMPV6,
	    .icmp_type = 100,
	    .payload_len = 48 } },
	{ "group MAC", { .src = WEB, .dst = POD, .dport = SHUT, .dmac = "ff:ff:ff:ff:ff:ff" } },
	{ "multicast", { .src = WEB, .dst = "224.0.0.5", .proto = IPPROTO_UDP, .dport = SHUT } },
	{ "multicast, IPv6",
	  { .src = WEB6, .dst = "ff02::5", .proto = IPPROTO_UDP, .dport = SHUT } },
	{ "from nobody", { .src = "0.0.0.0", .dst = POD, .proto = IPPROTO_UDP, .dport = SHUT } },
	{ "from nobody, IPv6", { .src = "::", .dst = POD6, .proto = IPPROTO_UDP, .dport = SHUT } },
	{ "from a group", { .src = "239.1.1.1", .dst = POD, .proto = IPPROTO_UDP, .dport = SHUT } },
	{ "from a group, IPv6",
	  { .src = "ff05::1", .dst = POD6, .proto = IPPROTO_UDP, .dport = SHUT } },
	{ "IP options", { .src = WEB, .dst = POD, .dport = SHUT, .ip_options = 4 } },
	{ "extension header",
	  { .src = WEB6, .dst = POD6, .dport = SHUT, .ext = { IPPROTO_DSTOPTS }, .ext_count = 1 } },
	{ "a tag", { .src = WEB, .dst = POD, .dport = SHUT, .vlan = 5 } },
	{ "too short to be quoted",
	  { .src = WEB, .dst = POD, .proto = IPPROTO_GRE, .payload_len = 4 } },
};

TEST(nobody,
     "no answer to errors, RSTs, groups and what cannot be answered: dropped, counted [reject.unanswered]")
{
	struct scene s = rejecting(0);
	struct outcome o;

	for (size_t i = 0; i < ARRAY_SIZE(unanswered); i++) {
		uint64_t before = datapath_stat(s.dp, BERM_STAT_REJECT_SILENT);

		send_packet(&s, BERM_INGRESS, unanswered[i].p, &o);
		if (o.retval != DROPPED ||
		    datapath_stat(s.dp, BERM_STAT_REJECT_SILENT) != before + 1)
			test_failed(__FILE__, __LINE__, "%s: verdict %d, not counted as unanswered",
				    unanswered[i].name, o.retval);
	}
	EXPECT_EQ(datapath_stat(s.dp, BERM_STAT_REJECT_SENT), 0);
	send_packet(&s, BERM_INGRESS, between(BERM_INGRESS, false), &o);
	EXPECT_EQ(o.retval, REJECTED);
}

TEST(fragments, "the first piece is answered, the later ones are not")
{
	struct scene s = rejecting(0);
	struct packet p = between(BERM_INGRESS, false);
	struct outcome o;

	p.proto = IPPROTO_UDP;
	p.frag_id = 7;
	p.more_frags = 1;
	p.payload_len = 64;
	send_packet(&s, BERM_INGRESS, p, &o);
	EXPECT_EQ(o.retval, REJECTED);
	p.frag_off = 72;
	send_packet(&s, BERM_INGRESS, p, &o);
	EXPECT_EQ(o.retval, DROPPED);
}

TEST(limit,
     "a flood of rejected packets is answered a thousand times a second, and always a rejection [reject.limit]")
{
	struct scene s = rejecting(0);
	uint64_t sent, limited;
	struct verdict v = { 0 };
	struct packet p = between(BERM_INGRESS, false);

	for (int i = 0; i < 3 * BERM_REJECTS_PER_S; i++) {
		struct outcome o;

		p.sport = (uint16_t)(1024 + i);
		send_packet(&s, BERM_INGRESS, p, &o);
	}
	sent = datapath_stat(s.dp, BERM_STAT_REJECT_SENT);
	limited = datapath_stat(s.dp, BERM_STAT_REJECT_LIMITED);
	EXPECT_EQ(sent + limited, 3 * BERM_REJECTS_PER_S);
	EXPECT_TRUE(sent >= BERM_REJECTS_PER_S);
	EXPECT_GT(limited, 0);
	v = datapath_send(s.dp, BERM_INGRESS, 0, &p);
	EXPECT_EQ(v.action, BERM_ACTION_REJECT);
}

/* ---- the mark --------------------------------------------------------------------------------------------------------- */

TEST(mark,
     "our own answer passes the other hook, which takes the mark off; without it nothing does [reject.mark]")
{
	struct scene s = rejecting(0);
	struct outcome o, there;

	for (int dir = 0; dir < BERM_DIR_COUNT; dir++)
		for (int v6 = 0; v6 < 2; v6++) {
			enum berm_dir back = dir == BERM_EGRESS ? BERM_INGRESS : BERM_EGRESS;

			send_packet(&s, (enum berm_dir)dir, between((enum berm_dir)dir, v6), &o);
			run(&s, back, o.frame, o.len, o.mark, &there);
			EXPECT_EQ(there.retval, ALLOWED);
			EXPECT_EQ(there.mark, 0);
			EXPECT_EQ(datapath_packets(s.dp, back, BERM_REASON_REJECTION), v6 + 1);
			run(&s, back, o.frame, o.len, 0, &there);
			EXPECT_EQ(there.retval, DROPPED);
			run(&s, back, o.frame, o.len, o.mark ^ 1, &there);
			EXPECT_EQ(there.retval, DROPPED);
			EXPECT_EQ(there.mark, o.mark ^ 1); /* somebody else's stays */
		}
}

/* ---- onPolicyChange ----------------------------------------------------------------------------------------------------- */

static const struct rule nothing[] = { { 0, ANY_PORT, RULE_SILENT, BERM_ACTION_DENY } };
static const struct rule everything[] = { { 0, ANY_PORT, RULE_OPEN, BERM_ACTION_ALLOW } };

/* A connection of WEB to the pod, established. */
static struct packet connected(struct scene *s, bool v6, uint32_t flags)
{
	struct packet in = between(BERM_INGRESS, v6), out = between(BERM_EGRESS, v6);

	*s = rejecting(flags);
	datapath_policy(s->dp, s->pod, BERM_INGRESS, everything, 1);
	in.dport = out.sport = OPEN;
	in.sport = out.dport = 40000;
	SEND(s->dp, BERM_INGRESS, &in, ALLOWED, POLICY_ALLOW, RULE_OPEN);
	out.flags = TCP_SYN | TCP_ACK;
	SEND(s->dp, BERM_EGRESS, &out, ALLOWED, SESSION, 0);
	in.flags = TCP_ACK;
	SEND(s->dp, BERM_INGRESS, &in, ALLOWED, SESSION, 0);
	return in;
}

TEST(keep,
     "Keep: what was allowed goes on under its old rule, new flows do not; what had stopped before stays so "
     "[revoke.existing]")
{
	struct scene s;
	struct packet in = connected(&s, false, BERM_EP_KEEP_IN), syn = in;

	syn.flags = TCP_SYN;
	syn.sport = 40001;
	datapath_policy(s.dp, s.pod, BERM_INGRESS, nothing, 1);
	SEND(s.dp, BERM_INGRESS, &in, ALLOWED, SESSION, 0);
	EXPECT_EQ(datapath_stat(s.dp, BERM_STAT_SESSION_KEPT), 1);
	SEND(s.dp, BERM_INGRESS, &in, ALLOWED, SESSION, 0); /* of this epoch now */
	EXPECT_EQ(datapath_stat(s.dp, BERM_STAT_SESSION_KEPT), 1);
	SEND(s.dp, BERM_INGRESS, &syn, DROPPED, POLICY_DENY, RULE_SILENT);

	s.dp->maps.endpoints[s.pod].flags &= ~(uint32_t)BERM_EP_KEEP_IN;
	berm_epoch_bump(&s.dp->maps, s.pod);
	SEND(s.dp, BERM_INGRESS, &in, DROPPED, POLICY_DENY, RULE_SILENT);
	s.dp->maps.endpoints[s.pod].flags |= BERM_EP_KEEP_IN;
	berm_epoch_bump(&s.dp->maps, s.pod);
	SEND(s.dp, BERM_INGRESS, &in, DROPPED, POLICY_DENY, RULE_SILENT);
	datapath_policy(s.dp, s.pod, BERM_INGRESS, everything, 1);
	SEND(s.dp, BERM_INGRESS, &in, ALLOWED, POLICY_ALLOW,
	     0); /* a rule that is back brings it back */
	EXPECT_BOOKS(s.dp);
}

TEST(keep_first, "Keep holds for what was opened before any policy was")
{
	struct scene s = { .dp = datapath_load(NULL) };
	struct packet in = between(BERM_INGRESS, false);

	s.pod = datapath_pod(s.dp, &(struct pod){ .ifindex = 1, .addr = { POD }, .mac = POD_MAC });
	SEND(s.dp, BERM_INGRESS, &in, ALLOWED, NOT_ISOLATED, BERM_REASON_NOT_ISOLATED);
	s.dp->maps.endpoints[s.pod].flags |= BERM_EP_KEEP_IN;
	datapath_policy(s.dp, s.pod, BERM_INGRESS, nothing, 1);
	in.flags = TCP_ACK;
	SEND(s.dp, BERM_INGRESS, &in, ALLOWED, SESSION, 0);
}

TEST(keep_other_way, "Keep of one direction says nothing about sessions that the other has opened")
{
	struct scene s;
	struct packet in = connected(&s, false, BERM_EP_KEEP_OUT);

	datapath_policy(s.dp, s.pod, BERM_INGRESS, nothing, 1);
	SEND(s.dp, BERM_INGRESS, &in, DROPPED, POLICY_DENY, RULE_SILENT);
}

/* The packet goes on as an RST with the numbers of its sender. */
static void expect_reset_on(const struct outcome *o, const struct packet *was, bool v6)
{
	const uint8_t *ip = o->frame + ETH_HLEN, *tcp = ip + (v6 ? 40 : 20);
	uint8_t sent[PACKET_MAX];

	(void)packet_build(was, sent);
	EXPECT_EQ(memcmp(o->frame, sent, 14), 0);
	EXPECT_EQ(memcmp(ip + (v6 ? 8 : 12), sent + ETH_HLEN + (v6 ? 8 : 12), v6 ? 32 : 8), 0);
	EXPECT_EQ(memcmp(tcp, sent + ETH_HLEN + (v6 ? 40 : 20), 12), 0); /* ports, seq, ack */
	EXPECT_EQ(tcp[13], TCP_RST | TCP_ACK);
	EXPECT_EQ(o->len, ETH_HLEN + (v6 ? 60u : 40u));
	EXPECT_EQ(l4_sum(ip, v6, IPPROTO_TCP, tcp, 20), 0xffff);
	EXPECT_EQ(o->mark, 0);
}

TEST(reset,
     "Reset: a packet of a session that is denied resets both ends; UDP just stops [revoke.existing]")
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct scene s;
		struct packet in = connected(&s, v6, BERM_EP_RESET_IN), udp = in;
		struct outcome o;

		udp.proto = IPPROTO_UDP;
		SEND(s.dp, BERM_INGRESS, &udp, ALLOWED, POLICY_ALLOW, RULE_OPEN);
		in.seq = 5000;
		in.ack = 6000;
		in.payload_len = 11;
		in.smac = OUT_MAC;
		in.dmac = POD_MAC;
		datapath_policy(s.dp, s.pod, BERM_INGRESS, nothing, 1);
		SEND(s.dp, BERM_INGRESS, &udp, DROPPED, POLICY_DENY, RULE_SILENT);
		send_packet(&s, BERM_INGRESS, in, &o);
		EXPECT_EQ(o.retval, ALLOWED);
		expect_reset_on(&o, &in, v6);
		EXPECT_EQ(datapath_stat(s.dp, BERM_STAT_SESSION_RESET), 1);
		in.flags = TCP_RST;
		SEND(s.dp, BERM_INGRESS, &in, DROPPED, POLICY_DENY, RULE_SILENT);
		in.flags = TCP_SYN;
		in.sport++;
		SEND(s.dp, BERM_INGRESS, &in, DROPPED, POLICY_DENY,
		     RULE_SILENT); /* no session, no reset */
		datapath_free(s.dp);
	}
}
