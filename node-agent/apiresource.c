/* SPDX-License-Identifier: Apache-2.0 */
/* apiresource.c - the table of what is watched; as little of it as does. */
#include "apiresource.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

/* As kube-proxy does: neither headless ones nor those of another proxy. */
#define PROXIED "!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name"

const struct berm_apiresource berm_apiresources[] = {
	{ .plural = "namespaces",
	  .kind = "Namespace",
	  .word = "namespace",
	  .version = "v1",
	  .path = "/api/v1/namespaces",
	  .is_metadata_only = true },
	{ .plural = "pods",
	  .kind = "Pod",
	  .word = "pod",
	  .version = "v1",
	  .path = "/api/v1/pods",
	  .field_selector = "status.phase!=Succeeded,status.phase!=Failed,spec.hostNetwork=false",
	  .is_filtered = true },
	{ .plural = "networkpolicies",
	  .kind = "NetworkPolicy",
	  .word = "networkpolicy",
	  .version = "networking.k8s.io/v1",
	  .path = "/apis/networking.k8s.io/v1/networkpolicies",
	  .keeps_uid = true },
	{ .plural = "clusternetworkpolicies",
	  .kind = "ClusterNetworkPolicy",
	  .word = "clusternetworkpolicy",
	  .version = "policy.networking.k8s.io/v1alpha2",
	  .path = "/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies",
	  .keeps_uid = true,
	  .is_optional = true },
	{ .plural = "customresourcedefinitions",
	  .word = "customresourcedefinition",
	  .version = "apiextensions.k8s.io/v1",
	  .path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
	  .field_selector = "metadata.name=clusternetworkpolicies.policy.networking.k8s.io",
	  .is_metadata_only = true,
	  .is_optional = true,
	  .is_announcement = true },
	{ .plural = "configmaps",
	  .kind = "ConfigMap",
	  .word = "configmap",
	  .version = "v1",
	  .path = "/api/v1/configmaps",
	  .label_selector = "berm.dev/policy",
	  .keeps_uid = true },
	{ .plural = "services",
	  .kind = "Service",
	  .word = "service",
	  .version = "v1",
	  .path = "/api/v1/services",
	  .label_selector = PROXIED,
	  .is_service = true },
	{ .plural = "endpointslices",
	  .kind = "EndpointSlice",
	  .word = "endpointslice",
	  .version = "discovery.k8s.io/v1",
	  .path = "/apis/discovery.k8s.io/v1/endpointslices",
	  .label_selector = PROXIED,
	  .is_service = true },
	{ .plural = "servicecidrs",
	  .kind = "ServiceCIDR",
	  .word = "servicecidr",
	  .version = "networking.k8s.io/v1",
	  .path = "/apis/networking.k8s.io/v1/servicecidrs",
	  .is_service = true,
	  .is_optional = true },
	{ .plural = "nodes",
	  .word = "node",
	  .version = "v1",
	  .path = "/api/v1/nodes",
	  .is_metadata_only = true,
	  .keeps_uid = true,
	  .is_node = true },
};
const size_t berm_apiresource_count = ARRAY_SIZE(berm_apiresources);

/* RFC 3986, 2.3: what needs no escape. */
static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("-._~", c));
}

static void put_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (is_unreserved(*text))
			fputc(*text, out);
		else
			fprintf(out, "%%%02X", (unsigned char)*text);
	}
}

static void put_parameter(FILE *out, char *separator, const char *key, const char *value)
{
	fprintf(out, "%c%s=", *separator, key);
	put_escaped(out, value);
	*separator = '&';
}

static void put_selectors(FILE *out, char *separator, const struct berm_apiquery *query)
{
	const struct berm_apiresource *resource = query->resource;
	char own[280];

	if (resource->label_selector)
		put_parameter(out, separator, "labelSelector", resource->label_selector);
	if (resource->is_node) {
		snprintf(own, sizeof(own), "metadata.name=%.253s", query->node);
		put_parameter(out, separator, "fieldSelector", own);
	} else if (resource->field_selector && !query->has_no_field_selector) {
		put_parameter(out, separator, "fieldSelector", resource->field_selector);
	}
}

static void put_watch(FILE *out, char *separator, const struct berm_apiquery *query)
{
	char seconds[16];

	snprintf(seconds, sizeof(seconds), "%u", query->timeout_s);
	put_parameter(out, separator, "watch", "1");
	put_parameter(out, separator, "allowWatchBookmarks", "true");
	put_parameter(out, separator, "timeoutSeconds", seconds);
	if (query->request == BERM_API_STREAM) {
		put_parameter(out, separator, "sendInitialEvents", "true");
		put_parameter(out, separator, "resourceVersionMatch", "NotOlderThan");
	} else {
		put_parameter(out, separator, "resourceVersion", query->version);
	}
}

char *berm_apiquery_path(const struct berm_apiquery *query)
{
	char *text = NULL, separator = '?';
	size_t size;
	FILE *out = open_memstream(&text, &size);
	bool is_bad;

	if (!out)
		return NULL;
	fputs(query->resource->path, out);
	put_selectors(out, &separator, query);
	if (query->request == BERM_API_LIST)
		put_parameter(out, &separator, "resourceVersion",
			      query->version ? query->version : "0");
	else if (query->request != BERM_API_RELIST)
		put_watch(out, &separator, query);
	is_bad = ferror(out);
	if (fclose(out) || is_bad) {
		free(text);
		return NULL;
	}
	return text;
}

const char *berm_apiquery_accept(const struct berm_apiquery *query)
{
	if (!query->resource->is_metadata_only)
		return "application/json";
	return query->request == BERM_API_LIST || query->request == BERM_API_RELIST
		       ? "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
		       : "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
}
