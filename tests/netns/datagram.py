#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""datagram.py - big UDP datagrams there and back.

  datagram.py serve PORT...          says "ready", then sends every datagram back whence it came, both families
  datagram.py ask ADDR PORT BYTES MS one datagram: prints "whole" when it came back unchanged, "changed",
                                     "refused" (an ICMP error came) or "silent"

Knows nothing of Berm.
"""
import os
import select
import socket
import sys

BIGGEST = 65536


def open_port(port):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(("::", port))
    return s


def serve(ports):
    socks = [open_port(int(p)) for p in ports]
    print("ready", flush=True)
    while True:
        for s in select.select(socks, [], [])[0]:
            data, whence = s.recvfrom(BIGGEST)
            s.sendto(data, whence)


def ask(addr, port, size, ms):
    data = os.urandom(int(size))
    s = socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(int(ms) / 1000)
    s.connect((addr, int(port)))
    s.send(data)
    try:
        print("whole" if s.recv(BIGGEST) == data else "changed")
    except TimeoutError:
        print("silent")
    except ConnectionRefusedError:
        print("refused")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2:])
    else:
        ask(*sys.argv[2:])
