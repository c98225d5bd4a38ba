/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diff.h - who could newly talk to whom if other documents were in force, and who no longer. Pods of equal treatment are one;
 * nothing is enforced and nothing is changed. Takes seconds where there are thousands of pods: inquiry.h runs it beside
 * the agent.
 */
#ifndef BERM_DIFF_H
#define BERM_DIFF_H

#include <cjson/cJSON.h>

#include "err.h"
#include "model.h"

/*
 * question: {documents: [{source, text}], delete: ["Kind namespace/name"]} (docs/rest-api.md). *ret is the answer.
 * -EINVAL: the question makes no sense, or a document in it is broken; -E2BIG: too much to compare. err says what.
 */
int berm_diff(const struct berm_model *model, const cJSON *question, cJSON **ret,
	      struct berm_err *err) must_check;

#endif /* BERM_DIFF_H */
