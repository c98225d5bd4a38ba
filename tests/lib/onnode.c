// SPDX-License-Identifier: Apache-2.0
/* onnode.c - attaches what a model says is here. Knows no policy and no packet. */
#include "onnode.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "paths.h"

void onnode_own_run(void)
{
	ASSERT_EQ(unshare(CLONE_NEWNS), 0);
	ASSERT_EQ(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ASSERT_EQ(mount("tmpfs", "/run", "tmpfs", 0, NULL), 0);
	ASSERT_EQ(mkdir(BERM_RUN_DIR, 0755), 0);
}

static void attach(struct datapath *dp, struct berm_model *m, struct berm_local_endpoint *ep,
		   uint32_t ifindex)
{
	char text[BERM_MAX_ADDRS][BERM_ADDR_STRLEN];
	struct pod pod = { .ifindex = ifindex,
			   .flags = BERM_EP_FALLBACK,
			   .set_in = BERM_SET_DENY,
			   .set_out = BERM_SET_DENY };

	for (size_t i = 0; i < ep->addr_count; i++) {
		berm_addr_format(&ep->addr[i], text[i]);
		pod.addr[i] = text[i];
	}
	ep->ifindex = ifindex;
	ep->slot = datapath_pod(dp, &pod);
	ASSERT_EQ(berm_model_put_endpoint(m, ep), 0);
}

void onnode_attach(struct datapath *dp, struct berm_model *m)
{
	struct berm_local_endpoint ep[ONNODE_DEVICES];
	size_t count = 0;

	while (m->endpoint_count) {
		if (count < ONNODE_DEVICES)
			ep[count++] = m->endpoints[0];
		ASSERT_EQ(berm_model_remove_endpoint(m, m->endpoints[0].slot), 0);
	}
	for (size_t i = 0; i < count; i++)
		attach(dp, m, &ep[i], (uint32_t)i + 1);
}

void onnode_detach(struct datapath *dp, const struct berm_model *m)
{
	struct berm_err err = { 0 };

	for (size_t i = 0; i < m->endpoint_count; i++)
		ASSERT_OK(berm_slot_free(&dp->maps, m->endpoints[i].slot, m->endpoints[i].ifindex,
					 &err),
			  &err);
}
