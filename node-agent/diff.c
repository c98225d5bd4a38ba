/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diff.c - compiles the policies as they are and as they would be, with every known pod as an endpoint, and compares what the
 * two plans say of groups of pods. Decides nothing itself. An edge is a connection that both of its ends allow.
 */
#include "diff.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "cleanup.h"
#include "diff_edge.h"
#include "document.h"
#include "expect.h"
#include "maps.h"
#include "overlay.h"

/* ---- the question ------------------------------------------------------------------------------------------ */

struct inquiry {
	const struct berm_model *model;
	struct berm_objects objects; /* of all documents: owns the new policies */
	struct berm_problems problems;
	struct berm_overlay before, after;
	cJSON *out;
};

static int broken(const struct inquiry *in, const char *source, struct berm_err *err)
{
	char line[400] = "";

	for (size_t i = 0; i < in->problems.count && !*line; i++)
		if (in->problems.item[i].severity == BERM_ERROR)
			(void)berm_problem_format(&in->problems.item[i], line,
						  sizeof(line)); /* cut is fine */
	return berm_refuse(err, -EINVAL, "%s", *line ? line : source);
}

static bool has_errors(const struct inquiry *in)
{
	for (size_t i = 0; i < in->problems.count; i++)
		if (in->problems.item[i].severity == BERM_ERROR)
			return true;
	return in->objects.unreadable_count > 0;
}

static int read_document(struct inquiry *in, const cJSON *item, struct berm_err *err)
{
	const char *source = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "source"));
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "text"));
	int rc;

	if (!source || !text)
		return berm_refuse(err, -EINVAL, "documents is a list of {source, text}");
	rc = berm_document_parse(source, text, strlen(text), &in->objects, &in->problems, err);
	if (rc)
		return rc == -ENOMEM ? rc : -EINVAL;
	return has_errors(in) ? broken(in, source, err) : 0;
}

/* "Kind namespace/name", "ClusterNetworkPolicy name" */
static int delete_one(struct inquiry *in, const cJSON *item, struct berm_err *err)
{
	const char *text = cJSON_GetStringValue(item), *space = text ? strchr(text, ' ') : NULL;
	const char *slash = space ? strchr(space, '/') : NULL;
	enum berm_policy_kind kind;
	char word[32] = "", ns[64] = "";

	if (space && (size_t)(space - text) < sizeof(word))
		memcpy(word, text, (size_t)(space - text));
	if (slash && (size_t)(slash - space - 1) < sizeof(ns))
		memcpy(ns, space + 1, (size_t)(slash - space - 1));
	if (!space || !berm_policy_kind_of(word, &kind))
		return berm_refuse(err, -EINVAL, "delete: '%.80s' is not KIND NAMESPACE/NAME",
				   text ? text : "");
	if (!berm_overlay_remove(&in->after, kind, ns, slash ? slash + 1 : space + 1))
		return berm_refuse(err, -EINVAL, "delete: there is no %.200s", text);
	return 0;
}

static int put_all(struct inquiry *in, struct berm_err *err)
{
	for (size_t i = 0; i < in->objects.count; i++) {
		struct berm_policy *policy = in->objects.item[i].policy;

		if (policy && berm_policy_is_companion(policy->kind))
			return berm_refuse(
				err, -EINVAL,
				"%s %s/%s: what a change of it does cannot be compared; leave it out",
				berm_policy_kind_name(policy->kind), policy->ns, policy->name);
		if (policy && berm_overlay_put(&in->after, policy))
			return berm_fail(err, -ENOMEM, "compare");
	}
	return 0;
}

static int understand(struct inquiry *in, const cJSON *question, struct berm_err *err)
{
	const cJSON *item;
	int rc = 0;

	if (!cJSON_IsObject(question))
		return berm_refuse(err, -EINVAL, "the body is no JSON object");
	if (berm_overlay_make(in->model, &in->before) || berm_overlay_make(in->model, &in->after))
		return berm_fail(err, -ENOMEM, "compare");
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(question, "delete"))
		rc = rc ? rc : delete_one(in, item, err);
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(question, "documents"))
		rc = rc ? rc : read_document(in, item, err);
	return rc ? rc : put_all(in, err);
}

/* ---- documents ----------------------------------------------------------------------------------------------- */

static const struct berm_policy *same(const struct berm_overlay *list,
				      const struct berm_policy *policy)
{
	struct berm_model view = { .policies = list->item, .policy_count = list->count };

	return berm_model_policy(&view, policy->kind, policy->ns, policy->name);
}

static void add_title(cJSON *array, const struct berm_policy *policy)
{
	char title[400];

	berm_policy_title(policy->kind, policy->ns, policy->name, title, sizeof(title));
	cJSON_AddItemToArray(array, cJSON_CreateString(title));
}

static void tell_documents(struct inquiry *in)
{
	cJSON *object = cJSON_AddObjectToObject(in->out, "documents");
	cJSON *added = cJSON_AddArrayToObject(object, "added");
	cJSON *changed = cJSON_AddArrayToObject(object, "changed");
	cJSON *removed = cJSON_AddArrayToObject(object, "removed");

	for (size_t i = 0; i < in->after.count; i++) {
		const struct berm_policy *old = same(&in->before, in->after.item[i]);

		if (!old)
			add_title(added, in->after.item[i]);
		else if (old->digest != in->after.item[i]->digest)
			add_title(changed, in->after.item[i]);
	}
	for (size_t i = 0; i < in->before.count; i++)
		if (!same(&in->after, in->before.item[i]))
			add_title(removed, in->before.item[i]);
}

/* What is expected holds while every schedule is open. */
static int check_open(const struct berm_overlay *list, struct berm_expect_result *result,
		      size_t count, struct berm_err *err)
{
	struct berm_overlay open;
	int rc = berm_overlay_open(list, &open);

	if (rc)
		return berm_fail(err, rc, "compare");
	rc = berm_expect_check(&open, result, count, err);
	berm_overlay_clear(&open);
	return rc;
}

/* Those that would be held, all new versions being there. */
static int tell_expectations(struct inquiry *in, struct berm_err *err)
{
	auto_free struct berm_expect_result *result = calloc(in->after.count + 1, sizeof(*result));
	cJSON *array = cJSON_AddArrayToObject(in->out, "held");
	size_t n = 0;
	int rc;

	if (!result)
		return berm_fail(err, -ENOMEM, "compare");
	for (size_t i = 0; i < in->after.count; i++) {
		const struct berm_policy *policy = in->after.item[i],
					 *old = same(&in->before, policy);

		if (policy->expect_count && (!old || old->digest != policy->digest))
			result[n++].policy = policy;
	}
	rc = n ? check_open(&in->after, result, n, err) : 0;
	for (size_t i = 0; !rc && i < n; i++) {
		char title[400], line[1300];

		if (!result[i].fails)
			continue;
		berm_policy_title(result[i].policy->kind, result[i].policy->ns,
				  result[i].policy->name, title, sizeof(title));
		snprintf(line, sizeof(line), "%s: %s: %s", title, result[i].field, result[i].why);
		cJSON_AddItemToArray(array, cJSON_CreateString(line));
	}
	return rc;
}

/* ---- the whole ------------------------------------------------------------------------------------------------- */

int berm_diff(const struct berm_model *model, const cJSON *question, cJSON **ret,
	      struct berm_err *err)
{
	struct inquiry in = { .model = model, .out = cJSON_CreateObject() };
	int rc = in.out ? understand(&in, question, err) : -ENOMEM;

	if (!rc) {
		tell_documents(&in);
		rc = tell_expectations(&in, err);
	}
	if (!rc)
		rc = berm_diff_edges(&(struct berm_diff_lists){ model, &in.before, &in.after },
				     in.out, err);
	berm_overlay_clear(&in.before);
	berm_overlay_clear(&in.after);
	berm_objects_clear(&in.objects);
	berm_problems_clear(&in.problems);
	if (rc)
		cJSON_Delete(in.out);
	else
		*ret = in.out;
	return rc;
}
