// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_packet.c - any bytes are a packet: the parser of the data path (bpf/pkt.h, compiled for user space) reads nothing
 * that is not there, and says of every frame what a second parser says that was written apart and reads byte by byte.
 *
 * Input: one byte of switches, one that says how much is in the linear part, then the frame.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>

#include "abi.h"

/* ---- what the kernel gives the parser ----------------------------------------------------------------------- */

struct fuzz_skb { /* of struct __sk_buff, with pointers that fit */
	unsigned long data, data_end;
	uint32_t len, gso_segs, ifindex;
	const uint8_t *all; /* linear or not */
};

#define __sk_buff      fuzz_skb
#define barrier_var(x) __asm__ volatile("" : "+r"(x))
#undef __always_inline
#define __always_inline inline __attribute__((always_inline, unused))
#pragma GCC diagnostic ignored "-Wsign-compare" /* written for clang's BPF target */
#pragma GCC diagnostic ignored "-Wunused-function"

static struct berm_node berm_node;
static uint32_t cfg_buckets, cfg_apps = 1;

static long bpf_skb_load_bytes(const struct fuzz_skb *skb, uint32_t off, void *to, uint32_t size)
{
	if (off > skb->len || skb->len - off < size)
		return -14;
	memcpy(to, skb->all + off, size);
	return 0;
}

/* Headers lie in packets as they come; the verifier knows which machines may read them so. */
#pragma clang attribute push(__attribute__((no_sanitize("alignment"))), apply_to = function)
#include "bucket.h"
#include "pkt.h"
#pragma clang attribute pop

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the second parser ------------------------------------------------------------------------------------------ */

struct seen {
	enum pkt_kind kind;
	uint8_t proto;
	bool v4;
	uint8_t src[16], dst[16]; /* v4-mapped */
	uint16_t sport, dport;	  /* TCP, UDP, SCTP */
	uint8_t tcp_flags;
};

struct frame {
	const uint8_t *byte;
	size_t len;
	bool is_gso;
};

static bool has(const struct frame *f, size_t at, size_t size)
{
	return at <= f->len && f->len - at >= size;
}

static unsigned int word(const struct frame *f, size_t at)
{
	return (unsigned int)f->byte[at] << 8 | f->byte[at + 1];
}

/* Bytes without which a verdict would rest on nothing. */
static size_t needs(uint8_t proto)
{
	switch (proto) {
	case 6:
		return 20;
	case 17:
	case 1:
	case 2:
	case 58:
		return 8;
	case 132: /* with the header of its first chunk */
		return 16;
	default:
		return 0;
	}
}

static void see_l4(const struct frame *f, size_t at, size_t end, struct seen *s)
{
	if (at + needs(s->proto) > end)
		return;
	if (s->proto == 6) {
		uint8_t flags = f->byte[at + 13];

		if (f->byte[at + 12] >> 4 < 5 || ((flags & 2) && (flags & 5)))
			return;
		s->tcp_flags = flags;
	}
	if (s->proto == 6 || s->proto == 17 || s->proto == 132) {
		s->sport = (uint16_t)word(f, at);
		s->dport = (uint16_t)word(f, at + 2);
	}
	s->kind = PKT_FLOW;
}

/* A later fragment must not reach into what the first one was judged by. */
static void see_rest(struct seen *s, size_t offset)
{
	if (offset >= needs(s->proto))
		s->kind = PKT_FRAGMENT;
}

static void see_ipv4(const struct frame *f, size_t at, struct seen *s)
{
	size_t head, total, offset;

	if (!has(f, at, 20) || f->byte[at] >> 4 != 4 || (f->byte[at] & 15) < 5)
		return;
	head = (size_t)(f->byte[at] & 15) * 4;
	total = word(f, at + 2);
	if (!total && f->is_gso)
		total = f->len - at;
	if (total < head || !has(f, at, total))
		return;
	s->v4 = true;
	s->proto = f->byte[at + 9];
	s->src[10] = s->src[11] = s->dst[10] = s->dst[11] = 0xff;
	memcpy(s->src + 12, f->byte + at + 12, 4);
	memcpy(s->dst + 12, f->byte + at + 16, 4);
	offset = (word(f, at + 6) & 0x1fff) * 8;
	if (offset)
		see_rest(s, offset);
	else
		see_l4(f, at + head, at + total, s);
}

static bool is_mapped(const uint8_t *addr)
{
	static const uint8_t prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

	return !memcmp(addr, prefix, sizeof(prefix));
}

static bool is_extension(uint8_t proto)
{
	return proto == 0 || proto == 43 || proto == 44 || proto == 51 || proto == 60;
}

/* Where layer 4 begins; 0: this packet is not to be. *offset of a fragment. */
static size_t skip_extensions(const struct frame *f, size_t at, struct seen *s, size_t *offset)
{
	bool is_fragment = false;

	for (int n = 0; n < 6 && is_extension(s->proto) && !*offset; n++) {
		uint8_t this = s->proto;

		if (!has(f, at, 8) || (this == 43 && f->byte[at + 3]) ||
		    (this == 44 && is_fragment))
			return 0;
		s->proto = f->byte[at];
		if (this == 44) {
			is_fragment = true;
			*offset = word(f, at + 2) & 0xfff8;
			at += 8;
		} else {
			at += this == 51 ? (f->byte[at + 1] + 2u) * 4 : (f->byte[at + 1] + 1u) * 8;
		}
	}
	return is_extension(s->proto) && !*offset ? 0 : at;
}

static void see_ipv6(const struct frame *f, size_t at, struct seen *s)
{
	size_t total, offset = 0, l4 = at + 40;

	if (!has(f, at, 40) || f->byte[at] >> 4 != 6)
		return;
	total = 40u + word(f, at + 4);
	if (total == 40 && f->is_gso)
		total = f->len - at;
	if (!has(f, at, total) || is_mapped(f->byte + at + 8) || is_mapped(f->byte + at + 24))
		return;
	memcpy(s->src, f->byte + at + 8, 16);
	memcpy(s->dst, f->byte + at + 24, 16);
	s->proto = f->byte[at + 6];
	if (is_extension(s->proto))
		l4 = skip_extensions(f, l4, s, &offset);
	if (!l4 || l4 > at + total)
		return;
	if (offset)
		see_rest(s, offset);
	else
		see_l4(f, l4, at + total, s);
}

static struct seen see(const struct frame *f)
{
	struct seen s = { .kind = PKT_MALFORMED };
	size_t at = 14;
	unsigned int type = word(f, 12);

	for (int tags = 0; tags < 2 && (type == 0x8100 || type == 0x88a8); tags++) {
		if (!has(f, at, 4))
			return s;
		type = word(f, at + 2);
		at += 4;
	}
	if (type == 0x0800)
		see_ipv4(f, at, &s);
	else if (type == 0x86dd)
		see_ipv6(f, at, &s);
	else
		s.kind = type == 0x0806 ? PKT_ARP : PKT_FOREIGN;
	return s;
}

/* ---- agreement ------------------------------------------------------------------------------------------------- */

static void expect(bool cond)
{
	if (!cond)
		__builtin_trap();
}

static void compare(const struct pkt *p, const struct seen *s, enum berm_dir dir)
{
	const void *local = dir == BERM_EGRESS ? s->src : s->dst;
	const void *peer = dir == BERM_EGRESS ? s->dst : s->src;

	expect((enum pkt_kind)p->kind == s->kind);
	if (s->kind != PKT_FLOW && s->kind != PKT_FRAGMENT)
		return;
	expect(p->proto == s->proto && (bool)p->is_v4 == s->v4 &&
	       p->flow.iface == (7u << 8 | s->proto));
	expect(!memcmp(&p->flow.local, local, 16) && !memcmp(&p->flow.peer, peer, 16));
	if (s->kind == PKT_FRAGMENT)
		return;
	expect(s->proto != 6 || p->tcp_flags == s->tcp_flags);
	if (s->proto != 6 && s->proto != 17 && s->proto != 132)
		return;
	expect(bpf_ntohs(p->flow.local_port) == (dir == BERM_EGRESS ? s->sport : s->dport));
	expect(bpf_ntohs(p->flow.peer_port) == (dir == BERM_EGRESS ? s->dport : s->sport));
}

static void parse_one(const uint8_t *bytes, size_t size, size_t linear, bool is_gso,
		      enum berm_dir dir)
{
	uint8_t *room = malloc(linear ? linear : 1); /* its end is where the sanitizer looks */
	struct frame frame = { bytes, size, is_gso };
	struct fuzz_skb skb = {
		.len = (uint32_t)size, .gso_segs = is_gso, .ifindex = 7, .all = bytes
	};
	struct pkt p = { .skb = &skb, .opener = dir };
	struct seen s = see(&frame);

	expect(room != NULL);
	memcpy(room, bytes, linear);
	skb.data = (unsigned long)room;
	skb.data_end = skb.data + linear;
	pkt_parse(&p, dir);
	compare(&p, &s, dir);
	free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t how = size ? data[0] : 0;
	size_t linear;

	if (size < 2 + 14 || size > 2 + 4000)
		return 0;
	linear = data[1] < 14 ? 14 : data[1]; /* the kernel: at least the Ethernet header */
	data += 2;
	size -= 2;
	if (linear > size)
		linear = size;
	parse_one(data, size, linear, how & 2, how & 1 ? BERM_EGRESS : BERM_INGRESS);
	return 0;
}
