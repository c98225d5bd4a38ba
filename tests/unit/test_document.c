/* SPDX-License-Identifier: Apache-2.0 */
/* test_document.c - files: splitting, kinds, ConfigMaps, Lists, pods, namespaces, limits. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "documents.h"
#include "maps.h"
#include "test.h"

#define MAP	      "kind: ConfigMap\nmetadata: {name: c, namespace: shop, labels: {berm.dev/policy: v1}}\n"
#define HEAD_OF_RULES "kind: SegmentationPolicy\nname: p\nisolate: []\ningress:\n"
#define GOOD(name)    "kind: SegmentationPolicy\nname: " name "\nisolate: [Ingress]\n"

static struct documents d;

TEST(document_positions,
     "positions inside a ConfigMap are those of the user's file, however it is written")
{
	/* The bad word is `x9` in all of them. */
	static const struct {
		const char *name, *file;
		int line, column;
	} cases[] = {
		{ "literal block", MAP "data:\n  a.yaml: |\n    kind: SegmentationPolicy\n    name: p\n    tier: x9\n", 7, 11 },
		{ "more indentation", MAP "data:\n    a.yaml: |\n            kind: SegmentationPolicy\n            tier: x9\n", 6, 19 },
		{ "said indentation", MAP "data:\n  a.yaml: |2\n    kind: SegmentationPolicy\n    tier: x9\n", 6, 11 },
		{ "second document of a key", MAP "data:\n  a.yaml: |\n    " "kind: SegmentationPolicy\n    name: p\n    isolate: []\n"
						   "    ---\n    kind: SegmentationPolicy\n    tier: x9\n", 10, 11 },
		{ "empty lines and comments", MAP "data:\n  a.yaml: |\n\n    # hello\n\n    kind: SegmentationPolicy\n\n    tier: x9\n",
		  10, 11 },
		{ "second document of the file", "kind: Deployment\n---\n" MAP "data:\n  a.yaml: |\n    kind: SegmentationPolicy\n    tier: x9\n",
		  8, 11 },
		{ "second key", MAP "data:\n  a.yaml: |\n    kind: SegmentationPolicy\n    name: p\n    isolate: []\n  b.yaml: |-\n"
				    "    kind: SegmentationPolicy\n    tier: x9\n", 10, 11 },
		{ "double quotes", MAP "data: {a.yaml: \"kind: SegmentationPolicy\\ntier: x9\\n\"}\n", 3, 49 },
		{ "JSON in YAML", MAP "data:\n  a.json: '{\"kind\": \"SegmentationPolicy\", \"tier\": \"x9\"}'\n", 4, 51 },
		{ "inside a List", "kind: List\nitems:\n- kind: ConfigMap\n  metadata: {name: c, labels: {berm.dev/policy: v1}}\n"
				   "  data:\n    a.yaml: |\n      kind: SegmentationPolicy\n      tier: x9\n", 8, 13 },
		{ "not ASCII", MAP "data:\n  ä.yaml: |\n    # ä\n    {kind: SegmentationPolicy, description: äöü, tier: x9}\n", 6, 56 },
		{ "folded: where it starts", MAP "data:\n  a.yaml: >\n    kind: SegmentationPolicy\n\n    tier: x9\n", 4, 11 },
		{ "CRLF", "kind: ConfigMap\r\nmetadata: {name: c, labels: {berm.dev/policy: v1}}\r\ndata:\r\n  a.yaml: |\r\n"
			  "    kind: SegmentationPolicy\r\n    tier: x9\r\n", 6, 11 },
	}, *c;

	for_each_case(c, cases) {
		char at[64];

		documents_parse(&d, c->file);
		snprintf(at, sizeof(at), "f.yaml:%d:%d: error: ", c->line, c->column);
		EXPECT_STR_HAS(d.report, at);
		EXPECT_STR_HAS(d.report, "'x9' is not a known word here");
		documents_clear(&d);
	}
}

TEST(document_syntax_positions, "an error of syntax is found in the user's file too")
{
	static const struct {
		const char *name, *file, *want;
	} cases[] = {
		{ "in a block", MAP "data:\n  a.yaml: |\n    kind: x\n    a: [1\n    b: 2\n", "f.yaml:7:6: error: not YAML" },
		{ "twice in a block", MAP "data:\n  a.yaml: |\n    kind: x\n    a: 1\n    a: 2\n",
		  "f.yaml:7:5: error: 'a' is there twice; see line 6 too" },
		{ "second chunk of a file", "kind: Foo\n---\nkind: [\n---\nkind: Bar\n", "f.yaml:3:7: error: not YAML" },
		{ "JSON", MAP "data:\n  a.json: |\n    {\"kind\": \"x\",\n     \"kind\": \"y\"}\n", "f.yaml:6:6: error: 'kind' is there" },
	}, *c;

	for_each_case(c, cases) {
		documents_parse(&d, c->file);
		EXPECT_STR_HAS(d.report, c->want);
		EXPECT_EQ(d.objects.unreadable_count, 1);
		documents_clear(&d);
	}
}

TEST(document_chunks, "a broken part of a file or key breaks alone")
{
	documents_parse(&d, "---\n# first\n" GOOD("a") "--- # second\n" GOOD(
				    "b") "---\nkind: [\n---\n---\n" GOOD("c") "---");
	EXPECT_EQ(d.objects.count, 3);
	EXPECT_EQ(d.problems.count, 1);
	EXPECT_EQ(d.objects.unreadable_count, 1);
	EXPECT_STR_EQ(d.objects.unreadable[0].key, "f.yaml");
	EXPECT_TRUE(d.objects.unreadable[0].ns == NULL);
	EXPECT_STR_EQ(documents_find(&d, "a")->ns, "berm-system");
	EXPECT_EQ(documents_find(&d, "a")->line, 3);
	EXPECT_EQ(documents_find(&d, "c")->line, 14);
	documents_clear(&d);

	documents_parse_in(&d, "shop", GOOD("a") "---\nkind: [\n---\n" GOOD("b"));
	EXPECT_EQ(d.objects.count, 2);
	EXPECT_EQ(d.objects.unreadable_count, 1);
	EXPECT_STR_EQ(d.objects.unreadable[0].key, "f.yaml#configmap/shop/c/policy.yaml");
	EXPECT_STR_EQ(d.objects.unreadable[0].ns, "shop");
	documents_clear(&d);

	documents_parse_in(&d, "berm-system", "kind: [\n");
	EXPECT_TRUE(d.objects.unreadable[0].ns == NULL); /* the system's own are nobody's */
	documents_clear(&d);
}

TEST(document_separator)
{
	documents_parse(&d, "kind: Foo\ntext: |\n  ---\n  a\nmore: a\n---x: 1\n");
	EXPECT_STR_EQ(d.report, ""); /* neither the indented nor the longer one splits */
	documents_clear(&d);
}

TEST(document_kinds)
{
	static const struct {
		const char *name, *file, *want; /* NULL: silence */
		size_t unreadable;
	} cases[] = {
		{ "Deployment", "kind: Deployment\n", NULL, 0 },
		{ "Job is no Pod", "kind: Job\n", NULL, 0 },
		{ "somebody's Pod", "apiVersion: example.com/v1\nkind: Pod\n", NULL, 0 },
		{ "GlobalNetworkPolicy", "kind: GlobalNetworkPolicy\n", NULL, 0 },
		{ "nearly ours", "kind: SegmentationPolcy\n", "1:7: error: SegmentationPolcy: kind: 'SegmentationPolcy' is not "
							       "a known kind; did you mean 'SegmentationPolicy'?", 1 },
		{ "a later one", "kind: AdminNetworkPolicy\n", "kind AdminNetworkPolicy is not supported by this version", 0 },
		{ "no kind", "name: x\n", "the field 'kind' is missing", 1 },
		{ "kind is a number", "kind: 5\n", "kind: want a text", 1 },
		{ "a list", "- kind: Pod\n", "a document must be a mapping", 1 },
		{ "a text", "hello\n", "a document must be a mapping", 1 },
		{ "nothing", "# nothing\n", NULL, 0 },
		{ "in a ConfigMap: unknown", MAP "data:\n  a.yaml: |\n    kind: Deployment\n",
		  "5:11: error: Deployment: kind: 'Deployment' is not a known kind; known: ", 1 },
		{ "in a ConfigMap: Pod", MAP "data:\n  a.yaml: |\n    kind: Pod\n", "'Pod' is not a known kind", 1 },
		{ "in a ConfigMap: AdminNetworkPolicy", MAP "data:\n  a.yaml: |\n    kind: AdminNetworkPolicy\n", "kind AdminNetworkPolicy is not supported by this", 1 },
		{ "in a ConfigMap: BaselineAdminNetworkPolicy", MAP "data:\n  a.yaml: |\n    kind: BaselineAdminNetworkPolicy\n", "not supported by this", 1 },
		{ "in a ConfigMap: a List", MAP "data:\n  a.yaml: |\n    kind: List\n", "'List' is not a known kind", 1 },
	}, *c;

	for_each_case(c, cases) {
		documents_parse(&d, c->file);
		if (c->want)
			EXPECT_STR_HAS(d.report, c->want);
		else
			EXPECT_STR_EQ(d.report, "");
		EXPECT_EQ(d.objects.count, 0);
		EXPECT_EQ(d.objects.unreadable_count, c->unreadable);
		documents_clear(&d);
	}
}

TEST(document_configmap)
{
	static const struct {
		const char *name, *file, *want; /* NULL: silence */
		const char *unreadable;		/* key; NULL: none */
	} cases[] = {
		{ "not ours", "kind: ConfigMap\nmetadata: {name: c}\ndata: {a.yaml: \"x: [\"}\n", NULL, NULL },
		{ "empty", MAP, NULL, NULL },
		{ "other keys", MAP "data: {README: hello}\n", "3:16: warning: ConfigMap shop/c: data.README: this key is not read", NULL },
		{ "no bar", MAP "data:\n  a.yaml:\n    kind: SegmentationPolicy\n", "5:5: error: ConfigMap shop/c: "
		  "data[\"a.yaml\"]: want a text that holds documents; put a | behind", "f.yaml#configmap/shop/c/a.yaml" },
		{ "mistyped data", MAP "dta: {}\n", "dta: unknown field; did you mean 'data'?", "f.yaml#configmap/shop/c" },
		{ "version of the label", "kind: ConfigMap\nmetadata: {name: c, namespace: shop, labels: {berm.dev/policy: v2}}\n",
		  "this version of documents is not known; write v1", "f.yaml#configmap/shop/c" },
		{ "no name", "kind: ConfigMap\nmetadata: {namespace: shop, labels: {berm.dev/policy: v1}}\n",
		  "the field 'name' is missing", "f.yaml" },
		{ "binary", MAP "binaryData: {a.yaml: aGVsbG8=}\n", "documents in binaryData are not read", "f.yaml#configmap/shop/c" },
		{ "confirm", "kind: ConfigMap\nmetadata: {name: c, labels: {berm.dev/policy: v1}, "
			     "annotations: {berm.dev/confirm-within: 5m}}\n", NULL, NULL },
		{ "confirm soon", "kind: ConfigMap\nmetadata: {name: c, labels: {berm.dev/policy: v1}, "
			     "annotations: {berm.dev/confirm-within: soon}}\n", "2:91: error: ConfigMap default/c: "
		  "metadata.annotations[\"berm.dev/confirm-within\"]: 'soon' is no length of time", "f.yaml#configmap/default/c" },
		{ "confirm number", "kind: ConfigMap\nmetadata: {name: c, labels: {berm.dev/policy: v1}, "
			     "annotations: {berm.dev/confirm-within: 300}}\n", "want a text", "f.yaml#configmap/default/c" },
		{ "label forgotten", "kind: ConfigMap\nmetadata: {name: c}\ndata:\n  a.yaml: |\n    kind: SegmentationPolicy\n",
		  "it holds a SegmentationPolicy that is not read, for lack of the label", NULL },
	}, *c;

	for_each_case(c, cases) {
		documents_parse(&d, c->file);
		if (c->want)
			EXPECT_STR_HAS(d.report, c->want);
		else
			EXPECT_STR_EQ(d.report, "");
		EXPECT_EQ(d.objects.unreadable_count, c->unreadable != NULL);
		if (c->unreadable && d.objects.unreadable_count)
			EXPECT_STR_EQ(d.objects.unreadable[0].key, c->unreadable);
		documents_clear(&d);
	}
}

TEST(document_nameless, "a document without a name isolates whom it names")
{
	documents_parse_in(&d, "shop", "kind: SegmentationPolicy\nisolate: [Ingress]\n");
	ASSERT_EQ(d.objects.unreadable_count, 1);
	ASSERT_TRUE(d.objects.unreadable[0].isolation != NULL);
	EXPECT_EQ(d.objects.unreadable[0].isolation->isolate, 1 << BERM_INGRESS);
	EXPECT_STR_EQ(d.objects.unreadable[0].isolation->name, "(unnamed, line 9)");
	EXPECT_STR_EQ(d.objects.unreadable[0].ns, "shop");
	documents_clear(&d);
}

TEST(object_nameless, "an object without a name never breaks in silence; NAME is no name")
{
	static const char *const kinds[] = { "Namespace", "Pod", "Service", "EndpointSlice" };
	static const char *const metadata[] = { "{nAme: shop}", "{name}", "{name: null}", "{}" };
	char text[128];

	for (size_t i = 0; i < ARRAY_SIZE(kinds) * ARRAY_SIZE(metadata); i++) {
		snprintf(text, sizeof(text), "kind: %s\nmetadata: %s\n", kinds[i % 4],
			 metadata[i / 4]);
		documents_parse(&d, text);
		EXPECT_STR_HAS(d.report, "the field 'name' is missing");
		EXPECT_EQ(d.objects.unreadable_count, 1);
		documents_clear(&d);
	}
}

TEST(label_case, "a label in another case is another label")
{
	documents_parse(&d,
			"kind: ConfigMap\n"
			"metadata: {name: c, namespace: shop, labels: {Berm.dev/Policy: v1}}\n"
			"data: {a.yaml: \"kind: SegmentationPolicy\\nname: p\\nisolate: []\\n\"}\n");
	EXPECT_EQ(d.objects.count, 0);
	documents_clear(&d);
}

TEST(document_twice)
{
	documents_parse(&d, GOOD("a") "---\n" GOOD("b") "---\n" GOOD(
				    "a") "---\nkind: NetworkPolicy\n"
					 "metadata: {name: a, namespace: berm-system}\nspec: {}\n");
	EXPECT_EQ(d.objects.count, 3); /* another kind is another document */
	EXPECT_STR_HAS(
		d.report,
		"f.yaml:9:1: error: SegmentationPolicy berm-system/a: defined twice, first in line 1");
	EXPECT_EQ(d.problems.count, 1);
	EXPECT_EQ(documents_find(&d, "a")->line, 1);
	documents_clear(&d);
}

TEST(document_twice_in_configmap,
     "from an API server, too, the second one is named by key and line")
{
	static const char text[] =
		"{\"metadata\":{\"name\":\"c\",\"namespace\":\"shop\",\"labels\":{\"berm.dev/policy\":\"v1\"}},"
		"\"data\":{\"a.yaml\":\"kind: SegmentationPolicy\\nname: p\\nisolate: []\\n---\\n"
		"kind: SegmentationPolicy\\nname: p\\nisolate: []\\n\","
		"\"b.yaml\":\"kind: SegmentationPolicy\\nname: p\\nisolate: []\\n\"}}";
	const struct berm_document document = { "configmap shop/c", "ConfigMap", text,
						sizeof(text) - 1 };
	struct berm_err err = { 0 };

	memset(&d, 0, sizeof(d));
	ASSERT_OK(berm_document_parse_object(&document, &d.objects, &d.problems, &err), &err);
	ASSERT_EQ(d.problems.count, 2);
	EXPECT_STR_EQ(d.problems.item[0].source, "configmap shop/c key a.yaml");
	EXPECT_EQ(d.problems.item[0].line, 5);
	EXPECT_STR_EQ(d.problems.item[1].source, "configmap shop/c key b.yaml");
	EXPECT_EQ(d.problems.item[1].line, 1);
	EXPECT_STR_HAS(d.problems.item[1].message, "first in line 1 of key a.yaml");
	documents_clear(&d);
}

TEST(document_plain_segmentation)
{
	documents_parse(&d, GOOD("a") "namespace: shop\n");
	EXPECT_STR_EQ(documents_policy(&d)->ns, "shop");
	EXPECT_FALSE(documents_policy(&d)->cluster_wide);
	documents_clear(&d);
	documents_parse(&d, GOOD("a"));
	EXPECT_TRUE(documents_policy(&d)->cluster_wide);
	documents_clear(&d);
	documents_parse(&d, GOOD("a") "namespace: Shop\n");
	EXPECT_EQ(d.problems.count, 1);
	EXPECT_STR_HAS(d.report, "f.yaml:4:12: error: SegmentationPolicy berm-system/a: namespace: "
				 "'Shop' is not a namespace's name");
	EXPECT_TRUE(documents_find(&d, "a")->isolation == NULL); /* not the whole cluster's pods */
	documents_clear(&d);
}

TEST(document_pod)
{
	const struct berm_pod *pod;
	struct berm_addr v6;

	documents_parse(
		&d,
		"apiVersion: v1\nkind: Pod\n"
		"metadata:\n  name: web\n  namespace: shop\n  uid: abc\n  labels: {app: web}\n"
		"  annotations: {berm.dev/allowed-addresses: \"10.9.0.0/24, fd09::/64\", foo: bar}\n"
		"spec:\n  nodeName: n1\n  containers:\n"
		"  - ports: [{name: http, containerPort: 8080}, {containerPort: 9}, {name: dns, containerPort: 53, protocol: UDP}]\n"
		"  - {name: other}\n"
		"  initContainers:\n"
		"  - {restartPolicy: Always, ports: [{name: proxy, containerPort: 1}]}\n"
		"  - {ports: [{name: setup, containerPort: 2}]}\n"
		"  ephemeralContainers: [{ports: [{name: debug, containerPort: 3}]}]\n"
		"status: {phase: Running, podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, {ip: \"fd00::1\"}]}\n");
	EXPECT_STR_EQ(d.report, "");
	pod = documents_find(&d, "web")->pod;
	ASSERT_TRUE(pod != NULL);
	EXPECT_STR_EQ(pod->ns, "shop");
	EXPECT_STR_EQ(pod->uid, "abc");
	EXPECT_STR_EQ(pod->node, "n1");
	EXPECT_STR_EQ(berm_labels_get(&pod->labels, "app"), "web");
	EXPECT_FALSE(pod->host_network || pod->finished);
	ASSERT_EQ(pod->addr_count, 2);
	ASSERT_EQ(berm_addr_parse("fd00::1", &v6), 0);
	EXPECT_EQ(memcmp(&pod->addr[1], &v6, sizeof(v6)), 0);
	ASSERT_EQ(pod->port_count, 3);
	EXPECT_STR_EQ(pod->port[0].name, "http");
	EXPECT_EQ(pod->port[1].plane, BERM_PLANE_UDP);
	EXPECT_STR_EQ(pod->port[2].name, "proxy");
	ASSERT_EQ(pod->allowed_count, 2);
	EXPECT_EQ(pod->allowed[0].bits, 120);
	documents_clear(&d);
}

TEST(document_pod_states)
{
	static const struct {
		const char *name, *file;
		bool host, finished;
		size_t addrs;
	} cases[] = {
		{ "bare", "kind: Pod\nmetadata: {name: p}\n", false, false, 0 },
		{ "pending, addresses empty", "kind: Pod\nmetadata: {name: p}\nstatus: {phase: Pending, podIP: \"\", podIPs: []}\n", false, false, 0 },
		{ "nulls", "kind: Pod\nmetadata: {name: p, labels: null}\nspec: {containers: null}\nstatus: {podIPs: null}\n", false, false, 0 },
		{ "host network", "kind: Pod\nmetadata: {name: p}\nspec: {hostNetwork: true}\nstatus: {podIP: 10.0.0.1}\n", true, false, 1 },
		{ "succeeded", "kind: Pod\nmetadata: {name: p}\nstatus: {phase: Succeeded, podIP: 10.0.0.1}\n", false, true, 1 },
		{ "failed", "kind: Pod\nmetadata: {name: p}\nstatus: {phase: Failed}\n", false, true, 0 },
		{ "five addresses", "kind: Pod\nmetadata: {name: p}\nstatus: {podIPs: [{ip: 10.0.0.1}, {ip: 10.0.0.2}, {ip: 10.0.0.3}, "
				    "{ip: 10.0.0.4}, {ip: 10.0.0.5}]}\n", false, false, 4 },
	}, *c;

	for_each_case(c, cases) {
		const struct berm_pod *pod;

		documents_parse(&d, c->file);
		pod = documents_find(&d, "p")->pod;
		ASSERT_TRUE(pod != NULL);
		EXPECT_STR_EQ(pod->ns, "default");
		EXPECT_TRUE(pod->uid == NULL);
		EXPECT_EQ(pod->host_network, c->host);
		EXPECT_EQ(pod->finished, c->finished);
		EXPECT_EQ(pod->addr_count, c->addrs);
		documents_clear(&d);
	}
	documents_parse(
		&d,
		"kind: Pod\nmetadata: {name: p, uid: real, annotations: {kubernetes.io/config.hash: \"h1\"}}\n");
	EXPECT_STR_EQ(documents_find(&d, "p")->pod->uid,
		      "h1"); /* a static pod: what the runtime says */
	documents_clear(&d);
}

TEST(document_pod_errors)
{
	static const struct {
		const char *name, *file, *want;
		bool is_named;
	} cases[] = {
		{ "no name", "kind: Pod\nmetadata: {}\n", "2:11: error: Pod: metadata: the field 'name' is missing", false },
		{ "address", "kind: Pod\nmetadata: {name: p}\nstatus: {podIPs: [{ip: 10.0.0}]}\n",
		  "3:24: error: Pod default/p: status.podIPs[0].ip: '10.0.0' is not an IP address", true },
		{ "address without quotes", "kind: Pod\nmetadata: {name: p}\nstatus: {podIP: 10.0}\n", "want a text, got the number 10.0", true },
		{ "label", "kind: Pod\nmetadata: {name: p, labels: {v: 1.10}}\n", "put it in quotes: \"1.10\"", true },
		{ "port", "kind: Pod\nmetadata: {name: p}\nspec: {containers: [{ports: [{name: a, containerPort: 0}]}]}\n",
		  "spec.containers[0].ports[0].containerPort: 0 is not", true },
		{ "protocol", "kind: Pod\nmetadata: {name: p}\nspec: {containers: [{ports: [{name: a, containerPort: 1, protocol: tcp}]}]}\n",
		  "did you mean 'TCP'?", true },
		{ "allowed addresses", "kind: Pod\nmetadata: {name: p, annotations: {berm.dev/allowed-addresses: 10.0.0.1/8}}\n",
		  "did you mean '10.0.0.0/8'?", true },
	}, *c;

	for_each_case(c, cases) {
		documents_parse(&d, c->file);
		EXPECT_STR_HAS(d.report, c->want);
		EXPECT_EQ(d.problems.count, 1);
		if (c->is_named)
			EXPECT_TRUE(documents_find(&d, "p")->broken &&
				    !documents_find(&d, "p")->pod);
		else
			EXPECT_EQ(d.objects.count, 0);
		documents_clear(&d);
	}
}

TEST(document_namespace)
{
	static const struct {
		const char *name, *labels, *want;
		bool is_deny;
	} cases[] = {
		{ "no labels", "", NULL, false },
		{ "deny", ", labels: {berm.dev/default-verdict: deny}", NULL, true },
		{ "allow", ", labels: {berm.dev/default-verdict: allow}", NULL, false },
		{ "a typo closes", ", labels: {berm.dev/default-verdict: Deny}", "did you mean 'deny'?", true },
		{ "own name is always right", ", labels: {kubernetes.io/metadata.name: other}", NULL, false },
	}, *c;

	for_each_case(c, cases) {
		const struct berm_namespace *ns;
		char doc[256];

		snprintf(doc, sizeof(doc),
			 "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop%s}\n", c->labels);
		documents_parse(&d, doc);
		if (c->want)
			EXPECT_STR_HAS(d.report, c->want);
		else
			EXPECT_STR_EQ(d.report, "");
		ns = documents_find(&d, "shop")->namespace;
		ASSERT_TRUE(ns != NULL);
		EXPECT_EQ(ns->default_deny, c->is_deny);
		EXPECT_STR_EQ(berm_labels_get(&ns->labels, "kubernetes.io/metadata.name"), "shop");
		documents_clear(&d);
	}
}

TEST(document_list)
{
	documents_parse(&d,
			"apiVersion: v1\nkind: List\nitems:\n"
			"- {kind: Pod, metadata: {name: a}}\n"
			"- {kind: Deployment}\n"
			"- {kind: NetworkPolicy, metadata: {name: np}, spec: {ingress: [{x: 1}]}}\n"
			"- {kind: NetworkPolicy, metadata: {name: fine}, spec: {ingress: [{ports: [{port: 80}]}]}}\n"
			"---\n"
			"kind: PodList\nitems: [{metadata: {name: b}}]\n");
	EXPECT_EQ(d.objects.count, 4);
	EXPECT_STR_HAS(
		d.report,
		"f.yaml:6:65: error: NetworkPolicy default/np: items[2].spec.ingress[0].x: unknown field");
	EXPECT_EQ(d.problems.count, 1); /* one item's error is not the next one's */
	EXPECT_TRUE(documents_find(&d, "np")->broken);
	EXPECT_STR_EQ(documents_find(&d, "fine")->text,
		      "{\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":\"fine\"},"
		      "\"spec\":{\"ingress\":[{\"ports\":[{\"port\":80}]}]}}");
	EXPECT_TRUE(documents_find(&d, "b")->pod != NULL);
	documents_clear(&d);
}

TEST(document_json_file)
{
	static const char text[] =
		"{\"kind\": \"SegmentationPolicy\",\n \"name\": \"p\",\n \"isolate\": [\"Ingres\"]}\n";
	struct berm_objects objects = { 0 };
	struct berm_problems problems = { 0 };
	struct berm_err err = { 0 };
	char line[512];

	ASSERT_OK(berm_document_parse("p.json", text, strlen(text), &objects, &problems, &err),
		  &err);
	ASSERT_EQ(problems.count, 1);
	(void)berm_problem_format(&problems.item[0], line, sizeof(line));
	EXPECT_STR_EQ(line,
		      "p.json:3:14: error: SegmentationPolicy berm-system/p: isolate[0]: 'Ingres' is not a known word "
		      "here; did you mean 'Ingress'?");
	berm_objects_clear(&objects);
	berm_problems_clear(&problems);
}

TEST(document_limits, "limits are errors that say the limit")
{
	struct berm_objects objects = { 0 };
	struct berm_problems problems = { 0 };
	struct berm_err err = { 0 };
	auto_free char *big = calloc(1, (8 << 20) + 2);
	char *p = big;

	memset(big, '#', (8 << 20) + 1);
	EXPECT_EQ(berm_document_parse("big.yaml", big, (8 << 20) + 1, &objects, &problems, &err),
		  -E2BIG);
	EXPECT_STR_HAS(err.msg, "big.yaml has 8388609 bytes; at most 8388608 are read");
	EXPECT_OK(berm_document_parse("big.yaml", big, 8 << 20, &objects, &problems, &err), &err);
	EXPECT_EQ(problems.count, 0);

	p = stpcpy(p, HEAD_OF_RULES);
	for (int i = 0; i < 20000; i++)
		p = stpcpy(p, "- {}\n");
	EXPECT_OK(berm_document_parse("big.yaml", big, (size_t)(p - big), &objects, &problems,
				      &err),
		  &err);
	ASSERT_EQ(problems.count, 1);
	EXPECT_STR_HAS(problems.item[0].message, "20000 items are too many (at most 16384)");
	berm_objects_clear(&objects);
	berm_problems_clear(&problems);

	for (p = big; p < big + 600000;)
		p = stpcpy(p, "a\n---\n");
	EXPECT_OK(berm_document_parse("big.yaml", big, (size_t)(p - big), &objects, &problems,
				      &err),
		  &err);
	EXPECT_EQ(problems.count, 2000); /* nobody reads more */
	EXPECT_EQ(objects.unreadable_count, 50001);
	berm_objects_clear(&objects);
	berm_problems_clear(&problems);
}

TEST(document_many_mistakes)
{
	char doc[4096] = "kind: SegmentationPolicy\nname: p\nisolate: []\ningress:\n";

	for (int i = 0; i < 50; i++)
		strcat(doc, "- {x: 1}\n");
	documents_parse(&d, doc);
	EXPECT_EQ(d.problems.count, 20);
	EXPECT_STR_HAS(d.report, "ingress[18].x");
	EXPECT_STR_HAS(d.report, "more problems are not shown");
	documents_clear(&d);
}

TEST(document_text_is_clean, "what users write cannot play with a terminal")
{
	documents_parse(&d, "kind: SegmentationPolicy\nname: \"\\e[31m\\x07ä\"\nisolate: []\n");
	EXPECT_STR_HAS(d.report, "'?[31m?ä' is not a name");
	documents_clear(&d);
}
