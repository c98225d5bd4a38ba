/* SPDX-License-Identifier: Apache-2.0 */
/* history.c - two sorted lists of documents compared, and a JSON file of what came of it. */
#include "history.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "fsutil.h"

#define MAX_BYTES (64u << 20)
#define FORMAT	  1

struct known { /* a document as it was in force */
	char *title;
	uint64_t digest;
};

struct berm_history {
	char *path;
	cJSON *entries;	    /* newest first */
	struct known *list; /* by title */
	size_t count;
	uint64_t sum; /* of the list */
	bool has_list, is_dirty;
};

/* ---- lists ------------------------------------------------------------------------------------------------ */

static void free_list(struct known *list, size_t count)
{
	for (size_t i = 0; list && i < count; i++)
		free(list[i].title);
	free(list);
}

static int by_title(const void *a, const void *b)
{
	return strcmp(((const struct known *)a)->title, ((const struct known *)b)->title);
}

/* In whatever order. */
static uint64_t mix(uint64_t digest)
{
	return (digest ^ digest >> 29) * 0xbf58476d1ce4e5b9u;
}

static uint64_t sum_of(const struct known *list, size_t count)
{
	uint64_t sum = count;

	for (size_t i = 0; i < count; i++)
		sum += mix(list[i].digest);
	return sum;
}

static uint64_t sum_of_model(const struct berm_model *model)
{
	uint64_t sum = model->policy_count;

	for (size_t i = 0; i < model->policy_count; i++)
		sum += mix(model->policies[i]->digest);
	return sum;
}

static struct known *list_of(const struct berm_model *model)
{
	struct known *list = calloc(model->policy_count + 1, sizeof(*list));
	char title[400];

	for (size_t i = 0; list && i < model->policy_count; i++) {
		const struct berm_policy *policy = model->policies[i];

		berm_policy_title(policy->kind, policy->ns, policy->name, title, sizeof(title));
		list[i] = (struct known){ strdup(title), policy->digest };
		if (!list[i].title) {
			free_list(list, i);
			return NULL;
		}
	}
	if (list && model->policy_count)
		qsort(list, model->policy_count, sizeof(*list), by_title);
	return list;
}

bool berm_history_is_behind(const struct berm_history *history, const struct berm_model *model)
{
	return !history->has_list || history->sum != sum_of_model(model);
}

/* ---- an entry ----------------------------------------------------------------------------------------------- */

static void add_digest(cJSON *object, const char *key, uint64_t digest)
{
	char text[17];

	snprintf(text, sizeof(text), "%016llx", (unsigned long long)digest);
	cJSON_AddStringToObject(object, key, text);
}

struct change {
	cJSON *list;
	size_t count;
};

/* before and after: one may be NULL. */
static void add_change(struct change *change, const struct known *before, const struct known *after)
{
	cJSON *item;

	if (++change->count > BERM_HISTORY_NAMED)
		return;
	item = cJSON_CreateObject();
	cJSON_AddStringToObject(item, "policy", (after ? after : before)->title);
	if (before)
		add_digest(item, "before", before->digest);
	if (after)
		add_digest(item, "after", after->digest);
	cJSON_AddItemToArray(change->list, item);
}

struct lists {
	const struct known *old, *now;
	size_t old_count, now_count;
};

static void add_changes(cJSON *entry, const struct lists *l)
{
	struct change added = { cJSON_AddArrayToObject(entry, "added"), 0 };
	struct change changed = { cJSON_AddArrayToObject(entry, "changed"), 0 };
	struct change removed = { cJSON_AddArrayToObject(entry, "removed"), 0 };
	size_t i = 0, k = 0;

	while (i < l->old_count || k < l->now_count) {
		int rc = i == l->old_count   ? 1
			 : k == l->now_count ? -1
					     : strcmp(l->old[i].title, l->now[k].title);

		if (!rc && l->old[i].digest != l->now[k].digest)
			add_change(&changed, &l->old[i], &l->now[k]);
		else if (rc < 0)
			add_change(&removed, &l->old[i], NULL);
		else if (rc > 0)
			add_change(&added, NULL, &l->now[k]);
		i += rc <= 0;
		k += rc >= 0;
	}
	cJSON_AddNumberToObject(entry, "added_count", (double)added.count);
	cJSON_AddNumberToObject(entry, "changed_count", (double)changed.count);
	cJSON_AddNumberToObject(entry, "removed_count", (double)removed.count);
}

static cJSON *new_entry(const struct berm_generation *now, const struct lists *l)
{
	cJSON *entry = cJSON_CreateObject();
	char text[40] = "";
	time_t when = (time_t)now->time_s;
	struct tm tm;

	if (gmtime_r(&when, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	cJSON_AddNumberToObject(entry, "generation", (double)now->generation);
	cJSON_AddStringToObject(entry, "time", text);
	cJSON_AddNumberToObject(entry, "policies", (double)l->now_count);
	cJSON_AddStringToObject(entry, "digest", now->digest);
	add_changes(entry, l);
	return entry;
}

int berm_history_add(struct berm_history *history, const struct berm_model *model,
		     const struct berm_generation *now)
{
	struct known *list = list_of(model);
	struct lists l = { history->list, list, history->count, model->policy_count };
	cJSON *entry = list ? new_entry(now, &l) : NULL;

	if (!entry || !cJSON_InsertItemInArray(history->entries, 0, entry)) {
		cJSON_Delete(entry);
		free_list(list, model->policy_count);
		return -ENOMEM;
	}
	while (cJSON_GetArraySize(history->entries) > BERM_HISTORY_ENTRIES)
		cJSON_DeleteItemFromArray(history->entries, BERM_HISTORY_ENTRIES);
	free_list(history->list, history->count);
	history->list = list;
	history->count = model->policy_count;
	history->sum = sum_of(list, history->count);
	history->has_list = history->is_dirty = true;
	return 0;
}

/* ---- the file ----------------------------------------------------------------------------------------------- */

static int take_list(struct berm_history *history, const cJSON *documents)
{
	const cJSON *item;

	history->list = calloc((size_t)cJSON_GetArraySize(documents) + 1, sizeof(*history->list));
	if (!history->list)
		return -ENOMEM;
	cJSON_ArrayForEach(item, documents) {
		const char *title =
			cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "policy"));
		const char *digest =
			cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "digest"));
		struct known *known = &history->list[history->count];

		if (!title || !digest)
			return -EBADMSG;
		*known = (struct known){ strdup(title), strtoull(digest, NULL, 16) };
		if (!known->title)
			return -ENOMEM;
		history->count++;
	}
	qsort(history->list, history->count, sizeof(*history->list), by_title);
	history->sum = sum_of(history->list, history->count);
	history->has_list = true;
	return 0;
}

static void forget(struct berm_history *history)
{
	free_list(history->list, history->count);
	cJSON_Delete(history->entries);
	history->list = NULL;
	history->entries = NULL;
	history->count = 0;
	history->has_list = false;
}

static int take(struct berm_history *history, const char *text, size_t size)
{
	cJSON *root = cJSON_ParseWithLength(text, size);
	const cJSON *format = cJSON_GetObjectItemCaseSensitive(root, "format");
	const cJSON *documents = cJSON_GetObjectItemCaseSensitive(root, "documents");
	const cJSON *entries = cJSON_GetObjectItemCaseSensitive(root, "history");
	int rc = -EBADMSG;

	if (cJSON_IsNumber(format) && format->valueint == FORMAT && cJSON_IsArray(documents) &&
	    cJSON_IsArray(entries)) {
		history->entries = cJSON_DetachItemFromObjectCaseSensitive(root, "history");
		rc = take_list(history, documents);
	}
	cJSON_Delete(root);
	if (rc)
		forget(history);
	return rc;
}

int berm_history_open(const char *path, struct berm_history **ret, struct berm_err *err)
{
	struct berm_history *history = calloc(1, sizeof(*history));
	auto_free char *text = NULL;
	size_t size = 0;
	int rc;

	if (history)
		history->path = strdup(path);
	if (!history || !history->path) {
		free(history);
		return berm_fail(err, -ENOMEM, "open the history of generations");
	}
	rc = berm_file_read(path, MAX_BYTES, &text, &size, err);
	if (!rc && take(history, text, size))
		rc = berm_refuse(err, -EBADMSG,
				 "%s is damaged, or of another version: the history begins anew",
				 path);
	if (!history->entries)
		history->entries = cJSON_CreateArray();
	if (!history->entries) {
		berm_history_close(history);
		return berm_fail(err, -ENOMEM, "open the history of generations");
	}
	*ret = history;
	return rc == -ENOENT ? 0 : rc;
}

void berm_history_close(struct berm_history *history)
{
	if (!history)
		return;
	forget(history);
	free(history->path);
	free(history);
}

static bool is_plain(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == '"' || *text == '\\')
			return false;
	return true;
}

static void print_text(FILE *out, const char *text)
{
	cJSON *string;
	char *quoted;

	if (is_plain(text)) {
		fprintf(out, "\"%s\"", text);
		return;
	}
	string = cJSON_CreateString(text);
	quoted = string ? cJSON_PrintUnformatted(string) : NULL;
	fputs(quoted ? quoted : "", out); /* without memory it is no JSON, and begins anew next time */
	free(quoted);
	cJSON_Delete(string);
}

/* The documents as they are: a tree of thousands would take longer than all else about a generation. */
static void print_documents(const struct berm_history *history, FILE *out)
{
	fprintf(out, "{\"documents\":[");
	for (size_t i = 0; i < history->count; i++) {
		fputs(i ? ",{\"policy\":" : "{\"policy\":", out);
		print_text(out, history->list[i].title);
		fprintf(out, ",\"digest\":\"%016llx\"}",
			(unsigned long long)history->list[i].digest);
	}
	fprintf(out, "],\"format\":%d,\"history\":", FORMAT);
}

static char *print(const struct berm_history *history, size_t *ret_size)
{
	auto_free char *entries = cJSON_PrintUnformatted(history->entries);
	char *text = NULL;
	FILE *out = entries ? open_memstream(&text, ret_size) : NULL;
	bool is_bad;

	if (!out)
		return NULL;
	print_documents(history, out);
	fprintf(out, "%s}", entries);
	is_bad = ferror(out);
	if (fclose(out) || is_bad) {
		free(text);
		return NULL;
	}
	return text;
}

static int make_dir(const char *path, struct berm_err *err)
{
	const char *slash = strrchr(path, '/');
	auto_free char *dir = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");

	return dir ? berm_mkdirs(dir, 0700, err) : berm_fail(err, -ENOMEM, "make %s", path);
}

int berm_history_save(struct berm_history *history, struct berm_err *err)
{
	auto_free char *text = NULL;
	size_t size = 0;
	int rc;

	if (!history->is_dirty)
		return 0;
	text = print(history, &size);
	if (!text)
		return berm_fail(err, -ENOMEM, "write the history of generations");
	rc = make_dir(history->path, err);
	rc = rc ? rc : berm_file_write(history->path, text, size, 0600, err);
	history->is_dirty = rc != 0;
	return rc ? berm_wrap(err, rc, "the history of generations is not on disk") : 0;
}

cJSON *berm_history_json(const struct berm_history *history)
{
	cJSON *root = cJSON_CreateObject();

	if (root &&
	    !cJSON_AddItemToObject(root, "history", cJSON_Duplicate(history->entries, true))) {
		cJSON_Delete(root);
		return NULL;
	}
	return root;
}
