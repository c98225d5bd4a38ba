/* SPDX-License-Identifier: Apache-2.0 */
/* documents.c - parses what tests write and prints what lint would. Judges nothing. */
#include "documents.h"

#include <stdio.h>
#include <string.h>

#include "test.h"

static void report(struct documents *d)
{
	size_t used = 0;

	d->report[0] = '\0';
	for (size_t i = 0; i < d->problems.count && used < sizeof(d->report) - 2; i++) {
		used += (size_t)berm_problem_format(&d->problems.item[i], d->report + used,
						    sizeof(d->report) - used - 1);
		strcpy(d->report + used++, "\n");
	}
}

void documents_parse(struct documents *d, const char *text)
{
	struct berm_err err = { 0 };

	memset(d, 0, sizeof(*d));
	ASSERT_OK(berm_document_parse("f.yaml", text, strlen(text), &d->objects, &d->problems,
				      &err),
		  &err);
	report(d);
}

void documents_parse_in(struct documents *d, const char *ns, const char *text)
{
	static char file[65536];
	size_t used = (size_t)snprintf(file, sizeof(file),
				       "apiVersion: v1\n"
				       "kind: ConfigMap\n"
				       "metadata:\n"
				       "  name: c\n"
				       "  namespace: %s\n"
				       "  labels: {berm.dev/policy: v1}\n"
				       "data:\n"
				       "  policy.yaml: |\n",
				       ns);

	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");

		used += (size_t)snprintf(file + used, sizeof(file) - used, "%s%.*s\n",
					 len ? "    " : "", (int)len, line);
		line += len + (line[len] == '\n');
	}
	ASSERT_TRUE(used < sizeof(file));
	documents_parse(d, file);
}

void documents_clear(struct documents *d)
{
	berm_objects_clear(&d->objects);
	berm_problems_clear(&d->problems);
}

struct berm_object *documents_find(struct documents *d, const char *name)
{
	for (size_t i = 0; i < d->objects.count; i++)
		if (!strcmp(d->objects.item[i].name, name))
			return &d->objects.item[i];
	test_failed(__FILE__, __LINE__, "there is no object '%s'; problems: %s", name, d->report);
	test_stop();
}

const struct berm_policy *documents_policy(struct documents *d)
{
	if (d->objects.count != 1 || !d->objects.item[0].policy) {
		test_failed(__FILE__, __LINE__, "not one good policy but %zu objects; problems: %s",
			    d->objects.count, d->report);
		test_stop();
	}
	return d->objects.item[0].policy;
}
