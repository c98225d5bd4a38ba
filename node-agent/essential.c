/* SPDX-License-Identifier: Apache-2.0 */
/* essential.c - the essentials' defaults, what takes their place, and where that is. */
#include "essential.h"

#include <errno.h>
#include <string.h>

static char *const dns_app[] = { (char *)"kube-dns" };
static struct berm_requirement dns_label = { (char *)"k8s-app", BERM_OP_IN, (char **)dns_app, 1 };

static const struct berm_essential by_default[BERM_ESSENTIAL_COUNT] = {
	[BERM_ESSENTIAL_OF_DNS] = {
		.service = { { (char *)"kube-system", (char *)"kube-dns" } },
		.service_count = 1,
		.pods = { { (char *)"kube-system", { &dns_label, 1 } } },
		.pods_count = 1,
	},
	[BERM_ESSENTIAL_OF_APISERVER] = {
		.service = { { (char *)"default", (char *)"kubernetes" } },
		.service_count = 1,
	},
};

/* They stand by kind, and AgentConfigs are of the last. */
const struct berm_agent_config *berm_model_config(const struct berm_model *model,
						  const struct berm_policy **ret_policy)
{
	size_t low = 0, high = model->companion_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (model->companions[mid]->kind < BERM_KIND_AGENT_CONFIG)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == model->companion_count)
		return NULL;
	if (ret_policy)
		*ret_policy = model->companions[low];
	return model->companions[low]->config;
}

const struct berm_essential *berm_essential_of(const struct berm_model *model,
					       enum berm_essential_kind kind)
{
	const struct berm_agent_config *config = berm_model_config(model, NULL);

	return config && config->essential[kind].is_given ? &config->essential[kind]
							  : &by_default[kind];
}

const struct berm_essential *berm_essential_default(enum berm_essential_kind kind)
{
	return &by_default[kind];
}

const char *berm_essential_name(enum berm_essential_kind kind)
{
	return kind == BERM_ESSENTIAL_OF_DNS ? "dns" : "apiserver";
}

bool berm_essential_has_service(const struct berm_essential *essential, const char *ns,
				const char *name)
{
	for (size_t i = 0; i < essential->service_count; i++)
		if (!strcmp(essential->service[i].ns, ns) &&
		    !strcmp(essential->service[i].name, name))
			return true;
	return false;
}

bool berm_essential_has_pod(const struct berm_essential *essential, const struct berm_pod *pod)
{
	for (size_t i = 0; i < essential->pods_count; i++)
		if (!strcmp(essential->pods[i].ns, pod->ns) &&
		    berm_selector_matches(&essential->pods[i].selector, &pod->labels))
			return true;
	return false;
}

/* ---- places ------------------------------------------------------------------------------------------------------------ */

static bool has_port(const struct berm_service *s, const struct berm_slice_port *want)
{
	for (size_t i = 0; i < s->port_count; i++)
		if (s->port[i].plane == want->plane &&
		    !strcmp(s->port[i].name ? s->port[i].name : "", want->name ? want->name : ""))
			return true;
	return false;
}

static bool is_opened(enum berm_essential_kind kind, uint8_t plane)
{
	return plane == BERM_PLANE_TCP ||
	       (plane == BERM_PLANE_UDP && kind == BERM_ESSENTIAL_OF_DNS);
}

static int add_slice(const struct berm_slice *slice, const struct berm_service *s,
		     enum berm_essential_kind kind, berm_essential_opens *ret)
{
	for (size_t p = 0; p < slice->port_count; p++) {
		struct berm_essential_open open = { .plane = slice->port[p].plane,
						    .port = slice->port[p].port };

		if (!has_port(s, &slice->port[p]) || !is_opened(kind, open.plane))
			continue;
		for (size_t i = 0; i < slice->endpoint_count; i++) {
			open.addr = slice->endpoint[i].addr;
			if (array_push(ret, open))
				return -ENOMEM;
		}
	}
	return 0;
}

static const struct berm_service *service_named(const struct berm_model *m, const char *ns,
						const char *name)
{
	for (size_t i = 0; i < m->service_count; i++)
		if (!strcmp(m->services[i]->ns, ns) && !strcmp(m->services[i]->name, name))
			return m->services[i];
	return NULL;
}

static int add_service(const struct berm_model *model, const struct berm_essential_service *service,
		       enum berm_essential_kind kind, berm_essential_opens *ret)
{
	const struct berm_service *s = service_named(model, service->ns, service->name);

	for (size_t i = 0; s && i < model->slice_count; i++) {
		const struct berm_slice *slice = model->slices[i];

		if (slice->service && !strcmp(slice->ns, service->ns) &&
		    !strcmp(slice->service, service->name) && add_slice(slice, s, kind, ret))
			return -ENOMEM;
	}
	return 0;
}

static int add_place(const struct berm_essential_place *place, enum berm_essential_kind kind,
		     berm_essential_opens *ret)
{
	struct berm_essential_open open = { place->addr, BERM_PLANE_TCP, place->port };

	if (array_push(ret, open))
		return -ENOMEM;
	open.plane = BERM_PLANE_UDP;
	return is_opened(kind, open.plane) ? array_push(ret, open) : 0;
}

int berm_essential_places(const struct berm_model *model, enum berm_essential_kind kind,
			  berm_essential_opens *ret)
{
	const struct berm_essential *essential = berm_essential_of(model, kind);
	int rc = 0;

	for (size_t i = 0; !rc && i < essential->service_count; i++)
		rc = add_service(model, &essential->service[i], kind, ret);
	for (size_t i = 0; !rc && i < essential->place_count; i++)
		rc = add_place(&essential->place[i], kind, ret);
	return rc;
}
