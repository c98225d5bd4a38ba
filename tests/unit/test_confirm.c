/* SPDX-License-Identifier: Apache-2.0 */
/* test_confirm.c - versions that must be confirmed: lengths of time, who goes back when, and what of it is on disk. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "confirm_file.h"
#include "document_guard.h"
#include "intake.h"
#include "lastgood.h"
#include "moment.h"
#include "span.h"
#include "test.h"

/* ---- lengths of time ------------------------------------------------------------------------------------- */

TEST(span, "hours, minutes and seconds, each once and in this order")
{
	static const struct {
		const char *name, *text;
		int64_t want; /* 0: refused */
	} cases[] = {
		{ "seconds", "90s", 90 },
		{ "minutes", "5m", 300 },
		{ "all", "1h30m5s", 5405 },
		{ "most", "168h", 604800 },
		{ "zeros", "0h5m", 300 },
		{ "nothing", "", 0 },
		{ "no unit", "5", 0 },
		{ "no number", "m", 0 },
		{ "a day", "1d", 0 },
		{ "twice", "1m1m", 0 },
		{ "the other way round", "5s1m", 0 },
		{ "none at all", "0s", 0 },
		{ "too long", "168h1s", 0 },
		{ "far too long", "99999999999999999999h", 0 },
		{ "negative", "-5m", 0 },
		{ "a fraction", "1.5h", 0 },
		{ "spaces", "5 m", 0 },
		{ "behind it", "5m ", 0 },
	}, *c;

	for_each_case(c, cases) {
		struct berm_err err = { 0 };
		int64_t got = 0;
		int rc = berm_span_parse(c->text, BERM_CONFIRM_MAX_S, &got, &err);

		EXPECT_EQ(rc, c->want ? 0 : -EINVAL);
		EXPECT_EQ(got, c->want);
		if (rc)
			EXPECT_STR_HAS(err.msg, c->text);
	}
}

/* ---- deciding -------------------------------------------------------------------------------------------- */

TEST(confirm_decide,
     "confirmed stays; else until the deadline, then back if there is something to go back to")
{
	static const struct {
		const char *name;
		struct berm_confirm_facts facts;
		enum berm_confirm_state want;
	} cases[] = {
		{ "confirmed in time", { true, true, 100, 50 }, BERM_CONFIRM_DONE },
		{ "confirmed late", { true, true, 100, 150 }, BERM_CONFIRM_DONE },
		{ "before", { false, true, 100, 99 }, BERM_CONFIRM_WAITING },
		{ "on the second", { false, true, 100, 100 }, BERM_CONFIRM_BACK },
		{ "after", { false, true, 100, 5000 }, BERM_CONFIRM_BACK },
		{ "a late joiner before", { false, false, 100, 99 }, BERM_CONFIRM_WAITING },
		{ "a late joiner after", { false, false, 100, 100 }, BERM_CONFIRM_STUCK },
		{ "a late joiner, confirmed", { true, false, 100, 500 }, BERM_CONFIRM_DONE },
	}, *c;

	for_each_case(c, cases)
		EXPECT_EQ(berm_confirm_decide(&c->facts), c->want);
}

/* ---- a node ---------------------------------------------------------------------------------------------- */

#define SOURCE "configmap shop/c"
#define T0     1800000000 /* the node's first start */

struct node {
	struct berm_model model;
	struct berm_lastgood *store;
	struct berm_confirms *confirms;
	struct berm_intake intake;
	struct berm_source source;
	int64_t now_s;
	unsigned int reloads;
};

static struct node node;

static void on_reload(const char *source, void *ctx)
{
	(void)ctx;
	EXPECT_STR_EQ(source, SOURCE);
	node.reloads++;
}

static int64_t now_s(void *ctx)
{
	(void)ctx;
	return node.now_s;
}

static const char *path_of(const char *dir, const char *name)
{
	static char path[2][600];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s/%s", test_dir(), dir, name);
	return path[turn];
}

static void start(const char *dir, int64_t now)
{
	struct berm_problems problems = { 0 };
	struct berm_err err = { 0 };

	node = (struct node){ .source = { .name = SOURCE, .kind = "ConfigMap" }, .now_s = now };
	node.model.now_s = now;
	ASSERT_OK(berm_lastgood_open(path_of(dir, "documents"), &node.store, &problems, &err),
		  &err);
	if (berm_confirms_open(path_of(dir, "unconfirmed.json"), now, &node.confirms, &err))
		EXPECT_STR_HAS(err.msg, "is damaged");
	ASSERT_TRUE(node.confirms);
	node.intake = (struct berm_intake){ .model = &node.model,
					    .store = node.store,
					    .confirms = node.confirms,
					    .reload = on_reload,
					    .now_s = now_s };
	berm_problems_clear(&problems);
}

static void stop(void)
{
	struct berm_err err = { 0 };

	ASSERT_OK(berm_confirms_save(node.confirms, &err), &err);
	ASSERT_OK(berm_lastgood_save(node.store, &err), &err);
	berm_source_clear(&node.source);
	berm_intake_clear(&node.intake);
	berm_model_clear(&node.model);
	berm_confirms_close(node.confirms);
	berm_lastgood_close(node.store);
}

struct version {
	const char *name;		   /* of the document; NULL: the ConfigMap has none */
	int port;			   /* what tells its versions apart */
	const char *within;		   /* NULL: not guarded */
	const char *confirmed;		   /* NULL: not */
	int64_t written, created, guarded; /* guarded 0: when it was written */
	const char *more;		   /* of the document */
};

static const char *moment(int64_t at)
{
	static char text[4][BERM_MOMENT_STRLEN];
	static int turn;

	turn = (turn + 1) % 4;
	berm_moment_format(at, text[turn]);
	return text[turn];
}

static void say(const struct version *v)
{
	static char notes[400], data[600], text[4096];
	struct berm_err err = { 0 };

	*notes = *data = '\0';
	if (v->within)
		snprintf(notes, sizeof(notes), "\"berm.dev/confirm-within\":\"%s\"%s%s%s",
			 v->within, v->confirmed ? ",\"berm.dev/confirmed\":\"" : "",
			 v->confirmed ? v->confirmed : "", v->confirmed ? "\"" : "");
	if (v->name)
		snprintf(data, sizeof(data),
			 "\"p.yaml\":\"kind: SegmentationPolicy\\nname: %s\\nsubject: {}\\nisolate: [Ingress]\\n"
			 "ingress: [{ports: [{port: %d}]}]\\n%s\"",
			 v->name, v->port, v->more ? v->more : "");
	snprintf(text, sizeof(text),
		 "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"c\",\"namespace\":\"shop\","
		 "\"creationTimestamp\":\"%s\",\"labels\":{\"berm.dev/policy\":\"v1\"},\"annotations\":{%s},"
		 "\"managedFields\":[{\"manager\":\"a\",\"time\":\"%s\",\"fieldsV1\":{\"f:data\":{}}},"
		 "{\"manager\":\"b\",\"time\":\"%s\",\"fieldsV1\":{\"f:metadata\":"
		 "{\"f:annotations\":{\"f:berm.dev/confirm-within\":{}}}}}]},\"data\":{%s}}",
		 moment(v->created ? v->created : T0 - 1000), notes, moment(v->written),
		 moment(v->guarded ? v->guarded : v->written), data);
	ASSERT_OK(berm_intake_load(&node.intake, &node.source, text, strlen(text), &err), &err);
}

/* "one:80 waiting": policies in force with their port, and what is told of the ConfigMap. */
static const char *is(void)
{
	static char out[400];
	cJSON *doc = berm_confirms_json(node.confirms);
	const cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItem(doc, "confirmations"), 0);
	size_t used = 0;

	*out = '\0';
	for (size_t i = 0; i < node.model.policy_count; i++)
		used += (size_t)snprintf(out + used, sizeof(out) - used, "%s:%d ",
					 node.model.policies[i]->name,
					 node.model.policies[i]->rule_count
						 ? node.model.policies[i]->rule[0].port[0].first
						 : 0);
	snprintf(out + used, sizeof(out) - used, "%s",
		 first ? cJSON_GetStringValue(cJSON_GetObjectItem(first, "state")) : "-");
	cJSON_Delete(doc);
	return out;
}

static const char *digest(void)
{
	static char out[BERM_GUARD_DIGEST];
	cJSON *doc = berm_confirms_json(node.confirms);
	const cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItem(doc, "confirmations"), 0);

	snprintf(out, sizeof(out), "%s",
		 cJSON_GetStringValue(cJSON_GetObjectItem(first, "digest")));
	cJSON_Delete(doc);
	return out;
}

TEST(confirm_node,
     "a version is in force at once, goes back when the source is read after the deadline, not before")
{
	start("a", T0);
	say(&(struct version){ "one", 80, .written = T0 - 100 });
	berm_intake_go_live(&node.intake);
	EXPECT_STR_EQ(is(), "one:80 -");
	say(&(struct version){ "one", 81, "5m", .written = T0 });
	EXPECT_STR_EQ(is(), "one:81 waiting");
	EXPECT_EQ(berm_confirms_next(node.confirms), T0 + 300);
	node.now_s = T0 + 299;
	berm_intake_expire(&node.intake);
	EXPECT_EQ(node.reloads, 0);
	node.now_s = T0 + 300;
	berm_intake_expire(&node.intake);
	berm_intake_expire(&node.intake);
	EXPECT_EQ(node.reloads, 1);	       /* once */
	EXPECT_STR_EQ(is(), "one:81 waiting"); /* nobody has answered */
	say(&(struct version){ "one", 81, "5m", .written = T0 });
	EXPECT_STR_EQ(is(), "one:80 rolled-back");
	EXPECT_EQ(berm_confirms_next(node.confirms), INT64_MAX);
	say(&(struct version){ "two", 82, "5m", .written = T0 + 300 }); /* another try */
	EXPECT_STR_EQ(is(), "two:82 waiting");
	node.now_s = T0 + 600;
	say(&(struct version){ "two", 82, "5m", .written = T0 + 300 });
	EXPECT_STR_EQ(is(), "one:80 rolled-back"); /* the last one that was confirmed */
	say(&(struct version){ "one", 80, "5m", .written = T0 + 600 }); /* by hand */
	EXPECT_STR_EQ(is(), "one:80 -");
	stop();
}

TEST(confirm_confirmed,
     "a confirmation is one version's; late it brings it into force, and it is what the next goes back to")
{
	char first[BERM_GUARD_DIGEST];

	start("a", T0);
	say(&(struct version){ "one", 80, .written = T0 - 100 });
	berm_intake_go_live(&node.intake);
	say(&(struct version){ "one", 81, "5m", .written = T0 });
	snprintf(first, sizeof(first), "%s", digest());
	say(&(struct version){ "one", 81, "5m", first, .written = T0 });
	EXPECT_STR_EQ(is(), "one:81 -");
	node.now_s = T0 + 1000;
	say(&(struct version){ "one", 81, "5m", first, .written = T0 });
	EXPECT_STR_EQ(is(), "one:81 -");
	say(&(struct version){ "one", 82, "5m", first, .written = T0 + 900 });
	EXPECT_STR_EQ(is(), "one:82 waiting");
	node.now_s = T0 + 1200;
	say(&(struct version){ "one", 82, "5m", first, .written = T0 + 900 });
	EXPECT_STR_EQ(is(), "one:81 rolled-back");
	snprintf(first, sizeof(first), "%s", digest());
	say(&(struct version){ "one", 82, "5m", first, .written = T0 + 900 });
	EXPECT_STR_EQ(is(), "one:82 -");
	stop();
}

TEST(confirm_restart, "what was before is known after a restart, whenever the agent was off")
{
	start("a", T0);
	say(&(struct version){ "one", 80, .written = T0 - 100 });
	stop();
	start("a", T0 + 50); /* off when it came, on at the deadline */
	say(&(struct version){ "one", 81, "5m", .written = T0 });
	EXPECT_STR_EQ(is(), "one:81 waiting");
	stop();
	start("a", T0 + 300); /* off at the deadline */
	say(&(struct version){ "one", 81, "5m", .written = T0 });
	EXPECT_STR_EQ(is(), "one:80 rolled-back");
	stop();
	start("a", T0 + 400); /* and again */
	say(&(struct version){ "one", 81, "5m", .written = T0 });
	EXPECT_STR_EQ(is(), "one:80 rolled-back");
	stop();
}

TEST(confirm_late,
     "a node that never had the version before keeps the new one, and knows it after a restart")
{
	start("a", T0);
	say(&(struct version){ "one", 81, "5m", .written = T0 - 500 });
	EXPECT_STR_EQ(is(), "one:81 kept");
	stop();
	start("a", T0 + 10);
	say(&(struct version){ "one", 81, "5m", .written = T0 - 500 });
	EXPECT_STR_EQ(is(), "one:81 kept");
	say(&(struct version){ "one", 81, .written = T0 - 500 });
	EXPECT_STR_EQ(is(), "one:81 -");
	stop();
	test_file("a/unconfirmed.json",
		  "{\"format\":1,\"since\":"); /* damaged: as if it were new, but for its documents */
	start("a", T0 + 20);
	say(&(struct version){ "one", 82, "5m", .written = T0 - 500 });
	EXPECT_STR_EQ(is(), "one:81 rolled-back");
	stop();
}

TEST(confirm_new,
     "one that is new goes altogether, if it was not there when the node began to look")
{
	static const struct {
		const char *name;
		bool is_live;
		int64_t written, created, guarded; /* since the node's first start */
		const char *want;
	} cases[] = {
		{ "it came", true, 100, 100, 100, "rolled-back" },
		{ "it came while the agent was off", false, 100, 100, 100, "rolled-back" },
		{ "it was there before the node", false, -100, -100, -100,
		  "one:80 kept" },
		{ "it came and changed while the agent was off", false, 150, 100, 100,
		  "one:80 kept" },
		{ "it came, and was guarded only later", false, 100, 100, 150, "one:80 kept" },
	}, *c;
	char dir[8];

	for_each_case(c, cases) {
		snprintf(dir, sizeof(dir), "d%d", (int)(c - cases));
		start(dir, T0);
		berm_intake_go_live(&node.intake);
		if (!c->is_live) {
			node.confirms->is_dirty = true;
			stop();
			start(dir, T0 + 100000);
		}
		node.now_s = T0 + 100000;
		say(&(struct version){ "one", 80, "5m", .written = T0 + c->written,
				       .created = T0 + c->created, .guarded = T0 + c->guarded });
		EXPECT_STR_EQ(is(), c->want);
		stop();
	}
}

TEST(confirm_expect, "what goes back has been in force before: its expectations do not hold it up")
{
	static const char expects[] =
		"expect: [{from: shop/a, to: shop/b, port: 80, verdict: Allow}]\\n";
	struct berm_err err = { 0 };

	start("a", T0);
	say(&(struct version){ "one", 80, .written = T0 - 100, .more = expects });
	ASSERT_OK(berm_intake_settle(&node.intake, &err), &err);
	EXPECT_STR_EQ(is(), "one:80 -");
	berm_intake_go_live(&node.intake);
	say(&(struct version){ "one", 81, "5m", .written = T0 });
	node.now_s = T0 + 300;
	say(&(struct version){ "one", 81, "5m", .written = T0 });
	EXPECT_STR_EQ(is(), "one:80 rolled-back");
	EXPECT_FALSE(berm_intake_is_unsettled(&node.intake));
	stop();
}

TEST(confirm_gone,
     "with its source or its guard a version waits no more; what a stale file has is forgotten")
{
	start("a", T0);
	say(&(struct version){ "one", 80, .written = T0 - 100 });
	berm_intake_go_live(&node.intake);
	say(&(struct version){ "one", 81, "5m", .written = T0 });
	berm_intake_drop(&node.intake, &node.source);
	EXPECT_STR_EQ(is(), "-");
	say(&(struct version){ "one", 82, "5m", .written = T0 });
	say(&(struct version){ "one", 82, .written = T0 });
	EXPECT_STR_EQ(is(), "one:82 -");
	say(&(struct version){ "one", 83, "5m", .written = T0 });
	stop();
	start("a", T0 + 10); /* deleted in the meantime */
	ASSERT_EQ(berm_lastgood_retain(node.store, NULL, 0), 0);
	berm_intake_go_live(&node.intake);
	node.now_s = T0 + 1000;
	say(&(struct version){ "one", 84, "5m", .written = T0 + 20, .created = T0 + 20 });
	EXPECT_STR_EQ(is(), "rolled-back");
	stop();
}

TEST(confirm_digest, "the digest is of keys and texts, in any order of the keys")
{
	char a[BERM_GUARD_DIGEST], b[BERM_GUARD_DIGEST];
	static const struct {
		const char *name, *one, *other;
		bool is_same;
	} cases[] = {
		{ "order", "{\"a\":\"1\",\"b\":\"2\"}", "{\"b\":\"2\",\"a\":\"1\"}", true },
		{ "text", "{\"a\":\"1\"}", "{\"a\":\"2\"}", false },
		{ "key", "{\"a\":\"1\"}", "{\"b\":\"1\"}", false },
		{ "border", "{\"a\":\"1\",\"b\":\"\"}", "{\"a\":\"\",\"b\":\"1\"}", false },
		{ "absent", "{}", "null", true },
	}, *c;

	for_each_case(c, cases) {
		cJSON *one = cJSON_Parse(c->one), *other = cJSON_Parse(c->other);

		berm_guard_digest(one, NULL, a);
		berm_guard_digest(other, NULL, b);
		EXPECT_EQ(!strcmp(a, b), c->is_same);
		cJSON_Delete(one);
		cJSON_Delete(other);
	}
}
