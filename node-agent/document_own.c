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
		berm_field_error(field, "put the document into a ConfigMap of that namespace",
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
