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

static __always_inline struct berm_rule *limit_rule(__u32 index)
{
	return bpf_map_lookup_elem(&berm_rules, &index);
}

static __always_inline __u64 *limit_bucket(const struct berm_limit_key *key)
{
	__u64 *full_at = bpf_map_lookup_elem(&berm_limits, key), full = 0;

	if (full_at || cfg_explain)
		return full_at;
	(void)bpf_map_update_elem(&berm_limits, key, &full, BPF_NOEXIST); /* or another CPU has */
	return bpf_map_lookup_elem(&berm_limits, key);
}

/* A token is taken, if there is one. Nobody passes without memory for a bucket. */
static __always_inline bool limit_admits(const struct berm_limit_key *key,
					 const struct berm_rule *rule)
{
	__u64 *full_at = limit_bucket(key), now = bpf_ktime_get_ns(), full;

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
static __always_inline bool log_takes(__u32 index, __u32 sample)
{
	__u64 *hits = bpf_map_lookup_elem(&berm_hits, &index);
	bool taken = hits && sample && !((__u32)READ(*hits) % sample);

	account_stat(taken ? BERM_STAT_LOG_TAKEN : BERM_STAT_LOG_PASSED);
	return taken;
}

enum extras { EXTRAS_NONE, EXTRAS_LOG, EXTRAS_LIMITED };

/* What becomes of a new flow that rule `index` has just decided (enum extras). Global, and with numbers only: the
 * verifier proves it once, whatever led here. */
__noinline int rule_extras(__u32 index, __u32 slot, __u32 born)
{
	struct berm_rule *rule = limit_rule(index);
	struct berm_limit_key key = { .slot = slot, .born = born };

	if (!rule)
		return EXTRAS_NONE;
	if (rule->action != BERM_ACTION_ALLOW) /* told anyway: with the Log that it met */
		return rule->log ? EXTRAS_LOG : EXTRAS_NONE;
	key.rule = rule->id;
	if (rule->interval_ns && !limit_admits(&key, rule))
		return EXTRAS_LIMITED;
	return rule->log && !cfg_explain && log_takes(index, rule->sample) ? EXTRAS_LOG
									   : EXTRAS_NONE;
}

/* A session that is judged again is not new. */
static __always_inline void limit(struct pkt *p)
{
	int extras;

	if (!(p->flags & PKT_EXTRAS) || p->found == SESSION_STALE || !p->ep)
		return;
	extras = rule_extras(p->hit, p->slot, p->ep->born);
	if (extras == EXTRAS_LOG)
		p->flags |= PKT_LOGGED;
	if (extras == EXTRAS_LIMITED) {
		p->action = BERM_ACTION_DENY; /* the rule stays named */
		p->reason = BERM_REASON_RATE_LIMITED;
	}
	pkt_forget(p);
}

#endif /* BERM_BPF_LIMIT_H */
