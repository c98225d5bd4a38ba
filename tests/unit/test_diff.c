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
#include "overlay.h"
#include "services.h"
#include "test.h"
#include "worlds.h"

#define PORTS 6

struct scene {
	struct world w;
	struct berm_model model; /* everybody is here */
	struct berm_model side[2];
	struct berm_overlay list[2];
	struct berm_local_endpoint ep[256];
	cJSON *out;
	uint64_t seed;
};

/* A hostPort leads elsewhere at an address that may be anybody's. */
static void close_host_ports(struct scene *s)
{
	for (size_t i = 0; i < s->model.pod_count; i++)
		for (size_t k = 0; k < s->model.pods[i]->port_count; k++)
			s->model.pods[i]->port[k].host_port = 0;
}

static void populate(struct scene *s)
{
	s->model = s->w.model;
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

/* Most have no flows: those that have some are wanted as often. */
static const struct berm_policy *pick(struct scene *s)
{
	bool wants_flows = world_below(&s->w, 2);
	const struct berm_policy *p = NULL;

	for (int tries = 0; tries < 10 && (!p || (wants_flows && !p->flow_count)); tries++)
		p = s->model.policies[world_below(&s->w, (uint32_t)s->model.policy_count)];
	return p;
}

/* One policy is missing on one of the sides. */
static void choose(struct scene *s)
{
	const struct berm_policy *p = pick(s);
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

struct connection { /* in one state: with flow, the very one between these ports; else any other */
	const struct berm_local_endpoint *from,
		*to; /* to NULL: to_addr is a Service's, or a hostPort's */
	struct berm_addr from_addr, to_addr;
	uint8_t plane;
	uint16_t port, source_port;
};

static bool allows(const struct scene *s, int side, const struct connection *c, bool would)
{
	struct question out = { .ep = c->from,
				.dir = BERM_EGRESS,
				.peer = c->to_addr,
				.plane = c->plane,
				.port = c->port,
				.would = would,
				.other_port = c->source_port,
				.local = c->from_addr };
	struct question in = { .ep = c->to,
			       .dir = BERM_INGRESS,
			       .peer = c->from_addr,
			       .plane = c->plane,
			       .port = c->port,
			       .would = would,
			       .other_port = c->source_port,
			       .local = c->to_addr };

	return evaluate(&s->side[side], &out).action == BERM_ACTION_ALLOW &&
	       (!c->to || evaluate(&s->side[side], &in).action == BERM_ACTION_ALLOW);
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

/* The Service or hostPort, by its address. */
static int is_place(const cJSON *side, const struct connection *c)
{
	const cJSON *addr = cJSON_GetObjectItem(side, "address");
	char text[BERM_ADDR_STRLEN];

	berm_addr_format(&c->to_addr, text);
	return addr && !strcmp(addr->valuestring, text);
}

static bool has_port(const cJSON *edge, const struct connection *q)
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

static const char *const words[] = { "opened", "closed", "would-open", "would-close" };

struct said {
	bool word[4], unsure;
};

/* Of a flow only the edge of its own counts, of anything else only the others. */
static bool is_of_flow(const cJSON *edge, const struct connection *c)
{
	const cJSON *flow = cJSON_GetObjectItem(edge, "flow"), *from;
	char text[BERM_ADDR_STRLEN];

	if (!flow || !c->source_port)
		return !flow == !c->source_port;
	from = cJSON_GetObjectItem(flow, "source");
	berm_addr_format(&c->from_addr, text);
	return !strcmp(cJSON_GetObjectItem(from, "ip")->valuestring, text) &&
	       cJSON_GetObjectItem(from, "port")->valueint == c->source_port;
}

static bool is_of_family(const cJSON *edge, const struct connection *c)
{
	const cJSON *family = cJSON_GetObjectItem(edge, "family");

	return !family ||
	       !strcmp(family->valuestring, berm_addr_is_v4(&c->from_addr) ? "IPv4" : "IPv6");
}

static struct said look_up(const struct scene *s, const struct connection *c)
{
	struct said said = { .unsure = false };
	const cJSON *edge;

	cJSON_ArrayForEach(edge, cJSON_GetObjectItem(s->out, "edges")) {
		const cJSON *to = cJSON_GetObjectItem(edge, "to");
		int a = is_named(cJSON_GetObjectItem(edge, "from"), c->from);
		int b = c->to ? is_named(to, c->to) : is_place(to, c);

		said.unsure |= (a < 0 && b) || (b < 0 && a);
		if (a != 1 || b != 1 || !has_port(edge, c) || !is_of_flow(edge, c) ||
		    !is_of_family(edge, c))
			continue;
		for (int i = 0; i < 4; i++)
			said.word[i] |=
				!strcmp(cJSON_GetObjectItem(edge, "change")->valuestring, words[i]);
	}
	said.unsure |= cJSON_IsTrue(cJSON_GetObjectItem(s->out, "truncated"));
	return said;
}

/* What there is to say: of what would be, only where it is not what is. */
static struct said expected(const struct scene *s, const struct connection *c)
{
	bool real[2], would[2];

	for (int i = 0; i < 2; i++) {
		real[i] = allows(s, i, c, false);
		would[i] = allows(s, i, c, true);
	}
	return (struct said){ .word = {
				      !real[0] && real[1],
				      real[0] && !real[1],
				      !would[0] && would[1] && (real[0] || !real[1]),
				      would[0] && !would[1] && (!real[0] || real[1]),
			      } };
}

/* A flow is told if it differs otherwise than its ports do: if one side says of it what it does not say of them. */
static struct said expected_flow(const struct scene *s, const struct connection *flow)
{
	struct said want = expected(s, flow);
	struct connection any = *flow;
	bool is_other[2] = { false, false };

	any.source_port = 0;
	for (int i = 0; i < 2; i++)
		for (int would = 0; would < 2; would++)
			is_other[would] |= allows(s, i, flow, would) != allows(s, i, &any, would);
	for (int i = 0; i < 4; i++)
		want.word[i] &= is_other[i / 2];
	return want;
}

static unsigned int compare(const struct scene *s, const struct connection *c)
{
	struct said want = c->source_port ? expected_flow(s, c) : expected(s, c);
	struct said said = look_up(s, c);
	char from[BERM_ADDR_STRLEN], to[BERM_ADDR_STRLEN];

	for (int i = 0; i < 4 && !said.unsure; i++) {
		if (said.word[i] == want.word[i])
			continue;
		berm_addr_format(&c->from_addr, from);
		berm_addr_format(&c->to_addr, to);
		test_failed(__FILE__, __LINE__,
			    "BERM_SEED=%" PRIu64
			    " BERM_WORLDS=1: %s/%s (%s) -> %s (%s) plane %u port %u (%u): %s, want %d, diff says %d",
			    s->seed, c->from->ns, c->from->pod, from,
			    c->to ? c->to->pod : "a place", to, c->plane, c->port, c->source_port,
			    words[i], want.word[i], said.word[i]);
		test_stop();
	}
	return said.unsure ? 0 : want.word[0] + want.word[1] + want.word[2] + want.word[3];
}

static bool is_v4(const struct berm_addr *addr)
{
	return berm_addr_is_v4(addr);
}

/* Of each family the first address counts. */
static const struct berm_addr *addr_of(const struct berm_local_endpoint *ep, bool v4)
{
	for (size_t i = 0; i < ep->addr_count; i++)
		if (is_v4(&ep->addr[i]) == v4)
			return &ep->addr[i];
	return NULL;
}

/* A Service's address may be a pod's own in these worlds: then this port is the Service's. */
static bool is_lead_on(const struct scene *s, const struct berm_addr *addr, uint8_t plane,
		       uint16_t port)
{
	struct led led;

	services_lead(&s->model, addr, plane, port, true, &led);
	return led.is_place;
}

static unsigned int compare_pair(const struct scene *s, const struct berm_local_endpoint *from,
				 const struct berm_local_endpoint *to, const struct question *q)
{
	unsigned int changes = 0;

	for (int v4 = 0; v4 < 2 && from != to; v4++) {
		const struct berm_addr *a = addr_of(from, v4), *b = addr_of(to, v4);

		if (a && b && !is_lead_on(s, b, q->plane, q->port))
			changes += compare(s, &(struct connection){ from, to, *a, *b, q->plane,
								    q->port, 0 });
	}
	return changes;
}

/* Addresses of Services have no port that is not theirs, and pods have none of theirs: worlds.c sees to that. */
static unsigned int compare_fronts(const struct scene *s, const struct berm_local_endpoint *from)
{
	unsigned int changes = 0;

	for (size_t i = 0; i < s->model.service_count; i++) {
		const struct berm_service *service = s->model.services[i];

		for (size_t k = 0; k < service->cluster_count; k++)
			for (size_t p = 0; p < service->port_count; p++) {
				const struct berm_addr *to = &service->cluster[k];
				const struct berm_addr *a = addr_of(from, is_v4(to));

				if (a)
					changes += compare(s, &(struct connection){
								      from, NULL, *a, *to,
								      service->port[p].plane,
								      service->port[p].port, 0 });
			}
	}
	return changes;
}

/* NULL: nobody, or several claim it. */
static const struct berm_local_endpoint *owner(const struct scene *s, const struct berm_addr *addr)
{
	const struct berm_local_endpoint *found = NULL;

	for (size_t i = 0; i < s->model.endpoint_count; i++)
		for (size_t k = 0; k < s->ep[i].addr_count; k++) {
			if (memcmp(&s->ep[i].addr[k], addr, sizeof(*addr)) != 0)
				continue;
			if (found)
				return NULL;
			found = &s->ep[i];
		}
	return found;
}

/* Edges of its own has a flow that differs otherwise than its ports do. */
static unsigned int compare_flows(const struct scene *s, const struct berm_policy *policy)
{
	unsigned int changes = 0;

	for (size_t i = 0; i < policy->flow_count; i++) {
		const struct berm_policy_flow *f = &policy->flow[i];
		struct connection c = { owner(s, &f->src), owner(s, &f->dst), f->src,	  f->dst,
					f->plane,	   f->dst_port,	      f->src_port };

		if (c.from && c.to && c.from != c.to && !is_lead_on(s, &c.to_addr, c.plane, c.port))
			changes += compare(s, &c);
	}
	return changes;
}

static unsigned int compare_all(struct scene *s, unsigned int *ret_fronts, unsigned int *ret_flows)
{
	unsigned int changes = 0;
	struct question q;

	for (int k = 0; k < PORTS; k++) {
		world_question(&s->w, &q);
		if (q.plane > BERM_PLANE_SCTP || !q.port)
			continue;
		for (size_t i = 0; i < s->model.endpoint_count; i++)
			for (size_t j = 0; j < s->model.endpoint_count; j++)
				changes += compare_pair(s, &s->ep[i], &s->ep[j], &q);
	}
	for (size_t i = 0; i < s->model.endpoint_count; i++)
		*ret_fronts += compare_fronts(s, &s->ep[i]);
	for (size_t i = 0; i < s->model.policy_count; i++)
		*ret_flows += compare_flows(s, s->model.policies[i]);
	return changes;
}

TEST(random_diff, "edges are what the documents, read one by one, judge differently")
{
	static struct scene s;
	const char *given = getenv("BERM_WORLDS");
	unsigned int changes = 0, fronts = 0, flows = 0,
		     count = given ? (unsigned int)atoi(given) : 400;
	uint64_t first = world_seed();

	for (unsigned int i = 0; i < count; i++) {
		struct berm_differ *differ;
		struct berm_err err = { 0 };

		s.seed = first + i;
		world_make(&s.w, s.seed);
		populate(&s);
		if (s.model.policy_count && s.w.model.endpoint_count) {
			choose(&s);
			s.out = cJSON_CreateObject();
			ASSERT_OK(berm_differ_open(&s.side[0], &differ, &err), &err);
			ASSERT_OK(berm_differ_compare(differ, &s.side[1], s.out, &err), &err);
			changes += compare_all(&s, &fronts, &flows);
			berm_differ_close(differ);
			cJSON_Delete(s.out);
			berm_overlay_clear(&s.list[0]);
			berm_overlay_clear(&s.list[1]);
		}
		world_clear(&s.w);
	}
	printf("# %u changes between pods, %u of Services, %u of exact flows, in %u worlds\n",
	       changes, fronts, flows, count);
	if (count < 400)
		return;
	EXPECT_GT(changes, 50);
	EXPECT_GT(fronts, 5);
	EXPECT_GT(flows, 0);
}
