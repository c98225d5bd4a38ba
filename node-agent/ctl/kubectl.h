/* SPDX-License-Identifier: Apache-2.0 */
/* kubectl.h - bermctl from outside the nodes, as `kubectl berm`. */
#ifndef BERM_CTL_KUBECTL_H
#define BERM_CTL_KUBECTL_H

/* The whole command line of kubectl-berm. Returns an exit code. */
int ctl_kubectl_run(int argc, char **argv);

/* Is it answered without a cluster (lint, help, completion, no command)? */
int ctl_kubectl_is_local(int argc, char **argv);

#endif /* BERM_CTL_KUBECTL_H */
