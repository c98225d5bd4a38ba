/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink.h - the XDP program of the block list and its maps: load, fill, attach by a pinned link. Knows no documents and
 * not which blocks qualify.
 *
 * Every process that loads it has maps of its own; a link that is pinned already goes over to the new program in one
 * step. So what is dropped stays dropped while nobody runs, and is replaced once the new maps are filled.
 */
#ifndef BERM_UPLINK_H
#define BERM_UPLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"
#include "cidr.h"
#include "err.h"
#include "maps.h"

enum berm_uplink_mode { BERM_UPLINK_AUTO, BERM_UPLINK_NATIVE, BERM_UPLINK_GENERIC };

#define BERM_UPLINK_MAX 8 /* interfaces */

struct berm_uplink;

/* any_destination: drop what is not for a shielded pod, too. */
int berm_uplink_open(const struct berm_maps *maps, bool any_destination, struct berm_uplink **ret,
		     struct berm_err *err) must_check;
void berm_uplink_close(struct berm_uplink *uplink); /* accepts NULL; what is attached stays */

int berm_uplink_block(const struct berm_uplink *uplink, const struct berm_cidr *cidr,
		      const struct berm_block *value, struct berm_err *err) must_check;
void berm_uplink_unblock(const struct berm_uplink *uplink, const struct berm_cidr *cidr);
int berm_uplink_shield(const struct berm_uplink *uplink, const struct berm_addr *addr,
		       struct berm_err *err) must_check;
void berm_uplink_unshield(const struct berm_uplink *uplink, const struct berm_addr *addr);

/* Sums over CPUs, of this program's time. */
int berm_uplink_counters(const struct berm_uplink *uplink, struct berm_uplink_counters *out,
			 struct berm_err *err) must_check;

/* Our program on this device, by a new link or in the place of that of our pinned one. AUTO: native if the driver can,
 * else generic. -EBUSY: somebody else's program is there; it is left alone, and err names it. */
int berm_uplink_attach(struct berm_uplink *uplink, uint32_t ifindex, enum berm_uplink_mode mode,
		       struct berm_err *err) must_check;
/* Is this very program on the device, by its pinned link? A pin that has vanished is made again. *ret_native says how. */
bool berm_uplink_is_on(struct berm_uplink *uplink, uint32_t ifindex, bool *ret_native);
/* Takes away what is attached to all other devices. uplink may be NULL: what others have left. */
void berm_uplink_keep(struct berm_uplink *uplink, const uint32_t *ifindex, size_t count);

#endif /* BERM_UPLINK_H */
