/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - bermctl; installed as kubectl-berm it runs in the agents' pods. Reads and explains; what
 * changes the node (rollback) is asked of the agent.
 */
#include <signal.h>
#include <string.h>

#include "ctl.h"
#include "kubectl.h"
#include "paths.h"

#define KUBECTL_NAME "kubectl berm"

static const char *program_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	return strcmp(name, "kubectl-berm") ? "bermctl" : KUBECTL_NAME;
}

int main(int argc, char **argv)
{
	struct ctl_options options = { .socket = BERM_AGENT_SOCKET, .interval_s = 2 };
	bool is_kubectl;
	char *fallback[] = { (char *)(uintptr_t) "bermctl", NULL };

	if (argc < 1) {
		argc = 1;
		argv = fallback;
	}
	ctl_program = program_name(argv[0]);
	is_kubectl = !strcmp(ctl_program, KUBECTL_NAME);
	argv[0] = (char *)(uintptr_t)ctl_program;
	signal(SIGPIPE, SIG_IGN); /* seen as EPIPE: ctl_finish() */
	if (is_kubectl && !ctl_kubectl_is_local(argc, argv))
		return ctl_finish(ctl_kubectl_run(argc, argv));
	return ctl_finish(ctl_run(argc, argv, &options));
}
