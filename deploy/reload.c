/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reload.c - has the runtime read its configuration again? Runtimes offer no common way to ask, but reading is
 * visible: inotify tells that somebody has closed the file, across mount namespaces, and we do not open it meanwhile.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "cleanup.h"
#include "log.h"
#include "node.h"

#define POKE_MS 1000

/* Did one of the queued events say that a configuration file was read? */
static bool has_read(int fd)
{
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	const struct inotify_event *event;
	bool is_read = false;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		for (char *p = buf; p < buf + n; p += sizeof(*event) + event->len) {
			event = (const struct inotify_event *)p;
			if (event->len && !(event->mask & IN_ISDIR) &&
			    berm_confdir_is_conf(event->name))
				is_read = true;
		}
	return is_read;
}

static int wait_for_reader(const struct node_opts *opts, int fd, struct berm_err *err)
{
	long long deadline = node_now_ms() + opts->reload_s * 1000LL;
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	int rc;

	while (node_now_ms() < deadline) {
		rc = berm_confdir_poke(&opts->conf, err);
		if (rc)
			return rc;
		if (poll(&poll_fd, 1, POKE_MS) > 0 && has_read(fd))
			return 0;
	}
	return berm_refuse(
		err, -ETIMEDOUT,
		"the runtime has not read %s again within %d s: is it running, and is that its directory?",
		opts->conf.path, opts->reload_s);
}

int node_confirm_reload(const struct node_opts *opts, struct berm_err *err)
{
	struct berm_confdir_report report;
	auto_close int fd = -1;
	int rc = berm_confdir_look(&opts->conf, &report, err);

	if (rc == -ENOENT)
		return 0; /* nothing that could be read */
	if (rc && rc != -EPROTO && rc != -EINVAL)
		return rc;
	fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (fd < 0 || inotify_add_watch(fd, opts->conf.path, IN_CLOSE_NOWRITE) < 0)
		return berm_fail(err, -errno, "watch %s", opts->conf.path);
	return wait_for_reader(opts, fd, err);
}
