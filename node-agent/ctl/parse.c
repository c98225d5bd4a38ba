/* SPDX-License-Identifier: Apache-2.0 */
/* parse.c - the options that every command understands, and how a command's own come together with them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "ctl.h"

enum { OPT_COLOR = 0x100, OPT_SOCKET, OPT_INTERVAL };

struct word {
	const char *name;
	int value;
};

static const struct word formats[] = {
	{ "table", CTL_TABLE }, { "wide", CTL_WIDE }, { "json", CTL_JSON },
	{ "yaml", CTL_YAML },	{ "name", CTL_NAME }, { NULL, 0 },
};
static const struct word colors[] = {
	{ "auto", CTL_COLOR_AUTO },
	{ "always", CTL_COLOR_ALWAYS },
	{ "never", CTL_COLOR_NEVER },
	{ NULL, 0 },
};

/* Ends the program with a usage error if `text` is none of the words. */
static int word_value(struct argp_state *state, const struct word *words, const char *option,
		      const char *text)
{
	for (const struct word *w = words; w->name; w++)
		if (!strcmp(w->name, text))
			return w->value;
	argp_error(state, "'%s' is no value of %s", text, option);
	return 0;
}

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
	struct ctl_options *options = state->input;

	switch (key) {
	case 'o':
		options->format = word_value(state, formats, "-o", arg);
		return 0;
	case OPT_COLOR:
		options->color = word_value(state, colors, "--color", arg ? arg : "always");
		return 0;
	case OPT_SOCKET:
		options->socket = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_watch(int key, char *arg, struct argp_state *state)
{
	struct ctl_options *options = state->input;

	switch (key) {
	case 'w':
		options->watch = true;
		return 0;
	case OPT_INTERVAL:
		if (ctl_duration_parse(arg, &options->interval_s) || options->interval_s < 0.05)
			argp_error(state,
				   "'%s' is no interval; write it like 2s or 500ms, 50ms at least",
				   arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option common_options[] = {
	{ NULL, 0, NULL, 0, "Output:", 10 },
	{ "output", 'o', "FORMAT", 0, "table, wide, json, yaml or name", 10 },
	{ "color", OPT_COLOR, "WHEN", OPTION_ARG_OPTIONAL,
	  "auto, always or never; NO_COLOR is honoured", 10 },
	{ "socket", OPT_SOCKET, "PATH", 0, "the agent's socket instead of /run/berm/agent.sock",
	  10 },
	{ 0 },
};

static const struct argp_option watch_options[] = {
	{ "watch", 'w', NULL, 0, "show it again and again", 11 },
	{ "interval", OPT_INTERVAL, "TIME", 0, "pause between two views (default 2s)", 11 },
	{ 0 },
};

const struct argp ctl_common_argp = { .options = common_options, .parser = parse_common };
const struct argp ctl_watch_argp = { .options = watch_options, .parser = parse_watch };

const struct argp_child ctl_common_children[] = { { &ctl_common_argp, 0, NULL, 10 }, { 0 } };
const struct argp_child ctl_watch_children[] = {
	{ &ctl_common_argp, 0, NULL, 10 },
	{ &ctl_watch_argp, 0, NULL, 11 },
	{ 0 },
};

void ctl_args_init(struct argp_state *state, struct ctl_options *options)
{
	const struct argp_child *children = state->root_argp->children;

	for (size_t i = 0; children && children[i].argp; i++)
		state->child_inputs[i] = options;
}

error_t ctl_parse_nothing(int key, char *arg, struct argp_state *state)
{
	struct ctl_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		ctl_args_init(state, args->options);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "too many arguments: '%s'", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

void ctl_parse(const struct ctl_command *cmd, int argc, char **argv, void *args)
{
	auto_free char *name = ctl_printf("%s %s", ctl_program, cmd->name);
	char *shown = argv[0];

	argv[0] = name ? name : shown; /* argp names the program by it */
	argp_err_exit_status = CTL_USAGE;
	argp_parse(cmd->argp, argc, argv, 0, NULL, args); /* exits on wrong usage */
	argv[0] = shown;
}

long ctl_number_arg(const char *arg, long max, const char *what, struct argp_state *state)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(arg, &end, 10);
	if (end == arg || *end || errno || n < 0 || n > max)
		argp_error(state, "'%s' is no %s", arg, what);
	return n;
}
