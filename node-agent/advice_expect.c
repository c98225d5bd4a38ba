// SPDX-License-Identifier: Apache-2.0
/* advice_expect.c - what documents expect, checked on all documents that are given: others may be missing here. Judges nothing itself. */
#include <errno.h>
#include <stdlib.h>

#include "advisor.h"
#include "cleanup.h"
#include "expect.h"

static bool expects(const struct berm_advice_document *document)
{
	return document->is_judged && document->policy->expect_count && !document->policy->disabled;
}

static int overlay_of(const struct advisor *a, struct berm_overlay *ret)
{
	int rc = berm_overlay_make(a->model, ret);

	for (size_t i = 0; !rc && i < a->advice->count; i++)
		rc = berm_overlay_put(ret, (struct berm_policy *)a->advice->document[i].policy);
	return rc;
}

static void tell(struct advisor *a, const struct berm_expect_result *result)
{
	for (size_t i = 0; i < a->advice->count; i++)
		if (a->advice->document[i].policy == result->policy)
			berm_advisor_tell(
				a, &a->advice->document[i],
				&(struct advice_finding){
					BERM_CODE_EXPECTATION, result->field,
					"the agent holds such a version; if other documents matter, give them --with" },
				"%s", result->why);
}

void berm_advise_expectations(struct advisor *a)
{
	auto_free struct berm_expect_result *result = calloc(a->advice->count + 1, sizeof(*result));
	struct berm_overlay all = { 0 };
	struct berm_err err = { 0 };
	size_t n = 0;
	int rc = result ? 0 : -ENOMEM;

	for (size_t i = 0; !rc && i < a->advice->count; i++)
		if (expects(&a->advice->document[i]))
			result[n++].policy = a->advice->document[i].policy;
	if (!rc && n)
		rc = overlay_of(a, &all);
	if (!rc && n)
		rc = berm_expect_check(&all, result, n, &err);
	for (size_t i = 0; !rc && i < n; i++)
		if (result[i].fails)
			tell(a, &result[i]);
	berm_overlay_clear(&all);
	a->no_memory |= rc == -ENOMEM;
}
