/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maps.h - typed access to the pinned maps. Knows map layouts, no policy and no order of updates.
 *
 * Every function returns 0 or -errno and fills err (may be NULL). Deleting what is absent is no error.
 * Packed tables (ports, cols, cells) are read, changed and written back by whole 64-byte elements, so
 * there must be one writer: the agent.
 */
#ifndef BERM_MAPS_H
#define BERM_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"
#include "err.h"

enum berm_map_id {
#define X(name) BERM_MAP_##name,
	BERM_MAPS(X)
#undef X
		BERM_MAP_COUNT
};

struct berm_maps {
	int fd[BERM_MAP_COUNT];		 /* -1: not open */
	struct berm_node *node;		 /* mmap of berm_node: shared with the programs */
	struct berm_endpoint *endpoints; /* mmap of berm_endpoints: [BERM_MAX_ENDPOINTS] */
	uint32_t buckets;		 /* size of the session table */
};

#define BERM_MAPS_CLOSED                                                                           \
	{                                                                                          \
		.fd = { [0 ... BERM_MAP_COUNT - 1] = -1 }                                          \
	}

/* "berm_peers" and so on. */
const char *berm_map_name(enum berm_map_id id);

/* Open what is pinned. -ENOENT: nobody has loaded the data path; -EPROTO: maps of another ABI version.
 * readonly maps node and endpoints without write permission (bermctl). */
int berm_maps_open(struct berm_maps *maps, bool readonly, struct berm_err *err) must_check;
/* Only what the functions on slots need: DEL is counted in microseconds. */
int berm_maps_open_slots(struct berm_maps *maps, struct berm_err *err) must_check;
void berm_maps_close(struct berm_maps *maps); /* accepts a closed or zeroed one */

/* Addresses. parse takes "10.1.2.3" or "fd00::1"; format writes at most BERM_ADDR_STRLEN bytes. */
#define BERM_ADDR_STRLEN 46
int berm_addr_parse(const char *text, struct berm_addr *out) must_check; /* 0 or -EINVAL */
void berm_addr_format(const struct berm_addr *addr, char out[BERM_ADDR_STRLEN]);
bool berm_addr_is_v4(const struct berm_addr *addr);

/* Endpoint slots. take writes the whole endpoint (set, flags, born, addresses as given in *ep; born is
 * filled in here), bumps the slot's epoch first and publishes ifindex -> slot last. An ifindex that has a
 * slot already gets it back, rewritten. BERM_SET_ESSENTIALS becomes node->essentials if there is one. The
 * caller holds BERM_LOCK (berm_lock_take). */
int berm_slot_take(struct berm_maps *maps, const struct berm_endpoint *ep, uint32_t *ret_slot,
		   struct berm_err *err) must_check;
/* Forget slot and ifindex; only if the slot still belongs to ifindex. Bumps the epoch. slot 0: whichever
 * ifindex has. */
int berm_slot_free(struct berm_maps *maps, uint32_t slot, uint32_t ifindex, struct berm_err *err);
int berm_slot_of(const struct berm_maps *maps, uint32_t ifindex, uint32_t *ret_slot); /* -ENOENT */
/* One aligned 8-byte store. */
void berm_endpoint_switch(struct berm_maps *maps, uint32_t slot, uint32_t set_in, uint32_t set_out);
/* The sets that say what audit policies would do; 0: there are none. */
void berm_endpoint_audit(struct berm_maps *maps, uint32_t slot, uint32_t set_in, uint32_t set_out);
void berm_epoch_bump(struct berm_maps *maps, uint32_t slot);

/* flock on BERM_LOCK; the fd is the lock, close it to unlock. -ETIMEDOUT when one holder keeps it for longer
 * than timeout_ms; a queue that moves on is waited for. */
int berm_lock_take(int timeout_ms, int *ret_fd, struct berm_err *err) must_check;
/* Waits for max_ms at most, however much the queue moves; 0: not at all. */
int berm_lock_try(int max_ms, int *ret_fd, struct berm_err *err) must_check;
/* Like berm_lock_take, on another file below BERM_RUN_DIR. */
int berm_flock_take(const char *path, int timeout_ms, int *ret_fd, struct berm_err *err) must_check;

int berm_local_add(const struct berm_maps *maps, const struct berm_addr *addr,
		   struct berm_err *err);
int berm_local_delete(const struct berm_maps *maps, const struct berm_addr *addr,
		      struct berm_err *err);

int berm_ns_isolation_get(const struct berm_maps *maps, const char *ns,
			  uint32_t *ret_dirs); /* -ENOENT */
int berm_ns_isolation_set(const struct berm_maps *maps, const char *ns, uint32_t dirs,
			  struct berm_err *err); /* dirs 0 deletes */

/* Policy tables: see abi.h for what they mean and datapath.md, "Updates", for the order. */
int berm_peer_set(const struct berm_maps *maps, const struct berm_addr *addr, uint32_t cls,
		  struct berm_err *err); /* in place under the element's lock if it exists */
int berm_peer_delete(const struct berm_maps *maps, const struct berm_addr *addr,
		     struct berm_err *err);
int berm_cidr_set(const struct berm_maps *maps, const struct berm_cidr_key *key, uint32_t cls,
		  struct berm_err *err);
int berm_cidr_delete(const struct berm_maps *maps, const struct berm_cidr_key *key,
		     struct berm_err *err);
/* After every other way of writing to berm_cidrs: what programs remember of it is old (struct berm_cidr_hot). */
void berm_cidrs_changed(const struct berm_maps *maps);
int berm_row_set(const struct berm_maps *maps, uint32_t set, uint32_t cls, uint32_t row,
		 struct berm_err *err);
int berm_row_delete(const struct berm_maps *maps, uint32_t set, uint32_t cls, struct berm_err *err);
int berm_set_write(const struct berm_maps *maps, uint32_t set, const struct berm_set *value,
		   struct berm_err *err);
int berm_rule_write(const struct berm_maps *maps, uint32_t index, const struct berm_rule *rule,
		    struct berm_err *err);
/* Ranges of packed tables; first and count in entries (ports: plane << 16 | index). */
int berm_ports_write(const struct berm_maps *maps, uint32_t first, uint32_t count,
		     uint16_t port_class, struct berm_err *err);
int berm_cols_write(const struct berm_maps *maps, uint32_t first, const uint8_t *col,
		    uint32_t count, struct berm_err *err);
int berm_cells_write(const struct berm_maps *maps, uint32_t first, const uint32_t *rule,
		     uint32_t count, struct berm_err *err);

/* Sums over CPUs. */
int berm_counters_read(const struct berm_maps *maps, struct berm_counters *out,
		       struct berm_err *err);
int berm_hits_read(const struct berm_maps *maps, uint32_t index, uint64_t *out);

/* Wait until every CPU has left the programs it was running: membarrier(GLOBAL), else 100 ms. */
void berm_grace_period(void);

#endif /* BERM_MAPS_H */
