// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * generator.bpf.c - the product's own handle() behind a few instructions that make every run of
 * BPF_PROG_TEST_RUN another flow, so that millions of packets cost seconds and not minutes. And beside it
 * what benchmarks compare with: an empty program, and one look-up in the kernel's LRU hash.
 *
 * Takes plain IPv4 TCP or UDP frames without tags and options. Never part of the product.
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

/* Flow number n: the peer's address and the opener's port follow from it. */
__u32 gen_next;	    /* counts up by one a packet */
__u32 gen_flows;    /* packets go round this many flows... */
__u32 gen_scatter;  /* ...in order, or scattered over them */
__u32 gen_by_peer;  /* the peer opens the flows, else the pod */
__u32 gen_net;	    /* host order: first address of the peers */
__u32 gen_one_peer; /* only ports vary */

#define PORTS	 16384 /* flows of one peer */
#define PORT_MIN 1024

struct frame {
	struct ethhdr eth;
	struct iphdr ip;
	__be16 port[2]; /* source, destination */
	__u8 rest[16];
} __attribute__((packed));

static __always_inline void vary(struct frame *f, enum berm_dir dir)
{
	__u32 n = gen_next;
	bool from_opener = (dir == BERM_INGRESS) == !!gen_by_peer;
	__be32 peer;
	__be16 port;

	gen_next = !gen_scatter && n + 1 >= gen_flows ? 0 : n + 1;
	if (gen_scatter)
		n = (__u64)(n * 2654435761u) * gen_flows >> 32;
	peer = bpf_htonl(gen_net + (gen_one_peer ? 0 : n / PORTS));
	port = bpf_htons(PORT_MIN + (gen_one_peer ? n % 64000 : n % PORTS));
	if (dir == BERM_EGRESS)
		f->ip.daddr = peer;
	else
		f->ip.saddr = peer;
	f->port[!from_opener] = port;
}

static __always_inline struct frame *frame_of(struct __sk_buff *skb)
{
	struct frame *f = (void *)(long)skb->data;

	return (void *)(f + 1) <= (void *)(long)skb->data_end ? f : NULL;
}

SEC("tc")
int gen_from_pod(struct __sk_buff *skb)
{
	struct frame *f = frame_of(skb);

	if (!f)
		return 0;
	vary(f, BERM_EGRESS);
	return handle(skb, BERM_EGRESS);
}

SEC("tc")
int gen_to_pod(struct __sk_buff *skb)
{
	struct frame *f = frame_of(skb);

	if (!f)
		return 0;
	vary(f, BERM_INGRESS);
	return handle(skb, BERM_INGRESS);
}

/* ---- what benchmarks compare with ----------------------------------------------------------------------- */

struct ref_session {
	__u64 bytes[BERM_DIR_COUNT];
	__u32 packets[BERM_DIR_COUNT];
	__u32 epoch;
	__u32 seen;
	__u32 rule;
	__u32 slot;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, union flow);
	__type(value, struct ref_session);
} ref_sessions SEC(".maps");

SEC("tc")
int ref_empty(struct __sk_buff *skb)
{
	(void)skb;
	return VERDICT_NEXT;
}

/* The same generator, the same parser, then one look-up: what the session table has to beat. */
SEC("tc")
int ref_lru(struct __sk_buff *skb)
{
	struct frame *f = frame_of(skb);
	struct pkt p = { .skb = skb };
	struct ref_session *s, fresh = { .slot = 1 };

	if (!f)
		return 0;
	vary(f, BERM_EGRESS);
	pkt_parse(&p, BERM_EGRESS);
	if (p.kind != PKT_FLOW)
		return VERDICT_DROP;
	s = bpf_map_lookup_elem(&ref_sessions, &p.flow);
	if (!s) {
		fresh.epoch = berm_node.epoch[1];
		bpf_map_update_elem(&ref_sessions, &p.flow, &fresh, BPF_NOEXIST);
		return 0;
	}
	if (s->epoch != berm_node.epoch[s->slot % BERM_MAX_ENDPOINTS])
		return VERDICT_DROP;
	s->packets[BERM_EGRESS]++;
	s->bytes[BERM_EGRESS] += skb->len;
	s->seen = clock_now();
	return VERDICT_NEXT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
