// SPDX-License-Identifier: Apache-2.0
/*
 * model.c - the agent's picture of the cluster: sorted arrays, found by binary search.
 *
 * Knows no file, no API server and no kernel.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model_shelf.h"

static int or_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

static int cmp_namespace(const void *a, const void *b)
{
	const struct berm_namespace *x = a, *y = b;

	return or_text(x->name, y->name);
}

static int cmp_pod(const void *a, const void *b)
{
	const struct berm_pod *x = a, *y = b;
	int rc = or_text(x->ns, y->ns);

	return rc ? rc : or_text(x->name, y->name);
}

int berm_model_cmp_policy(const void *a, const void *b)
{
	const struct berm_policy *x = a, *y = b;
	int rc = (x->kind > y->kind) - (x->kind < y->kind);

	if (!rc)
		rc = or_text(x->ns, y->ns);
	return rc ? rc : or_text(x->name, y->name);
}

static int cmp_service(const void *a, const void *b)
{
	const struct berm_service *x = a, *y = b;
	int rc = or_text(x->ns, y->ns);

	return rc ? rc : or_text(x->name, y->name);
}

static int cmp_slice(const void *a, const void *b)
{
	const struct berm_slice *x = a, *y = b;
	int rc = or_text(x->ns, y->ns);

	return rc ? rc : or_text(x->name, y->name);
}

static int cmp_service_cidr(const void *a, const void *b)
{
	const struct berm_service_cidr *x = a, *y = b;

	return or_text(x->name, y->name);
}

static void destroy_namespace(void *object)
{
	berm_namespace_free(object);
}

static void destroy_pod(void *object)
{
	berm_pod_free(object);
}

void berm_model_destroy_policy(void *object)
{
	berm_policy_free(object);
}

static void destroy_service(void *object)
{
	berm_service_free(object);
}

static void destroy_slice(void *object)
{
	berm_slice_free(object);
}

static void destroy_service_cidr(void *object)
{
	berm_service_cidr_free(object);
}

static struct berm_shelf namespaces_of(struct berm_model *m)
{
	return (struct berm_shelf){ (any_array *)&m->namespaces, &m->namespace_count, cmp_namespace,
				    destroy_namespace };
}

static struct berm_shelf pods_of(struct berm_model *m)
{
	return (struct berm_shelf){ (any_array *)&m->pods, &m->pod_count, cmp_pod, destroy_pod };
}

struct berm_shelf berm_model_policies(struct berm_model *m)
{
	return (struct berm_shelf){ (any_array *)&m->policies, &m->policy_count,
				    berm_model_cmp_policy, berm_model_destroy_policy };
}

static struct berm_shelf services_of(struct berm_model *m)
{
	return (struct berm_shelf){ (any_array *)&m->services, &m->service_count, cmp_service,
				    destroy_service };
}

static struct berm_shelf slices_of(struct berm_model *m)
{
	return (struct berm_shelf){ (any_array *)&m->slices, &m->slice_count, cmp_slice,
				    destroy_slice };
}

static struct berm_shelf service_cidrs_of(struct berm_model *m)
{
	return (struct berm_shelf){ (any_array *)&m->service_cidrs, &m->service_cidr_count,
				    cmp_service_cidr, destroy_service_cidr };
}

/* ---- what has changed --------------------------------------------------------------------------------- */

static void forget_changes(struct berm_model_changes *changes)
{
	for (size_t i = 0; i < changes->pod_count; i++) {
		free(changes->pod[i].ns);
		free(changes->pod[i].name);
		berm_pod_free(changes->pod[i].before);
	}
	changes->pod_count = 0;
}

void berm_model_changes_clear(struct berm_model *model)
{
	forget_changes(&model->changes);
	model->changes.all = model->changes.rest = model->changes.endpoints = false;
}

int berm_model_changed(struct berm_model *model, int rc)
{
	if (rc)
		return rc;
	model->version++;
	model->changes.all = true;
	forget_changes(&model->changes);
	return 0;
}

int berm_model_rest_changed(struct berm_model *model, int rc)
{
	if (rc)
		return rc;
	model->version++;
	model->changes.rest = true;
	return 0;
}

static int endpoints_changed(struct berm_model *model)
{
	model->changes.endpoints = true;
	return berm_model_rest_changed(model, 0);
}

static bool is_noted(const struct berm_model_changes *changes, const struct berm_pod *pod)
{
	for (size_t i = 0; i < changes->pod_count; i++)
		if (!strcmp(changes->pod[i].ns, pod->ns) &&
		    !strcmp(changes->pod[i].name, pod->name))
			return true;
	return false;
}

static int note_pod(struct berm_model_changes *changes, const struct berm_pod *pod,
		    struct berm_pod *before)
{
	struct berm_pod_change change = { strdup(pod->ns), strdup(pod->name), before };

	if (!change.ns || !change.name || changes->pod_count == BERM_MODEL_CHANGES) {
		free(change.ns);
		free(change.name);
		return -ENOMEM;
	}
	changes->pod[changes->pod_count++] = change;
	return 0;
}

/* pod: as it is now, or was last; before: as it was, the log's now; NULL: it is new. */
static void pod_changed(struct berm_model *model, const struct berm_pod *pod,
			struct berm_pod *before)
{
	struct berm_model_changes *changes = &model->changes;

	model->version++;
	if (!changes->all && !is_noted(changes, pod)) {
		if (!note_pod(changes, pod, before))
			return;
		changes->all = true;
		forget_changes(changes);
	}
	berm_pod_free(before);
}

/* ---- what workloads pods are ---------------------------------------------------------------------------- */

/* The first LabelMapping by name counts. */
const struct berm_mapping *berm_model_mapping(const struct berm_model *model)
{
	const struct berm_policy *first = model->companion_count ? model->companions[0] : NULL;

	return first && first->kind == BERM_KIND_MAPPING ? &first->mapping : NULL;
}

static int label_pod(const struct berm_model *model, struct berm_pod *pod)
{
	const struct berm_namespace *ns = berm_model_namespace(model, pod->ns);

	return berm_workload_label(berm_model_mapping(model), ns ? &ns->labels : NULL,
				   &pod->labels);
}

int berm_model_label_pods(struct berm_model *model, const char *ns)
{
	const struct berm_pod key = { .ns = (char *)ns, .name = (char *)"" };
	const struct berm_shelf pods = pods_of(model);
	size_t i = 0;
	int rc = 0;

	if (ns)
		(void)berm_shelf_find(&pods, &key, &i); /* the first of it stands there */
	for (; !rc && i < model->pod_count; i++) {
		if (ns && strcmp(model->pods[i]->ns, ns) != 0)
			break;
		rc = label_pod(model, model->pods[i]);
	}
	return rc;
}

/* ---- putting and removing ------------------------------------------------------------------------------- */

int berm_model_put_namespace(struct berm_model *model, struct berm_namespace *ns)
{
	const char *name = ns->name;
	int rc = berm_shelf_put(namespaces_of(model), ns);

	return berm_model_changed(model, rc ? rc : berm_model_label_pods(model, name));
}

int berm_model_put_pod(struct berm_model *model, struct berm_pod *pod)
{
	void *before;
	int rc = label_pod(model, pod);

	if (rc) {
		berm_pod_free(pod);
		return rc;
	}
	rc = berm_shelf_swap(pods_of(model), pod, &before);

	if (!rc)
		pod_changed(model, pod, before);
	return rc;
}

int berm_model_put_service(struct berm_model *model, struct berm_service *service)
{
	return berm_model_rest_changed(model, berm_shelf_put(services_of(model), service));
}

int berm_model_put_slice(struct berm_model *model, struct berm_slice *slice)
{
	return berm_model_rest_changed(model, berm_shelf_put(slices_of(model), slice));
}

int berm_model_put_service_cidr(struct berm_model *model, struct berm_service_cidr *cidr)
{
	return berm_model_changed(model, berm_shelf_put(service_cidrs_of(model), cidr));
}

int berm_model_remove_namespace(struct berm_model *model, const char *name)
{
	struct berm_namespace key = { .name = (char *)name };

	int rc = berm_shelf_remove(namespaces_of(model), &key);

	return berm_model_changed(model, rc ? rc : berm_model_label_pods(model, name));
}

int berm_model_remove_pod(struct berm_model *model, const char *ns, const char *name)
{
	struct berm_pod key = { .ns = (char *)ns, .name = (char *)name };
	struct berm_pod *pod = berm_shelf_take(pods_of(model), &key);

	if (!pod)
		return -ENOENT;
	pod_changed(model, pod, pod);
	return 0;
}

int berm_model_remove_service(struct berm_model *model, const char *ns, const char *name)
{
	struct berm_service key = { .ns = (char *)ns, .name = (char *)name };

	return berm_model_rest_changed(model, berm_shelf_remove(services_of(model), &key));
}

int berm_model_remove_slice(struct berm_model *model, const char *ns, const char *name)
{
	struct berm_slice key = { .ns = (char *)ns, .name = (char *)name };

	return berm_model_rest_changed(model, berm_shelf_remove(slices_of(model), &key));
}

int berm_model_remove_service_cidr(struct berm_model *model, const char *name)
{
	struct berm_service_cidr key = { .name = (char *)name };

	return berm_model_changed(model, berm_shelf_remove(service_cidrs_of(model), &key));
}

/* ---- endpoints: structs in place, a few hundred at most ------------------------------------------- */

static size_t endpoint_pos(const struct berm_model *model, uint32_t slot)
{
	size_t pos = 0;

	while (pos < model->endpoint_count && model->endpoints[pos].slot < slot)
		pos++;
	return pos;
}

static bool is_endpoint_at(const struct berm_model *model, size_t pos, uint32_t slot)
{
	return pos < model->endpoint_count && model->endpoints[pos].slot == slot;
}

int berm_model_put_endpoint(struct berm_model *model, const struct berm_local_endpoint *ep)
{
	size_t pos = endpoint_pos(model, ep->slot);
	struct berm_local_endpoint *grown;

	if (!is_endpoint_at(model, pos, ep->slot)) {
		grown = reallocarray(model->endpoints, model->endpoint_count + 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		model->endpoints = grown;
		memmove(grown + pos + 1, grown + pos,
			(model->endpoint_count - pos) * sizeof(*grown));
		model->endpoint_count++;
	}
	model->endpoints[pos] = *ep;
	return endpoints_changed(model);
}

int berm_model_remove_endpoint(struct berm_model *model, uint32_t slot)
{
	size_t pos = endpoint_pos(model, slot);
	struct berm_local_endpoint *at = model->endpoints + pos;

	if (!is_endpoint_at(model, pos, slot))
		return -ENOENT;
	model->endpoint_count--;
	memmove(at, at + 1, (model->endpoint_count - pos) * sizeof(*at));
	return endpoints_changed(model);
}

int berm_model_set_node_addrs(struct berm_model *model, const struct berm_addr *addr, size_t count)
{
	struct berm_addr *copy = NULL;

	if (count) {
		copy = reallocarray(NULL, count, sizeof(*copy));
		if (!copy)
			return -ENOMEM;
		memcpy(copy, addr, count * sizeof(*copy));
	}
	free(model->node_addrs);
	model->node_addrs = copy;
	model->node_addr_count = count;
	return berm_model_changed(model, 0);
}

int berm_model_set_node(struct berm_model *model, const char *name)
{
	char *copy = strdup(name);

	if (!copy)
		return -ENOMEM;
	free(model->node);
	model->node = copy;
	return berm_model_changed(model, 0);
}

/* ---- finding ---------------------------------------------------------------------------------------- */

/* Looking up changes nothing: the casts only let one shelf serve readers and writers. */
const struct berm_namespace *berm_model_namespace(const struct berm_model *model, const char *name)
{
	struct berm_namespace key = { .name = (char *)name };

	return berm_shelf_get(namespaces_of((struct berm_model *)model), &key);
}

const struct berm_pod *berm_model_pod(const struct berm_model *model, const char *ns,
				      const char *name)
{
	struct berm_pod key = { .ns = (char *)ns, .name = (char *)name };

	return berm_shelf_get(pods_of((struct berm_model *)model), &key);
}

const struct berm_pod *berm_model_pod_of(const struct berm_model *model,
					 const struct berm_local_endpoint *ep)
{
	const struct berm_pod *pod;

	if (ep->pod[0] == '\0')
		return NULL;
	pod = berm_model_pod(model, ep->ns, ep->pod);
	/* The same name with another uid is another pod: the one before it or the one after. */
	if (pod && pod->uid && pod->uid[0] && ep->uid[0] && strcmp(pod->uid, ep->uid))
		return NULL;
	return pod;
}

/* ---- destroying ------------------------------------------------------------------------------------- */

void berm_namespace_free(struct berm_namespace *ns)
{
	if (!ns)
		return;
	free(ns->name);
	berm_labels_clear(&ns->labels);
	free(ns);
}

void berm_pod_free(struct berm_pod *pod)
{
	if (!pod)
		return;
	for (size_t i = 0; i < pod->port_count; i++)
		free(pod->port[i].name);
	free(pod->port);
	free(pod->allowed);
	free(pod->ns);
	free(pod->name);
	free(pod->uid);
	free(pod->node);
	berm_labels_clear(&pod->labels);
	free(pod);
}

void berm_model_clear(struct berm_model *model)
{
	forget_changes(&model->changes);
	berm_shelf_clear(namespaces_of(model));
	berm_shelf_clear(pods_of(model));
	berm_shelf_clear(berm_model_policies(model));
	berm_model_clear_companions(model);
	berm_shelf_clear(services_of(model));
	berm_shelf_clear(slices_of(model));
	berm_shelf_clear(service_cidrs_of(model));
	free(model->endpoints);
	free(model->node_addrs);
	free(model->node);
	memset(model, 0, sizeof(*model));
}

static bool has_endpoint_in(const struct berm_model *model, const char *ns)
{
	for (size_t i = 0; i < model->endpoint_count; i++)
		if (!strcmp(model->endpoints[i].ns, ns))
			return true;
	return false;
}

static bool has_egress_rules(const struct berm_policy *policy)
{
	if (policy->disabled)
		return false;
	if (policy->isolate & 1 << BERM_EGRESS)
		return true;
	for (size_t i = 0; i < policy->rule_count; i++)
		if (policy->rule[i].dir == BERM_EGRESS)
			return true;
	for (size_t i = 0; i < policy->flow_count; i++)
		if (policy->flow[i].dir == BERM_EGRESS)
			return true;
	return false;
}

bool berm_model_has_egress_rules(const struct berm_model *model)
{
	const struct berm_policy *policy;

	for (size_t i = 0; model->endpoint_count && i < model->policy_count; i++) {
		policy = model->policies[i];
		if (has_egress_rules(policy) &&
		    (policy->cluster_wide || has_endpoint_in(model, policy->ns)))
			return true;
	}
	return false;
}
