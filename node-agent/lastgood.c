/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lastgood.c - what every source last said that was good, and what stands in for what it says badly now.
 * Knows documents as texts with a name; parsing them is document.c's business, files lastgood_file.c's.
 */
#include "lastgood.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "lastgood_file.h"
#include "model.h" /* BERM_SYSTEM_NAMESPACE */
#include "undo.h"

struct record { /* one source */
	struct berm_kept_source kept;
	bool is_dirty; /* disk says something else */
	bool is_gone;  /* forgotten: its file is to be deleted */
};

struct berm_lastgood {
	char *dir;
	struct record *record; /* sorted by kept.source */
	size_t count;
	struct berm_replaced *replaced; /* borrowed; NULL: nobody asks */
};

const char *berm_standing_name(enum berm_standing standing)
{
	static const char *const name[] = {
		[BERM_STANDING_ENFORCED] = "enforced",
		[BERM_STANDING_LAST_GOOD] = "invalid-last-good",
		[BERM_STANDING_ISOLATING] = "invalid-isolating",
		[BERM_STANDING_INVALID] = "invalid",
		[BERM_STANDING_HELD] = "held",
		[BERM_STANDING_HELD_BARE] = "held",
		[BERM_STANDING_UNCONFIRMED] = "unconfirmed",
		[BERM_STANDING_ROLLED_BACK] = "rolled-back",
	};

	return name[standing];
}

bool berm_standing_has_policy(enum berm_standing standing)
{
	return standing != BERM_STANDING_INVALID && standing != BERM_STANDING_HELD_BARE;
}

bool berm_standing_is_held(enum berm_standing standing)
{
	return standing == BERM_STANDING_HELD || standing == BERM_STANDING_HELD_BARE;
}

/* ---- records ------------------------------------------------------------------------------------- */

/* Where source stands, or where it would. */
static size_t record_position(const struct berm_lastgood *store, const char *source)
{
	size_t low = 0, high = store->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(store->record[mid].kept.source, source) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct record *find_record(const struct berm_lastgood *store, const char *source)
{
	size_t at = record_position(store, source);

	if (at == store->count || strcmp(store->record[at].kept.source, source))
		return NULL;
	return &store->record[at];
}

/* Finds or makes; NULL: no memory. */
static struct record *want_record(struct berm_lastgood *store, const char *source)
{
	struct record *all = find_record(store, source);
	size_t at = record_position(store, source);
	auto_free char *name = NULL;

	if (all)
		return all;
	name = strdup(source);
	all = name ? reallocarray(store->record, store->count + 1, sizeof(*all)) : NULL;
	if (!all)
		return NULL;
	memmove(all + at + 1, all + at, (store->count - at) * sizeof(*all));
	all[at] = (struct record){ .kept = { .source = TAKE_PTR(name) } };
	store->record = all;
	store->count++;
	return &all[at];
}

/* ---- resolving: what a source says now, beside what it said last ---------------------------------- */

struct resolving {
	const char *source;
	struct berm_objects *objects;
	const struct berm_kept_source *old;
	bool *is_claimed;  /* [old->count]: a document of that name is there now */
	bool *is_answered; /* [objects->unreadable_count]: a last good one stands in for it */
	struct berm_kept_source next;	    /* what to remember; texts of good objects come last */
	const struct berm_object **text_of; /* [next.count]: take the text from there */
	struct berm_resolution out;
};

static int kept_fill(struct berm_kept *kept, const struct berm_object *o)
{
	*kept = (struct berm_kept){ .kind = o->policy_kind, .line = o->line };
	kept->key = strdup(o->key);
	kept->carrier = o->carrier ? strdup(o->carrier) : NULL;
	kept->ns = strdup(o->ns);
	kept->name = strdup(o->name);
	return kept->key && kept->ns && kept->name && (kept->carrier || !o->carrier) ? 0 : -ENOMEM;
}

/* Remembers o; its text is NULL in the meantime, or a copy of `text`. */
static int remember(struct resolving *r, const struct berm_object *o, const char *text)
{
	struct berm_kept *kept = &r->next.item[r->next.count];

	r->text_of[r->next.count++] = text ? NULL : o;
	if (kept_fill(kept, o))
		return -ENOMEM;
	kept->text = text ? strdup(text) : NULL;
	return text && !kept->text ? -ENOMEM : 0;
}

static int resolved_add(struct resolving *r, const struct berm_object *o,
			enum berm_standing standing, struct berm_policy *policy)
{
	struct berm_resolved *item = &r->out.item[r->out.count++];

	*item = (struct berm_resolved){ .kind = o->policy_kind,
					.standing = standing,
					.policy = policy };
	item->ns = strdup(o->ns);
	item->name = strdup(o->name);
	item->key = strdup(o->key);
	return item->ns && item->name && item->key ? 0 : -ENOMEM;
}

static int isolate_namespace(struct resolving *r, const char *ns)
{
	char *copy;

	for (size_t i = 0; i < r->out.isolated_ns_count; i++)
		if (!strcmp(r->out.isolated_ns[i], ns))
			return 0;
	copy = strdup(ns);
	if (!copy)
		return -ENOMEM;
	r->out.isolated_ns[r->out.isolated_ns_count++] = copy;
	return 0;
}

/* The last good version of a document, and its mark in is_claimed. */
static const struct berm_kept *claim_old(struct resolving *r, const struct berm_object *o)
{
	const struct berm_kept *old = berm_kept_source_find(r->old, o->policy_kind, o->ns, o->name);

	if (old)
		r->is_claimed[old - r->old->item] = true;
	return old;
}

/* -ENOMEM, else 0: *ret is NULL if this version of Berm does not take what an other one has kept. */
static int parse_kept(const struct resolving *r, const struct berm_kept *kept,
		      struct berm_policy **ret)
{
	struct berm_object o = { .name = kept->name,
				 .key = kept->key,
				 .carrier = kept->carrier,
				 .text = kept->text,
				 .line = kept->line };
	struct berm_policy *policy = NULL;
	struct berm_err err = { 0 };

	if (berm_document_parse_kept(r->source, &o, &policy, &err) == -ENOMEM)
		return -ENOMEM;
	*ret = policy;
	return 0;
}

/* Nothing good is known: isolate whom it names, else the new pods of its namespace. */
static int stand_in(struct resolving *r, struct berm_object *o)
{
	bool is_tenant = o->carrier ? strcmp(o->carrier, BERM_SYSTEM_NAMESPACE) != 0
				    : o->policy_kind == BERM_KIND_NETWORK;

	if (o->isolation && o->isolation->isolate)
		return resolved_add(r, o, BERM_STANDING_ISOLATING, NULL);
	if (berm_policy_is_companion(o->policy_kind)) /* who names it fails closed */
		return resolved_add(r, o, BERM_STANDING_INVALID, NULL);
	if (!o->isolation && is_tenant && isolate_namespace(r, o->carrier ? o->carrier : o->ns))
		return -ENOMEM;
	return resolved_add(r, o, BERM_STANDING_INVALID, NULL);
}

/* Nothing is known of before: its subject is isolated, as that of a broken document is. */
static int isolation_of(const struct resolving *r, const struct berm_object *o,
			struct berm_policy **ret)
{
	struct berm_kept same = { .key = o->key,
				  .carrier = o->carrier,
				  .name = o->name,
				  .text = o->text,
				  .line = o->line };
	struct berm_policy *policy = NULL;

	if (!o->policy->isolate || o->policy->disabled)
		return 0;
	if (parse_kept(r, &same, &policy))
		return -ENOMEM;
	if (!policy)
		return 0;
	berm_policy_cut_rules(policy, 0);
	berm_policy_cut_expectations(policy);
	policy->digest = berm_policy_digest(policy);
	*ret = policy;
	return 0;
}

/* A version that expects something waits until that has been looked at (hold.h). */
static int hold(struct resolving *r, struct berm_object *o, const struct berm_kept *old,
		struct berm_policy *last)
{
	bool has_last = last != NULL;
	struct berm_resolved *item;
	int rc = has_last ? 0 : isolation_of(r, o, &last);

	if (rc)
		return rc;
	rc = resolved_add(r, o, last ? BERM_STANDING_HELD : BERM_STANDING_HELD_BARE, last);
	item = &r->out.item[r->out.count - 1];
	item->carrier = o->carrier ? strdup(o->carrier) : NULL;
	if (rc || (o->carrier && !item->carrier))
		return -ENOMEM;
	item->is_held = true;
	return has_last ? remember(r, o, old->text) : 0;
}

static int resolve_good(struct resolving *r, struct berm_object *o, const struct berm_kept *old)
{
	static const enum berm_standing standing[] = {
		[BERM_NOT_GUARDED] = BERM_STANDING_ENFORCED,
		[BERM_GUARD_WAITING] = BERM_STANDING_UNCONFIRMED,
		[BERM_GUARD_BACK] = BERM_STANDING_ROLLED_BACK,
	};
	bool must_look = o->policy->expect_count && o->guarding != BERM_GUARD_BACK;
	struct berm_policy *last = NULL;
	int rc = old && must_look ? parse_kept(r, old, &last) : 0;

	if (rc)
		return rc;
	if (must_look && (!last || last->digest != o->policy->digest))
		return hold(r, o, old, last);
	berm_policy_free(last);
	rc = remember(r, o, NULL);
	return rc ? rc : resolved_add(r, o, standing[o->guarding], NULL);
}

static int resolve_object(struct resolving *r, struct berm_object *o)
{
	const struct berm_kept *old = claim_old(r, o);
	struct berm_policy *policy = NULL;
	int rc;

	if (!o->broken)
		return resolve_good(r, o, old);
	rc = old ? parse_kept(r, old, &policy) : 0;
	if (rc || !policy)
		return rc ? rc : stand_in(r, o);
	rc = resolved_add(r, o, BERM_STANDING_LAST_GOOD, policy);
	return rc ? rc : remember(r, o, old->text);
}

/* "file" covers all of it, "file#configmap/ns/name" all its keys. */
static bool covers(const char *unreadable, const char *key)
{
	size_t len = strlen(unreadable);

	return !strncmp(unreadable, key, len) && (!key[len] || key[len] == '#' || key[len] == '/');
}

/* The unreadable chunk that this document is most likely: the nearest key, each chunk once. */
static bool is_covered(struct resolving *r, const struct berm_kept *kept)
{
	const struct berm_unreadable *u = r->objects->unreadable;
	size_t best = 0, best_len = 0;
	bool is_any = false;

	for (size_t i = 0; i < r->objects->unreadable_count; i++) {
		if (!covers(u[i].key, kept->key))
			continue;
		is_any = true;
		if (!r->is_answered[i] && strlen(u[i].key) > best_len) {
			best = i;
			best_len = strlen(u[i].key);
		}
	}
	if (best_len)
		r->is_answered[best] = true;
	return is_any;
}

/* A document that no chunk names any more stays if some unreadable chunk may be it. */
static int resolve_leftover(struct resolving *r, const struct berm_kept *kept)
{
	struct berm_object o = {
		.kind = BERM_OBJ_POLICY,
		.policy_kind = kept->kind,
		.ns = kept->ns,
		.name = kept->name,
		.key = kept->key,
		.carrier = kept->carrier,
		.line = kept->line,
	};
	struct berm_policy *policy = NULL;
	int rc;

	if (!is_covered(r, kept))
		return 0;
	rc = parse_kept(r, kept, &policy);
	if (rc || !policy)
		return rc;
	rc = resolved_add(r, &o, BERM_STANDING_LAST_GOOD, policy);
	return rc ? rc : remember(r, &o, kept->text);
}

/* A chunk that is nothing we know. */
static int resolve_unreadable(struct resolving *r, struct berm_unreadable *u)
{
	struct berm_object o = { .kind = BERM_OBJ_POLICY, .key = u->key };

	if (!u->isolation)
		return u->ns ? isolate_namespace(r, u->ns) : 0;
	if (!u->isolation->isolate)
		return 0;
	o.policy_kind = u->isolation->kind;
	o.ns = u->isolation->ns;
	o.name = u->isolation->name;
	return resolved_add(r, &o, BERM_STANDING_ISOLATING, NULL);
}

static int resolve_all(struct resolving *r)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < r->objects->count; i++)
		if (r->objects->item[i].kind == BERM_OBJ_POLICY)
			rc = resolve_object(r, &r->objects->item[i]);
	for (size_t i = 0; !rc && i < r->old->count; i++)
		if (!r->is_claimed[i])
			rc = resolve_leftover(r, &r->old->item[i]);
	for (size_t i = 0; !rc && i < r->objects->unreadable_count; i++)
		if (!r->is_answered[i])
			rc = resolve_unreadable(r, &r->objects->unreadable[i]);
	return rc;
}

static int resolving_start(struct resolving *r)
{
	size_t most = r->objects->count + r->old->count + r->objects->unreadable_count + 1;

	r->is_claimed = calloc(r->old->count + 1, sizeof(bool));
	r->is_answered = calloc(r->objects->unreadable_count + 1, sizeof(bool));
	r->next.item = calloc(most, sizeof(*r->next.item));
	r->text_of = calloc(most, sizeof(*r->text_of));
	r->out.item = calloc(most, sizeof(*r->out.item));
	r->out.isolated_ns = calloc(most, sizeof(char *));
	return r->is_claimed && r->is_answered && r->next.item && r->text_of && r->out.item &&
			       r->out.isolated_ns
		       ? 0
		       : -ENOMEM;
}

static void resolving_end(struct resolving *r)
{
	free(r->is_claimed);
	free(r->is_answered);
	free(r->text_of);
	berm_kept_source_clear(&r->next);
	berm_resolution_clear(&r->out);
}

/* ---- handing over: nothing here can fail ----------------------------------------------------------- */

static void take_texts(struct resolving *r)
{
	for (size_t i = 0; i < r->next.count; i++)
		if (r->text_of[i])
			r->next.item[i].text =
				TAKE_PTR(((struct berm_object *)r->text_of[i])->text);
}

static bool is_resolved(const struct berm_resolved *item, const struct berm_policy *policy)
{
	return item->kind == policy->kind && !strcmp(item->name, policy->name) &&
	       !strcmp(item->ns, policy->ns);
}

static struct berm_policy *take_if(const struct berm_resolved *item, struct berm_policy **policy)
{
	return *policy && is_resolved(item, *policy) ? TAKE_PTR(*policy) : NULL;
}

static void take_held(struct berm_resolved *item, struct berm_object *o)
{
	item->held = take_if(item, &o->policy);
	item->held_text = item->held ? TAKE_PTR(o->text) : NULL;
}

static void give_isolation(struct berm_resolved *item, const struct berm_resolved *end,
			   struct berm_unreadable *u)
{
	for (; u->isolation && item < end; item++)
		if (item->standing == BERM_STANDING_ISOLATING && !item->policy)
			item->policy = take_if(item, &u->isolation);
}

/* Items were added in the order of objects, leftovers, unreadable: the same walk gives them their policies. */
static void take_policies(struct resolving *r)
{
	struct berm_resolved *item = r->out.item, *end = item + r->out.count;

	for (size_t i = 0; i < r->objects->count && item < end; i++) {
		struct berm_object *o = &r->objects->item[i];

		if (o->kind != BERM_OBJ_POLICY)
			continue;
		if (item->is_held)
			take_held(item, o);
		else if (berm_standing_is_good(item->standing))
			item->policy = take_if(item, &o->policy);
		else if (item->standing == BERM_STANDING_ISOLATING)
			item->policy = take_if(item, &o->isolation);
		item++;
	}
	for (size_t i = 0; i < r->objects->unreadable_count; i++)
		give_isolation(item, end, &r->objects->unreadable[i]);
}

static int compare_resolved(const void *a, const void *b)
{
	const struct berm_resolved *x = a, *y = b;
	int rc = (int)x->kind - (int)y->kind;

	rc = rc ? rc : strcmp(x->ns, y->ns);
	return rc ? rc : strcmp(x->name, y->name);
}

static void resolved_clear(struct berm_resolved *item)
{
	berm_policy_free(item->policy);
	berm_policy_free(item->held);
	free(item->held_text);
	free(item->carrier);
	free(item->ns);
	free(item->name);
	free(item->key);
}

/* Two nameless documents of one line are one; so are a good one and what is left of another key. */
static void sort_out(struct berm_resolution *out)
{
	size_t kept = 0;

	if (out->count > 1)
		qsort(out->item, out->count, sizeof(*out->item), compare_resolved);
	for (size_t i = 0; i < out->count; i++) {
		if (kept && !compare_resolved(&out->item[kept - 1], &out->item[i]))
			resolved_clear(&out->item[i]);
		else
			out->item[kept++] = out->item[i];
	}
	out->count = kept;
}

/* What is not in `next` any more, or is another one there. Both sorted. */
static void note_replaced(const struct berm_lastgood *store, const struct berm_kept_source *old,
			  const struct berm_kept_source *next)
{
	for (size_t i = 0; store->replaced && i < old->count; i++) {
		const struct berm_kept *was = &old->item[i];
		const struct berm_kept *now =
			berm_kept_source_find(next, was->kind, was->ns, was->name);

		if (!now || strcmp(now->text, was->text) != 0)
			berm_replaced_note(store->replaced, was);
	}
}

void berm_lastgood_watch(struct berm_lastgood *store, struct berm_replaced *replaced)
{
	store->replaced = replaced;
}

static void hand_over(const struct berm_lastgood *store, struct resolving *r, struct record *record,
		      struct berm_resolution *out)
{
	take_texts(r); /* before the sorting, which loses whose they are */
	take_policies(r);
	berm_kept_source_sort(&r->next);
	sort_out(&r->out);
	note_replaced(store, &record->kept, &r->next);
	record->is_dirty |= record->is_gone || !berm_kept_source_is_same(&record->kept, &r->next);
	record->is_gone = false;
	r->next.source = TAKE_PTR(record->kept.source);
	berm_kept_source_clear(&record->kept);
	record->kept = r->next;
	r->next = (struct berm_kept_source){ 0 };
	*out = r->out;
	r->out = (struct berm_resolution){ 0 };
}

/* A source of pods or namespaces only, of which there are many. */
static bool has_nothing(const struct berm_lastgood *store, const char *source,
			const struct berm_objects *objects)
{
	for (size_t i = 0; i < objects->count; i++)
		if (objects->item[i].kind == BERM_OBJ_POLICY)
			return false;
	return !objects->unreadable_count && !find_record(store, source);
}

int berm_lastgood_resolve(struct berm_lastgood *store, const char *source,
			  struct berm_objects *objects, struct berm_resolution *out,
			  struct berm_err *err)
{
	struct resolving r = { .source = source, .objects = objects };
	struct record *record;
	int rc = -ENOMEM;

	if (has_nothing(store, source, objects)) {
		*out = (struct berm_resolution){ 0 };
		return 0;
	}
	record = want_record(store, source);
	if (record) {
		r.old = &record->kept;
		rc = resolving_start(&r);
		rc = rc ? rc : resolve_all(&r);
	}
	if (!rc)
		hand_over(store, &r, record, out);
	resolving_end(&r);
	return rc ? berm_fail(err, rc, "resolve the documents of %s", source) : 0;
}

void berm_resolution_clear(struct berm_resolution *resolution)
{
	for (size_t i = 0; i < resolution->count; i++)
		resolved_clear(&resolution->item[i]);
	for (size_t i = 0; i < resolution->isolated_ns_count; i++)
		free(resolution->isolated_ns[i]);
	free(resolution->item);
	free(resolution->isolated_ns);
	*resolution = (struct berm_resolution){ 0 };
}

/* ---- accepting ------------------------------------------------------------------------------------- */

static struct berm_kept *room_for(struct berm_kept_source *kept, const struct berm_object *object)
{
	struct berm_kept *item =
		(struct berm_kept *)berm_kept_source_find(kept, object->policy_kind, object->ns,
							  object->name);

	if (item)
		return item;
	item = reallocarray(kept->item, kept->count + 1, sizeof(*item));
	if (!item)
		return NULL;
	kept->item = item;
	item[kept->count] = (struct berm_kept){ 0 };
	return &item[kept->count++];
}

int berm_lastgood_accept(struct berm_lastgood *store, const char *source,
			 const struct berm_object *object)
{
	struct record *record = want_record(store, source);
	struct berm_kept fresh, *at = NULL;
	int rc = kept_fill(&fresh, object);

	fresh.text = strdup(object->text);
	if (!rc && record && fresh.text)
		at = room_for(&record->kept, object);
	if (!at) {
		berm_kept_clear(&fresh);
		return -ENOMEM;
	}
	if (store->replaced)
		berm_replaced_note(store->replaced, at);
	berm_kept_clear(at);
	*at = fresh;
	berm_kept_source_sort(&record->kept);
	record->is_dirty = true;
	record->is_gone = false;
	return 0;
}

/* ---- forgetting ----------------------------------------------------------------------------------- */

static void forget(const struct berm_lastgood *store, struct record *record)
{
	static const struct berm_kept_source nothing;
	char *source = TAKE_PTR(record->kept.source);

	note_replaced(store, &record->kept, &nothing);

	berm_kept_source_clear(&record->kept);
	record->kept.source = source;
	record->is_gone = true;
	record->is_dirty = true;
}

void berm_lastgood_forget(struct berm_lastgood *store, const char *source)
{
	struct record *record = find_record(store, source);

	if (record)
		forget(store, record);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int berm_lastgood_retain(struct berm_lastgood *store, const char *const *sources, size_t count)
{
	auto_free const char **sorted = calloc(count + 1, sizeof(*sorted));

	if (!sorted)
		return -ENOMEM;
	if (count)
		memcpy(sorted, sources, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), compare_texts);
	for (size_t i = 0; i < store->count; i++) {
		const char *source = store->record[i].kept.source;

		if (!bsearch(&source, sorted, count, sizeof(*sorted), compare_texts))
			forget(store, &store->record[i]);
	}
	return 0;
}

const struct berm_kept_source *berm_lastgood_of(const struct berm_lastgood *store,
						const char *source)
{
	const struct record *record = find_record(store, source);

	return record ? &record->kept : NULL;
}

/* ---- disk ------------------------------------------------------------------------------------------ */

static int save_record(const struct berm_lastgood *store, const struct record *record,
		       struct berm_err *err)
{
	if (record->is_gone || !record->kept.count)
		return berm_kept_source_delete(store->dir, record->kept.source, err);
	return berm_kept_source_write(store->dir, &record->kept, err);
}

/* Forgotten ones that the disk has forgotten too. */
static void drop_gone(struct berm_lastgood *store)
{
	size_t kept = 0;

	for (size_t i = 0; i < store->count; i++) {
		if (store->record[i].is_gone && !store->record[i].is_dirty)
			berm_kept_source_clear(&store->record[i].kept);
		else
			store->record[kept++] = store->record[i];
	}
	store->count = kept;
}

int berm_lastgood_save(struct berm_lastgood *store, struct berm_err *err)
{
	struct berm_err one = { 0 };
	int first = 0, rc;

	for (size_t i = 0; i < store->count; i++) {
		if (!store->record[i].is_dirty)
			continue;
		rc = save_record(store, &store->record[i], &one);
		store->record[i].is_dirty = rc != 0;
		if (rc && !first) {
			first = rc;
			if (err)
				*err = one;
		}
	}
	drop_gone(store);
	return first;
}

static int load_one(void *ctx, struct berm_kept_source *kept)
{
	struct berm_lastgood *store = ctx;
	struct record *record = want_record(store, kept->source);

	if (!record)
		return -ENOMEM;
	berm_kept_source_clear(&record->kept);
	record->kept = *kept;
	*kept = (struct berm_kept_source){ 0 };
	return 0;
}

int berm_lastgood_open(const char *dir, struct berm_lastgood **ret, struct berm_problems *problems,
		       struct berm_err *err)
{
	struct berm_lastgood *store = calloc(1, sizeof(*store));
	int rc;

	if (store)
		store->dir = strdup(dir);
	if (!store || !store->dir) {
		free(store);
		return berm_fail(err, -ENOMEM, "open the store of last good documents");
	}
	rc = berm_kept_sources_read(dir, load_one, store, problems, err);
	if (rc == -ENOMEM) {
		berm_lastgood_close(store);
		return rc;
	}
	*ret = store;
	return rc;
}

void berm_lastgood_close(struct berm_lastgood *store)
{
	if (!store)
		return;
	for (size_t i = 0; i < store->count; i++)
		berm_kept_source_clear(&store->record[i].kept);
	free(store->record);
	free(store->dir);
	free(store);
}
