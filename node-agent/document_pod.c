/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document_pod.c - reads Pod and Namespace, as lenient as the API: fields that mean nothing to us may say
 * what they want.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chunk.h"
#include "cleanup.h"
#include "document_port.h"
#include "document_selector.h"
#include "maps.h" /* berm_addr_parse() */

#define MAX_CONTAINERS 256
#define MAX_PORTS      1024
#define MAX_ALLOWED    256
#define STATIC_POD_UID "kubernetes.io/config.hash" /* what the runtime calls a static pod's UID */

/* ---- namespace ----------------------------------------------------------------------------------- */

static void read_default_verdict(const struct berm_meta *meta, struct berm_namespace *ns)
{
	static const struct berm_word words[] = { { "deny", 1, false }, { "allow", 0, false } };
	struct berm_field label;
	int is_deny = 1; /* a word that we do not know can only be meant to close something */

	if (!meta->labels.node ||
	    !berm_field_get(&meta->labels, "berm.dev/default-verdict", &label))
		return;
	(void)berm_field_word(&label, words, ARRAY_SIZE(words), &is_deny);
	ns->default_deny = is_deny;
}

static void fill_namespace(struct berm_reader *reader, const struct berm_meta *meta,
			   struct berm_namespace *ns)
{
	if (meta->labels.node)
		(void)berm_read_labels(&meta->labels, &ns->labels); /* errors are counted */
	ns->name = berm_reader_copy(reader, meta->name);
	if (berm_labels_set(&ns->labels, "kubernetes.io/metadata.name", meta->name))
		reader->no_memory = true;
}

void berm_take_namespace(struct berm_chunk *chunk, const struct berm_field *root)
{
	struct berm_object object = { .kind = BERM_OBJ_NAMESPACE, .line = berm_field_line(root) };
	struct berm_meta meta;

	berm_chunk_title(chunk, "Namespace", NULL, NULL);
	berm_read_meta(root, false, true, &meta);
	if (!meta.name) {
		berm_chunk_unreadable(chunk, NULL, NULL);
		return;
	}
	berm_chunk_title(chunk, "Namespace", NULL, meta.name);
	object.name = (char *)meta.name;
	object.namespace = berm_reader_alloc(&chunk->reader, 1, sizeof(*object.namespace));
	if (!object.namespace)
		return;
	fill_namespace(&chunk->reader, &meta, object.namespace);
	object.broken = chunk->reader.errors > 0;
	read_default_verdict(&meta,
			     object.namespace); /* an error here still closes the namespace */
	if (object.broken) {
		berm_namespace_free(object.namespace);
		object.namespace = NULL;
	}
	berm_chunk_add(chunk, &object);
}

/* ---- pod: addresses ------------------------------------------------------------------------------- */

static bool has_address(const struct berm_pod *pod, const struct berm_addr *addr)
{
	for (size_t i = 0; i < pod->addr_count; i++)
		if (!memcmp(&pod->addr[i], addr, sizeof(*addr)))
			return true;
	return false;
}

static void read_address(const struct berm_field *field, struct berm_pod *pod)
{
	const char *text = berm_field_text(field);
	struct berm_addr addr;

	if (!text || !text[0])
		return;
	if (berm_addr_parse(text, &addr))
		berm_field_error(field, NULL, "'%.60s' is not an IP address", text);
	else if (has_address(pod, &addr))
		return; /* podIP repeats the first of podIPs */
	else if (pod->addr_count == BERM_MAX_ADDRS)
		berm_field_warn(field, NULL, "a pod has at most %d addresses; this one is left out",
				BERM_MAX_ADDRS);
	else
		pod->addr[pod->addr_count++] = addr;
}

static void read_addresses(const struct berm_field *status, struct berm_pod *pod)
{
	struct berm_field list, item, ip;

	if (berm_field_get(status, "podIPs", &list) && berm_field_is_list(&list, MAX_CONTAINERS)) {
		berm_field_each(item, &list) if (berm_field_is_map(&item) &&
						 berm_field_get(&item, "ip", &ip))
			read_address(&ip, pod);
	}
	if (berm_field_get(status, "podIP", &ip))
		read_address(&ip, pod);
}

static void read_status(const struct berm_field *root, struct berm_pod *pod)
{
	struct berm_field status, phase;
	const char *text;

	if (!berm_field_get(root, "status", &status) || !berm_field_is_map(&status))
		return;
	if (berm_field_get(&status, "phase", &phase)) {
		text = berm_field_text(&phase);
		pod->finished = text && (!strcmp(text, "Succeeded") || !strcmp(text, "Failed"));
	}
	read_addresses(&status, pod);
}

/* "10.0.0.0/24, fd00::/64": addresses that the pod may use as source beside its own. */
static void read_allowed(const struct berm_meta *meta, struct berm_pod *pod)
{
	auto_free char *copy = NULL;
	struct berm_err err = { 0 };
	struct berm_field field;
	const char *text;
	char *next, *word;

	if (!meta->annotations.node ||
	    !berm_field_get(&meta->annotations, "berm.dev/allowed-addresses", &field))
		return;
	text = berm_field_text(&field);
	copy = text ? berm_reader_copy(field.reader, text) : NULL;
	pod->allowed = copy ? berm_reader_alloc(field.reader, MAX_ALLOWED, sizeof(*pod->allowed))
			    : NULL;
	next = pod->allowed ? copy : NULL;
	while ((word = next ? strsep(&next, ", \t\n") : NULL)) {
		if (!*word)
			continue;
		if (pod->allowed_count == MAX_ALLOWED)
			berm_field_error(&field, NULL, "more than %d address blocks", MAX_ALLOWED);
		else if (berm_cidr_parse(word, &pod->allowed[pod->allowed_count], &err))
			berm_field_error(&field, "write CIDRs, separated by commas", "%s", err.msg);
		else
			pod->allowed_count++;
		if (field.reader->errors)
			return;
	}
}

/* ---- pod: ports ------------------------------------------------------------------------------ */

static void add_port(struct berm_reader *reader, struct berm_pod *pod,
		     const struct berm_container_port *port)
{
	struct berm_container_port *all =
		reallocarray(pod->port, pod->port_count + 1, sizeof(*all));

	if (!all) {
		reader->no_memory = true;
		free(port->name);
		return;
	}
	pod->port = all;
	pod->port[pod->port_count++] = *port;
}

/* Of a host-network pod it only repeats containerPort. False: it cannot be read. */
static bool read_host_port(const struct berm_field *field, const struct berm_pod *pod,
			   struct berm_container_port *out)
{
	struct berm_field value;
	const char *text;
	int number = 0;

	if (pod->host_network || !berm_field_get(field, "hostPort", &value))
		return true;
	if (!berm_field_int(&value, 0, 65535, &number))
		return false;
	out->host_port = (uint16_t)number;
	if (!berm_field_get(field, "hostIP", &value))
		return true;
	text = berm_field_text(&value);
	if (!text || !text[0])
		return text;
	if (berm_addr_parse(text, &out->host_addr)) {
		berm_field_error(&value, NULL, "'%.60s' is not an IP address", text);
		return false;
	}
	return true;
}

static void read_port(const struct berm_field *field, struct berm_pod *pod)
{
	struct berm_container_port port = { .plane = BERM_PLANE_TCP };
	int number = 0, plane = BERM_PLANE_TCP;
	struct berm_field name, value;
	const char *text = NULL;

	if (!berm_field_is_map(field))
		return;
	if (berm_field_get(field, "name", &name) && !(text = berm_field_text(&name)))
		return;
	if (!read_host_port(field, pod, &port) || (!text && !port.host_port))
		return; /* neither policies nor other pods can mean it */
	if (!berm_field_get(field, "containerPort", &value)) {
		berm_field_error(field, NULL, "the field 'containerPort' is missing");
		return;
	}
	if (!berm_field_int(&value, 1, 65535, &number))
		return;
	if (berm_field_get(field, "protocol", &value) && !berm_read_protocol(&value, &plane))
		return;
	port.plane = (uint8_t)plane;
	port.port = (uint16_t)number;
	port.name = text ? berm_reader_copy(field->reader, text) : NULL;
	if (port.name || !text)
		add_port(field->reader, pod, &port);
}

static bool is_sidecar(const struct berm_field *container)
{
	const char *policy = berm_meta_text(container, "restartPolicy");

	return policy && !strcmp(policy, "Always");
}

static void read_containers(const struct berm_field *spec, const char *name, bool sidecars_only,
			    struct berm_pod *pod)
{
	struct berm_field list, container, ports, item;

	if (!berm_field_get(spec, name, &list) || !berm_field_is_list(&list, MAX_CONTAINERS))
		return;
	berm_field_each(container, &list)
	{
		if (!berm_field_is_map(&container) || (sidecars_only && !is_sidecar(&container)))
			continue;
		if (!berm_field_get(&container, "ports", &ports) ||
		    !berm_field_is_list(&ports, MAX_PORTS))
			continue;
		berm_field_each(item, &ports) read_port(&item, pod);
	}
}

static void read_spec(const struct berm_field *root, struct berm_pod *pod)
{
	struct berm_field spec, field;
	const char *node;

	if (!berm_field_get(root, "spec", &spec) || !berm_field_is_map(&spec))
		return;
	if (berm_field_get(&spec, "nodeName", &field) && (node = berm_field_text(&field)))
		pod->node = berm_reader_copy(field.reader, node);
	if (berm_field_get(&spec, "hostNetwork", &field))
		(void)berm_field_bool(&field, &pod->host_network); /* errors are counted */
	read_containers(&spec, "containers", false, pod);
	read_containers(&spec, "initContainers", true, pod);
}

/* As the API server writes it, in UTC; anything else is "unknown". */
static void read_created(const struct berm_field *root, struct berm_pod *pod)
{
	struct berm_field metadata, field;
	struct tm utc = { 0 };
	const char *text, *end;

	if (!berm_field_get(root, "metadata", &metadata) ||
	    !berm_field_get(&metadata, "creationTimestamp", &field) || !cJSON_IsString(field.node))
		return; /* kubectl writes null before an object exists */
	text = field.node->valuestring;
	end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &utc);
	if (end && !*end)
		pod->created = timegm(&utc);
}

static void fill_pod(struct berm_reader *reader, const struct berm_meta *meta, struct berm_pod *pod)
{
	const char *hash = berm_meta_text(&meta->annotations, STATIC_POD_UID);
	const char *uid = hash ? hash : meta->uid;

	pod->ns = berm_reader_copy(reader, meta->ns);
	pod->name = berm_reader_copy(reader, meta->name);
	pod->uid = uid ? berm_reader_copy(reader, uid) : NULL;
	if (meta->labels.node)
		(void)berm_read_labels(&meta->labels, &pod->labels); /* errors are counted */
	read_allowed(meta, pod);
}

void berm_take_pod(struct berm_chunk *chunk, const struct berm_field *root)
{
	struct berm_object object = { .kind = BERM_OBJ_POD, .line = berm_field_line(root) };
	struct berm_meta meta;

	berm_chunk_title(chunk, "Pod", NULL, NULL);
	berm_read_meta(root, false, false, &meta);
	if (!meta.name) {
		berm_chunk_unreadable(chunk, NULL, NULL);
		return;
	}
	meta.ns = meta.ns ? meta.ns : "default";
	berm_chunk_title(chunk, "Pod", meta.ns, meta.name);
	object.ns = (char *)meta.ns;
	object.name = (char *)meta.name;
	object.pod = berm_reader_alloc(&chunk->reader, 1, sizeof(*object.pod));
	if (!object.pod)
		return;
	fill_pod(&chunk->reader, &meta, object.pod);
	read_spec(root, object.pod);
	read_status(root, object.pod);
	read_created(root, object.pod);
	object.broken = chunk->reader.errors > 0;
	if (object.broken) {
		berm_pod_free(object.pod);
		object.pod = NULL;
	}
	berm_chunk_add(chunk, &object);
}
