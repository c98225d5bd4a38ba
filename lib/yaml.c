/* SPDX-License-Identifier: Apache-2.0 */
/* yaml.c - libyaml's events to a cJSON tree with positions. Knows no field and no kind. */
#include "tree.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "cleanup.h"
#include "utf8.h"

/* cJSON frees what its pointers say, with free(): so a node may be bigger than cJSON knows. */
struct node {
	cJSON json; /* first */
	struct berm_pos pos, key_pos;
	size_t line_offset; /* of the line where a text starts; only for styles that need it */
	uint8_t style;	    /* yaml_scalar_style_t */
	bool is_one_line;
};

struct frame { /* an open mapping or sequence */
	cJSON *container;
	char *key; /* of the value that comes next */
	struct berm_pos key_pos;
};

struct builder {
	struct frame stack[BERM_TREE_MAX_DEPTH];
	int depth;
	size_t nodes;
	int documents;
	cJSON *root;
	const char *text;
	size_t size;
	size_t line_offset; /* of line `line` */
	size_t line;	    /* from 0, as libyaml counts */
	struct berm_pos at; /* of the event at hand */
	struct berm_pos see;
	struct berm_err *err;
};

static struct berm_pos pos_of(yaml_mark_t mark)
{
	return (struct berm_pos){ (int)mark.line + 1, (int)mark.column + 1 };
}

/* ---- types of plain scalars ---------------------------------------------------------------------- */

static bool is_one_of(const char *text, const char *const *word)
{
	for (; *word; word++)
		if (!strcmp(text, *word))
			return true;
	return false;
}

/* 0x1f, 0o17, 017, 0b11, 42, with a sign: as Go's ParseInt(text, 0, 64). */
static bool is_integer(const char *text, double *out)
{
	bool is_negative = *text == '-';
	const char *digits = text + (*text == '-' || *text == '+');
	int base = 10;
	char *end;
	long long n;

	if (digits[0] == '0' && digits[1]) {
		char mark = (char)(digits[1] | 0x20);

		base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
		digits += mark == 'x' || mark == 'b' || mark == 'o' ? 2 : 1;
	}
	if (!strchr("0123456789abcdefABCDEF", *digits) || !*digits)
		return false;
	errno = 0;
	n = strtoll(digits, &end, base);
	if (*end || errno)
		return false;
	*out = (double)(is_negative ? -n : n);
	return true;
}

static const char *skip_digits(const char *p)
{
	return p + strspn(p, "0123456789");
}

/* [-+]? (\.[0-9]+ | [0-9]+(\.[0-9]*)?) ([eE][-+]?[0-9]+)? */
static bool is_float(const char *text, double *out)
{
	const char *p = text + (*text == '-' || *text == '+');
	const char *whole = skip_digits(p), *digits;
	const char *end = whole;

	if (*whole == '.') {
		end = skip_digits(whole + 1);
		if (whole == p && end == whole + 1)
			return false;
	} else if (whole == p) {
		return false;
	}
	if (*end == 'e' || *end == 'E') {
		digits = end + 1 + (end[1] == '-' || end[1] == '+');
		end = skip_digits(digits);
		if (end == digits)
			return false;
	}
	if (*end)
		return false;
	*out = strtod(text, NULL);
	return true;
}

/* Underscores may group digits (YAML 1.1). */
static bool is_number(const char *text, double *out)
{
	char plain[64], *p = plain;

	if (!strchr("0123456789-+.", *text) || strlen(text) >= sizeof(plain))
		return false;
	for (; *text; text++)
		if (*text != '_')
			*p++ = *text;
	*p = '\0';
	return is_integer(plain, out) || is_float(plain, out);
}

static int plain_type(const char *text, double *number)
{
	static const char *const null[] = { "", "~", "null", "Null", "NULL", NULL };
	static const char *const yes[] = { "true", "True", "TRUE", "yes", "Yes", "YES",
					   "on",   "On",   "ON",   "y",	  "Y",	 NULL };
	static const char *const no[] = { "false", "False", "FALSE", "no", "No", "NO",
					  "off",   "Off",   "OFF",   "n",  "N",	 NULL };

	if (is_one_of(text, null))
		return cJSON_NULL;
	if (is_one_of(text, yes))
		return cJSON_True;
	if (is_one_of(text, no))
		return cJSON_False;
	return is_number(text, number) ? cJSON_Number : cJSON_String;
}

/* ---- building the tree --------------------------------------------------------------------------- */

static int too_big(struct builder *b, const char *what, int limit)
{
	return berm_refuse(b->err, -E2BIG, "the document %s (at most %d)", what, limit);
}

static int no_memory(struct builder *b)
{
	return berm_fail(b->err, -ENOMEM, "read a document");
}

static struct node *node_new(struct builder *b, int type)
{
	struct node *node = calloc(1, sizeof(*node));

	if (!node)
		return NULL;
	node->json.type = type;
	node->pos = node->key_pos = b->at;
	return node;
}

/* Takes the node, also on failure. */
static int place_node(struct builder *b, struct node *node)
{
	struct frame *top = b->depth ? &b->stack[b->depth - 1] : NULL;

	if (!node)
		return no_memory(b);
	if (++b->nodes > BERM_TREE_MAX_NODES) {
		cJSON_Delete(&node->json);
		return too_big(b, "has too many values", BERM_TREE_MAX_NODES);
	}
	if (!top) {
		b->root = &node->json;
		return 0;
	}
	if (cJSON_IsObject(top->container)) {
		node->key_pos = top->key_pos;
		node->json.string = TAKE_PTR(top->key);
	}
	(void)cJSON_AddItemToArray(top->container,
				   &node->json); /* links it; false only for NULLs */
	return 0;
}

static bool wants_key(const struct builder *b)
{
	const struct frame *top = b->depth ? &b->stack[b->depth - 1] : NULL;

	return top && cJSON_IsObject(top->container) && !top->key;
}

/* libyaml does not tell byte offsets; its marks only ever go forward. */
static size_t offset_of_line(struct builder *b, size_t line)
{
	const char *nl;

	while (b->line < line) {
		nl = memchr(b->text + b->line_offset, '\n', b->size - b->line_offset);
		if (!nl)
			break;
		b->line_offset = (size_t)(nl - b->text) + 1;
		b->line++;
	}
	return b->line_offset;
}

static int take_key(struct builder *b, const yaml_event_t *event)
{
	struct frame *top = &b->stack[b->depth - 1];
	const char *key = (const char *)event->data.scalar.value;

	if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !strcmp(key, "<<"))
		return berm_refuse(b->err, -EINVAL,
				   "merge keys (<<) are not allowed: write the fields out");
	if (strlen(key) != event->data.scalar.length)
		return berm_refuse(b->err, -EINVAL, "a key contains a NUL character");
	top->key = strdup(key);
	top->key_pos = b->at;
	return top->key ? 0 : no_memory(b);
}

static int take_scalar(struct builder *b, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	yaml_scalar_style_t style = event->data.scalar.style;
	double number = 0;
	struct node *node;
	int type = cJSON_String;

	if (event->data.scalar.anchor)
		return berm_refuse(b->err, -EINVAL,
				   "anchors (&) are not allowed: write the value out");
	if (event->data.scalar.tag)
		return berm_refuse(b->err, -EINVAL, "tags (!) are not allowed: remove it");
	if (wants_key(b))
		return take_key(b, event);
	if (strlen(text) != event->data.scalar.length)
		return berm_refuse(b->err, -EINVAL, "a text contains a NUL character");
	if (style == YAML_PLAIN_SCALAR_STYLE)
		type = plain_type(text, &number);
	node = node_new(b, type);
	if (node) {
		node->style = (uint8_t)style;
		node->is_one_line = event->start_mark.line == event->end_mark.line;
		node->json.valuedouble = number;
		node->json.valuestring = strdup(text);
		if (style == YAML_LITERAL_SCALAR_STYLE || style == YAML_DOUBLE_QUOTED_SCALAR_STYLE)
			node->line_offset = offset_of_line(b, event->start_mark.line);
	}
	if (node && !node->json.valuestring) {
		cJSON_Delete(&node->json);
		node = NULL;
	}
	return place_node(b, node);
}

static int open_container(struct builder *b, int type, const yaml_char_t *anchor,
			  const yaml_char_t *tag)
{
	struct node *node;
	int rc;

	if (anchor)
		return berm_refuse(b->err, -EINVAL,
				   "anchors (&) are not allowed: write the value out");
	if (tag)
		return berm_refuse(b->err, -EINVAL, "tags (!) are not allowed: remove it");
	if (wants_key(b))
		return berm_refuse(b->err, -EINVAL,
				   "a key must be a plain text, not a list or a mapping");
	if (b->depth == BERM_TREE_MAX_DEPTH)
		return too_big(b, "is nested too deep", BERM_TREE_MAX_DEPTH);
	node = node_new(b, type);
	rc = place_node(b, node);
	if (!rc)
		b->stack[b->depth++] = (struct frame){ .container = &node->json };
	return rc;
}

static int compare_keys(const void *a, const void *b)
{
	const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
	int rc = strcmp(x->json.string, y->json.string);

	if (rc)
		return rc;
	if (x->key_pos.line != y->key_pos.line)
		return x->key_pos.line - y->key_pos.line;
	return x->key_pos.column - y->key_pos.column;
}

static int check_sorted(struct builder *b, struct node **node, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		if (strcmp(node[i - 1]->json.string, node[i]->json.string))
			continue;
		b->at = node[i]->key_pos;
		b->see = node[i - 1]->key_pos;
		return berm_refuse(b->err, -EINVAL, "'%.200s' is there twice",
				   node[i]->json.string);
	}
	return 0;
}

static int check_duplicates(struct builder *b, const cJSON *object)
{
	auto_free struct node **node = NULL;
	size_t count = 0;
	cJSON *child;

	cJSON_ArrayForEach(child, object)
		count++;
	if (count < 2)
		return 0;
	node = calloc(count, sizeof(*node));
	if (!node)
		return no_memory(b);
	count = 0;
	cJSON_ArrayForEach(child, object)
		node[count++] = (struct node *)child;
	qsort(node, count, sizeof(*node), compare_keys);
	return check_sorted(b, node, count);
}

static int close_container(struct builder *b)
{
	struct frame *top = &b->stack[--b->depth];

	return cJSON_IsObject(top->container) ? check_duplicates(b, top->container) : 0;
}

static int start_document(struct builder *b, const yaml_event_t *event)
{
	if (event->data.document_start.version_directive ||
	    event->data.document_start.tag_directives.start !=
		    event->data.document_start.tag_directives.end)
		return berm_refuse(b->err, -EINVAL,
				   "directives (%%) are not allowed: remove the line");
	if (b->documents++)
		return berm_refuse(b->err, -EINVAL,
				   "a second document: separate documents by a line ---");
	return 0;
}

static int take_event(struct builder *b, const yaml_event_t *event)
{
	b->at = pos_of(event->start_mark);
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		return start_document(b, event);
	case YAML_ALIAS_EVENT:
		return berm_refuse(b->err, -EINVAL,
				   "aliases (*) are not allowed: write the value out");
	case YAML_SCALAR_EVENT:
		return take_scalar(b, event);
	case YAML_SEQUENCE_START_EVENT:
		return open_container(b, cJSON_Array, event->data.sequence_start.anchor,
				      event->data.sequence_start.tag);
	case YAML_MAPPING_START_EVENT:
		return open_container(b, cJSON_Object, event->data.mapping_start.anchor,
				      event->data.mapping_start.tag);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return close_container(b);
	default:
		return 0; /* start and end of stream, end of document */
	}
}

/* ---- reading ------------------------------------------------------------------------------------- */

static char char_at(const struct builder *b, yaml_mark_t mark)
{
	const char *p = b->text, *end = b->text + b->size, *nl;

	for (size_t line = 0; line < mark.line && p; line++) {
		nl = memchr(p, '\n', (size_t)(end - p));
		p = nl ? nl + 1 : NULL;
	}
	return p && (size_t)(end - p) > mark.column ? p[mark.column] : '\0';
}

/* A text that ends too early: libyaml points behind it, where a file around it has other things. */
static struct berm_pos not_behind_end(const struct builder *b, struct berm_pos at)
{
	struct berm_pos last = { 1, 1 }, pos = { 1, 1 };

	for (size_t i = 0; i < b->size; i++) {
		if (!strchr(" \t\r\n", b->text[i]))
			last = pos;
		pos.column += ((unsigned char)b->text[i] & 0xc0) != 0x80;
		if (b->text[i] == '\n')
			pos = (struct berm_pos){ pos.line + 1, 1 };
	}
	return at.line > last.line ? last : at;
}

/* What libyaml does not like, in words. */
static int syntax_error(struct builder *b, const yaml_parser_t *parser)
{
	if (parser->error == YAML_MEMORY_ERROR)
		return no_memory(b);
	b->at = not_behind_end(b,
			       pos_of(parser->error == YAML_READER_ERROR ? parser->mark
									 : parser->problem_mark));
	if (char_at(b, parser->problem_mark) == '\t')
		return berm_refuse(b->err, -EINVAL, "a tab where YAML wants spaces");
	if (parser->context) {
		b->see = not_behind_end(b, pos_of(parser->context_mark));
		return berm_refuse(b->err, -EINVAL, "not YAML: %s %s", parser->problem,
				   parser->context);
	}
	return berm_refuse(b->err, -EINVAL, "not YAML: %s",
			   parser->problem ? parser->problem : "unreadable");
}

static int run(struct builder *b, yaml_parser_t *parser)
{
	yaml_event_t event;
	bool is_end;
	int rc;

	do {
		if (!yaml_parser_parse(parser, &event))
			return syntax_error(b, parser);
		is_end = event.type == YAML_STREAM_END_EVENT;
		rc = take_event(b, &event);
		yaml_event_delete(&event);
	} while (!rc && !is_end);
	return rc;
}

/* What is wrong with the character at p; NULL: nothing. libyaml would count lines otherwise than editors do
 * at NEL, LS and PS. */
static const char *bad_character(const char *p, size_t left, size_t len)
{
	if (!len)
		return "not UTF-8";
	if (!p[0])
		return "a NUL byte";
	if (p[0] == '\r' && (left < 2 || p[1] != '\n'))
		return "a carriage return without a newline";
	if (len == 2 && !memcmp(p, "\xc2\x85", 2))
		return "a NEL character (U+0085)";
	if (len == 3 && (!memcmp(p, "\xe2\x80\xa8", 3) || !memcmp(p, "\xe2\x80\xa9", 3)))
		return "a Unicode line separator (U+2028, U+2029)";
	return NULL;
}

static int check_characters(struct builder *b)
{
	const char *p = b->text, *end = p + b->size, *bad;
	size_t len;

	b->at = (struct berm_pos){ 1, 1 };
	while (p < end) {
		len = berm_utf8_length(p, (size_t)(end - p));
		bad = bad_character(p, (size_t)(end - p), len);
		if (bad)
			return berm_refuse(b->err, -EINVAL, "%s in the text", bad);
		b->at.column++;
		if (*p == '\n')
			b->at = (struct berm_pos){ b->at.line + 1, 1 };
		p += len;
	}
	return 0;
}

static int parse(struct builder *b)
{
	yaml_parser_t parser;
	int rc = check_characters(b);

	if (rc)
		return rc;
	if (!yaml_parser_initialize(&parser))
		return no_memory(b);
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)b->text, b->size);
	rc = run(b, &parser);
	yaml_parser_delete(&parser);
	return rc;
}

int berm_yaml_parse(const char *text, size_t size, cJSON **ret, struct berm_tree_fault *fault,
		    struct berm_err *err)
{
	auto_free struct builder *b = calloc(1, sizeof(*b));
	int rc;

	if (!b)
		return berm_fail(err, -ENOMEM, "read a document");
	b->text = text;
	b->size = size;
	b->err = err;
	rc = parse(b);
	if (!rc) {
		*ret = b->root;
		return 0;
	}
	while (b->depth)
		free(b->stack[--b->depth].key);
	cJSON_Delete(b->root);
	*fault = (struct berm_tree_fault){ b->at, b->see };
	return rc;
}

/* ---- positions ----------------------------------------------------------------------------------- */

struct berm_pos berm_node_pos(const cJSON *json)
{
	return ((const struct node *)json)->pos;
}

struct berm_pos berm_node_key_pos(const cJSON *json)
{
	return ((const struct node *)json)->key_pos;
}

static int count_chars(const char *p, size_t len)
{
	int n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)p[i] & 0xc0) != 0x80;
	return n;
}

static size_t line_length(const char *p, const char *end)
{
	const char *nl = memchr(p, '\n', (size_t)(end - p));
	size_t len = (size_t)((nl ? nl : end) - p);

	return len && p[len - 1] == '\r' ? len - 1 : len;
}

/* The next line, or NULL. */
static const char *next_line(const char *p, const char *end)
{
	const char *nl = memchr(p, '\n', (size_t)(end - p));

	return nl ? nl + 1 : NULL;
}

/* A literal block's lines are the file's lines without their indentation: the first line that is not empty
 * tells how much that is, whatever the block's header says. */
static bool block_place(const struct node *node, const char *source, size_t size,
			struct berm_place *out)
{
	const char *end = source + size;
	const char *line = next_line(source + node->line_offset, end);
	const char *value = node->json.valuestring, *value_end = value + strlen(value);
	size_t len = 0;

	while (line && value && !(len = line_length(value, value_end))) {
		line = next_line(line, end);
		value = next_line(value, value_end);
	}
	if (!line || !value)
		return false;
	out->start.line = node->pos.line + 1;
	out->start.column = count_chars(line, line_length(line, end)) - count_chars(value, len) + 1;
	return out->start.column >= 1;
}

/* The source behind the opening quote. */
static bool quoted_place(const struct node *node, const char *source, size_t size,
			 struct berm_place *out)
{
	const char *p = source + node->line_offset, *end = source + size;

	for (int column = 1; column < node->pos.column && p < end; column++)
		for (p++; p < end && ((unsigned char)*p & 0xc0) == 0x80; p++)
			;
	if (p >= end || *p != '"')
		return false;
	out->text = p + 1;
	out->end = end;
	out->start.column++;
	return true;
}

struct berm_place berm_node_place(const cJSON *json, const char *source, size_t size,
				  struct berm_place *outer)
{
	const struct node *node = (const struct node *)json;
	struct berm_place out = { .kind = BERM_PLACE_POINT, .start = node->pos };
	struct berm_place found = out;

	if (node->style == YAML_LITERAL_SCALAR_STYLE && block_place(node, source, size, &found)) {
		found.kind = BERM_PLACE_BLOCK;
	} else if (node->is_one_line && node->style == YAML_DOUBLE_QUOTED_SCALAR_STYLE &&
		   quoted_place(node, source, size, &found)) {
		found.kind = BERM_PLACE_QUOTED;
	} else if (node->is_one_line && !strchr(json->valuestring, '\'') &&
		   (node->style == YAML_PLAIN_SCALAR_STYLE ||
		    node->style == YAML_SINGLE_QUOTED_SCALAR_STYLE)) {
		found.kind = BERM_PLACE_BLOCK;
		found.start.column += node->style == YAML_SINGLE_QUOTED_SCALAR_STYLE;
	}
	if (outer->kind != BERM_PLACE_BLOCK)
		found = out; /* a text in a text in a text: where the inner one starts is good enough */
	found.start = berm_place_map(outer, found.start);
	return found;
}
