/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overdue.h - for how long something has been waiting to be done. Knows no clock and not what it is.
 */
#ifndef BERM_OVERDUE_H
#define BERM_OVERDUE_H

#include <stdbool.h>
#include <stdint.h>

struct berm_overdue {
	uint64_t since_ms; /* 0: nothing waits */
};

/* Whenever it may have changed whether something waits. now_ms: any clock that is never 0. */
static inline void berm_overdue_note(struct berm_overdue *o, bool is_waiting, uint64_t now_ms)
{
	if (!is_waiting)
		o->since_ms = 0;
	else if (!o->since_ms)
		o->since_ms = now_ms;
}

/* Has it waited for longer than that? */
static inline bool berm_overdue_is(const struct berm_overdue *o, uint64_t limit_ms, uint64_t now_ms)
{
	return o->since_ms && now_ms - o->since_ms > limit_ms;
}

#endif /* BERM_OVERDUE_H */
