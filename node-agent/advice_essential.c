// SPDX-License-Identifier: Apache-2.0
/*
 * advice_essential.c - rules that allow what is allowed already: by an essential, or because a pod's own node always reaches it.
 * The API server's and nodes' addresses are known from EndpointSlices and host-network pods, where such are given.
 */
#include <string.h>

#include "advisor.h"

#define DNS_PORT 53

/* An essential holds only if all who isolate grant it. */
static bool is_granted(const struct advisor *a, const struct berm_policy *policy, uint8_t essential)
{
	for (size_t i = 0; i < a->advice->count; i++) {
		const struct berm_policy *other = a->advice->document[i].policy;

		if (berm_advisor_isolates(other, BERM_EGRESS) && !(other->essentials & essential) &&
		    berm_advisor_may_meet(a, policy, other))
			return false;
	}
	return true;
}

bool berm_advisor_is_dns_only(const struct advisor *a, const struct berm_said *said)
{
	static const struct berm_port_term udp = { .plane = BERM_PLANE_UDP,
						   .first = DNS_PORT,
						   .last = DNS_PORT },
					   tcp = { .plane = BERM_PLANE_TCP,
						   .first = DNS_PORT,
						   .last = DNS_PORT };
	const struct berm_policy_rule *rule = said->rule;

	for (size_t i = 0; i < rule->port_count; i++)
		if (!berm_port_term_covers(&udp, &rule->port[i]) &&
		    !berm_port_term_covers(&tcp, &rule->port[i]))
			return false;
	for (size_t i = 0; i < rule->peer_count; i++) {
		const struct berm_peer_term *peer = &rule->peer[i];
		struct berm_scope scope = berm_scope_of_peer(said->policy, peer);

		if (peer->any || peer->is_block || peer->unsupported ||
		    !berm_advisor_is_dns(a, &scope))
			return false;
	}
	return rule->port_count && rule->peer_count;
}

/* ---- the API server ------------------------------------------------------------------------------------------ */

static bool has_endpoint(const struct berm_slice *slice, const struct berm_addr *addr,
			 uint16_t port)
{
	bool has_addr = false, has_port = false;

	for (size_t i = 0; i < slice->endpoint_count; i++)
		has_addr |= !memcmp(&slice->endpoint[i].addr, addr, sizeof(*addr));
	for (size_t i = 0; i < slice->port_count; i++)
		has_port |= slice->port[i].plane == BERM_PLANE_TCP && slice->port[i].port == port;
	return has_addr && has_port;
}

static bool is_apiserver(const struct berm_model *model, const struct berm_addr *addr,
			 uint16_t port)
{
	for (size_t i = 0; i < model->slice_count; i++) {
		const struct berm_slice *slice = model->slices[i];

		if (slice->service && !strcmp(slice->service, "kubernetes") &&
		    !strcmp(slice->ns, "default") && has_endpoint(slice, addr, port))
			return true;
	}
	return false;
}

/* One address, and no pod of a selector. */
static bool is_address(const struct berm_peer_term *peer)
{
	return peer->is_block && !peer->ipset && peer->block.bits == 128;
}

static bool is_apiserver_only(const struct advisor *a, const struct berm_policy_rule *rule)
{
	for (size_t i = 0; i < rule->peer_count; i++) {
		if (!is_address(&rule->peer[i]))
			return false;
		for (size_t k = 0; k < rule->port_count; k++) {
			const struct berm_port_term *port = &rule->port[k];

			if (port->plane != BERM_PLANE_TCP || port->all || port->name ||
			    port->first != port->last ||
			    !is_apiserver(a->model, &rule->peer[i].block.addr, port->first))
				return false;
		}
	}
	return rule->port_count && rule->peer_count;
}

/* ---- the own node: probes -------------------------------------------------------------------------------------- */

/* Whose address it is, by its host-network pods. */
static const char *node_of(const struct berm_model *model, const struct berm_addr *addr)
{
	for (size_t i = 0; i < model->pod_count; i++) {
		const struct berm_pod *pod = model->pods[i];

		for (size_t k = 0; pod->host_network && pod->node && k < pod->addr_count; k++)
			if (!memcmp(&pod->addr[k], addr, sizeof(*addr)))
				return pod->node;
	}
	return NULL;
}

/* Of all pods that the rule is about. */
static bool is_own_node(const struct advisor *a, const struct berm_said *said, const char *node)
{
	struct berm_scope scope = berm_scope_of_subject(said->policy);
	bool is_any = false;

	for (size_t i = 0; i < a->model->pod_count; i++) {
		const struct berm_pod *pod = a->model->pods[i];

		if (!berm_scope_selects(a->model, &scope, pod))
			continue;
		if (!pod->node || strcmp(pod->node, node) != 0)
			return false;
		is_any = true;
	}
	return is_any;
}

static bool is_node_only(const struct advisor *a, const struct berm_said *said)
{
	for (size_t i = 0; i < said->rule->peer_count; i++) {
		const struct berm_peer_term *peer = &said->rule->peer[i];
		const char *node = is_address(peer) ? node_of(a->model, &peer->block.addr) : NULL;

		if (!node || !is_own_node(a, said, node))
			return false;
	}
	return said->rule->peer_count;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static void tell(struct advisor *a, const struct advice_rule *r, const char *hint, const char *what)
{
	char path[128];

	berm_advisor_path(path, &r->said, "%s", "");
	berm_advisor_tell(a, r->document, &(struct advice_finding){ BERM_CODE_COVERED, path, hint },
			  "%s", what);
}

static void advise_egress(struct advisor *a, const struct advice_rule *r)
{
	const struct berm_policy *policy = r->said.policy;

	if (policy->tier != BERM_TIER_APPLICATION || !berm_advisor_isolates(policy, BERM_EGRESS))
		return;
	if (policy->essentials & BERM_ESSENTIAL_DNS && berm_advisor_is_dns_only(a, &r->said) &&
	    is_granted(a, policy, BERM_ESSENTIAL_DNS))
		tell(a, r, "remove it, or write essentials without dns",
		     "the essential dns allows this already");
	if (policy->essentials & BERM_ESSENTIAL_APISERVER && is_apiserver_only(a, r->said.rule) &&
	    is_granted(a, policy, BERM_ESSENTIAL_APISERVER))
		tell(a, r, "remove it, or write essentials without apiserver",
		     "the essential apiserver allows this already");
}

void berm_advise_essentials(struct advisor *a, const struct advice_rule *r)
{
	if (r->said.rule->action != BERM_RULE_ALLOW || r->said.rule->unsupported)
		return;
	if (r->said.rule->dir == BERM_EGRESS)
		advise_egress(a, r);
	else if (a->has_pods && is_node_only(a, &r->said))
		tell(a, r, "remove it",
		     "the own node of these pods is always let in: probes of the kubelet need no rule");
}
