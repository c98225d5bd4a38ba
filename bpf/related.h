/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * related.h - ICMP errors, judged by the packet that they quote: about a living session of this pod they
 * pass, for without them path MTU discovery fails silently. Knows ICMP and sessions, no policy: what quotes
 * anything else is an ICMP message like others.
 *
 * The session is only looked at. A forged error must not keep it alive, and cannot make one.
 */
#ifndef BERM_BPF_RELATED_H
#define BERM_BPF_RELATED_H

#define ICMP_UNREACHABLE 3
#define ICMP_EXCEEDED	 11
#define ICMP_PARAMETER	 12
#define ICMP6_ERROR_LAST 4 /* unreachable, too big, time exceeded, parameter problem are 1 to 4 */

static __always_inline bool is_icmp_error(const struct pkt *p)
{
	__u8 type = p->icmp_type;

	if (!is_icmp(p))
		return false;
	if (!p->is_v4)
		return type && type <= ICMP6_ERROR_LAST;
	return type == ICMP_UNREACHABLE || type == ICMP_EXCEEDED || type == ICMP_PARAMETER;
}

/* `dir` is the way that the quoted packet had gone: against that of the error. */
static __always_inline bool quoted_ipv4(struct pkt *quoted, __u32 off, enum berm_dir dir)
{
	struct iphdr ip;

	if (bpf_skb_load_bytes(quoted->skb, off, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5)
		return false;
	set_source(quoted, 0, mapped_v4(ip.saddr), dir);
	set_destination(quoted, 0, mapped_v4(ip.daddr), dir);
	quoted->is_v4 = 1;
	quoted->proto = ip.protocol;
	quoted->frag_off = ip.frag_off;
	quoted->l4 = off + ip.ihl * 4;
	return true;
}

static __always_inline bool quoted_ipv6(struct pkt *quoted, __u32 off, enum berm_dir dir)
{
	struct berm_addr *src = dir == BERM_EGRESS ? &quoted->flow.local : &quoted->flow.peer;
	struct berm_addr *dst = dir == BERM_EGRESS ? &quoted->flow.peer : &quoted->flow.local;
	__u8 start[8];

	if (bpf_skb_load_bytes(quoted->skb, off, start, sizeof(start)) || start[0] >> 4 != 6 ||
	    bpf_skb_load_bytes(quoted->skb, off + 8, src, sizeof(*src)) ||
	    bpf_skb_load_bytes(quoted->skb, off + 24, dst, sizeof(*dst)))
		return false;
	quoted->proto = start[6];
	quoted->l4 = off + sizeof(struct ipv6hdr);
	return ipv6_walk(quoted);
}

/* No more than 8 bytes need be quoted (RFC 792): the ports, or of an echo type and id. */
static __always_inline bool quoted_l4(struct pkt *quoted, enum berm_dir dir)
{
	union l4_header h = {};
	__u32 ports = 0;

	if (bpf_skb_load_bytes(quoted->skb, quoted->l4, &h, 8))
		return false;
	if (is_icmp(quoted)) {
		ports = icmp_parse(quoted, &h, dir);
		if (!(quoted->flags &
		      PKT_RIDES)) /* no error about an error, and else there is no session */
			return false;
	} else if (l4_size(quoted->proto)) {
		ports = pod_view(h.word[0], dir);
	}
	quoted->flow.q[4] = HALVES(ports, quoted->skb->ifindex << 8 | quoted->proto);
	return true;
}

static __always_inline bool quoted_parse(struct pkt *quoted, __u32 off, enum berm_dir dir)
{
	if (!(quoted->is_v4 ? quoted_ipv4(quoted, off, dir) : quoted_ipv6(quoted, off, dir)))
		return false;
	return !is_later_fragment(quoted) && quoted_l4(quoted, dir);
}

/*
 * Rule of the living session that the packet quoted at `off` belongs to, 0 = there is none. An error goes to
 * whoever has sent the packet that it quotes: `sender`, the halves of an address. Whom it comes from does not matter on the
 * way in (any router), and has been looked at by the guard on the way out.
 */
static __always_inline __u32 quoted_rule(struct pkt *quoted, __u32 off, enum berm_dir dir,
					 const __u64 *sender)
{
	const __u64 *from = &quoted->flow.q[dir == BERM_EGRESS ? 2 : 0];
	struct session_view view = {};

	if (!quoted_parse(quoted, off, dir) || from[0] != sender[0] || from[1] != sender[1])
		return 0;
	return session_peek(&quoted->flow, clock_now(), &view) ? view.rule : 0;
}

#define RELATED_V4 0x80000000u /* in `where`, beside the offset of the quoted packet */

/* Global functions: the verifier proves them once, and not for every way that leads here. They cost a call
 * more, which only errors pay. */
__noinline int related_entering(struct __sk_buff *skb, __u32 where, __u64 a, __u64 b)
{
	struct pkt quoted = { .skb = skb, .is_v4 = where >> 31 };
	__u64 sender[2] = { a, b };

	return quoted_rule(&quoted, where & ~RELATED_V4, BERM_EGRESS, sender);
}

__noinline int related_leaving(struct __sk_buff *skb, __u32 where, __u64 a, __u64 b)
{
	struct pkt quoted = { .skb = skb, .is_v4 = where >> 31 };
	__u64 sender[2] = { a, b };

	return quoted_rule(&quoted, where & ~RELATED_V4, BERM_INGRESS, sender);
}

/* Does a session answer for this packet? Nobody else is asked then. */
static __always_inline bool related_admits(struct pkt *p, enum berm_dir dir)
{
	__u32 where = p->l4 + 8, rule;

	if (!is_icmp_error(p) || is_first_fragment(p))
		return false;
	if (p->is_v4)
		where |= RELATED_V4;
	rule = dir == BERM_INGRESS ? related_entering(p->skb, where, p->flow.q[2], p->flow.q[3])
				   : related_leaving(p->skb, where, p->flow.q[0], p->flow.q[1]);
	if (!rule)
		return false;
	allow(p, BERM_REASON_RELATED);
	p->rule = rule;
	return true;
}

#endif /* BERM_BPF_RELATED_H */
