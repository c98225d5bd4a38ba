/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_del.c - DEL: from container ID and interface name alone, never failing, never waiting for the agent
 * (it sees the record go). What cannot be done now is collected later by GC or by the agent.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "call.h"
#include "log.h"
#include "pod.h"

#define LOCK_MS 1000 /* of one holder, who needs less than a millisecond if it gets a CPU */

/* A record that is damaged or was never finished has a name, and its interface may point to that name. */
static void record_from_name(const struct cni_env *env, struct berm_record *rec)
{
	*rec = (struct berm_record){ 0 };
	snprintf(rec->container_id, sizeof(rec->container_id), "%s", env->container_id);
	snprintf(rec->ifname, sizeof(rec->ifname), "%s", env->ifname);
	if (berm_record_find_owned(env->container_id, env->ifname, &rec->ifindex))
		rec->ifindex = 0;
}

void cmd_del(const struct cni_call *call)
{
	struct berm_record rec;
	struct berm_err err = { 0 };
	int rc;

	if (cni_env_check(&call->env, &err)) {
		berm_log(BERM_LOG_WARNING, "del-ignored", "reason=\"%s\"", err.msg);
		return;
	}
	rc = berm_record_read(call->env.container_id, call->env.ifname, &rec, &err);
	if (rc) {
		if (rc != -ENOENT)
			berm_log(BERM_LOG_WARNING, "record-unreadable", "reason=\"%s\"", err.msg);
		record_from_name(&call->env, &rec);
	}
	rc = pod_leave(&rec, LOCK_MS, &err);
	if (rc)
		berm_log(BERM_LOG_WARNING, "del-incomplete", "container=%s ifname=%s reason=\"%s\"",
			 rec.container_id, rec.ifname, err.msg);
	else
		berm_log(BERM_LOG_INFO, "pod-deleted",
			 "container=%s pod=%s/%s ifname=%s ifindex=%u", rec.container_id, rec.ns,
			 rec.pod, rec.ifname, rec.ifindex);
}
