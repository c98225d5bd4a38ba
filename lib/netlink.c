/* SPDX-License-Identifier: Apache-2.0 */
/* netlink.c - framing of rtnetlink requests and answers. Knows no link and no address. */
#include "netlink.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "cleanup.h"

#define ANSWER_TIMEOUT_S 2
#define RECV_BYTES	 (32 * 1024) /* the kernel fills at most this much of a dump at once */
#define BROKEN		 0	     /* nlmsg_len of a request that overflowed */

void berm_nlmsg_start(struct berm_nlmsg *msg, uint16_t type, uint16_t flags, const void *fixed,
		      size_t len)
{
	memset(msg, 0, sizeof(*msg));
	if (NLMSG_SPACE(len) > sizeof(*msg))
		return; /* stays BROKEN */
	msg->hdr.nlmsg_type = type;
	msg->hdr.nlmsg_flags = flags | NLM_F_REQUEST;
	msg->hdr.nlmsg_len = NLMSG_LENGTH(len);
	memcpy(msg->raw + NLMSG_HDRLEN, fixed, len);
}

void berm_nlmsg_put(struct berm_nlmsg *msg, uint16_t type, const void *data, size_t len)
{
	size_t at = NLMSG_ALIGN(msg->hdr.nlmsg_len);
	struct nlattr attr = { .nla_type = type, .nla_len = (uint16_t)(NLA_HDRLEN + len) };

	if (msg->hdr.nlmsg_len == BROKEN || len > sizeof(*msg) ||
	    at + NLA_HDRLEN + NLA_ALIGN(len) > sizeof(*msg)) {
		msg->hdr.nlmsg_len = BROKEN;
		return;
	}
	memcpy(msg->raw + at, &attr, sizeof(attr));
	memcpy(msg->raw + at + NLA_HDRLEN, data, len);
	msg->hdr.nlmsg_len = (uint32_t)(at + NLA_HDRLEN + NLA_ALIGN(len));
}

void berm_nlmsg_put_u32(struct berm_nlmsg *msg, uint16_t type, uint32_t value)
{
	berm_nlmsg_put(msg, type, &value, sizeof(value));
}

void berm_nlmsg_put_str(struct berm_nlmsg *msg, uint16_t type, const char *text)
{
	berm_nlmsg_put(msg, type, text, strlen(text) + 1);
}

int berm_nl_open(uint32_t groups, struct berm_err *err)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = groups };
	struct timeval wait = { .tv_sec = ANSWER_TIMEOUT_S };
	auto_close int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int on = 1;

	if (fd < 0)
		return berm_fail(err, -errno, "open a netlink socket");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)))
		return berm_fail(err, -errno, "set the time-out of a netlink socket");
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return berm_fail(err, -errno, "bind a netlink socket to groups 0x%x", groups);

	/* Niceties of kernels >= 4.12 (all that we support); without them messages are only less clear. */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	/* Without it the kernel ignores parts of a dump request that it does not know (kernels >= 4.20). */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	return TAKE_FD(fd);
}

/* One recv() into buf; only the kernel (port 0) is listened to. 0 = nothing from it. */
static int receive(int fd, char *buf, size_t size, int flags, size_t *ret_len)
{
	struct sockaddr_nl from = { 0 };
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	struct msghdr msg = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1
	};
	ssize_t n;

	do {
		n = recvmsg(fd, &msg, flags);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (msg.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	*ret_len = from.nl_pid ? 0 : (size_t)n;
	return 0;
}

/* What the kernel says in words, if it does (NLMSGERR_ATTR_MSG). */
static const char *ext_ack_text(const struct nlmsghdr *msg)
{
	const struct nlattr *tb[NLMSGERR_ATTR_MSG + 1];

	if (!(msg->nlmsg_flags & NLM_F_ACK_TLVS) || !(msg->nlmsg_flags & NLM_F_CAPPED))
		return NULL; /* not capped: the request comes first, and it is not worth the parsing */
	berm_nl_attrs(msg, sizeof(struct nlmsgerr), tb, NLMSGERR_ATTR_MSG);
	return berm_nl_str(tb[NLMSGERR_ATTR_MSG], NULL);
}

static int kernel_answer(const struct nlmsghdr *msg, struct berm_err *err)
{
	const struct nlmsgerr *e = NLMSG_DATA(msg);
	const char *text;

	if (msg->nlmsg_len < NLMSG_LENGTH(sizeof(*e)))
		return berm_fail(err, -EBADMSG, "netlink answer too short");
	if (!e->error)
		return 0;
	text = ext_ack_text(msg);
	return berm_fail(err, e->error, "%s",
			 text ? text : "the kernel refused the netlink request");
}

struct answer {
	uint32_t seq;
	bool is_done;
	bool is_torn; /* the dump changed under our hands: NLM_F_DUMP_INTR */
	berm_nl_fn fn;
	void *ctx;
};

static int take_message(struct answer *a, const struct nlmsghdr *msg, struct berm_err *err)
{
	if (msg->nlmsg_seq != a->seq)
		return 0; /* late answer to an older question, or a notification */
	if (msg->nlmsg_flags & NLM_F_DUMP_INTR)
		a->is_torn = true;
	if (msg->nlmsg_type == NLMSG_DONE) {
		const int *rc = NLMSG_DATA(msg);

		a->is_done = true;
		if (msg->nlmsg_len >= NLMSG_LENGTH(sizeof(*rc)) && *rc < 0)
			return berm_fail(err, *rc, "the kernel broke off a netlink dump");
		return 0;
	}
	if (msg->nlmsg_type == NLMSG_ERROR) {
		a->is_done = true;
		return kernel_answer(msg, err);
	}
	return a->fn ? a->fn(msg, a->ctx) : 0;
}

static int take_all(struct answer *a, const char *buf, size_t len, struct berm_err *err)
{
	const struct nlmsghdr *msg = (const struct nlmsghdr *)buf;
	unsigned int left = (unsigned int)len;
	int rc;

	for (; NLMSG_OK(msg, left) && !a->is_done; msg = NLMSG_NEXT(msg, left)) {
		rc = take_message(a, msg, err);
		if (rc)
			return rc;
	}
	return 0;
}

static int read_answer(int fd, struct answer *a, struct berm_err *err)
{
	auto_free char *buf = malloc(RECV_BYTES);
	size_t len = 0;
	int rc;

	if (!buf)
		return berm_fail(err, -ENOMEM, "read a netlink answer");
	while (!a->is_done) {
		rc = receive(fd, buf, RECV_BYTES, 0, &len);
		if (rc)
			return berm_fail(err, rc == -EAGAIN ? -ETIMEDOUT : rc,
					 "read a netlink answer");
		rc = take_all(a, buf, len, err);
		if (rc)
			return rc;
	}
	return a->is_torn ? berm_fail(err, -EINTR, "a netlink dump changed while it was read") : 0;
}

int berm_nl_ask(int fd, struct berm_nlmsg *msg, berm_nl_fn fn, void *ctx, struct berm_err *err)
{
	static _Thread_local uint32_t last_seq;
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct answer a = { .seq = ++last_seq, .fn = fn, .ctx = ctx };

	if (msg->hdr.nlmsg_len == BROKEN)
		return berm_fail(err, -EMSGSIZE, "netlink request");
	if ((msg->hdr.nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		msg->hdr.nlmsg_flags |= NLM_F_ACK; /* so that every answer has an end */
	msg->hdr.nlmsg_seq = a.seq;
	if (sendto(fd, msg, msg->hdr.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return berm_fail(err, -errno, "send a netlink request");
	return read_answer(fd, &a, err);
}

int berm_nl_drain(int fd, berm_nl_fn fn, void *ctx, struct berm_err *err)
{
	auto_free char *buf = malloc(RECV_BYTES);
	const struct nlmsghdr *msg;
	unsigned int left;
	size_t len = 0;
	int rc;

	if (!buf)
		return berm_fail(err, -ENOMEM, "read netlink events");
	for (;;) {
		rc = receive(fd, buf, RECV_BYTES, MSG_DONTWAIT, &len);
		if (rc == -EAGAIN)
			return 0;
		if (rc)
			return berm_fail(err, rc, "read netlink events");
		left = (unsigned int)len;
		for (msg = (const struct nlmsghdr *)buf; NLMSG_OK(msg, left);
		     msg = NLMSG_NEXT(msg, left)) {
			rc = fn(msg, ctx);
			if (rc)
				return rc;
		}
	}
}

static void index_attrs(const char *pos, size_t left, const struct nlattr **tb, uint16_t max)
{
	memset(tb, 0, (max + 1u) * sizeof(*tb));
	while (left >= NLA_HDRLEN) {
		const struct nlattr *attr = (const struct nlattr *)pos;
		uint16_t type = attr->nla_type & NLA_TYPE_MASK;
		size_t step = NLA_ALIGN(attr->nla_len);

		if (attr->nla_len < NLA_HDRLEN || attr->nla_len > left)
			return;
		if (type <= max)
			tb[type] = attr;
		if (step >= left)
			return;
		pos += step;
		left -= step;
	}
}

void berm_nl_attrs(const struct nlmsghdr *msg, size_t fixed_len, const struct nlattr **tb,
		   uint16_t max)
{
	size_t skip = NLMSG_SPACE(fixed_len);
	size_t left = msg->nlmsg_len > skip ? msg->nlmsg_len - skip : 0;

	index_attrs((const char *)msg + skip, left, tb, max);
}

void berm_nl_nested(const struct nlattr *attr, const struct nlattr **tb, uint16_t max)
{
	index_attrs(berm_nl_data(attr), attr ? berm_nl_size(attr) : 0, tb, max);
}

const void *berm_nl_data(const struct nlattr *attr)
{
	return attr ? (const char *)attr + NLA_HDRLEN : NULL;
}

size_t berm_nl_size(const struct nlattr *attr)
{
	return attr ? attr->nla_len - (size_t)NLA_HDRLEN : 0;
}

uint32_t berm_nl_u32(const struct nlattr *attr, uint32_t absent)
{
	uint32_t value;

	if (berm_nl_size(attr) < sizeof(value))
		return absent;
	memcpy(&value, berm_nl_data(attr), sizeof(value));
	return value;
}

const char *berm_nl_str(const struct nlattr *attr, const char *absent)
{
	const char *text = berm_nl_data(attr);

	return text && memchr(text, '\0', berm_nl_size(attr)) ? text : absent;
}
