/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * tcp.h - TCP as seen from beside: what a segment means to the connection it belongs to. One table says for
 * every segment, of either side, whether a TCP could have sent it there, and what it adds to the state.
 *
 * The states are those of RFC 9293 (3.3.2), of both ends at once, as bits that are only added:
 *
 *	SYN-SENT            OPEN                      FIN-WAIT-1, CLOSE-WAIT  + OPENER_FIN
 *	SYN-RECEIVED        + ANSWERED                FIN-WAIT-2, CLOSE-WAIT  + OPENER_ACKED
 *	ESTABLISHED         + ESTABLISHED             CLOSING, LAST-ACK       + ANSWERER_FIN
 *	closed by RST       RESET (comes and goes)    TIME-WAIT               + ANSWERER_ACKED
 *
 * and the same with the sides exchanged. Knows neither sequence numbers nor windows: so an RST ends nothing
 * at once, and whoever goes on speaking after it has not been reset. Knows no clock and no table.
 */
#ifndef BERM_BPF_TCP_H
#define BERM_BPF_TCP_H

/* What tcp_next() answers besides a state. */
#define TCP_ILLEGAL 0x10000

enum tcp_segment {
	TCP_SEG_NONE, /* neither SYN, RST nor ACK: nobody sends it, not even with a FIN */
	TCP_SEG_ACK,  /* data too */
	TCP_SEG_FIN,
	TCP_SEG_SYN,
	TCP_SEG_SYN_ACK,
	TCP_SEG_RST,
	TCP_SEG_RST_ACK,
	TCP_SEG_ROOM = 8
};

struct tcp_rule {
	__u16 needs; /* one of these bits, else the segment is illegal; 0 = nothing */
	__u16 bars;  /* with one of these it is illegal too */
	__u16 adds;
	__u16 when[2]; /* with one of when[i]... */
	__u16 then[2]; /* ...it adds then[i] as well */
	__u16 pad;
};

#define TCP_NEVER 0x0100 /* a bit that no state has */

/* clang-format off */
#define ANSWERED       BERM_SESSION_ANSWERED
#define ESTABLISHED    BERM_SESSION_ESTABLISHED
#define ADOPTED	       BERM_SESSION_ADOPTED
#define RESET	       BERM_SESSION_RESET
#define OPENER_FIN     BERM_SESSION_OPENER_FIN
#define ANSWERER_FIN   BERM_SESSION_ANSWERER_FIN
#define OPENER_ACKED   BERM_SESSION_OPENER_ACKED
#define ANSWERER_ACKED BERM_SESSION_ANSWERER_ACKED

/*
 * The transition table. A repeated SYN and a repeated SYN+ACK are no progress. An ACK alone answers a SYN too:
 * it may be a challenge (RFC 5961, 4), and after a forged RST and SYN it is how the flow goes on. A SYN+ACK of
 * the opener answers a SYN that has crossed its own. Any ACK after a FIN may be for it: without numbers nobody
 * can tell. An RST that answers a SYN must carry an ACK (RFC 9293, 3.10.7.3).
 */
static const struct tcp_rule tcp_rules[2][TCP_SEG_ROOM] = { /* by enum tcp_segment */
	{ /* of the side that was asked */
	  { .needs = TCP_NEVER },						      /* NONE */
	  { .adds = ANSWERED, .when = { OPENER_FIN }, .then = { OPENER_ACKED } },     /* ACK */
	  { .needs = ANSWERED | ADOPTED, .adds = ANSWERED | ANSWERER_FIN,	      /* FIN */
	    .when = { OPENER_FIN }, .then = { OPENER_ACKED } },
	  { .needs = TCP_NEVER },	  /* SYN: is not asked for (session.h, syn_rides) */
	  { .bars = ANSWERER_FIN, .adds = ANSWERED },				      /* SYN_ACK */
	  { .needs = ANSWERED | ADOPTED, .adds = RESET },			      /* RST */
	  { .adds = RESET },							      /* RST_ACK */
	  { .needs = TCP_NEVER } },
	{ /* of the opener */
	  { .needs = TCP_NEVER },						      /* NONE */
	  { .needs = ANSWERED | ADOPTED, .when = { ANSWERED, ANSWERER_FIN },	      /* ACK */
	    .then = { ESTABLISHED, ANSWERER_ACKED } },
	  { .needs = ANSWERED | ADOPTED, .adds = OPENER_FIN,			      /* FIN */
	    .when = { ANSWERED, ANSWERER_FIN }, .then = { ESTABLISHED, ANSWERER_ACKED } },
	  { .adds = 0 },							      /* SYN */
	  { .needs = ANSWERED, .bars = ESTABLISHED },				      /* SYN_ACK */
	  { .adds = RESET },							      /* RST */
	  { .adds = RESET },							      /* RST_ACK */
	  { .needs = TCP_NEVER } },
};

#undef ANSWERED
#undef ESTABLISHED
#undef ADOPTED
#undef RESET
#undef OPENER_FIN
#undef ANSWERER_FIN
#undef OPENER_ACKED
#undef ANSWERER_ACKED
/* clang-format on */

static __always_inline enum tcp_segment tcp_segment_of(__u32 flags)
{
	if (flags & TCP_RST)
		return flags & TCP_ACK ? TCP_SEG_RST_ACK : TCP_SEG_RST;
	if (flags & TCP_SYN)
		return flags & TCP_ACK ? TCP_SEG_SYN_ACK : TCP_SEG_SYN;
	if (!(flags & TCP_ACK))
		return TCP_SEG_NONE;
	return flags & TCP_FIN ? TCP_SEG_FIN : TCP_SEG_ACK;
}

/* The state after a segment, | TCP_ILLEGAL. */
static __always_inline __u32 tcp_next(__u32 state, __u32 flags, __u32 opener)
{
	const struct tcp_rule *rule =
		&tcp_rules[opener & 1][tcp_segment_of(flags) & (TCP_SEG_ROOM - 1)];
	__u32 next = (state & ~BERM_SESSION_RESET) | rule->adds;

	if ((rule->needs && !(state & rule->needs)) || state & rule->bars)
		return state | TCP_ILLEGAL;
	if (state & rule->when[0])
		next |= rule->then[0];
	if (state & rule->when[1])
		next |= rule->then[1];
	return next;
}

/* Nearly every segment: an ACK in a connection that neither side has begun to close. It changes nothing. */
static __always_inline bool tcp_is_settled(__u8 flags, __u32 state)
{
	return (flags & (TCP_SYN | TCP_RST | TCP_FIN | TCP_ACK)) == TCP_ACK &&
	       (state & (BERM_SESSION_ESTABLISHED | BERM_SESSION_OPENER_FIN |
			 BERM_SESSION_ANSWERER_FIN | BERM_SESSION_RESET)) ==
		       BERM_SESSION_ESTABLISHED;
}

/* SCTP's chunks that are like segments of TCP (pkt.h), in the same bits. A repeated INIT is no progress, nor does it end
 * anything (RFC 9260, 5.2); SHUTDOWN has a meaning in an association only. */
static __always_inline __u32 sctp_next(__u32 state, __u32 flags, __u32 opener)
{
	if (flags & TCP_RST)
		return state | BERM_SESSION_RESET;
	if (!(flags & TCP_FIN) || !(state & BERM_SESSION_ESTABLISHED))
		return state;
	state &= ~BERM_SESSION_RESET;
	return state | (opener ? BERM_SESSION_OPENER_FIN : BERM_SESSION_ANSWERER_FIN);
}

/* The same for what is no TCP. Of other protocols than SCTP there are neither flags nor these bits. */
static __always_inline bool sctp_is_settled(__u8 flags, __u32 state)
{
	return !flags && (state & (BERM_SESSION_ESTABLISHED | BERM_SESSION_RESET)) ==
				 BERM_SESSION_ESTABLISHED;
}

#define TCP_BOTH_FIN (BERM_SESSION_OPENER_FIN | BERM_SESSION_ANSWERER_FIN)

/* May its ports be used again? */
static __always_inline bool tcp_is_over(__u32 state)
{
	return state & BERM_SESSION_RESET || (state & TCP_BOTH_FIN) == TCP_BOTH_FIN;
}

static __always_inline bool tcp_is_syn(const struct pkt *p)
{
	return (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN; /* 0 for what is not TCP */
}

/* In the middle of a flow: somebody must have opened it before. */
static __always_inline bool tcp_is_middle(const struct pkt *p)
{
	return p->proto == IPPROTO_TCP && !tcp_is_syn(p);
}

#endif /* BERM_BPF_TCP_H */
