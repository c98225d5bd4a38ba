/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h - where one character ends and the next begins (RFC 3629). */
#ifndef BERM_UTF8_H
#define BERM_UTF8_H

#include <stddef.h>

/* Bytes of the sequence at p, of which `left` may be read; 0: not UTF-8 (overlong forms and surrogates are not). */
size_t berm_utf8_length(const char *p, size_t left);

#endif /* BERM_UTF8_H */
