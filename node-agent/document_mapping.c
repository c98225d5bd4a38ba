/* SPDX-License-Identifier: Apache-2.0 */
/* document_mapping.c - reads a LabelMapping: where role, app, env and loc come from. Labels no pod. */
#include <string.h>

#include "cleanup.h"
#include "document_own.h"
#include "document_selector.h"

struct reading {
	struct berm_own own;
	struct berm_policy *document;
};

static void read_key(const struct berm_field *field, struct berm_label_source *out, bool of_pod)
{
	const char *key = berm_field_text(field);

	if (key && !berm_is_label_key(key))
		berm_field_error(field, NULL, "'%.80s' is not a label's name", key);
	else if (key && out->key)
		berm_field_error(field, "make two items of it",
				 "a label is the pod's or the namespace's");
	else if (key)
		*out = (struct berm_label_source){ of_pod, berm_reader_copy(field->reader, key) };
}

static void read_pod(const struct berm_field *field, void *into)
{
	read_key(field, into, true);
}

static void read_ns(const struct berm_field *field, void *into)
{
	read_key(field, into, false);
}

static void read_source(const struct berm_field *field, struct berm_label_source *out)
{
	static const struct berm_member table[] = {
		{ "pod", BERM_MEMBER_OPTIONAL, read_pod, NULL },
		{ "namespace", BERM_MEMBER_OPTIONAL, read_ns, NULL },
	};

	if (berm_field_members(field, table, ARRAY_SIZE(table), out) && !field->node->child)
		berm_field_error(field, "write {pod: LABEL} or {namespace: LABEL}",
				 "an empty item says nothing");
}

static void read_sources(const struct berm_field *field, void *into, enum berm_dimension d)
{
	struct berm_mapping_of *of = &((struct reading *)into)->document->mapping.of[d];
	struct berm_field item;

	if (!berm_field_is_list(field, BERM_MAX_LABEL_SOURCES))
		return;
	of->is_given = true;
	berm_field_each(item, field) read_source(&item, &of->source[of->count++]);
}

static void read_role(const struct berm_field *field, void *into)
{
	read_sources(field, into, BERM_ROLE);
}

static void read_app(const struct berm_field *field, void *into)
{
	read_sources(field, into, BERM_APP);
}

static void read_env(const struct berm_field *field, void *into)
{
	read_sources(field, into, BERM_ENV);
}

static void read_loc(const struct berm_field *field, void *into)
{
	read_sources(field, into, BERM_LOC);
}

void berm_take_mapping(struct berm_chunk *chunk, const struct berm_field *root)
{
	static const struct berm_member table[] = {
		BERM_OWN_MEMBERS,
		{ "role", BERM_MEMBER_OPTIONAL, read_role, NULL },
		{ "app", BERM_MEMBER_OPTIONAL, read_app, NULL },
		{ "env", BERM_MEMBER_OPTIONAL, read_env, NULL },
		{ "loc", BERM_MEMBER_OPTIONAL, read_loc, NULL },
	};
	struct reading r;

	r.document = berm_own_begin(chunk, root, BERM_KIND_MAPPING, &r.own);
	if (!r.document)
		return;
	if (strcmp(r.own.ns, BERM_SYSTEM_NAMESPACE) != 0)
		berm_field_problem(root, BERM_CODE_TENANCY,
				   "put it into a ConfigMap of " BERM_SYSTEM_NAMESPACE,
				   "a LabelMapping is not for namespace %s: it says who everybody is",
				   r.own.ns);
	(void)berm_field_members(root, table, ARRAY_SIZE(table), &r); /* errors are counted */
	berm_own_end(&r.own, root, r.document);
}
