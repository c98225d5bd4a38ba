/* SPDX-License-Identifier: Apache-2.0 */
/*
 * traffic.c - the two ends of test traffic: a server that names itself and a client that
 * says exactly what happened. Knows nothing of Berm.
 *
 *	traffic serve NAME PORT...            TCP and UDP, both families, until killed
 *	traffic try tcp|udp ADDR PORT [MS]    one attempt, no retry but the kernel's own
 *	traffic many                          lines 'tcp|udp ADDR PORT MS', then an empty one: all of
 *	                                      them at once, an answer for each in this order, an
 *	                                      empty line; again until the end of the input
 *	traffic stream ADDR PORT FILE [MS]    one TCP connection, a line every MS; FILE gets
 *	                                      each number that came back
 *
 * try prints "open NAME", "silent" (nothing came back), "refused" or "error ...", and
 * exits 0, 1, 2, 3. BERM_SPORT sets the local port. many says the same, and "open NAME resent"
 * where the first SYN was lost.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_TRY_MS	  2000
#define DEFAULT_STREAM_MS 20

enum outcome { OPEN, SILENT, REFUSED, BROKEN };

static void die(const char *what)
{
	perror(what);
	exit(BROKEN);
}

/* --- server ------------------------------------------------------------------------- */

/* What an epoll event is about: the kind of the socket and its fd in one number. */
enum kind { TCP_LISTENER, UDP_SOCKET, TCP_CONNECTION };

static void watch(int ep, int fd, enum kind kind)
{
	struct epoll_event ev = { .events = EPOLLIN,
				  .data.u64 = (uint64_t)kind << 32 | (unsigned int)fd };

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev))
		die("epoll_ctl");
}

static int bind_any(int type, int port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	int fd = socket(AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1, off = 0;

	if (fd < 0)
		die("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)))
		die("setsockopt");
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)))
		die("bind");
	return fd;
}

/* From the address that was asked: a node has several, and a client that asked one listens to no other. */
static void answer_udp(int fd, char *name)
{
	union {
		char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
		struct cmsghdr align;
	} control;
	struct sockaddr_storage from;
	char buf[2048];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = { .msg_name = &from,
			      .msg_namelen = sizeof(from),
			      .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *info;

	if (recvmsg(fd, &msg, 0) < 0)
		return;
	info = CMSG_FIRSTHDR(&msg);
	if (info)
		((struct in6_pktinfo *)(void *)CMSG_DATA(info))->ipi6_ifindex = 0; /* by any way */
	iov = (struct iovec){ name, strlen(name) };
	(void)sendmsg(fd, &msg, 0); /* client counts */
}

/* The name first, then an echo of whatever comes. */
static void answer_tcp(int fd)
{
	char buf[2048];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	if (n <= 0 || send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
		close(fd);
}

static void accept_one(int ep, int fd, const char *name)
{
	int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC); /* cppcheck-suppress nullPointer */

	if (conn < 0)
		return; /* the client has gone again */
	if (send(conn, name, strlen(name), MSG_NOSIGNAL) < 0) {
		close(conn);
		return;
	}
	watch(ep, conn, TCP_CONNECTION);
}

static int serve(int argc, char **argv)
{
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev;
	char name[256];

	if (argc < 2 || ep < 0)
		return BROKEN;
	snprintf(name, sizeof(name), "%s\n", argv[0]);
	for (int i = 1; i < argc; i++) {
		int tcp = bind_any(SOCK_STREAM, atoi(argv[i]));

		if (listen(tcp, 512))
			die("listen");
		watch(ep, tcp, TCP_LISTENER);
		watch(ep, bind_any(SOCK_DGRAM, atoi(argv[i])), UDP_SOCKET);
	}
	printf("ready\n");
	fflush(stdout);
	while (epoll_wait(ep, &ev, 1, -1) >= 0 || errno == EINTR) {
		int fd = (int)(ev.data.u64 & 0xffffffff);
		enum kind kind = (enum kind)(ev.data.u64 >> 32);

		if (kind == TCP_LISTENER)
			accept_one(ep, fd, name);
		else if (kind == UDP_SOCKET)
			answer_udp(fd, name);
		else
			answer_tcp(fd);
	}
	return BROKEN;
}

/* --- client ------------------------------------------------------------------------- */

static enum outcome outcome_of(int error)
{
	if (error == ECONNREFUSED || error == ECONNRESET)
		return REFUSED;
	if (error == ETIMEDOUT || error == EAGAIN)
		return SILENT;
	return BROKEN;
}

static void bind_sport(int fd, int family)
{
	const char *sport = getenv("BERM_SPORT");
	struct sockaddr_in6 any = { .sin6_family = (sa_family_t)family };
	int on = 1;

	if (!sport)
		return;
	any.sin6_port = htons((uint16_t)atoi(sport)); /* sin_port is at the same place */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&any, sizeof(any)))
		die("bind BERM_SPORT");
}

static int dial(const char *addr, const char *port, int type)
{
	struct addrinfo hints = { .ai_socktype = type,
				  .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV },
			*ai;
	int fd;

	if (getaddrinfo(addr, port, &hints, &ai)) {
		fprintf(stderr, "traffic: no address or port: %s %s\n", addr, port);
		exit(BROKEN);
	}
	fd = socket(ai->ai_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		die("socket");
	bind_sport(fd, ai->ai_family);
	if (connect(fd, ai->ai_addr, ai->ai_addrlen) && errno != EINPROGRESS) {
		int saved = errno;

		close(fd);
		fd = -1;
		errno = saved;
	}
	freeaddrinfo(ai);
	return fd;
}

static int error_of(int fd)
{
	socklen_t len = sizeof(int);
	int error = 0;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) ? errno : error;
}

/* Waits for what the socket is asked for; an error that is pending counts. 0 or an errno. */
static int wait_for(int fd, short events, int ms)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, ms) == 0 ? ETIMEDOUT : error_of(fd);
}

static int read_name(int fd, char *name, size_t size)
{
	ssize_t n = recv(fd, name, size - 1, 0);

	if (n <= 0)
		return n ? errno : ECONNRESET;
	name[n] = '\0';
	name[strcspn(name, "\n")] = '\0';
	return 0;
}

/* "open NAME" of no error. */
static enum outcome say(char *text, size_t size, int error, const char *name)
{
	enum outcome out = error ? outcome_of(error) : OPEN;

	if (out == OPEN)
		snprintf(text, size, "open %s", name);
	else if (out == BROKEN)
		snprintf(text, size, "error %s", strerror(error));
	else
		snprintf(text, size, "%s", out == SILENT ? "silent" : "refused");
	return out;
}

static int greet(int fd, bool udp, char *name, size_t size, int ms)
{
	int error = udp ? 0 : wait_for(fd, POLLOUT, ms);

	if (!error && udp && send(fd, "?", 1, 0) < 0)
		error = errno;
	if (!error)
		error = wait_for(fd, POLLIN, ms);
	if (error)
		return error;
	return read_name(fd, name, size);
}

static int try(int argc, char **argv)
{
	bool udp = argc >= 3 && !strcmp(argv[0], "udp");
	int ms = argc > 3 ? atoi(argv[3]) : DEFAULT_TRY_MS;
	char name[256] = "", text[300];
	enum outcome out;
	int fd, error;

	if (argc < 3)
		return BROKEN;
	fd = dial(argv[1], argv[2], udp ? SOCK_DGRAM : SOCK_STREAM);
	error = fd < 0 ? errno : greet(fd, udp, name, sizeof(name), ms);
	out = say(text, sizeof(text), error, name);
	puts(text);
	return out;
}

/* --- many at once --------------------------------------------------------------------- */

#define MAX_MANY 1024

struct attempt {
	int fd; /* -1: over */
	bool udp, asked;
	int64_t until_ms;
	char text[320];
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool was_resent(const struct attempt *a)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	return !a->udp && !getsockopt(a->fd, IPPROTO_TCP, TCP_INFO, &info, &len) &&
	       info.tcpi_total_retrans;
}

static void settle(struct attempt *a, int error, const char *name)
{
	bool resent = !error && was_resent(a);

	(void)say(a->text, sizeof(a->text), error, name);
	if (resent)
		strcat(a->text, " resent"); /* a name has at most 255 characters */
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
}

static void begin(struct attempt *a, const char *line)
{
	char proto[8], addr[64], port[8];
	int ms;

	if (sscanf(line, "%7s %63s %7s %d", proto, addr, port, &ms) != 4) {
		fprintf(stderr, "traffic: no attempt: %s\n", line);
		exit(BROKEN);
	}
	*a = (struct attempt){ .udp = !strcmp(proto, "udp"), .until_ms = now_ms() + ms };
	a->fd = dial(addr, port, a->udp ? SOCK_DGRAM : SOCK_STREAM);
	if (a->fd < 0)
		settle(a, errno, "");
	else if (a->udp && send(a->fd, "?", 1, 0) < 0)
		settle(a, errno, "");
	else
		a->asked = a->udp;
}

/* Something happened on the socket, or its time is over. */
static void go_on(struct attempt *a, short events)
{
	int error = events ? error_of(a->fd) : ETIMEDOUT;
	char name[256] = "";

	if (!error && !a->asked && events & POLLOUT) {
		a->asked = true;
		return;
	}
	if (!error)
		error = read_name(a->fd, name, sizeof(name));
	settle(a, error, name);
}

/* One look at all that are not over. False: there is none. */
static bool turn(struct attempt *all, size_t count)
{
	static struct pollfd p[MAX_MANY];
	int64_t now = now_ms(), next = INT64_MAX;

	for (size_t i = 0; i < count; i++) {
		p[i] = (struct pollfd){ .fd = all[i].fd,
					.events = all[i].asked ? POLLIN : POLLOUT };
		if (all[i].fd >= 0 && all[i].until_ms < next)
			next = all[i].until_ms;
	}
	if (next == INT64_MAX)
		return false;
	if (poll(p, count, next > now ? (int)(next - now) : 0) < 0)
		die("poll");
	now = now_ms();
	for (size_t i = 0; i < count; i++)
		if (all[i].fd >= 0 && (p[i].revents || all[i].until_ms <= now))
			go_on(&all[i], p[i].revents);
	return true;
}

static int many(int argc, char **argv)
{
	static struct attempt all[MAX_MANY];
	size_t count = 0;
	char line[256];

	(void)argc;
	(void)argv;
	while (fgets(line, sizeof(line), stdin)) {
		if (*line != '\n') {
			if (count == MAX_MANY) {
				fprintf(stderr, "traffic: more than %d attempts at once\n",
					MAX_MANY);
				return BROKEN;
			}
			begin(&all[count++], line);
			continue;
		}
		while (turn(all, count))
			;
		for (size_t i = 0; i < count; i++)
			puts(all[i].text);
		puts("");
		fflush(stdout);
		count = 0;
	}
	return OPEN;
}

/* Copies the numbers that come back to the file, one a line. False when the connection is over. */
static bool drain(int fd, int out)
{
	char buf[4096];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN;
	return n > 0 && write(out, buf, (size_t)n) == n;
}

static int stream(int argc, char **argv)
{
	int every = argc > 3 ? atoi(argv[3]) : DEFAULT_STREAM_MS;
	char line[256];
	int fd, out;

	if (argc < 3)
		return BROKEN;
	out = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	if (out < 0)
		die(argv[2]);
	fd = dial(argv[0], argv[1], SOCK_STREAM);
	if (fd < 0 || greet(fd, false, line, sizeof(line), DEFAULT_TRY_MS))
		return SILENT;
	for (unsigned int i = 1;; i++) {
		int len = snprintf(line, sizeof(line), "%u\n", i);

		if (send(fd, line, (size_t)len, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
			break;
		(void)wait_for(fd, 0, every); /* an error shows in drain() */
		if (!drain(fd, out))
			break;
	}
	(void)!write(out, "closed\n",
		     7); /* the test reads the file; there is no one else to tell */
	return REFUSED;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} commands[] = {
		{ "serve", serve }, { "try", try }, { "many", many }, { "stream", stream }
	};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 2, argv + 2);
	fprintf(stderr, "usage: traffic serve|try|many|stream ...; the source tells\n");
	return BROKEN;
}
