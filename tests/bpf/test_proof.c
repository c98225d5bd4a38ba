// SPDX-License-Identifier: Apache-2.0
/*
 * test_proof.c - the whole way: random documents -> compiler -> maps -> the real program, against the
 * evaluator that reads the documents. Verdict, reason and rule must agree for every packet, also after
 * every one of a sequence of changes applied to the running maps. BERM_SEED replays, BERM_WORLDS lengthens.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>

#include "apply.h"
#include "compile.h"
#include "datapath.h"
#include "interpret.h"
#include "objects.h"
#include "onnode.h"
#include "worlds.h"

#define EVENTS	4
#define PACKETS 60

struct proof {
	struct datapath *dp;
	struct berm_apply *apply;
	struct world w;
	uint64_t seed;
	uint32_t packet; /* counts, so that no two share a session */
	unsigned int cases, denied, answered, audited, writes;
};

/* ---- packets ------------------------------------------------------------------------------------------------ */

/* What the data path settles before it asks for policy. */
static bool is_special(const struct question *q)
{
	const uint8_t *a = (const uint8_t *)&q->peer;
	bool v4 = berm_addr_is_v4(&q->peer);

	for (size_t i = 0; i < q->ep->addr_count; i++)
		if (!memcmp(&q->ep->addr[i], &q->peer, sizeof(q->peer)))
			return true; /* its own address */
	if (v4)
		return a[12] == 0 || a[12] == 127 || a[12] >= 224;
	return a[0] == 0 || a[0] == 0xff;
}

static const struct berm_addr *own_address(const struct question *q)
{
	for (size_t i = 0; i < q->ep->addr_count; i++)
		if (berm_addr_is_v4(&q->ep->addr[i]) == berm_addr_is_v4(&q->peer))
			return &q->ep->addr[i];
	return NULL;
}

static bool is_possible(const struct question *q)
{
	bool v4 = berm_addr_is_v4(&q->peer);

	if (is_special(q) || !own_address(q))
		return false;
	return !(v4 && q->plane == BERM_PLANE_ICMPV6) && !(!v4 && q->plane == BERM_PLANE_ICMP);
}

static void describe(struct proof *p, const struct question *q, struct packet *out)
{
	static const uint8_t proto[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMP,
					 IPPROTO_ICMPV6 };

	p->packet++;
	out->proto = q->plane == BERM_PLANE_OTHER ? (uint8_t)q->port : proto[q->plane];
	out->sport = (uint16_t)(20000 + p->packet % 40000);
	out->dport = q->port;
	out->icmp_type = (uint8_t)(q->port >> 8);
	out->icmp_code = (uint8_t)q->port;
	out->icmp_id = (uint16_t)p->packet;
}

static struct verdict send_question(struct proof *p, const struct question *q)
{
	char own[BERM_ADDR_STRLEN], peer[BERM_ADDR_STRLEN];
	struct packet packet = { 0 };

	berm_addr_format(own_address(q), own);
	berm_addr_format(&q->peer, peer);
	packet.src = q->dir == BERM_INGRESS ? peer : own;
	packet.dst = q->dir == BERM_INGRESS ? own : peer;
	describe(p, q, &packet);
	(void)datapath_sweep(p->dp, q->ep->ifindex); /* no session shall answer */
	return datapath_send(p->dp, q->dir, q->ep->ifindex, &packet);
}

/* ---- agreement -------------------------------------------------------------------------------------------------- */

/* Of ICMP only echo has; what is allowed otherwise makes no session and no event. */
static bool has_session(const struct question *q)
{
	if (q->plane == BERM_PLANE_ICMP)
		return q->port == 8 << 8;
	return q->plane != BERM_PLANE_ICMPV6 || q->port == 128 << 8;
}

/* Does the event say what would be? Only where that is something else than what is. */
static bool audit_agrees(const struct proof *p, const struct berm_plan *plan,
			 const struct question *q, const struct answer *would)
{
	const struct berm_event *e = &p->dp->event;

	return e->would_action == would->action && e->would_reason == would->reason &&
	       e->would_rule == interpret_rule_id(plan, q->dir, would);
}

static void agree(struct proof *p, const struct berm_plan *plan, const struct question *q)
{
	struct answer want = evaluate(&p->w.model, q);
	uint32_t rule = interpret_rule_id(plan, q->dir, &want);
	struct verdict got = send_question(p, q);
	struct question candidate = *q;
	struct answer would;
	bool is_audited;
	char text[512];

	candidate.would = true;
	would = evaluate(&p->w.model, &candidate);
	is_audited = would.action != want.action;
	p->audited += is_audited;
	if (got.retval == ALLOWED && !has_session(q) && !is_audited)
		rule = 0; /* no event tells of it */
	p->cases++;
	p->denied += want.action != BERM_ACTION_ALLOW;
	p->answered += got.retval == REJECTED;
	if ((got.retval == ALLOWED) == (want.action == BERM_ACTION_ALLOW) &&
	    (!got.action || got.action == want.action) &&
	    (got.retval != REJECTED || want.action == BERM_ACTION_REJECT) &&
	    got.reason == want.reason && got.rule == rule &&
	    (is_audited ? got.action && audit_agrees(p, plan, q, &would)
			: !got.action || !p->dp->event.would_action))
		return;
	world_describe(q, text, sizeof(text));
	test_failed(__FILE__, __LINE__,
		    "BERM_SEED=%" PRIu64
		    " BERM_WORLDS=1: %s: %s, %s, rule %u; documents say %s, %s, rule %u '%s'",
		    p->seed, text, got.retval == ALLOWED ? "allowed" : "dropped",
		    datapath_reason(got.reason), got.rule,
		    want.action == BERM_ACTION_ALLOW ? "allowed" : "dropped",
		    datapath_reason(want.reason), rule, want.rule);
	test_stop();
}

/* What a generation leaves behind goes at once. */
static void come_to_rest(struct proof *p)
{
	struct berm_err err = { 0 };
	uint64_t ticket;

	while ((ticket = berm_apply_garbage(p->apply))) {
		berm_grace_period();
		ASSERT_OK(berm_apply_collect(p->apply, ticket, &err), &err);
	}
}

/* is_other_node: it has other addresses than before, which docs/updates.md does not promise to switch at once. */
static void enforce(struct proof *p, bool is_other_node)
{
	struct berm_apply_result done = { 0 };
	struct berm_plan *plan = NULL;
	struct berm_err err = { 0 };
	struct question q;

	ASSERT_OK(berm_compile(&p->w.model, &plan, NULL, &err), &err);
	ASSERT_OK(berm_apply(p->apply, plan, &done, &err), &err);
	EXPECT_STR_EQ(done.warning, "");
	p->writes += (unsigned int)done.writes;
	if (is_other_node)
		come_to_rest(p);
	for (int i = 0; i < PACKETS && p->w.model.endpoint_count; i++) {
		world_question(&p->w, &q);
		if (is_possible(&q) && berm_model_pod_of(&p->w.model, q.ep))
			agree(p, plan, &q);
	}
	ASSERT_OK(berm_apply(p->apply, plan, &done, &err), &err);
	EXPECT_EQ(done.writes, 0); /* the same again is nothing */
	berm_plan_free(plan);
}

static void one_world(struct proof *p, uint64_t seed)
{
	p->seed = seed;
	world_make(&p->w, seed);
	onnode_attach(p->dp, &p->w.model);
	enforce(p, true);
	for (int i = 0; i < EVENTS; i++) {
		world_change(&p->w);
		enforce(p, false);
	}
	onnode_detach(p->dp, &p->w.model);
	world_clear(&p->w);
}

TEST(proof, "the kernel says what the documents say: verdict, reason and rule of random packets")
{
	const char *given = getenv("BERM_WORLDS");
	unsigned int worlds = given ? (unsigned int)atoi(given) : 150;
	struct proof p = { 0 };
	struct berm_err err = { 0 };
	uint64_t first = world_seed();

	onnode_own_run();
	p.dp = datapath_load(NULL);
	ASSERT_OK(berm_apply_open(&p.dp->maps, &p.apply, &err), &err);
	for (unsigned int i = 0; i < worlds; i++)
		one_world(&p, first + i);
	printf("# %u packets, %u denied, %u of them answered, %u audited, %u map writes\n", p.cases,
	       p.denied, p.answered, p.audited, p.writes);
	if (worlds >= 50) {
		EXPECT_GT(p.cases, 100 * worlds);
		EXPECT_GT(p.denied, p.cases / 10);
		EXPECT_LT(p.denied, p.cases - p.cases / 10);
		EXPECT_GT(p.answered, p.cases / 100);
		EXPECT_GT(p.audited, p.cases / 200);
	}
	berm_apply_close(p.apply);
}
