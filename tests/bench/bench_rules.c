// SPDX-License-Identifier: Apache-2.0
/*
 * bench_rules.c - what rules weigh in the kernel, and how many map entries a change of one document writes: 100 pods here, each
 * with a policy of its own, and 10,000 pods elsewhere that their rules are about. Documents to maps, no daemon.
 *
 * Memory is what the kernel accounts for the maps (fdinfo, memlock), with the rules less without any. Arrays have their full
 * size from the start, so what of them is used counts instead.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "apply.h"
#include "compile.h"
#include "datapath.h"
#include "objects.h"
#include "paths.h"

#define PODS	 100
#define PEERS	 10000
#define ROLES	 20
#define ROUNDS	 40
#define LIMIT_MB 5

/* ---- the cluster ------------------------------------------------------------------------------------------- */

static void make_pods(struct berm_model *m)
{
	char name[64], labels[64], addr[32];

	for (unsigned int i = 0; i < PODS + PEERS; i++) {
		bool is_here = i < PODS;

		snprintf(name, sizeof(name), "%s-%u", is_here ? "shop/here" : "shop/there", i);
		snprintf(labels, sizeof(labels), "id=%u role=r%u", is_here ? i : PODS, i % ROLES);
		snprintf(addr, sizeof(addr), "10.%u.%u.%u", 1 + (i >> 16), i >> 8 & 255, i & 255);
		objects_pod(m, name, labels, addr);
		if (is_here)
			objects_endpoint(m, i + 1, name);
	}
}

/* Both ways, from and to some roles, on a port of its own. */
static void put_policy(struct berm_model *m, unsigned int number, unsigned int round)
{
	char name[64], subject[32], peers[64], port[32];
	struct berm_policy_rule *r;
	struct berm_policy *p;

	snprintf(name, sizeof(name), "shop/policy-%u", number);
	snprintf(subject, sizeof(subject), "id=%u", number);
	snprintf(port, sizeof(port), "tcp:%u", 5000 + number + 1000 * round);
	p = objects_policy(m, BERM_KIND_SEGMENTATION, name, subject);
	p->isolate = 1 << BERM_INGRESS | 1 << BERM_EGRESS;
	for (int dir = 0; dir < BERM_DIR_COUNT; dir++) {
		r = objects_rule(p, (uint8_t)dir, BERM_RULE_ALLOW, dir ? "out" : "in");
		snprintf(peers, sizeof(peers), "role=r%u|r%u", (number + (unsigned int)dir) % ROLES,
			 (number + 7) % ROLES);
		objects_peer_pods(r, NULL, peers);
		objects_port(r, port);
	}
}

/* ---- what the kernel has -------------------------------------------------------------------------------------- */

static double map_bytes(int fd)
{
	char path[64], line[128];
	double bytes = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	ASSERT_TRUE(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "memlock:", 8))
			bytes = atof(line + 8);
	fclose(f);
	return bytes;
}

/* Those that grow with their entries. */
static double grown_bytes(const struct berm_maps *maps)
{
	static const enum berm_map_id ids[] = { BERM_MAP_peers, BERM_MAP_cidrs, BERM_MAP_rows,
						BERM_MAP_flows, BERM_MAP_frontends };
	double bytes = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		bytes += map_bytes(maps->fd[ids[i]]);
	return bytes;
}

/* Of the arrays: sets, rules with their counters, blocks of columns and cells. */
static double array_bytes(const struct berm_plan *plan)
{
	size_t bytes = plan->set_count * sizeof(struct berm_set) +
		       plan->rule_count * (sizeof(struct berm_rule) + sizeof(uint64_t)) +
		       plan->interval_count * sizeof(struct berm_port_block);

	for (size_t i = 0; i < plan->set_count; i++) {
		size_t cells = (size_t)plan->set[i].nrows * plan->set[i].ncols;

		bytes += (plan->interval_count / BERM_COLS_PER_BLOCK + 1) *
			 sizeof(struct berm_col_block);
		bytes += (cells / BERM_CELLS_PER_BLOCK + 1) * sizeof(struct berm_cell_block);
	}
	return (double)bytes;
}

/* ---- measuring ------------------------------------------------------------------------------------------------- */

static void report(const char *bench, double value, const char *unit, double limit,
		   const char *note)
{
	printf("{\"bench\":\"%s\",\"value\":%.3f,\"unit\":\"%s\",\"baseline\":%.0f,\"ratio\":%.3f,\"note\":\"%s\"}\n",
	       bench, value, unit, limit, value / limit, note);
	fflush(stdout);
}

static void bring_in(struct berm_apply *a, struct berm_compiled **kept, struct berm_model *m,
		     struct berm_apply_result *res)
{
	struct berm_err err = { 0 };
	uint64_t ticket;

	if (!*kept)
		ASSERT_OK(berm_compile_kept(m, kept, NULL, &err), &err);
	else if (berm_compiled_follow(*kept, &m->changes))
		ASSERT_OK(berm_compiled_renew(kept, &m->changes, NULL, &err), &err);
	berm_model_changes_clear(m);
	ASSERT_OK(berm_apply(a, berm_compiled_plan(*kept), res, &err), &err);
	while ((ticket = berm_apply_garbage(a)) != 0) {
		berm_grace_period();
		ASSERT_OK(berm_apply_collect(a, ticket, &err), &err);
	}
}

static void edit_policy(struct berm_model *m, unsigned int round)
{
	put_policy(m, round % PODS, 1 + round);
}

static void relabel_pod(struct berm_model *m, unsigned int round)
{
	char name[64], labels[64], addr[32];
	unsigned int i = PODS + round * 37 % PEERS;

	snprintf(name, sizeof(name), "shop/there-%u", i);
	snprintf(labels, sizeof(labels), "id=%u role=r%u", PODS, (i + 1) % ROLES);
	snprintf(addr, sizeof(addr), "10.%u.%u.%u", 1 + (i >> 16), i >> 8 & 255, i & 255);
	objects_pod(m, name, labels, addr);
}

struct target {
	struct berm_apply *apply;
	struct berm_compiled *kept;
	struct berm_model model;
};

static void count_writes(struct target *t, const char *bench,
			 void (*change)(struct berm_model *, unsigned int), double limit,
			 const char *note)
{
	struct berm_apply_result res = { 0 };
	size_t most = 0;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		change(&t->model, i);
		bring_in(t->apply, &t->kept, &t->model, &res);
		most = res.writes > most ? res.writes : most;
	}
	report(bench, (double)most, "writes", limit, note);
}

static void own_run(void)
{
	ASSERT_EQ(unshare(CLONE_NEWNS), 0);
	ASSERT_EQ(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ASSERT_EQ(mount("tmpfs", "/run", "tmpfs", 0, NULL), 0);
	ASSERT_EQ(mkdir(BERM_RUN_DIR, 0755), 0);
}

static void measure_memory(struct target *t, const struct datapath *dp)
{
	double before = grown_bytes(&dp->maps), arrays, grown;
	struct berm_apply_result res = { 0 };
	const struct berm_plan *plan;
	char note[256];

	bring_in(t->apply, &t->kept, &t->model, &res);
	plan = berm_compiled_plan(t->kept);
	grown = grown_bytes(&dp->maps) - before;
	arrays = array_bytes(plan);
	ASSERT_GE(plan->peer_count, PEERS); /* or it measures nothing */
	snprintf(note, sizeof(note),
		 "%d pods with a policy each, %zu peers: %zu sets, %zu classes; %.2f MB of entries, %.2f MB of arrays; "
		 "baseline is the limit",
		 PODS, plan->peer_count, plan->set_count, plan->class_count, grown / 1e6,
		 arrays / 1e6);
	report("memory_rules_10k_peers_100_pods", (grown + arrays) / 1e6, "MB", LIMIT_MB, note);
}

int main(void)
{
	struct berm_err err = { 0 };
	struct target t = { 0 };
	struct datapath *dp;

	own_run();
	dp = datapath_load(NULL);
	for (uint32_t i = 1; i <= PODS; i++)
		ASSERT_EQ(datapath_pod(dp,
				       &(struct pod){ .ifindex = i, .flags = BERM_EP_FALLBACK }),
			  i);
	make_pods(&t.model);
	for (uint32_t i = 0; i < PODS; i++)
		t.model.endpoints[i].ifindex = i + 1;
	for (unsigned int i = 0; i < PODS; i++)
		put_policy(&t.model, i, 0);
	ASSERT_OK(berm_apply_open(&dp->maps, &t.apply, &err), &err);
	measure_memory(&t, dp);
	count_writes(&t, "map_writes_policy_edit", edit_policy, 100,
		     "most of 40 edits of one policy of both directions to a port that nobody has used");
	count_writes(&t, "map_writes_pod_relabel", relabel_pod, 10,
		     "most of 40 changes of the labels of one pod among 10,000");
	berm_apply_close(t.apply);
	berm_compiled_free(t.kept);
	berm_model_clear(&t.model);
	return 0;
}
