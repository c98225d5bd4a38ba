/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper.h - keeps the plugin where berm-install has put it: in the runtime's network configuration, which the
 * cluster's own plugin may write anew at any time, and in its directory. Knows no policy and no pods.
 */
#ifndef BERM_KEEPER_H
#define BERM_KEEPER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "confdir.h"
#include "err.h"

struct berm_keeper_opts {
	struct berm_confdir conf;
	const char *bin_dir;
	const char *plugin; /* the program to be put back */
};

struct berm_keeper_state {
	char file[NAME_MAX + 1]; /* that has our plugin; "" = none has */
	uint64_t reinserted;	 /* times that somebody took it out */
	uint64_t replaced;	 /* times that the program was gone */
	struct berm_err failure; /* code 0: all is in place */
};

struct berm_keeper;

/* Looks at once, then whenever something changes there. The opts are copied, their strings borrowed. */
int berm_keeper_start(uv_loop_t *loop, const struct berm_keeper_opts *opts,
		      struct berm_keeper **ret, struct berm_err *err) must_check;
/* Takes nothing away from the node. NULL is fine; free it once the loop has run its closing callbacks. */
void berm_keeper_stop(struct berm_keeper *keeper);
void berm_keeper_free(struct berm_keeper *keeper);

const struct berm_keeper_state *berm_keeper_state(const struct berm_keeper *keeper);

#endif /* BERM_KEEPER_H */
