/* SPDX-License-Identifier: Apache-2.0 */
/* document_ipset.c - reads an IPSet. Knows no policy that names it. */
#include "cleanup.h"
#include "document_own.h"
#include "document_peer.h"

struct reading {
	struct berm_own own;
	struct berm_policy *document;
};

static void read_cidrs(const struct berm_field *field, void *into)
{
	struct berm_ipset *set = &((struct reading *)into)->document->set;
	struct berm_field item;

	if (!berm_field_is_list(field, BERM_MAX_IPSET))
		return;
	set->cidr = berm_reader_alloc(field->reader, (size_t)cJSON_GetArraySize(field->node),
				      sizeof(*set->cidr));
	if (!set->cidr)
		return;
	berm_field_each(item, field)
	{
		if (berm_read_cidr(&item, BERM_KIND_SEGMENTATION, &set->cidr[set->count]))
			set->count++;
	}
}

static const struct berm_member table[] = {
	BERM_OWN_MEMBERS,
	{ "cidrs", BERM_MEMBER_REQUIRED, read_cidrs, NULL },
};

void berm_take_ipset(struct berm_chunk *chunk, const struct berm_field *root)
{
	struct reading r;

	r.document = berm_own_begin(chunk, root, BERM_KIND_IPSET, &r.own);
	if (!r.document)
		return;
	(void)berm_field_members(root, table, ARRAY_SIZE(table), &r); /* errors are counted */
	berm_ipset_sort(&r.document->set);
	berm_own_end(&r.own, root, r.document);
}
