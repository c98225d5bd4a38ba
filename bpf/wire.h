/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* wire.h - what stands in frames and is in no uapi header: for whoever reads them, at the walls or at the uplink. Knows
 * numbers, parses nothing. */
#ifndef BERM_BPF_WIRE_H
#define BERM_BPF_WIRE_H

struct vlan_header {
	__be16 tci;
	__be16 ethertype;
};

static __always_inline bool is_vlan(__be16 ethertype)
{
	return ethertype == bpf_htons(ETH_P_8021Q) || ethertype == bpf_htons(ETH_P_8021AD);
}

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define ICMP_ECHO_ANSWER  0
#define ICMP_ECHO_ASK	  8
#define ICMP6_ECHO_ASK	  128
#define ICMP6_ECHO_ANSWER 129

#define FRAG_MORE   0x2000 /* of IPv4 */
#define FRAG_OFFSET 0x1fff

/* An extension header of IPv6 with something behind it. */
static __always_inline bool is_ipv6_ext(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_DSTOPTS || next == IPPROTO_ROUTING ||
	       next == IPPROTO_FRAGMENT || next == IPPROTO_AH;
}

#endif /* BERM_BPF_WIRE_H */
