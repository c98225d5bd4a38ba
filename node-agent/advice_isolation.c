// SPDX-License-Identifier: Apache-2.0
/*
 * advice_isolation.c - what isolation takes away and what opens it: DNS and the API server, and NetworkPolicies beside
 * application policies. Probes of the kubelet need no look: nothing can deny them.
 */
#include <stdio.h>
#include <string.h>

#include "advisor.h"
#include "essential.h"

#define DNS_PORT 53

/* Or would: a policy in mode audit is judged for what it is going to be. */
static bool may_isolate(const struct berm_policy *policy, enum berm_dir dir)
{
	return !policy->disabled && policy->isolate & 1 << dir &&
	       (policy->tier == BERM_TIER_APPLICATION || policy->kind == BERM_KIND_NETWORK);
}

bool berm_advisor_isolates(const struct berm_policy *policy, enum berm_dir dir)
{
	return !policy->audit && may_isolate(policy, dir);
}

bool berm_advisor_may_meet(const struct advisor *a, const struct berm_policy *x,
			   const struct berm_policy *y)
{
	struct berm_scope xs = berm_scope_of_subject(x), ys = berm_scope_of_subject(y);

	return !berm_scope_is_disjoint(a->model, &xs, &ys);
}

/* ---- what DNS and the API server need --------------------------------------------------------------------- */

void berm_advise_config(struct advisor *a)
{
	const struct berm_policy *first = NULL;

	for (size_t i = 0; i < a->advice->count; i++) {
		const struct berm_policy *policy = a->advice->document[i].policy;

		if (policy->config && (!first || strcmp(policy->name, first->name) < 0))
			first = policy;
	}
	a->dns = first && first->config->essential[BERM_ESSENTIAL_OF_DNS].is_given
			 ? &first->config->essential[BERM_ESSENTIAL_OF_DNS]
			 : berm_essential_default(BERM_ESSENTIAL_OF_DNS);
}

static struct berm_scope scope_of_dns(const struct advisor *a, size_t i)
{
	return (struct berm_scope){ a->dns->pods[i].ns, NULL, &a->dns->pods[i].selector };
}

static bool has_port(const struct berm_policy_rule *rule, uint8_t plane, uint16_t port)
{
	for (size_t i = 0; i < rule->port_count; i++) {
		const struct berm_port_term *term = &rule->port[i];

		if (term->plane == plane &&
		    (term->all || term->name || (term->first <= port && port <= term->last)))
			return true;
	}
	return !rule->port_count;
}

/* Who is behind a Service that an AgentConfig names is not written there. */
static bool may_be_dns(const struct advisor *a, const struct berm_scope *scope)
{
	for (size_t i = 0; i < a->dns->pods_count; i++) {
		const struct berm_scope dns = scope_of_dns(a, i);

		if (!berm_scope_is_disjoint(a->model, scope, &dns))
			return true;
	}
	return a->dns->is_given && a->dns->service_count;
}

bool berm_advisor_is_dns(const struct advisor *a, const struct berm_scope *scope)
{
	for (size_t i = 0; i < a->dns->pods_count; i++) {
		const struct berm_scope dns = scope_of_dns(a, i);

		if (berm_scope_covers(a->model, &dns, scope))
			return true;
	}
	return false;
}

/* Blocks may have its address: who can tell. */
static bool may_reach_dns(const struct advisor *a, const struct berm_said *said)
{
	const struct berm_policy_rule *rule = said->rule;

	for (size_t i = 0; i < rule->peer_count; i++) {
		const struct berm_peer_term *peer = &rule->peer[i];
		struct berm_scope scope = berm_scope_of_peer(said->policy, peer);

		if (peer->any || peer->is_block || may_be_dns(a, &scope))
			return true;
	}
	return !rule->peer_count;
}

static bool has_dns_port(const struct advisor *a, const struct berm_policy_rule *rule)
{
	for (size_t i = 0; i < a->dns->place_count; i++)
		if (has_port(rule, BERM_PLANE_UDP, a->dns->place[i].port) ||
		    has_port(rule, BERM_PLANE_TCP, a->dns->place[i].port))
			return true;
	return has_port(rule, BERM_PLANE_UDP, DNS_PORT) || has_port(rule, BERM_PLANE_TCP, DNS_PORT);
}

static bool may_reach_apiserver(const struct berm_policy_rule *rule)
{
	for (size_t i = 0; i < rule->peer_count; i++)
		if (rule->peer[i].any || rule->peer[i].is_block)
			return true;
	return !rule->peer_count;
}

static bool allows(const struct advisor *a, const struct advice_rule *r, uint8_t essential)
{
	const struct berm_policy_rule *rule = r->said.rule;

	if (rule->action != BERM_RULE_ALLOW || rule->dir != BERM_EGRESS || rule->unsupported)
		return false;
	if (essential == BERM_ESSENTIAL_DNS)
		return has_dns_port(a, rule) && may_reach_dns(a, &r->said);
	for (size_t i = 0; i < rule->port_count; i++)
		if (rule->port[i].plane == BERM_PLANE_TCP)
			return may_reach_apiserver(rule);
	return !rule->port_count && may_reach_apiserver(rule);
}

/* What is tried together may come together. */
static bool counts_for(const struct berm_policy *policy, const struct berm_said *said)
{
	return berm_rule_is_enforced(said->policy, said->rule) ||
	       (policy->audit && berm_rule_is_audit(said->policy, said->rule));
}

static bool is_allowed(const struct advisor *a, const struct berm_policy *policy, uint8_t essential)
{
	for (size_t i = 0; i < a->rule_count; i++)
		if (counts_for(policy, &a->rule[i].said) && allows(a, &a->rule[i], essential) &&
		    berm_advisor_may_meet(a, policy, a->rule[i].said.policy))
			return true;
	return false;
}

void berm_advise_isolation(struct advisor *a, const struct berm_advice_document *document)
{
	const struct berm_policy *policy = document->policy;
	bool is_network = policy->kind == BERM_KIND_NETWORK;
	const char *path = is_network ? "spec.policyTypes" : "essentials";

	if (!may_isolate(policy, BERM_EGRESS))
		return;
	if (!(policy->essentials & BERM_ESSENTIAL_DNS) &&
	    !is_allowed(a, policy, BERM_ESSENTIAL_DNS))
		berm_advisor_tell(a, document,
				  &(struct advice_finding){
					  BERM_CODE_CUTS_DNS, path,
					  is_network
						  ? "allow port 53 to kube-system: a NetworkPolicy grants no essentials"
						  : "add dns to essentials" },
				  "its pods cannot ask DNS: they are isolated, and no rule allows it");
	if (!is_network && !(policy->essentials & BERM_ESSENTIAL_APISERVER) &&
	    !is_allowed(a, policy, BERM_ESSENTIAL_APISERVER))
		berm_advisor_tell(
			a, document,
			&(struct advice_finding){ BERM_CODE_CUTS_APISERVER, path,
						  "add apiserver to essentials if they need it" },
			"its pods cannot reach the API server: they are isolated, and no rule allows it");
}

/* ---- NetworkPolicies beside application policies -------------------------------------------------------------- */

/* Does the other policy allow itself what the rule does, by a rule or an essential? */
static bool allows_itself(const struct advisor *a, const struct berm_policy *other,
			  const struct berm_said *said)
{
	if (other->essentials & BERM_ESSENTIAL_DNS && said->rule->dir == BERM_EGRESS &&
	    berm_advisor_is_dns_only(a, said))
		return true;
	for (size_t i = 0; i < other->rule_count; i++) {
		const struct berm_said own = { other, &other->rule[i] };

		if (berm_rule_is_enforced(other, own.rule) && own.rule->dir == said->rule->dir &&
		    own.rule->action == BERM_RULE_ALLOW &&
		    berm_said_covers_ports(own.rule, said->rule) &&
		    berm_said_covers_peers(a->model, &own, said))
			return true;
	}
	return false;
}

static bool is_other_kind(const struct berm_policy *x, const struct berm_policy *y)
{
	return (x->kind == BERM_KIND_NETWORK && y->tier == BERM_TIER_APPLICATION) ||
	       (y->kind == BERM_KIND_NETWORK && x->tier == BERM_TIER_APPLICATION);
}

struct union_found { /* what the rules of one document open in one direction */
	const struct berm_policy_rule *rule;
	const struct berm_policy *other; /* the first of those that it opens */
	size_t others;
};

static void tell_opens(struct advisor *a, const struct berm_advice_document *document,
		       const struct union_found *found)
{
	const struct berm_said said = { document->policy, found->rule };
	char path[128], title[384], more[40] = "";

	berm_advisor_path(path, &said, "%s", "");
	berm_advisor_title(found->other, title);
	if (found->others > 1)
		snprintf(more, sizeof(more), " (and %zu more)", found->others - 1);
	berm_advisor_tell(a, document,
			  &(struct advice_finding){
				  BERM_CODE_OPENS, path,
				  "what either kind allows is allowed; only a Deny takes it back" },
			  "also allows this for pods that %s%s isolates, which does not allow it",
			  title, more);
}

/* The first rule that does is enough. */
static const struct berm_policy_rule *opener(const struct advisor *a,
					     const struct berm_policy *policy,
					     const struct berm_policy *other, enum berm_dir dir)
{
	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct berm_said said = { policy, &policy->rule[i] };

		if (berm_rule_is_enforced(policy, said.rule) && said.rule->dir == dir &&
		    said.rule->action == BERM_RULE_ALLOW && !allows_itself(a, other, &said))
			return said.rule;
	}
	return NULL;
}

static void advise_union(struct advisor *a, const struct berm_advice_document *document,
			 enum berm_dir dir)
{
	const struct berm_policy *policy = document->policy;
	struct union_found found = { 0 };

	for (size_t i = 0; i < a->advice->count; i++) {
		const struct berm_policy *other = a->advice->document[i].policy;
		const struct berm_policy_rule *rule;

		if (!berm_advisor_isolates(other, dir) || !is_other_kind(policy, other) ||
		    !berm_advisor_may_meet(a, policy, other))
			continue;
		rule = opener(a, policy, other, dir);
		if (!rule || !berm_advisor_meets(a, policy, other))
			continue;
		if (!found.others++) {
			found.rule = rule;
			found.other = other;
		}
	}
	if (found.others)
		tell_opens(a, document, &found);
}

void berm_advise_unions(struct advisor *a, const struct berm_advice_document *document)
{
	advise_union(a, document, BERM_INGRESS);
	advise_union(a, document, BERM_EGRESS);
}
