/* SPDX-License-Identifier: Apache-2.0 */
/*
 * services.h - who is behind an address and port of a Service or a hostPort, by reading the objects as they
 * are written (design/policy.md, "Services"). Slow, simple, and sharing no code with the agent's.
 */
#ifndef BERM_TEST_SERVICES_H
#define BERM_TEST_SERVICES_H

#include "model.h"

#define SERVICES_MAX 256

struct led {
	bool is_place;	 /* a frontend stands here, with these backends */
	bool is_service; /* the address is a Service's and nobody's own */
	size_t count;	 /* sorted by address and port, each once */
	struct led_to {
		struct berm_addr addr;
		uint8_t plane;
		uint16_t port;
	} to[SERVICES_MAX];
};

/* owned: a node, a pod or an endpoint has the address. */
void services_lead(const struct berm_model *m, const struct berm_addr *addr, uint8_t plane,
		   uint16_t port, bool owned, struct led *out);
/* Is this a target of that Service, or (port 53 of kube-dns) of its frontends? */
bool services_is_target(const struct berm_model *m, const char *ns, const char *name,
			const struct berm_addr *addr, uint8_t plane, uint16_t port);

#endif /* BERM_TEST_SERVICES_H */
