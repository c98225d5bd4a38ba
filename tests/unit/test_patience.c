/* SPDX-License-Identifier: Apache-2.0 */
/* test_patience.c - how long is waited after which refusal. */
#include "patience.h"
#include "test.h"

static uint64_t wait_after(struct berm_patience *patience, long status, unsigned int retry_after_s)
{
	struct berm_apireply reply = { .status = status,
				       .retry_after_s = retry_after_s,
				       .error = "no \"luck\"" };

	berm_patience_lose(patience, &reply, 1000);
	return patience->until_ms - 1000;
}

TEST(soon, "faults of the server: from a second to a minute, half more or less")
{
	struct berm_patience patience = { .what = "test", .advice = "" };
	uint64_t most = 1000, got;

	for (int i = 0; i < 12; i++) {
		got = wait_after(&patience, i % 2 ? 500 : 0, 0);
		EXPECT_TRUE(got >= most / 2 && got <= most * 3 / 2);
		most = most * 2 > 60000 ? 60000 : most * 2;
	}
	EXPECT_STR_EQ(patience.error, "no 'luck'");
	EXPECT_TRUE(berm_patience_is_out(&patience, 1000));
	EXPECT_TRUE(!berm_patience_is_out(&patience, patience.until_ms));
}

TEST(late, "refusals that trying again does not change: from a minute to ten")
{
	struct berm_patience patience = { .what = "test", .advice = "" };
	uint64_t most = 60000, got;

	for (int i = 0; i < 6; i++) {
		got = wait_after(&patience, 403, 0);
		EXPECT_TRUE(got >= most / 2 && got <= most * 3 / 2);
		most = most * 2 > 600000 ? 600000 : most * 2;
	}
}

TEST(asked, "no sooner than the server asks, and at once when it has gone well")
{
	struct berm_patience patience = { .what = "test", .advice = "" };

	EXPECT_TRUE(wait_after(&patience, 429, 30) >= 30000);
	berm_patience_regain(&patience);
	EXPECT_TRUE(!berm_patience_is_out(&patience, 1000));
	EXPECT_STR_EQ(patience.error, "");
	EXPECT_TRUE(wait_after(&patience, 500, 0) <= 1500);
}
