/* SPDX-License-Identifier: Apache-2.0 */
/* document_configmap.c - a ConfigMap with the label berm.dev/policy carries documents. Reads none of them. */
#include <stdlib.h>
#include <string.h>

#include "chunk.h"
#include "cleanup.h"
#include "document_guard.h"
#include "tree.h"

struct carrier { /* being read */
	struct berm_chunk *chunk;
	struct berm_meta meta;
	char *key; /* "file#configmap/ns/name" */
};

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), n = strlen(end);

	return len >= n && !strcmp(text + len - n, end);
}

static bool is_document_key(const char *key)
{
	return ends_with(key, ".yaml") || ends_with(key, ".yml") || ends_with(key, ".json");
}

/* What users call a key of a ConfigMap that was not in a file. NULL: no memory. */
static char *name_key(const struct berm_field *field, const char *source)
{
	char *name;

	return asprintf(&name, "%s key %s", source, field->node->string) < 0 ? NULL : name;
}

/* One key: its text holds documents, and their positions are those of the file around it. */
static void read_text(const struct berm_field *field, const struct carrier *c, const char *key)
{
	struct berm_sheet *outer = c->chunk->sheet;
	struct berm_sheet sheet = {
		.source = outer->source,
		.key = key,
		.carrier = c->meta.ns,
		.is_json = ends_with(field->node->string, ".json"),
		.out = outer->out,
		.problems = outer->problems,
	};

	auto_free char *source = NULL;

	if (outer->kind) {
		sheet.place = (struct berm_place)BERM_PLACE_FILE;
		source = name_key(field, outer->source);
		sheet.source = source;
	} else {
		sheet.place = berm_node_place(field->node, c->chunk->text, c->chunk->size,
					      &c->chunk->reader.place);
	}
	if (sheet.source)
		berm_sheet_read(&sheet, field->node->valuestring, strlen(field->node->valuestring));
	outer->no_memory |= sheet.no_memory || !sheet.source;
}

static void read_key(const struct berm_field *field, const struct carrier *c)
{
	auto_free char *key = NULL;

	if (!is_document_key(field->node->string)) {
		berm_field_warn(field, "let it end in .yaml, .yml or .json",
				"this key is not read");
		return;
	}
	if (asprintf(&key, "%s/%s", c->key, field->node->string) < 0) {
		key = NULL;
		field->reader->no_memory = true;
		return;
	}
	if (cJSON_IsString(field->node)) {
		read_text(field, c, key);
		return;
	}
	berm_field_error(field, "put a | behind the key and indent the document below it",
			 "want a text that holds documents");
	berm_chunk_unreadable(c->chunk, key, NULL);
}

static void read_data(const struct berm_field *field, void *into)
{
	struct berm_field item;

	if (!berm_field_is_map(field))
		return;
	berm_field_each(item, field) read_key(&item, into);
}

static void read_binary(const struct berm_field *field, void *into)
{
	struct berm_field item;

	(void)into;
	if (!berm_field_is_map(field))
		return;
	berm_field_each(item, field) if (is_document_key(item.node->string))
		berm_field_error(&item, "put it into data", "documents in binaryData are not read");
}

static void skip(const struct berm_field *field, void *into)
{
	(void)field, (void)into;
}

/* ---- is it one of ours? --------------------------------------------------------------------------- */

static void warn_unlabelled(const struct berm_field *root)
{
	struct berm_field data, item;

	if (!berm_field_get(root, "data", &data) || !cJSON_IsObject(data.node))
		return;
	berm_field_each(item, &data) if (cJSON_IsString(item.node) &&
					 is_document_key(item.node->string) &&
					 strstr(item.node->valuestring, "kind: SegmentationPolicy"))
	{
		berm_field_warn(root, "add metadata.labels {" BERM_POLICY_LABEL ": v1}",
				"it holds a SegmentationPolicy that is not read, for lack of the label");
		return;
	}
}

static void check_label(const struct berm_meta *meta)
{
	struct berm_field label;

	if (berm_field_get(&meta->labels, BERM_POLICY_LABEL, &label) &&
	    (!cJSON_IsString(label.node) || strcmp(label.node->valuestring, "v1")))
		berm_field_error(&label, "write v1", "this version of documents is not known");
}

/* The key of everything in it. */
static bool name_carrier(struct carrier *c)
{
	struct berm_chunk *chunk = c->chunk;

	if (!c->meta.ns)
		c->meta.ns = "default";
	if (asprintf(&c->key, "%s#configmap/%s/%s", chunk->sheet->source, c->meta.ns,
		     c->meta.name) >= 0)
		return true;
	c->key = NULL;
	chunk->sheet->no_memory = true;
	return false;
}

/* While the ConfigMap itself is at fault, nobody knows what it no longer says. */
static void read_carrier(struct carrier *c, const struct berm_field *root)
{
	static const struct berm_member table[] = {
		{ "apiVersion", BERM_MEMBER_IGNORED, NULL, NULL },
		{ "kind", BERM_MEMBER_IGNORED, NULL, NULL },
		{ "metadata", BERM_MEMBER_OPTIONAL, skip, NULL }, /* read before */
		{ "data", BERM_MEMBER_OPTIONAL, read_data, NULL },
		{ "binaryData", BERM_MEMBER_OPTIONAL, read_binary, NULL },
		{ "immutable", BERM_MEMBER_IGNORED, NULL, NULL },
	};
	struct berm_chunk *chunk = c->chunk;
	size_t had = chunk->sheet->out->unreadable_count;
	const char *outer = chunk->sheet->carrier;

	chunk->sheet->carrier = c->meta.ns; /* what is unreadable in here is this namespace's */
	check_label(&c->meta);
	if (berm_take_guard(chunk, root, &c->meta, c->key))
		(void)berm_field_members(root, table, ARRAY_SIZE(table),
					 c); /* errors are counted */
	if (chunk->reader.errors && chunk->sheet->out->unreadable_count == had)
		berm_chunk_unreadable(chunk, c->key, NULL);
	chunk->sheet->carrier = outer;
}

void berm_take_configmap(struct berm_chunk *chunk, const struct berm_field *root)
{
	struct carrier c = { .chunk = chunk };
	const char *outer = chunk->sheet->carrier;

	berm_chunk_title(chunk, "ConfigMap", NULL, NULL);
	chunk->reader.null_is_absent = true;
	berm_read_meta(root, true, false, &c.meta);
	if (!c.meta.labels.node ||
	    !cJSON_GetObjectItemCaseSensitive(c.meta.labels.node, BERM_POLICY_LABEL)) {
		warn_unlabelled(root);
		return;
	}
	if (!c.meta.name) {
		chunk->sheet->carrier = c.meta.ns ? c.meta.ns : "default";
		berm_chunk_unreadable(chunk, NULL, NULL);
		chunk->sheet->carrier = outer;
		return;
	}
	if (!name_carrier(&c))
		return;
	berm_chunk_title(chunk, "ConfigMap", c.meta.ns, c.meta.name);
	read_carrier(&c, root);
	free(c.key);
}
