/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h - rule id -> what a person calls it. The agent writes BERM_NAMES with each generation (rename),
 * bermctl reads it, so rules have names even when no agent runs. Ids below BERM_RULE_FIRST are reasons.
 */
#ifndef BERM_NAMES_H
#define BERM_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct berm_rule_name {
	uint32_t id;
	uint32_t index; /* in berm_rules: for hit counters */
	uint32_t precedence;
	uint8_t dir;	/* enum berm_dir */
	uint8_t action; /* enum berm_action */
	uint8_t reason; /* enum berm_reason */
	uint8_t app;	/* enum berm_app that its sessions must carry; 0 = anything */
	uint8_t flags;	/* BERM_RULE_* */
	char tier[16];	/* emergency admin application networkpolicy baseline implicit */
	char kind[24];	/* SegmentationPolicy, NetworkPolicy, ClusterNetworkPolicy */
	char ns[64];
	char policy[254];
	char rule[254]; /* name or "#3"; of an implicit deny: the isolating policies, comma separated */
};

struct berm_names {
	struct berm_rule_name *item; /* sorted by id */
	size_t count;
};

int berm_names_write(const char *path, const struct berm_names *names,
		     struct berm_err *err) must_check;
int berm_names_read(const char *path, struct berm_names *out, struct berm_err *err) must_check;
const struct berm_rule_name *berm_names_find(const struct berm_names *names,
					     uint32_t id); /* or NULL */
void berm_names_clear(struct berm_names *names);

/* "shop/web-to-db:web" or, for a reason, "default-deny". out is cut to size, always terminated. */
void berm_names_label(const struct berm_names *names, uint32_t id, char *out, size_t size);

/* Text of enum berm_reason / its help line; "unknown" for numbers of a newer ABI. */
const char *berm_reason_name(unsigned int reason);
const char *berm_reason_help(unsigned int reason);
/* enum berm_action of a rule: "allow", "deny", "reject"; of a packet: "FORWARDED", "DROPPED", "REJECTED". */
const char *berm_action_name(unsigned int action);
const char *berm_verdict_name(unsigned int action);
/* Text of enum berm_app; NULL of a number that names none: not known yet, or nobody looks. */
const char *berm_app_name(unsigned int app);

#endif /* BERM_NAMES_H */
