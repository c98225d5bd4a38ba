/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_apply.c - how long a plan takes to be in force in the kernel: real maps, no compiler, no daemon.
 * The node is as large as design pages expect one to be: 110 pods, 220 sets, 20,000 addresses, 10,000 CIDRs.
 * Grace periods are let pass between the generations, as the daemon does, and are measured apart.
 */
#include <arpa/inet.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "apply.h"
#include "datapath.h"
#include "paths.h"

#define PODS	  110
#define SETS	  (2 * PODS)
#define CLASSES	  200
#define PEERS	  20000
#define TABLES	  10
#define PREFIXES  1000
#define INTERVALS 40
#define ROWS	  4
#define COLS	  3
#define ROUNDS	  200
#define LIMIT_MS  10

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* ---- the plan ------------------------------------------------------------------------------------------- */

static void *must_calloc(size_t count, size_t size)
{
	void *p = calloc(count, size);

	if (!p)
		abort();
	return p;
}

static void make_who(struct berm_plan *plan)
{
	plan->cls = must_calloc(CLASSES, sizeof(*plan->cls));
	plan->class_count = CLASSES;
	for (uint32_t i = 0; i < CLASSES; i++)
		plan->cls[i].id = (struct berm_digest){ { i, 1 } };
	plan->peer = must_calloc(PEERS, sizeof(*plan->peer));
	plan->peer_count = PEERS;
	for (uint32_t i = 0; i < PEERS; i++)
		plan->peer[i] =
			(struct berm_plan_peer){ { { 0, 0, htonl(0xffff), htonl(0x0a000000 + i) } },
						 2 + i % (CLASSES - 2) };
	plan->table = must_calloc(TABLES, sizeof(*plan->table));
	plan->table_count = TABLES;
	for (uint32_t t = 0; t < TABLES; t++) {
		plan->table[t].prefix = must_calloc(PREFIXES, sizeof(*plan->table[t].prefix));
		plan->table[t].prefix_count = PREFIXES;
		for (uint32_t i = 0; i < PREFIXES; i++)
			plan->table[t].prefix[i] = (struct berm_plan_prefix){
				{ { 0, 0, htonl(0xffff), htonl(0xac100000 + (i << 8)) } },
				120,
				2 + (i + t) % 20
			};
	}
}

static void make_what(struct berm_plan *plan)
{
	struct berm_plan_interval *last;

	plan->interval = must_calloc(INTERVALS + BERM_PLANE_COUNT, sizeof(*plan->interval));
	for (uint16_t i = 0; i < INTERVALS; i++)
		plan->interval[plan->interval_count++] =
			(struct berm_plan_interval){ 0, (uint16_t)(i * 100),
						     (uint16_t)(i * 100 + 99) };
	last = &plan->interval[plan->interval_count - 1];
	last->last = 0xffff;
	for (int plane = 1; plane < BERM_PLANE_COUNT; plane++)
		plan->interval[plan->interval_count++] =
			(struct berm_plan_interval){ (uint8_t)plane, 0, 0xffff };
	plan->rule = must_calloc(SETS * 2, sizeof(*plan->rule));
	plan->rule_count = SETS * 2;
	for (uint32_t i = 0; i < plan->rule_count; i++) {
		plan->rule[i].name = (struct berm_rule_name){ .id = 2000 + i, .precedence = i };
		plan->rule[i].name.action = i % 2 ? BERM_ACTION_ALLOW : BERM_ACTION_DENY;
		plan->rule[i].name.reason = i % 2 ? BERM_REASON_POLICY_ALLOW
						  : BERM_REASON_POLICY_DENY;
		snprintf(plan->rule[i].name.policy, sizeof(plan->rule[i].name.policy), "policy-%u",
			 i / 2);
	}
}

static void make_set(const struct berm_plan *plan, uint32_t n, struct berm_plan_set *s)
{
	*s = (struct berm_plan_set){ .table = n % TABLES,
				     .nrows = ROWS,
				     .ncols = COLS,
				     .id = { { n, 1 } },
				     .dir = (uint8_t)(n % 2) };
	s->col = must_calloc(plan->interval_count, 1);
	s->row = must_calloc(plan->class_count, sizeof(*s->row));
	s->cell = must_calloc(ROWS * COLS, sizeof(*s->cell));
	s->col[n % INTERVALS] = 1;
	s->col[(n + 7) % INTERVALS] = 2;
	for (uint32_t i = 1; i < ROWS; i++)
		s->row[(n * 7 + i) % CLASSES] = (uint16_t)i;
	for (uint32_t i = 0; i < ROWS * COLS; i++)
		s->cell[i] = 2 * n + (i * 5 + n) % 2;
}

static struct berm_plan *make_plan(void)
{
	struct berm_plan *plan = must_calloc(1, sizeof(*plan));

	make_who(plan);
	make_what(plan);
	plan->set = must_calloc(SETS, sizeof(*plan->set));
	plan->set_count = SETS;
	for (uint32_t n = 0; n < SETS; n++)
		make_set(plan, n, &plan->set[n]);
	plan->essentials = UINT32_MAX;
	plan->endpoint = must_calloc(PODS, sizeof(*plan->endpoint));
	plan->endpoint_count = PODS;
	for (uint32_t i = 0; i < PODS; i++)
		plan->endpoint[i] = (struct berm_plan_endpoint){ .slot = i + 1,
								 .ifindex = i + 1,
								 .set = { 2 * i, 2 * i + 1 },
								 .would = { UINT32_MAX, UINT32_MAX },
								 .allowed_table = UINT32_MAX,
								 .judged = 1 };
	return plan;
}

/* The policy of one pod says something else, by a rule that is new. */
static void change_policy(struct berm_plan *plan, uint32_t round)
{
	uint32_t n = round % SETS;

	plan->set[n].cell[round % (ROWS * COLS)] ^= 1;
	plan->rule[2 * n].name.id = 10000 + round;
	plan->set[n].id.w[1] = 2 + round;
}

/* The labels of one pod change. */
static void change_pod(struct berm_plan *plan, uint32_t round)
{
	struct berm_plan_peer *peer = &plan->peer[round * 61 % PEERS];

	peer->cls = 2 + (peer->cls + 1) % (CLASSES - 2);
}

static void change_nothing(struct berm_plan *plan, uint32_t round)
{
	(void)plan, (void)round;
}

/* ---- measuring ------------------------------------------------------------------------------------------- */

static void report(const char *bench, double ms, double limit, const char *note)
{
	printf("{\"bench\":\"%s\",\"value\":%.3f,\"unit\":\"ms\",\"baseline\":%.0f,\"ratio\":%.3f,\"note\":\"%s\"}\n",
	       bench, ms, limit, ms / limit, note);
	fflush(stdout);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double apply(struct berm_apply *a, const struct berm_plan *plan,
		    struct berm_apply_result *res)
{
	struct berm_err err = { 0 };
	double start = now_ms();

	ASSERT_OK(berm_apply(a, plan, res, &err), &err);
	return now_ms() - start;
}

/* What a generation leaves behind; returns how long the grace periods were. */
static double collect(struct berm_apply *a, double *ret_work)
{
	struct berm_err err = { 0 };
	double grace = 0, start;
	uint64_t ticket;

	while ((ticket = berm_apply_garbage(a)) != 0) {
		start = now_ms();
		berm_grace_period();
		grace += now_ms() - start;
		start = now_ms();
		ASSERT_OK(berm_apply_collect(a, ticket, &err), &err);
		*ret_work += now_ms() - start;
	}
	return grace;
}

static void measure(struct berm_apply *a, struct berm_plan *plan, const char *bench,
		    void (*change)(struct berm_plan *, uint32_t))
{
	struct berm_apply_result res = { 0 };
	double ms[ROUNDS], grace = 0, work = 0;
	char note[256];

	for (uint32_t i = 0; i < ROUNDS; i++) {
		change(plan, i);
		ms[i] = apply(a, plan, &res);
		grace += collect(a, &work);
	}
	qsort(ms, ROUNDS, sizeof(ms[0]), compare);
	snprintf(note, sizeof(note),
		 "plan to kernel, p50 %.3f ms; last: %zu writes, %zu endpoints judged again; then %.1f ms of grace "
		 "periods and %.3f ms of cleaning up, in the background",
		 ms[ROUNDS / 2], res.writes, res.rejudged, grace / ROUNDS, work / ROUNDS);
	report(bench, ms[ROUNDS - 1 - ROUNDS / 100], LIMIT_MS, note);
}

static void own_run(void)
{
	ASSERT_EQ(unshare(CLONE_NEWNS), 0);
	ASSERT_EQ(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ASSERT_EQ(mount("tmpfs", "/run", "tmpfs", 0, NULL), 0);
	ASSERT_EQ(mkdir(BERM_RUN_DIR, 0755), 0);
}

static double reopen(struct datapath *dp, struct berm_apply **a)
{
	struct berm_err err = { 0 };
	double start = now_ms();

	berm_apply_close(*a);
	*a = NULL;
	ASSERT_OK(berm_apply_open(&dp->maps, a, &err), &err);
	return now_ms() - start;
}

int main(void)
{
	struct berm_plan *plan = make_plan();
	struct berm_apply_result res = { 0 };
	struct berm_apply *a = NULL;
	struct datapath *dp;
	char note[128];
	double ms, work = 0;

	own_run();
	dp = datapath_load(NULL);
	for (uint32_t i = 1; i <= PODS; i++)
		ASSERT_EQ(datapath_pod(dp,
				       &(struct pod){ .ifindex = i, .flags = BERM_EP_FALLBACK }),
			  i);
	(void)reopen(dp, &a);
	ms = apply(a, plan, &res);
	snprintf(note, sizeof(note),
		 "from nothing: %zu writes for %d pods, %d sets, %d addresses, %d CIDRs",
		 res.writes, PODS, SETS, PEERS, TABLES * PREFIXES);
	report("plan_apply_full", ms, 1000, note);
	(void)collect(a, &work);
	measure(a, plan, "plan_apply_policy_p99", change_policy);
	measure(a, plan, "plan_apply_pod_p99", change_pod);
	measure(a, plan, "plan_apply_same_p99", change_nothing);
	report("plan_apply_restart", reopen(dp, &a), 1000,
	       "read back all of it, one grace period included");
	berm_apply_close(a);
	berm_plan_free(plan);
	return 0;
}
