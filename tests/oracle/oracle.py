# SPDX-License-Identifier: Apache-2.0
"""oracle.py - what documents say about one new flow, read as they are written, rule by rule.

Naive on purpose: loops over everything, remembers nothing, and has nothing in common with the compiler but the page
that both follow (docs/policy.md). Documents are the objects that `kubectl get -o json` would show; policies of ours are
ConfigMaps with a JSON text in each key. Only good documents are understood: what is wrong with bad ones is lint's business.
What an address, a name or a block comes to is looked up once in a world: that is all it remembers.
"""

import ipaddress
import json
import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache

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

DIMENSIONS = {  # where they come from if no LabelMapping says otherwise; the first that is there counts
    "role": [
        {"pod": "berm.dev/role"},
        {"pod": "app.kubernetes.io/component"},
        {"pod": "app.kubernetes.io/name"},
        {"namespace": "berm.dev/role"},
    ],
    "app": [{"namespace": "berm.dev/app"}, {"namespace": "app.kubernetes.io/part-of"}],
    "env": [{"namespace": "berm.dev/env"}],
    "loc": [{"namespace": "berm.dev/loc"}],
}


@dataclass
class Question:
    """A new flow at one of its ends: `pod` is (namespace, name) of a pod of this node."""

    pod: tuple
    direction: str  # "ingress" or "egress"
    peer: object  # ipaddress
    plane: str  # TCP, UDP, SCTP, ICMP, ICMPv6 or OTHER
    port: int  # of the side that is asked; ICMP: type << 8 | code; OTHER: protocol number
    source_port: int = 0  # of the side that asks; 0: one that nobody speaks of
    is_nobody: bool = False  # the peer's address stands for others, and nobody knows for whom
    seen: tuple = ()  # (plane, source, its port, destination, its port) as the pod's device sees it


@dataclass
class Answer:
    action: str  # "allow", "deny" or "reject"
    reason: str
    rule: str = ""  # "kind namespace/policy:rule"; of an implicit denial the isolating policies
    log: tuple = ("", 0)  # the first Log that was met, likewise, and one in how many it wants told
    own_log: tuple = ("", 0)  # the same of the Allow itself; counts only where no Log was met
    would: object = None  # Answer if all that is only tried were in force, where that does something else
    flow: object = None  # (policy, rule) if it was an exact flow that decided


@dataclass
class Rule:
    name: str
    action: str  # Allow, Deny, Reject, Pass, Log
    peers: object  # list of functions(world, policy, address) -> bool, or None: everyone
    ports: object  # list of functions(world, question) -> bool, or None: everything
    position: int
    is_audit: bool = False
    is_flow: bool = False
    sample: int = 0  # an event for one in so many; 0: none of its own


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
    is_audit: bool = False
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

    def __init__(self, objects, local, node_addresses, now):
        self.local = local  # {(namespace, name): [addresses]}, as the CNI told
        self.node_addresses = node_addresses
        self.now = now  # seconds
        self.namespaces, self.pods = {}, {}
        self.documents, self.policies = [], []
        self.sets, self.mappings = {}, {}
        self.services, self.slices, self.service_cidrs = [], [], []
        self.owners, self.stages = {}, {}  # what has been looked up
        for item in objects:
            self.take(item)
        for doc, namespace in self.documents:
            self.take_document(doc, namespace)
        self.policies += [p for d, n in self.documents if d["kind"] == "SegmentationPolicy" for p in [segmentation(self, d, n)] if p]

    def take(self, item):
        kind = item["kind"]
        if kind == "Namespace":
            meta = item["metadata"]
            self.namespaces[meta["name"]] = dict(meta.get("labels") or {})
        elif kind == "Pod":
            self.pods[key_of(item)] = item
        elif kind == "ConfigMap":
            self.documents += [(json.loads(text), item["metadata"]["namespace"]) for text in item["data"].values()]
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

    def take_document(self, doc, namespace):
        if doc["kind"] == "IPSet":
            self.sets[(namespace, doc["name"])] = doc["cidrs"]
        elif doc["kind"] == "LabelMapping":
            self.mappings[doc["name"]] = doc

    def is_over(self, item):
        """It has expired: from that very second on."""
        return "expires" in item and moment(item["expires"]) <= self.now

    def blocks(self, namespace, name):
        """Of the IPSet that a policy of this namespace means; None: there is none."""
        own = self.sets.get((namespace, name))
        return self.sets.get((SYSTEM, name)) if own is None else own

    def namespace_labels(self, name):
        return {**self.namespaces.get(name, {}), NAME_LABEL: name}

    def denies_by_default(self, name):
        return self.namespaces.get(name, {}).get("berm.dev/default-verdict") == "deny"

    def workload(self, pod):
        """{dimension: value} of a pod; what it has not is not there."""
        sources = dict(DIMENSIONS)
        if self.mappings:
            sources.update({d: v for d, v in self.mappings[min(self.mappings)].items() if d in DIMENSIONS})
        labels = {"pod": labels_of(pod), "namespace": self.namespace_labels(pod["metadata"]["namespace"])}
        found = {}
        for dimension, items in sources.items():
            for side, label in (pair for item in items for pair in item.items()):
                if dimension not in found and label in labels[side]:
                    found[dimension] = labels[side][label]
        return found

    def is_workload(self, pod, wanted):
        if not wanted:
            return True
        has = self.workload(pod)
        return all(has.get(dimension) == value for dimension, value in wanted.items())

    def pod(self, key):
        return self.pods.get(key)

    def owner(self, address):
        if address not in self.owners:
            self.owners[address] = self.find_owner(address)
        return self.owners[address]

    def find_owner(self, address):
        """The pod that has this address now: of this node by what the CNI told, else the youngest that lives."""
        for key, addresses in self.local.items():
            if address in addresses:
                return self.pod(key)
        claims = [p for p in self.pods.values() if self.claims(p, address)]
        return max(claims, key=lambda p: p["metadata"]["creationTimestamp"]) if claims else None

    def claims(self, pod, address):
        if key_of(pod) in self.local:
            return False  # it has what the CNI gave it
        if pod["spec"].get("hostNetwork") or pod["status"].get("phase") in ("Succeeded", "Failed"):
            return False
        return address in addresses_of(pod)


@lru_cache(4096)
def moment(text):
    """Seconds; parts of one are dropped."""
    return datetime.fromisoformat(re.sub(r"\.\d+", "", text).replace("Z", "+00:00")).timestamp()


@lru_cache(65536)
def address_of(text):
    return ipaddress.ip_address(text)


@lru_cache(65536)
def block_of(text):
    net = ipaddress.ip_network(text, strict=False)
    return net.version, int(net.network_address), int(net.broadcast_address)


def key_of(pod):
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


def labels_of(pod):
    return pod["metadata"].get("labels") or {}


def addresses_of(pod):
    return [address_of(a["ip"]) for a in pod["status"].get("podIPs") or []]


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
    return [address_of(a) for a in spec.get("clusterIPs") or [spec["clusterIP"]]]


def external_addresses(service):
    found = list(service["spec"].get("externalIPs") or [])
    for item in ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []:
        if item.get("ip") and item.get("ipMode", "VIP") == "VIP":
            found.append(item["ip"])
    return [address_of(a) for a in found]


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
    address = address_of(endpoint["addresses"][0])
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
                address = address_of(endpoint["addresses"][0])
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
    version, first, last = block_of(block)
    return version == address.version and first <= int(address) <= last


def peer_block(item):
    def test(_world, _policy, address):
        return in_block(item["cidr"], address) and not any(in_block(e, address) for e in item.get("except") or [])

    return test


def peer_pods(item, own_namespace, scope=None):
    """own_namespace: only pods of the policy's namespace, where no namespaces are selected; None: of every one."""
    chosen = selected(item, own_namespace, scope)

    def test(world, _policy, address):
        pod = world.owner(address)
        return bool(pod) and chosen(world, pod)

    return test


def selected(item, own_namespace, scope=None):
    """Is it a pod that all of podSelector, namespaceSelector, workload and the policy's scope mean?"""

    def test(world, pod):
        namespace = pod["metadata"]["namespace"]
        if item.get("namespaceSelector") is not None:
            if not matches(item["namespaceSelector"], world.namespace_labels(namespace)):
                return False
        elif own_namespace is not None and namespace != own_namespace:
            return False
        if item.get("podSelector") is not None and not matches(item["podSelector"], labels_of(pod)):
            return False
        return world.is_workload(pod, item.get("workload")) and world.is_workload(pod, scope)

    return test


def everyone(_world, _policy, _address):
    return True


def peer(item, own_namespace, scope=None):
    if item.get("any"):
        return everyone
    if "ipBlock" in item:
        return peer_block(item["ipBlock"])
    return peer_pods(item, own_namespace, None if item.get("scope") == "any" else scope)


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


def segmentation(world, doc, namespace):
    """None: it says nothing, or nothing any more."""
    if doc.get("mode") == "disabled" or world.is_over(doc):
        return None
    own = None if namespace == SYSTEM else namespace
    policy = Policy(
        kind="SegmentationPolicy",
        namespace=namespace,
        name=doc["name"],
        tier=doc.get("tier") or "application",
        priority=doc.get("priority", 500),
        selects=subject(doc.get("subject") or {}, own, doc.get("scope")),
        isolates={d.lower() for d in doc.get("isolate") or []},
        essentials=set(doc.get("essentials", ["dns", "apiserver"])),
        rejects=doc.get("denyWith") == "Reject",
        is_audit=doc.get("mode") == "audit",
    )
    for direction in ("ingress", "egress"):
        for i, rule in enumerate(doc.get(direction) or []):
            if rule.get("mode") != "disabled" and not world.is_over(rule):
                policy.rules[direction].append(segmentation_rule(world, policy, doc, (direction, i)))
    for i, flow in enumerate(doc.get("flows") or []):
        policy.rules[flow["direction"].lower()].append(exact(policy, flow, i))
    return policy


def segmentation_rule(world, policy, doc, place):
    direction, number = place
    item = doc[direction][number]
    rule = Rule(
        name=item.get("name") or f"#{number}",
        action=item.get("action") or "Allow",
        peers=None,
        ports=segmentation_ports(item),
        position=number,
        is_audit=policy.is_audit or item.get("mode") == "audit",
        sample=(item.get("log") or {}).get("sample", 1 if item.get("action") == "Log" else 0),
    )
    listed = item.get("from" if direction == "ingress" else "to")
    if listed is None:
        return rule
    own = None if policy.namespace == SYSTEM else policy.namespace
    sets = {p["ipSet"]: world.blocks(policy.namespace, p["ipSet"]) for p in listed if "ipSet" in p}
    if None in sets.values() and rule.action not in ("Allow", "Log"):
        rule.action, rule.ports = "Deny", None  # nobody knows whom it means
        return rule
    rule.peers = [t for p in listed for t in (peer_set(p, sets) if "ipSet" in p else [peer(p, own, doc.get("scope"))])]
    return rule


def peer_set(item, sets):
    return [peer_block({"cidr": c, "except": item.get("except")}) for c in sets[item["ipSet"]] or []]


def exact(policy, item, number):
    """A rule about one connection, as the pod's device sees it."""
    wanted = (item["protocol"], address_of(item["src"]), item["srcPort"], address_of(item["dst"]), item["dstPort"])
    return Rule(
        name=f"flows/{item['name']}" if item.get("name") else "flows",
        action=item["action"],
        peers=None,
        ports=[lambda _world, q: q.seen == wanted],
        position=number,
        is_audit=policy.is_audit,
        is_flow=True,
    )


def segmentation_ports(rule):
    if "ports" not in rule and "icmp" not in rule:
        return None
    return [port(p) for p in rule.get("ports") or []] + [icmp(m) for m in rule.get("icmp") or []]


def subject(item, own_namespace, scope=None):
    """Here the own namespace is a limit, whatever namespaces are selected."""
    chosen = selected(item, None, scope)

    def test(world, pod):
        return own_namespace in (None, pod["metadata"]["namespace"]) and chosen(world, pod)

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
        selects=subject({"podSelector": spec.get("podSelector")}, namespace),
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


def cluster_subject(item):
    return subject({"namespaceSelector": item["namespaces"]} if "namespaces" in item else item["pods"], None)


def cluster_peer(item):
    if "networks" in item:
        return [peer_block({"cidr": c}) for c in item["networks"]]
    return [peer_pods({"namespaceSelector": item["namespaces"]} if "namespaces" in item else item["pods"], None)]


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

DECIDES_FIRST = {"Deny": 2, "Reject": 2, "Allow": 3, "Log": 4, "Pass": 5}
FLOW_FIRST = {"Deny": 0, "Reject": 0, "Allow": 1}


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
        return (policy.priority, 1, 0, policy.name, "", rule.position)
    if policy.kind == "NetworkPolicy":
        return (0, 0, 0, policy.namespace, policy.name, rule.position)
    first = FLOW_FIRST[rule.action] if rule.is_flow else DECIDES_FIRST[rule.action]
    return (policy.priority, 0, first, policy.namespace, policy.name, rule.position)


def title(policy):
    return f"{policy.namespace}/{policy.name}" if policy.namespace else policy.name


def label(policy, rule):
    return f"{policy.kind} {title(policy)}:{rule.name}"


def by_kind(policy):
    return policy.kind == "NetworkPolicy", policy.namespace, policy.name


def decided(policy, rule, log):
    action, reason = {
        "Allow": ("allow", "policy-allow"),
        "Deny": ("deny", "policy-deny"),
        "Reject": ("reject", "policy-deny"),
    }[rule.action]
    answer = Answer(action, reason, label(policy, rule), log, flow=(policy, rule) if rule.is_flow else None)
    if rule.sample:
        answer.own_log = answer.rule, rule.sample
    return answer


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


@dataclass
class Case:
    """All that has a say about one direction of a pod."""

    isolating: list
    rules: dict  # tier: [(policy, rule)], in order
    has_audit: bool = False  # something that is only tried is about this


def case_of(world, key, direction, is_trial):
    """is_trial: what is only tried is in force."""
    at = (key, direction, is_trial)
    if at not in world.stages:
        pod = world.pod(key)
        said = [p for p in world.policies if p.selects(world, pod)]
        trials = [p.is_audit and direction in p.isolates or any(r.is_audit for r in p.rules[direction]) for p in said]
        case = Case([p for p in said if direction in p.isolates and (is_trial or not p.is_audit)], {}, any(trials))
        for policy in said:
            counting = [(policy, rule) for rule in policy.rules[direction] if is_trial or not rule.is_audit]
            case.rules.setdefault(policy.tier, []).extend(counting)
        for rules in case.rules.values():
            rules.sort(key=lambda item: order(*item))
        world.stages[at] = case
    return world.stages[at]


def evaluate(world, question):
    own = next((a for a in world.local[question.pod] if a.version == question.peer.version), None)
    ends = ((own, question.source_port), (question.peer, question.port))
    if question.direction == "ingress":
        ends = ((question.peer, question.source_port), (own, question.port))
    question = replace(question, seen=(question.plane, *ends[0], *ends[1]))
    found = places(world, question) if question.direction == "egress" else (False, set())
    answer = evaluate_all(world, question, found, False)
    if case_of(world, question.pod, question.direction, False).has_audit:
        would = evaluate_all(world, question, found, True)
        if would.action != answer.action:
            answer.would = would
    return answer


def evaluate_all(world, question, found, is_trial):
    """A connection to a Service is judged on those behind it: they all agree, or nobody knows whom it would come to."""
    is_place, backends = found
    case = case_of(world, question.pod, question.direction, is_trial)
    if not backends:
        nobody = question.direction == "egress" and (is_place or is_service_address(world, question.peer))
        return evaluate_one(world, case, replace(question, is_nobody=nobody))
    behind = [
        replace(question, peer=address, port=port, is_nobody=is_service_address(world, address)) for address, port in sorted(backends)
    ]
    for but in (set(), {"Allow"}):  # an Allow that would not let it through in the end does not count
        answers = [evaluate_one(world, case, q, but) for q in behind]
        answer = by_flow(answers)
        if answer:
            return answer
    return all_of([evaluate_one(world, case, q, {"Allow", "Deny", "Reject"}) for q in behind])


def by_flow(answers):
    """A flow that denies one of those behind denies; one that allows counts if all are allowed."""
    flows = sorted((a for a in answers if a.flow), key=lambda a: order(*a.flow))
    denials = [a for a in flows if a.action != "allow"]
    if denials:
        return replace(denials[0], log=first_log(answers))
    if flows and all(a.action == "allow" for a in answers):
        return replace(flows[0], log=first_log(answers))
    return None


def all_of(answers):
    if len({a.action == "allow" for a in answers}) > 1:
        return Answer("deny", "service-mixed", log=first_log(answers))
    return replace(answers[0], log=first_log(answers))


def first_log(answers):
    return next((a.log for a in answers if a.log[0]), ("", 0))


def evaluate_one(world, case, question, but=frozenset()):
    """The peer as what it is, whoever leads there. but: actions of flows that do not count."""
    log = ("", 0)
    stages = ["emergency", "admin", "application", "networkpolicy"]
    for tier in stages if case.isolating else stages + ["baseline"]:
        for policy, rule in case.rules.get(tier, []):
            if (rule.is_flow and rule.action in but) or not rule_matches(world, policy, rule, question):
                continue
            if rule.action == "Pass":
                break
            if rule.action != "Log":
                return decided(policy, rule, log)
            if not log[0]:
                log = label(policy, rule), rule.sample
    return replace(implicit(world, case, question), log=log)


def implicit(world, case, question):
    """No rule decides."""
    both = {"dns", "apiserver"}
    if case.isolating:
        granted = set.intersection(both, *(p.essentials for p in case.isolating))
        if is_essential(world, question, granted):
            return Answer("allow", "essential")
        if question.is_nobody:
            return Answer("deny", "service-unknown")
        action = "reject" if all(p.rejects for p in case.isolating) else "deny"
        return Answer(action, "default-deny", ",".join(title(p) for p in sorted(case.isolating, key=by_kind)))
    if world.denies_by_default(question.pod[0]):
        if is_essential(world, question, both):
            return Answer("allow", "essential")
        if question.is_nobody:
            return Answer("deny", "service-unknown")
        return Answer("deny", "default-deny", question.pod[0])
    return Answer("allow", "not-isolated")
