/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * guard.h - what no policy is asked about: link-local business, whose packet it is, the node's own
 * traffic. Knows the endpoint and its addresses, no rule.
 *
 * A guard returns true when it has decided (the verdict is in the packet).
 */
#ifndef BERM_BPF_GUARD_H
#define BERM_BPF_GUARD_H

static __always_inline bool addr_is(const struct berm_addr *a, const struct berm_addr *b)
{
	const word64 *x = (const word64 *)a, *y = (const word64 *)b;

	return x[1] == y[1] && x[0] == y[0];
}

static __always_inline bool mac_is(const __u8 *a, const __u8 *b)
{
	return a[5] == b[5] && a[4] == b[4] && a[3] == b[3] && a[2] == b[2] && a[1] == b[1] &&
	       a[0] == b[0];
}

static __always_inline bool has_address(const struct berm_endpoint *ep,
					const struct berm_addr *addr)
{
	__u8 n = ep->addr_count;

	return (n > 0 && addr_is(&ep->addr[0], addr)) || (n > 1 && addr_is(&ep->addr[1], addr)) ||
	       (n > 2 && addr_is(&ep->addr[2], addr)) || (n > 3 && addr_is(&ep->addr[3], addr));
}

/* The pod's own address, or one that an annotation allows it besides. */
static __always_inline bool owns(const struct berm_endpoint *ep, const struct berm_addr *addr)
{
	if (has_address(ep, addr))
		return true;
	return ep->allowed_table && cidr_class(addr, ep->allowed_table) != BERM_CLASS_NONE;
}

static __always_inline bool is_loopback(const struct pkt *p, const struct berm_addr *addr)
{
	if (p->is_v4)
		return (addr->w[3] & bpf_htonl(0xff000000)) == bpf_htonl(127u << 24);
	return !addr->w[0] && !addr->w[1] && !addr->w[2] && addr->w[3] == bpf_htonl(1);
}

static __always_inline bool is_unspecified(const struct berm_addr *addr)
{
	return !addr->w[0] && !addr->w[1] && !addr->w[3] &&
	       (!addr->w[2] || addr->w[2] == bpf_htonl(0xffff));
}

static __always_inline bool is_link_local6(const struct berm_addr *addr)
{
	return (addr->w[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000); /* fe80::/10 */
}

/* fe80::/64 with the interface identifier that Linux makes of a MAC (RFC 4291, appendix A). */
static __always_inline bool is_link_local_of(const struct berm_addr *addr, const __u8 *mac)
{
	__u32 high = (__u32)(mac[0] ^ 2) << 24 | mac[1] << 16 | mac[2] << 8 | 0xff;
	__u32 low = 0xfe000000 | mac[3] << 16 | mac[4] << 8 | mac[5];

	return addr->w[0] == bpf_htonl(0xfe800000) && !addr->w[1] &&
	       addr->w[2] == bpf_htonl(high) && addr->w[3] == bpf_htonl(low);
}

static __always_inline bool is_multicast(const struct pkt *p, const struct berm_addr *addr)
{
	if (p->is_v4)
		return (addr->w[3] & bpf_htonl(0xe0000000)) ==
		       bpf_htonl(0xe0000000); /* and broadcast */
	return (addr->w[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000);
}

/* ---- ARP -------------------------------------------------------------------------------------------- */

struct arp_packet { /* RFC 826 over Ethernet and IPv4 */
	__be16 htype, ptype;
	__u8 hlen, plen;
	__be16 op;
	__u8 sha[6];
	__u8 spa[4];
	__u8 tha[6];
	__u8 tpa[4];
};
_Static_assert(sizeof(struct arp_packet) == 28, "as on the wire");

static __always_inline bool arp_is_ours(const struct pkt *p, const struct arp_packet *arp)
{
	struct berm_addr sender = { .w = { 0, 0, bpf_htonl(0xffff), 0 } };
	__u8 frame_mac[6];

	__builtin_memcpy(&sender.w[3], arp->spa, sizeof(arp->spa));
	if (bpf_skb_load_bytes(p->skb, 6, frame_mac, sizeof(frame_mac)))
		return false;
	if (!mac_is(arp->sha, p->ep->mac) || !mac_is(frame_mac, p->ep->mac))
		return false;
	return !sender.w[3] || owns(p->ep, &sender); /* 0.0.0.0: a probe (RFC 5227) */
}

static __always_inline bool guard_arp(struct pkt *p, enum berm_dir dir)
{
	struct arp_packet arp;

	if (bpf_skb_load_bytes(p->skb, p->l4, &arp, sizeof(arp)) || arp.htype != bpf_htons(1) ||
	    arp.ptype != bpf_htons(ETH_P_IP) || arp.hlen != 6 || arp.plen != 4)
		deny(p, BERM_REASON_MALFORMED);
	else if (dir == BERM_INGRESS || p->ep->flags & BERM_EP_ALLOW_SPOOF || arp_is_ours(p, &arp))
		allow(p, BERM_REASON_LINK_LOCAL);
	else
		deny(p, BERM_REASON_ARP_SPOOF);
	return true;
}

/* ---- neighbour discovery and multicast listeners ----------------------------------------------------- */

#define ND_ROUTER_SOLICIT    133
#define ND_ROUTER_ADVERT     134
#define ND_NEIGHBOUR_SOLICIT 135
#define ND_NEIGHBOUR_ADVERT  136
#define ND_REDIRECT	     137
#define MLD_QUERY	     130
#define MLD_REPORT	     131
#define MLD_DONE	     132
#define MLD2_REPORT	     143

#define ND_HOP_LIMIT  255 /* a router would have lowered it (RFC 4861, 7.1) */
#define MLD_HOP_LIMIT 1	  /* RFC 3810, 5 */

static __always_inline bool is_nd(const struct pkt *p)
{
	return p->icmp_type >= ND_ROUTER_SOLICIT && p->icmp_type <= ND_REDIRECT;
}

static __always_inline bool is_mld(const struct pkt *p)
{
	return (p->icmp_type >= MLD_QUERY && p->icmp_type <= MLD_DONE) ||
	       p->icmp_type == MLD2_REPORT;
}

static __always_inline bool nd_target_is_ours(const struct pkt *p)
{
	struct berm_addr target;

	if (bpf_skb_load_bytes(p->skb, p->l4 + 8, &target, sizeof(target)))
		return false;
	return owns(p->ep, &target) || is_link_local_of(&target, p->ep->mac);
}

static __always_inline void nd_leaving(struct pkt *p)
{
	const struct berm_addr *source = &p->flow.local;

	if (p->ep->flags & BERM_EP_ALLOW_SPOOF)
		allow(p, BERM_REASON_LINK_LOCAL);
	else if (p->icmp_type == ND_ROUTER_ADVERT || p->icmp_type == ND_REDIRECT)
		deny(p, BERM_REASON_ROGUE_RA);
	else if (!is_unspecified(source) && !is_link_local6(source) && !owns(p->ep, source))
		deny(p, BERM_REASON_SPOOFED_SOURCE);
	else if (p->icmp_type == ND_NEIGHBOUR_ADVERT && !nd_target_is_ours(p))
		deny(p, BERM_REASON_ND_SPOOF);
	else
		allow(p, BERM_REASON_LINK_LOCAL);
}

static __always_inline void mld_leaving(struct pkt *p)
{
	const struct berm_addr *source = &p->flow.local;

	if (!is_unspecified(source) && !is_link_local6(source) && !owns(p->ep, source))
		deny(p, BERM_REASON_SPOOFED_SOURCE);
	else
		allow(p, BERM_REASON_LINK_LOCAL);
}

static __always_inline bool guard_icmp6(struct pkt *p, enum berm_dir dir)
{
	__u8 hops = is_nd(p) ? ND_HOP_LIMIT : MLD_HOP_LIMIT;

	if (!is_nd(p) && !is_mld(p))
		return false;
	if (p->hop_limit != hops || is_first_fragment(p)) /* in pieces: RFC 6980 */
		deny(p, BERM_REASON_MALFORMED);
	else if (dir == BERM_INGRESS)
		allow(p, BERM_REASON_LINK_LOCAL);
	else if (is_nd(p))
		nd_leaving(p);
	else
		mld_leaving(p);
	return true;
}

/* ---- group membership of IPv4 -------------------------------------------------------------------------- */

#define IGMP_QUERY   0x11 /* all versions */
#define IGMP_REPORT1 0x12
#define IGMP_REPORT2 0x16
#define IGMP_LEAVE   0x17
#define IGMP_REPORT3 0x22

/* To a group, and no further than this link (RFC 3376, 4). */
static __always_inline bool is_igmp(const struct pkt *p)
{
	return p->is_v4 && p->proto == IPPROTO_IGMP && p->kind == PKT_FLOW && p->hop_limit == 1 &&
	       !is_first_fragment(p);
}

static __always_inline bool is_group4(const struct berm_addr *addr)
{
	return (addr->w[3] & bpf_htonl(0xf0000000)) == bpf_htonl(0xe0000000); /* 224.0.0.0/4 */
}

/* A bridge that does not look into them floods answers too. */
static __always_inline bool igmp_may(__u8 type, enum berm_dir dir)
{
	return type == IGMP_REPORT1 || type == IGMP_REPORT2 || type == IGMP_LEAVE ||
	       type == IGMP_REPORT3 || (dir == BERM_INGRESS && type == IGMP_QUERY);
}

/* Whoever asks for members may ask the pod; it only answers. Anything else is a protocol like others. */
static __always_inline bool guard_igmp(struct pkt *p, enum berm_dir dir)
{
	const struct berm_addr *group = dir == BERM_EGRESS ? &p->flow.peer : &p->flow.local;
	const struct berm_addr *source = dir == BERM_EGRESS ? &p->flow.local : &p->flow.peer;
	__u8 type;

	if (!is_igmp(p) || !is_group4(group) || is_loopback(p, source) ||
	    bpf_skb_load_bytes(p->skb, p->l4, &type, sizeof(type)))
		return false;
	if (!igmp_may(type, dir))
		return false;
	if (dir == BERM_EGRESS && !is_unspecified(source) && !owns(p->ep, source))
		return false; /* guard_leaving() says why */
	allow(p, BERM_REASON_LINK_LOCAL);
	return true;
}

/* ---- DHCP: a setting of the endpoint ------------------------------------------------------------------ */

#define DHCP_SERVER  67
#define DHCP_CLIENT  68
#define DHCP6_CLIENT 546
#define DHCP6_SERVER 547

static __always_inline bool dhcp_ports(const struct pkt *p)
{
	__be16 client = bpf_htons(p->is_v4 ? DHCP_CLIENT : DHCP6_CLIENT);
	__be16 server = bpf_htons(p->is_v4 ? DHCP_SERVER : DHCP6_SERVER);

	return p->flow.local_port == client && p->flow.peer_port == server;
}

static __always_inline bool guard_dhcp(struct pkt *p, enum berm_dir dir)
{
	const struct berm_addr *local = &p->flow.local;
	bool no_address_yet = p->is_v4 ? is_unspecified(local) : is_link_local6(local);

	if (p->proto != IPPROTO_UDP || !(p->ep->flags & BERM_EP_DHCP) || !dhcp_ports(p))
		return false;
	/* Leaving, it must be the client without an address; entering, the pod's address is not known yet. */
	if (dir == BERM_EGRESS && !(no_address_yet && is_multicast(p, &p->flow.peer)))
		return false;
	allow(p, BERM_REASON_LINK_LOCAL);
	return true;
}

/* ---- whose packet is it ------------------------------------------------------------------------------- */

static __always_inline bool is_isolated(const struct pkt *p, enum berm_dir dir)
{
	__u32 flag = dir == BERM_EGRESS ? BERM_EP_ISOLATED_OUT : BERM_EP_ISOLATED_IN;
	__u32 set = READ(p->ep->set[dir]);

	/* A pod that waits to be judged has no such flag yet, but may have a set: DENY or the essentials. */
	return p->ep->flags & flag || set == BERM_SET_DENY ||
	       (p->ep->flags & BERM_EP_FALLBACK && set != BERM_SET_OPEN);
}

static __always_inline bool guard_ethertype(struct pkt *p, enum berm_dir dir)
{
	if (!is_isolated(p, dir))
		allow(p, BERM_REASON_NOT_ISOLATED);
	else if (p->ep->flags & BERM_EP_ANY_ETHERTYPE)
		allow(p, BERM_REASON_LINK_LOCAL);
	else
		deny(p, BERM_REASON_FOREIGN_ETHERTYPE);
	return true;
}

/* Later fragments carry no ports: they pass where nobody asks for any, else they follow the first one. */
static __always_inline bool guard_fragment(struct pkt *p, enum berm_dir dir)
{
	if (p->kind != PKT_FRAGMENT)
		return false;
	if (is_choosy(p->ep, dir))
		(void)fragment_follow(p, dir);
	else
		allow(p, BERM_REASON_NOT_ISOLATED);
	return true;
}

static __always_inline bool guard_leaving(struct pkt *p)
{
	const struct berm_addr *source = &p->flow.local;

	if (is_loopback(p, source))
		deny(p, BERM_REASON_LOOPBACK_SOURCE);
	else if (!(p->ep->flags & BERM_EP_ALLOW_SPOOF) && !owns(p->ep, source))
		deny(p, BERM_REASON_SPOOFED_SOURCE);
	else
		return false;
	return true;
}

/* Bridges flood: what is not for this pod is dropped without a word. */
static __always_inline bool guard_entering(struct pkt *p)
{
	const struct berm_addr *target = &p->flow.local;
	bool is_unicast = !p->is_group && !is_multicast(p, target);

	if (is_loopback(p, &p->flow.peer))
		deny(p, BERM_REASON_LOOPBACK_SOURCE);
	else if (is_unicast && !(p->ep->flags & BERM_EP_ALLOW_SPOOF) && !owns(p->ep, target))
		deny(p, BERM_REASON_NOT_FOR_POD);
	else
		return false;
	return true;
}

static __always_inline bool guard_own_address(struct pkt *p)
{
	if (!has_address(p->ep, &p->flow.peer))
		return false;
	allow(p, BERM_REASON_OWN_ADDRESS);
	return true;
}

/* ---- the node itself ------------------------------------------------------------------------------------ */

static __always_inline bool is_made_here(const struct pkt *p)
{
	if (cfg_explain)
		return !p->skb->cb[BERM_CB_IIF] && p->skb->cb[BERM_CB_FLAGS] & BERM_EXPLAIN_HOST;
	return !p->skb->ingress_ifindex && p->skb->sk;
}

/*
 * The node's own traffic to its pod. All three are needed: IPv6 that was put together and fragmented again
 * arrives without an ingress device, masqueraded clients arrive with a node's address, and bridged
 * traffic can carry a socket.
 */
static __always_inline bool guard_host(struct pkt *p)
{
	if (p->found == SESSION_STALE || !is_made_here(p) ||
	    !bpf_map_lookup_elem(&berm_local, &p->flow.peer))
		return false;
	allow(p, BERM_REASON_HOST);
	p->state = BERM_SESSION_HOST;
	return true;
}

/* What left this very pod and comes back to it from an address of the node: it has asked a Service that it is
 * a backend of, and the node has put its own address in front. Seen where the host routes between pods; a
 * bridge stands in between otherwise, and it could be anybody's. */
static __always_inline bool is_from_itself(const struct pkt *p)
{
	__u32 from = p->skb->ingress_ifindex;

	barrier_var(
		from); /* or clang picks one of two addresses in the context, which the verifier refuses */
	if (cfg_explain)
		from = p->skb->cb[BERM_CB_IIF];
	return from == p->skb->ifindex;
}

static __always_inline bool guard_hairpin(struct pkt *p)
{
	if (p->found == SESSION_STALE || !is_from_itself(p) ||
	    !bpf_map_lookup_elem(&berm_local, &p->flow.peer))
		return false;
	allow(p, BERM_REASON_HAIRPIN);
	p->state = BERM_SESSION_HOST;
	return true;
}

static __always_inline bool guard_flow(struct pkt *p, enum berm_dir dir)
{
	if (!p->is_v4 && p->proto == IPPROTO_ICMPV6 && p->kind == PKT_FLOW && guard_icmp6(p, dir))
		return true;
	if (guard_igmp(p, dir) || guard_dhcp(p, dir))
		return true;
	if (dir == BERM_EGRESS ? guard_leaving(p) : guard_entering(p))
		return true;
	if (dir == BERM_INGRESS && (guard_host(p) || guard_hairpin(p)))
		return true;
	return guard_own_address(p) || guard_fragment(p, dir);
}

static __always_inline bool guard_decides(struct pkt *p, enum berm_dir dir)
{
	if (p->kind == PKT_ARP)
		return guard_arp(p, dir);
	if (p->kind == PKT_FOREIGN)
		return guard_ethertype(p, dir);
	return guard_flow(p, dir);
}

#endif /* BERM_BPF_GUARD_H */
