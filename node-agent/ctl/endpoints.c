/* SPDX-License-Identifier: Apache-2.0 */
/* endpoints.c - `bermctl endpoints`: the pods of this node and what is in force for each. */
#include <string.h>

#include "cleanup.h"
#include "source.h"

static char *set_text(const cJSON *item, const char *path)
{
	const cJSON *set = ctl_at(item, path);

	if (!cJSON_IsNumber(set))
		return NULL;
	if (set->valuedouble == BERM_SET_OPEN)
		return strdup("open");
	if (set->valuedouble == BERM_SET_DENY)
		return strdup("deny");
	return ctl_text_at(item, path);
}

static char *sets(const cJSON *item)
{
	auto_free char *in = set_text(item, "sets.ingress"), *out = set_text(item, "sets.egress");

	return ctl_printf("%s/%s", in ? in : "-", out ? out : "-");
}

static char *isolated(const cJSON *item)
{
	char *text = ctl_text_at(item, "isolated");

	return text ? text : strdup("no");
}

static char *state(const cJSON *item)
{
	if (!ctl_true_at(item, "enforced"))
		return strdup(ctl_true_at(item, "judged") ? "not enforced" : "fallback");
	return strdup("enforced");
}

static enum ctl_tone state_tone(const cJSON *item)
{
	if (ctl_true_at(item, "enforced"))
		return CTL_GOOD;
	return ctl_true_at(item, "judged") ? CTL_BAD : CTL_WARN;
}

static char *name(const cJSON *item)
{
	return ctl_printf("%s/%s", ctl_string_at(item, "namespace"), ctl_string_at(item, "pod"));
}

static const struct ctl_column columns[] = {
	{ .title = "NAMESPACE", .path = "namespace" },
	{ .title = "POD", .path = "pod" },
	{ .title = "STATE", .text = state, .tone = state_tone },
	{ .title = "ISOLATED", .text = isolated },
	{ .title = "ADDRESSES", .path = "addresses" },
	{ .title = "INTERFACE", .path = "host_ifname" },
	{ .title = "MODE", .path = "mode", .flags = CTL_COL_WIDE },
	{ .title = "SLOT", .path = "slot", .flags = CTL_COL_WIDE | CTL_COL_RIGHT },
	{ .title = "SETS", .text = sets, .flags = CTL_COL_WIDE },
	{ .title = "EPOCH", .path = "epoch", .flags = CTL_COL_WIDE | CTL_COL_RIGHT },
	{ .title = "LABELS", .path = "labels", .flags = CTL_COL_WIDE },
	{ .title = "PROBLEM", .path = "problem" },
};

static const struct ctl_view view = {
	.list = "endpoints",
	.noun = "endpoints: no pod of this node has been added",
	.column = columns,
	.columns = ARRAY_SIZE(columns),
	.name = name,
};

static int fetch(const struct ctl_options *options, cJSON **ret, struct berm_err *err)
{
	struct ctl_node node;
	int rc = ctl_agent_get(options, "/v1/endpoints", ret, err);

	if (!ctl_agent_is_absent(rc))
		return rc;
	ctl_note("no agent on %s: shown from the kernel and the records of the plugin",
		 options->socket);
	rc = ctl_node_open(&node, err);
	if (rc)
		return rc;
	*ret = ctl_node_endpoints(&node);
	ctl_node_close(&node);
	return 0;
}

static int once(void *arg)
{
	const struct ctl_options *options = arg;
	struct berm_err err = { 0 };
	cJSON *doc = NULL;
	int code;

	if (fetch(options, &doc, &err))
		return ctl_complain("endpoints", &err);
	ctl_endpoints_inspect(doc);
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
	.doc = "The pods of this node that have our programs on their interface, and what is in force for each. "
	       "The hooks are looked at in the kernel, whatever the agent says. Works without the agent.\v"
	       "Example:\n  bermctl endpoints -o wide\n  bermctl endpoints -o json | jq '.endpoints[] | select(.enforced | not)'",
};

const struct ctl_command ctl_endpoints = { "endpoints",
					   "pods of this node and what is in force for each", &argp,
					   run };
