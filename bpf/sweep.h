/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * sweep.h - free the sessions that are over, or all of one interface: maintenance from user space, which
 * may read the table but must not write to it. The books (held, spill) are kept as on any other way out.
 */
#ifndef BERM_BPF_SWEEP_H
#define BERM_BPF_SWEEP_H

#define SWEEP_MAX 256 /* buckets in one run */

static __always_inline bool sweep_wants(const struct berm_bucket *b, __u32 way, __u32 ifindex,
					__u32 now)
{
	if (!READ(b->tag[way]))
		return false;
	return ifindex ? READ(b->way[way].iface) >> 8 == ifindex
		       : clock_is_past(now, READ(b->deadline[way]));
}

/* Global on purpose: the verifier proves them once by themselves instead of in every round of the loop. */
__noinline int sweep_way(__u32 index, __u32 way, __u32 ifindex)
{
	struct berm_bucket *b = bucket_at(index);
	__u32 now = clock_now(), left = 0, cause = BERM_ENDED_EXPIRED;
	struct berm_session gone = {};

	if (!b || way >= BERM_WAYS)
		return 0;
	bpf_spin_lock(&b->lock);
	if (sweep_wants(b, way, ifindex, now)) {
		left = way_leaving(b, way);
		if (cfg_ended)
			gone = b->way[way];
		if (!clock_is_past(now, b->deadline[way]))
			cause = BERM_ENDED_DELETED;
		way_clear(b, way);
	}
	bpf_spin_unlock(&b->lock);
	session_left(index, left);
	if (cfg_ended && left)
		ended(&gone, cause);
	return !!left;
}

__noinline int sweep_bucket(__u32 index, __u32 ifindex)
{
	struct berm_bucket *b = bucket_at(index);
	__u32 now = clock_now(), freed = 0;

	if (!b)
		return 0;
	for (__u32 way = 0; way < BERM_WAYS; way++)
		if (sweep_wants(b, way, ifindex, now))
			freed += sweep_way(index, way, ifindex);
	return freed;
}

static __always_inline int sweep(struct __sk_buff *skb)
{
	void *end = (void *)(long)skb->data_end;
	struct berm_sweep_args *args = (void *)(long)skb->data + ETH_HLEN;
	__u32 first, count, ifindex, freed = 0;

	if ((void *)(args + 1) > end)
		return VERDICT_DROP;
	first = args->first;
	count = args->count;
	ifindex = args->ifindex;
	for (__u32 i = 0; i < SWEEP_MAX && i < count; i++)
		freed += sweep_bucket(first + i, ifindex);

	args->first = first + (count < SWEEP_MAX ? count : SWEEP_MAX);
	args->freed += freed;
	return 0;
}

#endif /* BERM_BPF_SWEEP_H */
