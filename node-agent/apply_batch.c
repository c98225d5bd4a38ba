/* SPDX-License-Identifier: Apache-2.0 */
/* apply_batch.c - elements of one map, gathered to be written together. */
#include "applied.h"

static int grow(struct batch *b, enum berm_map_id map, bool values)
{
	size_t room = b->room ? b->room * 2 : 16;
	void *p = reallocarray(b->key, room, berm_store_key_size(map));

	if (!p)
		return -ENOMEM;
	b->key = p;
	if (values) {
		p = reallocarray(b->value, room, berm_store_value_size(map));
		if (!p)
			return -ENOMEM;
		b->value = p;
	}
	b->room = room;
	return 0;
}

/* value NULL: keys only, in all of a batch. */
int berm_batch_add(struct batch *b, enum berm_map_id map, const void *key, const void *value)
{
	int rc = b->count == b->room ? grow(b, map, value != NULL) : 0;

	if (rc)
		return rc;
	memcpy(b->key + b->count * berm_store_key_size(map), key, berm_store_key_size(map));
	if (value)
		memcpy(b->value + b->count * berm_store_value_size(map), value,
		       berm_store_value_size(map));
	b->count++;
	return 0;
}

void berm_batch_clear(struct batch *b)
{
	free(b->key);
	free(b->value);
	*b = (struct batch){ 0 };
}
