/* SPDX-License-Identifier: Apache-2.0 */
/* source_cni.c - follows the directory of records. Believes them no further than endpoints.c does. */
#include "source_cni.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define HASH_NONFATAL_OOM 1 /* else uthash exits the process when memory is short */
#include <uthash.h>

#include "cleanup.h"
#include "fsutil.h"
#include "log.h"
#include "paths.h"

#define SUFFIX ".json"
#define WATCHED                                                                                    \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_ONLYDIR)

struct bad { /* a record that cannot be read: told once */
	UT_hash_handle hh;
	char name[];
};

struct berm_cni {
	struct berm_endpoints *eps;
	int inotify, watch;
	bool must_scan;
	struct bad *bad;
};

static bool is_record(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && len > strlen(SUFFIX) &&
	       !strcmp(name + len - strlen(SUFFIX), SUFFIX);
}

/* "<containerID>@<ifname>.json" -> both parts, in out. false: not such a name. */
static bool split_name(const char *name, char out[NAME_MAX + 1], char **ret_ifname)
{
	char *at;

	snprintf(out, NAME_MAX + 1, "%s", name);
	at = strchr(out, '@');
	if (!at || !is_record(name))
		return false;
	*at = '\0';
	out[strlen(name) - strlen(SUFFIX)] = '\0';
	*ret_ifname = at + 1;
	return true;
}

/* ---- records that cannot be read ------------------------------------------------------------------------- */

static void bad_clear(struct berm_cni *cni, const char *name)
{
	struct bad *bad;

	HASH_FIND_STR(cni->bad, name, bad);
	if (!bad)
		return;
	HASH_DEL(cni->bad, bad);
	free(bad);
}

static void bad_add(struct berm_cni *cni, const char *name, const struct berm_err *why)
{
	struct bad *bad;

	HASH_FIND_STR(cni->bad, name, bad);
	if (bad)
		return;
	berm_log(BERM_LOG_ERROR, "record-unreadable",
		 "file=\"%s\" error=\"%s\" effect=\"the endpoint stays enforced, known by its address only\"",
		 name, why->msg);
	bad = calloc(1, sizeof(*bad) + strlen(name) + 1);
	if (!bad)
		return; /* it will be told again, no harm */
	memcpy(bad->name, name, strlen(name) + 1);
	HASH_ADD_STR(cni->bad, name, bad);
	if (!bad->hh.tbl)
		free(bad);
}

/* ---- reading ------------------------------------------------------------------------------------------------ */

static void forget(struct berm_cni *cni, const char *name)
{
	char parts[NAME_MAX + 1], *ifname;

	bad_clear(cni, name);
	if (split_name(name, parts, &ifname))
		berm_endpoints_drop(cni->eps, parts, ifname);
}

static int load(struct berm_cni *cni, const char *name)
{
	char path[PATH_MAX];
	struct berm_err why = { 0 };
	struct berm_record rec;
	int rc;

	snprintf(path, sizeof(path), BERM_RECORD_DIR "/%s", name);
	rc = berm_record_read_file(path, &rec, &why);
	if (rc == -ENOENT) {
		forget(cni, name);
		return 0;
	}
	if (rc == -ENOMEM)
		return rc;
	if (rc) {
		bad_add(cni, name, &why);
		return 0;
	}
	bad_clear(cni, name);
	return berm_endpoints_put(cni->eps, &rec);
}

static int load_all(struct berm_cni *cni)
{
	DIR *dir = opendir(BERM_RECORD_DIR);
	struct dirent *entry;
	int rc = 0;

	if (!dir)
		return errno == ENOMEM ? -ENOMEM : 0; /* enter() makes it the next time */
	while (!rc && (entry = readdir(dir)))
		if (is_record(entry->d_name))
			rc = load(cni, entry->d_name);
	closedir(dir);
	return rc;
}

/* Attachments whose record is gone. */
static void drop_gone(struct berm_cni *cni)
{
	const struct berm_record *rec, *next;
	char path[PATH_MAX];

	for (rec = berm_endpoints_next(cni->eps, NULL); rec; rec = next) {
		next = berm_endpoints_next(cni->eps, rec);
		snprintf(path, sizeof(path), BERM_RECORD_DIR "/%s@%s" SUFFIX, rec->container_id,
			 rec->ifname);
		if (access(path, F_OK) && errno == ENOENT)
			berm_endpoints_drop(cni->eps, rec->container_id, rec->ifname);
	}
}

static void drop_gone_bad(struct berm_cni *cni)
{
	struct bad *bad, *tmp;
	char path[PATH_MAX];

	HASH_ITER(hh, cni->bad, bad, tmp) {
		snprintf(path, sizeof(path), BERM_RECORD_DIR "/%s", bad->name);
		if (access(path, F_OK) && errno == ENOENT)
			bad_clear(cni, bad->name);
	}
}

/* The watch comes before the scan, so nothing falls between them. Watching a directory again that is watched
 * already changes nothing, and finds the new one if it was replaced. */
static int scan(struct berm_cni *cni, struct berm_err *err)
{
	int watch, rc;

	rc = berm_mkdirs(BERM_RECORD_DIR, BERM_RECORD_DIR_MODE, err);
	if (rc)
		return rc;
	watch = inotify_add_watch(cni->inotify, BERM_RECORD_DIR, WATCHED);
	if (watch < 0)
		return berm_fail(err, -errno, "watch " BERM_RECORD_DIR);
	if (cni->watch >= 0 && watch != cni->watch)
		(void)inotify_rm_watch(cni->inotify,
				       cni->watch); /* the old directory's, gone maybe */
	cni->watch = watch;
	cni->must_scan = false;
	drop_gone(cni);
	drop_gone_bad(cni);
	rc = load_all(cni);
	return rc ? berm_fail(err, rc, "read the records in " BERM_RECORD_DIR) : 0;
}

/* ---- the interface --------------------------------------------------------------------------------------------- */

int berm_cni_open(struct berm_endpoints *eps, struct berm_cni **ret, struct berm_err *err)
{
	struct berm_cni *cni = calloc(1, sizeof(*cni));
	int rc;

	if (!cni)
		return berm_fail(err, -ENOMEM, "watch " BERM_RECORD_DIR);
	cni->eps = eps;
	cni->watch = -1;
	cni->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (cni->inotify < 0)
		rc = berm_fail(err, -errno, "inotify (raise fs.inotify.max_user_instances?)");
	else
		rc = scan(cni, err);
	if (rc) {
		berm_cni_close(cni);
		return rc;
	}
	*ret = cni;
	return 0;
}

void berm_cni_close(struct berm_cni *cni)
{
	struct bad *bad, *tmp;

	if (!cni)
		return;
	HASH_ITER(hh, cni->bad, bad, tmp) {
		HASH_DEL(cni->bad, bad);
		free(bad);
	}
	if (cni->inotify >= 0)
		close(cni->inotify);
	free(cni);
}

int berm_cni_fd(const struct berm_cni *cni)
{
	return cni->inotify;
}

static int on_event(struct berm_cni *cni, const struct inotify_event *ev, bool *changed)
{
	if (ev->mask & (IN_Q_OVERFLOW | IN_DELETE_SELF))
		cni->must_scan = true;
	if (ev->mask & IN_IGNORED || !ev->len || ev->wd != cni->watch || !is_record(ev->name))
		return 0;
	*changed = true;
	if (!(ev->mask & (IN_DELETE | IN_MOVED_FROM)))
		return load(cni, ev->name);
	forget(cni, ev->name);
	return 0;
}

static int read_events(struct berm_cni *cni, bool *changed)
{
	char buf[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
	const struct inotify_event *ev;
	ssize_t len, at;
	int rc = 0;

	while (!rc && (len = read(cni->inotify, buf, sizeof(buf))) > 0)
		for (at = 0; !rc && at < len; at += (ssize_t)(sizeof(*ev) + ev->len)) {
			ev = (const struct inotify_event *)(buf + at);
			rc = on_event(cni, ev, changed);
		}
	return rc;
}

int berm_cni_process(struct berm_cni *cni, bool *ret_changed, struct berm_err *err)
{
	int rc;

	*ret_changed = false;
	rc = read_events(cni, ret_changed);
	if (rc) {
		cni->must_scan = true;
		return berm_fail(err, rc, "read the records in " BERM_RECORD_DIR);
	}
	if (!cni->must_scan)
		return 0;
	*ret_changed = true;
	return scan(cni, err);
}

int berm_cni_refresh(struct berm_cni *cni, const char *container_id, const char *ifname,
		     struct berm_err *err)
{
	struct berm_record rec;
	int rc;

	rc = berm_record_read(container_id, ifname, &rec, err);
	if (rc)
		return rc;
	rc = berm_endpoints_put(cni->eps, &rec);
	return rc ? berm_fail(err, rc, "remember the record of %s", container_id) : 0;
}

void berm_cni_rescan(struct berm_cni *cni)
{
	cni->must_scan = true;
}

size_t berm_cni_bad(const struct berm_cni *cni)
{
	return HASH_COUNT(cni->bad);
}
