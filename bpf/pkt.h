/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * pkt.h - turn an skb into a struct pkt: the session key from the pod's point of view, and what the later
 * steps want to know of the headers. Knows headers, knows no policy and no map.
 *
 * Never changes the skb. A header is read in place when it is in the linear part, else copied out of the
 * fragments, so TSO and GRO packets, whose payload is not linear, cost nothing extra.
 */
#ifndef BERM_BPF_PKT_H
#define BERM_BPF_PKT_H

#include "wire.h"

/* What a packet is to us. "Not IP" and "broken IP" must never be treated alike. */
enum pkt_kind {
	PKT_MALFORMED,
	PKT_FLOW,     /* IP with everything we need of layer 4 */
	PKT_FRAGMENT, /* a later fragment: addresses, but no ports */
	PKT_ARP,
	PKT_FOREIGN,
};

/* What the packet may do with sessions. */
#define PKT_RIDES  0x1	/* may belong to one */
#define PKT_OPENS  0x2	/* may open one */
#define PKT_RESETS 0x4	/* ends one, for both sides */
#define PKT_EXTRAS 0x8	/* the rule that decided wants more than a verdict: limit.h */
#define PKT_LOGGED 0x10 /* its event was asked for */

/* What was found in the session table. */
enum pkt_session {
	SESSION_NONE,
	SESSION_STALE,	 /* an entry of an older epoch: judge its opener's direction again */
	SESSION_REPLACE, /* an entry that is over: a new one takes its place */
	SESSION_CROSSED	 /* a SYN of the side that was asked, while its answer is awaited */
};

struct pkt {
	struct __sk_buff *skb;
	union flow flow;
	__u64 hash;
	struct berm_endpoint *ep;
	struct berm_bucket *bucket; /* of the entry found; NULL = none */
	__u32 now;		    /* jiffies */
	__u32 slot;
	__u32 epoch; /* read before set and class: an entry never looks fresher than its verdict */
	__u32 l4;    /* offset of layer 4 */
	__u32 frag_id;	    /* in network order; says something only if frag_off does */
	__be16 frag_off;    /* as in IPv4: 3 flags, offset in 8 bytes */
	__u16 frag_headers; /* bytes between the fragment header and layer 4 */
	__u32 end; /* where layer 3 says that the packet ends: behind it may be padding (PKT_FLOW) */
	union {
		__u32 app; /* with cfg_apps, until the session is remembered: what it carries, as in its rule */
		__u32 would; /* from then on: index of the rule by which audit policies would decide otherwise; 0 = none */
	};
	union {
		struct {
			__u32 way;  /* in that bucket */
			__u32 rule; /* id */
			__u32 hit;  /* index of the rule in berm_rules, 0 = none */
			__u32 cls;  /* peer class */
		};
		__u64 ids[2];
	};
	union {
		struct {
			__u16 state; /* BERM_SESSION_* of the entry found, or of the one to be made */
			__u8 kind;   /* enum pkt_kind */
			__u8 proto;
			__u8 flags; /* PKT_RIDES, PKT_OPENS, PKT_RESETS */
			__u8 is_v4;
			__u8 tcp_flags; /* of SCTP what its first chunk is like: SYN, FIN, RST */
			__u8 icmp_type;
			__u8 icmp_code;
			__u8 hop_limit;
			__u8 is_group; /* sent to a multicast or broadcast MAC */
			__u8 found;    /* enum pkt_session */
			__u8 opener;   /* enum berm_dir: who opened the flow */
			__u8 is_new;   /* a session was recorded */
			union {
				struct {
					__u8 action; /* enum berm_action */
					__u8 reason; /* enum berm_reason */
				};
				__u16 verdict; /* both */
			};
		};
		__u64 facts[2];
	};
};

#define VERDICT_NEXT (-1) /* TCX_NEXT, TC_ACT_UNSPEC: the programs after us decide too */
#define VERDICT_DROP 2	  /* TCX_DROP, TC_ACT_SHOT */
/* (TCX_REDIRECT, TC_ACT_REDIRECT is what bpf_redirect() answers: bpf/reject.h) */

/* Where paths meet: from here on the verifier follows one. */
static __always_inline void pkt_forget(struct pkt *p)
{
	p->facts[0] = unknown(p->facts[0]);
	p->facts[1] = unknown(p->facts[1]);
	p->ids[0] = unknown(p->ids[0]);
	p->ids[1] = unknown(p->ids[1]);
	if (cfg_apps)
		p->app = unknown(p->app);
}

static __always_inline void verdict_set(struct pkt *p, enum berm_action action,
					enum berm_reason reason)
{
	p->action = action;
	p->reason = reason;
	p->rule = reason;
}

static __always_inline void allow(struct pkt *p, enum berm_reason reason)
{
	verdict_set(p, BERM_ACTION_ALLOW, reason);
}

static __always_inline void deny(struct pkt *p, enum berm_reason reason)
{
	verdict_set(p, BERM_ACTION_DENY, reason);
}

static __always_inline bool is_allowed(const struct pkt *p)
{
	return p->action == BERM_ACTION_ALLOW;
}

#define OFFSET_MASK 0x3fff /* two tags, IPv6 and six extension headers of 2,048 bytes stay below */

/* The header of `size` bytes at `off`: in the packet, or copied to `room`; NULL if the packet ends before. */
static __always_inline void *header(struct __sk_buff *skb, __u32 off, __u32 size, void *room)
{
	void *start = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;
	void *hdr;

	barrier_var(off); /* old verifiers forget the bounds of what has been on the stack */
	off &= OFFSET_MASK;
	hdr = start + off;
	if (hdr + size <= end)
		return hdr;
	return bpf_skb_load_bytes(skb, off, room, size) ? NULL : room;
}

/* ---- layer 4 ---------------------------------------------------------------------------------------- */

/* Enough of any header of layer 4: the fixed part of TCP. */
union l4_header {
	__u32 word[5];
	__be16 half[10];
	__u8 byte[20];
};

/* source << 16 | destination as they lie in the packet, in memory order -> local, peer. */
static __always_inline __u32 pod_view(__u32 ports, enum berm_dir dir)
{
	return dir == BERM_EGRESS ? ports : ports << 16 | ports >> 16;
}

static __always_inline __u32 two_ports(__be16 local, __be16 peer)
{
	union {
		__be16 port[2];
		__u32 both;
	} u = { .port = { local, peer } };

	return u.both;
}

static __always_inline bool tcp_parse(struct pkt *p, const union l4_header *h)
{
	__u32 flags = h->byte[13], opens;

	if (h->byte[12] < 5 << 4) /* data offset */
		return false;
	if (flags & TCP_SYN && flags & (TCP_FIN | TCP_RST))
		return false;
	p->tcp_flags = flags;
	/* The end of a flow that we do not know opens nothing, nor does what no TCP sends. (No branch.) */
	opens = (flags / TCP_SYN | flags / TCP_ACK) & ~(flags / TCP_FIN | flags / TCP_RST) & 1;
	barrier_var(opens);
	p->flags = PKT_RIDES | opens * PKT_OPENS;
	return true;
}

/*
 * An echo's key holds its id on the asker's side and the type of the request on the other, so that the two
 * directions of pinging are two sessions. Other ICMP rides on nothing: each message is judged by itself.
 */
static __always_inline __u32 icmp_parse(struct pkt *p, const union l4_header *h, enum berm_dir dir)
{
	__u8 ask = p->is_v4 ? ICMP_ECHO_ASK : ICMP6_ECHO_ASK;
	__u8 answer = p->is_v4 ? ICMP_ECHO_ANSWER : ICMP6_ECHO_ANSWER;
	__be16 id = h->half[2];
	__be16 type = bpf_htons(ask);

	p->icmp_type = h->byte[0];
	p->icmp_code = h->byte[1];
	if (p->icmp_type != ask && p->icmp_type != answer) {
		type = bpf_htons(p->icmp_type << 8 | p->icmp_code);
		return two_ports(type, type);
	}
	p->flags = p->icmp_type == ask ? PKT_RIDES | PKT_OPENS : PKT_RIDES;
	return (dir == BERM_EGRESS) == (p->icmp_type == ask) ? two_ports(id, type)
							     : two_ports(type, id);
}

/* Chunk types, each a bit (RFC 9260, 3.2); those from 16 on are none of these. */
#define SCTP_INIT 0x0002
/* INIT ACK, HEARTBEAT ACK, ABORT, SHUTDOWN, SHUTDOWN ACK, ERROR, COOKIE ACK, SHUTDOWN COMPLETE */
#define SCTP_OPENS_NOTHING 0x4be4
#define SCTP_CLOSES	   0x0180 /* SHUTDOWN, SHUTDOWN ACK */
#define SCTP_ENDS	   0x4040 /* ABORT, SHUTDOWN COMPLETE */

/*
 * The first chunk says what an SCTP packet is. An INIT is to a session what a SYN is: never an answer. What
 * answers or ends an association that we do not know opens nothing; everything else may, like a datagram.
 */
static __always_inline bool sctp_parse(struct pkt *p)
{
	__u32 is_known, bars, flags;
	__u8 type;

	if (bpf_skb_load_bytes(p->skb, p->l4 + 12, &type, sizeof(type)))
		return false;
	is_known = (((__u32)type >> 4) - 1) >> 31;
	bars = (SCTP_OPENS_NOTHING >> (type & 15)) & is_known;
	flags = (SCTP_INIT >> (type & 15) & is_known) * TCP_SYN |
		(SCTP_CLOSES >> (type & 15) & is_known) * TCP_FIN |
		(SCTP_ENDS >> (type & 15) & is_known) * TCP_RST;
	barrier_var(flags); /* no branches: every one doubles what the verifier has before it */
	barrier_var(bars);
	p->tcp_flags = flags;
	p->flags = PKT_RIDES | (1 - bars) * PKT_OPENS;
	return true;
}

/* Bytes of layer 4 that must be there. */
static __always_inline __u32 l4_size(__u8 proto)
{
	if (proto == IPPROTO_TCP)
		return 20;
	if (proto == IPPROTO_UDP || proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6 ||
	    proto == IPPROTO_IGMP)
		return 8;
	return proto == IPPROTO_SCTP ? 16 : 0; /* common header, header of the first chunk */
}

static __always_inline bool is_icmp(const struct pkt *p)
{
	return p->proto == (p->is_v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

/* `end`: where the IP header says the packet ends. */
static __always_inline bool l4_parse(struct pkt *p, __u32 end, enum berm_dir dir)
{
	__u32 size = l4_size(p->proto);
	union l4_header room = {}, *h;
	__u32 ports = 0;

	p->kind = PKT_FLOW;
	p->flags = PKT_RIDES | PKT_OPENS;
	if (cfg_apps)
		p->end = end;
	if (p->l4 + size > end)
		return false;
	if (p->proto == IPPROTO_TCP) {
		h = header(p->skb, p->l4, 20, &room);
		if (!h || !tcp_parse(p, h))
			return false;
		ports = pod_view(h->word[0], dir);
	} else if (is_icmp(p)) {
		h = header(p->skb, p->l4, 8, &room);
		if (!h)
			return false;
		p->flags = 0;
		ports = icmp_parse(p, h, dir);
	} else if (p->proto == IPPROTO_UDP || p->proto == IPPROTO_SCTP) {
		h = header(p->skb, p->l4, 8, &room);
		if (!h)
			return false;
		ports = pod_view(h->word[0], dir);
		if (p->proto == IPPROTO_SCTP && !sctp_parse(p))
			return false;
	}
	p->flow.q[4] = HALVES(ports, p->skb->ifindex << 8 | p->proto);
	return true;
}

static __always_inline bool is_later_fragment(const struct pkt *p)
{
	return p->frag_off & bpf_htons(FRAG_OFFSET);
}

static __always_inline bool is_first_fragment(const struct pkt *p)
{
	return (p->frag_off & bpf_htons(FRAG_MORE | FRAG_OFFSET)) == bpf_htons(FRAG_MORE);
}

/* Bytes of the datagram that stand before this fragment. */
static __always_inline __u32 fragment_offset(const struct pkt *p)
{
	return (bpf_ntohs(p->frag_off) & FRAG_OFFSET) * 8;
}

static __always_inline bool fragment_parse(struct pkt *p)
{
	p->kind = PKT_FRAGMENT;
	p->flow.q[4] = HALVES(0, p->skb->ifindex << 8 | p->proto);
	return fragment_offset(p) >=
	       l4_size(p->proto); /* else over the header that was judged (RFC 3128) */
}

/* ---- layer 3 ---------------------------------------------------------------------------------------- */

static __always_inline void set_source(struct pkt *p, __u64 a, __u64 b, enum berm_dir dir)
{
	p->flow.q[dir == BERM_EGRESS ? 2 : 0] = a;
	p->flow.q[dir == BERM_EGRESS ? 3 : 1] = b;
}

static __always_inline void set_destination(struct pkt *p, __u64 a, __u64 b, enum berm_dir dir)
{
	p->flow.q[dir == BERM_EGRESS ? 0 : 2] = a;
	p->flow.q[dir == BERM_EGRESS ? 1 : 3] = b;
}

static __always_inline __u64 mapped_v4(__be32 addr)
{
	return HALVES(bpf_htonl(0xffff), addr);
}

/* Where layer 3 ends. BIG TCP packets, made by the kernel's own GRO and TSO, say 0. */
static __always_inline __u32 l3_end(const struct pkt *p, __u32 start, __u32 length, bool is_untold)
{
	return is_untold && p->skb->gso_segs ? p->skb->len : start + length;
}

static __always_inline bool ipv4_parse(struct pkt *p, __u32 off, enum berm_dir dir)
{
	struct iphdr room, *ip = header(p->skb, off, sizeof(*ip), &room);
	__u32 size, length, end;

	if (!ip || ip->version != 4 || ip->ihl < 5)
		return false;
	size = ip->ihl * 4;
	length = bpf_ntohs(ip->tot_len);
	end = l3_end(p, off, length, !length);
	if (end < off + size || end > p->skb->len)
		return false;

	set_source(p, 0, mapped_v4(ip->saddr), dir);
	set_destination(p, 0, mapped_v4(ip->daddr), dir);
	p->is_v4 = 1;
	p->proto = ip->protocol;
	p->hop_limit = ip->ttl;
	p->l4 = off + size;
	p->frag_id = ip->id;
	p->frag_off = ip->frag_off;
	return is_later_fragment(p) ? fragment_parse(p) : l4_parse(p, end, dir);
}

struct ipv6_ext {
	__u8 next;
	__u8 len;	 /* in 8 bytes, without the first 8 (AH: in 4 bytes, without the first 8) */
	__be16 frag_off; /* offset in bytes, the lowest bit: more follow */
	__u32 frag_id;
};

#define IPV6_EXT_MAX 6

struct ipv6_fragment {
	__u32 start; /* what is behind the header; 0 = there is none */
	__u32 off;   /* as in IPv4, host order */
	__u32 id;
};

static __always_inline void ipv6_fragment_parse(struct ipv6_fragment *f, const struct ipv6_ext *ext,
						__u32 start)
{
	__u32 off = bpf_ntohs(ext->frag_off);

	f->start = start;
	f->off = off >> 3 | (off & 1) << 13;
	f->id = ext->frag_id;
}

/* One extension header. A packet that still has a way to go (segments left) is not sent to the address
 * that we would judge: refuse it (for type 0 RFC 5095 says so for everybody). */
static __always_inline bool ipv6_ext_parse(struct pkt *p, const struct ipv6_ext *ext,
					   struct ipv6_fragment *f)
{
	__u8 segments_left = ((const __u8 *)ext)[3];

	if (p->proto == IPPROTO_ROUTING && segments_left)
		return false;
	if (p->proto == IPPROTO_FRAGMENT) {
		if (f->start) /* a fragment of a fragment: nobody makes them */
			return false;
		p->l4 += 8;
		ipv6_fragment_parse(f, ext, p->l4);
	} else {
		p->l4 += p->proto == IPPROTO_AH ? (ext->len + 2) * 4 : (ext->len + 1) * 8;
	}
	p->proto = ext->next;
	return true;
}

/* Past the extension headers, at most IPV6_EXT_MAX of them. Behind the header of a later fragment there is
 * only data. */
static __always_inline bool ipv6_walk(struct pkt *p)
{
	struct ipv6_fragment f = {};
	struct ipv6_ext ext;

#pragma unroll
	for (int i = 0; i < IPV6_EXT_MAX; i++) {
		if (!is_ipv6_ext(p->proto) || f.off & FRAG_OFFSET)
			break;
		if (bpf_skb_load_bytes(p->skb, p->l4, &ext, sizeof(ext)) ||
		    !ipv6_ext_parse(p, &ext, &f))
			return false;
	}
	p->proto = unknown(p->proto); /* the ways through the loop meet */
	p->l4 = unknown(p->l4);
	p->frag_id = unknown(f.id);
	p->frag_off = bpf_htons(unknown(f.off));
	p->frag_headers = p->l4 - unknown(f.start);
	return !is_ipv6_ext(p->proto) || is_later_fragment(p);
}

/* ::ffff:a.b.c.d is our form of an IPv4 address. On the wire nobody has any business with it (RFC 4038,
 * 4.2), and it must not pass for the IPv4 address here. */
static __always_inline bool is_mapped_v4(const word64 *addr)
{
	return !(addr[0] | (FIRST_HALF(addr[1]) ^ bpf_htonl(0xffff)));
}

static __always_inline bool ipv6_parse(struct pkt *p, __u32 off, enum berm_dir dir)
{
	struct ipv6hdr room __attribute__((aligned(8))),
		*ip = header(p->skb, off, sizeof(*ip), &room);
	__u32 end, length;
	const word64 *src, *dst;

	if (!ip || ip->version != 6)
		return false;
	length = bpf_ntohs(ip->payload_len);
	end = l3_end(p, off + sizeof(*ip), length, !length);
	if (end > p->skb->len)
		return false;

	src = (const word64 *)&ip->saddr;
	dst = (const word64 *)&ip->daddr;
	if (is_mapped_v4(src) || is_mapped_v4(dst))
		return false;
	set_source(p, src[0], src[1], dir);
	set_destination(p, dst[0], dst[1], dir);
	p->proto = ip->nexthdr;
	p->hop_limit = ip->hop_limit;
	p->l4 = off + sizeof(*ip);
	if (is_ipv6_ext(p->proto) && !ipv6_walk(p))
		return false;
	if (p->l4 > end)
		return false;
	return is_later_fragment(p) ? fragment_parse(p) : l4_parse(p, end, dir);
}

/* ---- layer 2 ---------------------------------------------------------------------------------------- */

/*
 * The kernel moves the outer tag of a received frame into the skb (skb_vlan_untag), so h_proto is already
 * the inner type there; what stands in the packet is one tag of a frame that was tagged twice, or both.
 */
static __always_inline bool vlan_parse(struct pkt *p, __be16 *ethertype, __u32 *off)
{
	struct vlan_header tag;

#pragma unroll
	for (int i = 0; i < 2; i++) {
		if (!is_vlan(*ethertype))
			return true;
		if (bpf_skb_load_bytes(p->skb, *off, &tag, sizeof(tag)))
			return false;
		*ethertype = tag.ethertype;
		*off += sizeof(tag);
	}
	return true;
}

static __always_inline bool l3_parse(struct pkt *p, __be16 ethertype, __u32 off, enum berm_dir dir)
{
	if (ethertype == bpf_htons(ETH_P_IP))
		return ipv4_parse(p, off, dir);
	if (ethertype == bpf_htons(ETH_P_IPV6))
		return ipv6_parse(p, off, dir);
	p->l4 = off;
	p->kind = ethertype == bpf_htons(ETH_P_ARP) ? PKT_ARP : PKT_FOREIGN;
	return true;
}

static __always_inline void pkt_parse(struct pkt *p, enum berm_dir dir)
{
	void *end = (void *)(long)p->skb->data_end;
	struct ethhdr *eth = (void *)(long)p->skb->data; /* always linear at this hook */
	__u32 off = sizeof(*eth);
	__be16 ethertype;
	bool ok;

	if ((void *)(eth + 1) > end)
		return;
	p->is_group = eth->h_dest[0] & 1;
	ethertype = eth->h_proto;
	ok = !is_vlan(ethertype) || vlan_parse(p, &ethertype, &off);
	if (!ok || !l3_parse(p, ethertype, off, dir))
		p->kind = PKT_MALFORMED;
}

#endif /* BERM_BPF_PKT_H */
