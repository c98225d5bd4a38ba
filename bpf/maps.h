/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* maps.h - every map (hits.h has one) and every load-time switch of the data path, and nothing else. */
#ifndef BERM_BPF_MAPS_H
#define BERM_BPF_MAPS_H

#include "abi.h"
#include "hits.h"

/*
 * Load-time switches. The verifier removes the branches they close, so what is off costs nothing: no
 * #ifdef, no second object file.
 */
const volatile __u32 cfg_buckets =
	BERM_BUCKETS_DEFAULT;		  /* must equal max_entries of berm_sessions */
const volatile __u32 cfg_hz = 250;	  /* jiffies a second */
const volatile __u32 cfg_event_ms = 1000; /* at most one event per key in this time */
const volatile __u32 cfg_explain = 0;	  /* BERM_EXPLAIN_*: judge, but leave no trace */
const volatile __u32 cfg_strict_tcp = 0;  /* a TCP session begins with a SYN, or not at all */
const volatile __u32 cfg_ended = 0;	  /* sessions that leave tell what they have carried */
const volatile __u32 cfg_apps = 0;	  /* find out what sessions carry (payload.h) */
const volatile __u32 cfg_timeout_s[BERM_TIMEOUT_ROOM] = {
#define X(id, name, seconds, least, most, help) seconds,
	BERM_TIMEOUTS(X)
#undef X
};

/* One page-aligned block, shared with user space by mmap. libbpf calls the map ".data.node". */
struct berm_node berm_node SEC(".data.node") = { .abi = BERM_ABI_VERSION };

/* ifindex << 32 | slot, by the low bits of ifindex: slot_find(). Each load of the programs begins with an empty one. */
#define IFACE_HOT 4096
__u64 iface_hot[IFACE_HOT];

/* BPF_F_MMAPABLE puts element 0 on a page boundary; without it every bucket would straddle cache lines
 * (kernel/bpf/arraymap.c, array_map_alloc). Maps with a spin lock refuse the mmap itself. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, BERM_BUCKETS_DEFAULT);
	__type(key, __u32);
	__type(value, struct berm_bucket);
} berm_sessions SEC(".maps");

/* The table before, while its sessions move to one of another size: for berm_move only, and not pinned with the rest. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct berm_bucket);
} berm_sessions_old SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BERM_MAX_ENDPOINTS);
	__type(key, __u32);
	__type(value, __u32);
} berm_ifaces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, BERM_MAX_ENDPOINTS);
	__type(key, __u32);
	__type(value, struct berm_endpoint);
} berm_endpoints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BERM_MAX_PEERS);
	__type(key, struct berm_addr);
	__type(value, struct berm_peer);
} berm_peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BERM_MAX_FRONTENDS);
	__type(key, struct berm_frontend_key);
	__type(value, struct berm_peer);
} berm_frontends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BERM_MAX_CIDRS);
	__type(key, struct berm_cidr_key);
	__type(value, __u32);
} berm_cidrs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, BERM_CIDR_HOT);
	__type(key, __u32);
	__type(value, struct berm_cidr_hot);
} berm_cidr_hot SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BERM_MAX_ROWS);
	__type(key, struct berm_row_key);
	__type(value, __u32);
} berm_rows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BERM_MAX_SETS);
	__type(key, __u32);
	__type(value, struct berm_set);
} berm_sets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BERM_MAX_FLOWS);
	__type(key, struct berm_flow_key);
	__type(value, __u32);
} berm_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BERM_PORT_ENTRIES);
	__type(key, __u32);
	__type(value, struct berm_port_block);
} berm_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BERM_MAX_COLS / BERM_COLS_PER_BLOCK);
	__type(key, __u32);
	__type(value, struct berm_col_block);
} berm_cols SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BERM_MAX_CELLS / BERM_CELLS_PER_BLOCK);
	__type(key, __u32);
	__type(value, struct berm_cell_block);
} berm_cells SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BERM_MAX_RULES);
	__type(key, __u32);
	__type(value, struct berm_rule);
} berm_rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct berm_counters);
} berm_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} berm_events SEC(".maps");

/* A ring of its own: sessions that leave in a flood must not push out what was denied. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 19);
} berm_ended SEC(".maps");

/* Direct-mapped: a collision costs an event more, never a count. */
struct berm_throttle {
	struct bpf_spin_lock lock;
	__u32 since;	  /* jiffies of the last event */
	__u64 key[2];	  /* event.h */
	__u32 suppressed; /* since then */
	__u32 pad;
};

#define BERM_THROTTLE_ENTRIES 4096

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BERM_THROTTLE_ENTRIES);
	__type(key, __u32);
	__type(value, struct berm_throttle);
} berm_throttle SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BERM_MAX_LOCAL);
	__type(key, struct berm_addr);
	__type(value, __u32);
} berm_local SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BERM_MAX_FRAGMENTS);
	__type(key, __u32);
	__type(value, struct berm_fragment);
} berm_fragments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, BERM_MAX_ENDPOINTS);
	__type(key, __u32);
	__type(value, struct berm_rejects);
} berm_rejects SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, BERM_MAX_LIMITS);
	__type(key, struct berm_limit_key);
	__type(value, __u64);
} berm_limits SEC(".maps");

/* User space only; made here so that it is pinned with the others. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BERM_MAX_NAMESPACES);
	__type(key, struct berm_ns);
	__type(value, __u32);
} berm_ns_isolation SEC(".maps");

#endif /* BERM_BPF_MAPS_H */
