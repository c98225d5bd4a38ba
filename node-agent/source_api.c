/* SPDX-License-Identifier: Apache-2.0 */
/* source_api.c - puts the reflectors together. */
#include "source_api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alarm.h"
#include "apihttp.h"
#include "cleanup.h"
#include "kubeconfig.h"
#include "log.h"

#define MAX_WATCHES 16
#define LINGER_MS   300000 /* a list of all Services costs more than following them for a while */

struct berm_api {
	struct berm_api_opts opts;
	uv_loop_t *loop;
	struct berm_kubeconfig config;
	struct berm_apihttp *http;
	struct berm_intake intake;
	struct berm_api_told told;
	struct berm_reflector *watch[MAX_WATCHES];
	size_t count;
	bool has_synced, needs_services;
	uv_timer_t linger; /* Services are not needed any more */
};

/* Somebody else decided over an object of this source, and does not any more. */
static void on_reload(const char *source, void *ctx)
{
	struct berm_api *api = ctx;

	for (size_t i = 0; i < api->count; i++)
		berm_reflector_reload(api->watch[i], source);
}

/* The server's clock is that by which objects were written. */
static int64_t now_s(void *ctx)
{
	const struct berm_api *api = ctx;
	int64_t now = berm_apihttp_now_s(api->http);

	return now ? now : berm_alarm_now_s();
}

/* What the store has of objects that went while no agent ran must not come back. */
static int retain(struct berm_api *api)
{
	auto_free const char **name = NULL;
	size_t count = 0, i;

	for (i = 0; i < api->count; i++)
		count += berm_reflector_count(api->watch[i]);
	name = calloc(count + 1, sizeof(*name));
	if (!name)
		return -ENOMEM;
	for (count = 0, i = 0; i < api->count; i++)
		count += berm_reflector_names(api->watch[i], name + count);
	return berm_lastgood_retain(api->intake.store, name, count);
}

static bool is_all_synced(const struct berm_api *api)
{
	for (size_t i = 0; i < api->count; i++)
		if (berm_apiresources[i].kind && !berm_reflector_has_synced(api->watch[i]) &&
		    (api->needs_services || !berm_apiresources[i].is_service))
			return false;
	return true;
}

static void on_changed(void *ctx)
{
	struct berm_api *api = ctx;

	api->opts.changed(api->opts.ctx);
}

/* A CRD is there, or is served now. */
static void on_announced(void *ctx)
{
	struct berm_api *api = ctx;
	bool is_there = false;

	for (size_t i = 0; i < api->count; i++)
		is_there |= berm_apiresources[i].is_announcement &&
			    berm_reflector_count(api->watch[i]) > 0;
	for (size_t i = 0; is_there && i < api->count; i++)
		if (berm_apiresources[i].is_optional)
			berm_reflector_expect(api->watch[i]);
}

static void switch_services(struct berm_api *api, bool is_on)
{
	for (size_t i = 0; i < api->count; i++) {
		if (!berm_apiresources[i].is_service ||
		    berm_reflector_is_on(api->watch[i]) == is_on)
			continue;
		if (is_on)
			berm_reflector_start(api->watch[i]);
		else
			berm_reflector_pause(api->watch[i]);
	}
}

static void on_linger(uv_timer_t *timer)
{
	struct berm_api *api = timer->data;

	switch_services(api, false);
	api->opts.changed(api->opts.ctx);
}

void berm_api_need_services(struct berm_api *api, bool is_needed)
{
	if (api->needs_services == is_needed)
		return;
	api->needs_services = is_needed;
	if (!is_needed) {
		uv_timer_start(&api->linger, on_linger, LINGER_MS, 0);
		return;
	}
	uv_timer_stop(&api->linger);
	switch_services(api, true);
}

static int load_config(struct berm_api *api, struct berm_err *err)
{
	int rc = api->opts.kubeconfig
			 ? berm_kubeconfig_load(api->opts.kubeconfig, api->opts.context,
						&api->config, err)
			 : berm_kubeconfig_in_cluster(BERM_SERVICEACCOUNT_DIR, &api->config, err);

	if (!rc && api->config.is_insecure)
		berm_log(BERM_LOG_WARNING, "tls-not-verified",
			 "server=%s effect=\"anybody on the way can write the policies; for tests only\"",
			 api->config.server);
	return rc;
}

static int open_watches(struct berm_api *api, struct berm_err *err)
{
	struct berm_reflector_opts opts = {
		.loop = api->loop,
		.http = api->http,
		.intake = &api->intake,
		.told = &api->told,
		.node = api->opts.node,
		.idle_ms = api->opts.idle_s * 1000,
		.ctx = api,
	};
	int rc;

	for (size_t i = 0; i < berm_apiresource_count && i < MAX_WATCHES; i++) {
		opts.resource = &berm_apiresources[i];
		opts.changed = opts.resource->is_announcement ? on_announced : on_changed;
		rc = berm_reflector_new(&opts, &api->watch[i], err);
		if (rc)
			return rc;
		api->count++;
	}
	return 0;
}

int berm_api_open(uv_loop_t *loop, const struct berm_api_opts *opts, struct berm_model *model,
		  struct berm_lastgood *store, struct berm_api **ret, struct berm_err *err)
{
	struct berm_api *api = calloc(1, sizeof(*api));
	int rc;

	if (!api)
		return berm_fail(err, -ENOMEM, "open the API server");
	*ret = api; /* also on failure: it has handles that the loop must close */
	api->loop = loop;
	uv_timer_init(loop, &api->linger);
	api->linger.data = api;
	api->opts = *opts;
	api->intake = (struct berm_intake){
		.model = model, .store = store, .reload = on_reload, .now_s = now_s, .ctx = api
	};
	rc = load_config(api, err);
	if (!rc)
		rc = berm_apihttp_open(loop, &api->config, &api->http, err);
	return rc ? rc : open_watches(api, err);
}

void berm_api_start(struct berm_api *api)
{
	for (size_t i = 0; i < api->count; i++)
		if (!berm_apiresources[i].is_service)
			berm_reflector_start(api->watch[i]);
}

void berm_api_stop(struct berm_api *api)
{
	if (!api)
		return;
	for (size_t i = 0; i < api->count; i++)
		berm_reflector_stop(api->watch[i]);
	uv_close((uv_handle_t *)&api->linger, NULL);
	berm_apihttp_stop(api->http);
}

void berm_api_free(struct berm_api *api)
{
	if (!api)
		return;
	for (size_t i = 0; i < api->count; i++)
		berm_reflector_free(api->watch[i]);
	berm_apihttp_free(api->http);
	berm_intake_clear(&api->intake);
	berm_kubeconfig_clear(&api->config);
	free(api);
}

bool berm_api_has_synced(struct berm_api *api)
{
	if (api->has_synced || !is_all_synced(api))
		return api->has_synced;
	api->has_synced = true;
	if (retain(api))
		berm_log(BERM_LOG_ERROR, "out-of-memory", NULL);
	return true;
}

const char *berm_api_server(const struct berm_api *api)
{
	return api->config.server;
}

bool berm_api_lacks_node(const struct berm_api *api)
{
	for (size_t i = 0; i < api->count; i++)
		if (berm_apiresources[i].is_node)
			return berm_reflector_has_synced(api->watch[i]) &&
			       !berm_reflector_count(api->watch[i]);
	return false;
}

struct berm_intake *berm_api_intake(struct berm_api *api)
{
	return &api->intake;
}

bool berm_api_watch(const struct berm_api *api, size_t i, struct berm_watch_view *ret)
{
	if (i >= api->count)
		return false;
	berm_reflector_view(api->watch[i], ret);
	return true;
}

/* "configmap shop/x" */
static bool split_source(const char *source, const char *word, struct berm_api_object *ret)
{
	size_t size = strlen(word);
	const char *slash;

	if (strncmp(source, word, size) != 0 || source[size] != ' ')
		return false;
	source += size + 1;
	slash = strchr(source, '/');
	snprintf(ret->ns, sizeof(ret->ns), "%.*s", slash ? (int)(slash - source) : 0, source);
	snprintf(ret->name, sizeof(ret->name), "%s", slash ? slash + 1 : source);
	return true;
}

bool berm_api_object(const struct berm_api *api, const char *source, struct berm_api_object *ret)
{
	for (size_t i = 0; i < api->count; i++) {
		if (!split_source(source, berm_apiresources[i].word, ret))
			continue;
		ret->version = berm_apiresources[i].version;
		ret->kind = berm_apiresources[i].kind;
		ret->uid = berm_reflector_uid(api->watch[i], source);
		return true;
	}
	return false;
}

struct berm_apihttp *berm_api_http(const struct berm_api *api)
{
	return api->http;
}
