/* SPDX-License-Identifier: Apache-2.0 */
/* test_timeouts.c - what an operator may write for a timeout. */
#include <errno.h>

#include "test.h"
#include "timeouts.h"

TEST(timeout_parse, "a timeout is a number in its range, else the error names the range")
{
	static const struct {
		const char *name, *text;
		int rc;
		uint32_t seconds;
	} cases[] = {
		{ "plain", "90", 0, 90 },	   { "least", "5", 0, 5 },
		{ "most", "600", 0, 600 },	   { "too little", "4", -EINVAL, 7 },
		{ "too much", "601", -EINVAL, 7 }, { "nothing", "", -EINVAL, 7 },
		{ "a unit", "90s", -EINVAL, 7 },   { "negative", "-30", -EINVAL, 7 },
		{ "a space", " 30", -EINVAL, 7 },  { "huge", "99999999999999999999", -EINVAL, 7 },
		{ "hex", "0x20", -EINVAL, 7 },
	}, *c;

	for_each_case(c, cases) {
		struct berm_err err = { 0 };
		uint32_t got = 7;

		EXPECT_EQ(berm_timeout_parse(BERM_TIMEOUT_HALF_OPEN, c->text, &got, &err), c->rc);
		EXPECT_EQ(got, c->seconds);
		if (c->rc)
			EXPECT_STR_HAS(err.msg, "half-open");
		if (c->rc)
			EXPECT_STR_HAS(err.msg, "want 5 to 600 seconds");
	}
}

TEST(timeout_defaults, "every default lies in its own range; what is not set is the default")
{
	struct berm_session_opts opts = { .timeout_s = { [BERM_TIMEOUT_UDP] = 77 } };

	for (enum berm_timeout i = 0; i < BERM_TIMEOUT_COUNT; i++) {
		struct berm_err err = { 0 };
		char text[16];
		uint32_t got = 0;

		snprintf(text, sizeof(text), "%u", berm_timeout_default(i));
		EXPECT_OK(berm_timeout_parse(i, text, &got, &err), &err);
		EXPECT_EQ(got, berm_timeout_default(i));
		EXPECT_EQ(berm_timeout_of(&opts, i),
			  i == BERM_TIMEOUT_UDP ? 77 : berm_timeout_default(i));
	}
	EXPECT_LE(BERM_TIMEOUT_COUNT, BERM_TIMEOUT_ROOM);
}
