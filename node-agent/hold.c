/* SPDX-License-Identifier: Apache-2.0 */
/* hold.c - which of the waiting versions may go. Knows no source's text and changes no model. */
#include "hold.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "log.h"
#include "overlay.h"

#define MAX_ROUNDS 8

/* ---- the list --------------------------------------------------------------------------------------------- */

static void held_clear(struct berm_held *held)
{
	free(held->source);
	free(held->key);
	free(held->carrier);
	free(held->text);
	berm_policy_free(held->policy);
}

static int compare(const void *a, const void *b)
{
	const struct berm_held *x = a, *y = b;
	int rc = (int)x->policy->kind - (int)y->policy->kind;

	if (!rc)
		rc = strcmp(x->policy->ns, y->policy->ns);
	if (!rc)
		rc = strcmp(x->policy->name, y->policy->name);
	return rc ? rc : strcmp(x->source, y->source);
}

int berm_holds_add(struct berm_holds *holds, const char *source, struct berm_resolved *item)
{
	struct berm_held *grown = reallocarray(holds->item, holds->count + 1, sizeof(*grown));
	struct berm_held held = { .source = strdup(source) };

	if (grown)
		holds->item = grown;
	if (!grown || !held.source) {
		free(held.source);
		return -ENOMEM;
	}
	held.key = TAKE_PTR(item->key);
	held.carrier = TAKE_PTR(item->carrier);
	held.text = TAKE_PTR(item->held_text);
	held.policy = TAKE_PTR(item->held);
	grown[holds->count++] = held;
	qsort(grown, holds->count, sizeof(*grown), compare);
	holds->is_new = true;
	return 0;
}

void berm_holds_forget(struct berm_holds *holds, const char *source)
{
	size_t kept = 0;

	for (size_t i = 0; i < holds->count; i++) {
		if (!strcmp(holds->item[i].source, source)) {
			held_clear(&holds->item[i]);
			holds->is_new = true; /* others may have counted on it */
		} else {
			holds->item[kept++] = holds->item[i];
		}
	}
	holds->count = kept;
}

void berm_holds_sweep(struct berm_holds *holds)
{
	size_t kept = 0;

	for (size_t i = 0; i < holds->count; i++) {
		if (holds->item[i].is_accepted)
			held_clear(&holds->item[i]);
		else
			holds->item[kept++] = holds->item[i];
	}
	holds->count = kept;
}

void berm_holds_clear(struct berm_holds *holds)
{
	for (size_t i = 0; i < holds->count; i++)
		held_clear(&holds->item[i]);
	free(holds->item);
	*holds = (struct berm_holds){ 0 };
}

/* ---- checking --------------------------------------------------------------------------------------------- */

static uint64_t digest_of(const struct berm_model *model)
{
	uint64_t sum = model->policy_count;

	for (size_t i = 0; i < model->policy_count; i++)
		sum = (sum ^ model->policies[i]->digest) * 0x100000001b3u;
	return sum;
}

bool berm_holds_are_due(const struct berm_holds *holds, const struct berm_model *model)
{
	return holds->count && (holds->is_new || holds->settled != digest_of(model));
}

static void refuse(struct berm_held *held, const char *why)
{
	held->is_accepted = false;
	snprintf(held->result.field, sizeof(held->result.field), "expect");
	snprintf(held->result.why, sizeof(held->result.why), "%s", why);
}

/* Those that are looked at at all: they start as accepted. */
static void nominate(struct berm_holds *holds)
{
	size_t used = 0;

	for (size_t i = 0; i < holds->count; i++) {
		struct berm_held *held = &holds->item[i];
		const char *ns = held->policy->ns;

		if (i && strcmp(ns, holds->item[i - 1].policy->ns) != 0)
			used = 0;
		used += held->policy->expect_count;
		held->is_accepted = !strcmp(ns, BERM_SYSTEM_NAMESPACE) ||
				    used <= BERM_HELD_EXPECTATIONS;
		if (!held->is_accepted)
			refuse(held,
			       "too many expectations wait in this namespace: those of this document are not looked at");
	}
}

/* One round: *ret_failed counts those that are accepted no longer. */
static int check_round(struct berm_holds *holds, const struct berm_model *model, size_t *ret_failed,
		       struct berm_err *err)
{
	auto_free struct berm_expect_result *result = calloc(holds->count + 1, sizeof(*result));
	struct berm_overlay overlay = { 0 }, open = { 0 };
	size_t n = 0;
	int rc = result ? berm_overlay_make(model, &overlay) : -ENOMEM;

	for (size_t i = 0; !rc && i < holds->count; i++)
		if (holds->item[i].is_accepted) {
			result[n++].policy = holds->item[i].policy;
			rc = berm_overlay_put(&overlay, holds->item[i].policy);
		}
	if (!rc)
		rc = berm_overlay_open(&overlay, &open);
	if (rc)
		berm_fail(err, rc, "check expectations");
	else
		rc = berm_expect_check(&open, result, n, err);
	berm_overlay_clear(&open);
	berm_overlay_clear(&overlay);
	n = 0;
	for (size_t i = 0; !rc && i < holds->count; i++) {
		if (!holds->item[i].is_accepted)
			continue;
		holds->item[i].result = result[n++];
		holds->item[i].is_accepted = !holds->item[i].result.fails;
		*ret_failed += holds->item[i].result.fails;
	}
	return rc;
}

/* They are too entangled: none goes rather than some that should not. */
static void accept_none(struct berm_holds *holds)
{
	for (size_t i = 0; i < holds->count; i++)
		if (holds->item[i].is_accepted)
			refuse(&holds->item[i],
			       "the documents that wait depend on each other in too many steps: apply fewer at once");
}

static void tell(const struct berm_held *held, const char *before)
{
	if (!held->is_accepted && strcmp(before, held->result.why) != 0)
		berm_log(BERM_LOG_ERROR, "document-held",
			 "policy=%s/%s source=\"%s\" expectation=%s text=\"%s\" effect=\"this version is not applied\"",
			 held->policy->ns, held->policy->name, held->source, held->result.field,
			 held->result.why);
	else if (held->is_accepted && *before)
		berm_log(BERM_LOG_INFO, "document-no-longer-held", "policy=%s/%s source=\"%s\"",
			 held->policy->ns, held->policy->name, held->source);
}

typedef char why_text[sizeof(((struct berm_expect_result *)0)->why)];

static int check_all(struct berm_holds *holds, const struct berm_model *model, struct berm_err *err)
{
	size_t failed = 1;
	int rc = 0;

	nominate(holds);
	for (unsigned int round = 0; !rc && failed && round < MAX_ROUNDS; round++) {
		failed = 0;
		rc = check_round(holds, model, &failed, err);
	}
	if (!rc && failed)
		accept_none(holds);
	for (size_t i = 0; rc && i < holds->count; i++)
		holds->item[i].is_accepted = false;
	return rc;
}

int berm_holds_check(struct berm_holds *holds, const struct berm_model *model, struct berm_err *err)
{
	auto_free why_text *before = calloc(holds->count + 1, sizeof(*before));
	int rc;

	if (!before)
		return berm_fail(err, -ENOMEM, "check expectations");
	for (size_t i = 0; i < holds->count; i++)
		memcpy(before[i], holds->item[i].result.why, sizeof(*before));
	rc = check_all(holds, model, err);
	if (rc)
		return rc;
	for (size_t i = 0; i < holds->count; i++)
		tell(&holds->item[i], before[i]);
	holds->is_new = false;
	holds->settled = digest_of(model);
	return 0;
}

int berm_holds_problems(const struct berm_holds *holds, struct berm_problems *out)
{
	char document[400];

	for (size_t i = 0; i < holds->count; i++) {
		struct berm_held *held = &holds->item[i];
		struct berm_problem problem = {
			.severity = BERM_ERROR,
			.source = held->source,
			.line = held->policy->line,
			.field = held->result.field,
			.message = held->result.why,
			.hint = (char *)"this version is not applied until that holds",
			.document = document,
		};

		if (!*held->result.why)
			continue; /* nobody has looked yet */
		berm_policy_title(held->policy->kind, held->policy->ns, held->policy->name,
				  document, sizeof(document));
		if (berm_problems_add(out, &problem))
			return -ENOMEM;
	}
	return 0;
}
