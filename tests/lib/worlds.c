// SPDX-License-Identifier: Apache-2.0
/* worlds.c - a generator of models and questions. Knows what is possible, not what is right. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "maps.h"
#include "objects.h"
#include "test.h"
#include "worlds.h"

/* ---- chance --------------------------------------------------------------------------------------------- */

uint64_t world_seed(void)
{
	const char *given = getenv("BERM_SEED");
	struct timespec now;
	uint64_t seed;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = given ? strtoull(given, NULL, 0)
		     : (uint64_t)now.tv_sec * 1000003 ^ (uint64_t)now.tv_nsec;
	printf("# BERM_SEED=%" PRIu64 " runs the same cases again\n", seed);
	return seed;
}

static uint64_t next(struct world *w) /* splitmix64 */
{
	uint64_t z = w->random += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

uint32_t world_below(struct world *w, uint32_t limit)
{
	return (uint32_t)(next(w) % limit);
}

static bool chance(struct world *w, uint32_t percent)
{
	return world_below(w, 100) < percent;
}

#define PICK(w, array) ((array)[world_below(w, ARRAY_SIZE(array))])

/* ---- names, labels, addresses --------------------------------------------------------------------------------- */

static const char *const namespaces[] = { "red", "blue", "green", "kube-system",
					  BERM_SYSTEM_NAMESPACE };
static const char *const tenants[] = { "red", "blue", "green" };

static void random_labels(struct world *w, char *out, size_t size)
{
	size_t used = 0;

	*out = '\0';
	for (int key = 'a'; key <= 'c'; key++)
		if (chance(w, 60))
			used += (size_t)snprintf(out + used, size - used, "%c=%u ", key,
						 world_below(w, 3));
	if (chance(w, 15))
		snprintf(out + used, size - used, "k8s-app=kube-dns");
}

static void random_requirement(struct world *w, char *out, size_t size)
{
	char key = (char)('a' + world_below(w, 3));
	uint32_t one = world_below(w, 3), two = world_below(w, 3);

	switch (world_below(w, 8)) {
	case 0:
		snprintf(out, size, "%c ", key);
		return;
	case 1:
		snprintf(out, size, "!%c ", key);
		return;
	case 2:
		snprintf(out, size, "%c!=%u|%u ", key, one, two);
		return;
	case 3:
		snprintf(out, size, "%c=%u|%u ", key, one, two);
		return;
	default:
		snprintf(out, size, "%c=%u ", key, one);
	}
}

static void random_selector(struct world *w, char *out, size_t size)
{
	size_t used = 0;

	*out = '\0';
	for (uint32_t n = world_below(w, 3); n; n--) {
		random_requirement(w, out + used, size - used);
		used += strlen(out + used);
	}
}

static void random_ns_selector(struct world *w, char *out, size_t size)
{
	if (chance(w, 40))
		snprintf(out, size, "kubernetes.io/metadata.name=%s|%s", PICK(w, namespaces),
			 PICK(w, namespaces));
	else
		random_selector(w, out, size);
}

static void random_addr(struct world *w, char *out, size_t size)
{
	static const char *const far[] = { "192.0.2.1", "10.0.1.0",	   "9.255.255.255",
					   "0.0.0.0",	"255.255.255.255", "2001:db8::1",
					   "::1",	"fd00::1:0",	   "::fffe:a00:1",
					   "::",	"ffff::" };

	if (chance(w, 15))
		snprintf(out, size, "%s", PICK(w, far));
	else if (chance(w, 15))
		snprintf(out, size, chance(w, 50) ? "10.0.1.%u" : "fd00:1::%x", world_below(w, 6));
	else if (chance(w, 60))
		snprintf(out, size, "10.0.0.%u", world_below(w, 32));
	else
		snprintf(out, size, "fd00::%x", world_below(w, 32));
}

static void random_cidr(struct world *w, char *out, size_t size)
{
	static const char *const wide[] = { "0.0.0.0/0",     "::/0",	    "10.0.0.0/8",
					    "fd00::/8",	     "128.0.0.0/1", "::/64",
					    "::fffe:0:0/95", "10.0.0.0/24", "fd00::/120",
					    "10.0.1.0/29",   "fd00:1::/125" };

	if (chance(w, 35))
		snprintf(out, size, "%s", PICK(w, wide));
	else if (chance(w, 60))
		snprintf(out, size, "10.0.0.%u/%u", world_below(w, 32), 26 + world_below(w, 7));
	else
		snprintf(out, size, "fd00::%x/%u", world_below(w, 32), 122 + world_below(w, 7));
}

/* ---- objects ----------------------------------------------------------------------------------------------------------- */

static void make_namespace(struct world *w, const char *name)
{
	char labels[128];

	random_labels(w, labels, sizeof(labels));
	if (chance(w, 15))
		strcat(labels, " berm.dev/default-verdict=deny");
	objects_namespace(&w->model, name, labels);
}

static void make_pod(struct world *w, uint32_t number)
{
	static const char *const ports[] = { "http=tcp:80",  "http=tcp:81", "http=udp:80",
					     "dns=udp:53",   "dns=tcp:53",  "web=tcp:443",
					     "http=tcp:8080" };
	static const char *const host_addrs[] = { NULL, "0.0.0.0", "10.0.0.30", "192.0.2.1" };
	char name[64], labels[128], addrs[128];
	struct berm_pod *pod;

	snprintf(name, sizeof(name), "%s/pod%u", PICK(w, namespaces), number);
	random_labels(w, labels, sizeof(labels));
	snprintf(addrs, sizeof(addrs), "10.0.0.%u", world_below(w, 32));
	if (chance(w, 50))
		snprintf(addrs + strlen(addrs), 32, " fd00::%x", world_below(w, 32));
	pod = objects_pod(&w->model, name, labels, addrs);
	pod->created = world_below(w, 3);
	pod->host_network = chance(w, 5);
	pod->finished = chance(w, 5);
	for (uint32_t n = world_below(w, 4); n; n--)
		objects_container_port(pod, PICK(w, ports));
	if (chance(w, 15))
		objects_host_port(pod, chance(w, 50) ? "tcp:80" : "udp:53",
				  chance(w, 50) ? 443 : 53, PICK(w, host_addrs));
}

static void make_service_cidr(struct world *w)
{
	static const char *const cidrs[] = { "10.0.1.0/29",  "fd00:1::/125", "10.0.1.0/30",
					     "10.0.0.16/29", "fd00::/124",   "10.0.1.4/32" };

	objects_service_cidr(&w->model, chance(w, 50) ? "a" : "b", PICK(w, cidrs));
}

static const char *const service_names[] = { "red/s", "blue/s", "kube-system/kube-dns",
					     "default/kubernetes" };

static void make_service(struct world *w)
{
	static const char *const ports[] = { "http=tcp:80", "http=tcp:443", "=tcp:80", "=udp:53",
					     "dns=udp:53" };
	static const uint16_t node_ports[] = { 0, 0, 80, 443, 53, 8080 };
	char cluster[128] = "", external[64] = "";
	struct berm_service *s;

	if (chance(w, 85))
		snprintf(cluster, sizeof(cluster), "10.0.1.%u", world_below(w, 6));
	if (chance(w, 40))
		snprintf(cluster + strlen(cluster), 64, " fd00:1::%x", world_below(w, 6));
	if (chance(w, 30))
		random_addr(w, external, sizeof(external));
	if (!strcmp(external, "::") || !strcmp(external, "0.0.0.0"))
		external[0] = '\0';
	s = objects_service(&w->model, PICK(w, service_names), cluster, external);
	s->is_local = chance(w, 20);
	for (uint32_t n = 1 + world_below(w, 2); n; n--)
		objects_service_port(s, PICK(w, ports), PICK(w, node_ports));
}

/* Mostly of pods. */
static void random_endpoint(struct world *w, char *out, size_t size)
{
	const struct berm_pod *pod =
		w->model.pod_count ? w->model.pods[world_below(w, (uint32_t)w->model.pod_count)]
				   : NULL;

	if (!pod || !pod->addr_count || chance(w, 25))
		random_addr(w, out, size);
	else
		berm_addr_format(&pod->addr[world_below(w, (uint32_t)pod->addr_count)], out);
}

/* A port of a Service that there is, mostly. */
static void random_target(struct world *w, const struct berm_service *s, char *out, size_t size)
{
	static const char *const ports[] = { "http=tcp:80", "=udp:53", "dns=udp:5353" };
	static const uint16_t targets[] = { 80, 8080, 53, 443 };
	const struct berm_service_port *port;

	if (!s || !s->port_count || chance(w, 10)) {
		snprintf(out, size, "%s", PICK(w, ports));
		return;
	}
	port = &s->port[world_below(w, (uint32_t)s->port_count)];
	snprintf(out, size, "%s=%s:%u", port->name ? port->name : "",
		 port->plane == BERM_PLANE_UDP ? "udp" : "tcp", PICK(w, targets));
}

static void make_slice(struct world *w)
{
	static const char *const nodes[] = { "here", "there", NULL };
	const struct berm_service *s =
		w->model.service_count && chance(w, 90)
			? w->model.services[world_below(w, (uint32_t)w->model.service_count)]
			: NULL;
	char name[128], port[64], addrs[256] = "";

	snprintf(name, sizeof(name), "%s/x%u", s ? s->ns : "red", world_below(w, 12));
	random_target(w, s, port, sizeof(port));
	for (uint32_t n = world_below(w, 4); n; n--) {
		random_endpoint(w, addrs + strlen(addrs), 64);
		strcat(addrs, " ");
	}
	objects_slice(&w->model, name, s ? s->name : "s", port, addrs, PICK(w, nodes));
}

static void make_peer(struct world *w, struct berm_policy_rule *r)
{
	char pods[128], ns[128], excepts[128] = "";
	uint32_t what = world_below(w, 100);

	random_selector(w, pods, sizeof(pods));
	random_ns_selector(w, ns, sizeof(ns));
	if (what < 4) {
		objects_peer_any(r);
	} else if (what < 7) {
		objects_peer_unsupported(r);
	} else if (what < 35) {
		objects_peer_pods(r, NULL, pods);
	} else if (what < 55) {
		objects_peer_pods(r, ns, chance(w, 50) ? pods : NULL);
	} else {
		random_cidr(w, ns, sizeof(ns));
		for (uint32_t n = world_below(w, 3); n; n--) {
			random_cidr(w, excepts + strlen(excepts), 64);
			strcat(excepts, " ");
		}
		objects_peer_block(r, ns, excepts);
	}
}

static const char *const port_words[] = { "tcp:80",   "tcp:443",      "tcp:22",	    "udp:53",
					  "tcp:53",   "tcp:80-90",    "tcp:0-100",  "tcp",
					  "udp",      "sctp:80",      "sctp",	    "icmp:8/0",
					  "icmp",     "icmpv6:128/0", "other:47",   "other",
					  "tcp:http", "udp:http",     "udp:dns",    "tcp:dns",
					  "tcp:web",  "tcp:nosuch",   "tcp:81-443", "tcp:65535" };

static void make_rule(struct world *w, struct berm_policy *p, uint32_t number)
{
	static const uint8_t actions[] = { BERM_RULE_ALLOW, BERM_RULE_ALLOW, BERM_RULE_DENY,
					   BERM_RULE_PASS,  BERM_RULE_LOG,   BERM_RULE_REJECT };
	uint8_t action = p->kind == BERM_KIND_NETWORK ? BERM_RULE_ALLOW : PICK(w, actions);
	struct berm_policy_rule *r;
	char name[16];

	snprintf(name, sizeof(name), "r%u", number);
	r = objects_rule(p, (uint8_t)world_below(w, 2), action, chance(w, 50) ? name : NULL);
	if (p->kind == BERM_KIND_SEGMENTATION && chance(w, 20))
		r->mode = chance(w, 70) ? BERM_MODE_AUDIT : BERM_MODE_DISABLED;
	for (uint32_t n = world_below(w, 4); n; n--)
		make_peer(w, r);
	for (uint32_t n = world_below(w, 4); n; n--)
		objects_port(r, PICK(w, port_words));
}

/* As document.c does: rules of a NetworkPolicy in a direction that it does not isolate do not exist. */
static uint8_t network_isolation(const struct berm_policy *p, uint32_t types)
{
	uint8_t isolate = types ? (uint8_t)types : 1 << BERM_INGRESS;

	for (size_t i = 0; i < p->rule_count; i++)
		isolate |= (uint8_t)(1 << p->rule[i].dir);
	return isolate;
}

/* ---- ClusterNetworkPolicy: what its document can say ------------------------------------------------------------------- */

static void make_cluster_peer(struct world *w, struct berm_policy_rule *r)
{
	char pods[128], ns[128];

	random_selector(w, pods, sizeof(pods));
	random_ns_selector(w, ns, sizeof(ns));
	if (r->dir == BERM_INGRESS || chance(w, 60)) {
		objects_peer_pods(r, chance(w, 20) ? "" : ns, chance(w, 50) ? pods : NULL);
		return;
	}
	random_cidr(w, ns, sizeof(ns));
	objects_peer_block(r, ns, NULL);
}

static void make_cluster_port(struct world *w, struct berm_policy_rule *r)
{
	static const char *const names[] = { "http", "dns", "web", "nosuch" };
	static const char *const numbers[] = { "tcp:80",    "tcp:443", "udp:53",     "tcp:80-90",
					       "tcp:0-100", "sctp:80", "tcp:81-443", "tcp:1-65535" };
	static const char *const planes[] = { "tcp", "udp", "sctp" };
	const char *name = PICK(w, names);
	char port[32];

	if (chance(w, 70)) {
		objects_port(r, PICK(w, numbers));
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(planes); i++) {
		snprintf(port, sizeof(port), "%s:%s", planes[i], name);
		objects_port(r, port);
	}
}

static void make_cluster_rule(struct world *w, struct berm_policy *p, uint32_t number)
{
	static const uint8_t actions[] = { BERM_RULE_ALLOW, BERM_RULE_DENY, BERM_RULE_PASS };
	struct berm_policy_rule *r;
	char name[16];

	snprintf(name, sizeof(name), "r%u", number);
	r = objects_rule(p, (uint8_t)world_below(w, 2), PICK(w, actions),
			 chance(w, 50) ? name : NULL);
	r->unsupported = chance(w, 5);
	for (uint32_t n = 1 + world_below(w, 3); n; n--)
		make_cluster_peer(w, r);
	for (uint32_t n = world_below(w, 3); n; n--)
		make_cluster_port(w, r);
}

static void make_cluster_policy(struct world *w, uint32_t number)
{
	char name[64], selector[128];
	struct berm_policy *p;

	snprintf(name, sizeof(name), "/c%u", number);
	random_selector(w, selector, sizeof(selector));
	p = objects_policy(&w->model, BERM_KIND_CLUSTER, name, chance(w, 50) ? "" : selector);
	p->tier = chance(w, 60) ? BERM_TIER_ADMIN : BERM_TIER_BASELINE;
	p->priority = 500 - (int)world_below(w, 3);
	random_ns_selector(w, selector, sizeof(selector));
	objects_subject_namespaces(p, chance(w, 50) ? "" : selector);
	for (uint32_t n = 0, count = 1 + world_below(w, 4); n < count; n++)
		make_cluster_rule(w, p, n);
}

/* Mostly between those that exist, on the ports that are asked for. */
static struct berm_addr random_end(struct world *w)
{
	const struct berm_model *m = &w->model;
	const struct berm_pod *pod;
	const struct berm_service *s;
	char text[64];

	if (m->pod_count && chance(w, 60)) {
		pod = m->pods[world_below(w, (uint32_t)m->pod_count)];
		if (pod->addr_count)
			return pod->addr[world_below(w, (uint32_t)pod->addr_count)];
	}
	if (m->service_count && chance(w, 50)) {
		s = m->services[world_below(w, (uint32_t)m->service_count)];
		if (s->cluster_count)
			return s->cluster[0];
	}
	if (m->node_addr_count && chance(w, 20))
		return m->node_addrs[0];
	random_addr(w, text, sizeof(text));
	return objects_addr(text);
}

static void make_flow(struct world *w, struct berm_policy *p)
{
	static const uint8_t actions[] = { BERM_RULE_ALLOW, BERM_RULE_ALLOW, BERM_RULE_DENY,
					   BERM_RULE_REJECT };
	static const uint16_t ports[] = { 80, 80, 81, 443, 53, 22, 30080 };
	static const char *const names[] = { NULL, "pinned", "a" };
	struct berm_addr src = random_end(w), dst = random_end(w);
	char from[BERM_ADDR_STRLEN], to[BERM_ADDR_STRLEN], text[160];

	if (berm_addr_is_v4(&src) != berm_addr_is_v4(&dst) || !memcmp(&src, &dst, sizeof(src)))
		return;
	berm_addr_format(&src, from);
	berm_addr_format(&dst, to);
	snprintf(text, sizeof(text), "%s %s:%u %s:%u",
		 chance(w, 70)	 ? "tcp"
		 : chance(w, 60) ? "udp"
				 : "sctp",
		 from, 20000 + world_below(w, WORLD_SOURCES), to, PICK(w, ports));
	objects_flow(p, (uint8_t)world_below(w, 2), PICK(w, actions), PICK(w, names), text);
}

static void make_namespaced_policy(struct world *w, uint32_t number)
{
	static const enum berm_tier tiers[] = { BERM_TIER_EMERGENCY, BERM_TIER_ADMIN,
						BERM_TIER_BASELINE, BERM_TIER_APPLICATION };
	bool network = chance(w, 40), system = !network && chance(w, 40);
	char name[64], selector[128];
	struct berm_policy *p;

	snprintf(name, sizeof(name), "%s/p%u", system ? BERM_SYSTEM_NAMESPACE : PICK(w, tenants),
		 number);
	random_selector(w, selector, sizeof(selector));
	p = objects_policy(&w->model, network ? BERM_KIND_NETWORK : BERM_KIND_SEGMENTATION, name,
			   chance(w, 40) ? "" : selector);
	p->priority = 500 - (int)world_below(w, 3);
	p->disabled = chance(w, 5);
	p->audit = !network && chance(w, 15);
	p->rejects = !network && chance(w, 50);
	p->essentials = network ? 0 : (uint8_t)world_below(w, 4);
	if (system) {
		p->tier = PICK(w, tiers);
		random_ns_selector(w, selector, sizeof(selector));
		if (chance(w, 50))
			objects_subject_namespaces(p, selector);
	}
	for (uint32_t n = 0, count = world_below(w, 4); n < count; n++)
		make_rule(w, p, n);
	for (uint32_t n = 0, count = world_below(w, 12); !network && n < count; n++)
		make_flow(w, p);
	if (network)
		p->isolate = network_isolation(p, world_below(w, 4));
	else if (p->tier == BERM_TIER_APPLICATION)
		p->isolate = (uint8_t)world_below(w, 4);
}

static void make_policy(struct world *w, uint32_t number)
{
	if (chance(w, 30))
		make_cluster_policy(w, number);
	else
		make_namespaced_policy(w, number);
}

static void make_endpoints(struct world *w)
{
	char name[512];
	uint32_t slot = 0;

	for (size_t i = 0; i < w->model.pod_count && slot < 6; i++) {
		const struct berm_pod *pod = w->model.pods[i];

		if (pod->host_network || pod->finished || chance(w, 50))
			continue;
		snprintf(name, sizeof(name), "%s/%s", pod->ns, pod->name);
		objects_endpoint(&w->model, ++slot, name);
	}
}

void world_make(struct world *w, uint64_t seed)
{
	uint32_t pods, policies;

	memset(w, 0, sizeof(*w));
	w->random = seed;
	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++)
		if (chance(w, 80))
			make_namespace(w, namespaces[i]);
	pods = 3 + world_below(w, 12);
	for (uint32_t i = 0; i < pods; i++)
		make_pod(w, i);
	policies = 1 + world_below(w, 8);
	for (uint32_t i = 0; i < policies; i++)
		make_policy(w, i);
	for (uint32_t n = world_below(w, 5); n; n--)
		make_service(w);
	for (uint32_t n = world_below(w, 12); n; n--)
		make_slice(w);
	if (chance(w, 60))
		make_service_cidr(w);
	if (chance(w, 50))
		ASSERT_EQ(berm_model_set_node(&w->model, "here"), 0);
	make_endpoints(w);
	objects_node_addrs(&w->model, chance(w, 50) ? "10.0.0.30 fd00::1e 192.0.2.1" : "127.0.0.1");
}

/* The same pod at the same addresses, with other labels. */
static void relabel(struct world *w, const struct berm_pod *pod)
{
	struct berm_addr addr[BERM_MAX_ADDRS];
	size_t count = pod->addr_count;
	char name[64], labels[128];
	struct berm_pod *after;

	memcpy(addr, pod->addr, sizeof(addr));
	snprintf(name, sizeof(name), "%s/%s", pod->ns, pod->name);
	random_labels(w, labels, sizeof(labels));
	after = objects_pod(&w->model, name, labels, NULL);
	memcpy(after->addr, addr, sizeof(addr));
	after->addr_count = count;
	if (chance(w, 30))
		objects_container_port(after, "http=tcp:80");
}

void world_change_pod(struct world *w)
{
	const struct berm_pod *pod;

	if (!w->model.pod_count || chance(w, 10)) {
		make_pod(w, world_below(w, 15));
		return;
	}
	pod = w->model.pods[world_below(w, (uint32_t)w->model.pod_count)];
	if (chance(w, 10))
		ASSERT_EQ(berm_model_remove_pod(&w->model, pod->ns, pod->name), 0);
	else
		relabel(w, pod);
}

void world_change(struct world *w)
{
	struct berm_model *m = &w->model;
	uint32_t victim;

	switch (world_below(w, 10)) {
	case 5:
		make_service(w);
		return;
	case 6:
		if (m->service_count)
			ASSERT_EQ(berm_model_remove_service(m, m->services[0]->ns,
							    m->services[0]->name),
				  0);
		return;
	case 7:
		if (m->slice_count)
			ASSERT_EQ(berm_model_remove_slice(m, m->slices[0]->ns, m->slices[0]->name),
				  0);
		return;
	case 8:
		make_slice(w);
		return;
	case 9:
		make_service_cidr(w);
		return;
	case 0:
		make_policy(w, world_below(w, 8));
		return;
	case 1:
		if (!m->policy_count)
			return;
		victim = world_below(w, (uint32_t)m->policy_count);
		ASSERT_EQ(berm_model_remove_policy(m, m->policies[victim]->kind,
						   m->policies[victim]->ns,
						   m->policies[victim]->name),
			  0);
		return;
	case 2:
		make_namespace(w, PICK(w, namespaces));
		return;
	default:
		make_pod(w, world_below(w, 15));
	}
}

/* ---- changes that depend on more than one object ------------------------------------------------------------------------- */

/* Out of the model, as if it had never been there: to be changed and put again. */
static struct berm_policy *take_policy(struct berm_model *m)
{
	size_t at = m->policy_count - 1;
	struct berm_policy *p;

	while (at && m->policies[at]->written)
		at--;
	p = m->policies[at];
	if (p->written)
		return NULL;
	m->policy_count--;
	memmove(m->policies + at, m->policies + at + 1,
		(m->policy_count - at) * sizeof(*m->policies));
	return p;
}

/* The last policy has one rule more, or expires, or names an IPSet. */
static void edit_policy(struct world *w)
{
	struct berm_model *m = &w->model;
	struct berm_policy *p = m->policy_count ? take_policy(m) : NULL;
	struct berm_policy_rule *r;

	if (!p)
		return;
	if (p->kind != BERM_KIND_CLUSTER)
		make_rule(w, p, (uint32_t)p->rule_count);
	if (p->kind == BERM_KIND_SEGMENTATION && p->rule_count && chance(w, 60)) {
		r = &p->rule[p->rule_count - 1];
		if (chance(w, 50))
			r->expires = m->now_s + 1 + world_below(w, 5);
		if (chance(w, 50)) {
			objects_peer_unsupported(r);
			r->peer[r->peer_count - 1].ipset = strdup(chance(w, 50) ? "x" : "y");
		}
	}
	if (p->kind == BERM_KIND_SEGMENTATION && chance(w, 10))
		p->expires = m->now_s + 1 + world_below(w, 5);
	ASSERT_EQ(berm_model_put_policy(m, p), 0);
}

static void change_ipset(struct world *w)
{
	struct berm_policy *set = calloc(1, sizeof(*set));
	const char *ns = PICK(w, namespaces), *name = chance(w, 50) ? "x" : "y";
	char cidr[64];

	if (chance(w, 20)) {
		free(set);
		(void)berm_model_remove_policy(&w->model, BERM_KIND_IPSET, ns,
					       name); /* it may not be there */
		return;
	}
	ASSERT_TRUE(set != NULL);
	set->kind = BERM_KIND_IPSET;
	set->ns = strdup(ns);
	set->name = strdup(name);
	set->digest = next(w);
	set->set.cidr = calloc(3, sizeof(*set->set.cidr));
	ASSERT_TRUE(set->set.cidr != NULL);
	for (uint32_t n = 1 + world_below(w, 3); n; n--) {
		random_cidr(w, cidr, sizeof(cidr));
		set->set.cidr[set->set.count++] = objects_cidr(cidr);
	}
	berm_ipset_sort(&set->set);
	ASSERT_EQ(berm_model_put_policy(&w->model, set), 0);
}

static void change_endpoint(struct world *w)
{
	struct berm_model *m = &w->model;
	const struct berm_pod *pod;
	char name[512];

	if (m->endpoint_count && chance(w, 40)) {
		ASSERT_EQ(berm_model_remove_endpoint(
				  m, m->endpoints[world_below(w, (uint32_t)m->endpoint_count)].slot),
			  0);
		return;
	}
	pod = m->pod_count ? m->pods[world_below(w, (uint32_t)m->pod_count)] : NULL;
	if (!pod)
		return;
	snprintf(name, sizeof(name), "%s/%s", pod->ns, pod->name);
	objects_endpoint(m, 1 + world_below(w, 8), name);
}

void world_change_any(struct world *w)
{
	switch (world_below(w, 12)) {
	case 0:
	case 1:
		edit_policy(w);
		return;
	case 2:
		change_ipset(w);
		return;
	case 3:
		ASSERT_EQ(berm_model_set_time(&w->model, w->model.now_s + world_below(w, 3)), 0);
		return;
	case 4:
		change_endpoint(w);
		return;
	case 5:
	case 6:
		world_change_pod(w);
		return;
	case 7:
	case 8:
		make_policy(w, world_below(w, 8));
		return;
	default:
		world_change(w);
	}
}

void world_clear(struct world *w)
{
	berm_model_clear(&w->model);
}

/* ---- questions ---------------------------------------------------------------------------------------------------------- */

/* The question is about a frontend instead. */
static void ask_service(struct world *w, struct question *q)
{
	const struct berm_model *m = &w->model;
	const struct berm_service *s;
	const struct berm_service_port *port;

	if (!m->service_count)
		return;
	s = m->services[world_below(w, (uint32_t)m->service_count)];
	if (!s->port_count)
		return;
	port = &s->port[world_below(w, (uint32_t)s->port_count)];
	q->dir = BERM_EGRESS;
	q->plane = port->plane;
	q->port = port->port;
	if (s->cluster_count)
		q->peer = s->cluster[world_below(w, (uint32_t)s->cluster_count)];
	if (s->external_count && chance(w, 30))
		q->peer = s->external[0];
	if (port->node_port && m->node_addr_count && chance(w, 50)) {
		q->peer = m->node_addrs[world_below(w, (uint32_t)m->node_addr_count)];
		q->port = port->node_port;
	}
}

static const struct berm_local_endpoint *endpoint_with(const struct berm_model *m,
						       const struct berm_addr *addr)
{
	for (size_t i = 0; i < m->endpoint_count; i++)
		for (size_t k = 0; k < m->endpoints[i].addr_count; k++)
			if (!memcmp(&m->endpoints[i].addr[k], addr, sizeof(*addr)))
				return &m->endpoints[i];
	return NULL;
}

/* The question is about a connection that some document names, or nearly. */
static void ask_flow(struct world *w, struct question *q)
{
	const struct berm_model *m = &w->model;
	const struct berm_local_endpoint *ep;
	const struct berm_policy_flow *f;
	const struct berm_policy *p;

	for (int tries = 0; m->policy_count && tries < 20; tries++) {
		p = m->policies[world_below(w, (uint32_t)m->policy_count)];
		if (!p->flow_count)
			continue;
		f = &p->flow[world_below(w, (uint32_t)p->flow_count)];
		ep = endpoint_with(m, f->dir == BERM_EGRESS ? &f->src : &f->dst);
		if (!ep)
			continue;
		*q = (struct question){ .ep = ep,
					.dir = f->dir,
					.peer = f->dir == BERM_EGRESS ? f->dst : f->src,
					.plane = f->plane,
					.port = f->dst_port,
					.other_port = f->src_port };
		if (chance(w, 10))
			q->other_port = (uint16_t)(20000 + world_below(w, WORLD_SOURCES));
		return;
	}
}

static void fill_local(struct question *q)
{
	for (size_t i = q->ep->addr_count; i > 0; i--)
		if (berm_addr_is_v4(&q->ep->addr[i - 1]) == berm_addr_is_v4(&q->peer))
			q->local = q->ep->addr[i - 1];
}

void world_question(struct world *w, struct question *out)
{
	static const struct {
		uint8_t plane;
		uint16_t port;
	} ports[] = {
		{ BERM_PLANE_TCP, 80 },		 { BERM_PLANE_TCP, 81 },
		{ BERM_PLANE_TCP, 443 },	 { BERM_PLANE_TCP, 22 },
		{ BERM_PLANE_TCP, 53 },		 { BERM_PLANE_TCP, 8080 },
		{ BERM_PLANE_TCP, 0 },		 { BERM_PLANE_TCP, 101 },
		{ BERM_PLANE_TCP, 65535 },	 { BERM_PLANE_UDP, 53 },
		{ BERM_PLANE_UDP, 80 },		 { BERM_PLANE_UDP, 1234 },
		{ BERM_PLANE_SCTP, 80 },	 { BERM_PLANE_SCTP, 81 },
		{ BERM_PLANE_ICMP, 8 << 8 },	 { BERM_PLANE_ICMP, 13 << 8 },
		{ BERM_PLANE_ICMPV6, 128 << 8 }, { BERM_PLANE_OTHER, 47 },
		{ BERM_PLANE_OTHER, 50 },
	};
	uint32_t pick = world_below(w, ARRAY_SIZE(ports));
	char addr[64];

	random_addr(w, addr, sizeof(addr));
	*out = (struct question){
		.ep = &w->model.endpoints[world_below(w, (uint32_t)w->model.endpoint_count)],
		.dir = (uint8_t)world_below(w, 2),
		.peer = objects_addr(addr),
		.plane = ports[pick].plane,
		.port = ports[pick].port,
		.other_port = (uint16_t)(20000 + world_below(w, WORLD_SOURCES)),
	};
	if (chance(w, 25))
		ask_service(w, out);
	else if (chance(w, 40))
		ask_flow(w, out);
	fill_local(out);
}

void world_describe(const struct question *q, char *out, size_t size)
{
	static const char *const planes[] = { "tcp", "udp", "sctp", "icmp", "icmpv6", "other" };
	char addr[INET6_ADDRSTRLEN];

	inet_ntop(AF_INET6, &q->peer, addr, sizeof(addr));
	snprintf(out, size, "slot %u (%s/%s) %s %s %s/%u (%u)", q->ep->slot, q->ep->ns, q->ep->pod,
		 q->dir == BERM_INGRESS ? "ingress from" : "egress to", addr, planes[q->plane],
		 q->port, q->other_port);
}
