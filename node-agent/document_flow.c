/* SPDX-License-Identifier: Apache-2.0 */
/* document_flow.c - reads `flows`: exact connections. Whose addresses they name is for the compiler to see. */
#include "document_flow.h"

#include <stdlib.h>
#include <string.h>

#include "cidr.h"
#include "cleanup.h"
#include "document_rule.h"
#include "maps.h"

static void read_name(const struct berm_field *field, void *into)
{
	struct berm_policy_flow *flow = into;
	const char *text = berm_field_text(field);

	if (text && !berm_is_rule_name(text))
		berm_field_error(field, "at most 63 letters, digits, '-', '_' and '.'",
				 "'%.80s' is not a flow's name", text);
	else if (text)
		flow->name = berm_reader_copy(field->reader, text);
}

static void read_action(const struct berm_field *field, void *into)
{
	static const struct berm_word words[] = {
		{ "Allow", BERM_RULE_ALLOW, false },
		{ "Deny", BERM_RULE_DENY, false },
		{ "Reject", BERM_RULE_REJECT, false },
	};
	int action;

	if (berm_field_word(field, words, ARRAY_SIZE(words), &action))
		((struct berm_policy_flow *)into)->action = (uint8_t)action;
}

static void read_direction(const struct berm_field *field, void *into)
{
	static const struct berm_word words[] = {
		{ "Ingress", BERM_INGRESS, false },
		{ "Egress", BERM_EGRESS, false },
	};
	int dir;

	if (berm_field_word(field, words, ARRAY_SIZE(words), &dir))
		((struct berm_policy_flow *)into)->dir = (uint8_t)dir;
}

static void read_protocol(const struct berm_field *field, void *into)
{
	static const struct berm_word words[] = {
		{ "TCP", BERM_PLANE_TCP, false },
		{ "UDP", BERM_PLANE_UDP, false },
		{ "SCTP", BERM_PLANE_SCTP, false },
	};
	int plane;

	if (berm_field_word(field, words, ARRAY_SIZE(words), &plane))
		((struct berm_policy_flow *)into)->plane = (uint8_t)plane;
}

void berm_read_address(const struct berm_field *field, struct berm_addr *out)
{
	const char *text = berm_field_text(field);
	struct berm_err err = { 0 };
	struct berm_cidr cidr;

	if (!text)
		return;
	if (strchr(text, '/')) {
		berm_field_error(field, "a rule with ipBlock takes a block of addresses",
				 "'%.60s' is not one address", text);
		return;
	}
	if (berm_cidr_parse(text, &cidr, &err))
		berm_field_problem(field, BERM_CODE_BAD_ADDRESS, NULL, "%s", err.msg);
	else
		*out = cidr.addr;
}

static void read_src(const struct berm_field *field, void *into)
{
	berm_read_address(field, &((struct berm_policy_flow *)into)->src);
}

static void read_dst(const struct berm_field *field, void *into)
{
	berm_read_address(field, &((struct berm_policy_flow *)into)->dst);
}

static void read_port(const struct berm_field *field, uint16_t *out)
{
	int port;

	if (berm_field_int(field, 1, 65535, &port))
		*out = (uint16_t)port;
}

static void read_src_port(const struct berm_field *field, void *into)
{
	read_port(field, &((struct berm_policy_flow *)into)->src_port);
}

static void read_dst_port(const struct berm_field *field, void *into)
{
	read_port(field, &((struct berm_policy_flow *)into)->dst_port);
}

static void read_flow(const struct berm_field *field, struct berm_policy_flow *flow)
{
	static const struct berm_member table[] = {
		{ "name", BERM_MEMBER_OPTIONAL, read_name, NULL },
		{ "action", BERM_MEMBER_REQUIRED, read_action, NULL },
		{ "direction", BERM_MEMBER_REQUIRED, read_direction, NULL },
		{ "protocol", BERM_MEMBER_REQUIRED, read_protocol, NULL },
		{ "src", BERM_MEMBER_REQUIRED, read_src, NULL },
		{ "srcPort", BERM_MEMBER_REQUIRED, read_src_port, NULL },
		{ "dst", BERM_MEMBER_REQUIRED, read_dst, NULL },
		{ "dstPort", BERM_MEMBER_REQUIRED, read_dst_port, NULL },
	};
	unsigned int before = field->reader->errors;

	(void)berm_field_members(field, table, ARRAY_SIZE(table), flow); /* errors are counted */
	if (field->reader->errors != before)
		return;
	if (berm_addr_is_v4(&flow->src) != berm_addr_is_v4(&flow->dst))
		berm_field_error(field, "give both as IPv4 or both as IPv6",
				 "src and dst are of different families");
	else if (!memcmp(&flow->src, &flow->dst, sizeof(flow->src)))
		berm_field_problem(field, BERM_CODE_BAD_ADDRESS,
				   "a pod may always reach itself: remove the flow",
				   "src and dst are the same address");
}

/* ---- each connection once ------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	const struct berm_policy_flow *x = *(struct berm_policy_flow *const *)a;
	const struct berm_policy_flow *y = *(struct berm_policy_flow *const *)b;
	int rc = memcmp(&x->src, &y->src, sizeof(x->src));

	if (!rc)
		rc = memcmp(&x->dst, &y->dst, sizeof(x->dst));
	if (!rc)
		rc = (int)x->src_port - (int)y->src_port;
	if (!rc)
		rc = (int)x->dst_port - (int)y->dst_port;
	if (!rc)
		rc = (int)x->plane - (int)y->plane;
	return rc ? rc : (int)x->dir - (int)y->dir;
}

static int compare_index(const void *a, const void *b)
{
	const struct berm_policy_flow *x = *(struct berm_policy_flow *const *)a;
	const struct berm_policy_flow *y = *(struct berm_policy_flow *const *)b;
	int rc = compare(a, b);

	return rc ? rc : (x->index > y->index) - (x->index < y->index);
}

/* A second one would never decide. Not an error per item: cJSON finds an item by walking there. */
static void check_doubles(const struct berm_field *list, const struct berm_policy *policy)
{
	auto_free const struct berm_policy_flow **sorted =
		berm_reader_alloc(list->reader, policy->flow_count, sizeof(*sorted));

	for (size_t i = 0; sorted && i < policy->flow_count; i++)
		sorted[i] = &policy->flow[i];
	if (sorted)
		qsort(sorted, policy->flow_count, sizeof(*sorted), compare_index);
	for (size_t i = 1; sorted && i < policy->flow_count; i++) {
		struct berm_field item = { list->reader, list, NULL, (int)sorted[i]->index };

		if (compare(&sorted[i - 1], &sorted[i]) != 0)
			continue;
		item.node = cJSON_GetArrayItem(list->node, item.index);
		berm_field_problem(&item, BERM_CODE_DUPLICATE, "write one of them",
				   "flow %u is about the same connection in the same direction",
				   sorted[i - 1]->index);
		return;
	}
}

void berm_read_flows(const struct berm_field *list, struct berm_policy *policy)
{
	unsigned int before = list->reader->errors;
	struct berm_field item;

	if (!berm_field_is_list(list, BERM_MAX_FLOWS_OF_DOCUMENT))
		return;
	policy->flow = berm_reader_alloc(list->reader, (size_t)cJSON_GetArraySize(list->node),
					 sizeof(*policy->flow));
	if (!policy->flow)
		return;
	berm_field_each(item, list)
	{
		policy->flow[policy->flow_count].index = (uint32_t)item.index;
		read_flow(&item, &policy->flow[policy->flow_count++]);
	}
	if (list->reader->errors == before)
		check_doubles(list, policy);
}
