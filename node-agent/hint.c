/* SPDX-License-Identifier: Apache-2.0 */
/* hint.c - edit distance with swaps of neighbours (optimal string alignment), bounded. Knows no field. */
#include "hint.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define LONGEST 40 /* beyond it nobody mistypes, he pastes */

static unsigned int min3(unsigned int a, unsigned int b, unsigned int c)
{
	a = a < b ? a : b;
	return a < c ? a : c;
}

static int same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Case is free here; berm_nearest_try() charges for it. */
static unsigned int distance(const char *a, size_t alen, const char *b, size_t blen)
{
	unsigned int row[3][LONGEST + 1];

	for (size_t j = 0; j <= blen; j++)
		row[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= alen; i++) {
		unsigned int *now = row[i % 3], *last = row[(i + 2) % 3],
			     *before = row[(i + 1) % 3];

		now[0] = (unsigned int)i;
		for (size_t j = 1; j <= blen; j++) {
			now[j] = min3(last[j] + 1, now[j - 1] + 1,
				      last[j - 1] + !same(a[i - 1], b[j - 1]));
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) &&
			    same(a[i - 2], b[j - 1]) && before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
	}
	return row[alen % 3][blen];
}

void berm_nearest_try(struct berm_nearest *nearest, const char *candidate)
{
	size_t wlen = strlen(nearest->word), clen = strlen(candidate);
	unsigned int limit = wlen < 3 ? 1 : wlen < 6 ? 2 : 3, d;

	if (!wlen || wlen > LONGEST || clen > LONGEST)
		return;
	d = distance(nearest->word, wlen, candidate, clen);
	if (d > limit || d >= clen || (nearest->best && d >= nearest->distance))
		return;
	nearest->best = candidate;
	nearest->distance = d;
}

const char *berm_nearest_text(const struct berm_nearest *nearest, const char *otherwise, char *out,
			      size_t size)
{
	if (!nearest->best)
		return otherwise;
	snprintf(out, size, "did you mean '%s'?", nearest->best);
	return out;
}
