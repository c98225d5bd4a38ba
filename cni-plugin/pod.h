/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod.h - what the kernel and /run/berm hold about one attachment: made step by step by ADD. Taking it
 * down is lib/attachment.h's. Knows no stdin and no stdout.
 */
#ifndef BERM_CNI_POD_H
#define BERM_CNI_POD_H

#include <stdbool.h>
#include <stdint.h>

#include "abi.h"
#include "err.h"
#include "link.h"
#include "maps.h"
#include "netdev.h"
#include "record.h"

/* What the pod gets until the agent has judged it: a set of each direction (BERM_SET_*), by enum berm_dir. */
struct pod_sets {
	uint32_t of[BERM_DIR_COUNT];
};

/* Under BERM_LOCK: record (intent) and endpoint slot. rec must name the attachment; host side and addresses
 * come from veth. On failure the caller takes back what was done. */
int pod_enter(struct berm_maps *maps, struct berm_record *rec, const struct berm_veth *veth,
	      const struct pod_sets *sets, struct berm_err *err) must_check;

/* Programs on both hooks, then the complete record. */
int pod_attach(struct berm_record *rec, enum berm_attach_mode mode,
	       struct berm_err *err) must_check;

/* An ADD that was repeated and failed: the record as the first one left it. */
int pod_restore(const struct berm_record *before, int lock_ms, struct berm_err *err) must_check;

#endif /* BERM_CNI_POD_H */
