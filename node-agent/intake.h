/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intake.h - what one source (a file) says, brought into the model: objects that are new or changed are put, those
 * that it no longer has are removed, and what is broken keeps its last good version. Knows no files.
 */
#ifndef BERM_INTAKE_H
#define BERM_INTAKE_H

#include <stddef.h>
#include <stdint.h>

#include "claims.h"
#include "confirm.h"
#include "document.h"
#include "err.h"
#include "hold.h"
#include "lastgood.h"
#include "model.h"
#include "pins.h"

struct berm_intake {
	struct berm_model *model;    /* borrowed */
	struct berm_lastgood *store; /* borrowed */
	struct berm_confirms
		*confirms; /* borrowed; NULL: whoever asks for confirmation is in force at once */
	struct berm_pins *pins;		/* borrowed; NULL: there are none */
	struct berm_replaced *replaced; /* borrowed; NULL: nobody asks what was before */
	bool is_live;			/* every source has been read once */
	uint64_t taken; /* how often a source was read or has gone, or a policy was pinned or let go */
	struct berm_claims claims;
	struct berm_holds holds;
	struct berm_source *noted; /* those that have something to tell */
	/* A source owns an object from now on that it said before and that was not used then: load it again. */
	void (*reload)(const char *source, void *ctx);
	/* Unix time by the clock of those who write the sources; NULL: the model's. */
	int64_t (*now_s)(void *ctx);
	void *ctx;
};

/* Of one source; zeroed at first, but for the name and the kind, which must not change. */
struct berm_source {
	const char *name;
	const char *kind;	   /* of an object of an API server; NULL: a file */
	struct berm_intake *noted; /* has problems or isolates: it stands in this one's list */
	struct berm_source *noted_prev, *noted_next;
	uint32_t round;	   /* loads so far */
	int64_t written_s; /* of a file: its time; 0: its objects say it themselves */
	struct berm_claimed **object;
	size_t object_count;
	struct berm_problems problems; /* of the last load */
	char **isolated_ns;	       /* struct berm_resolution */
	size_t isolated_count;
};

/* -ENOMEM: what the source said before stays. */
int berm_intake_load(struct berm_intake *intake, struct berm_source *source, const char *text,
		     size_t size, struct berm_err *err) must_check;
/* The source is there but cannot be read (why): everything it said stays, from the last-good store too. */
int berm_intake_unreadable(struct berm_intake *intake, struct berm_source *source,
			   const struct berm_err *why, struct berm_err *err) must_check;
/* The source is gone, and its objects with it. */
void berm_intake_drop(struct berm_intake *intake, struct berm_source *source);

int64_t berm_intake_now_s(const struct berm_intake *intake);
/* Every source has been read once: what the stores have of others is forgotten. */
void berm_intake_go_live(struct berm_intake *intake);
/* Reads those sources again that had to be confirmed by now. */
void berm_intake_expire(struct berm_intake *intake);

/*
 * Puts a policy (NULL: none) in the place of what the source says of it, until that says something else (pins.h). Takes the
 * policy; was: of what it is made, copied. -ENOMEM.
 */
int berm_intake_pin(struct berm_intake *intake, const struct berm_kept *was,
		    struct berm_policy *policy) must_check;
/* All is as the sources say, which are read again for it. */
void berm_intake_unpin(struct berm_intake *intake);

/* Do new versions wait for their expectations to be looked at, or at again? */
bool berm_intake_is_unsettled(const struct berm_intake *intake);
/* Looks, and brings those whose expectations hold into the model. Failure: all wait on. */
int berm_intake_settle(struct berm_intake *intake, struct berm_err *err) must_check;

struct berm_intake_policy { /* borrowed until the next load */
	enum berm_policy_kind kind;
	enum berm_standing standing;
	const char *ns, *name, *source;
	int line;
};
/* Each policy document once, in no order. */
void berm_intake_each_policy(const struct berm_intake *intake,
			     void (*fn)(const struct berm_intake_policy *policy, void *ctx),
			     void *ctx);
/* Problems of all sources, each line once, as malloc'ed copies. The caller clears *out. */
int berm_intake_problems(const struct berm_intake *intake, struct berm_problems *out) must_check;
/* Namespaces whose new pods start isolated because a document of theirs is broken; sorted, each once; the array is
 * malloc'ed, the strings are borrowed until the next load. */
int berm_intake_isolated(const struct berm_intake *intake, const char ***ret,
			 size_t *ret_count) must_check;

/* Frees what the source holds; the model keeps its objects. */
void berm_source_clear(struct berm_source *source);
void berm_intake_clear(struct berm_intake *intake);

#endif /* BERM_INTAKE_H */
