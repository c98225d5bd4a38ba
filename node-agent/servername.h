/* SPDX-License-Identifier: Apache-2.0 */
/*
 * servername.h - whom does this payload ask for: the server name of a ClientHello, the Host of an HTTP request.
 * Knows the two formats and no session. The bytes are a stranger's: what is not exactly right names nobody.
 */
#ifndef BERM_SERVERNAME_H
#define BERM_SERVERNAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BERM_SERVERNAME_MAX                                                                        \
	256 /* a name has at most 253 bytes; with brackets or a port a little more */

/* In lower case; of an HTTP request with its port if it says one. data may end in the middle of the message.
 * false: it names nobody, or not within these bytes. Made of letters, digits and -._:[] only. */
bool berm_servername_tls(const uint8_t *data, size_t len, char out[BERM_SERVERNAME_MAX]);
bool berm_servername_http(const uint8_t *data, size_t len, char out[BERM_SERVERNAME_MAX]);

#endif /* BERM_SERVERNAME_H */
