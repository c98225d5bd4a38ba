// SPDX-License-Identifier: Apache-2.0
/* confirm.c - who waits for a confirmation, since when, and what takes its place. Files are confirm_file.c's business. */
#include "confirm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "confirm_file.h"
#include "log.h"
#include "moment.h"

/* ---- deciding ------------------------------------------------------------------------------------------------------ */

const char *berm_confirm_state_name(enum berm_confirm_state state)
{
	static const char *const name[] = {
		[BERM_CONFIRM_DONE] = "confirmed",
		[BERM_CONFIRM_WAITING] = "waiting",
		[BERM_CONFIRM_BACK] = "rolled-back",
		[BERM_CONFIRM_STUCK] = "kept",
	};

	return name[state];
}

enum berm_confirm_state berm_confirm_decide(const struct berm_confirm_facts *facts)
{
	if (facts->is_confirmed)
		return BERM_CONFIRM_DONE;
	if (facts->now_s < facts->deadline_s)
		return BERM_CONFIRM_WAITING;
	return facts->has_previous ? BERM_CONFIRM_BACK : BERM_CONFIRM_STUCK;
}

/* ---- which documents are a ConfigMap's ----------------------------------------------------------------------------- */

static bool is_in(const char *key, const char *carrier)
{
	size_t len = strlen(carrier);

	return key && !strncmp(key, carrier, len) && (!key[len] || key[len] == '/');
}

static const struct berm_object *find_object(const struct berm_objects *objects,
					     const char *carrier, const struct berm_kept *kept)
{
	for (size_t i = 0; i < objects->count; i++) {
		const struct berm_object *o = &objects->item[i];

		if (o->kind == BERM_OBJ_POLICY && o->policy_kind == kept->kind && o->text &&
		    is_in(o->key, carrier) && !strcmp(o->ns, kept->ns) &&
		    !strcmp(o->name, kept->name))
			return o;
	}
	return NULL;
}

static size_t count_objects(const struct berm_objects *objects, const char *carrier)
{
	size_t count = 0;

	for (size_t i = 0; i < objects->count; i++)
		count += objects->item[i].kind == BERM_OBJ_POLICY &&
			 is_in(objects->item[i].key, carrier);
	for (size_t i = 0; i < objects->unreadable_count; i++)
		count += is_in(objects->unreadable[i].key, carrier);
	return count;
}

/* Is what was in force just what there is now? */
static bool is_same(const struct berm_kept_source *before, const struct berm_objects *objects,
		    const char *carrier)
{
	size_t count = 0;

	for (size_t i = 0; i < before->count; i++) {
		const struct berm_object *o;

		if (!is_in(before->item[i].key, carrier))
			continue;
		o = find_object(objects, carrier, &before->item[i]);
		if (!o || strcmp(o->text, before->item[i].text) != 0)
			return false;
		count++;
	}
	return count && count == count_objects(objects, carrier);
}

/* ---- records ------------------------------------------------------------------------------------------------------- */

static struct berm_confirm_record *find_record(const struct berm_confirms *confirms,
					       const char *key)
{
	for (size_t i = 0; i < confirms->count; i++)
		if (!strcmp(confirms->record[i].key, key))
			return &confirms->record[i];
	return NULL;
}

static void drop_record(struct berm_confirms *confirms, struct berm_confirm_record *record)
{
	berm_confirm_record_clear(record);
	*record = confirms->record[--confirms->count];
	confirms->is_dirty = true;
}

static int copy_previous(struct berm_confirm_record *record, const struct berm_kept_source *before)
{
	size_t most = before ? before->count : 0;
	int rc = 0;

	record->previous = calloc(most + 1, sizeof(*record->previous));
	if (!record->previous)
		return -ENOMEM;
	for (size_t i = 0; !rc && i < most; i++) {
		if (!is_in(before->item[i].key, record->key))
			continue;
		rc = berm_kept_copy(&before->item[i], &record->previous[record->previous_count]);
		record->previous_count += !rc;
	}
	return rc;
}

/* Nothing was in force before a version that the ConfigMap was created with. */
static bool was_absent(const struct berm_confirms *confirms, const struct berm_guard *guard,
		       const struct berm_confirm_visit *visit)
{
	if (visit->is_live)
		return true;
	if (!guard->written_s)
		return visit->written_s > confirms->since_s;
	return guard->created_s > confirms->since_s && guard->written_s == guard->created_s &&
	       guard->guarded_s == guard->created_s;
}

/* The first time that this version, or one before it that nobody has confirmed, is seen. */
static int add_record(struct berm_confirms *confirms, const struct berm_guard *guard,
		      const struct berm_confirm_visit *visit, struct berm_confirm_record **ret)
{
	struct berm_confirm_record *grown =
		reallocarray(confirms->record, confirms->count + 1, sizeof(*grown));
	struct berm_confirm_record record = { .key = strdup(guard->key),
					      .source = strdup(visit->source),
					      .ns = strdup(guard->ns),
					      .name = strdup(guard->name) };

	if (grown)
		confirms->record = grown;
	if (!grown || !record.key || !record.source || !record.ns || !record.name ||
	    copy_previous(&record, visit->before)) {
		berm_confirm_record_clear(&record);
		return -ENOMEM;
	}
	record.has_previous = record.previous_count || was_absent(confirms, guard, visit);
	grown[confirms->count] = record;
	*ret = &grown[confirms->count++];
	confirms->is_dirty = true;
	return 0;
}

/* ---- taking back --------------------------------------------------------------------------------------------------- */

static void drop_objects(struct berm_objects *objects, const char *carrier)
{
	size_t kept = 0;

	for (size_t i = 0; i < objects->count; i++) {
		if (objects->item[i].kind == BERM_OBJ_POLICY &&
		    is_in(objects->item[i].key, carrier))
			berm_object_clear(&objects->item[i]);
		else
			objects->item[kept++] = objects->item[i];
	}
	objects->count = kept;
	kept = 0;
	for (size_t i = 0; i < objects->unreadable_count; i++) {
		if (is_in(objects->unreadable[i].key, carrier))
			berm_unreadable_clear(&objects->unreadable[i]);
		else
			objects->unreadable[kept++] = objects->unreadable[i];
	}
	objects->unreadable_count = kept;
}

static bool copy_text(char **out, const char *text)
{
	*out = text ? strdup(text) : NULL;
	return !text || *out;
}

/* As if the source said it. */
static int object_of(const char *source, const struct berm_kept *kept, struct berm_object *ret)
{
	struct berm_object o = { .kind = BERM_OBJ_POLICY,
				 .policy_kind = kept->kind,
				 .line = kept->line,
				 .guarding = BERM_GUARD_BACK };
	struct berm_err err = { 0 };
	bool ok = copy_text(&o.ns, kept->ns);
	int rc;

	ok &= copy_text(&o.name, kept->name);
	ok &= copy_text(&o.key, kept->key);
	ok &= copy_text(&o.carrier, kept->carrier);
	ok &= copy_text(&o.text, kept->text);
	rc = ok ? berm_document_parse_kept(source, &o, &o.policy, &err) : -ENOMEM;
	if (rc == -EINVAL) { /* a version of Berm that took it wrote it: fail closed */
		berm_log(BERM_LOG_ERROR, "previous-not-taken", "error=\"%s\"", err.msg);
		o.broken = true;
		rc = 0;
	}
	if (rc)
		berm_object_clear(&o);
	else
		*ret = o;
	return rc;
}

static int put_back(struct berm_objects *objects, const struct berm_confirm_record *record)
{
	struct berm_object *grown;
	int rc = 0;

	drop_objects(objects, record->key);
	grown = reallocarray(objects->item, objects->count + record->previous_count + 1,
			     sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	objects->item = grown;
	for (size_t i = 0; !rc && i < record->previous_count; i++) {
		rc = object_of(record->source, &record->previous[i], &grown[objects->count]);
		objects->count += !rc;
	}
	return rc;
}

static void mark(struct berm_objects *objects, const char *carrier)
{
	for (size_t i = 0; i < objects->count; i++)
		if (is_in(objects->item[i].key, carrier))
			objects->item[i].guarding = BERM_GUARD_WAITING;
}

/* ---- telling ------------------------------------------------------------------------------------------------------- */

static void explain(const struct berm_confirm_record *record, char *out, size_t size)
{
	char until[BERM_MOMENT_STRLEN];

	berm_moment_format(record->deadline_s, until);
	if (record->state == BERM_CONFIRM_WAITING)
		snprintf(out, size, "version %s is awaiting confirmation until %s", record->digest,
			 until);
	else if (record->state == BERM_CONFIRM_STUCK)
		snprintf(out, size,
			 "version %s was not confirmed until %s; this node never had the version before, and keeps it",
			 record->digest, until);
	else if (record->previous_count)
		snprintf(out, size,
			 "version %s was not confirmed until %s: rolled back to the version before (documents: %zu)",
			 record->digest, until, record->previous_count);
	else
		snprintf(out, size,
			 "version %s was not confirmed until %s: rolled back; there was none before, so none of its documents is in force",
			 record->digest, until);
}

static int add_problem(const struct berm_confirm_record *record, const struct berm_guard *guard,
		       struct berm_problems *problems)
{
	bool is_waiting = record->state == BERM_CONFIRM_WAITING;
	bool is_back = record->state == BERM_CONFIRM_BACK;
	char message[400], document[400], how[400], hint[500];

	explain(record, message, sizeof(message));
	snprintf(document, sizeof(document), "ConfigMap %s/%s", record->ns, record->name);
	if (guard->written_s)
		snprintf(how, sizeof(how), "'kubectl berm confirm %s/%s'", record->ns,
			 record->name);
	else
		snprintf(how, sizeof(how), "the annotation berm.dev/confirmed: \"%s\"",
			 record->digest);
	snprintf(hint, sizeof(hint), "%s it with %s%s", is_back ? "take" : "keep", how,
		 is_waiting ? "" : ", or write another one");
	return berm_problems_add(problems,
				 &(struct berm_problem){
					 .severity = is_waiting ? BERM_WARNING : BERM_ERROR,
					 .code = is_back ? BERM_CODE_ROLLED_BACK
							 : BERM_CODE_UNCONFIRMED,
					 .source = record->source,
					 .line = guard->line,
					 .column = guard->line ? 1 : 0,
					 .message = message,
					 .hint = hint,
					 .document = document,
				 });
}

static void tell(const struct berm_confirm_record *record, enum berm_confirm_state state)
{
	berm_log(BERM_LOG_INFO, "confirmation", "configmap=%s/%s digest=%s state=%s", record->ns,
		 record->name, record->digest, berm_confirm_state_name(state));
}

/* ---- a visit ------------------------------------------------------------------------------------------------------- */

static void settle(struct berm_confirms *confirms, struct berm_confirm_record *record,
		   const struct berm_guard *guard)
{
	if (record) {
		memcpy(record->digest, guard->digest, sizeof(record->digest));
		tell(record, BERM_CONFIRM_DONE);
		drop_record(confirms, record);
	}
}

static void note(struct berm_confirm_record *record, const struct berm_guard *guard,
		 enum berm_confirm_state state)
{
	bool is_news = record->state != state || strcmp(record->digest, guard->digest) != 0;

	memcpy(record->digest, guard->digest, sizeof(record->digest));
	record->state = state;
	record->is_asked = false;
	record->is_seen = true;
	if (is_news)
		tell(record, state);
}

/* What was in force before: without a record, what the source has said until now. */
static struct berm_kept_source before_of(const struct berm_confirm_visit *visit,
					 const struct berm_confirm_record *record)
{
	if (record)
		return (struct berm_kept_source){ .item = record->previous,
						  .count = record->previous_count };
	return visit->before ? *visit->before : (struct berm_kept_source){ 0 };
}

static int visit_one(struct berm_confirms *confirms, const struct berm_confirm_visit *visit,
		     const struct berm_guard *guard, struct berm_objects *objects,
		     struct berm_problems *problems)
{
	struct berm_confirm_record *record = find_record(confirms, guard->key);
	struct berm_confirm_facts facts = {
		.is_confirmed = guard->is_confirmed,
		.deadline_s =
			(guard->written_s ? guard->written_s : visit->written_s) + guard->within_s,
		.now_s = visit->now_s,
	};
	struct berm_kept_source before = before_of(visit, record);
	enum berm_confirm_state state;
	int rc;

	facts.is_confirmed |= is_same(&before, objects, guard->key);
	if (facts.is_confirmed) {
		settle(confirms, record, guard);
		return 0;
	}
	rc = record ? 0 : add_record(confirms, guard, visit, &record);
	if (rc)
		return rc;
	facts.has_previous = record->has_previous;
	record->deadline_s = facts.deadline_s;
	state = berm_confirm_decide(&facts);
	note(record, guard, state);
	if (state == BERM_CONFIRM_BACK)
		rc = put_back(objects, record);
	else
		mark(objects, guard->key);
	return rc ? rc : add_problem(record, guard, problems);
}

/* A ConfigMap that cannot be read may still be guarded. */
static bool is_unreadable(const struct berm_objects *objects, const char *carrier)
{
	for (size_t i = 0; i < objects->unreadable_count; i++) {
		const char *key = objects->unreadable[i].key;
		size_t len = strlen(key);

		if (!strncmp(carrier, key, len) && (!carrier[len] || carrier[len] == '#'))
			return true;
	}
	return false;
}

/* Those that are guarded no more, or not there any more. */
static void drop_unseen(struct berm_confirms *confirms, const char *source,
			const struct berm_objects *objects)
{
	for (size_t i = confirms->count; i > 0; i--) {
		struct berm_confirm_record *record = &confirms->record[i - 1];

		if (strcmp(record->source, source) != 0)
			continue;
		if (!record->is_seen && !is_unreadable(objects, record->key)) {
			drop_record(confirms, record);
			continue;
		}
		record->is_seen = false;
		record->is_known = true;
	}
}

int berm_confirms_visit(struct berm_confirms *confirms, const struct berm_confirm_visit *visit,
			struct berm_objects *objects, struct berm_problems *problems)
{
	int rc = 0;

	if (!confirms->count && !objects->guard_count)
		return 0;
	for (size_t i = 0; !rc && i < objects->guard_count; i++)
		rc = visit_one(confirms, visit, &objects->guard[i], objects, problems);
	if (!rc)
		drop_unseen(confirms, visit->source, objects);
	return rc;
}

void berm_confirms_forget(struct berm_confirms *confirms, const char *source)
{
	for (size_t i = confirms->count; i > 0; i--)
		if (!strcmp(confirms->record[i - 1].source, source))
			drop_record(confirms, &confirms->record[i - 1]);
}

void berm_confirms_retain(struct berm_confirms *confirms)
{
	for (size_t i = confirms->count; i > 0; i--)
		if (!confirms->record[i - 1].is_known)
			drop_record(confirms, &confirms->record[i - 1]);
}

/* ---- deadlines ----------------------------------------------------------------------------------------------------- */

static bool is_due(const struct berm_confirm_record *record)
{
	return record->state == BERM_CONFIRM_WAITING && record->deadline_s && !record->is_asked;
}

int64_t berm_confirms_next(const struct berm_confirms *confirms)
{
	int64_t next = INT64_MAX;

	for (size_t i = 0; i < confirms->count; i++)
		if (is_due(&confirms->record[i]) && confirms->record[i].deadline_s < next)
			next = confirms->record[i].deadline_s;
	return next;
}

void berm_confirms_expire(struct berm_confirms *confirms, int64_t now_s,
			  void (*ask)(const char *source, void *ctx), void *ctx)
{
	for (size_t i = 0; i < confirms->count; i++) {
		struct berm_confirm_record *record = &confirms->record[i];

		if (!is_due(record) || record->deadline_s > now_s)
			continue;
		record->is_asked = true;
		ask(record->source, ctx);
	}
}

/* ---- for others ---------------------------------------------------------------------------------------------------- */

static cJSON *record_json(const struct berm_confirm_record *record)
{
	cJSON *object = cJSON_CreateObject();
	char until[BERM_MOMENT_STRLEN];

	berm_moment_format(record->deadline_s, until);
	cJSON_AddStringToObject(object, "namespace", record->ns);
	cJSON_AddStringToObject(object, "name", record->name);
	cJSON_AddStringToObject(object, "source", record->source);
	cJSON_AddStringToObject(object, "state", berm_confirm_state_name(record->state));
	cJSON_AddStringToObject(object, "digest", record->digest);
	cJSON_AddStringToObject(object, "until", until);
	cJSON_AddBoolToObject(object, "has_previous", record->has_previous);
	cJSON_AddNumberToObject(object, "previous_documents", (double)record->previous_count);
	return object;
}

cJSON *berm_confirms_json(const struct berm_confirms *confirms)
{
	cJSON *root = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(root, "confirmations");

	for (size_t i = 0; i < confirms->count; i++)
		if (*confirms->record[i].digest) /* seen since the start */
			cJSON_AddItemToArray(list, record_json(&confirms->record[i]));
	return root;
}
