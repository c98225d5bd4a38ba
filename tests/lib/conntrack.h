/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conntrack.h - the kernel's own connection tracking as a second opinion: a router in the namespace of the test,
 * which frames really cross, and what its table says of a connection afterwards. Knows nothing of Berm.
 */
#ifndef BERM_TEST_CONNTRACK_H
#define BERM_TEST_CONNTRACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As in the kernel: include/uapi/linux/netfilter/nf_conntrack_tcp.h */
enum conntrack_tcp {
	CT_NONE,
	CT_SYN_SENT,
	CT_SYN_RECV,
	CT_ESTABLISHED,
	CT_FIN_WAIT,
	CT_CLOSE_WAIT,
	CT_LAST_ACK,
	CT_TIME_WAIT,
	CT_CLOSE,
	CT_SYN_SENT2,
	CT_UNKNOWN /* there is no such connection */
};
const char *conntrack_name(enum conntrack_tcp state);

struct conntrack {
	int wire[2]; /* packet sockets: where peers are, where pods are */
	int netlink;
	bool has_v6;
};

#define CONNTRACK_MAC "02:00:00:00:00:aa" /* the router's, on both sides */

/* Between devices 2 (dev3 is its other end) and 4 (dev5), with pods 10.0.0.3, fd00::3 behind the latter. Skips the test
 * where the kernel tracks nothing. */
void conntrack_start(struct conntrack *ct);
/* The frame crosses the router from a side (0: from the peers). False: it did not come out. */
bool conntrack_cross(struct conntrack *ct, int from, const void *frame, size_t len);

struct conntrack_id {
	const char *opener, *answerer; /* addresses of one family */
	uint16_t opener_port, answerer_port;
};
enum conntrack_tcp conntrack_state(struct conntrack *ct, const struct conntrack_id *id);
void conntrack_forget(struct conntrack *ct, const struct conntrack_id *id);

#endif /* BERM_TEST_CONNTRACK_H */
