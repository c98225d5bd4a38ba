/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * move.h - sessions move from the old table to one of another size, by that table's own rules: maintenance from user
 * space, like sweep.h. Knows two tables, no packet.
 *
 * A session does not keep its local address, of which the hash is made too: it is one of the pod's own, and the
 * signature tells which. What the pod has opened from an address that it is merely allowed to use stays behind.
 */
#ifndef BERM_BPF_MOVE_H
#define BERM_BPF_MOVE_H

#define MOVE_MAX 256 /* buckets in one run */

struct arrival {
	struct berm_session value;
	union flow flow;
	__u64 hash;
	__u64 hint; /* as in struct put */
	__u32 index;
	__u32 now;
	__u32 deadline;
	__u32 limit; /* displace_limit() */
};

static __always_inline struct berm_bucket *old_at(__u32 index)
{
	return bpf_map_lookup_elem(&berm_sessions_old, &index);
}

/* ---- whose it is --------------------------------------------------------------------------------------------------- */

static __always_inline bool arrival_fits(struct arrival *a, const struct berm_addr *local)
{
	a->flow.local = *local;
	a->hash = flow_hash(&a->flow);
	return hash_signature(a->hash) == (__u32)a->value.word;
}

/* The whole key and its hash; false if it is nobody's any more. */
static __always_inline bool arrival_known(struct arrival *a)
{
	__u32 slot = a->value.slot % BERM_MAX_ENDPOINTS;
	struct berm_endpoint *ep = bpf_map_lookup_elem(&berm_endpoints, &slot);

	if (!ep || ep->ifindex != a->value.iface >> 8 ||
	    (__s32)((__u32)(a->value.word >> 32) - ep->born) < 0)
		return false;
	a->flow.peer = a->value.peer;
	a->flow.local_port = a->value.local_port;
	a->flow.peer_port = a->value.peer_port;
	a->flow.iface = a->value.iface;
	return arrival_fits(a, &ep->addr[0]) || arrival_fits(a, &ep->addr[1]) ||
	       arrival_fits(a, &ep->addr[2]) || arrival_fits(a, &ep->addr[3]);
}

/* ---- coming in ------------------------------------------------------------------------------------------------------ */

/* The copy has gone on meanwhile, and so has, until the programs changed, what it was made of. Under the lock. */
static __always_inline void way_merge(struct berm_bucket *b, __u32 way, const struct arrival *a)
{
	struct berm_session *s = &b->way[way];
	__u32 news = a->value.state & ~(__u32)READ(s->state) & ~BERM_SESSION_RESET;

	ADD(s->packets[0], a->value.packets[0]);
	ADD(s->packets[1], a->value.packets[1]);
	ADD(s->bytes[0], a->value.bytes[0]);
	ADD(s->bytes[1], a->value.bytes[1]);
	if (!news)
		return;
	WRITE(s->state, (__u8)(READ(s->state) | news));
	b->state[way] |= news;
	b->deadline[way] = a->deadline;
}

/* Is it there already? *became: what it had not been before. */
static __noinline int arrive_again(struct arrival *a, __u32 index)
{
	struct berm_bucket *b = bucket_at(index);
	__u32 way, before = BERM_SESSION_ESTABLISHED, after = before;

	if (!b)
		return 0;
	bpf_spin_lock(&b->lock);
	way = bucket_find(b, &a->flow, a->hash);
	barrier_var(way);
	if (way < BERM_WAYS) {
		before = b->state[way];
		way_merge(b, way, a);
		after = b->state[way];
	}
	bpf_spin_unlock(&b->lock);
	if (way >= BERM_WAYS)
		return 0;
	if (~before & after & BERM_SESSION_ESTABLISHED) {
		ADD(berm_node.held[0][a->value.slot & 0xff], -1);
		ADD(berm_node.held[1][a->value.slot & 0xff], 1);
	}
	return 1;
}

/* Into the bucket a->index, as a newcomer's way is chosen. What stood there before is then in a->value. */
static __noinline int arrive_new(struct arrival *a)
{
	struct berm_bucket *b = bucket_at(a->index);
	__u32 left = 0, way, cls, done = 0;
	__u32 established = bit_of(a->value.state, BERM_SESSION_ESTABLISHED);
	__u8 owner = a->value.slot;
	__u64 score;

	if (!b)
		return 0;
	bpf_spin_lock(&b->lock);
	score = bucket_choose(b, a->hash, a->now, a->hint);
	way = SCORE_WAY(score);
	cls = SCORE_CLASS(score);
	barrier_var(way);
	if (way < BERM_WAYS &&
	    (cls != CLASS_ESTABLISHED || may_displace(b->owner[way], owner, a->limit))) {
		left = way_leaving(b, way);
		way_swap(b, way, &a->value, hash_tag(a->hash), a->deadline);
		done = 1;
	}
	bpf_spin_unlock(&b->lock);
	if (!done)
		return 0;
	ADD(berm_node.held[established][owner], 1);
	session_left(a->index, left);
	if (cfg_ended && left)
		ended(&a->value, cls == CLASS_DEAD ? BERM_ENDED_EXPIRED : BERM_ENDED_REPLACED);
	return 1;
}

/* As put_spills(), but no flood is met here. */
static __always_inline bool arrival_spills(struct arrival *a, struct berm_bucket *home)
{
	__u32 index = bucket_other(a->index, hash_tag(a->hash));
	struct berm_bucket *other = bucket_at(index);
	__u64 there;

	if (!other || index == a->index || bucket_live(home, a->now) < BUCKET_CROWDED)
		return false;
	a->hint = bucket_victim(home, a->now);
	there = bucket_victim(other, a->now);
	if (!bucket_is_better(home, a->hint, other, there, a->now))
		return false;
	a->hint = there;
	a->index = index;
	a->value.slot |= BERM_SESSION_SPILLED;
	return true;
}

static __always_inline bool arrive(struct arrival *a)
{
	struct berm_bucket *home;

	a->index = hash_bucket(a->hash);
	a->value.slot &= ~BERM_SESSION_SPILLED;
	a->limit = unknown(displace_limit(a->value.slot));
	home = bucket_at(a->index);
	if (!home)
		return false;
	if (arrive_again(a, a->index) ||
	    (READ(home->spill) && arrive_again(a, bucket_other(a->index, hash_tag(a->hash)))))
		return true;
	if (!arrival_spills(a, home))
		return arrive_new(a);
	ADD(home->spill, 1); /* before it can be seen */
	if (arrive_new(a))
		return true;
	ADD(home->spill, -1);
	return false;
}

/* ---- leaving the old one ------------------------------------------------------------------------------------------- */

enum moved { MOVED_NOTHING, MOVED_ONE, MOVED_LOST };

static __always_inline void counts_clear(struct berm_session *s)
{
	s->packets[0] = s->packets[1] = 0;
	s->bytes[0] = s->bytes[1] = 0;
}

/* Global on purpose, as in sweep.h. */
__noinline int move_way(__u32 index, __u32 way, __u32 ifindex, __u32 take)
{
	struct berm_bucket *b = old_at(index);
	struct arrival a = { .now = clock_now() };
	__u32 left = 0;

	if (!b || way >= BERM_WAYS)
		return MOVED_NOTHING;
	bpf_spin_lock(&b->lock);
	if (!ifindex || b->way[way].iface >> 8 == ifindex) {
		left = way_leaving(b, way);
		a.value = b->way[way];
		a.deadline = b->deadline[way];
		if (take)
			way_clear(b, way);
	}
	bpf_spin_unlock(&b->lock);
	if (!left)
		return MOVED_NOTHING;
	if (take)
		ADD(berm_node.held[!!(left & LEFT_ESTABLISHED)][LEFT_OWNER(left)], -1);
	else
		counts_clear(&a.value);
	if (!clock_is_past(a.now, a.deadline) && arrival_known(&a) && arrive(&a))
		return MOVED_ONE;
	if (cfg_ended && take)
		ended(&a.value,
		      clock_is_past(a.now, a.deadline) ? BERM_ENDED_EXPIRED : BERM_ENDED_REPLACED);
	return clock_is_past(a.now, a.deadline) ? MOVED_NOTHING : MOVED_LOST;
}

/* {moved, lost << 16} */
__noinline int move_bucket(__u32 index, __u32 ifindex, __u32 take)
{
	struct berm_bucket *b = old_at(index);
	__u32 sum = 0, one;

	if (!b)
		return 0;
	for (__u32 way = 0; way < BERM_WAYS; way++) {
		if (!READ(b->tag[way]))
			continue;
		one = move_way(index, way, ifindex, take);
		sum += one == MOVED_ONE ? 1 : one == MOVED_LOST ? 1 << 16 : 0;
	}
	return sum;
}

static __always_inline int move(struct __sk_buff *skb)
{
	void *end = (void *)(long)skb->data_end;
	struct berm_move_args *args = (void *)(long)skb->data + ETH_HLEN;
	__u32 first, count, ifindex, take, sum, moved = 0, lost = 0;

	if ((void *)(args + 1) > end)
		return VERDICT_DROP;
	first = args->first;
	count = args->count;
	ifindex = args->ifindex;
	take = args->take;
	for (__u32 i = 0; i < MOVE_MAX && i < count; i++) {
		sum = move_bucket(first + i, ifindex, take);
		moved += sum & 0xffff;
		lost += sum >> 16;
	}
	args->first = first + (count < MOVE_MAX ? count : MOVE_MAX);
	args->moved += moved;
	args->lost += lost;
	return 0;
}

#endif /* BERM_BPF_MOVE_H */
