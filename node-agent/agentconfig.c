/* SPDX-License-Identifier: Apache-2.0 */
/* agentconfig.c - the end of an AgentConfig's content. */
#include "agentconfig.h"

#include <stdlib.h>

static void essential_clear(struct berm_essential *essential)
{
	for (size_t i = 0; i < essential->service_count; i++) {
		free(essential->service[i].ns);
		free(essential->service[i].name);
	}
	for (size_t i = 0; i < essential->pods_count; i++) {
		free(essential->pods[i].ns);
		berm_selector_clear(&essential->pods[i].selector);
	}
}

void berm_agent_config_free(struct berm_agent_config *config)
{
	for (int i = 0; config && i < BERM_ESSENTIAL_COUNT; i++)
		essential_clear(&config->essential[i]);
	free(config);
}
