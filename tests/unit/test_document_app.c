/* SPDX-License-Identifier: Apache-2.0 */
/* test_document_app.c - `app` of a rule: what is read, what is refused, and what comes of it in a plan. */
#include <string.h>

#include "cleanup.h"
#include "compile.h"
#include "document_app.h"
#include "documents.h"
#include "names.h"
#include "objects.h"
#include "test.h"

#define HEAD "kind: SegmentationPolicy\nname: p\nisolate: [Ingress]\ningress:\n- "

static struct documents d;

TEST(app_is_read, "each application, and what becomes of others [app.rule]")
{
	static const struct {
		const char *text;
		uint8_t app;
		bool rejects;
	} cases[] = {
		{ HEAD "{app: {protocol: http}, ports: [{port: 80}]}\n", BERM_APP_HTTP, false },
		{ HEAD "{app: {protocol: tls, onMismatch: Deny}}\n", BERM_APP_TLS, false },
		{ HEAD "{app: {protocol: h2, onMismatch: Reject}}\n", BERM_APP_H2, true },
		{ HEAD "{app: {protocol: ssh}, action: Allow}\n", BERM_APP_SSH, false },
		{ HEAD "{app: {protocol: dns}, ports: [{port: 53, protocol: UDP}, {port: 53}]}\n",
		  BERM_APP_DNS, false },
		{ HEAD "{ports: [{port: 80}]}\n", 0, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		documents_parse_in(&d, "shop", cases[i].text);
		EXPECT_STR_EQ(d.report, "");
		EXPECT_EQ(documents_policy(&d)->rule[0].app, cases[i].app);
		EXPECT_EQ(documents_policy(&d)->rule[0].rejects_others, cases[i].rejects);
		documents_clear(&d);
	}
}

TEST(app_is_refused, "what cannot be meant is an error with its place and what to do")
{
	static const struct {
		const char *text, *report;
	} cases[] = {
		{ HEAD "{app: http}\n", "ingress[0].app" },
		{ HEAD "{app: {}}\n", "protocol" },
		{ HEAD "{app: {protocol: smtp}}\n", "smtp" },
		{ HEAD "{app: {protocol: unknown}}\n", "unknown" },
		{ HEAD "{app: {protocol: http, onMismatch: Allow}}\n", "Allow" },
		{ HEAD "{app: {protocol: http, onmismatch: Deny}}\n", "did you mean 'onMismatch'" },
		{ HEAD "{app: {protocol: http}, action: Deny}\n", "belongs to a rule that allows" },
		{ HEAD "{app: {protocol: http}, ports: [{port: 80, protocol: UDP}]}\n",
		  "http is recognised over TCP only" },
		{ HEAD "{app: {protocol: dns}, ports: [{port: 53, protocol: SCTP}]}\n",
		  "dns is recognised over TCP and UDP only" },
		{ HEAD "{app: {protocol: dns}, icmp: [{type: echo-request}]}\n",
		  "dns is recognised over TCP and UDP only" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		documents_parse_in(&d, "shop", cases[i].text);
		EXPECT_EQ(d.problems.count, 1);
		if (!strstr(d.report, cases[i].report))
			test_failed(__FILE__, __LINE__, "'%s' is not in '%s'", cases[i].report,
				    d.report);
		EXPECT_TRUE(d.objects.item[0].broken);
		documents_clear(&d);
	}
}

TEST(app_needs_the_option,
     "where nobody looks, such a document is refused and the option named; others are not [app.off]")
{
	berm_document_set_apps(false);
	documents_parse_in(&d, "shop", HEAD "{app: {protocol: http}, ports: [{port: 80}]}\n");
	EXPECT_TRUE(strstr(d.report, "--apps"));
	EXPECT_TRUE(d.objects.item[0].broken);
	documents_clear(&d);
	documents_parse_in(&d, "shop", HEAD "{ports: [{port: 80}]}\n");
	EXPECT_STR_EQ(d.report, "");
	documents_clear(&d);
	berm_document_set_apps(true);
	documents_parse_in(&d, "shop", HEAD "{app: {protocol: http}, ports: [{port: 80}]}\n");
	EXPECT_STR_EQ(d.report, "");
	documents_clear(&d);
}

TEST(app_changes_digest, "another app is another document")
{
	static const char *const text[] = {
		HEAD "{ports: [{port: 80}]}\n",
		HEAD "{ports: [{port: 80}], app: {protocol: http}}\n",
		HEAD "{ports: [{port: 80}], app: {protocol: tls}}\n",
		HEAD "{ports: [{port: 80}], app: {protocol: tls, onMismatch: Reject}}\n",
	};
	uint64_t digest[ARRAY_SIZE(text)];

	for (size_t i = 0; i < ARRAY_SIZE(text); i++) {
		documents_parse_in(&d, "shop", text[i]);
		digest[i] = documents_policy(&d)->digest;
		documents_clear(&d);
		for (size_t k = 0; k < i; k++)
			EXPECT_TRUE(digest[k] != digest[i]);
	}
}

/* ---- in a plan -------------------------------------------------------------------------------------------- */

static void allow(struct berm_policy *p, const char *pods, uint8_t app)
{
	struct berm_policy_rule *r = objects_rule(p, BERM_EGRESS, BERM_RULE_ALLOW, pods + 4);

	objects_peer_pods(r, NULL, pods);
	objects_port(r, "tcp:8080");
	r->app = app;
}

/* web may speak to both backends of a Service, whose rules want these. */
static struct berm_plan *plan_of(uint8_t a, uint8_t b)
{
	struct berm_model m = { 0 };
	struct berm_plan *plan = NULL;
	struct berm_err err = { 0 };
	struct berm_policy *p;

	objects_pod(&m, "shop/web", "app=web", "10.0.0.1");
	objects_pod(&m, "shop/a", "app=a", "10.0.0.2");
	objects_pod(&m, "shop/b", "app=b", "10.0.0.3");
	objects_endpoint(&m, 1, "shop/web");
	objects_service_port(objects_service(&m, "shop/both", "10.96.0.1", NULL), "=tcp:80", 0);
	objects_slice(&m, "shop/both-1", "both", "=tcp:8080", "10.0.0.2 10.0.0.3", NULL);
	p = objects_policy(&m, BERM_KIND_SEGMENTATION, "shop/web", "app=web");
	p->isolate = 1 << BERM_EGRESS;
	allow(p, "app=a", a);
	allow(p, "app=b", b);
	ASSERT_OK(berm_compile(&m, &plan, NULL, &err), &err);
	berm_model_clear(&m);
	return plan;
}

static bool has_reason(const struct berm_plan *plan, uint8_t reason)
{
	for (size_t i = 0; i < plan->rule_count; i++)
		if (plan->rule[i].name.reason == reason)
			return true;
	return false;
}

TEST(app_of_a_service,
     "a Service whose backends are allowed for different applications is mixed [app.service]")
{
	struct berm_plan *same = plan_of(BERM_APP_HTTP, BERM_APP_HTTP),
			 *other = plan_of(BERM_APP_HTTP, BERM_APP_TLS), *none = plan_of(0, 0);

	EXPECT_FALSE(has_reason(same, BERM_REASON_SERVICE_MIXED));
	EXPECT_FALSE(has_reason(none, BERM_REASON_SERVICE_MIXED));
	EXPECT_TRUE(has_reason(other, BERM_REASON_SERVICE_MIXED));
	berm_plan_free(same);
	berm_plan_free(other);
	berm_plan_free(none);
}

TEST(app_makes_another_set, "a set whose rule wants something else is another set [app.change]")
{
	struct berm_plan *http = plan_of(BERM_APP_HTTP, BERM_APP_HTTP), *none = plan_of(0, 0),
			 *again = plan_of(BERM_APP_HTTP, BERM_APP_HTTP);

	for (size_t i = 0; i < http->set_count; i++) {
		const struct berm_digest *id = &http->set[i].id;

		if (http->set[i].dir != BERM_EGRESS || !http->set[i].cell)
			continue;
		EXPECT_MEM_EQ(id, &again->set[i].id, sizeof(*id));
	}
	EXPECT_EQ(http->set_count, none->set_count);
	EXPECT_TRUE(memcmp(&http->set[http->endpoint[0].set[BERM_EGRESS]].id,
			   &none->set[none->endpoint[0].set[BERM_EGRESS]].id,
			   sizeof(struct berm_digest)) != 0);
	EXPECT_TRUE(memcmp(&http->set[http->endpoint[0].set[BERM_EGRESS]].judgement,
			   &none->set[none->endpoint[0].set[BERM_EGRESS]].judgement,
			   sizeof(struct berm_digest)) != 0);
	berm_plan_free(http);
	berm_plan_free(none);
	berm_plan_free(again);
}
