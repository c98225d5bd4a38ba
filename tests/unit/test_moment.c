/* SPDX-License-Identifier: Apache-2.0 */
/* test_moment.c - RFC 3339 times: what is read, what is refused and why. */
#include <errno.h>

#include "moment.h"
#include "test.h"

TEST(moment_good, "times with an offset are read as what date(1) says of them")
{
	static const struct {
		const char *name;
		int64_t want;
	} cases[] = {
		{ "2027-01-31T00:00:00Z", 1801353600 },
		{ "2027-01-31T00:00:00+01:00", 1801350000 },
		{ "2027-01-31T00:00:00-05:30", 1801373400 },
		{ "2027-01-31T00:00:00.999Z", 1801353600 },
		{ "2028-02-29T23:59:59Z", 1835481599 },
		{ "2000-02-29T12:00:00Z", 951825600 },
		{ "2016-12-31T23:59:60Z", 1483228800 },
		{ "1970-01-01T00:00:01Z", 1 },
		{ "9999-12-31T23:59:59Z", 253402300799 },
	}, *c;
	struct berm_err err = { 0 };
	int64_t got;

	for_each_case(c, cases) {
		got = 0;
		ASSERT_OK(berm_moment_parse(c->name, &got, &err), &err);
		EXPECT_EQ(got, c->want);
	}
}

TEST(moment_bad, "is refused:")
{
	static const struct {
		const char *name, *want;
	} cases[] = {
		{ "2027-01-31T00:00:00", "has no offset from UTC" },
		{ "2027-01-31T00:00:00.5", "has no offset from UTC" },
		{ "2027-01-31T00:00:00z", "does not end with an offset" },
		{ "2027-01-31T00:00:00 +01:00", "does not end with an offset" },
		{ "2027-01-31T00:00:00+0100", "does not end with an offset" },
		{ "2027-01-31T00:00:00+01", "does not end with an offset" },
		{ "2027-01-31T00:00:00+24:00", "does not end with an offset" },
		{ "2027-01-31T00:00:00ZZ", "does not end with an offset" },
		{ "2027-01-31", "is not a time of RFC 3339" },
		{ "2027-01-31 00:00:00Z", "is not a time of RFC 3339" },
		{ "2027-1-31T00:00:00Z", "is not a time of RFC 3339" },
		{ "2027-01-31T24:00:00Z", "is not a time of RFC 3339" },
		{ "2027-01-31T00:60:00Z", "is not a time of RFC 3339" },
		{ "2027-01-31T00:00:00.Z", "is not a time of RFC 3339" },
		{ "tomorrow", "is not a time of RFC 3339" },
		{ "", "is not a time of RFC 3339" },
		{ "2027-02-29T00:00:00Z", "no calendar has" },
		{ "2100-02-29T00:00:00Z", "no calendar has" },
		{ "2027-04-31T00:00:00Z", "no calendar has" },
		{ "2027-00-10T00:00:00Z", "no calendar has" },
		{ "1969-12-31T00:00:00Z", "before 1970" },
	}, *c;
	struct berm_err err = { 0 };
	int64_t got = 7;

	for_each_case(c, cases) {
		EXPECT_EQ(berm_moment_parse(c->name, &got, &err), -EINVAL);
		EXPECT_STR_HAS(err.msg, c->want);
		EXPECT_EQ(got, 7);
	}
}

TEST(moment_format, "is written in UTC")
{
	char text[BERM_MOMENT_STRLEN];

	berm_moment_format(1801353600, text);
	EXPECT_STR_EQ(text, "2027-01-31T00:00:00Z");
	berm_moment_format(253402300799, text);
	EXPECT_STR_EQ(text, "9999-12-31T23:59:59Z");
}
