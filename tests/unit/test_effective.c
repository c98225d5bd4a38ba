/* SPDX-License-Identifier: Apache-2.0 */
/* test_effective.c - policies that depend on IPSets and on the time: from documents to what the plan answers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "compile.h"
#include "documents.h"
#include "effective.h"
#include "interpret.h"
#include "objects.h"
#include "test.h"

#define T0 1800000000 /* 2027-01-15T08:00:00Z */

/* Documents as a ConfigMap of the namespace, good or not. */
static void load(struct berm_model *m, const char *ns, const char *text)
{
	static struct documents d;

	documents_parse_in(&d, ns, text);
	for (size_t i = 0; i < d.objects.count; i++) {
		struct berm_object *o = &d.objects.item[i];

		if (o->policy)
			ASSERT_EQ(berm_model_put_policy(m, TAKE_PTR(o->policy)), 0);
	}
	EXPECT_STR_EQ(d.report, "");
	documents_clear(&d);
}

/* Pod shop/db in slot 1, and time. */
static void scene(struct berm_model *m)
{
	memset(m, 0, sizeof(*m));
	m->now_s = T0;
	objects_namespace(m, "shop", "");
	objects_namespace(m, "evil", "");
	objects_pod(m, "shop/db", "app=db", "10.1.0.1 fd00::1");
	objects_endpoint(m, 1, "shop/db");
}

static uint8_t judge(const struct berm_model *m, uint8_t dir, const char *peer, uint16_t port)
{
	struct question q = { .ep = &m->endpoints[0],
			      .dir = dir,
			      .peer = objects_addr(peer),
			      .plane = BERM_PLANE_TCP,
			      .port = port };
	struct berm_plan *plan = NULL;
	struct berm_problems problems = { 0 };
	struct berm_err err = { 0 };
	uint8_t action;

	ASSERT_OK(berm_compile(m, &plan, &problems, &err), &err);
	interpret_check(plan);
	action = interpret(plan, &q).action;
	berm_plan_free(plan);
	EXPECT_EQ(problems.count, 0);
	berm_problems_clear(&problems);
	return action;
}

#define EXPECT_IN(m, peer)  EXPECT_EQ(judge(m, BERM_INGRESS, peer, 80), BERM_ACTION_ALLOW)
#define EXPECT_OUT(m, peer) EXPECT_EQ(judge(m, BERM_INGRESS, peer, 80), BERM_ACTION_DENY)

static const char *told(const struct berm_model *m)
{
	static char text[8192];
	struct berm_problems problems = { 0 };
	size_t used = 0;

	text[0] = '\0';
	ASSERT_EQ(berm_effective_problems(m, &problems), 0);
	for (size_t i = 0; i < problems.count; i++)
		used += (size_t)berm_problem_format(&problems.item[i], text + used,
						    sizeof(text) - used);
	berm_problems_clear(&problems);
	return text;
}

/* ---- IPSets -------------------------------------------------------------------------------------------------------- */

#define ALLOW_SET                                                                                  \
	"kind: SegmentationPolicy\nname: db\nisolate: [Ingress]\n"                                 \
	"ingress: [{name: office, from: [{ipSet: office}]}]\n"
#define OFFICE "kind: IPSet\nname: office\ncidrs: [192.0.2.0/24, 2001:db8::/64]\n"

TEST(ipset_allow, "an Allow of an IPSet lets in its addresses of both families, and nobody else")
{
	struct berm_model m;

	scene(&m);
	load(&m, "shop", ALLOW_SET "---\n" OFFICE);
	EXPECT_IN(&m, "192.0.2.7");
	EXPECT_IN(&m, "2001:db8::9");
	EXPECT_OUT(&m, "192.0.3.7");
	EXPECT_OUT(&m, "2001:db8:1::9");
	EXPECT_STR_EQ(told(&m), "");
	berm_model_clear(&m);
}

TEST(ipset_late, "an IPSet may come after the policy, change, and go; told while it is missing")
{
	struct berm_model m;

	scene(&m);
	load(&m, "shop", ALLOW_SET);
	EXPECT_OUT(&m, "192.0.2.7");
	EXPECT_STR_HAS(told(&m),
		       "SegmentationPolicy shop/db: ingress[0].from: there is no IPSet "
		       "'office' in namespace shop or berm-system: this peer matches nothing");
	load(&m, "shop", OFFICE);
	EXPECT_IN(&m, "192.0.2.7");
	load(&m, "shop", "kind: IPSet\nname: office\ncidrs: [192.0.3.0/24]\n");
	EXPECT_OUT(&m, "192.0.2.7");
	EXPECT_IN(&m, "192.0.3.7");
	ASSERT_EQ(berm_model_remove_policy(&m, BERM_KIND_IPSET, "shop", "office"), 0);
	EXPECT_OUT(&m, "192.0.3.7");
	EXPECT_EQ(berm_model_remove_policy(&m, BERM_KIND_IPSET, "shop", "office"), -ENOENT);
	berm_model_clear(&m);
}

TEST(ipset_visible,
     "an IPSet is seen in its own namespace, one of berm-system everywhere; the own one comes first")
{
	struct berm_model m;

	scene(&m);
	load(&m, "evil", OFFICE);
	load(&m, "shop", ALLOW_SET);
	EXPECT_OUT(&m, "192.0.2.7");
	load(&m, "berm-system", "kind: IPSet\nname: office\ncidrs: [192.0.4.0/24]\n");
	EXPECT_IN(&m, "192.0.4.7");
	EXPECT_OUT(&m, "192.0.2.7");
	load(&m, "shop", OFFICE);
	EXPECT_IN(&m, "192.0.2.7");
	EXPECT_OUT(&m, "192.0.4.7");
	ASSERT_EQ(berm_model_remove_policy(&m, BERM_KIND_IPSET, "shop", "office"), 0);
	EXPECT_IN(&m, "192.0.4.7");
	berm_model_clear(&m);
}

TEST(ipset_except, "except takes out of every block of the set; a block that it covers is gone")
{
	struct berm_model m;

	scene(&m);
	load(&m, "shop",
	     "kind: SegmentationPolicy\nname: db\nisolate: [Ingress]\n"
	     "ingress: [{from: [{ipSet: nets, except: [192.0.2.128/25, 198.51.100.0/24, 2001:db8::/96]}]}]\n"
	     "---\nkind: IPSet\nname: nets\ncidrs: [192.0.2.0/24, 198.51.100.64/26, 203.0.113.0/24]\n");
	EXPECT_IN(&m, "192.0.2.7");
	EXPECT_OUT(&m, "192.0.2.200");
	EXPECT_OUT(&m, "198.51.100.65");
	EXPECT_IN(&m, "203.0.113.200");
	berm_model_clear(&m);
}

TEST(ipset_empty, "an empty IPSet matches nobody, whatever the action; it is not missing")
{
	struct berm_model m;

	scene(&m);
	load(&m, "shop", ALLOW_SET "---\nkind: IPSet\nname: office\ncidrs: []\n");
	EXPECT_OUT(&m, "192.0.2.7");
	load(&m, "shop",
	     "kind: SegmentationPolicy\nname: db\nisolate: []\n"
	     "ingress: [{action: Deny, from: [{ipSet: office}]}]\n");
	EXPECT_IN(&m, "192.0.2.7");
	EXPECT_STR_EQ(told(&m), "");
	berm_model_clear(&m);
}

TEST(ipset_missing_closes, "a missing IPSet in a Deny, Reject or Pass denies everyone everything")
{
	static const struct {
		const char *name;
		uint8_t want;
	} cases[] = { { "Deny", BERM_ACTION_DENY },
		      { "Reject", BERM_ACTION_DENY },
		      { "Pass", BERM_ACTION_DENY },
		      { "Log", BERM_ACTION_ALLOW },
		      { "Allow", BERM_ACTION_ALLOW } }, /* isolates nothing */
		*c;
	char text[300];
	struct berm_model m;

	for_each_case(c, cases) {
		scene(&m);
		snprintf(text, sizeof(text),
			 "kind: SegmentationPolicy\nname: db\nisolate: []\n"
			 "ingress: [{action: %s, from: [{ipSet: gone}], ports: [{port: 443}]}]\n",
			 c->name);
		load(&m, "shop", text);
		EXPECT_EQ(judge(&m, BERM_INGRESS, "192.0.2.7", 80), c->want);
		EXPECT_STR_HAS(told(&m), c->want == BERM_ACTION_DENY
						 ? "the rule denies everyone everything"
						 : "this peer matches nothing");
		load(&m, "shop", "kind: IPSet\nname: gone\ncidrs: [198.51.100.0/24]\n");
		EXPECT_EQ(judge(&m, BERM_INGRESS, "192.0.2.7", 80), BERM_ACTION_ALLOW);
		berm_model_clear(&m);
	}
}

TEST(ipset_exactly, "an IPSet that changes makes anew the policies that name it, and no others")
{
	struct berm_model m;
	uint64_t version, named, other;

	scene(&m);
	load(&m, "shop", ALLOW_SET "---\n" OFFICE);
	load(&m, "shop",
	     "kind: SegmentationPolicy\nname: other\nisolate: [Ingress]\n"
	     "ingress: [{from: [{ipSet: home}]}]\n---\nkind: IPSet\nname: home\ncidrs: [203.0.113.0/24]\n");
	named = berm_model_policy(&m, BERM_KIND_SEGMENTATION, "shop", "db")->since;
	other = berm_model_policy(&m, BERM_KIND_SEGMENTATION, "shop", "other")->since;
	version = m.version;
	load(&m, "shop", OFFICE);
	EXPECT_EQ(m.version, version); /* it says the same */
	load(&m, "shop", "kind: IPSet\nname: unused\ncidrs: [203.0.113.0/24]\n");
	load(&m, "evil", "kind: IPSet\nname: office\ncidrs: [203.0.113.0/24]\n");
	EXPECT_EQ(m.version, version); /* nobody names it */
	load(&m, "shop", "kind: IPSet\nname: office\ncidrs: [192.0.9.0/24]\n");
	EXPECT_TRUE(berm_model_policy(&m, BERM_KIND_SEGMENTATION, "shop", "db")->since > named);
	EXPECT_EQ(berm_model_policy(&m, BERM_KIND_SEGMENTATION, "shop", "other")->since, other);
	berm_model_clear(&m);
}

/* `count` blocks from 10.0.0.0 on. */
static void load_big(struct berm_model *m, const char *ns, const char *name, unsigned int count)
{
	struct berm_policy *document = calloc(1, sizeof(*document));
	struct berm_ipset *set = &document->set;
	char text[40];

	document->kind = BERM_KIND_IPSET;
	document->ns = strdup(ns);
	document->name = strdup(name);
	set->cidr = calloc(count, sizeof(*set->cidr));
	for (unsigned int i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "10.%u.%u.%u/32", 100 + i / 65536, i / 256 % 256,
			 i % 256);
		set->cidr[set->count++] = objects_cidr(text);
	}
	berm_ipset_sort(set);
	document->digest = berm_policy_digest(document);
	ASSERT_EQ(berm_model_put_policy(m, document), 0);
}

static void load_named(struct berm_model *m, const char *name, const char *set, unsigned int rules)
{
	char text[8192];
	size_t used = (size_t)
		snprintf(text, sizeof(text),
			 "kind: SegmentationPolicy\nname: %s\nisolate: [Ingress]\ningress:\n",
			 name);

	for (unsigned int i = 0; i < rules; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "- {from: [{ipSet: %s}], ports: [{port: %u}]}\n", set,
					 i + 1);
	load(m, "shop", text);
}

TEST(ipset_blowup,
     "a big IPSet in many rules is refused, the lightest policies are let in first, in any order")
{
	struct berm_model m;

	scene(&m);
	load_big(&m, "shop", "big", 10000);
	load_big(&m, "shop", "small", 10);
	load_named(&m, "heavy", "big", 20);
	EXPECT_STR_HAS(told(&m), "shop/heavy: over the limit of 65,536 blocks");
	load_named(&m, "light", "small", 3);
	EXPECT_FALSE(berm_model_policy(&m, BERM_KIND_SEGMENTATION, "shop", "light")->is_over);
	EXPECT_TRUE(berm_model_policy(&m, BERM_KIND_SEGMENTATION, "shop", "heavy")->is_over);
	load_named(&m, "heavy", "big", 6);
	EXPECT_STR_EQ(told(&m), "");
	load_named(&m, "another", "big", 5); /* lighter, so the first one goes */
	EXPECT_TRUE(berm_model_policy(&m, BERM_KIND_SEGMENTATION, "shop", "heavy")->is_over);
	EXPECT_FALSE(berm_model_policy(&m, BERM_KIND_SEGMENTATION, "shop", "another")->is_over);
	ASSERT_EQ(berm_model_remove_policy(&m, BERM_KIND_SEGMENTATION, "shop", "another"), 0);
	EXPECT_FALSE(berm_model_policy(&m, BERM_KIND_SEGMENTATION, "shop", "heavy")->is_over);
	load_big(&m, "shop", "big", 16000); /* so does the set */
	EXPECT_TRUE(berm_model_policy(&m, BERM_KIND_SEGMENTATION, "shop", "heavy")->is_over);
	berm_model_clear(&m);
}

TEST(ipset_quota, "blocks of an IPSet count towards the prefixes of the policy's namespace")
{
	struct berm_plan *plan = NULL;
	struct berm_problems problems = { 0 };
	struct berm_err err = { 0 };
	struct berm_model m;

	scene(&m);
	load_big(&m, "berm-system", "one", 16384);
	load_named(&m, "db", "one", 1);
	ASSERT_OK(berm_compile(&m, &plan, &problems, &err), &err);
	EXPECT_EQ(problems.count, 0); /* just so many */
	berm_plan_free(plan);
	load(&m, "shop", "kind: IPSet\nname: two\ncidrs: [192.0.2.0/24]\n");
	load_named(&m, "more", "two", 1);
	ASSERT_OK(berm_compile(&m, &plan, &problems, &err), &err);
	ASSERT_EQ(problems.count, 1);
	EXPECT_STR_EQ(problems.item[0].document, "SegmentationPolicy shop/db");
	EXPECT_STR_HAS(problems.item[0].message, "16,384 CIDR prefixes per namespace");
	berm_plan_free(plan);
	berm_problems_clear(&problems);
	berm_model_clear(&m);
}

TEST(ipset_document, "an IPSet is read strictly; what is wrong with it is said")
{
	static const struct {
		const char *name, *text, *want;
	} cases[] = {
		{ "host bits", "kind: IPSet\nname: a\ncidrs: [10.1.2.3/8]\n", "cidrs[0]: '10.1.2.3/8' has bits set" },
		{ "no length", "kind: IPSet\nname: a\ncidrs: [10.1.2.3]\n", "has no prefix length; write '10.1.2.3/32'" },
		{ "no list", "kind: IPSet\nname: a\ncidrs: 10.0.0.0/8\n", "want a list" },
		{ "no cidrs", "kind: IPSet\nname: a\n", "the field 'cidrs' is missing" },
		{ "no name", "kind: IPSet\ncidrs: []\n", "the field 'name' is missing" },
		{ "name", "kind: IPSet\nname: A b\ncidrs: []\n", "'A b' is not a name" },
		{ "namespace", "kind: IPSet\nname: a\nnamespace: evil\ncidrs: []\n", "belongs to the namespace of its ConfigMap, here 'shop'" },
		{ "misspelt", "kind: IPSet\nname: a\ncidr: []\n", "did you mean 'cidrs'?" },
		{ "spec", "kind: IPSet\nname: a\nspec: {cidrs: []}\n", "write its fields at the top" },
		{ "version", "kind: IPSet\napiVersion: berm.dev/v2\nname: a\ncidrs: []\n", "not a known version" },
		{ "kind misspelt", "kind: IpSet\nname: a\ncidrs: []\n", "did you mean 'IPSet'?" },
		{ "good", "kind: IPSet\napiVersion: berm.dev/v1\nname: a\nnamespace: shop\ndescription: x\ncidrs: [10.0.0.0/8]\n", NULL },
	}, *c;
	static struct documents d;

	for_each_case(c, cases) {
		documents_parse_in(&d, "shop", c->text);
		if (c->want)
			EXPECT_STR_HAS(d.report, c->want);
		else
			EXPECT_STR_EQ(d.report, "");
		if (d.objects.count)
			EXPECT_EQ(d.objects.item[0].policy != NULL, !c->want);
		documents_clear(&d);
	}
}

TEST(ipset_digest,
     "the digest of a policy is of what it says, not of the IPSet or the time; an IPSet has its own")
{
	struct berm_model m;
	uint64_t digest, of_set;

	scene(&m);
	load(&m, "shop", ALLOW_SET "---\n" OFFICE);
	digest = berm_model_policy(&m, BERM_KIND_SEGMENTATION, "shop", "db")->digest;
	of_set = berm_model_policy(&m, BERM_KIND_IPSET, "shop", "office")->digest;
	load(&m, "shop", "kind: IPSet\nname: office\ncidrs: [192.0.9.0/24]\n");
	EXPECT_EQ(berm_model_policy(&m, BERM_KIND_SEGMENTATION, "shop", "db")->digest, digest);
	EXPECT_TRUE(berm_model_policy(&m, BERM_KIND_IPSET, "shop", "office")->digest != of_set);
	load(&m, "shop",
	     "kind: IPSet\nname: office\ncidrs: [2001:db8::/64, 192.0.2.0/24, 192.0.2.0/24]\n");
	EXPECT_EQ(berm_model_policy(&m, BERM_KIND_IPSET, "shop", "office")->digest, of_set);
	load(&m, "shop",
	     "kind: SegmentationPolicy\nname: db\nisolate: [Ingress]\n"
	     "ingress: [{name: office, from: [{ipSet: offices}]}]\n");
	EXPECT_TRUE(berm_model_policy(&m, BERM_KIND_SEGMENTATION, "shop", "db")->digest != digest);
	berm_model_clear(&m);
}

/* ---- time ---------------------------------------------------------------------------------------------------------- */

#define ALLOW_UNTIL                                                                                       \
	"kind: SegmentationPolicy\nname: db\nisolate: [Ingress]\n"                                        \
	"ingress:\n- {name: a, from: [{ipBlock: {cidr: 192.0.2.0/24}}], expires: 2027-01-15T08:00:10Z}\n" \
	"- {name: b, from: [{ipBlock: {cidr: 192.0.3.0/24}}], expires: 2027-01-15T09:00:20+01:00}\n"

TEST(expires_rule,
     "an Allow that expires closes, at its moment and not before; the clock may be set back")
{
	struct berm_model m;

	scene(&m);
	load(&m, "shop", ALLOW_UNTIL);
	EXPECT_EQ(berm_model_next_time(&m), T0 + 10);
	EXPECT_IN(&m, "192.0.2.7");
	EXPECT_IN(&m, "192.0.3.7");
	ASSERT_EQ(berm_model_set_time(&m, T0 + 9), 0);
	EXPECT_IN(&m, "192.0.2.7");
	ASSERT_EQ(berm_model_set_time(&m, T0 + 10), 0);
	EXPECT_OUT(&m, "192.0.2.7");
	EXPECT_IN(&m, "192.0.3.7");
	EXPECT_STR_HAS(told(&m),
		       "ingress[0].expires: expired at 2027-01-15T08:00:10Z: the rule is not in force");
	EXPECT_EQ(berm_model_next_time(&m), T0 + 20);
	ASSERT_EQ(berm_model_set_time(&m, T0 + 1000000), 0);
	EXPECT_OUT(&m, "192.0.3.7");
	EXPECT_EQ(berm_model_next_time(&m), INT64_MAX);
	ASSERT_EQ(berm_model_set_time(&m, T0 + 5), 0);
	EXPECT_IN(&m, "192.0.2.7");
	EXPECT_IN(&m, "192.0.3.7");
	EXPECT_EQ(berm_model_next_time(&m), T0 + 10);
	EXPECT_STR_EQ(told(&m), "");
	berm_model_clear(&m);
}

TEST(expires_quiet,
     "time that makes no difference is no change; what is put late is judged by the time it is")
{
	struct berm_model m;
	uint64_t version;

	scene(&m);
	load(&m, "shop", ALLOW_UNTIL);
	version = m.version;
	ASSERT_EQ(berm_model_set_time(&m, T0 + 9), 0);
	EXPECT_EQ(m.version, version);
	ASSERT_EQ(berm_model_set_time(&m, T0 + 15), 0);
	EXPECT_TRUE(m.version > version);
	load(&m, "shop", ALLOW_UNTIL);
	EXPECT_OUT(&m, "192.0.2.7");
	EXPECT_IN(&m, "192.0.3.7");
	berm_model_clear(&m);
}

TEST(expires_deny,
     "a Deny that expires opens; a document that expires is as if it were not there, and says so")
{
	struct berm_model m;

	scene(&m);
	load(&m, "shop",
	     "kind: SegmentationPolicy\nname: guard\nisolate: []\n"
	     "ingress: [{action: Deny, from: [{ipBlock: {cidr: 192.0.2.0/24}}], expires: 2027-01-15T08:00:10Z}]\n");
	EXPECT_OUT(&m, "192.0.2.7");
	ASSERT_EQ(berm_model_set_time(&m, T0 + 10), 0);
	EXPECT_IN(&m, "192.0.2.7");
	load(&m, "shop",
	     "kind: SegmentationPolicy\nname: wall\nisolate: [Ingress]\nexpires: 2027-01-15T08:01:00Z\n");
	EXPECT_OUT(&m, "192.0.2.7");
	ASSERT_EQ(berm_model_set_time(&m, T0 + 60), 0);
	EXPECT_IN(&m, "192.0.2.7");
	EXPECT_STR_HAS(told(&m),
		       "shop/wall: expires: expired at 2027-01-15T08:01:00Z: the document is not in force");
	EXPECT_TRUE(berm_model_policy(&m, BERM_KIND_SEGMENTATION, "shop", "wall")->disabled);
	berm_model_clear(&m);
}

TEST(expires_digest, "the digest is over documents, not over the time")
{
	struct berm_model m;
	uint64_t digest;

	scene(&m);
	load(&m, "shop", ALLOW_UNTIL);
	digest = berm_model_policy(&m, BERM_KIND_SEGMENTATION, "shop", "db")->digest;
	ASSERT_EQ(berm_model_set_time(&m, T0 + 100), 0);
	EXPECT_EQ(berm_model_policy(&m, BERM_KIND_SEGMENTATION, "shop", "db")->digest, digest);
	load(&m, "shop",
	     "kind: SegmentationPolicy\nname: db\nisolate: [Ingress]\n"
	     "ingress:\n- {name: a, from: [{ipBlock: {cidr: 192.0.2.0/24}}], expires: 2027-01-15T08:00:11Z}\n"
	     "- {name: b, from: [{ipBlock: {cidr: 192.0.3.0/24}}], expires: 2027-01-15T09:00:20+01:00}\n");
	EXPECT_TRUE(berm_model_policy(&m, BERM_KIND_SEGMENTATION, "shop", "db")->digest != digest);
	berm_model_clear(&m);
}

/* ---- schedules --------------------------------------------------------------------------------------------------------- */

/* T0 is a Friday, 08:00 UTC. */
#define OFFICE_HOURS                                                                               \
	"kind: SegmentationPolicy\nname: db\nisolate: [Ingress]\n"                                 \
	"ingress:\n- {name: office, from: [{ipBlock: {cidr: 192.0.2.0/24}}], "                     \
	"schedule: [{days: [Mon-Fri], from: \"08:00:10\", to: \"08:00:20\"}]}\n"                   \
	"- {name: always, from: [{ipBlock: {cidr: 192.0.3.0/24}}]}\n"

TEST(schedule_rule,
     "a rule is there inside its windows and not outside, and says when that changes")
{
	struct berm_model m;
	uint64_t version;

	scene(&m);
	load(&m, "shop", OFFICE_HOURS);
	EXPECT_OUT(&m, "192.0.2.7");
	EXPECT_IN(&m, "192.0.3.7");
	EXPECT_EQ(berm_model_next_time(&m), T0 + 10);
	ASSERT_EQ(berm_model_set_time(&m, T0 + 10), 0);
	EXPECT_IN(&m, "192.0.2.7");
	version = m.version;
	ASSERT_EQ(berm_model_set_time(&m, T0 + 19), 0);
	EXPECT_EQ(m.version, version);
	EXPECT_EQ(berm_model_next_time(&m), T0 + 20);
	ASSERT_EQ(berm_model_set_time(&m, T0 + 20), 0);
	EXPECT_OUT(&m, "192.0.2.7");
	EXPECT_IN(&m, "192.0.3.7");
	EXPECT_EQ(berm_model_next_time(&m), T0 + 3 * 86400 + 10); /* Monday */
	ASSERT_EQ(berm_model_set_time(&m, T0 + 15), 0);		  /* the clock is set back */
	EXPECT_IN(&m, "192.0.2.7");
	EXPECT_STR_EQ(told(&m), "");
	berm_model_clear(&m);
}

TEST(schedule_document,
     "a document outside its windows is as if it were not there: what it isolates is open")
{
	struct berm_model m;
	const struct berm_policy *policy;

	scene(&m);
	load(&m, "shop",
	     "kind: SegmentationPolicy\nname: wall\nisolate: [Ingress]\n"
	     "schedule: [{from: \"22:00\", to: \"08:00:10\"}]\n");
	EXPECT_OUT(&m, "192.0.2.7");
	ASSERT_EQ(berm_model_set_time(&m, T0 + 10), 0);
	EXPECT_IN(&m, "192.0.2.7");
	policy = berm_model_policy(&m, BERM_KIND_SEGMENTATION, "shop", "wall");
	EXPECT_TRUE(policy->is_shut && policy->disabled && !policy->written->disabled);
	EXPECT_EQ(berm_model_next_time(&m), T0 + 14 * 3600);
	ASSERT_EQ(berm_model_set_time(&m, T0 + 14 * 3600), 0);
	EXPECT_OUT(&m, "192.0.2.7");
	berm_model_clear(&m);
}

TEST(schedule_expires, "what expires inside a window does not open again")
{
	struct berm_model m;

	scene(&m);
	load(&m, "shop",
	     "kind: SegmentationPolicy\nname: db\nisolate: [Ingress]\n"
	     "ingress: [{expires: 2027-01-15T08:00:15Z, schedule: [{from: \"08:00:10\", to: \"08:00:20\"}]}]\n");
	EXPECT_OUT(&m, "192.0.2.7");
	ASSERT_EQ(berm_model_set_time(&m, T0 + 10), 0);
	EXPECT_IN(&m, "192.0.2.7");
	EXPECT_EQ(berm_model_next_time(&m), T0 + 15);
	ASSERT_EQ(berm_model_set_time(&m, T0 + 15), 0);
	EXPECT_OUT(&m, "192.0.2.7");
	EXPECT_EQ(berm_model_next_time(&m), INT64_MAX);
	ASSERT_EQ(berm_model_set_time(&m, T0 + 86400 + 10), 0);
	EXPECT_OUT(&m, "192.0.2.7");
	berm_model_clear(&m);
}

TEST(schedule_digest,
     "the digest is over the windows and not over the time; other windows are another document")
{
	struct berm_model m;
	uint64_t before;

	scene(&m);
	load(&m, "shop", OFFICE_HOURS);
	before = berm_model_policy(&m, BERM_KIND_SEGMENTATION, "shop", "db")->digest;
	ASSERT_EQ(berm_model_set_time(&m, T0 + 10), 0);
	EXPECT_EQ(berm_model_policy(&m, BERM_KIND_SEGMENTATION, "shop", "db")->digest, before);
	load(&m, "shop",
	     "kind: SegmentationPolicy\nname: db\nisolate: [Ingress]\n"
	     "ingress:\n- {name: office, from: [{ipBlock: {cidr: 192.0.2.0/24}}], "
	     "schedule: [{days: [Mon-Fri], from: \"08:00:10\", to: \"08:00:21\"}]}\n"
	     "- {name: always, from: [{ipBlock: {cidr: 192.0.3.0/24}}]}\n");
	EXPECT_TRUE(berm_model_policy(&m, BERM_KIND_SEGMENTATION, "shop", "db")->digest != before);
	berm_model_clear(&m);
}

TEST(schedule_broken, "a broken document isolates at all times, whatever its schedule says")
{
	static struct documents d;

	documents_parse_in(&d, "shop",
			   "kind: SegmentationPolicy\nname: a\nisolate: [Ingress]\npriority: -1\n"
			   "schedule: [{days: [Mon]}]\n");
	ASSERT_EQ(d.objects.count, 1);
	ASSERT_TRUE(d.objects.item[0].isolation != NULL);
	EXPECT_EQ(d.objects.item[0].isolation->isolate, 1 << BERM_INGRESS);
	EXPECT_EQ(d.objects.item[0].isolation->schedule.count, 0);
	documents_clear(&d);
}

TEST(schedule_document_errors, "a schedule is read strictly; what is wrong with it is said:")
{
	static const struct {
		const char *name, *text, *want;
	} cases[] = {
		{ "no list", "{from: \"08:00\"}", "schedule: want a list" },
		{ "empty", "[]", "a schedule without windows never opens" },
		{ "no days", "[{days: []}]", "schedule[0].days: a window without days never opens" },
		{ "a day", "[{days: [Montag]}]", "schedule[0].days[0]: 'Montag' is no day and no range of days" },
		{ "a clock", "[{from: \"8:00\"}]", "schedule[0].from: '8:00' is not a time of the day" },
		{ "from the end", "[{from: \"24:00\"}]", "no window begins at the end of a day" },
		{ "the same", "[{from: \"08:00\", to: \"08:00\"}]", "schedule[0]: it ends when it begins" },
		{ "a zone", "[{timeZone: Europe/Berlin}]", "zones by name are not read" },
		{ "misspelt", "[{timezone: UTC}]", "did you mean 'timeZone'?" },
		{ "many", "[{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}]", "at most 16" },
		{ "good", "[{days: [Sat-Sun, Wed], from: 08:00, to: 24:00, timeZone: \"-05:00\"}, {}]", NULL },
	}, *c;
	static struct documents d;
	char text[400];

	for_each_case(c, cases) {
		snprintf(text, sizeof(text),
			 "kind: SegmentationPolicy\nname: a\nisolate: []\nschedule: %s\n", c->text);
		documents_parse_in(&d, "shop", text);
		if (c->want)
			EXPECT_STR_HAS(d.report, c->want);
		else
			EXPECT_STR_EQ(d.report, "");
		EXPECT_EQ(d.objects.count && d.objects.item[0].policy != NULL, !c->want);
		documents_clear(&d);
	}
}
