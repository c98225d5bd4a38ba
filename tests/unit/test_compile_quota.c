/* SPDX-License-Identifier: Apache-2.0 */
/* test_compile_quota.c - how many documents and rules a namespace may have: those over it are refused, and nobody else's. */
#include <stdio.h>
#include <string.h>

#include "compile.h"
#include "objects.h"
#include "test.h"

/* `count` policies of `rules` rules each: "evil/p0" and on. */
static void write_policies(struct berm_model *m, const char *ns, unsigned int count,
			   unsigned int rules)
{
	char name[64];

	for (unsigned int i = 0; i < count; i++) {
		struct berm_policy *p;

		snprintf(name, sizeof(name), "%s/p%u-%u", ns, rules, i);
		p = objects_policy(m, BERM_KIND_SEGMENTATION, name, "app=x");
		for (unsigned int k = 0; k < rules; k++)
			objects_rule(p, BERM_INGRESS, BERM_RULE_ALLOW, NULL);
	}
}

/* "5,000 documents: SegmentationPolicy evil/p2-0 and 0 more" */
static const char *refused_of(struct berm_model *m)
{
	static char text[400];
	struct berm_problems problems = { 0 };
	struct berm_plan *plan = NULL;
	struct berm_err err = { 0 };
	const char *what;

	ASSERT_OK(berm_compile(m, &plan, &problems, &err), &err);
	what = problems.count ? strstr(problems.item[0].message, "of ") + 3 : "";
	if (problems.count)
		snprintf(text, sizeof(text), "%.*s: %s and %zu more", (int)strcspn(what, ":"), what,
			 problems.item[0].document, problems.count - 1);
	else
		snprintf(text, sizeof(text), "none");
	berm_plan_free(plan);
	berm_problems_clear(&problems);
	return text;
}

TEST(quota_documents,
     "of too many documents of a namespace those with most rules are refused, and nobody else's")
{
	struct berm_model m = { 0 };

	write_policies(&m, "evil", 4998, 1);
	write_policies(&m, "evil", 2, 2);
	write_policies(&m, "shop", 20, 5);
	EXPECT_STR_EQ(refused_of(&m), "none");
	write_policies(&m, "evil", 1, 3);
	EXPECT_STR_EQ(refused_of(&m),
		      "5,000 documents per namespace: SegmentationPolicy evil/p3-0 and 0 more");
	write_policies(&m, "evil", 3, 0);
	EXPECT_STR_EQ(refused_of(&m),
		      "5,000 documents per namespace: SegmentationPolicy evil/p1-999 and 3 more");
	berm_model_clear(&m);
}

TEST(quota_rules, "of too many rules of a namespace likewise; berm-system has no such limit")
{
	struct berm_model m = { 0 };

	write_policies(&m, "evil", 2, 16000);
	write_policies(&m, "berm-system", 3, 16000);
	EXPECT_STR_EQ(refused_of(&m), "none");
	write_policies(&m, "evil", 1, 15000);
	EXPECT_STR_EQ(refused_of(&m),
		      "32,768 rules per namespace: SegmentationPolicy evil/p16000-1 and 0 more");
	berm_model_clear(&m);
}
