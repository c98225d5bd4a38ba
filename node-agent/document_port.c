/* SPDX-License-Identifier: Apache-2.0 */
/* document_port.c - reads ports and ICMP types of a rule. Knows no peer. */
#include "document_port.h"

#include <string.h>

#include "cleanup.h"
#include "document_rule.h"

static struct berm_port_term *append(struct berm_reader *reader, struct berm_policy_rule *rule)
{
	struct berm_port_term *port = reallocarray(rule->port, rule->port_count + 1, sizeof(*port));

	if (!port) {
		reader->no_memory = true;
		return NULL;
	}
	rule->port = port;
	port += rule->port_count++;
	*port = (struct berm_port_term){ 0 };
	return port;
}

bool berm_is_port_name(const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
	size_t len = strlen(text);

	return len && len <= 15 && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == len &&
	       text[0] != '-' && text[len - 1] != '-' && !strstr(text, "--") &&
	       strpbrk(text, letters);
}

bool berm_read_protocol(const struct berm_field *field, int *plane)
{
	static const struct berm_word words[] = {
		{ "TCP", BERM_PLANE_TCP, false },
		{ "UDP", BERM_PLANE_UDP, false },
		{ "SCTP", BERM_PLANE_SCTP, false },
	};

	return berm_field_word(field, words, ARRAY_SIZE(words), plane);
}

/* ---- ports --------------------------------------------------------------------------------------- */

struct port { /* being read */
	int plane, number, last;
	const char *name;
	bool has_end;
};

static void read_protocol(const struct berm_field *field, void *into)
{
	static const char *const icmp[] = { "ICMP", "ICMPv4", "ICMPv6", "icmp", "icmpv6" };
	struct port *p = into;

	for (size_t i = 0; i < ARRAY_SIZE(icmp); i++) {
		if (cJSON_IsString(field->node) && !strcmp(field->node->valuestring, icmp[i])) {
			berm_field_error(field,
					 "a SegmentationPolicy rule has icmp: [{type: echo-request}]",
					 "ICMP has no ports");
			return;
		}
	}
	(void)berm_read_protocol(field, &p->plane); /* errors are counted */
}

static void read_port_name(const struct berm_field *field, struct port *p)
{
	const char *text = field->node->valuestring;
	bool is_digits = text[0] && strspn(text, "0123456789") == strlen(text);

	if (berm_is_port_name(text))
		p->name = text;
	else
		berm_field_error(field,
				 is_digits ? "write the number without quotes"
					   : "at most 15 of a-z, 0-9 and '-', with a letter",
				 "'%.60s' is not a port name", text);
}

static void read_port_number(const struct berm_field *field, void *into)
{
	struct port *p = into;

	if (cJSON_IsString(field->node))
		read_port_name(field, p);
	else
		(void)berm_field_int(field, 1, 65535, &p->number); /* errors are counted */
}

static void read_end(const struct berm_field *field, void *into)
{
	struct port *p = into;

	p->has_end = true;
	(void)berm_field_int(field, 1, 65535, &p->last); /* errors are counted */
}

static void check_end(const struct berm_field *field, const struct port *p)
{
	struct berm_field end;

	if (!p->has_end || !berm_field_get(field, "endPort", &end))
		return;
	if (!p->number)
		berm_field_error(&end, "give port a number, the first of the range",
				 "endPort needs a port number");
	else if (p->last < p->number)
		berm_field_problem(&end, BERM_CODE_BAD_RANGE, NULL, "endPort %d is below port %d",
				   p->last, p->number);
}

static void add_port(struct berm_reader *reader, struct berm_policy_rule *rule,
		     const struct port *p)
{
	struct berm_port_term *term = append(reader, rule);

	if (!term)
		return;
	term->plane = (uint8_t)p->plane;
	term->all = !p->number && !p->name;
	term->first = (uint16_t)p->number;
	term->last = (uint16_t)(term->all ? 65535 : p->has_end ? p->last : p->number);
	if (p->name)
		term->name = berm_reader_copy(reader, p->name);
}

static void read_port(const struct berm_field *field, enum berm_policy_kind kind,
		      struct berm_policy_rule *rule)
{
	static const struct berm_member table[] = {
		{ "protocol", BERM_MEMBER_OPTIONAL, read_protocol, NULL },
		{ "port", BERM_MEMBER_OPTIONAL, read_port_number, NULL },
		{ "endPort", BERM_MEMBER_OPTIONAL, read_end, NULL },
	};
	unsigned int before = field->reader->errors;
	struct port p = { .plane = BERM_PLANE_TCP };

	if (!berm_field_members(field, table, ARRAY_SIZE(table), &p) ||
	    field->reader->errors != before)
		return;
	check_end(field, &p);
	if (kind == BERM_KIND_SEGMENTATION && !field->node->child)
		berm_field_error(field, "all TCP ports are {protocol: TCP}",
				 "an empty port says nothing");
	if (field->reader->errors == before)
		add_port(field->reader, rule, &p);
}

void berm_read_ports(const struct berm_field *list, enum berm_policy_kind kind,
		     struct berm_policy_rule *rule)
{
	struct berm_field item;

	if (!berm_field_is_list(list, BERM_MAX_PORTS_OF_RULE))
		return;
	berm_field_each(item, list) read_port(&item, kind, rule);
}

/* ---- ICMP ---------------------------------------------------------------------------------------- */

/* IANA's "ICMP Type Numbers" and "ICMPv6 type Numbers"; -1: the family has no such message. */
static const struct icmp_name {
	const char *name;
	int v4, v6;
} icmp_names[] = {
	{ "echo-request", 8, 128 },
	{ "echo-reply", 0, 129 },
	{ "destination-unreachable", 3, 1 },
	{ "packet-too-big", -1, 2 },
	{ "redirect", 5, 137 },
	{ "router-advertisement", 9, 134 },
	{ "router-solicitation", 10, 133 },
	{ "time-exceeded", 11, 3 },
	{ "parameter-problem", 12, 4 },
	{ "timestamp-request", 13, -1 },
	{ "timestamp-reply", 14, -1 },
	{ "neighbor-solicitation", -1, 135 },
	{ "neighbor-advertisement", -1, 136 },
};

#define ALL_TYPES 256

struct icmp {	     /* being read */
	int type[2]; /* IPv4, IPv6; -1 none, ALL_TYPES */
	int code;    /* -1: all */
	int family;  /* bit mask 1 << index of type */
};

static void read_type_name(const struct berm_field *field, struct icmp *m)
{
	struct berm_word words[ARRAY_SIZE(icmp_names) + 1];
	int i;

	for (size_t n = 0; n < ARRAY_SIZE(icmp_names); n++)
		words[n] = (struct berm_word){ icmp_names[n].name, (int)n, false };
	words[ARRAY_SIZE(icmp_names)] = (struct berm_word){ "any", ARRAY_SIZE(icmp_names), false };
	if (!berm_field_word(field, words, ARRAY_SIZE(words), &i))
		return;
	if (i == ARRAY_SIZE(icmp_names)) {
		m->type[0] = m->type[1] = ALL_TYPES;
		return;
	}
	m->type[0] = icmp_names[i].v4;
	m->type[1] = icmp_names[i].v6;
}

static void read_type(const struct berm_field *field, void *into)
{
	struct icmp *m = into;

	if (cJSON_IsString(field->node))
		read_type_name(field, m);
	else if (berm_field_int(field, 0, 255, &m->type[0]))
		m->type[1] = m->type[0];
}

static void read_code(const struct berm_field *field, void *into)
{
	(void)berm_field_int(field, 0, 255, &((struct icmp *)into)->code); /* errors are counted */
}

static void read_family(const struct berm_field *field, void *into)
{
	static const struct berm_word words[] = { { "IPv4", 1, false }, { "IPv6", 2, false } };

	(void)berm_field_word(field, words, ARRAY_SIZE(words),
			      &((struct icmp *)into)->family); /* likewise */
}

static void add_icmp(struct berm_reader *reader, struct berm_policy_rule *rule,
		     const struct icmp *m, int family)
{
	int type = m->type[family];
	struct berm_port_term *term;

	if (type < 0 || !(m->family & 1 << family))
		return;
	term = append(reader, rule);
	if (!term)
		return;
	term->plane = family ? BERM_PLANE_ICMPV6 : BERM_PLANE_ICMP;
	term->all = type == ALL_TYPES;
	term->first = (uint16_t)(term->all ? 0 : type << 8 | (m->code < 0 ? 0 : m->code));
	term->last = (uint16_t)(term->all ? 65535 : type << 8 | (m->code < 0 ? 255 : m->code));
}

static void read_message(const struct berm_field *field, struct berm_policy_rule *rule)
{
	static const struct berm_member table[] = {
		{ "type", BERM_MEMBER_REQUIRED, read_type,
		  "a number, a name like echo-request, or any" },
		{ "code", BERM_MEMBER_OPTIONAL, read_code, NULL },
		{ "family", BERM_MEMBER_OPTIONAL, read_family, NULL },
	};
	unsigned int before = field->reader->errors;
	struct icmp m = { .type = { -1, -1 }, .code = -1, .family = 3 };
	size_t had = rule->port_count;

	if (!berm_field_members(field, table, ARRAY_SIZE(table), &m) ||
	    field->reader->errors != before)
		return;
	if (m.type[0] == ALL_TYPES && m.code >= 0) {
		berm_field_error(field, "remove code", "a code needs a type");
		return;
	}
	add_icmp(field->reader, rule, &m, 0);
	add_icmp(field->reader, rule, &m, 1);
	if (rule->port_count == had && !field->reader->no_memory)
		berm_field_error(field, "remove family", "this family has no such message");
}

void berm_read_icmp(const struct berm_field *list, struct berm_policy_rule *rule)
{
	struct berm_field item;

	if (!berm_field_is_list(list, BERM_MAX_PORTS_OF_RULE))
		return;
	berm_field_each(item, list) read_message(&item, rule);
}
