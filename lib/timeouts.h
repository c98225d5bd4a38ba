/* SPDX-License-Identifier: Apache-2.0 */
/* timeouts.h - how long sessions live, as an operator sets it. The list is BERM_TIMEOUTS in bpf/abi.h. */
#ifndef BERM_TIMEOUTS_H
#define BERM_TIMEOUTS_H

#include <stdbool.h>
#include <stdint.h>

#include "abi.h"
#include "err.h"

struct berm_session_opts {
	uint32_t timeout_s[BERM_TIMEOUT_COUNT]; /* by enum berm_timeout; 0 = default */
	bool strict_tcp;			/* a TCP session begins with a SYN, or not at all */
	bool report_ended; /* what leaves the table tells what it has carried */
	bool apps;	   /* find out what sessions carry */
};

const char *berm_timeout_name(enum berm_timeout which); /* "half-open" */
uint32_t berm_timeout_default(enum berm_timeout which); /* seconds */
/* "90" -> 90. -EINVAL names the range and leaves *ret alone. */
int berm_timeout_parse(enum berm_timeout which, const char *text, uint32_t *ret,
		       struct berm_err *err) must_check;
/* What is in force: the one that is set, else the default. */
uint32_t berm_timeout_of(const struct berm_session_opts *opts, enum berm_timeout which);

#endif /* BERM_TIMEOUTS_H */
