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
#include "conflist.h"
#include "document_app.h"
#include "envopt.h"
#include "fsutil.h"
#include "log.h"
#include "paths.h"
#include "program.h"

#define AGENT_LOCK   BERM_RUN_DIR "/agent.lock"
#define EXIT_USAGE   2
#define MIN_SESSIONS 1000
#define MAX_SESSIONS 100000000

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
	OPT_MISSING = 'M',
	OPT_KUBECONFIG = 'k',
	OPT_CONTEXT = 'c',
	OPT_IN_CLUSTER = 'K',
	OPT_API_IDLE = 256,
	OPT_FEEDBACK,
	OPT_INSTALL,
	OPT_CONF_DIR,
	OPT_CONF_NAME,
	OPT_BIN_DIR,
	OPT_PLUGIN,
	OPT_CNI_SETTINGS,
	OPT_STRICT_TCP,
	OPT_UPLINK,
	OPT_UPLINK_MODE,
	OPT_UPLINK_ALL,
	OPT_REPORT_ENDED,
	OPT_SESSIONS,
	OPT_APPS,
	OPT_TIMEOUT /* and so many more, by enum berm_timeout */
};

static const struct argp_option options[] = {
	{ "manifests", OPT_MANIFESTS, "DIR", 0,
	  "Read Kubernetes YAML and JSON from DIR and follow its changes", 0 },
	{ "in-cluster", OPT_IN_CLUSTER, NULL, 0,
	  "Watch the API server of the cluster that this pod runs in, with its ServiceAccount", 0 },
	{ "kubeconfig", OPT_KUBECONFIG, "FILE", 0, "Watch the API server that FILE names", 0 },
	{ "context", OPT_CONTEXT, "NAME", 0,
	  "Context of the kubeconfig (default: its current-context)", 0 },
	{ "api-idle-timeout", OPT_API_IDLE, "SECONDS", 0,
	  "A watch that is silent for so long is taken for dead (default: 120)", 0 },
	{ "feedback", OPT_FEEDBACK, "SECONDS", 0,
	  "Write status and Events to the API server, the status no sooner than SECONDS after the last one; 0: write nothing "
	  "(default: 10 with --in-cluster, else 0)",
	  0 },
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
	{ "strict-tcp", OPT_STRICT_TCP, NULL, 0,
	  "A TCP session begins with a SYN: connections that run already are not adopted", 0 },
	{ "uplink", OPT_UPLINK, "IFACE[,IFACE]", 0,
	  "Drop what emergency rules deny to every pod as it comes in by these interfaces, by XDP",
	  0 },
	{ "uplink-mode", OPT_UPLINK_MODE, "MODE", 0,
	  "XDP in the driver (native), before the stack (generic), or what the driver can: auto (default)",
	  0 },
	{ "uplink-all", OPT_UPLINK_ALL, NULL, 0,
	  "Drop it whatever it is for, the node itself too; else only what is for pods", 0 },
	{ "sessions", OPT_SESSIONS, "NUMBER", 0,
	  "Room of the session table, 73 bytes each (1000 to 100000000; default: as it is, a new one has 262150)",
	  0 },
	{ "report-ended", OPT_REPORT_ENDED, NULL, 0,
	  "Flow records tell what each session has carried when it ends", 0 },
	{ "apps", OPT_APPS, NULL, 0,
	  "Find out by its first payload what a session carries: HTTP, TLS, DNS or SSH", 0 },
	{ "log-level", OPT_LEVEL, "LEVEL", 0, "error, warning, info or debug (default: info)", 0 },
	{ "log-file", OPT_FILE, "PATH", 0,
	  "Log to this file too; it never grows beyond 1 MiB, twice", 0 },
	{ "install", OPT_INSTALL, NULL, 0,
	  "Keep the plugin in the runtime's network configuration and in its directory", 1 },
	{ "conf-dir", OPT_CONF_DIR, "DIR", 0,
	  "Where the network configuration is (default: " BERM_CONF_DIR ")", 1 },
	{ "conf-name", OPT_CONF_NAME, "FILE", 0,
	  "The file in it (default: the first one that the runtime can use)", 1 },
	{ "bin-dir", OPT_BIN_DIR, "DIR", 0,
	  "Where the runtime's network plugins are (default: " BERM_BIN_DIR ")", 1 },
	{ "plugin", OPT_PLUGIN, "FILE", 0, "The plugin (default: /usr/bin/berm-cni)", 1 },
	{ "cni-settings", OPT_CNI_SETTINGS, "JSON", 0,
	  "Settings of the plugin, such as {\"waitForPolicy\": \"5s\"}", 1 },
	{ NULL, 0, NULL, 0, "How long a session lives without a packet:", 2 },
#define X(id, name, seconds, least, most, help)                                                    \
	{ "timeout-" name,                                                                         \
	  OPT_TIMEOUT + BERM_TIMEOUT_##id,                                                         \
	  "SECONDS",                                                                               \
	  0,                                                                                       \
	  help " (" #least " to " #most ", default: " #seconds ")",                                \
	  2 },
	BERM_TIMEOUTS(X)
#undef X
		{ 0 },
};

struct settings {
	struct berm_agent_opts agent;
	struct berm_log_opts log;
	bool is_in_cluster, has_feedback;
	const char *cni_settings;
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

/* One source: two that name the same object would need a rule which of them counts. */
static void check_source(const struct settings *settings, struct argp_state *state)
{
	const struct berm_agent_opts *agent = &settings->agent;
	int sources = (agent->manifests != NULL) + (agent->api.kubeconfig != NULL) +
		      settings->is_in_cluster;

	if (!sources)
		argp_error(state,
			   "where are the policies? Give --manifests=DIR, --kubeconfig=FILE or --in-cluster");
	if (sources > 1)
		argp_error(state,
			   "--manifests, --kubeconfig and --in-cluster exclude each other: give one");
	if (agent->api.context && !agent->api.kubeconfig)
		argp_error(state, "--context goes with --kubeconfig");
}

static void set_idle(struct settings *settings, const char *word, struct argp_state *state)
{
	char *end;
	unsigned long seconds = strtoul(word, &end, 10);

	if (*word < '0' || *word > '9' || *end || seconds < 1 || seconds > 86400)
		argp_error(state, "--api-idle-timeout=%s: want 1 to 86400 seconds", word);
	settings->agent.api.idle_s = (unsigned int)seconds;
}

static void set_feedback(struct settings *settings, const char *word, struct argp_state *state)
{
	char *end;
	unsigned long seconds = strtoul(word, &end, 10);

	if (*word < '0' || *word > '9' || *end || seconds > 3600)
		argp_error(state, "--feedback=%s: want 0 to 3600 seconds", word);
	settings->agent.feedback_s = (unsigned int)seconds;
	settings->has_feedback = true;
}

static void set_timeout(struct settings *settings, enum berm_timeout which, const char *word,
			struct argp_state *state)
{
	struct berm_err err = { 0 };

	if (berm_timeout_parse(which, word, &settings->agent.sessions.timeout_s[which], &err))
		argp_error(state, "--%s", err.msg);
}

static void set_uplink_mode(struct settings *settings, const char *word, struct argp_state *state)
{
	static const char *const words[] = { "auto", "native", "generic",
					     NULL }; /* enum berm_uplink_mode */
	int mode = word_index(word, words);

	if (mode < 0)
		argp_error(state, "--uplink-mode=%s: want auto, native or generic", word);
	settings->agent.shield.mode = (enum berm_uplink_mode)mode;
}

static error_t on_uplink_option(int key, char *arg, struct argp_state *state)
{
	struct settings *settings = state->input;
	struct berm_err err = { 0 };

	if (key == OPT_UPLINK_MODE)
		set_uplink_mode(settings, arg, state);
	else if (key == OPT_UPLINK_ALL)
		settings->agent.shield.any_destination = true;
	else if (key != OPT_UPLINK)
		return ARGP_ERR_UNKNOWN;
	else if (berm_shield_parse(arg, &settings->agent.shield, &err))
		argp_error(state, "--uplink=%s: %s", arg, err.msg);
	return 0;
}

static void set_sessions(struct settings *settings, const char *word, struct argp_state *state)
{
	char *end;
	unsigned long number = strtoul(word, &end, 10);

	if (*word < '0' || *word > '9' || *end || number < MIN_SESSIONS || number > MAX_SESSIONS)
		argp_error(state, "--sessions=%s: want %d to %d", word, MIN_SESSIONS, MAX_SESSIONS);
	settings->agent.buckets = (uint32_t)((number + BERM_WAYS - 1) / BERM_WAYS);
}

static error_t on_session_option(int key, char *arg, struct argp_state *state)
{
	struct settings *settings = state->input;

	if (key == OPT_STRICT_TCP)
		settings->agent.sessions.strict_tcp = true;
	else if (key == OPT_SESSIONS)
		set_sessions(settings, arg, state);
	else if (key == OPT_REPORT_ENDED)
		settings->agent.sessions.report_ended = true;
	else if (key == OPT_APPS)
		settings->agent.sessions.apps = true;
	else if (key >= OPT_TIMEOUT && key < OPT_TIMEOUT + BERM_TIMEOUT_COUNT)
		set_timeout(settings, (enum berm_timeout)(key - OPT_TIMEOUT), arg, state);
	else
		return on_uplink_option(key, arg, state);
	return 0;
}

static error_t on_api_option(int key, char *arg, struct argp_state *state)
{
	struct settings *settings = state->input;

	switch (key) {
	case OPT_KUBECONFIG:
		settings->agent.api.kubeconfig = arg;
		settings->agent.has_api = true;
		return 0;
	case OPT_CONTEXT:
		settings->agent.api.context = arg;
		return 0;
	case OPT_IN_CLUSTER:
		settings->is_in_cluster = settings->agent.has_api = true;
		return 0;
	case OPT_API_IDLE:
		set_idle(settings, arg, state);
		return 0;
	case OPT_FEEDBACK:
		set_feedback(settings, arg, state);
		return 0;
	default:
		return on_session_option(key, arg, state);
	}
}

static error_t on_install_option(int key, char *arg, struct argp_state *state)
{
	struct settings *settings = state->input;
	struct berm_keeper_opts *install = &settings->agent.install;

	switch (key) {
	case OPT_INSTALL:
		settings->agent.keep_install = true;
		return 0;
	case OPT_CONF_DIR:
		install->conf.path = arg;
		return 0;
	case OPT_CONF_NAME:
		install->conf.only = arg;
		return 0;
	case OPT_BIN_DIR:
		install->bin_dir = arg;
		return 0;
	case OPT_PLUGIN:
		install->plugin = arg;
		return 0;
	case OPT_CNI_SETTINGS:
		settings->cni_settings = arg;
		return 0;
	default:
		return on_api_option(key, arg, state);
	}
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
		check_source(settings, state);
		if (settings->is_in_cluster && !settings->has_feedback)
			settings->agent.feedback_s = BERM_FEEDBACK_INTERVAL_S;
		return 0;
	default:
		return on_install_option(key, arg, state);
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

static int run(struct settings *settings, struct berm_err *err)
{
	auto_free char *entry = NULL;
	auto_close int lock = -1;
	int rc;

	if (geteuid() != 0)
		return berm_refuse(err, -EPERM, "berm-agent loads BPF programs: run it as root");
	berm_document_set_apps(settings->agent.sessions.apps);
	settings->agent.log_level = settings->log.level;
	rc = berm_conflist_entry(settings->cni_settings, &entry, err);
	settings->agent.install.conf.entry = entry;
	if (!rc)
		rc = lock_node(&lock, err);
	return rc ? rc : berm_agent_run(&settings->agent, err);
}

int main(int argc, char **argv)
{
	static const struct argp argp = { .options = options, .parser = on_option, .doc = doc };
	struct settings settings = {
		.agent = { .state_dir = BERM_STATE_DIR,
			   .socket = BERM_AGENT_SOCKET,
			   .api = { .idle_s = BERM_API_IDLE_S },
			   .install = { .conf = { .path = BERM_CONF_DIR },
					.bin_dir = BERM_BIN_DIR,
					.plugin = "/usr/bin/" BERM_CNI_TYPE } },
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
	if (berm_envopt(options, &argc, &argv, &err)) {
		fprintf(stderr, "berm-agent: %s\n", err.msg);
		return EXIT_USAGE;
	}
	argp_parse(&argp, argc, argv, 0, NULL, &settings);
	signal(SIGPIPE, SIG_IGN);
	(void)setenv("UV_THREADPOOL_SIZE", "3", 0); /* grace, hooks.c, attest.c: one each */
	signal(SIGIO, SIG_IGN); /* of file leases that we hold for a moment (manifest.c) */
	if (berm_log_open(&settings.log, &err))
		berm_log(BERM_LOG_WARNING, "no-log-file", "error=\"%s\"", err.msg);
	rc = run(&settings, &err);
	if (rc == -ERESTART) { /* all descriptors close with it */
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
