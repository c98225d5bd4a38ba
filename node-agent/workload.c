/* SPDX-License-Identifier: Apache-2.0 */
/* workload.c - what role, app, env and loc a pod has. Knows labels only. */
#include "workload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "workload:"

static const struct {
	const char *name, *label;
} dimension[BERM_DIMENSION_COUNT] = {
	[BERM_ROLE] = { "role", PREFIX "role" },
	[BERM_APP] = { "app", PREFIX "app" },
	[BERM_ENV] = { "env", PREFIX "env" },
	[BERM_LOC] = { "loc", PREFIX "loc" },
};

/* A pod's own labels may say its role only: a tenant must not be able to dress up as another. */
static const struct berm_mapping usual = {
	.of = {
		[BERM_ROLE] = { .source = { { true, (char *)"berm.dev/role" },
					    { true, (char *)"app.kubernetes.io/component" },
					    { true, (char *)"app.kubernetes.io/name" },
					    { false, (char *)"berm.dev/role" } },
				.count = 4 },
		[BERM_APP] = { .source = { { false, (char *)"berm.dev/app" },
					   { false, (char *)"app.kubernetes.io/part-of" } },
			       .count = 2 },
		[BERM_ENV] = { .source = { { false, (char *)"berm.dev/env" } }, .count = 1 },
		[BERM_LOC] = { .source = { { false, (char *)"berm.dev/loc" } }, .count = 1 },
	},
};

const char *berm_dimension_name(enum berm_dimension d)
{
	return dimension[d].name;
}

const char *berm_dimension_label(enum berm_dimension d)
{
	return dimension[d].label;
}

bool berm_is_workload_label(const char *key)
{
	return !strncmp(key, PREFIX, strlen(PREFIX));
}

/* Whoever has written them: an API server takes no such key, a file might have one. */
static void strip(struct berm_labels *labels)
{
	size_t kept = 0;

	for (size_t i = 0; i < labels->count; i++) {
		if (!berm_is_workload_label(labels->item[i].key)) {
			labels->item[kept++] = labels->item[i];
			continue;
		}
		free(labels->item[i].key);
		free(labels->item[i].value);
	}
	labels->count = kept;
}

static const char *value_of(const struct berm_mapping_of *of, const struct berm_labels *ns,
			    const struct berm_labels *pod)
{
	const char *value = NULL;

	for (size_t i = 0; !value && i < of->count; i++) {
		const struct berm_labels *labels = of->source[i].of_pod ? pod : ns;

		value = labels ? berm_labels_get(labels, of->source[i].key) : NULL;
	}
	return value;
}

int berm_workload_label(const struct berm_mapping *mapping, const struct berm_labels *ns,
			struct berm_labels *pod)
{
	int rc = 0;

	strip(pod);
	for (int d = 0; !rc && d < BERM_DIMENSION_COUNT; d++) {
		bool is_given = mapping && mapping->of[d].is_given;
		const char *value = value_of(is_given ? &mapping->of[d] : &usual.of[d], ns, pod);

		if (value)
			rc = berm_labels_set(pod, dimension[d].label, value);
	}
	return rc;
}

void berm_mapping_clear(struct berm_mapping *mapping)
{
	for (int d = 0; d < BERM_DIMENSION_COUNT; d++)
		for (size_t i = 0; i < mapping->of[d].count; i++)
			free(mapping->of[d].source[i].key);
	*mapping = (struct berm_mapping){ 0 };
}
