/* SPDX-License-Identifier: Apache-2.0 */
/* document_own.c - reads the members that every companion kind has. Knows none of the kinds. */
#include "document_own.h"

#include <string.h>

#include "document_selector.h"

const char *berm_document_home(const struct berm_chunk *chunk, const struct berm_field *root)
{
	const cJSON *ns = cJSON_GetObjectItemCaseSensitive(root->node, "namespace");

	if (chunk->sheet->carrier)
		return chunk->sheet->carrier;
	return cJSON_IsString(ns) && berm_is_dns_label(ns->valuestring) ? ns->valuestring
									: BERM_SYSTEM_NAMESPACE;
}

void berm_read_own_version(const struct berm_field *field, void *own)
{
	const char *text = berm_field_text(field);

	(void)own;
	if (text && strcmp(text, "berm.dev/v1"))
		berm_field_error(field, "write berm.dev/v1, or leave it out",
				 "'%.60s' is not a known version", text);
}

void berm_read_own_name(const struct berm_field *field, void *own)
{
	const char *name = berm_field_text(field);

	if (name && !berm_is_dns_subdomain(name))
		berm_field_error(field, "at most 253 of a-z, 0-9, '-' and '.'",
				 "'%.80s' is not a name", name);
	else if (name)
		((struct berm_own *)own)->name = name;
}

void berm_read_own_namespace(const struct berm_field *field, void *own)
{
	const struct berm_own *o = own;
	const char *ns = berm_field_text(field);

	if (!ns || !strcmp(ns, o->ns))
		return;
	if (o->chunk->sheet->carrier)
		berm_field_problem(field, BERM_CODE_TENANCY,
				   "put the document into a ConfigMap of that namespace",
				   "a document belongs to the namespace of its ConfigMap, here '%s', "
				   "not to '%.63s'",
				   o->ns, ns);
	else
		berm_field_error(field, "at most 63 of a-z, 0-9 and '-'",
				 "'%.80s' is not a namespace's name", ns);
}

void berm_read_own_text(const struct berm_field *field, void *own)
{
	(void)own;
	(void)berm_field_text(field); /* a text it must be; errors are counted */
}

struct berm_policy *berm_own_begin(struct berm_chunk *chunk, const struct berm_field *root,
				   enum berm_policy_kind kind, struct berm_own *own)
{
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(root->node, "name");
	struct berm_policy *document = berm_reader_alloc(&chunk->reader, 1, sizeof(*document));

	if (!document)
		return NULL;
	document->kind = kind;
	document->line = berm_field_line(root);
	document->source = berm_reader_copy(&chunk->reader, chunk->sheet->source);
	document->ns = berm_reader_copy(&chunk->reader, berm_document_home(chunk, root));
	if (!document->ns) {
		berm_policy_free(document);
		return NULL;
	}
	*own = (struct berm_own){ .chunk = chunk, .ns = document->ns };
	berm_chunk_title(chunk, berm_policy_kind_name(kind), document->ns,
			 cJSON_IsString(name) ? name->valuestring : NULL);
	return document;
}

void berm_own_end(const struct berm_own *own, const struct berm_field *root,
		  struct berm_policy *document)
{
	if (own->name)
		document->name = berm_reader_copy(&own->chunk->reader, own->name);
	if (!document->name && !own->chunk->reader.errors) {
		berm_policy_free(document); /* no memory */
		return;
	}
	berm_chunk_add_policy(own->chunk, root, document, false);
}
