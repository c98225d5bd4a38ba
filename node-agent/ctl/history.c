// SPDX-License-Identifier: Apache-2.0
/* history.c - `bermctl history`: which documents came, changed and went with the last generations of the node. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "source.h"

/* "+2 ~1 -0" */
static char *counts(const cJSON *item)
{
	return ctl_printf("+%.0f ~%.0f -%.0f", ctl_number_at(item, "added_count"),
			  ctl_number_at(item, "changed_count"),
			  ctl_number_at(item, "removed_count"));
}

static char *generation(const cJSON *item)
{
	return ctl_text_at(item, "generation");
}

static void append(char **all, const cJSON *list, char sign)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, list) {
		auto_free char *before = *all;

		*all = ctl_printf("%s%s%c%s", before ? before : "", before ? ", " : "", sign,
				  ctl_string_at(item, "policy"));
	}
}

static char *documents(const cJSON *item)
{
	char *all = NULL;

	append(&all, ctl_at(item, "added"), '+');
	append(&all, ctl_at(item, "changed"), '~');
	append(&all, ctl_at(item, "removed"), '-');
	return all;
}

static const struct ctl_column columns[] = {
	{ .title = "GENERATION", .path = "generation", .flags = CTL_COL_RIGHT },
	{ .title = "TIME", .path = "time" },
	{ .title = "POLICIES", .path = "policies", .flags = CTL_COL_RIGHT },
	{ .title = "CHANGES", .text = counts },
	{ .title = "DIGEST", .path = "digest", .flags = CTL_COL_WIDE },
	{ .title = "DOCUMENTS", .text = documents },
};

static const struct ctl_view view = {
	.list = "history",
	.noun = "history",
	.column = columns,
	.columns = ARRAY_SIZE(columns),
	.name = generation,
};

static const struct argp argp = {
	.parser = ctl_parse_nothing,
	.children = ctl_common_children,
	.doc = "The last ten generations of this node in which policy documents came (+), changed (~) or went (-), newest first: when, and "
	       "which documents. -o yaml has their digests before and after. Generations in which only pods changed are not in "
	       "it. It is kept over restarts of the agent.\vExample:\n  bermctl history -o yaml",
};

static int run(const struct ctl_command *cmd, int argc, char **argv, struct ctl_options *options)
{
	struct ctl_args args = { options };
	struct berm_err err = { 0 };
	cJSON *doc = NULL;
	int rc;

	ctl_parse(cmd, argc, argv, &args);
	if (ctl_agent_get(options, "/v1/history", &doc, &err))
		return ctl_complain(cmd->name, &err);
	rc = ctl_show(options, &view, doc);
	cJSON_Delete(doc);
	return rc;
}

const struct ctl_command ctl_history = { "history",
					 "which documents changed with the last generations", &argp,
					 run };
