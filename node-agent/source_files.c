/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_files.c - follows a directory of documents: which files there are, which have changed, when to read them. What
 * they say is intake.c's business.
 */
#include "source_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alarm.h"
#include "cleanup.h"
#include "intake.h"
#include "log.h"
#include "manifest.h"

#define RETRY_MS     100  /* a file that is being written */
#define LOST_DIR_MS  250  /* a directory that is gone: look again */
#define MAX_START_MS 3000 /* a start waits no longer for a file that is being written */
#define WATCHED                                                                                    \
	(IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB |        \
	 IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

struct file {
	UT_hash_handle hh;
	struct berm_source source;
	struct stat st;	 /* of what was loaded; all zero: never */
	bool is_loaded;	 /* or known to be unreadable */
	bool is_dirty;	 /* to be read */
	int64_t due_ms;	 /* if dirty: not before */
	bool is_gone;	 /* was not there when we looked */
	int64_t gone_ms; /* since when */
	char name[];
};

struct berm_files {
	char *dir;
	int inotify, watch, dirfd; /* watch and dirfd -1: the directory is lost */
	struct stat dir_st;
	struct berm_intake intake;
	struct file *all;
	bool must_scan, has_synced;
	int64_t start_ms; /* of the first process(); 0 = not yet */
	int64_t look_ms;  /* lost directory: look again then */
	uint32_t moved_cookie;
	char *moved; /* name of the last IN_MOVED_FROM */
};

/* ---- the list of files ----------------------------------------------------------------------------------- */

static struct file *file_find(const struct berm_files *files, const char *name)
{
	struct file *file;

	HASH_FIND_STR(files->all, name, file);
	return file;
}

/* NULL: no memory. */
static struct file *file_get(struct berm_files *files, const char *name)
{
	struct file *file = file_find(files, name);

	if (file)
		return file;
	file = calloc(1, sizeof(*file) + strlen(name) + 1);
	if (!file)
		return NULL;
	memcpy(file->name, name, strlen(name) + 1);
	file->source.name = file->name;
	HASH_ADD_STR(files->all, name, file);
	if (!file->hh.tbl) {
		free(file);
		return NULL;
	}
	return file;
}

static void file_free(struct berm_files *files, struct file *file)
{
	HASH_DEL(files->all, file);
	berm_source_clear(&file->source);
	free(file);
}

static int make_dirty(struct berm_files *files, const char *name, int64_t due_ms)
{
	struct file *file = file_get(files, name);

	if (!file)
		return -ENOMEM;
	if (!file->is_dirty || file->due_ms > due_ms)
		file->due_ms = due_ms;
	file->is_dirty = true;
	file->is_gone = false;
	return 0;
}

static void make_gone(struct berm_files *files, const char *name, int64_t since_ms)
{
	struct file *file = file_find(files, name);

	if (!file)
		return;
	file->is_dirty = false;
	if (!file->is_gone || file->gone_ms > since_ms)
		file->gone_ms = since_ms;
	file->is_gone = true;
}

static void on_reload(const char *source, void *ctx)
{
	struct file *file = file_find(ctx, source);

	if (file && !file->is_gone) {
		file->is_dirty = true;
		file->due_ms = 0;
	}
}

static int64_t now_s(void *ctx)
{
	(void)ctx;
	return berm_alarm_now_s();
}

/* ---- the directory ------------------------------------------------------------------------------------------ */

static void dir_leave(struct berm_files *files)
{
	if (files->watch >= 0)
		(void)inotify_rm_watch(files->inotify,
				       files->watch); /* gone with the directory, maybe */
	if (files->dirfd >= 0)
		close(files->dirfd);
	files->watch = -1;
	files->dirfd = -1;
}

/* The watch comes before the scan, so nothing falls between them. */
static int dir_enter(struct berm_files *files, struct berm_err *err)
{
	auto_close int fd = open(files->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int watch;

	if (fd < 0 || fstat(fd, &files->dir_st))
		return berm_fail(err, -errno, "open the manifests directory %s", files->dir);
	watch = inotify_add_watch(files->inotify, files->dir, WATCHED);
	if (watch < 0)
		return berm_fail(err, -errno, "watch the manifests directory %s%s", files->dir,
				 errno == ENOSPC ? " (raise fs.inotify.max_user_watches)" : "");
	files->watch = watch;
	files->dirfd = TAKE_FD(fd);
	files->must_scan = true;
	return 0;
}

/* Is the directory at this path another one than that we watch, or none? */
static bool is_dir_replaced(const struct berm_files *files)
{
	struct stat st;

	return files->dirfd < 0 || stat(files->dir, &st) || st.st_dev != files->dir_st.st_dev ||
	       st.st_ino != files->dir_st.st_ino;
}

static void dir_check(struct berm_files *files, int64_t now_ms)
{
	struct berm_err err = { 0 };
	bool was_lost = files->dirfd < 0;

	if (!is_dir_replaced(files))
		return;
	dir_leave(files);
	if (dir_enter(files, &err)) {
		if (!was_lost)
			berm_log(BERM_LOG_ERROR, "manifests-lost",
				 "dir=\"%s\" error=\"%s\" effect=\"the last documents stay in force\"",
				 files->dir, err.msg);
		files->look_ms = now_ms + LOST_DIR_MS;
		return;
	}
	berm_log(BERM_LOG_INFO, "manifests-replaced", "dir=\"%s\"", files->dir);
}

static int scan_entry(struct berm_files *files, const char *name, int64_t now_ms)
{
	const struct file *file;
	struct stat st;

	if (!berm_manifest_is(name))
		return 0;
	if (fstatat(files->dirfd, name, &st, 0)) {
		if (errno != ENOENT)
			return make_dirty(files, name,
					  now_ms); /* the read will say what is wrong */
		return 0;
	}
	if (S_ISDIR(st.st_mode))
		return 0;
	file = file_find(files, name);
	if (file && !file->is_gone && file->is_loaded && berm_manifest_same(&file->st, &st))
		return 0;
	return make_dirty(files, name, now_ms);
}

static void scan_gone(struct berm_files *files, int64_t now_ms)
{
	struct file *file, *tmp;
	struct stat st;

	HASH_ITER(hh, files->all, file, tmp)
		if (!file->is_gone && fstatat(files->dirfd, file->name, &st, 0) && errno == ENOENT)
			make_gone(files, file->name, now_ms);
}

static int scan(struct berm_files *files, int64_t now_ms)
{
	auto_close int fd = openat(files->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	int rc = 0;

	if (!dir)
		return errno == ENOMEM ? -ENOMEM : 0; /* lost: dir_check() deals with it */
	(void)TAKE_FD(fd);			      /* belongs to dir now */
	files->must_scan = false;
	while (!rc && (entry = readdir(dir)))
		rc = scan_entry(files, entry->d_name, now_ms);
	closedir(dir);
	scan_gone(files, now_ms);
	return rc;
}

/* ---- events ---------------------------------------------------------------------------------------------------- */

/* A file that was created is being written, unless it came as a link: those are never closed after writing. */
static int on_create(struct berm_files *files, const char *name, int64_t now_ms)
{
	struct stat st;

	if (fstatat(files->dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	return S_ISREG(st.st_mode) && !st.st_size ? 0 : make_dirty(files, name, now_ms);
}

/* a.yaml renamed to b.yaml is no deletion and creation: a's objects must not be missing for a moment, nor be
 * there twice. */
static void on_moved_to(struct berm_files *files, const struct inotify_event *ev)
{
	if (files->moved && ev->cookie == files->moved_cookie)
		make_gone(files, files->moved, INT64_MIN);
}

static int on_moved_from(struct berm_files *files, const struct inotify_event *ev, int64_t now_ms)
{
	make_gone(files, ev->name, now_ms);
	free(files->moved);
	files->moved = strdup(ev->name);
	files->moved_cookie = ev->cookie;
	return files->moved ? 0 : -ENOMEM;
}

static int on_event(struct berm_files *files, const struct inotify_event *ev, int64_t now_ms)
{
	if (ev->mask & (IN_Q_OVERFLOW | IN_DELETE_SELF | IN_MOVE_SELF))
		files->must_scan = true;
	if (ev->mask & IN_IGNORED || !ev->len || ev->wd != files->watch)
		return 0;
	if (!berm_manifest_is(ev->name)) {
		/* A symbolic link that others lead through (..data of a mounted ConfigMap) may have turned. */
		if (ev->mask & (IN_MOVED_TO | IN_CREATE))
			files->must_scan = true;
		return 0;
	}
	if (ev->mask & IN_MOVED_FROM)
		return on_moved_from(files, ev, now_ms);
	if (ev->mask & IN_DELETE)
		make_gone(files, ev->name, now_ms);
	if (ev->mask & IN_CREATE)
		return on_create(files, ev->name, now_ms);
	if (ev->mask & IN_MOVED_TO)
		on_moved_to(files, ev);
	if (ev->mask & (IN_MOVED_TO | IN_CLOSE_WRITE | IN_ATTRIB))
		return make_dirty(files, ev->name, now_ms);
	return 0;
}

static int read_events(struct berm_files *files, int64_t now_ms)
{
	char buf[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
	const struct inotify_event *ev;
	ssize_t len, at;
	int rc = 0;

	while (!rc && (len = read(files->inotify, buf, sizeof(buf))) > 0)
		for (at = 0; !rc && at < len; at += (ssize_t)(sizeof(*ev) + ev->len)) {
			ev = (const struct inotify_event *)(buf + at);
			rc = on_event(files, ev, now_ms);
		}
	return rc;
}

/* ---- loading ----------------------------------------------------------------------------------------------- */

static bool may_wait(const struct berm_files *files, int64_t now_ms)
{
	return files->has_synced || now_ms - files->start_ms < MAX_START_MS;
}

static int load_file(struct berm_files *files, struct file *file, int64_t now_ms,
		     struct berm_err *err)
{
	auto_free char *text = NULL;
	struct berm_err why = { 0 };
	size_t size = 0;
	int rc;

	rc = berm_manifest_read(files->dirfd, file->name, BERM_FILES_MAX_BYTES, &text, &size,
				&file->st, &why);
	if (rc == -EAGAIN && may_wait(files, now_ms)) {
		file->due_ms = now_ms + RETRY_MS;
		return 0;
	}
	if (rc == -ENOENT) {
		make_gone(files, file->name, now_ms);
		return 0;
	}
	file->is_dirty = false;
	file->is_loaded = true;
	if (rc == -ENOMEM) {
		*err = why;
		return rc;
	}
	if (rc)
		return berm_intake_unreadable(&files->intake, &file->source, &why, err);
	file->source.written_s = file->st.st_mtim.tv_sec;
	berm_log(BERM_LOG_DEBUG, "file-read", "file=\"%s\" bytes=%zu", file->name, size);
	return berm_intake_load(&files->intake, &file->source, text, size, err);
}

static void remove_gone(struct berm_files *files, int64_t now_ms)
{
	struct file *file, *tmp;

	HASH_ITER(hh, files->all, file, tmp) {
		if (!file->is_gone ||
		    (file->gone_ms != INT64_MIN && now_ms - file->gone_ms < BERM_FILES_GRACE_MS))
			continue;
		berm_log(BERM_LOG_INFO, "file-gone", "file=\"%s\"", file->name);
		berm_intake_drop(&files->intake, &file->source);
		file_free(files, file);
	}
}

static int load_dirty(struct berm_files *files, int64_t now_ms, struct berm_err *err)
{
	struct file *file, *tmp;
	bool again = true;
	int rc;

	while (again) { /* a load may hand an object to another file, which then must be loaded too */
		again = false;
		HASH_ITER(hh, files->all, file, tmp) {
			if (!file->is_dirty || file->due_ms > now_ms)
				continue;
			again = true;
			rc = load_file(files, file, now_ms, err);
			if (rc) {
				file->is_dirty = true; /* no memory: once more, later */
				file->due_ms = now_ms + RETRY_MS;
				return rc;
			}
		}
	}
	return 0;
}

/* What the store has of files that went while no agent ran must not come back. */
static int retain(struct berm_files *files)
{
	auto_free const char **name = calloc(HASH_COUNT(files->all) + 1, sizeof(*name));
	struct file *file, *tmp;
	size_t count = 0;

	if (!name)
		return -ENOMEM;
	HASH_ITER(hh, files->all, file, tmp)
		name[count++] = file->name;
	return berm_lastgood_retain(files->intake.store, name, count);
}

static bool is_all_loaded(const struct berm_files *files)
{
	struct file *file, *tmp;

	HASH_ITER(hh, files->all, file, tmp)
		if (!file->is_loaded && !file->is_gone)
			return false;
	return true;
}

/* ---- the interface --------------------------------------------------------------------------------------------- */

int berm_files_open(const char *dir, struct berm_model *model, struct berm_lastgood *store,
		    struct berm_files **ret, struct berm_err *err)
{
	struct berm_files *files = calloc(1, sizeof(*files));
	int rc;

	if (!files)
		return berm_fail(err, -ENOMEM, "watch %s", dir);
	files->watch = -1;
	files->dirfd = -1;
	files->intake = (struct berm_intake){
		.model = model, .store = store, .reload = on_reload, .now_s = now_s, .ctx = files
	};
	files->dir = strdup(dir);
	files->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (!files->dir)
		rc = berm_fail(err, -ENOMEM, "watch %s", dir);
	else if (files->inotify < 0)
		rc = berm_fail(err, -errno, "inotify (raise fs.inotify.max_user_instances?)");
	else
		rc = dir_enter(files, err);
	if (rc) {
		berm_files_close(files);
		return rc;
	}
	*ret = files;
	return 0;
}

void berm_files_close(struct berm_files *files)
{
	struct file *file, *tmp;

	if (!files)
		return;
	HASH_ITER(hh, files->all, file, tmp)
		file_free(files, file);
	berm_intake_clear(&files->intake);
	dir_leave(files);
	if (files->inotify >= 0)
		close(files->inotify);
	free(files->moved);
	free(files->dir);
	free(files);
}

int berm_files_fd(const struct berm_files *files)
{
	return files->inotify;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int wait_ms(const struct berm_files *files, int64_t now_ms)
{
	int64_t when = INT64_MAX;
	struct file *file, *tmp;

	HASH_ITER(hh, files->all, file, tmp) {
		if (file->is_dirty)
			when = earlier(when, file->due_ms);
		if (file->is_gone)
			when = earlier(when, file->gone_ms + BERM_FILES_GRACE_MS);
	}
	if (files->dirfd < 0)
		when = earlier(when, files->look_ms);
	if (when == INT64_MAX)
		return -1;
	return when > now_ms ? (int)(when - now_ms) : 0;
}

int berm_files_process(struct berm_files *files, int64_t now_ms, int *ret_wait_ms,
		       struct berm_err *err)
{
	int rc;

	if (!files->start_ms)
		files->start_ms = now_ms;
	rc = read_events(files, now_ms);
	if (files->must_scan || files->dirfd < 0)
		dir_check(files, now_ms);
	if (!rc && files->must_scan && files->dirfd >= 0)
		rc = scan(files, now_ms);
	if (rc)
		return berm_fail(err, rc, "read the manifests directory %s", files->dir);
	remove_gone(files, now_ms);
	if (files->dirfd >= 0)
		rc = load_dirty(files, now_ms, err);
	if (!rc && !files->has_synced && is_all_loaded(files)) {
		files->has_synced = true;
		rc = retain(files) ? berm_fail(err, -ENOMEM, "sort out old documents") : 0;
	}
	*ret_wait_ms = wait_ms(files, now_ms);
	return rc;
}

bool berm_files_has_synced(const struct berm_files *files)
{
	return files->has_synced;
}

bool berm_files_is_lost(const struct berm_files *files)
{
	return files->dirfd < 0;
}

void berm_files_rescan(struct berm_files *files)
{
	files->must_scan = true;
}

size_t berm_files_count(const struct berm_files *files)
{
	return HASH_COUNT(files->all);
}

struct berm_intake *berm_files_intake(struct berm_files *files)
{
	return &files->intake;
}
