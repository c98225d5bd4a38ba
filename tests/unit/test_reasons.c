/* SPDX-License-Identifier: Apache-2.0 */
/* test_reasons.c - docs/reasons.md tells of every reason in abi.h, and of no other. */
#include <stdlib.h>
#include <string.h>

#include "abi.h"
#include "names.h"
#include "test.h"

#define PAGE "docs/reasons.md" /* hack/test runs programs from the top of the tree */

/* The file; tests are processes of their own, so nobody frees it. */
static char *page(void)
{
	static char text[65536];
	FILE *in = fopen(PAGE, "re");
	size_t size;

	ASSERT_TRUE(in);
	size = fread(text, 1, sizeof(text) - 1, in);
	fclose(in);
	text[size] = '\0';
	return text;
}

static int rows_of(const char *text)
{
	int rows = 0;

	for (const char *at = text; (at = strstr(at, "\n| ")); at++)
		rows += at[3] >= '0' && at[3] <= '9';
	return rows;
}

TEST(every_reason_is_documented)
{
	char row[256];
	char *text = page();

#define X(id, num, name, help)                                                                     \
	snprintf(row, sizeof(row), "| %d | `%s` | %s |", num, name, help);                         \
	if (!strstr(text, row))                                                                    \
		test_failed(__FILE__, __LINE__, "%s lacks the row: %s", PAGE, row);
	BERM_REASONS(X)
#undef X
	EXPECT_EQ(rows_of(text), BERM_REASON_COUNT);
}

TEST(reasons_have_their_names)
{
	EXPECT_STR_EQ(berm_reason_name(BERM_REASON_DEFAULT_DENY), "default-deny");
	EXPECT_STR_EQ(berm_reason_name(BERM_REASON_COUNT), "unknown");
	EXPECT_STR_EQ(berm_reason_name(~0u), "unknown");
}
