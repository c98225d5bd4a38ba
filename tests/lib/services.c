/* SPDX-License-Identifier: Apache-2.0 */
/* services.c - reads Services and slices, one after the other, for one address and port. Judges nothing. */
#include "services.h"

#include <stdlib.h>
#include <string.h>

#include "test.h"

struct place {
	const struct berm_model *m;
	const struct berm_addr *addr;
	uint8_t plane;
	uint16_t port;
	struct led *out;
};

static bool same(const struct berm_addr *a, const struct berm_addr *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static bool is_v4(const struct berm_addr *addr)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(addr, mapped, sizeof(mapped));
}

static bool among(const struct berm_addr *list, size_t count, const struct berm_addr *addr)
{
	for (size_t i = 0; i < count; i++)
		if (same(&list[i], addr))
			return true;
	return false;
}

static bool same_text(const char *a, const char *b)
{
	return !strcmp(a ? a : "", b ? b : "");
}

/* ---- slices ------------------------------------------------------------------------------------------ */

static bool runs_here(const struct berm_model *m, const struct berm_slice *s, size_t i)
{
	uint16_t node = s->endpoint[i].node;

	if (m->node && node != BERM_SLICE_NO_NODE)
		return !strcmp(s->node[node], m->node);
	for (size_t e = 0; e < m->endpoint_count; e++)
		if (among(m->endpoints[e].addr, m->endpoints[e].addr_count, &s->endpoint[i].addr))
			return true;
	return among(m->node_addrs, m->node_addr_count, &s->endpoint[i].addr);
}

static void lead_to(struct led *out, const struct berm_addr *addr, uint8_t plane, uint16_t port)
{
	for (size_t i = 0; i < out->count; i++)
		if (same(&out->to[i].addr, addr) && out->to[i].plane == plane &&
		    out->to[i].port == port)
			return;
	ASSERT_TRUE(out->count < SERVICES_MAX);
	out->to[out->count++] = (struct led_to){ *addr, plane, port };
}

static void read_slice(const struct berm_model *m, const struct berm_slice *slice,
		       const struct berm_service_port *port, bool v4, bool here, struct led *out)
{
	for (size_t p = 0; p < slice->port_count; p++) {
		if (slice->port[p].plane != port->plane ||
		    !same_text(slice->port[p].name, port->name))
			continue;
		for (size_t i = 0; i < slice->endpoint_count; i++)
			if (is_v4(&slice->endpoint[i].addr) == v4 &&
			    (!here || runs_here(m, slice, i)))
				lead_to(out, &slice->endpoint[i].addr, port->plane,
					slice->port[p].port);
	}
}

static void read_slices(const struct berm_model *m, const struct berm_service *s,
			const struct berm_service_port *port, bool v4, bool here, struct led *out)
{
	for (size_t i = 0; i < m->slice_count; i++)
		if (same_text(m->slices[i]->service, s->name) && !strcmp(m->slices[i]->ns, s->ns))
			read_slice(m, m->slices[i], port, v4, here, out);
}

/* ---- Services ------------------------------------------------------------------------------------------ */

static bool has_cluster_ip(const struct berm_service *s, bool v4)
{
	for (size_t i = 0; i < s->cluster_count; i++)
		if (is_v4(&s->cluster[i]) == v4)
			return true;
	return false;
}

static void read_service(const struct place *at, const struct berm_service *s)
{
	bool v4 = is_v4(at->addr);
	bool cluster = among(s->cluster, s->cluster_count, at->addr);
	bool external = among(s->external, s->external_count, at->addr);
	bool node = among(at->m->node_addrs, at->m->node_addr_count, at->addr);

	for (size_t i = 0; i < s->port_count; i++) {
		const struct berm_service_port *port = &s->port[i];

		if (port->plane != at->plane)
			continue;
		if ((cluster || external) && port->port == at->port) {
			at->out->is_place = true;
			read_slices(at->m, s, port, v4, s->is_local && !external, at->out);
		}
		if (node && port->node_port == at->port && at->port && has_cluster_ip(s, v4)) {
			at->out->is_place = true;
			read_slices(at->m, s, port, v4, false, at->out);
		}
	}
}

/* ---- hostPorts ------------------------------------------------------------------------------------------ */

static const struct berm_pod *pod_of(const struct berm_model *m,
				     const struct berm_local_endpoint *ep)
{
	for (size_t i = 0; i < m->pod_count; i++)
		if (!strcmp(m->pods[i]->ns, ep->ns) && !strcmp(m->pods[i]->name, ep->pod))
			return m->pods[i];
	return NULL;
}

static bool is_all4(const struct berm_addr *addr)
{
	const uint8_t *byte = (const uint8_t *)addr;

	return is_v4(addr) && !byte[12] && !byte[13] && !byte[14] && !byte[15];
}

static bool is_host_addr(const struct place *at, const struct berm_addr *want)
{
	static const struct berm_addr all;
	bool node = among(at->m->node_addrs, at->m->node_addr_count, at->addr);

	if (same(want, &all))
		return node;
	if (is_all4(want))
		return node && is_v4(at->addr);
	return same(want, at->addr);
}

static void read_host_ports(const struct place *at, const struct berm_local_endpoint *ep)
{
	const struct berm_pod *pod = pod_of(at->m, ep);

	for (size_t i = 0; pod && !pod->finished && i < pod->port_count; i++) {
		const struct berm_container_port *port = &pod->port[i];

		if (!port->host_port || port->host_port != at->port || port->plane != at->plane ||
		    !is_host_addr(at, &port->host_addr))
			continue;
		for (size_t k = 0; k < ep->addr_count; k++) {
			if (is_v4(&ep->addr[k]) != is_v4(at->addr))
				continue;
			at->out->is_place = true;
			lead_to(at->out, &ep->addr[k], port->plane, port->port);
		}
	}
}

/* A hostIP that is nobody's is an address of this pod's, whatever the port. */
static bool is_host_ip(const struct berm_model *m, const struct berm_addr *addr)
{
	static const struct berm_addr all;

	if (same(addr, &all) || is_all4(addr))
		return false;
	for (size_t i = 0; i < m->endpoint_count; i++) {
		const struct berm_pod *pod = pod_of(m, &m->endpoints[i]);

		for (size_t p = 0; pod && !pod->finished && p < pod->port_count; p++)
			for (size_t k = 0; k < m->endpoints[i].addr_count; k++)
				if (pod->port[p].host_port && same(&pod->port[p].host_addr, addr) &&
				    is_v4(&m->endpoints[i].addr[k]) == is_v4(addr))
					return true;
	}
	return false;
}

/* ---- an address ------------------------------------------------------------------------------------------- */

static bool in_cidr(const struct berm_cidr *cidr, const struct berm_addr *addr)
{
	const uint8_t *a = (const uint8_t *)addr, *c = (const uint8_t *)&cidr->addr;

	if (cidr->v4 != is_v4(addr))
		return false;
	for (unsigned int bit = 0; bit < cidr->bits; bit++)
		if ((a[bit / 8] ^ c[bit / 8]) & 0x80 >> bit % 8)
			return false;
	return true;
}

static bool is_service_address(const struct berm_model *m, const struct berm_addr *addr, bool owned)
{
	for (size_t i = 0; i < m->service_count; i++) {
		const struct berm_service *s = m->services[i];

		if (among(s->cluster, s->cluster_count, addr) ||
		    (!owned && among(s->external, s->external_count, addr)))
			return true;
	}
	for (size_t i = 0; !owned && i < m->service_cidr_count; i++)
		for (size_t k = 0; k < m->service_cidrs[i]->cidr_count; k++)
			if (in_cidr(&m->service_cidrs[i]->cidr[k], addr))
				return true;
	return !owned && is_host_ip(m, addr);
}

static int by_address(const void *a, const void *b)
{
	const struct led_to *x = a, *y = b;
	int rc = memcmp(&x->addr, &y->addr, sizeof(x->addr));

	if (!rc)
		rc = (int)x->plane - (int)y->plane;
	return rc ? rc : (int)x->port - (int)y->port;
}

void services_lead(const struct berm_model *m, const struct berm_addr *addr, uint8_t plane,
		   uint16_t port, bool owned, struct led *out)
{
	struct place at = { m, addr, plane, port, out };

	memset(out, 0, sizeof(*out));
	out->is_service = is_service_address(m, addr, owned);
	for (size_t i = 0; i < m->service_count; i++)
		read_service(&at, m->services[i]);
	for (size_t i = 0; i < m->endpoint_count; i++)
		read_host_ports(&at, &m->endpoints[i]);
	qsort(out->to, out->count, sizeof(*out->to), by_address);
}

bool services_is_target(const struct berm_model *m, const char *ns, const char *name,
			const struct berm_addr *addr, uint8_t plane, uint16_t port)
{
	static struct led led;

	for (size_t i = 0; i < m->service_count; i++) {
		const struct berm_service *s = m->services[i];

		if (strcmp(s->ns, ns) || strcmp(s->name, name))
			continue;
		for (size_t p = 0; p < s->port_count; p++) {
			led.count = 0;
			read_slices(m, s, &s->port[p], is_v4(addr), false, &led);
			for (size_t k = 0; k < led.count; k++)
				if (same(&led.to[k].addr, addr) && led.to[k].plane == plane &&
				    led.to[k].port == port)
					return true;
		}
	}
	return false;
}
