/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * reject.h - the sender of a rejected packet is told so: RST for TCP (RFC 9293, 3.10.7.1), else ICMP
 * "administratively prohibited" (RFC 1812, 5.2.7.1; RFC 4443, 3.1). The packet itself becomes the answer and
 * goes back by the device it is on, in the name of whom it was for. Knows headers and that a verdict was
 * given, no policy and no session.
 *
 * Nobody is answered who must not be (RFC 1122, 3.2.2; RFC 4443, 2.4): an RST, an ICMP error, what was sent to
 * many or by nobody, later fragments. Nor what cannot be answered in place: tags, IP options, extension headers.
 * Then the packet is dropped, and counted.
 *
 * The answer meets our other hook on its way. It carries a random mark, which that hook takes off; a pod cannot
 * set one: the kernel clears it when a packet leaves its network namespace (skb_scrub_packet).
 */
#ifndef BERM_BPF_REJECT_H
#define BERM_BPF_REJECT_H

#define REJECT_BOTH 0x2 /* beside the direction: TCP of both ends is reset */

struct rejected {     /* the packet as it was */
	__u8 mac[12]; /* destination, source */
	__be16 ethertype;
	__u8 proto;
	__u8 tcp_flags;
	__u32 ip[10]; /* of IPv4 the first 5 */
	__u32 l4[5];  /* of what is not TCP the first 2 */
	__u32 len;    /* of layer 4, in host order */
};

struct answer { /* IP and TCP, or what stands in front of the packet that an ICMP error quotes */
	__u32 w[15];
};

#define IP4_WORDS    5
#define IP6_WORDS    10
#define TCP_WORDS    5
#define ICMP_WORDS   2
#define QUOTED_WORDS 2 /* of layer 4 */

/* ---- may it be answered ------------------------------------------------------------------------------ */

static __always_inline bool icmp_is_answerable(__u8 type, bool v4)
{
	if (v4)
		return type != 3 && type != 4 && type != 5 && type != 11 && type != 12;
	return type >= 128 && type != ND_REDIRECT;
}

static __always_inline bool rejected_ipv4(struct __sk_buff *skb, struct rejected *r)
{
	const struct iphdr *ip = (const struct iphdr *)r->ip;
	__u8 source, destination;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, r->ip, IP4_WORDS * 4))
		return false;
	source = bpf_ntohl(ip->saddr) >> 24;
	destination = bpf_ntohl(ip->daddr) >> 24;
	r->proto = ip->protocol;
	r->len = bpf_ntohs(ip->tot_len) - IP4_WORDS * 4;
	return ip->ihl == 5 && !(ip->frag_off & bpf_htons(FRAG_OFFSET)) && source &&
	       source != 127 && source < 224 && destination < 224;
}

static __always_inline bool rejected_ipv6(struct __sk_buff *skb, struct rejected *r)
{
	const struct ipv6hdr *ip = (const struct ipv6hdr *)r->ip;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, r->ip, IP6_WORDS * 4))
		return false;
	r->proto = ip->nexthdr;
	r->len = bpf_ntohs(ip->payload_len);
	return !is_ipv6_ext(r->proto) && (r->ip[2] | r->ip[3] | r->ip[4] | r->ip[5]) &&
	       (r->ip[2] & bpf_htonl(0xff000000)) != bpf_htonl(0xff000000) &&
	       (r->ip[6] & bpf_htonl(0xff000000)) != bpf_htonl(0xff000000);
}

static __always_inline bool rejected_l4(struct __sk_buff *skb, struct rejected *r, __u32 off,
					bool v4)
{
	if (r->proto == IPPROTO_TCP) {
		if (bpf_skb_load_bytes(skb, off, r->l4, TCP_WORDS * 4))
			return false;
		r->tcp_flags = bpf_ntohl(r->l4[3]) >> 16;
		return !(r->tcp_flags & TCP_RST);
	}
	if (bpf_skb_load_bytes(skb, off, r->l4, QUOTED_WORDS * 4))
		return false;
	return r->proto != (v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6) ||
	       icmp_is_answerable(bpf_ntohl(r->l4[0]) >> 24, v4);
}

/* False: nobody is answered. */
static __always_inline bool rejected_read(struct __sk_buff *skb, struct rejected *r)
{
	bool v4;

	if (skb->vlan_present || bpf_skb_load_bytes(skb, 0, r->mac, ETH_HLEN) || r->mac[0] & 1 ||
	    r->mac[6] & 1)
		return false;
	v4 = r->ethertype == bpf_htons(ETH_P_IP);
	if (!v4 && r->ethertype != bpf_htons(ETH_P_IPV6))
		return false;
	if (v4 ? !rejected_ipv4(skb, r) : !rejected_ipv6(skb, r))
		return false;
	return v4 ? rejected_l4(skb, r, ETH_HLEN + IP4_WORDS * 4, true)
		  : rejected_l4(skb, r, ETH_HLEN + IP6_WORDS * 4, false);
}
_Static_assert(offsetof(struct rejected, ethertype) == 12, "the Ethernet header is read at once");

/* ---- how many ------------------------------------------------------------------------------------------ */

/* So many of a pod in a second, on each CPU. */
static __always_inline bool reject_is_limited(__u32 slot)
{
	struct berm_rejects *r = bpf_map_lookup_elem(&berm_rejects, &slot);
	__u32 now = clock_now();

	if (!r)
		return true;
	if (now - r->since >= cfg_hz) {
		r->since = now;
		r->count = 0;
	}
	return r->count++ >= BERM_REJECTS_PER_S;
}

/* ---- what is said ---------------------------------------------------------------------------------------- */

static __always_inline __u16 checksum(const __u32 *from, __u32 size, __u32 seed)
{
	__u64 sum = (__u32)bpf_csum_diff(NULL, 0, (__u32 *)from, size, seed);

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~sum;
}

/* Sum of the pseudo header of an answer: addresses, length, protocol. */
static __always_inline __u32 pseudo_sum(const struct answer *a, bool v4, __u32 len, __u8 proto)
{
	__u32 sum = (__u32)bpf_csum_diff(NULL, 0, (__u32 *)&a->w[v4 ? 3 : 2], v4 ? 8 : 32,
					 bpf_htonl(len + proto));

	return sum;
}

/* is_back: to its sender, else on to where it was going. */
static __always_inline void answer_ipv4(struct answer *a, const struct rejected *r, __u32 len,
					__u8 proto, bool is_back)
{
	struct iphdr *ip = (struct iphdr *)a->w;

	a->w[0] = bpf_htonl(0x45000000 | (IP4_WORDS * 4 + len));
	a->w[1] = bpf_htonl(0x4000); /* may not be cut into pieces, so it needs no id */
	a->w[2] = bpf_htonl(64u << 24 | (__u32)proto << 16);
	a->w[3] = r->ip[is_back ? 4 : 3];
	a->w[4] = r->ip[is_back ? 3 : 4];
	ip->check = checksum(a->w, IP4_WORDS * 4, 0);
}

static __always_inline void answer_ipv6(struct answer *a, const struct rejected *r, __u32 len,
					__u8 proto, bool is_back)
{
	a->w[0] = bpf_htonl(0x60000000);
	a->w[1] = bpf_htonl(len << 16 | (__u32)proto << 8 | 64);
#pragma unroll
	for (int i = 0; i < 4; i++) {
		a->w[2 + i] = r->ip[(is_back ? 6 : 2) + i];
		a->w[6 + i] = r->ip[(is_back ? 2 : 6) + i];
	}
}

static __always_inline void answer_ip(struct answer *a, const struct rejected *r, bool v4,
				      __u32 len, __u8 proto, bool is_back)
{
	if (v4)
		answer_ipv4(a, r, len, proto, is_back);
	else
		answer_ipv6(a, r, len, proto, is_back);
}

/* Sequence numbers that a segment takes. */
static __always_inline __u32 segment_length(const struct rejected *r)
{
	__u32 header = (bpf_ntohl(r->l4[3]) >> 28) * 4;

	return r->len - header + bit_of(r->tcp_flags, TCP_SYN) + bit_of(r->tcp_flags, TCP_FIN);
}

/* Back: what a closed port says. On: what the sender says that gives up. */
static __always_inline void answer_tcp(struct answer *a, const struct rejected *r, bool v4,
				       bool is_back)
{
	__u32 *t = &a->w[v4 ? IP4_WORDS : IP6_WORDS];
	bool has_ack = r->tcp_flags & TCP_ACK;
	__u32 flags = TCP_RST;

	answer_ip(a, r, v4, TCP_WORDS * 4, IPPROTO_TCP, is_back);
	t[0] = r->l4[0];
	t[1] = r->l4[1];
	t[2] = 0;
	if (is_back) {
		t[0] = r->l4[0] << 16 | r->l4[0] >> 16;
		t[1] = has_ack ? r->l4[2] : 0;
	}
	if (is_back && !has_ack) {
		t[2] = bpf_htonl(bpf_ntohl(r->l4[1]) + segment_length(r));
		flags |= TCP_ACK;
	} else if (!is_back && has_ack) {
		t[2] = r->l4[2];
		flags |= TCP_ACK;
	}
	t[3] = bpf_htonl(5u << 28 | flags << 16);
	t[4] = 0;
	*(__u16 *)&t[4] = checksum(t, TCP_WORDS * 4, pseudo_sum(a, v4, TCP_WORDS * 4, IPPROTO_TCP));
}

static __always_inline void answer_icmp(struct answer *a, const struct rejected *r, bool v4)
{
	__u32 ip_words = v4 ? IP4_WORDS : IP6_WORDS;
	__u32 size = (ICMP_WORDS + ip_words + QUOTED_WORDS) * 4;
	__u8 proto = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	__u32 *icmp = &a->w[ip_words];
	__u32 sum = 0;

	answer_ip(a, r, v4, size, proto, true);
	icmp[0] = bpf_htonl(v4 ? 3u << 24 | 13 << 16 : 1u << 24 | 1 << 16);
	icmp[1] = 0;
	if (!v4)
		sum = pseudo_sum(a, v4, size, proto);
	sum = (__u32)bpf_csum_diff(NULL, 0, (__u32 *)r->ip, ip_words * 4, sum);
	sum = (__u32)bpf_csum_diff(NULL, 0, (__u32 *)r->l4, QUOTED_WORDS * 4, sum);
	((__u16 *)icmp)[1] = checksum(icmp, ICMP_WORDS * 4, sum);
}

/* ---- the packet becomes it --------------------------------------------------------------------------------- */

/* More than a checksum's start can lie behind the Ethernet header, in two steps. */
#define SHED_FIRST 60
#define SHED_REST  4

/*
 * A frame of `size` bytes without offloads, whose checksum is what is written into it. Where the kernel is yet
 * to compute one (CHECKSUM_PARTIAL), it would do so at the old place. It forgets that when something is taken
 * off a packet from the front while the place lies before its start already (skb_postpull_rcsum): hence two
 * steps. Whether it has, a change to a checksum tells, which is not made in a packet of that kind.
 */
static __always_inline bool frame_make(struct __sk_buff *skb, __u32 size)
{
	__u16 before = 0, after = 0;

	if (bpf_skb_change_tail(skb, size + SHED_FIRST + SHED_REST, 0) ||
	    bpf_skb_adjust_room(skb, -SHED_FIRST, BPF_ADJ_ROOM_MAC, 0) ||
	    bpf_skb_adjust_room(skb, -SHED_REST, BPF_ADJ_ROOM_MAC, 0) ||
	    bpf_skb_store_bytes(skb, ETH_HLEN, &before, sizeof(before), 0) ||
	    bpf_l4_csum_replace(skb, ETH_HLEN, 0, 1, sizeof(before)) ||
	    bpf_skb_load_bytes(skb, ETH_HLEN, &after, sizeof(after)))
		return false;
	return before != after;
}

static __always_inline bool frame_write(struct __sk_buff *skb, const struct rejected *r,
					const struct answer *a, __u32 size, bool is_back)
{
	return !bpf_skb_store_bytes(skb, 0, &r->mac[is_back ? 6 : 0], 6, 0) &&
	       !bpf_skb_store_bytes(skb, 6, &r->mac[is_back ? 0 : 6], 6, 0) &&
	       !bpf_skb_store_bytes(skb, ETH_HLEN, a, size,
				    BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH);
}

/* Behind what frame_write() has written. */
static __always_inline bool frame_quote(struct __sk_buff *skb, const struct rejected *r,
					__u32 ip_words)
{
	__u32 off = ETH_HLEN + (ip_words + ICMP_WORDS) * 4;

	return !bpf_skb_store_bytes(skb, off, r->ip, ip_words * 4, BPF_F_RECOMPUTE_CSUM) &&
	       !bpf_skb_store_bytes(skb, off + ip_words * 4, r->l4, QUOTED_WORDS * 4,
				    BPF_F_RECOMPUTE_CSUM);
}

static __always_inline __u64 way_back(__u32 how)
{
	return (how & 1) == BERM_EGRESS ? 0 : BPF_F_INGRESS;
}

/* Both ends of a connection: one answer goes back as a copy, the packet itself goes on. */
static __always_inline int reset_both(struct __sk_buff *skb, const struct rejected *r,
				      struct answer *a, bool v4, __u32 how)
{
	__u32 size = ((v4 ? IP4_WORDS : IP6_WORDS) + TCP_WORDS) * 4;

	answer_tcp(a, r, v4, true);
	if (!frame_make(skb, ETH_HLEN + size) || !frame_write(skb, r, a, size, true))
		return VERDICT_DROP;
	skb->mark = READ(berm_node.mark);
	(void)bpf_clone_redirect(skb, skb->ifindex, way_back(how)); /* lost like any packet */
	skb->mark = 0;
	answer_tcp(a, r, v4, false);
	account_stat(BERM_STAT_SESSION_RESET);
	return frame_write(skb, r, a, size, false) ? VERDICT_NEXT : VERDICT_DROP;
}

static __always_inline int answer_one(struct __sk_buff *skb, const struct rejected *r,
				      struct answer *a, bool v4, __u32 how)
{
	__u32 ip_words = v4 ? IP4_WORDS : IP6_WORDS, size;
	bool ok;

	if (r->proto == IPPROTO_TCP) {
		size = (ip_words + TCP_WORDS) * 4;
		answer_tcp(a, r, v4, true);
		ok = frame_make(skb, ETH_HLEN + size) && frame_write(skb, r, a, size, true);
	} else {
		size = (ip_words + ICMP_WORDS) * 4;
		answer_icmp(a, r, v4);
		ok = frame_make(skb, ETH_HLEN + size + (ip_words + QUOTED_WORDS) * 4) &&
		     frame_write(skb, r, a, size, true) && frame_quote(skb, r, ip_words);
	}
	if (!ok) {
		account_stat(BERM_STAT_REJECT_SILENT);
		return VERDICT_DROP;
	}
	skb->mark = READ(berm_node.mark);
	account_stat(BERM_STAT_REJECT_SENT);
	return bpf_redirect(skb->ifindex, way_back(how));
}

static __always_inline int reject_as(struct __sk_buff *skb, const struct rejected *r, bool v4,
				     __u32 how)
{
	struct answer a = {};

	if (how & REJECT_BOTH && r->proto == IPPROTO_TCP)
		return reset_both(skb, r, &a, v4, how);
	return answer_one(skb, r, &a, v4, how);
}

/* `how`: enum berm_dir, REJECT_BOTH. What the program ends with. Global: proved once, whatever led here. */
__noinline int reject(struct __sk_buff *skb, __u32 how, __u32 slot)
{
	struct rejected r = {};

	if (!READ(berm_node.mark) || !rejected_read(skb, &r)) {
		account_stat(BERM_STAT_REJECT_SILENT);
		return VERDICT_DROP;
	}
	if (reject_is_limited(slot)) {
		account_stat(BERM_STAT_REJECT_LIMITED);
		return VERDICT_DROP;
	}
	return r.ethertype == bpf_htons(ETH_P_IP) ? reject_as(skb, &r, true, how)
						  : reject_as(skb, &r, false, how);
}

/* ---- an answer passes -------------------------------------------------------------------------------------- */

static __always_inline bool is_answer(const struct __sk_buff *skb)
{
	__u32 mark = READ(berm_node.mark);

	return mark && skb->mark == mark;
}

/* Made by our other hook: nobody is asked about it. */
static __always_inline bool answer_passes(struct pkt *p)
{
	if (cfg_explain || !is_answer(p->skb))
		return false;
	p->skb->mark = 0;
	allow(p, BERM_REASON_REJECTION);
	return true;
}

#endif /* BERM_BPF_REJECT_H */
