/* SPDX-License-Identifier: Apache-2.0 */
/* endpoints.c - joins slots and records into the model's endpoints. Attaches and judges nothing. */
#include "endpoints.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* uthash exits the process when memory is short unless it is told otherwise. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "cleanup.h"

struct entry {
	UT_hash_handle hh;
	struct berm_record rec;
	char key[sizeof(((struct berm_record *)0)->container_id) +
		 sizeof(((struct berm_record *)0)->ifname) + 1];
};

struct slot {
	struct entry *entry; /* of the last sync */
	uint32_t ifindex;    /* of the last sync; 0 = free */
	uint32_t born; /* of the last sync: a slot that was taken again must be judged again */
	char *problem;
};

struct berm_endpoints {
	struct berm_maps *maps;
	struct berm_model *model;
	char *node;
	struct entry *entries;
	struct slot slot[BERM_MAX_ENDPOINTS];
};

int berm_endpoints_new(struct berm_maps *maps, struct berm_model *model, const char *node,
		       struct berm_endpoints **ret, struct berm_err *err)
{
	struct berm_endpoints *eps = calloc(1, sizeof(*eps));

	if (eps)
		eps->node = strdup(node);
	if (!eps || !eps->node) {
		free(eps);
		return berm_fail(err, -ENOMEM, "make the table of endpoints");
	}
	eps->maps = maps;
	eps->model = model;
	*ret = eps;
	return 0;
}

void berm_endpoints_free(struct berm_endpoints *eps)
{
	size_t i;

	if (!eps)
		return;
	berm_endpoints_drop_all(eps);
	for (i = 0; i < ARRAY_SIZE(eps->slot); i++)
		free(eps->slot[i].problem);
	free(eps->node);
	free(eps);
}

/* ---- records ----------------------------------------------------------------------------------------- */

static void make_key(const char *container_id, const char *ifname, char *out, size_t size)
{
	snprintf(out, size, "%s@%s", container_id, ifname); /* "@" is in no container ID */
}

static struct entry *entry_find(const struct berm_endpoints *eps, const char *container_id,
				const char *ifname)
{
	char key[sizeof(((struct entry *)0)->key)];
	struct entry *entry;

	make_key(container_id, ifname, key, sizeof(key));
	HASH_FIND_STR(eps->entries, key, entry);
	return entry;
}

int berm_endpoints_put(struct berm_endpoints *eps, const struct berm_record *rec)
{
	struct entry *entry = entry_find(eps, rec->container_id, rec->ifname);

	if (!entry) {
		entry = calloc(1, sizeof(*entry));
		if (!entry)
			return -ENOMEM;
		make_key(rec->container_id, rec->ifname, entry->key, sizeof(entry->key));
		HASH_ADD_STR(eps->entries, key, entry);
		if (!entry->hh.tbl) {
			free(entry);
			return -ENOMEM;
		}
	}
	entry->rec = *rec;
	return 0;
}

static void entry_drop(struct berm_endpoints *eps, struct entry *entry)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(eps->slot); i++)
		if (eps->slot[i].entry == entry)
			eps->slot[i].entry = NULL;
	HASH_DEL(eps->entries, entry);
	free(entry);
}

void berm_endpoints_drop(struct berm_endpoints *eps, const char *container_id, const char *ifname)
{
	struct entry *entry = entry_find(eps, container_id, ifname);

	if (entry)
		entry_drop(eps, entry);
}

void berm_endpoints_drop_all(struct berm_endpoints *eps)
{
	struct entry *entry, *tmp;

	HASH_ITER(hh, eps->entries, entry, tmp)
		entry_drop(eps, entry);
}

const struct berm_record *berm_endpoints_record(const struct berm_endpoints *eps,
						const char *container_id, const char *ifname)
{
	const struct entry *entry = entry_find(eps, container_id, ifname);

	return entry ? &entry->rec : NULL;
}

const struct berm_record *berm_endpoints_next(const struct berm_endpoints *eps,
					      const struct berm_record *prev)
{
	const struct entry *entry = eps->entries;

	if (prev) {
		entry = (const struct entry *)((const char *)prev - offsetof(struct entry, rec));
		entry = entry->hh.next;
	}
	return entry ? &entry->rec : NULL;
}

size_t berm_endpoints_record_count(const struct berm_endpoints *eps)
{
	return HASH_COUNT(eps->entries);
}

/* ---- joining --------------------------------------------------------------------------------------------- */

/* A record without an interface is an intent: its ADD has not attached yet. */
static void join_records(struct berm_endpoints *eps)
{
	struct entry *entry, *tmp;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(eps->slot); i++)
		eps->slot[i].entry = NULL;
	HASH_ITER(hh, eps->entries, entry, tmp) {
		i = entry->rec.slot;
		if (!i || i >= ARRAY_SIZE(eps->slot) || !entry->rec.ifindex ||
		    entry->rec.ifindex != eps->maps->endpoints[i].ifindex)
			continue;
		/* Two claim it: an interface index was used again, and the old one's DEL was lost. */
		if (!eps->slot[i].entry || berm_record_owns(&entry->rec, entry->rec.ifindex))
			eps->slot[i].entry = entry;
	}
}

static bool has_addr(const struct berm_addr *list, size_t count, const struct berm_addr *addr)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (!memcmp(&list[i], addr, sizeof(*addr)))
			return true;
	return false;
}

const struct berm_pod *berm_endpoints_pod_at(const struct berm_endpoints *eps,
					     const struct berm_addr *addr)
{
	const struct berm_pod *pod;
	size_t i;

	for (i = 0; i < eps->model->pod_count; i++) {
		pod = eps->model->pods[i];
		if (pod->finished || pod->host_network ||
		    (pod->node && strcmp(pod->node, eps->node) != 0))
			continue;
		if (has_addr(pod->addr, pod->addr_count, addr))
			return pod;
	}
	return NULL;
}

static void name_it(struct berm_local_endpoint *ep, const char *ns, const char *pod,
		    const char *uid)
{
	snprintf(ep->ns, sizeof(ep->ns), "%s", ns);
	snprintf(ep->pod, sizeof(ep->pod), "%s", pod);
	snprintf(ep->uid, sizeof(ep->uid), "%s", uid);
}

static void name_by_address(const struct berm_endpoints *eps, struct berm_local_endpoint *ep)
{
	const struct berm_pod *pod = NULL;
	size_t i;

	for (i = 0; i < ep->addr_count && !pod; i++)
		pod = berm_endpoints_pod_at(eps, &ep->addr[i]);
	if (pod)
		name_it(ep, pod->ns, pod->name, pod->uid ? pod->uid : "");
}

static const struct berm_local_endpoint *model_endpoint(const struct berm_model *model,
							uint32_t slot)
{
	size_t low = 0, high = model->endpoint_count, mid;

	while (low < high) {
		mid = (low + high) / 2;
		if (model->endpoints[mid].slot == slot)
			return &model->endpoints[mid];
		if (model->endpoints[mid].slot < slot)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* What the model should say of a slot that is taken. */
static void describe(const struct berm_endpoints *eps, uint32_t slot, bool settled,
		     struct berm_local_endpoint *ep)
{
	const struct berm_endpoint *kernel = &eps->maps->endpoints[slot];
	const struct berm_local_endpoint *old = model_endpoint(eps->model, slot);
	const struct entry *entry = eps->slot[slot].entry;

	memset(ep, 0, sizeof(*ep));
	ep->slot = slot;
	ep->ifindex = kernel->ifindex;
	ep->addr_count = kernel->addr_count <= BERM_MAX_ADDRS ? kernel->addr_count : BERM_MAX_ADDRS;
	memcpy(ep->addr, kernel->addr, ep->addr_count * sizeof(*ep->addr));
	if (entry && *entry->rec.pod)
		name_it(ep, entry->rec.ns, entry->rec.pod, entry->rec.uid);
	else if (entry || settled)
		name_by_address(eps, ep);
	else if (old && old->ifindex == ep->ifindex)
		name_it(ep, old->ns, old->pod, old->uid);
}

static int forget_slot(struct berm_endpoints *eps, uint32_t slot)
{
	free(eps->slot[slot].problem);
	eps->slot[slot].problem = NULL;
	eps->slot[slot].ifindex = 0;
	return berm_model_remove_endpoint(eps->model, slot) ? 0 : 1;
}

static bool is_same(const struct berm_local_endpoint *a, const struct berm_local_endpoint *b)
{
	return a->slot == b->slot && a->ifindex == b->ifindex && a->addr_count == b->addr_count &&
	       !strcmp(a->ns, b->ns) && !strcmp(a->pod, b->pod) && !strcmp(a->uid, b->uid) &&
	       !memcmp(a->addr, b->addr, a->addr_count * sizeof(a->addr[0]));
}

/* Returns 1 if the model changed. */
static int sync_slot(struct berm_endpoints *eps, uint32_t slot, bool settled)
{
	const struct berm_local_endpoint *old;
	struct berm_local_endpoint ep;
	bool is_new;
	int rc;

	if (!eps->maps->endpoints[slot].ifindex)
		return eps->slot[slot].ifindex ? forget_slot(eps, slot) : 0;
	describe(eps, slot, settled, &ep);
	old = model_endpoint(eps->model, slot);
	is_new = eps->slot[slot].born != eps->maps->endpoints[slot].born;
	eps->slot[slot].ifindex = ep.ifindex;
	eps->slot[slot].born = eps->maps->endpoints[slot].born;
	if (old && !is_new && is_same(old, &ep))
		return 0;
	rc = berm_model_put_endpoint(eps->model, &ep);
	return rc ? rc : 1;
}

int berm_endpoints_sync(struct berm_endpoints *eps, bool settled, struct berm_err *err)
{
	uint32_t slot;
	int rc, changes = 0;

	join_records(eps);
	for (slot = 1; slot < BERM_MAX_ENDPOINTS; slot++) {
		rc = sync_slot(eps, slot, settled);
		if (rc < 0)
			return berm_fail(err, rc, "put endpoint %u into the model", slot);
		changes += rc;
	}
	return changes;
}

bool berm_endpoints_view(const struct berm_endpoints *eps, uint32_t slot,
			 struct berm_endpoint_view *out)
{
	const struct berm_endpoint *kernel = &eps->maps->endpoints[slot];
	const struct berm_record *record;

	if (!slot || slot >= BERM_MAX_ENDPOINTS || !kernel->ifindex)
		return false;
	record = eps->slot[slot].entry ? &eps->slot[slot].entry->rec : NULL;
	*out = (struct berm_endpoint_view){
		.slot = slot,
		.ifindex = kernel->ifindex,
		.record = record,
		.local = model_endpoint(eps->model, slot),
		.fallback = kernel->flags & BERM_EP_FALLBACK,
		.problem = eps->slot[slot].problem,
	};
	if (!out->problem && record && *record->problem)
		out->problem = record->problem;
	return true;
}

bool berm_endpoints_problem(struct berm_endpoints *eps, uint32_t slot, const char *text)
{
	char **problem = &eps->slot[slot].problem;

	if (!strcmp(*problem ? *problem : "", text))
		return false;
	free(*problem);
	*problem = *text ? strdup(text) : NULL;
	return true;
}
