// SPDX-License-Identifier: Apache-2.0
/* advice_rule.c - rules that say nothing new: decided before, or their blocks within one another; and how near to a limit. Knows no pod. */
#include <stdlib.h>
#include <string.h>

#include "advisor.h"
#include "cleanup.h"
#include "compiler.h"

/* ---- order ---------------------------------------------------------------------------------------------- */

/* May what `first` matches come to `then` all the same? A Pass leaves its stage only; NetworkPolicies are stage 3 too, but behind. */
static bool ends(const struct advice_rule *first, const struct advice_rule *then)
{
	if (!berm_rule_is_enforced(first->said.policy, first->said.rule) &&
	    berm_rule_is_enforced(then->said.policy, then->said.rule))
		return false; /* who is tried decides nothing for who is in force */
	if (!berm_schedule_covers(&first->said.policy->schedule, &then->said.policy->schedule) ||
	    !berm_schedule_covers(&first->said.rule->schedule, &then->said.rule->schedule))
		return false; /* there are times at which it is not there */
	switch (first->said.rule->action) {
	case BERM_RULE_LOG:
		return false;
	case BERM_RULE_PASS:
		return first->stage == then->stage;
	default:
		return true;
	}
}

static bool is_shadowed_by(const struct advisor *a, const struct advice_rule *r,
			   const struct advice_rule *first)
{
	struct berm_scope outer, inner;

	if (first->said.rule->unsupported || r->said.rule->unsupported || !ends(first, r) ||
	    !berm_said_covers_ports(first->said.rule, r->said.rule))
		return false;
	outer = berm_scope_of_subject(first->said.policy);
	inner = berm_scope_of_subject(r->said.policy);
	return berm_scope_covers(a->model, &outer, &inner) &&
	       berm_said_covers_peers(a->model, &first->said, &r->said);
}

static void tell_shadowed(struct advisor *a, const struct advice_rule *r,
			  const struct advice_rule *first)
{
	char path[128], name[280], title[384];

	berm_advisor_path(path, &r->said, "%s", "");
	berm_advisor_rule_name(first->said.rule, name);
	berm_advisor_title(first->said.policy, title);
	berm_advisor_tell(a, r->document,
			  &(struct advice_finding){ BERM_CODE_SHADOWED, path,
						    "remove it, or let it come first" },
			  "decides nothing: rule %s of %s comes first and matches all that it matches",
			  name, title);
}

static void look_before(struct advisor *a, size_t at)
{
	const struct advice_rule *r = &a->rule[at];

	for (size_t i = 0; i < at && a->steps; i++) {
		if (a->rule[i].said.rule->dir != r->said.rule->dir)
			continue;
		a->steps -= 1;
		if (is_shadowed_by(a, r, &a->rule[i])) {
			tell_shadowed(a, r, &a->rule[i]);
			return;
		}
	}
}

void berm_advise_order(struct advisor *a)
{
	size_t i = 0;

	for (; i < a->rule_count && a->steps; i++)
		if (a->rule[i].document->is_judged)
			look_before(a, i);
	if (i < a->rule_count)
		berm_advisor_tell(a, a->rule[i].document,
				  &(struct advice_finding){ BERM_CODE_UNCHECKED, "",
							    "check fewer files at a time" },
				  "from here on rules have not been compared with each other");
}

/* ---- address blocks ------------------------------------------------------------------------------------- */

static int compare_blocks(const void *left, const void *right)
{
	const struct berm_peer_term *x = *(struct berm_peer_term *const *)left,
				    *y = *(struct berm_peer_term *const *)right;
	int rc = berm_cidr_compare(&x->block, &y->block);

	return rc ? rc : (x > y) - (x < y);
}

/* The exception of outer that inner allows again, or NULL. */
static const struct berm_cidr *undone(const struct berm_peer_term *outer,
				      const struct berm_peer_term *inner)
{
	for (size_t i = 0; i < outer->except_count; i++)
		if (berm_cidr_covers(&outer->except[i], &inner->block) ||
		    berm_cidr_covers(&inner->block, &outer->except[i]))
			return &outer->except[i];
	return NULL;
}

static void tell_overlap(struct advisor *a, const struct advice_rule *r,
			 const struct berm_peer_term *outer, const struct berm_peer_term *inner)
{
	bool is_cluster = r->said.policy->kind == BERM_KIND_CLUSTER;
	const struct berm_cidr *except = undone(outer, inner);
	char path[128], in[BERM_CIDR_STRLEN], out[BERM_CIDR_STRLEN];
	size_t index = (size_t)(inner - r->said.rule->peer);

	if (is_cluster)
		berm_advisor_path(path, &r->said, ".%s", berm_advisor_peers(r->said.rule));
	else
		berm_advisor_path(path, &r->said, ".%s[%zu].ipBlock",
				  berm_advisor_peers(r->said.rule), index);
	berm_cidr_format(&inner->block, in);
	berm_cidr_format(except ? except : &outer->block, out);
	if (except)
		berm_advisor_tell(a, r->document,
				  &(struct advice_finding){
					  BERM_CODE_EXCEPT_UNDONE, path,
					  "an except takes addresses out of its own item only" },
				  "%s brings back addresses of %s, which another item of this rule excepts",
				  in, out);
	else
		berm_advisor_tell(a, r->document,
				  &(struct advice_finding){ BERM_CODE_OVERLAP, path, "remove it" },
				  "%s lies in %s, which this rule has too", in, out);
}

/* Sorted, a block comes behind the one that it lies in. */
void berm_advise_blocks(struct advisor *a, const struct advice_rule *r)
{
	const struct berm_policy_rule *rule = r->said.rule;
	auto_free const struct berm_peer_term **block =
		calloc(rule->peer_count + 1, sizeof(*block));
	const struct berm_peer_term *outer = NULL;
	size_t count = 0;

	if (!block) {
		a->no_memory = true;
		return;
	}
	for (size_t i = 0; i < rule->peer_count; i++)
		if (rule->peer[i].is_block)
			block[count++] = &rule->peer[i];
	if (count > 1)
		qsort(block, count, sizeof(*block), compare_blocks);
	for (size_t i = 0; i < count; i++) {
		if (outer && berm_cidr_covers(&outer->block, &block[i]->block))
			tell_overlap(a, r, outer, block[i]);
		else
			outer = block[i];
	}
}

/* ---- limits of a namespace -------------------------------------------------------------------------------- */

struct amount { /* what one namespace has */
	struct berm_intern prefix, bound;
	size_t documents, rules;		 /* of a tenant's */
	const struct berm_advice_document *most; /* judged; whose peers and ports are most */
	size_t weight;
};

static int count_number(struct berm_intern *numbers, const void *key, size_t size)
{
	return berm_intern(numbers, key, size, &(uint32_t){ 0 }) < 0 ? -ENOMEM : 0;
}

static int count_cidr(struct amount *m, const struct berm_cidr *cidr)
{
	uint8_t key[sizeof(cidr->addr) + 1];

	memcpy(key, &cidr->addr, sizeof(cidr->addr));
	key[sizeof(cidr->addr)] = cidr->bits;
	return count_number(&m->prefix, key, sizeof(key));
}

static int count_rule(struct amount *m, const struct berm_policy_rule *rule)
{
	int rc = 0;

	for (size_t i = 0; i < rule->peer_count && !rc; i++) {
		const struct berm_peer_term *peer = &rule->peer[i];

		rc = peer->is_block ? count_cidr(m, &peer->block) : 0;
		for (size_t e = 0; e < peer->except_count && !rc; e++)
			rc = count_cidr(m, &peer->except[e]);
	}
	for (size_t i = 0; i < rule->port_count && !rc; i++) {
		const struct berm_port_term *port = &rule->port[i];
		uint32_t first = (uint32_t)port->plane << 16 | port->first,
			 behind = ((uint32_t)port->plane << 16 | port->last) + 1;

		if (port->name)
			continue;
		rc = count_number(&m->bound, &first, sizeof(first));
		rc = rc ? rc : count_number(&m->bound, &behind, sizeof(behind));
	}
	return rc;
}

static int count_policy(struct amount *m, const struct berm_advice_document *document)
{
	size_t before = m->prefix.count + m->bound.count, added;

	for (size_t i = 0; i < document->policy->rule_count; i++)
		if (count_rule(m, &document->policy->rule[i]))
			return -ENOMEM;
	added = m->prefix.count + m->bound.count - before;
	if (document->is_judged && (!m->most || added > m->weight)) {
		m->most = document;
		m->weight = added;
	}
	return 0;
}

static void tell_amount(struct advisor *a, const struct amount *m, size_t has, size_t limit,
			const char *what)
{
	bool is_over = has > limit;

	if (!m->most || has * 5 < limit * 4)
		return;
	berm_advisor_tell(a, m->most,
			  &(struct advice_finding){ BERM_CODE_QUOTA, "",
						    "use fewer, or spread them over namespaces" },
			  "the documents of this namespace have %zu %s, %s the limit of %zu%s", has,
			  what, is_over ? "over" : "near", limit,
			  is_over ? ": the biggest ones will be refused" : "");
}

static bool is_first_of_ns(const struct berm_advice *advice, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (!strcmp(advice->document[i].policy->ns, advice->document[at].policy->ns))
			return false;
	return true;
}

static void advise_ns(struct advisor *a, const char *ns)
{
	struct amount m = { 0 };
	int rc = 0;

	for (size_t i = 0; i < a->advice->count && !rc; i++) {
		const struct berm_advice_document *d = &a->advice->document[i];

		if (strcmp(d->policy->ns, ns) != 0)
			continue;
		m.documents++;
		m.rules += d->policy->rule_count;
		if (!d->policy->disabled)
			rc = count_policy(&m, d);
	}
	a->no_memory |= rc != 0;
	tell_amount(a, &m, m.prefix.count, BERM_LIMIT_PREFIXES, "different address blocks");
	tell_amount(a, &m, m.bound.count, BERM_LIMIT_BOUNDS, "different ends of port ranges");
	if (*ns && strcmp(ns, BERM_SYSTEM_NAMESPACE) != 0) {
		tell_amount(a, &m, m.documents, BERM_LIMIT_NS_DOCUMENTS, "policies");
		tell_amount(a, &m, m.rules, BERM_LIMIT_NS_RULES, "rules");
	}
	berm_intern_free(&m.prefix);
	berm_intern_free(&m.bound);
}

void berm_advise_limits(struct advisor *a)
{
	for (size_t i = 0; i < a->advice->count; i++)
		if (is_first_of_ns(a->advice, i))
			advise_ns(a, a->advice->document[i].policy->ns);
}
