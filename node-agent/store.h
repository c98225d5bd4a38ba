/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - the few verbs by which apply touches the kernel, so that tests can count, delay, fail or cut
 * off every single one of them. Knows maps, keys and values; no policy and no order.
 *
 * put, del and list move arrays of keys and values, laid out as in abi.h. put and del stop at the first
 * failure; what came before stays. Packed tables are written by whole 64-byte elements.
 */
#ifndef BERM_STORE_H
#define BERM_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "abi.h"
#include "err.h"
#include "maps.h"
#include "names.h"

struct berm_store {
	const struct berm_store_ops *ops;
	struct berm_node *node; /* apply writes generation, applying and essentials itself */
	struct berm_endpoint *endpoints; /* [BERM_MAX_ENDPOINTS], to look at */
};

struct berm_store_ops {
	int (*put)(struct berm_store *s, enum berm_map_id map, const void *keys, const void *values,
		   size_t count, struct berm_err *err);
	int (*del)(struct berm_store *s, enum berm_map_id map, const void *keys, size_t count,
		   struct berm_err *err); /* what is absent is no error */
	/* One element, or all of them (caller frees both arrays; not for big arrays). */
	int (*get)(struct berm_store *s, enum berm_map_id map, const void *key, void *value,
		   struct berm_err *err);
	int (*list)(struct berm_store *s, enum berm_map_id map, void **ret_keys, void **ret_values,
		    size_t *ret_count, struct berm_err *err);

	/* Endpoints. Slots change hands only while somebody holds the lock; close *ret_fd to unlock. */
	int (*lock)(struct berm_store *s, int *ret_fd, struct berm_err *err);
	void (*switch_sets)(struct berm_store *s, uint32_t slot,
			    const uint32_t set[BERM_DIR_COUNT]);
	void (*switch_audit)(struct berm_store *s, uint32_t slot,
			     const uint32_t would[BERM_DIR_COUNT]);
	void (*set_flags)(struct berm_store *s, uint32_t slot, uint32_t flags,
			  uint32_t allowed_table);
	void (*bump)(struct berm_store *s, uint32_t slot);
	void (*grace)(struct berm_store *s);

	/* The rule-name file, and what the agent must remember of the maps (lost with them at boot). */
	int (*write_names)(struct berm_store *s, const struct berm_names *names,
			   struct berm_err *err);
	int (*read_names)(struct berm_store *s, struct berm_names *ret, struct berm_err *err);
	int (*write_memo)(struct berm_store *s, const void *data, size_t size,
			  struct berm_err *err);
	int (*read_memo)(struct berm_store *s, void **ret, size_t *ret_size, struct berm_err *err);
	void (*close)(struct berm_store *s);
};

/* Bytes of a key and a value of a map that apply uses, and how many it holds. */
size_t berm_store_key_size(enum berm_map_id map);
size_t berm_store_value_size(enum berm_map_id map);
size_t berm_store_room(enum berm_map_id map);

/* The pinned maps and the files below BERM_RUN_DIR. maps must outlive the store; ops->close frees it. */
int berm_store_open(struct berm_maps *maps, struct berm_store **ret,
		    struct berm_err *err) must_check;

#endif /* BERM_STORE_H */
