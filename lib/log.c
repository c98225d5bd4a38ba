/* SPDX-License-Identifier: Apache-2.0 */
/* log.c - lines to stderr and a capped file. Knows no event. */
#include "log.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "cleanup.h"
#include "fsutil.h"

#define DEFAULT_BYTES (1u << 20)
#define LINE_BYTES    2048

static struct {
	struct berm_log_opts opts;
	char path[PATH_MAX];
	int fd;
} state = { .fd = -1, .opts = { .stderr_level = BERM_LOG_INFO } };

static int file_open(void)
{
	int fd = open(state.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);

	return fd < 0 ? -errno : fd;
}

int berm_log_open(const struct berm_log_opts *opts, struct berm_err *err)
{
	char dir[PATH_MAX];
	char *slash;
	int rc;

	berm_log_close();
	state.opts = *opts;
	if (!opts->path)
		return 0;
	if (snprintf(state.path, sizeof(state.path), "%s", opts->path) >= (int)sizeof(state.path))
		return berm_fail(err, -ENAMETOOLONG, "log file");
	strcpy(dir, state.path);
	slash = strrchr(dir, '/');
	if (slash && slash != dir) {
		*slash = '\0';
		rc = berm_mkdirs(dir, 0755, err);
		if (rc)
			return rc;
	}
	state.fd = file_open();
	return state.fd < 0 ? berm_fail(err, state.fd, "open the log file %s", state.path) : 0;
}

void berm_log_close(void)
{
	if (state.fd >= 0)
		close(state.fd);
	state.fd = -1;
}

void berm_log_set_level(enum berm_log_level level)
{
	state.opts.level = state.opts.stderr_level = level;
}

static bool is_same_file(int fd, const char *path)
{
	struct stat a, b;

	return !fstat(fd, &a) && !stat(path, &b) && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

/* Several processes write one file: whoever holds the old file's lock and still finds it in its place moves
 * it away; the others only open the new one. */
static void rotate(void)
{
	char old[PATH_MAX + 2];
	struct stat st;
	size_t max = state.opts.max_bytes ? state.opts.max_bytes : DEFAULT_BYTES;
	int fd;

	if (fstat(state.fd, &st) || st.st_size < (off_t)max || flock(state.fd, LOCK_EX | LOCK_NB))
		return;
	snprintf(old, sizeof(old), "%s.1", state.path);
	if (is_same_file(state.fd, state.path) && rename(state.path, old)) {
		(void)flock(state.fd, LOCK_UN); /* closing does it too */
		return;
	}
	fd = file_open();
	if (fd < 0) {
		(void)flock(state.fd, LOCK_UN); /* go on with the old file rather than with none */
		return;
	}
	close(state.fd);
	state.fd = fd;
}

static size_t format_time(char *out, size_t size)
{
	struct timespec ts;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
	return n + (size_t)snprintf(out + n, size - n, ".%03ldZ ", ts.tv_nsec / 1000000);
}

static void clean(char *line)
{
	for (; *line; line++)
		if ((unsigned char)*line < ' ' || *line == 0x7f)
			*line = '?';
}

static void put(int fd, const char *line, size_t len)
{
	ssize_t n;

	do {
		n = write(fd, line, len); /* one write: lines of several processes do not mix */
	} while (n < 0 && errno == EINTR);
}

void berm_log(enum berm_log_level level, const char *event, const char *fmt, ...)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	bool to_file = state.fd >= 0 && level <= state.opts.level;
	bool to_stderr = !state.opts.no_stderr && level <= state.opts.stderr_level;
	char line[LINE_BYTES + 1];
	size_t start, n;
	va_list ap;

	if (!to_file && !to_stderr)
		return;
	start = n = format_time(line, LINE_BYTES);
	n += (size_t)snprintf(line + n, LINE_BYTES - n, "%s level=%s", event, names[level]);
	if (state.opts.program && n < LINE_BYTES)
		n += (size_t)snprintf(line + n, LINE_BYTES - n, " program=%s pid=%d",
				      state.opts.program, getpid());
	if (fmt && n + 1 < LINE_BYTES) {
		line[n++] = ' ';
		va_start(ap, fmt);
		n += (size_t)vsnprintf(line + n, LINE_BYTES - n, fmt, ap);
		va_end(ap);
	}
	if (n >= LINE_BYTES)
		n = LINE_BYTES - 1;
	clean(line);
	line[n++] = '\n';
	if (to_stderr)
		put(STDERR_FILENO, line + start, n - start);
	if (to_file) {
		rotate();
		put(state.fd, line, n);
	}
}
