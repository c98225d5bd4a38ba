/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.c - see utf8.h. Knows no character's meaning. */
#include "utf8.h"

#include <stdint.h>

static size_t length_by_first(uint8_t first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc0 || first >= 0xf8)
		return 0;
	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

size_t berm_utf8_length(const char *p, size_t left)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = left ? length_by_first((uint8_t)p[0]) : 0;
	uint32_t code;

	if (len < 2 || len > left)
		return len == 1;
	code = (uint8_t)p[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if (((uint8_t)p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | ((uint8_t)p[i] & 0x3f);
	}
	if (code < least[len] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	return len;
}
