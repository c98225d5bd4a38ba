/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl.h - what the commands of bermctl share: their table, the options all of them understand, and the
 * path from data (always a cJSON document) to what is printed. Data goes to stdout, messages to stderr.
 */
#ifndef BERM_CTL_H
#define BERM_CTL_H

#include <argp.h>
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "err.h"

/* Exit codes, the same for every command. */
enum ctl_exit { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2 };

enum ctl_format { CTL_TABLE, CTL_WIDE, CTL_JSON, CTL_YAML, CTL_NAME };
enum ctl_color { CTL_COLOR_AUTO, CTL_COLOR_ALWAYS, CTL_COLOR_NEVER };

struct ctl_options {
	enum ctl_format format;
	enum ctl_color color;
	const char *socket; /* of the agent */
	bool watch;
	double interval_s; /* of watch */
};

/* ---- commands (command.c, parse.c) ---- */

struct ctl_command {
	const char *name;
	const char *help;	 /* one line, for the list of commands */
	const struct argp *argp; /* its own options and text; NULL: none (version) */
	int (*run)(const struct ctl_command *cmd, int argc, char **argv,
		   struct ctl_options *options);
};

extern const struct ctl_command ctl_status, ctl_endpoints, ctl_policies, ctl_rules, ctl_sessions,
	ctl_flows, ctl_why, ctl_diff, ctl_history, ctl_confirm, ctl_rollback, ctl_lint, ctl_probe,
	ctl_version, ctl_completion, ctl_help;
extern const struct ctl_command *const ctl_commands[]; /* ends with NULL */
extern const char *ctl_program; /* "bermctl" or "kubectl berm", as the user calls it */

const struct ctl_command *ctl_command_find(const char *name);
/* The whole command line; argv[0] is ctl_program. Returns an exit code, or ends the program. */
int ctl_run(int argc, char **argv, struct ctl_options *options);

/* Child parsers: options of every command, and -w/--interval of those that can watch. The input of both
 * is a struct ctl_options. */
extern const struct argp ctl_common_argp, ctl_watch_argp;
extern const struct argp_child ctl_common_children[], ctl_watch_children[];

/* What a command's own parser gets as input starts with this. */
struct ctl_args {
	struct ctl_options *options;
};

/* Hands the options to the child parsers; a command's parser calls it on ARGP_KEY_INIT. */
void ctl_args_init(struct argp_state *state, struct ctl_options *options);
/* A parser for commands without options of their own. */
error_t ctl_parse_nothing(int key, char *arg, struct argp_state *state);
/* Runs the command's argp; wrong usage prints a hint and exits 2. */
void ctl_parse(const struct ctl_command *cmd, int argc, char **argv, void *args);

/* A whole number from 0 to max; anything else ends the program: "'x' is no <what>". */
long ctl_number_arg(const char *arg, long max, const char *what, struct argp_state *state);

/* ---- printing (output.c, table.c, yaml_out.c) ---- */

enum ctl_tone { CTL_PLAIN, CTL_GOOD, CTL_WARN, CTL_BAD, CTL_DIM, CTL_BOLD };

/* Whether colours are wanted on this stream (--color, NO_COLOR, terminal, TERM=dumb). */
bool ctl_has_color(const struct ctl_options *options, FILE *out);
/* Escape sequence that starts a tone, "" without colours; ctl_tone_end() stops any. */
const char *ctl_tone_start(enum ctl_tone tone, bool color);
const char *ctl_tone_end(bool color);

#define CTL_COL_WIDE  0x1 /* only with -o wide */
#define CTL_COL_RIGHT 0x2 /* numbers */

struct ctl_column {
	const char *title;
	const char *path;			  /* "source.ip": member of the item; or: */
	char *(*text)(const cJSON *item);	  /* malloc'ed; NULL and "" show as "-" */
	enum ctl_tone (*tone)(const cJSON *item); /* may be NULL */
	unsigned int flags;
};

struct ctl_view {
	const char *list; /* member of the document that holds the items */
	const char *noun; /* "no <noun>" is said on stderr when there is none */
	const struct ctl_column *column;
	size_t columns;
	char *(*name)(const cJSON *item); /* for -o name, malloc'ed; NULL: not offered */
};

/* Prints a document in the wanted format. Returns an exit code. */
int ctl_show(const struct ctl_options *options, const struct ctl_view *view, const cJSON *doc);
int ctl_table_print(const struct ctl_options *options, const struct ctl_view *view,
		    const cJSON *items, FILE *out, struct berm_err *err) must_check;
void ctl_json_print(const cJSON *doc, bool one_line, FILE *out);
void ctl_yaml_print(const cJSON *doc, FILE *out);
/* JSON, or YAML, by the wanted format. */
void ctl_document_print(const struct ctl_options *options, const cJSON *doc, FILE *out);

/* Runs once() now, or again and again with -w. Returns the last exit code. */
int ctl_repeat(const struct ctl_options *options, int (*once)(void *arg), void *arg);

/* Writes out what is buffered. A reader that went away (| head) ends the program with 0; a full disk is
 * CTL_FAILED. Otherwise returns `code`. */
int ctl_finish(int code);

/* "bermctl status: <err>" on stderr; returns CTL_FAILED. */
int ctl_complain(const char *command, const struct berm_err *err);
void ctl_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ---- texts (text.c): malloc'ed strings; NULL only without memory ---- */

char *ctl_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Value at a dotted path: strings as they are, numbers, booleans as yes/no, arrays joined by commas.
 * NULL if absent. */
char *ctl_text_at(const cJSON *item, const char *path);
const cJSON *ctl_at(const cJSON *item, const char *path);
const char *ctl_string_at(const cJSON *item, const char *path); /* "" if absent; borrowed */
double ctl_number_at(const cJSON *item, const char *path);	/* 0 if absent */
bool ctl_true_at(const cJSON *item, const char *path);
char *ctl_age(double seconds); /* "3m12s" */
char *ctl_count(uint64_t n);   /* "262,150" */
char *ctl_bytes(double bytes); /* "9.1 MiB" */
/* "2026-11-21T09:00:01.123456789Z" -> ns since the epoch. -EINVAL. */
int ctl_time_parse(const char *text, int64_t *ret_ns) must_check;
/* "90s", "5m", "1h30m", "2d" -> seconds. -EINVAL. */
int ctl_duration_parse(const char *text, double *ret_seconds) must_check;

/* Shell pattern (fnmatch) on "ns/name" if the pattern has a slash, else on the name alone. */
bool ctl_name_matches(const char *pattern, const char *ns, const char *name);

#endif /* BERM_CTL_H */
