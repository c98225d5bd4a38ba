/* SPDX-License-Identifier: Apache-2.0 */
/* flow_text.h - choosing and writing flow records (docs/rest-api.md, "Flow record"). Knows no socket. */
#ifndef BERM_CTL_FLOW_TEXT_H
#define BERM_CTL_FLOW_TEXT_H

#include "ctl.h"

struct ctl_flow_filter {
	const char *verdict;   /* FORWARDED, DROPPED or REJECTED, any case */
	const char *pod, *ns;  /* of either end; shell patterns, see ctl_name_matches() */
	const char *direction; /* ingress or egress */
	const char *rule; /* pattern on "ns/policy:rule", on any part of it, or on the reason */
	int port;	  /* of either end; 0 = any */
	int64_t since_ns; /* since the epoch; 0 = any */
};

bool ctl_flow_is_wanted(const struct ctl_flow_filter *filter, const cJSON *flow);
/* ns since the epoch, 0 if the record has no readable time. */
int64_t ctl_flow_time(const cJSON *flow);
/* "shop/db-in:web", or the reason if no rule of a document decided. malloc'ed. */
char *ctl_flow_rule(const cJSON *flow);
/* One line of text. `wide` adds addresses, labels and counts. */
void ctl_flow_print(const cJSON *flow, bool wide, bool color, FILE *out);
void ctl_flow_print_header(bool wide, bool color, FILE *out);

#endif /* BERM_CTL_FLOW_TEXT_H */
