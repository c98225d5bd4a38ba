/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nearmiss.h - which rules would have allowed it, and what is missing: read from the documents, for people. The
 * verdict itself is never made here.
 */
#ifndef BERM_NEARMISS_H
#define BERM_NEARMISS_H

#include <stdint.h>

#include "model.h"

struct berm_miss_question {
	uint8_t dir;		     /* enum berm_dir of the pod */
	const struct berm_pod *pod;  /* whose policies decide */
	const struct berm_pod *peer; /* NULL: nobody that is known has the address */
	struct berm_addr peer_addr;
	uint8_t plane;
	uint16_t port; /* as in enum berm_plane */
};

#define BERM_MISSES 3

struct berm_miss {
	const struct berm_policy *policy;
	const struct berm_policy_rule *rule;
	unsigned int missing; /* conditions that do not hold: 1 or more */
	char text[256];	      /* "if the pod had the label app=web (it has app=spy)" */
};

/* The allowing rules that come nearest, nearest first. Returns how many. Borrowed from the model. */
unsigned int berm_near_misses(const struct berm_model *model, const struct berm_miss_question *q,
			      struct berm_miss out[BERM_MISSES]);

#endif /* BERM_NEARMISS_H */
