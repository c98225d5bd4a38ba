/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_cni.c - what the plugin adds to starting and stopping a pod, exec included. In namespaces of its own,
 * with real veths and a stand-in for the agent that answers at once.
 *
 * The attach system calls wait for RCU (tcx), which says more about the kernel than about us, so they are
 * reported apart: an ADD of an attachment whose links are already in place does everything but attach.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "link.h"
#include "loader.h"
#include "netdev.h"

#define PODS   60
#define ROUNDS 4
#define CONF                                                                                           \
	"{\"cniVersion\":\"1.0.0\",\"name\":\"bench\",\"type\":\"berm-cni\",\"waitForPolicy\":\"2s\"," \
	"\"logFile\":\"/run/log/cni.log\",\"prevResult\":{\"cniVersion\":\"1.0.0\",\"interfaces\":"    \
	"[{\"name\":\"eth0\",\"sandbox\":\"/run/netns/x\"}],\"ips\":[{\"address\":\"10.88.0.2/24\","   \
	"\"interface\":0}]}}"

static char plugin[4096];
static int pods = PODS;

static void die(const char *what)
{
	fprintf(stderr, "bench_cni: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void must(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void must(const char *fmt, ...)
{
	char command[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	if (system(command))
		die(command);
}

/* ---- a node ------------------------------------------------------------------------------------------------ */

static void node_up(void)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWNS))
		die("unshare (needs root)");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", "/run", "tmpfs", 0, NULL) || mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL))
		die("mount");
	must("mkdir -p /run/netns /run/log /run/berm && ip link set lo up");
	for (int i = 0; i < pods; i++)
		must("ip netns add p%d && ip link add h%d type veth peer name eth0 netns p%d && ip link set h%d up && "
		     "ip -n p%d addr add 10.88.0.2/24 dev eth0 && ip -n p%d link set eth0 up",
		     i, i, i, i, i, i);
}

static void *agent(void *arg)
{
	static const char answer[] =
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 32\r\n\r\n"
		"{\"judged\":true,\"generation\":  1}";
	int listener = *(int *)arg, fd;
	char buf[8192];

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		if (read(fd, buf, sizeof(buf)) <= 0 || write(fd, answer, sizeof(answer) - 1) < 0)
			fprintf(stderr,
				"bench_cni: the stand-in for the agent was not asked properly\n");
		close(fd);
	}
	return NULL;
}

static void agent_up(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "/run/berm/agent.sock" };
	static int listener;
	pthread_t thread;

	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(listener, 64) || pthread_create(&thread, NULL, agent, &listener))
		die("stand-in for the agent");
}

/* ---- calls --------------------------------------------------------------------------------------------------- */

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static int conf_fd(void)
{
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("conf", 0);
		if (fd < 0 || write(fd, CONF, strlen(CONF)) < 0)
			die("memfd");
	}
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static double call(const char *command, int pod)
{
	char id[64], netns[64], cmd[64];
	char *env[] = {
		cmd,
		id,
		netns,
		"CNI_IFNAME=eth0",
		"CNI_PATH=/nonexistent",
		"CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=bench;K8S_POD_UID=u1",
		NULL
	};
	char *argv[] = { plugin, NULL };
	posix_spawn_file_actions_t files;
	int status, in = conf_fd();
	double start;
	pid_t pid;

	snprintf(cmd, sizeof(cmd), "CNI_COMMAND=%s", command);
	snprintf(id, sizeof(id), "CNI_CONTAINERID=bench%d", pod);
	snprintf(netns, sizeof(netns), "CNI_NETNS=/run/netns/p%d", pod);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
	posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/run/out",
					 O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/run/err",
					 O_WRONLY | O_CREAT | O_TRUNC, 0600);
	start = now_ms();
	if (posix_spawn(&pid, plugin, &files, NULL, argv, env) || waitpid(pid, &status, 0) < 0 ||
	    status) {
		must("cat /run/out /run/err >&2");
		die(command);
	}
	posix_spawn_file_actions_destroy(&files);
	return now_ms() - start;
}

static double attach(int pod)
{
	struct berm_err err = { 0 };
	struct berm_veth veth;
	char netns[64];
	double start;
	int rc;

	snprintf(netns, sizeof(netns), "/run/netns/p%d", pod);
	rc = berm_netdev_find(netns, "eth0", &veth, &err);
	start = now_ms();
	if (!rc)
		rc = berm_link_attach(veth.ifindex, BERM_ATTACH_AUTO, NULL, &err);
	if (rc) {
		fprintf(stderr, "bench_cni: %s\n", err.msg);
		exit(1);
	}
	return now_ms() - start;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *values, int count)
{
	qsort(values, (size_t)count, sizeof(*values), by_value);
	return values[count / 2];
}

static void say(const char *name, double value, double baseline, const char *note)
{
	printf("{\"bench\":\"%s\",\"value\":%.3f,\"unit\":\"ms\",\"baseline\":%.3f,\"ratio\":%.3f,\"note\":\"%s\"}\n",
	       name, value, baseline, value / baseline, note);
}

/* Beside us in the build folder: <build>/bench/bench_cni. */
static void plugin_find(const char *self)
{
	const char *build = getenv("BERM_BUILD"), *slash = strrchr(self, '/');
	int dir_len = slash ? (int)(slash - self) : 1;

	if (build)
		snprintf(plugin, sizeof(plugin), "%s/berm-cni", build);
	else
		snprintf(plugin, sizeof(plugin), "%.*s/../berm-cni", dir_len, slash ? self : ".");
	if (access(plugin, X_OK))
		die(plugin);
}

/* The median of one round over all pods. */
static double round_of(const char *command)
{
	double took[PODS];

	for (int i = 0; i < pods; i++)
		took[i] = call(command, i);
	return median(took, pods);
}

/* Other work on the machine only ever adds: the quietest round is the plugin's own. */
static void keep_min(double *best, double value)
{
	if (*best == 0 || value < *best)
		*best = value;
}

static double attach_all(void)
{
	double took[PODS];

	for (int i = 0; i < pods; i++)
		took[i] = attach(i);
	return median(took, pods);
}

int main(int argc, char **argv)
{
	double add = 0, att = 0, del = 0, floor_ms = 0;

	(void)argc;
	plugin_find(argv[0]);
	if (getenv("BERM_BENCH_SMOKE"))
		pods = 6;
	node_up();
	agent_up();
	(void)call("ADD", 0); /* loads the data path */
	must("grep -q '\"fallback\":\"\"' /run/berm/endpoints/bench0@eth0.json"); /* the agent was asked */
	(void)call("DEL", 0);
	for (int r = 0; r < ROUNDS; r++) {
		keep_min(&att, attach_all());
		keep_min(&add, round_of("ADD"));
		keep_min(&floor_ms, round_of("VERSION"));
		keep_min(&del, round_of("DEL"));
	}
	say("cni_add_overhead_p50", add, 3.0,
	    "ADD, exec included, hooks attached before; quietest of 4 rounds; baseline: budget");
	say("cni_add_attach_p50", att, 20.0,
	    "both tcx attach calls (an RCU grace period each under RTNL); baseline: twice 10 ms");
	say("cni_del_p50", del, 1.0,
	    "DEL, exec included, with a live device; quietest of 4 rounds; baseline: budget");
	say("cni_exec_p50", floor_ms, 0.5,
	    "VERSION: exec, read stdin, answer; baseline: an empty static program here");
	return 0;
}
