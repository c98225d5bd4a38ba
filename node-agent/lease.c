/* SPDX-License-Identifier: Apache-2.0 */
/* lease.c - reads the Lease, takes it when it is free, renews it while it is ours. */
#include "lease.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apicall.h"
#include "cleanup.h"
#include "log.h"
#include "model.h"
#include "patience.h"

#define LEASES	  "/apis/coordination.k8s.io/v1/namespaces/" BERM_SYSTEM_NAMESPACE "/leases"
#define NAME	  "berm-leader"
#define NODES	  "berm.dev/nodes"
#define DURATIONS 3 /* renewals that fit into it */

struct lease_seen { /* as the server has it */
	bool is_there;
	char *holder, *renewed, *version, *acquired;
	unsigned int duration_ms;
	int transitions;
};

struct berm_lease {
	struct berm_lease_opts opts;
	uv_timer_t timer;
	struct berm_apicall *call;
	struct lease_seen seen;
	struct berm_patience patience;
	uint64_t seen_ms;  /* when it last changed */
	uint64_t asked_ms; /* start of the write that is under way */
	uint64_t ours_ms;  /* start of the last write that succeeded; 0: it is not ours */
	unsigned int nodes;
	bool is_told;
};

static void on_timer(uv_timer_t *timer);

static uint64_t now_ms(const struct berm_lease *lease)
{
	return uv_now(lease->opts.loop);
}

static void seen_clear(struct lease_seen *seen)
{
	free(seen->holder);
	free(seen->renewed);
	free(seen->version);
	free(seen->acquired);
	*seen = (struct lease_seen){ 0 };
}

/* Others may take it from the moment on at which we should have renewed it three times. */
bool berm_lease_is_ours(const struct berm_lease *lease)
{
	return lease->ours_ms &&
	       now_ms(lease) - lease->ours_ms < (uint64_t)(DURATIONS - 1) * lease->opts.renew_ms;
}

static void tell(struct berm_lease *lease)
{
	bool is_ours = berm_lease_is_ours(lease);

	if (is_ours == lease->is_told)
		return;
	lease->is_told = is_ours;
	berm_log(BERM_LOG_INFO, is_ours ? "elected" : "not-elected", "lease=" NAME " holder=\"%s\"",
		 lease->seen.holder ? lease->seen.holder : "");
}

static void wait(struct berm_lease *lease)
{
	unsigned int delay = lease->opts.renew_ms;

	if (!lease->ours_ms) /* many ask, and few answers are news */
		delay = berm_jitter(delay + delay / 2);
	tell(lease);
	uv_timer_start(&lease->timer, on_timer, delay, 0);
}

/* ---- what the server has ------------------------------------------------------------------------------------ */

static char *text_of(const cJSON *map, const char *key)
{
	const cJSON *node = cJSON_GetObjectItemCaseSensitive(map, key);

	return strdup(cJSON_IsString(node) ? node->valuestring : "");
}

static int number_of(const cJSON *map, const char *key, int otherwise)
{
	const cJSON *node = cJSON_GetObjectItemCaseSensitive(map, key);

	return cJSON_IsNumber(node) && node->valuedouble > 0 && node->valuedouble < 1e6
		       ? (int)node->valuedouble
		       : otherwise;
}

static void read_nodes(struct berm_lease *lease, const cJSON *metadata)
{
	const cJSON *all = cJSON_GetObjectItemCaseSensitive(metadata, "annotations");
	const cJSON *nodes = cJSON_GetObjectItemCaseSensitive(all, NODES);
	unsigned long count = cJSON_IsString(nodes) ? strtoul(nodes->valuestring, NULL, 10) : 0;

	if (!berm_lease_is_ours(lease))
		lease->nodes = count < 100000 ? (unsigned int)count : 0;
}

static bool read_seen(struct berm_lease *lease, const cJSON *root, struct lease_seen *ret)
{
	const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(root, "metadata");
	const cJSON *spec = cJSON_GetObjectItemCaseSensitive(root, "spec");

	*ret = (struct lease_seen){
		.is_there = true,
		.holder = text_of(spec, "holderIdentity"),
		.renewed = text_of(spec, "renewTime"),
		.acquired = text_of(spec, "acquireTime"),
		.version = text_of(metadata, "resourceVersion"),
		.duration_ms = (unsigned int)number_of(spec, "leaseDurationSeconds", 30) * 1000,
		.transitions = number_of(spec, "leaseTransitions", 0),
	};
	read_nodes(lease, metadata);
	return ret->holder && ret->renewed && ret->acquired && ret->version && *ret->version;
}

static bool has_changed(const struct lease_seen *a, const struct lease_seen *b)
{
	return a->is_there != b->is_there || !a->is_there || strcmp(a->holder, b->holder) != 0 ||
	       strcmp(a->renewed, b->renewed) != 0;
}

static int take_seen(struct berm_lease *lease, const struct berm_apireply *reply)
{
	cJSON *root = cJSON_ParseWithLength(reply->text, reply->size);
	struct lease_seen seen = { 0 };
	bool is_well = root && read_seen(lease, root, &seen);

	cJSON_Delete(root);
	if (!is_well) {
		seen_clear(&seen);
		return -EBADMSG;
	}
	if (has_changed(&lease->seen, &seen))
		lease->seen_ms = now_ms(lease);
	seen_clear(&lease->seen);
	lease->seen = seen;
	return 0;
}

/* ---- requests ------------------------------------------------------------------------------------------------ */

static void lose(struct berm_lease *lease, const struct berm_apireply *reply)
{
	berm_patience_lose(&lease->patience, reply, now_ms(lease));
	wait(lease);
}

static void lose_to(struct berm_lease *lease, const char *why)
{
	struct berm_apireply reply = { .status = 0 };

	snprintf(reply.error, sizeof(reply.error), "%s", why);
	lose(lease, &reply);
}

static void call(struct berm_lease *lease, const struct berm_apicall_opts *opts)
{
	struct berm_err err = { 0 };

	if (berm_apicall_start(lease->opts.http, opts, &lease->call, &err))
		lose_to(lease, err.msg);
}

static void format_now(char out[40])
{
	struct timespec now;
	struct tm tm;
	size_t at;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	at = strftime(out, 24, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + at, 40 - at, ".%06ldZ", now.tv_nsec / 1000);
}

static cJSON *spec_json(const struct berm_lease *lease, bool is_renewal)
{
	unsigned int seconds = (DURATIONS * lease->opts.renew_ms + 999) / 1000;
	cJSON *spec = cJSON_CreateObject();
	char now[40];

	format_now(now);
	cJSON_AddStringToObject(spec, "holderIdentity", lease->opts.node);
	cJSON_AddNumberToObject(spec, "leaseDurationSeconds", seconds);
	cJSON_AddStringToObject(spec, "acquireTime",
				is_renewal && *lease->seen.acquired ? lease->seen.acquired : now);
	cJSON_AddStringToObject(spec, "renewTime", now);
	cJSON_AddNumberToObject(spec, "leaseTransitions",
				lease->seen.transitions + (lease->seen.is_there && !is_renewal));
	return spec;
}

static char *lease_text(const struct berm_lease *lease, bool is_renewal)
{
	cJSON *root = cJSON_CreateObject(), *metadata, *annotations;
	char nodes[16], *text;

	snprintf(nodes, sizeof(nodes), "%u", lease->nodes);
	cJSON_AddStringToObject(root, "apiVersion", "coordination.k8s.io/v1");
	cJSON_AddStringToObject(root, "kind", "Lease");
	metadata = cJSON_AddObjectToObject(root, "metadata");
	cJSON_AddStringToObject(metadata, "name", NAME);
	cJSON_AddStringToObject(metadata, "namespace", BERM_SYSTEM_NAMESPACE);
	if (lease->seen.is_there)
		cJSON_AddStringToObject(metadata, "resourceVersion", lease->seen.version);
	annotations = cJSON_AddObjectToObject(metadata, "annotations");
	cJSON_AddStringToObject(annotations, NODES, nodes);
	cJSON_AddItemToObject(root, "spec", spec_json(lease, is_renewal));
	text = cJSON_PrintUnformatted(root);
	cJSON_Delete(root);
	return text;
}

static void on_written(const struct berm_apireply *reply, void *ctx)
{
	struct berm_lease *lease = ctx;

	lease->call = NULL;
	if (*reply->error && reply->status != 409) {
		lose(lease, reply);
		return;
	}
	berm_patience_regain(&lease->patience);
	if (reply->status == 409 || take_seen(lease, reply)) { /* another one was first: look */
		lease->ours_ms = 0;
		seen_clear(&lease->seen);
	} else {
		lease->ours_ms = lease->asked_ms;
	}
	wait(lease);
}

/* Only if it is still as we have seen it: the version says so to the server. */
static void write_lease(struct berm_lease *lease, bool is_renewal)
{
	auto_free char *text = lease_text(lease, is_renewal);
	struct berm_apicall_opts opts = {
		.method = lease->seen.is_there ? "PUT" : "POST",
		.path = lease->seen.is_there ? LEASES "/" NAME : LEASES,
		.send = text,
		.done = on_written,
		.ctx = lease,
	};

	lease->asked_ms = now_ms(lease);
	if (text)
		call(lease, &opts);
	else
		lose_to(lease, "out of memory");
}

static bool is_free(const struct berm_lease *lease)
{
	const struct lease_seen *seen = &lease->seen;

	return !seen->is_there || !*seen->holder || !strcmp(seen->holder, lease->opts.node) ||
	       now_ms(lease) - lease->seen_ms > seen->duration_ms;
}

static void on_read(const struct berm_apireply *reply, void *ctx)
{
	struct berm_lease *lease = ctx;

	lease->call = NULL;
	if (reply->status == 404) {
		seen_clear(&lease->seen);
	} else if (*reply->error) {
		lose(lease, reply);
		return;
	} else if (take_seen(lease, reply)) {
		lose_to(lease, "the Lease " NAME " makes no sense");
		return;
	}
	if (is_free(lease)) {
		write_lease(lease, false);
		return;
	}
	berm_patience_regain(&lease->patience);
	lease->ours_ms = 0;
	wait(lease);
}

static void on_timer(uv_timer_t *timer)
{
	struct berm_lease *lease = timer->data;
	struct berm_apicall_opts opts = {
		.method = "GET", .path = LEASES "/" NAME, .done = on_read, .ctx = lease
	};

	if (lease->call)
		return;
	if (berm_patience_is_out(&lease->patience, now_ms(lease)))
		wait(lease);
	else if (berm_lease_is_ours(lease) && lease->seen.is_there)
		write_lease(lease, true);
	else
		call(lease, &opts);
}

/* ---- the interface --------------------------------------------------------------------------------------------- */

int berm_lease_new(const struct berm_lease_opts *opts, struct berm_lease **ret,
		   struct berm_err *err)
{
	struct berm_lease *lease = calloc(1, sizeof(*lease));

	if (!lease)
		return berm_fail(err, -ENOMEM, "make a Lease");
	lease->opts = *opts;
	lease->patience.what = "lease";
	lease->patience.advice = "a Role in " BERM_SYSTEM_NAMESPACE
				 " must give get, create and update on leases";
	uv_timer_init(opts->loop, &lease->timer);
	lease->timer.data = lease;
	*ret = lease;
	return 0;
}

void berm_lease_start(struct berm_lease *lease)
{
	uv_timer_start(&lease->timer, on_timer, berm_jitter(lease->opts.renew_ms / 4), 0);
}

void berm_lease_stop(struct berm_lease *lease)
{
	if (!lease)
		return;
	berm_apicall_cancel(TAKE_PTR(lease->call));
	uv_close((uv_handle_t *)&lease->timer, NULL);
}

void berm_lease_free(struct berm_lease *lease)
{
	if (!lease)
		return;
	seen_clear(&lease->seen);
	free(lease);
}

void berm_lease_set_nodes(struct berm_lease *lease, unsigned int count)
{
	lease->nodes = count;
}

unsigned int berm_lease_nodes(const struct berm_lease *lease)
{
	return lease->nodes;
}
