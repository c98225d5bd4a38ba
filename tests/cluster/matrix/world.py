# SPDX-License-Identifier: Apache-2.0
"""Who is there: pods on both nodes, the nodes, a stranger; and what passes between them.

Makes the pods, asks all pairs at once, compares with the reference, says where they differ and
what Berm decided there. Knows no single case.
"""
import ipaddress
import json
import os
import re
import subprocess
import tempfile
import time

from bed import NODE_IPS, NODES, OUTSIDE_IPS, Failure
from reference import End, Front, Packet, Reference

SILENT_MS = 500 # what is denied must not answer for so long
OPEN_MS = 5000  # what is allowed may take its time, but its first packet must arrive
READY_S = 90
PORTS = (80, 81)
NODE_PORT = 30080
HOST_PORTS = (18080, 18081)
FAMILIES = (4, 6)
SHOWN = 12      # differing cells
API_SERVICE = "10.96.0.1"
STATIC_FILE = "/etc/kubernetes/manifests/matrix.yaml"
IMAGE = "localhost/traffic:1"

# pod -> node; all three namespaces are on both nodes.
PLACES = {"x": "121", "y": "212", "z": "122"}
# Names of ports have other numbers on each pod; c has none.
NAMED = {"a": {("web", "tcp"): 80, ("dns", "udp"): 81}, "b": {("web", "tcp"): 81, ("dns", "udp"): 80}, "c": {}}
# Beside 'pod', which all have.
LABELS = {"a": {"tier": "web"}, "b": {"tier": "db"}, "c": {}}


class Prober:
    """A process with the network of an end, which asks whatever it is told to."""

    def __init__(self, traffic, into):
        self.process = subprocess.Popen(into + [traffic, "many"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, questions):
        """(protocol, address, port, milliseconds)... are asked at once; see answers()."""
        self.count = len(questions)
        self.process.stdin.write("".join("%s %s %d %d\n" % q for q in questions) + "\n")
        self.process.stdin.flush()

    def answers(self):
        answers = [self.process.stdout.readline().rstrip("\n") for _ in range(self.count)]
        if self.process.stdout.readline() != "\n":
            raise Failure(f"a prober ended: {self.process.poll()}")
        return answers

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


class Stream:
    """A TCP connection that keeps talking."""

    def __init__(self, world, source, target, family):
        self.name = f"{source} -> {target} IPv{family}"
        self.file = tempfile.NamedTemporaryFile()
        self.process = world.in_net_of(source, world.traffic, "stream", world.ends[target].address(family), str(PORTS[0]), self.file.name)

    def size(self):
        return os.stat(self.file.name).st_size

    def grows(self, seconds):
        size, deadline = self.size(), time.monotonic() + seconds
        while self.size() == size and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.size() > size

    def must_run(self):
        if not self.grows(5):
            raise Failure(f"{self.name} does not go on")

    def must_stall(self):
        if self.grows(0.2) and self.grows(1): # what was on its way may arrive
            raise Failure(f"{self.name} goes on")

    def close(self):
        self.process.kill()
        self.process.wait()
        self.file.close()


class World:
    def __init__(self, bed, traffic):
        self.bed, self.traffic = bed, traffic
        self.namespaces, self.ends, self.probers = {}, {}, {}
        self.policies, self.objects = {}, {} # NetworkPolicies as the reference knows them; what was applied
        self.verdicts = {} # what documents of other kinds decide before that: (src, dst, packet) -> True, False, None
        self.undo = [] # what a case changed beside
        self.nets = {} # pods' networks
        self.cells = 0
        for name in NODES:
            self.ends[name] = End(name, NODE_IPS[name], name, "node")
        self.ends["outside"] = End("outside", OUTSIDE_IPS, kind="outside")
        for short, places in PLACES.items():
            self.namespaces[f"matrix-{short}"] = {"ns": short, "kubernetes.io/metadata.name": f"matrix-{short}"}
            for pod, place in zip("abc", places):
                self.ends[f"{short}/{pod}"] = End(f"{short}/{pod}", (), f"node{place}", "pod", f"matrix-{short}",
                                                  {"pod": pod, **LABELS[pod]}, NAMED[pod])
        self.fronts = {} # Services
        self.static = {f"x/static-{n}": End(f"x/static-{n}", (), n, "pod", "matrix-x", {"kind": "static"}) for n in NODES}
        self.server = None

    # --- making it ----------------------------------------------------------------------------

    def make(self):
        self.bed.kube("delete", "namespace", "--ignore-not-found", *self.namespaces)
        self.bed.apply(*[namespace_object(name, {"ns": labels["ns"]}) for name, labels in self.namespaces.items()])
        self.wait(lambda: all(self.bed.kube("get", "serviceaccount", "default", "-n", n, may_fail=True)
                              for n in self.namespaces), "the accounts of the namespaces")
        self.bed.apply(*[pod_object(end) for end in self.pods()], *[host_pod_object(n) for n in NODES], *marker_objects())
        self.server = subprocess.Popen(
            self.bed.in_net("outside") + [self.traffic, "serve", "outside"] + [str(p) for p in HOST_PORTS],
            stdout=subprocess.DEVNULL)
        self.static_pods_make()
        self.pods_ready(self.pods())
        for name in NODES + ("outside",):
            self.probers[name] = Prober(self.traffic, self.into(self.ends[name]))

        self.fronts_make(*base_fronts(self.pods()))

    def fronts_make(self, *fronts):
        """(Front, its Service)... are part of the matrix, once kube-proxy knows them on all nodes."""
        self.bed.apply(*[service for _, service in fronts])
        for front, service in fronts:
            spec = self.bed.get("service", "-n", service["metadata"]["namespace"], service["metadata"]["name"])["spec"]
            front.addresses = tuple(spec["clusterIPs"])
            self.fronts[front.name] = front
        self.fronts_work(*[front for front, _ in fronts])

    def fronts_work(self, *fronts):
        """Nodes may send to everybody. Where their proxies know a Service, the API server told of its endpoints before."""
        reference = Reference(self.ends, self.namespaces, [])
        want = {packet: reference.answers(packet, front) for node in NODES for front in fronts
                for protocol in front.protocols for family in FAMILIES
                for packet in [Packet(node, front.name, protocol, front.port, family)]}
        self.wait(lambda: not self.differences(want), "kube-proxy to know the Services")
        self.bed.changed |= {"services", "endpointslices"}

    def node_port(self, namespace, name, selector, backend):
        """The number that a new Service for this case has on every node."""
        document = service(namespace, name, 1004, PORTS[0], selector, type="NodePort")
        document["spec"]["ports"][1]["nodePort"] = document["spec"]["ports"][0]["nodePort"] = NODE_PORT
        front = Front(f"{namespace[-1]}/{name}", 1004, [(backend, PORTS[0])])
        self.extra_front(front, document)
        return NODE_PORT

    def extra_front(self, front, service):
        """For this case only."""
        self.fronts_make((front, service))
        self.undo.append(lambda: (self.fronts.pop(front.name), self.bed.delete(*key_of(service))))

    def into(self, end):
        return ["nsenter", f"--net={self.nets[end.name]}", "--"] if end.kind == "pod" else self.bed.in_net(end.name)

    def close(self):
        for prober in self.probers.values():
            prober.close()
        if self.server:
            self.server.kill()
            self.server.wait()
        for end in self.static.values():
            self.bed.node(end.node, "rm", "-f", STATIC_FILE)
        self.bed.kube("delete", "namespace", "--ignore-not-found", "--wait=false", *self.namespaces, may_fail=True)

    def pods(self):
        return [end for end in self.ends.values() if end.kind == "pod"]

    def pods_ready(self, ends):
        """Waits, learns addresses, starts probers."""
        for namespace in {end.namespace for end in ends}:
            names = [f"pod/{pod_name(end)}" for end in ends if end.namespace == namespace]
            self.bed.kube("wait", "-n", namespace, "--for=condition=Ready", f"--timeout={READY_S}s", *names)
            for pod in self.bed.get("pods", "-n", namespace)["items"]:
                end = self.ends.get(f"{namespace[-1]}/{pod['metadata']['name']}")
                if end in ends:
                    end.addresses = tuple(ip["ip"] for ip in pod["status"]["podIPs"])
        for end in ends:
            self.nets[end.name] = self.bed.pod_net(end.node, end.namespace, pod_name(end))
            self.probers[end.name] = Prober(self.traffic, self.into(end))
        self.bed.changed.add("pods")

    def wait(self, is_so, what, seconds=30):
        deadline = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() > deadline:
                raise Failure(f"waited {seconds} s in vain for {what}")
            time.sleep(0.1)

    # --- policies -----------------------------------------------------------------------------

    def apply(self, *documents, meaning=None, verdict=None):
        """Of documents that are no NetworkPolicies, meaning: those that say the same; verdict: what they decide first."""
        self.bed.apply(*documents)
        for document in documents:
            self.objects[key_of(document)] = document
            self.policies.update({key_of(document): [document]} if document["kind"] == "NetworkPolicy" else {})
        if meaning is not None:
            self.policies[key_of(documents[0])] = meaning
        if verdict:
            self.verdicts[key_of(documents[0])] = verdict

    def remove(self, *documents):
        keys = {key_of(document) for document in documents}
        for where in {key[:2] for key in keys}:
            self.bed.delete(*where, *[key[2] for key in keys if key[:2] == where])
        for key in keys:
            self.objects.pop(key)
            self.policies.pop(key, None)
            self.verdicts.pop(key, None)

    def clear(self):
        """Everything as it was before the case."""
        while self.undo:
            self.undo.pop()()
        if self.objects:
            self.remove(*list(self.objects.values()))

    # --- other changes --------------------------------------------------------------------------

    def label_pod(self, name, **labels):
        end = self.ends[name]
        old = dict(end.labels)
        self.undo.append(lambda: self.set_labels("pod", end.labels, old, pod_name(end), "-n", end.namespace))
        self.set_labels("pod", end.labels, {**end.labels, **labels}, pod_name(end), "-n", end.namespace)

    def label_namespace(self, name, **labels):
        now = self.namespaces[name]
        old = dict(now)
        self.undo.append(lambda: self.set_labels("namespace", now, old, name))
        self.set_labels("namespace", now, {**now, **labels}, name)

    def set_labels(self, kind, labels, want, *where):
        """None as a value takes the label off."""
        gone = [key for key in labels if want.get(key) is None]
        self.bed.kube("label", "--overwrite", kind, *where, *[f"{k}={v}" for k, v in want.items() if v is not None],
                      *[f"{key}-" for key in gone])
        labels.clear()
        labels.update({k: v for k, v in want.items() if v is not None})
        self.bed.changed.add(f"{kind}s")

    def pod_stop(self, name):
        end = self.ends.pop(name)
        self.probers.pop(name).close()
        self.bed.delete("pods", end.namespace, pod_name(end))
        self.wait(lambda: not os.path.exists(self.nets[end.name]), f"the end of {name}'s network", 60) # the API is ahead
        return end

    def pod_start(self, end, address_of=None, host_port=None):
        """address_of: it gets the addresses of this end, which is gone; host_port: to its first port."""
        if address_of:
            self.next_address(end.node, address_of.addresses)
        self.ends[end.name] = end
        pod = pod_object(end)
        if host_port:
            pod["spec"]["containers"][0]["ports"].append({"containerPort": PORTS[0], "hostPort": host_port})
        self.bed.apply(pod)
        self.pods_ready([end])
        self.fronts_work(*[front for front in self.fronts.values() if end.name in dict(front.backends)])

    def next_address(self, node, addresses):
        """host-local gives addresses out in turn, beginning after the one in its file."""
        for number, address in enumerate(addresses):
            before = str(ipaddress.ip_address(address) - 1)
            self.bed.node(node, "sh", "-c", f"printf {before} >/var/lib/cni/networks/pods/last_reserved_ip.{number}")

    def extra_pod(self, end, **how):
        """For this case only."""
        self.pod_start(end, **how)
        self.undo.append(lambda: self.pod_forget(end))

    def pod_forget(self, end):
        self.ends.pop(end.name)
        self.probers.pop(end.name).close()
        self.forget_pods(end.namespace, pod_name(end))

    def forget_pods(self, namespace, *names):
        """They may take their time: nobody asks for them any more."""
        self.bed.kube("delete", "pods", "-n", namespace, "--wait=false", *names)

    def static_pods_make(self):
        """From a file, by the kubelet: that takes a while, so all of them are there from the start; see static_pod()."""
        for end in self.static.values():
            manifest = pod_object(end)
            manifest["metadata"]["name"] = pod_name(end).removesuffix(f"-{end.node}")
            del manifest["spec"]["nodeSelector"]
            self.bed.node(end.node, "sh", "-c", f"printf %s '{json.dumps(manifest)}' >{STATIC_FILE}.new && mv {STATIC_FILE}.new {STATIC_FILE}")

    def static_pod(self, name):
        """It is one of the ends for this case."""
        end = self.ends[name] = self.static[name]
        self.undo.append(lambda: (self.ends.pop(name), name in self.probers and self.probers.pop(name).close()))
        self.wait(lambda: self.bed.kube("get", "pod", "-n", end.namespace, pod_name(end), may_fail=True), "its mirror", 60)
        self.pods_ready([end])

    def first_words(self, pods, address):
        """What new pods (name, node, labels) are told whose first program asks this address."""
        for name, node, labels in pods:
            self.bed.apply(asking_pod(name, node, labels, address))
        self.undo.append(lambda: self.forget_pods("matrix-x", *[name for name, _, _ in pods]))
        names = {name for name, _, _ in pods}

        def phases():
            return {p["status"].get("phase") for p in self.bed.get("pods", "-n", "matrix-x")["items"] if p["metadata"]["name"] in names}

        self.wait(lambda: phases() <= {"Succeeded", "Failed"}, "the end of the pods that ask", 60)
        return {name: self.bed.kube("logs", "-n", "matrix-x", name).strip() for name in names}

    # --- the kubelet ----------------------------------------------------------------------------

    def probed_elsewhere(self, name, like, target):
        """A pod whose readiness the kubelet asks of another one, on another node: the control of probes."""
        end, other = self.ends[like], self.ends[target]
        pod = pod_object(End(f"{like[0]}/{name}", (), end.node, "pod", end.namespace, {"pod": name}, {}))
        probe = pod["spec"]["containers"][0]["readinessProbe"]
        probe["timeoutSeconds"], probe["tcpSocket"]["host"] = 1, other.address(4)
        self.bed.apply(pod)
        self.undo.append(lambda: self.forget_pods(end.namespace, name))
        self.wait(lambda: self.is_ready(end.namespace, name), f"{name} to be ready", 60)

    def is_ready(self, namespace, name):
        return ready_of(self.bed.get("pod", "-n", namespace, name))["status"] == "True"

    def probes(self):
        """(namespace, pod, result) -> how often the kubelets have asked."""
        counts = {}
        for node in NODES:
            for line in self.bed.kube("get", "--raw", f"/api/v1/nodes/{node}/proxy/metrics/probes").splitlines():
                found = re.match(r'prober_probe_total\{.*namespace="(.*?)",pod="(.*?)",.*type="Readiness",result="(.*?)"\} (\d+)', line)
                if found:
                    counts[found.group(1, 2, 3)] = int(found.group(4))
        return counts

    def node_address(self, node):
        """New addresses of a node, for this case."""
        new = [a.replace("192.168.100.", "192.168.100.10").replace("fd00:100::", "fd00:100::10") for a in self.ends[node].addresses]
        for address in new:
            command = ["addr", "add", address + ("/64" if ":" in address else "/24"), "dev", "eth0"]
            self.bed.node(node, "ip", *command)
            self.undo.append(lambda command=command: self.bed.node(node, "ip", "addr", "del", *command[2:]))
        return new

    def hears_node(self, name, address, from_node=None):
        """Does the pod answer its own node, or another, at this address of it?"""
        target = self.ends[name].address(6 if ":" in address else 4)
        said = self.in_net_of(from_node or self.ends[name].node, "curl", "-s", "--http0.9", "-m", "1", "--interface", address,
                              f"http://{f'[{target}]' if ':' in target else target}:{PORTS[0]}/", stdout=subprocess.PIPE, text=True)
        return said.communicate()[0].startswith(name)

    # --- connections ----------------------------------------------------------------------------

    def stream(self, source, target, family):
        stream = Stream(self, source, target, family)
        self.undo.append(stream.close)
        return stream

    def ask_from(self, source, local_port, target):
        """UDP from a fixed port: the same flow each time."""
        return self.in_net_of(source, "env", f"BERM_SPORT={local_port}", self.traffic, "try", "udp", self.ends[target].address(4),
                              str(PORTS[0]), str(SILENT_MS), stdout=subprocess.PIPE, text=True).communicate()[0].strip()

    # --- single questions -----------------------------------------------------------------------

    def ask(self, source, protocol, address, port, milliseconds=SILENT_MS):
        self.probers[source].ask([(protocol, address, port, milliseconds)])
        return self.probers[source].answers()[0]

    def must(self, want, source, protocol, address, port):
        """want: 'open NAME', 'silent', ...; of several possible ones, a tuple."""
        wanted = (want,) if isinstance(want, str) else want
        got = self.ask(source, protocol, address, port, SILENT_MS if "silent" in wanted else OPEN_MS)
        if got not in wanted:
            raise Failure(f"{source} -> {address} {protocol} {port}: {got}, want {' or '.join(wanted)}\n" + "\n".join(
                "    " + decided(f) for f in self.all_flows() if f["destination"]["ip"] == address
                and f["destination"].get("port") == port and f["source"]["ip"] in self.ends[source].addresses))

    def must_see_api(self, source, is_open):
        answer = self.in_net_of(source, "curl", "-sk", "-m", "5" if is_open else "1", "-o", "/dev/null", "-w", "%{http_code}",
                                f"https://{API_SERVICE}/version", stdout=subprocess.PIPE, text=True).communicate()[0]
        if (answer == "000") == is_open:
            raise Failure(f"{source} -> API server: {answer}, want it {'open' if is_open else 'closed'}\n" + "\n".join(
                "    " + decided(f) for f in self.all_flows() if f["destination"]["ip"] == API_SERVICE
                and f["source"]["ip"] in self.ends[source].addresses))

    def must_be_because(self, reason, source, address, port):
        """A packet of this source to there was stopped for this reason, lately."""
        found = [f for f in self.all_flows() if f["destination"]["ip"] == address and f["destination"].get("port") == port
                 and f["source"]["ip"] in self.ends[source].addresses and f["verdict"] == "DROPPED"]
        if not found or found[-1]["reason"] != reason:
            raise Failure(f"{source} -> {address} {port}: want {reason}\n" + "\n".join(decided(f) for f in found[-3:]))

    def in_net_of(self, source, *command, **options):
        """A program of this machine with the network of an end."""
        return subprocess.Popen(self.into(self.ends[source]) + list(command), **options)

    # --- the matrix ---------------------------------------------------------------------------

    def all_packets(self):
        for src in self.ends.values():
            for dst in self.ends.values():
                if src.kind != "pod" and dst.kind != "pod":
                    continue
                for port in PORTS if dst.kind == "pod" else HOST_PORTS:
                    for protocol in ("tcp", "udp"):
                        for family in FAMILIES:
                            yield Packet(src.name, dst.name, protocol, port, family)
            for front in self.fronts.values() if src.kind != "outside" else []:
                for protocol in front.protocols:
                    for family in FAMILIES:
                        yield Packet(src.name, front.name, protocol, front.port, family)

    def check(self, rounds=2):
        """What was changed is in force everywhere, and every pair of ends sees it so, twice."""
        self.bed.attest()
        meaning = [policy for policies in self.policies.values() for policy in policies]
        reference = Reference(self.ends, self.namespaces, meaning, self.verdicts.values())
        want = {packet: reference.answers(packet, self.fronts.get(packet.dst)) for packet in self.all_packets()}
        for turn in range(rounds):
            self.compare(want, f"matrix {turn + 1} of {rounds}")

    def compare(self, want, title):
        wrong = self.differences(want)
        self.cells += len(want)
        if wrong:
            raise Failure(f"{title}: {len(wrong)} of {len(want)} cells are wrong\n" + self.explain(wrong))

    def differences(self, want):
        """want: packet -> answers that are right."""
        wrong, questions = [], {}
        for packet, answers in want.items():
            questions.setdefault(packet.src, []).append((packet, answers))
        for src, cells in questions.items():
            self.probers[src].ask([(p.protocol, self.target(p).address(p.family), p.port, SILENT_MS if "silent" in answers else OPEN_MS)
                                   for p, answers in cells])
        for src, cells in questions.items():
            for (packet, answers), answer in zip(cells, self.probers[src].answers()):
                if answer not in answers:
                    wrong.append((packet, " or ".join(sorted(answers)), answer))
        return wrong

    def target(self, packet):
        return self.fronts.get(packet.dst) or self.ends[packet.dst]

    # --- when it is wrong ---------------------------------------------------------------------

    def all_flows(self):
        return [flow for node in NODES for flow in self.bed.flows(node)]

    def explain(self, wrong):
        flows, lines = self.all_flows(), []
        for packet, expected, answer in wrong[:SHOWN]:
            src, dst = self.ends[packet.src].address(packet.family), self.target(packet).address(packet.family)
            lines.append(f"{packet.src} ({src}) -> {packet.dst} ({dst}) {packet.protocol} {packet.port}: "
                         f"{answer}, want {expected}")
            lines += ["    " + decided(f) for f in flows if is_flow(f, packet, src, dst)][-2:]
        if len(wrong) > SHOWN:
            lines.append(f"and {len(wrong) - SHOWN} more")
        return "\n".join(lines)


def is_flow(flow, packet, src, dst):
    return (flow["source"]["ip"] == src and flow["destination"]["ip"] == dst
            and flow.get("protocol") == packet.protocol.upper() and flow["destination"].get("port") == packet.port)


def decided(flow):
    rule = flow.get("rule", {})
    name = "/".join(str(rule[k]) for k in ("kind", "namespace", "policy", "rule") if k in rule) or rule.get("tier")
    return (f"{flow['node']} {flow['direction']} {flow['verdict']} reason {flow['reason']} rule {name} "
            f"isolating {flow.get('isolating', [])} at {flow['time']}")


def ready_of(pod):
    return next((c for c in pod["status"].get("conditions", []) if c["type"] == "Ready"), {"status": "Unknown"})


# --- objects ------------------------------------------------------------------------------------

def key_of(document):
    kind = {"NetworkPolicy": "networkpolicies", "ConfigMap": "configmaps", "Service": "services"}[document["kind"]]
    return kind, document["metadata"]["namespace"], document["metadata"]["name"]


def pod_name(end):
    return end.name.split("/")[1]


def namespace_object(name, labels):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def pod_object(end):
    """Its readiness is what the kubelet sees over the network."""
    named = [{"name": name, "protocol": protocol.upper(), "containerPort": port}
             for (name, protocol), port in end.named.items()]
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": pod_name(end), "namespace": end.namespace, "labels": {**end.labels, "app": pod_name(end), **({"member": "matrix"} if pod_name(end) in NAMED else {})}},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": end.node},
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "main", "image": IMAGE, "args": ["serve", end.name] + [str(p) for p in PORTS], "ports": named,
                "readinessProbe": {"periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 5, "tcpSocket": {"port": 80}},
            }]}}


def host_pod_object(node):
    """With labels that selectors of the cases match: they must not."""
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": f"host-{node}", "namespace": "matrix-x", "labels": {"pod": "a"}},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": node}, "hostNetwork": True, "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "main", "image": IMAGE, "args": ["serve", node] + [str(p) for p in HOST_PORTS]}]}}


def asking_pod(name, node, labels, address):
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "matrix-x", "labels": labels},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": node}, "restartPolicy": "Never", "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "main", "image": IMAGE, "args": ["try", "tcp", address, str(PORTS[0]), "700"]}]}}


def service(namespace, name, port, target, selector, protocols=("tcp", "udp"), **spec):
    ports = [{"name": p, "protocol": p.upper(), "port": port, "targetPort": target} for p in protocols]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
            "spec": {"ipFamilyPolicy": "RequireDualStack", "selector": selector, "ports": ports, **spec}}


def base_fronts(ends):
    """A Service for each pod; one for all of namespace y, one by the name of a port."""
    for end in ends:
        name = f"only-{pod_name(end)}"
        yield (Front(f"{end.namespace[-1]}/{name}", 1000, [(end.name, PORTS[0])]),
               service(end.namespace, name, 1000, PORTS[0], {"app": pod_name(end)}))
    some = [end for end in ends if end.namespace == "matrix-y"]
    yield (Front("y/all", 1001, [(end.name, PORTS[1]) for end in some]), service("matrix-y", "all", 1001, PORTS[1], {"member": "matrix"}))
    yield (Front("y/web", 1002, [(end.name, end.named["web", "tcp"]) for end in some if end.named], protocols=("tcp",)),
           service("matrix-y", "web", 1002, "web", {"member": "matrix"}, protocols=("tcp",)))


def marker_objects():
    """See Bed.attest."""
    where = {"name": "marker", "namespace": "matrix-z"}
    return [
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": where,
         "spec": {"podSelector": {"matchLabels": {"no": "pod"}}}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**where, "labels": {"berm.dev/policy": "v1"}}, "data": {}},
        {"apiVersion": "v1", "kind": "Service", "metadata": where, "spec": {"ports": [{"port": 1}]}},
        {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": where, "addressType": "IPv4", "endpoints": []},
    ]


def segmentation(namespace, name, **spec):
    """A SegmentationPolicy in its ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": namespace, "labels": {"berm.dev/policy": "v1"}},
            "data": {"policy.yaml": json.dumps({"kind": "SegmentationPolicy", "name": name, **spec})}}


def network(namespace, name, selector=None, **spec):
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name, "namespace": namespace},
            "spec": {"podSelector": selector or {}, **spec}}
