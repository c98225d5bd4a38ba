/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - event first, then key=value. To stderr and, once opened, to a file that never grows beyond its
 * cap (twice that with the one old file kept beside it). Only the programs log; the library returns errors.
 */
#ifndef BERM_LOG_H
#define BERM_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

enum berm_log_level { BERM_LOG_ERROR, BERM_LOG_WARNING, BERM_LOG_INFO, BERM_LOG_DEBUG };

struct berm_log_opts {
	const char *program; /* "berm-cni"; must outlive the log */
	const char *path;    /* NULL: no file */
	size_t max_bytes;    /* of the file; 0 = 1 MiB. At the cap it is renamed to <path>.1 */
	enum berm_log_level level; /* what goes to the file */
	enum berm_log_level stderr_level;
	bool no_stderr;
};

/* Directories are made. On failure stderr goes on working. */
int berm_log_open(const struct berm_log_opts *opts, struct berm_err *err);
void berm_log_close(void);
/* From now on, of the file and of stderr. */
void berm_log_set_level(enum berm_log_level level);

/* berm_log(BERM_LOG_INFO, "pod-added", "pod=%s/%s ifindex=%u", ...). fmt may be NULL. Control characters
 * in the outcome are replaced, so one call is one line; free text belongs between \"%s\". */
void berm_log(enum berm_log_level level, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif /* BERM_LOG_H */
