#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""answers.py - what a rejection is made of when it has arrived: its checksums, computed anew from its bytes.

    answers.py tcp|udp ADDR PORT on|off   sends one packet to ADDR with checksum offload of eth0 on or off and
                                          prints "rst good" or "icmp good", or what is wrong with it, or "silent"

The kernel believes a packet of its own machine whose checksum it is still to compute; only the bytes, and that nothing
is left to compute, show that the answer is one that a wire could carry. Knows nothing of Berm.
"""

import ctypes
import fcntl
import socket
import struct
import sys
import time

PATIENCE_S = 2
ETH_P_ALL = 3
SIOCETHTOOL = 0x8946
ETHTOOL_STXCSUM = 0x17
SOL_PACKET = 263
PACKET_AUXDATA = 8
TP_STATUS_CSUMNOTREADY = 8


def offload(is_on):
    value = (ctypes.c_uint32 * 2)(ETHTOOL_STXCSUM, is_on)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCETHTOOL, struct.pack("16sP", b"eth0", ctypes.addressof(value)) + bytes(16))


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total  # of a whole that holds its own checksum: 0xffff


def layers(packet):
    """Protocol, layer 4, pseudo header, and whether the checksum of the IP header is right."""
    if packet[0] >> 4 == 4:
        size, total = (packet[0] & 15) * 4, struct.unpack(">H", packet[2:4])[0]
        l4, proto = packet[size:total], packet[9]
        return proto, l4, packet[12:20] + struct.pack(">HH", proto, len(l4)), checksum(packet[:size]) == 0xFFFF
    total = struct.unpack(">H", packet[4:6])[0]
    l4, proto = packet[40:40 + total], packet[6]
    return proto, l4, packet[8:40] + struct.pack(">II", len(l4), proto), True


def source(packet):
    if packet[0] >> 4 == 4:
        return socket.inet_ntop(socket.AF_INET, packet[12:16])
    return socket.inet_ntop(socket.AF_INET6, packet[8:24])


def verdict(packet, not_ready):
    proto, l4, pseudo, is_header_right = layers(packet)
    if proto == socket.IPPROTO_TCP:
        kind = "rst" if l4[13] & 4 else "tcp"
    elif proto in (socket.IPPROTO_ICMP, socket.IPPROTO_ICMPV6):
        kind = "icmp" if l4[0] == (3 if proto == socket.IPPROTO_ICMP else 1) else ""
        if proto == socket.IPPROTO_ICMP:
            pseudo = b""
    else:
        kind = "other"
    if not is_header_right:
        return kind, "a wrong header checksum"
    if not_ready:
        return kind, "a checksum that is still to be computed"
    return kind, "good" if checksum(pseudo + l4) == 0xFFFF else "a wrong checksum"


def listen(sock, addr):
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        sock.settimeout(max(0.01, until - time.monotonic()))
        try:
            frame, control, _, origin = sock.recvmsg(65536, 256)
        except TimeoutError:
            break
        status = struct.unpack("=I", control[0][2][:4])[0]
        if origin[2] == socket.PACKET_OUTGOING or origin[1] not in (0x0800, 0x86DD) or source(frame[14:]) != addr:
            continue
        kind, what = verdict(frame[14:], status & TP_STATUS_CSUMNOTREADY)
        if kind:
            return f"{kind} {what}"
    return "silent"


def main(argv):
    proto, addr, port = argv[1], argv[2], int(argv[3])
    offload(argv[4] == "on")
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    wire.bind(("eth0", ETH_P_ALL))
    wire.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    kind = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET, kind) as sock:
        sock.setblocking(False)
        sock.connect_ex((addr, port))
        if proto == "udp":
            sock.send(b"hello, whom it may concern\n")
        print(listen(wire, addr))


main(sys.argv)
