/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_files.h - a directory of Kubernetes YAML and JSON as a source of the model: reads every *.yaml, *.yml
 * and *.json in it (not below it) and follows it with inotify. Knows no event loop and no kernel.
 *
 *  - A file that somebody has open for writing is left alone until it is closed, so no half of it is ever read.
 *  - A file that disappears takes its objects with it after BERM_FILES_GRACE_MS: editors replace files by
 *    deleting and creating them.
 *  - A file that cannot be read changes nothing, and so does a directory that disappears.
 *  - An object that stands in two files counts as the first file (by name) has it; both are named.
 */
#ifndef BERM_SOURCE_FILES_H
#define BERM_SOURCE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "document.h"
#include "err.h"
#include "intake.h"
#include "lastgood.h"
#include "model.h"

#define BERM_FILES_GRACE_MS  100
#define BERM_FILES_MAX_BYTES (8u << 20)

struct berm_files;

/* Opens the directory and starts to watch; reads nothing yet. model and store are borrowed and must outlive
 * it. -ENOENT, -ENOTDIR, -EACCES; -EMFILE: too many inotify instances. */
int berm_files_open(const char *dir, struct berm_model *model, struct berm_lastgood *store,
		    struct berm_files **ret, struct berm_err *err) must_check;
void berm_files_close(struct berm_files *files); /* accepts NULL; leaves the model as it is */

/* Readable when something has happened in the directory. */
int berm_files_fd(const struct berm_files *files);

/*
 * Takes in what has happened and loads what has changed into the model; the first call loads everything.
 * now_ms: a monotonic clock. *ret_wait_ms: call again then at the latest; -1: only when the fd says so.
 * Broken documents and files are no error: they are in the problems. -ENOMEM only.
 */
int berm_files_process(struct berm_files *files, int64_t now_ms, int *ret_wait_ms,
		       struct berm_err *err) must_check;

/* Has every file been read once (or found unreadable)? Before that the model is not complete. */
bool berm_files_has_synced(const struct berm_files *files);
/* The directory is gone: the last documents stay. */
bool berm_files_is_lost(const struct berm_files *files);

/* The next process() compares the whole directory with what is known, for what inotify does not tell
 * (network file systems, a directory that was replaced). */
void berm_files_rescan(struct berm_files *files);

/* What is known of the documents: intake.h. */
struct berm_intake *berm_files_intake(struct berm_files *files);

size_t berm_files_count(const struct berm_files *files);

#endif /* BERM_SOURCE_FILES_H */
