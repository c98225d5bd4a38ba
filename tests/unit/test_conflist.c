/* SPDX-License-Identifier: Apache-2.0 */
/* test_conflist.c - a network configuration with our plugin in it: what changes, and that nothing else does. */
#include <errno.h>
#include <stdlib.h>

#include "conflist.h"
#include "test.h"

#define ENTRY "{\"type\":\"berm-cni\"}"
#define HEAD  "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":"

static const char *inserted(const char *text)
{
	struct berm_err err = { 0 };
	char *out = NULL;

	ASSERT_OK(berm_conflist_insert(text, strlen(text), ENTRY, &out, &err), &err);
	return out ? test_keep(out) : "(unchanged)";
}

static const char *removed(const char *text)
{
	struct berm_err err = { 0 };
	char *out = NULL;

	ASSERT_OK(berm_conflist_remove(text, strlen(text), &out, &err), &err);
	return out ? test_keep(out) : "(unchanged)";
}

TEST(conflist_insert)
{
	static const struct {
		const char *name, *in, *out;
	} cases[] = {
		{ "one line", HEAD "[{\"type\":\"a\"}]}", HEAD "[{\"type\":\"a\"}, " ENTRY "]}" },
		{ "a line each", HEAD "[\n\t{\"type\":\"a\"},\n\t{\"type\":\"b\"}\n]}\n",
		  HEAD "[\n\t{\"type\":\"a\"},\n\t{\"type\":\"b\"},\n\t" ENTRY "\n]}\n" },
		{ "is there", HEAD "[{\"type\":\"a\"}, {\"type\": \"berm-cni\"}]}", "(unchanged)" },
		{ "is there, in the middle", HEAD "[{\"type\":\"a\"}," ENTRY ",{\"type\":\"b\"}]}",
		  "(unchanged)" },
		{ "other settings", HEAD "[{\"type\":\"a\"},{\"type\":\"berm-cni\",\"x\":1},{\"type\":\"b\"}]}",
		  HEAD "[{\"type\":\"a\"}," ENTRY ",{\"type\":\"b\"}]}" },
		{ "twice", HEAD "[{\"type\":\"a\"}," ENTRY "," ENTRY "]}",
		  HEAD "[{\"type\":\"a\"}, " ENTRY "]}" },
		{ "big numbers, brackets and quotes in strings",
		  HEAD "[{\"type\":\"a\",\"n\":12345678901234567890,\"s\":\"]}\\\"{[\"}],\"z\":1e400}",
		  HEAD "[{\"type\":\"a\",\"n\":12345678901234567890,\"s\":\"]}\\\"{[\"}, " ENTRY "],\"z\":1e400}" },
		{ "the last of two members counts",
		  "{\"plugins\":[{\"type\":\"x\"}],\"cniVersion\":\"0.3.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}]}",
		  "{\"plugins\":[{\"type\":\"x\"}],\"cniVersion\":\"0.3.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}, " ENTRY "]}" },
	}, *c;

	for_each_case(c, cases) {
		struct berm_err err = { 0 };
		const char *out;

		EXPECT_OK(berm_conflist_check(c->in, strlen(c->in), true, &err), &err);
		out = inserted(c->in);
		EXPECT_STR_EQ(out, c->out);
		if (strcmp(out, "(unchanged)") != 0)
			EXPECT_STR_EQ(inserted(out), "(unchanged)");
	}
}

TEST(conflist_insert_refused)
{
	static const struct {
		const char *name, *in;
		int rc;
		const char *why;
	} cases[] = {
		{ "no version", "{\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}]}", -EPROTO, "no cniVersion" },
		{ "too old", "{\"cniVersion\":\"0.2.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}]}", -EPROTO,
		  "\"0.2.0\"" },
		{ "too new", "{\"cniVersion\":\"9.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}]}", -EPROTO,
		  "0.3.0 to 1.1.0" },
		{ "only ours", HEAD "[" ENTRY "]}", -EINVAL, "before berm-cni" },
	}, *c;

	for_each_case(c, cases) {
		struct berm_err err = { 0 };
		char *out = NULL;

		EXPECT_EQ(berm_conflist_insert(c->in, strlen(c->in), ENTRY, &out, &err), c->rc);
		EXPECT_STR_HAS(err.msg, c->why);
		EXPECT_TRUE(!out);
	}
}

TEST(conflist_remove,
     "taking the plugin out leaves the very bytes that were there before [uninstall.clean]")
{
	static const char *const lists[] = {
		HEAD "[{\"type\":\"a\"}]}",
		HEAD "[\n    {\"type\":\"a\"},\n    {\"type\":\"b\"}\n  ]\n}\n",
		HEAD "[ {\"type\":\"a\"} ] }",
		HEAD "[{\"type\":\"a\",\"n\":12345678901234567890}\n]}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		EXPECT_STR_EQ(removed(lists[i]), "(unchanged)");
		EXPECT_STR_EQ(removed(inserted(lists[i])), lists[i]);
	}
	EXPECT_STR_EQ(removed(HEAD "[" ENTRY ", {\"type\":\"a\"}]}"), HEAD "[{\"type\":\"a\"}]}");
	EXPECT_STR_EQ(removed(HEAD "[" ENTRY "," ENTRY ",{\"type\":\"a\"}," ENTRY "]}"),
		      HEAD "[{\"type\":\"a\"}]}");
}

TEST(conflist_check, "what a runtime would not take is not taken [install.half_written]")
{
	static const struct {
		const char *name, *in;
		bool is_list;
		const char *why; /* NULL: usable */
	} cases[] = {
		{ "list", HEAD "[{\"type\":\"a\"}]}", true, NULL },
		{ "single", "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"type\":\"a\"}\n", false, NULL },
		{ "empty", "", true, "empty" },
		{ "blank", " \n", true, "empty" },
		{ "half", HEAD "[{\"type\":\"a\"", true, "only a part" },
		{ "behind the end", HEAD "[{\"type\":\"a\"}]} x", true, "only a part" },
		{ "byte order mark", "\xef\xbb\xbf{}", true, "not a JSON object" },
		{ "array", "[]", true, "not a JSON object" },
		{ "no name", "{\"plugins\":[{\"type\":\"a\"}]}", true, "no name" },
		{ "no plugins", "{\"name\":\"n\"}", true, "no list 'plugins'" },
		{ "plugins no list", "{\"name\":\"n\",\"plugins\":{}}", true, "no list 'plugins'" },
		{ "no plugin", HEAD "[]}", true, "is empty" },
		{ "plugin no object", HEAD "[1]}", true, "not an object" },
		{ "no type", HEAD "[{\"type\":\"a\"},{}]}", true, "has no type" },
		{ "type of a type", HEAD "[{\"a\":{\"type\":\"x\"}}]}", true, "has no type" },
		{ "a list in a .conf", HEAD "[{\"type\":\"a\"}]}", false, "has no type" },
	}, *c;

	for_each_case(c, cases) {
		struct berm_err err = { 0 };
		int rc = berm_conflist_check(c->in, strlen(c->in), c->is_list, &err);

		EXPECT_EQ(rc, c->why ? -EINVAL : 0);
		EXPECT_STR_HAS(err.msg, c->why ? c->why : "");
	}
}

TEST(conflist_wrap)
{
	static const char conf[] =
		" {\"type\":\"a\", \"cniVersion\":\"0.3.0\", \"name\":\"n\\u0041\", \"n\":12345678901234567890}\n\n";
	struct berm_err err = { 0 };
	char *list = NULL;

	ASSERT_OK(berm_conflist_wrap(conf, strlen(conf), &list, &err), &err);
	test_keep(list);
	EXPECT_STR_HAS(list, "\"cniVersion\": \"0.3.1\",\n  \"name\": \"n\\u0041\"");
	EXPECT_STR_HAS(
		list,
		"    {\"type\":\"a\", \"cniVersion\":\"0.3.0\", \"name\":\"n\\u0041\", \"n\":12345678901234567890}\n  ]");
	EXPECT_OK(berm_conflist_check(list, strlen(list), true, &err), &err);
	EXPECT_EQ(berm_conflist_wrap("{\"type\":\"a\",\"name\":\"n\"}", 23, &list, &err), -EPROTO);
}

TEST(conflist_entry)
{
	struct berm_err err = { 0 };
	char *entry = NULL;

	ASSERT_OK(berm_conflist_entry(NULL, &entry, &err), &err);
	EXPECT_STR_EQ(test_keep(entry), ENTRY);
	ASSERT_OK(berm_conflist_entry(" {\"waitForPolicy\": \"5s\", \"l\": [1]}", &entry, &err),
		  &err);
	EXPECT_STR_EQ(test_keep(entry),
		      "{\"type\":\"berm-cni\",\"waitForPolicy\":\"5s\",\"l\":[1]}");
	EXPECT_EQ(berm_conflist_entry("[]", &entry, &err), -EINVAL);
	EXPECT_STR_HAS(err.msg, "want a JSON object");
	EXPECT_EQ(berm_conflist_entry("nonsense", &entry, &err), -EINVAL);
	EXPECT_EQ(berm_conflist_entry("{\"type\":\"x\"}", &entry, &err), -EINVAL);
	EXPECT_STR_HAS(err.msg, "'type'");
}
