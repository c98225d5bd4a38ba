/* SPDX-License-Identifier: Apache-2.0 */
/* ipset.c - the normal form of an IPSet. Knows no document. */
#include "ipset.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	return berm_cidr_compare(a, b);
}

void berm_ipset_sort(struct berm_ipset *set)
{
	size_t kept = 0;

	if (set->count)
		qsort(set->cidr, set->count, sizeof(*set->cidr), compare);
	for (size_t i = 0; i < set->count; i++)
		if (!kept || compare(&set->cidr[kept - 1], &set->cidr[i]))
			set->cidr[kept++] = set->cidr[i];
	set->count = kept;
}

void berm_ipset_clear(struct berm_ipset *set)
{
	free(set->cidr);
	*set = (struct berm_ipset){ 0 };
}
