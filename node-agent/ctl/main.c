/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - bermctl, also installed as kubectl-berm. Reads and explains; changes
 * nothing on the node.
 */
#include <signal.h>
#include <string.h>

#include "ctl.h"
#include "paths.h"

static const char *program_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	return strcmp(name, "kubectl-berm") ? "bermctl" : "kubectl berm";
}

int main(int argc, char **argv)
{
	struct ctl_options options = { .socket = BERM_AGENT_SOCKET, .interval_s = 2 };
	char *fallback[] = { (char *)(uintptr_t) "bermctl", NULL };

	if (argc < 1) {
		argc = 1;
		argv = fallback;
	}
	ctl_program = program_name(argv[0]);
	argv[0] = (char *)(uintptr_t)ctl_program;
	signal(SIGPIPE, SIG_IGN); /* seen as EPIPE: ctl_finish() */
	return ctl_finish(ctl_run(argc, argv, &options));
}
