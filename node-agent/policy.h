/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.h - the normal form of every document: one struct for SegmentationPolicy, NetworkPolicy,
 * ClusterNetworkPolicy and their companions IPSet, LabelMapping and AgentConfig. document.c makes it (strictly checked), compile.c reads it. No I/O, no kernel.
 *
 * All strings and arrays belong to the policy (berm_policy_free). Absent strings are NULL.
 */
#ifndef BERM_POLICY_H
#define BERM_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"
#include "agentconfig.h"
#include "cidr.h"
#include "ipset.h"
#include "schedule.h"
#include "selector.h"
#include "workload.h"

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
	BERM_KIND_MAPPING, /* LabelMapping */
	BERM_KIND_IPSET, /* companions of policies, no policies themselves: only the members so marked mean anything */
	BERM_KIND_AGENT_CONFIG, /* AgentConfig: another companion; the last of all kinds */
	BERM_KIND_COUNT
};

/* One element of from/to. Exactly one form: selector(s), block, or any. */
struct berm_peer_term {
	bool any; /* everyone, non-pods too */
	bool is_block;
	bool unsupported;      /* a field this version does not know: see policy.md */
	bool has_ns_selector;  /* else: the policy's own namespace (berm-system: any) */
	bool has_pod_selector; /* else: all pods of those namespaces */
	bool is_unscoped;      /* scope: any; while it is read */
	struct berm_selector ns_selector;
	struct berm_selector pod_selector;
	struct berm_cidr block;
	struct berm_cidr *except;
	size_t except_count;
	char *ipset; /* name of one; unsupported is set too, until effective.h makes blocks of it */
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
	char *name;	/* NULL: shown as #index */
	uint32_t index; /* position in its list */
	uint8_t dir;	/* enum berm_dir */
	uint8_t action; /* enum berm_rule_action */
	uint8_t mode;	/* enum berm_rule_mode; of a policy in mode audit all are audit at most */
	struct berm_peer_term *peer; /* count 0: everyone */
	size_t peer_count;
	struct berm_port_term *port; /* count 0: every port and protocol */
	size_t port_count;
	uint8_t app;	     /* enum berm_app that what it allows must carry; 0: anything */
	bool rejects_others; /* what carries something else hears of it */
	uint32_t sample; /* an event for one in so many new sessions; of a Log at least 1; 0: none */
	uint64_t interval_ns; /* of an Allow: a new session in this time, on average; 0: no limit */
	uint32_t burst;	      /* so many at once */
	bool unsupported; /* of a ClusterNetworkPolicy, a field this version does not know: an Allow matches
			     nothing, anything else denies all */
	int64_t expires;	       /* unix time; 0: never */
	struct berm_schedule schedule; /* when it is there */
	bool is_expanded;	       /* of an effective policy: the list of peers is its own */
};

/* A rule about one connection: both addresses and both ports. */
struct berm_policy_flow {
	char *name; /* NULL: shown as "flows"; several may have the same, and are counted together */
	uint32_t index;		   /* position in its list */
	uint8_t dir;		   /* enum berm_dir */
	uint8_t action;		   /* enum berm_rule_action: Allow, Deny or Reject */
	uint8_t plane;		   /* enum berm_plane: TCP, UDP or SCTP */
	struct berm_addr src, dst; /* of one family */
	uint16_t src_port, dst_port;
};

/* One end of an expectation: an address, or a pod that need not exist. */
struct berm_expect_end {
	bool is_addr;
	struct berm_addr addr;
	char *ns;
	struct berm_labels labels;
	struct berm_labels ns_labels; /* besides the namespace's name */
};

/* Must hold with this version in force, or it is not applied (expect.h). */
struct berm_expectation {
	struct berm_expect_end from, to;
	uint8_t plane; /* TCP, UDP or SCTP */
	uint16_t port;
	bool is_allow; /* else denied, in whatever way */
};

#define BERM_ESSENTIAL_DNS	 0x1
#define BERM_ESSENTIAL_APISERVER 0x2

struct berm_policy {
	enum berm_policy_kind kind; /* of every kind, with ns, name, digest, since, source, line */
	enum berm_tier tier;
	int priority; /* 0..1000, lower first; NetworkPolicy: unused */
	char *ns;     /* namespace of the document; "" for a ClusterNetworkPolicy */
	char *name;
	struct berm_ipset set;		  /* of an IPSet */
	struct berm_mapping mapping;	  /* of a LabelMapping */
	struct berm_agent_config *config; /* of an AgentConfig, else NULL */
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
	struct berm_policy_flow *flow; /* of SegmentationPolicies */
	size_t flow_count;
	struct berm_expectation *expect; /* decides nothing */
	size_t expect_count;
	uint64_t digest; /* of the normal form: layout, comments and key order do not change it */
	uint64_t since; /* version of the model that it came with; berm_model_put_policy() sets it */
	int64_t expires;	       /* unix time; 0: never */
	struct berm_schedule schedule; /* when it is there */
	/* Of an effective policy (effective.h), else zero: */
	struct berm_policy *written; /* what the document says; belongs to this one */
	int64_t since_s, until_s;    /* what this one is, it is from since on and before until */
	size_t expanded;	     /* blocks of the IPSets in it */
	bool is_over;		     /* ...which are too many: it has none */
	bool is_shut;		     /* disabled by its schedule, for now */
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
/* No flow stays. */
void berm_policy_cut_flows(struct berm_policy *policy);
/* Of an effective policy: all but the written one. */
void berm_policy_free_effective(struct berm_policy *policy);
/* Only the first `count` rules stay. */
void berm_policy_cut_rules(struct berm_policy *policy, size_t count);
/* Nothing is expected any more. */
void berm_policy_cut_expectations(struct berm_policy *policy);
/* What policy->digest must be: over everything the document says, so not digest, since, source and line. */
uint64_t berm_policy_digest(const struct berm_policy *policy);

/* IPSet, LabelMapping, AgentConfig: says nothing of itself. */
bool berm_policy_is_companion(enum berm_policy_kind kind);
/* "SegmentationPolicy", "application": as users write them. */
const char *berm_policy_kind_name(enum berm_policy_kind kind);
bool berm_policy_kind_of(const char *name, enum berm_policy_kind *ret); /* false: no such kind */
/* "NetworkPolicy shop/db", "ClusterNetworkPolicy guard"; ns may be NULL. Cut to size, terminated. */
void berm_policy_title(enum berm_policy_kind kind, const char *ns, const char *name, char *out,
		       size_t size);
const char *berm_tier_name(enum berm_tier tier);

#endif /* BERM_POLICY_H */
