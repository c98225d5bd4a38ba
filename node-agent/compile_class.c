// SPDX-License-Identifier: Apache-2.0
/*
 * compile_class.c - addresses that no rule can tell apart are one class. Of owners it knows what they are.
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

static bool is_dns(const struct berm_pod *pod)
{
	const char *app = berm_labels_get(&pod->labels, "k8s-app");

	return app && !strcmp(app, "kube-dns") && !strcmp(pod->ns, "kube-system");
}

int berm_compile_about(struct compiler *c, const struct berm_pod *pod, struct compile_about *ret)
{
	*ret = (struct compile_about){ .mark = is_dns(pod) ? MARK_DNS : 0 };
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

int berm_compile_about_claim(struct compiler *c, uint8_t kind, const struct berm_pod *pod,
			     struct compile_about *ret)
{
	*ret = (struct compile_about){ 0 };
	switch ((enum compile_claim_kind)kind) {
	case CLAIM_NODE:
		ret->mark = MARK_OWN_NODE;
		return 0;
	case CLAIM_CLUSTER:
	case CLAIM_VIP:
		ret->mark = MARK_VIP;
		return 0;
	case CLAIM_BACKEND:
		ret->is_nobody = true;
		return 0;
	case CLAIM_NEWCOMER:
	case CLAIM_ENDPOINT:
	case CLAIM_LEAVER:
	case CLAIM_POD:
		break;
	}
	return pod ? berm_compile_about(c, pod, ret) : 0;
}

/* ---- addresses to classes ---------------------------------------------------------------------------------------- */

static int add_set(const struct compiler *c, uint32_t set, struct berm_numbers *out)
{
	size_t size;
	const uint32_t *group = berm_intern_key(&c->sets, set, &size);

	for (size_t i = 0; i < size / sizeof(*group); i++)
		if (array_push(out, group[i]))
			return -ENOMEM;
	return 0;
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
	ret->always = cls.ports || about->mark || peer.flags ||
		      (hit->in_service_cidr && !about->is_nobody);
	ret->has_entry = ret->always || about->set;
	ret->is_backend = berm_compile_is_backend(c, &hit->addr);
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

void berm_compile_remember(struct compile_owner *owner, const struct compile_about *about,
			   const struct compile_seen *seen)
{
	owner->set = about->set;
	owner->cls = seen->has_entry || seen->is_backend ? seen->peer.cls : NONE;
	owner->flags = (uint8_t)(seen->peer.flags >> OWNER_FLAGS);
	owner->always = seen->always;
	owner->is_backend = seen->is_backend;
}

int berm_compile_know(struct compiler *c, const struct compile_peer *peer, bool has_entry)
{
	struct compile_class *cls = &c->cls.item[peer->cls];

	if (array_push(&c->known, *peer))
		return -ENOMEM;
	if (!has_entry)
		return 0;
	cls->peers++;
	cls->is_peer = true;
	return array_push(&c->peer, *peer);
}


bool berm_compile_has_services(const struct compiler *c)
{
	return c->front.item.count || c->essential.count || c->model->service_cidr_count;
}

int berm_compile_batch_add(struct compiler *c, struct compile_batch *b,
			   const struct compile_about *about)
{
	const struct compile_owner *owner = &c->owner.item[c->owner.count - 1];
	struct compile_hit hit = { .addr = owner->addr };

	if (!about->set && !about->ports && !about->mark && !berm_compile_has_services(c))
		return 0;
	return array_push(&b->about, *about) || array_push(&b->hit, hit) ||
			       array_push(&b->owner, (uint32_t)c->owner.count - 1)
		       ? -ENOMEM
		       : 0;
}

int berm_compile_batch_place(struct compiler *c, const struct compile_batch *b, size_t i,
			     struct berm_numbers *groups)
{
	const struct compile_hit *hit = &b->hit.item[i];
	struct compile_seen seen;

	if (berm_compile_see(c, &b->about.item[i], hit, groups, &seen))
		return -ENOMEM;
	if ((seen.has_entry || seen.is_backend) &&
	    (berm_compile_class(c, &seen.cls, berm_compile_is_v4(&hit->addr), &seen.peer.cls) ||
	     berm_compile_know(c, &seen.peer, seen.has_entry)))
		return -ENOMEM;
	berm_compile_remember(&c->owner.item[b->owner.item[i]], &b->about.item[i], &seen);
	return 0;
}

void berm_compile_batch_free(struct compile_batch *b)
{
	array_free(&b->about);
	array_free(&b->hit);
	array_free(&b->owner);
}

static int place_all(struct compiler *c, const struct compile_batch *b)
{
	struct berm_numbers groups = { 0 };
	int rc = berm_compile_blocks(c, b->hit.item, b->hit.count);

	for (size_t i = 0; !rc && i < b->hit.count; i++)
		rc = berm_compile_batch_place(c, b, i, &groups);
	array_free(&groups);
	return rc;
}

static int list_owners(struct compiler *c, const struct compile_claims *claims,
		       const struct compile_about *pods, struct compile_batch *b)
{
	for (size_t i = 0; i < claims->count; i++) {
		const struct compile_claim *claim = &claims->item[i];
		struct compile_owner owner = berm_compile_owner(c, claim);
		struct compile_about about;

		if (owner.pod)
			about = pods[claim->pod];
		else if (berm_compile_about_claim(c, claim->kind, NULL, &about))
			return -ENOMEM;
		if (array_push(&c->owner, owner) || berm_compile_batch_add(c, b, &about))
			return -ENOMEM;
	}
	return 0;
}

/* Everybody, one after the other. */
static int classify(struct compiler *c)
{
	struct compile_about *about = calloc(c->model->pod_count + 1, sizeof(*about));
	struct compile_claims claims = { 0 };
	struct compile_batch batch = { 0 };
	int rc = about ? learn_pods(c, about) : -ENOMEM;

	if (!rc)
		rc = berm_compile_claims(c, NULL, &claims);
	if (!rc)
		rc = list_owners(c, &claims, about, &batch);
	array_free(&claims);
	free(about);
	if (!rc)
		rc = place_all(c, &batch);
	berm_compile_batch_free(&batch);
	return rc;
}

int berm_compile_classes(struct compiler *c)
{
	struct berm_numbers empty = { 0 };
	uint32_t number;
	int rc;

	/* Number 0 is the empty one. */
	if (berm_compile_set(c, &empty, &number) || berm_intern(&c->ports, "", 0, &number) < 0 ||
	    add_world(c, "WORLD4") || add_world(c, "WORLD6"))
		return -ENOMEM;
	rc = c->from ? berm_compile_inherit(c) : 0;
	return rc ? (rc > 0 ? 0 : rc) : classify(c);
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
