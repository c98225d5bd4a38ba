// SPDX-License-Identifier: Apache-2.0
/* confirm_file.c - reads and writes what waits for a confirmation. Decides nothing. */
#include "confirm_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "fsutil.h"

#define FORMAT	  1
#define MAX_BYTES (256u << 20)

void berm_confirm_record_clear(struct berm_confirm_record *record)
{
	for (size_t i = 0; i < record->previous_count; i++)
		berm_kept_clear(&record->previous[i]);
	free(record->previous);
	free(record->key);
	free(record->source);
	free(record->ns);
	free(record->name);
}

static void forget(struct berm_confirms *confirms)
{
	for (size_t i = 0; i < confirms->count; i++)
		berm_confirm_record_clear(&confirms->record[i]);
	free(confirms->record);
	confirms->record = NULL;
	confirms->count = 0;
}

/* ---- writing ------------------------------------------------------------------------------------------------------- */

static bool add_record(cJSON *list, const struct berm_confirm_record *record)
{
	cJSON *object = cJSON_CreateObject(), *documents;
	bool ok = cJSON_AddItemToArray(list, object);

	if (!ok)
		cJSON_Delete(object);
	documents = ok ? cJSON_AddArrayToObject(object, "previous") : NULL;
	ok = documents && cJSON_AddStringToObject(object, "key", record->key) &&
	     cJSON_AddStringToObject(object, "source", record->source) &&
	     cJSON_AddStringToObject(object, "namespace", record->ns) &&
	     cJSON_AddStringToObject(object, "name", record->name) &&
	     cJSON_AddBoolToObject(object, "has_previous", record->has_previous);
	for (size_t i = 0; ok && i < record->previous_count; i++) {
		cJSON *kept = berm_kept_json(&record->previous[i]);

		ok = cJSON_AddItemToArray(documents, kept);
		if (!ok)
			cJSON_Delete(kept);
	}
	return ok;
}

static char *print(const struct berm_confirms *confirms)
{
	cJSON *root = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(root, "waiting");
	bool ok = list && cJSON_AddNumberToObject(root, "format", FORMAT) &&
		  cJSON_AddNumberToObject(root, "since", (double)confirms->since_s);
	char *text;

	for (size_t i = 0; ok && i < confirms->count; i++)
		ok = add_record(list, &confirms->record[i]);
	text = ok ? cJSON_PrintUnformatted(root) : NULL;
	cJSON_Delete(root);
	return text;
}

static int make_dir(const char *path, struct berm_err *err)
{
	const char *slash = strrchr(path, '/');
	auto_free char *dir = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");

	return dir ? berm_mkdirs(dir, 0700, err) : berm_fail(err, -ENOMEM, "make %s", path);
}

int berm_confirms_save(struct berm_confirms *confirms, struct berm_err *err)
{
	auto_free char *text = NULL;
	int rc;

	if (!confirms->is_dirty)
		return 0;
	text = print(confirms);
	if (!text)
		return berm_fail(err, -ENOMEM, "write what waits for a confirmation");
	rc = make_dir(confirms->path, err);
	rc = rc ? rc : berm_file_write(confirms->path, text, strlen(text), 0600, err);
	confirms->is_dirty = rc != 0;
	return rc ? berm_wrap(err, rc, "what waits for a confirmation is not on disk") : 0;
}

/* ---- reading ------------------------------------------------------------------------------------------------------- */

static char *text_of(const cJSON *object, const char *name)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

	return text ? strdup(text) : NULL;
}

static int take_record(struct berm_confirms *confirms, const cJSON *object)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, "previous"), *item;
	struct berm_confirm_record *record = &confirms->record[confirms->count++];
	size_t count = cJSON_IsArray(list) ? (size_t)cJSON_GetArraySize(list) : 0;

	record->key = text_of(object, "key");
	record->source = text_of(object, "source");
	record->ns = text_of(object, "namespace");
	record->name = text_of(object, "name");
	record->has_previous =
		cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "has_previous"));
	record->previous = calloc(count + 1, sizeof(*record->previous));
	if (!record->key || !record->source || !record->ns || !record->name || !record->previous)
		return -EBADMSG;
	cJSON_ArrayForEach(item, list)
		if (!berm_kept_of_json(item, &record->previous[record->previous_count++]))
			return -EBADMSG;
	return 0;
}

static int take(struct berm_confirms *confirms, const char *text, size_t size)
{
	cJSON *root = cJSON_ParseWithLength(text, size);
	const cJSON *format = cJSON_GetObjectItemCaseSensitive(root, "format");
	const cJSON *since = cJSON_GetObjectItemCaseSensitive(root, "since");
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "waiting"), *item;
	int rc = -EBADMSG;

	if (cJSON_IsNumber(format) && format->valueint == FORMAT && cJSON_IsNumber(since) &&
	    cJSON_IsArray(list)) {
		confirms->record =
			calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*confirms->record));
		rc = confirms->record ? 0 : -ENOMEM;
	}
	if (!rc)
		cJSON_ArrayForEach(item, list)
			rc = rc ? rc : take_record(confirms, item);
	if (!rc)
		confirms->since_s = (int64_t)since->valuedouble;
	else
		forget(confirms);
	cJSON_Delete(root);
	return rc;
}

int berm_confirms_open(const char *path, int64_t now_s, struct berm_confirms **ret,
		       struct berm_err *err)
{
	struct berm_confirms *confirms = calloc(1, sizeof(*confirms));
	auto_free char *text = NULL;
	size_t size = 0;
	int rc;

	if (confirms)
		confirms->path = strdup(path);
	if (!confirms || !confirms->path) {
		free(confirms);
		return berm_fail(err, -ENOMEM, "open what waits for a confirmation");
	}
	confirms->since_s = now_s;
	rc = berm_file_read(path, MAX_BYTES, &text, &size, err);
	if (!rc && take(confirms, text, size))
		rc = berm_refuse(err, -EBADMSG,
				 "%s is damaged, or of another version: versions that nobody has confirmed stay in force on this node",
				 path);
	confirms->is_dirty = rc != 0;
	*ret = confirms;
	return rc == -ENOENT ? 0 : rc;
}

void berm_confirms_close(struct berm_confirms *confirms)
{
	if (!confirms)
		return;
	forget(confirms);
	free(confirms->path);
	free(confirms);
}
