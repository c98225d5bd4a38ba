/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.h - the settings that a running agent may change: those of the AgentConfig in force, and where it is silent those of the
 * command line.
 */
#ifndef BERM_SETTINGS_H
#define BERM_SETTINGS_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "log.h"

struct berm_agent;

struct berm_settings {
	enum berm_log_level log_level;
	bool missing_pass; /* packets on an interface without endpoint entry pass; else they are dropped */
	unsigned int
		feedback_s; /* 0: this agent writes nothing to an API server, whatever an AgentConfig says */
};

/* Brings agent->settings up to the model, and tells once what has changed. */
void berm_settings_apply(struct berm_agent *agent);

/* Adds "config": which document is in force, the settings, and what the essentials are made of. */
void berm_settings_add(cJSON *root, const struct berm_agent *agent);

#endif /* BERM_SETTINGS_H */
