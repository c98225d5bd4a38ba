/* SPDX-License-Identifier: Apache-2.0 */
/* onnode.h - a random world's pods as endpoints of the test's own data path. */
#ifndef BERM_TEST_ONNODE_H
#define BERM_TEST_ONNODE_H

#include "datapath.h"
#include "model.h"

/* The agent writes files below /run: let them be ours. */
void onnode_own_run(void);

/* As many of the model's endpoints as there are devices (1 to 3), in slots that the kernel side gave out. */
#define ONNODE_DEVICES 3
void onnode_attach(struct datapath *dp, struct berm_model *m);
void onnode_detach(struct datapath *dp, const struct berm_model *m);

#endif /* BERM_TEST_ONNODE_H */
