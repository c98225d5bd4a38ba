/* SPDX-License-Identifier: Apache-2.0 */
/* test_names.c - the rule-name file, written by the agent and read by everybody. */
#include <errno.h>
#include <stdio.h>

#include "abi.h"
#include "names.h"
#include "test.h"

static void path_in_dir(const char *name, char *out, size_t size)
{
	snprintf(out, size, "%s/%s", test_dir(), name);
}

TEST(names_come_back_sorted)
{
	struct berm_rule_name rules[] = {
		{ .id = 2000,
		  .index = 2,
		  .precedence = 9,
		  .dir = BERM_EGRESS,
		  .action = BERM_ACTION_DENY,
		  .reason = BERM_REASON_POLICY_DENY,
		  .tier = "admin",
		  .kind = "SegmentationPolicy",
		  .ns = "shop",
		  .policy = "web",
		  .app = BERM_APP_SSH,
		  .flags = BERM_RULE_REJECTS_OTHERS,
		  .rule = "tab\there\nback\\slash" },
		{ .id = 1024,
		  .index = 1,
		  .tier = "baseline",
		  .kind = "NetworkPolicy",
		  .policy = "cluster-wide",
		  .rule = "#1" },
	};
	struct berm_names names = { rules, 2 }, got = { 0 };
	struct berm_err err = { 0 };
	char path[256], label[64];

	path_in_dir("rules", path, sizeof(path));
	ASSERT_OK(berm_names_write(path, &names, &err), &err);
	ASSERT_OK(berm_names_read(path, &got, &err), &err);
	ASSERT_EQ(got.count, 2);
	EXPECT_EQ(got.item[0].id, 1024);
	EXPECT_MEM_EQ(&got.item[1], &rules[0], sizeof(rules[0]));
	EXPECT_EQ(rules[0].id, 2000); /* the caller's order is left alone */
	EXPECT_TRUE(berm_names_find(&got, 2000) == &got.item[1]);
	EXPECT_TRUE(!berm_names_find(&got, 2001));

	berm_names_label(&got, 1024, label, sizeof(label));
	EXPECT_STR_EQ(label, "cluster-wide:#1");
	berm_names_label(&got, 4711, label, sizeof(label));
	EXPECT_STR_EQ(label, "rule-4711");
	berm_names_label(&got, BERM_REASON_DEFAULT_DENY, label, sizeof(label));
	EXPECT_STR_EQ(label, "default-deny");
	berm_names_label(&got, 1024, label, 5);
	EXPECT_STR_EQ(label, "clus");
	berm_names_clear(&got);
	EXPECT_EQ(got.count, 0);
}

TEST(names_empty_list)
{
	struct berm_names none = { 0 }, got = { 0 };
	struct berm_err err = { 0 };
	char path[256];

	path_in_dir("rules", path, sizeof(path));
	ASSERT_OK(berm_names_write(path, &none, &err), &err);
	ASSERT_OK(berm_names_read(path, &got, &err), &err);
	EXPECT_EQ(got.count, 0);
	EXPECT_TRUE(!berm_names_find(&got, 1));
	berm_names_clear(&got);
}

TEST(names_refuse_garbage)
{
	static const struct {
		const char *name, *text, *msg;
	} cases[] = {
		{ "empty", "", "does not begin" },
		{ "other file", "hello\n", "does not begin" },
		{ "few fields", "berm-rules 1\n1024\t1\n", "line 2" },
		{ "many fields", "berm-rules 1\n1\t1\t1\t0\t1\t2\ta\tb\tc\td\te\tf\n", "line 2" },
		{ "not a number", "berm-rules 1\nx\t1\t1\t0\t1\t2\ta\tb\tc\td\te\n", "line 2" },
		{ "negative", "berm-rules 1\n-1\t1\t1\t0\t1\t2\ta\tb\tc\td\te\n", "line 2" },
		{ "cut off", "berm-rules 1\n1\t1\t1\t0\t1\t2\ta\tb\tc\td\te", "line 2" },
		{ "out of order", "berm-rules 1\n5\t1\t1\t0\t1\t2\ta\tb\tc\td\te\n4\t1\t1\t0\t1\t2\ta\tb\tc\td\te\n", "line 3" },
		{ "long tier", "berm-rules 1\n1\t1\t1\t0\t1\t2\taaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\tb\tc\td\te\n", "line 2" },
	}, *c;

	for_each_case(c, cases) {
		struct berm_names got = { 0 };
		struct berm_err err = { 0 };

		EXPECT_EQ(berm_names_read(test_file("rules", c->text), &got, &err), -EBADMSG);
		EXPECT_STR_HAS(err.msg, c->msg);
		EXPECT_EQ(got.count, 0);
	}
}

TEST(reasons_have_names)
{
	EXPECT_STR_EQ(berm_reason_name(BERM_REASON_NOT_FOR_POD), "not-for-pod");
	EXPECT_STR_EQ(berm_reason_name(9999), "unknown");
	for (unsigned int r = 0; r < BERM_REASON_COUNT; r++) {
		EXPECT_TRUE(berm_reason_name(r)[0]);
		EXPECT_TRUE(berm_reason_help(r)[0]);
	}
}
