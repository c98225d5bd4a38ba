/* SPDX-License-Identifier: Apache-2.0 */
/*
 * advice.h - what is probably not meant: findings about documents that are valid, from reading them together, and with the pods
 * that are known. Needs no kernel and no agent; every finding is a warning and changes nothing.
 */
#ifndef BERM_ADVICE_H
#define BERM_ADVICE_H

#include "document.h"
#include "model.h"

struct berm_advice_document {
	const struct berm_policy *policy;
	const struct berm_object
		*object; /* whose text still stands; NULL: findings have the document's line only */
	bool is_judged;	 /* else it only counts for what is said of others */
};

struct berm_advice {
	const struct berm_model *
		model; /* namespaces, pods, slices, the time; no pods: nothing is said about pods */
	const struct berm_advice_document *document;
	size_t count;
};

/* Appends to problems. -ENOMEM. */
int berm_advise(const struct berm_advice *advice, struct berm_problems *problems) must_check;

#endif /* BERM_ADVICE_H */
