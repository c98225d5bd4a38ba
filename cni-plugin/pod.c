/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod.c - set up and take down one attachment: record, slot, hooks. Judges nothing.
 *
 * Owner link and slot change only under BERM_LOCK, so that the DEL of a pod that is gone and the ADD of one
 * that got the same interface index cannot mix.
 */
#include "pod.h"

#include <errno.h>
#include <string.h>

#include "attachment.h"
#include "cleanup.h"

#define ADD_LOCK_MS 5000

static void record_fill(struct berm_record *rec, const struct berm_veth *veth)
{
	rec->intent_ifindex = veth->ifindex;
	rec->peer_ifindex = veth->peer_ifindex;
	memcpy(rec->host_ifname, veth->name, sizeof(rec->host_ifname));
	memcpy(rec->mac, veth->mac, sizeof(rec->mac));
	rec->addr_count = veth->addr_count;
	memcpy(rec->addr, veth->addr, sizeof(rec->addr));
}

static struct berm_endpoint endpoint_of(const struct berm_veth *veth, const struct pod_sets *sets)
{
	struct berm_endpoint ep = { .ifindex = veth->ifindex,
				    .flags = BERM_EP_FALLBACK,
				    .addr_count = veth->addr_count };

	memcpy(ep.set, sets->of, sizeof(ep.set));
	memcpy(ep.mac, veth->mac, sizeof(ep.mac));
	memcpy(ep.addr, veth->addr, sizeof(ep.addr));
	if (ep.set[BERM_INGRESS] != BERM_SET_OPEN)
		ep.flags |= BERM_EP_ISOLATED_IN;
	if (ep.set[BERM_EGRESS] != BERM_SET_OPEN)
		ep.flags |= BERM_EP_ISOLATED_OUT;
	return ep;
}

static int enter_locked(struct berm_maps *maps, struct berm_record *rec,
			const struct berm_veth *veth, const struct pod_sets *sets,
			struct berm_err *err)
{
	struct berm_endpoint ep = endpoint_of(veth, sets);
	auto_close int lock = -1;
	int rc = berm_lock_take(ADD_LOCK_MS, &lock, err);

	if (rc)
		return rc;
	berm_attachment_begin(rec->container_id, rec->ifname);
	record_fill(rec, veth);
	rc = berm_record_write(rec, err);
	return rc ? rc : berm_slot_take(maps, &ep, &rec->slot, err);
}

int pod_enter(struct berm_maps *maps, struct berm_record *rec, const struct berm_veth *veth,
	      const struct pod_sets *sets, struct berm_err *err)
{
	int rc = enter_locked(maps, rec, veth, sets, err);

	(void)berm_attachment_collect(NULL); /* of others: not this pod's trouble */
	return rc;
}

int pod_attach(struct berm_record *rec, enum berm_attach_mode mode, struct berm_err *err)
{
	enum berm_attach_mode used;
	int rc = berm_link_attach(rec->intent_ifindex, mode, &used, err);

	if (rc)
		return rc;
	rec->ifindex = rec->intent_ifindex;
	rec->intent_ifindex = 0;
	strcpy(rec->mode, used == BERM_ATTACH_TCX ? "tcx" : "clsact");
	return berm_record_write(rec, err);
}

int pod_restore(const struct berm_record *before, int lock_ms, struct berm_err *err)
{
	auto_close int lock = -1;
	int rc = berm_lock_take(lock_ms, &lock, err);

	return rc ? rc : berm_record_write(before, err);
}
