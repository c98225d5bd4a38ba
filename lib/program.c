/* SPDX-License-Identifier: Apache-2.0 */
/* program.c - copies programs by temporary file, fsync and rename. Knows none of them. */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"

#define CHUNK 65536

static int dir_fail(const char *dir, int code, const char *what, struct berm_err *err)
{
	if (code == -EROFS)
		return berm_refuse(
			err, code,
			"%s %s: it is read-only. Mount the directory from which the runtime runs its network plugins writable, or name it if it is another one",
			what, dir);
	if (code == -EACCES || code == -EPERM)
		return berm_refuse(
			err, code,
			"%s %s: not permitted. The directory should belong to root and be writable for it",
			what, dir);
	return berm_fail(err, code, "%s %s", what, dir);
}

static int dir_open(const char *dir, int *ret_fd, struct berm_err *err)
{
	*ret_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? dir_fail(dir, -errno, "open", err) : 0;
}

static int temp_name(const char *name, char out[NAME_MAX + 1])
{
	return snprintf(out, NAME_MAX + 1, ".%s.new", name) > NAME_MAX ? -ENAMETOOLONG : 0;
}

static ssize_t read_full(int fd, char *buf, size_t size)
{
	size_t got = 0;
	ssize_t n;

	while (got < size) {
		n = read(fd, buf + got, size - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

/* From where both stand to their ends. */
static bool is_same_content(int a, int b)
{
	static char x[CHUNK], y[CHUNK];
	ssize_t n, m;

	do {
		n = read_full(a, x, sizeof(x));
		m = read_full(b, y, sizeof(y));
		if (n < 0 || n != m || memcmp(x, y, (size_t)n) != 0)
			return false;
	} while (n);
	return true;
}

static bool is_runnable(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_size > 0 && (st->st_mode & 0111) == 0111;
}

static bool is_installed(int source, int dirfd, const char *name)
{
	auto_close int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	return fd >= 0 && !fstat(fd, &st) && is_runnable(&st) && is_same_content(source, fd);
}

static int copy(int from, int to)
{
	static char buf[CHUNK];
	ssize_t n, done, m;

	while ((n = read_full(from, buf, sizeof(buf))) > 0)
		for (done = 0; done < n; done += m) {
			m = write(to, buf + done, (size_t)(n - done));
			if (m < 0 && errno == EINTR)
				m = 0;
			else if (m < 0)
				return -errno;
		}
	return (int)n;
}

static int temp_write(int source, int dirfd, const char *temp)
{
	auto_close int fd = -1;
	int rc;

	(void)unlinkat(dirfd, temp, 0); /* of a copy that was killed */
	fd = openat(dirfd, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0700);
	if (fd < 0)
		return -errno;
	if (lseek(source, 0, SEEK_SET))
		return -errno;
	rc = copy(source, fd);
	if (rc)
		return rc;
	return fchmod(fd, 0755) || fsync(fd) ? -errno : 0;
}

int berm_program_install(const char *source, const char *dir, const char *name, bool *ret_changed,
			 struct berm_err *err)
{
	auto_close int from = open(source, O_RDONLY | O_CLOEXEC);
	auto_close int dirfd = -1;
	char temp[NAME_MAX + 1];
	int rc;

	if (from < 0)
		return berm_fail(err, -errno, "open %s", source);
	rc = dir_open(dir, &dirfd, err);
	if (rc)
		return rc;
	*ret_changed = !is_installed(from, dirfd, name);
	if (!*ret_changed)
		return 0;
	rc = temp_name(name, temp);
	if (!rc)
		rc = temp_write(from, dirfd, temp);
	if (!rc && renameat(dirfd, temp, dirfd, name))
		rc = -errno;
	if (rc) {
		(void)unlinkat(dirfd, temp, 0); /* the first error is the one to report */
		return dir_fail(dir, rc, "write to", err);
	}
	return fsync(dirfd) ? dir_fail(dir, -errno, "sync", err) : 0;
}

bool berm_program_is_there(const char *dir, const char *name)
{
	auto_close int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	return dirfd >= 0 && !fstatat(dirfd, name, &st, 0) && is_runnable(&st);
}

int berm_program_remove(const char *dir, const char *name, struct berm_err *err)
{
	auto_close int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char temp[NAME_MAX + 1];

	if (dirfd < 0)
		return errno == ENOENT ? 0 : dir_fail(dir, -errno, "open", err);
	if ((unlinkat(dirfd, name, 0) && errno != ENOENT) || temp_name(name, temp) ||
	    (unlinkat(dirfd, temp, 0) && errno != ENOENT))
		return dir_fail(dir, -errno, "remove a program from", err);
	return 0;
}
