/* SPDX-License-Identifier: Apache-2.0 */
/* test_wanted.c - rules that want one application: what becomes of sessions that carry it, and of others. */
#include <string.h>

#include "datapath.h"
#include "jiffies.h"

#define WEB  "10.0.0.2"
#define DB   "10.0.0.3"
#define WEB6 "fd00::2"
#define DB6  "fd00::3"
#define PORT 7000
#define RULE 2001

#define REQUEST "GET /index.html HTTP/1.1\r\nHost: shop.example\r\n\r\n"
#define BANNER	"SSH-2.0-OpenSSH_9.2\r\n"
#define QUERY                                                                                      \
	"\x12\x34\x01\x20\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07"                              \
	"example\x00\x00\x01\x00\x01"

static const struct rule wants_http = { 0, ANY_PORT, RULE, BERM_ACTION_ALLOW, BERM_APP_HTTP, 0 };
static const struct rule wants_any = { 0, ANY_PORT, RULE, BERM_ACTION_ALLOW, 0, 0 };

struct scene {
	struct datapath *dp;
	uint32_t db;
	bool is_v6;
	uint16_t sport;
};

static struct scene scene_of(bool apps, bool is_v6, uint32_t flags, const struct rule *rule)
{
	struct scene s = { datapath_load(&(struct datapath_opts){ .apps = apps }), 0, is_v6, 4000 };

	s.db = datapath_pod(s.dp, &(struct pod){ .ifindex = 1,
						 .addr = { is_v6 ? DB6 : DB },
						 .flags = flags });
	datapath_policy(s.dp, s.db, BERM_INGRESS, rule, 1);
	return s;
}

static struct packet packet_of(const struct scene *s, bool is_answer, uint8_t flags,
			       const char *text, size_t len)
{
	struct packet p = { .src = s->is_v6 ? WEB6 : WEB,
			    .dst = s->is_v6 ? DB6 : DB,
			    .sport = s->sport,
			    .dport = PORT,
			    .flags = flags,
			    .payload = text,
			    .payload_len = (uint16_t)len };

	if (is_answer) {
		p.src = s->is_v6 ? DB6 : DB;
		p.dst = s->is_v6 ? WEB6 : WEB;
		p.sport = PORT;
		p.dport = s->sport;
	}
	return p;
}

static struct verdict says(struct scene *s, bool is_answer, uint8_t flags, const char *text)
{
	struct packet p = packet_of(s, is_answer, flags, text, text ? strlen(text) : 0);

	return datapath_send(s->dp, is_answer ? BERM_EGRESS : BERM_INGRESS, 0, &p);
}

static void open_stream(struct scene *s)
{
	EXPECT_EQ(says(s, false, TCP_SYN, NULL).retval, ALLOWED);
	EXPECT_EQ(says(s, true, TCP_SYN | TCP_ACK, NULL).retval, ALLOWED);
	EXPECT_EQ(says(s, false, TCP_ACK, NULL).retval, ALLOWED);
}

static unsigned int app_of(const struct scene *s)
{
	struct berm_session found = { 0 };

	ASSERT_TRUE(session_find(s->dp, 1, s->is_v6 ? WEB6 : WEB, PORT, s->sport, &found));
	EXPECT_EQ(found.rule & BERM_RULE_ID, RULE);
	return BERM_APP_OF(found.rule);
}

static void expect_cut(struct scene *s, bool is_answer, const char *text, unsigned int app)
{
	struct verdict v = says(s, is_answer, TCP_ACK, text);

	EXPECT_EQ(v.retval, DROPPED);
	EXPECT_EQ(v.reason, BERM_REASON_APP_MISMATCH);
	EXPECT_EQ(v.rule, RULE);
	EXPECT_EQ(s->dp->event.app, app);
}

static void expect_passes(struct scene *s, bool is_answer, const char *text)
{
	struct verdict v = says(s, is_answer, TCP_ACK, text);

	EXPECT_EQ(v.retval, ALLOWED);
	EXPECT_EQ(v.reason, BERM_REASON_SESSION);
}

TEST(wanted_is_spoken,
     "what the rule wants goes on, another is cut with the first words, in both families [app.rule]")
{
	for (int is_v6 = 0; is_v6 < 2; is_v6++) {
		struct scene s = scene_of(true, is_v6, 0, &wants_http);

		open_stream(&s);
		EXPECT_EQ(app_of(&s), BERM_APP_PROVISIONAL);
		expect_passes(&s, false, REQUEST);
		EXPECT_EQ(app_of(&s), BERM_APP_HTTP);
		EXPECT_EQ(s.dp->event.app, BERM_APP_HTTP);
		EXPECT_EQ(s.dp->event.reason, BERM_REASON_SESSION);
		EXPECT_EQ(s.dp->event.rule, RULE);
		expect_passes(&s, true, "HTTP/1.1 200 OK\r\n");
		expect_passes(&s, false, BANNER); /* whatever is said later */

		s.sport = 4001;
		open_stream(&s);
		expect_cut(&s, false, BANNER, BERM_APP_SSH);
		expect_cut(&s, true, BANNER, BERM_APP_SSH);
		expect_cut(&s, false, REQUEST, BERM_APP_SSH);
		EXPECT_EQ(says(&s, true, TCP_FIN | TCP_ACK, NULL).retval, DROPPED);
		EXPECT_EQ(says(&s, true, TCP_RST, NULL).retval, DROPPED);
		expect_cut(&s, false, REQUEST, BERM_APP_SSH);

		s.sport = 4002; /* nothing of it is left for the next one */
		open_stream(&s);
		expect_passes(&s, false, REQUEST);
		EXPECT_BOOKS(s.dp);
		datapath_free(s.dp);
	}
}

TEST(wanted_unknown,
     "what is none of them is cut too, and who does not tell with the fourth packet [app.unknown]")
{
	for (int is_v6 = 0; is_v6 < 2; is_v6++) {
		struct scene s = scene_of(true, is_v6, 0, &wants_http);

		open_stream(&s);
		expect_cut(&s, false, "EHLO mail.example\r\n", BERM_APP_UNKNOWN);
		s.sport = 4001;
		open_stream(&s);
		for (int i = 0; i < 3; i++)
			expect_passes(&s, true, "220 mail.example\r\n");
		expect_cut(&s, true, "220 mail.example\r\n", BERM_APP_UNKNOWN);
		s.sport = 4002; /* the control: that they have waited does not hurt */
		open_stream(&s);
		for (int i = 0; i < 3; i++)
			expect_passes(&s, true, "220 mail.example\r\n");
		expect_passes(&s, false, REQUEST);
		datapath_free(s.dp);
	}
}

TEST(wanted_of_datagrams, "a datagram that says something else opens nothing [app.rule]")
{
	static const struct rule wants_dns = {
		0, ANY_PORT, RULE, BERM_ACTION_ALLOW, BERM_APP_DNS, 0
	};

	for (int is_v6 = 0; is_v6 < 2; is_v6++) {
		struct scene s = scene_of(true, is_v6, 0, &wants_dns);
		struct packet p = packet_of(&s, false, 0, QUERY, sizeof(QUERY) - 1);
		struct berm_session found;

		p.proto = IPPROTO_UDP;
		SEND(s.dp, BERM_INGRESS, &p, ALLOWED, POLICY_ALLOW, RULE);
		EXPECT_EQ(app_of(&s), BERM_APP_DNS);
		p.sport = 4001;
		p.payload = REQUEST;
		SEND(s.dp, BERM_INGRESS, &p, DROPPED, APP_MISMATCH, RULE);
		EXPECT_FALSE(session_find(s.dp, 1, is_v6 ? WEB6 : WEB, PORT, 4001, &found));
		p.payload_len = 0; /* it has said nothing yet */
		SEND(s.dp, BERM_INGRESS, &p, ALLOWED, POLICY_ALLOW, RULE);
		p.payload_len = 20;
		SEND(s.dp, BERM_INGRESS, &p, DROPPED, APP_MISMATCH, RULE);
		p.proto = is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP; /* an echo carries none */
		p.icmp_type = is_v6 ? 128 : 8;
		SEND(s.dp, BERM_INGRESS, &p, DROPPED, APP_MISMATCH, RULE);
		datapath_free(s.dp);
	}
}

TEST(wanted_is_no_audit, "what a session carries is not taken for the rule of an audit policy")
{
	static const struct rule wants_dns = {
		0, ANY_PORT, RULE, BERM_ACTION_ALLOW, BERM_APP_DNS, 0
	};
	struct scene s = scene_of(true, false, 0, &wants_dns);
	struct packet p = packet_of(&s, false, 0, QUERY, sizeof(QUERY) - 1);

	p.proto = IPPROTO_UDP;
	s.dp->maps.node->flags &= ~BERM_NODE_EVENTS_ALLOW; /* only denials, and what would be */
	EXPECT_EQ(datapath_send(s.dp, BERM_INGRESS, 0, &p).retval, ALLOWED);
	EXPECT_EQ(datapath_stat(s.dp, BERM_STAT_EVENT_SENT), 0);
	s.dp->maps.node->flags |= BERM_NODE_EVENTS_ALLOW; /* the control */
	p.sport = 4001;
	SEND(s.dp, BERM_INGRESS, &p, ALLOWED, POLICY_ALLOW, RULE);
	EXPECT_EQ(datapath_stat(s.dp, BERM_STAT_EVENT_SENT), 1);
	EXPECT_EQ(s.dp->event.would_action, 0);
	datapath_free(s.dp);
}

TEST(wanted_in_the_middle,
     "without its beginning a flow is let through only while running pods are adopted [app.adopted]")
{
	for (int is_v6 = 0; is_v6 < 2; is_v6++) {
		struct scene s = scene_of(true, is_v6, 0, &wants_http);
		struct berm_endpoint *db = &s.dp->maps.endpoints[s.db];
		uint32_t now, hz;
		struct berm_err err = { 0 };

		expect_cut(&s, false, REQUEST, BERM_APP_UNKNOWN);
		EXPECT_EQ(says(&s, false, TCP_RST, NULL).retval,
			  ALLOWED); /* ends nothing, says nothing */
		EXPECT_EQ(says(&s, false, TCP_RST, "x").retval, DROPPED);
		ASSERT_OK(berm_jiffies_read(&now, &hz, &err), &err);
		db->adopt_until = now + 60 * hz;
		EXPECT_EQ(says(&s, false, TCP_ACK, "half a request").retval, ALLOWED);
		EXPECT_EQ(app_of(&s), BERM_APP_UNKNOWN);
		db->adopt_until = 0;
		expect_passes(&s, false, BANNER);
		datapath_policy(s.dp, s.db, BERM_INGRESS, &wants_http, 1); /* judged again: still */
		EXPECT_EQ(says(&s, false, TCP_ACK, "more").retval, ALLOWED);
		datapath_free(s.dp);
	}
}

TEST(wanted_changes,
     "a policy that begins to want judges what is known already, and waits for what is not [app.change]")
{
	for (int is_v6 = 0; is_v6 < 2; is_v6++) {
		struct scene s = scene_of(true, is_v6, 0, &wants_any);

		for (s.sport = 4000; s.sport < 4004; s.sport++)
			open_stream(&s);
		s.sport = 4000;
		expect_passes(&s, false, BANNER);
		s.sport = 4001;
		expect_passes(&s, false, REQUEST);
		datapath_policy(s.dp, s.db, BERM_INGRESS, &wants_http, 1);
		s.sport = 4000;
		expect_cut(&s, false, "more", BERM_APP_SSH);
		s.sport = 4001;
		EXPECT_EQ(says(&s, false, TCP_ACK, "more").retval, ALLOWED);
		s.sport = 4002; /* judged again by the very packet that tells */
		EXPECT_EQ(says(&s, false, TCP_ACK, REQUEST).retval, ALLOWED);
		EXPECT_EQ(app_of(&s), BERM_APP_HTTP);
		s.sport = 4003; /* by one before */
		EXPECT_EQ(says(&s, false, TCP_ACK, NULL).retval, ALLOWED);
		EXPECT_EQ(app_of(&s), BERM_APP_PROVISIONAL);
		expect_cut(&s, false, BANNER, BERM_APP_SSH);
		datapath_policy(s.dp, s.db, BERM_INGRESS, &wants_any, 1); /* and is free again */
		EXPECT_EQ(says(&s, false, TCP_ACK, "more").retval, ALLOWED);
		datapath_free(s.dp);
	}
}

TEST(wanted_again, "a SYN on a connection that was cut begins anew; one on a living one does not")
{
	for (int is_v6 = 0; is_v6 < 2; is_v6++) {
		struct scene s = scene_of(true, is_v6, 0, &wants_http);

		open_stream(&s);
		expect_cut(&s, false, BANNER, BERM_APP_SSH);
		open_stream(&s);
		EXPECT_EQ(app_of(&s), BERM_APP_PROVISIONAL);
		expect_passes(&s, false, REQUEST);
		EXPECT_EQ(says(&s, false, TCP_SYN, NULL).retval, ALLOWED);
		EXPECT_EQ(app_of(&s), BERM_APP_HTTP);
		EXPECT_BOOKS(s.dp);
		datapath_free(s.dp);
	}
}

TEST(wanted_keep, "onPolicyChange: Keep keeps what was there, not what turns out to be another")
{
	struct scene s = scene_of(true, false, BERM_EP_KEEP_IN, &wants_any);

	open_stream(&s);
	expect_passes(&s, false, BANNER);
	s.sport = 4001;
	datapath_policy(s.dp, s.db, BERM_INGRESS, &wants_http, 1);
	open_stream(&s);
	expect_cut(&s, false, BANNER, BERM_APP_SSH);
	expect_cut(&s, false, "more", BERM_APP_SSH);
	s.sport = 4000;
	EXPECT_EQ(says(&s, false, TCP_ACK, "more").retval, ALLOWED);
}

TEST(wanted_rejects, "with Reject both ends hear of it, once they are connected [app.rule]")
{
	struct rule rejects = wants_http;

	rejects.flags = BERM_RULE_REJECTS_OTHERS;
	for (int is_v6 = 0; is_v6 < 2; is_v6++) {
		struct scene s = scene_of(true, is_v6, 0, &rejects);
		uint64_t before = datapath_stat(s.dp, BERM_STAT_SESSION_RESET);
		struct verdict v;

		s.dp->maps.node->mark = 0x1234;
		open_stream(&s);
		v = says(&s, false, TCP_ACK, BANNER);
		EXPECT_EQ(v.action, BERM_ACTION_REJECT);
		EXPECT_EQ(v.reason, BERM_REASON_APP_MISMATCH);
		EXPECT_EQ(datapath_stat(s.dp, BERM_STAT_SESSION_RESET) - before, 1);
		s.sport = 4001;
		open_stream(&s);
		expect_passes(&s, false, REQUEST);
		datapath_free(s.dp);
	}
}

TEST(wanted_unseen, "programs that do not look deny what such a rule allows [app.off]")
{
	struct scene s = scene_of(false, false, 0, &wants_http);
	struct verdict v = says(&s, false, TCP_SYN, NULL);

	EXPECT_EQ(v.retval, DROPPED);
	EXPECT_EQ(v.reason, BERM_REASON_APP_MISMATCH);
	EXPECT_EQ(v.rule, RULE);
	datapath_policy(s.dp, s.db, BERM_INGRESS, &wants_any, 1); /* the control */
	EXPECT_EQ(says(&s, false, TCP_SYN, NULL).retval, ALLOWED);
}
