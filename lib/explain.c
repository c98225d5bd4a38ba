// SPDX-License-Identifier: Apache-2.0
/* explain.c - loads the data path a second time and runs it on single packets. Knows no names and no policy. */
#include "explain.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <string.h>

#include "berm.skel.h"
#include "jiffies.h"

struct berm_explain {
	struct berm_bpf *skel;
	int prog[BERM_DIR_COUNT];
};

static int share_maps(struct berm_bpf *skel, const struct berm_maps *maps, struct berm_err *err)
{
	static const char *const node_map = ".data.node"; /* libbpf's name for it */

	for (int id = 0; id < BERM_MAP_COUNT; id++) {
		const char *name = id == BERM_MAP_node ? node_map : berm_map_name(id);
		struct bpf_map *map = bpf_object__find_map_by_name(skel->obj, name);
		int rc = map ? bpf_map__reuse_fd(map, maps->fd[id]) : -ENOENT;

		if (rc)
			return berm_fail(err, rc, "share the map %s", name);
	}
	return 0;
}

static int load(struct berm_explain *e, const struct berm_maps *maps,
		const struct berm_session_opts *sessions, struct berm_err *err)
{
	int rc;

	bpf_program__set_autoload(e->skel->progs.berm_sweep, false);
	bpf_program__set_autoload(e->skel->progs.berm_move, false);
	e->skel->rodata->cfg_explain = 1;
	e->skel->rodata->cfg_buckets = maps->buckets;
	e->skel->rodata->cfg_hz = berm_jiffies_hz();
	e->skel->rodata->cfg_strict_tcp = sessions->strict_tcp; /* no timeout is ever written */
	rc = share_maps(e->skel, maps, err);
	if (rc)
		return rc;
	rc = berm_bpf__load(e->skel);
	if (rc)
		return berm_fail(err, rc, "load the data path once more, to explain");
	e->prog[BERM_INGRESS] = bpf_program__fd(e->skel->progs.berm_to_pod);
	e->prog[BERM_EGRESS] = bpf_program__fd(e->skel->progs.berm_from_pod);
	return 0;
}

int berm_explain_open(const struct berm_maps *maps, const struct berm_session_opts *sessions,
		      struct berm_explain **ret, struct berm_err *err)
{
	struct berm_explain *e = calloc(1, sizeof(*e));
	int rc = -ENOMEM;

	if (e)
		e->skel = berm_bpf__open();
	if (!e || !e->skel) {
		free(e);
		return berm_fail(err, rc, "open the data path, to explain");
	}
	rc = load(e, maps, sessions, err);
	if (rc)
		berm_explain_close(e);
	else
		*ret = e;
	return rc;
}

void berm_explain_close(struct berm_explain *explain)
{
	if (!explain)
		return;
	berm_bpf__destroy(explain->skel);
	free(explain);
}

int berm_explain_ask(const struct berm_explain *explain, const struct berm_explain_question *q,
		     struct berm_explain_verdict *ret, struct berm_err *err)
{
	struct __sk_buff in = { .ifindex = q->ifindex }, out = { 0 };
	char after[2048]; /* the kernel wants room for the packet it gives back */
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = q->frame, .data_size_in = (__u32)q->size,
		    .data_out = after, .data_size_out = sizeof(after), .ctx_in = &in,
		    .ctx_size_in = sizeof(in), .ctx_out = &out, .ctx_size_out = sizeof(out));
	int rc;

	in.cb[BERM_CB_FLAGS] = (q->from_node ? BERM_EXPLAIN_HOST : 0) |
			       (q->as_new ? BERM_EXPLAIN_NEW : 0);
	in.cb[BERM_CB_IIF] = q->in_ifindex;
	rc = bpf_prog_test_run_opts(explain->prog[q->dir], &opts);
	if (rc)
		return berm_fail(err, rc, "run the data path on a packet of interface %u",
				 q->ifindex);
	ret->is_allowed = (int)opts.retval == -1;
	ret->reason = (uint8_t)out.cb[BERM_CB_REASON];
	ret->action = (uint8_t)(out.cb[BERM_CB_REASON] >> 8);
	ret->rule = out.cb[BERM_CB_RULE];
	ret->cls = out.cb[BERM_CB_CLASS];
	ret->would_reason = (uint8_t)out.cb[BERM_CB_WOULD];
	ret->would_action = (uint8_t)(out.cb[BERM_CB_WOULD] >> 8);
	ret->would_rule = out.cb[BERM_CB_WOULD_RULE];
	return 0;
}
