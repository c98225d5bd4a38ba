// SPDX-License-Identifier: Apache-2.0
/* test_compile_flow.c - what comes before a flow and what after it, whose pods it may be about, and what flows may cost. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "compile.h"
#include "interpret.h"
#include "objects.h"
#include "test.h"

#define ALLOW BERM_RULE_ALLOW
#define DENY  BERM_RULE_DENY
#define YES   BERM_ACTION_ALLOW
#define NO    BERM_ACTION_DENY

/* Does what the rule of this name decides say that a Log of that name was met, or that none was? */
static void expect_log(const struct berm_plan *plan, const char *rule, const char *log)
{
	uint32_t id = 0, logged = 0;

	for (size_t i = 0; log && i < plan->rule_count; i++)
		if (!strcmp(plan->rule[i].name.rule, log))
			id = plan->rule[i].name.id;
	ASSERT_TRUE(!log || id);
	for (size_t i = 0; i < plan->rule_count; i++)
		if (!strcmp(plan->rule[i].name.rule, rule) && plan->rule[i].log) {
			EXPECT_EQ(plan->rule[i].log, id);
			logged++;
		}
	EXPECT_EQ(logged, log != NULL);
}

static struct berm_plan *compile(const struct berm_model *m, struct berm_problems *problems)
{
	struct berm_plan *plan = NULL;
	struct berm_err err = { 0 };

	ASSERT_OK(berm_compile(m, &plan, problems, &err), &err);
	interpret_check(plan);
	return plan;
}

struct ask {
	const char *name;
	uint8_t dir;
	const char *local, *peer;
	uint16_t from, to; /* ports: of the opener, of whom it goes to */
	uint8_t action;
	const char *rule;
};

static void expect(const struct berm_model *m, const struct berm_plan *plan, const struct ask *a)
{
	struct question q = { .dir = a->dir,
			      .local = objects_addr(a->local),
			      .peer = objects_addr(a->peer),
			      .plane = BERM_PLANE_TCP,
			      .port = a->to,
			      .other_port = a->from };
	struct answer got, want;

	for (size_t i = 0; i < m->endpoint_count; i++)
		for (size_t k = 0; k < m->endpoints[i].addr_count; k++)
			if (!memcmp(&m->endpoints[i].addr[k], &q.local, sizeof(q.local)))
				q.ep = &m->endpoints[i];
	ASSERT_TRUE(q.ep);
	got = interpret(plan, &q);
	want = evaluate(m, &q);
	EXPECT_EQ(got.action, a->action);
	EXPECT_STR_HAS(got.rule, a->rule);
	EXPECT_STR_EQ(got.rule, want.rule); /* the page, read by another */
}

/* A database that admits port 5432 of app=web, in both families. */
static void shop(struct berm_model *m)
{
	struct berm_policy_rule *r;
	struct berm_policy *p;

	objects_namespace(m, "shop", "");
	objects_namespace(m, "blue", "");
	objects_pod(m, "shop/db", "app=db", "10.0.0.1 fd00::1");
	objects_pod(m, "shop/web", "app=web", "10.0.0.2 fd00::2");
	objects_pod(m, "shop/spy", "app=spy", "10.0.0.3 fd00::3");
	objects_pod(m, "blue/db", "app=db", "10.0.0.4 fd00::4");
	objects_endpoint(m, 1, "shop/db");
	objects_endpoint(m, 2, "blue/db");
	p = objects_policy(m, BERM_KIND_SEGMENTATION, "shop/db", "app=db");
	p->isolate = 1 << BERM_INGRESS;
	r = objects_rule(p, BERM_INGRESS, ALLOW, "web");
	objects_peer_pods(r, NULL, "app=web");
	objects_port(r, "tcp:5432");
}

TEST(flow_is_exact,
     "a flow means its two addresses, ports, protocol and direction, and nothing else")
{
	static const struct ask asks[] = {
		{ "the connection", BERM_INGRESS, "10.0.0.1", "10.0.0.3", 4000, 80, YES,
		  "application shop/x:flows/pinned" },
		{ "another source port", BERM_INGRESS, "10.0.0.1", "10.0.0.3", 4001, 80, NO,
		  "default-deny" },
		{ "another port", BERM_INGRESS, "10.0.0.1", "10.0.0.3", 4000, 81, NO,
		  "default-deny" },
		{ "ports the other way", BERM_INGRESS, "10.0.0.1", "10.0.0.3", 80, 4000, NO,
		  "default-deny" },
		{ "another peer", BERM_INGRESS, "10.0.0.1", "10.0.0.9", 4000, 80, NO,
		  "default-deny" },
		{ "the other family", BERM_INGRESS, "fd00::1", "fd00::3", 4000, 80, NO,
		  "default-deny" },
		{ "its own flow there", BERM_INGRESS, "fd00::1", "fd00::3", 4000, 81, YES,
		  "application shop/x:flows" },
		{ "a denied one that a rule allows", BERM_INGRESS, "10.0.0.1", "10.0.0.2", 4000,
		  5432, NO, "application shop/x:flows/no" },
		{ "its neighbour", BERM_INGRESS, "10.0.0.1", "10.0.0.2", 4001, 5432, YES,
		  "shop/db:web" },
		{ "the way out is open", BERM_EGRESS, "10.0.0.1", "10.0.0.3", 80, 4000, YES, "" },
	};
	struct berm_model m = { 0 };
	struct berm_plan *plan;
	struct berm_policy *p;
	const struct ask *a;

	shop(&m);
	p = objects_policy(&m, BERM_KIND_SEGMENTATION, "shop/x", "app=db");
	objects_flow(p, BERM_INGRESS, ALLOW, "pinned", "tcp 10.0.0.3:4000 10.0.0.1:80");
	objects_flow(p, BERM_INGRESS, ALLOW, NULL, "tcp [fd00::3]:4000 [fd00::1]:81");
	objects_flow(p, BERM_INGRESS, DENY, "no", "tcp 10.0.0.2:4000 10.0.0.1:5432");
	plan = compile(&m, NULL);
	for_each_case(a, asks)
		expect(&m, plan, a);
	EXPECT_EQ(plan->flows_count, 1);
	EXPECT_EQ(plan->flows[0].count, 3);
	berm_plan_free(plan);
	berm_model_clear(&m);
}

/* One rule and one flow that disagree, each in its tier and priority: who decides? */
TEST(flow_order,
     "tier, then priority; flows before the rules of their own; an entry only where the flow decides")
{
	static const struct {
		const char *name;
		uint8_t rule_tier, rule_action;
		int rule_priority;
		uint8_t flow_tier, flow_action;
		int flow_priority;
		bool flow_decides;
	} cases[] = {
		{ "same place, Deny rule", BERM_TIER_ADMIN, DENY, 500, BERM_TIER_ADMIN, ALLOW, 500, true },
		{ "same place, Allow rule", BERM_TIER_ADMIN, ALLOW, 500, BERM_TIER_ADMIN, DENY, 500, true },
		{ "same place, Pass", BERM_TIER_ADMIN, BERM_RULE_PASS, 500, BERM_TIER_ADMIN, ALLOW, 500, true },
		{ "a priority before", BERM_TIER_ADMIN, DENY, 499, BERM_TIER_ADMIN, ALLOW, 500, false },
		{ "a Pass before", BERM_TIER_ADMIN, BERM_RULE_PASS, 499, BERM_TIER_ADMIN, ALLOW, 500, false },
		{ "a Log before", BERM_TIER_ADMIN, BERM_RULE_LOG, 499, BERM_TIER_ADMIN, ALLOW, 500, true },
		{ "a priority after", BERM_TIER_ADMIN, DENY, 501, BERM_TIER_ADMIN, ALLOW, 500, true },
		{ "a tier before", BERM_TIER_EMERGENCY, DENY, 1000, BERM_TIER_ADMIN, ALLOW, 0, false },
		{ "a Pass of a tier before", BERM_TIER_EMERGENCY, BERM_RULE_PASS, 0, BERM_TIER_ADMIN, ALLOW, 500,
		  true },
		{ "a tier after", BERM_TIER_APPLICATION, DENY, 0, BERM_TIER_ADMIN, ALLOW, 1000, true },
		{ "emergency flow", BERM_TIER_EMERGENCY, DENY, 500, BERM_TIER_EMERGENCY, ALLOW, 500, true },
		{ "application flow against the admin", BERM_TIER_ADMIN, ALLOW, 500, BERM_TIER_APPLICATION,
		  DENY, 0, false },
		{ "baseline where somebody isolates", BERM_TIER_ADMIN, BERM_RULE_PASS, 500,
		  BERM_TIER_BASELINE, ALLOW, 0, false },
	}, *c;

	for_each_case(c, cases) {
		struct berm_model m = { 0 };
		struct berm_policy *rule, *flow;
		struct berm_plan *plan;
		struct ask a = { "", BERM_INGRESS, "10.0.0.1", "10.0.0.3", 4000, 80, 0, "" };
		bool is_allowed;

		shop(&m);
		rule = objects_policy(&m, BERM_KIND_SEGMENTATION, "berm-system/rule", "");
		rule->tier = c->rule_tier;
		rule->priority = c->rule_priority;
		objects_peer_any(objects_rule(rule, BERM_INGRESS, c->rule_action, "rule"));
		flow = objects_policy(&m, BERM_KIND_SEGMENTATION, "berm-system/flow", "");
		flow->tier = c->flow_tier;
		flow->priority = c->flow_priority;
		objects_flow(flow, BERM_INGRESS, c->flow_action, "one",
			     "tcp 10.0.0.3:4000 10.0.0.1:80");
		plan = compile(&m, NULL);
		is_allowed = c->flow_decides ? c->flow_action == ALLOW : c->rule_action == ALLOW;
		a.action = is_allowed ? YES : NO;
		a.rule = c->flow_decides ? ":flows/one" : "";
		expect(&m, plan, &a);
		expect_log(plan, "flows/one", c->rule_action == BERM_RULE_LOG ? "rule" : NULL);
		EXPECT_EQ(plan->flows_count, c->flow_decides);
		berm_plan_free(plan);
		berm_model_clear(&m);
	}
}

TEST(flow_flow,
     "two flows about one connection: Deny, then Allow, at one priority; else the better one")
{
	for (int worse = 0; worse < 2; worse++) {
		struct berm_model m = { 0 };
		struct berm_policy *a, *b;
		struct berm_plan *plan;

		shop(&m);
		a = objects_policy(&m, BERM_KIND_SEGMENTATION, "shop/a", "app=db");
		objects_flow(a, BERM_INGRESS, ALLOW, "yes", "tcp 10.0.0.3:4000 10.0.0.1:80");
		b = objects_policy(&m, BERM_KIND_SEGMENTATION, "shop/b", "app=db");
		b->priority = 500 + worse;
		objects_flow(b, BERM_INGRESS, DENY, "no", "tcp 10.0.0.3:4000 10.0.0.1:80");
		plan = compile(&m, NULL);
		expect(&m, plan,
		       &(struct ask){ "", BERM_INGRESS, "10.0.0.1", "10.0.0.3", 4000, 80,
				      worse ? YES : NO,
				      worse ? "shop/a:flows/yes" : "shop/b:flows/no" });
		EXPECT_EQ(plan->flows[0].count, 1);
		berm_plan_free(plan);
		berm_model_clear(&m);
	}
}

TEST(flow_tenancy,
     "a tenant's flow is about its own pods that its policy selects, and means nothing at others'")
{
	static const struct ask asks[] = {
		{ "opening what is another's", BERM_INGRESS, "10.0.0.1", "10.0.0.4", 4000, 80, NO,
		  "default-deny:shop/db" },
		{ "closing it", BERM_INGRESS, "10.0.0.1", "10.0.0.2", 4000, 5432, YES,
		  "shop/db:web" },
		{ "its own pod", BERM_INGRESS, "10.0.0.4", "10.0.0.1", 4000, 80, NO,
		  "blue/x:flows/own" },
		{ "its own pod, another port", BERM_INGRESS, "10.0.0.4", "10.0.0.1", 4001, 80, YES,
		  "" },
		{ "its own pod, not selected", BERM_INGRESS, "10.0.0.4", "10.0.0.1", 4000, 81, YES,
		  "" },
	};
	struct berm_model m = { 0 };
	struct berm_policy *p;
	struct berm_plan *plan;
	const struct ask *a;

	shop(&m);
	p = objects_policy(&m, BERM_KIND_SEGMENTATION, "blue/x", "");
	objects_flow(p, BERM_INGRESS, ALLOW, "open", "tcp 10.0.0.4:4000 10.0.0.1:80");
	objects_flow(p, BERM_INGRESS, DENY, "close", "tcp 10.0.0.2:4000 10.0.0.1:5432");
	objects_flow(p, BERM_INGRESS, DENY, "own", "tcp 10.0.0.1:4000 10.0.0.4:80");
	p = objects_policy(&m, BERM_KIND_SEGMENTATION, "blue/y", "app=other");
	objects_flow(p, BERM_INGRESS, DENY, "other", "tcp 10.0.0.1:4000 10.0.0.4:81");
	plan = compile(&m, NULL);
	for_each_case(a, asks)
		expect(&m, plan, a);
	EXPECT_EQ(plan->flows_count, 1);
	EXPECT_EQ(plan->flows[0].count, 1);
	berm_plan_free(plan);
	berm_model_clear(&m);
}

TEST(flow_service,
     "a flow to a Service's address is about that address; a backend that is denied before it counts")
{
	struct berm_model m = { 0 };
	struct berm_policy_rule *r;
	struct berm_policy *p, *watch, *deny;
	struct berm_plan *plan;
	struct ask vip = { "",	 BERM_EGRESS, "10.0.0.1", "10.96.0.1",
			   4000, 80,	      YES,	  "shop/out:flows/vip" };
	struct ask backend = { "",   BERM_EGRESS, "10.0.0.1", "10.0.0.2",
			       4000, 8080,	  NO,	      "default-deny" };

	shop(&m);
	objects_service_port(objects_service(&m, "shop/web", "10.96.0.1", NULL), "=tcp:80", 0);
	objects_slice(&m, "shop/web-1", "web", "=tcp:8080", "10.0.0.2 10.0.0.3", NULL);
	p = objects_policy(&m, BERM_KIND_SEGMENTATION, "shop/out", "app=db");
	p->isolate = 1 << BERM_EGRESS;
	objects_flow(p, BERM_EGRESS, ALLOW, "vip", "tcp 10.0.0.1:4000 10.96.0.1:80");
	plan = compile(&m, NULL);
	expect(&m, plan, &vip);
	expect(&m, plan, &backend);
	vip.from = 4001;
	vip.action = NO;
	vip.rule = "default-deny:shop/out";
	expect(&m, plan, &vip);
	berm_plan_free(plan);

	watch = objects_policy(&m, BERM_KIND_SEGMENTATION, "berm-system/watch", "");
	watch->tier = BERM_TIER_EMERGENCY;
	objects_peer_pods(objects_rule(watch, BERM_EGRESS, BERM_RULE_LOG, "watch"), NULL,
			  "app=spy");
	plan = compile(&m, NULL);
	expect_log(plan, "flows/vip", "watch"); /* the second backend meets it */
	berm_plan_free(plan);

	deny = objects_policy(&m, BERM_KIND_SEGMENTATION, "berm-system/spy", "");
	deny->tier = BERM_TIER_ADMIN;
	r = objects_rule(deny, BERM_EGRESS, DENY, "spy");
	objects_peer_pods(r, NULL, "app=spy");
	plan = compile(&m, NULL);
	vip.from = 4000;
	vip.rule = "";
	expect(&m, plan, &vip); /* it could be the spy who answers */
	EXPECT_EQ(plan->flows_count, 0);
	berm_plan_free(plan);
	berm_model_clear(&m);
}

TEST(flow_alone,
     "a flow without any rule: all else stays as open as it was, and one without a pod here costs nothing")
{
	struct berm_model m = { 0 };
	struct berm_policy *p;
	struct berm_plan *plan;

	shop(&m);
	p = objects_policy(&m, BERM_KIND_SEGMENTATION, "blue/x", "app=db");
	objects_flow(p, BERM_EGRESS, DENY, "no", "tcp 10.0.0.4:4000 192.0.2.1:80");
	objects_flow(p, BERM_EGRESS, DENY, "far", "tcp 10.0.9.9:4000 192.0.2.1:80");
	plan = compile(&m, NULL);
	expect(&m, plan,
	       &(struct ask){ "", BERM_EGRESS, "10.0.0.4", "192.0.2.1", 4000, 80, NO,
			      "blue/x:flows/no" });
	expect(&m, plan,
	       &(struct ask){ "", BERM_EGRESS, "10.0.0.4", "192.0.2.1", 4001, 80, YES, "" });
	expect(&m, plan,
	       &(struct ask){ "", BERM_EGRESS, "10.0.0.1", "192.0.2.1", 4000, 80, YES, "" });
	EXPECT_EQ(plan->endpoint[0].set[BERM_EGRESS], UINT32_MAX);
	EXPECT_FALSE(plan->endpoint[1].flags & BERM_EP_ISOLATED_OUT);
	EXPECT_EQ(plan->flows[0].count, 1);
	berm_plan_free(plan);
	berm_model_clear(&m);
}

static void relabel(struct berm_model *m, const char *name, const char *labels, const char *addr)
{
	objects_pod(m, name, labels, addr);
}

TEST(flow_follow,
     "when the other end of a flow changes its labels, the plan is not mended but made anew")
{
	static const char *const pods[] = { "shop/a", "shop/b", "shop/c", "shop/d" };
	struct berm_compiled *kept = NULL;
	struct berm_model m = { 0 };
	struct berm_policy *deny, *p;
	struct berm_err err = { 0 };
	char addr[16];

	shop(&m);
	for (size_t i = 0; i < ARRAY_SIZE(pods); i++) {
		snprintf(addr, sizeof(addr), "10.0.1.%zu", i + 1);
		objects_pod(&m, pods[i], i % 2 ? "app=bad" : "app=good", addr);
	}
	deny = objects_policy(&m, BERM_KIND_SEGMENTATION, "berm-system/bad", "");
	deny->tier = BERM_TIER_ADMIN;
	objects_peer_pods(objects_rule(deny, BERM_INGRESS, DENY, "bad"), NULL, "app=bad");
	p = objects_policy(&m, BERM_KIND_SEGMENTATION, "shop/x", "app=db");
	objects_flow(p, BERM_INGRESS, ALLOW, "one", "tcp 10.0.1.1:4000 10.0.0.1:80");
	ASSERT_OK(berm_compile_kept(&m, &kept, NULL, &err), &err);
	berm_model_changes_clear(&m);
	EXPECT_EQ(berm_compiled_plan(kept)->flows_count, 1);

	relabel(&m, "shop/c", "app=bad", "10.0.1.3"); /* a stranger to the flow */
	EXPECT_EQ(berm_compiled_follow(kept, &m.changes), 0);
	relabel(&m, "shop/c", "app=good", "10.0.1.3");
	berm_compiled_free(kept);
	kept = NULL;
	ASSERT_OK(berm_compile_kept(&m, &kept, NULL, &err), &err);
	berm_model_changes_clear(&m);
	relabel(&m, "shop/a", "app=bad", "10.0.1.1");
	EXPECT_EQ(berm_compiled_follow(kept, &m.changes), -EAGAIN);
	berm_compiled_free(kept);
	berm_model_clear(&m);
}

static void many(struct berm_model *m, const char *name, unsigned int count, bool named)
{
	struct berm_policy *p = objects_policy(m, BERM_KIND_SEGMENTATION, name, "app=db");
	char text[96], flow[32];

	for (unsigned int i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "tcp 10.%u.%u.%u:4000 10.0.0.1:80", 100 + i / 62500,
			 i / 250 % 250, i % 250 + 1);
		snprintf(flow, sizeof(flow), "f%u", i);
		objects_flow(p, BERM_INGRESS, ALLOW, named ? flow : NULL, text);
	}
}

TEST(flow_limits,
     "100,000 flows of a node compile in time; the document beyond is left out, its neighbours stand")
{
	struct berm_problems problems = { 0 };
	struct berm_model m = { 0 };
	struct berm_plan *plan;
	struct timespec begin, end;

	shop(&m);
	many(&m, "shop/all", 99999, false);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	plan = compile(&m, &problems);
	clock_gettime(CLOCK_MONOTONIC, &end);
	EXPECT_EQ(problems.count, 0);
	EXPECT_EQ(plan->flows[0].count, 99999);
	EXPECT_LT(plan->rule_count, 20); /* they are one rule to people */
	printf("# 99,999 flows compiled in %ld ms\n",
	       (end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000);
	berm_plan_free(plan);

	many(&m, "shop/few", 2, false);
	plan = compile(&m, &problems);
	ASSERT_EQ(problems.count, 1);
	EXPECT_STR_HAS(problems.item[0].document, "SegmentationPolicy shop/all");
	EXPECT_STR_HAS(problems.item[0].message, "100,000 flows per node");
	EXPECT_EQ(plan->flows[0].count, 2);
	berm_plan_free(plan);
	berm_problems_clear(&problems);
	berm_model_clear(&m);
}

TEST(flow_names,
     "16,384 different names of flows are a node's, and a document with more is left out")
{
	struct berm_problems problems = { 0 };
	struct berm_model m = { 0 };
	struct berm_plan *plan;

	shop(&m);
	many(&m, "shop/few", 2, true);
	many(&m, "shop/many", 16383, true);
	plan = compile(&m, &problems);
	ASSERT_EQ(problems.count, 1);
	EXPECT_STR_HAS(problems.item[0].document, "SegmentationPolicy shop/many");
	EXPECT_STR_HAS(problems.item[0].message, "16,384 different names");
	EXPECT_EQ(plan->flows[0].count, 2);
	berm_plan_free(plan);
	berm_problems_clear(&problems);
	berm_model_clear(&m);
}
