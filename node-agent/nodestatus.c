/* SPDX-License-Identifier: Apache-2.0 */
/* nodestatus.c - the status of the node, cut to what a ConfigMap that is written often may have. */
#include "nodestatus.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "cleanup.h"
#include "policyset.h"
#include "status.h"

#define MAX_TEXT 300
#define MAX_CONTENT                                                                                \
	(BERM_STATUS_MAX_BYTES -                                                                   \
	 1024) /* what is around it has its room, and its quotes double below */

static void add_counts(cJSON *root, const struct berm_policyset *set)
{
	cJSON *counts = cJSON_AddObjectToObject(root, "policies"), *item;
	const char *state;

	for (size_t i = 0; i < set->count; i++) {
		state = set->item[i].is_disabled ? "disabled"
						 : berm_standing_name(set->item[i].standing);
		item = cJSON_GetObjectItemCaseSensitive(counts, state);
		if (item)
			cJSON_SetNumberValue(item, item->valuedouble + 1);
		else
			cJSON_AddNumberToObject(counts, state, 1);
	}
}

/* At a border of UTF-8. */
static void cut(char *text)
{
	size_t size = MAX_TEXT;

	if (strlen(text) <= MAX_TEXT)
		return;
	while (size && (text[size] & 0xc0) == 0x80)
		size--;
	text[size] = '\0';
}

static void cut_texts(cJSON *problem)
{
	for (cJSON *item = problem->child; item; item = item->next)
		if (cJSON_IsString(item))
			cut(item->valuestring);
}

/* How long it is as a text inside of a JSON text. */
static size_t quoted_size(const char *text)
{
	size_t size = 0;

	for (; *text; text++)
		size += *text == '"' || *text == '\\' ? 2 : 1;
	return size;
}

/* The first problems that fit; the others are counted. */
static char *print(cJSON *root, cJSON *problems, size_t max)
{
	int left = cJSON_GetArraySize(problems), i;
	char *text;

	for (i = 0; i < left; i++)
		cut_texts(cJSON_GetArrayItem(problems, i));
	for (i = left; i > BERM_STATUS_MAX_PROBLEMS; i--)
		cJSON_DeleteItemFromArray(problems, i - 1);
	for (;;) {
		cJSON_DeleteItemFromObject(root, "more_problems");
		if (i < left)
			cJSON_AddNumberToObject(root, "more_problems", left - i);
		text = cJSON_PrintUnformatted(root);
		if (!text || !i || quoted_size(text) <= max)
			return text;
		free(text);
		cJSON_DeleteItemFromArray(problems, --i);
	}
}

/* For the elected agent, which may have no pods that it shows on. */
static char *refused_text(const struct berm_problems *problems)
{
	cJSON *array = cJSON_CreateArray(), *object;
	const struct berm_problem *problem;
	char *text;

	for (size_t i = 0; i < problems->count && i < BERM_STATUS_MAX_REFUSED; i++) {
		problem = &problems->item[i];
		if (problem->severity != BERM_ERROR)
			continue; /* it is in force */
		object = cJSON_CreateObject();
		cJSON_AddStringToObject(object, "source", problem->source ? problem->source : "");
		cJSON_AddNumberToObject(object, "line", problem->line);
		cJSON_AddStringToObject(object, "message", problem->message);
		if (problem->hint)
			cJSON_AddStringToObject(object, "hint", problem->hint);
		if (problem->document)
			cJSON_AddStringToObject(object, "document", problem->document);
		cut_texts(object);
		cJSON_AddItemToArray(array, object);
	}
	text = cJSON_PrintUnformatted(array);
	cJSON_Delete(array);
	return text;
}

int berm_nodestatus_read(const struct berm_agent *agent, struct berm_nodestatus *ret)
{
	cJSON *root = cJSON_CreateObject(), *problems;
	struct berm_policyset set;

	if (berm_policyset_read(agent->intake, &agent->engine.model, &set)) {
		cJSON_Delete(root);
		return -ENOMEM;
	}
	cJSON_AddStringToObject(root, "node", agent->opts.node);
	cJSON_AddStringToObject(root, "version", BERM_VERSION);
	berm_status_add_enforcing(root, agent);
	add_counts(root, &set);
	problems = berm_problems_json(agent);
	cJSON_AddItemToObject(root, "problems", problems);
	ret->refused = refused_text(&agent->engine.problems);
	ret->content = ret->refused ? print(root, problems, MAX_CONTENT - quoted_size(ret->refused))
				    : NULL;
	ret->generation = agent->engine.last.generation;
	memcpy(ret->set, set.digest, sizeof(ret->set));
	berm_policyset_clear(&set);
	cJSON_Delete(root);
	if (ret->content)
		return 0;
	berm_nodestatus_clear(ret);
	return -ENOMEM;
}

/* The node owns it: when the Node goes, Kubernetes deletes it. */
static void add_owner(cJSON *metadata, const struct berm_agent *agent)
{
	struct berm_api_object node;
	char source[300];
	cJSON *owner;

	snprintf(source, sizeof(source), "node %s", agent->opts.node);
	if (!berm_api_object(agent->api, source, &node) || !node.uid)
		return;
	owner = cJSON_CreateObject();
	cJSON_AddStringToObject(owner, "apiVersion", "v1");
	cJSON_AddStringToObject(owner, "kind", "Node");
	cJSON_AddStringToObject(owner, "name", agent->opts.node);
	cJSON_AddStringToObject(owner, "uid", node.uid);
	cJSON_AddItemToArray(cJSON_AddArrayToObject(metadata, "ownerReferences"), owner);
}

static void add_metadata(cJSON *root, const struct berm_agent *agent,
			 const struct berm_nodestatus *status)
{
	cJSON *metadata = cJSON_AddObjectToObject(root, "metadata"), *map;
	char name[300];

	snprintf(name, sizeof(name), "berm-status-%s", agent->opts.node);
	cJSON_AddStringToObject(metadata, "name", name);
	cJSON_AddStringToObject(metadata, "namespace", BERM_SYSTEM_NAMESPACE);
	map = cJSON_AddObjectToObject(metadata, "labels");
	cJSON_AddStringToObject(map, BERM_STATUS_LABEL, "node");
	map = cJSON_AddObjectToObject(metadata, "annotations");
	cJSON_AddStringToObject(map, BERM_STATUS_SET, status->set);
	if (strcmp(status->refused, "[]") != 0)
		cJSON_AddStringToObject(map, BERM_STATUS_REFUSED, status->refused);
	add_owner(metadata, agent);
}

char *berm_nodestatus_configmap(const struct berm_agent *agent,
				const struct berm_nodestatus *status)
{
	cJSON *root = cJSON_CreateObject(), *data;
	char generation[24], *text;

	cJSON_AddStringToObject(root, "apiVersion", "v1");
	cJSON_AddStringToObject(root, "kind", "ConfigMap");
	add_metadata(root, agent, status);
	snprintf(generation, sizeof(generation), "%llu", (unsigned long long)status->generation);
	data = cJSON_AddObjectToObject(root, "data");
	cJSON_AddStringToObject(data, "generation", generation);
	cJSON_AddStringToObject(data, "policy-set", status->set);
	cJSON_AddStringToObject(data, "status.json", status->content);
	text = cJSON_PrintUnformatted(root);
	cJSON_Delete(root);
	return text;
}

void berm_nodestatus_clear(struct berm_nodestatus *status)
{
	free(status->content);
	free(status->refused);
	*status = (struct berm_nodestatus){ 0 };
}
