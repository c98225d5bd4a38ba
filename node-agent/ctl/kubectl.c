/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kubectl.c - `kubectl berm`: finds the agents' pods and runs bermctl in them. Everything that concerns the cluster
 * is kubectl's: we start it, so its configuration, logins and errors are the user's own.
 */
#include "kubectl.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "ctl.h"
#include "document_guard.h"
#include "fsutil.h"

#define AGENT_LABEL   "app.kubernetes.io/name=berm-agent"
#define CONTAINER     "agent"
#define NAMESPACE     "berm-system"
#define MAX_PODS_TEXT (64UL << 20)
#define MAX_PASSED    16

extern char **environ;

struct outside {
	const char *passed[MAX_PASSED]; /* options for kubectl, such as --context=x */
	int passed_count;
	const char *ns;	    /* of the agents */
	const char *node;   /* NULL: all, or those of the pods in question */
	const char *pod[2]; /* value of --pod, or both ends of `why`; NULL = none */
	char **args;	    /* for bermctl, from its command on or before it; ends with NULL */
	int arg_count;
	const char *confirm; /* [NS/]NAME of `confirm`, NULL: none */
	char *confirm_ns;    /* NULL: that of the context */
	bool is_endless;     /* -f or -w */
	bool is_for_people;  /* a table: say which node it is of */
};

struct agent { /* one pod */
	char *pod, *node;
	bool is_running;
};

struct agents {
	struct agent *item;
	int count;
};

static void agents_clear(struct agents *agents)
{
	for (int i = 0; i < agents->count; i++) {
		free(agents->item[i].pod);
		free(agents->item[i].node);
	}
	free(agents->item);
}

/* ---- the command line ---------------------------------------------------------------------------------------------- */

/* "--node=x" or "--node" "x": moves *i over it. NULL: another option. */
static const char *value_of(char **argv, int argc, int *i, const char *option)
{
	size_t len = strlen(option);

	if (!argv[*i] || strncmp(argv[*i], option, len) != 0)
		return NULL;
	if (argv[*i][len] == '=')
		return argv[*i] + len + 1;
	if (argv[*i][len] || *i + 1 >= argc)
		return NULL;
	return argv[++*i];
}

static bool pass_option(struct outside *out, char **argv, int argc, int *i)
{
	static const char *const passed[] = { "--context", "--kubeconfig", "--cluster",
					      "--user",	   "--as",	   "--request-timeout",
					      "--server" };
	const char *value;

	for (size_t n = 0; n < ARRAY_SIZE(passed); n++) {
		value = value_of(argv, argc, i, passed[n]);
		if (!value)
			continue;
		if (out->passed_count + 2 <= MAX_PASSED) {
			out->passed[out->passed_count++] = passed[n];
			out->passed[out->passed_count++] = value;
		}
		return true;
	}
	return false;
}

static bool is_word(const char *arg, const char *a, const char *b)
{
	return !strcmp(arg, a) || !strcmp(arg, b);
}

/* What we want to know of bermctl's own options. */
static void note_option(struct outside *out, char **argv, int argc, int i)
{
	int at = i;
	const char *value = value_of(argv, argc, &at, "--pod");

	if (!value)
		value = value_of(argv, argc, &at, "-p");
	if (value)
		out->pod[0] = value;
	at = i;
	value = value_of(argv, argc, &at, "--output");
	if (!value)
		value = value_of(argv, argc, &at, "-o");
	if (!value && !strncmp(argv[i], "-o", 2) && argv[i][2])
		value = argv[i] + 2;
	if (value)
		out->is_for_people = is_word(value, "table", "wide");
	if (is_word(argv[i], "-f", "--follow") || is_word(argv[i], "-w", "--watch"))
		out->is_endless = true;
}

/* `confirm [NS/]NAME` is for us, not for the agents. */
static int note_confirm(struct outside *out)
{
	const char *slash;

	if (out->arg_count != 2 || strcmp(out->args[0], "confirm") != 0 || *out->args[1] == '-')
		return 0;
	out->confirm = out->args[1];
	slash = strchr(out->confirm, '/');
	out->confirm_ns = slash ? strndup(out->confirm, (size_t)(slash - out->confirm)) : NULL;
	return slash && !out->confirm_ns ? -ENOMEM : 0;
}

/* Each node counts for itself. */
static bool is_generation(const struct outside *out)
{
	bool is_rollback = out->arg_count > 1 && !strcmp(out->args[0], "rollback");

	for (int i = 1; is_rollback && i < out->arg_count; i++)
		if (*out->args[i] && strspn(out->args[i], "0123456789") == strlen(out->args[i]))
			return true;
	return false;
}

/* The two ends of `why`: an argument with a namespace, and no path. */
static void note_end(struct outside *out, const char *arg)
{
	bool is_why = false;

	for (int i = 0; i < out->arg_count && !is_why; i++)
		is_why = !strcmp(out->args[i], "why");
	if (is_why && *arg != '-' && *arg != '/' && strchr(arg, '/'))
		out->pod[out->pod[0] != NULL] = arg;
}

static int parse(struct outside *out, int argc, char **argv)
{
	const char *value;

	out->args = calloc((size_t)argc + 1, sizeof(*out->args));
	if (!out->args)
		return -ENOMEM;
	for (int i = 1; i < argc; i++) {
		if (pass_option(out, argv, argc, &i))
			continue;
		value = value_of(argv, argc, &i, "--node");
		if (value) {
			out->node = value;
			continue;
		}
		value = value_of(argv, argc, &i, "--berm-namespace");
		if (value) {
			out->ns = value;
			continue;
		}
		note_option(out, argv, argc, i);
		note_end(out, argv[i]);
		out->args[out->arg_count++] = argv[i];
	}
	return note_confirm(out);
}

int ctl_kubectl_is_local(int argc, char **argv)
{
	static const char *const local[] = { "lint", "help", "completion" };

	for (int i = 1; i < argc; i++) {
		if (is_word(argv[i], "--help", "-h") || is_word(argv[i], "--version", "-V") ||
		    !strcmp(argv[i], "-?"))
			return 1;
		if (!ctl_command_find(argv[i]))
			continue;
		for (size_t n = 0; n < ARRAY_SIZE(local); n++)
			if (!strcmp(argv[i], local[n]))
				return 1;
		return 0;
	}
	return 1; /* no command: the usage */
}

/* ---- kubectl ---------------------------------------------------------------------------------------------------------- */

struct words {
	const char **item; /* ends with NULL */
	int count;
};

/* "kubectl", the options passed through, and room for more. */
static int words_start(const struct outside *out, int room, struct words *words)
{
	words->item = calloc((size_t)out->passed_count + (size_t)room + 2, sizeof(*words->item));
	words->count = 0;
	if (!words->item)
		return -ENOMEM;
	words->item[words->count++] = "kubectl";
	for (int i = 0; i < out->passed_count; i++)
		words->item[words->count++] = out->passed[i];
	return 0;
}

static void words_add(struct words *words, const char *const *more)
{
	for (; *more; more++)
		words->item[words->count++] = *more;
}

struct streams {
	int fd[3]; /* -1: ours */
};

static const struct streams ours = { { -1, -1, -1 } };

static int spawn(const struct words *words, const struct streams *streams, pid_t *ret_pid,
		 struct berm_err *err)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t set;
	int rc;

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE); /* which we ignore */
	posix_spawnattr_setsigdefault(&attr, &set);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
	for (int i = 0; i < (int)ARRAY_SIZE(streams->fd); i++)
		if (streams->fd[i] >= 0)
			posix_spawn_file_actions_adddup2(&actions, streams->fd[i], i);
	rc = posix_spawnp(ret_pid, "kubectl", &actions, &attr,
			  (char *const *)(uintptr_t)words->item, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	if (rc == ENOENT)
		return berm_refuse(err, -rc,
				   "kubectl is not on the PATH: install it, or run bermctl on the node");
	return rc ? berm_fail(err, -rc, "run kubectl") : 0;
}

/* Its exit status; a signal's number above 128, as shells have it. */
static int wait_for(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* What kubectl prints. *ret_status: of kubectl. */
static int capture(const struct words *words, const struct streams *streams, char **ret,
		   int *ret_status, struct berm_err *err)
{
	auto_close int from = -1, to = -1;
	struct streams with = *streams;
	int pipe_fd[2], rc;
	pid_t pid;

	if (pipe2(pipe_fd, O_CLOEXEC))
		return berm_fail(err, -errno, "run kubectl");
	from = pipe_fd[0];
	to = pipe_fd[1];
	with.fd[STDOUT_FILENO] = to;
	rc = spawn(words, &with, &pid, err);
	if (rc)
		return rc;
	close(TAKE_FD(to));
	rc = berm_fd_read(from, "kubectl's answer", MAX_PODS_TEXT, ret, NULL, err);
	close(TAKE_FD(from)); /* else it would wait for us to read on */
	*ret_status = wait_for(pid);
	return rc;
}

/* ---- which pods ------------------------------------------------------------------------------------------------------ */

static bool is_running(const cJSON *pod)
{
	const cJSON *status;

	cJSON_ArrayForEach(status, ctl_at(pod, "status.containerStatuses"))
		if (!strcmp(ctl_string_at(status, "name"), CONTAINER))
			return ctl_at(status, "state.running") != NULL;
	return false;
}

static int agents_take(const cJSON *list, struct agents *agents)
{
	const cJSON *pod, *items = ctl_at(list, "items");
	struct agent *agent;

	agents->item = calloc((size_t)cJSON_GetArraySize(items) + 1, sizeof(*agents->item));
	if (!agents->item)
		return -ENOMEM;
	cJSON_ArrayForEach(pod, items) {
		agent = &agents->item[agents->count];
		if (!*ctl_string_at(pod, "spec.nodeName"))
			continue; /* not on a node yet */
		agent->pod = strdup(ctl_string_at(pod, "metadata.name"));
		agent->node = strdup(ctl_string_at(pod, "spec.nodeName"));
		agent->is_running = is_running(pod);
		agents->count++;
		if (!agent->pod || !agent->node)
			return -ENOMEM;
	}
	return 0;
}

static int by_node(const void *a, const void *b)
{
	const struct agent *x = a, *y = b;
	int order = strcmp(x->node, y->node);

	return order ? order : y->is_running - x->is_running; /* one that is ending comes last */
}

static int agents_find(const struct outside *out, struct agents *agents, struct berm_err *err)
{
	const char *const get[] = { "get",	 "pods", "-n",	 out->ns, "-l",
				    AGENT_LABEL, "-o",	 "json", NULL };
	auto_free char *text = NULL;
	struct words words;
	cJSON *list;
	int status = 0, rc = words_start(out, ARRAY_SIZE(get), &words);

	if (rc)
		return berm_fail(err, rc, "list the agents");
	words_add(&words, get);
	rc = capture(&words, &ours, &text, &status, err);
	free(words.item);
	if (rc)
		return rc;
	if (status)
		return berm_refuse(
			err, -EREMOTEIO,
			"cannot list the agents' pods in %s (kubectl ended with %d); it takes the verbs list on pods and create on pods/exec there",
			out->ns, status);
	list = cJSON_Parse(text);
	rc = agents_take(list, agents);
	cJSON_Delete(list);
	if (rc)
		return berm_fail(err, rc, "list the agents");
	qsort(agents->item, (size_t)agents->count, sizeof(*agents->item), by_node);
	if (!agents->count)
		return berm_refuse(
			err, -ENOENT,
			"no agent in namespace %s: is Berm installed in this cluster (kubectl apply -k manifests/)? --berm-namespace names another one",
			out->ns);
	return 0;
}

/* The node of "NS/POD" or "NS/POD:PORT". NULL: none, several, or it cannot be said. */
static char *node_of_pod(const struct outside *out, const char *pod)
{
	const char *slash = pod ? strchr(pod, '/') : NULL;
	auto_close int null =
		open("/dev/null", O_WRONLY | O_CLOEXEC); /* its complaints are of no interest */
	const struct streams quiet = { { -1, -1, null } };
	auto_free char *ns = NULL, *name = NULL;
	auto_free char *text = NULL;
	struct words words;
	int status = 0;

	if (!slash || strpbrk(pod, "*?[") || words_start(out, 8, &words))
		return NULL;
	ns = strndup(pod, (size_t)(slash - pod));
	name = strndup(slash + 1, strcspn(slash + 1, ":"));
	words_add(&words, (const char *const[]){ "get", "pod", "-n", ns ? ns : "", name ? name : "",
						 "-o", "jsonpath={.spec.nodeName}", NULL });
	if (!ns || !name || capture(&words, &quiet, &text, &status, NULL))
		status = 1;
	free(words.item);
	return status || !text || !*text ? NULL : TAKE_PTR(text);
}

/* ---- running it ------------------------------------------------------------------------------------------------------- */

static int start(const struct outside *out, const struct agent *agent, pid_t *ret_pid,
		 struct berm_err *err)
{
	const struct ctl_options options = { .color = CTL_COLOR_AUTO };
	const char *const exec[] = { "exec", "-n",	out->ns, agent->pod,
				     "-c",   CONTAINER, "--",	 "/usr/bin/bermctl",
				     NULL };
	struct words words;
	int rc = words_start(out, (int)ARRAY_SIZE(exec) + out->arg_count + 1, &words);

	if (rc)
		return berm_fail(err, rc, "run kubectl");
	words_add(&words, exec);
	words.item[words.count++] = ctl_has_color(&options, stdout) ? "--color=always"
								    : "--color=never";
	words_add(&words, (const char *const *)out->args);
	rc = spawn(&words, &ours, ret_pid, err);
	free(words.item);
	return rc;
}

static int worse(int a, int b)
{
	return a > b ? a : b;
}

/* Endless ones all at once, others one after the other. Returns the worst exit status. */
static int run_on(const struct outside *out, const struct agents *agents, struct berm_err *err)
{
	auto_free pid_t *pids = calloc((size_t)agents->count + 1, sizeof(*pids));
	bool has_titles = out->is_for_people && agents->count > 1 && !out->is_endless;
	int code = CTL_OK, i, rc = 0;

	if (!pids)
		return berm_fail(err, -ENOMEM, "run kubectl");
	for (i = 0; !rc && i < agents->count; i++) {
		const struct agent *agent = &agents->item[i];

		if (!agent->is_running) {
			ctl_note("node %s: its agent (pod %s) does not run; 'kubectl describe' that pod",
				 agent->node, agent->pod);
			code = CTL_FAILED;
			continue;
		}
		if (has_titles)
			printf("%s== node %s\n", i ? "\n" : "", agent->node);
		fflush(stdout);
		rc = start(out, agent, &pids[i], err);
		if (!rc && !out->is_endless)
			code = worse(code, wait_for(pids[i]));
	}
	for (i = 0; out->is_endless && i < agents->count; i++)
		if (pids[i])
			code = worse(code, wait_for(pids[i]));
	return rc ? rc : code;
}

static bool is_wanted(const char *node, char *const wanted[2])
{
	if (!wanted[0] && !wanted[1])
		return true;
	return (wanted[0] && !strcmp(wanted[0], node)) || (wanted[1] && !strcmp(wanted[1], node));
}

/* Keeps the agents of these nodes; of all if there are none. A node's second pod is one that is ending. */
static void agents_narrow(struct agents *agents, char *const nodes[2])
{
	int kept = 0;

	for (int i = 0; i < agents->count; i++) {
		struct agent *agent = &agents->item[i];
		bool is_second = kept && !strcmp(agents->item[kept - 1].node, agent->node);

		if (!is_wanted(agent->node, nodes) || is_second) {
			free(agent->pod);
			free(agent->node);
			continue;
		}
		agents->item[kept++] = *agent;
	}
	agents->count = kept;
}

static int run(struct outside *out, struct berm_err *err)
{
	__attribute__((cleanup(agents_clear))) struct agents agents = { 0 };
	auto_free char *node = NULL, *other = NULL;
	int rc;

	if (is_generation(out) && !out->node)
		return berm_refuse(
			err, -EINVAL,
			"generations are counted on each node: say which one with --node=NODE, or which policy with NAMESPACE/NAME");
	rc = agents_find(out, &agents, err);
	if (rc)
		return rc;
	node = out->node ? strdup(out->node) : node_of_pod(out, out->pod[0]);
	other = out->node ? NULL : node_of_pod(out, out->pod[1]);
	agents_narrow(&agents, (char *const[]){ node, other });
	if (!agents.count)
		return berm_refuse(err, -ENOENT,
				   "no agent on node %s; 'kubectl get nodes' lists them",
				   node	   ? node
				   : other ? other
					   : "");
	return run_on(out, &agents, err);
}

/* ---- questions that one agent answers for the cluster: files are read here, and go to it by its standard input ------- */

static const struct outside *asking; /* who asks; NULL: we are on a node */

bool ctl_kubectl_is_outside(void)
{
	return asking != NULL;
}

/* An agent that runs; the rest of the list is left alone. */
static int choose(const struct outside *out, struct agents *agents, const struct agent **ret,
		  struct berm_err *err)
{
	int rc = agents_find(out, agents, err);

	if (rc)
		return rc;
	for (int i = 0; i < agents->count; i++)
		if (agents->item[i].is_running &&
		    (!out->node || !strcmp(out->node, agents->item[i].node))) {
			*ret = &agents->item[i];
			return 0;
		}
	return berm_refuse(err, -ENOENT, "no agent runs%s%s; 'kubectl get pods -n %s' lists them",
			   out->node ? " on node " : "", out->node ? out->node : "", out->ns);
}

static int file_of(const char *text, int *ret, struct berm_err *err)
{
	auto_close int fd = memfd_create("question", MFD_CLOEXEC);
	size_t size = strlen(text);

	if (fd < 0)
		return berm_fail(err, -errno, "send the question");
	for (ssize_t n; size; text += n, size -= (size_t)n) {
		n = write(fd, text, size);
		if (n < 0)
			return berm_fail(err, -errno, "send the question");
	}
	if (lseek(fd, 0, SEEK_SET))
		return berm_fail(err, -errno, "send the question");
	*ret = TAKE_FD(fd);
	return 0;
}

static int ask(const struct agent *agent, int question, cJSON **ret, struct berm_err *err)
{
	const char *const exec[] = { "exec",	   "-i",      "-n", asking->ns,		agent->pod,
				     "-c",	   CONTAINER, "--", "/usr/bin/bermctl", "diff",
				     "--question", NULL };
	const struct streams with = { { question, -1, -1 } };
	auto_free char *text = NULL;
	struct words words;
	int status = 0, rc = words_start(asking, ARRAY_SIZE(exec), &words);

	if (rc)
		return berm_fail(err, rc, "run kubectl");
	words_add(&words, exec);
	rc = capture(&words, &with, &text, &status, err);
	free(words.item);
	if (rc)
		return rc;
	*ret = status ? NULL : cJSON_Parse(text);
	if (*ret)
		return 0;
	return berm_refuse(err, -EREMOTEIO,
			   "no answer from the agent on node %s (kubectl ended with %d)",
			   agent->node, status);
}

int ctl_kubectl_diff(const cJSON *question, cJSON **ret, struct berm_err *err)
{
	__attribute__((cleanup(agents_clear))) struct agents agents = { 0 };
	auto_free char *text = cJSON_PrintUnformatted(question);
	const struct agent *agent = NULL;
	auto_close int fd = -1;
	int rc = text ? file_of(text, &fd, err) : berm_fail(err, -ENOMEM, "send the question");

	rc = rc ? rc : choose(asking, &agents, &agent, err);
	return rc ? rc : ask(agent, fd, ret, err);
}

/* What the agents' answer is made of here: this program's own command, which asks them by us. */
static int run_here(const struct outside *out, char *program)
{
	struct ctl_options options = { .interval_s = 2 };
	char **argv = calloc((size_t)out->arg_count + 2, sizeof(*argv));
	int code = CTL_FAILED;

	if (argv) {
		argv[0] = program;
		memcpy(argv + 1, out->args, (size_t)out->arg_count * sizeof(*argv));
		asking = out;
		code = ctl_run(out->arg_count + 1, argv, &options);
	}
	free(argv);
	return code;
}

static bool is_diff(const struct outside *out)
{
	for (int i = 0; i < out->arg_count; i++)
		if (ctl_command_find(out->args[i]))
			return !strcmp(out->args[i], "diff");
	return false;
}

/* ---- kubectl berm confirm: with the rights of whoever runs it, which the agents have not ----------------------------- */

/* "kubectl VERB configmap NAME -n NS" */
static int words_configmap(const struct outside *out, const char *verb, const char *which,
			   struct words *words)
{
	const char *slash = strchr(which, '/');
	int rc = words_start(out, 10, words);

	if (rc)
		return rc;
	words_add(words,
		  (const char *const[]){ verb, "configmap", slash ? slash + 1 : which, NULL });
	if (slash)
		words_add(words, (const char *const[]){ "-n", out->confirm_ns, NULL });
	return 0;
}

/* The digest of its data as it is now; *ret: 1 if somebody has to confirm it, 0 if not. */
static int confirm_read(const struct outside *out, char digest[BERM_GUARD_DIGEST], int *ret,
			struct berm_err *err)
{
	auto_free char *text = NULL;
	struct words words;
	const cJSON *notes;
	int status = 0, rc = words_configmap(out, "get", out->confirm, &words);
	cJSON *object;

	if (rc)
		return berm_fail(err, rc, "read the ConfigMap");
	words_add(&words, (const char *const[]){ "-o", "json", NULL });
	rc = capture(&words, &ours, &text, &status, err);
	free(words.item);
	if (rc || status)
		return rc ? rc
			  : berm_refuse(err, -EREMOTEIO,
					"cannot read ConfigMap %s (kubectl ended with %d)",
					out->confirm, status);
	object = cJSON_Parse(text);
	notes = ctl_at(object, "metadata.annotations");
	berm_guard_digest(ctl_at(object, "data"), ctl_at(object, "binaryData"), digest);
	*ret = cJSON_GetObjectItemCaseSensitive(notes, BERM_CONFIRM_WITHIN) != NULL;
	rc = cJSON_IsObject(object)
		     ? 0
		     : berm_refuse(err, -EBADMSG, "kubectl's answer is no ConfigMap");
	cJSON_Delete(object);
	return rc;
}

static int confirm(const struct outside *out, struct berm_err *err)
{
	char digest[BERM_GUARD_DIGEST], note[64];
	struct words words;
	int is_guarded = 0, rc = confirm_read(out, digest, &is_guarded, err);
	pid_t pid = 0;

	if (rc)
		return rc;
	if (!is_guarded)
		return berm_refuse(err, -ENOENT,
				   "ConfigMap %s has no annotation " BERM_CONFIRM_WITHIN
				   ": nobody has to confirm it",
				   out->confirm);
	snprintf(note, sizeof(note), BERM_CONFIRMED "=%s", digest);
	rc = words_configmap(out, "annotate", out->confirm, &words);
	if (rc)
		return berm_fail(err, rc, "annotate the ConfigMap");
	words_add(&words, (const char *const[]){ "--overwrite", note, NULL });
	rc = spawn(&words, &ours, &pid, err);
	free(words.item);
	return rc ? rc : wait_for(pid);
}

int ctl_kubectl_run(int argc, char **argv)
{
	struct outside out = { .ns = NAMESPACE, .is_for_people = true };
	struct berm_err err = { 0 };
	int rc = parse(&out, argc, argv);

	if (rc)
		rc = berm_fail(&err, rc, "read the command line");
	else if (is_diff(&out))
		rc = run_here(&out, argv[0]);
	else
		rc = out.confirm ? confirm(&out, &err) : run(&out, &err);
	free(out.confirm_ns);
	free(out.args);
	if (rc >= 0)
		return rc;
	ctl_note("%s", err.msg);
	return CTL_FAILED;
}
