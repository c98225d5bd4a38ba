# SPDX-License-Identifier: Apache-2.0
"""The test cluster as a Python program sees it: kubectl, networks, what the agents attest.

Knows the folder of hack/cluster and the REST interface of the agent, no policy.
"""
import json
import os
import subprocess
import time

ATTEST_S = 20
NODES = ("node1", "node2")
NODE_IPS = {"node1": ("192.168.100.1", "fd00:100::1"), "node2": ("192.168.100.2", "fd00:100::2")}
CRICTL = ("crictl", "--timeout", "30s") # a machine under load may take its time
OUTSIDE_IPS = ("192.168.100.254", "fd00:100::254")


class Failure(Exception):
    """A test that fails, with what an engineer needs to act on it."""


def run(command, stdin=None, may_fail=False):
    done = subprocess.run(command, input=stdin, capture_output=True, text=True)
    if done.returncode and not may_fail:
        raise Failure(f"{' '.join(command[-12:])}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


class Bed:
    def __init__(self, folder, top):
        self.folder, self.cluster = folder, [f"{top}/hack/cluster", f"--dir={folder}"]
        self.anchor = {}
        for name in NODES + ("outside",):
            with open(f"{folder}/{name}/pid", encoding="ascii") as file:
                self.anchor[name] = int(file.read())
        kubectl = run(self.cluster + ["node", "1", "sh", "-c", "command -v kubectl"]).strip()
        self.kubectl = self.in_net("node1") + [
            "env", f"KUBECONFIG={folder}/kubeconfig", f"KUBECACHEDIR={folder}/kubectl-cache", kubectl]
        self.changed = set()
        self.marks = 0

    # --- networks -------------------------------------------------------------------------

    def in_net(self, where):
        return ["nsenter", "-t", str(self.anchor[where]), "-n", "--"]

    def node(self, name, *command):
        return run(self.cluster + ["node", name[-1]] + list(command))

    def pod_net(self, node, namespace, pod):
        """A path to the network namespace of a pod, of this machine's view."""
        sandbox = self.node(node, *CRICTL, "pods", "-q", "--state", "ready",
                            "--namespace", f"^{namespace}$", "--name", f"^{pod}$").split()
        if len(sandbox) != 1:
            raise Failure(f"{namespace}/{pod} has {len(sandbox)} sandboxes on {node}")
        spec = json.loads(self.node(node, *CRICTL, "inspectp", sandbox[0]))["info"]["runtimeSpec"]
        path = next(n["path"] for n in spec["linux"]["namespaces"] if n["type"] == "network")
        return f"/proc/{self.anchor[node]}/root/run/netns/{os.path.basename(path)}"

    # --- objects --------------------------------------------------------------------------

    def kube(self, *args, stdin=None, may_fail=False):
        return run(self.kubectl + list(args), stdin=stdin, may_fail=may_fail)

    def get(self, *args):
        return json.loads(self.kube("get", *args, "-o", "json"))

    def apply(self, *objects):
        self.kube("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        self.changed |= {kind_of(o) for o in objects}

    def delete(self, kind, namespace, *names):
        self.kube("delete", kind, "-n", namespace, *names, "--timeout=60s")
        self.changed.add(kind)

    # --- what is in force -------------------------------------------------------------------

    def status(self, node):
        return json.loads(run(["nsenter", "-t", str(self.anchor[node]), "-m", "-n", "--", "curl", "-s", "-m", "5",
                               "--unix-socket", "/run/berm/agent.sock", "http://agent/v1/status"]) or "{}")

    def flows(self, node, last=16384):
        lines = run(["nsenter", "-t", str(self.anchor[node]), "-m", "-n", "--", "curl", "-s", "-m", "5",
                     "--unix-socket", "/run/berm/agent.sock", f"http://agent/v1/flows?last={last}"], may_fail=True)
        return [json.loads(line) for line in lines.splitlines()]

    def agent_errors(self, node):
        pods = self.get("pods", "-n", "berm-system", "--field-selector", f"spec.nodeName={node}")["items"]
        logs = "".join(self.kube("logs", "-n", "berm-system", pod["metadata"]["name"], "-c", "agent") for pod in pods)
        return [line for line in logs.splitlines() if "level=error" in line]

    def attest(self):
        """Until both agents say that all that was changed up to now is in the kernel.

        A later write to an object of the same kind has a later version than the change, also
        where the change was a deletion.
        """
        want = {kind: self.mark(kind) for kind in sorted(self.changed)}
        self.changed.clear()
        deadline = time.monotonic() + ATTEST_S
        for node in NODES:
            while lacking := lacks(self.status(node), want):
                if time.monotonic() > deadline:
                    raise Failure(f"{node} does not attest the change in {ATTEST_S} s: {lacking}")
                time.sleep(0.01)

    def mark(self, kind):
        self.marks += 1
        name, namespace = MARKERS[kind]
        return int(self.kube("annotate", "-n", namespace, f"{kind}/{name}", f"mark={self.marks}", "--overwrite",
                             "-o", "jsonpath={.metadata.resourceVersion}"))


# Objects that a test may write to without a meaning, by the name of the watch.
MARKERS = {
    "networkpolicies": ("marker", "matrix-z"),
    "configmaps": ("marker", "matrix-z"),
    "services": ("marker", "matrix-z"),
    "endpointslices": ("marker", "matrix-z"),
    "pods": ("a", "matrix-z"),
    "namespaces": ("matrix-z", "matrix-z"),
}


def kind_of(document):
    kind = document["kind"].lower()
    return kind[:-1] + "ies" if kind.endswith("y") else kind + "s"


def lacks(status, want):
    """What a node's status does not say yet; empty: nothing."""
    if not status.get("enforcing") or status.get("pending", True):
        return f"enforcing: {status.get('enforcing')}, pending: {status.get('pending')}, {status.get('reasons')}"
    seen = {w["resource"]: w for w in status["watches"]}
    unread = [kind for kind, watch in seen.items() if watch["state"] not in ("off", "absent") and not watch["synced"]]
    if unread:
        return f"not yet listed: {unread}"
    for kind, version in want.items():
        if seen[kind]["state"] != "off" and int(seen[kind].get("resource_version", 0)) < version:
            return f"{kind} {version}, has {seen[kind]}"
    return ""
