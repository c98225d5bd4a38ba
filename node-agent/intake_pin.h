/* SPDX-License-Identifier: Apache-2.0 */
/* intake_pin.h - how policies that have been rolled back stay so. For the intake*.c files only. */
#ifndef BERM_INTAKE_PIN_H
#define BERM_INTAKE_PIN_H

#include "intake.h"

/* The source says this of the policy, which is taken: it goes into the model unless another version is pinned. -ENOMEM. */
int berm_intake_put(struct berm_intake *intake, struct berm_policy *policy) must_check;
/* Its source has it no more. */
void berm_intake_released(struct berm_intake *intake, enum berm_policy_kind kind, const char *ns,
			  const char *name);
/* After a start, once everything is listed: what no source has is put into the model again. */
void berm_intake_restore(struct berm_intake *intake);
int berm_intake_pin_problem(const struct berm_intake *intake, struct berm_problems *out) must_check;

#endif /* BERM_INTAKE_PIN_H */
