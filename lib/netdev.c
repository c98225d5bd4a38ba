/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netdev.c - who is at the other end of a veth, and which addresses are where. Everything is asked from
 * the host's namespace: IFLA_TARGET_NETNSID lets rtnetlink look into others (kernels >= 4.20).
 */
#include "netdev.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/nsfs.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "netlink.h"

#define NO_NSID	    (-1)
#define OWN_NETNS   "/proc/self/ns/net"
#define DUMP_TRIES  5 /* a dump that changes under our hands is asked for again */
#define IPVS_DEVICE "kube-ipvs0"

/* What we read of a link. */
struct link {
	uint32_t ifindex;
	char name[16];
	char kind[16];
	uint32_t peer; /* IFLA_LINK */
	int peer_nsid; /* IFLA_LINK_NETNSID; NO_NSID: same namespace */
	uint32_t master;
	uint8_t mac[6];
};

static void link_parse(const struct nlmsghdr *msg, struct link *out)
{
	const struct nlattr *tb[IFLA_TARGET_NETNSID + 1], *info[IFLA_INFO_MAX + 1];
	const struct ifinfomsg *ifi = NLMSG_DATA(msg);

	berm_nl_attrs(msg, sizeof(*ifi), tb, IFLA_TARGET_NETNSID);
	berm_nl_nested(tb[IFLA_LINKINFO], info, IFLA_INFO_MAX);
	memset(out, 0, sizeof(*out));
	out->ifindex = (uint32_t)ifi->ifi_index;
	snprintf(out->name, sizeof(out->name), "%s", berm_nl_str(tb[IFLA_IFNAME], "?"));
	snprintf(out->kind, sizeof(out->kind), "%s", berm_nl_str(info[IFLA_INFO_KIND], ""));
	out->peer = berm_nl_u32(tb[IFLA_LINK], 0);
	out->peer_nsid = (int)berm_nl_u32(tb[IFLA_LINK_NETNSID], (uint32_t)NO_NSID);
	out->master = berm_nl_u32(tb[IFLA_MASTER], 0);
	if (berm_nl_size(tb[IFLA_ADDRESS]) == sizeof(out->mac))
		memcpy(out->mac, berm_nl_data(tb[IFLA_ADDRESS]), sizeof(out->mac));
}

static int on_link(const struct nlmsghdr *msg, void *ctx)
{
	if (msg->nlmsg_type == RTM_NEWLINK)
		link_parse(msg, ctx);
	return 0;
}

/* One link by index, or by name if ifindex is 0; nsid NO_NSID means our own namespace. */
struct link_query {
	int nsid;
	uint32_t ifindex;
	const char *name;
};

static int link_get(int nl, const struct link_query *q, struct link *out, struct berm_err *err)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC, .ifi_index = (int)q->ifindex };
	struct berm_nlmsg msg;

	memset(out, 0, sizeof(*out));
	berm_nlmsg_start(&msg, RTM_GETLINK, 0, &ifi, sizeof(ifi));
	if (q->nsid != NO_NSID)
		berm_nlmsg_put_u32(&msg, IFLA_TARGET_NETNSID, (uint32_t)q->nsid);
	if (!q->ifindex)
		berm_nlmsg_put_str(&msg, IFLA_IFNAME, q->name);
	berm_nlmsg_put_u32(&msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	return berm_nl_ask(nl, &msg, on_link, out, err);
}

/* ---- namespaces ----------------------------------------------------------------------------------- */

static int netns_open(const char *path, struct stat *st, struct berm_err *err)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return berm_fail(err, -errno, "open the network namespace %s", path);
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return berm_refuse(err, -EINVAL, "%s is not a network namespace", path);
	if (fstat(fd, st))
		return berm_fail(err, -errno, "look at %s", path);
	return TAKE_FD(fd);
}

int berm_netns_inode(const char *netns, uint64_t *ret, struct berm_err *err)
{
	struct stat st = { 0 };
	auto_close int fd = netns_open(netns, &st, err);

	if (fd < 0)
		return fd;
	*ret = st.st_ino;
	return 0;
}

static int refuse_own(const char *netns, const struct stat *st, struct berm_err *err)
{
	struct stat own;

	if (stat(OWN_NETNS, &own))
		return berm_fail(err, -errno, "look at " OWN_NETNS);
	if (own.st_ino == st->st_ino && own.st_dev == st->st_dev)
		return berm_refuse(err, -EXDEV,
				   "%s is the node's own network namespace: a pod on the host network has no "
				   "interface of its own to guard",
				   netns);
	return 0;
}

static int on_nsid(const struct nlmsghdr *msg, void *ctx)
{
	const struct nlattr *tb[NETNSA_MAX + 1];

	if (msg->nlmsg_type != RTM_NEWNSID)
		return 0;
	berm_nl_attrs(msg, sizeof(struct rtgenmsg), tb, NETNSA_MAX);
	*(int *)ctx = (int)berm_nl_u32(tb[NETNSA_NSID], (uint32_t)NO_NSID);
	return 0;
}

static int nsid_ask(int nl, uint16_t type, int ns_fd, int *ret, struct berm_err *err)
{
	struct rtgenmsg gen = { .rtgen_family = AF_UNSPEC };
	struct berm_nlmsg msg;

	berm_nlmsg_start(&msg, type, 0, &gen, sizeof(gen));
	berm_nlmsg_put_u32(&msg, NETNSA_FD, (uint32_t)ns_fd);
	if (type == RTM_NEWNSID)
		berm_nlmsg_put_u32(&msg, NETNSA_NSID, (uint32_t)NO_NSID); /* the kernel chooses */
	return berm_nl_ask(nl, &msg, on_nsid, ret, err);
}

/* The id by which our namespace knows the other one; made if it has none yet. */
static int nsid_get(int nl, int ns_fd, int *ret, struct berm_err *err)
{
	int nsid = NO_NSID;
	int rc = nsid_ask(nl, RTM_GETNSID, ns_fd, &nsid, err);

	if (rc)
		return rc;
	if (nsid == NO_NSID) {
		rc = nsid_ask(nl, RTM_NEWNSID, ns_fd, &nsid, err);
		if (rc && rc != -EEXIST) /* another process was faster */
			return rc;
		rc = nsid_ask(nl, RTM_GETNSID, ns_fd, &nsid, err);
		if (rc)
			return rc;
	}
	if (nsid == NO_NSID)
		return berm_refuse(err, -ENOENT, "the kernel gave the namespace no id");
	*ret = nsid;
	return 0;
}

/* ---- addresses ------------------------------------------------------------------------------------ */

struct addr_list {
	struct berm_addr *item;
	size_t count, room;
	uint32_t only;	  /* ifindex, 0 = all */
	uint32_t without; /* ifindex, 0 = none */
	bool all_scopes;
};

static bool addr_from_attr(const struct nlattr *attr, uint8_t family, struct berm_addr *out)
{
	struct berm_addr addr = { .w = { 0, 0, htonl(0xffff), 0 } };

	if (family == AF_INET && berm_nl_size(attr) == 4)
		memcpy(&addr.w[3], berm_nl_data(attr), 4);
	else if (family == AF_INET6 && berm_nl_size(attr) == 16)
		memcpy(addr.w, berm_nl_data(attr), 16);
	else
		return false;
	*out = addr;
	return true;
}

static int addr_append(struct addr_list *list, const struct berm_addr *addr)
{
	struct berm_addr *more;

	for (size_t i = 0; i < list->count; i++)
		if (!memcmp(&list->item[i], addr, sizeof(*addr)))
			return 0;
	if (list->count == list->room) {
		list->room = list->room ? list->room * 2 : 16;
		more = realloc(list->item, list->room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		list->item = more;
	}
	list->item[list->count++] = *addr;
	return 0;
}

static int on_addr(const struct nlmsghdr *msg, void *ctx)
{
	const struct ifaddrmsg *ifa = NLMSG_DATA(msg);
	const struct nlattr *tb[IFA_MAX + 1];
	struct addr_list *list = ctx;
	struct berm_addr addr;

	if (msg->nlmsg_type != RTM_NEWADDR || (list->only && ifa->ifa_index != list->only) ||
	    (list->without && ifa->ifa_index == list->without))
		return 0;
	if (!list->all_scopes && (ifa->ifa_scope == RT_SCOPE_HOST ||
				  (ifa->ifa_family == AF_INET6 && ifa->ifa_scope == RT_SCOPE_LINK)))
		return 0;
	berm_nl_attrs(msg, sizeof(*ifa), tb, IFA_MAX);
	/* On a point-to-point link IFA_ADDRESS is the other end's. */
	if (!addr_from_attr(tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS], ifa->ifa_family,
			    &addr))
		return 0;
	return addr_append(list, &addr);
}

static int addr_dump(int nl, int nsid, struct addr_list *list, struct berm_err *err)
{
	struct ifaddrmsg ifa = { .ifa_family = AF_UNSPEC, .ifa_index = list->only };
	struct berm_nlmsg msg;
	int rc = -EINTR;

	for (int i = 0; rc == -EINTR && i < DUMP_TRIES; i++) {
		list->count = 0;
		berm_nlmsg_start(&msg, RTM_GETADDR, NLM_F_DUMP, &ifa, sizeof(ifa));
		if (nsid != NO_NSID)
			berm_nlmsg_put_u32(&msg, IFA_TARGET_NETNSID, (uint32_t)nsid);
		rc = berm_nl_ask(nl, &msg, on_addr, list, err);
	}
	return rc;
}

static int pod_side_fill(int nl, struct berm_veth *veth, struct berm_err *err)
{
	struct link_query q = { .nsid = veth->nsid, .ifindex = veth->peer_ifindex };
	struct addr_list list = { .only = veth->peer_ifindex };
	auto_free struct berm_addr *addrs = NULL;
	struct link pod;
	size_t more;
	int rc = link_get(nl, &q, &pod, err);

	if (!rc)
		rc = addr_dump(nl, veth->nsid, &list, err);
	addrs = list.item; /* frees it at the end */
	if (rc)
		return berm_wrap(err, rc, "look at interface %u in namespace id %d",
				 veth->peer_ifindex, veth->nsid);

	memcpy(veth->mac, pod.mac, sizeof(veth->mac));
	memset(veth->addr, 0, sizeof(veth->addr));
	veth->addr_count = (uint8_t)(list.count < BERM_MAX_ADDRS ? list.count : BERM_MAX_ADDRS);
	if (veth->addr_count)
		memcpy(veth->addr, addrs, veth->addr_count * sizeof(*addrs));
	more = list.count - veth->addr_count;
	veth->addr_more = (uint8_t)(more > 255 ? 255 : more);
	return 0;
}

int berm_netdev_refresh(struct berm_veth *veth, struct berm_err *err)
{
	auto_close int nl = berm_nl_open(0, err);

	return nl < 0 ? nl : pod_side_fill(nl, veth, err);
}

/* ---- veths ---------------------------------------------------------------------------------------- */

static void veth_from_link(const struct link *host, struct berm_veth *out)
{
	memset(out, 0, sizeof(*out));
	out->ifindex = host->ifindex;
	memcpy(out->name, host->name, sizeof(out->name));
	out->peer_ifindex = host->peer;
	out->master = host->master;
	out->nsid = host->peer_nsid;
}

/* From the pod's interface to the host's end, which must point back (design/cni.md, rule 6). */
static int host_end(int nl, const struct link *pod, int nsid, struct link *host,
		    struct berm_err *err)
{
	struct link_query q = { .nsid = NO_NSID, .ifindex = pod->peer };
	int rc;

	if (strcmp(pod->kind, "veth"))
		return berm_refuse(err, -EMEDIUMTYPE,
				   "%s is of kind '%s', not a veth: its packets do not pass a host interface "
				   "that can be guarded",
				   pod->name, pod->kind[0] ? pod->kind : "none");
	rc = pod->peer ? link_get(nl, &q, host, err) : -ENODEV;
	if (rc && rc != -ENODEV)
		return berm_wrap(err, rc, "find the host side of %s", pod->name);
	if (rc || strcmp(host->kind, "veth") || host->peer != pod->ifindex ||
	    host->peer_nsid != nsid)
		return berm_refuse(err, -EMEDIUMTYPE,
				   "the other end of %s is not in the node's network namespace: there is no "
				   "host interface to guard",
				   pod->name);
	return 0;
}

static int find(int ns_fd, const char *ifname, struct berm_veth *out, struct berm_err *err)
{
	struct link_query q = { .name = ifname };
	auto_close int nl = berm_nl_open(0, err);
	struct link pod = { 0 }, host = { 0 };
	struct berm_veth veth;
	int rc;

	if (nl < 0)
		return nl;
	rc = nsid_get(nl, ns_fd, &q.nsid, err);
	if (rc)
		return berm_wrap(err, rc, "ask for the id of the namespace");
	rc = link_get(nl, &q, &pod, err);
	if (rc == -ENODEV)
		return berm_refuse(err, rc, "there is no interface %s in the namespace", ifname);
	if (!rc)
		rc = host_end(nl, &pod, q.nsid, &host, err);
	if (rc)
		return rc;
	veth_from_link(&host, &veth);
	rc = pod_side_fill(nl, &veth, err);
	if (!rc)
		*out = veth;
	return rc;
}

int berm_netdev_find(const char *netns, const char *ifname, struct berm_veth *out,
		     struct berm_err *err)
{
	struct stat st = { 0 };
	auto_close int fd = netns_open(netns, &st, err);
	int rc;

	if (fd < 0)
		return fd;
	rc = refuse_own(netns, &st, err);
	if (!rc)
		rc = find(fd, ifname, out, err);
	return rc;
}

struct veth_list {
	struct berm_veth *item;
	size_t count, room;
};

static int on_host_link(const struct nlmsghdr *msg, void *ctx)
{
	struct veth_list *list = ctx;
	struct berm_veth *more;
	struct link host;

	if (msg->nlmsg_type != RTM_NEWLINK)
		return 0;
	link_parse(msg, &host);
	if (strcmp(host.kind, "veth") || host.peer_nsid == NO_NSID || !host.peer)
		return 0;
	if (list->count == list->room) {
		list->room = list->room ? list->room * 2 : 64;
		more = realloc(list->item, list->room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		list->item = more;
	}
	veth_from_link(&host, &list->item[list->count++]);
	return 0;
}

/* Statistics are left out: a link is then a few hundred bytes. */
static int veth_dump(int nl, struct veth_list *list, struct berm_err *err)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC };
	struct berm_nlmsg msg;
	int rc = -EINTR;

	for (int i = 0; rc == -EINTR && i < DUMP_TRIES; i++) {
		list->count = 0;
		berm_nlmsg_start(&msg, RTM_GETLINK, NLM_F_DUMP, &ifi, sizeof(ifi));
		berm_nlmsg_put_u32(&msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
		rc = berm_nl_ask(nl, &msg, on_host_link, list, err);
	}
	return rc ? berm_wrap(err, rc, "list the node's interfaces") : 0;
}

int berm_netdev_veths(struct berm_veth **ret, size_t *ret_count, struct berm_err *err)
{
	auto_close int nl = berm_nl_open(0, err);
	auto_free struct berm_veth *veths = NULL;
	struct veth_list list = { 0 };
	size_t kept = 0;
	int rc;

	if (nl < 0)
		return nl;
	rc = veth_dump(nl, &list, err);
	veths = list.item; /* frees it at the end */
	if (rc)
		return rc;
	/* A pod that goes away while we look is no error: it is simply not there any more. */
	for (size_t i = 0; i < list.count; i++)
		if (!pod_side_fill(nl, &veths[i], NULL))
			veths[kept++] = veths[i];
	*ret = TAKE_PTR(veths);
	*ret_count = kept;
	return 0;
}

/* 0: it is; -ENODEV: it is not; else nobody knows. */
static int veth_look(uint32_t ifindex, uint32_t peer_ifindex)
{
	struct link_query q = { .nsid = NO_NSID, .ifindex = ifindex };
	auto_close int nl = berm_nl_open(0, NULL);
	struct link host;
	int rc;

	if (!ifindex)
		return -ENODEV;
	if (nl < 0)
		return nl;
	rc = link_get(nl, &q, &host, NULL);
	if (rc)
		return rc;
	return strcmp(host.kind, "veth") || host.peer != peer_ifindex ? -ENODEV : 0;
}

bool berm_netdev_is(uint32_t ifindex, uint32_t peer_ifindex)
{
	return !veth_look(ifindex, peer_ifindex);
}

bool berm_netdev_is_gone(uint32_t ifindex, uint32_t peer_ifindex)
{
	return veth_look(ifindex, peer_ifindex) == -ENODEV;
}

static uint32_t index_of(int nl, const char *name)
{
	struct link_query q = { .nsid = NO_NSID, .name = name };
	struct link link;

	return link_get(nl, &q, &link, NULL) ? 0 : link.ifindex;
}

bool berm_netdev_exists(const char *name)
{
	auto_close int nl = berm_nl_open(0, NULL);

	return nl >= 0 && index_of(nl, name);
}

int berm_netdev_local(struct berm_addr **ret, size_t *ret_count, struct berm_err *err)
{
	auto_close int nl = berm_nl_open(0, err);
	struct addr_list list = { .all_scopes = true };
	int rc;

	if (nl < 0)
		return nl;
	list.without = index_of(nl, IPVS_DEVICE);
	rc = addr_dump(nl, NO_NSID, &list, err);
	if (rc) {
		free(list.item);
		return berm_wrap(err, rc, "list the node's addresses");
	}
	*ret = list.item;
	*ret_count = list.count;
	return 0;
}
