/* SPDX-License-Identifier: Apache-2.0 */
/* status.c - what the agent knows, as JSON. Field names are those of docs/rest-api.md. */
#include "status.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent.h"
#include "cleanup.h"
#include "essential.h"
#include "timetable.h"

#define MAX_PROBLEMS 1000 /* in one answer */

static void add_text(cJSON *object, const char *key, const char *text)
{
	if (text && *text)
		cJSON_AddStringToObject(object, key, text);
}

static void add_number(cJSON *object, const char *key, uint64_t value)
{
	cJSON_AddNumberToObject(object, key, (double)value);
}

static cJSON *root_with(const char *key, cJSON *array)
{
	cJSON *root = cJSON_CreateObject();

	if (!root || !array) {
		cJSON_Delete(array);
		cJSON_Delete(root);
		return NULL;
	}
	cJSON_AddItemToObject(root, key, array);
	return root;
}

static uint64_t rss_bytes(void)
{
	auto_fclose FILE *file = fopen("/proc/self/statm", "re");
	unsigned long pages = 0, resident = 0;

	if (!file || fscanf(file, "%lu %lu", &pages, &resident) != 2)
		return 0;
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- problems -------------------------------------------------------------------------------------------------- */

static cJSON *problem_json(const struct berm_problem *problem)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "severity",
				problem->severity == BERM_ERROR ? "error" : "warning");
	add_text(object, "source", problem->source);
	if (problem->line)
		cJSON_AddNumberToObject(object, "line", problem->line);
	if (problem->column)
		cJSON_AddNumberToObject(object, "column", problem->column);
	add_text(object, "field", problem->field);
	add_text(object, "message", problem->message);
	add_text(object, "hint", problem->hint);
	add_text(object, "document", problem->document);
	return object;
}

static void add_problems(cJSON *array, const struct berm_problems *problems)
{
	size_t i;

	for (i = 0; i < problems->count && cJSON_GetArraySize(array) < MAX_PROBLEMS; i++)
		cJSON_AddItemToArray(array, problem_json(&problems->item[i]));
}

static void add_own_problem(cJSON *array, const char *message, const char *hint)
{
	struct berm_problem problem = {
		.severity = BERM_ERROR,
		.source = (char *)"agent",
		.message = (char *)message,
		.hint = (char *)hint,
	};

	cJSON_AddItemToArray(array, problem_json(&problem));
}

/* Started without a guard because the plugin was told to ("onUnsupported": "report"): in no slot. */
static const struct berm_record *unguarded_next(const struct berm_agent *agent,
						const struct berm_record *prev)
{
	const struct berm_record *record = berm_endpoints_next(agent->endpoints, prev);

	while (record && (record->ifindex || record->intent_ifindex || !*record->problem))
		record = berm_endpoints_next(agent->endpoints, record);
	return record;
}

static void add_endpoint_problems(cJSON *array, const struct berm_agent *agent)
{
	const struct berm_record *record;
	struct berm_endpoint_view view;
	char message[1024];
	uint32_t slot;

	for (slot = 1; slot < BERM_MAX_ENDPOINTS; slot++) {
		if (!berm_endpoints_view(agent->endpoints, slot, &view) || !view.problem)
			continue;
		snprintf(message, sizeof(message), "endpoint %s/%s (ifindex %u): %s",
			 view.local ? view.local->ns : "", view.local ? view.local->pod : "",
			 view.ifindex, view.problem);
		add_own_problem(array, message, "see docs/operations.md");
	}
	for (record = unguarded_next(agent, NULL); record; record = unguarded_next(agent, record)) {
		snprintf(message, sizeof(message), "endpoint %s/%s (%s of container %s): %s",
			 record->ns, record->pod, record->ifname, record->container_id,
			 record->problem);
		add_own_problem(array, message, "see docs/cni.md, onUnsupported");
	}
}

static void add_api_problems(cJSON *array, const struct berm_api *api)
{
	struct berm_watch_view watch;
	char text[600];
	size_t i;

	for (i = 0; berm_api_watch(api, i, &watch); i++) {
		if (!watch.error)
			continue;
		snprintf(text, sizeof(text), "watch of %s: %s", watch.resource, watch.error);
		add_own_problem(array, text,
				"the last state stays in force; the agent tries again");
	}
	if (berm_api_lacks_node(api))
		add_own_problem(array, "the API server has no Node of this node's name",
				"give the right one with --node-name");
}

static void add_shield_problem(void *ctx, const char *message, const char *hint)
{
	add_own_problem(ctx, message, hint);
}

/* Full: established sessions of the greatest make room for others, and some flows pass unrecorded. */
static void add_pressure_problem(cJSON *array, const struct berm_pressure *pressure)
{
	struct berm_pressure_view view;
	char text[160];

	if (!berm_pressure_view(pressure, &view) || view.level != BERM_LEVEL_CRITICAL)
		return;
	snprintf(text, sizeof(text), "the session table is %.0f %% full: %llu of %llu",
		 100 * view.load, (unsigned long long)view.established + view.half_open,
		 (unsigned long long)view.room);
	add_own_problem(array, text, "is that meant? else make it larger: --sessions");
}

/* Everything that somebody should look at, from every part. */
static cJSON *problems_json(const struct berm_agent *agent)
{
	cJSON *array = cJSON_CreateArray();
	struct berm_problems of_files = { 0 };
	char text[160];

	if (berm_intake_problems(agent->intake, &of_files))
		add_own_problem(array, "out of memory: problems of documents are not listed", NULL);
	add_problems(array, &of_files);
	berm_problems_clear(&of_files);
	add_problems(array, &agent->start_problems);
	add_problems(array, &agent->engine.problems);
	add_problems(array, berm_breaches_problems(agent->breaches));
	if (agent->api)
		add_api_problems(array, agent->api);
	if (agent->files && berm_files_is_lost(agent->files))
		add_own_problem(array, "the manifests directory is gone",
				"the last documents stay in force; restore the directory");
	if (agent->engine.failure.code)
		add_own_problem(array, agent->engine.failure.msg,
				"the last good generation stays in force; the agent tries again");
	if (*agent->engine.last.warning)
		add_own_problem(array, agent->engine.last.warning,
				"enforcement goes on; without the agent bermctl shows old rule names");
	if (agent->save_failure.code)
		add_own_problem(array, agent->save_failure.msg,
				"enforcement goes on; a restart would not know the last good documents");
	if (berm_cni_bad(agent->cni)) {
		snprintf(text, sizeof(text), "%zu endpoint records cannot be read",
			 berm_cni_bad(agent->cni));
		add_own_problem(array, text, "their pods stay enforced; the log names the files");
	}
	berm_shield_problems(agent->shield, add_shield_problem, array);
	add_pressure_problem(array, agent->pressure);
	add_endpoint_problems(array, agent);
	return array;
}

/* ---- status ------------------------------------------------------------------------------------------------------- */

struct endpoint_count {
	unsigned int total, judged, fallback, broken;
};

static struct endpoint_count count_endpoints(const struct berm_agent *agent)
{
	struct endpoint_count count = { 0 };
	const struct berm_record *record;
	struct berm_endpoint_view view;
	uint32_t slot;

	for (slot = 1; slot < BERM_MAX_ENDPOINTS; slot++) {
		if (!berm_endpoints_view(agent->endpoints, slot, &view))
			continue;
		count.total++;
		count.fallback += view.fallback;
		count.judged += !view.fallback;
		count.broken += view.problem != NULL;
	}
	for (record = unguarded_next(agent, NULL); record; record = unguarded_next(agent, record)) {
		count.total++;
		count.broken++;
	}
	return count;
}

static void count_policy(const struct berm_intake_policy *policy, void *ctx)
{
	unsigned int *count = ctx;

	count[0]++;
	if (berm_standing_is_held(policy->standing))
		count[2]++;
	else
		count[1] += !berm_standing_is_good(policy->standing);
}

static void add_policies_count(cJSON *root, const struct berm_agent *agent)
{
	cJSON *object = cJSON_AddObjectToObject(root, "policies");
	unsigned int count[3] = { 0 };

	berm_intake_each_policy(agent->intake, count_policy, count);
	add_number(object, "total", count[0]);
	add_number(object, "invalid", count[1]);
	add_number(object, "held", count[2]);
}

static void add_usage(cJSON *root, const struct berm_agent *agent)
{
	cJSON *object = cJSON_AddObjectToObject(root, "usage");
	struct berm_apply_usage usage = { 0 };

	berm_apply_usage(agent->engine.apply, &usage);
	add_number(object, "classes", usage.classes);
	add_number(object, "port_classes", usage.port_classes);
	add_number(object, "sets", usage.sets);
	add_number(object, "cells", usage.cells);
	add_number(object, "rows", usage.rows);
	add_number(object, "peers", usage.peers);
	add_number(object, "cidrs", usage.cidrs);
	add_number(object, "flows", usage.flows);
	add_number(object, "rules", usage.rules);
}

static void add_session_settings(cJSON *root, const struct berm_session_opts *opts)
{
	cJSON *object = cJSON_AddObjectToObject(root, "session_settings");
	cJSON *timeouts = cJSON_AddObjectToObject(object, "timeout_seconds");

	cJSON_AddBoolToObject(object, "strict_tcp", opts->strict_tcp);
	cJSON_AddBoolToObject(object, "report_ended", opts->report_ended);
	cJSON_AddBoolToObject(object, "apps", opts->apps);
	for (enum berm_timeout i = 0; i < BERM_TIMEOUT_COUNT; i++)
		add_number(timeouts, berm_timeout_name(i), berm_timeout_of(opts, i));
}

static cJSON *slot_load_json(const struct berm_agent *agent, const struct berm_slot_load *load)
{
	cJSON *object = cJSON_CreateObject();
	struct berm_endpoint_view view;

	add_number(object, "slot", load->slot);
	if (berm_endpoints_view(agent->endpoints, load->slot, &view) && view.local) {
		add_text(object, "namespace", view.local->ns);
		add_text(object, "pod", view.local->pod);
	}
	add_number(object, "established", load->established);
	add_number(object, "half_open", load->half_open);
	return object;
}

/* As the last look at all of it has found it. */
static void add_session_table(cJSON *root, const struct berm_agent *agent)
{
	struct berm_pressure_view view;
	cJSON *object, *pods;

	if (!berm_pressure_view(agent->pressure, &view))
		return;
	object = cJSON_AddObjectToObject(root, "session_table");
	add_text(object, "level", berm_level_name(view.level));
	cJSON_AddNumberToObject(object, "load", view.load);
	add_number(object, "room", view.room);
	add_number(object, "established", view.established);
	add_number(object, "half_open", view.half_open);
	add_number(object, "expired", view.expired);
	add_number(object, "age_seconds", (uv_now(&agent->loop) - view.at_ms) / 1000);
	add_number(object, "took_us", view.cpu_us);
	pods = cJSON_AddArrayToObject(object, "pods");
	for (size_t i = 0; i < BERM_PRESSURE_TOP && view.top[i].slot; i++)
		cJSON_AddItemToArray(pods, slot_load_json(agent, &view.top[i]));
}

static void add_last_apply(cJSON *root, const struct berm_engine *engine)
{
	cJSON *object = cJSON_AddObjectToObject(root, "last_apply");

	add_number(object, "generation", engine->last.generation);
	add_number(object, "writes", engine->last.writes);
	add_number(object, "switched", engine->last.switched);
	add_number(object, "rejudged", engine->last.rejudged);
	add_number(object, "took_us", engine->last.took_ns / 1000);
	add_number(object, "judged", engine->applied);
	add_number(object, "failed", engine->failed);
}

static void add_direction(cJSON *counters, const char *name, const struct berm_counters *sum,
			  int dir)
{
	cJSON *object = cJSON_AddObjectToObject(counters, name), *item;
	int i;

	for (i = 0; i < BERM_REASON_COUNT; i++) {
		if (!sum->packets[dir][i])
			continue;
		item = cJSON_AddObjectToObject(object, berm_reason_name((unsigned int)i));
		add_number(item, "packets", sum->packets[dir][i]);
		add_number(item, "bytes", sum->bytes[dir][i]);
	}
}

static void add_counters(cJSON *root, const struct berm_agent *agent)
{
	static const char *const stat_name[] = {
#define X(id, name) name,
		BERM_STATS(X)
#undef X
	};
	cJSON *counters = cJSON_AddObjectToObject(root, "counters");
	cJSON *stats = cJSON_AddObjectToObject(root, "stats");
	cJSON *events = cJSON_AddObjectToObject(root, "events");
	struct berm_counters sum;
	size_t i;

	if (berm_counters_read(&agent->maps, &sum, NULL))
		return; /* left out, not invented */
	add_direction(counters, "ingress", &sum, BERM_INGRESS);
	add_direction(counters, "egress", &sum, BERM_EGRESS);
	for (i = 0; i < ARRAY_SIZE(stat_name); i++)
		add_number(stats, stat_name[i], sum.stat[i]);
	add_number(events, "sent", sum.stat[BERM_STAT_EVENT_SENT]);
	add_number(events, "lost", sum.stat[BERM_STAT_EVENT_LOST]);
	add_number(events, "suppressed", sum.stat[BERM_STAT_EVENT_SUPPRESSED]);
	add_number(events, "ended_sent", sum.stat[BERM_STAT_ENDED_SENT]);
	add_number(events, "ended_lost", sum.stat[BERM_STAT_ENDED_LOST]);
}

static void add_reason(cJSON *reasons, bool is_so, const char *text)
{
	if (is_so)
		cJSON_AddItemToArray(reasons, cJSON_CreateString(text));
}

/* Is every pod of this node judged by the documents as they are? If not, why. */
static void add_enforcing(cJSON *root, const struct berm_agent *agent,
			  const struct endpoint_count *count)
{
	const struct berm_engine *engine = &agent->engine;
	cJSON *reasons = cJSON_CreateArray();

	add_reason(reasons, !agent->is_synced, "not every policy source has been read yet");
	add_reason(reasons, agent->is_synced && !engine->has_judged,
		   "no generation has been applied yet");
	add_reason(reasons, engine->failure.code != 0, engine->failure.msg);
	add_reason(reasons, berm_agent_is_overdue(agent),
		   "changes have waited for more than 10 s, and nobody has judged them");
	add_reason(reasons, count->fallback > 0,
		   "some pods have their fallback: no source knows them");
	add_reason(reasons, count->broken > 0, "some pods have a problem: see their endpoints");
	cJSON_AddBoolToObject(root, "enforcing", cJSON_GetArraySize(reasons) == 0);
	cJSON_AddItemToObject(root, "reasons", reasons);
}

/* Services are watched only once a policy needs them: until they are listed, that policy says less than it means. */
static bool is_listing(const struct berm_agent *agent)
{
	struct berm_watch_view watch;

	for (size_t i = 0; agent->api && berm_api_watch(agent->api, i, &watch); i++)
		if (!watch.has_synced && strcmp(watch.state, "off") != 0 &&
		    strcmp(watch.state, "absent") != 0)
			return true;
	return false;
}

/* Enforcing and not pending: what the watches have seen up to their versions, and what was read, is in the kernel. */
static void add_pending(cJSON *root, const struct berm_agent *agent)
{
	cJSON_AddNumberToObject(root, "sources_read", (double)agent->intake->taken);
	cJSON_AddBoolToObject(root, "pending",
			      !agent->is_synced || is_listing(agent) ||
				      berm_engine_is_stale(&agent->engine));
}

/* Is the plugin where the runtime finds it? New pods have no wall from their first packet on otherwise. */
static void add_install(cJSON *root, const struct berm_agent *agent)
{
	const struct berm_keeper_state *state;
	cJSON *object;

	if (!agent->keeper)
		return;
	state = berm_keeper_state(agent->keeper);
	object = cJSON_AddObjectToObject(root, "install");
	add_text(object, "conf_dir", agent->opts.install.conf.path);
	add_text(object, "file", state->file[0] ? state->file : NULL);
	add_number(object, "reinserted", state->reinserted);
	add_number(object, "replaced", state->replaced);
	add_text(object, "error", state->failure.code ? state->failure.msg : NULL);
}

static void add_process(cJSON *root, const struct berm_agent *agent)
{
	struct utsname kernel;

	add_text(root, "node", agent->opts.node);
	add_text(root, "version", BERM_VERSION);
	add_text(root, "kernel", uname(&kernel) ? NULL : kernel.release);
	add_number(root, "pid", (uint64_t)getpid());
	add_number(root, "uptime_seconds",
		   (uint64_t)((int64_t)uv_now(&agent->loop) - agent->started_ms) / 1000);
	if (agent->files) {
		add_text(root, "manifests", agent->opts.manifests);
		add_number(root, "files", berm_files_count(agent->files));
	}
	add_number(root, "rss_bytes", rss_bytes());
	add_number(root, "generation",
		   __atomic_load_n(&agent->maps.node->generation, __ATOMIC_RELAXED));
}

static void add_watches(cJSON *root, const struct berm_agent *agent)
{
	struct berm_watch_view watch;
	cJSON *list, *object;
	size_t i;

	if (!agent->api)
		return;
	add_text(root, "api_server", berm_api_server(agent->api));
	list = cJSON_AddArrayToObject(root, "watches");
	for (i = 0; berm_api_watch(agent->api, i, &watch); i++) {
		object = cJSON_CreateObject();
		add_text(object, "resource", watch.resource);
		add_text(object, "state", watch.state);
		cJSON_AddBoolToObject(object, "synced", watch.has_synced);
		add_number(object, "since_seconds", (uv_now(&agent->loop) - watch.since_ms) / 1000);
		add_number(object, "restarts", watch.restarts);
		add_number(object, "objects", watch.objects);
		add_text(object, "resource_version", watch.version);
		add_text(object, "error", watch.error);
		cJSON_AddItemToArray(list, object);
	}
	if (agent->feedback)
		cJSON_AddItemToObject(root, "feedback", berm_feedback_json(agent->feedback));
}

cJSON *berm_problems_json(const struct berm_agent *agent)
{
	return problems_json(agent);
}

void berm_status_add_enforcing(cJSON *root, const struct berm_agent *agent)
{
	struct endpoint_count count = count_endpoints(agent);

	add_enforcing(root, agent, &count);
}

cJSON *berm_status_json(const struct berm_agent *agent)
{
	struct endpoint_count count = count_endpoints(agent);
	cJSON *root = cJSON_CreateObject(), *endpoints;

	add_process(root, agent);
	add_install(root, agent);
	if (agent->shield)
		cJSON_AddItemToObject(root, "uplink", berm_shield_json(agent->shield));
	add_watches(root, agent);
	add_policies_count(root, agent);
	endpoints = cJSON_AddObjectToObject(root, "endpoints");
	add_number(endpoints, "total", count.total);
	add_number(endpoints, "judged", count.judged);
	add_number(endpoints, "fallback", count.fallback);
	add_number(endpoints, "adopted", agent->adopted);
	add_number(endpoints, "collected", agent->collected);
	add_number(endpoints, "repaired", agent->repaired);
	add_number(root, "tampered", agent->tampered);
	add_usage(root, agent);
	add_session_settings(root, &agent->opts.sessions);
	berm_settings_add(root, agent);
	add_session_table(root, agent);
	cJSON_AddItemToObject(root, "problems", problems_json(agent));
	add_last_apply(root, &agent->engine);
	add_counters(root, agent);
	add_enforcing(root, agent, &count);
	add_pending(root, agent);
	return root;
}

/* ---- endpoints ---------------------------------------------------------------------------------------------------- */

static void add_names(cJSON *object, const struct berm_agent *agent,
		      const struct berm_endpoint_view *view)
{
	const struct berm_pod *pod =
		view->local ? berm_model_pod_of(&agent->engine.model, view->local) : NULL;
	cJSON *labels;
	size_t i;

	if (view->local) {
		add_text(object, "namespace", view->local->ns);
		add_text(object, "pod", view->local->pod);
		add_text(object, "uid", view->local->uid);
	}
	if (!pod)
		return;
	labels = cJSON_AddObjectToObject(object, "labels");
	for (i = 0; i < pod->labels.count; i++)
		cJSON_AddStringToObject(labels, pod->labels.item[i].key, pod->labels.item[i].value);
}

static void add_record(cJSON *object, const struct berm_endpoint_view *view)
{
	const struct berm_record *record = view->record;

	if (!record)
		return;
	if (!record->adopted) {
		add_text(object, "container_id", record->container_id);
		add_text(object, "ifname", record->ifname);
	}
	add_text(object, "host_ifname", record->host_ifname);
	add_text(object, "mode", record->mode);
	cJSON_AddBoolToObject(object, "adopted", record->adopted);
	if (view->fallback)
		add_text(object, "fallback", record->fallback);
}

static void add_kernel(cJSON *object, const struct berm_agent *agent, uint32_t slot)
{
	const struct berm_endpoint *ep = &agent->maps.endpoints[slot];
	cJSON *addresses = cJSON_AddArrayToObject(object, "addresses");
	cJSON *isolated = cJSON_AddArrayToObject(object, "isolated");
	cJSON *sets = cJSON_AddObjectToObject(object, "sets");
	char text[BERM_ADDR_STRLEN];
	int i;

	for (i = 0; i < ep->addr_count && i < BERM_MAX_ADDRS; i++) {
		berm_addr_format(&ep->addr[i], text);
		cJSON_AddItemToArray(addresses, cJSON_CreateString(text));
	}
	if (ep->flags & BERM_EP_ISOLATED_IN)
		cJSON_AddItemToArray(isolated, cJSON_CreateString("ingress"));
	if (ep->flags & BERM_EP_ISOLATED_OUT)
		cJSON_AddItemToArray(isolated, cJSON_CreateString("egress"));
	add_number(sets, "ingress", ep->set[BERM_INGRESS]);
	add_number(sets, "egress", ep->set[BERM_EGRESS]);
	add_number(object, "epoch", agent->maps.node->epoch[slot]);
}

static cJSON *endpoint_json(const struct berm_agent *agent, const struct berm_endpoint_view *view)
{
	cJSON *object = cJSON_CreateObject();
	const char *problem = view->problem;

	add_names(object, agent, view);
	add_record(object, view);
	add_number(object, "ifindex", view->ifindex);
	add_number(object, "slot", view->slot);
	add_kernel(object, agent, view->slot);
	cJSON_AddBoolToObject(object, "judged", !view->fallback);
	add_text(object, "state", problem ? "problem" : view->fallback ? "fallback" : "enforced");
	add_text(object, "problem", problem);
	return object;
}

static cJSON *unguarded_json(const struct berm_record *record)
{
	cJSON *object = cJSON_CreateObject();

	add_text(object, "namespace", record->ns);
	add_text(object, "pod", record->pod);
	add_text(object, "uid", record->uid);
	add_text(object, "container_id", record->container_id);
	add_text(object, "ifname", record->ifname);
	cJSON_AddBoolToObject(object, "judged", false);
	add_text(object, "state", "problem");
	add_text(object, "problem", record->problem);
	return object;
}

cJSON *berm_endpoints_json(const struct berm_agent *agent)
{
	cJSON *array = cJSON_CreateArray();
	const struct berm_record *record;
	struct berm_endpoint_view view;
	uint32_t slot;

	for (slot = 1; slot < BERM_MAX_ENDPOINTS; slot++)
		if (berm_endpoints_view(agent->endpoints, slot, &view))
			cJSON_AddItemToArray(array, endpoint_json(agent, &view));
	for (record = unguarded_next(agent, NULL); record; record = unguarded_next(agent, record))
		cJSON_AddItemToArray(array, unguarded_json(record));
	return root_with("endpoints", array);
}

/* ---- policies --------------------------------------------------------------------------------------------------------- */

static bool is_subject(const struct berm_model *model, const struct berm_policy *policy,
		       const struct berm_pod *pod)
{
	const struct berm_namespace *ns = berm_model_namespace(model, pod->ns);
	struct berm_label name = { (char *)"kubernetes.io/metadata.name", pod->ns };
	struct berm_labels implied = { &name, 1 };

	if (pod->host_network || pod->finished ||
	    !berm_selector_matches(&policy->pod_subject, &pod->labels))
		return false;
	if (policy->has_ns_subject)
		return berm_selector_matches(&policy->ns_subject, ns ? &ns->labels : &implied);
	return policy->cluster_wide || !strcmp(policy->ns, pod->ns);
}

/* Endpoints of this node that it selects. */
static size_t count_subjects(const struct berm_model *model, const struct berm_policy *policy)
{
	const struct berm_pod *pod;
	size_t i, count = 0;

	for (i = 0; i < model->endpoint_count; i++) {
		pod = berm_model_pod_of(model, &model->endpoints[i]);
		count += pod && is_subject(model, policy, pod);
	}
	return count;
}

/* What the policy grants; what these open is told once for all. */
static void add_essentials(cJSON *object, const struct berm_policy *policy)
{
	cJSON *array = cJSON_AddArrayToObject(object, "essentials");

	for (int kind = 0; kind < BERM_ESSENTIAL_COUNT; kind++)
		if (policy->kind != BERM_KIND_NETWORK && policy->essentials & 1 << kind)
			cJSON_AddItemToArray(array, cJSON_CreateString(berm_essential_name(
							    (enum berm_essential_kind)kind)));
}

static void add_policy_facts(cJSON *object, const struct berm_model *model,
			     const struct berm_policy *policy)
{
	cJSON *isolate;

	if (policy->kind == BERM_KIND_IPSET)
		add_number(object, "blocks", policy->set.count);
	if (berm_policy_is_companion(policy->kind))
		return;
	add_text(object, "tier", berm_tier_name(policy->tier));
	if (policy->kind != BERM_KIND_NETWORK)
		cJSON_AddNumberToObject(object, "priority", policy->priority);
	isolate = cJSON_AddArrayToObject(object, "isolate");
	if (policy->isolate & 1 << BERM_INGRESS)
		cJSON_AddItemToArray(isolate, cJSON_CreateString("ingress"));
	if (policy->isolate & 1 << BERM_EGRESS)
		cJSON_AddItemToArray(isolate, cJSON_CreateString("egress"));
	if (policy->rejects)
		add_text(object, "deny_with", "reject");
	if (policy->on_change != BERM_CHANGE_RECHECK)
		add_text(object, "on_policy_change",
			 policy->on_change == BERM_CHANGE_KEEP ? "keep" : "reset");
	if (policy->isolate & 1 << BERM_EGRESS)
		add_essentials(object, policy);
	add_number(object, "subjects", count_subjects(model, policy));
	add_number(object, "rules", policy->rule_count);
	if (policy->flow_count)
		add_number(object, "flows", policy->flow_count);
	berm_timetable_add(object, policy, model->now_s);
}

struct policy_list {
	const struct berm_agent *agent;
	struct berm_problems problems;
	cJSON *array;
};

/* Problems name their document as "Kind namespace/name". */
static void add_problems_of(cJSON *array, const struct berm_problems *problems,
			    const char *document)
{
	const struct berm_problem *problem;
	size_t i;

	for (i = 0; i < problems->count; i++) {
		problem = &problems->item[i];
		if (problem->document && !strcmp(problem->document, document))
			cJSON_AddItemToArray(array, problem_json(problem));
	}
}

static void add_policy_problems(cJSON *object, const struct policy_list *list,
				const struct berm_intake_policy *id)
{
	cJSON *array = cJSON_AddArrayToObject(object, "problems");
	char document[400];

	berm_policy_title(id->kind, id->ns, id->name, document, sizeof(document));
	add_problems_of(array, &list->problems, document);
	add_problems_of(array, &list->agent->engine.problems, document);
	add_problems_of(array, berm_breaches_problems(list->agent->breaches), document);
}

/* What is good and not in the kernel yet waits for its judgement: some milliseconds, or as long as that fails. */
static const char *policy_state(const struct berm_engine *engine,
				const struct berm_intake_policy *id,
				const struct berm_policy *policy)
{
	if (!policy || !berm_standing_is_good(id->standing))
		return berm_standing_name(id->standing);
	if (!berm_engine_is_in_force(engine, policy))
		return "pending";
	if (policy->is_shut && !policy->written->disabled)
		return "outside-schedule";
	if (policy->written && policy->disabled && !policy->written->disabled)
		return "expired";
	if (policy->audit)
		return "audit";
	return policy->disabled ? "disabled" : berm_standing_name(id->standing);
}

static void add_policy(const struct berm_intake_policy *id, void *ctx)
{
	struct policy_list *list = ctx;
	const struct berm_policy *policy =
		berm_model_policy(&list->agent->engine.model, id->kind, id->ns, id->name);
	cJSON *object = cJSON_CreateObject();

	add_text(object, "kind", berm_policy_kind_name(id->kind));
	add_text(object, "namespace", id->ns);
	add_text(object, "name", id->name);
	add_text(object, "state", policy_state(&list->agent->engine, id, policy));
	add_text(object, "source", id->source);
	if (id->line)
		cJSON_AddNumberToObject(object, "line", id->line);
	if (policy)
		add_policy_facts(object, &list->agent->engine.model, policy);
	add_policy_problems(object, list, id);
	cJSON_AddItemToArray(list->array, object);
}

cJSON *berm_policies_json(const struct berm_agent *agent)
{
	struct policy_list list = { .agent = agent, .array = cJSON_CreateArray() };
	cJSON *root;

	if (!list.array || berm_intake_problems(agent->intake, &list.problems)) {
		berm_problems_clear(&list.problems);
		cJSON_Delete(list.array);
		return NULL;
	}
	berm_intake_each_policy(agent->intake, add_policy, &list);
	berm_problems_clear(&list.problems);
	root = root_with("policies", list.array);
	if (root)
		berm_settings_add(root, agent);
	return root;
}

/* ---- rules -------------------------------------------------------------------------------------------------------------- */

static cJSON *rule_json(const struct berm_agent *agent, const struct berm_rule_name *name)
{
	cJSON *object = cJSON_CreateObject();
	uint64_t hits;

	add_number(object, "id", name->id);
	add_number(object, "index", name->index);
	add_text(object, "tier", name->tier);
	add_text(object, "kind", name->kind);
	add_text(object, "namespace", name->ns);
	add_text(object, "policy", name->policy);
	add_text(object, "rule", name->rule);
	add_text(object, "direction", name->dir == BERM_INGRESS ? "ingress" : "egress");
	add_text(object, "action", berm_action_name(name->action));
	add_text(object, "reason", berm_reason_name(name->reason));
	if (name->app) {
		add_text(object, "app", berm_app_name(name->app));
		add_text(object, "on_mismatch",
			 name->flags & BERM_RULE_REJECTS_OTHERS ? "reject" : "deny");
	}
	if (!berm_hits_read(&agent->maps, name->index, &hits))
		add_number(object, "hits", hits);
	return object;
}

cJSON *berm_rules_json(const struct berm_agent *agent)
{
	const struct berm_names *names = berm_apply_names(agent->engine.apply);
	cJSON *array = cJSON_CreateArray();
	size_t i;

	for (i = 0; array && i < names->count; i++)
		cJSON_AddItemToArray(array, rule_json(agent, &names->item[i]));
	return root_with("rules", array);
}
