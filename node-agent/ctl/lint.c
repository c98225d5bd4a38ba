/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lint.c - `bermctl lint`: reads policy files with the code the agent uses and says what it would say.
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
#include "manifest.h"

#define FILE_MAX_BYTES (8u << 20) /* what berm_document_parse() takes */

struct args {
	struct ctl_args common;
	char **file;
	size_t files;
	bool strict;
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

static void take_problems(struct args *args, const struct berm_problems *problems, const char *text,
			  size_t size)
{
	for (size_t i = 0; i < problems->count; i++) {
		const struct berm_problem *problem = &problems->item[i];

		if (problem->severity == BERM_ERROR)
			args->errors++;
		else
			args->warnings++;
		add_problem(args, problem);
		if (is_text_output(args))
			print_problem(args, problem, text, size);
	}
}

static int lint_text(struct args *args, const char *name, const char *text, size_t size,
		     struct berm_err *err)
{
	struct berm_objects objects = { 0 };
	struct berm_problems problems = { 0 };
	int rc = berm_document_parse(name, text, size, &objects, &problems, err);

	if (!rc) {
		args->documents += objects.count;
		take_problems(args, &problems, text, size);
	}
	berm_objects_clear(&objects);
	berm_problems_clear(&problems);
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

	return rc ? rc : lint_text(args, name, text, size, err);
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

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case 's':
		args->strict = true;
		return 0;
	case ARGP_KEY_ARG:
	case 'f':
		args->file[args->files++] = arg;
		return 0;
	case ARGP_KEY_END:
		if (!args->files)
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
	{ 0 },
};

static const struct argp argp = {
	.options = options_of_lint,
	.parser = parse,
	.args_doc = "[FILE...]",
	.children = ctl_common_children,
	.doc = "Says what is wrong with policy files, with file, line, column, field and a hint: exactly what the agent "
	       "would say. Needs no root and no agent. Exits with 1 if anything is wrong.\v"
	       "Example:\n  bermctl lint -f shop.yaml\n  kubectl get cm -n shop shop-policy -o yaml | bermctl lint -f -",
};

static int run(const struct ctl_command *cmd, int argc, char **argv, struct ctl_options *options)
{
	struct args args = { .common = { options } };

	args.file = calloc((size_t)argc + 1, sizeof(*args.file));
	args.problems = cJSON_CreateArray();
	if (!args.file || !args.problems) {
		ctl_note("not enough memory");
		return CTL_FAILED;
	}
	ctl_parse(cmd, argc, argv, &args);
	for (size_t i = 0; i < args.files; i++)
		lint_path(&args, args.file[i]);
	if (is_text_output(&args))
		summarise(&args);
	else
		print_document(&args);
	cJSON_Delete(args.problems);
	free(args.file);
	return is_bad(&args) ? CTL_FAILED : CTL_OK;
}

const struct ctl_command ctl_lint = { "lint", "check policy files; no agent and no root needed",
				      &argp, run };
