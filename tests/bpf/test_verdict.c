/* SPDX-License-Identifier: Apache-2.0 */
/* test_verdict.c - policy, sessions and epochs: one packet after the other with verdict, reason, rule. */
#include "datapath.h"

#define WEB "10.0.0.2"
#define DB  "10.0.0.3"
#define SPY "10.0.0.4"

enum { CLASS_WEB = BERM_CLASS_FIRST, CLASS_SPY };

static const struct rule web_to_db = { CLASS_WEB, TCP_PORT(5432), 2001, BERM_ACTION_ALLOW };

static struct datapath *db_node(uint32_t *slot)
{
	struct datapath *dp = datapath_load(NULL);

	*slot = datapath_pod(dp, &(struct pod){ .ifindex = 1, .addr = { DB, "fd00::3" } });
	datapath_peer(dp, WEB, CLASS_WEB);
	datapath_peer(dp, "fd00::2", CLASS_WEB);
	datapath_peer(dp, SPY, CLASS_SPY);
	return dp;
}

TEST(replies_ride_the_session)
{
	struct packet ask = { .src = WEB, .dst = DB, .sport = 40000, .dport = 5432 };
	struct packet answer = { .src = DB, .dst = WEB, .sport = 5432, .dport = 40000, .flags = TCP_SYN | TCP_ACK };
	struct packet spy = { .src = SPY, .dst = DB, .sport = 40000, .dport = 5432 };
	uint32_t db;
	struct datapath *dp = db_node(&db);

	datapath_policy(dp, db, BERM_INGRESS, &web_to_db, 1);
	datapath_policy(dp, db, BERM_EGRESS, NULL, 0);
	SEND(dp, BERM_EGRESS, &answer, DROPPED, DEFAULT_DENY, BERM_REASON_DEFAULT_DENY);
	SEND(dp, BERM_INGRESS, &ask, ALLOWED, POLICY_ALLOW, 2001);
	SEND(dp, BERM_INGRESS, &ask, ALLOWED, SESSION, 0);
	SEND(dp, BERM_EGRESS, &answer, ALLOWED, SESSION, 0);
	SEND(dp, BERM_INGRESS, &spy, DROPPED, DEFAULT_DENY, BERM_REASON_DEFAULT_DENY);
	EXPECT_BOOKS(dp);
}
