/* SPDX-License-Identifier: Apache-2.0 */
/* test_document_cluster.c - ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2), from files and from API servers. */
#include <string.h>

#include "documents.h"
#include "test.h"

#define HEAD                                                                                       \
	"apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: guard}\n"
#define SPEC HEAD "spec:\n  tier: Admin\n  priority: 7\n  subject: {namespaces: {}}\n" /* 7 lines */
#define PEER "{namespaces: {}}"

static struct documents d;

TEST(cluster_document)
{
	const struct berm_policy *p;

	documents_parse(
		&d, HEAD
		"spec:\n  tier: Baseline\n  priority: 1000\n"
		"  subject: {pods: {namespaceSelector: {matchLabels: {a: b}},"
		" podSelector: {matchLabels: {app: db}}}}\n"
		"  ingress:\n  - {name: in, action: Accept, from: [" PEER "]}\n"
		"  - {action: Pass, from: [" PEER "]}\n"
		"  egress:\n  - {name: out, action: Deny, to: [{networks: [10.0.0.0/8, \"fd00::/8\"]}]}\n");
	p = documents_policy(&d);
	EXPECT_STR_EQ(d.report, "");
	EXPECT_EQ(p->kind, BERM_KIND_CLUSTER);
	EXPECT_EQ(p->tier, BERM_TIER_BASELINE);
	EXPECT_EQ(p->priority, 1000);
	EXPECT_STR_EQ(p->ns, "");
	EXPECT_STR_EQ(p->name, "guard");
	EXPECT_TRUE(p->cluster_wide && p->has_ns_subject);
	EXPECT_EQ(p->ns_subject.count, 1);
	EXPECT_EQ(p->pod_subject.count, 1);
	EXPECT_EQ(p->isolate, 0);
	EXPECT_EQ(p->essentials, 0);
	ASSERT_EQ(p->rule_count, 3);
	EXPECT_EQ(p->rule[0].action, BERM_RULE_ALLOW);
	EXPECT_EQ(p->rule[1].action, BERM_RULE_PASS);
	EXPECT_EQ(p->rule[1].index, 1);
	EXPECT_TRUE(p->rule[1].name == NULL);
	EXPECT_EQ(p->rule[2].action, BERM_RULE_DENY);
	EXPECT_EQ(p->rule[2].dir, BERM_EGRESS);
	ASSERT_EQ(p->rule[2].peer_count, 2); /* each network is a peer */
	EXPECT_TRUE(p->rule[2].peer[0].is_block && p->rule[2].peer[1].is_block);
	documents_clear(&d);
}

TEST(cluster_subject)
{
	static const struct {
		const char *name, *subject;
		size_t namespaces, pods;
	} cases[] = {
		{ "all pods", "{namespaces: {}}", 0, 0 },
		{ "of some namespaces", "{namespaces: {matchLabels: {a: b}}}", 1, 0 },
		{ "some pods of all namespaces", "{pods: {podSelector: {matchLabels: {a: b}}}}", 0, 1 },
		{ "both", "{pods: {namespaceSelector: {matchLabels: {a: b}}, podSelector: {}}}", 1, 0 },
	}, *c;

	for_each_case(c, cases) {
		char doc[512];

		snprintf(doc, sizeof(doc), HEAD "spec: {tier: Admin, priority: 0, subject: %s}\n",
			 c->subject);
		documents_parse(&d, doc);
		EXPECT_STR_EQ(d.report, "");
		EXPECT_EQ(documents_policy(&d)->ns_subject.count, c->namespaces);
		EXPECT_EQ(documents_policy(&d)->pod_subject.count, c->pods);
		EXPECT_TRUE(documents_policy(&d)->has_ns_subject);
		documents_clear(&d);
	}
}

TEST(cluster_peers)
{
	static const struct {
		const char *name, *peer;
		size_t namespaces, pods;
		bool has_pods;
	} cases[] = {
		{ "pods anywhere, not everyone", "{namespaces: {}}", 0, 0, false },
		{ "of some namespaces", "{namespaces: {matchLabels: {a: b}}}", 1, 0, false },
		{ "pods", "{pods: {namespaceSelector: {}, podSelector: {matchLabels: {a: b}}}}", 0, 1, true },
		{ "pods without a namespaceSelector", "{pods: {podSelector: {}}}", 0, 0, true },
	}, *c;

	for_each_case(c, cases) {
		const struct berm_peer_term *peer;
		char doc[512];

		snprintf(doc, sizeof(doc), SPEC "  ingress: [{action: Deny, from: [%s]}]\n",
			 c->peer);
		documents_parse(&d, doc);
		EXPECT_STR_EQ(d.report, "");
		ASSERT_EQ(documents_policy(&d)->rule[0].peer_count, 1);
		peer = documents_policy(&d)->rule[0].peer;
		EXPECT_TRUE(peer->has_ns_selector && !peer->any && !peer->is_block);
		EXPECT_EQ(peer->ns_selector.count, c->namespaces);
		EXPECT_EQ(peer->pod_selector.count, c->pods);
		EXPECT_EQ(peer->has_pod_selector, c->has_pods);
		documents_clear(&d);
	}
}

TEST(cluster_protocols)
{
	static const struct {
		const char *name, *protocol;
		int plane, first, last;
	} cases[] = {
		{ "a number", "{tcp: {destinationPort: {number: 80}}}", BERM_PLANE_TCP, 80, 80 },
		{ "a range", "{udp: {destinationPort: {range: {start: 1, end: 65535}}}}", BERM_PLANE_UDP, 1, 65535 },
		{ "SCTP", "{sctp: {destinationPort: {number: 65535}}}", BERM_PLANE_SCTP, 65535, 65535 },
	}, *c;

	for_each_case(c, cases) {
		const struct berm_policy_rule *r;
		char doc[512];

		snprintf(doc, sizeof(doc),
			 SPEC "  ingress: [{action: Deny, from: [" PEER "], protocols: [%s]}]\n",
			 c->protocol);
		documents_parse(&d, doc);
		r = documents_policy(&d)->rule;
		ASSERT_EQ(r->port_count, 1);
		EXPECT_EQ(r->port[0].plane, c->plane);
		EXPECT_EQ(r->port[0].first, c->first);
		EXPECT_EQ(r->port[0].last, c->last);
		EXPECT_FALSE(r->port[0].all);
		documents_clear(&d);
	}
	documents_parse(&d, SPEC "  egress: [{action: Deny, to: [" PEER
				 "], protocols: [{destinationNamedPort: http}]}]\n");
	ASSERT_EQ(documents_policy(&d)->rule[0].port_count, 3); /* whatever its protocol */
	for (int i = 0; i < 3; i++)
		EXPECT_STR_EQ(documents_policy(&d)->rule[0].port[i].name, "http");
	documents_clear(&d);
	documents_parse(&d, SPEC "  egress: [{action: Deny, to: [" PEER "]}]\n");
	EXPECT_EQ(documents_policy(&d)->rule[0].port_count, 0);
	documents_clear(&d);
}

TEST(cluster_rule_names,
     "any text may be a name: it is shown in plain letters, twice the same by number")
{
	const struct berm_policy *p;

	documents_parse(&d, SPEC "  ingress:\n"
				 "  - {name: \"no db, please\", action: Deny, from: [" PEER "]}\n"
				 "  - {name: a, action: Deny, from: [" PEER "]}\n"
				 "  - {name: a, action: Pass, from: [" PEER "]}\n"
				 "  - {name: \"\", action: Pass, from: [" PEER "]}\n"
				 "  egress: [{name: a, action: Deny, to: [" PEER "]}]\n");
	p = documents_policy(&d);
	EXPECT_STR_EQ(p->rule[0].name, "no-db--please");
	EXPECT_STR_EQ(p->rule[1].name, "a");
	EXPECT_TRUE(p->rule[2].name == NULL && p->rule[3].name == NULL);
	EXPECT_STR_EQ(p->rule[4].name, "a"); /* of the other direction */
	EXPECT_EQ(d.problems.count, 1);
	EXPECT_STR_HAS(d.report, "rules 1 and 2 are both named 'a'");
	documents_clear(&d);
}

TEST(cluster_errors)
{
#define RULE SPEC "  ingress:\n  - "
#define OUT  SPEC "  egress:\n  - "
	static const struct {
		const char *name, *doc;
		int line, column;
		const char *msg;
	} cases[] = {
		{ "no tier", HEAD "spec: {priority: 1, subject: {namespaces: {}}}", 4, 7, "the field 'tier' is missing" },
		{ "no priority", HEAD "spec: {tier: Admin, subject: {namespaces: {}}}", 4, 7, "the field 'priority' is missing" },
		{ "no subject", HEAD "spec: {tier: Admin, priority: 1}", 4, 7, "the field 'subject' is missing" },
		{ "tier of ours", HEAD "spec: {tier: admin, priority: 1, subject: {namespaces: {}}}", 4, 14, "'Admin'" },
		{ "priority", HEAD "spec: {tier: Admin, priority: 1001, subject: {namespaces: {}}}", 4, 31, "from 0 to 1000" },
		{ "empty subject", HEAD "spec: {tier: Admin, priority: 1, subject: {}}", 4, 43, "an empty subject says nothing" },
		{ "two subjects", HEAD "spec: {tier: Admin, priority: 1, subject: {namespaces: {}, pods: {podSelector: {}}}}", 4, 43,
		  "either namespaces or pods" },
		{ "pods of nothing", HEAD "spec: {tier: Admin, priority: 1, subject: {pods: {}}}", 4, 50, "the field 'podSelector' is missing" },
		{ "unknown field", SPEC "  ingres: []", 8, 3, "spec.ingres: unknown field; did you mean 'ingress'?" },
		{ "a namespace", "kind: ClusterNetworkPolicy\nmetadata: {name: x, namespace: shop}\n"
				 "spec: {tier: Admin, priority: 1, subject: {namespaces: {}}}", 2, 32, "is in no namespace; remove it" },
		{ "action missing", RULE "from: [" PEER "]", 9, 5, "the field 'action' is missing" },
		{ "action of ours", RULE "{action: Allow, from: [" PEER "]}", 9, 14, "known: Accept, Deny, Pass" },
		{ "no peers", RULE "{action: Deny}", 9, 5, "the field 'from' is missing" },
		{ "empty list of peers", RULE "{action: Deny, from: []}", 9, 26, "an empty list of peers" },
		{ "empty peer", RULE "{action: Deny, from: [{}]}", 9, 27, "an empty item says nothing" },
		{ "two peers in one", RULE "{action: Deny, from: [{namespaces: {}, pods: {podSelector: {}}}]}", 9, 27,
		  "exactly one field must be given" },
		{ "ingress networks", RULE "{action: Deny, from: [{networks: [10.0.0.0/8]}]}", 9, 28, "only egress rules have them" },
		{ "to in ingress", RULE "{action: Deny, from: [" PEER "], to: []}", 9, 46, "says where from, not where to" },
		{ "nodes", OUT "{action: Deny, to: [{nodes: {}}]}", 9, 26, "not supported by this version; use networks" },
		{ "domain names", OUT "{action: Accept, to: [{domainNames: [a.b]}]}", 9, 28, "not supported by this version" },
		{ "no networks", OUT "{action: Deny, to: [{networks: []}]}", 9, 36, "an empty list of networks" },
		{ "bad CIDR", OUT "{action: Deny, to: [{networks: [10.0.0.0/33]}]}", 9, 37, "10.0.0.0/33" },
		{ "no protocols", RULE "{action: Deny, from: [" PEER "], protocols: []}", 9, 57, "an empty list of protocols" },
		{ "two protocols", RULE "{action: Deny, from: [" PEER "], protocols: [{tcp: {destinationPort: {number: 1}}, destinationNamedPort: x}]}",
		  9, 58, "exactly one field must be given" },
		{ "no port", RULE "{action: Deny, from: [" PEER "], protocols: [{tcp: {}}]}", 9, 64, "'destinationPort' is missing" },
		{ "neither number nor range", RULE "{action: Deny, from: [" PEER "], protocols: [{tcp: {destinationPort: {}}}]}", 9, 82,
		  "either a number or a range" },
		{ "both", RULE "{action: Deny, from: [" PEER "], protocols: [{tcp: {destinationPort: {number: 1, range: {start: 1, end: 2}}}}]}", 9, 82,
		  "either a number or a range" },
		{ "a range of one", RULE "{action: Deny, from: [" PEER "], protocols: [{tcp: {destinationPort: {range: {start: 2, end: 2}}}}]}", 9, 90,
		  "start 2 is not below end 2" },
		{ "port 0", RULE "{action: Deny, from: [" PEER "], protocols: [{tcp: {destinationPort: {number: 0}}}]}", 9, 91, "from 1 to 65535" },
		{ "port name", RULE "{action: Deny, from: [" PEER "], protocols: [{destinationNamedPort: a_b}]}", 9, 81, "is not a port name" },
		{ "named ports of networks", OUT "{action: Deny, to: [{networks: [10.0.0.0/8]}], protocols: [{destinationNamedPort: http}]}", 9, 5,
		  "networks have no named ports" },
		{ "ports of v1", RULE "{action: Deny, from: [" PEER "], ports: []}", 9, 46, "ports: unknown field" },
		{ "the API before", "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: ClusterNetworkPolicy\nmetadata: {name: x}\n", 1, 13,
		  "a ClusterNetworkPolicy of this API is not read; write policy.networking.k8s.io/v1alpha2" },
		{ "of another vendor", "apiVersion: crd.antrea.io/v1beta1\nkind: ClusterNetworkPolicy\nmetadata: {name: x}\n", 1, 13,
		  "a ClusterNetworkPolicy of this API is not read" },
	}, *c;

	for_each_case(c, cases) {
		char at[64];

		documents_parse(&d, c->doc);
		snprintf(at, sizeof(at), "f.yaml:%d:%d: error: ClusterNetworkPolicy", c->line,
			 c->column);
		EXPECT_STR_HAS(d.report, c->msg);
		EXPECT_STR_HAS(d.report, at);
		EXPECT_EQ(d.problems.count, 1);
		EXPECT_EQ(d.objects.count + d.objects.unreadable_count, 1);
		for (size_t i = 0; i < d.objects.count; i++) {
			EXPECT_TRUE(d.objects.item[i].broken);
			EXPECT_TRUE(d.objects.item[i].isolation == NULL);
		}
		documents_clear(&d);
	}
}

TEST(cluster_limits, "25 rules, peers, networks and protocols are the most, as in the API")
{
	static const struct {
		const char *name, *before, *item, *after;
	} cases[] = {
		{ "rules", SPEC "  ingress: [", "{action: Deny, from: [" PEER "]}", "]" },
		{ "peers", SPEC "  ingress: [{action: Deny, from: [", PEER, "]}]" },
		{ "networks", SPEC "  egress: [{action: Deny, to: [{networks: [", "10.0.0.0/8", "]}]}]" },
		{ "protocols", SPEC "  ingress: [{action: Deny, from: [" PEER "], protocols: [",
		  "{destinationNamedPort: a}", "]}]" },
	}, *c;

	for_each_case(c, cases) {
		for (int count = 25; count <= 26; count++) {
			static char doc[8192];
			size_t used = (size_t)snprintf(doc, sizeof(doc), "%s", c->before);

			for (int i = 0; i < count; i++)
				used += (size_t)snprintf(doc + used, sizeof(doc) - used, "%s%s",
							 i ? ", " : "", c->item);
			snprintf(doc + used, sizeof(doc) - used, "%s\n", c->after);
			documents_parse(&d, doc);
			EXPECT_EQ(d.problems.count, count > 25);
			EXPECT_EQ(documents_find(&d, "guard")->broken, count > 25);
			documents_clear(&d);
		}
	}
}

TEST(cluster_tenants, "only ConfigMaps of the system's namespace may hold one")
{
	documents_parse_in(&d, "berm-system", SPEC);
	EXPECT_STR_EQ(d.report, "");
	EXPECT_EQ(documents_policy(&d)->tier, BERM_TIER_ADMIN);
	documents_clear(&d);
	documents_parse_in(&d, "shop", SPEC);
	EXPECT_EQ(d.objects.count, 0);
	ASSERT_EQ(d.objects.unreadable_count, 1);
	EXPECT_STR_EQ(d.objects.unreadable[0].ns, "shop");
	EXPECT_STR_HAS(d.report, "a ClusterNetworkPolicy is not for namespace shop");
	documents_clear(&d);
}

/* ---- from an API server ------------------------------------------------------------------------------------------- */

static void parse_object(const char *rules)
{
	struct berm_document document = { .source = "clusternetworkpolicy guard",
					  .kind = "ClusterNetworkPolicy",
					  .text = d.text };
	struct berm_err err = { 0 };

	memset(&d, 0, sizeof(d));
	document.size = (size_t)snprintf(
		d.text, sizeof(d.text),
		"{\"kind\": \"ClusterNetworkPolicy\", \"metadata\": {\"name\": \"guard\", \"uid\": \"u\", \"resourceVersion\": \"1\"}, "
		"\"spec\": {\"tier\": \"Admin\", \"priority\": 0, \"subject\": {\"namespaces\": {}}, %s}, \"status\": {\"conditions\": []}}",
		rules);
	ASSERT_OK(berm_document_parse_object(&document, &d.objects, &d.problems, &err), &err);
}

TEST(cluster_later_versions, "what no field of this version says fails closed, and only that rule")
{
#define GOOD "{\"action\": \"Deny\", \"from\": [{\"namespaces\": {}}]}"
	static const struct {
		const char *name, *rules;
		int unsupported; /* bit mask of rules */
	} cases[] = {
		{ "all known", "\"ingress\": [" GOOD "]", 0 },
		{ "an empty peer", "\"ingress\": [" GOOD ", {\"action\": \"Pass\", \"from\": [{}]}]", 2 },
		{ "an unknown one", "\"ingress\": [{\"action\": \"Accept\", \"from\": [{\"who\": {}}]}, " GOOD "]", 1 },
		{ "ingress networks", "\"ingress\": [{\"action\": \"Accept\", \"from\": [{\"networks\": [\"::/0\"]}]}]", 1 },
		{ "nodes", "\"egress\": [{\"action\": \"Deny\", \"to\": [{\"nodes\": {}}]}]", 1 },
		{ "domain names", "\"egress\": [{\"action\": \"Accept\", \"to\": [{\"domainNames\": [\"a.b\"]}]}]", 1 },
		{ "one of two", "\"egress\": [{\"action\": \"Accept\", \"to\": [{\"nodes\": {}}, {\"networks\": [\"::/0\"]}]}]", 1 },
		{ "a protocol", "\"ingress\": [{\"action\": \"Deny\", \"from\": [{\"namespaces\": {}}], \"protocols\": [{\"icmp\": {}}]}]", 1 },
		{ "what a protocol says", "\"ingress\": [{\"action\": \"Deny\", \"from\": [{\"namespaces\": {}}], \"protocols\": [{\"tcp\": {\"flags\": 1}}]}]", 1 },
		{ "what a port says", "\"ingress\": [{\"action\": \"Deny\", \"from\": [{\"namespaces\": {}}], "
				      "\"protocols\": [{\"tcp\": {\"destinationPort\": {\"set\": 1}}}]}]", 1 },
	}, *c;

	for_each_case(c, cases) {
		int unsupported = 0;

		parse_object(c->rules);
		for (size_t i = 0; i < documents_policy(&d)->rule_count; i++)
			unsupported |= documents_policy(&d)->rule[i].unsupported << i;
		EXPECT_EQ(unsupported, c->unsupported);
		EXPECT_EQ(d.problems.count, c->unsupported != 0);
		EXPECT_EQ(documents_policy(&d)->line, 0);
		documents_clear(&d);
	}
}

TEST(cluster_kept, "the last good version of such an object is taken again as it was")
{
	struct berm_policy *again = NULL;
	struct berm_err err = { 0 };
	uint64_t digest;

	parse_object("\"kind\": 1, \"ingress\": []"); /* not this one: unknown field */
	EXPECT_TRUE(d.objects.item[0].broken);
	documents_clear(&d);
	parse_object("\"egress\": [{\"action\": \"Deny\", \"to\": [{\"nodes\": {}}]}]");
	digest = documents_policy(&d)->digest;
	ASSERT_OK(berm_document_parse_kept("clusternetworkpolicy guard", &d.objects.item[0], &again,
					   &err),
		  &err);
	EXPECT_EQ(again->digest, digest);
	EXPECT_TRUE(again->rule[0].unsupported);
	berm_policy_free(again);
	documents_clear(&d);
}

TEST(cluster_digest, "a rule that is not understood is another policy")
{
	uint64_t understood;

	parse_object("\"ingress\": [{\"action\": \"Deny\", \"from\": [{\"namespaces\": {}}]}]");
	understood = documents_policy(&d)->digest;
	documents_clear(&d);
	parse_object("\"ingress\": [{\"action\": \"Deny\", \"from\": [{\"namespaces\": {}}, {}]}]");
	EXPECT_NE(documents_policy(&d)->digest, understood);
	documents_clear(&d);
}
