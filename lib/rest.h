/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rest.h - a small HTTP/1.1 client over a unix socket, for the agent's REST interface (docs/rest-api.md).
 * Knows content-length and chunked bodies; every wait has a bound. No TCP.
 */
#ifndef BERM_REST_H
#define BERM_REST_H

#include <stddef.h>

#include "err.h"

struct berm_rest_call {
	const char *socket; /* NULL: BERM_AGENT_SOCKET */
	const char *method; /* "GET" */
	const char *path;   /* "/v1/status" */
	const char *body;   /* JSON or NULL */
	int connect_ms;	    /* connect and send */
	int timeout_ms;	    /* whole answer; 0 = no bound (streams only) */
};

struct berm_rest_reply {
	int status; /* HTTP status */
	char *body; /* malloc'ed, terminated; at most 16 MiB */
	size_t size;
};

/* -ECONNREFUSED / -ENOENT no agent; -ETIMEDOUT; -EBADMSG not HTTP. A 4xx/5xx is not an error here. */
int berm_rest(const struct berm_rest_call *call, struct berm_rest_reply *out,
	      struct berm_err *err) must_check;
void berm_rest_clear(struct berm_rest_reply *reply);

/* Does somebody listen there? Connects and hangs up. */
int berm_rest_probe(const char *socket_path, int connect_ms, struct berm_err *err) must_check;

/* A stream of JSON lines: line() is called for each, terminated; a non-zero return ends the call with it. */
int berm_rest_lines(const struct berm_rest_call *call, int (*line)(char *text, void *arg),
		    void *arg, struct berm_err *err) must_check;

#endif /* BERM_REST_H */
