/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h - the REST interface on a unix socket (docs/rest-api.md): libmicrohttpd inside our event loop. Knows
 * HTTP and who waits for what; the answers are made by status.c.
 */
#ifndef BERM_SERVER_H
#define BERM_SERVER_H

#include "err.h"

struct berm_agent;
struct berm_server;

/* Makes the socket, mode 0600. -EADDRINUSE cannot be: whoever is called holds the agent's lock, so a
 * socket that is there is a dead one's and is replaced. */
int berm_server_start(struct berm_agent *agent, struct berm_server **ret,
		      struct berm_err *err) must_check;

/* A generation is in force: answer those who wait for their pod to be judged. */
void berm_server_judged(struct berm_server *server);
/* There are new flows: wake those who follow. */
void berm_server_flows(struct berm_server *server);

/* Ends all calls and removes the socket; the caller runs the loop until the handles are closed, then frees. */
void berm_server_stop(struct berm_server *server);
void berm_server_free(struct berm_server *server); /* accepts NULL */

#endif /* BERM_SERVER_H */
