// SPDX-License-Identifier: Apache-2.0
/* evaluate.c - policies, read rule by rule for one packet. Loops over everything, remembers nothing. */
#include <stdio.h>
#include <stdlib.h>

#include "evaluate.h"
#include "services.h"
#include "test.h"

/* ---- labels, selectors ---------------------------------------------------------------------------------- */

static const char *label(const struct berm_labels *labels, const char *key)
{
	for (size_t i = 0; i < labels->count; i++)
		if (!strcmp(labels->item[i].key, key))
			return labels->item[i].value;
	return NULL;
}

static bool one_of(const struct berm_requirement *r, const char *value)
{
	for (size_t i = 0; i < r->value_count; i++)
		if (!strcmp(r->value[i], value))
			return true;
	return false;
}

static bool satisfied(const struct berm_requirement *r, const char *value)
{
	switch (r->op) {
	case BERM_OP_EXISTS:
		return value != NULL;
	case BERM_OP_NOT_EXISTS:
		return value == NULL;
	case BERM_OP_IN:
		return value && one_of(r, value);
	case BERM_OP_NOT_IN:
		return !value || !one_of(r, value);
	}
	return false;
}

static bool selected(const struct berm_selector *sel, const struct berm_labels *labels)
{
	for (size_t i = 0; i < sel->count; i++)
		if (!satisfied(&sel->item[i], label(labels, sel->item[i].key)))
			return false;
	return true;
}

static const struct berm_namespace *namespace_of(const struct berm_model *m, const char *name)
{
	for (size_t i = 0; i < m->namespace_count; i++)
		if (!strcmp(m->namespaces[i]->name, name))
			return m->namespaces[i];
	return NULL;
}

/* A namespace that nobody described has its name as its only label. */
static bool namespace_selected(const struct berm_model *m, const struct berm_selector *sel,
			       const char *name)
{
	struct berm_label only = { (char *)"kubernetes.io/metadata.name", (char *)name };
	struct berm_labels labels = { &only, 1 };
	const struct berm_namespace *ns = namespace_of(m, name);

	return selected(sel, ns ? &ns->labels : &labels);
}

/* ---- who is behind an address ------------------------------------------------------------------------------ */

struct peer {
	struct berm_addr addr;
	bool is_node;
	bool is_service;	    /* an address that only stands for others */
	const struct berm_pod *pod; /* or NULL */
};

static bool same_addr(const struct berm_addr *a, const struct berm_addr *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static bool has_addr(const struct berm_addr *list, size_t count, const struct berm_addr *addr)
{
	for (size_t i = 0; i < count; i++)
		if (same_addr(&list[i], addr))
			return true;
	return false;
}

static const struct berm_pod *pod_named(const struct berm_model *m, const char *ns,
					const char *name)
{
	for (size_t i = 0; i < m->pod_count; i++)
		if (!strcmp(m->pods[i]->ns, ns) && !strcmp(m->pods[i]->name, name))
			return m->pods[i];
	return NULL;
}

static bool is_live(const struct berm_pod *pod)
{
	return pod && !pod->host_network && !pod->finished;
}

/* CNI has told the addresses of a local pod: its object is not asked. */
static bool told_by_cni(const struct berm_model *m, const struct berm_pod *pod)
{
	for (size_t i = 0; i < m->endpoint_count; i++)
		if (m->endpoints[i].addr_count &&
		    pod_named(m, m->endpoints[i].ns, m->endpoints[i].pod) == pod)
			return true;
	return false;
}

/* Created later; of one moment, the first by namespace and name. */
static bool is_later(const struct berm_pod *pod, const struct berm_pod *than)
{
	int rc;

	if (!than || pod->created != than->created)
		return !than || pod->created > than->created;
	rc = strcmp(pod->ns, than->ns);
	return rc ? rc < 0 : strcmp(pod->name, than->name) < 0;
}

/* CNI gave it to somebody here. Of several, one that we do not know yet is the latest and has no labels;
 * then the latest live pod; those that have finished have none either. */
static bool given_by_cni(const struct berm_model *m, const struct berm_addr *addr,
			 const struct berm_pod **ret)
{
	bool given = false, newcomer = false;

	*ret = NULL;
	for (size_t i = 0; i < m->endpoint_count; i++) {
		const struct berm_local_endpoint *ep = &m->endpoints[i];
		const struct berm_pod *pod = pod_named(m, ep->ns, ep->pod);

		if (!has_addr(ep->addr, ep->addr_count, addr))
			continue;
		given = true;
		newcomer |= !pod;
		if (is_live(pod) && is_later(pod, *ret))
			*ret = pod;
	}
	if (newcomer)
		*ret = NULL;
	return given;
}

static struct peer peer_behind(const struct berm_model *m, const struct berm_addr *addr)
{
	struct peer peer = { .addr = *addr };

	if (has_addr(m->node_addrs, m->node_addr_count, addr)) {
		peer.is_node = true;
		return peer;
	}
	if (given_by_cni(m, addr, &peer.pod))
		return peer;
	for (size_t i = 0; i < m->pod_count; i++) {
		const struct berm_pod *pod = m->pods[i];

		if (!is_live(pod) || told_by_cni(m, pod) ||
		    !has_addr(pod->addr, pod->addr_count, addr))
			continue;
		if (is_later(pod, peer.pod))
			peer.pod = pod;
	}
	return peer;
}

/* ---- does a rule match ------------------------------------------------------------------------------------------ */

static bool is_v4(const struct berm_addr *addr)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(addr, mapped, sizeof(mapped));
}

static bool in_cidr(const struct berm_cidr *cidr, const struct berm_addr *addr)
{
	const uint8_t *a = (const uint8_t *)addr, *c = (const uint8_t *)&cidr->addr;

	if (cidr->v4 != is_v4(addr))
		return false;
	for (unsigned int bit = 0; bit < cidr->bits; bit++)
		if ((a[bit / 8] ^ c[bit / 8]) & 0x80 >> bit % 8)
			return false;
	return true;
}

static bool block_matches(const struct berm_peer_term *term, const struct berm_addr *addr)
{
	for (size_t i = 0; i < term->except_count; i++)
		if (in_cidr(&term->except[i], addr))
			return false;
	return in_cidr(&term->block, addr);
}

static bool term_matches(const struct berm_model *m, const struct berm_policy *p,
			 const struct berm_peer_term *term, const struct peer *peer)
{
	if (term->unsupported)
		return false;
	if (term->any)
		return true;
	if (peer->is_service)
		return false;
	if (term->is_block)
		return block_matches(term, &peer->addr);
	if (!peer->pod)
		return false;
	if (term->has_ns_selector && !namespace_selected(m, &term->ns_selector, peer->pod->ns))
		return false;
	if (!term->has_ns_selector && !p->cluster_wide && strcmp(p->ns, peer->pod->ns))
		return false;
	return !term->has_pod_selector || selected(&term->pod_selector, &peer->pod->labels);
}

static bool peers_match(const struct berm_model *m, const struct berm_policy *p,
			const struct berm_policy_rule *r, const struct peer *peer)
{
	for (size_t i = 0; i < r->peer_count; i++)
		if (term_matches(m, p, &r->peer[i], peer))
			return true;
	return !r->peer_count;
}

/* A named port is looked up on the pod that is the destination. */
static bool named_port_matches(const struct berm_port_term *t, const struct berm_pod *destination,
			       uint16_t port)
{
	for (size_t i = 0; destination && i < destination->port_count; i++) {
		const struct berm_container_port *c = &destination->port[i];

		if (c->plane == t->plane && c->name && !strcmp(c->name, t->name) && c->port == port)
			return true;
	}
	return false;
}

static bool ports_match(const struct berm_policy_rule *r, const struct berm_pod *destination,
			const struct question *q)
{
	for (size_t i = 0; i < r->port_count; i++) {
		const struct berm_port_term *t = &r->port[i];

		if (t->plane != q->plane)
			continue;
		if (t->name ? named_port_matches(t, destination, q->port)
			    : t->all || (t->first <= q->port && q->port <= t->last))
			return true;
	}
	return !r->port_count;
}

/* ---- rules in order ------------------------------------------------------------------------------------------------ */

struct candidate {
	const struct berm_policy *policy;
	const struct berm_policy_rule *rule;
	uint8_t action; /* after "an unsupported peer fails closed" */
};

struct candidates {
	struct candidate *item;
	size_t count;
};

struct reading {
	const struct berm_model *m;
	const struct question *q;
	const struct berm_pod *pod;
	struct peer peer;
};

static bool policy_applies(const struct reading *r, const struct berm_policy *p)
{
	if (p->disabled || (p->audit && !r->q->would))
		return false;
	if (!p->cluster_wide && strcmp(p->ns, r->pod->ns))
		return false;
	if (p->has_ns_subject && !namespace_selected(r->m, &p->ns_subject, r->pod->ns))
		return false;
	return selected(&p->pod_subject, &r->pod->labels);
}

static bool isolates(const struct reading *r, const struct berm_policy *p)
{
	return policy_applies(r, p) && (p->isolate >> r->q->dir & 1);
}

/* A ClusterNetworkPolicy's rule of a later version: Accept means nobody. */
static bool is_void(const struct berm_policy_rule *rule)
{
	return rule->unsupported && rule->action == BERM_RULE_ALLOW;
}

static bool fails_closed(const struct berm_policy_rule *rule)
{
	if (rule->unsupported)
		return rule->action != BERM_RULE_ALLOW;
	for (size_t i = 0; i < rule->peer_count; i++)
		if (rule->peer[i].unsupported)
			return rule->action == BERM_RULE_DENY || rule->action == BERM_RULE_PASS ||
			       rule->action == BERM_RULE_REJECT;
	return false;
}

static bool rule_matches(const struct reading *r, const struct berm_policy *p,
			 const struct berm_policy_rule *rule)
{
	const struct berm_pod *destination = r->q->dir == BERM_INGRESS ? r->pod : r->peer.pod;

	if (rule->dir != r->q->dir || rule->action == BERM_RULE_LOG || is_void(rule))
		return false;
	if (rule->mode == BERM_MODE_DISABLED || (rule->mode == BERM_MODE_AUDIT && !r->q->would))
		return false;
	if (fails_closed(rule))
		return true;
	return peers_match(r->m, p, rule, &r->peer) && ports_match(rule, destination, r->q);
}

static int rank(uint8_t action)
{
	return action == BERM_RULE_DENY || action == BERM_RULE_REJECT ? 0
	       : action == BERM_RULE_ALLOW			      ? 1
								      : 2;
}

/* Priority, then SegmentationPolicies: Deny before Allow before Pass, then namespace, name, index. After them
 * ClusterNetworkPolicies: name, index. */
static int in_order(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	bool x_late = x->policy->kind == BERM_KIND_CLUSTER,
	     y_late = y->policy->kind == BERM_KIND_CLUSTER;
	int rc = 0;

	if (x->policy->kind != BERM_KIND_NETWORK) /* which has none */
		rc = x->policy->priority - y->policy->priority;
	if (!rc)
		rc = (int)x_late - (int)y_late;
	if (!rc && !x_late)
		rc = rank(x->action) - rank(y->action);
	if (!rc)
		rc = strcmp(x->policy->ns, y->policy->ns);
	if (!rc)
		rc = strcmp(x->policy->name, y->policy->name);
	return rc ? rc : (int)x->rule->index - (int)y->rule->index;
}

static void collect(const struct reading *r, enum berm_tier tier, struct candidates *out)
{
	out->count = 0;
	for (size_t i = 0; i < r->m->policy_count; i++) {
		const struct berm_policy *p = r->m->policies[i];

		if (p->tier != tier || !policy_applies(r, p))
			continue;
		for (size_t k = 0; k < p->rule_count; k++) {
			if (!rule_matches(r, p, &p->rule[k]))
				continue;
			out->item = reallocarray(out->item, out->count + 1, sizeof(*out->item));
			out->item[out->count++] = (struct candidate){ p, &p->rule[k],
								      fails_closed(&p->rule[k])
									      ? BERM_RULE_DENY
									      : p->rule[k].action };
		}
	}
	if (out->count)
		qsort(out->item, out->count, sizeof(*out->item), in_order);
}

/* ---- the stages -------------------------------------------------------------------------------------------------------- */

static struct answer answer_rule(const struct candidate *c)
{
	static const char *const tiers[] = { "emergency", "admin", "application", "networkpolicy",
					     "baseline" };
	bool deny = c->action == BERM_RULE_DENY;
	struct answer a = { .action = deny ? BERM_ACTION_DENY : BERM_ACTION_ALLOW,
			    .reason = deny ? BERM_REASON_POLICY_DENY : BERM_REASON_POLICY_ALLOW };
	char number[16];

	if (c->action == BERM_RULE_REJECT) {
		a.action = BERM_ACTION_REJECT;
		a.reason = BERM_REASON_POLICY_DENY;
	}
	snprintf(number, sizeof(number), "#%u", c->rule->index);
	snprintf(a.rule, sizeof(a.rule), "%s %s%s%s:%s", tiers[c->policy->tier], c->policy->ns,
		 *c->policy->ns ? "/" : "", c->policy->name,
		 c->rule->name ? c->rule->name : number);
	return a;
}

/* The first match decides; a Pass ends the stage. */
static bool stage_decides(const struct reading *r, enum berm_tier tier, struct answer *out)
{
	struct candidates found = { 0 };
	bool decided;

	collect(r, tier, &found);
	decided = found.count && found.item[0].action != BERM_RULE_PASS;
	if (decided)
		*out = answer_rule(&found.item[0]);
	free(found.item);
	return decided;
}

static bool is_dns_pod(const struct berm_pod *pod)
{
	const char *app = pod ? label(&pod->labels, "k8s-app") : NULL;

	return app && !strcmp(app, "kube-dns") && !strcmp(pod->ns, "kube-system");
}

static bool is_behind(const struct reading *r, const char *ns, const char *name)
{
	return !r->peer.is_service &&
	       services_is_target(r->m, ns, name, &r->peer.addr, r->q->plane, r->q->port);
}

static bool is_essential(const struct reading *r, uint8_t granted)
{
	bool dns_granted = granted & BERM_ESSENTIAL_DNS;

	if (r->q->dir != BERM_EGRESS)
		return false;
	if (r->peer.is_node)
		return true;
	if (granted & BERM_ESSENTIAL_APISERVER && r->q->plane == BERM_PLANE_TCP &&
	    is_behind(r, "default", "kubernetes"))
		return true;
	if (dns_granted && (r->q->plane == BERM_PLANE_TCP || r->q->plane == BERM_PLANE_UDP) &&
	    is_behind(r, "kube-system", "kube-dns"))
		return true;
	return dns_granted && is_dns_pod(r->peer.pod) && r->q->port == 53 &&
	       (r->q->plane == BERM_PLANE_TCP || r->q->plane == BERM_PLANE_UDP);
}

static bool is_isolated(const struct reading *r)
{
	for (size_t i = 0; i < r->m->policy_count; i++)
		if (isolates(r, r->m->policies[i]))
			return true;
	return false;
}

static uint8_t all_grant(const struct reading *r)
{
	uint8_t granted = BERM_ESSENTIAL_DNS | BERM_ESSENTIAL_APISERVER;

	for (size_t i = 0; i < r->m->policy_count; i++) {
		const struct berm_policy *p = r->m->policies[i];

		if (isolates(r, p))
			granted &= p->kind == BERM_KIND_NETWORK ? 0 : p->essentials;
	}
	return granted;
}

/* A NetworkPolicy drops. */
static bool all_reject(const struct reading *r)
{
	for (size_t i = 0; i < r->m->policy_count; i++) {
		const struct berm_policy *p = r->m->policies[i];

		if (isolates(r, p) && (p->kind == BERM_KIND_NETWORK || !p->rejects))
			return false;
	}
	return true;
}

static struct answer essential(void)
{
	return (struct answer){ .action = BERM_ACTION_ALLOW, .reason = BERM_REASON_ESSENTIAL };
}

static struct answer service_unknown(void)
{
	return (struct answer){ .action = BERM_ACTION_DENY, .reason = BERM_REASON_SERVICE_UNKNOWN };
}

static struct answer answer_isolated(const struct reading *r)
{
	struct answer a = { .action = BERM_ACTION_DENY, .reason = BERM_REASON_DEFAULT_DENY };
	const char *between = "default-deny:";
	size_t used = 0;

	if (is_essential(r, all_grant(r)))
		return essential();
	if (r->peer.is_service)
		return service_unknown();
	if (all_reject(r))
		a.action = BERM_ACTION_REJECT;
	for (size_t i = 0; i < r->m->policy_count; i++) {
		const struct berm_policy *p = r->m->policies[i];

		if (!isolates(r, p))
			continue;
		used += (size_t)snprintf(a.rule + used, sizeof(a.rule) - used, "%s%s/%s", between,
					 p->ns, p->name);
		between = ",";
	}
	return a;
}

static struct answer answer_default(const struct reading *r)
{
	const struct berm_namespace *ns = namespace_of(r->m, r->pod->ns);
	struct answer a = { .action = BERM_ACTION_DENY, .reason = BERM_REASON_DEFAULT_DENY };

	if (!ns || !ns->default_deny)
		return (struct answer){ .action = BERM_ACTION_ALLOW,
					.reason = BERM_REASON_NOT_ISOLATED };
	if (is_essential(r, BERM_ESSENTIAL_DNS | BERM_ESSENTIAL_APISERVER))
		return essential();
	if (r->peer.is_service)
		return service_unknown();
	snprintf(a.rule, sizeof(a.rule), "default-deny:%s", ns->name);
	return a;
}

/* One address, as what it is. */
static struct answer judge(const struct berm_model *m, const struct question *q,
			   const struct peer *peer)
{
	static const enum berm_tier before[] = { BERM_TIER_EMERGENCY, BERM_TIER_ADMIN,
						 BERM_TIER_APPLICATION, BERM_TIER_NETWORKPOLICY };
	struct reading r = {
		.m = m, .q = q, .pod = pod_named(m, q->ep->ns, q->ep->pod), .peer = *peer
	};
	struct answer a;

	ASSERT_TRUE(r.pod);
	if (!r.pod)
		return essential(); /* never: for analysers, which do not know that a test has ended */
	for (size_t i = 0; i < ARRAY_SIZE(before); i++)
		if (stage_decides(&r, before[i], &a))
			return a;
	if (is_isolated(&r))
		return answer_isolated(&r);
	if (stage_decides(&r, BERM_TIER_BASELINE, &a))
		return a;
	return answer_default(&r);
}

/* ---- Services -------------------------------------------------------------------------------------------------------- */

static bool is_owned(const struct berm_model *m, const struct berm_addr *addr)
{
	const struct berm_pod *pod;
	struct peer peer = peer_behind(m, addr);

	return peer.is_node || peer.pod || given_by_cni(m, addr, &pod);
}

/* Nothing leads on from there: an endpoint with a Service's address is nobody. */
static struct peer end_at(const struct berm_model *m, const struct berm_addr *addr)
{
	static struct led led;

	services_lead(m, addr, BERM_PLANE_OTHER, 0, is_owned(m, addr), &led);
	if (led.is_service)
		return (struct peer){ .addr = *addr, .is_service = true };
	return peer_behind(m, addr);
}

/* All backends agree, or nobody knows whom the packet would come to. */
static struct answer judge_all(const struct berm_model *m, const struct question *q,
			       const struct led *led)
{
	struct answer first = { 0 };

	for (size_t i = 0; i < led->count; i++) {
		struct question one = *q;
		struct peer peer = end_at(m, &led->to[i].addr);
		struct answer a;

		one.peer = led->to[i].addr;
		one.port = led->to[i].port;
		a = judge(m, &one, &peer);
		if (!i)
			first = a;
		if ((a.action == BERM_ACTION_ALLOW) != (first.action == BERM_ACTION_ALLOW))
			return (struct answer){ .action = BERM_ACTION_DENY,
						.reason = BERM_REASON_SERVICE_MIXED };
	}
	return first;
}

struct answer evaluate(const struct berm_model *m, const struct question *q)
{
	static struct led led;
	struct peer peer = peer_behind(m, &q->peer);
	bool owned = is_owned(m, &q->peer);

	if (q->dir == BERM_INGRESS)
		return judge(m, q, &peer);
	services_lead(m, &q->peer, q->plane, q->port, owned, &led);
	if (led.count)
		return judge_all(m, q, &led);
	if (led.is_service || led.is_place)
		peer = (struct peer){ .addr = q->peer, .is_service = true };
	return judge(m, q, &peer);
}
