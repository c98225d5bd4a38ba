/* SPDX-License-Identifier: Apache-2.0 */
/* probe.c - `bermctl probe`: one question to the agent, answered by the exit status, for a kubelet's exec probes. */
#include <string.h>

#include "source.h"

struct args {
	struct ctl_args common;
	const char *what;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		if (args->what || (strcmp(arg, "live") != 0 && strcmp(arg, "ready") != 0))
			argp_error(state, "want live or ready, not '%s'", arg);
		args->what = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "want live or ready");
		return 0;
	default:
		return ctl_parse_nothing(key, arg, state);
	}
}

static int complain_of_reasons(const cJSON *status)
{
	const cJSON *reason;

	cJSON_ArrayForEach(reason, ctl_at(status, "reasons"))
		if (cJSON_IsString(reason))
			fprintf(stderr, "not enforcing: %s\n", reason->valuestring);
	return CTL_FAILED;
}

/* Alive: the loop has answered. Ready: and it says that this node is enforcing. */
static int run(const struct ctl_command *cmd, int argc, char **argv, struct ctl_options *options)
{
	struct args args = { .common = { options } };
	struct berm_err err = { 0 };
	cJSON *status = NULL;
	int code = CTL_OK;

	ctl_parse(cmd, argc, argv, &args);
	if (ctl_agent_get(options, "/v1/status", &status, &err))
		return ctl_complain(cmd->name, &err);
	if (!strcmp(args.what, "ready") && !ctl_true_at(status, "enforcing"))
		code = complain_of_reasons(status);
	cJSON_Delete(status);
	return code;
}

static const struct argp argp = {
	.parser = parse,
	.args_doc = "live|ready",
	.children = ctl_common_children,
	.doc = "For a kubelet's exec probes: exit 0 if the agent answers (live), or also enforces every pod of the "
	       "node (ready); else exit 1 and why on stderr.\vExample:\n  bermctl probe ready",
};

const struct ctl_command ctl_probe = { "probe", "is the agent alive, or ready (exit status)", &argp,
				       run };
