/* SPDX-License-Identifier: Apache-2.0 */
/* test_stream.c - lines and items come out whole, wherever the network cuts. */
#include <errno.h>
#include <stdlib.h>

#include "stream.h"
#include "test.h"

struct got {
	char text[4096]; /* the pieces, each with a '|' behind it */
	size_t size;
	int rc; /* what the receiver returns */
};

static int take(const struct berm_piece *piece, void *ctx)
{
	struct got *got = ctx;

	ASSERT_TRUE(got->size + piece->size + 2 < sizeof(got->text));
	if (piece->text)
		memcpy(got->text + got->size, piece->text, piece->size);
	else
		got->text[got->size++] = '!'; /* too long */
	got->size += piece->size;
	got->text[got->size++] = '|';
	got->text[got->size] = '\0';
	return got->rc;
}

TEST(lines, "a line is whole whatever the chunks")
{
	static const char in[] = "one\r\n\ntwo\n  \nthree and more\nrest";
	size_t step;

	for (step = 1; step <= sizeof(in); step++) {
		struct berm_lines lines = { 0 };
		struct got got = { .text = "" };
		size_t at;

		for (at = 0; at < sizeof(in) - 1; at += step) {
			struct berm_piece chunk = { in + at, step };

			if (chunk.size > sizeof(in) - 1 - at)
				chunk.size = sizeof(in) - 1 - at;
			ASSERT_EQ(berm_lines_feed(&lines, &chunk, take, &got), 0);
		}
		EXPECT_STR_EQ(got.text, "one|two|three and more|");
		berm_lines_clear(&lines);
	}
}

static char *much(void)
{
	char *text = malloc(BERM_STREAM_MAX / 2 + 1);

	ASSERT_TRUE(text != NULL);
	return memset(text, 'x', BERM_STREAM_MAX / 2 + 1);
}

TEST(line_too_long, "a line that is too long is not collected, and those behind it are read")
{
	char *text = much();
	struct berm_piece chunk = { text, BERM_STREAM_MAX / 2 + 1 }, end = { "x\nb\n", 4 };
	struct berm_lines lines = { 0 };
	struct got got = { .text = "" };

	for (int i = 0; i < 5; i++)
		EXPECT_EQ(berm_lines_feed(&lines, &chunk, take, &got), 0);
	EXPECT_EQ(lines.rest.room, 0);
	EXPECT_EQ(berm_lines_feed(&lines, &end, take, &got), 0);
	EXPECT_STR_EQ(got.text, "!|b|");
	berm_lines_clear(&lines);
	free(text);
}

TEST(item_too_long, "an item that is too long is not collected, and those behind it are read")
{
	static const char head[] = "{\"metadata\":{},\"items\":[{},{\"a\":\"";
	static const char tail[] = "}\"},{\"b\":1}]}";
	char *text = much();
	struct berm_piece begin = { head, sizeof(head) - 1 }, end = { tail, sizeof(tail) - 1 };
	struct berm_piece chunk = { text, BERM_STREAM_MAX / 2 + 1 };
	struct berm_items items = { 0 };
	struct got got = { .text = "" };

	EXPECT_EQ(berm_items_feed(&items, &begin, take, &got), 0);
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(berm_items_feed(&items, &chunk, take, &got), 0);
	EXPECT_EQ(items.item.room, 0);
	EXPECT_EQ(berm_items_feed(&items, &end, take, &got), 0);
	EXPECT_STR_EQ(got.text, "{}|!|{\"b\":1}|");
	EXPECT_TRUE(berm_items_is_complete(&items));
	berm_items_clear(&items);
	free(text);
}

TEST(receiver_stops, "an error of the receiver ends the feeding")
{
	struct berm_piece chunk = { "a\nb\n", 4 };
	struct berm_lines lines = { 0 };
	struct got got = { .text = "", .rc = -EBADMSG };

	EXPECT_EQ(berm_lines_feed(&lines, &chunk, take, &got), -EBADMSG);
	EXPECT_STR_EQ(got.text, "a|");
	berm_lines_clear(&lines);
}

TEST(items, "a list falls into its items")
{
	static const struct {
		const char *name, *in, *out, *metadata; /* metadata NULL: not whole */
		int rc;
	} cases[] = {
		{ "usual", "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[{\"a\":1},{\"b\":[{}]}]}\n",
		  "{\"a\":1}|{\"b\":[{}]}|", "{\"resourceVersion\":\"7\"}", 0 },
		{ "blanks", " { \"metadata\" : { } , \"items\" : [ { \"a\" : 1 } , { } ] } ", "{ \"a\" : 1 }|{ }|", "{ }", 0 },
		{ "metadata last", "{\"items\":[{\"a\":{}}],\"metadata\":{\"x\":{\"y\":1}}}", "{\"a\":{}}|", "{\"x\":{\"y\":1}}", 0 },
		{ "none", "{\"metadata\":{},\"items\":null}", "", "{}", 0 },
		{ "empty", "{\"metadata\":{},\"items\":[]}", "", "{}", 0 },
		{ "braces in texts", "{\"metadata\":{},\"items\":[{\"a\":\"}]{[\\\"}\",\"b\\\\\":\"\\\\\"}]}",
		  "{\"a\":\"}]{[\\\"}\",\"b\\\\\":\"\\\\\"}|", "{}", 0 },
		{ "items inside", "{\"metadata\":{},\"x\":{\"items\":[{\"no\":1}],\"metadata\":{\"no\":1}},\"items\":[{}]}", "{}|", "{}", 0 },
		{ "items as value", "{\"metadata\":{},\"kind\":\"items\",\"x\":[{\"no\":1}]}", "", NULL, 0 },
		{ "long key", "{\"metadata\":{},\"items_but_longer_than_a_key\":[{\"no\":1}]}", "", NULL, 0 },
		{ "another object", "{\"metadata\":{},\"spec\":{}}", "", NULL, 0 },
		{ "no end", "{\"metadata\":{},\"items\":[{\"a\":1},{\"b\"", "{\"a\":1}|", NULL, 0 },
		{ "no metadata", "{\"items\":[{}]}", "{}|", NULL, 0 },
		{ "something behind", "{\"metadata\":{},\"items\":[]}x", "", "{}", -EBADMSG },
		{ "no object", "[{}]", "", NULL, -EBADMSG },
		{ "text", "Unauthorized", "", NULL, -EBADMSG },
	}, *c;
	size_t step, at, size;

	for_each_case(c, cases) {
		size = strlen(c->in);
		for (step = 1; step <= size; step++) {
			struct berm_items items = { 0 };
			struct got got = { .text = "" };
			int rc = 0;

			for (at = 0; !rc && at < size; at += step) {
				struct berm_piece chunk = { c->in + at,
							    size - at < step ? size - at : step };

				rc = berm_items_feed(&items, &chunk, take, &got);
			}
			EXPECT_EQ(rc, c->rc);
			EXPECT_STR_EQ(got.text, c->out);
			EXPECT_EQ(berm_items_is_complete(&items), c->metadata != NULL);
			if (c->metadata && items.metadata.size == strlen(c->metadata))
				EXPECT_MEM_EQ(items.metadata.text, c->metadata,
					      items.metadata.size);
			else
				EXPECT_TRUE(!c->metadata);
			berm_items_clear(&items);
		}
	}
}

TEST(members, "a member is found without parsing the rest")
{
	static const struct {
		const char *name, *in, *key, *out; /* out NULL: none */
	} cases[] = {
		{ "text", "{\"type\":\"ADDED\",\"object\":{}}", "type", "\"ADDED\"" },
		{ "object", "{\"type\":\"ADDED\", \"object\" : {\"type\":{\"a\":[1]}} }", "object", "{\"type\":{\"a\":[1]}}" },
		{ "number", "{\"code\":410}", "code", "410" },
		{ "list", "{\"a\":[\"]\",{}],\"b\":true}", "b", "true" },
		{ "escaped quotes", "{\"a\\\"b\":1,\"b\":2}", "b", "2" },
		{ "only inside", "{\"a\":{\"b\":1}}", "b", NULL },
		{ "empty", "{}", "a", NULL },
		{ "no object", "[\"a\"]", "a", NULL },
		{ "cut in a text", "{\"a\":\"xy", "a", NULL },
		{ "cut in an object", "{\"a\":{\"x\":{}", "a", NULL },
		{ "cut behind a key", "{\"a\"", "a", NULL },
		{ "cut behind a backslash", "{\"a\":\"\\", "a", NULL },
		{ "nothing", "", "a", NULL },
	}, *c;

	for_each_case(c, cases) {
		struct berm_piece object = { c->in, strlen(c->in) }, got;

		EXPECT_EQ(berm_piece_member(&object, c->key, &got), c->out != NULL);
		if (c->out)
			EXPECT_TRUE(berm_piece_is(&got, c->out));
	}
}
