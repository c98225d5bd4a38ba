/* SPDX-License-Identifier: Apache-2.0 */
/* objectlist.h - what the agent knows of namespaces and pods, as far as policies look at them, in Kubernetes' own form. */
#ifndef BERM_OBJECTLIST_H
#define BERM_OBJECTLIST_H

#include <cjson/cJSON.h>

struct berm_model;

/* A List that berm_document_parse() reads. NULL: no memory. */
cJSON *berm_objects_json(const struct berm_model *model);

#endif /* BERM_OBJECTLIST_H */
