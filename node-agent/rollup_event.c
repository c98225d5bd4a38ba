/* SPDX-License-Identifier: Apache-2.0 */
/* rollup_event.c - Events on the objects that policies come from: what is in force, what is wrong. Each thing once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rolled.h"

static bool add_event(struct berm_rollup *rollup, const char *source,
		      const struct berm_apinote *note)
{
	struct berm_apinote about = *note;
	struct berm_api_object object;

	if (!source || !berm_api_object(rollup->agent->api, source, &object) || !object.kind)
		return true; /* nothing to hang it on */
	about.version = object.version;
	about.kind = object.kind;
	about.ns = object.ns;
	about.name = object.name;
	about.uid = object.uid;
	if (berm_apievents_add(rollup->events, &about))
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

/* NULL: nothing that Events are about. */
static const char *reason_of(const struct berm_problem *problem)
{
	bool is_expectation = problem->code == BERM_CODE_EXPECTATION;

	if (problem->code == BERM_CODE_UNCONFIRMED)
		return "PolicyUnconfirmed";
	if (problem->severity != BERM_ERROR)
		return is_expectation ? "ExpectationBroken" : NULL;
	if (problem->code == BERM_CODE_ROLLED_BACK)
		return "PolicyRolledBack";
	return is_expectation ? "PolicyHeld" : "PolicyInvalid";
}

static void tell_problem(struct berm_rollup *rollup, const struct berm_problem *problem)
{
	char source[400], key[254], message[1100];
	struct berm_apinote note = { .is_warning = true,
				     .reason = reason_of(problem),
				     .subject = message,
				     .message = message };
	struct berm_digester digester;
	struct berm_digest sum;

	if (!note.reason || !problem->source)
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

/* What does not fit shows only where it is compiled: on nodes that have such pods. */
static void tell_refused(struct berm_rollup *rollup)
{
	const struct rolled_node *node;

	for (node = rollup->nodes; node; node = node->hh.next)
		for (size_t i = 0; i < node->refused.count; i++)
			tell_problem(rollup, &node->refused.item[i]);
}

/* What is over may be told again. */
static void forget_over(struct berm_rollup *rollup)
{
	struct told *told = NULL, *next = NULL;

	HASH_ITER(hh, rollup->problems, told, next) {
		if (told->round == rollup->round)
			continue;
		HASH_DEL(rollup->problems, told);
		free(told);
	}
}

void berm_rollup_tell_problems(struct berm_rollup *rollup)
{
	const struct berm_problems *of_compiler = &rollup->agent->engine.problems;
	const struct berm_problems *breaches = berm_breaches_problems(rollup->agent->breaches);
	struct berm_problems problems = { 0 };

	if (!berm_intake_problems(rollup->agent->intake, &problems))
		for (size_t i = 0; i < problems.count; i++)
			tell_problem(rollup, &problems.item[i]);
	for (size_t i = 0; i < of_compiler->count; i++)
		tell_problem(rollup, &of_compiler->item[i]);
	for (size_t i = 0; i < breaches->count; i++)
		tell_problem(rollup, &breaches->item[i]);
	tell_refused(rollup);
	berm_problems_clear(&problems);
	forget_over(rollup);
}

void berm_rollup_tell_enforced(struct berm_rollup *rollup)
{
	struct tracked *policy;

	for (policy = rollup->policies; policy; policy = policy->hh.next)
		tell_enforced(rollup, policy);
}

void berm_rollup_forget_told(struct berm_rollup *rollup)
{
	struct told *told, *next;

	HASH_ITER(hh, rollup->problems, told, next) {
		HASH_DEL(rollup->problems, told);
		free(told);
	}
}
