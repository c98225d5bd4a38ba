/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_race.c - two CPUs in a few buckets of the session table. A few seconds; a minute with BERM_LONG=1.
 * What may happen: a miss, a flow recorded twice, a packet counted on a neighbour. What may not: a session
 * that is not the packet's, books that do not add up.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "datapath.h"
#include "generator.h"

#include "race.skel.h" /* wants abi.h before it */

#define SLOTS	 16
#define BUCKETS	 8
#define RUNS	 200000
#define SHORT_S	 4
#define LONG_S	 60
#define MAX_CPUS 8

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct worker {
	pthread_t thread;
	int cpu, prog;
	double until;
	long runs;
	int rc;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	_Alignas(8) char frame[64] = { 0 };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(w->cpu, &set);
	w->rc = sched_setaffinity(0, sizeof(set), &set);
	while (!w->rc && now_s() < w->until) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame,
			    .data_size_in = sizeof(frame), .repeat = RUNS);

		w->rc = bpf_prog_test_run_opts(w->prog, &opts);
		w->runs += RUNS;
	}
	return NULL;
}

static int cpus_allowed(int *cpu, int max)
{
	cpu_set_t set;
	int n = 0;

	ASSERT_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
	for (int i = 0; i < CPU_SETSIZE && n < max; i++)
		if (CPU_ISSET(i, &set))
			cpu[n++] = i;
	return n;
}

static long run_on_all(int prog, double seconds)
{
	struct worker w[MAX_CPUS] = { 0 };
	int cpu[MAX_CPUS], n = cpus_allowed(cpu, MAX_CPUS);
	long runs = 0;

	if (n < 2)
		test_skip("hardware: a race needs two CPUs");
	for (int i = 0; i < n; i++) {
		w[i] = (struct worker){ .cpu = cpu[i], .prog = prog, .until = now_s() + seconds };
		ASSERT_EQ(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
	}
	for (int i = 0; i < n; i++) {
		pthread_join(w[i].thread, NULL);
		EXPECT_EQ(w[i].rc, 0);
		runs += w[i].runs;
	}
	return runs;
}

static struct race_bpf *race_load(struct datapath *dp)
{
	struct race_bpf *skel = race_bpf__open();
	struct bpf_map *map;
	int fd;

	ASSERT_TRUE(skel);
	skel->rodata->cfg_buckets = dp->maps.buckets;
	skel->rodata->cfg_hz = dp->hz;
	bpf_object__for_each_map(map, skel->obj) {
		fd = datapath_map(dp, bpf_map__name(map));
		if (fd >= 0)
			ASSERT_EQ(bpf_map__reuse_fd(map, fd), 0);
	}
	ASSERT_EQ(race_bpf__load(skel), 0);
	/* Every slot its own range of epochs: an epoch tells whose it is. */
	for (uint32_t slot = 1; slot <= SLOTS; slot++)
		dp->maps.node->epoch[slot] = slot << 24;
	return skel;
}

TEST(bucket_race,
     "two CPUs insert, promote, replace and kill in the same buckets [session.bucket_race]")
{
	struct datapath *dp = datapath_load(&(struct datapath_opts){ .buckets = BUCKETS });
	struct race_bpf *skel = race_load(dp);
	double seconds = getenv("BERM_LONG") ? LONG_S : SHORT_S;
	long runs = run_on_all(bpf_program__fd(skel->progs.race), seconds);

	printf("# %ld runs: %llu hits, %llu new, %llu promoted, %llu killed, %llu epochs, %llu replaced half-open, "
	       "%llu full, %llu neighbours' rule\n",
	       runs, skel->bss->race_hits, skel->bss->race_new,
	       (unsigned long long)datapath_stat(dp, BERM_STAT_SESSION_PROMOTED),
	       skel->bss->race_killed, skel->bss->race_bumped,
	       (unsigned long long)datapath_stat(dp, BERM_STAT_REPLACED_HALF_OPEN),
	       (unsigned long long)datapath_stat(dp, BERM_STAT_SESSION_FULL),
	       skel->bss->race_neighbour);
	EXPECT_EQ(skel->bss->race_false, 0);
	EXPECT_LT(skel->bss->race_neighbour, skel->bss->race_hits / 10000 + 1);
	/* That something was raced for at all: */
	EXPECT_GT(skel->bss->race_hits, 10000);
	EXPECT_GT(skel->bss->race_new, 10000);
	EXPECT_GT(skel->bss->race_killed, 1000);
	EXPECT_GT(datapath_stat(dp, BERM_STAT_SESSION_PROMOTED), 1000);
	EXPECT_GT(datapath_stat(dp, BERM_STAT_REPLACED_HALF_OPEN), 1000);
	EXPECT_BOOKS(dp);
	race_bpf__destroy(skel);
}
