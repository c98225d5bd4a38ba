#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""talk.py - TCP connections that fall silent, close by halves, or use the same ports again and again.

    talk.py serve PORT                 both families, until killed; prints "ready"
    talk.py idle ADDR PORT SECONDS     the server speaks after SECONDS of silence, then after SECONDS more on a
                                       connection that the client has closed; prints "late end", or what came
    talk.py leave ADDR PORT SECONDS    the server closes; the client does so SECONDS later
    talk.py reset ADDR PORT SECONDS    the client resets after SECONDS
    talk.py churn ADDR PORT SECONDS    few ports, many connections, ended in every way; prints how many of how many

BERM_SPORT sets the client's port.
"""

import errno
import itertools
import os
import socket
import struct
import sys
import threading
import time

PATIENCE_S = 6
CHURN_PORTS = range(40000, 40004)


def serve_one(conn):
    with conn:
        order = conn.makefile("r").readline().split()
        if order == ["close"]:
            return
        if order == ["hold"]:  # until the client resets it
            try:
                conn.recv(1)
            except OSError:
                pass
            return
        time.sleep(float(order[1]))
        conn.sendall(b"late\n")
        conn.recv(1)  # the client's FIN
        time.sleep(float(order[1]))
        conn.sendall(b"end\n")


def serve(port):
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
    print("ready", flush=True)
    while True:
        conn, _ = listener.accept()
        threading.Thread(target=serve_one, args=(conn,), daemon=True).start()


def line_of(stream):
    try:
        return stream.readline().strip() or "closed"
    except OSError:
        return "silent"


def connected(addr, port):
    source = ("", int(os.environ.get("BERM_SPORT", "0")))
    return socket.create_connection((addr, port), timeout=PATIENCE_S, source_address=source)


def resets(conn):
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def leave(addr, port, seconds):
    with connected(addr, port) as conn:
        conn.sendall(b"close\n")
        conn.recv(1)
        time.sleep(seconds)


def reset(addr, port, seconds):
    with connected(addr, port) as conn:
        conn.sendall(b"hold\n")
        resets(conn)
        time.sleep(seconds)


def idle(addr, port, seconds):
    conn = connected(addr, port)
    conn.settimeout(seconds + PATIENCE_S)
    conn.sendall(b"idle %g\n" % seconds)
    stream = conn.makefile("r")
    late = line_of(stream)
    conn.shutdown(socket.SHUT_WR)
    print(late, line_of(stream) if late == "late" else "")


def churn_one(addr, port, source, how):
    conn = socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET)
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    conn.settimeout(PATIENCE_S)
    conn.bind(("", source))
    conn.connect((addr, port))
    if how == "server":
        conn.sendall(b"close\n")
        conn.recv(1)
    else:
        conn.sendall(b"hold\n")
        resets(conn)
    conn.close()


def churn(addr, port, seconds):
    end, good, count = time.monotonic() + seconds, 0, 0
    for how, source in itertools.cycle(itertools.product(("server", "reset", "server"), CHURN_PORTS)):
        if time.monotonic() > end:
            break
        try:
            churn_one(addr, port, source, how)
            good += 1
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:  # our own kernel awaits the last ACK of the one before
                continue
            print(f"# {source} {how}: {error}")
        count += 1
    print(f"{good} of {count}")


def main(argv):
    if argv[1] == "serve":
        serve(int(argv[2]))
    else:
        {"idle": idle, "leave": leave, "reset": reset, "churn": churn}[argv[1]](argv[2], int(argv[3]), float(argv[4]))


if __name__ == "__main__":
    main(sys.argv)
