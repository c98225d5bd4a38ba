/* SPDX-License-Identifier: Apache-2.0 */
/*
 * field.h - reading a document's tree strictly: each getter checks the type and, when it is not what it
 * should be, adds a problem with the field's path and the position in the user's file. Knows no kind.
 */
#ifndef BERM_FIELD_H
#define BERM_FIELD_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "document.h"
#include "place.h"

struct berm_reader { /* one document being read */
	const char *source;
	struct berm_place place;
	struct berm_problems *problems;
	char document[360];  /* "SegmentationPolicy shop/web", as far as known */
	bool null_is_absent; /* as the Kubernetes API has it; else a null is an error */
	unsigned int errors; /* of this document, shown or not */
	unsigned int shown;
	bool no_memory;
};

struct berm_field {
	struct berm_reader *reader;
	const struct berm_field *parent; /* NULL: the document itself */
	const cJSON *node;
	int index; /* in its list; -1: it is a member and has a name */
};

/* ---- problems: hint may be NULL ----------------------------------------------------------------- */

void berm_field_error(const struct berm_field *field, const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void berm_field_warn(const struct berm_field *field, const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* An error, or a warning, that has a code of its own. */
void berm_field_problem(const struct berm_field *field, enum berm_problem_code code,
			const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The same as berm_field_error() at the position of the field's name. */
void berm_field_name_error(const struct berm_field *field, const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Without a field: a position of the text, {0, 0} for none. */
void berm_reader_error(struct berm_reader *reader, struct berm_pos at, const char *hint,
		       const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Line of the field in the user's file. */
int berm_field_line(const struct berm_field *field);

/* ---- values: NULL or false after adding a problem ------------------------------------------------- */

const char *berm_field_text(const struct berm_field *field);
bool berm_field_int(const struct berm_field *field, int min, int max, int *out);
bool berm_field_bool(const struct berm_field *field, bool *out);
bool berm_field_is_map(const struct berm_field *field);
/* A list of at most max items. */
bool berm_field_is_list(const struct berm_field *field, size_t max);
/* "the number 8080", "a list": for messages. */
const char *berm_field_describe(const struct berm_field *field, char *out, size_t size);

/* One of some words. A word that is not supported is known, and refused as such. */
struct berm_word {
	const char *name;
	int value;
	bool unsupported;
};
bool berm_field_word(const struct berm_field *field, const struct berm_word *words, size_t count,
		     int *out);

/* A copy that belongs to the caller; NULL and no_memory set when there is none. */
char *berm_reader_copy(struct berm_reader *reader, const char *text);
/* calloc with the same habit; NULL for count 0 too. */
void *berm_reader_alloc(struct berm_reader *reader, size_t count, size_t size);

/* ---- structure ------------------------------------------------------------------------------------ */

/* A member that is there and not null; adds no problem. */
bool berm_field_get(const struct berm_field *object, const char *name, struct berm_field *out);
struct berm_field
berm_field_first(const struct berm_field *container); /* node NULL: there is none */
void berm_field_next(struct berm_field *item);
/* The container must have been checked by is_list or is_map. */
#define berm_field_each(item, container)                                                           \
	for ((item) = berm_field_first(container); (item).node; berm_field_next(&(item)))

enum { BERM_MEMBER_OPTIONAL, BERM_MEMBER_REQUIRED, BERM_MEMBER_IGNORED, BERM_MEMBER_UNSUPPORTED };

struct berm_member {
	const char *name;
	int how; /* BERM_MEMBER_* */
	void (*read)(const struct berm_field *field, void *into);
	const char *hint; /* for UNSUPPORTED: what to do instead; may be NULL */
};

/*
 * Reads every member of a mapping by its row of the table, in the order of the file. A member that is not in
 * the table is an error with a hint, a REQUIRED one that is missing too. False: not even a mapping.
 */
bool berm_field_members(const struct berm_field *object, const struct berm_member *table,
			size_t count, void *into);

#endif /* BERM_FIELD_H */
