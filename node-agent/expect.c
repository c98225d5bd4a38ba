/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expect.c - puts the ends of expectations together to small worlds and has them judged. Two expectations that say different
 * things of one namespace are in different worlds. Knows no pod that exists.
 */
#include "expect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "maps.h"
#include "trial.h"
#include "workload.h"

#define PER_WORLD 512 /* expectations: bounds what one compilation takes */
#define NOBODY	  UINT32_MAX

struct question {
	struct berm_expect_result *of;
	const struct berm_expectation *expectation;
	unsigned int index;
	bool is_done;
	uint32_t end[2]; /* endpoint of from and to, NOBODY: an address */
};

struct world {
	struct berm_model model; /* strings are borrowed */
	struct berm_namespace *ns;
	struct berm_pod *pod;
	char (*name)[16];
	const struct berm_mapping *mapping;
	bool has_failed; /* no memory for labels */
};

/* ---- a world -------------------------------------------------------------------------------------------- */

static bool is_same(const struct berm_labels *a, const struct berm_labels *b)
{
	for (size_t i = 0; i < a->count && i < b->count; i++)
		if (strcmp(a->item[i].key, b->item[i].key) != 0 ||
		    strcmp(a->item[i].value, b->item[i].value) != 0)
			return false;
	return a->count == b->count;
}

static bool is_default_deny(const struct berm_labels *labels)
{
	const char *verdict = berm_labels_get(labels, "berm.dev/default-verdict");

	return verdict && !strcmp(verdict, "deny");
}

static const struct berm_namespace *find_ns(const struct world *w, const char *name)
{
	for (size_t i = 0; i < w->model.namespace_count; i++)
		if (!strcmp(w->ns[i].name, name))
			return &w->ns[i];
	return NULL;
}

static bool fits(const struct world *w, const struct berm_expect_end *end)
{
	const struct berm_namespace *ns = end->is_addr ? NULL : find_ns(w, end->ns);

	return !ns || is_same(&ns->labels, &end->ns_labels);
}

/* 240.0.x.y and 100::x:y: nobody has them, RFC 1112 and RFC 6666. */
static void give_addresses(struct berm_addr addr[2], uint32_t number)
{
	uint8_t v4[16] = { [10] = 0xff, [11] = 0xff, [12] = 240 }, v6[16] = { [0] = 1 };

	v4[13] = v6[13] = (uint8_t)(number >> 16);
	v4[14] = v6[14] = (uint8_t)(number >> 8);
	v4[15] = v6[15] = (uint8_t)number;
	memcpy(&addr[0], v4, sizeof(addr[0]));
	memcpy(&addr[1], v6, sizeof(addr[1]));
}

/* Those that are written, and what workload they make it. */
static void label_end(struct world *w, const struct berm_expect_end *end, struct berm_pod *pod)
{
	for (size_t i = 0; i < end->labels.count; i++)
		if (berm_labels_set(&pod->labels, end->labels.item[i].key,
				    end->labels.item[i].value))
			w->has_failed = true;
	if (berm_workload_label(w->mapping, &end->ns_labels, &pod->labels))
		w->has_failed = true;
}

static uint32_t add_end(struct world *w, const struct berm_expect_end *end)
{
	uint32_t number = (uint32_t)w->model.endpoint_count;
	struct berm_local_endpoint *ep = &w->model.endpoints[number];
	struct berm_pod *pod = &w->pod[number];

	if (end->is_addr)
		return NOBODY;
	if (!find_ns(w, end->ns))
		w->ns[w->model.namespace_count++] =
			(struct berm_namespace){ end->ns, end->ns_labels,
						 is_default_deny(&end->ns_labels) };
	snprintf(w->name[number], sizeof(w->name[number]), "p%u", number);
	*pod = (struct berm_pod){ .ns = end->ns, .name = w->name[number], .addr_count = 2 };
	label_end(w, end, pod);
	give_addresses(pod->addr, number + 1);
	*ep = (struct berm_local_endpoint){ .slot = number + 1,
					    .ifindex = number + 1,
					    .addr_count = 2 };
	memccpy(ep->ns, pod->ns, '\0', sizeof(ep->ns) - 1);
	memccpy(ep->pod, pod->name, '\0', sizeof(ep->pod) - 1);
	memcpy(ep->addr, pod->addr, sizeof(ep->addr));
	w->model.endpoint_count++;
	w->model.pod_count++;
	return number;
}

static int by_ns(const void *a, const void *b)
{
	return strcmp((*(struct berm_namespace *const *)a)->name,
		      (*(struct berm_namespace *const *)b)->name);
}

static int by_pod(const void *a, const void *b)
{
	const struct berm_pod *x = *(struct berm_pod *const *)a, *y = *(struct berm_pod *const *)b;
	int rc = strcmp(x->ns, y->ns);

	return rc ? rc : strcmp(x->name, y->name);
}

/* The model's own arrays, in its order. */
static void arrange(struct world *w)
{
	struct berm_model *m = &w->model;

	for (size_t i = 0; i < m->namespace_count; i++)
		m->namespaces[i] = &w->ns[i];
	for (size_t i = 0; i < m->pod_count; i++)
		m->pods[i] = &w->pod[i];
	if (m->pod_count)
		qsort(m->pods, m->pod_count, sizeof(*m->pods), by_pod);
	if (m->namespace_count)
		qsort(m->namespaces, m->namespace_count, sizeof(*m->namespaces), by_ns);
}

static int world_open(struct world *w)
{
	size_t most = 2 * (size_t)PER_WORLD;

	w->ns = calloc(most, sizeof(*w->ns));
	w->pod = calloc(most, sizeof(*w->pod));
	w->name = calloc(most, sizeof(*w->name));
	w->model.namespaces = calloc(most, sizeof(*w->model.namespaces));
	w->model.pods = calloc(most, sizeof(*w->model.pods));
	w->model.endpoints = calloc(most, sizeof(*w->model.endpoints));
	return w->ns && w->pod && w->name && w->model.namespaces && w->model.pods &&
			       w->model.endpoints
		       ? 0
		       : -ENOMEM;
}

static void world_empty(struct world *w)
{
	for (size_t i = 0; i < w->model.pod_count; i++)
		berm_labels_clear(&w->pod[i].labels);
	w->model.namespace_count = w->model.pod_count = w->model.endpoint_count = 0;
}

static void world_close(struct world *w)
{
	world_empty(w);
	free(w->ns);
	free(w->pod);
	free(w->name);
	free(w->model.namespaces);
	free(w->model.pods);
	free(w->model.endpoints);
}

/* Those that are not in a world yet and go together. false: none was left. */
static bool world_fill(struct world *w, struct question *q, size_t count, size_t *ret_first)
{
	size_t taken = 0;

	world_empty(w);
	for (size_t i = 0; i < count; i++)
		q[i].end[0] = q[i].end[1] = NOBODY;
	for (size_t i = *ret_first; i < count && taken < PER_WORLD; i++) {
		const struct berm_expectation *e = q[i].expectation;

		if (q[i].is_done || q[i].of->fails || !fits(w, &e->from) || !fits(w, &e->to))
			continue;
		q[i].end[0] = add_end(w, &e->from);
		q[i].end[1] = add_end(w, &e->to);
		q[i].is_done = true;
		taken++;
	}
	while (*ret_first < count && q[*ret_first].is_done)
		(*ret_first)++;
	arrange(w);
	return taken;
}

/* ---- asking ----------------------------------------------------------------------------------------------- */

static void end_text(const struct berm_expect_end *end, char *out, size_t size)
{
	char addr[BERM_ADDR_STRLEN];
	int used;

	if (end->is_addr) {
		berm_addr_format(&end->addr, addr);
		snprintf(out, size, "%s", addr);
		return;
	}
	used = snprintf(out, size, "%s/", end->ns);
	for (size_t i = 0; i < end->labels.count && (size_t)used < size; i++)
		used += snprintf(out + used, size - (size_t)used, "%s%s=%s", i ? "," : "",
				 end->labels.item[i].key, end->labels.item[i].value);
}

static void fail(struct question *q, bool is_allowed, int dir, const struct berm_rule_name *rule)
{
	static const char *const planes[] = { "TCP", "UDP", "SCTP" };
	const struct berm_expectation *e = q->expectation;
	char from[160], to[160], by[300];

	end_text(&e->from, from, sizeof(from));
	end_text(&e->to, to, sizeof(to));
	q->of->fails = true;
	snprintf(q->of->field, sizeof(q->of->field), "expect[%u]", q->index);
	snprintf(q->of->why, sizeof(q->of->why), "%s -> %s %s/%u: expected %s, found %s (%s: %s)",
		 from, to, planes[e->plane <= BERM_PLANE_SCTP ? e->plane : 0], e->port,
		 e->is_allow ? "Allow" : "Deny", is_allowed ? "Allow" : "Deny",
		 dir == BERM_INGRESS ? "ingress" : "egress", berm_trial_rule(rule, by, sizeof(by)));
}

static const struct berm_addr *address_of(const struct question *q, const struct world *w, int side)
{
	const struct berm_expectation *e = q->expectation;
	const struct berm_expect_end *end = side ? &e->to : &e->from;

	return end->is_addr ? &end->addr : &w->model.endpoints[q->end[side]].addr[0];
}

/* The first end that denies decides; where all allow, the rule of the destination says more than that of the source. */
static void ask(struct question *q, const struct world *w, const struct berm_trial *trial)
{
	static const uint8_t dir[2] = { BERM_EGRESS, BERM_INGRESS };
	uint32_t at = (uint32_t)q->expectation->plane << 16 | q->expectation->port;
	struct berm_trial_verdict verdict = { .is_allowed = true };
	int side, by = 0;

	for (side = 0; side < 2 && verdict.is_allowed; side++) {
		struct berm_trial_verdict one;

		if (q->end[side] == NOBODY)
			continue;
		one = berm_trial_ask(trial, q->end[side], dir[side], address_of(q, w, !side), at);
		if (one.is_allowed && !one.rule && verdict.rule)
			continue;
		verdict = one;
		by = side;
	}
	if (verdict.is_allowed != q->expectation->is_allow)
		fail(q, verdict.is_allowed, dir[by], verdict.rule);
}

static int ask_world(struct world *w, struct question *q, size_t count, struct berm_err *err)
{
	struct berm_trial trial;
	int rc = berm_trial_run(&trial, &w->model, err);

	if (rc)
		return rc;
	for (size_t i = 0; i < count; i++)
		if (q[i].end[0] != NOBODY || q[i].end[1] != NOBODY)
			ask(&q[i], w, &trial);
	berm_trial_clear(&trial);
	return 0;
}

static size_t list_questions(struct berm_expect_result *result, size_t count, struct question *q)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < result[i].policy->expect_count; k++, n++)
			if (q)
				q[n] = (struct question){ .of = &result[i],
							  .expectation =
								  &result[i].policy->expect[k],
							  .index = (unsigned int)k };
	return n;
}

static int check_open(const struct berm_overlay *policies, struct berm_expect_result *result,
		      size_t count, struct berm_err *err)
{
	size_t first = 0, total = list_questions(result, count, NULL);
	auto_free struct question *q = calloc(total + 1, sizeof(*q));
	struct world world = { 0 };
	int rc = q ? world_open(&world) : -ENOMEM;

	for (size_t i = 0; i < count; i++)
		result[i].fails = false;
	world.model.policies = policies->item;
	world.model.policy_count = policies->count;
	world.mapping = policies->model ? berm_model_mapping(policies->model) : NULL;
	if (policies->model) { /* what the essentials are */
		world.model.companions = policies->model->companions;
		world.model.companion_count = policies->model->companion_count;
	}
	if (rc)
		berm_fail(err, rc, "check the expectations of %zu documents", count);
	else
		list_questions(result, count, q);
	while (!rc && world_fill(&world, q, total, &first))
		rc = world.has_failed ? berm_fail(err, -ENOMEM, "check expectations")
				      : ask_world(&world, q, total, err);
	world_close(&world);
	return rc;
}

int berm_expect_check(const struct berm_overlay *policies, struct berm_expect_result *result,
		      size_t count, struct berm_err *err)
{
	struct berm_overlay open;
	int rc = berm_overlay_open(policies, &open);

	if (rc)
		return berm_fail(err, rc, "check the expectations of %zu documents", count);
	rc = check_open(&open, result, count, err);
	berm_overlay_clear(&open);
	return rc;
}
