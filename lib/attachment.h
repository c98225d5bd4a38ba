/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attachment.h - take down what the kernel and BERM_RUN_DIR hold of one attachment: hooks, slot, record, owner.
 *
 * That needs BERM_LOCK. A DEL may not wait for it long, so it can leave a note (an empty file in BERM_LEFT_DIR, named like
 * the record): whoever has the lock next does it. Nobody's note is overlooked: who leaves one tries the lock again
 * afterwards, and who gives the lock back looks for notes after that.
 */
#ifndef BERM_ATTACHMENT_H
#define BERM_ATTACHMENT_H

#include "err.h"
#include "record.h"

/* Its record, or what its name alone tells if that is lost or damaged. -ENOENT: no record; *out is filled anyway. */
int berm_attachment_find(const char *container_id, const char *ifname, struct berm_record *out,
			 struct berm_err *err);

/* Everything that belongs to the record, as far as it still owns its interface. Idempotent; works without
 * maps, with maps of another version, without the device, with half of an ADD. lock_ms: as berm_lock_take. */
int berm_attachment_end(const struct berm_record *rec, int lock_ms, struct berm_err *err);

/* The same within max_ms, or later by somebody else: *ret_later. */
int berm_attachment_end_soon(const struct berm_record *rec, int max_ms, bool *ret_later,
			     struct berm_err *err);

/* An ADD of the same name begins; the caller holds BERM_LOCK. */
void berm_attachment_begin(const char *container_id, const char *ifname);

/* Notes that others left. Returns how many were dealt with (none while somebody has the lock), or -errno of the
 * first that failed and stays. */
int berm_attachment_collect(struct berm_err *err);

#endif /* BERM_ATTACHMENT_H */
