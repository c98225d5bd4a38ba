/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest.c - reads a file that other programs write when they please.
 *
 * inotify says when a file has been closed, but not, after a start or after lost events, whether one is being
 * written just now. A read lease says it (fcntl(2), F_SETLEASE): the kernel grants none while a
 * writer has the file open. It is given back before we read, so no writer ever waits for us.
 */
#include "manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "fsutil.h"

bool berm_manifest_is(const char *name)
{
	static const char *const endings[] = { ".yaml", ".yml", ".json" };
	size_t len = strlen(name), i, n;

	if (name[0] == '.')
		return false;
	for (i = 0; i < ARRAY_SIZE(endings); i++) {
		n = strlen(endings[i]);
		if (len > n && !strcmp(name + len - n, endings[i]))
			return true;
	}
	return false;
}

bool berm_manifest_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static int64_t age_ms(const struct stat *st)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)(now.tv_sec - st->st_mtim.tv_sec) * 1000 +
	       (now.tv_nsec - st->st_mtim.tv_nsec) / 1000000;
}

/* File systems without leases and files of other users (without CAP_LEASE) give no answer: then no. */
static bool is_being_written(int fd, const struct stat *st)
{
	if (!fcntl(fd, F_SETLEASE, F_RDLCK)) {
		fcntl(fd, F_SETLEASE, F_UNLCK);
		return false;
	}
	return errno == EAGAIN && age_ms(st) >= 0 && age_ms(st) < BERM_MANIFEST_QUIET_MS;
}

int berm_manifest_read(int dirfd, const char *name, size_t max, char **ret, size_t *ret_size,
		       struct stat *ret_st, struct berm_err *err)
{
	/* O_NONBLOCK: neither a FIFO nor somebody's lease must stop us. */
	auto_close int fd = openat(dirfd, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	auto_free char *text = NULL;
	struct stat before, after;
	size_t size;
	int rc;

	if (fd < 0)
		return berm_fail(err, -errno, "open %s", name);
	if (fstat(fd, &before))
		return berm_fail(err, -errno, "look at %s", name);
	if (!S_ISREG(before.st_mode))
		return berm_refuse(err, -EINVAL, "%s is not a regular file", name);
	if (is_being_written(fd, &before))
		return berm_refuse(err, -EAGAIN, "%s is being written", name);
	rc = berm_fd_read(fd, name, max, &text, &size, err);
	if (rc)
		return rc;
	if (fstat(fd, &after) || !berm_manifest_same(&before, &after))
		return berm_refuse(err, -EAGAIN, "%s changed while it was read", name);
	*ret = TAKE_PTR(text);
	*ret_size = size;
	*ret_st = after;
	return 0;
}
