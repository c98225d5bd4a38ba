/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session_table.c - walks the pinned session table and describes its entries. Reads without locks: a way
 * that is being rewritten may show counters of its predecessor, never another session's verdict.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "session_table.h"

#define BUCKETS_PER_READ 1024

char *ctl_protocol(unsigned int proto)
{
	static const struct {
		unsigned int number;
		const char *name;
	} known[] = {
		{ IPPROTO_TCP, "TCP" },	  { IPPROTO_UDP, "UDP" },   { IPPROTO_SCTP, "SCTP" },
		{ IPPROTO_IGMP, "IGMP" }, { IPPROTO_GRE, "GRE" },   { IPPROTO_ESP, "ESP" },
		{ IPPROTO_AH, "AH" },	  { IPPROTO_ICMP, "ICMP" }, { IPPROTO_ICMPV6, "ICMPv6" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].number == proto)
			return strdup(known[i].name);
	return ctl_printf("%u", proto);
}

#define BOTH_FIN   (BERM_SESSION_OPENER_FIN | BERM_SESSION_ANSWERER_FIN)
#define BOTH_ACKED (BERM_SESSION_OPENER_ACKED | BERM_SESSION_ANSWERER_ACKED)

const char *ctl_session_state(const struct berm_session *way)
{
	if (way->state & BERM_SESSION_RESET)
		return "reset";
	if (!(way->state & BERM_SESSION_ESTABLISHED))
		return "half-open";
	if (!(way->state & BOTH_FIN))
		return "established";
	return (way->state & BOTH_FIN) == BOTH_FIN ? "closing" : "half-closed";
}

/* A connection has two ends; this is the state of the one that is further on in closing (RFC 9293, 3.3.2). */
const char *ctl_session_tcp_state(const struct berm_session *way)
{
	if ((way->iface & 0xff) != IPPROTO_TCP)
		return NULL;
	if (way->state & BERM_SESSION_RESET)
		return "closed";
	if (!(way->state & BERM_SESSION_ANSWERED))
		return "syn-sent";
	if (!(way->state & BOTH_FIN))
		return way->state & BERM_SESSION_ESTABLISHED ? "established" : "syn-received";
	if ((way->state & BOTH_FIN) != BOTH_FIN)
		return way->state & BOTH_ACKED ? "fin-wait-2" : "fin-wait-1";
	if (!(way->state & BOTH_ACKED))
		return "closing";
	return (way->state & BOTH_ACKED) == BOTH_ACKED ? "time-wait" : "last-ack";
}

static bool is_live(const struct ctl_session_context *ctx, const struct ctl_session *session)
{
	return (int32_t)(session->deadline - ctx->now) > 0;
}

static const struct berm_record *owner_of(const struct ctl_session_context *ctx,
					  const struct berm_session *way)
{
	return ctl_node_by_ifindex(ctx->node, way->iface >> 8);
}

/* The entry keeps only a signature of the pod's address: it is one of the peer's family. */
static const struct berm_addr *local_addr(const struct berm_record *owner,
					  const struct berm_session *way)
{
	for (uint8_t a = 0; owner && a < owner->addr_count && a < BERM_MAX_ADDRS; a++)
		if (berm_addr_is_v4(&owner->addr[a]) == berm_addr_is_v4(&way->peer))
			return &owner->addr[a];
	return NULL;
}

static bool peer_matches(const struct ctl_session_context *ctx, const char *pattern,
			 const struct berm_session *way)
{
	const struct berm_record *rec;
	struct berm_addr addr;

	if (!berm_addr_parse(pattern, &addr))
		return !memcmp(&addr, &way->peer, sizeof(addr));
	rec = ctl_node_by_addr(ctx->node, &way->peer);
	return rec && ctl_name_matches(pattern, rec->ns, rec->pod);
}

static bool has_state(const struct berm_session *way, const char *state)
{
	const char *tcp = ctl_session_tcp_state(way);

	return !strcmp(state, ctl_session_state(way)) || (tcp && !strcmp(state, tcp));
}

bool ctl_session_is_wanted(const struct ctl_session_context *ctx,
			   const struct ctl_session_filter *filter,
			   const struct ctl_session *session)
{
	const struct berm_session *way = &session->way;
	const struct berm_record *owner = owner_of(ctx, way);

	if (is_live(ctx, session) == filter->expired)
		return false;
	if (filter->state && !has_state(way, filter->state))
		return false;
	if (filter->port && ntohs(way->local_port) != filter->port &&
	    ntohs(way->peer_port) != filter->port)
		return false;
	if (filter->ns && !(owner && ctl_name_matches(filter->ns, "", owner->ns)))
		return false;
	if (filter->pod && !(owner && ctl_name_matches(filter->pod, owner->ns, owner->pod)))
		return false;
	return !filter->peer || peer_matches(ctx, filter->peer, way);
}

static void add_end(cJSON *item, const char *end, const struct berm_record *rec,
		    const struct berm_addr *addr)
{
	cJSON *object = cJSON_AddObjectToObject(item, end);
	char text[BERM_ADDR_STRLEN];

	if (addr) {
		berm_addr_format(addr, text);
		cJSON_AddStringToObject(object, "ip", text);
	}
	if (rec && *rec->pod) {
		cJSON_AddStringToObject(object, "namespace", rec->ns);
		cJSON_AddStringToObject(object, "pod", rec->pod);
	}
}

static void add_ports(cJSON *item, const struct berm_session *way)
{
	uint8_t proto = way->iface & 0xff;

	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP && proto != IPPROTO_SCTP)
		return;
	cJSON_AddNumberToObject(cJSON_GetObjectItem(item, "local"), "port", ntohs(way->local_port));
	cJSON_AddNumberToObject(cJSON_GetObjectItem(item, "peer"), "port", ntohs(way->peer_port));
}

static void add_traffic(cJSON *item, const struct berm_session *way)
{
	cJSON *packets = cJSON_AddObjectToObject(item, "packets"),
	      *bytes = cJSON_AddObjectToObject(item, "bytes");

	cJSON_AddNumberToObject(packets, "ingress", way->packets[BERM_INGRESS]);
	cJSON_AddNumberToObject(packets, "egress", way->packets[BERM_EGRESS]);
	cJSON_AddNumberToObject(bytes, "ingress", (double)way->bytes[BERM_INGRESS]);
	cJSON_AddNumberToObject(bytes, "egress", (double)way->bytes[BERM_EGRESS]);
}

static void add_rule(cJSON *item, const struct berm_names *names, uint32_t id)
{
	cJSON *rule = cJSON_AddObjectToObject(item, "rule");
	char label[600];

	berm_names_label(names, id, label, sizeof(label));
	cJSON_AddNumberToObject(rule, "id", id);
	cJSON_AddStringToObject(rule, "label", label);
}

static void add_flags(cJSON *item, const struct ctl_session_context *ctx,
		      const struct berm_session *way)
{
	const struct berm_node *node = ctx->node->maps.node;
	bool stale = node->epoch[way->slot & BERM_SESSION_SLOT] != (uint32_t)(way->word >> 32);

	cJSON_AddBoolToObject(item, "to_be_judged_again", stale);
	cJSON_AddBoolToObject(item, "adopted", !!(way->slot & BERM_SESSION_ADOPTED));
	cJSON_AddBoolToObject(item, "by_node", !!(way->slot & BERM_SESSION_HOST));
}

cJSON *ctl_session_describe(const struct ctl_session_context *ctx,
			    const struct ctl_session *session)
{
	const struct berm_session *way = &session->way;
	const struct berm_record *owner = owner_of(ctx, way);
	auto_free char *proto = ctl_protocol(way->iface & 0xff);
	const char *tcp = ctl_session_tcp_state(way);
	const char *app = berm_app_name(BERM_APP_OF(way->rule));
	cJSON *item = cJSON_CreateObject();

	cJSON_AddStringToObject(item, "protocol", proto ? proto : "");
	if (app)
		cJSON_AddStringToObject(item, "app", app);
	cJSON_AddStringToObject(item, "direction",
				way->slot & BERM_SESSION_FROM_POD ? "egress" : "ingress");
	cJSON_AddStringToObject(item, "state", ctl_session_state(way));
	if (tcp)
		cJSON_AddStringToObject(item, "tcp_state", tcp);
	add_end(item, "local", owner, local_addr(owner, way));
	add_end(item, "peer", ctl_node_by_addr(ctx->node, &way->peer), &way->peer);
	add_ports(item, way);
	add_rule(item, &ctx->node->names, way->rule & BERM_RULE_ID);
	add_traffic(item, way);
	cJSON_AddNumberToObject(item, "expires_seconds",
				(double)(int32_t)(session->deadline - ctx->now) / (double)ctx->hz);
	cJSON_AddNumberToObject(item, "ifindex", way->iface >> 8);
	add_flags(item, ctx, way);
	return item;
}

static int walk_bucket(const struct berm_bucket *bucket,
		       int (*each)(const struct ctl_session *, void *), void *arg)
{
	for (int w = 0; w < BERM_WAYS; w++) {
		struct ctl_session session = { .way = bucket->way[w],
					       .deadline = bucket->deadline[w] };
		int rc;

		if (!bucket->tag[w] || !session.way.word)
			continue;
		session.way.state = bucket->state[w];
		rc = each(&session, arg);
		if (rc)
			return rc;
	}
	return 0;
}

int ctl_sessions_walk(const struct berm_maps *maps,
		      int (*each)(const struct ctl_session *session, void *arg), void *arg,
		      struct berm_err *err)
{
	auto_free struct berm_bucket *buckets = calloc(BUCKETS_PER_READ, sizeof(*buckets));
	auto_free uint32_t *keys = calloc(BUCKETS_PER_READ, sizeof(*keys));
	uint32_t token = 0, *in = NULL;
	bool last = false;

	if (!buckets || !keys)
		return berm_fail(err, -ENOMEM, "read the session table");
	while (!last) {
		uint32_t n = BUCKETS_PER_READ;

		last = bpf_map_lookup_batch(maps->fd[BERM_MAP_sessions], in, &token, keys, buckets,
					    &n, NULL);
		if (last && errno != ENOENT)
			return berm_fail(err, -errno, "read the session table");
		for (uint32_t i = 0; i < n; i++) {
			int rc = walk_bucket(&buckets[i], each, arg);

			if (rc)
				return rc;
		}
		in = &token;
	}
	return 0;
}
