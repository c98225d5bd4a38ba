/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conflist.c - edits lists of CNI plugins as text. cJSON says whether it is JSON; a scanner, which relies on that,
 * says where things stand. Printing cJSON's tree instead would lose big numbers and the writer's layout.
 */
#include "conflist.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

struct span {
	const char *start, *end;
};

/* ---- scanning text that is known to be JSON ------------------------------------------------------------------ */

static const char *skip_blank(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
		p++;
	return p;
}

/* p is at the opening quote; returns what follows the closing one. */
static const char *skip_string(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		if (*p == '\\')
			p++;
	return p < end ? p + 1 : end;
}

static const char *skip_nested(const char *p, const char *end)
{
	int depth = 0;

	while (p < end) {
		if (*p == '"') {
			p = skip_string(p, end);
			continue;
		}
		depth += (*p == '{' || *p == '[') - (*p == '}' || *p == ']');
		p++;
		if (!depth)
			break;
	}
	return p;
}

static const char *skip_value(const char *p, const char *end)
{
	if (p < end && *p == '"')
		return skip_string(p, end);
	if (p < end && (*p == '{' || *p == '['))
		return skip_nested(p, end);
	while (p < end && !strchr(",]} \t\r\n", *p))
		p++;
	return p;
}

/* The next value of an array or object, or the key if has_key. *p starts behind the opening bracket. */
static bool next_item(const char **p, const char *end, struct span *key, struct span *value)
{
	const char *at = skip_blank(*p, end);

	if (at < end && *at == ',')
		at = skip_blank(at + 1, end);
	if (at >= end || *at == ']' || *at == '}')
		return false;
	if (key) {
		key->start = at;
		key->end = at = skip_value(at, end);
		at = skip_blank(at, end);
		if (at >= end || *at != ':')
			return false;
		at = skip_blank(at + 1, end);
	}
	value->start = at;
	value->end = *p = skip_value(at, end);
	return value->end > value->start;
}

/* The last member of that name counts, as it does for the runtimes' parser. */
static bool member_find(const char *text, const char *end, const char *name, struct span *ret)
{
	const char *p = skip_blank(text, end);
	struct span key, value;
	size_t len = strlen(name);
	bool has_it = false;

	if (p >= end || *p != '{')
		return false;
	for (p++; next_item(&p, end, &key, &value);)
		if ((size_t)(key.end - key.start) == len + 2 && !memcmp(key.start + 1, name, len)) {
			*ret = value;
			has_it = true;
		}
	return has_it;
}

/* ---- what it says -------------------------------------------------------------------------------------------------- */

static cJSON *parse_span(const struct span *span)
{
	return cJSON_ParseWithLength(span->start, (size_t)(span->end - span->start));
}

/* A text without escapes; false: no such text. */
static bool string_read(const struct span *span, char *out, size_t room)
{
	size_t len = (size_t)(span->end - span->start);

	if (len < 2 || *span->start != '"' || len - 2 >= room || memchr(span->start, '\\', len))
		return false;
	memcpy(out, span->start + 1, len - 2);
	out[len - 2] = '\0';
	return true;
}

/* Go's parser, which the runtimes have, takes neither a byte order mark nor anything behind the value. */
static int json_check(const char *text, size_t size, struct berm_err *err)
{
	const char *end = text + size, *stop = NULL, *start = skip_blank(text, end);
	cJSON *json;
	bool is_object;

	if (start == end)
		return berm_refuse(err, -EINVAL, "it is empty");
	if (*start != '{' || memchr(text, '\0', size))
		return berm_refuse(err, -EINVAL, "it is not a JSON object");
	json = cJSON_ParseWithLengthOpts(text, size, &stop, 0);
	is_object = cJSON_IsObject(json);
	cJSON_Delete(json);
	if (!is_object || skip_blank(stop, end) != end)
		return berm_refuse(err, -EINVAL, "it is not JSON, or only a part of it");
	return 0;
}

static bool is_ours(const struct span *plugin)
{
	struct span type;
	char name[sizeof(BERM_CNI_TYPE)];

	return member_find(plugin->start, plugin->end, "type", &type) &&
	       string_read(&type, name, sizeof(name)) && !strcmp(name, BERM_CNI_TYPE);
}

static int type_check(const struct span *plugin, struct berm_err *err)
{
	struct span type;

	if (*plugin->start != '{')
		return berm_refuse(err, -EINVAL, "a plugin in it is not an object");
	if (!member_find(plugin->start, plugin->end, "type", &type) || *type.start != '"' ||
	    type.end - type.start < 3)
		return berm_refuse(err, -EINVAL, "a plugin in it has no type");
	return 0;
}

static int plugins_check(const char *text, const char *end, struct berm_err *err)
{
	struct span list, plugin;
	const char *p;
	int rc, count = 0;

	if (!member_find(text, end, "plugins", &list) || *list.start != '[')
		return berm_refuse(err, -EINVAL, "it has no list 'plugins'");
	for (p = list.start + 1; next_item(&p, list.end, NULL, &plugin); count++) {
		rc = type_check(&plugin, err);
		if (rc)
			return rc;
	}
	return count ? 0 : berm_refuse(err, -EINVAL, "its list 'plugins' is empty");
}

int berm_conflist_check(const char *text, size_t size, bool is_list, struct berm_err *err)
{
	const struct span whole = { skip_blank(text, text + size), text + size };
	struct span name;
	int rc = json_check(text, size, err);

	if (rc)
		return rc;
	if (!member_find(text, text + size, "name", &name) || *name.start != '"' ||
	    name.end - name.start < 3)
		return berm_refuse(err, -EINVAL, "it has no name");
	return is_list ? plugins_check(text, text + size, err) : type_check(&whole, err);
}

bool berm_conflist_has(const char *text, size_t size)
{
	struct span list, plugin;
	const char *p;

	if (!member_find(text, text + size, "plugins", &list))
		return false;
	for (p = list.start + 1; next_item(&p, list.end, NULL, &plugin);)
		if (is_ours(&plugin))
			return true;
	return false;
}

/* ---- versions ------------------------------------------------------------------------------------------------------- */

static int version_check(const char *text, size_t size, struct berm_err *err)
{
	static const char *const spoken[] = { "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0" };
	struct span version;
	char word[32] = "";

	if (!member_find(text, text + size, "cniVersion", &version))
		return berm_refuse(err, -EPROTO,
				   "it has no cniVersion, so it cannot chain plugins; set 0.3.1 or newer");
	(void)string_read(&version, word, sizeof(word)); /* "" is none of them */
	for (size_t i = 0; i < ARRAY_SIZE(spoken); i++)
		if (!strcmp(word, spoken[i]))
			return 0;
	return berm_refuse(err, -EPROTO,
			   "its cniVersion \"%s\" is none from 0.3.0 to 1.1.0, which " BERM_CNI_TYPE
			   " speaks",
			   word);
}

/* ---- editing -------------------------------------------------------------------------------------------------------- */

/* The text with [cut.start, cut.end) replaced. */
static int splice(const char *text, size_t size, const struct span *cut, const char *by, char **ret,
		  struct berm_err *err)
{
	size_t head = (size_t)(cut->start - text), tail = (size_t)(text + size - cut->end);
	size_t len = strlen(by);
	char *out = malloc(head + len + tail + 1);

	if (!out)
		return berm_fail(err, -ENOMEM, "edit a network configuration");
	memcpy(out, text, head);
	memcpy(out + head, by, len);
	memcpy(out + head + len, cut->end, tail);
	out[head + len + tail] = '\0';
	*ret = out;
	return 0;
}

/* What stands between two plugins of this list: a comma, and what is in front of the last one on its line. */
static void separator_read(const char *text, const char *element, char *out, size_t room)
{
	const char *p = element;

	while (p > text && (p[-1] == ' ' || p[-1] == '\t'))
		p--;
	if (p > text && p[-1] == '\n' && (size_t)(element - p) + 3 < room)
		snprintf(out, room, ",\n%.*s", (int)(element - p), p);
	else
		snprintf(out, room, ", ");
}

static bool is_same(const struct span *plugin, const char *entry)
{
	cJSON *a = parse_span(plugin), *b = cJSON_Parse(entry);
	auto_free char *x = cJSON_PrintUnformatted(a), *y = cJSON_PrintUnformatted(b);

	cJSON_Delete(a);
	cJSON_Delete(b);
	return x && y && !strcmp(x, y);
}

/* Cuts one plugin and one of the commas around it. */
static int remove_one(const char *text, size_t size, char **ret, struct berm_err *err)
{
	struct span list, plugin, before = { 0 }, cut = { 0 };
	const char *p;

	*ret = NULL;
	if (!member_find(text, text + size, "plugins", &list))
		return 0;
	for (p = list.start + 1; next_item(&p, list.end, NULL, &plugin); before = plugin) {
		if (cut.end) { /* ours was the first: up to the next one */
			cut.end = plugin.start;
			return splice(text, size, &cut, "", ret, err);
		}
		if (!is_ours(&plugin))
			continue;
		cut = plugin;
		if (!before.end)
			continue;
		cut.start = before.end;
		return splice(text, size, &cut, "", ret, err);
	}
	if (cut.end)
		return berm_refuse(err, -EINVAL, "no plugin but " BERM_CNI_TYPE " is in it");
	return 0;
}

int berm_conflist_remove(const char *text, size_t size, char **ret, struct berm_err *err)
{
	auto_free char *now = NULL;
	char *next;
	int rc;

	for (;;) {
		rc = remove_one(now ? now : text, now ? strlen(now) : size, &next, err);
		if (rc || !next)
			break;
		free(now);
		now = next;
	}
	if (rc)
		return rc;
	*ret = TAKE_PTR(now);
	return 0;
}

/* Our entries in the list, and the last plugin of any kind. */
static int count_ours(const struct span *list, struct span *ret_ours, struct span *ret_last)
{
	struct span plugin;
	const char *p;
	int count = 0;

	for (p = list->start + 1; next_item(&p, list->end, NULL, &plugin); *ret_last = plugin)
		if (is_ours(&plugin)) {
			*ret_ours = plugin;
			count++;
		}
	return count;
}

static int append(const char *text, size_t size, const struct span *last, const char *entry,
		  char **ret, struct berm_err *err)
{
	const struct span end = { last->end, last->end };
	auto_free char *added = NULL;
	char separator[64];

	separator_read(text, last->start, separator, sizeof(separator));
	if (asprintf(&added, "%s%s", separator, entry) < 0) {
		added = NULL;
		return berm_fail(err, -ENOMEM, "edit a network configuration");
	}
	return splice(text, size, &end, added, ret, err);
}

int berm_conflist_insert(const char *text, size_t size, const char *entry, char **ret,
			 struct berm_err *err)
{
	auto_free char *bare = NULL;
	struct span list, ours = { 0 }, last = { 0 };
	int count, rc = version_check(text, size, err);

	if (rc)
		return rc;
	if (!member_find(text, text + size, "plugins", &list))
		return berm_refuse(err, -EINVAL, "it has no list 'plugins'");
	count = count_ours(&list, &ours, &last);
	if (!last.end || (count == 1 && ours.start == skip_blank(list.start + 1, list.end)))
		return berm_refuse(
			err, -EINVAL,
			"no plugin that makes the pod's interface stands before " BERM_CNI_TYPE);
	if (count == 1 && is_same(&ours, entry)) {
		*ret = NULL;
		return 0;
	}
	if (count == 1)
		return splice(text, size, &ours, entry, ret, err);
	if (!count)
		return append(text, size, &last, entry, ret, err);
	rc = berm_conflist_remove(text, size, &bare, err); /* several: one is enough */
	return rc ? rc : berm_conflist_insert(bare, strlen(bare), entry, ret, err);
}

int berm_conflist_wrap(const char *text, size_t size, char **ret, struct berm_err *err)
{
	const char *start = skip_blank(text, text + size), *end = text + size;
	struct span name, version;
	char word[32] = "";
	char *out = NULL;
	int rc = version_check(text, size, err);

	if (rc)
		return rc;
	if (!member_find(text, end, "name", &name) ||
	    !member_find(text, end, "cniVersion", &version))
		return berm_refuse(err, -EINVAL, "it has no name");
	(void)string_read(&version, word, sizeof(word)); /* checked above */
	while (end > start && skip_blank(end - 1, end) == end)
		end--;
	if (asprintf(&out,
		     "{\n  \"cniVersion\": \"%s\",\n  \"name\": %.*s,\n  \"plugins\": [\n    %.*s\n  ]\n}\n",
		     strcmp(word, "0.3.0") ? word : "0.3.1", (int)(name.end - name.start),
		     name.start, (int)(end - start), start) < 0)
		return berm_fail(err, -ENOMEM, "edit a network configuration");
	*ret = out;
	return 0;
}

/* ---- our entry ------------------------------------------------------------------------------------------------------ */

int berm_conflist_entry(const char *settings, char **ret, struct berm_err *err)
{
	cJSON *json = cJSON_Parse(settings && *settings ? settings : "{}"), *item;
	cJSON *entry = cJSON_CreateObject();
	int rc = 0;

	if (!cJSON_IsObject(json))
		rc = berm_refuse(err, -EINVAL,
				 "settings of the plugin: want a JSON object like {\"waitForPolicy\": \"2s\"}, not '%.100s'",
				 settings ? settings : "");
	else if (cJSON_GetObjectItemCaseSensitive(json, "type"))
		rc = berm_refuse(err, -EINVAL, "settings of the plugin: leave 'type' to us");
	if (!rc && !cJSON_AddStringToObject(entry, "type", BERM_CNI_TYPE))
		rc = berm_fail(err, -ENOMEM, "settings of the plugin");
	while (!rc && (item = json->child)) {
		(void)cJSON_DetachItemViaPointer(json, item);
		cJSON_AddItemToObject(entry, item->string, item);
	}
	if (!rc && !(*ret = cJSON_PrintUnformatted(entry)))
		rc = berm_fail(err, -ENOMEM, "settings of the plugin");
	cJSON_Delete(json);
	cJSON_Delete(entry);
	return rc;
}
