/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * fragment.h - a datagram in pieces: only the first one says which ports are meant, the later ones have its
 * verdict. Knows what was decided of the first, not why.
 *
 * Only what was allowed is written down. So whatever has no allowed first one has no entry, be it that it
 * was denied, came too late, belongs to another policy or was never sent.
 */
#ifndef BERM_BPF_FRAGMENT_H
#define BERM_BPF_FRAGMENT_H

#define FRAGMENT_S 30 /* as long as Linux collects the pieces of an IPv4 datagram; of IPv6 60 s */

static __always_inline void fragment_key(struct berm_fragment_key *key, const struct pkt *p,
					 __u32 dir)
{
	key->peer = p->flow.peer;
	key->local = p->flow.local;
	key->id = p->frag_id;
	key->iface = p->skb->ifindex << 8 | (p->is_v4 ? p->proto : 0);
	key->dir = dir;
	key->pad = 0;
}

static __always_inline __u64 fragment_word(const struct pkt *p)
{
	return (__u64)p->epoch << 32 | p->frag_id;
}

/* The first one rode on a session: that tells the epoch under which it was allowed. One read now may be
 * newer than the verdict. */
static __always_inline bool fragment_rode(struct pkt *p)
{
	struct session_view view = {};

	if (p->reason != BERM_REASON_SESSION || !session_peek(&p->flow, p->now, &view))
		return false;
	p->slot = view.slot;
	p->epoch = view.epoch;
	return true;
}

/* Is there anything that this pod does not let through? */
static __always_inline bool is_choosy(const struct berm_endpoint *ep, __u32 dir)
{
	__u32 flag = dir == BERM_EGRESS ? BERM_EP_ISOLATED_OUT : BERM_EP_ISOLATED_IN;

	return ep->flags & flag || READ(ep->set[dir]) != BERM_SET_OPEN;
}

/* The first one has been allowed. Where nothing is denied, the later ones are not asked for it. */
static __noinline int fragment_remember(struct pkt *p, __u32 dir)
{
	struct berm_fragment_key key;
	struct berm_fragment value = {};
	struct berm_endpoint *ep;

	if (!p->slot && !fragment_rode(p))
		return 0;
	ep = bpf_map_lookup_elem(&berm_endpoints, &p->slot);
	if (!ep || !is_choosy(ep, dir & 1))
		return 0;
	fragment_key(&key, p, dir);
	value.word = fragment_word(p);
	value.deadline = p->now + FRAGMENT_S * cfg_hz;
	value.rule = p->rule & BERM_RULE_ID;
	value.slot = p->slot;
	value.judged = p->frag_headers + l4_size(p->proto);
	value.reason = p->reason;
	if (bpf_map_update_elem(&berm_fragments, &key, &value, BPF_ANY))
		account_stat(BERM_STAT_FRAGMENT_LOST);
	return 0;
}

static __always_inline bool fragment_is_of(const struct berm_fragment *first, const struct pkt *p)
{
	/* A deadline further away than any can be is one that time has overtaken by a whole turn. */
	return READ(first->word) == fragment_word(p) && READ(first->slot) == p->slot &&
	       READ(first->deadline) - p->now - 1 < FRAGMENT_S * cfg_hz;
}

/* A later one. */
static __noinline int fragment_follow(struct pkt *p, __u32 dir)
{
	struct berm_fragment_key key;
	struct berm_fragment *first;

	fragment_key(&key, p, dir);
	first = bpf_map_lookup_elem(&berm_fragments, &key);
	if (!first || !fragment_is_of(first, p)) {
		deny(p, BERM_REASON_FRAGMENT);
	} else if (fragment_offset(p) < READ(first->judged)) {
		deny(p, BERM_REASON_MALFORMED);
	} else {
		allow(p, READ(first->reason));
		p->rule = READ(first->rule);
	}
	return 0;
}

#endif /* BERM_BPF_FRAGMENT_H */
