/* SPDX-License-Identifier: Apache-2.0 */
/* cidr.c - text to address blocks and back. Knows no policy. */
#include "cidr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "maps.h" /* berm_addr_* */

#define V4_BITS 96 /* of the v4-mapped prefix */

static const uint8_t *bytes(const struct berm_addr *addr)
{
	return (const uint8_t *)addr->w;
}

/* Mask of byte i of an address of which the first `bits` bits count. */
static uint8_t mask_byte(unsigned int bits, unsigned int i)
{
	if (bits >= 8 * (i + 1))
		return 0xff;
	return bits > 8 * i ? (uint8_t)(0xff << (8 - (bits - 8 * i))) : 0;
}

bool berm_addr_same_prefix(const struct berm_addr *a, const struct berm_addr *b, unsigned int bits)
{
	for (unsigned int i = 0; i < sizeof(a->w); i++)
		if ((bytes(a)[i] ^ bytes(b)[i]) & mask_byte(bits, i))
			return false;
	return true;
}

struct berm_addr berm_addr_network(const struct berm_addr *addr, unsigned int bits)
{
	struct berm_addr net = *addr;
	uint8_t *b = (uint8_t *)net.w;

	for (unsigned int i = 0; i < sizeof(net.w); i++)
		b[i] &= mask_byte(bits, i);
	return net;
}

/* How far a text is from normal form. */
struct oddity {
	bool zeros, mapped, host_bits;
};

/* "010.001.2.3" -> "10.1.2.3": decimal, as the API server reads it. out has room for text. */
static bool strip_zeros(const char *text, char *out)
{
	bool is_start = true, stripped = false;

	for (; *text; text++) {
		if (is_start && text[0] == '0' && text[1] >= '0' && text[1] <= '9') {
			stripped = true;
			continue;
		}
		is_start = *text == '.';
		*out++ = *text;
	}
	*out = '\0';
	return stripped;
}

static int parse_addr(const char *text, struct berm_addr *addr, struct oddity *odd)
{
	char plain[INET6_ADDRSTRLEN];

	if (strchr(text, ':')) {
		if (berm_addr_parse(text, addr))
			return -EINVAL;
		odd->mapped = berm_addr_is_v4(addr);
		return 0;
	}
	odd->zeros = strip_zeros(text, plain);
	return berm_addr_parse(plain, addr);
}

/* Digits only, at most three, no sign. */
static int parse_bits(const char *text, unsigned int max, unsigned int *out)
{
	unsigned int bits = 0;
	size_t len = strlen(text);

	if (!len || len > 3 || strspn(text, "0123456789") != len)
		return -EINVAL;
	for (; *text; text++)
		bits = bits * 10 + (unsigned int)(*text - '0');
	if (bits > max)
		return -EINVAL;
	*out = bits;
	return 0;
}

static int parse(const char *text, struct berm_cidr *out, struct oddity *odd, struct berm_err *err)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	char ip[INET6_ADDRSTRLEN] = "";
	struct berm_addr addr;
	bool is_dotted;
	unsigned int bits, max;

	if (len >= sizeof(ip))
		return berm_refuse(err, -EINVAL, "'%.60s' is too long for an address block", text);
	memcpy(ip, text, len);
	if (parse_addr(ip, &addr, odd))
		return berm_refuse(err, -EINVAL, "'%.60s' is not an IP address", ip);

	is_dotted = !strchr(ip, ':');
	max = is_dotted ? 32 : 128;
	bits = max;
	if (slash && parse_bits(slash + 1, max, &bits))
		return berm_refuse(err, -EINVAL, "'%.60s': the prefix length must be 0 to %u", text,
				   max);
	odd->zeros |= slash && slash[1] == '0' && slash[2];
	bits += is_dotted ? V4_BITS : 0;
	if (bits < V4_BITS)
		odd->mapped = false; /* ::ffff:0:0/90 is an IPv6 block */

	*out = (struct berm_cidr){ .addr = berm_addr_network(&addr, bits), .bits = (uint8_t)bits };
	out->v4 = bits >= V4_BITS && berm_addr_is_v4(&addr);
	odd->host_bits = !berm_addr_same_prefix(&addr, &out->addr, 8 * sizeof(addr.w));
	return 0;
}

int berm_cidr_parse(const char *text, struct berm_cidr *out, struct berm_err *err)
{
	struct oddity odd = { 0 };
	char right[BERM_CIDR_STRLEN];
	struct berm_cidr cidr;
	int rc = parse(text, &cidr, &odd, err);

	if (rc)
		return rc;
	berm_cidr_format(&cidr, right);
	if (odd.zeros)
		return berm_refuse(err, -EINVAL, "'%.60s' has leading zeros; did you mean '%s'?",
				   text, right);
	if (odd.mapped)
		return berm_refuse(err, -EINVAL, "'%.60s' is IPv4 written as IPv6; write '%s'",
				   text, right);
	if (odd.host_bits)
		return berm_refuse(err, -EINVAL,
				   "'%.60s' has bits set beyond its prefix; did you mean '%s'?",
				   text, right);
	*out = cidr;
	return 0;
}

int berm_cidr_parse_lenient(const char *text, struct berm_cidr *out, bool *ret_changed,
			    struct berm_err *err)
{
	struct oddity odd = { 0 };
	struct berm_cidr cidr;
	int rc = parse(text, &cidr, &odd, err);

	if (rc)
		return rc;
	*out = cidr;
	if (ret_changed)
		*ret_changed = odd.zeros || odd.mapped || odd.host_bits;
	return 0;
}

void berm_cidr_format(const struct berm_cidr *cidr, char out[BERM_CIDR_STRLEN])
{
	char ip[BERM_ADDR_STRLEN];

	/* ::ffff:0:0/90 and the like would look like IPv4 to berm_addr_format(); their own form is "::". */
	if (cidr->v4)
		berm_addr_format(&cidr->addr, ip);
	else
		(void)inet_ntop(AF_INET6, cidr->addr.w, ip,
				sizeof(ip)); /* cannot fail: room is there */
	snprintf(out, BERM_CIDR_STRLEN, "%s/%u", ip, cidr->bits - (cidr->v4 ? V4_BITS : 0u));
}

bool berm_cidr_contains(const struct berm_cidr *cidr, const struct berm_addr *addr)
{
	return cidr->v4 == berm_addr_is_v4(addr) &&
	       berm_addr_same_prefix(&cidr->addr, addr, cidr->bits);
}

bool berm_cidr_covers(const struct berm_cidr *outer, const struct berm_cidr *inner)
{
	return outer->v4 == inner->v4 && outer->bits <= inner->bits &&
	       berm_addr_same_prefix(&outer->addr, &inner->addr, outer->bits);
}

int berm_cidr_compare(const struct berm_cidr *a, const struct berm_cidr *b)
{
	int rc;

	if (a->v4 != b->v4)
		return a->v4 ? -1 : 1;
	rc = memcmp(a->addr.w, b->addr.w, sizeof(a->addr.w));
	return rc ? rc : (int)a->bits - (int)b->bits;
}
