/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.h - where bermctl's data comes from: the agent (REST) or, without it, the kernel and /run/berm.
 * Both give documents of the same form (docs/rest-api.md).
 */
#ifndef BERM_CTL_SOURCE_H
#define BERM_CTL_SOURCE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "ctl.h"
#include "err.h"
#include "link.h"
#include "maps.h"
#include "names.h"
#include "record.h"

/* GET path; *ret is a new document. -ENOENT, -ECONNREFUSED: no agent (ctl_agent_is_absent). */
int ctl_agent_get(const struct ctl_options *options, const char *path, cJSON **ret,
		  struct berm_err *err) must_check;
/* The same with a body, which stays the caller's. */
int ctl_agent_post(const struct ctl_options *options, const char *path, const cJSON *body,
		   cJSON **ret, struct berm_err *err) must_check;
bool ctl_agent_is_absent(int rc);

/* What is on the node without asking anybody. */
struct ctl_node {
	struct berm_maps maps;
	struct berm_names names;
	struct berm_record *record;
	size_t records;
	size_t bad_records; /* files that could not be read */
};

/* Maps must be there; records and names may be missing. Read-only. */
int ctl_node_open(struct ctl_node *node, struct berm_err *err) must_check;
void ctl_node_close(struct ctl_node *node);

/* Who sits behind an interface of the host / owns an address. NULL: nobody known. */
const struct berm_record *ctl_node_by_ifindex(const struct ctl_node *node, uint32_t ifindex);
const struct berm_record *ctl_node_by_addr(const struct ctl_node *node,
					   const struct berm_addr *addr);

/* Documents like those of the agent: {"endpoints":[...]}, {"rules":[...]}. NULL without memory. */
cJSON *ctl_node_endpoints(const struct ctl_node *node);
cJSON *ctl_node_rules(const struct ctl_node *node);

/* Adds what only the kernel knows to each endpoint: "hooks" {ingress, egress}, "enforced", and, when it
 * is not, "problem". */
void ctl_endpoints_inspect(cJSON *doc);
/* Of one endpoint with both hooks looked at: NULL, or why it is not enforced. */
const char *ctl_endpoint_problem(const cJSON *endpoint, char *buf, size_t size);

/* Entries in a hash-like map, -errno if it cannot be walked. */
long ctl_map_used(int fd);

#endif /* BERM_CTL_SOURCE_H */
