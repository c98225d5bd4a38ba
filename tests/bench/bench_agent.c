/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_agent.c - the real berm-agent in namespaces of its own: what it costs when nothing happens, and how long a
 * policy takes from the rename of its file to the generation in the kernel (the page that the programs read too).
 *
 * Pods are veths with an address and a Pod object that has it; the agent adopts them.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "maps.h"

#define LOCAL_PODS     20
#define ROUNDS	       200
#define LARGE_ROUNDS   100
#define IDLE_S	       5
#define RSS_LIMIT_MB   16.0
#define APPLY_LIMIT_MS 50.0

static pid_t agent = -1;
static struct berm_maps maps = BERM_MAPS_CLOSED;

static void stop_agent(void)
{
	if (agent <= 0)
		return;
	kill(agent, SIGTERM);
	waitpid(agent, NULL, 0);
	agent = -1;
}

static void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
static void die(const char *fmt, ...)
{
	va_list ap;

	fputs("bench_agent: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	stop_agent();
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
		die("this failed: %s", command);
}

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void nap(long us)
{
	nanosleep(&(struct timespec){ us / 1000000, us % 1000000 * 1000 }, NULL);
}

/* ---- a node ------------------------------------------------------------------------------------------------ */

static void node_up(void)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWNS))
		die("unshare (needs root): %s", strerror(errno));
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", "/run", "tmpfs", 0, NULL) ||
	    mount("tmpfs", "/var/lib", "tmpfs", 0, NULL) ||
	    mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL))
		die("mount: %s", strerror(errno));
	must("mkdir -p /run/netns /run/manifests /run/berm && ip link set lo up");
	for (int i = 0; i < LOCAL_PODS; i++)
		must("ip netns add p%d && ip link add h%d type veth peer name eth0 netns p%d && ip link set h%d up && "
		     "ip -n p%d addr add 10.88.0.%d/24 dev eth0 && ip -n p%d link set eth0 up",
		     i, i, i, i, i, i + 2, i);
}

static FILE *document(const char *name)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "/run/manifests/.%s", name);
	file = fopen(path, "w");
	if (!file)
		die("write %s: %s", path, strerror(errno));
	return file;
}

static void publish(FILE *file, const char *name)
{
	char from[256], to[256];

	snprintf(from, sizeof(from), "/run/manifests/.%s", name);
	snprintf(to, sizeof(to), "/run/manifests/%s", name);
	if (fclose(file) || rename(from, to))
		die("write %s: %s", to, strerror(errno));
}

/* The local ones in namespace ns0, the others spread over the namespaces, ten labels apart. */
static void write_pods(int others, int namespaces)
{
	FILE *file = document("pods.yaml");

	for (int i = 0; i < LOCAL_PODS; i++)
		fprintf(file,
			"---\nkind: Pod\napiVersion: v1\nmetadata: {name: l%d, namespace: ns0, labels: {app: a%d}}\n"
			"status: {podIPs: [{ip: 10.88.0.%d}]}\n",
			i, i % 10, i + 2);
	for (int i = 0; i < others; i++)
		fprintf(file,
			"---\nkind: Pod\napiVersion: v1\nmetadata: {name: r%d, namespace: ns%d, labels: {app: a%d}}\n"
			"spec: {nodeName: elsewhere}\nstatus: {podIPs: [{ip: 10.%d.%d.%d}]}\n",
			i, i % namespaces, i / namespaces % 10, 100 + i / 60000, i / 250 % 240,
			i % 250 + 1);
	publish(file, "pods.yaml");
}

static void write_policy(FILE *file, const char *name, int ns, int app, int port)
{
	fprintf(file,
		"---\nkind: NetworkPolicy\napiVersion: networking.k8s.io/v1\n"
		"metadata: {name: %s, namespace: ns%d}\nspec:\n  podSelector: {matchLabels: {app: a%d}}\n"
		"  policyTypes: [Ingress]\n  ingress:\n  - from: [{podSelector: {matchLabels: {app: a%d}}}]\n"
		"    ports: [{port: %d}]\n",
		name, ns, app, (app + 1) % 10, port);
}

static void write_policies(int count, int namespaces)
{
	FILE *file = document("policies.yaml");
	char name[32];

	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		write_policy(file, name, i % namespaces, i / namespaces % 10, 1000 + i % 100);
	}
	publish(file, "policies.yaml");
}

/* ---- the agent ------------------------------------------------------------------------------------------------ */

static void start_agent(void)
{
	const char *build = getenv("BERM_BUILD");
	char path[4096];

	snprintf(path, sizeof(path), "%s/berm-agent", build ? build : "build");
	agent = fork();
	if (agent)
		return;
	if (!freopen("/run/agent.log", "a", stderr))
		_exit(127);
	execl(path, path, "--manifests=/run/manifests", (char *)NULL);
	_exit(127);
}

static uint64_t generation(void)
{
	return __atomic_load_n(&maps.node->generation, __ATOMIC_ACQUIRE);
}

static int judged_pods(void)
{
	int count = 0;

	for (int i = 1; maps.endpoints && i < BERM_MAX_ENDPOINTS; i++)
		count += maps.endpoints[i].ifindex && !(maps.endpoints[i].flags & BERM_EP_FALLBACK);
	return count;
}

static bool is_attached(void)
{
	return !system(
		"test $(ls /sys/fs/bpf/berm/links | wc -l) -ge 40 || tc filter show dev h19 egress | grep -q .");
}

/* Until every local pod is adopted, judged and attached. */
static void settle(void)
{
	double until = now_ms() + 30000;

	while (berm_maps_open(&maps, true, NULL)) {
		if (now_ms() > until)
			die("the agent does not start: see its log");
		nap(10000);
	}
	while (judged_pods() < LOCAL_PODS || !is_attached()) {
		if (now_ms() > until) {
			must("tail -n 5 /run/agent.log >&2");
			die("%d of %d pods are judged", judged_pods(), LOCAL_PODS);
		}
		nap(50000);
	}
}

/* ---- figures ---------------------------------------------------------------------------------------------------- */

static void report(const char *bench, double value, const char *unit, double limit,
		   const char *note)
{
	printf("{\"bench\":\"%s\",\"value\":%.3f,\"unit\":\"%s\",\"baseline\":%.3f,\"ratio\":%.3f,\"note\":\"%s\"}\n",
	       bench, value, unit, limit, value / limit, note);
	fflush(stdout);
}

static double rss_mb(void)
{
	char path[64], line[256];
	double kb = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)agent);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		(void)sscanf(line, "VmRSS: %lf", &kb); /* the other lines do not match */
	if (file)
		fclose(file);
	if (kb < 0)
		die("no VmRSS in %s", path);
	return kb / 1024;
}

/* User and system time of the agent, ms. */
static double cpu_ms(void)
{
	unsigned long user = 0, sys = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)agent);
	file = fopen(path, "r");
	if (!file ||
	    fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
		   &sys) != 2)
		die("read %s", path);
	fclose(file);
	return (double)(user + sys) * 1e3 / (double)sysconf(_SC_CLK_TCK);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* One policy's file is renamed into place; until the kernel has the next generation. */
static double apply_once(void)
{
	static int round;
	uint64_t before = generation();
	FILE *file = document("one.yaml");
	double start;

	write_policy(file, "one", 0, 3, 2000 + ++round);
	fflush(file);
	start = now_ms();
	publish(file, "one.yaml");
	while (generation() == before) {
		if (now_ms() - start > 10000) {
			must("tail -n 5 /run/agent.log >&2");
			die("no new generation 10 s after round %d", round);
		}
		nap(20);
	}
	return now_ms() - start;
}

static void measure_apply(const char *bench, int rounds, const char *what)
{
	double *ms = calloc((size_t)rounds, sizeof(*ms));
	char note[256];

	if (!ms)
		die("no memory");
	for (int i = 0; i < rounds; i++) {
		ms[i] = apply_once();
		nap(100000); /* what one change leaves behind is gone before the next */
	}
	qsort(ms, (size_t)rounds, sizeof(*ms), compare);
	snprintf(note, sizeof(note),
		 "%s; rename to generation in the kernel, %d changes, p50 %.2f ms; baseline is the limit",
		 what, rounds, ms[rounds / 2]);
	report(bench, ms[rounds - 1 - rounds / 100], "ms", APPLY_LIMIT_MS, note);
	free(ms);
}

static void measure_idle(void)
{
	double cpu;

	sleep(IDLE_S); /* after a start the maps are read back once (node-agent/attest.c): that is not idling */
	cpu = cpu_ms();
	sleep(IDLE_S);
	report("agent_rss_idle", rss_mb(), "MB", RSS_LIMIT_MB,
	       "20 local pods, 21 policies; baseline is the limit");
	report("agent_cpu_idle", (cpu_ms() - cpu) / IDLE_S / 10, "%", 1,
	       "of one CPU, over 5 s; baseline is 1 %");
}

int main(int argc, char **argv)
{
	bool is_large = argc > 1 && !strcmp(argv[1], "--large");

	node_up();
	write_pods(is_large ? 10000 : 0, is_large ? 1000 : 1);
	write_policies(is_large ? 5000 : 20, is_large ? 1000 : 1);
	start_agent();
	settle();
	apply_once();
	if (is_large) {
		measure_apply("apply_one_policy_5k_p99", LARGE_ROUNDS,
			      "20 local pods, 10,000 pods, 5,000 policies");
		report("agent_rss_5k", rss_mb(), "MB", 64,
		       "20 local pods, 10,000 pods, 5,000 policies; baseline is the limit");
	} else {
		measure_idle();
		measure_apply("apply_one_policy_p99", ROUNDS, "20 local pods, 21 policies");
	}
	stop_agent();
	berm_maps_close(&maps);
	return 0;
}
