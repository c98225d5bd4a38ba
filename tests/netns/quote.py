#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""quote.py - an ICMP error, "too big" or "fragmentation needed", about a TCP packet that somebody may have sent.

  quote.py SRC SPORT DST DPORT [MTU]   to SRC, from wherever this runs

Knows nothing of Berm.
"""
import socket
import struct
import sys


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip4(src, dst, data):
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), 0, 0x4000, 63, 6, 0) + src + dst + data


def ip6(src, dst, data):
    return struct.pack("!IHBB", 6 << 28, len(data), 6, 63) + src + dst + data


def main():
    src, sport, dst, dport = sys.argv[1:5]
    mtu = int(sys.argv[5]) if len(sys.argv) > 5 else 1300
    v6 = ":" in src
    family = socket.AF_INET6 if v6 else socket.AF_INET
    ends = [socket.inet_pton(family, a) for a in (src, dst)]
    tcp = struct.pack("!HHIIBBHHH", int(sport), int(dport), 1, 1, 5 << 4, 16, 8192, 0, 0)
    if v6:
        error = struct.pack("!BBHI", 2, 0, 0, mtu) + ip6(*ends, tcp)  # the kernel adds the checksum
    else:
        error = struct.pack("!BBHHH", 3, 4, 0, 0, mtu) + ip4(*ends, tcp)
        error = error[:2] + struct.pack("!H", checksum(error)) + error[4:]
    proto = socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP
    socket.socket(family, socket.SOCK_RAW, proto).sendto(error, (src, 0))


if __name__ == "__main__":
    main()
