/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * audit.h - what would become of the packet if the policies and rules in mode audit were enforced? Asked only where
 * a packet is judged, never of one that rides on a session, and only of endpoints that have such policies. Decides
 * nothing.
 */
#ifndef BERM_BPF_AUDIT_H
#define BERM_BPF_AUDIT_H

#define AUDIT_EGRESS 0x1
#define AUDIT_V4     0x2

/* Index of the rule by which a set decides; 0 = a hole. The same steps as matrix_judge(), without a packet. */
static __always_inline __u32 audit_judge(const struct berm_addr *peer, __u32 set, __u32 at,
					 __u32 how)
{
	struct berm_set *m = bpf_map_lookup_elem(&berm_sets, &set);
	__u32 row, col, cls;

	if (!m || !m->ncols)
		return 0;
	cls = peer_class(peer, how & AUDIT_V4, m->table, how & AUDIT_EGRESS ? at : AT_NONE);
	row = set_row(set, cls, m->default_row);
	col = set_col(m->cols + port_class(at));
	return col < m->ncols ? set_cell(m->base + row * m->ncols + col) : 0;
}

/* Index of the rule that its matrix names. Global, and with numbers only: the verifier proves it once, and not in every
 * state that leads here. */
__noinline int audit_rule(__u64 peer0, __u64 peer1, __u32 set, __u32 at, __u32 how)
{
	union {
		__u64 half[2];
		struct berm_addr addr;
	} peer = { .half = { peer0, peer1 } };

	return audit_judge(&peer.addr, set, at, how);
}

/* The same rule if it decides otherwise than what is (enum berm_action), else 0. Counted. */
__noinline int audit_differs(__u32 index, __u32 action)
{
	struct berm_rule *rule = index ? bpf_map_lookup_elem(&berm_rules, &index) : NULL;

	if (!rule || rule->action == BERM_ACTION_NONE || rule->action == action)
		return 0;
	if (cfg_explain)
		return index;
	if (action == BERM_ACTION_ALLOW)
		account_stat(BERM_STAT_AUDIT_DENIED);
	else if (rule->action == BERM_ACTION_ALLOW)
		account_stat(BERM_STAT_AUDIT_ALLOWED);
	hits_count(index);
	return index;
}

static __always_inline __u32 audit_flow(const struct pkt *p, __u32 set)
{
	struct berm_set *m = bpf_map_lookup_elem(&berm_sets, &set);

	return m && m->ncols && m->flows ? flow_rule(p, m->flows) : 0;
}

static __always_inline struct berm_rule *audit_find(const struct pkt *p)
{
	__u32 index = p->would;

	return index ? bpf_map_lookup_elem(&berm_rules, &index) : NULL;
}

/* Guards and the node's own flows are no policy's business: nothing would change for them. What its rule allows and
 * a limit, or what it carries, has stopped is not compared: neither is tried in mode audit. */
static __always_inline bool audit_is_due(const struct pkt *p)
{
	if (p->reason == BERM_REASON_RATE_LIMITED || p->reason == BERM_REASON_APP_MISMATCH)
		return false;
	return p->ep && (p->hit || p->reason == BERM_REASON_NOT_ISOLATED);
}

static __always_inline void audit(struct pkt *p)
{
	__u32 dir = p->opener & 1, set, index;
	const word64 *peer = (const word64 *)&p->flow.peer;

	if (!audit_is_due(p))
		return;
	set = READ(p->ep->would[dir]);
	if (!set)
		return;
	index = audit_flow(p, set);
	if (!index)
		index = audit_rule(peer[0], peer[1], set, port_index(p, dir),
				   dir * AUDIT_EGRESS | p->is_v4 * AUDIT_V4);
	p->would = audit_differs(index, p->action);
	pkt_forget(p);
}

static __always_inline void audit_tell(struct berm_event *e, const struct pkt *p)
{
	struct berm_rule *rule = audit_find(p), *log = NULL;

	if (!rule && p->flags & PKT_LOGGED)
		log = limit_rule(p->hit);
	e->would_action = rule ? rule->action : 0;
	e->would_reason = rule ? rule->reason : 0;
	e->would_rule = rule ? rule->id : log ? log->log : 0;
}

static __always_inline void audit_explain(const struct pkt *p)
{
	struct berm_rule *rule = audit_find(p);

	p->skb->cb[BERM_CB_WOULD] = rule ? rule->reason | rule->action << 8 : 0;
	p->skb->cb[BERM_CB_WOULD_RULE] = rule ? rule->id : 0;
}

#endif /* BERM_BPF_AUDIT_H */
