/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feedback.h - what this agent writes to the API server: its node's status, Events on its pods, and, if it is the elected one,
 * what rollup.h says. Nothing waits for it, and nothing fails with it. No object of users is written.
 */
#ifndef BERM_FEEDBACK_H
#define BERM_FEEDBACK_H

#include <cjson/cJSON.h>

#include "abi.h"
#include "err.h"

#define BERM_FEEDBACK_INTERVAL_S 10

struct berm_agent;
struct berm_feedback;

/* The agent watches an API server (agent->api); borrowed. */
int berm_feedback_new(const struct berm_agent *agent, unsigned int interval_s,
		      struct berm_feedback **ret, struct berm_err *err) must_check;
void berm_feedback_start(struct berm_feedback *feedback);
/* From the next write on; the lease goes on as it began. Accepts NULL. */
void berm_feedback_set_interval(struct berm_feedback *feedback, unsigned int interval_s);
/* Before the API is stopped; free after the loop has run once more. Both accept NULL. */
void berm_feedback_stop(struct berm_feedback *feedback);
void berm_feedback_free(struct berm_feedback *feedback);

/* An event of the data path. */
void berm_feedback_flow(struct berm_feedback *feedback, const struct berm_event *event);

/* {"leader": true, ...} for the agent's own status. */
cJSON *berm_feedback_json(const struct berm_feedback *feedback);

#endif /* BERM_FEEDBACK_H */
