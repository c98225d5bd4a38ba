/* SPDX-License-Identifier: Apache-2.0 */
/* field.c - typed access to a document's tree, and problems that say where. Knows no kind. */
#include "field.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "hint.h"
#include "tree.h"

#define MAX_SHOWN    20	  /* problems of one document; the rest is counted */
#define MAX_PROBLEMS 2000 /* of all documents of one call */

/* ---- paths --------------------------------------------------------------------------------------- */

static void print_name(FILE *out, const char *name, bool is_first)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

	if (strlen(name) > 80)
		fprintf(out, "[\"%.77s...\"]", name);
	else if (name[strspn(name, plain)] || !name[0])
		fprintf(out, "[\"%s\"]", name);
	else
		fprintf(out, "%s%s", is_first ? "" : ".", name);
}

/* "ingress[0].ports[1].port". Depth is bounded by the parser. */
static void print_path(FILE *out, const struct berm_field *field)
{
	if (!field->parent)
		return;
	print_path(out, field->parent);
	if (field->index >= 0)
		fprintf(out, "[%d]", field->index);
	else
		print_name(out, field->node->string, !field->parent->parent);
}

static char *path_of(const struct berm_field *field)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	print_path(out, field);
	if (fclose(out) || !size) {
		free(text);
		return NULL;
	}
	return text;
}

/* ---- problems ------------------------------------------------------------------------------------ */

struct complaint {
	enum berm_severity severity;
	enum berm_problem_code code;
	struct berm_pos at; /* in the text */
	const struct berm_field *field;
	const char *hint;
};

/* False when enough has been said. */
static bool is_wanted(struct berm_reader *reader, struct complaint *c, const char **fmt)
{
	if (reader->problems->count >= MAX_PROBLEMS || ++reader->shown > MAX_SHOWN)
		return false;
	if (reader->shown < MAX_SHOWN)
		return true;
	c->field = NULL;
	c->hint = NULL;
	c->code = BERM_CODE_MORE;
	*fmt = "more problems are not shown";
	return true;
}

static void complain(struct berm_reader *reader, struct complaint *c, const char *fmt, va_list ap)
{
	struct berm_pos at = berm_place_map(&reader->place, c->at);
	auto_free char *path = NULL;
	char message[512];

	reader->errors += c->severity == BERM_ERROR;
	if (!is_wanted(reader, c, &fmt))
		return;
	path = c->field ? path_of(c->field) : NULL;
	vsnprintf(message, sizeof(message), fmt, ap);
	if (berm_problems_add(reader->problems,
			      &(struct berm_problem){
				      .severity = c->severity,
				      .code = c->code,
				      .source = (char *)reader->source,
				      .line = at.line,
				      .column = at.column,
				      .field = path,
				      .message = message,
				      .hint = (char *)c->hint,
				      .document = reader->document[0] ? reader->document : NULL,
			      }))
		reader->no_memory = true;
}

static void __attribute__((format(printf, 3, 4)))
complain_of(struct berm_reader *reader, struct complaint *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain(reader, c, fmt, ap);
	va_end(ap);
}

void berm_field_error(const struct berm_field *field, const char *hint, const char *fmt, ...)
{
	struct complaint c = { BERM_ERROR, BERM_CODE_INVALID, berm_node_pos(field->node), field,
			       hint };
	va_list ap;

	va_start(ap, fmt);
	complain(field->reader, &c, fmt, ap);
	va_end(ap);
}

void berm_field_warn(const struct berm_field *field, const char *hint, const char *fmt, ...)
{
	struct complaint c = { BERM_WARNING, BERM_CODE_DOUBTFUL, berm_node_pos(field->node), field,
			       hint };
	va_list ap;

	va_start(ap, fmt);
	complain(field->reader, &c, fmt, ap);
	va_end(ap);
}

/* Codes from BERM_CODE_DOUBTFUL on are those of warnings. */
void berm_field_problem(const struct berm_field *field, enum berm_problem_code code,
			const char *hint, const char *fmt, ...)
{
	struct complaint c = { code < BERM_CODE_DOUBTFUL ? BERM_ERROR : BERM_WARNING, code,
			       berm_node_pos(field->node), field, hint };
	va_list ap;

	va_start(ap, fmt);
	complain(field->reader, &c, fmt, ap);
	va_end(ap);
}

void berm_field_name_error(const struct berm_field *field, const char *hint, const char *fmt, ...)
{
	struct complaint c = { BERM_ERROR, BERM_CODE_INVALID, berm_node_key_pos(field->node), field,
			       hint };
	va_list ap;

	va_start(ap, fmt);
	complain(field->reader, &c, fmt, ap);
	va_end(ap);
}

static void name_problem(const struct berm_field *field, enum berm_problem_code code,
			 const char *hint, const char *message)
{
	struct complaint c = { BERM_ERROR, code, berm_node_key_pos(field->node), field, hint };

	complain_of(field->reader, &c, "%s", message);
}

void berm_reader_error(struct berm_reader *reader, struct berm_pos at, const char *hint,
		       const char *fmt, ...)
{
	struct complaint c = { BERM_ERROR, BERM_CODE_SYNTAX, at, NULL, hint };
	va_list ap;

	va_start(ap, fmt);
	complain(reader, &c, fmt, ap);
	va_end(ap);
}

int berm_field_line(const struct berm_field *field)
{
	return berm_place_map(&field->reader->place, berm_node_pos(field->node)).line;
}

/* ---- values -------------------------------------------------------------------------------------- */

const char *berm_field_describe(const struct berm_field *field, char *out, size_t size)
{
	const cJSON *node = field->node;

	if (cJSON_IsArray(node))
		return "a list";
	if (cJSON_IsObject(node))
		return "a mapping";
	if (cJSON_IsNull(node))
		return "nothing";
	snprintf(out, size, "%s%.60s%s",
		 cJSON_IsNumber(node) ? "the number "
		 : cJSON_IsBool(node) ? ""
				      : "'",
		 node->valuestring, cJSON_IsString(node) ? "'" : "");
	return out;
}

static void wrong_type(const struct berm_field *field, const char *want, const char *hint)
{
	char got[96];

	berm_field_problem(field, BERM_CODE_WRONG_TYPE, hint, "want %s, got %s", want,
			   berm_field_describe(field, got, sizeof(got)));
}

const char *berm_field_text(const struct berm_field *field)
{
	char hint[96];

	if (cJSON_IsString(field->node))
		return field->node->valuestring;
	snprintf(hint, sizeof(hint), "put it in quotes: \"%.60s\"",
		 field->node->valuestring ? field->node->valuestring : "");
	wrong_type(field, "a text",
		   cJSON_IsNumber(field->node) || cJSON_IsBool(field->node) ? hint : NULL);
	return NULL;
}

bool berm_field_int(const struct berm_field *field, int min, int max, int *out)
{
	double n = field->node->valuedouble;
	bool is_quoted = cJSON_IsString(field->node) && field->node->valuestring[0] &&
			 !field->node->valuestring[strspn(field->node->valuestring, "0123456789")];

	if (!cJSON_IsNumber(field->node)) {
		wrong_type(field, "a number", is_quoted ? "write it without quotes" : NULL);
		return false;
	}
	if (!(n >= min && n <= max) || n != (double)(int)n) {
		berm_field_error(field, NULL, "%.60s is not a whole number from %d to %d",
				 field->node->valuestring, min, max);
		return false;
	}
	*out = (int)n;
	return true;
}

bool berm_field_bool(const struct berm_field *field, bool *out)
{
	if (!cJSON_IsBool(field->node)) {
		wrong_type(field, "true or false", NULL);
		return false;
	}
	*out = cJSON_IsTrue(field->node);
	return true;
}

bool berm_field_is_map(const struct berm_field *field)
{
	if (cJSON_IsObject(field->node))
		return true;
	wrong_type(field, "a mapping", NULL);
	return false;
}

bool berm_field_is_list(const struct berm_field *field, size_t max)
{
	size_t count = (size_t)cJSON_GetArraySize(field->node);

	if (!cJSON_IsArray(field->node)) {
		wrong_type(field, "a list",
			   cJSON_IsObject(field->node) ? "start each item with '- '"
			   : cJSON_IsNull(field->node) ? NULL
						       : "put it in brackets: [...]");
		return false;
	}
	if (count > max) {
		berm_field_error(field, NULL, "%zu items are too many (at most %zu)", count, max);
		return false;
	}
	return true;
}

bool berm_field_word(const struct berm_field *field, const struct berm_word *words, size_t count,
		     int *out)
{
	const char *text = berm_field_text(field);
	struct berm_nearest nearest = { .word = text };
	char hint[200], known[160] = "";

	if (!text)
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct berm_word *w = &words[i];

		if (!strcmp(w->name, text) && w->unsupported) {
			berm_field_problem(field, BERM_CODE_UNSUPPORTED, NULL,
					   "'%s' is not supported by this version", text);
			return false;
		}
		if (!strcmp(w->name, text)) {
			*out = w->value;
			return true;
		}
		berm_nearest_try(&nearest, w->name);
		if (!w->unsupported)
			snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s",
				 known[0] ? ", " : "", w->name);
	}
	if (nearest.best)
		snprintf(hint, sizeof(hint), "did you mean '%s'?", nearest.best);
	else
		snprintf(hint, sizeof(hint), "known: %s", known);
	berm_field_error(field, hint, "'%.60s' is not a known word here", text);
	return false;
}

char *berm_reader_copy(struct berm_reader *reader, const char *text)
{
	char *copy = strdup(text);

	reader->no_memory |= !copy;
	return copy;
}

void *berm_reader_alloc(struct berm_reader *reader, size_t count, size_t size)
{
	void *p = count ? calloc(count, size) : NULL;

	reader->no_memory |= count && !p;
	return p;
}

/* ---- structure ----------------------------------------------------------------------------------- */

bool berm_field_get(const struct berm_field *object, const char *name, struct berm_field *out)
{
	cJSON *node = cJSON_IsObject(object->node)
			      ? cJSON_GetObjectItemCaseSensitive(object->node, name)
			      : NULL;

	if (!node || cJSON_IsNull(node))
		return false;
	*out = (struct berm_field){ object->reader, object, node, -1 };
	return true;
}

struct berm_field berm_field_first(const struct berm_field *container)
{
	return (struct berm_field){ container->reader, container, container->node->child,
				    cJSON_IsArray(container->node) ? 0 : -1 };
}

void berm_field_next(struct berm_field *item)
{
	item->node = item->node->next;
	item->index += item->index >= 0;
}

static const struct berm_member *row_of(const struct berm_member *table, size_t count,
					const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(table[i].name, name))
			return &table[i];
	return NULL;
}

static void unknown_member(const struct berm_field *field, const struct berm_member *table,
			   size_t count)
{
	struct berm_nearest nearest = { .word = field->node->string };
	char hint[96];

	for (size_t i = 0; i < count; i++)
		berm_nearest_try(&nearest, table[i].name);
	name_problem(field, BERM_CODE_UNKNOWN_FIELD,
		     berm_nearest_text(&nearest, NULL, hint, sizeof(hint)), "unknown field");
}

static void read_member(const struct berm_field *field, const struct berm_member *row, void *into)
{
	if (row->how == BERM_MEMBER_UNSUPPORTED) {
		name_problem(field, BERM_CODE_UNSUPPORTED, row->hint,
			     "not supported by this version");
		return;
	}
	if (row->how == BERM_MEMBER_IGNORED)
		return;
	if (!cJSON_IsNull(field->node))
		row->read(field, into);
	else if (!field->reader->null_is_absent)
		berm_field_name_error(field, "give it a value or remove the line", "has no value");
}

static bool is_missing(const struct berm_field *object, const char *name)
{
	const cJSON *node = cJSON_GetObjectItemCaseSensitive(object->node, name);

	return !node || (cJSON_IsNull(node) && object->reader->null_is_absent);
}

static void check_required(const struct berm_field *object, const struct berm_member *table,
			   size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (table[i].how == BERM_MEMBER_REQUIRED && is_missing(object, table[i].name))
			berm_field_problem(object, BERM_CODE_MISSING_FIELD, table[i].hint,
					   "the field '%s' is missing", table[i].name);
}

bool berm_field_members(const struct berm_field *object, const struct berm_member *table,
			size_t count, void *into)
{
	struct berm_field member;

	if (!berm_field_is_map(object))
		return false;
	berm_field_each(member, object)
	{
		const struct berm_member *row = row_of(table, count, member.node->string);

		if (row)
			read_member(&member, row, into);
		else
			unknown_member(&member, table, count);
	}
	check_required(object, table, count);
	return true;
}
