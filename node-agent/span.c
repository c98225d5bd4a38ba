// SPDX-License-Identifier: Apache-2.0
/* span.c - hours, minutes and seconds. */
#include "span.h"

#include <errno.h>
#include <string.h>

#include "cleanup.h"

static const struct unit {
	char letter;
	int64_t seconds;
} units[] = { { 'h', 3600 }, { 'm', 60 }, { 's', 1 } };

/* At most nine digits, so that nothing overflows. */
static int number(const char **p, int64_t *ret)
{
	int64_t value = 0;
	int digits = 0;

	while (**p >= '0' && **p <= '9' && digits < 10) {
		value = value * 10 + (*(*p)++ - '0');
		digits++;
	}
	*ret = value;
	return digits && digits < 10 ? 0 : -EINVAL;
}

/* One number with its unit; *unit moves behind that, so none comes twice. */
static int part(const char **p, size_t *unit, int64_t *sum)
{
	int64_t value;

	if (number(p, &value))
		return -EINVAL;
	while (*unit < ARRAY_SIZE(units) && units[*unit].letter != **p)
		(*unit)++;
	if (*unit == ARRAY_SIZE(units))
		return -EINVAL;
	(*p)++;
	*sum += value * units[(*unit)++].seconds;
	return 0;
}

int berm_span_parse(const char *text, int64_t max_s, int64_t *ret_s, struct berm_err *err)
{
	const char *p = text;
	size_t unit = 0;
	int64_t sum = 0;

	do {
		if (part(&p, &unit, &sum))
			return berm_refuse(
				err, -EINVAL,
				"'%.40s' is no length of time: want numbers with h, m and s, such as 5m, 90s or 1h30m",
				text);
	} while (*p);
	if (sum < 1 || sum > max_s)
		return berm_refuse(err, -EINVAL, "'%.40s' is not between 1s and %lldh", text,
				   (long long)(max_s / 3600));
	*ret_s = sum;
	return 0;
}
