/* SPDX-License-Identifier: Apache-2.0 */
/* policy.c - life and digest of a policy in normal form. Knows no document and no rule's meaning. */
#include "policy.h"

#include <stdlib.h>
#include <string.h>

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

const char *berm_policy_kind_name(enum berm_policy_kind kind)
{
	return kind == BERM_KIND_NETWORK ? "NetworkPolicy" : "SegmentationPolicy";
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

/* ---- digest: FNV-1a, 64 bits (no secret to keep, no collision to fear from whoever writes both) ---- */

#define FNV_START 0xcbf29ce484222325ULL
#define FNV_PRIME 0x100000001b3ULL

static void mix(uint64_t *h, const void *data, size_t size)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < size; i++)
		*h = (*h ^ p[i]) * FNV_PRIME;
}

/* Numbers as 64 bits and texts with their length: two fields never run into each other. */
static void mix_number(uint64_t *h, uint64_t n)
{
	mix(h, &n, sizeof(n));
}

static void mix_text(uint64_t *h, const char *text)
{
	mix_number(h, text ? strlen(text) + 1 : 0);
	if (text)
		mix(h, text, strlen(text));
}

static void mix_selector(uint64_t *h, const struct berm_selector *sel)
{
	mix_number(h, sel->count);
	for (size_t i = 0; i < sel->count; i++) {
		const struct berm_requirement *req = &sel->item[i];

		mix_text(h, req->key);
		mix_number(h, req->op);
		mix_number(h, req->value_count);
		for (size_t v = 0; v < req->value_count; v++)
			mix_text(h, req->value[v]);
	}
}

static void mix_cidr(uint64_t *h, const struct berm_cidr *cidr)
{
	mix(h, cidr->addr.w, sizeof(cidr->addr.w));
	mix_number(h, cidr->bits | (uint64_t)cidr->v4 << 8);
}

static void mix_peer(uint64_t *h, const struct berm_peer_term *peer)
{
	mix_number(h, peer->any | peer->is_block << 1 | peer->unsupported << 2 |
			      peer->has_ns_selector << 3 | peer->has_pod_selector << 4);
	mix_selector(h, &peer->ns_selector);
	mix_selector(h, &peer->pod_selector);
	mix_cidr(h, &peer->block);
	mix_number(h, peer->except_count);
	for (size_t i = 0; i < peer->except_count; i++)
		mix_cidr(h, &peer->except[i]);
}

static void mix_rule(uint64_t *h, const struct berm_policy_rule *rule)
{
	mix_text(h, rule->name);
	mix_number(h, rule->index);
	mix_number(h, rule->dir);
	mix_number(h, rule->action);
	mix_number(h, rule->peer_count);
	for (size_t i = 0; i < rule->peer_count; i++)
		mix_peer(h, &rule->peer[i]);
	mix_number(h, rule->port_count);
	for (size_t i = 0; i < rule->port_count; i++) {
		const struct berm_port_term *port = &rule->port[i];

		mix_number(h, port->plane | (uint64_t)port->all << 8 | (uint64_t)port->first << 16 |
				      (uint64_t)port->last << 32);
		mix_text(h, port->name);
	}
}

uint64_t berm_policy_digest(const struct berm_policy *policy)
{
	uint64_t h = FNV_START;

	mix_number(&h, policy->kind);
	mix_number(&h, policy->tier);
	mix_number(&h, (uint64_t)policy->priority);
	mix_text(&h, policy->ns);
	mix_text(&h, policy->name);
	mix_number(&h, policy->cluster_wide | policy->disabled << 1 | policy->has_ns_subject << 2);
	mix_selector(&h, &policy->ns_subject);
	mix_selector(&h, &policy->pod_subject);
	mix_number(&h, policy->isolate | (uint64_t)policy->essentials << 8);
	mix_number(&h, policy->rule_count);
	for (size_t i = 0; i < policy->rule_count; i++)
		mix_rule(&h, &policy->rule[i]);
	return h;
}
