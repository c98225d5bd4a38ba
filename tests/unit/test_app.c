/* SPDX-License-Identifier: Apache-2.0 */
/* test_app.c - what the first bytes of a payload are taken for: bpf/app.h compiled for user space. */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <bpf/bpf_endian.h>

#include "abi.h"
#include "test.h"

#pragma GCC diagnostic ignored "-Wsign-compare" /* app.h is written for clang's BPF target */

#undef __always_inline
#define __always_inline inline __attribute__((always_inline, unused))
#include "app.h"

#define UNTOLD	0
#define TEXT(s) s, sizeof(s) - 1

static unsigned int stream(const char *data, size_t size, bool is_opener)
{
	uint8_t room[APP_LOOK] = { 0 };
	struct app_bytes bytes = { room, (uint32_t)(size < APP_LOOK ? size : APP_LOOK) };

	memcpy(room, data, bytes.len);
	return app_of_stream(&bytes, is_opener);
}

static unsigned int datagram(const char *data, size_t size, bool is_opener)
{
	uint8_t room[APP_LOOK] = { 0 };
	struct app_bytes bytes = { room, (uint32_t)(size < APP_LOOK ? size : APP_LOOK) };

	memcpy(room, data, bytes.len);
	return app_of_datagram(&bytes, is_opener);
}

/* What it says of every shorter beginning is "more", and of the whole `app`. */
static void expect_grows(const char *data, size_t size, size_t needed, unsigned int app)
{
	for (size_t n = 1; n <= size; n++)
		EXPECT_EQ(stream(data, n, true), n < needed ? UNTOLD : app);
}

#define HELLO "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x5a\xa5\x01\x02"
#define QUERY                                                                                      \
	"\x12\x34\x01\x20\x00\x01\x00\x00\x00\x00\x00\x01\x03www\x07"                              \
	"example\x00\x00\x01\x00\x01\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x00"

TEST(app_of_whole_beginnings, "each protocol is known by its first bytes [pkt.apps]")
{
	expect_grows(TEXT(HELLO), 11, BERM_APP_TLS);
	expect_grows(TEXT("GET /index.html HTTP/1.1\r\n"), 5, BERM_APP_HTTP);
	expect_grows(TEXT("OPTIONS * HTTP/1.1\r\n"), 9, BERM_APP_HTTP);
	expect_grows(TEXT("CONNECT shop.example:443 HTTP/1.1\r\n"), 9, BERM_APP_HTTP);
	expect_grows(TEXT("PATCH /a HTTP/1.1\r\n"), 7, BERM_APP_HTTP);
	expect_grows(TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0"), 24, BERM_APP_H2);
	expect_grows(TEXT("SSH-2.0-OpenSSH_9.2p1\r\n"), 6, BERM_APP_SSH);
	expect_grows(TEXT("SSH-1.99-Cisco-1.25\r\n"), 6, BERM_APP_SSH);
	expect_grows(TEXT("\x00\x2c" QUERY), 15, BERM_APP_DNS);
	EXPECT_EQ(datagram(TEXT(QUERY), true), BERM_APP_DNS);
}

TEST(app_methods, "every method of HTTP, and no word that only looks like one")
{
	static const char *const good[] = { "GET /",	 "HEAD /",   "POST /",
					    "PUT /",	 "DELETE /", "CONNECT a:1",
					    "OPTIONS *", "TRACE /",  "PATCH /" };
	static const char *const bad[] = { "GOT /",
					   "GETS /",
					   "get / HTTP/1.1",
					   "GET\t/",
					   "GET  /",
					   "GET \r\n",
					   "PUSH /",
					   "PRI * HTTP/1.1",
					   "HELO mail.example",
					   "EHLO mail.example",
					   "QUIT\r\n" };

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		EXPECT_EQ(stream(good[i], strlen(good[i]), true), BERM_APP_HTTP);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		EXPECT_EQ(stream(bad[i], strlen(bad[i]), true), BERM_APP_UNKNOWN);
}

TEST(app_near_misses,
     "what differs in one place from a ClientHello, a query or a first line is unknown")
{
	static const struct {
		size_t at;
		char value;
	} hello[] = { { 0, 0x17 }, { 1, 2 }, { 2, 4 }, { 3, 0x41 },
		      { 5, 2 },	   { 6, 1 }, { 9, 2 }, { 10, 4 } },
	  query[] = { { 2, (char)0x81 }, { 2, 0x09 }, { 3, (char)0x80 }, { 3, 0x03 },
		      { 4, 1 },		 { 5, 0 },    { 5, 2 },		 { 7, 1 },
		      { 9, 2 },		 { 11, 3 },   { 12, 64 } };
	char room[80];

	for (size_t i = 0; i < sizeof(hello) / sizeof(*hello); i++) {
		memcpy(room, HELLO, sizeof(HELLO));
		room[hello[i].at] = hello[i].value;
		EXPECT_EQ(stream(room, sizeof(HELLO) - 1, true), BERM_APP_UNKNOWN);
	}
	for (size_t i = 0; i < sizeof(query) / sizeof(*query); i++) {
		memcpy(room, QUERY, sizeof(QUERY));
		room[query[i].at] = query[i].value;
		EXPECT_EQ(datagram(room, sizeof(QUERY) - 1, true), BERM_APP_UNKNOWN);
	}
	EXPECT_EQ(stream(TEXT("SSH-3.0-x"), true), BERM_APP_UNKNOWN);
	EXPECT_EQ(stream(TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r."), true), BERM_APP_UNKNOWN);
	EXPECT_EQ(stream(TEXT("\x16\x03\x01\x02\x00\x01\x00\x00\x28\x03\x03"), true),
		  BERM_APP_UNKNOWN);
	EXPECT_EQ(datagram(TEXT("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00"),
			   true),
		  BERM_APP_UNKNOWN); /* one byte short of the shortest query */
	EXPECT_EQ(stream(TEXT("\x00\x10" QUERY), true), BERM_APP_UNKNOWN);
	EXPECT_EQ(stream(TEXT("\x10\x01" QUERY), true), BERM_APP_UNKNOWN);
}

TEST(app_of_datagrams, "a datagram is whole: no first line makes it anything")
{
	EXPECT_EQ(datagram(TEXT("GET / HTTP/1.1\r\n"), true), BERM_APP_UNKNOWN);
	EXPECT_EQ(datagram(TEXT("\x12"), true), BERM_APP_UNKNOWN);
	EXPECT_EQ(datagram(TEXT(QUERY), false), UNTOLD);
}

TEST(app_of_answers, "of what is answered only SSH's first line tells")
{
	EXPECT_EQ(stream(TEXT("SSH-2.0-dropbear\r\n"), false), BERM_APP_SSH);
	EXPECT_EQ(stream(TEXT("GET / HTTP/1.1\r\n"), false), UNTOLD);
	EXPECT_EQ(stream(TEXT("220 mail.example ESMTP\r\n"), false), UNTOLD);
	EXPECT_EQ(stream(TEXT(HELLO), false), UNTOLD);
}
