/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.h - the running agent: its parts, put together by loop.c. Whatever needs an event loop works on this; what can
 * do without (engine, flows, sources, endpoints) does not know it.
 */
#ifndef BERM_AGENT_H
#define BERM_AGENT_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "attest.h"
#include "breach.h"
#include "confirm.h"
#include "endpoints.h"
#include "engine.h"
#include "err.h"
#include "feedback.h"
#include "flows.h"
#include "history.h"
#include "keeper.h"
#include "lastgood.h"
#include "maps.h"
#include "overdue.h"
#include "pins.h"
#include "pressure.h"
#include "reconcile.h"
#include "resize.h"
#include "server.h"
#include "settings.h"
#include "shield.h"
#include "source_api.h"
#include "source_cni.h"
#include "source_files.h"
#include "timeouts.h"
#include "undo.h"

struct berm_agent_opts {
	const char *manifests; /* or: */
	bool has_api;
	struct berm_api_opts api;
	unsigned int feedback_s; /* 0: write nothing to the API server */
	const char *node;
	const char *state_dir;
	const char *socket;
	enum berm_attach_mode attach;
	struct berm_session_opts sessions;
	struct berm_shield_opts shield;
	uint32_t buckets; /* of the session table; 0: as it is */
	bool missing_pass; /* packets on an interface without endpoint entry pass; else they are dropped */
	enum berm_log_level log_level;
	bool keep_install; /* the plugin stays where berm-install has put it */
	struct berm_keeper_opts install;
};

struct berm_agent {
	struct berm_agent_opts opts;
	struct berm_settings settings; /* those of opts that may change */
	uv_loop_t loop;
	struct berm_maps maps;
	struct berm_engine engine;
	struct berm_endpoints *endpoints;
	struct berm_lastgood *store;
	struct berm_problems start_problems; /* of the last-good store, when it was opened */
	struct berm_history *history;
	struct berm_breaches *breaches;
	struct berm_confirms *confirms;
	struct berm_pins *pins;
	struct berm_undo *undo;
	struct berm_replaced replaced; /* since the last generation */
	struct berm_files *files;      /* exactly one of these two */
	struct berm_api *api;
	struct berm_feedback *feedback; /* NULL: nothing is written */
	struct berm_intake *intake;	/* of that one */
	struct berm_cni *cni;
	struct berm_flows *flows;
	struct berm_reconcile *reconcile;
	struct berm_pressure *pressure;
	struct berm_resize *resize; /* NULL: no sessions are moving to a table of another size */
	struct berm_resize_count resized;
	struct berm_server *server;
	struct berm_attest *attest;
	struct berm_shield *shield;    /* NULL: not asked for */
	struct berm_keeper *keeper;    /* NULL: not asked for */
	struct berm_err save_failure;  /* of the last-good store and the history; code 0: saved */
	int64_t started_ms;	       /* uv clock */
	struct berm_overdue judgement; /* changes wait for one */
	bool is_synced; /* every source has been read once; nothing is judged before */
	uint64_t collected, repaired, adopted; /* endpoints, since the start */
	uint64_t tampered; /* times that maps, endpoints or pins were not as we had left them */
};

/* Everything up to the first generation, then the loop until SIGTERM or SIGINT; leaves the kernel as it is.
 * The opts are borrowed. */
int berm_agent_run(const struct berm_agent_opts *opts, struct berm_err *err) must_check;

/* The model may have changed: judge soon, together with whatever else changes in the next milliseconds. */
void berm_agent_touch(struct berm_agent *agent);

/* Changes wait, and for no reason that is told elsewhere nobody has judged them. */
bool berm_agent_is_overdue(const struct berm_agent *agent);

/* Brings slots and records into the model now, and touches if that changed it. */
void berm_agent_sync_endpoints(struct berm_agent *agent, bool settled);

/* End the loop; berm_agent_run returns -ERESTART, and a new start finds out what is there. */
void berm_agent_start_again(struct berm_agent *agent);

/* Look at every source again, for what no event has told. */
void berm_agent_rescan(struct berm_agent *agent);

#endif /* BERM_AGENT_H */
