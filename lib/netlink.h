/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netlink.h - ask rtnetlink one question, read the answers, attribute by attribute.
 *
 * Knows the framing (linux/netlink.h), not what links or addresses are. Small enough
 * to be ours: distributions ship no static libmnl, and the plugin has to be static.
 */
#ifndef BERM_NETLINK_H
#define BERM_NETLINK_H

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* A request under construction; 1 KiB is plenty for questions. */
struct berm_nlmsg {
	union {
		struct nlmsghdr hdr;
		char raw[1024];
	};
};

/* Starts a request: type RTM_*, flags NLM_F_* (NLM_F_REQUEST is added), then the fixed part, e.g. struct
 * ifinfomsg. */
void berm_nlmsg_start(struct berm_nlmsg *msg, uint16_t type, uint16_t flags, const void *fixed,
		      size_t len);

/* Appends an attribute, in host byte order as rtnetlink wants it. A request that would overflow
 * is marked broken and refused by berm_nl_ask(). */
void berm_nlmsg_put(struct berm_nlmsg *msg, uint16_t type, const void *data, size_t len);
void berm_nlmsg_put_u32(struct berm_nlmsg *msg, uint16_t type, uint32_t value);
void berm_nlmsg_put_str(struct berm_nlmsg *msg, uint16_t type, const char *text);

/* A NETLINK_ROUTE socket, close-on-exec; groups is a mask of RTMGRP_* to listen to, 0 = none.
 * Returns the fd (the caller closes it) or -errno. */
int berm_nl_open(uint32_t groups, struct berm_err *err) must_check;

/* Called for each message of an answer. A negative return ends the reading and is passed on. */
typedef int (*berm_nl_fn)(const struct nlmsghdr *msg, void *ctx);

/* Sends the request and hands every message of the answer to fn (may be NULL) until the kernel
 * says it is complete. A dump that the kernel marks inconsistent is -EINTR: ask again.
 * -ETIMEDOUT after 2 s without an answer; else the kernel's own -errno, and err->msg carries its
 * extended ack text if it gave one. */
int berm_nl_ask(int fd, struct berm_nlmsg *msg, berm_nl_fn fn, void *ctx,
		struct berm_err *err) must_check;

/* Reads what has arrived on a listening socket without waiting. -ENOBUFS: messages were lost,
 * dump again. 0 when there is nothing more. */
int berm_nl_drain(int fd, berm_nl_fn fn, void *ctx, struct berm_err *err) must_check;

/* Attributes after the fixed part: tb[type] for types 1..max, NULL when absent. tb has max + 1
 * slots. They point into msg. */
void berm_nl_attrs(const struct nlmsghdr *msg, size_t fixed_len, const struct nlattr **tb,
		   uint16_t max);
void berm_nl_nested(const struct nlattr *attr, const struct nlattr **tb, uint16_t max);

/* Payload of an attribute; size in bytes. The u32 and str readers accept NULL and short payloads
 * and then return the given default. A str payload that lacks its NUL gives the default too. */
const void *berm_nl_data(const struct nlattr *attr);
size_t berm_nl_size(const struct nlattr *attr);
uint32_t berm_nl_u32(const struct nlattr *attr, uint32_t absent);
const char *berm_nl_str(const struct nlattr *attr, const char *absent);

#endif /* BERM_NETLINK_H */
