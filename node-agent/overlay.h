/* SPDX-License-Identifier: Apache-2.0 */
/* overlay.h - the policies of a model with some others put in their places, as they would be in force. Owns nothing else. */
#ifndef BERM_OVERLAY_H
#define BERM_OVERLAY_H

#include "model.h"

struct berm_overlay {
	struct berm_policy **item; /* in the order of a model */
	size_t count;
	const struct berm_model *model;
	struct berm_policy **made; /* effective ones of those that were put (effective.h) */
	size_t made_count;
};

int berm_overlay_make(const struct berm_model *model, struct berm_overlay *ret) must_check;
/* As it is written; in the place of the one with its name, or added. No companion. */
int berm_overlay_put(struct berm_overlay *overlay, struct berm_policy *policy) must_check;
/* false: there is none */
bool berm_overlay_remove(struct berm_overlay *overlay, enum berm_policy_kind kind, const char *ns,
			 const char *name);
/* A copy in which every schedule is open; it borrows from the first, and goes before it. */
int berm_overlay_open(const struct berm_overlay *overlay, struct berm_overlay *ret) must_check;
void berm_overlay_clear(struct berm_overlay *overlay);

#endif /* BERM_OVERLAY_H */
