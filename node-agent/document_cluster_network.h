/* SPDX-License-Identifier: Apache-2.0 */
/* document_cluster_network.h - what the readers of a ClusterNetworkPolicy and of its rules share. */
#ifndef BERM_DOCUMENT_CLUSTER_NETWORK_H
#define BERM_DOCUMENT_CLUSTER_NETWORK_H

#include "field.h"
#include "policy.h"

struct berm_cluster_document {
	struct berm_policy *policy;
	/* It comes from an API server, whose CRD has checked it: what this version does not know there is of a later
	 * one, and must fail closed instead of making the whole document invalid. */
	bool is_checked;
};

/* Appends the rules to document->policy. Problems are in the reader. */
void berm_read_cluster_rules(const struct berm_field *list, enum berm_dir dir,
			     const struct berm_cluster_document *document);

/* {namespaceSelector, podSelector}: pods of selected namespaces. */
struct berm_pods_selector {
	struct berm_selector *ns, *pods;
	bool has_pods;
};
void berm_read_namespaced_pods(const struct berm_field *field, struct berm_pods_selector *out);

#endif /* BERM_DOCUMENT_CLUSTER_NETWORK_H */
