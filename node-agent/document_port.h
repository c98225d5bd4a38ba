/* SPDX-License-Identifier: Apache-2.0 */
/* document_port.h - what: the elements of ports and icmp. */
#ifndef BERM_DOCUMENT_PORT_H
#define BERM_DOCUMENT_PORT_H

#include "field.h"
#include "policy.h"

/* Appends to rule->port. Problems are in the reader. */
void berm_read_ports(const struct berm_field *list, enum berm_policy_kind kind,
		     struct berm_policy_rule *rule);
void berm_read_icmp(const struct berm_field *list, struct berm_policy_rule *rule);

/* TCP, UDP, SCTP; also used for containerPorts. */
bool berm_read_protocol(const struct berm_field *field, int *plane);
/* RFC 6335 service name as Kubernetes has it: IsValidPortName. */
bool berm_is_port_name(const char *text);

#endif /* BERM_DOCUMENT_PORT_H */
