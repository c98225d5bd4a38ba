/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * app.h - what protocol do these bytes begin: TLS, HTTP, DNS, SSH. Looks at the first APP_LOOK bytes of one
 * packet's payload and at nothing else: no session, no port, no packet that came before.
 *
 * Plain C over a buffer: the fuzzer compiles it for user space too.
 */
#ifndef BERM_BPF_APP_H
#define BERM_BPF_APP_H

#define APP_LOOK 32

/* Old verifiers go through every combination of what these questions leave behind; where only the value matters,
 * whoever includes this may give it another form in which it tells them nothing. */
#ifndef app_blur
#define app_blur(x) (x)
#endif

/* `room` of APP_LOOK bytes, zero behind the first `len` >= 1. */
struct app_bytes {
	const __u8 *at;
	__u32 len;
};

/* How the bytes agree with one protocol. Bits, so that answers can be collected. */
#define APP_NO	 0
#define APP_MORE 1 /* so far, but there are too few of them */
#define APP_YES	 2

#define APP_TEXT(a, b, c, d, e, f, g, h)                                                           \
	((__u64)(a) << 56 | (__u64)(b) << 48 | (__u64)(c) << 40 | (__u64)(d) << 32 |               \
	 (__u64)(e) << 24 | (__u64)(f) << 16 | (__u64)(g) << 8 | (__u64)(h))

static __always_inline __u32 app_pair(const struct app_bytes *b, __u32 at)
{
	return (__u32)b->at[at] << 8 | b->at[at + 1];
}

static __always_inline __u64 app_word(const struct app_bytes *b, __u32 at)
{
	__u64 word;

	__builtin_memcpy(&word, b->at + at, sizeof(word));
	return bpf_be64_to_cpu(word);
}

/* Do the bytes from `at` on begin with the first `size` (1 to 8) of text? */
static __always_inline __u32 app_begins(const struct app_bytes *b, __u32 at, __u64 text, __u32 size)
{
	__u32 len = app_blur(b->len), have;

	if (len <= at)
		return APP_MORE;
	have = app_blur(len - at < size ? len - at : size);
	if ((app_word(b, at) ^ text) >> (64 - 8 * have))
		return APP_NO;
	return have < size ? APP_MORE : APP_YES;
}

/* ---- TLS: a ClientHello (RFC 8446, 4.1.2 and 5.1) ------------------------------------------------------ */

#define TLS_HANDSHAKE	 22
#define TLS_CLIENT_HELLO 1
#define TLS_RECORD_MAX	 16384
#define TLS_RECORD_MIN	 6 /* what is looked at here */
#define TLS_HELLO_MIN	 41 /* version, random, and the shortest form of everything that must follow */
#define TLS_HEAD	 11

static __always_inline __u32 app_tls(const struct app_bytes *b)
{
	__u32 record = app_pair(b, 3), hello = app_pair(b, 7), len = app_blur(b->len);

	if (b->at[0] != TLS_HANDSHAKE || (len > 1 && b->at[1] != 3) || b->at[2] > 3)
		return APP_NO;
	if (len > 4 && (record < TLS_RECORD_MIN || record > TLS_RECORD_MAX))
		return APP_NO;
	if ((len > 5 && b->at[5] != TLS_CLIENT_HELLO) || b->at[6])
		return APP_NO;
	if ((len > 8 && hello < TLS_HELLO_MIN) || (len > 9 && b->at[9] != 3) || b->at[10] > 3)
		return APP_NO;
	return len < TLS_HEAD ? APP_MORE : APP_YES;
}

/* ---- HTTP: a request line (RFC 9112, 3) or the preface of HTTP/2 (RFC 9113, 3.4) ------------------------- */

/* The method, one space, and the first character of the target. */
static __always_inline __u32 app_method(const struct app_bytes *b, __u64 text, __u32 size)
{
	__u32 found = app_begins(b, 0, text, size);

	if (found != APP_YES)
		return found;
	if (app_blur(b->len) == size)
		return APP_MORE;
	return b->at[size] > ' ' && b->at[size] < 0x7f ? APP_YES : APP_NO;
}

static __always_inline __u32 app_http(const struct app_bytes *b)
{
	__u32 found = 0;

	found = app_blur(found | app_method(b, APP_TEXT('G', 'E', 'T', ' ', 0, 0, 0, 0), 4));
	found = app_blur(found | app_method(b, APP_TEXT('P', 'U', 'T', ' ', 0, 0, 0, 0), 4));
	found = app_blur(found | app_method(b, APP_TEXT('H', 'E', 'A', 'D', ' ', 0, 0, 0), 5));
	found = app_blur(found | app_method(b, APP_TEXT('P', 'O', 'S', 'T', ' ', 0, 0, 0), 5));
	found = app_blur(found | app_method(b, APP_TEXT('P', 'A', 'T', 'C', 'H', ' ', 0, 0), 6));
	found = app_blur(found | app_method(b, APP_TEXT('T', 'R', 'A', 'C', 'E', ' ', 0, 0), 6));
	found = app_blur(found | app_method(b, APP_TEXT('D', 'E', 'L', 'E', 'T', 'E', ' ', 0), 7));
	found = app_blur(found |
			 app_method(b, APP_TEXT('O', 'P', 'T', 'I', 'O', 'N', 'S', ' '), 8));
	found = app_blur(found |
			 app_method(b, APP_TEXT('C', 'O', 'N', 'N', 'E', 'C', 'T', ' '), 8));
	return found;
}

static __always_inline __u32 app_h2(const struct app_bytes *b)
{
	__u32 one, two, three;

	one = app_blur(app_begins(b, 0, APP_TEXT('P', 'R', 'I', ' ', '*', ' ', 'H', 'T'), 8));
	two = app_blur(app_begins(b, 8, APP_TEXT('T', 'P', '/', '2', '.', '0', '\r', '\n'), 8));
	three = app_blur(
		app_begins(b, 16, APP_TEXT('\r', '\n', 'S', 'M', '\r', '\n', '\r', '\n'), 8));

	if (!one || !two || !three)
		return APP_NO;
	return one & two & three & APP_YES ? APP_YES : APP_MORE;
}

/* ---- SSH: the identification string (RFC 4253, 4.2) ------------------------------------------------------ */

static __always_inline __u32 app_ssh(const struct app_bytes *b)
{
	return app_blur(app_begins(b, 0, APP_TEXT('S', 'S', 'H', '-', '2', '.', 0, 0), 6)) |
	       app_blur(app_begins(b, 0, APP_TEXT('S', 'S', 'H', '-', '1', '.', 0, 0), 6));
}

/* ---- DNS: a query (RFC 1035, 4.1.1 and 4.2.2) -------------------------------------------------------------- */

#define DNS_QUERY_MIN 17   /* header, the root's name, type and class */
#define DNS_QUERY_MAX 4096 /* of one over TCP: far more than anybody asks */
#define DNS_HEAD      13   /* what is looked at here: the header and the first label's length */

/* A query asks one question and answers none; at most an SOA (IXFR), and EDNS and a signature behind it. */
static __always_inline __u32 app_dns_header(const struct app_bytes *b, __u32 at)
{
	__u32 len = app_blur(b->len);
	const __u8 *h = b->at + at;

	if (h[2] & ~1u || h[3] & 0xcf) /* of the flags RD, AD, CD; opcode QUERY */
		return APP_NO;
	if (h[4] || (len > at + 5 && h[5] != 1) || h[6] || h[7])
		return APP_NO;
	if (h[8] || h[9] > 1 || h[10] || h[11] > 2 || h[12] > 63)
		return APP_NO;
	return len < at + DNS_HEAD ? APP_MORE : APP_YES;
}

static __always_inline __u32 app_dns_stream(const struct app_bytes *b)
{
	__u32 size = app_pair(b, 0), len = app_blur(b->len);

	if (size > DNS_QUERY_MAX || (len > 1 && size < DNS_QUERY_MIN))
		return APP_NO;
	return app_dns_header(b, 2);
}

static __always_inline __u32 app_dns_datagram(const struct app_bytes *b)
{
	return b->len < DNS_QUERY_MIN ? APP_NO : app_dns_header(b, 0);
}

/* ---- all of them --------------------------------------------------------------------------------------------- */

/* enum berm_app, or 0: these bytes do not tell yet. Of what is answered only SSH's first line says anything. */
static __always_inline __u32 app_of_stream(const struct app_bytes *b, bool is_opener)
{
	__u32 ssh = app_blur(app_ssh(b)), tls, http, h2, dns;

	if (ssh & APP_YES)
		return BERM_APP_SSH;
	if (!is_opener)
		return 0;
	tls = app_blur(app_tls(b));
	http = app_blur(app_http(b));
	h2 = app_blur(app_h2(b));
	dns = app_blur(app_dns_stream(b));
	if (tls & APP_YES)
		return BERM_APP_TLS;
	if (http & APP_YES)
		return BERM_APP_HTTP;
	if (h2 & APP_YES)
		return BERM_APP_H2;
	if (dns & APP_YES)
		return BERM_APP_DNS;
	return ssh | tls | http | h2 | dns ? 0 : BERM_APP_UNKNOWN;
}

/* A datagram is whole: there is no more to come. */
static __always_inline __u32 app_of_datagram(const struct app_bytes *b, bool is_opener)
{
	if (!is_opener)
		return 0;
	return app_dns_datagram(b) == APP_YES ? BERM_APP_DNS : BERM_APP_UNKNOWN;
}

#endif /* BERM_BPF_APP_H */
