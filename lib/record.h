/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h - one JSON file per attachment in BERM_RECORD_DIR: who sits behind which interface.
 *
 * The plugin writes it (intent before, complete after attaching), the agent and bermctl read it. Named
 * <containerID>@<ifname>.json after both were checked against the CNI spec's patterns. Written to a
 * temporary name, fsync'ed, renamed: a reader sees all or nothing. Names that begin with a dot are
 * temporary: readers (and inotify) pass them by.
 *
 * Interface indexes are used again by the kernel, so a record alone does not prove who owns one now:
 * BERM_OWNER_DIR/<ifindex> is a link to the last record that was written for it.
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
	char fallback[24]; /* what ADD left the pod with; "" if the agent had judged it by then. Whether it
			    * still counts says BERM_EP_FALLBACK in the kernel */
	char mode[8];		 /* tcx or clsact */
	bool adopted;		 /* attached by the agent to a running pod */
	uint32_t intent_ifindex; /* host side of an ADD that is under way or was killed: what DEL undoes */
	char problem[128]; /* why it is not fully enforced ("ingress not enforced: ..."), "" = it is */
};

#define BERM_RECORD_DIR_MODE 0700 /* records and owners name pods: root's business */

/* Patterns of the CNI spec 1.1 ("Parameters"), bounded so that they fit a file name. */
bool berm_container_id_is_valid(const char *id);
bool berm_ifname_is_valid(const char *ifname);

int berm_record_write(const struct berm_record *rec, struct berm_err *err) must_check;
/* -ENOENT absent; -EBADMSG truncated, garbage, or under another name (the message names the file). */
int berm_record_read(const char *container_id, const char *ifname, struct berm_record *out,
		     struct berm_err *err) must_check;
int berm_record_read_file(const char *path, struct berm_record *out,
			  struct berm_err *err) must_check;
int berm_record_delete(const char *container_id, const char *ifname, struct berm_err *err);

/* Is this record the last one written for the interface? False too if nobody claims it. */
bool berm_record_owns(const struct berm_record *rec, uint32_t ifindex);

/* The interface whose owner is this attachment, although its record cannot be read. -ENOENT: none. */
int berm_record_find_owned(const char *container_id, const char *ifname, uint32_t *ret_ifindex);

/* JSON of a record, one object: the file's content and, with wait_ms >= 0 added, the body of
 * POST /v1/endpoints (docs/rest-api.md). Caller frees; NULL: out of memory. */
char *berm_record_format(const struct berm_record *rec, int wait_ms);

/* The reverse; source is for messages. -EBADMSG: not JSON, or a field has the wrong type or length. Fields
 * that are absent are zero, unknown ones are passed over. */
int berm_record_parse(const char *source, const char *text, size_t size, struct berm_record *out,
		      struct berm_err *err) must_check;

/* All readable records; *ret_bad counts unreadable files (may be NULL). Caller frees *ret. */
int berm_record_list(struct berm_record **ret, size_t *ret_count, size_t *ret_bad,
		     struct berm_err *err) must_check;

#endif /* BERM_RECORD_H */
