/* SPDX-License-Identifier: Apache-2.0 */
/* status.h - the agent's answers in JSON (docs/rest-api.md). Reads the agent, changes nothing. */
#ifndef BERM_STATUS_H
#define BERM_STATUS_H

#include <cjson/cJSON.h>

struct berm_agent;

/* Each returns a tree that the caller deletes, or NULL: no memory. */
cJSON *berm_status_json(const struct berm_agent *agent);
cJSON *berm_endpoints_json(const struct berm_agent *agent);
cJSON *berm_policies_json(const struct berm_agent *agent);
cJSON *berm_rules_json(const struct berm_agent *agent);
/* Parts of the first one: the problems, an array; members enforcing and reasons into root. */
cJSON *berm_problems_json(const struct berm_agent *agent);
void berm_status_add_enforcing(cJSON *root, const struct berm_agent *agent);

#endif /* BERM_STATUS_H */
