// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * race.bpf.c - the session table under two CPUs at once: a few keys in few buckets, random operations, all
 * through the product's own functions. The policy here is an arithmetic of the key: whoever finds a session
 * can tell whether it is really the one of its key. Never part of the product.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "handle.h"

#define SLOTS 16 /* endpoints 1 to 16, a permission each */

/* What happened, as seen by the program. */
__u64 race_hits;
__u64 race_false; /* a session was found whose rule is not this key's: must stay 0 */
__u64 race_neighbour; /* the rule word of a neighbour under the right word: a miscount, no wrong verdict */
__u64 race_new;
__u64 race_killed;
__u64 race_bumped;

/* The rule that every writer gives this key, now and for ever. */
static __always_inline __u32 rule_of(const union flow *f)
{
	return BERM_RULE_FIRST + (__u32)(f->q[4] * 2654435761u >> 7 ^ f->q[1] >> 33);
}

static __always_inline void key_make(struct pkt *p, __u32 rnd)
{
	__u32 slot = 1 + rnd % SLOTS;

	p->slot = slot;
	p->flow.q[0] = 0;
	p->flow.q[1] = mapped_v4(bpf_htonl(0x0a000000 + (rnd >> 4 & 1)));
	p->flow.q[2] = 0;
	p->flow.q[3] = mapped_v4(bpf_htonl(0x0b000000));
	p->flow.q[4] =
		HALVES(two_ports(bpf_htons(80), bpf_htons(rnd >> 8 & 3)), slot << 8 | IPPROTO_UDP);
	p->hash = flow_hash(&p->flow);
	p->proto = IPPROTO_UDP;
	p->flags = PKT_RIDES | PKT_OPENS;
	p->epoch = READ(berm_node.epoch[slot]);
}

static __always_inline void race_admitted(struct pkt *p)
{
	ADD(race_hits, 1);
	if (p->rule != rule_of(&p->flow))
		ADD(race_neighbour, 1);
}

/*
 * Look up as the product does, and check what the verdict rests on: the word must be the one that a writer
 * of this very key has written. Epochs are made so that they differ between any two slots at any time.
 */
static __always_inline void race_check(struct pkt *p)
{
	struct berm_bucket *b = bucket_at(hash_bucket(p->hash));
	struct berm_session *s;
	__u32 way;
	__u64 word;

	if (!b)
		return;
	way = bucket_find(b, &p->flow, p->hash);
	way = unknown(way);
	barrier_var(way);
	if (way >= BERM_WAYS)
		return;
	s = &b->way[way];
	word = READ(s->word);
	/* Right signature, but an epoch of another endpoint's range: two sessions in one word. */
	if ((__u32)word == hash_signature(p->hash) && word >> 32 >> 24 != (p->slot & 0xff))
		ADD(race_false, 1);
}

static __always_inline bool race_kill_in(const struct pkt *p, __u32 index)
{
	struct berm_bucket *b = bucket_at(index);
	__u32 way, left = 0;

	if (!b)
		return false;
	bpf_spin_lock(&b->lock);
	way = bucket_find(b, &p->flow, p->hash);
	barrier_var(way);
	if (way < BERM_WAYS) {
		left = way_leaving(b, way);
		way_clear(b, way);
	}
	bpf_spin_unlock(&b->lock);
	session_left(index, left);
	return left;
}

static __always_inline void race_kill(const struct pkt *p)
{
	__u32 home = hash_bucket(p->hash);

	if (race_kill_in(p, home) || race_kill_in(p, bucket_other(home, hash_tag(p->hash))))
		ADD(race_killed, 1);
}

SEC("tc")
int race(struct __sk_buff *skb)
{
	struct pkt p = { .skb = skb, .now = clock_now() };
	__u32 rnd = bpf_get_prandom_u32();
	__u32 dir = rnd >> 10 & 1, dice = rnd >> 16 & 1023;

	key_make(&p, rnd);
	p.opener = dir;
	race_check(&p);
	if (dice < 50) {
		race_kill(&p);
		return 0;
	}
	if (dice == 100) {
		ADD(berm_node.epoch[p.slot % BERM_MAX_ENDPOINTS], 1);
		ADD(race_bumped, 1);
		return 0;
	}
	if (dir ? session_admits(&p, BERM_EGRESS) : session_admits(&p, BERM_INGRESS)) {
		race_admitted(&p);
		return 0;
	}
	pkt_forget(&p);
	p.rule = rule_of(&p.flow);
	p.action = BERM_ACTION_ALLOW;
	if (dir)
		session_remember(&p, BERM_EGRESS);
	else
		session_remember(&p, BERM_INGRESS);
	if (p.is_new)
		ADD(race_new, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
