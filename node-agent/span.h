/* SPDX-License-Identifier: Apache-2.0 */
/* span.h - lengths of time as annotations write them: 90s, 5m, 1h30m. Asks no clock. */
#ifndef BERM_SPAN_H
#define BERM_SPAN_H

#include <stdint.h>

#include "err.h"

/* In seconds, from 1 to max_s. Numbers with the units h, m and s, the larger ones first, each once; nothing between
 * them. -EINVAL with a message that names the text and what is wrong with it. */
int berm_span_parse(const char *text, int64_t max_s, int64_t *ret_s,
		    struct berm_err *err) must_check;

#endif /* BERM_SPAN_H */
