/* SPDX-License-Identifier: Apache-2.0 */
/*
 * effective.h - what is in force of a policy whose meaning depends on more than itself: on IPSets that its peers name, and
 * on the time, if it or a rule of it expires or has a schedule. The compiler sees the effective policy and knows of neither.
 * Pure: the same policy, IPSets and time give the same result. No clock, no I/O.
 */
#ifndef BERM_EFFECTIVE_H
#define BERM_EFFECTIVE_H

#include <stdbool.h>

#include "document.h"
#include "model.h"

/* Blocks that the peers of all policies of a namespace may become by way of IPSets. One IPSet in a thousand rules is a
 * thousand times its size: this bounds the memory, the compiler's own limits count each block once. */
#define BERM_MAX_EXPANDED 65536

/* Does the policy as it is written depend on anything? */
bool berm_policy_is_conditional(const struct berm_policy *written);

/*
 * Makes the effective policy and gives it the written one, as ->written. is_over: the namespace has too many blocks, so that
 * this policy gets none: its IPSets count as missing. -ENOMEM: written is still the caller's.
 */
int berm_effective_make(const struct berm_model *model, struct berm_policy *written, bool is_over,
			struct berm_policy **ret) must_check;

/* The same with every schedule open, beside the one that it is made of: it borrows from that one's written policy, and is
 * freed by berm_policy_free_effective(). */
int berm_effective_open(const struct berm_model *model, const struct berm_policy *effective,
			struct berm_policy **ret) must_check;
bool berm_policy_has_schedule(const struct berm_policy *written);

/* The IPSet that a policy of this namespace means by the name: its own, else that of the system's namespace. Or NULL. */
const struct berm_ipset *berm_effective_ipset(const struct berm_model *model, const char *ns,
					      const char *name);
/* Does a peer of the (written) policy mean an IPSet of this namespace and name, be it there or not? */
bool berm_effective_names(const struct berm_policy *written, const char *ns, const char *name);

/* What there is to tell: IPSets that are missing, limits, what has expired. Appended. -ENOMEM. */
int berm_effective_problems(const struct berm_model *model,
			    struct berm_problems *problems) must_check;

#endif /* BERM_EFFECTIVE_H */
