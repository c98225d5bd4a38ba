/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diff.h - who could newly talk to whom if other documents were in force, and who no longer. Pods of equal treatment are one;
 * nothing is enforced. Takes seconds where there are thousands of pods, and leaves the model as it would be: inquiry.h runs it
 * beside the agent, on a copy.
 */
#ifndef BERM_DIFF_H
#define BERM_DIFF_H

#include <cjson/cJSON.h>

#include "err.h"
#include "model.h"

/*
 * question: {documents: [{source, text}], delete: ["Kind namespace/name"]} (docs/rest-api.md). *ret is the answer. The model is
 * not what it was afterwards, whatever is returned.
 * -EINVAL: the question makes no sense, or a document in it is broken; -E2BIG: too much to compare. err says what.
 */
int berm_diff(struct berm_model *model, const cJSON *question, cJSON **ret,
	      struct berm_err *err) must_check;

#endif /* BERM_DIFF_H */
