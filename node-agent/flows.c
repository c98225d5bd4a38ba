/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flows.c - ring of recent flows and their JSON. Knows the model (who has which address) and rule names.
 *
 * What does not change from flow to flow (the names and labels of a pod, the description of a rule) is kept as an
 * interned piece of JSON: a flow is its event and three pointers.
 */
#include "flows.h"

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* uthash exits the process when memory is short unless it is told otherwise. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "cleanup.h"
#include "maps.h"
#include "servername.h"

#define NSEC_PER_SEC 1000000000LL

struct piece { /* interned: `"namespace":"shop","pod":"web"` without a leading comma; may be "" */
	UT_hash_handle hh;
	unsigned int refs;
	char text[];
};

struct final { /* of a session that has ended */
	uint64_t bytes[BERM_DIR_COUNT];
	uint32_t packets[BERM_DIR_COUNT];
	uint8_t state, cause, is_stale;
	bool is_set;
};

struct flow {
	struct berm_event event;
	struct final final;
	int64_t wall_ns;
	struct piece *local, *peer, *rule;
	struct piece *would; /* the rule by which audit policies would decide otherwise; NULL = none */
	struct piece *host; /* whom it asks for; NULL = nobody, or nobody knows */
};

struct owner { /* who has an address; valid for one version of the model */
	struct berm_addr addr;
	const struct berm_pod *pod;
	struct piece *piece; /* made when first asked for */
};

struct rule_piece { /* valid for one generation */
	UT_hash_handle hh;
	uint32_t id;
	struct piece *piece;
};

struct berm_flows {
	char *node; /* with its quotes, escaped */
	const struct berm_model *model;
	const struct berm_names *names;
	struct flow *ring;
	size_t capacity, room; /* flows kept at most; flows allocated */
	uint64_t first, next;
	struct piece *pieces;
	struct rule_piece *rules;
	struct owner *owner; /* sorted by address */
	size_t owner_count;
	struct piece *slot[BERM_MAX_ENDPOINTS];
	uint64_t model_version;
	bool has_owners;
};

/* ---- pieces --------------------------------------------------------------------------------------- */

static struct piece *piece_get(struct berm_flows *flows, const char *text)
{
	size_t len = strlen(text);
	struct piece *piece;
	bool is_in;

	HASH_FIND(hh, flows->pieces, text, len, piece);
	if (piece) {
		piece->refs++;
		return piece;
	}
	piece = calloc(1, sizeof(*piece) + len + 1);
	if (!piece)
		return NULL;
	memcpy(piece->text, text, len);
	piece->refs = 1;
	HASH_ADD_KEYPTR(hh, flows->pieces, piece->text, len, piece);
	is_in = piece->hh.tbl != NULL; /* NULL: no memory for the table */
	if (!is_in) {
		free(piece);
		return NULL;
	}
	return piece;
}

static struct piece *piece_ref(struct piece *piece)
{
	piece->refs++;
	return piece;
}

static void piece_put(struct berm_flows *flows, struct piece *piece)
{
	if (!piece || --piece->refs)
		return;
	/* A piece is in the table. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	HASH_DEL(flows->pieces, piece);
	free(piece);
}

/* The members of object without its braces. Takes the object. */
static struct piece *piece_of_json(struct berm_flows *flows, cJSON *object)
{
	auto_free char *text = object ? cJSON_PrintUnformatted(object) : NULL;
	size_t len;

	cJSON_Delete(object);
	if (!text)
		return NULL;
	len = strlen(text);
	text[len - 1] = '\0';
	return piece_get(flows, text + 1);
}

/* ---- pods ------------------------------------------------------------------------------------------ */

cJSON *berm_labels_json(const struct berm_labels *labels)
{
	cJSON *object = cJSON_CreateObject();
	size_t i;

	for (i = 0; object && i < labels->count; i++)
		cJSON_AddStringToObject(object, labels->item[i].key, labels->item[i].value);
	return object;
}

/* labels may be NULL: not known. */
static struct piece *pod_piece(struct berm_flows *flows, const char *ns, const char *name,
			       const struct berm_labels *labels)
{
	cJSON *object = cJSON_CreateObject();

	if (object && *ns)
		cJSON_AddStringToObject(object, "namespace", ns);
	if (object && *name)
		cJSON_AddStringToObject(object, "pod", name);
	if (object && labels)
		cJSON_AddItemToObject(object, "labels", berm_labels_json(labels));
	return piece_of_json(flows, object);
}

static int compare_owner(const void *a, const void *b)
{
	const struct owner *x = a, *y = b;

	return memcmp(&x->addr, &y->addr, sizeof(x->addr));
}

static void drop_owners(struct berm_flows *flows)
{
	size_t i;

	for (i = 0; i < flows->owner_count; i++)
		piece_put(flows, flows->owner[i].piece);
	free(flows->owner);
	flows->owner = NULL;
	flows->owner_count = 0;
	for (i = 0; i < ARRAY_SIZE(flows->slot); i++) {
		piece_put(flows, flows->slot[i]);
		flows->slot[i] = NULL;
	}
	flows->has_owners = false;
}

static void add_owners(struct berm_flows *flows, const struct berm_pod *pod,
		       const struct berm_addr *addr, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		flows->owner[flows->owner_count++] = (struct owner){ .addr = addr[i], .pod = pod };
}

static size_t count_addresses(const struct berm_model *model)
{
	size_t i, count = 0;

	for (i = 0; i < model->pod_count; i++)
		count += model->pods[i]->addr_count;
	for (i = 0; i < model->endpoint_count; i++)
		count += model->endpoints[i].addr_count;
	return count;
}

/* Who has which address now. Endpoints of this node too: their pods need no status.podIPs. */
static int index_owners(struct berm_flows *flows)
{
	const struct berm_model *model = flows->model;
	const struct berm_pod *pod;
	size_t i;

	if (flows->has_owners && flows->model_version == model->version)
		return 0;
	drop_owners(flows);
	flows->owner = calloc(count_addresses(model) + 1, sizeof(*flows->owner));
	if (!flows->owner)
		return -ENOMEM;
	for (i = 0; i < model->endpoint_count; i++) {
		pod = berm_model_pod_of(model, &model->endpoints[i]);
		if (pod)
			add_owners(flows, pod, model->endpoints[i].addr,
				   model->endpoints[i].addr_count);
	}
	for (i = 0; i < model->pod_count; i++) {
		pod = model->pods[i];
		if (!pod->finished && !pod->host_network)
			add_owners(flows, pod, pod->addr, pod->addr_count);
	}
	qsort(flows->owner, flows->owner_count, sizeof(*flows->owner), compare_owner);
	flows->model_version = model->version;
	flows->has_owners = true;
	return 0;
}

static struct piece *peer_piece(struct berm_flows *flows, const struct berm_addr *addr)
{
	struct owner key = { .addr = *addr };
	struct owner *owner =
		bsearch(&key, flows->owner, flows->owner_count, sizeof(key), compare_owner);

	if (!owner)
		return piece_get(flows, "");
	if (!owner->piece)
		owner->piece =
			pod_piece(flows, owner->pod->ns, owner->pod->name, &owner->pod->labels);
	return owner->piece ? piece_ref(owner->piece) : NULL;
}

static const struct berm_local_endpoint *find_endpoint(const struct berm_model *model,
						       uint32_t slot)
{
	size_t i;

	for (i = 0; i < model->endpoint_count; i++)
		if (model->endpoints[i].slot == slot)
			return &model->endpoints[i];
	return NULL;
}

/* The local end is known by its slot: its address may be forged. */
static struct piece *local_piece(struct berm_flows *flows, uint32_t slot)
{
	const struct berm_local_endpoint *ep;
	const struct berm_pod *pod;

	if (slot >= ARRAY_SIZE(flows->slot))
		return piece_get(flows, "");
	if (!flows->slot[slot]) {
		ep = find_endpoint(flows->model, slot);
		pod = ep ? berm_model_pod_of(flows->model, ep) : NULL;
		if (pod)
			flows->slot[slot] = pod_piece(flows, pod->ns, pod->name, &pod->labels);
		else
			flows->slot[slot] =
				pod_piece(flows, ep ? ep->ns : "", ep ? ep->pod : "", NULL);
	}
	return flows->slot[slot] ? piece_ref(flows->slot[slot]) : NULL;
}

/* ---- rules ----------------------------------------------------------------------------------------- */

static void add_text(cJSON *object, const char *key, const char *text)
{
	if (*text)
		cJSON_AddStringToObject(object, key, text);
}

/* "shop/a,shop/b" -> ["shop/a","shop/b"] */
static cJSON *split_json(const char *list)
{
	cJSON *array = cJSON_CreateArray();
	auto_free char *copy = strdup(list);
	char *rest = copy, *word;

	while (array && rest && (word = strsep(&rest, ",")))
		if (*word)
			cJSON_AddItemToArray(array, cJSON_CreateString(word));
	return array;
}

cJSON *berm_flow_rule_json(uint32_t id, const struct berm_rule_name *name)
{
	cJSON *outer = cJSON_CreateObject();
	cJSON *rule = outer ? cJSON_AddObjectToObject(outer, "rule") : NULL;

	if (!rule)
		return outer;
	cJSON_AddNumberToObject(rule, "id", id);
	if (!name)
		return outer;
	add_text(rule, "tier", name->tier);
	add_text(rule, "kind", name->kind);
	add_text(rule, "namespace", name->ns);
	add_text(rule, "policy", name->policy);
	if (strcmp(name->tier, "implicit") != 0)
		add_text(rule, "rule", name->rule);
	else if (name->action != BERM_ACTION_ALLOW && *name->rule)
		cJSON_AddItemToObject(outer, "isolating", split_json(name->rule));
	return outer;
}

static void drop_rules(struct berm_flows *flows)
{
	struct rule_piece *rule, *tmp;

	HASH_ITER(hh, flows->rules, rule, tmp) {
		HASH_DEL(flows->rules, rule);
		piece_put(flows, rule->piece);
		free(rule);
	}
}

static struct piece *rule_piece(struct berm_flows *flows, uint32_t id)
{
	const struct berm_rule_name *name;
	struct rule_piece *rule;

	HASH_FIND(hh, flows->rules, &id, sizeof(id), rule);
	if (rule)
		return piece_ref(rule->piece);
	rule = calloc(1, sizeof(*rule));
	if (!rule)
		return NULL;
	rule->id = id;
	name = flows->names ? berm_names_find(flows->names, id) : NULL;
	rule->piece = piece_of_json(flows, berm_flow_rule_json(id, name));
	if (rule->piece)
		HASH_ADD(hh, flows->rules, id, sizeof(id), rule);
	if (!rule->piece || !rule->hh.tbl) {
		piece_put(flows, rule->piece);
		free(rule);
		return NULL;
	}
	return piece_ref(rule->piece);
}

/* ---- the ring -------------------------------------------------------------------------------------- */

int berm_flows_new(const char *node, const struct berm_model *model, size_t capacity,
		   struct berm_flows **ret, struct berm_err *err)
{
	struct berm_flows *flows = calloc(1, sizeof(*flows));
	cJSON *text = cJSON_CreateString(node);

	if (flows && text)
		flows->node = cJSON_PrintUnformatted(text);
	cJSON_Delete(text);
	if (!flows || !flows->node) {
		free(flows);
		return berm_fail(err, -ENOMEM, "make a ring of flows");
	}
	flows->model = model;
	flows->capacity = capacity;
	*ret = flows;
	return 0;
}

static void flow_clear(struct berm_flows *flows, struct flow *flow)
{
	piece_put(flows, flow->local);
	piece_put(flows, flow->peer);
	piece_put(flows, flow->rule);
	piece_put(flows, flow->would);
	piece_put(flows, flow->host);
	memset(flow, 0, sizeof(*flow));
}

void berm_flows_free(struct berm_flows *flows)
{
	if (!flows)
		return;
	for (; flows->first < flows->next; flows->first++)
		flow_clear(flows, &flows->ring[flows->first % flows->room]);
	drop_owners(flows);
	drop_rules(flows);
	free(flows->ring);
	free(flows->node);
	free(flows);
}

void berm_flows_set_names(struct berm_flows *flows, const struct berm_names *names)
{
	drop_rules(flows);
	flows->names = names;
}

/* While the ring still grows nothing has been overwritten: the flows stand in order from index 0. */
static int make_room(struct berm_flows *flows)
{
	size_t used = (size_t)(flows->next - flows->first);
	size_t room = flows->room ? flows->room * 2 : 256;
	struct flow *ring;

	if (used < flows->room)
		return 0;
	if (flows->room && flows->room == flows->capacity) {
		flow_clear(flows, &flows->ring[flows->first % flows->room]);
		flows->first++;
		return 0;
	}
	if (room > flows->capacity)
		room = flows->capacity;
	ring = reallocarray(flows->ring, room, sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	flows->ring = ring;
	flows->room = room;
	return 0;
}

/* Takes flow.host. */
static int add_flow(struct berm_flows *flows, struct flow flow)
{
	const struct berm_event *event = &flow.event;

	if (index_owners(flows) || make_room(flows))
		goto no_memory;
	flow.local = local_piece(flows, event->slot);
	flow.peer = peer_piece(flows, &event->peer);
	flow.rule = rule_piece(flows, event->rule);
	if (event->would_action)
		flow.would = rule_piece(flows, event->would_rule);
	if (!flow.local || !flow.peer || !flow.rule || (event->would_action && !flow.would))
		goto no_memory;
	flows->ring[flows->next % flows->room] = flow;
	flows->next++;
	return 0;

no_memory:
	flow_clear(flows, &flow);
	return -ENOMEM;
}

int berm_flows_add(struct berm_flows *flows, const struct berm_event *event, int64_t wall_ns)
{
	return add_flow(flows, (struct flow){ .event = *event, .wall_ns = wall_ns });
}

int berm_flows_add_sample(struct berm_flows *flows, const struct berm_sample *sample,
			  int64_t wall_ns)
{
	struct flow flow = { .event = sample->event, .wall_ns = wall_ns };
	size_t len = sample->len < sizeof(sample->data) ? sample->len : sizeof(sample->data);
	char host[BERM_SERVERNAME_MAX];
	bool is_named = false;

	if (flow.event.app == BERM_APP_TLS)
		is_named = berm_servername_tls(sample->data, len, host);
	else if (flow.event.app == BERM_APP_HTTP)
		is_named = berm_servername_http(sample->data, len, host);
	if (is_named) {
		flow.host = piece_get(flows, host);
		if (!flow.host)
			return -ENOMEM;
	}
	return add_flow(flows, flow);
}

/* The table does not keep it: the pod's own of the same family, as long as the pod is known. */
static struct berm_addr local_of(const struct berm_model *model, const struct berm_ended *ended)
{
	const struct berm_local_endpoint *ep =
		find_endpoint(model, ended->slot & BERM_SESSION_SLOT);

	for (size_t i = 0; ep && i < ep->addr_count; i++)
		if (berm_addr_is_v4(&ep->addr[i]) == berm_addr_is_v4(&ended->peer))
			return ep->addr[i];
	return (struct berm_addr){ 0 };
}

int berm_flows_add_ended(struct berm_flows *flows, const struct berm_ended *ended, int64_t wall_ns)
{
	struct flow flow = { .wall_ns = wall_ns };

	flow.event = (struct berm_event){
		.local = local_of(flows->model, ended),
		.peer = ended->peer,
		.local_port = ended->local_port,
		.peer_port = ended->peer_port,
		.ifindex = ended->iface >> 8,
		.rule = ended->rule & BERM_RULE_ID,
		.app = (uint8_t)(ended->rule >> BERM_APP_SHIFT),
		.lost = ended->lost,
		.slot = ended->slot & BERM_SESSION_SLOT,
		.proto = ended->iface & 0xff,
		.dir = ended->slot & BERM_SESSION_FROM_POD ? BERM_EGRESS : BERM_INGRESS,
		.action = BERM_ACTION_ALLOW,
		.reason = BERM_REASON_SESSION,
	};
	flow.final = (struct final){ .state = ended->state,
				     .cause = ended->cause,
				     .is_stale = ended->is_stale,
				     .is_set = true };
	memcpy(flow.final.packets, ended->packets, sizeof(flow.final.packets));
	memcpy(flow.final.bytes, ended->bytes, sizeof(flow.final.bytes));
	return add_flow(flows, flow);
}

uint64_t berm_flows_first(const struct berm_flows *flows)
{
	return flows->first;
}

uint64_t berm_flows_next(const struct berm_flows *flows)
{
	return flows->next;
}

/* ---- JSON ------------------------------------------------------------------------------------------ */

static void format_time(int64_t wall_ns, char out[40])
{
	time_t sec = (time_t)(wall_ns / NSEC_PER_SEC);
	char date[24];
	struct tm tm;

	gmtime_r(&sec, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, 40, "%s.%09" PRId64 "Z", date, (int64_t)(wall_ns % NSEC_PER_SEC));
}

static void format_protocol(uint8_t proto, char out[12])
{
	static const struct {
		uint8_t proto;
		const char *name;
	} known[] = {
		{ IPPROTO_TCP, "TCP" },	  { IPPROTO_UDP, "UDP" },	{ IPPROTO_SCTP, "SCTP" },
		{ IPPROTO_ICMP, "ICMP" }, { IPPROTO_ICMPV6, "ICMPv6" }, { IPPROTO_IGMP, "IGMP" },
		{ IPPROTO_GRE, "GRE" },	  { IPPROTO_ESP, "ESP" },	{ IPPROTO_AH, "AH" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].proto == proto) {
			strcpy(out, known[i].name);
			return;
		}
	snprintf(out, 12, "%u", proto);
}

static bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

/* {"ip":"10.0.0.1","port":80,"namespace":...}; the unspecified address means that there is none. */
static void format_end(const struct berm_addr *addr, const struct berm_event *event, __be16 port,
		       const struct piece *piece, char *out, size_t size)
{
	static const struct berm_addr none;
	const char *comma = "";
	char ip[BERM_ADDR_STRLEN];
	int at = snprintf(out, size, "{");

	if (memcmp(addr, &none, sizeof(none)) != 0) {
		berm_addr_format(addr, ip);
		at += snprintf(out + at, size - (size_t)at, "\"ip\":\"%s\"", ip);
		comma = ",";
	}
	if (has_ports(event->proto)) {
		at += snprintf(out + at, size - (size_t)at, "%s\"port\":%u", comma, ntohs(port));
		comma = ",";
	}
	snprintf(out + at, size - (size_t)at, "%s%s}", *piece->text ? comma : "", piece->text);
}

static void format_tcp_flags(uint8_t flags, char out[64])
{
	static const char *const name[8] = {
		"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"
	};
	size_t at, i;

	at = (size_t)snprintf(out, 64, ",\"tcp_flags\":\"");
	for (i = 0; i < ARRAY_SIZE(name); i++)
		if (flags & (1u << i))
			at += (size_t)snprintf(out + at, 64 - at, "%s%s",
					       out[at - 1] == '"' ? "" : ",", name[i]);
	snprintf(out + at, 64 - at, "\"");
}

static bool is_v6_icmp(const struct berm_event *event)
{
	return event->proto == IPPROTO_ICMPV6;
}

/*
 * The ports of an ICMP flow: an echo has its id on the asker's side and the type of the request on the
 * other, everything else has type << 8 | code on both (bpf/pkt.h). false: a fragment, nothing is known.
 */
static bool icmp_of(const struct berm_event *event, unsigned int *type, unsigned int *code)
{
	unsigned int ask = is_v6_icmp(event) ? 128 : 8, answer = is_v6_icmp(event) ? 129 : 0;
	unsigned int local = ntohs(event->local_port), peer = ntohs(event->peer_port);
	bool is_egress = event->dir == BERM_EGRESS, pod_asked = peer == ask;

	if (event->reason == BERM_REASON_FRAGMENT || event->reason == BERM_REASON_MALFORMED)
		return false;
	if (local == peer && local != ask) {
		*type = local >> 8;
		*code = local & 0xff;
		return true;
	}
	if (local == peer) /* an echo whose id happens to be its type */
		pod_asked = is_egress != (bool)event->is_reply;
	*type = pod_asked == is_egress ? ask : answer;
	*code = 0;
	return true;
}

/* What belongs to the protocol only: TCP's flags, ICMP's type and code. */
static void format_l4(const struct berm_event *event, char out[64])
{
	unsigned int type, code;

	out[0] = '\0';
	if (event->proto == IPPROTO_TCP)
		format_tcp_flags(event->tcp_flags, out);
	else if ((event->proto == IPPROTO_ICMP || is_v6_icmp(event)) &&
		 icmp_of(event, &type, &code))
		snprintf(out, 64, ",\"icmp\":{\"type\":%u,\"code\":%u}", type, code);
}

static const char *cause_name(const struct final *f)
{
	uint8_t fins = BERM_SESSION_OPENER_FIN | BERM_SESSION_ANSWERER_FIN;

	if (f->cause == BERM_ENDED_DELETED)
		return "deleted";
	if (f->cause == BERM_ENDED_REPLACED)
		return "replaced";
	if (f->state & BERM_SESSION_RESET)
		return "reset";
	return (f->state & fins) == fins ? "closed" : "expired";
}

/* What a session has carried, instead of what belongs to one packet. A pod that is gone has no policy to compare with. */
static void format_final(const struct final *f, char *out, size_t size)
{
	bool is_stale = f->is_stale && f->cause != BERM_ENDED_DELETED;

	snprintf(out, size,
		 "\"cause\":\"%s\",\"established\":%s,\"policy_changed\":%s,"
		 "\"packets\":{\"ingress\":%u,\"egress\":%u},"
		 "\"bytes\":{\"ingress\":%" PRIu64 ",\"egress\":%" PRIu64 "}",
		 cause_name(f), f->state & BERM_SESSION_ESTABLISHED ? "true" : "false",
		 is_stale ? "true" : "false", f->packets[BERM_INGRESS], f->packets[BERM_EGRESS],
		 f->bytes[BERM_INGRESS], f->bytes[BERM_EGRESS]);
}

static void format_facts(const struct flow *flow, char *out, size_t size)
{
	if (flow->final.is_set)
		format_final(&flow->final, out, size);
	else
		snprintf(out, size, "\"epoch\":%u,\"bytes\":%u,\"suppressed\":%u",
			 flow->event.epoch, flow->event.len, flow->event.suppressed);
}

static const char *verdict_name(const struct flow *flow)
{
	if (flow->final.is_set)
		return "ENDED";
	return berm_verdict_name(flow->event.action);
}

/* What the session carries and whom it asks for. Both names are of letters that need no escaping. */
static void format_app(const struct flow *flow, char out[BERM_SERVERNAME_MAX + 64])
{
	const char *app = berm_app_name(flow->event.app);
	const char *host = flow->host ? flow->host->text : "";

	out[0] = '\0';
	if (app)
		snprintf(out, BERM_SERVERNAME_MAX + 64, ",\"app\":\"%s\"%s%s%s", app,
			 *host ? ",\"host\":\"" : "", host, *host ? "\"" : "");
}

/* What audit policies would make of it: a comma, and an object with the rule that would decide. */
static int format_audit(const struct flow *flow, char **ret)
{
	const struct berm_event *ev = &flow->event;

	if (!flow->would) {
		*ret = strdup("");
		return *ret ? 0 : -ENOMEM;
	}
	return asprintf(ret, ",\"audit\":{\"verdict\":\"%s\",\"reason\":\"%s\",%s}",
			berm_verdict_name(ev->would_action), berm_reason_name(ev->would_reason),
			flow->would->text) < 0
		       ? -ENOMEM
		       : 0;
}

int berm_flows_render(const struct berm_flows *flows, uint64_t seq, char *out, size_t size)
{
	const struct flow *flow;
	const struct berm_event *ev;
	bool is_ingress;
	char when[40], proto[12], l4[64] = "", facts[320], app[BERM_SERVERNAME_MAX + 64];
	auto_free char *local = NULL, *peer = NULL, *audit = NULL;
	size_t need;

	if (seq < flows->first || seq >= flows->next)
		return -ENOENT;
	flow = &flows->ring[seq % flows->room];
	ev = &flow->event;
	is_ingress = ev->dir == BERM_INGRESS;
	need = strlen(flow->local->text) + strlen(flow->peer->text) + 128;
	local = malloc(need);
	peer = malloc(need);
	if (!local || !peer || format_audit(flow, &audit))
		return -ENOMEM;
	format_time(flow->wall_ns, when);
	format_protocol(ev->proto, proto);
	if (!flow->final.is_set)
		format_l4(ev, l4);
	format_facts(flow, facts, sizeof(facts));
	format_app(flow, app);
	format_end(&ev->local, ev, ev->local_port, flow->local, local, need);
	format_end(&ev->peer, ev, ev->peer_port, flow->peer, peer, need);
	return snprintf(out, size,
			"{\"time\":\"%s\",\"node\":%s,\"verdict\":\"%s\",\"direction\":\"%s\",\"is_reply\":%s,"
			"\"source\":%s,\"destination\":%s,\"protocol\":\"%s\"%s%s,%s,\"reason\":\"%s\"%s,"
			"%s,\"lost_before\":%u}\n",
			when, flows->node, verdict_name(flow), is_ingress ? "ingress" : "egress",
			ev->is_reply ? "true" : "false", is_ingress ? peer : local,
			is_ingress ? local : peer, proto, l4, app, flow->rule->text,
			berm_reason_name(ev->reason), audit, facts, ev->lost);
}
