/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * audit.h - what would become of the packet if the policies and rules in mode audit were enforced? Asked only where
 * a packet is judged, never of one that rides on a session, and only of endpoints that have such policies. Decides
 * nothing.
 */
#ifndef BERM_BPF_AUDIT_H
#define BERM_BPF_AUDIT_H

/*
 * Index of the rule by which a set decides; 0 = a hole. The same steps as matrix_judge(), without a packet: a global
 * function, so that the verifier proves it once and not in every state that leads here, gets numbers only.
 */
__noinline int audit_rule(__u64 peer0, __u64 peer1, __u32 set, __u32 at, __u32 how)
{
	union {
		__u64 half[2];
		struct berm_addr addr;
	} peer = { .half = { peer0, peer1 } };
	struct berm_set *m = bpf_map_lookup_elem(&berm_sets, &set);
	__u32 row, col, cls;

	if (!m || !m->ncols)
		return 0;
	cls = peer_class(&peer.addr, how & 2, m->table, (how & 1) == BERM_EGRESS ? at : AT_NONE);
	row = set_row(set, cls, m->default_row);
	col = set_col(m->cols + port_class(at));
	return col < m->ncols ? set_cell(m->base + row * m->ncols + col) : 0;
}

static __always_inline struct berm_rule *audit_find(const struct pkt *p)
{
	__u32 index = p->would;

	return index ? bpf_map_lookup_elem(&berm_rules, &index) : NULL;
}

/* Guards and the node's own flows are no policy's business: nothing would change for them. */
static __always_inline bool audit_is_due(const struct pkt *p)
{
	return p->ep && (p->hit || p->reason == BERM_REASON_NOT_ISOLATED);
}

static __always_inline void audit(struct pkt *p)
{
	__u32 dir = p->opener & 1, set;
	const word64 *peer = (const word64 *)&p->flow.peer;
	struct berm_rule *rule;

	if (!audit_is_due(p))
		return;
	set = READ(p->ep->would[dir]);
	if (!set)
		return;
	p->would = audit_rule(peer[0], peer[1], set, port_index(p, dir), dir | p->is_v4 << 1);
	rule = audit_find(p);
	if (!rule || rule->action == BERM_ACTION_NONE || rule->action == p->action) {
		p->would = 0;
		return;
	}
	if (cfg_explain)
		return;
	if (is_allowed(p))
		account_stat(BERM_STAT_AUDIT_DENIED);
	else if (rule->action == BERM_ACTION_ALLOW)
		account_stat(BERM_STAT_AUDIT_ALLOWED);
	account_hit(p->would);
}

static __always_inline void audit_tell(struct berm_event *e, const struct pkt *p)
{
	struct berm_rule *rule = audit_find(p);

	e->would_action = rule ? rule->action : 0;
	e->would_reason = rule ? rule->reason : 0;
	e->would_rule = rule ? rule->id : 0;
}

static __always_inline void audit_explain(const struct pkt *p)
{
	struct berm_rule *rule = audit_find(p);

	p->skb->cb[BERM_CB_WOULD] = rule ? rule->reason | rule->action << 8 : 0;
	p->skb->cb[BERM_CB_WOULD_RULE] = rule ? rule->id : 0;
}

#endif /* BERM_BPF_AUDIT_H */
