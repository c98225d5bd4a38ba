/* SPDX-License-Identifier: Apache-2.0 */
/* feedback.c - the clock of all that is written, and the write of the node's own status. */
#include "feedback.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "apicall.h"
#include "apievents.h"
#include "cleanup.h"
#include "denials.h"
#include "lease.h"
#include "nodestatus.h"
#include "patience.h"
#include "rollup.h"

#define NODES_PER_S 50 /* writes of all nodes together */
#define GENERATION_FACTOR                                                                          \
	6 /* a new generation alone, which every pod that comes or goes makes, can wait so much longer */
#define POD_EVENT_MS	10000
#define POLICY_EVENT_MS 200

struct berm_feedback {
	const struct berm_agent *agent;
	unsigned int interval_ms;
	uv_timer_t timer;
	struct berm_lease *lease;
	struct berm_apievents *pod_events, *policy_events;
	struct berm_denials *denials;
	struct berm_rollup *rollup;
	bool was_ours;
	struct berm_apicall *call; /* the status is being written */
	struct berm_nodestatus sending, written;
	struct berm_patience patience;
	uint64_t written_ms; /* 0: never */
	uint64_t writes;
};

static uint64_t now_ms(const struct berm_feedback *feedback)
{
	return uv_now(&feedback->agent->loop);
}

/* ---- the node's status --------------------------------------------------------------------------------------------- */

static void on_written(const struct berm_apireply *reply, void *ctx)
{
	struct berm_feedback *feedback = ctx;

	feedback->call = NULL;
	if (*reply->error) {
		berm_patience_lose(&feedback->patience, reply, now_ms(feedback));
		berm_nodestatus_clear(&feedback->sending);
		return;
	}
	berm_patience_regain(&feedback->patience);
	feedback->writes++;
	berm_nodestatus_clear(&feedback->written);
	feedback->written = feedback->sending;
	feedback->sending = (struct berm_nodestatus){ 0 };
}

static bool is_due(const struct berm_feedback *feedback, const struct berm_nodestatus *now)
{
	const struct berm_nodestatus *then = &feedback->written;
	uint64_t least = (uint64_t)berm_lease_nodes(feedback->lease) * 1000 / NODES_PER_S;
	uint64_t passed = now_ms(feedback) - feedback->written_ms;

	if (!then->content)
		return true;
	if (least < feedback->interval_ms)
		least = feedback->interval_ms;
	if (strcmp(then->content, now->content) != 0 || strcmp(then->set, now->set) != 0 ||
	    strcmp(then->refused, now->refused) != 0)
		return passed >= least - least / 4; /* the clock's own jitter */
	return then->generation != now->generation && passed >= GENERATION_FACTOR * least;
}

static int send_status(struct berm_feedback *feedback, struct berm_err *err)
{
	const struct berm_agent *agent = feedback->agent;
	auto_free char *text = berm_nodestatus_configmap(agent, &feedback->sending), *path = NULL;
	struct berm_apicall_opts opts = {
		.method = "PATCH",
		.send = text,
		.send_type = "application/apply-patch+yaml",
		.done = on_written,
		.ctx = feedback,
	};

	if (asprintf(&path,
		     "/api/v1/namespaces/" BERM_SYSTEM_NAMESPACE
		     "/configmaps/berm-status-%s?fieldManager=berm-agent&force=true",
		     agent->opts.node) < 0)
		path = NULL;
	if (!text || !path)
		return berm_fail(err, -ENOMEM, "write the status");
	opts.path = path;
	return berm_apicall_start(berm_api_http(agent->api), &opts, &feedback->call, err);
}

static void write_status(struct berm_feedback *feedback)
{
	struct berm_apireply failed = { 0 };
	struct berm_err err = { 0 };

	if (feedback->call || berm_patience_is_out(&feedback->patience, now_ms(feedback)) ||
	    berm_engine_is_stale(&feedback->agent->engine))
		return;
	if (berm_nodestatus_read(feedback->agent, &feedback->sending))
		return; /* the next tick tries again */
	if (!is_due(feedback, &feedback->sending)) {
		berm_nodestatus_clear(&feedback->sending);
		return;
	}
	feedback->written_ms = now_ms(feedback);
	if (!send_status(feedback, &err))
		return;
	snprintf(failed.error, sizeof(failed.error), "%.300s", err.msg);
	berm_patience_lose(&feedback->patience, &failed, now_ms(feedback));
	berm_nodestatus_clear(&feedback->sending);
}

/* ---- the clock ------------------------------------------------------------------------------------------------------ */

static void lead(struct berm_feedback *feedback)
{
	bool is_ours = berm_lease_is_ours(feedback->lease);

	if (is_ours) {
		berm_rollup_step(feedback->rollup);
		berm_lease_set_nodes(feedback->lease, berm_rollup_nodes(feedback->rollup));
	} else if (feedback->was_ours) {
		berm_rollup_reset(feedback->rollup);
	}
	feedback->was_ours = is_ours;
}

static void on_timer(uv_timer_t *timer)
{
	struct berm_feedback *feedback = timer->data;

	uv_timer_start(&feedback->timer, on_timer,
		       feedback->interval_ms * 3 / 4 + berm_jitter(feedback->interval_ms / 2), 0);
	if (!feedback->agent->is_synced || !feedback->agent->engine.has_judged)
		return;
	write_status(feedback);
	lead(feedback);
}

void berm_feedback_flow(struct berm_feedback *feedback, const struct berm_event *event)
{
	berm_denials_add(feedback->denials, event, berm_apply_names(feedback->agent->engine.apply));
}

/* ---- open and close -------------------------------------------------------------------------------------------------- */

static int open_parts(struct berm_feedback *feedback, struct berm_err *err)
{
	const struct berm_agent *agent = feedback->agent;
	uv_loop_t *loop = feedback->timer.loop;
	struct berm_lease_opts lease = {
		.loop = loop,
		.http = berm_api_http(agent->api),
		.node = agent->opts.node,
		.renew_ms = feedback->interval_ms,
	};
	struct berm_apievents_opts events = {
		.loop = loop,
		.http = lease.http,
		.node = agent->opts.node,
		.refill_ms = POD_EVENT_MS,
	};
	int rc;

	rc = berm_lease_new(&lease, &feedback->lease, err);
	if (!rc)
		rc = berm_apievents_new(&events, &feedback->pod_events, err);
	events.refill_ms = POLICY_EVENT_MS;
	if (!rc)
		rc = berm_apievents_new(&events, &feedback->policy_events, err);
	if (!rc)
		rc = berm_denials_new(&agent->engine.model, feedback->pod_events,
				      &feedback->denials, err);
	if (!rc)
		rc = berm_rollup_new(agent, feedback->policy_events, &feedback->rollup, err);
	return rc;
}

int berm_feedback_new(const struct berm_agent *agent, unsigned int interval_s,
		      struct berm_feedback **ret, struct berm_err *err)
{
	struct berm_feedback *feedback = calloc(1, sizeof(*feedback));

	if (!feedback)
		return berm_fail(err, -ENOMEM, "prepare the feedback");
	*ret = feedback; /* also on failure: it has handles that the loop must close */
	feedback->agent = agent;
	feedback->interval_ms = interval_s * 1000;
	feedback->patience.what = "status of the node";
	feedback->patience.advice = "a Role in " BERM_SYSTEM_NAMESPACE
				    " must give create and patch on configmaps";
	uv_timer_init((uv_loop_t *)&agent->loop, &feedback->timer);
	feedback->timer.data = feedback;
	return open_parts(feedback, err);
}

void berm_feedback_start(struct berm_feedback *feedback)
{
	if (!feedback)
		return;
	berm_lease_start(feedback->lease);
	uv_timer_start(&feedback->timer, on_timer, berm_jitter(feedback->interval_ms / 4), 0);
}

void berm_feedback_set_interval(struct berm_feedback *feedback, unsigned int interval_s)
{
	if (!feedback || feedback->interval_ms == interval_s * 1000)
		return;
	feedback->interval_ms = interval_s * 1000;
	if (uv_is_active((uv_handle_t *)&feedback->timer))
		uv_timer_start(&feedback->timer, on_timer, berm_jitter(feedback->interval_ms), 0);
}

void berm_feedback_stop(struct berm_feedback *feedback)
{
	if (!feedback)
		return;
	uv_close((uv_handle_t *)&feedback->timer, NULL);
	berm_apicall_cancel(TAKE_PTR(feedback->call));
	berm_lease_stop(feedback->lease);
	berm_apievents_stop(feedback->pod_events);
	berm_apievents_stop(feedback->policy_events);
	berm_rollup_stop(feedback->rollup);
}

void berm_feedback_free(struct berm_feedback *feedback)
{
	if (!feedback)
		return;
	berm_nodestatus_clear(&feedback->sending);
	berm_nodestatus_clear(&feedback->written);
	berm_denials_free(feedback->denials);
	berm_rollup_free(feedback->rollup);
	berm_apievents_free(feedback->pod_events);
	berm_apievents_free(feedback->policy_events);
	berm_lease_free(feedback->lease);
	free(feedback);
}

cJSON *berm_feedback_json(const struct berm_feedback *feedback)
{
	struct berm_apievents_count pods = berm_apievents_count(feedback->pod_events);
	struct berm_apievents_count policies = berm_apievents_count(feedback->policy_events);
	cJSON *object = cJSON_CreateObject();

	cJSON_AddBoolToObject(object, "leader", berm_lease_is_ours(feedback->lease));
	cJSON_AddNumberToObject(object, "status_writes", (double)feedback->writes);
	cJSON_AddNumberToObject(object, "events_sent", (double)(pods.sent + policies.sent));
	cJSON_AddNumberToObject(object, "events_dropped",
				(double)(pods.dropped + policies.dropped));
	if (*feedback->patience.error)
		cJSON_AddStringToObject(object, "error", feedback->patience.error);
	return object;
}
