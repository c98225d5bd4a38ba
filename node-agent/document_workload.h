/* SPDX-License-Identifier: Apache-2.0 */
/* document_workload.h - workload and scope: role, app, env and loc as selectors of pods. */
#ifndef BERM_DOCUMENT_WORKLOAD_H
#define BERM_DOCUMENT_WORKLOAD_H

#include "field.h"
#include "policy.h"

/* {role: web, app: shop}: adds to the selector. False: a problem was added. */
bool berm_read_workload(const struct berm_field *field, struct berm_selector *out);

/* What the scope selects limits the subject, and every peer that selects pods and does not say scope: any. */
void berm_apply_scope(struct berm_reader *reader, const struct berm_selector *scope,
		      struct berm_policy *policy);

#endif /* BERM_DOCUMENT_WORKLOAD_H */
