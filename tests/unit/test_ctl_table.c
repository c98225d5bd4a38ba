/* SPDX-License-Identifier: Apache-2.0 */
/* test_ctl_table.c - bermctl: items as tables, sessions as documents, endpoints that are not enforced. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "session_table.h"
#include "test.h"

static enum ctl_tone bad(const cJSON *item)
{
	(void)item;
	return CTL_BAD;
}

static const struct ctl_column columns[] = {
	{ .title = "NAME", .path = "name" },
	{ .title = "HITS", .path = "hits", .flags = CTL_COL_RIGHT },
	{ .title = "MORE", .path = "more.x", .flags = CTL_COL_WIDE },
	{ .title = "STATE", .path = "state", .tone = bad },
};
static const struct ctl_view view = { .list = "things",
				      .column = columns,
				      .columns = ARRAY_SIZE(columns) };

static char *table(enum ctl_format format, enum ctl_color color)
{
	struct ctl_options options = { .format = format, .color = color };
	cJSON *items = cJSON_Parse(
		"[{\"name\":\"a\",\"hits\":5,\"more\":{\"x\":\"y\"},\"state\":\"ok\"},"
		"{\"name\":\"a-longer-name-than-any-terminal-is-wide-a-longer-name-than-any-terminal-is-"
		"wide-a-longer-name\",\"hits\":1234}]");
	struct berm_err err = { 0 };
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	ASSERT_TRUE(items && out);
	ASSERT_OK(ctl_table_print(&options, &view, items, out, &err), &err);
	fclose(out);
	cJSON_Delete(items);
	return test_keep(text);
}

TEST(table_shows_columns_of_its_format)
{
	EXPECT_STR_LACKS(table(CTL_TABLE, CTL_COLOR_NEVER), "MORE");
	EXPECT_STR_HAS(table(CTL_WIDE, CTL_COLOR_NEVER), "MORE");
	EXPECT_STR_HAS(table(CTL_TABLE, CTL_COLOR_NEVER),
		       "terminal-is-wide-a-longer-name ");	     /* never cut */
	EXPECT_STR_HAS(table(CTL_TABLE, CTL_COLOR_NEVER), "1234 -"); /* absent: a dash */
}

TEST(table_has_colors_only_when_wanted)
{
	EXPECT_STR_LACKS(table(CTL_TABLE, CTL_COLOR_NEVER), "\033");
	EXPECT_STR_HAS(table(CTL_TABLE, CTL_COLOR_ALWAYS), "\033[1;31m");
}

/* ---- sessions ---- */

static struct berm_node shared; /* too big for a stack */
static struct ctl_node node;
static const struct ctl_session_context ctx = { .node = &node, .now = 1000, .hz = 250 };

static struct berm_addr addr(const char *text)
{
	struct berm_addr out = { 0 };

	ASSERT_EQ(berm_addr_parse(text, &out), 0);
	return out;
}

static void two_pods(void)
{
	static struct berm_record record[2] = {
		{ .ns = "shop", .pod = "db", .ifindex = 7, .slot = 3, .addr_count = 2 },
		{ .ns = "front", .pod = "web-1", .ifindex = 9, .slot = 4, .addr_count = 1 },
	};

	record[0].addr[0] = addr("fd00::3");
	record[0].addr[1] = addr("10.1.0.3");
	record[1].addr[0] = addr("10.1.0.2");
	shared.epoch[3] = 42;
	node = (struct ctl_node){ .maps = { .node = &shared }, .record = record, .records = 2 };
}

static struct ctl_session web_to_db(void)
{
	return (struct ctl_session){
		.way = { .peer = addr("10.1.0.2"),
			 .word = 42ull << 32 | 99,
			 .local_port = htons(5432),
			 .peer_port = htons(41000),
			 .iface = 7 << 8 | IPPROTO_TCP,
			 .rule = BERM_REASON_NOT_ISOLATED,
			 .slot = 3,
			 .state = BERM_SESSION_OPEN | BERM_SESSION_ESTABLISHED,
			 .packets = { 5, 4 },
			 .bytes = { 500, 400 } },
		.deadline = 1500,
	};
}

TEST(session_states, "a session is shown by its state of TCP")
{
	static const struct {
		const char *name;
		uint8_t progress;
		const char *state, *tcp;
	} cases[] = {
		{ "syn", 0, "half-open", "syn-sent" },
		{ "answered", BERM_SESSION_ANSWERED, "half-open", "syn-received" },
		{ "established", 0x82, "established", "established" },
		{ "one FIN", 0x82 | BERM_SESSION_ANSWERER_FIN, "half-closed", "fin-wait-1" },
		{ "acknowledged", 0x82 | BERM_SESSION_ANSWERER_FIN | BERM_SESSION_ANSWERER_ACKED,
		  "half-closed", "fin-wait-2" },
		{ "both", 0x82 | 0x0c | BERM_SESSION_OPENER_ACKED, "closing", "last-ack" },
		{ "both acknowledged", 0xbf, "closing", "time-wait" },
		{ "reset", 0xff, "reset", "closed" },
	}, *c;
	struct ctl_session session = web_to_db();

	for_each_case(c, cases) {
		session.way.iface = 7 << 8 | IPPROTO_TCP;
		session.way.state = BERM_SESSION_OPEN | c->progress;
		EXPECT_STR_EQ(ctl_session_state(&session.way), c->state);
		EXPECT_STR_EQ(ctl_session_tcp_state(&session.way), c->tcp);
		session.way.iface = 7 << 8 | IPPROTO_UDP;
		EXPECT_FALSE(ctl_session_tcp_state(&session.way));
	}
}

TEST(session_is_described)
{
	struct ctl_session session = web_to_db();
	cJSON *item;

	two_pods();
	item = ctl_session_describe(&ctx, &session);
	EXPECT_STR_EQ(ctl_string_at(item, "protocol"), "TCP");
	EXPECT_STR_EQ(ctl_string_at(item, "direction"), "ingress");
	EXPECT_STR_EQ(ctl_string_at(item, "state"), "established");
	EXPECT_STR_EQ(ctl_string_at(item, "local.ip"), "10.1.0.3"); /* of the peer's family */
	EXPECT_EQ(ctl_number_at(item, "local.port"), 5432);
	EXPECT_STR_EQ(ctl_string_at(item, "peer.pod"), "web-1");
	EXPECT_STR_EQ(ctl_string_at(item, "rule.label"), "not-isolated");
	EXPECT_EQ(ctl_number_at(item, "packets.ingress"), 5);
	EXPECT_EQ(ctl_number_at(item, "bytes.egress"), 400);
	EXPECT_EQ(ctl_number_at(item, "expires_seconds"), 2);
	EXPECT_FALSE(ctl_true_at(item, "to_be_judged_again"));
	cJSON_Delete(item);
	session.way.word = 41ull << 32 | 99;
	item = ctl_session_describe(&ctx, &session);
	EXPECT_TRUE(ctl_true_at(item, "to_be_judged_again"));
	cJSON_Delete(item);
}

TEST(session_filters)
{
	static const struct {
		const char *name;
		struct ctl_session_filter filter;
		bool want;
	} cases[] = {
		{ "none", { 0 }, true },
		{ "pod", { .pod = "db" }, true },
		{ "pod with namespace", { .pod = "shop/d*" }, true },
		{ "the other end is no pod of it", { .pod = "web-1" }, false },
		{ "namespace", { .ns = "shop" }, true },
		{ "namespace of the peer", { .ns = "front" }, false },
		{ "local port", { .port = 5432 }, true },
		{ "peer port", { .port = 41000 }, true },
		{ "another port", { .port = 80 }, false },
		{ "peer by address", { .peer = "10.1.0.2" }, true },
		{ "peer by name", { .peer = "front/web-*" }, true },
		{ "another peer", { .peer = "10.1.0.9" }, false },
		{ "state", { .state = "established" }, true },
		{ "another state", { .state = "half-open" }, false },
		{ "expired", { .expired = true }, false },
	}, *c;
	struct ctl_session session = web_to_db(), old = web_to_db();

	old.deadline = 1000;
	two_pods();
	for_each_case(c, cases)
		EXPECT_EQ(ctl_session_is_wanted(&ctx, &c->filter, &session), c->want);
	EXPECT_FALSE(ctl_session_is_wanted(&ctx, &cases[0].filter, &old));
	EXPECT_TRUE(ctl_session_is_wanted(&ctx, &cases[ARRAY_SIZE(cases) - 1].filter, &old));
}

TEST(deadlines_survive_the_wrap_of_jiffies)
{
	static const struct ctl_session_context late = { .node = &node,
							 .now = 0xfffffff0,
							 .hz = 250 };
	static const struct ctl_session_filter all = { 0 };
	struct ctl_session session = web_to_db();

	two_pods();
	session.deadline = 234;
	EXPECT_TRUE(ctl_session_is_wanted(&late, &all, &session));
	session.deadline = 0xffffffef;
	EXPECT_FALSE(ctl_session_is_wanted(&late, &all, &session));
}

/* ---- endpoints ---- */

TEST(endpoint_problems)
{
	static const struct {
		const char *name, *json, *want; /* part of the text; NULL: no problem */
	} cases[] = {
		{ "fine",
		  "{\"judged\":true,\"hooks\":{\"ingress\":{\"attached\":true},\"egress\":{\"attached\":true}}}", NULL },
		{ "hook missing", "{\"judged\":true,\"hooks\":{\"ingress\":{\"attached\":true},\"egress\":{}}}",
		  "no program of ours on its egress hook" },
		{ "hooks not looked at", "{\"judged\":true}", "no program of ours on its ingress hook" },
		{ "foreign program first",
		  "{\"judged\":true,\"hooks\":{\"ingress\":{\"attached\":true,\"before\":1,\"foreign\":\"spy\"},"
		  "\"egress\":{\"attached\":true}}}",
		  "'spy' runs before ours" },
		{ "fallback",
		  "{\"judged\":false,\"fallback\":\"deny\",\"hooks\":{\"ingress\":{\"attached\":true},"
		  "\"egress\":{\"attached\":true}}}",
		  "the fallback 'deny'" },
		{ "what the agent says",
		  "{\"judged\":true,\"problem\":\"no such set\",\"hooks\":{\"ingress\":{\"attached\":true},"
		  "\"egress\":{\"attached\":true}}}",
		  "no such set" },
	}, *c;

	for_each_case(c, cases) {
		cJSON *endpoint = cJSON_Parse(c->json);
		char buf[256];
		const char *got = ctl_endpoint_problem(endpoint, buf, sizeof(buf));

		ASSERT_TRUE(endpoint);
		if (c->want)
			EXPECT_STR_HAS(got ? got : "(none)", c->want);
		else
			EXPECT_STR_EQ(got ? got : "(none)", "(none)");
		cJSON_Delete(endpoint);
	}
}
