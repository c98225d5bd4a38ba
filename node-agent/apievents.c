/* SPDX-License-Identifier: Apache-2.0 */
/* apievents.c - a ring of Events that wait, and the one that is under way. */
#include "apievents.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apicall.h"
#include "cleanup.h"
#include "digest.h"
#include "patience.h"

#define MAX_WAITING 64
#define MAX_NAME    253
#define BURST	    20 /* Events at once, and then one each refill_ms */

struct waiting {
	char *path; /* of the collection */
	char *name;
	char *text;  /* the Event */
	char *later; /* what an older one of the same name is changed to */
	bool is_patch;
};

struct berm_apievents {
	uv_loop_t *loop;
	struct berm_apihttp *http;
	const char *node;
	uv_timer_t timer;
	struct berm_apicall *call;
	struct berm_patience patience;
	struct waiting ring[MAX_WAITING];
	size_t first, count;
	unsigned int tokens, refill_ms;
	uint64_t refilled_ms;
	struct berm_apievents_count counted;
};

static void waiting_clear(struct waiting *item)
{
	free(item->path);
	free(item->name);
	free(item->text);
	free(item->later);
	*item = (struct waiting){ 0 };
}

static void drop_first(struct berm_apievents *events)
{
	waiting_clear(&events->ring[events->first]);
	events->first = (events->first + 1) % MAX_WAITING;
	events->count--;
}

/* ---- sending --------------------------------------------------------------------------------------------------- */

static void send_next(struct berm_apievents *events);

/* No fault of ours: its namespace is gone or going, or it is no Event to this server. */
static bool is_hopeless(const struct berm_apireply *reply)
{
	return reply->status == 404 || reply->status == 400 || reply->status == 422 ||
	       (reply->status == 403 && strstr(reply->error, "being terminated"));
}

static void on_sent(const struct berm_apireply *reply, void *ctx)
{
	struct berm_apievents *events = ctx;
	struct waiting *item = &events->ring[events->first];

	events->call = NULL;
	if (reply->status == 409 && !item->is_patch) { /* said before: once more, then */
		item->is_patch = true;
	} else if (reply->status == 404 && item->is_patch) { /* gone in between */
		item->is_patch = false;
	} else if (!*reply->error) {
		berm_patience_regain(&events->patience);
		events->counted.sent++;
		drop_first(events);
	} else if (is_hopeless(reply)) {
		events->counted.dropped++;
		drop_first(events);
	} else {
		berm_patience_lose(&events->patience, reply, uv_now(events->loop));
	}
	send_next(events);
}

static void refill(struct berm_apievents *events)
{
	uint64_t now = uv_now(events->loop), more = (now - events->refilled_ms) / events->refill_ms;

	if (!more)
		return;
	events->refilled_ms += more * events->refill_ms;
	events->tokens = events->tokens + more > BURST ? BURST
						       : events->tokens + (unsigned int)more;
}

static void on_timer(uv_timer_t *timer)
{
	send_next(timer->data);
}

static void send_first(struct berm_apievents *events)
{
	const struct waiting *item = &events->ring[events->first];
	struct berm_apireply failed = { 0 };
	struct berm_err err = { 0 };
	auto_free char *path = NULL;
	struct berm_apicall_opts opts = {
		.method = item->is_patch ? "PATCH" : "POST",
		.send = item->is_patch ? item->later : item->text,
		.send_type = item->is_patch ? "application/merge-patch+json" : NULL,
		.done = on_sent,
		.ctx = events,
	};

	if (asprintf(&path, "%s%s%s", item->path, item->is_patch ? "/" : "",
		     item->is_patch ? item->name : "") < 0)
		path = NULL;
	opts.path = path;
	if (path && !berm_apicall_start(events->http, &opts, &events->call, &err))
		return;
	snprintf(failed.error, sizeof(failed.error), "%.300s", path ? err.msg : "out of memory");
	berm_patience_lose(&events->patience, &failed, uv_now(events->loop));
	uv_timer_start(&events->timer, on_timer, events->patience.until_ms - uv_now(events->loop),
		       0);
}

static void send_next(struct berm_apievents *events)
{
	uint64_t now = uv_now(events->loop);

	if (events->call || !events->count)
		return;
	if (berm_patience_is_out(&events->patience, now)) {
		uv_timer_start(&events->timer, on_timer, events->patience.until_ms - now, 0);
		return;
	}
	refill(events);
	if (!events->tokens) {
		uv_timer_start(&events->timer, on_timer, events->refill_ms, 0);
		return;
	}
	events->tokens--;
	send_first(events);
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static void format_now(char out[32])
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* The same thing said of the same object has the same name. */
static char *name_of(const struct berm_apinote *note)
{
	struct berm_digester digester;
	struct berm_digest sum;
	char hex[17], *name;

	berm_digest_start(&digester);
	berm_digest_text(&digester, note->uid);
	berm_digest_text(&digester, note->reason);
	berm_digest_text(&digester, note->subject);
	sum = berm_digest_end(&digester);
	for (int i = 0; i < 8; i++)
		snprintf(hex + 2 * i, 3, "%02x", ((const uint8_t *)&sum)[i]);
	return asprintf(&name, "%.*s.%s", MAX_NAME - 17, note->name, hex) < 0 ? NULL : name;
}

/* Events are in a namespace, also those on objects that are in none: then where API servers want them. */
static const char *home_of(const struct berm_apinote *note)
{
	return *note->ns ? note->ns : "default";
}

static void add_object(cJSON *root, const struct berm_apinote *note)
{
	cJSON *object = cJSON_AddObjectToObject(root, "involvedObject");

	cJSON_AddStringToObject(object, "apiVersion", note->version);
	cJSON_AddStringToObject(object, "kind", note->kind);
	if (*note->ns)
		cJSON_AddStringToObject(object, "namespace", note->ns);
	cJSON_AddStringToObject(object, "name", note->name);
	if (note->uid && *note->uid)
		cJSON_AddStringToObject(object, "uid", note->uid);
}

static void add_source(cJSON *root, const struct berm_apievents *events)
{
	cJSON *source = cJSON_AddObjectToObject(root, "source");

	cJSON_AddStringToObject(source, "component", "berm-agent");
	cJSON_AddStringToObject(source, "host", events->node);
	cJSON_AddStringToObject(root, "reportingComponent", "berm.dev/agent");
	cJSON_AddStringToObject(root, "reportingInstance", events->node);
}

static char *print(cJSON *root)
{
	char *text = cJSON_PrintUnformatted(root);

	cJSON_Delete(root);
	return text;
}

/* Bytes of a character that stay whole when it is cut. */
static void cut_text(char *text, size_t max)
{
	size_t size = strlen(text);

	if (size <= max)
		return;
	for (size = max; size && (text[size] & 0xc0) == 0x80;)
		size--;
	text[size] = '\0';
}

static char *event_text(const struct berm_apievents *events, const struct berm_apinote *note,
			const char *name)
{
	cJSON *root = cJSON_CreateObject(), *metadata;
	char now[32], message[1024];

	format_now(now);
	snprintf(message, sizeof(message), "%s", note->message);
	cut_text(message, 1000);
	cJSON_AddStringToObject(root, "apiVersion", "v1");
	cJSON_AddStringToObject(root, "kind", "Event");
	metadata = cJSON_AddObjectToObject(root, "metadata");
	cJSON_AddStringToObject(metadata, "name", name);
	cJSON_AddStringToObject(metadata, "namespace", home_of(note));
	add_object(root, note);
	cJSON_AddStringToObject(root, "reason", note->reason);
	cJSON_AddStringToObject(root, "message", message);
	cJSON_AddStringToObject(root, "type", note->is_warning ? "Warning" : "Normal");
	cJSON_AddStringToObject(root, "firstTimestamp", now);
	cJSON_AddStringToObject(root, "lastTimestamp", now);
	cJSON_AddNumberToObject(root, "count", 1);
	add_source(root, events);
	return print(root);
}

static char *later_text(const struct berm_apinote *note)
{
	cJSON *root = cJSON_CreateObject();
	char now[32], message[1024];

	format_now(now);
	snprintf(message, sizeof(message), "%s", note->message);
	cut_text(message, 1000);
	cJSON_AddStringToObject(root, "message", message);
	cJSON_AddStringToObject(root, "lastTimestamp", now);
	return print(root);
}

bool berm_apievents_has_room(const struct berm_apievents *events)
{
	return events->count < MAX_WAITING;
}

bool berm_apievents_add(struct berm_apievents *events, const struct berm_apinote *note)
{
	struct waiting item = { 0 };

	if (!berm_apievents_has_room(events)) {
		events->counted.dropped++;
		return false;
	}
	item.name = name_of(note);
	item.text = item.name ? event_text(events, note, item.name) : NULL;
	item.later = later_text(note);
	if (asprintf(&item.path, "/api/v1/namespaces/%s/events", home_of(note)) < 0)
		item.path = NULL;
	if (!item.name || !item.text || !item.later || !item.path) {
		waiting_clear(&item);
		events->counted.dropped++;
		return false;
	}
	events->ring[(events->first + events->count++) % MAX_WAITING] = item;
	send_next(events);
	return true;
}

/* ---- the rest ------------------------------------------------------------------------------------------------------ */

int berm_apievents_new(const struct berm_apievents_opts *opts, struct berm_apievents **ret,
		       struct berm_err *err)
{
	struct berm_apievents *events = calloc(1, sizeof(*events));

	if (!events)
		return berm_fail(err, -ENOMEM, "make a queue of Events");
	events->loop = opts->loop;
	events->http = opts->http;
	events->node = opts->node;
	events->refill_ms = opts->refill_ms;
	events->tokens = BURST;
	events->refilled_ms = uv_now(opts->loop);
	events->patience.what = "events";
	events->patience.advice = "a ClusterRole must give create and patch on events";
	uv_timer_init(opts->loop, &events->timer);
	events->timer.data = events;
	*ret = events;
	return 0;
}

void berm_apievents_stop(struct berm_apievents *events)
{
	if (!events)
		return;
	berm_apicall_cancel(TAKE_PTR(events->call));
	uv_close((uv_handle_t *)&events->timer, NULL);
}

void berm_apievents_free(struct berm_apievents *events)
{
	if (!events)
		return;
	while (events->count)
		drop_first(events);
	free(events);
}

struct berm_apievents_count berm_apievents_count(const struct berm_apievents *events)
{
	return events->counted;
}
