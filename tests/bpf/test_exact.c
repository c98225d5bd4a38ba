// SPDX-License-Identifier: Apache-2.0
/*
 * test_exact.c - exact flows in the kernel: documents -> compiler -> maps -> the real programs, both families; what becomes of
 * a session when its flow goes; and 100,000 of them.
 */
#include <bpf/bpf.h>
#include <time.h>

#include "apply.h"
#include "compile.h"
#include "datapath.h"
#include "objects.h"
#include "onnode.h"

#include "berm.skel.h" /* wants abi.h before it */

#define ALLOW BERM_RULE_ALLOW
#define DENY  BERM_RULE_DENY

struct stage {
	struct datapath *dp;
	struct berm_apply *apply;
	struct berm_model m;
	struct berm_apply_result done;
};

/* A walled database: port 5432 for app=web; both ways isolated. */
static struct berm_policy *stage_open(struct stage *s)
{
	struct berm_policy_rule *r;
	struct berm_policy *p;
	struct berm_err err = { 0 };

	onnode_own_run();
	s->dp = datapath_load(NULL);
	ASSERT_OK(berm_apply_open(&s->dp->maps, &s->apply, &err), &err);
	objects_namespace(&s->m, "shop", "");
	objects_pod(&s->m, "shop/db", "app=db", "10.0.0.1 fd00::1");
	objects_pod(&s->m, "shop/web", "app=web", "10.0.0.2 fd00::2");
	objects_endpoint(&s->m, 1, "shop/db");
	p = objects_policy(&s->m, BERM_KIND_SEGMENTATION, "shop/db", "app=db");
	p->isolate = 1 << BERM_INGRESS | 1 << BERM_EGRESS;
	r = objects_rule(p, BERM_INGRESS, ALLOW, "web");
	objects_peer_pods(r, NULL, "app=web");
	objects_port(r, "tcp:5432");
	onnode_attach(s->dp, &s->m);
	return objects_policy(&s->m, BERM_KIND_SEGMENTATION, "shop/flows", "app=db");
}

static void enforce(struct stage *s)
{
	struct berm_plan *plan = NULL;
	struct berm_err err = { 0 };
	uint64_t ticket;

	ASSERT_OK(berm_compile(&s->m, &plan, NULL, &err), &err);
	ASSERT_OK(berm_apply(s->apply, plan, &s->done, &err), &err);
	EXPECT_STR_EQ(s->done.warning, "");
	while ((ticket = berm_apply_garbage(s->apply))) {
		berm_grace_period();
		ASSERT_OK(berm_apply_collect(s->apply, ticket, &err), &err);
	}
	berm_plan_free(plan);
}

/* The id of the rule that people see as this one. */
static uint32_t id_of(const struct stage *s, uint8_t dir, const char *rule)
{
	const struct berm_names *names = berm_apply_names(s->apply);

	for (size_t i = 0; i < names->count; i++)
		if (names->item[i].dir == dir && !strcmp(names->item[i].rule, rule))
			return names->item[i].id;
	test_failed(__FILE__, __LINE__, "no rule is named '%s'", rule);
	test_stop();
}

static size_t elements(const struct stage *s)
{
	struct berm_flow_key key, next;
	size_t count = 0;
	int fd = s->dp->maps.fd[BERM_MAP_flows];

	for (int rc = bpf_map_get_next_key(fd, NULL, &next); !rc; count++) {
		key = next;
		rc = bpf_map_get_next_key(fd, &key, &next);
	}
	return count;
}

struct family {
	const char *name, *db, *web, *far, *flow;
};

TEST(flow_in_kernel,
     "a flow decides about its own connection and no other, both ways, all protocols, both families")
{
	static const struct family families[] = {
		{ "IPv4", "10.0.0.1", "10.0.0.2", "192.0.2.9", "%s 192.0.2.9:4000 10.0.0.1:80" },
		{ "IPv6", "fd00::1", "fd00::2", "2001:db8::9", "%s [2001:db8::9]:4000 [fd00::1]:80" },
	}, *f;
	static const struct {
		const char *name;
		uint8_t number;
	} protocols[] = { { "tcp", IPPROTO_TCP },
			  { "udp", IPPROTO_UDP },
			  { "sctp", IPPROTO_SCTP } },
	  *c;
	struct stage s = { 0 };
	struct berm_policy *p = stage_open(&s);
	char text[128];

	for_each_case(f, families)
		for_each_case(c, protocols) {
			snprintf(text, sizeof(text), f->flow, c->name);
			objects_flow(p, BERM_INGRESS, ALLOW, "in", text);
		}
	objects_flow(p, BERM_INGRESS, DENY, "no", "tcp 10.0.0.2:4000 10.0.0.1:5432");
	objects_flow(p, BERM_INGRESS, BERM_RULE_REJECT, "told",
		     "tcp [fd00::2]:4000 [fd00::1]:5432");
	objects_flow(p, BERM_EGRESS, ALLOW, "out", "udp 10.0.0.1:6000 192.0.2.9:53");
	objects_flow(p, BERM_EGRESS, ALLOW, "out", "udp [fd00::1]:6000 [2001:db8::9]:53");
	enforce(&s);
	EXPECT_EQ(elements(&s), 10);
	for_each_case(f, families) {
		struct packet out = { .src = f->db,
				      .dst = f->far,
				      .proto = IPPROTO_UDP,
				      .sport = 6000,
				      .dport = 53 };
		struct packet web = { .src = f->web, .dst = f->db, .sport = 4000, .dport = 5432 };
		bool v4 = f->db[0] == '1';

		for_each_case(c, protocols) {
			struct packet good = { .src = f->far,
					       .dst = f->db,
					       .proto = c->number,
					       .sport = 4000,
					       .dport = 80 };
			struct packet bad = good;

			SEND(s.dp, BERM_INGRESS, &good, ALLOWED, POLICY_ALLOW,
			     id_of(&s, BERM_INGRESS, "flows/in"));
			SEND(s.dp, BERM_INGRESS, &good, ALLOWED, SESSION, 0);
			bad.sport = 4001;
			SEND(s.dp, BERM_INGRESS, &bad, DROPPED, DEFAULT_DENY,
			     id_of(&s, BERM_INGRESS, "shop/db"));
			bad = (struct packet){ .src = f->far,
					       .dst = f->db,
					       .proto = c->number,
					       .sport = 4000,
					       .dport = 81 };
			SEND(s.dp, BERM_INGRESS, &bad, DROPPED, DEFAULT_DENY,
			     id_of(&s, BERM_INGRESS, "shop/db"));
		}
		if (v4)
			SEND(s.dp, BERM_INGRESS, &web, DROPPED, POLICY_DENY,
			     id_of(&s, BERM_INGRESS, "flows/no"));
		else
			SEND(s.dp, BERM_INGRESS, &web, REJECTED, POLICY_DENY,
			     id_of(&s, BERM_INGRESS, "flows/told"));
		web.sport = 4001;
		SEND(s.dp, BERM_INGRESS, &web, ALLOWED, POLICY_ALLOW,
		     id_of(&s, BERM_INGRESS, "web"));
		SEND(s.dp, BERM_EGRESS, &out, ALLOWED, POLICY_ALLOW,
		     id_of(&s, BERM_EGRESS, "flows/out"));
		out.sport = 6001;
		SEND(s.dp, BERM_EGRESS, &out, DROPPED, DEFAULT_DENY,
		     id_of(&s, BERM_EGRESS, "shop/db"));
	}
	EXPECT_BOOKS(s.dp);
}

TEST(flow_goes,
     "when a flow goes its session goes; who has none shares no table; a restart writes nothing")
{
	struct packet one = { .src = "192.0.2.9", .dst = "10.0.0.1", .sport = 4000, .dport = 80 };
	struct packet two = { .src = "192.0.2.9", .dst = "10.0.0.1", .sport = 4001, .dport = 80 };
	struct stage s = { 0 };
	struct berm_policy *p = stage_open(&s);
	struct berm_err err = { 0 };

	objects_flow(p, BERM_INGRESS, ALLOW, "one", "tcp 192.0.2.9:4000 10.0.0.1:80");
	objects_flow(p, BERM_INGRESS, ALLOW, "two", "tcp 192.0.2.9:4001 10.0.0.1:80");
	enforce(&s);
	SEND(s.dp, BERM_INGRESS, &one, ALLOWED, POLICY_ALLOW, id_of(&s, BERM_INGRESS, "flows/one"));
	SEND(s.dp, BERM_INGRESS, &two, ALLOWED, POLICY_ALLOW, id_of(&s, BERM_INGRESS, "flows/two"));

	berm_apply_close(s.apply);
	ASSERT_OK(berm_apply_open(&s.dp->maps, &s.apply, &err), &err);
	enforce(&s);
	EXPECT_EQ(s.done.writes, 0);
	EXPECT_EQ(s.done.rejudged, 0);

	p->flow_count--; /* the name is small change */
	enforce(&s);
	EXPECT_EQ(s.done.rejudged, 1);
	EXPECT_EQ(elements(&s), 1);
	SEND(s.dp, BERM_INGRESS, &two, DROPPED, DEFAULT_DENY, id_of(&s, BERM_INGRESS, "shop/db"));
	SEND(s.dp, BERM_INGRESS, &one, ALLOWED, POLICY_ALLOW, 0); /* judged again */
	SEND(s.dp, BERM_INGRESS, &one, ALLOWED, SESSION, 0);

	p->flow_count = 0;
	enforce(&s);
	EXPECT_EQ(elements(&s), 0);
	SEND(s.dp, BERM_INGRESS, &one, DROPPED, DEFAULT_DENY, id_of(&s, BERM_INGRESS, "shop/db"));
	p->flow_count = 2;
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Nanoseconds of a packet that is denied: nothing is kept of it. */
static double cost(struct stage *s, const struct packet *p)
{
	_Alignas(8) char frame[PACKET_MAX];
	struct __sk_buff ctx = { .ifindex = 1, .ingress_ifindex = s->dp->ingress_ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = 20000);
	double best = 1e9;

	opts.data_size_in = (__u32)packet_build(p, frame);
	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(datapath_run(s->dp, s->dp->skel->progs.berm_to_pod, &opts), 0);
		best = opts.duration < best ? opts.duration : best;
	}
	(void)ring_buffer__consume(s->dp->ring); /* what was told of them */
	return best;
}

#define MANY 100000

TEST(flow_many,
     "100,000 flows: written at once, each found, and a packet that has none pays one look-up more")
{
	struct packet web = { .src = "192.0.2.9", .dst = "10.0.0.1", .sport = 1, .dport = 1 };
	struct packet hit = { .src = "172.16.7.10", .dst = "10.0.0.1", .sport = 4000, .dport = 80 };
	struct stage s = { 0 };
	struct berm_policy *p = stage_open(&s);
	double without, with, found, begin;
	uint32_t allow, deny;
	char text[96], addr[32];

	enforce(&s);
	without = cost(&s, &web);
	for (unsigned int i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "tcp 172.%u.%u.%u:4000 10.0.0.1:80", 16 + i / 62500,
			 i / 250 % 250, i % 250 + 1);
		objects_flow(p, BERM_INGRESS, i % 2 ? DENY : ALLOW, i % 2 ? "no" : NULL, text);
	}
	begin = now_ms();
	enforce(&s);
	printf("# %d flows: compiled and applied in %.0f ms, %.0f of them the maps'\n", MANY,
	       now_ms() - begin, (double)s.done.took_ns / 1e6);
	EXPECT_EQ(elements(&s), MANY);
	allow = id_of(&s, BERM_INGRESS, "flows");
	deny = id_of(&s, BERM_INGRESS, "flows/no");
	for (unsigned int i = 0; i < MANY; i += 997) {
		struct packet one = { .dst = "10.0.0.1", .sport = 4000, .dport = 80, .src = addr };

		snprintf(addr, sizeof(addr), "172.%u.%u.%u", 16 + i / 62500, i / 250 % 250,
			 i % 250 + 1);
		if (i % 2)
			SEND(s.dp, BERM_INGRESS, &one, DROPPED, POLICY_DENY, deny);
		else
			SEND(s.dp, BERM_INGRESS, &one, ALLOWED, POLICY_ALLOW, allow);
		one.sport++;
		SEND(s.dp, BERM_INGRESS, &one, DROPPED, DEFAULT_DENY,
		     id_of(&s, BERM_INGRESS, "shop/db"));
	}
	with = cost(&s, &web);
	found = cost(&s, &hit);
	printf("# a denied packet: %.0f ns before, %.0f with 100,000 flows in its set, %.0f by a flow\n",
	       without, with, found);
	begin = now_ms();
	p->flow[MANY / 2].dst_port = 81;
	enforce(&s);
	printf("# one of them changed: %.0f ms, %.0f of them the maps'\n", now_ms() - begin,
	       (double)s.done.took_ns / 1e6);
	EXPECT_EQ(elements(&s), MANY);
	p->flow_count = 0;
	enforce(&s);
	EXPECT_EQ(elements(&s), 0);
	p->flow_count = MANY;
}
