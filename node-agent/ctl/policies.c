/* SPDX-License-Identifier: Apache-2.0 */
/* policies.c - `bermctl policies`: the documents the agent knows and what became of each. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "source.h"

static enum ctl_tone state_tone(const cJSON *item)
{
	const char *state = ctl_string_at(item, "state");

	if (!strcmp(state, "enforced"))
		return CTL_GOOD;
	if (!strcmp(state, "pending"))
		return CTL_WARN;
	if (!strcmp(state, "audit"))
		return CTL_WARN;
	if (!strcmp(state, "outside-schedule"))
		return CTL_DIM;
	return strcmp(state, "disabled") ? CTL_BAD : CTL_DIM;
}

static char *source(const cJSON *item)
{
	auto_free char *line = ctl_text_at(item, "line");

	return ctl_printf("%s:%s", ctl_string_at(item, "source"), line ? line : "?");
}

static char *first_problem(const cJSON *item)
{
	const cJSON *problem = ctl_at(item, "problems") ? ctl_at(item, "problems")->child : NULL;
	const char *field = ctl_string_at(problem, "field"), *hint = ctl_string_at(problem, "hint");

	if (!problem)
		return NULL;
	return ctl_printf("%s%s%s%s%s", field, *field ? ": " : "",
			  ctl_string_at(problem, "message"), *hint ? "; " : "", hint);
}

static char *name(const cJSON *item)
{
	const char *ns = ctl_string_at(item, "namespace");
	char *text = ctl_printf("%s/%s%s%s", ctl_string_at(item, "kind"), ns, *ns ? "/" : "",
				ctl_string_at(item, "name"));

	for (char *c = text; c && *c && *c != '/'; c++)
		*c |= 0x20; /* kinds are ASCII letters */
	return text;
}

static const struct ctl_column columns[] = {
	{ .title = "NAMESPACE", .path = "namespace" },
	{ .title = "NAME", .path = "name" },
	{ .title = "KIND", .path = "kind" },
	{ .title = "TIER", .path = "tier" },
	{ .title = "PRIORITY", .path = "priority", .flags = CTL_COL_WIDE | CTL_COL_RIGHT },
	{ .title = "STATE", .path = "state", .tone = state_tone },
	{ .title = "CHANGES", .path = "changes", .flags = CTL_COL_WIDE },
	{ .title = "ISOLATES", .path = "isolate" },
	{ .title = "PODS", .path = "subjects", .flags = CTL_COL_RIGHT },
	{ .title = "RULES", .path = "rules", .flags = CTL_COL_RIGHT },
	{ .title = "SOURCE", .text = source, .flags = CTL_COL_WIDE },
	{ .title = "PROBLEM", .text = first_problem },
};

static const struct ctl_view view = {
	.list = "policies",
	.noun = "policies",
	.column = columns,
	.columns = ARRAY_SIZE(columns),
	.name = name,
};

static int once(void *arg)
{
	const struct ctl_options *options = arg;
	struct berm_err err = { 0 };
	cJSON *doc = NULL;
	int rc = ctl_agent_get(options, "/v1/policies", &doc, &err), code;

	if (ctl_agent_is_absent(rc)) {
		ctl_note("documents are known to the agent only, and there is none on %s; "
			 "'%s rules' shows what is in the kernel",
			 options->socket, ctl_program);
		return CTL_FAILED;
	}
	if (rc)
		return ctl_complain("policies", &err);
	code = ctl_show(options, &view, doc);
	cJSON_Delete(doc);
	return code;
}

static int run(const struct ctl_command *cmd, int argc, char **argv, struct ctl_options *options)
{
	struct ctl_args args = { options };

	ctl_parse(cmd, argc, argv, &args);
	return ctl_repeat(options, once, options);
}

static const struct argp argp = {
	.parser = ctl_parse_nothing,
	.children = ctl_watch_children,
	.doc = "Every policy document the agent has read: its state, how many pods of this node it selects, and what "
	       "is wrong with it. Needs the agent.\v"
	       "Example:\n  bermctl policies -o wide\n  bermctl policies -o name",
};

const struct ctl_command ctl_policies = { "policies", "policy documents and their state", &argp,
					  run };
