// SPDX-License-Identifier: Apache-2.0
/*
 * compile_rule.c - written rules: their place in the walk, their ids and names. Does not know what they match.
 *
 * An id is a hash of who the rule is (kind, namespace, policy, direction, name), not of what it says or
 * where it stands: sessions and metrics keep meaning the same rule while documents change.
 */
#include <inttypes.h>
#include <stdio.h>

#include "compiler.h"

/* ---- from documents ------------------------------------------------------------------------------------ */

static const uint8_t stage_of_tier[BERM_TIER_COUNT] = {
	[BERM_TIER_EMERGENCY] = STAGE_EMERGENCY,
	[BERM_TIER_ADMIN] = STAGE_ADMIN,
	[BERM_TIER_APPLICATION] = STAGE_APPLICATION,
	[BERM_TIER_NETWORKPOLICY] = STAGE_NETWORKPOLICY,
	[BERM_TIER_BASELINE] = STAGE_BASELINE,
};

/* At equal priority: Deny and Reject, Allow, Log, Pass; before them all flows, in the same order. */
static const uint8_t action_order[] = {
	[BERM_RULE_DENY] = 2, [BERM_RULE_REJECT] = 2, [BERM_RULE_ALLOW] = 3,
	[BERM_RULE_LOG] = 4,  [BERM_RULE_PASS] = 5,
};
#define ORDER_FLOW 2 /* less */

/* A SegmentationPolicy before a ClusterNetworkPolicy; rules of the latter as they are written. */
#define ORDER_CLUSTER 8

uint32_t berm_compile_precedence(const struct berm_policy *policy, uint8_t stage, uint8_t action,
				 bool is_flow)
{
	uint32_t first = (uint32_t)stage << 20;

	if (policy->kind == BERM_KIND_NETWORK)
		return first | action_order[action];
	first |= (uint32_t)policy->priority << 4;
	if (policy->kind == BERM_KIND_CLUSTER)
		return first | ORDER_CLUSTER;
	return first | (uint32_t)(action_order[action] - (is_flow ? ORDER_FLOW : 0));
}

uint8_t berm_compile_stage(const struct berm_policy *policy)
{
	return stage_of_tier[policy->kind == BERM_KIND_NETWORK ? BERM_TIER_NETWORKPOLICY
							       : policy->tier];
}

static bool has_unsupported(const struct berm_policy_rule *rule)
{
	if (rule->unsupported)
		return true;
	for (size_t i = 0; i < rule->peer_count; i++)
		if (rule->peer[i].unsupported)
			return true;
	return false;
}

static int add_rule(struct compiler *c, uint32_t policy, const struct berm_policy_rule *rule)
{
	const struct berm_policy *p = c->model->policies[policy];
	struct compile_rule out = {
		.policy = p,
		.rule = rule,
		.policy_index = policy,
		.stage = berm_compile_stage(p),
		.action = rule->action,
		.is_audit = berm_rule_is_audit(p, rule),
		.group = GROUP_ANY,
	};
	int rc = 0;

	if (rule->action != BERM_RULE_ALLOW && rule->action != BERM_RULE_LOG &&
	    has_unsupported(rule)) {
		/* Fail closed: a Pass that matched too much would open the tier. */
		out.action = BERM_RULE_DENY;
		out.all_ports = true;
	} else if (rule->unsupported) {
		return 0; /* an Allow of it matches nothing */
	} else {
		rc = berm_compile_group(c, &out, &out.group);
	}
	if (rc || out.group == NONE)
		return rc; /* NONE: no peer is left, it matches nothing */
	out.precedence = berm_compile_precedence(p, out.stage, out.action, false);
	if (berm_compile_rule_ports(c, &out))
		return -ENOMEM;
	return array_push(&c->rule, out);
}

/* Of a NetworkPolicy only the directions in policyTypes count. */
static bool counts(const struct compiler *c, uint32_t policy, const struct berm_policy_rule *rule)
{
	const struct berm_policy *p = c->model->policies[policy];

	if (rule->mode == BERM_MODE_DISABLED || c->refused[policy])
		return false;
	if (rule->action == BERM_RULE_LOG && berm_rule_is_audit(p, rule))
		return false; /* it would decide nothing either */
	return p->kind != BERM_KIND_NETWORK || (p->isolate & 1 << rule->dir);
}

int berm_compile_policy(struct compiler *c, uint32_t policy)
{
	const struct berm_policy *p = c->model->policies[policy];
	struct compile_policy *out = &c->policy[policy];

	if (out->used)
		return 0;
	out->used = true;
	out->rule = (uint32_t)c->rule.count;
	for (size_t i = 0; i < p->rule_count; i++)
		if (counts(c, policy, &p->rule[i]) && add_rule(c, policy, &p->rule[i]))
			return -ENOMEM;
	out->rule_count = (uint32_t)c->rule.count - out->rule;
	return 0;
}

/* ---- order ------------------------------------------------------------------------------------------------ */

static int cmp_order(const void *a, const void *b, void *rules)
{
	const struct compile_rule *x = (const struct compile_rule *)rules + *(const uint32_t *)a;
	const struct compile_rule *y = (const struct compile_rule *)rules + *(const uint32_t *)b;
	int rc;

	if (x->precedence != y->precedence)
		return x->precedence < y->precedence ? -1 : 1;
	rc = strcmp(x->policy->ns, y->policy->ns);
	if (!rc)
		rc = strcmp(x->policy->name, y->policy->name);
	if (rc)
		return rc;
	if (x->rule->dir != y->rule->dir)
		return x->rule->dir < y->rule->dir ? -1 : 1;
	return (x->rule->index > y->rule->index) - (x->rule->index < y->rule->index);
}

static int cmp_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Ranks are collected and sorted, then turned into the rules that have them. */
static int order_subject(const struct compiler *c, struct compile_subject *s, const uint32_t *order)
{
	for (size_t i = 0; i < s->policy_count; i++) {
		const struct compile_policy *p = &c->policy[s->policy[i]];

		for (uint32_t r = p->rule; r < p->rule + p->rule_count; r++)
			if (c->rule.item[r].rule->dir == s->dir &&
			    (s->would ? c->rule.item[r].action != BERM_RULE_LOG
				      : !c->rule.item[r].is_audit) &&
			    array_push(&s->rule, c->rule.item[r].rank))
				return -ENOMEM;
	}
	if (s->rule.count)
		qsort(s->rule.item, s->rule.count, sizeof(*s->rule.item), cmp_number);
	for (size_t i = 0; i < s->rule.count; i++)
		s->rule.item[i] = order[s->rule.item[i]];
	return 0;
}

int berm_compile_order(struct compiler *c)
{
	uint32_t *order = calloc(c->rule.count + 1, sizeof(*order));
	int rc = 0;

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < c->rule.count; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, c->rule.count, sizeof(*order), cmp_order, c->rule.item);
	for (size_t i = 0; i < c->rule.count; i++)
		c->rule.item[order[i]].rank = (uint32_t)i;
	for (size_t i = 0; !rc && i < c->subject.count; i++)
		rc = order_subject(c, &c->subject.item[i], order);
	free(order);
	return rc;
}

/* ---- verdicts and their names ------------------------------------------------------------------------------- */

int berm_compile_verdict(struct compiler *c, const uint32_t *key, size_t count, uint32_t *ret)
{
	int rc = berm_intern(&c->verdict, key, count * sizeof(*key), ret);

	return rc < 0 ? rc : 0;
}

static void put_text(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text ? text : "");
}

static const char *const tier_name[] = {
	[STAGE_EMERGENCY] = "emergency",     [STAGE_ADMIN] = "admin",
	[STAGE_APPLICATION] = "application", [STAGE_NETWORKPOLICY] = "networkpolicy",
	[STAGE_BASELINE] = "baseline",
};

static struct berm_rule_name name_written(const struct berm_policy *policy, uint8_t stage,
					  uint8_t action)
{
	static const uint8_t verdict[] = {
		[BERM_RULE_ALLOW] = BERM_ACTION_ALLOW,
		[BERM_RULE_DENY] = BERM_ACTION_DENY,
		[BERM_RULE_REJECT] = BERM_ACTION_REJECT,
	};
	struct berm_rule_name out = {
		.action = verdict[action], /* Pass and Log decide nothing */
		.reason = action == BERM_RULE_ALLOW ? BERM_REASON_POLICY_ALLOW
			  : action == BERM_RULE_LOG ? BERM_REASON_NONE
						    : BERM_REASON_POLICY_DENY,
	};

	put_text(out.tier, sizeof(out.tier), tier_name[stage]);
	put_text(out.kind, sizeof(out.kind), berm_policy_kind_name(policy->kind));
	put_text(out.ns, sizeof(out.ns), policy->ns);
	put_text(out.policy, sizeof(out.policy), policy->name);
	return out;
}

static struct berm_rule_name name_rule(const struct compile_rule *r)
{
	struct berm_rule_name out = name_written(r->policy, r->stage, r->action);

	out.precedence = r->precedence;
	out.dir = r->rule->dir;
	out.app = r->rule->app;
	out.flags = r->rule->rejects_others ? BERM_RULE_REJECTS_OTHERS : 0;
	if (r->rule->name)
		put_text(out.rule, sizeof(out.rule), r->rule->name);
	else
		snprintf(out.rule, sizeof(out.rule), "#%" PRIu32, r->rule->index);
	return out;
}

/* No rule can be named like that. */
static struct berm_rule_name name_flow(const struct compile_flow *f)
{
	struct berm_rule_name out = name_written(f->policy, f->stage, f->flow->action);

	out.precedence = f->precedence;
	out.dir = f->dir;
	snprintf(out.rule, sizeof(out.rule), "flows%s%s", f->flow->name ? "/" : "",
		 f->flow->name ? f->flow->name : "");
	return out;
}

static struct berm_rule_name name_reason(uint8_t reason, uint8_t action, uint32_t stage)
{
	struct berm_rule_name out = {
		.id = reason,
		.precedence = stage << 20,
		.dir = reason == BERM_REASON_NOT_ISOLATED ? BERM_INGRESS : BERM_EGRESS,
		.action = action,
		.reason = reason,
	};

	put_text(out.tier, sizeof(out.tier), "implicit");
	return out;
}

/* All who isolate, as many as there is room for. */
static void list_policies(const struct compiler *c, const uint32_t *policy, size_t count, char *out,
			  size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < count && used < size; i++) {
		const struct berm_policy *p = c->model->policies[policy[i]];

		used += (size_t)snprintf(out + used, size - used, "%s%s%s%s", i ? "," : "", p->ns,
					 *p->ns ? "/" : "", p->name);
	}
}

/* Do all who isolate want it? */
static uint8_t implicit_action(const struct compiler *c, const uint32_t *policy, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!c->model->policies[policy[i]]->rejects)
			return BERM_ACTION_DENY;
	return BERM_ACTION_REJECT;
}

static struct berm_rule_name name_deny(const struct compiler *c, const uint32_t *key, size_t count)
{
	struct berm_rule_name out =
		name_reason(BERM_REASON_DEFAULT_DENY, BERM_ACTION_DENY, STAGE_ISOLATION);

	out.id = 0; /* it gets a name and an id of its own */
	out.dir = (uint8_t)key[1];
	put_text(out.policy, sizeof(out.policy), "default-deny");
	if (key[0] == VERDICT_IMPLICIT) {
		out.action = implicit_action(c, key + 2, count - 2);
		list_policies(c, key + 2, count - 2, out.rule, sizeof(out.rule));
		return out;
	}
	out.precedence = STAGE_DEFAULT << 20;
	put_text(out.kind, sizeof(out.kind), "Namespace");
	put_text(out.rule, sizeof(out.rule), c->ns.item[key[2]].name);
	return out;
}

static struct berm_rule_name name_verdict(const struct compiler *c, uint32_t verdict)
{
	size_t size;
	const uint32_t *key = berm_intern_key(&c->verdict, verdict, &size);

	switch ((enum compile_verdict_kind)key[0]) {
	case VERDICT_RULE:
		return name_rule(&c->rule.item[key[1]]);
	case VERDICT_LOGGED:
		return name_verdict(c, key[1]);
	case VERDICT_FLOW:
		return name_flow(&c->flow.item[key[1]]);
	case VERDICT_ESSENTIAL:
		return name_reason(BERM_REASON_ESSENTIAL, BERM_ACTION_ALLOW, STAGE_ISOLATION);
	case VERDICT_NOT_ISOLATED:
		return name_reason(BERM_REASON_NOT_ISOLATED, BERM_ACTION_ALLOW, STAGE_DEFAULT);
	case VERDICT_FALLBACK:
		return name_reason(BERM_REASON_FALLBACK, BERM_ACTION_DENY, STAGE_ISOLATION);
	case VERDICT_MIXED:
		return name_reason(BERM_REASON_SERVICE_MIXED, BERM_ACTION_DENY, STAGE_ISOLATION);
	case VERDICT_UNKNOWN:
		return name_reason(BERM_REASON_SERVICE_UNKNOWN, BERM_ACTION_DENY, STAGE_ISOLATION);
	case VERDICT_IMPLICIT:
	case VERDICT_NAMESPACE:
		break;
	}
	return name_deny(c, key, size / sizeof(*key));
}

/* ---- ids ------------------------------------------------------------------------------------------------------ */

struct named {
	struct berm_rule_name name;
	struct berm_digest who;
	uint32_t verdict;
	uint32_t base; /* the same without a Log */
	uint32_t log;  /* rank of the Log + 1; 0: none */
};

uint32_t berm_compile_unlogged(const struct compiler *c, uint32_t verdict, uint32_t *ret_log)
{
	const uint32_t *key = berm_intern_key(&c->verdict, verdict, NULL);

	*ret_log = key[0] == VERDICT_LOGGED ? key[2] : NONE;
	return key[0] == VERDICT_LOGGED ? key[1] : verdict;
}

int berm_compile_logged(struct compiler *c, uint32_t log, uint32_t *verdict)
{
	const uint32_t key[] = { VERDICT_LOGGED, *verdict, log };

	return log == NONE ? 0 : berm_compile_verdict(c, key, ARRAY_SIZE(key), verdict);
}

static void name_it(const struct compiler *c, struct named *n)
{
	uint32_t log;

	n->name = name_verdict(c, n->verdict);
	n->base = berm_compile_unlogged(c, n->verdict, &log);
	n->log = log == NONE ? 0 : c->rule.item[log].rank + 1;
}

/* The whole list of isolating policies, also what the name has no room for. */
static void digest_policies(const struct compiler *c, struct berm_digester *d, const uint32_t *key,
			    size_t count)
{
	for (size_t i = 2; i < count; i++) {
		const struct berm_policy *p = c->model->policies[key[i]];

		berm_digest_u64(d, p->kind);
		berm_digest_text(d, p->ns);
		berm_digest_text(d, p->name);
	}
}

static struct berm_digest identity(const struct compiler *c, const struct named *n)
{
	size_t size;
	const uint32_t *key = berm_intern_key(&c->verdict, n->base, &size);
	const struct berm_rule_name *name = &n->name;
	struct berm_digester d;

	berm_digest_start(&d);
	berm_digest_text(&d, name->kind);
	berm_digest_text(&d, name->ns);
	berm_digest_text(&d, name->policy);
	berm_digest_u64(&d, name->dir);
	if (key[0] == VERDICT_IMPLICIT)
		digest_policies(c, &d, key, size / sizeof(*key));
	else
		berm_digest_text(&d, name->rule);
	return berm_digest_end(&d);
}

static int cmp_named(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int rc;

	if (x->name.id != y->name.id)
		return x->name.id < y->name.id ? -1 : 1;
	rc = berm_digest_cmp(&x->who, &y->who);
	if (rc)
		return rc;
	if (x->name.precedence != y->name.precedence)
		return x->name.precedence < y->name.precedence ? -1 : 1;
	if (x->base != y->base)
		return x->base < y->base ? -1 : 1;
	return (x->log > y->log) - (x->log < y->log);
}

/* Two rules that hash to one id: the later one takes the next. Room is left at the end for that. */
static void assign_ids(const struct compiler *c, struct named *n, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		name_it(c, &n[i]);
		if (n[i].name.id)
			continue; /* a reason is its own id */
		n[i].who = identity(c, &n[i]);
		n[i].name.id =
			BERM_RULE_FIRST +
			(uint32_t)n[i].who.w[0] % (BERM_RULE_ID - BERM_RULE_FIRST - BERM_MAX_RULES);
	}
	qsort(n, count, sizeof(*n), cmp_named);
	for (size_t i = 1; i < count; i++) {
		if (n[i].base == n[i - 1].base)
			n[i].name.id = n[i - 1].name.id;
		else if (n[i].name.id >= BERM_RULE_FIRST && n[i].name.id <= n[i - 1].name.id)
			n[i].name.id = n[i - 1].name.id + 1;
	}
}

/* ---- what rules want besides: limits, and events for some of what they allow -------------------------------- */

static const struct compile_rule *rule_of_verdict_key(const struct compiler *c, uint32_t verdict)
{
	const uint32_t *key = berm_intern_key(&c->verdict, verdict, NULL);

	return key[0] == VERDICT_RULE ? &c->rule.item[key[1]] : NULL;
}

static uint32_t id_of_rule(struct compiler *c, const struct berm_plan *plan, uint32_t rule,
			   const uint32_t *rule_of_verdict)
{
	const uint32_t key[] = { VERDICT_RULE, rule };
	uint32_t verdict;

	if (!berm_intern_find(&c->verdict, key, sizeof(key), &verdict))
		return 0; /* cannot be: it was interned when it was met */
	return plan->rule[rule_of_verdict[verdict]].name.id;
}

static void add_extras(struct compiler *c, struct berm_plan *plan, uint32_t verdict,
		       const uint32_t *rule_of_verdict)
{
	struct berm_plan_rule *out = &plan->rule[rule_of_verdict[verdict]];
	uint32_t log, base = berm_compile_unlogged(c, verdict, &log);
	const struct compile_rule *rule = rule_of_verdict_key(c, base);
	bool allows = out->name.action == BERM_ACTION_ALLOW;

	if (rule && allows) {
		out->interval_ns = rule->rule->interval_ns;
		out->burst = rule->rule->burst;
		out->sample = rule->rule->sample;
		out->log = out->sample ? out->name.id : 0;
	}
	if (log == NONE || !c->rule.item)
		return;
	out->sample = allows ? c->rule.item[log].rule->sample : 0; /* denials are told anyway */
	out->log = id_of_rule(c, plan, log, rule_of_verdict);
}

int berm_compile_names(struct compiler *c, struct berm_plan *plan, uint32_t *rule_of_verdict)
{
	size_t count = c->verdict.count;
	struct named *n = calloc(count + 1, sizeof(*n));

	plan->rule = calloc(count + 1, sizeof(*plan->rule));
	if (!n || !plan->rule) {
		free(n);
		return -ENOMEM;
	}
	for (size_t i = 0; i < count; i++)
		n[i].verdict = (uint32_t)i;
	assign_ids(c, n, count);
	for (size_t i = 0; i < count; i++) {
		plan->rule[i].name = n[i].name;
		rule_of_verdict[n[i].verdict] = (uint32_t)i;
	}
	plan->rule_count = count;
	for (size_t i = 0; i < count; i++)
		add_extras(c, plan, (uint32_t)i, rule_of_verdict);
	free(n);
	return 0;
}
