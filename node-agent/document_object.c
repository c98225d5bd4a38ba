/* SPDX-License-Identifier: Apache-2.0 */
/* document_object.c - reads ObjectMeta. Knows no kind. */
#include <string.h>

#include "chunk.h"
#include "cleanup.h"
#include "document_selector.h"

struct meta { /* being read */
	struct berm_meta *out;
	bool is_dns_label;
};

static void read_name(const struct berm_field *field, void *into)
{
	struct meta *m = into;
	const char *name = berm_field_text(field);

	if (!name)
		return;
	if (m->is_dns_label ? berm_is_dns_label(name) : berm_is_dns_subdomain(name))
		m->out->name = name;
	else
		berm_field_error(field,
				 m->is_dns_label ? "at most 63 of a-z, 0-9 and '-'"
						 : "at most 253 of a-z, 0-9, '-' and '.'",
				 "'%.80s' is not a name", name);
}

static void read_namespace(const struct berm_field *field, void *into)
{
	const char *ns = berm_field_text(field);

	if (!ns || !ns[0])
		return;
	if (berm_is_dns_label(ns))
		((struct meta *)into)->out->ns = ns;
	else
		berm_field_error(field, "at most 63 of a-z, 0-9 and '-'",
				 "'%.80s' is not a namespace's name", ns);
}

static void read_uid(const struct berm_field *field, void *into)
{
	((struct meta *)into)->out->uid = berm_field_text(field);
}

static void read_labels(const struct berm_field *field, void *into)
{
	if (berm_field_is_map(field))
		((struct meta *)into)->out->labels = *field;
}

static void read_annotations(const struct berm_field *field, void *into)
{
	if (berm_field_is_map(field))
		((struct meta *)into)->out->annotations = *field;
}

/* The first READ_ROWS are all that a lenient reader looks at. */
#define READ_ROWS 5
static const struct berm_member meta_table[] = {
	{ "name", BERM_MEMBER_OPTIONAL, read_name, NULL },
	{ "namespace", BERM_MEMBER_OPTIONAL, read_namespace, NULL },
	{ "labels", BERM_MEMBER_OPTIONAL, read_labels, NULL },
	{ "annotations", BERM_MEMBER_OPTIONAL, read_annotations, NULL },
	{ "uid", BERM_MEMBER_OPTIONAL, read_uid, NULL },
	{ "creationTimestamp", BERM_MEMBER_IGNORED, NULL, NULL },
	{ "deletionGracePeriodSeconds", BERM_MEMBER_IGNORED, NULL, NULL },
	{ "deletionTimestamp", BERM_MEMBER_IGNORED, NULL, NULL },
	{ "finalizers", BERM_MEMBER_IGNORED, NULL, NULL },
	{ "generateName", BERM_MEMBER_IGNORED, NULL, NULL },
	{ "generation", BERM_MEMBER_IGNORED, NULL, NULL },
	{ "managedFields", BERM_MEMBER_IGNORED, NULL, NULL },
	{ "ownerReferences", BERM_MEMBER_IGNORED, NULL, NULL },
	{ "resourceVersion", BERM_MEMBER_IGNORED, NULL, NULL },
	{ "selfLink", BERM_MEMBER_IGNORED, NULL, NULL },
};

static void read_known(const struct berm_field *self, struct meta *m)
{
	struct berm_field member;

	for (size_t i = 0; i < READ_ROWS; i++)
		if (berm_field_get(self, meta_table[i].name, &member))
			meta_table[i].read(&member, m);
}

void berm_read_meta(const struct berm_field *root, bool is_strict, bool is_dns_label,
		    struct berm_meta *out)
{
	struct meta m = { .out = out, .is_dns_label = is_dns_label };
	bool had_null_habit = root->reader->null_is_absent;
	struct berm_field name;

	*out = (struct berm_meta){ 0 };
	if (!berm_field_get(root, "metadata", &out->self)) {
		berm_field_error(root, "add metadata: {name: ...}",
				 "the field 'metadata' is missing");
		return;
	}
	root->reader->null_is_absent = true;
	if (is_strict)
		(void)berm_field_members(&out->self, meta_table, ARRAY_SIZE(meta_table), &m);
	else if (berm_field_is_map(&out->self))
		read_known(&out->self, &m);
	root->reader->null_is_absent = had_null_habit;
	if (!out->name && cJSON_IsObject(out->self.node) &&
	    !berm_field_get(&out->self, "name", &name)) /* null is none, too */
		berm_field_error(&out->self, NULL, "the field 'name' is missing");
}

const char *berm_meta_text(const struct berm_field *map, const char *key)
{
	struct berm_field item;

	if (!map->node || !berm_field_get(map, key, &item) || !cJSON_IsString(item.node))
		return NULL;
	return item.node->valuestring;
}
