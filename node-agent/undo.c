// SPDX-License-Identifier: Apache-2.0
/* undo.c - writes down what documents were, and finds it again. Undoes nothing. */
#include "undo.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "array.h"
#include "cleanup.h"
#include "fsutil.h"
#include "log.h"

struct berm_undo {
	char *dir;
	char *text, *name; /* to be written; NULL: nothing is */
};

/* ---- what has been replaced ---------------------------------------------------------------------------------------- */

static size_t size_of(const struct berm_kept *kept)
{
	return strlen(kept->text) + strlen(kept->key) + strlen(kept->name) + 200;
}

void berm_replaced_note(struct berm_replaced *r, const struct berm_kept *kept)
{
	if (r->is_incomplete || !kept->text)
		return;
	r->bytes += size_of(kept);
	if (r->bytes > BERM_UNDO_MAX_BYTES ||
	    (r->count == r->room && berm_array_grow(&r->item, &r->room, sizeof(*r->item))) ||
	    berm_kept_copy(kept, &r->item[r->count])) {
		r->is_incomplete = true;
		return;
	}
	r->count++;
}

void berm_replaced_clear(struct berm_replaced *replaced)
{
	for (size_t i = 0; i < replaced->count; i++)
		berm_kept_clear(&replaced->item[i]);
	free(replaced->item);
	*replaced = (struct berm_replaced){ 0 };
}

static const char *title_of(const struct berm_kept *kept, char out[400])
{
	berm_policy_title(kept->kind, kept->ns, kept->name, out, 400);
	return out;
}

struct titled {
	char *title;
	const struct berm_kept *kept;
};

static int by_title(const void *a, const void *b)
{
	const struct titled *x = a, *y = b;
	int rc = strcmp(x->title, y->title);

	return rc ? rc : (x->kept > y->kept) - (x->kept < y->kept); /* the first that came first */
}

static void free_titled(struct titled *list, size_t count)
{
	for (size_t i = 0; list && i < count; i++)
		free(list[i].title);
	free(list);
}

/* Sorted; NULL: no memory. */
static struct titled *titles_of(const struct berm_replaced *r)
{
	struct titled *list = calloc(r->count + 1, sizeof(*list));
	char title[400];

	for (size_t i = 0; list && i < r->count; i++) {
		list[i] = (struct titled){ strdup(title_of(&r->item[i], title)), &r->item[i] };
		if (!list[i].title) {
			free_titled(list, i);
			return NULL;
		}
	}
	if (list && r->count)
		qsort(list, r->count, sizeof(*list), by_title);
	return list;
}

static const struct berm_kept *find_titled(const struct titled *list, size_t count,
					   const char *title)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(list[mid].title, title) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < count && !strcmp(list[low].title, title) ? list[low].kept : NULL;
}

/* ---- writing ------------------------------------------------------------------------------------------------------- */

/* "7-2026-11-22T08:00:00Z.json": generations of a node that was started anew count from 1 again. */
static char *name_of(const cJSON *entry)
{
	const cJSON *generation = cJSON_GetObjectItemCaseSensitive(entry, "generation");
	const char *time = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "time"));
	char *name;

	if (!cJSON_IsNumber(generation) || !time || strchr(time, '/') ||
	    asprintf(&name, "%.0f-%s.json", generation->valuedouble, time) < 0)
		return NULL;
	return name;
}

static cJSON *step_json(const struct berm_change *change, const struct berm_kept *was)
{
	cJSON *step = was && change->had_before ? berm_kept_json(was) : cJSON_CreateObject();

	if (step && cJSON_AddStringToObject(step, "policy", change->title) &&
	    cJSON_AddBoolToObject(step, "absent", !change->had_before))
		return step;
	cJSON_Delete(step);
	return NULL;
}

static char *print(const struct berm_changes *changes, const struct berm_replaced *replaced)
{
	struct titled *titled = titles_of(replaced);
	cJSON *root = cJSON_CreateObject();
	cJSON *list = titled ? cJSON_AddArrayToObject(root, "steps") : NULL;
	bool ok = list != NULL;
	char *text;

	for (size_t i = 0; ok && i < changes->count; i++) {
		const struct berm_change *change = &changes->item[i];
		cJSON *step =
			step_json(change, find_titled(titled, replaced->count, change->title));

		ok = cJSON_AddItemToArray(list, step);
		if (!ok)
			cJSON_Delete(step);
	}
	text = ok ? cJSON_PrintUnformatted(root) : NULL;
	cJSON_Delete(root);
	free_titled(titled, replaced->count);
	return text;
}

void berm_undo_add(struct berm_undo *undo, const struct berm_history *history,
		   const struct berm_changes *changes, struct berm_replaced *replaced)
{
	struct berm_err err = { 0 };

	if (berm_undo_save(undo, history, &err)) /* two at once: the older goes first */
		berm_log(BERM_LOG_ERROR, "documents-not-saved", "error=\"%s\"", err.msg);
	free(undo->text);
	free(undo->name);
	undo->name = name_of(berm_history_entry(history, 0));
	undo->text = changes->is_incomplete || replaced->is_incomplete ? NULL
								       : print(changes, replaced);
	berm_replaced_clear(replaced);
}

static bool is_in_history(const struct berm_history *history, const char *file)
{
	const cJSON *entry;

	for (size_t i = 0; (entry = berm_history_entry(history, i)); i++) {
		auto_free char *name = name_of(entry);

		if (name && !strcmp(name, file))
			return true;
	}
	return false;
}

/* What is left costs room, and nobody finds it. */
static void prune(const struct berm_undo *undo, const struct berm_history *history)
{
	DIR *dir = opendir(undo->dir);
	const struct dirent *entry;
	char path[PATH_MAX];

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || is_in_history(history, entry->d_name))
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", undo->dir, entry->d_name) <
		    (int)sizeof(path))
			(void)unlink(path);
	}
	if (dir)
		closedir(dir);
}

int berm_undo_save(struct berm_undo *undo, const struct berm_history *history, struct berm_err *err)
{
	char path[PATH_MAX];
	int rc;

	if (!undo->name || !undo->text)
		return 0;
	if (snprintf(path, sizeof(path), "%s/%s", undo->dir, undo->name) >= (int)sizeof(path))
		return berm_fail(err, -ENAMETOOLONG, "keep what documents were");
	rc = berm_mkdirs(undo->dir, 0700, err);
	rc = rc ? rc : berm_file_write(path, undo->text, strlen(undo->text), 0600, err);
	if (rc)
		return berm_wrap(err, rc, "what documents were before is not on disk");
	free(TAKE_PTR(undo->text));
	prune(undo, history);
	return 0;
}

int berm_undo_open(const char *dir, struct berm_undo **ret, struct berm_err *err)
{
	struct berm_undo *undo = calloc(1, sizeof(*undo));

	if (undo)
		undo->dir = strdup(dir);
	if (!undo || !undo->dir) {
		free(undo);
		return berm_fail(err, -ENOMEM, "open what documents were");
	}
	*ret = undo;
	return 0;
}

void berm_undo_close(struct berm_undo *undo)
{
	if (!undo)
		return;
	free(undo->text);
	free(undo->name);
	free(undo->dir);
	free(undo);
}

/* ---- finding ------------------------------------------------------------------------------------------------------- */

void berm_undo_steps_clear(struct berm_undo_steps *steps)
{
	for (size_t i = 0; i < steps->count; i++)
		berm_kept_clear(&steps->item[i].was);
	free(steps->item);
	*steps = (struct berm_undo_steps){ 0 };
}

/* "SegmentationPolicy shop/db", "ClusterNetworkPolicy guard" */
static bool read_title(const char *title, struct berm_kept *out)
{
	const char *space = strchr(title, ' ');
	const char *slash = space ? strchr(space, '/') : NULL;
	auto_free char *kind = space ? strndup(title, (size_t)(space - title)) : NULL;

	if (!kind || !berm_policy_kind_of(kind, &out->kind))
		return false;
	out->ns = slash ? strndup(space + 1, (size_t)(slash - space - 1)) : strdup("");
	out->name = strdup(slash ? slash + 1 : space + 1);
	return out->ns && out->name;
}

static bool read_step(const cJSON *object, struct berm_undo_step *out)
{
	const char *title =
		cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "policy"));

	*out = (struct berm_undo_step){ 0 };
	if (cJSON_GetObjectItemCaseSensitive(object, "text"))
		return berm_kept_of_json(object, &out->was);
	out->was_absent = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "absent"));
	out->is_unknown = !out->was_absent;
	return title && read_title(title, &out->was);
}

static bool is_same(const struct berm_kept *a, const struct berm_kept *b)
{
	return a->kind == b->kind && !strcmp(a->ns, b->ns) && !strcmp(a->name, b->name);
}

/* An older step counts, but one that knows nothing. */
static int put_step(struct berm_undo_steps *steps, struct berm_undo_step *step)
{
	struct berm_undo_step *grown;

	for (size_t i = 0; i < steps->count; i++) {
		if (!is_same(&steps->item[i].was, &step->was))
			continue;
		if (!step->is_unknown) {
			berm_kept_clear(&steps->item[i].was);
			steps->item[i] = *step;
		} else {
			berm_kept_clear(&step->was);
		}
		return 0;
	}
	grown = reallocarray(steps->item, steps->count + 1, sizeof(*grown));
	if (!grown) {
		berm_kept_clear(&step->was);
		return -ENOMEM;
	}
	steps->item = grown;
	grown[steps->count++] = *step;
	return 0;
}

static bool is_wanted(const struct berm_kept *kept, const char *policy)
{
	size_t len = strlen(kept->ns);

	if (!policy)
		return true;
	if (!len)
		return !strcmp(policy, kept->name);
	return !strncmp(policy, kept->ns, len) && policy[len] == '/' &&
	       !strcmp(policy + len + 1, kept->name);
}

static int take_steps(const cJSON *root, const char *policy, struct berm_undo_steps *steps)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "steps"), *object;
	int rc = cJSON_IsArray(list) ? 0 : -EBADMSG;

	cJSON_ArrayForEach(object, list) {
		struct berm_undo_step step;

		if (!read_step(object, &step))
			rc = -EBADMSG;
		if (rc || !is_wanted(&step.was, policy))
			berm_kept_clear(&step.was);
		else
			rc = put_step(steps, &step);
	}
	return rc;
}

static int read_entry(const struct berm_undo *undo, const cJSON *entry, const char *policy,
		      struct berm_undo_steps *steps, struct berm_err *err)
{
	auto_free char *name = name_of(entry), *path = NULL, *text = NULL;
	struct berm_err why = { 0 };
	size_t size = 0;
	cJSON *root;
	int rc;

	if (!name || asprintf(&path, "%s/%s", undo->dir, name) < 0) {
		path = NULL;
		return berm_fail(err, -ENOMEM, "read what documents were");
	}
	rc = berm_file_read(path, 4UL * BERM_UNDO_MAX_BYTES, &text, &size, &why);
	if (rc)
		return berm_refuse(
			err, -ENODATA,
			"what the documents were before generation %.0f is not kept (%s): this node cannot go back beyond it",
			cJSON_GetObjectItemCaseSensitive(entry, "generation")->valuedouble,
			why.msg);
	root = cJSON_ParseWithLength(text, size);
	rc = take_steps(root, policy, steps);
	cJSON_Delete(root);
	return rc ? berm_refuse(err, rc == -ENOMEM ? rc : -ENODATA, "%s is damaged", path) : 0;
}

static double generation_of(const cJSON *entry)
{
	const cJSON *generation = cJSON_GetObjectItemCaseSensitive(entry, "generation");

	return cJSON_IsNumber(generation) ? generation->valuedouble : 0;
}

/* How many entries, from the newest on, are to be undone; 0: there is no such generation, or it is in force. */
static size_t count_entries(const struct berm_history *history, double generation)
{
	const cJSON *entry;

	for (size_t i = 1; (entry = berm_history_entry(history, i)); i++)
		if (generation < 0 || generation_of(entry) == generation)
			return i;
	return 0;
}

static int find_policy(const struct berm_undo *undo, const struct berm_history *history,
		       const char *policy, struct berm_undo_steps *steps, struct berm_err *err)
{
	int rc = 0;

	for (size_t i = 0; !rc && !steps->count; i++) {
		if (!berm_history_entry(history, i))
			return berm_refuse(
				err, -ENOENT,
				"no policy %s has changed with the last %zu generations; 'bermctl history' shows those that have",
				policy, i);
		rc = read_entry(undo, berm_history_entry(history, i), policy, steps, err);
	}
	return rc;
}

int berm_undo_find(struct berm_undo *undo, const struct berm_history *history,
		   const struct berm_undo_wish *wish, struct berm_undo_steps *ret,
		   double *ret_generation, struct berm_err *err)
{
	struct berm_undo_steps steps = { 0 };
	size_t count = 0;
	int rc = berm_undo_save(undo, history, err);

	if (!rc && wish->policy) {
		rc = find_policy(undo, history, wish->policy, &steps, err);
	} else if (!rc) {
		count = count_entries(history, wish->generation);
		if (!count)
			rc = berm_refuse(
				err, -ENOENT,
				"no such generation to go back to; 'bermctl history' shows those that there are, the first one is in force");
	}
	for (size_t i = 0; !rc && i < count; i++)
		rc = read_entry(undo, berm_history_entry(history, i), NULL, &steps, err);
	if (rc) {
		berm_undo_steps_clear(&steps);
		return rc;
	}
	*ret = steps;
	*ret_generation = generation_of(berm_history_entry(history, count));
	return 0;
}
