/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_ids.c - which ids of a kind are in use; also runs of them, for blocks. Knows no meaning. That an
 * id is given back only after a grace period is the business of apply_garbage.c.
 */
#include "applied.h"

#define WORD_BITS 64

int berm_ids_open(struct id_pool *p, uint32_t first, uint32_t limit)
{
	*p = (struct id_pool){ .limit = limit };
	p->word = calloc(limit / WORD_BITS + 1, sizeof(*p->word));
	if (!p->word)
		return -ENOMEM;
	berm_ids_mark(p, 0, first);
	p->used = 0; /* what is below first does not count */
	return 0;
}

void berm_ids_close(struct id_pool *p)
{
	free(p->word);
	*p = (struct id_pool){ 0 };
}

bool berm_ids_taken(const struct id_pool *p, uint32_t id)
{
	return id >= p->limit || p->word[id / WORD_BITS] >> id % WORD_BITS & 1;
}

/* The first free id at or after `from`; whole words at a time. */
static uint32_t next_free(const struct id_pool *p, uint32_t from)
{
	while (from < p->limit) {
		if (from % WORD_BITS == 0 && p->word[from / WORD_BITS] == UINT64_MAX)
			from += WORD_BITS;
		else if (berm_ids_taken(p, from))
			from++;
		else
			return from;
	}
	return NONE;
}

uint32_t berm_ids_take(struct id_pool *p, uint32_t count)
{
	uint32_t first = next_free(p, p->hint), run = 1;

	p->hint = first == NONE ? p->limit : first;
	while (first != NONE && run < count) {
		if (!berm_ids_taken(p, first + run)) {
			run++;
			continue;
		}
		first = next_free(p, first + run);
		run = 1;
	}
	if (first == NONE)
		return NONE;
	berm_ids_mark(p, first, count);
	return first;
}

void berm_ids_mark(struct id_pool *p, uint32_t first, uint32_t count)
{
	for (uint32_t id = first; id < first + count && id < p->limit; id++) {
		p->used += !berm_ids_taken(p, id);
		p->word[id / WORD_BITS] |= 1ull << id % WORD_BITS;
	}
}

void berm_ids_give(struct id_pool *p, uint32_t first, uint32_t count)
{
	for (uint32_t id = first; id < first + count && id < p->limit; id++) {
		p->used -= berm_ids_taken(p, id);
		p->word[id / WORD_BITS] &= ~(1ull << id % WORD_BITS);
	}
	if (first < p->hint)
		p->hint = first;
}

uint32_t berm_ids_end(const struct id_pool *p)
{
	uint32_t id = p->limit;

	while (id && !(p->word[(id - 1) / 64] >> (id - 1) % 64 & 1))
		id -= (id % 64 == 0 && !p->word[(id - 1) / 64]) ? 64 : 1;
	return id;
}
