/* SPDX-License-Identifier: Apache-2.0 */
/* rollup_part.c - the roll-up in ConfigMaps: what the last leader left in them, and what to write. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "nodestatus.h"
#include "rolled.h"

#define CONFIGMAPS "/api/v1/namespaces/" BERM_SYSTEM_NAMESPACE "/configmaps"
#define NAME	   "berm-rollup-"
#define DATA	   "policies.json"
#define PER_PART   1000 /* policies: some 150 bytes each */

static uint64_t now_ms(const struct berm_rollup *rollup)
{
	return uv_now(&rollup->agent->loop);
}

/* ---- writing -------------------------------------------------------------------------------------------------------- */

static const char *phase_of(const struct tracked *policy)
{
	if (berm_standing_is_held(policy->standing))
		return "Held";
	if (!berm_standing_is_good(policy->standing))
		return "Invalid";
	if (policy->standing == BERM_STANDING_ROLLED_BACK)
		return "RolledBack";
	if (policy->is_disabled)
		return "Disabled";
	if (policy->refused)
		return "Refused";
	if (policy->standing == BERM_STANDING_UNCONFIRMED)
		return "Unconfirmed";
	return policy->is_enforced ? "Enforced" : "Enforcing";
}

static unsigned int part_of(const struct berm_rollup *rollup, const char *key)
{
	struct berm_digest sum = berm_digest_of(key, strlen(key));

	return (unsigned int)(sum.w[0] % rollup->part_count);
}

static int compare_policies(struct tracked *a, struct tracked *b)
{
	return strcmp(a->key, b->key);
}

static cJSON *policy_json(const struct berm_rollup *rollup, const struct tracked *policy)
{
	cJSON *object = cJSON_CreateObject();
	char digest[17];

	snprintf(digest, sizeof(digest), "%016llx", (unsigned long long)policy->digest);
	cJSON_AddStringToObject(object, "policy", policy->key);
	cJSON_AddStringToObject(object, "digest", digest);
	cJSON_AddStringToObject(object, "phase", phase_of(policy));
	if (berm_standing_is_good(policy->standing))
		cJSON_AddNumberToObject(object, "realised", policy->realised);
	if (policy->refused)
		cJSON_AddNumberToObject(object, "refused", policy->refused);
	cJSON_AddNumberToObject(object, "desired", HASH_COUNT(rollup->nodes));
	return object;
}

static char *part_text(const struct berm_rollup *rollup, unsigned int part)
{
	cJSON *array = cJSON_CreateArray();
	const struct tracked *policy;
	char *text;

	for (policy = rollup->policies; policy; policy = policy->hh.next)
		if (part_of(rollup, policy->key) == part)
			cJSON_AddItemToArray(array, policy_json(rollup, policy));
	text = cJSON_PrintUnformatted(array);
	cJSON_Delete(array);
	return text;
}

static char *configmap_text(unsigned int part, const char *content)
{
	cJSON *root = cJSON_CreateObject(), *metadata, *map;
	char name[32], *text;

	snprintf(name, sizeof(name), NAME "%u", part);
	cJSON_AddStringToObject(root, "apiVersion", "v1");
	cJSON_AddStringToObject(root, "kind", "ConfigMap");
	metadata = cJSON_AddObjectToObject(root, "metadata");
	cJSON_AddStringToObject(metadata, "name", name);
	cJSON_AddStringToObject(metadata, "namespace", BERM_SYSTEM_NAMESPACE);
	map = cJSON_AddObjectToObject(metadata, "labels");
	cJSON_AddStringToObject(map, BERM_STATUS_LABEL, "rollup");
	map = cJSON_AddObjectToObject(root, "data");
	cJSON_AddStringToObject(map, DATA, content);
	text = cJSON_PrintUnformatted(root);
	cJSON_Delete(root);
	return text;
}

static void lose(struct berm_rollup *rollup, const char *why)
{
	struct berm_apireply reply = { .status = 0 };

	snprintf(reply.error, sizeof(reply.error), "%.300s", why);
	berm_patience_lose(&rollup->writing, &reply, now_ms(rollup));
}

static void write_next(struct berm_rollup *rollup);

static void on_written(const struct berm_apireply *reply, void *ctx)
{
	struct berm_rollup *rollup = ctx;
	struct rolled_part *part = &rollup->part[rollup->next_part];

	rollup->call = NULL;
	if (*reply->error && reply->status != 404) { /* what is to be deleted may be gone */
		rollup->has_pending = true;
		memset(&part->written, 0, sizeof(part->written));
		berm_patience_lose(&rollup->writing, reply, now_ms(rollup));
		return;
	}
	berm_patience_regain(&rollup->writing);
	part->is_there = rollup->next_part < rollup->part_count;
	rollup->next_part++;
	write_next(rollup);
}

static int write_part(struct berm_rollup *rollup, const char *content)
{
	char path[160];
	auto_free char *text = content ? configmap_text(rollup->next_part, content) : NULL;
	struct berm_err err = { 0 };
	struct berm_apicall_opts opts = {
		.method = content ? "PATCH" : "DELETE",
		.path = path,
		.send = text,
		.send_type = "application/apply-patch+yaml",
		.done = on_written,
		.ctx = rollup,
	};

	snprintf(path, sizeof(path), CONFIGMAPS "/" NAME "%u%s", rollup->next_part,
		 content ? "?fieldManager=berm-agent&force=true" : "");
	if ((content && !text) ||
	    berm_apicall_start(berm_api_http(rollup->agent->api), &opts, &rollup->call, &err)) {
		rollup->has_pending = true;
		lose(rollup, *err.msg ? err.msg : "out of memory");
		return -ENOMEM;
	}
	return 0;
}

/* Parts that are as they were written are passed over; those that are too many go. */
static void write_next(struct berm_rollup *rollup)
{
	struct berm_digest sum;
	struct rolled_part *part;

	for (; rollup->next_part < BERM_ROLLUP_MAX_PARTS; rollup->next_part++) {
		part = &rollup->part[rollup->next_part];
		auto_free char *content = NULL;

		if (rollup->next_part >= rollup->part_count) {
			if (!part->is_there)
				continue;
			(void)write_part(rollup,
					 NULL); /* said, and tried again in the next round */
			return;
		}
		content = part_text(rollup, rollup->next_part);
		sum = berm_digest_of(content ? content : "", content ? strlen(content) : 0);
		if (!content || (part->is_there && !berm_digest_cmp(&sum, &part->written)))
			continue;
		part->written = sum;
		(void)write_part(rollup, content); /* the same */
		return;
	}
}

void berm_rollup_write(struct berm_rollup *rollup)
{
	unsigned int parts = 1 + HASH_COUNT(rollup->policies) / PER_PART;

	rollup->part_count = parts < BERM_ROLLUP_MAX_PARTS ? parts : BERM_ROLLUP_MAX_PARTS;
	rollup->next_part = 0;
	HASH_SORT(rollup->policies, compare_policies);
	if (berm_patience_is_out(&rollup->writing, now_ms(rollup)))
		rollup->has_pending = true;
	else
		write_next(rollup);
}

/* ---- what was written ----------------------------------------------------------------------------------------------- */

static const char *text_in(const cJSON *map, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(map, key));
}

static void take_old_policy(struct berm_rollup *rollup, const cJSON *object)
{
	const char *key = text_in(object, "policy"), *phase = text_in(object, "phase");
	const char *digest = text_in(object, "digest");
	struct tracked *policy;

	if (!key || !phase || !digest || strcmp(phase, "Enforced") != 0)
		return;
	policy = berm_rollup_track(rollup, key);
	if (policy)
		policy->told = strtoull(digest, NULL, 16);
}

void berm_rollup_take_part(struct berm_rollup *rollup, const cJSON *configmap)
{
	const char *name = text_in(cJSON_GetObjectItemCaseSensitive(configmap, "metadata"), "name");
	const char *text = text_in(cJSON_GetObjectItemCaseSensitive(configmap, "data"), DATA);
	unsigned long number = BERM_ROLLUP_MAX_PARTS;
	const cJSON *item;
	cJSON *array;

	if (name && !strncmp(name, NAME, strlen(NAME)))
		number = strtoul(name + strlen(NAME), NULL, 10);
	if (number < BERM_ROLLUP_MAX_PARTS)
		rollup->part[number].is_there = true;
	array = text ? cJSON_Parse(text) : NULL;
	cJSON_ArrayForEach(item, array)
		take_old_policy(rollup, item);
	cJSON_Delete(array);
}
