/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* peer.h - who is it: address -> class; on the way out, whom the node leads the packet to. Knows addresses
 * and their tables, no policy. */
#ifndef BERM_BPF_PEER_H
#define BERM_BPF_PEER_H

#define AT_NONE 0xffffffffu

/* Class of the longest prefix of this table that holds the address; BERM_CLASS_NONE if none does. */
static __always_inline __u32 cidr_class(const struct berm_addr *addr, __u32 table)
{
	struct berm_cidr_key key = { .prefixlen = 32 + 128, .table = bpf_htonl(table) };
	__u32 *cls;

	__builtin_memcpy(key.addr, addr, sizeof(key.addr));
	cls = bpf_map_lookup_elem(&berm_cidrs, &key);
	return cls ? READ(*cls) : BERM_CLASS_NONE;
}

/* Whoever has no entry of his own is looked for among all prefixes: once, then he is known for a while. */
static __always_inline __u64 hot_hash(const word64 *addr, __u64 of)
{
	__u64 h = addr[0] * 0x9e3779b97f4a7c15ull ^ addr[1] * 0xc2b2ae3d27d4eb4full ^
		  of * 0x165667b19e3779f9ull;

	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ull;
	return h ^ h >> 32;
}

static __always_inline __u32 hot_check(__u64 hash, __u32 cls)
{
	return (__u32)(hash >> 32) ^ cls * 0x9e3779b1u;
}

static __always_inline __u32 cidr_class_hot(const struct berm_addr *addr, __u32 table)
{
	const word64 *a = (const word64 *)addr;
	__u64 of = (__u64)table << 32 | READ(berm_node.cidr_version), hash = hot_hash(a, of);
	__u32 index = hash % BERM_CIDR_HOT, cls;
	struct berm_cidr_hot *hot = bpf_map_lookup_elem(&berm_cidr_hot, &index);

	if (!hot)
		return cidr_class(addr, table);
	cls = READ(hot->cls);
	if (hot->addr[1] == a[1] && hot->addr[0] == a[0] && hot->of == of &&
	    hot->check == hot_check(hash, cls))
		return cls;
	cls = cidr_class(addr, table);
	if (cfg_explain)
		return cls;
	hot->addr[0] = a[0];
	hot->addr[1] = a[1];
	hot->of = of;
	hot->check = hot_check(hash, cls);
	hot->cls = cls;
	return cls;
}

/* A Service, nodePort or hostPort has a class that stands for those behind it (docs/policy.md, "Services"). */
static __always_inline __u32 frontend_class(const struct berm_frontend_key *key)
{
	struct berm_peer *frontend = bpf_map_lookup_elem(&berm_frontends, key);

	return frontend ? READ(frontend->cls) : BERM_CLASS_NONE;
}

static __always_inline __u32 frontend_at(const struct berm_addr *addr, bool v4, __u32 peer,
					  __u32 at)
{
	struct berm_frontend_key key = { .addr = *addr, .at = at };
	__u32 cls = BERM_CLASS_NONE;

	if (peer & BERM_PEER_FRONTENDS)
		cls = frontend_class(&key);
	if (cls != BERM_CLASS_NONE || !(peer & BERM_PEER_NODE_FRONTENDS))
		return cls;
	key.addr = (struct berm_addr){ .w = { 0, 0, v4 ? bpf_htonl(0xffff) : 0, 0 } };
	return frontend_class(&key);
}

/* Exact address first, so a pod keeps its class inside any CIDR block. at: where the packet goes to, of one
 * that comes in AT_NONE. */
static __always_inline __u32 peer_class(const struct berm_addr *addr, bool v4, __u32 table,
					 __u32 at)
{
	struct berm_peer *peer = bpf_map_lookup_elem(&berm_peers, addr);
	__u32 cls = BERM_CLASS_NONE, value;

	if (peer) {
		value = READ(peer->cls);
		if (at != AT_NONE && value & ~BERM_PEER_CLASS)
			cls = frontend_at(addr, v4, value, at);
		return cls != BERM_CLASS_NONE ? cls : value & BERM_PEER_CLASS;
	}
	if (table)
		cls = cidr_class_hot(addr, table);
	if (cls != BERM_CLASS_NONE)
		return cls;
	return v4 ? BERM_CLASS_WORLD4 : BERM_CLASS_WORLD6;
}

#endif /* BERM_BPF_PEER_H */
