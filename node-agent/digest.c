// SPDX-License-Identifier: Apache-2.0
/* digest.c - BLAKE2b with 16 bytes of output, as RFC 7693 describes it. Knows nothing of plans. */
#include <endian.h>
#include <stdbool.h>
#include <string.h>

#include "digest.h"

#define ROUNDS	  12
#define OUT_BYTES 16

/* RFC 7693, 2.6: the IV is that of SHA-512 (fractional parts of square roots of primes). */
static const uint64_t iv[8] = {
	0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
	0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

/* RFC 7693, 2.7: message word order of each round; rounds 10 and 11 repeat 0 and 1. */
static const uint8_t sigma[10][16] = {
	{ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
	{ 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3 },
	{ 11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4 },
	{ 7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8 },
	{ 9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13 },
	{ 2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9 },
	{ 12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11 },
	{ 13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10 },
	{ 6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5 },
	{ 10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0 },
};

/* Columns, then diagonals, of the 4 x 4 state. */
static const uint8_t quads[8][4] = {
	{ 0, 4, 8, 12 },  { 1, 5, 9, 13 },  { 2, 6, 10, 14 }, { 3, 7, 11, 15 },
	{ 0, 5, 10, 15 }, { 1, 6, 11, 12 }, { 2, 7, 8, 13 },  { 3, 4, 9, 14 },
};

static uint64_t rotate(uint64_t x, unsigned int by)
{
	return x >> by | x << (64 - by);
}

static inline void mix(uint64_t v[16], const uint8_t q[4], uint64_t x, uint64_t y)
{
	uint64_t a = v[q[0]], b = v[q[1]], c = v[q[2]], d = v[q[3]];

	a += b + x;
	d = rotate(d ^ a, 32);
	c += d;
	b = rotate(b ^ c, 24);
	a += b + y;
	d = rotate(d ^ a, 16);
	c += d;
	b = rotate(b ^ c, 63);
	v[q[0]] = a, v[q[1]] = b, v[q[2]] = c, v[q[3]] = d;
}

static void compress(struct berm_digester *d, bool last)
{
	uint64_t v[16], m[16];

	memcpy(m, d->block, sizeof(m));
	for (int i = 0; i < 16; i++)
		m[i] = le64toh(m[i]);
	memcpy(v, d->h, sizeof(d->h));
	memcpy(v + 8, iv, sizeof(iv));
	v[12] ^= d->total;
	if (last)
		v[14] = ~v[14];

	for (int round = 0; round < ROUNDS; round++) {
		const uint8_t *s = sigma[round % 10];

#pragma GCC unroll 8
		for (int i = 0; i < 8; i++)
			mix(v, quads[i], m[s[2 * i]], m[s[2 * i + 1]]);
	}
	for (int i = 0; i < 8; i++)
		d->h[i] ^= v[i] ^ v[i + 8];
}

void berm_digest_start(struct berm_digester *d)
{
	memcpy(d->h, iv, sizeof(iv));
	d->h[0] ^= 0x01010000 ^ OUT_BYTES; /* fanout 1, depth 1, no key */
	d->total = 0;
	d->used = 0;
}

void berm_digest_bytes(struct berm_digester *d, const void *data, size_t size)
{
	const uint8_t *from = data;

	while (size) {
		size_t part = sizeof(d->block) - d->used;

		if (!part) { /* a full block is compressed only when more follows: the last is special */
			d->total += sizeof(d->block);
			compress(d, false);
			d->used = 0;
			continue;
		}
		if (part > size)
			part = size;
		memcpy(d->block + d->used, from, part);
		d->used += part;
		from += part;
		size -= part;
	}
}

void berm_digest_u64(struct berm_digester *d, uint64_t value)
{
	value = htole64(value);
	berm_digest_bytes(d, &value, sizeof(value));
}

void berm_digest_text(struct berm_digester *d, const char *text)
{
	size_t size = text ? strlen(text) : 0;

	berm_digest_u64(d, size);
	berm_digest_bytes(d, text, size);
}

void berm_digest_add(struct berm_digester *d, const struct berm_digest *inner)
{
	berm_digest_u64(d, inner->w[0]);
	berm_digest_u64(d, inner->w[1]);
}

struct berm_digest berm_digest_end(struct berm_digester *d)
{
	d->total += d->used;
	memset(d->block + d->used, 0, sizeof(d->block) - d->used);
	compress(d, true);
	return (struct berm_digest){ { d->h[0], d->h[1] } };
}

struct berm_digest berm_digest_of(const void *data, size_t size)
{
	struct berm_digester d;

	berm_digest_start(&d);
	berm_digest_bytes(&d, data, size);
	return berm_digest_end(&d);
}

int berm_digest_cmp(const struct berm_digest *a, const struct berm_digest *b)
{
	if (a->w[0] != b->w[0])
		return a->w[0] < b->w[0] ? -1 : 1;
	return (a->w[1] > b->w[1]) - (a->w[1] < b->w[1]);
}
