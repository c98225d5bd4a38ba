/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policyset.h - which policies there are, in which version, and one digest of all that are enforced as written: two nodes with
 * the same digest enforce the same. Reads intake and model, changes nothing.
 */
#ifndef BERM_POLICYSET_H
#define BERM_POLICYSET_H

#include "intake.h"
#include "model.h"

struct berm_policyset_item {
	enum berm_policy_kind kind;
	const char *ns, *name, *source; /* borrowed until the next load */
	uint64_t digest;		/* 0: no version of it is in the model */
	enum berm_standing standing;
	bool is_disabled;
};

struct berm_policyset {
	struct berm_policyset_item *item; /* sorted by kind, ns, name */
	size_t count;
	char digest[33]; /* hex */
};

int berm_policyset_read(const struct berm_intake *intake, const struct berm_model *model,
			struct berm_policyset *ret) must_check;
void berm_policyset_clear(struct berm_policyset *set);

#endif /* BERM_POLICYSET_H */
