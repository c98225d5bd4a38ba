/* SPDX-License-Identifier: Apache-2.0 */
/* advisor.h - the working state of advice*.c: all rules in their order, and how to say what was found. */
#ifndef BERM_ADVISOR_H
#define BERM_ADVISOR_H

#include <cjson/cJSON.h>

#include "advice.h"
#include "cover.h"

#define ADVICE_NOT_JUDGED SIZE_MAX

struct advice_rule {
	const struct berm_advice_document *document;
	struct berm_said said;
	int stage; /* of design/policy.md, "Evaluation": emergency first */
};

struct advisor {
	const struct berm_advice *advice;
	const struct berm_model *model;
	struct berm_problems *problems;
	struct advice_rule *rule; /* in order of evaluation */
	size_t rule_count;
	size_t steps; /* comparisons left */
	bool has_pods;
	const struct berm_essential *dns; /* what the essential opens */
	/* of the document that was spoken of last */
	const struct berm_advice_document *last;
	cJSON *tree;
	size_t told;
	bool no_memory;
};

/* path: "spec.egress[1].to[0]"; the deepest part of it that is there is where the finding points. hint may be NULL. */
struct advice_finding {
	enum berm_problem_code code;
	const char *path, *hint;
};
void berm_advisor_tell(struct advisor *a, const struct berm_advice_document *document,
		       const struct advice_finding *finding, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* "spec.egress[1]", and behind it what fmt says. */
void berm_advisor_path(char out[128], const struct berm_said *said, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* "NetworkPolicy shop/db" and "web" or "#1". */
void berm_advisor_title(const struct berm_policy *policy, char out[384]);
void berm_advisor_rule_name(const struct berm_policy_rule *rule, char out[280]);
/* Some pod is in both: one that is known, or without any the one that is written lies within the other. */
bool berm_advisor_meets(const struct advisor *a, const struct berm_policy *x,
			const struct berm_policy *y);
/* Neither disabled nor expired. Rules in mode audit are: what they would do is told. */
bool berm_advisor_is_there(const struct advisor *a, const struct berm_said *said);
/* Goes on with the documents that say something about pods now: without companions, without what has expired.
 * out->document is the caller's to free. -ENOMEM. */
int berm_advisor_narrow(struct advisor *a, struct berm_advice *out) must_check;
bool berm_advisor_isolates(const struct berm_policy *policy, enum berm_dir dir);
/* May there be a pod in both? */
bool berm_advisor_may_meet(const struct advisor *a, const struct berm_policy *x,
			   const struct berm_policy *y);
/* Has it only pods that answer DNS? */
bool berm_advisor_is_dns(const struct advisor *a, const struct berm_scope *scope);
bool berm_advisor_is_dns_only(const struct advisor *a, const struct berm_said *said);
const char *berm_advisor_peers(const struct berm_policy_rule *rule); /* "from", "to" */

/* One subject each; `document` is judged and not disabled. */
void berm_advise_expiry(struct advisor *a, const struct berm_advice_document *document);
void berm_advise_ipsets(struct advisor *a, const struct berm_advice_document *document);
void berm_advise_expectations(struct advisor *a);
void berm_advise_schedules(struct advisor *a, const struct berm_advice_document *document);
void berm_advise_order(struct advisor *a);
void berm_advise_blocks(struct advisor *a, const struct advice_rule *r);
void berm_advise_limits(struct advisor *a);
void berm_advise_pods(struct advisor *a, const struct berm_advice_document *document);
void berm_advise_ports(struct advisor *a, const struct advice_rule *r);
/* The AgentConfig among the documents, if there is one. Before they are narrowed. */
void berm_advise_config(struct advisor *a);
void berm_advise_isolation(struct advisor *a, const struct berm_advice_document *document);
void berm_advise_essentials(struct advisor *a, const struct advice_rule *r);
void berm_advise_unions(struct advisor *a, const struct berm_advice_document *document);

#endif /* BERM_ADVISOR_H */
