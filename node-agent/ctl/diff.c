// SPDX-License-Identifier: Apache-2.0
/* diff.c - `bermctl diff`: what would change if these documents were applied. Sends them to the agent and prints its answer. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "fsutil.h"
#include "kubectl.h"
#include "manifest.h"
#include "source.h"

#define FILE_MAX_BYTES (4u << 20)

enum { DIFF_SAME = 0, DIFF_CHANGES = 1, DIFF_TROUBLE = 2 }; /* exit codes, as of diff(1) */

struct args {
	struct ctl_args common;
	cJSON *question;
	bool is_for_program; /* --question: the answer as it came */
};

/* ---- the answer ---------------------------------------------------------------------------------------------- */

static char *side(const cJSON *item, const char *key)
{
	const cJSON *end = ctl_at(item, key), *pods = ctl_at(end, "pods");
	auto_free char *names = ctl_text_at(end, "pods");
	int more = (int)ctl_number_at(end, "count") - cJSON_GetArraySize(pods);

	if (*ctl_string_at(end, "cidr"))
		return strdup(ctl_string_at(end, "cidr"));
	if (*ctl_string_at(end, "service"))
		return ctl_printf("Service %s (%s)", ctl_string_at(end, "service"),
				  ctl_string_at(end, "address"));
	if (*ctl_string_at(end, "host_port_of"))
		return ctl_printf("hostPort of %s (%s)", ctl_string_at(end, "host_port_of"),
				  ctl_string_at(end, "address"));
	if (more > 0)
		return ctl_printf("%s and %d more", names ? names : "", more);
	return ctl_printf("%s", names ? names : "");
}

static const struct change {
	const char *name, *sign, *note;
	enum ctl_tone tone;
} changes[] = {
	{ "opened", "+", "", CTL_WARN },
	{ "closed", "-", "", CTL_BAD },
	{ "would-open", "(+)", "  if what is in mode audit were enforced", CTL_WARN },
	{ "would-close", "(-)", "  if what is in mode audit were enforced", CTL_BAD },
};

static const struct change *change_of(const cJSON *edge)
{
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		if (!strcmp(ctl_string_at(edge, "change"), changes[i].name))
			return &changes[i];
	return &changes[0]; /* of a newer agent */
}

/* " of the flow 10.1.2.3:45000 -> 10.1.9.9:7000", or " over IPv6" if not over IPv4, or nothing. */
static char *limits_of(const cJSON *edge)
{
	if (ctl_at(edge, "flow"))
		return ctl_printf("  of the flow %s port %.0f -> %s port %.0f",
				  ctl_string_at(edge, "flow.source.ip"),
				  ctl_number_at(edge, "flow.source.port"),
				  ctl_string_at(edge, "flow.destination.ip"),
				  ctl_number_at(edge, "flow.destination.port"));
	if (*ctl_string_at(edge, "family"))
		return ctl_printf("  over %s", ctl_string_at(edge, "family"));
	return strdup("");
}

static void print_edge(const cJSON *edge, bool color)
{
	auto_free char *from = side(edge, "from"), *to = side(edge, "to");
	auto_free char *ports = ctl_text_at(edge, "ports"), *limits = limits_of(edge);
	const struct change *change = change_of(edge);

	printf("%s%s %s -> %s  %s%s%s%s\n", ctl_tone_start(change->tone, color), change->sign,
	       from ? from : "", to ? to : "", ports ? ports : "", limits ? limits : "",
	       change->note, ctl_tone_end(color));
	printf("    before: %s, %s: %s\n    after:  %s, %s: %s\n",
	       ctl_string_at(edge, "before.verdict"), ctl_string_at(edge, "before.direction"),
	       ctl_string_at(edge, "before.by"), ctl_string_at(edge, "after.verdict"),
	       ctl_string_at(edge, "after.direction"), ctl_string_at(edge, "after.by"));
}

static void print_texts(const cJSON *doc, const char *key, const char *what, bool color)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, ctl_at(doc, key))
		printf("%s%s%s: %s\n", ctl_tone_start(CTL_BAD, color), what, ctl_tone_end(color),
		       cJSON_GetStringValue(item));
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
	print_texts(doc, "held", "would be held", color);
	print_texts(doc, "breaks", "would break an expectation", color);
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
	       cJSON_GetArraySize(ctl_at(documents, "removed")) ||
	       cJSON_GetArraySize(ctl_at(doc, "breaks"));
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

static void add_text(struct args *args, const char *source, const char *text)
{
	cJSON *item = cJSON_CreateObject();

	cJSON_AddStringToObject(item, "source", source);
	cJSON_AddStringToObject(item, "text", text ? text : "");
	cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(args->question, "documents"), item);
}

static void add_file(struct args *args, const char *path, struct argp_state *state)
{
	struct berm_err err = { 0 };
	auto_free char *text = NULL;
	size_t size;

	if (berm_file_read(path, FILE_MAX_BYTES, &text, &size, &err))
		argp_failure(state, DIFF_TROUBLE, 0, "%s", err.msg);
	add_text(args, path, text);
}

static int is_manifest(const struct dirent *entry)
{
	return berm_manifest_is(entry->d_name);
}

static void add_folder(struct args *args, const char *path, struct argp_state *state)
{
	struct dirent **entry = NULL;
	int n = scandir(path, &entry, is_manifest, alphasort);

	if (n < 1)
		argp_failure(state, DIFF_TROUBLE, n ? errno : 0,
			     n ? "%s" : "no .yaml, .yml or .json file in %s", path);
	for (int i = 0; i < n; i++) {
		auto_free char *file = ctl_printf("%s/%s", path, entry[i]->d_name);

		if (file)
			add_file(args, file, state);
		free(entry[i]);
	}
	free(entry);
}

static void add_path(struct args *args, const char *path, struct argp_state *state)
{
	struct stat st;

	if (!strcmp(path, "-")) {
		auto_free char *text = read_stdin(state);

		add_text(args, "standard input", text);
	} else if (!stat(path, &st) && S_ISDIR(st.st_mode)) {
		add_folder(args, path, state);
	} else {
		add_file(args, path, state);
	}
}

/* All of it at once, from `kubectl berm diff` outside. */
static void take_question(struct args *args, struct argp_state *state)
{
	auto_free char *text = read_stdin(state);
	cJSON *question = text ? cJSON_Parse(text) : NULL;

	if (!question)
		argp_failure(state, DIFF_TROUBLE, 0, "standard input is no JSON");
	cJSON_Delete(args->question);
	args->question = question;
	args->is_for_program = true;
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

enum { OPT_DELETE = 0x200, OPT_QUESTION };

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case 'f':
	case ARGP_KEY_ARG: /* -f A B C */
		add_path(args, arg, state);
		return 0;
	case OPT_QUESTION:
		take_question(args, state);
		return 0;
	case OPT_DELETE:
		add_delete(args, arg, state);
		return 0;
	case ARGP_KEY_END:
		if (!args->is_for_program &&
		    !cJSON_GetArraySize(ctl_at(args->question, "documents")) &&
		    !cJSON_GetArraySize(ctl_at(args->question, "delete")))
			argp_error(state, "want -f FILE or --delete NAME");
		return 0;
	default:
		return ctl_parse_nothing(key, arg, state);
	}
}

static const struct argp_option options_of_diff[] = {
	{ "filename", 'f', "FILE", 0,
	  "documents that would be added or replaced: a file or folder, - for standard input", 0 },
	{ "file", 0, NULL, OPTION_ALIAS | OPTION_HIDDEN, NULL, 0 },
	{ "delete", OPT_DELETE, "NAME", 0, "a document that would be gone: [KIND/]NAMESPACE/NAME",
	  0 },
	{ "question", OPT_QUESTION, NULL, OPTION_HIDDEN, NULL, 0 }, /* for kubectl.c */
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
	rc = ctl_kubectl_is_outside()
		     ? ctl_kubectl_diff(args.question, &doc, &err)
		     : ctl_agent_post(options, "/v1/diff", args.question, &doc, &err);
	cJSON_Delete(args.question);
	if (rc) {
		(void)ctl_complain(cmd->name, &err);
		return DIFF_TROUBLE;
	}
	if (args.is_for_program) {
		ctl_json_print(doc, true, stdout);
		rc = ctl_finish(CTL_OK) ? DIFF_TROUBLE : DIFF_SAME;
	} else {
		rc = show(options, doc);
	}
	cJSON_Delete(doc);
	return rc;
}

const struct ctl_command ctl_diff = { "diff", "what would change if documents were applied", &argp,
				      run };
