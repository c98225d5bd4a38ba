/* SPDX-License-Identifier: Apache-2.0 */
/* test_apply_ids.c - ids and blocks: lowest first, runs, exhaustion, coming back. */
#include "applied.h"
#include "test.h"

TEST(lowest_first, "ids are given lowest first, below the first one never")
{
	struct id_pool p;

	ASSERT_EQ(berm_ids_open(&p, 16, 200), 0);
	for (uint32_t id = 16; id < 200; id++)
		EXPECT_EQ(berm_ids_take(&p, 1), id);
	EXPECT_EQ(berm_ids_take(&p, 1), NONE);
	EXPECT_EQ(p.used, 184);
	berm_ids_give(&p, 77, 1);
	berm_ids_give(&p, 66, 1);
	EXPECT_EQ(berm_ids_take(&p, 1), 66);
	EXPECT_EQ(berm_ids_take(&p, 1), 77);
	EXPECT_EQ(berm_ids_take(&p, 1), NONE);
	berm_ids_close(&p);
}

TEST(runs, "blocks are runs that do not overlap")
{
	struct id_pool p;

	ASSERT_EQ(berm_ids_open(&p, 0, 130), 0);
	EXPECT_EQ(berm_ids_take(&p, 100), 0);
	EXPECT_EQ(berm_ids_take(&p, 31), NONE);
	EXPECT_EQ(berm_ids_take(&p, 30), 100);
	berm_ids_give(&p, 10, 5);
	berm_ids_give(&p, 62, 4);
	EXPECT_EQ(berm_ids_take(&p, 6), NONE);
	EXPECT_EQ(berm_ids_take(&p, 5), 10);
	EXPECT_EQ(berm_ids_take(&p, 2), 62);
	EXPECT_EQ(berm_ids_take(&p, 2), 64);
	EXPECT_EQ(p.used, 130);
	berm_ids_close(&p);
}

TEST(marks, "marking twice counts once, giving twice does no harm, beyond the limit is taken")
{
	struct id_pool p;

	ASSERT_EQ(berm_ids_open(&p, 0, 64), 0);
	berm_ids_mark(&p, 3, 4);
	berm_ids_mark(&p, 5, 4);
	EXPECT_EQ(p.used, 6);
	berm_ids_give(&p, 3, 6);
	berm_ids_give(&p, 3, 6);
	EXPECT_EQ(p.used, 0);
	EXPECT_TRUE(berm_ids_taken(&p, 64));
	EXPECT_FALSE(berm_ids_taken(&p, 63));
	EXPECT_EQ(berm_ids_take(&p, 64), 0);
	berm_ids_close(&p);
}

TEST(end, "the end is behind the last one that is taken, wherever words begin")
{
	struct id_pool p;

	ASSERT_EQ(berm_ids_open(&p, 0, 200), 0);
	EXPECT_EQ(berm_ids_end(&p), 0);
	for (uint32_t id = 0; id < 200; id++) {
		berm_ids_mark(&p, id, 1);
		EXPECT_EQ(berm_ids_end(&p), id + 1);
	}
	berm_ids_give(&p, 1, 199);
	EXPECT_EQ(berm_ids_end(&p), 1);
	berm_ids_mark(&p, 127, 1);
	EXPECT_EQ(berm_ids_end(&p), 128);
	berm_ids_close(&p);
}
