/* SPDX-License-Identifier: Apache-2.0 */
/* document_rule.h - the ingress and egress lists of both kinds of policy. */
#ifndef BERM_DOCUMENT_RULE_H
#define BERM_DOCUMENT_RULE_H

#include "field.h"
#include "policy.h"

#define BERM_MAX_RULES_OF_DOCUMENT 16384
#define BERM_MAX_PEERS_OF_RULE	   65536
#define BERM_MAX_PORTS_OF_RULE	   4096
#define BERM_MAX_EXCEPTS	   4096

/* Appends the rules to policy->rule; policy->kind says whose syntax it is. */
void berm_read_rules(const struct berm_field *list, enum berm_dir dir, struct berm_policy *policy);

/* Room for the rules of a list, behind those that the policy has: zeroed, with dir and index, and counted already. NULL:
 * the list is empty, or a problem (of more than max items, no memory) has been added. */
struct berm_policy_rule *berm_append_rules(const struct berm_field *list, enum berm_dir dir,
					   size_t max, struct berm_policy *policy);

/* RFC 3339 with an offset, as in "expires". A problem was added if it stays as it was. */
void berm_read_moment(const struct berm_field *field, int64_t *ret);

/* Names of policies' rules: letters, digits, '-', '_', '.', at most 63. */
bool berm_is_rule_name(const char *text);

#endif /* BERM_DOCUMENT_RULE_H */
