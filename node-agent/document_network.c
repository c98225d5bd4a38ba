/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document_network.c - reads a NetworkPolicy (networking.k8s.io/v1) by the intake rules 1 to 7 of
 * design/kubernetes.md, and gives it the defaults that an API server would.
 */
#include <stdlib.h>
#include <string.h>

#include "chunk.h"
#include "cleanup.h"
#include "document_guard.h"
#include "document_rule.h"
#include "document_selector.h"

struct network { /* being read */
	struct berm_policy *policy;
	bool has_selector, is_selector_good;
	bool has_types, is_types_good;
	bool has_spec;
	bool is_stray; /* whose pods it means is not sure */
	uint8_t types; /* bit mask 1 << enum berm_dir */
	uint8_t lists; /* the same: which lists have items */
};

static void read_selector(const struct berm_field *field, void *into)
{
	struct network *n = into;

	n->has_selector = true;
	n->is_selector_good = berm_read_selector(field, &n->policy->pod_subject);
}

static void read_types(const struct berm_field *field, void *into)
{
	static const struct berm_word words[] = {
		{ "Ingress", 1 << BERM_INGRESS, false },
		{ "Egress", 1 << BERM_EGRESS, false },
	};
	unsigned int before = field->reader->errors;
	struct network *n = into;
	struct berm_field item;
	int bit;

	n->has_types = true;
	if (!berm_field_is_list(field, 16))
		return;
	berm_field_each(item, field) if (berm_field_word(&item, words, ARRAY_SIZE(words), &bit))
		n->types |= (uint8_t)bit; /* a set: saying it twice is fine */
	n->is_types_good = field->reader->errors == before;
}

static void read_list(const struct berm_field *field, struct network *n, enum berm_dir dir)
{
	if (cJSON_IsArray(field->node) && field->node->child)
		n->lists |= (uint8_t)(1 << dir);
	berm_read_rules(field, dir, n->policy);
}

static void read_ingress(const struct berm_field *field, void *into)
{
	read_list(field, into, BERM_INGRESS);
}

static void read_egress(const struct berm_field *field, void *into)
{
	read_list(field, into, BERM_EGRESS);
}

static const struct berm_member spec_table[] = {
	{ "podSelector", BERM_MEMBER_OPTIONAL, read_selector, NULL },
	{ "policyTypes", BERM_MEMBER_OPTIONAL, read_types, NULL },
	{ "ingress", BERM_MEMBER_OPTIONAL, read_ingress, NULL },
	{ "egress", BERM_MEMBER_OPTIONAL, read_egress, NULL },
};

static bool has_stranger(const struct berm_field *spec)
{
	struct berm_field member;

	berm_field_each(member, spec)
	{
		size_t i = 0;

		while (i < ARRAY_SIZE(spec_table) &&
		       strcmp(spec_table[i].name, member.node->string))
			i++;
		if (i == ARRAY_SIZE(spec_table))
			return true;
	}
	return false;
}

static void read_spec(const struct berm_field *field, void *into)
{
	struct network *n = into;

	n->has_spec = berm_field_members(field, spec_table, ARRAY_SIZE(spec_table), n);
	if (n->has_spec && !n->has_selector)
		n->is_selector_good =
			!has_stranger(field); /* absent selects all pods, unless it is a typo */
	if (!n->has_types)
		n->is_types_good = true;
}

/* Rules 1 and 2: what isolates, and which rules count. */
static void settle_types(const struct berm_field *root, struct network *n)
{
	static const char *const name[] = { "ingress", "egress" };
	struct berm_field spec, list;

	if (!n->types && n->is_types_good)
		n->types = 1 << BERM_INGRESS | (n->lists & 1 << BERM_EGRESS);
	n->policy->isolate = n->types;
	for (int dir = 0; dir < BERM_DIR_COUNT; dir++)
		if (n->lists & ~n->types & 1 << dir && n->is_types_good &&
		    berm_field_get(root, "spec", &spec) && berm_field_get(&spec, name[dir], &list))
			berm_field_warn(
				&list, "add the direction to policyTypes",
				"these rules are ignored: policyTypes does not have their direction");
}

static void drop_ignored_rules(struct berm_policy *policy)
{
	size_t kept = 0;

	for (size_t i = 0; i < policy->rule_count; i++)
		if (policy->isolate & 1 << policy->rule[i].dir) {
			struct berm_policy_rule moved = policy->rule[i];

			policy->rule[i] = policy->rule[kept];
			policy->rule[kept++] = moved;
		}
	berm_policy_cut_rules(policy, kept);
}

/* ---- where it lives ------------------------------------------------------------------------------- */

/* A tenant's ConfigMap speaks for its own namespace only. */
static void check_home(const struct berm_meta *meta, const char *carrier, struct network *n)
{
	struct berm_field ns;

	if (!berm_field_get(&meta->self, "namespace", &ns))
		return;
	n->is_stray = !meta->ns && !(cJSON_IsString(ns.node) && !ns.node->valuestring[0]);
	if (!carrier || !meta->ns || !strcmp(meta->ns, n->policy->ns))
		return;
	n->is_stray = true;
	berm_field_problem(&ns, BERM_CODE_TENANCY, "put it into a ConfigMap of that namespace",
			   "a ConfigMap in namespace %s has no say in namespace %s", carrier,
			   meta->ns);
}

static const char *home_of(const struct berm_meta *meta, const char *carrier)
{
	if (carrier && strcmp(carrier, BERM_SYSTEM_NAMESPACE))
		return carrier;
	return meta->ns ? meta->ns : carrier ? carrier : "default";
}

static void skip(const struct berm_field *field, void *into)
{
	(void)field, (void)into;
}

/* False: no memory. */
static bool start_policy(struct berm_chunk *chunk, const struct berm_field *root, struct network *n)
{
	struct berm_policy *policy = berm_reader_alloc(&chunk->reader, 1, sizeof(*policy));
	struct berm_meta meta;

	n->policy = policy;
	if (!policy)
		return false;
	policy->kind = BERM_KIND_NETWORK;
	policy->tier = BERM_TIER_NETWORKPOLICY;
	policy->line = berm_field_line(root);
	policy->source = berm_reader_copy(&chunk->reader, chunk->sheet->source);
	berm_chunk_title(chunk, "NetworkPolicy", NULL, NULL);
	berm_read_meta(root, true, false, &meta);
	berm_warn_guard(&meta);
	policy->ns = berm_reader_copy(&chunk->reader, home_of(&meta, chunk->sheet->carrier));
	policy->name = meta.name ? berm_reader_copy(&chunk->reader, meta.name) : NULL;
	if (!policy->ns)
		return false;
	berm_chunk_title(chunk, "NetworkPolicy", policy->ns, policy->name);
	check_home(&meta, chunk->sheet->carrier, n);
	return true;
}

void berm_take_network(struct berm_chunk *chunk, const struct berm_field *root)
{
	static const struct berm_member table[] = {
		{ "apiVersion", BERM_MEMBER_IGNORED, NULL, NULL },
		{ "kind", BERM_MEMBER_IGNORED, NULL, NULL },
		{ "metadata", BERM_MEMBER_OPTIONAL, skip, NULL }, /* read before */
		{ "spec", BERM_MEMBER_REQUIRED, read_spec,
		  "spec: {podSelector: {}, policyTypes: [Ingress]} isolates all" },
		{ "status", BERM_MEMBER_IGNORED, NULL, NULL },
	};
	struct network n = { 0 };

	chunk->reader.null_is_absent = true;
	if (!start_policy(chunk, root, &n)) {
		berm_policy_free(n.policy);
		return;
	}
	(void)berm_field_members(root, table, ARRAY_SIZE(table), &n); /* errors are counted */
	settle_types(root, &n);
	drop_ignored_rules(n.policy);
	berm_chunk_add_policy(chunk, root, n.policy,
			      !n.is_stray && n.has_spec && n.is_selector_good && n.is_types_good);
}
