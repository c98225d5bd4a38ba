/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml_out.c - writes a cJSON document as YAML, block style. A string is written plain only if no YAML
 * reader could take it for something else; otherwise as a JSON string, which is YAML too (YAML 1.2, 7.3.1).
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "ctl.h"

#define INDENT 2

static void put_value(const cJSON *value, int depth, FILE *out);

/* Words that some reader takes for a boolean or null (YAML 1.1 had many). */
static bool is_reserved(const char *text)
{
	static const char *const words[] = { "null", "true", "false", "yes", "no",
					     "on",   "off",  "y",     "n" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcasecmp(text, words[i]))
			return true;
	return false;
}

/* Starts with a letter or a slash, holds nothing that means something to YAML, and is no number (those start
 * with other characters). */
static bool is_plain(const char *text)
{
	if (!isalpha((unsigned char)*text) && *text != '/')
		return false;
	for (const char *c = text; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("-_./+@", *c) &&
		    !(*c == ' ' && c[1] && c[1] != ' '))
			return false;
	return !is_reserved(text);
}

static void put_string(const char *text, FILE *out)
{
	cJSON value = { .type = cJSON_String, .valuestring = (char *)(uintptr_t)text };
	auto_free char *quoted = NULL;

	if (is_plain(text)) {
		fputs(text, out);
		return;
	}
	quoted = cJSON_PrintUnformatted(&value);
	fputs(quoted ? quoted : "\"\"", out);
}

static void put_scalar(const cJSON *value, FILE *out)
{
	auto_free char *text = NULL;

	if (cJSON_IsString(value)) {
		put_string(value->valuestring, out);
		return;
	}
	text = cJSON_PrintUnformatted(value); /* numbers, true, false, null, [] and {} */
	fputs(text ? text : "null", out);
}

static bool has_children(const cJSON *value)
{
	return (cJSON_IsArray(value) || cJSON_IsObject(value)) && value->child;
}

/* The first member stands on the line of the dash, so it is not indented. */
static void put_object(const cJSON *object, int depth, bool after_dash, FILE *out)
{
	const cJSON *member;

	cJSON_ArrayForEach(member, object) {
		fprintf(out, "%*s", after_dash ? 0 : depth * INDENT, "");
		after_dash = false;
		put_string(member->string, out);
		fputc(':', out);
		put_value(member, cJSON_IsArray(member) ? depth : depth + 1, out);
	}
}

static void put_array(const cJSON *array, int depth, FILE *out)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, array) {
		fprintf(out, "%*s-", depth * INDENT, "");
		if (cJSON_IsObject(item) && item->child) {
			fputc(' ', out);
			put_object(item, depth + 1, true, out);
		} else {
			put_value(item, depth + 1, out);
		}
	}
}

/* Follows "key:" or "-". */
static void put_value(const cJSON *value, int depth, FILE *out)
{
	if (!has_children(value)) {
		fputc(' ', out);
		put_scalar(value, out);
		fputc('\n', out);
		return;
	}
	fputc('\n', out);
	if (cJSON_IsArray(value))
		put_array(value, depth, out);
	else
		put_object(value, depth, false, out);
}

void ctl_yaml_print(const cJSON *doc, FILE *out)
{
	if (cJSON_IsObject(doc) && doc->child)
		put_object(doc, 0, false, out);
	else if (cJSON_IsArray(doc) && doc->child)
		put_array(doc, 0, out);
	else {
		put_scalar(doc, out);
		fputc('\n', out);
	}
}
