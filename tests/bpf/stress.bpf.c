// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * stress.bpf.c - the product's own handle() behind a few instructions that make every run of BPF_PROG_TEST_RUN
 * a random packet of few flows, so that two CPUs really meet. It knows what test_stress.c's policy says at any
 * time, and counts what was not so. Never part of the product.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "handle.h"

/* As in test_stress.c. */
#define FRIENDS	    4
#define PEERS	    6
#define PORT_ALWAYS 80
#define PORT_NEVER  83
#define NET	    0x0a140001 /* 10.20.0.1 */

/* By CPU: what is written by two would be their own race. */
#define CPUS 8
__u64 stress_denied[CPUS], stress_leaks[CPUS], stress_drops[CPUS];

struct frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

static __always_inline int stress(struct __sk_buff *skb, enum berm_dir dir)
{
	struct frame *f = (void *)(long)skb->data;
	__u32 rnd = bpf_get_prandom_u32();
	__u32 peer = (rnd & 0xff) * PEERS >> 8, port = PORT_ALWAYS + (rnd >> 8 & 3);
	__be32 addr = bpf_htonl(NET + peer);
	__be16 served = bpf_htons(port), from = bpf_htons(43000 + (rnd >> 10 & 7));
	__u32 cpu = bpf_get_smp_processor_id() % CPUS;
	bool allowed;

	if ((void *)(f + 1) > (void *)(long)skb->data_end)
		return 0;
	if (dir == BERM_EGRESS)
		f->ip.daddr = addr;
	else
		f->ip.saddr = addr;
	f->tcp.source = dir == BERM_EGRESS ? served : from;
	f->tcp.dest = dir == BERM_EGRESS ? from : served;
	f->tcp.syn = rnd >> 16 & 1;
	f->tcp.ack = dir == BERM_EGRESS || !f->tcp.syn;
	allowed = handle(skb, dir) == VERDICT_NEXT;
	stress_denied[cpu] += !allowed;
	if (peer >= FRIENDS || port == PORT_NEVER)
		stress_leaks[cpu] += allowed;
	else if (port == PORT_ALWAYS && dir == BERM_INGRESS)
		stress_drops[cpu] += !allowed;
	return 0;
}

/* The peer opens... */
SEC("tc")
int stress_to_pod(struct __sk_buff *skb)
{
	return stress(skb, BERM_INGRESS);
}

/* ...and the pod answers, to whomever. */
SEC("tc")
int stress_from_pod(struct __sk_buff *skb)
{
	return stress(skb, BERM_EGRESS);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
