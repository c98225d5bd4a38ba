/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hold.h - new versions of documents that expect something, from their arrival until their expectations hold. What is in
 * force in the meantime is not decided here (lastgood.h).
 */
#ifndef BERM_HOLD_H
#define BERM_HOLD_H

#include "document.h"
#include "expect.h"
#include "lastgood.h"
#include "model.h"

/* Expectations of held documents of one namespace that are looked at: a tenant's must not cost others time. */
#define BERM_HELD_EXPECTATIONS 256

struct berm_held {
	char *source;
	char *key, *carrier, *text; /* struct berm_object */
	struct berm_policy *policy; /* the new version */
	struct berm_expect_result result;
	bool is_accepted;
};

struct berm_holds {
	struct berm_held *item; /* sorted by kind, namespace, name, source */
	size_t count;
	uint64_t settled; /* digest of the policies for which the results are */
	bool is_new;	  /* some have come since */
};

/* Takes item's held version. */
int berm_holds_add(struct berm_holds *holds, const char *source,
		   struct berm_resolved *item) must_check;
/* The source says something else now, or has gone. */
void berm_holds_forget(struct berm_holds *holds, const char *source);
void berm_holds_clear(struct berm_holds *holds);

/* Could a check find something else than the last one? */
bool berm_holds_are_due(const struct berm_holds *holds, const struct berm_model *model);
/*
 * The largest set of held versions whose expectations all hold when it is in force: their is_accepted is set. The others' result
 * says why not. -ENOMEM, -E2BIG: nothing is accepted, and it is still due.
 */
int berm_holds_check(struct berm_holds *holds, const struct berm_model *model,
		     struct berm_err *err) must_check;
/* Frees an accepted one whose policy has been taken. */
void berm_holds_sweep(struct berm_holds *holds);

int berm_holds_problems(const struct berm_holds *holds, struct berm_problems *out) must_check;

#endif /* BERM_HOLD_H */
