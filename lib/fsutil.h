/* SPDX-License-Identifier: Apache-2.0 */
/* fsutil.h - files that are either the old one or the new one, and reads that have a bound. */
#ifndef BERM_FSUTIL_H
#define BERM_FSUTIL_H

#include <stddef.h>
#include <sys/types.h>

#include "err.h"

/* Replace the content of path: temporary file beside it, fsync, rename, fsync of the directory. A reader
 * sees all of the old or all of the new, also after a power cut. mode is that of the new file. */
int berm_file_write(const char *path, const void *data, size_t size, mode_t mode,
		    struct berm_err *err) must_check;

/* The whole file, terminated by a NUL that is not counted in *ret_size (may be NULL). Caller frees *ret.
 * -ENOENT absent (no message worth printing); -EFBIG more than max bytes; -EINVAL a FIFO. */
int berm_file_read(const char *path, size_t max, char **ret, size_t *ret_size,
		   struct berm_err *err) must_check;

/* The same from an open descriptor, up to its end. name is for messages. */
int berm_fd_read(int fd, const char *name, size_t max, char **ret, size_t *ret_size,
		 struct berm_err *err) must_check;

/* mkdir -p; an existing directory is fine and keeps its mode. */
int berm_mkdirs(const char *path, mode_t mode, struct berm_err *err) must_check;

/* Absent is fine. */
int berm_file_delete(const char *path, struct berm_err *err);

#endif /* BERM_FSUTIL_H */
