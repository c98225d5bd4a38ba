/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_api.h - a Kubernetes API server as the source of the model: one reflector for each resource, and one intake
 * for all of them. Knows no kernel.
 */
#ifndef BERM_SOURCE_API_H
#define BERM_SOURCE_API_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "err.h"
#include "intake.h"
#include "lastgood.h"
#include "model.h"
#include "reflector.h"

#define BERM_API_IDLE_S 120 /* without a byte of a watch; servers send a bookmark each minute */

struct berm_api;

struct berm_api_opts {
	const char *kubeconfig; /* NULL: in-cluster */
	const char *context;	/* of the kubeconfig; NULL: the current one */
	const char *node;	/* name of the own node */
	unsigned int idle_s;
	/* The model may have changed. */
	void (*changed)(void *ctx);
	void *ctx;
};

/* Reads the configuration; connects to nobody yet. model and store are borrowed, and what opts points to. */
int berm_api_open(uv_loop_t *loop, const struct berm_api_opts *opts, struct berm_model *model,
		  struct berm_lastgood *store, struct berm_api **ret,
		  struct berm_err *err) must_check;
void berm_api_start(struct berm_api *api);
/* Services and what belongs to them are watched while this is so, and for some minutes after. */
void berm_api_need_services(struct berm_api *api, bool is_needed);
/* Before the loop runs for the last time; free afterwards. Both accept NULL. */
void berm_api_stop(struct berm_api *api);
void berm_api_free(struct berm_api *api);

/* Has everything that the model needs been listed once? Once true, it stays so. */
bool berm_api_has_synced(struct berm_api *api);
const char *berm_api_server(const struct berm_api *api);
/* What a source of the intake is at the server, for references to it. */
struct berm_api_object {
	const char *version, *kind, *uid; /* uid NULL: not known */
	char ns[64], name[254];
};
bool berm_api_object(const struct berm_api *api, const char *source, struct berm_api_object *ret);
struct berm_apihttp *berm_api_http(const struct berm_api *api);
/* The server answers, and has no Node of the name that we believe to be ours. */
bool berm_api_lacks_node(const struct berm_api *api);
struct berm_intake *berm_api_intake(struct berm_api *api);
/* false: there is no watch number i. */
bool berm_api_watch(const struct berm_api *api, size_t i, struct berm_watch_view *ret);

#endif /* BERM_SOURCE_API_H */
