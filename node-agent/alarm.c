/* SPDX-License-Identifier: Apache-2.0 */
/* alarm.c - a timerfd of CLOCK_REALTIME that is cancelled when the clock is set (Linux 3.0). */
#include "alarm.h"

#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* Some 100 years: timerfd only tells of a clock that is set while it waits for something. */
#define FAR_S (INT64_C(100) * 365 * 86400)

int64_t berm_alarm_now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec;
}

static int arm(const struct berm_alarm *alarm)
{
	int64_t far = berm_alarm_now_s() + FAR_S;
	struct itimerspec when = { .it_value.tv_sec = alarm->at_s < far ? alarm->at_s : far };

	return timerfd_settime(alarm->fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &when, NULL)
		       ? -errno
		       : 0;
}

/* It was set while we looked: ECANCELED comes of the next settime too, once (kernel: timerfd_settime). */
static int arm_again(const struct berm_alarm *alarm)
{
	int rc = arm(alarm);

	return rc == -ECANCELED ? arm(alarm) : rc;
}

static void on_ring(uv_poll_t *poll, int status, int events)
{
	struct berm_alarm *alarm = poll->data;
	uint64_t times;

	(void)status;
	(void)events;
	if (read(alarm->fd, &times, sizeof(times)) < 0 && errno != ECANCELED)
		return; /* EAGAIN: nothing has happened */
	alarm->at_s = INT64_MAX;
	(void)arm_again(alarm); /* whom it rings for sets it anew */
	alarm->ring(alarm->ctx);
}

int berm_alarm_open(struct berm_alarm *alarm, uv_loop_t *loop, struct berm_err *err)
{
	int rc;

	alarm->fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (alarm->fd < 0)
		return berm_fail(err, -errno, "make a timer of the wall clock");
	rc = uv_poll_init(loop, &alarm->poll, alarm->fd);
	if (rc)
		return berm_fail(err, rc, "watch a timer of the wall clock");
	alarm->poll.data = alarm;
	uv_poll_start(&alarm->poll, UV_READABLE, on_ring);
	alarm->at_s = INT64_MAX;
	rc = arm_again(alarm);
	return rc ? berm_fail(err, rc, "start a timer of the wall clock") : 0;
}

int berm_alarm_set(struct berm_alarm *alarm, int64_t at_s, struct berm_err *err)
{
	int rc;

	if (at_s == alarm->at_s)
		return 0;
	alarm->at_s = at_s;
	rc = arm_again(alarm);
	if (rc)
		alarm->at_s = INT64_MIN; /* nothing that anybody asks for: it is tried again */
	return rc ? berm_fail(err, rc, "set a timer of the wall clock") : 0;
}

void berm_alarm_close(struct berm_alarm *alarm)
{
	if (alarm->fd >= 0)
		close(alarm->fd);
	alarm->fd = -1;
}
