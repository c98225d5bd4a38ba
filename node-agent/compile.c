// SPDX-License-Identifier: Apache-2.0
/*
 * compile.c - from the model to the plan: the steps, in order. A pure function: no I/O, no clock, no kernel.
 *
 * The compilation starts anew when a document turns out to be over a limit, each time without at least
 * one more, so it ends.
 */
#include "compile.h"
#include "compiler.h"

/* Extra source addresses of a pod (annotation): a table of its own, without classes. */
static int allow_sources(struct compiler *c)
{
	for (size_t i = 0; i < c->model->endpoint_count; i++) {
		struct compile_endpoint *ep = &c->endpoint[i];

		ep->allowed = NONE;
		if (ep->pod && ep->pod->allowed_count &&
		    berm_compile_allowed(c, ep->pod->allowed, ep->pod->allowed_count, &ep->allowed))
			return -ENOMEM;
	}
	return 0;
}

static int build(struct compiler *c, struct berm_plan *plan)
{
	static int (*const step[])(struct compiler *) = {
		berm_compile_namespaces,
		berm_compile_subjects,
		berm_compile_limit_documents,
		berm_compile_limit_flows,
		berm_compile_selectors,
		berm_compile_frontends,
		berm_compile_classes,
		berm_compile_tables,
		berm_compile_front_classes,
		berm_compile_class_index,
		berm_compile_spans,
		berm_compile_matrices,
		allow_sources,
	};

	for (size_t i = 0; i < ARRAY_SIZE(step); i++) {
		int rc = step[i](c);

		if (rc)
			return rc;
	}
	if (berm_compile_plan(c, plan))
		return -ENOMEM;
	return berm_compile_limit_node(c, plan);
}

static void free_subjects(struct compiler *c)
{
	for (size_t i = 0; i < c->subject.count; i++) {
		struct compile_subject *s = &c->subject.item[i];

		array_free(&s->rule);
		array_free(&s->start);
		array_free(&s->cell);
		array_free(&s->decided);
		free(s->col);
		free(s->row);
	}
	array_free(&c->subject);
}

static void free_groups(struct compiler *c)
{
	for (size_t i = 0; i < c->term.count; i++)
		array_free(&c->term.item[i].group);
	for (size_t i = 0; i < c->group.count; i++)
		array_free(&c->group.item[i].cls);
	for (size_t i = 0; i < c->table.count; i++)
		array_free(&c->table.item[i].cls);
	for (size_t i = 0; i < c->ns.count; i++) {
		array_free(&c->ns.item[i].policy);
		array_free(&c->ns.item[i].broad);
	}
	for (size_t i = 0; i < c->ns_selected.count; i++)
		free(c->ns_selected.item[i]);
	for (size_t i = 0; i < c->label_terms.count; i++)
		array_free(&c->label_terms.item[i]);
	array_free(&c->term);
	array_free(&c->group);
	array_free(&c->table);
	array_free(&c->table_of_groups);
	array_free(&c->ns);
	array_free(&c->ns_selected);
	array_free(&c->ns_selector_of);
	array_free(&c->label_terms);
}

/* All but what the next compilation inherits. */
static void free_work(struct compiler *c)
{
	struct berm_intern *tables[] = {
		&c->ns_name,   &c->subject_key,	 &c->ns_selector, &c->label,
		&c->table_key, &c->table_groups, &c->verdict,
	};

	free_subjects(c);
	free_groups(c);
	array_free(&c->cluster_wide);
	array_free(&c->rule);
	array_free(&c->flow);
	array_free(&c->flow_peer);
	array_free(&c->span);
	array_free(&c->rule_name);
	array_free(&c->broad);
	array_free(&c->scratch);
	array_free(&c->peer);
	array_free(&c->known);
	array_free(&c->front_cls);
	free(c->policy);
	free(c->plan_class);
	c->policy = NULL;
	c->plan_class = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		berm_intern_free(tables[i]);
}

static void free_compiler(struct compiler *c)
{
	struct berm_intern *tables[] = {
		&c->port_name, &c->term_key, &c->group_key, &c->sets, &c->ports, &c->class_key,
	};

	free_work(c);
	array_free(&c->port_name_sought);
	array_free(&c->cls);
	array_free(&c->owner);
	array_free(&c->essential);
	array_free(&c->front_addr);
	array_free(&c->backend_addr);
	berm_frontends_free(&c->front);
	free(c->endpoint);
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		berm_intern_free(tables[i]);
}

struct compilation {
	const struct berm_model *model;
	const struct berm_model_changes *changes; /* since from */
	const struct compiler *from;		  /* NULL: there is none */
	struct berm_problems *problems;
};

struct refusals {
	bool *known; /* before this attempt */
	bool *now;
	size_t count;
};

static int attempt(const struct compilation *of, const struct refusals *r, unsigned int number,
		   struct berm_compiled **ret)
{
	struct berm_compiled *kept = calloc(1, sizeof(*kept));
	struct compiler *c = &kept->compiler;
	int rc = -ENOMEM;

	if (!kept)
		return rc;
	*c = (struct compiler){
		.model = of->model,
		.refused = r->known,
		.refuse = r->now,
		.problems = of->problems,
		.attempt = number,
		.from = of->from,
		.changes = of->changes,
	};
	kept->plan = calloc(1, sizeof(*kept->plan));
	if (kept->plan)
		rc = build(c, kept->plan);
	c->refused = c->refuse = NULL; /* the caller's */
	c->problems = NULL;
	c->from = NULL;
	c->changes = NULL;
	if (rc)
		berm_compiled_free(kept);
	else
		*ret = kept;
	return rc;
}

static int compile_all(const struct compilation *of, const struct refusals *r,
		       struct berm_compiled **ret)
{
	int rc = -E2BIG;

	for (unsigned int number = 0; rc == -E2BIG && number < BERM_LIMIT_ATTEMPTS; number++) {
		rc = attempt(of, r, number, ret);
		if (rc == -E2BIG && !memcmp(r->known, r->now, r->count))
			break; /* nothing left to refuse: pods alone are too many */
		memcpy(r->known, r->now, r->count);
	}
	return rc;
}

static int compile(const struct compilation *of, struct berm_compiled **ret, struct berm_err *err)
{
	const struct berm_model *model = of->model;
	struct refusals r = {
		.known = calloc(model->policy_count + 1, sizeof(bool)),
		.now = calloc(model->policy_count + 1, sizeof(bool)),
		.count = model->policy_count,
	};
	int rc = r.known && r.now ? compile_all(of, &r, ret) : -ENOMEM;

	for (size_t i = 0; !rc && i < r.count; i++)
		(*ret)->has_refused |= r.known[i];
	free(r.known);
	free(r.now);
	if (rc == -E2BIG)
		return berm_fail(err, rc,
				 "compile %zu policies for %zu endpoints: over the limits of a node",
				 model->policy_count, model->endpoint_count);
	return rc ? berm_fail(err, rc, "compile %zu policies", model->policy_count) : 0;
}

int berm_compile_kept(const struct berm_model *model, struct berm_compiled **ret,
		      struct berm_problems *problems, struct berm_err *err)
{
	return compile(&(struct compilation){ .model = model, .problems = problems }, ret, err);
}

int berm_compiled_renew(struct berm_compiled **kept, const struct berm_model_changes *changes,
			struct berm_problems *problems, struct berm_err *err)
{
	struct berm_compiled *old = *kept;
	const struct compilation of = {
		.model = old->compiler.model,
		.changes = changes,
		.from = changes->all ? NULL : &old->compiler,
		.problems = problems,
	};
	int rc;

	berm_plan_free(old->plan); /* two of all would be twice the memory */
	old->plan = NULL;
	free_work(&old->compiler);
	*kept = NULL;
	rc = compile(&of, kept, err);
	berm_compiled_free(old);
	return rc;
}

int berm_compile(const struct berm_model *model, struct berm_plan **ret,
		 struct berm_problems *problems, struct berm_err *err)
{
	struct berm_compiled *kept = NULL;
	int rc = berm_compile_kept(model, &kept, problems, err);

	if (rc)
		return rc;
	*ret = kept->plan;
	kept->plan = NULL;
	berm_compiled_free(kept);
	return 0;
}

struct berm_plan *berm_compiled_plan(struct berm_compiled *kept)
{
	return kept->plan;
}

void berm_compiled_free(struct berm_compiled *kept)
{
	if (!kept)
		return;
	free_compiler(&kept->compiler);
	berm_plan_free(kept->plan);
	free(kept);
}
