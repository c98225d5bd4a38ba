// SPDX-License-Identifier: Apache-2.0
/*
 * test_compile_inherit.c - renewed compilations in places where random worlds seldom are: documents over a limit, selectors
 * about everybody, blocks with many excepts, everything at once. Each must be what a compilation from nothing makes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "compile.h"
#include "interpret.h"
#include "objects.h"
#include "test.h"

#define PODS 200

static struct berm_compiled *kept;
static struct berm_problems problems;

static void make_pods(struct berm_model *m)
{
	char name[64], labels[64], addrs[64];

	for (unsigned int i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "team-%u", i);
		objects_namespace(m, name, i % 2 ? "env=prod" : "env=test");
	}
	for (unsigned int i = 0; i < PODS; i++) {
		snprintf(name, sizeof(name), "team-%u/pod-%u", i % 4, i);
		snprintf(labels, sizeof(labels), "app=a%u", i % 7);
		snprintf(addrs, sizeof(addrs), "10.0.%u.%u fd00::%x", i % 3, i, i + 1);
		objects_container_port(objects_pod(m, name, labels, addrs), "http=tcp:80");
		if (i < 8)
			objects_endpoint(m, i + 1, name);
	}
}

static struct berm_policy_rule *rule(struct berm_model *m, const char *name, uint8_t dir)
{
	struct berm_policy *p = objects_policy(m, BERM_KIND_SEGMENTATION, name, "");

	p->isolate = (uint8_t)(1 << dir);
	return objects_rule(p, dir, BERM_RULE_ALLOW, "r");
}

/* Byte for byte, and with the same problems. */
static void expect_same(struct berm_model *m)
{
	struct berm_problems again = { 0 };
	struct berm_plan *anew = NULL;
	struct berm_err err = { 0 };
	size_t size, kept_size;
	char *bytes, *kept_bytes;

	berm_problems_clear(&problems);
	if (!kept)
		ASSERT_OK(berm_compile_kept(m, &kept, &problems, &err), &err);
	else
		ASSERT_OK(berm_compiled_renew(&kept, &m->changes, &problems, &err), &err);
	berm_model_changes_clear(m);
	ASSERT_OK(berm_compile(m, &anew, &again, &err), &err);
	bytes = interpret_dump(anew, &size);
	kept_bytes = interpret_dump(berm_compiled_plan(kept), &kept_size);
	ASSERT_EQ(size, kept_size);
	EXPECT_TRUE(!memcmp(bytes, kept_bytes, size));
	ASSERT_EQ(problems.count, again.count);
	for (size_t i = 0; i < again.count; i++)
		EXPECT_STR_EQ(problems.item[i].message, again.item[i].message);
	free(bytes);
	free(kept_bytes);
	berm_problems_clear(&again);
	berm_plan_free(anew);
}

static void finish(struct berm_model *m)
{
	berm_problems_clear(&problems);
	berm_compiled_free(kept);
	kept = NULL;
	berm_model_clear(m);
}

static void put_blocks(struct berm_model *m, const char *name, unsigned int count)
{
	struct berm_policy_rule *r = rule(m, name, BERM_EGRESS);
	char cidr[32];

	for (unsigned int i = 0; i < count; i++) {
		snprintf(cidr, sizeof(cidr), "172.%u.%u.%u/32", 16 + (i >> 16), i >> 8 & 255,
			 i & 255);
		objects_peer_block(r, cidr, NULL);
	}
}

TEST(inherit_refused, "a document over a limit comes, and goes: others keep their classes")
{
	struct berm_model m = { 0 };

	make_pods(&m);
	objects_peer_pods(rule(&m, "team-0/small", BERM_INGRESS), NULL, "app=a1");
	expect_same(&m);
	EXPECT_EQ(problems.count, 0);
	put_blocks(&m, "team-0/huge", 16385);
	expect_same(&m);
	EXPECT_GT(problems.count, 0);
	objects_peer_pods(rule(&m, "team-0/small", BERM_INGRESS), NULL, "app=a2");
	expect_same(&m);
	EXPECT_GT(problems.count, 0);
	ASSERT_EQ(berm_model_remove_policy(&m, BERM_KIND_SEGMENTATION, "team-0", "huge"), 0);
	expect_same(&m);
	EXPECT_EQ(problems.count, 0);
	finish(&m);
}

TEST(inherit_everybody, "selectors about everybody, blocks around everything with many excepts")
{
	char excepts[PODS * 20] = "";
	struct berm_model m = { 0 };
	size_t used = 0;

	make_pods(&m);
	for (unsigned int i = 0; i < PODS / 2; i++)
		used += (size_t)snprintf(excepts + used, sizeof(excepts) - used, "10.0.%u.%u/32 ",
					 i % 3, i);
	objects_peer_pods(rule(&m, "team-1/some", BERM_INGRESS), NULL, "app=a1");
	expect_same(&m);
	objects_peer_pods(rule(&m, "team-1/everybody", BERM_INGRESS), "", NULL);
	expect_same(&m);
	objects_peer_block(rule(&m, "team-1/world", BERM_EGRESS), "0.0.0.0/0", excepts);
	expect_same(&m);
	objects_peer_block(rule(&m, "team-1/world", BERM_EGRESS), "::/0", NULL);
	expect_same(&m);
	objects_peer_block(rule(&m, "team-1/world", BERM_EGRESS), "0.0.0.0/0", "10.0.0.0/24");
	expect_same(&m);
	finish(&m);
}

TEST(inherit_names, "a named port is sought, by another plane, and by nobody any more")
{
	struct berm_model m = { 0 };
	struct berm_policy_rule *r;

	make_pods(&m);
	expect_same(&m);
	for (int i = 0; i < 4; i++) {
		r = rule(&m, "team-2/names", BERM_EGRESS);
		objects_peer_pods(r, "env=prod|test", i % 2 ? "app=a1" : NULL);
		objects_port(r, i == 2 ? "udp:http" : "tcp:http");
		expect_same(&m);
	}
	ASSERT_EQ(berm_model_remove_policy(&m, BERM_KIND_SEGMENTATION, "team-2", "names"), 0);
	expect_same(&m);
	finish(&m);
}

TEST(inherit_much, "a hundred policies at once, and none of them any more")
{
	struct berm_model m = { 0 };
	char name[64], label[32];

	make_pods(&m);
	expect_same(&m);
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "team-%u/p%u", i % 4, i);
		snprintf(label, sizeof(label), "app=a%u", i % 7);
		objects_peer_pods(rule(&m, name, i % 2), i % 3 ? NULL : "env=prod",
				  i % 5 ? label : NULL);
	}
	expect_same(&m);
	while (m.policy_count)
		ASSERT_EQ(berm_model_remove_policy(&m, m.policies[0]->kind, m.policies[0]->ns,
						   m.policies[0]->name),
			  0);
	expect_same(&m);
	finish(&m);
}

TEST(inherit_all, "a namespace's labels change: nothing is inherited")
{
	struct berm_model m = { 0 };

	make_pods(&m);
	objects_peer_pods(rule(&m, "team-0/prod", BERM_INGRESS), "env=prod", NULL);
	expect_same(&m);
	objects_namespace(&m, "team-1", "env=test");
	EXPECT_TRUE(m.changes.all);
	expect_same(&m);
	finish(&m);
}
