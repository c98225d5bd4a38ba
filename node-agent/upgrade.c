/* SPDX-License-Identifier: Apache-2.0 */
/* upgrade.c - slots for pods that run already, of which no ADD will tell us. Attaches nothing and judges nothing. */
#include "upgrade.h"

#include <errno.h>
#include <string.h>

#include "agent.h"
#include "cleanup.h"
#include "jiffies.h"
#include "log.h"
#include "netdev.h"
#include "paths.h"
#include "version.h"

#define LOCK_MS	     100
#define LOAD_LOCK_MS 200

static uint32_t adopt_until(void)
{
	uint32_t now, hz;

	return berm_jiffies_read(&now, &hz, NULL) ? 0 : now + BERM_ADOPT_S * hz;
}

/* A pod that was never ours stays as open as it was until it is judged, in a moment. One whose slot was lost
 * has what its fallback says. */
static uint32_t first_set(const struct berm_record *record, bool was_ours)
{
	bool is_open = !was_ours || !strcmp(record->fallback, "allow") ||
		       !strcmp(record->fallback, "exempt");

	return is_open ? BERM_SET_OPEN : BERM_SET_ESSENTIALS;
}

static struct berm_endpoint endpoint_of(const struct berm_record *record, bool was_ours)
{
	uint32_t set = first_set(record, was_ours);
	struct berm_endpoint ep = {
		.set = { set, set },
		.ifindex = record->ifindex,
		.flags = BERM_EP_FALLBACK,
		.adopt_until = adopt_until(),
		.addr_count = record->addr_count,
	};

	memcpy(ep.mac, record->mac, sizeof(ep.mac));
	memcpy(ep.addr, record->addr, sizeof(ep.addr));
	return ep;
}

/* A DEL that was faster has deleted it. */
static bool is_gone(const struct berm_record *record)
{
	struct berm_record now;

	return berm_record_read(record->container_id, record->ifname, &now, NULL) ||
	       now.ifindex != record->ifindex;
}

/* All of it under one lock: an ADD or DEL that comes just now must find both slot and record or neither, or its record
 * and ours would claim the device together. A record that cannot be written is only told of: the pod is guarded. */
int berm_agent_enter(struct berm_agent *agent, struct berm_record *record, bool was_ours,
		     struct berm_err *err)
{
	struct berm_endpoint ep = endpoint_of(record, was_ours);
	auto_close int lock = -1;
	uint32_t slot;
	int rc = berm_lock_take(LOCK_MS, &lock, err);

	if (rc)
		return rc;
	if (was_ours && is_gone(record))
		return berm_refuse(err, -ENOENT, "container %s is gone", record->container_id);
	if (!berm_slot_of(&agent->maps, record->ifindex, &slot))
		return berm_refuse(err, -EEXIST, "the plugin was faster");
	if (!berm_netdev_is(record->ifindex, record->peer_ifindex))
		return berm_refuse(err, -ENODEV, "%s is gone", record->host_ifname);
	rc = berm_slot_take(&agent->maps, &ep, &record->slot, err);
	if (!rc && berm_record_write(record, err))
		berm_log(BERM_LOG_WARNING, "record-not-written", "device=%s error=\"%s\"",
			 record->host_ifname, err->msg);
	return rc;
}

/* ---- at a start --------------------------------------------------------------------------------------------------- */

/* The agent of another version has given the pod another slot in its maps, and we have come back to ours. */
static int renumber(struct berm_agent *agent, struct berm_record *record, uint32_t slot,
		    struct berm_err *err)
{
	auto_close int lock = -1;
	int rc = berm_lock_take(LOCK_MS, &lock, err);

	if (rc || is_gone(record) || agent->maps.endpoints[slot].ifindex != record->ifindex)
		return rc;
	record->slot = slot;
	return berm_record_write(record, err);
}

static void restore(struct berm_agent *agent, const struct berm_record *old)
{
	struct berm_record record = *old;
	struct berm_err err = { 0 };
	uint32_t slot;
	int rc;

	if (!record.ifindex || !berm_record_owns(&record, record.ifindex))
		return;
	if (berm_slot_of(&agent->maps, record.ifindex, &slot))
		rc = berm_agent_enter(agent, &record, true, &err);
	else
		rc = slot == record.slot ? -EEXIST : renumber(agent, &record, slot, &err);
	if (rc == -EEXIST || rc == -ENODEV || rc == -ENOENT)
		return;
	if (rc) {
		berm_log(BERM_LOG_ERROR, "endpoint-not-restored", "device=%s error=\"%s\"",
			 record.host_ifname, err.msg);
		return;
	}
	if (berm_endpoints_put(agent->endpoints, &record))
		berm_log(BERM_LOG_ERROR, "out-of-memory", NULL);
	berm_log(BERM_LOG_INFO, "endpoint-restored", "pod=%s/%s device=%s ifindex=%u slot=%u",
		 record.ns, record.pod, record.host_ifname, record.ifindex, record.slot);
}

static void tidy(void)
{
	struct berm_err err = { 0 };
	auto_close int lock = -1;
	int rc = berm_flock_take(BERM_LOAD_LOCK, LOAD_LOCK_MS, &lock, &err);

	if (!rc)
		rc = berm_version_tidy(&err);
	if (rc)
		berm_log(BERM_LOG_WARNING, "leftovers-not-removed", "error=\"%s\"", err.msg);
}

bool berm_upgrade_begin(struct berm_agent *agent)
{
	const struct berm_record *record, *next;
	uint32_t abi = 0;
	bool has_other;

	tidy();
	has_other = !berm_version_other(&abi);
	if (has_other)
		berm_log(BERM_LOG_INFO, "upgrade-begun",
			 "from-abi=%u to-abi=%u effect=\"new pods wait until it is done\"", abi,
			 BERM_ABI_VERSION);
	for (record = berm_endpoints_next(agent->endpoints, NULL); record; record = next) {
		next = berm_endpoints_next(agent->endpoints, record);
		restore(agent, record);
	}
	return has_other;
}

int berm_upgrade_finish(void)
{
	struct berm_err err = { 0 };
	auto_close int lock = -1;
	uint32_t abi;
	int rc;

	if (berm_version_other(&abi))
		return 0;
	rc = berm_flock_take(BERM_LOAD_LOCK, LOAD_LOCK_MS, &lock, &err);
	if (!rc)
		rc = berm_version_retire(abi, &err);
	if (rc)
		berm_log(BERM_LOG_WARNING, "upgrade-not-finished", "from-abi=%u error=\"%s\"", abi,
			 err.msg);
	else
		berm_log(BERM_LOG_INFO, "upgrade-finished", "from-abi=%u to-abi=%u", abi,
			 BERM_ABI_VERSION);
	return rc;
}
