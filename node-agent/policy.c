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
	free(peer->ipset);
}

static void rule_clear(struct berm_policy_rule *rule)
{
	for (size_t i = 0; i < rule->peer_count; i++)
		peer_clear(&rule->peer[i]);
	for (size_t i = 0; i < rule->port_count; i++)
		free(rule->port[i].name);
	berm_schedule_clear(&rule->schedule);
	free(rule->peer);
	free(rule->port);
	free(rule->name);
}

void berm_policy_cut_rules(struct berm_policy *policy, size_t count)
{
	while (policy->rule_count > count)
		rule_clear(&policy->rule[--policy->rule_count]);
}

void berm_policy_cut_flows(struct berm_policy *policy)
{
	for (size_t i = 0; i < policy->flow_count; i++)
		free(policy->flow[i].name);
	free(policy->flow);
	policy->flow = NULL;
	policy->flow_count = 0;
}

/* What else there is belongs to the written one. */
void berm_policy_free_effective(struct berm_policy *policy)
{
	for (size_t i = 0; i < policy->rule_count; i++) {
		struct berm_policy_rule *rule = &policy->rule[i];

		for (size_t p = 0; rule->is_expanded && p < rule->peer_count; p++)
			if (rule->peer[p].ipset)
				free(rule->peer[p].except);
		if (rule->is_expanded)
			free(rule->peer);
	}
	free(policy->rule);
	free(policy);
}

static void end_clear(struct berm_expect_end *end)
{
	free(end->ns);
	berm_labels_clear(&end->labels);
	berm_labels_clear(&end->ns_labels);
}

void berm_policy_cut_expectations(struct berm_policy *policy)
{
	for (size_t i = 0; i < policy->expect_count; i++) {
		end_clear(&policy->expect[i].from);
		end_clear(&policy->expect[i].to);
	}
	free(policy->expect);
	policy->expect = NULL;
	policy->expect_count = 0;
}

void berm_policy_free(struct berm_policy *policy)
{
	if (!policy)
		return;
	if (policy->written) {
		berm_policy_free(policy->written);
		berm_policy_free_effective(policy);
		return;
	}
	berm_policy_cut_rules(policy, 0);
	berm_policy_cut_flows(policy);
	berm_policy_cut_expectations(policy);
	free(policy->rule);
	berm_selector_clear(&policy->ns_subject);
	berm_selector_clear(&policy->pod_subject);
	berm_ipset_clear(&policy->set);
	berm_mapping_clear(&policy->mapping);
	berm_schedule_clear(&policy->schedule);
	berm_agent_config_free(policy->config);
	free(policy->ns);
	free(policy->name);
	free(policy->source);
	free(policy);
}

static const char *const kind_name[BERM_KIND_COUNT] = {
	[BERM_KIND_SEGMENTATION] = "SegmentationPolicy",
	[BERM_KIND_NETWORK] = "NetworkPolicy",
	[BERM_KIND_CLUSTER] = "ClusterNetworkPolicy",
	[BERM_KIND_MAPPING] = "LabelMapping",
	[BERM_KIND_IPSET] = "IPSet",
	[BERM_KIND_AGENT_CONFIG] = "AgentConfig",
};

bool berm_policy_is_companion(enum berm_policy_kind kind)
{
	return kind == BERM_KIND_IPSET || kind == BERM_KIND_MAPPING ||
	       kind == BERM_KIND_AGENT_CONFIG;
}

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

static void mix_mapping(struct berm_digester *d, const struct berm_mapping *mapping)
{
	for (int i = 0; i < BERM_DIMENSION_COUNT; i++) {
		const struct berm_mapping_of *of = &mapping->of[i];

		berm_digest_u64(d, of->is_given | (uint64_t)of->count << 1);
		for (size_t k = 0; k < of->count; k++) {
			berm_digest_u64(d, of->source[k].of_pod);
			mix_text(d, of->source[k].key);
		}
	}
}

static void mix_essential(struct berm_digester *d, const struct berm_essential *essential)
{
	berm_digest_u64(d, essential->is_given);
	berm_digest_u64(d, essential->service_count);
	for (size_t i = 0; i < essential->service_count; i++) {
		mix_text(d, essential->service[i].ns);
		mix_text(d, essential->service[i].name);
	}
	berm_digest_u64(d, essential->pods_count);
	for (size_t i = 0; i < essential->pods_count; i++) {
		mix_text(d, essential->pods[i].ns);
		mix_selector(d, &essential->pods[i].selector);
	}
	berm_digest_u64(d, essential->place_count);
	for (size_t i = 0; i < essential->place_count; i++) {
		berm_digest_bytes(d, essential->place[i].addr.w,
				  sizeof(essential->place[i].addr.w));
		berm_digest_u64(d, essential->place[i].port);
	}
}

/* Of AgentConfigs only: the digests of all else are as they were. */
static void mix_config(struct berm_digester *d, const struct berm_agent_config *config)
{
	if (!config)
		return;
	for (int i = 0; i < BERM_ESSENTIAL_COUNT; i++)
		mix_essential(d, &config->essential[i]);
	berm_digest_u64(d, config->has_log_level | config->has_missing_state << 1 |
				   config->missing_pass << 2 | (uint64_t)config->log_level << 8 |
				   (uint64_t)config->feedback_s << 16);
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
	mix_text(d, peer->ipset);
}

/* What has no schedule has the digest that it had before there were any. */
static void mix_schedule(struct berm_digester *d, const struct berm_schedule *schedule)
{
	if (!schedule->count)
		return;
	berm_digest_text(d, "schedule");
	berm_digest_u64(d, schedule->count);
	for (size_t i = 0; i < schedule->count; i++)
		berm_digest_u64(d, schedule->open[i].first_s | (uint64_t)schedule->open[i].end_s
								       << 32);
}

static void mix_rule(struct berm_digester *d, const struct berm_policy_rule *rule)
{
	mix_text(d, rule->name);
	berm_digest_u64(d, rule->index);
	berm_digest_u64(d, rule->dir);
	berm_digest_u64(d, rule->action | (uint64_t)rule->unsupported << 8 |
				   (uint64_t)rule->mode << 16 | (uint64_t)rule->app << 24 |
				   (uint64_t)rule->rejects_others << 32);
	berm_digest_u64(d, rule->sample | (uint64_t)rule->burst << 32);
	berm_digest_u64(d, rule->interval_ns);
	berm_digest_u64(d, (uint64_t)rule->expires);
	mix_schedule(d, &rule->schedule);
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

static void mix_flow(struct berm_digester *d, const struct berm_policy_flow *flow)
{
	mix_text(d, flow->name);
	berm_digest_u64(d, flow->index);
	berm_digest_u64(d, flow->dir | flow->action << 8 | flow->plane << 16);
	berm_digest_bytes(d, flow->src.w, sizeof(flow->src.w));
	berm_digest_bytes(d, flow->dst.w, sizeof(flow->dst.w));
	berm_digest_u64(d, flow->src_port | (uint64_t)flow->dst_port << 16);
}

static void mix_labels(struct berm_digester *d, const struct berm_labels *labels)
{
	berm_digest_u64(d, labels->count);
	for (size_t i = 0; i < labels->count; i++) {
		mix_text(d, labels->item[i].key);
		mix_text(d, labels->item[i].value);
	}
}

static void mix_end(struct berm_digester *d, const struct berm_expect_end *end)
{
	berm_digest_u64(d, end->is_addr);
	berm_digest_bytes(d, end->addr.w, sizeof(end->addr.w));
	mix_text(d, end->ns);
	mix_labels(d, &end->labels);
	mix_labels(d, &end->ns_labels);
}

/* A document that expects nothing has the digest that it had before there were expectations. */
static void mix_expectations(struct berm_digester *d, const struct berm_policy *policy)
{
	for (size_t i = 0; i < policy->expect_count; i++) {
		const struct berm_expectation *e = &policy->expect[i];

		mix_end(d, &e->from);
		mix_end(d, &e->to);
		berm_digest_u64(d, e->plane | (uint64_t)e->port << 8 | (uint64_t)e->is_allow << 32);
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
	berm_digest_u64(&d, policy->cluster_wide | policy->disabled << 1 |
				    policy->has_ns_subject << 2 | policy->audit << 3);
	mix_selector(&d, &policy->ns_subject);
	mix_selector(&d, &policy->pod_subject);
	berm_digest_u64(&d, policy->isolate | (uint64_t)policy->essentials << 8 |
				    (uint64_t)policy->rejects << 16 |
				    (uint64_t)policy->on_change << 24);
	berm_digest_u64(&d, (uint64_t)policy->expires);
	mix_schedule(&d, &policy->schedule);
	mix_mapping(&d, &policy->mapping);
	mix_config(&d, policy->config);
	berm_digest_u64(&d, policy->set.count);
	for (size_t i = 0; i < policy->set.count; i++)
		mix_cidr(&d, &policy->set.cidr[i]);
	berm_digest_u64(&d, policy->rule_count);
	for (size_t i = 0; i < policy->rule_count; i++)
		mix_rule(&d, &policy->rule[i]);
	berm_digest_u64(&d, policy->flow_count);
	for (size_t i = 0; i < policy->flow_count; i++)
		mix_flow(&d, &policy->flow[i]);
	mix_expectations(&d, policy);
	return berm_digest_end(&d).w[0];
}
