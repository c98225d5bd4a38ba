// SPDX-License-Identifier: Apache-2.0
/*
 * shell - runs "-c 'PROGRAM ARG ...'" for pods whose image has no shell. Knows no quotes. A program that fails is not
 * started again but left out: what the pod's other containers serve still can be tested.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_ARGS 32

static void run(char *line)
{
	char *argv[MAX_ARGS + 1], *rest = NULL;
	int count = 0;

	for (char *word = strtok_r(line, " ", &rest); word && count < MAX_ARGS;
	     word = strtok_r(NULL, " ", &rest))
		argv[count++] = word;
	argv[count] = NULL;
	if (count)
		execv(argv[0], argv);
	perror("shell");
	_exit(127);
}

int main(int argc, char **argv)
{
	int status = 0;
	pid_t pid;

	if (argc != 3 || strcmp(argv[1], "-c") != 0)
		return 2;
	pid = fork();
	if (!pid)
		run(argv[2]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return EXIT_FAILURE;
	fprintf(stderr, "shell: '%s' has ended with %#x\n", argv[2], (unsigned int)status);
	for (;;)
		pause();
}
