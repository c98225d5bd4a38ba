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

static int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* flock() has no time-out, and a signal to end it would be the caller's business: ask again instead. */
static int flock_within(int fd, int timeout_ms)
{
	int64_t deadline = now_us() + (int64_t)timeout_ms * 1000;
	useconds_t pause = FIRST_PAUSE_US;

	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (now_us() >= deadline)
			return -ETIMEDOUT;
		usleep(pause);
		pause = pause * 2 > LAST_PAUSE_US ? LAST_PAUSE_US : pause * 2;
	}
	return 0;
}

int berm_flock_take(const char *path, int timeout_ms, int *ret_fd, struct berm_err *err)
{
	auto_close int fd = -1;
	int rc;

	rc = berm_mkdirs(BERM_RUN_DIR, 0755, err);
	if (rc)
		return rc;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return berm_fail(err, -errno, "open the lock %s", path);
	rc = flock_within(fd, timeout_ms);
	if (rc)
		return berm_fail(err, rc, "%s is held by another process (see: fuser %s)", path, path);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int berm_lock_take(int timeout_ms, int *ret_fd, struct berm_err *err)
{
	return berm_flock_take(BERM_LOCK, timeout_ms, ret_fd, err);
}
