/* SPDX-License-Identifier: Apache-2.0 */
/*
 * undo.h - the texts that go with the history (history.h): what each generation's documents were before it, so that a node can go back.
 * One file for a generation, at most BERM_HISTORY_ENTRIES of them. Knows no model and no source.
 */
#ifndef BERM_UNDO_H
#define BERM_UNDO_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "history.h"
#include "lastgood_file.h"

#define BERM_UNDO_MAX_BYTES (16u << 20) /* of a generation; more cannot be undone */

/* Documents that have been replaced or removed since the last generation, as they were. Zeroed at first. */
struct berm_replaced {
	struct berm_kept *item; /* as they came: the first of a name counts */
	size_t count, room, bytes;
	bool is_incomplete; /* too much, or no memory */
};
void berm_replaced_note(struct berm_replaced *replaced, const struct berm_kept *kept);
void berm_replaced_clear(struct berm_replaced *replaced);

struct berm_undo_step {		     /* what one policy was before */
	struct berm_kept was;	     /* text NULL: see below */
	bool was_absent, is_unknown; /* unknown: its text did not change, or nobody kept it */
};

struct berm_undo_steps {
	struct berm_undo_step *item;
	size_t count;
};
void berm_undo_steps_clear(struct berm_undo_steps *steps);

struct berm_undo;

/* Only -ENOMEM. The directory is made when there is something to write. */
int berm_undo_open(const char *dir, struct berm_undo **ret, struct berm_err *err) must_check;
void berm_undo_close(struct berm_undo *undo); /* accepts NULL */

/* The newest entry of the history came with these changes. Without memory it cannot be undone. */
void berm_undo_add(struct berm_undo *undo, const struct berm_history *history,
		   const struct berm_changes *changes, struct berm_replaced *replaced);
/* Nothing new: 0 and no system call. */
int berm_undo_save(struct berm_undo *undo, const struct berm_history *history,
		   struct berm_err *err) must_check;

struct berm_undo_wish {
	double generation; /* below 0: the one before the newest */
	const char *
		policy; /* "ns/name", or "name" of one without namespace: only that, as it was before it last changed; NULL: all */
};

/*
 * What has to be undone, each policy once. *ret_generation: that the node goes back to. -ENOENT: no such generation or policy in the
 * history; -ENODATA: what it was is not kept; the message says it.
 */
int berm_undo_find(struct berm_undo *undo, const struct berm_history *history,
		   const struct berm_undo_wish *wish, struct berm_undo_steps *ret,
		   double *ret_generation, struct berm_err *err) must_check;

#endif /* BERM_UNDO_H */
