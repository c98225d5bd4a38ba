/* SPDX-License-Identifier: Apache-2.0 */
/*
 * claims.h - which file says what about which object. Of several files that define one object the first by
 * name that has a usable version owns it. Knows names and files only, neither content nor the model.
 */
#ifndef BERM_CLAIMS_H
#define BERM_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_NONFATAL_OOM 1 /* else uthash exits the process when memory is short */
#include <uthash.h>

#include "document.h"
#include "err.h"
#include "lastgood.h"

struct berm_object_id {
	enum berm_object_kind kind;
	enum berm_policy_kind policy_kind; /* of a policy, else 0 */
	const char *ns, *name;		   /* ns "" for a Namespace */
};

struct berm_claim {
	const char *file;	     /* borrowed: must live as long as the claim */
	enum berm_standing standing; /* INVALID: nothing to put */
	int line;
	uint32_t round; /* in which load of the file it was made */
};

struct berm_claimed { /* an object and those who define it, sorted by file */
	UT_hash_handle hh;
	struct berm_object_id id; /* strings belong to it */
	struct berm_claim *claim;
	size_t count;
	char key[];
};

struct berm_claims {
	struct berm_claimed *all;
};

/* Adds the claim of claim->file, or replaces it. -ENOMEM. */
int berm_claims_put(struct berm_claims *claims, const struct berm_object_id *id,
		    const struct berm_claim *claim, struct berm_claimed **ret) must_check;

struct berm_claimed *berm_claims_find(const struct berm_claims *claims,
				      const struct berm_object_id *id);

/* Takes file's claim away; does nothing if there is none. The object stays, even without claims. */
void berm_claims_remove(struct berm_claimed *object, const char *file);

/* Frees an object that nobody claims. */
void berm_claims_forget(struct berm_claims *claims, struct berm_claimed *object);

const struct berm_claim *berm_claims_of(const struct berm_claimed *object,
					const char *file);		       /* or NULL */
const struct berm_claim *berm_claims_owner(const struct berm_claimed *object); /* or NULL */

/* "Pod", "NetworkPolicy"... */
const char *berm_object_kind_name(const struct berm_object_id *id);

void berm_claims_clear(struct berm_claims *claims);

#endif /* BERM_CLAIMS_H */
