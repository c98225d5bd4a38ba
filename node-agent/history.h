/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.h - which documents came, changed and went with the last generations of this node, over restarts of the agent. Names and
 * digests, no texts. Knows no source.
 */
#ifndef BERM_HISTORY_H
#define BERM_HISTORY_H

#include <cjson/cJSON.h>

#include "err.h"
#include "model.h"

#define BERM_HISTORY_ENTRIES 10
#define BERM_HISTORY_NAMED   100 /* documents of an entry and a kind of change; all are counted */

struct berm_history;

struct berm_change {
	char *title; /* "SegmentationPolicy shop/db" */
	bool had_before;
};
struct berm_changes { /* zeroed at first */
	struct berm_change *item;
	size_t count, room;
	bool is_incomplete; /* no memory */
};
void berm_changes_clear(struct berm_changes *changes);

struct berm_generation {
	uint64_t generation;
	const char *digest; /* of the policy set, policyset.h */
	int64_t time_s;
	struct berm_changes *changes; /* all of them, to be filled in; NULL: nobody asks */
};

/* path: its file, which may be absent. A damaged one is told in *err, and the history begins anew; *ret is NULL only without
 * memory. */
int berm_history_open(const char *path, struct berm_history **ret, struct berm_err *err) must_check;
void berm_history_close(struct berm_history *history); /* accepts NULL; writes nothing */

/* Are the policies of the model others than those of the last entry? */
bool berm_history_is_behind(const struct berm_history *history, const struct berm_model *model);
/* They are in force now. -ENOMEM: the entry is missing, and is_behind says so. */
int berm_history_add(struct berm_history *history, const struct berm_model *model,
		     const struct berm_generation *now) must_check;
/* Nothing new: 0 and no system call. */
int berm_history_save(struct berm_history *history, struct berm_err *err) must_check;

/* 0: the newest; NULL: there are not so many. */
const cJSON *berm_history_entry(const struct berm_history *history, size_t i);

/* {history: [...]}, newest first (docs/rest-api.md); NULL without memory. */
cJSON *berm_history_json(const struct berm_history *history);

#endif /* BERM_HISTORY_H */
