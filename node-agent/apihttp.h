/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apihttp.h - requests to an API server on the event loop: libcurl's multi interface on libuv. Knows TLS and
 * tokens, no Kubernetes objects. HTTP/1.1, so that each watch has a connection of its own and stalls alone.
 */
#ifndef BERM_APIHTTP_H
#define BERM_APIHTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "err.h"
#include "kubeconfig.h"

struct berm_apihttp;
struct berm_apiget;

/* How a request ended. */
struct berm_apiend {
	long status;		    /* HTTP; 0: there was no answer */
	unsigned int retry_after_s; /* as the server asks; 0: it does not */
	bool is_stalled;	    /* nothing came for idle_ms */
	char error[256];	    /* of the transport; "": it ended as it should */
};

struct berm_apiget_opts {
	const char *path;	      /* with the query, behind the server's address */
	const char *accept;	      /* media type */
	const char *method;	      /* NULL: GET */
	const char *send, *send_type; /* body of the request, copied; NULL: none */
	unsigned int idle_ms;
	/* The server answers with 200; the body of a watch may be long in coming. NULL: nobody asks. */
	void (*opened)(void *ctx);
	/* Body of a 200 or 201. A return value other than 0 ends the request: end() is called with no error. Must not cancel. */
	int (*data)(const char *text, size_t size, void *ctx);
	/* First bytes of the body of anything else come here when it is over. The request is gone after it. */
	void (*end)(const struct berm_apiend *end, const char *body, void *ctx);
	void *ctx;
};

/* config is borrowed. */
int berm_apihttp_open(uv_loop_t *loop, const struct berm_kubeconfig *config,
		      struct berm_apihttp **ret, struct berm_err *err) must_check;
/* Unix time by the server's clock, as its last answer had it; 0: it has not said. */
int64_t berm_apihttp_now_s(const struct berm_apihttp *http);
/* Cancels everything; what belongs to the loop is closed, the loop must run once more before free. */
void berm_apihttp_stop(struct berm_apihttp *http);
void berm_apihttp_free(struct berm_apihttp *http); /* accepts NULL */

/* Starts a request; -EINVAL, -ENOENT...: there is no token to be had. end() is called later, never from here. */
int berm_apiget_start(struct berm_apihttp *http, const struct berm_apiget_opts *opts,
		      struct berm_apiget **ret, struct berm_err *err) must_check;
/* From now on this long; may be called from data(). */
void berm_apiget_set_idle(struct berm_apiget *get, unsigned int idle_ms);
/* Without end(). Not from data() or end(). Accepts NULL. */
void berm_apiget_cancel(struct berm_apiget *get);

#endif /* BERM_APIHTTP_H */
