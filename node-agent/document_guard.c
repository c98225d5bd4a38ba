// SPDX-License-Identifier: Apache-2.0
/* document_guard.c - until when a version of a ConfigMap must be confirmed, and whether it has been. Asks no clock. */
#include "document_guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "digest.h"
#include "moment.h"
#include "span.h"

/* ---- the digest ---------------------------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
	return strcmp((*(const cJSON *const *)a)->string, (*(const cJSON *const *)b)->string);
}

/* Without memory the keys count as they stand, which can only refuse a confirmation. */
static void add_map(struct berm_digester *d, const cJSON *map)
{
	size_t count = cJSON_IsObject(map) ? (size_t)cJSON_GetArraySize(map) : 0, i = 0;
	auto_free const cJSON **item = calloc(count + 1, sizeof(*item));
	const cJSON *node = count ? map->child : NULL;

	berm_digest_u64(d, count);
	for (; item && node; node = node->next)
		item[i++] = node;
	if (i)
		qsort(item, i, sizeof(*item), by_key);
	for (size_t k = 0; k < i; k++) {
		berm_digest_text(d, item[k]->string);
		berm_digest_text(d, cJSON_IsString(item[k]) ? item[k]->valuestring : "");
	}
}

void berm_guard_digest(const cJSON *data, const cJSON *binary, char out[BERM_GUARD_DIGEST])
{
	struct berm_digester digester;
	struct berm_digest sum;

	berm_digest_start(&digester);
	add_map(&digester, data);
	add_map(&digester, binary);
	sum = berm_digest_end(&digester);
	snprintf(out, BERM_GUARD_DIGEST, "%016llx", (unsigned long long)sum.w[0]);
}

/* ---- since when ---------------------------------------------------------------------------------------------------- */

static const cJSON *member(const cJSON *node, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(node, name);
}

/* 0: not there, or no time. */
static int64_t time_of(const cJSON *node, const char *name)
{
	const char *text = cJSON_GetStringValue(member(node, name));
	struct berm_err err = { 0 };
	int64_t at = 0;

	return text && !berm_moment_parse(text, &at, &err) ? at : 0;
}

static void take_newer(int64_t *newest, int64_t at)
{
	if (at > *newest)
		*newest = at;
}

/* Who has written what, and when he last did (Kubernetes, "Server-Side Apply"). */
static void read_managed(const cJSON *metadata, struct berm_guard *guard)
{
	const cJSON *entry;

	cJSON_ArrayForEach(entry, member(metadata, "managedFields")) {
		const cJSON *fields = member(entry, "fieldsV1");
		const cJSON *notes = member(member(fields, "f:metadata"), "f:annotations");

		if (member(fields, "f:data") || member(fields, "f:binaryData"))
			take_newer(&guard->written_s, time_of(entry, "time"));
		if (member(notes, "f:" BERM_CONFIRM_WITHIN))
			take_newer(&guard->guarded_s, time_of(entry, "time"));
	}
	guard->created_s = time_of(metadata, "creationTimestamp");
}

/* ---- the guard ----------------------------------------------------------------------------------------------------- */

static bool read_within(const struct berm_field *note, struct berm_guard *guard)
{
	const char *text = berm_field_text(note);
	struct berm_err err = { 0 };

	if (!text)
		return false;
	if (!berm_span_parse(text, BERM_CONFIRM_MAX_S, &guard->within_s, &err))
		return true;
	berm_field_error(note, "its documents stay as they were until this is right", "%s",
			 err.msg);
	return false;
}

static bool read_confirmed(const struct berm_meta *meta, struct berm_guard *guard)
{
	struct berm_field note;
	const char *text;

	if (!berm_field_get(&meta->annotations, BERM_CONFIRMED, &note))
		return true;
	text = berm_field_text(&note);
	guard->is_confirmed = text && !strcmp(text, guard->digest);
	return text != NULL;
}

static bool add(struct berm_chunk *chunk, const struct berm_guard *guard)
{
	struct berm_objects *out = chunk->sheet->out;
	struct berm_guard *item = reallocarray(out->guard, out->guard_count + 1, sizeof(*item));

	if (item)
		out->guard = item;
	if (!item || !guard->key || !guard->ns || !guard->name) {
		berm_guard_clear((struct berm_guard *)guard);
		chunk->sheet->no_memory = true;
		return false;
	}
	item[out->guard_count++] = *guard;
	return true;
}

bool berm_take_guard(struct berm_chunk *chunk, const struct berm_field *root,
		     const struct berm_meta *meta, const char *key)
{
	struct berm_guard guard = { 0 };
	struct berm_field note;

	if (!meta->annotations.node ||
	    !berm_field_get(&meta->annotations, BERM_CONFIRM_WITHIN, &note))
		return true;
	berm_guard_digest(member(root->node, "data"), member(root->node, "binaryData"),
			  guard.digest);
	if (!read_within(&note, &guard) || !read_confirmed(meta, &guard))
		return false;
	guard.line = chunk->sheet->kind ? 0 : berm_field_line(&note);
	if (chunk->sheet->kind) { /* what a file says of it was so when somebody copied it */
		read_managed(meta->self.node, &guard);
		if (!guard.written_s)
			guard.written_s = guard.created_s;
		if (!guard.written_s) {
			berm_field_error(&note, "it takes metadata.managedFields",
					 "the server does not say since when the data is there");
			return false;
		}
	}
	guard.key = strdup(key);
	guard.ns = strdup(meta->ns);
	guard.name = strdup(meta->name);
	return add(chunk, &guard);
}

void berm_guard_clear(struct berm_guard *guard)
{
	free(guard->key);
	free(guard->ns);
	free(guard->name);
}

void berm_warn_guard(const struct berm_meta *meta)
{
	struct berm_field note;

	if (meta->annotations.node &&
	    berm_field_get(&meta->annotations, BERM_CONFIRM_WITHIN, &note))
		berm_field_warn(&note, "put it into a ConfigMap with the label " BERM_POLICY_LABEL,
				"only ConfigMaps can be confirmed: it is in force at once");
}
