/* SPDX-License-Identifier: Apache-2.0 */
/* test_yaml.c - the strict subset of YAML, its types, its limits and its positions; JSON beside it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "test.h"
#include "tree.h"

TEST(yaml_types)
{
	static const struct {
		const char *name, *in;
		int type;
		double number;
	} cases[] = {
		{ "text", "v: web", cJSON_String, 0 },
		{ "integer", "v: 8080", cJSON_Number, 8080 },
		{ "negative", "v: -5", cJSON_Number, -5 },
		{ "plus", "v: +5", cJSON_Number, 5 },
		{ "hex", "v: 0x1F", cJSON_Number, 31 },
		{ "octal of YAML 1.1", "v: 010", cJSON_Number, 8 },
		{ "octal of YAML 1.2", "v: 0o17", cJSON_Number, 15 },
		{ "binary", "v: 0b101", cJSON_Number, 5 },
		{ "not octal: a float", "v: 089", cJSON_Number, 89 },
		{ "grouped", "v: 1_000", cJSON_Number, 1000 },
		{ "float", "v: 1.5", cJSON_Number, 1.5 },
		{ "float that was a version", "v: 1.10", cJSON_Number, 1.1 },
		{ "float without a whole", "v: .5", cJSON_Number, 0.5 },
		{ "float with an exponent", "v: 1e3", cJSON_Number, 1000 },
		{ "dot", "v: .", cJSON_String, 0 },
		{ "minus", "v: '-'", cJSON_String, 0 },
		{ "exponent without digits", "v: 1e", cJSON_String, 0 },
		{ "hex without digits", "v: 0x", cJSON_String, 0 },
		{ "hex with a sign inside", "v: 0x-1", cJSON_String, 0 },
		{ "address", "v: 10.0.0.1", cJSON_String, 0 },
		{ "block", "v: 10.0.0.0/8", cJSON_String, 0 },
		{ "date", "v: 2027-01-31", cJSON_String, 0 },
		{ "time", "v: 12:30:45", cJSON_String, 0 },
		{ "true", "v: true", cJSON_True, 0 },
		{ "yes", "v: yes", cJSON_True, 0 },
		{ "On", "v: On", cJSON_True, 0 },
		{ "y", "v: y", cJSON_True, 0 },
		{ "no", "v: no", cJSON_False, 0 },
		{ "off", "v: off", cJSON_False, 0 },
		{ "oN is a text", "v: oN", cJSON_String, 0 },
		{ "null", "v: null", cJSON_NULL, 0 },
		{ "tilde", "v: ~", cJSON_NULL, 0 },
		{ "empty", "v:", cJSON_NULL, 0 },
		{ "quoted number", "v: \"8080\"", cJSON_String, 0 },
		{ "quoted yes", "v: 'yes'", cJSON_String, 0 },
		{ "quoted nothing", "v: ''", cJSON_String, 0 },
		{ "block of digits", "v: |\n  8080", cJSON_String, 0 },
		{ "endless digits", "v: 11111111111111111111111111111111111111111111111111111111111111111111",
		  cJSON_String, 0 },
		{ "list", "v: [1]", cJSON_Array, 0 },
		{ "mapping", "v: {a: 1}", cJSON_Object, 0 },
	}, *c;

	for_each_case(c, cases) {
		struct berm_tree_fault fault = { 0 };
		struct berm_err err = { 0 };
		cJSON *tree = NULL, *v;

		ASSERT_OK(berm_yaml_parse(c->in, strlen(c->in), &tree, &fault, &err), &err);
		v = cJSON_GetObjectItem(tree, "v");
		ASSERT_TRUE(v != NULL);
		EXPECT_EQ(v->type, c->type);
		EXPECT_EQ(v->valuedouble * 1000, c->number * 1000);
		cJSON_Delete(tree);
	}
}

TEST(yaml_refusals)
{
	static const struct {
		const char *name, *in, *msg;
		int line, column, see;
	} cases[] = {
		{ "anchor", "a: &x 1", "anchors", 1, 4, 0 },
		{ "anchor on a mapping", "a: &x {b: 1}", "anchors", 1, 4, 0 },
		{ "alias", "a: *x", "aliases", 1, 4, 0 },
		{ "tag", "a: !!str 1", "tags", 1, 4, 0 },
		{ "tag on a list", "a: !x [1]", "tags", 1, 4, 0 },
		{ "merge key", "a:\n  <<: {b: 1}", "merge keys", 2, 3, 0 },
		{ "duplicate key", "a: 1\nb: 2\na: 3", "'a' is there twice", 3, 1, 1 },
		{ "duplicate key, deep", "x:\n- {b: 1, c: 2, b: 3}", "'b' is there twice", 2, 16, 2 },
		{ "duplicate, quoted otherwise", "a: 1\n'a': 2", "'a' is there twice", 2, 1, 1 },
		{ "complex key", "{a: 1}: 2", "a key must be", 1, 1, 0 },
		{ "list as key", "? [a]\n: 2", "a key must be", 1, 3, 0 },
		{ "directive", "%YAML 1.1\n---\na: 1", "directives", 1, 1, 0 },
		{ "second document", "a: 1\n...\nb: 2", "", 3, 1, 0 },
		{ "tab", "a:\n\tb: 1", "a tab where", 2, 1, 0 },
		{ "unclosed list", "a: [1, 2\nb: 3", "not YAML", 2, 2, 1 },
		{ "unclosed quote", "a: \"x\nb: 3\n", "not YAML", 2, 4, 1 },
		{ "ends too early", "a: [\n\n  \n", "not YAML", 1, 4, 1 },
		{ "bad indentation", "a: 1\n  b: 2", "not YAML", 2, 4, 0 },
		{ "not UTF-8", "a: 1\nb: \xff", "not UTF-8", 2, 4, 0 },
		{ "overlong slash", "a: \xc0\xaf", "not UTF-8", 1, 4, 0 },
		{ "surrogate", "a: \xed\xa0\x80", "not UTF-8", 1, 4, 0 },
		{ "cut character", "a: \xe2\x82", "not UTF-8", 1, 4, 0 },
		{ "carriage return", "a: 1\rb: 2", "carriage return", 1, 5, 0 },
		{ "line separator", "a: x\xe2\x80\xa8y", "line separator", 1, 5, 0 },
		{ "next line", "a: x\xc2\x85y", "NEL", 1, 5, 0 },
		{ "escaped NUL", "a: \"x\\0y\"", "NUL", 1, 4, 0 },
		{ "columns are characters", "ä: [\xff", "not UTF-8", 1, 5, 0 },
	}, *c;

	for_each_case(c, cases) {
		struct berm_tree_fault fault = { 0 };
		struct berm_err err = { 0 };
		cJSON *tree = NULL;

		EXPECT_EQ(berm_yaml_parse(c->in, strlen(c->in), &tree, &fault, &err), -EINVAL);
		EXPECT_TRUE(tree == NULL);
		EXPECT_STR_HAS(err.msg, c->msg);
		EXPECT_EQ(fault.at.line, c->line);
		EXPECT_EQ(fault.at.column, c->column);
		EXPECT_EQ(fault.see.line, c->see);
	}
}

/* `head`, n times `open`, n times `close`. */
static char *repeated(const char *head, const char *open, const char *close, size_t n)
{
	char *text = malloc(strlen(head) + n * (strlen(open) + strlen(close)) + 1),
	     *p = stpcpy(text, head);

	for (size_t i = 0; i < n; i++)
		p = stpcpy(p, open);
	for (size_t i = 0; i < n; i++)
		p = stpcpy(p, close);
	return text;
}

TEST(yaml_bounds, "a document 3,000 deep or with too many values is an error and no crash")
{
	static const struct {
		const char *name, *head, *open, *close;
		size_t n;
		int rc;
		bool is_json;
	} cases[] = {
		{ "60 deep are fine", "a: ", "[", "]", 60, 0, false },
		{ "flow lists", "a: ", "[", "]", 3000, -E2BIG, false },
		{ "flow mappings", "a: ", "{a: ", "}", 3000, -E2BIG, false },
		{ "block lists", "", "- ", "", 3000, -E2BIG, false },
		{ "block mappings on one line", "", "? ", "", 3000, -EINVAL, false },
		{ "unclosed", "a: ", "[", "", 100000, -E2BIG, false },
		{ "many values", "a: [", "1,", "", 200000, -EINVAL, false },
		{ "too many values", "", "- a\n", "", 250001, -E2BIG, false },
		{ "JSON, 60 deep", "", "[", "]", 60, 0, true },
		{ "JSON, 900 deep", "", "[", "]", 900, -E2BIG, true },
		{ "JSON, 3000 deep", "", "[", "]", 3000, -EINVAL, true },
	}, *c;

	for_each_case(c, cases) {
		auto_free char *text = repeated(c->head, c->open, c->close, c->n);
		struct berm_tree_fault fault = { 0 };
		struct berm_err err = { 0 };
		cJSON *tree = NULL;
		int rc = c->is_json ? berm_json_parse(text, strlen(text), &tree, &fault, &err)
				    : berm_yaml_parse(text, strlen(text), &tree, &fault, &err);

		EXPECT_EQ(rc, c->rc);
		EXPECT_EQ(!rc, tree != NULL);
		cJSON_Delete(tree);
	}
}

TEST(yaml_nothing)
{
	static const struct {
		const char *name, *in;
	} cases[] = { { "empty", "" }, { "comment", "# nothing\n" }, { "marker", "---\n" } }, *c;

	for_each_case(c, cases) {
		struct berm_tree_fault fault = { 0 };
		struct berm_err err = { 0 };
		cJSON *tree = NULL;

		EXPECT_OK(berm_yaml_parse(c->in, strlen(c->in), &tree, &fault, &err), &err);
		EXPECT_TRUE(!tree || cJSON_IsNull(tree));
		cJSON_Delete(tree);
	}
}

TEST(yaml_positions)
{
	static const char text[] = "a: 1\n"
				   "list:\n"
				   "- {ä: x, b: [y]}\n"
				   "-\n"
				   "  c: \"z\"\n";
	struct berm_tree_fault fault = { 0 };
	struct berm_err err = { 0 };
	cJSON *tree = NULL, *list, *b, *c;

	ASSERT_OK(berm_yaml_parse(text, strlen(text), &tree, &fault, &err), &err);
	list = cJSON_GetObjectItem(tree, "list");
	b = cJSON_GetObjectItem(list->child, "b");
	c = cJSON_GetObjectItem(list->child->next, "c");
	EXPECT_EQ(berm_node_key_pos(list).line, 2);
	EXPECT_EQ(berm_node_key_pos(list).column, 1);
	EXPECT_EQ(berm_node_pos(list).line, 3);
	EXPECT_EQ(berm_node_pos(list->child).column, 3);
	EXPECT_EQ(berm_node_key_pos(b).column, 10);
	EXPECT_EQ(berm_node_pos(b).column, 13);
	EXPECT_EQ(berm_node_pos(c).line, 5);
	EXPECT_EQ(berm_node_pos(c).column, 6);
	cJSON_Delete(tree);
}

TEST(yaml_places, "a position inside a text is found again in the file around it")
{
	/* The character at line and column of the text is an X; so it must be in the file. */
	static const struct {
		const char *name, *in;
		int line, column; /* in the text */
		int want_line, want_column;
	} cases[] = {
		{ "literal block", "v: |\n  ab\n  cX\n", 2, 2, 3, 4 },
		{ "deep literal block", "a:\n    v: |\n          X\n", 1, 1, 3, 11 },
		{ "chomped", "v: |-\n  aX\n", 1, 2, 2, 4 },
		{ "kept", "v: |+\n  a\n  X\n\n", 2, 1, 3, 3 },
		{ "comment behind the bar", "v: | # hello\n  aX\n", 1, 2, 2, 4 },
		{ "leading empty lines", "v: |\n\n\n  ab\n  X\n", 4, 1, 5, 3 },
		{ "indented more below", "v: |\n  a\n    X\n", 2, 3, 3, 5 },
		{ "said indentation", "v: |2\n    X\n", 1, 3, 2, 5 },
		{ "bar on a line of its own", "v:\n  |\n  aX\n", 1, 2, 3, 4 },
		{ "CRLF", "v: |\r\n  ab\r\n  cX\r\n", 2, 2, 3, 4 },
		{ "not ASCII before it", "v: |\n  äX\n", 1, 2, 2, 4 },
		{ "after other lines", "a: 1\nb: [x,\n y]\nv: |\n  X\n", 1, 1, 5, 3 },
		{ "double quotes", "v: \"aX\"\n", 1, 2, 1, 6 },
		{ "double quotes, second line", "v: \"ab\\ncX\"\n", 2, 2, 1, 10 },
		{ "double quotes, escapes before it", "v: \"a\\n\\\"\\u0041\\tX\"\n", 2, 4, 1, 18 },
		{ "double quotes, not ASCII", "ä: 1\nv: \"ää\\näX\"\n", 2, 2, 2, 10 },
		{ "JSON", "{\"a\": 1, \"v\": \"a\\nb: X\"}", 2, 4, 1, 22 },
		{ "plain", "v: aX\n", 1, 2, 1, 5 },
		{ "single quotes", "v: 'aX'\n", 1, 2, 1, 6 },
		{ "folded: only where it starts", "v: >\n  ab\n  cX\n", 1, 5, 1, 4 },
		{ "quotes over two lines: the same", "v: \"ab\n  cX\"\n", 1, 5, 1, 4 },
	}, *c;

	for_each_case(c, cases) {
		struct berm_place file = BERM_PLACE_FILE, place;
		struct berm_tree_fault fault = { 0 };
		struct berm_err err = { 0 };
		struct berm_pos got;
		cJSON *tree = NULL, *v;

		ASSERT_OK(berm_yaml_parse(c->in, strlen(c->in), &tree, &fault, &err), &err);
		v = cJSON_GetObjectItem(tree, "v");
		v = v ? v : cJSON_GetObjectItem(tree->child, "v");
		ASSERT_TRUE(v != NULL);
		place = berm_node_place(v, c->in, strlen(c->in), &file);
		got = berm_place_map(&place, (struct berm_pos){ c->line, c->column });
		EXPECT_EQ(got.line, c->want_line);
		EXPECT_EQ(got.column, c->want_column);
		/* Backwards too: questions need not come in order. */
		(void)berm_place_map(&place, (struct berm_pos){ 1, 1 });
		EXPECT_EQ(berm_place_map(&place, (struct berm_pos){ c->line, c->column }).column,
			  c->want_column);
		cJSON_Delete(tree);
	}
}

TEST(json)
{
	static const struct {
		const char *name, *in;
		int rc;
		const char *msg;
		int line, column;
	} cases[] = {
		{ "object", "{\"a\": [1, true, null, \"x\"]}\n", 0, NULL, 0, 0 },
		{ "no blanks", "{\"a\":{\"b\":1}}", 0, NULL, 0, 0 },
		{ "tabs", "{\n\t\"a\":\t1\n}", 0, NULL, 0, 0 },
		{ "escapes", "{\"a\": \"\\/\\u00e4\\n\\\"\"}", 0, NULL, 0, 0 },
		{ "duplicate key", "{\"a\": 1,\n\"a\": 2}", -EINVAL, "'a' is there twice", 2, 1 },
		{ "YAML", "a: 1", -EINVAL, "not JSON", 1, 0 },
		{ "single quotes", "{'a': 1}", -EINVAL, "not JSON", 1, 0 },
		{ "trailing comma", "{\"a\": 1,}", -EINVAL, "not JSON", 1, 0 },
		{ "comment", "{\"a\": 1} # x", -EINVAL, "behind the end", 1, 10 },
		{ "two values", "{}\n{}", -EINVAL, "behind the end", 2, 1 },
		{ "cut", "{\"a\": [1", -EINVAL, "not JSON", 1, 0 },
	}, *c;

	for_each_case(c, cases) {
		struct berm_tree_fault fault = { 0 };
		struct berm_err err = { 0 };
		cJSON *tree = NULL;
		int rc = berm_json_parse(c->in, strlen(c->in), &tree, &fault, &err);

		EXPECT_EQ(rc, c->rc);
		if (rc) {
			EXPECT_STR_HAS(err.msg, c->msg);
			EXPECT_EQ(fault.at.line, c->line);
			if (c->column) /* where cJSON stops depends on its version */
				EXPECT_EQ(fault.at.column, c->column);
		}
		cJSON_Delete(tree);
	}
}
