// SPDX-License-Identifier: Apache-2.0
/* breach.c - when to look, and what is new of what was found. How an expectation is judged is expect.c's business. */
#include "breach.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "expect.h"
#include "inquiry.h"
#include "log.h"
#include "overlay.h"

#define SOON_MS	 200
#define REST_MS	 5000  /* between two looks: each may take a core for some seconds */
#define RETRY_MS 60000 /* after one that failed */

struct berm_breaches {
	const struct berm_model *model;
	uv_timer_t soon;
	struct berm_inquiry *inquiry;
	uint64_t looked, asking; /* digests of what is in force; 0: nothing */
	uint64_t looked_ms;
	struct berm_problems problems;
	bool has_failed;
};

/* ---- in the child ------------------------------------------------------------------------------------------- */

static void add(cJSON *array, const struct berm_expect_result *result)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddNumberToObject(object, "kind", result->policy->kind);
	cJSON_AddStringToObject(object, "namespace", result->policy->ns);
	cJSON_AddStringToObject(object, "name", result->policy->name);
	cJSON_AddStringToObject(object, "field", result->field);
	cJSON_AddStringToObject(object, "why", result->why);
	cJSON_AddItemToArray(array, object);
}

static size_t list(const struct berm_overlay *all, struct berm_expect_result *result)
{
	size_t n = 0;

	for (size_t i = 0; i < all->count; i++)
		if (all->item[i]->expect_count && !all->item[i]->disabled)
			result[n++].policy = all->item[i];
	return n;
}

static char *answer(void *ctx, int *ret_status)
{
	const struct berm_breaches *breaches = ctx;
	struct berm_expect_result *result =
		calloc(breaches->model->policy_count + 1, sizeof(*result));
	cJSON *array = cJSON_CreateArray();
	struct berm_overlay all;
	struct berm_err err = { 0 };
	size_t n;

	(void)ret_status;
	if (!result || !array || berm_overlay_make(breaches->model, &all))
		return NULL;
	n = list(&all, result);
	if (n && berm_expect_check(&all, result, n, &err))
		return NULL; /* the process ends: nothing is freed */
	for (size_t i = 0; i < n; i++)
		if (result[i].fails)
			add(array, &result[i]);
	return cJSON_PrintUnformatted(array);
}

/* ---- what was found ------------------------------------------------------------------------------------------ */

static const char *text_in(const cJSON *item, const char *key)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, key));

	return text ? text : "";
}

static int take(struct berm_breaches *breaches, const cJSON *item, struct berm_problems *out)
{
	const cJSON *kind = cJSON_GetObjectItemCaseSensitive(item, "kind");
	const struct berm_policy *policy =
		cJSON_IsNumber(kind)
			? berm_model_policy(breaches->model, (enum berm_policy_kind)kind->valueint,
					    text_in(item, "namespace"), text_in(item, "name"))
			: NULL;
	char document[400], message[1000];

	if (!policy)
		return 0; /* gone since */
	berm_policy_title(policy->kind, policy->ns, policy->name, document, sizeof(document));
	snprintf(message, sizeof(message), "does not hold any more: %s", text_in(item, "why"));
	return berm_problems_add(
		out,
		&(struct berm_problem){
			.severity = BERM_WARNING,
			.code = BERM_CODE_EXPECTATION,
			.source = policy->source,
			.line = policy->line,
			.field = (char *)text_in(item, "field"),
			.message = message,
			.hint = (char *)"another document has changed since; this one stays in force",
			.document = document,
		});
}

static bool is_in(const struct berm_problems *problems, const struct berm_problem *problem)
{
	for (size_t i = 0; i < problems->count; i++)
		if (!strcmp(problems->item[i].document, problem->document) &&
		    !strcmp(problems->item[i].message, problem->message))
			return true;
	return false;
}

static void tell(const struct berm_problems *before, const struct berm_problems *now)
{
	for (size_t i = 0; i < now->count; i++)
		if (!is_in(before, &now->item[i]))
			berm_log(BERM_LOG_WARNING, "expectation-broken",
				 "policy=\"%s\" expectation=%s text=\"%s\" effect=\"it stays in force\"",
				 now->item[i].document, now->item[i].field, now->item[i].message);
	for (size_t i = 0; i < before->count; i++)
		if (!is_in(now, &before->item[i]))
			berm_log(BERM_LOG_INFO, "expectation-no-longer-broken",
				 "policy=\"%s\" expectation=%s", before->item[i].document,
				 before->item[i].field);
}

static void replace(struct berm_breaches *breaches, struct berm_problems *now)
{
	tell(&breaches->problems, now);
	berm_problems_clear(&breaches->problems);
	breaches->problems = *now;
}

static void fail(struct berm_breaches *breaches)
{
	if (!breaches->has_failed)
		berm_log(BERM_LOG_WARNING, "expectations-not-watched",
			 "text=\"looking at the expectations of all documents in force takes more time or memory than it is given\" effect=\"none on enforcement\"");
	breaches->has_failed = true;
}

static void on_soon(uv_timer_t *timer);

static void on_answer(void *ctx, int status, const char *text)
{
	struct berm_breaches *breaches = ctx;
	struct berm_problems now = { 0 };
	cJSON *array = text ? cJSON_Parse(text) : NULL;
	const cJSON *item;
	int rc = array ? 0 : -EIO;

	(void)status;
	breaches->inquiry = NULL; /* it frees itself */
	cJSON_ArrayForEach(item, array)
		rc = rc ? rc : take(breaches, item, &now);
	cJSON_Delete(array);
	breaches->looked_ms = uv_now(breaches->soon.loop);
	if (rc) {
		berm_problems_clear(&now);
		fail(breaches);
		uv_timer_start(&breaches->soon, on_soon, RETRY_MS, 0);
		return;
	}
	breaches->has_failed = false;
	breaches->looked = breaches->asking;
	replace(breaches, &now);
	berm_breaches_touch(breaches);
}

/* ---- when -------------------------------------------------------------------------------------------------------- */

/* Of all that a verdict can depend on; 0: nobody expects anything. */
static uint64_t digest_of(const struct berm_model *model)
{
	uint64_t sum = model->policy_count + 1;
	bool is_any = false;

	for (size_t i = 0; i < model->policy_count; i++) {
		const struct berm_policy *policy = model->policies[i];

		is_any |= policy->expect_count && !policy->disabled;
		sum = (sum ^ policy->digest) * 0x100000001b3u;
		sum = (sum ^ (uint64_t)policy->until_s ^ policy->expanded) * 0x100000001b3u;
	}
	for (size_t i = 0; i < model->companion_count; i++)
		sum = (sum ^ model->companions[i]->digest) * 0x100000001b3u;
	return is_any ? sum | 1 : 0;
}

static void on_soon(uv_timer_t *timer)
{
	struct berm_breaches *breaches = timer->data;
	struct berm_inquiry_opts opts = { answer, on_answer, breaches };
	struct berm_err err = { 0 };

	if (breaches->inquiry)
		return; /* its answer asks again */
	breaches->asking = digest_of(breaches->model);
	if (!breaches->asking || breaches->asking == breaches->looked)
		return;
	if (berm_inquiry_start(timer->loop, &opts, &breaches->inquiry, &err)) {
		fail(breaches);
		uv_timer_start(&breaches->soon, on_soon, RETRY_MS, 0);
	}
}

void berm_breaches_touch(struct berm_breaches *breaches)
{
	uint64_t digest = digest_of(breaches->model), delay = SOON_MS, rested;
	struct berm_problems nothing = { 0 };

	if (!digest && breaches->problems.count)
		replace(breaches, &nothing);
	if (!digest || digest == breaches->looked) {
		breaches->looked = digest;
		return;
	}
	if (breaches->inquiry || uv_is_active((uv_handle_t *)&breaches->soon) ||
	    uv_is_closing((uv_handle_t *)&breaches->soon))
		return;
	rested = uv_now(breaches->soon.loop) - breaches->looked_ms;
	if (breaches->looked_ms && rested + SOON_MS < REST_MS)
		delay = REST_MS - rested;
	uv_timer_start(&breaches->soon, on_soon, delay, 0);
}

const struct berm_problems *berm_breaches_problems(const struct berm_breaches *breaches)
{
	return &breaches->problems;
}

int berm_breaches_new(uv_loop_t *loop, const struct berm_model *model, struct berm_breaches **ret,
		      struct berm_err *err)
{
	struct berm_breaches *breaches = calloc(1, sizeof(*breaches));

	if (!breaches)
		return berm_fail(err, -ENOMEM, "watch expectations");
	breaches->model = model;
	uv_timer_init(loop, &breaches->soon);
	breaches->soon.data = breaches;
	*ret = breaches;
	return 0;
}

void berm_breaches_stop(struct berm_breaches *breaches)
{
	if (!breaches)
		return;
	berm_inquiry_stop(breaches->inquiry);
	breaches->inquiry = NULL;
	uv_close((uv_handle_t *)&breaches->soon, NULL);
}

void berm_breaches_free(struct berm_breaches *breaches)
{
	if (!breaches)
		return;
	berm_problems_clear(&breaches->problems);
	free(breaches);
}
