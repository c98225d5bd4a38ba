// SPDX-License-Identifier: Apache-2.0
/* rollback.c - `bermctl rollback`: the policies of an earlier generation, on this node. The agent does it; this asks and tells. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "source.h"

struct args {
	struct ctl_args common;
	cJSON *question;
	bool has_what, is_dry, is_cancel;
};

static void print_list(const cJSON *list, const char *end)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, list)
		printf("%s: %s%s\n", ctl_string_at(item, "action"), ctl_string_at(item, "policy"),
		       end);
}

static void print_answer(const struct args *args, const cJSON *doc)
{
	bool is_any = cJSON_GetArraySize(ctl_at(doc, "changes"));

	print_list(ctl_at(doc, "changes"), "");
	print_list(ctl_at(doc, "unknown"), " (what it was is not known, or did not change)");
	if (!is_any)
		ctl_note(args->is_cancel ? "nothing is rolled back on this node"
					 : "nothing to do: all is as it was then");
	else if (args->is_cancel)
		ctl_note("everything is as the documents say again");
	else if (args->is_dry)
		ctl_note("nothing has been done");
	else
		ctl_note("on this node only, and each until its document changes; the documents and other nodes stay as they are. "
			 "Change the documents, too, or end it with '%s rollback --cancel'",
			 ctl_program);
}

static void take_what(struct args *args, const char *arg, struct argp_state *state)
{
	bool is_number = *arg != '\0';

	if (args->has_what) {
		argp_error(state, "only one GENERATION or NAME at a time");
		return;
	}
	args->has_what = true;
	for (const char *c = arg; *c; c++)
		is_number &= isdigit((unsigned char)*c) != 0;
	if (is_number)
		cJSON_AddNumberToObject(args->question, "generation", strtod(arg, NULL));
	else
		cJSON_AddStringToObject(args->question, "policy", arg);
}

enum { OPT_DRY_RUN = 0x200, OPT_CANCEL };

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case OPT_DRY_RUN:
		args->is_dry = true;
		cJSON_AddBoolToObject(args->question, "dry_run", true);
		return 0;
	case OPT_CANCEL:
		args->is_cancel = true;
		cJSON_AddBoolToObject(args->question, "cancel", true);
		return 0;
	case ARGP_KEY_ARG:
		take_what(args, arg, state);
		return 0;
	case ARGP_KEY_END:
		if (args->is_cancel && (args->has_what || args->is_dry))
			argp_error(state, "--cancel stands alone");
		return 0;
	default:
		return ctl_parse_nothing(key, arg, state);
	}
}

static const struct argp_option options_of_rollback[] = {
	{ "dry-run", OPT_DRY_RUN, NULL, 0, "say what would change, and do nothing", 0 },
	{ "cancel", OPT_CANCEL, NULL, 0, "everything as the documents say again", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = options_of_rollback,
	.parser = parse,
	.args_doc = "[GENERATION | NAMESPACE/NAME]",
	.children = ctl_common_children,
	.doc = "Takes this node back to the policies that were in force with GENERATION (bermctl history), without one to those before the last "
	       "change; with NAMESPACE/NAME, only that policy to what it was before it last changed. For the minutes in which a node must "
	       "work again: documents are not touched, other nodes neither, and each policy stays so until its document says something "
	       "else. It holds over restarts of the agent; 'status' and 'policies' (rolled-back) show it. IPSets, LabelMappings and pods "
	       "are as they are now.\v"
	       "Examples:\n  bermctl rollback --dry-run\n  bermctl rollback 41\n  bermctl rollback shop/db-in\n  bermctl rollback --cancel",
};

static int run(const struct ctl_command *cmd, int argc, char **argv, struct ctl_options *options)
{
	struct args args = { .common = { options }, .question = cJSON_CreateObject() };
	struct berm_err err = { 0 };
	cJSON *doc = NULL;
	int rc;

	ctl_parse(cmd, argc, argv, &args);
	rc = ctl_agent_post(options, "/v1/rollback", args.question, &doc, &err);
	cJSON_Delete(args.question);
	if (rc)
		return ctl_complain(cmd->name, &err);
	if (options->format == CTL_TABLE || options->format == CTL_WIDE)
		print_answer(&args, doc);
	else if (options->format != CTL_NAME)
		ctl_document_print(options, doc, stdout);
	cJSON_Delete(doc);
	return CTL_OK;
}

const struct ctl_command ctl_rollback = { "rollback", "this node's policies as they were before",
					  &argp, run };
