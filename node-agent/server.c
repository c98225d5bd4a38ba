/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.c - HTTP calls from the plugin and bermctl. libmicrohttpd runs without threads: its epoll descriptor
 * is one more in our loop, and a call that has to wait is suspended.
 */
#include "server.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent.h"
#include "cleanup.h"
#include "diff.h"
#include "explain.h"
#include "fsutil.h"
#include "inquiry.h"
#include "log.h"
#include "objectlist.h"
#include "paths.h"
#include "rollback.h"
#include "status.h"
#include "why.h"

#define MAX_BODY      65536
#define MAX_DOCUMENTS (4u << 20) /* POST /v1/diff */
#define DIFF_PATH     "/v1/diff"
#define MAX_CALLS     512
#define IDLE_S	      10    /* a client that says nothing */
#define MAX_WAIT_MS   60000 /* POST /v1/endpoints */
#define LINE_MIN      4096
#define DEFAULT_FLOWS 100

enum call_kind { CALL_PLAIN, CALL_JUDGE, CALL_FOLLOW, CALL_EXPLAIN, CALL_DIFF };

struct call { /* one HTTP request */
	struct call *next;
	struct berm_server *server;
	struct MHD_Connection *conn;
	enum call_kind kind;
	bool is_suspended;
	char *body;
	size_t size, max_size;
	bool is_too_big;
	/* CALL_DIFF */
	struct berm_inquiry *inquiry;
	bool is_answered;
	int answer_status;
	char *answer;
	/* CALL_JUDGE */
	bool is_waiting; /* has been looked at, and waits */
	uint32_t slot, ifindex;
	char container_id[sizeof(((struct berm_record *)0)->container_id)];
	char ifname[sizeof(((struct berm_record *)0)->ifname)];
	int64_t until_ms;
	/* CALL_FOLLOW, and flows in general */
	bool must_follow, has_left;
	uint64_t seq, end; /* next flow; behind the last one if it does not follow */
	char *line;	   /* what is left to send of a flow */
	size_t line_len, line_at, line_room;
};

struct berm_server {
	struct berm_agent *agent;
	struct MHD_Daemon *daemon;
	uv_poll_t events;
	uv_timer_t timer;
	struct call *calls;
	bool is_stopping;
	struct berm_explain *explain; /* NULL: nobody has asked yet */
	uv_work_t loading;
	bool is_loading;
	struct berm_err load_failure; /* of the last attempt */
	struct call *diffing;	      /* one at a time: each may take a core */
};

typedef enum MHD_Result (*route_fn)(struct call *call);

/* ---- answers ------------------------------------------------------------------------------------------------- */

static enum MHD_Result send_text(struct call *call, unsigned int status, char *text)
{
	struct MHD_Response *response;
	enum MHD_Result rc;

	if (!text)
		return MHD_NO; /* no memory: the connection is closed */
	response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(text);
		return MHD_NO;
	}
	(void)MHD_add_response_header(response, "Content-Type", "application/json");
	rc = MHD_queue_response(call->conn, status, response);
	MHD_destroy_response(response);
	return rc;
}

/* Takes the tree. */
static enum MHD_Result send_json(struct call *call, unsigned int status, cJSON *tree)
{
	char *text = tree ? cJSON_PrintUnformatted(tree) : NULL;

	cJSON_Delete(tree);
	return send_text(call, status, text);
}

static enum MHD_Result send_error(struct call *call, unsigned int status, const char *error,
				  const char *hint)
{
	cJSON *tree = cJSON_CreateObject();

	if (tree) {
		cJSON_AddStringToObject(tree, "error", error);
		cJSON_AddStringToObject(tree, "hint", hint);
	}
	return send_json(call, status, tree);
}

static enum MHD_Result get_status(struct call *call)
{
	return send_json(call, MHD_HTTP_OK, berm_status_json(call->server->agent));
}

static enum MHD_Result get_endpoints(struct call *call)
{
	return send_json(call, MHD_HTTP_OK, berm_endpoints_json(call->server->agent));
}

static enum MHD_Result get_policies(struct call *call)
{
	return send_json(call, MHD_HTTP_OK, berm_policies_json(call->server->agent));
}

static enum MHD_Result get_objects(struct call *call)
{
	return send_json(call, MHD_HTTP_OK, berm_objects_json(&call->server->agent->engine.model));
}

static enum MHD_Result get_rules(struct call *call)
{
	return send_json(call, MHD_HTTP_OK, berm_rules_json(call->server->agent));
}

static enum MHD_Result get_history(struct call *call)
{
	return send_json(call, MHD_HTTP_OK, berm_history_json(call->server->agent->history));
}

static enum MHD_Result get_confirmations(struct call *call)
{
	return send_json(call, MHD_HTTP_OK, berm_confirms_json(call->server->agent->confirms));
}

/* ---- suspended calls ------------------------------------------------------------------------------------------ */

static void run_soon(struct berm_server *server);

static void suspend(struct call *call)
{
	call->is_suspended = true;
	MHD_suspend_connection(call->conn);
}

static void resume(struct call *call)
{
	if (!call->is_suspended)
		return;
	call->is_suspended = false;
	MHD_resume_connection(call->conn);
	run_soon(call->server);
}

/* ---- POST /v1/endpoints ----------------------------------------------------------------------------------------- */

static int64_t now_ms(const struct berm_server *server)
{
	return (int64_t)uv_now(&server->agent->loop);
}

static bool parse_wait(const struct call *call, int64_t *out)
{
	cJSON *tree = cJSON_ParseWithLength(call->body, call->size);
	const cJSON *wait = cJSON_GetObjectItemCaseSensitive(tree, "wait_ms");
	bool is_good = !wait || (cJSON_IsNumber(wait) && wait->valuedouble >= 0);

	if (is_good && wait)
		*out = wait->valuedouble < MAX_WAIT_MS ? (int64_t)wait->valuedouble : MAX_WAIT_MS;
	cJSON_Delete(tree);
	return is_good;
}

/* The record on disk is what the plugin wrote last; the body serves where /run is full. */
static int take_endpoint(struct call *call, struct berm_err *err)
{
	struct berm_agent *agent = call->server->agent;
	struct berm_record record;
	int64_t wait = 0;
	int rc;

	rc = berm_record_parse("the request", call->body, call->size, &record, err);
	if (rc)
		return rc;
	if (!parse_wait(call, &wait))
		return berm_refuse(err, -EBADMSG, "wait_ms is not a number of milliseconds");
	if (!berm_container_id_is_valid(record.container_id) ||
	    !berm_ifname_is_valid(record.ifname))
		return berm_refuse(err, -EBADMSG,
				   "container_id or ifname is missing or no valid name");
	if (!record.ifindex || !record.slot || record.slot >= BERM_MAX_ENDPOINTS)
		return berm_refuse(err, -EBADMSG, "ifindex or slot is missing or out of range");
	rc = berm_cni_refresh(agent->cni, record.container_id, record.ifname, NULL);
	if (rc && berm_endpoints_put(agent->endpoints, &record))
		return berm_fail(err, -ENOMEM, "remember the endpoint");
	call->slot = record.slot;
	call->ifindex = record.ifindex;
	call->until_ms = now_ms(call->server) + wait;
	memcpy(call->container_id, record.container_id, sizeof(call->container_id));
	memcpy(call->ifname, record.ifname, sizeof(call->ifname));
	berm_agent_sync_endpoints(agent, false);
	return 0;
}

static const char *why_not_judged(const struct call *call)
{
	const struct berm_agent *agent = call->server->agent;
	struct berm_endpoint_view view;

	if (!agent->is_synced)
		return "not every policy source has been read yet";
	if (!berm_endpoints_view(agent->endpoints, call->slot, &view) ||
	    view.ifindex != call->ifindex)
		return "the data path has no such endpoint";
	if (agent->engine.failure.code)
		return agent->engine.failure.msg;
	if (!view.local || !berm_model_pod_of(&agent->engine.model, view.local))
		return "no source knows this pod yet";
	return "its policies are not in the kernel yet";
}

/* In force for the model as it is now: an old judgement of the slot's last owner does not count. */
static bool is_judged(const struct call *call)
{
	const struct berm_engine *engine = &call->server->agent->engine;

	return engine->judged_version == engine->model.version &&
	       berm_engine_has_judged(engine, call->slot, call->ifindex);
}

static enum MHD_Result answer_judged(struct call *call, bool judged)
{
	cJSON *tree = cJSON_CreateObject();

	if (!tree)
		return MHD_NO;
	cJSON_AddBoolToObject(tree, "judged", judged);
	if (judged)
		cJSON_AddNumberToObject(tree, "generation",
					(double)call->server->agent->engine.last.generation);
	else
		cJSON_AddStringToObject(tree, "reason", why_not_judged(call));
	return send_json(call, judged ? MHD_HTTP_OK : MHD_HTTP_ACCEPTED, tree);
}

static enum MHD_Result post_endpoints(struct call *call)
{
	struct berm_err err = { 0 };

	if (!call->is_waiting && take_endpoint(call, &err))
		return send_error(call,
				  err.code == -EBADMSG ? MHD_HTTP_BAD_REQUEST
						       : MHD_HTTP_SERVICE_UNAVAILABLE,
				  err.msg,
				  "the body is that of docs/rest-api.md, POST /v1/endpoints");
	if (is_judged(call))
		return answer_judged(call, true);
	if (call->server->is_stopping || now_ms(call->server) >= call->until_ms)
		return answer_judged(call, false);
	call->kind = CALL_JUDGE;
	call->is_waiting = true;
	suspend(call);
	run_soon(call->server);
	return MHD_YES;
}

/* ---- POST /v1/explain --------------------------------------------------------------------------------------------- */

/* In a thread: the verifier takes its time. */
static void on_load(uv_work_t *work)
{
	struct berm_server *server = work->data;

	if (berm_explain_open(&server->agent->maps, &server->agent->opts.sessions, &server->explain,
			      &server->load_failure))
		server->explain = NULL;
}

static void on_loaded(uv_work_t *work, int status)
{
	struct berm_server *server = work->data;
	struct call *call;

	server->is_loading = false;
	if (status)
		(void)berm_fail(&server->load_failure, status, "load the data path, to explain");
	for (call = server->calls; call; call = call->next)
		if (call->kind == CALL_EXPLAIN)
			resume(call);
}

static enum MHD_Result load_explain(struct call *call)
{
	struct berm_server *server = call->server;

	if (server->is_stopping)
		return send_error(call, MHD_HTTP_SERVICE_UNAVAILABLE, "the agent is stopping",
				  "ask again when it is back");
	if (!server->is_loading) {
		server->loading.data = server;
		server->load_failure.code = 0;
		server->is_loading =
			!uv_queue_work(&server->agent->loop, &server->loading, on_load, on_loaded);
	}
	if (!server->is_loading)
		return MHD_NO;
	call->kind = CALL_EXPLAIN;
	suspend(call);
	run_soon(server);
	return MHD_YES;
}

static unsigned int status_of(int code)
{
	if (code == -EINVAL)
		return MHD_HTTP_BAD_REQUEST;
	return code == -ENOENT ? MHD_HTTP_NOT_FOUND : MHD_HTTP_INTERNAL_SERVER_ERROR;
}

static enum MHD_Result post_explain(struct call *call)
{
	struct berm_server *server = call->server;
	struct berm_err err = { 0 };
	cJSON *question, *answer = NULL;
	int rc;

	if (!server->explain && call->kind == CALL_EXPLAIN && server->load_failure.code)
		return send_error(call, MHD_HTTP_SERVICE_UNAVAILABLE, server->load_failure.msg,
				  "see bermctl status");
	if (!server->explain)
		return load_explain(call);
	question = cJSON_ParseWithLength(call->body, call->size);
	rc = berm_why(server->agent, server->explain, question, &answer, &err);
	cJSON_Delete(question);
	if (rc)
		return send_error(call, status_of(rc), err.msg,
				  "docs/rest-api.md, POST /v1/explain, or bermctl why --help");
	return send_json(call, MHD_HTTP_OK, answer);
}

/* ---- POST /v1/diff ------------------------------------------------------------------------------------------------- */

enum diff_status { DIFF_OK, DIFF_BAD, DIFF_BIG, DIFF_FAILED };

/* In the child. */
static char *answer_diff(void *ctx, int *ret_status)
{
	const struct call *call = ctx;
	cJSON *question = cJSON_ParseWithLength(call->body, call->size), *answer = NULL;
	struct berm_err err = { 0 };
	int rc = berm_diff(&call->server->agent->engine.model, question, &answer, &err);

	*ret_status = !rc	      ? DIFF_OK
		      : rc == -EINVAL ? DIFF_BAD
		      : rc == -E2BIG  ? DIFF_BIG
				      : DIFF_FAILED;
	return rc ? strdup(err.msg) : cJSON_PrintUnformatted(answer);
}

static void on_diff(void *ctx, int status, const char *text)
{
	struct call *call = ctx;

	call->inquiry = NULL; /* it frees itself */
	call->server->diffing = NULL;
	call->is_answered = true;
	call->answer_status = text ? status : DIFF_FAILED;
	call->answer = text ? strdup(text) : NULL;
	resume(call);
}

static enum MHD_Result send_diff(struct call *call)
{
	static const unsigned int http[] = { [DIFF_OK] = MHD_HTTP_OK,
					     [DIFF_BAD] = MHD_HTTP_BAD_REQUEST,
					     [DIFF_BIG] = MHD_HTTP_UNPROCESSABLE_CONTENT,
					     [DIFF_FAILED] = MHD_HTTP_INTERNAL_SERVER_ERROR };

	if (call->answer_status == DIFF_OK)
		return send_text(call, MHD_HTTP_OK, TAKE_PTR(call->answer));
	return send_error(call, http[call->answer_status],
			  call->answer ? call->answer
				       : "the comparison took more time or memory than it is given",
			  call->answer_status == DIFF_BAD
				  ? "docs/rest-api.md, POST /v1/diff, or bermctl diff --help"
				  : "compare fewer documents at once");
}

static enum MHD_Result post_diff(struct call *call)
{
	struct berm_server *server = call->server;
	struct berm_inquiry_opts opts = { answer_diff, on_diff, call };
	struct berm_err err = { 0 };

	if (call->is_answered)
		return send_diff(call);
	if (server->is_stopping || server->diffing)
		return send_error(call, MHD_HTTP_SERVICE_UNAVAILABLE,
				  server->is_stopping ? "the agent is stopping"
						      : "another comparison is under way",
				  "ask again in some seconds");
	if (!server->agent->is_synced)
		return send_error(call, MHD_HTTP_SERVICE_UNAVAILABLE,
				  "not every policy source has been read yet",
				  "ask again when bermctl status says enforcing");
	if (berm_inquiry_start(&server->agent->loop, &opts, &call->inquiry, &err))
		return send_error(call, MHD_HTTP_INTERNAL_SERVER_ERROR, err.msg, "ask again");
	server->diffing = call;
	call->kind = CALL_DIFF;
	suspend(call);
	return MHD_YES;
}

/* ---- POST /v1/rollback ------------------------------------------------------------------------------------------------ */

static enum MHD_Result refuse_rollback(struct call *call, int rc, const struct berm_err *err)
{
	unsigned int status = rc == -EBADMSG  ? MHD_HTTP_BAD_REQUEST
			      : rc == -ENOENT ? MHD_HTTP_NOT_FOUND
			      : rc == -ENOMEM ? MHD_HTTP_INTERNAL_SERVER_ERROR
					      : MHD_HTTP_CONFLICT;

	return send_error(call, status, err->msg,
			  rc == -EBADMSG ? "send {\"generation\": 7} or {\"policy\": \"shop/db\"}"
					 : "bermctl history shows the generations");
}

static enum MHD_Result post_rollback(struct call *call)
{
	struct berm_agent *agent = call->server->agent;
	struct berm_rollback rollback = { agent->intake, agent->undo, agent->history };
	struct berm_err err = { 0 };
	bool is_cancel = false;
	cJSON *answer = NULL;
	int rc;

	if (!agent->is_synced)
		return send_error(call, MHD_HTTP_SERVICE_UNAVAILABLE,
				  "not every policy source has been read yet",
				  "ask again when bermctl status says enforcing");
	rc = berm_rollback_ask(&rollback, call->body, call->size, &is_cancel, &answer, &err);
	if (is_cancel)
		berm_agent_rescan(agent);
	berm_agent_touch(agent);
	return rc ? refuse_rollback(call, rc, &err) : send_json(call, MHD_HTTP_OK, answer);
}

/* ---- GET /v1/flows --------------------------------------------------------------------------------------------------- */

/* The next flow into call->line. false: there is none now. */
static bool next_line(struct call *call)
{
	const struct berm_flows *flows = call->server->agent->flows;
	uint64_t first = berm_flows_first(flows), next = berm_flows_next(flows);
	char *grown;
	int len;

	if (call->seq < first)
		call->seq =
			first; /* too slow: the ring has moved on, lost_before does not hide it */
	if (call->seq >= next || (!call->must_follow && call->seq >= call->end))
		return false;
	len = berm_flows_render(flows, call->seq, call->line, call->line_room);
	if (len > 0 && (size_t)len >= call->line_room) {
		grown = realloc(call->line, (size_t)len + LINE_MIN);
		if (!grown)
			return false;
		call->line = grown;
		call->line_room = (size_t)len + LINE_MIN;
		len = berm_flows_render(flows, call->seq, call->line, call->line_room);
	}
	call->seq++;
	call->line_len = len > 0 ? (size_t)len : 0;
	call->line_at = 0;
	return true;
}

static ssize_t read_flows(void *ctx, uint64_t pos, char *buf, size_t max)
{
	struct call *call = ctx;
	size_t done = 0, part;

	(void)pos;
	while (done < max) {
		if (call->line_at == call->line_len && !next_line(call))
			break;
		part = call->line_len - call->line_at;
		if (part > max - done)
			part = max - done;
		memcpy(buf + done, call->line + call->line_at, part);
		call->line_at += part;
		done += part;
	}
	if (done)
		return (ssize_t)done;
	if (call->has_left)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (!call->must_follow || call->server->is_stopping)
		return MHD_CONTENT_READER_END_OF_STREAM;
	suspend(call);
	return 0;
}

/* A number of the query, or what stands for its absence; -1: no number. */
static long query_number(struct call *call, const char *key, long absent)
{
	const char *text = MHD_lookup_connection_value(call->conn, MHD_GET_ARGUMENT_KIND, key);
	char *end;
	long value;

	if (!text)
		return absent;
	errno = 0;
	value = strtol(text, &end, 10);
	return errno || end == text || *end || value < 0 ? -1 : value;
}

static enum MHD_Result get_flows(struct call *call)
{
	const struct berm_flows *flows = call->server->agent->flows;
	uint64_t first = berm_flows_first(flows), next = berm_flows_next(flows);
	long follow = query_number(call, "follow", 0),
	     last = query_number(call, "last", DEFAULT_FLOWS);
	struct MHD_Response *response;
	enum MHD_Result rc;

	if (follow < 0 || follow > 1 || last < 0)
		return send_error(call, MHD_HTTP_BAD_REQUEST,
				  "follow must be 0 or 1, last a number",
				  "GET /v1/flows?follow=1&last=100");
	call->kind = CALL_FOLLOW;
	call->must_follow = follow;
	call->end = next;
	call->seq = next - first > (uint64_t)last ? next - (uint64_t)last : first;
	response =
		MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 32768, read_flows, call, NULL);
	if (!response)
		return MHD_NO;
	(void)MHD_add_response_header(response, "Content-Type", "application/x-ndjson");
	rc = MHD_queue_response(call->conn, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return rc;
}

/* ---- calls ------------------------------------------------------------------------------------------------------------- */

static const struct route {
	const char *method, *path;
	route_fn fn;
} routes[] = {
	{ "GET", "/v1/status", get_status },
	{ "GET", "/v1/endpoints", get_endpoints },
	{ "POST", "/v1/endpoints", post_endpoints },
	{ "GET", "/v1/policies", get_policies },
	{ "GET", "/v1/rules", get_rules },
	{ "GET", "/v1/flows", get_flows },
	{ "POST", "/v1/explain", post_explain },
	{ "POST", DIFF_PATH, post_diff },
	{ "GET", "/v1/history", get_history },
	{ "GET", "/v1/objects", get_objects },
	{ "GET", "/v1/confirmations", get_confirmations },
	{ "POST", "/v1/rollback", post_rollback },
};

static enum MHD_Result dispatch(struct call *call, const char *method, const char *path)
{
	bool is_known = false;
	size_t i;

	if (call->is_too_big)
		return send_error(call, MHD_HTTP_CONTENT_TOO_LARGE,
				  call->max_size == MAX_BODY ? "the body is larger than 64 KiB"
							     : "the body is larger than 4 MiB",
				  "send less at once");
	for (i = 0; i < ARRAY_SIZE(routes); i++) {
		if (strcmp(routes[i].path, path) != 0)
			continue;
		is_known = true;
		if (!strcmp(routes[i].method, method))
			return routes[i].fn(call);
	}
	if (is_known)
		return send_error(call, MHD_HTTP_METHOD_NOT_ALLOWED, "no such method on this path",
				  "see docs/rest-api.md");
	return send_error(call, MHD_HTTP_NOT_FOUND, "no such path", "see docs/rest-api.md");
}

static enum MHD_Result take_body(struct call *call, const char *data, size_t *size)
{
	char *grown;

	if (!call->is_too_big && call->size + *size <= call->max_size) {
		grown = realloc(call->body, call->size + *size + 1);
		if (!grown)
			return MHD_NO;
		memcpy(grown + call->size, data, *size);
		call->body = grown;
		call->size += *size;
		grown[call->size] = '\0';
	} else {
		call->is_too_big =
			true; /* read on and throw away: the client must get its answer */
	}
	*size = 0;
	return MHD_YES;
}

static bool has_hung_up(const struct call *call)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(call->conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct pollfd pfd = { .fd = info ? info->connect_fd : -1 };

	return poll(&pfd, 1, 0) > 0 && pfd.revents & POLLHUP;
}

/* libmicrohttpd does not watch a suspended connection, and without flows nothing is written to it: whoever has
 * left would keep his place for ever. It is enough to look when somebody else comes. */
static void drop_leavers(struct berm_server *server)
{
	struct call *call;

	for (call = server->calls; call; call = call->next) {
		if (call->kind != CALL_FOLLOW || !call->is_suspended || !has_hung_up(call))
			continue;
		call->has_left = true;
		resume(call);
	}
}

static struct call *call_new(struct berm_server *server, struct MHD_Connection *conn)
{
	struct call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->server = server;
	call->conn = conn;
	call->next = server->calls;
	server->calls = call;
	return call;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *conn, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_size, void **state)
{
	struct call *call = *state;

	(void)version;
	if (!call) { /* only the headers are here */
		drop_leavers(ctx);
		*state = call = call_new(ctx, conn);
		if (!call)
			return MHD_NO;
		call->max_size = strcmp(url, DIFF_PATH) ? MAX_BODY : MAX_DOCUMENTS;
		return MHD_YES;
	}
	if (*upload_size)
		return take_body(call, upload, upload_size);
	return dispatch(call, method, url);
}

static void on_completed(void *ctx, struct MHD_Connection *conn, void **state,
			 enum MHD_RequestTerminationCode code)
{
	struct berm_server *server = ctx;
	struct call *call = *state, **at;

	(void)conn;
	(void)code;
	if (!call)
		return;
	for (at = &server->calls; *at && *at != call; at = &(*at)->next)
		;
	if (*at)
		*at = call->next;
	if (call->inquiry)
		server->diffing = NULL;
	berm_inquiry_stop(call->inquiry);
	free(call->answer);
	free(call->body);
	free(call->line);
	free(call);
	*state = NULL;
}

/* ---- the loop --------------------------------------------------------------------------------------------------------- */

static void wake_late(struct berm_server *server)
{
	struct call *call;

	for (call = server->calls; call; call = call->next)
		if (call->kind == CALL_JUDGE && now_ms(server) >= call->until_ms)
			resume(call);
}

/* ms until somebody has waited long enough; -1: nobody waits. */
static int64_t next_late(const struct berm_server *server)
{
	const struct call *call;
	int64_t left, least = -1;

	for (call = server->calls; call; call = call->next) {
		if (call->kind != CALL_JUDGE || !call->is_suspended)
			continue;
		left = call->until_ms > now_ms(server) ? call->until_ms - now_ms(server) : 0;
		least = least < 0 || left < least ? left : least;
	}
	return least;
}

static void run(struct berm_server *server);

static void on_timer(uv_timer_t *timer)
{
	run(timer->data);
}

static void set_timer(struct berm_server *server)
{
	MHD_UNSIGNED_LONG_LONG timeout;
	int64_t wait = next_late(server);

	if (MHD_get_timeout(server->daemon, &timeout) == MHD_YES &&
	    (wait < 0 || (int64_t)timeout < wait))
		wait = (int64_t)timeout;
	if (wait < 0)
		uv_timer_stop(&server->timer);
	else
		uv_timer_start(&server->timer, on_timer, (uint64_t)wait, 0);
}

static void run(struct berm_server *server)
{
	wake_late(server);
	(void)MHD_run(server->daemon); /* fails only if the daemon was made otherwise */
	set_timer(server);
}

static void run_soon(struct berm_server *server)
{
	uv_timer_start(&server->timer, on_timer, 0, 0);
}

static void on_epoll(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	run(poll->data);
}

void berm_server_judged(struct berm_server *server)
{
	struct call *call;

	for (call = server->calls; call; call = call->next)
		if (call->kind == CALL_JUDGE && is_judged(call))
			resume(call);
}

void berm_server_flows(struct berm_server *server)
{
	struct call *call;

	for (call = server->calls; call; call = call->next)
		if (call->kind == CALL_FOLLOW)
			resume(call);
}

/* ---- start and stop --------------------------------------------------------------------------------------------------- */

/* Bound with a umask, so that there is no moment at which others may connect. */
static int listen_on(const char *path, int *ret_fd, struct berm_err *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	mode_t mask;
	int rc;

	if (strlen(path) >= sizeof(addr.sun_path))
		return berm_refuse(err, -ENAMETOOLONG,
				   "socket path %s: a unix socket has at most %zu characters", path,
				   sizeof(addr.sun_path) - 1);
	strcpy(addr.sun_path, path);
	if (fd < 0)
		return berm_fail(err, -errno, "make a socket");
	if (unlink(path) && errno != ENOENT)
		return berm_fail(err, -errno, "replace %s", path);
	mask = umask(0177);
	rc = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ? -errno : 0;
	umask(mask);
	if (rc || listen(fd, MAX_CALLS))
		return berm_fail(err, rc ? rc : -errno, "listen on %s", path);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static struct MHD_Daemon *start_daemon(struct berm_server *server, int fd)
{
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request,
				server, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
				MAX_CALLS, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S,
				MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_END);
}

int berm_server_start(struct berm_agent *agent, struct berm_server **ret, struct berm_err *err)
{
	struct berm_server *server = calloc(1, sizeof(*server));
	const union MHD_DaemonInfo *info;
	auto_close int fd = -1;
	int rc;

	if (!server)
		return berm_fail(err, -ENOMEM, "start the REST server");
	server->agent = agent;
	rc = listen_on(agent->opts.socket, &fd, err);
	if (!rc)
		server->daemon = start_daemon(server, fd);
	if (!server->daemon) {
		free(server);
		return rc ? rc
			  : berm_refuse(err, -EIO, "libmicrohttpd does not start on %s",
					agent->opts.socket);
	}
	(void)TAKE_FD(fd); /* the daemon closes it */
	info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	uv_poll_init(&agent->loop, &server->events, info->epoll_fd);
	uv_timer_init(&agent->loop, &server->timer);
	server->events.data = server->timer.data = server;
	uv_poll_start(&server->events, UV_READABLE, on_epoll);
	*ret = server;
	return 0;
}

void berm_server_stop(struct berm_server *server)
{
	struct call *call;

	if (!server)
		return;
	server->is_stopping = true;
	if (server->diffing) {
		berm_inquiry_stop(server->diffing->inquiry);
		on_diff(server->diffing, DIFF_FAILED, NULL);
	}
	for (call = server->calls; call; call = call->next)
		resume(call); /* a daemon with suspended calls cannot be stopped */
	(void)MHD_run(server->daemon);
	(void)unlink(server->agent->opts.socket); /* a stale one is replaced by the next agent */
	uv_close((uv_handle_t *)&server->events, NULL);
	uv_close((uv_handle_t *)&server->timer, NULL);
}

void berm_server_free(struct berm_server *server)
{
	if (!server)
		return;
	MHD_stop_daemon(server->daemon);
	berm_explain_close(server->explain);
	free(server);
}
