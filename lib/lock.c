/* SPDX-License-Identifier: Apache-2.0 */
/* lock.c - one writer of slots at a time on a node. Declared in maps.h. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>

#include "cleanup.h"
#include "fsutil.h"
#include "maps.h"
#include "paths.h"

#define FIRST_PAUSE_US 50
#define LAST_PAUSE_US  2000
#define PATIENCE       50

static int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* Who holds it, as the holder wrote it; 0 = nobody has yet. */
static pid_t holder_read(int fd)
{
	pid_t pid = 0;

	return pread(fd, &pid, sizeof(pid), 0) == sizeof(pid) ? pid : 0;
}

static void holder_write(int fd)
{
	pid_t pid = getpid();
	ssize_t n = pwrite(fd, &pid, sizeof(pid), 0);

	(void)n; /* on a full disk others only lose patience earlier */
}

/*
 * flock() has no time-out, and a signal to end it would be the caller's business: ask again instead. The time
 * counts from the last change of hands: a queue that moves is waited for (up to `patience` times as long in all), a
 * holder that is stuck is not.
 */
static int flock_within(int fd, int timeout_ms, int patience)
{
	int64_t timeout = (int64_t)timeout_ms * 1000, deadline = now_us() + timeout;
	int64_t last = now_us() + patience * timeout;
	pid_t holder = holder_read(fd), now;
	useconds_t pause = FIRST_PAUSE_US;

	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		now = holder_read(fd);
		if (now != holder)
			deadline = now_us() + timeout;
		if (now_us() >= deadline || now_us() >= last)
			return -ETIMEDOUT;
		holder = now;
		usleep(pause);
		pause = pause * 2 > LAST_PAUSE_US ? LAST_PAUSE_US : pause * 2;
	}
	holder_write(fd);
	return 0;
}

static int take(const char *path, int timeout_ms, int patience, int *ret_fd, struct berm_err *err)
{
	auto_close int fd = -1;
	int rc;

	rc = berm_mkdirs(BERM_RUN_DIR, 0755, err);
	if (rc)
		return rc;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return berm_fail(err, -errno, "open the lock %s", path);
	rc = flock_within(fd, timeout_ms, patience);
	if (rc)
		return berm_fail(err, rc, "%s is held by process %d", path, (int)holder_read(fd));
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int berm_flock_take(const char *path, int timeout_ms, int *ret_fd, struct berm_err *err)
{
	return take(path, timeout_ms, PATIENCE, ret_fd, err);
}

int berm_lock_take(int timeout_ms, int *ret_fd, struct berm_err *err)
{
	return take(BERM_LOCK, timeout_ms, PATIENCE, ret_fd, err);
}

int berm_lock_try(int max_ms, int *ret_fd, struct berm_err *err)
{
	return take(BERM_LOCK, max_ms, 1, ret_fd, err);
}
