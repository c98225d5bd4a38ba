/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * limit.h - what a rule wants besides its verdict: not too many new sessions in a time, an event for some of them.
 * Knows rules and endpoints; asked only of flows that a rule with such wishes has just allowed.
 *
 * A limit is a bucket of `burst` tokens that gets one back every interval_ns. What is kept is the moment when it will
 * be full again, so nobody has to fill it, and one that nobody asks for costs nothing. 5.10 has no atomic compare and
 * exchange: CPUs that come at the same moment may each take the last token (it is paid for: the bucket is full that
 * much later), and of those that find a full bucket at the same moment only one may be counted.
 */
#ifndef BERM_BPF_LIMIT_H
#define BERM_BPF_LIMIT_H

static __always_inline struct berm_rule *limit_rule(const struct pkt *p)
{
	__u32 index = p->hit;

	return bpf_map_lookup_elem(&berm_rules, &index);
}

static __always_inline __u64 *limit_bucket(const struct pkt *p, const struct berm_rule *rule)
{
	struct berm_limit_key key = { .slot = p->slot, .born = p->ep->born, .rule = rule->id };
	__u64 *full_at = bpf_map_lookup_elem(&berm_limits, &key), full = 0;

	if (full_at || cfg_explain)
		return full_at;
	(void)bpf_map_update_elem(&berm_limits, &key, &full, BPF_NOEXIST); /* or another CPU has */
	return bpf_map_lookup_elem(&berm_limits, &key);
}

/* A token is taken, if there is one. Without memory for a bucket nobody passes: it was full of others. */
static __always_inline bool limit_admits(const struct pkt *p, const struct berm_rule *rule)
{
	__u64 *full_at = limit_bucket(p, rule), now = bpf_ktime_get_ns(), full;

	if (!full_at)
		return cfg_explain;
	full = READ(*full_at);
	if (full > now && full - now > (rule->burst - 1) * rule->interval_ns)
		return false;
	if (cfg_explain)
		return true;
	if (full < now)
		WRITE(*full_at, now);
	ADD(*full_at, rule->interval_ns);
	account_stat(BERM_STAT_LIMITED_NEW);
	return true;
}

/* One in `sample`, the first to begin with: by the hits of the rule, which are counted after this. */
static __always_inline void log_choose(struct pkt *p, const struct berm_rule *rule)
{
	__u32 index = p->hit, sample = rule->sample;
	__u64 *hits = bpf_map_lookup_elem(&berm_hits, &index);

	if (!hits || !sample)
		return;
	if ((__u32)READ(*hits) % sample) {
		account_stat(BERM_STAT_LOG_PASSED);
		return;
	}
	account_stat(BERM_STAT_LOG_TAKEN);
	p->flags |= PKT_LOGGED;
}

/* A session that is judged again is not new. */
static __noinline int rule_extras(struct pkt *p)
{
	struct berm_rule *rule = limit_rule(p);

	if (!rule || !p->ep)
		return 0;
	if (!is_allowed(p)) {
		if (rule->log)
			p->flags |= PKT_LOGGED; /* told anyway: with the Log that it met */
		return 0;
	}
	if (p->found == SESSION_STALE)
		return 0;
	if (rule->interval_ns && !limit_admits(p, rule)) {
		p->action = BERM_ACTION_DENY;
		p->reason = BERM_REASON_RATE_LIMITED;
		return 0;
	}
	if (rule->log && !cfg_explain)
		log_choose(p, rule);
	return 0;
}

#endif /* BERM_BPF_LIMIT_H */
