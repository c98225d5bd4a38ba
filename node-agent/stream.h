/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h - cuts what an API server sends into pieces, wherever the network has cut it: a watch into lines, a list
 * into its items. Each byte is looked at once. Knows JSON's quotes and braces, neither Kubernetes nor HTTP.
 */
#ifndef BERM_STREAM_H
#define BERM_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

/* Of a line or an item: etcd takes objects of 1.5 MiB, and one byte of them takes up to six of JSON ("<" is \u003c). */
#define BERM_STREAM_MAX (12u << 20)

struct berm_piece { /* borrowed */
	const char *text;
	size_t size;
};

struct berm_buffer {
	char *text;
	size_t size, room;
};

/* Returns 0, or an error that ends the feeding and is passed on. A piece that is longer than the maximum was not kept:
 * its text is NULL. */
typedef int (*berm_piece_fn)(const struct berm_piece *piece, void *ctx);

struct berm_lines { /* zeroed: at the beginning */
	struct berm_buffer rest;
	bool is_skipping; /* a line that is too long */
};

/* Calls fn for every complete line without its end; empty ones are passed over. -ENOMEM. */
int berm_lines_feed(struct berm_lines *lines, const struct berm_piece *chunk, berm_piece_fn fn,
		    void *ctx) must_check;
void berm_lines_clear(struct berm_lines *lines);

/*
 * A list: {"metadata": {...}, "items": [{...}, ...], ...} in any order. fn gets each element of the member "items" of
 * the outermost object, and then metadata is there once its end has been seen.
 */
struct berm_items {
	struct berm_buffer item;     /* the item, metadata or key that is being read */
	struct berm_buffer metadata; /* complete once has_metadata */
	unsigned int depth;
	char key[16]; /* last key of the outermost object, cut */
	bool in_text, is_escaped, is_keeping, in_items;
	bool is_too_long; /* the item that is being read */
	bool is_key;	  /* the outermost object: a key comes, not a value */
	bool has_metadata, is_over;
	bool has_items; /* the member, though it may be null */
};

/* -EBADMSG: no such JSON; -E2BIG: what is no item is too long; -ENOMEM. */
int berm_items_feed(struct berm_items *items, const struct berm_piece *chunk, berm_piece_fn fn,
		    void *ctx) must_check;
/* Was it a whole list? */
bool berm_items_is_complete(const struct berm_items *items);
void berm_items_clear(struct berm_items *items);

/* The value of a member of the outermost object, as it stands there; false: no such member, or no object. */
bool berm_piece_member(const struct berm_piece *object, const char *key, struct berm_piece *ret);
/* The same for a text without escapes, without its quotes. */
bool berm_piece_text(const struct berm_piece *object, const char *key, struct berm_piece *ret);
bool berm_piece_is(const struct berm_piece *piece, const char *text);

#endif /* BERM_STREAM_H */
