/* SPDX-License-Identifier: Apache-2.0 */
/* objectlist.c - namespaces, pods and IPSets of the model as a Kubernetes List. No addresses of pods, no annotations: who asks wants labels and names. */
#include "objectlist.h"

#include "model.h"

static cJSON *new_object(const char *kind)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "kind", kind);
	cJSON_AddStringToObject(object, "apiVersion", "v1");
	return object;
}

static void add_meta(cJSON *object, const char *ns, const char *name,
		     const struct berm_labels *labels)
{
	cJSON *meta = cJSON_AddObjectToObject(object, "metadata"), *map;

	cJSON_AddStringToObject(meta, "name", name);
	if (ns)
		cJSON_AddStringToObject(meta, "namespace", ns);
	map = cJSON_AddObjectToObject(meta, "labels");
	for (size_t i = 0; i < labels->count; i++)
		cJSON_AddStringToObject(map, labels->item[i].key, labels->item[i].value);
}

static const char *protocol_of(uint8_t plane)
{
	return plane == BERM_PLANE_UDP ? "UDP" : plane == BERM_PLANE_SCTP ? "SCTP" : "TCP";
}

static void add_ports(cJSON *spec, const struct berm_pod *pod)
{
	cJSON *containers = cJSON_AddArrayToObject(spec, "containers"), *one, *ports;

	one = cJSON_CreateObject();
	cJSON_AddItemToArray(containers, one);
	cJSON_AddStringToObject(one, "name", "all");
	ports = cJSON_AddArrayToObject(one, "ports");
	for (size_t i = 0; i < pod->port_count; i++) {
		cJSON *port;

		if (!pod->port[i].name)
			continue;
		port = cJSON_CreateObject();
		cJSON_AddStringToObject(port, "name", pod->port[i].name);
		cJSON_AddStringToObject(port, "protocol", protocol_of(pod->port[i].plane));
		cJSON_AddNumberToObject(port, "containerPort", pod->port[i].port);
		cJSON_AddItemToArray(ports, port);
	}
}

static cJSON *pod_json(const struct berm_pod *pod)
{
	cJSON *object = new_object("Pod"), *spec;

	add_meta(object, pod->ns, pod->name, &pod->labels);
	spec = cJSON_AddObjectToObject(object, "spec");
	if (pod->host_network)
		cJSON_AddTrueToObject(spec, "hostNetwork");
	add_ports(spec, pod);
	if (pod->finished)
		cJSON_AddStringToObject(cJSON_AddObjectToObject(object, "status"), "phase",
					"Succeeded");
	return object;
}

static cJSON *ipset_json(const struct berm_policy *policy)
{
	cJSON *object = cJSON_CreateObject(), *cidrs;
	char text[BERM_CIDR_STRLEN];

	cJSON_AddStringToObject(object, "kind", "IPSet");
	cJSON_AddStringToObject(object, "name", policy->name);
	cJSON_AddStringToObject(object, "namespace", policy->ns);
	cidrs = cJSON_AddArrayToObject(object, "cidrs");
	for (size_t i = 0; i < policy->set.count; i++) {
		berm_cidr_format(&policy->set.cidr[i], text);
		cJSON_AddItemToArray(cidrs, cJSON_CreateString(text));
	}
	return object;
}

cJSON *berm_objects_json(const struct berm_model *model)
{
	cJSON *list = new_object("List"), *items = cJSON_AddArrayToObject(list, "items");

	for (size_t i = 0; i < model->namespace_count; i++) {
		cJSON *ns = new_object("Namespace");

		add_meta(ns, NULL, model->namespaces[i]->name, &model->namespaces[i]->labels);
		cJSON_AddItemToArray(items, ns);
	}
	for (size_t i = 0; i < model->pod_count; i++)
		cJSON_AddItemToArray(items, pod_json(model->pods[i]));
	for (size_t i = 0; i < model->companion_count; i++)
		if (model->companions[i]->kind == BERM_KIND_IPSET)
			cJSON_AddItemToArray(items, ipset_json(model->companions[i]));
	return list;
}
