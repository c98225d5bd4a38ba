#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""frames.py - put hand-made frames on the wire of one pod and say which of them another pod sees.

  frames.py FROM TO FRAME...

FROM and TO are network namespaces with an eth0 (- is the current one, with the device of NODE_DEV). A
FRAME is kind:key=value,... and every key has a default: the true MAC and IP addresses of both. After
each frame goes one that nothing may drop, over the same path; once that has arrived, the frame before it
has, or never will. Prints "FRAME arrived" or "FRAME lost". Knows nothing of Berm.

kinds   udp tcp igmp echo reply ip arp ns na ra redirect raw
keys    v=4|6 src dst smac dmac ttl sport dport flags(SAFRP) seq ack id proto type target sha spa tha tpa op
        options=HEX (of IPv4) vlan=ID vlan2=ID (outer) cut=BYTES (of the frame) iplen=N (claimed) pad=BYTES
        data=0 (nothing behind the headers) n=COUNT label=TEXT (printed instead of the frame)
routed=1 sends to the gateway's MAC (dmac must say which) and the last word by UDP instead of ARP.
"""
import ctypes
import fcntl
import os
import select
import socket
import struct
import sys
import time

ETH_P_ALL = 3
IFNAME = b"eth0"
PATIENCE_S = 4.0
RESEND_S = 0.2
KINDS = {}


def kind(f):
    KINDS[f.__name__.lstrip("_")] = f
    return f


# --- namespaces and what their interfaces are called ------------------------------------------

def enter(name):
    if name == "-":
        return
    fd = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
    if ctypes.CDLL(None, use_errno=True).setns(fd, 0):
        raise OSError(ctypes.get_errno(), "setns", name)
    os.close(fd)


class Wire:
    """A packet socket on a namespace's eth0, and its addresses. Stays in its namespace."""

    def __init__(self, name, home):
        enter(name)
        dev = os.environ.get("NODE_DEV", "cni0").encode() if name == "-" else IFNAME
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)  # SO_RCVBUFFORCE
        self.sock.bind((dev.decode(), ETH_P_ALL))
        self.mac = self.ask(dev, 0x8927)[18:24]
        try:
            self.ip4 = self.ask(dev, 0x8915)[20:24]
        except OSError:
            self.ip4 = bytes(4)
        self.ip6 = self.global6(dev.decode())
        if ctypes.CDLL(None).setns(home, 0):
            raise OSError(f"cannot come back from {name}")

    @staticmethod
    def ask(dev, request):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            return fcntl.ioctl(s.fileno(), request, struct.pack("256s", dev[:15]))

    @staticmethod
    def global6(dev):
        with open("/proc/thread-self/net/if_inet6", encoding="ascii") as f:
            for addr, _, _, scope, _, name in map(str.split, f):
                if name == dev and scope == "00":
                    return bytes.fromhex(addr)
        return bytes(16)

    def saw(self, marker, deadline, frames):
        """Adds to frames what comes in until one that holds the marker; False if none does in time."""
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self.sock], [], [], left)[0]:
                return False
            frame, where = self.sock.recvfrom(65536)
            if where[2] == socket.PACKET_OUTGOING:
                continue
            if marker in frame:
                return True
            frames.append(frame)
        return False


# --- headers ----------------------------------------------------------------------------------

def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def addr(text):
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


class Frame:
    """One frame in the making: its words, both ends, a payload that nobody else sends."""

    def __init__(self, text, sender, receiver):
        self.kind, _, rest = text.partition(":")
        # A key's value may hold colons (addresses), never a comma.
        self.words = dict(w.split("=", 1) for w in rest.split(",") if w)
        self.label = self.words.get("label", text)
        self.sender, self.receiver = sender, receiver
        self.marker = os.urandom(8)
        self.v6 = self.words.get("v", "4") == "6"

    def num(self, key, default):
        return int(self.words[key], 0) if key in self.words else default

    def ends(self):
        mine, theirs = (self.sender.ip6, self.receiver.ip6) if self.v6 else (self.sender.ip4, self.receiver.ip4)
        return (addr(self.words["src"]) if "src" in self.words else mine,
                addr(self.words["dst"]) if "dst" in self.words else theirs)

    def payload(self):
        return self.marker + b"." * self.num("pad", 0) if self.num("data", 1) else b""

    def pseudo_sum(self, proto, data):
        src, dst = self.ends()
        if self.v6:
            head = src + dst + struct.pack("!IHBB", len(data), 0, 0, proto)
        else:
            head = src + dst + struct.pack("!BBH", 0, proto, len(data))
        return checksum(head + data)

    def flow_label(self):
        return int.from_bytes(self.marker[:4], "big") & 0xfffff

    def ip(self, proto, data, hops=64):
        src, dst = self.ends()
        hops = self.num("ttl", hops)
        if self.v6:
            length = self.num("iplen", len(data))
            return 0x86dd, struct.pack("!IHBB", 6 << 28 | self.flow_label(), length, proto, hops) + src + dst + data
        options = bytes.fromhex(self.words.get("options", ""))
        size = 20 + len(options)
        length = self.num("iplen", size + len(data))
        head = struct.pack("!BBHHHBBH4s4s", 0x40 | size // 4, 0, length, int.from_bytes(self.marker[:2], "big"),
                           0, hops, proto, 0, src, dst) + options
        return 0x0800, head[:10] + struct.pack("!H", checksum(head)) + head[12:] + data

    def ethernet(self, ethertype, data, dmac=None):
        tags = b"".join(struct.pack("!HH", t, self.num(k, 0))
                        for k, t in (("vlan2", 0x88a8), ("vlan", 0x8100)) if k in self.words)
        dst = mac(self.words["dmac"]) if "dmac" in self.words else dmac or self.receiver.mac
        src = mac(self.words["smac"]) if "smac" in self.words else self.sender.mac
        frame = dst + src + tags + struct.pack("!H", ethertype) + data
        return frame[:self.num("cut", len(frame))]

    def bytes(self):
        return KINDS[self.kind](self)

    def is_in(self, frames):
        """In any form: a tag may have been taken off, a short frame does not hold the marker."""
        mine = self.bytes()
        key = self.marker if self.marker in mine else mine[14 + 4 * ("vlan" in self.words) + 4 * ("vlan2" in self.words):]
        return any(key in f for f in frames)


@kind
def udp(f):
    data = f.payload()
    head = struct.pack("!HHH", f.num("sport", 4000), f.num("dport", 9), 8 + len(data))
    total = f.pseudo_sum(17, head + b"\0\0" + data) or 0xffff
    return f.ethernet(*f.ip(17, head + struct.pack("!H", total) + data))


@kind
def tcp(f):
    flags = sum({"F": 1, "S": 2, "R": 4, "P": 8, "A": 16}[c] for c in f.words.get("flags", "S"))
    data = f.payload()

    def head(total):
        return struct.pack("!HHIIBBHHH", f.num("sport", 4000), f.num("dport", 9), f.num("seq", 1), f.num("ack", 0),
                           5 << 4, flags, 8192, total, 0)
    return f.ethernet(*f.ip(6, head(f.pseudo_sum(6, head(0) + data)) + data))


def icmp(f, kind4, kind6, body, hops=64, dmac=None):
    proto = 58 if f.v6 else 1
    head = struct.pack("!BB", kind6 if f.v6 else kind4, 0)
    total = f.pseudo_sum(58, head + b"\0\0" + body) if f.v6 else checksum(head + b"\0\0" + body)
    return f.ethernet(*f.ip(proto, head + struct.pack("!H", total) + body, hops), dmac)


@kind
def echo(f):
    return icmp(f, 8, 128, struct.pack("!HH", f.num("id", 7), f.num("seq", 1)) + f.payload())


@kind
def reply(f):
    return icmp(f, 0, 129, struct.pack("!HH", f.num("id", 7), f.num("seq", 1)) + f.payload())


@kind
def igmp(f):
    """type= is a question (0x11) unless told; ttl is 1, as it must be."""
    head = struct.pack("!BBH4s", f.num("type", 0x11), 0, 0, target(f, bytes(4))) + f.payload()
    return f.ethernet(*f.ip(2, head[:2] + struct.pack("!H", checksum(head)) + head[4:], 1))


@kind
def ip(f):
    return f.ethernet(*f.ip(f.num("proto", 253), f.payload()))


@kind
def raw(f):
    return f.ethernet(f.num("type", 0x88b5), f.payload() + bytes(40))


@kind
def arp(f):
    def take(key, default):
        return (mac if key.endswith("ha") else addr)(f.words[key]) if key in f.words else default
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, f.num("op", 1))
    body += take("sha", f.sender.mac) + take("spa", f.sender.ip4) + take("tha", bytes(6)) + take("tpa", f.receiver.ip4)
    return f.ethernet(0x0806, body + f.payload(), b"\xff" * 6)


def nd_option(number, data):
    return struct.pack("!BB", number, (len(data) + 2) // 8) + data


def nd(f, number, body):
    f.v6 = True
    marker = nd_option(253, f.marker + bytes(6))  # an experiment (RFC 4727); receivers pass over it
    return icmp(f, 0, number, body + marker, 255)


def target(f, default):
    return addr(f.words["target"]) if "target" in f.words else default


@kind
def ns(f):
    return nd(f, 135, bytes(4) + target(f, f.receiver.ip6) + nd_option(1, f.sender.mac))


@kind
def na(f):
    return nd(f, 136, b"\x20\0\0\0" + target(f, f.sender.ip6) + nd_option(2, f.sender.mac))


@kind
def ra(f):
    prefix = struct.pack("!BBII", 64, 0xc0, 3600, 3600) + bytes(4) + addr("fd66::")
    return nd(f, 134, struct.pack("!BBHII", 64, 0, 1800, 0, 0) + nd_option(1, f.sender.mac) + nd_option(3, prefix))


@kind
def redirect(f):
    return nd(f, 137, bytes(4) + target(f, f.sender.ip6) + addr("fd66::66"))


# --- sending ------------------------------------------------------------------------------------

def last_word(frame):
    """What nothing on the path may drop, whatever the policies say."""
    if "routed" in frame.words:
        text = f"udp:dmac={frame.words['dmac']},dport={frame.words['routed']},v={6 if frame.v6 else 4}"
    else:
        text = "arp:"
    return Frame(text, frame.sender, frame.receiver)


def arrives(frame, sender, receiver):
    end = time.monotonic() + PATIENCE_S
    seen = []
    for _ in range(frame.num("n", 1)):
        sender.sock.send(frame.bytes())
    while time.monotonic() < end:
        last = last_word(frame)
        sender.sock.send(last.bytes())
        if receiver.saw(last.marker, min(end, time.monotonic() + RESEND_S), seen):
            return frame.is_in(seen)
    raise SystemExit(f"frames.py: {frame.label}: not even the last word arrives")


def main():
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one CPU, one queue: the order stays
    sender, receiver = Wire(sys.argv[1], home), Wire(sys.argv[2], home)
    for text in sys.argv[3:]:
        frame = Frame(text, sender, receiver)
        print(frame.label, "arrived" if arrives(frame, sender, receiver) else "lost")


if __name__ == "__main__":
    main()
