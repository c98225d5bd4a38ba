/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * wanted.h - a rule may want its sessions to carry one application (berm_rule.app): is it that one? Knows what a
 * packet says (payload.h) and what the rule wants, not how one is told from another.
 *
 * Until that is known the session is provisional. The packet that tells makes it stale (session.h), so that it comes
 * here like one whose policy has changed: no other packet of a session is asked.
 */
#ifndef BERM_BPF_WANTED_H
#define BERM_BPF_WANTED_H

static __always_inline bool app_is_known(__u32 app)
{
	return app >= BERM_APP_UNKNOWN;
}

/* What was under way before the programs came says nothing about how it began. It may go on; at any other time that
 * would be a way around the rule. */
static __always_inline bool was_before_us(const struct pkt *p)
{
	__u32 until = p->ep ? p->ep->adopt_until : 0;

	if (p->found == SESSION_STALE)
		return p->state & BERM_SESSION_ADOPTED;
	return tcp_is_middle(p) && until && !clock_is_past(p->now, until);
}

/* An end of what we do not know, with nothing in it. (On a session that was cut it would make the session good again.) */
static __always_inline bool says_nothing(const struct pkt *p)
{
	return p->found != SESSION_STALE && p->proto == IPPROTO_TCP && !(p->flags & PKT_OPENS) &&
	       !payload_start(p);
}

/* The rule allows, but not this. */
static __always_inline void wanted_denies(struct pkt *p, const struct berm_rule *rule)
{
	__u32 rejects = rule->flags & BERM_RULE_REJECTS_OTHERS;

	verdict_set(p, rejects ? BERM_ACTION_REJECT : BERM_ACTION_DENY, BERM_REASON_APP_MISMATCH);
	p->rule = rule->id | p->app << BERM_APP_SHIFT;
	if (rejects && p->found == SESSION_STALE && p->proto == IPPROTO_TCP)
		p->flags |= PKT_RESETS;
}

/* A connection that begins anew on one that was cut has said nothing yet. */
static __always_inline void wanted_again(struct pkt *p)
{
	p->found = SESSION_REPLACE;
	p->state = 0;
	p->app = app_open(p);
}

/* After a rule has allowed. p->app: what is written into the session. Global functions cannot take a struct pkt. */
static __noinline int wanted_judge(struct pkt *p)
{
	__u32 index = p->hit, want = 0;
	struct berm_rule *rule;

	if (p->found != SESSION_STALE)
		p->app = app_open(p);
	rule = bpf_map_lookup_elem(&berm_rules, &index);
	if (index && rule)
		want = rule->app;
	if (!app_is_known(p->app))
		p->app &= ~BERM_APP_PROVISIONAL;
	if (!want || !rule)
		return 0;
	if (p->found == SESSION_STALE && tcp_is_syn(p) && p->app != want && app_is_known(p->app))
		wanted_again(p);
	if (!app_is_known(p->app))
		p->app |= BERM_APP_PROVISIONAL;
	else if (p->app != want && !was_before_us(p) && !says_nothing(p))
		wanted_denies(p, rule);
	return 0;
}

static __always_inline void wanted_decide(struct pkt *p)
{
	if (!cfg_apps || !is_allowed(p))
		return;
	(void)wanted_judge(p);
	if (p->is_new && is_allowed(p))
		p->reason = BERM_REASON_SESSION; /* it has one already, and it stays */
}

/* The session has been remembered: what it carries goes into its event, and the room is another's (bpf/audit.h). */
static __always_inline void wanted_told(struct pkt *p)
{
	if (p->found == SESSION_STALE && is_allowed(p))
		p->rule = (p->rule & BERM_RULE_ID) | p->app << BERM_APP_SHIFT;
	p->would = 0;
}

#endif /* BERM_BPF_WANTED_H */
