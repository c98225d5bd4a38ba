/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expect.h - do the expectations of documents hold? The compiler judges pods that are made up for it, so the answer is a
 * function of the documents alone. Such a pod has no named ports, and an address that lies in no block but 0.0.0.0/0, ::/0
 * and those of 240.0.0.0/8 and 100::/64.
 */
#ifndef BERM_EXPECT_H
#define BERM_EXPECT_H

#include "err.h"
#include "overlay.h"
#include "policy.h"

struct berm_expect_result { /* of one document */
	const struct berm_policy *policy;
	bool fails;
	char field[32]; /* "expect[1]", the first that does not hold */
	char why[800]; /* "shop/app=web -> shop/app=db TCP/5432: expected Allow, found Deny: ..." */
};

/*
 * policies: all that would be in force; every schedule of them is taken as open. result: policy is filled in by the caller, one of
 * these each; the rest is filled in here. -ENOMEM, -E2BIG: nothing is known.
 */
int berm_expect_check(const struct berm_overlay *policies, struct berm_expect_result *result,
		      size_t count, struct berm_err *err) must_check;

#endif /* BERM_EXPECT_H */
