/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document_service.c - reads Service, EndpointSlice and ServiceCIDR, as lenient as the API: fields that mean
 * nothing to us may say what they want. Does not know who judges by them.
 */
#include <stdlib.h>
#include <string.h>

#include "chunk.h"
#include "cleanup.h"
#include "document_port.h"
#include "frontend.h"
#include "maps.h" /* berm_addr_parse() */

#define MAX_PORTS     100  /* of a slice (the API's limit); a Service has no limit of its own */
#define MAX_ADDRESSES 1024 /* of a Service, of each sort */
#define MAX_ENDPOINTS 1000 /* of a slice (the API's limit) */
#define MAX_CIDRS     64
#define OTHER_PROXY   "service.kubernetes.io/service-proxy-name"
#define SERVICE_NAME  "kubernetes.io/service-name"

/* ---- addresses -------------------------------------------------------------------------------------- */

struct addresses { /* being read: room for max */
	struct berm_addr *item;
	size_t count, max;
};

static bool has_address(const struct addresses *list, const struct berm_addr *addr)
{
	for (size_t i = 0; i < list->count; i++)
		if (!memcmp(&list->item[i], addr, sizeof(*addr)))
			return true;
	return false;
}

static void read_address(const struct berm_field *field, struct addresses *out)
{
	const char *text = berm_field_text(field);
	struct berm_addr addr;

	if (!text || !text[0] || !strcmp(text, "None"))
		return;
	if (berm_addr_parse(text, &addr))
		berm_field_error(field, NULL, "'%.60s' is not an IP address", text);
	else if (!memcmp(&addr, &BERM_FRONTEND_NODE4, sizeof(addr)) ||
		 !memcmp(&addr, &BERM_FRONTEND_NODE6, sizeof(addr)))
		berm_field_error(field, NULL, "'%.60s' is no address of a Service", text);
	else if (out->count < out->max && !has_address(out, &addr))
		out->item[out->count++] = addr;
}

static bool get_list(const struct berm_field *object, const char *name, size_t max,
		     struct berm_field *out)
{
	return berm_field_get(object, name, out) && berm_field_is_list(out, max);
}

static void read_address_list(const struct berm_field *object, const char *name,
			      struct addresses *out)
{
	struct berm_field list, item;

	if (!get_list(object, name, MAX_ADDRESSES, &list))
		return;
	berm_field_each(item, &list) read_address(&item, out);
}

/* Those that were read, in memory of their own size. */
static void keep_addresses(struct berm_reader *reader, const struct addresses *from,
			   struct berm_addr **to, size_t *count)
{
	*to = berm_reader_alloc(reader, from->count, sizeof(**to));
	if (!*to)
		return;
	memcpy(*to, from->item, from->count * sizeof(**to));
	*count = from->count;
}

static bool is_word(const struct berm_field *object, const char *name, const char *word)
{
	struct berm_field field;
	const char *text;

	if (!berm_field_get(object, name, &field))
		return false;
	text = berm_field_text(&field);
	return text && !strcmp(text, word);
}

/* status.loadBalancer.ingress; ipMode Proxy is an address outside the cluster like any other. */
static void read_balancer(const struct berm_field *root, struct addresses *out)
{
	struct berm_field status, balancer, list, item, ip;

	if (!berm_field_get(root, "status", &status) || !berm_field_is_map(&status) ||
	    !berm_field_get(&status, "loadBalancer", &balancer) || !berm_field_is_map(&balancer) ||
	    !get_list(&balancer, "ingress", MAX_ADDRESSES, &list))
		return;
	berm_field_each(item, &list)
	{
		if (berm_field_is_map(&item) && !is_word(&item, "ipMode", "Proxy") &&
		    berm_field_get(&item, "ip", &ip))
			read_address(&ip, out);
	}
}

/* ---- ports ------------------------------------------------------------------------------------------ */

struct port { /* of a Service or a slice */
	char *name;
	int plane, number, node_port;
};

static bool read_number(const struct berm_field *object, const char *name, int min, int *out)
{
	struct berm_field field;

	return berm_field_get(object, name, &field) && berm_field_int(&field, min, 65535, out);
}

/* False: nothing leads through it. */
static bool read_port(const struct berm_field *item, struct port *out)
{
	struct berm_field field;
	const char *name = NULL;

	*out = (struct port){ .plane = BERM_PLANE_TCP };
	if (!berm_field_is_map(item) || !read_number(item, "port", 1, &out->number))
		return false; /* a slice may leave its number out: then it says nothing */
	if (berm_field_get(item, "protocol", &field) && !berm_read_protocol(&field, &out->plane))
		return false;
	if (berm_field_get(item, "name", &field))
		name = berm_field_text(&field);
	(void)read_number(item, "nodePort", 0, &out->node_port); /* errors are counted */
	if (name && name[0])
		out->name = berm_reader_copy(item->reader, name);
	return true;
}

static void read_service_ports(const struct berm_field *spec, struct berm_service *out)
{
	struct berm_field list, item;
	struct port port;

	if (!get_list(spec, "ports", MAX_ADDRESSES, &list))
		return;
	out->port = berm_reader_alloc(list.reader, (size_t)cJSON_GetArraySize(list.node),
				      sizeof(*out->port));
	if (!out->port)
		return;
	berm_field_each(item, &list)
	{
		if (!read_port(&item, &port))
			continue;
		out->port[out->port_count++] =
			(struct berm_service_port){ port.name, (uint8_t)port.plane,
						    (uint16_t)port.number,
						    (uint16_t)port.node_port };
	}
}

static void read_slice_ports(const struct berm_field *root, struct berm_slice *out)
{
	struct berm_field list, item;
	struct port port;

	if (!get_list(root, "ports", MAX_PORTS, &list))
		return;
	out->port = berm_reader_alloc(list.reader, (size_t)cJSON_GetArraySize(list.node),
				      sizeof(*out->port));
	if (!out->port)
		return;
	berm_field_each(item, &list)
	{
		if (!read_port(&item, &port))
			continue;
		out->port[out->port_count++] = (struct berm_slice_port){ port.name,
									 (uint8_t)port.plane,
									 (uint16_t)port.number };
	}
}

/* ---- every kind the same way ------------------------------------------------------------------------------- */

/* The title, and who it is. False: nobody. */
static bool begin(struct berm_chunk *chunk, const struct berm_field *root, const char *kind,
		  bool is_namespaced, struct berm_meta *meta)
{
	berm_chunk_title(chunk, kind, NULL, NULL);
	berm_read_meta(root, false, false, meta);
	if (!meta->name) {
		berm_chunk_unreadable(chunk, NULL, NULL);
		return false;
	}
	if (is_namespaced && !meta->ns)
		meta->ns = "default";
	if (!is_namespaced)
		meta->ns = NULL;
	berm_chunk_title(chunk, kind, meta->ns, meta->name);
	return true;
}

static struct berm_object object_of(const struct berm_field *root, enum berm_object_kind kind,
				    const struct berm_meta *meta)
{
	return (struct berm_object){
		.kind = kind,
		.ns = (char *)meta->ns,
		.name = (char *)meta->name,
		.line = berm_field_line(root),
	};
}

/* ---- Service ------------------------------------------------------------------------------------------ */

static void read_frontends(const struct berm_field *root, const struct berm_field *spec,
			   struct berm_service *out)
{
	auto_free struct berm_addr *room =
		berm_reader_alloc(root->reader, 2 * MAX_ADDRESSES, sizeof(*room));
	struct addresses cluster = { room, 0, MAX_ADDRESSES };
	struct addresses external = { room ? room + MAX_ADDRESSES : NULL, 0, MAX_ADDRESSES };
	struct berm_field ip;

	if (!room)
		return;
	read_address_list(spec, "clusterIPs", &cluster);
	if (berm_field_get(spec, "clusterIP", &ip))
		read_address(&ip, &cluster);
	read_address_list(spec, "externalIPs", &external);
	read_balancer(root, &external);
	keep_addresses(root->reader, &cluster, &out->cluster, &out->cluster_count);
	keep_addresses(root->reader, &external, &out->external, &out->external_count);
}

static void read_service(const struct berm_field *root, struct berm_service *out)
{
	struct berm_field spec;

	if (!berm_field_get(root, "spec", &spec) || !berm_field_is_map(&spec) ||
	    is_word(&spec, "type", "ExternalName") || is_word(&spec, "clusterIP", "None"))
		return; /* no proxy leads there, whatever else the object says */
	out->is_local = is_word(&spec, "internalTrafficPolicy", "Local");
	read_frontends(root, &spec, out);
	read_service_ports(&spec, out);
}

void berm_take_service(struct berm_chunk *chunk, const struct berm_field *root)
{
	struct berm_object object;
	struct berm_meta meta;

	if (!begin(chunk, root, "Service", true, &meta))
		return;
	object = object_of(root, BERM_OBJ_SERVICE, &meta);
	object.service = berm_reader_alloc(&chunk->reader, 1, sizeof(*object.service));
	if (!object.service)
		return;
	object.service->ns = berm_reader_copy(&chunk->reader, meta.ns);
	object.service->name = berm_reader_copy(&chunk->reader, meta.name);
	if (!berm_meta_text(&meta.labels, OTHER_PROXY))
		read_service(root, object.service);
	object.broken = chunk->reader.errors > 0;
	if (object.broken) {
		berm_service_free(object.service);
		object.service = NULL;
	}
	berm_chunk_add(chunk, &object);
}

/* ---- EndpointSlice -------------------------------------------------------------------------------------- */

/* A condition that is not given is unknown. */
static bool condition(const struct berm_field *conditions, const char *name, bool unknown)
{
	bool value = unknown;
	struct berm_field field;

	if (conditions->node && berm_field_get(conditions, name, &field))
		(void)berm_field_bool(&field, &value); /* errors are counted */
	return value;
}

/* Ready; or ending, and serving until then. */
static bool gets_traffic(const struct berm_field *item)
{
	struct berm_field conditions = { .node = NULL };
	bool is_ready;

	if (!berm_field_get(item, "conditions", &conditions) || !berm_field_is_map(&conditions))
		conditions.node = NULL;
	is_ready = condition(&conditions, "ready", true);
	return is_ready || (condition(&conditions, "serving", false) &&
			    condition(&conditions, "terminating", false));
}

/* Its number among the names of this slice. */
static uint16_t node_number(const struct berm_field *item, struct berm_slice *out)
{
	struct berm_field field;
	const char *name = NULL;

	if (berm_field_get(item, "nodeName", &field))
		name = berm_field_text(&field);
	if (!name || !name[0])
		return BERM_SLICE_NO_NODE;
	for (size_t i = 0; i < out->node_count; i++)
		if (!strcmp(out->node[i], name))
			return (uint16_t)i;
	out->node[out->node_count] = berm_reader_copy(item->reader, name);
	return out->node[out->node_count] ? (uint16_t)out->node_count++ : BERM_SLICE_NO_NODE;
}

/* Of several addresses of one endpoint kube-proxy takes the first. */
static void read_endpoint(const struct berm_field *item, struct berm_slice *out)
{
	struct berm_slice_endpoint *to = &out->endpoint[out->endpoint_count];
	struct addresses one = { &to->addr, 0, 1 };
	struct berm_field list, first;

	if (!berm_field_is_map(item) || !gets_traffic(item) ||
	    !get_list(item, "addresses", MAX_PORTS, &list))
		return;
	first = berm_field_first(&list);
	if (!first.node)
		return;
	read_address(&first, &one);
	if (!one.count)
		return;
	to->node = node_number(item, out);
	out->endpoint_count++;
}

static void read_slice(const struct berm_field *root, struct berm_slice *out)
{
	struct berm_field list, item;
	size_t count;

	if (is_word(root, "addressType", "FQDN"))
		return;
	read_slice_ports(root, out);
	if (!get_list(root, "endpoints", MAX_ENDPOINTS, &list))
		return;
	count = (size_t)cJSON_GetArraySize(list.node);
	out->endpoint = berm_reader_alloc(root->reader, count, sizeof(*out->endpoint));
	out->node = berm_reader_alloc(root->reader, count, sizeof(*out->node));
	if (!out->endpoint || !out->node)
		return;
	berm_field_each(item, &list) read_endpoint(&item, out);
}

void berm_take_slice(struct berm_chunk *chunk, const struct berm_field *root)
{
	struct berm_object object;
	struct berm_meta meta;
	const char *service;

	if (!begin(chunk, root, "EndpointSlice", true, &meta))
		return;
	object = object_of(root, BERM_OBJ_SLICE, &meta);
	object.slice = berm_reader_alloc(&chunk->reader, 1, sizeof(*object.slice));
	if (!object.slice)
		return;
	object.slice->ns = berm_reader_copy(&chunk->reader, meta.ns);
	object.slice->name = berm_reader_copy(&chunk->reader, meta.name);
	service = berm_meta_text(&meta.labels, SERVICE_NAME);
	if (service)
		object.slice->service = berm_reader_copy(&chunk->reader, service);
	read_slice(root, object.slice);
	object.broken = chunk->reader.errors > 0;
	if (object.broken) {
		berm_slice_free(object.slice);
		object.slice = NULL;
	}
	berm_chunk_add(chunk, &object);
}

/* ---- ServiceCIDR ------------------------------------------------------------------------------------------ */

static void read_cidrs(const struct berm_field *root, struct berm_service_cidr *out)
{
	struct berm_field spec, list, item;
	struct berm_err err = { 0 };
	const char *text;

	if (!berm_field_get(root, "spec", &spec) || !berm_field_is_map(&spec) ||
	    !get_list(&spec, "cidrs", MAX_CIDRS, &list))
		return;
	out->cidr = berm_reader_alloc(root->reader, (size_t)cJSON_GetArraySize(list.node),
				      sizeof(*out->cidr));
	if (!out->cidr)
		return;
	berm_field_each(item, &list)
	{
		text = berm_field_text(&item);
		if (!text)
			continue;
		if (berm_cidr_parse_lenient(text, &out->cidr[out->cidr_count], NULL, &err))
			berm_field_error(&item, "write a CIDR", "%s", err.msg);
		else
			out->cidr_count++;
	}
}

void berm_take_service_cidr(struct berm_chunk *chunk, const struct berm_field *root)
{
	struct berm_object object;
	struct berm_meta meta;

	if (!begin(chunk, root, "ServiceCIDR", false, &meta))
		return;
	object = object_of(root, BERM_OBJ_SERVICE_CIDR, &meta);
	object.service_cidr = berm_reader_alloc(&chunk->reader, 1, sizeof(*object.service_cidr));
	if (!object.service_cidr)
		return;
	object.service_cidr->name = berm_reader_copy(&chunk->reader, meta.name);
	read_cidrs(root, object.service_cidr);
	object.broken = chunk->reader.errors > 0;
	if (object.broken) {
		berm_service_cidr_free(object.service_cidr);
		object.service_cidr = NULL;
	}
	berm_chunk_add(chunk, &object);
}
