/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inquiry.h - a question that takes long, answered by a child of the agent on a copy of its memory: the loop goes on, and what the
 * child takes is bounded (CPU seconds, memory, idle priority, first victim when memory is short).
 */
#ifndef BERM_INQUIRY_H
#define BERM_INQUIRY_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "err.h"

#define BERM_INQUIRY_SECONDS 15
#define BERM_INQUIRY_BYTES   (512ul << 20) /* beyond what the agent has mapped */

struct berm_inquiry;

struct berm_inquiry_opts {
	/* In the child: the answer as malloc'ed text, which may be NULL, and a status that the caller gives a meaning. */
	char *(*answer)(void *ctx, int *ret_status);
	/* In the agent's loop, once, unless stopped: text NULL if the child ended without an answer. text is lent. */
	void (*done)(void *ctx, int status, const char *text);
	void *ctx;
};

int berm_inquiry_start(uv_loop_t *loop, const struct berm_inquiry_opts *opts,
		       struct berm_inquiry **ret, struct berm_err *err) must_check;
void berm_inquiry_stop(
	struct berm_inquiry *inquiry); /* accepts NULL; kills the child; frees later, in the loop */

#endif /* BERM_INQUIRY_H */
