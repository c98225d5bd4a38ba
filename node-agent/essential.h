/* SPDX-License-Identifier: Apache-2.0 */
/*
 * essential.h - what the essentials `dns` and `apiserver` open: as an AgentConfig in force says, else as it is in every cluster. Knows
 * who grants them to whom as little as a compiler's classes.
 */
#ifndef BERM_ESSENTIAL_H
#define BERM_ESSENTIAL_H

#include "agentconfig.h"
#include "array.h"
#include "model.h"

/* Of several AgentConfigs the first by name; NULL: there is none. *ret_policy (may be NULL): its document. */
const struct berm_agent_config *berm_model_config(const struct berm_model *model,
						  const struct berm_policy **ret_policy);
const struct berm_essential *berm_essential_of(const struct berm_model *model,
					       enum berm_essential_kind kind);
/* Without an AgentConfig. */
const struct berm_essential *berm_essential_default(enum berm_essential_kind kind);
const char *berm_essential_name(enum berm_essential_kind kind); /* "dns" */

bool berm_essential_has_service(const struct berm_essential *essential, const char *ns,
				const char *name);
/* Is the pod one of those that are opened on port 53? */
bool berm_essential_has_pod(const struct berm_essential *essential, const struct berm_pod *pod);

/* Places beside the pods: endpoints of the Services, and what is written. Appended as the model has them, some twice. -ENOMEM. */
struct berm_essential_open {
	struct berm_addr addr;
	uint8_t plane; /* enum berm_plane */
	uint16_t port;
};
typedef BERM_ARRAY(struct berm_essential_open) berm_essential_opens;
int berm_essential_places(const struct berm_model *model, enum berm_essential_kind kind,
			  berm_essential_opens *ret) must_check;

#endif /* BERM_ESSENTIAL_H */
