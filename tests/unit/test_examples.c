/* SPDX-License-Identifier: Apache-2.0 */
/* test_examples.c - what we show to users must be right: manifests/examples and the YAML in docs/policy.md. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "document.h"
#include "fsutil.h"
#include "test.h"

static char *read_source(const char *path, size_t *size)
{
	struct berm_err err = { 0 };
	char *text = NULL;

	ASSERT_OK(berm_file_read(path, 1 << 20, &text, size, &err), &err);
	return text;
}

/* Number of policies; every problem fails the test. */
static size_t check(const char *source, const char *text, size_t size)
{
	struct berm_objects objects = { 0 };
	struct berm_problems problems = { 0 };
	struct berm_err err = { 0 };
	size_t policies = 0;
	char line[1024];

	ASSERT_OK(berm_document_parse(source, text, size, &objects, &problems, &err), &err);
	for (size_t i = 0; i < problems.count; i++) {
		(void)berm_problem_format(&problems.item[i], line, sizeof(line));
		test_failed(__FILE__, __LINE__, "%s", line);
	}
	for (size_t i = 0; i < objects.count; i++)
		policies += objects.item[i].policy != NULL;
	berm_objects_clear(&objects);
	berm_problems_clear(&problems);
	return policies;
}

TEST(examples, "the example manifests have no problems")
{
	DIR *dir = opendir("manifests/examples");
	struct dirent *entry;
	size_t files = 0;

	ASSERT_TRUE(dir != NULL); /* tests run in the tree's root */
	while ((entry = readdir(dir))) {
		char path[512];
		auto_free char *text = NULL;
		size_t size;

		if (!strstr(entry->d_name, ".yaml"))
			continue;
		snprintf(path, sizeof(path), "manifests/examples/%s", entry->d_name);
		text = read_source(path, &size);
		test_case_name = entry->d_name;
		EXPECT_GE(check(path, text, size), 1);
		files++;
	}
	test_case_name = NULL;
	closedir(dir);
	EXPECT_GE(files, 4);
}

TEST(examples_in_docs, "the documents in docs/policy.md have no problems")
{
	size_t size, blocks = 0;
	auto_free char *text = read_source("docs/policy.md", &size);
	const char *p = text, *end;

	while ((p = strstr(p, "```yaml\n"))) {
		p += strlen("```yaml\n");
		end = strstr(p, "```");
		ASSERT_TRUE(end != NULL);
		EXPECT_GE(check("docs/policy.md", p, (size_t)(end - p)), 1);
		p = end + 3;
		blocks++;
	}
	EXPECT_EQ(blocks, 11);
}
