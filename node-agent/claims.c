/* SPDX-License-Identifier: Apache-2.0 */
/* claims.c - a hash of objects, each with the few files that define it. */
#include "claims.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

static int format_key(const struct berm_object_id *id, char *out, size_t size)
{
	return snprintf(out, size, "%d/%d/%s/%s", id->kind, id->policy_kind, id->ns, id->name);
}

/* The strings of the id stand behind the key in the same piece of memory. */
static struct berm_claimed *object_new(const struct berm_object_id *id)
{
	size_t key = (size_t)format_key(id, NULL, 0) + 1, ns = strlen(id->ns) + 1,
	       name = strlen(id->name) + 1;
	struct berm_claimed *object = calloc(1, sizeof(*object) + key + ns + name);

	if (!object)
		return NULL;
	format_key(id, object->key, key);
	memcpy(object->key + key, id->ns, ns);
	memcpy(object->key + key + ns, id->name, name);
	object->id = *id;
	object->id.ns = object->key + key;
	object->id.name = object->key + key + ns;
	return object;
}

struct berm_claimed *berm_claims_find(const struct berm_claims *claims,
				      const struct berm_object_id *id)
{
	struct berm_claimed *object;
	auto_free char *key = malloc((size_t)format_key(id, NULL, 0) + 1);

	if (!key)
		return NULL;
	format_key(id, key, (size_t)format_key(id, NULL, 0) + 1);
	HASH_FIND_STR(claims->all, key, object);
	return object;
}

/* The object of that identity, made if absent. NULL: no memory. */
static struct berm_claimed *object_get(struct berm_claims *claims, const struct berm_object_id *id)
{
	struct berm_claimed *fresh = object_new(id), *object;

	if (!fresh)
		return NULL;
	HASH_FIND_STR(claims->all, fresh->key, object);
	if (object) {
		free(fresh);
		return object;
	}
	HASH_ADD_STR(claims->all, key, fresh);
	if (!fresh->hh.tbl) {
		free(fresh);
		return NULL;
	}
	return fresh;
}

static size_t position(const struct berm_claimed *object, const char *file)
{
	size_t i;

	for (i = 0; i < object->count; i++)
		if (strcmp(object->claim[i].file, file) >= 0)
			break;
	return i;
}

const struct berm_claim *berm_claims_of(const struct berm_claimed *object, const char *file)
{
	size_t i = position(object, file);

	return i < object->count && !strcmp(object->claim[i].file, file) ? &object->claim[i] : NULL;
}

int berm_claims_put(struct berm_claims *claims, const struct berm_object_id *id,
		    const struct berm_claim *claim, struct berm_claimed **ret)
{
	struct berm_claimed *object = object_get(claims, id);
	struct berm_claim *grown;
	size_t i;

	if (!object)
		return -ENOMEM;
	i = position(object, claim->file);
	if (!berm_claims_of(object, claim->file)) {
		grown = reallocarray(object->claim, object->count + 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		object->claim = grown;
		memmove(grown + i + 1, grown + i, (object->count - i) * sizeof(*grown));
		object->count++;
	}
	object->claim[i] = *claim;
	*ret = object;
	return 0;
}

void berm_claims_remove(struct berm_claimed *object, const char *file)
{
	size_t i = position(object, file);

	if (!berm_claims_of(object, file))
		return;
	object->count--;
	memmove(object->claim + i, object->claim + i + 1,
		(object->count - i) * sizeof(*object->claim));
}

void berm_claims_forget(struct berm_claims *claims, struct berm_claimed *object)
{
	HASH_DEL(claims->all, object);
	free(object->claim);
	free(object);
}

const struct berm_claim *berm_claims_owner(const struct berm_claimed *object)
{
	size_t i;

	for (i = 0; i < object->count; i++)
		if (berm_standing_has_policy(object->claim[i].standing))
			return &object->claim[i];
	return NULL;
}

void berm_claims_clear(struct berm_claims *claims)
{
	struct berm_claimed *object, *tmp;

	HASH_ITER(hh, claims->all, object, tmp)
		berm_claims_forget(claims, object);
}

const char *berm_object_kind_name(const struct berm_object_id *id)
{
	static const char *const kind[] = {
		[BERM_OBJ_NAMESPACE] = "Namespace",	 [BERM_OBJ_POD] = "Pod",
		[BERM_OBJ_SERVICE] = "Service",		 [BERM_OBJ_SLICE] = "EndpointSlice",
		[BERM_OBJ_SERVICE_CIDR] = "ServiceCIDR",
	};

	if (id->kind == BERM_OBJ_POLICY)
		return berm_policy_kind_name(id->policy_kind);
	return kind[id->kind];
}
