/* SPDX-License-Identifier: Apache-2.0 */
/* uplink.c - loads, fills and attaches the block list. Knows no order of updates. */
#include "uplink.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "paths.h"

#include "uplink.skel.h" /* wants abi.h before it */

struct held { /* a link that stays though its pin vanishes: a bpffs that is unmounted, or mounted over */
	uint32_t ifindex;
	int fd; /* 0: none */
};

struct berm_uplink {
	struct uplink_bpf *skel;
	int prog;
	uint32_t prog_id;
	struct held held[BERM_UPLINK_MAX];
};

/* ---- loading ---------------------------------------------------------------------------------------------- */

static int no_print(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level, (void)fmt, (void)ap;
	return 0;
}

static int prog_id(int fd, uint32_t *ret)
{
	struct bpf_prog_info info = { 0 };
	__u32 len = sizeof(info);
	int rc = bpf_obj_get_info_by_fd(fd, &info, &len);

	if (!rc)
		*ret = info.id;
	return rc;
}

static int load(struct berm_uplink *u, const struct berm_maps *maps, struct berm_err *err)
{
	int rc = bpf_map__reuse_fd(u->skel->maps.berm_hits, maps->fd[BERM_MAP_hits]);

	if (!rc)
		rc = uplink_bpf__load(u->skel);
	if (rc)
		return berm_fail(err, rc, "load the XDP program of the block list");
	u->prog = bpf_program__fd(u->skel->progs.berm_uplink);
	rc = prog_id(u->prog, &u->prog_id);
	return rc ? berm_fail(err, rc, "look at the XDP program of the block list") : 0;
}

int berm_uplink_open(const struct berm_maps *maps, bool any_destination, struct berm_uplink **ret,
		     struct berm_err *err)
{
	libbpf_print_fn_t before = libbpf_set_print(no_print);
	struct berm_uplink *u = calloc(1, sizeof(*u));
	int rc = -ENOMEM;

	if (u)
		u->skel = uplink_bpf__open();
	if (u && u->skel) {
		u->skel->rodata->cfg_any_destination = any_destination;
		rc = load(u, maps, err);
	} else {
		berm_fail(err, rc, "open the XDP program of the block list");
	}
	libbpf_set_print(before);
	if (rc)
		berm_uplink_close(u);
	else
		*ret = u;
	return rc;
}

void berm_uplink_close(struct berm_uplink *uplink)
{
	if (!uplink)
		return;
	for (size_t i = 0; i < BERM_UPLINK_MAX; i++)
		if (uplink->held[i].fd)
			close(uplink->held[i].fd);
	uplink_bpf__destroy(uplink->skel);
	free(uplink);
}

/* ---- filling ---------------------------------------------------------------------------------------------- */

static struct berm_cidr_key key_of(const struct berm_cidr *cidr)
{
	struct berm_cidr_key key = {
		.prefixlen = 32u + cidr->bits,
		.table = htobe32(cidr->v4 ? BERM_BLOCKS_V4 : BERM_BLOCKS_V6),
	};

	memcpy(key.addr, &cidr->addr, sizeof(key.addr));
	return key;
}

int berm_uplink_block(const struct berm_uplink *uplink, const struct berm_cidr *cidr,
		      const struct berm_block *value, struct berm_err *err)
{
	struct berm_cidr_key key = key_of(cidr);
	int rc = bpf_map_update_elem(bpf_map__fd(uplink->skel->maps.berm_blocks), &key, value,
				     BPF_ANY);
	char text[BERM_CIDR_STRLEN];

	if (!rc)
		return 0;
	berm_cidr_format(cidr, text);
	return berm_fail(err, rc, "add %s to the block list of the uplink (room for %d)", text,
			 BERM_MAX_BLOCKS);
}

void berm_uplink_unblock(const struct berm_uplink *uplink, const struct berm_cidr *cidr)
{
	struct berm_cidr_key key = key_of(cidr);

	(void)bpf_map_delete_elem(bpf_map__fd(uplink->skel->maps.berm_blocks),
				  &key); /* only fails if it is not there */
}

int berm_uplink_shield(const struct berm_uplink *uplink, const struct berm_addr *addr,
		       struct berm_err *err)
{
	__u32 one = 1;
	int rc = bpf_map_update_elem(bpf_map__fd(uplink->skel->maps.berm_shielded), addr, &one,
				     BPF_ANY);
	char text[BERM_ADDR_STRLEN];

	if (!rc)
		return 0;
	berm_addr_format(addr, text);
	return berm_fail(err, rc, "shield %s at the uplink", text);
}

void berm_uplink_unshield(const struct berm_uplink *uplink, const struct berm_addr *addr)
{
	(void)bpf_map_delete_elem(bpf_map__fd(uplink->skel->maps.berm_shielded),
				  addr); /* as above */
}

int berm_uplink_counters(const struct berm_uplink *uplink, struct berm_uplink_counters *out,
			 struct berm_err *err)
{
	int cpus = libbpf_num_possible_cpus(), rc;
	auto_free struct berm_uplink_counters *cpu = NULL;
	__u32 zero = 0;

	if (cpus <= 0)
		return berm_fail(err, cpus ? cpus : -EIO, "count the CPUs");
	cpu = calloc((size_t)cpus, sizeof(*cpu));
	if (!cpu)
		return berm_fail(err, -ENOMEM, "read the counters of the uplink");
	rc = bpf_map_lookup_elem(bpf_map__fd(uplink->skel->maps.berm_uplink_counters), &zero, cpu);
	if (rc)
		return berm_fail(err, rc, "read the counters of the uplink");
	*out = (struct berm_uplink_counters){ 0 };
	for (int i = 0; i < cpus; i++) {
		out->packets += cpu[i].packets;
		out->bytes += cpu[i].bytes;
	}
	return 0;
}

/* ---- attaching -------------------------------------------------------------------------------------------- */

static void pin_path(uint32_t ifindex, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, BERM_PIN_UPLINK "/%u", ifindex);
}

struct on_device {
	uint32_t prog_id; /* 0: none */
	bool is_native;
};

static void look(uint32_t ifindex, struct on_device *out)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);

	*out = (struct on_device){ 0 };
	if (bpf_xdp_query((int)ifindex, 0, &opts))
		return;
	out->is_native = opts.attach_mode != XDP_ATTACHED_SKB;
	out->prog_id = opts.drv_prog_id	 ? opts.drv_prog_id
		       : opts.hw_prog_id ? opts.hw_prog_id
					 : opts.skb_prog_id;
	if (!out->prog_id)
		out->prog_id = opts.prog_id;
}

static int say_busy(uint32_t ifindex, struct berm_err *err)
{
	struct bpf_prog_info info = { 0 };
	__u32 len = sizeof(info);
	struct on_device there;
	auto_close int fd = -1;

	look(ifindex, &there);
	fd = bpf_prog_get_fd_by_id(there.prog_id);
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		info.name[0] = '\0';
	return berm_refuse(
		err, -EBUSY,
		"another XDP program ('%s', id %u) is attached; take it off, or leave the interface out of --uplink",
		info.name, there.prog_id);
}

static int create(const struct berm_uplink *uplink, uint32_t ifindex, uint32_t flags, int *ret_fd)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = flags);
	int fd = bpf_link_create(uplink->prog, (int)ifindex, BPF_XDP, &opts);

	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

static struct held *held_of(struct berm_uplink *uplink, uint32_t ifindex)
{
	for (size_t i = 0; i < BERM_UPLINK_MAX; i++)
		if (uplink->held[i].fd && uplink->held[i].ifindex == ifindex)
			return &uplink->held[i];
	return NULL;
}

static void let_go(struct held *held)
{
	if (!held)
		return;
	close(held->fd);
	*held = (struct held){ 0 };
}

/* Of a descriptor that stays the caller's. */
static void hold(struct berm_uplink *uplink, uint32_t ifindex, int fd)
{
	int copy;

	if (held_of(uplink, ifindex))
		return;
	for (size_t i = 0; i < BERM_UPLINK_MAX; i++) {
		if (uplink->held[i].fd)
			continue;
		copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (copy > 0)
			uplink->held[i] = (struct held){ ifindex, copy };
		return;
	}
}

static int pin(uint32_t ifindex, int fd, struct berm_err *err)
{
	char path[PATH_MAX];
	int rc;

	if (mkdir(BERM_PIN_UPLINK, 0700) && errno != EEXIST)
		return berm_fail(err, -errno, "make " BERM_PIN_UPLINK);
	pin_path(ifindex, path);
	rc = bpf_obj_pin(fd, path);
	return rc ? berm_fail(err, rc, "pin %s", path) : 0;
}

static int create_and_pin(struct berm_uplink *uplink, uint32_t ifindex, enum berm_uplink_mode mode,
			  struct berm_err *err)
{
	auto_close int fd = -1;
	int rc = -EOPNOTSUPP;

	if (mode != BERM_UPLINK_GENERIC)
		rc = create(uplink, ifindex, XDP_FLAGS_DRV_MODE, &fd);
	if (rc && rc != -EBUSY && mode != BERM_UPLINK_NATIVE)
		rc = create(uplink, ifindex, XDP_FLAGS_SKB_MODE, &fd);
	if (rc == -EBUSY || rc == -EEXIST)
		return say_busy(ifindex, err);
	if (rc)
		return berm_fail(err, rc, "attach the block list by XDP%s",
				 mode == BERM_UPLINK_NATIVE
					 ? "; the driver may not know it, --uplink-mode=generic needs none"
					 : "");
	rc = pin(ifindex, fd, err);
	if (!rc)
		hold(uplink, ifindex, fd);
	return rc;
}

static bool is_of(int link, uint32_t ifindex, struct bpf_link_info *info)
{
	__u32 len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return !bpf_obj_get_info_by_fd(link, info, &len) && info->xdp.ifindex == ifindex;
}

/* fd of our pinned link if it is still on this device; else the pin goes. One whose pin has vanished is pinned again. */
static int pinned_link(struct berm_uplink *uplink, uint32_t ifindex, struct bpf_link_info *info)
{
	struct held *held = held_of(uplink, ifindex);
	char path[PATH_MAX];
	int fd;

	if (held &&
	    !is_of(held->fd, ifindex, info)) { /* the device is gone, or it was detached by hand */
		let_go(held);
		held = NULL;
	}
	pin_path(ifindex, path);
	fd = bpf_obj_get(path);
	if (fd == -ENOENT && held && !pin(ifindex, held->fd, NULL))
		fd = bpf_obj_get(path);
	if (fd < 0)
		return fd;
	if (is_of(fd, ifindex, info)) {
		hold(uplink, ifindex, fd);
		return fd;
	}
	close(fd);
	(void)unlink(path); /* as above */
	return -ENOENT;
}

static bool fits(enum berm_uplink_mode mode, bool is_native)
{
	return mode == BERM_UPLINK_AUTO || (mode == BERM_UPLINK_NATIVE) == is_native;
}

int berm_uplink_attach(struct berm_uplink *uplink, uint32_t ifindex, enum berm_uplink_mode mode,
		       struct berm_err *err)
{
	struct bpf_link_info info;
	auto_close int fd = pinned_link(uplink, ifindex, &info);
	struct on_device there;
	char path[PATH_MAX];
	int rc;

	look(ifindex, &there);
	if (fd >= 0 && fits(mode, there.is_native)) {
		rc = bpf_link_update(fd, uplink->prog, NULL);
		return rc ? berm_fail(err, rc, "replace the XDP program of the block list") : 0;
	}
	if (fd >= 0) { /* the other mode: the walls do without it for a moment */
		pin_path(ifindex, path);
		(void)bpf_link_detach(fd); /* if not, the new link is refused, and that is told */
		(void)unlink(path);
		let_go(held_of(uplink, ifindex));
	}
	return create_and_pin(uplink, ifindex, mode, err);
}

bool berm_uplink_is_on(struct berm_uplink *uplink, uint32_t ifindex, bool *ret_native)
{
	struct bpf_link_info info;
	auto_close int fd = pinned_link(uplink, ifindex, &info);
	struct on_device there;

	if (fd < 0 || info.prog_id != uplink->prog_id)
		return false;
	look(ifindex, &there);
	*ret_native = there.is_native;
	return true;
}

static bool is_kept(uint32_t one, const uint32_t *ifindex, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (ifindex[i] == one)
			return true;
	return false;
}

void berm_uplink_keep(struct berm_uplink *uplink, const uint32_t *ifindex, size_t count)
{
	DIR *dir = opendir(BERM_PIN_UPLINK);
	struct dirent *entry;

	for (size_t i = 0; uplink && i < BERM_UPLINK_MAX; i++)
		if (uplink->held[i].fd && !is_kept(uplink->held[i].ifindex, ifindex, count))
			let_go(&uplink->held[i]);
	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' &&
		    !is_kept((uint32_t)strtoul(entry->d_name, NULL, 10), ifindex, count))
			(void)unlinkat(dirfd(dir), entry->d_name,
				       0); /* seen again at the next start */
	closedir(dir);
	if (!count)
		(void)rmdir(BERM_PIN_UPLINK);
}
