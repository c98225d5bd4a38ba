/* SPDX-License-Identifier: Apache-2.0 */
/* test_payload.c - what sessions are found to carry, and when: packets through the programs with cfg_apps. */
#include <arpa/inet.h>
#include <string.h>

#include "datapath.h"
#include "generator.h"
#include "names.h"

#define WEB  "10.0.0.2"
#define DB   "10.0.0.3"
#define WEB6 "fd00::2"
#define DB6  "fd00::3"

#define HELLO	"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x5a\xa5\x01\x02"
#define REQUEST "GET /index.html HTTP/1.1\r\nHost: shop.example\r\n\r\n"
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define BANNER	"SSH-2.0-OpenSSH_9.2\r\n"
#define QUERY                                                                                      \
	"\x12\x34\x01\x20\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07"                              \
	"example\x00\x00\x01\x00\x01"

struct line { /* of a story: who says what */
	bool is_answer;
	const char *data;
	uint16_t len;
	unsigned int app; /* afterwards; below BERM_APP_UNKNOWN: not known */
};

#define ASKS(text, app)                                                                            \
	{                                                                                          \
		false, text, sizeof(text) - 1, app                                                 \
	}
#define ANSWERS(text, app)                                                                         \
	{                                                                                          \
		true, text, sizeof(text) - 1, app                                                  \
	}

static struct datapath *wall(bool apps, bool is_v6)
{
	struct datapath *dp = datapath_load(&(struct datapath_opts){ .apps = apps });
	uint32_t db = datapath_pod(dp, &(struct pod){ .ifindex = 1, .addr = { is_v6 ? DB6 : DB } });

	datapath_policy(dp, db, BERM_INGRESS,
			(struct rule[]){ { 0, ANY_PORT, 2001, BERM_ACTION_ALLOW } }, 1);
	return dp;
}

static struct packet packet_of(bool is_v6, bool is_answer, uint16_t sport)
{
	struct packet p = { .src = is_v6 ? WEB6 : WEB,
			    .dst = is_v6 ? DB6 : DB,
			    .sport = sport,
			    .dport = 7000,
			    .flags = TCP_ACK };

	if (is_answer) {
		p.src = is_v6 ? DB6 : DB;
		p.dst = is_v6 ? WEB6 : WEB;
		p.sport = 7000;
		p.dport = sport;
	}
	return p;
}

static struct berm_session session_of(struct datapath *dp, bool is_v6, uint16_t sport)
{
	struct berm_session s = { 0 };

	ASSERT_TRUE(session_find(dp, 1, is_v6 ? WEB6 : WEB, 7000, sport, &s));
	EXPECT_EQ(s.rule & BERM_RULE_ID, 2001);
	return s;
}

static unsigned int app_of(struct datapath *dp, bool is_v6, uint16_t sport)
{
	struct berm_session s = session_of(dp, is_v6, sport);

	return BERM_APP_OF(s.rule);
}

static void send_packet(struct datapath *dp, const struct packet *p, bool is_answer)
{
	struct verdict v = datapath_send(dp, is_answer ? BERM_EGRESS : BERM_INGRESS, 0, p);

	EXPECT_EQ(v.retval, ALLOWED);
}

static void open_stream(struct datapath *dp, bool is_v6, uint16_t sport)
{
	struct packet p = packet_of(is_v6, false, sport), answer = packet_of(is_v6, true, sport);

	p.flags = TCP_SYN;
	answer.flags = TCP_SYN | TCP_ACK;
	send_packet(dp, &p, false);
	send_packet(dp, &answer, true);
	p.flags = TCP_ACK;
	send_packet(dp, &p, false);
}

/* Plays the lines in both families; an event comes with the one that tells, and with no other. */
static void play(const struct line *line, size_t count)
{
	for (int is_v6 = 0; is_v6 < 2; is_v6++) {
		struct datapath *dp = wall(true, is_v6);
		unsigned int known = 0;

		open_stream(dp, is_v6, 4000);
		EXPECT_LT(app_of(dp, is_v6, 4000), BERM_APP_UNKNOWN);
		for (size_t i = 0; i < count; i++) {
			struct packet p = packet_of(is_v6, line[i].is_answer, 4000);
			uint32_t events = dp->events;
			unsigned int app;

			p.payload = line[i].data;
			p.payload_len = line[i].len;
			send_packet(dp, &p, line[i].is_answer);
			app = app_of(dp, is_v6, 4000);
			if (line[i].app)
				EXPECT_EQ(app, line[i].app);
			else
				EXPECT_LT(app, BERM_APP_UNKNOWN);
			EXPECT_EQ(dp->events - events, line[i].app && !known);
			if (dp->events > events) {
				EXPECT_EQ(dp->event.app, app);
				EXPECT_EQ(dp->event.rule, 2001);
				EXPECT_EQ(dp->event.slot, 1);
				EXPECT_EQ(dp->event.epoch, dp->maps.node->epoch[1]);
				EXPECT_EQ(dp->event.is_reply, line[i].is_answer);
			}
			known = line[i].app;
		}
		datapath_free(dp);
	}
}
#define PLAY(...)                                                                                  \
	play((struct line[]){ __VA_ARGS__ },                                                       \
	     sizeof((struct line[]){ __VA_ARGS__ }) / sizeof(struct line))

TEST(payload_tells, "the first payload tells, once, in both families [pkt.apps]")
{
	PLAY(ASKS(REQUEST, BERM_APP_HTTP), ASKS(HELLO, BERM_APP_HTTP));
	PLAY(ASKS(HELLO, BERM_APP_TLS), ANSWERS("\x16\x03\x03\x00\x7a", BERM_APP_TLS));
	PLAY(ASKS(PREFACE, BERM_APP_H2));
	PLAY(ASKS("\x00\x1d" QUERY, BERM_APP_DNS));
	PLAY(ASKS(BANNER, BERM_APP_SSH));
	PLAY(ASKS("EHLO mail.example\r\n", BERM_APP_UNKNOWN), ASKS(REQUEST, BERM_APP_UNKNOWN));
}

TEST(payload_of_answerer,
     "an SSH server that speaks first; a greeting of anybody else does not tell")
{
	PLAY(ANSWERS(BANNER, BERM_APP_SSH), ASKS(REQUEST, BERM_APP_SSH));
	PLAY(ANSWERS("220 mail.example\r\n", 0), ASKS("EHLO x\r\n", BERM_APP_UNKNOWN));
	PLAY(ANSWERS("220 mail.example\r\n", 0), ASKS(REQUEST, BERM_APP_HTTP));
}

TEST(payload_in_pieces,
     "what is too short waits, until the fourth that does not tell; cut ones are unknown")
{
	PLAY(ASKS("GE", 0), ASKS("GE", 0),
	     ASKS(REQUEST, BERM_APP_HTTP)); /* sent again, with more */
	PLAY(ASKS("GE", 0), ASKS("T / HTTP/1.1\r\n", BERM_APP_UNKNOWN));
	PLAY(ASKS("G", 0), ASKS("G", 0), ASKS("G", 0), ASKS("G", BERM_APP_UNKNOWN),
	     ASKS(REQUEST, BERM_APP_UNKNOWN));
	PLAY(ANSWERS("x", 0), ANSWERS("x", 0), ANSWERS("x", 0), ANSWERS("x", BERM_APP_UNKNOWN));
}

TEST(payload_of_datagrams, "a datagram that opens a session says it at once, and its event too")
{
	static const struct {
		const char *data;
		uint16_t len;
		unsigned int app;
	} first[] = { { QUERY, sizeof(QUERY) - 1, BERM_APP_DNS },
		      { REQUEST, sizeof(REQUEST) - 1, BERM_APP_UNKNOWN },
		      { NULL, 0, 0 } };

	for (int is_v6 = 0; is_v6 < 2; is_v6++)
		for (size_t i = 0; i < sizeof(first) / sizeof(*first); i++) {
			struct datapath *dp = wall(true, is_v6);
			struct packet p = packet_of(is_v6, false, 4000);

			p.proto = IPPROTO_UDP;
			p.payload = first[i].data;
			p.payload_len = first[i].len;
			send_packet(dp, &p, false);
			EXPECT_EQ(app_of(dp, is_v6, 4000), first[i].app);
			EXPECT_EQ(dp->events, 1);
			EXPECT_EQ(dp->event.app, first[i].app);
			send_packet(dp, &p, false);
			EXPECT_EQ(dp->events, 1);
			datapath_free(dp);
		}
}

TEST(payload_sampled,
     "of TLS and HTTP the payload comes along, no more of it than there is room for")
{
	struct datapath *dp = wall(true, false);
	char big[1400];

	memset(big, 'a', sizeof(big));
	memcpy(big, REQUEST, sizeof(REQUEST) - 1);
	for (uint16_t i = 0; i < 2; i++) {
		struct packet p = packet_of(false, false, 4000 + i);

		open_stream(dp, false, 4000 + i);
		p.payload = big;
		p.payload_len = i ? sizeof(big) : sizeof(REQUEST) - 1;
		send_packet(dp, &p, false);
		EXPECT_EQ(dp->samples, i + 1);
		EXPECT_EQ(dp->sample.len, i ? BERM_SAMPLE_MAX : sizeof(REQUEST) - 1);
		EXPECT_MEM_EQ(dp->sample.data, big, dp->sample.len);
		EXPECT_EQ(dp->sample.event.reason, BERM_REASON_SESSION);
		EXPECT_EQ(dp->sample.event.cls, BERM_CLASS_NONE);
	}
}

TEST(payload_of_padding, "what an Ethernet frame is filled up with is no payload")
{
	struct datapath *dp = wall(true, false);
	struct packet p = packet_of(false, false, 4000);
	char frame[PACKET_MAX];
	size_t len;

	open_stream(dp, false, 4000);
	len = packet_build(&p, frame);
	memcpy(frame + len, "GET / ", 6);
	(void)datapath_send_frame(dp, BERM_INGRESS, 0, frame, len + 6);
	EXPECT_EQ(app_of(dp, false, 4000), 0);
	p.payload = REQUEST; /* the control */
	p.payload_len = sizeof(REQUEST) - 1;
	send_packet(dp, &p, false);
	EXPECT_EQ(app_of(dp, false, 4000), BERM_APP_HTTP);
}

TEST(payload_of_adopted,
     "a flow whose beginning was not seen is unknown; other protocols are not looked at")
{
	struct datapath *dp = wall(true, false);
	struct packet p = packet_of(false, false, 4000), sctp = packet_of(false, false, 4001);

	p.payload = REQUEST;
	p.payload_len = sizeof(REQUEST) - 1;
	send_packet(dp, &p, false); /* an ACK out of nowhere */
	EXPECT_EQ(app_of(dp, false, 4000), BERM_APP_UNKNOWN);
	sctp.proto = IPPROTO_SCTP;
	send_packet(dp, &sctp, false);
	EXPECT_EQ(app_of(dp, false, 4001), BERM_APP_NONE);
	EXPECT_EQ(berm_app_name(BERM_APP_NONE) == NULL, 1);
}

TEST(payload_survives_judgement,
     "a session that is judged again keeps what it carries; one that begins anew does not")
{
	struct datapath *dp = wall(true, false);
	struct packet p = packet_of(false, false, 4000), end = p;
	struct berm_session s = { 0 };

	open_stream(dp, false, 4000);
	p.payload = REQUEST;
	p.payload_len = sizeof(REQUEST) - 1;
	send_packet(dp, &p, false);
	ASSERT_TRUE(session_find(dp, 1, WEB, 7000, 4000, &s));
	datapath_policy(dp, s.slot & BERM_SESSION_SLOT, BERM_INGRESS,
			(struct rule[]){ { 0, ANY_PORT, 2002, BERM_ACTION_ALLOW } }, 1);
	send_packet(dp, &p, false);
	ASSERT_TRUE(session_find(dp, 1, WEB, 7000, 4000, &s));
	EXPECT_EQ(s.rule, 2002u | (uint32_t)BERM_APP_HTTP << BERM_APP_SHIFT);
	end.flags = TCP_RST | TCP_ACK;
	send_packet(dp, &end, false);
	end.flags = TCP_SYN;
	send_packet(dp, &end, false);
	ASSERT_TRUE(session_find(dp, 1, WEB, 7000, 4000, &s));
	EXPECT_EQ(s.rule, 2002);
}

TEST(payload_off, "switched off, nothing is looked at")
{
	struct datapath *dp = wall(false, false);
	struct packet p = packet_of(false, false, 4000);

	open_stream(dp, false, 4000);
	p.payload = REQUEST;
	p.payload_len = sizeof(REQUEST) - 1;
	send_packet(dp, &p, false);
	EXPECT_EQ(app_of(dp, false, 4000), 0);
	EXPECT_EQ(dp->event.app, 0);
}
