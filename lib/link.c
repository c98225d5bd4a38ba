/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.c - attach the programs to a host veth and look at what is attached there. Knows no endpoints.
 *
 * Two kinds of hook are kept apart: tcx (a pinned link, at the head) and clsact (a cls_bpf filter with our
 * handle at the lowest free priority).
 */
#include "link.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>

#include "abi.h"
#include "cleanup.h"
#include "loader.h"
#include "netlink.h"
#include "paths.h"

/* Newer than the headers that we compile with: include/uapi/linux/bpf.h of Linux 6.6. */
#define TCX_INGRESS   46
#define TCX_EGRESS    47
#define TCX_F_BEFORE  (1u << 3)
#define TCX_MAX_PROGS 64 /* BPF_MPROG_MAX */

#define FILTER_HANDLE 0xbe12u
#define FILTER_MAX    64 /* filters of one hook that we look at */
#define BUSY_TRIES    100
#define BUSY_PAUSE_US 1000

/* What is said of one direction on both kinds of hook. The pod's ingress is the host veth's egress. */
static const struct {
	const char *suffix;
	const char *prog; /* name given by the kernel: at most 15 characters */
	uint32_t tcx;
	uint32_t parent;
	enum bpf_tc_attach_point point;
} hooks_of[] = {
	[BERM_INGRESS] = { "in", "berm_to_pod", TCX_EGRESS, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS),
			   BPF_TC_EGRESS },
	[BERM_EGRESS] = { "out", "berm_from_pod", TCX_INGRESS,
			  TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS), BPF_TC_INGRESS },
};

static void pin_path(uint32_t ifindex, int dir, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, BERM_PIN_LINKS "/%u_%s", ifindex, hooks_of[dir].suffix);
}

/* ---- tcx ------------------------------------------------------------------------------------------------ */

static int link_info(int fd, struct bpf_link_info *info)
{
	__u32 len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(fd, info, &len);
}

/* Of a tcx link; 0 once the device is gone. The kernel's info.tcx begins like info.xdp. */
static uint32_t link_ifindex(const struct bpf_link_info *info)
{
	return info->xdp.ifindex;
}

/* -EEXIST: the program is on the hook by another link, or somebody was faster with the pin. */
static int tcx_create(uint32_t ifindex, int dir, int prog, struct berm_err *err)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .flags = TCX_F_BEFORE); /* without a relative: the head */
	auto_close int fd =
		bpf_link_create(prog, (int)ifindex, (enum bpf_attach_type)hooks_of[dir].tcx, &opts);
	char path[PATH_MAX];
	int rc;

	if (fd < 0)
		return berm_fail(err, fd, "create a tcx link");
	pin_path(ifindex, dir, path);
	rc = bpf_obj_pin(fd, path);
	return rc ? berm_fail(err, rc, "pin %s", path) : 0;
}

/* The link that is pinned for this device gets our program, without a gap. -ENOENT: there is none (any more). */
static int tcx_update(uint32_t ifindex, int dir, int prog, struct berm_err *err)
{
	struct bpf_link_info info;
	char path[PATH_MAX];
	auto_close int fd = -1;
	int rc;

	pin_path(ifindex, dir, path);
	fd = bpf_obj_get(path);
	if (fd == -ENOENT)
		return fd;
	if (fd < 0)
		return berm_fail(err, fd, "open %s", path);
	if (link_info(fd, &info) || link_ifindex(&info) != ifindex) /* of a device that is gone */
		return unlink(path) && errno != ENOENT
			       ? berm_fail(err, -errno, "remove the stale %s", path)
			       : -ENOENT;
	rc = bpf_link_update(fd, prog, NULL);
	return rc ? berm_fail(err, rc, "replace the program of %s", path) : 0;
}

/*
 * Plugin and agent may do this at the same time for the same device: whoever comes second finds the first one's
 * pin and goes on from there. The kernel also says -EEXIST for a moment after a link was unpinned, until it is freed.
 * *ret_made: a new link, which is to be taken back if the other direction fails.
 */
static int tcx_attach(uint32_t ifindex, int dir, int prog, bool *ret_made, struct berm_err *err)
{
	struct berm_err why = { 0 };
	int rc = -EEXIST;

	for (int i = 0; rc == -EEXIST && i < BUSY_TRIES; i++) {
		if (i)
			usleep(BUSY_PAUSE_US);
		why = (struct berm_err){ 0 };
		rc = tcx_update(ifindex, dir, prog, &why);
		if (rc != -ENOENT)
			break;
		rc = tcx_create(ifindex, dir, prog, &why);
		*ret_made = !rc;
	}
	if (rc && err)
		*err = why;
	return rc;
}

/* Returns whether there was a pin. */
static bool tcx_unpin(uint32_t ifindex, int dir)
{
	char path[PATH_MAX];

	pin_path(ifindex, dir, path);
	return !unlink(path);
}

static int attach_both_tcx(uint32_t ifindex, const int prog[BERM_DIR_COUNT], struct berm_err *err)
{
	bool made = false, ignored = false;
	int rc = tcx_attach(ifindex, BERM_INGRESS, prog[BERM_INGRESS], &made, err);

	if (rc)
		return rc;
	rc = tcx_attach(ifindex, BERM_EGRESS, prog[BERM_EGRESS], &ignored, err);
	if (rc && made)
		(void)tcx_unpin(ifindex,
				BERM_INGRESS); /* the error of the other direction is the one to report */
	return rc;
}

/* ---- clsact: what is on a hook ---------------------------------------------------------------------------- */

struct filter {
	uint32_t prio;
	uint32_t handle;
	uint32_t prog_id;
	char kind[16];
	char name[64];
};

struct filters {
	struct filter item[FILTER_MAX];
	size_t count;
};

static int on_filter(const struct nlmsghdr *msg, void *ctx)
{
	const struct nlattr *tb[TCA_MAX + 1], *opt[TCA_BPF_MAX + 1];
	const struct tcmsg *tc = NLMSG_DATA(msg);
	struct filters *list = ctx;
	struct filter *f;

	if (msg->nlmsg_type != RTM_NEWTFILTER || list->count == FILTER_MAX || !tc->tcm_handle)
		return 0;
	f = &list->item[list->count++];
	berm_nl_attrs(msg, sizeof(*tc), tb, TCA_MAX);
	*f = (struct filter){ .prio = TC_H_MAJ(tc->tcm_info) >> 16, .handle = tc->tcm_handle };
	snprintf(f->kind, sizeof(f->kind), "%s", berm_nl_str(tb[TCA_KIND], "?"));
	if (strcmp(f->kind, "bpf"))
		return 0;
	berm_nl_nested(tb[TCA_OPTIONS], opt, TCA_BPF_MAX);
	f->prog_id = berm_nl_u32(opt[TCA_BPF_ID], 0);
	snprintf(f->name, sizeof(f->name), "%s", berm_nl_str(opt[TCA_BPF_NAME], ""));
	return 0;
}

static int filters_read(uint32_t ifindex, int dir, struct filters *out, struct berm_err *err)
{
	struct tcmsg tc = { .tcm_ifindex = (int)ifindex, .tcm_parent = hooks_of[dir].parent };
	auto_close int nl = berm_nl_open(0, err);
	struct berm_nlmsg msg;
	int rc;

	out->count = 0;
	if (nl < 0)
		return nl;
	berm_nlmsg_start(&msg, RTM_GETTFILTER, NLM_F_DUMP, &tc, sizeof(tc));
	rc = berm_nl_ask(nl, &msg, on_filter, out, err);
	if (rc == -EINVAL || rc == -ENOENT) /* no clsact qdisc there */
		return 0;
	return rc ? berm_wrap(err, rc, "list tc filters") : 0;
}

static bool is_ours(const struct filter *f, int dir)
{
	return f->handle == FILTER_HANDLE && !strcmp(f->kind, "bpf") &&
	       !strncmp(f->name, hooks_of[dir].prog, strlen(hooks_of[dir].prog));
}

static const struct filter *filter_own(const struct filters *list, int dir)
{
	for (size_t i = 0; i < list->count; i++)
		if (is_ours(&list->item[i], dir))
			return &list->item[i];
	return NULL;
}

static bool prio_is_taken(const struct filters *list, uint32_t prio)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->item[i].prio == prio)
			return true;
	return false;
}

static uint32_t prio_lowest_free(const struct filters *list)
{
	uint32_t prio = 1;

	while (prio_is_taken(list, prio))
		prio++;
	return prio;
}

/* ---- clsact: attach and detach ----------------------------------------------------------------------------- */

static int no_print(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level, (void)fmt, (void)ap;
	return 0;
}

/* libbpf prints the kernel's remark that the qdisc exists; to us that is no error. */
static int clsact_qdisc_ensure(uint32_t ifindex, struct berm_err *err)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	libbpf_print_fn_t before = libbpf_set_print(no_print);
	int rc = bpf_tc_hook_create(&hook);

	libbpf_set_print(before);
	return rc && rc != -EEXIST ? berm_fail(err, rc, "create a clsact qdisc") : 0;
}

/* -EEXIST: somebody was faster. */
static int clsact_try(uint32_t ifindex, int dir, int prog, bool *ret_made, struct berm_err *err)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
		    .attach_point = hooks_of[dir].point);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FILTER_HANDLE, .prog_fd = prog);
	const struct filter *own;
	struct filters list;
	int rc = filters_read(ifindex, dir, &list, err);

	if (rc)
		return rc;
	own = filter_own(&list, dir);
	opts.priority = own ? own->prio : prio_lowest_free(&list);
	opts.flags = own ? BPF_TC_F_REPLACE : 0;
	rc = bpf_tc_attach(&hook, &opts);
	*ret_made = !rc && !own;
	return rc ? berm_fail(err, rc, "attach a tc filter at priority %u", opts.priority) : 0;
}

/* The second time the first one's filter is there, and is replaced in place. */
static int clsact_attach(uint32_t ifindex, int dir, int prog, bool *ret_made, struct berm_err *err)
{
	libbpf_print_fn_t before = libbpf_set_print(no_print);
	struct berm_err why = { 0 };
	int rc = clsact_try(ifindex, dir, prog, ret_made, &why);

	if (rc == -EEXIST) {
		why = (struct berm_err){ 0 };
		rc = clsact_try(ifindex, dir, prog, ret_made, &why);
	}
	libbpf_set_print(before);
	if (rc && err)
		*err = why;
	return rc;
}

static int clsact_detach(uint32_t ifindex, int dir, struct berm_err *err)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
		    .attach_point = hooks_of[dir].point);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FILTER_HANDLE);
	const struct filter *own;
	struct filters list;
	int rc = filters_read(ifindex, dir, &list, err);

	if (rc == -ENODEV)
		return 0;
	own = rc ? NULL : filter_own(&list, dir);
	if (!own)
		return rc;
	opts.priority = own->prio;
	rc = bpf_tc_detach(&hook, &opts);
	return rc && rc != -ENOENT
		       ? berm_fail(err, rc, "remove the tc filter of ifindex %u", ifindex)
		       : 0;
}

static int attach_both_clsact(uint32_t ifindex, const int prog[BERM_DIR_COUNT],
			      struct berm_err *err)
{
	bool made = false, ignored = false;
	int rc = clsact_qdisc_ensure(ifindex, err);

	if (!rc)
		rc = clsact_attach(ifindex, BERM_INGRESS, prog[BERM_INGRESS], &made, err);
	if (rc)
		return rc;
	rc = clsact_attach(ifindex, BERM_EGRESS, prog[BERM_EGRESS], &ignored, err);
	if (rc && made)
		(void)clsact_detach(ifindex, BERM_INGRESS,
				    NULL); /* the other direction's error is reported */
	return rc;
}

/* ---- attach, detach ---------------------------------------------------------------------------------------- */

static bool kernel_lacks_tcx(int rc)
{
	return rc == -EINVAL || rc == -EOPNOTSUPP;
}

int berm_link_attach(uint32_t ifindex, enum berm_attach_mode mode, enum berm_attach_mode *ret_mode,
		     struct berm_err *err)
{
	auto_close int in = -1, out = -1;
	enum berm_attach_mode used = BERM_ATTACH_TCX;
	int rc = berm_prog_open(BERM_INGRESS, &in, err);

	if (!rc)
		rc = berm_prog_open(BERM_EGRESS, &out, err);
	if (rc)
		return rc;
	const int prog[BERM_DIR_COUNT] = { [BERM_INGRESS] = in, [BERM_EGRESS] = out };

	if (mode != BERM_ATTACH_CLSACT)
		rc = attach_both_tcx(ifindex, prog, err);
	if (mode == BERM_ATTACH_CLSACT || (mode == BERM_ATTACH_AUTO && kernel_lacks_tcx(rc))) {
		used = BERM_ATTACH_CLSACT;
		rc = attach_both_clsact(ifindex, prog, err);
	}
	if (rc)
		return berm_wrap(err, rc, "attach to ifindex %u", ifindex);
	if (ret_mode)
		*ret_mode = used;
	return 0;
}

int berm_link_detach(uint32_t ifindex, struct berm_err *err)
{
	int rc = 0, other;

	for (int dir = 0; dir < BERM_DIR_COUNT; dir++) {
		if (tcx_unpin(ifindex, dir))
			continue;
		other = clsact_detach(ifindex, dir, err);
		rc = rc ? rc : other;
	}
	return rc;
}

/* ---- looking ------------------------------------------------------------------------------------------------ */

static int prog_info(int fd, struct bpf_prog_info *info)
{
	__u32 len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(fd, info, &len);
}

/* Needs CAP_SYS_ADMIN for programs of others; without it they have numbers only. */
static void prog_name(uint32_t id, char *out, size_t size)
{
	auto_close int fd = bpf_prog_get_fd_by_id(id);
	struct bpf_prog_info info;

	if (fd >= 0 && !prog_info(fd, &info) && info.name[0])
		snprintf(out, size, "%s", info.name);
	else
		snprintf(out, size, "program-%u", id);
}

static uint32_t pinned_prog_id(int dir)
{
	struct bpf_prog_info info;
	auto_close int fd = -1;

	if (berm_prog_open(dir, &fd, NULL) || prog_info(fd, &info))
		return 0;
	return info.id;
}

/* Id of the program that our own tcx link holds on this device; 0 = no such link. */
static uint32_t tcx_own_prog_id(uint32_t ifindex, int dir)
{
	struct bpf_link_info info;
	char path[PATH_MAX];
	auto_close int fd = -1;

	pin_path(ifindex, dir, path);
	fd = bpf_obj_get(path);
	if (fd < 0 || link_info(fd, &info) || link_ifindex(&info) != ifindex)
		return 0;
	return info.prog_id;
}

/* Data paths that deliver straight into the peer namespace, by the names of their programs. */
static bool is_bypass(const char *name)
{
	static const char *const prefixes[] = { "cil_", "cali_", "calico_" };

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

/* One program on the hook, in the order in which they run. */
static void see_foreign(struct berm_hook_state *hook, const char *name)
{
	if (!hook->bypass[0] && is_bypass(name))
		snprintf(hook->bypass, sizeof(hook->bypass), "%s", name);
	if (hook->attached)
		return;
	if (!hook->before++)
		snprintf(hook->foreign, sizeof(hook->foreign), "%s", name);
}

static void see_own(struct berm_hook_state *hook, enum berm_attach_mode mode, bool is_current)
{
	hook->attached = true;
	hook->current = is_current;
	hook->mode = mode;
}

static int tcx_inspect(uint32_t ifindex, int dir, struct berm_hook_state *hook,
		       struct berm_err *err)
{
	uint32_t ids[TCX_MAX_PROGS] = { 0 }, count = TCX_MAX_PROGS, flags = 0, own, pinned;
	char name[64];
	int rc = bpf_prog_query((int)ifindex, (enum bpf_attach_type)hooks_of[dir].tcx, 0, &flags,
				ids, &count);

	if (rc == -ENOENT || kernel_lacks_tcx(rc))
		return 0;
	if (rc)
		return berm_fail(err, rc, "look at the tcx hooks of ifindex %u", ifindex);
	own = tcx_own_prog_id(ifindex, dir);
	pinned = pinned_prog_id(dir);
	if (!own) /* our program by a link whose pin is hidden, under a second mount of bpffs */
		own = pinned;
	for (uint32_t i = 0; i < count && i < TCX_MAX_PROGS; i++) {
		if (own && ids[i] == own) {
			see_own(hook, BERM_ATTACH_TCX, own == pinned);
		} else {
			prog_name(ids[i], name, sizeof(name));
			see_foreign(hook, name);
		}
	}
	return 0;
}

static int by_prio(const void *a, const void *b)
{
	const struct filter *x = a, *y = b;

	return x->prio < y->prio ? -1 : x->prio > y->prio;
}

static int clsact_inspect(uint32_t ifindex, int dir, struct berm_hook_state *hook,
			  struct berm_err *err)
{
	struct filters list;
	int rc = filters_read(ifindex, dir, &list, err);

	if (rc)
		return rc;
	qsort(list.item, list.count, sizeof(list.item[0]), by_prio);
	for (size_t i = 0; i < list.count; i++) {
		const struct filter *f = &list.item[i];

		if (is_ours(f, dir) && !hook->attached)
			see_own(hook, BERM_ATTACH_CLSACT,
				f->prog_id && f->prog_id == pinned_prog_id(dir));
		else
			see_foreign(hook, f->name[0] ? f->name : f->kind);
	}
	return 0;
}

/* -ENODEV only if the kernel says so: slots are freed on it. */
static int device_check(uint32_t ifindex)
{
	char name[IF_NAMESIZE];

	if (if_indextoname(ifindex, name))
		return 0;
	if (errno == ENXIO)
		return -ENODEV;
	return errno == ENOENT ? -EMFILE
			       : -errno; /* glibc's ENOENT: it got no socket to ask with */
}

int berm_link_glance(uint32_t ifindex, uint64_t *ret)
{
	uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a, by words */

	for (int dir = 0; dir < BERM_DIR_COUNT; dir++) {
		uint32_t ids[TCX_MAX_PROGS] = { 0 }, count = TCX_MAX_PROGS, flags = 0;
		int rc = bpf_prog_query((int)ifindex, (enum bpf_attach_type)hooks_of[dir].tcx, 0,
					&flags, ids, &count);

		if (kernel_lacks_tcx(rc)) {
			*ret = 0;
			return device_check(ifindex);
		}
		if (rc && rc != -ENOENT) /* -ENOENT: nothing is there */
			return rc;
		for (uint32_t i = 0; !rc && i < count && i < TCX_MAX_PROGS; i++)
			hash = (hash ^ ids[i]) * 0x100000001b3u;
		hash = (hash ^ 0xff) * 0x100000001b3u; /* where the first hook ends */
	}
	*ret = hash;
	return 0;
}

int berm_link_inspect(uint32_t ifindex, struct berm_hook_state hooks[2], struct berm_err *err)
{
	struct berm_hook_state seen[BERM_DIR_COUNT] = { 0 };
	int rc = device_check(ifindex);

	if (rc)
		return berm_fail(err, rc, "ifindex %u", ifindex);
	for (int dir = 0; !rc && dir < BERM_DIR_COUNT; dir++) {
		rc = tcx_inspect(ifindex, dir, &seen[dir], err); /* tcx runs before the filters */
		if (!rc)
			rc = clsact_inspect(ifindex, dir, &seen[dir], err);
	}
	if (rc)
		return rc;
	memcpy(hooks, seen, sizeof(seen));
	return 0;
}

/* ---- collecting ---------------------------------------------------------------------------------------------- */

static bool is_stale(const char *path)
{
	struct bpf_link_info info;
	auto_close int fd = bpf_obj_get(path);

	return fd >= 0 && !link_info(fd, &info) && !link_ifindex(&info);
}

int berm_link_collect(struct berm_err *err)
{
	DIR *dir = opendir(BERM_PIN_LINKS);
	struct dirent *entry;
	char path[PATH_MAX];
	int count = 0;

	if (!dir)
		return errno == ENOENT ? 0 : berm_fail(err, -errno, "open " BERM_PIN_LINKS);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), BERM_PIN_LINKS "/%s", entry->d_name);
		if (is_stale(path) && !unlink(path))
			count++;
	}
	closedir(dir);
	return count;
}
