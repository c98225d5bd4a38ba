/* SPDX-License-Identifier: Apache-2.0 */
/* test_ctl_text.c - bermctl: values as people read and write them, and documents as YAML. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "test.h"

#define NS 1000000000LL

/* EXPECT_STR_EQ for malloc'ed strings. */
static void expect_text(char *got, const char *want)
{
	EXPECT_STR_EQ(got ? got : "(null)", want);
	free(got);
}

TEST(durations)
{
	static const struct {
		const char *name, *in;
		int rc;
		double seconds;
	} cases[] = {
		{ "seconds", "90s", 0, 90 },
		{ "minutes", "5m", 0, 300 },
		{ "milliseconds are not minutes", "500ms", 0, 0.5 },
		{ "several units", "1h30m", 0, 5400 },
		{ "days", "2d", 0, 172800 },
		{ "fraction", "1.5s", 0, 1.5 },
		{ "empty", "", -EINVAL, 0 },
		{ "no unit", "5", -EINVAL, 0 },
		{ "no number", "m", -EINVAL, 0 },
		{ "unknown unit", "5w", -EINVAL, 0 },
		{ "negative", "-5m", -EINVAL, 0 },
		{ "hexadecimal", "0x5m", -EINVAL, 0 },
		{ "two dots", "1.2.3s", -EINVAL, 0 },
		{ "trailing space", "5m ", -EINVAL, 0 },
	}, *c;

	for_each_case(c, cases) {
		double seconds = 0;

		EXPECT_EQ(ctl_duration_parse(c->in, &seconds), c->rc);
		EXPECT_TRUE(seconds == c->seconds);
	}
}

TEST(times)
{
	static const struct {
		const char *name, *in;
		int rc;
		int64_t ns;
	} cases[] = {
		{ "whole seconds", "2026-01-31T09:00:00Z", 0, 1769850000 * NS },
		{ "nanoseconds", "2026-01-31T09:00:00.000000001Z", 0, 1769850000 * NS + 1 },
		{ "milliseconds", "2026-01-31T09:00:00.250Z", 0, 1769850000 * NS + 250000000 },
		{ "zone east", "2026-01-31T11:00:00+02:00", 0, 1769850000 * NS },
		{ "zone west", "2026-01-31T04:30:00-04:30", 0, 1769850000 * NS },
		{ "no zone", "2026-01-31T09:00:00", -EINVAL, 0 },
		{ "too many digits", "2026-01-31T09:00:00.0000000001Z", -EINVAL, 0 },
		{ "date only", "2026-01-31", -EINVAL, 0 },
		{ "garbage behind", "2026-01-31T09:00:00Zoo", -EINVAL, 0 },
		{ "a duration", "5m", -EINVAL, 0 },
	}, *c;

	for_each_case(c, cases) {
		int64_t ns = 0;

		EXPECT_EQ(ctl_time_parse(c->in, &ns), c->rc);
		EXPECT_EQ(ns, c->ns);
	}
}

TEST(numbers_for_people)
{
	expect_text(ctl_age(0), "0s");
	expect_text(ctl_age(-3), "0s");
	expect_text(ctl_age(59.9), "59s");
	expect_text(ctl_age(192), "3m12s");
	expect_text(ctl_age(3600), "1h00m");
	expect_text(ctl_age(90000), "1d01h");
	expect_text(ctl_count(0), "0");
	expect_text(ctl_count(999), "999");
	expect_text(ctl_count(262150), "262,150");
	expect_text(ctl_count(UINT64_MAX), "18,446,744,073,709,551,615");
	expect_text(ctl_bytes(1023), "1023 B");
	expect_text(ctl_bytes(9.5 * 1024 * 1024), "9.5 MiB");
}

TEST(name_patterns)
{
	static const struct {
		const char *name, *pattern, *ns, *pod;
		bool want;
	} cases[] = {
		{ "name in any namespace", "web", "shop", "web", true },
		{ "pattern", "web-*", "shop", "web-7d9f", true },
		{ "whole name, not a part", "web", "shop", "web-7d9f", false },
		{ "with namespace", "shop/web", "shop", "web", true },
		{ "other namespace", "shop/web", "other", "web", false },
		{ "any pod of a namespace", "shop/*", "shop", "db", true },
		{ "namespace is a pattern too", "*/db", "shop", "db", true },
	}, *c;

	for_each_case(c, cases)
		EXPECT_EQ(ctl_name_matches(c->pattern, c->ns, c->pod), c->want);
}

TEST(values_at_a_path)
{
	cJSON *doc = cJSON_Parse("{\"a\":{\"b\":\"x\",\"n\":4294967295,\"t\":true},\"l\":[\"p\",1],"
				 "\"labels\":{\"app\":\"web\",\"env\":\"prod\"},\"e\":[]}");

	ASSERT_TRUE(doc);
	expect_text(ctl_text_at(doc, "a.b"), "x");
	expect_text(ctl_text_at(doc, "a.n"), "4294967295");
	expect_text(ctl_text_at(doc, "a.t"), "yes");
	expect_text(ctl_text_at(doc, "l"), "p,1");
	expect_text(ctl_text_at(doc, "labels"), "app=web,env=prod");
	EXPECT_TRUE(!ctl_text_at(doc, "a.absent"));
	EXPECT_TRUE(!ctl_text_at(doc, "a.b.c"));
	EXPECT_STR_EQ(ctl_string_at(doc, "a.n"), "");
	EXPECT_TRUE(ctl_number_at(doc, "a.b") == 0);
	EXPECT_TRUE(ctl_true_at(doc, "a.t"));
	cJSON_Delete(doc);
}

static void expect_yaml(const char *json, const char *want)
{
	cJSON *doc = cJSON_Parse(json);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	ASSERT_TRUE(doc && out);
	ctl_yaml_print(doc, out);
	fclose(out);
	EXPECT_STR_EQ(text, want);
	free(text);
	cJSON_Delete(doc);
}

TEST(yaml_structure)
{
	expect_yaml("{}", "{}\n");
	expect_yaml("[]", "[]\n");
	expect_yaml("{\"a\":1,\"b\":{\"c\":\"x\"},\"d\":[],\"e\":{}}",
		    "a: 1\nb:\n  c: x\nd: []\ne: {}\n");
	expect_yaml("{\"l\":[{\"a\":1,\"b\":[2]},\"s\",[3]]}",
		    "l:\n- a: 1\n  b:\n  - 2\n- s\n-\n  - 3\n");
}

TEST(yaml_strings_keep_their_type)
{
	static const struct {
		const char *name, *json, *want;
	} cases[] = {
		{ "word", "[\"web\"]", "- web\n" },
		{ "path", "[\"shop/web-1\"]", "- shop/web-1\n" },
		{ "boolean of YAML 1.1", "[\"no\"]", "- \"no\"\n" },
		{ "upper case", "[\"True\"]", "- \"True\"\n" },
		{ "null", "[\"null\"]", "- \"null\"\n" },
		{ "number", "[\"5\"]", "- \"5\"\n" },
		{ "address", "[\"10.1.2.3\"]", "- \"10.1.2.3\"\n" },
		{ "empty", "[\"\"]", "- \"\"\n" },
		{ "colon", "[\"a: b\"]", "- \"a: b\"\n" },
		{ "comment", "[\"a #b\"]", "- \"a #b\"\n" },
		{ "space at the end", "[\"a \"]", "- \"a \"\n" },
		{ "line break", "[\"a\\nb\"]", "- \"a\\nb\"\n" },
		{ "hostile key", "{\"- x: [\":1}", "\"- x: [\": 1\n" },
	}, *c;

	for_each_case(c, cases)
		expect_yaml(c->json, c->want);
}

TEST(colors_follow_option_and_environment)
{
	struct ctl_options options = { .color = CTL_COLOR_AUTO };

	unsetenv("NO_COLOR");
	FILE *file = tmpfile();
	ASSERT_TRUE(file);
	EXPECT_FALSE(ctl_has_color(&options, file)); /* no terminal */
	options.color = CTL_COLOR_ALWAYS;
	EXPECT_TRUE(ctl_has_color(&options, file));
	setenv("NO_COLOR", "1", 1);
	EXPECT_TRUE(ctl_has_color(&options, file)); /* an option is stronger */
	options.color = CTL_COLOR_NEVER;
	EXPECT_FALSE(ctl_has_color(&options, file));
	EXPECT_STR_EQ(ctl_tone_start(CTL_BAD, false), "");
	fclose(file);
}
