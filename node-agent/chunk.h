/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk.h - one document on its way from text to an object; what document*.c share. A file is split at lines
 * that start with ---, each part is a chunk of its own and breaks alone.
 */
#ifndef BERM_CHUNK_H
#define BERM_CHUNK_H

#include <stdbool.h>
#include <stddef.h>

#include "document.h"
#include "field.h"

#define BERM_POLICY_LABEL "berm.dev/policy"

/* Text that holds documents: a file, or one key of a ConfigMap. */
struct berm_sheet {
	const char *source;  /* file */
	const char *key;     /* struct berm_object */
	const char *kind;    /* of an object of an API server; NULL: a file */
	const char *carrier; /* namespace of the ConfigMap; NULL: a plain file */
	bool is_json;
	bool is_kept; /* it was good once: from the last-good store */
	struct berm_place place;
	struct berm_objects *out;
	struct berm_problems *problems;
	bool no_memory;
};

struct berm_chunk {
	struct berm_sheet *sheet;
	const char *text;
	size_t size;
	bool is_item; /* of a List: its text is a part of the chunk's */
	struct berm_reader reader;
};

/* Every document of a text into sheet->out and sheet->problems. */
void berm_sheet_read(struct berm_sheet *sheet, const char *text, size_t size);

/* One kind each; root is the document's mapping. */
void berm_take_namespace(struct berm_chunk *chunk, const struct berm_field *root);
void berm_take_pod(struct berm_chunk *chunk, const struct berm_field *root);
void berm_take_service(struct berm_chunk *chunk, const struct berm_field *root);
void berm_take_slice(struct berm_chunk *chunk, const struct berm_field *root);
void berm_take_service_cidr(struct berm_chunk *chunk, const struct berm_field *root);
void berm_take_configmap(struct berm_chunk *chunk, const struct berm_field *root);
void berm_take_network(struct berm_chunk *chunk, const struct berm_field *root);
void berm_take_cluster_network(struct berm_chunk *chunk, const struct berm_field *root);
void berm_take_mapping(struct berm_chunk *chunk, const struct berm_field *root);
void berm_take_ipset(struct berm_chunk *chunk, const struct berm_field *root);
void berm_take_agent_config(struct berm_chunk *chunk, const struct berm_field *root);
void berm_take_segmentation(struct berm_chunk *chunk, const struct berm_field *root);

/* What ObjectMeta says; texts belong to the tree. */
struct berm_meta {
	const char *name; /* NULL: missing or no name: a problem was added */
	const char *ns;	  /* NULL: not given */
	const char *uid;
	struct berm_field self, labels, annotations; /* node NULL: absent */
};

/* is_strict: unknown fields are errors. is_dns_label: the name is a namespace's. */
void berm_read_meta(const struct berm_field *root, bool is_strict, bool is_dns_label,
		    struct berm_meta *out);
/* A text among the annotations or labels, else NULL; adds no problem. */
const char *berm_meta_text(const struct berm_field *map, const char *key);

/* "Kind ns/name" in front of every problem from now on. */
void berm_chunk_title(struct berm_chunk *chunk, const char *kind, const char *ns, const char *name);

/*
 * What came of a chunk. add copies ns and name and takes the object in *object, also on failure.
 * unreadable takes the isolation (may be NULL); key NULL: the chunk's own.
 */
void berm_chunk_add(struct berm_chunk *chunk, const struct berm_object *object);
void berm_chunk_unreadable(struct berm_chunk *chunk, const char *key,
			   struct berm_policy *isolation);
/*
 * A policy that was read completely: as an object if the reader saw no error, as a broken one otherwise.
 * Takes policy. is_isolation: subject and isolate are good, whatever else is wrong.
 */
void berm_chunk_add_policy(struct berm_chunk *chunk, const struct berm_field *root,
			   struct berm_policy *policy, bool is_isolation);

#endif /* BERM_CHUNK_H */
