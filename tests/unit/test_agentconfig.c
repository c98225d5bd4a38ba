/* SPDX-License-Identifier: Apache-2.0 */
/* test_agentconfig.c - AgentConfig: what is read and refused, which one counts, and what the essentials open by it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "compile.h"
#include "documents.h"
#include "effective.h"
#include "essential.h"
#include "interpret.h"
#include "log.h"
#include "objects.h"
#include "test.h"

static void load(struct berm_model *m, const char *ns, const char *text)
{
	static struct documents d;

	documents_parse_in(&d, ns, text);
	for (size_t i = 0; i < d.objects.count; i++) {
		struct berm_object *o = &d.objects.item[i];

		if (o->policy)
			ASSERT_EQ(berm_model_put_policy(m, TAKE_PTR(o->policy)), 0);
	}
	EXPECT_TRUE(!strstr(d.report, "error:"));
	documents_clear(&d);
}

/* An isolated pod, two kinds of name servers, two Services that could be the API server's. */
static void scene(struct berm_model *m)
{
	memset(m, 0, sizeof(*m));
	objects_namespace(m, "shop", "");
	objects_namespace(m, "kube-system", "");
	objects_namespace(m, "infra", "");
	objects_pod(m, "shop/db", "app=db", "10.1.0.1 fd00::1");
	objects_pod(m, "kube-system/coredns", "k8s-app=kube-dns", "10.1.0.53");
	objects_pod(m, "infra/unbound", "app=unbound", "10.1.0.54");
	objects_endpoint(m, 1, "shop/db");
	objects_service_port(objects_service(m, "default/kubernetes", "10.96.0.1", NULL),
			     "=tcp:443", 0);
	objects_slice(m, "default/kubernetes", "kubernetes", "=tcp:6443", "192.0.2.10", NULL);
	objects_service_port(objects_service(m, "infra/names", "10.96.0.54", NULL), "=udp:53", 0);
	objects_slice(m, "infra/names-1", "names", "=udp:5353", "192.0.2.54", NULL);
	load(m, "shop", "kind: SegmentationPolicy\nname: db\nisolate: [Egress]\n");
}

static uint8_t answer(const struct berm_model *m, const struct berm_plan *plan, const char *peer,
		      uint8_t plane, uint16_t port)
{
	struct question q = { .ep = &m->endpoints[0],
			      .dir = BERM_EGRESS,
			      .peer = objects_addr(peer),
			      .plane = plane,
			      .port = port };

	interpret_check(plan);
	return interpret(plan, &q).action;
}

static uint8_t ask(const struct berm_model *m, const char *peer, uint8_t plane, uint16_t port)
{
	struct berm_plan *plan = NULL;
	struct berm_problems problems = { 0 };
	struct berm_err err = { 0 };
	uint8_t action;

	ASSERT_OK(berm_compile(m, &plan, &problems, &err), &err);
	action = answer(m, plan, peer, plane, port);
	berm_plan_free(plan);
	EXPECT_EQ(problems.count, 0);
	berm_problems_clear(&problems);
	return action;
}

#define EXPECT_OPEN(m, peer, plane, port)                                                          \
	EXPECT_EQ(ask(m, peer, BERM_PLANE_##plane, port), BERM_ACTION_ALLOW)
#define EXPECT_SHUT(m, peer, plane, port)                                                          \
	EXPECT_EQ(ask(m, peer, BERM_PLANE_##plane, port), BERM_ACTION_DENY)

static void expect_defaults(const struct berm_model *m)
{
	EXPECT_OPEN(m, "10.1.0.53", UDP, 53);
	EXPECT_OPEN(m, "10.1.0.53", TCP, 53);
	EXPECT_SHUT(m, "10.1.0.53", TCP, 80);
	EXPECT_SHUT(m, "10.1.0.54", UDP, 53);
	EXPECT_OPEN(m, "192.0.2.10", TCP, 6443);
	EXPECT_OPEN(m, "10.96.0.1", TCP, 443);
	EXPECT_SHUT(m, "10.96.0.54", UDP, 53);
}

TEST(config_dns,
     "dns is what an AgentConfig says and nothing else: pods, Services, addresses; the other essential stays")
{
	struct berm_model m;

	scene(&m);
	expect_defaults(&m);
	load(&m, "berm-system",
	     "kind: AgentConfig\nname: cluster\nessentials:\n  dns:\n    services: [infra/names]\n"
	     "    pods: [{namespace: infra, podSelector: {matchLabels: {app: unbound}}}]\n"
	     "    addresses: [{address: 198.51.100.53, port: 5300}, {address: \"2001:db8::53\", port: 53}]\n");
	EXPECT_SHUT(&m, "10.1.0.53", UDP, 53);
	EXPECT_OPEN(&m, "10.1.0.54", UDP, 53);
	EXPECT_OPEN(&m, "10.1.0.54", TCP, 53);
	EXPECT_SHUT(&m, "10.1.0.54", TCP, 80);
	EXPECT_OPEN(&m, "10.96.0.54", UDP, 53);
	EXPECT_OPEN(&m, "192.0.2.54", UDP, 5353);
	EXPECT_SHUT(&m, "192.0.2.54", UDP, 53);
	EXPECT_OPEN(&m, "198.51.100.53", UDP, 5300);
	EXPECT_OPEN(&m, "198.51.100.53", TCP, 5300);
	EXPECT_SHUT(&m, "198.51.100.53", UDP, 53);
	EXPECT_OPEN(&m, "2001:db8::53", UDP, 53);
	EXPECT_OPEN(&m, "192.0.2.10", TCP, 6443);
	EXPECT_OPEN(&m, "10.96.0.1", TCP, 443);
	ASSERT_EQ(berm_model_remove_policy(&m, BERM_KIND_AGENT_CONFIG, "berm-system", "cluster"),
		  0);
	expect_defaults(&m);
	berm_model_clear(&m);
}

TEST(config_apiserver, "apiserver is TCP only; what says nothing opens nothing")
{
	struct berm_model m;

	scene(&m);
	load(&m, "berm-system",
	     "kind: AgentConfig\nname: cluster\nessentials: {apiserver: {services: [infra/names], "
	     "addresses: [{address: 192.0.2.99, port: 6443}]}}\n");
	EXPECT_OPEN(&m, "192.0.2.99", TCP, 6443);
	EXPECT_SHUT(&m, "192.0.2.99", UDP, 6443);
	EXPECT_SHUT(&m, "192.0.2.10", TCP, 6443);
	EXPECT_SHUT(&m, "10.96.0.1", TCP, 443);
	EXPECT_SHUT(&m, "192.0.2.54", UDP, 5353); /* of a Service without TCP */
	EXPECT_OPEN(&m, "10.1.0.53", UDP, 53);
	load(&m, "berm-system",
	     "kind: AgentConfig\nname: cluster\nessentials: {dns: {}, apiserver: {}}\n");
	EXPECT_SHUT(&m, "192.0.2.99", TCP, 6443);
	EXPECT_SHUT(&m, "10.1.0.53", UDP, 53);
	load(&m, "berm-system", "kind: AgentConfig\nname: cluster\n");
	expect_defaults(&m);
	berm_model_clear(&m);
}

/* Who is DNS is seen of every pod: nothing that was seen before counts. */
TEST(config_renewed,
     "a compilation that is kept does not follow a change of an AgentConfig, and is right when it is renewed")
{
	struct berm_compiled *kept = NULL;
	struct berm_problems problems = { 0 };
	struct berm_err err = { 0 };
	struct berm_model m;

	scene(&m);
	berm_model_changes_clear(&m);
	ASSERT_OK(berm_compile_kept(&m, &kept, &problems, &err), &err);
	EXPECT_EQ(answer(&m, berm_compiled_plan(kept), "10.1.0.53", BERM_PLANE_UDP, 53),
		  BERM_ACTION_ALLOW);
	for (int round = 0; round < 2; round++) {
		if (round)
			ASSERT_EQ(berm_model_remove_policy(&m, BERM_KIND_AGENT_CONFIG,
							   "berm-system", "a"),
				  0);
		else
			load(&m, "berm-system",
			     "kind: AgentConfig\nname: a\nessentials: {dns: {pods: [{namespace: infra, podSelector: {}}]}}\n");
		EXPECT_EQ(berm_compiled_follow(kept, &m.changes), -EAGAIN);
		ASSERT_OK(berm_compiled_renew(&kept, &m.changes, &problems, &err), &err);
		berm_model_changes_clear(&m);
		EXPECT_EQ(answer(&m, berm_compiled_plan(kept), "10.1.0.53", BERM_PLANE_UDP, 53),
			  round ? BERM_ACTION_ALLOW : BERM_ACTION_DENY);
		EXPECT_EQ(answer(&m, berm_compiled_plan(kept), "10.1.0.54", BERM_PLANE_UDP, 53),
			  round ? BERM_ACTION_DENY : BERM_ACTION_ALLOW);
	}
	EXPECT_EQ(problems.count, 0);
	berm_compiled_free(kept);
	berm_model_clear(&m);
}

TEST(config_first,
     "of several the first by name counts, whole; the others are told of; IPSets and LabelMappings beside it")
{
	const struct berm_policy *document = NULL;
	struct berm_problems problems = { 0 };
	struct berm_model m;

	scene(&m);
	EXPECT_TRUE(!berm_model_config(&m, NULL));
	load(&m, "berm-system",
	     "kind: AgentConfig\nname: b\nsettings: {logLevel: debug}\n---\nkind: IPSet\nname: z\ncidrs: []\n"
	     "---\nkind: LabelMapping\nname: z\n---\nkind: AgentConfig\nname: a\nsettings: {feedback: 30}\n");
	ASSERT_TRUE(berm_model_config(&m, &document));
	EXPECT_STR_EQ(document->name, "a");
	EXPECT_EQ(document->config->feedback_s, 30);
	EXPECT_FALSE(document->config->has_log_level);
	ASSERT_EQ(berm_effective_problems(&m, &problems), 0);
	ASSERT_EQ(problems.count, 1);
	EXPECT_STR_EQ(problems.item[0].document, "AgentConfig berm-system/b");
	EXPECT_STR_HAS(problems.item[0].message,
		       "AgentConfig a comes before it by name: this one does nothing");
	berm_problems_clear(&problems);
	ASSERT_EQ(berm_model_remove_policy(&m, BERM_KIND_AGENT_CONFIG, "berm-system", "a"), 0);
	ASSERT_TRUE(berm_model_config(&m, &document));
	EXPECT_EQ(document->config->log_level, BERM_LOG_DEBUG);
	ASSERT_EQ(berm_effective_problems(&m, &problems), 0);
	EXPECT_EQ(problems.count, 0);
	berm_model_clear(&m);
}

TEST(config_same,
     "one that says the same changes nothing; each thing that it says is in its digest")
{
	static const char *const texts[] = {
		"kind: AgentConfig\nname: a\n",
		"kind: AgentConfig\nname: a\nsettings: {logLevel: info}\n",
		"kind: AgentConfig\nname: a\nsettings: {logLevel: error}\n",
		"kind: AgentConfig\nname: a\nsettings: {missingState: drop}\n",
		"kind: AgentConfig\nname: a\nsettings: {missingState: pass}\n",
		"kind: AgentConfig\nname: a\nsettings: {feedback: 5}\n",
		"kind: AgentConfig\nname: a\nessentials: {dns: {}}\n",
		"kind: AgentConfig\nname: a\nessentials: {apiserver: {}}\n",
		"kind: AgentConfig\nname: a\nessentials: {dns: {services: [a/b]}}\n",
		"kind: AgentConfig\nname: a\nessentials: {dns: {services: [a/c]}}\n",
		"kind: AgentConfig\nname: a\nessentials: {dns: {pods: [{namespace: a, podSelector: {}}]}}\n",
		"kind: AgentConfig\nname: a\nessentials: {dns: {pods: [{namespace: a, podSelector: {matchLabels: {b: c}}}]}}\n",
		"kind: AgentConfig\nname: a\nessentials: {dns: {addresses: [{address: 192.0.2.1, port: 53}]}}\n",
		"kind: AgentConfig\nname: a\nessentials: {dns: {addresses: [{address: 192.0.2.1, port: 54}]}}\n",
		"kind: AgentConfig\nname: a\nessentials: {dns: {addresses: [{address: 192.0.2.2, port: 53}]}}\n",
	};
	uint64_t digest[ARRAY_SIZE(texts)], version;
	struct berm_model m;

	scene(&m);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		version = m.version;
		load(&m, "berm-system", texts[i]);
		EXPECT_TRUE(m.version > version);
		version = m.version;
		load(&m, "berm-system", texts[i]);
		EXPECT_EQ(m.version, version);
		digest[i] =
			berm_model_policy(&m, BERM_KIND_AGENT_CONFIG, "berm-system", "a")->digest;
		for (size_t k = 0; k < i; k++)
			EXPECT_TRUE(digest[k] != digest[i]);
	}
	berm_model_clear(&m);
}

TEST(config_document, "an AgentConfig is read strictly; what is wrong with it is said:")
{
	static const struct {
		const char *name, *ns, *text, *want;
	} cases[] = {
		{ "a tenant's", "shop", "", "an AgentConfig is not for namespace shop" },
		{ "misspelt", "berm-system", "setting: {}\n", "did you mean 'settings'?" },
		{ "nothing", "berm-system", "essentials: {dns: {}}\nnothing: 1\n", "warning: AgentConfig berm-system/a: essentials.dns: it opens nothing, whoever grants it" },
		{ "a service", "berm-system", "essentials: {dns: {services: [kube-dns]}}\n",
		  "essentials.dns.services[0]: 'kube-dns' does not name a Service" },
		{ "half a service", "berm-system", "essentials: {dns: {services: [kube-system/]}}\n", "does not name a Service" },
		{ "pods of the API server", "berm-system", "essentials: {apiserver: {pods: []}}\n", "essentials.apiserver.pods: unknown field" },
		{ "pods without namespace", "berm-system", "essentials: {dns: {pods: [{podSelector: {}}]}}\n",
		  "essentials.dns.pods[0]: the field 'namespace' is missing" },
		{ "a block", "berm-system", "essentials: {dns: {addresses: [{address: 10.0.0.0/8, port: 53}]}}\n", "is not one address" },
		{ "a port", "berm-system", "essentials: {dns: {addresses: [{address: 10.0.0.1, port: 0}]}}\n", "1 to 65535" },
		{ "no port", "berm-system", "essentials: {dns: {addresses: [{address: 10.0.0.1}]}}\n", "the field 'port' is missing" },
		{ "a level", "berm-system", "settings: {logLevel: warn}\n", "known: error, warning, info, debug" },
		{ "a verdict", "berm-system", "settings: {missingState: allow}\n", "known: drop, pass" },
		{ "feedback, too seldom", "berm-system", "settings: {feedback: 3601}\n", "1 to 3600" },
		{ "no feedback", "berm-system", "settings: {feedback: 0}\n", "1 to 3600" },
		{ "for a restart", "berm-system", "settings: {timeoutTCP: 600}\n",
		  "settings.timeoutTCP: cannot be changed while the agent runs; it takes a restart: use the agent's option --timeout-tcp (BERM_TIMEOUT_TCP)" },
		{ "another for a restart", "berm-system", "settings: {apps: true}\n", "--apps (BERM_APPS)" },
		{ "good", "berm-system", "namespace: berm-system\nsettings: {logLevel: info, missingState: drop, feedback: 3600}\n", NULL },
	}, *c;
	static struct documents d;
	char text[400];

	for_each_case(c, cases) {
		snprintf(text, sizeof(text), "kind: AgentConfig\nname: a\n%s", c->text);
		documents_parse_in(&d, c->ns, text);
		if (c->want)
			EXPECT_STR_HAS(d.report, c->want);
		else
			EXPECT_STR_EQ(d.report, "");
		EXPECT_EQ(d.objects.count && d.objects.item[0].policy != NULL, !c->want);
		documents_clear(&d);
	}
}
