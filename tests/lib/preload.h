/* SPDX-License-Identifier: Apache-2.0 */
/*
 * preload.h - where verifying the programs takes long (emulated machines), BERM_TEST_SHARED=1 has them loaded
 * once for all tests of a test program, instead of once for each. Every test finds the maps empty.
 */
#ifndef BERM_TEST_PRELOAD_H
#define BERM_TEST_PRELOAD_H

#include <stdint.h>

struct berm_bpf;

#define PRELOAD_BUCKETS 1024

/* Those loaded beforehand, with maps as after loading: PRELOAD_BUCKETS, no event_ms, not explain. NULL: there
 * are none, so the test loads its own. */
struct berm_bpf *preload_take(void);

#endif /* BERM_TEST_PRELOAD_H */
