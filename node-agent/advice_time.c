// SPDX-License-Identifier: Apache-2.0
/* advice_time.c - what has expired: it is told of, and counts for nothing that is said of others. Asks no clock. */
#include <errno.h>
#include <stdlib.h>

#include "advisor.h"
#include "moment.h"

static bool is_past(const struct advisor *a, int64_t expires)
{
	return expires && expires <= a->model->now_s;
}

bool berm_advisor_is_there(const struct advisor *a, const struct berm_said *said)
{
	return !said->policy->disabled && said->rule->mode != BERM_MODE_DISABLED &&
	       !is_past(a, said->rule->expires);
}

static void tell_document(struct advisor *a, const struct berm_advice_document *document)
{
	char when[BERM_MOMENT_STRLEN];

	berm_moment_format(document->policy->expires, when);
	berm_advisor_tell(a, document,
			  &(struct advice_finding){ BERM_CODE_EXPIRED, "expires",
						    "remove the document, or give it more time" },
			  "expired at %s: the document is not in force any more", when);
}

static void tell_rules(struct advisor *a, const struct berm_advice_document *document)
{
	char path[128], when[BERM_MOMENT_STRLEN];

	for (size_t i = 0; i < document->policy->rule_count; i++) {
		const struct berm_said said = { document->policy, &document->policy->rule[i] };

		if (said.rule->mode == BERM_MODE_DISABLED || !is_past(a, said.rule->expires))
			continue;
		berm_moment_format(said.rule->expires, when);
		berm_advisor_path(path, &said, ".expires");
		berm_advisor_tell(a, document,
				  &(struct advice_finding){
					  BERM_CODE_EXPIRED, path,
					  "remove the rule, or give it more time" },
				  "expired at %s: the rule is not in force any more", when);
	}
}

static const char *const always_hint = "remove the schedule, or correct its windows";

/* What a schedule says beside the expiry of the same thing. */
static void tell_schedule(struct advisor *a, const struct berm_advice_document *document,
			  const struct berm_schedule *schedule, int64_t expires, const char *path)
{
	int64_t since, until;
	char when[BERM_MOMENT_STRLEN];

	if (!schedule->count)
		return;
	if (berm_schedule_is_always(schedule)) {
		berm_advisor_tell(a, document,
				  &(struct advice_finding){ BERM_CODE_SCHEDULE, path, always_hint },
				  "it is open all the time");
		return;
	}
	if (!expires || berm_schedule_at(schedule, a->model->now_s, &since, &until) ||
	    until < expires)
		return;
	berm_moment_format(expires, when);
	berm_advisor_tell(a, document,
			  &(struct advice_finding){ BERM_CODE_SCHEDULE, path,
						    "let it expire later, or correct its windows" },
			  "it does not open again before %s, when it expires", when);
}

static void tell_isolation(struct advisor *a, const struct berm_advice_document *document)
{
	const struct berm_policy *policy = document->policy;

	if (policy->schedule.count && policy->isolate &&
	    !berm_schedule_is_always(&policy->schedule))
		berm_advisor_tell(
			a, document,
			&(struct advice_finding){ BERM_CODE_SCHEDULE, "schedule",
						  "put the schedule on the rules that allow" },
			"outside its schedule the document isolates nobody: what it isolates is open then");
}

static void tell_rule_schedules(struct advisor *a, const struct berm_advice_document *document)
{
	const struct berm_policy *policy = document->policy;
	char path[128];

	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct berm_said said = { policy, &policy->rule[i] };

		if (!said.rule->schedule.count || !berm_advisor_is_there(a, &said))
			continue;
		berm_advisor_path(path, &said, ".schedule");
		tell_schedule(a, document, &said.rule->schedule, said.rule->expires, path);
	}
}

void berm_advise_schedules(struct advisor *a, const struct berm_advice_document *document)
{
	const struct berm_policy *policy = document->policy;

	if (is_past(a, policy->expires))
		return;
	tell_schedule(a, document, &policy->schedule, policy->expires, "schedule");
	tell_isolation(a, document);
	tell_rule_schedules(a, document);
}

void berm_advise_expiry(struct advisor *a, const struct berm_advice_document *document)
{
	if (is_past(a, document->policy->expires))
		tell_document(a, document);
	else
		tell_rules(a, document);
}

int berm_advisor_narrow(struct advisor *a, struct berm_advice *out)
{
	struct berm_advice_document *kept = calloc(a->advice->count + 1, sizeof(*kept));

	if (!kept)
		return -ENOMEM;
	*out = (struct berm_advice){ a->model, kept, 0 };
	for (size_t i = 0; i < a->advice->count; i++) {
		const struct berm_policy *policy = a->advice->document[i].policy;

		if (!berm_policy_is_companion(policy->kind) && !is_past(a, policy->expires))
			kept[out->count++] = a->advice->document[i];
	}
	a->advice = out;
	return 0;
}
