/* SPDX-License-Identifier: Apache-2.0 */
/* test_netlink.c - the loopback device exists everywhere, and may be looked at without root. */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cleanup.h"
#include "link.h"
#include "netdev.h"
#include "netlink.h"
#include "test.h"

struct seen {
	int links, loopbacks;
};

static int look(const struct nlmsghdr *msg, void *ctx)
{
	const struct ifinfomsg *ifi = NLMSG_DATA(msg);
	const struct nlattr *tb[IFLA_MAX + 1];
	struct seen *seen = ctx;

	EXPECT_EQ(msg->nlmsg_type, RTM_NEWLINK);
	berm_nl_attrs(msg, sizeof(*ifi), tb, IFLA_MAX);
	seen->links++;
	if (ifi->ifi_flags & IFF_LOOPBACK) {
		seen->loopbacks++;
		EXPECT_STR_EQ(berm_nl_str(tb[IFLA_IFNAME], NULL), "lo");
		EXPECT_EQ(berm_nl_size(tb[IFLA_ADDRESS]), 6);
		EXPECT_GT(berm_nl_u32(tb[IFLA_MTU], 0), 1000);
	}
	return 0;
}

static int stop_at_once(const struct nlmsghdr *msg, void *ctx)
{
	(void)msg, (void)ctx;
	return -ECANCELED;
}

static int ask_link(int fd, const char *name, uint16_t flags, struct seen *seen,
		    struct berm_err *err)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC };
	struct berm_nlmsg msg;

	berm_nlmsg_start(&msg, RTM_GETLINK, flags, &ifi, sizeof(ifi));
	if (name)
		berm_nlmsg_put_str(&msg, IFLA_IFNAME, name);
	return berm_nl_ask(fd, &msg, look, seen, err);
}

TEST(netlink_dump_and_single)
{
	struct seen all = { 0 }, one = { 0 };
	struct berm_err err = { 0 };
	auto_close int fd = berm_nl_open(0, &err);

	ASSERT_GE(fd, 0);
	EXPECT_OK(ask_link(fd, NULL, NLM_F_DUMP, &all, &err), &err);
	EXPECT_EQ(all.loopbacks, 1);
	EXPECT_OK(ask_link(fd, "lo", 0, &one, &err), &err);
	EXPECT_EQ(one.links, 1);
}

TEST(netlink_kernel_error, "the kernel's refusal comes through, and the socket stays usable")
{
	struct seen seen = { 0 };
	struct berm_err err = { 0 };
	auto_close int fd = berm_nl_open(0, &err);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(ask_link(fd, "no-such-device", 0, &seen, &err), -ENODEV);
	EXPECT_STR_HAS(err.msg, "netlink");
	EXPECT_EQ(seen.links, 0);
	EXPECT_OK(ask_link(fd, "lo", 0, &seen, &err), &err);
	EXPECT_EQ(seen.links, 1);
}

TEST(netlink_broken_off,
     "after a reader that gave up, the next answer is not mixed with the old one")
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC };
	struct berm_err err = { 0 };
	auto_close int fd = berm_nl_open(0, &err);
	struct seen seen = { 0 };
	struct berm_nlmsg msg;

	ASSERT_GE(fd, 0);
	berm_nlmsg_start(&msg, RTM_GETLINK, NLM_F_DUMP, &ifi, sizeof(ifi));
	EXPECT_EQ(berm_nl_ask(fd, &msg, stop_at_once, NULL, &err), -ECANCELED);
	EXPECT_OK(ask_link(fd, "lo", 0, &seen, &err), &err);
	EXPECT_EQ(seen.links, 1);
}

TEST(netlink_request_overflow)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC };
	struct berm_err err = { 0 };
	auto_close int fd = berm_nl_open(0, &err);
	char big[2000] = "";
	struct berm_nlmsg msg;

	ASSERT_GE(fd, 0);
	berm_nlmsg_start(&msg, RTM_GETLINK, 0, &ifi, sizeof(ifi));
	berm_nlmsg_put(&msg, IFLA_IFNAME, big, sizeof(big));
	berm_nlmsg_put_u32(&msg, IFLA_EXT_MASK, 1); /* does not repair it */
	EXPECT_EQ(berm_nl_ask(fd, &msg, NULL, NULL, &err), -EMSGSIZE);
}

/* Attributes come from the kernel, yet the walker must not trust their lengths. */
TEST(netlink_hostile_attributes)
{
	static const struct {
		const char *name;
		uint16_t nla_len;
		bool found;
	} cases[] = {
		{ "whole", 8, true },
		{ "longer than the message", 12, false },
		{ "shorter than its header", 3, false },
		{ "zero", 0, false },
	}, *c;

	for_each_case(c, cases) {
		struct {
			struct nlmsghdr hdr;
			struct nlattr attr;
			uint32_t value;
		} msg = { .hdr.nlmsg_len = sizeof(msg), .attr = { c->nla_len, 1 }, .value = 7 };
		const struct nlattr *tb[3];

		berm_nl_attrs(&msg.hdr, 0, tb, 2);
		EXPECT_EQ(tb[1] != NULL, c->found);
		EXPECT_EQ(berm_nl_u32(tb[1], 99), c->found ? 7 : 99);
		EXPECT_TRUE(!tb[2]);
	}
	EXPECT_STR_EQ(berm_nl_str(NULL, "absent"), "absent");
}

/* Slots are freed and hooks taken down on this evidence. */
TEST(netlink_no_descriptors, "that the kernel cannot be asked does not mean that a device is gone")
{
	struct berm_hook_state hooks[BERM_DIR_COUNT];
	struct berm_err err = { 0 };
	struct rlimit before, none;
	uint64_t glance;
	int fd = dup(0);

	ASSERT_GE(fd, 0);
	close(fd);
	EXPECT_TRUE(berm_netdev_is_gone(1, 4711)); /* lo is no veth: the control */
	EXPECT_TRUE(berm_netdev_is_gone(0x7ffffff0, 1));
	EXPECT_EQ(berm_link_inspect(0x7ffffff0, hooks, &err), -ENODEV);
	ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){ (rlim_t)fd, before.rlim_max };
	ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
	EXPECT_TRUE(!berm_netdev_is_gone(1, 4711));
	EXPECT_EQ(berm_link_inspect(1, hooks, &err), -EMFILE);
	EXPECT_TRUE(berm_link_glance(1, &glance) != -ENODEV);
	ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}
