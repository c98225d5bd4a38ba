// SPDX-License-Identifier: Apache-2.0
/* advice_ipset.c - peers that name an IPSet which no document is. Knows no address. */
#include <string.h>

#include "advisor.h"
#include "hint.h"

/* Its own namespace's, and those of the system. */
static bool is_visible(const struct berm_policy *set, const struct berm_policy *from)
{
	return set->kind == BERM_KIND_IPSET &&
	       (!strcmp(set->ns, from->ns) || !strcmp(set->ns, BERM_SYSTEM_NAMESPACE));
}

static bool is_there(const struct advisor *a, const struct berm_policy *from, const char *name,
		     struct berm_nearest *nearest)
{
	for (size_t i = 0; i < a->advice->count; i++) {
		const struct berm_policy *set = a->advice->document[i].policy;

		if (!is_visible(set, from))
			continue;
		if (!strcmp(set->name, name))
			return true;
		berm_nearest_try(nearest, set->name);
	}
	return false;
}

static void advise_peer(struct advisor *a, const struct berm_advice_document *document,
			const struct berm_said *said, size_t at)
{
	const char *name = said->rule->peer[at].ipset;
	bool is_open = said->rule->action == BERM_RULE_ALLOW || said->rule->action == BERM_RULE_LOG;
	struct berm_nearest nearest = { .word = name };
	char path[128], hint[128];

	if (!name || is_there(a, said->policy, name, &nearest))
		return;
	berm_advisor_path(path, said, ".%s[%zu]", berm_advisor_peers(said->rule), at);
	berm_advisor_tell(a, document,
			  &(struct advice_finding){
				  BERM_CODE_NO_IPSET, path,
				  berm_nearest_text(&nearest,
						    "if it is in another file, give that one --with",
						    hint, sizeof(hint)) },
			  "there is no IPSet '%s' for namespace %s here; without it %s", name,
			  said->policy->ns,
			  is_open ? "this peer matches nothing"
				  : "the rule denies everyone everything");
}

void berm_advise_ipsets(struct advisor *a, const struct berm_advice_document *document)
{
	const struct berm_policy *policy = document->policy;

	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct berm_said said = { policy, &policy->rule[i] };

		for (size_t p = 0; p < said.rule->peer_count && berm_advisor_is_there(a, &said);
		     p++)
			advise_peer(a, document, &said, p);
	}
}
