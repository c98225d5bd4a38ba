/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree.h - one YAML or JSON document to a cJSON tree whose every node knows its position (yaml.c, json.c).
 * (Not called yaml.h: that would hide libyaml's own header.)
 *
 * YAML is a strict subset: no anchors, aliases, tags, merge keys, directives, duplicate or complex keys; UTF-8
 * without NUL and without exotic line breaks; bounded depth and number of nodes. Plain scalars get the
 * types that Kubernetes gives them (sigs.k8s.io/yaml: YAML 1.1 words, so `yes` and `on` are booleans);
 * quoted ones stay text.
 */
#ifndef BERM_TREE_H
#define BERM_TREE_H

#include <cjson/cJSON.h>
#include <stddef.h>

#include "err.h"
#include "place.h"

#define BERM_TREE_MAX_DEPTH 64
#define BERM_TREE_MAX_NODES 250000

struct berm_tree_fault {
	struct berm_pos at;
	struct berm_pos see; /* where the trouble began, or the first of two; line 0: nowhere */
};

/*
 * *ret: the tree, for cJSON_Delete(); NULL if there is nothing but comments. On failure *fault says where.
 * -EINVAL: not the subset; -E2BIG: too deep or too many nodes; -ENOMEM.
 * Numbers, booleans and nulls keep what the user wrote in valuestring.
 */
int berm_yaml_parse(const char *text, size_t size, cJSON **ret, struct berm_tree_fault *fault,
		    struct berm_err *err) must_check;

/* The same for JSON text (RFC 8259): refuses what is YAML but not JSON, and duplicate keys. */
int berm_json_parse(const char *text, size_t size, cJSON **ret, struct berm_tree_fault *fault,
		    struct berm_err *err) must_check;

/* These take nodes of such trees only, not of trees that cJSON made. */
struct berm_pos berm_node_pos(const cJSON *node);
struct berm_pos berm_node_key_pos(const cJSON *node); /* of its key; of list items: the item */
/* Where the content of a text node stands. source: what was parsed, still in memory; outer: its place. */
struct berm_place berm_node_place(const cJSON *node, const char *source, size_t size,
				  struct berm_place *outer);

#endif /* BERM_TREE_H */
