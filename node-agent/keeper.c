/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper.c - inotify on both directories, a look now and then for what inotify does not tell, and a pause that grows
 * while somebody keeps taking the plugin out: it is back within a second, yet a fight costs next to nothing.
 */
#include "keeper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "cleanup.h"
#include "conflist.h"
#include "log.h"
#include "program.h"

#define SETTLE_MS    10	   /* a writer's rename and what follows it are one change */
#define BUSY_MS	     50	   /* somebody is writing */
#define LOOK_MS	     5000  /* without an event */
#define MAX_PAUSE_MS 500   /* between two changes of ours, at most */
#define QUIET_MS     10000 /* without a change: the fight is over */
#define TELL_MS	     60000 /* between two lines of a fight */
#define WATCHED                                                                                    \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF |   \
	 IN_MOVE_SELF | IN_ONLYDIR)

struct berm_keeper {
	struct berm_keeper_opts opts;
	struct berm_keeper_state state;
	uv_loop_t *loop;
	int inotify;
	uv_poll_t events;
	uv_timer_t look;
	unsigned int streak;	      /* changes of ours that followed each other */
	uint64_t changed_ms, told_ms; /* uv clock; 0 = never */
	uint64_t told_count;
	bool has_been_there; /* from then on, absence is somebody's doing */
};

static void on_look(uv_timer_t *timer);

/* ---- when to look ------------------------------------------------------------------------------------------------- */

static uint64_t pause_ms(const struct berm_keeper *keeper)
{
	uint64_t pause = (uint64_t)SETTLE_MS << (keeper->streak < 10 ? keeper->streak : 10);

	return pause < MAX_PAUSE_MS ? pause : MAX_PAUSE_MS;
}

/* Soon, but not sooner after our last change than the pause has grown to. */
static void look_soon(struct berm_keeper *keeper, uint64_t delay_ms)
{
	uint64_t now = uv_now(keeper->loop), earliest = keeper->changed_ms + pause_ms(keeper);

	if (keeper->changed_ms && now + delay_ms < earliest)
		delay_ms = earliest - now;
	if (!uv_is_active((uv_handle_t *)&keeper->look) ||
	    uv_timer_get_due_in(&keeper->look) > delay_ms)
		uv_timer_start(&keeper->look, on_look, delay_ms, 0);
}

/* Both are watched anew each time: a directory that was replaced has no watch any more. */
static void watch(const struct berm_keeper *keeper)
{
	(void)inotify_add_watch(keeper->inotify, keeper->opts.conf.path,
				WATCHED); /* else looked at */
	(void)inotify_add_watch(keeper->inotify, keeper->opts.bin_dir, WATCHED);
}

static bool is_own(const struct inotify_event *event)
{
	return event->len && !strncmp(event->name, ".berm-", 6);
}

static void on_events(uv_poll_t *poll, int status, int mask)
{
	struct berm_keeper *keeper = poll->data;
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool is_relevant = false;
	ssize_t n;

	(void)status;
	(void)mask;
	while ((n = read(keeper->inotify, buf, sizeof(buf))) > 0)
		for (char *p = buf; p < buf + n;) {
			const struct inotify_event *event = (const struct inotify_event *)p;

			is_relevant = is_relevant || !is_own(event);
			p += sizeof(*event) + event->len;
		}
	if (is_relevant)
		look_soon(keeper, SETTLE_MS);
}

/* ---- what to do ---------------------------------------------------------------------------------------------------- */

static void note_change(struct berm_keeper *keeper)
{
	uint64_t now = uv_now(keeper->loop);

	keeper->streak =
		keeper->changed_ms && now - keeper->changed_ms < QUIET_MS ? keeper->streak + 1 : 0;
	keeper->changed_ms = now;
}

/* Once at first, then at most once a minute with how often it was. */
static void tell_reinserted(struct berm_keeper *keeper)
{
	uint64_t now = uv_now(keeper->loop);

	if (keeper->told_ms && now - keeper->told_ms < TELL_MS)
		return;
	berm_log(BERM_LOG_WARNING, "conflist-reinserted",
		 "file=%s/%s times=%llu cause=\"somebody wrote it without " BERM_CNI_TYPE "\"",
		 keeper->opts.conf.path, keeper->state.file,
		 (unsigned long long)(keeper->state.reinserted - keeper->told_count));
	keeper->told_ms = now;
	keeper->told_count = keeper->state.reinserted;
}

static int keep_conflist(struct berm_keeper *keeper, struct berm_err *err)
{
	struct berm_confdir_report report;
	int rc = berm_confdir_insert(&keeper->opts.conf, &report, err);

	if (rc)
		return rc;
	snprintf(keeper->state.file, sizeof(keeper->state.file), "%s", report.file);
	if (report.is_changed) {
		note_change(keeper);
		if (keeper->has_been_there) {
			keeper->state.reinserted++;
			tell_reinserted(keeper);
		} else {
			berm_log(BERM_LOG_INFO, "conflist-inserted", "file=%s/%s",
				 keeper->opts.conf.path, report.file);
		}
	}
	keeper->has_been_there = true;
	return 0;
}

static int keep_program(struct berm_keeper *keeper, struct berm_err *err)
{
	bool changed;
	int rc;

	if (berm_program_is_there(keeper->opts.bin_dir, BERM_CNI_TYPE))
		return 0;
	rc = berm_program_install(keeper->opts.plugin, keeper->opts.bin_dir, BERM_CNI_TYPE,
				  &changed, err);
	if (rc || !changed)
		return rc;
	note_change(keeper);
	keeper->state.replaced++;
	berm_log(BERM_LOG_WARNING, "plugin-replaced", "file=%s/%s cause=\"it was gone\"",
		 keeper->opts.bin_dir, BERM_CNI_TYPE);
	return 0;
}

/* Each failure once, not with every attempt. */
static void note_outcome(struct berm_keeper *keeper, const struct berm_err *err)
{
	if (err->code && strcmp(keeper->state.failure.msg, err->msg) != 0)
		berm_log(err->code == -ENOENT ? BERM_LOG_WARNING : BERM_LOG_ERROR,
			 "plugin-not-in-place",
			 "error=\"%s\" effect=\"new pods start without walls until the agent adopts them\"",
			 err->msg);
	else if (!err->code && keeper->state.failure.code)
		berm_log(BERM_LOG_INFO, "plugin-in-place", "file=%s/%s", keeper->opts.conf.path,
			 keeper->state.file);
	keeper->state.failure = *err;
}

static void on_look(uv_timer_t *timer)
{
	struct berm_keeper *keeper = timer->data;
	struct berm_err err = { 0 };
	int rc;

	watch(keeper);
	rc = keep_program(keeper, &err); /* before the list names it */
	if (!rc)
		rc = keep_conflist(keeper, &err);
	if (rc != -EAGAIN)
		note_outcome(keeper, &err);
	look_soon(keeper, rc == -EAGAIN ? BUSY_MS : LOOK_MS);
}

/* ---- start and stop ------------------------------------------------------------------------------------------------ */

int berm_keeper_start(uv_loop_t *loop, const struct berm_keeper_opts *opts,
		      struct berm_keeper **ret, struct berm_err *err)
{
	struct berm_keeper *keeper = calloc(1, sizeof(*keeper));

	if (!keeper)
		return berm_fail(err, -ENOMEM, "watch %s", opts->conf.path);
	keeper->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (keeper->inotify < 0) {
		free(keeper);
		return berm_fail(err, -errno, "watch %s", opts->conf.path);
	}
	keeper->opts = *opts;
	keeper->loop = loop;
	uv_timer_init(loop, &keeper->look);
	uv_poll_init(loop, &keeper->events, keeper->inotify);
	keeper->look.data = keeper->events.data = keeper;
	uv_poll_start(&keeper->events, UV_READABLE, on_events);
	uv_timer_start(&keeper->look, on_look, 0, 0);
	*ret = keeper;
	return 0;
}

void berm_keeper_stop(struct berm_keeper *keeper)
{
	if (!keeper)
		return;
	uv_close((uv_handle_t *)&keeper->look, NULL);
	uv_close((uv_handle_t *)&keeper->events, NULL);
}

void berm_keeper_free(struct berm_keeper *keeper)
{
	if (!keeper)
		return;
	close(keeper->inotify);
	free(keeper);
}

const struct berm_keeper_state *berm_keeper_state(const struct berm_keeper *keeper)
{
	return &keeper->state;
}
