/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.c - a steady load that counts what it loses. Knows nothing of Berm.
 *
 *	load KEY=ADDR:PORT...		(IPv6: [ADDR]:PORT)
 *
 *	ok=	must answer (traffic serve): a datagram and a new TCP connection each tick
 *	no=	must not: a datagram each tick, a SYN each tenth
 *	tick=MS	default 5
 *	live=N	N TCP connections to the first ok= target, opened before the rest and kept busy in turn; at the end each
 *		must still carry a question and its echo
 *
 * Each key but tick may stand several times. Prints "{}" when it runs, and at SIGTERM, after the last
 * answers had their time, one JSON object of counts: {"udp_sent","udp_back","tcp_tried","tcp_ok",
 * "tcp_late" (SYN or answer sent twice: more than LATE_MS),"tcp_failed","no_sent","no_back","live","live_ok","ticks","max_gap_ms"
 * (of our own ticks: how evenly we ran)}.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_TARGETS 8
#define MAX_CONNS   4096
#define MAX_LIVE    4096
#define LIVE_TURN   400 /* ticks until each live connection has had its turn */
#define LATE_MS	    900 /* the kernel repeats a SYN after 1,000 */
#define DRAIN_MS    1500
#define SYN_EVERY   10
#define NO_CONN_MS  300 /* a denied SYN is given up before it is repeated */
#define RCVBUF	    (8 << 20)

struct target {
	struct sockaddr_storage addr;
	socklen_t len;
	bool must_answer;
	int udp;
};

struct conn {
	int fd; /* -1 = free */
	bool must_answer;
	int64_t since_ms;
};

static struct target targets[MAX_TARGETS];
static unsigned int target_count;
static struct conn conns[MAX_CONNS];
static struct {
	uint64_t udp_sent, udp_back, tcp_tried, tcp_ok, tcp_late, tcp_failed, no_sent, no_back,
		live, live_ok, ticks, max_gap_ms;
} seen;
static int live_fd[MAX_LIVE];
static unsigned int live_count;
static int tick_ms = 5;
static volatile sig_atomic_t is_over;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void usage(const char *what)
{
	fprintf(stderr, "load: %s; usage: load ok=ADDR:PORT... no=ADDR:PORT... [tick=MS]\n", what);
	exit(1);
}

static void on_term(int sig)
{
	(void)sig;
	is_over = 1;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* --- targets ------------------------------------------------------------------------------ */

static void resolve(char *text, struct target *t)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
				  .ai_socktype = SOCK_DGRAM },
			*ai;
	char *port = strrchr(text, ':');

	if (!port)
		usage(text);
	*port++ = '\0';
	if (*text == '[') {
		text++;
		text[strcspn(text, "]")] = '\0';
	}
	if (getaddrinfo(text, port, &hints, &ai))
		usage(text);
	memcpy(&t->addr, ai->ai_addr, ai->ai_addrlen);
	t->len = ai->ai_addrlen;
	freeaddrinfo(ai);
}

static void target_add(char *text, bool must_answer)
{
	struct target *t = &targets[target_count];
	int size = RCVBUF;

	if (target_count++ == MAX_TARGETS)
		usage("too many targets");
	resolve(text, t);
	t->must_answer = must_answer;
	t->udp = socket(t->addr.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (t->udp < 0 || setsockopt(t->udp, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    connect(t->udp, (struct sockaddr *)&t->addr, t->len))
		die("datagram socket");
}

static void options(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strncmp(argv[i], "ok=", 3))
			target_add(argv[i] + 3, true);
		else if (!strncmp(argv[i], "no=", 3))
			target_add(argv[i] + 3, false);
		else if (!strncmp(argv[i], "tick=", 5))
			tick_ms = atoi(argv[i] + 5);
		else if (!strncmp(argv[i], "live=", 5))
			live_count = (unsigned int)atoi(argv[i] + 5);
		else
			usage(argv[i]);
	}
	if (live_count > MAX_LIVE)
		usage("too many live connections");
	if (!target_count || tick_ms <= 0)
		usage("no target");
}

/* --- connections ---------------------------------------------------------------------------- */

static void conn_open(const struct target *t)
{
	struct conn *c = conns;

	while (c->fd >= 0)
		if (++c == conns + MAX_CONNS)
			die("too many connections at once");
	c->fd = socket(t->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("stream socket");
	c->must_answer = t->must_answer;
	c->since_ms = now_ms();
	if (t->must_answer)
		seen.tcp_tried++;
	else
		seen.no_sent++;
	/* An error other than "in progress" shows in conn_look(). */
	(void)connect(c->fd, (const struct sockaddr *)&t->addr, t->len);
}

static void conn_close(struct conn *c)
{
	struct linger at_once = { .l_onoff = 1 }; /* no TIME_WAIT: ports would run out */

	(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once,
			 sizeof(at_once)); /* then with FIN */
	close(c->fd);
	c->fd = -1;
}

static void conn_end(struct conn *c, int error)
{
	int64_t took = now_ms() - c->since_ms;

	if (!c->must_answer)
		seen.no_back++; /* a refusal is an answer too */
	else if (error)
		seen.tcp_failed++;
	else
		seen.tcp_ok++;
	if (c->must_answer && took > LATE_MS)
		seen.tcp_late++;
	conn_close(c);
}

static void conn_look(struct conn *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	char name[256];
	ssize_t n;

	if (poll(&p, 1, 0) > 0) {
		n = recv(c->fd, name, sizeof(name), 0);
		conn_end(c, n > 0 ? 0 : n ? errno : ECONNRESET);
	} else if (!c->must_answer && now_ms() - c->since_ms > NO_CONN_MS) {
		conn_close(c);
	}
}

/* --- live connections --------------------------------------------------------------------------- */

static int live_read(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char buf[256];

	return poll(&p, 1, ms) > 0 && recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0 ? 0 : -1;
}

static void live_open(void)
{
	const struct target *t = targets;

	while (t < targets + target_count && !t->must_answer)
		t++;
	for (unsigned int i = 0; i < live_count; i++) {
		live_fd[i] = socket(t->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (live_fd[i] < 0 ||
		    connect(live_fd[i], (const struct sockaddr *)&t->addr, t->len) ||
		    live_read(live_fd[i], 5000))
			die("live connection");
	}
	seen.live = live_count;
}

static void live_turn(void)
{
	unsigned int each = (live_count + LIVE_TURN - 1) / LIVE_TURN;
	static unsigned int at;

	for (unsigned int i = 0; i < each; i++, at = (at + 1) % live_count) {
		(void)live_read(live_fd[at], 0); /* of its last turn */
		(void)send(live_fd[at], "?\n", 2,
			   MSG_DONTWAIT | MSG_NOSIGNAL); /* counted at the end */
	}
}

static void live_end(void)
{
	for (unsigned int i = 0; i < live_count; i++) {
		while (!live_read(live_fd[i], 0))
			;
		(void)send(live_fd[i], "!\n", 2, MSG_NOSIGNAL); /* else there is no echo */
	}
	for (unsigned int i = 0; i < live_count; i++)
		seen.live_ok += !live_read(live_fd[i], 3000);
}

/* --- ticks ------------------------------------------------------------------------------------ */

static void receive(void)
{
	char buf[2048];

	for (unsigned int i = 0; i < target_count; i++)
		while (recv(targets[i].udp, buf, sizeof(buf), 0) >= 0)
			(*(targets[i].must_answer ? &seen.udp_back : &seen.no_back))++;
	for (struct conn *c = conns; c < conns + MAX_CONNS; c++)
		if (c->fd >= 0)
			conn_look(c);
}

static void send_to(const struct target *t)
{
	if (send(t->udp, "?", 1, 0) == 1)
		(*(t->must_answer ? &seen.udp_sent : &seen.no_sent))++;
	else if (t->must_answer)
		die("send");
	if (t->must_answer || seen.ticks % SYN_EVERY == 0)
		conn_open(t);
}

static void pause_ms(int ms)
{
	(void)poll(NULL, 0, ms); /* a signal ends it early, which is right */
}

static void run(void)
{
	int64_t last = now_ms(), now;

	while (!is_over) {
		for (unsigned int i = 0; i < target_count; i++)
			send_to(&targets[i]);
		live_turn();
		receive();
		pause_ms(tick_ms);
		now = now_ms();
		if ((uint64_t)(now - last) > seen.max_gap_ms)
			seen.max_gap_ms = (uint64_t)(now - last);
		last = now;
		seen.ticks++;
	}
}

/* The last packets may still be on their way, or be repeated. */
static void drain(void)
{
	int64_t end = now_ms() + DRAIN_MS;

	while (now_ms() < end &&
	       (seen.udp_back < seen.udp_sent || seen.tcp_ok + seen.tcp_failed < seen.tcp_tried)) {
		receive();
		pause_ms(tick_ms);
	}
	receive();
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, on_term);
	for (int i = 0; i < MAX_CONNS; i++)
		conns[i].fd = -1;
	options(argc, argv);
	live_open();
	printf("{}\n");
	fflush(stdout);
	run();
	drain();
	live_end();
	printf("{\"udp_sent\":%ju,\"udp_back\":%ju,\"tcp_tried\":%ju,\"tcp_ok\":%ju,\"tcp_late\":%ju,"
	       "\"tcp_failed\":%ju,\"no_sent\":%ju,\"no_back\":%ju,\"live\":%ju,\"live_ok\":%ju,\"ticks\":%ju,\"max_gap_ms\":%ju}\n",
	       (uintmax_t)seen.udp_sent, (uintmax_t)seen.udp_back, (uintmax_t)seen.tcp_tried,
	       (uintmax_t)seen.tcp_ok, (uintmax_t)seen.tcp_late, (uintmax_t)seen.tcp_failed,
	       (uintmax_t)seen.no_sent, (uintmax_t)seen.no_back, (uintmax_t)seen.live,
	       (uintmax_t)seen.live_ok, (uintmax_t)seen.ticks, (uintmax_t)seen.max_gap_ms);
	return 0;
}
