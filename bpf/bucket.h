/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * bucket.h - one bucket of the session table: where a key lives, how it is found, who has to go.
 *
 * Knows struct berm_bucket and the hash, no packet, no map look-up, no lock: the model test in user space
 * compiles it too. Whoever includes it provides berm_node, cfg_buckets and clock.h.
 *
 * Readers take no lock. So every field a reader decides on is read and written by one volatile access,
 * and the writer's order is: tag = 0, word = 0, key, value, word, tag.
 */
#ifndef BERM_BPF_BUCKET_H
#define BERM_BPF_BUCKET_H

#define READ(x)	    (*(const volatile __typeof__(x) *)&(x))
#define WRITE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#define ADD(x, n)   __sync_fetch_and_add(&(x), (n)) /* BPF_XADD: result unused */
/* barrier_var() (bpf_helpers.h) hides a value from the compiler: masks stay masks for the verifier, and
 * code without branches stays so. */

/*
 * The same value, of which the verifier knows nothing any more. It follows every combination of constants
 * that branches leave behind; where only the value matters, this makes the combinations one.
 */
static __always_inline __u64 unknown(__u64 x)
{
	return x ^ READ(berm_node.zero);
}

/* The same at this very place: nothing is put off until later, which would take room on the stack. */
static __always_inline __u32 unknown_here(__u32 x)
{
	x = unknown(x);
	barrier_var(x);
	return x;
}

/* Structures are compared and copied by words, whatever their members are. */
typedef __u64 __attribute__((may_alias)) word64;

/* The key, from the pod's point of view; the order of berm_session, so that it compares by words. */
union flow {
	struct {
		struct berm_addr peer;
		struct berm_addr local;
		__be16 local_port;
		__be16 peer_port;
		__u32 iface; /* ifindex << 8 | protocol */
	};
	__u64 q[5]; /* 0-1 peer, 2-3 local, 4 ports and iface */
};
_Static_assert(sizeof(union flow) == 40, "no padding: it is hashed");

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define FIRST_HALF(q)  ((__u32)(q))
#define SECOND_HALF(q) ((__u32)((q) >> 32))
#define HALVES(a, b)   ((__u64)(b) << 32 | (__u32)(a))
#else
#define FIRST_HALF(q)  ((__u32)((q) >> 32))
#define SECOND_HALF(q) ((__u32)(q))
#define HALVES(a, b)   ((__u64)(a) << 32 | (__u32)(b))
#endif

/* ---- the hash and what is read off it ----------------------------------------------------------- */

static __always_inline __u64 hash_pair(__u64 q, __u32 seed_a, __u32 seed_b)
{
	return (__u64)(FIRST_HALF(q) + seed_a) * (SECOND_HALF(q) + seed_b);
}

/* NH (Black et al., UMAC, CRYPTO '99): independent 32x32 products with secret words, then one finalizer. */
static __always_inline __u64 flow_hash(const union flow *f)
{
	const __u32 *s = berm_node.hash_seed;
	__u64 h = hash_pair(f->q[0], s[0], s[1]) + hash_pair(f->q[1], s[2], s[3]) +
		  hash_pair(f->q[2], s[4], s[5]) + hash_pair(f->q[3], s[6], s[7]) +
		  hash_pair(f->q[4], s[8], s[9]);

	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ull;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ull;
	return h ^ h >> 32;
}

static __always_inline __u32 hash_bucket(__u64 h)
{
	return (h >> 32) * cfg_buckets >> 32;
}

static __always_inline __u16 hash_tag(__u64 h)
{
	return (__u16)(h >> 32) | 1; /* 0 is a free way */
}

static __always_inline __u32 hash_signature(__u64 h)
{
	return (__u32)h;
}

/* The way that is looked at first: its address follows from the hash alone, so the usual hit reads one
 * cache line and not the header. */
static __always_inline __u32 hash_way(__u64 h)
{
	__u32 way = ((__u32)h & 0xffffff) * BERM_WAYS >> 24;

	barrier_var(way); /* else clang makes one shift and a mask of this and the indexing */
	return way;
}

/* The second bucket of a key, from the first and the tag; its own inverse, so the home of an entry is
 * known without its key. */
static __always_inline __u32 bucket_other(__u32 index, __u16 tag)
{
	__u32 t = (__u64)(tag * 0x9e3779b1u) * cfg_buckets >> 32;

	return t >= index ? t - index : t + cfg_buckets - index;
}

/* ---- finding -------------------------------------------------------------------------------------- */

static __always_inline __u64 session_word(__u64 h, __u32 epoch)
{
	return (__u64)epoch << 32 | hash_signature(h);
}

static __always_inline __u64 session_ports(const struct berm_session *s)
{
	return *(const volatile word64 *)&s->local_port;
}

/* The local address is not stored: the signature stands for it. */
static __always_inline bool session_is(const struct berm_session *s, const union flow *f, __u64 h)
{
	const volatile word64 *peer = (const volatile word64 *)&s->peer;

	return peer[1] == f->q[1] && session_ports(s) == f->q[4] &&
	       (__u32)READ(s->word) == hash_signature(h) && peer[0] == f->q[0];
}

#define WAY_NONE BERM_WAYS

/* A way that carries the key, else WAY_NONE. By branches, not by arithmetic: the processor fetches the
 * slot's line while the header's is still on its way. */
static __always_inline __u32 bucket_find(const struct berm_bucket *b, const union flow *f, __u64 h)
{
	__u16 tag = hash_tag(h);

	if (READ(b->tag[0]) == tag && session_is(&b->way[0], f, h))
		return 0;
	if (READ(b->tag[1]) == tag && session_is(&b->way[1], f, h))
		return 1;
	if (READ(b->tag[2]) == tag && session_is(&b->way[2], f, h))
		return 2;
	if (READ(b->tag[3]) == tag && session_is(&b->way[3], f, h))
		return 3;
	if (READ(b->tag[4]) == tag && session_is(&b->way[4], f, h))
		return 4;
	if (READ(b->tag[5]) == tag && session_is(&b->way[5], f, h))
		return 5;
	if (READ(b->tag[6]) == tag && session_is(&b->way[6], f, h))
		return 6;
	return WAY_NONE;
}

/* ---- who has to go -------------------------------------------------------------------------------- */

/* Replacement classes; the higher one goes first. */
#define CLASS_ESTABLISHED 0
#define CLASS_HALF_OPEN	  2
#define CLASS_DEAD	  3

/* A score is {class 60-61, ways of its owner / 256: 36-59, age 3-34, way 0-2}. */
#define SCORE_CLASS(score) ((__u32)((score) >> 60))
#define SCORE_HELD(score)  ((__u32)((score) >> 36) & 0xffffff)
#define SCORE_WAY(score)   ((__u32)(score)&7)

/* No branch in it: seven naive choices in a row are a million instructions to the verifier. */
static __always_inline __u64 way_score(const struct berm_bucket *b, __u32 i, __u32 now)
{
	__s64 late = (__s32)(now - b->deadline[i]);
	__s64 state = b->state[i];
	__s64 established, alive;
	__s32 held;
	__u64 cls;

	barrier_var(state); /* else clang sees "state != 0" and branches */
	established = -(state >> 7);
	barrier_var(established);
	alive = (late >> 63) & (-state >> 63);
	barrier_var(alive);
	held = berm_node.held[established & 1][b->owner[i]];
	held &= ~(held >> 31);
	cls = CLASS_DEAD - (alive & 1) - (alive & established & 2);
	return cls << 60 | (__u64)(((__u32)held >> 8) & alive) << 36 |
	       (__u64)((__u32)late ^ 0x80000000u) << 3 | i;
}

static __always_inline __u64 score_max(__u64 a, __u64 b)
{
	__s64 d = a - b;
	__s64 less = d >> 63;

	barrier_var(less);
	return a - (d & less);
}

static __always_inline __u64 bucket_victim(const struct berm_bucket *b, __u32 now)
{
	__u64 best = way_score(b, 0, now);

	best = score_max(best, way_score(b, 1, now));
	best = score_max(best, way_score(b, 2, now));
	best = score_max(best, way_score(b, 3, now));
	best = score_max(best, way_score(b, 4, now));
	best = score_max(best, way_score(b, 5, now));
	return score_max(best, way_score(b, 6, now));
}

static __always_inline __u32 way_is_live(const struct berm_bucket *b, __u32 i, __u32 now)
{
	__u32 state = b->state[i];

	barrier_var(state);
	return ((now - b->deadline[i]) >> 31) & (-state >> 31);
}

static __always_inline __u32 bucket_live(const struct berm_bucket *b, __u32 now)
{
	return way_is_live(b, 0, now) + way_is_live(b, 1, now) + way_is_live(b, 2, now) +
	       way_is_live(b, 3, now) + way_is_live(b, 4, now) + way_is_live(b, 5, now) +
	       way_is_live(b, 6, now);
}

/* From this many live ways on, the other bucket is looked at too. */
#define BUCKET_CROWDED 5

/*
 * Is there no better victim than this? A half-open way of an owner that has more of them than 1/64 of the
 * table: a flood. It is not worth a look at the other bucket, which would cost each of the flood's packets
 * a fifth more.
 */
static __always_inline bool is_of_flood(__u64 score)
{
	__u32 share = cfg_buckets * BERM_WAYS / 64;

	return SCORE_CLASS(score) == CLASS_HALF_OPEN && SCORE_HELD(score) > share / 256;
}

/* Is the other bucket's victim the better one to lose? Of two dead ones that of the emptier bucket. */
static __always_inline bool bucket_is_better(const struct berm_bucket *home, __u64 here,
					     const struct berm_bucket *other, __u64 there,
					     __u32 now)
{
	if (SCORE_CLASS(here) == CLASS_DEAD && SCORE_CLASS(there) == CLASS_DEAD)
		return bucket_live(other, now) < bucket_live(home, now);
	return there >> 3 > here >> 3;
}

static __always_inline __u32 held_by(__u32 established, __u8 owner)
{
	__s32 held = READ(berm_node.held[established & 1][owner]);

	return held & ~(held >> 31);
}

/*
 * How much an owner must hold before a half-open newcomer may displace an established session of it: far
 * more than the newcomer's owner and at least 1/64 of the table; and while the newcomer's owner has many
 * half-open ways itself, nobody holds enough. Else a flood at a small pod would take a way of the big one in
 * every full bucket, 14 % of the table in the model instead of 1.6 % (docs/session-table.md).
 */
static __always_inline __u32 displace_limit(__u8 newcomer)
{
	__u32 share = cfg_buckets * BERM_WAYS / 64, far_more = 4 * held_by(1, newcomer);

	if (held_by(0, newcomer) > share)
		return ~0u;
	return far_more > share ? far_more : share;
}

/* Never its own owner's, or a flood at a busy pod would kill that pod's own. */
static __always_inline bool may_displace(__u8 victim, __u8 newcomer, __u32 limit)
{
	return victim != newcomer && held_by(1, victim) >= limit;
}

/* ---- writing; the caller holds the lock ------------------------------------------------------------ */

/*
 * The way a newcomer takes, as a score: the preferred one if it is dead, else the worst. `hint` is the worst
 * as it was before the lock was taken, 0 = not known: good if nobody has made more of that way since.
 */
static __always_inline __u64 bucket_choose(const struct berm_bucket *b, __u64 h, __u32 now,
					   __u64 hint)
{
	__u32 preferred = hash_way(h), way = SCORE_WAY(hint);
	__u64 best = preferred < BERM_WAYS ? way_score(b, preferred, now) : 0;

	if (SCORE_CLASS(best) == CLASS_DEAD)
		return best;
	barrier_var(way);
	if (hint && way < BERM_WAYS) {
		best = way_score(b, way, now);
		if (SCORE_CLASS(best) >= SCORE_CLASS(hint))
			return best;
	}
	return bucket_victim(b, now);
}

static __always_inline void way_write(struct berm_bucket *b, __u32 i,
				      const struct berm_session *value, __u16 tag, __u32 deadline)
{
	const word64 *from = (const word64 *)value;
	volatile word64 *to = (volatile word64 *)&b->way[i];

	WRITE(b->tag[i], 0);
	to[2] = 0; /* no epoch while the key changes */
	to[0] = from[0];
	to[1] = from[1];
	to[3] = from[3];
	to[4] = from[4];
	to[5] = from[5];
	to[6] = from[6];
	to[7] = from[7];
	b->deadline[i] = deadline;
	b->state[i] = value->state;
	b->owner[i] = (__u8)value->slot;
	to[2] = from[2];
	WRITE(b->tag[i], tag);
}

/* The same, and *value is what stood there. */
static __always_inline void way_swap(struct berm_bucket *b, __u32 i, struct berm_session *value,
				     __u16 tag, __u32 deadline)
{
	volatile word64 *way = (volatile word64 *)&b->way[i];
	word64 *mine = (word64 *)value;
	word64 left[8] = { way[0], way[1], way[2], way[3], way[4], way[5], way[6], way[7] };

	way_write(b, i, value, tag, deadline);
	for (int w = 0; w < 8; w++)
		mine[w] = left[w];
}

/* What leaves a way: {LEFT_*, owner, tag}; 0 = it was free. */
#define LEFT_ESTABLISHED 0x80
#define LEFT_SPILLED	 0x40
#define LEFT_OWNER(left) ((left) >> 8 & 0xff)
#define LEFT_TAG(left)	 ((left) >> 16)

static __always_inline __u32 way_leaving(const struct berm_bucket *b, __u32 i)
{
	__u32 spilled = b->way[i].slot & BERM_SESSION_SPILLED ? LEFT_SPILLED : 0;

	if (!b->tag[i])
		return 0;
	return (b->state[i] & LEFT_ESTABLISHED) | spilled | b->owner[i] << 8 |
	       (__u32)b->tag[i] << 16;
}

static __always_inline void way_clear(struct berm_bucket *b, __u32 i)
{
	WRITE(b->tag[i], 0);
	WRITE(b->way[i].word, 0);
	WRITE(b->way[i].state, 0);
	b->state[i] = 0;
}

#endif /* BERM_BPF_BUCKET_H */
