// SPDX-License-Identifier: Apache-2.0
/*
 * compile_limit.c - what documents may cost, and which one goes when they cost more. Knows no kernel.
 *
 * Small documents are let in first, so that a huge one never pushes out its neighbours. A refused document
 * still isolates its subject: that is what the compiler does next time round.
 */
#include <stdio.h>

#include "compiler.h"
#include "document.h"

/* ---- refusing one document ---------------------------------------------------------------------------------- */

static int report(struct berm_problems *problems, const struct berm_policy *p, const char *what,
		  const char *hint)
{
	char message[160], document[384];
	struct berm_problem problem = {
		.severity = BERM_ERROR,
		.code = BERM_CODE_QUOTA,
		.source = p->source,
		.line = p->line,
		.message = message,
		.hint = (char *)hint,
		.document = document,
	};

	if (!problems)
		return 0;
	snprintf(message, sizeof(message),
		 "over the limit of %s: left out, what it selects is isolated", what);
	berm_policy_title(p->kind, p->ns, p->name, document, sizeof(document));
	return berm_problems_add(problems, &problem);
}

int berm_compile_refuse_over(struct compiler *c, uint32_t policy, const char *what,
			     const char *hint)
{
	if (c->refuse[policy])
		return -E2BIG;
	c->refuse[policy] = true;
	return report(c->problems, c->model->policies[policy], what, hint) ? -ENOMEM : -E2BIG;
}

int berm_compile_refuse_policy(struct compiler *c, uint32_t policy, const char *what)
{
	return berm_compile_refuse_over(c, policy, what,
					"split it, or use fewer peers and ports per policy");
}

/* ---- weights ---------------------------------------------------------------------------------------------------- */

struct weight {
	uint32_t policy, ns;
	size_t prefixes, bounds, rules;
};

static size_t prefixes_of(const struct berm_policy_rule *rule)
{
	size_t count = 0;

	for (size_t i = 0; i < rule->peer_count; i++)
		if (rule->peer[i].is_block)
			count += 1 + rule->peer[i].except_count;
	return count;
}

static struct weight weigh(const struct compiler *c, uint32_t policy)
{
	const struct compile_policy *p = &c->policy[policy];
	struct weight w = { .policy = policy, .ns = p->ns, .rules = p->rule_count };

	for (uint32_t i = p->rule; i < p->rule + p->rule_count; i++) {
		const struct compile_rule *r = &c->rule.item[i];

		w.prefixes += prefixes_of(r->rule);
		w.bounds += 2 * ((size_t)r->span_count + r->name_count);
	}
	return w;
}

static int cmp_weight(const void *a, const void *b)
{
	const struct weight *x = a, *y = b;
	size_t left = x->prefixes + x->bounds + x->rules,
	       right = y->prefixes + y->bounds + y->rules;

	if (x->ns != y->ns)
		return x->ns < y->ns ? -1 : 1;
	if (left != right)
		return left < right ? -1 : 1;
	return (x->policy > y->policy) - (x->policy < y->policy);
}

/* ---- limits of a namespace: distinct prefixes and port bounds of its documents ------------------------------------- */

struct tally {
	struct berm_intern prefix, bound;
};

static int count_cidr(struct tally *t, const struct berm_cidr *cidr)
{
	uint8_t key[17];

	memcpy(key, &cidr->addr, 16);
	key[16] = cidr->bits;
	return berm_intern(&t->prefix, key, sizeof(key), &(uint32_t){ 0 }) < 0 ? -ENOMEM : 0;
}

static int count_prefixes(struct tally *t, const struct berm_policy_rule *rule)
{
	for (size_t i = 0; i < rule->peer_count; i++) {
		const struct berm_peer_term *peer = &rule->peer[i];

		if (!peer->is_block)
			continue;
		if (count_cidr(t, &peer->block))
			return -ENOMEM;
		for (size_t e = 0; e < peer->except_count; e++)
			if (count_cidr(t, &peer->except[e]))
				return -ENOMEM;
	}
	return 0;
}

static int count_rule(const struct compiler *c, struct tally *t, const struct compile_rule *r)
{
	uint32_t number;

	for (uint32_t i = r->span; i < r->span + r->span_count; i++) {
		const uint32_t bound[] = { c->span.item[i].first, c->span.item[i].last + 1 };

		if (berm_intern(&t->bound, &bound[0], sizeof(bound[0]), &number) < 0 ||
		    berm_intern(&t->bound, &bound[1], sizeof(bound[1]), &number) < 0)
			return -ENOMEM;
	}
	return count_prefixes(t, r->rule);
}

static int count_policy(struct compiler *c, struct tally *t, const struct weight *w)
{
	const struct compile_policy *p = &c->policy[w->policy];

	for (uint32_t i = p->rule; i < p->rule + p->rule_count; i++)
		if (count_rule(c, t, &c->rule.item[i]))
			return -ENOMEM;
	if (t->prefix.count > BERM_LIMIT_PREFIXES)
		return berm_compile_refuse_policy(c, w->policy,
						  "16,384 CIDR prefixes per namespace");
	if (t->bound.count > BERM_LIMIT_BOUNDS)
		return berm_compile_refuse_policy(c, w->policy, "2,048 port bounds per namespace");
	return 0;
}

static int count_namespaces(struct compiler *c, const struct weight *w, size_t count)
{
	struct tally t = { 0 };
	int rc = 0;

	for (size_t i = 0; rc != -ENOMEM && i < count; i++) {
		int one;

		if (i && w[i].ns != w[i - 1].ns) {
			berm_intern_free(&t.prefix);
			berm_intern_free(&t.bound);
		}
		one = count_policy(c, &t, &w[i]);
		rc = one ? one : rc;
	}
	berm_intern_free(&t.prefix);
	berm_intern_free(&t.bound);
	return rc;
}

int berm_compile_limit_documents(struct compiler *c)
{
	size_t count = 0;
	struct weight *w = calloc(c->model->policy_count + 1, sizeof(*w));
	int rc;

	if (!w)
		return -ENOMEM;
	for (size_t i = 0; i < c->model->policy_count; i++)
		if (c->policy[i].used && !c->refused[i])
			w[count++] = weigh(c, (uint32_t)i);
	qsort(w, count, sizeof(*w), cmp_weight);
	rc = count_namespaces(c, w, count);
	free(w);
	return rc;
}

/* ---- limits of a set
 * ------------------------------------------------------------------------------------------------ */

struct weights { /* the policies of a subject, the lightest first */
	struct weight *item;
	size_t count;
};

static int weigh_subject(const struct compiler *c, const struct compile_subject *s,
			 struct weights *out)
{
	out->count = 0;
	out->item = calloc(s->policy_count + 1, sizeof(*out->item));
	if (!out->item)
		return -ENOMEM;
	for (size_t i = 0; i < s->policy_count; i++) {
		uint32_t policy = s->policy[i];

		if (c->refused[policy] || !c->policy[policy].rule_count)
			continue;
		out->item[out->count] = weigh(c, policy);
		out->item[out->count++].ns = 0; /* compared by weight alone */
	}
	qsort(out->item, out->count, sizeof(*out->item), cmp_weight);
	return 0;
}

static int refuse_from(struct compiler *c, const struct weights *w, size_t from, const char *what)
{
	int rc = -E2BIG;

	for (size_t i = from; rc == -E2BIG && i < w->count; i++)
		rc = berm_compile_refuse_policy(c, w->item[i].policy, what);
	return rc;
}

/* Does the set fit with its `count` lightest policies? */
static int fits(struct compiler *c, const struct compile_subject *s, const struct weights *w,
		size_t count)
{
	bool *kept = calloc(c->model->policy_count + 1, sizeof(*kept));
	struct berm_numbers rules = { 0 };
	int rc = kept ? 0 : -ENOMEM;

	for (size_t i = 0; kept && i < count; i++)
		kept[w->item[i].policy] = true;
	for (size_t i = 0; !rc && i < s->rule.count; i++)
		if (kept[c->rule.item[s->rule.item[i]].policy_index])
			rc = array_push(&rules, s->rule.item[i]);
	if (!rc)
		rc = berm_compile_try(c, s, &rules);
	array_free(&rules);
	free(kept);
	return rc;
}

/* By halving: a thousand documents that are each too much cost ten trials of this one set. */
int berm_compile_refuse(struct compiler *c, const struct compile_subject *s, const char *what)
{
	struct weights w;
	size_t low = 0, high;
	int rc = weigh_subject(c, s, &w);

	high = w.count;
	while (rc != -ENOMEM && high - low > 1) {
		size_t middle = low + (high - low) / 2;

		rc = fits(c, s, &w, middle);
		if (rc)
			high = middle;
		else
			low = middle;
	}
	if (rc != -ENOMEM)
		rc = refuse_from(c, &w, low, what);
	free(w.item);
	return rc;
}

/* ---- limits of the node ------------------------------------------------------------------------------------------------ */

struct cost {
	size_t spans, prefixes, cells, rows;
};

static struct cost cost_of(const struct compiler *c, const struct compile_subject *s)
{
	struct cost cost = { s->start.count, 0, (size_t)s->nrows * s->ncols, 0 };

	if (s->table != NONE)
		cost.prefixes = c->table.item[s->table].prefix_count;
	for (size_t i = 0; i < c->cls.count; i++)
		cost.rows += s->row[i] != s->default_row;
	return cost;
}

/* The heaviest policies of the subject that costs most of what is short: one the first time, then two,
 * four ... so that many documents cost few compilations. */
static int refuse_heaviest(struct compiler *c, const struct compile_subject *s, const char *what)
{
	struct weights w;
	size_t some = (size_t)1 << c->attempt;
	int rc = weigh_subject(c, s, &w);

	if (!rc)
		rc = refuse_from(c, &w, some < w.count ? w.count - some : 0, what);
	free(w.item);
	return rc;
}

static int refuse_dearest(struct compiler *c, size_t offset, const char *what)
{
	const struct compile_subject *dearest = NULL;
	size_t most = 0;

	for (size_t i = 0; i < c->subject.count; i++) {
		struct cost cost = cost_of(c, &c->subject.item[i]);
		size_t value = *(const size_t *)((const uint8_t *)&cost + offset);

		if (value <= most)
			continue;
		most = value;
		dearest = &c->subject.item[i];
	}
	return dearest ? refuse_heaviest(c, dearest, what) : -E2BIG;
}

int berm_compile_limit_node(struct compiler *c, const struct berm_plan *plan)
{
	size_t prefixes = 0, cells = 0, rows = 0;

	for (size_t i = 0; i < plan->table_count; i++)
		prefixes += plan->table[i].prefix_count;
	for (size_t i = 0; i < plan->set_count; i++) {
		const struct berm_plan_set *s = &plan->set[i];

		cells += (size_t)s->nrows * s->ncols;
		for (size_t k = 0; k < plan->class_count; k++)
			rows += s->row[k] != s->default_row;
	}
	if (plan->interval_count > BERM_LIMIT_NODE_SPANS)
		return refuse_dearest(c, offsetof(struct cost, spans),
				      "4,096 port classes per node");
	if (prefixes > BERM_LIMIT_NODE_PREFIXES)
		return refuse_dearest(c, offsetof(struct cost, prefixes),
				      "65,536 CIDR prefixes per node");
	if (cells > BERM_LIMIT_NODE_CELLS)
		return refuse_dearest(c, offsetof(struct cost, cells), "262,144 cells per node");
	if (rows > BERM_LIMIT_NODE_ROWS || plan->class_count > BERM_LIMIT_NODE_CLASSES)
		return refuse_dearest(c, offsetof(struct cost, rows),
				      "65,536 rows entries per node");
	return 0;
}
