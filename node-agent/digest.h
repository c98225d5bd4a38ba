/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest.h - 128-bit content digests (BLAKE2b, RFC 7693, 16-byte output, no key).
 *
 * A digest is an identity: two things with equal digests are taken for the same thing, and what goes in
 * is written by tenants. Hence a cryptographic hash and not a fast one.
 */
#ifndef BERM_DIGEST_H
#define BERM_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "plan.h"

struct berm_digester {
	uint64_t h[8];
	uint64_t total; /* bytes compressed so far */
	uint8_t block[128];
	size_t used;
};

void berm_digest_start(struct berm_digester *d);
void berm_digest_bytes(struct berm_digester *d, const void *data, size_t size);
void berm_digest_u64(struct berm_digester *d, uint64_t value);
void berm_digest_text(struct berm_digester *d, const char *text); /* with its length; NULL is "" */
void berm_digest_add(struct berm_digester *d, const struct berm_digest *inner);
struct berm_digest berm_digest_end(struct berm_digester *d);

struct berm_digest berm_digest_of(const void *data, size_t size);
int berm_digest_cmp(const struct berm_digest *a, const struct berm_digest *b); /* <0 0 >0 */

#endif /* BERM_DIGEST_H */
