/* SPDX-License-Identifier: Apache-2.0 */
/* wall.c - namespaces, then the product's own loader. Knows no policy and no packet. */
#include "wall.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jiffies.h"
#include "loader.h"
#include "paths.h"

static void own_files(void)
{
	ASSERT_EQ(unshare(CLONE_NEWNS), 0);
	ASSERT_EQ(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ASSERT_EQ(mount("tmpfs", "/run", "tmpfs", 0, NULL), 0);
	ASSERT_EQ(mkdir(BERM_RUN_DIR, 0755), 0);
	ASSERT_EQ(mount("bpf", BERM_BPFFS, "bpf", 0, "mode=0700"), 0);
}

/* Without addresses of its own, IPv6 has nothing to say either. */
static void own_devices(void)
{
	ASSERT_EQ(unshare(CLONE_NEWNET), 0);
	ASSERT_EQ(system("ip link set lo up &&"
			 " ip link add dev2 index 2 type veth peer name end2 index 12 &&"
			 " ip link add dev3 index 3 type veth peer name end3 index 13 &&"
			 " ip link add dev4 index 4 type veth peer name end4 index 14 &&"
			 " ip link set dev2 addrgenmode none && ip link set end2 addrgenmode none &&"
			 " ip link set dev2 up && ip link set end2 up"),
		  0);
}

static int load(uint32_t buckets, uint32_t half_open_s, const uint32_t *timeout_s,
		struct berm_maps *maps, struct berm_err *err)
{
	struct berm_load_opts opts = { .buckets = buckets, .replace_progs = true };

	memcpy(opts.sessions.timeout_s, timeout_s, sizeof(opts.sessions.timeout_s));
	if (half_open_s)
		opts.sessions.timeout_s[BERM_TIMEOUT_HALF_OPEN] = half_open_s;
	return berm_load_ensure(&opts, maps, err);
}

struct datapath *wall_build(uint32_t buckets, const uint32_t *timeout_s)
{
	struct datapath *dp = calloc(1, sizeof(*dp));
	struct berm_err err = { 0 };

	ASSERT_TRUE(dp);
	own_files();
	own_devices();
	dp->maps = (struct berm_maps)BERM_MAPS_CLOSED;
	ASSERT_OK(load(buckets, 0, timeout_s, &dp->maps, &err), &err);
	dp->hz = berm_jiffies_hz();
	dp->ingress_ifindex = WALL_OUTSIDE;
	dp->maps.node->flags = BERM_NODE_MISSING_DENY | BERM_NODE_EVENTS;
	return dp;
}

int wall_open_progs(int prog[BERM_DIR_COUNT], struct berm_err *err)
{
	int rc = 0;

	for (int dir = 0; !rc && dir < BERM_DIR_COUNT; dir++)
		rc = berm_prog_open(dir, &prog[dir], err);
	return rc;
}

int wall_reload(uint32_t half_open_s, const uint32_t *timeout_s, int prog[BERM_DIR_COUNT],
		struct berm_err *err)
{
	struct berm_maps maps = BERM_MAPS_CLOSED;
	int rc = load(0, half_open_s, timeout_s, &maps, err);

	if (rc)
		return rc;
	berm_maps_close(&maps);
	return wall_open_progs(prog, err);
}
