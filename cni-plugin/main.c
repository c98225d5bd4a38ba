/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - berm-cni, one process for one CNI call: read the call, run the command, print an error object if it
 * failed. stdout belongs to the protocol; logs go to stderr and a file.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "cleanup.h"
#include "fsutil.h"
#include "log.h"
#include "result.h"

#define STDIN_MAX_BYTES	 (8u << 20)
#define LOG_MAX_BYTES	 (2u << 20)
#define FALLBACK_VERSION "1.0.0" /* of error objects when the call names none that we know */

static const struct command {
	const char *name;
	const char *least;     /* cniVersion that has it */
	bool needs_attachment; /* container ID and interface name */
	bool needs_netns;
	int (*run)(const struct cni_call *call, int *ret_code, struct berm_err *err);
} commands[] = {
	{ "ADD", "0.3.0", true, true, cmd_add },
	{ "CHECK", "0.4.0", true, true, cmd_check },
	{ "GC", "1.1.0", false, false, cmd_gc },
	{ "STATUS", "1.1.0", false, false, cmd_status },
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int check_version(const struct command *cmd, const char *version, struct berm_err *err)
{
	if (!cni_version_is_supported(version))
		return berm_refuse(err, -EINVAL,
				   "cniVersion '%s' is not supported (0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0 are)",
				   version);
	if (!cni_version_at_least(version, cmd->least))
		return berm_refuse(err, -EINVAL,
				   "%s needs cniVersion %s or later, this network has %s",
				   cmd->name, cmd->least, version);
	return 0;
}

static int check_env(const struct command *cmd, struct cni_call *call, struct berm_err *err)
{
	int rc;

	if (!cmd->needs_attachment)
		return 0;
	rc = cni_env_check(&call->env, err);
	if (rc)
		return rc;
	if (cmd->needs_netns && !call->env.netns[0])
		return berm_refuse(err, -EINVAL,
				   "CNI_NETNS is not set: %s needs the pod's network namespace",
				   cmd->name);
	if (strlen(call->env.netns) >= PATH_MAX / 16)
		return berm_refuse(err, -EINVAL, "CNI_NETNS is too long (%zu bytes)",
				   strlen(call->env.netns));
	return cni_args_parse(call->env.args, &call->pod, err);
}

static int read_conf(struct cni_call *call, int *ret_code, struct berm_err *err)
{
	char *text = NULL;
	size_t size = 0;
	int rc = berm_fd_read(STDIN_FILENO, "stdin", STDIN_MAX_BYTES, &text, &size, err);

	if (rc) {
		*ret_code = rc == -EFBIG ? CNI_DECODING_FAILURE : CNI_IO_FAILURE;
		return rc;
	}
	return cni_conf_parse(text, size, &call->conf, ret_code, err);
}

static void open_log(const struct cni_conf *conf)
{
	const char *path = getenv("BERM_CNI_LOG");
	struct berm_log_opts opts = { .program = "berm-cni",
				      .path = path && path[0] ? path : conf->log_file,
				      .max_bytes = LOG_MAX_BYTES,
				      .level = BERM_LOG_INFO,
				      .stderr_level = BERM_LOG_WARNING };
	struct berm_err err = { 0 };

	if (!opts.path[0])
		opts.path = NULL;
	if (berm_log_open(&opts, &err))
		berm_log(BERM_LOG_WARNING, "no-log-file", "reason=\"%s\"", err.msg);
}

static int run(const struct command *cmd, struct cni_call *call, int *ret_code,
	       struct berm_err *err)
{
	int rc = read_conf(call, ret_code, err);

	open_log(&call->conf);
	if (rc)
		return rc;
	*ret_code = CNI_INCOMPATIBLE_VERSION;
	rc = check_version(cmd, call->conf.version, err);
	if (rc)
		return rc;
	*ret_code = CNI_INVALID_ENV;
	rc = check_env(cmd, call, err);
	return rc ? rc : cmd->run(call, ret_code, err);
}

static int report(const struct cni_call *call, int code, const struct berm_err *err)
{
	const char *version = call->conf.version;
	char details[512];

	snprintf(details, sizeof(details),
		 "berm-cni %s, container '%.130s' interface '%.20s' pod '%s/%.100s'",
		 call->env.command, call->env.container_id, call->env.ifname, call->pod.ns,
		 call->pod.name);
	berm_log(BERM_LOG_ERROR, "failed",
		 "command=%.16s code=%d container=%.130s ifname=%.20s msg=\"%s\"",
		 call->env.command, code, call->env.container_id, call->env.ifname, err->msg);
	error_print(stdout, cni_version_is_supported(version) ? version : FALLBACK_VERSION, code,
		    err->msg, details);
	return 1;
}

/* DEL has no error: whatever is wrong, the primary plugin's DEL must run. */
static int run_del(struct cni_call *call)
{
	struct berm_err err = { 0 };
	int code, rc = read_conf(call, &code, &err);

	open_log(&call->conf);
	if (rc)
		berm_log(BERM_LOG_WARNING, "configuration-ignored", "reason=\"%s\"", err.msg);
	cmd_del(call);
	return 0;
}

static int run_version(struct cni_call *call)
{
	struct berm_err err = { 0 };
	int code;

	(void)read_conf(call, &code,
			&err); /* without a configuration the newest version is answered */
	return cmd_version(call, &code, &err);
}

static int dispatch(struct cni_call *call)
{
	const struct command *cmd = find_command(call->env.command);
	struct berm_err err = { 0 };
	int code = CNI_INVALID_ENV, rc;

	if (!strcmp(call->env.command, "DEL"))
		return run_del(call);
	if (!strcmp(call->env.command, "VERSION"))
		return run_version(call);
	if (cmd)
		rc = run(cmd, call, &code, &err);
	else
		rc = berm_refuse(&err, -EINVAL,
				 "CNI_COMMAND '%.20s' is none of ADD, DEL, CHECK, GC, STATUS, VERSION",
				 call->env.command);
	return rc ? report(call, code, &err) : 0;
}

/* ---- run by hand ------------------------------------------------------------------------------------------ */

static int explain(FILE *out)
{
	fprintf(out,
		"berm-cni " BERM_VERSION " - guards pods with Berm's network policy\n"
		"\n"
		"A chained CNI plugin: container runtimes run it, people do not. It stands in a conflist after the\n"
		"plugin that makes the pod's interface:\n"
		"\n"
		"  {\"cniVersion\": \"1.0.0\", \"name\": \"net\", \"plugins\": [\n"
		"    {\"type\": \"bridge\", ...},\n"
		"    {\"type\": \"berm-cni\", \"waitForPolicy\": \"2s\", \"fallback\": \"isolate-namespace\"}]}\n"
		"\n"
		"The call comes in the environment (CNI_COMMAND, CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME, CNI_ARGS) and\n"
		"on stdin. All settings: man berm-cni. What runs on this node: bermctl status.\n");
	return 0;
}

static int run_by_hand(int argc, char **argv)
{
	if (argc > 1 && (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))) {
		puts("berm-cni " BERM_VERSION);
		return 0;
	}
	if (argc > 1 && strcmp(argv[1], "--help") && strcmp(argv[1], "-h")) {
		fprintf(stderr, "berm-cni: unknown argument '%s'; try --help\n", argv[1]);
		return 2;
	}
	return explain(stdout);
}

int main(int argc, char **argv)
{
	struct cni_call call = { .env = cni_env_read() };
	int rc;

	libbpf_set_print(NULL);
	setenv("TZ", "UTC0", 1); /* spares gmtime_r() reading /etc/localtime */
	if (!call.env.command[0] && (argc > 1 || isatty(STDIN_FILENO)))
		return run_by_hand(argc, argv);
	rc = dispatch(&call);
	cni_conf_clear(&call.conf);
	berm_log_close();
	return rc;
}
