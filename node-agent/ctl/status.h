/* SPDX-License-Identifier: Apache-2.0 */
/* status.h - the state of the node as one document: gathered in status_doc.c, shown in status.c. */
#ifndef BERM_CTL_STATUS_H
#define BERM_CTL_STATUS_H

#include "source.h"

/*
 * {enforcing, reasons[], warnings[], node, kernel, abi, generation, agent{running, ...}, programs[], maps[],
 *  sessions{}, endpoints{total, enforced, fallback, not_enforced[]}, policies{}, problems[], verdicts[], events{}}
 * What cannot be known is left out. Returns 0 or, if not even the maps may be looked at, -EPERM or -EACCES.
 */
int ctl_status_gather(const struct ctl_options *options, cJSON **ret,
		      struct berm_err *err) must_check;
void ctl_status_print(const struct ctl_options *options, const cJSON *doc, FILE *out);

#endif /* BERM_CTL_STATUS_H */
