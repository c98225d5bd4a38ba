/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.h - what the agent knows of the cluster: namespaces, pods, policies, Services, and the
 * endpoints of this node. Sources fill it (files now, the API server later), the compiler reads it. No kernel, no I/O.
 *
 * Objects are keyed by kind and namespace/name for their life in the model, pods by uid too; endpoints are
 * keyed by slot only. Every change bumps model->version.
 */
#ifndef BERM_MODEL_H
#define BERM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"
#include "err.h"
#include "policy.h"
#include "selector.h"
#include "service.h"

#define BERM_SYSTEM_NAMESPACE "berm-system"

struct berm_namespace {
	char *name;
	struct berm_labels labels; /* kubernetes.io/metadata.name is always there */
	bool default_deny;	   /* label berm.dev/default-verdict: deny */
};

struct berm_container_port { /* with a name, a hostPort, or both */
	char *name;	     /* NULL: none */
	uint8_t plane;
	uint16_t port;
	uint16_t host_port; /* 0: none; always of host-network pods */
	struct berm_addr
		host_addr; /* zero: every address of the node; ::ffff:0.0.0.0: every IPv4 one */
};

struct berm_pod {
	char *ns, *name, *uid; /* uid may be NULL (files may leave it out) */
	char *node;	       /* spec.nodeName or NULL */
	struct berm_labels labels;
	struct berm_addr addr[BERM_MAX_ADDRS]; /* status.podIPs; filled from CNI for local pods */
	size_t addr_count;
	bool host_network;
	bool finished;	 /* Succeeded or Failed: owns no address */
	int64_t created; /* metadata.creationTimestamp, seconds; 0 unknown. Of two pods that
				   * claim one address the later one has it */
	struct berm_container_port
		*port; /* containers, and initContainers with restartPolicy Always */
	size_t port_count;
	struct berm_cidr *allowed; /* annotation berm.dev/allowed-addresses */
	size_t allowed_count;
};

/* A pod of this node that has our programs on its veth. */
struct berm_local_endpoint {
	uint32_t slot;
	uint32_t ifindex;
	char ns[64], pod[254], uid[64]; /* as CNI told; "" unknown */
	struct berm_addr addr[BERM_MAX_ADDRS];
	size_t addr_count;
};

/* What has happened since berm_model_changes_clear(). */
#define BERM_MODEL_CHANGES 64
struct berm_model_changes {
	bool all;	/* who knows what: nothing below counts */
	bool rest;	/* policies, Services or slices too */
	bool endpoints; /* and endpoints of this node */
	struct berm_pod_change {
		char *ns, *name;
		struct berm_pod *before; /* as it was then; NULL: it was not there */
	} pod[BERM_MODEL_CHANGES];	 /* each once */
	size_t pod_count;
};

struct berm_model {
	struct berm_namespace **namespaces; /* sorted by name */
	size_t namespace_count;
	struct berm_pod **pods; /* sorted by ns, name */
	size_t pod_count;
	struct berm_policy **policies; /* in force; sorted by kind, ns, name */
	size_t policy_count;
	struct berm_service **services; /* sorted by ns, name */
	size_t service_count;
	struct berm_slice **slices; /* sorted by ns, name */
	size_t slice_count;
	struct berm_service_cidr **service_cidrs; /* sorted by name */
	size_t service_cidr_count;
	struct berm_policy **companions; /* IPSets: what policies refer to; sorted likewise */
	size_t companion_count;
	int64_t now_s; /* unix time, for what expires; berm_model_set_time() */
	struct berm_local_endpoint *endpoints; /* sorted by slot */
	size_t endpoint_count;
	struct berm_addr *node_addrs; /* own node, for "own node" exceptions */
	size_t node_addr_count;
	char *node; /* name of the own node, NULL unknown: then its endpoints are known by address */
	uint64_t version;
	struct berm_model_changes changes;
};

/* put takes ownership of the object (also on failure, -ENOMEM) and replaces the one of the same name.
 * remove: -ENOENT is returned if it was not there, and nothing changes. */
int berm_model_put_namespace(struct berm_model *model, struct berm_namespace *ns);
int berm_model_put_pod(struct berm_model *model, struct berm_pod *pod);
/* Of companions too. What depends on IPSets or on the time is made anew when these change (effective.h); version moves only then. */
int berm_model_put_policy(struct berm_model *model, struct berm_policy *policy);
/* Where the labels of workloads come from; NULL: from where they come by default. */
const struct berm_mapping *berm_model_mapping(const struct berm_model *model);
/* Any time, also an earlier one. -ENOMEM: some policies are still what they were; do it again. */
int berm_model_set_time(struct berm_model *model, int64_t now_s);
/* When the time next makes a difference, INT64_MAX never. */
int64_t berm_model_next_time(const struct berm_model *model);
/* No address of a Service is 0.0.0.0 or ::. */
int berm_model_put_service(struct berm_model *model, struct berm_service *service);
int berm_model_put_slice(struct berm_model *model, struct berm_slice *slice);
int berm_model_put_service_cidr(struct berm_model *model, struct berm_service_cidr *cidr);
int berm_model_remove_namespace(struct berm_model *model, const char *name);
int berm_model_remove_pod(struct berm_model *model, const char *ns, const char *name);
int berm_model_remove_policy(struct berm_model *model, enum berm_policy_kind kind, const char *ns,
			     const char *name);
int berm_model_remove_service(struct berm_model *model, const char *ns, const char *name);
int berm_model_remove_slice(struct berm_model *model, const char *ns, const char *name);
int berm_model_remove_service_cidr(struct berm_model *model, const char *name);
int berm_model_put_endpoint(struct berm_model *model, const struct berm_local_endpoint *ep);
int berm_model_remove_endpoint(struct berm_model *model, uint32_t slot);
int berm_model_set_node_addrs(struct berm_model *model, const struct berm_addr *addr, size_t count);

int berm_model_set_node(struct berm_model *model, const char *name); /* copied */

/* From now on only what comes is a change. */
void berm_model_changes_clear(struct berm_model *model);

const struct berm_namespace *berm_model_namespace(const struct berm_model *model, const char *name);
const struct berm_pod *berm_model_pod(const struct berm_model *model, const char *ns,
				      const char *name);
const struct berm_policy *berm_model_policy(const struct berm_model *model,
					    enum berm_policy_kind kind, const char *ns,
					    const char *name);
/* The pod an endpoint belongs to: by uid if both sides know it, else by name. NULL: not known (yet). */
const struct berm_pod *berm_model_pod_of(const struct berm_model *model,
					 const struct berm_local_endpoint *ep);

/* May a policy say something about what an endpoint of this node sends? The namespaces are looked at, not the labels. */
bool berm_model_has_egress_rules(const struct berm_model *model);

void berm_namespace_free(struct berm_namespace *ns);
void berm_pod_free(struct berm_pod *pod);
void berm_model_clear(struct berm_model *model);

#endif /* BERM_MODEL_H */
