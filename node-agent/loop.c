/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.c - puts the agent together and runs it: one thread, one libuv loop, no busy timers. The order of a start is
 * what keeps a restart invisible: nothing is judged before every source has been read once.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent.h"
#include "alarm.h"
#include "cleanup.h"
#include "loader.h"
#include "log.h"
#include "notify.h"
#include "policyset.h"

#define COALESCE_MS 2 /* changes that come together are judged together */
#define OVERDUE_MS                                                                                 \
	10000 /* nobody should wait that long for a judgement: it is made, whatever else goes on */
#define MAX_DELAY_MS   1000 /* ...and a large model leaves the loop as much time as it takes */
#define SAVE_MS	       50 /* the last-good store, after a generation: no packet waits for the disk */
#define SAVE_RETRY_MS  10000
#define MAX_DEADLINE_S 3600
#define EVENTS_AT_ONCE 4096 /* flows, before others have their turn */
#define FLAGS_EVENTS   (BERM_NODE_EVENTS | BERM_NODE_EVENTS_ALLOW)

struct loop {
	struct berm_agent agent;
	struct ring_buffer *ring;
	unsigned int ring_budget;
	int64_t wall_offset_ns; /* CLOCK_REALTIME - CLOCK_MONOTONIC */
	bool has_new_flows;
	uv_poll_t ring_events, file_events, cni_events;
	uv_timer_t judge, files, save, overdue, deadline;
	struct berm_alarm alarm; /* what expires next */
	uv_signal_t sigterm, sigint;
	uint64_t judged_ms; /* end of the last judgement, uv clock */
	uv_work_t grace;
	uint64_t ticket; /* of the leftovers that the grace period is for */
	bool is_collecting, must_judge, is_stopping, is_ready, must_start_again;
};

static struct loop *loop_of(struct berm_agent *agent)
{
	return (struct loop *)((char *)agent - offsetof(struct loop, agent));
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* ---- judging ----------------------------------------------------------------------------------------------------------- */

static void on_judge(uv_timer_t *timer);
static void on_save(uv_timer_t *timer);
static void collect_soon(struct loop *loop);

/* After a long judgement the loop gets as much time for others before the next one. */
static uint64_t judge_delay(const struct loop *loop)
{
	uint64_t took_ms = loop->agent.engine.took_ns / 1000000;
	uint64_t rested_ms = uv_now(&loop->agent.loop) - loop->judged_ms;

	if (took_ms > MAX_DELAY_MS)
		took_ms = MAX_DELAY_MS;
	return took_ms > rested_ms + COALESCE_MS ? took_ms - rested_ms : COALESCE_MS;
}

static bool has_something_to_judge(const struct berm_agent *agent)
{
	return berm_engine_is_stale(&agent->engine) || berm_intake_is_unsettled(agent->intake);
}

/* A failed judgement is told by itself, and tried again by its own timer. */
static void note_waiting(struct berm_agent *agent)
{
	berm_overdue_note(&agent->judgement,
			  agent->is_synced && berm_engine_is_stale(&agent->engine) &&
				  !agent->engine.retry_ms,
			  uv_now(&agent->loop));
}

bool berm_agent_is_overdue(const struct berm_agent *agent)
{
	return berm_overdue_is(&agent->judgement, OVERDUE_MS, uv_now(&agent->loop));
}

void berm_agent_touch(struct berm_agent *agent)
{
	struct loop *loop = loop_of(agent);
	uint64_t delay;

	note_waiting(agent);
	if (!agent->is_synced || !has_something_to_judge(agent))
		return;
	if (agent->engine.retry_ms && agent->engine.model.version == agent->engine.tried_version &&
	    !agent->engine.has_new_isolated)
		return; /* the same again would fail the same way: judge() has set a timer */
	delay = judge_delay(loop);
	if (!uv_is_active((uv_handle_t *)&loop->judge) || uv_timer_get_due_in(&loop->judge) > delay)
		uv_timer_start(&loop->judge, on_judge, delay, 0);
}

static void tell_applied(const struct berm_engine *engine)
{
	if (!engine->last.writes && engine->applied > 1)
		return; /* nothing new */
	berm_log(BERM_LOG_INFO, "applied",
		 "generation=%llu writes=%zu switched=%zu rejudged=%zu took-us=%llu policies=%zu pods=%zu endpoints=%zu",
		 (unsigned long long)engine->last.generation, engine->last.writes,
		 engine->last.switched, engine->last.rejudged,
		 (unsigned long long)(engine->took_ns / 1000), engine->model.policy_count,
		 engine->model.pod_count, engine->model.endpoint_count);
}

/* Once for each message, not once for each attempt. */
static void tell_failure(const struct berm_err *before, const struct berm_err *now)
{
	if (strcmp(before->msg, now->msg) != 0)
		berm_log(BERM_LOG_ERROR, "apply-failed",
			 "error=\"%s\" effect=\"the last good generation stays\"", now->msg);
}

static void tell_problems(const struct berm_engine *engine)
{
	enum berm_log_level level;
	char line[1024];
	size_t i;

	for (i = 0; i < engine->problems.count; i++) {
		level = engine->problems.item[i].severity == BERM_ERROR ? BERM_LOG_ERROR
									: BERM_LOG_WARNING;
		(void)berm_problem_format(&engine->problems.item[i], line,
					  sizeof(line)); /* cut is fine */
		berm_log(level, "policy-problem", "text=\"%s\"", line);
	}
}

/* What is new since `before`: each thing once, not with every attempt. */
static void tell_outcome(const struct berm_engine *engine, const struct berm_err *before,
			 const char *warning)
{
	if (engine->failure.code)
		tell_failure(before, &engine->failure);
	else if (before->code)
		berm_log(BERM_LOG_INFO, "apply-recovered", NULL);
	if (!engine->failure.code)
		tell_applied(engine);
	if (strcmp(warning, engine->last.warning) != 0)
		berm_log(BERM_LOG_WARNING, "apply-warning", "text=\"%s\"",
			 *engine->last.warning ? engine->last.warning : "that is over");
	if (engine->has_new_problems)
		tell_problems(engine);
}

/* The names belong to apply, which may have moved them. */
static void refresh_names(struct loop *loop)
{
	berm_flows_set_names(loop->agent.flows, berm_apply_names(loop->agent.engine.apply));
}

/* From the first generation on: before it nobody knows what should be there. Stays as it is when the agent goes: a
 * setting of the node, not of the process. */
static void set_missing_state(const struct berm_agent *agent)
{
	__u32 *flags = &agent->maps.node->flags;

	if (agent->settings.missing_pass)
		__atomic_fetch_and(flags, ~(__u32)BERM_NODE_MISSING_DENY, __ATOMIC_SEQ_CST);
	else if (agent->engine.has_judged)
		__atomic_fetch_or(flags, BERM_NODE_MISSING_DENY, __ATOMIC_SEQ_CST);
}

static void tell_ready(struct loop *loop)
{
	if (!loop->is_ready)
		berm_notify_ready();
	loop->is_ready = true;
}

/* What has expired, or has not any more because the clock was set back, changes the model. */
static void take_time(struct loop *loop)
{
	struct berm_model *model = &loop->agent.engine.model;
	struct berm_err err = { 0 };

	if (berm_model_set_time(model, berm_alarm_now_s()))
		berm_log(BERM_LOG_ERROR, "out-of-memory", NULL);
	if (berm_alarm_set(&loop->alarm, berm_model_next_time(model), &err))
		berm_log(BERM_LOG_ERROR, "expiry-not-watched", "error=\"%s\"", err.msg);
}

static void on_deadline(uv_timer_t *timer);

/* By the clock of whoever writes the documents, which may be set: looked at again each hour. */
static void watch_deadlines(struct loop *loop)
{
	struct berm_agent *agent = &loop->agent;
	int64_t next = berm_confirms_next(agent->confirms), left_s;

	if (next == INT64_MAX) {
		uv_timer_stop(&loop->deadline);
		return;
	}
	left_s = next - berm_intake_now_s(agent->intake);
	if (left_s < 1)
		left_s = 1;
	if (left_s > MAX_DEADLINE_S)
		left_s = MAX_DEADLINE_S;
	uv_timer_start(&loop->deadline, on_deadline, (uint64_t)left_s * 1000, 0);
}

static void on_alarm(void *ctx)
{
	struct loop *loop = ctx;

	take_time(loop);
	watch_deadlines(loop);
	berm_agent_touch(&loop->agent);
}

/* What waits for others that have come now goes with them, in one generation. */
static void settle(struct berm_agent *agent)
{
	struct berm_err err = { 0 };

	if (berm_intake_is_unsettled(agent->intake) && berm_intake_settle(agent->intake, &err))
		berm_log(BERM_LOG_ERROR, "expectations-not-checked",
			 "error=\"%s\" effect=\"the versions that expect something are not applied\"",
			 err.msg);
}

static void write_history(struct berm_agent *agent)
{
	struct berm_changes changes = { 0 };
	struct berm_generation now = { .generation = agent->engine.last.generation,
				       .changes = &changes,
				       .time_s = clock_ns(CLOCK_REALTIME) / 1000000000 };
	struct berm_policyset set;

	if (agent->engine.failure.code || !agent->engine.has_judged ||
	    !berm_history_is_behind(agent->history, &agent->engine.model))
		return;
	if (berm_policyset_read(agent->intake, &agent->engine.model, &set)) {
		berm_log(BERM_LOG_ERROR, "out-of-memory", NULL);
		return;
	}
	now.digest = set.digest;
	if (berm_history_add(agent->history, &agent->engine.model, &now))
		berm_log(BERM_LOG_ERROR, "out-of-memory", NULL);
	else
		berm_undo_add(agent->undo, agent->history, &changes, &agent->replaced);
	berm_changes_clear(&changes);
	berm_policyset_clear(&set);
}

static void judge_now(struct loop *loop)
{
	struct berm_agent *agent = &loop->agent;
	struct berm_err before = agent->engine.failure, err = { 0 };
	char warning[sizeof(agent->engine.last.warning)];

	if (agent->api) /* pods come without the API too */
		berm_api_need_services(agent->api,
				       berm_model_has_egress_rules(&agent->engine.model));
	settle(agent);
	berm_settings_apply(agent);
	memcpy(warning, agent->engine.last.warning, sizeof(warning));
	take_time(loop);
	berm_attest_endpoints(agent->attest);
	berm_shield_judging(agent->shield);
	if (berm_engine_judge(&agent->engine, &err))
		berm_log(BERM_LOG_DEBUG, "not-applied", "error=\"%s\"", err.msg);
	else
		berm_attest_judged(agent->attest);
	berm_shield_judged(agent->shield, !agent->engine.failure.code);
	if (agent->engine.failure.code || agent->engine.last.writes)
		berm_attest_wrote(agent->attest);
	set_missing_state(agent);
	uv_update_time(&agent->loop);
	loop->judged_ms = uv_now(&agent->loop);
	tell_outcome(&agent->engine, &before, warning);
	write_history(agent);
	berm_breaches_touch(agent->breaches);
	if (agent->engine.retry_ms)
		uv_timer_start(&loop->judge, on_judge, agent->engine.retry_ms, 0);
	note_waiting(agent);
	refresh_names(loop);
	berm_server_judged(agent->server);
	collect_soon(loop);
	if (agent->api && agent->engine.has_judged)
		tell_ready(loop);
	if (!uv_is_active((uv_handle_t *)&loop->save))
		uv_timer_start(&loop->save, on_save, SAVE_MS, 0);
}

static void judge(struct loop *loop)
{
	if (!loop->agent.is_synced || !has_something_to_judge(&loop->agent))
		return;
	if (loop->is_collecting) /* apply would wait for the same grace period, and the loop with it */
		loop->must_judge = true;
	else
		judge_now(loop);
}

static void on_judge(uv_timer_t *timer)
{
	judge(timer->data);
}

/* Whatever it was that kept it from being judged: the loop stands still for a moment rather than that. */
static void on_overdue(uv_timer_t *timer)
{
	struct loop *loop = timer->data;

	note_waiting(&loop->agent);
	if (!berm_agent_is_overdue(&loop->agent))
		return;
	berm_log(BERM_LOG_ERROR, "judgement-overdue",
		 "collecting=%d effect=\"made now\" text=\"please report\"", loop->is_collecting);
	judge_now(loop);
}

/* ---- what a generation leaves behind -------------------------------------------------------------------------- */

/* In a thread: some 10 ms in which the loop has other things to do. */
static void on_grace(uv_work_t *work)
{
	(void)work;
	berm_grace_period();
}

static void on_grace_over(uv_work_t *work, int status)
{
	struct loop *loop = work->data;
	struct berm_err err = { 0 };

	loop->is_collecting = false;
	if (status)
		return;
	berm_attest_wrote(loop->agent.attest);
	if (berm_apply_collect(loop->agent.engine.apply, loop->ticket, &err))
		berm_log(BERM_LOG_WARNING, "leftovers-not-collected", "error=\"%s\"", err.msg);
	else
		collect_soon(loop); /* the next step, if there is one */
	refresh_names(loop);
	if (loop->must_judge && !loop->is_collecting) {
		loop->must_judge = false;
		judge(loop);
	}
}

static void collect_soon(struct loop *loop)
{
	uint64_t ticket = berm_apply_garbage(loop->agent.engine.apply);

	if (!ticket || loop->is_collecting || loop->is_stopping)
		return;
	loop->ticket = ticket;
	loop->grace.data = loop;
	loop->is_collecting =
		!uv_queue_work(&loop->agent.loop, &loop->grace, on_grace, on_grace_over);
}

/* Both, whatever becomes of the first. */
static int save_all(struct berm_agent *agent, struct berm_err *err)
{
	struct berm_err second = { 0 };
	int rc = berm_confirms_save(agent->confirms, err), history_rc;

	if (!rc) /* what was before must be on disk before what is now takes its place there */
		rc = berm_lastgood_save(agent->store, err);
	history_rc = berm_pins_save(agent->pins, &second);
	if (!history_rc)
		history_rc = berm_undo_save(agent->undo, agent->history, &second);
	if (!history_rc)
		history_rc = berm_history_save(agent->history, &second);

	if (!rc && history_rc)
		*err = second;
	return rc ? rc : history_rc;
}

static void on_save(uv_timer_t *timer)
{
	struct loop *loop = timer->data;
	struct berm_err before = loop->agent.save_failure, err = { 0 };

	if (!save_all(&loop->agent, &err))
		err.code = 0;
	loop->agent.save_failure = err;
	if (err.code && strcmp(before.msg, err.msg) != 0)
		berm_log(BERM_LOG_ERROR, "documents-not-saved", "error=\"%s\"", err.msg);
	if (!err.code && before.code)
		berm_log(BERM_LOG_INFO, "documents-saved", NULL);
	if (err.code)
		uv_timer_start(&loop->save, on_save, SAVE_RETRY_MS, 0);
}

/* ---- sources ----------------------------------------------------------------------------------------------------------- */

static void on_files_timer(uv_timer_t *timer);

static void take_isolated(struct berm_agent *agent)
{
	const char **ns;
	size_t count;

	if (berm_intake_isolated(agent->intake, &ns, &count)) {
		berm_log(BERM_LOG_ERROR, "out-of-memory", NULL);
		return;
	}
	if (berm_engine_isolate(&agent->engine, ns, count))
		berm_log(BERM_LOG_ERROR, "out-of-memory", NULL);
	free(ns);
}

static void process_files(struct loop *loop)
{
	struct berm_agent *agent = &loop->agent;
	struct berm_err err = { 0 };
	int wait = -1;

	uv_update_time(&agent->loop);
	if (berm_files_process(agent->files, (int64_t)uv_now(&agent->loop), &wait, &err)) {
		berm_log(BERM_LOG_ERROR, "documents-not-read", "error=\"%s\"", err.msg);
		wait = 1000;
	}
	if (wait >= 0)
		uv_timer_start(&loop->files, on_files_timer, (uint64_t)wait, 0);
	else
		uv_timer_stop(&loop->files);
	take_isolated(agent);
	watch_deadlines(loop);
	if (!agent->is_synced && berm_files_has_synced(agent->files)) {
		agent->is_synced = true;
		berm_intake_go_live(agent->intake);
		berm_log(BERM_LOG_INFO, "synced", "files=%zu", berm_files_count(agent->files));
	}
	berm_agent_touch(agent);
}

static void on_files_timer(uv_timer_t *timer)
{
	process_files(timer->data);
}

/* Nobody goes back without having heard from the source since: it is read again, and that decides. */
static void on_deadline(uv_timer_t *timer)
{
	struct loop *loop = timer->data;

	berm_intake_expire(loop->agent.intake);
	if (loop->agent.files)
		process_files(loop);
	else
		watch_deadlines(loop);
}

static void on_files(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	process_files(poll->data);
}

static void on_api_changed(void *ctx)
{
	struct loop *loop = ctx;
	struct berm_agent *agent = &loop->agent;

	take_isolated(agent);
	watch_deadlines(loop);
	berm_api_need_services(agent->api, berm_model_has_egress_rules(&agent->engine.model));
	if (!agent->is_synced && berm_api_has_synced(agent->api)) {
		agent->is_synced = true;
		berm_intake_go_live(agent->intake);
		berm_log(BERM_LOG_INFO, "synced", "server=%s", berm_api_server(agent->api));
	}
	berm_agent_touch(agent);
}

void berm_agent_sync_endpoints(struct berm_agent *agent, bool settled)
{
	struct berm_err err = { 0 };

	if (berm_endpoints_sync(agent->endpoints, settled, &err) < 0)
		berm_log(BERM_LOG_ERROR, "endpoints-not-synced", "error=\"%s\"", err.msg);
	berm_agent_touch(agent);
}

static void process_cni(struct loop *loop)
{
	struct berm_err err = { 0 };
	bool changed;

	if (berm_cni_process(loop->agent.cni, &changed, &err))
		berm_log(BERM_LOG_ERROR, "records-not-read", "error=\"%s\"", err.msg);
	if (changed)
		berm_agent_sync_endpoints(&loop->agent, false);
}

static void on_cni(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	process_cni(poll->data);
}

void berm_agent_rescan(struct berm_agent *agent)
{
	if (agent->files) {
		berm_files_rescan(agent->files);
		process_files(loop_of(agent));
	}
	berm_cni_rescan(agent->cni);
	process_cni(loop_of(agent));
}

/* ---- events of the data path ----------------------------------------------------------------------------------- */

static int add_flow(struct loop *loop, const struct berm_event *event, bool is_sample)
{
	int64_t when = (int64_t)event->time_ns + loop->wall_offset_ns;

	if (is_sample)
		return berm_flows_add_sample(loop->agent.flows, (const struct berm_sample *)event,
					     when);
	return berm_flows_add(loop->agent.flows, event, when);
}

static int on_ring_event(void *ctx, void *data, size_t size)
{
	struct loop *loop = ctx;
	const struct berm_event *event = data;

	if (size >= sizeof(*event) && !add_flow(loop, event, size >= sizeof(struct berm_sample)))
		loop->has_new_flows = true;
	if (size >= sizeof(*event) && loop->agent.feedback)
		berm_feedback_flow(loop->agent.feedback, event);
	return loop->ring_budget-- ? 0
				   : -EAGAIN; /* the rest stays in the ring, and the fd readable */
}

static int on_ring_ended(void *ctx, void *data, size_t size)
{
	struct loop *loop = ctx;
	const struct berm_ended *ended = data;

	if (size >= sizeof(*ended) &&
	    !berm_flows_add_ended(loop->agent.flows, ended,
				  (int64_t)ended->time_ns + loop->wall_offset_ns))
		loop->has_new_flows = true;
	return loop->ring_budget-- ? 0 : -EAGAIN;
}

static void on_ring(uv_poll_t *poll, int status, int events)
{
	struct loop *loop = poll->data;

	(void)status;
	(void)events;
	loop->ring_budget = EVENTS_AT_ONCE;
	loop->wall_offset_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
	(void)ring_buffer__consume(loop->ring); /* an error is our own "enough for now" */
	if (loop->has_new_flows)
		berm_server_flows(loop->agent.server);
	loop->has_new_flows = false;
}

static int start_ring(struct loop *loop, struct berm_err *err)
{
	struct berm_agent *agent = &loop->agent;

	loop->ring = ring_buffer__new(agent->maps.fd[BERM_MAP_events], on_ring_event, loop, NULL);
	if (!loop->ring ||
	    ring_buffer__add(loop->ring, agent->maps.fd[BERM_MAP_ended], on_ring_ended, loop))
		return berm_fail(err, -errno, "open the ring buffers of the data path");
	uv_poll_init(&agent->loop, &loop->ring_events, ring_buffer__epoll_fd(loop->ring));
	loop->ring_events.data = loop;
	uv_poll_start(&loop->ring_events, UV_READABLE, on_ring);
	__atomic_fetch_or(&agent->maps.node->flags, FLAGS_EVENTS, __ATOMIC_SEQ_CST);
	return 0;
}

static void stop_ring(struct loop *loop)
{
	if (!loop->ring)
		return;
	__atomic_fetch_and(&loop->agent.maps.node->flags, ~(uint32_t)FLAGS_EVENTS,
			   __ATOMIC_SEQ_CST);
	uv_close((uv_handle_t *)&loop->ring_events, NULL);
}

/* ---- start and stop --------------------------------------------------------------------------------------------- */

static void on_signal(uv_signal_t *handle, int signum)
{
	berm_log(BERM_LOG_INFO, "stopping",
		 "signal=%s effect=\"enforcement goes on without the agent\"",
		 signum == SIGTERM ? "TERM" : "INT");
	uv_stop(handle->loop);
}

void berm_agent_start_again(struct berm_agent *agent)
{
	berm_log(BERM_LOG_ERROR, "starting-again",
		 "text=\"somebody has loaded another data path in the place of ours\"");
	loop_of(agent)->must_start_again = true;
	uv_stop(&agent->loop);
}

static void start_handles(struct loop *loop)
{
	struct berm_agent *agent = &loop->agent;

	uv_timer_init(&agent->loop, &loop->judge);
	uv_timer_init(&agent->loop, &loop->files);
	uv_timer_init(&agent->loop, &loop->save);
	uv_timer_init(&agent->loop, &loop->overdue);
	uv_timer_init(&agent->loop, &loop->deadline);
	uv_signal_init(&agent->loop, &loop->sigterm);
	uv_signal_init(&agent->loop, &loop->sigint);
	loop->judge.data = loop->files.data = loop->save.data = loop->overdue.data = loop;
	loop->deadline.data = loop;
	uv_timer_start(&loop->overdue, on_overdue, OVERDUE_MS / 2, OVERDUE_MS / 2);
	uv_signal_start(&loop->sigterm, on_signal, SIGTERM);
	uv_signal_start(&loop->sigint, on_signal, SIGINT);
}

static int open_store(struct berm_agent *agent, struct berm_err *err)
{
	char dir[512];
	struct berm_err why = { 0 };
	int rc;

	snprintf(dir, sizeof(dir), "%s/documents", agent->opts.state_dir);
	rc = berm_lastgood_open(dir, &agent->store, &agent->start_problems, &why);
	if (rc && !agent->store) {
		*err = why;
		return rc;
	}
	agent->save_failure = why; /* works from memory, and says so */
	if (rc)
		berm_log(BERM_LOG_ERROR, "documents-not-saved", "error=\"%s\"", why.msg);
	return 0;
}

static int open_history(struct berm_agent *agent, struct berm_err *err)
{
	struct berm_err why = { 0 };
	char path[512];
	int rc;

	snprintf(path, sizeof(path), "%s/history.json", agent->opts.state_dir);
	rc = berm_history_open(path, &agent->history, &why);
	if (rc && !agent->history) {
		*err = why;
		return rc;
	}
	if (rc)
		berm_log(BERM_LOG_ERROR, "history-not-read", "error=\"%s\"", why.msg);
	return 0;
}

static int open_confirms(struct berm_agent *agent, struct berm_err *err)
{
	struct berm_err why = { 0 };
	char path[512];
	int rc;

	snprintf(path, sizeof(path), "%s/unconfirmed.json", agent->opts.state_dir);
	rc = berm_confirms_open(path, berm_alarm_now_s(), &agent->confirms, &why);
	if (rc && !agent->confirms) {
		*err = why;
		return rc;
	}
	if (rc)
		berm_log(BERM_LOG_ERROR, "confirmations-not-read", "error=\"%s\"", why.msg);
	agent->intake->confirms = agent->confirms;
	return 0;
}

/* What a rollback needs: what was, and what is held. */
static int open_undo(struct berm_agent *agent, struct berm_err *err)
{
	struct berm_err why = { 0 };
	char path[512];
	int rc;

	snprintf(path, sizeof(path), "%s/undo", agent->opts.state_dir);
	rc = berm_undo_open(path, &agent->undo, err);
	if (rc)
		return rc;
	snprintf(path, sizeof(path), "%s/rollback.json", agent->opts.state_dir);
	rc = berm_pins_open(path, &agent->pins, &why);
	if (rc && !agent->pins) {
		*err = why;
		return rc;
	}
	if (rc)
		berm_log(BERM_LOG_ERROR, "rollback-not-read", "error=\"%s\"", why.msg);
	agent->intake->pins = agent->pins;
	agent->intake->replaced = &agent->replaced;
	berm_lastgood_watch(agent->store, &agent->replaced);
	return 0;
}

static int open_source(struct berm_agent *agent, struct berm_err *err)
{
	struct berm_api_opts opts = agent->opts.api;
	int rc;

	if (!agent->opts.has_api) {
		rc = berm_files_open(agent->opts.manifests, &agent->engine.model, agent->store,
				     &agent->files, err);
		if (!rc)
			agent->intake = berm_files_intake(agent->files);
		return rc;
	}
	opts.node = agent->opts.node;
	opts.changed = on_api_changed;
	opts.ctx = loop_of(agent);
	rc = berm_api_open(&agent->loop, &opts, &agent->engine.model, agent->store, &agent->api,
			   err);
	if (!rc)
		agent->intake = berm_api_intake(agent->api);
	return rc;
}

/* Pods that have the new programs already find their sessions at once; the others' are copied again before they get them. */
static int open_resize(struct berm_agent *agent, struct berm_err *err)
{
	int rc = berm_resize_open(&agent->maps, &agent->opts.sessions, &agent->resize, err);

	if (rc == -ENOENT)
		return 0;
	if (!rc)
		rc = berm_resize_copy(agent->resize, 0, err);
	if (!rc)
		berm_log(BERM_LOG_INFO, "session-table-resize", "from=%llu to=%llu",
			 (unsigned long long)berm_resize_from(agent->resize) * BERM_WAYS,
			 (unsigned long long)agent->maps.buckets * BERM_WAYS);
	return rc;
}

static int open_parts(struct berm_agent *agent, struct berm_err *err)
{
	struct berm_load_opts opts = { .mount_bpffs = true,
				       .replace_progs = true,
				       .sessions = agent->opts.sessions,
				       .buckets = agent->opts.buckets };
	int rc;

	rc = berm_load_ensure(&opts, &agent->maps, err);
	if (!rc)
		rc = open_resize(agent, err);
	if (!rc)
		rc = berm_engine_open(&agent->engine, &agent->maps, err);
	agent->engine.model.now_s = berm_alarm_now_s(); /* before any document comes */
	if (!rc && berm_model_set_node(&agent->engine.model, agent->opts.node))
		rc = berm_fail(err, -ENOMEM, "remember the node's name");
	if (!rc)
		rc = open_store(agent, err);
	if (!rc)
		rc = open_history(agent, err);
	if (!rc)
		rc = open_source(agent, err);
	if (!rc)
		rc = open_confirms(agent, err);
	if (!rc)
		rc = open_undo(agent, err);
	if (!rc)
		rc = berm_endpoints_new(&agent->maps, &agent->engine.model, agent->opts.node,
					&agent->endpoints, err);
	if (!rc)
		rc = berm_cni_open(agent->endpoints, &agent->cni, err);
	if (!rc)
		rc = berm_flows_new(agent->opts.node, &agent->engine.model, BERM_FLOWS_DEFAULT,
				    &agent->flows, err);
	return rc;
}

static int start_parts(struct loop *loop, struct berm_err *err)
{
	struct berm_agent *agent = &loop->agent;
	int rc;

	rc = berm_server_start(agent, &agent->server, err);
	if (!rc)
		rc = berm_shield_start(agent, &agent->shield, err);
	if (!rc && agent->opts.keep_install)
		rc = berm_keeper_start(&agent->loop, &agent->opts.install, &agent->keeper, err);
	if (!rc && agent->api && agent->opts.feedback_s)
		rc = berm_feedback_new(agent, agent->opts.feedback_s, &agent->feedback, err);
	if (!rc)
		rc = berm_breaches_new(&agent->loop, &agent->engine.model, &agent->breaches, err);
	if (!rc)
		rc = berm_attest_new(agent, &agent->attest, err);
	if (!rc)
		rc = berm_reconcile_start(agent, &agent->reconcile, err);
	if (!rc)
		rc = berm_pressure_start(agent, &agent->pressure, err);
	if (!rc)
		rc = start_ring(loop, err);
	if (!rc)
		rc = berm_alarm_open(&loop->alarm, &agent->loop, err);
	if (rc)
		return rc;
	uv_poll_init(&agent->loop, &loop->cni_events, berm_cni_fd(agent->cni));
	loop->file_events.data = loop->cni_events.data = loop;
	if (agent->files) {
		uv_poll_init(&agent->loop, &loop->file_events, berm_files_fd(agent->files));
		uv_poll_start(&loop->file_events, UV_READABLE, on_files);
	}
	uv_poll_start(&loop->cni_events, UV_READABLE, on_cni);
	return 0;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void stop_parts(struct loop *loop)
{
	struct berm_agent *agent = &loop->agent;

	loop->is_stopping = true;
	stop_ring(loop);
	berm_server_stop(agent->server);
	berm_reconcile_stop(agent->reconcile);
	berm_pressure_stop(agent->pressure);
	berm_feedback_stop(agent->feedback);
	berm_api_stop(agent->api);
	berm_keeper_stop(agent->keeper);
	berm_breaches_stop(agent->breaches);
	uv_walk(&agent->loop, close_handle, NULL);
	uv_run(&agent->loop, UV_RUN_DEFAULT);
	uv_loop_close(&agent->loop);
	berm_alarm_close(&loop->alarm);
	berm_server_free(agent->server);
	berm_keeper_free(agent->keeper);
	berm_breaches_free(agent->breaches);
	berm_shield_free(agent->shield);
	berm_feedback_free(agent->feedback);
	berm_reconcile_free(agent->reconcile);
	berm_pressure_free(agent->pressure);
	berm_attest_free(agent->attest);
	ring_buffer__free(loop->ring);
}

static void close_parts(struct berm_agent *agent)
{
	berm_flows_free(agent->flows);
	berm_cni_close(agent->cni);
	berm_endpoints_free(agent->endpoints);
	berm_files_close(agent->files);
	berm_api_free(agent->api);
	berm_confirms_close(agent->confirms);
	berm_pins_close(agent->pins);
	berm_undo_close(agent->undo);
	berm_lastgood_close(agent->store);
	berm_replaced_clear(&agent->replaced);
	berm_history_close(agent->history);
	berm_problems_clear(&agent->start_problems);
	berm_engine_close(&agent->engine);
	berm_resize_close(agent->resize);
	berm_maps_close(&agent->maps);
}

static void save_now(struct berm_agent *agent)
{
	struct berm_err err = { 0 };

	if (save_all(agent, &err))
		berm_log(BERM_LOG_ERROR, "documents-not-saved", "error=\"%s\"", err.msg);
}

/* Everything is read and in force before the loop runs, so a plugin's first call finds it so. */
static void start_enforcing(struct loop *loop)
{
	process_files(loop);
	berm_agent_sync_endpoints(&loop->agent, false);
	judge(loop);
	tell_ready(loop);
}

/* What is in force stays as it is until the server has told everything. */
static void start_listening(struct loop *loop)
{
	berm_agent_sync_endpoints(&loop->agent, false);
	berm_api_start(loop->agent.api);
	berm_feedback_start(loop->agent.feedback);
}

static void tell_started(const struct berm_agent *agent)
{
	berm_log(BERM_LOG_INFO, "started", "version=%s node=%s %s=\"%s\" socket=%s", BERM_VERSION,
		 agent->opts.node, agent->api ? "server" : "manifests",
		 agent->api ? berm_api_server(agent->api) : agent->opts.manifests,
		 agent->opts.socket);
}

int berm_agent_run(const struct berm_agent_opts *opts, struct berm_err *err)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	struct berm_agent *agent;
	int rc;

	if (!loop)
		return berm_fail(err, -ENOMEM, "start");
	agent = &loop->agent;
	agent->opts = *opts;
	agent->settings =
		(struct berm_settings){ opts->log_level, opts->missing_pass, opts->feedback_s };
	loop->alarm = (struct berm_alarm){ .fd = -1, .ring = on_alarm, .ctx = loop };
	agent->maps = (struct berm_maps)BERM_MAPS_CLOSED;
	uv_loop_init(&agent->loop);
	agent->started_ms = (int64_t)uv_now(&agent->loop);
	start_handles(loop);
	rc = open_parts(agent, err);
	if (!rc)
		rc = start_parts(loop, err);
	if (!rc) {
		tell_started(agent);
		if (agent->api)
			start_listening(loop);
		else
			start_enforcing(loop);
		uv_run(&agent->loop, UV_RUN_DEFAULT);
		save_now(agent);
		if (loop->must_start_again)
			rc = berm_refuse(err, -ERESTART, "another data path is there");
	}
	stop_parts(loop);
	close_parts(agent);
	free(loop);
	return rc;
}
