/* SPDX-License-Identifier: Apache-2.0 */
/* record.c - who sits behind which interface, as files. Knows neither the kernel nor the CNI protocol. */
#include "record.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "cleanup.h"
#include "fsutil.h"
#include "maps.h"
#include "paths.h"

#define RECORD_MAX_BYTES 65536
#define SUFFIX		 ".json"

/* ---- names ------------------------------------------------------------------------------------------ */

/* "must start with an alphanumeric character, optionally followed by any combination of one or more
 * alphanumeric characters, underscore, dot or hyphen" (CNI spec 1.1, "Parameters"). */
bool berm_container_id_is_valid(const char *id)
{
	size_t len = strlen(id);

	if (!len || len >= sizeof(((struct berm_record *)0)->container_id) ||
	    !isalnum((unsigned char)id[0]))
		return false;
	for (const char *p = id; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("_.-", *p))
			return false;
	return true;
}

/* What the kernel accepts (net/core/dev.c, dev_valid_name), in plain ASCII. */
bool berm_ifname_is_valid(const char *ifname)
{
	size_t len = strlen(ifname);

	if (!len || len >= sizeof(((struct berm_record *)0)->ifname) || !strcmp(ifname, ".") ||
	    !strcmp(ifname, ".."))
		return false;
	for (const char *p = ifname; *p; p++)
		if (!isgraph((unsigned char)*p) || strchr("/:", *p))
			return false;
	return true;
}

static int check_names(const char *container_id, const char *ifname, struct berm_err *err)
{
	if (!berm_container_id_is_valid(container_id))
		return berm_refuse(err, -EINVAL, "'%.140s' is not a container ID", container_id);
	if (!berm_ifname_is_valid(ifname))
		return berm_refuse(err, -EINVAL, "'%.20s' is not an interface name", ifname);
	return 0;
}

static void file_name(const char *container_id, const char *ifname, char out[NAME_MAX + 1])
{
	/* "@" cannot occur in a container ID, so no two attachments share a name. */
	snprintf(out, NAME_MAX + 1, "%s@%s" SUFFIX, container_id, ifname);
}

static int record_path(const char *container_id, const char *ifname, char out[PATH_MAX],
		       struct berm_err *err)
{
	char name[NAME_MAX + 1];
	int rc = check_names(container_id, ifname, err);

	if (rc)
		return rc;
	file_name(container_id, ifname, name);
	snprintf(out, PATH_MAX, BERM_RECORD_DIR "/%s", name);
	return 0;
}

/* ---- JSON: tables say which field is where ------------------------------------------------------------ */

static const struct {
	const char *key;
	size_t offset, size;
} texts[] = {
#define TEXT(key, field)                                                                           \
	{                                                                                          \
		key, offsetof(struct berm_record, field), sizeof(((struct berm_record *)0)->field) \
	}
	TEXT("container_id", container_id),
	TEXT("ifname", ifname),
	TEXT("namespace", ns),
	TEXT("name", pod),
	TEXT("uid", uid),
	TEXT("netns", netns),
	TEXT("host_ifname", host_ifname),
	TEXT("mode", mode),
	TEXT("fallback", fallback),
	TEXT("problem", problem),
#undef TEXT
};

static const struct {
	const char *key;
	size_t offset;
} numbers[] = {
	{ "ifindex", offsetof(struct berm_record, ifindex) },
	{ "peer_ifindex", offsetof(struct berm_record, peer_ifindex) },
	{ "slot", offsetof(struct berm_record, slot) },
	{ "intent_ifindex", offsetof(struct berm_record, intent_ifindex) },
};

static void format_mac(const uint8_t mac[6], char out[18])
{
	snprintf(out, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
		 mac[5]);
}

static bool add_addresses(cJSON *root, const struct berm_record *rec)
{
	cJSON *list = cJSON_AddArrayToObject(root, "addresses");
	char text[BERM_ADDR_STRLEN];

	for (int i = 0; list && i < rec->addr_count; i++) {
		berm_addr_format(&rec->addr[i], text);
		if (!cJSON_AddItemToArray(list, cJSON_CreateString(text)))
			return false;
	}
	return list;
}

static bool fill_object(cJSON *root, const struct berm_record *rec, int wait_ms)
{
	const char *base = (const char *)rec;
	char mac[18];

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (!cJSON_AddStringToObject(root, texts[i].key, base + texts[i].offset))
			return false;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (!cJSON_AddNumberToObject(root, numbers[i].key,
					     *(const uint32_t *)(const void *)(base +
									       numbers[i].offset)))
			return false;
	format_mac(rec->mac, mac);
	return cJSON_AddStringToObject(root, "mac", mac) && add_addresses(root, rec) &&
	       cJSON_AddNumberToObject(root, "netns_inode", (double)rec->netns_inode) &&
	       cJSON_AddBoolToObject(root, "adopted", rec->adopted) &&
	       (wait_ms < 0 || cJSON_AddNumberToObject(root, "wait_ms", wait_ms));
}

char *berm_record_format(const struct berm_record *rec, int wait_ms)
{
	cJSON *root = cJSON_CreateObject();
	char *text = NULL;

	if (root && fill_object(root, rec, wait_ms))
		text = cJSON_PrintUnformatted(root);
	cJSON_Delete(root);
	return text;
}

static int bad_field(const char *source, const char *key, struct berm_err *err)
{
	return berm_refuse(err, -EBADMSG, "%s: field '%s' has the wrong type or is out of range",
			   source, key);
}

static int read_texts(const char *source, const cJSON *root, struct berm_record *rec,
		      struct berm_err *err)
{
	const cJSON *item;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		item = cJSON_GetObjectItemCaseSensitive(root, texts[i].key);
		if (!item)
			continue;
		if (!cJSON_IsString(item) || strlen(item->valuestring) >= texts[i].size)
			return bad_field(source, texts[i].key, err);
		strcpy((char *)rec + texts[i].offset, item->valuestring);
	}
	return 0;
}

static bool number_in(const cJSON *item, double max, uint64_t *out)
{
	if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= max))
		return false;
	*out = (uint64_t)item->valuedouble;
	return true;
}

static int read_numbers(const char *source, const cJSON *root, struct berm_record *rec,
			struct berm_err *err)
{
	const cJSON *item;
	uint64_t value;

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		item = cJSON_GetObjectItemCaseSensitive(root, numbers[i].key);
		if (!item)
			continue;
		if (!number_in(item, UINT32_MAX, &value))
			return bad_field(source, numbers[i].key, err);
		*(uint32_t *)(void *)((char *)rec + numbers[i].offset) = (uint32_t)value;
	}
	item = cJSON_GetObjectItemCaseSensitive(root, "netns_inode");
	if (item &&
	    !number_in(item, 9007199254740992.0, &rec->netns_inode)) /* 2^53: exact in a double */
		return bad_field(source, "netns_inode", err);
	return 0;
}

static int read_addresses(const char *source, const cJSON *root, struct berm_record *rec,
			  struct berm_err *err)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "addresses"), *item;

	if (!list)
		return 0;
	if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > BERM_MAX_ADDRS)
		return bad_field(source, "addresses", err);
	cJSON_ArrayForEach(item, list)
		if (!cJSON_IsString(item) ||
		    berm_addr_parse(item->valuestring, &rec->addr[rec->addr_count++]))
			return bad_field(source, "addresses", err);
	return 0;
}

static int read_mac(const char *source, const cJSON *root, struct berm_record *rec,
		    struct berm_err *err)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, "mac");
	uint8_t *m = rec->mac;

	if (!item)
		return 0;
	if (!cJSON_IsString(item) || strlen(item->valuestring) != 17 ||
	    sscanf(item->valuestring, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &m[0], &m[1], &m[2],
		   &m[3], &m[4], &m[5]) != 6)
		return bad_field(source, "mac", err);
	return 0;
}

static int read_object(const char *source, const cJSON *root, struct berm_record *rec,
		       struct berm_err *err)
{
	int rc;

	if (!cJSON_IsObject(root))
		return berm_refuse(err, -EBADMSG, "%s: not a JSON object (cut off?)", source);
	rc = read_texts(source, root, rec, err);
	if (!rc)
		rc = read_numbers(source, root, rec, err);
	if (!rc)
		rc = read_addresses(source, root, rec, err);
	if (!rc)
		rc = read_mac(source, root, rec, err);
	if (rc)
		return rc;
	rec->adopted = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(root, "adopted"));
	if (!berm_container_id_is_valid(rec->container_id))
		return bad_field(source, "container_id", err);
	return berm_ifname_is_valid(rec->ifname) ? 0 : bad_field(source, "ifname", err);
}

int berm_record_parse(const char *source, const char *text, size_t size, struct berm_record *out,
		      struct berm_err *err)
{
	struct berm_record rec = { 0 };
	cJSON *root = cJSON_ParseWithLength(text, size);
	int rc = read_object(source, root, &rec, err);

	cJSON_Delete(root);
	if (!rc)
		*out = rec;
	return rc;
}

/* ---- owners of interfaces ------------------------------------------------------------------------------ */

static uint32_t claimed_ifindex(const struct berm_record *rec)
{
	return rec->ifindex ? rec->ifindex : rec->intent_ifindex;
}

static void owner_path(uint32_t ifindex, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, BERM_OWNER_DIR "/%u", ifindex);
}

static bool owner_is(uint32_t ifindex, const char *name)
{
	char path[PATH_MAX], target[NAME_MAX + 1];
	ssize_t n;

	owner_path(ifindex, path);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	return !strcmp(target, name);
}

bool berm_record_owns(const struct berm_record *rec, uint32_t ifindex)
{
	char name[NAME_MAX + 1];

	file_name(rec->container_id, rec->ifname, name);
	return ifindex && owner_is(ifindex, name);
}

static int owner_write(const struct berm_record *rec, struct berm_err *err)
{
	char path[PATH_MAX], name[NAME_MAX + 1];
	int rc;

	if (!claimed_ifindex(rec) || berm_record_owns(rec, claimed_ifindex(rec)))
		return 0;
	rc = berm_mkdirs(BERM_OWNER_DIR, BERM_RECORD_DIR_MODE, err);
	if (rc)
		return rc;
	owner_path(claimed_ifindex(rec), path);
	file_name(rec->container_id, rec->ifname, name);
	/* The former owner's interface is gone: that nobody owns it for a moment harms no one. */
	if (unlink(path) && errno != ENOENT)
		return berm_fail(err, -errno, "remove %s", path);
	if (symlink(name, path) &&
	    !(errno == EEXIST && berm_record_owns(rec, claimed_ifindex(rec))))
		return berm_fail(err, -errno, "link %s", path);
	return 0;
}

int berm_record_find_owned(const char *container_id, const char *ifname, uint32_t *ret_ifindex)
{
	char name[NAME_MAX + 1];
	DIR *dir = opendir(BERM_OWNER_DIR);
	struct dirent *entry;
	uint32_t found = 0;

	if (!dir)
		return -errno;
	file_name(container_id, ifname, name);
	while (!found && (entry = readdir(dir))) {
		uint32_t ifindex = (uint32_t)strtoul(entry->d_name, NULL, 10);

		if (ifindex && owner_is(ifindex, name))
			found = ifindex;
	}
	closedir(dir);
	if (!found)
		return -ENOENT;
	*ret_ifindex = found;
	return 0;
}

static void owner_delete(const char *container_id, const char *ifname)
{
	uint32_t ifindex = 0;
	char path[PATH_MAX];

	while (!berm_record_find_owned(container_id, ifname, &ifindex)) {
		owner_path(ifindex, path);
		if (unlink(path))
			return;
	}
}

/* ---- files ---------------------------------------------------------------------------------------------- */

int berm_record_write(const struct berm_record *rec, struct berm_err *err)
{
	auto_free char *text = NULL;
	char path[PATH_MAX];
	int rc = record_path(rec->container_id, rec->ifname, path, err);

	if (!rc)
		rc = berm_mkdirs(BERM_RECORD_DIR, BERM_RECORD_DIR_MODE, err);
	if (!rc)
		rc = owner_write(rec, err);
	if (rc)
		return rc;
	text = berm_record_format(rec, -1);
	if (!text)
		return berm_fail(err, -ENOMEM, "write %s", path);
	return berm_file_write(path, text, strlen(text), 0600, err);
}

/* A file under another attachment's name would have a DEL of the one take down the other. */
static int check_name(const char *path, const struct berm_record *rec, struct berm_err *err)
{
	const char *slash = strrchr(path, '/');
	char name[NAME_MAX + 1];

	file_name(rec->container_id, rec->ifname, name);
	if (!strcmp(slash ? slash + 1 : path, name))
		return 0;
	return berm_refuse(err, -EBADMSG, "%s is the record of %s: it was renamed or copied", path,
			   name);
}

int berm_record_read_file(const char *path, struct berm_record *out, struct berm_err *err)
{
	auto_free char *text = NULL;
	struct berm_record rec = { 0 };
	size_t size;
	int rc = berm_file_read(path, RECORD_MAX_BYTES, &text, &size, err);

	if (rc == -EFBIG)
		return berm_refuse(err, -EBADMSG, "%s has more than %d bytes: not a record", path,
				   RECORD_MAX_BYTES);
	if (!rc)
		rc = berm_record_parse(path, text, size, &rec, err);
	if (!rc)
		rc = check_name(path, &rec, err);
	if (!rc)
		*out = rec;
	return rc;
}

int berm_record_read(const char *container_id, const char *ifname, struct berm_record *out,
		     struct berm_err *err)
{
	char path[PATH_MAX];
	int rc = record_path(container_id, ifname, path, err);

	return rc ? rc : berm_record_read_file(path, out, err);
}

/* Temporary files of writers that were killed (fsutil.c names them ".<name>.<pid>"). */
static void temps_delete(const char *container_id, const char *ifname)
{
	char name[NAME_MAX + 1], path[PATH_MAX];
	DIR *dir = opendir(BERM_RECORD_DIR);
	struct dirent *entry;
	size_t len;

	if (!dir)
		return;
	file_name(container_id, ifname, name);
	len = strlen(name);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] != '.' || strncmp(entry->d_name + 1, name, len) ||
		    entry->d_name[1 + len] != '.')
			continue;
		snprintf(path, sizeof(path), BERM_RECORD_DIR "/%s", entry->d_name);
		(void)unlink(path); /* hidden, so nobody takes it for a record if it stays */
	}
	closedir(dir);
}

int berm_record_delete(const char *container_id, const char *ifname, struct berm_err *err)
{
	struct berm_record rec;
	char path[PATH_MAX], owner[PATH_MAX];
	int rc = record_path(container_id, ifname, path, err);

	if (rc)
		return rc;
	/* The usual case needs no search through the directory of owners. */
	if (berm_record_read_file(path, &rec, NULL)) {
		owner_delete(container_id, ifname);
	} else if (berm_record_owns(&rec, claimed_ifindex(&rec))) {
		owner_path(claimed_ifindex(&rec), owner);
		(void)unlink(owner); /* a stale one is overwritten by the next owner */
	}
	temps_delete(container_id, ifname);
	return berm_file_delete(path, err);
}

struct list {
	struct berm_record *item;
	size_t count, room, bad;
};

static int list_add(struct list *list, const char *name)
{
	char path[PATH_MAX];
	struct berm_record *more;
	size_t room;
	int rc;

	if (list->count == list->room) {
		room = list->room ? list->room * 2 : 32;
		more = realloc(list->item, room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		list->item = more;
		list->room = room;
	}
	snprintf(path, sizeof(path), BERM_RECORD_DIR "/%s", name);
	rc = berm_record_read_file(path, &list->item[list->count], NULL);
	if (!rc)
		list->count++;
	else if (rc != -ENOENT) /* deleted while we walk the directory */
		list->bad++;
	return 0;
}

static bool is_record_name(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && len > strlen(SUFFIX) &&
	       !strcmp(name + len - strlen(SUFFIX), SUFFIX);
}

static int list_walk(DIR *dir, struct list *list)
{
	struct dirent *entry;
	int rc = 0;

	while (!rc && (entry = readdir(dir)))
		if (is_record_name(entry->d_name))
			rc = list_add(list, entry->d_name);
	return rc;
}

int berm_record_list(struct berm_record **ret, size_t *ret_count, size_t *ret_bad,
		     struct berm_err *err)
{
	struct list list = { 0 };
	DIR *dir = opendir(BERM_RECORD_DIR);
	int rc = 0;

	if (!dir && errno != ENOENT)
		return berm_fail(err, -errno, "open " BERM_RECORD_DIR);
	if (dir) {
		rc = list_walk(dir, &list);
		closedir(dir);
	}
	if (rc) {
		free(list.item);
		return berm_fail(err, rc, "list " BERM_RECORD_DIR);
	}
	*ret = list.item;
	*ret_count = list.count;
	if (ret_bad)
		*ret_bad = list.bad;
	return 0;
}
