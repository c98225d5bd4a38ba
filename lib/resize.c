/* SPDX-License-Identifier: Apache-2.0 */
/* resize.c - runs berm_move, which is loaded over both tables for as long as sessions move. */
#include "resize.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <stdlib.h>

#include "berm.skel.h"
#include "cleanup.h"
#include "jiffies.h"
#include "paths.h"

#define STEP	 64  /* buckets a run; berm_move takes up to 256 */
#define AT_ONCE	 256 /* runs in one call, some ms */
#define NO_IFACE 0

struct berm_resize {
	struct berm_bpf *skel;
	int prog;
	uint32_t from; /* buckets */
};

struct frame {
	struct ethhdr eth;
	struct berm_move_args args;
} __attribute__((packed));

static int share_maps(struct berm_bpf *skel, const struct berm_maps *maps, int old,
		      struct berm_err *err)
{
	int rc = bpf_map__reuse_fd(skel->maps.berm_sessions_old, old);

	for (int id = 0; !rc && id < BERM_MAP_COUNT; id++) {
		const char *name = id == BERM_MAP_node ? ".data.node"
						       : berm_map_name((enum berm_map_id)id);
		struct bpf_map *map = bpf_object__find_map_by_name(skel->obj, name);

		rc = map ? bpf_map__reuse_fd(map, maps->fd[id]) : -ENOENT;
	}
	return rc ? berm_fail(err, rc, "share the maps of the data path") : 0;
}

static int load(struct berm_resize *r, const struct berm_maps *maps,
		const struct berm_session_opts *sessions, int old, struct berm_err *err)
{
	int rc;

	r->skel->rodata->cfg_buckets = maps->buckets;
	r->skel->rodata->cfg_hz = berm_jiffies_hz();
	r->skel->rodata->cfg_ended = sessions->report_ended;
	bpf_program__set_autoload(r->skel->progs.berm_from_pod, false);
	bpf_program__set_autoload(r->skel->progs.berm_to_pod, false);
	bpf_program__set_autoload(r->skel->progs.berm_sweep, false);
	rc = share_maps(r->skel, maps, old, err);
	if (rc)
		return rc;
	rc = berm_bpf__load(r->skel);
	if (rc)
		return berm_fail(err, rc, "load the program that moves sessions");
	r->prog = bpf_program__fd(r->skel->progs.berm_move);
	return 0;
}

static int open_old(int *ret_fd, uint32_t *ret_buckets, struct berm_err *err)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);
	auto_close int fd = bpf_obj_get(BERM_PIN_OLD_SESSIONS);
	int rc;

	if (fd == -ENOENT)
		return -ENOENT;
	rc = fd < 0 ? fd : bpf_obj_get_info_by_fd(fd, &info, &len);
	if (rc)
		return berm_fail(err, rc, "open " BERM_PIN_OLD_SESSIONS);
	*ret_buckets = info.max_entries;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int berm_resize_open(const struct berm_maps *maps, const struct berm_session_opts *sessions,
		     struct berm_resize **ret, struct berm_err *err)
{
	struct berm_resize *r;
	auto_close int old = -1;
	uint32_t from = 0;
	int rc = open_old(&old, &from, err);

	if (rc)
		return rc;
	r = calloc(1, sizeof(*r));
	if (!r)
		return berm_fail(err, -ENOMEM, "move sessions");
	r->from = from;
	r->skel = berm_bpf__open();
	rc = r->skel ? load(r, maps, sessions, old, err) : berm_fail(err, -errno, "move sessions");
	if (rc)
		berm_resize_close(r);
	else
		*ret = r;
	return rc;
}

void berm_resize_close(struct berm_resize *resize)
{
	if (!resize)
		return;
	berm_bpf__destroy(resize->skel);
	free(resize);
}

uint32_t berm_resize_from(const struct berm_resize *resize)
{
	return resize->from;
}

/* Some buckets: the arguments move on by themselves. */
static int step(const struct berm_resize *r, struct frame *in)
{
	struct frame out = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = sizeof(*in),
		    .data_out = &out, .data_size_out = sizeof(out));
	uint32_t runs = (r->from - in->args.first + STEP - 1) / STEP;
	int rc;

	opts.repeat = (int)(runs < AT_ONCE ? runs : AT_ONCE);
	rc = bpf_prog_test_run_opts(r->prog, &opts);
	*in = out;
	return rc;
}

/* The whole old table. */
static int walk(struct berm_resize *r, uint32_t ifindex, bool take, struct berm_resize_count *add,
		struct berm_err *err)
{
	struct frame frame = { .args = { .count = STEP, .ifindex = ifindex, .take = take } };
	int rc = 0;

	while (!rc && frame.args.first < r->from)
		rc = step(r, &frame);
	if (rc)
		return berm_fail(err, rc, "move sessions to the new table");
	if (add) {
		add->moved += frame.args.moved;
		add->lost += frame.args.lost;
	}
	return 0;
}

int berm_resize_copy(struct berm_resize *resize, uint32_t ifindex, struct berm_err *err)
{
	return walk(resize, ifindex, false, NULL, err);
}

int berm_resize_take(struct berm_resize *resize, uint32_t ifindex, struct berm_resize_count *add,
		     struct berm_err *err)
{
	return walk(resize, ifindex, true, add, err);
}

int berm_resize_finish(struct berm_resize *resize, struct berm_resize_count *add,
		       struct berm_err *err)
{
	int rc = walk(resize, NO_IFACE, true, add, err);

	if (!rc && unlink(BERM_PIN_OLD_SESSIONS) && errno != ENOENT)
		rc = berm_fail(err, -errno, "remove " BERM_PIN_OLD_SESSIONS);
	return rc;
}
