// SPDX-License-Identifier: Apache-2.0
/* advice_pod.c - documents against the pods that are known: selectors that select none, port names that none has. Knows no order. */
#include <string.h>

#include "advisor.h"
#include "hint.h"

/* ---- selectors ------------------------------------------------------------------------------------------ */

/* Without steps left nothing is said. */
static bool selects_any(struct advisor *a, const struct berm_scope *scope)
{
	if (a->steps < a->model->pod_count) {
		a->steps = 0;
		return true;
	}
	a->steps -= a->model->pod_count;
	for (size_t i = 0; i < a->model->pod_count; i++)
		if (berm_scope_selects(a->model, scope, a->model->pods[i]))
			return true;
	return false;
}

static void tell_nothing(struct advisor *a, const struct berm_advice_document *document,
			 const char *path)
{
	berm_advisor_tell(a, document,
			  &(struct advice_finding){
				  BERM_CODE_NO_POD, path,
				  "compare the labels; host-network pods match no selector" },
			  "selects none of the %zu pods that are known", a->model->pod_count);
}

static void advise_peers(struct advisor *a, const struct berm_advice_document *document,
			 const struct berm_policy_rule *rule)
{
	const struct berm_said said = { document->policy, rule };
	char path[128];

	for (size_t i = 0; i < rule->peer_count; i++) {
		const struct berm_peer_term *peer = &rule->peer[i];
		struct berm_scope scope;

		if (peer->any || peer->is_block || peer->unsupported)
			continue;
		scope = berm_scope_of_peer(document->policy, peer);
		if (selects_any(a, &scope))
			continue;
		if (document->policy->kind == BERM_KIND_CLUSTER)
			berm_advisor_path(path, &said, ".%s", berm_advisor_peers(rule));
		else
			berm_advisor_path(path, &said, ".%s[%zu]", berm_advisor_peers(rule), i);
		tell_nothing(a, document, path);
	}
}

void berm_advise_pods(struct advisor *a, const struct berm_advice_document *document)
{
	static const char *const subject[] = { [BERM_KIND_SEGMENTATION] = "subject",
					       [BERM_KIND_NETWORK] = "spec.podSelector",
					       [BERM_KIND_CLUSTER] = "spec.subject" };
	struct berm_scope scope = berm_scope_of_subject(document->policy);

	if (!selects_any(a, &scope))
		tell_nothing(a, document, subject[document->policy->kind]);
	for (size_t i = 0; i < document->policy->rule_count; i++) {
		const struct berm_said said = { document->policy, &document->policy->rule[i] };

		if (berm_advisor_is_there(a, &said))
			advise_peers(a, document, said.rule);
	}
}

/* ---- named ports ---------------------------------------------------------------------------------------- */

/* Is the pod one that the rule's connections may go to? */
static bool is_destination(const struct advisor *a, const struct berm_said *said,
			   const struct berm_pod *pod)
{
	const struct berm_policy_rule *rule = said->rule;
	struct berm_scope scope = berm_scope_of_subject(said->policy);

	if (rule->dir == BERM_INGRESS)
		return berm_scope_selects(a->model, &scope, pod);
	for (size_t i = 0; i < rule->peer_count; i++) {
		if (rule->peer[i].any || rule->peer[i].is_block)
			return true;
		scope = berm_scope_of_peer(said->policy, &rule->peer[i]);
		if (berm_scope_selects(a->model, &scope, pod))
			return true;
	}
	return !rule->peer_count;
}

/* A ClusterNetworkPolicy's name is one of any protocol. */
static bool has_port(const struct berm_pod *pod, const struct berm_said *said,
		     const struct berm_port_term *term, struct berm_nearest *nearest)
{
	for (size_t i = 0; i < pod->port_count; i++) {
		const struct berm_container_port *port = &pod->port[i];

		if (!port->name)
			continue;
		if (!strcmp(port->name, term->name) &&
		    (said->policy->kind == BERM_KIND_CLUSTER || port->plane == term->plane))
			return true;
		berm_nearest_try(nearest, port->name);
	}
	return false;
}

static void advise_port(struct advisor *a, const struct advice_rule *r,
			const struct berm_port_term *term, const char *path)
{
	struct berm_nearest nearest = { .word = term->name };
	size_t pods = 0;
	char hint[96];

	for (size_t i = 0; i < a->model->pod_count; i++) {
		const struct berm_pod *pod = a->model->pods[i];

		if (!is_destination(a, &r->said, pod))
			continue;
		pods++;
		if (has_port(pod, &r->said, term, &nearest))
			return;
	}
	if (pods)
		berm_advisor_tell(a, r->document,
				  &(struct advice_finding){
					  BERM_CODE_NO_PORT, path,
					  berm_nearest_text(&nearest,
							    "a container's port needs this name and protocol",
							    hint, sizeof(hint)) },
				  "none of the %zu pods that it could mean has a port '%s'", pods,
				  term->name);
}

/* Each item of `ports` is one term; messages of `icmp` are others, of planes of their own. */
void berm_advise_ports(struct advisor *a, const struct advice_rule *r)
{
	bool is_cluster = r->said.policy->kind == BERM_KIND_CLUSTER;
	const struct berm_policy_rule *rule = r->said.rule;
	char path[128];
	size_t item = 0;

	for (size_t i = 0; i < rule->port_count; i++) {
		const struct berm_port_term *term = &rule->port[i];

		if (term->plane == BERM_PLANE_ICMP || term->plane == BERM_PLANE_ICMPV6)
			continue;
		if (is_cluster)
			berm_advisor_path(path, &r->said, ".protocols");
		else
			berm_advisor_path(path, &r->said, ".ports[%zu].port", item);
		item++;
		if (term->name && (!is_cluster || term->plane == BERM_PLANE_TCP))
			advise_port(a, r, term, path);
	}
}
