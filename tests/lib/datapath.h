/* SPDX-License-Identifier: Apache-2.0 */
/*
 * datapath.h - the real programs over real maps, filled by name, so that a test reads as a table: pods,
 * peers, policies; then one packet after the other through BPF_PROG_TEST_RUN, each with its whole verdict.
 *
 *	struct datapath *dp = datapath_load(NULL);
 *	uint32_t db = datapath_pod(dp, &(struct pod){ .ifindex = 1, .addr = { "10.0.0.3" } });
 *	datapath_policy(dp, db, BERM_INGRESS, (struct rule[]){ { "web", TCP_PORT(5432), 2001, ALLOW } }, 1);
 *	SEND(dp, BERM_INGRESS, &syn, ALLOWED, POLICY_ALLOW, 2001);
 *
 * Whatever fails here ends the test. Needs CAP_BPF and CAP_NET_ADMIN.
 */
#ifndef BERM_TEST_DATAPATH_H
#define BERM_TEST_DATAPATH_H

#include <stdbool.h>
#include <stdint.h>

#include "abi.h"
#include "maps.h"
#include "packet.h"
#include "test.h"

struct berm_bpf;
struct bpf_program;
struct bpf_test_run_opts;
struct ring_buffer;

#define ALLOWED	 (-1)
#define DROPPED	 2
#define REJECTED 7 /* a rejection: the sender is told */

#define TCP_PORT(n)    (BERM_PLANE_TCP << 16 | (n))
#define UDP_PORT(n)    (BERM_PLANE_UDP << 16 | (n))
#define SCTP_PORT(n)   (BERM_PLANE_SCTP << 16 | (n))
#define ICMP_TYPE(n)   (BERM_PLANE_ICMP << 16 | (n) << 8)
#define ICMPV6_TYPE(n) (BERM_PLANE_ICMPV6 << 16 | (n) << 8)
#define OTHER_PROTO(n) (BERM_PLANE_OTHER << 16 | (n))
#define ANY_PORT       UINT32_MAX

struct datapath_opts {
	uint32_t buckets;  /* 0 = 1,024 */
	uint32_t event_ms; /* 0 = every verdict that wants an event has one */
	bool explain;	   /* load the explain build */
	bool strict_tcp;
	bool ended; /* sessions that leave are told of: cfg_ended */
	bool apps;  /* find out what sessions carry */
};

struct datapath {
	struct berm_bpf *skel;
	struct berm_maps maps;
	struct ring_buffer *ring;
	uint32_t hz, event_ms;
	bool ended;
	bool apps;
	bool strict_tcp;
	uint32_t ingress_ifindex; /* what packets into a pod come in by; 0 = made on this node */
	uint32_t next_set, next_rule, next_cell, next_col, next_port_class;
	struct berm_event event;   /* last one read */
	struct berm_sample sample; /* last one that came with a payload */
	uint32_t samples;
	uint32_t events; /* read so far */
};

/* What became of one packet. */
struct verdict {
	int retval;
	uint32_t action; /* enum berm_action of the event; 0 = there was none */
	uint32_t reason; /* the counter that moved; BERM_REASON_MAX if not exactly one by one packet */
	uint32_t rule;	/* of the event; 0 = there was none */
	uint64_t bytes; /* by which that counter moved */
};

/* Also moves the test into a network namespace of its own with devices 1 (lo) to 4. */
struct datapath *datapath_load(const struct datapath_opts *opts);
void datapath_free(struct datapath *dp); /* only for who loads many; a test's process ends anyway */

int datapath_map(const struct datapath *dp, const char *name); /* fd, -1 = none of the product's */

struct pod {
	uint32_t ifindex;
	const char *addr[BERM_MAX_ADDRS];
	const char *mac; /* default 02:00:00:00:00:01 */
	uint32_t flags;	 /* BERM_EP_* */
	uint32_t allowed_table;
	uint32_t set_in, set_out; /* BERM_SET_OPEN... */
};
uint32_t datapath_pod(struct datapath *dp, const struct pod *pod); /* slot */

void datapath_peer(struct datapath *dp, const char *addr, uint32_t cls);
void datapath_cidr(struct datapath *dp, uint32_t table, const char *cidr,
		   uint32_t cls); /* "10.0.0.0/8" */
void datapath_local(struct datapath *dp, const char *addr);

/* First match decides; nothing matches: default deny. cls 0 = any peer. */
struct rule {
	uint32_t cls;
	uint32_t port; /* TCP_PORT(80)... or ANY_PORT */
	uint32_t id;
	uint32_t action; /* BERM_ACTION_* */
	uint8_t app;	 /* enum berm_app that it wants, 0 = any */
	uint8_t flags;	 /* BERM_RULE_* */
};

/* Compiles rules into a new matrix; table is the CIDR table it names. Returns the set. */
uint32_t datapath_matrix(struct datapath *dp, uint32_t table, const struct rule *rule,
			 uint32_t count);
/* The same, and the endpoint is switched to it and its epoch bumped. Sets the isolation flag. */
uint32_t datapath_policy(struct datapath *dp, uint32_t slot, enum berm_dir dir,
			 const struct rule *rule, uint32_t count);
void datapath_set(struct datapath *dp, uint32_t slot, enum berm_dir dir,
		  uint32_t set); /* and bump */

/* One packet through the program of its direction, on the interface of the pod (pass 0 for device 1). */
struct verdict datapath_send(struct datapath *dp, enum berm_dir dir, uint32_t ifindex,
			     const struct packet *p);
struct verdict datapath_send_frame(struct datapath *dp, enum berm_dir dir, uint32_t ifindex,
				   const void *frame, size_t len);

/* bpf_prog_test_run_opts(), also where the kernel takes no ingress_ifindex in ctx_in, a struct __sk_buff of the
 * caller's. Skips the test if that would change what the packet is. */
int datapath_run(const struct datapath *dp, const struct bpf_program *prog,
		 struct bpf_test_run_opts *opts);

/* Sends and expects everything at once. */
void datapath_expect(const char *where, int line, struct verdict got, int retval, uint32_t reason,
		     uint32_t rule);
#define SEND(dp, dir, packet, retval, reason, rule)                                                \
	datapath_expect(__FILE__, __LINE__, datapath_send(dp, dir, 0, packet), retval,             \
			BERM_REASON_##reason, rule)
#define SEND_TO(dp, dir, ifindex, packet, retval, reason, rule)                                    \
	datapath_expect(__FILE__, __LINE__, datapath_send(dp, dir, ifindex, packet), retval,       \
			BERM_REASON_##reason, rule)

uint64_t datapath_stat(struct datapath *dp, enum berm_stat stat);
uint64_t datapath_packets(struct datapath *dp, enum berm_dir dir, enum berm_reason reason);
const char *datapath_reason(uint32_t reason);

/* ---- the session table, read as user space does ------------------------------------------------------ */

struct table {
	uint32_t buckets;
	struct berm_bucket *bucket;
};

struct table_sum {
	int64_t half_open, established; /* entries, live or not */
	int64_t spilled;		/* entries that say so */
	int64_t spill;			/* sum of the buckets' counters */
	int64_t copies_differ;		/* state in header and slot */
	int64_t duplicates;		/* same key twice */
	int64_t wrong_homes;		/* buckets whose spill is not what is spilled from them */
	int64_t wrong_owners;		/* owners whose held count is not what they hold */
	int64_t held[2];
};

struct table table_read(struct datapath *dp);
void table_free(struct table *t);
struct table_sum table_sum(struct datapath *dp, const struct table *t);
/* Expects held and spill to agree with what stands in the table. */
void table_expect_books(const char *where, int line, struct datapath *dp);
#define EXPECT_BOOKS(dp) table_expect_books(__FILE__, __LINE__, dp)
/* The session of this peer and ports; false if there is none. Ports as in the packet, host order. */
bool session_find(struct datapath *dp, uint32_t ifindex, const char *peer, uint16_t local_port,
		  uint16_t peer_port, struct berm_session *out);
uint32_t datapath_sweep(struct datapath *dp, uint32_t ifindex); /* freed */

#endif /* BERM_TEST_DATAPATH_H */
