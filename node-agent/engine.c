/* SPDX-License-Identifier: Apache-2.0 */
/* engine.c - compiles the model and brings the plan into the kernel. Knows when, not how. */
#include "engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "compile.h"
#include "effective.h"

#define RETRY_FIRST_MS 1000
#define RETRY_MAX_MS   60000

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int berm_engine_open(struct berm_engine *engine, struct berm_maps *maps, struct berm_err *err)
{
	memset(engine, 0, sizeof(*engine));
	engine->maps = maps;
	return berm_apply_open(maps, &engine->apply, err);
}

static void free_names(char **name, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		free(name[i]);
	free(name);
}

void berm_engine_close(struct berm_engine *engine)
{
	if (engine->apply)
		berm_apply_close(engine->apply);
	engine->apply = NULL;
	berm_compiled_free(engine->compiled);
	engine->compiled = NULL;
	berm_problems_clear(&engine->problems);
	free_names(engine->isolated_ns, engine->isolated_count);
	engine->isolated_ns = NULL;
	engine->isolated_count = 0;
	berm_model_clear(&engine->model);
}

static bool is_isolated_equal(const struct berm_engine *engine, const char *const *ns, size_t count)
{
	size_t i;

	for (i = 0; i < count && i < engine->isolated_count; i++)
		if (strcmp(engine->isolated_ns[i], ns[i]) != 0)
			return false;
	return count == engine->isolated_count;
}

int berm_engine_isolate(struct berm_engine *engine, const char *const *ns, size_t count)
{
	char **copy;
	size_t i;

	if (is_isolated_equal(engine, ns, count))
		return 0;
	copy = calloc(count + 1, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		copy[i] = strdup(ns[i]);
		if (!copy[i]) {
			free_names(copy, i);
			return -ENOMEM;
		}
	}
	free_names(engine->isolated_ns, engine->isolated_count);
	engine->isolated_ns = copy;
	engine->isolated_count = count;
	engine->has_new_isolated = true;
	return 0;
}

void berm_engine_distrust(struct berm_engine *engine)
{
	berm_apply_distrust(engine->apply);
	engine->is_distrusted = true;
}

bool berm_engine_is_stale(const struct berm_engine *engine)
{
	return !engine->has_judged || engine->failure.code || *engine->last.warning ||
	       engine->has_new_isolated || engine->is_distrusted ||
	       engine->model.version != engine->judged_version;
}

bool berm_engine_is_in_force(const struct berm_engine *engine, const struct berm_policy *policy)
{
	return engine->has_judged && policy->since <= engine->judged_version;
}

/* ---- namespaces with broken documents ---------------------------------------------------------------------- */

#define BOTH_WAYS (1u << BERM_INGRESS | 1u << BERM_EGRESS)

static struct berm_plan_ns *plan_ns(const struct berm_plan *plan, const char *name)
{
	size_t i;

	for (i = 0; i < plan->ns_count; i++)
		if (!strcmp(plan->ns[i].name, name))
			return &plan->ns[i];
	return NULL;
}

static int compare_ns(const void *a, const void *b)
{
	return strcmp(((const struct berm_plan_ns *)a)->name,
		      ((const struct berm_plan_ns *)b)->name);
}

static int add_isolated(const struct berm_engine *engine, struct berm_plan *plan)
{
	struct berm_plan_ns *ns;
	size_t i;

	if (!engine->isolated_count)
		return 0;
	ns = reallocarray(plan->ns, plan->ns_count + engine->isolated_count, sizeof(*ns));
	if (!ns)
		return -ENOMEM;
	plan->ns = ns;
	for (i = 0; i < engine->isolated_count; i++) {
		ns = plan_ns(plan, engine->isolated_ns[i]);
		if (!ns) {
			ns = &plan->ns[plan->ns_count++];
			memset(ns, 0, sizeof(*ns));
			memccpy(ns->name, engine->isolated_ns[i], '\0', sizeof(ns->name) - 1);
		}
		ns->dirs |= BOTH_WAYS;
	}
	qsort(plan->ns, plan->ns_count, sizeof(*plan->ns), compare_ns);
	return 0;
}

/* ---- judging ----------------------------------------------------------------------------------------------------- */

static bool is_same_text(const char *a, const char *b)
{
	return !strcmp(a ? a : "", b ? b : "");
}

static bool has_same_problems(const struct berm_problems *a, const struct berm_problems *b)
{
	size_t i;

	for (i = 0; i < a->count && i < b->count; i++)
		if (!is_same_text(a->item[i].message, b->item[i].message) ||
		    !is_same_text(a->item[i].document, b->item[i].document))
			return false;
	return a->count == b->count;
}

static int compile_anew(struct berm_engine *engine, struct berm_err *err)
{
	struct berm_problems problems = { 0 };
	int rc;

	if (engine->is_distrusted) {
		berm_compiled_free(engine->compiled);
		engine->compiled = NULL;
	}
	rc = engine->compiled ? berm_compiled_renew(&engine->compiled, &engine->model.changes,
						    &problems, err)
			      : berm_compile_kept(&engine->model, &engine->compiled, &problems, err);
	if (!rc && berm_effective_problems(&engine->model, &problems))
		rc = berm_fail(err, -ENOMEM, "list what is wrong");
	if (rc) {
		berm_problems_clear(&problems);
		berm_compiled_free(engine->compiled);
		engine->compiled = NULL;
		return berm_wrap(err, rc, "compile the policies");
	}
	engine->has_new_problems = !has_same_problems(&engine->problems, &problems);
	berm_problems_clear(&engine->problems);
	engine->problems = problems;
	rc = add_isolated(engine, berm_compiled_plan(engine->compiled));
	if (rc) {
		berm_compiled_free(engine->compiled);
		engine->compiled = NULL;
		return berm_fail(err, rc, "isolate namespaces with broken documents");
	}
	berm_model_changes_clear(&engine->model);
	return 0;
}

/* Who distrusts the maps distrusts what he has in memory too. */
static bool may_follow(const struct berm_engine *engine)
{
	return engine->compiled && !engine->is_distrusted && !engine->has_new_isolated;
}

static int bring_up_to_date(struct berm_engine *engine, struct berm_err *err)
{
	if (!may_follow(engine) || berm_compiled_follow(engine->compiled, &engine->model.changes))
		return compile_anew(engine, err);
	engine->followed++;
	berm_model_changes_clear(&engine->model);
	return 0;
}

static int compile_and_apply(struct berm_engine *engine, struct berm_err *err)
{
	int rc = bring_up_to_date(engine, err);

	if (rc)
		return rc;
	return berm_apply(engine->apply, berm_compiled_plan(engine->compiled), &engine->last, err);
}

static void plan_retry(struct berm_engine *engine)
{
	engine->retry_ms = engine->retry_ms ? engine->retry_ms * 2 : RETRY_FIRST_MS;
	if (engine->retry_ms > RETRY_MAX_MS)
		engine->retry_ms = RETRY_MAX_MS;
}

int berm_engine_judge(struct berm_engine *engine, struct berm_err *err)
{
	uint64_t version = engine->model.version, start = now_ns();
	struct berm_err failure = { 0 };
	int rc;

	engine->has_new_problems = false;
	engine->tried_version = version;
	rc = compile_and_apply(engine, &failure);
	if (!rc) {
		engine->has_new_isolated = false;
		engine->is_distrusted = false;
		engine->applied++;
		engine->has_judged = true;
		engine->judged_version = version;
	}
	engine->took_ns = now_ns() - start;
	engine->failure = failure;
	if (rc || *engine->last.warning)
		plan_retry(engine);
	else
		engine->retry_ms = 0;
	if (!rc)
		return 0;
	engine->failed++;
	*err = failure;
	return rc;
}

bool berm_engine_has_judged(const struct berm_engine *engine, uint32_t slot, uint32_t ifindex)
{
	const struct berm_endpoint *ep;

	if (!engine->has_judged || !slot || slot >= BERM_MAX_ENDPOINTS)
		return false;
	ep = &engine->maps->endpoints[slot];
	return ep->ifindex == ifindex && !(ep->flags & BERM_EP_FALLBACK);
}
