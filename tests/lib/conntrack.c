/* SPDX-License-Identifier: Apache-2.0 */
/* conntrack.c - see conntrack.h. Asks ctnetlink; iptables turns the tracking on. */
#include "conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <net/ethernet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink.h"
#include "test.h"

#define FAR_MAC "02:00:00:00:00:bb" /* nobody's: what comes out is heard, and taken in by nobody */

const char *conntrack_name(enum conntrack_tcp state)
{
	static const char *const name[] = { "NONE",	"SYN_SENT",   "SYN_RECV", "ESTABLISHED",
					    "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT",
					    "CLOSE",	"SYN_SENT2",  "unknown" };

	return state < ARRAY_SIZE(name) ? name[state] : "?";
}

static int wire(int device)
{
	struct timeval patience = { .tv_sec = 2 };
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = device };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = 1;

	ASSERT_TRUE(fd >= 0);
	ASSERT_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	ASSERT_EQ(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)), 0);
	ASSERT_EQ(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static bool run(const char *command)
{
	return !system(command);
}

void conntrack_start(struct conntrack *ct)
{
	struct sockaddr_nl any = { .nl_family = AF_NETLINK };

	ASSERT_TRUE(
		run("for d in dev2 dev3 dev4 dev5; do ip link set $d addrgenmode none; done &&"
		    " ip link set dev2 address " CONNTRACK_MAC
		    " && ip link set dev4 address " CONNTRACK_MAC " &&"
		    " for d in dev2 dev3 dev4 dev5; do ip link set $d up || exit 1; done &&"
		    " ip addr add 10.0.0.254/32 dev dev2 && ip route add 10.0.0.2/32 dev dev2 &&"
		    " ip route add 10.0.0.3/32 dev dev4 &&"
		    " ip neigh add 10.0.0.2 lladdr " FAR_MAC " dev dev2 nud permanent &&"
		    " ip neigh add 10.0.0.3 lladdr " FAR_MAC " dev dev4 nud permanent &&"
		    " echo 1 >/proc/sys/net/ipv4/ip_forward")); /* of this namespace */
	ct->has_v6 = run("ip -6 route add fd00::2/128 dev dev2 2>/dev/null &&"
			 " ip -6 route add fd00::3/128 dev dev4 &&"
			 " ip neigh add fd00::2 lladdr " FAR_MAC " dev dev2 nud permanent &&"
			 " ip neigh add fd00::3 lladdr " FAR_MAC " dev dev4 nud permanent &&"
			 " echo 1 >/proc/sys/net/ipv6/conf/all/forwarding");
	if (!run("iptables -A FORWARD -m conntrack --ctstate ESTABLISHED 2>/dev/null &&"
		 " ip6tables -A FORWARD -m conntrack --ctstate ESTABLISHED 2>/dev/null"))
		test_skip("kernel: no connection tracking");
	ct->wire[0] = wire(3);
	ct->wire[1] = wire(5);
	ct->netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (ct->netlink < 0)
		test_skip("kernel: no ctnetlink");
	ASSERT_EQ(bind(ct->netlink, (struct sockaddr *)&any, sizeof(any)), 0);
}

/* What else comes is neighbours and listeners talking. */
static bool is_it(const unsigned char *got, ssize_t n, const unsigned char *sent, size_t len)
{
	size_t ports = sent[12] == 0x08 ? 34 : 54;

	return n == (ssize_t)len && !memcmp(got + 12, sent + 12, 2) &&
	       !memcmp(got + ports, sent + ports, len - ports);
}

bool conntrack_cross(struct conntrack *ct, int from, const void *frame, size_t len)
{
	unsigned char got[4096];
	ssize_t n;

	ASSERT_EQ(send(ct->wire[from], frame, len, 0), (ssize_t)len);
	do {
		n = recv(ct->wire[!from], got, sizeof(got), 0);
	} while (n > 0 && !is_it(got, n, frame, len));
	return n > 0;
}

/* ---- ctnetlink -------------------------------------------------------------------------------------------- */

static void put_nested(struct berm_nlmsg *msg, uint16_t type, const struct berm_nlmsg *inner)
{
	berm_nlmsg_put(msg, type | NLA_F_NESTED, inner->raw + NLMSG_HDRLEN,
		       inner->hdr.nlmsg_len - NLMSG_HDRLEN);
}

static void put_tuple(struct berm_nlmsg *msg, const struct conntrack_id *id)
{
	bool v6 = strchr(id->opener, ':');
	int family = v6 ? AF_INET6 : AF_INET;
	size_t size = v6 ? 16 : 4;
	uint16_t ports[2] = { htons(id->opener_port), htons(id->answerer_port) };
	uint8_t addr[2][16], tcp = IPPROTO_TCP;
	struct berm_nlmsg tuple, ip, proto;

	ASSERT_EQ(inet_pton(family, id->opener, addr[0]), 1);
	ASSERT_EQ(inet_pton(family, id->answerer, addr[1]), 1);
	berm_nlmsg_start(&ip, 0, 0, "", 0);
	berm_nlmsg_put(&ip, v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, addr[0], size);
	berm_nlmsg_put(&ip, v6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, addr[1], size);
	berm_nlmsg_start(&proto, 0, 0, "", 0);
	berm_nlmsg_put(&proto, CTA_PROTO_NUM, &tcp, sizeof(tcp));
	berm_nlmsg_put(&proto, CTA_PROTO_SRC_PORT, &ports[0], sizeof(ports[0]));
	berm_nlmsg_put(&proto, CTA_PROTO_DST_PORT, &ports[1], sizeof(ports[1]));
	berm_nlmsg_start(&tuple, 0, 0, "", 0);
	put_nested(&tuple, CTA_TUPLE_IP, &ip);
	put_nested(&tuple, CTA_TUPLE_PROTO, &proto);
	put_nested(msg, CTA_TUPLE_ORIG, &tuple);
}

static void start(struct berm_nlmsg *msg, uint16_t what, const struct conntrack_id *id)
{
	struct nfgenmsg about = { .nfgen_family = strchr(id->opener, ':') ? AF_INET6 : AF_INET };

	berm_nlmsg_start(msg, (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | what), NLM_F_ACK, &about,
			 sizeof(about));
	put_tuple(msg, id);
}

static int read_state(const struct nlmsghdr *msg, void *ctx)
{
	const struct nlattr *top[CTA_MAX + 1], *info[CTA_PROTOINFO_MAX + 1],
		*tcp[CTA_PROTOINFO_TCP_MAX + 1];

	berm_nl_attrs(msg, sizeof(struct nfgenmsg), top, CTA_MAX);
	if (!top[CTA_PROTOINFO])
		return 0;
	berm_nl_nested(top[CTA_PROTOINFO], info, CTA_PROTOINFO_MAX);
	if (!info[CTA_PROTOINFO_TCP])
		return 0;
	berm_nl_nested(info[CTA_PROTOINFO_TCP], tcp, CTA_PROTOINFO_TCP_MAX);
	if (tcp[CTA_PROTOINFO_TCP_STATE])
		*(enum conntrack_tcp *)ctx =
			*(const uint8_t *)berm_nl_data(tcp[CTA_PROTOINFO_TCP_STATE]);
	return 0;
}

enum conntrack_tcp conntrack_state(struct conntrack *ct, const struct conntrack_id *id)
{
	enum conntrack_tcp state = CT_UNKNOWN;
	struct berm_err err = { 0 };
	struct berm_nlmsg msg;
	int rc;

	start(&msg, IPCTNL_MSG_CT_GET, id);
	rc = berm_nl_ask(ct->netlink, &msg, read_state, &state, &err);
	if (rc && rc != -ENOENT)
		test_failed(__FILE__, __LINE__, "ask for a connection: %s", err.msg);
	return state;
}

void conntrack_forget(struct conntrack *ct, const struct conntrack_id *id)
{
	struct berm_err err = { 0 };
	struct berm_nlmsg msg;
	int rc;

	start(&msg, IPCTNL_MSG_CT_DELETE, id);
	rc = berm_nl_ask(ct->netlink, &msg, NULL, NULL, &err);
	if (rc && rc != -ENOENT)
		test_failed(__FILE__, __LINE__, "forget a connection: %s", err.msg);
}
