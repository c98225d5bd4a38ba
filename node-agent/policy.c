/* SPDX-License-Identifier: Apache-2.0 */
/* policy.c - life and digest of a policy in normal form. Knows no document and no rule's meaning. */
#include "policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"

static void peer_clear(struct berm_peer_term *peer)
{
	berm_selector_clear(&peer->ns_selector);
	berm_selector_clear(&peer->pod_selector);
	free(peer->except);
}

static void rule_clear(struct berm_policy_rule *rule)
{
	for (size_t i = 0; i < rule->peer_count; i++)
		peer_clear(&rule->peer[i]);
	for (size_t i = 0; i < rule->port_count; i++)
		free(rule->port[i].name);
	free(rule->peer);
	free(rule->port);
	free(rule->name);
}

void berm_policy_cut_rules(struct berm_policy *policy, size_t count)
{
	while (policy->rule_count > count)
		rule_clear(&policy->rule[--policy->rule_count]);
}

void berm_policy_free(struct berm_policy *policy)
{
	if (!policy)
		return;
	berm_policy_cut_rules(policy, 0);
	free(policy->rule);
	berm_selector_clear(&policy->ns_subject);
	berm_selector_clear(&policy->pod_subject);
	free(policy->ns);
	free(policy->name);
	free(policy->source);
	free(policy);
}

static const char *const kind_name[BERM_KIND_COUNT] = {
	[BERM_KIND_SEGMENTATION] = "SegmentationPolicy",
	[BERM_KIND_NETWORK] = "NetworkPolicy",
	[BERM_KIND_CLUSTER] = "ClusterNetworkPolicy",
};

const char *berm_policy_kind_name(enum berm_policy_kind kind)
{
	return kind < BERM_KIND_COUNT ? kind_name[kind] : "unknown";
}

bool berm_policy_kind_of(const char *name, enum berm_policy_kind *ret)
{
	for (int i = 0; i < BERM_KIND_COUNT; i++) {
		if (strcmp(kind_name[i], name))
			continue;
		*ret = (enum berm_policy_kind)i;
		return true;
	}
	return false;
}

void berm_policy_title(enum berm_policy_kind kind, const char *ns, const char *name, char *out,
		       size_t size)
{
	bool has_ns = ns && *ns;

	snprintf(out, size, "%s %s%s%s", berm_policy_kind_name(kind), has_ns ? ns : "",
		 has_ns ? "/" : "", name ? name : "");
}

const char *berm_tier_name(enum berm_tier tier)
{
	static const char *const name[BERM_TIER_COUNT] = {
		[BERM_TIER_EMERGENCY] = "emergency",
		[BERM_TIER_ADMIN] = "admin",
		[BERM_TIER_APPLICATION] = "application",
		[BERM_TIER_NETWORKPOLICY] = "networkpolicy",
		[BERM_TIER_BASELINE] = "baseline",
	};

	return tier < BERM_TIER_COUNT ? name[tier] : "unknown";
}

/* ---- digest ---------------------------------------------------------------------------------------- */

static void mix_text(struct berm_digester *d, const char *text)
{
	berm_digest_u64(d, text != NULL);
	berm_digest_text(d, text);
}

static void mix_selector(struct berm_digester *d, const struct berm_selector *sel)
{
	berm_digest_u64(d, sel->count);
	for (size_t i = 0; i < sel->count; i++) {
		const struct berm_requirement *req = &sel->item[i];

		mix_text(d, req->key);
		berm_digest_u64(d, req->op);
		berm_digest_u64(d, req->value_count);
		for (size_t v = 0; v < req->value_count; v++)
			mix_text(d, req->value[v]);
	}
}

static void mix_cidr(struct berm_digester *d, const struct berm_cidr *cidr)
{
	berm_digest_bytes(d, cidr->addr.w, sizeof(cidr->addr.w));
	berm_digest_u64(d, cidr->bits | (uint64_t)cidr->v4 << 8);
}

static void mix_peer(struct berm_digester *d, const struct berm_peer_term *peer)
{
	berm_digest_u64(d, peer->any | peer->is_block << 1 | peer->unsupported << 2 |
				   peer->has_ns_selector << 3 | peer->has_pod_selector << 4);
	mix_selector(d, &peer->ns_selector);
	mix_selector(d, &peer->pod_selector);
	mix_cidr(d, &peer->block);
	berm_digest_u64(d, peer->except_count);
	for (size_t i = 0; i < peer->except_count; i++)
		mix_cidr(d, &peer->except[i]);
}

static void mix_rule(struct berm_digester *d, const struct berm_policy_rule *rule)
{
	mix_text(d, rule->name);
	berm_digest_u64(d, rule->index);
	berm_digest_u64(d, rule->dir);
	berm_digest_u64(d, rule->action | (uint64_t)rule->unsupported << 8 |
				   (uint64_t)rule->mode << 16);
	berm_digest_u64(d, rule->peer_count);
	for (size_t i = 0; i < rule->peer_count; i++)
		mix_peer(d, &rule->peer[i]);
	berm_digest_u64(d, rule->port_count);
	for (size_t i = 0; i < rule->port_count; i++) {
		const struct berm_port_term *port = &rule->port[i];

		berm_digest_u64(d, port->plane | (uint64_t)port->all << 8 |
					   (uint64_t)port->first << 16 |
					   (uint64_t)port->last << 32);
		mix_text(d, port->name);
	}
}

uint64_t berm_policy_digest(const struct berm_policy *policy)
{
	struct berm_digester d;

	berm_digest_start(&d);
	berm_digest_u64(&d, policy->kind);
	berm_digest_u64(&d, policy->tier);
	berm_digest_u64(&d, (uint64_t)policy->priority);
	mix_text(&d, policy->ns);
	mix_text(&d, policy->name);
	berm_digest_u64(&d,
			policy->cluster_wide | policy->disabled << 1 | policy->has_ns_subject << 2 |
				policy->audit << 3);
	mix_selector(&d, &policy->ns_subject);
	mix_selector(&d, &policy->pod_subject);
	berm_digest_u64(&d, policy->isolate | (uint64_t)policy->essentials << 8 |
				    (uint64_t)policy->rejects << 16 |
				    (uint64_t)policy->on_change << 24);
	berm_digest_u64(&d, policy->rule_count);
	for (size_t i = 0; i < policy->rule_count; i++)
		mix_rule(&d, &policy->rule[i]);
	return berm_digest_end(&d).w[0];
}
