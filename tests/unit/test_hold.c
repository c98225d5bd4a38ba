/* SPDX-License-Identifier: Apache-2.0 */
/* test_hold.c - `expect`: what holds, what is found where it does not, and which versions wait for which. */
#include <stdlib.h>
#include <string.h>

#include "documents.h"
#include "expect.h"
#include "intake.h"
#include "test.h"

/* ---- what holds ------------------------------------------------------------------------------------------ */

#define DOC                                                                                                  \
	"kind: SegmentationPolicy\nname: db\nnamespace: shop\nisolate: [Ingress]\n"                          \
	"subject: {podSelector: {matchLabels: {app: db}}}\n"                                                 \
	"ingress:\n- {name: web, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}\n" \
	"- {name: office, from: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 80}]}\n"                   \
	"- {name: red, from: [{namespaceSelector: {matchLabels: {team: red}}}], ports: [{port: 81}]}\n"      \
	"expect:\n- "

static const char *check_document(const char *text)
{
	static struct documents d;
	static char why[900];
	struct berm_expect_result result = { 0 };
	struct berm_model model = { .now_s = 1800000000 };
	struct berm_overlay all = { 0 }, open = { 0 };
	struct berm_err err = { 0 };

	documents_parse(&d, text);
	result.policy = documents_policy(&d);
	ASSERT_EQ(berm_overlay_make(&model, &all), 0);
	ASSERT_EQ(berm_overlay_put(&all, (struct berm_policy *)result.policy), 0);
	ASSERT_EQ(berm_overlay_open(&all, &open), 0);
	ASSERT_OK(berm_expect_check(&open, &result, 1, &err), &err);
	snprintf(why, sizeof(why), "%s", result.fails ? result.why : "holds");
	berm_overlay_clear(&open);
	berm_overlay_clear(&all);
	documents_clear(&d);
	return why;
}

static const char *check(const char *expectation)
{
	char text[4096];

	snprintf(text, sizeof(text), DOC "%s\n", expectation);
	return check_document(text);
}

#define WORKLOADS                                                                                                                 \
	"kind: SegmentationPolicy\nname: w\nnamespace: shop\nsubject: {workload: {role: db}}\nisolate: [Ingress]\n"               \
	"ingress:\n- {name: in, expires: \"%s\", from: [{workload: {role: web}}], ports: [{port: 5432}]}\n"                       \
	"expect:\n- {from: {namespace: shop, labels: {berm.dev/role: web}}, to: {namespace: shop, labels: {berm.dev/role: db}}, " \
	"port: 5432, verdict: Allow}\n"                                                                                           \
	"- {from: {namespace: shop, labels: {berm.dev/role: spy}}, to: {namespace: shop, labels: {berm.dev/role: db}}, "          \
	"port: 5432, verdict: Deny}\n"

TEST(expect_effective,
     "made-up ends are workloads by their labels, and what has expired lets nobody in")
{
	char text[2048];

	snprintf(text, sizeof(text), WORKLOADS, "2040-01-01T00:00:00Z");
	EXPECT_STR_EQ(check_document(text), "holds");
	snprintf(text, sizeof(text), WORKLOADS, "2020-01-01T00:00:00Z");
	EXPECT_STR_HAS(check_document(text), "expected Allow, found Deny");
}

/* 1800000000 is a Friday. */
TEST(expect_schedule,
     "an expectation is about what is there while schedules are open, whatever the time is now")
{
	static const char fmt[] =
		"kind: SegmentationPolicy\nname: w\nnamespace: shop\nisolate: [Ingress]\nschedule: [{days: [%s]}]\n"
		"ingress:\n- {from: [{ipBlock: {cidr: 192.0.2.0/24}}], schedule: [{days: [%s]}], ports: [{port: 80}]}\n"
		"expect:\n- {from: 192.0.2.1, to: shop/db, port: 80, verdict: Allow}\n"
		"- {from: 192.0.3.1, to: shop/db, port: 80, verdict: Deny}\n";
	static const char *const days[] = { "Mon-Sun", "Fri", "Mon" };
	char text[1024];

	for (size_t i = 0; i < 9; i++) {
		snprintf(text, sizeof(text), fmt, days[i / 3], days[i % 3]);
		EXPECT_STR_EQ(check_document(text), "holds");
	}
}

TEST(expect_verdicts, "an expectation is judged by the compiler on ends that nobody has")
{
	static const struct {
		const char *name, *expectation, *want;
	} row[] = {
		{ "allowed", "{from: shop/web, to: shop/db, port: 5432, verdict: Allow}", "holds" },
		{ "denied", "{from: shop/spy, to: shop/db, port: 5432, verdict: Deny}", "holds" },
		{ "wrong deny", "{from: shop/web, to: shop/db, port: 5432, verdict: Deny}",
		  "shop/app=web -> shop/app=db TCP/5432: expected Deny, found Allow (ingress: rule shop/db:web)" },
		{ "wrong allow", "{from: shop/spy, to: shop/db, port: 5432, verdict: Allow}",
		  "shop/app=spy -> shop/app=db TCP/5432: expected Allow, found Deny (ingress: default-deny by shop/db)" },
		{ "another port", "{from: shop/web, to: shop/db, port: 80, verdict: Deny}",
		  "holds" },
		{ "another protocol",
		  "{from: shop/web, to: shop/db, port: 5432, protocol: UDP, verdict: Deny}",
		  "holds" },
		{ "another namespace", "{from: other/web, to: shop/db, port: 5432, verdict: Deny}",
		  "holds" },
		{ "an address", "{from: 192.0.2.7, to: shop/db, port: 80, verdict: Allow}",
		  "holds" },
		{ "an address outside", "{from: 192.0.3.7, to: shop/db, port: 80, verdict: Allow}",
		  "192.0.3.7 -> shop/app=db TCP/80: expected Allow, found Deny (ingress: default-deny by shop/db)" },
		{ "an IPv6 address", "{from: 2001:db8::1, to: shop/db, port: 80, verdict: Deny}",
		  "holds" },
		{ "labels",
		  "{from: {namespace: shop, labels: {app: web, x: z}}, to: shop/db, port: 5432, verdict: Allow}",
		  "holds" },
		{ "labels of the namespace",
		  "{from: {namespace: far, namespaceLabels: {team: red}}, to: shop/db, port: 81, verdict: Allow}",
		  "holds" },
		{ "other labels of it",
		  "{from: {namespace: far, namespaceLabels: {team: blue}}, to: shop/db, port: 81, verdict: Deny}",
		  "holds" },
		{ "nobody isolates", "{from: shop/db, to: shop/web, port: 1, verdict: Deny}",
		  "shop/app=db -> shop/app=web TCP/1: expected Deny, found Allow (ingress: no policy isolates it)" },
		{ "a namespace that denies",
		  "{from: shop/db, to: {namespace: nn, namespaceLabels: {berm.dev/default-verdict: deny}}, port: 1, verdict: Deny}",
		  "holds" },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		EXPECT_STR_EQ(check(row[i].expectation), row[i].want); /* row[i].name */
	}
}

/* Two worlds of one namespace in one document. */
TEST(expect_worlds, "expectations that say different things of one namespace are judged apart")
{
	EXPECT_STR_EQ(check("{from: {namespace: far, namespaceLabels: {team: red}}, to: shop/db, port: 81, verdict: Allow}\n"
			    "- {from: {namespace: far, namespaceLabels: {team: blue}}, to: shop/db, port: 81, verdict: Deny}\n"
			    "- {from: {namespace: far}, to: shop/db, port: 81, verdict: Deny}"),
		      "holds");
	EXPECT_STR_EQ(
		check("{from: {namespace: far, namespaceLabels: {team: red}}, to: shop/db, port: 81, verdict: Allow}\n"
		      "- {from: {namespace: far, namespaceLabels: {team: blue}}, to: shop/db, port: 81, verdict: Allow}"),
		"far/ -> shop/app=db TCP/81: expected Allow, found Deny (ingress: default-deny by shop/db)");
}

TEST(expect_strict, "an expectation that makes no sense makes the document invalid, and says where")
{
	static const struct {
		const char *name, *expectation, *want;
	} row[] = {
		{ "no port", "{from: a/b, to: a/c, verdict: Allow}",
		  "expect[0]: the field 'port'" },
		{ "no verdict", "{from: a/b, to: a/c, port: 1}", "expect[0]: the field 'verdict'" },
		{ "verdict", "{from: a/b, to: a/c, port: 1, verdict: Pass}", "expect[0].verdict" },
		{ "two addresses", "{from: 10.0.0.1, to: 10.0.0.2, port: 1, verdict: Allow}",
		  "expect[0]: no policy decides between two addresses" },
		{ "no end", "{from: web, to: a/c, port: 1, verdict: Allow}",
		  "expect[0].from: 'web' is no address and names no pods" },
		{ "short form", "{from: a/, to: a/c, port: 1, verdict: Allow}", "expect[0].from" },
		{ "namespace", "{from: A/b, to: a/c, port: 1, verdict: Allow}",
		  "expect[0].from: 'A' is not a namespace's name" },
		{ "port", "{from: a/b, to: a/c, port: 0, verdict: Allow}", "expect[0].port" },
		{ "unknown", "{from: {namespace: a, pod: x}, to: a/c, port: 1, verdict: Allow}",
		  "expect[0].from.pod: unknown field" },
		{ "two of one namespace",
		  "{from: {namespace: a, namespaceLabels: {x: w}}, to: {namespace: a, namespaceLabels: {x: z}}, port: 1, verdict: Allow}",
		  "expect[0]: namespace a has two different sets" },
	};
	static struct documents d;
	char text[4096];

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		snprintf(text, sizeof(text), DOC "%s\n", row[i].expectation);
		documents_parse(&d, text);
		EXPECT_TRUE(d.objects.count == 1 && d.objects.item[0].broken);
		EXPECT_STR_HAS(d.report, row[i].want);
		documents_clear(&d);
	}
}

/* ---- who waits ----------------------------------------------------------------------------------------------- */

static struct berm_model model;
static struct berm_lastgood *store;
static struct berm_intake intake;
static struct berm_source file[3] = { { .name = "a" }, { .name = "b" }, { .name = "c" } };

static void no_reload(const char *source, void *ctx)
{
	(void)source;
	(void)ctx;
}

static void start(void)
{
	struct berm_problems problems = { 0 };
	struct berm_err err = { 0 };
	char dir[512];

	snprintf(dir, sizeof(dir), "%s/documents", test_dir());
	ASSERT_OK(berm_lastgood_open(dir, &store, &problems, &err), &err);
	intake = (struct berm_intake){ .model = &model, .store = store, .reload = no_reload };
}

static void stop(void)
{
	struct berm_err err = { 0 };

	ASSERT_OK(berm_lastgood_save(store, &err), &err);
	for (int i = 0; i < 3; i++) {
		berm_source_clear(&file[i]);
		file[i] = (struct berm_source){ .name = file[i].name };
	}
	berm_intake_clear(&intake);
	berm_lastgood_close(store);
	berm_model_clear(&model);
}

static void load(int i, const char *text)
{
	struct berm_err err = { 0 };

	ASSERT_OK(berm_intake_load(&intake, &file[i], text, strlen(text), &err), &err);
}

static void settle(void)
{
	struct berm_err err = { 0 };

	if (berm_intake_is_unsettled(&intake))
		ASSERT_OK(berm_intake_settle(&intake, &err), &err);
}

static const char *standing;
static void find(const struct berm_intake_policy *policy, void *ctx)
{
	if (!strcmp(policy->name, ctx))
		standing = berm_standing_name(policy->standing);
}

/* "held/1": its standing, and how many rules of it are in the model. */
static const char *state(const char *name)
{
	static char text[64];
	const struct berm_policy *policy =
		berm_model_policy(&model, BERM_KIND_SEGMENTATION, "shop", name);

	standing = "none";
	berm_intake_each_policy(&intake, find, (void *)name);
	snprintf(text, sizeof(text), "%s/%d", standing, policy ? (int)policy->rule_count : -1);
	return text;
}

static const char *problem(void)
{
	static char text[1200];
	struct berm_problems all = { 0 };

	*text = '\0';
	ASSERT_EQ(berm_intake_problems(&intake, &all), 0);
	if (all.count)
		(void)berm_problem_format(&all.item[0], text, sizeof(text));
	berm_problems_clear(&all);
	return text;
}

#define HEAD(name, app)                                                                            \
	"kind: SegmentationPolicy\nname: " name                                                    \
	"\nnamespace: shop\nsubject: {podSelector: {matchLabels: {app: " app "}}}\n"
#define IN(app)	 "- {from: [{podSelector: {matchLabels: {app: " app "}}}], ports: [{port: 1}]}\n"
#define OLD	 HEAD("db", "db") "isolate: [Ingress]\ningress:\n" IN("web")
#define NEW	 HEAD("db", "db") "isolate: [Ingress]\ningress:\n" IN("web") IN("api")
#define WANT(to) "expect: [{from: shop/api, to: shop/" to ", port: 1, verdict: Allow}]\n"

TEST(held_last_good,
     "a version whose expectation fails is not applied; the last good one stays, over a restart too")
{
	start();
	load(0, OLD);
	EXPECT_STR_EQ(state("db"), "enforced/1");
	load(0, NEW "expect: [{from: shop/api, to: shop/db, port: 2, verdict: Allow}]\n");
	EXPECT_STR_EQ(state("db"), "held/1");
	settle();
	EXPECT_STR_EQ(state("db"), "held/1");
	EXPECT_STR_HAS(problem(), "expect[0]: shop/app=api -> shop/app=db TCP/2: expected Allow, "
				  "found Deny (ingress: default-deny by shop/db)");
	EXPECT_FALSE(berm_intake_is_unsettled(&intake));
	stop();
	start();
	load(0, NEW "expect: [{from: shop/api, to: shop/db, port: 2, verdict: Allow}]\n");
	settle();
	EXPECT_STR_EQ(state("db"), "held/1");
	load(0, NEW WANT("db")); /* mended */
	settle();
	EXPECT_STR_EQ(state("db"), "enforced/2");
	EXPECT_STR_EQ(problem(), "");
	stop();
	start(); /* it is the last good one now: nothing waits */
	load(0, NEW WANT("db"));
	EXPECT_STR_EQ(state("db"), "enforced/2");
	stop();
}

TEST(held_first, "the first version that a node sees isolates its subject until it holds")
{
	start();
	load(0, NEW "expect: [{from: shop/spy, to: shop/db, port: 1, verdict: Allow}]\n");
	settle();
	EXPECT_STR_EQ(state("db"), "held/0");
	load(0, HEAD("db", "db") "isolate: []\n" WANT("db") "ingress: [{action: Deny}]\n");
	settle();
	EXPECT_STR_EQ(state("db"), "held/-1"); /* it would have isolated nobody */
	EXPECT_STR_HAS(problem(), "expected Allow, found Deny (ingress: rule shop/db:#0)");
	stop();
}

#define OUT                                                                                        \
	HEAD("api", "api")                                                                         \
	"isolate: [Egress]\nessentials: []\negress:\n- {to: [{podSelector: {matchLabels: {app: db}}}]}\n"
#define SHUT HEAD("api", "api") "isolate: [Egress]\nessentials: []\n"

TEST(held_together,
     "a held version goes when the others that it needs have come, and at once with them")
{
	start();
	load(0, OLD);
	load(1, SHUT);
	load(0, NEW WANT("db"));
	settle();
	EXPECT_STR_EQ(state("db"), "held/1");
	EXPECT_STR_HAS(problem(), "found Deny (egress: default-deny by shop/api)");
	load(2, HEAD("x", "x") "isolate: [Ingress]\n"); /* has nothing to do with it */
	settle();
	EXPECT_STR_EQ(state("db"), "held/1");
	load(1, OUT WANT("db")); /* each needs the other */
	EXPECT_STR_EQ(state("api"), "held/0");
	settle();
	EXPECT_STR_EQ(state("db"), "enforced/2");
	EXPECT_STR_EQ(state("api"), "enforced/1");
	stop();
}

TEST(held_for_held,
     "what holds only with a version that is held itself is held, too, and nobody else")
{
	start();
	load(0, OLD);
	load(0, NEW WANT("db") "- {from: shop/spy, to: shop/db, port: 1, verdict: Allow}\n");
	load(1, OUT WANT("db"));
	load(2, HEAD("x", "x") "isolate: [Ingress]\ningress:\n" IN(
			"spy") "expect: [{from: shop/spy, to: shop/x, port: 1, verdict: Allow}]\n");
	settle();
	EXPECT_STR_EQ(state("api"), "held/0");
	EXPECT_STR_EQ(state("x"), "enforced/1"); /* has nothing to do with them */
	stop();
}

TEST(held_gone, "a held version goes with its source, and takes nobody's place")
{
	start();
	load(0, NEW "expect: [{from: shop/spy, to: shop/db, port: 1, verdict: Allow}]\n");
	settle();
	EXPECT_STR_EQ(state("db"), "held/0");
	berm_intake_drop(&intake, &file[0]);
	settle();
	EXPECT_EQ(model.policy_count, 0);
	EXPECT_STR_EQ(problem(), "");
	load(0, NEW WANT("db"));
	settle();
	EXPECT_STR_EQ(state("db"), "enforced/2");
	stop();
}
