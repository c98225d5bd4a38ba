/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place.h - where a text stands in the file that the user wrote: a document inside a ConfigMap's value has
 * lines and columns of its own, and messages must name those of the file.
 */
#ifndef BERM_PLACE_H
#define BERM_PLACE_H

#include <stddef.h>

struct berm_pos { /* from 1, columns in characters; 0 = unknown */
	int line, column;
};

enum berm_place_kind {
	BERM_PLACE_BLOCK, /* line by line: a whole file, or a literal block (|) with its indentation */
	BERM_PLACE_QUOTED, /* on one line of the file, in double quotes, with escapes: a JSON string */
	BERM_PLACE_POINT, /* lines were folded: every position is that of the text's start */
};

struct berm_place {
	enum berm_place_kind kind;
	struct berm_pos start;	/* of the text's first character, in the file */
	const char *text, *end; /* QUOTED: what the file says, behind the quote; borrowed */
	/* QUOTED: how far the last question came, so that a walk through all lines is linear */
	const char *line_text;
	struct berm_pos line_start;
	int line;
};

#define BERM_PLACE_FILE                                                                            \
	{                                                                                          \
		.kind = BERM_PLACE_BLOCK, .start = { 1, 1 }                                        \
	}

/* From now on the text begins `lines` lines further down. */
void berm_place_advance(struct berm_place *place, int lines);

/* The file's position of a position in the text. Unknown stays unknown. */
struct berm_pos berm_place_map(struct berm_place *place, struct berm_pos pos);

#endif /* BERM_PLACE_H */
