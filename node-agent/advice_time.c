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
