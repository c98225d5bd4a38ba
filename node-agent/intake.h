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
#include "document.h"
#include "err.h"
#include "lastgood.h"
#include "model.h"

struct berm_intake {
	struct berm_model *model;    /* borrowed */
	struct berm_lastgood *store; /* borrowed */
	struct berm_claims claims;
	/* A source owns an object from now on that it said before and that was not used then: load it again. */
	void (*reload)(const char *source, void *ctx);
	void *ctx;
};

/* Of one source; zeroed at first, but for the name, which must not change. */
struct berm_source {
	const char *name;
	uint32_t round; /* loads so far */
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

/* Frees what the source holds; the model keeps its objects. */
void berm_source_clear(struct berm_source *source);
void berm_intake_clear(struct berm_intake *intake);

#endif /* BERM_INTAKE_H */
