/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schedule.h - windows of the week in which a rule or a document is there. In normal form: spans of a week of UTC, whatever
 * days and offsets were written. Asks no clock, and knows no summer time: an offset is the same all year.
 */
#ifndef BERM_SCHEDULE_H
#define BERM_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define BERM_MAX_WINDOWS 16 /* of a schedule */
#define BERM_DAY_S	 86400
#define BERM_WEEK_S	 (7 * BERM_DAY_S)
#define BERM_EVERY_DAY	 0x7f

struct berm_window {	  /* as it is written */
	uint8_t days;	  /* on which it begins: 1 << 0 is Monday */
	int from_s, to_s; /* of the local day; to_s <= from_s: on the day after */
	int offset_s;	  /* of local time, east of UTC */
};

struct berm_week_span { /* seconds since Monday 00:00 UTC; 0 <= first_s < end_s <= a week */
	uint32_t first_s, end_s;
};

struct berm_schedule {
	struct berm_week_span *open; /* sorted; they neither overlap nor touch */
	size_t count;		     /* 0: no schedule, which means always */
};

/* Parts of a window. -EINVAL with a message that names the text and what is wrong with it. */
int berm_schedule_days(const char *text, uint8_t *ret,
		       struct berm_err *err) must_check; /* "Mon", "Mon-Fri", "Sat-Mon" */
int berm_schedule_clock(const char *text, int *ret_s,
			struct berm_err *err) must_check; /* "08:00", "08:00:30", "24:00" */
int berm_schedule_zone(const char *text, int *ret_s,
		       struct berm_err *err) must_check; /* "UTC", "+01:00" */

/* At least one window, with a day each. -ENOMEM. */
int berm_schedule_make(const struct berm_window *window, size_t count,
		       struct berm_schedule *ret) must_check;
void berm_schedule_clear(struct berm_schedule *schedule);

bool berm_schedule_is_always(const struct berm_schedule *schedule);
/* Is the outer one open whenever the inner one is? */
bool berm_schedule_covers(const struct berm_schedule *outer, const struct berm_schedule *inner);
/* Is it open, and since when and until when (from then on not) is that so? INT64_MIN and INT64_MAX: for ever. */
bool berm_schedule_at(const struct berm_schedule *schedule, int64_t now_s, int64_t *ret_since,
		      int64_t *ret_until);

#endif /* BERM_SCHEDULE_H */
