/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apievents.h - Events for `kubectl describe` and `kubectl get events`: a bounded queue, few a second, one at a time. What is
 * said twice in an hour is one Event with a later time. Knows no policies.
 */
#ifndef BERM_APIEVENTS_H
#define BERM_APIEVENTS_H

#include "apihttp.h"

struct berm_apievents;

struct berm_apinote {		     /* borrowed */
	const char *version, *kind;  /* of the object: "v1", "Pod" */
	const char *ns, *name, *uid; /* ns "": in none */
	bool is_warning;
	const char *reason;  /* "PolicyDenied" */
	const char *subject; /* what makes it another Event than the last one with this reason */
	const char *message; /* cut at 1,000 bytes */
};

struct berm_apievents_opts {
	uv_loop_t *loop;
	struct berm_apihttp *http;
	const char *node;	/* borrowed */
	unsigned int refill_ms; /* after the first 20 no more than one in this time */
};

int berm_apievents_new(const struct berm_apievents_opts *opts, struct berm_apievents **ret,
		       struct berm_err *err) must_check;
void berm_apievents_stop(struct berm_apievents *events);
void berm_apievents_free(struct berm_apievents *events); /* accepts NULL */

bool berm_apievents_has_room(const struct berm_apievents *events);
/* false: the queue is full, or no memory; it is counted. */
bool berm_apievents_add(struct berm_apievents *events, const struct berm_apinote *note);

struct berm_apievents_count {
	uint64_t sent, dropped;
};
struct berm_apievents_count berm_apievents_count(const struct berm_apievents *events);

#endif /* BERM_APIEVENTS_H */
