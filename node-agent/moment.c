/* SPDX-License-Identifier: Apache-2.0 */
/* moment.c - RFC 3339, section 5.6, with a capital T and Z. */
#include "moment.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY 86400

struct parts {
	int year, month, day, hour, minute, second;
	int offset; /* seconds east of UTC */
};

/* Exactly `count` digits at *p, which moves behind them. */
static bool number(const char **p, int count, int max, int *ret)
{
	int value = 0;

	for (int i = 0; i < count; i++) {
		if ((*p)[i] < '0' || (*p)[i] > '9')
			return false;
		value = value * 10 + ((*p)[i] - '0');
	}
	*p += count;
	*ret = value;
	return value <= max;
}

static bool character(const char **p, char wanted)
{
	if (**p != wanted)
		return false;
	++*p;
	return true;
}

static bool fraction(const char **p)
{
	int digit;
	const char *start;

	if (!character(p, '.'))
		return true;
	start = *p;
	while (number(p, 1, 9, &digit))
		;
	return *p > start;
}

static bool date(const char **p, struct parts *out)
{
	return number(p, 4, 9999, &out->year) && character(p, '-') &&
	       number(p, 2, 12, &out->month) && character(p, '-') && number(p, 2, 31, &out->day);
}

/* A leap second is the second after it. */
static bool daytime(const char **p, struct parts *out)
{
	return number(p, 2, 23, &out->hour) && character(p, ':') &&
	       number(p, 2, 59, &out->minute) && character(p, ':') &&
	       number(p, 2, 60, &out->second) && fraction(p);
}

static bool offset(const char **p, struct parts *out)
{
	int sign = **p == '-' ? -1 : 1, hours, minutes;

	if (character(p, 'Z'))
		return true;
	if (!character(p, '+') && !character(p, '-'))
		return false;
	if (!number(p, 2, 23, &hours) || !character(p, ':') || !number(p, 2, 59, &minutes))
		return false;
	out->offset = sign * (hours * 3600 + minutes * 60);
	return true;
}

static bool is_leap(int year)
{
	return (!(year % 4) && year % 100) || !(year % 400);
}

static bool is_date(const struct parts *d)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	if (d->month < 1 || d->day < 1)
		return false;
	return d->day <= days[d->month - 1] + (d->month == 2 && is_leap(d->year));
}

/* Days since 1970 of the proleptic Gregorian calendar; the year is taken to begin in March. */
static int64_t days_of(const struct parts *d)
{
	int64_t year = d->month > 2 ? d->year : d->year - 1;
	int64_t month = (d->month + 9) % 12;

	return year * 365 + year / 4 - year / 100 + year / 400 + (month * 306 + 5) / 10 + d->day -
	       1 - 719468;
}

int berm_moment_parse(const char *text, int64_t *ret, struct berm_err *err)
{
	struct parts d = { 0 };
	const char *p = text;
	int64_t moment;

	if (!date(&p, &d) || !character(&p, 'T') || !daytime(&p, &d))
		return berm_refuse(err, -EINVAL, "'%.40s' is not a time of RFC 3339", text);
	if (!*p)
		return berm_refuse(err, -EINVAL, "'%.40s' has no offset from UTC", text);
	if (!offset(&p, &d) || *p)
		return berm_refuse(err, -EINVAL, "'%.40s' does not end with an offset from UTC",
				   text);
	if (!is_date(&d))
		return berm_refuse(err, -EINVAL, "'%.40s' is a day that no calendar has", text);
	moment = days_of(&d) * DAY + d.hour * 3600 + d.minute * 60 + d.second - d.offset;
	if (moment <= 0)
		return berm_refuse(err, -EINVAL, "'%.40s' is before 1970", text);
	*ret = moment;
	return 0;
}

void berm_moment_format(int64_t moment, char out[BERM_MOMENT_STRLEN])
{
	time_t at = (time_t)moment;
	struct tm tm;

	if (!gmtime_r(&at, &tm) || !strftime(out, BERM_MOMENT_STRLEN, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(out, BERM_MOMENT_STRLEN, "?");
}
