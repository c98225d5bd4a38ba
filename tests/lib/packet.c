/* SPDX-License-Identifier: Apache-2.0 */
/* packet.c - one header after the other into a buffer. Knows no policy and sends nothing. */
#include "packet.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/if_arp.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_SMAC "02:00:00:00:00:01"
#define DEFAULT_DMAC "02:00:00:00:00:02"

/* Two bytes before the frame make its IP header aligned, as the kernel does it. */
#define ALIGN_BYTES 2

struct builder {
	uint8_t *start, *pos;
	_Alignas(8) uint8_t room[ALIGN_BYTES + PACKET_MAX];
};

static void mistake(const char *what, const char *value)
{
	fprintf(stderr, "packet: %s '%s' makes no sense\n", what, value ? value : "(null)");
	abort();
}

static void begin(struct builder *b)
{
	b->start = b->pos = b->room + ALIGN_BYTES;
}

/* Room for the next header, zeroed. */
static void *put(struct builder *b, size_t size)
{
	uint8_t *here = b->pos;

	if ((size_t)(here - b->start) + size > PACKET_MAX)
		mistake("length", "more than PACKET_MAX");
	memset(here, 0, size);
	b->pos += size;
	return here;
}

static void put_u16(struct builder *b, uint16_t value)
{
	uint16_t wire = htons(value);

	memcpy(put(b, sizeof(wire)), &wire, sizeof(wire));
}

static void mac_parse(const char *text, uint8_t *out)
{
	unsigned int m[6];

	if (sscanf(text, "%x:%x:%x:%x:%x:%x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]) != 6)
		mistake("MAC address", text);
	for (int i = 0; i < 6; i++)
		out[i] = (uint8_t)m[i];
}

static bool is_v6(const struct packet *p)
{
	return strchr(p->src, ':');
}

static void addr_parse(bool v6, const char *text, void *out)
{
	if (inet_pton(v6 ? AF_INET6 : AF_INET, text, out) != 1)
		mistake("address", text);
}

/* --- checksums (RFC 1071) ----------------------------------------------------------- */

static uint32_t sum16(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *d = data;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(d[i] << 8 | d[i + 1]);
	if (len & 1)
		sum += (uint32_t)d[len - 1] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* Over the pseudo header and everything from l4 to the end of the frame. */
static uint16_t l4_checksum(const struct packet *p, uint8_t proto, const uint8_t *l4, size_t len)
{
	bool v6 = is_v6(p);
	uint8_t src[16], dst[16];
	size_t size = v6 ? 16 : 4;
	uint32_t sum = proto + (uint32_t)len;

	if (proto == IPPROTO_ICMP)
		return fold(sum16(0, l4, len));
	addr_parse(v6, p->src, src);
	addr_parse(v6, p->dst, dst);
	return fold(sum16(sum16(sum16(sum, src, size), dst, size), l4, len));
}

/* --- headers ------------------------------------------------------------------------ */

static void put_eth(struct builder *b, const char *smac, const char *dmac)
{
	mac_parse(dmac ? dmac : DEFAULT_DMAC, put(b, ETH_ALEN));
	mac_parse(smac ? smac : DEFAULT_SMAC, put(b, ETH_ALEN));
}

static void put_ethertype(struct builder *b, const struct packet *p)
{
	if (p->vlan) {
		put_u16(b, p->vlan_inner ? ETH_P_8021AD : ETH_P_8021Q);
		put_u16(b, p->vlan);
	}
	if (p->vlan_inner) {
		put_u16(b, ETH_P_8021Q);
		put_u16(b, p->vlan_inner);
	}
	put_u16(b, p->ethertype ? p->ethertype : is_v6(p) ? ETH_P_IPV6 : ETH_P_IP);
}

static uint8_t proto_of(const struct packet *p)
{
	if (p->proto == PACKET_PROTO_ZERO)
		return 0;
	return p->proto ? p->proto : IPPROTO_TCP;
}

static struct iphdr *put_ipv4(struct builder *b, const struct packet *p)
{
	struct iphdr *ip = put(b, sizeof(*ip));

	ip->version = 4;
	ip->ihl = p->ihl ? p->ihl : (uint8_t)(5 + p->ip_options / 4);
	ip->id = htons(p->frag_id);
	ip->frag_off = htons((uint16_t)(p->frag_off / 8 | (p->more_frags ? 0x2000 : 0)));
	ip->ttl = p->ttl ? p->ttl : 64;
	ip->protocol = proto_of(p);
	addr_parse(false, p->src, &ip->saddr);
	addr_parse(false, p->dst, &ip->daddr);
	memset(put(b, p->ip_options), IPOPT_NOP, p->ip_options);
	return ip;
}

static void end_ipv4(const struct builder *b, struct iphdr *ip, size_t options)
{
	ip->tot_len = htons((uint16_t)(b->pos - (uint8_t *)ip));
	ip->check = fold(sum16(0, ip, sizeof(*ip) + options));
}

/* One extension header that says next; all but the fragment header are 8 bytes of padding. */
static void put_ext(struct builder *b, const struct packet *p, uint8_t kind, uint8_t next)
{
	uint8_t *ext = put(b, 8);
	uint16_t off = htons((uint16_t)(p->frag_off | (p->more_frags ? 1 : 0)));

	ext[0] = next;
	if (kind == IPPROTO_FRAGMENT) {
		memcpy(ext + 2, &off, sizeof(off));
		ext[6] = (uint8_t)(p->frag_id >> 8);
		ext[7] = (uint8_t)p->frag_id;
	} else if (kind == IPPROTO_HOPOPTS || kind == IPPROTO_DSTOPTS) {
		ext[2] = 1; /* PadN */
		ext[3] = 4;
	} /* a length of 0 means 8 bytes in all the others, AH too */
}

static struct ipv6hdr *put_ipv6(struct builder *b, const struct packet *p)
{
	struct ipv6hdr *ip = put(b, sizeof(*ip));
	int n = p->ext_count;

	ip->version = 6;
	ip->hop_limit = p->ttl ? p->ttl : 64;
	ip->nexthdr = n ? p->ext[0] : proto_of(p);
	addr_parse(true, p->src, &ip->saddr);
	addr_parse(true, p->dst, &ip->daddr);
	for (int i = 0; i < n; i++)
		put_ext(b, p, p->ext[i], i + 1 < n ? p->ext[i + 1] : proto_of(p));
	return ip;
}

static void put_payload(struct builder *b, const struct packet *p)
{
	void *at = put(b, p->payload_len);

	if (p->payload)
		memcpy(at, p->payload, p->payload_len);
}

static void put_tcp(struct builder *b, const struct packet *p)
{
	struct tcphdr *tcp = put(b, sizeof(*tcp));

	tcp->source = htons(p->sport);
	tcp->dest = htons(p->dport);
	tcp->seq = htonl(p->seq);
	tcp->ack_seq = htonl(p->ack);
	tcp->doff = 5;
	((uint8_t *)tcp)[13] = (p->flags ? p->flags : TCP_SYN) & 0x3f;
	tcp->window = htons(64240);
	put_payload(b, p);
	tcp->check = l4_checksum(p, IPPROTO_TCP, (uint8_t *)tcp, (size_t)(b->pos - (uint8_t *)tcp));
}

static void put_udp(struct builder *b, const struct packet *p)
{
	struct udphdr *udp = put(b, sizeof(*udp));

	udp->source = htons(p->sport);
	udp->dest = htons(p->dport);
	udp->len = htons((uint16_t)(sizeof(*udp) + p->payload_len));
	put_payload(b, p);
	udp->check = l4_checksum(p, IPPROTO_UDP, (uint8_t *)udp, (size_t)(b->pos - (uint8_t *)udp));
}

/* ICMP and ICMPv6 share type, code, checksum, and an echo's id and sequence number. */
static void put_icmp(struct builder *b, const struct packet *p, uint8_t proto)
{
	struct icmphdr *icmp = put(b, sizeof(*icmp));

	icmp->type = p->icmp_type;
	icmp->code = p->icmp_code;
	icmp->un.echo.id = htons(p->icmp_id);
	icmp->un.echo.sequence = htons(p->icmp_seq);
	if (p->nd_target)
		addr_parse(true, p->nd_target, put(b, 16));
	put_payload(b, p);
	icmp->checksum = l4_checksum(p, proto, (uint8_t *)icmp, (size_t)(b->pos - (uint8_t *)icmp));
}

static void put_sctp(struct builder *b, const struct packet *p)
{
	put_u16(b, p->sport);
	put_u16(b, p->dport);
	(void)put(b, 8); /* tag and CRC32c: nobody on the way looks at them */
	*(uint8_t *)put(b, 2) = p->chunk == PACKET_CHUNK_DATA ? 0 : p->chunk ? p->chunk : 1;
	put_u16(b, (uint16_t)(4 + p->payload_len));
	put_payload(b, p);
}

static void put_l4(struct builder *b, const struct packet *p)
{
	uint8_t proto = proto_of(p);

	if (p->frag_off)
		put_payload(b, p); /* a later fragment has no header of layer 4 */
	else if (proto == IPPROTO_TCP)
		put_tcp(b, p);
	else if (proto == IPPROTO_UDP)
		put_udp(b, p);
	else if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6)
		put_icmp(b, p, proto);
	else if (proto == IPPROTO_SCTP)
		put_sctp(b, p);
	else
		put_payload(b, p);
}

static size_t end(const struct builder *b, uint16_t cut, void *buf)
{
	size_t len = (size_t)(b->pos - b->start);

	if (cut > len)
		mistake("cut", "more than the frame");
	memcpy(buf, b->start, len - cut);
	return len - cut;
}

size_t packet_build(const struct packet *p, void *buf)
{
	struct ipv6hdr *ip6;
	struct iphdr *ip;
	struct builder b;

	begin(&b);
	put_eth(&b, p->smac, p->dmac);
	put_ethertype(&b, p);
	if (p->ethertype && p->ethertype != ETH_P_IP && p->ethertype != ETH_P_IPV6) {
		put_payload(&b, p);
		return end(&b, p->cut, buf);
	}
	if (is_v6(p)) {
		ip6 = put_ipv6(&b, p);
		put_l4(&b, p);
		ip6->payload_len = htons((uint16_t)(b.pos - (uint8_t *)(ip6 + 1)));
	} else {
		ip = put_ipv4(&b, p);
		put_l4(&b, p);
		end_ipv4(&b, ip, p->ip_options);
	}
	return end(&b, p->cut, buf);
}

size_t packet_arp_build(const struct packet_arp *p, void *buf)
{
	struct builder b;

	begin(&b);
	put_eth(&b, p->smac, p->dmac);
	put_u16(&b, ETH_P_ARP);
	put_u16(&b, ARPHRD_ETHER);
	put_u16(&b, ETH_P_IP);
	put_u16(&b, ETH_ALEN << 8 | 4);
	put_u16(&b, p->op);
	mac_parse(p->sha ? p->sha : p->smac ? p->smac : DEFAULT_SMAC, put(&b, ETH_ALEN));
	addr_parse(false, p->spa, put(&b, 4));
	mac_parse(p->tha ? p->tha : "0:0:0:0:0:0", put(&b, ETH_ALEN));
	addr_parse(false, p->tpa, put(&b, 4));
	return end(&b, p->cut, buf);
}
