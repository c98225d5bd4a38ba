/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status_doc.c - gathers the state of the node. The kernel is asked itself; the agent adds what only it
 * knows. An agent that is away is a warning: enforcement does not need it.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cleanup.h"
#include "jiffies.h"
#include "loader.h"
#include "paths.h"
#include "level.h"
#include "session_table.h"
#include "status.h"

static bool has_text(const cJSON *list, const char *text)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, list)
		if (cJSON_IsString(item) && !strcmp(item->valuestring, text))
			return true;
	return false;
}

static void say(cJSON *doc, const char *list, const char *text)
{
	cJSON *array = cJSON_GetObjectItemCaseSensitive(doc, list);

	if (*text && !has_text(array, text))
		cJSON_AddItemToArray(array, cJSON_CreateString(text));
}

static void add_host(cJSON *doc)
{
	char name[256] = "";
	struct utsname kernel;

	if (!gethostname(name, sizeof(name) - 1))
		cJSON_AddStringToObject(doc, "node", name);
	if (!uname(&kernel))
		cJSON_AddStringToObject(doc, "kernel", kernel.release);
	cJSON_AddNumberToObject(doc, "abi", BERM_ABI_VERSION);
}

/* ---- the agent ---- */

static void take_agent_facts(cJSON *doc, cJSON *agent, const cJSON *status)
{
	static const char *const facts[] = { "version",	   "pid",   "uptime_seconds", "rss_bytes",
					     "last_apply", "usage", "session_table" };
	static const char *const top[] = { "policies",	 "problems", "install", "uplink",
					   "api_server", "watches",  "config" };

	for (size_t i = 0; i < ARRAY_SIZE(facts); i++)
		if (ctl_at(status, facts[i]))
			cJSON_AddItemToObject(agent, facts[i],
					      cJSON_Duplicate(ctl_at(status, facts[i]), true));
	for (size_t i = 0; i < ARRAY_SIZE(top); i++)
		if (ctl_at(status, top[i]))
			cJSON_AddItemToObject(doc, top[i],
					      cJSON_Duplicate(ctl_at(status, top[i]), true));
	if (*ctl_string_at(status, "install.error"))
		say(doc, "warnings", ctl_string_at(status, "install.error"));
	if (*ctl_string_at(status, "node"))
		cJSON_ReplaceItemInObjectCaseSensitive(doc, "node",
						       cJSON_CreateString(
							       ctl_string_at(status, "node")));
}

static void take_agent_reasons(cJSON *doc, const cJSON *status)
{
	const cJSON *reason;

	if (!ctl_at(status, "enforcing") || ctl_true_at(status, "enforcing"))
		return;
	cJSON_ArrayForEach(reason, ctl_at(status, "reasons"))
		if (cJSON_IsString(reason))
			say(doc, "reasons", reason->valuestring);
	if (!ctl_at(doc, "reasons")->child)
		say(doc, "reasons", "the agent says that it is not enforcing, without a reason");
}

static void add_agent(cJSON *doc, const struct ctl_options *options, bool has_data_path)
{
	cJSON *agent = cJSON_AddObjectToObject(doc, "agent"), *status = NULL;
	struct berm_err err = { 0 };
	int rc = ctl_agent_get(options, "/v1/status", &status, &err);

	cJSON_AddBoolToObject(agent, "running", !rc);
	if (!rc) {
		take_agent_facts(doc, agent, status);
		take_agent_reasons(doc, status);
	} else if (ctl_agent_is_absent(rc)) {
		say(doc, "warnings",
		    has_data_path
			    ? "no agent: what is in force stays so, changes of policy wait for it"
			    : "no agent is running on this node");
	} else {
		cJSON_AddStringToObject(agent, "error", err.msg);
		say(doc, "warnings", err.msg);
	}
	cJSON_Delete(status);
}

/* ---- data path ---- */

static void add_program(cJSON *list, cJSON *doc, const char *name, int dir)
{
	cJSON *item = cJSON_CreateObject();
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info);
	struct berm_err err = { 0 };
	auto_close int fd = -1;
	bool pinned = !berm_prog_open(dir, &fd, &err);

	cJSON_AddStringToObject(item, "name", name);
	cJSON_AddBoolToObject(item, "pinned", pinned);
	if (!pinned)
		say(doc, "reasons", err.msg);
	else if (!bpf_obj_get_info_by_fd(fd, &info, &size))
		cJSON_AddNumberToObject(item, "id", info.id);
	cJSON_AddItemToArray(list, item);
}

static void add_programs(cJSON *doc)
{
	cJSON *list = cJSON_AddArrayToObject(doc, "programs");

	add_program(list, doc, "from_pod", BERM_EGRESS);
	add_program(list, doc, "to_pod", BERM_INGRESS);
}

static void add_usage(cJSON *list, const char *name, double used, uint32_t max)
{
	cJSON *item = cJSON_CreateObject();

	cJSON_AddStringToObject(item, "name", name);
	cJSON_AddNumberToObject(item, "used", used);
	cJSON_AddNumberToObject(item, "max", max);
	cJSON_AddNumberToObject(item, "ratio", used / max);
	cJSON_AddItemToArray(list, item);
}

static void add_map(cJSON *list, const struct ctl_node *node, enum berm_map_id id)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);
	long used = ctl_map_used(node->maps.fd[id]);

	if (used < 0 || bpf_obj_get_info_by_fd(node->maps.fd[id], &info, &size) ||
	    !info.max_entries)
		return;
	add_usage(list, berm_map_name(id) + strlen("berm_"), (double)used, info.max_entries);
}

/* Arrays are always full; only maps whose entries come and go say something. */
static void add_maps(cJSON *doc, const struct ctl_node *node)
{
	static const enum berm_map_id counted[] = { BERM_MAP_ifaces, BERM_MAP_peers,
						    BERM_MAP_cidrs,  BERM_MAP_rows,
						    BERM_MAP_local,  BERM_MAP_ns_isolation };
	cJSON *list = cJSON_AddArrayToObject(doc, "maps");

	for (size_t i = 0; i < ARRAY_SIZE(counted); i++)
		add_map(list, node, counted[i]);
}

/* Tables that are arrays: only the agent knows how much of them is in use. */
static void add_agent_usage(cJSON *doc)
{
	static const struct {
		const char *name;
		uint32_t max;
	} tables[] = { { "sets", BERM_MAX_SETS },
		       { "cells", BERM_MAX_CELLS },
		       { "rules", BERM_MAX_RULES },
		       { "port_classes", BERM_MAX_PORT_CLASSES } };
	const cJSON *usage = ctl_at(doc, "agent.usage");

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		if (ctl_at(usage, tables[i].name))
			add_usage(cJSON_GetObjectItemCaseSensitive(doc, "maps"), tables[i].name,
				  ctl_number_at(usage, tables[i].name), tables[i].max);
}

struct session_count {
	uint32_t now;
	size_t half_open, established, half_closed, closing;
};

static int count_session(const struct ctl_session *session, void *arg)
{
	struct session_count *count = arg;
	const char *state = ctl_session_state(&session->way);

	if ((int32_t)(session->deadline - count->now) <= 0)
		return 0;
	if (!strcmp(state, "established"))
		count->established++;
	else if (!strcmp(state, "half-open"))
		count->half_open++;
	else if (!strcmp(state, "half-closed"))
		count->half_closed++;
	else
		count->closing++;
	return 0;
}

static void add_sessions(cJSON *doc, const struct ctl_node *node)
{
	struct session_count count = { 0 };
	double live, ratio, room = (double)node->maps.buckets * BERM_WAYS;
	cJSON *object;
	uint32_t hz;

	if (berm_jiffies_read(&count.now, &hz, NULL) ||
	    ctl_sessions_walk(&node->maps, count_session, &count, NULL))
		return;
	live = (double)(count.half_open + count.established + count.half_closed + count.closing);
	object = cJSON_AddObjectToObject(doc, "sessions");
	cJSON_AddNumberToObject(object, "established", (double)count.established);
	cJSON_AddNumberToObject(object, "half_open", (double)count.half_open);
	cJSON_AddNumberToObject(object, "half_closed", (double)count.half_closed);
	cJSON_AddNumberToObject(object, "closing", (double)count.closing);
	cJSON_AddNumberToObject(object, "max", room);
	ratio = room > 0 ? live / room : 0;
	cJSON_AddNumberToObject(object, "ratio", ratio);
	cJSON_AddStringToObject(object, "level",
				berm_level_name(berm_level_of(ratio, BERM_LEVEL_NORMAL)));
}

static void add_verdict(cJSON *list, const struct berm_counters *counters, int dir,
			unsigned int reason)
{
	cJSON *item;

	if (!counters->packets[dir][reason])
		return;
	item = cJSON_CreateObject();
	cJSON_AddStringToObject(item, "direction", dir == BERM_INGRESS ? "ingress" : "egress");
	cJSON_AddStringToObject(item, "reason", berm_reason_name(reason));
	cJSON_AddNumberToObject(item, "packets", (double)counters->packets[dir][reason]);
	cJSON_AddNumberToObject(item, "bytes", (double)counters->bytes[dir][reason]);
	cJSON_AddItemToArray(list, item);
}

static void add_counters(cJSON *doc, const struct ctl_node *node)
{
	static const char *const names[] = {
#define X(id, name) [BERM_STAT_##id] = name,
		BERM_STATS(X)
#undef X
	};
	cJSON *verdicts, *stats;
	struct berm_counters counters;

	if (berm_counters_read(&node->maps, &counters, NULL))
		return;
	verdicts = cJSON_AddArrayToObject(doc, "verdicts");
	for (int dir = 0; dir < BERM_DIR_COUNT; dir++)
		for (unsigned int reason = 0; reason < BERM_REASON_COUNT; reason++)
			add_verdict(verdicts, &counters, dir, reason);
	stats = cJSON_AddObjectToObject(doc, "counters");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		cJSON_AddNumberToObject(stats, names[i], (double)counters.stat[i]);
}

/* ---- pods ---- */

static void add_pod_problem(cJSON *list, cJSON *doc, const cJSON *endpoint)
{
	const char *ns = ctl_string_at(endpoint, "namespace"),
		   *pod = ctl_string_at(endpoint, "pod");
	const char *problem = ctl_string_at(endpoint, "problem");
	auto_free char *text = ctl_printf("pod %s/%s: %s", ns, pod, problem);
	cJSON *item = cJSON_CreateObject();

	cJSON_AddStringToObject(item, "namespace", ns);
	cJSON_AddStringToObject(item, "pod", pod);
	cJSON_AddStringToObject(item, "interface", ctl_string_at(endpoint, "host_ifname"));
	cJSON_AddStringToObject(item, "problem", problem);
	cJSON_AddItemToArray(list, item);
	if (text)
		say(doc, "reasons", text);
}

static void add_endpoints(cJSON *doc, const struct ctl_node *node,
			  const struct ctl_options *options)
{
	cJSON *object = cJSON_AddObjectToObject(doc, "endpoints"), *bad, *all = NULL;
	size_t total = 0, fallback = 0, enforced = 0;
	const cJSON *endpoint;

	if (ctl_agent_get(options, "/v1/endpoints", &all, NULL)) /* then without it */
		all = ctl_node_endpoints(node);
	ctl_endpoints_inspect(all);
	bad = cJSON_CreateArray();
	cJSON_ArrayForEach(endpoint, ctl_at(all, "endpoints")) {
		total++;
		fallback += !ctl_true_at(endpoint, "judged");
		enforced += ctl_true_at(endpoint, "enforced");
		if (!ctl_true_at(endpoint, "enforced"))
			add_pod_problem(bad, doc, endpoint);
	}
	cJSON_AddNumberToObject(object, "total", (double)total);
	cJSON_AddNumberToObject(object, "enforced", (double)enforced);
	cJSON_AddNumberToObject(object, "fallback", (double)fallback);
	cJSON_AddItemToObject(object, "not_enforced", bad);
	cJSON_Delete(all);
}

static void add_node(cJSON *doc, const struct ctl_node *node, const struct ctl_options *options)
{
	auto_free char *bad = NULL;

	cJSON_AddNumberToObject(doc, "generation", (double)node->maps.node->generation);
	if (!node->maps.node->generation)
		say(doc, "reasons",
		    "no generation of policy has been applied since the data path was loaded");
	if (node->bad_records)
		bad = ctl_printf("%zu unreadable file%s in %s", node->bad_records,
				 node->bad_records == 1 ? "" : "s", BERM_RECORD_DIR);
	if (bad)
		say(doc, "reasons", bad);
	add_programs(doc);
	add_endpoints(doc, node, options);
	add_maps(doc, node);
	add_agent_usage(doc);
	add_sessions(doc, node);
	add_counters(doc, node);
}

int ctl_status_gather(const struct ctl_options *options, cJSON **ret, struct berm_err *err)
{
	struct ctl_node node;
	cJSON *doc;
	int rc = ctl_node_open(&node, err);

	if (rc == -EPERM || rc == -EACCES)
		return rc;
	doc = cJSON_CreateObject();
	cJSON_AddBoolToObject(doc, "enforcing", false); /* settled at the end, stands first */
	cJSON_AddArrayToObject(doc, "reasons");
	cJSON_AddArrayToObject(doc, "warnings");
	add_host(doc);
	if (rc)
		say(doc, "reasons", err->msg);
	add_agent(doc, options, !rc);
	if (!rc)
		add_node(doc, &node, options);
	cJSON_ReplaceItemInObjectCaseSensitive(doc, "enforcing",
					       cJSON_CreateBool(!ctl_at(doc, "reasons")->child));
	ctl_node_close(&node);
	*ret = doc;
	return 0;
}
