# SPDX-License-Identifier: Apache-2.0
"""The cases of the matrix. Each applies documents and has every pair of ends checked.

Cases leave nothing behind but what World.clear removes.
"""
import json

from bed import NODES, Failure
from reference import End, Front
from world import FAMILIES, network, pod_name, segmentation, service

CASES = []


def case(title):
    def add(function):
        CASES.append((function.__name__, title, function))
        return function
    return add


def pods(**labels):
    return {"podSelector": {"matchLabels": labels}}


def spaces(**labels):
    return {"namespaceSelector": {"matchLabels": labels}}


def pod(*names):
    return {"matchExpressions": [{"key": "pod", "operator": "In", "values": list(names)}]}


def must(is_so, text):
    if not is_so:
        raise Failure(text)


X, Y, Z = "matrix-x", "matrix-y", "matrix-z"
BOTH = ["Ingress", "Egress"]


@case("no policy: everybody reaches everybody")
def nothing(world):
    world.check()


@case("default deny in, of one namespace")
def deny_in(world):
    world.apply(network(X, "deny", policyTypes=["Ingress"]))
    world.check()


@case("default deny out, of one namespace")
def deny_out(world):
    world.apply(network(X, "deny", policyTypes=["Egress"]))
    world.check()


@case("default deny both ways, of all namespaces; nodes reach their own pods")
def deny_both(world):
    world.apply(*[network(n, "deny", policyTypes=BOTH) for n in (X, Y, Z)])
    world.check()


# --- who ----------------------------------------------------------------------------------------

@case("in from a pod of the own namespace")
def by_pod(world):
    world.apply(network(X, "wall", ingress=[{"from": [pods(pod="b")]}]))
    world.check()


@case("in from a namespace, for some pods; out to one for others")
def by_namespace(world):
    world.apply(network(X, "wall", pod("a", "b"), ingress=[{"from": [spaces(ns="y")]}]),
                network(Y, "wall", pod("c"), policyTypes=["Egress"], egress=[{"to": [spaces(ns="z")]}]),
                network(Z, "by-name", pod("c"), ingress=[{"from": [spaces(**{"kubernetes.io/metadata.name": X})]}]))
    world.check()


@case("which directions a policy means that does not say so, or says more than it means")
def directions(world):
    world.apply(network(X, "both", pod("a"), egress=[{"to": [pods(pod="b")]}]),
                network(Y, "egress-only", policyTypes=["Egress"], ingress=[{"from": [pods(pod="b")]}], egress=[{"to": [spaces(ns="x")]}]),
                network(Z, "everybody", ingress=[{"from": []}], policyTypes=["Ingress"]),
                network(Z, "nobody", pod("a"), ingress=[], policyTypes=["Ingress"]))
    world.check()


@case("namespace and pod in one item are both meant, in two items one of them")
def by_both(world):
    world.apply(network(X, "and", ingress=[{"from": [{**spaces(ns="y"), **pods(pod="b")}]}]),
                network(Z, "or", ingress=[{"from": [spaces(ns="y"), pods(pod="b")]}]))
    world.check()


@case("all namespaces: pods only, no node, no stranger")
def all_pods(world):
    world.apply(network(X, "wall", ingress=[{"from": [{"namespaceSelector": {}}]}]),
                network(Y, "wall", policyTypes=["Egress"], egress=[{"to": [{"namespaceSelector": {}}]}]))
    world.check()


@case("matchExpressions of subject and peers; NotIn and DoesNotExist match who lacks the label")
def expressions(world):
    def term(operator, *values):
        return {"matchExpressions": [{"key": "tier", "operator": operator, **({"values": list(values)} if values else {})}]}

    world.apply(network(X, "notin", term("Exists"), ingress=[{"from": [
        {"namespaceSelector": {"matchExpressions": [{"key": "ns", "operator": "NotIn", "values": ["x", "y"]}]},
         "podSelector": term("NotIn", "web")}]}]),
        network(Y, "without", term("In", "db", "none"), ingress=[{"from": [{"namespaceSelector": {}, "podSelector": term("DoesNotExist")}]}]),
        network(Z, "out", term("DoesNotExist"), policyTypes=["Egress"], egress=[{"to": [
            {"namespaceSelector": {}, "podSelector": {"matchLabels": {"tier": "web"}, **term("Exists")}}]}]))
    world.check()


@case("blocks of both families, with exceptions; another rule may allow what one excepts [semantics.union_except]")
def blocks(world):
    node2 = [{"ipBlock": {"cidr": "10.244.0.0/16", "except": ["10.244.2.0/24"]}},
             {"ipBlock": {"cidr": "fd00:10:244::/56", "except": ["fd00:10:244:2::/64"]}}]
    world.apply(network(X, "blocks", ingress=[{"from": node2}]),
                network(Y, "out", policyTypes=["Egress"], egress=[{"to": node2}]))
    world.check()
    one = world.ends["z/b"].address(4)
    world.apply(network(X, "excepted", pod("a"), ingress=[{"from": [{"ipBlock": {"cidr": f"{one}/32"}}]}]))
    world.check()


@case("nodes and strangers are peers by their addresses; host-network pods match no selector")
def host_peers(world):
    world.apply(network(X, "nodes", ingress=[{"from": [{"ipBlock": {"cidr": "192.168.100.2/32"}}, pods(pod="a")]}]),
                network(Y, "stranger", ingress=[{"from": [{"ipBlock": {"cidr": "192.168.100.254/32"}},
                                                          {"ipBlock": {"cidr": "fd00:100::254/128"}}]}]),
                network(Z, "out", policyTypes=["Egress"], egress=[
                    {"to": [{"ipBlock": {"cidr": "192.168.100.1/32"}}, {**spaces(ns="x"), **pods(pod="a")}]}]))
    world.check()


# --- ports --------------------------------------------------------------------------------------

@case("named ports have the number of the pod that is connected to [semantics.named_ports]")
def named_ports(world):
    world.apply(network(X, "in", ingress=[{"ports": [{"port": "web"}, {"port": "dns", "protocol": "UDP"}]}]),
                network(Y, "out", policyTypes=["Egress"], egress=[
                    {"ports": [{"port": "web"}]}, {"to": [spaces(ns="z")], "ports": [{"port": "dns", "protocol": "UDP"}]}]),
                network(Z, "wrong", pod("a"), ingress=[{"ports": [{"port": "dns"}, {"port": "none"}]}]))
    world.check()


@case("ranges of ports")
def ranges(world):
    world.apply(network(X, "in", ingress=[{"ports": [{"port": 70, "endPort": 80}, {"port": 81, "endPort": 65535, "protocol": "UDP"}]}]),
                network(Y, "out", policyTypes=["Egress"], egress=[{"ports": [{"port": 81, "endPort": 20000}]}]))
    world.check()


@case("UDP only; TCP only where no protocol is named; a port without a number is all of them")
def protocols(world):
    world.apply(network(X, "udp", ingress=[{"ports": [{"protocol": "UDP", "port": 80}]}]),
                network(Y, "default", ingress=[{"ports": [{"port": 80}]}]),
                network(Z, "all", ingress=[{"ports": [{"protocol": "UDP"}]}]),
                network(Z, "out", pod("a"), policyTypes=["Egress"], egress=[{"ports": [{}]}]))
    world.check()


# --- several policies, changes ----------------------------------------------------------------------

@case("policies add up; an empty rule is everybody, no rule nobody")
def union(world):
    world.apply(network(X, "deny", policyTypes=BOTH),
                network(X, "one", pod("a"), ingress=[{"from": [spaces(ns="y")], "ports": [{"port": 80}]}]),
                network(X, "two", pod("a", "b"), ingress=[{"from": [pods(pod="c")]}]),
                network(X, "three", pod("c"), ingress=[{}]),
                network(X, "out", pod("c"), policyTypes=["Egress"], egress=[{"to": [pods(pod="a")]}]))
    world.check()


@case("a policy is changed, loses a direction, is deleted [update.remove_one_direction] [update.delete_last]")
def update(world):
    world.apply(network(X, "wall", policyTypes=BOTH, ingress=[{"ports": [{"port": 80}]}], egress=[{"to": [spaces(ns="y")]}]))
    world.check()
    world.apply(network(X, "wall", policyTypes=BOTH, ingress=[{"ports": [{"port": 81}]}], egress=[{"to": [spaces(ns="z")]}]))
    world.check()
    world.apply(network(X, "wall", policyTypes=["Ingress"], ingress=[{"ports": [{"port": 81}]}]))
    world.check()
    world.remove(network(X, "wall"))
    world.check()


@case("labels of pods change: of a peer, of a subject [update.label_change]")
def pod_labels(world):
    world.apply(network(X, "wall", pod("a", "b"), ingress=[{"from": [{"namespaceSelector": {}, **pods(role="friend")}]}]))
    world.check()
    world.label_pod("y/b", role="friend")
    world.label_pod("z/c", role="friend")
    world.check()
    world.label_pod("y/b", role="foe")
    world.label_pod("x/a", pod="other")
    world.check()


@case("labels of namespaces change, come and go [update.label_change]")
def namespace_labels(world):
    world.apply(network(X, "wall", ingress=[{"from": [spaces(team="red")]}]))
    world.check()
    world.label_namespace(Y, team="red")
    world.check()
    world.label_namespace(Y, team="blue")
    world.label_namespace(Z, team="red")
    world.check()
    world.label_namespace(Z, team=None)
    world.check()


# --- pods that come and go ---------------------------------------------------------------------------

@case("a restarted pod keeps its permissions; who gets its address does not inherit them [ident.ip_reuse]")
def restart(world):
    world.apply(network(X, "wall", ingress=[{"from": [{**spaces(ns="z"), **pods(pod="c")}]}]))
    old = world.pod_stop("z/c")
    again = End(old.name, (), old.node, "pod", old.namespace, old.labels, old.named)
    heir = End("y/heir", (), old.node, "pod", Y, {"pod": "heir"}, {})
    try:
        world.extra_pod(heir, address_of=old)
        must(heir.addresses == old.addresses, f"the heir has {heir.addresses}, not {old.addresses}")
    finally:
        world.pod_start(again)
    must(again.addresses[0] != old.addresses[0], "the address is in use twice")
    world.check()


@case("a policy that is there before its pods holds from their first packet")
def before_pods(world):
    world.apply(network(X, "wall", {"matchLabels": {"late": "yes"}}, policyTypes=BOTH))
    world.bed.attest()
    new = [(f"late-{late}-{node}", node, {"late": late}) for late in ("yes", "no") for node in NODES]
    for name, words in sorted(world.first_words(new, world.ends["y/a"].address(4)).items()):
        want = "silent" if "yes" in name else "open y/a"
        must(words == want, f"{name}: '{words}', want '{want}'")
    world.extra_pod(End("x/late", (), "node2", "pod", X, {"late": "yes"}, {}))
    world.check()


@case("a static pod is judged by its policies [cni.static_pod]")
def static_pod(world):
    world.apply(network(X, "wall", {"matchLabels": {"kind": "static"}}, policyTypes=BOTH, ingress=[{"from": [spaces(ns="y")]}]))
    for node in NODES:
        world.static_pod(f"x/static-{node}")
    world.check()


# --- what is under way ---------------------------------------------------------------------------------

@case("established connections end when a policy forbids them, others go on; UDP too [revoke.existing]")
def established(world):
    forbidden = [world.stream("x/a", "y/b", family) for family in FAMILIES] + [world.stream("x/a", "x/b", 4)]
    allowed = [world.stream("z/a", "y/b", 4), world.stream("z/b", "z/c", 6)]
    for stream in forbidden + allowed:
        stream.must_run()
    ports = {name: 20000 + i for i, name in enumerate(("x/a", "z/a"))}
    for name, port in ports.items():
        must(world.ask_from(name, port, "y/b") == "open y/b", f"UDP of {name}")
    world.apply(network(X, "wall", pod("a"), policyTypes=["Egress"]))
    world.bed.attest()
    for stream in forbidden:
        stream.must_stall()
    for stream in allowed:
        stream.must_run()
    must(world.ask_from("x/a", ports["x/a"], "y/b") == "silent", "the UDP flow goes on")
    must(world.ask_from("z/a", ports["z/a"], "y/b") == "open y/b", "an allowed UDP flow ends")
    world.check()


@case("the kubelet's probes pass whatever the policy; one that asks another node's pod does not [probes.kubelet]")
def kubelet_probes(world):
    world.probed_elsewhere("asks-x", "y/a", "x/a")
    world.apply(*[network(n, "deny", policyTypes=BOTH) for n in (X, Y, Z)])
    world.bed.attest()
    world.wait(lambda: not world.is_ready(Y, "asks-x"), "the control to become unready")
    before = world.probes()
    ends = {(end.namespace, pod_name(end)) for end in world.pods()}

    def more():
        return {key: count - before.get(key, 0) for key, count in world.probes().items()}

    def often():
        now = more()
        return all(now.get((*end, "successful"), 0) >= 3 for end in ends) and now.get((Y, "asks-x", "failed"), 0)

    world.wait(often, "three probes more of every pod, and one of the control that fails")
    now = more()
    for end in ends:
        must(not now.get((*end, "failed")) and world.is_ready(*end), f"a probe of {'/'.join(end)} failed")
    for own, other in (("x/a", "x/b"), ("x/b", "x/a")):
        for address in world.node_address(world.ends[own].node):
            world.wait(lambda: world.hears_node(own, address), f"{own} to answer the new address {address} of its node")
            must(not world.hears_node(other, address, from_node=world.ends[own].node), f"{other} answers another node's {address}")
    world.check()


# --- documents of our own --------------------------------------------------------------------------------

@case("SegmentationPolicy: isolate both ways, allow by pod, namespace and port")
def segmentation_allow(world):
    rules = {"ingress": [{"from": [pods(pod="b"), spaces(ns="y")], "ports": [{"port": 80}]}],
             "egress": [{"to": [{"namespaceSelector": {}, **pods(pod="c")}]}]}
    wall = segmentation(X, "wall", subject={"podSelector": pod("a", "b")}, isolate=BOTH, essentials=[], **rules)
    berm = segmentation("berm-system", "wall", subject=spaces(ns="y"), isolate=["Ingress"], ingress=[
        {"from": [{"namespaceSelector": {"matchLabels": {"ns": "z"}}}]}])
    world.apply(wall, meaning=[network(X, "wall", pod("a", "b"), policyTypes=BOTH, **rules)])
    world.apply(berm, meaning=[network(Y, "wall", ingress=[{"from": [spaces(ns="z")]}])])
    world.check()


@case("SegmentationPolicy: a Deny beats what a NetworkPolicy allows; an Allow opens what one isolates")
def segmentation_over_network(world):
    world.apply(network(X, "wall", ingress=[{"from": [spaces(ns="y")]}]))
    world.apply(segmentation(X, "deny", isolate=[], ingress=[
        {"action": "Deny", "from": [{"namespaceSelector": {"matchLabels": {"ns": "y"}}, **pods(pod="a")}]},
        {"action": "Allow", "from": [{"namespaceSelector": {"matchLabels": {"ns": "z"}}}], "ports": [{"port": 81, "protocol": "UDP"}]}]),
        meaning=[network(X, "opens", ingress=[{"from": [spaces(ns="z")], "ports": [{"port": 81, "protocol": "UDP"}]}])],
        verdict=lambda way, subject, peer, packet: False if way == "Ingress" and subject.namespace == X and peer.name == "y/a" else None)
    world.check()


@case("SegmentationPolicy: tier admin denies and allows for all namespaces, before any of them")
def segmentation_admin(world):
    def verdict(way, subject, peer, packet):
        if way == "Ingress" and subject.namespace == Y and packet.port == 81 and packet.protocol == "tcp":
            return False
        return True if way == "Ingress" and subject.namespace == X and peer.namespace == Z else None

    world.apply(network(X, "deny", policyTypes=["Ingress"]))
    world.apply(segmentation("berm-system", "guard", tier="admin", ingress=[
        {"action": "Deny", "from": [{"any": True}], "ports": [{"port": 81}]}], subject={"namespaceSelector": {"matchLabels": {"ns": "y"}}}),
        meaning=[], verdict=verdict)
    world.apply(segmentation("berm-system", "opens", tier="admin", ingress=[
        {"action": "Allow", "from": [{"namespaceSelector": {"matchLabels": {"ns": "z"}}}]}],
        subject={"namespaceSelector": {"matchLabels": {"ns": "x"}}}))
    world.check()


@case("SegmentationPolicy: a Deny in tier admin reaches the own node, which nothing else closes")
def segmentation_own_node(world):
    world.apply(network(Z, "deny", policyTypes=["Egress"]))
    world.check()
    world.apply(segmentation("berm-system", "no-node", tier="admin", subject={"namespaceSelector": {"matchLabels": {"ns": "z"}}},
                             egress=[{"action": "Deny", "to": [{"ipBlock": {"cidr": a}} for a in ("192.168.100.0/24", "fd00:100::/64")],
                                      "ports": [{"port": 18080}, {"port": 18081, "protocol": "UDP"}]}]),
                meaning=[], verdict=lambda way, subject, peer, packet: False if way == "Egress" and subject.namespace == Z and (
                    packet.port, packet.protocol) in ((18080, "tcp"), (18081, "udp")) else None)
    world.check()


@case("a NetworkPolicy in a ConfigMap means the same")
def network_in_configmap(world):
    policy = network(Z, "inside", pod("a", "c"), policyTypes=BOTH, ingress=[{"from": [spaces(ns="x")]}], egress=[{"to": [pods(pod="b")]}])
    world.apply({"apiVersion": "v1", "kind": "ConfigMap",
                 "metadata": {"name": "inside", "namespace": Z, "labels": {"berm.dev/policy": "v1"}},
                 "data": {"policy.json": json.dumps(policy)}}, meaning=[policy])
    world.check()


# --- Services ----------------------------------------------------------------------------------------------

def everywhere():
    return [{"ipBlock": {"cidr": block}} for block in ("0.0.0.0/0", "::/0")]


@case("a Service is judged on its backends and their ports; one that may not be reached closes it [semantics.service_mixed]")
def service_mixed(world):
    world.apply(network(X, "out", policyTypes=["Egress"], egress=[{"to": [{**spaces(ns="y"), "podSelector": pod("a", "b")}]}]))
    world.check()
    world.must("silent", "x/a", "tcp", world.fronts["y/all"].address(4), 1001)
    world.must_be_because("service-mixed", "x/a", world.fronts["y/all"].address(4), 1001)
    world.apply(network(X, "out", policyTypes=["Egress"], egress=[{"to": [spaces(ns="y")], "ports": [{"port": 81}, {"port": 1000}, {"port": 1001}]}]))
    world.check()
    world.apply(network(X, "out", policyTypes=["Egress"], egress=[{"to": [spaces(ns="z")]}]))
    world.check()


@case("a Service without backends, an unknown port, an unknown address: only a rule for everyone means them [semantics.service_unknown]")
def service_unknown(world):
    world.apply(network(X, "blocks", pod("a"), policyTypes=["Egress"], egress=[{"to": everywhere()}]),
                network(X, "any", pod("b"), policyTypes=["Egress"], egress=[{}]))
    world.bed.apply(service(Y, "empty", 1000, 80, {"app": "nobody"}))
    world.undo.append(lambda: world.bed.delete("services", Y, "empty"))
    empty = world.bed.get("service", "-n", Y, "empty")["spec"]["clusterIPs"]
    world.wait(lambda: all(world.ask(n, "tcp", a, 1000, 3000) == "refused" for n in ("y/a", "y/b") for a in empty), "kube-proxy to know it")
    world.check()
    for address in empty:
        world.must("silent", "x/a", "tcp", address, 1000)
        world.must_be_because("service-unknown", "x/a", address, 1000)
        for free in ("x/b", "y/a"):
            world.must("refused", free, "tcp", address, 1000)
    for address, port in (("10.96.77.77", 80), ("fd00:10:96::7777", 80), (world.fronts["y/only-b"].address(4), 999)):
        world.must("silent", "x/a", "tcp", address, port)
        world.must_be_because("service-unknown", "x/a", address, port)


@case("internalTrafficPolicy Local: the backends of the client's node count [semantics.service_local]")
def service_local(world):
    near = Front("y/near", 1003, [(f"y/{p}", 80) for p in "abc"], is_local=True)
    world.extra_front(near, service(Y, "near", 1003, 80, {"member": "matrix"}, internalTrafficPolicy="Local"))
    world.apply(network(X, "out", policyTypes=["Egress"], egress=[{"to": [{**spaces(ns="y"), **pods(pod="b")}]}]))
    world.check()


@case("a pod reaches itself through its Service, closed to others; on its way out it is a backend as any other [semantics.hairpin]")
def hairpin(world):
    world.apply(network(X, "wall", policyTypes=BOTH, egress=[{"to": [pods(pod="a")]}]),
                network(Y, "wall", policyTypes=["Ingress"]))
    world.check()


@case("a nodePort: a client that the node masquerades is not the node [semantics.masquerade_not_host]")
def node_port(world):
    port = world.node_port(Y, "ported", {"app": "b"}, "y/b") # on node1

    def ways(**want):
        for name in NODES:
            for family in FAMILIES:
                world.must(want[name], "outside", "tcp", world.ends[name].address(family), port)

    ways(node1="open y/b", node2="open y/b")
    world.apply(network(Y, "deny"))
    world.check()
    ways(node1="silent", node2="silent")
    world.must("open y/b", "node1", "tcp", world.ends["node1"].address(4), port)
    world.must("silent", "node2", "tcp", world.ends["node2"].address(4), port)
    world.apply(network(Y, "node2", ingress=[{"from": [{"ipBlock": {"cidr": f"{a}/{bits}"}}
                                                       for a, bits in zip(world.ends["node2"].addresses, (32, 128))]}]))
    world.check()
    ways(node1="silent", node2="open y/b")
    world.must("open y/b", "node2", "tcp", world.ends["node2"].address(4), port)


@case("a nodePort of the own node is a Service, not the node, to its pods [semantics.nodeport_from_pod]")
def node_port_from_pod(world):
    port = world.node_port(Y, "ported", {"app": "b"}, "y/b")
    world.apply(network(X, "out", policyTypes=["Egress"], egress=[{"to": [spaces(ns="z")]}]))
    world.check() # among others: own node's other ports are open
    for name in ("x/a", "x/b"):
        for family in FAMILIES:
            world.must("silent", name, "tcp", world.ends[world.ends[name].node].address(family), port)
            world.must("open y/b", "z/" + name[2:], "tcp", world.ends[world.ends["z/" + name[2:]].node].address(family), port)
    world.apply(network(X, "out", policyTypes=["Egress"], egress=[{"to": [spaces(ns="y")], "ports": [{"port": 80}]}]))
    world.bed.attest()
    for name in ("x/a", "x/b"):
        world.must("open y/b", name, "tcp", world.ends[world.ends[name].node].address(4), port)


@case("a hostPort is the pod behind it, from inside and outside [semantics.hostport]")
def host_port(world):
    end = End("y/ported", (), "node2", "pod", Y, {"pod": "ported"}, {})
    world.extra_pod(end, host_port=8088)
    node = world.ends["node2"].address(4)
    world.must("open y/ported", "outside", "tcp", node, 8088)
    wall = network(Y, "wall", {"matchLabels": {"pod": "ported"}}, ingress=[{"from": [spaces(ns="x")]}])
    world.apply(wall, network(X, "out", policyTypes=["Egress"], egress=[{"to": [spaces(ns="z")]}]))
    world.check()
    world.must("silent", "outside", "tcp", node, 8088)
    world.must("silent", "x/b", "tcp", node, 8088) # its own node, yet a pod
    world.must_be_because("default-deny", "x/b", node, 8088)
    world.must("open y/ported", "node2", "tcp", node, 8088)
    world.apply(network(X, "out", policyTypes=["Egress"], egress=[{"to": [spaces(ns="y")]}]))
    world.bed.attest()
    world.must("silent", "x/b", "tcp", node, 8088) # it may send; portmap masquerades clients of its node's subnet, so it is no pod of x there
    world.must("open y/ported", "x/b", "tcp", end.address(4), 80)
    wall["spec"]["ingress"][0]["from"] += [{"ipBlock": {"cidr": "10.244.2.1/32"}}, {"ipBlock": {"cidr": "192.168.100.254/32"}}]
    world.apply(wall)
    world.check()
    world.must("open y/ported", "x/b", "tcp", node, 8088)
    world.must("open y/ported", "outside", "tcp", node, 8088)


@case("the API server: by a rule about its address, as an essential; to pods of its own node always")
def api_server(world):
    def sees(is_open):
        world.bed.attest()
        world.must_see_api("x/b", is_open)
        for name in ("x/a", "y/a"): # on node1, as the API server is; of no policy
            world.must_see_api(name, True)

    sees(True)
    world.apply(network(X, "out", policyTypes=["Egress"]))
    sees(False)
    world.apply(network(X, "out", policyTypes=["Egress"], egress=[{"to": [{"ipBlock": {"cidr": "192.168.100.1/32"}}], "ports": [{"port": 443}]}]))
    sees(False)
    world.apply(network(X, "out", policyTypes=["Egress"], egress=[{"to": [{"ipBlock": {"cidr": "192.168.100.1/32"}}], "ports": [{"port": 6443}]}]))
    sees(True)
    world.clear()
    for essentials, is_open in ((["apiserver"], True), (["dns"], False), (["dns", "apiserver"], True), ([], False)):
        world.apply(segmentation(X, "out", isolate=["Egress"], essentials=essentials), meaning=[network(X, "out", policyTypes=["Egress"])])
        sees(is_open)
    world.check()


@case("the agents had nothing to complain of in all this")
def no_errors(world):
    for node in NODES:
        errors = world.bed.agent_errors(node)
        must(not errors, f"{node}: {len(errors)} errors in the agent's log\n" + "\n".join(errors[:5]))
