/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_status.c - STATUS: could an ADD work now? Looks, does not touch, does not wait. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "call.h"
#include "maps.h"
#include "paths.h"
#include "rest.h"

#define CONNECT_MS 50 /* a unix socket answers at once or not at all */

static int unavailable(int *ret_code, int rc)
{
	*ret_code = CNI_NOT_AVAILABLE;
	return rc;
}

/* Maps that nobody has made yet are no obstacle: ADD makes them, if it may. */
static int check_datapath(struct berm_err *err)
{
	struct berm_maps maps = BERM_MAPS_CLOSED;
	struct stat st;
	int rc = berm_maps_open(&maps, true, err);

	if (!rc)
		berm_maps_close(&maps);
	if (rc != -ENOENT)
		return rc;
	if (stat(BERM_BPFFS, &st))
		return berm_fail(err, -errno,
				 "no " BERM_BPFFS
				 ": is this kernel built with CONFIG_BPF_SYSCALL?");
	if (geteuid())
		return berm_refuse(err, -EPERM, "berm-cni must run as root to load the data path");
	return 0;
}

static int check_run_dir(struct berm_err *err)
{
	const char *dir = access(BERM_RUN_DIR, F_OK) ? "/run" : BERM_RUN_DIR;

	return access(dir, W_OK) ? berm_fail(err, -errno, "%s cannot be written to", dir) : 0;
}

/* Only with "hold" does an ADD need the agent. */
static int check_agent(const struct cni_call *call, struct berm_err *err)
{
	if (call->conf.fallback != CNI_HOLD && call->conf.boot_fallback != CNI_HOLD)
		return 0;
	return berm_rest_probe(call->conf.agent_socket, CONNECT_MS, err);
}

int cmd_status(const struct cni_call *call, int *ret_code, struct berm_err *err)
{
	int rc = check_datapath(err);

	if (!rc)
		rc = check_run_dir(err);
	if (!rc)
		rc = check_agent(call, err);
	return rc ? unavailable(ret_code, rc) : 0;
}
