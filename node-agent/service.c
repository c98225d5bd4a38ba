// SPDX-License-Identifier: Apache-2.0
/* service.c - takes Services, slices and ServiceCIDRs apart again. Knows nothing else. */
#include "service.h"

#include <stdlib.h>

void berm_service_free(struct berm_service *service)
{
	if (!service)
		return;
	for (size_t i = 0; i < service->port_count; i++)
		free(service->port[i].name);
	free(service->port);
	free(service->cluster);
	free(service->external);
	free(service->ns);
	free(service->name);
	free(service);
}

void berm_slice_free(struct berm_slice *slice)
{
	if (!slice)
		return;
	for (size_t i = 0; i < slice->port_count; i++)
		free(slice->port[i].name);
	for (size_t i = 0; i < slice->node_count; i++)
		free(slice->node[i]);
	free(slice->port);
	free(slice->node);
	free(slice->endpoint);
	free(slice->service);
	free(slice->ns);
	free(slice->name);
	free(slice);
}

void berm_service_cidr_free(struct berm_service_cidr *cidr)
{
	if (!cidr)
		return;
	free(cidr->cidr);
	free(cidr->name);
	free(cidr);
}
