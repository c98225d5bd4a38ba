/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - berm-agent: options, one instance per node, exit codes. The rest is loop.c's. */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "agent.h"
#include "cleanup.h"
#include "fsutil.h"
#include "log.h"
#include "paths.h"

#define AGENT_LOCK BERM_RUN_DIR "/agent.lock"
#define EXIT_USAGE 2

const char *argp_program_version = "berm-agent " BERM_VERSION;

static const char doc[] =
	"Enforces segmentation policies on the pods of this node.\v"
	"The agent may stop and start at any time: what it has put into the kernel goes on "
	"without it. See berm-agent(8).";

enum {
	OPT_MANIFESTS = 'm',
	OPT_NODE = 'n',
	OPT_STATE = 's',
	OPT_SOCKET = 'S',
	OPT_LEVEL = 'l',
	OPT_FILE = 'L',
	OPT_ATTACH = 'a',
	OPT_MISSING = 'M'
};

static const struct argp_option options[] = {
	{ "manifests", OPT_MANIFESTS, "DIR", 0,
	  "Read Kubernetes YAML and JSON from DIR and follow its changes", 0 },
	{ "node-name", OPT_NODE, "NAME", 0,
	  "Name of this node, as in spec.nodeName of its pods (default: host name)", 0 },
	{ "state-dir", OPT_STATE, "DIR", 0,
	  "Where last good documents are kept (default: " BERM_STATE_DIR ")", 0 },
	{ "socket", OPT_SOCKET, "PATH", 0,
	  "Unix socket to answer on (default: " BERM_AGENT_SOCKET ")", 0 },
	{ "attach", OPT_ATTACH, "MODE", 0,
	  "How adopted pods are attached: auto, tcx or clsact (default: auto)", 0 },
	{ "missing-state", OPT_MISSING, "VERDICT", 0,
	  "Packets on an interface that lost its endpoint entry: pass or drop (default: drop)", 0 },
	{ "log-level", OPT_LEVEL, "LEVEL", 0, "error, warning, info or debug (default: info)", 0 },
	{ "log-file", OPT_FILE, "PATH", 0,
	  "Log to this file too; it never grows beyond 1 MiB, twice", 0 },
	{ 0 },
};

struct settings {
	struct berm_agent_opts agent;
	struct berm_log_opts log;
};

/* Position of word in a list that ends with NULL, or -1. */
static int word_index(const char *word, const char *const *list)
{
	int i;

	for (i = 0; list[i]; i++)
		if (!strcmp(word, list[i]))
			return i;
	return -1;
}

static void set_level(struct settings *settings, const char *word, struct argp_state *state)
{
	static const char *const words[] = { "error", "warning", "info", "debug",
					     NULL }; /* enum berm_log_level */
	int level = word_index(word, words);

	if (level < 0)
		argp_error(state, "--log-level=%s: want error, warning, info or debug", word);
	settings->log.level = settings->log.stderr_level = (enum berm_log_level)level;
}

static void set_attach(struct settings *settings, const char *word, struct argp_state *state)
{
	static const char *const words[] = { "auto", "tcx", "clsact",
					     NULL }; /* enum berm_attach_mode */
	int mode = word_index(word, words);

	if (mode < 0)
		argp_error(state, "--attach=%s: want auto, tcx or clsact", word);
	settings->agent.attach = (enum berm_attach_mode)mode;
}

static void set_missing(struct settings *settings, const char *word, struct argp_state *state)
{
	static const char *const words[] = { "pass", "drop", NULL };
	int verdict = word_index(word, words);

	if (verdict < 0)
		argp_error(state, "--missing-state=%s: want pass or drop", word);
	settings->agent.missing_pass = verdict == 0;
}

static error_t on_option(int key, char *arg, struct argp_state *state)
{
	struct settings *settings = state->input;

	switch (key) {
	case OPT_MANIFESTS:
		settings->agent.manifests = arg;
		return 0;
	case OPT_NODE:
		settings->agent.node = arg;
		return 0;
	case OPT_STATE:
		settings->agent.state_dir = arg;
		return 0;
	case OPT_SOCKET:
		settings->agent.socket = arg;
		return 0;
	case OPT_LEVEL:
		set_level(settings, arg, state);
		return 0;
	case OPT_ATTACH:
		set_attach(settings, arg, state);
		return 0;
	case OPT_MISSING:
		set_missing(settings, arg, state);
		return 0;
	case OPT_FILE:
		settings->log.path = arg;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state,
			   "'%s' is not an option; documents go into the directory of --manifests",
			   arg);
		return 0;
	case ARGP_KEY_END:
		if (!settings->agent.manifests)
			argp_error(state, "--manifests=DIR is missing: where are the policies?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The lock lasts as long as the process; the file says who holds it. */
static int lock_node(int *ret_fd, struct berm_err *err)
{
	auto_close int fd = -1;
	char pid[16] = "";
	int rc = berm_mkdirs(BERM_RUN_DIR, 0755, err);

	if (rc)
		return rc;
	fd = open(AGENT_LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return berm_fail(err, -errno, "open " AGENT_LOCK);
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK)
			return berm_fail(err, -errno, "lock " AGENT_LOCK);
		(void)!read(fd, pid, sizeof(pid) - 1); /* the message does without it */
		pid[strcspn(pid, "\n")] = '\0';
		return berm_refuse(err, -EBUSY,
				   "another berm-agent (pid %s) runs on this node; stop it first",
				   *pid ? pid : "unknown");
	}
	snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) || pwrite(fd, pid, strlen(pid), 0) < 0)
		berm_log(BERM_LOG_WARNING, "pid-not-written", "file=" AGENT_LOCK " error=\"%s\"",
			 strerror(errno));
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int run(const struct settings *settings, struct berm_err *err)
{
	auto_close int lock = -1;
	int rc;

	if (geteuid() != 0)
		return berm_refuse(err, -EPERM, "berm-agent loads BPF programs: run it as root");
	rc = lock_node(&lock, err);
	return rc ? rc : berm_agent_run(&settings->agent, err);
}

int main(int argc, char **argv)
{
	static const struct argp argp = { .options = options, .parser = on_option, .doc = doc };
	struct settings settings = {
		.agent = { .state_dir = BERM_STATE_DIR, .socket = BERM_AGENT_SOCKET },
		.log = { .program = "berm-agent",
			 .level = BERM_LOG_INFO,
			 .stderr_level = BERM_LOG_INFO },
	};
	char host[256] = "localhost";
	struct berm_err err = { 0 };
	int rc;

	argp_err_exit_status = EXIT_USAGE;
	(void)gethostname(host, sizeof(host) - 1); /* "localhost" then */
	settings.agent.node = host;
	argp_parse(&argp, argc, argv, 0, NULL, &settings);
	signal(SIGPIPE, SIG_IGN);
	(void)setenv("UV_THREADPOOL_SIZE", "3", 0); /* grace period, look at the hooks, scan of the maps */
	signal(SIGIO, SIG_IGN); /* of file leases that we hold for a moment (manifest.c) */
	if (berm_log_open(&settings.log, &err))
		berm_log(BERM_LOG_WARNING, "no-log-file", "error=\"%s\"", err.msg);
	rc = run(&settings, &err);
	if (rc == -ESTALE) { /* all descriptors close with it */
		(void)execv("/proc/self/exe", argv);
		berm_fail(&err, -errno, "start again");
	}
	if (rc)
		berm_log(BERM_LOG_ERROR, "failed", "error=\"%s\"", err.msg);
	else
		berm_log(BERM_LOG_INFO, "stopped", NULL);
	berm_log_close();
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}
