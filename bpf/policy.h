/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * policy.h - what does the policy say: (set, class, port class) -> cell -> rule. Two hashes and a few
 * array reads, whatever the number of rules. Knows matrices, no document and no session.
 *
 * A look-up that fails denies: zero never means "allow".
 */
#ifndef BERM_BPF_POLICY_H
#define BERM_BPF_POLICY_H

/* Plane of the port table and index in it, for a packet judged as `dir`. */
static __always_inline __u32 port_index(const struct pkt *p, __u32 dir)
{
	__be16 port = dir == BERM_EGRESS ? p->flow.peer_port : p->flow.local_port;
	__u32 icmp = p->icmp_type << 8 | p->icmp_code;

	if (p->proto == IPPROTO_TCP)
		return BERM_PLANE_TCP << 16 | bpf_ntohs(port);
	if (p->proto == IPPROTO_UDP)
		return BERM_PLANE_UDP << 16 | bpf_ntohs(port);
	if (p->proto == IPPROTO_SCTP)
		return BERM_PLANE_SCTP << 16 | bpf_ntohs(port);
	if (!is_icmp(p))
		return BERM_PLANE_OTHER << 16 | p->proto;
	if (p->found == SESSION_STALE) /* an echo, judged as the request that opened it */
		icmp = (p->is_v4 ? ICMP_ECHO_ASK : ICMP6_ECHO_ASK) << 8;
	return (p->is_v4 ? BERM_PLANE_ICMP : BERM_PLANE_ICMPV6) << 16 | icmp;
}

static __always_inline __u32 port_class(__u32 index)
{
	__u32 block = index / BERM_PORTS_PER_BLOCK;
	struct berm_port_block *b = bpf_map_lookup_elem(&berm_ports, &block);

	return b ? READ(b->port_class[index % BERM_PORTS_PER_BLOCK]) : 0;
}

static __always_inline __u32 set_row(__u32 set, __u32 cls, __u32 default_row)
{
	struct berm_row_key key = { .set = set, .cls = cls };
	__u32 *row = bpf_map_lookup_elem(&berm_rows, &key);

	return row ? READ(*row) : default_row;
}

static __always_inline __u32 set_col(__u32 index)
{
	__u32 block = index / BERM_COLS_PER_BLOCK;
	struct berm_col_block *b = bpf_map_lookup_elem(&berm_cols, &block);

	return b ? READ(b->col[index % BERM_COLS_PER_BLOCK]) : 0;
}

/* Rule index; 0 = hole. */
static __always_inline __u32 set_cell(__u32 index)
{
	__u32 block = index / BERM_CELLS_PER_BLOCK;
	struct berm_cell_block *b = bpf_map_lookup_elem(&berm_cells, &block);

	return b ? READ(b->rule[index % BERM_CELLS_PER_BLOCK]) : 0;
}

static __always_inline void rule_apply(struct pkt *p, __u32 index)
{
	struct berm_rule *rule = bpf_map_lookup_elem(&berm_rules, &index);

	deny(p, BERM_REASON_NO_RULE);
	if (!index || !rule || rule->action == BERM_ACTION_NONE)
		return;
	verdict_set(p, rule->action, rule->reason);
	p->rule = rule->id;
	p->hit = index;
}

static __always_inline void matrix_judge(struct pkt *p, __u32 set, __u32 dir)
{
	struct berm_set *m = bpf_map_lookup_elem(&berm_sets, &set);
	__u32 row, col, at;

	if (!m || !m->ncols) {
		deny(p, set == BERM_SET_ESSENTIALS ? BERM_REASON_FALLBACK : BERM_REASON_NO_RULE);
		return;
	}
	at = port_index(p, dir);
	p->cls = peer_class(&p->flow.peer, p->is_v4, m->table, dir == BERM_EGRESS ? at : AT_NONE);
	row = set_row(set, p->cls, m->default_row);
	col = set_col(m->cols + port_class(at));
	if (col >= m->ncols)
		deny(p, BERM_REASON_NO_RULE);
	else
		rule_apply(p, set_cell(m->base + row * m->ncols + col));
}

/* Judge the packet as one of a flow of this direction (enum berm_dir; of a stale session: its opener's). */
static __noinline int policy_judge(struct pkt *p, __u32 dir)
{
	struct berm_endpoint *ep = p->ep;
	__u32 set;

	if (!ep)
		return 0;
	set = READ(ep->set[dir & 1]);
	p->hit = 0;
	if (set == BERM_SET_OPEN)
		allow(p, BERM_REASON_NOT_ISOLATED);
	else if (set == BERM_SET_DENY)
		deny(p, BERM_REASON_FALLBACK);
	else
		matrix_judge(p, set, dir);

	if (ep->flags & BERM_EP_FALLBACK) {
		p->reason = BERM_REASON_FALLBACK;
		if (p->rule < BERM_RULE_FIRST)
			p->rule = BERM_REASON_FALLBACK;
	}
	return 0;
}

/*
 * A segment from the middle of an unknown TCP flow is judged in its own direction. For a while after the
 * programs were put on a running pod it may also be an answer in a flow that the other side had opened;
 * at any other time that would let a pod that is isolated one way talk through bare ACKs.
 */
static __always_inline void policy_adopt(struct pkt *p, enum berm_dir dir)
{
	__u32 rule, hit;
	__u16 verdict;

	pkt_forget(p); /* what is kept across the second look-up would multiply its ways */
	rule = p->rule;
	hit = p->hit;
	verdict = p->verdict;
	(void)policy_judge(p, !dir);
	if (is_allowed(p)) {
		p->opener = !dir;
		p->state = BERM_SESSION_ANSWERED;
		return;
	}
	p->rule = rule;
	p->hit = hit;
	p->verdict = verdict;
}

static __always_inline bool may_adopt(const struct pkt *p)
{
	__u32 until = p->ep->adopt_until;

	return !cfg_strict_tcp && p->found != SESSION_STALE && tcp_is_middle(p) && until &&
	       !clock_is_past(p->now, until);
}

static __always_inline void policy_decide(struct pkt *p, enum berm_dir dir)
{
	if (p->found == SESSION_STALE && p->state & BERM_SESSION_HOST) {
		allow(p, BERM_REASON_HOST);
		return;
	}
	(void)policy_judge(p, p->opener);
	if (!is_allowed(p) && may_adopt(p))
		policy_adopt(p, dir);
}

#endif /* BERM_BPF_POLICY_H */
