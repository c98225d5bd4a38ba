/* SPDX-License-Identifier: Apache-2.0 */
/* version.c - finds and removes data paths of other ABIs. Knows of their layout only the first four bytes of one map. */
#include "version.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi.h"
#include "cleanup.h"
#include "paths.h"

#define NODE_PIN "berm_node"

/* Of a node block of any version: abi comes first, and is 0 until everything else is there. */
static uint32_t abi_at(const char *path)
{
	auto_close int fd = bpf_obj_get(path);
	uint32_t *word, abi;

	if (fd < 0)
		return 0;
	word = mmap(NULL, sizeof(*word), PROT_READ, MAP_SHARED, fd, 0);
	if (word == MAP_FAILED)
		return 0;
	abi = __atomic_load_n(word, __ATOMIC_ACQUIRE);
	munmap(word, sizeof(*word));
	return abi;
}

/* "v12" -> 12; 0: no such name */
static uint32_t abi_of_name(const char *name)
{
	unsigned long abi;
	char *end;

	if (name[0] != 'v' || name[1] < '1' || name[1] > '9')
		return 0;
	abi = strtoul(name + 1, &end, 10);
	return *end || abi > UINT32_MAX ? 0 : (uint32_t)abi;
}

/* The first directory of another ABI that is, or is not, complete. 0: none. */
static uint32_t find(bool is_complete)
{
	DIR *dir = opendir(BERM_PIN_DIR);
	char path[PATH_MAX];
	struct dirent *entry;
	uint32_t abi, found = 0;

	if (!dir)
		return 0;
	while (!found && (entry = readdir(dir))) {
		abi = abi_of_name(entry->d_name);
		if (!abi || abi == BERM_ABI_VERSION)
			continue;
		snprintf(path, sizeof(path), BERM_PIN_DIR "/v%u/maps/" NODE_PIN, abi);
		if (is_complete == (abi_at(path) != 0))
			found = abi;
	}
	closedir(dir);
	return found;
}

int berm_version_other(uint32_t *ret_abi)
{
	uint32_t abi = find(true);

	if (!abi)
		return -ENOENT;
	*ret_abi = abi;
	return 0;
}

int berm_version_check(struct berm_err *err)
{
	uint32_t abi;

	if (berm_version_other(&abi))
		return 0;
	return berm_refuse(err, -EPROTO,
			   "the data path on this node has ABI %u, this program speaks ABI %u: upgrade agent and "
			   "plugin together (if that is under way, the new agent finishes it)",
			   abi, BERM_ABI_VERSION);
}

/* Everything in a directory but `last`, then that, then the directory. */
static int remove_pins(const char *path, const char *last, struct berm_err *err)
{
	char file[PATH_MAX];
	struct dirent *entry;
	DIR *dir = opendir(path);
	int rc = 0;

	if (!dir)
		return errno == ENOENT ? 0 : berm_fail(err, -errno, "open %s", path);
	while (!rc && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !strcmp(entry->d_name, last))
			continue;
		if (snprintf(file, sizeof(file), "%s/%s", path, entry->d_name) < PATH_MAX &&
		    unlink(file) && errno != ENOENT)
			rc = berm_fail(err, -errno, "remove %s", file);
	}
	closedir(dir);
	if (rc)
		return rc;
	snprintf(file, sizeof(file), "%s/%s", path, last);
	if (*last && unlink(file) && errno != ENOENT)
		return berm_fail(err, -errno, "remove %s", file);
	return rmdir(path) ? berm_fail(err, -errno, "remove %s", path) : 0;
}

int berm_version_retire(uint32_t abi, struct berm_err *err)
{
	char path[64];
	int rc;

	snprintf(path, sizeof(path), BERM_PIN_DIR "/v%u/progs", abi);
	rc = remove_pins(path, "", err);
	if (rc)
		return rc;
	snprintf(path, sizeof(path), BERM_PIN_DIR "/v%u/maps", abi);
	rc = remove_pins(path, NODE_PIN, err);
	if (rc)
		return rc;
	snprintf(path, sizeof(path), BERM_PIN_DIR "/v%u", abi);
	return rmdir(path) ? berm_fail(err, -errno, "remove %s", path) : 0;
}

int berm_version_tidy(struct berm_err *err)
{
	uint32_t abi;
	int rc = 0;

	while (!rc && (abi = find(false)))
		rc = berm_version_retire(abi, err);
	return rc;
}
