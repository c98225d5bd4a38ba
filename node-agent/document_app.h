/* SPDX-License-Identifier: Apache-2.0 */
/* document_app.h - the application that a rule wants its connections to carry. */
#ifndef BERM_DOCUMENT_APP_H
#define BERM_DOCUMENT_APP_H

#include "field.h"
#include "policy.h"

/* Whether the programs of this node look at what connections carry (--apps). If not, a rule that wants to know is an
 * error: nobody would find out, and all it allows would be denied. Who does not say reads them all (bermctl lint). */
void berm_document_set_apps(bool are_looked_at);

/* {protocol, onMismatch} into rule->app. */
void berm_read_app(const struct berm_field *field, struct berm_policy_rule *rule);

/* Can a rule that is read completely want that? Adds a problem if not. */
void berm_check_app(const struct berm_field *field, const struct berm_policy_rule *rule);

#endif /* BERM_DOCUMENT_APP_H */
