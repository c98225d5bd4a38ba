/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_document.c - any file makes objects and problems, never trouble: what is good is complete and can be
 * had again from what the store keeps of it, what is not good comes with an error.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(int cond)
{
	if (!cond)
		__builtin_trap();
}

static void check_policy(const struct berm_policy *p)
{
	expect(p->ns && p->name && p->source && p->line > 0);
	expect(p->digest == berm_policy_digest(p));
	expect(p->tier < BERM_TIER_COUNT && p->priority >= 0 && p->priority <= 1000);
	expect(p->tier == BERM_TIER_APPLICATION || p->tier == BERM_TIER_NETWORKPOLICY ||
	       !p->isolate);
	expect((p->kind == BERM_KIND_CLUSTER) == !*p->ns);
	expect(p->kind == BERM_KIND_CLUSTER || !strcmp(p->ns, BERM_SYSTEM_NAMESPACE) ||
	       (!p->cluster_wide && !p->has_ns_subject));
	for (size_t i = 0; i < p->rule_count; i++)
		for (size_t n = 0; n < p->rule[i].port_count; n++)
			expect(p->rule[i].port[n].name ||
			       p->rule[i].port[n].first <= p->rule[i].port[n].last);
}

static void check_kept(const struct berm_object *o)
{
	struct berm_policy *again = NULL;
	struct berm_err err = { 0 };

	expect(o->text && !berm_document_parse_kept("f", o, &again, &err));
	expect(again->digest == o->policy->digest && again->kind == o->policy_kind);
	berm_policy_free(again);
}

static void check_object(const struct berm_object *o)
{
	expect(o->name && o->key);
	if (o->kind != BERM_OBJ_POLICY) {
		expect(o->broken ==
		       (!o->pod && !o->namespace && !o->service && !o->slice && !o->service_cidr));
		return;
	}
	expect(o->ns && o->broken == !o->policy);
	if (o->isolation) {
		expect(o->broken && !o->isolation->rule_count);
		check_policy(o->isolation);
	}
	if (o->policy) {
		check_policy(o->policy);
		check_kept(o);
	}
}

static void check(const struct berm_objects *objects, const struct berm_problems *problems)
{
	size_t broken = objects->unreadable_count, errors = 0;
	char line[1024];

	for (size_t i = 0; i < objects->count; i++) {
		check_object(&objects->item[i]);
		broken += objects->item[i].broken;
	}
	for (size_t i = 0; i < objects->unreadable_count; i++)
		expect(objects->unreadable[i].key != NULL);
	for (size_t i = 0; i < problems->count; i++) {
		errors += problems->item[i].severity == BERM_ERROR;
		expect(berm_problem_format(&problems->item[i], line, sizeof(line)) > 0);
	}
	expect(!broken || errors); /* nothing breaks in silence */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct berm_objects objects = { 0 };
	struct berm_problems problems = { 0 };
	struct berm_err err = { 0 };
	char *copy = malloc(size ? size : 1); /* of exactly that size: reading beyond it is seen */

	expect(copy != NULL);
	memcpy(copy, data, size);
	expect(!berm_document_parse("f", copy, size, &objects, &problems, &err));
	check(&objects, &problems);
	berm_objects_clear(&objects);
	berm_problems_clear(&problems);
	free(copy);
	return 0;
}
