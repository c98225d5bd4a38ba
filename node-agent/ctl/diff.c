// SPDX-License-Identifier: Apache-2.0
/* diff.c - `bermctl diff`: what would change if these documents were applied. Sends them to the agent and prints its answer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "fsutil.h"
#include "source.h"

#define FILE_MAX_BYTES (4u << 20)

enum { DIFF_SAME = 0, DIFF_CHANGES = 1, DIFF_TROUBLE = 2 }; /* exit codes, as of diff(1) */

struct args {
	struct ctl_args common;
	cJSON *question;
};

/* ---- the answer ---------------------------------------------------------------------------------------------- */

static char *side(const cJSON *item, const char *key)
{
	const cJSON *end = ctl_at(item, key), *pods = ctl_at(end, "pods");
	auto_free char *names = ctl_text_at(end, "pods");
	int more = (int)ctl_number_at(end, "count") - cJSON_GetArraySize(pods);

	if (*ctl_string_at(end, "cidr"))
		return strdup(ctl_string_at(end, "cidr"));
	if (more > 0)
		return ctl_printf("%s and %d more", names ? names : "", more);
	return ctl_printf("%s", names ? names : "");
}

static void print_edge(const cJSON *edge, bool color)
{
	auto_free char *from = side(edge, "from"), *to = side(edge, "to");
	auto_free char *ports = ctl_text_at(edge, "ports");
	bool is_opened = !strcmp(ctl_string_at(edge, "change"), "opened");

	printf("%s%s %s -> %s  %s%s\n", ctl_tone_start(is_opened ? CTL_WARN : CTL_BAD, color),
	       is_opened ? "+" : "-", from ? from : "", to ? to : "", ports ? ports : "",
	       ctl_tone_end(color));
	printf("    before: %s, %s: %s\n    after:  %s, %s: %s\n",
	       ctl_string_at(edge, "before.verdict"), ctl_string_at(edge, "before.direction"),
	       ctl_string_at(edge, "before.by"), ctl_string_at(edge, "after.verdict"),
	       ctl_string_at(edge, "after.direction"), ctl_string_at(edge, "after.by"));
}

static void print_documents(const cJSON *doc, const char *what)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, ctl_at(ctl_at(doc, "documents"), what))
		printf("%s: %s\n", what, cJSON_GetStringValue(item));
}

static void print_answer(const struct ctl_options *options, const cJSON *doc)
{
	bool color = ctl_has_color(options, stdout);
	const cJSON *item;

	print_documents(doc, "added");
	print_documents(doc, "changed");
	print_documents(doc, "removed");
	cJSON_ArrayForEach(item, ctl_at(doc, "held"))
		printf("%swould be held%s: %s\n", ctl_tone_start(CTL_BAD, color),
		       ctl_tone_end(color), cJSON_GetStringValue(item));
	cJSON_ArrayForEach(item, ctl_at(doc, "edges"))
		print_edge(item, color);
	if (!ctl_true_at(doc, "changed"))
		printf("nobody can talk to anybody else than before\n");
	if (ctl_true_at(doc, "truncated"))
		ctl_note("not all is shown: %.0f changes in all", ctl_number_at(doc, "edge_count"));
}

/* Documents that differ and change nobody's connections are a change too. */
static bool has_changes(const cJSON *doc)
{
	const cJSON *documents = ctl_at(doc, "documents");

	return ctl_true_at(doc, "changed") || cJSON_GetArraySize(ctl_at(documents, "added")) ||
	       cJSON_GetArraySize(ctl_at(documents, "changed")) ||
	       cJSON_GetArraySize(ctl_at(documents, "removed"));
}

static int show(const struct ctl_options *options, const cJSON *doc)
{
	int code = has_changes(doc) ? DIFF_CHANGES : DIFF_SAME;

	if (options->format == CTL_NAME)
		printf("%s\n", code ? "changed" : "same");
	else if (options->format == CTL_TABLE || options->format == CTL_WIDE)
		print_answer(options, doc);
	else
		ctl_document_print(options, doc, stdout);
	return ctl_finish(code) == code ? code : DIFF_TROUBLE;
}

/* ---- the command ---------------------------------------------------------------------------------------------- */

static char *read_stdin(struct argp_state *state)
{
	char *text = NULL;
	size_t room = 0;

	if (getdelim(&text, &room, '\0', stdin) < 0 && ferror(stdin))
		argp_failure(state, DIFF_TROUBLE, errno, "read standard input");
	return text;
}

static void add_file(struct args *args, const char *path, struct argp_state *state)
{
	cJSON *item = cJSON_CreateObject();
	struct berm_err err = { 0 };
	auto_free char *text = NULL;
	size_t size;

	if (!strcmp(path, "-"))
		text = read_stdin(state);
	else if (berm_file_read(path, FILE_MAX_BYTES, &text, &size, &err))
		argp_failure(state, DIFF_TROUBLE, 0, "%s", err.msg);
	cJSON_AddStringToObject(item, "source", strcmp(path, "-") ? path : "standard input");
	cJSON_AddStringToObject(item, "text", text ? text : "");
	cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(args->question, "documents"), item);
}

/* "NetworkPolicy/shop/web" and, of our own kind, "shop/web" */
static void add_delete(struct args *args, const char *arg, struct argp_state *state)
{
	const char *slash = strchr(arg, '/');
	auto_free char *title = NULL;

	if (!slash) {
		argp_error(state,
			   "--delete wants [KIND/]NAMESPACE/NAME or ClusterNetworkPolicy/NAME");
		return;
	}
	if (!strchr(slash + 1, '/') && strncmp(arg, "ClusterNetworkPolicy/", 21) != 0)
		title = ctl_printf("SegmentationPolicy %s", arg);
	else
		title = ctl_printf("%.*s %s", (int)(slash - arg), arg, slash + 1);
	cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(args->question, "delete"),
			     cJSON_CreateString(title ? title : ""));
}

enum { OPT_DELETE = 0x200 };

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case 'f':
		add_file(args, arg, state);
		return 0;
	case OPT_DELETE:
		add_delete(args, arg, state);
		return 0;
	case ARGP_KEY_ARG: /* -f A B C */
		add_file(args, arg, state);
		return 0;
	case ARGP_KEY_END:
		if (!cJSON_GetArraySize(ctl_at(args->question, "documents")) &&
		    !cJSON_GetArraySize(ctl_at(args->question, "delete")))
			argp_error(state, "want -f FILE or --delete NAME");
		return 0;
	default:
		return ctl_parse_nothing(key, arg, state);
	}
}

static const struct argp_option options_of_diff[] = {
	{ "file", 'f', "FILE", 0, "documents that would be added or replaced; - is standard input",
	  0 },
	{ "delete", OPT_DELETE, "NAME", 0, "a document that would be gone: [KIND/]NAMESPACE/NAME",
	  0 },
	{ 0 },
};

static const struct argp argp = {
	.options = options_of_diff,
	.parser = parse,
	.args_doc = "[FILE...]",
	.children = ctl_common_children,
	.doc = "What would change if these documents were applied? Who could newly talk to whom on which ports, and who no longer, with the "
	       "rule that decides before and after. Pods that are treated alike are one. Nothing is enforced: the agent compares in a "
	       "process of its own. Exits with 0 if nothing changes, with 1 if something does, with 2 if it cannot be told.\vExamples:\n"
	       "  bermctl diff -f shop.yaml\n  bermctl diff --delete shop/db-in -o json",
};

static int run(const struct ctl_command *cmd, int argc, char **argv, struct ctl_options *options)
{
	struct args args = { .common = { options }, .question = cJSON_CreateObject() };
	struct berm_err err = { 0 };
	cJSON *doc = NULL;
	int rc;

	cJSON_AddArrayToObject(args.question, "documents");
	cJSON_AddArrayToObject(args.question, "delete");
	ctl_parse(cmd, argc, argv, &args);
	rc = ctl_agent_post(options, "/v1/diff", args.question, &doc, &err);
	cJSON_Delete(args.question);
	if (rc) {
		(void)ctl_complain(cmd->name, &err);
		return DIFF_TROUBLE;
	}
	rc = show(options, doc);
	cJSON_Delete(doc);
	return rc;
}

const struct ctl_command ctl_diff = { "diff", "what would change if documents were applied", &argp,
				      run };
