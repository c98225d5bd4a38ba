/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_gc.c - GC: take down what the runtime does not list, but only if the kernel agrees that it is gone: a
 * runtime that forgets to list a pod must not open it.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attachment.h"
#include "call.h"
#include "cleanup.h"
#include "log.h"
#include "netdev.h"

#define LOCK_MS 1000
#define LIST	"cni.dev/valid-attachments"

static bool text_is(const cJSON *object, const char *key, const char *want)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	return cJSON_IsString(item) && !strcmp(item->valuestring, want);
}

static bool is_listed(const cJSON *list, const struct berm_record *rec)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, list)
		if (text_is(item, "containerID", rec->container_id) &&
		    text_is(item, "ifname", rec->ifname))
			return true;
	return false;
}

/* The interface is gone or belongs to somebody else; without one, the namespace is. */
static bool is_gone(const struct berm_record *rec)
{
	uint32_t ifindex = rec->ifindex ? rec->ifindex : rec->intent_ifindex;
	uint64_t inode;

	if (ifindex)
		return berm_netdev_is_gone(ifindex, rec->peer_ifindex) ||
		       !berm_record_owns(rec, ifindex);
	return berm_netns_inode(rec->netns, &inode, NULL) || inode != rec->netns_inode;
}

static bool collect_one(const struct berm_record *rec)
{
	struct berm_err err = { 0 };

	if (berm_attachment_end(rec, LOCK_MS, &err)) {
		berm_log(BERM_LOG_WARNING, "gc-incomplete", "container=%s ifname=%s reason=\"%s\"",
			 rec->container_id, rec->ifname, err.msg);
		return false;
	}
	berm_log(BERM_LOG_INFO, "gc-collected", "container=%s pod=%s/%s ifname=%s ifindex=%u",
		 rec->container_id, rec->ns, rec->pod, rec->ifname, rec->ifindex);
	return true;
}

static int collect(const cJSON *list, struct berm_err *err)
{
	auto_free struct berm_record *recs = NULL;
	size_t count = 0, bad = 0, left = 0;
	int rc = berm_record_list(&recs, &count, &bad, err);

	if (rc)
		return rc;
	for (size_t i = 0; i < count; i++) {
		if (is_listed(list, &recs[i]))
			continue;
		if (is_gone(&recs[i]))
			left += !collect_one(&recs[i]);
		else
			berm_log(BERM_LOG_WARNING, "gc-kept",
				 "container=%s ifname=%s reason=\"not listed by the runtime, but "
				 "its interface %u is alive\"",
				 recs[i].container_id, recs[i].ifname, recs[i].ifindex);
	}
	rc = berm_attachment_collect(err);
	if (rc >= 0)
		rc = berm_link_collect(err);
	if (rc < 0)
		return rc;
	if (left)
		return berm_refuse(err, -EBUSY,
				   "%zu attachments could not be collected; see the log", left);
	if (bad)
		berm_log(BERM_LOG_WARNING, "records-unreadable", "count=%zu", bad);
	return 0;
}

int cmd_gc(const struct cni_call *call, int *ret_code, struct berm_err *err)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(call->conf.json, LIST);
	int rc;

	if (!list || cJSON_IsNull(list)) {
		berm_log(BERM_LOG_INFO, "gc-skipped", "reason=\"no " LIST "\"");
		return 0;
	}
	*ret_code = CNI_INVALID_CONFIG;
	if (!cJSON_IsArray(list))
		return berm_refuse(err, -EINVAL, "'" LIST "' must be a list");
	rc = collect(list, err);
	if (rc)
		*ret_code = CNI_IO_FAILURE;
	return rc;
}
