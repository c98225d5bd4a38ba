/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet.h - build test frames by name, not by hex dump. Lengths and checksums come out
 * right unless the description says otherwise. Knows headers, knows nothing of Berm.
 *
 *	struct packet syn = { .src = "10.0.0.2", .dst = "10.0.0.3", .dport = 80, .flags = TCP_SYN };
 *	char frame[PACKET_MAX];
 *	size_t len = packet_build(&syn, frame);
 *
 * The family follows from src. Zero means the usual: protocol TCP, TTL 64, no options.
 */
#ifndef BERM_PACKET_H
#define BERM_PACKET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKET_MAX 4096

enum packet_tcp { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_PSH = 8, TCP_ACK = 16 };

struct packet {
	const char *src, *dst;	 /* "10.0.0.2" or "fd00::2"; both of one family */
	const char *smac, *dmac; /* default 02:00:00:00:00:01 and :02 */
	uint16_t ethertype; /* 0 = by family; another one makes a foreign frame with that payload */
	uint16_t vlan;	    /* tag control information, 0 = untagged */
	uint16_t vlan_inner; /* a second tag; the outer one is then 802.1ad */

	uint8_t proto;	    /* default TCP; PACKET_PROTO_ZERO for protocol 0 itself */
	uint8_t ttl;	    /* or hop limit */
	uint8_t ip_options; /* IPv4: bytes of options (NOPs), a multiple of 4, at most 40 */
	uint8_t ihl;	    /* IPv4: this in the header whatever is true */
	uint8_t ext[8];	    /* IPv6: extension headers in order, IPPROTO_HOPOPTS...  */
	uint8_t ext_count;
	uint16_t frag_id;   /* IPv4 and, with IPPROTO_FRAGMENT in ext, IPv6 */
	uint16_t frag_off;  /* bytes, a multiple of 8 */
	uint8_t more_frags; /* and an IPv6 packet needs IPPROTO_FRAGMENT in ext */

	uint16_t sport, dport; /* TCP, UDP, SCTP */
	uint8_t flags;	       /* TCP_SYN | ...; 0 = SYN, PACKET_NO_FLAGS for none */
	uint8_t chunk; /* SCTP: type of the first one; 0 = INIT, PACKET_CHUNK_DATA for 0 itself */
	uint32_t seq, ack;

	uint8_t icmp_type, icmp_code; /* ICMP and ICMPv6 */
	uint16_t icmp_id, icmp_seq;   /* of an echo */
	const char *nd_target;	      /* ND: target address, follows the ICMPv6 header */

	const void *payload;
	uint16_t payload_len; /* with payload NULL: that many zero bytes */
	uint16_t cut;	      /* drop this many bytes from the end; IP lengths still tell of them */
};

#define PACKET_PROTO_ZERO 255 /* 255 is reserved, nobody sends it */
#define PACKET_CHUNK_DATA 255
#define PACKET_NO_FLAGS	  0x80

/* Writes the frame to buf (PACKET_MAX bytes), returns its length. Aborts on a description
 * that makes no sense: that is a mistake in the test. */
size_t packet_build(const struct packet *p, void *buf);

struct packet_arp {
	const char *smac, *dmac; /* of the frame; default as above */
	uint16_t op;		 /* ARPOP_REQUEST, ARPOP_REPLY */
	const char *sha, *spa;	 /* sender: default smac; "10.0.0.2" */
	const char *tha, *tpa;	 /* target: default zero; "10.0.0.3" */
	uint16_t cut;
};
size_t packet_arp_build(const struct packet_arp *p, void *buf);

#endif /* BERM_PACKET_H */
