/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agentconfig.h - what an AgentConfig says: what the essentials open, and settings that an agent may change while it runs. Knows no
 * document, no model and no agent.
 */
#ifndef BERM_AGENTCONFIG_H
#define BERM_AGENTCONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"
#include "selector.h"

#define BERM_MAX_ESSENTIAL_ITEMS 16 /* of each list */

#define BERM_MIN_FEEDBACK_S 1
#define BERM_MAX_FEEDBACK_S 3600

enum berm_essential_kind {
	BERM_ESSENTIAL_OF_DNS,
	BERM_ESSENTIAL_OF_APISERVER,
	BERM_ESSENTIAL_COUNT
};

/* What isolated pods may reach all the same: any of these. */
struct berm_essential {
	bool is_given;			/* else the default counts (essential.h) */
	struct berm_essential_service { /* its endpoints, each on its port, also by way of the Service */
		char *ns, *name;
	} service[BERM_MAX_ESSENTIAL_ITEMS];
	size_t service_count;
	struct berm_essential_pods { /* of dns: on port 53 */
		char *ns;
		struct berm_selector selector;
	} pods[BERM_MAX_ESSENTIAL_ITEMS];
	size_t pods_count;
	struct berm_essential_place { /* TCP, of dns UDP too */
		struct berm_addr addr;
		uint16_t port;
	} place[BERM_MAX_ESSENTIAL_ITEMS];
	size_t place_count;
};

struct berm_agent_config {
	struct berm_essential essential[BERM_ESSENTIAL_COUNT];
	/* What is not given is as the command line says. */
	bool has_log_level, has_missing_state;
	uint8_t log_level;	 /* enum berm_log_level */
	bool missing_pass;	 /* missingState: pass */
	unsigned int feedback_s; /* 0: not given */
};

void berm_agent_config_free(struct berm_agent_config *config); /* accepts NULL */

#endif /* BERM_AGENTCONFIG_H */
