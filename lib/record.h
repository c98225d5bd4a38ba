/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h - one JSON file per attachment in BERM_RECORD_DIR: who sits behind which interface.
 *
 * The plugin writes it (intent before, complete after attaching), the agent and bermctl read it. Named
 * <containerID>-<ifname>.json after both were checked against the CNI spec's patterns. Written to a
 * temporary name, fsync'ed, renamed: a reader sees all or nothing.
 */
#ifndef BERM_RECORD_H
#define BERM_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"
#include "err.h"

struct berm_record {
	char container_id[128];
	char ifname[16];
	char ns[64];   /* Kubernetes namespace, "" if unknown */
	char pod[254]; /* pod name */
	char uid[64];
	char netns[256];
	uint64_t netns_inode;
	uint32_t ifindex; /* host side; 0 while it is only an intent */
	uint32_t peer_ifindex;
	uint32_t slot;
	char host_ifname[16];
	uint8_t mac[6];
	uint8_t addr_count;
	struct berm_addr addr[BERM_MAX_ADDRS];
	char fallback[24]; /* what the pod has until judged; "" once the agent has judged it */
	char mode[8];	   /* tcx or clsact */
	bool adopted;	   /* attached by the agent to a running pod */
};

/* Patterns of the CNI spec 1.1 ("Parameters"), bounded so that they fit a file name. */
bool berm_container_id_is_valid(const char *id);
bool berm_ifname_is_valid(const char *ifname);

int berm_record_write(const struct berm_record *rec, struct berm_err *err) must_check;
/* -ENOENT absent; -EBADMSG truncated or garbage (the message names the file). */
int berm_record_read(const char *container_id, const char *ifname, struct berm_record *out,
		     struct berm_err *err) must_check;
int berm_record_read_file(const char *path, struct berm_record *out, struct berm_err *err) must_check;
int berm_record_delete(const char *container_id, const char *ifname, struct berm_err *err);

/* All readable records; *ret_bad counts unreadable files (may be NULL). Caller frees *ret. */
int berm_record_list(struct berm_record **ret, size_t *ret_count, size_t *ret_bad, struct berm_err *err)
	must_check;

#endif /* BERM_RECORD_H */
