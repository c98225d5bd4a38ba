// SPDX-License-Identifier: Apache-2.0
/*
 * compile_class.c - addresses that no rule can tell apart are one class. Knows who owns an address now.
 *
 * An address gets an entry of its own only if a selector, a mark or a named port tells it from its
 * surroundings; the others are found in the CIDR tables or are the world.
 */
#include "compiler.h"

/* ---- classes ------------------------------------------------------------------------------------------------- */

static void digest_ports(const struct compiler *c, struct berm_digester *d, uint32_t ports)
{
	size_t size;
	const struct compile_resolved *p = berm_intern_key(&c->ports, ports, &size);

	berm_digest_u64(d, size / sizeof(*p));
	for (size_t i = 0; i < size / sizeof(*p); i++) {
		const uint8_t *key = berm_intern_key(&c->port_name, p[i].name, NULL);

		berm_digest_text(d, (const char *)key + 1); /* its plane is in `at` */
		berm_digest_u64(d, p[i].at);
	}
}

static int cmp_digest(const void *a, const void *b)
{
	return berm_digest_cmp(a, b);
}

static int digest_groups(const struct compiler *c, struct berm_digester *d,
			 const struct compile_class *cls)
{
	struct berm_digest *ids = reallocarray(NULL, cls->group_count + 1, sizeof(*ids));

	if (!ids)
		return -ENOMEM;
	for (size_t i = 0; i < cls->group_count; i++)
		ids[i] = c->group.item[cls->group[i]].id;
	qsort(ids, cls->group_count, sizeof(*ids), cmp_digest);
	berm_digest_bytes(d, ids, cls->group_count * sizeof(*ids));
	free(ids);
	return 0;
}

static int add_class(struct compiler *c, struct compile_class cls)
{
	struct berm_digester d;

	berm_digest_start(&d);
	berm_digest_u64(&d, cls.mark);
	digest_ports(c, &d, cls.ports);
	if (digest_groups(c, &d, &cls))
		return -ENOMEM;
	cls.id = berm_digest_end(&d);
	return array_push(&c->cls, cls);
}

static bool is_world(const struct compile_class *cls)
{
	return !cls->mark && !cls->ports && !cls->group_count;
}

static int class_key(const struct compile_class *cls, struct berm_numbers *key)
{
	int rc = array_push(key, cls->mark);

	if (!rc)
		rc = array_push(key, cls->ports);
	for (size_t i = 0; !rc && i < cls->group_count; i++)
		rc = array_push(key, cls->group[i]);
	return rc;
}

int berm_compile_class(struct compiler *c, const struct compile_class *want, bool v4, uint32_t *ret)
{
	struct compile_class cls = *want;
	struct berm_numbers key = { 0 };
	int rc;

	*ret = v4 ? CLASS_WORLD4 : CLASS_WORLD6;
	if (is_world(want))
		return 0;
	rc = class_key(want, &key);
	if (!rc)
		rc = berm_intern(&c->class_key, key.item, key.count * sizeof(*key.item), ret);
	if (rc > 0) {
		cls.group = (const uint32_t *)berm_intern_key(&c->class_key, *ret, NULL) + 2;
		rc = add_class(c, cls);
	}
	array_free(&key);
	return rc;
}

int berm_compile_class_find(struct compiler *c, const struct compile_class *want, bool v4,
			    uint32_t *ret)
{
	struct berm_numbers key = { 0 };
	int rc;

	*ret = v4 ? CLASS_WORLD4 : CLASS_WORLD6;
	if (is_world(want))
		return 1;
	rc = class_key(want, &key);
	if (!rc)
		rc = berm_intern_find(&c->class_key, key.item, key.count * sizeof(*key.item), ret);
	array_free(&key);
	return rc;
}

static int add_world(struct compiler *c, const char *name)
{
	struct compile_class cls = { .is_peer = true, .id = berm_digest_of(name, strlen(name)) };
	uint32_t number;

	if (berm_intern(&c->class_key, name, strlen(name), &number) < 0)
		return -ENOMEM;
	return array_push(&c->cls, cls);
}

/* ---- what can be told about a pod ------------------------------------------------------------------------------ */

typedef BERM_ARRAY(struct compile_resolved) resolved_array;

/* By content, so that a class has the same digest whatever else is in the documents. */
static int cmp_resolved(const void *a, const void *b, void *compiler)
{
	const struct compiler *c = compiler;
	const struct compile_resolved *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return strcmp((const char *)berm_intern_key(&c->port_name, x->name, NULL) + 1,
		      (const char *)berm_intern_key(&c->port_name, y->name, NULL) + 1);
}

static int sought_port(struct compiler *c, const struct berm_container_port *p, resolved_array *out)
{
	struct compile_resolved r = { .at = (uint32_t)p->plane << 16 | p->port };
	struct berm_bytes *bytes = &c->scratch;

	if (!p->name)
		return 0;
	bytes->count = 0;
	if (array_push(bytes, p->plane))
		return -ENOMEM;
	for (const char *at = p->name; at == p->name || at[-1]; at++)
		if (array_push(bytes, (uint8_t)*at))
			return -ENOMEM;
	if (!berm_intern_find(&c->port_name, bytes->item, bytes->count, &r.name) ||
	    !c->port_name_sought.item[r.name])
		return 0;
	return array_push(out, r);
}

static int sought_ports(struct compiler *c, const struct berm_pod *pod, uint32_t *ret)
{
	resolved_array ports = { 0 };
	size_t kept = 0;
	int rc = 0;

	*ret = 0;
	for (size_t i = 0; !rc && i < pod->port_count; i++)
		rc = sought_port(c, &pod->port[i], &ports);
	if (!rc && ports.count) {
		qsort_r(ports.item, ports.count, sizeof(*ports.item), cmp_resolved, c);
		for (size_t i = 0; i < ports.count; i++)
			if (!kept ||
			    memcmp(&ports.item[kept - 1], &ports.item[i], sizeof(*ports.item)))
				ports.item[kept++] = ports.item[i];
		rc = berm_intern(&c->ports, ports.item, kept * sizeof(*ports.item), ret);
	}
	array_free(&ports);
	return rc < 0 ? rc : 0;
}

bool berm_compile_owns_addresses(const struct berm_pod *pod)
{
	return !pod->host_network && !pod->finished;
}

int berm_compile_about(struct compiler *c, const struct berm_pod *pod, struct compile_about *ret)
{
	bool is_dns =
		berm_essential_has_pod(berm_essential_of(c->model, BERM_ESSENTIAL_OF_DNS), pod);

	*ret = (struct compile_about){ .mark = is_dns ? MARK_DNS : 0 };
	if (berm_compile_pod_groups(c, pod, &ret->set) || sought_ports(c, pod, &ret->ports))
		return -ENOMEM;
	return 0;
}

static int learn_pods(struct compiler *c, struct compile_about *about)
{
	for (size_t i = 0; i < c->model->pod_count; i++)
		if (berm_compile_owns_addresses(c->model->pods[i]) &&
		    berm_compile_about(c, c->model->pods[i], &about[i]))
			return -ENOMEM;
	return 0;
}

/* ---- who owns an address ------------------------------------------------------------------------------------------ */

enum claim_kind {		 /* the lower one wins */
		  CLAIM_CLUSTER, /* a ClusterIP */
		  CLAIM_NODE,
		  CLAIM_NEWCOMER, /* an endpoint whose pod is not known yet: nobody else has its address */
		  CLAIM_ENDPOINT,
		  CLAIM_LEAVER, /* an endpoint whose pod has finished */
		  CLAIM_POD,
		  CLAIM_VIP,	 /* another address of a Service, if it is nobody's own */
		  CLAIM_BACKEND, /* behind a Service, and not known otherwise */
};

struct claim {
	struct berm_addr addr;
	uint8_t kind;
	bool is_contested; /* another claim has lost */
	int64_t created;
	uint32_t pod; /* NONE: the node, or a pod that is not known yet */
};

typedef BERM_ARRAY(struct claim) claim_array;

/* The node's own first, then what CNI gave to a pod here, then the latest pod object that says so. */
static int cmp_claim(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	int rc = memcmp(&x->addr, &y->addr, sizeof(x->addr));

	if (!rc)
		rc = x->kind - y->kind;
	if (!rc)
		rc = (x->created < y->created) - (x->created > y->created);
	return rc ? rc : (x->pod > y->pod) - (x->pod < y->pod);
}

static int claim_all(claim_array *out, struct claim claim, const struct berm_addr *addr,
		     size_t count)
{
	for (size_t i = 0; i < count && i < BERM_MAX_ADDRS; i++) {
		claim.addr = addr[i];
		if (array_push(out, claim))
			return -ENOMEM;
	}
	return 0;
}

static uint32_t pod_number(const struct berm_model *m, const struct berm_pod *pod)
{
	size_t low = 0, high = m->pod_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int rc = strcmp(m->pods[mid]->ns, pod->ns);

		if (!rc)
			rc = strcmp(m->pods[mid]->name, pod->name);
		if (!rc)
			return (uint32_t)mid;
		if (rc < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NONE;
}

static int claim_endpoints(const struct compiler *c, claim_array *out, bool *is_here)
{
	for (size_t i = 0; i < c->model->endpoint_count; i++) {
		const struct berm_local_endpoint *ep = &c->model->endpoints[i];
		const struct berm_pod *pod = c->endpoint[i].pod;
		struct claim claim = { .kind = CLAIM_NEWCOMER, .pod = NONE };

		if (pod)
			claim.kind = berm_compile_owns_addresses(pod) ? CLAIM_ENDPOINT
								      : CLAIM_LEAVER;
		if (claim.kind == CLAIM_ENDPOINT) {
			claim.pod = pod_number(c->model, pod);
			claim.created = pod->created;
		}
		if (claim.pod != NONE && ep->addr_count)
			is_here[claim.pod] = true;
		if (claim_all(out, claim, ep->addr, ep->addr_count))
			return -ENOMEM;
	}
	return 0;
}

static int claim_pods(const struct compiler *c, claim_array *out, const bool *is_here)
{
	for (size_t i = 0; i < c->model->pod_count; i++) {
		const struct berm_pod *pod = c->model->pods[i];
		struct claim claim = { .kind = CLAIM_POD,
				       .pod = (uint32_t)i,
				       .created = pod->created };

		if (berm_compile_owns_addresses(pod) && !is_here[i] &&
		    claim_all(out, claim, pod->addr, pod->addr_count))
			return -ENOMEM;
	}
	return 0;
}

static int claim_list(claim_array *out, enum claim_kind kind, const struct berm_addr *addr,
		      size_t count)
{
	struct claim claim = { .kind = (uint8_t)kind, .pod = NONE };

	for (size_t i = 0; i < count; i++) {
		claim.addr = addr[i];
		if (array_push(out, claim))
			return -ENOMEM;
	}
	return 0;
}

static int claim_frontends(const struct compiler *c, claim_array *out)
{
	int rc = claim_list(out, CLAIM_CLUSTER, c->front.cluster.item, c->front.cluster.count);

	if (!rc)
		rc = claim_list(out, CLAIM_VIP, c->front.external.item, c->front.external.count);
	if (!rc)
		rc = claim_list(out, CLAIM_BACKEND, c->backend_addr.item, c->backend_addr.count);
	return rc;
}

static int claim_addresses(const struct compiler *c, claim_array *out)
{
	bool *is_here = calloc(c->model->pod_count + 1, sizeof(*is_here));
	size_t kept = 0;
	int rc = is_here ? claim_list(out, CLAIM_NODE, c->model->node_addrs,
				      c->model->node_addr_count)
			 : -ENOMEM;

	if (!rc)
		rc = claim_endpoints(c, out, is_here);
	if (!rc)
		rc = claim_pods(c, out, is_here);
	if (!rc)
		rc = claim_frontends(c, out);
	free(is_here);
	if (rc || !out->count)
		return rc;
	qsort(out->item, out->count, sizeof(*out->item), cmp_claim);
	for (size_t i = 0; i < out->count; i++) {
		if (!kept ||
		    memcmp(&out->item[kept - 1].addr, &out->item[i].addr, sizeof(struct berm_addr)))
			out->item[kept++] = out->item[i];
		else
			out->item[kept - 1].is_contested = true;
	}
	out->count = kept;
	return 0;
}

static int list_owners(struct compiler *c, const claim_array *claims)
{
	for (size_t i = 0; i < claims->count; i++) {
		const struct claim *claim = &claims->item[i];
		struct compile_owner owner = {
			.addr = claim->addr,
			.is_a_pods = claim->kind == CLAIM_POD && !claim->is_contested,
		};

		if (array_push(&c->owner, owner))
			return -ENOMEM;
	}
	return 0;
}

/* ---- addresses to classes ---------------------------------------------------------------------------------------- */

static struct compile_about about_claim(const struct claim *claim, const struct compile_about *pods)
{
	if (claim->kind == CLAIM_NODE)
		return (struct compile_about){ .mark = MARK_OWN_NODE };
	if (claim->kind == CLAIM_CLUSTER || claim->kind == CLAIM_VIP)
		return (struct compile_about){ .mark = MARK_VIP };
	if (claim->kind == CLAIM_BACKEND)
		return (struct compile_about){ .is_nobody = true };
	return claim->pod == NONE ? (struct compile_about){ 0 } : pods[claim->pod];
}

static int add_set(const struct compiler *c, uint32_t set, struct berm_numbers *out)
{
	size_t size;
	const uint32_t *group = berm_intern_key(&c->sets, set, &size);

	for (size_t i = 0; i < size / sizeof(*group); i++)
		if (array_push(out, group[i]))
			return -ENOMEM;
	return 0;
}

/* An entry of its own: where the tables do not say the same. */
static bool needs_entry(const struct compile_about *about, const struct compile_hit *hit,
			uint32_t flags)
{
	return about->set || about->ports || about->mark || flags ||
	       (hit->in_service_cidr && !about->is_nobody);
}

int berm_compile_see(struct compiler *c, const struct compile_about *about,
		     const struct compile_hit *hit, struct berm_numbers *groups,
		     struct compile_seen *ret)
{
	struct compile_class cls = { .mark = about->mark, .ports = about->ports };
	struct compile_peer peer = { .addr = hit->addr };

	if (berm_compile_essential_ports(c, &hit->addr, &cls.ports))
		return -ENOMEM;
	peer.flags = berm_compile_front_flags(c, &hit->addr, (about->mark & MARK_OWN_NODE) != 0);
	ret->has_entry = needs_entry(about, hit, peer.flags) || cls.ports != about->ports;
	ret->is_known = ret->has_entry || berm_compile_is_backend(c, &hit->addr);
	if (about->is_nobody && hit->in_service_cidr)
		cls.mark = MARK_VIP; /* what the tables say */
	groups->count = 0;
	if (add_set(c, about->set, groups) || add_set(c, hit->set, groups))
		return -ENOMEM;
	berm_numbers_unique(groups);
	cls.group = groups->item;
	cls.group_count = groups->count;
	ret->cls = cls;
	ret->peer = peer;
	return 0;
}

static int add_peer(struct compiler *c, const struct compile_about *about,
		    const struct compile_hit *hit, struct berm_numbers *groups)
{
	struct compile_seen seen;
	struct compile_class *cls;

	if (berm_compile_see(c, about, hit, groups, &seen))
		return -ENOMEM;
	if (!seen.is_known)
		return 0;
	if (berm_compile_class(c, &seen.cls, berm_compile_is_v4(&hit->addr), &seen.peer.cls) ||
	    array_push(&c->known, seen.peer))
		return -ENOMEM;
	if (!seen.has_entry)
		return 0;
	cls = &c->cls.item[seen.peer.cls];
	cls->peers++;
	cls->is_peer = true;
	return array_push(&c->peer, seen.peer);
}

static int add_peers(struct compiler *c, const struct compile_about *about,
		     const struct compile_hit *hit, size_t count)
{
	struct berm_numbers groups = { 0 };
	int rc = 0;

	for (size_t i = 0; !rc && i < count; i++)
		rc = add_peer(c, &about[i], &hit[i], &groups);
	array_free(&groups);
	return rc;
}

static int classify(struct compiler *c, const claim_array *claims, const struct compile_about *pods)
{
	struct compile_hit *hit = calloc(claims->count + 1, sizeof(*hit));
	struct compile_about *about = calloc(claims->count + 1, sizeof(*about));
	bool has_services = c->front.item.count || c->essential.count ||
			    c->model->service_cidr_count;
	size_t count = 0;
	int rc = hit && about ? 0 : -ENOMEM;

	for (size_t i = 0; !rc && i < claims->count; i++) {
		struct compile_about this = about_claim(&claims->item[i], pods);

		if (!this.set && !this.ports && !this.mark && !has_services)
			continue;
		about[count] = this;
		hit[count++].addr = claims->item[i].addr;
	}
	if (!rc)
		rc = berm_compile_blocks(c, hit, count);
	if (!rc)
		rc = add_peers(c, about, hit, count);
	free(hit);
	free(about);
	return rc;
}

int berm_compile_classes(struct compiler *c)
{
	struct compile_about *about = calloc(c->model->pod_count + 1, sizeof(*about));
	struct berm_numbers empty = { 0 };
	claim_array claims = { 0 };
	uint32_t number;
	int rc = about ? 0 : -ENOMEM;

	/* Number 0 is the empty one. */
	if (rc || berm_compile_set(c, &empty, &number) ||
	    berm_intern(&c->ports, "", 0, &number) < 0 || add_world(c, "WORLD4") ||
	    add_world(c, "WORLD6"))
		rc = -ENOMEM;
	if (!rc)
		rc = learn_pods(c, about);
	if (!rc)
		rc = claim_addresses(c, &claims);
	if (!rc)
		rc = list_owners(c, &claims);
	if (!rc)
		rc = classify(c, &claims, about);
	array_free(&claims);
	free(about);
	return rc;
}

int berm_compile_class_index(struct compiler *c)
{
	for (size_t i = 0; i < c->cls.count; i++) {
		const struct compile_class *cls = &c->cls.item[i];

		for (size_t g = 0; g < cls->group_count; g++)
			if (array_push(&c->group.item[cls->group[g]].cls, (uint32_t)i))
				return -ENOMEM;
	}
	return 0;
}
