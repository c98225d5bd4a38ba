/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest.h - read one file of a manifests directory, but never half of it. Knows files, not their content.
 */
#ifndef BERM_MANIFEST_H
#define BERM_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "err.h"

/* A writer that has been silent for so long is taken for finished, though it keeps the file open. */
#define BERM_MANIFEST_QUIET_MS 30000

/* Does a file of this name hold documents? Hidden files do not. */
bool berm_manifest_is(const char *name);

/*
 * Reads name in directory dirfd; caller frees *ret. *ret_st describes what was read.
 * -EAGAIN somebody is writing to it: ask again when it is closed, or a little later. -ENOENT; -EFBIG;
 * -EINVAL it is no regular file; else what the system says. The error has the name.
 */
int berm_manifest_read(int dirfd, const char *name, size_t max, char **ret, size_t *ret_size,
		       struct stat *ret_st, struct berm_err *err) must_check;

/* Are the two descriptions of one content: same inode, size and times? */
bool berm_manifest_same(const struct stat *a, const struct stat *b);

#endif /* BERM_MANIFEST_H */
