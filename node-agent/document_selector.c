/* SPDX-License-Identifier: Apache-2.0 */
/* document_selector.c - reads labels and label selectors. Knows no policy. */
#include "document_selector.h"

#include <string.h>

#include "cleanup.h"

#define LOWER	   "abcdefghijklmnopqrstuvwxyz"
#define ALNUM	   LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define MAX_LABELS 1024
#define MAX_TERMS  256
#define MAX_VALUES 1024

/* ---- syntax -------------------------------------------------------------------------------------- */

/* Characters of `inside`, first and last of `ends`. */
static bool is_word(const char *text, size_t len, const char *ends, const char *inside)
{
	if (!len || !strchr(ends, text[0]) || !strchr(ends, text[len - 1]))
		return false;
	return strspn(text, inside) >= len;
}

bool berm_is_dns_label(const char *text)
{
	size_t len = strlen(text);

	return len <= 63 && is_word(text, len, LOWER "0123456789", LOWER "0123456789-");
}

static bool is_subdomain(const char *text, size_t len)
{
	const char *end = text + len;

	if (!len || len > 253)
		return false;
	for (;;) {
		const char *dot = memchr(text, '.', (size_t)(end - text));
		size_t part = (size_t)((dot ? dot : end) - text);

		if (!is_word(text, part, LOWER "0123456789", LOWER "0123456789-"))
			return false;
		if (!dot)
			return true;
		text = dot + 1;
	}
}

bool berm_is_dns_subdomain(const char *text)
{
	return is_subdomain(text, strlen(text));
}

bool berm_is_label_key(const char *text)
{
	const char *slash = strchr(text, '/');
	const char *name = slash ? slash + 1 : text;
	size_t len = strlen(name);

	if (slash && !is_subdomain(text, (size_t)(slash - text)))
		return false;
	return len <= 63 && is_word(name, len, ALNUM, ALNUM "-_.");
}

bool berm_is_label_value(const char *text)
{
	size_t len = strlen(text);

	return !len || (len <= 63 && is_word(text, len, ALNUM, ALNUM "-_."));
}

/* ---- labels -------------------------------------------------------------------------------------- */

bool berm_read_labels(const struct berm_field *field, struct berm_labels *out)
{
	unsigned int before = field->reader->errors;
	struct berm_field label;
	const char *value;

	if (!berm_field_is_map(field))
		return false;
	if (cJSON_GetArraySize(field->node) > MAX_LABELS) {
		berm_field_error(field, NULL, "too many labels (at most %d)", MAX_LABELS);
		return false;
	}
	berm_field_each(label, field)
	{
		value = berm_field_text(&label);
		if (value && berm_labels_set(out, label.node->string, value))
			field->reader->no_memory = true;
	}
	return field->reader->errors == before;
}

/* ---- selectors ----------------------------------------------------------------------------------- */

struct expression { /* one element of matchExpressions */
	const char *key;
	int op;
	bool has_op;
	const char **value;
	size_t value_count;
};

static const char *read_key(const struct berm_field *field, const char *key)
{
	if (key && !berm_is_label_key(key)) {
		berm_field_error(field, NULL, "'%.80s' is not a label's name", key);
		return NULL;
	}
	return key;
}

static const char *read_value(const struct berm_field *field)
{
	const char *value = berm_field_text(field);

	if (value && !berm_is_label_value(value)) {
		berm_field_error(field, "at most 63 letters, digits, '-', '_' and '.'",
				 "'%.80s' can never be a label's value", value);
		return NULL;
	}
	return value;
}

static void add(struct berm_reader *reader, struct berm_selector *sel, const struct expression *e)
{
	if (berm_selector_add(sel, e->key, (enum berm_operator)e->op, e->value, e->value_count))
		reader->no_memory = true;
}

static void read_match_labels(const struct berm_field *field, void *into)
{
	struct berm_field label;

	if (!berm_field_is_map(field))
		return;
	if (cJSON_GetArraySize(field->node) > MAX_TERMS) {
		berm_field_error(field, NULL, "too many labels (at most %d)", MAX_TERMS);
		return;
	}
	berm_field_each(label, field)
	{
		const char *value = read_value(&label);
		struct expression e = { .key = read_key(&label, label.node->string),
					.op = BERM_OP_IN,
					.value = &value,
					.value_count = 1 };

		if (e.key && value)
			add(field->reader, into, &e);
	}
}

static void read_expression_key(const struct berm_field *field, void *into)
{
	((struct expression *)into)->key = read_key(field, berm_field_text(field));
}

static void read_operator(const struct berm_field *field, void *into)
{
	static const struct berm_word words[] = {
		{ "In", BERM_OP_IN, false },
		{ "NotIn", BERM_OP_NOT_IN, false },
		{ "Exists", BERM_OP_EXISTS, false },
		{ "DoesNotExist", BERM_OP_NOT_EXISTS, false },
	};
	struct expression *e = into;

	e->has_op = berm_field_word(field, words, ARRAY_SIZE(words), &e->op);
}

static void read_values(const struct berm_field *field, void *into)
{
	struct expression *e = into;
	struct berm_field item;

	if (!berm_field_is_list(field, MAX_VALUES))
		return;
	e->value = berm_reader_alloc(field->reader, (size_t)cJSON_GetArraySize(field->node),
				     sizeof(*e->value));
	berm_field_each(item, field)
	{
		const char *value = e->value ? read_value(&item) : NULL;

		if (value)
			e->value[e->value_count++] = value;
	}
}

static void check_values(const struct berm_field *field, const struct expression *e)
{
	bool wants_values = e->op == BERM_OP_IN || e->op == BERM_OP_NOT_IN;

	if (wants_values && !e->value_count)
		berm_field_error(field, "add values: [...]", "In and NotIn need values");
	if (!wants_values && e->value_count)
		berm_field_error(field, "remove values", "Exists and DoesNotExist take no values");
}

static void read_expression(const struct berm_field *field, struct berm_selector *sel)
{
	static const struct berm_member table[] = {
		{ "key", BERM_MEMBER_REQUIRED, read_expression_key, NULL },
		{ "operator", BERM_MEMBER_REQUIRED, read_operator,
		  "In, NotIn, Exists or DoesNotExist" },
		{ "values", BERM_MEMBER_OPTIONAL, read_values, NULL },
	};
	unsigned int before = field->reader->errors;
	struct expression e = { 0 };

	if (berm_field_members(field, table, ARRAY_SIZE(table), &e) && e.has_op)
		check_values(field, &e);
	if (field->reader->errors == before && e.key && e.has_op)
		add(field->reader, sel, &e);
	free(e.value);
}

static void read_expressions(const struct berm_field *field, void *into)
{
	struct berm_field item;

	if (!berm_field_is_list(field, MAX_TERMS))
		return;
	berm_field_each(item, field) read_expression(&item, into);
}

bool berm_read_selector(const struct berm_field *field, struct berm_selector *out)
{
	static const struct berm_member table[] = {
		{ "matchLabels", BERM_MEMBER_OPTIONAL, read_match_labels, NULL },
		{ "matchExpressions", BERM_MEMBER_OPTIONAL, read_expressions, NULL },
	};
	unsigned int before = field->reader->errors;

	(void)berm_field_members(field, table, ARRAY_SIZE(table), out); /* errors are counted */
	berm_selector_normalise(out);
	return field->reader->errors == before;
}
