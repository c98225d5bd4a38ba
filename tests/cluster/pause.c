// SPDX-License-Identifier: Apache-2.0
/*
 * pause - the process that holds a pod's namespaces. Sleeps until it is told to end and
 * takes over orphans of a shared pid namespace. Knows nothing of pods.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_child(int sig)
{
	(void)sig;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* As pid 1 a signal without a handler would be ignored. */
static void on_end(int sig)
{
	(void)sig;
	_exit(0);
}

int main(void)
{
	struct sigaction child = { .sa_handler = on_child, .sa_flags = SA_NOCLDSTOP | SA_RESTART };
	struct sigaction end = { .sa_handler = on_end };

	if (sigaction(SIGCHLD, &child, NULL) || sigaction(SIGTERM, &end, NULL) ||
	    sigaction(SIGINT, &end, NULL))
		return EXIT_FAILURE;
	for (;;)
		pause();
}
