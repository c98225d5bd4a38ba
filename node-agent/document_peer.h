/* SPDX-License-Identifier: Apache-2.0 */
/* document_peer.h - who: the elements of from and to. */
#ifndef BERM_DOCUMENT_PEER_H
#define BERM_DOCUMENT_PEER_H

#include "field.h"
#include "policy.h"

/* One element; kind says whose syntax it is. Problems are in the reader. */
void berm_read_peer(const struct berm_field *field, enum berm_policy_kind kind,
		    struct berm_peer_term *out);

/* One CIDR, from a kind whose API server takes sloppy ones also those. False: a problem was added. */
bool berm_read_cidr(const struct berm_field *field, enum berm_policy_kind kind,
		    struct berm_cidr *out);

#endif /* BERM_DOCUMENT_PEER_H */
