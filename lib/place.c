/* SPDX-License-Identifier: Apache-2.0 */
/* place.c - maps positions of an embedded text to the file around it. Does not parse. */
#include "place.h"

#include <stdbool.h>
#include <string.h>

/* One character of a double-quoted YAML or JSON string: its bytes and its columns in the file. */
static const char *next_unit(const char *p, const char *end, int *ret_columns)
{
	const char *start = p++;
	size_t len;

	if (*start == '\\' && p < end) {
		len = *p == 'x' ? 4 : *p == 'u' ? 6 : *p == 'U' ? 10 : 2;
		if (len > (size_t)(end - start))
			len = (size_t)(end - start);
		*ret_columns = (int)len;
		return start + len;
	}
	while (p < end && ((unsigned char)*p & 0xc0) == 0x80)
		p++;
	*ret_columns = 1;
	return p;
}

static bool is_newline(const char *p, const char *end)
{
	return end - p >= 2 && p[0] == '\\' && p[1] == 'n';
}

static void rewind_place(struct berm_place *place)
{
	place->line = 1;
	place->line_text = place->text;
	place->line_start = place->start;
}

/* Moves line_text to the start of the text's line `line`, or to the end. */
static void seek_line(struct berm_place *place, int line)
{
	int columns;

	if (!place->line_text || place->line > line)
		rewind_place(place);
	while (place->line < line && place->line_text < place->end) {
		bool is_end = is_newline(place->line_text, place->end);

		place->line_text = next_unit(place->line_text, place->end, &columns);
		place->line_start.column += columns;
		place->line += is_end;
	}
}

static struct berm_pos map_quoted(struct berm_place *place, struct berm_pos pos)
{
	struct berm_pos out;
	const char *p;
	int columns;

	seek_line(place, pos.line);
	out = place->line_start;
	p = place->line_text;
	for (int column = 1; column < pos.column && p < place->end && !is_newline(p, place->end);
	     column++) {
		p = next_unit(p, place->end, &columns);
		out.column += columns;
	}
	return out;
}

void berm_place_advance(struct berm_place *place, int lines)
{
	if (place->kind == BERM_PLACE_BLOCK)
		place->start.line += lines;
	if (place->kind != BERM_PLACE_QUOTED)
		return;
	seek_line(place, 1 + lines);
	place->text = place->line_text;
	place->start = place->line_start;
	rewind_place(place);
}

struct berm_pos berm_place_map(struct berm_place *place, struct berm_pos pos)
{
	if (pos.line < 1)
		return pos;
	switch (place->kind) {
	case BERM_PLACE_BLOCK:
		pos.line += place->start.line - 1;
		pos.column += place->start.column - 1;
		return pos;
	case BERM_PLACE_QUOTED:
		return map_quoted(place, pos);
	case BERM_PLACE_POINT:
		break;
	}
	return place->start;
}
