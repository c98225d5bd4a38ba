#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""real.py - random documents on a node that is real, and connections between its pods.

    real.py write SEED PODS MANIFESTS     the documents of that world, one file each, in place of those before
    real.py ask SEED PODS TRAFFIC         every pod to every other: what came of it, and by which rule

PODS is a file with a line "NAMESPACE NAME IPV4 IPV6" for each pod; they listen on PORTS, TCP and UDP. TRAFFIC is the
program of tests/tools. A connection needs the leave of both its ends, oracle.py says whose it has. What the agent has
told of it (GET /v1/flows; not of each: events are throttled) must name that rule.
"""

import ipaddress
import json
import os
import pathlib
import random
import subprocess
import sys
import time

from oracle import Question, World, evaluate
from worlds import Generator

PORTS = [53, 80, 443, 8080]
NODE_ADDRESSES = ["10.0.0.1", "fd00::1"]
OPEN_MS, SHUT_MS = 4000, 400
ATTEMPTS = 50  # at a world in which some connections are open and some shut
FLOWS = "http://localhost/v1/flows?last=16384"


class Node:
    def __init__(self, seed, pods):
        lines = [line.split() for line in pathlib.Path(pods).read_text(encoding="utf-8").splitlines()]
        self.local = {(namespace, name): addresses for namespace, name, *addresses in lines}
        for attempt in range(ATTEMPTS):
            self.generator = Generator(random.Random(f"{seed}/{attempt}"), dict(self.local), int(time.time()))
            self.generator.populate(self.generator.random.randint(3, 15))
            self.connections = list(self.judged())
            if 0.1 < sum(c.is_open for c in self.connections) / len(self.connections) < 0.9:
                break

    def write(self, folder):
        wanted = {f"{name}.json": item for name, item in self.generator.sources.items()}
        for path in pathlib.Path(folder).glob("*.json"):
            if path.name not in wanted:
                path.unlink()
        for name, item in wanted.items():
            fresh = pathlib.Path(folder) / f".{name}.new"
            fresh.write_text(json.dumps(item), encoding="utf-8")
            os.replace(fresh, pathlib.Path(folder) / name)

    def world(self):
        local = {key: [ipaddress.ip_address(a) for a in addresses] for key, addresses in self.local.items()}
        node = [ipaddress.ip_address(a) for a in NODE_ADDRESSES]
        return World(self.generator.sources.values(), local, node, self.generator.now)

    def judged(self):
        world = self.world()
        for item in self.each():
            item.judge(world)
            yield item

    def each(self):
        for source in self.local:
            for to in self.local:
                for family in (0, 1) if source != to else ():
                    for plane in ("TCP", "UDP"):
                        for port in PORTS:
                            yield Connection(self, source, to, family, (plane, port))


class Connection:
    def __init__(self, node, source, to, family, place):
        self.source, self.to = source, to
        self.ips = node.local[source][family], node.local[to][family]
        self.plane, self.port = place

        self.want, self.is_open = {}, False

    def __str__(self):
        return f"{self.source[1]} -> {self.to[1]}:{self.port} {self.plane} v{6 if ':' in self.ips[1] else 4}"

    def judge(self, world):
        way_out = Question(self.source, "egress", ipaddress.ip_address(self.ips[1]), self.plane, self.port)
        way_in = Question(self.to, "ingress", ipaddress.ip_address(self.ips[0]), self.plane, self.port)
        self.want = {"egress": evaluate(world, way_out), "ingress": evaluate(world, way_in)}
        self.is_open = all(a.action == "allow" for a in self.want.values())

    def line(self):
        return f"{self.plane.lower()} {self.ips[1]} {self.port} {OPEN_MS if self.is_open else SHUT_MS}\n"

    def problem(self, said):
        """Of what the client saw."""
        if self.is_open:
            return None if said.startswith(f"open {self.to[1]}") else f"{self}: {said}, want it open: {self.want}"
        return f"{self}: {said}, want it shut: {self.want}" if said.startswith("open") else None

    def is_in(self, flow):
        ends = flow["source"]["ip"], flow["destination"]["ip"]
        return ends == self.ips and flow["destination"].get("port") == self.port and flow["protocol"] == self.plane and not flow["is_reply"]

    def problem_told(self, flow):
        """Of what the agent told."""
        want = self.want[flow["direction"]]
        told = flow["reason"], rule_of(flow)
        return None if told == (want.reason, want.rule) else f"{self}: {flow['direction']} told as {told}, want {want}"


def rule_of(flow):
    """As oracle.py names it."""
    if flow.get("isolating"):
        return ",".join(flow["isolating"])
    rule = flow.get("rule") or {}
    if not rule.get("policy"):
        return ""
    namespace = f"{rule['namespace']}/" if rule.get("namespace") else ""
    return f"{rule['kind']} {namespace}{rule['policy']}:{rule['rule']}"


def tried(connections, traffic):
    """What came of each: all of a pod at once, the pods too."""
    by_pod = {}
    for item in connections:
        by_pod.setdefault(item.source[1], []).append(item)
    running = []
    for pod, items in by_pod.items():
        command = ["ip", "netns", "exec", pod, traffic, "many"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        process.stdin.write("".join(item.line() for item in items) + "\n")
        process.stdin.close()
        running.append((process, items))
    for process, items in running:
        yield from zip(items, process.stdout.read().splitlines(), strict=False)
        process.wait()


def now_text():
    """As flows have it."""
    seconds, rest = divmod(time.time_ns(), 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09}Z"


def flows_since(moment):
    text = subprocess.run(["curl", "-sS", "--unix-socket", "/run/berm/agent.sock", FLOWS], check=True, capture_output=True, text=True).stdout
    return [flow for flow in map(json.loads, text.splitlines()) if flow["time"] >= moment]


def ask(node, traffic):
    begun = now_text()
    answers = list(tried(node.connections, traffic))
    told = [(item, flow) for flow in flows_since(begun) for item in node.connections if item.is_in(flow)]
    problems = [item.problem(said) for item, said in answers] + [item.problem_told(flow) for item, flow in told]
    problems = [p for p in problems if p]
    if len(answers) != len(node.connections):
        problems.append(f"{len(answers)} answers to {len(node.connections)} attempts")
    if not told:
        problems.append("the agent has told of none of them")
    is_open = sum(item.is_open for item in node.connections)
    for text in problems or [f"{len(answers)} connections, {is_open} of them open; {len(told)} told of, by the right rule"]:
        print(f"# {text}")
    return not problems


def main():
    what, seed, pods, where = sys.argv[1:]
    node = Node(int(seed), pods)
    if what == "write":
        node.write(where)
        return 0
    return 0 if ask(node, where) else 1


if __name__ == "__main__":
    sys.exit(main())
