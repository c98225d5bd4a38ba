// SPDX-License-Identifier: Apache-2.0
/* diff_tell.c - differences as JSON, one edge for all ports that differ for one reason (docs/rest-api.md). Finds nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "differ.h"

cJSON *diff_pods_json(const struct berm_differ *d, const struct diff_group *group)
{
	cJSON *object = cJSON_CreateObject(), *pods = cJSON_AddArrayToObject(object, "pods");

	for (size_t i = 0; i < group->count && i < DIFF_NAMED_PODS; i++) {
		const struct berm_local_endpoint *ep = &d->endpoint[group->pod[i]];
		char name[330];

		snprintf(name, sizeof(name), "%s/%s", ep->ns, ep->pod);
		cJSON_AddItemToArray(pods, cJSON_CreateString(name));
	}
	cJSON_AddNumberToObject(object, "count", (double)group->count);
	return object;
}

cJSON *diff_block_json(const struct berm_addr *addr, unsigned int bits)
{
	struct berm_cidr cidr = { *addr, (uint8_t)bits, berm_addr_is_v4(addr) };
	cJSON *object = cJSON_CreateObject();
	char text[BERM_CIDR_STRLEN];

	berm_cidr_format(&cidr, text);
	cJSON_AddStringToObject(object, "cidr", text);
	return object;
}

static cJSON *found_json(const struct diff_found *f)
{
	cJSON *object = cJSON_CreateObject();
	char text[600];

	cJSON_AddStringToObject(object, "verdict", f->is_allowed ? "Allow" : "Deny");
	cJSON_AddStringToObject(object, "direction", f->dir == BERM_INGRESS ? "ingress" : "egress");
	cJSON_AddStringToObject(object, "by", berm_trial_rule(f->rule, text, sizeof(text)));
	return object;
}

static void add_ports(cJSON *array, uint32_t first, uint32_t last)
{
	static const char *const plane[BERM_PLANE_COUNT] = { "TCP",  "UDP",    "SCTP",
							     "ICMP", "ICMPv6", "other" };
	uint32_t p = first >> 16, low = first & 0xffff, high = last & 0xffff;
	bool has_ports = p <= BERM_PLANE_SCTP;
	char text[40];

	if (low <= 1 && high == 0xffff)
		snprintf(text, sizeof(text), "%s", plane[p]);
	else if (!has_ports)
		snprintf(text, sizeof(text), "%s %u-%u", plane[p], low >> 8, high >> 8);
	else if (low == high)
		snprintf(text, sizeof(text), "%s %u", plane[p], low);
	else
		snprintf(text, sizeof(text), "%s %u-%u", plane[p], low ? low : 1,
			 high); /* nobody listens on port 0 */
	cJSON_AddItemToArray(array, cJSON_CreateString(text));
}

static const char *word_of(const struct diff_change *change)
{
	bool is_opened = change->f[DIFF_AFTER].is_allowed;

	if (change->is_would)
		return is_opened ? "would-open" : "would-close";
	return is_opened ? "opened" : "closed";
}

/* Of the families that both ends have, those that it is about; ICMP has one anyway. */
static uint32_t families_of(const struct diff_changes *changes, const struct diff_change *change)
{
	uint32_t plane = change->first >> 16;

	if (plane == BERM_PLANE_ICMP || plane == BERM_PLANE_ICMPV6)
		return changes->families;
	return change->families;
}

static bool is_one_edge(const struct diff_changes *changes, const struct diff_change *a,
			const struct diff_change *b)
{
	if (a->is_would != b->is_would || families_of(changes, a) != families_of(changes, b))
		return false;
	for (int side = 0; side < DIFF_SIDES; side++)
		if (a->f[side].rule != b->f[side].rule || a->f[side].dir != b->f[side].dir ||
		    a->f[side].is_allowed != b->f[side].is_allowed)
			return false;
	return true;
}

static bool is_first(const struct diff_changes *changes, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (is_one_edge(changes, &changes->list.item[i], &changes->list.item[at]))
			return false;
	return true;
}

static void tell_edge(struct berm_differ *d, const struct diff_changes *changes, size_t at,
		      const cJSON *from, const cJSON *to)
{
	const struct diff_change *change = &changes->list.item[at];
	uint32_t families = families_of(changes, change);
	cJSON *edge = cJSON_CreateObject(), *ports;

	cJSON_AddStringToObject(edge, "change", word_of(change));
	cJSON_AddItemToObject(edge, "from", cJSON_Duplicate(from, true));
	cJSON_AddItemToObject(edge, "to", cJSON_Duplicate(to, true));
	ports = cJSON_AddArrayToObject(edge, "ports");
	for (size_t i = at; i < changes->list.count; i++) {
		const struct diff_change *other = &changes->list.item[i];

		if (is_one_edge(changes, change, other))
			add_ports(ports, other->first, other->last);
	}
	if (families != changes->families)
		cJSON_AddStringToObject(edge, "family", families & 1u << DIFF_V4 ? "IPv4" : "IPv6");
	cJSON_AddItemToObject(edge, "before", found_json(&change->f[DIFF_BEFORE]));
	cJSON_AddItemToObject(edge, "after", found_json(&change->f[DIFF_AFTER]));
	cJSON_AddItemToArray(d->out, edge);
}

void diff_tell(struct berm_differ *d, const struct diff_changes *changes, cJSON *from, cJSON *to,
	       cJSON *flow)
{
	for (size_t i = 0; i < changes->list.count; i++) {
		if (!is_first(changes, i))
			continue;
		d->edges++;
		if (d->edges > BERM_DIFF_EDGES)
			continue;
		tell_edge(d, changes, i, from, to);
		if (flow)
			cJSON_AddItemToObject(cJSON_GetArrayItem(d->out,
								 cJSON_GetArraySize(d->out) - 1),
					      "flow", cJSON_Duplicate(flow, true));
	}
	cJSON_Delete(from);
	cJSON_Delete(to);
	cJSON_Delete(flow);
}
