/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meter.c - how fast is the way between two pods? Knows nothing of Berm.
 *
 *	meter serve PORT		TCP, three ports from PORT on: echoes, swallows, echoes once and closes
 *	meter stream ADDR PORT MS	one connection, as much as goes: "BITS-PER-SECOND"
 *	meter rr ADDR PORT MS		one byte there and back, again and again: "P50-US P99-US"
 *	meter crr ADDR PORT MS		connection, one byte there and back, close: "PER-SECOND"
 *	meter hop DEVICE DEVICE		carries frames between two devices, as a wall in user space would
 *
 * PORT is the first one of the server's each time. serve and hop print "ready" and run until killed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum service { ECHO, SINK, ONCE, SERVICES };

#define CHUNK	    (256 << 10)
#define MAX_SAMPLES (1 << 20)

static char buffer[CHUNK];

static void die(const char *what)
{
	fprintf(stderr, "meter: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void set(int fd, int level, int option)
{
	int on = 1;

	if (setsockopt(fd, level, option, &on, sizeof(on)))
		die("setsockopt");
}

/* ---- the other end -------------------------------------------------------------------------------------- */

static void watch(int ep, int fd, uint32_t service, bool is_listener)
{
	struct epoll_event ev = { .events = EPOLLIN,
				  .data.u64 = (uint64_t)is_listener << 40 |
					      (uint64_t)service << 32 | (uint32_t)fd };

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev))
		die("epoll_ctl");
}

static int listener(uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	set(fd, SOL_SOCKET, SO_REUSEADDR);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 512))
		die("bind");
	return fd;
}

static void answer(int fd, enum service service)
{
	ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

	if (n > 0 && service != SINK)
		n = send(fd, buffer, (size_t)n, MSG_NOSIGNAL);
	if (n <= 0 || service == ONCE)
		close(fd);
}

static void serve_one(int ep, uint64_t what)
{
	enum service service = what >> 32 & 0xff;
	int fd = (int)(what & 0xffffffff), conn;

	if (!(what >> 40)) {
		answer(fd, service);
		return;
	}
	conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC); /* cppcheck-suppress nullPointer */
	if (conn < 0)
		return; /* the client has gone again */
	set(conn, IPPROTO_TCP, TCP_NODELAY);
	watch(ep, conn, service, false);
}

static int serve(char **arg)
{
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev;

	if (ep < 0)
		die("epoll");
	for (uint32_t i = 0; i < SERVICES; i++)
		watch(ep, listener((uint16_t)(atoi(arg[0]) + (int)i)), i, true);
	puts("ready");
	fflush(stdout);
	while (epoll_wait(ep, &ev, 1, -1) >= 0 || errno == EINTR)
		serve_one(ep, ev.data.u64);
	return 1;
}

/* ---- this end ---------------------------------------------------------------------------------------------- */

static int dial(char **arg, enum service service)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)(atoi(arg[1]) + (int)service)) };
	struct timeval patience = { .tv_sec = 2 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || inet_pton(AF_INET, arg[0], &to.sin_addr) != 1)
		die(arg[0]);
	set(fd, IPPROTO_TCP, TCP_NODELAY);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)))
		die("setsockopt");
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
		die("connect");
	return fd;
}

static void there_and_back(int fd)
{
	char byte = '?';

	if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1 || recv(fd, &byte, 1, 0) != 1)
		die("no answer");
}

static int stream(char **arg)
{
	int fd = dial(arg, SINK);
	double start = now_us(), took;
	uint64_t sent = 0;

	do {
		ssize_t n = send(fd, buffer, sizeof(buffer), MSG_NOSIGNAL);

		if (n < 0)
			die("send");
		sent += (uint64_t)n;
		took = now_us() - start;
	} while (took < atof(arg[2]) * 1000);
	printf("%.0f\n", (double)sent * 8e6 / took);
	return 0;
}

static int by_value(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return (d > 0) - (d < 0);
}

static int rr(char **arg)
{
	static double sample[MAX_SAMPLES];
	int fd = dial(arg, ECHO);
	double start = now_us(), last = start, now;
	size_t n = 0;

	do {
		there_and_back(fd);
		now = now_us();
		sample[n++] = now - last;
		last = now;
	} while (now - start < atof(arg[2]) * 1000 && n < MAX_SAMPLES);
	qsort(sample, n, sizeof(*sample), by_value);
	printf("%.2f %.2f\n", sample[n / 2], sample[n * 99 / 100]);
	return 0;
}

/* The server closes first, so that TIME_WAIT is its business and ports here do not run out. */
static int crr(char **arg)
{
	double start = now_us(), took;
	uint32_t n = 0;
	char byte;

	do {
		int fd = dial(arg, ONCE);

		there_and_back(fd);
		if (recv(fd, &byte, 1, 0))
			die("it does not close");
		close(fd);
		n++;
		took = now_us() - start;
	} while (took < atof(arg[2]) * 1000);
	printf("%.1f\n", n * 1e6 / took);
	return 0;
}

/* ---- a wall in user space ------------------------------------------------------------------------------------ */

/* Frames with what the kernel knows of them (virtio_net_hdr), so that large ones stay large. */
static int wire(const char *device)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)if_nametoindex(device) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || !at.sll_ifindex)
		die(device);
	set(fd, SOL_PACKET, PACKET_VNET_HDR);
	set(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)))
		die(device);
	return fd;
}

static void carry(int from, int to)
{
	ssize_t n;

	for (int i = 0; i < 64; i++) {
		n = recv(from, buffer, sizeof(buffer), 0);
		if (n <= 0)
			return;
		(void)!send(to, buffer, (size_t)n,
			    0); /* a full queue loses frames, as any hop does */
	}
}

static int hop(char **arg)
{
	struct pollfd p[2] = { { .fd = wire(arg[0]), .events = POLLIN },
			       { .fd = wire(arg[1]), .events = POLLIN } };

	puts("ready");
	fflush(stdout);
	while (poll(p, 2, -1) >= 0 || errno == EINTR) {
		if (p[0].revents)
			carry(p[0].fd, p[1].fd);
		if (p[1].revents)
			carry(p[1].fd, p[0].fd);
	}
	return 1;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int args;
		int (*run)(char **arg);
	} commands[] = { { "serve", 1, serve },
			 { "stream", 3, stream },
			 { "rr", 3, rr },
			 { "crr", 3, crr },
			 { "hop", 2, hop } };

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(argv[1], commands[i].name) && argc == 2 + commands[i].args)
			return commands[i].run(argv + 2);
	fprintf(stderr, "usage: meter serve|stream|rr|crr|hop ...; the source tells\n");
	return 1;
}
