/* SPDX-License-Identifier: Apache-2.0 */
/* document_workload.c - reads the four-label model as ordinary selectors. Knows not where the labels come from. */
#include "document_workload.h"

#include "cleanup.h"
#include "document_selector.h"
#include "workload.h"

static void read_value(const struct berm_field *field, struct berm_selector *out,
		       enum berm_dimension dimension)
{
	const char *value = berm_field_text(field);

	if (value && (!*value || !berm_is_label_value(value)))
		berm_field_error(field, "1 to 63 letters, digits, '-', '_' and '.'",
				 "'%.80s' is nobody's %s", value, berm_dimension_name(dimension));
	else if (value &&
		 berm_selector_add(out, berm_dimension_label(dimension), BERM_OP_IN, &value, 1))
		field->reader->no_memory = true;
}

static void read_role(const struct berm_field *field, void *into)
{
	read_value(field, into, BERM_ROLE);
}

static void read_app(const struct berm_field *field, void *into)
{
	read_value(field, into, BERM_APP);
}

static void read_env(const struct berm_field *field, void *into)
{
	read_value(field, into, BERM_ENV);
}

static void read_loc(const struct berm_field *field, void *into)
{
	read_value(field, into, BERM_LOC);
}

bool berm_read_workload(const struct berm_field *field, struct berm_selector *out)
{
	static const struct berm_member table[] = {
		{ "role", BERM_MEMBER_OPTIONAL, read_role, NULL },
		{ "app", BERM_MEMBER_OPTIONAL, read_app, NULL },
		{ "env", BERM_MEMBER_OPTIONAL, read_env, NULL },
		{ "loc", BERM_MEMBER_OPTIONAL, read_loc, NULL },
	};
	unsigned int before = field->reader->errors;

	if (berm_field_members(field, table, ARRAY_SIZE(table), out) && !field->node->child)
		berm_field_error(field, "leave it out to mean all pods",
				 "says nothing without role, app, env or loc");
	berm_selector_normalise(out);
	return field->reader->errors == before;
}

static void narrow(struct berm_reader *reader, const struct berm_selector *scope,
		   struct berm_selector *out)
{
	for (size_t i = 0; i < scope->count; i++) {
		const struct berm_requirement *r = &scope->item[i];

		if (berm_selector_add(out, r->key, r->op, (const char *const *)r->value,
				      r->value_count))
			reader->no_memory = true;
	}
	berm_selector_normalise(out);
}

void berm_apply_scope(struct berm_reader *reader, const struct berm_selector *scope,
		      struct berm_policy *policy)
{
	if (!scope->count)
		return;
	narrow(reader, scope, &policy->pod_subject);
	for (size_t i = 0; i < policy->rule_count; i++) {
		struct berm_policy_rule *rule = &policy->rule[i];

		for (size_t p = 0; p < rule->peer_count; p++) {
			struct berm_peer_term *peer = &rule->peer[p];

			if (peer->is_unscoped || !(peer->has_pod_selector || peer->has_ns_selector))
				continue;
			peer->has_pod_selector = true;
			narrow(reader, scope, &peer->pod_selector);
		}
	}
}
