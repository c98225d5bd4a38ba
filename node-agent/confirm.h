/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confirm.h - commit-confirm: a ConfigMap with the annotation berm.dev/confirm-within goes back to its last confirmed version unless
 * somebody confirms the new one in time (design/policy.md). Kept here, in memory and on disk: for each version that has not been
 * confirmed, what was in force before it on this node. Knows no source and asks no clock.
 */
#ifndef BERM_CONFIRM_H
#define BERM_CONFIRM_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "document.h"
#include "err.h"
#include "lastgood_file.h"

enum berm_confirm_state {
	BERM_CONFIRM_DONE,    /* confirmed, or in force before it was guarded */
	BERM_CONFIRM_WAITING, /* in force until the deadline */
	BERM_CONFIRM_BACK,    /* the deadline is over: the version before is in force */
	BERM_CONFIRM_STUCK,   /* likewise, but this node never had that one: the new one stays */
};

/* "confirmed", "waiting", "rolled-back", "kept" (docs/rest-api.md). */
const char *berm_confirm_state_name(enum berm_confirm_state state);

struct berm_confirm_facts {
	bool is_confirmed; /* by annotation, or because it is what was in force before */
	bool has_previous;
	int64_t deadline_s, now_s; /* by one clock */
};
enum berm_confirm_state berm_confirm_decide(const struct berm_confirm_facts *facts);

struct berm_confirms;

/* path: its file, which may be absent; now_s: then, this node knows of nothing before it. A damaged file is told in *err, and what
 * waits is not known to have had a version before; *ret is NULL only without memory. */
int berm_confirms_open(const char *path, int64_t now_s, struct berm_confirms **ret,
		       struct berm_err *err) must_check;
void berm_confirms_close(struct berm_confirms *confirms); /* accepts NULL; writes nothing */

struct berm_confirm_visit { /* one source has been read */
	const char *source;
	const struct berm_kept_source
		*before;   /* what it said that was good; NULL: nothing is known */
	int64_t written_s; /* of a file; 0: its objects say it themselves */
	int64_t now_s;
	bool is_live; /* every source has been read once: what is new now was not there before */
};

/*
 * Decides about each guarded ConfigMap among objects, before they are resolved (lastgood.h): documents of a version that is to go are
 * replaced by those that were in force before. -ENOMEM: some may be; read the source again.
 */
int berm_confirms_visit(struct berm_confirms *confirms, const struct berm_confirm_visit *visit,
			struct berm_objects *objects, struct berm_problems *problems) must_check;
/* The source is gone, and what waits in it. */
void berm_confirms_forget(struct berm_confirms *confirms, const char *source);

/* After a start, once everything is listed: forgets the sources that are not there any more. */
void berm_confirms_retain(struct berm_confirms *confirms);

/* The next deadline that nobody has been asked about, INT64_MAX: none. */
int64_t berm_confirms_next(const struct berm_confirms *confirms);
/* Calls ask for each source with a deadline that is over: it must be read again, and only then something happens. */
void berm_confirms_expire(struct berm_confirms *confirms, int64_t now_s,
			  void (*ask)(const char *source, void *ctx), void *ctx);

/* Nothing new: 0 and no system call. To be called before what the sources say now replaces what they said on disk. */
int berm_confirms_save(struct berm_confirms *confirms, struct berm_err *err) must_check;

/* {confirmations: [...]} (docs/rest-api.md); NULL without memory. */
cJSON *berm_confirms_json(const struct berm_confirms *confirms);

#endif /* BERM_CONFIRM_H */
