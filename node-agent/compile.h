/* SPDX-License-Identifier: Apache-2.0 */
/* compile.h - documents to decision matrices. A pure function: no I/O, no clock, no kernel ids. */
#ifndef BERM_COMPILE_H
#define BERM_COMPILE_H

#include "document.h"
#include "err.h"
#include "model.h"
#include "plan.h"

/*
 * Policies that exceed a limit (design/policy.md, "Limits") are left out, their subjects isolated without
 * allows, and named in problems; the plan is made of the rest. -ENOMEM only.
 */
int berm_compile(const struct berm_model *model, struct berm_plan **ret,
		 struct berm_problems *problems, struct berm_err *err) must_check;

/*
 * A compilation that is kept, so that it can follow small changes of its model. The model must outlive it, and
 * may be changed meanwhile: only what `changes` says is looked at again.
 */
struct berm_compiled;
int berm_compile_kept(const struct berm_model *model, struct berm_compiled **ret,
		      struct berm_problems *problems, struct berm_err *err) must_check;
struct berm_plan *berm_compiled_plan(struct berm_compiled *kept); /* lives in it */
/*
 * 0: the plan is what a compilation from nothing would make of the model now, in the time that the changed pods
 * take. -EAGAIN: that much cannot be told without one (and -ENOMEM): berm_compiled_renew() with the same changes and
 * berm_compiled_free() are all it is good for now.
 */
int berm_compiled_follow(struct berm_compiled *kept,
			 const struct berm_model_changes *changes) must_check;
/*
 * As berm_compile_kept() of the model now, and in its place. Addresses that no change is about keep what was seen of
 * them, which is most of the work. Like berm_compile_kept(), but it may be NULL afterwards if it fails: -ENOMEM, -E2BIG.
 */
int berm_compiled_renew(struct berm_compiled **kept, const struct berm_model_changes *changes,
			struct berm_problems *problems, struct berm_err *err) must_check;
void berm_compiled_free(struct berm_compiled *kept); /* accepts NULL */

#endif /* BERM_COMPILE_H */
