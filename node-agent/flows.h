/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flows.h - what the data path reported, with names: a bounded ring of recent flows.
 *
 * Names are resolved when a flow is added, because an address or a rule id may mean somebody else later.
 * Knows nothing of sockets or of who reads: readers keep a sequence number of their own.
 */
#ifndef BERM_FLOWS_H
#define BERM_FLOWS_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"
#include "err.h"
#include "model.h"
#include "names.h"

#define BERM_FLOWS_DEFAULT 16384

struct berm_flows;

/* node (copied) goes into every record. The model is borrowed and only read. capacity: flows kept;
 * the memory is taken as they come. */
int berm_flows_new(const char *node, const struct berm_model *model, size_t capacity,
		   struct berm_flows **ret, struct berm_err *err) must_check;
void berm_flows_free(struct berm_flows *flows); /* accepts NULL */

/* Rule names from now on; borrowed until the next call. To be called after every generation, also if
 * the pointer is the same. */
void berm_flows_set_names(struct berm_flows *flows, const struct berm_names *names);

/* wall_ns: CLOCK_REALTIME of the event, ns. -ENOMEM: the flow is not kept (and counted as lost). */
int berm_flows_add(struct berm_flows *flows, const struct berm_event *event,
		   int64_t wall_ns) must_check;

/* A session has left the table: the record has its final counts. */
int berm_flows_add_ended(struct berm_flows *flows, const struct berm_ended *ended,
			 int64_t wall_ns) must_check;
/* The same, with whom the sampled payload asks for. */
int berm_flows_add_sample(struct berm_flows *flows, const struct berm_sample *sample,
			  int64_t wall_ns) must_check;

/* The ring holds the flows with first <= seq < next. */
uint64_t berm_flows_first(const struct berm_flows *flows);
uint64_t berm_flows_next(const struct berm_flows *flows);

/* {"rule": {...}, "isolating": [...]}, as in a flow record; name may be NULL. NULL: no memory. */
cJSON *berm_flow_rule_json(uint32_t id, const struct berm_rule_name *name);
cJSON *berm_labels_json(const struct berm_labels *labels);

/* One JSON object and a newline (docs/rest-api.md, "Flow record"); like snprintf: returns the length it
 * has or would have. -ENOENT: the ring does not hold seq (any more). */
int berm_flows_render(const struct berm_flows *flows, uint64_t seq, char *out, size_t size);

#endif /* BERM_FLOWS_H */
