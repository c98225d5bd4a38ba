/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_add.c - ADD: find the host veth, guard it, tell the agent, hand on what the primary plugin said.
 *
 * The steps stand in add(); whatever fails, the attachment is taken back before the error is printed.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attachment.h"
#include "call.h"
#include "cleanup.h"
#include "loader.h"
#include "log.h"
#include "pod.h"
#include "rest.h"
#include "result.h"

#define CONNECT_MS 250
#define LOAD_LOCK_MS                                                                               \
	20000 /* the first ADD after a boot verifies the programs, others wait for it */
#define UNDO_LOCK_MS 5000
#define ANSWER_GRACE_MS                                                                            \
	250 /* the agent counts the wait itself; this much longer for its answer to arrive */

struct add {
	const struct cni_call *call;
	struct berm_maps maps;
	struct berm_veth veth;
	struct berm_record rec;
	struct berm_record before; /* of an ADD that succeeded for the same interface already */
	bool has_before;
	enum cni_fallback fallback;
	bool is_exempt;
	int code; /* CNI code of the step that failed */
};

static int failed(struct add *a, int rc, enum cni_code code)
{
	a->code = code;
	return rc;
}

/* ---- where the pod is ----------------------------------------------------------------------------------- */

static void record_start(struct add *a)
{
	const struct cni_call *c = a->call;

	snprintf(a->rec.container_id, sizeof(a->rec.container_id), "%s", c->env.container_id);
	snprintf(a->rec.ifname, sizeof(a->rec.ifname), "%s", c->env.ifname);
	snprintf(a->rec.netns, sizeof(a->rec.netns), "%s", c->env.netns);
	memcpy(a->rec.ns, c->pod.ns, sizeof(a->rec.ns));
	memcpy(a->rec.pod, c->pod.name, sizeof(a->rec.pod));
	memcpy(a->rec.uid, c->pod.uid, sizeof(a->rec.uid));
}

/* Never code 3 ("container unknown: no need to DEL"): the primary plugin has allocated by now. */
static enum cni_code code_of_find(int rc)
{
	switch (rc) {
	case -ENODEV:
		return CNI_NO_INTERFACE;
	case -EMEDIUMTYPE:
		return CNI_UNSUPPORTED;
	case -EINVAL:
	case -ENOENT:
	case -ENOTDIR:
	case -EACCES:
	case -EXDEV:
		return CNI_INVALID_ENV;
	default:
		return CNI_IO_FAILURE;
	}
}

/* Addresses that the primary plugin reports but the kernel does not have yet (or any more room for). */
static void add_reported_addresses(struct add *a)
{
	const struct json_slice prev = { a->call->conf.prev, a->call->conf.prev_size };
	struct berm_addr reported[BERM_MAX_ADDRS];
	size_t count = result_addresses(&prev, a->call->env.ifname, reported, BERM_MAX_ADDRS);

	for (size_t i = 0; i < count; i++) {
		bool known = false;

		for (int k = 0; k < a->veth.addr_count; k++)
			known |= !memcmp(&a->veth.addr[k], &reported[i], sizeof(reported[i]));
		if (!known && a->veth.addr_count < BERM_MAX_ADDRS)
			a->veth.addr[a->veth.addr_count++] = reported[i];
	}
	if (a->veth.addr_more)
		berm_log(BERM_LOG_WARNING, "too-many-addresses",
			 "container=%s host_ifname=%s beyond=%u note=\"packets from these are dropped as spoofed\"",
			 a->rec.container_id, a->veth.name, a->veth.addr_more);
}

/* A runtime may call ADD again, after the first one was killed or its answer was lost. */
static void find_before(struct add *a)
{
	a->has_before = !berm_record_read(a->rec.container_id, a->rec.ifname, &a->before, NULL) &&
			a->before.ifindex == a->veth.ifindex &&
			a->before.peer_ifindex == a->veth.peer_ifindex &&
			berm_record_owns(&a->before, a->before.ifindex);
}

static int find_host_veth(struct add *a, struct berm_err *err)
{
	int rc = berm_netns_inode(a->call->env.netns, &a->rec.netns_inode, err);

	if (!rc)
		rc = berm_netdev_find(a->call->env.netns, a->call->env.ifname, &a->veth, err);
	if (rc)
		return failed(a, rc, code_of_find(rc));
	add_reported_addresses(a);
	find_before(a);
	return 0;
}

/* ---- data paths that pass the hook by ---------------------------------------------------------------------- */

/* Devices that a data path leaves on every node it drives, and the names it gives to host veths. */
static const char *bypass_by_device(const char *host_ifname)
{
	if (!strncmp(host_ifname, "lxc", 3) && berm_netdev_exists("cilium_host"))
		return "Cilium";
	if (!strncmp(host_ifname, "cali", 4) && berm_netdev_exists("bpfin.cali"))
		return "Calico's eBPF data path";
	return NULL;
}

static int refuse_bypass(struct add *a, struct berm_err *err)
{
	struct berm_hook_state hooks[BERM_DIR_COUNT];
	const char *who = bypass_by_device(a->veth.name);
	int rc;

	if (!who) {
		rc = berm_link_inspect(a->veth.ifindex, hooks, err);
		if (rc)
			return failed(a, rc, CNI_ATTACH);
		for (int dir = 0; dir < BERM_DIR_COUNT && !who; dir++)
			who = hooks[dir].bypass[0] ? hooks[dir].bypass : NULL;
	}
	if (!who)
		return 0;
	(void)berm_refuse(err, -EMEDIUMTYPE,
			  "%s delivers packets past the host side of %s (bpf_redirect_peer), so the pod's ingress cannot "
			  "be enforced; switch that off in the network plugin, or set \"onUnsupported\": \"report\" to "
			  "start pods with their egress enforced only",
			  who, a->call->env.ifname);
	return failed(a, -EMEDIUMTYPE, CNI_UNSUPPORTED);
}

/* onUnsupported: report. The pod starts; record, log and `bermctl status` say what is not enforced. */
static int accept_or_fail(struct add *a, int rc, struct berm_err *err)
{
	if (!rc || a->code != CNI_UNSUPPORTED || !a->call->conf.report_unsupported)
		return rc;
	snprintf(a->rec.problem, sizeof(a->rec.problem), "not enforced: %.100s", err->msg);
	berm_log(BERM_LOG_WARNING, "not-enforced", "container=%s pod=%s/%s reason=\"%s\"",
		 a->rec.container_id, a->rec.ns, a->rec.pod, err->msg);
	*err = (struct berm_err){ 0 };
	a->code = 0;
	return 0;
}

/* ---- what the pod gets until it is judged --------------------------------------------------------------------- */

static struct pod_sets sets_both(uint32_t set)
{
	return (struct pod_sets){ .of = { [BERM_INGRESS] = set, [BERM_EGRESS] = set } };
}

/* The directions in which some policy in force isolates pods of this namespace. While the node has had no
 * generation yet nobody knows, and then it is both. */
static struct pod_sets sets_isolate_namespace(const struct add *a, bool is_boot)
{
	const uint32_t both = 1u << BERM_INGRESS | 1u << BERM_EGRESS;
	struct pod_sets sets = sets_both(BERM_SET_OPEN);
	uint32_t dirs = both;
	int rc = is_boot ? 0 : berm_ns_isolation_get(&a->maps, a->rec.ns, &dirs);

	if (rc)
		dirs = rc == -ENOENT ? 0
				     : both; /* an error does not say that nothing isolates it */
	for (int dir = 0; dir < BERM_DIR_COUNT; dir++)
		if (dirs & 1u << dir)
			sets.of[dir] = BERM_SET_ESSENTIALS;
	return sets;
}

static struct pod_sets choose_fallback(struct add *a)
{
	bool is_boot = !__atomic_load_n(&a->maps.node->generation, __ATOMIC_ACQUIRE);

	a->is_exempt = a->rec.ns[0] && cni_conf_is_exempt(&a->call->conf, a->rec.ns);
	a->fallback = is_boot ? a->call->conf.boot_fallback : a->call->conf.fallback;
	snprintf(a->rec.fallback, sizeof(a->rec.fallback), "%s",
		 a->is_exempt ? "exempt" : cni_fallback_name(a->fallback));
	if (a->is_exempt || a->fallback == CNI_ALLOW)
		return sets_both(BERM_SET_OPEN);
	if (a->fallback == CNI_ISOLATE_NAMESPACE)
		return sets_isolate_namespace(a, is_boot);
	return sets_both(BERM_SET_DENY);
}

static int guard(struct add *a, struct berm_err *err)
{
	const struct berm_load_opts opts = { .lock_ms = LOAD_LOCK_MS, .mount_bpffs = true };
	struct pod_sets sets;
	int rc = berm_load_ensure(&opts, &a->maps, err);

	if (rc)
		return failed(a, rc, CNI_DATAPATH);
	sets = choose_fallback(a);
	rc = pod_enter(&a->maps, &a->rec, &a->veth, &sets, err);
	if (!rc)
		rc = pod_attach(&a->rec, a->call->conf.attach, err);
	return rc ? failed(a, rc, CNI_ATTACH) : 0;
}

/* ---- the agent's word ----------------------------------------------------------------------------------------- */

static bool says_judged(const struct berm_rest_reply *reply)
{
	cJSON *root = reply->status == 200 ? cJSON_ParseWithLength(reply->body, reply->size) : NULL;
	bool judged = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(root, "judged"));

	cJSON_Delete(root);
	return judged;
}

static bool ask_agent(const struct add *a, struct berm_err *err)
{
	auto_free char *body = berm_record_format(&a->rec, a->call->conf.wait_ms);
	struct berm_rest_call call = { .socket = a->call->conf.agent_socket,
				       .method = "POST",
				       .path = "/v1/endpoints",
				       .body = body,
				       .connect_ms = CONNECT_MS,
				       .timeout_ms = a->call->conf.wait_ms + ANSWER_GRACE_MS };
	struct berm_rest_reply reply = { 0 };
	bool judged;

	if (!body || berm_rest(&call, &reply, err))
		return false;
	judged = says_judged(&reply);
	if (!judged)
		(void)berm_refuse(err, -EAGAIN, "the agent answers %d: %.200s", reply.status,
				  reply.body);
	berm_rest_clear(&reply);
	return judged;
}

/* The record tells what ADD left the pod with: its fallback, or nothing if the agent was in time. Whether a fallback
 * still counts says the kernel (BERM_EP_FALLBACK). The agent may have written the record anew meanwhile. */
static void mark_judged(struct add *a)
{
	struct berm_err err = { 0 };
	struct berm_record now;

	if (berm_record_read(a->rec.container_id, a->rec.ifname, &now, NULL))
		now = a->rec;
	a->rec.fallback[0] = '\0';
	if (!now.fallback[0])
		return;
	now.fallback[0] = '\0';
	if (berm_record_write(&now, &err))
		berm_log(BERM_LOG_WARNING, "record-stale", "reason=\"%s\"", err.msg);
}

static int wait_for_agent(struct add *a, struct berm_err *err)
{
	struct berm_err why = { 0 };

	if (a->is_exempt) /* never waits; the agent sees the record (inotify) */
		return 0;
	if (ask_agent(a, &why)) {
		mark_judged(a);
		return 0;
	}
	berm_log(BERM_LOG_WARNING, "fallback", "container=%s pod=%s/%s fallback=%s reason=\"%s\"",
		 a->rec.container_id, a->rec.ns, a->rec.pod, a->rec.fallback, why.msg);
	if (a->fallback != CNI_HOLD)
		return 0;
	(void)berm_refuse(err, -EAGAIN,
			  "the agent has not judged the pod and the fallback is to hold it: %s",
			  why.msg);
	return failed(a, -EAGAIN, CNI_TRY_AGAIN);
}

/* ---- all of it -------------------------------------------------------------------------------------------------- */

static int add_guarded(struct add *a, struct berm_err *err)
{
	const struct json_slice prev = { a->call->conf.prev, a->call->conf.prev_size };
	int rc = guard(a, err);

	if (!rc)
		rc = wait_for_agent(a, err);
	if (rc)
		return rc;
	rc = result_print(stdout, &prev, a->call->conf.version, err);
	return rc ? failed(a, rc, CNI_IO_FAILURE) : 0;
}

/* A pod that cannot be guarded, under onUnsupported: report. */
static int add_unguarded(struct add *a, struct berm_err *err)
{
	const struct json_slice prev = { a->call->conf.prev, a->call->conf.prev_size };
	int rc = berm_record_write(&a->rec, err);

	if (!rc)
		rc = result_print(stdout, &prev, a->call->conf.version, err);
	return rc ? failed(a, rc, CNI_IO_FAILURE) : 0;
}

static int add(struct add *a, struct berm_err *err)
{
	int rc = accept_or_fail(a, find_host_veth(a, err), err);

	if (rc)
		return rc;
	if (!a->veth.ifindex)
		return add_unguarded(a, err);
	rc = accept_or_fail(a, refuse_bypass(a, err), err);
	return rc ? rc : add_guarded(a, err);
}

/* An earlier ADD's guard stays, with the fallback: only its own DEL may open the pod. */
static void undo(const struct add *a)
{
	struct berm_err err = { 0 };
	int rc = 0;

	if (a->has_before)
		rc = pod_restore(&a->before, UNDO_LOCK_MS, &err);
	else if (a->rec.ifindex || a->rec.intent_ifindex)
		rc = berm_attachment_end(&a->rec, UNDO_LOCK_MS, &err);
	if (rc)
		berm_log(BERM_LOG_WARNING, "undo-failed", "container=%s reason=\"%s\"",
			 a->rec.container_id, err.msg);
}

int cmd_add(const struct cni_call *call, int *ret_code, struct berm_err *err)
{
	struct add a = { .call = call, .maps = BERM_MAPS_CLOSED };
	int rc;

	if (!call->conf.prev) {
		*ret_code = CNI_INVALID_CONFIG;
		return berm_refuse(err, -EINVAL,
				   "no prevResult: berm-cni guards what another plugin has made, so it must "
				   "come after it in the \"plugins\" list of a conflist");
	}
	record_start(&a);
	rc = add(&a, err);
	if (rc)
		undo(&a);
	else
		berm_log(BERM_LOG_INFO, "pod-added",
			 "container=%s pod=%s/%s ifname=%s host_ifname=%s ifindex=%u slot=%u mode=%s fallback=%s",
			 a.rec.container_id, a.rec.ns, a.rec.pod, a.rec.ifname, a.rec.host_ifname,
			 a.rec.ifindex, a.rec.slot, a.rec.mode,
			 a.rec.fallback[0] ? a.rec.fallback : "none");
	berm_maps_close(&a.maps);
	*ret_code = a.code;
	return rc;
}
