/* SPDX-License-Identifier: Apache-2.0 */
/* ipset.h - the blocks of an IPSet, for the peers of policies. Knows no policy. */
#ifndef BERM_IPSET_H
#define BERM_IPSET_H

#include <stddef.h>

#include "cidr.h"

#define BERM_MAX_IPSET 16384 /* blocks: what a namespace may have of them at all */

struct berm_ipset {
	struct berm_cidr *cidr; /* sorted, each once */
	size_t count;
};

void berm_ipset_sort(struct berm_ipset *set);
void berm_ipset_clear(struct berm_ipset *set);

#endif /* BERM_IPSET_H */
