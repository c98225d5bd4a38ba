/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_tcp.c - the TCP states of sessions. Thousands of random exchanges, legal and not, through the real
 * programs and through a model of two ends written from RFC 9293 (tests/lib/connection.c); after each packet
 * both must say the same of verdict, session, state, timeout and count of illegal segments. BERM_SEED=n plays
 * a run again, BERM_EXCHANGES=n plays more or fewer.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include "connection.h"
#include "datapath.h"
#include "jiffies.h"

#define FIN TCP_FIN
#define SYN TCP_SYN
#define RST TCP_RST
#define ACK TCP_ACK
#define PSH TCP_PSH

#define POD_PORT  80
#define EXCHANGES 1500
#define LONGEST	  24

static const char *const pod_addr[] = { "10.0.0.3", "fd00::3" };
static const char *const peer_addr[] = { "10.0.0.2", "fd00::2" };

struct stage {
	struct datapath *dp;
	struct wall wall;
	struct connection c;
	uint32_t slot, set[2][2]; /* [way][allowed] */
	uint64_t seed, illegal;
	uint16_t port; /* the peer's */
	bool is_v6;
	uint32_t visited[END_STATE_COUNT][END_STATE_COUNT]; /* [opener][answerer] */
	uint32_t passed[PASSED_BY_SESSION + 1], patience[PATIENCE_RESET + 1];
	char story[2048]; /* of this exchange so far, for who reads a failure */
};

static const enum berm_dir dir_of[] = { [INTO_POD] = BERM_INGRESS, [OUT_OF_POD] = BERM_EGRESS };

static uint32_t below(struct stage *s, uint32_t n)
{
	s->seed ^= s->seed << 13;
	s->seed ^= s->seed >> 7;
	s->seed ^= s->seed << 17;
	return (uint32_t)(s->seed * 0x2545F4914F6CDD1Dull >> 33) % n;
}

__attribute__((format(printf, 2, 3))) static void tell(struct stage *s, const char *fmt, ...)
{
	size_t n = strlen(s->story);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->story + n, sizeof(s->story) - n, fmt, ap);
	va_end(ap);
}

/* ---- the stage ---------------------------------------------------------------------------------------------- */

static void stage_set(struct stage *s, struct datapath *dp)
{
	static const struct rule allow = { 0, ANY_PORT, 2001, BERM_ACTION_ALLOW };

	*s = (struct stage){ .dp = dp, .wall.allows = { true, true } };
	s->slot = datapath_pod(dp,
			       &(struct pod){ .ifindex = 1, .addr = { pod_addr[0], pod_addr[1] } });
	for (int way = 0; way < 2; way++) {
		s->set[way][0] = datapath_matrix(dp, 0, NULL, 0);
		s->set[way][1] = datapath_matrix(dp, 0, &allow, 1);
		datapath_set(dp, s->slot, dir_of[way], s->set[way][1]);
	}
}

static void wall_change(struct stage *s, enum connection_way way, bool allows)
{
	s->wall.allows[way] = allows;
	s->c.is_doubtful = s->c.is_known;
	datapath_set(s->dp, s->slot, dir_of[way], s->set[way][allows]);
	tell(s, " [%s %s]", way == INTO_POD ? "in" : "out", allows ? "allowed" : "denied");
}

static void adoption_change(struct stage *s, bool may)
{
	struct berm_err err = { 0 };
	uint32_t now, hz;

	ASSERT_OK(berm_jiffies_read(&now, &hz, &err), &err);
	s->wall.may_adopt_answers = may;
	s->dp->maps.endpoints[s->slot].adopt_until = may ? (now + 120 * hz) | 1 : 0;
}

static struct packet segment(const struct stage *s, enum connection_way way, uint8_t flags)
{
	const char *pod = pod_addr[s->is_v6], *peer = peer_addr[s->is_v6];
	bool in = way == INTO_POD;

	return (struct packet){ .src = in ? peer : pod,
				.dst = in ? pod : peer,
				.sport = in ? s->port : POD_PORT,
				.dport = in ? POD_PORT : s->port,
				.flags = flags ? flags : PACKET_NO_FLAGS };
}

/* ---- the table ------------------------------------------------------------------------------------------------ */

struct entry {
	bool is_there;
	struct berm_session session;
	uint32_t deadline, bucket, way;
};

static struct entry entry_read(const struct stage *s, struct table *t)
{
	struct entry e = { 0 };

	for (uint32_t i = 0; i < t->buckets * BERM_WAYS; i++) {
		const struct berm_bucket *b = &t->bucket[i / BERM_WAYS];
		uint32_t way = i % BERM_WAYS;

		if (!b->tag[way] || b->way[way].peer_port != htons(s->port))
			continue;
		EXPECT_FALSE(e.is_there); /* never twice */
		EXPECT_EQ(b->state[way], b->way[way].state);
		e = (struct entry){ true, b->way[way], b->deadline[way], i / BERM_WAYS, way };
	}
	return e;
}

/* Its time is over, and its last packet long ago. */
static void expire(struct stage *s)
{
	struct table t = table_read(s->dp);
	struct entry e = entry_read(s, &t);
	struct berm_bucket *b = &t.bucket[e.bucket];
	struct berm_err err = { 0 };
	uint32_t now, hz;

	ASSERT_TRUE(e.is_there);
	ASSERT_OK(berm_jiffies_read(&now, &hz, &err), &err);
	b->deadline[e.way] = now - 1;
	b->way[e.way].seen -= 100;
	ASSERT_EQ(bpf_map_update_elem(s->dp->maps.fd[BERM_MAP_sessions], &e.bucket, b, BPF_EXIST),
		  0);
	table_free(&t);
	s->c.is_expired = true;
	tell(s, " [expired]");
}

/* ---- both opinions, side by side ------------------------------------------------------------------------------------ */

static uint32_t progress_of(const struct connection *c)
{
	return BERM_SESSION_OPEN | (c->answerer != END_CLOSED ? BERM_SESSION_ANSWERED : 0) |
	       (c->is_proven ? BERM_SESSION_ESTABLISHED : 0) |
	       (c->is_reset ? BERM_SESSION_RESET : 0) |
	       (connection_has_fin(c->opener) ? BERM_SESSION_OPENER_FIN : 0) |
	       (connection_has_fin(c->answerer) ? BERM_SESSION_ANSWERER_FIN : 0) |
	       (connection_fin_is_acked(c->opener) ? BERM_SESSION_OPENER_ACKED : 0) |
	       (connection_fin_is_acked(c->answerer) ? BERM_SESSION_ANSWERER_ACKED : 0);
}

static uint32_t origin_of(const struct connection *c)
{
	return (c->is_adopted ? BERM_SESSION_ADOPTED : 0) |
	       (c->opened == OUT_OF_POD ? BERM_SESSION_FROM_POD : 0);
}

static const int64_t seconds_of[] = { [PATIENCE_HALF_OPEN] = 30,
				      [PATIENCE_ESTABLISHED] = 10800,
				      [PATIENCE_HALF_CLOSED] = 3600,
				      [PATIENCE_CLOSING] = 120,
				      [PATIENCE_RESET] = 10 };

/* An exchange takes no time to speak of, so what is left is nearly all of it. */
static bool is_under(const struct stage *s, uint32_t deadline, enum patience patience)
{
	int64_t full = seconds_of[patience] * s->dp->hz, left;
	struct berm_err err = { 0 };
	uint32_t now, hz;

	ASSERT_OK(berm_jiffies_read(&now, &hz, &err), &err);
	left = (int32_t)(deadline - now);
	return left <= full && left > full - 9 * (int64_t)s->dp->hz;
}

static void disagree(const struct stage *s, const char *what, long long program, long long model)
{
	test_failed(__FILE__, __LINE__,
		    "%s: the programs say %#llx, the model %#llx (%s, %s), after%s", what, program,
		    model, end_state_name(s->c.opener), end_state_name(s->c.answerer), s->story);
	test_stop();
}

static void compare_entry(struct stage *s)
{
	struct table t = table_read(s->dp);
	struct entry e = entry_read(s, &t);
	const struct connection *c = &s->c;

	table_free(&t);
	if (e.is_there != c->is_known)
		disagree(s, "is there a session", e.is_there, c->is_known);
	if (!c->is_known || c->is_expired)
		return;
	if (e.session.state != progress_of(c))
		disagree(s, "progress", e.session.state, progress_of(c));
	if ((e.session.slot & BERM_SESSION_ORIGIN & ~BERM_SESSION_SPILLED) != (int)origin_of(c))
		disagree(s, "origin", e.session.slot, origin_of(c));
	if (!is_under(s, e.deadline, c->patience))
		disagree(s, "deadline", e.deadline, c->patience);
	s->visited[c->opener][c->answerer]++;
	s->patience[c->patience]++;
}

static enum passage passage_of(struct verdict v)
{
	if (v.retval == DROPPED)
		return DROPPED_BY_POLICY;
	return v.reason == BERM_REASON_SESSION ? PASSED_BY_SESSION : PASSED_BY_POLICY;
}

static void exchange_send(struct stage *s, enum connection_way way, uint8_t flags)
{
	struct packet p = segment(s, way, flags);
	struct verdict v = datapath_send(s->dp, dir_of[way], 0, &p);
	struct opinion o;
	uint64_t illegal = datapath_stat(s->dp, BERM_STAT_TCP_ILLEGAL);

	tell(s, " %s%s%s%s%s%s", way == INTO_POD ? ">" : "<", flags & SYN ? "S" : "",
	     flags & ACK ? "A" : "", flags & FIN ? "F" : "", flags & RST ? "R" : "",
	     flags & PSH ? "P" : "");
	o = connection_sees(&s->c, &s->wall, way, flags);
	if (passage_of(v) != o.passage)
		disagree(s, "passage", passage_of(v), o.passage);
	if (illegal - s->illegal != o.is_illegal)
		disagree(s, "illegal segments", (long long)(illegal - s->illegal), o.is_illegal);
	s->illegal = illegal;
	s->passed[o.passage]++;
	compare_entry(s);
}

/* ---- random exchanges ------------------------------------------------------------------------------------------------ */

static uint8_t any_flags(struct stage *s)
{
	static const uint8_t likely[] = {
		ACK,	   ACK, ACK,	   ACK | PSH, SYN, SYN | ACK, SYN | ACK,       FIN | ACK,
		FIN | ACK, RST, RST | ACK, 0,	      FIN, PSH,	      FIN | ACK | PSH, ACK
	};

	return likely[below(s, ARRAY_SIZE(likely))];
}

static void disturb(struct stage *s)
{
	switch (below(s, 40)) {
	case 0:
		wall_change(s, below(s, 2) ? INTO_POD : OUT_OF_POD, below(s, 3));
		break;
	case 1:
		berm_epoch_bump(&s->dp->maps, s->slot);
		s->c.is_doubtful = s->c.is_known;
		tell(s, " [bump]");
		break;
	case 2:
		if (s->c.is_known && !s->c.is_expired)
			expire(s);
		break;
	default:
		break;
	}
}

/* Half of them begin as connections do, or they would hardly ever get far. */
static void exchange_begin(struct stage *s)
{
	enum connection_way way = below(s, 2) ? INTO_POD : OUT_OF_POD;

	s->c = (struct connection){ 0 };
	s->story[0] = '\0';
	s->port = (uint16_t)(1024 + below(s, 60000));
	s->is_v6 = below(s, 2);
	adoption_change(s, below(s, 2));
	for (int w = 0; w < 2; w++)
		if (s->wall.allows[w] != !!below(s, 4))
			wall_change(s, w, !s->wall.allows[w]);
	if (below(s, 2))
		return;
	exchange_send(s, way, SYN);
	if (below(s, 4)) {
		exchange_send(s, !way, SYN | ACK);
		exchange_send(s, way, ACK);
	}
}

static void exchange_play(struct stage *s)
{
	uint32_t length = below(s, LONGEST);

	exchange_begin(s);
	for (uint32_t i = 0; i < length; i++) {
		disturb(s);
		exchange_send(s, below(s, 2) ? INTO_POD : OUT_OF_POD, any_flags(s));
	}
	(void)datapath_sweep(s->dp, 1);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static void season(struct stage *s)
{
	uint64_t seed = number_of("BERM_SEED", (uint64_t)time(NULL) * 2654435761u);
	uint64_t exchanges = number_of("BERM_EXCHANGES", EXCHANGES);

	printf("# BERM_SEED=%llu, %llu exchanges\n", (unsigned long long)seed,
	       (unsigned long long)exchanges);
	s->seed = seed | 1;
	for (uint64_t i = 0; i < exchanges; i++)
		exchange_play(s);
	EXPECT_BOOKS(s->dp);
	printf("# %u packets by session, %u by policy, %u dropped, %llu illegal\n",
	       s->passed[PASSED_BY_SESSION], s->passed[PASSED_BY_POLICY],
	       s->passed[DROPPED_BY_POLICY], (unsigned long long)s->illegal);
	if (exchanges < EXCHANGES)
		return;
	for (int i = 0; i <= PATIENCE_RESET; i++)
		EXPECT_GE(s->patience[i], 50);
	for (int i = END_SYN_SENT; i < END_STATE_COUNT; i++) { /* each state of RFC 9293 was met */
		uint32_t times = 0;

		for (int j = 0; j < END_STATE_COUNT; j++)
			times += s->visited[i][j] + s->visited[j][i];
		printf("# %-12s %u\n", end_state_name(i), times);
		/* A FIN that carries an ACK may acknowledge the other's: beside the wire nothing tells CLOSING
		 * from LAST-ACK. */
		if (i != END_CLOSING)
			EXPECT_GE(times, 20);
	}
}

TEST(random_exchanges,
     "random exchanges: programs and model agree on verdict, session, state, timeout, illegal ones [session.tcp_states]")
{
	struct stage s;

	stage_set(&s, datapath_load(&(struct datapath_opts){ .buckets = 4 }));
	season(&s);
}

TEST(random_exchanges_strict,
     "the same where a session begins with a SYN or not at all [session.tcp_states] [session.ack_tunnel]")
{
	struct stage s;

	stage_set(&s, datapath_load(&(struct datapath_opts){ .buckets = 4, .strict_tcp = true }));
	s.wall.strict = true;
	season(&s);
}

/* ---- what is worth reading ----------------------------------------------------------------------------------------- */

struct step {
	enum connection_way way;
	uint8_t flags;
	uint32_t progress; /* after it, without OPEN; 0 = no session */
	enum patience patience;
};

#define ANSWERED    BERM_SESSION_ANSWERED
#define PROVEN	    (ANSWERED | BERM_SESSION_ESTABLISHED)
#define OUR_FIN	    BERM_SESSION_OPENER_FIN /* the peer opens in all of these */
#define THEIR_FIN   BERM_SESSION_ANSWERER_FIN
#define OUR_ACKED   BERM_SESSION_OPENER_ACKED
#define THEIR_ACKED BERM_SESSION_ANSWERER_ACKED
#define IS_RESET    BERM_SESSION_RESET
#define JUST_OPEN   BERM_SESSION_OPEN
#define CLOSED_BOTH (PROVEN | OUR_FIN | OUR_ACKED | THEIR_FIN)

static void scene_play(const struct step *step, uint32_t count, uint64_t illegal)
{
	struct stage s;

	stage_set(&s, datapath_load(&(struct datapath_opts){ .buckets = 4 }));
	s.port = 4000;
	for (uint32_t i = 0; i < count; i++) {
		struct table t;
		struct entry e;

		exchange_send(&s, step[i].way, step[i].flags);
		t = table_read(s.dp);
		e = entry_read(&s, &t);
		table_free(&t);
		if (e.session.state != (step[i].progress | BERM_SESSION_OPEN) ||
		    !is_under(&s, e.deadline, step[i].patience))
			test_failed(__FILE__, __LINE__, "step %u: state %#x, want %#x; after%s",
				    i + 1, e.session.state, step[i].progress | BERM_SESSION_OPEN,
				    s.story);
	}
	EXPECT_EQ(s.illegal, illegal);
	EXPECT_BOOKS(s.dp);
}
#define SCENE(illegal, ...)                                                                        \
	do {                                                                                       \
		static const struct step steps_[] = { __VA_ARGS__ };                               \
		scene_play(steps_, ARRAY_SIZE(steps_), illegal);                                   \
	} while (0)

#define HANDSHAKE                                                                                  \
	{ INTO_POD, SYN, JUST_OPEN, PATIENCE_HALF_OPEN },                                          \
		{ OUT_OF_POD, SYN | ACK, ANSWERED, PATIENCE_HALF_OPEN },                           \
	{                                                                                          \
		INTO_POD, ACK, PROVEN, PATIENCE_ESTABLISHED                                        \
	}

TEST(half_close,
     "one side has ended, the other goes on: an hour of silence is allowed [session.tcp_states]")
{
	SCENE(0, HANDSHAKE, { INTO_POD, FIN | ACK, PROVEN | OUR_FIN, PATIENCE_HALF_CLOSED },
	      { OUT_OF_POD, ACK, PROVEN | OUR_FIN | OUR_ACKED, PATIENCE_HALF_CLOSED },
	      { OUT_OF_POD, ACK | PSH, PROVEN | OUR_FIN | OUR_ACKED, PATIENCE_HALF_CLOSED },
	      { INTO_POD, ACK, PROVEN | OUR_FIN | OUR_ACKED, PATIENCE_HALF_CLOSED },
	      { INTO_POD, SYN, PROVEN | OUR_FIN | OUR_ACKED,
		PATIENCE_HALF_CLOSED }, /* challenged */
	      { OUT_OF_POD, FIN | ACK, CLOSED_BOTH, PATIENCE_CLOSING },
	      { INTO_POD, ACK, CLOSED_BOTH | THEIR_ACKED, PATIENCE_CLOSING },
	      { OUT_OF_POD, FIN | ACK, CLOSED_BOTH | THEIR_ACKED, PATIENCE_CLOSING });
}

TEST(answerer_closes_first, "the side that was asked ends first [session.tcp_states]")
{
	SCENE(0, HANDSHAKE, { OUT_OF_POD, FIN | ACK, PROVEN | THEIR_FIN, PATIENCE_HALF_CLOSED },
	      { INTO_POD, FIN | ACK, PROVEN | THEIR_FIN | THEIR_ACKED | OUR_FIN, PATIENCE_CLOSING },
	      { OUT_OF_POD, ACK, PROVEN | THEIR_FIN | THEIR_ACKED | OUR_FIN | OUR_ACKED,
		PATIENCE_CLOSING });
}

TEST(simultaneous_open,
     "both open at once: one session, and nothing of it is illegal [session.tcp_states]")
{
	SCENE(0, { INTO_POD, SYN, JUST_OPEN, PATIENCE_HALF_OPEN },
	      { OUT_OF_POD, SYN, ANSWERED, PATIENCE_HALF_OPEN },
	      { INTO_POD, SYN | ACK, ANSWERED, PATIENCE_HALF_OPEN },
	      { OUT_OF_POD, SYN | ACK, ANSWERED, PATIENCE_HALF_OPEN },
	      { INTO_POD, ACK, PROVEN, PATIENCE_ESTABLISHED },
	      { OUT_OF_POD, ACK, PROVEN, PATIENCE_ESTABLISHED });
}

TEST(reset,
     "an RST shortens a session to seconds, what follows from either side restores it [session.rst_fin_reuse]")
{
	SCENE(0, HANDSHAKE, { OUT_OF_POD, RST, PROVEN | IS_RESET, PATIENCE_RESET },
	      { OUT_OF_POD, RST | ACK, PROVEN | IS_RESET, PATIENCE_RESET },
	      { INTO_POD, ACK, PROVEN, PATIENCE_ESTABLISHED },
	      { INTO_POD, RST, PROVEN | IS_RESET, PATIENCE_RESET },
	      { OUT_OF_POD, ACK | PSH, PROVEN, PATIENCE_ESTABLISHED },
	      { INTO_POD, RST, PROVEN | IS_RESET, PATIENCE_RESET },
	      { INTO_POD, SYN, JUST_OPEN, PATIENCE_HALF_OPEN }); /* and a SYN begins anew */
}

TEST(reset_and_syn_forged,
     "a forged RST and a forged SYN do not end a connection whose ends go on [session.rst_fin_reuse]")
{
	SCENE(1, HANDSHAKE, { INTO_POD, RST, PROVEN | IS_RESET, PATIENCE_RESET },
	      { INTO_POD, SYN, JUST_OPEN, PATIENCE_HALF_OPEN },
	      { INTO_POD, ACK | PSH, JUST_OPEN,
		PATIENCE_HALF_OPEN }, /* it looks illegal, and passes */
	      { OUT_OF_POD, ACK, ANSWERED, PATIENCE_HALF_OPEN },
	      { INTO_POD, ACK | PSH, PROVEN, PATIENCE_ESTABLISHED });
}

TEST(refused,
     "a SYN that is answered by RST leaves ten seconds; without ACK it is no answer [session.tcp_states]")
{
	SCENE(1, { INTO_POD, SYN, JUST_OPEN, PATIENCE_HALF_OPEN },
	      { OUT_OF_POD, RST, JUST_OPEN, PATIENCE_HALF_OPEN },
	      { OUT_OF_POD, RST | ACK, JUST_OPEN | IS_RESET, PATIENCE_RESET },
	      { INTO_POD, SYN, JUST_OPEN, PATIENCE_HALF_OPEN },
	      { OUT_OF_POD, SYN | ACK, ANSWERED, PATIENCE_HALF_OPEN });
}

TEST(no_progress, "illegal segments pass, are counted and move nothing [session.tcp_states]")
{
	SCENE(8, { INTO_POD, SYN, JUST_OPEN, PATIENCE_HALF_OPEN },
	      { INTO_POD, ACK, JUST_OPEN, PATIENCE_HALF_OPEN },
	      { INTO_POD, FIN | ACK, JUST_OPEN, PATIENCE_HALF_OPEN },
	      { INTO_POD, SYN | ACK, JUST_OPEN, PATIENCE_HALF_OPEN },
	      { OUT_OF_POD, FIN | ACK, JUST_OPEN, PATIENCE_HALF_OPEN },
	      { OUT_OF_POD, FIN, JUST_OPEN, PATIENCE_HALF_OPEN },
	      { OUT_OF_POD, SYN | ACK, ANSWERED, PATIENCE_HALF_OPEN },
	      { INTO_POD, ACK, PROVEN, PATIENCE_ESTABLISHED },
	      { INTO_POD, FIN, PROVEN, PATIENCE_ESTABLISHED }, /* an end without ACK is none */
	      { INTO_POD, PSH, PROVEN, PATIENCE_ESTABLISHED },
	      { INTO_POD, SYN | ACK, PROVEN, PATIENCE_ESTABLISHED });
}

TEST(ports_again,
     "in TIME-WAIT either side may begin anew with the same ports [session.rst_fin_reuse] [session.port_reuse]")
{
	SCENE(0, HANDSHAKE, { INTO_POD, FIN | ACK, PROVEN | OUR_FIN, PATIENCE_HALF_CLOSED },
	      { OUT_OF_POD, FIN | ACK, CLOSED_BOTH, PATIENCE_CLOSING },
	      { INTO_POD, ACK, CLOSED_BOTH | THEIR_ACKED, PATIENCE_CLOSING }, HANDSHAKE,
	      { OUT_OF_POD, FIN | ACK, PROVEN | THEIR_FIN, PATIENCE_HALF_CLOSED },
	      { INTO_POD, FIN | ACK, PROVEN | THEIR_FIN | THEIR_ACKED | OUR_FIN, PATIENCE_CLOSING },
	      { OUT_OF_POD, SYN, JUST_OPEN, PATIENCE_HALF_OPEN },
	      { INTO_POD, SYN | ACK, ANSWERED, PATIENCE_HALF_OPEN },
	      { OUT_OF_POD, ACK, PROVEN, PATIENCE_ESTABLISHED });
}
