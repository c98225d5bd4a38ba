// SPDX-License-Identifier: Apache-2.0
/* objects.c - model objects from terse text. Knows the structs and nothing of what they mean. */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "objects.h"
#include "test.h"

static void *grow(void *array, size_t count, size_t size)
{
	void *grown = reallocarray(array, count + 1, size);

	ASSERT_TRUE(grown);
	memset((char *)grown + count * size, 0, size);
	return grown;
}

static char *copy(const char *text)
{
	char *out = strdup(text);

	ASSERT_TRUE(out);
	return out;
}

/* The next word of *at, cut out in place; NULL at the end. */
static char *next_word(char **at)
{
	char *word;

	do
		word = strsep(at, " ");
	while (word && !*word);
	return word;
}

/* ---- addresses --------------------------------------------------------------------------------------- */

struct berm_addr objects_addr(const char *text)
{
	struct berm_addr addr = { { 0 } };
	uint8_t *byte = (uint8_t *)&addr;

	if (strchr(text, ':')) {
		ASSERT_EQ(inet_pton(AF_INET6, text, byte), 1);
		return addr;
	}
	byte[10] = byte[11] = 0xff;
	ASSERT_EQ(inet_pton(AF_INET, text, byte + 12), 1);
	return addr;
}

struct berm_cidr objects_cidr(const char *text)
{
	char *address = copy(text), *slash = strchr(address, '/');
	struct berm_cidr cidr = { .v4 = !strchr(text, ':') };

	ASSERT_TRUE(slash);
	*slash = '\0';
	cidr.addr = objects_addr(address);
	cidr.bits = (uint8_t)(atoi(slash + 1) + (cidr.v4 ? 96 : 0));
	for (unsigned int b = cidr.bits; b < 128; b++)
		((uint8_t *)&cidr.addr)[b / 8] &= (uint8_t) ~(0x80 >> b % 8);
	free(address);
	return cidr;
}

static size_t put_addrs(struct berm_addr *out, size_t room, const char *text)
{
	char *list = copy(text ? text : ""), *at = list, *word;
	size_t count = 0;

	while ((word = next_word(&at))) {
		ASSERT_TRUE(count < room);
		out[count++] = objects_addr(word);
	}
	free(list);
	return count;
}

/* ---- labels and selectors -------------------------------------------------------------------------------- */

static void put_labels(struct berm_labels *out, const char *text)
{
	char *list = copy(text ? text : ""), *at = list, *word;

	while ((word = next_word(&at))) {
		char *value = strchr(word, '=');

		ASSERT_TRUE(value);
		*value++ = '\0';
		ASSERT_EQ(berm_labels_set(out, word, value), 0);
	}
	free(list);
}

static void put_requirement(struct berm_selector *out, char *word)
{
	const char *value[16];
	size_t count = 0;
	char *values = strchr(word, '=');
	enum berm_operator op = BERM_OP_IN;

	if (!values) {
		op = *word == '!' ? BERM_OP_NOT_EXISTS : BERM_OP_EXISTS;
		ASSERT_EQ(berm_selector_add(out, word + (*word == '!'), op, NULL, 0), 0);
		return;
	}
	if (values[-1] == '!') {
		op = BERM_OP_NOT_IN;
		values[-1] = '\0';
	}
	*values++ = '\0';
	while (values && count < ARRAY_SIZE(value))
		value[count++] = strsep(&values, "|");
	ASSERT_EQ(berm_selector_add(out, word, op, value, count), 0);
}

static void put_selector(struct berm_selector *out, const char *text)
{
	char *list = copy(text ? text : ""), *at = list, *word;

	while ((word = next_word(&at)))
		put_requirement(out, word);
	berm_selector_normalise(out);
	free(list);
}

/* ---- namespaces, pods, endpoints ----------------------------------------------------------------------------- */

void objects_namespace(struct berm_model *m, const char *name, const char *labels)
{
	struct berm_namespace *ns = grow(NULL, 0, sizeof(*ns));
	const char *verdict;

	ns->name = copy(name);
	put_labels(&ns->labels, labels);
	ASSERT_EQ(berm_labels_set(&ns->labels, "kubernetes.io/metadata.name", name), 0);
	verdict = berm_labels_get(&ns->labels, "berm.dev/default-verdict");
	ns->default_deny = verdict && !strcmp(verdict, "deny");
	ASSERT_EQ(berm_model_put_namespace(m, ns), 0);
}

static void split_name(const char *both, char **ns, char **name)
{
	const char *slash = strchr(both, '/');

	ASSERT_TRUE(slash);
	*ns = strndup(both, (size_t)(slash - both));
	*name = copy(slash + 1);
}

struct berm_pod *objects_pod(struct berm_model *m, const char *name, const char *labels,
			     const char *addrs)
{
	struct berm_pod *pod = grow(NULL, 0, sizeof(*pod));

	split_name(name, &pod->ns, &pod->name);
	put_labels(&pod->labels, labels);
	pod->addr_count = put_addrs(pod->addr, BERM_MAX_ADDRS, addrs);
	ASSERT_EQ(berm_model_put_pod(m, pod), 0);
	return pod;
}

static uint8_t plane_of(const char *name)
{
	static const char *const planes[] = { "tcp", "udp", "sctp", "icmp", "icmpv6", "other" };
	uint8_t plane = 0;

	while (plane < ARRAY_SIZE(planes) && strcmp(planes[plane], name))
		plane++;
	ASSERT_TRUE(plane < ARRAY_SIZE(planes));
	return plane;
}

void objects_container_port(struct berm_pod *pod, const char *port)
{
	char name[64], plane[16];
	int number;

	ASSERT_EQ(sscanf(port, "%63[^=]=%15[^:]:%d", name, plane, &number), 3);
	pod->port = grow(pod->port, pod->port_count, sizeof(*pod->port));
	pod->port[pod->port_count++] = (struct berm_container_port){ .name = copy(name),
								     .plane = plane_of(plane),
								     .port = (uint16_t)number };
}

void objects_host_port(struct berm_pod *pod, const char *port, uint16_t host_port,
		       const char *host_addr)
{
	char plane[16];
	int number;

	ASSERT_EQ(sscanf(port, "%15[^:]:%d", plane, &number), 2);
	pod->port = grow(pod->port, pod->port_count, sizeof(*pod->port));
	pod->port[pod->port_count++] = (struct berm_container_port){
		.plane = plane_of(plane),
		.port = (uint16_t)number,
		.host_port = host_port,
		.host_addr = objects_addr(host_addr ? host_addr : "::"),
	};
}

/* ---- Services --------------------------------------------------------------------------------------------- */

static size_t copy_addrs(struct berm_addr **out, const char *text)
{
	struct berm_addr list[16];
	size_t count = put_addrs(list, ARRAY_SIZE(list), text);

	*out = grow(NULL, count, sizeof(**out));
	memcpy(*out, list, count * sizeof(*list));
	return count;
}

struct berm_service *objects_service(struct berm_model *m, const char *name, const char *cluster,
				     const char *external)
{
	struct berm_service *s = grow(NULL, 0, sizeof(*s));

	split_name(name, &s->ns, &s->name);
	s->cluster_count = copy_addrs(&s->cluster, cluster);
	s->external_count = copy_addrs(&s->external, external);
	ASSERT_EQ(berm_model_put_service(m, s), 0);
	return s;
}

/* "http=tcp:80"; without a name NULL. */
static void split_port(const char *port, char **name, uint8_t *plane, uint16_t *number)
{
	char before[64] = "", word[16];
	const char *behind = strchr(port, '=');
	int value;

	ASSERT_TRUE(behind);
	snprintf(before, sizeof(before), "%.*s", (int)(behind - port), port);
	ASSERT_EQ(sscanf(behind + 1, "%15[^:]:%d", word, &value), 2);
	*name = before[0] ? copy(before) : NULL;
	*plane = plane_of(word);
	*number = (uint16_t)value;
}

void objects_service_port(struct berm_service *s, const char *port, uint16_t node_port)
{
	struct berm_service_port *p;

	s->port = grow(s->port, s->port_count, sizeof(*s->port));
	p = &s->port[s->port_count++];
	split_port(port, &p->name, &p->plane, &p->port);
	p->node_port = node_port;
}

struct berm_slice *objects_slice(struct berm_model *m, const char *name, const char *service,
				 const char *port, const char *addrs, const char *node)
{
	struct berm_slice *s = grow(NULL, 0, sizeof(*s));
	struct berm_addr list[16];
	size_t count = put_addrs(list, ARRAY_SIZE(list), addrs);

	split_name(name, &s->ns, &s->name);
	s->service = copy(service);
	s->port = grow(NULL, 0, sizeof(*s->port));
	s->port_count = 1;
	split_port(port, &s->port->name, &s->port->plane, &s->port->port);
	s->node = grow(NULL, 0, sizeof(*s->node));
	if (node)
		s->node[s->node_count++] = copy(node);
	for (size_t i = 0; i < count; i++) {
		s->endpoint = grow(s->endpoint, i, sizeof(*s->endpoint));
		s->endpoint[s->endpoint_count++] =
			(struct berm_slice_endpoint){ list[i], node ? 0 : BERM_SLICE_NO_NODE };
	}
	ASSERT_EQ(berm_model_put_slice(m, s), 0);
	return s;
}

void objects_service_cidr(struct berm_model *m, const char *name, const char *cidr)
{
	struct berm_service_cidr *s = grow(NULL, 0, sizeof(*s));

	s->name = copy(name);
	s->cidr = grow(NULL, 0, sizeof(*s->cidr));
	s->cidr[0] = objects_cidr(cidr);
	s->cidr_count = 1;
	ASSERT_EQ(berm_model_put_service_cidr(m, s), 0);
}

void objects_endpoint(struct berm_model *m, uint32_t slot, const char *pod)
{
	struct berm_local_endpoint ep = { .slot = slot, .ifindex = slot };
	char *ns, *name;
	const struct berm_pod *object;

	split_name(pod, &ns, &name);
	snprintf(ep.ns, sizeof(ep.ns), "%s", ns);
	snprintf(ep.pod, sizeof(ep.pod), "%s", name);
	object = berm_model_pod(m, ns, name);
	if (object) {
		memcpy(ep.addr, object->addr, sizeof(ep.addr));
		ep.addr_count = object->addr_count;
	}
	ASSERT_EQ(berm_model_put_endpoint(m, &ep), 0);
	free(ns);
	free(name);
}

void objects_node_addrs(struct berm_model *m, const char *addrs)
{
	struct berm_addr list[16];
	size_t count = put_addrs(list, ARRAY_SIZE(list), addrs);

	ASSERT_EQ(berm_model_set_node_addrs(m, list, count), 0);
}

/* ---- policies ------------------------------------------------------------------------------------------------------ */

struct berm_policy *objects_policy(struct berm_model *m, enum berm_policy_kind kind,
				   const char *name, const char *pods)
{
	static const enum berm_tier tiers[] = {
		[BERM_KIND_SEGMENTATION] = BERM_TIER_APPLICATION,
		[BERM_KIND_NETWORK] = BERM_TIER_NETWORKPOLICY,
		[BERM_KIND_CLUSTER] = BERM_TIER_ADMIN,
	};
	struct berm_policy *p = grow(NULL, 0, sizeof(*p));

	p->kind = kind;
	p->tier = tiers[kind];
	p->priority = 500;
	split_name(name, &p->ns, &p->name);
	p->cluster_wide = kind == BERM_KIND_CLUSTER ||
			  (kind == BERM_KIND_SEGMENTATION && !strcmp(p->ns, BERM_SYSTEM_NAMESPACE));
	p->essentials =
		kind == BERM_KIND_SEGMENTATION ? BERM_ESSENTIAL_DNS | BERM_ESSENTIAL_APISERVER : 0;
	p->source = copy("test.yaml");
	put_selector(&p->pod_subject, pods);
	ASSERT_EQ(berm_model_put_policy(m, p), 0);
	return p;
}

void objects_subject_namespaces(struct berm_policy *p, const char *selector)
{
	p->has_ns_subject = true;
	put_selector(&p->ns_subject, selector);
}

struct berm_policy_rule *objects_rule(struct berm_policy *p, uint8_t dir, uint8_t action,
				      const char *name)
{
	uint32_t index = 0;

	for (size_t i = 0; i < p->rule_count; i++)
		index += p->rule[i].dir == dir;
	p->rule = grow(p->rule, p->rule_count, sizeof(*p->rule));
	p->rule[p->rule_count] = (struct berm_policy_rule){
		.name = name ? copy(name) : NULL, .index = index, .dir = dir, .action = action
	};
	return &p->rule[p->rule_count++];
}

static uint16_t flow_end(char *text, struct berm_addr *out)
{
	char *colon = strrchr(text, ':');

	ASSERT_TRUE(colon);
	*colon = '\0';
	if (*text == '[') {
		text++;
		colon[-1] = '\0';
	}
	*out = objects_addr(text);
	return (uint16_t)strtoul(colon + 1, NULL, 10);
}

void objects_flow(struct berm_policy *p, uint8_t dir, uint8_t action, const char *name,
		  const char *text)
{
	char *list = copy(text), *at = list, *plane = next_word(&at), *src = next_word(&at),
	     *dst = next_word(&at);
	struct berm_policy_flow flow = { .name = name ? copy(name) : NULL,
					 .index = (uint32_t)p->flow_count,
					 .dir = dir,
					 .action = action };

	flow.plane = !strcmp(plane, "tcp")   ? BERM_PLANE_TCP
		     : !strcmp(plane, "udp") ? BERM_PLANE_UDP
					     : BERM_PLANE_SCTP;
	flow.src_port = flow_end(src, &flow.src);
	flow.dst_port = flow_end(dst, &flow.dst);
	if (!(p->flow_count &
	      (p->flow_count - 1))) { /* they come by the hundred thousand: twice the room */
		p->flow = reallocarray(p->flow, p->flow_count ? 2 * p->flow_count : 1,
				       sizeof(*p->flow));
		ASSERT_TRUE(p->flow);
	}
	p->flow[p->flow_count++] = flow;
	free(list);
}

static struct berm_peer_term *add_peer(struct berm_policy_rule *r)
{
	r->peer = grow(r->peer, r->peer_count, sizeof(*r->peer));
	return &r->peer[r->peer_count++];
}

void objects_peer_pods(struct berm_policy_rule *r, const char *namespaces, const char *pods)
{
	struct berm_peer_term *peer = add_peer(r);

	peer->has_ns_selector = namespaces != NULL;
	peer->has_pod_selector = pods != NULL;
	put_selector(&peer->ns_selector, namespaces);
	put_selector(&peer->pod_selector, pods);
}

void objects_peer_block(struct berm_policy_rule *r, const char *cidr, const char *excepts)
{
	struct berm_peer_term *peer = add_peer(r);
	char *list = copy(excepts ? excepts : ""), *at = list, *word;

	peer->is_block = true;
	peer->block = objects_cidr(cidr);
	while ((word = next_word(&at))) {
		peer->except = grow(peer->except, peer->except_count, sizeof(*peer->except));
		peer->except[peer->except_count++] = objects_cidr(word);
	}
	free(list);
}

void objects_peer_any(struct berm_policy_rule *r)
{
	add_peer(r)->any = true;
}

void objects_peer_unsupported(struct berm_policy_rule *r)
{
	add_peer(r)->unsupported = true;
}

void objects_port(struct berm_policy_rule *r, const char *port)
{
	char *text = copy(port), *number = strchr(text, ':');
	struct berm_port_term *out;
	int first, last, code;

	r->port = grow(r->port, r->port_count, sizeof(*r->port));
	out = &r->port[r->port_count++];
	if (number)
		*number++ = '\0';
	out->plane = plane_of(text);
	if (!number) {
		out->all = true;
	} else if (!isdigit((unsigned char)*number)) {
		out->name = copy(number);
	} else if (sscanf(number, "%d/%d", &first, &code) == 2) {
		out->first = out->last = (uint16_t)(first << 8 | code);
	} else {
		out->first = out->last = (uint16_t)atoi(number);
		if (sscanf(number, "%d-%d", &first, &last) == 2)
			out->last = (uint16_t)last;
	}
	free(text);
}
