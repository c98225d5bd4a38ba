// SPDX-License-Identifier: Apache-2.0
/*
 * compile_port.c - ports as spans of one line of numbers (plane << 16 | index), and their elementary
 * pieces per subject. Knows no peers; of named ports only what pods say they are.
 */
#include "compiler.h"

static int cmp_span(const void *a, const void *b)
{
	const struct compile_span *x = a, *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return (x->last > y->last) - (x->last < y->last);
}

/* Sorted, and joined where they touch inside one plane: a thousand neighbours are one span. */
static uint32_t merge_spans(struct compile_span *span, size_t count)
{
	uint32_t kept = 0;

	if (count)
		qsort(span, count, sizeof(*span), cmp_span);
	for (size_t i = 0; i < count; i++) {
		struct compile_span *top = kept ? &span[kept - 1] : NULL;

		if (top && span[i].first <= top->last + 1 &&
		    span[i].first >> 16 == top->last >> 16) {
			if (span[i].last > top->last)
				top->last = span[i].last;
		} else {
			span[kept++] = span[i];
		}
	}
	return kept;
}

int berm_compile_port_name(struct compiler *c, uint8_t plane, const char *name, uint32_t *ret)
{
	size_t size = strlen(name) + 1;
	uint8_t *key = malloc(size + 1);
	int rc;

	if (!key)
		return -ENOMEM;
	key[0] = plane;
	memcpy(key + 1, name, size);
	rc = berm_intern(&c->port_name, key, size + 1, ret);
	free(key);
	if (rc > 0)
		rc = array_push(&c->port_name_sought, false);
	return rc < 0 ? rc : 0;
}

static int add_name(struct compiler *c, struct compile_rule *rule,
		    const struct berm_port_term *port)
{
	uint32_t name;

	if (berm_compile_port_name(c, port->plane, port->name, &name) ||
	    array_push(&c->rule_name, name))
		return -ENOMEM;
	rule->name_count++;
	if (rule->rule->dir == BERM_EGRESS)
		c->port_name_sought.item[name] = true;
	return 0;
}

static int add_span(struct compiler *c, const struct berm_port_term *port)
{
	uint32_t plane = (uint32_t)port->plane << 16;
	struct compile_span span = { plane | port->first, plane | port->last };

	if (port->all)
		span = (struct compile_span){ plane, plane | 0xffff };
	if (port->plane >= BERM_PLANE_COUNT || span.first > span.last)
		return 0; /* matches nothing; document.c does not let it through */
	return array_push(&c->span, span);
}

int berm_compile_rule_ports(struct compiler *c, struct compile_rule *rule)
{
	const struct berm_policy_rule *r = rule->rule;

	rule->span = (uint32_t)c->span.count;
	rule->name = (uint32_t)c->rule_name.count;
	rule->all_ports = rule->all_ports || !r->port_count;
	for (size_t i = 0; !rule->all_ports && i < r->port_count; i++) {
		const struct berm_port_term *port = &r->port[i];

		if (port->name ? add_name(c, rule, port) : add_span(c, port))
			return -ENOMEM;
	}
	rule->span_count = merge_spans(c->span.item + rule->span, c->span.count - rule->span);
	c->span.count = rule->span + rule->span_count;
	return 0;
}

/* ---- the elementary spans of a subject --------------------------------------------------------------------- */

static int cut(struct berm_numbers *starts, uint32_t first, uint32_t last)
{
	if (array_push(starts, first))
		return -ENOMEM;
	return last + 1 < SPAN_END ? array_push(starts, last + 1) : 0;
}

static bool has_name(const struct compiler *c, const struct compile_rule *r, uint32_t name)
{
	for (uint32_t i = 0; i < r->name_count; i++)
		if (c->rule_name.item[r->name + i] == name)
			return true;
	return false;
}

static int cut_resolved(const struct compiler *c, const struct compile_rule *r,
			struct berm_numbers *starts, const struct compile_resolved *port,
			size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (has_name(c, r, port[i].name) && cut(starts, port[i].at, port[i].at))
			return -ENOMEM;
	return 0;
}

static int cut_class(const struct compiler *c, const struct compile_rule *r,
		     struct berm_numbers *starts, uint32_t cls)
{
	size_t size;
	const struct compile_resolved *port =
		berm_intern_key(&c->ports, c->cls.item[cls].ports, &size);

	return cut_resolved(c, r, starts, port, size / sizeof(*port));
}

/* A rule about other pods: every class that it matches brings its own numbers. */
static int cut_peers(const struct compiler *c, const struct compile_rule *r,
		     struct berm_numbers *starts)
{
	const struct berm_numbers *cls = r->group == GROUP_ANY ? NULL
							       : &c->group.item[r->group].cls;
	size_t count = cls ? cls->count : c->cls.count;

	for (size_t i = 0; i < count; i++)
		if (cut_class(c, r, starts, cls ? cls->item[i] : (uint32_t)i))
			return -ENOMEM;
	return 0;
}

static int cut_rule(const struct compiler *c, const struct compile_subject *s,
		    const struct compile_rule *r, struct berm_numbers *starts)
{
	for (uint32_t i = r->span; i < r->span + r->span_count; i++)
		if (cut(starts, c->span.item[i].first, c->span.item[i].last))
			return -ENOMEM;
	if (!r->name_count)
		return 0;
	if (s->dir == BERM_INGRESS)
		return cut_resolved(c, r, starts, s->port, s->port_count);
	return cut_peers(c, r, starts);
}

static bool sees_essential(const struct compiler *c, const struct compile_subject *s,
			   const struct compile_resolved *port)
{
	for (int kind = 0; kind < ESSENTIAL_COUNT; kind++)
		if (port->name == c->essential_name[kind])
			return berm_compile_sees(s, (enum compile_essential_kind)kind);
	return false;
}

static int cut_subject(const struct compiler *c, struct compile_subject *s)
{
	static const uint32_t dns[] = { BERM_PLANE_TCP << 16 | 53, BERM_PLANE_UDP << 16 | 53 };

	for (uint32_t plane = 0; plane < BERM_PLANE_COUNT; plane++)
		if (array_push(&s->start, plane << 16))
			return -ENOMEM;
	for (size_t i = 0; i < s->rule.count; i++)
		if (cut_rule(c, s, &c->rule.item[s->rule.item[i]], &s->start))
			return -ENOMEM;
	for (size_t i = 0; i < 2 && berm_compile_sees(s, ESSENTIAL_DNS); i++)
		if (cut(&s->start, dns[i], dns[i]))
			return -ENOMEM;
	for (size_t i = 0; i < c->essential.count; i++)
		if (sees_essential(c, s, &c->essential.item[i].port) &&
		    cut(&s->start, c->essential.item[i].port.at, c->essential.item[i].port.at))
			return -ENOMEM;
	berm_numbers_unique(&s->start);
	return 0;
}

int berm_compile_spans(struct compiler *c)
{
	for (size_t i = 0; i < c->subject.count; i++)
		if (cut_subject(c, &c->subject.item[i]))
			return -ENOMEM;
	return 0;
}

size_t berm_compile_span_find(const struct compile_subject *s, uint32_t at)
{
	size_t low = 0, high = s->start.count;

	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (s->start.item[mid] <= at)
			low = mid;
		else
			high = mid;
	}
	return low;
}
