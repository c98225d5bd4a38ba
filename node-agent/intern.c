// SPDX-License-Identifier: Apache-2.0
/* intern.c - numbers for byte strings: open addressing, keys in chunks that never move. */
#include <sys/random.h>

#include "intern.h"

#define CHUNK_BYTES (16 * 1024)
#define MULTIPLIER  0x9e3779b97f4a7c15ull

struct intern_entry {
	const void *key;
	uint32_t size;
	uint32_t hash;
};

struct intern_chunk {
	struct intern_chunk *next;
	size_t used, room;
	uint8_t data[] __attribute__((aligned(16)));
};

/* Per process, so that a tenant cannot choose labels that all fall into one slot. The order of numbers
 * does not depend on it. */
static uint64_t seed(void)
{
	static uint64_t value;

	if (!value && getrandom(&value, sizeof(value), GRND_NONBLOCK) != sizeof(value))
		value = (uintptr_t)&value ^ MULTIPLIER;
	return value |= 1;
}

static uint64_t stir(uint64_t h, uint64_t word)
{
	unsigned __int128 product = (unsigned __int128)(h ^ word) * (MULTIPLIER ^ (h << 1));

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint32_t hash_of(const uint8_t *key, size_t size)
{
	uint64_t h = seed() ^ size, word;

	for (; size >= sizeof(word); key += sizeof(word), size -= sizeof(word)) {
		memcpy(&word, key, sizeof(word));
		h = stir(h, word);
	}
	word = 0;
	memcpy(&word, key, size);
	h = stir(h, word);
	return (uint32_t)(h ^ h >> 32);
}

/* The slot of the key, or the free one where it belongs. */
static uint32_t *probe(const struct berm_intern *t, const void *key, size_t size, uint32_t hash)
{
	size_t at = hash & (t->slots - 1);

	for (;; at = (at + 1) & (t->slots - 1)) {
		const struct intern_entry *e;

		if (!t->slot[at])
			return &t->slot[at];
		e = &t->item[t->slot[at] - 1];
		if (e->hash == hash && e->size == size && !memcmp(e->key, key, size))
			return &t->slot[at];
	}
}

static int spread(struct berm_intern *t)
{
	size_t slots = t->slots ? t->slots * 2 : 64;
	uint32_t *slot;

	if (t->count * 2 < t->slots)
		return 0;
	slot = calloc(slots, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	for (size_t i = 0; i < t->count; i++) {
		size_t at = t->item[i].hash & (slots - 1);

		while (slot[at])
			at = (at + 1) & (slots - 1);
		slot[at] = (uint32_t)i + 1;
	}
	free(t->slot);
	t->slot = slot;
	t->slots = slots;
	return 0;
}

static void *keep(struct berm_intern *t, const void *key, size_t size)
{
	size_t room = (size + 15) & ~(size_t)15;
	struct intern_chunk *c = t->chunk;
	void *copy;

	if (!c || c->room - c->used < room) {
		size_t bytes = room > CHUNK_BYTES ? room : CHUNK_BYTES;

		c = malloc(sizeof(*c) + bytes);
		if (!c)
			return NULL;
		*c = (struct intern_chunk){ .next = t->chunk, .room = bytes };
		t->chunk = c;
	}
	copy = c->data + c->used;
	memcpy(copy, key, size);
	c->used += room;
	return copy;
}

int berm_intern(struct berm_intern *t, const void *key, size_t size, uint32_t *ret)
{
	uint32_t hash = hash_of(key, size), *slot;
	struct intern_entry e = { .size = (uint32_t)size, .hash = hash };

	if (spread(t))
		return -ENOMEM;
	slot = probe(t, key, size, hash);
	if (*slot) {
		*ret = *slot - 1;
		return 0;
	}
	e.key = keep(t, key, size);
	if (!e.key || array_push(t, e))
		return -ENOMEM;
	*slot = (uint32_t)t->count;
	*ret = *slot - 1;
	return 1;
}

bool berm_intern_find(const struct berm_intern *t, const void *key, size_t size, uint32_t *ret)
{
	uint32_t *slot;

	if (!t->slots)
		return false;
	slot = probe(t, key, size, hash_of(key, size));
	if (!*slot)
		return false;
	*ret = *slot - 1;
	return true;
}

const void *berm_intern_key(const struct berm_intern *t, uint32_t number, size_t *ret_size)
{
	if (ret_size)
		*ret_size = t->item[number].size;
	return t->item[number].key;
}

void berm_intern_free(struct berm_intern *t)
{
	while (t->chunk) {
		struct intern_chunk *next = t->chunk->next;

		free(t->chunk);
		t->chunk = next;
	}
	free(t->item);
	free(t->slot);
	memset(t, 0, sizeof(*t));
}

static int cmp_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

void berm_numbers_unique(struct berm_numbers *n)
{
	size_t kept = 0;

	if (!n->count)
		return;
	qsort(n->item, n->count, sizeof(*n->item), cmp_number);
	for (size_t i = 0; i < n->count; i++)
		if (!i || n->item[i] != n->item[kept - 1])
			n->item[kept++] = n->item[i];
	n->count = kept;
}
