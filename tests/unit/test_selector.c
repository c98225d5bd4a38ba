/* SPDX-License-Identifier: Apache-2.0 */
/* test_selector.c - label selectors: what matches, and that equal ones are equal. */
#include <stdarg.h>
#include <stdlib.h>

#include "cleanup.h"
#include "selector.h"
#include "test.h"

/* "key=value" pairs up to NULL. */
static void labels_make(struct berm_labels *out, const char *const *pair)
{
	for (; *pair; pair++) {
		char key[64];

		snprintf(key, sizeof(key), "%.*s", (int)strcspn(*pair, "="), *pair);
		ASSERT_EQ(berm_labels_set(out, key, strchr(*pair, '=') + 1), 0);
	}
}

TEST(selector_matches)
{
	static const struct {
		const char *name;
		const char *label[4];
		const char *key;
		enum berm_operator op;
		const char *value[3];
		bool want;
	} cases[] = {
		{ "In, has it", { "app=web" }, "app", BERM_OP_IN, { "db", "web" }, true },
		{ "In, has another", { "app=api" }, "app", BERM_OP_IN, { "db", "web" }, false },
		{ "In, key missing", { "tier=x" }, "app", BERM_OP_IN, { "web" }, false },
		{ "In, empty value", { "app=" }, "app", BERM_OP_IN, { "" }, true },
		{ "NotIn, has it", { "app=web" }, "app", BERM_OP_NOT_IN, { "web" }, false },
		{ "NotIn, has another", { "app=api" }, "app", BERM_OP_NOT_IN, { "web" }, true },
		{ "NotIn, key missing", { "tier=x" }, "app", BERM_OP_NOT_IN, { "web" }, true },
		{ "NotIn, no labels", { NULL }, "app", BERM_OP_NOT_IN, { "web" }, true },
		{ "Exists", { "app=" }, "app", BERM_OP_EXISTS, { NULL }, true },
		{ "Exists, missing", { "ap=x" }, "app", BERM_OP_EXISTS, { NULL }, false },
		{ "DoesNotExist", { "app=web" }, "app", BERM_OP_NOT_EXISTS, { NULL }, false },
		{ "DoesNotExist, missing", { NULL }, "app", BERM_OP_NOT_EXISTS, { NULL }, true },
		{ "one of many labels", { "a=1", "z=2", "app=web" }, "app", BERM_OP_IN, { "web" }, true },
		{ "case matters", { "app=Web" }, "app", BERM_OP_IN, { "web" }, false },
	}, *c;

	for_each_case(c, cases) {
		struct berm_labels labels = { 0 };
		struct berm_selector sel = { 0 };
		size_t n = 0;

		labels_make(&labels, c->label);
		while (n < 3 && c->value[n])
			n++;
		ASSERT_EQ(berm_selector_add(&sel, c->key, c->op, c->value, n), 0);
		EXPECT_EQ(berm_selector_matches(&sel, &labels), c->want);
		berm_selector_clear(&sel);
		EXPECT_TRUE(berm_selector_matches(&sel, &labels)); /* empty matches everything */
		berm_labels_clear(&labels);
	}
}

TEST(selector_is_and)
{
	static const char *const web[] = { "app=web", "env=prod", NULL }, *const other[] = {
		"app=web", NULL
	};
	struct berm_labels both = { 0 }, one = { 0 };
	struct berm_selector sel = { 0 };

	labels_make(&both, web);
	labels_make(&one, other);
	ASSERT_EQ(berm_selector_add(&sel, "env", BERM_OP_IN, (const char *[]){ "prod" }, 1), 0);
	ASSERT_EQ(berm_selector_add(&sel, "app", BERM_OP_IN, (const char *[]){ "web" }, 1), 0);
	berm_selector_normalise(&sel);
	EXPECT_TRUE(berm_selector_matches(&sel, &both));
	EXPECT_FALSE(berm_selector_matches(&sel, &one));
	berm_selector_clear(&sel);
	berm_labels_clear(&both);
	berm_labels_clear(&one);
}

TEST(selector_text)
{
	struct berm_selector a = { 0 }, b = { 0 };
	auto_free char *first = NULL, *second = NULL, *empty = NULL;

	ASSERT_EQ(berm_selector_add(&a, "app", BERM_OP_IN, (const char *[]){ "b", "a", "b" }, 3),
		  0);
	ASSERT_EQ(berm_selector_add(&a, "x", BERM_OP_NOT_EXISTS, NULL, 0), 0);
	ASSERT_EQ(berm_selector_add(&a, "env", BERM_OP_NOT_IN, (const char *[]){ "dev" }, 1), 0);
	ASSERT_EQ(berm_selector_add(&a, "x", BERM_OP_NOT_EXISTS, NULL, 0), 0);
	ASSERT_EQ(berm_selector_add(&b, "env", BERM_OP_NOT_IN, (const char *[]){ "dev" }, 1), 0);
	ASSERT_EQ(berm_selector_add(&b, "x", BERM_OP_NOT_EXISTS, NULL, 0), 0);
	ASSERT_EQ(berm_selector_add(&b, "app", BERM_OP_IN, (const char *[]){ "a", "b" }, 2), 0);
	berm_selector_normalise(&a);
	berm_selector_normalise(&b);
	first = berm_selector_text(&a);
	second = berm_selector_text(&b);
	EXPECT_STR_EQ(first, "app in (a,b),env notin (dev),!x");
	EXPECT_STR_EQ(second, first);
	berm_selector_clear(&a);
	berm_selector_clear(&b);
	empty = berm_selector_text(&a);
	EXPECT_STR_EQ(empty, "");
}

TEST(labels_replace)
{
	struct berm_labels labels = { 0 };

	ASSERT_EQ(berm_labels_set(&labels, "b", "1"), 0);
	ASSERT_EQ(berm_labels_set(&labels, "a", "2"), 0);
	ASSERT_EQ(berm_labels_set(&labels, "b", "3"), 0);
	EXPECT_EQ(labels.count, 2);
	EXPECT_STR_EQ(labels.item[0].key, "a"); /* sorted */
	EXPECT_STR_EQ(berm_labels_get(&labels, "b"), "3");
	EXPECT_TRUE(berm_labels_get(&labels, "c") == NULL);
	berm_labels_clear(&labels);
}
