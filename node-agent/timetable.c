/* SPDX-License-Identifier: Apache-2.0 */
/* timetable.c - schedules to JSON. */
#include "timetable.h"

#include <stdio.h>

#include "moment.h"

#define MAX_SHOWN 100

static void add_moment(cJSON *object, const char *name, int64_t at)
{
	char text[BERM_MOMENT_STRLEN];

	if (at == INT64_MAX)
		return;
	berm_moment_format(at, text);
	cJSON_AddStringToObject(object, name, text);
}

static cJSON *state(const struct berm_schedule *schedule, const char *field, int64_t now_s)
{
	cJSON *object = cJSON_CreateObject();
	int64_t since, until;

	cJSON_AddStringToObject(object, "field", field);
	cJSON_AddBoolToObject(object, "open", berm_schedule_at(schedule, now_s, &since, &until));
	add_moment(object, "changes", until);
	return object;
}

static void add_rule(cJSON *array, const struct berm_policy_rule *rule, int64_t now_s)
{
	char field[64];
	cJSON *object;

	snprintf(field, sizeof(field), "%s[%u].schedule",
		 rule->dir == BERM_INGRESS ? "ingress" : "egress", rule->index);
	object = state(&rule->schedule, field, now_s);
	if (rule->name)
		cJSON_AddStringToObject(object, "rule", rule->name);
	cJSON_AddItemToArray(array, object);
}

void berm_timetable_add(cJSON *object, const struct berm_policy *policy, int64_t now_s)
{
	const struct berm_policy *written = policy->written;
	size_t shown = 0, left_out = 0;
	cJSON *array;

	if (!written)
		return;
	add_moment(object, "changes", policy->until_s);
	array = cJSON_CreateArray();
	if (written->schedule.count) {
		cJSON_AddItemToArray(array, state(&written->schedule, "schedule", now_s));
		shown++;
	}
	for (size_t i = 0; i < written->rule_count; i++) {
		if (!written->rule[i].schedule.count)
			continue;
		if (shown++ < MAX_SHOWN)
			add_rule(array, &written->rule[i], now_s);
		else
			left_out++;
	}
	if (shown)
		cJSON_AddItemToObject(object, "schedules", array);
	else
		cJSON_Delete(array);
	if (left_out)
		cJSON_AddNumberToObject(object, "schedules_left_out", (double)left_out);
}
