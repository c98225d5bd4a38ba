/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pressure.h - how full the session table is, and by whom: reads all of it every 15 s (a great one: every minute at most), a
 * slice at a time, so that neither
 * the loop nor a CPU notices. Only looks and tells; what is replaced the programs decide, with or without an agent.
 */
#ifndef BERM_PRESSURE_H
#define BERM_PRESSURE_H

#include <stdbool.h>
#include <stdint.h>

#include "abi.h"
#include "err.h"
#include "level.h"

struct berm_agent;
struct berm_pressure;

#define BERM_PRESSURE_EVERY_MS 15000

struct berm_slot_load {
	uint32_t slot, half_open, established; /* living sessions */
};

#define BERM_PRESSURE_TOP 8

struct berm_pressure_view {		 /* of the last look at the whole table */
	uint64_t half_open, established; /* living sessions */
	uint64_t expired;		 /* dead ones that nobody has replaced yet */
	uint64_t room;
	double load; /* living ones / room */
	enum berm_level level;
	uint64_t at_ms;				      /* when it was finished, uv clock */
	uint64_t cpu_us;			      /* what it took */
	struct berm_slot_load top[BERM_PRESSURE_TOP]; /* who has most, most first; slot 0: no more */
};

int berm_pressure_start(struct berm_agent *agent, struct berm_pressure **ret,
			struct berm_err *err) must_check;
/* Closes its handle; the caller runs the loop until it is closed, then frees. */
void berm_pressure_stop(struct berm_pressure *pressure);
void berm_pressure_free(struct berm_pressure *pressure); /* accepts NULL */

/* false: not looked yet. */
bool berm_pressure_view(const struct berm_pressure *pressure, struct berm_pressure_view *ret);

#endif /* BERM_PRESSURE_H */
