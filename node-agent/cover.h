/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cover.h - does one selector, peer, port or rule say all that another says, or can they never mean the same pod? Answers are
 * about what is written, for all pods there may ever be; "no" may also mean: not sure. Changes nothing.
 */
#ifndef BERM_COVER_H
#define BERM_COVER_H

#include <stdbool.h>

#include "model.h"

/* Pods, of one namespace or of those that a selector selects. */
struct berm_scope {
	const char *ns;				 /* NULL: see ns_selector */
	const struct berm_selector *ns_selector; /* NULL: every namespace */
	const struct berm_selector *pods;
};

struct berm_scope berm_scope_of_subject(const struct berm_policy *policy);
/* Of a peer that is neither any nor a block. */
struct berm_scope berm_scope_of_peer(const struct berm_policy *policy,
				     const struct berm_peer_term *peer);
/* The model knows labels of namespaces; one that it does not know has its name only. */
bool berm_scope_selects(const struct berm_model *model, const struct berm_scope *scope,
			const struct berm_pod *pod);
bool berm_scope_covers(const struct berm_model *model, const struct berm_scope *outer,
		       const struct berm_scope *inner);
bool berm_scope_is_disjoint(const struct berm_model *model, const struct berm_scope *a,
			    const struct berm_scope *b);

struct berm_said { /* a rule and whose it is */
	const struct berm_policy *policy;
	const struct berm_policy_rule *rule;
};
bool berm_said_covers_peers(const struct berm_model *model, const struct berm_said *outer,
			    const struct berm_said *inner);
bool berm_said_covers_ports(const struct berm_policy_rule *outer,
			    const struct berm_policy_rule *inner);
bool berm_port_term_covers(const struct berm_port_term *outer, const struct berm_port_term *inner);

#endif /* BERM_COVER_H */
