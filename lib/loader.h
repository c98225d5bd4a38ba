/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loader.h - bring the data path into the kernel and pin it, or find it there.
 *
 * Plugin and agent both call this; whoever comes first creates everything. Maps that are pinned are
 * re-used, never replaced. The programs are embedded in the binary (skeleton).
 */
#ifndef BERM_LOADER_H
#define BERM_LOADER_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "maps.h"
#include "timeouts.h"

struct berm_load_opts {
	uint32_t buckets; /* of a session table that has to be made; 0 = default. With replace_progs a table
			     * of another size is set aside for a new one (lib/resize.h) */
	int lock_ms;	    /* how long to wait for another loader; 0 = 5,000 */
	bool mount_bpffs;   /* mount BERM_BPFFS if the host has none */
	bool replace_progs; /* agent: the programs of this binary, though others are pinned or another
			     * version's data path is there; else that is refused */
	struct berm_session_opts sessions; /* of programs that have to be loaded */
};

/* From nothing: bpffs, maps (random hash seed and epochs, node addresses seeded), programs, pins. All or
 * nothing. On a warm node: opens the pins only (< 1 ms), also the agent if its own programs are pinned.
 * -EPROTO: other ABI; -ENOSYS: kernel too old
 * (the message says what is missing and what to do: BTF is not needed, CAP_BPF, bpffs...). */
int berm_load_ensure(const struct berm_load_opts *opts, struct berm_maps *out,
		     struct berm_err *err) must_check;

/* fd of the pinned program of a direction (enum berm_dir); caller closes. */
int berm_prog_open(int dir, int *ret_fd, struct berm_err *err) must_check;

/* ---- pins that vanish (a bpffs that is unmounted, or mounted over) -------------------------------- */

#define BERM_PROG_COUNT 3

/* The pinned programs, held by descriptors: with those of the maps everything can be pinned again. */
int berm_pins_hold(int prog[BERM_PROG_COUNT], struct berm_err *err) must_check;
/* 0: all there; -ENOENT: some are missing; -ESTALE: somebody has made another data path in their place. */
int berm_pins_check(const struct berm_maps *maps) must_check;
/* Pins what is missing, mounts bpffs if need be. `sessions`: what the programs were loaded with. */
int berm_pins_restore(const struct berm_maps *maps, const int prog[BERM_PROG_COUNT],
		      const struct berm_session_opts *sessions, struct berm_err *err) must_check;

/* Free the sessions of an interface (ifindex != 0) or the expired ones, through berm_sweep.
 * Returns the number freed or -errno. */
long berm_sweep(const struct berm_maps *maps, uint32_t ifindex, struct berm_err *err);
/* The expired ones of `count` buckets from `first` on; some buckets more, up to a multiple of 256. */
long berm_sweep_expired(uint32_t first, uint32_t count, struct berm_err *err);

#endif /* BERM_LOADER_H */
