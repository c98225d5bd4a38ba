/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* account.h - count every packet exactly once, by direction and reason. Knows no header and no name. */
#ifndef BERM_BPF_ACCOUNT_H
#define BERM_BPF_ACCOUNT_H

static __always_inline struct berm_counters *counters(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&berm_counters, &zero);
}

static __always_inline void account_stat(enum berm_stat stat)
{
	struct berm_counters *c = counters();

	if (c)
		c->stat[stat]++; /* per CPU: no atomics */
}

/* Packets a rule has judged. Those that ride on a session are counted there. */
static __always_inline void account_rule(const struct pkt *p)
{
	if (p->hit)
		hits_count(p->hit);
}

static __always_inline void account(const struct pkt *p, enum berm_dir dir)
{
	struct berm_counters *c = counters();
	__u32 reason = p->reason % BERM_REASON_MAX;

	if (!c)
		return;
	c->packets[dir][reason]++;
	c->bytes[dir][reason] += p->skb->len;
}

#endif /* BERM_BPF_ACCOUNT_H */
