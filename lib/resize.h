/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resize.h - the session table gets another size: sessions move from the old table to the new one while packets pass.
 *
 * The loader has made the new table and its programs and pinned the old table beside it (BERM_PIN_OLD_SESSIONS). Then, for
 * each pod: copy its sessions, swap its programs, take what is left; and in the end take all, and let the old table go.
 * Whoever is killed on the way leaves both tables, and the next start goes on. Swaps no program and knows no pod.
 */
#ifndef BERM_RESIZE_H
#define BERM_RESIZE_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "maps.h"
#include "timeouts.h"

struct berm_resize;

struct berm_resize_count {
	uint32_t moved,
		lost; /* lost: they find no way in the new table, or their address is not the pod's own */
};

/* -ENOENT: nothing is on its way. The maps are borrowed. */
int berm_resize_open(const struct berm_maps *maps, const struct berm_session_opts *sessions,
		     struct berm_resize **ret, struct berm_err *err) must_check;
void berm_resize_close(struct berm_resize *resize); /* accepts NULL */

uint32_t berm_resize_from(const struct berm_resize *resize); /* buckets of the old table */

/* The sessions of one interface (0: all) are in the new table too, with counts that begin at 0. May be repeated. */
int berm_resize_copy(struct berm_resize *resize, uint32_t ifindex, struct berm_err *err) must_check;
/* They leave the old table; what they have counted there is added. To be called when no program of the interface uses the
 * old table any more. */
int berm_resize_take(struct berm_resize *resize, uint32_t ifindex, struct berm_resize_count *add,
		     struct berm_err *err) must_check;
/* Takes all that is left, and forgets the old table. */
int berm_resize_finish(struct berm_resize *resize, struct berm_resize_count *add,
		       struct berm_err *err) must_check;

#endif /* BERM_RESIZE_H */
