/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - berm-install: puts the plugin on a node, takes it off again, says whether it is there. What runs in pods
 * has no shell, so this is a program; its options can stand in the environment.
 */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cleanup.h"
#include "conflist.h"
#include "envopt.h"
#include "log.h"
#include "node.h"
#include "paths.h"
#include "program.h"

#define EXIT_USAGE 2
#define MAX_WAIT_S 3600

const char *argp_program_version = "berm-install " BERM_VERSION;

static const char doc[] =
	"Puts Berm's CNI plugin on this node, takes Berm off it, or says whether it is there.\v"
	"install: the program, then its entry in the network configuration that the runtime takes.\n"
	"uninstall: the entry, the programs in the kernel, the state, the program; pods keep running.\n"
	"check: exit 0 if it is installed; with --clean, if nothing is left.\n"
	"mount-bpffs: for nodes where nobody else mounts /sys/fs/bpf.\n"
	"Every option can be set in the environment: --conf-dir as BERM_CONF_DIR. See berm-install(8).";

enum {
	OPT_CONF_DIR = 'c',
	OPT_BIN_DIR = 'b',
	OPT_CONF_NAME = 'n',
	OPT_WAIT = 'w',
	OPT_PLUGIN = 256,
	OPT_SETTINGS,
	OPT_LATER,
	OPT_RELOAD,
	OPT_KEEP,
	OPT_STAY,
	OPT_CLEAN
};

static const struct argp_option options[] = {
	{ "conf-dir", OPT_CONF_DIR, "DIR", 0,
	  "Where the runtime's network configuration is (default: " BERM_CONF_DIR ")", 1 },
	{ "conf-name", OPT_CONF_NAME, "FILE", 0,
	  "The file in it (default: the first one that the runtime can use)", 1 },
	{ "bin-dir", OPT_BIN_DIR, "DIR", 0,
	  "Where the runtime's network plugins are (default: " BERM_BIN_DIR ")", 1 },
	{ "wait", OPT_WAIT, "SECONDS", 0,
	  "For a configuration, or for the agent to end (default: 10)", 1 },
	{ "plugin", OPT_PLUGIN, "FILE", 0,
	  "install: the program (default: berm-cni beside this one)", 2 },
	{ "cni-settings", OPT_SETTINGS, "JSON", 0,
	  "install: settings of the plugin, such as {\"waitForPolicy\": \"5s\"}", 2 },
	{ "later", OPT_LATER, NULL, 0,
	  "install: no configuration yet is no failure; the agent watches for it", 2 },
	{ "reload-wait", OPT_RELOAD, "SECONDS", 0,
	  "uninstall: for the runtime to read its configuration again; 0: do not ask (default: 30)",
	  3 },
	{ "keep-plugin", OPT_KEEP, NULL, 0,
	  "uninstall: leave the program, for runtimes that end old pods with their old lists", 3 },
	{ "stay", OPT_STAY, NULL, 0, "uninstall: keep the node clean until told to end", 3 },
	{ "clean", OPT_CLEAN, NULL, 0, "check: that nothing is left", 4 },
	{ 0 },
};

struct settings {
	struct node_opts node;
	const char *command;
	const char *cni_settings;
};

static int seconds_read(const char *arg, const char *option, struct argp_state *state)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(arg, &end, 10);
	if (end == arg || *end || errno || n < 0 || n > MAX_WAIT_S)
		argp_error(state, "--%s=%s: want seconds, %d at most", option, arg, MAX_WAIT_S);
	return (int)n;
}

static error_t on_flag(int key, struct node_opts *node)
{
	switch (key) {
	case OPT_LATER:
		node->later = true;
		return 0;
	case OPT_KEEP:
		node->keep_plugin = true;
		return 0;
	case OPT_STAY:
		node->stay = true;
		return 0;
	case OPT_CLEAN:
		node->clean = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t on_argument(struct settings *settings, char *arg, struct argp_state *state)
{
	if (settings->command)
		argp_error(state, "too many arguments: '%s'", arg);
	settings->command = arg;
	return 0;
}

static error_t on_option(int key, char *arg, struct argp_state *state)
{
	struct settings *settings = state->input;
	struct node_opts *node = &settings->node;

	switch (key) {
	case OPT_CONF_DIR:
		node->conf.path = arg;
		return 0;
	case OPT_CONF_NAME:
		node->conf.only = arg;
		return 0;
	case OPT_BIN_DIR:
		node->bin_dir = arg;
		return 0;
	case OPT_PLUGIN:
		node->plugin = arg;
		return 0;
	case OPT_SETTINGS:
		settings->cni_settings = arg;
		return 0;
	case OPT_WAIT:
		node->wait_s = seconds_read(arg, "wait", state);
		return 0;
	case OPT_RELOAD:
		node->reload_s = seconds_read(arg, "reload-wait", state);
		return 0;
	case ARGP_KEY_ARG:
		return on_argument(settings, arg, state);
	default:
		return on_flag(key, node);
	}
}

/* "berm-cni" in the directory of this program. */
static const char *plugin_beside(void)
{
	static char path[PATH_MAX + sizeof(BERM_CNI_TYPE) + 1];
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);
	char *slash;

	path[n > 0 ? n : 0] = '\0';
	slash = strrchr(path, '/');
	strcpy(slash ? slash + 1 : path, BERM_CNI_TYPE);
	return path;
}

struct command {
	const char *name;
	int (*run)(const struct node_opts *opts, struct berm_err *err);
};

static int check(const struct node_opts *opts, struct berm_err *err)
{
	return opts->clean ? node_check_clean(opts, err) : node_check_installed(opts, err);
}

/* For nodes where nobody else does; needs CAP_SYS_ADMIN and a mount that is shared with the node. */
static int mount_bpffs(const struct node_opts *opts, struct berm_err *err)
{
	struct statfs fs;

	(void)opts;
	if (statfs(BERM_BPFFS, &fs))
		return berm_fail(err, -errno, "look at " BERM_BPFFS);
	if (fs.f_type == BPF_FS_MAGIC)
		return 0;
	if (mount("bpf", BERM_BPFFS, "bpf", 0, "mode=0700"))
		return berm_fail(err, -errno, "mount bpffs on " BERM_BPFFS);
	return 0;
}

static const struct command *command_find(const char *name)
{
	static const struct command commands[] = {
		{ "install", node_install },
		{ "uninstall", node_uninstall },
		{ "check", check },
		{ "mount-bpffs", mount_bpffs },
	};

	for (size_t i = 0; name && i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int run(const struct command *command, struct settings *settings, struct berm_err *err)
{
	auto_free char *entry = NULL;
	int rc = berm_conflist_entry(settings->cni_settings, &entry, err);

	if (rc)
		return rc;
	settings->node.conf.entry = entry;
	return command->run(&settings->node, err);
}

int main(int argc, char **argv)
{
	static const struct argp argp = { .options = options,
					  .parser = on_option,
					  .args_doc = "install|uninstall|check|mount-bpffs",
					  .doc = doc };
	struct settings settings = {
		.node = { .conf = { .path = BERM_CONF_DIR },
			  .bin_dir = BERM_BIN_DIR,
			  .plugin = plugin_beside(),
			  .wait_s = 10,
			  .reload_s = 30 },
	};
	struct berm_log_opts log = { .program = "berm-install",
				     .level = BERM_LOG_INFO,
				     .stderr_level = BERM_LOG_INFO };
	const struct command *command;
	struct berm_err err = { 0 };

	argp_err_exit_status = EXIT_USAGE;
	if (berm_log_open(&log, &err) || berm_envopt(options, &argc, &argv, &err)) {
		fprintf(stderr, "berm-install: %s\n", err.msg);
		return EXIT_USAGE;
	}
	argp_parse(&argp, argc, argv, 0, NULL, &settings);
	command = command_find(settings.command);
	if (!command) {
		fprintf(stderr,
			"berm-install: want install, uninstall, check or mount-bpffs; see --help\n");
		return EXIT_USAGE;
	}
	if (!run(command, &settings, &err))
		return EXIT_SUCCESS;
	berm_log(BERM_LOG_ERROR, "failed", "command=%s error=\"%s\"", command->name, err.msg);
	return EXIT_FAILURE;
}
