/* SPDX-License-Identifier: Apache-2.0 */
/* nodeaddr.c - compares the kernel's list of own addresses with berm_local and the model. */
#include "nodeaddr.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "netdev.h"

struct list {
	struct berm_addr *addr; /* sorted */
	size_t count;
};

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct berm_addr));
}

static bool has(const struct list *list, const struct berm_addr *addr)
{
	return bsearch(addr, list->addr, list->count, sizeof(*addr), compare);
}

/* Every key of berm_local. */
static int read_map(const struct berm_maps *maps, struct list *out)
{
	struct berm_addr *addr = calloc(BERM_MAX_LOCAL, sizeof(*addr));
	size_t count = 0;

	if (!addr)
		return -ENOMEM;
	while (count < BERM_MAX_LOCAL &&
	       !bpf_map_get_next_key(maps->fd[BERM_MAP_local], count ? &addr[count - 1] : NULL,
				     &addr[count]))
		count++;
	qsort(addr, count, sizeof(*addr), compare);
	*out = (struct list){ addr, count };
	return 0;
}

static int sync_map(const struct berm_maps *maps, const struct list *now, struct berm_err *err)
{
	struct list old;
	size_t i;
	int rc;

	if (read_map(maps, &old))
		return berm_fail(err, -ENOMEM, "read the node's addresses");
	for (i = 0, rc = 0; !rc && i < now->count; i++)
		if (!has(&old, &now->addr[i]))
			rc = berm_local_add(maps, &now->addr[i], err);
	for (i = 0; !rc && i < old.count; i++)
		if (!has(now, &old.addr[i]))
			rc = berm_local_delete(maps, &old.addr[i], err);
	free(old.addr);
	return rc;
}

static bool model_has(const struct berm_model *model, const struct list *now)
{
	return model->node_addr_count == now->count &&
	       (!now->count ||
		!memcmp(model->node_addrs, now->addr, now->count * sizeof(*now->addr)));
}

int berm_nodeaddr_sync(struct berm_maps *maps, struct berm_model *model, struct berm_err *err)
{
	auto_free struct berm_addr *addr = NULL;
	struct list now;
	size_t count;
	int rc;

	rc = berm_netdev_local(&addr, &count, err);
	if (rc)
		return rc;
	now = (struct list){ addr, count };
	qsort(addr, count, sizeof(*addr), compare);
	rc = sync_map(maps, &now, err);
	if (rc || model_has(model, &now))
		return rc;
	return berm_model_set_node_addrs(model, addr, count)
		       ? berm_fail(err, -ENOMEM, "remember the node's addresses")
		       : 0;
}
