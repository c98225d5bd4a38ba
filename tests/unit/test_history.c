/* SPDX-License-Identifier: Apache-2.0 */
/* test_history.c - what an entry says, how many there are, and what becomes of a bad file. */
#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "test.h"

static struct berm_model model;
static struct berm_history *history;

static const char *path(void)
{
	static char text[512];

	snprintf(text, sizeof(text), "%s/state/history.json", test_dir());
	return text;
}

static void put(const char *name, uint64_t digest)
{
	struct berm_policy *policy = calloc(1, sizeof(*policy));

	ASSERT_TRUE(policy);
	policy->kind = BERM_KIND_SEGMENTATION;
	policy->ns = strdup("shop");
	policy->name = strdup(name);
	policy->digest = digest;
	ASSERT_EQ(berm_model_put_policy(&model, policy), 0);
}

static void add(uint64_t generation)
{
	struct berm_generation now = { .generation = generation, .digest = "d", .time_s = 0 };

	ASSERT_TRUE(berm_history_is_behind(history, &model));
	ASSERT_EQ(berm_history_add(history, &model, &now), 0);
	EXPECT_FALSE(berm_history_is_behind(history, &model));
}

static char *text(void)
{
	cJSON *doc = berm_history_json(history);
	char *out = cJSON_PrintUnformatted(doc);

	cJSON_Delete(doc);
	return out;
}

static int reopen(void)
{
	struct berm_err err = { 0 };

	berm_history_close(history);
	history = NULL;
	return berm_history_open(path(), &history, &err);
}

static void finish(void)
{
	berm_history_close(history);
	history = NULL;
	berm_model_clear(&model);
}

TEST(history_entry, "an entry names what came, changed and went, with digests before and after")
{
	struct berm_err err = { 0 };
	char *all;

	ASSERT_EQ(reopen(), 0);
	EXPECT_TRUE(berm_history_is_behind(history, &model)); /* nothing is known */
	put("a", 1);
	put("b", 2);
	add(1);
	ASSERT_OK(berm_history_save(history, &err), &err);
	ASSERT_EQ(reopen(), 0);
	EXPECT_FALSE(berm_history_is_behind(history, &model));
	put("b", 3);
	put("c", 4);
	ASSERT_EQ(berm_model_remove_policy(&model, BERM_KIND_SEGMENTATION, "shop", "a"), 0);
	add(7);
	all = text();
	EXPECT_STR_HAS(
		all,
		"{\"history\":[{\"generation\":7,\"time\":\"1970-01-01T00:00:00Z\",\"policies\":2,\"digest\":\"d\","
		"\"added\":[{\"policy\":\"SegmentationPolicy shop/c\",\"after\":\"0000000000000004\"}],"
		"\"changed\":[{\"policy\":\"SegmentationPolicy shop/b\",\"before\":\"0000000000000002\",\"after\":\"0000000000000003\"}],"
		"\"removed\":[{\"policy\":\"SegmentationPolicy shop/a\",\"before\":\"0000000000000001\"}],"
		"\"added_count\":1,\"changed_count\":1,\"removed_count\":1},{\"generation\":1,");
	free(all);
	finish();
}

TEST(history_bounds, "ten entries are kept, and a hundred names of each kind; all are counted")
{
	char name[16], *all;
	cJSON *doc;

	ASSERT_EQ(reopen(), 0);
	for (unsigned int i = 0; i < 150; i++) {
		snprintf(name, sizeof(name), "p%u", i);
		put(name, i);
	}
	add(1);
	all = text();
	EXPECT_STR_HAS(all, "\"added_count\":150");
	EXPECT_STR_LACKS(all, "shop/p99\""); /* in the order of their names it is the last */
	free(all);
	for (unsigned int i = 0; i < 12; i++) {
		put("p0", 1000 + i);
		add(2 + i);
	}
	doc = berm_history_json(history);
	EXPECT_EQ(cJSON_GetArraySize(cJSON_GetObjectItem(doc, "history")), BERM_HISTORY_ENTRIES);
	cJSON_Delete(doc);
	finish();
}

TEST(history_damage, "a damaged file is told, and the history begins anew")
{
	static const char *const bad[] = { "",
					   "{",
					   "{}",
					   "[]",
					   "{\"format\":1,\"history\":{},\"documents\":[]}",
					   "{\"format\":1,\"history\":[],\"documents\":[1]}",
					   "{\"format\":2,\"history\":[],\"documents\":[]}" };
	struct berm_err err = { 0 };

	put("a", 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		test_file("state/history.json", bad[i]);
		EXPECT_TRUE(reopen() < 0);
		ASSERT_TRUE(history);
		add(1);
		ASSERT_OK(berm_history_save(history, &err), &err);
		EXPECT_EQ(reopen(), 0);
		EXPECT_FALSE(berm_history_is_behind(history, &model));
	}
	finish();
}
