/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session_table.h - the session table seen from user space: walking it, choosing and describing what is in it.
 */
#ifndef BERM_CTL_SESSION_TABLE_H
#define BERM_CTL_SESSION_TABLE_H

#include "source.h"

struct ctl_session { /* one used way of a bucket */
	struct berm_session way;
	uint32_t deadline; /* jiffies */
};

struct ctl_session_filter {
	const char *pod, *ns; /* shell patterns, see ctl_name_matches() */
	int port;	      /* of either end; 0 = any */
	const char *peer;     /* address or [ns/]pod pattern */
	const char *state;    /* of either naming below; NULL: all of those that live */
	bool expired;	      /* those that live no more instead */
};

/* What is needed to describe sessions; borrowed. */
struct ctl_session_context {
	const struct ctl_node *node;
	uint32_t now, hz; /* jiffies */
};

#define CTL_SESSION_STATES "half-open", "established", "half-closed", "closing", "reset"
const char *ctl_session_state(const struct berm_session *way);
/* By RFC 9293; NULL for what is not TCP. */
#define CTL_TCP_STATES                                                                             \
	"syn-sent", "syn-received", "fin-wait-1", "fin-wait-2", "last-ack", "time-wait", "closed"
const char *ctl_session_tcp_state(const struct berm_session *way);
bool ctl_session_is_wanted(const struct ctl_session_context *ctx,
			   const struct ctl_session_filter *filter,
			   const struct ctl_session *session);
/* One session as a document; NULL without memory. */
cJSON *ctl_session_describe(const struct ctl_session_context *ctx,
			    const struct ctl_session *session);

/* Calls each() for every used way, live or not; a non-zero return ends the walk with it. */
int ctl_sessions_walk(const struct berm_maps *maps,
		      int (*each)(const struct ctl_session *session, void *arg), void *arg,
		      struct berm_err *err) must_check;
/* "TCP", "ICMPv6"...; the number for what has no name here (as in flow records). malloc'ed. */
char *ctl_protocol(unsigned int proto);

#endif /* BERM_CTL_SESSION_TABLE_H */
