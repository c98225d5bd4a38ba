#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""first_packet.py - start pods and judge the very first packets after ADD has returned.

  first_packet.py STARTS --conf FILE --path DIRS --manifests DIR --label app=new [--expect walled|open|shut]
                  [--no-object]

Pods `friend` and `foe` exist (network namespaces of that name, traffic serve on PORT in both). A new pod is
started again and again as a runtime would do it, each with its Pod object written first. A process waits
inside its namespace, and in the moment ADD returns it sends a datagram and opens a connection to both of
them, over both families, while `friend` and `foe` do the same towards the new pod.

  walled  it may talk with friend only: everything of that works without a segment sent twice, and no packet
          between it and foe is seen on the other side
  open    everything works
  shut    nothing does

Prints one JSON object: {"starts","leaks","false_drops","late_us" (worst time from ADD's return to our first
packet),"add_ms" (median)} and a line of "# ..." for each fault. Knows nothing of Berm but its label.
"""
import argparse
import ctypes
import json
import os
import select
import socket
import statistics
import struct
import subprocess
import sys
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cni  # noqa: E402

PORT = 7000
PATIENCE_S = 3.0
ENOUGH_FAULTS = 20
CLONE_NEWNET = 0x40000000
TCP_INFO_TOTAL_RETRANS = 100  # offset in struct tcp_info (include/uapi/linux/tcp.h)
WANTED = {"walled": {"friend"}, "open": {"friend", "foe"}, "shut": set()}  # who may talk with the new pod
libc = ctypes.CDLL(None, use_errno=True)


def check(rc, what):
    if rc:
        raise OSError(ctypes.get_errno(), what)


def unwanted(opts):
    return [name for name in ("friend", "foe") if name not in WANTED[opts.expect]]


def setns(fd):
    check(libc.setns(fd, CLONE_NEWNET), "setns")


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


# --- one conversation -------------------------------------------------------------------------

class Talk:
    """A datagram and a connection to one address, begun at once."""

    def __init__(self, addr, want):
        self.addr, self.want = addr, want
        family = socket.AF_INET6 if ":" in addr else socket.AF_INET
        self.udp = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.tcp = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.udp_back = self.tcp_back = False

    def begin(self):
        self.udp.connect((self.addr, PORT))
        self.udp.send(b"?")
        self.tcp.connect_ex((self.addr, PORT))

    def look(self):
        for s, name in ((self.udp, "udp_back"), (self.tcp, "tcp_back")):
            if getattr(self, name):
                continue
            try:
                setattr(self, name, bool(s.recv(100)))
            except OSError:
                pass

    def is_done(self):
        return not self.want or (self.udp_back and self.tcp_back)

    def faults(self):
        if not self.want:
            return [("leak", f"an answer from {self.addr}")] if self.udp_back or self.tcp_back else []
        out = []
        if not self.udp_back:
            out.append(("false_drop", f"no datagram back from {self.addr}"))
        if not self.tcp_back:
            out.append(("false_drop", f"no connection to {self.addr}"))
        elif self.retransmits():
            out.append(("false_drop", f"a segment to {self.addr} was sent twice"))
        return out

    def retransmits(self):
        info = self.tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_TOTAL_RETRANS + 4)
        return struct.unpack_from("I", info, TCP_INFO_TOTAL_RETRANS)[0]

    def still_talks(self):
        """A connection opened in the first moment lives on."""
        try:
            self.tcp.setblocking(True)
            self.tcp.settimeout(PATIENCE_S)
            self.tcp.send(b"still")
            return self.tcp.recv(100) == b"still"
        except OSError:
            return False

    def close(self):
        self.udp.close()
        self.tcp.close()


def converse(talks):
    for t in talks:
        t.begin()
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        for t in talks:
            t.look()
        if all(t.is_done() for t in talks):
            break
        select.select([s for t in talks if not t.is_done() for s in (t.udp, t.tcp)], [], [], 0.002)


# --- watching for what must not be there ----------------------------------------------------------

class Watch:
    """Sees every IP packet that comes in on any device of the namespace it was made in."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(3))

    def packets_from(self, addrs):
        wanted = {socket.inet_pton(socket.AF_INET6 if ":" in a else socket.AF_INET, a) for a in addrs}
        found = []
        while True:
            try:
                frame, where = self.sock.recvfrom(65536)
            except BlockingIOError:
                return found
            if where[2] == socket.PACKET_OUTGOING:
                continue
            if frame[12:14] == b"\x08\x00" and frame[26:30] in wanted:
                found.append(frame)
            if frame[12:14] == b"\x86\xdd" and frame[22:38] in wanted and frame[20] != 58:  # ND is not asked
                found.append(frame)


def inside(fd, make):
    """What make() makes in another network namespace stays there."""
    setns(fd)
    try:
        return make()
    finally:
        setns(HOME)


# --- the new pod ------------------------------------------------------------------------------------

def no_dad():
    for which in ("all", "default"):
        write(f"/proc/sys/net/ipv6/conf/{which}/accept_dad", "0")


def serve_one(listener):
    """Greets like traffic serve."""
    try:
        conn, _ = listener.accept()
        conn.send(b"new\n")
        return conn
    except BlockingIOError:
        return None


def servers():
    tcp = socket.socket(socket.AF_INET6, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    for s in (tcp, udp):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("::", PORT))
    tcp.listen(64)
    return tcp, udp


def answer(tcp, udp, kept):
    if (conn := serve_one(tcp)) is not None:
        kept.append(conn)
    try:
        _, peer = udp.recvfrom(100)
        udp.sendto(b"new", peer)
    except BlockingIOError:
        pass


def be_pod(opts, orders, report):
    """The only process of the new pod. A line on orders: {"friend": [...], "foe": [...], "odd": 0|1}."""
    check(libc.unshare(CLONE_NEWNET), "unshare")
    no_dad()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    tcp, udp = servers()
    watch = Watch()
    report.write(b"ready\n")
    order = json.loads(orders.readline())
    talks = [Talk(a, name in WANTED[opts.expect]) for name in ("friend", "foe") for a in order[name]]
    if order["odd"]:
        talks.reverse()
    orders.readline()  # go
    late = time.monotonic_ns()
    kept, faults = [], []
    server = os.fork()
    if not server:
        while True:
            select.select([tcp, udp], [], [])
            answer(tcp, udp, kept)
    converse(talks)
    for t in talks:
        faults += t.faults()
    orders.readline()  # both sides are done
    faults += [("early_flow", f"the first connection to {t.addr} has died") for t in talks if t.want and not t.still_talks()]
    for t in talks:
        t.close()  # what is repeated later has to do with DEL, not with ADD
    for name in unwanted(opts):
        faults += [("leak", f"the new pod received {f[14:].hex()}") for f in watch.packets_from(order[name])]
    os.kill(server, 9)
    os.waitpid(server, 0)
    report.write(json.dumps({"faults": faults, "first_ns": late}).encode() + b"\n")
    orders.readline()  # DEL is over
    os._exit(0)


class Pod:
    """The new pod as its runtime sees it."""

    def __init__(self, opts, conf, number):
        self.conf, self.name, self.uid = conf, f"new-{number}", str(uuid.uuid4())
        self.manifest = None if opts.no_object else f"{opts.manifests}/pod-new.yaml"
        down, up = os.pipe(), os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(down[1])
            os.close(up[0])
            with os.fdopen(down[0], "rb", 0) as orders, os.fdopen(up[1], "wb", 0) as report:
                be_pod(opts, orders, report)
        os.close(down[0])
        os.close(up[1])
        self.orders, self.report = os.fdopen(down[1], "wb", 0), os.fdopen(up[0], "rb", 0)
        self.hear()
        self.call = argparse.Namespace(
            id=self.uid.replace("-", "") + "f" * 32, netns=f"/proc/{self.pid}/ns/net", ifname="eth0", capability={},
            args=f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={self.name};K8S_POD_UID={self.uid}",
            path=opts.path, cache="/var/lib/cni", timeout=60)
        self.write_object(opts.label)

    def hear(self):
        line = self.report.readline()
        if not line:
            raise SystemExit(f"the process of {self.name} has died")
        return line

    def tell(self, what):
        self.orders.write(json.dumps(what).encode() + b"\n")

    def write_object(self, label):
        if not self.manifest:
            return
        key, value = label.split("=")
        write(self.manifest + ".new", json.dumps({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": self.name, "namespace": "default", "uid": self.uid, "labels": {key: value}}}))
        os.rename(self.manifest + ".new", self.manifest)

    def add(self):
        out, sys.stdout = sys.stdout, open(os.devnull, "w", encoding="ascii")
        try:
            cni.add(self.conf, self.call)
        finally:
            sys.stdout.close()
            sys.stdout = out

    def addresses(self):
        with open(cni.cache_file(self.call, self.conf), encoding="ascii") as f:
            return [ip["address"].split("/")[0] for ip in json.load(f)["result"]["ips"]]

    def delete(self):
        cni.delete(self.conf, self.call)
        self.tell("end")
        os.waitpid(self.pid, 0)
        self.orders.close()
        self.report.close()


# --- one start ------------------------------------------------------------------------------------

def start_once(opts, conf, number, peers):
    """Faults of one start, microseconds until the first packet, milliseconds of ADD."""
    pod = Pod(opts, conf, number)
    order = {name: p["addrs"] for name, p in peers.items()}
    order["odd"] = number % 2
    pod.tell(order)
    began = time.monotonic()
    pod.add()
    returned_ns = time.monotonic_ns()
    pod.tell("go")
    took_ms = (time.monotonic() - began) * 1000
    mine = pod.addresses()
    talks = [inside(p["netns"], lambda w=name: [Talk(a, w in WANTED[opts.expect]) for a in mine])
             for name, p in peers.items()]
    talks = sum(talks, [])
    converse(talks)
    pod.tell("both are done")
    told = json.loads(pod.hear())
    faults = told["faults"] + [f for t in talks for f in t.faults()]
    for t in talks:
        t.close()
    for name in unwanted(opts):
        faults += [("leak", f"{name} received {f[14:].hex()}") for f in peers[name]["watch"].packets_from(mine)]
    pod.delete()
    for name in peers:  # the next pod may get this one's addresses, and has another MAC
        subprocess.run(["ip", "-n", name, "neigh", "flush", "dev", "eth0"], check=True, stderr=subprocess.DEVNULL)
    return faults, (told["first_ns"] - returned_ns) / 1000, took_ms


def peer(name):
    netns = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
    out = subprocess.run(["ip", "-n", name, "-j", "addr", "show", "dev", "eth0"], check=True, stdout=subprocess.PIPE).stdout
    addrs = [a["local"] for a in json.loads(out)[0]["addr_info"] if a["scope"] == "global"]
    return {"netns": netns, "addrs": addrs, "watch": inside(netns, Watch)}


def options():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("starts", type=int)
    ap.add_argument("--conf", required=True)
    ap.add_argument("--path", required=True)
    ap.add_argument("--manifests", required=True)
    ap.add_argument("--label", required=True)
    ap.add_argument("--expect", choices=list(WANTED), default="walled")
    ap.add_argument("--no-object", action="store_true", help="the agent is never told of the pod")
    return ap.parse_args()


def main():
    opts = options()
    with open(opts.conf, encoding="utf-8") as f:
        conf = json.load(f)
    peers = {name: peer(name) for name in ("friend", "foe")}
    count = {"leak": 0, "false_drop": 0, "early_flow": 0}
    late, took = [], []
    for number in range(opts.starts):
        faults, late_us, took_ms = start_once(opts, conf, number, peers)
        late.append(late_us)
        took.append(took_ms)
        for what, text in faults:
            count[what] += 1
            print(f"# start {number}: {what}: {text}", file=sys.stderr)
        if sum(count.values()) >= ENOUGH_FAULTS:
            break
    print(json.dumps({"starts": len(took), "leaks": count["leak"], "false_drops": count["false_drop"],
                      "dead_flows": count["early_flow"], "late_us": round(max(late)),
                      "late_us_median": round(statistics.median(late)), "add_ms": round(statistics.median(took))}))


HOME = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
if __name__ == "__main__":
    main()
