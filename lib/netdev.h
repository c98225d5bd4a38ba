/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netdev.h - what rtnetlink knows about devices and addresses. Never enters a namespace.
 */
#ifndef BERM_NETDEV_H
#define BERM_NETDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"
#include "err.h"

struct berm_veth {
	uint32_t ifindex;      /* host side */
	char name[16];	       /* host side */
	uint32_t peer_ifindex; /* inside the pod */
	uint32_t master;       /* bridge the host side is enslaved to, 0 = none */
	int nsid;	       /* of the pod's namespace, seen from ours */
	uint8_t mac[6];	       /* of the pod's side */
	uint8_t addr_count;    /* global and unique-local addresses; link-local ones left out */
	uint8_t addr_more;     /* addresses beyond BERM_MAX_ADDRS that found no room here */
	struct berm_addr addr[BERM_MAX_ADDRS];
};

/* Host side of interface ifname in the namespace at netns (a path). By design/cni.md rule 6: nsid, then
 * RTM_GETLINK with IFLA_TARGET_NETNSID, then the host link is checked from both ends.
 * -ENODEV no such interface; -EMEDIUMTYPE not a veth or its peer is not on this host ("unsupported");
 * -EXDEV netns is our own (hostNetwork). */
int berm_netdev_find(const char *netns, const char *ifname, struct berm_veth *out,
		     struct berm_err *err) must_check;

/* All veths of the host whose other end is in another namespace. *ret is malloc'ed, caller frees. */
int berm_netdev_veths(struct berm_veth **ret, size_t *ret_count, struct berm_err *err) must_check;

/* Fill mac and addresses of the pod's side again (they may come late). */
int berm_netdev_refresh(struct berm_veth *veth, struct berm_err *err) must_check;

/* Does the device exist, and is it a veth with this peer? */
bool berm_netdev_is(uint32_t ifindex, uint32_t peer_ifindex);

/* Does the kernel say that it is not (any more)? An error is no evidence, so this is not the opposite of
 * berm_netdev_is(): what is taken down is taken down on this. */
bool berm_netdev_is_gone(uint32_t ifindex, uint32_t peer_ifindex);

/* Addresses of the host namespace, without those of kube-ipvs0; loopback included. Caller frees. */
int berm_netdev_local(struct berm_addr **ret, size_t *ret_count, struct berm_err *err) must_check;

/* Is there a device of this name on the host? */
bool berm_netdev_exists(const char *name);

/* inode number of a network namespace (identity while it lives). */
int berm_netns_inode(const char *netns, uint64_t *ret, struct berm_err *err) must_check;

#endif /* BERM_NETDEV_H */
