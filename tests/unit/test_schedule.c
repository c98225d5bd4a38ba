/* SPDX-License-Identifier: Apache-2.0 */
/* test_schedule.c - windows of the week: what is read, and against a naive reading of what was written, minute by minute. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "schedule.h"
#include "test.h"

#define T0     INT64_C(1800000000) /* 2027-01-15T08:00:00Z, a Friday */
#define MONDAY (T0 - 4 * INT64_C(86400) - 8 * 3600)

TEST(schedule_days, "days and ranges of days, over the end of the week too")
{
	static const struct {
		const char *name;
		uint8_t want;
	} cases[] = { { "Mon", 0x01 },	   { "Sun", 0x40 },	{ "Mon-Fri", 0x1f },
		      { "Sat-Sun", 0x60 }, { "Sat-Mon", 0x61 }, { "Wed-Wed", 0x04 },
		      { "Tue-Mon", 0x7f } },
	  *c;
	struct berm_err err = { 0 };
	uint8_t got;

	for_each_case(c, cases) {
		ASSERT_OK(berm_schedule_days(c->name, &got, &err), &err);
		EXPECT_EQ(got, c->want);
	}
}

TEST(schedule_clock, "times of the day, and offsets")
{
	struct berm_err err = { 0 };
	int got;

	ASSERT_OK(berm_schedule_clock("08:00", &got, &err), &err);
	EXPECT_EQ(got, 8 * 3600);
	ASSERT_OK(berm_schedule_clock("23:59:59", &got, &err), &err);
	EXPECT_EQ(got, 86399);
	ASSERT_OK(berm_schedule_clock("24:00", &got, &err), &err);
	EXPECT_EQ(got, 86400);
	ASSERT_OK(berm_schedule_zone("UTC", &got, &err), &err);
	EXPECT_EQ(got, 0);
	ASSERT_OK(berm_schedule_zone("+05:30", &got, &err), &err);
	EXPECT_EQ(got, 19800);
	ASSERT_OK(berm_schedule_zone("-03:00", &got, &err), &err);
	EXPECT_EQ(got, -10800);
}

TEST(schedule_bad, "is refused, with the text in the message:")
{
	static const char *const days[] = { "",	    "Mo",      "mon",	  "Monday",
					    "Mon-", "Mon-Fry", "Mon Fri", "Mon-Fri-" };
	static const char *const clocks[] = { "",      "8:00",	   "08.00",	"24:01",
					      "25:00", "08:60",	   "08:00:60",	"08:00:0",
					      "0800",  "24:00:01", "08:00:00Z", "-1:00" };
	static const char *const zones[] = { "",      "+1:00",	       "+0100", "+15:00", "+01:60",
					     "01:00", "Europe/Berlin", "utc",	"CET" };
	struct berm_err err = { 0 };
	uint8_t mask;
	int got;

	for (size_t i = 0; i < ARRAY_SIZE(days); i++)
		EXPECT_EQ(berm_schedule_days(days[i], &mask, &err), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(clocks); i++)
		EXPECT_EQ(berm_schedule_clock(clocks[i], &got, &err), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(zones); i++)
		EXPECT_EQ(berm_schedule_zone(zones[i], &got, &err), -EINVAL);
	EXPECT_EQ(berm_schedule_zone("Europe/Berlin", &got, &err), -EINVAL);
	EXPECT_STR_HAS(err.msg, "'Europe/Berlin': zones by name are not read");
}

static struct berm_schedule one(struct berm_window w)
{
	struct berm_schedule s = { 0 };

	ASSERT_EQ(berm_schedule_make(&w, 1, &s), 0);
	return s;
}

static void expect_at(const struct berm_schedule *s, int64_t at, bool is_open, int64_t until)
{
	int64_t since, got;

	EXPECT_EQ(berm_schedule_at(s, at, &since, &got), is_open);
	EXPECT_EQ(got, until);
	EXPECT_TRUE(since <= at);
}

TEST(schedule_office,
     "Mon-Fri 08:00 to 18:00: opens at its first second, shuts at its last, stays shut on Saturday")
{
	struct berm_schedule s = one((struct berm_window){ 0x1f, 8 * 3600, 18 * 3600, 0 });

	expect_at(&s, T0 - 1, false, T0);
	expect_at(&s, T0, true, T0 + 36000);
	expect_at(&s, T0 + 35999, true, T0 + 36000);
	expect_at(&s, T0 + 36000, false, T0 + 3 * 86400);
	berm_schedule_clear(&s);
}

TEST(schedule_night,
     "Sun 22:00 to 06:00 goes over midnight and over the end of the week; at +02:00 it is two hours earlier")
{
	struct berm_schedule s = one((struct berm_window){ 0x40, 22 * 3600, 6 * 3600, 0 });
	int64_t sunday = MONDAY + 6 * 86400;

	expect_at(&s, sunday + 22 * 3600 - 1, false, sunday + 22 * 3600);
	expect_at(&s, sunday + 22 * 3600, true, sunday + 30 * 3600);
	expect_at(&s, sunday + 86400, true, sunday + 30 * 3600);
	expect_at(&s, sunday + 30 * 3600, false, sunday + 7 * 86400 + 22 * 3600);
	berm_schedule_clear(&s);
	s = one((struct berm_window){ 0x40, 22 * 3600, 6 * 3600, 7200 });
	expect_at(&s, sunday + 20 * 3600, true, sunday + 28 * 3600);
	expect_at(&s, sunday + 28 * 3600, false, sunday + 7 * 86400 + 20 * 3600);
	berm_schedule_clear(&s);
}

TEST(schedule_always, "windows that leave nothing out never change; touching ones are one")
{
	static const struct berm_window halves[] = { { 0x7f, 0, 43200, 3600 },
						     { 0x7f, 43200, 86400, 3600 } };
	struct berm_schedule s = { 0 };

	ASSERT_EQ(berm_schedule_make(halves, 2, &s), 0);
	EXPECT_TRUE(berm_schedule_is_always(&s));
	EXPECT_EQ(s.count, 1);
	expect_at(&s, T0, true, INT64_MAX);
	berm_schedule_clear(&s);
}

TEST(schedule_covers, "one is open whenever another is, or not")
{
	struct berm_schedule office = one((struct berm_window){ 0x1f, 8 * 3600, 18 * 3600, 0 });
	struct berm_schedule noon = one((struct berm_window){ 0x01, 12 * 3600, 13 * 3600, 0 });
	struct berm_schedule late = one((struct berm_window){ 0x01, 17 * 3600, 19 * 3600, 0 });
	struct berm_schedule none = { 0 };

	EXPECT_TRUE(berm_schedule_covers(&office, &noon));
	EXPECT_TRUE(berm_schedule_covers(&office, &office));
	EXPECT_FALSE(berm_schedule_covers(&noon, &office));
	EXPECT_FALSE(berm_schedule_covers(&office, &late));
	EXPECT_TRUE(berm_schedule_covers(&none, &office));
	EXPECT_FALSE(berm_schedule_covers(&office, &none));
	berm_schedule_clear(&office);
	berm_schedule_clear(&noon);
	berm_schedule_clear(&late);
}

/* ---- against a naive reading ------------------------------------------------------------------------------------------ */

/* As one would say it: local date and time by gmtime, today's window or yesterday's that goes on. */
static bool naive_window(const struct berm_window *w, int64_t at)
{
	time_t local = (time_t)(at + w->offset_s);
	struct tm tm;
	int today, now, yesterday;

	gmtime_r(&local, &tm);
	today = (tm.tm_wday + 6) % 7;
	yesterday = (today + 6) % 7;
	now = tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec;
	if (w->from_s < w->to_s)
		return w->days & 1 << today && now >= w->from_s && now < w->to_s;
	return (w->days & 1 << today && now >= w->from_s) ||
	       (w->days & 1 << yesterday && now < w->to_s);
}

static bool naive(const struct berm_window *w, size_t count, int64_t at)
{
	for (size_t i = 0; i < count; i++)
		if (naive_window(&w[i], at))
			return true;
	return false;
}

static struct berm_window random_window(void)
{
	struct berm_window w = { .days = (uint8_t)(1 + rand() % 127),
				 .from_s = rand() % 1440 * 60 };

	do
		w.to_s = rand() % 4 ? rand() % 1441 * 60 : BERM_DAY_S;
	while (w.to_s == w.from_s);
	if (rand() % 2)
		w.offset_s = (rand() % (2 * 59 * 15) - 59 * 15) * 60;
	return w;
}

/* Every minute of a week and a bit: the state, and that the change is where the state changes. */
static void check_minutes(const struct berm_window *w, size_t count)
{
	struct berm_schedule s = { 0 };
	int64_t begin = MONDAY + rand() % 700000 / 60 * 60, since, until, changed = begin;
	bool was = naive(w, count, begin);

	ASSERT_EQ(berm_schedule_make(w, count, &s), 0);
	for (int64_t at = begin; at < begin + BERM_WEEK_S + 86400; at += 60) {
		bool is = naive(w, count, at);

		if (is != was)
			changed = at;
		was = is;
		ASSERT_EQ(berm_schedule_at(&s, at, &since, &until), is);
		if (changed > begin)
			ASSERT_EQ(since, changed);
		if (until != INT64_MAX) {
			ASSERT_TRUE(until > at && until - at <= BERM_WEEK_S);
			ASSERT_EQ(naive(w, count, until - 60), is);
			ASSERT_EQ(naive(w, count, until), !is);
		} else {
			ASSERT_TRUE(berm_schedule_is_always(&s));
		}
	}
	berm_schedule_clear(&s);
}

TEST(schedule_random, "random windows say what a naive reading says, at every minute of a week")
{
	const char *given = getenv("SEED");
	unsigned int seed = given ? (unsigned int)atoi(given) : (unsigned int)time(NULL);
	struct berm_window w[BERM_MAX_WINDOWS];
	int rounds = getenv("BERM_LONG") ? 2000 : 40;

	printf("# SEED=%u\n", seed);
	srand(seed);
	for (int round = 0; round < rounds; round++) {
		size_t count = 1 + (size_t)rand() % (round % 4 ? 3 : BERM_MAX_WINDOWS);

		for (size_t i = 0; i < count; i++)
			w[i] = random_window();
		check_minutes(w, count);
	}
}
