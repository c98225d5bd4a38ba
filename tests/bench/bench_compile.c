// SPDX-License-Identifier: Apache-2.0
/*
 * bench_compile.c - how long a node thinks about its policies: whole clusters (crowd.h) from nothing, and one change of
 * a pod or a policy.
 *
 * Times of whole compilations are the minimum of some runs. One JSON object a line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "compile.h"
#include "crowd.h"
#include "test.h"

#define RUNS 5

/* Of the CPU: a compilation waits for nothing, and what else the machine does is not its cost. */
static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

struct size {
	const char *name;
	struct crowd crowd;
	double budget_ms;
};

/* ---- measuring ------------------------------------------------------------------------------------------- */

static void report(const char *name, double value, const char *unit, double budget,
		   const char *note)
{
	printf("{\"bench\":\"%s\",\"value\":%.2f,\"unit\":\"%s\",\"baseline\":%.2f,\"ratio\":%.3f,\"note\":\"%s\"}\n",
	       name, value, unit, budget, value / budget, note);
}

static struct berm_plan *compile(const struct berm_model *m, double *ret_ms)
{
	struct berm_plan *plan = NULL;
	struct berm_err err = { 0 };
	double begin = now_ms();

	ASSERT_OK(berm_compile(m, &plan, NULL, &err), &err);
	*ret_ms = now_ms() - begin;
	return plan;
}

static size_t cells_of(const struct berm_plan *plan)
{
	size_t cells = 0;

	for (size_t i = 0; i < plan->set_count; i++)
		cells += (size_t)plan->set[i].nrows * plan->set[i].ncols;
	return cells;
}

static size_t rows_of(const struct berm_plan *plan)
{
	size_t rows = 0;

	for (size_t i = 0; i < plan->set_count; i++)
		for (size_t k = 0; k < plan->class_count; k++)
			rows += plan->set[i].row[k] != plan->set[i].default_row;
	return rows;
}

static double peak_mb(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_maxrss * 1024 / 1e6;
}

static void run(const struct size *size)
{
	struct berm_model m = { 0 };
	double best = 1e9, ms;
	char note[256], name[64];

	crowd_make(&m, &size->crowd);
	for (int i = 0; i < RUNS; i++) {
		struct berm_plan *plan = compile(&m, &ms);

		best = ms < best ? ms : best;
		if (i == RUNS - 1)
			snprintf(note, sizeof(note),
				 "%zu policies, %zu pods, %zu local: %zu classes, %zu addresses, %zu port classes, "
				 "%zu sets, %zu cells, %zu rows entries, %zu tables",
				 m.policy_count, m.pod_count, m.endpoint_count, plan->class_count,
				 plan->peer_count, plan->interval_count, plan->set_count,
				 cells_of(plan), rows_of(plan), plan->table_count);
		berm_plan_free(plan);
	}
	report(size->name, best, "ms", size->budget_ms, note);
	snprintf(name, sizeof(name), "%s_rss", size->name);
	report(name, peak_mb(), "MB", 64, "model, compiler and plan, peak of the whole process");
	berm_model_clear(&m);
}

/* ---- one pod, one policy ------------------------------------------------------------------------------------------- */

#define EVENTS 200

static int cmp_ms(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

struct event {
	const char *bench, *what;
	void (*happens)(struct berm_model *m, unsigned int number);
	double budget_ms;
};

static void run_events(const struct size *size, const struct event *event)
{
	struct berm_compiled *kept = NULL;
	struct berm_model m = { 0 };
	struct berm_err err = { 0 };
	unsigned int renewed = 0;
	double ms[EVENTS];
	char note[256];

	crowd_make(&m, &size->crowd);
	ASSERT_OK(berm_compile_kept(&m, &kept, NULL, &err), &err);
	for (unsigned int i = 0; i < EVENTS; i++) {
		double begin;

		berm_model_changes_clear(&m);
		event->happens(&m, i);
		begin = now_ms();
		if (berm_compiled_follow(kept, &m.changes)) {
			ASSERT_OK(berm_compiled_renew(&kept, &m.changes, NULL, &err), &err);
			renewed++;
		}
		ms[i] = now_ms() - begin;
	}
	qsort(ms, EVENTS, sizeof(*ms), cmp_ms);
	snprintf(note, sizeof(note), "p99 of %d changes of %s, p50 %.2f ms, the longest %.2f; %u renewed the compilation",
		 EVENTS, event->what, ms[EVENTS / 2], ms[EVENTS - 1], renewed);
	report(event->bench, ms[EVENTS - 1 - EVENTS / 100], "ms", event->budget_ms, note);
	berm_compiled_free(kept);
	berm_model_clear(&m);
}

int main(void)
{
	static const struct size sizes[] = {
		{ "compile_small_200_500", { 40, 13, 5, 30 }, 5 },
		{ "compile_full_5k_10k", { 1000, 10, 5, 110 }, 300 },
	};

	static const struct event events[] = {
		{ "compile_pod_event_10k", "a pod's labels", crowd_relabel_pod, 10 },
		{ "compile_policy_event_5k_10k", "a policy of any namespace", crowd_edit_policy, 50 },
		{ "compile_local_policy_event_5k_10k", "a policy of pods here", crowd_edit_local_policy, 50 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		run(&sizes[i]);
	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		run_events(&sizes[1], &events[i]);
	return 0;
}
