/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reconcile.c - compares devices, hooks, slots and records, and repairs. Judges nothing: that is the engine's
 * business once an endpoint is in the model.
 *
 * The plugin may be in the middle of an ADD or a DEL whenever we look. So what could be a plugin at work is
 * believed only when it is still so at a later look, and slots are taken and freed under the same lock.
 */
#include "reconcile.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "agent.h"
#include "attachment.h"
#include "array.h"
#include "cleanup.h"
#include "hooks.h"
#include "loader.h"
#include "log.h"
#include "netdev.h"
#include "netlink.h"
#include "nodeaddr.h"
#include "paths.h"
#include "upgrade.h"

#define TICK_MS	       250  /* hooks: a tcx link that is detached sends no event */
#define SLOW_TICKS     20   /* everything else that should not need it: about 5 s */
#define THOROUGH_TICKS 240  /* hooks, without a sign that anything has changed: once a minute */
#define SETTLE_MS      20   /* after an event: more are on their way */
#define DETACHED_MS    100  /* seen without our programs for so long: not a plugin at work */
#define SETTLED_MS     1000 /* the same for a pod without a slot, or a slot without its device */
#define LOCK_MS	       100
#define MAX_INTENT_S   600 /* an ADD that has not ended after this was killed */
#define MAX_STRAYS     4096
#define ADOPTED_IFNAME "eth0"

struct stray { /* a veth without a slot */
	uint32_t ifindex, peer_ifindex;
	int64_t since_ms;
};

struct watch { /* what we saw of a slot */
	uint32_t ifindex;
	int64_t detached_ms; /* without our programs since; 0: it has them */
	int64_t strange_ms;  /* its device is another one since; 0: it is not */
	bool must_attach;
	bool is_fine;	  /* inspected and found in order, when a glance showed... */
	uint64_t glance;  /* ...this */
	bool is_outdated; /* it has programs of an agent before us */
};

struct berm_reconcile {
	struct berm_agent *agent;
	int netlink;
	uv_poll_t events;
	uv_timer_t tick, soon, attach;
	unsigned int ticks;
	bool addrs_changed, links_changed, hooks_changed, must_adopt;
	struct berm_looks looks;
	bool want_look, want_devices, want_thorough; /* of the next look */
	bool is_stopping;
	bool is_upgrading;	/* the data path of another version is there, too */
	bool has_left;		/* attachments that could not be collected, told once */
	uint64_t model_version; /* when pods without a slot were last looked for */
	struct watch slot[BERM_MAX_ENDPOINTS];
	struct stray *stray;
	size_t stray_count;
};

static int64_t now_ms(const struct berm_reconcile *rec)
{
	return (int64_t)uv_now(&rec->agent->loop);
}

static void on_soon(uv_timer_t *timer);

static void look_soon(struct berm_reconcile *rec)
{
	if (!uv_is_active((uv_handle_t *)&rec->soon))
		uv_timer_start(&rec->soon, on_soon, SETTLE_MS, 0);
}

static void set_problem(struct berm_reconcile *rec, uint32_t slot, const char *text)
{
	if (!berm_endpoints_problem(rec->agent->endpoints, slot, text))
		return;
	if (*text)
		berm_log(BERM_LOG_ERROR, "endpoint-problem", "slot=%u ifindex=%u text=\"%s\"", slot,
			 rec->agent->maps.endpoints[slot].ifindex, text);
	else
		berm_log(BERM_LOG_INFO, "endpoint-ok", "slot=%u", slot);
}

/* ---- which device is it? ------------------------------------------------------------------------------------ */

/* 1: the veth at ifindex has this pod's side; 0: it has not; else nobody knows. */
static int is_mac_at(uint32_t ifindex, const uint8_t mac[6])
{
	auto_free struct berm_veth *veth = NULL;
	size_t i, count = 0;
	int rc = berm_netdev_veths(&veth, &count, NULL);

	if (rc)
		return rc;
	for (i = 0; i < count; i++)
		if (veth[i].ifindex == ifindex)
			return !memcmp(veth[i].mac, mac, 6);
	return 0;
}

/* Interface indexes are used again. Is this still the device that the slot was taken for? */
static bool is_same_device(const struct berm_reconcile *rec, const struct berm_endpoint_view *view)
{
	if (view->record && view->record->peer_ifindex)
		return berm_netdev_is(view->ifindex, view->record->peer_ifindex);
	return is_mac_at(view->ifindex, rec->agent->maps.endpoints[view->slot].mac) == 1;
}

/* Not the opposite: who cannot ask the kernel knows neither, and a pod that loses its slot has no wall. */
static bool is_other_device(const struct berm_reconcile *rec, const struct berm_endpoint_view *view)
{
	if (view->record && view->record->peer_ifindex)
		return berm_netdev_is_gone(view->ifindex, view->record->peer_ifindex);
	return is_mac_at(view->ifindex, rec->agent->maps.endpoints[view->slot].mac) == 0;
}

/* ---- collecting -------------------------------------------------------------------------------------------------- */

static bool is_gone(uint32_t ifindex)
{
	struct berm_hook_state hooks[2];

	return berm_link_inspect(ifindex, hooks, NULL) == -ENODEV;
}

/* Under the lock, because an ADD of a new device may have just been given this index and slot; the sweep too, because
 * it goes by that index. */
static int free_slot(struct berm_reconcile *rec, const struct berm_endpoint_view *view,
		     long *ret_sessions, struct berm_err *err)
{
	struct berm_maps *maps = &rec->agent->maps;
	auto_close int lock = -1;
	int rc = berm_lock_take(LOCK_MS, &lock, err);

	if (rc)
		return rc;
	if (maps->endpoints[view->slot].ifindex != view->ifindex ||
	    (!is_gone(view->ifindex) && !is_other_device(rec, view)))
		return berm_refuse(err, -EAGAIN, "slot %u has a new owner", view->slot);
	rc = berm_slot_free(maps, view->slot, view->ifindex, err);
	if (!rc)
		*ret_sessions = berm_sweep(maps, view->ifindex, err);
	return rc;
}

static uint32_t claimed(const struct berm_record *record)
{
	return record->ifindex ? record->ifindex : record->intent_ifindex;
}

/* Under the lock, as an ADD writes: a container that was started again has a record of the same name, of which
 * we may not have heard yet. */
static int delete_if_same(const struct berm_record *record, struct berm_err *err)
{
	struct berm_record now;
	auto_close int lock = -1;
	int rc = berm_lock_take(LOCK_MS, &lock, err);

	if (rc)
		return rc;
	if (!berm_record_read(record->container_id, record->ifname, &now, NULL) &&
	    (claimed(&now) != claimed(record) || now.peer_ifindex != record->peer_ifindex))
		return berm_refuse(err, -EAGAIN, "%s has been started again", record->container_id);
	return berm_record_delete(record->container_id, record->ifname, err);
}

static void delete_record(struct berm_reconcile *rec, const struct berm_record *record)
{
	struct berm_record copy = *record;
	struct berm_err err = { 0 };

	if (delete_if_same(&copy, &err))
		berm_log(BERM_LOG_WARNING, "record-not-deleted", "error=\"%s\"", err.msg);
	else
		berm_endpoints_drop(rec->agent->endpoints, copy.container_id, copy.ifname);
}

/* The pod went and nobody told us: a DEL was lost. */
static void collect(struct berm_reconcile *rec, const struct berm_endpoint_view *view)
{
	struct berm_err err = { 0 };
	char pod[400] = "?";
	long sessions = 0;

	if (view->local && *view->local->pod)
		snprintf(pod, sizeof(pod), "%s/%s", view->local->ns, view->local->pod);
	if (free_slot(rec, view, &sessions, &err)) {
		if (err.code != -EAGAIN)
			berm_log(BERM_LOG_WARNING, "endpoint-not-collected", "slot=%u error=\"%s\"",
				 view->slot, err.msg);
		return;
	}
	if (sessions < 0)
		berm_log(BERM_LOG_WARNING, "sessions-not-swept", "ifindex=%u error=\"%s\"",
			 view->ifindex, err.msg);
	if (view->record)
		delete_record(rec, view->record);
	if (berm_link_collect(&err) < 0)
		berm_log(BERM_LOG_WARNING, "links-not-collected", "error=\"%s\"", err.msg);
	rec->agent->collected++;
	berm_log(BERM_LOG_INFO, "endpoint-collected", "pod=%s slot=%u ifindex=%u sessions=%ld", pod,
		 view->slot, view->ifindex, sessions < 0 ? 0 : sessions);
}

/* DELs that could not wait for the lock. */
static void collect_left(struct berm_reconcile *rec)
{
	struct berm_err err = { 0 };
	int count = berm_attachment_collect(&err);

	if (count < 0 && !rec->has_left)
		berm_log(BERM_LOG_WARNING, "attachments-not-collected", "error=\"%s\"", err.msg);
	if (count > 0)
		berm_log(BERM_LOG_INFO, "attachments-collected",
			 "count=%d text=\"their DEL could not wait for the lock\"", count);
	rec->has_left = count < 0;
}

/* ---- hooks --------------------------------------------------------------------------------------------------------- */

static void on_attach(uv_timer_t *timer);

/* Attaching waits for the kernel (about 10 ms a hook), so it is done one endpoint at a time. */
static void attach_soon(struct berm_reconcile *rec, uint32_t slot)
{
	rec->slot[slot].must_attach = true;
	if (!uv_is_active((uv_handle_t *)&rec->attach))
		uv_timer_start(&rec->attach, on_attach, 0, 0);
}

/* As the plugin attached it; what it may choose itself, the agent's own setting decides. */
static enum berm_attach_mode mode_of(const struct berm_reconcile *rec, uint32_t slot)
{
	struct berm_endpoint_view view;

	if (!berm_endpoints_view(rec->agent->endpoints, slot, &view) || !view.record)
		return rec->agent->opts.attach;
	if (!strcmp(view.record->mode, "clsact"))
		return BERM_ATTACH_CLSACT;
	return strcmp(view.record->mode, "tcx") ? rec->agent->opts.attach : BERM_ATTACH_TCX;
}

/* From a table of another size: a copy before the programs are swapped, then what has changed or come meanwhile. */
static void move_sessions(struct berm_reconcile *rec, uint32_t ifindex, bool take)
{
	struct berm_agent *agent = rec->agent;
	struct berm_err err = { 0 };
	int rc;

	if (!agent->resize)
		return;
	rc = take ? berm_resize_take(agent->resize, ifindex, &agent->resized, &err)
		  : berm_resize_copy(agent->resize, ifindex, &err);
	if (rc)
		berm_log(BERM_LOG_ERROR, "sessions-not-moved", "ifindex=%u error=\"%s\"", ifindex,
			 err.msg);
}

static void attach(struct berm_reconcile *rec, uint32_t slot)
{
	uint32_t ifindex = rec->agent->maps.endpoints[slot].ifindex;
	struct berm_err err = { 0 };
	char text[600];

	rec->slot[slot].must_attach = false;
	if (!ifindex)
		return;
	move_sessions(rec, ifindex, false);
	if (berm_link_attach(ifindex, mode_of(rec, slot), NULL, &err)) {
		snprintf(text, sizeof(text), "not enforced: %s", err.msg);
		set_problem(rec, slot, text);
		return;
	}
	move_sessions(rec, ifindex, true);
	if (rec->slot[slot].detached_ms) {
		rec->agent->repaired++;
		berm_log(BERM_LOG_WARNING, "hooks-repaired",
			 "slot=%u ifindex=%u detached-for-ms=%lld text=\"somebody had removed our programs\"",
			 slot, ifindex, (long long)(now_ms(rec) - rec->slot[slot].detached_ms));
	}
	if (rec->slot[slot].is_outdated)
		berm_log(BERM_LOG_INFO, "programs-updated", "slot=%u ifindex=%u", slot, ifindex);
	rec->slot[slot].detached_ms = 0;
	rec->slot[slot].is_outdated = false;
	set_problem(rec, slot, "");
}

static void on_attach(uv_timer_t *timer)
{
	struct berm_reconcile *rec = timer->data;
	uint32_t slot;

	for (slot = 1; slot < BERM_MAX_ENDPOINTS && !rec->slot[slot].must_attach; slot++)
		;
	if (slot == BERM_MAX_ENDPOINTS)
		return;
	attach(rec, slot);
	uv_timer_start(&rec->attach, on_attach, 0, 0);
}

/* Ours are there, but are they alone? */
static void report_strangers(struct berm_reconcile *rec, uint32_t slot,
			     const struct berm_hook_state hooks[2])
{
	const char *dir[BERM_DIR_COUNT] = { [BERM_INGRESS] = "ingress", [BERM_EGRESS] = "egress" };
	char text[300] = "";
	int i;

	for (i = 0; i < BERM_DIR_COUNT && !*text; i++) {
		if (*hooks[i].bypass)
			snprintf(text, sizeof(text),
				 "%s is not enforced: program %s delivers past the hook", dir[i],
				 hooks[i].bypass);
		else if (hooks[i].before)
			snprintf(text, sizeof(text),
				 "%s may be bypassed: program %s runs before ours", dir[i],
				 hooks[i].foreign);
	}
	set_problem(rec, slot, text);
}

static void on_detached(struct berm_reconcile *rec, const struct berm_endpoint_view *view)
{
	struct watch *watch = &rec->slot[view->slot];
	bool is_complete = view->record && view->record->ifindex;
	int64_t wait_ms = is_complete ? DETACHED_MS : SETTLED_MS;

	if (!watch->detached_ms) {
		watch->detached_ms = now_ms(rec);
		look_soon(rec);
	}
	if (now_ms(rec) - watch->detached_ms < wait_ms) {
		look_soon(rec);
		return;
	}
	if (watch->strange_ms || !is_same_device(rec, view))
		return; /* never attach to somebody else's device */
	attach_soon(rec, view->slot);
}

static void judge_hooks(struct berm_reconcile *rec, const struct berm_endpoint_view *view,
			const struct berm_hook_state hooks[2])
{
	struct watch *watch = &rec->slot[view->slot];

	if (watch->must_attach)
		return;
	if (!hooks[0].attached || !hooks[1].attached) {
		on_detached(rec, view);
		return;
	}
	if (!hooks[0].current || !hooks[1].current) {
		/* An agent of another version was here: swapped without a gap, but not before ours know what to say. */
		if (!rec->agent->engine.has_judged)
			return;
		watch->is_outdated = true;
		attach_soon(rec, view->slot);
		return;
	}
	watch->detached_ms = 0;
	watch->is_fine = true;
	report_strangers(rec, view->slot, hooks);
}

/* What was seen of a slot; it may be somebody else's by now. */
static void judge_look(struct berm_reconcile *rec, const struct berm_look *look)
{
	struct watch *watch = &rec->slot[look->slot];
	struct berm_endpoint_view view;

	if (!berm_endpoints_view(rec->agent->endpoints, look->slot, &view) ||
	    view.ifindex != look->ifindex)
		return;
	if (!look->rc && !look->is_inspected)
		return; /* nothing new */
	watch->is_fine = false;
	if (look->rc == -ENODEV) {
		collect(rec, &view);
	} else if (look->rc) {
		set_problem(rec, view.slot, *look->err.msg ? look->err.msg : strerror(-look->rc));
	} else {
		judge_hooks(rec, &view, look->hooks);
		watch->glance = look->glance;
	}
}

/* The index was given to another device while we did not look. */
static void judge_device(struct berm_reconcile *rec, const struct berm_look *look)
{
	struct watch *watch = &rec->slot[look->slot];
	struct berm_endpoint_view view;

	if (!berm_endpoints_view(rec->agent->endpoints, look->slot, &view) ||
	    view.ifindex != look->ifindex)
		return;
	if (!look->is_other_device)
		watch->strange_ms = 0;
	else if (!watch->strange_ms)
		watch->strange_ms = now_ms(rec);
	else if (now_ms(rec) - watch->strange_ms >= SETTLED_MS)
		collect(rec, &view);
}

static void check_slots(struct berm_reconcile *rec);

static void on_looked(struct berm_looks *looks, void *ctx)
{
	struct berm_reconcile *rec = ctx;

	if (rec->is_stopping)
		return;
	for (size_t i = 0; i < looks->count; i++) {
		judge_look(rec, &looks->item[i]);
		if (looks->devices_too)
			judge_device(rec, &looks->item[i]);
	}
	berm_agent_sync_endpoints(rec->agent, false);
	if (rec->want_look)
		check_slots(rec);
}

static void prepare_look(struct berm_reconcile *rec, const struct berm_endpoint_view *view,
			 struct berm_look *look)
{
	struct watch *watch = &rec->slot[view->slot];

	if (watch->ifindex != view->ifindex)
		*watch = (struct watch){ .ifindex = view->ifindex,
					 .must_attach = watch->must_attach };
	*look = (struct berm_look){
		.slot = view->slot,
		.ifindex = view->ifindex,
		.peer_ifindex = view->record ? view->record->peer_ifindex : 0,
		.must_inspect = rec->want_thorough || !watch->is_fine,
		.known = watch->glance,
	};
	memcpy(look->mac, rec->agent->maps.endpoints[view->slot].mac, sizeof(look->mac));
}

/* All slots, in a thread; while one look is under way the next is only noted. */
static void check_slots(struct berm_reconcile *rec)
{
	BERM_ARRAY(struct berm_look) looks = { 0 };
	struct berm_endpoint_view view;
	struct berm_look look;

	rec->want_look = true;
	if (rec->looks.is_running)
		return;
	for (uint32_t slot = 1; slot < BERM_MAX_ENDPOINTS; slot++) {
		if (!berm_endpoints_view(rec->agent->endpoints, slot, &view))
			continue; /* plugins take and free slots meanwhile: nobody knows how many there are */
		prepare_look(rec, &view, &look);
		if (array_push(&looks, look)) {
			array_free(&looks);
			return; /* out of memory: the next tick tries again */
		}
	}
	rec->looks.devices_too = rec->want_devices;
	rec->want_look = rec->want_devices = rec->want_thorough = false;
	if (looks.count &&
	    berm_looks_start(&rec->looks, &rec->agent->loop, looks.item, looks.count))
		rec->want_look = true;
}

/* ---- adopting ------------------------------------------------------------------------------------------------------- */

/* The record of a veth whose slot is missing: the maps were lost. *ret_busy: an ADD may be at work on it. */
static const struct berm_record *record_of(const struct berm_reconcile *rec,
					   const struct berm_veth *veth, bool *ret_busy)
{
	const struct berm_record *it, *found = NULL;

	*ret_busy = false;
	for (it = berm_endpoints_next(rec->agent->endpoints, NULL); it;
	     it = berm_endpoints_next(rec->agent->endpoints, it)) {
		if (!it->ifindex && it->intent_ifindex == veth->ifindex)
			*ret_busy = true;
		if (it->ifindex == veth->ifindex && it->peer_ifindex == veth->peer_ifindex)
			found = it;
	}
	return found;
}

static const struct berm_pod *pod_of(const struct berm_reconcile *rec, const struct berm_veth *veth)
{
	const struct berm_pod *pod = NULL;
	int i;

	for (i = 0; i < veth->addr_count && !pod; i++)
		pod = berm_endpoints_pod_at(rec->agent->endpoints, &veth->addr[i]);
	return pod;
}

static struct berm_record new_record(const struct berm_veth *veth, const struct berm_pod *pod)
{
	struct berm_record record = {
		.ifindex = veth->ifindex,
		.peer_ifindex = veth->peer_ifindex,
		.addr_count = veth->addr_count,
		.adopted = true,
	};

	snprintf(record.container_id, sizeof(record.container_id), "adopted-%u-%u", veth->ifindex,
		 veth->peer_ifindex);
	snprintf(record.ifname, sizeof(record.ifname), ADOPTED_IFNAME);
	snprintf(record.host_ifname, sizeof(record.host_ifname), "%s", veth->name);
	snprintf(record.ns, sizeof(record.ns), "%s", pod->ns);
	snprintf(record.pod, sizeof(record.pod), "%s", pod->name);
	snprintf(record.uid, sizeof(record.uid), "%s", pod->uid ? pod->uid : "");
	memcpy(record.mac, veth->mac, sizeof(record.mac));
	memcpy(record.addr, veth->addr, sizeof(record.addr));
	return record;
}

static void adopt(struct berm_reconcile *rec, const struct berm_veth *veth,
		  const struct berm_record *lost, const struct berm_pod *pod)
{
	struct berm_record record = lost ? *lost : new_record(veth, pod);
	struct berm_err err = { 0 };
	int rc;

	if (lost) { /* as the device is now */
		record.addr_count = veth->addr_count;
		memcpy(record.addr, veth->addr, sizeof(record.addr));
		memcpy(record.mac, veth->mac, sizeof(record.mac));
	}
	rc = berm_agent_enter(rec->agent, &record, lost != NULL, &err);

	if (rc) {
		if (rc != -EEXIST && rc != -ENODEV && rc != -ENOENT)
			berm_log(BERM_LOG_ERROR, "pod-not-adopted", "device=%s error=\"%s\"",
				 veth->name, err.msg);
		return;
	}
	if (berm_endpoints_put(rec->agent->endpoints, &record))
		berm_log(BERM_LOG_ERROR, "out-of-memory", NULL);
	rec->slot[record.slot] = (struct watch){ .ifindex = veth->ifindex };
	attach_soon(rec, record.slot);
	rec->agent->adopted++;
	berm_log(BERM_LOG_INFO, lost ? "endpoint-restored" : "pod-adopted",
		 "pod=%s/%s device=%s ifindex=%u slot=%u", record.ns, record.pod, veth->name,
		 veth->ifindex, record.slot);
}

/* Since when have we seen this veth without a slot? */
static int64_t stray_since(struct berm_reconcile *rec, const struct stray *old, size_t old_count,
			   const struct berm_veth *veth)
{
	int64_t since = now_ms(rec);
	size_t i;

	for (i = 0; i < old_count; i++)
		if (old[i].ifindex == veth->ifindex && old[i].peer_ifindex == veth->peer_ifindex)
			since = old[i].since_ms;
	if (rec->stray_count < MAX_STRAYS)
		rec->stray[rec->stray_count++] =
			(struct stray){ veth->ifindex, veth->peer_ifindex, since };
	return since;
}

static void look_at_veth(struct berm_reconcile *rec, const struct stray *old, size_t old_count,
			 const struct berm_veth *veth)
{
	const struct berm_record *lost;
	const struct berm_pod *pod;
	bool is_busy;
	uint32_t slot;

	if (!berm_slot_of(&rec->agent->maps, veth->ifindex, &slot))
		return;
	lost = record_of(rec, veth, &is_busy);
	pod = pod_of(rec, veth);
	if (is_busy || (!lost && !pod))
		return;
	if (now_ms(rec) - stray_since(rec, old, old_count, veth) < SETTLED_MS) {
		rec->must_adopt = true; /* look again with the next tick */
		return;
	}
	adopt(rec, veth, lost, pod);
}

/* Pods that run without a slot: from before Berm, or from before the maps were lost. */
static void adopt_strays(struct berm_reconcile *rec)
{
	auto_free struct berm_veth *veth = NULL;
	auto_free struct stray *old = rec->stray;
	size_t i, count = 0, old_count = rec->stray_count;
	struct berm_err err = { 0 };

	rec->stray = NULL;
	rec->stray_count = 0;
	if (berm_netdev_veths(&veth, &count, &err)) {
		berm_log(BERM_LOG_WARNING, "devices-not-listed", "error=\"%s\"", err.msg);
		rec->must_adopt = true;
		return;
	}
	rec->stray = calloc(MAX_STRAYS < count ? MAX_STRAYS : count + 1, sizeof(*rec->stray));
	for (i = 0; rec->stray && i < count; i++)
		look_at_veth(rec, old, old_count, &veth[i]);
}

/* ---- records that nothing belongs to ------------------------------------------------------------------------- */

/* Is the namespace's path gone? Only if we see the directory that it was in: without the host's /run/netns and
 * /proc every one seems to be. */
static bool is_netns_gone(const char *path)
{
	char dir[256];
	struct stat st;
	char *slash;

	if (!stat(path, &st) || errno != ENOENT)
		return false;
	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (!slash || slash == dir)
		return false;
	*slash = '\0';
	return !stat(dir, &st);
}

static bool is_intent_dead(const struct berm_record *record)
{
	char path[512];
	struct stat st;

	snprintf(path, sizeof(path), BERM_RECORD_DIR "/%s@%s.json", record->container_id,
		 record->ifname);
	if (stat(path, &st) || time(NULL) - st.st_mtime <= MAX_INTENT_S)
		return false;
	if (record->intent_ifindex)
		return berm_netdev_is_gone(record->intent_ifindex, record->peer_ifindex);
	return *record->netns && is_netns_gone(record->netns);
}

static bool is_record_dead(const struct berm_reconcile *rec, const struct berm_record *record)
{
	struct berm_endpoint_view view;

	if (!record->ifindex)
		return is_intent_dead(record);
	if (berm_endpoints_view(rec->agent->endpoints, record->slot, &view) &&
	    view.record == record)
		return false;
	return berm_netdev_is_gone(record->ifindex, record->peer_ifindex) ||
	       (record->adopted && !berm_record_owns(record, record->ifindex));
}

static void collect_records(struct berm_reconcile *rec)
{
	const struct berm_record *record, *next;

	for (record = berm_endpoints_next(rec->agent->endpoints, NULL); record; record = next) {
		next = berm_endpoints_next(rec->agent->endpoints, record);
		if (!is_record_dead(rec, record))
			continue;
		berm_log(BERM_LOG_INFO, "record-collected", "container=%s ifname=%s pod=%s/%s",
			 record->container_id, record->ifname, record->ns, record->pod);
		delete_record(rec, record);
	}
}

/* ---- when -------------------------------------------------------------------------------------------------------------- */

static void sync_addresses(struct berm_reconcile *rec)
{
	struct berm_err err = { 0 };

	rec->addrs_changed = false;
	if (berm_nodeaddr_sync(&rec->agent->maps, &rec->agent->engine.model, &err)) {
		berm_log(BERM_LOG_ERROR, "node-addresses", "error=\"%s\"", err.msg);
		rec->addrs_changed = true;
	}
	berm_agent_touch(rec->agent);
}

/* Slots come and go by the plugin's hand, too; the endpoints are compared with them first. */
static void look(struct berm_reconcile *rec, bool is_slow, bool is_thorough)
{
	bool links = rec->links_changed || is_slow, thorough = rec->hooks_changed || is_thorough;

	rec->must_adopt |= links;
	rec->links_changed = false;
	rec->hooks_changed = false;
	berm_agent_sync_endpoints(rec->agent, is_slow);
	rec->want_devices |= links;
	rec->want_thorough |= thorough;
	check_slots(rec);
	if (is_slow)
		collect_records(rec);
	if (rec->addrs_changed || is_slow)
		sync_addresses(rec);
	berm_agent_sync_endpoints(rec->agent, is_slow);
}

/* Listing devices with their pods' addresses is dear, so it waits for a tick however much happens. */
static void look_for_strays(struct berm_reconcile *rec)
{
	uint64_t version = rec->agent->engine.model.version;

	if (!rec->agent->is_synced || (!rec->must_adopt && version == rec->model_version))
		return;
	rec->must_adopt = false;
	rec->model_version = version;
	adopt_strays(rec);
	berm_agent_sync_endpoints(rec->agent, false);
}

static void on_soon(uv_timer_t *timer)
{
	look(timer->data, false, false);
}

static bool has_own_programs(const struct berm_reconcile *rec)
{
	uint32_t slot;

	for (slot = 1; slot < BERM_MAX_ENDPOINTS; slot++)
		if (rec->agent->maps.endpoints[slot].ifindex && !rec->slot[slot].is_fine)
			return false;
	return true;
}

/* Every pod has our programs: nothing needs those of another version. */
static void finish_upgrade(struct berm_reconcile *rec)
{
	if (has_own_programs(rec))
		rec->is_upgrading = berm_upgrade_finish() != 0;
}

/* ...nor the session table of another size. */
static void finish_resize(struct berm_reconcile *rec)
{
	struct berm_agent *agent = rec->agent;
	struct berm_err err = { 0 };

	if (!has_own_programs(rec))
		return;
	if (berm_resize_finish(agent->resize, &agent->resized, &err)) {
		berm_log(BERM_LOG_ERROR, "sessions-not-moved", "error=\"%s\"", err.msg);
		return;
	}
	berm_log(BERM_LOG_INFO, "session-table-resized", "from=%llu to=%llu moved=%u lost=%u",
		 (unsigned long long)berm_resize_from(agent->resize) * BERM_WAYS,
		 (unsigned long long)agent->maps.buckets * BERM_WAYS, agent->resized.moved,
		 agent->resized.lost);
	berm_resize_close(agent->resize);
	agent->resize = NULL;
}

static void on_tick(uv_timer_t *timer)
{
	struct berm_reconcile *rec = timer->data;
	bool is_slow = ++rec->ticks % SLOW_TICKS == 0;

	if (is_slow)
		berm_agent_rescan(rec->agent);
	if (berm_attest_tick(rec->agent->attest)) {
		berm_agent_start_again(rec->agent);
		return;
	}
	collect_left(rec);
	look(rec, is_slow, rec->ticks % THOROUGH_TICKS == 0);
	look_for_strays(rec);
	if (rec->is_upgrading && rec->agent->engine.has_judged)
		finish_upgrade(rec);
	if (rec->agent->resize && rec->agent->engine.has_judged)
		finish_resize(rec);
}

static int on_message(const struct nlmsghdr *msg, void *ctx)
{
	struct berm_reconcile *rec = ctx;

	if (msg->nlmsg_type == RTM_NEWADDR || msg->nlmsg_type == RTM_DELADDR)
		rec->addrs_changed = true;
	if (msg->nlmsg_type == RTM_NEWLINK || msg->nlmsg_type == RTM_DELLINK)
		rec->links_changed = true;
	if (msg->nlmsg_type == RTM_NEWTFILTER || msg->nlmsg_type == RTM_DELTFILTER ||
	    msg->nlmsg_type == RTM_NEWQDISC || msg->nlmsg_type == RTM_DELQDISC)
		rec->hooks_changed = true;
	return 0;
}

static void on_netlink(uv_poll_t *poll, int status, int events)
{
	struct berm_reconcile *rec = poll->data;
	struct berm_err err = { 0 };

	(void)events;
	if (status < 0 || berm_nl_drain(rec->netlink, on_message, rec, &err)) {
		rec->addrs_changed = true; /* events were lost: look at everything */
		rec->links_changed = true;
		rec->hooks_changed = true;
	}
	look_soon(rec);
}

int berm_reconcile_start(struct berm_agent *agent, struct berm_reconcile **ret,
			 struct berm_err *err)
{
	struct berm_reconcile *rec = calloc(1, sizeof(*rec));
	int fd;

	if (!rec)
		return berm_fail(err, -ENOMEM, "reconcile");
	fd = berm_nl_open(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_TC, err);
	if (fd < 0) {
		free(rec);
		return fd;
	}
	rec->agent = agent;
	rec->netlink = fd;
	rec->looks.done = on_looked;
	rec->looks.ctx = rec;
	rec->links_changed = true;
	rec->is_upgrading = berm_upgrade_begin(agent);
	uv_poll_init(&agent->loop, &rec->events, fd);
	uv_timer_init(&agent->loop, &rec->tick);
	uv_timer_init(&agent->loop, &rec->soon);
	uv_timer_init(&agent->loop, &rec->attach);
	rec->events.data = rec->tick.data = rec->soon.data = rec->attach.data = rec;
	uv_poll_start(&rec->events, UV_READABLE, on_netlink);
	uv_timer_start(&rec->tick, on_tick, TICK_MS, TICK_MS);
	look_soon(rec);
	sync_addresses(rec);
	*ret = rec;
	return 0;
}

void berm_reconcile_stop(struct berm_reconcile *rec)
{
	if (!rec)
		return;
	rec->is_stopping = true;
	uv_close((uv_handle_t *)&rec->events, NULL);
	uv_close((uv_handle_t *)&rec->tick, NULL);
	uv_close((uv_handle_t *)&rec->soon, NULL);
	uv_close((uv_handle_t *)&rec->attach, NULL);
}

void berm_reconcile_free(struct berm_reconcile *rec)
{
	if (!rec)
		return;
	close(rec->netlink);
	berm_looks_free(&rec->looks);
	free(rec->stray);
	free(rec);
}
