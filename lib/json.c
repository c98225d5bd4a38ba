/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.c - JSON with positions. JSON is a subset of YAML, so yaml.c builds the tree; cJSON, which knows no
 * positions, says first whether it is JSON at all.
 */
#include "tree.h"

#include <errno.h>
#include <string.h>

static struct berm_pos pos_at(const char *text, const char *p)
{
	struct berm_pos pos = { 1, 1 };

	for (; text < p; text++) {
		pos.column += ((unsigned char)*text & 0xc0) != 0x80;
		if (*text == '\n')
			pos = (struct berm_pos){ pos.line + 1, 1 };
	}
	return pos;
}

static const char *skip_blank(const char *p, const char *end)
{
	while (p < end && strchr(" \t\r\n", *p) && *p)
		p++;
	return p;
}

int berm_json_parse(const char *text, size_t size, cJSON **ret, struct berm_tree_fault *fault,
		    struct berm_err *err)
{
	const char *end = text + size, *stop = text;
	cJSON *probe;

	if (skip_blank(text, end) == end) {
		*ret = NULL;
		return 0;
	}
	probe = cJSON_ParseWithLengthOpts(text, size, &stop, 0);
	if (!probe || skip_blank(stop, end) != end) {
		fault->at = pos_at(text, probe ? skip_blank(stop, end) : stop);
		cJSON_Delete(probe);
		return berm_refuse(err, -EINVAL,
				   probe ? "text behind the end of the JSON value"
					 : "not JSON, or nested too deep");
	}
	cJSON_Delete(probe);
	return berm_yaml_parse(text, size, ret, fault, err);
}
