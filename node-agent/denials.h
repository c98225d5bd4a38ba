/* SPDX-License-Identifier: Apache-2.0 */
/*
 * denials.h - Events on the pods of this node that policies stop: one for each edge in ten minutes, in bounded memory.
 */
#ifndef BERM_DENIALS_H
#define BERM_DENIALS_H

#include "abi.h"
#include "apievents.h"
#include "model.h"
#include "names.h"

struct berm_denials;

int berm_denials_new(const struct berm_model *model, struct berm_apievents *events,
		     struct berm_denials **ret, struct berm_err *err) must_check;
void berm_denials_free(struct berm_denials *denials); /* accepts NULL */

/* An event of the data path; those that are no denial by policy are passed over. Cheap for what was told already. */
void berm_denials_add(struct berm_denials *denials, const struct berm_event *event,
		      const struct berm_names *names);

#endif /* BERM_DENIALS_H */
