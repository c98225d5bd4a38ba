/* SPDX-License-Identifier: Apache-2.0 */
/*
 * selector.c - labels, selectors and their normal form. Knows what matches, not who asks, and does not
 * check syntax: document_selector.c does.
 */
#include "selector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

/* ---- labels ------------------------------------------------------------------------------------ */

/* Position of key, or where it would stand. */
static size_t label_position(const struct berm_labels *labels, const char *key)
{
	size_t low = 0, high = labels->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(labels->item[mid].key, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool is_at(const struct berm_labels *labels, size_t at, const char *key)
{
	return at < labels->count && !strcmp(labels->item[at].key, key);
}

const char *berm_labels_get(const struct berm_labels *labels, const char *key)
{
	size_t at = label_position(labels, key);

	return is_at(labels, at, key) ? labels->item[at].value : NULL;
}

int berm_labels_set(struct berm_labels *labels, const char *key, const char *value)
{
	size_t at = label_position(labels, key);
	auto_free char *k = strdup(key), *v = strdup(value);
	struct berm_label *item;

	if (!k || !v)
		return -ENOMEM;
	if (is_at(labels, at, key)) {
		free(labels->item[at].value);
		labels->item[at].value = TAKE_PTR(v);
		return 0;
	}
	item = reallocarray(labels->item, labels->count + 1, sizeof(*item));
	if (!item)
		return -ENOMEM;
	memmove(item + at + 1, item + at, (labels->count - at) * sizeof(*item));
	item[at] = (struct berm_label){ .key = TAKE_PTR(k), .value = TAKE_PTR(v) };
	labels->item = item;
	labels->count++;
	return 0;
}

void berm_labels_clear(struct berm_labels *labels)
{
	for (size_t i = 0; i < labels->count; i++) {
		free(labels->item[i].key);
		free(labels->item[i].value);
	}
	free(labels->item);
	*labels = (struct berm_labels){ 0 };
}

/* ---- building selectors -------------------------------------------------------------------------- */

static void requirement_clear(struct berm_requirement *req)
{
	for (size_t i = 0; i < req->value_count; i++)
		free(req->value[i]);
	free(req->value);
	free(req->key);
	*req = (struct berm_requirement){ 0 };
}

static int requirement_fill(struct berm_requirement *req, const char *key, const char *const *value,
			    size_t count)
{
	req->key = strdup(key);
	req->value = count ? calloc(count, sizeof(*req->value)) : NULL;
	if (!req->key || (count && !req->value))
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		req->value[i] = strdup(value[i]);
		if (!req->value[i])
			return -ENOMEM;
		req->value_count++;
	}
	return 0;
}

int berm_selector_add(struct berm_selector *sel, const char *key, enum berm_operator op,
		      const char *const *value, size_t value_count)
{
	struct berm_requirement req = { .op = op }, *item;

	if (requirement_fill(&req, key, value, value_count)) {
		requirement_clear(&req);
		return -ENOMEM;
	}
	item = reallocarray(sel->item, sel->count + 1, sizeof(*item));
	if (!item) {
		requirement_clear(&req);
		return -ENOMEM;
	}
	item[sel->count++] = req;
	sel->item = item;
	return 0;
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int compare_requirements(const void *a, const void *b)
{
	const struct berm_requirement *x = a, *y = b;
	int rc = strcmp(x->key, y->key);

	if (rc || x->op != y->op)
		return rc ? rc : (int)x->op - (int)y->op;
	for (size_t i = 0; i < x->value_count && i < y->value_count; i++) {
		rc = strcmp(x->value[i], y->value[i]);
		if (rc)
			return rc;
	}
	return (x->value_count > y->value_count) - (x->value_count < y->value_count);
}

static void normalise_values(struct berm_requirement *req)
{
	size_t kept = 0;

	if (req->value_count < 2)
		return;
	qsort(req->value, req->value_count, sizeof(*req->value), compare_text);
	for (size_t i = 0; i < req->value_count; i++) {
		if (kept && !strcmp(req->value[kept - 1], req->value[i]))
			free(req->value[i]);
		else
			req->value[kept++] = req->value[i];
	}
	req->value_count = kept;
}

void berm_selector_normalise(struct berm_selector *sel)
{
	size_t kept = 0;

	for (size_t i = 0; i < sel->count; i++)
		normalise_values(&sel->item[i]);
	if (sel->count < 2)
		return;
	qsort(sel->item, sel->count, sizeof(*sel->item), compare_requirements);
	for (size_t i = 0; i < sel->count; i++) {
		if (kept && !compare_requirements(&sel->item[kept - 1], &sel->item[i]))
			requirement_clear(&sel->item[i]);
		else
			sel->item[kept++] = sel->item[i];
	}
	sel->count = kept;
}

void berm_selector_clear(struct berm_selector *sel)
{
	for (size_t i = 0; i < sel->count; i++)
		requirement_clear(&sel->item[i]);
	free(sel->item);
	*sel = (struct berm_selector){ 0 };
}

/* ---- matching ------------------------------------------------------------------------------------ */

static bool has_value(const struct berm_requirement *req, const char *value)
{
	for (size_t i = 0; i < req->value_count; i++)
		if (!strcmp(req->value[i], value))
			return true;
	return false;
}

static bool requirement_matches(const struct berm_requirement *req,
				const struct berm_labels *labels)
{
	const char *value = berm_labels_get(labels, req->key);

	switch (req->op) {
	case BERM_OP_IN:
		return value && has_value(req, value);
	case BERM_OP_NOT_IN:
		return !value || !has_value(req, value);
	case BERM_OP_EXISTS:
		return value;
	case BERM_OP_NOT_EXISTS:
		return !value;
	}
	return false;
}

bool berm_selector_matches(const struct berm_selector *sel, const struct berm_labels *labels)
{
	for (size_t i = 0; i < sel->count; i++)
		if (!requirement_matches(&sel->item[i], labels))
			return false;
	return true;
}

/* ---- text ---------------------------------------------------------------------------------------- */

static void print_requirement(FILE *out, const struct berm_requirement *req)
{
	static const char *const before[] = { "", "", "", "!" };
	static const char *const after[] = { " in (", " notin (", "", "" };

	fprintf(out, "%s%s%s", before[req->op], req->key, after[req->op]);
	for (size_t i = 0; i < req->value_count; i++)
		fprintf(out, "%s%s", i ? "," : "", req->value[i]);
	if (after[req->op][0])
		fputc(')', out);
}

char *berm_selector_text(const struct berm_selector *sel)
{
	auto_free char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (size_t i = 0; i < sel->count; i++) {
		if (i)
			fputc(',', out);
		print_requirement(out, &sel->item[i]);
	}
	return fclose(out) ? NULL : TAKE_PTR(text);
}
