// SPDX-License-Identifier: Apache-2.0
/* test_compile.c - what policies mean, one rule of design/policy.md at a time, asked of the plan. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "compile.h"
#include "interpret.h"
#include "objects.h"
#include "test.h"

#define ALLOW BERM_RULE_ALLOW
#define DENY  BERM_RULE_DENY
#define PASS  BERM_RULE_PASS
#define LOG   BERM_RULE_LOG
#define IN    (1 << BERM_INGRESS)
#define OUT   (1 << BERM_EGRESS)

/* ---- asking ------------------------------------------------------------------------------------------- */

static struct berm_plan *compile_with(const struct berm_model *m, struct berm_problems *problems)
{
	struct berm_plan *plan = NULL;
	struct berm_err err = { 0 };

	ASSERT_OK(berm_compile(m, &plan, problems, &err), &err);
	interpret_check(plan);
	return plan;
}

static struct berm_plan *compile(const struct berm_model *m)
{
	struct berm_problems problems = { 0 };
	struct berm_plan *plan = compile_with(m, &problems);

	EXPECT_EQ(problems.count, 0);
	return plan;
}

struct ask {
	const char *name;
	uint32_t slot;
	uint8_t dir;
	const char *peer;
	uint8_t plane;
	uint16_t port;
	uint8_t action;	  /* BERM_ACTION_* */
	const char *rule; /* part of the rule's label; NULL: do not care */
};

#define TCP BERM_PLANE_TCP
#define UDP BERM_PLANE_UDP
#define YES BERM_ACTION_ALLOW
#define NO  BERM_ACTION_DENY

static struct answer ask(const struct berm_model *m, const struct berm_plan *plan,
			 const struct ask *a)
{
	struct question q = {
		.dir = a->dir, .peer = objects_addr(a->peer), .plane = a->plane, .port = a->port
	};

	for (size_t i = 0; i < m->endpoint_count; i++)
		if (m->endpoints[i].slot == a->slot)
			q.ep = &m->endpoints[i];
	ASSERT_TRUE(q.ep);
	return interpret(plan, &q);
}

static void expect(const struct berm_model *m, const struct berm_plan *plan, const struct ask *a)
{
	struct answer got = ask(m, plan, a);

	EXPECT_EQ(got.action, a->action);
	if (a->rule)
		EXPECT_STR_HAS(got.rule, a->rule);
}

#define expect_all(m, plan, asks)                                                                  \
	do {                                                                                       \
		const struct ask *a_;                                                              \
		for_each_case(a_, asks)                                                            \
			expect(m, plan, a_);                                                       \
	} while (0)

static void isolate(struct berm_model *m, const char *name, const char *pods, uint8_t dirs)
{
	objects_policy(m, BERM_KIND_NETWORK, name, pods)->isolate = dirs;
}

/* ---- CIDRs ---------------------------------------------------------------------------------------------- */

TEST(union_except, "an except takes addresses out of its own block only [semantics.union_except]")
{
	static const struct ask asks[] = {
		{ "inside the first", 1, BERM_INGRESS, "10.2.0.1", TCP, 80, YES, "shop/a:wide" },
		{ "excepted, not in the other", 1, BERM_INGRESS, "10.1.3.3", TCP, 80, NO,
		  "default-deny" },
		{ "excepted, but in the other", 1, BERM_INGRESS, "10.1.2.3", TCP, 80, YES,
		  "shop/b:narrow" },
		{ "hole in the hole", 1, BERM_INGRESS, "10.1.2.200", TCP, 80, NO, "default-deny" },
		{ "outside of both", 1, BERM_INGRESS, "11.0.0.1", TCP, 80, NO, "default-deny" },
		{ "a pod in an except", 1, BERM_INGRESS, "10.1.3.9", TCP, 80, NO, "default-deny" },
		{ "a pod in the other block", 1, BERM_INGRESS, "10.1.2.9", TCP, 80, YES,
		  "shop/b:narrow" },
		{ "the same pod where it is named", 1, BERM_INGRESS, "10.1.2.9", TCP, 22, YES,
		  "shop/c:pods" },
		{ "another address there", 1, BERM_INGRESS, "10.1.2.3", TCP, 22, NO,
		  "default-deny" },
	};
	struct berm_model m = { 0 };
	struct berm_policy_rule *r;
	struct berm_policy *p;
	struct berm_plan *plan;

	objects_pod(&m, "shop/db", "app=db", "10.9.0.1");
	objects_pod(&m, "shop/x", "app=x", "10.1.3.9");
	objects_pod(&m, "shop/y", "app=y", "10.1.2.9");
	objects_endpoint(&m, 1, "shop/db");
	p = objects_policy(&m, BERM_KIND_NETWORK, "shop/a", "app=db");
	p->isolate = IN;
	r = objects_rule(p, BERM_INGRESS, ALLOW, "wide");
	objects_peer_block(r, "10.0.0.0/8", "10.1.0.0/16");
	objects_port(r, "tcp:80");
	p = objects_policy(&m, BERM_KIND_NETWORK, "shop/b", "app=db");
	p->isolate = IN;
	r = objects_rule(p, BERM_INGRESS, ALLOW, "narrow");
	objects_peer_block(r, "10.1.2.0/24", "10.1.2.128/25");
	objects_port(r, "tcp:80");
	p = objects_policy(&m, BERM_KIND_NETWORK, "shop/c", "app=db");
	p->isolate = IN;
	r = objects_rule(p, BERM_INGRESS, ALLOW, "pods");
	objects_peer_pods(r, NULL, "app=x|y");
	objects_port(r, "tcp:22");
	plan = compile(&m);
	expect_all(&m, plan, asks);
	berm_plan_free(plan);
	berm_model_clear(&m);
}

TEST(block_matches_pods, "ipBlock matches pods too; the families know nothing of each other")
{
	static const struct ask asks[] = {
		{ "a pod", 1, BERM_EGRESS, "10.0.0.7", TCP, 80, YES, "shop/out:v4" },
		{ "its other address", 1, BERM_EGRESS, "fd00::7", TCP, 80, NO, "default-deny" },
		{ "the world", 1, BERM_EGRESS, "192.0.2.1", TCP, 80, YES, "shop/out:v4" },
		{ "the other world", 1, BERM_EGRESS, "2001:db8::1", TCP, 80, NO, "default-deny" },
		{ "all of IPv6 is not IPv4", 1, BERM_EGRESS, "192.0.2.1", TCP, 443, NO,
		  "default-deny" },
		{ "but all of IPv6", 1, BERM_EGRESS, "2001:db8::1", TCP, 443, YES, "shop/out:v6" },
		{ "a pod, by IPv6", 1, BERM_EGRESS, "fd00::7", TCP, 443, YES, "shop/out:v6" },
		{ "a pod, by IPv4", 1, BERM_EGRESS, "10.0.0.7", TCP, 443, NO, "default-deny" },
	};
	struct berm_model m = { 0 };
	struct berm_policy_rule *r;
	struct berm_policy *p;
	struct berm_plan *plan;

	objects_pod(&m, "shop/web", "app=web", "10.0.0.1 fd00::1");
	objects_pod(&m, "shop/db", "app=db", "10.0.0.7 fd00::7");
	objects_endpoint(&m, 1, "shop/web");
	p = objects_policy(&m, BERM_KIND_NETWORK, "shop/out", "app=web");
	p->isolate = OUT;
	r = objects_rule(p, BERM_EGRESS, ALLOW, "v4");
	objects_peer_block(r, "0.0.0.0/0", NULL);
	objects_port(r, "tcp:80");
	r = objects_rule(p, BERM_EGRESS, ALLOW, "v6");
	objects_peer_block(r, "::/0", NULL);
	objects_port(r, "tcp:443");
	r = objects_rule(p, BERM_EGRESS, ALLOW, "db"); /* so that the pod has an entry of its own */
	objects_peer_pods(r, NULL, "app=db");
	objects_port(r, "tcp:5432");
	plan = compile(&m);
	EXPECT_EQ(plan->peer_count, 2);
	expect_all(&m, plan, asks);
	berm_plan_free(plan);
	berm_model_clear(&m);
}

/* ---- ports ------------------------------------------------------------------------------------------------ */

TEST(ports_1000, "a thousand scattered ports are two columns [semantics.ports_1000]")
{
	struct berm_model m = { 0 };
	struct berm_policy_rule *r;
	struct berm_policy *p;
	struct berm_plan *plan;
	const struct berm_plan_set *set;

	objects_pod(&m, "shop/db", "app=db", "10.0.0.1");
	objects_endpoint(&m, 1, "shop/db");
	p = objects_policy(&m, BERM_KIND_NETWORK, "shop/many", "app=db");
	p->isolate = IN;
	r = objects_rule(p, BERM_INGRESS, ALLOW, "odd");
	for (int port = 1; port < 2000; port += 2) {
		char text[16];

		snprintf(text, sizeof(text), "tcp:%d", port);
		objects_port(r, text);
	}
	plan = compile(&m);
	for (uint32_t port = 0; port < 2010; port++) {
		struct ask a = { "",
				 1,
				 BERM_INGRESS,
				 "192.0.2.1",
				 TCP,
				 (uint16_t)port,
				 port % 2 && port < 2000 ? YES : NO,
				 NULL };

		expect(&m, plan, &a);
	}
	set = &plan->set[plan->endpoint[0].set[BERM_INGRESS]];
	EXPECT_EQ(set->ncols, 2);
	EXPECT_EQ(set->nrows, 1);
	berm_plan_free(plan);

	objects_port(r, "tcp:1-2000"); /* and neighbours are one range */
	plan = compile(&m);
	EXPECT_LT(plan->interval_count, 20);
	berm_plan_free(plan);
	berm_model_clear(&m);
}

TEST(named_ports,
     "a named port is looked up on each destination for itself [semantics.named_ports]")
{
	static const struct ask asks[] = {
		{ "a's number at a", 1, BERM_EGRESS, "10.0.0.2", TCP, 8080, YES,
		  "shop/out:by-name" },
		{ "b's number at a", 1, BERM_EGRESS, "10.0.0.2", TCP, 80, NO, NULL },
		{ "b's number at b", 1, BERM_EGRESS, "10.0.0.3", TCP, 80, YES, "shop/out:by-name" },
		{ "a's number at b", 1, BERM_EGRESS, "10.0.0.3", TCP, 8080, NO, NULL },
		{ "both of two containers", 1, BERM_EGRESS, "10.0.0.4", TCP, 81, YES, NULL },
		{ "both of two containers (2)", 1, BERM_EGRESS, "10.0.0.4", TCP, 82, YES, NULL },
		{ "another protocol", 1, BERM_EGRESS, "10.0.0.5", UDP, 80, NO, NULL },
		{ "a pod without the name", 1, BERM_EGRESS, "10.0.0.6", TCP, 80, NO, NULL },
		{ "no pod", 1, BERM_EGRESS, "192.0.2.1", TCP, 80, NO, NULL },
		{ "a pod not in the list", 1, BERM_EGRESS, "10.0.0.7", TCP, 80, NO, NULL },
		{ "own ports on the way in", 2, BERM_INGRESS, "192.0.2.1", TCP, 8080, YES,
		  "shop/in:by-name" },
		{ "not those of others", 2, BERM_INGRESS, "192.0.2.1", TCP, 80, NO, NULL },
		{ "another pod, its own", 3, BERM_INGRESS, "192.0.2.1", TCP, 80, YES,
		  "shop/in:by-name" },
		{ "another pod, not the first's", 3, BERM_INGRESS, "192.0.2.1", TCP, 8080, NO,
		  NULL },
		{ "a name that is nowhere", 2, BERM_INGRESS, "192.0.2.1", TCP, 0, NO, NULL },
	};
	struct berm_model m = { 0 };
	struct berm_policy_rule *r;
	struct berm_policy *p;
	struct berm_plan *plan;
	struct berm_pod *pod;

	objects_pod(&m, "shop/web", "app=web", "10.0.0.1");
	objects_container_port(objects_pod(&m, "shop/a", "app=srv", "10.0.0.2"), "http=tcp:8080");
	objects_container_port(objects_pod(&m, "shop/b", "app=srv", "10.0.0.3"), "http=tcp:80");
	pod = objects_pod(&m, "shop/c", "app=srv", "10.0.0.4");
	objects_container_port(pod, "http=tcp:81");
	objects_container_port(pod, "http=tcp:82");
	objects_container_port(objects_pod(&m, "shop/d", "app=srv", "10.0.0.5"), "http=udp:80");
	objects_pod(&m, "shop/e", "app=srv", "10.0.0.6");
	objects_container_port(objects_pod(&m, "shop/f", "app=other", "10.0.0.7"), "http=tcp:80");
	objects_endpoint(&m, 1, "shop/web");
	objects_endpoint(&m, 2, "shop/a");
	objects_endpoint(&m, 3, "shop/b");
	p = objects_policy(&m, BERM_KIND_NETWORK, "shop/out", "app=web");
	p->isolate = OUT;
	r = objects_rule(p, BERM_EGRESS, ALLOW, "by-name");
	objects_peer_pods(r, NULL, "app=srv");
	objects_port(r, "tcp:http");
	p = objects_policy(&m, BERM_KIND_NETWORK, "shop/in", "app=srv");
	p->isolate = IN;
	r = objects_rule(p, BERM_INGRESS, ALLOW, "by-name");
	objects_port(r, "tcp:http");
	objects_port(r, "tcp:nowhere");
	plan = compile(&m);
	expect_all(&m, plan, asks);
	berm_plan_free(plan);
	berm_model_clear(&m);
}

/* ---- tiers ---------------------------------------------------------------------------------------------------- */

static struct berm_policy *system_policy(struct berm_model *m, const char *name,
					 enum berm_tier tier, int priority)
{
	struct berm_policy *p = objects_policy(m, BERM_KIND_SEGMENTATION, name, "app=db");

	p->tier = tier;
	p->priority = priority;
	return p;
}

static void rule_for(struct berm_policy *p, uint8_t action, const char *name, const char *port)
{
	struct berm_policy_rule *r = objects_rule(p, BERM_INGRESS, action, name);

	if (port)
		objects_port(r, port);
}

TEST(tiers,
     "emergency, admin, application and NetworkPolicy, baseline: the first decides, Pass hands on")
{
	static const struct ask asks[] = {
		{ "emergency first", 1, BERM_INGRESS, "192.0.2.1", TCP, 1, NO,
		  "emergency berm-system/e:stop" },
		{ "emergency passes, admin decides", 1, BERM_INGRESS, "192.0.2.1", TCP, 2, YES,
		  "admin berm-system/a:let" },
		{ "a lower priority number first", 1, BERM_INGRESS, "192.0.2.1", TCP, 3, NO,
		  "admin berm-system/a0:no" },
		{ "Deny before Allow of one priority", 1, BERM_INGRESS, "192.0.2.1", TCP, 4, NO,
		  "admin berm-system/z:no" },
		{ "Allow before Pass of one priority", 1, BERM_INGRESS, "192.0.2.1", TCP, 5, YES,
		  "berm-system/a:let" },
		{ "application Deny beats NetworkPolicy", 1, BERM_INGRESS, "192.0.2.1", TCP, 6, NO,
		  "application shop/app:no" },
		{ "NetworkPolicy opens", 1, BERM_INGRESS, "192.0.2.1", TCP, 7, YES,
		  "networkpolicy shop/np:v1" },
		{ "application Pass, then NetworkPolicy", 1, BERM_INGRESS, "192.0.2.1", TCP, 8, YES,
		  "networkpolicy" },
		{ "isolated: no baseline", 1, BERM_INGRESS, "192.0.2.1", TCP, 9, NO,
		  "default-deny:shop/np" },
		{ "not isolated: baseline", 2, BERM_INGRESS, "192.0.2.1", TCP, 9, NO,
		  "baseline berm-system/b:no" },
		{ "not isolated: default", 2, BERM_INGRESS, "192.0.2.1", TCP, 10, YES, "" },
		{ "baseline Pass", 2, BERM_INGRESS, "192.0.2.1", TCP, 11, YES, "" },
	};
	struct berm_model m = { 0 };
	struct berm_plan *plan;
	struct berm_policy *p;

	objects_pod(&m, "shop/db", "app=db", "10.0.0.1");
	objects_pod(&m, "open/db", "app=db", "10.0.0.2");
	objects_endpoint(&m, 1, "shop/db");
	objects_endpoint(&m, 2, "open/db");
	p = system_policy(&m, "berm-system/e", BERM_TIER_EMERGENCY, 500);
	rule_for(p, DENY, "stop", "tcp:1");
	rule_for(p, PASS, "on", "tcp:2");
	rule_for(system_policy(&m, "berm-system/a0", BERM_TIER_ADMIN, 10), DENY, "no", "tcp:3");
	rule_for(system_policy(&m, "berm-system/a", BERM_TIER_ADMIN, 500), ALLOW, "let", "tcp:2-5");
	p = system_policy(&m, "berm-system/z", BERM_TIER_ADMIN, 500);
	rule_for(p, PASS, "pass", "tcp:5");
	rule_for(p, DENY, "no", "tcp:4");
	p = system_policy(&m, "berm-system/b", BERM_TIER_BASELINE, 500);
	rule_for(p, DENY, "no", "tcp:9");
	rule_for(p, PASS, "pass", "tcp:11");
	p = system_policy(&m, "berm-system/b2", BERM_TIER_BASELINE, 600);
	rule_for(p, DENY, "no", "tcp:11");
	p = objects_policy(&m, BERM_KIND_SEGMENTATION, "shop/app", "app=db");
	rule_for(p, DENY, "no", "tcp:6");
	rule_for(p, PASS, "pass", "tcp:8");
	p = objects_policy(&m, BERM_KIND_NETWORK, "shop/np", "app=db");
	p->isolate = IN;
	rule_for(p, ALLOW, "v1", "tcp:1-8");
	plan = compile(&m);
	expect_all(&m, plan, asks);
	berm_plan_free(plan);
	berm_model_clear(&m);
}

/* Of two policies that isolate db, SegmentationPolicies unless said otherwise. */
TEST(several_policies,
     "an implicit denial is a rejection if all say so; of several wishes for sessions the strictest counts")
{
	enum { RECHECK = BERM_CHANGE_RECHECK, KEEP = BERM_CHANGE_KEEP, RESET = BERM_CHANGE_RESET };
	static const struct {
		const char *name;
		bool rejects[2];
		uint8_t change[2];
		enum berm_policy_kind kind;
		uint8_t action;
		uint32_t flags;
	} cases[] = {
		{ "neither", { false, false }, { RECHECK, RECHECK }, BERM_KIND_SEGMENTATION, NO, 0 },
		{ "one", { true, false }, { KEEP, RECHECK }, BERM_KIND_SEGMENTATION, NO, 0 },
		{ "the other", { false, true }, { RECHECK, KEEP }, BERM_KIND_SEGMENTATION, NO, 0 },
		{ "both",
		  { true, true },
		  { KEEP, KEEP },
		  BERM_KIND_SEGMENTATION,
		  BERM_ACTION_REJECT,
		  BERM_EP_KEEP_IN },
		{ "Reset before Keep",
		  { true, true },
		  { RESET, KEEP },
		  BERM_KIND_SEGMENTATION,
		  BERM_ACTION_REJECT,
		  BERM_EP_RESET_IN },
		{ "Reset before Recheck",
		  { false, false },
		  { RECHECK, RESET },
		  BERM_KIND_SEGMENTATION,
		  NO,
		  BERM_EP_RESET_IN },
		{ "a NetworkPolicy", { true, false }, { KEEP, RECHECK }, BERM_KIND_NETWORK, NO, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct berm_model m = { 0 };
		struct berm_plan *plan;
		struct berm_policy *p[2];

		objects_pod(&m, "shop/db", "app=db", "10.0.0.1");
		objects_endpoint(&m, 1, "shop/db");
		p[0] = objects_policy(&m, BERM_KIND_SEGMENTATION, "shop/a", "app=db");
		p[1] = objects_policy(&m, cases[i].kind, "shop/b", "app=db");
		for (int k = 0; k < 2; k++) {
			p[k]->isolate = IN;
			p[k]->rejects = cases[i].rejects[k];
			p[k]->on_change = cases[i].change[k];
		}
		rule_for(p[0], BERM_RULE_REJECT, "never", "tcp:80");
		plan = compile(&m);
		expect(&m, plan,
		       &(struct ask){ "", 1, BERM_INGRESS, "192.0.2.1", TCP, 81, cases[i].action,
				      "default-deny:shop/a,shop/b" });
		expect(&m, plan,
		       &(struct ask){ "", 1, BERM_INGRESS, "192.0.2.1", TCP, 80, BERM_ACTION_REJECT,
				      "application shop/a:never" });
		if (plan->endpoint[0].flags != (BERM_EP_ISOLATED_IN | cases[i].flags))
			test_failed(__FILE__, __LINE__, "%s: flags %#x", cases[i].name,
				    plan->endpoint[0].flags);
		berm_plan_free(plan);
		berm_model_clear(&m);
	}
}

static struct berm_policy *cluster_policy(struct berm_model *m, const char *name,
					  enum berm_tier tier, int priority)
{
	struct berm_policy *p = objects_policy(m, BERM_KIND_CLUSTER, name, "app=db");

	p->tier = tier;
	p->priority = priority;
	return p;
}

static void cluster_rule(struct berm_policy *p, uint8_t action, const char *name, const char *port)
{
	struct berm_policy_rule *r = objects_rule(p, BERM_INGRESS, action, name);

	objects_peer_pods(r, "", NULL);
	if (port)
		objects_port(r, port);
}

static void cluster_pods(struct berm_model *m)
{
	objects_namespace(m, "closed", "berm.dev/default-verdict=deny");
	objects_pod(m, "shop/db", "app=db", "10.0.0.1");
	objects_pod(m, "open/db", "app=db", "10.0.0.2");
	objects_pod(m, "closed/db", "app=db", "10.0.0.3");
	objects_pod(m, "open/later", "app=later", "10.0.0.4");
	objects_pod(m, "open/web", "app=web", "10.0.0.9");
	objects_endpoint(m, 1, "shop/db");
	objects_endpoint(m, 2, "open/db");
	objects_endpoint(m, 3, "closed/db");
	objects_endpoint(m, 4, "open/later");
}

static void cluster_policies(struct berm_model *m)
{
	struct berm_policy *p;

	p = cluster_policy(m, "/a", BERM_TIER_ADMIN, 10);
	cluster_rule(p, DENY, "no", "tcp:1");
	cluster_rule(p, ALLOW, "let", "tcp:2");
	cluster_rule(p, PASS, "on", "tcp:3");
	cluster_rule(p, ALLOW, "first", "tcp:4");
	cluster_rule(p, DENY, "second", "tcp:4");
	cluster_rule(p, DENY, "name", "tcp:5");
	cluster_rule(p, DENY, "seg", "tcp:6");
	cluster_rule(cluster_policy(m, "/b", BERM_TIER_ADMIN, 10), ALLOW, "name", "tcp:5");
	cluster_rule(cluster_policy(m, "/b0", BERM_TIER_ADMIN, 9), DENY, "no", "tcp:7");
	p = system_policy(m, "berm-system/s", BERM_TIER_ADMIN, 10);
	rule_for(p, ALLOW, "let", "tcp:6-7");
	rule_for(system_policy(m, "berm-system/t", BERM_TIER_ADMIN, 11), DENY, "late", "tcp:3");
	p = cluster_policy(m, "/z", BERM_TIER_BASELINE, 0);
	cluster_rule(p, DENY, "no", "tcp:20");
	cluster_rule(p, PASS, "on", "tcp:21");
	cluster_rule(p, DENY, "too late", "tcp:21");
	cluster_rule(p, ALLOW, "let", "tcp:22");
	cluster_rule(p, ALLOW, "later", "tcp:24");
	p->rule[p->rule_count - 1].unsupported = true;
}

static void other_policies(struct berm_model *m)
{
	struct berm_policy *p;

	p = objects_policy(m, BERM_KIND_CLUSTER, "/later", "app=later");
	cluster_rule(p, PASS, NULL, "tcp:1");
	p->rule[0].unsupported = true;
	p = objects_policy(m, BERM_KIND_SEGMENTATION, "shop/app", "app=db");
	rule_for(p, DENY, "no", "tcp:2");
	p = objects_policy(m, BERM_KIND_NETWORK, "shop/np", "app=db");
	p->isolate = IN;
	rule_for(p, ALLOW, "v1", "tcp:1-8");
}

TEST(cluster_tiers, "ClusterNetworkPolicies stand in stages 2 and 4, in the order of the page")
{
	static const struct ask asks[] = {
		{ "Admin denies what NetworkPolicy opens", 1, BERM_INGRESS, "10.0.0.9", TCP, 1, NO,
		  "admin a:no" },
		{ "Accept before application", 1, BERM_INGRESS, "10.0.0.9", TCP, 2, YES,
		  "admin a:let" },
		{ "Pass skips the rest of Admin", 1, BERM_INGRESS, "10.0.0.9", TCP, 3, YES,
		  "networkpolicy shop/np:v1" },
		{ "and admin SegmentationPolicies of later priority", 2, BERM_INGRESS, "10.0.0.9",
		  TCP, 3, YES, "" },
		{ "rules as written: Accept before Deny", 1, BERM_INGRESS, "10.0.0.9", TCP, 4, YES,
		  "admin a:first" },
		{ "by name at equal priority", 1, BERM_INGRESS, "10.0.0.9", TCP, 5, NO,
		  "admin a:name" },
		{ "a SegmentationPolicy first at equal priority, even its Allow", 1, BERM_INGRESS,
		  "10.0.0.9", TCP, 6, YES, "admin berm-system/s:let" },
		{ "but not at a higher number", 1, BERM_INGRESS, "10.0.0.9", TCP, 7, NO,
		  "admin b0:no" },
		{ "peers are pods, not everyone", 1, BERM_INGRESS, "192.0.2.1", TCP, 1, YES,
		  "networkpolicy shop/np:v1" },
		{ "isolated: no Baseline", 1, BERM_INGRESS, "10.0.0.9", TCP, 20, NO,
		  "default-deny:shop/np" },
		{ "not isolated: Baseline", 2, BERM_INGRESS, "10.0.0.9", TCP, 20, NO,
		  "baseline z:no" },
		{ "Baseline passes", 2, BERM_INGRESS, "10.0.0.9", TCP, 21, YES, "" },
		{ "Baseline opens the namespace's default deny", 3, BERM_INGRESS, "10.0.0.9", TCP,
		  22, YES, "baseline z:let" },
		{ "which else holds", 3, BERM_INGRESS, "10.0.0.9", TCP, 23, NO,
		  "default-deny:closed" },
		{ "an Accept of a later version", 3, BERM_INGRESS, "10.0.0.9", TCP, 24, NO,
		  "default-deny:closed" },
		{ "a Pass of a later version: all ports", 4, BERM_INGRESS, "192.0.2.1", UDP, 9, NO,
		  "admin later:#0" },
	};
	struct berm_model m = { 0 };
	struct berm_plan *plan;

	cluster_pods(&m);
	cluster_policies(&m);
	other_policies(&m);
	plan = compile(&m);
	expect_all(&m, plan, asks);
	berm_plan_free(plan);
	berm_model_clear(&m);
}

TEST(cluster_ports, "networks match pods and ICMP; a named port is each destination's own")
{
	static const struct ask asks[] = {
		{ "ICMP to a network", 1, BERM_EGRESS, "192.0.2.1", BERM_PLANE_ICMP, 8 << 8, NO,
		  "admin n:net" },
		{ "a pod in a network", 1, BERM_EGRESS, "10.0.0.2", TCP, 9, NO, "admin n:pods" },
		{ "a name on its pod", 1, BERM_EGRESS, "10.0.0.2", TCP, 8080, YES, "admin n:http" },
		{ "another's number", 1, BERM_EGRESS, "10.0.0.2", TCP, 80, NO, "admin n:pods" },
		{ "on the pod that has it", 1, BERM_EGRESS, "10.0.0.3", TCP, 80, YES,
		  "admin n:http" },
		{ "whatever its protocol", 1, BERM_EGRESS, "10.0.0.3", UDP, 81, YES,
		  "admin n:http" },
		{ "elsewhere", 1, BERM_EGRESS, "198.51.100.1", TCP, 80, YES, "" },
	};
	struct berm_model m = { 0 };
	struct berm_policy_rule *r;
	struct berm_plan *plan;
	struct berm_policy *p;

	objects_pod(&m, "shop/a", "app=db", "10.0.0.1");
	objects_container_port(objects_pod(&m, "shop/b", "", "10.0.0.2"), "http=tcp:8080");
	objects_container_port(objects_pod(&m, "shop/c", "", "10.0.0.3"), "http=tcp:80");
	objects_container_port(m.pods[2], "http=udp:81");
	objects_endpoint(&m, 1, "shop/a");
	p = cluster_policy(&m, "/n", BERM_TIER_ADMIN, 0);
	r = objects_rule(p, BERM_EGRESS, ALLOW, "http");
	objects_peer_pods(r, "", "");
	objects_port(r, "tcp:http");
	objects_port(r, "udp:http");
	objects_port(r, "sctp:http");
	objects_peer_block(objects_rule(p, BERM_EGRESS, DENY, "pods"), "10.0.0.0/24", NULL);
	objects_peer_block(objects_rule(p, BERM_EGRESS, DENY, "net"), "192.0.2.0/24", NULL);
	plan = compile(&m);
	expect_all(&m, plan, asks);
	berm_plan_free(plan);
	berm_model_clear(&m);
}

TEST(decides_nothing,
     "Log rules and disabled policies decide nothing; an unsupported peer fails closed")
{
	static const struct ask asks[] = {
		{ "a Log is not an Allow", 1, BERM_INGRESS, "192.0.2.1", TCP, 1, NO,
		  "default-deny" },
		{ "an Allow without its unknown peer", 1, BERM_INGRESS, "192.0.2.1", TCP, 2, NO,
		  "default-deny" },
		{ "but with its known one", 1, BERM_INGRESS, "10.0.0.9", TCP, 2, YES,
		  "shop/p:known" },
		{ "a disabled policy", 1, BERM_EGRESS, "192.0.2.1", TCP, 1, YES, "" },
		{ "a Pass that is not understood", 2, BERM_INGRESS, "10.0.0.9", UDP, 9, NO,
		  "berm-system/q:what" },
		{ "and no other pod", 1, BERM_INGRESS, "10.0.0.9", TCP, 2, YES, "shop/p:known" },
	};
	struct berm_model m = { 0 };
	struct berm_policy_rule *r;
	struct berm_policy *p;
	struct berm_plan *plan;

	objects_pod(&m, "shop/db", "app=db", "10.0.0.1");
	objects_pod(&m, "shop/x", "app=x", "10.0.0.2");
	objects_endpoint(&m, 1, "shop/db");
	objects_endpoint(&m, 2, "shop/x");
	p = objects_policy(&m, BERM_KIND_SEGMENTATION, "shop/p", "app=db");
	p->isolate = IN;
	rule_for(p, LOG, "log", NULL);
	r = objects_rule(p, BERM_INGRESS, ALLOW, "known");
	objects_peer_unsupported(r);
	objects_peer_block(r, "10.0.0.9/32", NULL);
	objects_port(r, "tcp:2");
	p = objects_policy(&m, BERM_KIND_SEGMENTATION, "shop/off", "app=db");
	p->isolate = OUT;
	p->disabled = true;
	p = objects_policy(&m, BERM_KIND_SEGMENTATION, "berm-system/q", "app=x");
	p->tier = BERM_TIER_ADMIN;
	r = objects_rule(p, BERM_INGRESS, PASS, "what");
	objects_peer_unsupported(r);
	objects_port(r, "tcp:80");
	plan = compile(&m);
	expect_all(&m, plan, asks);
	berm_plan_free(plan);
	berm_model_clear(&m);
}

/* The rule of the plan's cell where this is decided. */
static const struct berm_plan_rule *cell_of(const struct berm_plan *plan, const char *rule,
					    uint32_t log)
{
	for (size_t i = 0; i < plan->rule_count; i++)
		if (!strcmp(plan->rule[i].name.rule, rule) && (!log || plan->rule[i].log == log))
			return &plan->rule[i];
	ASSERT_TRUE(false);
	return NULL;
}

TEST(extras,
     "limits and samples reach the rule that allows; a Log names itself on what comes after it [log.sample]")
{
	static const struct ask asks[] = {
		{ "still allowed", 1, BERM_INGRESS, "10.0.0.9", TCP, 80, YES, "shop/p:web" },
		{ "still denied", 1, BERM_INGRESS, "10.0.0.9", TCP, 81, NO, "default-deny" },
	};
	struct berm_model m = { 0 };
	struct berm_policy_rule *r;
	struct berm_policy *p;
	struct berm_plan *plan;
	const struct berm_plan_rule *web;
	uint32_t watch;

	objects_pod(&m, "shop/db", "app=db", "10.0.0.1");
	objects_endpoint(&m, 1, "shop/db");
	p = objects_policy(&m, BERM_KIND_SEGMENTATION, "shop/p", "app=db");
	p->isolate = IN;
	r = objects_rule(p, BERM_INGRESS, ALLOW, "web");
	r->interval_ns = 1000;
	r->burst = 7;
	r->sample = 9;
	objects_port(r, "tcp:80");
	plan = compile(&m);
	expect_all(&m, plan, asks);
	web = cell_of(plan, "web", 0);
	EXPECT_EQ(web->interval_ns, 1000);
	EXPECT_EQ(web->burst, 7);
	EXPECT_EQ(web->sample, 9);
	EXPECT_EQ(web->log, web->name.id);
	berm_plan_free(plan);

	p = objects_policy(&m, BERM_KIND_SEGMENTATION, "berm-system/watch", "app=db");
	p->tier = BERM_TIER_ADMIN;
	r = objects_rule(p, BERM_INGRESS, LOG, "watch");
	r->sample = 3;
	r = objects_rule(p, BERM_INGRESS, LOG, "late");
	r->sample = 1;
	plan = compile(&m);
	expect_all(&m, plan, asks);
	watch = cell_of(plan, "watch", 0)->name.id;
	web = cell_of(plan, "web", watch);
	EXPECT_EQ(web->sample, 3);
	EXPECT_EQ(web->burst, 7);
	EXPECT_EQ(cell_of(plan, "shop/p", watch)->name.reason, BERM_REASON_DEFAULT_DENY);
	EXPECT_EQ(web->name.id, cell_of(plan, "web", 0)->name.id);
	berm_plan_free(plan);
	berm_model_clear(&m);
}

TEST(types_of_a_networkpolicy,
     "a NetworkPolicy's rules of a direction that its policyTypes leave out allow nothing there")
{
	static const struct ask asks[] = {
		{ "of its types", 1, BERM_INGRESS, "10.0.0.9", TCP, 80, YES, "shop/np:#0" },
		{ "the other direction", 1, BERM_EGRESS, "10.0.0.9", TCP, 80, NO,
		  "default-deny:shop/shut" },
	};
	struct berm_model m = { 0 };
	struct berm_policy *p;
	struct berm_plan *plan;

	objects_pod(&m, "shop/db", "app=db", "10.0.0.1");
	objects_endpoint(&m, 1, "shop/db");
	p = objects_policy(&m, BERM_KIND_SEGMENTATION, "shop/shut", "app=db");
	p->isolate = OUT;
	p = objects_policy(&m, BERM_KIND_NETWORK, "shop/np", "app=db");
	p->isolate = IN;
	objects_port(objects_rule(p, BERM_INGRESS, ALLOW, NULL), "tcp:80");
	objects_port(objects_rule(p, BERM_EGRESS, ALLOW, NULL), "tcp:80");
	plan = compile(&m);
	expect_all(&m, plan, asks);
	berm_plan_free(plan);
	berm_model_clear(&m);
}

TEST(log_of_a_backend,
     "of a Service some of whose backends are denied, the denial names the Log that one of them met [log.sample]")
{
	static const struct ask asks[] = {
		{ "mixed", 1, BERM_EGRESS, "10.96.0.1", TCP, 80, NO, "" },
		{ "the first", 1, BERM_EGRESS, "10.0.0.2", TCP, 8080, YES, "shop/p:web" },
	};
	struct berm_model m = { 0 };
	struct berm_policy *p;
	struct berm_plan *plan;
	uint32_t watch, logged = 0;

	objects_pod(&m, "shop/db", "app=db", "10.0.0.1");
	objects_pod(&m, "shop/web", "app=web", "10.0.0.2");
	objects_pod(&m, "shop/spy", "app=spy", "10.0.0.3");
	objects_endpoint(&m, 1, "shop/db");
	objects_service_port(objects_service(&m, "shop/web", "10.96.0.1", NULL), "=tcp:80", 0);
	objects_slice(&m, "shop/web-1", "web", "=tcp:8080", "10.0.0.2 10.0.0.3", NULL);
	p = objects_policy(&m, BERM_KIND_SEGMENTATION, "shop/p", "app=db");
	p->isolate = OUT;
	objects_peer_pods(objects_rule(p, BERM_EGRESS, ALLOW, "web"), NULL, "app=web");
	objects_peer_pods(objects_rule(p, BERM_EGRESS, LOG, "watch"), NULL, "app=spy");
	plan = compile(&m);
	expect_all(&m, plan, asks);
	watch = cell_of(plan, "watch", 0)->name.id;
	for (size_t i = 0; i < plan->rule_count; i++)
		if (plan->rule[i].name.reason == BERM_REASON_SERVICE_MIXED)
			logged += plan->rule[i].log == watch;
	EXPECT_EQ(logged, 1);
	berm_plan_free(plan);
	berm_model_clear(&m);
}

TEST(audit_shares,
     "what is in audit changes no set that decides: equal ids, and isolates nothing [audit.would]")
{
	struct berm_model m = { 0 };
	struct berm_policy *p;
	struct berm_policy_rule *r;
	struct berm_plan *before, *plan;
	const struct berm_plan_set *was, *is;

	objects_pod(&m, "shop/db", "app=db", "10.0.0.1");
	objects_container_port(objects_pod(&m, "shop/web", "app=web", "10.0.0.2"), "http=tcp:8080");
	objects_endpoint(&m, 1, "shop/db");
	p = objects_policy(&m, BERM_KIND_SEGMENTATION, "shop/p", "app=db");
	p->isolate = IN;
	r = objects_rule(p, BERM_INGRESS, ALLOW, "all");
	objects_peer_block(r, "10.0.0.0/8", NULL);
	before = compile(&m);
	EXPECT_EQ(before->endpoint[0].would[BERM_INGRESS], UINT32_MAX);
	p = objects_policy(&m, BERM_KIND_SEGMENTATION, "shop/tried", "app=db");
	p->audit = true;
	p->isolate = IN | OUT;
	r = objects_rule(p, BERM_INGRESS, DENY, "some");
	objects_peer_block(r, "10.1.0.0/16", "10.1.1.0/24");
	objects_port(r, "tcp:http");
	objects_port(r, "tcp:80-90");
	plan = compile(&m);
	was = &before->set[before->endpoint[0].set[BERM_INGRESS]];
	is = &plan->set[plan->endpoint[0].set[BERM_INGRESS]];
	EXPECT_MEM_EQ(&was->id, &is->id, sizeof(is->id));
	EXPECT_TRUE(plan->endpoint[0].would[BERM_INGRESS] != UINT32_MAX);
	EXPECT_TRUE(plan->endpoint[0].would[BERM_EGRESS] != UINT32_MAX);
	EXPECT_EQ(plan->endpoint[0].set[BERM_EGRESS], UINT32_MAX);
	EXPECT_EQ(plan->endpoint[0].flags, before->endpoint[0].flags);
	ASSERT_EQ(plan->ns_count, 1);
	EXPECT_EQ(plan->ns[0].dirs, IN);
	berm_plan_free(before);
	berm_plan_free(plan);
	berm_model_clear(&m);
}

/* ---- implicit verdicts ---------------------------------------------------------------------------------------- */

static void essentials_world(struct berm_model *m)
{
	struct berm_policy *p;

	objects_pod(m, "kube-system/coredns", "k8s-app=kube-dns", "10.0.0.53 fd00::53");
	objects_pod(m, "shop/fake-dns", "k8s-app=kube-dns", "10.0.0.54");
	objects_node_addrs(m, "192.0.2.10 169.254.20.10");
	for (int i = 1; i <= 4; i++) {
		char name[32], labels[32], addr[32];

		snprintf(name, sizeof(name), "shop/pod-%d", i);
		snprintf(labels, sizeof(labels), "n=%d", i);
		snprintf(addr, sizeof(addr), "10.0.1.%d", i);
		objects_pod(m, name, labels, addr);
		objects_endpoint(m, (uint32_t)i, name);
	}
	objects_policy(m, BERM_KIND_SEGMENTATION, "shop/one", "n=1|2")->isolate = IN | OUT;
	isolate(m, "shop/two", "n=2", OUT);
	p = objects_policy(m, BERM_KIND_SEGMENTATION, "shop/three", "n=3");
	p->isolate = OUT;
	p->essentials = 0;
	p = objects_policy(m, BERM_KIND_SEGMENTATION, "berm-system/guard", "n=1");
	p->tier = BERM_TIER_ADMIN;
	p->essentials = 0;
	objects_port(objects_rule(p, BERM_EGRESS, DENY, "no-tcp"), "tcp:53");
}

TEST(essentials,
     "isolated pods keep DNS and their node, unless somebody who isolates them does not grant it")
{
	static const struct ask asks[] = {
		{ "DNS", 1, BERM_EGRESS, "10.0.0.53", UDP, 53, YES, "" },
		{ "DNS by IPv6", 1, BERM_EGRESS, "fd00::53", UDP, 53, YES, "" },
		{ "another port of it", 1, BERM_EGRESS, "10.0.0.53", UDP, 54, NO, "default-deny" },
		{ "an explicit Deny beats it", 1, BERM_EGRESS, "10.0.0.53", TCP, 53, NO,
		  "guard:no-tcp" },
		{ "who only calls itself so", 1, BERM_EGRESS, "10.0.0.54", UDP, 53, NO,
		  "default-deny" },
		{ "not on the way in", 1, BERM_INGRESS, "10.0.0.53", UDP, 53, NO, "default-deny" },
		{ "the own node", 1, BERM_EGRESS, "192.0.2.10", TCP, 10250, YES, "" },
		{ "explicitly denied there", 1, BERM_EGRESS, "192.0.2.10", TCP, 53, NO,
		  "guard:no-tcp" },
		{ "a node address as a peer", 1, BERM_INGRESS, "192.0.2.10", TCP, 80, NO,
		  "default-deny" },
		{ "v1 grants no DNS", 2, BERM_EGRESS, "10.0.0.53", UDP, 53, NO,
		  "default-deny:shop/one,shop/two" },
		{ "but the own node", 2, BERM_EGRESS, "169.254.20.10", UDP, 53, YES, "" },
		{ "opted out", 3, BERM_EGRESS, "10.0.0.53", UDP, 53, NO,
		  "default-deny:shop/three" },
		{ "not isolated", 4, BERM_EGRESS, "10.0.0.53", UDP, 53, YES, "" },
		{ "not isolated at all", 4, BERM_INGRESS, "192.0.2.99", TCP, 1, YES, "" },
	};
	struct berm_model m = { 0 };
	struct berm_plan *plan;
	struct answer a;

	essentials_world(&m);
	plan = compile(&m);
	expect_all(&m, plan, asks);
	a = ask(&m, plan, &(struct ask){ "", 1, BERM_EGRESS, "10.0.0.53", UDP, 53, 0, NULL });
	EXPECT_EQ(a.reason, BERM_REASON_ESSENTIAL);
	EXPECT_EQ(plan->endpoint[3].set[BERM_EGRESS], UINT32_MAX);
	EXPECT_EQ(plan->endpoint[3].flags, 0);
	EXPECT_EQ(plan->endpoint[2].flags, BERM_EP_ISOLATED_OUT);
	EXPECT_EQ(plan->endpoint[0].flags, BERM_EP_ISOLATED_IN | BERM_EP_ISOLATED_OUT);

	/* The set of pods that nobody has judged yet. */
	plan->endpoint[3].set[BERM_EGRESS] = plan->essentials;
	expect(&m, plan, &(struct ask){ "", 4, BERM_EGRESS, "10.0.0.53", UDP, 53, YES, "" });
	expect(&m, plan, &(struct ask){ "", 4, BERM_EGRESS, "192.0.2.10", TCP, 80, YES, "" });
	a = ask(&m, plan, &(struct ask){ "", 4, BERM_EGRESS, "192.0.2.1", TCP, 80, 0, NULL });
	EXPECT_EQ(a.action, BERM_ACTION_DENY);
	EXPECT_EQ(a.reason, BERM_REASON_FALLBACK);
	berm_plan_free(plan);
	berm_model_clear(&m);
}

TEST(default_deny, "a namespace may deny what nobody isolates")
{
	static const struct ask asks[] = {
		{ "denied, named after it", 1, BERM_INGRESS, "192.0.2.1", TCP, 80, NO,
		  "default-deny:vault" },
		{ "an Allow opens it", 1, BERM_INGRESS, "192.0.2.1", TCP, 443, YES, "vault/p:let" },
		{ "a baseline comes before", 1, BERM_INGRESS, "192.0.2.1", TCP, 22, YES,
		  "berm-system/b:ssh" },
		{ "DNS", 1, BERM_EGRESS, "10.0.0.53", UDP, 53, YES, "" },
		{ "elsewhere it is open", 2, BERM_INGRESS, "192.0.2.1", TCP, 80, YES, "" },
	};
	struct berm_model m = { 0 };
	struct berm_plan *plan;
	struct berm_policy *p;

	objects_namespace(&m, "vault", "berm.dev/default-verdict=deny");
	objects_pod(&m, "vault/db", "app=db", "10.0.0.1");
	objects_pod(&m, "shop/db", "app=db", "10.0.0.2");
	objects_pod(&m, "kube-system/coredns", "k8s-app=kube-dns", "10.0.0.53");
	objects_endpoint(&m, 1, "vault/db");
	objects_endpoint(&m, 2, "shop/db");
	rule_for(objects_policy(&m, BERM_KIND_SEGMENTATION, "vault/p", ""), ALLOW, "let",
		 "tcp:443");
	p = objects_policy(&m, BERM_KIND_SEGMENTATION, "berm-system/b", "");
	p->tier = BERM_TIER_BASELINE;
	rule_for(p, ALLOW, "ssh", "tcp:22");
	plan = compile(&m);
	expect_all(&m, plan, asks);
	berm_plan_free(plan);
	berm_model_clear(&m);
}

/* ---- who owns an address ------------------------------------------------------------------------------------------ */

TEST(address_owners, "an address belongs to who has it now: node, CNI, then the latest live pod")
{
	static const struct ask asks[] = {
		{ "the older claim", 1, BERM_INGRESS, "10.0.0.10", TCP, 1, NO, NULL },
		{ "the later claim", 1, BERM_INGRESS, "10.0.0.10", TCP, 2, YES, NULL },
		{ "a finished pod", 1, BERM_INGRESS, "10.0.0.11", TCP, 1, NO, NULL },
		{ "host network", 1, BERM_INGRESS, "10.0.0.12", TCP, 1, NO, NULL },
		{ "the node's own", 1, BERM_INGRESS, "10.0.0.13", TCP, 1, NO, NULL },
		{ "CNI gave it to another", 1, BERM_INGRESS, "10.0.0.14", TCP, 1, NO, NULL },
		{ "CNI gave it to somebody unknown", 1, BERM_INGRESS, "10.0.0.15", TCP, 1, NO,
		  NULL },
		{ "control", 1, BERM_INGRESS, "10.0.0.16", TCP, 1, YES, NULL },
	};
	struct berm_local_endpoint unknown = {
		.slot = 9, .ifindex = 9, .ns = "shop", .pod = "new", .addr_count = 1
	};
	struct berm_model m = { 0 };
	struct berm_policy_rule *r;
	struct berm_policy *p;
	struct berm_plan *plan;

	objects_pod(&m, "shop/db", "app=db", "10.0.0.1");
	objects_endpoint(&m, 1, "shop/db");
	objects_pod(&m, "shop/older", "app=old", "10.0.0.10")->created = 100;
	objects_pod(&m, "shop/later", "app=new", "10.0.0.10")->created = 200;
	objects_pod(&m, "shop/job", "app=old", "10.0.0.11")->finished = true;
	objects_pod(&m, "shop/host", "app=old", "10.0.0.12")->host_network = true;
	objects_pod(&m, "shop/liar", "app=old", "10.0.0.13");
	objects_pod(&m, "shop/stale", "app=old", "10.0.0.14");
	objects_pod(&m, "shop/local", "app=x", "10.0.0.14");
	objects_endpoint(&m, 2, "shop/local");
	objects_pod(&m, "shop/stale-2", "app=old", "10.0.0.15");
	unknown.addr[0] = objects_addr("10.0.0.15");
	ASSERT_EQ(berm_model_put_endpoint(&m, &unknown), 0);
	objects_pod(&m, "shop/plain", "app=old", "10.0.0.16");
	objects_node_addrs(&m, "10.0.0.13");
	p = objects_policy(&m, BERM_KIND_NETWORK, "shop/p", "app=db");
	p->isolate = IN;
	r = objects_rule(p, BERM_INGRESS, ALLOW, "old");
	objects_peer_pods(r, NULL, "app=old");
	objects_port(r, "tcp:1");
	r = objects_rule(p, BERM_INGRESS, ALLOW, "new");
	objects_peer_pods(r, NULL, "app=new");
	objects_port(r, "tcp:2");
	plan = compile(&m);
	expect_all(&m, plan, asks);
	EXPECT_EQ(plan->endpoint_count, 3);
	EXPECT_EQ(plan->endpoint[0].judged, 1);
	EXPECT_EQ(plan->endpoint[2].slot, 9);
	EXPECT_EQ(plan->endpoint[2].judged, 0);
	berm_plan_free(plan);
	berm_model_clear(&m);
}

/* May an address pass a table of allowed sources? Blind to families, as the kernel's trie. */
static bool is_source(const struct berm_plan *plan, const char *addr)
{
	const struct berm_plan_table *t = &plan->table[plan->endpoint[0].allowed_table];
	struct berm_addr a = objects_addr(addr);

	for (size_t i = 0; i < t->prefix_count; i++) {
		const struct berm_plan_prefix *p = &t->prefix[i];
		unsigned int bit = 0;

		while (bit < p->bits &&
		       !((((uint8_t *)&a)[bit / 8] ^ ((const uint8_t *)&p->addr)[bit / 8]) &
			 0x80 >> bit % 8))
			bit++;
		if (bit == p->bits)
			return true;
	}
	return false;
}

TEST(allowed_sources, "further source addresses of a pod: a table of its own, the families apart")
{
	struct berm_model m = { 0 };
	struct berm_plan *plan;
	struct berm_pod *pod = objects_pod(&m, "shop/router", "", "10.0.0.1");

	objects_endpoint(&m, 1, "shop/router");
	plan = compile(&m);
	EXPECT_EQ(plan->endpoint[0].allowed_table, UINT32_MAX);
	berm_plan_free(plan);

	pod->allowed = calloc(2, sizeof(*pod->allowed));
	ASSERT_TRUE(pod->allowed);
	pod->allowed[0] = objects_cidr("::/0");
	pod->allowed[1] = objects_cidr("192.0.2.0/24");
	pod->allowed_count = 2;
	plan = compile(&m);
	ASSERT_NE(plan->endpoint[0].allowed_table, UINT32_MAX);
	EXPECT_TRUE(is_source(plan, "2001:db8::1"));
	EXPECT_TRUE(is_source(plan, "::1"));
	EXPECT_TRUE(is_source(plan, "::fffe:0:1"));
	EXPECT_TRUE(is_source(plan, "192.0.2.77"));
	EXPECT_FALSE(is_source(plan, "192.0.3.1"));
	EXPECT_FALSE(is_source(plan, "10.0.0.9"));
	berm_plan_free(plan);
	berm_model_clear(&m);
}

/* ---- from text ------------------------------------------------------------------------------------------------------- */

static const char shop[] =
	"kind: Pod\nmetadata: {name: db, namespace: shop, labels: {app: db}}\n"
	"status: {podIPs: [{ip: 10.0.0.1}]}\n---\n"
	"kind: Pod\nmetadata: {name: web, namespace: shop, labels: {app: web}, creationTimestamp: 2026-01-02T03:04:05Z}\n"
	"status: {podIP: 10.0.0.11}\n---\n"
	"kind: Pod\nmetadata: {name: job, namespace: shop, labels: {app: job}, creationTimestamp: 2025-01-02T03:04:05Z}\n"
	"status: {podIP: 10.0.0.11}\n---\n"
	"kind: NetworkPolicy\napiVersion: networking.k8s.io/v1\nmetadata: {name: db, namespace: shop}\n"
	"spec:\n  podSelector: {matchLabels: {app: db}}\n  ingress:\n"
	"  - from: [{podSelector: {matchLabels: {app: web}}}]\n    ports: [{port: 5432}]\n---\n"
	"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: o, namespace: shop, labels: {berm.dev/policy: v1}}\n"
	"data:\n  policy.yaml: |\n    kind: SegmentationPolicy\n    name: office\n"
	"    subject: {podSelector: {matchLabels: {app: db}}}\n    isolate: [Ingress]\n    ingress:\n"
	"    - name: backup\n      action: Allow\n      from: [{ipBlock: {cidr: 10.20.0.0/16, except: [10.20.9.0/24]}}]\n"
	"      ports: [{port: 22}]\n---\n"
	"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: q, namespace: berm-system, labels: {berm.dev/policy: v1}}\n"
	"data:\n  policy.yaml: |\n    kind: SegmentationPolicy\n    name: quarantine\n    tier: emergency\n"
	"    ingress:\n    - {name: sick, action: Deny, from: [{podSelector: {matchLabels: {quarantine: \"yes\"}}}]}\n";

static void put_objects(struct berm_model *m, struct berm_objects *objects)
{
	for (size_t i = 0; i < objects->count; i++) {
		struct berm_object *o = &objects->item[i];

		ASSERT_FALSE(o->broken);
		if (o->pod)
			ASSERT_EQ(berm_model_put_pod(m, o->pod), 0);
		if (o->policy)
			ASSERT_EQ(berm_model_put_policy(m, o->policy), 0);
		o->pod = NULL;
		o->policy = NULL;
	}
}

TEST(from_text,
     "documents as users write them, through the parser: the example of docs/compiler.md")
{
	static const struct ask asks[] = {
		{ "a NetworkPolicy", 1, BERM_INGRESS, "10.0.0.11", TCP, 5432, YES,
		  "networkpolicy shop/db:#0" },
		{ "and its port", 1, BERM_INGRESS, "10.0.0.11", TCP, 22, NO,
		  "default-deny:shop/office,shop/db" },
		{ "a block", 1, BERM_INGRESS, "10.20.1.1", TCP, 22, YES,
		  "application shop/office:backup" },
		{ "and its except", 1, BERM_INGRESS, "10.20.9.1", TCP, 22, NO, "default-deny" },
		{ "the emergency tier", 1, BERM_INGRESS, "10.0.0.12", TCP, 5432, NO,
		  "emergency berm-system/quarantine:sick" },
		{ "not the way out", 1, BERM_EGRESS, "10.0.0.12", TCP, 5432, YES, "" },
	};
	struct berm_problems problems = { 0 };
	struct berm_objects objects = { 0 };
	struct berm_model m = { 0 };
	struct berm_err err = { 0 };
	struct berm_plan *plan;

	ASSERT_OK(berm_document_parse("shop.yaml", shop, strlen(shop), &objects, &problems, &err),
		  &err);
	EXPECT_EQ(problems.count, 0);
	EXPECT_EQ(objects.count, 6);
	put_objects(&m, &objects);
	objects_pod(&m, "shop/web-2", "app=web quarantine=yes", "10.0.0.12");
	objects_endpoint(&m, 1, "shop/db");
	plan = compile(&m);
	expect_all(&m, plan, asks);
	EXPECT_EQ(plan->class_count, 5);
	EXPECT_EQ(plan->set[plan->endpoint[0].set[BERM_INGRESS]].nrows, 4);
	EXPECT_EQ(plan->set[plan->endpoint[0].set[BERM_INGRESS]].ncols, 3);
	berm_plan_free(plan);
	berm_objects_clear(&objects);
	berm_problems_clear(&problems);
	berm_model_clear(&m);
}

/* ---- what an update changes ---------------------------------------------------------------------------------------- */

/* shop/db admits app=web on 5432; shop/web-1 and -2 have the label. */
static void small_shop(struct berm_model *m)
{
	struct berm_policy *p;
	struct berm_policy_rule *r;

	objects_namespace(m, "shop", "");
	objects_pod(m, "shop/db-1", "app=db", "10.0.0.1");
	objects_pod(m, "shop/db-2", "app=db", "10.0.0.2");
	objects_pod(m, "shop/web-1", "app=web", "10.0.0.11");
	objects_pod(m, "shop/web-2", "app=web", "10.0.0.12");
	objects_endpoint(m, 1, "shop/db-1");
	objects_endpoint(m, 2, "shop/db-2");
	p = objects_policy(m, BERM_KIND_NETWORK, "shop/db", "app=db");
	p->isolate = IN;
	r = objects_rule(p, BERM_INGRESS, ALLOW, "web");
	objects_peer_pods(r, NULL, "app=web");
	objects_port(r, "tcp:5432");
}

TEST(shared_sets, "endpoints with the same policies share a set")
{
	struct berm_model m = { 0 };
	struct berm_plan *plan;

	small_shop(&m);
	plan = compile(&m);
	EXPECT_EQ(plan->set_count, 2); /* theirs and the essentials */
	EXPECT_EQ(plan->endpoint[0].set[BERM_INGRESS], plan->endpoint[1].set[BERM_INGRESS]);
	EXPECT_EQ(plan->endpoint[0].set[BERM_EGRESS], UINT32_MAX);
	berm_plan_free(plan);
	berm_model_clear(&m);
}

TEST(label_change,
     "a pod that changes its labels changes its class and nothing else [update.label_change]")
{
	static const struct ask before[] = {
		{ "allowed", 1, BERM_INGRESS, "10.0.0.12", TCP, 5432, YES, "shop/db:web" },
		{ "the other one", 1, BERM_INGRESS, "10.0.0.11", TCP, 5432, YES, "shop/db:web" },
	};
	static const struct ask after[] = {
		{ "no more", 1, BERM_INGRESS, "10.0.0.12", TCP, 5432, NO, "default-deny:shop/db" },
		{ "the other one still", 1, BERM_INGRESS, "10.0.0.11", TCP, 5432, YES,
		  "shop/db:web" },
	};
	struct berm_model m = { 0 };
	struct berm_plan *plan, *next;

	small_shop(&m);
	plan = compile(&m);
	expect_all(&m, plan, before);
	objects_pod(&m, "shop/web-2", "app=old", "10.0.0.12");
	next = compile(&m);
	expect_all(&m, next, after);
	ASSERT_EQ(next->set_count, plan->set_count);
	for (size_t i = 0; i < plan->set_count; i++)
		EXPECT_MEM_EQ(&next->set[i].id, &plan->set[i].id, sizeof(plan->set[i].id));
	berm_plan_free(plan);
	berm_plan_free(next);
	berm_model_clear(&m);
}

TEST(endpoint_label_change,
     "a pod that changes its own labels changes its set [update.label_change]")
{
	struct berm_model m = { 0 };
	struct berm_plan *plan;

	small_shop(&m);
	objects_pod(&m, "shop/db-1", "app=free", "10.0.0.1");
	plan = compile(&m);
	EXPECT_EQ(plan->endpoint[0].set[BERM_INGRESS], UINT32_MAX);
	EXPECT_NE(plan->endpoint[1].set[BERM_INGRESS], UINT32_MAX); /* control */
	berm_plan_free(plan);
	berm_model_clear(&m);
}

TEST(delete_last, "deleting the last policy opens the pod again [update.delete_last]")
{
	struct berm_model m = { 0 };
	struct berm_plan *plan;

	small_shop(&m);
	isolate(&m, "shop/all", "", IN | OUT);
	plan = compile(&m);
	expect(&m, plan,
	       &(struct ask){ "", 1, BERM_EGRESS, "192.0.2.1", TCP, 80, NO,
			      "default-deny:shop/all" });
	ASSERT_EQ(plan->ns_count, 1);
	EXPECT_EQ(plan->ns[0].dirs, IN | OUT);
	berm_plan_free(plan);

	ASSERT_EQ(berm_model_remove_policy(&m, BERM_KIND_NETWORK, "shop", "all"), 0);
	plan = compile(&m);
	expect(&m, plan, &(struct ask){ "", 1, BERM_EGRESS, "192.0.2.1", TCP, 80, YES, "" });
	expect(&m, plan,
	       &(struct ask){ "", 1, BERM_INGRESS, "192.0.2.1", TCP, 80, NO,
			      "default-deny:shop/db" });
	EXPECT_EQ(plan->ns[0].dirs, IN);
	berm_plan_free(plan);

	ASSERT_EQ(berm_model_remove_policy(&m, BERM_KIND_NETWORK, "shop", "db"), 0);
	plan = compile(&m);
	expect(&m, plan, &(struct ask){ "", 1, BERM_INGRESS, "192.0.2.1", TCP, 80, YES, "" });
	EXPECT_EQ(plan->endpoint[0].set[BERM_INGRESS], UINT32_MAX);
	EXPECT_EQ(plan->endpoint[0].flags, 0);
	EXPECT_EQ(plan->ns_count, 0);
	berm_plan_free(plan);
	berm_model_clear(&m);
}

/* id of the set of slot 1 and of the rule that lets 10.0.0.11 in */
static void identities(const struct berm_model *m, struct berm_digest *set, uint32_t *rule)
{
	struct berm_plan *plan = compile(m);

	*set = plan->set[plan->endpoint[0].set[BERM_INGRESS]].id;
	for (size_t i = 0; i < plan->rule_count; i++)
		if (!strcmp(plan->rule[i].name.policy, "db"))
			*rule = plan->rule[i].name.id;
	berm_plan_free(plan);
}

TEST(stable_ids,
     "what has nothing to do with a set leaves its id alone; a rule keeps its id when it is edited")
{
	struct berm_model m = { 0 };
	struct berm_digest before, now;
	struct berm_policy *p;
	uint32_t rule_before = 0, rule_now = 0;

	small_shop(&m);
	identities(&m, &before, &rule_before);
	EXPECT_GE(rule_before, BERM_RULE_FIRST);
	objects_pod(&m, "another/pod", "app=web", "10.0.0.99");
	objects_endpoint(&m, 3, "another/pod");
	p = objects_policy(&m, BERM_KIND_NETWORK, "another/p", "");
	p->isolate = IN;
	rule_for(p, ALLOW, "ports", "tcp:5000-5500"); /* cuts the other's ports, too */
	objects_peer_block(objects_rule(p, BERM_INGRESS, ALLOW, "net"), "10.0.0.0/28", NULL);
	identities(&m, &now, &rule_now);
	EXPECT_MEM_EQ(&now, &before, sizeof(now));
	EXPECT_EQ(rule_now, rule_before);

	p = (struct berm_policy *)m.policies[m.policy_count - 1];
	ASSERT_EQ(strcmp(p->name, "db"), 0);
	objects_port(&p->rule[0], "tcp:5433");
	identities(&m, &now, &rule_now);
	EXPECT_TRUE(memcmp(&now, &before, sizeof(now)));
	EXPECT_EQ(rule_now, rule_before);
	berm_model_clear(&m);
}

/* The same objects in another order. */
static void shuffled(struct berm_model *m, bool backwards)
{
	for (int i = 0; i < 20; i++) {
		int n = backwards ? 19 - i : i;
		char name[32], labels[64], addr[64];
		struct berm_policy_rule *r;
		struct berm_policy *p;

		snprintf(name, sizeof(name), "ns%d/pod%d", n % 4, n);
		snprintf(labels, sizeof(labels), "a=%d b=%d", n % 3, n % 5);
		snprintf(addr, sizeof(addr), "10.0.0.%d fd00::%d", n, n);
		objects_container_port(objects_pod(m, name, labels, addr),
				       n % 2 ? "http=tcp:80" : "http=tcp:81");
		snprintf(name, sizeof(name), "ns%d/policy%d", n % 4, n);
		snprintf(labels, sizeof(labels), "a=%d", n % 3);
		p = objects_policy(m, n % 2 ? BERM_KIND_NETWORK : BERM_KIND_SEGMENTATION, name,
				   n % 3 ? labels : "");
		p->isolate = IN | OUT;
		r = objects_rule(p, BERM_EGRESS, ALLOW, NULL);
		objects_peer_pods(r, n % 2 ? NULL : "", labels);
		objects_peer_block(r, n % 3 ? "10.0.0.8/29" : "fd00::/124", NULL);
		objects_port(r, "tcp:http");
		rule_for(p, ALLOW, NULL, n % 2 ? "tcp:80" : "udp:1-99");
	}
	for (uint32_t i = 0; i < 6; i++) {
		const struct berm_pod *pod = m->pods[i * 3];
		char name[64];

		snprintf(name, sizeof(name), "%s/%s", pod->ns, pod->name);
		objects_endpoint(m, i + 1, name);
	}
}

TEST(determinism, "the same objects in any order give the same plan, byte for byte")
{
	struct berm_model a = { 0 }, b = { 0 };
	struct berm_plan *one, *two;
	size_t size_one, size_two;
	char *bytes_one, *bytes_two;

	shuffled(&a, false);
	shuffled(&b, true);
	one = compile(&a);
	two = compile(&b);
	bytes_one = interpret_dump(one, &size_one);
	bytes_two = interpret_dump(two, &size_two);
	ASSERT_EQ(size_one, size_two);
	EXPECT_FALSE(memcmp(bytes_one, bytes_two, size_one));
	EXPECT_GT(one->set_count, 4); /* it is a plan that could differ */
	EXPECT_GT(one->table_count, 1);
	free(bytes_one);
	free(bytes_two);
	berm_plan_free(one);
	berm_plan_free(two);
	berm_model_clear(&a);
	berm_model_clear(&b);
}

TEST(names,
     "every isolating policy is named; a list too long for its name has an id of its own all the same")
{
	struct berm_model m = { 0 };
	uint32_t first = 0, second = 0;

	objects_pod(&m, "shop/db", "app=db", "10.0.0.1");
	objects_endpoint(&m, 1, "shop/db");
	for (int i = 0; i < 60; i++) {
		char name[64];

		snprintf(name, sizeof(name), "shop/a-rather-long-name-%02d", i);
		isolate(&m, name, "", IN);
	}
	for (int round = 0; round < 2; round++) {
		struct berm_plan *plan = compile(&m);

		for (size_t i = 0; i < plan->rule_count; i++)
			if (plan->rule[i].name.reason == BERM_REASON_DEFAULT_DENY)
				*(round ? &second : &first) = plan->rule[i].name.id;
		berm_plan_free(plan);
		if (!round)
			ASSERT_EQ(berm_model_remove_policy(&m, BERM_KIND_NETWORK, "shop",
							   "a-rather-long-name-59"),
				  0);
	}
	EXPECT_GE(first, BERM_RULE_FIRST);
	EXPECT_GE(second, BERM_RULE_FIRST);
	EXPECT_NE(first, second);
	berm_model_clear(&m);
}

/* ---- limits ---------------------------------------------------------------------------------------------------------- */

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void blocks(struct berm_policy_rule *r, unsigned int first, unsigned int count)
{
	for (unsigned int i = first; i < first + count; i++) {
		char cidr[32];

		snprintf(cidr, sizeof(cidr), "172.%u.%u.%u/32", 16 + (i >> 16), i >> 8 & 255,
			 i & 255);
		objects_peer_block(r, cidr, NULL);
	}
}

TEST(limit_prefixes,
     "a document with too many CIDRs is left out and isolates; its neighbours are enforced")
{
	static const struct ask asks[] = {
		{ "neighbour's allow", 1, BERM_INGRESS, "10.0.0.11", TCP, 5432, YES,
		  "shop/db:web" },
		{ "neighbour's deny", 1, BERM_INGRESS, "10.0.0.11", TCP, 80, NO,
		  "default-deny:shop/db,shop/huge" },
		{ "what it would allow", 1, BERM_INGRESS, "172.16.0.1", TCP, 80, NO,
		  "default-deny:shop/db,shop/huge" },
		{ "and also the other way", 1, BERM_EGRESS, "192.0.2.1", TCP, 80, NO,
		  "default-deny:shop/huge" },
	};
	struct berm_problems problems = { 0 };
	struct berm_model m = { 0 };
	struct berm_plan *plan;
	struct berm_policy *p;

	small_shop(&m);
	p = objects_policy(&m, BERM_KIND_NETWORK, "shop/huge", "app=db");
	p->isolate = IN | OUT;
	blocks(objects_rule(p, BERM_INGRESS, ALLOW, "blocks"), 0, 17000);
	plan = compile_with(&m, &problems);
	expect_all(&m, plan, asks);
	ASSERT_EQ(problems.count, 1);
	EXPECT_STR_HAS(problems.item[0].document, "NetworkPolicy shop/huge");
	EXPECT_STR_HAS(problems.item[0].message, "16,384 CIDR prefixes");
	berm_plan_free(plan);
	berm_problems_clear(&problems);
	berm_model_clear(&m);
}

TEST(limit_noisy,
     "hundreds of documents with too many rows and ports cost a second, and no neighbour")
{
	struct berm_problems problems = { 0 };
	struct berm_model m = { 0 };
	struct berm_plan *plan;
	double begin, took;

	small_shop(&m);
	for (unsigned int i = 0; i < 600; i++) {
		struct berm_policy_rule *r;
		struct berm_policy *p;
		char text[64];

		snprintf(text, sizeof(text), "shop/noise-%03u", i);
		p = objects_policy(&m, BERM_KIND_SEGMENTATION, text, "");
		r = objects_rule(p, BERM_INGRESS, ALLOW, NULL);
		blocks(r, i * 4, 4);
		snprintf(text, sizeof(text), "tcp:%u", 10000 + i * 2);
		objects_port(r, text);
	}
	begin = now_ms();
	plan = compile_with(&m, &problems);
	took = now_ms() - begin;
	expect(&m, plan,
	       &(struct ask){ "", 1, BERM_INGRESS, "10.0.0.11", TCP, 5432, YES, "shop/db:web" });
	expect(&m, plan,
	       &(struct ask){ "", 1, BERM_INGRESS, "10.0.0.12", TCP, 80, NO, "default-deny:" });
	EXPECT_GT(problems.count, 300);
	EXPECT_LT(problems.count, 601);
	EXPECT_LT(took, 10000); /* also under a sanitizer on a busy machine */
	printf("# %zu documents refused in %.0f ms\n", problems.count, took);
	berm_plan_free(plan);
	berm_problems_clear(&problems);
	berm_model_clear(&m);
}

/* ---- nothing ------------------------------------------------------------------------------------------------------------- */

TEST(empty, "an empty model is a plan, too")
{
	struct berm_model m = { 0 };
	struct berm_plan *plan = compile(&m);

	EXPECT_EQ(plan->class_count, 2);
	EXPECT_EQ(plan->peer_count, 0);
	EXPECT_EQ(plan->endpoint_count, 0);
	EXPECT_EQ(plan->ns_count, 0);
	EXPECT_EQ(plan->set_count, 1);
	EXPECT_EQ(plan->essentials, 0);
	berm_plan_free(plan);
	berm_plan_free(NULL);
	berm_model_clear(&m);
}

TEST(isolated_namespaces,
     "the namespaces in which somebody isolates, for pods that nobody has judged yet")
{
	struct berm_model m = { 0 };
	struct berm_policy *p;
	struct berm_plan *plan;

	objects_namespace(&m, "a", "env=prod");
	objects_namespace(&m, "b", "env=test");
	objects_namespace(&m, "c", "env=test berm.dev/default-verdict=deny");
	isolate(&m, "a/np", "app=db", IN);
	p = objects_policy(&m, BERM_KIND_SEGMENTATION, "berm-system/all", "");
	objects_subject_namespaces(p, "env=prod");
	p->isolate = OUT;
	objects_policy(&m, BERM_KIND_SEGMENTATION, "b/off", "")->disabled = true;
	plan = compile(&m);
	ASSERT_EQ(plan->ns_count, 2);
	EXPECT_STR_EQ(plan->ns[0].name, "a");
	EXPECT_EQ(plan->ns[0].dirs, IN | OUT);
	EXPECT_STR_EQ(plan->ns[1].name, "c");
	EXPECT_EQ(plan->ns[1].dirs, IN | OUT);
	berm_plan_free(plan);
	berm_model_clear(&m);
}
