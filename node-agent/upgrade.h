/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upgrade.h - from the data path of another version to ours, and slots for pods that run already. Pods that a record names
 * get a slot in our maps, are judged, get our programs one by one (reconcile.c), and then the other version's maps and
 * programs go. Whoever is killed on the way leaves both, each pod with one of them; the next start goes on.
 */
#ifndef BERM_UPGRADE_H
#define BERM_UPGRADE_H

#include <stdbool.h>

#include "err.h"
#include "record.h"

struct berm_agent;

/* A slot for the device and the pod that the record names; record->slot is filled in and the record written. was_ours: it
 * exists already and had a slot, which is lost or in other maps. -EEXIST: it has one; -ENODEV, -ENOENT: device or record are gone. */
int berm_agent_enter(struct berm_agent *agent, struct berm_record *record, bool was_ours,
		     struct berm_err *err) must_check;

/* At a start, before anything is judged: slots for all who should have one. Returns whether another version's data
 * path is there. */
bool berm_upgrade_begin(struct berm_agent *agent);

/* Every pod has our programs. 0: what the other version left is gone. */
int berm_upgrade_finish(void);

#endif /* BERM_UPGRADE_H */
