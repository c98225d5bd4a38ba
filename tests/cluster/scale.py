#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""scale - how fast two agents are behind a real API server that has thousands of objects.

Pods are objects without a kubelet, on Nodes that are objects too; only the namespace that is named has real pods,
with the label role=db, on both nodes. Prints bench lines, as hack/bench does. Knows nothing of how the cluster is run
but the command that runs something in a node.
"""
import argparse
import base64
import concurrent.futures
import http.client
import json
import os
import queue
import ssl
import subprocess
import sys
import tempfile
import threading
import time

SPREAD = 50        # pods of a namespace
POLICIES = "/apis/networking.k8s.io/v1/namespaces/%s/networkpolicies"
PODS = "/api/v1/namespaces/%s/pods"
SETTLE_S = 1.0     # without a new generation
PAUSE_S = 0.1      # between two changes
LATE_S = 30


class Failed(Exception):
    pass


def die(text):
    raise Failed(text)


class Server:
    """The API server, as the only user of a kubeconfig with embedded certificates. One connection a thread."""

    def __init__(self, kubeconfig):
        words = {}
        for line in open(kubeconfig, encoding="utf-8"):
            name, _, value = line.strip().lstrip("- ").partition(":")
            words[name] = value.strip()
        self.host = words["server"].removeprefix("https://")
        self.context = ssl.create_default_context(
            cadata=base64.b64decode(words["certificate-authority-data"]).decode())
        with tempfile.NamedTemporaryFile() as file:
            file.write(base64.b64decode(words["client-certificate-data"]) +
                       base64.b64decode(words["client-key-data"]))
            file.flush()
            self.context.load_cert_chain(file.name)
        self.local = threading.local()

    def connect(self, timeout=60):
        return http.client.HTTPSConnection(self.host, context=self.context, timeout=timeout)

    def ask(self, method, path, text, kind):
        if not hasattr(self.local, "connection"):
            self.local.connection = self.connect()
        self.local.connection.request(method, path, text, {"Content-Type": kind})
        reply = self.local.connection.getresponse()
        return reply.status, reply.read()

    def call(self, method, path, body=None, kind="application/json"):
        text = json.dumps(body) if body is not None else None
        try:
            status, answer = self.ask(method, path, text, kind)
        except (OSError, http.client.HTTPException):  # it was idle for too long, most likely
            self.local.connection.close()
            status, answer = self.ask(method, path, text, kind)
        if status >= 300 and status != 409:
            die(f"{method} {path}: HTTP {status}: {answer[:300]!r}")

    def patch(self, path, body):
        self.call("PATCH", path, body, "application/merge-patch+json")


class Watcher(threading.Thread):
    """When this process, a client like the agents, hears of a change of one collection."""

    def __init__(self, server, path):
        super().__init__(daemon=True)
        self.heard = queue.Queue()
        self.connection = server.connect(None)
        self.connection.request("GET", path + "?watch=1&timeoutSeconds=3600&resourceVersion=0")
        self.stream = self.connection.getresponse()
        self.start()

    def run(self):
        while self.stream.readline():
            self.heard.put(time.monotonic_ns())

    def drain(self):
        while not self.heard.empty():
            self.heard.get()


class Node:
    """The generations of one node, as tests/tools/generations.c sees them."""

    def __init__(self, run, number, tool):
        self.run = run + [str(number)]
        self.number = number
        self.seen = queue.Queue()
        self.process = subprocess.Popen(self.run + [tool], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.seen.put(tuple(int(word) for word in line.split()))

    def settle(self):
        """Until nothing has happened for a while."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                self.seen.get(timeout=SETTLE_S)
            except queue.Empty:
                return
        die(f"node {self.number} makes one generation after the other for 120 s")

    def next(self):
        try:
            return self.seen.get(timeout=LATE_S)[0]
        except queue.Empty:
            die(f"node {self.number} has no new generation after {LATE_S} s")

    def output(self, *command):
        return subprocess.run(self.run + list(command), check=True, stdout=subprocess.PIPE, text=True).stdout

    def rest(self, path):
        return json.loads(self.output("curl", "-sS", "--max-time", "20", "--unix-socket",
                                      "/run/berm/agent.sock", "http://localhost" + path))

    def rss_mb(self):
        """Now and at its highest."""
        words = self.output("sh", "-c", "grep -hE '^Vm(RSS|HWM)' /proc/$(pgrep -x berm-agent)/status")
        sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in words.splitlines()}
        return sizes["VmRSS"], sizes["VmHWM"]

    def log(self):
        """(seconds of wall-clock, line)"""
        text = self.output("sh", "-c", "cat /var/log/pods/berm-system_berm-agent-*/agent/*.log")
        for line in sorted(text.splitlines()):
            stamp, _, _, words = line.split(" ", 3)
            whole, _, part = stamp.rstrip("Z").partition(".")
            yield time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float("0." + part), words


class World:
    def __init__(self, server, namespace):
        self.server = server
        self.namespace = namespace
        self.pods = self.policies = self.namespaces = 0
        self.executor = concurrent.futures.ThreadPoolExecutor(6)

    def name(self, index):
        return self.namespace if index == 0 else f"{self.namespace}-{index}"

    def all(self, function, items):
        for _ in self.executor.map(function, items):
            pass  # a failure of one is raised here

    def make_namespace(self, index):
        self.server.call("POST", "/api/v1/namespaces", {"metadata": {"name": self.name(index)}})
        self.server.call("POST", f"/api/v1/namespaces/{self.name(index)}/serviceaccounts",
                         {"metadata": {"name": "default"}})  # its controller takes its time

    def make_pod(self, number):
        path = PODS % self.name(number // SPREAD)
        name = f"synthetic-{number}"
        self.server.call("POST", path, {
            "metadata": {"name": name, "labels": {"app": f"a{number % 10}", "role": "none"}},
            "spec": {"nodeName": f"synthetic-{number % 20}", "automountServiceAccountToken": False,
                     "containers": [{"name": "main", "image": "none"}]}})
        address = f"10.{200 + number // 50000}.{number // 250 % 200}.{number % 250 + 1}"
        self.server.patch(path + f"/{name}/status", {"status": {
            "phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True"}]}})

    def make_policy(self, number):
        of = number % max(1, self.namespaces)
        self.server.call("POST", POLICIES % self.name(of), policy(f"p{number}", {"app": f"a{number % 10}"},
                                                                  f"a{(number + 1) % 10}", 1000 + number % 500))

    def fill(self, pods, policies):
        namespaces = -(-pods // SPREAD)
        for number in range(20):
            self.server.call("POST", "/api/v1/nodes", {"metadata": {"name": f"synthetic-{number}"}})
        self.all(self.make_namespace, range(max(1, self.namespaces), namespaces))
        self.namespaces = namespaces
        self.all(self.make_pod, range(self.pods, pods))
        self.all(self.make_policy, range(self.policies, policies))
        self.pods, self.policies = pods, policies


def policy(name, subject, app, port):
    return {"metadata": {"name": name}, "spec": {
        "podSelector": {"matchLabels": subject}, "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": app}}}],
                     "ports": [{"port": port, "protocol": "TCP"}]}]}}


def report(bench, value, unit, limit, note):
    print(json.dumps({"bench": bench, "value": round(value, 3), "unit": unit, "baseline": limit,
                      "ratio": round(value / limit, 3), "note": note + "; baseline is the limit"}), flush=True)


def p99(values):
    values = sorted(values)
    return values[len(values) - 1 - len(values) // 100]


def measure(bench, nodes, watcher, change, rounds, limit, note):
    """From a change to the generation on the later one of both nodes."""
    from_event, from_request = [], []
    for node in nodes:
        node.settle()
    for number in range(rounds):
        watcher.drain()
        start = time.monotonic_ns()
        change(number)
        done = max(node.next() for node in nodes)
        heard = watcher.heard.get(timeout=LATE_S)
        from_request.append((done - start) / 1e6)
        from_event.append(max(0.0, (done - heard) / 1e6))
        time.sleep(PAUSE_S)
    report(bench, p99(from_event), "ms", limit,
           f"{note}, {rounds} changes; watch event to generation in the kernels of both nodes, p50 {sorted(from_event)[rounds // 2]:.2f} ms; "
           f"from the request on p50 {sorted(from_request)[rounds // 2]:.2f}, p99 {p99(from_request):.2f} ms")


def measure_restart(nodes, note):
    """The agents are killed; from the first line of the new ones to their first generation."""
    took = []
    for node in nodes:
        before = sum(words.startswith("started ") for _, words in node.log())
        node.output("sh", "-c", "kill -KILL $(pgrep -x berm-agent)")
        deadline = time.monotonic() + 180
        while True:
            lines = list(node.log())
            starts = [index for index, (_, words) in enumerate(lines) if words.startswith("started ")]
            later = lines[starts[-1]:] if len(starts) > before else []
            applied = [stamp for stamp, words in later if words.startswith("applied ")]
            if applied:
                took.append(applied[0] - later[0][0])
                break
            if time.monotonic() > deadline:
                die(f"the agent of node {node.number} is not back after 180 s")
            time.sleep(0.5)
    report("cluster_list_to_enforced", max(took), "s", 5, note + "; start of an agent that was killed to its first generation, the slower of two")


def run(options, nodes):
    smoke = os.environ.get("BERM_BENCH_SMOKE") == "1"
    server = Server(options.kubeconfig)
    world = World(server, options.namespace)
    policies = POLICIES % options.namespace
    pod = PODS % options.namespace + "/synthetic-0"
    sizes = [(100, 40)] if smoke else [(500, 200), (10000, 5000)][1 if options.large else 0:]
    rounds = 20 if smoke else 100
    server.call("POST", policies, policy("db", {"role": "db"}, "a0", 1))
    for pods, count in sizes:
        start = time.monotonic()
        world.fill(pods, count)
        note = f"{pods} pods, {count} policies"
        print(f"scale: {note} after {time.monotonic() - start:.0f} s", file=sys.stderr)
        suffix = "" if pods < 1000 else "_10k"
        for node in nodes:
            node.settle()
        watcher = Watcher(server, policies)
        time.sleep(SETTLE_S)
        measure("cluster_apply" + suffix + "_p99", nodes, watcher,
                lambda number: server.patch(policies + "/db", policy("db", {"role": "db"}, "a0", 2 + number % 2)),
                rounds, 50, note)
        watcher = Watcher(server, PODS % options.namespace)
        time.sleep(SETTLE_S)
        measure("cluster_pod_event" + suffix + "_p99", nodes, watcher,
                lambda number: server.patch(pod, {"metadata": {"labels": {"app": f"a{1 - number % 2}"}}}),
                rounds, 10, note)
        sizes_mb = [node.rss_mb() for node in nodes]
        report("cluster_agent_rss" + suffix, max(now for now, _ in sizes_mb), "MB", 64,
               f"{note}; at its highest {max(high for _, high in sizes_mb):.1f} MB")
        if not smoke:
            took = [node.rest("/v1/status")["last_apply"] for node in nodes]
            print(f"scale: last apply: {json.dumps(took)}", file=sys.stderr)
    measure_restart(nodes, note)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kubeconfig", required=True, help="of an administrator, certificates embedded")
    parser.add_argument("--namespace", required=True, help="that has real pods with role=db on both nodes")
    parser.add_argument("--run", required=True, help="command that runs something in the node whose number follows")
    parser.add_argument("--tool", required=True, help="tests/tools/generations, built")
    parser.add_argument("--large", action="store_true", help="only the large world")
    options = parser.parse_args()
    nodes = [Node(options.run.split(), number, options.tool) for number in (1, 2)]
    try:
        run(options, nodes)
    except BaseException as failure:
        print(f"scale: {failure!r}", file=sys.stderr)
        sys.stderr.flush()
        os._exit(1)  # threads wait for what does not come
    finally:
        for node in nodes:
            node.process.stdin.close()  # it ends with us
    os._exit(0)


if __name__ == "__main__":
    main()
