/* SPDX-License-Identifier: Apache-2.0 */
/*
 * generator.h - many flows through the real handle(), one BPF_PROG_TEST_RUN for millions of packets. Runs
 * over the maps of a datapath. Which flow a packet belongs to is told by tests/bpf/generator.bpf.c.
 */
#ifndef BERM_TEST_GENERATOR_H
#define BERM_TEST_GENERATOR_H

#include "datapath.h"

struct generator_bpf;

struct generator {
	struct generator_bpf *skel;
	struct datapath *dp;
};

/* lru: entries of the kernel's LRU hash of the reference program; 0 = as few as can be. */
struct generator *generator_load(struct datapath *dp, uint32_t lru);
void generator_free(struct generator *g);

struct flood {
	const struct packet
		*packet;  /* pattern of a frame; address of the peer and opener's port vary */
	const char *net;  /* first address of the peers, "10.64.0.0" */
	uint32_t ifindex; /* of the pod; 0 = 1 */
	uint32_t flows;
	uint32_t packets; /* 0 = as many as flows */
	uint32_t first;	  /* flow to begin with */
	bool scatter;	  /* all over the flows, not in order */
	bool by_peer;	  /* the peer opens the flows */
	bool one_peer;	  /* of one peer, at most 64,000 flows */
};

/* Nanoseconds a packet, as the kernel measures them. retval (may be NULL): of the last packet. */
uint32_t generator_run(struct generator *g, enum berm_dir dir, const struct flood *f, int *retval);
/* SYN, SYN-ACK, ACK (or UDP three times): established flows. packet gives addresses and service port. */
void generator_establish(struct generator *g, struct flood f);

enum reference { REF_EMPTY, REF_LRU };
int generator_lru_fd(const struct generator *g); /* the LRU hash of the reference program */
uint32_t generator_reference(struct generator *g, enum reference ref, const struct flood *f);

#endif /* BERM_TEST_GENERATOR_H */
