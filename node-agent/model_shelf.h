/* SPDX-License-Identifier: Apache-2.0 */
/* model_shelf.h - the model's arrays and its log of changes, for the model*.c files only. */
#ifndef BERM_MODEL_SHELF_H
#define BERM_MODEL_SHELF_H

#include "model.h"
#include "shelf.h"

struct berm_shelf berm_model_policies(struct berm_model *model);
/* rc 0: something has changed that much depends on: a namespace, the node itself. Returns rc. */
int berm_model_changed(struct berm_model *model, int rc);
/* rc 0: a policy, a Service or a slice has changed. Returns rc. */
int berm_model_rest_changed(struct berm_model *model, int rc);

/* The labels that say what workloads they are, of all pods of a namespace; NULL: of all. -ENOMEM. */
int berm_model_label_pods(struct berm_model *model, const char *ns);
int berm_model_cmp_policy(const void *a, const void *b);
void berm_model_destroy_policy(void *object);
void berm_model_clear_companions(struct berm_model *model);

#endif /* BERM_MODEL_SHELF_H */
