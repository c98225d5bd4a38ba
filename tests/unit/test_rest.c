/* SPDX-License-Identifier: Apache-2.0 */
/* test_rest.c - the HTTP client against a server that says exactly what a row of the table holds. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "rest.h"
#include "test.h"

#define NEVER_CLOSE "(hang)"

struct server {
	char path[108];
	int listener;
	const char *answer; /* in pieces, parted by '|'; the last one NEVER_CLOSE: keep silent */
	char request[4096];
	pthread_t thread;
};

static void say(int fd, const char *answer)
{
	while (*answer && strcmp(answer, NEVER_CLOSE)) {
		size_t n = strcspn(answer, "|");

		if (n && send(fd, answer, n, MSG_NOSIGNAL) < 0)
			return;
		usleep(2000);
		answer += n + (answer[n] == '|');
	}
	if (*answer) {
		char byte;

		while (read(fd, &byte, 1) > 0)
			; /* until the client gives up */
	}
}

static void *serve(void *arg)
{
	struct server *s = arg;
	int fd = accept(s->listener, NULL, NULL);
	ssize_t n = fd < 0 ? -1 : read(fd, s->request, sizeof(s->request) - 1);

	if (n > 0)
		say(fd, s->answer);
	if (fd >= 0)
		close(fd);
	return NULL;
}

static void server_start(struct server *s, const char *answer)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	memset(s, 0, sizeof(*s));
	s->answer = answer;
	snprintf(s->path, sizeof(s->path), "%s/sock", test_dir());
	unlink(s->path);
	strcpy(addr.sun_path, s->path);
	s->listener = socket(AF_UNIX, SOCK_STREAM, 0);
	ASSERT_EQ(bind(s->listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ASSERT_EQ(listen(s->listener, 4), 0);
	ASSERT_EQ(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_stop(struct server *s)
{
	pthread_join(s->thread, NULL);
	close(s->listener);
}

TEST(rest_answers)
{
	static const struct {
		const char *name, *answer;
		int rc, status;
		const char *body;
	} cases[] = {
		{ "length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 0, 200, "{}" },
		{ "in pieces", "HTTP/1.|1 202 Acc|epted\r\nContent-Le|ngth: 3\r|\n\r\n{\"|a", 0, 202, "{\"a" },
		{ "until the end", "HTTP/1.1 200 OK\r\n\r\nhello", 0, 200, "hello" },
		{ "chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n| world\r\n0\r\n\r\n",
		  0, 200, "hello world" },
		{ "no body", "HTTP/1.1 204 No Content\r\n\r\n", 0, 204, "" },
		{ "continue first", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 0, 200, "x" },
		{ "an error is an answer", "HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\nno!", 0, 503, "no!" },
		{ "lower case", "HTTP/1.1 200 OK\ncontent-length:1\n\ny", 0, 200, "y" },
		{ "not HTTP", "220 mail.example\r\n", -EBADMSG, 0, NULL },
		{ "nothing", "|", -EBADMSG, 0, NULL },
		{ "cut off in the head", "HTTP/1.1 200 OK\r\nConte", -EBADMSG, 0, NULL },
		{ "cut off in the body", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", -EBADMSG, 0, NULL },
		{ "cut off in a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nshort", -EBADMSG, 0, NULL },
		{ "bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", -EBADMSG, 0, NULL },
		{ "negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", -EBADMSG, 0, NULL },
		{ "huge length", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", -EFBIG, 0, NULL },
		{ "header without colon", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", -EBADMSG, 0, NULL },
	}, *c;

	for_each_case(c, cases) {
		struct berm_rest_reply reply = { 0 };
		struct berm_err err = { 0 };
		struct server s;
		struct berm_rest_call call = { .socket = s.path,
					       .method = "POST",
					       .path = "/v1/x",
					       .body = "{\"q\":1}",
					       .connect_ms = 1000,
					       .timeout_ms = 2000 };

		server_start(&s, c->answer);
		EXPECT_EQ(berm_rest(&call, &reply, &err), c->rc);
		server_stop(&s);
		EXPECT_STR_HAS(s.request, "POST /v1/x HTTP/1.1\r\n");
		EXPECT_STR_HAS(s.request, "Content-Length: 7\r\n");
		EXPECT_STR_HAS(s.request, "\r\n\r\n{\"q\":1}");
		if (c->rc) {
			EXPECT_TRUE(err.msg[0]);
			continue;
		}
		EXPECT_EQ(reply.status, c->status);
		EXPECT_STR_EQ(reply.body, c->body);
		berm_rest_clear(&reply);
	}
}

static long elapsed_ms(const struct timespec *from)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - from->tv_sec) * 1000 + (now.tv_nsec - from->tv_nsec) / 1000000;
}

TEST(rest_has_a_bound)
{
	static const char *const hangs[] = {
		NEVER_CLOSE, "HTTP/1.1 200 OK\r\n|" NEVER_CLOSE,
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab|" NEVER_CLOSE
	};

	for (size_t i = 0; i < ARRAY_SIZE(hangs); i++) {
		struct berm_rest_reply reply = { 0 };
		struct berm_err err = { 0 };
		struct timespec start;
		struct server s;
		struct berm_rest_call call = {
			.socket = s.path, .method = "GET", .path = "/", .timeout_ms = 60
		};

		server_start(&s, hangs[i]);
		clock_gettime(CLOCK_MONOTONIC, &start);
		EXPECT_EQ(berm_rest(&call, &reply, &err), -ETIMEDOUT);
		EXPECT_GE(elapsed_ms(&start), 50);
		EXPECT_LT(elapsed_ms(&start), 1500);
		server_stop(&s);
	}
}

static int ignore_line(char *text, void *arg)
{
	(void)text, (void)arg;
	usleep(1000); /* slower than the server, so that the socket is never found empty */
	return 0;
}

TEST(rest_has_a_bound_while_bytes_arrive)
{
	struct berm_err err = { 0 };
	struct timespec start;
	struct server s;
	struct berm_rest_call call = {
		.socket = s.path, .method = "GET", .path = "/", .timeout_ms = 60
	};
	auto_free char *answer = malloc(300000);
	size_t at = (size_t)sprintf(answer, "HTTP/1.1 200 OK\r\n\r\n");

	for (int i = 0; i < 1000; i++)
		at += (size_t)sprintf(answer + at, "{\"line\":%200d}\n", i);
	server_start(&s, answer);
	clock_gettime(CLOCK_MONOTONIC, &start);
	EXPECT_EQ(berm_rest_lines(&call, ignore_line, NULL, &err), -ETIMEDOUT);
	EXPECT_LT(elapsed_ms(&start), 800);
	server_stop(&s);
}

TEST(rest_nobody_there)
{
	struct berm_rest_reply reply = { 0 };
	struct berm_err err = { 0 };
	struct berm_rest_call call = { .socket = "/nonexistent/sock",
				       .method = "GET",
				       .path = "/" };
	struct server s;

	EXPECT_EQ(berm_rest(&call, &reply, &err), -ENOENT);
	EXPECT_STR_HAS(err.msg, "/nonexistent/sock");
	server_start(&s, "");
	EXPECT_OK(berm_rest_probe(s.path, 100, &err), &err);
	server_stop(&s);
	EXPECT_EQ(berm_rest_probe(s.path, 100, &err), -ECONNREFUSED);
}

struct lines {
	char seen[256];
	int stop_at, count;
};

static int take_line(char *text, void *arg)
{
	struct lines *l = arg;

	strcat(strcat(l->seen, text), "/");
	return ++l->count == l->stop_at ? 42 : 0;
}

TEST(rest_lines_over_chunk_borders)
{
	struct berm_err err = { 0 };
	struct lines all = { .stop_at = 0 }, two = { .stop_at = 2 };
	struct server s;
	struct berm_rest_call call = {
		.socket = s.path, .method = "GET", .path = "/v1/flows", .timeout_ms = 2000
	};
	const char *answer =
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n|2\r\ntw\r\n7\r\no\n\nthre\r\n"
		"1\r\ne\r\n0\r\n\r\n";

	server_start(&s, answer);
	EXPECT_OK(berm_rest_lines(&call, take_line, &all, &err), &err);
	server_stop(&s);
	EXPECT_STR_EQ(all.seen, "one/two/three/");
	server_start(&s, answer);
	EXPECT_EQ(berm_rest_lines(&call, take_line, &two, &err), 42);
	server_stop(&s);
	EXPECT_STR_EQ(two.seen, "one/two/");
}
