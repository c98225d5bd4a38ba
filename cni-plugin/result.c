/* SPDX-License-Identifier: Apache-2.0 */
/* result.c - raw slices of JSON, results, error objects. Changes no byte of what another plugin said. */
#include "result.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "maps.h"

/* ---- a scanner for one level of an object ------------------------------------------------------------- */

struct scan {
	const char *at, *end;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static char peek(struct scan *s) /* next byte after white space; 0 at the end */
{
	while (s->at < s->end && is_space(*s->at))
		s->at++;
	return s->at < s->end ? *s->at : '\0';
}

static bool eat(struct scan *s, char c)
{
	if (peek(s) != c)
		return false;
	s->at++;
	return true;
}

/* From the opening quote to behind the closing one. */
static bool skip_string(struct scan *s)
{
	for (s->at++; s->at < s->end; s->at++) {
		if (*s->at == '\\')
			s->at++;
		else if (*s->at == '"')
			return s->at++, true;
	}
	return false;
}

static bool skip_scalar(struct scan *s)
{
	const char *start = s->at;

	while (s->at < s->end && !is_space(*s->at) && !strchr(",]}", *s->at))
		s->at++;
	return s->at > start;
}

/* Brackets are only counted: that they match in kind was the parser's business. */
static bool skip_nested(struct scan *s)
{
	size_t depth = 0;

	while (s->at < s->end) {
		char c = *s->at;

		if (c == '"') {
			if (!skip_string(s))
				return false;
			continue;
		}
		s->at++;
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && !--depth)
			return true;
	}
	return false;
}

static bool skip_value(struct scan *s)
{
	switch (peek(s)) {
	case '\0':
		return false;
	case '"':
		return skip_string(s);
	case '{':
	case '[':
		return skip_nested(s);
	default:
		return skip_scalar(s);
	}
}

static bool slice_is(const struct json_slice *s, const char *text)
{
	return s->size == strlen(text) && !memcmp(s->at, text, s->size);
}

static bool take_string(struct scan *s, struct json_slice *out)
{
	const char *start;

	if (peek(s) != '"')
		return false;
	start = s->at + 1;
	if (!skip_string(s))
		return false;
	*out = (struct json_slice){ start, (size_t)(s->at - 1 - start) };
	return true;
}

static bool take_member(struct scan *s, struct json_slice *key, struct json_slice *value)
{
	const char *start;

	if (!take_string(s, key) || !eat(s, ':'))
		return false;
	(void)peek(s); /* to the value's first byte */
	start = s->at;
	if (!skip_value(s))
		return false;
	*value = (struct json_slice){ start, (size_t)(s->at - start) };
	return true;
}

bool json_member(const char *text, size_t size, const char *key, struct json_slice *out)
{
	struct scan s = { text, text + size };
	struct json_slice name, value;
	bool found = false;

	if (!eat(&s, '{'))
		return false;
	while (take_member(&s, &name, &value)) {
		if (slice_is(&name, key)) {
			*out = value;
			found = true;
		}
		if (!eat(&s, ','))
			break;
	}
	return found && eat(&s, '}');
}

/* ---- addresses ------------------------------------------------------------------------------------------ */

/* Is interfaces[index] the pod's ifname? No list, no index or a strange one: assume so, the kernel has the
 * last word anyway. */
static bool is_on(const cJSON *interfaces, const cJSON *index, const char *ifname)
{
	const cJSON *item, *name, *sandbox;

	if (!cJSON_IsArray(interfaces) || !cJSON_IsNumber(index) || !(index->valuedouble >= 0))
		return true;
	item = cJSON_GetArrayItem(interfaces,
				  index->valuedouble < 1e6 ? (int)index->valuedouble : -1);
	name = cJSON_GetObjectItemCaseSensitive(item, "name");
	sandbox = cJSON_GetObjectItemCaseSensitive(item, "sandbox");
	if (!item || !cJSON_IsString(name))
		return true;
	if (strcmp(name->valuestring, ifname))
		return false;
	return !sandbox || (cJSON_IsString(sandbox) && sandbox->valuestring[0]);
}

static bool parse_cidr_host(const char *text, struct berm_addr *out)
{
	char host[BERM_ADDR_STRLEN];
	size_t len = strcspn(text, "/");

	if (len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	return !berm_addr_parse(host, out);
}

static size_t addresses_of(const cJSON *root, const char *ifname, struct berm_addr *out, size_t max)
{
	const cJSON *interfaces = cJSON_GetObjectItemCaseSensitive(root, "interfaces");
	const cJSON *ips = cJSON_GetObjectItemCaseSensitive(root, "ips"), *ip, *address;
	size_t count = 0;

	if (!cJSON_IsArray(ips))
		return 0;
	cJSON_ArrayForEach(ip, ips) {
		address = cJSON_GetObjectItemCaseSensitive(ip, "address");
		if (count < max && cJSON_IsString(address) &&
		    is_on(interfaces, cJSON_GetObjectItemCaseSensitive(ip, "interface"), ifname) &&
		    parse_cidr_host(address->valuestring, &out[count]))
			count++;
	}
	return count;
}

size_t result_addresses(const struct json_slice *result, const char *ifname, struct berm_addr *out,
			size_t max)
{
	cJSON *root = cJSON_ParseWithLength(result->at, result->size);
	size_t count = cJSON_IsObject(root) ? addresses_of(root, ifname, out, max) : 0;

	cJSON_Delete(root);
	return count;
}

/* ---- printing ------------------------------------------------------------------------------------------- */

static bool is_empty_object(const struct json_slice *result)
{
	struct scan s = { result->at, result->at + result->size };

	return eat(&s, '{') && eat(&s, '}');
}

int result_print(FILE *out, const struct json_slice *result, const char *version,
		 struct berm_err *err)
{
	struct json_slice has = *result;

	if (!json_member(result->at, result->size, "cniVersion", &has)) {
		fprintf(out, "{\"cniVersion\":\"%s\"%s", version,
			is_empty_object(result) ? "" : ",");
		has = (struct json_slice){ result->at + 1,
					   result->size - 1 }; /* behind its brace */
	} else {
		has = *result;
	}
	fwrite(has.at, 1, has.size, out);
	if (fflush(out) || ferror(out))
		return berm_fail(err, -EIO, "write the result to stdout");
	return 0;
}

void error_print(FILE *out, const char *version, int code, const char *msg, const char *details)
{
	cJSON *root = cJSON_CreateObject();
	auto_free char *text = NULL;

	if (root && cJSON_AddStringToObject(root, "cniVersion", version) &&
	    cJSON_AddNumberToObject(root, "code", code) &&
	    cJSON_AddStringToObject(root, "msg", msg) &&
	    (!details || cJSON_AddStringToObject(root, "details", details)))
		text = cJSON_PrintUnformatted(root);
	fprintf(out, "%s\n", text ? text : "{\"code\":5,\"msg\":\"out of memory\"}");
	fflush(out);
	cJSON_Delete(root);
}
