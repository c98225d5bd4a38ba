/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reflector.h - keeps the model's idea of one resource equal to the API server's: lists, watches, starts again. What
 * the objects say is intake.c's business, HTTP apihttp.c's.
 *
 *  - A streaming list first (a watch that begins with what there is); a plain list where the server has none.
 *  - What a new list lacks is removed when the list is complete, not before.
 *  - Whatever goes wrong, what is known stays until the server says otherwise. Tries go on for ever, ever more
 *    slowly (0.2 s doubling to 10 s, each time half more or less by chance).
 */
#ifndef BERM_REFLECTOR_H
#define BERM_REFLECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "apihttp.h"
#include "apiresource.h"
#include "intake.h"

struct berm_reflector;

enum berm_api_fault {
	BERM_FAULT_UNREACHABLE,
	BERM_FAULT_UNAUTHORIZED, /* 401 */
	BERM_FAULT_FORBIDDEN,	 /* 403 */
	BERM_FAULT_THROTTLED,	 /* 429 */
	BERM_FAULT_ERROR,	 /* 5xx and whatever else the server says */
	BERM_FAULT_MALFORMED,
	BERM_FAULT_COUNT
};

/* When which fault was told last (uv clock, 0: never): watches of one server fail together, and that is one line. */
struct berm_api_told {
	uint64_t at_ms[BERM_FAULT_COUNT];
};

struct berm_reflector_opts {
	uv_loop_t *loop;
	const struct berm_apiresource *resource;
	struct berm_apihttp *http;
	struct berm_intake *intake;
	struct berm_api_told *told;
	const char *node; /* name of the own node */
	unsigned int idle_ms;
	/* The model may have changed, or the first list is complete. */
	void (*changed)(void *ctx);
	void *ctx;
};

struct berm_watch_view { /* borrowed until the loop runs again */
	const char *resource;
	const char *
		state; /* "listing", "watching", "waiting" for the next try, "absent" at this server, "off" */
	const char *error; /* why it waits; NULL: all is well */
	bool has_synced;   /* once since the start */
	uint64_t since_ms; /* uv clock: start of the state */
	uint64_t restarts; /* requests that did not go on where the last one ended as it should */
	size_t objects;
	const char *
		version; /* resourceVersion: the model knows what the server had then; NULL: none yet */
};

int berm_reflector_new(const struct berm_reflector_opts *opts, struct berm_reflector **ret,
		       struct berm_err *err) must_check;
void berm_reflector_start(struct berm_reflector *r);
/* Until the next start: nothing is watched, and the model forgets its objects. */
void berm_reflector_pause(struct berm_reflector *r);
/* A resource that was absent should be there any moment: ask often for a while. */
void berm_reflector_expect(struct berm_reflector *r);
bool berm_reflector_is_on(const struct berm_reflector *r);
/* Before the loop runs for the last time; free afterwards. */
void berm_reflector_stop(struct berm_reflector *r);
void berm_reflector_free(struct berm_reflector *r); /* accepts NULL; the model keeps its objects */

bool berm_reflector_has_synced(const struct berm_reflector *r);
void berm_reflector_view(const struct berm_reflector *r, struct berm_watch_view *ret);
/* If this source is one of its objects, all are listed anew soon, and this one is read whatever its version. */
void berm_reflector_reload(struct berm_reflector *r, const char *source);
/* Names of its sources into name[], which has room for berm_reflector_count(). */
size_t berm_reflector_names(const struct berm_reflector *r, const char **name);
/* Of the object that is this source; NULL: none, or it is not kept. */
const char *berm_reflector_uid(const struct berm_reflector *r, const char *source);
size_t berm_reflector_count(const struct berm_reflector *r);

#endif /* BERM_REFLECTOR_H */
