/* SPDX-License-Identifier: Apache-2.0 */
/* test_uplink.c - the block list's program, frame by frame: what it drops, and what it leaves to the walls. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "cidr.h"
#include "packet.h"
#include "test.h"

#include "abi.h"

#include "uplink.skel.h" /* wants abi.h before it */

#define POD   "10.0.0.3"
#define POD6  "fd00::3"
#define NODE  "10.0.0.1"
#define NODE6 "fd00::1"
#define BAD   "198.51.100.9" /* may neither ask nor be asked */
#define BAD6  "2001:db8:bad::9"
#define HALF  "192.0.2.9" /* may not ask */
#define HALF6 "2001:db8:a1f::9"
#define GOOD  "203.0.113.1"
#define GOOD6 "2001:db8:1::1"

#define RULE_WHOLE 7
#define RULE_HALF  8

static void block(struct uplink_bpf *skel, const char *cidr, struct berm_block value)
{
	struct berm_cidr c;
	struct berm_cidr_key key = { 0 };
	struct berm_err err = { 0 };

	ASSERT_OK(berm_cidr_parse(cidr, &c, &err), &err);
	key.prefixlen = 32u + c.bits;
	key.table = htonl(c.v4 ? BERM_BLOCKS_V4 : BERM_BLOCKS_V6);
	memcpy(key.addr, &c.addr, sizeof(key.addr));
	ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(skel->maps.berm_blocks), &key, &value, BPF_ANY),
		  0);
}

static void shield(struct uplink_bpf *skel, const char *addr)
{
	struct berm_cidr c;
	struct berm_err err = { 0 };
	__u32 one = 1;

	ASSERT_OK(berm_cidr_parse(addr, &c, &err), &err);
	ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(skel->maps.berm_shielded), &c.addr, &one,
				      BPF_ANY),
		  0);
}

static struct uplink_bpf *load(bool any_destination)
{
	struct uplink_bpf *skel = uplink_bpf__open();

	ASSERT_TRUE(skel);
	skel->rodata->cfg_any_destination = any_destination;
	ASSERT_EQ(uplink_bpf__load(skel), 0);
	block(skel, "198.51.100.0/24", (struct berm_block){ BERM_BLOCK_ALL, RULE_WHOLE });
	block(skel, "2001:db8:bad::/48", (struct berm_block){ BERM_BLOCK_ALL, RULE_WHOLE });
	block(skel, "192.0.2.0/24", (struct berm_block){ 0, RULE_HALF });
	block(skel, "2001:db8:a1f::/48", (struct berm_block){ 0, RULE_HALF });
	shield(skel, POD);
	shield(skel, POD6);
	return skel;
}

static int run(struct uplink_bpf *skel, const void *frame, size_t len)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (__u32)len,
		    .repeat = 1);

	ASSERT_EQ(bpf_prog_test_run_opts(bpf_program__fd(skel->progs.berm_uplink), &opts), 0);
	return (int)opts.retval;
}

static int send_packet(struct uplink_bpf *skel, const struct packet *p)
{
	_Alignas(8) char frame[PACKET_MAX];
	size_t len = packet_build(p, frame);

	return run(skel, frame, len);
}

static uint64_t dropped(struct uplink_bpf *skel)
{
	struct berm_uplink_counters cpu[libbpf_num_possible_cpus()], sum = { 0 };
	__u32 zero = 0;

	ASSERT_EQ(bpf_map_lookup_elem(bpf_map__fd(skel->maps.berm_uplink_counters), &zero, cpu), 0);
	for (int i = 0; i < libbpf_num_possible_cpus(); i++)
		sum.packets += cpu[i].packets;
	return sum.packets;
}

static uint64_t hits(struct uplink_bpf *skel, uint32_t rule)
{
	uint64_t count = 0;

	ASSERT_EQ(bpf_map_lookup_elem(bpf_map__fd(skel->maps.berm_hits), &rule, &count), 0);
	return count;
}

struct row {
	const char *name;
	struct packet p;
	int whole,
		half; /* XDP_*: from a block that is closed both ways, and from one that may not ask */
};

#define DROP XDP_DROP
#define PASS XDP_PASS

/* Source and destination are filled in. */
static const struct row rows[] = {
	{ "SYN", { .dport = 80 }, DROP, DROP },
	{ "SYN+ACK", { .dport = 80, .flags = TCP_SYN | TCP_ACK }, DROP, PASS },
	{ "ACK", { .dport = 80, .flags = TCP_ACK }, DROP, PASS },
	{ "RST", { .dport = 80, .flags = TCP_RST }, DROP, PASS },
	{ "UDP", { .proto = IPPROTO_UDP, .dport = 53 }, DROP, PASS },
	{ "SCTP", { .proto = IPPROTO_SCTP, .dport = 53 }, DROP, PASS },
	{ "GRE", { .proto = IPPROTO_GRE, .payload_len = 40 }, DROP, PASS },
	{ "one tag", { .dport = 80, .vlan = 5 }, DROP, DROP },
	{ "two tags", { .dport = 80, .vlan = 5, .vlan_inner = 6 }, DROP, DROP },
	{ "two tags, UDP", { .proto = IPPROTO_UDP, .vlan = 5, .vlan_inner = 6 }, DROP, PASS },
};

static struct packet from_to(struct packet p, const char *src, const char *dst)
{
	p.src = src;
	p.dst = dst;
	return p;
}

static void table(bool v6)
{
	struct uplink_bpf *skel = load(false);
	const char *pod = v6 ? POD6 : POD;
	uint64_t drops = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct packet whole = from_to(rows[i].p, v6 ? BAD6 : BAD, pod);
		struct packet half = from_to(rows[i].p, v6 ? HALF6 : HALF, pod);
		struct packet good = from_to(rows[i].p, v6 ? GOOD6 : GOOD, pod);
		struct packet node = from_to(rows[i].p, v6 ? BAD6 : BAD, v6 ? NODE6 : NODE);

		test_case_name = rows[i].name;
		EXPECT_EQ(send_packet(skel, &whole), rows[i].whole);
		EXPECT_EQ(send_packet(skel, &half), rows[i].half);
		EXPECT_EQ(send_packet(skel, &good), PASS);
		EXPECT_EQ(send_packet(skel, &node), PASS);
		drops += (rows[i].whole == DROP) + (rows[i].half == DROP);
		EXPECT_EQ(dropped(skel), drops);
	}
	test_case_name = NULL;
	EXPECT_EQ(hits(skel, RULE_WHOLE), ARRAY_SIZE(rows));
	EXPECT_EQ(hits(skel, RULE_WHOLE) + hits(skel, RULE_HALF), drops);
	uplink_bpf__destroy(skel);
}

TEST(table4,
     "what comes from a blocked source for a pod is dropped and counted, nothing else [uplink.drop]")
{
	table(false);
}

TEST(table6, "the same in IPv6 [uplink.drop]")
{
	table(true);
}

TEST(icmp, "errors, neighbour discovery and answers to echoes are left to the walls [uplink.drop]")
{
	static const struct {
		uint8_t type4, type6;
		int want;
	} cases[] = {
		{ 8, 128, DROP }, { 0, 129, PASS },  { 3, 1, PASS },
		{ 11, 2, PASS },  { 12, 135, PASS }, { 5, 136, PASS },
	};
	struct uplink_bpf *skel = load(false);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct packet p4 = {
			.src = BAD, .dst = POD, .proto = IPPROTO_ICMP, .icmp_type = cases[i].type4
		};
		struct packet p6 = { .src = BAD6,
				     .dst = POD6,
				     .proto = IPPROTO_ICMPV6,
				     .icmp_type = cases[i].type6,
				     .ttl = 255 };

		EXPECT_EQ(send_packet(skel, &p4), cases[i].want);
		EXPECT_EQ(send_packet(skel, &p6), cases[i].want);
		p4.src = HALF;
		p6.src = HALF6;
		EXPECT_EQ(send_packet(skel, &p4), PASS);
		EXPECT_EQ(send_packet(skel, &p6), PASS);
	}
}

TEST(fragments,
     "later fragments of IPv4 fall with their source; extension headers are left to the walls [uplink.drop]")
{
	static const uint8_t like_syn[40] = { [13] = TCP_SYN };
	struct uplink_bpf *skel = load(false);
	struct packet later = {
		.src = BAD, .dst = POD, .proto = IPPROTO_UDP, .frag_off = 64, .payload_len = 40
	};
	struct packet half = later, ext = {
		.src = BAD6, .dst = POD6, .dport = 80, .ext = { IPPROTO_HOPOPTS }, .ext_count = 1
	};
	struct packet options = { .src = HALF, .dst = POD, .dport = 80, .ip_options = 40 };

	half.src = HALF;
	EXPECT_EQ(send_packet(skel, &later), DROP);
	EXPECT_EQ(send_packet(skel, &half), PASS);
	half.proto = IPPROTO_TCP;
	half.payload = like_syn; /* what lies where the flags would be is data */
	half.payload_len = sizeof(like_syn);
	EXPECT_EQ(send_packet(skel, &half), PASS);
	later.proto = IPPROTO_ICMP;
	EXPECT_EQ(send_packet(skel, &later), PASS);
	EXPECT_EQ(send_packet(skel, &ext), PASS);
	EXPECT_EQ(send_packet(skel, &options), DROP);
	options.flags = TCP_ACK;
	EXPECT_EQ(send_packet(skel, &options), PASS);
}

TEST(any_destination, "whatever it is for, if the operator says so [uplink.all]")
{
	struct uplink_bpf *skel = load(true);
	struct packet node = { .src = BAD, .dst = NODE, .proto = IPPROTO_UDP };
	struct packet nd = {
		.src = BAD6, .dst = NODE6, .proto = IPPROTO_ICMPV6, .icmp_type = 135, .ttl = 255
	};
	struct packet good = { .src = GOOD, .dst = NODE, .proto = IPPROTO_UDP };

	EXPECT_EQ(send_packet(skel, &node), DROP);
	EXPECT_EQ(send_packet(skel, &nd), PASS);
	EXPECT_EQ(send_packet(skel, &good), PASS);
}

TEST(families, "::/0 says nothing about IPv4 [uplink.drop]")
{
	struct uplink_bpf *skel = load(false);
	struct packet p4 = { .src = GOOD, .dst = POD, .proto = IPPROTO_UDP };
	struct packet p6 = { .src = GOOD6, .dst = POD6, .proto = IPPROTO_UDP };

	block(skel, "::/0", (struct berm_block){ BERM_BLOCK_ALL, RULE_WHOLE });
	EXPECT_EQ(send_packet(skel, &p4), PASS);
	EXPECT_EQ(send_packet(skel, &p6), DROP);
	block(skel, "2001:db8:1::/48",
	      (struct berm_block){ 0, RULE_HALF }); /* the longer one decides */
	EXPECT_EQ(send_packet(skel, &p6), PASS);
}

TEST(truncated, "a frame cut at any byte is dropped only if it still tells enough [uplink.drop]")
{
	struct uplink_bpf *skel = load(false);
	struct packet p = { .src = BAD, .dst = POD, .dport = 80, .vlan = 5 }, p6 = p;
	_Alignas(8) char frame[PACKET_MAX];
	size_t len;

	p6.src = BAD6;
	p6.dst = POD6;
	len = packet_build(&p, frame);
	for (size_t cut = 14; cut <= len; cut++)
		EXPECT_EQ(run(skel, frame, cut), cut < 14 + 4 + 20 ? PASS : DROP);
	len = packet_build(&p6, frame);
	for (size_t cut = 14; cut <= len; cut++)
		EXPECT_EQ(run(skel, frame, cut), cut < 14 + 4 + 40 ? PASS : DROP);
	frame[18] = 0x45; /* the ethertype says IPv6, the header IPv4 */
	EXPECT_EQ(run(skel, frame, len), PASS);
}
