/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_stream.c - any bytes in any chunks: the same lines and items come out as in one chunk, and members lie inside.
 * First byte: the chunks' size.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sum {
	uint64_t hash;
	size_t count;
};

static void expect(int cond)
{
	if (!cond)
		__builtin_trap();
}

static void check_member(const struct berm_piece *piece, const char *key)
{
	struct berm_piece member;

	if (!berm_piece_member(piece, key, &member))
		return;
	expect(member.text >= piece->text);
	expect(member.text + member.size <= piece->text + piece->size);
}

static int take(const struct berm_piece *piece, void *ctx)
{
	struct sum *sum = ctx;

	for (size_t i = 0; i < piece->size; i++)
		sum->hash = (sum->hash ^ (uint8_t)piece->text[i]) * 0x100000001b3u;
	sum->hash = (sum->hash ^ 0x100) * 0x100000001b3u;
	sum->count++;
	check_member(piece, "metadata");
	check_member(piece, "object");
	return 0;
}

struct outcome {
	struct sum lines, items;
	int rc;
	bool is_complete;
};

static struct outcome run(const char *text, size_t size, size_t step)
{
	struct outcome out = { 0 };
	struct berm_lines lines = { 0 };
	struct berm_items items = { 0 };

	for (size_t at = 0; at < size; at += step) {
		struct berm_piece chunk = { text + at, size - at < step ? size - at : step };

		expect(!berm_lines_feed(&lines, &chunk, take, &out.lines));
		if (!out.rc)
			out.rc = berm_items_feed(&items, &chunk, take, &out.items);
	}
	out.is_complete = berm_items_is_complete(&items);
	berm_lines_clear(&lines);
	berm_items_clear(&items);
	return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome one, many;
	struct berm_piece whole;
	char *copy;

	if (size < 2)
		return 0;
	copy = malloc(size - 1); /* of exactly that size: reading beyond it is seen */
	expect(copy != NULL);
	memcpy(copy, data + 1, size - 1);
	whole = (struct berm_piece){ copy, size - 1 };
	check_member(&whole, "metadata");
	one = run(copy, size - 1, size - 1);
	many = run(copy, size - 1, (size_t)data[0] + 1);
	expect(one.lines.hash == many.lines.hash && one.items.hash == many.items.hash);
	expect(one.lines.count == many.lines.count && one.items.count == many.items.count);
	expect(one.rc == many.rc && one.is_complete == many.is_complete);
	free(copy);
	return 0;
}
