/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wall.h - the data path as a node has it: loaded by the product's loader, pinned, attached to a veth by a
 * link that can be updated; in network and mount namespaces of the test's own. Where datapath.h runs
 * programs that nobody else has, this one is what an agent would find.
 */
#ifndef BERM_TEST_WALL_H
#define BERM_TEST_WALL_H

#include "datapath.h"

#define WALL_OUTSIDE 4 /* device that packets into a pod come in by */

/*
 * Devices 1 (lo), 2 and 3 may be pods. Of device 2 "end2" is the pod's side; nobody on either side speaks by
 * himself. What is filled in of the datapath: maps, hz, ingress_ifindex (no skeleton, no ring).
 */
struct datapath *wall_build(uint32_t buckets, const uint32_t *timeout_s);

/* The programs once more, with another time for half-open sessions so that they are others; pinned in place of
 * those that are. prog[]: by enum berm_dir, the caller's. */
int wall_reload(uint32_t half_open_s, const uint32_t *timeout_s, int prog[BERM_DIR_COUNT],
		struct berm_err *err);
int wall_open_progs(int prog[BERM_DIR_COUNT], struct berm_err *err);

#endif /* BERM_TEST_WALL_H */
