/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* hits.h - how many packets each rule has judged: the one map that both objects, the walls' and the uplink's, fill. Knows
 * no packet. */
#ifndef BERM_BPF_HITS_H
#define BERM_BPF_HITS_H

#include "abi.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BERM_MAX_RULES);
	__type(key, __u32);
	__type(value, __u64);
} berm_hits SEC(".maps");

static __always_inline void hits_count(__u32 rule)
{
	__u64 *hits = bpf_map_lookup_elem(&berm_hits, &rule);

	if (hits)
		__sync_fetch_and_add(hits, 1); /* BPF_XADD: result unused */
}

#endif /* BERM_BPF_HITS_H */
