// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * uplink.bpf.c - the block list at the node's uplink: drops, before the kernel has made a packet of a frame, what every pod's
 * wall would drop anyway because an emergency rule denies its source. Knows sources and the node's pods; no session,
 * no policy. An object of its own: loaded only where it is asked for (docs/uplink.md).
 *
 * What it cannot read it passes: the walls look at everything that gets through.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <stdbool.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "hits.h" /* what is dropped here counts for the rule, too */
#include "wire.h"

const volatile __u32 cfg_any_destination = 0; /* drop what is not for a pod, too */

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BERM_MAX_BLOCKS);
	__type(key, struct berm_cidr_key);
	__type(value, struct berm_block);
} berm_blocks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BERM_MAX_ENDPOINTS *BERM_MAX_ADDRS);
	__type(key, struct berm_addr);
	__type(value, __u32);
} berm_shielded SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct berm_uplink_counters);
} berm_uplink_counters SEC(".maps");

struct frame {
	void *at, *end;
	__u32 bytes;
	bool is_v4;
	bool has_l4; /* `at` is where layer 4 begins: not in later fragments, nor behind extension headers */
	__u8 proto; /* of layer 4, or the first extension header */
	struct berm_addr src, dst;
};

static __always_inline __be16 ethernet_parse(struct frame *f)
{
	struct ethhdr *eth = f->at;
	struct vlan_header *tag;
	__be16 ethertype;

	if ((void *)(eth + 1) > f->end)
		return 0;
	ethertype = eth->h_proto;
	f->at = eth + 1;
#pragma unroll
	for (int i = 0; i < 2; i++) {
		tag = f->at;
		if (!is_vlan(ethertype))
			break;
		if ((void *)(tag + 1) > f->end)
			return 0;
		ethertype = tag->ethertype;
		f->at = tag + 1;
	}
	return ethertype;
}

static __always_inline bool ipv4_parse(struct frame *f)
{
	struct iphdr *ip = f->at;

	if ((void *)(ip + 1) > f->end || ip->version != 4 || ip->ihl < 5)
		return false;
	f->src.w[2] = f->dst.w[2] = bpf_htonl(0xffff);
	f->src.w[3] = ip->saddr;
	f->dst.w[3] = ip->daddr;
	f->is_v4 = true;
	f->proto = ip->protocol;
	f->has_l4 = !(ip->frag_off & bpf_htons(FRAG_OFFSET));
	f->at += ip->ihl * 4;
	return true;
}

static __always_inline bool ipv6_parse(struct frame *f)
{
	struct ipv6hdr *ip = f->at;

	if ((void *)(ip + 1) > f->end || ip->version != 6)
		return false;
	__builtin_memcpy(&f->src, &ip->saddr, sizeof(f->src));
	__builtin_memcpy(&f->dst, &ip->daddr, sizeof(f->dst));
	f->proto = ip->nexthdr;
	f->has_l4 = true;
	f->at = ip + 1;
	return true;
}

static __always_inline struct berm_block *block_of(const struct frame *f)
{
	struct berm_cidr_key key = { .prefixlen = 32 + 128,
				     .table = bpf_htonl(f->is_v4 ? BERM_BLOCKS_V4
								 : BERM_BLOCKS_V6) };

	__builtin_memcpy(key.addr, &f->src, sizeof(key.addr));
	return bpf_map_lookup_elem(&berm_blocks, &key);
}

/* Errors about allowed sessions, neighbour discovery and its kin: all but the question for an echo. */
static __always_inline bool is_echo(const struct frame *f)
{
	__u8 *type = f->at;

	return f->has_l4 && (void *)(type + 1) <= f->end &&
	       *type == (f->is_v4 ? ICMP_ECHO_ASK : ICMP6_ECHO_ASK);
}

static __always_inline bool is_syn(const struct frame *f)
{
	__u8 *tcp = f->at;

	return f->proto == IPPROTO_TCP && f->has_l4 && (void *)(tcp + 14) <= f->end &&
	       (tcp[13] & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/* Would the wall of the pod drop it, whatever sessions the pod has? */
static __always_inline bool is_hopeless(const struct frame *f, __u32 flags)
{
	if (is_syn(f))
		return true;
	/* What stands behind extension headers is left to the walls, which walk them. */
	if (!(flags & BERM_BLOCK_ALL) || (!f->is_v4 && is_ipv6_ext(f->proto)))
		return false;
	if (f->proto == (f->is_v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6))
		return is_echo(f);
	return f->proto != IPPROTO_IGMP;
}

static __always_inline void count(const struct frame *f, __u32 hit)
{
	__u32 zero = 0;
	struct berm_uplink_counters *c = bpf_map_lookup_elem(&berm_uplink_counters, &zero);

	if (c) {
		c->packets++; /* per CPU: no atomics */
		c->bytes += f->bytes;
	}
	if (hit)
		hits_count(hit);
}

SEC("xdp")
int berm_uplink(struct xdp_md *ctx)
{
	struct frame f = { .at = (void *)(long)ctx->data, .end = (void *)(long)ctx->data_end };
	struct berm_block *block;
	__be16 ethertype;

	f.bytes = f.end - f.at;
	ethertype = ethernet_parse(&f);
	if (ethertype == bpf_htons(ETH_P_IP)
		    ? !ipv4_parse(&f)
		    : ethertype != bpf_htons(ETH_P_IPV6) || !ipv6_parse(&f))
		return XDP_PASS;
	block = block_of(&f);
	if (!block || !is_hopeless(&f, block->flags))
		return XDP_PASS;
	if (!cfg_any_destination && !bpf_map_lookup_elem(&berm_shielded, &f.dst))
		return XDP_PASS;
	count(&f, block->hit);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
