/* SPDX-License-Identifier: Apache-2.0 */
/* test_flows.c - the ring of flows and what it says of them, without a kernel. */
#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "flows.h"
#include "maps.h"
#include "test.h"

#define SLOT_WEB  3
#define RULE_WEB  5000
#define RULE_DENY 5001

static struct berm_model model;
static struct berm_flows *flows;
static struct berm_err err;

static struct berm_rule_name rule_names[] = {
	{ .id = RULE_WEB,
	  .index = 1,
	  .action = BERM_ACTION_ALLOW,
	  .tier = "application",
	  .kind = "SegmentationPolicy",
	  .ns = "shop",
	  .policy = "web-to-db",
	  .rule = "web" },
	{ .id = RULE_DENY,
	  .index = 2,
	  .action = BERM_ACTION_DENY,
	  .tier = "implicit",
	  .ns = "",
	  .rule = "shop/a,shop/b" },
};
static const struct berm_names names = { rule_names, ARRAY_SIZE(rule_names) };

static struct berm_addr addr(const char *text)
{
	struct berm_addr out = { 0 };

	if (berm_addr_parse(text, &out))
		test_failed(__FILE__, __LINE__, "no address: %s", text);
	return out;
}

static void put_pod(const char *name, const char *ip, const char *label)
{
	struct berm_pod *pod = calloc(1, sizeof(*pod));

	pod->ns = strdup("shop");
	pod->name = strdup(name);
	pod->labels.item = calloc(1, sizeof(*pod->labels.item));
	pod->labels.item[0] = (struct berm_label){ strdup("app"), strdup(label) };
	pod->labels.count = 1;
	if (ip) {
		pod->addr[0] = addr(ip);
		pod->addr_count = 1;
	}
	ASSERT_EQ(berm_model_put_pod(&model, pod), 0);
}

/* web is local and known by its slot; db is elsewhere and known by its address. */
static void setup(size_t capacity)
{
	struct berm_local_endpoint web = {
		.slot = SLOT_WEB, .ifindex = 9, .ns = "shop", .pod = "web"
	};

	web.addr[0] = addr("10.1.0.2");
	web.addr_count = 1;
	put_pod("web", NULL, "web\"quoted");
	put_pod("db", "10.1.0.3", "db");
	ASSERT_EQ(berm_model_put_endpoint(&model, &web), 0);
	ASSERT_OK(berm_flows_new("node-1", &model, capacity, &flows, &err), &err);
	berm_flows_set_names(flows, &names);
}

static struct berm_event tcp_event(void)
{
	return (struct berm_event){
		.local = addr("10.1.0.2"),
		.peer = addr("10.1.0.3"),
		.local_port = htons(40000),
		.peer_port = htons(5432),
		.ifindex = 9,
		.rule = RULE_WEB,
		.epoch = 17,
		.len = 74,
		.slot = SLOT_WEB,
		.proto = IPPROTO_TCP,
		.dir = BERM_EGRESS,
		.action = BERM_ACTION_ALLOW,
		.reason = BERM_REASON_POLICY_ALLOW,
		.tcp_flags = 0x12,
	};
}

/* The flow at seq as a tree; it must be one JSON object on one line. */
static cJSON *rendered(uint64_t seq)
{
	char line[4096];
	int len = berm_flows_render(flows, seq, line, sizeof(line));
	cJSON *tree;

	ASSERT_TRUE(len > 0 && (size_t)len < sizeof(line));
	EXPECT_EQ(line[len - 1], '\n');
	EXPECT_TRUE(memchr(line, '\n', (size_t)len) == line + len - 1);
	tree = cJSON_Parse(line);
	if (!tree)
		test_failed(__FILE__, __LINE__, "no JSON: %s", line);
	ASSERT_TRUE(tree != NULL);
	return tree;
}

static const char *text_at(const cJSON *tree, const char *outer, const char *key)
{
	const cJSON *item = outer ? cJSON_GetObjectItem(tree, outer) : tree;

	item = cJSON_GetObjectItem(item, key);
	return cJSON_IsString(item) ? item->valuestring : "(none)";
}

static double number_at(const cJSON *tree, const char *outer, const char *key)
{
	const cJSON *item = outer ? cJSON_GetObjectItem(tree, outer) : tree;

	item = cJSON_GetObjectItem(item, key);
	return cJSON_IsNumber(item) ? item->valuedouble : -1;
}

static cJSON *one(const struct berm_event *event)
{
	ASSERT_EQ(berm_flows_add(flows, event, 1700000000123456789), 0);
	return rendered(berm_flows_next(flows) - 1);
}

TEST(flow_allowed, "a flow names both pods, the rule and the time")
{
	struct berm_event event;
	cJSON *tree, *labels;

	setup(16);
	event = tcp_event();
	tree = one(&event);
	EXPECT_STR_EQ(text_at(tree, NULL, "time"), "2023-11-14T22:13:20.123456789Z");
	EXPECT_STR_EQ(text_at(tree, NULL, "node"), "node-1");
	EXPECT_STR_EQ(text_at(tree, NULL, "verdict"), "FORWARDED");
	EXPECT_STR_EQ(text_at(tree, NULL, "direction"), "egress");
	EXPECT_STR_EQ(text_at(tree, NULL, "protocol"), "TCP");
	EXPECT_STR_EQ(text_at(tree, NULL, "tcp_flags"), "SYN,ACK");
	EXPECT_STR_EQ(text_at(tree, NULL, "reason"), "policy-allow");
	EXPECT_STR_EQ(text_at(tree, "source", "ip"), "10.1.0.2");
	EXPECT_STR_EQ(text_at(tree, "source", "pod"), "web");
	EXPECT_STR_EQ(text_at(tree, "source", "namespace"), "shop");
	EXPECT_EQ(number_at(tree, "source", "port"), 40000);
	EXPECT_STR_EQ(text_at(tree, "destination", "ip"), "10.1.0.3");
	EXPECT_STR_EQ(text_at(tree, "destination", "pod"), "db");
	EXPECT_EQ(number_at(tree, "destination", "port"), 5432);
	EXPECT_EQ(number_at(tree, "rule", "id"), RULE_WEB);
	EXPECT_STR_EQ(text_at(tree, "rule", "policy"), "web-to-db");
	EXPECT_STR_EQ(text_at(tree, "rule", "rule"), "web");
	EXPECT_STR_EQ(text_at(tree, "rule", "tier"), "application");
	EXPECT_EQ(number_at(tree, NULL, "epoch"), 17);
	EXPECT_EQ(number_at(tree, NULL, "bytes"), 74);
	labels = cJSON_GetObjectItem(cJSON_GetObjectItem(tree, "source"), "labels");
	EXPECT_STR_EQ(text_at(labels, NULL, "app"), "web\"quoted");
	cJSON_Delete(tree);
}

TEST(flow_denied,
     "an implicit denial names every policy that isolates, and ingress turns the ends round")
{
	struct berm_event event;
	cJSON *tree, *list;

	setup(16);
	event = tcp_event();
	event.rule = RULE_DENY;
	event.dir = BERM_INGRESS;
	event.action = BERM_ACTION_DENY;
	event.reason = BERM_REASON_DEFAULT_DENY;
	event.suppressed = 4;
	event.lost = 2;
	tree = one(&event);
	EXPECT_STR_EQ(text_at(tree, NULL, "verdict"), "DROPPED");
	EXPECT_STR_EQ(text_at(tree, NULL, "reason"), "default-deny");
	EXPECT_STR_EQ(text_at(tree, "source", "pod"), "db");
	EXPECT_STR_EQ(text_at(tree, "destination", "pod"), "web");
	list = cJSON_GetObjectItem(tree, "isolating");
	EXPECT_EQ(cJSON_GetArraySize(list), 2);
	EXPECT_STR_EQ(cJSON_GetArrayItem(list, 1)->valuestring, "shop/b");
	EXPECT_STR_EQ(text_at(tree, "rule", "rule"), "(none)");
	EXPECT_EQ(number_at(tree, NULL, "suppressed"), 4);
	EXPECT_EQ(number_at(tree, NULL, "lost_before"), 2);
	cJSON_Delete(tree);
}

TEST(flow_ended,
     "a session that has ended has its final counts, and its ends as its opener saw them")
{
	struct berm_ended ended = {
		.peer = addr("10.1.0.3"),
		.local_port = htons(40000),
		.peer_port = htons(5432),
		.iface = 9 << 8 | IPPROTO_TCP,
		.rule = RULE_WEB,
		.packets = { [BERM_INGRESS] = 7, [BERM_EGRESS] = 9 },
		.bytes = { [BERM_INGRESS] = 1ull << 40, [BERM_EGRESS] = 900 },
		.lost = 3,
		.slot = SLOT_WEB | BERM_SESSION_FROM_POD,
		.state = BERM_SESSION_OPEN | BERM_SESSION_ESTABLISHED | BERM_SESSION_OPENER_FIN |
			 BERM_SESSION_ANSWERER_FIN,
	};
	cJSON *tree;

	setup(16);
	ASSERT_EQ(berm_flows_add_ended(flows, &ended, 0), 0);
	tree = rendered(berm_flows_next(flows) - 1);
	EXPECT_STR_EQ(text_at(tree, NULL, "verdict"), "ENDED");
	EXPECT_STR_EQ(text_at(tree, NULL, "cause"), "closed");
	EXPECT_STR_EQ(text_at(tree, "source", "pod"), "web");
	EXPECT_STR_EQ(text_at(tree, "source", "ip"), "10.1.0.2"); /* the table does not keep it */
	EXPECT_STR_EQ(text_at(tree, "destination", "pod"), "db");
	EXPECT_STR_EQ(text_at(tree, "rule", "rule"), "web");
	EXPECT_EQ(number_at(tree, "packets", "ingress"), 7);
	EXPECT_EQ(number_at(tree, "packets", "egress"), 9);
	EXPECT_EQ(number_at(tree, "bytes", "ingress"), (double)(1ull << 40));
	EXPECT_EQ(number_at(tree, "bytes", "egress"), 900);
	EXPECT_EQ(number_at(tree, NULL, "lost_before"), 3);
	EXPECT_STR_EQ(text_at(tree, NULL, "tcp_flags"), "(none)"); /* of no packet */
	cJSON_Delete(tree);
	ended.cause = BERM_ENDED_REPLACED;
	ended.slot = 77; /* nobody's, and opened by the peer */
	ASSERT_EQ(berm_flows_add_ended(flows, &ended, 0), 0);
	tree = rendered(berm_flows_next(flows) - 1);
	EXPECT_STR_EQ(text_at(tree, NULL, "cause"), "replaced");
	EXPECT_STR_EQ(text_at(tree, "source", "pod"), "db");
	EXPECT_STR_EQ(text_at(tree, "destination", "ip"), "(none)");
	cJSON_Delete(tree);
}

TEST(flow_unknown, "what is not known is left out: peers, rules, slots")
{
	struct berm_event event;
	cJSON *tree;

	setup(16);
	event = tcp_event();
	event.peer = addr("2001:db8::1");
	event.rule = 4711;
	event.slot = 77;
	tree = one(&event);
	EXPECT_STR_EQ(text_at(tree, "destination", "ip"), "2001:db8::1");
	EXPECT_STR_EQ(text_at(tree, "destination", "pod"), "(none)");
	EXPECT_STR_EQ(text_at(tree, "source", "pod"), "(none)");
	EXPECT_EQ(number_at(tree, "rule", "id"), 4711);
	EXPECT_STR_EQ(text_at(tree, "rule", "policy"), "(none)");
	cJSON_Delete(tree);
	event.slot = 65535; /* beyond any table */
	tree = one(&event);
	EXPECT_STR_EQ(text_at(tree, "source", "pod"), "(none)");
	cJSON_Delete(tree);
}

TEST(flow_icmp, "ICMP has a type and a code and no ports")
{
	static const struct icmp_case {
		const char *name;
		uint8_t proto, dir;
		uint16_t local, peer;
		int type, code;
	} cases[] = {
		{ "the pod asks", IPPROTO_ICMP, BERM_EGRESS, 777, 8, 8, 0 },
		{ "and is answered", IPPROTO_ICMP, BERM_INGRESS, 777, 8, 0, 0 },
		{ "the pod is asked", IPPROTO_ICMP, BERM_INGRESS, 8, 777, 8, 0 },
		{ "and answers", IPPROTO_ICMP, BERM_EGRESS, 8, 777, 0, 0 },
		{ "v6: the pod asks", IPPROTO_ICMPV6, BERM_EGRESS, 777, 128, 128, 0 },
		{ "v6: it is answered", IPPROTO_ICMPV6, BERM_INGRESS, 777, 128, 129, 0 },
		{ "unreachable", IPPROTO_ICMP, BERM_EGRESS, 0x0303, 0x0303, 3, 3 },
		{ "an id that looks like a type", IPPROTO_ICMP, BERM_EGRESS, 8, 8, 8, 0 },
	};
	const struct icmp_case *c;
	struct berm_event event;
	cJSON *tree;

	setup(16);
	for_each_case(c, cases) {
		event = tcp_event();
		event.proto = c->proto;
		event.dir = c->dir;
		event.local_port = htons(c->local);
		event.peer_port = htons(c->peer);
		tree = one(&event);
		EXPECT_EQ(number_at(tree, "icmp", "type"), c->type);
		EXPECT_EQ(number_at(tree, "icmp", "code"), c->code);
		EXPECT_EQ(number_at(tree, "source", "port"), -1);
		EXPECT_STR_EQ(text_at(tree, NULL, "tcp_flags"), "(none)");
		cJSON_Delete(tree);
	}
}

TEST(flow_ring, "the ring keeps the newest flows and says which it has")
{
	struct berm_event event;
	char line[16];
	uint64_t i;
	cJSON *tree;

	setup(300);
	event = tcp_event();
	for (i = 0; i < 1000; i++) {
		event.epoch = (uint32_t)i;
		ASSERT_EQ(berm_flows_add(flows, &event, (int64_t)i), 0);
	}
	EXPECT_EQ(berm_flows_next(flows), 1000);
	EXPECT_EQ(berm_flows_first(flows), 700);
	EXPECT_EQ(berm_flows_render(flows, 699, line, sizeof(line)), -ENOENT);
	EXPECT_EQ(berm_flows_render(flows, 1000, line, sizeof(line)), -ENOENT);
	EXPECT_GT(berm_flows_render(flows, 700, line, sizeof(line)),
		  sizeof(line)); /* cut, length told */
	tree = rendered(700);
	EXPECT_EQ(number_at(tree, NULL, "epoch"), 700);
	cJSON_Delete(tree);
	berm_flows_free(flows);
}

TEST(flow_names_stay, "a flow keeps the names of its time when the address goes to another pod")
{
	struct berm_event event;
	cJSON *tree;

	setup(16);
	event = tcp_event();
	ASSERT_EQ(berm_flows_add(flows, &event, 1), 0);
	ASSERT_EQ(berm_model_remove_pod(&model, "shop", "db"), 0);
	put_pod("newcomer", "10.1.0.3", "other");
	berm_flows_set_names(flows, NULL);
	ASSERT_EQ(berm_flows_add(flows, &event, 2), 0);
	tree = rendered(0);
	EXPECT_STR_EQ(text_at(tree, "destination", "pod"), "db");
	EXPECT_STR_EQ(text_at(tree, "rule", "policy"), "web-to-db");
	cJSON_Delete(tree);
	tree = rendered(1);
	EXPECT_STR_EQ(text_at(tree, "destination", "pod"), "newcomer");
	EXPECT_STR_EQ(text_at(tree, "rule", "policy"), "(none)");
	cJSON_Delete(tree);
}

TEST(flow_of_app,
     "a flow says what it carries and, from a sample, whom it asks for; a bad name is none")
{
	static const struct {
		unsigned int app;
		const char *data, *name, *host; /* NULL: not there */
	} rows[] = {
		{ BERM_APP_HTTP, "GET / HTTP/1.1\r\nhost:  Shop.Example:8080 \r\n\r\n", "http",
		  "shop.example:8080" },
		{ BERM_APP_HTTP, "GET / HTTP/1.1\r\nHost: a\"b\r\n\r\n", "http", NULL },
		{ BERM_APP_HTTP, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "http", NULL },
		{ BERM_APP_HTTP, "GET / HTTP/1.1\r\n\r\nHost: body\r\n", "http", NULL },
		{ BERM_APP_HTTP, "GET / HTTP/1.1\r\nHost: cut.exam", "http", NULL },
		{ BERM_APP_TLS, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "tls", NULL },
		{ BERM_APP_UNKNOWN, "Host: a\r\n", "unknown", NULL },
		{ 2, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", NULL, NULL },
		{ BERM_APP_NONE, "", NULL, NULL },
	};

	setup(16);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct berm_sample sample = { .event = tcp_event() };
		const cJSON *app, *host;
		cJSON *tree;

		sample.event.app = (uint8_t)rows[i].app;
		sample.len = (uint32_t)strlen(rows[i].data);
		memcpy(sample.data, rows[i].data, sample.len);
		ASSERT_EQ(berm_flows_add_sample(flows, &sample, 0), 0);
		tree = rendered(i);
		app = cJSON_GetObjectItem(tree, "app");
		host = cJSON_GetObjectItem(tree, "host");
		EXPECT_EQ(!app, !rows[i].name);
		if (app)
			EXPECT_STR_EQ(app->valuestring, rows[i].name);
		EXPECT_EQ(!host, !rows[i].host);
		if (host)
			EXPECT_STR_EQ(host->valuestring, rows[i].host);
		cJSON_Delete(tree);
	}
	berm_flows_free(flows);
	berm_model_clear(&model);
}

/* A ClientHello with one extension before the server's name. */
static size_t hello_of(const char *host, uint8_t *out)
{
	size_t n = strlen(host), at = 0;
	const uint8_t head[] = { 22, 3, 1, 0, (uint8_t)(64 + n), 1, 0, 0, (uint8_t)(60 + n), 3, 3 };
	const uint8_t middle[] = { 0,
				   0,
				   2,
				   0x13,
				   1,
				   1,
				   0,
				   0,
				   (uint8_t)(17 + n),
				   0,
				   23,
				   0,
				   4,
				   1,
				   2,
				   3,
				   4,
				   0,
				   0,
				   0,
				   (uint8_t)(n + 5),
				   0,
				   (uint8_t)(n + 3),
				   0,
				   0,
				   (uint8_t)n };

	memcpy(out, head, sizeof(head));
	at = sizeof(head);
	memset(out + at, 7, 32);
	at += 32;
	memcpy(out + at, middle, sizeof(middle));
	at += sizeof(middle);
	memcpy(out + at, host, n);
	return at + n;
}

TEST(flow_of_hello, "the server's name of a ClientHello, if all of it is in the sample")
{
	struct berm_sample sample = { .event = tcp_event() };
	cJSON *tree;

	setup(256);
	sample.event.app = BERM_APP_TLS;
	sample.len = (uint32_t)hello_of("Shop.example", sample.data);
	for (uint64_t i = 0; i < 80; i++, sample.len--) {
		ASSERT_EQ(berm_flows_add_sample(flows, &sample, 0), 0);
		tree = rendered(i);
		EXPECT_EQ(!cJSON_GetObjectItem(tree, "host"), i > 0);
		if (!i)
			EXPECT_STR_EQ(cJSON_GetObjectItem(tree, "host")->valuestring,
				      "shop.example");
		cJSON_Delete(tree);
		if (!sample.len)
			break;
	}
	sample.len = (uint32_t)hello_of("shop example", sample.data);
	ASSERT_EQ(berm_flows_add_sample(flows, &sample, 0), 0);
	tree = rendered(berm_flows_next(flows) - 1);
	EXPECT_TRUE(!cJSON_GetObjectItem(tree, "host"));
	cJSON_Delete(tree);
	berm_flows_free(flows);
	berm_model_clear(&model);
}
