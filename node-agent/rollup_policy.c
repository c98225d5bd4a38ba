/* SPDX-License-Identifier: Apache-2.0 */
/* rollup_policy.c - which policies there are, which nodes, and who has what. Asks nobody, tells nobody. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "nodestatus.h"
#include "rolled.h"

/* ---- policies --------------------------------------------------------------------------------------------------- */

static void format_key(enum berm_policy_kind kind, const char *ns, const char *name, char out[400])
{
	berm_policy_title(kind, ns, name, out, 400);
}

struct tracked *berm_rollup_track(struct berm_rollup *rollup, const char *key)
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
	policy = berm_rollup_track(rollup, key);
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

static void take_policies(struct berm_rollup *rollup, const struct berm_policyset *set)
{
	const char *last = rollup->history[rollup->newest % BERM_ROLLUP_HISTORY];

	if (!rollup->newest || strcmp(last, set->digest) != 0) {
		rollup->newest++;
		memcpy(rollup->history[rollup->newest % BERM_ROLLUP_HISTORY], set->digest,
		       sizeof(set->digest));
	}
	for (size_t i = 0; i < set->count; i++)
		take_policy(rollup, &set->item[i]);
	drop_gone_policies(rollup);
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

static uint64_t number_of_set(const struct berm_rollup *rollup, const char *digest)
{
	uint64_t n = rollup->newest, left = BERM_ROLLUP_HISTORY;

	for (; n && left; n--, left--)
		if (!strcmp(rollup->history[n % BERM_ROLLUP_HISTORY], digest))
			return n;
	return 0;
}

static struct rolled_node *find_node(struct berm_rollup *rollup, const char *name)
{
	struct rolled_node *node;

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

static char *text_in(const cJSON *map, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(map, key));
}

static void take_refused(struct rolled_node *node, const cJSON *refused)
{
	const cJSON *item, *line;
	struct berm_problem problem;

	berm_problems_clear(&node->refused);
	cJSON_ArrayForEach(item, refused) {
		line = cJSON_GetObjectItemCaseSensitive(item, "line");
		problem = (struct berm_problem){
			.severity = BERM_ERROR,
			.source = text_in(item, "source"),
			.line = cJSON_IsNumber(line) ? line->valueint : 0,
			.message = text_in(item, "message"),
			.hint = text_in(item, "hint"),
			.document = text_in(item, "document"),
		};
		if (!problem.source || !problem.document ||
		    node->refused.count >= BERM_STATUS_MAX_REFUSED)
			continue;
		if (berm_problems_add(&node->refused, &problem))
			return; /* the next round tries again */
	}
}

void berm_rollup_take_node(struct berm_rollup *rollup, const char *name, const char *set,
			   const cJSON *refused)
{
	struct rolled_node *node = find_node(rollup, name);

	if (!node)
		return;
	node->round = rollup->round;
	snprintf(node->set, sizeof(node->set), "%s", set);
	take_refused(node, refused);
}

/* A digest that we do not know is one that is on the way to ours: what it had, it has. */
static void number_nodes(struct berm_rollup *rollup)
{
	struct rolled_node *node;
	uint64_t has;

	for (node = rollup->nodes; node; node = node->hh.next) {
		has = number_of_set(rollup, node->set);
		if (has)
			node->has = has;
	}
}

static void free_node(struct berm_rollup *rollup, struct rolled_node *node)
{
	HASH_DEL(rollup->nodes, node);
	berm_problems_clear(&node->refused);
	free(node);
}

static void drop_gone_nodes(struct berm_rollup *rollup)
{
	struct rolled_node *node, *tmp;

	HASH_ITER(hh, rollup->nodes, node, tmp) {
		if (node->round == rollup->round)
			continue;
		free_node(rollup, node);
	}
}

void berm_rollup_take_set(struct berm_rollup *rollup, const struct berm_policyset *set)
{
	drop_gone_nodes(rollup);
	take_policies(rollup, set);
	number_nodes(rollup);
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

static void count_refused(struct berm_rollup *rollup)
{
	struct tracked *policy;
	struct rolled_node *node;

	for (policy = rollup->policies; policy; policy = policy->hh.next)
		policy->refused = 0;
	for (node = rollup->nodes; node; node = node->hh.next)
		for (size_t i = 0; i < node->refused.count; i++) {
			HASH_FIND_STR(rollup->policies, node->refused.item[i].document, policy);
			if (policy)
				policy->refused++;
		}
}

int berm_rollup_count(struct berm_rollup *rollup)
{
	size_t count = HASH_COUNT(rollup->nodes), i = 0;
	auto_free uint64_t *has = calloc(count + 1, sizeof(*has));
	struct tracked *policy;
	struct rolled_node *node;

	if (!has)
		return -ENOMEM;
	for (node = rollup->nodes; node; node = node->hh.next)
		has[i++] = node->has;
	qsort(has, count, sizeof(*has), compare_numbers);
	count_refused(rollup);
	for (policy = rollup->policies; policy; policy = policy->hh.next) {
		policy->realised = count_from(has, count, policy->since);
		policy->is_enforced = count && policy->realised == count && !policy->refused &&
				      !policy->is_disabled &&
				      berm_standing_is_good(policy->standing);
	}
	return 0;
}

bool berm_rollup_has_news(struct berm_rollup *rollup)
{
	const struct tracked *policy;
	struct berm_digester digester;
	const struct rolled_node *node;
	struct berm_digest sum;

	berm_digest_start(&digester);
	for (policy = rollup->policies; policy; policy = policy->hh.next) {
		berm_digest_text(&digester, policy->key);
		berm_digest_u64(&digester, policy->digest);
		berm_digest_u64(&digester, policy->standing);
	}
	for (node = rollup->nodes; node; node = node->hh.next) {
		berm_digest_u64(&digester, node->has);
		for (size_t i = 0; i < node->refused.count; i++)
			berm_digest_text(&digester, node->refused.item[i].document);
	}
	berm_digest_u64(&digester, HASH_COUNT(rollup->nodes));
	sum = berm_digest_end(&digester);
	if (!rollup->has_pending && !berm_digest_cmp(&sum, &rollup->seen))
		return false;
	rollup->seen = sum;
	rollup->has_pending = false;
	return true;
}

void berm_rollup_forget(struct berm_rollup *rollup)
{
	struct tracked *policy, *next_policy;
	struct rolled_node *node, *next_node;

	HASH_ITER(hh, rollup->policies, policy, next_policy) {
		HASH_DEL(rollup->policies, policy);
		free(policy);
	}
	HASH_ITER(hh, rollup->nodes, node, next_node)
		free_node(rollup, node);
	rollup->newest = 0;
}
