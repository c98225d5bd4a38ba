/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shelf.c - found by binary search. An array has room for the next power of two of its count, so a put moves
 * pointers only: 80 KB at most for 10,000 objects. Knows no object.
 */
#include "shelf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool berm_shelf_find(const struct berm_shelf *s, const void *key, size_t *ret_pos)
{
	size_t low = 0, high = *s->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int rc = s->cmp((*s->item)[mid], key);

		if (!rc) {
			*ret_pos = mid;
			return true;
		}
		if (rc < 0)
			low = mid + 1;
		else
			high = mid;
	}
	*ret_pos = low;
	return false;
}

static int grow(const struct berm_shelf *s)
{
	size_t count = *s->count;
	any_array grown;

	if (count & (count - 1))
		return 0; /* room up to the next power of two */
	grown = reallocarray(*s->item, count ? count * 2 : 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	*s->item = grown;
	return 0;
}

int berm_shelf_swap(struct berm_shelf s, void *object, void **ret_before)
{
	size_t pos;

	*ret_before = NULL;
	if (berm_shelf_find(&s, object, &pos)) {
		*ret_before = (*s.item)[pos];
		(*s.item)[pos] = object;
		return 0;
	}
	if (grow(&s)) {
		s.destroy(object);
		return -ENOMEM;
	}
	memmove(*s.item + pos + 1, *s.item + pos, (*s.count - pos) * sizeof(void *));
	(*s.item)[pos] = object;
	(*s.count)++;
	return 0;
}

int berm_shelf_put(struct berm_shelf s, void *object)
{
	void *before;
	int rc = berm_shelf_swap(s, object, &before);

	if (before)
		s.destroy(before);
	return rc;
}

void *berm_shelf_take(struct berm_shelf s, const void *key)
{
	void *object;
	size_t pos;

	if (!berm_shelf_find(&s, key, &pos))
		return NULL;
	object = (*s.item)[pos];
	(*s.count)--;
	memmove(*s.item + pos, *s.item + pos + 1, (*s.count - pos) * sizeof(void *));
	return object;
}

int berm_shelf_remove(struct berm_shelf s, const void *key)
{
	void *object = berm_shelf_take(s, key);

	if (!object)
		return -ENOENT;
	s.destroy(object);
	return 0;
}

void berm_shelf_clear(struct berm_shelf s)
{
	for (size_t i = 0; i < *s.count; i++)
		s.destroy((*s.item)[i]);
	free(*s.item);
	*s.item = NULL;
	*s.count = 0;
}

const void *berm_shelf_get(struct berm_shelf s, const void *key)
{
	size_t pos;

	return berm_shelf_find(&s, key, &pos) ? (*s.item)[pos] : NULL;
}
