#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cri.py - a few calls of the Kubernetes CRI (runtime.v1), as a kubelet makes them.

  cri.py SOCKET run NAME NAMESPACE UID    starts a pod sandbox, prints its ID
  cri.py SOCKET ip ID                     its address as the runtime reports it
  cri.py SOCKET stop ID | remove ID

gRPC by hand over HTTP/2 (RFC 9113, RFC 7541): one call a connection, literal headers, no libraries.
"""
import socket
import struct
import sys

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def varint(n):
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    """A length-delimited protobuf field: a string or an embedded message."""
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def read_varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 0x80:
            return value, at


def fields(data):
    """Yields (number, value) of a message."""
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        if key & 7 == 0:
            value, at = read_varint(data, at)
        elif key & 7 == 2:
            size, at = read_varint(data, at)
            value, at = data[at:at + size], at + size
        else:
            raise ValueError(f"wire type {key & 7}")
        yield key >> 3, value


def first(data, number):
    return next((value for n, value in fields(data) if n == number), b"")


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    """HPACK literal without indexing, no Huffman; both parts are shorter than 127 bytes."""
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def read_exactly(sock, size):
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise EOFError("the runtime hung up")
        data += more
    return data


def call(path, method, message):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(60)
    sock.connect(path)
    headers = b"".join(literal(*pair) for pair in [
        (":method", "POST"), (":scheme", "http"), (":path", "/runtime.v1.RuntimeService/" + method),
        (":authority", "localhost"), ("content-type", "application/grpc"), ("te", "trailers")])
    sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0) +
                 frame(HEADERS, END_HEADERS, 1, headers) +
                 frame(DATA, END_STREAM, 1, b"\0" + struct.pack(">I", len(message)) + message))
    body, trailer = b"", b""
    while True:
        head = read_exactly(sock, 9)
        size, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        payload = read_exactly(sock, size)
        if kind == SETTINGS and not flags & ACK:
            sock.sendall(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            sock.sendall(frame(PING, ACK, 0, payload))
        elif kind == DATA:
            body += payload
        elif kind == HEADERS:
            trailer = payload
        elif kind in (RST_STREAM, GOAWAY):
            raise RuntimeError(f"{method}: broken off: {payload!r}")
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            break
    if len(body) < 5:
        raise RuntimeError(f"{method}: {trailer!r}")
    return body[5:]


def run(path, name, namespace, uid):
    metadata = field(1, name) + field(2, uid) + field(3, namespace)
    config = field(1, metadata) + field(2, name) + field(3, "/run/pod-logs")
    return first(call(path, "RunPodSandbox", field(1, config)), 1).decode()


def address(path, pod):
    status = first(call(path, "PodSandboxStatus", field(1, pod)), 1)
    return first(first(status, 5), 1).decode()


def main():
    path, command, *args = sys.argv[1:]
    try:
        if command == "run":
            print(run(path, *args))
        elif command == "ip":
            print(address(path, *args))
        else:
            call(path, {"stop": "StopPodSandbox", "remove": "RemovePodSandbox"}[command], field(1, args[0]))
    except (RuntimeError, EOFError, OSError) as err:
        print(err, file=sys.stderr)
        return 1
    return 0


sys.exit(main())
