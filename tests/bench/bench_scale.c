// SPDX-License-Identifier: Apache-2.0
/*
 * bench_scale.c - how the compiler's times and memory grow with the cluster: as many policies as pods, 1,000 to 20,000 of
 * each, 110 of the pods on this node. Names end in the size; hack/scale-plot makes a picture of the lines.
 *
 * Each size has a process of its own: what malloc keeps of one is not counted for the next.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "compile.h"
#include "crowd.h"
#include "test.h"

#define RUNS   5
#define EVENTS 100

struct scale {
	const char *name;
	unsigned int thousands;
};

/* Of the CPU: a compilation waits for nothing, and what else the machine does is not its cost. */
static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void report(const char *what, const struct scale *scale, double value, const char *unit,
		   double limit)
{
	printf("{\"bench\":\"scale_%s_%uk\",\"value\":%.3f,\"unit\":\"%s\",\"baseline\":%.0f,\"ratio\":%.3f,"
	       "\"note\":\"%s pods and as many policies; baseline is the limit for 10,000 pods\"}\n",
	       what, scale->thousands, value, unit, limit, value / limit, scale->name);
	fflush(stdout);
}

static int cmp_ms(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void measure_full(const struct berm_model *m, const struct scale *scale)
{
	double best = 1e9;

	for (int i = 0; i < RUNS; i++) {
		struct berm_plan *plan = NULL;
		struct berm_err err = { 0 };
		double begin = now_ms(), ms;

		ASSERT_OK(berm_compile(m, &plan, NULL, &err), &err);
		ms = now_ms() - begin;
		best = ms < best ? ms : best;
		berm_plan_free(plan);
	}
	report("compile_full", scale, best, "ms", 1000);
}

static void measure_events(struct berm_model *m, struct berm_compiled **kept, double *ms,
			   void (*happens)(struct berm_model *m, unsigned int number))
{
	struct berm_err err = { 0 };

	for (unsigned int i = 0; i < EVENTS; i++) {
		double begin;

		berm_model_changes_clear(m);
		happens(m, i);
		begin = now_ms();
		if (berm_compiled_follow(*kept, &m->changes))
			ASSERT_OK(berm_compiled_renew(kept, &m->changes, NULL, &err), &err);
		ms[i] = now_ms() - begin;
	}
	qsort(ms, EVENTS, sizeof(*ms), cmp_ms);
}

static void measure(const struct scale *scale)
{
	const struct crowd crowd = { scale->thousands * 100, 10, 10, 110 };
	struct berm_compiled *kept = NULL;
	struct berm_err err = { 0 };
	struct berm_model m = { 0 };
	struct rusage usage;
	double ms[EVENTS];

	crowd_make(&m, &crowd);
	measure_full(&m, scale);
	ASSERT_OK(berm_compile_kept(&m, &kept, NULL, &err), &err);
	measure_events(&m, &kept, ms, crowd_edit_local_policy);
	report("policy_event_p50", scale, ms[EVENTS / 2], "ms", 50);
	report("policy_event_p99", scale, ms[EVENTS - 1 - EVENTS / 100], "ms", 50);
	measure_events(&m, &kept, ms, crowd_relabel_pod);
	report("pod_event_p50", scale, ms[EVENTS / 2], "ms", 10);
	report("pod_event_p99", scale, ms[EVENTS - 1 - EVENTS / 100], "ms", 10);
	getrusage(RUSAGE_SELF, &usage);
	report("rss", scale, (double)usage.ru_maxrss * 1024 / 1e6, "MB", 64);
	berm_compiled_free(kept);
	berm_model_clear(&m);
}

int main(void)
{
	static const struct scale scales[] = { { "1,000", 1 },
					       { "2,000", 2 },
					       { "5,000", 5 },
					       { "10,000", 10 },
					       { "20,000", 20 } };

	for (size_t i = 0; i < ARRAY_SIZE(scales); i++) {
		pid_t pid = fork();
		int status = 0;

		if (!pid) {
			measure(&scales[i]);
			exit(0);
		}
		ASSERT_TRUE(pid > 0);
		ASSERT_EQ(waitpid(pid, &status, 0), pid);
		ASSERT_EQ(status, 0);
	}
	return 0;
}
