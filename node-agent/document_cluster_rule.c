/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document_cluster_rule.c - reads the rules of a ClusterNetworkPolicy. Knows neither its subject nor what its tier means.
 *
 * A peer or protocol of an API server that has no field known here is of a later version: the rule is marked unsupported,
 * and the compiler lets it fail closed. In files the same is a mistake of the writer.
 */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "document_cluster_network.h"
#include "document_peer.h"
#include "document_port.h"
#include "document_rule.h"
#include "document_selector.h"
#include "utf8.h"

/* Of the CRD. */
#define MAX_RULES     25
#define MAX_PEERS     25
#define MAX_NETWORKS  25
#define MAX_PROTOCOLS 25
#define MAX_NAME      100

struct rule { /* being read */
	const struct berm_cluster_document *document;
	struct berm_policy_rule *rule;
	bool has_networks, has_port_names;
};

/* ---- fields of later versions ---------------------------------------------------------------------- */

static bool has_member_of(const struct berm_field *field, const struct berm_member *table,
			  size_t count)
{
	struct berm_field member;

	for (size_t i = 0; i < count; i++)
		if (table[i].read && berm_field_get(field, table[i].name, &member))
			return true;
	return false;
}

static void mark_unsupported(const struct berm_field *field, struct rule *r)
{
	berm_field_problem(field, BERM_CODE_FAILS_CLOSED,
			   "the rule fails closed: an Accept matches nothing, a Deny or Pass denies all",
			   "nothing in it is supported by this version");
	r->rule->unsupported = true;
}

/* One mapping whose members are alternatives. True: `into` has what the table's readers made of one of them. */
static bool read_one_of(const struct berm_field *field, const struct berm_member *table,
			size_t count, struct rule *r)
{
	unsigned int before = field->reader->errors;
	int known = 0;

	if (!berm_field_is_map(field))
		return false;
	if (r->document->is_checked && !has_member_of(field, table, count)) {
		mark_unsupported(field, r);
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		struct berm_field member;

		known += berm_field_get(field, table[i].name, &member);
	}
	(void)berm_field_members(field, table, count, r); /* errors are counted */
	if (field->reader->errors == before && known != 1)
		berm_field_error(field, known ? "make several items of it: items are OR" : NULL,
				 known ? "exactly one field must be given"
				       : "an empty item says nothing");
	return field->reader->errors == before;
}

/* ---- peers ----------------------------------------------------------------------------------------- */

static struct berm_peer_term *next_peer(struct rule *r)
{
	return &r->rule->peer[r->rule->peer_count++];
}

static void read_namespaces(const struct berm_field *field, void *into)
{
	struct berm_peer_term *term = next_peer(into);

	term->has_ns_selector = true;
	(void)berm_read_selector(field, &term->ns_selector); /* errors are counted */
}

static void read_pods(const struct berm_field *field, void *into)
{
	struct berm_peer_term *term = next_peer(into);
	struct berm_pods_selector pods = { &term->ns_selector, &term->pod_selector, false };

	term->has_ns_selector = true;
	berm_read_namespaced_pods(field, &pods);
	term->has_pod_selector = pods.has_pods;
}

static void read_networks(const struct berm_field *field, void *into)
{
	struct rule *r = into;
	struct berm_field item;

	r->has_networks = true;
	if (!berm_field_is_list(field, MAX_NETWORKS))
		return;
	if (!field->node->child)
		berm_field_error(field, "0.0.0.0/0 and ::/0 are everything",
				 "an empty list of networks");
	berm_field_each(item, field)
	{
		struct berm_peer_term *term = next_peer(r);

		term->is_block = true;
		(void)berm_read_cidr(&item, BERM_KIND_CLUSTER,
				     &term->block); /* errors are counted */
	}
}

static const struct berm_member ingress_peer[] = {
	{ "namespaces", BERM_MEMBER_OPTIONAL, read_namespaces, NULL },
	{ "pods", BERM_MEMBER_OPTIONAL, read_pods, NULL },
	{ "networks", BERM_MEMBER_UNSUPPORTED, NULL, "only egress rules have them in this API" },
};

static const struct berm_member egress_peer[] = {
	{ "namespaces", BERM_MEMBER_OPTIONAL, read_namespaces, NULL },
	{ "pods", BERM_MEMBER_OPTIONAL, read_pods, NULL },
	{ "networks", BERM_MEMBER_OPTIONAL, read_networks, NULL },
	{ "nodes", BERM_MEMBER_UNSUPPORTED, NULL, "use networks" },
	{ "domainNames", BERM_MEMBER_UNSUPPORTED, NULL, "use networks" },
};

/* Each CIDR of an item is a peer of its own. */
static size_t count_peers(const struct berm_field *list)
{
	struct berm_field item, networks;
	size_t count = 0;

	berm_field_each(item, list)
	{
		bool has = cJSON_IsObject(item.node) &&
			   berm_field_get(&item, "networks", &networks);

		count += 3; /* however many alternatives a wrong item has */
		count += has && cJSON_IsArray(networks.node)
				 ? (size_t)cJSON_GetArraySize(networks.node)
				 : 0;
	}
	return count;
}

static void read_peers(const struct berm_field *field, void *into)
{
	struct rule *r = into;
	bool is_egress = r->rule->dir == BERM_EGRESS;
	struct berm_field item;

	if (!berm_field_is_list(field, MAX_PEERS))
		return;
	if (!field->node->child) {
		berm_field_error(field, "[{namespaces: {}}] means all pods",
				 "an empty list of peers");
		return;
	}
	r->rule->peer =
		berm_reader_alloc(field->reader, count_peers(field), sizeof(*r->rule->peer));
	if (!r->rule->peer)
		return;
	berm_field_each(item, field)(void)
		read_one_of(&item, is_egress ? egress_peer : ingress_peer,
			    is_egress ? ARRAY_SIZE(egress_peer) : ARRAY_SIZE(ingress_peer), r);
}

/* ---- protocols ------------------------------------------------------------------------------------- */

struct port { /* being read */
	int first, last;
	bool has_number, has_range;
};

static void read_number(const struct berm_field *field, void *into)
{
	struct port *p = into;

	p->has_number = berm_field_int(field, 1, 65535, &p->first);
	p->last = p->first;
}

static void read_start(const struct berm_field *field, void *into)
{
	(void)berm_field_int(field, 1, 65535,
			     &((struct port *)into)->first); /* errors are counted */
}

static void read_end(const struct berm_field *field, void *into)
{
	(void)berm_field_int(field, 1, 65535, &((struct port *)into)->last); /* likewise */
}

static void read_range(const struct berm_field *field, void *into)
{
	static const struct berm_member table[] = {
		{ "start", BERM_MEMBER_REQUIRED, read_start, NULL },
		{ "end", BERM_MEMBER_REQUIRED, read_end, NULL },
	};
	unsigned int before = field->reader->errors;
	struct port *p = into;

	p->has_range = true;
	if (berm_field_members(field, table, ARRAY_SIZE(table), p) &&
	    field->reader->errors == before && p->first >= p->last)
		berm_field_problem(field, BERM_CODE_BAD_RANGE, "number: is for a single port",
				   "start %d is not below end %d", p->first, p->last);
}

static const struct berm_member port_table[] = {
	{ "number", BERM_MEMBER_OPTIONAL, read_number, NULL },
	{ "range", BERM_MEMBER_OPTIONAL, read_range, NULL },
};

static void add_port(struct rule *r, const struct berm_port_term *term)
{
	r->rule->port[r->rule->port_count++] = *term;
}

static void read_port(const struct berm_field *field, struct rule *r, uint8_t plane)
{
	unsigned int before = field->reader->errors;
	struct port p = { 0 };

	if (r->document->is_checked && cJSON_IsObject(field->node) &&
	    !has_member_of(field, port_table, ARRAY_SIZE(port_table))) {
		mark_unsupported(field, r);
		return;
	}
	if (!berm_field_members(field, port_table, ARRAY_SIZE(port_table), &p) ||
	    field->reader->errors != before)
		return;
	if (p.has_number == p.has_range)
		berm_field_error(field, "{number: 80}, or {range: {start: 80, end: 90}}",
				 "a port is either a number or a range");
	else
		add_port(r, &(struct berm_port_term){ .plane = plane,
						      .first = (uint16_t)p.first,
						      .last = (uint16_t)p.last });
}

struct transport { /* being read */
	struct rule *rule;
	uint8_t plane;
};

static void read_destination(const struct berm_field *field, void *into)
{
	const struct transport *t = into;

	read_port(field, t->rule, t->plane);
}

static void read_transport(const struct berm_field *field, struct rule *r, uint8_t plane)
{
	static const struct berm_member table[] = {
		{ "destinationPort", BERM_MEMBER_OPTIONAL, read_destination, NULL },
	};
	unsigned int before = field->reader->errors;
	struct transport t = { r, plane };

	if (r->document->is_checked && cJSON_IsObject(field->node) &&
	    !has_member_of(field, table, ARRAY_SIZE(table)))
		mark_unsupported(field, r);
	else if (berm_field_members(field, table, ARRAY_SIZE(table), &t) &&
		 field->reader->errors == before && !has_member_of(field, table, ARRAY_SIZE(table)))
		berm_field_error(field,
				 "{destinationPort: {range: {start: 1, end: 65535}}} is every port",
				 "the field 'destinationPort' is missing");
}

static void read_tcp(const struct berm_field *field, void *into)
{
	read_transport(field, into, BERM_PLANE_TCP);
}

static void read_udp(const struct berm_field *field, void *into)
{
	read_transport(field, into, BERM_PLANE_UDP);
}

static void read_sctp(const struct berm_field *field, void *into)
{
	read_transport(field, into, BERM_PLANE_SCTP);
}

/* Whatever protocol the container says: the name does not. */
static void read_port_name(const struct berm_field *field, void *into)
{
	static const uint8_t planes[] = { BERM_PLANE_TCP, BERM_PLANE_UDP, BERM_PLANE_SCTP };
	struct rule *r = into;
	const char *name = berm_field_text(field);

	if (!name)
		return;
	if (!berm_is_port_name(name)) {
		berm_field_error(field, "at most 15 of a-z, 0-9 and '-', with a letter",
				 "'%.60s' is not a port name", name);
		return;
	}
	r->has_port_names = true;
	for (size_t i = 0; i < ARRAY_SIZE(planes); i++)
		add_port(r,
			 &(struct berm_port_term){ .plane = planes[i],
						   .name = berm_reader_copy(field->reader, name) });
}

static void read_protocols(const struct berm_field *field, void *into)
{
	static const struct berm_member table[] = {
		{ "tcp", BERM_MEMBER_OPTIONAL, read_tcp, NULL },
		{ "udp", BERM_MEMBER_OPTIONAL, read_udp, NULL },
		{ "sctp", BERM_MEMBER_OPTIONAL, read_sctp, NULL },
		{ "destinationNamedPort", BERM_MEMBER_OPTIONAL, read_port_name, NULL },
	};
	struct rule *r = into;
	struct berm_field item;
	size_t most;

	if (!berm_field_is_list(field, MAX_PROTOCOLS))
		return;
	if (!field->node->child) {
		berm_field_error(field, "leave it out to mean all protocols",
				 "an empty list of protocols");
		return;
	}
	most = 6 * (size_t)cJSON_GetArraySize(field->node); /* a wrong item may have all four */
	r->rule->port = berm_reader_alloc(field->reader, most, sizeof(*r->rule->port));
	if (!r->rule->port)
		return;
	berm_field_each(item, field)(void) read_one_of(&item, table, ARRAY_SIZE(table), r);
}

/* ---- rules ------------------------------------------------------------------------------------------- */

static size_t characters_of(const char *text)
{
	size_t count = 0, left = strlen(text), length;

	for (; left; left -= length, text += length, count++) {
		length = berm_utf8_length(text, left);
		length = length ? length : 1;
	}
	return count;
}

/* Any text may be a name there. It is shown in every flow: what is no rule's name here is written in its letters. */
static void read_name(const struct berm_field *field, void *into)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	const char *text = berm_field_text(field);
	struct rule *r = into;
	size_t size = text ? strlen(text) : 0;

	if (text && characters_of(text) > MAX_NAME) {
		berm_field_error(field, NULL, "a name has at most %d characters", MAX_NAME);
		return;
	}
	free(r->rule->name);
	r->rule->name = size ? berm_reader_copy(field->reader, text) : NULL;
	for (char *c = r->rule->name; c && *c; c++)
		if (!strchr(plain, *c))
			*c = '-';
	if (r->rule->name && size > MAX_NAME)
		r->rule->name[MAX_NAME] = '\0';
}

static void read_action(const struct berm_field *field, void *into)
{
	static const struct berm_word words[] = {
		{ "Accept", BERM_RULE_ALLOW, false },
		{ "Deny", BERM_RULE_DENY, false },
		{ "Pass", BERM_RULE_PASS, false },
	};
	int action;

	if (berm_field_word(field, words, ARRAY_SIZE(words), &action))
		((struct rule *)into)->rule->action = (uint8_t)action;
}

static void refuse_from(const struct berm_field *field, void *into)
{
	(void)into;
	berm_field_name_error(field, "write 'to'", "an egress rule says where to, not where from");
}

static void refuse_to(const struct berm_field *field, void *into)
{
	(void)into;
	berm_field_name_error(field, "write 'from'",
			      "an ingress rule says where from, not where to");
}

static const struct berm_member ingress_rule[] = {
	{ "name", BERM_MEMBER_OPTIONAL, read_name, NULL },
	{ "action", BERM_MEMBER_REQUIRED, read_action, "Accept, Deny or Pass" },
	{ "from", BERM_MEMBER_REQUIRED, read_peers, "[{namespaces: {}}] means all pods" },
	{ "to", BERM_MEMBER_OPTIONAL, refuse_to, NULL },
	{ "protocols", BERM_MEMBER_OPTIONAL, read_protocols, NULL },
};

static const struct berm_member egress_rule[] = {
	{ "name", BERM_MEMBER_OPTIONAL, read_name, NULL },
	{ "action", BERM_MEMBER_REQUIRED, read_action, "Accept, Deny or Pass" },
	{ "to", BERM_MEMBER_REQUIRED, read_peers,
	  "[{namespaces: {}}] means all pods, [{networks: [0.0.0.0/0]}] every IPv4 address" },
	{ "from", BERM_MEMBER_OPTIONAL, refuse_from, NULL },
	{ "protocols", BERM_MEMBER_OPTIONAL, read_protocols, NULL },
};

static void read_rule(const struct berm_field *field, struct rule *r)
{
	bool is_egress = r->rule->dir == BERM_EGRESS;

	(void)berm_field_members(field, is_egress ? egress_rule : ingress_rule,
				 ARRAY_SIZE(ingress_rule), r); /* errors are counted */
	if (is_egress && r->has_networks && r->has_port_names)
		berm_field_error(field, "make two rules of it",
				 "networks have no named ports: only pods do");
}

/* Two rules of one name would be one in every flow: the later is shown by its number. */
static void drop_second_names(const struct berm_field *list, struct berm_policy_rule *rule,
			      size_t count)
{
	for (size_t i = 1; i < count; i++)
		for (size_t k = 0; k < i && rule[i].name; k++) {
			if (!rule[k].name || strcmp(rule[k].name, rule[i].name))
				continue;
			berm_field_warn(list, "every flow shows the name: make it unique",
					"rules %zu and %zu are both named '%s'; flows show the second as #%zu",
					k, i, rule[i].name, i);
			free(TAKE_PTR(rule[i].name));
		}
}

void berm_read_cluster_rules(const struct berm_field *list, enum berm_dir dir,
			     const struct berm_cluster_document *document)
{
	struct berm_policy_rule *added = berm_append_rules(list, dir, MAX_RULES, document->policy);
	struct berm_field item;

	if (!added)
		return;
	berm_field_each(item, list)
	{
		struct rule r = { .document = document, .rule = &added[item.index] };

		read_rule(&item, &r);
	}
	drop_second_names(list, added, (size_t)cJSON_GetArraySize(list->node));
}
