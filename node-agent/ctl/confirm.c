// SPDX-License-Identifier: Apache-2.0
/*
 * confirm.c - `bermctl confirm`: which versions wait for a confirmation, and what confirms one. Writes nothing: the agents may not, and
 * `kubectl berm confirm` does it with the user's own rights (kubectl.c).
 */
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "source.h"

struct args {
	struct ctl_args common;
	const char *name; /* [NS/]NAME; NULL: all */
};

static enum ctl_tone state_tone(const cJSON *item)
{
	return strcmp(ctl_string_at(item, "state"), "waiting") ? CTL_BAD : CTL_WARN;
}

static char *previous(const cJSON *item)
{
	if (!ctl_true_at(item, "has_previous"))
		return ctl_printf("unknown");
	return ctl_printf("%.0f documents", ctl_number_at(item, "previous_documents"));
}

static char *name(const cJSON *item)
{
	return ctl_printf("configmap/%s/%s", ctl_string_at(item, "namespace"),
			  ctl_string_at(item, "name"));
}

static const struct ctl_column columns[] = {
	{ .title = "NAMESPACE", .path = "namespace" },
	{ .title = "NAME", .path = "name" },
	{ .title = "STATE", .path = "state", .tone = state_tone },
	{ .title = "UNTIL", .path = "until" },
	{ .title = "DIGEST", .path = "digest" },
	{ .title = "BEFORE", .text = previous },
	{ .title = "SOURCE", .path = "source", .flags = CTL_COL_WIDE },
};

static const struct ctl_view view = {
	.list = "confirmations",
	.noun = "version waits for a confirmation",
	.column = columns,
	.columns = ARRAY_SIZE(columns),
	.name = name,
};

static bool is_named(const cJSON *item, const char *wanted)
{
	const char *slash = strchr(wanted, '/');
	const char *ns = ctl_string_at(item, "namespace");

	if (!slash)
		return !strcmp(ctl_string_at(item, "name"), wanted);
	return !strncmp(ns, wanted, (size_t)(slash - wanted)) && !ns[slash - wanted] &&
	       !strcmp(ctl_string_at(item, "name"), slash + 1);
}

static void print_how(const cJSON *item)
{
	const char *ns = ctl_string_at(item, "namespace"), *digest = ctl_string_at(item, "digest");

	if (!strncmp(ctl_string_at(item, "source"), "configmap ", 10))
		printf("kubectl annotate --overwrite -n %s configmap %s berm.dev/confirmed=%s\n",
		       ns, ctl_string_at(item, "name"), digest);
	else
		printf("berm.dev/confirmed: \"%s\"\n", digest);
}

/* Several may have the same name. */
static int show_how(const cJSON *doc, const char *wanted)
{
	const cJSON *item;
	int count = 0;

	cJSON_ArrayForEach(item, ctl_at(doc, "confirmations")) {
		if (!is_named(item, wanted))
			continue;
		count++;
		print_how(item);
	}
	if (count == 1)
		return CTL_OK;
	if (count)
		ctl_note("%d ConfigMaps are called %s: give its namespace too, as NAMESPACE/NAME",
			 count, wanted);
	else
		ctl_note("no version of a ConfigMap %s waits for a confirmation; '%s confirm' lists those that do",
			 wanted, ctl_program);
	return CTL_FAILED;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	if (key != ARGP_KEY_ARG || args->name)
		return ctl_parse_nothing(key, arg, state);
	args->name = arg;
	return 0;
}

static int run(const struct ctl_command *cmd, int argc, char **argv, struct ctl_options *options)
{
	struct args args = { .common = { options } };
	struct berm_err err = { 0 };
	cJSON *doc = NULL;
	int code;

	ctl_parse(cmd, argc, argv, &args);
	if (ctl_agent_get(options, "/v1/confirmations", &doc, &err))
		return ctl_complain(cmd->name, &err);
	code = args.name ? show_how(doc, args.name) : ctl_show(options, &view, doc);
	cJSON_Delete(doc);
	return code;
}

static const struct argp argp = {
	.parser = parse,
	.args_doc = "[[NAMESPACE/]NAME]",
	.children = ctl_common_children,
	.doc = "Versions of ConfigMaps with the annotation berm.dev/confirm-within that nobody has confirmed: until when they are in "
	       "force (waiting), which have gone back to what was before (rolled-back), and which this node keeps because it never had "
	       "another one (kept). With NAME: what confirms it, to be run or to be written into the file. "
	       "'kubectl berm confirm NAME' does it.\v"
	       "Example:\n  bermctl confirm\n  kubectl berm confirm shop/shop-segmentation",
};

const struct ctl_command ctl_confirm = { "confirm", "versions that must be confirmed in time",
					 &argp, run };
