/* SPDX-License-Identifier: Apache-2.0 */
/* test_jiffies.c - guessing the tick rate from one reading of the clock. */
#include <stdint.h>

#include "jiffies.h"
#include "test.h"

static uint32_t ticks(double uptime_s, uint32_t hz)
{
	return (uint32_t)(int64_t)((uptime_s - 300) * hz);
}

TEST(rate_is_guessed_from_uptime)
{
	static const struct {
		const char *name;
		uint32_t hz;
		double uptime_s;
		uint32_t want;
	} cases[] = {
		{ "100 after an hour", 100, 3600, 100 },
		{ "250 after an hour", 250, 3600, 250 },
		{ "300 after an hour", 300, 3600, 300 },
		{ "1000 after an hour", 1000, 3600, 1000 },
		{ "250 right after boot", 250, 20, 250 },
		{ "1000 after 60 days, past the wrap", 1000, 60 * 86400.0, 1000 },
		{ "100 after 600 days, past the wrap", 100, 600 * 86400.0, 100 },
		{ "all rates read zero at 300 s", 250, 300, 0 },
		{ "too close to 300 s to tell", 250, 304, 0 },
	}, *c;

	for_each_case(c, cases) {
		EXPECT_EQ(berm_jiffies_guess_hz(ticks(c->uptime_s, c->hz), c->uptime_s), c->want);
		/* the clocks start up to a second apart */
		EXPECT_EQ(berm_jiffies_guess_hz(ticks(c->uptime_s - 0.7, c->hz), c->uptime_s),
			  c->want);
	}
}
