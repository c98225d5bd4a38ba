/* SPDX-License-Identifier: Apache-2.0 */
/* confirm_file.h - what confirm.c remembers, in memory and as a file. For these two alone. */
#ifndef BERM_CONFIRM_FILE_H
#define BERM_CONFIRM_FILE_H

#include "confirm.h"

struct berm_confirm_record { /* a guarded ConfigMap that nobody has confirmed */
	char *key, *source, *ns, *name;
	bool has_previous;
	struct berm_kept *previous; /* documents that were in force before */
	size_t previous_count;
	/* not in the file: the source says it */
	enum berm_confirm_state state;
	char digest[BERM_GUARD_DIGEST]; /* "": not read since the start */
	int64_t deadline_s;
	bool is_asked, is_seen; /* of this deadline; in this visit */
	bool is_known;		/* its source has been read since the start */
};

struct berm_confirms {
	char *path;
	int64_t since_s; /* this node knows of what happened after it */
	struct berm_confirm_record *record;
	size_t count;
	bool is_dirty;
};

void berm_confirm_record_clear(struct berm_confirm_record *record);

#endif /* BERM_CONFIRM_FILE_H */
