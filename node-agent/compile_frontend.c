// SPDX-License-Identifier: Apache-2.0
/*
 * compile_frontend.c - frontends (Services, hostPorts) as classes: one for every place and list of backends, so
 * that a set has one row for each. Knows which frontends there are, not what is allowed.
 */
#include "compiler.h"

#include "cleanup.h"

/* ---- essentials --------------------------------------------------------------------------------------------- */

static int cmp_addr(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct berm_addr));
}

static int cmp_essential(const void *a, const void *b)
{
	const struct compile_essential *x = a, *y = b;
	int rc = cmp_addr(&x->addr, &y->addr);

	if (!rc)
		rc = (x->port.at > y->port.at) - (x->port.at < y->port.at);
	return rc ? rc : (x->port.name > y->port.name) - (x->port.name < y->port.name);
}

static bool has_port(const struct berm_service *s, const struct berm_slice_port *want)
{
	for (size_t i = 0; i < s->port_count; i++)
		if (s->port[i].plane == want->plane &&
		    !strcmp(s->port[i].name ? s->port[i].name : "", want->name ? want->name : ""))
			return true;
	return false;
}

static int add_essentials(struct compiler *c, const struct berm_slice *slice,
			  const struct berm_service *s, enum compile_essential_kind kind)
{
	for (size_t p = 0; p < slice->port_count; p++) {
		struct compile_essential e = { .port.name = c->essential_name[kind] };

		if (!has_port(s, &slice->port[p]) || slice->port[p].plane > BERM_PLANE_UDP ||
		    (kind == ESSENTIAL_APISERVER && slice->port[p].plane != BERM_PLANE_TCP))
			continue;
		e.port.at = (uint32_t)slice->port[p].plane << 16 | slice->port[p].port;
		for (size_t i = 0; i < slice->endpoint_count; i++) {
			e.addr = slice->endpoint[i].addr;
			if (array_push(&c->essential, e))
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

static int list_service(struct compiler *c, const char *ns, const char *name,
			enum compile_essential_kind kind)
{
	const struct berm_service *s = service_named(c->model, ns, name);

	for (size_t i = 0; s && i < c->model->slice_count; i++) {
		const struct berm_slice *slice = c->model->slices[i];

		if (slice->service && !strcmp(slice->ns, ns) && !strcmp(slice->service, name) &&
		    add_essentials(c, slice, s, kind))
			return -ENOMEM;
	}
	return 0;
}

/* Names that no container port can have, in no plane that there is. */
static int list_essentials(struct compiler *c)
{
	if (berm_compile_port_name(c, BERM_PLANE_COUNT, "*dns",
				   &c->essential_name[ESSENTIAL_DNS]) ||
	    berm_compile_port_name(c, BERM_PLANE_COUNT, "*apiserver",
				   &c->essential_name[ESSENTIAL_APISERVER]) ||
	    list_service(c, "kube-system", "kube-dns", ESSENTIAL_DNS) ||
	    list_service(c, "default", "kubernetes", ESSENTIAL_APISERVER))
		return -ENOMEM;
	if (c->essential.count)
		qsort(c->essential.item, c->essential.count, sizeof(*c->essential.item),
		      cmp_essential);
	return 0;
}

static size_t first_essential(const struct compiler *c, const struct berm_addr *addr)
{
	size_t low = 0, high = c->essential.count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (cmp_addr(&c->essential.item[mid].addr, addr) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Behind the ports that are there: those are in order of their content, and so are these. */
int berm_compile_essential_ports(struct compiler *c, const struct berm_addr *addr, uint32_t *ports)
{
	size_t at = first_essential(c, addr), size;
	const uint32_t *word;
	struct berm_numbers key = { 0 };
	int rc = 0;

	if (at == c->essential.count || cmp_addr(&c->essential.item[at].addr, addr))
		return 0;
	word = berm_intern_key(&c->ports, *ports, &size);
	for (size_t i = 0; !rc && i < size / sizeof(*word); i++)
		rc = array_push(&key, word[i]);
	for (; !rc && at < c->essential.count && !cmp_addr(&c->essential.item[at].addr, addr);
	     at++) {
		const struct compile_essential *e = &c->essential.item[at];

		if (at && !cmp_essential(e - 1, e))
			continue;
		rc = array_push(&key, e->port.name);
		if (!rc)
			rc = array_push(&key, e->port.at);
	}
	if (!rc)
		rc = berm_intern(&c->ports, key.item, key.count * sizeof(*key.item), ports);
	array_free(&key);
	return rc < 0 ? rc : 0;
}

/* ---- which matter ----------------------------------------------------------------------------------------- */

static bool is_service(const struct berm_frontend *f, const char *ns, const char *name)
{
	return f->service && !strcmp(f->service->ns, ns) && !strcmp(f->service->name, name);
}

static bool is_node_place(const struct berm_frontend *f)
{
	return !memcmp(&f->addr, &BERM_FRONTEND_NODE4, sizeof(f->addr)) ||
	       !memcmp(&f->addr, &BERM_FRONTEND_NODE6, sizeof(f->addr));
}

/* Does somebody here decide about packets that leave, but for pods that wait to be judged? */
static bool has_egress(const struct compiler *c)
{
	for (size_t i = 0; i < c->subject.count; i++)
		if (c->subject.item[i].dir == BERM_EGRESS && !c->subject.item[i].is_essentials)
			return true;
	return false;
}

/* For those who wait: DNS, and what would else pass as the own node. */
static void drop_unused(struct berm_frontends *f)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->item.count; i++) {
		const struct berm_frontend *this = &f->item.item[i];

		if (is_node_place(this) || is_service(this, "kube-system", "kube-dns") ||
		    is_service(this, "default", "kubernetes"))
			f->item.item[kept++] = *this;
	}
	f->item.count = kept;
}

static bool has_addr(const struct berm_addr *sorted, size_t count, const struct berm_addr *addr)
{
	return count && bsearch(addr, sorted, count, sizeof(*addr), cmp_addr);
}

static size_t sort_addrs(struct berm_addr *addr, size_t count)
{
	size_t kept = 0;

	if (count)
		qsort(addr, count, sizeof(*addr), cmp_addr);
	for (size_t i = 0; i < count; i++)
		if (!kept || cmp_addr(&addr[kept - 1], &addr[i]))
			addr[kept++] = addr[i];
	return kept;
}

static int list_addresses(struct compiler *c)
{
	const struct berm_frontends *f = &c->front;

	for (size_t i = 0; i < f->item.count; i++) {
		const struct berm_frontend *this = &f->item.item[i];

		if (!is_node_place(this) && array_push(&c->front_addr, this->addr))
			return -ENOMEM;
		for (size_t k = 0; k < this->backend_count; k++)
			if (array_push(&c->backend_addr, f->backend.item[this->backend + k].addr))
				return -ENOMEM;
	}
	for (size_t i = 0; i < c->essential.count; i++)
		if (array_push(&c->backend_addr, c->essential.item[i].addr))
			return -ENOMEM;
	c->front_addr.count = sort_addrs(c->front_addr.item, c->front_addr.count);
	c->backend_addr.count = sort_addrs(c->backend_addr.item, c->backend_addr.count);
	return 0;
}

static size_t only_used(const struct compiler *c, struct berm_addr *addr, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (has_addr(c->front_addr.item, c->front_addr.count, &addr[i]))
			addr[kept++] = addr[i];
	return kept;
}

int berm_compile_frontends(struct compiler *c)
{
	struct berm_frontends *f = &c->front;
	bool is_used = has_egress(c);

	if (berm_frontends_make(c->model, f) || list_essentials(c))
		return -ENOMEM;
	if (!is_used)
		drop_unused(f);
	if (list_addresses(c))
		return -ENOMEM;
	if (is_used)
		return 0;
	f->cluster.count = only_used(c, f->cluster.item, f->cluster.count);
	f->external.count = only_used(c, f->external.item, f->external.count);
	return 0;
}

/* ---- addresses ------------------------------------------------------------------------------------------------ */

bool berm_compile_has_node_places(const struct compiler *c, bool v4)
{
	const struct berm_addr *want = v4 ? &BERM_FRONTEND_NODE4 : &BERM_FRONTEND_NODE6;

	for (size_t i = 0; i < c->front.item.count; i++) {
		int rc = cmp_addr(&c->front.item.item[i].addr, want);

		if (rc >= 0)
			return !rc; /* they are sorted */
	}
	return false;
}

uint32_t berm_compile_front_flags(const struct compiler *c, const struct berm_addr *addr,
				  bool is_own_node)
{
	uint32_t flags = 0;

	if (has_addr(c->front_addr.item, c->front_addr.count, addr))
		flags |= BERM_PEER_FRONTENDS;
	if (is_own_node && berm_compile_has_node_places(c, berm_compile_is_v4(addr)))
		flags |= BERM_PEER_NODE_FRONTENDS;
	return flags;
}

bool berm_compile_is_backend(const struct compiler *c, const struct berm_addr *addr)
{
	return has_addr(c->backend_addr.item, c->backend_addr.count, addr);
}

/* ---- classes -------------------------------------------------------------------------------------------------- */

static uint32_t class_of(const struct compiler *c, const struct berm_addr *addr)
{
	const struct compile_peer *known = NULL;

	if (c->known.count)
		known = bsearch(addr, c->known.item, c->known.count, sizeof(*c->known.item),
				cmp_addr); /* its first member */
	if (known)
		return known->cls;
	return berm_compile_is_v4(addr) ? CLASS_WORLD4 : CLASS_WORLD6;
}

/* Of every (class, port) the first backend counts: it is the one that a verdict names. */
static int add_backend(struct berm_numbers *key, uint32_t cls, uint32_t at)
{
	for (size_t i = 2; i < key->count; i += 2)
		if (key->item[i] == cls && key->item[i + 1] == at)
			return 0;
	return array_push(key, cls) || array_push(key, at) ? -ENOMEM : 0;
}

static int add_class(struct compiler *c, const uint32_t *key, size_t count)
{
	struct compile_class cls = {
		.is_front = true,
		.front_at = key[1],
		.backend = (const struct compile_backend *)(key + 2),
		.backend_count = (count - 2) / 2,
	};
	struct berm_digester d;

	berm_digest_start(&d);
	berm_digest_text(&d, "FRONTEND");
	berm_digest_u64(&d, cls.front_at);
	for (size_t i = 0; i < cls.backend_count; i++) {
		struct compile_class *backend = &c->cls.item[cls.backend[i].cls];

		backend->is_backend = true;
		berm_digest_add(&d, &backend->id);
		berm_digest_u64(&d, cls.backend[i].at);
	}
	cls.id = berm_digest_end(&d);
	return array_push(&c->cls, cls);
}

/* NONE as the first word: no class of addresses has such a mark. */
static int front_class(struct compiler *c, const struct berm_frontend *f, struct berm_numbers *key,
		       uint32_t *ret)
{
	const struct compile_class vip = { .mark = MARK_VIP };
	size_t size;
	int rc;

	if (!f->backend_count) {
		rc = berm_compile_class(c, &vip, true, ret);
		if (!rc)
			c->cls.item[*ret].is_peer = true;
		return rc;
	}
	key->count = 0;
	if (array_push(key, NONE) || array_push(key, f->at))
		return -ENOMEM;
	for (size_t i = 0; i < f->backend_count; i++) {
		const struct berm_backend *b = &c->front.backend.item[f->backend + i];

		if (add_backend(key, class_of(c, &b->addr), b->at))
			return -ENOMEM;
	}
	rc = berm_intern(&c->class_key, key->item, key->count * sizeof(*key->item), ret);
	return rc > 0 ? add_class(c, berm_intern_key(&c->class_key, *ret, &size), key->count) : rc;
}

int berm_compile_front_classes(struct compiler *c)
{
	struct berm_numbers key = { 0 };
	uint32_t cls = NONE;
	int rc = 0;

	for (size_t i = 0; !rc && i < c->front.item.count; i++) {
		rc = front_class(c, &c->front.item.item[i], &key, &cls);
		if (!rc)
			rc = array_push(&c->front_cls, cls);
	}
	array_free(&key);
	return rc;
}
