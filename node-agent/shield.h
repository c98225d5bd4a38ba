/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shield.h - the block list at the uplinks: keeps its program on the interfaces that the operator names, and its maps equal to
 * what the documents say. Never drops more than the walls do: what is no longer denied leaves it before the walls open,
 * what is newly denied enters it once they have closed. docs/uplink.md.
 */
#ifndef BERM_SHIELD_H
#define BERM_SHIELD_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "err.h"
#include "uplink.h"

#define BERM_SHIELD_UPLINKS BERM_UPLINK_MAX

struct berm_shield_opts {
	char ifname[BERM_SHIELD_UPLINKS][16];
	size_t count; /* 0: no block list at any uplink */
	enum berm_uplink_mode mode;
	bool any_destination;
};

/* "eth0,eth1": what --uplink says. -EINVAL: err says which name is none. */
int berm_shield_parse(const char *text, struct berm_shield_opts *opts,
		      struct berm_err *err) must_check;

struct berm_agent;
struct berm_shield;

/* Without interfaces *ret is NULL, and what an earlier agent has attached is taken away. What fails later is told in
 * the status and tried again: the walls do not need it. */
int berm_shield_start(struct berm_agent *agent, struct berm_shield **ret,
		      struct berm_err *err) must_check;
void berm_shield_free(struct berm_shield *shield); /* after its handles are closed; accepts NULL */

/* Around every judgement; `is_in_force`: it has succeeded. Both accept NULL. */
void berm_shield_judging(struct berm_shield *shield);
void berm_shield_judged(struct berm_shield *shield, bool is_in_force);

cJSON *berm_shield_json(const struct berm_shield *shield);
/* Calls back for each thing that somebody should look at. Accepts NULL. */
void berm_shield_problems(const struct berm_shield *shield,
			  void (*tell)(void *ctx, const char *message, const char *hint),
			  void *ctx);

#endif /* BERM_SHIELD_H */
