// SPDX-License-Identifier: Apache-2.0
/*
 * judge.c - a pod's first process: speaks to friends and foes with its very first instructions and judges what
 * comes back. Knows nothing of Berm.
 *
 *	judge PORT [+ADDR | -ADDR]...
 *
 * +ADDR is a friend: a datagram and a connection to it are answered, no segment is sent twice. -ADDR is a foe:
 * nothing comes back. Prints "fine", or a line for each fault, and exits 0, or 1; 2: no judgement.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TALKS_MAX  16
#define FOE_MS	   900
#define FRIEND_MS  5000 /* a busy machine may be slow; what is lost is seen by what was sent twice */
#define NO_VERDICT 2

struct talk {
	const char *addr;
	bool is_friend;
	int udp, tcp;
	bool udp_back, tcp_back;
};

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(NO_VERDICT);
}

static socklen_t address(const char *text, const char *port, struct sockaddr_storage *out)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)atoi(port));
		return sizeof(*v4);
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) != 1) {
		fprintf(stderr, "not an address: %s\n", text);
		exit(NO_VERDICT);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)atoi(port));
	return sizeof(*v6);
}

/* Errors of connecting are answers, or the lack of one: seen later. */
static int begin(const struct sockaddr_storage *to, socklen_t len, int type)
{
	int fd = socket(to->ss_family, type | SOCK_NONBLOCK, 0);

	if (fd < 0)
		die("socket");
	(void)connect(fd, (const struct sockaddr *)to, len);
	if (type == SOCK_DGRAM)
		(void)send(fd, "?", 1, MSG_NOSIGNAL);
	return fd;
}

static bool has_answer(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) > 0;
}

/* Have all friends answered? */
static bool look(struct talk *talk, int count)
{
	bool is_done = true;

	for (int i = 0; i < count; i++) {
		talk[i].udp_back |= has_answer(talk[i].udp);
		talk[i].tcp_back |= has_answer(talk[i].tcp);
		is_done &= !talk[i].is_friend || (talk[i].udp_back && talk[i].tcp_back);
	}
	return is_done;
}

static long elapsed_ms(const struct timespec *since)
{
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC, &now))
		die("clock_gettime");
	return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

static unsigned int sent_twice(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		die("TCP_INFO");
	return info.tcpi_total_retrans;
}

static int fault(const struct talk *talk, const char *what)
{
	printf("%s %s: %s\n", talk->is_friend ? "friend" : "foe", talk->addr, what);
	return 1;
}

static int judge(const struct talk *talk)
{
	int faults = 0;

	if (talk->udp_back != talk->is_friend)
		faults += fault(talk,
				talk->udp_back ? "a datagram came back" : "no datagram came back");
	if (talk->tcp_back != talk->is_friend)
		faults += fault(talk, talk->tcp_back ? "a connection" : "no connection");
	else if (talk->is_friend && sent_twice(talk->tcp))
		faults += fault(talk, "a segment was sent twice");
	return faults;
}

int main(int argc, char **argv)
{
	struct talk talk[TALKS_MAX] = { 0 };
	struct sockaddr_storage to;
	struct timespec start;
	int count = 0, faults = 0;
	long foe_ms = 0;
	socklen_t len;

	for (int i = 2; i < argc && count < TALKS_MAX; i++, count++) {
		talk[count].addr = argv[i] + 1;
		talk[count].is_friend = argv[i][0] == '+';
		foe_ms = talk[count].is_friend ? foe_ms : FOE_MS;
		len = address(talk[count].addr, argv[1], &to);
		talk[count].udp = begin(&to, len, SOCK_DGRAM);
		talk[count].tcp = begin(&to, len, SOCK_STREAM);
	}
	if (!count || argc - 2 > TALKS_MAX)
		return NO_VERDICT;
	if (clock_gettime(CLOCK_MONOTONIC, &start))
		die("clock_gettime");
	while ((!look(talk, count) && elapsed_ms(&start) < FRIEND_MS) ||
	       elapsed_ms(&start) < foe_ms)
		poll(NULL, 0, 1);
	for (int i = 0; i < count; i++)
		faults += judge(&talk[i]);
	if (!faults)
		printf("fine\n");
	return faults ? 1 : 0;
}
