/* SPDX-License-Identifier: Apache-2.0 */
/* document_expect.c - reads what a document expects of the whole. Knows no rule and checks nothing against any. */
#include "document_expect.h"

#include <string.h>

#include "cleanup.h"
#include "document_port.h"
#include "document_selector.h"
#include "maps.h"

#define END_HINT "{namespace: shop, labels: {app: web}}, shop/web, or an IP address"

/* ---- ends ------------------------------------------------------------------------------------------------ */

struct end { /* being read */
	struct berm_expect_end *out;
	bool has_ns_labels;
};

struct expectation {
	struct berm_expectation *out;
	struct end from, to;
};

static void take_namespace(const struct berm_field *field, const char *ns, struct end *end)
{
	if (!berm_is_dns_label(ns))
		berm_field_error(field, "at most 63 of a-z, 0-9 and '-'",
				 "'%.80s' is not a namespace's name", ns);
	else
		end->out->ns = berm_reader_copy(field->reader, ns);
}

static void read_end_namespace(const struct berm_field *field, void *into)
{
	const char *ns = berm_field_text(field);

	if (ns)
		take_namespace(field, ns, into);
}

static void read_end_labels(const struct berm_field *field, void *into)
{
	(void)berm_read_labels(field, &((struct end *)into)->out->labels); /* errors are counted */
}

static void read_end_ns_labels(const struct berm_field *field, void *into)
{
	struct end *end = into;

	end->has_ns_labels = true;
	(void)berm_read_labels(field, &end->out->ns_labels); /* errors are counted */
}

static void set_label(struct berm_reader *reader, struct berm_labels *labels, const char *key,
		      const char *value)
{
	if (berm_labels_set(labels, key, value))
		reader->no_memory = true;
}

/* "shop/web" */
static void read_short(const struct berm_field *field, struct end *end)
{
	const char *text = field->node->valuestring, *slash = strchr(text, '/');
	char ns[64] = "";

	if ((size_t)(slash - text) >= sizeof(ns) || !slash[1] || !berm_is_label_value(slash + 1)) {
		berm_field_error(field,
				 "write NAMESPACE/APP: the pods there with the label app=APP",
				 "'%.80s' is neither an address nor a namespace with an app", text);
		return;
	}
	memcpy(ns, text, (size_t)(slash - text));
	take_namespace(field, ns, end);
	set_label(field->reader, &end->out->labels, "app", slash + 1);
}

static void read_end_text(const struct berm_field *field, struct end *end)
{
	const char *text = field->node->valuestring;

	if (!berm_addr_parse(text, &end->out->addr))
		end->out->is_addr = true;
	else if (strchr(text, '/'))
		read_short(field, end);
	else
		berm_field_problem(field, BERM_CODE_BAD_ADDRESS, END_HINT,
				   "'%.80s' is no address and names no pods", text);
}

static void read_end(const struct berm_field *field, struct end *end)
{
	static const struct berm_member table[] = {
		{ "namespace", BERM_MEMBER_REQUIRED, read_end_namespace, NULL },
		{ "labels", BERM_MEMBER_OPTIONAL, read_end_labels, NULL },
		{ "namespaceLabels", BERM_MEMBER_OPTIONAL, read_end_ns_labels, NULL },
	};

	if (cJSON_IsString(field->node))
		read_end_text(field, end);
	else
		(void)berm_field_members(field, table, ARRAY_SIZE(table), end); /* likewise */
	if (end->out->ns)
		set_label(field->reader, &end->out->ns_labels, "kubernetes.io/metadata.name",
			  end->out->ns);
}

/* ---- the expectation -------------------------------------------------------------------------------------- */

static void read_from(const struct berm_field *field, void *into)
{
	read_end(field, &((struct expectation *)into)->from);
}

static void read_to(const struct berm_field *field, void *into)
{
	read_end(field, &((struct expectation *)into)->to);
}

static void read_port(const struct berm_field *field, void *into)
{
	int port = 0;

	if (berm_field_int(field, 1, 65535, &port))
		((struct expectation *)into)->out->port = (uint16_t)port;
}

static void read_protocol(const struct berm_field *field, void *into)
{
	int plane = BERM_PLANE_TCP;

	if (berm_read_protocol(field, &plane))
		((struct expectation *)into)->out->plane = (uint8_t)plane;
}

static void read_verdict(const struct berm_field *field, void *into)
{
	static const struct berm_word words[] = { { "Allow", 1, false }, { "Deny", 0, false } };
	int is_allow;

	if (berm_field_word(field, words, ARRAY_SIZE(words), &is_allow))
		((struct expectation *)into)->out->is_allow = is_allow;
}

static bool is_same_ns(const struct berm_expect_end *a, const struct berm_expect_end *b)
{
	return a->ns && b->ns && !strcmp(a->ns, b->ns);
}

static bool has_same_labels(const struct berm_labels *a, const struct berm_labels *b)
{
	for (size_t i = 0; i < a->count && i < b->count; i++)
		if (strcmp(a->item[i].key, b->item[i].key) != 0 ||
		    strcmp(a->item[i].value, b->item[i].value) != 0)
			return false;
	return a->count == b->count;
}

/* Both ends in one namespace: it has the labels that one of them says. */
static void share_labels(struct berm_reader *reader, const struct end *from, struct end *to)
{
	if (to->has_ns_labels || !from->has_ns_labels)
		return;
	for (size_t i = 0; i < from->out->ns_labels.count; i++)
		set_label(reader, &to->out->ns_labels, from->out->ns_labels.item[i].key,
			  from->out->ns_labels.item[i].value);
}

static void check(const struct berm_field *field, struct expectation *e)
{
	struct berm_expect_end *from = e->from.out, *to = e->to.out;

	if (from->is_addr && to->is_addr)
		berm_field_error(field, "one of them must be a pod: " END_HINT,
				 "no policy decides between two addresses");
	if (!is_same_ns(from, to))
		return;
	share_labels(field->reader, &e->from, &e->to);
	share_labels(field->reader, &e->to, &e->from);
	if (!has_same_labels(&from->ns_labels, &to->ns_labels))
		berm_field_problem(field, BERM_CODE_BAD_EXPECT, "say them once, or the same twice",
				   "namespace %s has two different sets of namespaceLabels",
				   to->ns);
}

static void read_expectation(const struct berm_field *field, struct berm_expectation *out)
{
	static const struct berm_member table[] = {
		{ "from", BERM_MEMBER_REQUIRED, read_from, NULL },
		{ "to", BERM_MEMBER_REQUIRED, read_to, NULL },
		{ "port", BERM_MEMBER_REQUIRED, read_port, NULL },
		{ "protocol", BERM_MEMBER_OPTIONAL, read_protocol, NULL },
		{ "verdict", BERM_MEMBER_REQUIRED, read_verdict, NULL },
	};
	unsigned int before = field->reader->errors;
	struct expectation e = { .out = out, .from = { &out->from }, .to = { &out->to } };

	out->plane = BERM_PLANE_TCP;
	if (berm_field_members(field, table, ARRAY_SIZE(table), &e) &&
	    field->reader->errors == before)
		check(field, &e);
}

void berm_read_expectations(const struct berm_field *list, struct berm_policy *policy)
{
	struct berm_field item;

	if (!berm_field_is_list(list, BERM_MAX_EXPECTATIONS))
		return;
	policy->expect = berm_reader_alloc(list->reader, (size_t)cJSON_GetArraySize(list->node),
					   sizeof(*policy->expect));
	if (!policy->expect)
		return;
	berm_field_each(item, list)
		read_expectation(&item, &policy->expect[policy->expect_count++]);
}
