/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_del.c - DEL: from container ID and interface name alone, never failing, never waiting for the agent
 * (it sees the record go) and hardly for a lock: what cannot be done now, the next call or the agent does.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "attachment.h"
#include "call.h"
#include "log.h"

/* Others need less than a millisecond each if they get a CPU, but a process that hangs with the lock must not hold up
 * DEL: it has 50 ms in all. */
#define LOCK_MS 15

void cmd_del(const struct cni_call *call)
{
	struct berm_record rec;
	struct berm_err err = { 0 };
	bool later = false;
	int rc;

	if (cni_env_check(&call->env, &err)) {
		berm_log(BERM_LOG_WARNING, "del-ignored", "reason=\"%s\"", err.msg);
		return;
	}
	rc = berm_attachment_find(call->env.container_id, call->env.ifname, &rec, &err);
	if (rc && rc != -ENOENT)
		berm_log(BERM_LOG_WARNING, "record-unreadable", "reason=\"%s\"", err.msg);
	err = (struct berm_err){ 0 };
	rc = berm_attachment_end_soon(&rec, LOCK_MS, &later, &err);
	if (later)
		berm_log(BERM_LOG_WARNING, "del-postponed",
			 "container=%s ifname=%s reason=\"%s\" effect=\"the next call or the agent does it\"",
			 rec.container_id, rec.ifname, err.msg);
	else if (rc)
		berm_log(BERM_LOG_WARNING, "del-incomplete", "container=%s ifname=%s reason=\"%s\"",
			 rec.container_id, rec.ifname, err.msg);
	else
		berm_log(BERM_LOG_INFO, "pod-deleted",
			 "container=%s pod=%s/%s ifname=%s ifindex=%u", rec.container_id, rec.ns,
			 rec.pod, rec.ifname, rec.ifindex);
}
