/* SPDX-License-Identifier: Apache-2.0 */
/* diff_edge.h - which connections two lists of policies judge differently. For diff.c. */
#ifndef BERM_DIFF_EDGE_H
#define BERM_DIFF_EDGE_H

#include <cjson/cJSON.h>

#include "err.h"
#include "overlay.h"

#define BERM_DIFF_EDGES	 2000 /* that are told; all are counted */
#define BERM_DIFF_BLOCKS 1024 /* of a group's CIDR tables that are looked at */

struct berm_diff_lists {
	const struct berm_model *model; /* pods, namespaces, Services */
	const struct berm_overlay *before, *after;
};

/* Adds changed, edges[], edge_count, truncated, pods, groups to out. */
int berm_diff_edges(const struct berm_diff_lists *lists, cJSON *out,
		    struct berm_err *err) must_check;

#endif /* BERM_DIFF_EDGE_H */
