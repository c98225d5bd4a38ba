/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_yaml.c - any bytes are a tree with positions inside the text, or an error with one. First byte: how. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const char *text;
	size_t size;
	int lines;
};

static void expect(int cond)
{
	if (!cond)
		__builtin_trap();
}

static int count_lines(const char *text, size_t size)
{
	int n = 1;

	for (size_t i = 0; i < size; i++)
		n += text[i] == '\n';
	return n;
}

static void check_pos(const struct input *in, struct berm_pos pos)
{
	expect(pos.line >= 1 && pos.line <= in->lines + 1);
	expect(pos.column >= 1 && (size_t)pos.column <= in->size + 1);
}

static void check_place(const struct input *in, const cJSON *node)
{
	struct berm_place file = BERM_PLACE_FILE;
	struct berm_place place = berm_node_place(node, in->text, in->size, &file);
	int lines = count_lines(node->valuestring, strlen(node->valuestring));

	for (int line = 1; line <= lines && line < 50; line++)
		check_pos(in, berm_place_map(&place, (struct berm_pos){ line, 1 }));
	check_pos(in, berm_place_map(&place, (struct berm_pos){ 1, 1 }));
}

/* Depth is bounded by the parser. */
static void check_tree(const struct input *in, const cJSON *node, int depth)
{
	const cJSON *child;

	expect(depth <= BERM_TREE_MAX_DEPTH + 1);
	check_pos(in, berm_node_pos(node));
	check_pos(in, berm_node_key_pos(node));
	if (cJSON_IsString(node))
		check_place(in, node);
	cJSON_ArrayForEach(child, node) {
		expect(!cJSON_IsObject(node) || child->string != NULL);
		check_tree(in, child, depth + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct berm_tree_fault fault = { 0 };
	struct berm_err err = { 0 };
	struct input in = { .size = size ? size - 1 : 0 };
	cJSON *tree = NULL;
	char *copy; /* of exactly that size: reading beyond it is seen */
	int rc;

	if (!size)
		return 0;
	copy = malloc(in.size ? in.size : 1);
	expect(copy != NULL);
	memcpy(copy, data + 1, in.size);
	in.text = copy;
	in.lines = count_lines(copy, in.size);
	rc = data[0] & 1 ? berm_json_parse(copy, in.size, &tree, &fault, &err)
			 : berm_yaml_parse(copy, in.size, &tree, &fault, &err);
	if (rc) {
		expect(!tree && err.msg[0]);
		check_pos(&in, fault.at);
	} else if (tree) {
		check_tree(&in, tree, 1);
	}
	cJSON_Delete(tree);
	free(copy);
	return 0;
}
