/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.h - the normal form of every policy document: one struct for SegmentationPolicy,
 * NetworkPolicy and ClusterNetworkPolicy. document.c makes it (strictly checked), compile.c reads it. No I/O, no kernel.
 *
 * All strings and arrays belong to the policy (berm_policy_free). Absent strings are NULL.
 */
#ifndef BERM_POLICY_H
#define BERM_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"
#include "cidr.h"
#include "selector.h"

enum berm_tier {
	BERM_TIER_EMERGENCY,
	BERM_TIER_ADMIN,
	BERM_TIER_APPLICATION,
	BERM_TIER_NETWORKPOLICY,
	BERM_TIER_BASELINE,
	BERM_TIER_COUNT
};

/* What a written rule says (enum berm_action is what a cell says). */
enum berm_rule_action {
	BERM_RULE_ALLOW,
	BERM_RULE_DENY,
	BERM_RULE_PASS,
	BERM_RULE_LOG,
	BERM_RULE_REJECT /* a Deny that the sender hears of */
};

/* An audit member decides nothing; what it would decide is told. */
enum berm_rule_mode { BERM_MODE_ENFORCE, BERM_MODE_AUDIT, BERM_MODE_DISABLED };

/* What a policy wants of sessions that it denies now. Of several the strictest counts: Reset, Recheck, Keep. */
enum berm_policy_change { BERM_CHANGE_RECHECK, BERM_CHANGE_KEEP, BERM_CHANGE_RESET };

enum berm_policy_kind {
	BERM_KIND_SEGMENTATION,
	BERM_KIND_NETWORK,
	BERM_KIND_CLUSTER, /* ClusterNetworkPolicy */
	BERM_KIND_COUNT
};

/* One element of from/to. Exactly one form: selector(s), block, or any. */
struct berm_peer_term {
	bool any; /* everyone, non-pods too */
	bool is_block;
	bool unsupported;      /* a field this version does not know: see policy.md */
	bool has_ns_selector;  /* else: the policy's own namespace (berm-system: any) */
	bool has_pod_selector; /* else: all pods of those namespaces */
	struct berm_selector ns_selector;
	struct berm_selector pod_selector;
	struct berm_cidr block;
	struct berm_cidr *except;
	size_t except_count;
};

/* One element of ports (or icmp). */
struct berm_port_term {
	uint8_t plane;	/* enum berm_plane */
	bool all;	/* whole plane */
	uint16_t first; /* index in the plane, see enum berm_plane */
	uint16_t last;	/* inclusive */
	char *name;	/* named port (plane TCP, UDP or SCTP); first and last then unused */
};

struct berm_policy_rule {
	char *name;		     /* NULL: shown as #index */
	uint32_t index;		     /* position in its list */
	uint8_t dir;		     /* enum berm_dir */
	uint8_t action;		     /* enum berm_rule_action */
	uint8_t mode;		     /* enum berm_rule_mode; of a policy in mode audit all are audit at most */
	struct berm_peer_term *peer; /* count 0: everyone */
	size_t peer_count;
	struct berm_port_term *port; /* count 0: every port and protocol */
	size_t port_count;
	bool unsupported; /* of a ClusterNetworkPolicy, a field this version does not know: an Allow matches
			     nothing, anything else denies all */
};

#define BERM_ESSENTIAL_DNS	 0x1
#define BERM_ESSENTIAL_APISERVER 0x2

struct berm_policy {
	enum berm_policy_kind kind;
	enum berm_tier tier;
	int priority; /* 0..1000, lower first; NetworkPolicy: unused */
	char *ns;     /* namespace of the document; "" for a ClusterNetworkPolicy */
	char *name;
	bool cluster_wide; /* subject may be in any namespace: from berm-system, or a ClusterNetworkPolicy */
	bool disabled;	     /* mode: disabled */
	bool audit;	     /* mode: audit */
	bool has_ns_subject; /* subject.namespaceSelector given */
	struct berm_selector ns_subject;
	struct berm_selector pod_subject; /* empty = all pods */
	uint8_t isolate;		  /* bit mask 1 << enum berm_dir */
	uint8_t essentials;		  /* BERM_ESSENTIAL_*; a NetworkPolicy grants none */
	bool rejects;			  /* denyWith: Reject; of what it denies implicitly */
	uint8_t on_change;		  /* enum berm_policy_change */
	struct berm_policy_rule *rule;
	size_t rule_count;
	uint64_t digest; /* of the normal form: layout, comments and key order do not change it */
	uint64_t since; /* version of the model that it came with; berm_model_put_policy() sets it */
	/* where it came from, for messages */
	char *source; /* "file.yaml", or "configmap shop/x key policy.yaml" from an API server */
	int line;     /* of the document, in source */
};

/* Is it there only to see what it would do? */
static inline bool berm_rule_is_audit(const struct berm_policy *policy,
				      const struct berm_policy_rule *rule)
{
	return policy->audit || rule->mode == BERM_MODE_AUDIT;
}

/* Does it decide something, as it stands? */
static inline bool berm_rule_is_enforced(const struct berm_policy *policy,
					 const struct berm_policy_rule *rule)
{
	return !policy->disabled && !policy->audit && rule->mode == BERM_MODE_ENFORCE;
}

void berm_policy_free(struct berm_policy *policy); /* accepts NULL; frees the struct too */
/* Only the first `count` rules stay. */
void berm_policy_cut_rules(struct berm_policy *policy, size_t count);
/* What policy->digest must be: over everything but digest, since, source and line. */
uint64_t berm_policy_digest(const struct berm_policy *policy);

/* "SegmentationPolicy", "application": as users write them. */
const char *berm_policy_kind_name(enum berm_policy_kind kind);
bool berm_policy_kind_of(const char *name, enum berm_policy_kind *ret); /* false: no such kind */
/* "NetworkPolicy shop/db", "ClusterNetworkPolicy guard"; ns may be NULL. Cut to size, terminated. */
void berm_policy_title(enum berm_policy_kind kind, const char *ns, const char *name, char *out,
		       size_t size);
const char *berm_tier_name(enum berm_tier tier);

#endif /* BERM_POLICY_H */
