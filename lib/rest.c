/* SPDX-License-Identifier: Apache-2.0 */
/* rest.c - HTTP/1.1 over a unix socket, one call a connection. Knows framing, not what is said. */
#include "rest.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "cleanup.h"
#include "paths.h"

#define BODY_MAX	   (16u << 20)
#define LINE_MAX_BYTES	   65536 /* a header line, a chunk's head, a JSON line */
#define BUF_BYTES	   16384
#define NO_BOUND	   INT64_MAX
#define DEFAULT_CONNECT_MS 1000

struct conn {
	int fd;
	int64_t deadline; /* ms of CLOCK_MONOTONIC */
	char buf[BUF_BYTES];
	size_t at, end;
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t deadline_in(int ms)
{
	return ms > 0 ? now_ms() + ms : NO_BOUND;
}

static bool is_over(const struct conn *c)
{
	return c->deadline != NO_BOUND && now_ms() >= c->deadline;
}

/* 0 when the socket is ready for events, -ETIMEDOUT at the deadline. */
static int wait_for(struct conn *c, short events)
{
	struct pollfd pfd = { .fd = c->fd, .events = events };
	int64_t left;
	int n;

	for (;;) {
		left = c->deadline == NO_BOUND ? -1 : c->deadline - now_ms();
		if (c->deadline != NO_BOUND && left < 0)
			left = 0;
		n = poll(&pfd, 1, left > INT_MAX ? INT_MAX : (int)left);
		if (n > 0)
			return 0;
		if (!n)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

static int send_all(struct conn *c, const char *data, size_t size)
{
	ssize_t n;
	int rc;

	while (size) {
		if (is_over(c))
			return -ETIMEDOUT;
		n = send(c->fd, data, size, MSG_NOSIGNAL);
		if (n >= 0) {
			data += n;
			size -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		rc = wait_for(c, POLLOUT);
		if (rc)
			return rc;
	}
	return 0;
}

/* A unix socket connects at once or, when the listener's backlog is full, says EAGAIN. */
static int connect_within(struct conn *c, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	while (connect(c->fd, (struct sockaddr *)&addr, sizeof(addr))) {
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (now_ms() >= c->deadline)
			return -ETIMEDOUT;
		usleep(1000);
	}
	return 0;
}

/* Head and body go in one piece: the server wakes up once. */
static int send_request(struct conn *c, const struct berm_rest_call *call)
{
	const char *body = call->body ? call->body : "";
	auto_free char *text = NULL;
	int n;

	n = asprintf(&text,
		     "%s %s HTTP/1.1\r\nHost: berm\r\nConnection: close\r\nAccept: application/json\r\n"
		     "%sContent-Length: %zu\r\n\r\n%s",
		     call->method, call->path,
		     call->body ? "Content-Type: application/json\r\n" : "", strlen(body), body);
	if (n < 0) {
		text = NULL;
		return -ENOMEM;
	}
	return send_all(c, text, (size_t)n);
}

static int conn_connect(struct conn *c, const char *path, int connect_ms)
{
	*c = (struct conn){ .deadline =
				    now_ms() + (connect_ms > 0 ? connect_ms : DEFAULT_CONNECT_MS) };
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return c->fd < 0 ? -errno : connect_within(c, path);
}

int berm_rest_probe(const char *socket_path, int connect_ms, struct berm_err *err)
{
	struct conn c;
	int rc = conn_connect(&c, socket_path, connect_ms);

	berm_closep(&c.fd);
	return rc ? berm_fail(err, rc, "%s", socket_path) : 0;
}

static int conn_open(struct conn *c, const struct berm_rest_call *call, struct berm_err *err)
{
	const char *path = call->socket ? call->socket : BERM_AGENT_SOCKET;
	int rc = conn_connect(c, path, call->connect_ms);

	if (!rc)
		rc = send_request(c, call);
	if (rc)
		return berm_fail(err, rc, "%s", path);
	c->deadline = deadline_in(call->timeout_ms);
	return 0;
}

/* ---- reading ------------------------------------------------------------------------------------------ */

/* *ret_n 0 at the end of the stream. */
static int fill(struct conn *c, size_t *ret_n)
{
	ssize_t n;
	int rc;

	for (;;) {
		if (is_over(c)) /* also of a peer that always has one more byte */
			return -ETIMEDOUT;
		n = recv(c->fd, c->buf, sizeof(c->buf), 0);
		if (n >= 0)
			break;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		rc = wait_for(c, POLLIN);
		if (rc)
			return rc;
	}
	c->at = 0;
	c->end = (size_t)n;
	*ret_n = (size_t)n;
	return 0;
}

/* One line without its CR LF. -EBADMSG: too long, or the stream ended in it. */
static int read_line(struct conn *c, char *out, size_t size)
{
	size_t len = 0, n = 0;
	char ch;
	int rc;

	for (;;) {
		if (c->at == c->end) {
			rc = fill(c, &n);
			if (rc || !n)
				return rc ? rc : -EBADMSG;
		}
		ch = c->buf[c->at++];
		if (ch == '\n')
			break;
		if (len + 1 >= size || !ch)
			return -EBADMSG;
		out[len++] = ch;
	}
	if (len && out[len - 1] == '\r')
		len--;
	out[len] = '\0';
	return 0;
}

struct head {
	int status;
	bool chunked;
	bool has_length;
	size_t length;
};

static int parse_length(const char *text, int base, size_t *out)
{
	char *end;
	unsigned long long value;

	if (!isxdigit((unsigned char)*text))
		return -EBADMSG;
	errno = 0;
	value = strtoull(text, &end, base);
	if (errno || value > BODY_MAX || (*end && *end != ';' && *end != ' '))
		return errno || value > BODY_MAX ? -EFBIG : -EBADMSG;
	*out = (size_t)value;
	return 0;
}

static int parse_header(char *line, struct head *head)
{
	char *value = strchr(line, ':');

	if (!value)
		return -EBADMSG;
	*value++ = '\0';
	value += strspn(value, " \t");
	if (!strcasecmp(line, "Transfer-Encoding"))
		head->chunked = strcasestr(value, "chunked");
	if (strcasecmp(line, "Content-Length"))
		return 0;
	head->has_length = true;
	return parse_length(value, 10, &head->length);
}

static int read_status(struct conn *c, char *line, size_t size, struct head *head)
{
	int minor, rc = read_line(c, line, size);

	if (rc)
		return rc;
	if (sscanf(line, "HTTP/1.%1d %3d", &minor, &head->status) != 2 || head->status < 100)
		return -EBADMSG;
	return 0;
}

static int read_head(struct conn *c, struct head *head)
{
	char line[8192];
	int rc;

	do { /* 1xx answers announce another one */
		*head = (struct head){ 0 };
		rc = read_status(c, line, sizeof(line), head);
		while (!rc) {
			rc = read_line(c, line, sizeof(line));
			if (rc || !line[0])
				break;
			rc = parse_header(line, head);
		}
	} while (!rc && head->status < 200);
	return rc;
}

/* Body bytes go to a consumer; a non-zero return ends the call. */
struct sink {
	int (*take)(struct sink *s, const char *data, size_t size);
	char *data; /* what has been gathered */
	size_t size, room, max;
	int (*line)(char *text, void *arg);
	void *arg;
};

static int sink_append(struct sink *s, const char *data, size_t size)
{
	char *more;

	if (size > s->max - s->size)
		return -EFBIG;
	if (s->size + size + 1 > s->room) {
		s->room = (s->size + size + 1) * 2;
		more = realloc(s->data, s->room);
		if (!more)
			return -ENOMEM;
		s->data = more;
	}
	memcpy(s->data + s->size, data, size);
	s->size += size;
	s->data[s->size] = '\0';
	return 0;
}

/* Passes on at most `left` bytes; SIZE_MAX means until the stream ends. */
static int copy_body(struct conn *c, size_t left, struct sink *s)
{
	bool to_end = left == SIZE_MAX;
	size_t n = 0;
	int rc;

	while (left) {
		if (c->at == c->end) {
			rc = fill(c, &n);
			if (rc || !n)
				return rc ? rc : to_end ? 0 : -EBADMSG;
		}
		n = c->end - c->at < left ? c->end - c->at : left;
		rc = s->take(s, c->buf + c->at, n);
		if (rc)
			return rc;
		c->at += n;
		if (!to_end)
			left -= n;
	}
	return 0;
}

static int copy_chunks(struct conn *c, struct sink *s)
{
	char line[8192];
	size_t size;
	int rc;

	for (;;) {
		rc = read_line(c, line, sizeof(line));
		if (!rc)
			rc = parse_length(line, 16, &size);
		if (rc || !size)
			return rc; /* trailers are not ours */
		rc = copy_body(c, size, s);
		if (!rc)
			rc = read_line(c, line, sizeof(line));
		if (rc)
			return rc;
	}
}

static int read_answer(struct conn *c, struct head *head, struct sink *s)
{
	int rc = read_head(c, head);

	if (rc || head->status == 204 || head->status == 304)
		return rc;
	if (head->chunked)
		return copy_chunks(c, s);
	return copy_body(c, head->has_length ? head->length : SIZE_MAX, s);
}

static int explain(const struct berm_rest_call *call, int rc, struct berm_err *err)
{
	if (rc == -EBADMSG)
		return berm_refuse(err, rc, "%s %s: the answer is not HTTP or was cut off",
				   call->method, call->path);
	if (rc == -EFBIG)
		return berm_refuse(err, rc, "%s %s: the answer is too big", call->method,
				   call->path);
	return berm_fail(err, rc, "%s %s", call->method, call->path);
}

int berm_rest(const struct berm_rest_call *call, struct berm_rest_reply *out, struct berm_err *err)
{
	struct sink s = { .take = sink_append, .max = BODY_MAX };
	struct head head;
	struct conn c;
	int rc = conn_open(&c, call, err);

	if (!rc) {
		rc = read_answer(&c, &head, &s);
		if (!rc)
			rc = sink_append(&s, "", 0); /* an empty body is "" */
		if (rc)
			rc = explain(call, rc, err);
	}
	berm_closep(&c.fd);
	if (rc) {
		free(s.data);
		return rc;
	}
	*out = (struct berm_rest_reply){ .status = head.status, .body = s.data, .size = s.size };
	return 0;
}

void berm_rest_clear(struct berm_rest_reply *reply)
{
	free(reply->body);
	*reply = (struct berm_rest_reply){ 0 };
}

/* ---- lines ---------------------------------------------------------------------------------------------- */

static int take_lines(struct sink *s, const char *data, size_t size)
{
	const char *nl;
	size_t n;
	int rc;

	while (size) {
		nl = memchr(data, '\n', size);
		n = nl ? (size_t)(nl - data) : size;
		rc = sink_append(s, data, n);
		if (rc || !nl)
			return rc;
		if (s->size) {
			rc = s->line(s->data, s->arg);
			if (rc)
				return rc;
		}
		s->size = 0;
		data += n + 1;
		size -= n + 1;
	}
	return 0;
}

int berm_rest_lines(const struct berm_rest_call *call, int (*line)(char *text, void *arg),
		    void *arg, struct berm_err *err)
{
	struct sink s = { .take = take_lines, .max = LINE_MAX_BYTES, .line = line, .arg = arg };
	struct head head = { 0 };
	struct conn c;
	int rc = conn_open(&c, call, err);

	if (!rc) {
		rc = read_answer(&c, &head, &s);
		if (!rc && s.size)
			rc = line(s.data, arg); /* the last one, without a line end */
		if (rc < 0 && err && !err->msg[0])
			rc = explain(call, rc, err);
	}
	berm_closep(&c.fd);
	free(s.data);
	if (!rc && head.status >= 400)
		return berm_refuse(err, -EPROTO, "%s %s: the agent answers %d", call->method,
				   call->path, head.status);
	return rc;
}
