// SPDX-License-Identifier: Apache-2.0
/*
 * compile_quota.c - how many documents and rules a namespace may have, the small ones first. The same on every node: all of its
 * policies count, whether they select a pod here or not. berm-system and what is in no namespace are nobody's quota. Knows no
 * address and no port.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "compiler.h"

struct load { /* a policy, as it counts */
	const char *ns;
	size_t rules;
	uint32_t policy;
};

static bool counts(const struct compiler *c, uint32_t policy)
{
	const struct berm_policy *p = c->model->policies[policy];

	return p->ns && *p->ns && strcmp(p->ns, BERM_SYSTEM_NAMESPACE) != 0 && !c->refused[policy];
}

/* As it is written: what has expired is there too. */
static size_t rules_of(const struct berm_policy *p)
{
	return p->written ? p->written->rule_count : p->rule_count;
}

/* Most clusters have less in all than one namespace may have. */
static bool is_worth_a_look(const struct compiler *c)
{
	size_t rules = 0;

	for (size_t i = 0; i < c->model->policy_count; i++)
		rules += rules_of(c->model->policies[i]);
	return rules > BERM_LIMIT_NS_RULES || c->model->policy_count > BERM_LIMIT_NS_DOCUMENTS;
}

static int cmp_load(const void *a, const void *b)
{
	const struct load *x = a, *y = b;
	int rc = strcmp(x->ns, y->ns);

	if (rc)
		return rc;
	if (x->rules != y->rules)
		return x->rules < y->rules ? -1 : 1;
	return (x->policy > y->policy) - (x->policy < y->policy);
}

static int judge(struct compiler *c, const struct load *load, size_t count)
{
	size_t documents = 0, rules = 0;
	int rc = 0;

	for (size_t i = 0; rc != -ENOMEM && i < count; i++) {
		int one = 0;

		if (i && strcmp(load[i - 1].ns, load[i].ns) != 0)
			documents = rules = 0;
		documents++;
		rules += load[i].rules;
		if (rules > BERM_LIMIT_NS_RULES)
			one = berm_compile_refuse_over(c, load[i].policy,
						       "32,768 rules per namespace",
						       "use fewer rules, or spread them over namespaces");
		else if (documents > BERM_LIMIT_NS_DOCUMENTS)
			one = berm_compile_refuse_over(c, load[i].policy,
						       "5,000 documents per namespace",
						       "use fewer, or spread them over namespaces");
		rc = one ? one : rc;
	}
	return rc;
}

int berm_compile_quota(struct compiler *c)
{
	auto_free struct load *load = NULL;
	size_t count = 0;

	if (!is_worth_a_look(c))
		return 0;
	load = calloc(c->model->policy_count, sizeof(*load));
	if (!load)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->model->policy_count; i++)
		if (counts(c, i))
			load[count++] = (struct load){ c->model->policies[i]->ns,
						       rules_of(c->model->policies[i]), i };
	if (count)
		qsort(load, count, sizeof(*load), cmp_load);
	return judge(c, load, count);
}
