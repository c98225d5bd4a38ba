/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uninstall.c - takes Berm off a node: first out of the runtime's list, last the program that old pods' runtimes may
 * still look for. Pods keep running and keep their connections. Every step may be done again.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "conflist.h"
#include "fsutil.h"
#include "link.h"
#include "log.h"
#include "netdev.h"
#include "node.h"
#include "paths.h"
#include "program.h"

#define AGENT_LOCK_NAME "agent.lock"
#define AGENT_LOCK	BERM_RUN_DIR "/" AGENT_LOCK_NAME
#define RETRY_MS	100
#define STAY_MS		1000

static volatile sig_atomic_t must_end;

/* ---- removing trees -------------------------------------------------------------------------------------------------- */

static const char *keep_name; /* nftw() has no argument for its callback */
static int first_error;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	int rc;

	(void)st;
	if (!ftw->level || (keep_name && ftw->level == 1 && !strcmp(path + ftw->base, keep_name)))
		return 0;
	rc = type == FTW_DP ? rmdir(path) : unlink(path);
	if (rc && errno != ENOENT && errno != EBUSY && !first_error)
		first_error = -errno;
	return 0;
}

/* What is in the directory; itself too where it is not a mount point of ours. */
static int empty_dir(const char *dir, const char *keep, struct berm_err *err)
{
	keep_name = keep;
	first_error = 0;
	if (nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) && errno != ENOENT)
		return berm_fail(err, -errno, "remove %s", dir);
	if (first_error)
		return berm_fail(err, first_error, "remove what is in %s", dir);
	if (!keep)
		(void)rmdir(dir); /* a mount point in a pod: then it stays, empty */
	return 0;
}

/* ---- steps ---------------------------------------------------------------------------------------------------------------- */

static int step_conflist(const struct node_opts *opts, struct berm_err *err)
{
	long long deadline = node_now_ms() + opts->wait_s * 1000LL;
	int count = 0, rc;

	do {
		rc = berm_confdir_remove(&opts->conf, &count, err);
		if (rc != -EAGAIN)
			break;
		node_pause_ms(RETRY_MS);
	} while (node_now_ms() < deadline && !must_end);
	if (rc == -ENOENT)
		return 0; /* no such directory: nothing of ours in it */
	if (!rc)
		berm_log(BERM_LOG_INFO, "conflist-restored", "dir=%s files=%d", opts->conf.path,
			 count);
	return rc;
}

static int step_reload(const struct node_opts *opts, struct berm_err *err)
{
	struct stat st;
	int rc;

	if (!opts->reload_s || stat(opts->conf.path, &st))
		return 0;
	rc = node_confirm_reload(opts, err);
	if (!rc)
		berm_log(BERM_LOG_INFO, "runtime-reloaded", "dir=%s", opts->conf.path);
	return rc;
}

static int detach_all(struct berm_err *err)
{
	auto_free struct berm_veth *veths = NULL;
	size_t count = 0;
	int rc = berm_netdev_veths(&veths, &count, err);

	for (size_t i = 0; !rc && i < count; i++)
		rc = berm_link_detach(veths[i].ifindex, err);
	return rc;
}

/* Without their pins, maps and programs end with the links that hold them. */
static int step_datapath(const struct node_opts *opts, struct berm_err *err)
{
	int rc = detach_all(err);

	(void)opts;
	if (!rc)
		rc = empty_dir(BERM_PIN_DIR, NULL, err);
	if (!rc)
		berm_log(BERM_LOG_INFO, "datapath-removed", "dir=" BERM_PIN_DIR);
	return rc;
}

static int step_state(const struct node_opts *opts, struct berm_err *err)
{
	int rc = empty_dir(BERM_RUN_DIR, AGENT_LOCK_NAME, err);

	(void)opts;
	if (!rc)
		rc = empty_dir(BERM_STATE_DIR, NULL, err);
	if (!rc)
		rc = empty_dir(BERM_LOG_DIR, NULL, err);
	if (!rc)
		berm_log(BERM_LOG_INFO, "state-removed",
			 "dirs=" BERM_RUN_DIR "," BERM_STATE_DIR "," BERM_LOG_DIR);
	return rc;
}

static int step_program(const struct node_opts *opts, struct berm_err *err)
{
	int rc;

	if (opts->keep_plugin)
		return 0;
	rc = berm_program_remove(opts->bin_dir, BERM_CNI_TYPE, err);
	if (!rc)
		berm_log(BERM_LOG_INFO, "plugin-removed", "dir=%s", opts->bin_dir);
	return rc;
}

/* An ADD that began with the old list may have made all anew; without the program there is no further one. */
static int step_late(const struct node_opts *opts, struct berm_err *err)
{
	int rc = node_check_clean(opts, NULL) ? step_datapath(opts, err) : 0;

	return rc ? rc : empty_dir(BERM_RUN_DIR, AGENT_LOCK_NAME, err);
}

/* ---- the agent ------------------------------------------------------------------------------------------------------------ */

/* It would put everything back. While we hold its lock, none can start. */
static int stop_agents(const struct node_opts *opts, int *ret_fd, struct berm_err *err)
{
	long long deadline = node_now_ms() + opts->wait_s * 1000LL;
	auto_close int fd = -1;
	int rc = berm_mkdirs(BERM_RUN_DIR, 0755, err);

	if (rc)
		return rc;
	fd = open(AGENT_LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return berm_fail(err, -errno, "open " AGENT_LOCK);
	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK)
			return berm_fail(err, -errno, "lock " AGENT_LOCK);
		if (node_now_ms() >= deadline || must_end)
			return berm_refuse(
				err, -EBUSY,
				"berm-agent still runs on this node, and would undo it: stop it first");
		node_pause_ms(RETRY_MS);
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static void on_signal(int signum)
{
	(void)signum;
	must_end = 1;
}

static int run_steps(const struct node_opts *opts, struct berm_err *err)
{
	static int (*const steps[])(const struct node_opts *, struct berm_err *) = {
		step_conflist, step_reload, step_datapath, step_state, step_program, step_late,
	};
	int rc = 0;

	for (size_t i = 0; !rc && i < ARRAY_SIZE(steps); i++)
		rc = must_end ? -EINTR : steps[i](opts, err);
	return rc == -EINTR && !err->msg[0] ? berm_refuse(err, rc, "told to end") : rc;
}

/* As a pod: whatever comes back late goes again. Ends when told to. */
static void stay_clean(const struct node_opts *opts)
{
	struct berm_err err = { 0 };

	berm_log(BERM_LOG_INFO, "clean", "effect=\"this node has nothing of Berm any more\"");
	while (!must_end) {
		node_pause_ms(STAY_MS);
		if (!must_end && node_check_clean(opts, &err)) {
			berm_log(BERM_LOG_WARNING, "not-clean", "error=\"%s\"", err.msg);
			if (run_steps(opts, &err) && !must_end)
				berm_log(BERM_LOG_ERROR, "uninstall-failed", "error=\"%s\"",
					 err.msg);
		}
		err.msg[0] = '\0';
	}
}

int node_uninstall(const struct node_opts *opts, struct berm_err *err)
{
	auto_close int lock = -1;
	struct sigaction action = { .sa_handler = on_signal };
	int rc;

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	rc = stop_agents(opts, &lock, err);
	if (!rc)
		rc = run_steps(opts, err);
	if (!rc && opts->stay)
		stay_clean(opts);
	if (!rc)
		(void)unlink(AGENT_LOCK); /* absent is fine; a full /run cannot stop this either */
	if (!rc)
		(void)rmdir(BERM_RUN_DIR); /* a mount point in a pod stays, empty */
	return rc;
}

/* ---- what is left ------------------------------------------------------------------------------------------------------------ */

static int check_dir(const char *path, const char *keep, struct berm_err *err)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int rc = 0;

	if (!dir)
		return errno == ENOENT ? 0 : berm_fail(err, -errno, "open %s", path);
	while (!rc && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    !(keep && !strcmp(entry->d_name, keep)))
			rc = berm_refuse(err, -EEXIST, "%s/%s is left", path, entry->d_name);
	closedir(dir);
	return rc;
}

static int check_devices(struct berm_err *err)
{
	auto_free struct berm_veth *veths = NULL;
	struct berm_hook_state hooks[BERM_DIR_COUNT];
	size_t count = 0;
	int rc = berm_netdev_veths(&veths, &count, err);

	for (size_t i = 0; !rc && i < count; i++)
		if (!berm_link_inspect(veths[i].ifindex, hooks, NULL) &&
		    (hooks[0].attached || hooks[1].attached))
			rc = berm_refuse(err, -EEXIST, "a program is left on %s", veths[i].name);
	return rc;
}

static int check_conf(const struct node_opts *opts, struct berm_err *err)
{
	char name[NAME_MAX + 1];
	int rc = berm_confdir_find_left(&opts->conf, name, err);

	if (!rc && name[0])
		rc = berm_refuse(err, -EEXIST, "%s/%s still has " BERM_CNI_TYPE, opts->conf.path,
				 name);
	return rc;
}

int node_check_clean(const struct node_opts *opts, struct berm_err *err)
{
	int rc = check_conf(opts, err);

	if (!rc)
		rc = check_devices(err);
	if (!rc)
		rc = check_dir(BERM_PIN_DIR, NULL, err);
	if (!rc)
		rc = check_dir(BERM_RUN_DIR, AGENT_LOCK_NAME, err);
	if (!rc)
		rc = check_dir(BERM_STATE_DIR, NULL, err);
	if (!rc)
		rc = check_dir(BERM_LOG_DIR, NULL, err);
	if (!rc && !opts->keep_plugin && berm_program_is_there(opts->bin_dir, BERM_CNI_TYPE))
		rc = berm_refuse(err, -EEXIST, "%s/%s is left", opts->bin_dir, BERM_CNI_TYPE);
	return rc;
}
