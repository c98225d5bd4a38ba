/* SPDX-License-Identifier: Apache-2.0 */
/* apicall.c - collects the answer, bounded. */
#include "apicall.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

struct berm_apicall {
	struct berm_apicall_opts opts;
	struct berm_apiget *get;
	char *text;
	size_t size, room;
	bool is_too_long;
};

void berm_apistatus_read(const char *body, size_t size, long *ret_code, char out[256])
{
	cJSON *tree = cJSON_ParseWithLength(body, size);
	const cJSON *message = cJSON_GetObjectItemCaseSensitive(tree, "message");
	const cJSON *code = cJSON_GetObjectItemCaseSensitive(tree, "code");

	*out = '\0';
	if (cJSON_IsString(message))
		snprintf(out, 256, "%s", message->valuestring);
	if (cJSON_IsNumber(code))
		*ret_code = (long)code->valuedouble;
	cJSON_Delete(tree);
}

static int on_data(const char *text, size_t size, void *ctx)
{
	struct berm_apicall *call = ctx;
	size_t room = call->room ? call->room : 4096;
	char *grown;

	if (size > BERM_CALL_MAX - call->size) {
		call->is_too_long = true;
		return -1;
	}
	while (room < call->size + size + 1)
		room *= 2;
	if (room != call->room) {
		grown = realloc(call->text, room);
		if (!grown) {
			call->is_too_long = true;
			return -1;
		}
		call->text = grown;
		call->room = room;
	}
	memcpy(call->text + call->size, text, size);
	call->size += size;
	call->text[call->size] = '\0';
	return 0;
}

static bool is_done(long status)
{
	return status == 200 || status == 201;
}

static void describe(const struct berm_apicall *call, const struct berm_apiend *end,
		     struct berm_apireply *reply)
{
	char message[256];
	long code = 0;

	if (*end->error) {
		snprintf(reply->error, sizeof(reply->error), "%s", end->error);
	} else if (call->is_too_long) {
		snprintf(reply->error, sizeof(reply->error), "the answer is longer than %u bytes",
			 BERM_CALL_MAX);
	} else if (!is_done(end->status)) {
		berm_apistatus_read(reply->text, reply->size, &code, message);
		snprintf(reply->error, sizeof(reply->error), "HTTP %ld%s%s", end->status,
			 *message ? ": " : "", message);
	}
}

static void on_end(const struct berm_apiend *end, const char *body, void *ctx)
{
	struct berm_apicall *call = ctx;
	struct berm_apicall_opts opts = call->opts;
	auto_free char *text = call->text; /* until the caller has seen it */
	struct berm_apireply reply = {
		.status = end->status,
		.retry_after_s = end->retry_after_s,
		.text = text ? text : body,
		.size = text ? call->size : strlen(body),
	};

	describe(call, end, &reply);
	free(call);
	opts.done(&reply, opts.ctx);
}

int berm_apicall_start(struct berm_apihttp *http, const struct berm_apicall_opts *opts,
		       struct berm_apicall **ret, struct berm_err *err)
{
	struct berm_apicall *call = calloc(1, sizeof(*call));
	struct berm_apiget_opts get = {
		.path = opts->path,
		.accept = opts->accept ? opts->accept : "application/json",
		.method = opts->method,
		.send = opts->send,
		.send_type = opts->send_type ? opts->send_type : "application/json",
		.idle_ms = BERM_CALL_IDLE_MS,
		.data = on_data,
		.end = on_end,
		.ctx = call,
	};
	int rc;

	if (!call)
		return berm_fail(err, -ENOMEM, "request %s", opts->path);
	call->opts = *opts;
	call->opts.path = call->opts.send = NULL; /* borrowed for the start only */
	rc = berm_apiget_start(http, &get, &call->get, err);
	if (rc) {
		free(call);
		return rc;
	}
	*ret = call;
	return 0;
}

void berm_apicall_cancel(struct berm_apicall *call)
{
	if (!call)
		return;
	berm_apiget_cancel(call->get);
	free(call->text);
	free(call);
}
