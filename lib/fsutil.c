/* SPDX-License-Identifier: Apache-2.0 */
/* fsutil.c - atomic writes and bounded reads. Knows no file's meaning. */
#include "fsutil.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"

#define READ_STEP 16384

static int write_all(int fd, const char *data, size_t size)
{
	ssize_t n;

	while (size) {
		n = write(fd, data, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

/* "<dir of path>/.<name>.<pid>": hidden, so that readers of the directory pass it by. */
static int temp_name(const char *path, char out[PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	int dir_len = slash ? (int)(slash - path) + 1 : 0;
	int n = snprintf(out, PATH_MAX, "%.*s.%s.%d", dir_len, path, path + dir_len, (int)getpid());

	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int sync_dir_of(const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	auto_close int fd = -1;

	if (!slash)
		strcpy(dir, ".");
	else
		snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd))
		return -errno;
	return 0;
}

static int write_temp(const char *temp, const void *data, size_t size, mode_t mode)
{
	auto_close int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	int rc;

	if (fd < 0)
		return -errno;
	rc = write_all(fd, data, size);
	if (rc)
		return rc;
	return fsync(fd) ? -errno : 0;
}

int berm_file_write(const char *path, const void *data, size_t size, mode_t mode,
		    struct berm_err *err)
{
	char temp[PATH_MAX];
	int rc = temp_name(path, temp);

	if (rc)
		return berm_fail(err, rc, "write %s", path);
	rc = write_temp(temp, data, size, mode);
	if (!rc && rename(temp, path))
		rc = -errno;
	if (rc) {
		(void)unlink(temp); /* it may not exist; the first error is the one to report */
		return berm_fail(err, rc, "write %s", path);
	}
	rc = sync_dir_of(path);
	return rc ? berm_fail(err, rc, "sync the directory of %s", path) : 0;
}

/* Reads on until the end; *buf grows by steps, never beyond max + 1. */
static int read_all(int fd, size_t max, char **buf, size_t *ret_size)
{
	size_t size = 0, room = 0;
	ssize_t n;
	char *more;

	for (;;) {
		if (room - size < 2) {
			room = room ? room * 2 : READ_STEP;
			more = realloc(*buf, room);
			if (!more)
				return -ENOMEM;
			*buf = more;
		}
		n = read(fd, *buf + size, room - size - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		size += (size_t)n;
		if (size > max)
			return -EFBIG;
	}
	(*buf)[size] = '\0';
	*ret_size = size;
	return 0;
}

int berm_fd_read(int fd, const char *name, size_t max, char **ret, size_t *ret_size,
		 struct berm_err *err)
{
	auto_free char *buf = NULL;
	size_t size = 0;
	int rc = read_all(fd, max, &buf, &size);

	if (rc == -EFBIG)
		return berm_refuse(err, rc, "%s has more than %zu bytes", name, max);
	if (rc)
		return berm_fail(err, rc, "read %s", name);
	*ret = TAKE_PTR(buf);
	if (ret_size)
		*ret_size = size;
	return 0;
}

int berm_file_read(const char *path, size_t max, char **ret, size_t *ret_size, struct berm_err *err)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* else a FIFO waits */
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return berm_fail(err, -errno, "open %s", path);
	if (S_ISFIFO(st.st_mode))
		return berm_refuse(err, -EINVAL, "%s is a FIFO, not a file; remove it", path);
	return berm_fd_read(fd, path, max, ret, ret_size, err);
}

static int make_dir(const char *path, mode_t mode)
{
	struct stat st;

	if (!mkdir(path, mode))
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (stat(path, &st))
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int berm_mkdirs(const char *path, mode_t mode, struct berm_err *err)
{
	char part[PATH_MAX];
	struct stat st;
	int rc;

	if (!stat(path, &st) && S_ISDIR(st.st_mode))
		return 0;
	if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part))
		return berm_fail(err, -ENAMETOOLONG, "make directory %.100s...", path);
	for (char *p = part + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		rc = make_dir(part, mode);
		if (rc)
			return berm_fail(err, rc, "make directory %s", part);
		*p = '/';
	}
	rc = make_dir(part, mode);
	return rc ? berm_fail(err, rc, "make directory %s", path) : 0;
}

int berm_file_delete(const char *path, struct berm_err *err)
{
	if (unlink(path) && errno != ENOENT)
		return berm_fail(err, -errno, "remove %s", path);
	return 0;
}
