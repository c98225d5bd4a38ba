/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frontend.h - where connections are led to before they leave the node: an address and port of a Service or a
 * hostPort, and the addresses and ports behind it (docs/policy.md, "Services"). Derived from the model alone;
 * decides nothing.
 */
#ifndef BERM_FRONTEND_H
#define BERM_FRONTEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "array.h"
#include "model.h"

struct berm_backend {
	struct berm_addr addr;
	uint32_t at; /* plane << 16 | port */
};

struct berm_frontend {
	struct berm_addr
		addr; /* BERM_FRONTEND_NODE4, BERM_FRONTEND_NODE6: every address of the node */
	uint32_t at;
	const struct berm_service *service; /* the first by name of those that claim it, or */
	const struct berm_pod *pod;	    /* whose hostPort it is */
	const char *port;		    /* its name in the Service; NULL: none */
	size_t backend,
		backend_count; /* in berm_frontends.backend: by address and port, each once */
};

struct berm_frontends {
	BERM_ARRAY(struct berm_frontend) item; /* by address and port, each once */
	BERM_ARRAY(struct berm_backend) backend;
	BERM_ARRAY(struct berm_addr) cluster;  /* every ClusterIP; sorted, each once */
	BERM_ARRAY(struct berm_addr) external; /* every other address; likewise */
};

extern const struct berm_addr BERM_FRONTEND_NODE4, BERM_FRONTEND_NODE6;

/* 0 or -ENOMEM. Strings and objects are the model's. */
int berm_frontends_make(const struct berm_model *model, struct berm_frontends *out) must_check;
void berm_frontends_free(struct berm_frontends *f);
/* The frontend that a packet to this address meets; is_own_node: the address is the node's. Or NULL. */
const struct berm_frontend *berm_frontends_find(const struct berm_frontends *f,
						const struct berm_addr *addr, uint32_t at,
						bool is_own_node);

#endif /* BERM_FRONTEND_H */
