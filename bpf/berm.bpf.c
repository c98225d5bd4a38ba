// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * berm.bpf.c - the data path, one packet at a time.
 *
 *	pkt_parse -> session_admits? -> endpoint -> guard -> policy -> session_remember -> account
 *
 * Every step reads and fills struct pkt and lives in the header of its name. The direction is an argument
 * and never a field: after inlining it is a constant, so each hook gets code of its own.
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

/* Host side of the veth: what leaves the pod arrives here (tc ingress)... */
SEC("tc")
int berm_from_pod(struct __sk_buff *skb)
{
	return handle(skb, BERM_EGRESS);
}

/* ...and what enters the pod leaves here (tc egress). */
SEC("tc")
int berm_to_pod(struct __sk_buff *skb)
{
	return handle(skb, BERM_INGRESS);
}

/* Maintenance, run by BPF_PROG_TEST_RUN (with repeat: the arguments move on by themselves). */
SEC("tc")
int berm_sweep(struct __sk_buff *skb)
{
	return sweep(skb);
}

/* The same, while the session table is being replaced by one of another size. */
SEC("tc")
int berm_move(struct __sk_buff *skb)
{
	return move(skb);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
