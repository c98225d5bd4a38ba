// SPDX-License-Identifier: Apache-2.0
/*
 * test_agree.c - what the explain build says of a packet is what the real one then does with it: random documents,
 * random packets, good and damaged ones, with the sessions that come of them. timeout: 600
 * BERM_SEED replays, BERM_PACKETS says how many.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>

#include "apply.h"
#include "cell.h"
#include "compile.h"
#include "datapath.h"
#include "explain.h"
#include "onnode.h"
#include "worlds.h"

#define PER_WORLD    2000
#define MANY	     1000000
#define EVERY_CHANGE 500 /* packets */
#define MIN_FRAME    64

struct agree {
	struct datapath *dp;
	struct berm_apply *apply;
	struct berm_explain *explain;
	struct world w;
	uint64_t seed;
	unsigned int asked, denied, answered, sessions, malformed, cells, flows;
	bool is_plain; /* the packet asks for what the question says, and nothing else is wrong with it */
};

/* ---- the world ------------------------------------------------------------------------------------------- */

static void enforce(struct agree *a)
{
	struct berm_apply_result done = { 0 };
	struct berm_plan *plan = NULL;
	struct berm_err err = { 0 };

	ASSERT_OK(berm_compile(&a->w.model, &plan, NULL, &err), &err);
	ASSERT_OK(berm_apply(a->apply, plan, &done, &err), &err);
	berm_plan_free(plan);
}

/* ---- packets ------------------------------------------------------------------------------------------------ */

static const struct berm_addr *address_of(const struct question *q)
{
	for (size_t i = 0; i < q->ep->addr_count; i++)
		if (berm_addr_is_v4(&q->ep->addr[i]) == berm_addr_is_v4(&q->peer))
			return &q->ep->addr[i];
	return NULL;
}

/* Of few ports, so that many ride on sessions. */
static void describe(struct agree *a, const struct question *q, struct packet *out)
{
	static const uint8_t flags[] = { TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK, TCP_FIN | TCP_ACK,
					 TCP_RST };
	static const uint8_t proto[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMP,
					 IPPROTO_ICMPV6 };

	out->proto = q->plane == BERM_PLANE_OTHER ? (uint8_t)q->port : proto[q->plane];
	out->sport = (uint16_t)(20000 + world_below(&a->w, 4));
	out->dport = q->port;
	a->is_plain = world_below(&a->w, 4) != 0;
	if (a->is_plain && world_below(&a->w, 2))
		out->sport = q->other_port;
	if (!a->is_plain) {
		out->sport = q->port; /* an answer */
		out->dport = (uint16_t)(20000 + world_below(&a->w, 4));
	}
	out->flags = flags[world_below(&a->w, ARRAY_SIZE(flags))];
	out->icmp_type = (uint8_t)(q->port >> 8);
	out->icmp_code = (uint8_t)q->port;
	out->icmp_id = (uint16_t)world_below(&a->w, 4);
	out->payload_len = (uint16_t)world_below(&a->w, 64);
	if (world_below(&a->w, 16) == 0)
		out->vlan_inner = 7;
}

static void damage(struct agree *a, uint8_t *frame, size_t len)
{
	if (world_below(&a->w, 4))
		return;
	a->is_plain = false;
	for (uint32_t n = world_below(&a->w, 3) + 1; n; n--)
		frame[12 + world_below(&a->w, (uint32_t)(len < 60 ? len : 60) - 12)] ^=
			(uint8_t)(1u << world_below(&a->w, 8));
}

static size_t make_frame(struct agree *a, const struct question *q, uint8_t *frame)
{
	char own[BERM_ADDR_STRLEN], peer[BERM_ADDR_STRLEN];
	struct packet packet = { 0 };
	size_t len;

	berm_addr_format(address_of(q), own);
	berm_addr_format(&q->peer, peer);
	packet.src = q->dir == BERM_INGRESS ? peer : own;
	packet.dst = q->dir == BERM_INGRESS ? own : peer;
	describe(a, q, &packet);
	len = packet_build(&packet, frame);
	while (len < MIN_FRAME) /* the kernel's test run wants that much */
		frame[len++] = 0;
	damage(a, frame, len);
	return len;
}

/* ---- agreement ---------------------------------------------------------------------------------------------- */

/* The cell that people are shown of a new flow is the one that decided. */
static void check_cell(struct agree *a, const struct question *q, struct berm_explain_question ask)
{
	uint32_t at = (uint32_t)q->plane << 16 | q->port, set;
	struct berm_explain_verdict said;
	struct berm_cell cell;
	struct berm_err err = { 0 };

	ask.as_new =
		true; /* a session that is judged again may have been opened from the other side */
	ASSERT_OK(berm_explain_ask(a->explain, &ask, &said, &err), &err);
	a->flows += !said.cls && said.rule >= BERM_RULE_FIRST;
	if (!a->is_plain || !berm_cell_decides(said.reason) || !said.cls)
		return;
	set = a->dp->maps.endpoints[q->ep->slot].set[q->dir];
	ASSERT_OK(berm_cell_find(&a->dp->maps, set, said.cls, at, &cell, &err), &err);
	EXPECT_EQ(cell.rule, said.rule);
	a->cells++;
}

static void ask_then_send(struct agree *a, const struct question *q)
{
	_Alignas(8) uint8_t frame[PACKET_MAX];
	struct berm_explain_question ask = {
		.dir = (int)q->dir,
		.ifindex = q->ep->ifindex,
		.in_ifindex = q->dir == BERM_INGRESS ? a->dp->ingress_ifindex : q->ep->ifindex,
		.from_node = true, /* a test run always has a socket */
		.frame = frame,
	};
	struct berm_explain_verdict said;
	struct berm_err err = { 0 };
	struct verdict got;

	ask.size = make_frame(a, q, frame);
	ASSERT_OK(berm_explain_ask(a->explain, &ask, &said, &err), &err);
	check_cell(a, q, ask);
	got = datapath_send_frame(a->dp, q->dir, q->ep->ifindex, frame, ask.size);
	a->asked++;
	a->denied += got.retval != ALLOWED;
	a->sessions += got.reason == BERM_REASON_SESSION;
	a->malformed += got.reason == BERM_REASON_MALFORMED;
	a->answered += got.retval == REJECTED;
	if (said.is_allowed == (got.retval == ALLOWED) &&
	    (!got.action || said.action == got.action) &&
	    (got.retval != REJECTED || said.action == BERM_ACTION_REJECT) &&
	    said.reason == got.reason && (!got.rule || said.rule == got.rule))
		return;
	test_failed(__FILE__, __LINE__,
		    "BERM_SEED=%" PRIu64
		    ": packet %u: explained as %s, %s, rule %u; %s, %s, rule %u",
		    a->seed, a->asked, said.is_allowed ? "allowed" : "dropped",
		    datapath_reason(said.reason), said.rule,
		    got.retval == ALLOWED ? "allowed" : "dropped", datapath_reason(got.reason),
		    got.rule);
	test_stop();
}

static void one_world(struct agree *a, uint64_t seed)
{
	a->seed = seed;
	world_make(&a->w, seed);
	onnode_attach(a->dp, &a->w.model);
	for (int i = 0; i < PER_WORLD && a->w.model.endpoint_count; i++) {
		struct question q;

		if (i % EVERY_CHANGE == 0) {
			if (i)
				world_change(&a->w);
			enforce(a);
		}
		world_question(&a->w, &q);
		if (address_of(&q) && berm_addr_is_v4(&q.peer) != (q.plane == BERM_PLANE_ICMPV6))
			ask_then_send(a, &q);
	}
	onnode_detach(a->dp, &a->w.model);
	world_clear(&a->w);
}

TEST(explain_agrees,
     "a million packets, damaged ones too: explained and enforced alike, with the same rule [explain.agrees]")
{
	const char *given = getenv("BERM_PACKETS");
	unsigned int packets = given ? (unsigned int)atoi(given) : MANY;
	struct agree a = { 0 };
	struct berm_err err = { 0 };
	uint64_t seed = world_seed();

	onnode_own_run();
	a.dp = datapath_load(NULL);
	ASSERT_OK(berm_apply_open(&a.dp->maps, &a.apply, &err), &err);
	ASSERT_OK(berm_explain_open(&a.dp->maps, &(struct berm_session_opts){ 0 }, &a.explain,
				    &err),
		  &err);
	while (a.asked < packets)
		one_world(&a, seed++);
	printf("# %u packets: %u denied, %u on sessions, %u malformed, %u cells, %u flows\n",
	       a.asked, a.denied, a.sessions, a.malformed, a.cells, a.flows);
	EXPECT_GT(a.cells, a.asked / 10);
	EXPECT_GT(a.flows, a.asked / 1000);
	EXPECT_GT(a.denied, a.asked / 10);
	EXPECT_GT(a.answered, a.asked / 1000);
	EXPECT_GT(a.sessions, a.asked / 100);
	EXPECT_GT(a.malformed, a.asked / 100);
	berm_explain_close(a.explain);
	berm_apply_close(a.apply);
}
