#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""refuse.py - what a client is told that may not, and how soon.

    refuse.py tcp|udp ADDR PORT [TRIES]   prints the error of every try and the least time it took in us
                                          ("ECONNREFUSED 31"), "open" or "silent"

BERM_MARK sets the mark of the socket. What differs from try to try is printed as it is: "silent,ECONNREFUSED".
"""

import errno
import os
import socket
import struct
import sys
import time

PATIENCE_S = 0.6


def ask(sock, addr, port, is_tcp):
    if is_tcp:
        sock.connect((addr, port))
        return
    sock.connect((addr, port))
    sock.send(b"hello\n")
    sock.recv(100)


def one(proto, addr, port):
    kind = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET, kind) as sock:
        if "BERM_MARK" in os.environ:
            mark = struct.pack("=I", int(os.environ["BERM_MARK"]))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        sock.settimeout(PATIENCE_S)
        start = time.perf_counter()
        try:
            ask(sock, addr, port, proto == "tcp")
            said = "open"
        except TimeoutError:
            said = "silent"
        except OSError as error:
            said = errno.errorcode[error.errno]
        return said, (time.perf_counter() - start) * 1e6


def main(argv):
    tries = int(argv[4]) if len(argv) > 4 else 1
    results = [one(argv[1], argv[2], int(argv[3])) for _ in range(tries)]
    said = ",".join(sorted({result[0] for result in results}))
    if said in ("open", "silent"):
        print(said)
    else:
        print(said, round(min(result[1] for result in results)))


if __name__ == "__main__":
    main(sys.argv)
