// SPDX-License-Identifier: Apache-2.0
/*
 * compile_inherit.c - a compilation after another one: policies, pods, endpoints or Services have changed, but of most
 * addresses nothing that anybody can see. Those keep their class by way of its content; whoever is touched by a change is
 * looked at again. Knows no subjects and no verdicts; the result is that of looking at everybody, in the same order.
 *
 * A class of the compilation before becomes the one with the same groups, less those that are gone, and with those
 * that are new and mean the address. Groups and named ports have other numbers now: they are found by their content.
 */
#include "compiler.h"

#include "cidr.h"
#include "cleanup.h"

#define WORLD	  (NONE - 1) /* a class without anything left */
#define TOO_MUCH 8	     /* looks, as a multiple of the pods that there are */

struct heir {
	struct compiler *c;
	const struct compiler *from;
	struct compile_few only;	    /* addresses that may belong to somebody else now */
	uint32_t *group, *set, *port, *cls; /* by number before: NONE no more, or not known yet */
	bool *is_new, *is_new_group;	    /* [term]: is in a new group; [group] */
	bool *again;			    /* by owner before: to be looked at */
	uint32_t *gain, *own;	/* likewise: set of new groups that it is in; and its pod is in */
	struct berm_intern sum; /* set, group: the set of both; and class, set: the class */
	struct berm_numbers sum_of;
	size_t looked_at, limit; /* so many times at a pod or an address */
	struct compile_claims claim;
	struct compile_batch batch;
	struct berm_numbers before; /* [owner]: his number before; NONE: he is looked at */
};

/* ---- whose addresses are to be looked at ------------------------------------------------------------------------- */

static int cmp_addr(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct berm_addr));
}

static size_t pod_addrs(const struct berm_pod *pod)
{
	return pod->addr_count < BERM_MAX_ADDRS ? pod->addr_count : BERM_MAX_ADDRS;
}

static int add_pod(struct heir *h, const struct berm_pod *pod)
{
	return pod ? berm_compile_few_add(&h->only, pod->addr, pod_addrs(pod)) : 0;
}

static int add_changed_pods(struct heir *h)
{
	const struct berm_model_changes *changes = h->c->changes;

	for (size_t i = 0; i < changes->pod_count; i++) {
		const struct berm_pod_change *change = &changes->pod[i];

		if (add_pod(h, change->before) ||
		    add_pod(h, berm_model_pod(h->c->model, change->ns, change->name)))
			return -ENOMEM;
	}
	return 0;
}

static bool is_changed_pod(const struct heir *h, const struct berm_local_endpoint *ep)
{
	const struct berm_model_changes *changes = h->c->changes;

	for (size_t i = 0; i < changes->pod_count; i++)
		if (!strcmp(changes->pod[i].name, ep->pod) && !strcmp(changes->pod[i].ns, ep->ns))
			return true;
	return false;
}

static bool are_endpoints_changed(const struct heir *h)
{
	if (h->c->changes->endpoints)
		return true;
	for (size_t i = 0; i < h->c->model->endpoint_count; i++)
		if (is_changed_pod(h, &h->c->model->endpoints[i]))
			return true;
	return false;
}

static bool is_endpoints(const struct compile_owner *owner)
{
	return owner->kind == CLAIM_NEWCOMER || owner->kind == CLAIM_ENDPOINT ||
	       owner->kind == CLAIM_LEAVER;
}

/* All of them, and what their pods say of themselves. */
static int add_endpoints(struct heir *h)
{
	const struct berm_model *m = h->c->model;

	for (size_t i = 0; i < h->from->owner.count; i++)
		if (is_endpoints(&h->from->owner.item[i]) &&
		    berm_compile_few_add(&h->only, &h->from->owner.item[i].addr, 1))
			return -ENOMEM;
	for (size_t i = 0; i < h->from->endpoint_count; i++)
		if (add_pod(h, h->from->endpoint[i].pod))
			return -ENOMEM;
	for (size_t i = 0; i < m->endpoint_count; i++)
		if (berm_compile_few_add(&h->only, m->endpoints[i].addr,
					 m->endpoints[i].addr_count) ||
		    add_pod(h, h->c->endpoint[i].pod))
			return -ENOMEM;
	return 0;
}

struct addrs {
	const struct berm_addr *item;
	size_t count;
};

/* Those that are in one list only; both are sorted. */
static int add_differing(struct heir *h, struct addrs a, struct addrs b)
{
	size_t i = 0, k = 0;

	while (i < a.count || k < b.count) {
		int rc = i == a.count ? 1 : k == b.count ? -1 : cmp_addr(&a.item[i], &b.item[k]);

		if (rc && berm_compile_few_add(&h->only, rc < 0 ? &a.item[i] : &b.item[k], 1))
			return -ENOMEM;
		i += rc <= 0;
		k += rc >= 0;
	}
	return 0;
}

#define ADD_DIFFERING(h, list)                                                                     \
	add_differing(h, (struct addrs){ (h)->from->list.item, (h)->from->list.count },            \
		      (struct addrs){ (h)->c->list.item, (h)->c->list.count })

static bool is_dns(const struct compiler *c, const struct compile_essential *e)
{
	return e->port.name == c->essential_name[ESSENTIAL_DNS];
}

static bool has_same_essentials(const struct heir *h)
{
	const struct compiler *c = h->c, *from = h->from;

	for (size_t i = 0; i < c->essential.count && i < from->essential.count; i++)
		if (cmp_addr(&c->essential.item[i].addr, &from->essential.item[i].addr) ||
		    c->essential.item[i].port.at != from->essential.item[i].port.at ||
		    is_dns(c, &c->essential.item[i]) != is_dns(from, &from->essential.item[i]))
			return false;
	return c->essential.count == from->essential.count;
}

static int add_all_essentials(struct heir *h, const struct compiler *c)
{
	for (size_t i = 0; i < c->essential.count; i++)
		if (berm_compile_few_add(&h->only, &c->essential.item[i].addr, 1))
			return -ENOMEM;
	return 0;
}

static int add_services(struct heir *h)
{
	const struct berm_model *m = h->c->model;

	if (ADD_DIFFERING(h, front_addr) || ADD_DIFFERING(h, backend_addr) ||
	    ADD_DIFFERING(h, front.cluster) || ADD_DIFFERING(h, front.external))
		return -ENOMEM;
	if (!has_same_essentials(h) &&
	    (add_all_essentials(h, h->from) || add_all_essentials(h, h->c)))
		return -ENOMEM;
	for (int v4 = 0; v4 < 2; v4++)
		if (berm_compile_has_node_places(h->c, v4) !=
			    berm_compile_has_node_places(h->from, v4) &&
		    berm_compile_few_add(&h->only, m->node_addrs, m->node_addr_count))
			return -ENOMEM;
	return 0;
}

static int find_claims(struct heir *h)
{
	int rc = add_changed_pods(h);

	if (!rc && are_endpoints_changed(h))
		rc = add_endpoints(h);
	if (!rc)
		rc = add_services(h);
	if (rc)
		return rc;
	berm_compile_few_sort(&h->only);
	return berm_compile_claims(h->c, &h->only, &h->claim);
}

/* ---- numbers of before ---------------------------------------------------------------------------------------------- */

static uint32_t *no_numbers(size_t count)
{
	uint32_t *out = reallocarray(NULL, count + 1, sizeof(*out));

	if (out)
		memset(out, 0xff, (count + 1) * sizeof(*out));
	return out;
}

/* What has the same bytes now; NONE. */
static uint32_t same_key(const struct berm_intern *from, uint32_t number,
			 const struct berm_intern *to)
{
	uint32_t now;
	size_t size;
	const void *key = berm_intern_key(from, number, &size);

	return berm_intern_find(to, key, size, &now) ? now : NONE;
}

/* The numbers of a list that are still there, sorted. */
static int translate(const uint32_t *list, size_t count, const uint32_t *to,
		     struct berm_numbers *out)
{
	out->count = 0;
	for (size_t i = 0; i < count; i++)
		if (to[list[i]] != NONE && array_push(out, to[list[i]]))
			return -ENOMEM;
	berm_numbers_unique(out);
	return 0;
}

static int find_group(struct heir *h, uint32_t group, const uint32_t *term, bool *is_known)
{
	struct berm_numbers key = { 0 };
	size_t size;
	const uint32_t *list = berm_intern_key(&h->from->group_key, group, &size);
	int rc = translate(list, size / sizeof(*list), term, &key);

	if (!rc && key.count == size / sizeof(*list) &&
	    berm_intern_find(&h->c->group_key, key.item, size, &h->group[group]))
		is_known[h->group[group]] = true;
	array_free(&key);
	return rc;
}

static void list_new_groups(struct heir *h, const bool *is_known)
{
	for (size_t i = 0; i < h->c->group.count; i++) {
		const struct compile_group *g = &h->c->group.item[i];

		h->is_new_group[i] = !is_known[i];
		for (size_t t = 0; !is_known[i] && t < g->term_count; t++)
			h->is_new[g->term[t]] = true;
	}
}

static int find_groups(struct heir *h)
{
	const struct compiler *from = h->from;
	auto_free uint32_t *term = no_numbers(from->term_key.count);
	auto_free bool *is_known = calloc(h->c->group.count + 1, sizeof(*is_known));
	int rc = 0;

	h->group = no_numbers(from->group_key.count);
	h->is_new = calloc(h->c->term.count + 1, sizeof(*h->is_new));
	h->is_new_group = calloc(h->c->group.count + 1, sizeof(*h->is_new_group));
	if (!term || !is_known || !h->group || !h->is_new || !h->is_new_group)
		return -ENOMEM;
	for (uint32_t i = 0; i < from->term_key.count; i++)
		term[i] = same_key(&from->term_key, i, &h->c->term_key);
	for (uint32_t i = 0; !rc && i < from->group_key.count; i++)
		rc = find_group(h, i, term, is_known);
	if (!rc)
		list_new_groups(h, is_known);
	return rc;
}

static int set_now(struct heir *h, uint32_t set, uint32_t *ret)
{
	struct berm_numbers key = { 0 };
	size_t size;
	const uint32_t *list = berm_intern_key(&h->from->sets, set, &size);
	int rc = 0;

	if (h->set[set] == NONE) {
		rc = translate(list, size / sizeof(*list), h->group, &key);
		if (!rc)
			rc = berm_compile_set(h->c, &key, &h->set[set]);
		array_free(&key);
	}
	*ret = h->set[set];
	return rc;
}

static int ports_now(struct heir *h, uint32_t ports, uint32_t *ret)
{
	struct berm_numbers key = { 0 };
	size_t size;
	const uint32_t *word = berm_intern_key(&h->from->ports, ports, &size);
	int rc = 0;

	for (size_t i = 0; !rc && i < size / sizeof(*word); i++)
		rc = array_push(&key, i % 2 ? word[i] : h->port[word[i]]);
	if (!rc)
		rc = berm_intern(&h->c->ports, key.item ? (void *)key.item : "", size, ret);
	array_free(&key);
	return rc < 0 ? rc : 0;
}

/* ---- who is in a new group -------------------------------------------------------------------------------------------- */

/* number, more -> a number for both. 1: it is new. */
static int pair(struct heir *h, uint32_t number, uint32_t more, uint32_t *ret)
{
	const uint32_t key[] = { number, more };

	return berm_intern(&h->sum, key, sizeof(key), ret);
}

/* The set, and a group beside. */
static int add_group(struct heir *h, uint32_t *set, uint32_t group)
{
	struct berm_numbers groups = { 0 };
	const uint32_t *list;
	uint32_t number;
	size_t size;
	int rc = pair(h, *set, group | 1u << 31, &number);

	if (rc > 0) {
		list = berm_intern_key(&h->c->sets, *set, &size);
		rc = array_push(&groups, group);
		for (size_t i = 0; !rc && i < size / sizeof(*list); i++)
			rc = array_push(&groups, list[i]);
		berm_numbers_unique(&groups);
		if (!rc)
			rc = berm_compile_set(h->c, &groups, &number);
		if (!rc)
			rc = array_push(&h->sum_of, number);
		array_free(&groups);
		number = (uint32_t)h->sum.count - 1;
	}
	if (rc >= 0)
		*set = h->sum_of.item[number];
	return rc < 0 ? rc : 0;
}

/* is_pods: its pod is in it, not the address alone. Of whom nothing was known, nothing can be gained. */
static int gain(struct heir *h, size_t owner, const struct compile_term *t, bool is_pods)
{
	if (h->from->owner.item[owner].cls == NONE) {
		h->again[owner] |= is_pods;
		return 0;
	}
	for (size_t i = 0; i < t->group.count; i++) {
		uint32_t group = t->group.item[i];

		if (!h->is_new_group[group])
			continue;
		if (add_group(h, &h->gain[owner], group) ||
		    (is_pods && add_group(h, &h->own[owner], group)))
			return -ENOMEM;
	}
	return 0;
}

static size_t first_owner(const struct heir *h, const struct berm_addr *addr)
{
	size_t low = 0, high = h->from->owner.count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (cmp_addr(&h->from->owner.item[mid].addr, addr) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* t: what has found the pod; NULL: look at it again. */
static int touch(struct heir *h, const struct berm_pod *pod, const struct berm_addr *addr,
		 size_t count, const struct compile_term *t)
{
	for (size_t i = 0; i < count; i++) {
		size_t at = first_owner(h, &addr[i]);

		if (at == h->from->owner.count || h->from->owner.item[at].pod != pod ||
		    cmp_addr(&h->from->owner.item[at].addr, &addr[i]))
			continue;
		if (!t)
			h->again[at] = true;
		else if (gain(h, at, t, true))
			return -ENOMEM;
	}
	return 0;
}

static int touch_pod(struct heir *h, const struct berm_pod *pod, const struct compile_term *t)
{
	const struct berm_model *m = h->c->model;

	if (touch(h, pod, pod->addr, pod_addrs(pod), t))
		return -ENOMEM;
	for (size_t i = 0; i < m->endpoint_count; i++)
		if (h->c->endpoint[i].pod == pod &&
		    touch(h, pod, m->endpoints[i].addr, m->endpoints[i].addr_count, t))
			return -ENOMEM;
	return 0;
}

static size_t first_pod(const struct berm_model *m, const char *ns)
{
	size_t low = 0, high = m->pod_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(m->pods[mid]->ns, ns) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Pods stand by namespace. */
static int meet_pods(struct heir *h, const struct compile_term *t)
{
	const struct berm_model *m = h->c->model;
	const char *only = t->ns == NONE ? NULL : h->c->ns.item[t->ns].name;
	uint32_t ns = NONE;

	for (size_t i = only ? first_pod(m, only) : 0; i < m->pod_count; i++) {
		const struct berm_pod *pod = m->pods[i];

		if (only && strcmp(pod->ns, only) != 0)
			break;
		h->looked_at++;
		if ((ns == NONE || strcmp(pod->ns, m->pods[i - 1]->ns) != 0) &&
		    berm_compile_ns(h->c, pod->ns, &ns))
			return -ENOMEM; /* cannot be: all are known */
		if (berm_compile_term_matches(h->c, t, pod, ns) && touch_pod(h, pod, t))
			return -ENOMEM;
	}
	return 0;
}

static bool is_excepted(const struct berm_peer_term *peer, const struct berm_addr *addr)
{
	for (size_t i = 0; i < peer->except_count; i++)
		if (berm_cidr_contains(&peer->except[i], addr))
			return true;
	return false;
}

static int meet_addresses(struct heir *h, const struct compile_term *t)
{
	const struct berm_cidr *block = &t->peer->block;

	for (size_t i = first_owner(h, &block->addr); i < h->from->owner.count; i++) {
		const struct berm_addr *addr = &h->from->owner.item[i].addr;

		if (h->looked_at >= h->limit ||
		    !berm_addr_same_prefix(addr, &block->addr, block->bits))
			break;
		h->looked_at += 1 + t->peer->except_count;
		if (berm_cidr_contains(block, addr) && !is_excepted(t->peer, addr) && gain(h, i, t, false))
			return -ENOMEM;
	}
	return 0;
}

/* 1, 0: better look at everybody; -ENOMEM. */
static int meet_new_groups(struct heir *h)
{
	int rc = 0;

	h->limit = TOO_MUCH * (h->c->model->pod_count + 1);
	for (size_t i = 0; !rc && i < h->c->term.count && h->looked_at < h->limit; i++) {
		const struct compile_term *t = &h->c->term.item[i];

		if (h->is_new[i])
			rc = t->peer->is_block ? meet_addresses(h, t) : meet_pods(h, t);
	}
	return rc ? rc : h->looked_at < h->limit;
}

/* ---- who has a named port that somebody seeks now, or did ---------------------------------------------------------------- */

static bool is_sought(const struct compiler *c, const uint8_t *key, size_t size)
{
	uint32_t number;

	return berm_intern_find(&c->port_name, key, size, &number) &&
	       c->port_name_sought.item[number];
}

struct name {
	const uint8_t *key; /* plane, then the name */
};

struct names {
	struct name *item;
	size_t count, room;
};

static int list_sought(const struct compiler *a, const struct compiler *b, struct names *out)
{
	for (uint32_t i = 0; i < a->port_name.count; i++) {
		size_t size;
		struct name name = { berm_intern_key(&a->port_name, i, &size) };

		if (a->port_name_sought.item[i] && !is_sought(b, name.key, size) &&
		    array_push(out, name))
			return -ENOMEM;
	}
	return 0;
}

static bool has_port(const struct berm_pod *pod, const struct names *names)
{
	for (size_t i = 0; i < pod->port_count; i++)
		for (size_t n = 0; pod->port[i].name && n < names->count; n++)
			if (pod->port[i].plane == names->item[n].key[0] &&
			    !strcmp(pod->port[i].name, (const char *)names->item[n].key + 1))
				return true;
	return false;
}

static int find_ports(struct heir *h)
{
	const struct berm_model *m = h->c->model;
	struct names names = { 0 };
	int rc = 0;

	h->port = no_numbers(h->from->port_name.count);
	if (!h->port || list_sought(h->c, h->from, &names) || list_sought(h->from, h->c, &names))
		rc = -ENOMEM;
	for (uint32_t i = 0; !rc && i < h->from->port_name.count; i++)
		h->port[i] = same_key(&h->from->port_name, i, &h->c->port_name);
	for (size_t i = 0; !rc && names.count && i < m->pod_count; i++)
		if (has_port(m->pods[i], &names))
			rc = touch_pod(h, m->pods[i], NULL);
	array_free(&names);
	return rc;
}

/* ---- all addresses in order ------------------------------------------------------------------------------------------------ */

static int copy_set(const struct heir *h, uint32_t set, struct berm_numbers *out)
{
	size_t size;
	const uint32_t *list = berm_intern_key(&h->c->sets, set, &size);

	for (size_t i = 0; i < size / sizeof(*list); i++)
		if (array_push(out, list[i]))
			return -ENOMEM;
	berm_numbers_unique(out);
	return 0;
}

/* WORLD if nothing is left of it. */
static int make_class(struct heir *h, const struct compile_class *before, uint32_t gain,
		      uint32_t *ret)
{
	struct compile_class cls = { .mark = before->mark };
	struct berm_numbers groups = { 0 };
	int rc = translate(before->group, before->group_count, h->group, &groups);

	if (!rc)
		rc = copy_set(h, gain, &groups);
	if (!rc)
		rc = ports_now(h, before->ports, &cls.ports);
	cls.group = groups.item;
	cls.group_count = groups.count;
	if (!rc && !cls.mark && !cls.ports && !cls.group_count)
		*ret = WORLD;
	else if (!rc)
		rc = berm_compile_class(h->c, &cls, true, ret);
	array_free(&groups);
	return rc;
}

static int class_now(struct heir *h, uint32_t before, uint32_t gain, uint32_t *ret)
{
	const struct compile_class *cls = &h->from->cls.item[before];
	uint32_t number;
	int rc = 0;

	if (!gain) {
		if (h->cls[before] == NONE)
			rc = make_class(h, cls, gain, &h->cls[before]);
		*ret = h->cls[before];
		return rc;
	}
	rc = pair(h, before, gain, &number);
	if (rc > 0) {
		rc = make_class(h, cls, gain, ret);
		return rc || array_push(&h->sum_of, *ret) ? -ENOMEM : 0;
	}
	if (!rc)
		*ret = h->sum_of.item[number];
	return rc;
}

static int pod_set_now(struct heir *h, size_t before, uint32_t *ret)
{
	size_t size;
	const uint32_t *list = berm_intern_key(&h->c->sets, h->own[before], &size);
	int rc = set_now(h, h->from->owner.item[before].set, ret);

	for (size_t i = 0; !rc && i < size / sizeof(*list); i++)
		rc = add_group(h, ret, list[i]);
	return rc;
}

/* His class, by what it was. */
static int keep(struct heir *h, struct compile_owner *owner, size_t before)
{
	struct compile_peer peer = { .addr = owner->addr,
				     .flags = (uint32_t)owner->flags << OWNER_FLAGS };
	bool has_entry;

	if (owner->cls == NONE)
		return 0;
	if (pod_set_now(h, before, &owner->set))
		return -ENOMEM;
	has_entry = owner->always || owner->set;
	if (!has_entry && !owner->is_backend) {
		owner->cls = NONE;
		return 0;
	}
	if (class_now(h, owner->cls, h->gain[before], &peer.cls))
		return -ENOMEM;
	if (peer.cls == WORLD)
		peer.cls = berm_compile_is_v4(&owner->addr) ? CLASS_WORLD4 : CLASS_WORLD6;
	owner->cls = peer.cls;
	return berm_compile_know(h->c, &peer, has_entry);
}

static int look_again(struct heir *h, struct compile_owner owner)
{
	struct compile_about about;

	owner.set = 0;
	owner.cls = NONE;
	owner.flags = 0;
	owner.always = owner.is_backend = false;
	if (berm_compile_about_claim(h->c, owner.kind, owner.pod, &about) ||
	    array_push(&h->before, NONE) || array_push(&h->c->owner, owner))
		return -ENOMEM;
	return berm_compile_batch_add(h->c, &h->batch, &about);
}

static int list_owner(struct heir *h, size_t before)
{
	const struct compile_owner *owner = &h->from->owner.item[before];

	if (berm_compile_few_has(&h->only, &owner->addr))
		return 0; /* his claim says more */
	if (h->again[before])
		return look_again(h, *owner);
	return array_push(&h->before, (uint32_t)before) || array_push(&h->c->owner, *owner)
		       ? -ENOMEM
		       : 0;
}

/* Those of before and those that claim now, in order of their addresses. */
static int list_owners(struct heir *h)
{
	const struct compiler *from = h->from;
	size_t i = 0, k = 0;
	int rc = 0;

	while (!rc && (i < from->owner.count || k < h->claim.count)) {
		bool is_claim = k < h->claim.count &&
				(i == from->owner.count ||
				 cmp_addr(&h->claim.item[k].addr, &from->owner.item[i].addr) <= 0);

		if (is_claim)
			rc = look_again(h, berm_compile_owner(h->c, &h->claim.item[k++]));
		else
			rc = list_owner(h, i++);
	}
	return rc;
}

/* Classes are met in the order in which looking at everybody would meet them. */
static int place_owners(struct heir *h)
{
	struct berm_numbers groups = { 0 };
	size_t k = 0;
	int rc = h->batch.hit.count
			 ? berm_compile_blocks(h->c, h->batch.hit.item, h->batch.hit.count)
			 : 0;

	for (size_t i = 0; !rc && i < h->c->owner.count; i++) {
		if (h->before.item[i] != NONE)
			rc = keep(h, &h->c->owner.item[i], h->before.item[i]);
		else if (k < h->batch.owner.count && h->batch.owner.item[k] == i)
			rc = berm_compile_batch_place(h->c, &h->batch, k++, &groups);
	}
	array_free(&groups);
	return rc;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------------- */

static int heir_begin(struct heir *h)
{
	const struct compiler *from = h->from;

	h->set = no_numbers(from->sets.count);
	h->cls = no_numbers(from->cls.count);
	h->again = calloc(from->owner.count + 1, sizeof(*h->again));
	h->gain = calloc(from->owner.count + 1, sizeof(*h->gain));
	h->own = calloc(from->owner.count + 1, sizeof(*h->own));
	return h->set && h->cls && h->again && h->gain && h->own ? 0 : -ENOMEM;
}

static void heir_end(struct heir *h)
{
	free(h->group);
	free(h->set);
	free(h->port);
	free(h->cls);
	free(h->is_new);
	free(h->is_new_group);
	free(h->again);
	free(h->gain);
	free(h->own);
	array_free(&h->only);
	array_free(&h->sum_of);
	array_free(&h->claim);
	array_free(&h->before);
	berm_intern_free(&h->sum);
	berm_compile_batch_free(&h->batch);
}

static int inherit(struct heir *h)
{
	int rc = heir_begin(h);

	if (!rc)
		rc = find_groups(h);
	if (!rc)
		rc = find_ports(h);
	if (!rc)
		rc = meet_new_groups(h);
	if (rc <= 0)
		return rc;
	rc = find_claims(h);
	if (!rc)
		rc = list_owners(h);
	if (!rc)
		rc = place_owners(h);
	return rc ? rc : 1;
}

int berm_compile_inherit(struct compiler *c)
{
	struct heir h = { .c = c, .from = c->from };
	int rc;

	if (berm_compile_has_services(c) != berm_compile_has_services(c->from))
		return 0; /* addresses that nothing was known of are looked at too */
	rc = inherit(&h);
	heir_end(&h);
	return rc;
}
