/* SPDX-License-Identifier: Apache-2.0 */
/* test_document_segmentation.c - every field of a SegmentationPolicy: what it becomes, how it is refused. */
#include <stdlib.h>

#include "documents.h"
#include "test.h"

/* A good document's head; rows add to it. */
#define HEAD "kind: SegmentationPolicy\nname: p\nisolate: [Ingress]\n" /* 3 lines */
#define IN   HEAD "ingress:\n"					       /* 4 lines */

struct refusal {
	const char *name, *doc;
	int line, column; /* in doc */
	const char *msg;
};

static const struct refusal document_refusals[] = {
	{ "unknown field", HEAD "ingres: []", 4, 1,
	  "ingres: unknown field; did you mean 'ingress'?" },
	{ "unknown, nothing near", HEAD "zebra: 1", 4, 1, "zebra: unknown field" },
	{ "name missing", "kind: SegmentationPolicy\nisolate: []", 1, 1,
	  "the field 'name' is missing" },
	{ "name with capitals", "kind: SegmentationPolicy\nname: Web\nisolate: []", 2, 7,
	  "name: 'Web' is not a name" },
	{ "name is a number", "kind: SegmentationPolicy\nname: 5\nisolate: []", 2, 7,
	  "name: want a text, got the number 5; put it in quotes: \"5\"" },
	{ "field twice", HEAD "name: q", 4, 1, "'name' is there twice; see line 10 too" },
	{ "isolate missing", "kind: SegmentationPolicy\nname: p", 1, 1,
	  "the field 'isolate' is missing; [Ingress], [Egress], both, or []" },
	{ "isolate misspelt", "kind: SegmentationPolicy\nname: p\nisolate: [ingress]", 3, 11,
	  "isolate[0]: 'ingress' is not a known word here; did you mean 'Ingress'?" },
	{ "isolate twice", "kind: SegmentationPolicy\nname: p\nisolate: [Ingress, Ingress]", 3, 20,
	  "'Ingress' is there twice" },
	{ "isolate not a list", "kind: SegmentationPolicy\nname: p\nisolate: Ingress", 3, 10,
	  "isolate: want a list, got 'Ingress'; put it in brackets" },
	{ "nothing behind a colon", HEAD "subject:", 4, 1, "subject: has no value" },
	{ "tier unknown", HEAD "tier: app", 4, 7, "tier: 'app' is not a known word here" },
	{ "priority too big", HEAD "priority: 1001", 4, 11,
	  "1001 is not a whole number from 0 to 1000" },
	{ "priority negative", HEAD "priority: -1", 4, 11, "-1 is not a whole number" },
	{ "priority broken", HEAD "priority: 1.5", 4, 11, "1.5 is not a whole number" },
	{ "priority quoted", HEAD "priority: \"5\"", 4, 11,
	  "want a number, got '5'; write it without quotes" },
	{ "mode unknown", HEAD "mode: enforced", 4, 7, "did you mean 'enforce'?" },
	{ "mode learn", HEAD "mode: learn", 4, 7, "not supported by this version" },
	{ "onPolicyChange misspelt", HEAD "onPolicyChange: Reser", 4, 17, "did you mean 'Reset'?" },
	{ "onPolicyChange a list", HEAD "onPolicyChange: [Keep]", 4, 17, "want a text" },
	{ "denyWith misspelt", HEAD "denyWith: reject", 4, 11, "did you mean 'Reject'?" },
	{ "essential unknown", HEAD "essentials: [dsn]", 4, 14, "did you mean 'dns'?" },
	{ "version", "apiVersion: berm.dev/v2\n" HEAD, 1, 13,
	  "'berm.dev/v2' is not a known version" },
	{ "metadata", HEAD "metadata: {name: p}", 4, 1, "write name at the top" },
	{ "scope", HEAD "scope: {app: x}", 4, 1, "scope: not supported by this version" },
	{ "flows", HEAD "flows: []", 4, 1, "flows: not supported by this version" },
	{ "expect", HEAD "expect: []", 4, 1, "expect: not supported by this version" },
	{ "subject workload", HEAD "subject: {workload: {role: x}}", 4, 11,
	  "subject.workload: not supported by this version" },
	{ "namespace of another", HEAD "namespace: other", 4, 12,
	  "a document belongs to the namespace of its ConfigMap, here 'shop', not to 'other'" },
	{ "subject unknown", HEAD "subject: {podselector: {}}", 4, 11,
	  "did you mean 'podSelector'?" },
};

static const struct refusal selector_refusals[] = {
	{ "label value is a number", HEAD "subject: {podSelector: {matchLabels: {app: 5}}}", 4, 44,
	  "subject.podSelector.matchLabels.app: want a text, got the number 5; put it in quotes" },
	{ "label value is yes", HEAD "subject: {podSelector: {matchLabels: {app: yes}}}", 4, 44,
	  "want a text, got yes; put it in quotes: \"yes\"" },
	{ "label value impossible", HEAD "subject: {podSelector: {matchLabels: {app: a b}}}", 4, 44,
	  "'a b' can never be a label's value" },
	{ "label name impossible", HEAD "subject: {podSelector: {matchLabels: {a/b/c: x}}}", 4, 46,
	  "'a/b/c' is not a label's name" },
	{ "operator unknown",
	  HEAD "subject: {podSelector: {matchExpressions: [{key: a, operator: Equals}]}}", 4, 63,
	  "'Equals' is not a known word here" },
	{ "In without values",
	  HEAD "subject: {podSelector: {matchExpressions: [{key: a, operator: In}]}}", 4, 44,
	  "In and NotIn need values" },
	{ "Exists with values",
	  HEAD
	  "subject: {podSelector: {matchExpressions: [{key: a, operator: Exists, values: [x]}]}}",
	  4, 44, "Exists and DoesNotExist take no values" },
	{ "key missing", HEAD "subject: {podSelector: {matchExpressions: [{operator: Exists}]}}", 4,
	  44, "the field 'key' is missing" },
	{ "selector by hand", HEAD "subject: {podSelector: {app: db}}", 4, 25,
	  "subject.podSelector.app: unknown field" },
};

static const struct refusal rule_refusals[] = {
	{ "rule unknown field", IN "- {prots: []}", 5, 4,
	  "ingress[0].prots: unknown field; did you mean 'ports'?" },
	{ "rules are no list", HEAD "ingress: {from: []}", 4, 10,
	  "want a list, got a mapping; start each item" },
	{ "rule is no mapping", IN "- web", 5, 3, "ingress[0]: want a mapping, got 'web'" },
	{ "rule name", IN "- {name: a b}", 5, 10, "'a b' is not a rule's name" },
	{ "rule name twice", IN "- {name: a}\n- {name: b}\n- {name: a}", 7, 3,
	  "rule 0 is named 'a' too" },
	{ "action misspelt", IN "- {action: allow}", 5, 12, "did you mean 'Allow'?" },
	{ "action misspelt otherwise", IN "- {action: Rejet}", 5, 12, "did you mean 'Reject'?" },
	{ "to in ingress", IN "- {to: []}", 5, 4,
	  "an ingress rule says where from, not where to; write 'from'" },
	{ "from in egress", HEAD "egress:\n- {from: []}", 5, 4, "write 'to'" },
	{ "rule mode unknown", IN "- {mode: Audit}", 5, 10, "did you mean 'audit'?" },
	{ "rule mode learn", IN "- {mode: learn}", 5, 10, "known: enforce, audit, disabled" },
	{ "rule app", IN "- {app: {protocol: http}}", 5, 4, "not supported by this version" },
	{ "rule limits", IN "- {limits: {}}", 5, 4, "not supported by this version" },
	{ "rule log", IN "- {log: {sample: 10}}", 5, 4, "not supported by this version" },
	{ "rule expires", IN "- {expires: 2027-01-31T00:00:00Z}", 5, 4,
	  "not supported by this version" },

	{ "empty from", IN "- {from: []}", 5, 10,
	  "an empty list of peers; leave it out, or write [{any: true}]" },
	{ "empty peer", IN "- {from: [{}]}", 5, 11,
	  "an empty peer says nothing; write {any: true}" },
	{ "any false", IN "- {from: [{any: false}]}", 5, 17, "any: false says nothing" },
	{ "any is a text", IN "- {from: [{any: \"true\"}]}", 5, 17,
	  "want true or false, got 'true'" },
	{ "any and more", IN "- {from: [{any: true, podSelector: {}}]}", 5, 11,
	  "any goes with nothing else" },
	{ "block and selector", IN "- {from: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]}", 5,
	  11, "ipBlock goes with no selector" },
	{ "fqdns", IN "- {from: [{fqdns: [a.example]}]}", 5, 12,
	  "from[0].fqdns: not supported by this version" },
	{ "workload", IN "- {from: [{workload: {role: a}}]}", 5, 12,
	  "not supported by this version" },
	{ "scope of a peer", IN "- {from: [{podSelector: {}, scope: any}]}", 5, 29,
	  "not supported by this version" },
	{ "cidr missing", IN "- {from: [{ipBlock: {}}]}", 5, 21, "the field 'cidr' is missing" },
	{ "host bits", IN "- {from: [{ipBlock: {cidr: 10.1.2.3/8}}]}", 5, 28,
	  "did you mean '10.0.0.0/8'?" },
	{ "no prefix length", IN "- {from: [{ipBlock: {cidr: 10.1.2.3}}]}", 5, 28,
	  "'10.1.2.3' has no prefix length; write '10.1.2.3/32'" },
	{ "a name", IN "- {from: [{ipBlock: {cidr: a.example/8}}]}", 5, 28,
	  "is not an IP address" },
	{ "except outside", IN "- {from: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/9]}}]}", 5,
	  48, "11.0.0.0/9 is not a part of 10.0.0.0/8" },
	{ "except everything", IN "- {from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]}",
	  5, 48, "10.0.0.0/8 is not a part of 10.0.0.0/8" },
	{ "except other family", IN "- {from: [{ipBlock: {cidr: \"::/0\", except: [10.0.0.0/8]}}]}",
	  5, 44, "is not a part of ::/0" },
};

static const struct refusal port_refusals[] = {
	{ "port too big", IN "- {ports: [{port: 65536}]}", 5, 19,
	  "65536 is not a whole number from 1 to 65535" },
	{ "port zero", IN "- {ports: [{port: 0}]}", 5, 19, "0 is not a whole number from 1" },
	{ "port quoted", IN "- {ports: [{port: \"80\"}]}", 5, 19,
	  "'80' is not a port name; write the number without" },
	{ "port name too long", IN "- {ports: [{port: abcdefghijklmnop}]}", 5, 19,
	  "is not a port name" },
	{ "port name with capitals", IN "- {ports: [{port: Http}]}", 5, 19, "is not a port name" },
	{ "port is a list", IN "- {ports: [{port: [80]}]}", 5, 19, "want a number, got a list" },
	{ "ports is a number", IN "- {ports: 80}", 5, 11, "want a list, got the number 80" },
	{ "port item is a number", IN "- {ports: [80]}", 5, 12,
	  "want a mapping, got the number 80" },
	{ "empty port", IN "- {ports: [{}]}", 5, 12,
	  "an empty port says nothing; all TCP ports are" },
	{ "empty ports", IN "- {ports: []}", 5, 11, "an empty list of ports" },
	{ "endPort alone", IN "- {ports: [{endPort: 90}]}", 5, 22, "endPort needs a port number" },
	{ "endPort of a name", IN "- {ports: [{port: http, endPort: 90}]}", 5, 34,
	  "endPort needs a port number" },
	{ "endPort below", IN "- {ports: [{port: 90, endPort: 80}]}", 5, 32,
	  "endPort 80 is below port 90" },
	{ "protocol in small letters", IN "- {ports: [{protocol: tcp}]}", 5, 23,
	  "did you mean 'TCP'?" },
	{ "protocol ICMP", IN "- {ports: [{protocol: ICMP}]}", 5, 23, "ICMP has no ports" },
	{ "protocol number", IN "- {ports: [{protocol: 6}]}", 5, 23,
	  "want a text, got the number 6" },

	{ "icmp without type", IN "- {icmp: [{code: 1}]}", 5, 11, "the field 'type' is missing" },
	{ "icmp type misspelt", IN "- {icmp: [{type: echo-requst}]}", 5, 18,
	  "did you mean 'echo-request'?" },
	{ "icmp type too big", IN "- {icmp: [{type: 256}]}", 5, 18,
	  "256 is not a whole number from 0 to 255" },
	{ "icmp any with code", IN "- {icmp: [{type: any, code: 1}]}", 5, 11,
	  "a code needs a type" },
	{ "icmp wrong family", IN "- {icmp: [{type: packet-too-big, family: IPv4}]}", 5, 11,
	  "this family has no such message" },
	{ "empty icmp", IN "- {icmp: []}", 5, 10, "an empty list" },
};

/* One mistake, one message, and no policy. */
static void check_refusal(const struct refusal *r)
{
	static struct documents d;
	char at[64];

	documents_parse_in(&d, "shop", r->doc);
	snprintf(at, sizeof(at), "f.yaml:%d:%d: error: ", r->line + DOCUMENTS_LINE - 1,
		 r->column + DOCUMENTS_COLUMN - 1);
	EXPECT_STR_HAS(d.report, r->msg);
	EXPECT_STR_HAS(d.report, at);
	EXPECT_EQ(d.problems.count, 1);
	for (size_t i = 0; i < d.objects.count; i++)
		EXPECT_TRUE(d.objects.item[i].broken && !d.objects.item[i].policy);
	EXPECT_EQ(d.objects.count + d.objects.unreadable_count, 1);
	documents_clear(&d);
}

TEST(segmentation_modes, "modes of a document and of a rule")
{
	struct documents d = { 0 };
	const struct berm_policy *p;

	documents_parse_in(&d, "shop",
			   "kind: SegmentationPolicy\nname: p\nmode: audit\nisolate: [Ingress]\n"
			   "ingress:\n- {mode: enforce}\n- {mode: audit}\n- {mode: disabled}\n- {}\n");
	p = documents_policy(&d);
	EXPECT_STR_EQ(d.report, "");
	EXPECT_TRUE(p->audit && !p->disabled);
	ASSERT_EQ(p->rule_count, 4);
	EXPECT_EQ(p->rule[0].mode, BERM_MODE_ENFORCE);
	EXPECT_EQ(p->rule[1].mode, BERM_MODE_AUDIT);
	EXPECT_EQ(p->rule[2].mode, BERM_MODE_DISABLED);
	EXPECT_EQ(p->rule[3].mode, BERM_MODE_ENFORCE);
	documents_clear(&d);
}

TEST(segmentation_document_errors,
     "a mistake in a document is named with line, column, field and a hint")
{
	const struct refusal *c;

	for_each_case(c, document_refusals)
		check_refusal(c);
}

TEST(segmentation_selector_errors, "a mistake in a selector is")
{
	const struct refusal *c;

	for_each_case(c, selector_refusals)
		check_refusal(c);
}

TEST(segmentation_rule_errors, "a mistake in a rule or peer is")
{
	const struct refusal *c;

	for_each_case(c, rule_refusals)
		check_refusal(c);
}

TEST(segmentation_port_errors, "a mistake in a port or ICMP type is")
{
	const struct refusal *c;

	for_each_case(c, port_refusals)
		check_refusal(c);
}

TEST(segmentation_defaults)
{
	static struct documents d;
	const struct berm_policy *p;

	documents_parse_in(&d, "shop", "kind: SegmentationPolicy\nname: p\nisolate: [Egress]\n");
	p = documents_policy(&d);
	EXPECT_STR_EQ(d.report, "");
	EXPECT_EQ(p->kind, BERM_KIND_SEGMENTATION);
	EXPECT_EQ(p->tier, BERM_TIER_APPLICATION);
	EXPECT_EQ(p->priority, 500);
	EXPECT_STR_EQ(p->ns, "shop");
	EXPECT_STR_EQ(p->name, "p");
	EXPECT_FALSE(p->cluster_wide || p->disabled || p->has_ns_subject);
	EXPECT_EQ(p->pod_subject.count, 0);
	EXPECT_EQ(p->isolate, 1 << BERM_EGRESS);
	EXPECT_EQ(p->essentials, BERM_ESSENTIAL_DNS | BERM_ESSENTIAL_APISERVER);
	EXPECT_EQ(p->rule_count, 0);
	EXPECT_STR_EQ(p->source, "f.yaml");
	EXPECT_EQ(p->line, DOCUMENTS_LINE);
	EXPECT_STR_EQ(d.objects.item[0].key, "f.yaml#configmap/shop/c/policy.yaml");
	EXPECT_STR_EQ(d.objects.item[0].carrier, "shop");
	EXPECT_STR_EQ(d.objects.item[0].text,
		      "kind: SegmentationPolicy\nname: p\nisolate: [Egress]\n");
	documents_clear(&d);
}

TEST(segmentation_full)
{
	static struct documents d;
	const struct berm_policy *p;

	documents_parse_in(
		&d, "berm-system",
		"apiVersion: berm.dev/v1\n"
		"kind: SegmentationPolicy\n"
		"name: p\n"
		"description: all of it\n"
		"tier: application\n"
		"priority: 7\n"
		"mode: disabled\n"
		"subject:\n"
		"  podSelector: {matchLabels: {app: db}}\n"
		"  namespaceSelector: {matchExpressions: [{key: env, operator: NotIn, values: [dev]}]}\n"
		"isolate: [Ingress, Egress]\n"
		"essentials: [dns]\n"
		"onPolicyChange: Recheck\n"
		"denyWith: Drop\n"
		"ingress:\n"
		"- {name: one, action: Log, from: [{any: true}]}\n"
		"- {action: Pass}\n"
		"egress:\n"
		"- {name: one, action: Deny, to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}\n");
	p = documents_policy(&d);
	EXPECT_STR_EQ(d.report, "");
	EXPECT_EQ(p->priority, 7);
	EXPECT_TRUE(p->disabled);
	EXPECT_TRUE(p->cluster_wide);
	EXPECT_TRUE(p->has_ns_subject);
	EXPECT_EQ(p->ns_subject.count, 1);
	EXPECT_EQ(p->pod_subject.count, 1);
	EXPECT_EQ(p->isolate, 1 << BERM_INGRESS | 1 << BERM_EGRESS);
	EXPECT_EQ(p->essentials, BERM_ESSENTIAL_DNS);
	ASSERT_EQ(p->rule_count, 3);
	EXPECT_STR_EQ(p->rule[0].name, "one");
	EXPECT_EQ(p->rule[0].action, BERM_RULE_LOG);
	EXPECT_TRUE(p->rule[0].peer[0].any);
	EXPECT_EQ(p->rule[1].action, BERM_RULE_PASS);
	EXPECT_EQ(p->rule[1].index, 1);
	EXPECT_TRUE(p->rule[1].name == NULL);
	EXPECT_EQ(p->rule[1].peer_count, 0);
	EXPECT_EQ(p->rule[2].dir, BERM_EGRESS);
	EXPECT_EQ(p->rule[2].index, 0);
	EXPECT_TRUE(p->rule[2].peer[0].is_block);
	EXPECT_EQ(p->rule[2].peer[0].block.bits, 104);
	EXPECT_EQ(p->rule[2].peer[0].except_count, 1);
	documents_clear(&d);
}

static uint64_t digest_with(const char *field, bool rejects, enum berm_policy_change change)
{
	static struct documents d;
	const struct berm_policy *p;
	char text[256];
	uint64_t digest;

	snprintf(text, sizeof(text), "kind: SegmentationPolicy\nname: p\nisolate: []\n%s\n", field);
	documents_parse(&d, text);
	p = documents_policy(&d);
	EXPECT_STR_EQ(d.report, "");
	EXPECT_EQ(p->rejects, rejects);
	EXPECT_EQ(p->on_change, change);
	digest = p->digest;
	documents_clear(&d);
	return digest;
}

TEST(segmentation_denials)
{
	static struct documents d;
	uint64_t plain = digest_with("", false, BERM_CHANGE_RECHECK);

	EXPECT_EQ(digest_with("denyWith: Drop", false, BERM_CHANGE_RECHECK), plain);
	EXPECT_TRUE(digest_with("denyWith: Reject", true, BERM_CHANGE_RECHECK) != plain);
	EXPECT_EQ(digest_with("onPolicyChange: Recheck", false, BERM_CHANGE_RECHECK), plain);
	EXPECT_TRUE(digest_with("onPolicyChange: Keep", false, BERM_CHANGE_KEEP) != plain);
	EXPECT_TRUE(digest_with("onPolicyChange: Reset", false, BERM_CHANGE_RESET) != plain);
	documents_parse(&d, "kind: SegmentationPolicy\nname: p\nisolate: []\n"
			    "ingress: [{action: Reject}]\n");
	EXPECT_STR_EQ(d.report, "");
	EXPECT_EQ(documents_policy(&d)->rule[0].action, BERM_RULE_REJECT);
	documents_clear(&d);
}

TEST(segmentation_peers)
{
	static const struct {
		const char *name, *peer;
		bool has_ns, has_pod;
		size_t ns_count, pod_count;
	} cases[] = {
		{ "pods here", "{podSelector: {matchLabels: {a: b}}}", false, true, 0, 1 },
		{ "all pods here", "{podSelector: {}}", false, true, 0, 0 },
		{ "all pods there", "{namespaceSelector: {matchLabels: {a: b}}}", true, false, 1, 0 },
		{ "all pods everywhere", "{namespaceSelector: {}}", true, false, 0, 0 },
		{ "some pods there", "{namespaceSelector: {matchLabels: {a: b}}, podSelector: {matchLabels: {c: d, e: f}}}",
		  true, true, 1, 2 },
	}, *c;

	for_each_case(c, cases) {
		static struct documents d;
		const struct berm_peer_term *peer;
		char doc[512];

		snprintf(doc, sizeof(doc), IN "- {from: [%s]}\n", c->peer);
		documents_parse_in(&d, "shop", doc);
		ASSERT_EQ(documents_policy(&d)->rule[0].peer_count, 1);
		peer = &documents_policy(&d)->rule[0].peer[0];
		EXPECT_EQ(peer->has_ns_selector, c->has_ns);
		EXPECT_EQ(peer->has_pod_selector, c->has_pod);
		EXPECT_EQ(peer->ns_selector.count, c->ns_count);
		EXPECT_EQ(peer->pod_selector.count, c->pod_count);
		EXPECT_FALSE(peer->any || peer->is_block || peer->unsupported);
		documents_clear(&d);
	}
}

TEST(segmentation_ports)
{
	static const struct {
		const char *name, *what;
		struct berm_port_term want[2];
		size_t count;
	} cases[] = {
		{ "number", "ports: [{port: 80}]", { { BERM_PLANE_TCP, false, 80, 80, NULL } }, 1 },
		{ "range", "ports: [{port: 80, endPort: 90}]", { { BERM_PLANE_TCP, false, 80, 90, NULL } }, 1 },
		{ "range of one", "ports: [{port: 80, endPort: 80}]", { { BERM_PLANE_TCP, false, 80, 80, NULL } }, 1 },
		{ "UDP", "ports: [{protocol: UDP, port: 53}]", { { BERM_PLANE_UDP, false, 53, 53, NULL } }, 1 },
		{ "all SCTP", "ports: [{protocol: SCTP}]", { { BERM_PLANE_SCTP, true, 0, 65535, NULL } }, 1 },
		{ "name", "ports: [{port: http}]", { { BERM_PLANE_TCP, false, 0, 0, (char *)"http" } }, 1 },
		{ "two", "ports: [{port: 1}, {port: 65535}]",
		  { { BERM_PLANE_TCP, false, 1, 1, NULL }, { BERM_PLANE_TCP, false, 65535, 65535, NULL } }, 2 },
		{ "ping", "icmp: [{type: echo-request}]",
		  { { BERM_PLANE_ICMP, false, 0x0800, 0x08ff, NULL }, { BERM_PLANE_ICMPV6, false, 0x8000, 0x80ff, NULL } }, 2 },
		{ "ping of one family", "icmp: [{type: echo-request, family: IPv6}]",
		  { { BERM_PLANE_ICMPV6, false, 0x8000, 0x80ff, NULL } }, 1 },
		{ "number of one family", "icmp: [{type: 3, code: 4, family: IPv4}]",
		  { { BERM_PLANE_ICMP, false, 0x0304, 0x0304, NULL } }, 1 },
		{ "number of both", "icmp: [{type: 8}]",
		  { { BERM_PLANE_ICMP, false, 0x0800, 0x08ff, NULL }, { BERM_PLANE_ICMPV6, false, 0x0800, 0x08ff, NULL } }, 2 },
		{ "only IPv6 has it", "icmp: [{type: packet-too-big}]",
		  { { BERM_PLANE_ICMPV6, false, 0x0200, 0x02ff, NULL } }, 1 },
		{ "all ICMP", "icmp: [{type: any}]",
		  { { BERM_PLANE_ICMP, true, 0, 65535, NULL }, { BERM_PLANE_ICMPV6, true, 0, 65535, NULL } }, 2 },
	}, *c;

	for_each_case(c, cases) {
		static struct documents d;
		const struct berm_policy_rule *rule;
		char doc[512];

		snprintf(doc, sizeof(doc), IN "- {%s}\n", c->what);
		documents_parse_in(&d, "shop", doc);
		rule = &documents_policy(&d)->rule[0];
		ASSERT_EQ(rule->port_count, c->count);
		for (size_t i = 0; i < c->count; i++) {
			EXPECT_EQ(rule->port[i].plane, c->want[i].plane);
			EXPECT_EQ(rule->port[i].all, c->want[i].all);
			EXPECT_EQ(rule->port[i].first, c->want[i].first);
			EXPECT_EQ(rule->port[i].last, c->want[i].last);
			EXPECT_STR_EQ(rule->port[i].name, c->want[i].name);
		}
		documents_clear(&d);
	}
}

TEST(segmentation_tenancy_tier,
     "tiers beyond application are refused to a tenant, not to the system [tenant.admin_tier]")
{
	static const char *const tier[] = { "emergency", "admin", "baseline" };

	for (size_t i = 0; i < ARRAY_SIZE(tier); i++) {
		static struct documents d;
		char doc[256];

		test_case_name = tier[i];
		snprintf(doc, sizeof(doc),
			 "kind: SegmentationPolicy\nname: p\ntier: %s\n"
			 "egress: [{action: Deny}]\n"
			 "---\n"
			 "kind: SegmentationPolicy\nname: fine\nisolate: [Ingress]\n",
			 tier[i]);
		documents_parse_in(&d, "shop", doc);
		EXPECT_STR_HAS(d.report,
			       "is not for namespace shop; only documents in namespace berm-system may");
		EXPECT_STR_HAS(d.report, "f.yaml:11:11: error: SegmentationPolicy shop/p: tier: ");
		EXPECT_TRUE(documents_find(&d, "p")->broken);
		EXPECT_TRUE(documents_find(&d, "p")->isolation == NULL);
		EXPECT_FALSE(documents_find(&d, "fine")->broken); /* the others are not affected */
		documents_clear(&d);

		*strstr(doc, "---") = '\0';
		documents_parse_in(&d, "berm-system", doc);
		EXPECT_STR_EQ(d.report, "");
		EXPECT_STR_EQ(berm_tier_name(documents_policy(&d)->tier), tier[i]);
		EXPECT_EQ(documents_policy(&d)->isolate, 0);
		documents_clear(&d);
	}
}

TEST(segmentation_tenancy_namespace,
     "a tenant's policy has its subject in its own namespace only [tenant.foreign_namespace]")
{
	static const char doc[] = "kind: SegmentationPolicy\nname: p\nisolate: [Ingress]\n"
				  "subject: {namespaceSelector: {}}\n";
	static struct documents d;

	documents_parse_in(&d, "shop", doc);
	EXPECT_STR_HAS(d.report,
		       "f.yaml:12:15: error: SegmentationPolicy shop/p: subject.namespaceSelector: "
		       "the subject is always in namespace shop");
	EXPECT_TRUE(documents_find(&d, "p")->broken);
	EXPECT_TRUE(documents_find(&d, "p")->isolation ==
		    NULL); /* it isolates nobody else either */
	documents_clear(&d);

	documents_parse_in(&d, "berm-system", doc);
	EXPECT_STR_EQ(d.report, "");
	EXPECT_TRUE(documents_policy(&d)->has_ns_subject);
	documents_clear(&d);

	documents_parse_in(&d, "shop",
			   "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
			   "metadata: {name: np, namespace: other}\nspec: {podSelector: {}}\n");
	EXPECT_STR_HAS(d.report, "a ConfigMap in namespace shop has no say in namespace other");
	EXPECT_TRUE(documents_find(&d, "np")->broken);
	EXPECT_STR_EQ(documents_find(&d, "np")->ns, "shop");
	EXPECT_TRUE(documents_find(&d, "np")->isolation == NULL); /* it meant others */
	documents_clear(&d);

	documents_parse_in(&d, "berm-system",
			   "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
			   "metadata: {name: np, namespace: other}\nspec: {podSelector: {}}\n");
	EXPECT_STR_EQ(d.report, "");
	EXPECT_STR_EQ(documents_policy(&d)->ns, "other");
	EXPECT_FALSE(documents_policy(&d)->cluster_wide);
	documents_clear(&d);
}

TEST(segmentation_isolate_elsewhere)
{
	static struct documents d;

	documents_parse_in(&d, "berm-system",
			   "kind: SegmentationPolicy\nname: p\ntier: admin\nisolate: [Ingress]\n");
	EXPECT_STR_HAS(d.report,
		       "f.yaml:12:5: error: SegmentationPolicy berm-system/p: isolate: only tier "
		       "application isolates; remove it");
	EXPECT_TRUE(documents_find(&d, "p")->isolation == NULL);
	documents_clear(&d);

	documents_parse_in(&d, "berm-system",
			   "kind: SegmentationPolicy\nname: p\ntier: admin\nessentials: [dns]\n");
	EXPECT_STR_HAS(d.report, "warning");
	EXPECT_EQ(documents_policy(&d)->essentials, 0);
	documents_clear(&d);
}

TEST(segmentation_apiserver)
{
	static struct documents d;

	documents_parse_in(&d, "shop",
			   "kind: SegmentationPolicy\nname: p\nisolate: [Egress]\n"
			   "essentials: [dns, apiserver]\n");
	EXPECT_STR_EQ(d.report, "");
	EXPECT_EQ(documents_policy(&d)->essentials, BERM_ESSENTIAL_DNS | BERM_ESSENTIAL_APISERVER);
	documents_clear(&d);
}

TEST(segmentation_isolation,
     "what is left of a broken document: subject and isolate, no allows [invalid.no_last_good]")
{
	static const struct {
		const char *name, *doc;
		int isolate; /* -1: nothing could be read */
		size_t subject;
		int essentials;
	} cases[] = {
		{ "a broken rule",
		  "subject: {podSelector: {matchLabels: {app: db}}}\nisolate: [Ingress]\ningress: [{port: 1}]\n", 1, 1, 3 },
		{ "good rules beside it",
		  "isolate: [Ingress, Egress]\ningress: [{from: [{any: true}]}, {port: 1}]\n", 3, 0, 3 },
		{ "essentials are kept", "isolate: [Egress]\nessentials: []\ningress: [{port: 1}]\n", 2, 0, 0 },
		{ "an unknown field, but the subject is there",
		  "subject: {podSelector: {matchLabels: {app: db}}}\nisolate: [Ingress]\nfoo: 1\n", 1, 1, 3 },
		{ "an overlay isolates nothing", "isolate: []\ningress: [{port: 1}]\n", 0, 0, 3 },
		{ "a disabled one isolates nothing", "isolate: [Ingress]\nmode: disabled\ningress: [{port: 1}]\n", 0, 0, 3 },
		{ "no subject, and a field that may be a mistyped one", "isolate: [Ingress]\nsubjekt: {}\n", -1, 0, 0 },
		{ "broken subject", "isolate: [Ingress]\nsubject: {podSelector: {app: db}}\n", -1, 0, 0 },
		{ "broken isolate", "isolate: [Ingres]\nsubject: {podSelector: {}}\n", -1, 0, 0 },
		{ "no isolate", "subject: {podSelector: {}}\n", -1, 0, 0 },
	}, *c;

	for_each_case(c, cases) {
		static struct documents d;
		const struct berm_object *o;
		char doc[512];

		snprintf(doc, sizeof(doc), "kind: SegmentationPolicy\nname: p\n%s", c->doc);
		documents_parse_in(&d, "shop", doc);
		o = documents_find(&d, "p");
		EXPECT_TRUE(o->broken && !o->policy && !o->text);
		EXPECT_EQ(o->isolation ? o->isolation->isolate : -1, c->isolate);
		if (o->isolation) {
			EXPECT_EQ(o->isolation->pod_subject.count, c->subject);
			EXPECT_EQ(o->isolation->essentials, c->essentials);
			EXPECT_EQ(o->isolation->rule_count, 0);
			EXPECT_STR_EQ(o->isolation->name, "p");
		}
		documents_clear(&d);
	}
}

TEST(segmentation_digest)
{
	static const char *const same[] = {
		"kind: SegmentationPolicy\nname: p\nisolate: [Ingress, Egress]\n"
		"subject: {podSelector: {matchLabels: {a: b, c: d}}}\n",
		"# a comment\nisolate:\n- Egress\n- Ingress\nname: p\npriority: 500\nkind: SegmentationPolicy\n"
		"subject:\n  podSelector: {matchExpressions: [{key: c, operator: In, values: [d]}],\n"
		"                matchLabels: {a: b}}\n",
	};
	static const char *const other[] = {
		"kind: SegmentationPolicy\nname: p\nisolate: [Ingress, Egress]\npriority: 501\n"
		"subject: {podSelector: {matchLabels: {a: b, c: d}}}\n",
		"kind: SegmentationPolicy\nname: p\nisolate: [Ingress, Egress]\n"
		"subject: {podSelector: {matchLabels: {a: bc, c: d}}}\n",
		"kind: SegmentationPolicy\nname: p\nisolate: [Ingress, Egress]\ningress: [{}]\n"
		"subject: {podSelector: {matchLabels: {a: b, c: d}}}\n",
	};
	static struct documents d;
	uint64_t digest;

	documents_parse_in(&d, "shop", same[0]);
	digest = documents_policy(&d)->digest;
	documents_clear(&d);
	documents_parse_in(&d, "shop", same[1]);
	EXPECT_TRUE(documents_policy(&d)->digest == digest);
	documents_clear(&d);
	for (size_t i = 0; i < ARRAY_SIZE(other); i++) {
		documents_parse_in(&d, "shop", other[i]);
		EXPECT_TRUE(documents_policy(&d)->digest != digest);
		documents_clear(&d);
	}
}
