/* SPDX-License-Identifier: Apache-2.0 */
/* test_apiresource.c - the requests as an API server sees them. */
#include <stdlib.h>

#include "apiresource.h"
#include "test.h"

static const struct berm_apiresource *resource(const char *plural)
{
	for (size_t i = 0; i < berm_apiresource_count; i++)
		if (!strcmp(berm_apiresources[i].plural, plural))
			return &berm_apiresources[i];
	test_failed(__FILE__, __LINE__, "no resource %s", plural);
	test_stop();
}

TEST(paths)
{
	static const struct {
		const char *name, *plural;
		enum berm_apirequest request;
		bool has_no_field_selector;
		const char *version, *out;
	} cases[] = {
		{ "list", "namespaces", BERM_API_LIST, false, NULL, "/api/v1/namespaces?resourceVersion=0" },
		{ "list, not older", "namespaces", BERM_API_LIST, false, "7", "/api/v1/namespaces?resourceVersion=7" },
		{ "list of storage", "namespaces", BERM_API_RELIST, false, "7", "/api/v1/namespaces" },
		{ "stream", "networkpolicies", BERM_API_STREAM, false, "7",
		  "/apis/networking.k8s.io/v1/networkpolicies?watch=1&allowWatchBookmarks=true&timeoutSeconds=300&"
		  "sendInitialEvents=true&resourceVersionMatch=NotOlderThan" },
		{ "watch", "configmaps", BERM_API_WATCH, false, "a&b ",
		  "/api/v1/configmaps?labelSelector=berm.dev%2Fpolicy&watch=1&allowWatchBookmarks=true&timeoutSeconds=300&"
		  "resourceVersion=a%26b%20" },
		{ "fields", "pods", BERM_API_LIST, false, NULL,
		  "/api/v1/pods?fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed%2Cspec.hostNetwork%3Dfalse&"
		  "resourceVersion=0" },
		{ "no fields", "pods", BERM_API_LIST, true, NULL, "/api/v1/pods?resourceVersion=0" },
		{ "one CRD", "customresourcedefinitions", BERM_API_LIST, false, NULL,
		  "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?"
		  "fieldSelector=metadata.name%3Dclusternetworkpolicies.policy.networking.k8s.io&resourceVersion=0" },
		{ "own node", "nodes", BERM_API_LIST, true, NULL, "/api/v1/nodes?fieldSelector=metadata.name%3Dn%261&resourceVersion=0" },
	}, *c;

	for_each_case(c, cases) {
		struct berm_apiquery query = {
			.resource = resource(c->plural),
			.request = c->request,
			.version = c->version,
			.node = "n&1",
			.timeout_s = 300,
			.has_no_field_selector = c->has_no_field_selector,
		};
		char *path = berm_apiquery_path(&query);

		EXPECT_STR_EQ(path, c->out);
		free(path);
	}
}

TEST(accept)
{
	struct berm_apiquery list = { .resource = resource("namespaces"),
				      .request = BERM_API_LIST };
	struct berm_apiquery watch = { .resource = resource("namespaces"),
				       .request = BERM_API_WATCH };
	struct berm_apiquery pods = { .resource = resource("pods"), .request = BERM_API_WATCH };

	EXPECT_STR_HAS(berm_apiquery_accept(&list), "as=PartialObjectMetadataList;");
	EXPECT_STR_HAS(berm_apiquery_accept(&watch), "as=PartialObjectMetadata;");
	EXPECT_STR_EQ(berm_apiquery_accept(&pods), "application/json");
}
