/* SPDX-License-Identifier: Apache-2.0 */
/* frame.h - the first packet of a flow, as bytes, for a question to the data path. Checksums are left zero. */
#ifndef BERM_FRAME_H
#define BERM_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "abi.h"

struct berm_flow5 {
	struct berm_addr src, dst; /* of one family */
	uint8_t proto;		   /* IP protocol number */
	uint16_t sport,
		dport; /* host order; ICMP: dport is type << 8 | code, sport the id of an echo */
};

#define BERM_FRAME_MAX 128

/* TCP: a SYN; SCTP: an INIT. Returns the length in bytes. */
size_t berm_frame_make(const struct berm_flow5 *flow, uint8_t out[BERM_FRAME_MAX]);

#endif /* BERM_FRAME_H */
