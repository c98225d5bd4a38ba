/* SPDX-License-Identifier: Apache-2.0 */
/* addr.c - addresses of both families in one form, IPv4 as v4-mapped. Declared in maps.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "maps.h"

_Static_assert(BERM_ADDR_STRLEN >= INET6_ADDRSTRLEN, "room for any address");

int berm_addr_parse(const char *text, struct berm_addr *out)
{
	struct berm_addr addr = { .w = { 0, 0, htonl(0xffff), 0 } };

	if (inet_pton(AF_INET, text, &addr.w[3]) != 1 && inet_pton(AF_INET6, text, addr.w) != 1)
		return -EINVAL;
	*out = addr;
	return 0;
}

bool berm_addr_is_v4(const struct berm_addr *addr)
{
	return !addr->w[0] && !addr->w[1] && addr->w[2] == htonl(0xffff);
}

void berm_addr_format(const struct berm_addr *addr, char out[BERM_ADDR_STRLEN])
{
	if (berm_addr_is_v4(addr))
		(void)inet_ntop(AF_INET, &addr->w[3], out,
				BERM_ADDR_STRLEN); /* cannot fail: room is there */
	else
		(void)inet_ntop(AF_INET6, addr->w, out, BERM_ADDR_STRLEN); /* likewise */
}
