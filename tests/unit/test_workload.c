/* SPDX-License-Identifier: Apache-2.0 */
/* test_workload.c - the four-label model: whose label counts, what workload and scope select. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "compile.h"
#include "documents.h"
#include "effective.h"
#include "interpret.h"
#include "objects.h"
#include "test.h"

static void load(struct berm_model *m, const char *ns, const char *text)
{
	static struct documents d;

	documents_parse_in(&d, ns, text);
	for (size_t i = 0; i < d.objects.count; i++)
		if (d.objects.item[i].policy)
			ASSERT_EQ(berm_model_put_policy(m, TAKE_PTR(d.objects.item[i].policy)), 0);
	EXPECT_STR_EQ(d.report, "");
	documents_clear(&d);
}

/* shop/db in slot 1; web in shop and in pay, which is another app; evil/liar says of itself what it likes. */
static void scene(struct berm_model *m)
{
	memset(m, 0, sizeof(*m));
	objects_namespace(m, "shop", "berm.dev/app=shop berm.dev/env=prod");
	objects_namespace(m, "pay", "app.kubernetes.io/part-of=pay berm.dev/env=prod");
	objects_namespace(m, "evil", "");
	objects_pod(m, "shop/db", "app.kubernetes.io/component=db", "10.1.0.1");
	objects_pod(m, "shop/web", "berm.dev/role=web app.kubernetes.io/component=db", "10.1.0.2");
	objects_pod(m, "pay/web", "app.kubernetes.io/name=web", "10.1.0.3");
	objects_pod(m, "evil/liar",
		    "berm.dev/role=web berm.dev/app=shop berm.dev/env=prod "
		    "app.kubernetes.io/part-of=shop workload:app=shop workload:env=prod",
		    "10.1.0.4");
	objects_endpoint(m, 1, "shop/db");
}

static bool is_in(const struct berm_model *m, const char *peer)
{
	struct question q = { .ep = &m->endpoints[0],
			      .dir = BERM_INGRESS,
			      .peer = objects_addr(peer),
			      .plane = BERM_PLANE_TCP,
			      .port = 80 };
	struct berm_plan *plan = NULL;
	struct berm_problems problems = { 0 };
	struct berm_err err = { 0 };
	uint8_t action;

	ASSERT_OK(berm_compile(m, &plan, &problems, &err), &err);
	interpret_check(plan);
	action = interpret(plan, &q).action;
	berm_plan_free(plan);
	berm_problems_clear(&problems);
	return action == BERM_ACTION_ALLOW;
}

#define WEB_SHOP "10.1.0.2"
#define WEB_PAY	 "10.1.0.3"
#define LIAR	 "10.1.0.4"
#define STRANGER "192.0.2.1"

static const char *workload(const struct berm_model *m, const char *ns, const char *pod)
{
	static char text[200];
	const struct berm_pod *p = berm_model_pod(m, ns, pod);
	size_t used = 0;

	ASSERT_TRUE(p != NULL);
	text[0] = '\0';
	for (int d = 0; d < BERM_DIMENSION_COUNT; d++) {
		const char *value = berm_labels_get(&p->labels, berm_dimension_label(d));

		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", d ? " " : "",
					 value ? value : "-");
	}
	return text;
}

TEST(workload_labels,
     "the role is the pod's own, app, env and loc are its namespace's, whatever the pod says")
{
	struct berm_model m;

	scene(&m);
	EXPECT_STR_EQ(workload(&m, "shop", "db"), "db shop prod -");
	EXPECT_STR_EQ(workload(&m, "shop", "web"), "web shop prod -");
	EXPECT_STR_EQ(workload(&m, "pay", "web"), "web pay prod -");
	EXPECT_STR_EQ(workload(&m, "evil", "liar"), "web - - -");
	objects_namespace(&m, "evil", "berm.dev/loc=eu berm.dev/role=other");
	EXPECT_STR_EQ(workload(&m, "evil", "liar"), "web - - eu");
	ASSERT_EQ(berm_model_remove_namespace(&m, "shop"), 0);
	EXPECT_STR_EQ(workload(&m, "shop", "web"), "web - - -");
	EXPECT_STR_EQ(workload(&m, "pay", "web"), "web pay prod -");
	objects_pod(&m, "new/pod", "", "10.1.0.9"); /* before its namespace */
	EXPECT_STR_EQ(workload(&m, "new", "pod"), "- - - -");
	objects_namespace(&m, "new", "berm.dev/role=batch");
	EXPECT_STR_EQ(workload(&m, "new", "pod"), "batch - - -");
	berm_model_clear(&m);
}

TEST(workload_mapping,
     "a LabelMapping says where a dimension comes from, in its order; the first by name counts")
{
	struct berm_model m;
	struct berm_problems problems = { 0 };

	scene(&m);
	load(&m, "berm-system",
	     "kind: LabelMapping\nname: m\napp: [{namespace: team}, {pod: berm.dev/app}]\nenv: []\n");
	EXPECT_STR_EQ(workload(&m, "evil", "liar"), "web shop - -");
	EXPECT_STR_EQ(workload(&m, "shop", "web"), "web - - -");
	objects_namespace(&m, "evil", "team=red");
	EXPECT_STR_EQ(workload(&m, "evil", "liar"), "web red - -");
	load(&m, "berm-system", "kind: LabelMapping\nname: z\nrole: []\n");
	EXPECT_STR_EQ(workload(&m, "evil", "liar"), "web red - -");
	ASSERT_EQ(berm_effective_problems(&m, &problems), 0);
	ASSERT_EQ(problems.count, 1);
	EXPECT_STR_EQ(problems.item[0].document, "LabelMapping berm-system/z");
	EXPECT_STR_HAS(problems.item[0].message, "LabelMapping m comes before it");
	berm_problems_clear(&problems);
	load(&m, "berm-system", "kind: LabelMapping\nname: a\nrole: []\n");
	EXPECT_STR_EQ(workload(&m, "evil", "liar"), "- - - -");
	ASSERT_EQ(berm_model_remove_policy(&m, BERM_KIND_MAPPING, "berm-system", "a"), 0);
	ASSERT_EQ(berm_model_remove_policy(&m, BERM_KIND_MAPPING, "berm-system", "m"), 0);
	ASSERT_EQ(berm_model_remove_policy(&m, BERM_KIND_MAPPING, "berm-system", "z"), 0);
	EXPECT_STR_EQ(workload(&m, "shop", "web"), "web shop prod -");
	berm_model_clear(&m);
}

TEST(workload_peer, "a workload peer selects by role, app, env and loc; a liar is not let in")
{
	struct berm_model m;

	scene(&m);
	load(&m, "shop",
	     "kind: SegmentationPolicy\nname: db\nisolate: [Ingress]\n"
	     "subject: {workload: {role: db, app: shop}}\n"
	     "ingress: [{from: [{workload: {role: web, app: shop}, namespaceSelector: {}}]}]\n");
	EXPECT_TRUE(is_in(&m, WEB_SHOP));
	EXPECT_FALSE(is_in(&m, WEB_PAY));
	EXPECT_FALSE(is_in(&m, LIAR));
	load(&m, "shop", /* without namespaceSelector: of the own namespace */
	     "kind: SegmentationPolicy\nname: db\nisolate: [Ingress]\n"
	     "ingress: [{from: [{workload: {role: web}}]}]\n");
	EXPECT_TRUE(is_in(&m, WEB_SHOP));
	EXPECT_FALSE(is_in(&m, WEB_PAY));
	load(&m, "shop",
	     "kind: SegmentationPolicy\nname: db\nisolate: [Ingress]\n"
	     "subject: {workload: {role: web}}\n");
	EXPECT_TRUE(is_in(&m, STRANGER)); /* db is none */
	berm_model_clear(&m);
}

TEST(workload_scope,
     "scope limits the subject and peers that select pods, unless one says scope: any")
{
	struct berm_model m;

	scene(&m);
	load(&m, "berm-system",
	     "kind: SegmentationPolicy\nname: db\nscope: {app: shop, env: prod}\nisolate: [Ingress]\n"
	     "ingress: [{from: [{workload: {role: web}}]}]\n");
	EXPECT_TRUE(is_in(&m, WEB_SHOP));
	EXPECT_FALSE(is_in(&m, WEB_PAY));
	EXPECT_FALSE(is_in(&m, LIAR));
	load(&m, "berm-system", /* the scope may stand behind the rules */
	     "kind: SegmentationPolicy\nname: db\nisolate: [Ingress]\n"
	     "ingress: [{from: [{workload: {role: web}, scope: any}, {ipBlock: {cidr: 192.0.2.0/24}}]}]\n"
	     "scope: {app: shop}\n");
	EXPECT_TRUE(is_in(&m, WEB_PAY));
	EXPECT_TRUE(is_in(&m, LIAR));
	EXPECT_TRUE(is_in(&m, STRANGER));
	load(&m, "berm-system",
	     "kind: SegmentationPolicy\nname: db\nscope: {app: pay}\nisolate: [Ingress]\n");
	EXPECT_TRUE(is_in(&m, STRANGER)); /* db is another app's */
	berm_model_clear(&m);
}

TEST(workload_refusals, "what is wrong with a workload, a scope or a LabelMapping is said")
{
	static const struct {
		const char *name, *ns, *text, *want;
	} cases[] = {
		{ "unknown", "shop", "kind: SegmentationPolicy\nname: a\nisolate: []\nsubject: {workload: {rol: x}}\n",
		  "subject.workload.rol: unknown field; did you mean 'role'?" },
		{ "value", "shop", "kind: SegmentationPolicy\nname: a\nisolate: []\nscope: {app: 'a b'}\n",
		  "scope.app: 'a b' is nobody's app" },
		{ "empty", "shop", "kind: SegmentationPolicy\nname: a\nisolate: []\nscope: {}\n",
		  "scope: says nothing without role, app, env or loc" },
		{ "scope of a peer", "shop",
		  "kind: SegmentationPolicy\nname: a\nisolate: []\ningress: [{from: [{workload: {role: x}, scope: all}]}]\n",
		  "'all' is not a peer's scope; write scope: any" },
		{ "scope alone", "shop", "kind: SegmentationPolicy\nname: a\nisolate: []\ningress: [{from: [{scope: any}]}]\n",
		  "an empty peer says nothing" },
		{ "workload and block", "shop",
		  "kind: SegmentationPolicy\nname: a\nisolate: []\ningress: [{from: [{workload: {role: x}, ipBlock: {cidr: 10.0.0.0/8}}]}]\n",
		  "ipBlock goes with no selector" },
		{ "a tenant's mapping", "shop", "kind: LabelMapping\nname: a\napp: [{pod: app}]\n",
		  "a LabelMapping is not for namespace shop" },
		{ "no label", "berm-system", "kind: LabelMapping\nname: a\napp: [{pod: 'workload:app'}]\n",
		  "'workload:app' is not a label's name" },
		{ "both", "berm-system", "kind: LabelMapping\nname: a\napp: [{pod: a, namespace: b}]\n",
		  "a label is the pod's or the namespace's" },
		{ "nothing", "berm-system", "kind: LabelMapping\nname: a\napp: [{}]\n", "an empty item says nothing" },
	}, *c;
	static struct documents d;

	for_each_case(c, cases) {
		documents_parse_in(&d, c->ns, c->text);
		EXPECT_STR_HAS(d.report, c->want);
		ASSERT_EQ(d.objects.count, 1);
		EXPECT_TRUE(d.objects.item[0].broken);
		EXPECT_TRUE(!d.objects.item[0].isolation || strcmp(c->name, "value") != 0);
		documents_clear(&d);
	}
}
