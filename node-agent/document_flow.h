/* SPDX-License-Identifier: Apache-2.0 */
/* document_flow.h - the flows of a SegmentationPolicy: rules about one connection each. */
#ifndef BERM_DOCUMENT_FLOW_H
#define BERM_DOCUMENT_FLOW_H

#include "field.h"
#include "policy.h"

#define BERM_MAX_FLOWS_OF_DOCUMENT 25000 /* a document has room for 250,000 values */

/* Makes policy->flow; what is wrong becomes a problem. */
void berm_read_flows(const struct berm_field *list, struct berm_policy *policy);

/* One IP address, no block. A problem was added if it stays as it was. */
void berm_read_address(const struct berm_field *field, struct berm_addr *out);

#endif /* BERM_DOCUMENT_FLOW_H */
