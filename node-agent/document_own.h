/* SPDX-License-Identifier: Apache-2.0 */
/* document_own.h - what the companion kinds of SegmentationPolicy have in common: where they live and who they are. */
#ifndef BERM_DOCUMENT_OWN_H
#define BERM_DOCUMENT_OWN_H

#include "chunk.h"

/* Where a document of ours lives: its ConfigMap's namespace; a plain one says it, or belongs to the system. */
const char *berm_document_home(const struct berm_chunk *chunk, const struct berm_field *root);

struct berm_own { /* being read; first in the reader's own struct, so that the members below can be rows of its table */
	struct berm_chunk *chunk;
	const char *ns;
	const char *name; /* the tree's; NULL: missing or no name */
};

void berm_read_own_version(const struct berm_field *field, void *own);
void berm_read_own_name(const struct berm_field *field, void *own);
void berm_read_own_namespace(const struct berm_field *field, void *own);
void berm_read_own_text(const struct berm_field *field, void *own); /* for people */

/* A document of that kind, to read the rest into; NULL: no memory, which is noted. */
struct berm_policy *berm_own_begin(struct berm_chunk *chunk, const struct berm_field *root,
				   enum berm_policy_kind kind, struct berm_own *own);
/* As an object, broken if anything was wrong. Takes the document. */
void berm_own_end(const struct berm_own *own, const struct berm_field *root,
		  struct berm_policy *document);

#define BERM_OWN_MEMBERS                                                                           \
	{ "kind", BERM_MEMBER_IGNORED, NULL, NULL },                                               \
		{ "apiVersion", BERM_MEMBER_OPTIONAL, berm_read_own_version, NULL },               \
		{ "name", BERM_MEMBER_REQUIRED, berm_read_own_name, NULL },                        \
		{ "namespace", BERM_MEMBER_OPTIONAL, berm_read_own_namespace, NULL },              \
		{ "description", BERM_MEMBER_OPTIONAL, berm_read_own_text, NULL },                 \
		{ "metadata", BERM_MEMBER_UNSUPPORTED, NULL,                                       \
		  "write name at the top of the document" },                                       \
	{                                                                                          \
		"spec", BERM_MEMBER_UNSUPPORTED, NULL,                                             \
			"write its fields at the top of the document"                              \
	}

#endif /* BERM_DOCUMENT_OWN_H */
