/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evaluate.h - what policies say about one packet, by reading them as they are written (design/policy.md,
 * "Evaluation"). Slow, simple, and sharing no code with the compiler: it is what the compiler is checked
 * against. Replies, HOST and a pod's own address are not its business.
 */
#ifndef BERM_TEST_EVALUATE_H
#define BERM_TEST_EVALUATE_H

#include "model.h"

struct question {
	const struct berm_local_endpoint *ep; /* whose pod is known */
	uint8_t dir;
	struct berm_addr peer;
	uint8_t plane; /* enum berm_plane, and the index in it */
	uint16_t port; /* of the pod on ingress, of the peer on egress */
	bool would;    /* as if what is in mode audit were enforced */
};

struct answer {
	uint8_t action; /* enum berm_action */
	uint8_t reason;
	char rule[1024]; /* "application shop/db-in:web", "default-deny:shop/a,shop/b" or "" */
};

struct answer evaluate(const struct berm_model *m, const struct question *q);

#endif /* BERM_TEST_EVALUATE_H */
