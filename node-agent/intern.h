/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intern.h - a number for every distinct string of bytes: 0, 1, 2 ... in order of arrival. Equality is
 * of all bytes, so nobody can make two things one. Zeroed memory is an empty table.
 */
#ifndef BERM_INTERN_H
#define BERM_INTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "array.h"

struct berm_intern {
	struct intern_entry *item;
	size_t count, room;
	uint32_t *slot; /* number + 1, open addressing */
	size_t slots;
	struct intern_chunk *chunk;
};

/* 1: new, 0: known already, -ENOMEM. */
int berm_intern(struct berm_intern *t, const void *key, size_t size, uint32_t *ret);
bool berm_intern_find(const struct berm_intern *t, const void *key, size_t size, uint32_t *ret);
/* The bytes again; they do not move, and are aligned for any type, while the table lives. */
const void *berm_intern_key(const struct berm_intern *t, uint32_t number, size_t *ret_size);
void berm_intern_free(struct berm_intern *t);

#endif /* BERM_INTERN_H */
