/* SPDX-License-Identifier: Apache-2.0 */
/* timetable.h - the schedules of a policy as they stand, for people. Decides nothing. */
#ifndef BERM_TIMETABLE_H
#define BERM_TIMETABLE_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "policy.h"

/*
 * Adds "changes" (when next something of the policy comes or goes by the time) and "schedules", a list of {field, rule, open,
 * changes}: of the document, then of its rules in their order, 100 at most, and how many more there are in
 * "schedules_left_out". What does not apply is not added. policy: an effective one, or one that depends on nothing.
 */
void berm_timetable_add(cJSON *object, const struct berm_policy *policy, int64_t now_s);

#endif /* BERM_TIMETABLE_H */
