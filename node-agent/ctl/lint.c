/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lint.c - `bermctl lint`: reads policy files with the code the agent uses and says what it would say, then what probably was
 * not meant (advice.h).
 * Needs no root, no agent and no kernel.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "ctl.h"
#include "document.h"
#include "lint_world.h"
#include "manifest.h"
#include "source.h"

#define FILE_MAX_BYTES (8u << 20) /* what berm_document_parse() takes */

struct args {
	struct ctl_args common;
	char **file;
	size_t files;
	char **with;
	size_t withs;
	bool strict, codes, agent;
	struct ctl_lint_world world;
	bool is_judged; /* what is being read */
	/* result */
	cJSON *problems;
	size_t errors, warnings, documents;
	bool failed; /* something could not be read */
};

static void add_text(cJSON *item, const char *key, const char *text)
{
	if (text)
		cJSON_AddStringToObject(item, key, text);
}

static void add_position(cJSON *item, const struct berm_problem *problem)
{
	if (problem->line)
		cJSON_AddNumberToObject(item, "line", problem->line);
	if (problem->column)
		cJSON_AddNumberToObject(item, "column", problem->column);
}

static void add_problem(struct args *args, const struct berm_problem *problem)
{
	cJSON *item = cJSON_CreateObject();

	cJSON_AddStringToObject(item, "severity",
				problem->severity == BERM_ERROR ? "error" : "warning");
	add_text(item, "code", berm_problem_code_name(problem->code));
	add_text(item, "file", problem->source);
	add_position(item, problem);
	add_text(item, "document", problem->document);
	add_text(item, "field", problem->field);
	add_text(item, "message", problem->message);
	add_text(item, "hint", problem->hint);
	cJSON_AddItemToArray(args->problems, item);
}

/* Line number `line` of a text; *ret_size without the newline. NULL if there is none. */
static const char *line_at(const char *text, size_t size, int line, size_t *ret_size)
{
	const char *end = text + size, *stop;

	for (; line > 1 && text; line--) {
		text = memchr(text, '\n', (size_t)(end - text));
		if (text)
			text++;
	}
	if (!text || text >= end)
		return NULL;
	stop = memchr(text, '\n', (size_t)(end - text));
	*ret_size = (size_t)((stop ? stop : end) - text);
	return text;
}

static bool starts_character(char byte)
{
	return ((unsigned char)byte & 0xc0) != 0x80;
}

/* Text of a file that may be hostile: control characters, C1 ones in UTF-8 too, do not reach the terminal. */
static void put_harmless(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i],
			      next = i + 1 < length ? (unsigned char)text[i + 1] : 0;

		if (c == 0xc2 && next >= 0x80 && next < 0xa0)
			i++;
		else if ((c >= 0x20 && c != 0x7f) || c == '\t') {
			putchar(c);
			continue;
		}
		putchar('?');
	}
}

/* The line of the file with a mark below the column, which counts characters. Tabs keep their width. */
static void print_excerpt(const struct berm_problem *problem, const char *text, size_t size,
			  bool color)
{
	size_t length = 0;
	const char *line = problem->line > 0 ? line_at(text, size, problem->line, &length) : NULL;
	int column = 1;

	if (!line || problem->column < 1 || (size_t)problem->column > length + 1)
		return;
	printf("%6d | ", problem->line);
	put_harmless(line, length);
	printf("\n       | ");
	for (size_t i = 0; i < length && column < problem->column; i++) {
		if (!starts_character(line[i]))
			continue;
		putchar(line[i] == '\t' ? '\t' : ' ');
		column++;
	}
	printf("%s^%s\n", ctl_tone_start(CTL_GOOD, color), ctl_tone_end(color));
}

/* "file:12:9: " plain, "error:" coloured, the rest plain. */
static void print_problem(const struct args *args, const struct berm_problem *problem,
			  const char *text, size_t size)
{
	const char *word = problem->severity == BERM_ERROR ? "error: " : "warning: ";
	enum ctl_tone tone = problem->severity == BERM_ERROR ? CTL_BAD : CTL_WARN;
	bool color = ctl_has_color(args->common.options, stdout);
	char line[2048];
	char *at;

	(void)berm_problem_format(problem, line, sizeof(line)); /* cut is fine */
	at = strstr(line, word);
	put_harmless(line, at ? (size_t)(at - line) : strlen(line));
	if (at) {
		printf("%s%s%s", ctl_tone_start(tone, color), word, ctl_tone_end(color));
		put_harmless(at + strlen(word), strlen(at + strlen(word)));
	}
	putchar('\n');
	print_excerpt(problem, text, size, color);
}

static bool is_text_output(const struct args *args)
{
	return args->common.options->format == CTL_TABLE ||
	       args->common.options->format == CTL_WIDE;
}

/* Text of the sheet that a problem is about; of another's ConfigMap none. */
static void take_problem(struct args *args, const struct berm_problem *problem)
{
	const struct ctl_lint_sheet *sheet = ctl_lint_sheet(&args->world, problem->source);

	if (problem->severity == BERM_ERROR)
		args->errors++;
	else
		args->warnings++;
	add_problem(args, problem);
	if (is_text_output(args))
		print_problem(args, problem, sheet ? sheet->text : "", sheet ? sheet->size : 0);
}

static void take_problems(struct args *args, struct berm_problems *problems)
{
	for (size_t i = 0; i < problems->count; i++)
		take_problem(args, &problems->item[i]);
	berm_problems_clear(problems);
}

/* What is wrong with files that only help to judge is somebody else's business; that they do not parse is not. */
static void note_problems(struct berm_problems *problems, const char *name)
{
	size_t errors = 0;

	for (size_t i = 0; i < problems->count; i++)
		errors += problems->item[i].severity == BERM_ERROR;
	if (errors)
		ctl_note("%s has %zu error%s: not all of it counts", name, errors,
			 errors == 1 ? "" : "s");
	berm_problems_clear(problems);
}

/* Takes text. */
static int lint_text(struct args *args, const char *name, char *text, size_t size,
		     struct berm_err *err)
{
	struct ctl_lint_sheet *sheet = ctl_lint_add(&args->world, name,
						    &(struct ctl_lint_sheet){
							    .text = text,
							    .size = size,
							    .is_judged = args->is_judged,
						    });
	struct berm_problems problems = { 0 };
	int rc;

	if (!sheet)
		return berm_fail(err, -ENOMEM, "read %s", name);
	rc = berm_document_parse(sheet->name, sheet->text, size, &sheet->objects, &problems, err);
	if (!rc && args->is_judged) {
		args->documents += sheet->objects.count;
		take_problems(args, &problems);
	}
	note_problems(&problems, name);
	return rc;
}

/* Whole content; refuses more than the agent would take. */
static int read_all(FILE *in, const char *name, char **ret, size_t *ret_size, struct berm_err *err)
{
	auto_free char *text = malloc(FILE_MAX_BYTES + 1);
	size_t size;

	if (!text)
		return berm_fail(err, -ENOMEM, "read %s", name);
	size = fread(text, 1, FILE_MAX_BYTES + 1, in);
	if (ferror(in))
		return berm_fail(err, errno ? -errno : -EIO, "read %s", name);
	if (size > FILE_MAX_BYTES)
		return berm_refuse(err, -E2BIG,
				   "%s is bigger than 8 MiB, which the agent would not read", name);
	*ret = TAKE_PTR(text);
	*ret_size = size;
	return 0;
}

static int lint_stream(struct args *args, FILE *in, const char *name, struct berm_err *err)
{
	auto_free char *text = NULL;
	size_t size = 0;
	int rc = read_all(in, name, &text, &size, err);

	return rc ? rc : lint_text(args, name, TAKE_PTR(text), size, err);
}

static void lint_file(struct args *args, const char *path)
{
	bool is_stdin = !strcmp(path, "-");
	auto_fclose FILE *in = is_stdin ? NULL : fopen(path, "re");
	struct berm_err err = { 0 };
	int rc;

	if (!is_stdin && !in)
		rc = berm_fail(&err, -errno, "open %s", path);
	else
		rc = lint_stream(args, is_stdin ? stdin : in, is_stdin ? "(stdin)" : path, &err);
	if (rc) {
		(void)ctl_complain("lint", &err);
		args->failed = true;
	}
}

static int is_manifest(const struct dirent *entry)
{
	return berm_manifest_is(entry->d_name);
}

static void lint_folder(struct args *args, const char *path)
{
	struct dirent **entry = NULL;
	int n = scandir(path, &entry, is_manifest, alphasort);

	if (n < 0) {
		ctl_note("cannot read the folder %s: %s", path, strerror(errno));
		args->failed = true;
	} else if (!n) {
		ctl_note("no .yaml, .yml or .json file in %s", path);
		args->failed = true;
	}
	for (int i = 0; i < n; i++) {
		bool has_slash = path[strlen(path) - 1] == '/';
		auto_free char *file =
			ctl_printf("%s%s%s", path, has_slash ? "" : "/", entry[i]->d_name);

		if (file)
			lint_file(args, file);
		free(entry[i]);
	}
	free(entry);
}

static void lint_path(struct args *args, const char *path)
{
	struct stat st;

	if (strcmp(path, "-") && !stat(path, &st) && S_ISDIR(st.st_mode))
		lint_folder(args, path);
	else
		lint_file(args, path);
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

static void summarise(const struct args *args)
{
	ctl_note("%zu document%s, %zu error%s, %zu warning%s", args->documents,
		 plural(args->documents), args->errors, plural(args->errors), args->warnings,
		 plural(args->warnings));
}

static void print_document(const struct args *args)
{
	cJSON *doc = cJSON_CreateObject();

	cJSON_AddNumberToObject(doc, "documents", (double)args->documents);
	cJSON_AddNumberToObject(doc, "errors", (double)args->errors);
	cJSON_AddNumberToObject(doc, "warnings", (double)args->warnings);
	cJSON_AddItemReferenceToObject(doc, "problems", args->problems);
	ctl_document_print(args->common.options, doc, stdout);
	cJSON_Delete(doc);
}

static bool is_bad(const struct args *args)
{
	return args->failed || args->errors || (args->strict && args->warnings);
}

enum { OPT_CODES = 0x100, OPT_AGENT };

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case 's':
		args->strict = true;
		return 0;
	case 'W':
		args->with[args->withs++] = arg;
		return 0;
	case OPT_AGENT:
		args->agent = true;
		return 0;
	case OPT_CODES:
		args->codes = true;
		return 0;
	case ARGP_KEY_ARG:
	case 'f':
		args->file[args->files++] = arg;
		return 0;
	case ARGP_KEY_END:
		if (!args->files && !args->codes)
			argp_error(state,
				   "which file? -f FILE, -f FOLDER, or -f - for standard input");
		if (args->common.options->format == CTL_NAME)
			argp_error(state, "problems have no names: -o name is not offered");
		return 0;
	default:
		return ctl_parse_nothing(key, arg, state);
	}
}

static const struct argp_option options_of_lint[] = {
	{ "filename", 'f', "FILE", 0,
	  "file or folder to read, - for standard input; may come several times", 1 },
	{ "strict", 's', NULL, 0, "warnings count as errors", 1 },
	{ "with", 'W', "FILE", 0,
	  "file or folder with pods, namespaces and policies that count and are not judged themselves",
	  1 },
	{ "agent", OPT_AGENT, NULL, 0, "the pods and namespaces that this node's agent knows count",
	  1 },
	{ "codes", OPT_CODES, NULL, 0, "list the codes that problems have", 1 },
	{ 0 },
};

static const struct argp argp = {
	.options = options_of_lint,
	.parser = parse,
	.args_doc = "[FILE...]",
	.children = ctl_common_children,
	.doc = "Says what is wrong with policy files, with file, line, column, field and a hint: exactly what the agent "
	       "would say. Then warns of what is valid and probably not meant: rules that decide nothing, selectors "
	       "that select nothing and so on. Needs no root and, without --agent, no agent. Exits with 1 if there are errors.\v"
	       "Example:\n  bermctl lint -f shop.yaml\n  kubectl get cm -n shop shop-policy -o yaml | bermctl lint -f -",
};

/* ---- the list of codes ---- */

static const struct ctl_column code_columns[] = {
	{ .title = "CODE", .path = "code" },
	{ .title = "SEVERITY", .path = "severity" },
	{ .title = "MEANING", .path = "meaning" },
};

static const struct ctl_view code_view = { "codes", "codes", code_columns, ARRAY_SIZE(code_columns),
					   NULL };

static int show_codes(const struct args *args)
{
	cJSON *doc = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(doc, "codes");
	int rc;

	for (int i = 0; i < BERM_CODE_COUNT; i++) {
		cJSON *item = cJSON_CreateObject();

		cJSON_AddStringToObject(item, "code", berm_problem_code_name(i));
		cJSON_AddStringToObject(item, "severity",
					i < BERM_CODE_DOUBTFUL ? "error" : "warning");
		cJSON_AddStringToObject(item, "meaning", berm_problem_code_help(i));
		cJSON_AddItemToArray(list, item);
	}
	rc = ctl_show(args->common.options, &code_view, doc);
	cJSON_Delete(doc);
	return rc;
}

/* ---- what the agent knows ---- */

static int read_agent(struct args *args, struct berm_err *err)
{
	cJSON *list = NULL;
	char *text;
	int rc = ctl_agent_get(args->common.options, "/v1/objects", &list, err);

	if (rc)
		return rc;
	text = cJSON_PrintUnformatted(list);
	cJSON_Delete(list);
	return text ? lint_text(args, "agent.json", text, strlen(text), err)
		    : berm_fail(err, -ENOMEM, "read the agent's answer");
}

static void lint_agent(struct args *args)
{
	struct berm_err err = { 0 };

	if (!read_agent(args, &err))
		return;
	(void)ctl_complain("lint", &err);
	args->failed = true;
}

/* ---- all of it ---- */

static int lint(struct args *args)
{
	struct berm_problems found = { 0 };

	args->is_judged = true;
	for (size_t i = 0; i < args->files; i++)
		lint_path(args, args->file[i]);
	args->is_judged = false;
	for (size_t i = 0; i < args->withs; i++)
		lint_path(args, args->with[i]);
	if (args->agent)
		lint_agent(args);
	if (ctl_lint_advise(&args->world, &found)) {
		ctl_note("not enough memory");
		args->failed = true;
	}
	take_problems(args, &found);
	if (is_text_output(args))
		summarise(args);
	else
		print_document(args);
	return is_bad(args) ? CTL_FAILED : CTL_OK;
}

static int run(const struct ctl_command *cmd, int argc, char **argv, struct ctl_options *options)
{
	struct args args = { .common = { options } };
	int rc = CTL_FAILED;

	args.file = calloc((size_t)argc + 1, sizeof(*args.file));
	args.with = calloc((size_t)argc + 1, sizeof(*args.with));
	args.problems = cJSON_CreateArray();
	if (!args.file || !args.with || !args.problems) {
		ctl_note("not enough memory");
	} else {
		ctl_parse(cmd, argc, argv, &args);
		rc = args.codes ? show_codes(&args) : lint(&args);
	}
	ctl_lint_clear(&args.world);
	cJSON_Delete(args.problems);
	free(args.with);
	free(args.file);
	return rc;
}

const struct ctl_command ctl_lint = { "lint", "check policy files; no agent and no root needed",
				      &argp, run };
