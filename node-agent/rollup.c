/* SPDX-License-Identifier: Apache-2.0 */
/* rollup.c - one round after the other: what was written, who says what, what there is to tell, what to write. */
#include "rollup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "nodestatus.h"
#include "rolled.h"

#define CONFIGMAPS "/api/v1/namespaces/" BERM_SYSTEM_NAMESPACE "/configmaps"
#define LIST_NODES CONFIGMAPS "?labelSelector=berm.dev%2Fstatus%3Dnode&resourceVersion=0"
#define LIST_OLD   CONFIGMAPS "?labelSelector=berm.dev%2Fstatus%3Drollup"

static uint64_t now_ms(const struct berm_rollup *rollup)
{
	return uv_now(&rollup->agent->loop);
}

static void lose(struct berm_rollup *rollup, const char *why)
{
	struct berm_apireply reply = { .status = 0 };

	snprintf(reply.error, sizeof(reply.error), "%.300s", why);
	berm_patience_lose(&rollup->reading, &reply, now_ms(rollup));
}

/* ---- reading -------------------------------------------------------------------------------------------------------- */

static const char *text_in(const cJSON *map, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(map, key));
}

static void take_status(struct berm_rollup *rollup, const cJSON *root)
{
	const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(root, "metadata");
	const cJSON *annotations = cJSON_GetObjectItemCaseSensitive(metadata, "annotations");
	const char *name = text_in(metadata, "name"), *set = text_in(annotations, BERM_STATUS_SET);

	const char *text = text_in(annotations, BERM_STATUS_REFUSED);
	cJSON *refused = text ? cJSON_Parse(text) : NULL;

	if (name && set)
		berm_rollup_take_node(rollup, name, set, refused);
	cJSON_Delete(refused);
}

static int on_item(const struct berm_piece *piece, void *ctx)
{
	struct berm_rollup *rollup = ctx;
	cJSON *root = piece->text ? cJSON_ParseWithLength(piece->text, piece->size) : NULL;

	if (rollup->is_reading_old)
		berm_rollup_take_part(rollup, root);
	else
		take_status(rollup, root);
	cJSON_Delete(root);
	return 0;
}

static int on_data(const char *text, size_t size, void *ctx)
{
	struct berm_rollup *rollup = ctx;
	struct berm_piece chunk = { text, size };

	return berm_items_feed(&rollup->items, &chunk, on_item, rollup);
}

static void forget_sources(struct berm_rollup *rollup)
{
	for (struct tracked *policy = rollup->policies; policy; policy = policy->hh.next)
		policy->source = NULL;
}

/* All at once: what the set borrows may be gone when the loop has run. */
static void finish_round(struct berm_rollup *rollup)
{
	struct berm_policyset set;

	if (berm_engine_is_stale(&rollup->agent->engine) ||
	    berm_policyset_read(rollup->agent->intake, &rollup->agent->engine.model, &set))
		return; /* the next round comes */
	berm_rollup_take_set(rollup, &set);
	if (berm_rollup_has_news(rollup) && !berm_rollup_count(rollup)) {
		berm_rollup_tell_enforced(rollup);
		berm_rollup_write(rollup);
	}
	berm_rollup_tell_problems(rollup);
	forget_sources(rollup);
	berm_policyset_clear(&set);
}

static void on_end(const struct berm_apiend *end, const char *body, void *ctx)
{
	struct berm_rollup *rollup = ctx;
	struct berm_apireply reply = { .status = end->status, .retry_after_s = end->retry_after_s };
	char message[256];
	long code;

	rollup->list = NULL;
	if (end->status == 200 && berm_items_is_complete(&rollup->items)) {
		berm_patience_regain(&rollup->reading);
		if (!rollup->is_reading_old) {
			finish_round(rollup);
			return;
		}
		rollup->has_read_old = true;
		berm_rollup_step(rollup);
		return;
	}
	berm_apistatus_read(body, strlen(body), &code, message);
	snprintf(reply.error, sizeof(reply.error), "%s",
		 *end->error ? end->error
		 : *message  ? message
			     : "the list is not whole");
	berm_patience_lose(&rollup->reading, &reply, now_ms(rollup));
}

static void read_list(struct berm_rollup *rollup, bool is_old)
{
	struct berm_err err = { 0 };
	struct berm_apiget_opts opts = {
		.path = is_old ? LIST_OLD : LIST_NODES,
		.accept =
			is_old ? "application/json"
			       : "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
		.idle_ms = BERM_CALL_IDLE_MS,
		.data = on_data,
		.end = on_end,
		.ctx = rollup,
	};

	berm_items_clear(&rollup->items);
	rollup->is_reading_old = is_old;
	if (berm_apiget_start(berm_api_http(rollup->agent->api), &opts, &rollup->list, &err))
		lose(rollup, err.msg);
}

/* ---- the interface ------------------------------------------------------------------------------------------------- */

void berm_rollup_step(struct berm_rollup *rollup)
{
	if (rollup->list || rollup->call || berm_patience_is_out(&rollup->reading, now_ms(rollup)))
		return;
	if (rollup->has_read_old)
		rollup->round++;
	read_list(rollup, !rollup->has_read_old);
}

void berm_rollup_reset(struct berm_rollup *rollup)
{
	berm_apiget_cancel(TAKE_PTR(rollup->list));
	berm_apicall_cancel(TAKE_PTR(rollup->call));
	berm_rollup_forget(rollup);
	berm_rollup_forget_told(rollup);
	memset(rollup->part, 0, sizeof(rollup->part));
	rollup->has_read_old = false;
	rollup->has_pending = true;
}

unsigned int berm_rollup_nodes(const struct berm_rollup *rollup)
{
	return HASH_COUNT(rollup->nodes);
}

int berm_rollup_new(const struct berm_agent *agent, struct berm_apievents *events,
		    struct berm_rollup **ret, struct berm_err *err)
{
	struct berm_rollup *rollup = calloc(1, sizeof(*rollup));

	if (!rollup)
		return berm_fail(err, -ENOMEM, "make the roll-up");
	rollup->agent = agent;
	rollup->events = events;
	rollup->has_pending = true;
	rollup->reading.what = "statuses of the nodes";
	rollup->reading.advice = "a ClusterRole must give list on configmaps";
	rollup->writing.what = "roll-up";
	rollup->writing.advice = "a Role in " BERM_SYSTEM_NAMESPACE
				 " must give create, patch and delete on configmaps";
	*ret = rollup;
	return 0;
}

void berm_rollup_stop(struct berm_rollup *rollup)
{
	if (rollup)
		berm_rollup_reset(rollup);
}

void berm_rollup_free(struct berm_rollup *rollup)
{
	if (!rollup)
		return;
	berm_items_clear(&rollup->items);
	free(rollup);
}
