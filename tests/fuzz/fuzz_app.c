/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_app.c - any bytes are a payload: the recogniser of the data path (bpf/app.h, compiled for user space) reads
 * nothing behind them, and says what a second one says that asks of every protocol "could this go on to be one?".
 *
 * First byte: 1 = a datagram, 2 = from the side that was asked. Then the payload.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf_endian.h>

#include "abi.h"

#undef __always_inline
#define __always_inline inline __attribute__((always_inline, unused))
#pragma GCC diagnostic ignored "-Wsign-compare" /* written for clang's BPF target */
#include "app.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A protocol's first bytes: in each place the least and the largest value that may stand there. */
struct place {
	uint8_t least, most;
};

struct pattern {
	enum berm_app app;
	struct place place[64];
	size_t count;
};

static void any(struct pattern *p, uint8_t least, uint8_t most)
{
	p->place[p->count++] = (struct place){ least, most };
}

static void text(struct pattern *p, const char *s)
{
	for (; *s; s++)
		any(p, (uint8_t)*s, (uint8_t)*s);
}

enum answer { NEVER, LATER, NOW };

static enum answer fits(const struct pattern *p, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < p->count && i < size; i++)
		if (data[i] < p->place[i].least || data[i] > p->place[i].most)
			return NEVER;
	return size < p->count ? LATER : NOW;
}

static struct pattern line(enum berm_app app, const char *s, bool has_more)
{
	struct pattern p = { .app = app };

	text(&p, s);
	if (has_more)
		any(&p, '!', '~');
	return p;
}

static struct pattern hello(void)
{
	struct pattern p = { .app = BERM_APP_TLS };
	static const struct place place[] = { { 22, 22 }, { 3, 3 }, { 0, 3 }, { 0, 255 },
					      { 0, 255 }, { 1, 1 }, { 0, 0 }, { 0, 255 },
					      { 0, 255 }, { 3, 3 }, { 0, 3 } };

	memcpy(p.place, place, sizeof(place));
	p.count = sizeof(place) / sizeof(*place);
	return p;
}

static struct pattern query(bool is_stream)
{
	static const uint8_t most[] = { 255, 255, 1, 0x30, 0, 1, 0, 0, 0, 1, 0, 2, 63 };
	struct pattern p = { .app = BERM_APP_DNS };

	for (int i = 0; is_stream && i < 2; i++)
		any(&p, 0, 255);
	for (size_t i = 0; i < sizeof(most); i++)
		any(&p, i == 5, most[i]);
	return p;
}

/* What a range a byte cannot say: lengths, and bits in the middle of a byte. */
static bool is_odd(const struct pattern *p, const uint8_t *data, size_t size, bool is_stream)
{
	size_t at = is_stream ? 2 : 0;

	if (p->app == BERM_APP_TLS) {
		if (size >= 5 && (data[3] * 256 + data[4] < 6 || data[3] * 256 + data[4] > 16384))
			return true;
		return size >= 9 && data[7] * 256 + data[8] < 41;
	}
	if (p->app != BERM_APP_DNS)
		return false;
	if (is_stream && data[0] > 16)
		return true;
	if (is_stream && size >= 2 &&
	    (data[0] * 256 + data[1] < 17 || data[0] * 256 + data[1] > 4096))
		return true;
	return size > at + 3 && (data[at + 3] & ~0x30);
}

static unsigned int expected(const uint8_t *data, size_t size, bool is_stream, bool is_opener)
{
	static const char *const methods[] = { "GET ",	   "HEAD ",    "POST ",	 "PUT ",  "DELETE ",
					       "CONNECT ", "OPTIONS ", "TRACE ", "PATCH " };
	struct pattern p[16];
	size_t count = 0;
	bool later = false;

	if (is_stream) {
		p[count++] = line(BERM_APP_SSH, "SSH-2.", false);
		p[count++] = line(BERM_APP_SSH, "SSH-1.", false);
	}
	for (size_t i = 0; is_stream && is_opener && i < sizeof(methods) / sizeof(*methods); i++)
		p[count++] = line(BERM_APP_HTTP, methods[i], true);
	if (is_stream && is_opener) {
		p[count++] = line(BERM_APP_H2, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", false);
		p[count++] = hello();
	}
	if (is_opener)
		p[count++] = query(is_stream);
	for (size_t i = 0; i < count; i++) {
		enum answer answer = fits(&p[i], data, size);

		if (answer == NEVER || is_odd(&p[i], data, size, is_stream))
			continue;
		if (answer == NOW && (is_stream || size >= 17))
			return p[i].app;
		later = later || (answer == LATER && is_stream);
	}
	return later || !is_opener ? 0 : BERM_APP_UNKNOWN;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool is_stream, is_opener;
	struct app_bytes bytes;
	uint8_t *room;
	unsigned int said, should;

	if (size < 2)
		return 0;
	is_stream = !(data[0] & 1);
	is_opener = !(data[0] & 2);
	data++;
	size--;
	room = calloc(1, APP_LOOK); /* of exactly that size: reading behind it is seen */
	if (!room)
		abort();
	memcpy(room, data, size < APP_LOOK ? size : APP_LOOK);
	bytes = (struct app_bytes){ room, size < APP_LOOK ? (uint32_t)size : APP_LOOK };
	said = is_stream ? app_of_stream(&bytes, is_opener) : app_of_datagram(&bytes, is_opener);
	should = expected(data, size, is_stream, is_opener);
	if (said != should) {
		fprintf(stderr, "said %u, should say %u\n", said, should);
		abort();
	}
	free(room);
	return 0;
}
