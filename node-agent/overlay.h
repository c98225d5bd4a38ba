/* SPDX-License-Identifier: Apache-2.0 */
/* overlay.h - the policies of a model with some others put in their places. Owns nothing but its list. */
#ifndef BERM_OVERLAY_H
#define BERM_OVERLAY_H

#include "model.h"

struct berm_overlay {
	struct berm_policy **item; /* in the order of a model */
	size_t count;
};

int berm_overlay_make(const struct berm_model *model, struct berm_overlay *ret) must_check;
/* In the place of the one with its name, or added. */
int berm_overlay_put(struct berm_overlay *overlay, struct berm_policy *policy) must_check;
/* false: there is none */
bool berm_overlay_remove(struct berm_overlay *overlay, enum berm_policy_kind kind, const char *ns,
			 const char *name);
void berm_overlay_clear(struct berm_overlay *overlay);

#endif /* BERM_OVERLAY_H */
