/* SPDX-License-Identifier: Apache-2.0 */
/* array.h - arrays that grow. Zeroed memory is an empty one; array_free makes it empty again. */
#ifndef BERM_ARRAY_H
#define BERM_ARRAY_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BERM_ARRAY(type)                                                                           \
	struct {                                                                                   \
		type *item;                                                                        \
		size_t count, room;                                                                \
	}

struct berm_numbers {
	uint32_t *item;
	size_t count, room;
};

struct berm_bytes {
	uint8_t *item;
	size_t count, room;
};

/* Room for one more. The pointer is copied, not aliased: item may point to anything. */
static inline int berm_array_grow(void *item, size_t *room, size_t size)
{
	size_t more = *room ? *room * 2 : 8;
	void *old, *grown;

	memcpy(&old, item, sizeof(old));
	grown = reallocarray(old, more, size);
	if (!grown)
		return -ENOMEM;
	memcpy(item, &grown, sizeof(grown));
	*room = more;
	return 0;
}

/* Append a value: 0 or -ENOMEM. */
#define array_push(a, ...)                                                                         \
	({                                                                                         \
		int rc_ = 0;                                                                       \
		if ((a)->count == (a)->room)                                                       \
			rc_ = berm_array_grow(&(a)->item, &(a)->room, sizeof(*(a)->item));         \
		if (!rc_)                                                                          \
			(a)->item[(a)->count++] = (__VA_ARGS__);                                   \
		rc_;                                                                               \
	})

#define array_free(a)                                                                              \
	do {                                                                                       \
		free((a)->item);                                                                   \
		(a)->item = NULL;                                                                  \
		(a)->count = (a)->room = 0;                                                        \
	} while (0)

/* Sort numbers and drop the repeated ones. */
void berm_numbers_unique(struct berm_numbers *n);

#endif /* BERM_ARRAY_H */
