/* SPDX-License-Identifier: Apache-2.0 */
/* schedule.c - from written windows to spans of a week, and what they say of a moment. */
#include "schedule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MONDAY	 (3 * INT64_C(86400)) /* the first of 1970 was a Thursday */
#define MAX_ZONE 14		      /* hours; no place on earth is further from UTC */

/* ---- text ---------------------------------------------------------------------------------------------------------- */

/* Two digits up to max. */
static bool number(const char *p, int max, int *ret)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return false;
	*ret = (p[0] - '0') * 10 + (p[1] - '0');
	return *ret <= max;
}

static int day_of(const char *text)
{
	static const char *const name[] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };

	for (int i = 0; i < 7; i++)
		if (!strncmp(text, name[i], 3))
			return i;
	return -1;
}

int berm_schedule_days(const char *text, uint8_t *ret, struct berm_err *err)
{
	size_t len = strlen(text);
	int first = len >= 3 ? day_of(text) : -1, last = first;
	uint8_t days = 0;

	if (len == 7 && text[3] == '-')
		last = day_of(text + 4);
	else if (len != 3)
		first = -1;
	if (first < 0 || last < 0)
		return berm_refuse(err, -EINVAL, "'%.40s' is no day and no range of days", text);
	for (int day = first;; day = (day + 1) % 7) {
		days |= (uint8_t)(1 << day);
		if (day == last)
			break;
	}
	*ret = days;
	return 0;
}

int berm_schedule_clock(const char *text, int *ret_s, struct berm_err *err)
{
	size_t len = strlen(text);
	int hour, minute, second = 0;
	bool is_good = (len == 5 || len == 8) && number(text, 24, &hour) && text[2] == ':' &&
		       number(text + 3, 59, &minute);

	if (is_good && len == 8)
		is_good = text[5] == ':' && number(text + 6, 59, &second);
	if (!is_good || (hour == 24 && (minute || second)))
		return berm_refuse(err, -EINVAL, "'%.40s' is not a time of the day", text);
	*ret_s = hour * 3600 + minute * 60 + second;
	return 0;
}

int berm_schedule_zone(const char *text, int *ret_s, struct berm_err *err)
{
	int hours, minutes;
	bool is_signed = *text == '+' || *text == '-';

	if (!strcmp(text, "UTC") || !strcmp(text, "Z")) {
		*ret_s = 0;
		return 0;
	}
	if (!is_signed && strcspn(text, "0123456789") > 0)
		return berm_refuse(err, -EINVAL,
				   "'%.40s': zones by name are not read, nodes could disagree about them",
				   text);
	if (!is_signed || strlen(text) != 6 || !number(text + 1, MAX_ZONE, &hours) ||
	    text[3] != ':' || !number(text + 4, 59, &minutes))
		return berm_refuse(err, -EINVAL, "'%.40s' is not an offset from UTC", text);
	*ret_s = (*text == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
	return 0;
}

/* ---- spans --------------------------------------------------------------------------------------------------------- */

static int64_t week_second(int64_t at)
{
	int64_t second = at % BERM_WEEK_S;

	return second < 0 ? second + BERM_WEEK_S : second;
}

/* One window on one day; over the end of the week it is two spans. */
static void add_day(struct berm_schedule *s, const struct berm_window *w, int day)
{
	int length = w->to_s - w->from_s + (w->to_s <= w->from_s ? BERM_DAY_S : 0);
	uint32_t first = (uint32_t)week_second((int64_t)day * BERM_DAY_S + w->from_s - w->offset_s);
	uint32_t end = first + (uint32_t)length;

	if (end > BERM_WEEK_S) {
		s->open[s->count++] = (struct berm_week_span){ 0, end - BERM_WEEK_S };
		end = BERM_WEEK_S;
	}
	s->open[s->count++] = (struct berm_week_span){ first, end };
}

static int compare(const void *a, const void *b)
{
	const struct berm_week_span *x = a, *y = b;

	if (x->first_s != y->first_s)
		return x->first_s < y->first_s ? -1 : 1;
	return (x->end_s > y->end_s) - (x->end_s < y->end_s);
}

static void merge(struct berm_schedule *s)
{
	size_t kept = 0;

	qsort(s->open, s->count, sizeof(*s->open), compare);
	for (size_t i = 0; i < s->count; i++) {
		struct berm_week_span *last = kept ? &s->open[kept - 1] : NULL;

		if (!last || s->open[i].first_s > last->end_s)
			s->open[kept++] = s->open[i];
		else if (s->open[i].end_s > last->end_s)
			last->end_s = s->open[i].end_s;
	}
	s->count = kept;
}

int berm_schedule_make(const struct berm_window *window, size_t count, struct berm_schedule *ret)
{
	struct berm_schedule s = { calloc(count * 14, sizeof(*s.open)), 0 };
	struct berm_week_span *fitting;

	if (!s.open)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		for (int day = 0; day < 7; day++)
			if (window[i].days & 1 << day)
				add_day(&s, &window[i], day);
	merge(&s);
	fitting = realloc(s.open, s.count * sizeof(*s.open));
	if (fitting)
		s.open = fitting;
	*ret = s;
	return 0;
}

void berm_schedule_clear(struct berm_schedule *schedule)
{
	free(schedule->open);
	*schedule = (struct berm_schedule){ 0 };
}

/* ---- a moment ------------------------------------------------------------------------------------------------------ */

bool berm_schedule_is_always(const struct berm_schedule *s)
{
	return !s->count || (s->count == 1 && s->open[0].end_s - s->open[0].first_s == BERM_WEEK_S);
}

bool berm_schedule_covers(const struct berm_schedule *outer, const struct berm_schedule *inner)
{
	size_t k = 0;

	if (berm_schedule_is_always(outer))
		return true;
	if (berm_schedule_is_always(inner))
		return false;
	for (size_t i = 0; i < inner->count; i++) {
		while (k < outer->count && outer->open[k].end_s < inner->open[i].end_s)
			k++;
		if (k == outer->count || outer->open[k].first_s > inner->open[i].first_s)
			return false;
	}
	return true;
}

/* Is the turn of the week no edge? */
static bool goes_on(const struct berm_schedule *s)
{
	return !s->open[0].first_s && s->open[s->count - 1].end_s == BERM_WEEK_S;
}

/* How many spans begin at or before the second. */
static size_t begun_by(const struct berm_schedule *s, uint32_t second)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->open[mid].first_s <= second)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool berm_schedule_at(const struct berm_schedule *s, int64_t now_s, int64_t *ret_since,
		      int64_t *ret_until)
{
	int64_t second = week_second(now_s + MONDAY), week = now_s - second;
	size_t begun, last = s->count - 1;
	bool is_open;

	*ret_since = INT64_MIN;
	*ret_until = INT64_MAX;
	if (berm_schedule_is_always(s))
		return true;
	begun = begun_by(s, (uint32_t)second);
	is_open = begun && second < s->open[begun - 1].end_s;
	if (is_open) {
		*ret_since = week + s->open[begun - 1].first_s;
		*ret_until = week + s->open[begun - 1].end_s;
		if (begun - 1 == last && goes_on(s))
			*ret_until = week + BERM_WEEK_S + s->open[0].end_s;
		if (begun == 1 && goes_on(s))
			*ret_since = week - BERM_WEEK_S + s->open[last].first_s;
		return true;
	}
	*ret_since = begun ? week + s->open[begun - 1].end_s
			   : week - BERM_WEEK_S + s->open[last].end_s;
	*ret_until = begun <= last ? week + s->open[begun].first_s
				   : week + BERM_WEEK_S + s->open[0].first_s;
	return false;
}
