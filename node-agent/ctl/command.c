/* SPDX-License-Identifier: Apache-2.0 */
/* command.c - the table of commands, and which of them a command line means. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "ctl.h"

const struct ctl_command *const ctl_commands[] = {
	&ctl_status, &ctl_endpoints, &ctl_policies,   &ctl_rules,   &ctl_sessions, &ctl_flows,
	&ctl_why,    &ctl_diff,	     &ctl_history,    &ctl_confirm, &ctl_rollback, &ctl_lint,
	&ctl_probe,  &ctl_version,   &ctl_completion, &ctl_help,    NULL,
};

const struct ctl_command *ctl_command_find(const char *name)
{
	for (size_t i = 0; ctl_commands[i]; i++)
		if (!strcmp(ctl_commands[i]->name, name))
			return ctl_commands[i];
	return NULL;
}

struct front {
	struct ctl_options *options;
	int command; /* index in argv, 0 = none */
	bool version;
};

/* Options may stand before the command too; everything from the command's name on is the command's. */
static error_t parse_front(int key, char *arg, struct argp_state *state)
{
	struct front *front = state->input;

	(void)arg;
	switch (key) {
	case ARGP_KEY_INIT:
		ctl_args_init(state, front->options);
		return 0;
	case 'h':
		front->command = 0;
		state->next = state->argc;
		exit(ctl_help.run(&ctl_help, 1, state->argv, front->options));
	case 'V':
		front->version = true;
		return 0;
	case ARGP_KEY_ARG:
		front->command = state->next - 1;
		state->next = state->argc;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option front_options[] = {
	{ "help", 'h', NULL, 0, "list the commands", 0 },
	{ "version", 'V', NULL, 0, "show the version", 0 },
	{ 0 },
};
static const struct argp front_argp = {
	.options = front_options,
	.parser = parse_front,
	.args_doc = "COMMAND [OPTION...]",
	.children = ctl_common_children,
};

int ctl_run(int argc, char **argv, struct ctl_options *options)
{
	struct front front = { .options = options };
	const struct ctl_command *cmd;

	argp_err_exit_status = CTL_USAGE;
	argp_parse(&front_argp, argc, argv, ARGP_IN_ORDER | ARGP_NO_HELP, NULL, &front);
	if (front.version)
		return ctl_version.run(&ctl_version, 1, argv, options);
	if (!front.command) {
		fprintf(stderr, "usage: %s COMMAND [OPTION...]; '%s help' lists the commands\n",
			ctl_program, ctl_program);
		return CTL_USAGE;
	}
	cmd = ctl_command_find(argv[front.command]);
	if (!cmd) {
		ctl_note("no command '%s'; '%s help' lists them", argv[front.command], ctl_program);
		return CTL_USAGE;
	}
	return cmd->run(cmd, argc - front.command, argv + front.command, options);
}
