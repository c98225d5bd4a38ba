/* SPDX-License-Identifier: Apache-2.0 */
/* reflector.c - one resource: which request comes next, and what its end means. */
#include "reflector.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "apicall.h"
#include "cleanup.h"
#include "log.h"
#include "reflector_objects.h"
#include "stream.h"

#define DELAY_FIRST_MS 200
#define DELAY_MAX_MS   10000
#define HEALTHY_MS     10000 /* a request that lasted so long was a good one */
#define STREAM_IDLE_MS                                                                             \
	10000 /* a server that ignores sendInitialEvents falls silent before it is complete */
#define WATCH_MIN_S	300 /* the server ends it after this to twice this */
#define TELL_AGAIN_MS	60000
#define ABSENT_MS	60000 /* somebody may install it */
#define ABSENT_SURE_MS	30000 /* a server that is starting may not know yet what it serves */
#define ABSENT_ASK_MS	5000
#define EXPECT_MS	1000 /* what has been announced is served some seconds later */
#define EXPECT_TRIES	15
#define STREAM_AGAIN_MS 1800000 /* the server may have been upgraded */
#define END_OF_LIST	"k8s.io/initial-events-end"

struct berm_reflector {
	struct berm_reflector_opts opts;
	struct berm_objects_seen seen;
	struct berm_apiget *get;
	enum berm_apirequest request; /* that runs or ran last */
	struct berm_lines lines;
	struct berm_items items;
	uv_timer_t timer; /* the next try */
	char *version;	  /* resourceVersion to go on from; NULL: list */
	char *known;	  /* the last one of all, which a list must not be older than */
	bool is_on;
	bool is_absent;		/* the server does not know the resource */
	bool has_synced;	/* since it is on */
	bool is_complete;	/* the list of this round */
	bool must_list;		/* whatever the version */
	bool must_list_storage; /* the cache is older than what we know */
	bool has_missed;	/* an object of this round was too large to be read */
	bool has_no_stream;	/* this server has no streaming lists */
	bool has_told;		/* a fault, and not yet that it is over */
	uint64_t no_stream_ms;	/* since when */
	uint64_t started_ms;	/* of the request */
	uint64_t since_ms;	/* of what the view says */
	uint64_t absent_ms;    /* since when the server says that it does not know it; 0: it does */
	unsigned int expected; /* tries left in which it should come any moment */
	uint64_t restarts;
	unsigned int failures; /* in a row */
	unsigned int retry_ms; /* what the server asks for */
	long stream_code;      /* of an in-stream ERROR; 0: none */
	struct berm_err fault; /* of what was read */
	char error[400];       /* "" : all is well */
	uint64_t told_ms;      /* of 403, which is each resource's own */
	uint64_t told_large_ms;
};

static void begin(struct berm_reflector *r);

/* ---- time ---------------------------------------------------------------------------------------------------- */

static uint64_t now_ms(const struct berm_reflector *r)
{
	return uv_now(r->opts.loop);
}

/* value +- half of it. */
static unsigned int jitter(unsigned int value)
{
	uint32_t chance = 0;

	if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) != sizeof(chance))
		return value;
	return value / 2 + (unsigned int)((uint64_t)chance * value >> 32);
}

static void on_timer(uv_timer_t *timer)
{
	begin(timer->data);
}

static unsigned int next_delay(struct berm_reflector *r)
{
	unsigned int delay = DELAY_FIRST_MS, i;

	for (i = 0; i < r->failures && delay < DELAY_MAX_MS; i++)
		delay *= 2;
	r->failures++;
	delay = jitter(delay < DELAY_MAX_MS ? delay : DELAY_MAX_MS);
	return delay > r->retry_ms ? delay : r->retry_ms;
}

static void again(struct berm_reflector *r, bool is_at_once)
{
	unsigned int delay = is_at_once ? 0 : next_delay(r);

	r->since_ms = now_ms(r);
	uv_timer_start(&r->timer, on_timer, delay, 0);
}

/* ---- saying what is wrong -------------------------------------------------------------------------------------- */

static const struct {
	const char *event, *advice;
} faults[BERM_FAULT_COUNT] = {
	[BERM_FAULT_UNREACHABLE] = { "api-unreachable",
				     "is the server up and the CA the right one?" },
	[BERM_FAULT_UNAUTHORIZED] = { "api-unauthorized",
				      "the server does not take our token or certificate" },
	[BERM_FAULT_FORBIDDEN] = { "api-forbidden",
				   "a ClusterRole must give get, list and watch for it" },
	[BERM_FAULT_THROTTLED] = { "api-throttled", "the server has too much to do" },
	[BERM_FAULT_ERROR] = { "api-error", "see the log of the API server" },
	[BERM_FAULT_MALFORMED] = { "api-malformed", "is it an API server?" },
};

/* A quote would end the log's own quotes. */
static void copy_plain(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text);
	for (; *out; out++)
		if (*out == '"')
			*out = '\'';
}

static void tell(struct berm_reflector *r, enum berm_api_fault fault, const char *text)
{
	uint64_t *last = fault == BERM_FAULT_FORBIDDEN ? &r->told_ms : &r->opts.told->at_ms[fault];

	copy_plain(r->error, sizeof(r->error), text);
	r->has_told = true;
	if (*last && now_ms(r) - *last < TELL_AGAIN_MS)
		return;
	*last = now_ms(r) ? now_ms(r) : 1;
	berm_log(fault == BERM_FAULT_THROTTLED ? BERM_LOG_WARNING : BERM_LOG_ERROR,
		 faults[fault].event,
		 "resource=%s error=\"%s\" advice=\"%s\" effect=\"the last state stays in force\"",
		 r->opts.resource->plural, r->error, faults[fault].advice);
}

static void tell_well(struct berm_reflector *r)
{
	*r->error = '\0';
	if (r->has_told && r->is_complete)
		berm_log(BERM_LOG_INFO, "api-recovered", "resource=%s", r->opts.resource->plural);
	if (r->is_complete)
		r->has_told = false;
}

/* ---- what comes ------------------------------------------------------------------------------------------------ */

static int set_version(struct berm_reflector *r, const struct berm_piece *metadata)
{
	struct berm_piece version;
	char *copy, *known;

	if (!berm_piece_text(metadata, "resourceVersion", &version) || !version.size)
		return 0;
	copy = strndup(version.text, version.size);
	known = strndup(version.text, version.size);
	if (!copy || !known) {
		free(copy);
		free(known);
		return -ENOMEM;
	}
	free(r->version);
	free(r->known);
	r->version = copy;
	r->known = known;
	return 0;
}

/* What was known of the object stays. Which one it is nobody knows, so no list of this round removes anything. */
static int on_too_large(struct berm_reflector *r)
{
	r->has_missed = true;
	if (r->told_large_ms && now_ms(r) - r->told_large_ms < TELL_AGAIN_MS)
		return 0;
	r->told_large_ms = now_ms(r) ? now_ms(r) : 1;
	berm_log(BERM_LOG_ERROR, "object-too-large",
		 "resource=%s max-bytes=%u effect=\"what was known of it stays, and no list removes objects\"",
		 r->opts.resource->plural, BERM_STREAM_MAX);
	return 0;
}

static void complete(struct berm_reflector *r)
{
	bool is_news = !r->has_synced || r->absent_ms;

	if (!r->has_missed)
		berm_objects_sweep(&r->seen);
	r->is_complete = r->has_synced = true;
	r->must_list_storage = false;
	r->absent_ms = r->expected = 0;
	r->seen.has_changed = true;
	tell_well(r);
	berm_log(is_news ? BERM_LOG_INFO : BERM_LOG_DEBUG, "watch-synced",
		 "resource=%s objects=%u by=%s", r->opts.resource->plural, HASH_COUNT(r->seen.all),
		 r->request == BERM_API_STREAM ? "streaming-list" : "list");
}

static int on_bookmark(struct berm_reflector *r, const struct berm_piece *object)
{
	struct berm_piece metadata, annotations, value;
	int rc;

	if (!berm_piece_member(object, "metadata", &metadata))
		return 0;
	rc = set_version(r, &metadata);
	if (rc || r->is_complete || !berm_piece_member(&metadata, "annotations", &annotations) ||
	    !berm_piece_text(&annotations, END_OF_LIST, &value) || !berm_piece_is(&value, "true"))
		return rc;
	complete(r);
	r->since_ms = now_ms(r);
	berm_apiget_set_idle(r->get, r->opts.idle_ms);
	return 0;
}

static int on_error_event(struct berm_reflector *r, const struct berm_piece *object)
{
	char message[256];

	r->stream_code = 500;
	berm_apistatus_read(object->text, object->size, &r->stream_code, message);
	return berm_refuse(&r->fault, -ECONNABORTED, "%s",
			   *message ? message : "the server ends the watch");
}

static int on_change(struct berm_reflector *r, const struct berm_piece *object, bool is_gone)
{
	struct berm_piece metadata;
	int rc = is_gone ? berm_objects_remove(&r->seen, object, &r->fault)
			 : berm_objects_take(&r->seen, object, &r->fault);

	if (rc || !r->is_complete)
		return rc; /* a list that breaks off begins anew */
	return berm_piece_member(object, "metadata", &metadata) ? set_version(r, &metadata) : 0;
}

static int on_line(const struct berm_piece *line, void *ctx)
{
	struct berm_reflector *r = ctx;
	struct berm_piece type, object;

	if (!line->text)
		return on_too_large(r);
	if (!berm_piece_text(line, "type", &type) || !berm_piece_member(line, "object", &object) ||
	    *object.text != '{')
		return berm_refuse(&r->fault, -EBADMSG, "a line of the watch is no event: %.*s",
				   (int)(line->size < 80 ? line->size : 80), line->text);
	if (berm_piece_is(&type, "ADDED") || berm_piece_is(&type, "MODIFIED"))
		return on_change(r, &object, false);
	if (berm_piece_is(&type, "DELETED"))
		return on_change(r, &object, true);
	if (berm_piece_is(&type, "BOOKMARK"))
		return on_bookmark(r, &object);
	if (berm_piece_is(&type, "ERROR"))
		return on_error_event(r, &object);
	return 0; /* of a later version */
}

static int on_item(const struct berm_piece *item, void *ctx)
{
	struct berm_reflector *r = ctx;

	return item->text ? berm_objects_take(&r->seen, item, &r->fault) : on_too_large(r);
}

static bool is_list(enum berm_apirequest request)
{
	return request == BERM_API_LIST || request == BERM_API_RELIST;
}

static void pass_on(struct berm_reflector *r)
{
	if (!r->seen.has_changed)
		return;
	r->seen.has_changed = false;
	r->opts.changed(r->opts.ctx);
}

static int on_data(const char *text, size_t size, void *ctx)
{
	struct berm_reflector *r = ctx;
	struct berm_piece chunk = { text, size };
	int rc;

	rc = is_list(r->request) ? berm_items_feed(&r->items, &chunk, on_item, r)
				 : berm_lines_feed(&r->lines, &chunk, on_line, r);
	if (rc && !r->fault.code)
		berm_fail(&r->fault, rc, "read %s", r->opts.resource->plural);
	pass_on(r);
	return rc;
}

/* A watch goes on; a list says that all is well when it is complete. */
static void on_opened(void *ctx)
{
	struct berm_reflector *r = ctx;

	if (r->is_complete)
		tell_well(r);
}

/* ---- how it ends ----------------------------------------------------------------------------------------------- */

static void forget_version(struct berm_reflector *r)
{
	free(r->version);
	r->version = NULL;
}

static void stop_streaming(struct berm_reflector *r, const char *why)
{
	if (!r->has_no_stream)
		berm_log(BERM_LOG_DEBUG, "no-streaming-list", "resource=%s error=\"%s\"",
			 r->opts.resource->plural, why);
	r->has_no_stream = true;
	r->no_stream_ms = now_ms(r);
	again(r, true);
}

/* Too old: begin with a list. One that the cache of the server refuses is asked of its storage. */
static void on_gone(struct berm_reflector *r)
{
	r->must_list_storage = r->request == BERM_API_LIST;
	if (r->request == BERM_API_STREAM && !r->is_complete) {
		r->has_no_stream = true;
		r->no_stream_ms = now_ms(r);
	}
	forget_version(r);
	r->restarts++;
	berm_log(BERM_LOG_DEBUG, "watch-gone", "resource=%s", r->opts.resource->plural);
	again(r, false);
}

static enum berm_api_fault fault_of(long status)
{
	switch (status) {
	case 401:
		return BERM_FAULT_UNAUTHORIZED;
	case 403:
		return BERM_FAULT_FORBIDDEN;
	case 429:
		return BERM_FAULT_THROTTLED;
	default:
		return BERM_FAULT_ERROR;
	}
}

static bool is_refusal_of_stream(long status)
{
	return status >= 400 && status < 500 && status != 401 && status != 403 && status != 408 &&
	       status != 429;
}

/* When to ask again for what is absent. */
static unsigned int absent_delay(struct berm_reflector *r, bool is_sure)
{
	if (r->expected) {
		r->expected--;
		return EXPECT_MS;
	}
	return jitter(is_sure ? ABSENT_MS : ABSENT_ASK_MS);
}

static void tell_absent(struct berm_reflector *r)
{
	if (r->absent_ms)
		return;
	r->absent_ms = now_ms(r) ? now_ms(r) : 1;
	berm_log(BERM_LOG_INFO, "resource-absent",
		 "resource=%s version=%s effect=\"%s; it is taken up when the server has it\"",
		 r->opts.resource->plural, r->opts.resource->version,
		 HASH_COUNT(r->seen.all) ? "what is known of it stays for half a minute"
					 : "there is none of it");
}

/* As good as an empty list: objects go only when the server has said so for a while. */
static void on_absent(struct berm_reflector *r)
{
	bool is_sure;

	forget_version(r);
	tell_absent(r);
	is_sure = !HASH_COUNT(r->seen.all) || now_ms(r) - r->absent_ms >= ABSENT_SURE_MS;
	if (is_sure) {
		berm_objects_sweep(&r->seen);
		r->seen.has_changed |= !r->has_synced;
		r->has_synced = true;
		*r->error = '\0';
	}
	r->is_absent = true;
	pass_on(r);
	r->since_ms = now_ms(r);
	uv_timer_start(&r->timer, on_timer, absent_delay(r, is_sure), 0);
}

static void on_http_error(struct berm_reflector *r, const struct berm_apiend *end, const char *body)
{
	char message[256], text[400];
	long code = end->status;

	berm_apistatus_read(body, strlen(body), &code, message);
	snprintf(text, sizeof(text), "HTTP %ld%s%s", end->status, *message ? ": " : "", message);
	if (r->request == BERM_API_STREAM && is_refusal_of_stream(end->status)) {
		stop_streaming(r, text);
		return;
	}
	if (end->status == 400 && r->opts.resource->is_filtered && !r->seen.must_filter) {
		r->seen.must_filter = true;
		again(r, true);
		return;
	}
	if (end->status == 504 && r->request == BERM_API_LIST)
		r->must_list_storage =
			true; /* "Too large resource version": its cache lags behind */
	r->restarts++;
	r->retry_ms = end->retry_after_s * 1000;
	tell(r, fault_of(end->status), text);
	again(r, false);
}

/* What was read made no sense, or was an ERROR: the stream cannot be trusted to go on from where it is. */
static void on_fault(struct berm_reflector *r)
{
	bool is_error = r->stream_code != 0;

	if (is_error && r->request == BERM_API_STREAM && !r->is_complete) {
		stop_streaming(r, r->fault.msg);
		return;
	}
	r->restarts++;
	forget_version(r);
	tell(r, is_error ? fault_of(r->stream_code) : BERM_FAULT_MALFORMED, r->fault.msg);
	again(r, false);
}

static void on_list_over(struct berm_reflector *r)
{
	struct berm_piece metadata = { r->items.metadata.text, r->items.metadata.size }, next;
	bool is_page = berm_piece_text(&metadata, "continue", &next) && next.size; /* unasked */

	if (!berm_items_is_complete(&r->items) || is_page || set_version(r, &metadata) ||
	    !r->version) {
		berm_refuse(&r->fault, -EBADMSG, "the list of %s is not whole",
			    r->opts.resource->plural);
		on_fault(r);
		return;
	}
	complete(r);
	pass_on(r);
	again(r, true);
}

/* As the server has announced, or because it shuts down. */
static void on_watch_over(struct berm_reflector *r, bool was_healthy)
{
	if (!r->is_complete) {
		berm_refuse(&r->fault, -EBADMSG, "the streaming list of %s is not whole",
			    r->opts.resource->plural);
		on_fault(r);
		return;
	}
	again(r, was_healthy);
}

/* A watch that breaks off now and then is how servers restart and balancers balance: no reason to cry. */
static void on_broken(struct berm_reflector *r, const struct berm_apiend *end, bool was_healthy)
{
	r->restarts++;
	if (r->is_complete && (was_healthy || end->is_stalled)) {
		berm_log(BERM_LOG_INFO, end->is_stalled ? "watch-stalled" : "watch-broken",
			 "resource=%s error=\"%s\"", r->opts.resource->plural, end->error);
		again(r, was_healthy);
		return;
	}
	tell(r, BERM_FAULT_UNREACHABLE, end->error);
	again(r, false);
}

static void on_end(const struct berm_apiend *end, const char *body, void *ctx)
{
	struct berm_reflector *r = ctx;
	bool was_healthy = now_ms(r) - r->started_ms >= HEALTHY_MS;

	r->get = NULL;
	r->retry_ms = 0;
	if (was_healthy)
		r->failures = 0;
	if (end->status == 410 || r->stream_code == 410) {
		on_gone(r);
	} else if (r->fault.code) {
		on_fault(r);
	} else if (end->is_stalled && r->request == BERM_API_STREAM && !r->is_complete) {
		stop_streaming(r, end->error);
	} else if (*end->error) {
		on_broken(r, end, was_healthy && end->status == 200);
	} else if (end->status == 404 && r->opts.resource->is_optional) {
		on_absent(r);
	} else if (end->status != 200) {
		on_http_error(r, end, body);
	} else if (is_list(r->request)) {
		on_list_over(r);
	} else {
		on_watch_over(r, was_healthy);
	}
}

/* ---- the next request ------------------------------------------------------------------------------------------ */

static enum berm_apirequest next_request(struct berm_reflector *r)
{
	if (r->version && !r->must_list && r->is_complete)
		return BERM_API_WATCH;
	if (r->has_no_stream && now_ms(r) - r->no_stream_ms > STREAM_AGAIN_MS)
		r->has_no_stream = false;
	if (!r->has_no_stream)
		return BERM_API_STREAM;
	return r->must_list_storage ? BERM_API_RELIST : BERM_API_LIST;
}

static void prepare(struct berm_reflector *r)
{
	berm_lines_clear(&r->lines);
	berm_items_clear(&r->items);
	r->fault = (struct berm_err){ 0 };
	r->stream_code = 0;
	r->request = next_request(r);
	if (r->request == BERM_API_WATCH)
		return;
	forget_version(r);
	r->is_complete = r->has_missed = r->is_absent = false;
	r->seen.round++;
}

static int request(struct berm_reflector *r, struct berm_err *err)
{
	bool is_stream = r->request == BERM_API_STREAM;
	struct berm_apiquery query = {
		.resource = r->opts.resource,
		.request = r->request,
		.version = r->request == BERM_API_WATCH ? r->version : r->known,
		.node = r->opts.node,
		.timeout_s = WATCH_MIN_S / 2 + jitter(WATCH_MIN_S),
		.has_no_field_selector = r->seen.must_filter,
	};
	auto_free char *path = berm_apiquery_path(&query);
	struct berm_apiget_opts opts = {
		.path = path,
		.accept = berm_apiquery_accept(&query),
		.idle_ms = is_stream && r->opts.idle_ms > STREAM_IDLE_MS ? STREAM_IDLE_MS
									 : r->opts.idle_ms,
		.opened = on_opened,
		.data = on_data,
		.end = on_end,
		.ctx = r,
	};

	if (!path)
		return berm_fail(err, -ENOMEM, "request %s", r->opts.resource->plural);
	return berm_apiget_start(r->opts.http, &opts, &r->get, err);
}

static void begin(struct berm_reflector *r)
{
	struct berm_err err = { 0 };

	if (r->get && !r->must_list)
		return;
	berm_apiget_cancel(TAKE_PTR(r->get));
	prepare(r);
	r->must_list = false;
	uv_update_time(r->opts.loop);
	r->started_ms = r->since_ms = now_ms(r);
	if (!request(r, &err))
		return;
	r->restarts++;
	tell(r, BERM_FAULT_UNAUTHORIZED, err.msg);
	again(r, false);
}

/* ---- the interface --------------------------------------------------------------------------------------------- */

int berm_reflector_new(const struct berm_reflector_opts *opts, struct berm_reflector **ret,
		       struct berm_err *err)
{
	struct berm_reflector *r = calloc(1, sizeof(*r));

	if (!r)
		return berm_fail(err, -ENOMEM, "watch %s", opts->resource->plural);
	r->opts = *opts;
	r->seen.resource = opts->resource;
	r->seen.intake = opts->intake;
	uv_timer_init(opts->loop, &r->timer);
	r->timer.data = r;
	*ret = r;
	return 0;
}

void berm_reflector_start(struct berm_reflector *r)
{
	r->is_on = true;
	r->since_ms = now_ms(r);
	/* Not at once: another watch may have called, out of libcurl, which takes no new request then. */
	uv_timer_start(&r->timer, on_timer, 0, 0);
}

void berm_reflector_pause(struct berm_reflector *r)
{
	r->is_on = r->is_complete = r->has_synced = r->has_told = false;
	r->absent_ms = r->expected = 0;
	*r->error = '\0';
	uv_timer_stop(&r->timer);
	berm_apiget_cancel(TAKE_PTR(r->get));
	forget_version(r);
	r->since_ms = now_ms(r);
	r->seen.round++;
	berm_objects_sweep(&r->seen);
}

void berm_reflector_expect(struct berm_reflector *r)
{
	if (!r->is_on || !r->absent_ms)
		return;
	r->expected = EXPECT_TRIES;
	if (!r->get)
		uv_timer_start(&r->timer, on_timer, 0, 0);
}

bool berm_reflector_is_on(const struct berm_reflector *r)
{
	return r->is_on;
}

void berm_reflector_stop(struct berm_reflector *r)
{
	berm_apiget_cancel(TAKE_PTR(r->get));
	uv_close((uv_handle_t *)&r->timer, NULL);
}

void berm_reflector_free(struct berm_reflector *r)
{
	if (!r)
		return;
	berm_objects_seen_clear(&r->seen);
	berm_lines_clear(&r->lines);
	berm_items_clear(&r->items);
	free(r->version);
	free(r->known);
	free(r);
}

bool berm_reflector_has_synced(const struct berm_reflector *r)
{
	return r->has_synced;
}

static const char *state_of(const struct berm_reflector *r)
{
	if (!r->is_on)
		return "off";
	if (r->is_absent)
		return "absent";
	if (!r->get)
		return "waiting";
	return r->is_complete ? "watching" : "listing";
}

void berm_reflector_view(const struct berm_reflector *r, struct berm_watch_view *ret)
{
	*ret = (struct berm_watch_view){
		.resource = r->opts.resource->plural,
		.state = state_of(r),
		.error = *r->error ? r->error : NULL,
		.has_synced = r->has_synced,
		.since_ms = r->since_ms,
		.restarts = r->restarts,
		.objects = HASH_COUNT(r->seen.all),
		.version = r->known,
	};
}

void berm_reflector_reload(struct berm_reflector *r, const char *source)
{
	struct berm_object_seen *object;

	HASH_FIND_STR(r->seen.all, source, object);
	if (!object || !r->is_on)
		return;
	object->stamp = 0;
	r->must_list = true;
	uv_timer_start(&r->timer, on_timer, 0,
		       0); /* a request cannot end in the middle of itself */
}

size_t berm_reflector_count(const struct berm_reflector *r)
{
	return HASH_COUNT(r->seen.all);
}

size_t berm_reflector_names(const struct berm_reflector *r, const char **name)
{
	struct berm_object_seen *object, *tmp;
	size_t count = 0;

	HASH_ITER(hh, r->seen.all, object, tmp)
		name[count++] = object->name;
	return count;
}

const char *berm_reflector_uid(const struct berm_reflector *r, const char *source)
{
	struct berm_object_seen *object;

	HASH_FIND_STR(r->seen.all, source, object);
	return object ? object->uid : NULL;
}
