/* SPDX-License-Identifier: Apache-2.0 */
/* trial.c - a compilation for asking only. Knows plans; no document, and no reason why somebody asks. */
#include "trial.h"

#include <stdio.h>
#include <string.h>

#include "cidr.h"
#include "compile.h"
#include "maps.h"

#define NONE UINT32_MAX

int berm_trial_run(struct berm_trial *trial, const struct berm_model *model, struct berm_err *err)
{
	struct berm_plan *plan = NULL;
	int rc;

	*trial = (struct berm_trial){ 0 };
	rc = berm_compile(model, &plan, &trial->problems, err);
	if (rc) {
		berm_problems_clear(&trial->problems);
		return rc;
	}
	trial->plan = plan;
	return 0;
}

void berm_trial_clear(struct berm_trial *trial)
{
	berm_plan_free(trial->plan);
	berm_problems_clear(&trial->problems);
	*trial = (struct berm_trial){ 0 };
}

const struct berm_plan_peer *berm_trial_peer(const struct berm_plan *plan,
					     const struct berm_addr *addr)
{
	size_t low = 0, high = plan->peer_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int rc = memcmp(&plan->peer[mid].addr, addr, sizeof(*addr));

		if (!rc)
			return &plan->peer[mid];
		if (rc < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* Tables have the longest prefixes first. */
uint32_t berm_trial_class(const struct berm_plan *plan, uint32_t set, const struct berm_addr *addr)
{
	const struct berm_plan_peer *peer = berm_trial_peer(plan, addr);
	uint32_t table = set == NONE ? NONE : plan->set[set].table;

	if (peer)
		return peer->cls;
	for (size_t i = 0; table != NONE && i < plan->table[table].prefix_count; i++)
		if (berm_addr_same_prefix(&plan->table[table].prefix[i].addr, addr,
					  plan->table[table].prefix[i].bits))
			return plan->table[table].prefix[i].cls;
	return berm_addr_is_v4(addr) ? 0 : 1;
}

static size_t find_interval(const struct berm_plan *plan, uint32_t at)
{
	size_t low = 0, high = plan->interval_count - 1;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		uint32_t last = (uint32_t)plan->interval[mid].plane << 16 |
				plan->interval[mid].last;

		if (last < at)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct berm_trial_verdict berm_trial_cell(const struct berm_plan *plan, uint32_t set, uint32_t cls,
					  uint32_t at)
{
	const struct berm_plan_set *s;
	const struct berm_rule_name *rule;

	if (set == NONE)
		return (struct berm_trial_verdict){ .is_allowed = true };
	s = &plan->set[set];
	rule = &plan->rule[s->cell[(size_t)s->row[cls] * s->ncols + s->col[find_interval(plan, at)]]]
			.name;
	return (struct berm_trial_verdict){ rule->action == BERM_ACTION_ALLOW, rule };
}

struct berm_trial_verdict berm_trial_ask(const struct berm_trial *trial, size_t end, uint8_t dir,
					 const struct berm_addr *peer, uint32_t at)
{
	uint32_t set = trial->plan->endpoint[end].set[dir];

	return berm_trial_cell(trial->plan, set, berm_trial_class(trial->plan, set, peer), at);
}

const char *berm_trial_rule(const struct berm_rule_name *rule, char *out, size_t size)
{
	bool is_implicit = rule && !strcmp(rule->tier, "implicit");

	if (!rule)
		snprintf(out, size, "no policy isolates it");
	else if (is_implicit && *rule->rule)
		snprintf(out, size, "%s by %s", berm_reason_name(rule->reason), rule->rule);
	else if (is_implicit || !*rule->policy)
		snprintf(out, size, "%s", berm_reason_name(rule->reason));
	else
		snprintf(out, size, "rule %s%s%s:%s", rule->ns, *rule->ns ? "/" : "", rule->policy,
			 rule->rule);
	return out;
}
