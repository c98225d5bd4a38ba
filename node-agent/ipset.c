/* SPDX-License-Identifier: Apache-2.0 */
/* ipset.c - life and normal form of an IPSet. Knows no document. */
#include "ipset.h"

#include <stdlib.h>

#include "digest.h"

static int compare(const void *a, const void *b)
{
	return berm_cidr_compare(a, b);
}

static uint64_t digest_of(const struct berm_ipset *set)
{
	struct berm_digester d;

	berm_digest_start(&d);
	berm_digest_text(&d, set->ns);
	berm_digest_text(&d, set->name);
	for (size_t i = 0; i < set->count; i++) {
		berm_digest_bytes(&d, set->cidr[i].addr.w, sizeof(set->cidr[i].addr.w));
		berm_digest_u64(&d, set->cidr[i].bits | (uint64_t)set->cidr[i].v4 << 8);
	}
	return berm_digest_end(&d).w[0];
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
	set->digest = digest_of(set);
}

void berm_ipset_free(struct berm_ipset *set)
{
	if (!set)
		return;
	free(set->ns);
	free(set->name);
	free(set->cidr);
	free(set->source);
	free(set);
}
