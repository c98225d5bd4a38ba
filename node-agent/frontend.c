// SPDX-License-Identifier: Apache-2.0
/*
 * frontend.c - joins Services with their slices, and pods with their hostPorts, as kube-proxy and the portmap
 * plugin do. Knows no policy.
 *
 * What several claim (an externalIP that two Services name, a nodePort that is a hostPort too) has all their
 * backends: which one wins in the kernel is not ours to know.
 */
#include "frontend.h"

#include <asm/byteorder.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "maps.h"

const struct berm_addr BERM_FRONTEND_NODE4 = { { 0, 0, __constant_htonl(0xffff), 0 } };
const struct berm_addr BERM_FRONTEND_NODE6 = { { 0, 0, 0, 0 } };

struct maker {
	const struct berm_model *model;
	struct berm_frontends *out;
	const struct berm_slice **slice; /* by namespace and service */
	size_t slice_count;
};

/* ---- order ------------------------------------------------------------------------------------------- */

static int cmp_addr(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct berm_addr));
}

static int cmp_backend(const void *a, const void *b)
{
	const struct berm_backend *x = a, *y = b;
	int rc = cmp_addr(&x->addr, &y->addr);

	return rc ? rc : (x->at > y->at) - (x->at < y->at);
}

static int cmp_place(const struct berm_frontend *x, const struct berm_frontend *y)
{
	int rc = cmp_addr(&x->addr, &y->addr);

	return rc ? rc : (x->at > y->at) - (x->at < y->at);
}

/* Services before hostPorts, by name. */
static int cmp_frontend(const void *a, const void *b)
{
	const struct berm_frontend *x = a, *y = b;
	int rc = cmp_place(x, y);

	if (!rc)
		rc = !x->service - !y->service;
	if (!rc)
		rc = strcmp(x->service ? x->service->ns : x->pod->ns,
			    y->service ? y->service->ns : y->pod->ns);
	if (!rc)
		rc = strcmp(x->service ? x->service->name : x->pod->name,
			    y->service ? y->service->name : y->pod->name);
	return rc ? rc : (x->backend > y->backend) - (x->backend < y->backend);
}

static int cmp_slice(const void *a, const void *b)
{
	const struct berm_slice *x = *(struct berm_slice *const *)a,
				*y = *(struct berm_slice *const *)b;
	int rc = strcmp(x->ns, y->ns);

	return rc ? rc : strcmp(x->service, y->service);
}

static size_t unique(void *item, size_t count, size_t size, int (*cmp)(const void *, const void *))
{
	char *at = item;
	size_t kept = 0;

	if (count)
		qsort(item, count, size, cmp);
	for (size_t i = 0; i < count; i++)
		if (!kept || cmp(at + (kept - 1) * size, at + i * size))
			memmove(at + kept++ * size, at + i * size, size);
	return kept;
}

/* ---- backends ---------------------------------------------------------------------------------------- */

static int index_slices(struct maker *m)
{
	m->slice = calloc(m->model->slice_count + 1, sizeof(*m->slice));
	if (!m->slice)
		return -ENOMEM;
	for (size_t i = 0; i < m->model->slice_count; i++)
		if (m->model->slices[i]->service)
			m->slice[m->slice_count++] = m->model->slices[i];
	qsort(m->slice, m->slice_count, sizeof(*m->slice), cmp_slice);
	return 0;
}

/* The first slice of a Service, or where it would stand. */
static size_t first_slice(const struct maker *m, const struct berm_service *service)
{
	const struct berm_slice want = { .ns = service->ns, .service = service->name },
				*key = &want;
	size_t low = 0, high = m->slice_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (cmp_slice(&m->slice[mid], &key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool has_addr(const struct berm_addr *list, size_t count, const struct berm_addr *addr)
{
	for (size_t i = 0; i < count; i++)
		if (!memcmp(&list[i], addr, sizeof(*addr)))
			return true;
	return false;
}

/* By the node's name; where one of the two is not known, by the address. */
static bool is_here(const struct berm_model *model, const struct berm_slice *slice,
		    const struct berm_slice_endpoint *ep)
{
	if (model->node && ep->node != BERM_SLICE_NO_NODE)
		return !strcmp(model->node, slice->node[ep->node]);
	if (has_addr(model->node_addrs, model->node_addr_count, &ep->addr))
		return true;
	for (size_t i = 0; i < model->endpoint_count; i++)
		if (has_addr(model->endpoints[i].addr, model->endpoints[i].addr_count, &ep->addr))
			return true;
	return false;
}

struct wanted {
	const struct berm_service *service;
	const struct berm_service_port *port;
	bool v4, only_here;
};

static bool is_port(const struct berm_slice_port *have, const struct berm_service_port *want)
{
	return have->plane == want->plane &&
	       !strcmp(have->name ? have->name : "", want->name ? want->name : "");
}

static int add_slice(struct maker *m, const struct wanted *want, const struct berm_slice *slice,
		     uint32_t at)
{
	for (size_t i = 0; i < slice->endpoint_count; i++) {
		const struct berm_slice_endpoint *ep = &slice->endpoint[i];
		struct berm_backend backend = { ep->addr, at };

		if (berm_addr_is_v4(&ep->addr) != want->v4 ||
		    (want->only_here && !is_here(m->model, slice, ep)))
			continue;
		if (array_push(&m->out->backend, backend))
			return -ENOMEM;
	}
	return 0;
}

/* The backends of one port, at the end of the list. A named targetPort is a number in every slice. */
static int add_backends(struct maker *m, const struct wanted *want, size_t *first, size_t *count)
{
	size_t at = first_slice(m, want->service);

	*first = m->out->backend.count;
	for (; at < m->slice_count && !strcmp(m->slice[at]->ns, want->service->ns) &&
	       !strcmp(m->slice[at]->service, want->service->name);
	     at++) {
		const struct berm_slice *slice = m->slice[at];

		for (size_t i = 0; i < slice->port_count; i++)
			if (is_port(&slice->port[i], want->port) &&
			    add_slice(m, want, slice,
				      (uint32_t)slice->port[i].plane << 16 | slice->port[i].port))
				return -ENOMEM;
	}
	*count = unique(m->out->backend.item + *first, m->out->backend.count - *first,
			sizeof(struct berm_backend), cmp_backend);
	m->out->backend.count = *first + *count;
	return 0;
}

/* ---- Services ----------------------------------------------------------------------------------------- */

static int push_frontends(struct maker *m, const struct wanted *want, const struct berm_addr *addr,
			  size_t addr_count, struct berm_frontend frontend)
{
	for (size_t i = 0; i < addr_count; i++) {
		if (berm_addr_is_v4(&addr[i]) != want->v4)
			continue;
		frontend.addr = addr[i];
		if (array_push(&m->out->item, frontend))
			return -ENOMEM;
	}
	return 0;
}

static bool has_family(const struct berm_addr *addr, size_t count, bool v4)
{
	for (size_t i = 0; i < count; i++)
		if (berm_addr_is_v4(&addr[i]) == v4)
			return true;
	return false;
}

/* Pods reach the endpoints of all nodes there, whatever externalTrafficPolicy says: that is for others. */
static int add_external(struct maker *m, struct wanted *want, struct berm_frontend frontend)
{
	const struct berm_service *s = want->service;
	const struct berm_addr *node = want->v4 ? &BERM_FRONTEND_NODE4 : &BERM_FRONTEND_NODE6;
	bool has_list = !want->only_here && frontend.backend_count;

	if (!want->port->node_port && !has_family(s->external, s->external_count, want->v4))
		return 0;
	want->only_here = false;
	if ((!has_list && add_backends(m, want, &frontend.backend, &frontend.backend_count)) ||
	    push_frontends(m, want, s->external, s->external_count, frontend))
		return -ENOMEM;
	if (!want->port->node_port || !has_family(s->cluster, s->cluster_count, want->v4))
		return 0;
	frontend.at = (uint32_t)want->port->plane << 16 | want->port->node_port;
	return push_frontends(m, want, node, 1, frontend);
}

static int add_port(struct maker *m, const struct berm_service *service,
		    const struct berm_service_port *port, bool v4)
{
	struct wanted want = { service, port, v4, service->is_local };
	struct berm_frontend frontend = { .service = service,
					  .port = port->name,
					  .at = (uint32_t)port->plane << 16 | port->port };

	if (has_family(service->cluster, service->cluster_count, v4) &&
	    (add_backends(m, &want, &frontend.backend, &frontend.backend_count) ||
	     push_frontends(m, &want, service->cluster, service->cluster_count, frontend)))
		return -ENOMEM;
	return add_external(m, &want, frontend);
}

static int add_service(struct maker *m, const struct berm_service *s)
{
	for (size_t i = 0; i < s->cluster_count; i++)
		if (array_push(&m->out->cluster, s->cluster[i]))
			return -ENOMEM;
	for (size_t i = 0; i < s->external_count; i++)
		if (array_push(&m->out->external, s->external[i]))
			return -ENOMEM;
	for (size_t i = 0; i < s->port_count; i++)
		if (add_port(m, s, &s->port[i], true) || add_port(m, s, &s->port[i], false))
			return -ENOMEM;
	return 0;
}

/* ---- hostPorts of this node's pods ------------------------------------------------------------------------ */

static int add_host_backend(struct maker *m, const struct berm_container_port *port,
			    const struct berm_addr *addr, struct berm_frontend frontend)
{
	struct berm_backend backend = { *addr, (uint32_t)port->plane << 16 | port->port };
	bool v4 = berm_addr_is_v4(addr);

	if (!cmp_addr(&port->host_addr, &BERM_FRONTEND_NODE6))
		frontend.addr = v4 ? BERM_FRONTEND_NODE4 : BERM_FRONTEND_NODE6;
	else if (berm_addr_is_v4(&port->host_addr) == v4)
		frontend.addr = port->host_addr; /* 0.0.0.0 is BERM_FRONTEND_NODE4 */
	else
		return 0;
	frontend.backend = m->out->backend.count;
	frontend.backend_count = 1;
	if (array_push(&m->out->backend, backend) || array_push(&m->out->item, frontend))
		return -ENOMEM;
	if (!cmp_addr(&frontend.addr, &BERM_FRONTEND_NODE4) ||
	    !cmp_addr(&frontend.addr, &BERM_FRONTEND_NODE6))
		return 0;
	return array_push(&m->out->external, frontend.addr);
}

static int add_host_ports(struct maker *m, const struct berm_local_endpoint *ep)
{
	const struct berm_pod *pod = berm_model_pod_of(m->model, ep);

	for (size_t i = 0; pod && !pod->finished && i < pod->port_count; i++) {
		const struct berm_container_port *port = &pod->port[i];
		struct berm_frontend frontend = {
			.pod = pod,
			.port = port->name,
			.at = (uint32_t)port->plane << 16 | port->host_port,
		};

		for (size_t k = 0; port->host_port && k < ep->addr_count; k++)
			if (add_host_backend(m, port, &ep->addr[k], frontend))
				return -ENOMEM;
	}
	return 0;
}

/* ---- looking up --------------------------------------------------------------------------------------- */

static const struct berm_addr *node_addr(const struct berm_addr *addr)
{
	return berm_addr_is_v4(addr) ? &BERM_FRONTEND_NODE4 : &BERM_FRONTEND_NODE6;
}

static const struct berm_frontend *find(const struct berm_frontends *f,
					const struct berm_addr *addr, uint32_t at)
{
	const struct berm_frontend key = { .addr = *addr, .at = at };
	size_t low = 0, high = f->item.count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int rc = cmp_place(&f->item.item[mid], &key);

		if (!rc)
			return &f->item.item[mid];
		if (rc < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* ---- what several claim --------------------------------------------------------------------------------------- */

/* All backends of these frontends of one place become the first one's. */
static int join(struct berm_frontends *out, struct berm_frontend *first, size_t count)
{
	size_t start = out->backend.count, kept;

	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < first[i].backend_count; k++)
			if (array_push(&out->backend, out->backend.item[first[i].backend + k]))
				return -ENOMEM;
	kept = unique(out->backend.item + start, out->backend.count - start,
		      sizeof(struct berm_backend), cmp_backend);
	out->backend.count = start + kept;
	first->backend = start;
	first->backend_count = kept;
	return 0;
}

static int join_all(struct berm_frontends *out)
{
	size_t kept = 0, end;

	if (out->item.count)
		qsort(out->item.item, out->item.count, sizeof(*out->item.item), cmp_frontend);
	for (size_t i = 0; i < out->item.count; i = end) {
		struct berm_frontend *first = &out->item.item[i];

		for (end = i + 1; end < out->item.count && !cmp_place(first, &out->item.item[end]);)
			end++;
		if (end - i > 1 && join(out, first, end - i))
			return -ENOMEM;
		out->item.item[kept++] = *first;
	}
	out->item.count = kept;
	return 0;
}

/* An address of the node with a frontend of its own where every address of the node has one too: both. The
 * new ones come last, beyond what is searched. */
static int join_node(struct maker *m)
{
	struct berm_frontends *out = m->out;
	struct berm_frontends sorted = *out;

	for (size_t i = 0; i < sorted.item.count; i++) {
		struct berm_frontend f = out->item.item[i];
		const struct berm_frontend *node;

		if (!has_addr(m->model->node_addrs, m->model->node_addr_count, &f.addr))
			continue;
		sorted.item.item = out->item.item; /* it may have moved */
		node = find(&sorted, node_addr(&f.addr), f.at);
		if (!node)
			continue;
		f.backend = node->backend;
		f.backend_count = node->backend_count;
		if (array_push(&out->item, f))
			return -ENOMEM;
	}
	return out->item.count > sorted.item.count ? join_all(out) : 0;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static int make(struct maker *m)
{
	if (index_slices(m))
		return -ENOMEM;
	for (size_t i = 0; i < m->model->service_count; i++)
		if (add_service(m, m->model->services[i]))
			return -ENOMEM;
	for (size_t i = 0; i < m->model->endpoint_count; i++)
		if (add_host_ports(m, &m->model->endpoints[i]))
			return -ENOMEM;
	if (join_all(m->out))
		return -ENOMEM;
	m->out->cluster.count = unique(m->out->cluster.item, m->out->cluster.count,
				       sizeof(struct berm_addr), cmp_addr);
	m->out->external.count = unique(m->out->external.item, m->out->external.count,
					sizeof(struct berm_addr), cmp_addr);
	return join_node(m);
}

int berm_frontends_make(const struct berm_model *model, struct berm_frontends *out)
{
	struct maker m = { .model = model, .out = out };
	int rc;

	memset(out, 0, sizeof(*out));
	rc = make(&m);
	free(m.slice);
	if (rc)
		berm_frontends_free(out);
	return rc;
}

void berm_frontends_free(struct berm_frontends *f)
{
	array_free(&f->item);
	array_free(&f->backend);
	array_free(&f->cluster);
	array_free(&f->external);
}

const struct berm_frontend *berm_frontends_find(const struct berm_frontends *f,
						const struct berm_addr *addr, uint32_t at,
						bool is_own_node)
{
	const struct berm_frontend *found = find(f, addr, at);

	if (found || !is_own_node)
		return found;
	return find(f, node_addr(addr), at);
}
