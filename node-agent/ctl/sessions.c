/* SPDX-License-Identifier: Apache-2.0 */
/* sessions.c - `bermctl sessions`: what is allowed right now, straight from the kernel. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "jiffies.h"
#include "session_table.h"

#define TABLE_LIMIT 1000 /* rows of a table; documents have no limit unless asked for */

struct args {
	struct ctl_args common;
	struct ctl_session_filter filter;
	long limit; /* -1: not given; 0: none */
	bool count;
};

struct collection {
	const struct ctl_session_context *ctx;
	const struct args *args;
	cJSON *list;			 /* for tables */
	size_t matching, limit, written; /* limit 0: none */
};

static char *end_text(const cJSON *item, const char *end)
{
	const cJSON *object = ctl_at(item, end);
	const char *pod = ctl_string_at(object, "pod"), *ip = ctl_string_at(object, "ip");
	auto_free char *port = ctl_text_at(object, "port");
	auto_free char *who = *pod ? ctl_printf("%s/%s", ctl_string_at(object, "namespace"), pod)
				   : NULL;

	return ctl_printf("%s%s%s", who ? who : *ip ? ip : "?", port ? ":" : "", port ? port : "");
}

static char *local(const cJSON *item)
{
	return end_text(item, "local");
}
static char *peer(const cJSON *item)
{
	return end_text(item, "peer");
}
/* "TCP", or "TCP/tls" where that is known. */
static char *protocol(const cJSON *item)
{
	const char *app = ctl_string_at(item, "app");

	return ctl_printf("%s%s%s", ctl_string_at(item, "protocol"), *app ? "/" : "", app);
}

static char *expires(const cJSON *item)
{
	return ctl_age(ctl_number_at(item, "expires_seconds"));
}

static char *packets(const cJSON *item)
{
	return ctl_printf("%.0f/%.0f", ctl_number_at(item, "packets.ingress"),
			  ctl_number_at(item, "packets.egress"));
}

static char *bytes(const cJSON *item)
{
	auto_free char *in = ctl_bytes(ctl_number_at(item, "bytes.ingress"));
	auto_free char *out = ctl_bytes(ctl_number_at(item, "bytes.egress"));

	return ctl_printf("%s/%s", in ? in : "", out ? out : "");
}

static char *notes(const cJSON *item)
{
	return ctl_printf("%s%s%s",
			  ctl_true_at(item, "to_be_judged_again") ? "to be judged again " : "",
			  ctl_true_at(item, "adopted") ? "adopted " : "",
			  ctl_true_at(item, "by_node") ? "by the node" : "");
}

static char *state(const cJSON *item)
{
	const char *tcp = ctl_string_at(item, "tcp_state");

	return strdup(*tcp ? tcp : ctl_string_at(item, "state"));
}

static enum ctl_tone state_tone(const cJSON *item)
{
	return strcmp(ctl_string_at(item, "state"), "established") ? CTL_DIM : CTL_GOOD;
}

static const struct ctl_column columns[] = {
	{ .title = "PROTO", .text = protocol },
	{ .title = "POD", .text = local },
	{ .title = "OPENED", .path = "direction" },
	{ .title = "PEER", .text = peer },
	{ .title = "STATE", .text = state, .tone = state_tone },
	{ .title = "PACKETS IN/OUT", .text = packets, .flags = CTL_COL_RIGHT },
	{ .title = "EXPIRES", .text = expires, .flags = CTL_COL_RIGHT },
	{ .title = "RULE", .path = "rule.label" },
	{ .title = "LOCAL IP", .path = "local.ip", .flags = CTL_COL_WIDE },
	{ .title = "PEER IP", .path = "peer.ip", .flags = CTL_COL_WIDE },
	{ .title = "BYTES IN/OUT", .text = bytes, .flags = CTL_COL_WIDE | CTL_COL_RIGHT },
	{ .title = "NOTES", .text = notes, .flags = CTL_COL_WIDE },
};

static const struct ctl_view view = {
	.list = "sessions",
	.noun = "sessions match",
	.column = columns,
	.columns = ARRAY_SIZE(columns),
};

static bool is_document(const struct ctl_options *options)
{
	return options->format == CTL_JSON || options->format == CTL_YAML;
}

/* A million sessions as one tree would take a gigabyte, so documents are written as they come. */
static void begin_document(const struct args *args)
{
	fputs(args->common.options->format == CTL_JSON ? "{\"sessions\":[" : "sessions:", stdout);
}

static int write_item(struct collection *c, cJSON *item)
{
	cJSON *alone = cJSON_CreateArray();

	cJSON_AddItemToArray(alone, item);
	if (c->args->common.options->format == CTL_YAML) {
		if (!c->written)
			fputc('\n', stdout);
		ctl_yaml_print(alone, stdout);
	} else {
		auto_free char *text = cJSON_PrintUnformatted(item);

		printf("%s\n%s", c->written ? "," : "", text ? text : "null");
	}
	c->written++;
	cJSON_Delete(alone);
	return ferror(stdout) ? -EPIPE : 0;
}

static void end_document(const struct collection *c)
{
	if (c->args->common.options->format == CTL_JSON)
		printf("%s],\"matching\":%zu}\n", c->written ? "\n" : "", c->matching);
	else
		printf("%smatching: %zu\n", c->written ? "" : " []\n", c->matching);
}

static int collect(const struct ctl_session *session, void *arg)
{
	struct collection *c = arg;
	cJSON *item;

	if (!ctl_session_is_wanted(c->ctx, &c->args->filter, session))
		return 0;
	c->matching++;
	if (c->args->count || (c->limit && c->matching > c->limit))
		return 0;
	item = ctl_session_describe(c->ctx, session);
	if (!item)
		return -ENOMEM;
	if (is_document(c->args->common.options))
		return write_item(c, item);
	cJSON_AddItemToArray(c->list, item);
	return 0;
}

static int show(const struct args *args, const struct collection *c, const cJSON *doc)
{
	int code;

	if (args->count) {
		printf("%zu\n", c->matching);
		return CTL_OK;
	}
	code = ctl_show(args->common.options, &view, doc);
	if (c->limit && c->matching > c->limit)
		ctl_note("%zu of %zu sessions shown; --limit=0 shows all", c->limit, c->matching);
	return code;
}

static int walk_and_show(struct collection *c, const struct berm_maps *maps, struct berm_err *err)
{
	bool document = is_document(c->args->common.options);
	cJSON *doc = cJSON_CreateObject();
	int rc, code = CTL_OK;

	c->list = cJSON_AddArrayToObject(doc, view.list);
	if (document)
		begin_document(c->args);
	rc = ctl_sessions_walk(maps, collect, c, err);
	if (rc && rc != -EPIPE) /* ctl_finish() knows what to do about that */
		code = ctl_complain("sessions", err);
	else if (document)
		end_document(c);
	else
		code = show(c->args, c, doc);
	cJSON_Delete(doc);
	return code;
}

static int gather(const struct args *args, const struct ctl_node *node, struct berm_err *err)
{
	struct ctl_session_context ctx = { .node = node };
	struct collection c = { .ctx = &ctx, .args = args };

	if (berm_jiffies_read(&ctx.now, &ctx.hz, err))
		return ctl_complain("sessions", err);
	if (args->limit >= 0)
		c.limit = (size_t)args->limit;
	else if (!is_document(args->common.options))
		c.limit = TABLE_LIMIT;
	return walk_and_show(&c, &node->maps, err);
}

static int once(void *arg)
{
	const struct args *args = arg;
	struct berm_err err = { 0 };
	struct ctl_node node;
	int code;

	if (ctl_node_open(&node, &err))
		return ctl_complain("sessions", &err);
	code = gather(args, &node, &err);
	ctl_node_close(&node);
	return code;
}

enum { OPT_PORT = 0x200, OPT_PEER, OPT_STATE, OPT_LIMIT, OPT_COUNT };

static void set_state(struct args *args, const char *arg, struct argp_state *state)
{
	static const char *const known[] = { CTL_SESSION_STATES, CTL_TCP_STATES, "expired" };

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcmp(known[i], arg) != 0)
			continue;
		args->filter.expired = i == ARRAY_SIZE(known) - 1;
		args->filter.state = args->filter.expired ? NULL : known[i];
		return;
	}
	argp_error(state,
		   "'%s' is no state; there are half-open, established, half-closed, closing, reset, expired, "
		   "and of TCP syn-sent, syn-received, fin-wait-1, fin-wait-2, last-ack, time-wait and closed",
		   arg);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case 'p':
		args->filter.pod = arg;
		return 0;
	case 'n':
		args->filter.ns = arg;
		return 0;
	case OPT_PORT:
		args->filter.port = (int)ctl_number_arg(arg, 65535, "port", state);
		return 0;
	case OPT_PEER:
		args->filter.peer = arg;
		return 0;
	case OPT_STATE:
		set_state(args, arg, state);
		return 0;
	case OPT_LIMIT:
		args->limit = ctl_number_arg(arg, 1 << 24, "number of sessions", state);
		return 0;
	case OPT_COUNT:
		args->count = true;
		return 0;
	case ARGP_KEY_END:
		if (args->common.options->format == CTL_NAME)
			argp_error(state, "sessions have no names: -o name is not offered");
		return 0;
	default:
		return ctl_parse_nothing(key, arg, state);
	}
}

static const struct argp_option options_of_sessions[] = {
	{ NULL, 0, NULL, 0, "Filters (names may be shell patterns):", 1 },
	{ "pod", 'p', "[NS/]POD", 0, "sessions of this pod of the node", 1 },
	{ "namespace", 'n', "NS", 0, "sessions of pods in this namespace", 1 },
	{ "port", OPT_PORT, "N", 0, "with this port on either end", 1 },
	{ "peer", OPT_PEER, "IP|[NS/]POD", 0, "with this other end", 1 },
	{ "state", OPT_STATE, "STATE", 0,
	  "half-open, established, half-closed, closing, reset, a state of TCP such as time-wait, or expired",
	  1 },
	{ "limit", OPT_LIMIT, "N", 0, "at most so many (tables: 1000; 0 = all)", 2 },
	{ "count", OPT_COUNT, NULL, 0, "only say how many", 2 },
	{ 0 },
};

static const struct argp argp = {
	.options = options_of_sessions,
	.parser = parse,
	.children = ctl_watch_children,
	.doc = "The session table, read from the kernel: connections that a rule has allowed, with that rule. A "
	       "connection between two pods of this node is a session of each. Needs no agent.\v"
	       "Example:\n  bermctl sessions --pod shop/web --port 5432\n  bermctl sessions --state established --count",
};

static int run(const struct ctl_command *cmd, int argc, char **argv, struct ctl_options *options)
{
	struct args args = { .common = { options }, .limit = -1 };

	ctl_parse(cmd, argc, argv, &args);
	return ctl_repeat(options, once, &args);
}

const struct ctl_command ctl_sessions = { "sessions", "connections that are allowed right now",
					  &argp, run };
