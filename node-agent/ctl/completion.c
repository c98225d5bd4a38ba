/* SPDX-License-Identifier: Apache-2.0 */
/*
 * completion.c - `bermctl completion SHELL`: completion made from the very tables that parse the command
 * line, so it cannot be out of date. deploy/completions/ holds its output.
 */
#include <ctype.h>
#include <string.h>

#include "cleanup.h"
#include "ctl.h"

struct shell {
	const char *name;
	void (*print)(FILE *out);
};

/* Values worth offering, by the name of the option's argument. */
static const struct {
	const char *arg, *values;
} values_of[] = {
	{ "FORMAT", "table wide json yaml name" },
	{ "WHEN", "auto always never" },
	{ "VERDICT", "forwarded dropped ended" },
	{ "DIRECTION", "ingress egress" },
	{ "STATE", "half-open established closing expired" },
};

static const char *find_values(const struct argp_option *option)
{
	for (size_t i = 0; option->arg && i < ARRAY_SIZE(values_of); i++)
		if (!strcmp(values_of[i].arg, option->arg))
			return values_of[i].values;
	return NULL;
}

static bool takes_file(const struct argp_option *option)
{
	return option->arg && (!strcmp(option->arg, "FILE") || !strcmp(option->arg, "PATH"));
}

typedef void option_fn(const struct argp_option *option, const struct ctl_command *cmd, FILE *out);

static void each_in(const struct argp *argp, const struct ctl_command *cmd, option_fn *fn,
		    FILE *out)
{
	const struct argp_option *option = argp->options;

	for (; option && (option->name || option->key || option->doc); option++)
		if (option->name)
			fn(option, cmd, out);
}

static void each_option(const struct ctl_command *cmd, option_fn *fn, FILE *out)
{
	const struct argp_child *child = cmd->argp->children;

	each_in(cmd->argp, cmd, fn, out);
	for (; child && child->argp; child++)
		each_in(child->argp, cmd, fn, out);
}

static bool has_letter(const struct argp_option *option)
{
	return option->key > 0 && option->key < 0x80 && isalnum(option->key);
}

/* ---- bash ---- */

static void bash_word(const struct argp_option *option, const struct ctl_command *cmd, FILE *out)
{
	(void)cmd;
	fprintf(out, " --%s", option->name);
	if (has_letter(option))
		fprintf(out, " -%c", option->key);
}

static void bash_case(const struct argp_option *option, const struct ctl_command *cmd, FILE *out)
{
	const char *values = find_values(option);

	if (!values && !takes_file(option))
		return;
	fprintf(out, "\t%s:--%s", cmd->name, option->name);
	if (has_letter(option))
		fprintf(out, " | %s:-%c", cmd->name, option->key);
	if (values)
		fprintf(out, ") words='%s' ;;\n", values);
	else
		fprintf(out, ") COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n");
}

static void print_commands(FILE *out)
{
	for (size_t i = 0; ctl_commands[i]; i++)
		fprintf(out, "%s%s", i ? " " : "", ctl_commands[i]->name);
}

static void print_bash(FILE *out)
{
	fprintf(out,
		"# bash completion of bermctl, made by: bermctl completion bash\n"
		"# shellcheck shell=bash disable=SC2207 # words are split on purpose\n"
		"_bermctl() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=\n"
		"\tlocal command=${COMP_WORDS[1]}\n\n"
		"\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\tCOMPREPLY=($(compgen -W '");
	print_commands(out);
	fprintf(out, "' -- \"$cur\"))\n\t\treturn\n\tfi\n"
		     "\t[ \"$cur\" = = ] && cur=\n"
		     "\t[ \"$prev\" = = ] && prev=${COMP_WORDS[COMP_CWORD-2]}\n"
		     "\tcase $command:$prev in\n");
	for (size_t i = 0; ctl_commands[i]; i++)
		each_option(ctl_commands[i], bash_case, out);
	fprintf(out, "\t*) case $command in\n");
	for (size_t i = 0; ctl_commands[i]; i++) {
		fprintf(out, "\t\t%s) words='--help", ctl_commands[i]->name);
		each_option(ctl_commands[i], bash_word, out);
		fprintf(out, "' ;;\n");
	}
	fprintf(out, "\t\tesac\n\t\tcase $command in\n\t\thelp) words=\"$words ");
	print_commands(out);
	fprintf(out,
		"\" ;;\n\t\tcompletion) words=\"$words bash zsh fish\" ;;\n\t\tesac ;;\n\tesac\n"
		"\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\n"
		"complete -F _bermctl bermctl\n");
}

/* ---- zsh ---- */

/* Text inside '...[...]' of _arguments. */
static void zsh_text(const char *text, FILE *out)
{
	for (; text && *text; text++) {
		if (strchr("[]:\\", *text))
			fputc('\\', out);
		if (*text == '\'')
			fputs("'\\'", out);
		fputc(*text, out);
	}
}

static void zsh_option(const struct argp_option *option, const struct ctl_command *cmd, FILE *out)
{
	const char *values = find_values(option);

	(void)cmd;
	if (has_letter(option))
		fprintf(out, " \\\n\t\t\t{-%c%s,--%s%s}'[", option->key, option->arg ? "+" : "",
			option->name, option->arg ? "=" : "");
	else
		fprintf(out, " \\\n\t\t\t'--%s%s[", option->name, option->arg ? "=" : "");
	zsh_text(option->doc, out);
	fputc(']', out);
	if (option->arg) {
		fprintf(out, ":");
		zsh_text(option->arg, out);
		fprintf(out, ":");
		if (values)
			fprintf(out, "(%s)", values);
		else if (takes_file(option))
			fprintf(out, "_files");
	}
	fputc('\'', out);
}

static void print_zsh(FILE *out)
{
	fprintf(out,
		"#compdef bermctl\n# zsh completion of bermctl, made by: bermctl completion zsh\n"
		"_bermctl() {\n\tlocal -a commands\n\tcommands=(\n");
	for (size_t i = 0; ctl_commands[i]; i++) {
		fprintf(out, "\t\t'%s:", ctl_commands[i]->name);
		zsh_text(ctl_commands[i]->help, out);
		fprintf(out, "'\n");
	}
	fprintf(out,
		"\t)\n\tif (( CURRENT == 2 )); then\n\t\t_describe command commands\n\t\treturn\n\tfi\n"
		"\tcase $words[2] in\n");
	for (size_t i = 0; ctl_commands[i]; i++) {
		const char *name = ctl_commands[i]->name;

		fprintf(out, "\t%s)\n\t\t_arguments -s '1:: :' '--help[explain the command]'",
			name);
		each_option(ctl_commands[i], zsh_option, out);
		if (!strcmp(name, "completion"))
			fprintf(out, " \\\n\t\t\t'2:shell:(bash zsh fish)'");
		if (!strcmp(name, "lint"))
			fprintf(out, " \\\n\t\t\t'*:file:_files'");
		fprintf(out, "\n\t\t;;\n");
	}
	fprintf(out, "\tesac\n}\n_bermctl \"$@\"\n");
}

/* ---- fish ---- */

static void fish_option(const struct argp_option *option, const struct ctl_command *cmd, FILE *out)
{
	const char *values = find_values(option);

	fprintf(out, "complete -c bermctl -n '__fish_seen_subcommand_from %s' -l %s", cmd->name,
		option->name);
	if (has_letter(option))
		fprintf(out, " -s %c", option->key);
	if (option->arg)
		fprintf(out, takes_file(option) ? " -rF" : " -x");
	if (values)
		fprintf(out, " -a '%s'", values);
	fprintf(out, " -d \"%s\"\n", option->doc);
}

static void print_fish(FILE *out)
{
	fprintf(out,
		"# fish completion of bermctl, made by: bermctl completion fish\ncomplete -c bermctl -f\n");
	for (size_t i = 0; ctl_commands[i]; i++)
		fprintf(out, "complete -c bermctl -n __fish_use_subcommand -a %s -d \"%s\"\n",
			ctl_commands[i]->name, ctl_commands[i]->help);
	fprintf(out,
		"complete -c bermctl -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'\n");
	for (size_t i = 0; ctl_commands[i]; i++)
		each_option(ctl_commands[i], fish_option, out);
}

/* ---- the command ---- */

static const struct shell shells[] = { { "bash", print_bash },
				       { "zsh", print_zsh },
				       { "fish", print_fish } };

struct args {
	struct ctl_args common;
	const struct shell *shell;
};

static const struct shell *find_shell(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(shells); i++)
		if (!strcmp(shells[i].name, name))
			return &shells[i];
	return NULL;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		if (args->shell)
			return ctl_parse_nothing(key, arg, state);
		args->shell = find_shell(arg);
		if (!args->shell)
			argp_error(state, "no completion for '%s'; there is bash, zsh and fish",
				   arg);
		return 0;
	case ARGP_KEY_END:
		if (!args->shell)
			argp_error(state, "which shell? bash, zsh or fish");
		return 0;
	default:
		return ctl_parse_nothing(key, arg, state);
	}
}

static const struct argp argp = {
	.parser = parse,
	.args_doc = "bash|zsh|fish",
	.children = ctl_common_children,
	.doc = "Prints a script that teaches the shell to complete bermctl's command line.\v"
	       "Example:\n  source <(bermctl completion bash)\n"
	       "  bermctl completion fish > ~/.config/fish/completions/bermctl.fish",
};

static int run(const struct ctl_command *cmd, int argc, char **argv, struct ctl_options *options)
{
	struct args args = { .common = { options } };

	ctl_parse(cmd, argc, argv, &args);
	args.shell->print(stdout);
	return CTL_OK;
}

const struct ctl_command ctl_completion = { "completion", "completion for bash, zsh and fish",
					    &argp, run };
