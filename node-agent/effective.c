/* SPDX-License-Identifier: Apache-2.0 */
/*
 * effective.c - a written policy, the IPSets and the time -> the policy that is in force. The effective policy
 * borrows from the written one whatever is the same in both; berm_policy_free() knows.
 */
#include "effective.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "moment.h"

bool berm_policy_is_conditional(const struct berm_policy *written)
{
	if (written->expires || written->schedule.count)
		return true;
	for (size_t i = 0; i < written->rule_count; i++) {
		const struct berm_policy_rule *rule = &written->rule[i];

		if (rule->expires || rule->schedule.count)
			return true;
		for (size_t p = 0; p < rule->peer_count; p++)
			if (rule->peer[p].ipset)
				return true;
	}
	return false;
}

const struct berm_ipset *berm_effective_ipset(const struct berm_model *model, const char *ns,
					      const char *name)
{
	const struct berm_policy *found = berm_model_policy(model, BERM_KIND_IPSET, ns, name);

	if (!found)
		found = berm_model_policy(model, BERM_KIND_IPSET, BERM_SYSTEM_NAMESPACE, name);
	return found ? &found->set : NULL;
}

bool berm_effective_names(const struct berm_policy *written, const char *ns, const char *name)
{
	if (strcmp(ns, written->ns) != 0 && strcmp(ns, BERM_SYSTEM_NAMESPACE) != 0)
		return false;
	for (size_t i = 0; i < written->rule_count; i++)
		for (size_t p = 0; p < written->rule[i].peer_count; p++)
			if (written->rule[i].peer[p].ipset &&
			    !strcmp(written->rule[i].peer[p].ipset, name))
				return true;
	return false;
}

/* ---- time -------------------------------------------------------------------------------------------------------- */

/* Narrows the span in which the effective policy is what it is. */
static bool has_expired(struct berm_policy *out, int64_t expires, int64_t now_s)
{
	if (!expires)
		return false;
	if (expires <= now_s) {
		out->since_s = expires > out->since_s ? expires : out->since_s;
		return true;
	}
	out->until_s = expires < out->until_s ? expires : out->until_s;
	return false;
}

static bool is_shut(struct berm_policy *out, const struct berm_schedule *schedule, int64_t now_s)
{
	int64_t since_s, until_s;
	bool is_open;

	if (!schedule->count)
		return false;
	is_open = berm_schedule_at(schedule, now_s, &since_s, &until_s);
	out->since_s = since_s > out->since_s ? since_s : out->since_s;
	out->until_s = until_s < out->until_s ? until_s : out->until_s;
	return !is_open;
}

/* ---- peers ------------------------------------------------------------------------------------------------------- */

struct making {
	const struct berm_model *model;
	const struct berm_policy *written;
	struct berm_policy *out;
	bool is_open; /* whatever the schedules say */
};

/* The part of a block that the excepts leave: false if nothing. */
static bool cut(const struct berm_peer_term *peer, struct berm_peer_term *term)
{
	for (size_t i = 0; i < peer->except_count; i++) {
		if (berm_cidr_covers(&peer->except[i], &term->block))
			return false;
		if (berm_cidr_covers(&term->block, &peer->except[i]))
			term->except[term->except_count++] = peer->except[i];
	}
	return true;
}

static int add_block(const struct berm_peer_term *peer, const struct berm_cidr *block,
		     struct berm_policy_rule *rule)
{
	struct berm_peer_term *term = &rule->peer[rule->peer_count];

	*term = (struct berm_peer_term){ .is_block = true, .block = *block, .ipset = peer->ipset };
	if (peer->except_count) {
		term->except = calloc(peer->except_count, sizeof(*term->except));
		if (!term->except)
			return -ENOMEM;
	}
	if (cut(peer, term))
		rule->peer_count++;
	else
		free(term->except);
	return 0;
}

/* A set that is missing is a peer that this version does not know: in an Allow and a Log it matches nothing, anything
 * else denies everything. */
static int add_set(const struct making *m, const struct berm_peer_term *peer,
		   struct berm_policy_rule *rule)
{
	const struct berm_ipset *set = berm_effective_ipset(m->model, m->written->ns, peer->ipset);
	int rc = 0;

	if (!set || m->out->is_over) {
		rule->peer[rule->peer_count++] =
			(struct berm_peer_term){ .unsupported = true, .ipset = peer->ipset };
		return 0;
	}
	for (size_t i = 0; !rc && i < set->count; i++)
		rc = add_block(peer, &set->cidr[i], rule);
	return rc;
}

/* How many blocks the rule's IPSets have; has_set: it names any. */
static size_t count_blocks(const struct making *m, const struct berm_policy_rule *rule,
			   bool *has_set)
{
	size_t count = 0;

	*has_set = false;
	for (size_t i = 0; i < rule->peer_count; i++) {
		const struct berm_ipset *set;

		if (!rule->peer[i].ipset)
			continue;
		*has_set = true;
		set = berm_effective_ipset(m->model, m->written->ns, rule->peer[i].ipset);
		count += set ? set->count : 0;
	}
	return count;
}

/* The rule with blocks in place of sets. */
static int expand(const struct making *m, const struct berm_policy_rule *rule, size_t blocks)
{
	struct berm_policy_rule *out = &m->out->rule[m->out->rule_count];
	int rc = 0;

	*out = *rule;
	out->peer_count = 0;
	out->peer = calloc(rule->peer_count + (m->out->is_over ? 0 : blocks), sizeof(*out->peer));
	if (!out->peer)
		return -ENOMEM;
	out->is_expanded = true;
	m->out->rule_count++;
	for (size_t i = 0; !rc && i < rule->peer_count; i++) {
		if (rule->peer[i].ipset)
			rc = add_set(m, &rule->peer[i], out);
		else
			out->peer[out->peer_count++] = rule->peer[i];
	}
	if (!rc && !out->peer_count) { /* empty sets: no peers at all would mean everyone */
		free(out->peer);
		m->out->rule_count--;
	}
	return rc;
}

static int take_rule(const struct making *m, const struct berm_policy_rule *rule)
{
	bool has_set;
	size_t blocks;

	if (has_expired(m->out, rule->expires, m->model->now_s))
		return 0;
	if (!m->is_open && is_shut(m->out, &rule->schedule, m->model->now_s))
		return 0;
	blocks = count_blocks(m, rule, &has_set);
	m->out->expanded += blocks;
	if (has_set)
		return expand(m, rule, blocks);
	m->out->rule[m->out->rule_count++] = *rule;
	return 0;
}

/* ---- the policy -------------------------------------------------------------------------------------------------- */

/* Without rules; NULL: no memory. */
static struct berm_policy *copy(struct berm_policy *written)
{
	struct berm_policy *out = malloc(sizeof(*out));

	if (!out)
		return NULL;
	*out = *written;
	out->since_s = INT64_MIN;
	out->until_s = INT64_MAX;
	out->expanded = 0;
	out->rule_count = 0;
	out->rule = calloc(written->rule_count + 1, sizeof(*out->rule));
	out->written = written;
	if (out->rule)
		return out;
	free(out);
	return NULL;
}

static int make(struct making *m, struct berm_policy **ret)
{
	struct berm_policy *out = m->out;
	const struct berm_policy *written = m->written;
	int rc = 0;

	if (has_expired(out, written->expires, m->model->now_s))
		out->disabled = true;
	else if (!m->is_open && is_shut(out, &written->schedule, m->model->now_s))
		out->is_shut = out->disabled = true;
	for (size_t i = 0; !rc && !out->disabled && i < written->rule_count; i++)
		rc = take_rule(m, &written->rule[i]);
	if (!rc) {
		*ret = out;
		return 0;
	}
	out->written = NULL;
	berm_policy_free_effective(out);
	return rc;
}

int berm_effective_make(const struct berm_model *model, struct berm_policy *written, bool is_over,
			struct berm_policy **ret)
{
	struct making m = { .model = model, .written = written, .out = copy(written) };

	if (!m.out)
		return -ENOMEM;
	m.out->is_over = is_over;
	return make(&m, ret);
}

int berm_effective_open(const struct berm_model *model, const struct berm_policy *effective,
			struct berm_policy **ret)
{
	struct making m = { .model = model,
			    .written = effective->written,
			    .out = copy(effective->written),
			    .is_open = true };

	if (!m.out)
		return -ENOMEM;
	m.out->is_over = effective->is_over;
	return make(&m, ret);
}

bool berm_policy_has_schedule(const struct berm_policy *written)
{
	if (written->schedule.count)
		return true;
	for (size_t i = 0; i < written->rule_count; i++)
		if (written->rule[i].schedule.count)
			return true;
	return false;
}

/* ---- telling ----------------------------------------------------------------------------------------------------- */

struct telling {
	const struct berm_model *model;
	const struct berm_policy *policy; /* effective */
	struct berm_problems *problems;
};

static int tell(const struct telling *t, const char *field, enum berm_severity severity,
		const char *message, const char *hint)
{
	char document[384];
	struct berm_problem problem = {
		.severity = severity,
		.source = t->policy->source,
		.line = t->policy->line,
		.field = (char *)field,
		.message = (char *)message,
		.hint = (char *)hint,
		.document = document,
	};

	berm_policy_title(t->policy->kind, t->policy->ns, t->policy->name, document,
			  sizeof(document));
	return berm_problems_add(t->problems, &problem);
}

static void field_of(const struct berm_policy_rule *rule, const char *member, char out[64])
{
	snprintf(out, 64, "%s[%u].%s", rule->dir == BERM_INGRESS ? "ingress" : "egress",
		 rule->index, member);
}

static int tell_missing(const struct telling *t, const struct berm_policy_rule *rule,
			const char *name)
{
	bool is_open = rule->action == BERM_RULE_ALLOW || rule->action == BERM_RULE_LOG;
	char field[64], message[512];

	field_of(rule, rule->dir == BERM_INGRESS ? "from" : "to", field);
	snprintf(message, sizeof(message), "there is no IPSet '%s' in namespace %s%s: %s", name,
		 t->policy->ns,
		 strcmp(t->policy->ns, BERM_SYSTEM_NAMESPACE) ? " or " BERM_SYSTEM_NAMESPACE : "",
		 is_open ? "this peer matches nothing" : "the rule denies everyone everything");
	return tell(t, field, BERM_WARNING, message,
		    "add the IPSet, or see what is wrong with its document");
}

static int tell_rule(const struct telling *t, const struct berm_policy_rule *rule)
{
	char field[64], message[128], when[BERM_MOMENT_STRLEN];
	int rc = 0;

	if (rule->expires && rule->expires <= t->model->now_s) {
		berm_moment_format(rule->expires, when);
		field_of(rule, "expires", field);
		snprintf(message, sizeof(message),
			 "expired at %s: the rule is not in force any more", when);
		return tell(t, field, BERM_WARNING, message,
			    "remove the rule, or give it more time");
	}
	for (size_t i = 0; !rc && i < rule->peer_count; i++)
		if (rule->peer[i].ipset &&
		    !berm_effective_ipset(t->model, t->policy->ns, rule->peer[i].ipset))
			rc = tell_missing(t, rule, rule->peer[i].ipset);
	return rc;
}

static int tell_expired(const struct telling *t)
{
	char message[128], when[BERM_MOMENT_STRLEN];

	berm_moment_format(t->policy->written->expires, when);
	snprintf(message, sizeof(message), "expired at %s: the document is not in force any more",
		 when);
	return tell(t, "expires", BERM_WARNING, message,
		    "remove the document, or give it more time");
}

static int tell_policy(const struct telling *t)
{
	const struct berm_policy *written = t->policy->written;
	int rc = 0;

	if (written->disabled)
		return 0;
	if (written->expires && written->expires <= t->model->now_s)
		return tell_expired(t);
	if (t->policy->is_over)
		rc = tell(t, NULL, BERM_ERROR,
			  "over the limit of 65,536 blocks by way of IPSets in rules of one namespace: "
			  "its IPSets count as missing",
			  "name the IPSet in fewer rules, or make it smaller");
	for (size_t i = 0; !rc && i < written->rule_count; i++)
		rc = tell_rule(t, &written->rule[i]);
	return rc;
}

/* Of LabelMappings and AgentConfigs the first by name counts; they stand together. */
static bool is_alone_in_force(const struct berm_policy *companion)
{
	return companion->kind == BERM_KIND_MAPPING || companion->kind == BERM_KIND_AGENT_CONFIG;
}

static int tell_second(const struct berm_model *model, size_t at, struct berm_problems *problems)
{
	struct telling t = { model, model->companions[at], problems };
	size_t first = at;
	char message[400];

	while (first && model->companions[first - 1]->kind == t.policy->kind)
		first--;
	snprintf(message, sizeof(message), "%s %s comes before it by name: this one does nothing",
		 berm_policy_kind_name(t.policy->kind), model->companions[first]->name);
	return tell(&t, NULL, BERM_WARNING, message, "make one of them");
}

int berm_effective_problems(const struct berm_model *model, struct berm_problems *problems)
{
	int rc = 0;

	for (size_t i = 1; !rc && i < model->companion_count; i++)
		if (is_alone_in_force(model->companions[i]) &&
		    model->companions[i - 1]->kind == model->companions[i]->kind)
			rc = tell_second(model, i, problems);
	for (size_t i = 0; !rc && i < model->policy_count; i++) {
		struct telling t = { model, model->policies[i], problems };

		if (t.policy->written)
			rc = tell_policy(&t);
	}
	return rc;
}
