/* SPDX-License-Identifier: Apache-2.0 */
/* inquiry.c - forks, limits, reads a pipe. Knows no question. */
#include "inquiry.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"

#define PIPE_FD	  3
#define MAX_BYTES (32u << 20) /* of an answer */
#define CHUNK	  65536

struct berm_inquiry {
	struct berm_inquiry_opts opts;
	uv_poll_t readable;
	uv_timer_t late;
	unsigned int open; /* handles */
	pid_t child;
	int fd;
	char *text; /* one byte of status, then the answer */
	size_t size;
	bool is_over;
};

/* ---- the child ------------------------------------------------------------------------------------------- */

static unsigned long mapped_bytes(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f && fscanf(f, "%lu", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return pages * (unsigned long)sysconf(_SC_PAGESIZE);
}

static void be_first_victim(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "1000", 4) != 4) {
		/* then as likely as the agent */
	}
	close(fd);
}

/* Nothing of the agent's is left open: who waits for a connection's end must not wait for us. */
static int limit_child(int fd)
{
	struct rlimit cpu = { BERM_INQUIRY_SECONDS, BERM_INQUIRY_SECONDS };
	struct rlimit memory = { 0, 0 };
	struct sched_param idle = { 0 };

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGINT, SIG_DFL);
	be_first_victim();
	memory.rlim_cur = memory.rlim_max = mapped_bytes() + BERM_INQUIRY_BYTES;
	(void)sched_setscheduler(0, SCHED_IDLE, &idle); /* else at the agent's own priority */
	if (setrlimit(RLIMIT_CPU, &cpu) || setrlimit(RLIMIT_AS, &memory) ||
	    (fd != PIPE_FD && dup2(fd, PIPE_FD) < 0))
		return -errno;
	(void)syscall(SYS_close_range, PIPE_FD + 1, ~0u, 0); /* 5.9 */
	return 0;
}

static int write_all(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EIO;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

_Noreturn static void run_child(const struct berm_inquiry_opts *opts, int fd)
{
	int status = 0;
	char *text, byte;

	if (limit_child(fd))
		_exit(1);
	text = opts->answer(opts->ctx, &status);
	byte = (char)status;
	if (!text || write_all(PIPE_FD, &byte, 1) || write_all(PIPE_FD, text, strlen(text)))
		_exit(1);
	_exit(0);
}

/* ---- the agent --------------------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
	struct berm_inquiry *inquiry = handle->data;

	if (--inquiry->open)
		return;
	free(inquiry->text);
	free(inquiry);
}

static void end(struct berm_inquiry *inquiry)
{
	if (inquiry->is_over)
		return;
	inquiry->is_over = true;
	(void)kill(inquiry->child, SIGKILL); /* it may have ended */
	while (waitpid(inquiry->child, NULL, 0) < 0 && errno == EINTR)
		;
	uv_close((uv_handle_t *)&inquiry->readable, on_closed);
	uv_close((uv_handle_t *)&inquiry->late, on_closed);
	close(inquiry->fd);
}

static void finish(struct berm_inquiry *inquiry, bool is_whole)
{
	struct berm_inquiry_opts opts = inquiry->opts;
	bool has_answer = is_whole && inquiry->size > 1;
	int status = has_answer ? inquiry->text[0] : 0;

	opts.done(opts.ctx, status, has_answer ? inquiry->text + 1 : NULL);
	end(inquiry);
}

static int grow(struct berm_inquiry *inquiry)
{
	char *text;

	if (inquiry->size > MAX_BYTES)
		return -E2BIG;
	text = realloc(inquiry->text, inquiry->size + CHUNK + 1);
	if (!text)
		return -ENOMEM;
	inquiry->text = text;
	return 0;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct berm_inquiry *inquiry = poll->data;
	ssize_t n;

	(void)events;
	if (status < 0 || grow(inquiry)) {
		finish(inquiry, false);
		return;
	}
	n = read(inquiry->fd, inquiry->text + inquiry->size, CHUNK);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		inquiry->size += (size_t)n;
		inquiry->text[inquiry->size] = '\0';
		return;
	}
	finish(inquiry, !n);
}

static void on_late(uv_timer_t *timer)
{
	finish(timer->data, false);
}

static void watch(struct berm_inquiry *inquiry, uv_loop_t *loop)
{
	uv_poll_init(loop, &inquiry->readable, inquiry->fd);
	uv_timer_init(loop, &inquiry->late);
	inquiry->readable.data = inquiry->late.data = inquiry;
	inquiry->open = 2;
	uv_poll_start(&inquiry->readable, UV_READABLE, on_readable);
	uv_timer_start(&inquiry->late, on_late, BERM_INQUIRY_SECONDS * 1000, 0);
}

int berm_inquiry_start(uv_loop_t *loop, const struct berm_inquiry_opts *opts,
		       struct berm_inquiry **ret, struct berm_err *err)
{
	struct berm_inquiry *inquiry = calloc(1, sizeof(*inquiry));
	int fd[2];

	if (!inquiry)
		return berm_fail(err, -ENOMEM, "start an inquiry");
	if (pipe2(fd, O_CLOEXEC)) {
		free(inquiry);
		return berm_fail(err, -errno, "make a pipe");
	}
	inquiry->opts = *opts;
	inquiry->child = fork();
	if (!inquiry->child)
		run_child(opts, fd[1]);
	close(fd[1]);
	if (inquiry->child < 0) {
		int rc = -errno;

		close(fd[0]);
		free(inquiry);
		return berm_fail(err, rc, "start a process for the inquiry");
	}
	inquiry->fd = fd[0];
	(void)fcntl(fd[0], F_SETFL, O_NONBLOCK);
	watch(inquiry, loop);
	*ret = inquiry;
	return 0;
}

void berm_inquiry_stop(struct berm_inquiry *inquiry)
{
	if (inquiry)
		end(inquiry);
}
