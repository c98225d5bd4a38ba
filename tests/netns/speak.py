#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""speak.py - the first words of protocols, as their own programs say them.

  speak.py serve PORT SSH_PORT    TCP and UDP, both families; says "ready", then "ok" to whatever it hears; on SSH_PORT
                                  it speaks first. The port of a request is PORT, or SSH_PORT for ssh-server
  speak.py KIND ADDR PORT         http, tls, h2, dns, dns-tcp, ssh-client, ssh-server, other, other-udp, split:
                                  prints the port it has spoken from once it was answered

Knows nothing of Berm.
"""
import http.client
import os
import select
import socket
import ssl
import struct
import sys

PATIENCE_S = float(os.environ.get("PATIENCE_S", "10"))
NAME = "shop.example"
BANNER = b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"
QUERY = struct.pack(">6H", 0x1234, 0x0120, 1, 0, 0, 0) + b"\4shop\7example\0" + struct.pack(">2H", 28, 1)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


def listener(kind, port):
    s = socket.socket(socket.AF_INET6, kind)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("::", port))
    return s


def answer(conn, speaks_first):
    with conn:
        conn.settimeout(PATIENCE_S)
        if speaks_first:
            conn.sendall(BANNER)
        elif conn.recv(4096):
            conn.sendall(ANSWER)
        conn.recv(4096)


def serve(port, ssh_port):
    tcp, ssh, udp = (listener(k, p) for k, p in
                     ((socket.SOCK_STREAM, port), (socket.SOCK_STREAM, ssh_port), (socket.SOCK_DGRAM, port)))
    tcp.listen()
    ssh.listen()
    print("ready", flush=True)
    while True:
        for s in select.select([tcp, ssh, udp], [], [])[0]:
            if s is udp:
                udp.sendto(b"ok", udp.recvfrom(4096)[1])
                continue
            try:
                answer(s.accept()[0], s is ssh)
            except OSError:
                pass  # it has gone: the next one may come


def ask_http(addr, port):
    conn = http.client.HTTPConnection(addr, port, timeout=PATIENCE_S)
    conn.request("GET", "/index.html", headers={"Host": NAME})
    sport = conn.sock.getsockname()[1]
    conn.getresponse().read()
    return sport


def ask_tls(addr, port):
    with socket.create_connection((addr, port), timeout=PATIENCE_S) as s:
        sport = s.getsockname()[1]
        try:
            ssl.create_default_context().wrap_socket(s, server_hostname=NAME)
        except ssl.SSLError:
            pass  # it is answered in another tongue
        return sport


def ask_stream(addr, port, *pieces):
    with socket.create_connection((addr, port), timeout=PATIENCE_S) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            s.sendall(piece)
        s.recv(4096)
        return s.getsockname()[1]


def ask_datagram(addr, port, data):
    s = socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(PATIENCE_S)
    s.connect((addr, port))
    s.send(data)
    s.recv(4096)
    return s.getsockname()[1]


ASK = {
    "http": ask_http,
    "tls": ask_tls,
    "h2": lambda a, p: ask_stream(a, p, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "dns": lambda a, p: ask_datagram(a, p, QUERY),
    "dns-tcp": lambda a, p: ask_stream(a, p, struct.pack(">H", len(QUERY)) + QUERY),
    "ssh-client": lambda a, p: ask_stream(a, p, BANNER),
    "ssh-server": ask_stream,
    "other": lambda a, p: ask_stream(a, p, b"EHLO mail.example\r\n"),
    "other-udp": lambda a, p: ask_datagram(a, p, b"hello"),
    "split": lambda a, p: ask_stream(a, p, b"GE", b"T / HTTP/1.1\r\n\r\n"),
}


def main():
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]), int(sys.argv[3]))
    else:
        print(ASK[sys.argv[1]](sys.argv[2], int(sys.argv[3])))


main()
