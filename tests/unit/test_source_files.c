/* SPDX-License-Identifier: Apache-2.0 */
/* test_source_files.c - a directory of documents as a source: what writers do to it, and what the model has then. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lastgood.h"
#include "source_files.h"
#include "test.h"

static struct berm_model model;
static struct berm_lastgood *store;
static struct berm_files *files;
static struct berm_err err;
static int64_t now = 1000; /* ms: the clock stands still unless a test moves it */

static const char *path_of(const char *name)
{
	static char path[8][512];
	static int turn;

	turn = (turn + 1) % 8;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", test_dir(), name);
	return path[turn];
}

static const char *pod(const char *name, const char *app)
{
	static char text[4][512];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(text[turn], sizeof(text[turn]),
		 "apiVersion: v1\nkind: Pod\nmetadata:\n  name: %s\n  namespace: shop\n  labels: {app: %s}\n",
		 name, app);
	return text[turn];
}

static const char *policy(const char *name, const char *app)
{
	static char text[4][512];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(text[turn], sizeof(text[turn]),
		 "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: %s, namespace: shop}\n"
		 "spec:\n  podSelector: {matchLabels: {app: %s}}\n  policyTypes: [Ingress]\n",
		 name, app);
	return text[turn];
}

/* Written elsewhere and renamed, as careful tools do. */
static void put(const char *name, const char *text)
{
	char from[600], to[600];

	snprintf(from, sizeof(from), "%s", test_file("tmp/new", text));
	snprintf(to, sizeof(to), "%s/m/%s", test_dir(), name);
	ASSERT_EQ(rename(from, to), 0);
}

static void setup(void)
{
	struct berm_problems problems = { 0 };

	ASSERT_EQ(mkdir(path_of("m"), 0700), 0);
	ASSERT_OK(berm_lastgood_open(path_of("state"), &store, &problems, &err), &err);
	ASSERT_OK(berm_files_open(path_of("m"), &model, store, &files, &err), &err);
}

static int process(void)
{
	int wait = -2;

	ASSERT_OK(berm_files_process(files, now, &wait, &err), &err);
	return wait;
}

static void teardown(void)
{
	berm_files_close(files);
	berm_lastgood_close(store);
	berm_model_clear(&model);
}

static const char *app_of(const char *name)
{
	const struct berm_pod *found = berm_model_pod(&model, "shop", name);
	const char *value = found ? berm_labels_get(&found->labels, "app") : NULL;

	return value ? value : "(none)";
}

static bool has_policy(const char *name)
{
	size_t i;

	for (i = 0; i < model.policy_count; i++)
		if (!strcmp(model.policies[i]->name, name))
			return true;
	return false;
}

/* The lines of all problems in one text. */
static const char *problems(void)
{
	static char text[8192];
	struct berm_problems all = { 0 };
	size_t i, at = 0;

	ASSERT_EQ(berm_intake_problems(berm_files_intake(files), &all), 0);
	text[0] = '\0';
	for (i = 0; i < all.count && at < sizeof(text) - 2; i++) {
		at += (size_t)berm_problem_format(&all.item[i], text + at, sizeof(text) - at - 1);
		text[at++] = '\n';
		text[at] = '\0';
	}
	berm_problems_clear(&all);
	return text;
}

TEST(files_follow, "files come, change and go, and so do their objects")
{
	setup();
	put("a.yaml", pod("web", "one"));
	test_file("m/ignored.txt", pod("ignored", "x"));
	test_file("m/.hidden.yaml", pod("hidden", "x"));
	EXPECT_EQ(process(), -1);
	EXPECT_TRUE(berm_files_has_synced(files));
	EXPECT_STR_EQ(app_of("web"), "one");
	EXPECT_STR_EQ(app_of("ignored"), "(none)");
	EXPECT_STR_EQ(app_of("hidden"), "(none)");

	put("a.yaml", pod("web", "two"));
	put("b.json",
	    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"j\",\"namespace\":\"shop\","
	    "\"labels\":{\"app\":\"json\"}}}");
	process();
	EXPECT_STR_EQ(app_of("web"), "two");
	EXPECT_STR_EQ(app_of("j"), "json");

	ASSERT_EQ(unlink(path_of("m/a.yaml")), 0);
	EXPECT_GT(process(), 0);
	EXPECT_STR_EQ(app_of("web"), "two"); /* it may come back: editors do that */
	now += BERM_FILES_GRACE_MS;
	EXPECT_EQ(process(), -1);
	EXPECT_STR_EQ(app_of("web"), "(none)");
	EXPECT_STR_EQ(app_of("j"), "json");
	teardown();
}

TEST(files_delete_and_create,
     "a file that an editor deletes and creates again never loses its objects")
{
	uint64_t removed;

	setup();
	put("a.yaml", policy("wall", "db"));
	process();
	ASSERT_TRUE(has_policy("wall"));
	ASSERT_EQ(unlink(path_of("m/a.yaml")), 0);
	process();
	EXPECT_TRUE(has_policy("wall"));
	put("a.yaml", policy("wall", "other"));
	removed = model.version;
	now += 10 * BERM_FILES_GRACE_MS;
	process();
	EXPECT_TRUE(has_policy("wall"));
	EXPECT_EQ(model.version, removed + 1); /* one put, no removal */
	teardown();
}

TEST(files_half_written, "half a file is never read: a writer that has it open is waited for")
{
	const char *text = policy("wall", "db");
	size_t half = strlen(text) / 2;
	int fd;

	setup();
	put("a.yaml", pod("web", "one"));
	process();
	fd = open(path_of("m/b.yaml"), O_WRONLY | O_CREAT, 0600);
	ASSERT_TRUE(fd >= 0);
	ASSERT_EQ(write(fd, text, half), (ssize_t)half);
	process();
	berm_files_rescan(files); /* what a restart or lost events would do */
	EXPECT_GT(process(), 0);
	EXPECT_FALSE(has_policy("wall"));
	EXPECT_STR_EQ(problems(), "");
	ASSERT_EQ(write(fd, text + half, strlen(text) - half), (ssize_t)(strlen(text) - half));
	close(fd);
	process();
	EXPECT_TRUE(has_policy("wall"));

	fd = open(path_of("m/b.yaml"), O_WRONLY | O_TRUNC); /* rewritten in place */
	ASSERT_TRUE(fd >= 0);
	ASSERT_EQ(write(fd, text, half), (ssize_t)half);
	berm_files_rescan(files);
	process();
	EXPECT_TRUE(has_policy("wall"));
	EXPECT_STR_EQ(problems(), "");
	close(fd); /* the writer died half-way: now it is a broken document */
	process();
	EXPECT_TRUE(has_policy("wall")); /* the last good version stays */
	teardown();
}

TEST(files_start_waits, "a start waits for a file that is being written, but not for ever")
{
	int fd;

	setup();
	fd = open(path_of("m/a.yaml"), O_WRONLY | O_CREAT, 0600);
	ASSERT_TRUE(fd >= 0);
	ASSERT_EQ(write(fd, "kind: Po", 8), 8);
	EXPECT_GT(process(), 0);
	EXPECT_FALSE(berm_files_has_synced(files));
	now += 60000;
	process();
	EXPECT_TRUE(berm_files_has_synced(files));
	close(fd);
	teardown();
}

TEST(files_twice, "an object in two files: the first by name counts, and both are named")
{
	setup();
	put("b.yaml", pod("web", "from-b"));
	process();
	EXPECT_STR_EQ(app_of("web"), "from-b");
	put("a.yaml", pod("web", "from-a"));
	put("c.yaml", policy("wall", "db"));
	put("d.yaml", policy("wall", "other"));
	process();
	EXPECT_STR_EQ(app_of("web"), "from-a");
	EXPECT_STR_HAS(problems(), "is in a.yaml and in b.yaml: the one in a.yaml counts");
	EXPECT_STR_HAS(problems(), "NetworkPolicy shop/wall");
	EXPECT_STR_HAS(problems(), "is in c.yaml and in d.yaml");
	ASSERT_EQ(unlink(path_of("m/a.yaml")), 0);
	process();
	now += BERM_FILES_GRACE_MS;
	process();
	EXPECT_STR_EQ(app_of("web"), "from-b");
	EXPECT_STR_LACKS(problems(), "a.yaml");
	put("c.yaml", pod("other", "x")); /* c no longer defines the wall: d's stands */
	process();
	EXPECT_TRUE(has_policy("wall"));
	EXPECT_STR_EQ(problems(), "");
	teardown();
}

TEST(files_renamed,
     "a file that is renamed keeps its objects, at every moment, and is no duplicate")
{
	setup();
	put("a.yaml", policy("wall", "db"));
	process();
	ASSERT_EQ(rename(path_of("m/a.yaml"), path_of("m/z.yaml")), 0);
	process();
	EXPECT_TRUE(has_policy("wall"));
	EXPECT_STR_EQ(problems(), "");
	EXPECT_EQ(berm_files_count(files), 1);
	teardown();
}

TEST(files_broken, "a broken document keeps its last good version, and the others do not care")
{
	setup();
	put("a.yaml", policy("wall", "db"));
	put("b.yaml", pod("web", "one"));
	process();
	put("a.yaml",
	    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: wall, namespace: shop}\n"
	    "spec: {podSelector: {}, ingres: []}\n");
	put("b.yaml", pod("web", "two"));
	process();
	EXPECT_TRUE(has_policy("wall"));
	EXPECT_STR_EQ(app_of("web"), "two");
	EXPECT_STR_HAS(problems(), "a.yaml:4:");
	EXPECT_STR_HAS(problems(), "ingres");
	put("a.yaml", policy("wall", "db"));
	process();
	EXPECT_STR_EQ(problems(), "");
	teardown();
}

TEST(files_unreadable, "what cannot be read changes nothing and is named")
{
	setup();
	put("a.yaml", pod("web", "one"));
	put("p.yaml", policy("wall", "db"));
	process();
	ASSERT_EQ(unlink(path_of("m/a.yaml")), 0);
	ASSERT_EQ(unlink(path_of("m/p.yaml")), 0);
	ASSERT_EQ(mkfifo(path_of("m/a.yaml"), 0600), 0);
	ASSERT_EQ(symlink("nowhere/else", path_of("m/p.yaml")), 0);
	berm_files_rescan(files);
	process();
	EXPECT_STR_EQ(app_of("web"), "one");
	EXPECT_STR_HAS(problems(), "a.yaml is not a regular file");
	now += 2 * BERM_FILES_GRACE_MS;
	process();
	EXPECT_STR_EQ(app_of("web"), "one");
	EXPECT_FALSE(has_policy("wall")); /* a link to nothing is no file */
	teardown();
}

TEST(files_dir_replaced, "a directory that disappears changes nothing; the new one counts")
{
	setup();
	put("a.yaml", pod("web", "one"));
	put("b.yaml", pod("db", "one"));
	process();
	ASSERT_EQ(rename(path_of("m"), path_of("old")), 0);
	EXPECT_GT(process(), 0);
	EXPECT_TRUE(berm_files_is_lost(files));
	now += 60000;
	process();
	EXPECT_STR_EQ(app_of("web"), "one");
	ASSERT_EQ(mkdir(path_of("m"), 0700), 0);
	put("a.yaml", pod("web", "new"));
	now += 60000;
	process();
	EXPECT_FALSE(berm_files_is_lost(files));
	EXPECT_STR_EQ(app_of("web"), "new");
	EXPECT_STR_EQ(app_of("db"), "one"); /* gone, but not for long enough */
	now += BERM_FILES_GRACE_MS;
	process();
	EXPECT_STR_EQ(app_of("db"), "(none)");
	put("a.yaml", pod("web", "newer")); /* it is the new directory that is watched */
	process();
	EXPECT_STR_EQ(app_of("web"), "newer");
	teardown();
}

TEST(files_mounted, "links through a link that turns, as kubelet mounts a ConfigMap")
{
	setup();
	test_file("m/..v1/a.yaml", pod("web", "one"));
	test_file("m/..v2/a.yaml", pod("web", "two"));
	ASSERT_EQ(symlink("..v1", path_of("m/..data")), 0);
	ASSERT_EQ(symlink("..data/a.yaml", path_of("m/a.yaml")), 0);
	process();
	EXPECT_STR_EQ(app_of("web"), "one");
	ASSERT_EQ(symlink("..v2", path_of("m/..data_tmp")), 0);
	ASSERT_EQ(rename(path_of("m/..data_tmp"), path_of("m/..data")), 0);
	process();
	EXPECT_STR_EQ(app_of("web"), "two");
	teardown();
}

TEST(files_link, "a file that arrives as a hard link is read")
{
	setup();
	process();
	ASSERT_EQ(link(test_file("tmp/x", pod("web", "one")), path_of("m/a.yaml")), 0);
	process();
	EXPECT_STR_EQ(app_of("web"), "one");
	teardown();
}

TEST(files_restart, "after a start the store forgets files that went, and keeps what is broken now")
{
	struct berm_problems problems_of_store = { 0 };

	setup();
	put("a.yaml", policy("wall", "db"));
	put("b.yaml", policy("gone", "db"));
	process();
	ASSERT_OK(berm_lastgood_save(store, &err), &err);
	teardown();
	model = (struct berm_model){ 0 };
	ASSERT_EQ(unlink(path_of("m/b.yaml")), 0);
	put("a.yaml", "kind: [half");
	ASSERT_OK(berm_lastgood_open(path_of("state"), &store, &problems_of_store, &err), &err);
	ASSERT_OK(berm_files_open(path_of("m"), &model, store, &files, &err), &err);
	process();
	EXPECT_TRUE(has_policy("wall"));
	EXPECT_FALSE(has_policy("gone"));
	EXPECT_STR_HAS(problems(), "a.yaml:");
	teardown();
}

TEST(files_no_dir, "a directory that is not there is refused with its name")
{
	struct berm_problems none = { 0 };

	ASSERT_OK(berm_lastgood_open(path_of("state"), &store, &none, &err), &err);
	EXPECT_EQ(berm_files_open(path_of("nowhere"), &model, store, &files, &err), -ENOENT);
	EXPECT_STR_HAS(err.msg, "nowhere");
	test_file("file", "");
	EXPECT_EQ(berm_files_open(path_of("file"), &model, store, &files, &err), -ENOTDIR);
	berm_lastgood_close(store);
}
