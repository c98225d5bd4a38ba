/* SPDX-License-Identifier: Apache-2.0 */
/* help.c - `bermctl help`: the list of commands, or the help of one. */
#include <string.h>

#include "ctl.h"

static void list(FILE *out)
{
	fprintf(out, "usage: %s COMMAND [OPTION...]\n\nCommands:\n", ctl_program);
	for (size_t i = 0; ctl_commands[i]; i++)
		fprintf(out, "  %-11s %s\n", ctl_commands[i]->name, ctl_commands[i]->help);
	if (strcmp(ctl_program, "bermctl") != 0)
		fprintf(out,
			"\nThey run in the agents' pods of all nodes, lint on this machine. --node=NODE picks one; --pod NS/POD\n"
			"picks that pod's. --context, --kubeconfig and such are kubectl's; --berm-namespace=NS if not berm-system.\n");
	fprintf(out,
		"\nEvery command takes -o table|wide|json|yaml|name, --color=auto|always|never and --help.\n"
		"Exit codes: 0 fine, 1 failed or not enforcing, 2 wrong usage.\n");
}

struct args {
	struct ctl_args common;
	const char *topic;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	if (key != ARGP_KEY_ARG || args->topic)
		return ctl_parse_nothing(key, arg, state);
	args->topic = arg;
	return 0;
}

static int run(const struct ctl_command *cmd, int argc, char **argv, struct ctl_options *options)
{
	char *help[] = { NULL, (char[]){ "--help" }, NULL };
	struct args args = { .common = { options } };
	const struct ctl_command *topic;

	ctl_parse(cmd, argc, argv, &args);
	if (!args.topic) {
		list(stdout);
		return CTL_OK;
	}
	topic = ctl_command_find(args.topic);
	if (!topic) {
		ctl_note("no command '%s'; '%s help' lists them", args.topic, ctl_program);
		return CTL_USAGE;
	}
	help[0] = (char *)(uintptr_t)topic->name;
	return topic->run(topic, 2, help, options); /* argp prints it and exits */
}

static const struct argp argp = {
	.parser = parse,
	.args_doc = "[COMMAND]",
	.children = ctl_common_children,
	.doc = "Lists the commands, or explains one.\vExample:\n  bermctl help flows",
};

const struct ctl_command ctl_help = { "help", "list the commands, or explain one", &argp, run };
