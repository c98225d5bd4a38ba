/* SPDX-License-Identifier: Apache-2.0 */
/* test_lastgood.c - what is enforced while documents are broken, across restarts and bad disks. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "lastgood.h"
#include "test.h"

#define MAP(ns, key, doc)                                                                          \
	"kind: ConfigMap\nmetadata: {name: c, namespace: " ns ", labels: {berm.dev/policy: v1}}\n" \
	"data:\n  " key ": |\n" doc
#define GOOD(name, dirs)                                                                           \
	"    kind: SegmentationPolicy\n    name: " name "\n    isolate: [" dirs "]\n"              \
	"    subject: {podSelector: {matchLabels: {app: db}}}\n    ingress: [{}]\n"
#define BROKEN(name, dirs)                                                                         \
	"    kind: SegmentationPolicy\n    name: " name "\n    isolate: [" dirs "]\n"              \
	"    subject: {podSelector: {matchLabels: {app: db}}}\n    ingress: [{x: 1}]\n"
#define CUT "    kind: SegmentationPolicy\n    name: [\n"

struct fixture {
	char dir[512];
	struct berm_lastgood *store;
	struct berm_problems damage; /* found while opening */
	struct berm_resolution now;
};

static void reopen(struct fixture *f)
{
	struct berm_err err = { 0 };

	snprintf(f->dir, sizeof(f->dir), "%s/documents", test_dir());
	berm_lastgood_close(f->store);
	berm_problems_clear(&f->damage);
	ASSERT_OK(berm_lastgood_open(f->dir, &f->store, &f->damage, &err), &err);
}

static void finish(struct fixture *f)
{
	berm_resolution_clear(&f->now);
	berm_problems_clear(&f->damage);
	berm_lastgood_close(f->store);
	f->store = NULL;
}

static void save(struct fixture *f)
{
	struct berm_err err = { 0 };

	ASSERT_OK(berm_lastgood_save(f->store, &err), &err);
}

/* The source says text now. */
static void say_from(struct fixture *f, const char *source, const char *text)
{
	struct berm_objects objects = { 0 };
	struct berm_problems problems = { 0 };
	struct berm_err err = { 0 };

	berm_resolution_clear(&f->now);
	ASSERT_OK(berm_document_parse(source, text, strlen(text), &objects, &problems, &err), &err);
	ASSERT_OK(berm_lastgood_resolve(f->store, source, &objects, &f->now, &err), &err);
	berm_objects_clear(&objects);
	berm_problems_clear(&problems);
}

static void say(struct fixture *f, const char *text)
{
	say_from(f, "f.yaml", text);
}

/* "shop/a enforced, ..." and "+shop" for a namespace that is isolated. */
static const char *standing(const struct fixture *f)
{
	static char out[1024];
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < f->now.count; i++)
		used += (size_t)snprintf(out + used, sizeof(out) - used, "%s%s/%s %s",
					 i ? ", " : "", f->now.item[i].ns, f->now.item[i].name,
					 berm_standing_name(f->now.item[i].standing));
	for (size_t i = 0; i < f->now.isolated_ns_count; i++)
		used += (size_t)snprintf(out + used, sizeof(out) - used, "%s+%s", used ? ", " : "",
					 f->now.isolated_ns[i]);
	return out;
}

static const struct berm_policy *policy(const struct fixture *f, size_t i)
{
	ASSERT_TRUE(i < f->now.count);
	ASSERT_TRUE(f->now.item[i].policy != NULL);
	return f->now.item[i].policy;
}

TEST(lastgood_stays, "a document that breaks keeps its last good version; others are untouched")
{
	struct fixture f = { 0 };

	reopen(&f);
	say(&f, MAP("shop", "p.yaml", GOOD("a", "Ingress") "    ---\n" GOOD("b", "Ingress")));
	EXPECT_STR_EQ(standing(&f), "shop/a enforced, shop/b enforced");
	EXPECT_EQ(policy(&f, 0)->rule_count, 1);

	say(&f, MAP("shop", "p.yaml", BROKEN("a", "Egress") "    ---\n" GOOD("b", "Egress")));
	EXPECT_STR_EQ(standing(&f), "shop/a invalid-last-good, shop/b enforced");
	EXPECT_EQ(policy(&f, 0)->isolate, 1 << BERM_INGRESS); /* the old one */
	EXPECT_EQ(policy(&f, 0)->rule_count, 1);
	EXPECT_EQ(policy(&f, 1)->isolate, 1 << BERM_EGRESS); /* the new one */

	/* Broken for ever so long, it stays what it was; mended, it is what it says. */
	say(&f, MAP("shop", "p.yaml", BROKEN("a", "Egress")));
	EXPECT_STR_EQ(standing(&f), "shop/a invalid-last-good"); /* b is deleted */
	say(&f, MAP("shop", "p.yaml", GOOD("a", "Egress")));
	EXPECT_STR_EQ(standing(&f), "shop/a enforced");
	EXPECT_EQ(policy(&f, 0)->isolate, 1 << BERM_EGRESS);
	finish(&f);
}

TEST(lastgood_unreadable,
     "while a part of a key does not parse, all last good documents of that key stay")
{
	struct fixture f = { 0 };

	reopen(&f);
	say(&f, MAP("shop", "p.yaml", GOOD("a", "Ingress") "    ---\n" GOOD("b", "Ingress")));
	say(&f, MAP("shop", "p.yaml", CUT "    ---\n" GOOD("b", "Egress")));
	EXPECT_STR_EQ(standing(&f), "shop/a invalid-last-good, shop/b enforced");
	EXPECT_EQ(policy(&f, 1)->isolate, 1 << BERM_EGRESS); /* defined anew */

	say(&f, MAP("shop", "p.yaml", CUT));
	EXPECT_STR_EQ(standing(&f), "shop/a invalid-last-good, shop/b invalid-last-good");
	EXPECT_EQ(policy(&f, 1)->isolate, 1 << BERM_EGRESS);

	/* A document whose name is gone is as unreadable as one that does not parse. */
	say(&f,
	    MAP("shop", "p.yaml", "    kind: SegmentationPolicy\n    name: A\n    isolate: x\n"));
	EXPECT_STR_EQ(standing(&f), "shop/a invalid-last-good, shop/b invalid-last-good");

	say(&f,
	    "kind: ConfigMap\nmetadata: {name: c, namespace: shop\n"); /* not even the ConfigMap parses */
	EXPECT_STR_EQ(standing(&f), "shop/a invalid-last-good, shop/b invalid-last-good");

	say(&f,
	    "kind: ConfigMap\nmetadata: {name: c, namespace: shop, labels: {berm.dev/policy: v1}}\n"
	    "data:\n  p.yaml: {}\n");
	EXPECT_STR_EQ(standing(&f), "shop/a invalid-last-good, shop/b invalid-last-good");

	say(&f, MAP("shop", "p.yaml", GOOD("b", "Egress")));
	EXPECT_STR_EQ(standing(&f), "shop/b enforced"); /* everything parses: a is deleted */
	finish(&f);
}

TEST(lastgood_other_key, "an unreadable key holds nothing of another key")
{
	struct fixture f = { 0 };

	reopen(&f);
	say(&f, MAP("shop", "p.yaml", GOOD("a", "Ingress") "  q.yaml: |\n" GOOD("b", "Ingress")));
	EXPECT_STR_EQ(standing(&f), "shop/a enforced, shop/b enforced");
	say(&f, MAP("shop", "p.yaml", CUT));
	EXPECT_STR_EQ(standing(&f),
		      "shop/a invalid-last-good"); /* key q.yaml is gone, and b with it */
	finish(&f);
}

TEST(lastgood_none,
     "a broken first version isolates what it names or the namespace's new pods, never opens [invalid.no_last_good]")
{
	static const struct {
		const char *name, *text, *want;
		int isolate; /* of the first; -1: it has no policy */
	} cases[] = {
		{ "subject readable", MAP("shop", "p.yaml", BROKEN("a", "Ingress")), "shop/a invalid-isolating", 1 },
		{ "both ways", MAP("shop", "p.yaml", BROKEN("a", "Ingress, Egress")), "shop/a invalid-isolating", 3 },
		{ "does not parse", MAP("shop", "p.yaml", CUT), "+shop", -1 },
		{ "isolate not readable", MAP("shop", "p.yaml", BROKEN("a", "Ingres")), "shop/a invalid, +shop", -1 },
		{ "an overlay isolates nobody", MAP("shop", "p.yaml", BROKEN("a", "")), "shop/a invalid", -1 },
		{ "nameless", MAP("shop", "p.yaml", "    kind: SegmentationPolicy\n    isolate: [Ingress]\n"),
		  "shop/(unnamed, line 5) invalid-isolating", 1 },
		{ "another's tier", MAP("shop", "p.yaml", "    kind: SegmentationPolicy\n    name: a\n    tier: admin\n"),
		  "shop/a invalid, +shop", -1 },
		{ "the system's", MAP("berm-system", "p.yaml", CUT), "", -1 },
		{ "the system's, subject readable", MAP("berm-system", "p.yaml", BROKEN("a", "Ingress")),
		  "berm-system/a invalid-isolating", 1 },
		{ "a plain file", "kind: [\n", "", -1 },
		{ "NetworkPolicy", "kind: NetworkPolicy\nmetadata: {name: np, namespace: shop}\nspec: {egress: [{x: 1}]}\n",
		  "shop/np invalid-isolating", 3 },
		{ "NetworkPolicy, subject not readable",
		  "kind: NetworkPolicy\nmetadata: {name: np, namespace: shop}\nspec: {podSelector: []}\n",
		  "shop/np invalid, +shop", -1 },
		{ "control: a good one", MAP("shop", "p.yaml", GOOD("a", "Ingress")), "shop/a enforced", 1 },
	}, *c;

	for_each_case(c, cases) {
		struct fixture f = { 0 };

		reopen(&f);
		say(&f, c->text);
		EXPECT_STR_EQ(standing(&f), c->want);
		if (c->isolate >= 0) {
			EXPECT_EQ(policy(&f, 0)->isolate, c->isolate);
			EXPECT_EQ(policy(&f, 0)->rule_count,
				  f.now.item[0].standing == BERM_STANDING_ENFORCED);
		} else if (f.now.count) {
			EXPECT_TRUE(f.now.item[0].policy == NULL);
		}
		finish(&f);
	}
}

TEST(lastgood_new_beside_old,
     "one unreadable part too many is a new document: its namespace's new pods are isolated")
{
	struct fixture f = { 0 };

	reopen(&f);
	say(&f, MAP("shop", "p.yaml", GOOD("a", "Ingress")));
	say(&f, MAP("shop", "p.yaml", GOOD("a", "Ingress") "    ---\n" CUT));
	EXPECT_STR_EQ(standing(&f), "shop/a enforced, +shop");
	say(&f, MAP("shop", "p.yaml", CUT));
	EXPECT_STR_EQ(standing(&f), "shop/a invalid-last-good"); /* it may well be a */
	say(&f, MAP("shop", "p.yaml", CUT "    ---\n" CUT));
	EXPECT_STR_EQ(standing(&f), "shop/a invalid-last-good, +shop");
	finish(&f);
}

TEST(lastgood_restart, "last good versions survive a restart")
{
	struct fixture f = { 0 };
	uint64_t digest;

	reopen(&f);
	say(&f, MAP("shop", "p.yaml", GOOD("a", "Ingress")));
	digest = policy(&f, 0)->digest;
	say_from(&f, "dir/other \"file\".yaml",
		 "kind: List\nitems: [{kind: NetworkPolicy, metadata: {name: np}, spec: {}}]\n");
	EXPECT_STR_EQ(standing(&f), "default/np enforced");
	save(&f);
	reopen(&f);
	EXPECT_EQ(f.damage.count, 0);
	say(&f, MAP("shop", "p.yaml", BROKEN("a", "Egress")));
	EXPECT_STR_EQ(standing(&f), "shop/a invalid-last-good");
	EXPECT_TRUE(policy(&f, 0)->digest == digest);
	EXPECT_EQ(policy(&f, 0)->line, 5);
	say_from(&f, "dir/other \"file\".yaml", "kind: [\n");
	EXPECT_STR_EQ(standing(&f), "default/np invalid-last-good");
	finish(&f);
}

TEST(lastgood_unsaved, "what was not saved is not there after a restart")
{
	struct fixture f = { 0 };

	reopen(&f);
	say(&f, MAP("shop", "p.yaml", GOOD("a", "Ingress")));
	reopen(&f);
	say(&f, MAP("shop", "p.yaml", CUT));
	EXPECT_STR_EQ(standing(&f), "+shop");
	finish(&f);
}

static size_t files_in(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	size_t n = 0;

	ASSERT_TRUE(d != NULL);
	while ((entry = readdir(d)))
		n += entry->d_name[0] != '.';
	closedir(d);
	return n;
}

TEST(lastgood_forget)
{
	static const char *const kept[] = { "x.yaml", "b.yaml" };
	struct fixture f = { 0 };

	reopen(&f);
	say_from(&f, "a.yaml", MAP("shop", "p.yaml", GOOD("a", "Ingress")));
	say_from(&f, "b.yaml", MAP("shop", "p.yaml", GOOD("b", "Ingress")));
	say_from(&f, "c.yaml", MAP("shop", "p.yaml", GOOD("c", "Ingress")));
	say_from(&f, "d.yaml", "kind: Deployment\n"); /* nothing to keep */
	save(&f);
	EXPECT_EQ(files_in(f.dir), 3);

	berm_lastgood_forget(f.store, "a.yaml");
	berm_lastgood_forget(f.store, "never.yaml");
	say_from(&f, "a.yaml", MAP("shop", "p.yaml", CUT));
	EXPECT_STR_EQ(standing(&f), "+shop"); /* forgotten at once */
	berm_lastgood_forget(f.store, "a.yaml");
	save(&f);
	EXPECT_EQ(files_in(f.dir), 2);

	reopen(&f);
	ASSERT_EQ(berm_lastgood_retain(f.store, kept, 2), 0);
	save(&f);
	EXPECT_EQ(files_in(f.dir), 1);
	say_from(&f, "b.yaml", MAP("shop", "p.yaml", CUT));
	EXPECT_STR_EQ(standing(&f), "shop/b invalid-last-good");
	say_from(&f, "c.yaml", MAP("shop", "p.yaml", CUT));
	EXPECT_STR_EQ(standing(&f), "+shop");

	say_from(&f, "b.yaml", ""); /* an empty file deletes its documents */
	EXPECT_STR_EQ(standing(&f), "");
	save(&f);
	EXPECT_EQ(files_in(f.dir), 0);
	finish(&f);
}

/* The path of the only file. */
static const char *only_file(const struct fixture *f)
{
	static char path[1024];
	DIR *d = opendir(f->dir);
	struct dirent *entry;

	ASSERT_TRUE(d != NULL);
	while ((entry = readdir(d)))
		if (entry->d_name[0] != '.')
			snprintf(path, sizeof(path), "%s/%s", f->dir, entry->d_name);
	closedir(d);
	return path;
}

TEST(lastgood_idempotent, "the same documents again write nothing")
{
	struct fixture f = { 0 };
	struct stat before, after;

	reopen(&f);
	say(&f, MAP("shop", "p.yaml", GOOD("a", "Ingress")));
	save(&f);
	ASSERT_EQ(stat(only_file(&f), &before), 0);
	say(&f, MAP("shop", "p.yaml", GOOD("a", "Ingress")));
	say(&f, MAP("shop", "p.yaml", BROKEN("a", "Ingress")));
	save(&f);
	ASSERT_EQ(stat(only_file(&f), &after), 0);
	EXPECT_EQ(after.st_ino, before.st_ino); /* a write would rename a new file over it */
	say(&f, MAP("shop", "p.yaml", GOOD("a", "Egress")));
	save(&f);
	ASSERT_EQ(stat(only_file(&f), &after), 0);
	EXPECT_NE(after.st_ino, before.st_ino);
	finish(&f);
}

static void overwrite(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	ASSERT_TRUE(file && fputs(text, file) >= 0 && !fclose(file));
}

TEST(lastgood_damaged,
     "a truncated or damaged file is named, set aside and written anew; it opens nothing")
{
	static const struct {
		const char *name;
		long cut;	  /* bytes that stay; -1: all, but one is changed */
		const char *text; /* instead */
		const char *want;
	} cases[] = {
		{ "cut in the middle", 200, NULL, "is truncated: it has" },
		{ "cut to nothing", 0, NULL, "is not a file of last good documents" },
		{ "cut in the first line", 20, NULL, "is not a file of last good documents" },
		{ "one byte changed", -1, NULL, "is damaged: its checksum is wrong" },
		{ "garbage", 0, "\1\2\3\n", "is not a file of last good documents" },
		{ "of a later version", 0, "berm-lastgood 2 0 0\n", "or of another version" },
	}, *c;

	for_each_case(c, cases) {
		struct fixture f = { 0 };
		char path[1024];
		FILE *file;

		reopen(&f);
		say(&f, MAP("shop", "p.yaml", GOOD("a", "Ingress")));
		save(&f);
		snprintf(path, sizeof(path), "%s", only_file(&f));
		ASSERT_EQ(c->cut >= 0 ? truncate(path, c->cut) : 0, 0);
		if (c->text)
			overwrite(path, c->text);
		if (c->cut < 0) {
			file = fopen(path, "r+e");
			ASSERT_TRUE(file && !fseek(file, -10, SEEK_END) &&
				    fputc('#', file) == '#' && !fclose(file));
		}
		reopen(&f);
		ASSERT_EQ(f.damage.count, 1);
		EXPECT_STR_EQ(f.damage.item[0].source, path);
		EXPECT_STR_HAS(f.damage.item[0].message, c->want);
		say(&f, MAP("shop", "p.yaml", CUT));
		EXPECT_STR_EQ(standing(&f), "+shop");

		say(&f, MAP("shop", "p.yaml", GOOD("a", "Ingress")));
		save(&f);
		reopen(&f);
		EXPECT_EQ(f.damage.count, 0); /* set aside */
		say(&f, MAP("shop", "p.yaml", CUT));
		EXPECT_STR_EQ(standing(&f), "shop/a invalid-last-good");
		say(&f, "");
		save(&f);
		snprintf(path + strlen(path), 16, ".damaged");
		EXPECT_EQ(unlink(path), 0);
		finish(&f);
	}
}

TEST(lastgood_no_disk, "a disk that cannot be written is named; the store works on from memory")
{
	struct berm_problems problems = { 0 };
	struct berm_lastgood *store = NULL;
	struct berm_err err = { 0 };
	struct fixture f = { 0 };
	char dir[512];

	snprintf(dir, sizeof(dir), "%s/documents", test_file("plain", ""));
	EXPECT_EQ(berm_lastgood_open(dir, &store, &problems, &err), -ENOTDIR);
	EXPECT_STR_HAS(err.msg, "/plain: Not a directory");
	ASSERT_TRUE(store != NULL);
	f.store = store;
	say(&f, MAP("shop", "p.yaml", GOOD("a", "Ingress")));
	err.msg[0] = '\0';
	EXPECT_EQ(berm_lastgood_save(store, &err), -ENOTDIR);
	EXPECT_STR_HAS(err.msg, "the last good documents of f.yaml are not on disk");
	say(&f, MAP("shop", "p.yaml", CUT));
	EXPECT_STR_EQ(standing(&f), "shop/a invalid-last-good");

	/* What could not be written stays due. */
	ASSERT_EQ(unlink(test_file("plain", "")), 0);
	EXPECT_OK(berm_lastgood_save(store, &err), &err);
	berm_lastgood_close(store);
	f.store = NULL;
	ASSERT_OK(berm_lastgood_open(dir, &f.store, &problems, &err), &err);
	say(&f, MAP("shop", "p.yaml", CUT));
	EXPECT_STR_EQ(standing(&f), "shop/a invalid-last-good");
	finish(&f);
}

TEST(lastgood_full_disk, "a disk that fills up leaves the file as it was")
{
	struct rlimit full = { 10, RLIM_INFINITY }, room;
	struct fixture f = { 0 };
	struct berm_err err = { 0 };

	reopen(&f);
	say(&f, MAP("shop", "p.yaml", GOOD("a", "Ingress")));
	save(&f);
	say(&f, MAP("shop", "p.yaml", GOOD("a", "Egress")));
	signal(SIGXFSZ,
	       SIG_IGN); /* writing beyond the limit fails as on a full disk, with another errno */
	ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &room), 0);
	ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
	EXPECT_EQ(berm_lastgood_save(f.store, &err), -EFBIG);
	EXPECT_STR_HAS(err.msg, "the last good documents of f.yaml are not on disk");
	ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &room), 0);
	EXPECT_EQ(files_in(f.dir), 1);

	say(&f, MAP("shop", "p.yaml", CUT));
	EXPECT_EQ(policy(&f, 0)->isolate, 1 << BERM_EGRESS); /* memory has the new one */
	reopen(&f);
	say(&f, MAP("shop", "p.yaml", CUT));
	EXPECT_EQ(policy(&f, 0)->isolate, 1 << BERM_INGRESS); /* the disk the old one, whole */
	finish(&f);
}

/* A file as another version of Berm might have left it; its documents are not all taken today. */
TEST(lastgood_other_version, "a kept document that this version does not take counts as none")
{
	struct berm_objects objects = { 0 };
	struct berm_object kept = {
		.kind = BERM_OBJ_POLICY,
		.ns = (char *)"shop",
		.name = (char *)"a",
		.key = (char *)"f.yaml#configmap/shop/c/p.yaml",
		.carrier = (char *)"shop",
		.text = (char *)"kind: SegmentationPolicy\nname: a\nisolate: [Sideways]\n",
	};
	struct berm_policy *got = NULL;
	struct berm_err err = { 0 };

	EXPECT_EQ(berm_document_parse_kept("f.yaml", &kept, &got, &err), -EINVAL);
	EXPECT_TRUE(got == NULL);
	EXPECT_STR_HAS(err.msg, "the last good version of a is not taken any more");
	EXPECT_STR_HAS(err.msg, "Sideways");
	berm_objects_clear(&objects);
}

TEST(lastgood_killed_writer, "temporary files of a writer that was killed are swept away")
{
	struct fixture f = { 0 };
	char left[1024];

	reopen(&f);
	snprintf(left, sizeof(left), "%s/.0123.lastgood.4711", f.dir);
	overwrite(left, "berm-lastgood 1 99 ");
	reopen(&f);
	EXPECT_EQ(f.damage.count, 0);
	EXPECT_EQ(access(left, F_OK), -1);
	finish(&f);
}

TEST(lastgood_unreadable_now,
     "a file that cannot be read at the moment is not set aside as damaged")
{
	struct fixture f = { 0 };
	struct rlimit before, few;
	int fd;

	reopen(&f);
	say(&f, MAP("shop", "p.yaml", GOOD("a", "Ingress")));
	save(&f);
	fd = dup(0);
	ASSERT_GE(fd, 0);
	close(fd);
	ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){ (rlim_t)fd + 1,
			       before.rlim_max }; /* the directory, and no file in it */
	ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
	reopen(&f);
	ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
	EXPECT_EQ(f.damage.count, 1);
	EXPECT_STR_HAS(f.damage.item[0].message, "Too many open files");
	reopen(&f);
	say(&f, MAP("shop", "p.yaml", CUT));
	EXPECT_STR_EQ(standing(&f), "shop/a invalid-last-good");
	finish(&f);
}
