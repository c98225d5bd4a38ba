/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_diff.c - random clusters with one policy more or less: the edges must be those connections that the documents, read one by
 * one, judge differently; no more and no fewer. BERM_SEED replays a run; BERM_WORLDS makes it longer.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diff_edge.h"
#include "maps.h"
#include "test.h"
#include "worlds.h"

#define PORTS 6

struct scene {
	struct world w;
	struct berm_model model; /* everybody is here, and there are no Services */
	struct berm_model side[2];
	struct berm_overlay list[2];
	struct berm_local_endpoint ep[256];
	cJSON *out;
	uint64_t seed;
};

/* Nor hostPorts: diff does not look at frontends. */
static void close_host_ports(struct scene *s)
{
	for (size_t i = 0; i < s->model.pod_count; i++)
		for (size_t k = 0; k < s->model.pods[i]->port_count; k++)
			s->model.pods[i]->port[k].host_port = 0;
}

static void populate(struct scene *s)
{
	s->model = s->w.model;
	s->model.service_count = s->model.slice_count = s->model.service_cidr_count = 0;
	close_host_ports(s);
	s->model.endpoints = s->ep;
	s->model.endpoint_count = 0;
	for (size_t i = 0; i < s->model.pod_count; i++) {
		const struct berm_pod *pod = s->model.pods[i];
		struct berm_local_endpoint *ep = &s->ep[s->model.endpoint_count];

		if (pod->host_network || pod->finished || !pod->addr_count)
			continue;
		ASSERT_TRUE(s->model.endpoint_count < 256);
		memset(ep, 0, sizeof(*ep));
		ep->slot = (uint32_t)++s->model.endpoint_count;
		snprintf(ep->ns, sizeof(ep->ns), "%s", pod->ns);
		snprintf(ep->pod, sizeof(ep->pod), "%s", pod->name);
		memcpy(ep->addr, pod->addr, sizeof(ep->addr));
		ep->addr_count = pod->addr_count;
	}
}

/* One policy is missing on one of the sides. */
static void choose(struct scene *s)
{
	uint32_t which = world_below(&s->w, (uint32_t)s->model.policy_count);
	const struct berm_policy *p = s->model.policies[which];
	int without = (int)world_below(&s->w, 2);

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(berm_overlay_make(&s->model, &s->list[i]), 0);
		if (i == without)
			ASSERT_TRUE(berm_overlay_remove(&s->list[i], p->kind, p->ns, p->name));
		s->side[i] = s->model;
		s->side[i].policies = s->list[i].item;
		s->side[i].policy_count = s->list[i].count;
	}
}

static bool allows(const struct scene *s, int side, const struct berm_local_endpoint *from,
		   const struct berm_local_endpoint *to, const struct question *port)
{
	struct question out = { .ep = from,
				.dir = BERM_EGRESS,
				.peer = to->addr[0],
				.plane = port->plane,
				.port = port->port };
	struct question in = { .ep = to,
			       .dir = BERM_INGRESS,
			       .peer = from->addr[0],
			       .plane = port->plane,
			       .port = port->port };

	return evaluate(&s->side[side], &out).action == BERM_ACTION_ALLOW &&
	       evaluate(&s->side[side], &in).action == BERM_ACTION_ALLOW;
}

/* 1 yes, 0 no, -1: its group has more pods than are named */
static int is_named(const cJSON *side, const struct berm_local_endpoint *ep)
{
	const cJSON *pods = cJSON_GetObjectItem(side, "pods"), *item;
	char name[400];

	if (!pods)
		return 0;
	snprintf(name, sizeof(name), "%s/%s", ep->ns, ep->pod);
	cJSON_ArrayForEach(item, pods)
		if (!strcmp(item->valuestring, name))
			return 1;
	return cJSON_GetObjectItem(side, "count")->valueint > cJSON_GetArraySize(pods) ? -1 : 0;
}

static bool has_port(const cJSON *edge, const struct question *q)
{
	static const char *const plane[] = { "TCP", "UDP", "SCTP" };
	const cJSON *item;

	cJSON_ArrayForEach(item, cJSON_GetObjectItem(edge, "ports")) {
		unsigned int first = 0, last = 65535;
		char word[8] = "";
		int n = sscanf(item->valuestring, "%7s %u-%u", word, &first, &last);

		if (!strcmp(word, plane[q->plane]) && first <= q->port &&
		    (n == 2 ? q->port == first : q->port <= last))
			return true;
	}
	return false;
}

struct said {
	bool opened, closed, unsure;
};

static struct said look_up(const struct scene *s, const struct berm_local_endpoint *from,
			   const struct berm_local_endpoint *to, const struct question *q)
{
	struct said said = { 0 };
	const cJSON *edge;

	cJSON_ArrayForEach(edge, cJSON_GetObjectItem(s->out, "edges")) {
		int a = is_named(cJSON_GetObjectItem(edge, "from"), from);
		int b = is_named(cJSON_GetObjectItem(edge, "to"), to);
		bool is_opened =
			!strcmp(cJSON_GetObjectItem(edge, "change")->valuestring, "opened");

		said.unsure |= (a < 0 && b) || (b < 0 && a);
		if (a != 1 || b != 1 || !has_port(edge, q))
			continue;
		said.opened |= is_opened;
		said.closed |= !is_opened;
	}
	return said;
}

static unsigned int compare(const struct scene *s, const struct berm_local_endpoint *from,
			    const struct berm_local_endpoint *to, const struct question *q)
{
	bool before = allows(s, 0, from, to, q), after = allows(s, 1, from, to, q);
	struct said said = look_up(s, from, to, q);

	if (said.unsure)
		return 0;
	if (said.opened == (!before && after) && said.closed == (before && !after))
		return before != after;
	test_failed(__FILE__, __LINE__,
		    "BERM_SEED=%" PRIu64
		    " BERM_WORLDS=1: %s/%s -> %s/%s plane %u port %u: before %d, after %d; diff says%s%s",
		    s->seed, from->ns, from->pod, to->ns, to->pod, q->plane, q->port, before, after,
		    said.opened ? " opened" : "", said.closed ? " closed" : "");
	test_stop();
	return 0;
}

static bool is_pair(const struct berm_local_endpoint *a, const struct berm_local_endpoint *b)
{
	return a != b && berm_addr_is_v4(&a->addr[0]) == berm_addr_is_v4(&b->addr[0]);
}

static unsigned int compare_all(struct scene *s)
{
	unsigned int changes = 0;
	struct question q;

	for (int k = 0; k < PORTS; k++) {
		world_question(&s->w, &q);
		if (q.plane > BERM_PLANE_SCTP || !q.port)
			continue;
		for (size_t i = 0; i < s->model.endpoint_count; i++)
			for (size_t j = 0; j < s->model.endpoint_count; j++)
				if (is_pair(&s->ep[i], &s->ep[j]))
					changes += compare(s, &s->ep[i], &s->ep[j], &q);
	}
	return changes;
}

TEST(random_diff, "edges are what the documents, read one by one, judge differently")
{
	static struct scene s;
	const char *given = getenv("BERM_WORLDS");
	unsigned int changes = 0, count = given ? (unsigned int)atoi(given) : 60;
	uint64_t first = world_seed();

	for (unsigned int i = 0; i < count; i++) {
		struct berm_err err = { 0 };

		s.seed = first + i;
		world_make(&s.w, s.seed);
		populate(&s);
		if (s.model.policy_count && s.w.model.endpoint_count) {
			choose(&s);
			s.out = cJSON_CreateObject();
			ASSERT_OK(berm_diff_edges(&(struct berm_diff_lists){ &s.model, &s.list[0],
									     &s.list[1] },
						  s.out, &err),
				  &err);
			changes += compare_all(&s);
			cJSON_Delete(s.out);
			berm_overlay_clear(&s.list[0]);
			berm_overlay_clear(&s.list[1]);
		}
		world_clear(&s.w);
	}
	printf("# %u changes of %u worlds\n", changes, count);
	if (count >= 60)
		EXPECT_GT(changes, 50);
}
