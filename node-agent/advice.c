// SPDX-License-Identifier: Apache-2.0
/* advice.c - goes through documents in the order of evaluation, and says where in a file a finding stands. Finds nothing itself. */
#include "advice.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor.h"
#include "cleanup.h"
#include "tree.h"

#define MAX_STEPS 200000000 /* comparisons of a rule with a rule or a pod: some seconds */
#define MAX_TOLD  20	    /* of one document */

/* ---- places --------------------------------------------------------------------------------------------- */

static const cJSON *member_of(const cJSON *node, const char *name, size_t size)
{
	for (node = cJSON_IsObject(node) ? node->child : NULL; node; node = node->next)
		if (strlen(node->string) == size && !memcmp(node->string, name, size))
			return node;
	return NULL;
}

/* One step down: "name", "[3]" or ".name" is taken from *path. */
static const cJSON *step(const cJSON *node, const char **path)
{
	const char *p = *path + (**path == '.');
	size_t size = strcspn(p, ".[");
	char *end;
	long index;

	if (*p != '[') {
		*path = p + size;
		return member_of(node, p, size);
	}
	index = strtol(p + 1, &end, 10);
	*path = *end ? end + 1 : end;
	return cJSON_IsArray(node) ? cJSON_GetArrayItem(node, (int)index) : NULL;
}

/* The deepest node of the path that is there. */
static const cJSON *find_node(const cJSON *tree, const char *path)
{
	const cJSON *next;

	while (*path) {
		next = step(tree, &path);
		if (!next)
			break;
		tree = next;
	}
	return tree;
}

/* NULL: the text is not there any more, or has no places. */
static cJSON *tree_of(const struct berm_object *object)
{
	struct berm_tree_fault fault;
	struct berm_err err = { 0 };
	cJSON *tree = NULL;

	if (!object || !object->has_place || !object->text)
		return NULL;
	if (berm_yaml_parse(object->text, strlen(object->text), &tree, &fault, &err))
		return NULL; /* then there is no place; JSON is YAML */
	return tree;
}

static struct berm_pos position(struct advisor *a, const struct berm_advice_document *document,
				const char *path)
{
	struct berm_place place;

	if (!a->tree)
		return (struct berm_pos){ document->policy->line, document->policy->line ? 1 : 0 };
	place = document->object->place;
	return berm_place_map(&place, berm_node_pos(find_node(a->tree, path)));
}

static void turn_to(struct advisor *a, const struct berm_advice_document *document)
{
	if (a->last == document)
		return;
	cJSON_Delete(a->tree);
	a->last = document;
	a->told = 0;
	a->tree = tree_of(document->object);
}

/* ---- saying it ------------------------------------------------------------------------------------------ */

void berm_advisor_title(const struct berm_policy *policy, char out[384])
{
	berm_policy_title(policy->kind, policy->ns, policy->name, out, 384);
}

void berm_advisor_rule_name(const struct berm_policy_rule *rule, char out[280])
{
	if (rule->name)
		snprintf(out, 280, "'%.256s'", rule->name);
	else
		snprintf(out, 280, "#%u", rule->index);
}

const char *berm_advisor_peers(const struct berm_policy_rule *rule)
{
	return rule->dir == BERM_EGRESS ? "to" : "from";
}

void berm_advisor_path(char out[128], const struct berm_said *said, const char *fmt, ...)
{
	int n = snprintf(out, 128, "%s%s[%u]",
			 said->policy->kind == BERM_KIND_SEGMENTATION ? "" : "spec.",
			 said->rule->dir == BERM_EGRESS ? "egress" : "ingress", said->rule->index);
	va_list ap;

	va_start(ap, fmt);
	if (n > 0 && n < 128)
		vsnprintf(out + n, 128 - (size_t)n, fmt, ap); /* cut is fine */
	va_end(ap);
}

static void add(struct advisor *a, struct berm_problem *problem,
		const struct berm_advice_document *document)
{
	struct berm_pos at = position(a, document, problem->field ? problem->field : "");
	char title[384];

	berm_advisor_title(document->policy, title);
	problem->severity = BERM_WARNING;
	problem->source = document->policy->source;
	problem->line = at.line;
	problem->column = at.column;
	problem->document = title;
	if (problem->field && !*problem->field)
		problem->field = NULL;
	if (berm_problems_add(a->problems, problem))
		a->no_memory = true;
	problem->document = NULL; /* the list has copies */
}

void berm_advisor_tell(struct advisor *a, const struct berm_advice_document *document,
		       const struct advice_finding *finding, const char *fmt, ...)
{
	struct berm_problem problem = { .code = finding->code,
					.field = (char *)finding->path,
					.hint = (char *)finding->hint };
	char message[512];
	va_list ap;

	turn_to(a, document);
	if (++a->told > MAX_TOLD)
		return;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap); /* cut is fine */
	va_end(ap);
	problem.message = message;
	if (a->told == MAX_TOLD) {
		snprintf(message, sizeof(message), "more warnings are not shown");
		problem.code = BERM_CODE_MORE;
		problem.field = problem.hint = NULL;
	}
	add(a, &problem, document);
}

bool berm_advisor_meets(const struct advisor *a, const struct berm_policy *x,
			const struct berm_policy *y)
{
	struct berm_scope xs = berm_scope_of_subject(x), ys = berm_scope_of_subject(y);

	if (!a->has_pods)
		return berm_scope_covers(a->model, &xs, &ys) ||
		       berm_scope_covers(a->model, &ys, &xs);
	for (size_t i = 0; i < a->model->pod_count; i++)
		if (berm_scope_selects(a->model, &xs, a->model->pods[i]) &&
		    berm_scope_selects(a->model, &ys, a->model->pods[i]))
			return true;
	return false;
}

/* ---- order of evaluation -------------------------------------------------------------------------------- */

static int stage_of(const struct berm_policy *policy)
{
	static const int stage[BERM_TIER_COUNT] = {
		[BERM_TIER_EMERGENCY] = 1,   [BERM_TIER_ADMIN] = 2,
		[BERM_TIER_APPLICATION] = 3, [BERM_TIER_NETWORKPOLICY] = 4,
		[BERM_TIER_BASELINE] = 5,
	};

	return stage[policy->tier];
}

/* At equal priority: denials, allows, logs, passes. ClusterNetworkPolicies have their rules as written. */
static int turn_of(const struct berm_said *said)
{
	static const int turn[] = {
		[BERM_RULE_DENY] = 0, [BERM_RULE_REJECT] = 0, [BERM_RULE_ALLOW] = 1,
		[BERM_RULE_LOG] = 2,  [BERM_RULE_PASS] = 3,
	};

	return said->policy->kind == BERM_KIND_SEGMENTATION ? turn[said->rule->action] : 0;
}

static int compare_rules(const void *left, const void *right)
{
	const struct advice_rule *x = left, *y = right;
	const struct berm_policy *p = x->said.policy, *q = y->said.policy;
	int rc = x->said.rule->dir - y->said.rule->dir;

	rc = rc ? rc : x->stage - y->stage;
	rc = rc ? rc : p->priority - q->priority;
	rc = rc ? rc : (p->kind == BERM_KIND_CLUSTER) - (q->kind == BERM_KIND_CLUSTER);
	rc = rc ? rc : turn_of(&x->said) - turn_of(&y->said);
	rc = rc ? rc : strcmp(p->ns, q->ns);
	rc = rc ? rc : strcmp(p->name, q->name);
	return rc ? rc : (int)x->said.rule->index - (int)y->said.rule->index;
}

static int list_rules(struct advisor *a)
{
	size_t count = 0;

	for (size_t i = 0; i < a->advice->count; i++)
		count += a->advice->document[i].policy->rule_count;
	a->rule = calloc(count + 1, sizeof(*a->rule));
	if (!a->rule)
		return -ENOMEM;
	for (size_t i = 0; i < a->advice->count; i++) {
		const struct berm_advice_document *d = &a->advice->document[i];

		for (size_t k = 0; k < d->policy->rule_count; k++) {
			const struct berm_said said = { d->policy, &d->policy->rule[k] };

			if (berm_advisor_is_there(a, &said))
				a->rule[a->rule_count++] =
					(struct advice_rule){ d, said, stage_of(d->policy) };
		}
	}
	if (a->rule_count > 1)
		qsort(a->rule, a->rule_count, sizeof(*a->rule), compare_rules);
	return 0;
}

/* ---- all of it ------------------------------------------------------------------------------------------ */

/* What belongs to one document is said together, so that its text is read once. */
static void advise_document(struct advisor *a, const struct berm_advice_document *document)
{
	const struct berm_policy *policy = document->policy;

	berm_advise_isolation(a, document);
	berm_advise_unions(a, document);
	if (a->has_pods)
		berm_advise_pods(a, document);
	for (size_t i = 0; i < policy->rule_count; i++) {
		struct advice_rule r = { document, { policy, &policy->rule[i] }, stage_of(policy) };

		if (!berm_advisor_is_there(a, &r.said))
			continue;
		berm_advise_blocks(a, &r);
		berm_advise_essentials(a, &r);
		if (a->has_pods)
			berm_advise_ports(a, &r);
	}
}

static bool is_to_judge(const struct berm_advice_document *document)
{
	return document->is_judged && !document->policy->disabled;
}

static void advise_all(struct advisor *a)
{
	if (list_rules(a)) {
		a->no_memory = true;
		return;
	}
	for (size_t i = 0; i < a->advice->count; i++)
		if (is_to_judge(&a->advice->document[i]))
			advise_document(a, &a->advice->document[i]);
	berm_advise_order(a);
	berm_advise_limits(a);
	berm_advise_expectations(a);
}

int berm_advise(const struct berm_advice *advice, struct berm_problems *problems)
{
	struct advisor a = { .advice = advice,
			     .model = advice->model,
			     .problems = problems,
			     .steps = MAX_STEPS,
			     .has_pods = advice->model->pod_count > 0 };
	struct berm_advice now;

	for (size_t i = 0; i < advice->count; i++)
		if (is_to_judge(&advice->document[i])) {
			berm_advise_expiry(&a, &advice->document[i]);
			berm_advise_ipsets(&a, &advice->document[i]);
			berm_advise_schedules(&a, &advice->document[i]);
		}
	berm_advise_config(&a);
	if (berm_advisor_narrow(&a, &now))
		a.no_memory = true;
	else
		advise_all(&a);
	cJSON_Delete(a.tree);
	free(a.rule);
	if (a.advice == &now)
		free((void *)now.document);
	return a.no_memory ? -ENOMEM : 0;
}
