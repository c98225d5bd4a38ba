#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sctp.py - an SCTP association between two namespaces, chunk by chunk, through raw sockets: this kernel need not have SCTP.

  sctp.py A-NETNS A-ADDRESS A-PORT B-NETNS B-ADDRESS B-PORT STEP...

A STEP is who sends (a, b), what is expected (+ it arrives, - it does not) and the chunk: a+init b+init-ack a-data.
What should arrive is sent again until it does. Prints each step that went another way; the exit status is 1 then.
Checksums are right (RFC 9260, appendix A). Knows nothing of Berm."""
import ctypes
import os
import select
import socket
import struct
import sys
import time

PROTO = 132
CHUNKS = {"data": 0, "init": 1, "init-ack": 2, "sack": 3, "heartbeat": 4, "heartbeat-ack": 5, "abort": 6, "shutdown": 7,
          "shutdown-ack": 8, "error": 9, "cookie-echo": 10, "cookie-ack": 11, "shutdown-complete": 14}
PATIENCE_S = 5.0
RESEND_S = 0.3
SILENCE_S = 0.6


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return struct.pack("<I", crc ^ 0xffffffff)


class End:
    """A raw socket in a namespace, where it stays."""

    def __init__(self, netns, address, port):
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{netns}", os.O_RDONLY)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(there, 0):
            raise OSError(ctypes.get_errno(), "setns", netns)
        self.is_v6 = ":" in address
        family = socket.AF_INET6 if self.is_v6 else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_RAW, PROTO)
        self.sock.bind((address, 0))
        self.address, self.port = address, int(port)
        if libc.setns(home, 0):
            raise OSError("cannot come back")

    def send(self, other, chunk, mark):
        body = struct.pack("!BBH", CHUNKS[chunk], 0, 4 + len(mark)) + mark
        head = struct.pack("!HHI", self.port, other.port, 7)
        packet = head + crc32c(head + bytes(4) + body) + body
        self.sock.sendto(packet, (other.address, 0))

    def has_seen(self, mark, seconds):
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self.sock], [], [], left)[0]:
                return False
            if mark in self.sock.recv(65536):
                return True
        return False


def goes(sender, receiver, chunk, is_wanted):
    mark = os.urandom(16)
    for _ in range(int(PATIENCE_S / RESEND_S) if is_wanted else 1):
        sender.send(receiver, chunk, mark)
        if receiver.has_seen(mark, RESEND_S if is_wanted else SILENCE_S):
            return True
    return False


def main(args):
    ends = {"a": End(*args[0:3]), "b": End(*args[3:6])}
    for step in args[6:]:
        who, want, chunk = step[0], step[1] == "+", step[2:]
        other = ends["b" if who == "a" else "a"]
        if goes(ends[who], other, chunk, want) != want:
            print(f"{step}: it {'does not arrive' if want else 'arrives'}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
