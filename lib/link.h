/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.h - attach the programs to a host veth so that they stay attached after we exit, and look at
 * what is attached. tcx (kernel >= 6.6) with pinned links at the head of the hook, else clsact + cls_bpf.
 */
#ifndef BERM_LINK_H
#define BERM_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

enum berm_attach_mode { BERM_ATTACH_AUTO, BERM_ATTACH_TCX, BERM_ATTACH_CLSACT };

/* Both hooks. Idempotent: an existing link of the same device is updated in place without a gap; a pin
 * left by a dead device is replaced. All or nothing. *ret_mode (may be NULL): what was used. */
int berm_link_attach(uint32_t ifindex, enum berm_attach_mode mode, enum berm_attach_mode *ret_mode,
		     struct berm_err *err) must_check;

/* Undo, only our own things; absent is fine. A clsact qdisc stays: others may use it by now, and an empty one does
 * nothing. tcx programs leave the hook a moment later (the kernel frees links in a work queue). */
int berm_link_detach(uint32_t ifindex, struct berm_err *err);

struct berm_hook_state {  /* of one direction */
	bool attached;	  /* one of our programs is on the hook */
	bool current;	  /* and it is the pinned one */
	uint32_t before;  /* number of foreign programs that run before ours ("may bypass") */
	char foreign[64]; /* name of the first of them */
	char bypass[64]; /* a program on this hook whose data path is known to deliver past a host veth's
			  * egress hook (bpf_redirect_peer): ingress is then not enforced; "" = none */
	enum berm_attach_mode mode;
};

/* hooks is indexed by enum berm_dir. -ENODEV if the device is gone. */
int berm_link_inspect(uint32_t ifindex, struct berm_hook_state hooks[2],
		      struct berm_err *err) must_check;

/* A number that changes when other programs than before stand on the device's tcx hooks: two system calls,
 * where inspecting takes forty. Says nothing of clsact (rtnetlink tells of that, group TC) and is 0 on kernels
 * without tcx. -ENODEV if the device is gone. */
int berm_link_glance(uint32_t ifindex, uint64_t *ret) must_check;

/* Remove pins of links whose device is gone. Returns how many, or -errno. */
int berm_link_collect(struct berm_err *err);

#endif /* BERM_LINK_H */
