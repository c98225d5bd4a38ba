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

#endif /* BERM_COMPILE_H */
