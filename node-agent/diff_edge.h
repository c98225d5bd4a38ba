/* SPDX-License-Identifier: Apache-2.0 */
/* diff_edge.h - which connections two states of a model judge differently. Knows no document. */
#ifndef BERM_DIFF_EDGE_H
#define BERM_DIFF_EDGE_H

#include <cjson/cJSON.h>

#include "err.h"
#include "model.h"

#define BERM_DIFF_EDGES	 2000  /* that are told; all are counted */
#define BERM_DIFF_BLOCKS 1024  /* of a group's CIDR tables that are looked at */
#define BERM_DIFF_FLOWS	 20000 /* exact flows that are looked at */

struct berm_differ;

/* Compiles the model as it is now; it may be changed afterwards. -E2BIG: a document is over a limit. */
int berm_differ_open(const struct berm_model *model, struct berm_differ **ret,
		     struct berm_err *err) must_check;
/* Compares with the model as it is now, once. Adds changed, edges[], edge_count, truncated, pods, groups to out. */
int berm_differ_compare(struct berm_differ *differ, const struct berm_model *model, cJSON *out,
			struct berm_err *err) must_check;
void berm_differ_close(struct berm_differ *differ); /* accepts NULL */

#endif /* BERM_DIFF_EDGE_H */
