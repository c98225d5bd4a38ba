/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connection.h - one TCP connection as a wall beside it must understand it: written from RFC 9293 and the
 * rules for sessions, as two ends that send and receive. The second opinion of tests/bpf/test_tcp.c; shares
 * nothing with the programs, not even the names of bits. Knows no addresses, no table and no clock.
 */
#ifndef BERM_TEST_CONNECTION_H
#define BERM_TEST_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

enum connection_way { INTO_POD, OUT_OF_POD };

/* RFC 9293, 3.3.2 */
enum end_state {
	END_CLOSED, /* has not spoken yet */
	END_SYN_SENT,
	END_SYN_RECEIVED,
	END_ESTABLISHED,
	END_FIN_WAIT_1,
	END_FIN_WAIT_2,
	END_CLOSE_WAIT,
	END_CLOSING,
	END_LAST_ACK,
	END_TIME_WAIT,
	END_DONE, /* LAST-ACK, acknowledged */
	END_STATE_COUNT
};
const char *end_state_name(enum end_state state);

enum patience { /* which timeout the wall's entry stands under */
		PATIENCE_HALF_OPEN,
		PATIENCE_ESTABLISHED,
		PATIENCE_HALF_CLOSED,
		PATIENCE_CLOSING,
		PATIENCE_RESET
};

struct wall {
	bool allows[2]; /* [way]: what the policy of the pod says now */
	bool may_adopt_answers;
	bool strict;
};

struct connection {
	bool is_known;	  /* the wall has an entry */
	bool is_expired;  /* its time is over, nobody has noticed */
	bool is_doubtful; /* the policy has changed since the last packet */
	bool is_adopted, is_proven, is_reset;
	enum connection_way opened;
	enum end_state opener, answerer;
	enum patience patience;
};

enum passage { DROPPED_BY_POLICY, PASSED_BY_POLICY, PASSED_BY_SESSION };

struct opinion {
	enum passage passage;
	bool is_illegal;
};

/* A segment with these flags of the TCP header passes the wall. */
struct opinion connection_sees(struct connection *c, const struct wall *wall,
			       enum connection_way way, uint8_t flags);

bool connection_has_fin(enum end_state end);	  /* that end has sent FIN */
bool connection_fin_is_acked(enum end_state end); /* and the other has acknowledged it */

#endif /* BERM_TEST_CONNECTION_H */
