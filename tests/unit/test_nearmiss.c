// SPDX-License-Identifier: Apache-2.0
/* test_nearmiss.c - what is said to be missing, and which rules are said to be near. */
#include <stdlib.h>

#include "nearmiss.h"
#include "objects.h"
#include "test.h"

static struct berm_policy_rule *rule(struct berm_policy *p, const char *name, const char *port)
{
	struct berm_policy_rule *r = objects_rule(p, BERM_INGRESS, BERM_RULE_ALLOW, name);

	if (port)
		objects_port(r, port);
	return r;
}

static struct berm_policy *shop(struct berm_model *m)
{
	objects_namespace(m, "shop", "env=prod");
	objects_namespace(m, "other", "env=test");
	objects_container_port(objects_pod(m, "shop/db", "app=db", "10.0.0.3"), "sql=tcp:5432");
	objects_pod(m, "shop/web", "app=web tier=front", "10.0.0.11");
	objects_pod(m, "other/spy", "app=spy", "10.0.0.66");
	return objects_policy(m, BERM_KIND_SEGMENTATION, "shop/db-in", "app=db");
}

static struct berm_miss_question from(const struct berm_model *m, const char *ns, const char *name,
				      uint16_t port)
{
	struct berm_miss_question q = {
		.dir = BERM_INGRESS,
		.pod = berm_model_pod(m, "shop", "db"),
		.peer = ns ? berm_model_pod(m, ns, name) : NULL,
		.peer_addr = objects_addr("198.51.100.7"),
		.plane = BERM_PLANE_TCP,
		.port = port,
	};

	if (q.peer)
		q.peer_addr = q.peer->addr[0];
	return q;
}

static void expect_text(struct berm_model *m, const struct berm_miss_question *q, const char *text)
{
	struct berm_miss miss[BERM_MISSES];
	unsigned int count = berm_near_misses(m, q, miss);

	ASSERT_GE(count, 1u);
	EXPECT_STR_EQ(miss[0].text, text);
	berm_model_clear(m);
}

TEST(label, "a label that has another value")
{
	struct berm_model m = { 0 };
	struct berm_miss_question q;

	objects_peer_pods(rule(shop(&m), "web", "tcp:5432"), NULL, "app=api");
	q = from(&m, "shop", "web", 5432);
	expect_text(&m, &q, "if the peer's label app were api (it is web)");
}

TEST(no_label, "a label that is not there, one that should not be")
{
	struct berm_model m = { 0 };
	struct berm_miss_question q;

	objects_peer_pods(rule(shop(&m), "web", NULL), NULL, "role=a|b !tier");
	q = from(&m, "shop", "web", 5432);
	expect_text(&m, &q,
		    "if the peer had the label role=a|b (it has no role) and the peer had no label tier=front");
}

TEST(namespaces, "a namespace's label, and the policy's own namespace")
{
	struct berm_model m = { 0 };
	struct berm_miss_question q;

	objects_peer_pods(rule(shop(&m), "prod", NULL), "env=prod", NULL);
	q = from(&m, "other", "spy", 5432);
	expect_text(&m, &q, "if the peer's namespace's label env were prod (it is test)");
	objects_peer_pods(rule(shop(&m), "own", NULL), NULL, "app=spy");
	q = from(&m, "other", "spy", 5432);
	expect_text(&m, &q, "if the peer were in namespace shop (it is in other)");
}

TEST(blocks, "an address outside of a block, and in its except")
{
	struct berm_model m = { 0 };
	struct berm_miss_question q;

	objects_peer_block(rule(shop(&m), "office", NULL), "192.0.2.0/24", NULL);
	q = from(&m, NULL, NULL, 5432);
	expect_text(&m, &q, "if 198.51.100.7 were in 192.0.2.0/24");
	objects_peer_block(rule(shop(&m), "office", NULL), "198.51.0.0/16", "198.51.100.0/24");
	q = from(&m, NULL, NULL, 5432);
	expect_text(&m, &q, "if 198.51.100.7 were not in the except 198.51.100.0/24");
}

TEST(ports, "a port, a range, a named port of the destination")
{
	struct berm_model m = { 0 };
	struct berm_miss_question q;

	objects_peer_pods(rule(shop(&m), "web", "tcp:80-90"), NULL, "app=web");
	q = from(&m, "shop", "web", 5432);
	expect_text(&m, &q, "if the port were TCP 80-90");
	objects_peer_pods(rule(shop(&m), "web", "tcp:sql"), NULL, "app=web");
	q = from(&m, "shop", "web", 80);
	expect_text(&m, &q, "if the port were TCP 'sql'");
	objects_peer_pods(rule(shop(&m), "web", "tcp:sql"), NULL, "app=api");
	q = from(&m, "shop", "web", 5432); /* what sql is there: only the label is missing */
	expect_text(&m, &q, "if the peer's label app were api (it is web)");
}

TEST(order,
     "the nearest first, three at most; who matches, denies, or is for others is none of them")
{
	struct berm_model m = { 0 };
	struct berm_policy *p = shop(&m);
	struct berm_miss miss[BERM_MISSES];
	struct berm_miss_question q;

	objects_peer_pods(rule(p, "far", "tcp:1"), NULL, "app=x role=y");
	objects_peer_pods(rule(p, "near", "tcp:5432"), NULL, "app=x");
	objects_peer_pods(rule(p, "nearer-too", "tcp:5432"), NULL, "app=z");
	objects_peer_pods(rule(p, "middle", "tcp:1"), NULL, "app=x");
	objects_peer_pods(rule(p, "matches", "tcp:5432"), NULL, "app=web");
	objects_peer_pods(objects_rule(p, BERM_INGRESS, BERM_RULE_DENY, "denies"), NULL, "app=x");
	objects_peer_pods(objects_rule(p, BERM_EGRESS, BERM_RULE_ALLOW, "out"), NULL, "app=x");
	p = objects_policy(&m, BERM_KIND_SEGMENTATION, "shop/others", "app=api");
	objects_peer_pods(rule(p, "others", "tcp:5432"), NULL, "app=x");
	q = from(&m, "shop", "web", 5432);
	ASSERT_EQ(berm_near_misses(&m, &q, miss), 3u);
	EXPECT_STR_EQ(miss[0].rule->name, "near");
	EXPECT_STR_EQ(miss[1].rule->name, "nearer-too");
	EXPECT_STR_EQ(miss[2].rule->name, "middle");
	berm_model_clear(&m);
}

static const char *first_text(const struct berm_model *m, const struct berm_miss_question *q)
{
	static struct berm_miss miss[BERM_MISSES];

	return berm_near_misses(m, q, miss) ? miss[0].text : "";
}

/* 1800000000 is 2027-01-15T08:00:00Z, a Friday. */
TEST(schedule,
     "a rule that is shut by its schedule, or by that of its document, and what else it lacks")
{
	static const struct berm_window monday = { 1, 0, BERM_DAY_S, 0 },
					today = { 1 << 4, 0, BERM_DAY_S, 0 };
	struct berm_model m = { .now_s = 1800000000 };
	struct berm_policy *p = shop(&m), written = *p;
	struct berm_miss_question q;

	/* the written one has the rule, the effective one none: both are this test's */
	objects_peer_pods(rule(&written, "web", "tcp:5432"), NULL, "app=web");
	ASSERT_EQ(berm_schedule_make(&monday, 1, &written.rule[0].schedule), 0);
	ASSERT_EQ(berm_schedule_make(&today, 1, &written.schedule), 0);
	p->written = &written;
	q = from(&m, "shop", "web", 5432);
	EXPECT_STR_EQ(first_text(&m, &q),
		      "if its schedule were open (it opens at 2027-01-18T00:00:00Z)");
	q = from(&m, "shop", "web", 80);
	EXPECT_STR_EQ(first_text(&m, &q),
		      "if the port were TCP 5432 and its schedule were open (it opens at 2027-01-18T00:00:00Z)");
	m.now_s += 3 * 86400; /* the rule would be there, the document is not */
	q = from(&m, "shop", "web", 5432);
	EXPECT_STR_EQ(first_text(&m, &q),
		      "if its schedule were open (it opens at 2027-01-22T00:00:00Z)");
	written.rule[0].expires = m.now_s;
	EXPECT_STR_EQ(first_text(&m, &q), "");
	p->written = NULL;
	berm_policy_cut_rules(&written, 0);
	free(written.rule);
	berm_schedule_clear(&written.schedule);
	berm_model_clear(&m);
}
