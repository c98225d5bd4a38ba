/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_sessions.c - the real berm-agent on a node whose session table holds 786,000 living sessions of 1,048,579: what it
 * costs when nothing else happens, and how long a walk through that table takes (sweep, read by batches).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "generator.h"
#include "loader.h"
#include "paths.h"
#include "wall.h"

#define BUCKETS	  149797
#define FLOWS	  786432
#define SMOKE	  8192
#define WATCH_S	  20
#define START_S	  30
#define POD_MAC	  "02:00:00:00:00:01"
#define MANIFESTS "/run/manifests"

static const struct packet syn = {
	.src = "10.9.0.1", .dst = "10.64.0.0", .sport = 1024, .dport = 80
};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void report(const char *bench, double value, const char *unit, double limit,
		   const char *note)
{
	printf("{\"bench\":\"%s\",\"value\":%.3f,\"unit\":\"%s\",\"baseline\":null,\"ratio\":null,\"note\":\"%s\"",
	       bench, value, unit, note);
	if (limit > 0)
		printf(",\"gate\":\"%s\",\"limit\":%.2f", value <= limit ? "pass" : "fail", limit);
	printf("}\n");
	fflush(stdout);
}

/* Sessions of a pod that the agent finds alive, by its device and the address in its namespace: those of others it would free. */
static struct datapath *fill(uint32_t flows)
{
	static const uint32_t timeouts[BERM_TIMEOUT_COUNT];
	struct datapath *dp = wall_build(BUCKETS, timeouts);
	struct generator *g;

	dp->maps.node->flags = BERM_NODE_MISSING_DENY;
	ASSERT_EQ(system("mkdir -p /run/netns && ip netns add pod && ip link set end2 netns pod && "
			 "ip -n pod link set end2 address " POD_MAC " up"),
		  0);
	datapath_pod(dp, &(struct pod){ .ifindex = 2, .addr = { "10.9.0.1" }, .mac = POD_MAC });
	g = generator_load(dp, 0);
	generator_establish(g, (struct flood){ .ifindex = 2,
					       .packet = &syn,
					       .net = "10.64.0.0",
					       .flows = flows });
	generator_free(g);
	return dp;
}

static int64_t established(struct datapath *dp)
{
	struct table t = table_read(dp);
	struct table_sum s = table_sum(dp, &t);

	table_free(&t);
	return s.established;
}

static pid_t start_agent(void)
{
	const char *build = getenv("BERM_BUILD");
	char path[4096];
	pid_t pid;

	snprintf(path, sizeof(path), "%s/berm-agent", build ? build : "build");
	ASSERT_EQ(mkdir(MANIFESTS, 0755), 0);
	pid = fork();
	if (pid)
		return pid;
	if (!freopen("/run/agent.log", "a", stderr))
		_exit(127);
	execl(path, path, "--manifests=" MANIFESTS, (char *)NULL);
	_exit(127);
}

static bool is_up(void *ctx)
{
	(void)ctx;
	return !access(BERM_AGENT_SOCKET, F_OK);
}

/* User and system time, seconds. */
static double cpu_s(pid_t pid)
{
	unsigned long user = 0, sys = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "r");
	ASSERT_TRUE(file);
	ASSERT_EQ(fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			 &user, &sys),
		  2);
	fclose(file);
	return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

static void agent_idle(unsigned int seconds, double limit)
{
	pid_t pid = start_agent();
	double cpu, began;

	ASSERT_TRUE(pid > 0);
	if (!test_wait_until(is_up, NULL, START_S * 1000)) {
		(void)!system("tail -n 5 /run/agent.log >&2"); /* the next line fails anyway */
		test_failed(__FILE__, __LINE__, "the agent does not start");
	} else {
		sleep(seconds / 4); /* a start reads the maps back once: that is not idling */
		cpu = cpu_s(pid);
		began = now_s();
		sleep(seconds);
		report("agent_cpu_1m_sessions", (cpu_s(pid) - cpu) / (now_s() - began) * 100, "%",
		       limit, "of one CPU, with 786k sessions in the table");
	}
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
}

static void walks(struct datapath *dp)
{
	double read = 1e9, sweep = 1e9, began, took;
	struct berm_err err = { 0 };

	for (int i = 0; i < 3; i++) {
		struct table t;

		began = now_s();
		t = table_read(dp);
		took = now_s() - began;
		read = took < read ? took : read;
		table_free(&t);
		began = now_s();
		ASSERT_EQ(berm_sweep(&dp->maps, 0, &err), 0);
		took = now_s() - began;
		sweep = took < sweep ? took : sweep;
	}
	report("sessions_read_1m", read * 1000, "ms", 0,
	       "1,048,579 ways by LOOKUP_BATCH, best of 3");
	report("sessions_sweep_1m", sweep * 1000, "ms", 0,
	       "the same looked through for expired ones, none found");
}

int main(void)
{
	bool smoke = getenv("BERM_BENCH_SMOKE");
	uint32_t flows = smoke ? SMOKE : FLOWS;
	struct datapath *dp = fill(flows);

	ASSERT_GE(established(dp), flows * 99 / 100);
	walks(dp);
	agent_idle(smoke ? 2 : WATCH_S, smoke ? 0 : 1); /* a start is not idling */
	if (established(dp) < flows * 99 / 100)
		(void)!system("tail -n 20 /run/agent.log >&2"); /* the next line fails anyway */
	EXPECT_GE(established(dp), flows * 99 / 100);		/* the agent has left them alone */
	return 0;
}
