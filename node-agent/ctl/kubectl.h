/* SPDX-License-Identifier: Apache-2.0 */
/* kubectl.h - bermctl from outside the nodes, as `kubectl berm`. */
#ifndef BERM_CTL_KUBECTL_H
#define BERM_CTL_KUBECTL_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "err.h"

/* The whole command line of kubectl-berm. Returns an exit code. */
int ctl_kubectl_run(int argc, char **argv);

/* Is it answered without a cluster (lint, help, completion, no command)? */
int ctl_kubectl_is_local(int argc, char **argv);

/* Does this program run outside, so that an agent is asked by way of kubectl? */
bool ctl_kubectl_is_outside(void);
/* POST /v1/diff to the agent of the node that the user names, else to any that runs: all know all pods. */
int ctl_kubectl_diff(const cJSON *question, cJSON **ret, struct berm_err *err) must_check;

#endif /* BERM_CTL_KUBECTL_H */
