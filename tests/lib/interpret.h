/* SPDX-License-Identifier: Apache-2.0 */
/* interpret.h - what a plan says about one packet, by the data path's own steps, in user space. */
#ifndef BERM_TEST_INTERPRET_H
#define BERM_TEST_INTERPRET_H

#include "evaluate.h"
#include "plan.h"

struct answer interpret(const struct berm_plan *plan, const struct question *q);

/* The id that the kernel would report for an answer: of the rule with that label, else the reason. */
uint32_t interpret_rule_id(const struct berm_plan *plan, uint8_t dir, const struct answer *answer);

/* The class of an address as this table (plan table or UINT32_MAX) has it. */
uint32_t interpret_class(const struct berm_plan *plan, uint32_t table,
			 const struct berm_addr *addr);

/* Every index in its range, everything sorted and complete as plan.h says; test_failed() says what is not. */
void interpret_check(const struct berm_plan *plan);

/* Bytes of all that the plan holds, to compare two of them. Caller frees. */
char *interpret_dump(const struct berm_plan *plan, size_t *ret_size);

#endif /* BERM_TEST_INTERPRET_H */
