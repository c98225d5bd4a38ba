// SPDX-License-Identifier: Apache-2.0
/* interpret.c - a plan, executed: address -> class -> row, port -> column, cell -> rule. Knows no policy. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "interpret.h"
#include "test.h"

static bool is_v4(const struct berm_addr *addr)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(addr, mapped, sizeof(mapped));
}

static bool under(const struct berm_plan_prefix *p, const struct berm_addr *addr)
{
	const uint8_t *a = (const uint8_t *)addr, *b = (const uint8_t *)&p->addr;

	for (unsigned int bit = 0; bit < p->bits; bit++)
		if ((a[bit / 8] ^ b[bit / 8]) & 0x80 >> bit % 8)
			return false;
	return true;
}

/* Blind to families, as the kernel's trie is. */
uint32_t interpret_class(const struct berm_plan *plan, uint32_t table, const struct berm_addr *addr)
{
	for (size_t i = 0; i < plan->peer_count; i++)
		if (!memcmp(&plan->peer[i].addr, addr, sizeof(*addr)))
			return plan->peer[i].cls;
	if (table != UINT32_MAX)
		for (size_t i = 0; i < plan->table[table].prefix_count; i++)
			if (under(&plan->table[table].prefix[i], addr)) /* longest first */
				return plan->table[table].prefix[i].cls;
	return is_v4(addr) ? 0 : 1;
}

static size_t port_class(const struct berm_plan *plan, uint8_t plane, uint16_t port)
{
	for (size_t i = 0; i < plan->interval_count; i++) {
		const struct berm_plan_interval *in = &plan->interval[i];

		if (in->plane == plane && in->first <= port && port <= in->last)
			return i;
	}
	test_failed(__FILE__, __LINE__, "no port class for plane %u port %u", plane, port);
	test_stop();
}

static struct answer answer_of(const struct berm_rule_name *n)
{
	struct answer a = { .action = n->action, .reason = n->reason };

	if (n->id < BERM_RULE_FIRST)
		return a;
	if (strcmp(n->tier, "implicit") != 0)
		snprintf(a.rule, sizeof(a.rule), "%s %s%s%s:%s", n->tier, n->ns,
			 n->ns[0] ? "/" : "", n->policy, n->rule);
	else
		snprintf(a.rule, sizeof(a.rule), "%s:%s", n->policy, n->rule);
	return a;
}

static const struct berm_plan_endpoint *endpoint_of(const struct berm_plan *plan, uint32_t slot)
{
	for (size_t i = 0; i < plan->endpoint_count; i++)
		if (plan->endpoint[i].slot == slot)
			return &plan->endpoint[i];
	test_failed(__FILE__, __LINE__, "slot %u is not in the plan", slot);
	test_stop();
}

static uint32_t frontend_at(const struct berm_plan *plan, const struct berm_addr *addr, uint32_t at)
{
	for (size_t i = 0; i < plan->frontend_count; i++)
		if (!memcmp(&plan->frontend[i].addr, addr, sizeof(*addr)) &&
		    plan->frontend[i].at == at)
			return plan->frontend[i].cls;
	return UINT32_MAX;
}

/* What the address is a door to, if it says that it has doors. */
static uint32_t frontend_class(const struct berm_plan *plan, const struct question *q)
{
	uint32_t at = (uint32_t)q->plane << 16 | q->port, flags = 0, cls = UINT32_MAX;
	struct berm_addr node = { { 0, 0, 0, 0 } };

	for (size_t i = 0; q->dir == BERM_EGRESS && i < plan->peer_count; i++)
		if (!memcmp(&plan->peer[i].addr, &q->peer, sizeof(q->peer)))
			flags = plan->peer[i].flags;
	if (is_v4(&q->peer))
		memset((uint8_t *)&node + 10, 0xff, 2);
	if (flags & BERM_PEER_FRONTENDS)
		cls = frontend_at(plan, &q->peer, at);
	if (cls == UINT32_MAX && flags & BERM_PEER_NODE_FRONTENDS)
		cls = frontend_at(plan, &node, at);
	return cls;
}

/* The rule of this very connection, or UINT32_MAX. */
static uint32_t flow_rule(const struct berm_plan *plan, uint32_t flows, const struct question *q)
{
	static const uint32_t proto[BERM_PLANE_COUNT] = { [BERM_PLANE_TCP] = IPPROTO_TCP,
							  [BERM_PLANE_UDP] = IPPROTO_UDP,
							  [BERM_PLANE_SCTP] = IPPROTO_SCTP };
	const struct berm_plan_flows *f = flows == UINT32_MAX ? NULL : &plan->flows[flows];
	uint16_t to = htons(q->port), from = htons(q->other_port);
	struct berm_flow_key key = {
		.peer = q->peer,
		.local = q->local,
		.local_port = q->dir == BERM_INGRESS ? to : from,
		.peer_port = q->dir == BERM_INGRESS ? from : to,
		.proto = proto[q->plane],
	};

	for (size_t i = 0; f && i < f->count; i++)
		if (!memcmp(&f->item[i].key, &key, sizeof(key)))
			return f->item[i].rule;
	return UINT32_MAX;
}

struct answer interpret(const struct berm_plan *plan, const struct question *q)
{
	const struct berm_plan_endpoint *ep = endpoint_of(plan, q->ep->slot);
	uint32_t number = q->would && ep->would[q->dir] != UINT32_MAX ? ep->would[q->dir]
								      : ep->set[q->dir];
	const struct berm_plan_set *set;
	uint32_t cls, rule;

	if (number == UINT32_MAX)
		return (struct answer){ .action = BERM_ACTION_ALLOW,
					.reason = BERM_REASON_NOT_ISOLATED };
	set = &plan->set[number];
	rule = flow_rule(plan, set->flows, q);
	if (rule != UINT32_MAX) {
		EXPECT_EQ(plan->rule[rule].name.dir, q->dir);
		return answer_of(&plan->rule[rule].name);
	}
	cls = frontend_class(plan, q);
	if (cls == UINT32_MAX)
		cls = interpret_class(plan, set->table, &q->peer);
	rule = set->cell[set->row[cls] * set->ncols + set->col[port_class(plan, q->plane, q->port)]];
	if (plan->rule[rule].name.id >= BERM_RULE_FIRST)
		EXPECT_EQ(plan->rule[rule].name.dir, q->dir);
	return answer_of(&plan->rule[rule].name);
}

uint32_t interpret_rule_id(const struct berm_plan *plan, uint8_t dir, const struct answer *answer)
{
	for (size_t i = 0; answer->rule[0] && i < plan->rule_count; i++) {
		const struct berm_rule_name *n = &plan->rule[i].name;

		if (n->dir == dir && n->action == answer->action &&
		    !strcmp(answer_of(n).rule, answer->rule))
			return n->id;
	}
	return answer->reason;
}

/* ---- is it well-formed -------------------------------------------------------------------------------------- */

static void check_intervals(const struct berm_plan *plan)
{
	uint32_t next = 0;

	for (size_t i = 0; i < plan->interval_count; i++) {
		const struct berm_plan_interval *in = &plan->interval[i];

		EXPECT_EQ((uint32_t)in->plane << 16 | in->first, next);
		next = ((uint32_t)in->plane << 16 | in->last) + 1;
	}
	EXPECT_EQ(next, (uint32_t)BERM_PLANE_COUNT << 16);
}

static void check_table(const struct berm_plan *plan, const struct berm_plan_table *t)
{
	for (size_t i = 0; i < t->prefix_count; i++) {
		const struct berm_plan_prefix *p = &t->prefix[i];

		EXPECT_TRUE(p->cls == UINT32_MAX || p->cls < plan->class_count);
		if (!i)
			continue;
		EXPECT_TRUE(p[-1].bits > p->bits ||
			    (p[-1].bits == p->bits && memcmp(&p[-1].addr, &p->addr, 16) < 0));
	}
}

static void check_set(const struct berm_plan *plan, const struct berm_plan_set *s)
{
	EXPECT_LT(s->default_row, s->nrows);
	EXPECT_TRUE(s->table == UINT32_MAX || s->table < plan->table_count);
	EXPECT_TRUE(s->flows == UINT32_MAX || s->flows < plan->flows_count);
	for (size_t i = 0; i < plan->interval_count; i++)
		EXPECT_LT(s->col[i], s->ncols);
	for (size_t i = 0; i < plan->class_count; i++)
		EXPECT_LT(s->row[i], s->nrows);
	for (size_t i = 0; i < (size_t)s->nrows * s->ncols; i++)
		EXPECT_LT(s->cell[i], plan->rule_count);
	/* Equal rows are one row. */
	for (size_t a = 0; a < s->nrows; a++)
		for (size_t b = a + 1; b < s->nrows; b++)
			EXPECT_TRUE(memcmp(s->cell + a * s->ncols, s->cell + b * s->ncols,
					   s->ncols * sizeof(*s->cell)));
}

static void check_flows(const struct berm_plan *plan, const struct berm_plan_flows *f)
{
	EXPECT_TRUE(f->count);
	for (size_t i = 0; i < f->count; i++) {
		EXPECT_LT(f->item[i].rule, plan->rule_count);
		EXPECT_EQ(f->item[i].key.table, 0);
		if (i)
			EXPECT_LT(memcmp(&f->item[i - 1].key, &f->item[i].key,
					 sizeof(f->item->key)),
				  0);
	}
}

void interpret_check(const struct berm_plan *plan)
{
	check_intervals(plan);
	for (size_t i = 0; i < plan->peer_count; i++) {
		EXPECT_LT(plan->peer[i].cls, plan->class_count);
		if (i)
			EXPECT_LT(memcmp(&plan->peer[i - 1].addr, &plan->peer[i].addr, 16), 0);
	}
	for (size_t i = 0; i < plan->frontend_count; i++) {
		const struct berm_plan_frontend *f = &plan->frontend[i];
		int order = i ? memcmp(&f[-1].addr, &f->addr, 16) : -1;

		EXPECT_LT(f->cls, plan->class_count);
		EXPECT_TRUE(order < 0 || (!order && f[-1].at < f->at));
	}
	for (size_t i = 1; i < plan->rule_count; i++) {
		const struct berm_rule_name *a = &plan->rule[i - 1].name, *b = &plan->rule[i].name;

		if (a->id == b->id) /* one rule, with and without a Log */
			EXPECT_TRUE(a->action == b->action && a->precedence == b->precedence &&
				    !strcmp(a->policy, b->policy) && !strcmp(a->rule, b->rule) &&
				    plan->rule[i - 1].log != plan->rule[i].log);
		else
			EXPECT_LT(a->id, b->id);
	}
	for (size_t i = 3; i < plan->class_count; i++)
		EXPECT_TRUE(memcmp(&plan->cls[i - 1].id, &plan->cls[i].id, sizeof(plan->cls->id)));
	for (size_t i = 0; i < plan->table_count; i++)
		check_table(plan, &plan->table[i]);
	for (size_t i = 0; i < plan->flows_count; i++)
		check_flows(plan, &plan->flows[i]);
	for (size_t i = 0; i < plan->set_count; i++)
		check_set(plan, &plan->set[i]);
	for (size_t i = 0; i < plan->endpoint_count; i++)
		for (int dir = 0; dir < BERM_DIR_COUNT; dir++)
			EXPECT_TRUE(plan->endpoint[i].set[dir] == UINT32_MAX ||
				    plan->endpoint[i].set[dir] < plan->set_count);
	EXPECT_LT(plan->essentials, plan->set_count);
}

/* ---- as bytes -------------------------------------------------------------------------------------------------- */

#define PUT(out, array, count) (void)fwrite(array, sizeof(*(array)), count, out)

static void dump_set(FILE *out, const struct berm_plan *plan, const struct berm_plan_set *s)
{
	PUT(out, &s->id, 1);
	PUT(out, &s->dir, 1);
	PUT(out, &s->table, 1);
	PUT(out, &s->flows, 1);
	PUT(out, &s->nrows, 1);
	PUT(out, &s->ncols, 1);
	PUT(out, &s->default_row, 1);
	PUT(out, s->col, plan->interval_count);
	PUT(out, s->cell, (size_t)s->nrows * s->ncols);
	PUT(out, s->row, plan->class_count);
}

char *interpret_dump(const struct berm_plan *plan, size_t *ret_size)
{
	char *bytes = NULL;
	FILE *out = open_memstream(&bytes, ret_size);

	ASSERT_TRUE(out);
	PUT(out, plan->cls, plan->class_count);
	PUT(out, plan->peer, plan->peer_count);
	PUT(out, plan->frontend, plan->frontend_count);
	for (size_t i = 0; i < plan->table_count; i++) {
		PUT(out, &plan->table[i].id, 1);
		PUT(out, plan->table[i].prefix, plan->table[i].prefix_count);
	}
	PUT(out, plan->interval, plan->interval_count);
	PUT(out, plan->rule, plan->rule_count);
	for (size_t i = 0; i < plan->flows_count; i++) {
		PUT(out, &plan->flows[i].id, 1);
		PUT(out, plan->flows[i].item, plan->flows[i].count);
	}
	for (size_t i = 0; i < plan->set_count; i++)
		dump_set(out, plan, &plan->set[i]);
	PUT(out, &plan->essentials, 1);
	PUT(out, plan->endpoint, plan->endpoint_count);
	PUT(out, plan->ns, plan->ns_count);
	ASSERT_EQ(fclose(out), 0);
	return bytes;
}
