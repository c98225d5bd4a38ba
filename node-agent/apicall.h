/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apicall.h - one short request to an API server and its whole answer: what writes and single reads need. Knows nothing
 * of what is asked.
 */
#ifndef BERM_APICALL_H
#define BERM_APICALL_H

#include "apihttp.h"

#define BERM_CALL_IDLE_MS 10000
#define BERM_CALL_MAX	  (1u << 20) /* of an answer */

struct berm_apicall;

struct berm_apireply {
	long status;		    /* HTTP; 0: there was no answer */
	unsigned int retry_after_s; /* 0: not asked for */
	const char *text;	    /* NUL behind it */
	size_t size;
	char error[320]; /* what is wrong, with the server's words; "": 200 or 201 */
};

struct berm_apicall_opts {
	const char *method; /* "GET" */
	const char *path;
	const char *accept;	      /* NULL: application/json */
	const char *send, *send_type; /* NULL: application/json */
	/* The call is gone when this is called; never from berm_apicall_start() itself. */
	void (*done)(const struct berm_apireply *reply, void *ctx);
	void *ctx;
};

int berm_apicall_start(struct berm_apihttp *http, const struct berm_apicall_opts *opts,
		       struct berm_apicall **ret, struct berm_err *err) must_check;
void berm_apicall_cancel(struct berm_apicall *call); /* without done(); accepts NULL */

/* The message of a Status, else nothing; *ret_code stays if it has none. */
void berm_apistatus_read(const char *body, size_t size, long *ret_code, char out[256]);

#endif /* BERM_APICALL_H */
