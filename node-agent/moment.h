/* SPDX-License-Identifier: Apache-2.0 */
/* moment.h - points in time as documents write them (RFC 3339). Asks no clock. */
#ifndef BERM_MOMENT_H
#define BERM_MOMENT_H

#include <stdint.h>

#include "err.h"

#define BERM_MOMENT_STRLEN 24 /* "2027-01-31T00:00:00Z" */

/* Seconds since 1970, always above zero. A fraction of a second is dropped. The offset from UTC must be there: Z or
 * +02:00. -EINVAL with a message that names the text and what is wrong with it. */
int berm_moment_parse(const char *text, int64_t *ret, struct berm_err *err) must_check;
void berm_moment_format(int64_t moment, char out[BERM_MOMENT_STRLEN]); /* in UTC */

#endif /* BERM_MOMENT_H */
