// SPDX-License-Identifier: Apache-2.0
/*
 * blocklist.c - the emergency rules that no session and no other rule can overrule, and the blocks that they name.
 *
 * A rule qualifies if it denies every port and protocol to every pod, and no emergency rule of its direction that allows or
 * passes stands before it, nor an exact flow that does. Nothing is before the tier but a pod's own address and its own node, and neither comes in by an uplink.
 * A block of the way in is dropped whole only if the way out is denied as well: else it may be an answer.
 */
#include "blocklist.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

struct blocks {
	const struct berm_model *model;
	const struct berm_problems *problems;
	BERM_ARRAY(struct berm_block_of) list;
};

static bool is_refused(const struct berm_policy *policy, const struct berm_problems *problems)
{
	char title[400];

	if (!problems->count)
		return false;
	berm_policy_title(policy->kind, policy->ns, policy->name, title, sizeof(title));
	for (size_t i = 0; i < problems->count; i++)
		if (problems->item[i].severity == BERM_ERROR && problems->item[i].document &&
		    !strcmp(problems->item[i].document, title))
			return true;
	return false;
}

/* In force, and of the tier that comes before all others. */
static bool is_emergency(const struct berm_policy *policy, const struct berm_problems *problems)
{
	return policy->kind == BERM_KIND_SEGMENTATION && policy->tier == BERM_TIER_EMERGENCY &&
	       !policy->disabled && !policy->audit && !is_refused(policy, problems);
}

static bool has_exception(const struct berm_policy *p, int dir)
{
	for (size_t i = 0; i < p->rule_count; i++)
		if (p->rule[i].dir == dir && p->rule[i].action != BERM_RULE_DENY &&
		    p->rule[i].action != BERM_RULE_LOG && p->rule[i].mode == BERM_MODE_ENFORCE)
			return true;
	return false;
}

/* An exact flow comes before every rule of its priority. */
static bool has_flow_exception(const struct berm_policy *p, int dir)
{
	for (size_t i = 0; i < p->flow_count; i++)
		if (p->flow[i].dir == dir && p->flow[i].action != BERM_RULE_DENY)
			return true;
	return false;
}

/* The same priority is enough for a Deny to come before an Allow and a Pass (docs/policy.md, the order). */
static int lowest_exception(const struct blocks *blocks, int dir)
{
	const struct berm_model *model = blocks->model;
	int lowest = INT_MAX;

	for (size_t i = 0; i < model->policy_count; i++) {
		const struct berm_policy *p = model->policies[i];

		if (!is_emergency(p, blocks->problems))
			continue;
		if (has_exception(p, dir) && p->priority < lowest)
			lowest = p->priority;
		if (has_flow_exception(p, dir) && p->priority - 1 < lowest)
			lowest = p->priority - 1;
	}
	return lowest;
}

/* Nobody's connections are kept either: a policy that says Recheck keeps those of the others from it. */
static bool is_about_everyone(const struct berm_policy *policy)
{
	return policy->on_change != BERM_CHANGE_KEEP && policy->cluster_wide &&
	       !policy->pod_subject.count && (!policy->has_ns_subject || !policy->ns_subject.count);
}

static bool denies_all(const struct berm_policy_rule *rule, int dir)
{
	return rule->dir == dir && rule->action == BERM_RULE_DENY &&
	       rule->mode == BERM_MODE_ENFORCE && !rule->unsupported && !rule->port_count;
}

static int add_rule(struct blocks *out, const struct berm_policy *policy,
		    const struct berm_policy_rule *rule)
{
	for (size_t i = 0; i < rule->peer_count; i++) {
		const struct berm_peer_term *peer = &rule->peer[i];
		struct berm_block_of block = { peer->block, policy, rule, false };

		if (!peer->is_block || peer->unsupported || peer->except_count)
			continue;
		if (array_push(&out->list, block))
			return -ENOMEM;
	}
	return 0;
}

static int add_all(struct blocks *blocks, int dir)
{
	int limit = lowest_exception(blocks, dir), rc = 0;

	for (size_t i = 0; !rc && i < blocks->model->policy_count; i++) {
		const struct berm_policy *p = blocks->model->policies[i];

		if (!is_emergency(p, blocks->problems) || !is_about_everyone(p) ||
		    p->priority > limit)
			continue;
		for (size_t r = 0; !rc && r < p->rule_count; r++)
			if (denies_all(&p->rule[r], dir))
				rc = add_rule(blocks, p, &p->rule[r]);
	}
	return rc;
}

/* Of equal blocks the one that decides comes first. */
static int compare(const void *a, const void *b)
{
	const struct berm_block_of *x = a, *y = b;
	int rc = berm_cidr_compare(&x->cidr, &y->cidr);

	if (rc)
		return rc;
	return x->policy->priority - y->policy->priority;
}

static size_t drop_doubles(struct berm_block_of *item, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (!kept || berm_cidr_compare(&item[kept - 1].cidr, &item[i].cidr))
			item[kept++] = item[i];
	return kept;
}

/* Sorted by address, then length, whatever covers a block comes before it: the last cover that has begun and
 * still reaches it is enough, as blocks never overlap by halves. */
static void mark_closed(struct blocks *in, const struct blocks *out)
{
	const struct berm_cidr *cover = NULL;
	size_t next = 0;

	for (size_t i = 0; i < in->list.count; i++) {
		struct berm_block_of *block = &in->list.item[i];

		for (; next < out->list.count &&
		       berm_cidr_compare(&out->list.item[next].cidr, &block->cidr) <= 0;
		     next++)
			if (!cover || !berm_cidr_covers(cover, &out->list.item[next].cidr))
				cover = &out->list.item[next].cidr;
		block->all = cover && berm_cidr_covers(cover, &block->cidr);
	}
}

int berm_blocklist_make(const struct berm_model *model, const struct berm_problems *problems,
			struct berm_blocklist *ret)
{
	struct blocks in = { .model = model, .problems = problems }, out = in;

	if (add_all(&in, BERM_INGRESS) || add_all(&out, BERM_EGRESS)) {
		array_free(&in.list);
		array_free(&out.list);
		return -ENOMEM;
	}
	if (in.list.count) {
		qsort(in.list.item, in.list.count, sizeof(*in.list.item), compare);
		in.list.count = drop_doubles(in.list.item, in.list.count);
	}
	if (out.list.count)
		qsort(out.list.item, out.list.count, sizeof(*out.list.item), compare);
	mark_closed(&in, &out);
	array_free(&out.list);
	*ret = (struct berm_blocklist){ in.list.item, in.list.count };
	return 0;
}

void berm_blocklist_clear(struct berm_blocklist *list)
{
	free(list->item);
	*list = (struct berm_blocklist){ 0 };
}
