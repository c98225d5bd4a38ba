/* SPDX-License-Identifier: Apache-2.0 */
/* shelf.h - a sorted array of pointers to objects that it owns. Knows no object. */
#ifndef BERM_SHELF_H
#define BERM_SHELF_H

#include <stdbool.h>
#include <stddef.h>

/* An array of pointers, whatever it points to (hence may_alias). */
typedef void *any_object __attribute__((may_alias));
typedef any_object *any_array __attribute__((may_alias));

struct berm_shelf {
	any_array *item;
	size_t *count;
	int (*cmp)(const void *a, const void *b);
	void (*destroy)(void *object);
};

/* Where key is, or where it would stand. */
bool berm_shelf_find(const struct berm_shelf *s, const void *key, size_t *ret_pos);
/* *ret_before: what had its place, the caller's now; NULL if nothing had. -ENOMEM: object is destroyed. */
int berm_shelf_swap(struct berm_shelf s, void *object, void **ret_before);
int berm_shelf_put(struct berm_shelf s, void *object);
void *berm_shelf_take(struct berm_shelf s, const void *key); /* NULL: it is not there */
int berm_shelf_remove(struct berm_shelf s, const void *key); /* likewise -ENOENT */
void berm_shelf_clear(struct berm_shelf s);
/* Only to look at: NULL if it is not there. */
const void *berm_shelf_get(struct berm_shelf s, const void *key);

#endif /* BERM_SHELF_H */
