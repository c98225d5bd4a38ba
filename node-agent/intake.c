/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intake.c - one source's documents into the model. Parsing is document.c's business, what takes the place of a
 * broken document lastgood.c's, who owns an object that two sources define claims.c's.
 */
#include "intake.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "cleanup.h"
#include "intake_pin.h"
#include "log.h"

struct load { /* what the source says now, on its way into the model */
	struct berm_intake *intake;
	struct berm_source *source;
	struct berm_objects objects;
	struct berm_resolution resolution;
	struct berm_problems problems;
	struct berm_claimed **object; /* claims of this round */
	size_t count;
};

/* ---- problems ---------------------------------------------------------------------------------------- */

static bool has_line(const struct berm_problems *problems, const char *line)
{
	char other[1024];
	size_t i;

	for (i = 0; i < problems->count; i++) {
		(void)berm_problem_format(&problems->item[i], other,
					  sizeof(other)); /* cut is fine */
		if (!strcmp(line, other))
			return true;
	}
	return false;
}

/* Each problem is told once, when it is new. */
static void tell_problems(const struct berm_problems *before, const struct berm_problems *now)
{
	enum berm_log_level level;
	char line[1024];
	size_t i;

	for (i = 0; i < now->count; i++) {
		(void)berm_problem_format(&now->item[i], line, sizeof(line)); /* cut is fine */
		level = now->item[i].severity == BERM_ERROR ? BERM_LOG_ERROR : BERM_LOG_WARNING;
		if (!has_line(before, line))
			berm_log(level, "document-problem", "text=\"%s\"", line);
	}
}

static void set_problems(struct load *load)
{
	struct berm_source *source = load->source;

	tell_problems(&source->problems, &load->problems);
	if (source->problems.count && !load->problems.count)
		berm_log(BERM_LOG_INFO, "documents-ok", "source=\"%s\"", source->name);
	berm_problems_clear(&source->problems);
	source->problems = load->problems;
	load->problems = (struct berm_problems){ 0 };
}

/* ---- claims ------------------------------------------------------------------------------------------- */

static bool is_of(const struct berm_claim *claim, const struct berm_source *source)
{
	return claim && !strcmp(claim->file, source->name);
}

static void model_remove(struct berm_intake *intake, const struct berm_object_id *id)
{
	struct berm_model *model = intake->model;
	int rc = 0;

	switch (id->kind) {
	case BERM_OBJ_NAMESPACE:
		rc = berm_model_remove_namespace(model, id->name);
		break;
	case BERM_OBJ_POD:
		rc = berm_model_remove_pod(model, id->ns, id->name);
		break;
	case BERM_OBJ_POLICY:
		berm_intake_released(intake, id->policy_kind, id->ns, id->name);
		rc = berm_model_remove_policy(model, id->policy_kind, id->ns, id->name);
		break;
	case BERM_OBJ_SERVICE:
		rc = berm_model_remove_service(model, id->ns, id->name);
		break;
	case BERM_OBJ_SLICE:
		rc = berm_model_remove_slice(model, id->ns, id->name);
		break;
	case BERM_OBJ_SERVICE_CIDR:
		rc = berm_model_remove_service_cidr(model, id->name);
		break;
	}
	(void)rc; /* absent is what we want */
}

/* The source no longer decides over the object: another one does, or nobody. The model keeps the old version until the
 * other source has been loaded again, because nobody keeps what a source said and was not used. */
static void hand_over(struct berm_intake *intake, struct berm_claimed *object)
{
	const struct berm_claim *to = berm_claims_owner(object);

	if (to)
		intake->reload(to->file, intake->ctx);
	else
		model_remove(intake, &object->id);
}

static void unclaim(struct berm_intake *intake, struct berm_claimed *object,
		    const struct berm_source *source)
{
	bool was_owner = is_of(berm_claims_owner(object), source);

	berm_claims_remove(object, source->name);
	if (was_owner || !object->count)
		hand_over(intake, object);
	if (!object->count)
		berm_claims_forget(&intake->claims, object);
}

static void tell_twice(const struct berm_claimed *object)
{
	const struct berm_claim *owner = berm_claims_owner(object);
	size_t i;

	for (i = 0; i < object->count; i++)
		if (owner && &object->claim[i] != owner)
			berm_log(BERM_LOG_WARNING, "defined-twice",
				 "object=%s/%s source=\"%s\" line=%d ignored-source=\"%s\" ignored-line=%d",
				 object->id.ns, object->id.name, owner->file, owner->line,
				 object->claim[i].file, object->claim[i].line);
}

/* *ret_put: the source decides over the object, so its version is for the model. */
static int claim(struct load *load, const struct berm_object_id *id, enum berm_standing standing,
		 int line, bool *ret_put)
{
	struct berm_claim mine = { load->source->name, standing, line, load->source->round };
	struct berm_claimed *object;
	bool was_owner, is_new;

	*ret_put = false;
	object = berm_claims_find(&load->intake->claims, id);
	is_new = !object || !berm_claims_of(object, mine.file);
	if (!is_new && berm_claims_of(object, mine.file)->round == mine.round)
		return 0; /* a second time in one source: the first counts */
	was_owner = object && is_of(berm_claims_owner(object), load->source);
	if (berm_claims_put(&load->intake->claims, id, &mine, &object))
		return -ENOMEM;
	load->object[load->count++] = object;
	*ret_put = is_of(berm_claims_owner(object), load->source);
	if (!*ret_put && was_owner)
		hand_over(load->intake, object);
	if (is_new && object->count > 1)
		tell_twice(object);
	return 0;
}

/* ---- objects ------------------------------------------------------------------------------------------- */

static struct berm_object_id id_of(const struct berm_object *object)
{
	return (struct berm_object_id){
		.kind = object->kind,
		.ns = object->ns && object->kind != BERM_OBJ_NAMESPACE ? object->ns : "",
		.name = object->name ? object->name : "",
	};
}

/* A broken object that is no policy stays as it was. */
static int keep(struct load *load, const struct berm_object_id *id)
{
	const struct berm_claimed *object = berm_claims_find(&load->intake->claims, id);
	const struct berm_claim *old = object ? berm_claims_of(object, load->source->name) : NULL;
	struct berm_claim mine;
	struct berm_claimed *same;

	if (!old || old->round == load->source->round)
		return 0;
	mine = *old;
	mine.round = load->source->round;
	if (berm_claims_put(&load->intake->claims, id, &mine, &same))
		return -ENOMEM;
	load->object[load->count++] = same;
	return 0;
}

static int model_put(struct berm_model *model, struct berm_object *object)
{
	switch (object->kind) {
	case BERM_OBJ_NAMESPACE:
		return berm_model_put_namespace(model, TAKE_PTR(object->namespace));
	case BERM_OBJ_POD:
		return berm_model_put_pod(model, TAKE_PTR(object->pod));
	case BERM_OBJ_SERVICE:
		return berm_model_put_service(model, TAKE_PTR(object->service));
	case BERM_OBJ_SLICE:
		return berm_model_put_slice(model, TAKE_PTR(object->slice));
	case BERM_OBJ_SERVICE_CIDR:
		return berm_model_put_service_cidr(model, TAKE_PTR(object->service_cidr));
	case BERM_OBJ_POLICY:
		break; /* comes through the last-good store */
	}
	return 0;
}

static int take_object(struct load *load, struct berm_object *object)
{
	struct berm_object_id id = id_of(object);
	bool put;
	int rc;

	if (object->kind == BERM_OBJ_POLICY)
		return 0; /* comes through the last-good store */
	if (object->broken)
		return keep(load, &id);
	rc = claim(load, &id, BERM_STANDING_ENFORCED, object->line, &put);
	if (rc || !put)
		return rc;
	return model_put(load->intake->model, object);
}

static int line_of(const struct load *load, const struct berm_resolved *policy)
{
	const struct berm_object *object;
	size_t i;

	if (policy->policy)
		return policy->policy->line;
	for (i = 0; i < load->objects.count; i++) {
		object = &load->objects.item[i];
		if (object->kind == BERM_OBJ_POLICY && object->policy_kind == policy->kind &&
		    object->name && !strcmp(object->name, policy->name) &&
		    !strcmp(object->ns ? object->ns : "", policy->ns ? policy->ns : ""))
			return object->line;
	}
	return 0;
}

static int take_policy(struct load *load, struct berm_resolved *policy)
{
	struct berm_object_id id = {
		.kind = BERM_OBJ_POLICY,
		.policy_kind = policy->kind,
		.ns = policy->ns ? policy->ns : "",
		.name = policy->name,
	};
	bool put;
	int rc;

	rc = policy->held ? berm_holds_add(&load->intake->holds, load->source->name, policy) : 0;
	if (rc)
		return rc;
	rc = claim(load, &id, policy->standing, line_of(load, policy), &put);
	if (rc || !put || !policy->policy)
		return rc;
	return berm_intake_put(load->intake, TAKE_PTR(policy->policy));
}

/* Pods and namespaces of a source that cannot be read whole stay, whether they are seen in the rest or not. */
static int keep_old(struct load *load)
{
	size_t i;
	int rc;

	for (i = 0; load->objects.unreadable_count && i < load->source->object_count; i++) {
		if (load->source->object[i]->id.kind == BERM_OBJ_POLICY)
			continue;
		rc = keep(load, &load->source->object[i]->id);
		if (rc)
			return rc;
	}
	return 0;
}

static int take_all(struct load *load)
{
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < load->objects.count; i++)
		rc = take_object(load, &load->objects.item[i]);
	for (i = 0; !rc && i < load->resolution.count; i++)
		rc = take_policy(load, &load->resolution.item[i]);
	return rc ? rc : keep_old(load);
}

/* What the source said before and does not say now goes. */
static void drop_old(struct load *load)
{
	struct berm_source *source = load->source;
	size_t i;

	for (i = 0; i < source->object_count; i++)
		if (berm_claims_of(source->object[i], source->name)->round != source->round)
			unclaim(load->intake, source->object[i], source);
	free(source->object);
	source->object = TAKE_PTR(load->object);
	source->object_count = load->count;
}

static void set_isolated(struct berm_source *source, struct berm_resolution *resolution)
{
	size_t i;

	for (i = 0; i < source->isolated_count; i++)
		free(source->isolated_ns[i]);
	free(source->isolated_ns);
	source->isolated_ns = TAKE_PTR(resolution->isolated_ns);
	source->isolated_count = resolution->isolated_ns_count;
	resolution->isolated_ns_count = 0;
}

static void forget_note(struct berm_source *source)
{
	if (!source->noted)
		return;
	DL_DELETE2(source->noted->noted, source, noted_prev, noted_next);
	source->noted = NULL;
}

/* Only sources with something to tell stand in the list: there may be 10,000 without. */
static void note(struct berm_intake *intake, struct berm_source *source)
{
	bool is_worth = source->problems.count || source->isolated_count;

	if (is_worth == (source->noted != NULL))
		return;
	if (!is_worth) {
		forget_note(source);
		return;
	}
	source->noted = intake;
	DL_APPEND2(intake->noted, source, noted_prev, noted_next);
}

int64_t berm_intake_now_s(const struct berm_intake *intake)
{
	return intake->now_s ? intake->now_s(intake->ctx) : intake->model->now_s;
}

/* Who must be confirmed, and what goes back to what it was. */
static int visit(struct load *load)
{
	const struct berm_intake *intake = load->intake;
	struct berm_confirm_visit visit = {
		.source = load->source->name,
		.before = berm_lastgood_of(intake->store, load->source->name),
		.written_s = load->source->written_s,
		.is_live = intake->is_live,
	};

	if (!intake->confirms)
		return 0;
	if (load->objects.guard_count)
		visit.now_s = berm_intake_now_s(intake);
	return berm_confirms_visit(intake->confirms, &visit, &load->objects, &load->problems);
}

/* On -ENOMEM half-way the model has some of the new and all of the old objects: nothing has gone, and the
 * next load, which the caller owes, sorts it out. */
static int commit(struct load *load, struct berm_err *err)
{
	size_t most;

	if (visit(load))
		return berm_fail(err, -ENOMEM, "load %s", load->source->name);
	if (berm_lastgood_resolve(load->intake->store, load->source->name, &load->objects,
				  &load->resolution, err))
		return -ENOMEM;
	most = load->objects.count + load->resolution.count + load->source->object_count;
	load->object = calloc(most + 1, sizeof(struct berm_claimed *));
	if (!load->object)
		return berm_fail(err, -ENOMEM, "load %s", load->source->name);
	load->source->round++;
	berm_holds_forget(&load->intake->holds, load->source->name);
	if (take_all(load))
		return berm_fail(err, -ENOMEM, "load %s", load->source->name);
	drop_old(load);
	set_isolated(load->source, &load->resolution);
	set_problems(load);
	note(load->intake, load->source);
	return 0;
}

static void load_clear(struct load *load)
{
	berm_objects_clear(&load->objects);
	berm_resolution_clear(&load->resolution);
	berm_problems_clear(&load->problems);
	free(load->object);
}

static int refuse_text(struct load *load, const struct berm_err *why)
{
	struct berm_problem problem = {
		.severity = BERM_ERROR,
		.source = (char *)load->source->name,
		.message = (char *)why->msg,
		.hint = (char *)"its documents stay as they were; make it readable, then they are read again",
	};

	load->objects.unreadable = calloc(1, sizeof(*load->objects.unreadable));
	if (!load->objects.unreadable)
		return -ENOMEM;
	load->objects.unreadable_count = 1;
	load->objects.unreadable[0].key = strdup(load->source->name);
	return load->objects.unreadable[0].key ? berm_problems_add(&load->problems, &problem)
					       : -ENOMEM;
}

int berm_intake_unreadable(struct berm_intake *intake, struct berm_source *source,
			   const struct berm_err *why, struct berm_err *err)
{
	struct load load = { .intake = intake, .source = source };
	int rc;

	intake->taken++;
	rc = refuse_text(&load, why);
	if (rc)
		berm_fail(err, rc, "load %s", source->name);
	else
		rc = commit(&load, err);
	load_clear(&load);
	return rc;
}

int berm_intake_load(struct berm_intake *intake, struct berm_source *source, const char *text,
		     size_t size, struct berm_err *err)
{
	struct berm_document document = { source->name, source->kind, text, size };
	struct load load = { .intake = intake, .source = source };
	struct berm_err why = { 0 };
	int rc;

	intake->taken++;
	rc = source->kind
		     ? berm_document_parse_object(&document, &load.objects, &load.problems, &why)
		     : berm_document_parse(source->name, text, size, &load.objects, &load.problems,
					   &why);
	if (!rc) {
		rc = commit(&load, err);
	} else if (rc == -ENOMEM) {
		*err = why;
	}
	load_clear(&load);
	return rc && rc != -ENOMEM ? berm_intake_unreadable(intake, source, &why, err) : rc;
}

void berm_intake_drop(struct berm_intake *intake, struct berm_source *source)
{
	size_t i;

	intake->taken++;
	berm_lastgood_forget(intake->store, source->name);
	berm_holds_forget(&intake->holds, source->name);
	if (intake->confirms)
		berm_confirms_forget(intake->confirms, source->name);
	for (i = 0; i < source->object_count; i++)
		unclaim(intake, source->object[i], source);
	source->object_count = 0;
	berm_source_clear(source);
}

/* ---- versions that must be confirmed --------------------------------------------------------------------- */

void berm_intake_go_live(struct berm_intake *intake)
{
	if (intake->confirms && !intake->is_live)
		berm_confirms_retain(intake->confirms);
	if (!intake->is_live)
		berm_intake_restore(intake);
	intake->is_live = true;
}

void berm_intake_expire(struct berm_intake *intake)
{
	if (intake->confirms)
		berm_confirms_expire(intake->confirms, berm_intake_now_s(intake), intake->reload,
				     intake->ctx);
}

/* ---- documents that wait ------------------------------------------------------------------------------- */

bool berm_intake_is_unsettled(const struct berm_intake *intake)
{
	return berm_holds_are_due(&intake->holds, intake->model);
}

static int remember(struct berm_intake *intake, const struct berm_held *held)
{
	struct berm_object object = {
		.kind = BERM_OBJ_POLICY,
		.policy_kind = held->policy->kind,
		.ns = held->policy->ns,
		.name = held->policy->name,
		.key = held->key,
		.carrier = held->carrier,
		.text = held->text,
		.line = held->policy->line,
	};

	return berm_lastgood_accept(intake->store, held->source, &object);
}

/* As if it had been read only now. */
static int accept(struct berm_intake *intake, struct berm_held *held)
{
	struct berm_object_id id = {
		.kind = BERM_OBJ_POLICY,
		.policy_kind = held->policy->kind,
		.ns = held->policy->ns,
		.name = held->policy->name,
	};
	struct berm_claimed *object = berm_claims_find(&intake->claims, &id);
	const struct berm_claim *old = object ? berm_claims_of(object, held->source) : NULL;
	struct berm_claim mine;

	if (!old)
		return 0;
	mine = *old;
	mine.standing = BERM_STANDING_ENFORCED;
	if (remember(intake, held) || berm_claims_put(&intake->claims, &id, &mine, &object))
		return -ENOMEM;
	old = berm_claims_owner(object);
	if (!old || strcmp(old->file, held->source) != 0)
		return 0;
	return berm_intake_put(intake, TAKE_PTR(held->policy));
}

int berm_intake_settle(struct berm_intake *intake, struct berm_err *err)
{
	struct berm_holds *holds = &intake->holds;
	int rc = berm_holds_check(holds, intake->model, err);

	for (size_t i = 0; !rc && i < holds->count; i++) {
		if (!holds->item[i].is_accepted || !accept(intake, &holds->item[i]))
			continue;
		holds->item[i].is_accepted =
			!holds->item[i].policy; /* lost, or to be tried again */
		rc = berm_fail(err, -ENOMEM, "apply documents that were held");
	}
	for (size_t i = 0; rc && i < holds->count; i++)
		holds->item[i].is_accepted &= !holds->item[i].policy;
	berm_holds_sweep(holds);
	holds->is_new |= rc != 0;
	return rc;
}

void berm_source_clear(struct berm_source *source)
{
	struct berm_resolution nothing = { 0 };

	set_isolated(source, &nothing);
	berm_problems_clear(&source->problems);
	forget_note(source);
	free(source->object);
	source->object = NULL;
	source->object_count = 0;
}

void berm_intake_clear(struct berm_intake *intake)
{
	berm_holds_clear(&intake->holds);
	berm_claims_clear(&intake->claims);
}
