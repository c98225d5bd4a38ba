/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.h - Services, their endpoints and the blocks that ClusterIPs come from, as policies need them: which
 * address and port leads to which others. document_service.c makes them. No I/O, no kernel.
 *
 * Everything belongs to the object it stands in. Absent strings are NULL.
 */
#ifndef BERM_SERVICE_H
#define BERM_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"
#include "cidr.h"

struct berm_service_port {
	char *name;	    /* joins it with the slices' ports; NULL: "" */
	uint8_t plane;	    /* BERM_PLANE_TCP, UDP or SCTP */
	uint16_t port;	    /* of ClusterIPs, external and load-balancer addresses */
	uint16_t node_port; /* of the node's addresses; 0: none */
};

/* Headless, ExternalName and another proxy's Services have no addresses and no node ports. */
struct berm_service {
	char *ns, *name;
	struct berm_addr *cluster; /* ClusterIPs, at most one of each family */
	size_t cluster_count;
	struct berm_addr *external; /* externalIPs, load-balancer addresses with ipMode VIP */
	size_t external_count;
	bool is_local; /* internalTrafficPolicy Local: ClusterIPs lead to this node's endpoints */
	struct berm_service_port *port;
	size_t port_count;
};

struct berm_slice_port {
	char *name;
	uint8_t plane;
	uint16_t port;
};

#define BERM_SLICE_NO_NODE UINT16_MAX

/* Only those that get traffic: ready, or serving while they end. */
struct berm_slice_endpoint {
	struct berm_addr addr;
	uint16_t node; /* in berm_slice.node, or BERM_SLICE_NO_NODE */
};

struct berm_slice {
	char *ns, *name;
	char *service; /* label kubernetes.io/service-name; NULL: of none */
	struct berm_slice_port *port;
	size_t port_count;
	struct berm_slice_endpoint *endpoint;
	size_t endpoint_count;
	char **node; /* each once */
	size_t node_count;
};

struct berm_service_cidr {
	char *name;
	struct berm_cidr *cidr;
	size_t cidr_count;
};

/* Accept NULL; free the struct too. */
void berm_service_free(struct berm_service *service);
void berm_slice_free(struct berm_slice *slice);
void berm_service_cidr_free(struct berm_service_cidr *cidr);

#endif /* BERM_SERVICE_H */
