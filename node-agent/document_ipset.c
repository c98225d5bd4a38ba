/* SPDX-License-Identifier: Apache-2.0 */
/* document_ipset.c - reads an IPSet. Knows no policy that names it. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "document_own.h"
#include "document_peer.h"

struct reading {
	struct berm_own own;
	struct berm_ipset *set;
};

static void read_cidrs(const struct berm_field *field, void *into)
{
	struct berm_ipset *set = ((struct reading *)into)->set;
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

static struct berm_ipset *new_set(struct berm_chunk *chunk, const struct berm_field *root)
{
	struct berm_ipset *set = berm_reader_alloc(&chunk->reader, 1, sizeof(*set));

	if (!set)
		return NULL;
	set->ns = berm_reader_copy(&chunk->reader, berm_document_home(chunk, root));
	set->source = berm_reader_copy(&chunk->reader, chunk->sheet->source);
	set->line = berm_field_line(root);
	if (set->ns && set->source)
		return set;
	berm_ipset_free(set);
	return NULL;
}

/* As an object, broken if anything is wrong with it. Takes the set. */
static void add(struct berm_chunk *chunk, const char *name, struct berm_ipset *set)
{
	struct berm_object object = {
		.kind = BERM_OBJ_IPSET,
		.ns = set->ns,
		.name = (char *)name,
		.broken = chunk->reader.errors > 0,
		.line = set->line,
	};

	set->name = berm_reader_copy(&chunk->reader, name);
	if (!object.broken && set->name) {
		berm_ipset_sort(set);
		object.ipset = set;
		berm_chunk_add(chunk, &object);
		return;
	}
	if (object.broken)
		berm_chunk_add(chunk, &object);
	berm_ipset_free(set);
}

void berm_take_ipset(struct berm_chunk *chunk, const struct berm_field *root)
{
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(root->node, "name");
	struct reading r = { .own = { .chunk = chunk }, .set = new_set(chunk, root) };

	if (!r.set)
		return;
	r.own.ns = r.set->ns;
	berm_chunk_title(chunk, "IPSet", r.set->ns,
			 cJSON_IsString(name) ? name->valuestring : NULL);
	(void)berm_field_members(root, table, ARRAY_SIZE(table), &r); /* errors are counted */
	if (r.own.name) {
		add(chunk, r.own.name, r.set);
		return;
	}
	berm_chunk_unreadable(chunk, NULL, NULL);
	berm_ipset_free(r.set);
}
