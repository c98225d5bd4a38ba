/* SPDX-License-Identifier: Apache-2.0 */
/* lastgood_file.c - writes and reads the files of the last-good store. Knows no policy. */
#include "lastgood_file.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "digest.h"
#include "fsutil.h"

#define SUFFIX ".lastgood"
#define MAX_FILE                                                                                   \
	(256u << 20) /* every control character of 8 MiB takes six bytes in JSON, and then some */

/* ---- in memory ------------------------------------------------------------------------------------ */

static int compare_kept(const void *a, const void *b)
{
	const struct berm_kept *x = a, *y = b;
	int rc = (int)x->kind - (int)y->kind;

	rc = rc ? rc : strcmp(x->ns, y->ns);
	return rc ? rc : strcmp(x->name, y->name);
}

void berm_kept_source_sort(struct berm_kept_source *kept)
{
	if (kept->count > 1)
		qsort(kept->item, kept->count, sizeof(*kept->item), compare_kept);
}

const struct berm_kept *berm_kept_source_find(const struct berm_kept_source *kept,
					      enum berm_policy_kind kind, const char *ns,
					      const char *name)
{
	struct berm_kept want = { .kind = kind, .ns = (char *)ns, .name = (char *)name };

	return kept->count ? bsearch(&want, kept->item, kept->count, sizeof(want), compare_kept)
			   : NULL;
}

static bool is_same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool berm_kept_source_is_same(const struct berm_kept_source *a, const struct berm_kept_source *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const struct berm_kept *x = &a->item[i], *y = &b->item[i];

		if (compare_kept(x, y) || !is_same_text(x->key, y->key) ||
		    !is_same_text(x->carrier, y->carrier) || !is_same_text(x->text, y->text))
			return false;
	}
	return true;
}

void berm_kept_clear(struct berm_kept *kept)
{
	free(kept->key);
	free(kept->carrier);
	free(kept->ns);
	free(kept->name);
	free(kept->text);
}

static bool copy_text(const char *text, char **out)
{
	*out = text ? strdup(text) : NULL;
	return !text || *out;
}

int berm_kept_copy(const struct berm_kept *kept, struct berm_kept *out)
{
	struct berm_kept copy = { .kind = kept->kind, .line = kept->line };
	bool ok = copy_text(kept->key, &copy.key);

	ok &= copy_text(kept->carrier, &copy.carrier);
	ok &= copy_text(kept->ns, &copy.ns);
	ok &= copy_text(kept->name, &copy.name);
	ok &= copy_text(kept->text, &copy.text);
	if (!ok) {
		berm_kept_clear(&copy);
		return -ENOMEM;
	}
	*out = copy;
	return 0;
}

void berm_kept_source_clear(struct berm_kept_source *kept)
{
	for (size_t i = 0; i < kept->count; i++)
		berm_kept_clear(&kept->item[i]);
	free(kept->item);
	free(kept->source);
	*kept = (struct berm_kept_source){ 0 };
}

/* ---- writing -------------------------------------------------------------------------------------- */

static void deletep(cJSON **json)
{
	cJSON_Delete(*json);
}

#define auto_json __attribute__((cleanup(deletep)))

/* A source may be any path: its digest is the file's name. */
static int path_of(const char *dir, const char *source, char out[PATH_MAX], struct berm_err *err)
{
	struct berm_digest d = berm_digest_of(source, strlen(source));
	int n = snprintf(out, PATH_MAX, "%s/%016" PRIx64 "%016" PRIx64 SUFFIX, dir, d.w[0], d.w[1]);

	return n < PATH_MAX ? 0
			    : berm_fail(err, -ENAMETOOLONG,
					"keep the last good documents below %.100s...", dir);
}

static bool add_text(cJSON *object, const char *name, const char *text)
{
	return !text || cJSON_AddStringToObject(object, name, text);
}

cJSON *berm_kept_json(const struct berm_kept *kept)
{
	cJSON *o = cJSON_CreateObject();

	if (o && add_text(o, "kind", berm_policy_kind_name(kept->kind)) &&
	    add_text(o, "namespace", kept->ns) && add_text(o, "name", kept->name) &&
	    add_text(o, "key", kept->key) && add_text(o, "carrier", kept->carrier) &&
	    cJSON_AddNumberToObject(o, "line", kept->line) && add_text(o, "text", kept->text))
		return o;
	cJSON_Delete(o);
	return NULL;
}

static bool add_document(cJSON *list, const struct berm_kept *kept)
{
	cJSON *o = berm_kept_json(kept);

	if (cJSON_AddItemToArray(list, o)) /* takes o; only a NULL fails */
		return true;
	cJSON_Delete(o);
	return false;
}

static char *print(const struct berm_kept_source *kept)
{
	auto_json cJSON *root = cJSON_CreateObject();
	cJSON *list = root ? cJSON_AddArrayToObject(root, "documents") : NULL;

	if (!list || !add_text(root, "source", kept->source))
		return NULL;
	for (size_t i = 0; i < kept->count; i++)
		if (!add_document(list, &kept->item[i]))
			return NULL;
	return cJSON_PrintUnformatted(root);
}

int berm_kept_source_write(const char *dir, const struct berm_kept_source *kept,
			   struct berm_err *err)
{
	auto_free char *body = print(kept), *all = NULL;
	struct berm_digest d;
	char path[PATH_MAX];
	int rc, n = -1;

	rc = path_of(dir, kept->source, path, err);
	if (rc)
		return rc;
	if (body) {
		d = berm_digest_of(body, strlen(body));
		n = asprintf(&all, "berm-lastgood 1 %zu %016" PRIx64 "%016" PRIx64 "\n%s",
			     strlen(body), d.w[0], d.w[1], body);
	}
	if (n < 0) {
		all = NULL;
		return berm_fail(err, -ENOMEM, "keep the last good documents of %s", kept->source);
	}
	rc = berm_mkdirs(dir, 0700, err);
	rc = rc ? rc : berm_file_write(path, all, (size_t)n, 0600, err);
	return rc ? berm_wrap(err, rc, "the last good documents of %s are not on disk",
			      kept->source)
		  : 0;
}

int berm_kept_source_delete(const char *dir, const char *source, struct berm_err *err)
{
	char path[PATH_MAX];
	int rc = path_of(dir, source, path, err);

	return rc ? rc : berm_file_delete(path, err);
}

/* ---- reading -------------------------------------------------------------------------------------- */

/* NULL if absent; *ok is cleared if it is no text, or no memory. */
static char *take_text(const cJSON *object, const char *name, bool *ok)
{
	const cJSON *node = cJSON_GetObjectItemCaseSensitive(object, name);
	char *copy;

	if (!node)
		return NULL;
	copy = cJSON_IsString(node) ? strdup(node->valuestring) : NULL;
	*ok &= copy != NULL;
	return copy;
}

bool berm_kept_of_json(const cJSON *object, struct berm_kept *out)
{
	const cJSON *line = cJSON_GetObjectItemCaseSensitive(object, "line");
	auto_free char *kind = NULL;
	bool ok = true;

	kind = take_text(object, "kind", &ok);
	out->ns = take_text(object, "namespace", &ok);
	out->name = take_text(object, "name", &ok);
	out->key = take_text(object, "key", &ok);
	out->carrier = take_text(object, "carrier", &ok);
	out->text = take_text(object, "text", &ok);
	out->line = cJSON_IsNumber(line) ? line->valueint : 0;
	if (!ok || !kind || !out->ns || !out->name || !out->key || !out->text)
		return false;
	return berm_policy_kind_of(kind, &out->kind);
}

static bool read_body(const char *body, size_t size, struct berm_kept_source *out)
{
	auto_json cJSON *root = cJSON_ParseWithLength(body, size);
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "documents"), *o;
	bool ok = cJSON_IsArray(list);

	out->source = take_text(root, "source", &ok);
	if (!ok || !out->source)
		return false;
	out->item = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*out->item));
	if (!out->item)
		return false;
	cJSON_ArrayForEach(o, list)
		if (!berm_kept_of_json(o, &out->item[out->count++]))
			return false;
	berm_kept_source_sort(out);
	return true;
}

/* The first line says how many bytes follow and what they are. */
static int check(const char *path, const char *text, size_t size, size_t *ret_start,
		 struct berm_err *err)
{
	const char *nl = memchr(text, '\n', size < 128 ? size : 128);
	size_t start = nl ? (size_t)(nl - text) + 1 : 0, body = 0;
	uint64_t w[2] = { 0, 0 };
	struct berm_digest d;

	if (!nl ||
	    sscanf(text, "berm-lastgood 1 %zu %16" SCNx64 "%16" SCNx64, &body, &w[0], &w[1]) != 3)
		return berm_refuse(err, -EBADMSG,
				   "%s is not a file of last good documents, or of another version",
				   path);
	if (body != size - start)
		return berm_refuse(err, -EBADMSG, "%s is truncated: it has %zu of %zu bytes", path,
				   size - start, body);
	d = berm_digest_of(text + start, body);
	if (d.w[0] != w[0] || d.w[1] != w[1])
		return berm_refuse(err, -EBADMSG, "%s is damaged: its checksum is wrong", path);
	*ret_start = start;
	return 0;
}

static int read_one(const char *path, struct berm_kept_source *out, struct berm_err *err)
{
	auto_free char *text = NULL;
	size_t size, start = 0;
	int rc = berm_file_read(path, MAX_FILE, &text, &size, err);

	rc = rc ? rc : check(path, text, size, &start, err);
	if (rc)
		return rc;
	if (!read_body(text + start, size - start, out))
		return berm_refuse(err, -EBADMSG, "%s has not the fields it should have", path);
	return 0;
}

/* Only what is in the file makes it damaged, not that we cannot read it now. */
static bool is_damage(int rc)
{
	return rc == -EBADMSG || rc == -EFBIG;
}

static int report(const char *path, const struct berm_err *why, struct berm_problems *problems)
{
	const char *hint = is_damage(why->code)
				   ? "it is set aside; what the documents say now is kept anew"
				   : "it stays; restart the agent when it can be read";

	return berm_problems_add(problems, &(struct berm_problem){
						   .severity = BERM_WARNING,
						   .source = (char *)path,
						   .message = (char *)why->msg,
						   .hint = (char *)hint,
					   });
}

static int set_aside(const char *path)
{
	char aside[PATH_MAX];

	if (snprintf(aside, sizeof(aside), "%s.damaged", path) >= (int)sizeof(aside))
		return -ENAMETOOLONG;
	return rename(path, aside) ? -errno : 0;
}

static int take_file(const char *path, int (*take)(void *ctx, struct berm_kept_source *kept),
		     void *ctx, struct berm_problems *problems)
{
	struct berm_kept_source kept = { 0 };
	struct berm_err why = { 0 };
	int rc = read_one(path, &kept, &why);

	if (rc) {
		if (is_damage(rc))
			(void)set_aside(
				path); /* the problem is told; the next start may tell it again */
		rc = report(path, &why, problems);
	} else {
		rc = take(ctx, &kept);
	}
	berm_kept_source_clear(&kept);
	return rc;
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), n = strlen(end);

	return len > n && !strcmp(text + len - n, end);
}

static void dir_closep(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

int berm_kept_sources_read(const char *dir, int (*take)(void *ctx, struct berm_kept_source *kept),
			   void *ctx, struct berm_problems *problems, struct berm_err *err)
{
	__attribute__((cleanup(dir_closep))) DIR *d = NULL;
	const struct dirent *entry;
	char path[PATH_MAX];
	int rc = berm_mkdirs(dir, 0700, err);

	if (rc)
		return rc;
	d = opendir(dir);
	if (!d)
		return berm_fail(err, -errno, "open %s", dir);
	while ((entry = readdir(d))) {
		if (snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name) >= (int)sizeof(path))
			continue;
		if (entry->d_name[0] == '.' && strstr(entry->d_name, SUFFIX ".")) {
			(void)unlink(path); /* a writer was killed half-way; it only costs room */
			continue;
		}
		if (!ends_with(entry->d_name, SUFFIX))
			continue;
		rc = take_file(path, take, ctx, problems);
		if (rc)
			return berm_fail(err, rc, "read the last good documents in %s", dir);
	}
	return 0;
}
