/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lastgood.h - the last good version of every policy document, kept in memory and on disk, and what takes
 * the place of a document that is broken now (design/policy.md, "What an invalid document does").
 *
 * One store per node. The caller parses a source (a file) and asks what to have of it:
 *
 *	berm_document_parse(...)	-> objects, problems
 *	berm_lastgood_resolve(...)	-> the policies of this source that the model must have, complete
 *	... compile, apply ...
 *	berm_lastgood_save(...)		-> the disk; afterwards, so that no packet waits for an fsync
 *
 * Pods and namespaces are not its business: a broken one, or those of an unreadable file, stay in the
 * model as they are.
 */
#ifndef BERM_LASTGOOD_H
#define BERM_LASTGOOD_H

#include <stdbool.h>
#include <stddef.h>

#include "document.h"
#include "err.h"
#include "policy.h"

struct berm_lastgood;
struct berm_kept_source; /* lastgood_file.h */
struct berm_replaced;	 /* undo.h */

enum berm_standing {
	BERM_STANDING_ENFORCED,	 /* as written */
	BERM_STANDING_LAST_GOOD, /* broken now; the last good version stays */
	BERM_STANDING_ISOLATING, /* broken, never seen good here: its subject is isolated without allows */
	BERM_STANDING_INVALID, /* broken, never seen good here, subject not readable: no policy */
	BERM_STANDING_HELD, /* good, but its expectations do not hold: the last good version stays, or its
			     * subject is isolated without allows */
	BERM_STANDING_HELD_BARE,   /* likewise, and neither is to be had: no policy */
	BERM_STANDING_UNCONFIRMED, /* as written, and somebody must confirm it yet (confirm.h) */
	BERM_STANDING_ROLLED_BACK, /* nobody has: the version before is in force */
};

/* In force as a good document, and the same on every node. */
static inline bool berm_standing_is_good(enum berm_standing standing)
{
	return standing == BERM_STANDING_ENFORCED || standing == BERM_STANDING_UNCONFIRMED ||
	       standing == BERM_STANDING_ROLLED_BACK;
}

/* "enforced", "invalid-last-good", "invalid-isolating", "invalid", "held", "unconfirmed", "rolled-back" (docs/rest-api.md). */
const char *berm_standing_name(enum berm_standing standing);
/* Is there some version of it, or something in its place, for the model? */
bool berm_standing_has_policy(enum berm_standing standing);
bool berm_standing_is_held(enum berm_standing standing);

struct berm_resolved { /* one policy of one source */
	enum berm_policy_kind kind;
	enum berm_standing standing;
	char *ns, *name;
	char *key;		    /* of its chunk: berm_object.key */
	struct berm_policy *policy; /* for the model: take it with TAKE_PTR; NULL: INVALID */
	bool is_held;
	struct berm_policy *held;  /* a new version that expects something: not remembered yet */
	char *held_text, *carrier; /* of that: see berm_lastgood_accept() */
};

struct berm_resolution {
	struct berm_resolved *item; /* sorted by kind, ns, name; each once */
	size_t count;
	char **isolated_ns; /* new pods of these start isolated, both ways: for the map ns_isolation */
	size_t isolated_ns_count;
};

/*
 * dir is made if absent (normally BERM_STATE_DIR "/documents"). A file there that is truncated or garbage
 * is named in problems and left out; the others are used. Returns -errno only when the directory cannot
 * be had: then *ret is still a store that works from memory, and the error says so. Only -ENOMEM gives
 * no store.
 */
int berm_lastgood_open(const char *dir, struct berm_lastgood **ret, struct berm_problems *problems,
		       struct berm_err *err) must_check;
void berm_lastgood_close(struct berm_lastgood *store); /* accepts NULL; writes nothing */

/*
 * What the model must have of `source` from now on: policies of this source that are not in *out must be
 * removed from the model. Takes the policies out of *objects (their pointers become NULL). Remembers good
 * ones in memory. -ENOMEM: *out and the store are unchanged.
 */
int berm_lastgood_resolve(struct berm_lastgood *store, const char *source,
			  struct berm_objects *objects, struct berm_resolution *out,
			  struct berm_err *err) must_check;
void berm_resolution_clear(struct berm_resolution *resolution);

/* A version that was held is applied: it is the last good one from now on. Copies everything. -ENOMEM: it is as before. */
int berm_lastgood_accept(struct berm_lastgood *store, const char *source,
			 const struct berm_object *object) must_check;

/* The source is gone (file deleted): so are its documents. In memory at once, on disk with the next save. */
void berm_lastgood_forget(struct berm_lastgood *store, const char *source);
/* After a start, once everything is listed: forget the sources that are not in the list. */
int berm_lastgood_retain(struct berm_lastgood *store, const char *const *sources,
			 size_t count) must_check;

/* What it has of a source, NULL: nothing. Borrowed until the next change. */
const struct berm_kept_source *berm_lastgood_of(const struct berm_lastgood *store,
						const char *source);

/* Every version that another one takes the place of is noted there from now on; borrowed. NULL: nobody asks. */
void berm_lastgood_watch(struct berm_lastgood *store, struct berm_replaced *replaced);

/* Write what has changed. On failure (disk full) the error names the file; nothing is lost from memory,
 * what could not be written stays due, call again later. Nothing due: 0 and no system call. */
int berm_lastgood_save(struct berm_lastgood *store, struct berm_err *err) must_check;

#endif /* BERM_LASTGOOD_H */
