/* SPDX-License-Identifier: Apache-2.0 */
/* hooks.c - looks at devices and their hooks in a thread. Everything here but start and done runs there, on a copy. */
#include "hooks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "netdev.h"

/* The veth at ifindex has another pod's side. Not the opposite: who cannot ask the kernel knows neither, and a pod that
 * loses its slot has no wall. */
static bool is_mac_gone(const struct berm_look *look, const struct berm_veth *veth, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (veth[i].ifindex == look->ifindex)
			return memcmp(veth[i].mac, look->mac, 6) != 0;
	return true;
}

static bool needs_veths(const struct berm_looks *looks)
{
	for (size_t i = 0; i < looks->count; i++)
		if (!looks->item[i].peer_ifindex)
			return true;
	return false;
}

static void look_at_devices(struct berm_looks *looks)
{
	auto_free struct berm_veth *veth = NULL;
	size_t count = 0;
	bool is_known = needs_veths(looks) && !berm_netdev_veths(&veth, &count, NULL);

	for (size_t i = 0; i < looks->count; i++) {
		struct berm_look *look = &looks->item[i];

		look->is_other_device =
			look->peer_ifindex ? berm_netdev_is_gone(look->ifindex, look->peer_ifindex)
					   : is_known && is_mac_gone(look, veth, count);
	}
}

/* A glance is enough as long as nothing has changed since the last inspection. */
static void look_at_hooks(struct berm_look *look)
{
	look->rc = berm_link_glance(look->ifindex, &look->glance);
	if (look->rc || (!look->must_inspect && look->glance == look->known))
		return;
	look->rc = berm_link_inspect(look->ifindex, look->hooks, &look->err);
	look->is_inspected = !look->rc;
}

static void on_work(uv_work_t *work)
{
	struct berm_looks *looks = work->data;

	for (size_t i = 0; i < looks->count; i++)
		look_at_hooks(&looks->item[i]);
	if (looks->devices_too)
		look_at_devices(looks);
}

static void on_done(uv_work_t *work, int status)
{
	struct berm_looks *looks = work->data;

	looks->is_running = false;
	if (!status)
		looks->done(looks, looks->ctx);
}

int berm_looks_start(struct berm_looks *looks, uv_loop_t *loop, struct berm_look *item,
		     size_t count)
{
	berm_looks_free(looks);
	looks->item = item;
	looks->count = count;
	looks->work.data = looks;
	looks->is_running = !uv_queue_work(loop, &looks->work, on_work, on_done);
	return looks->is_running ? 0 : -EAGAIN;
}

void berm_looks_free(struct berm_looks *looks)
{
	free(looks->item);
	looks->item = NULL;
	looks->count = 0;
}
