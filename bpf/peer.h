/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* peer.h - who is it: address -> class. Knows addresses and their tables, no policy. */
#ifndef BERM_BPF_PEER_H
#define BERM_BPF_PEER_H

/* Class of the longest prefix of this table that holds the address; BERM_CLASS_NONE if none does. */
static __always_inline __u32 cidr_class(const struct berm_addr *addr, __u32 table)
{
	struct berm_cidr_key key = { .prefixlen = 32 + 128, .table = bpf_htonl(table) };
	__u32 *cls;

	__builtin_memcpy(key.addr, addr, sizeof(key.addr));
	cls = bpf_map_lookup_elem(&berm_cidrs, &key);
	return cls ? READ(*cls) : BERM_CLASS_NONE;
}

/* Exact address first, so a pod keeps its class inside any CIDR block. */
static __always_inline __u32 peer_class(const struct pkt *p, __u32 table)
{
	struct berm_peer *peer = bpf_map_lookup_elem(&berm_peers, &p->flow.peer);
	__u32 cls = BERM_CLASS_NONE;

	if (peer)
		return READ(peer->cls);
	if (table)
		cls = cidr_class(&p->flow.peer, table);
	if (cls != BERM_CLASS_NONE)
		return cls;
	return p->is_v4 ? BERM_CLASS_WORLD4 : BERM_CLASS_WORLD6;
}

#endif /* BERM_BPF_PEER_H */
