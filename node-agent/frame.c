// SPDX-License-Identifier: Apache-2.0
/* frame.c - Ethernet, IPv4 or IPv6, and enough of layer 4 for the data path to read. */
#include "frame.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <string.h>

#include "maps.h"

#define L4_SIZE	 32 /* of any protocol here: headers, then zeros */
#define TCP_SYN_ 0x02

static const uint8_t mac[6] = { 2 }; /* local and unicast */

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put_l4(const struct berm_flow5 *flow, uint8_t *l4)
{
	memset(l4, 0, L4_SIZE);
	if (flow->proto == IPPROTO_ICMP || flow->proto == IPPROTO_ICMPV6) {
		put16(l4, flow->dport);
		put16(l4 + 4, flow->sport);
		return;
	}
	put16(l4, flow->sport);
	put16(l4 + 2, flow->dport);
	if (flow->proto == IPPROTO_TCP) {
		l4[12] = 5 << 4;
		l4[13] = TCP_SYN_;
	}
	if (flow->proto == IPPROTO_UDP)
		put16(l4 + 4, L4_SIZE);
	if (flow->proto == IPPROTO_SCTP) {
		l4[12] = 1; /* INIT */
		put16(l4 + 14, 20);
	}
}

static size_t put_ipv4(const struct berm_flow5 *flow, uint8_t *l3)
{
	struct iphdr ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = flow->proto };

	ip.tot_len = htons(sizeof(ip) + L4_SIZE);
	ip.saddr = flow->src.w[3];
	ip.daddr = flow->dst.w[3];
	memcpy(l3, &ip, sizeof(ip));
	return sizeof(ip);
}

static size_t put_ipv6(const struct berm_flow5 *flow, uint8_t *l3)
{
	struct ip6_hdr ip = { 0 };

	ip.ip6_vfc = 6 << 4;
	ip.ip6_plen = htons(L4_SIZE);
	ip.ip6_nxt = flow->proto;
	ip.ip6_hlim = 64;
	memcpy(&ip.ip6_src, &flow->src, sizeof(flow->src));
	memcpy(&ip.ip6_dst, &flow->dst, sizeof(flow->dst));
	memcpy(l3, &ip, sizeof(ip));
	return sizeof(ip);
}

size_t berm_frame_make(const struct berm_flow5 *flow, uint8_t out[BERM_FRAME_MAX])
{
	bool v4 = berm_addr_is_v4(&flow->src);
	size_t at = ETH_HLEN;

	memcpy(out, mac, sizeof(mac));
	memcpy(out + 6, mac, sizeof(mac));
	put16(out + 12, v4 ? ETH_P_IP : ETH_P_IPV6);
	at += v4 ? put_ipv4(flow, out + at) : put_ipv6(flow, out + at);
	put_l4(flow, out + at);
	return at + L4_SIZE;
}
