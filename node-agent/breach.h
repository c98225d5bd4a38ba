/* SPDX-License-Identifier: Apache-2.0 */
/*
 * breach.h - expectations of documents in force that hold no longer, because others have changed since. They are told of; nothing is
 * held and nothing is taken back (docs/policy.md, "expect"). Looked at by a child of the agent, after a change and not more often than each few seconds.
 */
#ifndef BERM_BREACH_H
#define BERM_BREACH_H

#include <uv.h>

#include "document.h"
#include "err.h"
#include "model.h"

struct berm_breaches;

/* The model is borrowed. */
int berm_breaches_new(uv_loop_t *loop, const struct berm_model *model, struct berm_breaches **ret,
		      struct berm_err *err) must_check;
/* Policies may have changed: looks soon, if they have. */
void berm_breaches_touch(struct berm_breaches *breaches);
/* As last found: warnings, with the code BERM_CODE_EXPECTATION. Until the next look. */
const struct berm_problems *berm_breaches_problems(const struct berm_breaches *breaches);
void berm_breaches_stop(struct berm_breaches *breaches); /* accepts NULL */
void berm_breaches_free(struct berm_breaches *breaches); /* accepts NULL */

#endif /* BERM_BREACH_H */
