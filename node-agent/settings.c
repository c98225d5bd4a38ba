/* SPDX-License-Identifier: Apache-2.0 */
/* settings.c - an AgentConfig's settings to the parts that they concern. */
#include "settings.h"

#include <stdio.h>

#include "agent.h"
#include "cleanup.h"
#include "essential.h"

static const char *const level_name[] = { "error", "warning", "info",
					  "debug" }; /* enum berm_log_level */

static struct berm_settings wanted(const struct berm_agent *agent)
{
	const struct berm_agent_config *config = berm_model_config(&agent->engine.model, NULL);
	struct berm_settings out = {
		.log_level = agent->opts.log_level,
		.missing_pass = agent->opts.missing_pass,
		.feedback_s = agent->opts.feedback_s,
	};

	if (!config)
		return out;
	if (config->has_log_level)
		out.log_level = (enum berm_log_level)config->log_level;
	if (config->has_missing_state)
		out.missing_pass = config->missing_pass;
	if (config->feedback_s && out.feedback_s)
		out.feedback_s = config->feedback_s;
	return out;
}

static bool is_same(const struct berm_settings *a, const struct berm_settings *b)
{
	return a->log_level == b->log_level && a->missing_pass == b->missing_pass &&
	       a->feedback_s == b->feedback_s;
}

void berm_settings_apply(struct berm_agent *agent)
{
	struct berm_settings now = wanted(agent);
	const struct berm_policy *document = NULL;

	if (is_same(&now, &agent->settings))
		return;
	(void)berm_model_config(&agent->engine.model, &document);
	agent->settings = now;
	berm_log(BERM_LOG_INFO, "settings-changed",
		 "by=\"%s%s\" log-level=%s missing-state=%s feedback=%u",
		 document ? "AgentConfig " BERM_SYSTEM_NAMESPACE "/" : "the command line",
		 document ? document->name : "", level_name[now.log_level],
		 now.missing_pass ? "pass" : "drop", now.feedback_s);
	berm_log_set_level(now.log_level);
	berm_feedback_set_interval(agent->feedback, now.feedback_s);
}

/* ---- telling ----------------------------------------------------------------------------------------------------------- */

static void add_pair(cJSON *array, const char *ns, const char *name)
{
	char text[400];

	snprintf(text, sizeof(text), "%s/%s", ns, name);
	cJSON_AddItemToArray(array, cJSON_CreateString(text));
}

static void add_pods(cJSON *array, const struct berm_essential_pods *pods)
{
	cJSON *object = cJSON_CreateObject();
	auto_free char *text = berm_selector_text(&pods->selector);

	cJSON_AddStringToObject(object, "namespace", pods->ns);
	cJSON_AddStringToObject(object, "selector", text ? text : "?");
	cJSON_AddItemToArray(array, object);
}

static int add_opens(cJSON *array, const struct berm_model *model, enum berm_essential_kind kind)
{
	berm_essential_opens opens = { 0 };
	int rc = berm_essential_places(model, kind, &opens);

	for (size_t i = 0; !rc && i < opens.count; i++) {
		char addr[BERM_ADDR_STRLEN], text[BERM_ADDR_STRLEN + 16];

		berm_addr_format(&opens.item[i].addr, addr);
		snprintf(text, sizeof(text), "%s %s/%u", addr,
			 opens.item[i].plane == BERM_PLANE_TCP ? "TCP" : "UDP", opens.item[i].port);
		cJSON_AddItemToArray(array, cJSON_CreateString(text));
	}
	array_free(&opens);
	return rc;
}

static void add_essential(cJSON *essentials, const struct berm_model *model,
			  enum berm_essential_kind kind)
{
	const struct berm_essential *essential = berm_essential_of(model, kind);
	cJSON *object = cJSON_AddObjectToObject(essentials, berm_essential_name(kind)), *list;

	cJSON_AddStringToObject(object, "by", essential->is_given ? "AgentConfig" : "default");
	list = cJSON_AddArrayToObject(object, "services");
	for (size_t i = 0; i < essential->service_count; i++)
		add_pair(list, essential->service[i].ns, essential->service[i].name);
	if (kind == BERM_ESSENTIAL_OF_DNS) {
		list = cJSON_AddArrayToObject(object, "pods");
		for (size_t i = 0; i < essential->pods_count; i++)
			add_pods(list, &essential->pods[i]);
	}
	list = cJSON_AddArrayToObject(object, "opens");
	if (add_opens(list, model, kind))
		cJSON_AddStringToObject(object, "error", "no memory to list what it opens");
}

void berm_settings_add(cJSON *root, const struct berm_agent *agent)
{
	const struct berm_model *model = &agent->engine.model;
	const struct berm_settings *now = &agent->settings;
	cJSON *config = cJSON_AddObjectToObject(root, "config"), *object;
	const struct berm_policy *document = NULL;
	char title[400];

	if (berm_model_config(model, &document)) {
		berm_policy_title(document->kind, document->ns, document->name, title,
				  sizeof(title));
		cJSON_AddStringToObject(config, "by", title);
	}
	object = cJSON_AddObjectToObject(config, "settings");
	cJSON_AddStringToObject(object, "log_level", level_name[now->log_level]);
	cJSON_AddStringToObject(object, "missing_state", now->missing_pass ? "pass" : "drop");
	cJSON_AddNumberToObject(object, "feedback", now->feedback_s);
	object = cJSON_AddObjectToObject(config, "essentials");
	for (int kind = 0; kind < BERM_ESSENTIAL_COUNT; kind++)
		add_essential(object, model, (enum berm_essential_kind)kind);
}
