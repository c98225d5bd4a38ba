/* SPDX-License-Identifier: Apache-2.0 */
/*
 * patience.h - when to try again what an API server has refused, and how often to say so: one line a cause, and another
 * when it is over. For writes, which nothing depends on. No I/O but the log.
 */
#ifndef BERM_PATIENCE_H
#define BERM_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "apicall.h"

struct berm_patience {
	const char *what; /* "status" */
	const char *advice;
	unsigned int failures; /* in a row */
	uint64_t until_ms;     /* uv clock: not before */
	long status;	       /* of the failure that was told; -1: no answer; 0: none was told */
	char error[320];       /* "": the last attempt succeeded */
};

/* 1 s doubling to 60 s, or as the server asks; 60 s doubling to 10 min where trying again will not help (401, 403, 404). */
void berm_patience_lose(struct berm_patience *patience, const struct berm_apireply *reply,
			uint64_t now_ms);
void berm_patience_regain(struct berm_patience *patience);
bool berm_patience_is_out(const struct berm_patience *patience, uint64_t now_ms);

/* value +- half of it. */
unsigned int berm_jitter(unsigned int value);

#endif /* BERM_PATIENCE_H */
