/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_check.c - CHECK: is everything that ADD made still in the kernel, and still first in line? */
#include <errno.h>
#include <string.h>

#include "call.h"
#include "log.h"
#include "maps.h"
#include "netdev.h"
#include "record.h"

static const char *const hook_names[] = { [BERM_INGRESS] = "ingress", [BERM_EGRESS] = "egress" };

static int not_enforced(int *ret_code, int rc)
{
	*ret_code = CNI_NOT_ENFORCED;
	return rc;
}

static int check_device(const struct berm_record *rec, const char *netns, struct berm_err *err)
{
	struct berm_veth veth;
	int rc;

	if (netns[0]) {
		rc = berm_netdev_find(netns, rec->ifname, &veth, err);
		if (rc)
			return rc;
		if (veth.ifindex != rec->ifindex)
			return berm_refuse(err, -ESTALE,
					   "%s now ends at host interface %s (%u), but %u is guarded",
					   rec->ifname, veth.name, veth.ifindex, rec->ifindex);
		return 0;
	}
	if (!berm_netdev_is(rec->ifindex, rec->peer_ifindex))
		return berm_refuse(err, -ENODEV, "host interface %u (%s) is gone", rec->ifindex,
				   rec->host_ifname);
	return 0;
}

static int check_endpoint(const struct berm_record *rec, struct berm_err *err)
{
	struct berm_maps maps = BERM_MAPS_CLOSED;
	uint32_t slot = 0;
	int rc = berm_maps_open(&maps, true, err);

	if (rc)
		return rc;
	if (berm_slot_of(&maps, rec->ifindex, &slot) || slot != rec->slot ||
	    maps.endpoints[slot].ifindex != rec->ifindex)
		rc = berm_refuse(err, -ENOENT, "host interface %s (%u) has lost its endpoint entry",
				 rec->host_ifname, rec->ifindex);
	berm_maps_close(&maps);
	return rc;
}

static int check_hook(const struct berm_record *rec, int dir, const struct berm_hook_state *hook,
		      bool report_only, struct berm_err *err)
{
	if (!hook->attached)
		return berm_refuse(err, -ENOENT,
				   "no program of Berm on the %s hook of %s (%u): the pod's %s is not "
				   "enforced",
				   hook_names[dir], rec->host_ifname, rec->ifindex,
				   hook_names[dir]);
	if (!hook->current)
		return berm_refuse(err, -ESTALE, "an old program is on the %s hook of %s (%u)",
				   hook_names[dir], rec->host_ifname, rec->ifindex);
	if (!hook->before)
		return 0;
	berm_log(BERM_LOG_WARNING, "may-bypass",
		 "container=%s host_ifname=%s hook=%s programs=%u first=\"%s\"", rec->container_id,
		 rec->host_ifname, hook_names[dir], hook->before, hook->foreign);
	if (report_only)
		return 0;
	return berm_refuse(err, -EBUSY,
			   "%u program(s), the first of them '%s', run before Berm on the %s hook of %s (%u) "
			   "and may bypass it",
			   hook->before, hook->foreign, hook_names[dir], rec->host_ifname,
			   rec->ifindex);
}

static int check_hooks(const struct berm_record *rec, bool report_only, struct berm_err *err)
{
	struct berm_hook_state hooks[BERM_DIR_COUNT];
	int rc = berm_link_inspect(rec->ifindex, hooks, err);

	for (int dir = 0; !rc && dir < BERM_DIR_COUNT; dir++)
		rc = check_hook(rec, dir, &hooks[dir], report_only, err);
	return rc;
}

int cmd_check(const struct cni_call *call, int *ret_code, struct berm_err *err)
{
	struct berm_record rec;
	int rc;

	if (!call->conf.prev) {
		*ret_code = CNI_INVALID_CONFIG;
		return berm_refuse(err, -EINVAL,
				   "no prevResult: CHECK gets the result of ADD from the runtime");
	}
	rc = berm_record_read(call->env.container_id, call->env.ifname, &rec, err);
	if (rc == -ENOENT)
		return not_enforced(ret_code,
				    berm_refuse(err, rc,
						"container %s has no attachment %s that Berm knows",
						call->env.container_id, call->env.ifname));
	if (rc)
		return not_enforced(ret_code, rc);
	if (rec.problem[0] && !rec.ifindex && call->conf.report_unsupported)
		return 0; /* started knowingly without a guard */
	if (!rec.ifindex)
		return not_enforced(ret_code,
				    berm_refuse(err, -ENOENT,
						"ADD of container %s has not been completed",
						rec.container_id));
	rc = check_device(&rec, call->env.netns, err);
	if (!rc)
		rc = check_endpoint(&rec, err);
	if (!rc)
		rc = check_hooks(&rec, call->conf.report_unsupported, err);
	return rc ? not_enforced(ret_code, rc) : 0;
}
