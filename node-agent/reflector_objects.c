/* SPDX-License-Identifier: Apache-2.0 */
/* reflector_objects.c - a hash of objects by name. An object that is known in this very version is not read again. */
#include "reflector_objects.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

struct identity { /* of an object; borrowed */
	struct berm_piece name, ns, uid, version;
};

static bool identify(const struct berm_piece *object, struct identity *id)
{
	struct berm_piece metadata;

	*id = (struct identity){ 0 };
	if (!berm_piece_member(object, "metadata", &metadata) ||
	    !berm_piece_text(&metadata, "name", &id->name) || !id->name.size)
		return false;
	(void)berm_piece_text(&metadata, "namespace", &id->ns); /* not every kind has one */
	(void)berm_piece_text(&metadata, "uid", &id->uid);
	(void)berm_piece_text(&metadata, "resourceVersion", &id->version);
	return true;
}

/* FNV-1a. */
static uint64_t mix(uint64_t sum, const struct berm_piece *piece)
{
	for (size_t i = 0; i < piece->size; i++)
		sum = (sum ^ (uint8_t)piece->text[i]) * 0x100000001b3u;
	return (sum ^ '/') * 0x100000001b3u;
}

static uint64_t stamp_of(const struct identity *id)
{
	if (!id->version.size)
		return 0;
	return mix(mix(0xcbf29ce484222325u, &id->uid), &id->version) | 1;
}

static char *format_name(const struct berm_objects_seen *seen, const struct identity *id)
{
	char *name;

	return asprintf(&name, "%s %.*s%s%.*s", seen->resource->word, (int)id->ns.size,
			id->ns.size ? id->ns.text : "", id->ns.size ? "/" : "", (int)id->name.size,
			id->name.text) < 0
		       ? NULL
		       : name;
}

static struct berm_object_seen *add(struct berm_objects_seen *seen, const char *name)
{
	struct berm_object_seen *object = calloc(1, sizeof(*object) + strlen(name) + 1);

	if (!object)
		return NULL;
	memcpy(object->name, name, strlen(name) + 1);
	object->source.name = object->name;
	object->source.kind = seen->resource->kind;
	HASH_ADD_STR(seen->all, name, object);
	if (!object->hh.tbl) {
		free(object);
		return NULL;
	}
	return object;
}

static void drop(struct berm_objects_seen *seen, struct berm_object_seen *object)
{
	HASH_DEL(seen->all, object);
	if (seen->resource->kind)
		berm_intake_drop(seen->intake, &object->source);
	free(object->uid);
	free(object);
	seen->has_changed = true;
}

/* What the field selector of pods asks for. */
static bool is_wanted(const struct berm_piece *pod)
{
	struct berm_piece part, value;

	if (berm_piece_member(pod, "spec", &part) &&
	    berm_piece_member(&part, "hostNetwork", &value) && berm_piece_is(&value, "true"))
		return false;
	return !berm_piece_member(pod, "status", &part) ||
	       !berm_piece_text(&part, "phase", &value) ||
	       (!berm_piece_is(&value, "Succeeded") && !berm_piece_is(&value, "Failed"));
}

/* Items of a list do not say their kind, and the last-good store wants a document that does. */
static int load(struct berm_objects_seen *seen, struct berm_object_seen *object,
		const struct berm_piece *text, struct berm_err *err)
{
	struct berm_piece kind;
	auto_free char *whole = NULL;
	const char *brace = memchr(text->text, '{', text->size);
	int size;

	if (!brace || berm_piece_member(text, "kind", &kind))
		return berm_intake_load(seen->intake, &object->source, text->text, text->size, err);
	size = asprintf(&whole, "{\"kind\":\"%s\",\"apiVersion\":\"%s\",%.*s", seen->resource->kind,
			seen->resource->version, (int)(text->text + text->size - brace - 1),
			brace + 1);
	if (size < 0) {
		whole = NULL;
		return berm_fail(err, -ENOMEM, "load %s", object->name);
	}
	return berm_intake_load(seen->intake, &object->source, whole, (size_t)size, err);
}

static int refuse_nameless(const struct berm_objects_seen *seen, struct berm_err *err)
{
	return berm_refuse(err, -EBADMSG, "what the server sends for %s is no object with a name",
			   seen->resource->plural);
}

static int find(struct berm_objects_seen *seen, const struct identity *id, char **ret_name,
		struct berm_object_seen **ret, struct berm_err *err)
{
	char *name = format_name(seen, id);

	if (!name)
		return berm_fail(err, -ENOMEM, "take an object of %s", seen->resource->plural);
	HASH_FIND_STR(seen->all, name, *ret);
	*ret_name = name;
	return 0;
}

/* Without memory it is not known, which costs a reference in an Event. */
static void keep_uid(struct berm_object_seen *object, const struct berm_piece *uid)
{
	if (object->uid && berm_piece_is(uid, object->uid))
		return;
	free(object->uid);
	object->uid = uid->size ? strndup(uid->text, uid->size) : NULL;
}

int berm_objects_take(struct berm_objects_seen *seen, const struct berm_piece *text,
		      struct berm_err *err)
{
	struct berm_object_seen *object;
	auto_free char *name = NULL;
	struct identity id;
	uint64_t stamp;
	int rc;

	if (!identify(text, &id))
		return refuse_nameless(seen, err);
	rc = find(seen, &id, &name, &object, err);
	if (rc)
		return rc;
	if (seen->must_filter && !is_wanted(text)) {
		if (object)
			drop(seen, object);
		return 0;
	}
	if (!object)
		object = add(seen, name);
	if (!object)
		return berm_fail(err, -ENOMEM, "take %s", name);
	object->round = seen->round;
	if (seen->resource->keeps_uid)
		keep_uid(object, &id.uid);
	stamp = stamp_of(&id);
	if (stamp && stamp == object->stamp)
		return 0;
	rc = seen->resource->kind ? load(seen, object, text, err) : 0;
	object->stamp = rc ? 0 : stamp;
	seen->has_changed = true;
	return rc;
}

int berm_objects_remove(struct berm_objects_seen *seen, const struct berm_piece *text,
			struct berm_err *err)
{
	struct berm_object_seen *object;
	auto_free char *name = NULL;
	struct identity id;
	int rc;

	if (!identify(text, &id))
		return refuse_nameless(seen, err);
	rc = find(seen, &id, &name, &object, err);
	if (!rc && object)
		drop(seen, object);
	return rc;
}

void berm_objects_sweep(struct berm_objects_seen *seen)
{
	struct berm_object_seen *object, *tmp;

	HASH_ITER(hh, seen->all, object, tmp)
		if (object->round != seen->round)
			drop(seen, object);
}

void berm_objects_seen_clear(struct berm_objects_seen *seen)
{
	struct berm_object_seen *object, *tmp;

	HASH_ITER(hh, seen->all, object, tmp) {
		HASH_DEL(seen->all, object);
		berm_source_clear(&object->source);
		free(object->uid);
		free(object);
	}
}
