/* SPDX-License-Identifier: Apache-2.0 */
/* document_expect.h - reads `expect` of a SegmentationPolicy. */
#ifndef BERM_DOCUMENT_EXPECT_H
#define BERM_DOCUMENT_EXPECT_H

#include "field.h"
#include "policy.h"

#define BERM_MAX_EXPECTATIONS 64 /* of a document */

void berm_read_expectations(const struct berm_field *list, struct berm_policy *policy);

#endif /* BERM_DOCUMENT_EXPECT_H */
