/* SPDX-License-Identifier: Apache-2.0 */
/* test_blocklist.c - which emergency rules may drop at the uplink: those that nothing can overrule. */
#include "blocklist.h"
#include "objects.h"
#include "test.h"

/* "198.51.100.0/24 whole, 192.0.2.0/24 half" */
static const char *listed(struct berm_model *m)
{
	static char text[1024];
	struct berm_problems none = { 0 };
	struct berm_blocklist list = { 0 };
	char cidr[BERM_CIDR_STRLEN];
	size_t used = 0;

	text[0] = '\0';
	ASSERT_EQ(berm_blocklist_make(m, &none, &list), 0);
	for (size_t i = 0; i < list.count; i++) {
		berm_cidr_format(&list.item[i].cidr, cidr);
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s %s", i ? ", " : "",
					 cidr, list.item[i].all ? "whole" : "half");
	}
	berm_blocklist_clear(&list);
	return text;
}

static struct berm_policy *emergency(struct berm_model *m, const char *name, int priority)
{
	struct berm_policy *p = objects_policy(m, BERM_KIND_SEGMENTATION, name, "");

	p->tier = BERM_TIER_EMERGENCY;
	p->priority = priority;
	p->cluster_wide = true;
	return p;
}

static struct berm_policy_rule *deny(struct berm_policy *p, uint8_t dir, const char *cidr)
{
	struct berm_policy_rule *r = objects_rule(p, dir, BERM_RULE_DENY, NULL);

	objects_peer_block(r, cidr, NULL);
	return r;
}

TEST(halves, "a block is dropped whole where the way out is denied too [uplink.list]")
{
	struct berm_model m = { 0 };
	struct berm_policy *p = emergency(&m, "berm-system/list", 500);

	EXPECT_STR_EQ(listed(&m), "");
	deny(p, BERM_INGRESS, "198.51.100.0/24");
	deny(p, BERM_INGRESS, "192.0.2.0/24");
	deny(p, BERM_INGRESS, "2001:db8::/32");
	EXPECT_STR_EQ(listed(&m), "192.0.2.0/24 half, 198.51.100.0/24 half, 2001:db8::/32 half");
	deny(p, BERM_EGRESS, "198.51.100.0/24");
	EXPECT_STR_EQ(listed(&m), "192.0.2.0/24 half, 198.51.100.0/24 whole, 2001:db8::/32 half");
	deny(p, BERM_EGRESS, "192.0.2.0/25"); /* only a part of it */
	deny(p, BERM_EGRESS, "::/0");
	EXPECT_STR_EQ(listed(&m), "192.0.2.0/24 half, 198.51.100.0/24 whole, 2001:db8::/32 whole");
	deny(p, BERM_EGRESS, "0.0.0.0/0");
	EXPECT_STR_EQ(listed(&m), "192.0.2.0/24 whole, 198.51.100.0/24 whole, 2001:db8::/32 whole");
	berm_model_clear(&m);
}

TEST(covers, "what covers a block is found behind narrower ones [uplink.list]")
{
	struct berm_model m = { 0 };
	struct berm_policy *p = emergency(&m, "berm-system/list", 500);

	deny(p, BERM_EGRESS, "10.0.0.0/8");
	deny(p, BERM_EGRESS, "10.1.0.0/16");
	deny(p, BERM_EGRESS, "12.0.0.0/8");
	deny(p, BERM_INGRESS, "10.0.0.0/7");
	deny(p, BERM_INGRESS, "10.1.2.0/24");
	deny(p, BERM_INGRESS, "10.2.0.0/16");
	deny(p, BERM_INGRESS, "11.0.0.0/8");
	deny(p, BERM_INGRESS, "12.5.0.0/16");
	EXPECT_STR_EQ(listed(&m), "10.0.0.0/7 half, 10.1.2.0/24 whole, 10.2.0.0/16 whole, "
				  "11.0.0.0/8 half, 12.5.0.0/16 whole");
	berm_model_clear(&m);
}

TEST(not_all,
     "whoever denies less than everything to less than everybody is not listed [uplink.list]")
{
	struct berm_model m = { 0 };
	struct berm_policy *some = emergency(&m, "berm-system/some", 500), *all, *p;
	struct berm_policy_rule *r;

	berm_selector_clear(&some->pod_subject);
	all = emergency(&m, "berm-system/all", 500);
	r = deny(all, BERM_INGRESS, "10.1.0.0/16");
	objects_port(r, "tcp:80");
	r = objects_rule(all, BERM_INGRESS, BERM_RULE_DENY, NULL);
	objects_peer_block(r, "10.2.0.0/16", "10.2.3.0/24");
	r = objects_rule(all, BERM_INGRESS, BERM_RULE_DENY, NULL);
	objects_peer_any(r);
	r = objects_rule(all, BERM_INGRESS, BERM_RULE_DENY, NULL);
	objects_peer_pods(r, NULL, "app=web");
	r = deny(all, BERM_INGRESS, "10.3.0.0/16");
	r->unsupported = true;
	r = deny(all, BERM_INGRESS, "10.31.0.0/16");
	r->mode = BERM_MODE_AUDIT;
	r = deny(all, BERM_INGRESS, "10.32.0.0/16");
	r->mode = BERM_MODE_DISABLED;
	p = objects_policy(&m, BERM_KIND_SEGMENTATION, "berm-system/few", "app=web");
	p->tier = BERM_TIER_EMERGENCY;
	p->cluster_wide = true;
	deny(p, BERM_INGRESS, "10.4.0.0/16");
	p = emergency(&m, "berm-system/ns", 500);
	objects_subject_namespaces(p, "team=a");
	deny(p, BERM_INGRESS, "10.5.0.0/16");
	p = emergency(&m, "berm-system/admin", 500);
	p->tier = BERM_TIER_ADMIN;
	deny(p, BERM_INGRESS, "10.6.0.0/16");
	p = emergency(&m, "shop/tenant", 500);
	p->cluster_wide = false;
	deny(p, BERM_INGRESS, "10.7.0.0/16");
	p = emergency(&m, "berm-system/off", 500);
	p->disabled = true;
	deny(p, BERM_INGRESS, "10.8.0.0/16");
	EXPECT_STR_EQ(listed(&m), "");
	r = deny(all, BERM_INGRESS, "10.9.0.0/16"); /* the control */
	objects_peer_pods(r, NULL, "app=web");	    /* and a peer more does not matter */
	EXPECT_STR_EQ(listed(&m), "10.9.0.0/16 half");
	berm_model_clear(&m);
}

TEST(exceptions, "an emergency rule that allows or passes bars what comes behind it [uplink.list]")
{
	struct berm_model m = { 0 };
	struct berm_policy *early = emergency(&m, "berm-system/early", 100);
	struct berm_policy *late = emergency(&m, "berm-system/late", 900);
	struct berm_policy *p = emergency(&m, "berm-system/exception", 500);
	struct berm_policy_rule *r;

	deny(early, BERM_INGRESS, "10.1.0.0/16");
	deny(late, BERM_INGRESS, "10.2.0.0/16");
	EXPECT_STR_EQ(listed(&m), "10.1.0.0/16 half, 10.2.0.0/16 half");
	r = objects_rule(p, BERM_EGRESS, BERM_RULE_ALLOW, NULL);
	objects_port(r, "tcp:80");
	EXPECT_STR_EQ(listed(&m), "10.1.0.0/16 half, 10.2.0.0/16 half"); /* the other direction */
	objects_rule(p, BERM_INGRESS, BERM_RULE_LOG, NULL);
	EXPECT_STR_EQ(listed(&m), "10.1.0.0/16 half, 10.2.0.0/16 half");
	r = objects_rule(p, BERM_INGRESS, BERM_RULE_PASS, NULL);
	objects_port(r, "tcp:80");
	EXPECT_STR_EQ(listed(&m), "10.1.0.0/16 half");
	early->priority = 500; /* a Deny comes first at the same priority */
	EXPECT_STR_EQ(listed(&m), "10.1.0.0/16 half");
	deny(early, BERM_EGRESS, "10.0.0.0/8");
	EXPECT_STR_EQ(listed(&m), "10.1.0.0/16 whole");
	early->on_change = BERM_CHANGE_KEEP; /* connections from there may be kept */
	EXPECT_STR_EQ(listed(&m), "");
	early->on_change = BERM_CHANGE_RECHECK;
	early->priority = 501;
	EXPECT_STR_EQ(listed(&m), "");
	berm_model_clear(&m);
}

TEST(refused, "a document that the compiler has refused lists nothing [uplink.list]")
{
	struct berm_model m = { 0 };
	struct berm_problem problem = { .severity = BERM_ERROR,
					.document = (char *)"SegmentationPolicy berm-system/list" };
	struct berm_problems problems = { &problem, 1 };
	struct berm_blocklist list = { 0 };

	deny(emergency(&m, "berm-system/list", 500), BERM_INGRESS, "10.1.0.0/16");
	ASSERT_EQ(berm_blocklist_make(&m, &problems, &list), 0);
	EXPECT_EQ(list.count, 0);
	berm_blocklist_clear(&list);
	EXPECT_STR_EQ(listed(&m), "10.1.0.0/16 half");
	berm_model_clear(&m);
}
