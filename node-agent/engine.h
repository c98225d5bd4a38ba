/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.h - model -> plan -> kernel, one generation at a time. Knows when there is something to do and when
 * to try again; knows no files, no sockets, no event loop.
 */
#ifndef BERM_ENGINE_H
#define BERM_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "apply.h"
#include "document.h"
#include "err.h"
#include "maps.h"
#include "model.h"

struct berm_engine {
	struct berm_model model;
	struct berm_maps *maps; /* borrowed */
	struct berm_apply *apply;
	struct berm_compiled *
		compiled; /* of the model as it was last compiled, NULL: not since it changed much */
	struct berm_problems problems; /* of the compiler, for the model as it was last compiled */
	struct berm_apply_result last; /* of the last apply that succeeded */
	struct berm_err failure;       /* code 0: the last attempt succeeded */
	uint64_t judged_version;       /* of the model that is in force */
	uint64_t tried_version;	       /* of the last attempt */
	char **isolated_ns;	       /* sorted; see berm_engine_isolate() */
	size_t isolated_count;
	uint64_t applied, failed; /* attempts */
	uint64_t followed;	  /* of these: without a compilation from nothing */
	uint64_t took_ns; /* the last compile and apply together: how long the loop stood still */
	unsigned int retry_ms; /* 0: nothing to retry */
	bool has_judged;       /* since this process started */
	bool is_distrusted; /* the maps may not hold what we wrote: judge, though nothing is new */
	bool has_new_isolated; /* isolated_ns is newer than what is in force */
	bool has_new_problems; /* the last compile found other ones than that before */
};

/* Reads back what the kernel holds. maps must outlive the engine. */
int berm_engine_open(struct berm_engine *engine, struct berm_maps *maps,
		     struct berm_err *err) must_check;
void berm_engine_close(
	struct berm_engine *engine); /* leaves the kernel as it is; accepts a zeroed one */

/* Namespaces whose new pods start isolated whatever the policies in force say, because a document of theirs is
 * broken (design/policy.md). Sorted, each once; copied. -ENOMEM: nothing changes. */
int berm_engine_isolate(struct berm_engine *engine, const char *const *ns, size_t count) must_check;

/* The next judgement reads back what the maps hold and mends it. */
void berm_engine_distrust(struct berm_engine *engine);

/* Is the model newer than what is in force? */
bool berm_engine_is_stale(const struct berm_engine *engine);

/* Is this policy of the model in the kernel as it is now? */
bool berm_engine_is_in_force(const struct berm_engine *engine, const struct berm_policy *policy);

/* Compile and apply; engine->last.warning says what did not go well although it is in force, and is tried again
 * too. On failure the old generation stays in force and retry_ms says when to try again (1 s,
 * doubling to 60 s); a change of the model is a reason to try at once. */
int berm_engine_judge(struct berm_engine *engine, struct berm_err *err) must_check;

/* Has the pod in this slot, behind this interface, the sets that its policies ask for? */
bool berm_engine_has_judged(const struct berm_engine *engine, uint32_t slot, uint32_t ifindex);

#endif /* BERM_ENGINE_H */
