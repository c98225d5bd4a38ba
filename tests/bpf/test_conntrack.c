/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_conntrack.c - thousands of random exchanges between two ends that keep to their sequence numbers, through the
 * programs and through the kernel's own connection tracking: after each segment both must have the connection in
 * the same class of states. BERM_SEED=n plays a run again, BERM_EXCHANGES=n plays more or fewer.
 */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include "conntrack.h"
#include "datapath.h"

#define EXCHANGES 1200
#define SERVICE	  80

static const char *const addr[2][2] = { { "10.0.0.2", "10.0.0.3" }, { "fd00::2", "fd00::3" } };

enum side { PEER, POD };

enum phase { ABSENT, OPENING, ESTABLISHED, HALF_CLOSED, CLOSING, CLOSED, PHASES };
static const char *const phase_name[] = { "absent",	 "opening", "established",
					  "half-closed", "closing", "closed" };

struct match {
	struct datapath *dp;
	struct conntrack ct;
	uint64_t seed;
	enum side opener;
	bool is_v6;
	uint16_t port;
	uint32_t next[2]; /* sequence numbers, by side */
	bool fin[2];	  /* sent, by side */
	uint32_t seen[PHASES], segments, reopened;
	char story[1024];
};

static uint32_t below(struct match *m, uint32_t n)
{
	m->seed ^= m->seed << 13;
	m->seed ^= m->seed >> 7;
	m->seed ^= m->seed << 17;
	return (uint32_t)(m->seed * 0x2545F4914F6CDD1Dull >> 33) % n;
}

/* ---- what both say ------------------------------------------------------------------------------------------ */

static enum phase phase_of_session(struct match *m)
{
	struct berm_session s = { 0 };
	bool opened_in = m->opener == PEER, fins;
	uint16_t local = opened_in ? SERVICE : m->port, peer = opened_in ? m->port : SERVICE;

	if (!session_find(m->dp, 1, addr[m->is_v6][PEER], local, peer, &s))
		return ABSENT;
	if (s.state & BERM_SESSION_RESET)
		return CLOSED;
	fins = s.state & BERM_SESSION_OPENER_FIN && s.state & BERM_SESSION_ANSWERER_FIN;
	if (fins)
		return CLOSING;
	if (s.state & (BERM_SESSION_OPENER_FIN | BERM_SESSION_ANSWERER_FIN))
		return HALF_CLOSED;
	return s.state & BERM_SESSION_ESTABLISHED ? ESTABLISHED : OPENING;
}

static struct conntrack_id id_of(const struct match *m)
{
	return (struct conntrack_id){ .opener = addr[m->is_v6][m->opener],
				      .answerer = addr[m->is_v6][!m->opener],
				      .opener_port = m->port,
				      .answerer_port = SERVICE };
}

static enum phase phase_of_conntrack(enum conntrack_tcp state)
{
	static const enum phase phase[] = {
		[CT_NONE] = ABSENT,
		[CT_SYN_SENT] = OPENING,
		[CT_SYN_RECV] = OPENING,
		[CT_SYN_SENT2] = OPENING,
		[CT_ESTABLISHED] = ESTABLISHED,
		[CT_FIN_WAIT] = HALF_CLOSED,
		[CT_CLOSE_WAIT] = HALF_CLOSED,
		[CT_LAST_ACK] = CLOSING,
		[CT_TIME_WAIT] = CLOSING,
		[CT_CLOSE] = CLOSED,
		[CT_UNKNOWN] = ABSENT,
	};

	return phase[state];
}

static void compare(struct match *m)
{
	struct conntrack_id id = id_of(m);
	enum conntrack_tcp state = conntrack_state(&m->ct, &id);
	enum phase theirs = phase_of_conntrack(state), ours = phase_of_session(m);

	m->seen[ours]++;
	m->segments++;
	if (ours == theirs ||
	    (ours == CLOSED && theirs == ABSENT)) /* it forgets what an RST ends early */
		return;
	test_failed(__FILE__, __LINE__, "the programs say %s, the kernel %s (%s), after%s",
		    phase_name[ours], phase_name[theirs], conntrack_name(state), m->story);
	test_stop();
}

/* ---- two ends -------------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void tell(struct match *m, const char *fmt, ...)
{
	size_t n = strlen(m->story);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m->story + n, sizeof(m->story) - n, fmt, ap);
	va_end(ap);
}

/* One segment, `back` bytes before what its sender would send next; through the router and through the programs. */
static void say(struct match *m, enum side side, uint8_t flags, uint16_t size, uint32_t back)
{
	bool opens = side == m->opener;
	struct packet p = { .src = addr[m->is_v6][side],
			    .dst = addr[m->is_v6][!side],
			    .dmac = CONNTRACK_MAC,
			    .sport = opens ? m->port : SERVICE,
			    .dport = opens ? SERVICE : m->port,
			    .flags = flags,
			    .seq = m->next[side] - back,
			    .ack = flags & TCP_ACK ? m->next[!side] : 0,
			    .payload_len = size };
	enum berm_dir dir = side == PEER ? BERM_INGRESS : BERM_EGRESS;
	char frame[PACKET_MAX];
	size_t len = packet_build(&p, frame);

	tell(m, " %s%s%s%s%s", opens ? ">" : "<", flags & TCP_SYN ? "S" : "",
	     flags & TCP_ACK ? "A" : "", flags & TCP_FIN ? "F" : "", flags & TCP_RST ? "R" : "");
	if (size)
		tell(m, "%u", size);
	if (back)
		tell(m, "-%u", back);
	if (!conntrack_cross(&m->ct, side, frame, len)) {
		test_failed(__FILE__, __LINE__, "a segment did not cross the router, after%s",
			    m->story);
		test_stop();
	}
	EXPECT_EQ(datapath_send_frame(m->dp, dir, 1, frame, len).retval, ALLOWED);
	if (back)
		return;
	m->next[side] += size + !!(flags & TCP_SYN) + !!(flags & TCP_FIN);
	m->fin[side] |= !!(flags & TCP_FIN);
}

static void say_and_compare(struct match *m, enum side side, uint8_t flags, uint16_t size,
			    uint32_t back)
{
	say(m, side, flags, size, back);
	compare(m);
}

/* Their SYNs cross. */
static void open_both(struct match *m)
{
	enum side o = m->opener, a = !m->opener;

	say_and_compare(m, a, TCP_SYN, 0, 0);
	say_and_compare(m, o, TCP_SYN | TCP_ACK, 0, 1);
	say_and_compare(m, a, TCP_SYN | TCP_ACK, 0, 1);
	say_and_compare(m, o, TCP_ACK, 0, 0);
	say_and_compare(m, a, TCP_ACK, 0, 0);
}

static void handshake(struct match *m)
{
	enum side o = m->opener, a = !m->opener;

	m->next[PEER] = below(m, UINT32_MAX);
	m->next[POD] = below(m, UINT32_MAX);
	m->fin[PEER] = m->fin[POD] = false;
	say_and_compare(m, o, TCP_SYN, 0, 0);
	if (!below(m, 8)) {
		open_both(m);
		return;
	}
	if (!below(m, 8))
		say_and_compare(m, o, TCP_SYN, 0, 1); /* again */
	if (!below(m, 10)) {			      /* refused */
		say_and_compare(m, a, TCP_RST | TCP_ACK, 0, 0);
		m->fin[PEER] = m->fin[POD] = true;
		return;
	}
	say_and_compare(m, a, TCP_SYN | TCP_ACK, 0, 0);
	if (!below(m, 8))
		say_and_compare(m, a, TCP_SYN | TCP_ACK, 0, 1);
	say_and_compare(m, o, TCP_ACK, (uint16_t)(below(m, 12) ? 0 : 1 + below(m, 1000)), 0);
}

/* Data, bare ACKs, keep-alives and segments that are sent again, of whoever has not ended yet. */
static void talk(struct match *m)
{
	for (uint32_t n = below(m, 6); n > 0; n--) {
		enum side side = below(m, 2) ? PEER : POD;
		uint16_t size = (uint16_t)(1 + below(m, 1000));

		if (!below(m, 4)) {
			say_and_compare(m, side, TCP_ACK, 0, 0);
		} else if (m->fin[side]) {
			continue;
		} else if (!below(m, 6)) {
			say_and_compare(m, side, TCP_ACK, 0, 1); /* are you there? */
		} else {
			say_and_compare(m, side, TCP_ACK | TCP_PSH, size, 0);
			if (!below(m, 5))
				say_and_compare(m, side, TCP_ACK | TCP_PSH, size, size);
			if (below(m, 2))
				say_and_compare(m, !side, TCP_ACK, 0, 0);
		}
	}
}

static void end(struct match *m, enum side side)
{
	say_and_compare(m, side, TCP_FIN | TCP_ACK, (uint16_t)(below(m, 3) ? 0 : 1 + below(m, 500)),
			0);
	if (below(m, 4))
		say_and_compare(m, !side, TCP_ACK, 0, 0);
}

/* An orderly end from one side and the other, or an RST from any. Is all said and acknowledged? */
static bool farewell(struct match *m)
{
	enum side first = below(m, 2) ? PEER : POD;

	if (!below(m, 5)) {
		/* The kernel believes an RST only where the last ACK left off, as RFC 5961 wants it. */
		say_and_compare(m, !first, TCP_ACK, 0, 0);
		say_and_compare(m, first, below(m, 2) ? TCP_RST | TCP_ACK : TCP_RST, 0, 0);
		return false;
	}
	end(m, first);
	if (!below(m, 6))
		return false; /* half-closed for ever */
	talk(m);
	end(m, !first);
	say_and_compare(m, first, TCP_ACK, 0, 0);
	return true;
}

/* In TIME-WAIT the same ports may begin anew. */
static void exchange(struct match *m)
{
	struct conntrack_id id;
	bool again = true;

	m->opener = below(m, 2) ? PEER : POD;
	m->is_v6 = m->ct.has_v6 && below(m, 2);
	m->port = (uint16_t)(1024 + below(m, 60000));
	m->story[0] = '\0';
	id = id_of(m);
	while (again) {
		handshake(m);
		if (m->fin[PEER])
			break; /* refused */
		talk(m);
		again = farewell(m) && below(m, 3) == 0;
		m->reopened += again;
	}
	conntrack_forget(&m->ct, &id);
	(void)datapath_sweep(m->dp, 1);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

TEST(random_exchanges,
     "random exchanges within their windows: states are those of the kernel's connection tracking [session.tcp_states]")
{
	struct match m = { .seed = number_of("BERM_SEED", (uint64_t)time(NULL) * 2654435761u) | 1 };
	uint64_t exchanges = number_of("BERM_EXCHANGES", EXCHANGES);

	printf("# BERM_SEED=%llu, %llu exchanges\n", (unsigned long long)m.seed,
	       (unsigned long long)exchanges);
	m.dp = datapath_load(&(struct datapath_opts){ .buckets = 4 });
	datapath_pod(m.dp, &(struct pod){ .ifindex = 1, .addr = { addr[0][POD], addr[1][POD] } });
	conntrack_start(&m.ct);
	for (uint64_t i = 0; i < exchanges; i++)
		exchange(&m);
	printf("# %u segments%s, ports used again %u times:", m.segments,
	       m.ct.has_v6 ? "" : ", IPv4 only", m.reopened);
	for (int i = OPENING; i < PHASES; i++)
		printf(" %s %u%s", phase_name[i], m.seen[i], i + 1 < PHASES ? "," : "\n");
	EXPECT_EQ(m.seen[ABSENT], 0);
	if (exchanges >= EXCHANGES)
		for (int i = OPENING; i < PHASES; i++)
			EXPECT_GT(m.seen[i], 50);
	EXPECT_BOOKS(m.dp);
}
