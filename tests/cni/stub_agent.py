#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""stub_agent.py - stands in for the agent on /run/berm/agent.sock: MODE is what it does to a caller.

  judged    200 {"judged": true}            refused   500 with an error
  unjudged  202 {"judged": false}           garbage   not HTTP
  hung      takes the request, never answers
  deaf      listens, but never accepts
Each request's body is appended to the file given as second argument.
"""
import os
import socket
import sys
import time

SOCKET = "/run/berm/agent.sock"
ANSWERS = {
    "judged": (200, '{"judged": true, "generation": 1}'),
    "unjudged": (202, '{"judged": false, "reason": "no such pod yet"}'),
    "refused": (500, '{"error": "broken", "hint": "mend it"}'),
}


def read_request(conn):
    data = b""
    while b"\r\n\r\n" not in data:
        data += conn.recv(65536)
    head, body = data.split(b"\r\n\r\n", 1)
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += conn.recv(65536)
    return body


def serve(conn, mode, log):
    body = read_request(conn)
    with open(log, "ab") as f:
        f.write(body + b"\n")
    if mode == "garbage":
        conn.sendall(b"what?\n")
    else:
        status, text = ANSWERS[mode]
        conn.sendall(f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())


def main():
    mode, log = sys.argv[1:]
    os.makedirs(os.path.dirname(SOCKET), exist_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(SOCKET)
    listener.listen(0 if mode == "deaf" else 128)
    held = []
    while mode == "deaf":
        time.sleep(3600)
    while True:
        conn, _ = listener.accept()
        if mode == "hung":
            held.append(conn)
        else:
            with conn:
                serve(conn, mode, log)


main()
