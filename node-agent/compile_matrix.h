/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compile_matrix.h - one subject's matrix in the making, for compile_matrix.c, and for compile_decide.c, which asks it what
 * would decide about one connection.
 */
#ifndef BERM_COMPILE_MATRIX_H
#define BERM_COMPILE_MATRIX_H

#include "compiler.h"

/* What a subject sees of a class: which of its groups it is in, its marks, its named ports. */
struct sight {
	const uint64_t *group; /* bit map by local number of the group */
	uint32_t mark;
	const struct compile_resolved *port;
	size_t port_count;
};

struct matrix {
	struct compiler *c;
	struct compile_subject *s;
	size_t spans;
	uint32_t *local;	   /* number of a group in this subject, or NONE; by group */
	struct berm_numbers group; /* and back */
	bool *name;		   /* by named port: used by a rule about other pods */
	bool has_names;
	size_t words;	  /* of a bit map of groups */
	uint64_t *nobody; /* a bit map without groups */
	uint32_t *pos;	  /* by class: place in touched, or NONE */
	struct berm_numbers touched;
	BERM_ARRAY(uint64_t) bits; /* [touched][words] */
	struct berm_intern sight;  /* what can be seen -> number */
	struct berm_numbers row_of_sight;
	struct berm_intern row; /* painted rows */
	uint32_t *paint;
	uint32_t *log;	 /* first Log that was met, by span */
	uint8_t *passed; /* stage in which a Pass was met, by span */
};

/* What the subject sees of a class; *key is the caller's, and what seen points to. */
int berm_matrix_see(const struct matrix *m, uint32_t cls, struct berm_numbers *key,
		    struct sight *ret);
/* Is the rule about this place (plane << 16 | port) of whoever is seen? */
bool berm_matrix_is_meant(const struct matrix *m, const struct compile_rule *r,
			  const struct sight *seen, uint32_t at);
/* Without flows: is an address of this class allowed there? */
bool berm_matrix_allows(const struct matrix *m, uint32_t cls, uint32_t at);

/* compile_decide.c: subject.decided */
int berm_matrix_decide(struct matrix *m);

#endif /* BERM_COMPILE_MATRIX_H */
