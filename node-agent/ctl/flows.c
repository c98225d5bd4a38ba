/* SPDX-License-Identifier: Apache-2.0 */
/* flows.c - `bermctl flows`: verdicts of the recent past, and as they happen. Needs the agent. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "flow_text.h"
#include "rest.h"
#include "source.h"

#define EVERYTHING   1000000 /* more than the agent keeps */
#define LAST_DEFAULT 20

struct args {
	struct ctl_args common;
	struct ctl_flow_filter filter;
	bool follow;
	long last; /* -1: not given */
	bool color, header_done;
	/* the newest N of the history, oldest at `next` once it is full */
	cJSON **ring;
	size_t capacity, count, next;
	int64_t seen_ns; /* newest of the history */
};

static void print(struct args *args, const cJSON *flow)
{
	const struct ctl_options *options = args->common.options;
	bool wide = options->format == CTL_WIDE;

	if (options->format == CTL_JSON) {
		ctl_json_print(flow, true, stdout);
	} else if (options->format == CTL_YAML) {
		fputs("---\n", stdout);
		ctl_yaml_print(flow, stdout);
	} else {
		if (!args->header_done)
			ctl_flow_print_header(wide, args->color, stdout);
		ctl_flow_print(flow, wide, args->color, stdout);
	}
	args->header_done = true;
}

static int remember(char *line, void *arg)
{
	struct args *args = arg;
	cJSON *flow = cJSON_Parse(line);
	int64_t time = flow ? ctl_flow_time(flow) : 0;

	if (!flow)
		return -EBADMSG;
	if (time > args->seen_ns)
		args->seen_ns = time;
	if (!args->capacity || !ctl_flow_is_wanted(&args->filter, flow)) {
		cJSON_Delete(flow);
		return 0;
	}
	cJSON_Delete(args->ring[args->next]);
	args->ring[args->next] = flow;
	args->next = (args->next + 1) % args->capacity;
	if (args->count < args->capacity)
		args->count++;
	return 0;
}

static void print_ring(struct args *args)
{
	size_t from = args->count < args->capacity ? 0 : args->next;

	for (size_t i = 0; i < args->count; i++)
		print(args, args->ring[(from + i) % args->capacity]);
}

static void free_ring(struct args *args)
{
	for (size_t i = 0; args->ring && i < args->capacity; i++)
		cJSON_Delete(args->ring[i]);
	free(args->ring);
}

static int show_new(char *line, void *arg)
{
	struct args *args = arg;
	cJSON *flow = cJSON_Parse(line);

	if (!flow)
		return -EBADMSG;
	if (ctl_flow_time(flow) > args->seen_ns && ctl_flow_is_wanted(&args->filter, flow)) {
		print(args, flow);
		(void)ctl_finish(CTL_OK); /* ends the program when nobody reads any more */
	}
	cJSON_Delete(flow);
	return 0;
}

static int fetch(struct args *args, bool follow, int (*line)(char *, void *), struct berm_err *err)
{
	auto_free char *path = ctl_printf("/v1/flows?follow=%d&last=%d", follow, EVERYTHING);
	struct berm_rest_call call = { .socket = args->common.options->socket,
				       .method = "GET",
				       .path = path,
				       .connect_ms = 1000,
				       .timeout_ms = follow ? 0 : 10000 };

	return path ? berm_rest_lines(&call, line, args, err)
		    : berm_fail(err, -ENOMEM, "ask for flows");
}

static int complain(const struct args *args, int rc, struct berm_err *err)
{
	if (ctl_agent_is_absent(rc)) {
		ctl_note("flows come from the agent, and there is none on %s; '%s sessions' shows what is allowed now",
			 args->common.options->socket, ctl_program);
		return CTL_FAILED;
	}
	if (rc == -EBADMSG && !err->code)
		(void)berm_refuse(err, rc, "the agent sent a line that is no JSON");
	return ctl_complain("flows", err);
}

/*
 * History first, then the stream. The stream starts with the history again, so that nothing falls between
 * the two; what was in the history is told by its time.
 */
static int show_flows(struct args *args)
{
	struct berm_err err = { 0 };
	int rc = fetch(args, false, remember, &err);

	if (rc)
		return complain(args, rc, &err);
	print_ring(args);
	if (!args->follow) {
		if (!args->count)
			ctl_note("no flows match");
		return CTL_OK;
	}
	(void)ctl_finish(CTL_OK); /* shows the history now */
	rc = fetch(args, true, show_new, &err);
	if (rc)
		return complain(args, rc, &err);
	ctl_note("the agent has ended the stream");
	return CTL_FAILED;
}

/* "5m" before now, or a moment like 2026-11-21T09:00:00Z. */
static void set_since(struct args *args, const char *arg, struct argp_state *state)
{
	struct timespec now;
	double seconds;

	if (!ctl_time_parse(arg, &args->filter.since_ns))
		return;
	if (ctl_duration_parse(arg, &seconds))
		argp_error(state,
			   "'%s' is neither a duration like 5m nor a time like 2026-01-31T09:00:00Z",
			   arg);
	clock_gettime(CLOCK_REALTIME, &now);
	args->filter.since_ns =
		(int64_t)now.tv_sec * 1000000000 + now.tv_nsec - (int64_t)(seconds * 1e9);
}

static const char *one_of(const char *arg, const char *const *words, struct argp_state *state)
{
	for (size_t i = 0; words[i]; i++)
		if (!strcasecmp(arg, words[i]))
			return arg;
	argp_error(state, "'%s' is none of %s, %s%s%s", arg, words[0], words[1],
		   words[2] ? ", " : "", words[2] ? words[2] : "");
	return arg;
}

enum { OPT_VERDICT = 0x200, OPT_PORT, OPT_RULE, OPT_SINCE, OPT_LAST, OPT_DIRECTION };

static error_t parse_filter(int key, char *arg, struct argp_state *state)
{
	static const char *const verdicts[] = { "FORWARDED", "DROPPED", "REJECTED", "ENDED", "AUDIT", NULL };
	static const char *const directions[] = { "ingress", "egress", NULL };
	struct args *args = state->input;

	switch (key) {
	case OPT_VERDICT:
		args->filter.verdict = one_of(arg, verdicts, state);
		return 0;
	case OPT_DIRECTION:
		args->filter.direction = one_of(arg, directions, state);
		return 0;
	case 'p':
		args->filter.pod = arg;
		return 0;
	case 'n':
		args->filter.ns = arg;
		return 0;
	case OPT_PORT:
		args->filter.port = (int)ctl_number_arg(arg, 65535, "port", state);
		return 0;
	case OPT_RULE:
		args->filter.rule = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case 'f':
		args->follow = true;
		return 0;
	case OPT_SINCE:
		set_since(args, arg, state);
		return 0;
	case OPT_LAST:
		args->last = ctl_number_arg(arg, EVERYTHING, "number of flows", state);
		return 0;
	case ARGP_KEY_END:
		if (args->common.options->format == CTL_NAME)
			argp_error(state, "flows have no names: -o name is not offered");
		return 0;
	case ARGP_KEY_INIT:
	case ARGP_KEY_ARG:
		return ctl_parse_nothing(key, arg, state);
	default:
		return parse_filter(key, arg, state);
	}
}

static const struct argp_option options_of_flows[] = {
	{ "follow", 'f', NULL, 0, "go on with new ones as they happen", 1 },
	{ NULL, 0, NULL, 0, "Filters (names may be shell patterns):", 2 },
	{ "verdict", OPT_VERDICT, "VERDICT", 0, "forwarded, dropped, rejected, ended, or audit: what audit policies would change", 2 },
	{ "direction", OPT_DIRECTION, "DIRECTION", 0,
	  "ingress or egress, as the judged pod sees it", 2 },
	{ "pod", 'p', "[NS/]POD", 0, "with this pod on either end", 2 },
	{ "namespace", 'n', "NS", 0, "with a pod of this namespace on either end", 2 },
	{ "port", OPT_PORT, "N", 0, "with this port on either end", 2 },
	{ "rule", OPT_RULE, "NAME", 0, "decided by this rule, policy or reason", 2 },
	{ "since", OPT_SINCE, "TIME", 0, "not older than 5m, or since 2026-01-31T09:00:00Z", 2 },
	{ "last", OPT_LAST, "N", 0, "the newest N that match (default 20; with --since all)", 2 },
	{ 0 },
};

static const struct argp argp = {
	.options = options_of_flows,
	.parser = parse,
	.children = ctl_common_children,
	.doc = "Verdicts, newest last, each with the rule that decided. A connection between two pods of this node is "
	       "judged twice: leaving the one and entering the other. JSON is one record a line. Needs the agent.\v"
	       "Example:\n  bermctl flows -f --verdict dropped --namespace shop\n"
	       "  bermctl flows --since 10m --rule 'shop/db-*' -o json | jq .source.pod",
};

static int run(const struct ctl_command *cmd, int argc, char **argv, struct ctl_options *options)
{
	struct args args = { .common = { options }, .last = -1 };
	int code;

	ctl_parse(cmd, argc, argv, &args);
	args.color = ctl_has_color(options, stdout);
	if (args.last < 0)
		args.last = args.filter.since_ns ? EVERYTHING : LAST_DEFAULT;
	args.capacity = (size_t)args.last;
	args.ring = calloc(args.capacity + 1, sizeof(*args.ring));
	if (!args.ring) {
		ctl_note("not enough memory for %ld flows", args.last);
		return CTL_FAILED;
	}
	code = show_flows(&args);
	free_ring(&args);
	return code;
}

const struct ctl_command ctl_flows = { "flows", "verdicts of the recent past and as they happen",
				       &argp, run };
