// SPDX-License-Identifier: Apache-2.0
/* test_level.c - where the levels begin, and that one is left only with some room. */
#include "level.h"
#include "test.h"

TEST(level_limits, "normal below 70 %, warning up to 90 %, critical above")
{
	EXPECT_EQ(berm_level_of(0, BERM_LEVEL_NORMAL), BERM_LEVEL_NORMAL);
	EXPECT_EQ(berm_level_of(0.699, BERM_LEVEL_NORMAL), BERM_LEVEL_NORMAL);
	EXPECT_EQ(berm_level_of(0.70, BERM_LEVEL_NORMAL), BERM_LEVEL_WARNING);
	EXPECT_EQ(berm_level_of(0.90, BERM_LEVEL_NORMAL), BERM_LEVEL_WARNING);
	EXPECT_EQ(berm_level_of(0.901, BERM_LEVEL_NORMAL), BERM_LEVEL_CRITICAL);
	EXPECT_STR_EQ(berm_level_name(BERM_LEVEL_CRITICAL), "critical");
}

TEST(level_sways, "a load that sways about a limit changes the level once")
{
	EXPECT_EQ(berm_level_of(0.69, BERM_LEVEL_WARNING), BERM_LEVEL_WARNING);
	EXPECT_EQ(berm_level_of(0.64, BERM_LEVEL_WARNING), BERM_LEVEL_NORMAL);
	EXPECT_EQ(berm_level_of(0.89, BERM_LEVEL_CRITICAL), BERM_LEVEL_CRITICAL);
	EXPECT_EQ(berm_level_of(0.84, BERM_LEVEL_CRITICAL), BERM_LEVEL_WARNING);
	EXPECT_EQ(berm_level_of(0.68, BERM_LEVEL_CRITICAL), BERM_LEVEL_WARNING);
	EXPECT_EQ(berm_level_of(0.30, BERM_LEVEL_CRITICAL), BERM_LEVEL_NORMAL);
}
