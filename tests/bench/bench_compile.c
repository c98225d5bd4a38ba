// SPDX-License-Identifier: Apache-2.0
/*
 * bench_compile.c - how long a node thinks about its policies: whole clusters, compiled from nothing.
 *
 * Namespaces of ten pods, each with five policies (of which two have CIDR blocks, one a named port), a few
 * cluster-wide documents, both address families; 110 endpoints are local. Times are the minimum of some
 * runs. One JSON object a line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "compile.h"
#include "objects.h"
#include "test.h"

#define RUNS 5

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* ---- the cluster ------------------------------------------------------------------------------------- */

struct size {
	const char *name;
	unsigned int namespaces, pods, policies; /* the last two per namespace */
	unsigned int local;
	double budget_ms;
};

static const char *const tiers[] = { "web", "api", "db", "cache", "jobs" };

static void make_pods(struct berm_model *m, unsigned int ns, const struct size *size)
{
	char name[64], labels[256], addrs[64];

	for (unsigned int i = 0; i < size->pods; i++) {
		unsigned int n = ns * size->pods + i;

		snprintf(name, sizeof(name), "team-%u/%s-%u", ns, tiers[i % 5], i);
		snprintf(labels, sizeof(labels),
			 "app=shop-%u tier=%s version=v%u pod-template-hash=%x app.kubernetes.io/managed-by=Helm",
			 ns % 50, tiers[i % 5], i % 3, n * 2654435761u);
		snprintf(addrs, sizeof(addrs), "10.%u.%u.%u fd00::%x:%x", n >> 16 & 255,
			 n >> 8 & 255, n & 255, n >> 16, n & 0xffff);
		objects_container_port(objects_pod(m, name, labels, addrs),
				       i % 2 ? "http=tcp:8080" : "http=tcp:80");
	}
}

static struct berm_policy *policy(struct berm_model *m, unsigned int ns, unsigned int i,
				  const char *pods)
{
	enum berm_policy_kind kind = i % 2 ? BERM_KIND_NETWORK : BERM_KIND_SEGMENTATION;
	char name[64];
	struct berm_policy *p;

	snprintf(name, sizeof(name), "team-%u/policy-%u", ns, i);
	p = objects_policy(m, kind, name, pods);
	p->isolate = i % 5 == 4 ? 3 : 1 << BERM_INGRESS;
	return p;
}

static void make_policy(struct berm_model *m, unsigned int ns, unsigned int i)
{
	char subject[64], peer[64];
	struct berm_policy *p;
	struct berm_policy_rule *r;

	snprintf(subject, sizeof(subject), i % 5 == 3 ? "" : "tier=%s", tiers[i % 5]);
	snprintf(peer, sizeof(peer), "tier=%s", tiers[(i + 1) % 5]);
	p = policy(m, ns, i, subject);
	r = objects_rule(p, BERM_INGRESS, BERM_RULE_ALLOW, "peers");
	objects_peer_pods(r, NULL, peer);
	objects_port(r, i % 5 == 1 ? "tcp:http" : "tcp:5432");
	if (i % 5 < 2) {
		r = objects_rule(p, BERM_INGRESS, BERM_RULE_ALLOW, "blocks");
		snprintf(peer, sizeof(peer), "172.%u.%u.0/24", ns % 16, ns / 16);
		objects_peer_block(r, peer, NULL);
		objects_peer_block(r, "192.168.0.0/16", "192.168.7.0/24");
		objects_port(r, "tcp:8000-8100");
	}
	if (i % 5 == 4) {
		r = objects_rule(p, BERM_EGRESS, BERM_RULE_ALLOW, "out");
		objects_peer_pods(r, "kubernetes.io/metadata.name=team-0|team-1", "tier=api");
		objects_port(r, "tcp:http");
	}
}

static void make_cluster_wide(struct berm_model *m, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		char name[64], labels[64];
		struct berm_policy *p;
		struct berm_policy_rule *r;

		snprintf(name, sizeof(name), BERM_SYSTEM_NAMESPACE "/guard-%u", i);
		snprintf(labels, sizeof(labels), "app=shop-%u", i);
		p = objects_policy(m, BERM_KIND_SEGMENTATION, name, i ? labels : "");
		p->tier = BERM_TIER_ADMIN;
		r = objects_rule(p, BERM_EGRESS, BERM_RULE_DENY, "metadata");
		objects_peer_block(r, "169.254.169.254/32", NULL);
		r = objects_rule(p, BERM_INGRESS, BERM_RULE_DENY, "others");
		objects_peer_pods(r, "env=test", NULL);
	}
}

static void make_endpoints(struct berm_model *m, const struct size *size)
{
	char name[512];

	for (unsigned int i = 0; i < size->local; i++) {
		const struct berm_pod *pod = m->pods[(size_t)i * m->pod_count / size->local];

		snprintf(name, sizeof(name), "%s/%s", pod->ns, pod->name);
		objects_endpoint(m, i + 1, name);
	}
}

static void make(struct berm_model *m, const struct size *size)
{
	for (unsigned int ns = 0; ns < size->namespaces; ns++) {
		char name[64];

		snprintf(name, sizeof(name), "team-%u", ns);
		objects_namespace(m, name, ns % 10 ? "env=prod" : "env=test");
		make_pods(m, ns, size);
		for (unsigned int i = 0; i < size->policies; i++)
			make_policy(m, ns, i);
	}
	make_cluster_wide(m, 20);
	make_endpoints(m, size);
	objects_node_addrs(m, "192.0.2.10 fd00:ffff::10 127.0.0.1 ::1");
}

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

	make(&m, size);
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

/* ---- one pod ------------------------------------------------------------------------------------------- */

#define EVENTS 200

static int cmp_ms(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* A pod of another node gets the labels of its neighbour, and then its own back. */
static void relabel(struct berm_model *m, unsigned int number)
{
	const struct berm_pod *pod = m->pods[(size_t)(number / 2) * 37 % m->pod_count];
	const struct berm_pod *like = m->pods[((size_t)(number / 2) * 37 + 1) % m->pod_count];
	char name[512], labels[256], addrs[64];

	snprintf(name, sizeof(name), "%s/%s", pod->ns, pod->name);
	snprintf(labels, sizeof(labels), "app=%s tier=%s version=v1",
		 berm_labels_get(&like->labels, "app"), tiers[(number / 2 + number % 2) % 5]);
	snprintf(addrs, sizeof(addrs), "10.9.%u.%u", number / 2 >> 8 & 255, number / 2 & 255);
	(void)objects_pod(m, name, labels, addrs);
}

/* A policy of some namespace comes, is edited twice, and goes: its peers are pods, or a block with an except. */
static void edit_policy(struct berm_model *m, unsigned int number)
{
	const struct berm_pod *pod = m->pods[(size_t)(number / 4) * 91 % m->pod_count];
	char name[512], peer[64];
	struct berm_policy_rule *r;
	struct berm_policy *p;

	snprintf(name, sizeof(name), "%s/edited", pod->ns);
	if (number % 4 == 3) {
		ASSERT_EQ(berm_model_remove_policy(m, BERM_KIND_SEGMENTATION, pod->ns, "edited"), 0);
		return;
	}
	p = objects_policy(m, BERM_KIND_SEGMENTATION, name, number % 3 ? "" : "tier=db");
	p->isolate = 1 << BERM_INGRESS;
	r = objects_rule(p, BERM_INGRESS, BERM_RULE_ALLOW, "in");
	snprintf(peer, sizeof(peer), "version=v%u", number % 3);
	objects_peer_pods(r, number % 8 < 4 ? "" : NULL, peer);
	if (number % 4 == 1)
		objects_peer_block(r, "10.0.0.0/8", "10.0.7.0/24");
	objects_port(r, "tcp:9000");
}

/* Of pods of this node, so that each of them matters. */
static void edit_local_policy(struct berm_model *m, unsigned int number)
{
	const struct berm_local_endpoint *ep = &m->endpoints[number / 4 * 7 % m->endpoint_count];
	char name[512], peer[64];
	struct berm_policy_rule *r;
	struct berm_policy *p;

	snprintf(name, sizeof(name), "%s/edited", ep->ns);
	if (number % 4 == 3) {
		ASSERT_EQ(berm_model_remove_policy(m, BERM_KIND_SEGMENTATION, ep->ns, "edited"), 0);
		return;
	}
	p = objects_policy(m, BERM_KIND_SEGMENTATION, name, "");
	p->isolate = 1 << BERM_INGRESS;
	r = objects_rule(p, BERM_INGRESS, BERM_RULE_ALLOW, "in");
	snprintf(peer, sizeof(peer), "version=v%u", number % 3);
	objects_peer_pods(r, number % 8 < 4 ? "env=prod" : NULL, peer);
	if (number % 4 == 1)
		objects_peer_block(r, "10.0.0.0/8", "10.0.7.0/24");
	objects_port(r, "tcp:9000");
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

	make(&m, size);
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
		{ "compile_small_200_500", 40, 13, 5, 30, 5 },
		{ "compile_full_5k_10k", 1000, 10, 5, 110, 300 },
	};

	static const struct event events[] = {
		{ "compile_pod_event_10k", "a pod's labels", relabel, 10 },
		{ "compile_policy_event_5k_10k", "a policy of any namespace", edit_policy, 50 },
		{ "compile_local_policy_event_5k_10k", "a policy of pods here", edit_local_policy, 50 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		run(&sizes[i]);
	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		run_events(&sizes[1], &events[i]);
	return 0;
}
