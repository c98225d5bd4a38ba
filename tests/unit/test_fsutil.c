/* SPDX-License-Identifier: Apache-2.0 */
/* test_fsutil.c - files are the old one or the new one; logs stay below their cap. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "log.h"
#include "test.h"

static void in_dir(const char *name, char out[256])
{
	snprintf(out, 256, "%s/%s", test_dir(), name);
}

static int entries(void)
{
	DIR *dir = opendir(test_dir());
	int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n - 2;
}

TEST(files_are_replaced_whole)
{
	struct berm_err err = { 0 };
	char path[256], *text = NULL;
	struct stat st;
	size_t size;

	in_dir("f", path);
	ASSERT_OK(berm_file_write(path, "first", 5, 0600, &err), &err);
	ASSERT_OK(berm_file_write(path, "", 0, 0644, &err), &err);
	ASSERT_OK(berm_file_read(path, 10, &text, &size, &err), &err);
	EXPECT_EQ(size, 0);
	EXPECT_STR_EQ(text, "");
	free(text);
	EXPECT_EQ(stat(path, &st), 0);
	EXPECT_EQ(st.st_mode & 0777, 0644);
	EXPECT_EQ(entries(), 1); /* no temporary file stays */
	EXPECT_EQ(berm_file_write("/nonexistent/f", "x", 1, 0600, &err), -ENOENT);
	EXPECT_STR_HAS(err.msg, "/nonexistent/f");
}

TEST(reads_have_a_bound)
{
	struct berm_err err = { 0 };
	char *text = NULL;
	size_t size = 0;

	EXPECT_EQ(berm_file_read(test_file("f", "12345"), 4, &text, &size, &err), -EFBIG);
	EXPECT_STR_HAS(err.msg, "more than 4 bytes");
	EXPECT_TRUE(!text);
	EXPECT_OK(berm_file_read(test_file("f", "12345"), 5, &text, &size, &err), &err);
	EXPECT_EQ(size, 5);
	free(text);
	EXPECT_EQ(berm_file_read("/dev/zero", 100000, &text, &size, &err), -EFBIG);
	EXPECT_EQ(berm_file_read("/nonexistent", 5, &text, &size, &err), -ENOENT);
}

TEST(directories_and_deleting)
{
	struct berm_err err = { 0 };
	char path[256];

	in_dir("a/b/c", path);
	EXPECT_OK(berm_mkdirs(path, 0755, &err), &err);
	EXPECT_OK(berm_mkdirs(path, 0755, &err), &err);
	in_dir("a/b/c/file", path);
	EXPECT_OK(berm_file_write(path, "x", 1, 0600, &err), &err);
	EXPECT_OK(berm_file_delete(path, &err), &err);
	EXPECT_OK(berm_file_delete(path, &err), &err);
	(void)test_file("plain", "x");
	in_dir("plain/sub", path);
	EXPECT_EQ(berm_mkdirs(path, 0755, &err), -ENOTDIR);
}

TEST(logs_stay_below_their_cap)
{
	struct berm_err err = { 0 };
	char path[256], old[256], *text = NULL;
	struct berm_log_opts opts = { .program = "test",
				      .path = path,
				      .max_bytes = 1000,
				      .level = BERM_LOG_INFO,
				      .no_stderr = true };
	struct stat now, before;

	in_dir("log/x.log", path);
	in_dir("log/x.log.1", old);
	ASSERT_OK(berm_log_open(&opts, &err), &err);
	for (int i = 0; i < 100; i++)
		berm_log(BERM_LOG_INFO, "thing-done", "i=%d text=\"%s\"", i, "a\nb\x1b");
	berm_log(BERM_LOG_DEBUG, "unwanted", NULL);
	berm_log(BERM_LOG_ERROR, "last", NULL);
	berm_log_close();
	ASSERT_EQ(stat(path, &now), 0);
	ASSERT_EQ(stat(old, &before), 0);
	EXPECT_LT(now.st_size, 1200);
	EXPECT_LT(before.st_size, 1200);
	ASSERT_OK(berm_file_read(path, 10000, &text, NULL, &err), &err);
	EXPECT_STR_HAS(text, "Z thing-done level=info program=test pid=");
	EXPECT_STR_HAS(text, "i=99 text=\"a?b?\"\n");
	EXPECT_STR_HAS(text, " last level=error");
	EXPECT_STR_LACKS(text, "unwanted");
	free(text);
}

TEST(reads_do_not_wait, "a FIFO in a watched directory does not hold up its reader")
{
	struct berm_err err = { 0 };
	char path[256], *text = NULL;
	size_t size = 0;

	in_dir("fifo", path);
	ASSERT_EQ(mkfifo(path, 0600), 0);
	alarm(10); /* instead of hanging for ever */
	EXPECT_EQ(berm_file_read(path, 10, &text, &size, &err), -EINVAL);
	alarm(0);
	EXPECT_STR_HAS(err.msg, "fifo");
	EXPECT_TRUE(!text);
}
