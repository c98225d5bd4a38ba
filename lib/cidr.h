/* SPDX-License-Identifier: Apache-2.0 */
/* cidr.h - address blocks of both families in one form, IPv4 as v4-mapped. Knows no policy. */
#ifndef BERM_CIDR_H
#define BERM_CIDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"
#include "err.h"

struct berm_cidr {
	struct berm_addr addr; /* v4-mapped; host bits zero */
	uint8_t bits;	       /* of 128: an IPv4 /8 is 104 */
	bool v4;	       /* an IPv6 block that spans ::ffff:0:0/96 is still not IPv4 */
};

#define BERM_CIDR_STRLEN 52 /* longest address, "/128", NUL */

/* "10.0.0.0/8", "fd00::/8"; a bare address is the block of that address. Refuses host bits, leading zeros
 * and v4-mapped notation. -EINVAL with a message that names the text and says what would be right. */
int berm_cidr_parse(const char *text, struct berm_cidr *out, struct berm_err *err) must_check;

/* For objects that an API server has accepted long ago (kubernetes.md, intake 6): host bits are cleared,
 * leading zeros read as decimal, v4-mapped blocks become IPv4. *ret_changed (may be NULL) says whether
 * the text was not in normal form. */
int berm_cidr_parse_lenient(const char *text, struct berm_cidr *out, bool *ret_changed,
			    struct berm_err *err) must_check;

/* The first `bits` of 128 bits: are they the same; the address with all others zero. */
bool berm_addr_same_prefix(const struct berm_addr *a, const struct berm_addr *b, unsigned int bits);
struct berm_addr berm_addr_network(const struct berm_addr *addr, unsigned int bits);

/* At most BERM_CIDR_STRLEN bytes; an IPv4 block in IPv4 notation. */
void berm_cidr_format(const struct berm_cidr *cidr, char out[BERM_CIDR_STRLEN]);

/* IPv4 blocks contain IPv4 addresses only, IPv6 blocks IPv6 addresses only (0.0.0.0/0 says nothing about
 * IPv6, ::/0 nothing about IPv4). */
bool berm_cidr_contains(const struct berm_cidr *cidr, const struct berm_addr *addr);
/* Every address of inner is in outer; equal blocks cover each other. */
bool berm_cidr_covers(const struct berm_cidr *outer, const struct berm_cidr *inner);
/* For sorting: family (IPv4 first), address, length. */
int berm_cidr_compare(const struct berm_cidr *a, const struct berm_cidr *b);

#endif /* BERM_CIDR_H */
