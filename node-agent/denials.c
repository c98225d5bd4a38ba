/* SPDX-License-Identifier: Apache-2.0 */
/* denials.c - remembers edges that were told, oldest first, and words new ones. */
#include "denials.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "maps.h"

#define MAX_EDGES 1024
#define AGAIN_S	  600

struct edge_key { /* zeroed before: it is compared as memory */
	struct berm_addr peer;
	uint32_t slot, ifindex, rule;
	uint16_t port;
	uint8_t proto, dir;
};

struct edge {
	UT_hash_handle hh; /* in the order of told_s */
	struct edge_key key;
	time_t told_s; /* CLOCK_MONOTONIC */
};

struct berm_denials {
	const struct berm_model *model;
	struct berm_apievents *events;
	struct edge *edges;
};

static time_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static void forget(struct berm_denials *denials, struct edge *edge)
{
	HASH_DEL(denials->edges, edge);
	free(edge);
}

/* Is it time to tell it? If so it is remembered as told. */
static bool remember(struct berm_denials *denials, const struct edge_key *key)
{
	time_t now = now_s();
	struct edge *edge;

	HASH_FIND(hh, denials->edges, key, sizeof(*key), edge);
	if (edge && now - edge->told_s < AGAIN_S)
		return false;
	if (edge)
		forget(denials, edge);
	if (HASH_COUNT(denials->edges) >= MAX_EDGES) {
		if (now - denials->edges->told_s < AGAIN_S)
			return false; /* a scan: enough has been said */
		forget(denials, denials->edges);
	}
	edge = calloc(1, sizeof(*edge));
	if (!edge)
		return false;
	edge->key = *key;
	edge->told_s = now;
	HASH_ADD(hh, denials->edges, key, sizeof(edge->key), edge);
	if (!edge->hh.tbl) {
		free(edge);
		return false;
	}
	return true;
}

static bool is_denial(const struct berm_event *event)
{
	return event->action != BERM_ACTION_ALLOW && !event->is_reply &&
	       (event->reason == BERM_REASON_POLICY_DENY ||
		event->reason == BERM_REASON_APP_MISMATCH ||
		event->reason == BERM_REASON_DEFAULT_DENY);
}

static bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

static uint16_t port_of(const struct berm_event *event)
{
	if (!has_ports(event->proto))
		return 0;
	return ntohs(event->dir == BERM_EGRESS ? event->peer_port : event->local_port);
}

/* ---- words ----------------------------------------------------------------------------------------------------- */

static const char *proto_name(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return "TCP";
	case IPPROTO_UDP:
		return "UDP";
	case IPPROTO_SCTP:
		return "SCTP";
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return "ICMP";
	default:
		return "another protocol";
	}
}

/* Pods of other namespaces have no name here: whoever reads the Event may know this namespace only. */
static void name_peer(const struct berm_model *model, const char *ns, const struct berm_addr *addr,
		      char *out, size_t size)
{
	char ip[BERM_ADDR_STRLEN];
	const struct berm_pod *pod;

	berm_addr_format(addr, ip);
	snprintf(out, size, "%s", ip);
	for (size_t i = 0; i < model->pod_count; i++) {
		pod = model->pods[i];
		if (pod->finished || pod->host_network || strcmp(pod->ns, ns) != 0)
			continue;
		for (size_t j = 0; j < pod->addr_count; j++)
			if (!memcmp(&pod->addr[j], addr, sizeof(*addr)))
				snprintf(out, size, "pod %s (%s)", pod->name, ip);
	}
}

static void name_cause(const struct berm_names *names, const struct berm_event *event, char *out,
		       size_t size)
{
	const struct berm_rule_name *name = names ? berm_names_find(names, event->rule) : NULL;

	if (!name)
		snprintf(out, size, "%s", berm_reason_name(event->reason));
	else if (!strcmp(name->tier, "implicit"))
		snprintf(out, size, "no rule allows it, and the pod is isolated%s%s",
			 *name->rule ? " by " : "", name->rule);
	else
		snprintf(out, size, "rule %s of %s %s%s%s denies it", name->rule, name->kind,
			 name->ns, *name->ns ? "/" : "", name->policy);
}

static const struct berm_pod *pod_in(const struct berm_model *model, uint32_t slot)
{
	for (size_t i = 0; i < model->endpoint_count; i++)
		if (model->endpoints[i].slot == slot)
			return berm_model_pod_of(model, &model->endpoints[i]);
	return NULL;
}

static void tell(struct berm_denials *denials, const struct berm_event *event,
		 const struct berm_pod *pod, const struct berm_names *names)
{
	char peer[400], cause[640], port[16] = "", edge[480], message[1100];
	bool is_egress = event->dir == BERM_EGRESS;

	name_peer(denials->model, pod->ns, &event->peer, peer, sizeof(peer));
	name_cause(names, event, cause, sizeof(cause));
	if (has_ports(event->proto))
		snprintf(port, sizeof(port), " port %u", port_of(event));
	snprintf(edge, sizeof(edge), "%s %s,%s %s", is_egress ? "egress to" : "ingress from", peer,
		 port, proto_name(event->proto));
	snprintf(message, sizeof(message), "%s dropped: %.500s", edge, cause);
	(void)berm_apievents_add(denials->events, /* counts what it cannot take */
				 &(struct berm_apinote){
					 .version = "v1",
					 .kind = "Pod",
					 .ns = pod->ns,
					 .name = pod->name,
					 .uid = pod->uid,
					 .is_warning = true,
					 .reason = "PolicyDenied",
					 .subject = edge,
					 .message = message,
				 });
}

/* ---- the interface ------------------------------------------------------------------------------------------------ */

void berm_denials_add(struct berm_denials *denials, const struct berm_event *event,
		      const struct berm_names *names)
{
	const struct berm_pod *pod;
	struct edge_key key;

	if (!is_denial(event) || !berm_apievents_has_room(denials->events))
		return;
	memset(&key, 0, sizeof(key));
	key.peer = event->peer;
	key.slot = event->slot;
	key.ifindex = event->ifindex;
	key.rule = event->rule;
	key.port = port_of(event);
	key.proto = event->proto;
	key.dir = event->dir;
	if (!remember(denials, &key))
		return;
	pod = pod_in(denials->model, event->slot);
	if (pod)
		tell(denials, event, pod, names);
}

int berm_denials_new(const struct berm_model *model, struct berm_apievents *events,
		     struct berm_denials **ret, struct berm_err *err)
{
	struct berm_denials *denials = calloc(1, sizeof(*denials));

	if (!denials)
		return berm_fail(err, -ENOMEM, "remember denials");
	denials->model = model;
	denials->events = events;
	*ret = denials;
	return 0;
}

void berm_denials_free(struct berm_denials *denials)
{
	while (denials && denials->edges)
		forget(denials, denials->edges);
	free(denials);
}
