/* SPDX-License-Identifier: Apache-2.0 */
/* attachment.c - take down one attachment, now or as soon as the lock is free. Knows no CNI call and no policy. */
#include "attachment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "cleanup.h"
#include "fsutil.h"
#include "link.h"
#include "maps.h"
#include "paths.h"

#define SUFFIX ".json"

/* ---- which one ---------------------------------------------------------------------------------------------- */

/* A record that is damaged or was never finished has a name, and its interface may point to that name. */
int berm_attachment_find(const char *container_id, const char *ifname, struct berm_record *out,
			 struct berm_err *err)
{
	int rc = berm_record_read(container_id, ifname, out, err);

	if (!rc)
		return 0;
	*out = (struct berm_record){ 0 };
	snprintf(out->container_id, sizeof(out->container_id), "%s", container_id);
	snprintf(out->ifname, sizeof(out->ifname), "%s", ifname);
	if (berm_record_find_owned(container_id, ifname, &out->ifindex))
		out->ifindex = 0;
	return rc;
}

static int note_path(const char *container_id, const char *ifname, char out[PATH_MAX])
{
	if (!berm_container_id_is_valid(container_id) || !berm_ifname_is_valid(ifname))
		return -EINVAL;
	snprintf(out, PATH_MAX, BERM_LEFT_DIR "/%s@%s" SUFFIX, container_id, ifname);
	return 0;
}

/* The reverse; name is cut up. */
static bool note_split(char *name, char **ret_ifname)
{
	size_t len = strlen(name);
	char *at = strchr(name, '@');

	if (!at || len < strlen(SUFFIX) || strcmp(name + len - strlen(SUFFIX), SUFFIX))
		return false;
	name[len - strlen(SUFFIX)] = '\0';
	*at = '\0';
	*ret_ifname = at + 1;
	return berm_container_id_is_valid(name) && berm_ifname_is_valid(*ret_ifname);
}

/* ---- under the lock ------------------------------------------------------------------------------------------- */

static int kernel_end(const struct berm_record *rec, struct berm_maps *maps, uint32_t ifindex,
		      struct berm_err *err)
{
	int rc = berm_link_detach(ifindex, err), other = 0;

	if (maps->node)
		other = berm_slot_free(maps, rec->slot, ifindex, rc ? NULL : err);
	return rc ? rc : other;
}

static int end_locked(const struct berm_record *rec, struct berm_maps *maps, struct berm_err *err)
{
	uint32_t ifindex = rec->ifindex ? rec->ifindex : rec->intent_ifindex;
	int rc = 0, other;

	/* Interface indexes are used again: what belongs to a later pod stays. */
	if (ifindex && berm_record_owns(rec, ifindex))
		rc = kernel_end(rec, maps, ifindex, err);
	other = berm_record_delete(rec->container_id, rec->ifname, rc ? NULL : err);
	berm_attachment_begin(rec->container_id, rec->ifname);
	return rc ? rc : other;
}

void berm_attachment_begin(const char *container_id, const char *ifname)
{
	char path[PATH_MAX];

	if (!note_path(container_id, ifname, path))
		(void)unlink(path); /* there is none, as a rule */
}

/* No data path, no slot. In maps of another version it is that version's agent that frees it. */
static int open_maps(struct berm_maps *maps, struct berm_err *err)
{
	struct berm_err why = { 0 };
	int rc = berm_maps_open_slots(maps, &why);

	if (!rc || rc == -ENOENT || rc == -EPROTO)
		return 0;
	if (err)
		*err = why;
	return rc;
}

/* ---- notes ---------------------------------------------------------------------------------------------------- */

static int note_follow(char *name, struct berm_maps *maps, struct berm_err *err)
{
	char path[PATH_MAX], *ifname;
	struct berm_record rec;

	snprintf(path, sizeof(path), BERM_LEFT_DIR "/%s", name);
	if (!note_split(name, &ifname))
		return unlink(path) ? berm_fail(err, -errno, "remove %s", path) : 0;
	(void)berm_attachment_find(name, ifname, &rec, NULL); /* the name alone will do */
	return end_locked(&rec, maps, err);
}

static int notes_follow(DIR *dir, struct berm_maps *maps, struct berm_err *err)
{
	struct berm_err why = { 0 };
	struct dirent *entry;
	int rc = 0, other, count = 0;

	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		other = note_follow(entry->d_name, maps, &why);
		if (other && !rc && err)
			*err = why;
		rc = rc ? rc : other;
		count += !other;
	}
	return rc ? rc : count;
}

static bool has_notes(DIR *dir)
{
	struct dirent *entry;

	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			return true;
	return false;
}

int berm_attachment_collect(struct berm_err *err)
{
	struct berm_maps maps = BERM_MAPS_CLOSED;
	auto_close int lock = -1;
	DIR *dir = opendir(BERM_LEFT_DIR);
	int rc = 0;

	if (!dir)
		return errno == ENOENT ? 0 : berm_fail(err, -errno, "open " BERM_LEFT_DIR);
	if (has_notes(dir) && !berm_lock_try(0, &lock, NULL)) {
		rewinddir(dir);
		rc = open_maps(&maps, err);
		if (!rc)
			rc = notes_follow(dir, &maps, err);
		berm_maps_close(&maps);
	}
	closedir(dir);
	return rc;
}

static int note_leave(const struct berm_record *rec, struct berm_err *err)
{
	char path[PATH_MAX];
	auto_close int fd = -1;
	int rc = note_path(rec->container_id, rec->ifname, path);

	if (rc)
		return berm_fail(err, rc, "leave a note for container %s", rec->container_id);
	rc = berm_mkdirs(BERM_LEFT_DIR, 0700, err);
	if (rc)
		return rc;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	return fd < 0 ? berm_fail(err, -errno, "leave %s", path) : 0;
}

/* ---- now, or later ---------------------------------------------------------------------------------------------- */

typedef int take_lock(int ms, int *ret_fd, struct berm_err *err);

/* -ETIMEDOUT: no lock, nothing done. */
static int end_with(take_lock *take, const struct berm_record *rec, int ms, struct berm_err *err)
{
	struct berm_maps maps = BERM_MAPS_CLOSED;
	auto_close int lock = -1;
	int rc = open_maps(&maps, err); /* before the lock: others need not wait for it */

	if (!rc)
		rc = take(ms, &lock, err);
	if (!rc)
		rc = end_locked(rec, &maps, err);
	berm_maps_close(&maps);
	return rc;
}

int berm_attachment_end(const struct berm_record *rec, int lock_ms, struct berm_err *err)
{
	int rc = end_with(berm_lock_take, rec, lock_ms, err);

	(void)berm_attachment_collect(NULL); /* of others: they are told of it */
	return rc;
}

int berm_attachment_end_soon(const struct berm_record *rec, int max_ms, bool *ret_later,
			     struct berm_err *err)
{
	int rc = end_with(berm_lock_try, rec, max_ms, err);

	*ret_later = rc == -ETIMEDOUT;
	if (*ret_later)
		rc = note_leave(rec, err);
	(void)berm_attachment_collect(NULL); /* the holder may have gone since */
	return rc;
}
