# SPDX-License-Identifier: Apache-2.0
"""oracle.py - what documents say about one new flow, read as they are written, rule by rule.

Naive on purpose: loops over everything, remembers nothing, and has nothing in common with the compiler but the page
that both follow (docs/policy.md). Documents are the objects that `kubectl get -o json` would show; policies of ours are
ConfigMaps with a JSON text in each key. Only good documents are understood: what is wrong with bad ones is lint's business.
"""

import ipaddress
import json
import re
from dataclasses import dataclass, field, replace

SYSTEM = "berm-system"
NAME_LABEL = "kubernetes.io/metadata.name"
ICMP_TYPES = {  # name: (IPv4, IPv6)
    "echo-reply": (0, 129),
    "destination-unreachable": (3, 1),
    "packet-too-big": (None, 2),
    "redirect": (5, 137),
    "echo-request": (8, 128),
    "router-advertisement": (9, 134),
    "router-solicitation": (10, 133),
    "time-exceeded": (11, 3),
    "parameter-problem": (12, 4),
    "timestamp-request": (13, None),
    "timestamp-reply": (14, None),
    "neighbor-solicitation": (None, 135),
    "neighbor-advertisement": (None, 136),
}


@dataclass
class Question:
    """A new flow at one of its ends: `pod` is (namespace, name) of a pod of this node."""

    pod: tuple
    direction: str  # "ingress" or "egress"
    peer: object  # ipaddress
    plane: str  # TCP, UDP, SCTP, ICMP, ICMPv6 or OTHER
    port: int  # of the side that is asked; ICMP: type << 8 | code; OTHER: protocol number
    is_nobody: bool = False  # the peer's address stands for others, and nobody knows for whom


@dataclass
class Answer:
    action: str  # "allow", "deny" or "reject"
    reason: str
    rule: str = ""  # "kind namespace/policy:rule"; of an implicit denial the isolating policies


@dataclass
class Rule:
    name: str
    action: str  # Allow, Deny, Reject, Pass, Log
    peers: object  # list of functions(world, policy, address) -> bool, or None: everyone
    ports: object  # list of functions(world, question) -> bool, or None: everything
    position: int


@dataclass
class Policy:
    kind: str
    namespace: str
    name: str
    tier: str
    priority: int
    selects: object  # function(world, pod) -> bool
    isolates: set = field(default_factory=set)
    essentials: set = field(default_factory=set)
    rejects: bool = False  # what it denies implicitly
    rules: dict = field(default_factory=lambda: {"ingress": [], "egress": []})


# ---- selectors ---------------------------------------------------------------------------------------------------------


def matches(selector, labels):
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for item in selector.get("matchExpressions") or []:
        value = labels.get(item["key"])
        holds = {
            "In": lambda: value is not None and value in item["values"],
            "NotIn": lambda: value is None or value not in item["values"],
            "Exists": lambda: value is not None,
            "DoesNotExist": lambda: value is None,
        }[item["operator"]]()
        if not holds:
            return False
    return True


# ---- the cluster ---------------------------------------------------------------------------------------------------------


class World:
    """Everything that has been said, and what this node knows by itself."""

    def __init__(self, objects, local, node_addresses):
        self.local = local  # {(namespace, name): [addresses]}, as the CNI told
        self.node_addresses = node_addresses
        self.namespaces, self.pods, self.policies = {}, [], []
        self.services, self.slices, self.service_cidrs = [], [], []
        for item in objects:
            self.take(item)

    def take(self, item):
        kind = item["kind"]
        if kind == "Namespace":
            meta = item["metadata"]
            self.namespaces[meta["name"]] = dict(meta.get("labels") or {})
        elif kind == "Pod":
            self.pods.append(item)
        elif kind == "ConfigMap":
            for text in item["data"].values():
                self.policies.append(segmentation(json.loads(text), item["metadata"]["namespace"]))
        elif kind == "NetworkPolicy":
            self.policies.append(network(item))
        elif kind == "ClusterNetworkPolicy":
            self.policies.append(cluster(item))
        elif kind == "Service" and has_addresses(item):
            self.services.append(item)
        elif kind == "EndpointSlice":
            self.slices.append(item)
        elif kind == "ServiceCIDR":
            self.service_cidrs += item["spec"]["cidrs"]
        self.policies = [p for p in self.policies if p]

    def namespace_labels(self, name):
        return {**self.namespaces.get(name, {}), NAME_LABEL: name}

    def denies_by_default(self, name):
        return self.namespaces.get(name, {}).get("berm.dev/default-verdict") == "deny"

    def pod(self, key):
        return next((p for p in self.pods if key_of(p) == key), None)

    def owner(self, address):
        """The pod that has this address now: of this node by what the CNI told, else the youngest that lives."""
        for key, addresses in self.local.items():
            if address in addresses:
                return self.pod(key)
        claims = [p for p in self.pods if self.claims(p, address)]
        return max(claims, key=lambda p: p["metadata"]["creationTimestamp"]) if claims else None

    def claims(self, pod, address):
        if key_of(pod) in self.local:
            return False  # it has what the CNI gave it
        if pod["spec"].get("hostNetwork") or pod["status"].get("phase") in ("Succeeded", "Failed"):
            return False
        return address in addresses_of(pod)


def key_of(pod):
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


def labels_of(pod):
    return pod["metadata"].get("labels") or {}


def addresses_of(pod):
    return [ipaddress.ip_address(a["ip"]) for a in pod["status"].get("podIPs") or []]


def named_ports(pod):
    containers = list(pod["spec"].get("containers") or [])
    containers += [c for c in pod["spec"].get("initContainers") or [] if c.get("restartPolicy") == "Always"]
    for container in containers:
        for port in container.get("ports") or []:
            if port.get("name"):
                yield port["name"], port.get("protocol") or "TCP", port["containerPort"]


# ---- Services ------------------------------------------------------------------------------------------------------------


def has_addresses(service):
    """Not headless, no ExternalName, not another proxy's."""
    spec = service["spec"]
    proxy = "service.kubernetes.io/service-proxy-name" in (service["metadata"].get("labels") or {})
    return not proxy and spec.get("type") != "ExternalName" and spec.get("clusterIP") not in (None, "", "None")


def cluster_addresses(service):
    spec = service["spec"]
    return [ipaddress.ip_address(a) for a in spec.get("clusterIPs") or [spec["clusterIP"]]]


def external_addresses(service):
    found = list(service["spec"].get("externalIPs") or [])
    for item in ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []:
        if item.get("ip") and item.get("ipMode", "VIP") == "VIP":
            found.append(item["ip"])
    return [ipaddress.ip_address(a) for a in found]


def is_in_use(endpoint):
    """Ready, where nobody says otherwise; or still serving while it ends."""
    conditions = endpoint.get("conditions") or {}
    ready = conditions.get("ready")
    if ready is None or ready:
        return True
    return bool(conditions.get("serving") and conditions.get("terminating"))


def is_here(world, endpoint):
    """On this node: as it says, or where it does not, by its address."""
    if "nodeName" in endpoint:
        return endpoint["nodeName"] == "here"
    address = ipaddress.ip_address(endpoint["addresses"][0])
    return address in world.node_addresses or any(address in a for a in world.local.values())


def targets(world, service, port, version, only_here):
    """{(address, port)} behind one port of a Service."""
    found = set()
    for item in world.slices:
        meta = item["metadata"]
        named = (meta.get("labels") or {}).get("kubernetes.io/service-name")
        if meta["namespace"] != service["metadata"]["namespace"] or named != service["metadata"]["name"]:
            continue
        for led in item.get("ports") or []:
            if (led.get("name") or "") != (port.get("name") or "") or led.get("protocol", "TCP") != port.get("protocol", "TCP"):
                continue
            for endpoint in item["endpoints"]:
                address = ipaddress.ip_address(endpoint["addresses"][0])
                if address.version == version and is_in_use(endpoint) and (not only_here or is_here(world, endpoint)):
                    found.add((address, led["port"]))
    return found


def places(world, question):
    """What stands at this address and port: (does something?, {(address, port)} it leads to)."""
    is_place, found = False, set()
    at, version = question.peer, question.peer.version
    for service in world.services:
        spec = service["spec"]
        cluster, external = at in cluster_addresses(service), at in external_addresses(service)
        families = {a.version for a in cluster_addresses(service)}
        for port in spec["ports"]:
            if port.get("protocol", "TCP") != question.plane:
                continue
            if (cluster or external) and port["port"] == question.port:
                is_place = True
                only_here = spec.get("internalTrafficPolicy") == "Local" and not external
                found |= targets(world, service, port, version, only_here)
            if at in world.node_addresses and port.get("nodePort") == question.port and version in families:
                is_place = True
                found |= targets(world, service, port, version, False)
    for address, port in host_ports(world, question):
        is_place = True
        found.add((address, port))
    return is_place, found


def host_ports(world, question):
    """Of this node's pods."""
    for key, addresses in world.local.items():
        pod = world.pod(key)
        containers = list(pod["spec"].get("containers") or [])
        containers += [c for c in pod["spec"].get("initContainers") or [] if c.get("restartPolicy") == "Always"]
        for port in (p for c in containers for p in c.get("ports") or []):
            if question.peer not in world.node_addresses or port.get("hostPort") != question.port:
                continue
            if (port.get("protocol") or "TCP") != question.plane:
                continue
            for address in addresses:
                if address.version == question.peer.version:
                    yield address, port["containerPort"]


def is_owned(world, address):
    return address in world.node_addresses or world.owner(address) is not None


def is_service_address(world, address):
    """It stands for others, whatever the port."""
    if any(address in cluster_addresses(s) for s in world.services):
        return True
    if is_owned(world, address):
        return False
    if any(address in external_addresses(s) for s in world.services):
        return True
    return any(in_block(c, address) for c in world.service_cidrs)


def is_behind(world, namespace, name, question):
    """Is it an endpoint of this Service, on that endpoint's own port?"""
    for service in world.services:
        meta = service["metadata"]
        if (meta["namespace"], meta["name"]) != (namespace, name):
            continue
        for port in service["spec"]["ports"]:
            if port.get("protocol", "TCP") == question.plane:
                if (question.peer, question.port) in targets(world, service, port, question.peer.version, False):
                    return True
    return False


# ---- peers ---------------------------------------------------------------------------------------------------------------


def in_block(block, address):
    net = ipaddress.ip_network(block, strict=False)
    return net.version == address.version and address in net


def peer_block(item):
    def test(_world, _policy, address):
        return in_block(item["cidr"], address) and not any(in_block(e, address) for e in item.get("except") or [])

    return test


def peer_pods(pod_selector, namespace_selector, own_namespace):
    """own_namespace: only pods of the policy's namespace, where no namespaces are selected; None: of every one."""

    def test(world, _policy, address):
        pod = world.owner(address)
        if not pod:
            return False
        namespace = pod["metadata"]["namespace"]
        if namespace_selector is not None:
            if not matches(namespace_selector, world.namespace_labels(namespace)):
                return False
        elif own_namespace is not None and namespace != own_namespace:
            return False
        return pod_selector is None or matches(pod_selector, labels_of(pod))

    return test


def everyone(_world, _policy, _address):
    return True


def peer(item, own_namespace):
    if item.get("any"):
        return everyone
    if "ipBlock" in item:
        return peer_block(item["ipBlock"])
    return peer_pods(item.get("podSelector"), item.get("namespaceSelector"), own_namespace)


# ---- ports ---------------------------------------------------------------------------------------------------------------


def destination(world, question):
    return world.pod(question.pod) if question.direction == "ingress" else world.owner(question.peer)


def port_number(protocol, first, last):
    return lambda _world, q: q.plane == protocol and first <= q.port <= last


def port_name(protocol, name):
    def test(world, q):
        pod = destination(world, q)
        return bool(pod) and (name, q.plane, q.port) in named_ports(pod) and protocol in (None, q.plane)

    return test


def port(item):
    protocol = item.get("protocol") or "TCP"
    wanted = item.get("port")
    if wanted is None:
        return port_number(protocol, 0, 65535)
    if isinstance(wanted, str):
        return port_name(protocol, wanted)
    return port_number(protocol, wanted, item.get("endPort") or wanted)


def icmp(item):
    def test(_world, q):
        if q.plane not in ("ICMP", "ICMPv6"):
            return False
        version = 4 if q.plane == "ICMP" else 6
        if item.get("family") not in (None, f"IPv{version}"):
            return False
        kind = item["type"]
        if kind == "any":
            return True
        if isinstance(kind, str):
            kind = ICMP_TYPES[kind][version == 6]
        return kind == q.port >> 8 and item.get("code") in (None, q.port & 0xFF)

    return test


# ---- documents -----------------------------------------------------------------------------------------------------------


def segmentation(doc, namespace):
    if doc.get("mode") in ("audit", "disabled"):  # what is only tried decides nothing
        return None
    is_system = namespace == SYSTEM
    subject = doc.get("subject") or {}
    policy = Policy(
        kind="SegmentationPolicy",
        namespace=namespace,
        name=doc["name"],
        tier=doc.get("tier") or "application",
        priority=doc.get("priority", 500),
        selects=peer_subject(subject.get("podSelector"), subject.get("namespaceSelector"), None if is_system else namespace),
        isolates={d.lower() for d in doc.get("isolate") or []},
        essentials=set(doc.get("essentials", ["dns", "apiserver"])),
        rejects=doc.get("denyWith") == "Reject",
    )
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for i, rule in enumerate(doc.get(direction) or []):
            if rule.get("mode") in ("audit", "disabled"):
                continue
            policy.rules[direction].append(
                Rule(
                    name=rule.get("name") or f"#{i}",
                    action=rule.get("action") or "Allow",
                    peers=[peer(p, None if is_system else namespace) for p in rule[peers]] if peers in rule else None,
                    ports=segmentation_ports(rule),
                    position=i,
                )
            )
    return policy


def segmentation_ports(rule):
    if "ports" not in rule and "icmp" not in rule:
        return None
    return [port(p) for p in rule.get("ports") or []] + [icmp(m) for m in rule.get("icmp") or []]


def peer_subject(pod_selector, namespace_selector, own_namespace):
    def test(world, pod):
        namespace = pod["metadata"]["namespace"]
        if own_namespace is not None and namespace != own_namespace:
            return False
        if namespace_selector is not None and not matches(namespace_selector, world.namespace_labels(namespace)):
            return False
        return pod_selector is None or matches(pod_selector, labels_of(pod))

    return test


def network(doc):
    meta, spec = doc["metadata"], doc["spec"]
    namespace = meta.get("namespace") or "default"
    types = {t.lower() for t in spec.get("policyTypes") or []}
    if not types:
        types = {"ingress"} | ({"egress"} if spec.get("egress") else set())
    policy = Policy(
        kind="NetworkPolicy",
        namespace=namespace,
        name=meta["name"],
        tier="networkpolicy",
        priority=0,
        selects=peer_subject(spec.get("podSelector"), None, namespace),
        isolates=types,
    )
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for i, rule in enumerate(spec.get(direction) or []):
            if direction in types:
                policy.rules[direction].append(
                    Rule(
                        name=f"#{i}",
                        action="Allow",
                        peers=[peer(p, namespace) for p in rule[peers]] if rule.get(peers) else None,
                        ports=[port(p) for p in rule["ports"]] if rule.get("ports") else None,
                        position=i,
                    )
                )
    return policy


def cluster(doc):
    spec = doc["spec"]
    policy = Policy(
        kind="ClusterNetworkPolicy",
        namespace="",
        name=doc["metadata"]["name"],
        tier=spec["tier"].lower(),
        priority=spec["priority"],
        selects=cluster_subject(spec["subject"]),
    )
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        names = set()
        for i, rule in enumerate(spec.get(direction) or []):
            policy.rules[direction].append(
                Rule(
                    name=cluster_name(rule, i, names),
                    action="Allow" if rule["action"] == "Accept" else rule["action"],
                    peers=[test for p in rule[peers] for test in cluster_peer(p)],
                    ports=[cluster_port(p) for p in rule["protocols"]] if rule.get("protocols") else None,
                    position=i,
                )
            )
    return policy


def cluster_name(rule, position, seen):
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", rule.get("name") or "")
    if not name or name in seen:
        return f"#{position}"
    seen.add(name)
    return name


def cluster_subject(subject):
    if "namespaces" in subject:
        return peer_subject(None, subject["namespaces"], None)
    pods = subject["pods"]
    return peer_subject(pods.get("podSelector"), pods.get("namespaceSelector"), None)


def cluster_peer(item):
    if "networks" in item:
        return [peer_block({"cidr": c}) for c in item["networks"]]
    if "namespaces" in item:
        return [peer_pods(None, item["namespaces"], None)]
    pods = item["pods"]
    return [peer_pods(pods.get("podSelector"), pods.get("namespaceSelector"), None)]


def cluster_port(item):
    if "destinationNamedPort" in item:
        return port_name(None, item["destinationNamedPort"])
    ((protocol, body),) = item.items()
    wanted = (body or {}).get("destinationPort")
    if not wanted:
        return port_number(protocol.upper(), 0, 65535)
    if "number" in wanted:
        return port_number(protocol.upper(), wanted["number"], wanted["number"])
    return port_number(protocol.upper(), wanted["range"]["start"], wanted["range"]["end"])


# ---- evaluation ------------------------------------------------------------------------------------------------------------

DECIDES_FIRST = {"Deny": 0, "Reject": 0, "Allow": 1, "Log": 2, "Pass": 3}


def peers_match(world, policy, rule, question):
    if rule.peers is None:
        return True
    if question.is_nobody:
        return everyone in rule.peers
    return any(test(world, policy, question.peer) for test in rule.peers)


def rule_matches(world, policy, rule, question):
    if not peers_match(world, policy, rule, question):
        return False
    return rule.ports is None or any(test(world, question) for test in rule.ports)


def order(policy, rule):
    if policy.kind == "ClusterNetworkPolicy":
        return (policy.priority, 1, policy.name, rule.position)
    if policy.kind == "NetworkPolicy":
        return (0, 0, policy.namespace, policy.name, rule.position)
    return (policy.priority, 0, DECIDES_FIRST[rule.action], policy.namespace, policy.name, rule.position)


def first_match(world, policies, tier, question):
    """(policy, rule) that decides in this stage, or None: nothing matches, or a Pass does."""
    found = [
        (policy, rule)
        for policy in policies
        if policy.tier == tier
        for rule in policy.rules[question.direction]
        if rule.action != "Log" and rule_matches(world, policy, rule, question)
    ]
    if not found:
        return None
    policy, rule = min(found, key=lambda item: order(*item))
    return None if rule.action == "Pass" else (policy, rule)


def title(policy):
    return f"{policy.namespace}/{policy.name}" if policy.namespace else policy.name


def by_kind(policy):
    return policy.kind == "NetworkPolicy", policy.namespace, policy.name


def decided(found):
    policy, rule = found
    label = f"{policy.kind} {title(policy)}:{rule.name}"
    return Answer(*{"Allow": ("allow", "policy-allow"), "Deny": ("deny", "policy-deny"), "Reject": ("reject", "policy-deny")}[rule.action], label)


def is_essential(world, question, granted):
    if question.direction != "egress" or question.is_nobody:
        return False
    if question.peer in world.node_addresses:
        return True
    if "apiserver" in granted and question.plane == "TCP" and is_behind(world, "default", "kubernetes", question):
        return True
    if "dns" in granted and question.plane in ("TCP", "UDP") and is_behind(world, "kube-system", "kube-dns", question):
        return True
    if "dns" in granted and question.plane in ("TCP", "UDP") and question.port == 53:
        pod = world.owner(question.peer)
        return bool(pod) and pod["metadata"]["namespace"] == "kube-system" and labels_of(pod).get("k8s-app") == "kube-dns"
    return False


def evaluate(world, question):
    """A connection to a Service is judged on those behind it: they all agree, or nobody knows whom it would come to."""
    if question.direction == "ingress":
        return evaluate_one(world, question)
    is_place, found = places(world, question)
    if not found:
        nobody = is_place or is_service_address(world, question.peer)
        return evaluate_one(world, replace(question, is_nobody=nobody))
    answers = []
    for address, port in sorted(found):
        nobody = is_service_address(world, address)
        answers.append(evaluate_one(world, replace(question, peer=address, port=port, is_nobody=nobody)))
    if len({a.action == "allow" for a in answers}) > 1:
        return Answer("deny", "service-mixed")
    return answers[0]


def evaluate_one(world, question):
    """The peer as what it is, whoever leads there."""
    pod = world.pod(question.pod)
    namespace = question.pod[0]
    policies = [p for p in world.policies if p.selects(world, pod)]
    isolating = [p for p in policies if question.direction in p.isolates]
    stages = ["emergency", "admin", "application", "networkpolicy"]
    for tier in stages if isolating else stages + ["baseline"]:
        found = first_match(world, policies, tier, question)
        if found:
            return decided(found)
    both = {"dns", "apiserver"}
    if isolating:
        granted = set.intersection(both, *(p.essentials for p in isolating))
        if is_essential(world, question, granted):
            return Answer("allow", "essential")
        if question.is_nobody:
            return Answer("deny", "service-unknown")
        action = "reject" if all(p.rejects for p in isolating) else "deny"
        return Answer(action, "default-deny", ",".join(title(p) for p in sorted(isolating, key=by_kind)))
    if world.denies_by_default(namespace):
        if is_essential(world, question, both):
            return Answer("allow", "essential")
        if question.is_nobody:
            return Answer("deny", "service-unknown")
        return Answer("deny", "default-deny", namespace)
    return Answer("allow", "not-isolated")
