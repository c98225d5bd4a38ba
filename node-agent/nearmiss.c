// SPDX-License-Identifier: Apache-2.0
/* nearmiss.c - what is missing, rule by rule: ports, labels, namespaces, address blocks. Knows documents only. */
#include "nearmiss.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "maps.h"
#include "moment.h"

struct missing { /* of one rule, or of one of its peers */
	unsigned int count;
	char text[200];
};

__attribute__((format(printf, 2, 3))) static void lack(struct missing *m, const char *fmt, ...)
{
	size_t at = strlen(m->text);
	va_list ap;

	if (m->count++ && at + 6 < sizeof(m->text))
		at += (size_t)snprintf(m->text + at, sizeof(m->text) - at, " and ");
	va_start(ap, fmt);
	if (at < sizeof(m->text))
		vsnprintf(m->text + at, sizeof(m->text) - at, fmt, ap); /* cut is fine */
	va_end(ap);
}

/* ---- selectors ------------------------------------------------------------------------------------------- */

static void values_text(const struct berm_requirement *r, char *out, size_t size)
{
	size_t at = 0;

	*out = '\0';
	for (size_t i = 0; i < r->value_count && at < size; i++)
		at += (size_t)snprintf(out + at, size - at, "%s%s", i ? "|" : "", r->value[i]);
}

static void lack_requirement(struct missing *m, const struct berm_requirement *r,
			     const struct berm_labels *labels, const char *whose)
{
	struct berm_selector one = { (struct berm_requirement *)r, 1 }; /* only read */
	const char *has = berm_labels_get(labels, r->key);
	char values[96];

	if (berm_selector_matches(&one, labels))
		return;
	values_text(r, values, sizeof(values));
	if (r->op == BERM_OP_IN && has)
		lack(m, "the %s's label %s were %s (it is %s)", whose, r->key, values, has);
	else if (r->op == BERM_OP_IN)
		lack(m, "the %s had the label %s=%s (it has no %s)", whose, r->key, values, r->key);
	else if (r->op == BERM_OP_EXISTS)
		lack(m, "the %s had a label %s", whose, r->key);
	else
		lack(m, "the %s had no label %s=%s", whose, r->key, has ? has : "");
}

static void lack_selector(struct missing *m, const struct berm_selector *sel,
			  const struct berm_labels *labels, const char *whose)
{
	for (size_t i = 0; i < sel->count; i++)
		lack_requirement(m, &sel->item[i], labels, whose);
}

/* ---- peers --------------------------------------------------------------------------------------------------- */

static const struct berm_labels *labels_of(const struct berm_model *model, const char *ns)
{
	static const struct berm_labels none;
	const struct berm_namespace *object = berm_model_namespace(model, ns);

	return object ? &object->labels : &none;
}

static void lack_block(struct missing *m, const struct berm_peer_term *term,
		       const struct berm_addr *addr)
{
	char block[BERM_CIDR_STRLEN], own[BERM_ADDR_STRLEN];

	berm_addr_format(addr, own);
	if (!berm_cidr_contains(&term->block, addr)) {
		berm_cidr_format(&term->block, block);
		lack(m, "%s were in %s", own, block);
		return;
	}
	for (size_t i = 0; i < term->except_count; i++)
		if (berm_cidr_contains(&term->except[i], addr)) {
			berm_cidr_format(&term->except[i], block);
			lack(m, "%s were not in the except %s", own, block);
			return;
		}
}

static void lack_pod(const struct berm_model *model, struct missing *m,
		     const struct berm_policy *policy, const struct berm_peer_term *term,
		     const struct berm_pod *pod)
{
	bool own_ns = !term->has_ns_selector &&
		      (!policy->cluster_wide || policy->kind == BERM_KIND_NETWORK);

	if (!pod) {
		lack(m, "the address were that of a pod that the rule selects");
		return;
	}
	if (own_ns && strcmp(pod->ns, policy->ns) != 0)
		lack(m, "the peer were in namespace %s (it is in %s)", policy->ns, pod->ns);
	if (term->has_ns_selector)
		lack_selector(m, &term->ns_selector, labels_of(model, pod->ns), "peer's namespace");
	if (term->has_pod_selector)
		lack_selector(m, &term->pod_selector, &pod->labels, "peer");
}

static struct missing missing_of_term(const struct berm_model *model,
				      const struct berm_miss_question *q,
				      const struct berm_policy *policy,
				      const struct berm_peer_term *term)
{
	struct missing m = { 0 };

	if (term->ipset && term->unsupported)
		lack(&m, "the IPSet %s held its address", term->ipset);
	else if (term->unsupported)
		lack(&m, "this version knew all of its peers");
	else if (term->is_block)
		lack_block(&m, term, &q->peer_addr);
	else if (!term->any)
		lack_pod(model, &m, policy, term, q->peer);
	return m;
}

/* Any of its peers will do: the one that lacks least. */
static struct missing missing_of_peers(const struct berm_model *model,
				       const struct berm_miss_question *q,
				       const struct berm_policy *policy,
				       const struct berm_policy_rule *rule)
{
	struct missing best = { 0 };

	for (size_t i = 0; i < rule->peer_count; i++) {
		struct missing m = missing_of_term(model, q, policy, &rule->peer[i]);

		if (!i || m.count < best.count)
			best = m;
	}
	return best;
}

/* ---- ports --------------------------------------------------------------------------------------------------- */

static bool names_port(const struct berm_pod *pod, const struct berm_port_term *term, uint16_t port)
{
	for (size_t i = 0; pod && i < pod->port_count; i++)
		if (pod->port[i].name && pod->port[i].plane == term->plane &&
		    pod->port[i].port == port && !strcmp(pod->port[i].name, term->name))
			return true;
	return false;
}

/* Named ports are the destination's. */
static bool port_matches(const struct berm_miss_question *q, const struct berm_port_term *term)
{
	if (term->plane != q->plane)
		return false;
	if (term->name)
		return names_port(q->dir == BERM_INGRESS ? q->pod : q->peer, term, q->port);
	return term->all || (q->port >= term->first && q->port <= term->last);
}

static void port_text(const struct berm_port_term *term, char *out, size_t size)
{
	static const char *const plane[] = { "TCP", "UDP", "SCTP", "ICMP", "ICMPv6", "protocol" };

	if (term->name)
		snprintf(out, size, "%s '%s'", plane[term->plane], term->name);
	else if (term->all)
		snprintf(out, size, "%s", plane[term->plane]);
	else if (term->first == term->last)
		snprintf(out, size, "%s %u", plane[term->plane], term->first);
	else
		snprintf(out, size, "%s %u-%u", plane[term->plane], term->first, term->last);
}

static void lack_port(struct missing *m, const struct berm_miss_question *q,
		      const struct berm_policy_rule *rule)
{
	char text[80] = "", one[48];
	size_t at = 0;

	for (size_t i = 0; i < rule->port_count; i++)
		if (port_matches(q, &rule->port[i]))
			return;
	for (size_t i = 0; i < rule->port_count && i < 3 && at < sizeof(text); i++) {
		port_text(&rule->port[i], one, sizeof(one));
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s", i ? " or " : "", one);
	}
	if (rule->port_count)
		lack(m, "the port were %s", text);
}

/* ---- rules --------------------------------------------------------------------------------------------------- */

static bool selects(const struct berm_model *model, const struct berm_policy *policy,
		    const struct berm_pod *pod)
{
	bool anywhere = policy->cluster_wide && policy->kind != BERM_KIND_NETWORK;

	if (policy->disabled || policy->audit || (!anywhere && strcmp(policy->ns, pod->ns) != 0))
		return false;
	if (policy->has_ns_subject &&
	    !berm_selector_matches(&policy->ns_subject, labels_of(model, pod->ns)))
		return false;
	return berm_selector_matches(&policy->pod_subject, &pod->labels);
}

static void keep(struct berm_miss *out, unsigned int *count, const struct berm_miss *miss)
{
	unsigned int at = *count;

	while (at && out[at - 1].missing > miss->missing)
		at--;
	if (at == BERM_MISSES)
		return;
	if (*count < BERM_MISSES)
		(*count)++;
	memmove(out + at + 1, out + at, (*count - 1 - at) * sizeof(*out));
	out[at] = *miss;
}

/* Out of its schedule, and else the same. */
static void try_shut(const struct berm_model *model, const struct berm_miss_question *q,
		     struct berm_miss *miss, int64_t opens_s)
{
	struct missing m = missing_of_peers(model, q, miss->policy, miss->rule);
	char when[BERM_MOMENT_STRLEN];

	lack_port(&m, q, miss->rule);
	berm_moment_format(opens_s, when);
	lack(&m, "its schedule were open (it opens at %s)", when);
	miss->missing = m.count;
	snprintf(miss->text, sizeof(miss->text), "if %s", m.text);
}

/* When the rule is there again; 0: it is there, or has expired. */
static int64_t opens_at(const struct berm_policy *policy, const struct berm_policy_rule *rule,
			int64_t now_s)
{
	const struct berm_schedule *both[] = { &policy->schedule, &rule->schedule };
	int64_t since, until, opens = 0;

	if ((policy->expires && policy->expires <= now_s) ||
	    (rule->expires && rule->expires <= now_s))
		return 0;
	for (size_t i = 0; i < 2; i++)
		if (both[i]->count && !berm_schedule_at(both[i], now_s, &since, &until) &&
		    until > opens)
			opens = until;
	return opens;
}

static void try_rule(const struct berm_model *model, const struct berm_miss_question *q,
		     struct berm_miss *miss)
{
	struct missing m = missing_of_peers(model, q, miss->policy, miss->rule);

	lack_port(&m, q, miss->rule);
	miss->missing = m.count;
	snprintf(miss->text, sizeof(miss->text), "if %s", m.text);
}

static bool is_allowing(const struct berm_miss_question *q, const struct berm_policy_rule *rule)
{
	return rule->dir == q->dir && rule->action == BERM_RULE_ALLOW &&
	       rule->mode == BERM_MODE_ENFORCE;
}

static void find_shut(const struct berm_model *model, const struct berm_miss_question *q,
		      const struct berm_policy *written, struct berm_miss *out, unsigned int *count)
{
	if (!selects(model, written, q->pod))
		return;
	for (size_t r = 0; r < written->rule_count; r++) {
		struct berm_miss miss = { .policy = written, .rule = &written->rule[r] };
		int64_t opens = opens_at(written, miss.rule, model->now_s);

		if (!opens || !is_allowing(q, miss.rule))
			continue;
		try_shut(model, q, &miss, opens);
		keep(out, count, &miss);
	}
}

unsigned int berm_near_misses(const struct berm_model *model, const struct berm_miss_question *q,
			      struct berm_miss out[BERM_MISSES])
{
	unsigned int count = 0;

	for (size_t i = 0; i < model->policy_count; i++) {
		const struct berm_policy *policy = model->policies[i];

		if (policy->written)
			find_shut(model, q, policy->written, out, &count);
		if (!selects(model, policy, q->pod))
			continue;
		for (size_t r = 0; r < policy->rule_count; r++) {
			struct berm_miss miss = { .policy = policy, .rule = &policy->rule[r] };

			if (!is_allowing(q, miss.rule))
				continue;
			try_rule(model, q, &miss);
			if (miss.missing) /* else it matches, and something before it decides */
				keep(out, &count, &miss);
		}
	}
	return count;
}
