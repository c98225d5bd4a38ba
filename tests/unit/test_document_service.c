/* SPDX-License-Identifier: Apache-2.0 */
/* test_document_service.c - Service, EndpointSlice, ServiceCIDR and hostPorts: what is read, what is left out. */
#include <string.h>

#include "documents.h"
#include "maps.h"
#include "test.h"

static struct documents d;

static void expect_addr(const struct berm_addr *addr, const char *text)
{
	char out[BERM_ADDR_STRLEN];

	berm_addr_format(addr, out);
	EXPECT_STR_EQ(out, text);
}

TEST(service_frontends, "a Service's addresses and ports, of both families and every sort")
{
	const struct berm_service *s;

	documents_parse(
		&d,
		"kind: Service\napiVersion: v1\nmetadata: {name: web, namespace: shop}\n"
		"spec:\n  type: LoadBalancer\n  clusterIP: 10.96.0.5\n  clusterIPs: [10.96.0.5, 'fd00:96::5']\n"
		"  externalIPs: [192.0.2.9]\n  internalTrafficPolicy: Local\n  ports:\n"
		"  - {name: http, port: 80, targetPort: web, nodePort: 30080}\n  - {name: dns, protocol: UDP, port: 53}\n"
		"status:\n  loadBalancer:\n    ingress:\n    - {ip: 198.51.100.7, ipMode: VIP}\n"
		"    - {ip: 198.51.100.8, ipMode: Proxy}\n    - {hostname: lb.example}\n");
	EXPECT_STR_EQ(d.report, "");
	s = documents_find(&d, "web")->service;
	ASSERT_TRUE(s && s->cluster_count == 2 && s->external_count == 2 && s->port_count == 2);
	expect_addr(&s->cluster[1], "fd00:96::5");
	expect_addr(&s->external[0], "192.0.2.9");
	expect_addr(&s->external[1], "198.51.100.7");
	EXPECT_TRUE(s->is_local);
	EXPECT_STR_EQ(s->port[0].name, "http");
	EXPECT_EQ(s->port[0].node_port, 30080);
	EXPECT_EQ(s->port[1].plane, BERM_PLANE_UDP);
	documents_clear(&d);
}

TEST(service_without_frontends, "headless, ExternalName and another proxy's Services have none")
{
	static const struct {
		const char *name, *text;
	} cases[] = {
		{ "headless", "kind: Service\nmetadata: {name: s}\nspec: {clusterIP: None, clusterIPs: [None], ports: [{port: 80}]}\n" },
		{ "headless, with an address outside", "kind: Service\nmetadata: {name: s}\nspec: {clusterIP: None, externalIPs: [192.0.2.1], ports: [{port: 80}]}\n"
				   "status: {loadBalancer: {ingress: [{ip: 192.0.2.2}]}}\n" },
		{ "external name", "kind: Service\nmetadata: {name: s}\nspec: {type: ExternalName, externalName: x.example, ports: [{port: 80}]}\n" },
		{ "another proxy", "kind: Service\nmetadata: {name: s, labels: {service.kubernetes.io/service-proxy-name: x}}\n"
				   "spec: {clusterIP: 10.96.0.9, ports: [{port: 80}]}\n" },
	}, *c;

	for_each_case(c, cases) {
		const struct berm_service *s;

		documents_parse(&d, c->text);
		EXPECT_STR_EQ(d.report, "");
		s = documents_find(&d, "s")->service;
		ASSERT_TRUE(s);
		EXPECT_EQ(s->cluster_count, 0);
		EXPECT_EQ(s->external_count, 0);
		EXPECT_EQ(s->port_count, 0);
		EXPECT_STR_EQ(s->ns, "default");
		documents_clear(&d);
	}
}

TEST(slice_endpoints,
     "ready endpoints, and those that serve while they end; numbers of their own ports")
{
	const struct berm_slice *s;

	documents_parse(
		&d,
		"kind: EndpointSlice\napiVersion: discovery.k8s.io/v1\naddressType: IPv4\n"
		"metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}\n"
		"ports: [{name: http, port: 8080}, {name: none}, {name: '', protocol: UDP, port: 53}]\n"
		"endpoints:\n- {addresses: [10.0.0.1, 10.0.0.99], conditions: {ready: true}, nodeName: n1}\n"
		"- {addresses: [10.0.0.2], nodeName: n2}\n"
		"- {addresses: [10.0.0.3], conditions: {ready: false}, nodeName: n1}\n"
		"- {addresses: [10.0.0.4], conditions: {ready: false, serving: true, terminating: true}, nodeName: n1}\n"
		"- {addresses: [10.0.0.5], conditions: {ready: false, serving: true}}\n"
		"- {addresses: [10.0.0.6], conditions: {ready: null}}\n");
	EXPECT_STR_EQ(d.report, "");
	s = documents_find(&d, "web-1")->slice;
	ASSERT_TRUE(s && s->port_count == 2 && s->endpoint_count == 4 && s->node_count == 2);
	EXPECT_STR_EQ(s->service, "web");
	EXPECT_EQ(s->port[0].port, 8080);
	EXPECT_TRUE(!s->port[1].name);
	expect_addr(&s->endpoint[0].addr, "10.0.0.1");
	expect_addr(&s->endpoint[1].addr, "10.0.0.2");
	expect_addr(&s->endpoint[2].addr, "10.0.0.4");
	expect_addr(&s->endpoint[3].addr, "10.0.0.6");
	EXPECT_EQ(s->endpoint[2].node, 0);
	EXPECT_EQ(s->endpoint[1].node, 1);
	EXPECT_EQ(s->endpoint[3].node, BERM_SLICE_NO_NODE);
	documents_clear(&d);
}

TEST(slice_of_names, "a slice of names leads nowhere that we could judge")
{
	documents_parse(&d,
			"kind: EndpointSlice\naddressType: FQDN\nmetadata: {name: s}\nports: [{port: 80}]\n"
			"endpoints: [{addresses: [x.example]}]\n");
	EXPECT_STR_EQ(d.report, "");
	EXPECT_EQ(documents_find(&d, "s")->slice->endpoint_count, 0);
	documents_clear(&d);
}

TEST(service_cidrs, "blocks of ClusterIPs, however an old API server wrote them")
{
	const struct berm_service_cidr *s;

	documents_parse(&d,
			"kind: ServiceCIDR\napiVersion: networking.k8s.io/v1\nmetadata: {name: kubernetes}\n"
			"spec: {cidrs: [10.96.0.0/12, 'fd00:96::/112']}\n");
	EXPECT_STR_EQ(d.report, "");
	s = documents_find(&d, "kubernetes")->service_cidr;
	ASSERT_TRUE(s && s->cidr_count == 2);
	EXPECT_EQ(s->cidr[0].bits, 108);
	EXPECT_EQ(s->cidr[1].bits, 112);
	documents_clear(&d);
}

TEST(broken_services, "what is wrong is named, and the object is broken")
{
	static const struct {
		const char *name, *text, *want;
	} cases[] = {
		{ "address", "kind: Service\nmetadata: {name: s}\nspec: {clusterIP: nonsense}\n", "'nonsense' is not an IP address" },
		{ "everywhere", "kind: Service\nmetadata: {name: s}\nspec: {externalIPs: [0.0.0.0]}\n", "'0.0.0.0' is no address of a Service" },
		{ "port", "kind: Service\nmetadata: {name: s}\nspec: {clusterIP: 10.96.0.1, ports: [{port: 70000}]}\n", "spec.ports[0].port" },
		{ "protocol", "kind: Service\nmetadata: {name: s}\nspec: {clusterIP: 10.96.0.1, ports: [{port: 7, protocol: TPC}]}\n", "TPC" },
		{ "endpoint", "kind: EndpointSlice\nmetadata: {name: s}\nendpoints: [{addresses: [x]}]\n", "'x' is not an IP address" },
		{ "endpoints", "kind: EndpointSlice\nmetadata: {name: s}\nendpoints: 7\n", "endpoints" },
		{ "block", "kind: ServiceCIDR\nmetadata: {name: s}\nspec: {cidrs: [10.96.0.0/33]}\n", "spec.cidrs[0]" },
		{ "twice", "kind: Service\nmetadata: {name: s}\n---\nkind: Service\nmetadata: {name: s}\n", "Service default/s: defined twice" },
	}, *c;

	for_each_case(c, cases) {
		documents_parse(&d, c->text);
		EXPECT_STR_HAS(d.report, c->want);
		EXPECT_TRUE(documents_find(&d, "s")->broken || !strcmp(c->name, "twice"));
		documents_clear(&d);
	}
}

TEST(strangers_of_the_same_name, "a Service of another API is not ours")
{
	documents_parse(
		&d,
		"kind: Service\napiVersion: serving.knative.dev/v1\nmetadata: {name: s}\nspec: {clusterIP: x}\n");
	EXPECT_STR_EQ(d.report, "");
	EXPECT_EQ(d.objects.count, 0);
	documents_clear(&d);
}

TEST(host_ports, "hostPorts with and without a name; a host-network pod has none")
{
	const struct berm_pod *pod;

	documents_parse(
		&d,
		"kind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - ports:\n"
		"    - {containerPort: 80, hostPort: 8080}\n"
		"    - {name: dns, containerPort: 53, hostPort: 5353, protocol: UDP, hostIP: 192.0.2.1}\n"
		"    - {containerPort: 81}\n    - {containerPort: 82, hostPort: 8082, hostIP: ''}\n"
		"---\nkind: Pod\nmetadata: {name: b}\nspec:\n  hostNetwork: true\n  containers:\n"
		"  - ports: [{containerPort: 80, hostPort: 80}]\n");
	EXPECT_STR_EQ(d.report, "");
	pod = documents_find(&d, "a")->pod;
	ASSERT_TRUE(pod && pod->port_count == 3);
	EXPECT_TRUE(!pod->port[0].name);
	EXPECT_EQ(pod->port[0].host_port, 8080);
	expect_addr(&pod->port[0].host_addr, "::");
	EXPECT_EQ(pod->port[1].plane, BERM_PLANE_UDP);
	expect_addr(&pod->port[1].host_addr, "192.0.2.1");
	EXPECT_EQ(pod->port[2].port, 82);
	EXPECT_EQ(documents_find(&d, "b")->pod->port_count, 0);
	documents_clear(&d);
}
