/* SPDX-License-Identifier: Apache-2.0 */
/* reflector_objects.h - the objects that one reflector knows, and their way into the intake. Knows no requests. */
#ifndef BERM_REFLECTOR_OBJECTS_H
#define BERM_REFLECTOR_OBJECTS_H

#include "apiresource.h"
#include "intake.h"
#include "stream.h"

struct berm_object_seen {
	UT_hash_handle hh;
	struct berm_source source;
	uint64_t stamp; /* of uid and resourceVersion; 0: read it whatever it is */
	uint32_t round; /* list in which it was seen last */
	char *uid;	/* NULL: not kept */
	char name[];	/* "networkpolicy shop/db" */
};

struct berm_objects_seen {
	const struct berm_apiresource *resource;
	struct berm_intake *intake;
	struct berm_object_seen *all;
	uint32_t round;
	bool must_filter; /* the field selector was not taken: do here what it says */
	bool has_changed; /* since somebody has made it false */
};

/* A JSON object as the server sent it, from a list or an event. -EBADMSG: it has no name; -ENOMEM. */
int berm_objects_take(struct berm_objects_seen *seen, const struct berm_piece *object,
		      struct berm_err *err) must_check;
int berm_objects_remove(struct berm_objects_seen *seen, const struct berm_piece *object,
			struct berm_err *err) must_check;
/* The list is complete: what was not in it goes. */
void berm_objects_sweep(struct berm_objects_seen *seen);
/* Frees; the model keeps its objects. */
void berm_objects_seen_clear(struct berm_objects_seen *seen);

#endif /* BERM_REFLECTOR_OBJECTS_H */
