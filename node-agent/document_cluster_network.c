/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document_cluster_network.c - reads a ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2): whom it is about, its tier
 * and its priority, with the limits of that API's CRD. Rules have a file of their own.
 */
#include "document_cluster_network.h"

#include <string.h>

#include "chunk.h"
#include "cleanup.h"
#include "document_guard.h"
#include "document_selector.h"

/* ---- subject --------------------------------------------------------------------------------------- */

static void read_pods_ns(const struct berm_field *field, void *into)
{
	(void)berm_read_selector(field,
				 ((struct berm_pods_selector *)into)->ns); /* errors are counted */
}

static void read_pods_pods(const struct berm_field *field, void *into)
{
	struct berm_pods_selector *out = into;

	out->has_pods = true;
	(void)berm_read_selector(field, out->pods); /* likewise */
}

void berm_read_namespaced_pods(const struct berm_field *field, struct berm_pods_selector *out)
{
	static const struct berm_member table[] = {
		{ "namespaceSelector", BERM_MEMBER_OPTIONAL, read_pods_ns, NULL },
		{ "podSelector", BERM_MEMBER_REQUIRED, read_pods_pods, "{} means all of them" },
	};

	(void)berm_field_members(field, table, ARRAY_SIZE(table), out); /* errors are counted */
}

static void read_subject_namespaces(const struct berm_field *field, void *into)
{
	struct berm_cluster_document *d = into;

	d->policy->has_ns_subject = true;
	(void)berm_read_selector(field, &d->policy->ns_subject); /* errors are counted */
}

static void read_subject_pods(const struct berm_field *field, void *into)
{
	struct berm_policy *policy = ((struct berm_cluster_document *)into)->policy;
	struct berm_pods_selector pods = { &policy->ns_subject, &policy->pod_subject, false };

	if (policy->has_ns_subject) {
		berm_field_name_error(field, "pods: {namespaceSelector: ..., podSelector: ...}",
				      "a subject is either namespaces or pods");
		return;
	}
	policy->has_ns_subject = true;
	berm_read_namespaced_pods(field, &pods);
}

static void read_subject(const struct berm_field *field, void *into)
{
	static const struct berm_member table[] = {
		{ "namespaces", BERM_MEMBER_OPTIONAL, read_subject_namespaces, NULL },
		{ "pods", BERM_MEMBER_OPTIONAL, read_subject_pods, NULL },
	};
	struct berm_cluster_document *d = into;
	unsigned int before = field->reader->errors;

	if (cJSON_GetObjectItemCaseSensitive(field->node, "namespaces") &&
	    cJSON_GetObjectItemCaseSensitive(field->node, "pods"))
		berm_field_error(field, "pods: {namespaceSelector: ..., podSelector: ...}",
				 "a subject is either namespaces or pods");
	else if (berm_field_members(field, table, ARRAY_SIZE(table), into) &&
		 field->reader->errors == before && !d->policy->has_ns_subject)
		berm_field_error(field, "namespaces: {} means all pods",
				 "an empty subject says nothing");
}

/* ---- members ---------------------------------------------------------------------------------------- */

static void read_tier(const struct berm_field *field, void *into)
{
	static const struct berm_word words[] = {
		{ "Admin", BERM_TIER_ADMIN, false },
		{ "Baseline", BERM_TIER_BASELINE, false },
	};
	int tier;

	if (berm_field_word(field, words, ARRAY_SIZE(words), &tier))
		((struct berm_cluster_document *)into)->policy->tier = (enum berm_tier)tier;
}

static void read_priority(const struct berm_field *field, void *into)
{
	(void)berm_field_int(field, 0, 1000,
			     &((struct berm_cluster_document *)into)
				      ->policy->priority); /* errors are counted */
}

static void read_ingress(const struct berm_field *field, void *into)
{
	berm_read_cluster_rules(field, BERM_INGRESS, into);
}

static void read_egress(const struct berm_field *field, void *into)
{
	berm_read_cluster_rules(field, BERM_EGRESS, into);
}

static void read_spec(const struct berm_field *field, void *into)
{
	static const struct berm_member table[] = {
		{ "tier", BERM_MEMBER_REQUIRED, read_tier, "Admin or Baseline" },
		{ "priority", BERM_MEMBER_REQUIRED, read_priority, "0 to 1000, lower first" },
		{ "subject", BERM_MEMBER_REQUIRED, read_subject, "namespaces: {} means all pods" },
		{ "ingress", BERM_MEMBER_OPTIONAL, read_ingress, NULL },
		{ "egress", BERM_MEMBER_OPTIONAL, read_egress, NULL },
	};

	(void)berm_field_members(field, table, ARRAY_SIZE(table), into); /* errors are counted */
}

/* ---- the document ------------------------------------------------------------------------------------ */

static void skip(const struct berm_field *field, void *into)
{
	(void)field, (void)into;
}

/* False: no memory. */
static bool start_policy(struct berm_chunk *chunk, const struct berm_field *root,
			 struct berm_cluster_document *d)
{
	struct berm_policy *policy = berm_reader_alloc(&chunk->reader, 1, sizeof(*policy));
	struct berm_field ns;
	struct berm_meta meta;

	d->policy = policy;
	if (!policy)
		return false;
	policy->kind = BERM_KIND_CLUSTER;
	policy->tier = BERM_TIER_ADMIN;
	policy->cluster_wide = true;
	policy->line = berm_field_line(root);
	policy->source = berm_reader_copy(&chunk->reader, chunk->sheet->source);
	policy->ns = berm_reader_copy(&chunk->reader, "");
	berm_read_meta(root, true, false, &meta);
	berm_warn_guard(&meta);
	policy->name = meta.name ? berm_reader_copy(&chunk->reader, meta.name) : NULL;
	berm_chunk_title(chunk, "ClusterNetworkPolicy", NULL, policy->name);
	if (meta.ns && berm_field_get(&meta.self, "namespace", &ns))
		berm_field_error(&ns, "remove it", "a ClusterNetworkPolicy is in no namespace");
	return policy->ns != NULL;
}

/* Tenants have no say over other namespaces, and not over what may overrule them in their own. */
static bool is_allowed(struct berm_chunk *chunk, const struct berm_field *root)
{
	const char *carrier = chunk->sheet->carrier;
	struct berm_field kind;

	if (!carrier || !strcmp(carrier, BERM_SYSTEM_NAMESPACE))
		return true;
	if (berm_field_get(root, "kind", &kind))
		berm_field_problem(&kind, BERM_CODE_TENANCY,
				   "only ConfigMaps in namespace " BERM_SYSTEM_NAMESPACE
				   " may hold one",
				   "a ClusterNetworkPolicy is not for namespace %s", carrier);
	berm_chunk_unreadable(chunk, NULL, NULL);
	return false;
}

void berm_take_cluster_network(struct berm_chunk *chunk, const struct berm_field *root)
{
	static const struct berm_member table[] = {
		{ "apiVersion", BERM_MEMBER_IGNORED, NULL, NULL },
		{ "kind", BERM_MEMBER_IGNORED, NULL, NULL },
		{ "metadata", BERM_MEMBER_OPTIONAL, skip, NULL }, /* read before */
		{ "spec", BERM_MEMBER_REQUIRED, read_spec,
		  "spec: {tier: Admin, priority: 100, subject: {namespaces: {}}, ingress: [...]}" },
		{ "status", BERM_MEMBER_IGNORED, NULL, NULL },
	};
	const struct berm_sheet *sheet = chunk->sheet;
	struct berm_cluster_document d = { .is_checked = !sheet->carrier &&
							 (sheet->kind || sheet->is_kept) };

	chunk->reader.null_is_absent = true;
	berm_chunk_title(chunk, "ClusterNetworkPolicy", NULL, NULL);
	if (!is_allowed(chunk, root))
		return;
	if (!start_policy(chunk, root, &d)) {
		berm_policy_free(d.policy);
		return;
	}
	(void)berm_field_members(root, table, ARRAY_SIZE(table), &d); /* errors are counted */
	berm_chunk_add_policy(chunk, root, d.policy, false);	      /* it isolates nobody */
}
