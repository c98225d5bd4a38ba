/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * fragment.h - a datagram in pieces: only the first one says which ports are meant, the later ones have its
 * verdict. Knows what was decided of the first, not why.
 *
 * Only what was allowed is written down. So whatever has no allowed first one has no entry, be it that it
 * was denied, came too late, belongs to another policy or was never sent.
 *
 * Every pod has places of its own, and in them every share of its peers: whoever sends many first ones pushes out
 * what is under way between the same two. Neighbouring ids have neighbouring places, so a sender that counts them up
 * (as Linux does of IPv4) loses none before it has begun BERM_FRAGMENTS_EACH others.
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

/* Which share a peer belongs to only this node knows: nobody can aim at another's. */
static __always_inline __u32 fragment_share(const struct berm_addr *peer)
{
	__u32 sum = peer->w[0] ^ peer->w[1] ^ peer->w[2] ^ peer->w[3];

	return ((sum + berm_node.hash_seed[0]) * (berm_node.hash_seed[1] | 1) >> 16) %
	       BERM_FRAGMENT_PEERS;
}

static __always_inline struct berm_fragment *fragment_place(const struct pkt *p)
{
	__u32 id = p->is_v4 ? bpf_ntohs(p->frag_id) : bpf_ntohl(p->frag_id);
	__u32 index = p->slot % BERM_FRAGMENT_OWNERS * BERM_FRAGMENT_PEERS;

	index = (index + fragment_share(&p->flow.peer)) * BERM_FRAGMENTS_EACH +
		id % BERM_FRAGMENTS_EACH;
	return bpf_map_lookup_elem(&berm_fragments, &index);
}

/* By words: no function may be called under a lock. */
static __always_inline bool fragment_has(const struct berm_fragment *f,
					 const struct berm_fragment_key *key)
{
	const word64 *a = (const word64 *)&f->key, *b = (const word64 *)key;

	return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) | (a[4] ^ b[4]) |
		 (a[5] ^ b[5]));
}
_Static_assert(sizeof(struct berm_fragment_key) == 6 * sizeof(word64),
	       "fragment_has() compares all");

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
	struct berm_fragment *f;
	struct berm_endpoint *ep;
	__u32 age, size;
	bool other;

	if (!p->slot && !fragment_rode(p))
		return 0;
	ep = bpf_map_lookup_elem(&berm_endpoints, &p->slot);
	if (!ep || !is_choosy(ep, dir & 1))
		return 0;
	fragment_key(&key, p, dir);
	f = fragment_place(p);
	if (!f)
		return 0;
	size = p->frag_headers + l4_size(p->proto);
	bpf_spin_lock(&f->lock);
	age = p->now + FRAGMENT_S * cfg_hz - f->deadline;
	other = f->epoch && !fragment_has(f, &key);
	f->key = key;
	f->epoch = p->epoch;
	f->deadline = p->now + FRAGMENT_S * cfg_hz;
	f->rule = p->rule & BERM_RULE_ID;
	f->slot = p->slot;
	f->judged = size;
	f->reason = p->reason;
	bpf_spin_unlock(&f->lock);
	if (other && age < cfg_hz)
		account_stat(BERM_STAT_FRAGMENT_LOST);
	return 0;
}

static __always_inline bool fragment_is_of(const struct berm_fragment *first, const struct pkt *p,
					   const struct berm_fragment_key *key)
{
	/* A deadline further away than any can be is one that time has overtaken by a whole turn. */
	return fragment_has(first, key) && first->epoch == p->epoch && first->slot == p->slot &&
	       first->deadline - p->now - 1 < FRAGMENT_S * cfg_hz;
}

/* A later one. */
static __noinline int fragment_follow(struct pkt *p, __u32 dir)
{
	struct berm_fragment *first = fragment_place(p);
	__u32 rule = 0, judged = 0, reason = 0;
	struct berm_fragment_key key;

	fragment_key(&key, p, dir);
	deny(p, BERM_REASON_FRAGMENT);
	if (!first)
		return 0;
	bpf_spin_lock(&first->lock);
	if (fragment_is_of(first, p, &key)) {
		rule = first->rule;
		judged = first->judged;
		reason = first->reason;
	}
	bpf_spin_unlock(&first->lock);
	if (!reason)
		return 0;
	if (fragment_offset(p) < judged) {
		deny(p, BERM_REASON_MALFORMED);
	} else {
		allow(p, reason);
		p->rule = rule;
	}
	return 0;
}

#endif /* BERM_BPF_FRAGMENT_H */
