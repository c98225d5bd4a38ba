/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_cni.h - the records that the plugin writes (lib/record.h), followed with inotify, into the table of
 * endpoints. Knows no event loop and no kernel.
 */
#ifndef BERM_SOURCE_CNI_H
#define BERM_SOURCE_CNI_H

#include <stdbool.h>
#include <stddef.h>

#include "endpoints.h"
#include "err.h"

struct berm_cni;

/* Makes BERM_RECORD_DIR if it is not there, watches it and reads all records. A record that cannot be read is no
 * error: it is logged once and counted, and its endpoint lives on without a name. */
int berm_cni_open(struct berm_endpoints *eps, struct berm_cni **ret,
		  struct berm_err *err) must_check;
void berm_cni_close(struct berm_cni *cni); /* accepts NULL */

/* Readable when a record has changed. */
int berm_cni_fd(const struct berm_cni *cni);

/* Takes in what has changed. true in *ret_changed: berm_endpoints_sync() has something to do. */
int berm_cni_process(struct berm_cni *cni, bool *ret_changed, struct berm_err *err) must_check;

/* The record of one attachment, now: its event may still be on its way. -ENOENT, -EBADMSG. */
int berm_cni_refresh(struct berm_cni *cni, const char *container_id, const char *ifname,
		     struct berm_err *err) must_check;

/* The next process() reads the whole directory again, also if it was replaced. */
void berm_cni_rescan(struct berm_cni *cni);

/* Records that cannot be read. */
size_t berm_cni_bad(const struct berm_cni *cni);

#endif /* BERM_SOURCE_CNI_H */
