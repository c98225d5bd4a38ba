/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pins.h - policies that are not as their sources say, because somebody has taken this node back to an earlier generation
 * (`bermctl rollback`). A pin holds until its document says something else. In memory and on disk; knows no model.
 */
#ifndef BERM_PINS_H
#define BERM_PINS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "lastgood_file.h"
#include "policy.h"

struct berm_pin {
	struct berm_kept is; /* in force; text NULL: nothing is */
	uint64_t said;	     /* digest of what the source says; 0: it says nothing of it */
};

struct berm_pins {
	char *path;
	struct berm_pin *item;
	size_t count;
	double generation; /* that somebody went back to last; 0: to that of one policy */
	bool is_dirty;
};

/* path: its file, which may be absent. A damaged one is told in *err, and everything is as the sources say; *ret is NULL only without
 * memory. */
int berm_pins_open(const char *path, struct berm_pins **ret, struct berm_err *err) must_check;
void berm_pins_close(struct berm_pins *pins); /* accepts NULL; writes nothing */

/* NULL: there is none. */
struct berm_pin *berm_pins_find(const struct berm_pins *pins, enum berm_policy_kind kind,
				const char *ns, const char *name);
/* Takes what the pin has; replaces one of the same name, but for what that knows of its source. -ENOMEM: the pin is the caller's. */
int berm_pins_put(struct berm_pins *pins, struct berm_pin *pin) must_check;
/* The pointer is of this list; others move. */
void berm_pins_drop(struct berm_pins *pins, struct berm_pin *pin);
void berm_pin_clear(struct berm_pin *pin);
/* *ret: what is in force instead, NULL: nothing. -EINVAL: this version does not take it any more. */
int berm_pin_make(const struct berm_pin *pin, struct berm_policy **ret,
		  struct berm_err *err) must_check;

/* Nothing new: 0 and no system call. */
int berm_pins_save(struct berm_pins *pins, struct berm_err *err) must_check;

#endif /* BERM_PINS_H */
