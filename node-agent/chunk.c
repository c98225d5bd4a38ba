/* SPDX-License-Identifier: Apache-2.0 */
/* chunk.c - what comes of a document: objects, broken objects, unreadable chunks. Reads no field. */
#include "chunk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

void berm_chunk_title(struct berm_chunk *chunk, const char *kind, const char *ns, const char *name)
{
	snprintf(chunk->reader.document, sizeof(chunk->reader.document), "%.40s%s%.63s%s%.253s",
		 kind, ns || name ? " " : "", ns ? ns : "", ns && name ? "/" : "",
		 name ? name : "");
}

/* Room for one more item; grows at powers of two. */
static void *grown(void *item, size_t count, size_t size)
{
	if (count & (count - 1))
		return item;
	return reallocarray(item, count ? 2 * count : 1, size);
}

void berm_object_clear(struct berm_object *object)
{
	berm_namespace_free(object->namespace);
	berm_pod_free(object->pod);
	berm_policy_free(object->policy);
	berm_policy_free(object->isolation);
	berm_service_free(object->service);
	berm_slice_free(object->slice);
	berm_service_cidr_free(object->service_cidr);
	free(object->ns);
	free(object->name);
	free(object->key);
	free(object->carrier);
	free(object->text);
}

static bool copy_to(char **out, const char *text)
{
	*out = text ? strdup(text) : NULL;
	return !text || *out;
}

void berm_chunk_add(struct berm_chunk *chunk, const struct berm_object *object)
{
	struct berm_objects *out = chunk->sheet->out;
	struct berm_object copy = *object, *item;
	bool ok = copy_to(&copy.ns, object->ns);

	ok &= copy_to(&copy.name, object->name);
	ok &= copy_to(&copy.key, chunk->sheet->key);
	ok &= copy_to(&copy.carrier, chunk->sheet->carrier);
	item = ok ? grown(out->item, out->count, sizeof(*item)) : NULL;
	if (!item) {
		chunk->sheet->no_memory = true;
		berm_object_clear(&copy);
		return;
	}
	out->item = item;
	out->item[out->count++] = copy;
}

void berm_unreadable_clear(struct berm_unreadable *u)
{
	free(u->key);
	free(u->ns);
	berm_policy_free(u->isolation);
}

/* Documents of the system's namespace are nobody's in particular: no namespace can be held for them. */
static const char *tenant_of(const struct berm_sheet *sheet)
{
	return sheet->carrier && strcmp(sheet->carrier, BERM_SYSTEM_NAMESPACE) ? sheet->carrier
									       : NULL;
}

void berm_chunk_unreadable(struct berm_chunk *chunk, const char *key, struct berm_policy *isolation)
{
	struct berm_objects *out = chunk->sheet->out;
	struct berm_unreadable u = { .isolation = isolation }, *item;
	bool ok = copy_to(&u.key, key ? key : chunk->sheet->key);

	ok &= copy_to(&u.ns, tenant_of(chunk->sheet));
	item = ok ? grown(out->unreadable, out->unreadable_count, sizeof(*item)) : NULL;
	if (!item) {
		chunk->sheet->no_memory = true;
		berm_unreadable_clear(&u);
		return;
	}
	out->unreadable = item;
	out->unreadable[out->unreadable_count++] = u;
}

/* The document as written; an item of a List is printed again. */
static char *text_of(struct berm_chunk *chunk, const struct berm_field *root)
{
	char *text = chunk->is_item ? cJSON_PrintUnformatted(root->node)
				    : strndup(chunk->text, chunk->size);

	chunk->sheet->no_memory |= !text;
	return text;
}

/* Subject and isolate, nothing that allows, at any time: a mistake may be in the schedule. */
static void strip(struct berm_policy *policy)
{
	berm_policy_cut_rules(policy, 0);
	berm_policy_cut_flows(policy);
	berm_policy_cut_expectations(policy);
	berm_schedule_clear(&policy->schedule);
	if (policy->disabled)
		policy->isolate = 0;
	policy->digest = berm_policy_digest(policy);
}

/* The model wants a name; no document can have this one. */
static void add_nameless(struct berm_chunk *chunk, struct berm_policy *isolation)
{
	if (isolation && asprintf(&isolation->name, "(unnamed, line %d)", isolation->line) < 0) {
		isolation->name = NULL;
		chunk->sheet->no_memory = true;
	}
	berm_chunk_unreadable(chunk, NULL, isolation);
}

void berm_chunk_add_policy(struct berm_chunk *chunk, const struct berm_field *root,
			   struct berm_policy *policy, bool is_isolation)
{
	struct berm_object object = {
		.kind = BERM_OBJ_POLICY,
		.policy_kind = policy->kind,
		.ns = policy->ns,
		.name = policy->name,
		.broken = chunk->reader.errors > 0,
		.line = policy->line,
	};

	if (!object.broken) {
		policy->digest = berm_policy_digest(policy);
		object.policy = policy;
		object.text = text_of(chunk, root);
		object.place = chunk->reader.place;
		object.has_place = !chunk->is_item;
		berm_chunk_add(chunk, &object);
		return;
	}
	if (is_isolation) {
		strip(policy);
		object.isolation = policy;
	}
	if (policy->name)
		berm_chunk_add(chunk, &object);
	else
		add_nameless(chunk, object.isolation);
	if (!is_isolation)
		berm_policy_free(policy);
}

void berm_objects_clear(struct berm_objects *objects)
{
	for (size_t i = 0; i < objects->count; i++)
		berm_object_clear(&objects->item[i]);
	for (size_t i = 0; i < objects->unreadable_count; i++)
		berm_unreadable_clear(&objects->unreadable[i]);
	for (size_t i = 0; i < objects->guard_count; i++)
		berm_guard_clear(&objects->guard[i]);
	free(objects->item);
	free(objects->unreadable);
	free(objects->guard);
	*objects = (struct berm_objects){ 0 };
}
