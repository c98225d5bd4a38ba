/* SPDX-License-Identifier: Apache-2.0 */
/*
 * generations.c - prints each new generation in this node's kernel and when it was there: "NANOSECONDS GENERATION", of
 * CLOCK_MONOTONIC. Reads the page that the programs read; knows nobody else. Ends when its standard input is closed.
 */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "maps.h"

#define POLL_NS 200000

static bool is_over(void)
{
	struct pollfd fd = { .fd = 0, .events = POLLIN };

	return poll(&fd, 1, 0) > 0;
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int main(void)
{
	struct berm_maps maps = BERM_MAPS_CLOSED;
	struct berm_err err = { 0 };
	uint64_t last = UINT64_MAX, now;

	if (berm_maps_open(&maps, true, &err)) {
		fprintf(stderr, "generations: %s\n", err.msg);
		return 1;
	}
	while (!is_over()) {
		now = __atomic_load_n(&maps.node->generation, __ATOMIC_ACQUIRE);
		if (now != last &&
		    (printf("%lld %llu\n", (long long)now_ns(), (unsigned long long)now) < 0 ||
		     fflush(stdout)))
			break; /* nobody reads it any more */
		last = now;
		nanosleep(&(struct timespec){ 0, POLL_NS }, NULL);
	}
	berm_maps_close(&maps);
	return 0;
}
