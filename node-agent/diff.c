// SPDX-License-Identifier: Apache-2.0
/*
 * diff.c - compiles what is in force, brings the documents of the question into the model as the agent would, and compares. Decides
 * nothing itself. An edge is a connection that both of its ends allow.
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
#include "overlay.h"

struct asking {
	struct berm_model *model;
	struct berm_objects objects;
	struct berm_problems problems;
	struct berm_differ *differ;
	BERM_ARRAY(const struct berm_policy *)
	anew;		     /* policies of the question that are new or changed */
	char (*broken)[400]; /* titles of those whose expectations do not hold now */
	size_t broken_count;
	cJSON *out, *added, *changed, *removed;
};

/* ---- the documents ----------------------------------------------------------------------------------------- */

static int broken(const struct asking *q, const char *source, struct berm_err *err)
{
	char line[400] = "";

	for (size_t i = 0; i < q->problems.count && !*line; i++)
		if (q->problems.item[i].severity == BERM_ERROR)
			(void)berm_problem_format(&q->problems.item[i], line,
						  sizeof(line)); /* cut is fine */
	return berm_refuse(err, -EINVAL, "%s", *line ? line : source);
}

static bool has_errors(const struct asking *q)
{
	for (size_t i = 0; i < q->problems.count; i++)
		if (q->problems.item[i].severity == BERM_ERROR)
			return true;
	return q->objects.unreadable_count > 0;
}

static int read_document(struct asking *q, const cJSON *item, struct berm_err *err)
{
	const char *source = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "source"));
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "text"));
	int rc;

	if (!source || !text)
		return berm_refuse(err, -EINVAL, "documents is a list of {source, text}");
	rc = berm_document_parse(source, text, strlen(text), &q->objects, &q->problems, err);
	if (rc)
		return rc == -ENOMEM ? rc : -EINVAL;
	return has_errors(q) ? broken(q, source, err) : 0;
}

static int read_all(struct asking *q, const cJSON *question, struct berm_err *err)
{
	const cJSON *item;
	int rc = 0;

	if (!cJSON_IsObject(question))
		return berm_refuse(err, -EINVAL, "the body is no JSON object");
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(question, "documents"))
		rc = rc ? rc : read_document(q, item, err);
	return rc;
}

/* ---- into the model ------------------------------------------------------------------------------------------ */

static void add_title(cJSON *array, const struct berm_policy *policy)
{
	char title[400];

	berm_policy_title(policy->kind, policy->ns, policy->name, title, sizeof(title));
	cJSON_AddItemToArray(array, cJSON_CreateString(title));
}

/* "Kind namespace/name", "ClusterNetworkPolicy name" */
static int delete_one(struct asking *q, const cJSON *item, struct berm_err *err)
{
	const char *text = cJSON_GetStringValue(item), *space = text ? strchr(text, ' ') : NULL;
	const char *slash = space ? strchr(space, '/') : NULL;
	enum berm_policy_kind kind;
	char word[32] = "", ns[64] = "";
	int rc;

	if (space && (size_t)(space - text) < sizeof(word))
		memcpy(word, text, (size_t)(space - text));
	if (slash && (size_t)(slash - space - 1) < sizeof(ns))
		memcpy(ns, space + 1, (size_t)(slash - space - 1));
	if (!space || !berm_policy_kind_of(word, &kind))
		return berm_refuse(err, -EINVAL, "delete: '%.80s' is not KIND NAMESPACE/NAME",
				   text ? text : "");
	rc = berm_model_remove_policy(q->model, kind, ns, slash ? slash + 1 : space + 1);
	if (rc == -ENOENT)
		return berm_refuse(err, -EINVAL, "delete: there is no %.200s", text);
	if (rc)
		return berm_fail(err, rc, "compare");
	cJSON_AddItemToArray(q->removed, cJSON_CreateString(text));
	return 0;
}

static int put_policy(struct asking *q, struct berm_policy *policy)
{
	const struct berm_policy *old =
		berm_model_policy(q->model, policy->kind, policy->ns, policy->name);

	if (old && old->digest == policy->digest) {
		berm_policy_free(policy);
		return 0;
	}
	add_title(old ? q->changed : q->added, policy);
	if (policy->expect_count && array_push(&q->anew, policy)) {
		berm_policy_free(policy);
		return -ENOMEM;
	}
	return berm_model_put_policy(q->model, policy);
}

/* A manifest says nothing of what Kubernetes gives. */
static void inherit(struct berm_pod *pod, const struct berm_pod *old)
{
	if (!old || pod->addr_count)
		return;
	memcpy(pod->addr, old->addr, sizeof(pod->addr));
	pod->addr_count = old->addr_count;
	pod->finished = old->finished;
	if (!pod->uid && old->uid)
		pod->uid = strdup(old->uid);
}

static int put_object(struct asking *q, struct berm_object *object)
{
	struct berm_model *model = q->model;

	switch (object->kind) {
	case BERM_OBJ_POLICY:
		return put_policy(q, TAKE_PTR(object->policy));
	case BERM_OBJ_NAMESPACE:
		return berm_model_put_namespace(model, TAKE_PTR(object->namespace));
	case BERM_OBJ_POD:
		inherit(object->pod, berm_model_pod(model, object->pod->ns, object->pod->name));
		return berm_model_put_pod(model, TAKE_PTR(object->pod));
	case BERM_OBJ_SERVICE:
		return berm_model_put_service(model, TAKE_PTR(object->service));
	case BERM_OBJ_SLICE:
		return berm_model_put_slice(model, TAKE_PTR(object->slice));
	case BERM_OBJ_SERVICE_CIDR:
		return berm_model_put_service_cidr(model, TAKE_PTR(object->service_cidr));
	}
	return 0;
}

static int change_model(struct asking *q, const cJSON *question, struct berm_err *err)
{
	const cJSON *item;
	int rc = 0;

	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(question, "delete"))
		rc = rc ? rc : delete_one(q, item, err);
	for (size_t i = 0; !rc && i < q->objects.count; i++) {
		rc = put_object(q, &q->objects.item[i]);
		if (rc)
			berm_fail(err, rc, "compare");
	}
	return rc;
}

/* ---- expectations ---------------------------------------------------------------------------------------------- */

/* Of all policies that are in the model now. *ret is the caller's. */
static int check(const struct berm_model *model, struct berm_expect_result **ret, size_t *ret_count,
		 struct berm_err *err)
{
	auto_free struct berm_expect_result *result =
		calloc(model->policy_count + 1, sizeof(*result));
	struct berm_overlay all;
	size_t n = 0;
	int rc;

	if (!result || berm_overlay_make(model, &all))
		return berm_fail(err, -ENOMEM, "compare");
	for (size_t i = 0; i < all.count; i++)
		if (all.item[i]->expect_count)
			result[n++].policy = all.item[i];
	rc = n ? berm_expect_check(&all, result, n, err) : 0;
	berm_overlay_clear(&all);
	if (rc)
		return rc;
	*ret_count = n;
	*ret = TAKE_PTR(result);
	return 0;
}

static void title_of(const struct berm_policy *policy, char out[400])
{
	berm_policy_title(policy->kind, policy->ns, policy->name, out, 400);
}

static int note_broken(struct asking *q, struct berm_err *err)
{
	auto_free struct berm_expect_result *result = NULL;
	size_t n = 0;
	int rc = check(q->model, &result, &n, err);

	if (rc)
		return rc;
	q->broken = calloc(n + 1, sizeof(*q->broken));
	if (!q->broken)
		return berm_fail(err, -ENOMEM, "compare");
	for (size_t i = 0; i < n; i++)
		if (result[i].fails)
			title_of(result[i].policy, q->broken[q->broken_count++]);
	return 0;
}

static bool is_of_question(const struct asking *q, const struct berm_policy *policy)
{
	for (size_t i = 0; i < q->anew.count; i++)
		if (q->anew.item[i] == policy || q->anew.item[i] == policy->written)
			return true;
	return false;
}

static bool was_broken(const struct asking *q, const char *title)
{
	for (size_t i = 0; i < q->broken_count; i++)
		if (!strcmp(q->broken[i], title))
			return true;
	return false;
}

/* New versions whose expectations would not hold, all of them being there; and others that would break by them. */
static int tell_expectations(struct asking *q, struct berm_err *err)
{
	cJSON *held = cJSON_AddArrayToObject(q->out, "held");
	cJSON *breaks = cJSON_AddArrayToObject(q->out, "breaks");
	auto_free struct berm_expect_result *result = NULL;
	size_t n = 0;
	int rc = check(q->model, &result, &n, err);

	for (size_t i = 0; !rc && i < n; i++) {
		bool is_new = is_of_question(q, result[i].policy);
		char title[400], line[1300];

		title_of(result[i].policy, title);
		if (!result[i].fails || (!is_new && was_broken(q, title)))
			continue;
		snprintf(line, sizeof(line), "%s: %s: %s", title, result[i].field, result[i].why);
		cJSON_AddItemToArray(is_new ? held : breaks, cJSON_CreateString(line));
	}
	return rc;
}

/* ---- the whole ------------------------------------------------------------------------------------------------- */

static int open_answer(struct asking *q)
{
	cJSON *documents;

	q->out = cJSON_CreateObject();
	documents = cJSON_AddObjectToObject(q->out, "documents");
	q->added = cJSON_AddArrayToObject(documents, "added");
	q->changed = cJSON_AddArrayToObject(documents, "changed");
	q->removed = cJSON_AddArrayToObject(documents, "removed");
	return q->removed ? 0 : -ENOMEM;
}

static int answer(struct asking *q, const cJSON *question, struct berm_err *err)
{
	int rc = open_answer(q) ? berm_fail(err, -ENOMEM, "compare") : read_all(q, question, err);

	rc = rc ? rc : berm_differ_open(q->model, &q->differ, err);
	rc = rc ? rc : note_broken(q, err);
	rc = rc ? rc : change_model(q, question, err);
	rc = rc ? rc : tell_expectations(q, err);
	return rc ? rc : berm_differ_compare(q->differ, q->model, q->out, err);
}

int berm_diff(struct berm_model *model, const cJSON *question, cJSON **ret, struct berm_err *err)
{
	struct asking q = { .model = model };
	int rc = answer(&q, question, err);

	berm_differ_close(q.differ);
	berm_objects_clear(&q.objects);
	berm_problems_clear(&q.problems);
	array_free(&q.anew);
	free(q.broken);
	if (rc)
		cJSON_Delete(q.out);
	else
		*ret = q.out;
	return rc;
}
