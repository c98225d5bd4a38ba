// SPDX-License-Identifier: Apache-2.0
/* why.c - a question about a flow to JSON that explains it. Never decides: the verdict is the data path's. */
#include "why.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "cell.h"
#include "cleanup.h"
#include "frame.h"
#include "nearmiss.h"

#define ECHO4	     (8 << 8)
#define ECHO6	     (128 << 8)
#define DEFAULT_PORT 40000 /* of the side that opens */

struct end {
	struct berm_addr addr[BERM_MAX_ADDRS];
	size_t addr_count;
	const struct berm_pod *pod;		/* NULL: nobody that is known */
	const struct berm_local_endpoint *here; /* NULL: not on this node */
	bool is_node;				/* one of this node's own addresses */
};

struct why {
	const struct berm_agent *agent;
	const struct berm_explain *explain;
	const struct berm_names *names;
	struct end src, dst;
	struct berm_flow5 flow;
	uint8_t plane;
	bool as_new;
	cJSON *out;
};

/* ---- who is it ---------------------------------------------------------------------------------------------- */

static bool has_addr(const struct berm_addr *list, size_t count, const struct berm_addr *addr)
{
	for (size_t i = 0; i < count; i++)
		if (!memcmp(&list[i], addr, sizeof(*addr)))
			return true;
	return false;
}

static void take_endpoint(struct end *end, const struct berm_model *m,
			  const struct berm_local_endpoint *ep)
{
	end->here = ep;
	end->pod = berm_model_pod_of(m, ep);
	memcpy(end->addr, ep->addr, sizeof(end->addr));
	end->addr_count = ep->addr_count;
}

static void take_pod(struct end *end, const struct berm_pod *pod)
{
	end->pod = pod;
	memcpy(end->addr, pod->addr, sizeof(end->addr));
	end->addr_count = pod->addr_count;
}

static int find_by_name(const struct berm_model *m, const char *text, struct end *end,
			struct berm_err *err)
{
	const char *slash = strchr(text, '/'), *name = slash + 1;
	const struct berm_pod *pod;
	char ns[64] = "";

	if ((size_t)(slash - text) < sizeof(ns))
		memcpy(ns, text, (size_t)(slash - text));
	for (size_t i = 0; i < m->endpoint_count; i++)
		if (!strcmp(m->endpoints[i].ns, ns) && !strcmp(m->endpoints[i].pod, name)) {
			take_endpoint(end, m, &m->endpoints[i]);
			return 0;
		}
	pod = berm_model_pod(m, ns, name);
	if (!pod)
		return berm_refuse(err, -ENOENT, "no pod '%s' is known here", text);
	if (pod->host_network)
		return berm_refuse(err, -ENOENT,
				   "pod %s has its node's network: ask with an address of the node",
				   text);
	take_pod(end, pod);
	return 0;
}

static void find_by_addr(const struct berm_model *m, const struct berm_addr *addr, struct end *end)
{
	end->is_node = has_addr(m->node_addrs, m->node_addr_count, addr);
	for (size_t i = 0; i < m->endpoint_count; i++)
		if (has_addr(m->endpoints[i].addr, m->endpoints[i].addr_count, addr))
			take_endpoint(end, m, &m->endpoints[i]);
	for (size_t i = 0; !end->here && i < m->pod_count; i++)
		if (!m->pods[i]->finished && !m->pods[i]->host_network &&
		    has_addr(m->pods[i]->addr, m->pods[i]->addr_count, addr))
			take_pod(end, m->pods[i]);
	end->addr[0] = *addr; /* this one, whatever else it has */
	end->addr_count = 1;
}

static int find_end(const struct why *w, const cJSON *question, const char *key, struct end *end,
		    struct berm_err *err)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(question, key);
	struct berm_addr addr;

	if (!cJSON_IsString(value) || !*value->valuestring)
		return berm_refuse(err, -EINVAL, "%s is missing: an IP address or NAMESPACE/POD",
				   key);
	if (strchr(value->valuestring, '/'))
		return find_by_name(&w->agent->engine.model, value->valuestring, end, err);
	if (berm_addr_parse(value->valuestring, &addr))
		return berm_refuse(err, -EINVAL,
				   "%s '%s' is neither an IP address nor NAMESPACE/POD", key,
				   value->valuestring);
	find_by_addr(&w->agent->engine.model, &addr, end);
	return 0;
}

/* The first pair of one family; IPv4 first unless told otherwise. */
static int choose_family(struct why *w, int version, struct berm_err *err)
{
	for (int round = 0; round < 2; round++) {
		bool v4 = !round == (version != 6);

		if (version && round)
			break;
		for (size_t s = 0; s < w->src.addr_count; s++)
			for (size_t d = 0; d < w->dst.addr_count; d++)
				if (berm_addr_is_v4(&w->src.addr[s]) == v4 &&
				    berm_addr_is_v4(&w->dst.addr[d]) == v4) {
					w->flow.src = w->src.addr[s];
					w->flow.dst = w->dst.addr[d];
					return 0;
				}
	}
	return berm_refuse(err, -EINVAL, "the two ends have no addresses of the same family%s",
			   version == 4	  ? " IPv4"
			   : version == 6 ? " IPv6"
					  : "");
}

/* ---- what is it ---------------------------------------------------------------------------------------------- */

/* A whole number from 0 to max, `absent` if it is not there. */
static int number(const cJSON *question, const char *key, int max, int absent, int *ret,
		  struct berm_err *err)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(question, key);

	*ret = absent;
	if (!value)
		return 0;
	if (!cJSON_IsNumber(value) || value->valuedouble < 0 || value->valuedouble > max ||
	    value->valuedouble != (int)value->valuedouble)
		return berm_refuse(err, -EINVAL, "%s is not a whole number from 0 to %d", key, max);
	*ret = (int)value->valuedouble;
	return 0;
}

static int protocol(struct why *w, const cJSON *question, struct berm_err *err)
{
	static const struct {
		const char *name;
		uint8_t proto, plane;
	} known[] = {
		{ "TCP", IPPROTO_TCP, BERM_PLANE_TCP },
		{ "UDP", IPPROTO_UDP, BERM_PLANE_UDP },
		{ "SCTP", IPPROTO_SCTP, BERM_PLANE_SCTP },
		{ "ICMP", IPPROTO_ICMP, BERM_PLANE_ICMP },
	};
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(question, "protocol");
	const char *name = cJSON_IsString(value) ? value->valuestring : value ? "" : "TCP";

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcasecmp(known[i].name, name) != 0)
			continue;
		w->flow.proto = known[i].proto;
		w->plane = known[i].plane;
		return 0;
	}
	return berm_refuse(err, -EINVAL, "protocol '%s' is none of TCP, UDP, SCTP, ICMP", name);
}

static int ports(struct why *w, const cJSON *question, struct berm_err *err)
{
	bool v4 = berm_addr_is_v4(&w->flow.src);
	int port, source;
	int rc = number(question, "port", 65535, -1, &port, err);

	if (!rc)
		rc = number(question, "source_port", 65535, DEFAULT_PORT, &source, err);
	if (rc)
		return rc;
	w->flow.sport = (uint16_t)source;
	w->flow.dport = (uint16_t)port;
	if (w->flow.proto == IPPROTO_ICMP) {
		w->flow.dport = v4 ? ECHO4 : ECHO6;
		w->flow.proto = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
		w->plane = v4 ? BERM_PLANE_ICMP : BERM_PLANE_ICMPV6;
	} else if (port < 0) {
		return berm_refuse(err, -EINVAL, "port is missing: which one of the destination?");
	}
	return 0;
}

static int understand(struct why *w, const cJSON *question, struct berm_err *err)
{
	int version, rc;

	if (!cJSON_IsObject(question))
		return berm_refuse(err, -EINVAL, "the body is no JSON object");
	w->as_new = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(question, "as_new"));
	rc = find_end(w, question, "source", &w->src, err);
	if (!rc)
		rc = find_end(w, question, "destination", &w->dst, err);
	if (!rc)
		rc = number(question, "ip_version", 6, 0, &version, err);
	if (!rc && version && version != 4 && version != 6)
		rc = berm_refuse(err, -EINVAL, "ip_version is neither 4 nor 6");
	if (!rc)
		rc = protocol(w, question, err);
	if (!rc)
		rc = choose_family(w, version, err);
	return rc ? rc : ports(w, question, err);
}

/* ---- the answer ------------------------------------------------------------------------------------------------ */

/* One of the pod's two programs, asked about this packet. */
static int ask(const struct why *w, int dir, bool as_new, struct berm_explain_verdict *ret,
	       struct berm_err *err)
{
	const struct end *own = dir == BERM_INGRESS ? &w->dst : &w->src;
	uint8_t frame[BERM_FRAME_MAX];
	struct berm_explain_question q = {
		.dir = dir,
		.ifindex = own->here->ifindex,
		.from_node = dir == BERM_INGRESS && w->src.is_node,
		.in_ifindex = w->src.is_node ? 0 : 1, /* some device that is not the pod's */
		.as_new = as_new,
		.frame = frame,
	};

	q.size = berm_frame_make(&w->flow, frame);
	return berm_explain_ask(w->explain, &q, ret, err);
}

static void add_misses(const struct why *w, cJSON *to, int dir)
{
	const struct end *own = dir == BERM_INGRESS ? &w->dst : &w->src;
	const struct end *other = dir == BERM_INGRESS ? &w->src : &w->dst;
	struct berm_miss_question q = {
		.dir = (uint8_t)dir,
		.pod = own->pod,
		.peer = other->pod,
		.peer_addr = dir == BERM_INGRESS ? w->flow.src : w->flow.dst,
		.plane = w->plane,
		.port = w->flow.dport,
	};
	struct berm_miss miss[BERM_MISSES];
	unsigned int count;
	cJSON *array;

	if (!own->pod)
		return;
	count = berm_near_misses(&w->agent->engine.model, &q, miss);
	array = cJSON_AddArrayToObject(to, "near_misses");
	for (unsigned int i = 0; i < count; i++) {
		cJSON *item = cJSON_CreateObject();
		char index[16];

		snprintf(index, sizeof(index), "#%u", miss[i].rule->index);
		cJSON_AddStringToObject(item, "kind", berm_policy_kind_name(miss[i].policy->kind));
		if (miss[i].policy->ns)
			cJSON_AddStringToObject(item, "namespace", miss[i].policy->ns);
		cJSON_AddStringToObject(item, "policy", miss[i].policy->name);
		cJSON_AddStringToObject(item, "rule",
					miss[i].rule->name ? miss[i].rule->name : index);
		cJSON_AddStringToObject(item, "text", miss[i].text);
		cJSON_AddItemToArray(array, item);
	}
}

static void add_members(cJSON *to, cJSON *from)
{
	while (from && from->child) {
		cJSON *child = cJSON_DetachItemViaPointer(from, from->child);

		cJSON_AddItemToObject(to, child->string, child);
	}
	cJSON_Delete(from);
}

/* Which cell of the pod's matrix it was: that of a new flow, for a session that is judged again may have been opened
 * from the other side. Not there if the verdict came from elsewhere, or if another generation came between. */
static void add_matrix(const struct why *w, cJSON *to, int dir,
		       const struct berm_explain_verdict *verdict)
{
	const struct end *own = dir == BERM_INGRESS ? &w->dst : &w->src;
	const struct berm_maps *maps = w->agent->engine.maps;
	uint32_t set = maps->endpoints[own->here->slot].set[dir];
	uint32_t at = (uint32_t)w->plane << 16 | w->flow.dport;
	struct berm_explain_verdict fresh;
	struct berm_cell cell;
	cJSON *matrix;

	if (!verdict->cls || !berm_cell_decides(verdict->reason) ||
	    ask(w, dir, true, &fresh, NULL) || fresh.rule != verdict->rule ||
	    berm_cell_find(maps, set, fresh.cls, at, &cell, NULL) || cell.rule != verdict->rule)
		return;
	matrix = cJSON_AddObjectToObject(to, "matrix");
	cJSON_AddNumberToObject(matrix, "set", cell.set);
	cJSON_AddNumberToObject(matrix, "row", cell.row);
	cJSON_AddBoolToObject(matrix, "default_row", cell.is_default_row);
	cJSON_AddNumberToObject(matrix, "port_class", cell.port_class);
	cJSON_AddNumberToObject(matrix, "column", cell.col);
	cJSON_AddNumberToObject(matrix, "cell", cell.index);
}

/* What it would be if the audit policies were enforced, which is something else. */
static void add_would(const struct why *w, cJSON *to, const struct berm_explain_verdict *verdict)
{
	cJSON *audit = cJSON_AddObjectToObject(to, "audit");

	cJSON_AddStringToObject(audit, "verdict", berm_verdict_name(verdict->would_action));
	cJSON_AddStringToObject(audit, "reason", berm_reason_name(verdict->would_reason));
	cJSON_AddStringToObject(audit, "explanation", berm_reason_help(verdict->would_reason));
	add_members(audit, berm_flow_rule_json(verdict->would_rule,
					       berm_names_find(w->names, verdict->would_rule)));
}

static void add_verdict(const struct why *w, cJSON *to, int dir,
			const struct berm_explain_verdict *verdict)
{
	cJSON_AddStringToObject(to, "verdict", berm_verdict_name(verdict->action));
	cJSON_AddStringToObject(to, "reason", berm_reason_name(verdict->reason));
	cJSON_AddStringToObject(to, "explanation", berm_reason_help(verdict->reason));
	add_members(to,
		    berm_flow_rule_json(verdict->rule, berm_names_find(w->names, verdict->rule)));
	if (verdict->would_action)
		add_would(w, to, verdict);
	cJSON_AddBoolToObject(to, "session", verdict->reason == BERM_REASON_SESSION);
	if (verdict->cls)
		cJSON_AddNumberToObject(to, "class", verdict->cls);
	add_matrix(w, to, dir, verdict);
	if (verdict->reason ==
	    BERM_REASON_DEFAULT_DENY) /* else no allowing rule would have helped */
		add_misses(w, to, dir);
}

/* What the ends say together. The first that lets nothing through decides; who is not here cannot be asked. */
struct outcome {
	uint8_t denied; /* enum berm_action, 0 = by nobody */
	bool unknown;
};

static int add_end(struct why *w, cJSON *ends, int dir, struct outcome *all, struct berm_err *err)
{
	const struct end *own = dir == BERM_INGRESS ? &w->dst : &w->src;
	struct berm_explain_verdict verdict;
	cJSON *item;
	int rc;

	if (!own->here && !own->pod)
		return 0; /* no pod, no wall */
	item = cJSON_CreateObject();
	cJSON_AddItemToArray(ends, item);
	cJSON_AddStringToObject(item, "direction", dir == BERM_INGRESS ? "ingress" : "egress");
	cJSON_AddStringToObject(item, "namespace", own->here ? own->here->ns : own->pod->ns);
	cJSON_AddStringToObject(item, "pod", own->here ? own->here->pod : own->pod->name);
	cJSON_AddBoolToObject(item, "here", own->here != NULL);
	if (!own->here) {
		all->unknown = true;
		if (own->pod->node)
			cJSON_AddStringToObject(item, "node", own->pod->node);
		return 0;
	}
	cJSON_AddStringToObject(item, "node", w->agent->opts.node);
	rc = ask(w, dir, w->as_new, &verdict, err);
	if (rc)
		return rc;
	if (!verdict.is_allowed && !all->denied)
		all->denied = verdict.action;
	add_verdict(w, item, dir, &verdict);
	return 0;
}

static void add_who(cJSON *to, const char *key, const struct end *end, const struct berm_addr *addr)
{
	cJSON *object = cJSON_AddObjectToObject(to, key);
	char text[BERM_ADDR_STRLEN];

	berm_addr_format(addr, text);
	cJSON_AddStringToObject(object, "ip", text);
	if (end->here || end->pod) {
		cJSON_AddStringToObject(object, "namespace",
					end->here ? end->here->ns : end->pod->ns);
		cJSON_AddStringToObject(object, "pod", end->here ? end->here->pod : end->pod->name);
	}
	if (end->pod)
		cJSON_AddItemToObject(object, "labels", berm_labels_json(&end->pod->labels));
	if (end->is_node)
		cJSON_AddBoolToObject(object, "own_node", true);
}

static int answer(struct why *w, struct berm_err *err)
{
	static const char *const names[] = { "TCP", "UDP", "SCTP", "ICMP", "ICMPv6" };
	struct outcome all = { 0 };
	cJSON *ends;
	int rc;

	add_who(w->out, "source", &w->src, &w->flow.src);
	add_who(w->out, "destination", &w->dst, &w->flow.dst);
	cJSON_AddStringToObject(w->out, "protocol", names[w->plane]);
	if (w->plane <= BERM_PLANE_SCTP)
		cJSON_AddNumberToObject(w->out, "port", w->flow.dport);
	ends = cJSON_AddArrayToObject(w->out, "ends");
	rc = add_end(w, ends, BERM_EGRESS, &all, err);
	if (!rc)
		rc = add_end(w, ends, BERM_INGRESS, &all, err);
	cJSON_AddStringToObject(w->out, "verdict",
				all.denied    ? berm_verdict_name(all.denied)
				: all.unknown ? "UNKNOWN"
					      : berm_verdict_name(BERM_ACTION_ALLOW));
	return rc;
}

int berm_why(const struct berm_agent *agent, const struct berm_explain *explain,
	     const cJSON *question, cJSON **ret, struct berm_err *err)
{
	struct why w = {
		.agent = agent,
		.explain = explain,
		.names = berm_apply_names(agent->engine.apply),
		.out = cJSON_CreateObject(),
	};
	int rc = w.out ? understand(&w, question, err) : berm_fail(err, -ENOMEM, "answer");

	if (!rc)
		rc = answer(&w, err);
	if (rc)
		cJSON_Delete(w.out);
	else
		*ret = w.out;
	return rc;
}
