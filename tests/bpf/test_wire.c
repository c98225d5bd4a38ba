/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_wire.c - raw frames over a real veth with the programs attached to it: what BPF_PROG_TEST_RUN
 * cannot make (a VLAN tag that the kernel has moved into the skb, frames shorter than a header).
 * A frame that passes to_pod is seen on the other end; from_pod is seen by its counters.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "datapath.h"

#include "berm.skel.h" /* wants abi.h before it */

#define HOST_SIDE 2
#define POD_SIDE  3

#define POD	"10.0.0.3"
#define WEB	"10.0.0.2"
#define POD6	"fd00::3"
#define WEB6	"fd00::2"
#define POD_MAC "02:00:00:00:00:01"

enum { CLASS_WEB = BERM_CLASS_FIRST };

struct wire {
	struct datapath *dp;
	int host, pod; /* raw sockets on either end */
};

static int raw_socket(int ifindex)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = ifindex };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	ASSERT_GE(fd, 0);
	ASSERT_EQ(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void attach(const struct bpf_program *prog, enum bpf_tc_attach_point point)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = HOST_SIDE, .attach_point = point);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = bpf_program__fd(prog));

	ASSERT_EQ(bpf_tc_attach(&hook, &opts), 0);
}

static void make_hooks(void)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = HOST_SIDE,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);

	ASSERT_EQ(bpf_tc_hook_create(&hook), 0);
}

static struct wire wire_up(void)
{
	static const struct rule rules[] = { { CLASS_WEB, TCP_PORT(5432), 2001,
					       BERM_ACTION_ALLOW } };
	struct wire w = { .dp = datapath_load(NULL) };
	uint32_t pod =
		datapath_pod(w.dp, &(struct pod){ .ifindex = HOST_SIDE, .addr = { POD, POD6 } });

	datapath_peer(w.dp, WEB, CLASS_WEB);
	datapath_peer(w.dp, WEB6, CLASS_WEB);
	datapath_policy(w.dp, pod, BERM_INGRESS, rules, ARRAY_SIZE(rules));
	datapath_policy(w.dp, pod, BERM_EGRESS, rules, ARRAY_SIZE(rules));
	/* No address, no IPv6: nobody but us speaks here. */
	ASSERT_EQ(system("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 && ip link set dev2 up && ip link set dev3 up"),
		  0);
	make_hooks();
	attach(w.dp->skel->progs.berm_from_pod, BPF_TC_INGRESS);
	attach(w.dp->skel->progs.berm_to_pod, BPF_TC_EGRESS);
	w.host = raw_socket(HOST_SIDE);
	w.pod = raw_socket(POD_SIDE);
	return w;
}

struct waiting {
	struct datapath *dp;
	enum berm_dir dir;
	uint32_t reason;
	uint64_t before;
};

static bool has_counted(void *ctx)
{
	const struct waiting *w = ctx;

	return datapath_packets(w->dp, w->dir, w->reason) > w->before;
}

/* Sends and waits for the counter of this reason. */
static void expect_reason(const struct wire *w, enum berm_dir dir, const void *frame, size_t len,
			  uint32_t reason)
{
	struct waiting wait = { w->dp, dir, reason, datapath_packets(w->dp, dir, reason) };
	uint64_t total = 0, after = 0;
	ssize_t sent;

	for (uint32_t r = 0; r < BERM_REASON_COUNT; r++)
		total += datapath_packets(w->dp, dir, r);
	sent = send(dir == BERM_EGRESS ? w->pod : w->host, frame, len, 0);
	if (sent <
	    0) /* what is dropped on its way out of the node is an error here (net/core/dev.c) */
		EXPECT_TRUE(errno == ENOBUFS && dir == BERM_INGRESS);
	else
		EXPECT_EQ(sent, len);
	if (!test_wait_until(has_counted, &wait, 2000))
		test_failed(__FILE__, __LINE__, "not counted as %s", datapath_reason(reason));
	for (uint32_t r = 0; r < BERM_REASON_COUNT; r++)
		after += datapath_packets(w->dp, dir, r);
	EXPECT_EQ(after, total + 1);
}

static void drain(int fd)
{
	char buf[PACKET_MAX];

	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
}

static bool is_from_peer(const char *buf, ssize_t len)
{
	return len > ETH_HLEN && !memcmp(buf, "\x02\x00\x00\x00\x00\x01", ETH_ALEN);
}

static bool has_arrived(void *ctx)
{
	char buf[PACKET_MAX];

	return is_from_peer(buf, recv(*(int *)ctx, buf, sizeof(buf), MSG_DONTWAIT));
}

struct row {
	const char *name;
	struct packet packet;
	bool passes;
	uint32_t reason;
};

static void expect_frame(const struct wire *w, enum berm_dir dir, const struct row *c)
{
	_Alignas(8) char frame[PACKET_MAX];
	size_t len = packet_build(&c->packet, frame);
	int pod = w->pod;

	drain(pod);
	expect_reason(w, dir, frame, len, c->reason);
	/* The verdict of to_pod is seen on the other end of the wire; it had its time when it was counted. */
	if (dir == BERM_INGRESS)
		EXPECT_EQ(test_wait_until(has_arrived, &pod, c->passes ? 2000 : 50), c->passes);
}

TEST(vlan_into_pod, "tagged frames into a pod are judged by what is in them [pkt.vlan]")
{
#define IN(port)                                                                                   \
	.src = WEB, .dst = POD, .dmac = POD_MAC, .smac = "02:00:00:00:00:02", .dport = (port)
#define IN6(port)                                                                                  \
	.src = WEB6, .dst = POD6, .dmac = POD_MAC, .smac = "02:00:00:00:00:02", .dport = (port)
	static const struct row rows[] = {
		{ "no tag, allowed", { IN(5432), .sport = 1 }, true, BERM_REASON_POLICY_ALLOW },
		{ "no tag, denied", { IN(22), .sport = 1 }, false, BERM_REASON_DEFAULT_DENY },
		{ "one tag, allowed", { IN(5432), .sport = 2, .vlan = 7 }, true, BERM_REASON_POLICY_ALLOW },
		{ "one tag, denied", { IN(22), .sport = 2, .vlan = 7 }, false, BERM_REASON_DEFAULT_DENY },
		{ "priority tag, denied", { IN(22), .sport = 2, .vlan = 0xe000 }, false, BERM_REASON_DEFAULT_DENY },
		{ "two tags, allowed", { IN6(5432), .vlan = 7, .vlan_inner = 8 }, true, BERM_REASON_POLICY_ALLOW },
		{ "two tags, denied", { IN6(22), .vlan = 7, .vlan_inner = 8 }, false, BERM_REASON_DEFAULT_DENY },
	}, *c;
	struct wire w = wire_up();

	for_each_case(c, rows)
		expect_frame(&w, BERM_INGRESS, c);
}

TEST(vlan_out_of_pod,
     "tagged frames out of a pod too, where the kernel has taken the tag off [pkt.vlan]")
{
#define OUT(port)  .src = POD, .dst = WEB, .dport = (port)
#define OUT6(port) .src = POD6, .dst = WEB6, .dport = (port)
	static const struct row rows[] = {
		{ "no tag, allowed", { OUT(5432), .sport = 1 }, true, BERM_REASON_POLICY_ALLOW },
		{ "one tag, allowed", { OUT(5432), .sport = 2, .vlan = 7 }, true, BERM_REASON_POLICY_ALLOW },
		{ "one tag, denied", { OUT(22), .sport = 2, .vlan = 7 }, false, BERM_REASON_DEFAULT_DENY },
		{ "two tags, allowed", { OUT6(5432), .vlan = 7, .vlan_inner = 8 }, true, BERM_REASON_POLICY_ALLOW },
		{ "two tags, denied", { OUT6(22), .vlan = 7, .vlan_inner = 8 }, false, BERM_REASON_DEFAULT_DENY },
		{ "another's address behind a tag",
		  { .src = WEB, .dst = "10.0.0.9", .dport = 80, .vlan = 7 },
		  false,
		  BERM_REASON_SPOOFED_SOURCE },
		{ "a third tag",
		  { .src = POD, .dst = WEB, .vlan = 7, .vlan_inner = 8, .ethertype = 0x88a8, .payload_len = 60 },
		  false,
		  BERM_REASON_FOREIGN_ETHERTYPE },
	}, *c;
	struct wire w = wire_up();

	for_each_case(c, rows)
		expect_frame(&w, BERM_EGRESS, c);
}

TEST(runts, "frames that end in the middle of a header are malformed [pkt.truncated]")
{
	static const struct packet tcp = { .src = POD, .dst = WEB, .sport = 3, .dport = 5432 };
	static const struct packet tcp6 = { .src = POD6, .dst = WEB6, .sport = 3, .dport = 5432 };
	_Alignas(8) char frame[PACKET_MAX];
	struct wire w = wire_up();
	size_t len;

	len = packet_build(&tcp, frame);
	for (size_t cut = ETH_HLEN + 1; cut < len; cut += 6)
		expect_reason(&w, BERM_EGRESS, frame, cut, BERM_REASON_MALFORMED);
	expect_reason(&w, BERM_EGRESS, frame, len, BERM_REASON_POLICY_ALLOW);
	len = packet_build(&tcp6, frame);
	for (size_t cut = ETH_HLEN + 1; cut < len; cut += 8)
		expect_reason(&w, BERM_EGRESS, frame, cut, BERM_REASON_MALFORMED);
	expect_reason(&w, BERM_EGRESS, frame, len, BERM_REASON_POLICY_ALLOW);
}
