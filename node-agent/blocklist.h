/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blocklist.h - which address blocks may be dropped at the uplink, before any wall is asked: those that the walls of all
 * pods deny whatever else is written. Documents in, blocks out; knows no kernel. docs/uplink.md has the reasons.
 */
#ifndef BERM_BLOCKLIST_H
#define BERM_BLOCKLIST_H

#include "cidr.h"
#include "document.h"
#include "model.h"

struct berm_blocklist {
	struct berm_block_of {
		struct berm_cidr cidr;
		const struct berm_policy *policy; /* of the model */
		const struct berm_policy_rule *rule;
		bool all; /* not even an answer may come from there: the way out is denied too */
	} * item;	  /* sorted by cidr, each once */
	size_t count;
};

/* 0 or -ENOMEM. Borrows from the model: good until it changes. Documents that the compiler has refused, in `problems`, say
 * nothing. */
int berm_blocklist_make(const struct berm_model *model, const struct berm_problems *problems,
			struct berm_blocklist *ret) must_check;
void berm_blocklist_clear(struct berm_blocklist *list); /* accepts a zeroed one */

#endif /* BERM_BLOCKLIST_H */
