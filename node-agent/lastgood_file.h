/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lastgood_file.h - the last good documents of one source as a file: a line with size and checksum, then
 * JSON. Read whole or not at all.
 */
#ifndef BERM_LASTGOOD_FILE_H
#define BERM_LASTGOOD_FILE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "document.h"
#include "err.h"

struct berm_kept { /* one document */
	enum berm_policy_kind kind;
	char *key, *carrier; /* struct berm_object */
	char *ns, *name, *text;
	int line;
};

struct berm_kept_source {
	char *source;
	struct berm_kept *item; /* sorted by kind, ns, name */
	size_t count;
};

void berm_kept_source_sort(struct berm_kept_source *kept);
const struct berm_kept *berm_kept_source_find(const struct berm_kept_source *kept,
					      enum berm_policy_kind kind, const char *ns,
					      const char *name); /* or NULL */
/* Would the files be the same? Lines do not count. Both sorted. */
bool berm_kept_source_is_same(const struct berm_kept_source *a, const struct berm_kept_source *b);
void berm_kept_clear(struct berm_kept *kept); /* what it holds, not itself */
void berm_kept_source_clear(struct berm_kept_source *kept);

/* One document as JSON and back; NULL, false: no memory, or not what it should be. */
cJSON *berm_kept_json(const struct berm_kept *kept);
bool berm_kept_of_json(const cJSON *object, struct berm_kept *out);
/* -ENOMEM: *out is as it was, else it is complete. */
int berm_kept_copy(const struct berm_kept *kept, struct berm_kept *out) must_check;

/* Makes the directory if it is not there. */
int berm_kept_source_write(const char *dir, const struct berm_kept_source *kept,
			   struct berm_err *err) must_check;
int berm_kept_source_delete(const char *dir, const char *source, struct berm_err *err) must_check;

/*
 * Every file of the directory, which is made. take() moves what it wants out of *kept; its failure ends the
 * reading. A damaged file is named in problems and set aside (".damaged").
 */
int berm_kept_sources_read(const char *dir, int (*take)(void *ctx, struct berm_kept_source *kept),
			   void *ctx, struct berm_problems *problems,
			   struct berm_err *err) must_check;

#endif /* BERM_LASTGOOD_FILE_H */
