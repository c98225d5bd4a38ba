/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document_segmentation.c - reads a SegmentationPolicy and keeps tenants in their place: what a document
 * may say depends on the namespace it lives in (design/policy.md, "Carrier").
 */
#include <stdlib.h>
#include <string.h>

#include "chunk.h"
#include "cleanup.h"
#include "document_expect.h"
#include "document_flow.h"
#include "document_own.h"
#include "document_rule.h"
#include "document_schedule.h"
#include "document_selector.h"
#include "document_workload.h"

#define DEFAULT_PRIORITY 500
#define BOTH_ESSENTIALS	 (BERM_ESSENTIAL_DNS | BERM_ESSENTIAL_APISERVER)

struct segmentation { /* being read */
	struct berm_chunk *chunk;
	struct berm_policy *policy;
	bool is_tier_known;
	bool has_subject, is_subject_good;
	bool has_isolate, is_isolate_good;
	bool has_essentials;
	struct berm_selector scope;
	bool is_scope_bad;
	bool is_stray; /* whose pods it means is not sure */
};

static bool is_tenant(const struct segmentation *s)
{
	return strcmp(s->policy->ns, BERM_SYSTEM_NAMESPACE) != 0;
}

/* ---- members ------------------------------------------------------------------------------------- */

static void read_text(const struct berm_field *field, void *into)
{
	(void)into;
	(void)berm_field_text(
		field); /* shown by nobody, but a text it must be; errors are counted */
}

static void read_api_version(const struct berm_field *field, void *into)
{
	const char *text = berm_field_text(field);

	(void)into;
	if (text && strcmp(text, "berm.dev/v1"))
		berm_field_error(field, "write berm.dev/v1, or leave it out",
				 "'%.60s' is not a known version", text);
}

static void read_name(const struct berm_field *field, void *into)
{
	struct segmentation *s = into;
	const char *name = berm_field_text(field);

	if (name && !berm_is_dns_subdomain(name))
		berm_field_error(field, "at most 253 of a-z, 0-9, '-' and '.'",
				 "'%.80s' is not a name", name);
	else if (name)
		s->policy->name = berm_reader_copy(field->reader, name);
}

static void read_namespace(const struct berm_field *field, void *into)
{
	struct segmentation *s = into;
	const char *ns = berm_field_text(field);

	if (ns && !strcmp(ns, s->policy->ns))
		return;
	s->is_stray = true;
	if (ns && s->chunk->sheet->carrier)
		berm_field_problem(field, BERM_CODE_TENANCY,
				   "put the document into a ConfigMap of that namespace",
				   "a document belongs to the namespace of its ConfigMap, here '%s', "
				   "not to '%.63s'",
				   s->policy->ns, ns);
	else if (ns)
		berm_field_error(field, "at most 63 of a-z, 0-9 and '-'",
				 "'%.80s' is not a namespace's name", ns);
}

static void read_tier(const struct berm_field *field, void *into)
{
	static const struct berm_word words[] = {
		{ "emergency", BERM_TIER_EMERGENCY, false },
		{ "admin", BERM_TIER_ADMIN, false },
		{ "application", BERM_TIER_APPLICATION, false },
		{ "baseline", BERM_TIER_BASELINE, false },
	};
	struct segmentation *s = into;
	int tier = BERM_TIER_APPLICATION;

	s->is_tier_known = berm_field_word(field, words, ARRAY_SIZE(words), &tier);
	s->policy->tier = (enum berm_tier)tier;
	if (tier == BERM_TIER_APPLICATION || !is_tenant(s))
		return;
	berm_field_problem(field, BERM_CODE_TENANCY,
			   "only documents in namespace " BERM_SYSTEM_NAMESPACE
			   " may use other tiers",
			   "tier %s is not for namespace %s", berm_tier_name(s->policy->tier),
			   s->policy->ns);
	s->policy->tier = BERM_TIER_APPLICATION;
}

static void read_priority(const struct berm_field *field, void *into)
{
	(void)berm_field_int(field, 0, 1000,
			     &((struct segmentation *)into)->policy->priority); /* likewise */
}

static void read_mode(const struct berm_field *field, void *into)
{
	static const struct berm_word words[] = {
		{ "enforce", BERM_MODE_ENFORCE, false },
		{ "audit", BERM_MODE_AUDIT, false },
		{ "disabled", BERM_MODE_DISABLED, false },
		{ "learn", 0, true },
	};
	struct segmentation *s = into;
	int mode;

	if (!berm_field_word(field, words, ARRAY_SIZE(words), &mode))
		return;
	s->policy->audit = mode == BERM_MODE_AUDIT;
	s->policy->disabled = mode == BERM_MODE_DISABLED;
}

static void read_policy_change(const struct berm_field *field, void *into)
{
	static const struct berm_word words[] = { { "Recheck", BERM_CHANGE_RECHECK, false },
						  { "Keep", BERM_CHANGE_KEEP, false },
						  { "Reset", BERM_CHANGE_RESET, false } };
	int change;

	if (berm_field_word(field, words, ARRAY_SIZE(words), &change))
		((struct segmentation *)into)->policy->on_change = (uint8_t)change;
}

static void read_deny_with(const struct berm_field *field, void *into)
{
	static const struct berm_word words[] = { { "Drop", 0, false }, { "Reject", 1, false } };
	int rejects;

	if (berm_field_word(field, words, ARRAY_SIZE(words), &rejects))
		((struct segmentation *)into)->policy->rejects = rejects;
}

static void read_expires(const struct berm_field *field, void *into)
{
	berm_read_moment(field, &((struct segmentation *)into)->policy->expires);
}

static void read_schedule(const struct berm_field *field, void *into)
{
	berm_read_schedule(field, &((struct segmentation *)into)->policy->schedule);
}

/* A list of words to a bit mask. */
static bool read_mask(const struct berm_field *field, const struct berm_word *words, size_t count,
		      uint8_t *out)
{
	unsigned int before = field->reader->errors;
	struct berm_field item;
	uint8_t mask = 0;
	int bit;

	if (!berm_field_is_list(field, 16))
		return false;
	berm_field_each(item, field)
	{
		if (!berm_field_word(&item, words, count, &bit))
			continue;
		if (mask & bit)
			berm_field_error(&item, NULL, "'%s' is there twice",
					 item.node->valuestring);
		mask |= (uint8_t)bit;
	}
	*out = mask;
	return field->reader->errors == before;
}

static void read_isolate(const struct berm_field *field, void *into)
{
	static const struct berm_word words[] = {
		{ "Ingress", 1 << BERM_INGRESS, false },
		{ "Egress", 1 << BERM_EGRESS, false },
	};
	struct segmentation *s = into;

	s->has_isolate = true;
	s->is_isolate_good = read_mask(field, words, ARRAY_SIZE(words), &s->policy->isolate);
}

static void read_essentials(const struct berm_field *field, void *into)
{
	static const struct berm_word words[] = {
		{ "dns", BERM_ESSENTIAL_DNS, false },
		{ "apiserver", BERM_ESSENTIAL_APISERVER, false },
	};
	struct segmentation *s = into;

	s->has_essentials = true;
	(void)read_mask(field, words, ARRAY_SIZE(words),
			&s->policy->essentials); /* errors are counted */
}

/* ---- subject ------------------------------------------------------------------------------------- */

static void read_subject_pods(const struct berm_field *field, void *into)
{
	(void)berm_read_selector(field,
				 &((struct segmentation *)into)->policy->pod_subject); /* likewise */
}

static void read_subject_namespaces(const struct berm_field *field, void *into)
{
	struct segmentation *s = into;

	if (is_tenant(s)) {
		berm_field_name_error(field,
				      "only documents in namespace " BERM_SYSTEM_NAMESPACE
				      " may select other namespaces",
				      "the subject is always in namespace %s", s->policy->ns);
		return;
	}
	s->policy->has_ns_subject = true;
	(void)berm_read_selector(field, &s->policy->ns_subject); /* errors are counted */
}

static void read_subject_workload(const struct berm_field *field, void *into)
{
	(void)berm_read_workload(field, &((struct segmentation *)into)->policy->pod_subject);
}

static void read_scope(const struct berm_field *field, void *into)
{
	struct segmentation *s = into;

	s->is_scope_bad = !berm_read_workload(field, &s->scope);
}

static void read_subject(const struct berm_field *field, void *into)
{
	static const struct berm_member table[] = {
		{ "podSelector", BERM_MEMBER_OPTIONAL, read_subject_pods, NULL },
		{ "namespaceSelector", BERM_MEMBER_OPTIONAL, read_subject_namespaces, NULL },
		{ "workload", BERM_MEMBER_OPTIONAL, read_subject_workload, NULL },
	};
	struct segmentation *s = into;
	unsigned int before = field->reader->errors;

	s->has_subject = true;
	(void)berm_field_members(field, table, ARRAY_SIZE(table), into); /* errors are counted */
	s->is_subject_good = field->reader->errors == before;
}

/* ---- the document -------------------------------------------------------------------------------- */

static void read_ingress(const struct berm_field *field, void *into)
{
	berm_read_rules(field, BERM_INGRESS, ((struct segmentation *)into)->policy);
}

static void read_egress(const struct berm_field *field, void *into)
{
	berm_read_rules(field, BERM_EGRESS, ((struct segmentation *)into)->policy);
}

static void read_flows(const struct berm_field *field, void *into)
{
	berm_read_flows(field, ((struct segmentation *)into)->policy);
}

static void read_expect(const struct berm_field *field, void *into)
{
	berm_read_expectations(field, ((struct segmentation *)into)->policy);
}

static const struct berm_member table[] = {
	{ "kind", BERM_MEMBER_IGNORED, NULL, NULL },
	{ "apiVersion", BERM_MEMBER_OPTIONAL, read_api_version, NULL },
	{ "name", BERM_MEMBER_REQUIRED, read_name, NULL },
	{ "namespace", BERM_MEMBER_OPTIONAL, read_namespace, NULL },
	{ "description", BERM_MEMBER_OPTIONAL, read_text, NULL },
	{ "tier", BERM_MEMBER_OPTIONAL, read_tier, NULL },
	{ "priority", BERM_MEMBER_OPTIONAL, read_priority, NULL },
	{ "mode", BERM_MEMBER_OPTIONAL, read_mode, NULL },
	{ "subject", BERM_MEMBER_OPTIONAL, read_subject, NULL },
	{ "scope", BERM_MEMBER_OPTIONAL, read_scope, NULL },
	{ "isolate", BERM_MEMBER_OPTIONAL, read_isolate, NULL },
	{ "essentials", BERM_MEMBER_OPTIONAL, read_essentials, NULL },
	{ "onPolicyChange", BERM_MEMBER_OPTIONAL, read_policy_change, NULL },
	{ "denyWith", BERM_MEMBER_OPTIONAL, read_deny_with, NULL },
	{ "expires", BERM_MEMBER_OPTIONAL, read_expires, NULL },
	{ "schedule", BERM_MEMBER_OPTIONAL, read_schedule, NULL },
	{ "ingress", BERM_MEMBER_OPTIONAL, read_ingress, NULL },
	{ "egress", BERM_MEMBER_OPTIONAL, read_egress, NULL },
	{ "flows", BERM_MEMBER_OPTIONAL, read_flows, NULL },
	{ "metadata", BERM_MEMBER_UNSUPPORTED, NULL, "write name at the top of the document" },
	{ "spec", BERM_MEMBER_UNSUPPORTED, NULL, "write its fields at the top of the document" },
	{ "expect", BERM_MEMBER_OPTIONAL, read_expect, NULL },
};

/* A member that we do not know may be a mistyped one: then an absent `subject` does not mean everyone. */
static bool has_stranger(const struct berm_field *root)
{
	struct berm_field member;

	berm_field_each(member, root)
	{
		size_t i = 0;

		while (i < ARRAY_SIZE(table) && strcmp(table[i].name, member.node->string))
			i++;
		if (i == ARRAY_SIZE(table))
			return true;
	}
	return false;
}

static void check_isolate(const struct berm_field *root, struct segmentation *s)
{
	struct berm_field field;

	if (!s->is_tier_known)
		return;
	if (s->policy->tier == BERM_TIER_APPLICATION) {
		if (!s->has_isolate && !cJSON_GetObjectItemCaseSensitive(root->node, "isolate"))
			berm_field_problem(
				root, BERM_CODE_MISSING_FIELD,
				"[Ingress], [Egress], both, or [] for a policy that isolates nothing",
				"the field 'isolate' is missing");
		return;
	}
	if (berm_field_get(root, "isolate", &field))
		berm_field_name_error(&field,
				      "remove it: policies of the other tiers decide by their rules alone",
				      "only tier application isolates");
}

static void check_essentials(const struct berm_field *root, struct segmentation *s)
{
	struct berm_field field;

	if (s->policy->tier == BERM_TIER_APPLICATION)
		return;
	if (s->has_essentials && berm_field_get(root, "essentials", &field))
		berm_field_warn(&field, "remove it",
				"has no meaning: only tier application isolates");
	s->policy->essentials = 0;
}

static struct berm_policy *new_policy(struct berm_chunk *chunk, const struct berm_field *root)
{
	struct berm_policy *policy = berm_reader_alloc(&chunk->reader, 1, sizeof(*policy));

	if (!policy)
		return NULL;
	policy->kind = BERM_KIND_SEGMENTATION;
	policy->tier = BERM_TIER_APPLICATION;
	policy->priority = DEFAULT_PRIORITY;
	policy->essentials = BOTH_ESSENTIALS;
	policy->line = berm_field_line(root);
	policy->source = berm_reader_copy(&chunk->reader, chunk->sheet->source);
	policy->ns = berm_reader_copy(&chunk->reader, berm_document_home(chunk, root));
	policy->cluster_wide = policy->ns && !strcmp(policy->ns, BERM_SYSTEM_NAMESPACE);
	return policy;
}

static void title(struct berm_chunk *chunk, const struct berm_field *root,
		  const struct berm_policy *policy)
{
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(root->node, "name");

	berm_chunk_title(chunk, "SegmentationPolicy", policy->ns,
			 cJSON_IsString(name) ? name->valuestring : NULL);
}

void berm_take_segmentation(struct berm_chunk *chunk, const struct berm_field *root)
{
	struct segmentation s = { .chunk = chunk,
				  .policy = new_policy(chunk, root),
				  .is_tier_known = true };
	bool is_isolation;

	if (!s.policy || !s.policy->ns) {
		berm_policy_free(s.policy);
		return;
	}
	title(chunk, root, s.policy);
	(void)berm_field_members(root, table, ARRAY_SIZE(table), &s); /* errors are counted */
	check_isolate(root, &s);
	check_essentials(root, &s);
	berm_apply_scope(&chunk->reader, &s.scope, s.policy);
	berm_selector_clear(&s.scope);
	is_isolation = !s.is_stray && !s.is_scope_bad && s.has_isolate && s.is_isolate_good &&
		       s.policy->tier == BERM_TIER_APPLICATION &&
		       (s.has_subject ? s.is_subject_good : !has_stranger(root));
	berm_chunk_add_policy(chunk, root, s.policy, is_isolation);
}
