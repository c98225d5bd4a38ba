/* SPDX-License-Identifier: Apache-2.0 */
/*
 * why.h - what would happen to a flow, and why: both ends are found, each that is here is asked of the enforcing
 * bytecode, and for a denial the rules that come nearest are named.
 */
#ifndef BERM_WHY_H
#define BERM_WHY_H

#include <cjson/cJSON.h>

#include "agent.h"
#include "err.h"
#include "explain.h"

/*
 * question: {source, destination, protocol, port, source_port, ip_version, as_new} (docs/rest-api.md). *ret is the answer.
 * -EINVAL: the question makes no sense; -ENOENT: it names somebody that this node does not know. err says what to do.
 */
int berm_why(const struct berm_agent *agent, const struct berm_explain *explain,
	     const cJSON *question, cJSON **ret, struct berm_err *err) must_check;

#endif /* BERM_WHY_H */
