/* SPDX-License-Identifier: Apache-2.0 */
/* crowd.h - clusters of many pods and policies for the benchmarks of the compiler, and what happens to one pod or policy. */
#ifndef BERM_BENCH_CROWD_H
#define BERM_BENCH_CROWD_H

#include "model.h"

/*
 * Namespaces with so many pods and policies each, some cluster-wide documents, both address families. Of the policies two in
 * five have blocks, one a named port. So many pods are local.
 */
struct crowd {
	unsigned int namespaces, pods, policies, local;
};
void crowd_make(struct berm_model *m, const struct crowd *crowd);

/* number: 0, 1, 2 ... in order. */
void crowd_relabel_pod(struct berm_model *m, unsigned int number);
void crowd_edit_policy(struct berm_model *m, unsigned int number);	 /* of any namespace */
void crowd_edit_local_policy(struct berm_model *m, unsigned int number); /* about pods here */

#endif /* BERM_BENCH_CROWD_H */
