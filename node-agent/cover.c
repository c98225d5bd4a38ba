// SPDX-License-Identifier: Apache-2.0
/* cover.c - one thing that is written against another: requirement by requirement, term by term. Knows no pod but to ask it. */
#include "cover.h"

#include <string.h>

#define NAME_LABEL "kubernetes.io/metadata.name"

/* ---- selectors ------------------------------------------------------------------------------------------ */

static bool has_value(const struct berm_requirement *r, const char *value)
{
	for (size_t i = 0; i < r->value_count; i++)
		if (!strcmp(r->value[i], value))
			return true;
	return false;
}

static bool has_all_of(const struct berm_requirement *r, const struct berm_requirement *of)
{
	for (size_t i = 0; i < of->value_count; i++)
		if (!has_value(r, of->value[i]))
			return false;
	return true;
}

static bool has_none_of(const struct berm_requirement *r, const struct berm_requirement *of)
{
	for (size_t i = 0; i < of->value_count; i++)
		if (has_value(r, of->value[i]))
			return false;
	return true;
}

/* Who meets `is` meets `wanted` too. */
static bool implies(const struct berm_requirement *is, const struct berm_requirement *wanted)
{
	if (strcmp(is->key, wanted->key))
		return false;
	switch (wanted->op) {
	case BERM_OP_IN:
		return is->op == BERM_OP_IN && has_all_of(wanted, is);
	case BERM_OP_NOT_IN:
		return is->op == BERM_OP_NOT_EXISTS ||
		       (is->op == BERM_OP_IN && has_none_of(wanted, is)) ||
		       (is->op == BERM_OP_NOT_IN && has_all_of(is, wanted));
	case BERM_OP_EXISTS:
		return is->op == BERM_OP_EXISTS || is->op == BERM_OP_IN;
	case BERM_OP_NOT_EXISTS:
		return is->op == BERM_OP_NOT_EXISTS;
	}
	return false;
}

static bool selector_covers(const struct berm_selector *outer, const struct berm_selector *inner)
{
	for (size_t i = 0; i < outer->count; i++) {
		size_t k = 0;

		while (k < inner->count && !implies(&inner->item[k], &outer->item[i]))
			k++;
		if (k == inner->count)
			return false;
	}
	return true;
}

/* One wants of a label what the other does not. */
static bool contradicts(const struct berm_requirement *a, const struct berm_requirement *b)
{
	if (strcmp(a->key, b->key))
		return false;
	if (a->op == BERM_OP_NOT_EXISTS)
		return b->op == BERM_OP_IN || b->op == BERM_OP_EXISTS;
	if (a->op != BERM_OP_IN)
		return false;
	return (b->op == BERM_OP_IN && has_none_of(a, b)) ||
	       (b->op == BERM_OP_NOT_IN && has_all_of(b, a));
}

static bool selector_is_disjoint(const struct berm_selector *a, const struct berm_selector *b)
{
	for (size_t i = 0; i < a->count; i++)
		for (size_t k = 0; k < b->count; k++)
			if (contradicts(&a->item[i], &b->item[k]) ||
			    contradicts(&b->item[k], &a->item[i]))
				return true;
	return false;
}

/* ---- namespaces ----------------------------------------------------------------------------------------- */

enum answer { NO, UNSURE, YES };

/* Of a namespace that no object describes the name is known, and nothing else. */
static enum answer matches_name(const struct berm_selector *sel, const char *ns)
{
	struct berm_label label = { (char *)NAME_LABEL, (char *)ns }; /* only read */
	const struct berm_labels labels = { &label, 1 };
	enum answer answer = YES;

	for (size_t i = 0; i < sel->count; i++) {
		const struct berm_selector one = { &sel->item[i], 1 };

		if (strcmp(sel->item[i].key, NAME_LABEL))
			answer = UNSURE;
		else if (!berm_selector_matches(&one, &labels))
			return NO;
	}
	return answer;
}

static enum answer selects_ns(const struct berm_model *model, const struct berm_selector *sel,
			      const char *ns)
{
	const struct berm_namespace *known = berm_model_namespace(model, ns);

	if (!sel)
		return YES;
	if (known)
		return berm_selector_matches(sel, &known->labels) ? YES : NO;
	return matches_name(sel, ns);
}

static bool is_everywhere(const struct berm_scope *scope)
{
	return !scope->ns && (!scope->ns_selector || !scope->ns_selector->count);
}

static bool covers_ns(const struct berm_model *model, const struct berm_scope *outer,
		      const struct berm_scope *inner)
{
	char *name = (char *)outer->ns; /* only read */
	struct berm_requirement own = { (char *)NAME_LABEL, BERM_OP_IN, &name, 1 };
	const struct berm_selector only = { &own, 1 };

	if (is_everywhere(outer))
		return true;
	if (inner->ns)
		return outer->ns ? !strcmp(outer->ns, inner->ns)
				 : selects_ns(model, outer->ns_selector, inner->ns) == YES;
	if (is_everywhere(inner))
		return false;
	return selector_covers(outer->ns ? &only : outer->ns_selector, inner->ns_selector);
}

static bool is_disjoint_ns(const struct berm_model *model, const struct berm_scope *a,
			   const struct berm_scope *b)
{
	if (is_everywhere(a) || is_everywhere(b))
		return false;
	if (a->ns && b->ns)
		return strcmp(a->ns, b->ns) != 0;
	if (a->ns)
		return selects_ns(model, b->ns_selector, a->ns) == NO;
	if (b->ns)
		return selects_ns(model, a->ns_selector, b->ns) == NO;
	return selector_is_disjoint(a->ns_selector, b->ns_selector);
}

/* ---- scopes --------------------------------------------------------------------------------------------- */

static const struct berm_selector all_pods;

struct berm_scope berm_scope_of_subject(const struct berm_policy *policy)
{
	return (struct berm_scope){
		.ns = policy->cluster_wide ? NULL : policy->ns,
		.ns_selector = policy->cluster_wide && policy->has_ns_subject ? &policy->ns_subject
									      : NULL,
		.pods = &policy->pod_subject,
	};
}

struct berm_scope berm_scope_of_peer(const struct berm_policy *policy,
				     const struct berm_peer_term *peer)
{
	bool is_own = !peer->has_ns_selector &&
		      (!policy->cluster_wide || policy->kind == BERM_KIND_NETWORK);

	return (struct berm_scope){
		.ns = is_own ? policy->ns : NULL,
		.ns_selector = peer->has_ns_selector ? &peer->ns_selector : NULL,
		.pods = peer->has_pod_selector ? &peer->pod_selector : &all_pods,
	};
}

bool berm_scope_selects(const struct berm_model *model, const struct berm_scope *scope,
			const struct berm_pod *pod)
{
	if (scope->ns ? strcmp(scope->ns, pod->ns) != 0
		      : selects_ns(model, scope->ns_selector, pod->ns) != YES)
		return false;
	return !pod->host_network && !pod->finished &&
	       berm_selector_matches(scope->pods, &pod->labels);
}

bool berm_scope_covers(const struct berm_model *model, const struct berm_scope *outer,
		       const struct berm_scope *inner)
{
	return covers_ns(model, outer, inner) && selector_covers(outer->pods, inner->pods);
}

bool berm_scope_is_disjoint(const struct berm_model *model, const struct berm_scope *a,
			    const struct berm_scope *b)
{
	return is_disjoint_ns(model, a, b) || selector_is_disjoint(a->pods, b->pods);
}

/* ---- peers ---------------------------------------------------------------------------------------------- */

static bool touches(const struct berm_cidr *a, const struct berm_cidr *b)
{
	return berm_cidr_covers(a, b) || berm_cidr_covers(b, a);
}

/* What outer takes out inner must not have. */
static bool block_covers(const struct berm_peer_term *outer, const struct berm_peer_term *inner)
{
	if (!berm_cidr_covers(&outer->block, &inner->block))
		return false;
	for (size_t i = 0; i < outer->except_count; i++) {
		size_t k = 0;

		if (!touches(&outer->except[i], &inner->block))
			continue;
		while (k < inner->except_count &&
		       !berm_cidr_covers(&inner->except[k], &outer->except[i]))
			k++;
		if (k == inner->except_count)
			return false;
	}
	return true;
}

static bool peer_covers(const struct berm_model *model, const struct berm_said *outer,
			const struct berm_peer_term *o, const struct berm_said *inner,
			const struct berm_peer_term *i)
{
	struct berm_scope outer_scope, inner_scope;

	if (o->unsupported || i->unsupported)
		return false;
	if (o->any || i->any)
		return o->any;
	if (o->is_block || i->is_block)
		return o->is_block && i->is_block && block_covers(o, i);
	outer_scope = berm_scope_of_peer(outer->policy, o);
	inner_scope = berm_scope_of_peer(inner->policy, i);
	return berm_scope_covers(model, &outer_scope, &inner_scope);
}

bool berm_said_covers_peers(const struct berm_model *model, const struct berm_said *outer,
			    const struct berm_said *inner)
{
	static const struct berm_peer_term everyone = { .any = true };
	const struct berm_peer_term *o = outer->rule->peer_count ? outer->rule->peer : &everyone,
				    *i = inner->rule->peer_count ? inner->rule->peer : &everyone;
	size_t outers = outer->rule->peer_count ? outer->rule->peer_count : 1,
	       inners = inner->rule->peer_count ? inner->rule->peer_count : 1;

	for (size_t n = 0; n < inners; n++) {
		size_t k = 0;

		while (k < outers && !peer_covers(model, outer, &o[k], inner, &i[n]))
			k++;
		if (k == outers)
			return false;
	}
	return true;
}

/* ---- ports ---------------------------------------------------------------------------------------------- */

bool berm_port_term_covers(const struct berm_port_term *outer, const struct berm_port_term *inner)
{
	if (outer->plane != inner->plane)
		return false;
	if (outer->all)
		return true;
	if (outer->name || inner->name)
		return outer->name && inner->name && !strcmp(outer->name, inner->name);
	return !inner->all && outer->first <= inner->first && outer->last >= inner->last;
}

bool berm_said_covers_ports(const struct berm_policy_rule *outer,
			    const struct berm_policy_rule *inner)
{
	if (!outer->port_count)
		return true;
	for (size_t i = 0; i < inner->port_count; i++) {
		size_t k = 0;

		while (k < outer->port_count &&
		       !berm_port_term_covers(&outer->port[k], &inner->port[i]))
			k++;
		if (k == outer->port_count)
			return false;
	}
	return inner->port_count > 0;
}
