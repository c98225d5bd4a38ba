/* SPDX-License-Identifier: Apache-2.0 */
/* test_document_network.c - NetworkPolicy by the intake rules of networking.k8s.io/v1. */
#include <string.h>

#include "documents.h"
#include "test.h"

#define HEAD                                                                                       \
	"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: np, namespace: shop}\n"
#define SPEC HEAD "spec:\n  podSelector: {matchLabels: {app: db}}\n" /* 5 lines */

TEST(network_types)
{
	enum { IN = 1 << BERM_INGRESS, OUT = 1 << BERM_EGRESS };
	static const struct {
		const char *name, *spec;
		int isolate;
		size_t rules;
		bool warns;
	} cases[] = {
		{ "nothing said", "", IN, 0, false },
		{ "empty list", "  policyTypes: []\n", IN, 0, false },
		{ "null", "  policyTypes:\n", IN, 0, false },
		{ "ingress rules", "  ingress: [{}]\n", IN, 1, false },
		{ "egress rules add egress", "  egress: [{}]\n", IN | OUT, 1, false },
		{ "an empty egress list does not", "  egress: []\n", IN, 0, false },
		{ "ingress said", "  policyTypes: [Ingress]\n", IN, 0, false },
		{ "egress said", "  policyTypes: [Egress]\n", OUT, 0, false },
		{ "both", "  policyTypes: [Ingress, Egress]\n", IN | OUT, 0, false },
		{ "twice is a set", "  policyTypes: [Egress, Egress]\n", OUT, 0, false },
		{ "ingress list without its type is ignored",
		  "  policyTypes: [Egress]\n  ingress: [{}, {}]\n  egress: [{}]\n", OUT, 1, true },
		{ "egress list without its type is ignored",
		  "  policyTypes: [Ingress]\n  ingress: [{}]\n  egress: [{}, {}]\n", IN, 1, true },
	}, *c;

	for_each_case(c, cases) {
		static struct documents d;
		const struct berm_policy *p;
		char doc[512];

		snprintf(doc, sizeof(doc), SPEC "%s", c->spec);
		documents_parse(&d, doc);
		p = documents_policy(&d);
		EXPECT_EQ(p->kind, BERM_KIND_NETWORK);
		EXPECT_EQ(p->tier, BERM_TIER_NETWORKPOLICY);
		EXPECT_EQ(p->isolate, c->isolate);
		EXPECT_EQ(p->rule_count, c->rules);
		EXPECT_EQ(p->essentials, 0);
		EXPECT_FALSE(p->cluster_wide);
		for (size_t i = 0; i < p->rule_count; i++) {
			EXPECT_TRUE(p->isolate & 1 << p->rule[i].dir);
			EXPECT_EQ(p->rule[i].action, BERM_RULE_ALLOW);
		}
		EXPECT_EQ(d.problems.count > 0, c->warns);
		documents_clear(&d);
	}
}

TEST(network_subject)
{
	static const struct {
		const char *name, *spec;
		size_t terms;
	} cases[] = {
		{ "absent: all pods", "spec: {policyTypes: [Ingress]}\n", 0 },
		{ "null: all pods", "spec: {podSelector: null}\n", 0 },
		{ "empty: all pods", "spec: {podSelector: {}}\n", 0 },
		{ "labels and expressions are AND",
		  "spec: {podSelector: {matchLabels: {a: b}, matchExpressions: [{key: c, operator: DoesNotExist}]}}\n", 2 },
	}, *c;

	for_each_case(c, cases) {
		static struct documents d;
		char doc[512];

		snprintf(doc, sizeof(doc), HEAD "%s", c->spec);
		documents_parse(&d, doc);
		EXPECT_STR_EQ(d.report, "");
		EXPECT_EQ(documents_policy(&d)->pod_subject.count, c->terms);
		documents_clear(&d);
	}
}

TEST(network_everyone, "absent, empty and null peers and ports mean everyone and everything")
{
	static const struct {
		const char *name, *rule;
	} cases[] = {
		{ "empty rule", "{}" },
		{ "empty lists", "{from: [], ports: []}" },
		{ "nulls", "{from: null, ports: ~}" },
	}, *c;

	for_each_case(c, cases) {
		static struct documents d;
		char doc[512];

		snprintf(doc, sizeof(doc), SPEC "  ingress: [%s]\n", c->rule);
		documents_parse(&d, doc);
		ASSERT_EQ(documents_policy(&d)->rule_count, 1);
		EXPECT_EQ(documents_policy(&d)->rule[0].peer_count, 0);
		EXPECT_EQ(documents_policy(&d)->rule[0].port_count, 0);
		documents_clear(&d);
	}
}

TEST(network_ports)
{
	static const struct {
		const char *name, *port;
		int plane, first, last;
		bool all;
		const char *named;
	} cases[] = {
		{ "TCP by default", "{port: 80}", BERM_PLANE_TCP, 80, 80, false, NULL },
		{ "empty: all TCP", "{}", BERM_PLANE_TCP, 0, 65535, true, NULL },
		{ "null protocol", "{protocol: null, port: 80}", BERM_PLANE_TCP, 80, 80, false, NULL },
		{ "protocol only", "{protocol: UDP}", BERM_PLANE_UDP, 0, 65535, true, NULL },
		{ "range", "{protocol: SCTP, port: 1, endPort: 65535}", BERM_PLANE_SCTP, 1, 65535, false, NULL },
		{ "name", "{protocol: UDP, port: dns}", BERM_PLANE_UDP, 0, 0, false, "dns" },
	}, *c;

	for_each_case(c, cases) {
		static struct documents d;
		const struct berm_port_term *port;
		char doc[512];

		snprintf(doc, sizeof(doc), SPEC "  ingress: [{ports: [%s]}]\n", c->port);
		documents_parse(&d, doc);
		ASSERT_EQ(documents_policy(&d)->rule[0].port_count, 1);
		port = documents_policy(&d)->rule[0].port;
		EXPECT_EQ(port->plane, c->plane);
		EXPECT_EQ(port->first, c->first);
		EXPECT_EQ(port->last, c->last);
		EXPECT_EQ(port->all, c->all);
		EXPECT_STR_EQ(port->name, c->named);
		documents_clear(&d);
	}
}

TEST(network_errors)
{
	static const struct {
		const char *name, *doc;
		int line, column;
		const char *msg;
	} cases[] = {
		{ "empty peer", SPEC "  ingress:\n  - from: [{}]", 7, 12, "an empty peer says nothing; leave out the whole list" },
		{ "block with a selector", SPEC "  ingress:\n  - from: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]", 7, 12,
		  "ipBlock goes with no selector" },
		{ "any is not v1", SPEC "  ingress:\n  - from: [{any: true}]", 7, 13, "any: unknown field" },
		{ "port too big", SPEC "  ingress:\n  - ports: [{port: 65536}]", 7, 20, "from 1 to 65535" },
		{ "bad port name", SPEC "  ingress:\n  - ports: [{port: 8o_}]", 7, 20, "is not a port name" },
		{ "protocol is never taken for TCP", SPEC "  ingress:\n  - ports: [{protocol: ICMP}]", 7, 24, "ICMP has no ports" },
		{ "endPort without a number", SPEC "  ingress:\n  - ports: [{port: x, endPort: 80}]", 7, 32, "endPort needs" },
		{ "endPort below", SPEC "  ingress:\n  - ports: [{port: 9, endPort: 8}]", 7, 32, "endPort 8 is below port 9" },
		{ "except is all of it", SPEC "  ingress:\n  - from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]", 7, 49,
		  "is not a part of" },
		{ "name of a rule is not v1", SPEC "  ingress:\n  - name: web", 7, 5, "spec.ingress[0].name: unknown field" },
		{ "policyTypes", SPEC "  policyTypes: [Ingresss]", 6, 17, "did you mean 'Ingress'?" },
		{ "unknown in spec", SPEC "  ingres: []", 6, 3, "spec.ingres: unknown field; did you mean 'ingress'?" },
		{ "unknown in metadata", "kind: NetworkPolicy\nmetadata: {name: np, lables: {}}\nspec: {}", 2, 22,
		  "metadata.lables: unknown field; did you mean 'labels'?" },
		{ "no spec", HEAD, 1, 1, "the field 'spec' is missing" },
		{ "null spec", HEAD "spec:", 1, 1, "the field 'spec' is missing" },
		{ "no name", "kind: NetworkPolicy\nmetadata: {namespace: shop}\nspec: {}", 2, 11, "the field 'name' is missing" },
		{ "no metadata", "kind: NetworkPolicy\nspec: {}", 1, 1, "the field 'metadata' is missing" },
		{ "namespace with a dot", "kind: NetworkPolicy\nmetadata: {name: np, namespace: a.b}\nspec: {}", 2, 33,
		  "'a.b' is not a namespace's name" },
		{ "old API", "apiVersion: extensions/v1beta1\nkind: NetworkPolicy\nmetadata: {name: np}\nspec: {}", 1, 13,
		  "a NetworkPolicy of this API is not read; write networking.k8s.io/v1" },
		{ "other vendor", "apiVersion: crd.projectcalico.org/v1\nkind: NetworkPolicy\nmetadata: {name: np}\nspec: {}", 1, 13,
		  "a NetworkPolicy of this API is not read" },
	}, *c;

	for_each_case(c, cases) {
		static struct documents d;
		char at[64];

		documents_parse(&d, c->doc);
		snprintf(at, sizeof(at), "f.yaml:%d:%d: error: NetworkPolicy", c->line, c->column);
		EXPECT_STR_HAS(d.report, c->msg);
		EXPECT_STR_HAS(d.report, at);
		EXPECT_EQ(d.problems.count, 1);
		EXPECT_EQ(d.objects.count + d.objects.unreadable_count, 1);
		for (size_t i = 0; i < d.objects.count; i++)
			EXPECT_TRUE(d.objects.item[i].broken);
		documents_clear(&d);
	}
}

TEST(network_old_blocks, "blocks that API servers took in former times are normalised and named")
{
	static struct documents d;
	const struct berm_policy *p;

	documents_parse(&d, SPEC "  ingress:\n"
				 "  - from:\n"
				 "    - ipBlock: {cidr: 10.1.2.3/8, except: [10.1.2.3/16]}\n"
				 "    - ipBlock: {cidr: \"::ffff:10.0.0.0/104\"}\n"
				 "    - ipBlock: {cidr: 010.0.0.0/8}\n");
	p = documents_policy(&d);
	ASSERT_EQ(p->rule[0].peer_count, 3);
	for (size_t i = 0; i < 3; i++) {
		EXPECT_TRUE(p->rule[0].peer[i].block.v4);
		EXPECT_EQ(p->rule[0].peer[i].block.bits, 104);
		EXPECT_EQ(memcmp(&p->rule[0].peer[i].block.addr, &p->rule[0].peer[0].block.addr,
				 16),
			  0);
	}
	EXPECT_EQ(p->rule[0].peer[0].except[0].bits, 112);
	EXPECT_EQ(d.problems.count, 4);
	EXPECT_STR_HAS(d.report,
		       "f.yaml:8:23: warning: NetworkPolicy shop/np: spec.ingress[0].from[0].ipBlock.cidr: "
		       "'10.1.2.3/8' is read as '10.0.0.0/8'; write '10.0.0.0/8'");
	documents_clear(&d);
}

TEST(network_namespace)
{
	static struct documents d;

	documents_parse(&d, "kind: NetworkPolicy\nmetadata: {name: np}\nspec: {}\n");
	EXPECT_STR_EQ(documents_policy(&d)->ns, "default");
	documents_clear(&d);
	documents_parse_in(&d, "shop", "kind: NetworkPolicy\nmetadata: {name: np}\nspec: {}\n");
	EXPECT_STR_EQ(documents_policy(&d)->ns, "shop");
	documents_clear(&d);
}

TEST(network_isolation)
{
	static const struct {
		const char *name, *spec;
		int isolate; /* -1: not readable */
	} cases[] = {
		{ "a broken rule isolates as the policy would", "  ingress: [{x: 1}]\n", 1 << BERM_INGRESS },
		{ "egress too", "  egress: [{x: 1}]\n", 1 << BERM_INGRESS | 1 << BERM_EGRESS },
		{ "as its types say", "  policyTypes: [Egress]\n  ingress: [{x: 1}]\n", 1 << BERM_EGRESS },
		{ "broken types", "  policyTypes: [Egres]\n", -1 },
		{ "unknown field, but the subject is there", "  x: 1\n", 1 << BERM_INGRESS },
	}, *c;
	static struct documents d;
	struct berm_object *o;

	for_each_case(c, cases) {
		char doc[512];

		snprintf(doc, sizeof(doc), SPEC "%s", c->spec);
		documents_parse(&d, doc);
		o = documents_find(&d, "np");
		EXPECT_EQ(o->isolation ? o->isolation->isolate : -1, c->isolate);
		EXPECT_EQ(o->isolation ? o->isolation->rule_count : 0, 0);
		documents_clear(&d);
	}
	documents_parse(&d,
			"kind: NetworkPolicy\nmetadata: {name: np, namespace: Shop}\nspec: {}\n");
	EXPECT_TRUE(documents_find(&d, "np")->isolation == NULL); /* not somebody else's pods */
	documents_clear(&d);
	documents_parse(&d, HEAD "spec: {podSelektor: {}}\n");
	EXPECT_TRUE(documents_find(&d, "np")->isolation == NULL); /* not everybody for a typo */
	documents_clear(&d);
}
