/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conflist.h - the text of a runtime's network configuration, with and without our plugin in it. What is not ours
 * keeps its bytes: order, spacing, numbers of any size. Knows no files.
 */
#ifndef BERM_CONFLIST_H
#define BERM_CONFLIST_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

#define BERM_CNI_TYPE	  "berm-cni"
#define BERM_CONFLIST_MAX (1024 * 1024)

/* Would a runtime take it? is_list: a list of plugins (.conflist), else one plugin (.conf, .json).
 * -EINVAL with what is wrong; it may be half-written. */
int berm_conflist_check(const char *text, size_t size, bool is_list,
			struct berm_err *err) must_check;

/* Is our plugin in a list that passed the check? */
bool berm_conflist_has(const char *text, size_t size);

/* A list with one plugin out of a .conf, same name and version (0.3.0 becomes 0.3.1: its successor defines lists).
 * Caller frees *ret. */
int berm_conflist_wrap(const char *text, size_t size, char **ret, struct berm_err *err) must_check;

/* The list with `entry` (a JSON object of our type) at its end, or in the place of an entry of ours that says
 * something else. *ret NULL: nothing to change. -EPROTO: the list's cniVersion is none that our plugin speaks. */
int berm_conflist_insert(const char *text, size_t size, const char *entry, char **ret,
			 struct berm_err *err) must_check;

/* The list without entries of ours; *ret NULL: there is none. What insert() added at the end goes without a trace. */
int berm_conflist_remove(const char *text, size_t size, char **ret,
			 struct berm_err *err) must_check;

/* Our entry from settings, a JSON object or NULL: {"type": "berm-cni", <settings>}. -EINVAL: no JSON object, or it has
 * a type. Caller frees *ret. */
int berm_conflist_entry(const char *settings, char **ret, struct berm_err *err) must_check;

#endif /* BERM_CONFLIST_H */
