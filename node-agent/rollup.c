/* SPDX-License-Identifier: Apache-2.0 */
/* rollup.c - one round after the other: what was written, who says what, what there is to tell, what to write. */
#include "rollup.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "agent.h"
#include "apicall.h"
#include "cleanup.h"
#include "digest.h"
#include "log.h"
#include "nodestatus.h"
#include "patience.h"
#include "policyset.h"
#include "stream.h"

#define CONFIGMAPS  "/api/v1/namespaces/" BERM_SYSTEM_NAMESPACE "/configmaps"
#define LIST_NODES  CONFIGMAPS "?labelSelector=berm.dev%2Fstatus%3Dnode&resourceVersion=0"
#define LIST_OLD    CONFIGMAPS "?labelSelector=berm.dev%2Fstatus%3Drollup"
#define NAME	    "berm-rollup-"
#define DATA	    "policies.json"
#define PER_PART    1000 /* policies: some 150 bytes each */
#define MAX_PARTS   64
#define MAX_HISTORY 256

struct tracked { /* a policy */
	UT_hash_handle hh;
	const char *source; /* borrowed from the set, while a round ends; else NULL */
	uint64_t digest;
	uint64_t since; /* number of the first set that had this version */
	uint64_t told;	/* digest of the version that was told to be enforced; 0: none */
	uint32_t round;
	enum berm_standing standing;
	bool is_disabled, is_enforced;
	unsigned int realised;
	char key[]; /* "NetworkPolicy shop/wall" */
};

struct told { /* a problem */
	UT_hash_handle hh;
	struct berm_digest sum;
	uint32_t round;
};

struct node {
	UT_hash_handle hh;
	char set[33]; /* what it says */
	uint64_t has; /* number of the newest set that it has; 0: none that we know */
	uint32_t round;
	char name[];
};

struct part {
	struct berm_digest written;
	bool is_there;
};

struct berm_rollup {
	const struct berm_agent *agent;
	struct berm_apievents *events;
	struct berm_apiget *list;
	struct berm_apicall *call;
	struct berm_items items;
	struct berm_patience reading, writing;
	struct tracked *policies;
	struct told *problems;
	struct node *nodes;
	struct part part[MAX_PARTS];
	unsigned int part_count, next_part;
	char history[MAX_HISTORY][33]; /* set n is in n % MAX_HISTORY */
	uint64_t newest;	       /* 0: none yet */
	uint32_t round;
	struct berm_digest seen; /* of all that the last round was made of */
	bool has_read_old, is_reading_old;
	bool has_pending; /* of the last round: an Event or a part */
};

static uint64_t now_ms(const struct berm_rollup *rollup)
{
	return uv_now(&rollup->agent->loop);
}

/* ---- policies --------------------------------------------------------------------------------------------------- */

static void format_key(enum berm_policy_kind kind, const char *ns, const char *name, char out[400])
{
	snprintf(out, 400, "%s %s/%s", berm_policy_kind_name(kind), ns, name);
}

static struct tracked *track(struct berm_rollup *rollup, const char *key)
{
	struct tracked *policy;

	HASH_FIND_STR(rollup->policies, key, policy);
	if (policy)
		return policy;
	policy = calloc(1, sizeof(*policy) + strlen(key) + 1);
	if (!policy)
		return NULL;
	memcpy(policy->key, key, strlen(key) + 1);
	HASH_ADD_STR(rollup->policies, key, policy);
	if (!policy->hh.tbl) {
		free(policy);
		return NULL;
	}
	return policy;
}

static void take_policy(struct berm_rollup *rollup, const struct berm_policyset_item *item)
{
	struct tracked *policy;
	char key[400];

	format_key(item->kind, item->ns, item->name, key);
	policy = track(rollup, key);
	if (!policy)
		return;
	if (!policy->since || policy->digest != item->digest || policy->standing != item->standing)
		policy->since = rollup->newest;
	policy->source = item->source;
	policy->digest = item->digest;
	policy->standing = item->standing;
	policy->is_disabled = item->is_disabled;
	policy->round = rollup->round;
}

static void drop_gone_policies(struct berm_rollup *rollup)
{
	struct tracked *policy, *tmp;

	HASH_ITER(hh, rollup->policies, policy, tmp) {
		if (policy->round == rollup->round)
			continue;
		HASH_DEL(rollup->policies, policy);
		free(policy);
	}
}

static void take_set(struct berm_rollup *rollup, const struct berm_policyset *set)
{
	const char *last = rollup->history[rollup->newest % MAX_HISTORY];

	if (!rollup->newest || strcmp(last, set->digest) != 0) {
		rollup->newest++;
		memcpy(rollup->history[rollup->newest % MAX_HISTORY], set->digest,
		       sizeof(set->digest));
	}
	for (size_t i = 0; i < set->count; i++)
		take_policy(rollup, &set->item[i]);
	drop_gone_policies(rollup);
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

static uint64_t number_of_set(const struct berm_rollup *rollup, const char *digest)
{
	uint64_t n = rollup->newest, left = MAX_HISTORY;

	for (; n && left; n--, left--)
		if (!strcmp(rollup->history[n % MAX_HISTORY], digest))
			return n;
	return 0;
}

static struct node *find_node(struct berm_rollup *rollup, const char *name)
{
	struct node *node;

	HASH_FIND_STR(rollup->nodes, name, node);
	if (node)
		return node;
	node = calloc(1, sizeof(*node) + strlen(name) + 1);
	if (!node)
		return NULL;
	memcpy(node->name, name, strlen(name) + 1);
	HASH_ADD_STR(rollup->nodes, name, node);
	if (!node->hh.tbl) {
		free(node);
		return NULL;
	}
	return node;
}

static void take_node(struct berm_rollup *rollup, const char *name, const char *set)
{
	struct node *node = find_node(rollup, name);

	if (!node)
		return;
	node->round = rollup->round;
	snprintf(node->set, sizeof(node->set), "%s", set);
}

/* A digest that we do not know is one that is on the way to ours: what it had, it has. */
static void number_nodes(struct berm_rollup *rollup)
{
	struct node *node;
	uint64_t has;

	for (node = rollup->nodes; node; node = node->hh.next) {
		has = number_of_set(rollup, node->set);
		if (has)
			node->has = has;
	}
}

static void drop_gone_nodes(struct berm_rollup *rollup)
{
	struct node *node, *tmp;

	HASH_ITER(hh, rollup->nodes, node, tmp) {
		if (node->round == rollup->round)
			continue;
		HASH_DEL(rollup->nodes, node);
		free(node);
	}
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Of count sorted numbers, how many are not below the limit. */
static unsigned int count_from(const uint64_t *number, size_t count, uint64_t limit)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (number[mid] < limit)
			low = mid + 1;
		else
			high = mid;
	}
	return (unsigned int)(count - low);
}

static int count_realised(struct berm_rollup *rollup)
{
	size_t count = HASH_COUNT(rollup->nodes), i = 0;
	auto_free uint64_t *has = calloc(count + 1, sizeof(*has));
	struct tracked *policy;
	struct node *node;

	if (!has)
		return -ENOMEM;
	for (node = rollup->nodes; node; node = node->hh.next)
		has[i++] = node->has;
	qsort(has, count, sizeof(*has), compare_numbers);
	for (policy = rollup->policies; policy; policy = policy->hh.next) {
		policy->realised = count_from(has, count, policy->since);
		policy->is_enforced = count && policy->realised == count && !policy->is_disabled &&
				      policy->standing == BERM_STANDING_ENFORCED;
	}
	return 0;
}

/* ---- telling ------------------------------------------------------------------------------------------------------- */

static bool add_event(struct berm_rollup *rollup, const char *source, struct berm_apinote *note)
{
	struct berm_api_object object;

	if (!source || !berm_api_object(rollup->agent->api, source, &object) || !object.kind)
		return true; /* nothing to hang it on */
	note->version = object.version;
	note->kind = object.kind;
	note->ns = object.ns;
	note->name = object.name;
	note->uid = object.uid;
	if (berm_apievents_add(rollup->events, note))
		return true;
	rollup->has_pending = true;
	return false;
}

static void tell_enforced(struct berm_rollup *rollup, struct tracked *policy)
{
	unsigned int nodes = HASH_COUNT(rollup->nodes);
	char message[600];
	struct berm_apinote note = { .reason = "PolicyEnforced",
				     .subject = policy->key,
				     .message = message };

	if (!policy->is_enforced || policy->told == policy->digest)
		return;
	snprintf(message, sizeof(message), "%s is in force on %u of %u nodes", policy->key,
		 policy->realised, nodes);
	if (add_event(rollup, policy->source, &note))
		policy->told = policy->digest;
}

static void format_problem(const struct berm_problem *problem, const char *key, char out[1100])
{
	char place[360] = "";

	if (*key)
		snprintf(place, sizeof(place), "key %.200s", key);
	if (problem->line)
		snprintf(place + strlen(place), sizeof(place) - strlen(place), "%sline %d",
			 *place ? ", " : "", problem->line);
	if (problem->line && problem->column)
		snprintf(place + strlen(place), sizeof(place) - strlen(place), ", column %d",
			 problem->column);
	snprintf(out, 1100, "%s%s%.200s%s%.300s%s%.200s%s%.280s%s", place, *place ? ": " : "",
		 problem->field ? problem->field : "", problem->field ? ": " : "",
		 problem->message ? problem->message : "", problem->hint ? "; " : "",
		 problem->hint ? problem->hint : "", problem->document ? " (" : "",
		 problem->document ? problem->document : "", problem->document ? ")" : "");
}

/* "configmap shop/x key policy.yaml" -> source and key. */
static void split_key(const struct berm_problem *problem, char source[400], char key[254])
{
	const char *at = strstr(problem->source, " key ");

	snprintf(source, 400, "%.*s",
		 at ? (int)(at - problem->source) : (int)strlen(problem->source), problem->source);
	snprintf(key, 254, "%s", at ? at + 5 : "");
}

/* Was it told before? It is noted for this round. */
static bool was_told(struct berm_rollup *rollup, const struct berm_digest *sum)
{
	struct told *told;

	HASH_FIND(hh, rollup->problems, sum, sizeof(*sum), told);
	if (told)
		told->round = rollup->round;
	return told != NULL;
}

static void note_told(struct berm_rollup *rollup, const struct berm_digest *sum)
{
	struct told *told = calloc(1, sizeof(*told));

	if (!told)
		return; /* said once more in the next round */
	told->sum = *sum;
	told->round = rollup->round;
	HASH_ADD(hh, rollup->problems, sum, sizeof(told->sum), told);
	if (!told->hh.tbl)
		free(told);
}

static void tell_problem(struct berm_rollup *rollup, const struct berm_problem *problem)
{
	char source[400], key[254], message[1100];
	struct berm_apinote note = { .is_warning = true,
				     .reason = "PolicyInvalid",
				     .subject = message,
				     .message = message };
	struct berm_digester digester;
	struct berm_digest sum;

	if (problem->severity != BERM_ERROR || !problem->source)
		return;
	split_key(problem, source, key);
	format_problem(problem, key, message);
	berm_digest_start(&digester);
	berm_digest_text(&digester, problem->source);
	berm_digest_text(&digester, message);
	sum = berm_digest_end(&digester);
	if (!was_told(rollup, &sum) && add_event(rollup, source, &note))
		note_told(rollup, &sum);
}

static void tell_problems(struct berm_rollup *rollup)
{
	const struct berm_problems *of_compiler = &rollup->agent->engine.problems;
	struct berm_problems problems = { 0 };
	struct told *told, *tmp;

	if (!berm_intake_problems(rollup->agent->intake, &problems))
		for (size_t i = 0; i < problems.count; i++)
			tell_problem(rollup, &problems.item[i]);
	for (size_t i = 0; i < of_compiler->count; i++)
		tell_problem(rollup, &of_compiler->item[i]);
	berm_problems_clear(&problems);
	HASH_ITER(hh, rollup->problems, told, tmp) { /* what is over may be told again */
		if (told->round == rollup->round)
			continue;
		HASH_DEL(rollup->problems, told);
		free(told);
	}
}

static void tell_all_enforced(struct berm_rollup *rollup)
{
	struct tracked *policy;

	for (policy = rollup->policies; policy; policy = policy->hh.next)
		tell_enforced(rollup, policy);
}

/* ---- writing -------------------------------------------------------------------------------------------------------- */

static const char *phase_of(const struct tracked *policy)
{
	if (policy->standing != BERM_STANDING_ENFORCED)
		return "Invalid";
	if (policy->is_disabled)
		return "Disabled";
	return policy->is_enforced ? "Enforced" : "Enforcing";
}

static unsigned int part_of(const struct berm_rollup *rollup, const char *key)
{
	struct berm_digest sum = berm_digest_of(key, strlen(key));

	return (unsigned int)(sum.w[0] % rollup->part_count);
}

static int compare_policies(struct tracked *a, struct tracked *b)
{
	return strcmp(a->key, b->key);
}

static cJSON *policy_json(const struct berm_rollup *rollup, const struct tracked *policy)
{
	cJSON *object = cJSON_CreateObject();
	char digest[17];

	snprintf(digest, sizeof(digest), "%016llx", (unsigned long long)policy->digest);
	cJSON_AddStringToObject(object, "policy", policy->key);
	cJSON_AddStringToObject(object, "digest", digest);
	cJSON_AddStringToObject(object, "phase", phase_of(policy));
	if (policy->standing == BERM_STANDING_ENFORCED)
		cJSON_AddNumberToObject(object, "realised", policy->realised);
	cJSON_AddNumberToObject(object, "desired", HASH_COUNT(rollup->nodes));
	return object;
}

static char *part_text(const struct berm_rollup *rollup, unsigned int part)
{
	cJSON *array = cJSON_CreateArray();
	const struct tracked *policy;
	char *text;

	for (policy = rollup->policies; policy; policy = policy->hh.next)
		if (part_of(rollup, policy->key) == part)
			cJSON_AddItemToArray(array, policy_json(rollup, policy));
	text = cJSON_PrintUnformatted(array);
	cJSON_Delete(array);
	return text;
}

static char *configmap_text(unsigned int part, const char *content)
{
	cJSON *root = cJSON_CreateObject(), *metadata, *map;
	char name[32], *text;

	snprintf(name, sizeof(name), NAME "%u", part);
	cJSON_AddStringToObject(root, "apiVersion", "v1");
	cJSON_AddStringToObject(root, "kind", "ConfigMap");
	metadata = cJSON_AddObjectToObject(root, "metadata");
	cJSON_AddStringToObject(metadata, "name", name);
	cJSON_AddStringToObject(metadata, "namespace", BERM_SYSTEM_NAMESPACE);
	map = cJSON_AddObjectToObject(metadata, "labels");
	cJSON_AddStringToObject(map, BERM_STATUS_LABEL, "rollup");
	map = cJSON_AddObjectToObject(root, "data");
	cJSON_AddStringToObject(map, DATA, content);
	text = cJSON_PrintUnformatted(root);
	cJSON_Delete(root);
	return text;
}

static void lose(struct berm_rollup *rollup, struct berm_patience *patience, const char *why)
{
	struct berm_apireply reply = { .status = 0 };

	snprintf(reply.error, sizeof(reply.error), "%.300s", why);
	berm_patience_lose(patience, &reply, now_ms(rollup));
}

static void write_next(struct berm_rollup *rollup);

static void on_written(const struct berm_apireply *reply, void *ctx)
{
	struct berm_rollup *rollup = ctx;
	struct part *part = &rollup->part[rollup->next_part];

	rollup->call = NULL;
	if (*reply->error && reply->status != 404) { /* what is to be deleted may be gone */
		rollup->has_pending = true;
		memset(&part->written, 0, sizeof(part->written));
		berm_patience_lose(&rollup->writing, reply, now_ms(rollup));
		return;
	}
	berm_patience_regain(&rollup->writing);
	part->is_there = rollup->next_part < rollup->part_count;
	rollup->next_part++;
	write_next(rollup);
}

static int write_part(struct berm_rollup *rollup, const char *content)
{
	char path[160];
	auto_free char *text = content ? configmap_text(rollup->next_part, content) : NULL;
	struct berm_err err = { 0 };
	struct berm_apicall_opts opts = {
		.method = content ? "PATCH" : "DELETE",
		.path = path,
		.send = text,
		.send_type = "application/apply-patch+yaml",
		.done = on_written,
		.ctx = rollup,
	};

	snprintf(path, sizeof(path), CONFIGMAPS "/" NAME "%u%s", rollup->next_part,
		 content ? "?fieldManager=berm-agent&force=true" : "");
	if ((content && !text) ||
	    berm_apicall_start(berm_api_http(rollup->agent->api), &opts, &rollup->call, &err)) {
		rollup->has_pending = true;
		lose(rollup, &rollup->writing, *err.msg ? err.msg : "out of memory");
		return -ENOMEM;
	}
	return 0;
}

/* Parts that are as they were written are passed over; those that are too many go. */
static void write_next(struct berm_rollup *rollup)
{
	struct berm_digest sum;
	struct part *part;

	for (; rollup->next_part < MAX_PARTS; rollup->next_part++) {
		part = &rollup->part[rollup->next_part];
		auto_free char *content = NULL;

		if (rollup->next_part >= rollup->part_count) {
			if (!part->is_there)
				continue;
			(void)write_part(rollup,
					 NULL); /* said, and tried again in the next round */
			return;
		}
		content = part_text(rollup, rollup->next_part);
		sum = berm_digest_of(content ? content : "", content ? strlen(content) : 0);
		if (!content || (part->is_there && !berm_digest_cmp(&sum, &part->written)))
			continue;
		part->written = sum;
		(void)write_part(rollup, content); /* the same */
		return;
	}
}

static void write_all(struct berm_rollup *rollup)
{
	unsigned int parts = 1 + HASH_COUNT(rollup->policies) / PER_PART;

	rollup->part_count = parts < MAX_PARTS ? parts : MAX_PARTS;
	rollup->next_part = 0;
	HASH_SORT(rollup->policies, compare_policies);
	if (berm_patience_is_out(&rollup->writing, now_ms(rollup)))
		rollup->has_pending = true;
	else
		write_next(rollup);
}

/* ---- reading -------------------------------------------------------------------------------------------------------- */

static const char *text_in(const cJSON *map, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(map, key));
}

static void take_old_policy(struct berm_rollup *rollup, const cJSON *object)
{
	const char *key = text_in(object, "policy"), *phase = text_in(object, "phase");
	const char *digest = text_in(object, "digest");
	struct tracked *policy;

	if (!key || !phase || !digest || strcmp(phase, "Enforced") != 0)
		return;
	policy = track(rollup, key);
	if (policy)
		policy->told = strtoull(digest, NULL, 16);
}

static void take_old(struct berm_rollup *rollup, const cJSON *root)
{
	const char *name = text_in(cJSON_GetObjectItemCaseSensitive(root, "metadata"), "name");
	const char *text = text_in(cJSON_GetObjectItemCaseSensitive(root, "data"), DATA);
	unsigned long number = MAX_PARTS;
	const cJSON *item;
	cJSON *array;

	if (name && !strncmp(name, NAME, strlen(NAME)))
		number = strtoul(name + strlen(NAME), NULL, 10);
	if (number < MAX_PARTS)
		rollup->part[number].is_there = true;
	array = text ? cJSON_Parse(text) : NULL;
	cJSON_ArrayForEach(item, array)
		take_old_policy(rollup, item);
	cJSON_Delete(array);
}

static void take_status(struct berm_rollup *rollup, const cJSON *root)
{
	const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(root, "metadata");
	const cJSON *annotations = cJSON_GetObjectItemCaseSensitive(metadata, "annotations");
	const char *name = text_in(metadata, "name"), *set = text_in(annotations, BERM_STATUS_SET);

	if (name && set)
		take_node(rollup, name, set);
}

static int on_item(const struct berm_piece *piece, void *ctx)
{
	struct berm_rollup *rollup = ctx;
	cJSON *root = piece->text ? cJSON_ParseWithLength(piece->text, piece->size) : NULL;

	if (rollup->is_reading_old)
		take_old(rollup, root);
	else
		take_status(rollup, root);
	cJSON_Delete(root);
	return 0;
}

static int on_data(const char *text, size_t size, void *ctx)
{
	struct berm_rollup *rollup = ctx;
	struct berm_piece chunk = { text, size };

	return berm_items_feed(&rollup->items, &chunk, on_item, rollup);
}

static void forget_sources(struct berm_rollup *rollup)
{
	for (struct tracked *policy = rollup->policies; policy; policy = policy->hh.next)
		policy->source = NULL;
}

/* Is anything other than in the last round? */
static bool has_news(struct berm_rollup *rollup)
{
	const struct tracked *policy;
	struct berm_digester digester;
	const struct node *node;
	struct berm_digest sum;

	berm_digest_start(&digester);
	for (policy = rollup->policies; policy; policy = policy->hh.next) {
		berm_digest_text(&digester, policy->key);
		berm_digest_u64(&digester, policy->digest);
		berm_digest_u64(&digester, policy->standing);
	}
	for (node = rollup->nodes; node; node = node->hh.next)
		berm_digest_u64(&digester, node->has);
	berm_digest_u64(&digester, HASH_COUNT(rollup->nodes));
	sum = berm_digest_end(&digester);
	if (!rollup->has_pending && !berm_digest_cmp(&sum, &rollup->seen))
		return false;
	rollup->seen = sum;
	rollup->has_pending = false;
	return true;
}

/* All at once: what the set borrows may be gone when the loop has run. */
static void finish_round(struct berm_rollup *rollup)
{
	struct berm_policyset set;

	drop_gone_nodes(rollup);
	if (berm_engine_is_stale(&rollup->agent->engine) ||
	    berm_policyset_read(rollup->agent->intake, &rollup->agent->engine.model, &set))
		return; /* the next round comes */
	take_set(rollup, &set);
	number_nodes(rollup);
	if (has_news(rollup) && !count_realised(rollup)) {
		tell_all_enforced(rollup);
		write_all(rollup);
	}
	tell_problems(rollup);
	forget_sources(rollup);
	berm_policyset_clear(&set);
}

static void on_end(const struct berm_apiend *end, const char *body, void *ctx)
{
	struct berm_rollup *rollup = ctx;
	struct berm_apireply reply = { .status = end->status, .retry_after_s = end->retry_after_s };
	char message[256];
	long code;

	rollup->list = NULL;
	if (end->status == 200 && berm_items_is_complete(&rollup->items)) {
		berm_patience_regain(&rollup->reading);
		if (!rollup->is_reading_old) {
			finish_round(rollup);
			return;
		}
		rollup->has_read_old = true;
		berm_rollup_step(rollup);
		return;
	}
	berm_apistatus_read(body, strlen(body), &code, message);
	snprintf(reply.error, sizeof(reply.error), "%s",
		 *end->error ? end->error
		 : *message  ? message
			     : "the list is not whole");
	berm_patience_lose(&rollup->reading, &reply, now_ms(rollup));
}

static void read_list(struct berm_rollup *rollup, bool is_old)
{
	struct berm_err err = { 0 };
	struct berm_apiget_opts opts = {
		.path = is_old ? LIST_OLD : LIST_NODES,
		.accept =
			is_old ? "application/json"
			       : "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
		.idle_ms = BERM_CALL_IDLE_MS,
		.data = on_data,
		.end = on_end,
		.ctx = rollup,
	};

	berm_items_clear(&rollup->items);
	rollup->is_reading_old = is_old;
	if (berm_apiget_start(berm_api_http(rollup->agent->api), &opts, &rollup->list, &err))
		lose(rollup, &rollup->reading, err.msg);
}

/* ---- the interface ------------------------------------------------------------------------------------------------- */

void berm_rollup_step(struct berm_rollup *rollup)
{
	if (rollup->list || rollup->call || berm_patience_is_out(&rollup->reading, now_ms(rollup)))
		return;
	if (rollup->has_read_old)
		rollup->round++;
	read_list(rollup, !rollup->has_read_old);
}

void berm_rollup_reset(struct berm_rollup *rollup)
{
	struct tracked *policy, *next_policy;
	struct told *told, *next_told;
	struct node *node, *next_node;

	berm_apiget_cancel(TAKE_PTR(rollup->list));
	berm_apicall_cancel(TAKE_PTR(rollup->call));
	HASH_ITER(hh, rollup->policies, policy, next_policy) {
		HASH_DEL(rollup->policies, policy);
		free(policy);
	}
	HASH_ITER(hh, rollup->problems, told, next_told) {
		HASH_DEL(rollup->problems, told);
		free(told);
	}
	HASH_ITER(hh, rollup->nodes, node, next_node) {
		HASH_DEL(rollup->nodes, node);
		free(node);
	}
	memset(rollup->part, 0, sizeof(rollup->part));
	rollup->newest = 0;
	rollup->has_read_old = false;
	rollup->has_pending = true;
}

unsigned int berm_rollup_nodes(const struct berm_rollup *rollup)
{
	return HASH_COUNT(rollup->nodes);
}

int berm_rollup_new(const struct berm_agent *agent, struct berm_apievents *events,
		    struct berm_rollup **ret, struct berm_err *err)
{
	struct berm_rollup *rollup = calloc(1, sizeof(*rollup));

	if (!rollup)
		return berm_fail(err, -ENOMEM, "make the roll-up");
	rollup->agent = agent;
	rollup->events = events;
	rollup->has_pending = true;
	rollup->reading.what = "statuses of the nodes";
	rollup->reading.advice = "a ClusterRole must give list on configmaps";
	rollup->writing.what = "roll-up";
	rollup->writing.advice = "a Role in " BERM_SYSTEM_NAMESPACE
				 " must give create, patch and delete on configmaps";
	*ret = rollup;
	return 0;
}

void berm_rollup_stop(struct berm_rollup *rollup)
{
	if (rollup)
		berm_rollup_reset(rollup);
}

void berm_rollup_free(struct berm_rollup *rollup)
{
	if (!rollup)
		return;
	berm_items_clear(&rollup->items);
	free(rollup);
}
