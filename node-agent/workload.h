/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workload.h - the four-label model: the role, app, env and loc of a pod, and where they come from. They become labels of the
 * pod with keys that no document and no pod can write, so that selectors need know nothing of it. Pure.
 */
#ifndef BERM_WORKLOAD_H
#define BERM_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "selector.h"

enum berm_dimension { BERM_ROLE, BERM_APP, BERM_ENV, BERM_LOC, BERM_DIMENSION_COUNT };

#define BERM_MAX_LABEL_SOURCES 8

struct berm_label_source { /* one label, of the pod or of its namespace */
	bool of_pod;
	char *key;
};

/* The first source that has its label decides. Of a dimension that is not given the default counts (docs/policy.md). */
struct berm_mapping {
	struct berm_mapping_of {
		bool is_given;
		struct berm_label_source source[BERM_MAX_LABEL_SOURCES];
		size_t count;
	} of[BERM_DIMENSION_COUNT];
};

const char *berm_dimension_name(enum berm_dimension dimension);	 /* "role" */
const char *berm_dimension_label(enum berm_dimension dimension); /* "workload:role": no valid key */

/* Is it one of those? Users need not see them. */
bool berm_is_workload_label(const char *key);

/* Sets these labels of a pod, whatever it had of them; mapping and its namespace's labels may be NULL. -ENOMEM. */
int berm_workload_label(const struct berm_mapping *mapping, const struct berm_labels *ns,
			struct berm_labels *pod) must_check;
void berm_mapping_clear(struct berm_mapping *mapping);

#endif /* BERM_WORKLOAD_H */
