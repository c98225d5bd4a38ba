// SPDX-License-Identifier: Apache-2.0
/*
 * diff_front.c - Services and hostPorts: may a group of pods use them, before and after? The answer is what the pods' own egress
 * says of all backends together; what the backends' ingress says is an edge of theirs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "differ.h"
#include "frontend.h"

/* ---- which there are ---------------------------------------------------------------------------------------- */

static int cmp_place(const struct berm_addr *addr, uint32_t at, const struct berm_addr *other,
		     uint32_t other_at)
{
	int rc = memcmp(addr, other, sizeof(*addr));

	return rc ? rc : (at > other_at) - (at < other_at);
}

static uint32_t class_in(const struct berm_plan *plan, const struct berm_frontend *f)
{
	size_t low = 0, high = plan->frontend_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int rc = cmp_place(&f->addr, f->at, &plan->frontend[mid].addr,
				   plan->frontend[mid].at);

		if (!rc)
			return plan->frontend[mid].cls;
		if (rc < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return DIFF_NONE;
}

static struct diff_front *find(struct berm_differ *d, const struct berm_frontend *f, size_t count)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int rc =
			cmp_place(&f->addr, f->at, &d->front.item[mid].addr, d->front.item[mid].at);

		if (!rc)
			return &d->front.item[mid];
		if (rc < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

/* Names are copied: the objects may be replaced before they are told. */
static int take(struct berm_differ *d, const struct berm_frontend *f, enum diff_side side,
		size_t known)
{
	struct diff_front fresh = {
		.addr = f->addr, .at = f->at, .cls = { DIFF_NONE, DIFF_NONE }, .is_pod = !f->service
	};
	struct diff_front *old = find(d, f, known);

	if (old) {
		old->cls[side] = class_in(d->trial[side].plan, f);
		return 0;
	}
	if (f->service)
		snprintf(fresh.name, sizeof(fresh.name), "%s/%s", f->service->ns, f->service->name);
	else if (f->pod)
		snprintf(fresh.name, sizeof(fresh.name), "%s/%s", f->pod->ns, f->pod->name);
	fresh.cls[side] = class_in(d->trial[side].plan, f);
	return array_push(&d->front, fresh);
}

static int by_place(const void *a, const void *b)
{
	const struct diff_front *x = a, *y = b;

	return cmp_place(&x->addr, x->at, &y->addr, y->at);
}

int diff_fronts_take(struct berm_differ *d, const struct berm_model *model, enum diff_side side)
{
	struct berm_frontends f = { .item = { 0 } };
	size_t known = d->front.count;
	int rc = berm_frontends_make(model, &f);

	for (size_t i = 0; !rc && i < f.item.count; i++)
		rc = take(d, &f.item.item[i], side, known);
	if (d->front.count)
		qsort(d->front.item, d->front.count, sizeof(*d->front.item), by_place);
	berm_frontends_free(&f);
	return rc;
}

/* ---- who may use them ------------------------------------------------------------------------------------------ */

static bool is_of_node(const struct diff_front *f)
{
	return !memcmp(&f->addr, &BERM_FRONTEND_NODE4, sizeof(f->addr)) ||
	       !memcmp(&f->addr, &BERM_FRONTEND_NODE6, sizeof(f->addr));
}

static struct diff_ends ends_of(const struct berm_differ *d, const struct diff_group *g,
				const struct diff_front *f)
{
	const struct berm_addr *addr = is_of_node(f) ? &d->node[diff_family_of(&f->addr)]
						     : &f->addr;
	struct diff_ends ends;

	for (int side = 0; side < DIFF_SIDES; side++)
		for (int word = 0; word < DIFF_WORDS; word++) {
			uint32_t set = g->as.set[side][word][BERM_EGRESS];

			ends.set[side][word][0] = set;
			ends.cls[side][word][0] =
				f->cls[side] != DIFF_NONE
					? f->cls[side]
					: berm_trial_class(d->trial[side].plan, set, addr);
			ends.set[side][word][1] = DIFF_NONE; /* the backends' own business */
			ends.cls[side][word][1] = 0;
		}
	return ends;
}

static cJSON *front_json(const struct diff_front *f)
{
	cJSON *object = cJSON_CreateObject();
	char addr[BERM_ADDR_STRLEN] = "node";

	if (!is_of_node(f))
		berm_addr_format(&f->addr, addr);
	cJSON_AddStringToObject(object, f->is_pod ? "host_port_of" : "service", f->name);
	cJSON_AddStringToObject(object, "address", addr);
	return object;
}

/* Those of one address and owner are one peer: its ports are one list. */
static bool is_one_peer(const struct diff_front *a, const struct diff_front *b)
{
	return !memcmp(&a->addr, &b->addr, sizeof(a->addr)) && a->is_pod == b->is_pod &&
	       !strcmp(a->name, b->name);
}

static int compare_peer(struct berm_differ *d, const struct diff_group *g,
			const struct diff_front *f, size_t count)
{
	enum diff_family family = diff_family_of(&f->addr);
	struct diff_changes changes = { .families = 0 };
	int rc = 0;

	for (size_t i = 0; !rc && i < count; i++) {
		struct diff_ends ends;

		if (!g->is_judged_anew[BERM_EGRESS] && diff_is_same_class(d, f[i].cls))
			continue;
		ends = ends_of(d, g, &f[i]);
		rc = diff_ports(d, &ends, (uint32_t[]){ f[i].at, f[i].at }, &changes, family);
	}
	if (!rc && changes.list.count)
		diff_tell(d, &changes, diff_pods_json(d, g), front_json(f), NULL);
	array_free(&changes.list);
	return rc;
}

int diff_fronts_compare(struct berm_differ *d)
{
	size_t steps = 0, last;
	int rc = 0;

	for (size_t i = 0; i < d->group.count; i++) {
		const struct diff_group *g = &d->group.item[i];

		for (size_t k = 0; !rc && k < d->front.count; k = last) {
			const struct diff_front *f = &d->front.item[k];

			for (last = k + 1; last < d->front.count && is_one_peer(f, f + last - k);)
				last++;
			if (!(g->as.families & 1u << diff_family_of(&f->addr)))
				continue;
			if (++steps > DIFF_PAIRS) {
				d->is_cut = true;
				return rc;
			}
			rc = compare_peer(d, g, f, last - k);
		}
	}
	return rc;
}
