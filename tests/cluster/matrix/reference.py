# SPDX-License-Identifier: Apache-2.0
"""What NetworkPolicies of networking.k8s.io/v1 mean, in few lines: the judge of the matrix.

Written from the API's documentation, with nothing shared with the product. Knows ends by name,
labels and addresses; sends nothing.
"""
import ipaddress
from dataclasses import dataclass, field, replace


@dataclass
class End:
    """A pod, a node (and whoever has its network), or a stranger."""
    name: str
    addresses: tuple = ()   # IPv4, IPv6
    node: str = ""
    kind: str = "pod"       # pod, node, outside
    namespace: str = ""
    labels: dict = field(default_factory=dict)
    named: dict = field(default_factory=dict)   # (name, protocol) -> port

    def address(self, family):
        return self.addresses[0 if family == 4 else 1]


@dataclass
class Front:
    """A Service as kube-proxy does it."""
    name: str
    port: int
    backends: list           # (name of an end, port)
    addresses: tuple = ()
    is_local: bool = False   # internalTrafficPolicy
    protocols: tuple = ("tcp", "udp")

    def address(self, family):
        return self.addresses[0 if family == 4 else 1]


@dataclass(frozen=True)
class Packet:
    src: str
    dst: str
    protocol: str
    port: int
    family: int


def selects(selector, labels):
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for term in selector.get("matchExpressions") or []:
        has, value = term["key"] in labels, labels.get(term["key"])
        if not {"In": has and value in term.get("values", []), "NotIn": not has or value not in term.get("values", []),
                "Exists": has, "DoesNotExist": not has}[term["operator"]]:
            return False
    return True


class Reference:
    """verdicts: (way, subject, peer, packet) -> True, False or None, asked before the policies."""

    def __init__(self, ends, namespaces, policies, verdicts=()):
        self.ends, self.namespaces, self.policies, self.verdicts = ends, namespaces, policies, verdicts

    def allows(self, packet):
        src, dst = self.ends[packet.src], self.ends[packet.dst]
        return src is dst or self.sends(src, dst, packet) and self.takes(src, dst, packet)

    def answers(self, packet, front=None):
        """What a client may be told; kube-proxy takes any of the backends.

        A Service that has one backend which the client may not send to is closed to it: the one
        known difference from v1, which would let the connection pass if another one was taken.
        """
        if not front:
            return {f"open {packet.dst}" if self.allows(packet) else "silent"}
        src = self.ends[packet.src]
        backends = [(self.ends[name], replace(packet, dst=name, port=port)) for name, port in front.backends
                    if not front.is_local or self.ends[name].node == src.node]
        if not all(self.sends(src, dst, to_it) for dst, to_it in backends):
            return {"silent"}
        return {f"open {dst.name}" if src is dst or self.takes(src, dst, to_it) else "silent" for dst, to_it in backends}

    def sends(self, src, dst, packet):
        is_own_node = dst.kind == "node" and dst.name == src.node
        return src.kind != "pod" or self.direction("Egress", src, dst, packet, is_own_node)

    def takes(self, src, dst, packet):
        is_own_node = src.kind == "node" and src.name == dst.node
        return dst.kind != "pod" or is_own_node or self.direction("Ingress", dst, src, packet, False)

    def direction(self, way, subject, peer, packet, is_open):
        """is_open: nothing is denied but by a rule that says so."""
        for verdict in self.verdicts:
            decision = verdict(way, subject, peer, packet)
            if decision is not None:
                return decision
        rules, peers = ("ingress", "from") if way == "Ingress" else ("egress", "to")
        isolating = [p for p in self.policies if way in types(p) and p["metadata"]["namespace"] == subject.namespace
                     and selects(p["spec"].get("podSelector") or {}, subject.labels)]
        target = subject if way == "Ingress" else peer
        return is_open or not isolating or any(
            self.is_peer(rule.get(peers), policy, peer, packet.family) and is_port(rule.get("ports"), target, packet)
            for policy in isolating for rule in policy["spec"].get(rules) or [])

    def is_peer(self, items, policy, end, family):
        return not items or any(self.is_item(item, policy, end, family) for item in items)

    def is_item(self, item, policy, end, family):
        if "ipBlock" in item:
            address = ipaddress.ip_address(end.address(family))
            return is_inside(address, item["ipBlock"]["cidr"]) and not any(
                is_inside(address, block) for block in item["ipBlock"].get("except", []))
        if end.kind != "pod":
            return False
        if "namespaceSelector" in item:
            in_namespace = selects(item["namespaceSelector"], self.namespaces[end.namespace])
        else:
            in_namespace = end.namespace == policy["metadata"]["namespace"]
        return in_namespace and selects(item.get("podSelector") or {}, end.labels)


def types(policy):
    spec = policy["spec"]
    return spec.get("policyTypes") or ["Ingress"] + (["Egress"] if spec.get("egress") else [])


def is_inside(address, block):
    return address in ipaddress.ip_network(block) # of the other family: never


def is_port(items, target, packet):
    return not items or any(is_port_item(item, target, packet) for item in items)


def is_port_item(item, target, packet):
    if item.get("protocol", "TCP").lower() != packet.protocol:
        return False
    port = item.get("port")
    if isinstance(port, str):
        return target.named.get((port, packet.protocol)) == packet.port
    return port is None or port <= packet.port <= item.get("endPort", port)
