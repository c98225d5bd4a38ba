/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alarm.h - wakes the loop at a point of the wall clock, and whenever somebody sets that clock. Knows not what for.
 */
#ifndef BERM_ALARM_H
#define BERM_ALARM_H

#include <stdint.h>
#include <uv.h>

#include "err.h"

struct berm_alarm {
	uv_poll_t poll;
	int fd; /* timerfd; -1: closed */
	int64_t at_s;
	void (*ring)(void *ctx);
	void *ctx;
};

int64_t berm_alarm_now_s(void); /* unix time */

/* ring and ctx are set by the caller. The handle is closed with the loop's others, the alarm after that. */
int berm_alarm_open(struct berm_alarm *alarm, uv_loop_t *loop, struct berm_err *err) must_check;
/* INT64_MAX: only when the clock is set. A time that is over rings at once. */
int berm_alarm_set(struct berm_alarm *alarm, int64_t at_s, struct berm_err *err) must_check;
void berm_alarm_close(struct berm_alarm *alarm);

#endif /* BERM_ALARM_H */
