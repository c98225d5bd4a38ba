/* SPDX-License-Identifier: Apache-2.0 */
/* nodeaddr.h - the node's own addresses: from the kernel into berm_local and into the model. */
#ifndef BERM_NODEADDR_H
#define BERM_NODEADDR_H

#include "err.h"
#include "maps.h"
#include "model.h"

/* Brings both up to date; touches nothing if nothing has changed. Additions come before removals. */
int berm_nodeaddr_sync(struct berm_maps *maps, struct berm_model *model,
		       struct berm_err *err) must_check;

#endif /* BERM_NODEADDR_H */
