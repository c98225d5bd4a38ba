/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confdir.c - files of a runtime's network configuration, replaced by renames inside their directory: containerd does
 * not notice one from elsewhere. Knows no JSON (conflist.c) and no runtime.
 */
#include "confdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "cleanup.h"
#include "conflist.h"
#include "fsutil.h"

#define TEMP_NAME                                                                                  \
	".berm-new" /* no ending that a runtime reads; what a killed writer left is overwritten */
#define POKE_NAME ".berm-reload"

struct conf { /* one file, as it was read */
	char name[NAME_MAX + 1];
	bool is_list;
	char *text;
	size_t size;
	struct stat st;
};

static void conf_clear(struct conf *conf)
{
	free(conf->text);
	conf->text = NULL;
}

#define auto_conf __attribute__((cleanup(conf_clear)))

static bool has_ending(const char *name, const char *ending)
{
	size_t len = strlen(name), n = strlen(ending);

	return len > n && !strcmp(name + len - n, ending);
}

bool berm_confdir_is_conf(const char *name)
{
	return has_ending(name, ".conf") || has_ending(name, ".conflist") ||
	       has_ending(name, ".json");
}

/* What to do is the same for most of what can go wrong with somebody else's directory. */
static int dir_fail(const struct berm_confdir *dir, int code, const char *what,
		    struct berm_err *err)
{
	if (code == -EROFS)
		return berm_refuse(
			err, code,
			"%s %s: it is read-only. Mount the directory in which the runtime looks for its network configuration writable, or name it if it is another one",
			what, dir->path);
	if (code == -EACCES || code == -EPERM)
		return berm_refuse(
			err, code,
			"%s %s: not permitted. The directory should belong to root and be writable for it",
			what, dir->path);
	return berm_fail(err, code, "%s %s", what, dir->path);
}

/* The lock is on the directory itself: nothing to leave behind. Against other writers of ours only. */
static int dir_open(const struct berm_confdir *dir, int *ret_fd, struct berm_err *err)
{
	auto_close int fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return dir_fail(dir, -errno, "open", err);
	if (flock(fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK
			       ? berm_refuse(err, -EAGAIN, "another of our programs works in %s",
					     dir->path)
			       : dir_fail(dir, -errno, "lock", err);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* ---- reading ---------------------------------------------------------------------------------------------------------- */

static int is_wanted(const struct dirent *entry)
{
	return berm_confdir_is_conf(entry->d_name);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name); /* bytes, as the runtimes sort; no locale */
}

struct names {
	struct dirent **item;
	int count;
};

static void names_clear(struct names *names)
{
	for (int i = 0; i < names->count; i++)
		free(names->item[i]);
	free(names->item);
}

#define auto_names __attribute__((cleanup(names_clear)))

static int names_read(const struct berm_confdir *dir, int dirfd, struct names *names,
		      struct berm_err *err)
{
	int n = scandirat(dirfd, ".", &names->item, is_wanted, by_name);

	if (n < 0)
		return dir_fail(dir, -errno, "read", err);
	names->count = n;
	return 0;
}

static int64_t age_ms(const struct stat *st)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (now.tv_sec - st->st_ctim.tv_sec) * 1000 +
	       (now.tv_nsec - st->st_ctim.tv_nsec) / 1000000;
}

static bool is_fresh(const struct stat *st)
{
	return age_ms(st) >= 0 && age_ms(st) < BERM_CONF_QUIET_MS;
}

/* The kernel grants no read lease while somebody has the file open for writing. File systems without leases and
 * files of other users give no answer: then no. */
static bool is_being_written(int fd, const struct stat *st)
{
	if (!fcntl(fd, F_SETLEASE, F_RDLCK)) {
		fcntl(fd, F_SETLEASE, F_UNLCK);
		return false;
	}
	return errno == EAGAIN && is_fresh(st);
}

static int conf_read(int dirfd, const char *name, struct conf *out, struct berm_err *err)
{
	auto_close int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct conf conf = { .is_list = has_ending(name, ".conflist") };
	int rc;

	if (fd < 0 || fstat(fd, &conf.st))
		return berm_fail(err, -errno, "%s", name);
	if (!S_ISREG(conf.st.st_mode))
		return berm_refuse(err, -EINVAL, "%s is not a regular file", name);
	if (is_being_written(fd, &conf.st))
		return berm_refuse(err, -EAGAIN, "%s is being written", name);
	rc = berm_fd_read(fd, name, BERM_CONFLIST_MAX, &conf.text, &conf.size, err);
	if (rc)
		return rc;
	snprintf(conf.name, sizeof(conf.name), "%s", name);
	*out = conf;
	return 0;
}

/* A usable file. -EAGAIN: it may become usable, since it has just been written. */
static int conf_read_usable(int dirfd, const char *name, struct conf *out, struct berm_err *err)
{
	struct conf conf = { 0 };
	int rc = conf_read(dirfd, name, &conf, err);

	if (rc)
		return rc;
	rc = berm_conflist_check(conf.text, conf.size, conf.is_list, err);
	if (!rc) {
		*out = conf;
		return 0;
	}
	if (is_fresh(&conf.st))
		rc = -EAGAIN;
	conf_clear(&conf);
	return berm_wrap(err, rc, "%s is unusable", name);
}

static bool is_candidate(const struct berm_confdir *dir, const char *name)
{
	return !dir->only || !strcmp(dir->only, name);
}

/* The file that the runtime takes. report->unusable: why it is not an earlier one. */
static int choose(const struct berm_confdir *dir, int dirfd, struct conf *out,
		  struct berm_confdir_report *report, struct berm_err *err)
{
	auto_names struct names names = { 0 };
	struct berm_err why = { 0 };
	int rc = names_read(dir, dirfd, &names, err);

	for (int i = 0; !rc && i < names.count; i++) {
		if (!is_candidate(dir, names.item[i]->d_name))
			continue;
		switch (conf_read_usable(dirfd, names.item[i]->d_name, out, &why)) {
		case 0:
			return 0;
		case -EAGAIN:
			*err = why;
			return why.code;
		case -ENOENT:
			break; /* removed meanwhile */
		default:
			if (!report->unusable.code)
				report->unusable = why;
		}
	}
	if (rc)
		return rc;
	if (report->unusable.code)
		return berm_refuse(err, -ENOENT, "no usable network configuration in %s: %.300s",
				   dir->path, report->unusable.msg);
	return berm_refuse(
		err, -ENOENT,
		"no network configuration in %s yet: is the cluster's own network plugin installed?",
		dir->path);
}

/* ---- writing ------------------------------------------------------------------------------------------------------------ */

static int write_all(int fd, const char *text)
{
	size_t left = strlen(text);
	ssize_t n;

	for (; left; text += n, left -= (size_t)n) {
		n = write(fd, text, left);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			return -errno;
	}
	return 0;
}

/* With the owner and mode of the file that it will replace. */
static int temp_write(int dirfd, const char *text, const struct stat *like)
{
	auto_close int fd = -1;
	int rc;

	(void)unlinkat(dirfd, TEMP_NAME,
		       0); /* of a writer that was killed; it may not be ours to truncate */
	fd = openat(dirfd, TEMP_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	rc = write_all(fd, text);
	if (rc)
		return rc;
	if ((like->st_uid != geteuid() || like->st_gid != getegid()) &&
	    fchown(fd, like->st_uid, like->st_gid) && errno != EPERM)
		return -errno;
	if (fchmod(fd, like->st_mode & 07777) || fsync(fd))
		return -errno;
	return 0;
}

static bool is_unchanged(int dirfd, const struct conf *conf)
{
	struct stat st;

	return !fstatat(dirfd, conf->name, &st, 0) && st.st_ino == conf->st.st_ino &&
	       st.st_size == conf->st.st_size && st.st_mtim.tv_sec == conf->st.st_mtim.tv_sec &&
	       st.st_mtim.tv_nsec == conf->st.st_mtim.tv_nsec;
}

/* `text` under `name`, unless the file that it was made from has changed meanwhile. */
static int replace(const struct berm_confdir *dir, int dirfd, const struct conf *from,
		   const char *name, const char *text, struct berm_err *err)
{
	int rc = temp_write(dirfd, text, &from->st);

	if (!rc && !is_unchanged(dirfd, from)) {
		(void)unlinkat(dirfd, TEMP_NAME, 0); /* overwritten next time otherwise */
		return berm_refuse(err, -EAGAIN, "%s has just been changed", from->name);
	}
	if (!rc && renameat(dirfd, TEMP_NAME, dirfd, name))
		rc = -errno;
	if (!rc && fsync(dirfd))
		rc = -errno;
	if (!rc)
		return 0;
	(void)unlinkat(dirfd, TEMP_NAME, 0); /* the first error is the one to report */
	return dir_fail(dir, rc, "write to", err);
}

static int move(const struct berm_confdir *dir, int dirfd, const char *from, const char *to,
		struct berm_err *err)
{
	if (renameat(dirfd, from, dirfd, to) || fsync(dirfd))
		return dir_fail(dir, -errno, "rename a file in", err);
	return 0;
}

static int delete (const struct berm_confdir *dir, int dirfd, const char *name,
		   struct berm_err *err)
{
	if ((unlinkat(dirfd, name, 0) && errno != ENOENT) || fsync(dirfd))
		return dir_fail(dir, -errno, "remove a file from", err);
	return 0;
}

int berm_confdir_poke(const struct berm_confdir *dir, struct berm_err *err)
{
	auto_close int dirfd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_close int fd = -1;
	int rc = 0;

	if (dirfd < 0)
		return dir_fail(dir, -errno, "open", err);
	fd = openat(dirfd, POKE_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || write(fd, "\n", 1) != 1)
		rc = errno ? -errno : -EIO;
	if (unlinkat(dirfd, POKE_NAME, 0) && !rc)
		rc = -errno;
	return rc ? dir_fail(dir, rc, "write to", err) : 0;
}

/* ---- .conf to .conflist and back ------------------------------------------------------------------------------------ */

static int name_of(const char *name, const char *ending, char out[NAME_MAX + 1],
		   struct berm_err *err)
{
	const char *dot = strrchr(name, '.');
	int stem = (int)(dot ? (size_t)(dot - name) : strlen(name));

	if (snprintf(out, NAME_MAX + 1, "%.*s%s", stem, name, ending) > NAME_MAX)
		return berm_refuse(err, -ENAMETOOLONG, "the name %s is too long", name);
	return 0;
}

static int orig_name(const char *name, char out[NAME_MAX + 1], struct berm_err *err)
{
	if (snprintf(out, NAME_MAX + 1, "%s" BERM_ORIG_SUFFIX, name) > NAME_MAX)
		return berm_refuse(err, -ENAMETOOLONG, "the name %s is too long", name);
	return 0;
}

static bool exists(int dirfd, const char *name)
{
	return !faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW);
}

/* Both a.conf and a.conflist: ours from an earlier conversion may be overwritten, the user's may not. */
static int check_target(int dirfd, const struct conf *from, const char *target, const char *text,
			struct berm_err *err)
{
	auto_conf struct conf there = { 0 };
	char orig[NAME_MAX + 1];
	int rc = orig_name(from->name, orig, err);

	if (rc || !exists(dirfd, target) || exists(dirfd, orig))
		return rc;
	rc = conf_read(dirfd, target, &there, err);
	if (rc)
		return rc;
	if (strcmp(there.text, text) != 0)
		return berm_refuse(
			err, -EEXIST,
			"%s must become %s to hold our plugin, but there is another file of that name; remove one of them",
			from->name, target);
	return 0;
}

/* The runtime takes a.conf before a.conflist, so it has the old one whole until that goes, then the new one. */
static int convert(const struct berm_confdir *dir, int dirfd, const struct conf *conf,
		   struct berm_confdir_report *report, struct berm_err *err)
{
	auto_free char *list = NULL, *text = NULL;
	char target[NAME_MAX + 1], orig[NAME_MAX + 1];
	int rc = name_of(conf->name, ".conflist", target, err);

	if (!rc)
		rc = orig_name(conf->name, orig, err);
	if (!rc)
		rc = berm_conflist_wrap(conf->text, conf->size, &list, err);
	if (!rc)
		rc = berm_conflist_insert(list, strlen(list), dir->entry, &text, err);
	if (rc)
		return rc;
	rc = check_target(dirfd, conf, target, text, err);
	if (!rc)
		rc = replace(dir, dirfd, conf, target, text, err);
	if (!rc)
		rc = move(dir, dirfd, conf->name, orig, err);
	if (!rc)
		snprintf(report->file, sizeof(report->file), "%s", target);
	return rc;
}

/* A list that is what we made out of `orig`, without our plugin? Then nobody has edited it since. */
static bool is_made_from(int dirfd, const char *orig, const char *bare)
{
	auto_conf struct conf conf = { 0 };
	auto_free char *list = NULL;

	return !conf_read(dirfd, orig, &conf, NULL) &&
	       !berm_conflist_wrap(conf.text, conf.size, &list, NULL) && !strcmp(list, bare);
}

/* The .conf that this list was; false: it has always been one, or has been edited since. */
static bool find_orig(int dirfd, const char *list_name, const char *bare, char orig[NAME_MAX + 1],
		      char name[NAME_MAX + 1])
{
	static const char *const endings[] = { ".conf", ".json" };

	for (size_t i = 0; i < ARRAY_SIZE(endings); i++)
		if (!name_of(list_name, endings[i], name, NULL) && !orig_name(name, orig, NULL) &&
		    is_made_from(dirfd, orig, bare))
			return true;
	return false;
}

/* The original sorts first, so the runtime has it before the list goes. A new file of its name is left alone. */
static int restore(const struct berm_confdir *dir, int dirfd, const char *list, const char *orig,
		   const char *name, struct berm_err *err)
{
	int rc = exists(dirfd, name) ? delete (dir, dirfd, orig, err)
				     : move(dir, dirfd, orig, name, err);

	return rc ? rc : delete (dir, dirfd, list, err);
}

/* ---- what others call ---------------------------------------------------------------------------------------------- */

static int insert(const struct berm_confdir *dir, int dirfd, const struct conf *conf,
		  struct berm_confdir_report *report, struct berm_err *err)
{
	auto_free char *text = NULL;
	int rc;

	report->is_changed = true;
	if (!conf->is_list)
		return convert(dir, dirfd, conf, report, err);
	rc = berm_conflist_insert(conf->text, conf->size, dir->entry, &text, err);
	if (rc)
		return rc;
	snprintf(report->file, sizeof(report->file), "%s", conf->name);
	report->is_changed = text != NULL;
	return text ? replace(dir, dirfd, conf, conf->name, text, err) : 0;
}

int berm_confdir_insert(const struct berm_confdir *dir, struct berm_confdir_report *report,
			struct berm_err *err)
{
	auto_conf struct conf conf = { 0 };
	auto_close int dirfd = -1;
	int rc = dir_open(dir, &dirfd, err);

	*report = (struct berm_confdir_report){ 0 };
	if (!rc)
		rc = choose(dir, dirfd, &conf, report, err);
	if (rc)
		return rc;
	rc = insert(dir, dirfd, &conf, report, err);
	if (rc)
		return berm_wrap(err, rc, "%s/%s", dir->path, conf.name);
	return report->is_changed ? berm_confdir_poke(dir, err) : 0;
}

int berm_confdir_look(const struct berm_confdir *dir, struct berm_confdir_report *report,
		      struct berm_err *err)
{
	auto_conf struct conf conf = { 0 };
	auto_free char *text = NULL;
	auto_close int dirfd = -1;
	int rc = dir_open(dir, &dirfd, err);

	*report = (struct berm_confdir_report){ 0 };
	if (!rc)
		rc = choose(dir, dirfd, &conf, report, err);
	if (rc)
		return rc;
	report->is_changed = true;
	if (!conf.is_list)
		return 0;
	rc = berm_conflist_insert(conf.text, conf.size, dir->entry, &text, err);
	if (rc)
		return berm_wrap(err, rc, "%s/%s", dir->path, conf.name);
	report->is_changed = text != NULL;
	if (berm_conflist_has(conf.text, conf.size))
		snprintf(report->file, sizeof(report->file), "%s", conf.name);
	return 0;
}

static int remove_from(const struct berm_confdir *dir, int dirfd, const char *name, int *count,
		       struct berm_err *err)
{
	auto_conf struct conf conf = { 0 };
	auto_free char *bare = NULL;
	char orig[NAME_MAX + 1], was[NAME_MAX + 1];
	int rc = conf_read_usable(dirfd, name, &conf, err);

	if (rc == -ENOENT || rc == -EINVAL || rc == -EFBIG)
		return 0; /* gone, or nothing that a runtime would read our name in */
	if (rc)
		return rc;
	if (!conf.is_list)
		return 0;
	rc = berm_conflist_remove(conf.text, conf.size, &bare, err);
	if (rc || !bare)
		return rc ? berm_wrap(err, rc, "%s/%s", dir->path, name) : 0;
	++*count;
	if (find_orig(dirfd, name, bare, orig, was))
		return restore(dir, dirfd, name, orig, was, err);
	return replace(dir, dirfd, &conf, name, bare, err);
}

int berm_confdir_remove(const struct berm_confdir *dir, int *ret_count, struct berm_err *err)
{
	auto_names struct names names = { 0 };
	auto_close int dirfd = -1;
	int rc = dir_open(dir, &dirfd, err);

	*ret_count = 0;
	if (!rc)
		rc = names_read(dir, dirfd, &names, err);
	for (int i = 0; !rc && i < names.count; i++)
		rc = remove_from(dir, dirfd, names.item[i]->d_name, ret_count, err);
	if (rc)
		return rc;
	(void)unlinkat(dirfd, TEMP_NAME, 0); /* of a writer that was killed */
	return berm_confdir_poke(dir, err);
}

static bool is_left(int dirfd, const char *name)
{
	auto_conf struct conf conf = { 0 };

	if (!strcmp(name, TEMP_NAME) || !strcmp(name, POKE_NAME))
		return true;
	return has_ending(name, ".conflist") && !conf_read(dirfd, name, &conf, NULL) &&
	       !berm_conflist_check(conf.text, conf.size, true, NULL) &&
	       berm_conflist_has(conf.text, conf.size);
}

int berm_confdir_find_left(const struct berm_confdir *dir, char ret_name[NAME_MAX + 1],
			   struct berm_err *err)
{
	DIR *stream = opendir(dir->path);
	struct dirent *entry;

	ret_name[0] = '\0';
	if (!stream)
		return errno == ENOENT ? 0 : dir_fail(dir, -errno, "read", err);
	while (!ret_name[0] && (entry = readdir(stream)))
		if (is_left(dirfd(stream), entry->d_name))
			snprintf(ret_name, NAME_MAX + 1, "%s", entry->d_name);
	closedir(stream);
	return 0;
}
