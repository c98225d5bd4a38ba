/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fakestore.h - the maps as arrays in memory, and packets that read them one look-up at a time, so that a
 * test decides what happens between any two of them. Knows the data path's steps, no plan.
 */
#ifndef BERM_TEST_FAKESTORE_H
#define BERM_TEST_FAKESTORE_H

#include <stdbool.h>

#include "store.h"

#define FAKE_READERS 64

/* A packet on its way through the maps: the steps of bpf/policy.h. */
struct fake_reader {
	int step;		  /* 0: not on its way */
	uint32_t slot, dir, port; /* port: plane << 16 | index */
	struct berm_addr addr;
	uint32_t tag; /* the test's */
	uint32_t epoch, set, cls, row, pc, col;
	struct berm_set value;
	uint32_t rule; /* id: the answer, once step is back at 0; BERM_REASON_* without a rule */
};

struct fake_store {
	struct berm_store s; /* first */
	struct berm_node node;
	struct berm_endpoint endpoint[BERM_MAX_ENDPOINTS];
	struct fake_map {
		char *key, *value;
		size_t count, room;
	} map[BERM_MAP_COUNT]; /* hashes and tries: a list; arrays: value only, all elements */
	void *memo;
	size_t memo_size;
	size_t names_written;
	bool full_disk;

	void (*before)(struct fake_store *f); /* called before every write */
	void *ctx;
	size_t writes;	/* so far */
	size_t fail_at; /* the write with this number fails (counted from 1), 0 = none */
	int fail_with;
	size_t graces;

	struct fake_reader reader[FAKE_READERS];
	void (*arrived)(struct fake_store *f, const struct fake_reader *r);
};

struct fake_store *fake_new(void);
void fake_free(struct fake_store *f);

/* What berm_slot_take does. */
void fake_slot_take(struct fake_store *f, uint32_t slot, uint32_t ifindex, uint32_t set);

/* One look-up further; calls arrived() at the end. */
void fake_reader_step(struct fake_store *f, struct fake_reader *r);
void fake_readers_finish(struct fake_store *f);
/* A whole packet at once. */
uint32_t fake_judge(struct fake_store *f, uint32_t slot, uint32_t dir, const struct berm_addr *addr,
		    uint32_t port);
size_t fake_count(const struct fake_store *f,
		  enum berm_map_id map); /* elements of a hash or trie */

#endif /* BERM_TEST_FAKESTORE_H */
