/* SPDX-License-Identifier: Apache-2.0 */
/* apply_class.c - classes: equal digest, same id. Knows nothing of who is in them. */
#include "applied.h"

static int class_reserve(struct berm_apply *a, uint32_t cls)
{
	uint32_t room = a->cls_room ? a->cls_room : 256;
	void *grown;

	if (cls >= CLASS_LIMIT)
		return -ENOSPC;
	while (room <= cls)
		room *= 2;
	if (room == a->cls_room)
		return 0;
	grown = reallocarray(a->cls, room, sizeof(*a->cls));
	if (!grown)
		return -ENOMEM;
	a->cls = grown;
	memset(a->cls + a->cls_room, 0, (room - a->cls_room) * sizeof(*a->cls));
	a->cls_room = room;
	return 0;
}

int berm_applied_class_name(struct berm_apply *a, uint32_t cls, const struct berm_digest *id)
{
	int rc = class_reserve(a, cls);

	if (rc)
		return rc;
	a->cls[cls] = (struct applied_class){ *id, CLASS_NAMED };
	berm_ids_mark(&a->cls_ids, cls, 1);
	return 0;
}

int berm_applied_class_mark(struct berm_apply *a, uint32_t cls)
{
	int rc = class_reserve(a, cls);

	if (rc)
		return rc;
	if (a->cls[cls].state == CLASS_FREE)
		a->cls[cls].state = CLASS_NAMELESS;
	berm_ids_mark(&a->cls_ids, cls, 1);
	return 0;
}

/* A nameless one. */
uint32_t berm_gen_class_new(struct generation *g)
{
	uint32_t cls = berm_ids_take(&g->a->cls_ids, 1);

	if (cls == NONE || berm_applied_class_mark(g->a, cls))
		return NONE;
	return cls;
}

static int add_new(struct generation *g, size_t i)
{
	uint32_t cls = i < 2 ? (i ? BERM_CLASS_WORLD6 : BERM_CLASS_WORLD4) : berm_gen_class_new(g);
	int rc;

	if (cls == NONE)
		return berm_refuse(g->err, -ENOSPC,
				   "%zu classes of addresses do not fit (room for %u)",
				   g->plan->class_count, CLASS_LIMIT);
	rc = berm_applied_class_name(g->a, cls, &g->plan->cls[i].id);
	if (rc)
		return rc;
	g->cls[i] = cls;
	g->is_new_cls[i] = i >= 2;
	return i < 2 ? 0 : array_push(&g->new_cls, cls);
}

/* Digest -> place in ids, of the classes that are there. */
static int index_classes(const struct berm_apply *a, struct berm_intern *index,
			 struct berm_numbers *ids)
{
	uint32_t number;
	int rc = 0;

	for (uint32_t cls = BERM_CLASS_FIRST; !rc && cls < a->cls_room; cls++) {
		if (a->cls[cls].state != CLASS_NAMED)
			continue;
		rc = berm_intern(index, &a->cls[cls].id, sizeof(a->cls[cls].id), &number);
		if (rc == 1) /* a second one of the same digest has no use, and goes */
			rc = array_push(ids, cls);
	}
	return rc;
}

static int assign(struct generation *g, const struct berm_intern *index,
		  const struct berm_numbers *ids)
{
	uint32_t number;
	int rc = 0;

	for (size_t i = 0; !rc && i < g->plan->class_count; i++) {
		if (i >= 2 &&
		    berm_intern_find(index, &g->plan->cls[i].id, sizeof(g->plan->cls[i].id),
				     &number) &&
		    number < ids->count)
			g->cls[i] = ids->item[number];
		else
			rc = add_new(g, i);
	}
	return rc;
}

/* The inverse of g->cls. */
static int assign_back(struct generation *g)
{
	g->plan_cls_count = g->a->cls_room;
	g->plan_cls = malloc(g->plan_cls_count * sizeof(*g->plan_cls));
	if (!g->plan_cls)
		return -ENOMEM;
	memset(g->plan_cls, 0xff, g->plan_cls_count * sizeof(*g->plan_cls));
	for (size_t i = 0; i < g->plan->class_count; i++)
		g->plan_cls[g->cls[i]] = (uint32_t)i;
	return 0;
}

int berm_gen_classes(struct generation *g)
{
	struct berm_intern index = { 0 };
	struct berm_numbers ids = { 0 };
	int rc;

	g->cls = calloc(g->plan->class_count, sizeof(*g->cls));
	g->is_new_cls = calloc(g->plan->class_count, sizeof(*g->is_new_cls));
	rc = g->cls && g->is_new_cls ? index_classes(g->a, &index, &ids) : -ENOMEM;
	if (!rc)
		rc = assign(g, &index, &ids);
	if (!rc)
		rc = assign_back(g);
	berm_intern_free(&index);
	array_free(&ids);
	return rc;
}
