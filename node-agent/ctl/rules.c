/* SPDX-License-Identifier: Apache-2.0 */
/* rules.c - `bermctl rules`: the rules in force on this node and how often each decided. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "source.h"

struct args {
	struct ctl_args common;
	const char *ns, *policy;
	bool unused;
};

/* A verdict that no rule of a document decides: its "rule" holds the policies that isolate, if any do. */
static bool is_implicit(const cJSON *item)
{
	return !strcmp(ctl_string_at(item, "tier"), "implicit");
}

static char *policy(const cJSON *item)
{
	const char *ns = ctl_string_at(item, "namespace"), *name = ctl_string_at(item, "policy");

	if (is_implicit(item))
		return strdup(ctl_string_at(item, "rule"));
	return ctl_printf("%s%s%s", ns, *ns ? "/" : "", name);
}

static char *rule(const cJSON *item)
{
	return strdup(ctl_string_at(item, is_implicit(item) ? "reason" : "rule"));
}

static char *hits(const cJSON *item)
{
	return ctl_at(item, "hits") ? ctl_count((uint64_t)ctl_number_at(item, "hits")) : NULL;
}

static enum ctl_tone action_tone(const cJSON *item)
{
	return strcasecmp(ctl_string_at(item, "action"), "allow") ? CTL_BAD : CTL_GOOD;
}

static char *name(const cJSON *item)
{
	auto_free char *of = policy(item), *what = rule(item);

	return ctl_printf("%s%s%s", of ? of : "", of && *of ? ":" : "", what ? what : "");
}

static const struct ctl_column columns[] = {
	{ .title = "POLICY", .text = policy },
	{ .title = "RULE", .text = rule },
	{ .title = "DIRECTION", .path = "direction" },
	{ .title = "ACTION", .path = "action", .tone = action_tone },
	{ .title = "HITS", .text = hits, .flags = CTL_COL_RIGHT },
	{ .title = "TIER", .path = "tier" },
	{ .title = "APP", .path = "app", .flags = CTL_COL_WIDE },
	{ .title = "KIND", .path = "kind", .flags = CTL_COL_WIDE },
	{ .title = "ID", .path = "id", .flags = CTL_COL_WIDE | CTL_COL_RIGHT },
	{ .title = "INDEX", .path = "index", .flags = CTL_COL_WIDE | CTL_COL_RIGHT },
};

static const struct ctl_view view = {
	.list = "rules",
	.noun = "rules",
	.column = columns,
	.columns = ARRAY_SIZE(columns),
	.name = name,
};

static int fetch(const struct ctl_options *options, cJSON **ret, struct berm_err *err)
{
	struct ctl_node node;
	int rc = ctl_agent_get(options, "/v1/rules", ret, err);

	if (!ctl_agent_is_absent(rc))
		return rc;
	ctl_note("no agent on %s: shown from the kernel and the names it left", options->socket);
	rc = ctl_node_open(&node, err);
	if (rc)
		return rc;
	*ret = ctl_node_rules(&node);
	ctl_node_close(&node);
	return 0;
}

static bool is_of(const struct args *args, const char *ns, const char *policy_name)
{
	if (args->ns && !ctl_name_matches(args->ns, "", ns))
		return false;
	return !args->policy || ctl_name_matches(args->policy, ns, policy_name);
}

/* "shop/a,shop/b": is one of them wanted? */
static bool is_any_of(const struct args *args, const char *policies)
{
	auto_free char *list = strdup(policies);
	char *rest = list, *one, *slash;

	while (rest && (one = strsep(&rest, ","))) {
		slash = strchr(one, '/');
		if (slash)
			*slash = '\0';
		if (is_of(args, slash ? one : "", slash ? slash + 1 : one))
			return true;
	}
	return false;
}

static bool is_wanted(const struct args *args, const cJSON *item)
{
	if (args->unused && ctl_number_at(item, "hits") > 0)
		return false;
	if (is_implicit(item))
		return is_any_of(args, ctl_string_at(item, "rule"));
	return is_of(args, ctl_string_at(item, "namespace"), ctl_string_at(item, "policy"));
}

static void keep_wanted(const struct args *args, cJSON *list)
{
	cJSON *item = list ? list->child : NULL, *next;

	for (; item; item = next) {
		next = item->next;
		if (!is_wanted(args, item))
			cJSON_Delete(cJSON_DetachItemViaPointer(list, item));
	}
}

static int once(void *arg)
{
	const struct args *args = arg;
	struct berm_err err = { 0 };
	cJSON *doc = NULL;
	int code;

	if (fetch(args->common.options, &doc, &err))
		return ctl_complain("rules", &err);
	keep_wanted(args, cJSON_GetObjectItemCaseSensitive(doc, "rules"));
	code = ctl_show(args->common.options, &view, doc);
	cJSON_Delete(doc);
	return code;
}

enum { OPT_POLICY = 0x200, OPT_UNUSED };

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case 'n':
		args->ns = arg;
		return 0;
	case OPT_POLICY:
		args->policy = arg;
		return 0;
	case OPT_UNUSED:
		args->unused = true;
		return 0;
	default:
		return ctl_parse_nothing(key, arg, state);
	}
}

static const struct argp_option options_of_rules[] = {
	{ NULL, 0, NULL, 0, "Filters (names may be shell patterns):", 1 },
	{ "namespace", 'n', "NS", 0, "rules of policies in this namespace", 1 },
	{ "policy", OPT_POLICY, "[NS/]NAME", 0, "rules of this policy", 1 },
	{ "unused", OPT_UNUSED, NULL, 0, "rules that never decided", 1 },
	{ 0 },
};

static const struct argp argp = {
	.options = options_of_rules,
	.parser = parse,
	.children = ctl_watch_children,
	.doc = "The rules in force on this node, implicit denials too, and how many packets each decided. A packet of a "
	       "session that is already allowed is no hit: sessions are judged once. Works without the agent.\v"
	       "Example:\n  bermctl rules -n shop\n  bermctl rules --unused -o name",
};

static int run(const struct ctl_command *cmd, int argc, char **argv, struct ctl_options *options)
{
	struct args args = { .common = { options } };

	ctl_parse(cmd, argc, argv, &args);
	return ctl_repeat(options, once, &args);
}

const struct ctl_command ctl_rules = { "rules", "rules in force and their hits", &argp, run };
