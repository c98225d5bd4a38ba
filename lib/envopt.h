/* SPDX-License-Identifier: Apache-2.0 */
/* envopt.h - options of a program out of its environment, for where a command line is hard to change: in a pod. */
#ifndef BERM_ENVOPT_H
#define BERM_ENVOPT_H

#include <argp.h>

#include "err.h"

/* The command line with "--missing-state=drop" put in front for BERM_MISSING_STATE=drop, and so on for every long
 * option; what stands on the command line comes later and wins. An empty variable counts as unset; an option without
 * argument is set by true or 1 and not by false or 0, anything else is -EINVAL. *ret_argv belongs to the program until
 * it ends. */
int berm_envopt(const struct argp_option *options, int *argc, char ***argv,
		struct berm_err *err) must_check;

#endif /* BERM_ENVOPT_H */
