/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * tcp.h - what TCP flags mean to a session: may this segment ride on it, does it move it on. No sequence
 * numbers and no windows: a transition table of RFC 9293's states will stand here.
 */
#ifndef BERM_BPF_TCP_H
#define BERM_BPF_TCP_H

static __always_inline bool tcp_is_syn(const struct pkt *p)
{
	return (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN; /* 0 for what is not TCP */
}

static __always_inline bool tcp_is_end(const struct pkt *p)
{
	return p->tcp_flags & (TCP_FIN | TCP_RST);
}

/* In the middle of a flow: somebody must have opened it before. */
static __always_inline bool tcp_is_middle(const struct pkt *p)
{
	return p->proto == IPPROTO_TCP && !tcp_is_syn(p);
}

/* Does it count as the opener speaking again? A repeated SYN does not: it may be spoofed like the first. */
static __always_inline bool tcp_proves_opener(const struct pkt *p)
{
	return p->proto != IPPROTO_TCP || (p->tcp_flags & (TCP_SYN | TCP_RST | TCP_ACK)) == TCP_ACK;
}

static __always_inline bool tcp_is_answer(const struct pkt *p)
{
	return !(p->tcp_flags & TCP_RST);
}

#endif /* BERM_BPF_TCP_H */
