/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slot.c - endpoint slots: taken at ADD, freed at DEL. Declared in maps.h.
 *
 * A packet finds its slot through berm_ifaces, so that entry is written last and deleted first; whoever
 * takes or frees holds BERM_LOCK. Sets no policy.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "maps.h"

#define NO_SLOT 0

int berm_slot_of(const struct berm_maps *maps, uint32_t ifindex, uint32_t *ret_slot)
{
	uint32_t slot = NO_SLOT;
	int rc = bpf_map_lookup_elem(maps->fd[BERM_MAP_ifaces], &ifindex, &slot);

	if (rc)
		return rc;
	if (slot == NO_SLOT || slot >= BERM_MAX_ENDPOINTS)
		return -ENOENT;
	*ret_slot = slot;
	return 0;
}

void berm_epoch_bump(struct berm_maps *maps, uint32_t slot)
{
	__atomic_add_fetch(&maps->node->epoch[slot], 1, __ATOMIC_SEQ_CST);
}

static void store_sets(uint32_t *to, uint32_t set_in, uint32_t set_out)
{
	uint32_t sets[BERM_DIR_COUNT] = { [BERM_INGRESS] = set_in, [BERM_EGRESS] = set_out };
	uint64_t both;

	_Static_assert(sizeof(sets) == sizeof(both), "two sets are one word");
	memcpy(&both, sets, sizeof(both));
	__atomic_store_n((uint64_t *)(void *)to, both, __ATOMIC_RELEASE);
}

void berm_endpoint_switch(struct berm_maps *maps, uint32_t slot, uint32_t set_in, uint32_t set_out)
{
	store_sets(maps->endpoints[slot].set, set_in, set_out);
}

void berm_endpoint_audit(struct berm_maps *maps, uint32_t slot, uint32_t set_in, uint32_t set_out)
{
	store_sets(maps->endpoints[slot].would, set_in, set_out);
}

static bool is_orphan(const struct berm_maps *maps, uint32_t slot)
{
	uint32_t owner = NO_SLOT;

	return berm_slot_of(maps, maps->endpoints[slot].ifindex, &owner) || owner != slot;
}

/* The slot that already carries ifindex (its taker was killed before publishing it), else a free one. Only
 * when none is free: one that no interface points to. */
static uint32_t slot_find(const struct berm_maps *maps, uint32_t ifindex)
{
	uint32_t free_slot = NO_SLOT;

	for (uint32_t slot = 1; slot < BERM_MAX_ENDPOINTS; slot++) {
		if (maps->endpoints[slot].ifindex == ifindex)
			return slot;
		if (free_slot == NO_SLOT && !maps->endpoints[slot].ifindex)
			free_slot = slot;
	}
	for (uint32_t slot = 1; free_slot == NO_SLOT && slot < BERM_MAX_ENDPOINTS; slot++)
		if (is_orphan(maps, slot))
			free_slot = slot;
	return free_slot;
}

/* The caller holds BERM_LOCK, as the agent does while it replaces this set. */
static uint32_t set_now(const struct berm_maps *maps, uint32_t set)
{
	uint32_t essentials = __atomic_load_n(&maps->node->essentials, __ATOMIC_ACQUIRE);

	return set == BERM_SET_ESSENTIALS && essentials ? essentials : set;
}

static void slot_write(struct berm_maps *maps, uint32_t slot, const struct berm_endpoint *ep)
{
	struct berm_endpoint *to = &maps->endpoints[slot];
	struct berm_endpoint value = *ep;

	berm_epoch_bump(maps, slot);
	value.born = maps->node->epoch[slot];
	berm_epoch_bump(maps,
			slot); /* no session is made in the epoch `born`: bpf/session.h, session_revoke() */
	berm_endpoint_switch(maps, slot, set_now(maps, ep->set[BERM_INGRESS]),
			     set_now(maps, ep->set[BERM_EGRESS]));
	memcpy((char *)to + sizeof(to->set), (const char *)&value + sizeof(value.set),
	       sizeof(value) - sizeof(value.set));
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void slot_clear(struct berm_maps *maps, uint32_t slot)
{
	struct berm_endpoint *ep = &maps->endpoints[slot];

	/* A program that has just looked the slot up must find a wall, not a hole. */
	berm_endpoint_switch(maps, slot, BERM_SET_DENY, BERM_SET_DENY);
	berm_epoch_bump(maps, slot);
	memset((char *)ep + sizeof(ep->set), 0, sizeof(*ep) - sizeof(ep->set));
}

int berm_slot_take(struct berm_maps *maps, const struct berm_endpoint *ep, uint32_t *ret_slot,
		   struct berm_err *err)
{
	uint32_t slot = NO_SLOT;
	int rc;

	if (!ep->ifindex || ep->addr_count > BERM_MAX_ADDRS)
		return berm_refuse(err, -EINVAL, "endpoint of ifindex %u with %u addresses",
				   ep->ifindex, ep->addr_count);
	if (berm_slot_of(maps, ep->ifindex, &slot))
		slot = slot_find(maps, ep->ifindex);
	if (slot == NO_SLOT)
		return berm_refuse(err, -ENOSPC, "all %d endpoint slots of this node are taken",
				   BERM_MAX_ENDPOINTS - 1);

	slot_write(maps, slot, ep);
	rc = bpf_map_update_elem(maps->fd[BERM_MAP_ifaces], &ep->ifindex, &slot, BPF_ANY);
	if (rc) {
		slot_clear(maps, slot);
		return berm_fail(err, rc, "write ifindex %u to berm_ifaces", ep->ifindex);
	}
	*ret_slot = slot;
	return 0;
}

/* Of a taker that was killed before it published the slot. */
static uint32_t slot_unpublished(const struct berm_maps *maps, uint32_t ifindex)
{
	for (uint32_t slot = 1; slot < BERM_MAX_ENDPOINTS; slot++)
		if (maps->endpoints[slot].ifindex == ifindex)
			return slot;
	return NO_SLOT;
}

int berm_slot_free(struct berm_maps *maps, uint32_t slot, uint32_t ifindex, struct berm_err *err)
{
	uint32_t owner = NO_SLOT;
	int rc;

	if (slot >= BERM_MAX_ENDPOINTS || !ifindex)
		return 0;
	if (slot == NO_SLOT && berm_slot_of(maps, ifindex, &slot))
		slot = slot_unpublished(maps, ifindex);
	if (slot == NO_SLOT)
		return 0;
	if (!berm_slot_of(maps, ifindex, &owner) && owner == slot) {
		rc = bpf_map_delete_elem(maps->fd[BERM_MAP_ifaces], &ifindex);
		if (rc && rc != -ENOENT)
			return berm_fail(err, rc, "delete ifindex %u from berm_ifaces", ifindex);
	}
	if (maps->endpoints[slot].ifindex == ifindex)
		slot_clear(maps, slot);
	return 0;
}
