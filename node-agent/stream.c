/* SPDX-License-Identifier: Apache-2.0 */
/* stream.c - a line assembler and two scanners that count braces. None of them checks JSON: document.c does. */
#include "stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 4096
#define KEEP_ROOM  (256u << 10) /* after a huge piece the memory goes back */
#define MAX_DEPTH  10000

/* ---- buffer ------------------------------------------------------------------------------------------------ */

static int buffer_add(struct berm_buffer *buffer, const char *text, size_t size)
{
	size_t room = buffer->room ? buffer->room : FIRST_ROOM;
	char *grown;

	if (size > BERM_STREAM_MAX - buffer->size)
		return -E2BIG;
	while (room < buffer->size + size)
		room *= 2;
	if (room != buffer->room) {
		grown = realloc(buffer->text, room);
		if (!grown)
			return -ENOMEM;
		buffer->text = grown;
		buffer->room = room;
	}
	if (size)
		memcpy(buffer->text + buffer->size, text, size);
	buffer->size += size;
	return 0;
}

static void buffer_clear(struct berm_buffer *buffer)
{
	free(buffer->text);
	*buffer = (struct berm_buffer){ 0 };
}

static void buffer_reset(struct berm_buffer *buffer)
{
	if (buffer->room > KEEP_ROOM)
		buffer_clear(buffer);
	buffer->size = 0;
}

/* ---- lines ------------------------------------------------------------------------------------------------- */

static int give_line(const char *text, size_t size, berm_piece_fn fn, void *ctx)
{
	struct berm_piece line = { text, size };

	while (line.size && (line.text[line.size - 1] == '\r' || line.text[line.size - 1] == ' '))
		line.size--;
	return line.size ? fn(&line, ctx) : 0;
}

static int keep_part(struct berm_lines *lines, const char *text, size_t size)
{
	int rc = lines->is_skipping ? 0 : buffer_add(&lines->rest, text, size);

	if (rc != -E2BIG)
		return rc;
	buffer_clear(&lines->rest);
	lines->is_skipping = true;
	return 0;
}

static int end_line(struct berm_lines *lines, berm_piece_fn fn, void *ctx)
{
	const struct berm_piece too_long = { 0 };
	int rc = lines->is_skipping ? fn(&too_long, ctx)
				    : give_line(lines->rest.text, lines->rest.size, fn, ctx);

	lines->is_skipping = false;
	buffer_reset(&lines->rest);
	return rc;
}

int berm_lines_feed(struct berm_lines *lines, const struct berm_piece *chunk, berm_piece_fn fn,
		    void *ctx)
{
	const char *at = chunk->text, *end = chunk->text + chunk->size, *nl;
	int rc = 0;

	while (!rc && at < end) {
		nl = memchr(at, '\n', (size_t)(end - at));
		if (!nl)
			return keep_part(lines, at, (size_t)(end - at));
		if (!lines->rest.size &&
		    !lines->is_skipping) { /* the usual case: nothing is copied */
			rc = give_line(at, (size_t)(nl - at), fn, ctx);
		} else {
			rc = keep_part(lines, at, (size_t)(nl - at));
			if (!rc)
				rc = end_line(lines, fn, ctx);
		}
		at = nl + 1;
	}
	return rc;
}

void berm_lines_clear(struct berm_lines *lines)
{
	buffer_clear(&lines->rest);
	lines->is_skipping = false;
}

/* ---- items of a list --------------------------------------------------------------------------------------- */

static bool is_opening(char c)
{
	return c == '{' || c == '[';
}

static bool is_closing(char c)
{
	return c == '}' || c == ']';
}

/* A key of the outermost object begins or ends; its letters are kept, cut. */
static void end_key(struct berm_items *items)
{
	size_t size = items->item.size < sizeof(items->key) ? items->item.size
							    : sizeof(items->key) - 1;

	if (size)
		memcpy(items->key, items->item.text, size);
	items->key[size] = '\0';
	items->has_items |= !strcmp(items->key, "items");
	items->is_keeping = false;
	items->item.size = 0;
}

static void begin_text(struct berm_items *items)
{
	items->in_text = true;
	if (items->depth == 1 && items->is_key)
		items->is_keeping = true;
}

static void open_value(struct berm_items *items, char c)
{
	items->depth++;
	if (items->depth == 1)
		items->is_key = true;
	else if (items->depth == 2 && c == '[' && !strcmp(items->key, "items"))
		items->in_items = true;
	else if (items->depth == 2 && c == '{' && !strcmp(items->key, "metadata"))
		items->is_keeping = true;
	else if (items->depth == 3 && items->in_items)
		items->is_keeping = true;
}

static int give_item(struct berm_items *items, berm_piece_fn fn, void *ctx)
{
	struct berm_piece piece = { items->item.text, items->item.size };
	int rc;

	if (items->is_too_long)
		piece = (struct berm_piece){ 0 };
	rc = fn(&piece, ctx);
	buffer_reset(&items->item);
	items->is_keeping = items->is_too_long = false;
	return rc;
}

static int keep_metadata(struct berm_items *items)
{
	int rc;

	items->metadata.size = 0;
	rc = buffer_add(&items->metadata, items->item.text, items->item.size);
	items->has_metadata = !rc;
	items->is_keeping = false;
	items->item.size = 0;
	return rc;
}

static int close_value(struct berm_items *items, berm_piece_fn fn, void *ctx)
{
	items->depth--;
	if (items->depth == 2 && items->in_items)
		return give_item(items, fn, ctx);
	if (items->depth == 1 && items->in_items)
		items->in_items = false;
	else if (items->depth == 1 && items->is_keeping)
		return keep_metadata(items);
	items->is_over = !items->depth;
	return 0;
}

/* A structural character outside of texts. */
static int structure(struct berm_items *items, char c, berm_piece_fn fn, void *ctx)
{
	if (c == '"')
		begin_text(items);
	else if (is_opening(c))
		open_value(items, c);
	else if (is_closing(c) && items->depth)
		return close_value(items, fn, ctx);
	else if (items->depth == 1 && (c == ':' || c == ','))
		items->is_key = c == ',';
	return 0;
}

static void inside_text(struct berm_items *items, char c)
{
	if (items->is_escaped)
		items->is_escaped = false;
	else if (c == '\\')
		items->is_escaped = true;
	else if (c == '"')
		items->in_text = false;
}

static int keep_bytes(struct berm_items *items, const char *text, size_t size)
{
	int rc = buffer_add(&items->item, text, size);

	if (rc != -E2BIG || !items->in_items)
		return rc;
	buffer_clear(&items->item);
	items->is_keeping = false;
	items->is_too_long = true;
	return 0;
}

static int one(struct berm_items *items, const char *c, berm_piece_fn fn, void *ctx)
{
	bool was_keeping = items->is_keeping, was_text = items->in_text;
	int rc = 0;

	if (items->is_over || (!items->depth && *c != '{'))
		return strchr(" \t\r\n", *c) && *c ? 0 : -EBADMSG;
	if (items->depth > MAX_DEPTH)
		return -EBADMSG;
	if (was_text)
		inside_text(items, *c);
	if (was_text && !items->in_text && items->depth == 1 && items->is_key) {
		end_key(items);
		return 0;
	}
	if (was_keeping)
		rc = keep_bytes(items, c, 1);
	if (!rc && !was_text)
		rc = structure(items, *c, fn, ctx);
	if (!rc && !was_keeping && items->is_keeping && *c != '"')
		rc = buffer_add(&items->item, c, 1);
	return rc;
}

/* How many bytes from here on are nothing but content of what is kept. */
static size_t plain_run(const struct berm_items *items, const char *at, const char *end)
{
	const char *from = at;

	if (items->depth < 2 || items->is_escaped)
		return 0;
	if (items->in_text)
		while (at < end && *at != '"' && *at != '\\')
			at++;
	else
		while (at < end && *at != '"' && !is_opening(*at) && !is_closing(*at))
			at++;
	return (size_t)(at - from);
}

int berm_items_feed(struct berm_items *items, const struct berm_piece *chunk, berm_piece_fn fn,
		    void *ctx)
{
	const char *at = chunk->text, *end = chunk->text + chunk->size;
	size_t run;
	int rc = 0;

	while (!rc && at < end) {
		run = plain_run(items, at, end);
		if (run && items->is_keeping)
			rc = keep_bytes(items, at, run);
		else if (!run)
			rc = one(items, at, fn, ctx);
		at += run ? run : 1;
	}
	return rc;
}

bool berm_items_is_complete(const struct berm_items *items)
{
	return items->is_over && items->has_metadata && items->has_items;
}

void berm_items_clear(struct berm_items *items)
{
	buffer_clear(&items->item);
	buffer_clear(&items->metadata);
	*items = (struct berm_items){ 0 };
}

/* ---- members ----------------------------------------------------------------------------------------------- */

static const char *skip_blank(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n'))
		at++;
	return at;
}

/* Behind the closing quote of the text at `at`; NULL: it has none. */
static const char *skip_text(const char *at, const char *end)
{
	for (at++; at < end && *at != '"'; at++)
		if (*at == '\\')
			at++;
	return at < end ? at + 1 : NULL;
}

static const char *skip_nested(const char *at, const char *end)
{
	unsigned int depth = 0;

	while (at && at < end) {
		if (*at == '"') {
			at = skip_text(at, end);
			continue;
		}
		depth += is_opening(*at);
		depth -= is_closing(*at);
		at++;
		if (!depth)
			return at;
	}
	return NULL;
}

static const char *skip_value(const char *at, const char *end)
{
	if (at >= end)
		return NULL;
	if (*at == '"')
		return skip_text(at, end);
	if (is_opening(*at))
		return skip_nested(at, end);
	while (at < end && *at != ',' && !is_closing(*at))
		at++;
	return at;
}

bool berm_piece_member(const struct berm_piece *object, const char *key, struct berm_piece *ret)
{
	const char *end = object->text + object->size, *at = skip_blank(object->text, end), *name;
	size_t want = strlen(key), len;

	if (at >= end || *at != '{')
		return false;
	for (at = skip_blank(at + 1, end); at < end && *at == '"'; at = skip_blank(at + 1, end)) {
		name = at + 1;
		at = skip_text(at, end);
		if (!at)
			return false;
		len = (size_t)(at - name) - 1;
		at = skip_blank(at, end);
		if (at >= end || *at != ':')
			return false;
		ret->text = skip_blank(at + 1, end);
		at = skip_value(ret->text, end);
		if (!at)
			return false;
		ret->size = (size_t)(at - ret->text);
		if (len == want && !memcmp(name, key, len))
			return true;
		at = skip_blank(at, end);
		if (at >= end || *at != ',')
			return false;
	}
	return false;
}

bool berm_piece_text(const struct berm_piece *object, const char *key, struct berm_piece *ret)
{
	struct berm_piece value;

	if (!berm_piece_member(object, key, &value) || value.size < 2 || value.text[0] != '"' ||
	    memchr(value.text, '\\', value.size))
		return false;
	*ret = (struct berm_piece){ value.text + 1, value.size - 2 };
	return true;
}

bool berm_piece_is(const struct berm_piece *piece, const char *text)
{
	return piece->size == strlen(text) && !memcmp(piece->text, text, piece->size);
}
