/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confdir.h - the directory of a container runtime's network configuration: which file it takes, and that file with
 * and without our plugin. Whoever reads the directory finds a file as it was or as it shall be, never a part, also
 * after a power cut. Others (the primary plugin's daemon, people) write there too, when they please.
 */
#ifndef BERM_CONFDIR_H
#define BERM_CONFDIR_H

#include <limits.h>
#include <stdbool.h>

#include "err.h"

#define BERM_CONF_DIR	   "/etc/cni/net.d"
#define BERM_ORIG_SUFFIX   ".berm-orig" /* of a .conf that has become a .conflist */
#define BERM_CONF_QUIET_MS 2000 /* an unusable file that is older is not half-written but broken */

struct berm_confdir {
	const char *path; /* BERM_CONF_DIR, or where it is mounted */
	const char *only; /* this file, whatever sorts before it; NULL: the one the runtime takes */
	const char *entry; /* ours, see berm_conflist_entry() */
};

struct berm_confdir_report {
	char file[NAME_MAX + 1];  /* in which our plugin is; "" = none */
	bool is_changed;	  /* it was not there, or said something else */
	struct berm_err unusable; /* why a file before it was passed by; code 0: none was */
};

/* Our plugin in the file that the runtime takes: the first by name of .conf, .conflist and .json that is usable.
 * -EAGAIN: somebody is writing, come back in a moment. -ENOENT: no usable configuration yet. -EROFS, -EACCES,
 * -EPROTO...: the message says what to do. */
int berm_confdir_insert(const struct berm_confdir *dir, struct berm_confdir_report *report,
			struct berm_err *err) must_check;

/* The same question without changing anything: 0 with report->is_changed = it would have to. */
int berm_confdir_look(const struct berm_confdir *dir, struct berm_confdir_report *report,
		      struct berm_err *err) must_check;

/* Our plugin out of every file, a converted .conf back under its name. *ret_count: files changed. -EAGAIN as above. */
int berm_confdir_remove(const struct berm_confdir *dir, int *ret_count,
			struct berm_err *err) must_check;

/* Is anything of ours left there? *ret_name: the first such file. */
int berm_confdir_find_left(const struct berm_confdir *dir, char ret_name[NAME_MAX + 1],
			   struct berm_err *err) must_check;

/* Writes and removes a scratch file: runtimes read their configuration again. They do not for a rename alone. */
int berm_confdir_poke(const struct berm_confdir *dir, struct berm_err *err) must_check;

/* Is this a file that runtimes read? */
bool berm_confdir_is_conf(const char *name);

#endif /* BERM_CONFDIR_H */
