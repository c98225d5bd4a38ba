/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hooks.h - looks at devices and their hooks in a thread. The kernel answers under its RTNL lock, which others may hold for
 * some 10 ms at a time: the loop must not wait for it. Judges nothing.
 */
#ifndef BERM_HOOKS_H
#define BERM_HOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "err.h"
#include "link.h"

struct berm_look { /* one slot: what to look at, and what was seen */
	uint32_t slot, ifindex;
	uint32_t peer_ifindex; /* of the device that the slot is for; 0: go by mac */
	uint8_t mac[6];
	bool must_inspect; /* also if a glance shows nothing new */
	uint64_t known;	   /* the glance that showed nothing wrong */

	int rc; /* -ENODEV: the device is gone */
	bool is_inspected;
	uint64_t glance;
	struct berm_hook_state hooks[2];
	bool is_other_device; /* only if devices_too */
	struct berm_err err;
};

struct berm_looks {
	uv_work_t work;
	bool is_running, devices_too;
	struct berm_look *item;
	size_t count;
	void (*done)(struct berm_looks *looks, void *ctx); /* in the loop; frees nothing */
	void *ctx;
};

/* Takes over item (malloc'ed); one at a time. Not started: done is not called. */
int berm_looks_start(struct berm_looks *looks, uv_loop_t *loop, struct berm_look *item,
		     size_t count) must_check;
void berm_looks_free(struct berm_looks *looks);

#endif /* BERM_HOOKS_H */
