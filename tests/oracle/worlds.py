# SPDX-License-Identifier: Apache-2.0
"""worlds.py - random clusters, as documents, small enough that everything collides, and random questions about them.

Knows what may be written, not what it means. Each object is a source of its own, so that a change is one object more,
fewer or different.
"""

import ipaddress
import json
from datetime import datetime, timedelta, timezone

from oracle import Question

NAMESPACES = ["red", "blue", "green", "kube-system", "berm-system"]
TENANTS = ["red", "blue", "green"]
NODE_ADDRESSES = ["10.0.2.1", "fd00:2::1"]
PORTS = [0, 1, 52, 53, 54, 80, 443, 8080, 65535]
PORT_NAMES = ["web", "dns", "admin"]
ICMP_ASKED = [(4, 8, 0), (4, 13, 0), (4, 42, 3), (6, 128, 0), (6, 200, 1)]
SERVICE_NAMES = [("red", "s0"), ("red", "s1"), ("blue", "s0"), ("kube-system", "kube-dns"), ("default", "kubernetes")]
VIPS = [f"10.96.0.{i}" for i in range(1, 6)] + [f"fd96::{i}" for i in range(1, 6)]  # one of each family a Service
EXTERNALS = ["192.0.2.10", "192.0.2.11", "2001:db8::10"]
SERVICE_PORTS = [53, 80]
NODE_PORTS = [30001, 30002]
HOST_PORTS = [30002, 31001]
OTHER_PROTOCOLS = [47, 50, 89]
LOCAL = 3  # pods of this node
SET_NAMES = ["near", "far"]
ROLES = ["berm.dev/role", "app.kubernetes.io/component", "app.kubernetes.io/name"]
WORKLOADS = {"berm.dev/role": "role", "berm.dev/app": "app", "app.kubernetes.io/part-of": "app", "berm.dev/env": "env", "berm.dev/loc": "loc"}
DIMENSIONS = ["role", "app", "env", "loc"]
VALUES = ["x", "y"]  # of a dimension
SOURCE_PORTS = [40000, 40001]
START = 1800000000
DAY = 86400


class Generator:
    def __init__(self, random):
        self.random = random
        self.sources = {}  # name: object
        self.local = {}  # (namespace, name): [addresses]
        self.clock = 0
        self.now = START + self.random.randrange(DAY)

    def chance(self, percent):
        return self.random.randrange(100) < percent

    def pick(self, items):
        return self.random.choice(items)

    def some(self, items, most):
        return self.random.sample(items, self.random.randint(1, min(most, len(items))))

    # ---- labels and selectors ------------------------------------------------------------------------------------------

    def labels(self):
        found = {key: str(self.random.randrange(3)) for key in "abc" if self.chance(60)}
        if self.chance(15):
            found["k8s-app"] = "kube-dns"
        for key in ROLES + ["berm.dev/app"]:
            if self.chance(25):
                found[key] = self.pick(VALUES)
        return found

    def workload(self):
        return {key: self.pick(VALUES) for key in (self.some(DIMENSIONS, 2) if self.chance(30) else [self.pick(["role", "role", "app", "env"])])}

    def requirement(self):
        operator = self.pick(["In", "In", "NotIn", "Exists", "DoesNotExist"])
        item = {"key": self.pick("abcd"), "operator": operator}
        if operator in ("In", "NotIn"):
            item["values"] = self.some(["0", "1", "2"], 2)
        return item

    def selector(self):
        found = {}
        if self.chance(50):
            found["matchLabels"] = {key: str(self.random.randrange(3)) for key in self.some("abc", 2)}
        if self.chance(30):
            found["matchExpressions"] = [self.requirement() for _ in range(self.random.randint(1, 2))]
        return found

    def namespace_selector(self):
        if self.chance(40):
            values = self.some(NAMESPACES, 2)
            return {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": values}]}
        return self.selector()

    # ---- addresses ------------------------------------------------------------------------------------------------------

    def address(self):
        if self.chance(12):
            return self.pick(["192.0.2.1", "10.0.1.0", "9.255.255.255", "10.255.0.1", "2001:db8::1", "fd00::1:0"])
        if self.chance(10):
            return self.pick(NODE_ADDRESSES)
        if self.chance(25):
            return self.pick(VIPS + EXTERNALS + ["10.96.0.200", "fd96::200"])
        if self.chance(60):
            return f"10.0.0.{self.random.randrange(1, 32)}"
        return f"fd00::{self.random.randrange(1, 32):x}"

    def network(self):
        if self.chance(35):
            return self.pick(["0.0.0.0/0", "::/0", "10.0.0.0/8", "fd00::/8", "10.0.0.0/24", "fd00::/120", "10.0.2.0/29", "10.96.0.0/24", "fd96::/120"])
        if self.chance(60):
            return self.masked(f"10.0.0.{self.random.randrange(32)}", self.random.randint(26, 32))
        return self.masked(f"fd00::{self.random.randrange(32):x}", self.random.randint(122, 128))

    @staticmethod
    def masked(address, bits):
        return str(ipaddress.ip_network(f"{address}/{bits}", strict=False))

    def block(self):
        found = {"cidr": self.network()}
        net = ipaddress.ip_network(found["cidr"])
        inside = [n for n in (ipaddress.ip_network(self.network()) for _ in range(4)) if n.version == net.version]
        inside = [str(n) for n in inside if n != net and n.subnet_of(net)]
        if inside and self.chance(60):
            found["except"] = sorted(set(inside[:2]))
        return found

    # ---- rules ----------------------------------------------------------------------------------------------------------

    def peer(self):
        form = self.random.randrange(10)
        if form < 3:
            return {"ipBlock": self.block()}
        if form < 6:
            return {"podSelector": self.selector()}
        if form < 8:
            return {"namespaceSelector": self.namespace_selector()}
        return {"podSelector": self.selector(), "namespaceSelector": self.namespace_selector()}

    def segmentation_peer(self, scoped):
        form = self.random.randrange(100)
        if form < 8:
            return {"any": True}
        if form < 20:
            found = {"ipSet": self.pick(SET_NAMES)}
            if self.chance(40):
                found["except"] = sorted({self.network() for _ in range(2)})
            return found
        found = self.peer() if form < 75 else {"workload": self.workload()}
        if form >= 75 and self.chance(30):
            found["namespaceSelector"] = self.namespace_selector()
        if form >= 75 and self.chance(20):
            found["podSelector"] = self.selector()
        if scoped and "ipBlock" not in found and self.chance(40):
            found["scope"] = "any"
        return found

    def moment(self):
        """Soon or just over, or that very second; as people write it."""
        at = self.now + self.pick([-DAY, -1, 0, 1, 60, 3600, DAY])
        zone = self.pick([timezone.utc, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-3))])
        text = datetime.fromtimestamp(at, zone).isoformat()
        return text.replace("+00:00", "Z") if self.chance(80) else text.replace(text[19:], ".75" + text[19:])

    def flow(self):
        """About a pod of this node, nearly always of its own accord."""
        key = self.pick(sorted(self.local))
        version = self.pick([4, 4, 6])
        own = self.local[key][version == 6] if self.chance(92) else ("10.0.0.30" if version == 4 else "fd00::1e")
        peers = ["10.0.0.1", "10.0.0.2", "10.0.0.5", "10.0.0.9", "192.0.2.1", "10.0.2.1"] + VIPS[:5] + EXTERNALS[:2]
        if version == 6:
            peers = ["fd00::1", "fd00::2", "fd00::5", "fd00::9", "2001:db8::1", "fd00:2::1"] + VIPS[5:] + EXTERNALS[2:]
        peer = self.pick([a for a in peers if a != own])
        direction = self.pick(["Ingress", "Egress", "Egress"])
        ends = [(own, self.pick(SOURCE_PORTS)), (peer, self.pick([53, 80]))]
        if direction == "Ingress":
            ends = [(peer, self.pick(SOURCE_PORTS)), (own, self.pick([53, 80]))]
        found = {"action": self.pick(["Allow", "Allow", "Deny", "Reject"]), "direction": direction, "protocol": self.pick(["TCP", "TCP", "UDP", "SCTP"])}
        found.update(src=ends[0][0], srcPort=ends[0][1], dst=ends[1][0], dstPort=ends[1][1])
        if self.chance(60):
            found["name"] = self.pick(["f0", "f1"])
        return found

    def flows(self):
        found = {}
        for _ in range(self.random.randint(1, 8)):
            item = self.flow()
            found[tuple(v for k, v in sorted(item.items()) if k not in ("name", "action"))] = item
        return list(found.values())

    def port(self):
        found = {}
        if self.chance(50):
            found["protocol"] = self.pick(["TCP", "UDP", "SCTP"])
        if self.chance(25):
            found["port"] = self.pick(PORT_NAMES)
        elif self.chance(80):
            found["port"] = self.random.choice(PORTS[1:])
            if self.chance(30):
                found["endPort"] = self.random.randint(found["port"], 65535)
        return found

    def message(self):
        found = {"type": self.pick(["echo-request", "timestamp-request", "any", "echo-reply", 8, 13, 42, 128, 200])}
        if found["type"] != "any" and self.chance(30):
            found["code"] = self.pick([0, 1, 3])
        if found["type"] not in ("timestamp-request",) and self.chance(30):
            found["family"] = self.pick(["IPv4", "IPv6"])
        return found

    def segmentation_rule(self, direction, number, scoped=False):
        rule = {}
        if self.chance(70):
            rule["name"] = f"r{number}"
        if self.chance(60):
            rule["action"] = self.pick(["Allow", "Allow", "Deny", "Reject", "Pass", "Log"])
        if self.chance(85):
            rule["from" if direction == "ingress" else "to"] = [self.segmentation_peer(scoped) for _ in range(self.random.randint(1, 3))]
        if self.chance(60):
            rule["ports"] = [self.segmentation_port() for _ in range(self.random.randint(1, 3))]
        if self.chance(15):
            rule["mode"] = self.pick(["audit", "audit", "disabled", "enforce"])
        action = rule.get("action", "Allow")
        if action in ("Allow", "Log") and self.chance(10):
            rule["log"] = {"sample": self.pick([1, 2, 65536])}
        if action == "Allow" and self.chance(10):
            rule["limits"] = {"newConnections": {"rate": 1000000}}  # more than anybody asks for
        if self.chance(12):
            rule["expires"] = self.moment()
        if self.chance(20):
            rule["icmp"] = [self.message() for _ in range(self.random.randint(1, 2))]
        return rule

    def segmentation_port(self):
        found = self.port()
        return found if found else {"protocol": "TCP"}

    # ---- policies -------------------------------------------------------------------------------------------------------

    def segmentation(self, name, is_system):
        doc = {"kind": "SegmentationPolicy", "name": name}
        tier = self.pick(["emergency", "admin", "application", "application", "baseline"]) if is_system else "application"
        if tier != "application" or self.chance(30):
            doc["tier"] = tier
        if tier == "application":
            doc["isolate"] = self.pick([["Ingress"], ["Egress"], ["Ingress", "Egress"], []])
        if self.chance(50):
            doc["priority"] = self.pick([0, 100, 500, 501, 1000])
        if self.chance(20):
            doc["mode"] = self.pick(["audit", "audit", "disabled", "enforce"])
        if self.chance(15):
            doc["scope"] = self.workload()
        if self.chance(80):
            doc["subject"] = {"podSelector": self.selector()} if self.chance(85) else {}
            if not doc["subject"] or self.chance(10):
                doc["subject"]["workload"] = self.workload()
            if is_system and self.chance(50):
                doc["subject"]["namespaceSelector"] = self.namespace_selector()
        if self.chance(10):
            doc["expires"] = self.moment()
        if tier == "application" and self.chance(40):
            doc["essentials"] = self.pick([[], ["dns"], ["apiserver"], ["dns", "apiserver"]])
        if self.chance(40):
            doc["denyWith"] = self.pick(["Reject", "Reject", "Drop"])
        if self.chance(30):
            doc["onPolicyChange"] = self.pick(["Recheck", "Keep", "Reset"])
        for direction in ("ingress", "egress"):
            if self.chance(70):
                doc[direction] = [self.segmentation_rule(direction, i, "scope" in doc) for i in range(self.random.randint(1, 4))]
        if self.chance(30):
            doc["flows"] = self.flows()
        return doc

    def emergency(self, name):
        """Denies blocks to every pod: what the list at the uplink is made of. Most of what keeps a block off it is here too."""
        doc = {"kind": "SegmentationPolicy", "name": name, "tier": "emergency", "priority": self.pick([1, 2, 3])}
        blocks = [{"ipBlock": self.block()} for _ in range(self.random.randint(1, 3))]
        for direction, side in (("ingress", "from"), ("egress", "to")):
            rules = []
            if self.chance(15):
                rules.append({"action": self.pick(["Allow", "Pass"]), side: [{"ipBlock": self.block()}]})
            if direction == "ingress" or self.chance(50):
                rules.append({"action": "Deny", side: blocks})
            if rules and self.chance(10):
                rules[-1]["ports"] = [self.segmentation_port()]
            if rules and self.chance(15):
                rules[-1]["mode"] = self.pick(["audit", "disabled"])
            if rules:
                doc[direction] = rules
        if self.chance(10):
            doc["subject"] = {"podSelector": self.selector()}
        if self.chance(10):
            doc["mode"] = self.pick(["audit", "disabled"])
        return doc

    def system(self, name):
        return self.emergency(name) if self.chance(30) else self.segmentation(name, True)

    def config_map(self, namespace, name, doc=None):
        doc = doc or (self.system(name) if namespace == "berm-system" else self.segmentation(name, False))
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": namespace, "labels": {"berm.dev/policy": "v1"}},
            "data": {"policy.json": json.dumps(doc)},
        }

    def address_set(self, name):
        blocks = sorted({self.network() for _ in range(self.random.randrange(5))})
        return {"kind": "IPSet", "name": name, "cidrs": blocks}

    def mapping(self, name):
        found = {"kind": "LabelMapping", "name": name}
        for dimension in self.some(DIMENSIONS, 3):
            labels = [{self.pick(["pod", "namespace"]): label} for label in self.some(ROLES + list(WORKLOADS)[1:], 3)]
            found[dimension] = labels if self.chance(85) else []
        return found

    def network_policy(self, namespace, name):
        spec = {"podSelector": self.selector()}
        if self.chance(70):
            spec["policyTypes"] = self.pick([["Ingress"], ["Egress"], ["Ingress", "Egress"]])
        for direction, peers in (("ingress", "from"), ("egress", "to")):
            if self.chance(60):
                spec[direction] = [self.network_rule(peers) for _ in range(self.random.randrange(4))]
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec,
        }

    def network_rule(self, peers):
        rule = {}
        if self.chance(80):
            rule[peers] = [self.peer() for _ in range(self.random.randrange(4))]
        if self.chance(60):
            rule["ports"] = [self.port() for _ in range(self.random.randrange(4))]
        return rule

    def cluster_policy(self, name):
        spec = {
            "tier": self.pick(["Admin", "Baseline"]),
            "priority": self.pick([0, 100, 500, 501, 1000]),
            "subject": self.pick([{"namespaces": self.namespace_selector()}, {"pods": self.cluster_pods()}]),
        }
        for direction in ("ingress", "egress"):
            if self.chance(70):
                spec[direction] = [self.cluster_rule(direction, i) for i in range(self.random.randint(1, 4))]
        return {
            "apiVersion": "policy.networking.k8s.io/v1alpha2",
            "kind": "ClusterNetworkPolicy",
            "metadata": {"name": name},
            "spec": spec,
        }

    def cluster_pods(self):
        found = {"podSelector": self.selector()}
        if self.chance(70):
            found["namespaceSelector"] = self.namespace_selector()
        return found

    def cluster_rule(self, direction, number):
        rule = {"action": self.pick(["Accept", "Deny", "Pass"])}
        if self.chance(60):
            rule["name"] = self.pick([f"r{number}", "a rule", "a rule"])
        has_networks = direction == "egress" and self.chance(40)
        peers = []
        for _ in range(self.random.randint(1, 3)):
            if has_networks and self.chance(60):
                peers.append({"networks": [self.network() for _ in range(self.random.randint(1, 2))]})
            elif self.chance(50):
                peers.append({"namespaces": self.namespace_selector()})
            else:
                peers.append({"pods": self.cluster_pods()})
        rule["from" if direction == "ingress" else "to"] = peers
        if self.chance(60):
            rule["protocols"] = [self.protocol(has_networks) for _ in range(self.random.randint(1, 3))]
        return rule

    def protocol(self, has_networks):
        if not has_networks and self.chance(25):
            return {"destinationNamedPort": self.pick(PORT_NAMES)}
        number = self.random.choice(PORTS[1:-1])
        wanted = {"number": number} if self.chance(60) else {"range": {"start": number, "end": self.random.randint(number + 1, 65535)}}
        return {self.pick(["tcp", "udp", "sctp"]): {"destinationPort": wanted}}

    # ---- pods and namespaces --------------------------------------------------------------------------------------------

    def namespace(self, name):
        labels = self.labels()
        if self.chance(25):
            labels["berm.dev/default-verdict"] = self.pick(["deny", "deny", "allow"])
        for key in WORKLOADS:
            if self.chance(50):
                labels[key] = self.pick(VALUES)
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}

    def containers(self):
        used = [
            {"name": self.pick(PORT_NAMES), "containerPort": self.random.choice(PORTS[1:]), "protocol": self.pick(["TCP", "TCP", "UDP", "SCTP"])}
            for _ in range(self.random.randrange(3))
        ]
        if used and self.chance(20):
            used[0]["hostPort"] = self.pick(HOST_PORTS)
        spec = {"containers": [{"name": "c", "ports": used}]}
        if self.chance(15):
            helper = {"name": "h", "ports": [{"name": self.pick(PORT_NAMES), "containerPort": self.random.choice(PORTS[1:])}]}
            if self.chance(60):
                helper["restartPolicy"] = "Always"
            spec["initContainers"] = [helper]
        return spec

    def pod(self, namespace, name, addresses, node):
        self.clock += 1  # no two are of one age
        spec = self.containers()
        spec["nodeName"] = node
        if node != "here" and self.chance(8):
            spec["hostNetwork"] = True
        phase = "Running" if node == "here" or self.chance(85) else self.pick(["Succeeded", "Failed", "Pending"])
        stamp = f"2026-01-01T{self.clock // 3600 % 24:02}:{self.clock // 60 % 60:02}:{self.clock % 60:02}Z"
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": f"uid-{namespace}-{name}",
                "labels": self.labels(),
                "creationTimestamp": stamp,
            },
            "spec": spec,
            "status": {"phase": phase, "podIPs": [{"ip": a} for a in addresses]},
        }

    def far_addresses(self):
        last = 12 if self.chance(60) else 32
        found = {f"10.0.0.{self.random.randrange(1, last)}"}
        if self.chance(50):
            found.add(f"fd00::{self.random.randrange(1, last):x}")
        return sorted(found)

    # ---- Services -------------------------------------------------------------------------------------------------------

    def service(self, number):
        namespace, name = SERVICE_NAMES[number]
        families = self.pick([[0], [1], [0, 1], [0, 1]])
        addresses = [VIPS[number + 5 * family] for family in families]
        ports = []
        for i in range(self.random.randint(1, 2)):
            port = {"name": f"p{i}", "port": self.pick(SERVICE_PORTS), "protocol": self.pick(["TCP", "TCP", "UDP"])}
            if all((port["port"], port["protocol"]) != (p["port"], p["protocol"]) for p in ports):
                ports.append(port)
        spec = {"type": "ClusterIP", "clusterIP": addresses[0], "clusterIPs": addresses, "ports": ports}
        status = {}
        if self.chance(25):
            spec["type"] = "NodePort"
            ports[0]["nodePort"] = self.pick(NODE_PORTS)
        if self.chance(20):
            spec["externalIPs"] = self.some(EXTERNALS, 2)
        if self.chance(20):
            mode = {"ipMode": self.pick(["VIP", "Proxy"])} if self.chance(50) else {}
            status = {"loadBalancer": {"ingress": [{"ip": self.pick(EXTERNALS), **mode}]}}
        if self.chance(20):
            spec["internalTrafficPolicy"] = "Local"
        if self.chance(5):
            spec.update(clusterIP="None", clusterIPs=["None"])
        meta = {"name": name, "namespace": namespace, "labels": {}}
        if self.chance(5):
            meta["labels"]["service.kubernetes.io/service-proxy-name"] = "other"
        return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec, "status": status}

    def slice(self, number, letter):
        namespace, name = SERVICE_NAMES[number]
        version = 4 if (letter == "a") == self.chance(90) else 6
        endpoints = [self.endpoint(version) for _ in range(self.random.randrange(6))]
        service = self.sources.get(f"svc-{number}")
        ports = [{**p, "port": self.random.choice(PORTS[1:8])} for p in (service["spec"]["ports"] if service else [])]
        for port in ports:
            port.pop("nodePort", None)
            if self.chance(10):
                port.update(self.pick([{"name": "p9"}, {"protocol": "SCTP"}]))
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{name}-{letter}",
                "namespace": namespace,
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": f"IPv{version}",
            "endpoints": endpoints,
            "ports": ports,
        }

    def endpoint(self, version):
        number = self.random.randrange(1, 12)
        found = {"addresses": [f"10.0.0.{number}" if version == 4 else f"fd00::{number:x}"]}
        if self.chance(10):
            found["addresses"] = [NODE_ADDRESSES[version == 6]]
        if self.chance(80):
            found["nodeName"] = "here" if number <= LOCAL else self.pick(["here", "elsewhere"])
        if self.chance(40):
            found["conditions"] = {
                key: self.chance(50) for key in self.some(["ready", "serving", "terminating"], 3)
            }
        return found

    # ---- the world ------------------------------------------------------------------------------------------------------

    def populate(self):
        for i in range(LOCAL):
            key = (self.pick(TENANTS), f"local{i}")
            self.local[key] = [f"10.0.0.{i + 1}", f"fd00::{i + 1:x}"]
            self.sources[f"pod-local{i}"] = self.pod(*key, self.local[key], "here")
        for name in NAMESPACES:
            if self.chance(90):
                self.sources[f"ns-{name}"] = self.namespace(name)
        for number in range(len(SERVICE_NAMES)):
            if self.chance(80):
                self.sources[f"svc-{number}"] = self.service(number)
                for letter in "ab":
                    self.sources[f"slice-{number}-{letter}"] = self.slice(number, letter)
        for _ in range(self.random.randint(10, 40)):
            self.change()

    def change(self):
        """One object more, fewer or different; returns the name of its source."""
        if self.chance(25):
            return self.change_service()
        what = self.random.randrange(110)
        if what < 30:
            return self.put_pod()
        if what >= 100:
            return self.change_companion()
        if what < 36:
            name = self.pick(NAMESPACES)
            return self.put_or_drop(f"ns-{name}", lambda: self.namespace(name))
        namespace, number = self.pick(TENANTS + ["berm-system"]), self.random.randrange(4)
        if what < 62:
            return self.put_or_drop(f"seg-{namespace}-{number}", lambda: self.config_map(namespace, f"seg-{number}"))
        if what < 82:
            namespace = self.pick(TENANTS)
            return self.put_or_drop(f"np-{namespace}-{number}", lambda: self.network_policy(namespace, f"np-{number}"))
        return self.put_or_drop(f"cnp-{number}", lambda: self.cluster_policy(f"cnp-{number}"))

    def change_companion(self):
        if self.chance(30):
            name = self.pick(["m0", "m1"])
            return self.put_or_drop(f"map-{name}", lambda: self.config_map("berm-system", name, self.mapping(name)))
        namespace, name = self.pick(TENANTS + ["berm-system"] * 3), self.pick(SET_NAMES)
        return self.put_or_drop(f"set-{namespace}-{name}", lambda: self.config_map(namespace, f"set-{name}", self.address_set(name)))

    def pass_time(self):
        """Clocks are set back, too."""
        self.now += self.pick([1, 1, 59, 60, 3600, DAY, -60])

    def change_service(self):
        number = self.random.randrange(len(SERVICE_NAMES))
        if self.chance(10):
            cidrs = {"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": "all"}}
            return self.put_or_drop("cidrs", lambda: {**cidrs, "spec": {"cidrs": ["10.96.0.0/16", "fd96::/112"]}})
        if self.chance(45):
            return self.put_or_drop(f"svc-{number}", lambda: self.service(number))
        letter = self.pick("ab")
        return self.put_or_drop(f"slice-{number}-{letter}", lambda: self.slice(number, letter))

    def put_or_drop(self, source, make):
        if source in self.sources and self.chance(30):
            del self.sources[source]
        else:
            self.sources[source] = make()
        return source

    def put_pod(self):
        if self.chance(25):
            key = self.pick(sorted(self.local))
            source = f"pod-{key[1]}"
            self.sources[source] = self.pod(*key, self.local[key], "here")
            return source
        namespace, number = self.pick(NAMESPACES), self.random.randrange(10)
        source = f"pod-{namespace}-{number}"
        return self.put_or_drop(source, lambda: self.pod(namespace, f"far{number}", self.far_addresses(), "elsewhere"))

    def service_question(self):
        """To a Service that is there; None: there is none."""
        services = [s for name, s in sorted(self.sources.items()) if name.startswith("svc-")]
        spec = self.pick(services)["spec"] if services else {"clusterIP": "None"}
        if spec["clusterIP"] == "None":
            return None
        port = self.pick(spec["ports"])
        key = self.pick(sorted(self.local))
        return Question(key, "egress", ipaddress.ip_address(self.pick(spec["clusterIPs"])), port["protocol"], port["port"])

    def flow_question(self):
        """One that a document has a flow about, or nearly; None: there is none."""
        docs = [json.loads(s["data"]["policy.json"]) for name, s in sorted(self.sources.items()) if name.startswith("seg-")]
        flows = [f for doc in docs for f in doc.get("flows") or []]
        if not flows:
            return None
        flow = self.pick(flows)
        direction = flow["direction"].lower()
        own, peer = (flow["src"], flow["dst"]) if direction == "egress" else (flow["dst"], flow["src"])
        key = next((k for k, addresses in sorted(self.local.items()) if own in addresses), None)
        if not key:
            return None
        found = Question(key, direction, ipaddress.ip_address(peer), flow["protocol"], flow["dstPort"], flow["srcPort"])
        if self.chance(10):
            found.source_port = self.pick(SOURCE_PORTS)
        elif self.chance(10):
            found.port = self.pick([53, 80])
        return found

    def question(self):
        found = None
        if self.chance(25):
            found = self.service_question() if self.chance(60) else self.flow_question()
        return found or self.any_question()

    def any_question(self):
        while True:
            key = self.pick(sorted(self.local))
            peer = self.address()
            if peer not in self.local[key]:
                break
        direction = self.pick(["ingress", "egress"])
        address = ipaddress.ip_address(peer)
        plane = self.pick(["TCP", "TCP", "UDP", "SCTP", "ICMP", "OTHER"])
        if plane == "ICMP":
            kind = self.pick([(t, c) for version, t, c in ICMP_ASKED if version == address.version])
            plane = "ICMP" if address.version == 4 else "ICMPv6"
            port = kind[0] << 8 | kind[1]
        elif plane == "OTHER":
            port = self.pick(OTHER_PROTOCOLS)
        else:
            port = self.pick(PORTS) if self.chance(90) else self.random.randrange(65536)
            if peer in VIPS + EXTERNALS and self.chance(70):
                plane, port = self.pick(["TCP", "TCP", "UDP"]), self.pick(SERVICE_PORTS)
            if peer in NODE_ADDRESSES and self.chance(60):
                port = self.pick(NODE_PORTS + HOST_PORTS)
        return Question(key, direction, address, plane, port)
