/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.c - what the kernel and /run/berm tell without an agent: pinned maps, records, rule names, hooks.
 * Read-only; takes no lock, so an endpoint may come or go while we look.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "paths.h"
#include "source.h"

int ctl_node_open(struct ctl_node *node, struct berm_err *err)
{
	int rc;

	*node = (struct ctl_node){ .maps = BERM_MAPS_CLOSED };
	rc = berm_maps_open(&node->maps, true, err);
	if (rc == -EPERM || rc == -EACCES)
		return berm_refuse(err, rc, "reading the pinned maps in %s needs root",
				   BERM_PIN_MAPS);
	if (rc)
		return rc;
	if (berm_names_read(BERM_NAMES, &node->names, NULL))
		node->names = (struct berm_names){ 0 }; /* rules then show as numbers */
	if (berm_record_list(&node->record, &node->records, &node->bad_records, NULL))
		node->records = 0; /* no pod has been added yet */
	return 0;
}

void ctl_node_close(struct ctl_node *node)
{
	berm_maps_close(&node->maps);
	berm_names_clear(&node->names);
	free(node->record);
	*node = (struct ctl_node){ .maps = BERM_MAPS_CLOSED };
}

const struct berm_record *ctl_node_by_ifindex(const struct ctl_node *node, uint32_t ifindex)
{
	for (size_t i = 0; i < node->records; i++)
		if (ifindex && node->record[i].ifindex == ifindex)
			return &node->record[i];
	return NULL;
}

const struct berm_record *ctl_node_by_addr(const struct ctl_node *node,
					   const struct berm_addr *addr)
{
	for (size_t i = 0; i < node->records; i++)
		for (uint8_t a = 0; a < node->record[i].addr_count && a < BERM_MAX_ADDRS; a++)
			if (!memcmp(&node->record[i].addr[a], addr, sizeof(*addr)))
				return &node->record[i];
	return NULL;
}

/* ---- endpoints ---- */

static cJSON *addresses(const struct berm_record *rec)
{
	cJSON *list = cJSON_CreateArray();
	char text[BERM_ADDR_STRLEN];

	for (uint8_t a = 0; a < rec->addr_count && a < BERM_MAX_ADDRS; a++) {
		berm_addr_format(&rec->addr[a], text);
		cJSON_AddItemToArray(list, cJSON_CreateString(text));
	}
	return list;
}

static cJSON *isolation(const struct berm_endpoint *ep)
{
	cJSON *list = cJSON_CreateArray();

	if (ep->flags & BERM_EP_ISOLATED_IN)
		cJSON_AddItemToArray(list, cJSON_CreateString("ingress"));
	if (ep->flags & BERM_EP_ISOLATED_OUT)
		cJSON_AddItemToArray(list, cJSON_CreateString("egress"));
	return list;
}

static void add_kernel_entry(cJSON *item, const struct ctl_node *node, uint32_t slot)
{
	const struct berm_endpoint *ep = &node->maps.endpoints[slot];
	cJSON *sets = cJSON_AddObjectToObject(item, "sets");

	cJSON_AddNumberToObject(item, "slot", slot);
	cJSON_AddBoolToObject(item, "judged", !(ep->flags & BERM_EP_FALLBACK));
	cJSON_AddItemToObject(item, "isolated", isolation(ep));
	cJSON_AddNumberToObject(sets, "ingress", ep->set[BERM_INGRESS]);
	cJSON_AddNumberToObject(sets, "egress", ep->set[BERM_EGRESS]);
	cJSON_AddNumberToObject(item, "epoch", node->maps.node->epoch[slot]);
}

static cJSON *endpoint(const struct ctl_node *node, const struct berm_record *rec)
{
	cJSON *item = cJSON_CreateObject();
	uint32_t slot = 0;

	cJSON_AddStringToObject(item, "namespace", rec->ns);
	cJSON_AddStringToObject(item, "pod", rec->pod);
	cJSON_AddStringToObject(item, "uid", rec->uid);
	cJSON_AddStringToObject(item, "container_id", rec->container_id);
	cJSON_AddStringToObject(item, "ifname", rec->ifname);
	cJSON_AddStringToObject(item, "host_ifname", rec->host_ifname);
	cJSON_AddNumberToObject(item, "ifindex", rec->ifindex);
	cJSON_AddItemToObject(item, "addresses", addresses(rec));
	cJSON_AddStringToObject(item, "mode", rec->mode);
	if (berm_slot_of(&node->maps, rec->ifindex, &slot)) {
		cJSON_AddBoolToObject(item, "judged", false);
		cJSON_AddStringToObject(item, "problem",
					"its interface has no endpoint entry in the kernel");
	} else {
		add_kernel_entry(item, node, slot);
	}
	if (*rec->fallback && !ctl_true_at(item, "judged")) /* the record keeps it for ever */
		cJSON_AddStringToObject(item, "fallback", rec->fallback);
	return item;
}

cJSON *ctl_node_endpoints(const struct ctl_node *node)
{
	cJSON *doc = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(doc, "endpoints");

	for (size_t i = 0; i < node->records; i++)
		cJSON_AddItemToArray(list, endpoint(node, &node->record[i]));
	return doc;
}

/* ---- hooks ---- */

static cJSON *hook(const struct berm_hook_state *state)
{
	cJSON *item = cJSON_CreateObject();

	cJSON_AddBoolToObject(item, "attached", state->attached);
	cJSON_AddBoolToObject(item, "current", state->current);
	cJSON_AddNumberToObject(item, "before", state->before);
	if (state->before)
		cJSON_AddStringToObject(item, "foreign", state->foreign);
	return item;
}

const char *ctl_endpoint_problem(const cJSON *endpoint, char *buf, size_t size)
{
	static const char *const dirs[] = { [BERM_INGRESS] = "ingress", [BERM_EGRESS] = "egress" };

	for (int dir = 0; dir < BERM_DIR_COUNT; dir++) {
		const cJSON *state = ctl_at(ctl_at(endpoint, "hooks"), dirs[dir]);

		if (!ctl_true_at(state, "attached"))
			snprintf(buf, size, "no program of ours on its %s hook", dirs[dir]);
		else if (ctl_number_at(state, "before") > 0)
			snprintf(buf, size,
				 "'%s' runs before ours on its %s hook and may bypass it",
				 ctl_string_at(state, "foreign"), dirs[dir]);
		else
			continue;
		return buf;
	}
	if (*ctl_string_at(endpoint, "problem"))
		return ctl_string_at(endpoint, "problem");
	if (ctl_true_at(endpoint, "judged"))
		return NULL;
	if (*ctl_string_at(endpoint, "fallback"))
		snprintf(buf, size, "not judged by the agent yet, has the fallback '%s'",
			 ctl_string_at(endpoint, "fallback"));
	else
		snprintf(buf, size, "not judged by the agent yet");
	return buf;
}

static void inspect(cJSON *endpoint)
{
	struct berm_hook_state state[BERM_DIR_COUNT] = { 0 };
	struct berm_err err = { 0 };
	char buf[256];
	const char *problem;
	cJSON *hooks = cJSON_AddObjectToObject(endpoint, "hooks");

	if (berm_link_inspect((uint32_t)ctl_number_at(endpoint, "ifindex"), state, &err)) {
		problem = err.msg;
	} else {
		cJSON_AddItemToObject(hooks, "ingress", hook(&state[BERM_INGRESS]));
		cJSON_AddItemToObject(hooks, "egress", hook(&state[BERM_EGRESS]));
		problem = ctl_endpoint_problem(endpoint, buf, sizeof(buf));
	}
	cJSON_AddBoolToObject(endpoint, "enforced", !problem);
	if (problem && !*ctl_string_at(endpoint, "problem")) {
		cJSON_DeleteItemFromObjectCaseSensitive(endpoint, "problem");
		cJSON_AddStringToObject(endpoint, "problem", problem);
	}
}

void ctl_endpoints_inspect(cJSON *doc)
{
	cJSON *item;

	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(doc, "endpoints"))
		inspect(item);
}

/* ---- rules ---- */

static cJSON *rule(const struct ctl_node *node, const struct berm_rule_name *name)
{
	cJSON *item = cJSON_CreateObject();
	uint64_t hits = 0;

	cJSON_AddNumberToObject(item, "id", name->id);
	cJSON_AddNumberToObject(item, "index", name->index);
	cJSON_AddStringToObject(item, "tier", name->tier);
	cJSON_AddStringToObject(item, "kind", name->kind);
	cJSON_AddStringToObject(item, "namespace", name->ns);
	cJSON_AddStringToObject(item, "policy", name->policy);
	cJSON_AddStringToObject(item, "rule", name->rule);
	cJSON_AddStringToObject(item, "direction",
				name->dir == BERM_INGRESS ? "ingress" : "egress");
	cJSON_AddStringToObject(item, "action", berm_action_name(name->action));
	cJSON_AddStringToObject(item, "reason", berm_reason_name(name->reason));
	if (!berm_hits_read(&node->maps, name->index, &hits))
		cJSON_AddNumberToObject(item, "hits", (double)hits);
	return item;
}

cJSON *ctl_node_rules(const struct ctl_node *node)
{
	cJSON *doc = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(doc, "rules");

	for (size_t i = 0; i < node->names.count; i++)
		cJSON_AddItemToArray(list, rule(node, &node->names.item[i]));
	return doc;
}

/* ---- maps ---- */

/* One call a thousand entries where the map has batches (hash maps: 5.6; LPM tries never had). */
static long count_by_batch(int fd, const struct bpf_map_info *info)
{
	const uint32_t chunk = 1024;
	auto_free char *keys = calloc(chunk, info->key_size),
		       *values = calloc(chunk, info->value_size);
	char token[64];
	void *in = NULL;
	long used = 0;

	if (!keys || !values)
		return -ENOMEM;
	for (;;) {
		uint32_t n = chunk;
		int rc = bpf_map_lookup_batch(fd, in, token, keys, values, &n, NULL);

		if (rc && errno != ENOENT)
			return -errno;
		used += n;
		if (rc)
			return used;
		in = token;
	}
}

static long count_by_key(int fd, const struct bpf_map_info *info)
{
	auto_free char *key = calloc(1, info->key_size);
	void *from = NULL;
	long used = 0;

	if (!key)
		return -ENOMEM;
	while (!bpf_map_get_next_key(fd, from, key)) {
		from = key;
		used++;
	}
	return errno == ENOENT ? used : -errno;
}

long ctl_map_used(int fd)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);
	long used;

	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		return -errno;
	used = info.type == BPF_MAP_TYPE_HASH ? count_by_batch(fd, &info) : -EOPNOTSUPP;
	return used < 0 ? count_by_key(fd, &info) : used;
}
