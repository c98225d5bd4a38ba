/* SPDX-License-Identifier: Apache-2.0 */
/* timeouts.c - names, defaults and ranges of the sessions' timeouts. Knows no session and no program. */
#include "timeouts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct range {
	const char *name;
	uint32_t seconds, least, most;
};

static const struct range ranges[] = {
#define X(id, name, seconds, least, most, help) { name, seconds, least, most },
	BERM_TIMEOUTS(X)
#undef X
};

const char *berm_timeout_name(enum berm_timeout which)
{
	return ranges[which].name;
}

uint32_t berm_timeout_default(enum berm_timeout which)
{
	return ranges[which].seconds;
}

int berm_timeout_parse(enum berm_timeout which, const char *text, uint32_t *ret,
		       struct berm_err *err)
{
	const struct range *range = &ranges[which];
	unsigned long seconds;
	char *end;

	errno = 0;
	seconds = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || seconds < range->least ||
	    seconds > range->most)
		return berm_refuse(err, -EINVAL, "timeout-%s=%s: want %u to %u seconds",
				   range->name, text, range->least, range->most);
	*ret = (uint32_t)seconds;
	return 0;
}

uint32_t berm_timeout_of(const struct berm_session_opts *opts, enum berm_timeout which)
{
	return opts->timeout_s[which] ? opts->timeout_s[which] : berm_timeout_default(which);
}
