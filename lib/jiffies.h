/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jiffies.h - the clock of the data path (deadlines of sessions, adopt_until), read from user space.
 * Knows no map. Needs CAP_BPF.
 */
#ifndef BERM_JIFFIES_H
#define BERM_JIFFIES_H

#include <stdint.h>

#include "err.h"

/* *ret_now: low 32 bits of bpf_jiffies64(), compare by signed difference. *ret_hz: ticks a second. */
int berm_jiffies_read(uint32_t *ret_now, uint32_t *ret_hz, struct berm_err *err) must_check;

/* Which CONFIG_HZ explains `now` ticks after `uptime_s` seconds of CLOCK_MONOTONIC? 0 = cannot tell: too
 * close to the moment when every tick rate shows the same value (300 s, include/linux/jiffies.h). */
uint32_t berm_jiffies_guess_hz(uint32_t now, double uptime_s);

/* Ticks a second, without asking the kernel's BPF. */
uint32_t berm_jiffies_hz(void);

#endif /* BERM_JIFFIES_H */
